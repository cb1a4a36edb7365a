//! Faults: what begins, what ends, what they took.

use std::collections::BTreeSet;

use queuelab_core::{Command, MessageCopy, QueueId, Recovered, Request, Time};
use queuelab_record::FaultRecord;
use queuelab_scenario::{FaultKind, Members};
use queuelab_workload::{Consumer, ConsumerAction, Stream};

use crate::check::Tag;
use crate::journey::State;
use crate::network::Up;
use crate::world::{Event, World};

impl World {
    /// A fault of the scenario begins.
    pub fn fault_begins(&mut self, fault: u32) {
        let now = self.calendar.now();
        let spec = self.scenario.faults[fault as usize].clone();
        let (kind, target) = describe(self, &spec.kind);
        self.active.insert(fault, self.faults.len());
        self.faults.push(FaultRecord {
            name: spec.name.clone(),
            kind: kind.into(),
            target: target.clone(),
            from: now,
            until: self.end,
            effect: String::new(),
        });
        self.say(format!("fault {}: {kind} of {target}", spec.name));
        let effect = match spec.kind {
            FaultKind::Crash => self.node_dies(false),
            FaultKind::PowerLoss => self.node_dies(true),
            FaultKind::SlowDisk { factor } => {
                self.node.disk.factor *= factor;
                format!("fsync took {factor} times as long")
            }
            FaultKind::SlowConsumer { members, factor } => {
                self.each_member(members, |world, consumer| world.slow_down(consumer, factor));
                format!("service took {factor} times as long")
            }
            FaultKind::PauseConsumer(members) => {
                self.each_member(members, |world, consumer| world.pause(consumer, true));
                "nothing was served".into()
            }
            FaultKind::ConsumerCrash(members) => {
                let mut held = 0;
                self.each_member(members, |world, consumer| {
                    held += world.consumer_dies(consumer)
                });
                format!("{held} messages were in its hands")
            }
        };
        if let Some(record) = self
            .active
            .get(&fault)
            .and_then(|&at| self.faults.get_mut(at))
        {
            record.effect = effect;
        }
        self.calendar.after(spec.span, Event::FaultEnds(fault));
    }

    /// A fault is over.
    pub fn fault_ends(&mut self, fault: u32) {
        let now = self.calendar.now();
        let spec = self.scenario.faults[fault as usize].clone();
        match spec.kind {
            FaultKind::Crash | FaultKind::PowerLoss => self.node_restarts(fault),
            FaultKind::SlowDisk { factor } => self.node.disk.factor /= factor,
            FaultKind::SlowConsumer { members, factor } => {
                self.each_member(members, |world, consumer| {
                    world.slow_down(consumer, 1.0 / factor)
                });
            }
            FaultKind::PauseConsumer(members) => {
                self.each_member(members, |world, consumer| world.pause(consumer, false));
            }
            FaultKind::ConsumerCrash(members) => self.each_member(members, |world, consumer| {
                world.consumer_does(consumer, |machine, now, actions| {
                    machine.restart(now, actions)
                });
            }),
        }
        if let Some(at) = self.active.remove(&fault) {
            self.faults[at].until = now;
        }
        self.say(format!("fault {} is over", spec.name));
    }

    /// The node's process, or its machine, dies; its connections are reset. Returns what that took, in words.
    fn node_dies(&mut self, power: bool) -> String {
        let now = self.calendar.now();
        if self.node.broker.is_none() {
            return "it was down already".into();
        }
        for tag in self.node.die(now) {
            self.check.vanished(Tag(tag));
        }
        for tag in std::mem::take(&mut self.parked).into_keys() {
            self.check.vanished(Tag(tag));
        }
        let entries = self.node.disk.crash(now, power);
        for connection in 0..self.connections.len() as u32 {
            self.cut(connection);
            let link = &mut self.connections[connection as usize];
            let epoch = link.epoch;
            let stream = Stream::new(self.seed, "network/reset", u64::from(connection));
            let delay = self.network.latency(&stream, u64::from(epoch));
            self.calendar
                .after(delay, Event::Reset { connection, epoch });
        }
        let lost = self.lose_copies();
        format!("it took {lost} messages and {entries} unwritten log entries")
    }

    /// Copies that are not in what the disk kept are lost. Returns how many.
    fn lose_copies(&mut self) -> u64 {
        let now = self.calendar.now();
        let phase = self.metrics.phase;
        let log = LogContents::of(&self.node.disk.recover());
        let mut total = 0;
        for queue in 0..self.scenario.queues.len() {
            let copy = |serial| MessageCopy {
                queue: QueueId(queue as u32),
                serial,
            };
            let in_broker = self
                .journeys
                .of_queue(queue)
                .filter(|(_, journey)| journey.state != State::Removed);
            let (kept, gone): (Vec<u64>, Vec<u64>) = in_broker
                .map(|(serial, _)| serial)
                .partition(|serial| log.holds.contains(&copy(*serial)));
            self.metrics.queues[queue].set_ready(now, phase, kept.len() as u64);
            for serial in gone {
                let copy = copy(serial);
                let Some(journey) = self.journeys.end(copy) else {
                    continue;
                };
                let tag = Tag(journey.tag);
                if journey.state != State::Proposed {
                    self.metrics.littles.leave(now, journey.entered);
                }
                // If the log has its removal, or its consumer was done and only the ack was under way, it is finished.
                if log.removed.contains(&copy) || journey.served {
                    self.metrics.queues[queue].count(phase, |counts| counts.acked += 1);
                    self.check.ended(tag);
                } else {
                    self.metrics.queues[queue].lost += 1;
                    total += 1;
                    self.check.lost(now, tag, copy, "a crash");
                    self.consumed(journey.tag);
                }
            }
        }
        total
    }

    fn node_restarts(&mut self, fault: u32) {
        let keeps_down = |other: &u32| {
            let kind = &self.scenario.faults[*other as usize].kind;
            *other != fault && matches!(kind, FaultKind::Crash | FaultKind::PowerLoss)
        };
        if self.active.keys().any(keeps_down) {
            return;
        }
        let recovered = self.node.disk.recover();
        let scenario = self.scenario.clone();
        self.node.boot(&scenario, recovered);
        self.settle_node();
        self.say(format!(
            "n1 is up again, life {}",
            self.node.incarnation + 1
        ));
    }

    /// A consumer's process dies. Returns how many messages it held.
    fn consumer_dies(&mut self, consumer: u32) -> u64 {
        let held = {
            let machine = &self.consumers[consumer as usize].machine;
            machine.buffered() + u64::from(machine.serving())
        };
        self.forget_held(consumer);
        let connection = self.consumer_connection(consumer);
        let was_live = std::mem::replace(&mut self.connections[connection as usize].live, false);
        self.consumer_does(consumer, |machine, now, actions| {
            machine.crash(now, actions)
        });
        if was_live {
            self.send_up(connection, Up::Close);
        }
        held
    }

    /// Faults may overlap: factors multiply.
    fn slow_down(&mut self, consumer: u32, factor: f64) {
        let now = self.calendar.now();
        let slot = &mut self.consumers[consumer as usize];
        slot.factor *= factor;
        slot.machine.set_factor(now, slot.factor);
        self.consumer_acts(consumer);
    }

    /// Faults may overlap: a consumer goes on when the last pause is over.
    fn pause(&mut self, consumer: u32, on: bool) {
        let slot = &mut self.consumers[consumer as usize];
        let before = slot.pauses;
        slot.pauses = if on { before + 1 } else { before - 1 };
        let pauses = slot.pauses;
        match (before, pauses) {
            (0, 1) => slot.machine.pause(self.calendar.now()),
            (1, 0) => self.consumer_does(consumer, |machine, now, actions| {
                machine.resume(now, actions)
            }),
            _ => {}
        }
    }

    fn cut(&mut self, connection: u32) {
        let link = &mut self.connections[connection as usize];
        link.epoch += 1;
        link.live = false;
        drop(link.down.cut());
        for packet in link.up.cut() {
            if let Up::Request {
                request: Request::Publish { message, .. },
                ..
            } = packet
            {
                self.check.vanished(Tag(message.tag));
            }
        }
    }

    fn consumer_does(
        &mut self,
        consumer: u32,
        act: impl FnOnce(&mut Consumer, Time, &mut Vec<ConsumerAction>),
    ) {
        let now = self.calendar.now();
        act(
            &mut self.consumers[consumer as usize].machine,
            now,
            &mut self.consumer_actions,
        );
        self.consumer_acts(consumer);
    }

    fn each_member(&mut self, members: Members, mut act: impl FnMut(&mut World, u32)) {
        let all = self.scenario.consumers[members.group].count;
        let first = self.groups[members.group].first;
        for consumer in first..first + members.count.unwrap_or(all).min(all) {
            act(self, consumer);
        }
    }
}

/// The copies that a log speaks of.
#[derive(Default)]
struct LogContents {
    /// Enqueued and not removed.
    holds: BTreeSet<MessageCopy>,
    removed: BTreeSet<MessageCopy>,
}

impl LogContents {
    fn of(recovered: &Recovered) -> LogContents {
        let mut log = LogContents::default();
        for command in recovered
            .entries
            .iter()
            .flat_map(|(_, entry)| entry.commands())
        {
            match command {
                Command::Enqueue { copy, .. } => {
                    log.holds.insert(*copy);
                }
                Command::Remove { copy } => {
                    log.holds.remove(copy);
                    log.removed.insert(*copy);
                }
                Command::Return { .. } => {}
            }
        }
        log
    }
}

fn describe(world: &World, kind: &FaultKind) -> (&'static str, String) {
    let members = |members: &Members| {
        let group = &world.scenario.consumers[members.group];
        match members.count {
            Some(count) if count < group.count => format!("{count} of {}", group.name),
            _ => group.name.clone(),
        }
    };
    match kind {
        FaultKind::Crash => ("crash", "n1".into()),
        FaultKind::PowerLoss => ("power-loss", "n1".into()),
        FaultKind::SlowDisk { .. } => ("slow-disk", "n1".into()),
        FaultKind::ConsumerCrash(who) => ("consumer-crash", members(who)),
        FaultKind::SlowConsumer { members: who, .. } => ("slow-consumer", members(who)),
        FaultKind::PauseConsumer(who) => ("pause-consumer", members(who)),
    }
}
