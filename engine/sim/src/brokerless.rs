//! Queues without a broker, as ZeroMQ's PUSH and PULL sockets make them: a pipe from each sender to each receiver.
//!
//! A sender's messages go round its pipes, past those that are at their high-water mark; with all of them there, sending
//! blocks. What a pipe holds goes straight to the receiver while that has room (its own high-water mark, per pipe; each
//! message that it is done with makes room again, one latency later). Nobody acknowledges anything and nothing comes back:
//! with a receiver go its pipes and what it had in its hands, with a sender that is killed what it had not handed to the
//! network. In the record, messages that wait at their sender are ready, those that are on their way or at the receiver in flight.
//!
//! What happens is told in the broker's words ([`World::observe`]), so that it is measured and checked as everything else is.

use std::collections::VecDeque;

use queuelab_core::{Event as BrokerEvent, Message, MessageCopy, QueueId, Removal};
use queuelab_scenario::{Consumer, Producer, Scenario, Target};
use queuelab_workload::{Delivery, Stream};

use crate::check::Tag;
use crate::journey::State;
use crate::kernel::Calendar;
use crate::network::{Client, Delivered, Packet, Pipe, Stamps};
use crate::node::Publishing;
use crate::topology::Layout;
use crate::world::{Event, World};

/// A message on its way.
impl Packet for (MessageCopy, Message) {
    fn size(&self) -> u64 {
        self.1.size()
    }
}

/// Room made.
impl Packet for () {
    fn size(&self) -> u64 {
        0
    }
}

/// All of them. Costs nothing where there are none.
#[derive(Clone, Debug, Default)]
pub struct Brokerless {
    /// By the broker's queue, if there are any at all.
    queues: Vec<Option<Sockets>>,
    pipes: Vec<PeerPipe>,
    /// By connection: clients that have nothing to do with the node.
    direct: Vec<bool>,
    /// Deliveries so far, which number them.
    deliveries: u64,
}

/// The ends of one queue.
#[derive(Clone, Debug)]
struct Sockets {
    /// Most messages that wait in a pipe.
    high_water: Option<u64>,
    /// By connection.
    senders: Vec<Sender>,
    /// By connection.
    receivers: Vec<Receiver>,
    /// Its pipes begin here: those of the first sender, then those of the second, and so on.
    first: usize,
    next_serial: u64,
    ready: u64,
    in_flight: u64,
}

#[derive(Clone, Debug)]
struct Sender {
    connection: u32,
    /// The receiver whose turn it is.
    turn: usize,
    /// Messages whose sending blocks.
    blocked: VecDeque<(Message, Stamps, Option<Delivery>)>,
}

#[derive(Clone, Copy, Debug)]
struct Receiver {
    connection: u32,
    channel: u16,
    /// Most messages per pipe that are on their way to it or in its hands; 0 is unlimited.
    window: u64,
    up: bool,
}

/// From one sender to one receiver.
#[derive(Clone, Debug)]
struct PeerPipe {
    queue: u32,
    /// The connections.
    from: u32,
    to: u32,
    /// Their places among the queue's senders and receivers.
    sender: u32,
    receiver: u32,
    /// Raised when the receiver goes.
    epoch: u32,
    waiting: VecDeque<(MessageCopy, Message)>,
    /// On their way, or in the receiver's hands.
    taken: u64,
    there: Pipe<(MessageCopy, Message)>,
    back: Pipe<()>,
}

impl Brokerless {
    /// Of a scenario whose producers' connections come first and consumers' next, each group's in a row.
    pub fn new(
        scenario: &Scenario,
        layout: &Layout,
        seed: u64,
        calendar: &mut Calendar<Event>,
    ) -> Brokerless {
        if !scenario.queues.iter().any(|queue| queue.brokerless) {
            return Brokerless::default();
        }
        let producers: u32 = scenario.producers.iter().map(|group| group.count).sum();
        let to = |group: &Producer| targets(group.to.iter().map(|(to, _)| Some(to)));
        let then = |group: &Consumer| {
            let then = group.then.iter().flat_map(|then| &then.to);
            targets(then.map(|(to, _)| to.as_ref()))
        };
        let producing = ranges(scenario.producers.iter().map(|group| group.count), 0);
        let consuming = ranges(
            scenario.consumers.iter().map(|group| group.count),
            producers,
        );
        let is_brokerless =
            |queue: &Option<usize>| queue.is_some_and(|queue| scenario.queues[queue].brokerless);
        let mut all = Brokerless::default();
        for (group, members) in scenario.producers.iter().zip(&producing) {
            let direct = to(group).iter().all(is_brokerless);
            all.direct.extend(members.clone().map(|_| direct));
        }
        for (group, members) in scenario.consumers.iter().zip(&consuming) {
            let takes = group
                .from
                .iter()
                .all(|queue| scenario.queues[*queue].brokerless);
            let direct = takes && then(group).iter().all(is_brokerless);
            all.direct.extend(members.clone().map(|_| direct));
        }
        for number in 0..layout.len() {
            let of = layout.queue_of(number);
            let spec = &scenario.queues[of];
            if !spec.brokerless {
                all.queues.push(None);
                continue;
            }
            let mut sockets = Sockets {
                high_water: layout.share(number, spec.max_length),
                senders: Vec::new(),
                receivers: Vec::new(),
                first: all.pipes.len(),
                next_serial: 0,
                ready: 0,
                in_flight: 0,
            };
            let producing = scenario.producers.iter().map(to).zip(&producing);
            let relaying = scenario.consumers.iter().map(then).zip(&consuming);
            for (targets, members) in producing.chain(relaying) {
                if targets.contains(&Some(of)) {
                    sockets.senders.extend(members.clone().map(Sender::new));
                }
            }
            for (group, members) in scenario.consumers.iter().zip(&consuming) {
                let Some(at) = group.from.iter().position(|from| *from == of) else {
                    continue;
                };
                let one_channel = group.channel_prefetch.is_some() || group.group.is_some();
                sockets
                    .receivers
                    .extend(members.clone().map(|connection| Receiver {
                        connection,
                        channel: if one_channel { 1 } else { at as u16 + 1 },
                        window: u64::from(group.prefetch),
                        up: false,
                    }));
            }
            for sender in 0..sockets.senders.len() as u32 {
                for receiver in 0..sockets.receivers.len() as u32 {
                    let entity = all.pipes.len() as u64;
                    all.pipes.push(PeerPipe {
                        queue: number as u32,
                        from: sockets.senders[sender as usize].connection,
                        to: sockets.receivers[receiver as usize].connection,
                        sender,
                        receiver,
                        epoch: 0,
                        waiting: VecDeque::new(),
                        taken: 0,
                        there: Pipe::new(
                            Stream::new(seed, "network/peer", entity),
                            calendar.lane(),
                        ),
                        back: Pipe::new(Stream::new(seed, "network/room", entity), calendar.lane()),
                    });
                }
            }
            all.queues.push(Some(sockets));
        }
        all
    }

    /// Whether there are any.
    #[inline]
    pub fn any(&self) -> bool {
        !self.queues.is_empty()
    }

    /// Whether one of the broker's queues is none of the broker's.
    #[inline]
    pub fn is(&self, queue: usize) -> bool {
        self.any() && self.queues[queue].is_some()
    }

    /// The queue, if a target is one of these.
    #[inline]
    pub fn target(&self, layout: &Layout, target: &Target) -> Option<usize> {
        match target {
            Target::Queue(queue) if self.any() => {
                Some(layout.partitions(*queue).start).filter(|queue| self.is(*queue))
            }
            _ => None,
        }
    }

    /// What waits at the senders of a queue, and what is on its way or at the receivers; `None` of a queue of the broker.
    pub fn depths(&self, queue: usize) -> Option<(u64, u64)> {
        let sockets = self.queues.get(queue)?.as_ref()?;
        Some((sockets.ready, sockets.in_flight))
    }

    /// Most messages that can wait at the senders of a queue, all pipes together.
    pub fn capacity(&self, queue: usize) -> Option<u64> {
        let sockets = self.queues.get(queue)?.as_ref()?;
        let pipes = (sockets.senders.len() * sockets.receivers.len()) as u64;
        sockets.high_water.map(|mark| mark.saturating_mul(pipes))
    }

    /// Whether a client has nothing to do with the node.
    #[inline]
    pub fn is_direct(&self, connection: u32) -> bool {
        self.direct.get(connection as usize) == Some(&true)
    }

    /// Whether nobody waits to send.
    pub fn is_idle(&self) -> bool {
        let mut senders = self
            .queues
            .iter()
            .flatten()
            .flat_map(|queue| &queue.senders);
        senders.all(|sender| sender.blocked.is_empty())
    }

    fn of(&mut self, queue: usize) -> Option<&mut Sockets> {
        self.queues.get_mut(queue)?.as_mut()
    }

    /// The next of a sender's pipes that takes a message.
    fn choose(&mut self, queue: usize, sender: usize) -> Option<usize> {
        let sockets = self.queues.get_mut(queue)?.as_mut()?;
        let count = sockets.receivers.len();
        let turn = sockets.senders[sender].turn;
        let chosen = (turn..turn + count).map(|at| at % count).find(|at| {
            let pipe = &self.pipes[sockets.first + sender * count + at];
            sockets.receivers[*at].up
                && sockets
                    .high_water
                    .is_none_or(|mark| (pipe.waiting.len() as u64) < mark)
        })?;
        sockets.senders[sender].turn = chosen + 1;
        Some(sockets.first + sender * count + chosen)
    }

    /// Whether some pipe of a sender would take a message.
    fn has_room(&self, queue: usize, sender: usize) -> bool {
        let Some(Some(sockets)) = self.queues.get(queue) else {
            return false;
        };
        let first = sockets.first + sender * sockets.receivers.len();
        let mut pipes = self.pipes[first..].iter().zip(&sockets.receivers);
        pipes.any(|(pipe, receiver)| {
            receiver.up
                && sockets
                    .high_water
                    .is_none_or(|mark| (pipe.waiting.len() as u64) < mark)
        })
    }

    /// A connection's place among the senders of a queue.
    fn sender_of(&self, queue: usize, connection: u32) -> Option<usize> {
        let senders = &self.queues.get(queue)?.as_ref()?.senders;
        let at = senders.binary_search_by_key(&connection, |sender| sender.connection);
        at.ok()
    }

    /// Where a connection sends: its queues, with its place among their senders.
    fn sends(&self, connection: u32) -> impl Iterator<Item = (usize, usize)> {
        (0..self.queues.len())
            .filter_map(move |queue| Some((queue, self.sender_of(queue, connection)?)))
    }

    /// The pipe that a copy in a receiver's hands has come through.
    fn pipe_of(&self, queue: usize, from: u32, to: u32) -> Option<usize> {
        let sockets = self.queues.get(queue)?.as_ref()?;
        let sender = sockets
            .senders
            .binary_search_by_key(&from, |it| it.connection)
            .ok()?;
        let receiver = sockets
            .receivers
            .binary_search_by_key(&to, |it| it.connection)
            .ok()?;
        Some(sockets.first + sender * sockets.receivers.len() + receiver)
    }
}

impl Sender {
    fn new(connection: u32) -> Sender {
        Sender {
            connection,
            turn: 0,
            blocked: VecDeque::new(),
        }
    }
}

/// The queues named; `None` for an exchange. What goes nowhere is left out.
fn targets<'t>(all: impl Iterator<Item = Option<&'t Target>>) -> Vec<Option<usize>> {
    all.flatten()
        .map(|target| match target {
            Target::Queue(queue) => Some(*queue),
            Target::Exchange { .. } => None,
        })
        .collect()
}

/// The connections of each group, one group after the other from `first` on.
fn ranges(counts: impl Iterator<Item = u32>, first: u32) -> Vec<std::ops::Range<u32>> {
    let mut next = first;
    let range = |count: u32| {
        next += count;
        next - count..next
    };
    counts.map(range).collect()
}

impl World {
    /// A client sends a message to a queue without a broker; `served` if it is what a service ended with.
    pub fn push(
        &mut self,
        connection: u32,
        queue: usize,
        message: Message,
        stamps: Stamps,
        served: Option<Delivery>,
    ) {
        let Some(sender) = self.brokerless.sender_of(queue, connection) else {
            return;
        };
        if let Some(sockets) = self.brokerless.of(queue) {
            let send = (message, stamps, served);
            sockets.senders[sender].blocked.push_back(send);
        }
        self.unblock(queue, sender);
        let now = self.calendar.now();
        if let Some(slot) = self.producers.get_mut(connection as usize)
            && !self.brokerless.has_room(queue, sender)
        {
            slot.machine.writable(now, false, &mut Vec::new());
        }
    }

    /// Sends what can be sent, and lets the client go on if nothing blocks it any more.
    fn unblock(&mut self, queue: usize, sender: usize) {
        while let Some(sockets) = self.brokerless.of(queue)
            && !sockets.senders[sender].blocked.is_empty()
            && let Some(pipe) = self.brokerless.choose(queue, sender)
            && let Some(sockets) = self.brokerless.of(queue)
            && let Some((message, stamps, served)) = sockets.senders[sender].blocked.pop_front()
        {
            self.enter(pipe, message, stamps);
            self.transmit(pipe);
            if let Some(delivery) = served {
                let consumer = self.brokerless.pipes[pipe].from - self.producers.len() as u32;
                self.forwarded(consumer, delivery, true);
            }
        }
        self.measure_sockets(queue);
    }

    /// A message enters a pipe.
    fn enter(&mut self, pipe: usize, message: Message, stamps: Stamps) {
        let now = self.calendar.now();
        let queue = self.brokerless.pipes[pipe].queue;
        let Some(sockets) = self.brokerless.of(queue as usize) else {
            return;
        };
        let copy = MessageCopy {
            queue: QueueId(queue),
            serial: sockets.next_serial,
        };
        sockets.next_serial += 1;
        sockets.ready += 1;
        let tag = message.tag;
        self.node.publishing = Some(Publishing {
            tag,
            stamps: Stamps {
                sent: now,
                received: now,
                ..stamps
            },
            priority: 0,
            connection: self.brokerless.pipes[pipe].from,
            answered: true,
        });
        self.observe(now, &BrokerEvent::Routed { tag, copies: 1 });
        self.check.entrusted(Tag(tag));
        self.observe(
            now,
            &BrokerEvent::Proposed {
                tag,
                copy,
                from: None,
            },
        );
        self.observe(now, &BrokerEvent::Enqueued { tag, copy });
        self.node.publishing = None;
        self.brokerless.pipes[pipe]
            .waiting
            .push_back((copy, message));
    }

    /// Hands to the network what the receiver has room for.
    fn transmit(&mut self, pipe: usize) {
        let now = self.calendar.now();
        loop {
            let peer = &mut self.brokerless.pipes[pipe];
            let Some(Some(sockets)) = self.brokerless.queues.get_mut(peer.queue as usize) else {
                return;
            };
            let receiver = sockets.receivers[peer.receiver as usize];
            if receiver.window > 0 && peer.taken >= receiver.window {
                return;
            }
            let Some((copy, message)) = peer.waiting.pop_front() else {
                return;
            };
            peer.taken += 1;
            sockets.ready -= 1;
            sockets.in_flight += 1;
            let delivered = delivered(&receiver, copy, &message);
            let epoch = peer.epoch;
            let arrives = peer.there.send(now, (copy, message), &self.network);
            let event = Event::Peer {
                pipe: pipe as u32,
                epoch,
            };
            self.calendar.schedule_in(peer.there.lane, arrives, event);
            self.dispatched(now, receiver.connection, &delivered);
        }
    }

    /// A message reaches its receiver.
    pub fn peer_receives(&mut self, pipe: u32, epoch: u32) {
        let peer = &mut self.brokerless.pipes[pipe as usize];
        if peer.epoch != epoch {
            return;
        }
        let Some((copy, message)) = peer.there.receive() else {
            return;
        };
        let (to, receiver) = (peer.to, peer.receiver as usize);
        let Some(sockets) = self.brokerless.of(copy.queue.index()) else {
            return;
        };
        let mut delivered = delivered(&sockets.receivers[receiver], copy, &message);
        self.brokerless.deliveries += 1;
        delivered.delivery = self.brokerless.deliveries;
        let consumer = to - self.producers.len() as u32;
        if self.relays_of(consumer) {
            self.relays
                .dispatched(consumer, delivered.channel, delivered.delivery, &message);
        }
        self.delivery_arrives(consumer, to, delivered);
        self.look_for_emptiness();
    }

    /// A service of a message has ended, for good or ill.
    pub fn peer_served(&mut self, copy: MessageCopy, accepted: bool) {
        let now = self.calendar.now();
        let Some(journey) = self.journeys.get(copy) else {
            return;
        };
        let (tag, queue) = (journey.tag, copy.queue.index());
        let reason = match accepted {
            true => Removal::Acked,
            false => Removal::Rejected,
        };
        self.observe(now, &BrokerEvent::Removed { tag, copy, reason });
        if let Some(sockets) = self.brokerless.of(queue) {
            sockets.in_flight -= 1;
        }
        self.measure_sockets(queue);
    }

    /// A receiver has room for one more message, after this one.
    pub fn peer_goes_on(&mut self, consumer: u32, queue: usize, tag: u64) {
        let now = self.calendar.now();
        // Who publishes numbers his messages by his connection.
        let from = Tag(tag).producer() as u32;
        let to = self.consumer_connection(consumer);
        if let Some(pipe) = self.brokerless.pipe_of(queue, from, to) {
            let peer = &mut self.brokerless.pipes[pipe];
            let arrives = peer.back.send(now, (), &self.network);
            let event = Event::Room {
                pipe: pipe as u32,
                epoch: peer.epoch,
            };
            self.calendar.schedule_in(peer.back.lane, arrives, event);
        }
    }

    /// A sender hears that its receiver has room.
    pub fn peer_has_room(&mut self, pipe: u32, epoch: u32) {
        let peer = &mut self.brokerless.pipes[pipe as usize];
        if peer.epoch != epoch {
            return;
        }
        peer.back.receive();
        peer.taken -= 1;
        let (queue, sender, from) = (peer.queue as usize, peer.sender as usize, peer.from);
        self.transmit(pipe as usize);
        self.unblock(queue, sender);
        self.mind_sender(from);
        self.look_for_emptiness();
    }

    /// A client is there.
    pub fn peer_comes(&mut self, connection: u32) {
        for queue in 0..self.brokerless.queues.len() {
            let Some(sockets) = self.brokerless.of(queue) else {
                continue;
            };
            let receivers = &mut sockets.receivers;
            let Ok(at) = receivers.binary_search_by_key(&connection, |it| it.connection) else {
                continue;
            };
            receivers[at].up = true;
            for sender in 0..sockets.senders.len() {
                self.unblock(queue, sender);
                let from = self.brokerless.queues[queue].as_ref();
                let from = from.map(|sockets| sockets.senders[sender].connection);
                from.into_iter().for_each(|from| self.mind_sender(from));
            }
        }
        self.mind_sender(connection);
    }

    /// A receiver is gone, and with it what is in its pipes and what it has in its hands.
    pub fn peer_goes(&mut self, connection: u32) {
        for queue in 0..self.brokerless.queues.len() {
            let Some(sockets) = self.brokerless.of(queue) else {
                continue;
            };
            let receivers = &mut sockets.receivers;
            let Ok(at) = receivers.binary_search_by_key(&connection, |it| it.connection) else {
                continue;
            };
            receivers[at].up = false;
            let pipes = (0..sockets.senders.len())
                .map(|sender| sockets.first + sender * sockets.receivers.len() + at);
            let mut gone = Vec::new();
            for pipe in pipes.collect::<Vec<usize>>() {
                let peer = &mut self.brokerless.pipes[pipe];
                peer.epoch += 1;
                peer.taken = 0;
                drop(peer.there.cut(&mut self.calendar));
                drop(peer.back.cut(&mut self.calendar));
                gone.extend(peer.waiting.drain(..).map(|(copy, _)| copy));
            }
            let held = self.journeys.of_queue(queue);
            let held = held.filter(|(_, journey)| {
                journey.holder == connection && journey.state == State::InFlight
            });
            gone.extend(held.map(|(serial, _)| MessageCopy {
                queue: QueueId(queue as u32),
                serial,
            }));
            self.lose(queue, &gone);
        }
    }

    /// A sender is gone. In peace it lingers until its pipes are empty; if it is `killed`, they are lost.
    pub fn sender_goes(&mut self, connection: u32, killed: bool) {
        let queues: Vec<(usize, usize)> = self.brokerless.sends(connection).collect();
        for (queue, sender) in queues {
            let Some(sockets) = self.brokerless.of(queue) else {
                continue;
            };
            let count = sockets.receivers.len();
            let pipes = sockets.first + sender * count..sockets.first + (sender + 1) * count;
            let blocked = std::mem::take(&mut sockets.senders[sender].blocked);
            // A service that has not come to its end is forgotten with the receiver.
            let (gone, stays): (VecDeque<_>, _) =
                (blocked.into_iter()).partition(|(_, _, served)| killed || served.is_some());
            sockets.senders[sender].blocked = stays;
            for (message, _, _) in gone {
                self.vanished(message.tag);
            }
            if !killed {
                continue;
            }
            let waiting = self.brokerless.pipes[pipes].iter_mut();
            let gone: Vec<MessageCopy> = waiting
                .flat_map(|peer| peer.waiting.drain(..))
                .map(|(copy, _)| copy)
                .collect();
            self.lose(queue, &gone);
        }
    }

    fn lose(&mut self, queue: usize, gone: &[MessageCopy]) {
        let now = self.calendar.now();
        for copy in gone {
            let Some(journey) = self.journeys.get(*copy) else {
                continue;
            };
            let (state, committed, tag) = (journey.state, journey.committed, journey.tag);
            self.end_journey(*copy);
            if let Some(sockets) = self.brokerless.of(queue) {
                match state {
                    State::InFlight => sockets.in_flight -= 1,
                    _ => sockets.ready -= 1,
                }
            }
            self.metrics.littles.leave(now, committed);
            self.metrics.queues[queue].lost += 1;
            self.check.lost(now, Tag(tag), *copy, "the end of a peer");
            self.consumed(tag);
        }
        self.measure_sockets(queue);
    }

    /// Stops a producer whose next message would block, and lets it go on when none would.
    fn mind_sender(&mut self, connection: u32) {
        let Client::Producer(producer) = self.connections[connection as usize].client else {
            return;
        };
        let all = &self.brokerless;
        let on = all
            .sends(connection)
            .all(|(queue, sender)| all.has_room(queue, sender));
        let now = self.calendar.now();
        let slot = &mut self.producers[producer as usize];
        slot.machine.writable(now, on, &mut self.producer_actions);
        self.producer_acts(producer);
    }

    fn measure_sockets(&mut self, queue: usize) {
        let now = self.calendar.now();
        let phase = self.metrics.phase;
        if let Some((ready, _)) = self.brokerless.depths(queue) {
            self.metrics.queues[queue].set_ready(now, phase, ready);
        }
        // The broker knows nothing of them.
        let touched = &mut self.node.touched;
        touched.retain(|touched| touched.index() != queue);
    }
}

/// A message as its receiver sees it.
fn delivered(receiver: &Receiver, copy: MessageCopy, message: &Message) -> Delivered {
    Delivered {
        channel: receiver.channel,
        redelivered: false,
        held: true,
        size: message.size() as u32,
        delivery: copy.serial + 1,
        tag: message.tag,
        copy,
    }
}
