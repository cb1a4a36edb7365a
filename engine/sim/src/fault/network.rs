//! Faults of the links between clients and the node.

use queuelab_core::{Span, Time};
use queuelab_scenario::{Direction, End, FaultKind};
use queuelab_workload::{Sampler, Stream};

use super::activation::shuffle;
use crate::network::{Client, LinkTrouble, Up};
use crate::world::{Event, World};

impl World {
    /// A fault of the network begins. Returns what it does, in words.
    pub fn network_fault_begins(&mut self, fault: u32, kind: &FaultKind, span: Span) -> String {
        let struck = self.on_the_net(fault);
        match kind {
            FaultKind::Reset { .. } => {
                for connection in &struck {
                    self.reset(*connection);
                }
                format!("{} connections were reset", struck.len())
            }
            FaultKind::HalfOpen { unaware, .. } => {
                for connection in &struck {
                    self.half_opens(*connection, *unaware);
                }
                format!("{} connections were dead at one end", struck.len())
            }
            FaultKind::Swizzle { .. } => {
                self.swizzle(fault, struck, span);
                "half of the connections were clogged in turn".into()
            }
            FaultKind::ConnectHang { .. } => {
                self.set_links(&struck);
                "nobody was answered who connected".into()
            }
            FaultKind::Clog { .. } => {
                self.set_links(&struck);
                "nothing got through".into()
            }
            _ => {
                self.set_links(&struck);
                format!("{} connections were slow", struck.len())
            }
        }
    }

    /// A fault of the network is over.
    pub fn network_fault_ends(&mut self, fault: u32, kind: &FaultKind) {
        let struck = self.on_the_net(fault);
        match kind {
            FaultKind::Reset { .. } => {}
            FaultKind::HalfOpen { unaware, .. } => {
                for connection in struck {
                    self.half_open_ends(connection, *unaware);
                }
            }
            _ => {
                self.swizzled.retain(|(of, _)| *of != fault);
                self.set_links(&struck);
            }
        }
    }

    fn on_the_net(&self, fault: u32) -> Vec<u32> {
        let mut struck = self.struck(fault);
        struck.retain(|connection| !self.brokerless.is_direct(*connection));
        struck
    }

    /// A connection is reset: what is under way is lost, both ends learn of it.
    pub fn reset(&mut self, connection: u32) {
        self.cut(connection);
        self.notices(connection);
        self.send_up(connection, Up::Close { connection });
    }

    /// A client notices after a latency that its connection is gone.
    pub fn notices(&mut self, connection: u32) {
        let epoch = self.connections[connection as usize].epoch;
        let stream = Stream::new(self.seed, "network/reset", u64::from(connection));
        let delay = self.network.latency(&stream, u64::from(epoch));
        let event = Event::Reset { connection, epoch };
        self.calendar.after(delay, event);
    }

    fn half_opens(&mut self, connection: u32, unaware: End) {
        match unaware {
            End::Node => {
                self.cut(connection);
                self.connections[connection as usize].stale = true;
                self.notices(connection);
            }
            End::Client => {
                let live = self.connections[connection as usize].live;
                self.cut(connection);
                let link = &mut self.connections[connection as usize];
                (link.live, link.void) = (live, live);
                if !live {
                    // Who is connecting waits for an answer, and has none.
                    self.notices(connection);
                }
                self.node_receives(Up::Close { connection });
            }
        }
    }

    fn half_open_ends(&mut self, connection: u32, unaware: End) {
        let link = &mut self.connections[connection as usize];
        match unaware {
            End::Node => {
                link.stale = false;
                let waits = std::mem::take(&mut link.waits);
                self.node_receives(Up::Close { connection });
                if waits {
                    self.connect(connection);
                }
            }
            End::Client => {
                if std::mem::take(&mut link.void) {
                    self.client_reset(connection);
                }
            }
        }
    }

    /// Half of the struck connections are clogged one after the other, and unclogged in another order.
    fn swizzle(&mut self, fault: u32, mut struck: Vec<u32>, span: Span) {
        shuffle(&mut struck, &self.chance(fault, "fault/swizzle"));
        struck.truncate(struck.len().div_ceil(2));
        let step = Span(span.min(Span::from_secs(3600)).0 / (2 * struck.len() as u64 + 1).max(1));
        for at in 0..struck.len() as u32 {
            self.step_after(fault, step * u64::from(at), at);
        }
        let mut order: Vec<u32> = (0..struck.len() as u32).collect();
        shuffle(&mut order, &self.chance(fault, "fault/unswizzle"));
        for (place, at) in (struck.len() as u64..).zip(order) {
            let step_back = struck.len() as u32 + at;
            self.step_after(fault, step * place, step_back);
        }
        self.strikes.struck.insert(fault, struck);
    }

    /// A connection of a swizzle is clogged, or goes on.
    pub fn swizzle_step(&mut self, fault: u32, step: u32) {
        let struck = self.struck(fault);
        let Some(connection) = struck.get(step as usize % struck.len().max(1)) else {
            return;
        };
        if (step as usize) < struck.len() {
            self.swizzled.push((fault, *connection));
        } else {
            self.swizzled.retain(|it| *it != (fault, *connection));
        }
        self.set_links(&[*connection]);
    }

    /// Faults may overlap: what they do to a link is made anew of all that are on.
    fn set_links(&mut self, connections: &[u32]) {
        for connection in connections {
            let mut ways = [LinkTrouble::default(), LinkTrouble::default()];
            let mut hangs = false;
            for (&fault, &at) in &self.active {
                let struck = self.strikes.struck.get(&fault);
                if !struck.is_some_and(|struck| struck.contains(connection)) {
                    continue;
                }
                let kind = &self.scenario.faults[fault as usize].kind;
                for (way, trouble) in ways.iter_mut().enumerate() {
                    let entity = 2 * u64::from(*connection) + way as u64;
                    let chance = self.chance(fault, "fault/link").at(entity).next_u64();
                    let stream = Stream::new(self.seed, "fault/packet", chance);
                    match kind {
                        FaultKind::Latency { extra, .. } => {
                            trouble.latency.push((Sampler::new(extra), stream));
                        }
                        FaultKind::Loss { p, .. } => {
                            let until = self.faults.get(at).map_or(Time::MAX, |it| it.until);
                            trouble.loss.push((*p, stream, until));
                        }
                        FaultKind::Bandwidth { bandwidth, .. } => {
                            let least = trouble.bandwidth.map_or(*bandwidth, |b| b.min(*bandwidth));
                            trouble.bandwidth = Some(least);
                        }
                        FaultKind::Clog { direction, .. } => {
                            let clogs = match direction {
                                Direction::In => way == 0,
                                Direction::Out => way == 1,
                                Direction::Both => true,
                            };
                            trouble.clogged |= clogs;
                        }
                        FaultKind::Swizzle { .. } => {
                            trouble.clogged |= self.swizzled.contains(&(fault, *connection));
                        }
                        FaultKind::ConnectHang { .. } => hangs = true,
                        _ => {}
                    }
                }
            }
            let [up, down] = ways;
            let link = &mut self.connections[*connection as usize];
            link.hangs = hangs;
            let (above, below) = (link.up.set_trouble(up), link.down.set_trouble(down));
            self.let_through(*connection, above, below);
        }
    }

    /// What was held back in a connection is under way now: so many packets in each direction.
    fn let_through(&mut self, connection: u32, up: u32, down: u32) {
        let now = self.calendar.now();
        let link = &mut self.connections[connection as usize];
        let epoch = link.epoch;
        let stream = Stream::new(self.seed, "network/unclogged", u64::from(connection));
        let arrives = |held: u32| now + self.network.latency(&stream, now.0 ^ u64::from(held));
        for held in 0..up {
            let event = Event::Up { connection, epoch };
            self.calendar
                .schedule_in(link.up.lane, arrives(held), event);
        }
        for held in 0..down {
            let event = Event::Down { connection, epoch };
            self.calendar
                .schedule_in(link.down.lane, arrives(held), event);
        }
    }

    /// Nobody has answered a client that connects.
    pub fn connect_times_out(&mut self, connection: u32, attempt: u32) {
        let link = &self.connections[connection as usize];
        if link.attempt == attempt && !link.live {
            self.client_reset(connection);
        }
    }

    /// The connections of consumers are closed and opened again by their clients, as after a restart of these.
    pub fn come_again(&mut self, connections: &[u32]) {
        for connection in connections {
            if let Client::Consumer(_) = self.connections[*connection as usize].client
                && !self.brokerless.is_direct(*connection)
                && self.connections[*connection as usize].live
            {
                self.reset(*connection);
            }
        }
    }
}

/// How long a client waits for an answer when it connects: pika's `socket_timeout`.
pub const CONNECT_TIMEOUT: Span = Span::from_secs(10);

/// The arrival of what is held back.
pub const HELD: Time = Time::MAX;
