//! Messages that come from others: what consumers publish on, forks and joins, backlogs that are there before the run; and when
//! the last of a message is done.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use queuelab_core::{
    ChannelId, ConnectionId, Input, Ledger, MessageCopy, Properties, Request, Time,
};
use queuelab_scenario::{Scenario, Target};
use queuelab_workload::Delivery;

use crate::body::body;
use crate::check::Tag;
use crate::network::{Stamps, Up};
use crate::plan::Mask;
use crate::topology::streams_of;
use crate::world::World;

/// The channel on which a consumer publishes on outside of transactions.
pub const RELAY_CHANNEL: u16 = 1000;

/// Where a message comes from in the end.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// Of the producer's message.
    pub tag: u64,
    /// When that was to be sent.
    pub intended: Time,
    /// Its producer group.
    pub producer: usize,
}

/// What is known of messages beyond their copies. Costs nothing where no consumer publishes on and no message can have several copies.
#[derive(Clone, Debug)]
pub struct Relays {
    /// The producer number of the first consumer.
    first: u32,
    /// Per consumer; empty if none publishes on.
    members: Vec<Relay>,
    /// What consumers that publish on have in their hands, by consumer, channel and delivery tag: until the service ends.
    contents: BTreeMap<(u32, u16, u64), Content>,
    /// The origin of the message whose service has just ended.
    serving: Origin,
    /// By the tag of the origin: messages of which something is left. Absent if each is one copy. What a consumer publishes on counts as one
    /// part of its origin from the service's end until its last copy is gone, copies of a producer's message count each.
    open: Option<BTreeMap<u64, Open>>,
    /// By tag, where consumers join what an exchange forked: messages of which a copy is left.
    joins: Option<BTreeMap<u64, Join>>,
    /// The message whose last copy has just ended: with automatic acknowledgement that is before it is published on.
    joined_last: Option<(u64, Join)>,
    /// Prebuilt backlog: up to which sequence, for which producer group.
    loaded: Vec<(u64, usize)>,
    /// How many groups read each of the broker's queues.
    readers: Vec<usize>,
    groups: u32,
}

/// A consumer that publishes on.
#[derive(Clone, Debug, Default)]
struct Relay {
    /// The next message's sequence.
    next: u64,
    /// Publishes on the confirming channel.
    published: u64,
    /// By their number on the channel: of which delivery, and the message's sequence.
    unconfirmed: Ledger<(Delivery, u64)>,
    /// Published since the last commit, by channel.
    gathered: Vec<(u16, u64)>,
    /// Commits under way: the channel, and what they publish.
    committing: VecDeque<(u16, Vec<u64>)>,
    /// By sequence: what is on its way to its queues or has so many copies there.
    origins: BTreeMap<u64, (Origin, u32)>,
}

#[derive(Clone, Debug)]
struct Content {
    key: Bytes,
    persistent: bool,
    properties: Option<Arc<Properties>>,
    size: u32,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    parts: u32,
    intended: Time,
    producer: usize,
    served: Option<Time>,
}

#[derive(Clone, Debug, Default)]
struct Join {
    copies: usize,
    /// Copies that are not done with.
    left: u32,
    served: BTreeSet<MessageCopy>,
}

impl Relays {
    /// Of a scenario with so many producers and consumers.
    pub fn new(scenario: &Scenario, producers: u32, consumers: usize) -> Relays {
        let layout = crate::topology::Layout::new(scenario);
        let mut then = scenario
            .consumers
            .iter()
            .filter_map(|group| group.then.as_ref());
        let relays = then.clone().next().is_some();
        let forks = !scenario.exchanges.is_empty()
            || !scenario.groups.is_empty()
            || scenario
                .producers
                .iter()
                .any(|producer| producer.retry.is_some());
        let streams = scenario
            .queues
            .iter()
            .any(|queue| queue.policy.stream.is_some());
        let mut readers = vec![0; layout.len()];
        for group in &scenario.groups {
            for queue in streams_of(&layout, &group.streams) {
                readers[queue] += 1;
            }
        }
        Relays {
            first: producers,
            members: if relays {
                vec![Relay::default(); consumers]
            } else {
                Vec::new()
            },
            contents: BTreeMap::new(),
            serving: Origin {
                tag: 0,
                intended: Time::ZERO,
                producer: 0,
            },
            open: (relays || forks || streams).then(BTreeMap::new),
            joins: then.any(|then| then.join).then(BTreeMap::new),
            joined_last: None,
            loaded: Vec::new(),
            readers,
            groups: scenario.groups.len() as u32,
        }
    }

    /// Whether any consumer publishes on.
    #[inline]
    pub fn any(&self) -> bool {
        !self.members.is_empty()
    }

    /// Whether messages may be more than their one copy.
    #[inline]
    pub fn counts(&self) -> bool {
        self.open.is_some()
    }

    /// Whether something is left of a producer's message.
    pub fn is_open(&self, tag: u64) -> bool {
        let open = self.open.as_ref();
        open.is_some_and(|open| open.contains_key(&tag))
    }

    /// Messages of a producer group of which something is left, by phase of their intended send.
    pub fn open_of(&self, producer: usize) -> impl Iterator<Item = Time> {
        let open = self.open.iter().flat_map(|open| open.values());
        open.filter(move |open| open.producer == producer)
            .map(|open| open.intended)
    }

    /// What a message carries that a consumer may publish on.
    pub fn dispatched(
        &mut self,
        consumer: u32,
        channel: u16,
        delivery: u64,
        message: &queuelab_core::Message,
    ) {
        let content = Content {
            key: message.routing_key.clone(),
            persistent: message.persistent,
            properties: message.properties.clone(),
            size: message.size() as u32,
        };
        self.contents.insert((consumer, channel, delivery), content);
    }

    /// A delivery is settled, or its service has ended: what it carried is not published on any more.
    pub fn settled(&mut self, consumer: u32, channel: u16, delivery: u64) {
        self.contents.remove(&(consumer, channel, delivery));
    }

    /// The connection of a consumer begins anew, or ends: it has nothing in its hands.
    pub fn empties_hands(&mut self, consumer: u32) {
        let its = (consumer, 0, 0)..=(consumer, u16::MAX, u64::MAX);
        while let Some((key, _)) = self.contents.range(its.clone()).next() {
            let key = *key;
            self.contents.remove(&key);
        }
    }

    /// The broker takes a message for so many queues: so many copies begin at once. The result is the origin of what is no more.
    #[must_use]
    pub fn routed(&mut self, tag: u64, copies: u32) -> Option<Origin> {
        if copies > 0
            && let Some(joins) = &mut self.joins
        {
            let join = joins.entry(tag).or_default();
            join.copies = copies as usize;
            join.left += copies;
        }
        match self.any() {
            true => self.count_copies(tag, |of| *of += copies),
            false => None,
        }
    }

    /// No queue takes a message, or this one does not: without a copy it is forgotten. The result is its origin if so.
    #[must_use]
    pub fn not_taken(&mut self, tag: u64) -> Option<Origin> {
        match self.any() {
            true => self.count_copies(tag, |_| {}),
            false => None,
        }
    }

    /// Whether a message is one that a consumer publishes on, and is not forgotten.
    fn is_forwarded(&self, tag: u64) -> bool {
        let number = Tag(tag).producer().checked_sub(self.first as usize);
        let relay = number.and_then(|number| self.members.get(number));
        relay.is_some_and(|relay| relay.origins.contains_key(&Tag(tag).sequence()))
    }

    /// A part of an origin begins.
    fn part_begins(&mut self, origin: Origin) {
        if let Some(open) = &mut self.open {
            let message = open.entry(origin.tag).or_insert(Open {
                parts: 0,
                intended: origin.intended,
                producer: origin.producer,
                served: None,
            });
            message.parts += 1;
        }
    }

    /// Another copy of a message begins, in the place of one that ends.
    fn replaced(&mut self, tag: u64) {
        if let Some(join) = self.joins.as_mut().and_then(|joins| joins.get_mut(&tag)) {
            join.left += 1;
        }
        // One that is gone does not come back by that.
        let _ = self.count_copies(tag, |of| *of += 1);
    }

    /// A copy of a message is done with. The result is the origin of what is no more.
    fn ended(&mut self, tag: u64) -> Option<Origin> {
        if let Some(joins) = &mut self.joins
            && let Some(join) = joins.get_mut(&tag)
        {
            join.left = join.left.saturating_sub(1);
            if join.left == 0 {
                self.joined_last = joins.remove(&tag).map(|join| (tag, join));
            }
        }
        self.count_copies(tag, |of| *of = of.saturating_sub(1))
    }

    /// Changes the number of copies of what a consumer has published on; with none left it is forgotten, and the result is its origin.
    fn count_copies(&mut self, tag: u64, change: impl FnOnce(&mut u32)) -> Option<Origin> {
        let number = Tag(tag).producer().checked_sub(self.first as usize);
        let relay = number.and_then(|number| self.members.get_mut(number))?;
        let (_, copies) = relay.origins.get_mut(&Tag(tag).sequence())?;
        change(copies);
        if *copies > 0 {
            return None;
        }
        let (origin, _) = relay.origins.remove(&Tag(tag).sequence())?;
        Some(origin)
    }

    /// How many entries there are: of what consumers publish on, of messages that have copies, of joins, of what is in their hands.
    pub fn sizes(&self) -> [usize; 4] {
        let members = self.members.iter();
        let held = members.map(|relay| {
            let sending = relay.committing.iter().map(|(_, all)| all.len());
            relay.origins.len()
                + relay.unconfirmed.len()
                + relay.gathered.len()
                + sending.sum::<usize>()
        });
        [
            held.sum(),
            self.open.as_ref().map_or(0, BTreeMap::len),
            self.joins.as_ref().map_or(0, BTreeMap::len),
            self.contents.len(),
        ]
    }

    /// A service of a message ends.
    #[inline]
    pub fn service_ends(&mut self, origin: u64, now: Time) {
        if let Some(open) = &mut self.open
            && let Some(open) = open.get_mut(&origin)
        {
            open.served = Some(now);
        }
    }

    /// A consumer commits what it has published on over a channel.
    pub fn commit(&mut self, consumer: u32, channel: u16) {
        if let Some(relay) = self.members.get_mut(consumer as usize) {
            let (now, later) = std::mem::take(&mut relay.gathered)
                .into_iter()
                .partition(|(on, _)| *on == channel);
            relay.gathered = later;
            let now: Vec<(u16, u64)> = now;
            let sequences = now.into_iter().map(|(_, sequence)| sequence).collect();
            relay.committing.push_back((channel, sequences));
        }
    }

    /// The message that a tag beyond those of the producers stands for.
    fn origin(&self, tag: Tag) -> Origin {
        let number = tag.producer().saturating_sub(self.first as usize);
        if let Some(relay) = self.members.get(number)
            && let Some((origin, _)) = relay.origins.get(&tag.sequence())
        {
            return *origin;
        }
        let up_to = |(end, _): &(u64, usize)| *end <= tag.sequence();
        let at = self.loaded.partition_point(up_to);
        Origin {
            tag: tag.0,
            intended: Time::ZERO,
            producer: self.loaded.get(at).map_or(0, |(_, producer)| *producer),
        }
    }

    /// Of the message `copy` of a fork: whether it is the last to be served.
    fn joined(&mut self, tag: u64, copy: MessageCopy) -> bool {
        let Some(joins) = &mut self.joins else {
            return true;
        };
        let last = self.joined_last.as_mut().filter(|(of, _)| *of == tag);
        let join = joins.get_mut(&tag).or(last.map(|(_, join)| join));
        let Some(join) = join else {
            return true;
        };
        join.served.insert(copy);
        let all = join.served.len() >= join.copies;
        if all {
            joins.remove(&tag);
        }
        all
    }
}

impl World {
    /// Where a message comes from that was meant to be sent at `intended`.
    #[inline]
    pub fn origin(&self, tag: u64, intended: Time) -> Origin {
        match self.producers.get(Tag(tag).producer()) {
            Some(slot) => Origin {
                tag,
                intended,
                producer: slot.group as usize,
            },
            // What a burst has added is its group's.
            None if Tag(tag).producer() >= self.first_surge() => Origin {
                tag,
                intended,
                producer: Tag(tag).producer() - self.first_surge(),
            },
            None => self.relays.origin(Tag(tag)),
        }
    }

    /// Whether a consumer publishes on.
    #[inline]
    pub fn relays_of(&self, consumer: u32) -> bool {
        self.relays.any() && self.groups[self.consumers[consumer as usize].group as usize].relays
    }

    /// A copy begins: one that routing has announced, or another one in the place of one that ends or had ended.
    #[inline(always)]
    pub fn copy_begins(&mut self, tag: u64, intended: Time, replaces: bool) {
        if self.relays.counts() {
            self.counted_copy_begins(tag, intended, replaces);
        }
    }

    #[inline(never)]
    fn counted_copy_begins(&mut self, tag: u64, intended: Time, replaces: bool) {
        let origin = self.origin(tag, intended);
        if replaces {
            self.relays.replaced(tag);
        }
        if !self.relays.is_forwarded(tag) {
            self.relays.part_begins(origin);
        }
    }

    /// A copy is done with.
    pub fn copy_ends(&mut self, tag: u64) {
        let origin = self.origin(tag, Time::ZERO);
        let forwarded = self.relays.is_forwarded(tag);
        let gone = self.relays.ended(tag);
        if !forwarded || gone.is_some() {
            self.part_ends(origin);
        }
    }

    /// No queue takes a message, or this one does not.
    pub fn not_taken(&mut self, tag: u64) {
        if let Some(origin) = self.relays.not_taken(tag) {
            self.part_ends(origin);
        }
    }

    /// The broker takes a message for so many queues.
    #[inline]
    pub fn taken(&mut self, tag: u64, copies: u32) {
        if let Some(origin) = self.relays.routed(tag, copies) {
            self.part_ends(origin);
        }
    }

    /// A part of an origin is done with: if it was the last one, the message is complete.
    fn part_ends(&mut self, origin: Origin) {
        let Some(open) = &mut self.relays.open else {
            return;
        };
        let Some(message) = open.get_mut(&origin.tag) else {
            return;
        };
        message.parts -= 1;
        if message.parts == 0 {
            let Open {
                intended,
                producer,
                served,
                ..
            } = *message;
            open.remove(&origin.tag);
            let retried = self.retried.get(&origin.tag);
            if retried.is_some_and(|it| it.known && !it.again) {
                self.retried.remove(&origin.tag);
            }
            if let Some(served) = served {
                self.metrics.complete(producer, intended, served);
            }
        }
    }

    /// The service of a message of this origin ends well; `goes_on` if the consumer publishes on next. Its copy may be gone before that:
    /// the origin is not.
    pub fn serves(&mut self, origin: Origin, goes_on: bool) {
        self.relays.serving = origin;
        if goes_on {
            self.relays.part_begins(origin);
        }
    }

    /// A consumer publishes on what it has just served.
    pub fn goes_on(
        &mut self,
        consumer: u32,
        delivery: Delivery,
        copy: MessageCopy,
        target: u32,
        size: Option<u32>,
    ) {
        let origin = self.relays.serving;
        self.forward(consumer, delivery, copy, target, size);
        self.part_ends(origin);
    }

    /// Whether a copy is done with before it leaves its queue: a record of a stream that all have read.
    pub fn is_done(&self, copy: MessageCopy) -> bool {
        if !self.journeys.is_stream(copy.queue.index()) {
            return false;
        }
        match self.relays.readers[copy.queue.index()] {
            0 => self.journeys.served_by(copy, u32::MAX) > 0,
            groups => self.journeys.served_by(copy, self.relays.groups) >= groups,
        }
    }

    fn forward(
        &mut self,
        consumer: u32,
        delivery: Delivery,
        copy: MessageCopy,
        target: u32,
        size: Option<u32>,
    ) {
        let now = self.calendar.now();
        let group = self.consumers[consumer as usize].group as usize;
        let scenario = self.scenario.clone();
        let Some(then) = &scenario.consumers[group].then else {
            return;
        };
        let channel = self.channel_of(group, delivery.subscription);
        let content = self
            .relays
            .contents
            .remove(&(consumer, channel, delivery.delivery));
        let target = then.to.get(target as usize);
        let target = target.and_then(|(target, _)| target.as_ref());
        let (Some(target), Some(content)) = (target, content) else {
            return self.forwarded(consumer, delivery, true);
        };
        if then.join && !self.relays.joined(delivery.tag, copy) {
            return self.forwarded(consumer, delivery, true);
        }
        let number = self.relays.first as usize + consumer as usize;
        let origin = self.relays.serving;
        self.relays.part_begins(origin);
        let relay = &mut self.relays.members[consumer as usize];
        let sequence = relay.next;
        relay.next += 1;
        relay.origins.insert(sequence, (origin, 0));
        let channel = if then.transaction {
            relay.gathered.push((channel, sequence));
            channel
        } else {
            relay.published += 1;
            relay
                .unconfirmed
                .push(relay.published, (delivery, sequence));
            RELAY_CHANNEL
        };
        let tag = Tag::new(number, sequence);
        let properties = content.properties.as_deref().map(on_its_way);
        self.check.sent(tag, 0, properties.as_ref(), false);
        self.trace.digest(tag.0, now.0);
        self.groups[group].forwarded += 1;
        let (exchange, own_key) = self.layout.exchange_of(target);
        let message = queuelab_core::Message {
            tag: tag.0,
            exchange,
            persistent: content.persistent,
            routing_key: match target {
                Target::Queue(queue) if !own_key => {
                    Bytes::copy_from_slice(scenario.queues[*queue].name.as_bytes())
                }
                Target::Exchange { key: Some(key), .. } => Bytes::copy_from_slice(key.as_bytes()),
                _ => content.key,
            },
            body: body(size.unwrap_or(content.size)),
            properties: properties.map(Arc::new),
        };
        let connection = self.consumer_connection(consumer);
        let stamps = Stamps {
            intended: now,
            sent: now,
            received: now,
        };
        if let Some(queue) = self.brokerless.target(&self.layout, target) {
            return self.push(connection, queue, message, stamps, Some(delivery));
        }
        let request = Request::Publish {
            exchange,
            mandatory: false,
            message,
        };
        self.send_up(
            connection,
            Up::Request {
                channel: ChannelId {
                    connection: ConnectionId(connection),
                    number: channel,
                },
                request,
                stamps,
            },
        );
    }

    /// The broker has answered for what a consumer published on.
    pub fn relayed_confirmed(
        &mut self,
        consumer: u32,
        sequence: u64,
        multiple: bool,
        accepted: bool,
    ) {
        let now = self.calendar.now();
        let number = self.relays.first as usize + consumer as usize;
        let Some(relay) = self.relays.members.get_mut(consumer as usize) else {
            return;
        };
        let mut answered = Vec::new();
        if multiple {
            while relay
                .unconfirmed
                .front()
                .is_some_and(|(first, _)| first <= sequence)
            {
                answered.extend(relay.unconfirmed.pop_front().map(|(_, relayed)| relayed));
            }
        } else {
            answered.extend(relay.unconfirmed.remove(sequence));
        }
        for (delivery, sequence) in answered {
            self.check
                .outcome(now, Tag::new(number, sequence), accepted);
            self.forwarded(consumer, delivery, accepted);
        }
    }

    /// The answer to a commit of a consumer.
    pub fn relayed_committed(&mut self, consumer: u32, channel: u16, accepted: bool) {
        let now = self.calendar.now();
        let number = self.relays.first as usize + consumer as usize;
        if let Some(relay) = self.relays.members.get_mut(consumer as usize)
            && let Some((_, sequences)) = relay.committing.pop_front()
        {
            for sequence in sequences {
                let tag = Tag::new(number, sequence);
                self.check.outcome(now, tag, accepted);
                if !accepted {
                    self.vanished(tag.0);
                }
            }
        }
        let slot = &mut self.consumers[consumer as usize];
        let subscription = u32::from(channel) - 1;
        slot.machine
            .committed(now, subscription, accepted, &mut self.consumer_actions);
        self.consumer_acts(consumer);
    }

    /// The connection of a consumer is gone: what it has published on is unknown to it.
    pub fn forget_relayed(&mut self, consumer: u32) {
        let now = self.calendar.now();
        let number = self.relays.first as usize + consumer as usize;
        let Some(relay) = self.relays.members.get_mut(consumer as usize) else {
            return;
        };
        relay.published = 0;
        let mut unknown: Vec<u64> = Vec::new();
        while let Some((_, (_, sequence))) = relay.unconfirmed.pop_front() {
            unknown.push(sequence);
        }
        let gathered = std::mem::take(&mut relay.gathered);
        unknown.extend(gathered.into_iter().map(|(_, sequence)| sequence));
        let committing = std::mem::take(&mut relay.committing);
        unknown.extend(committing.into_iter().flat_map(|(_, sequences)| sequences));
        for sequence in unknown {
            self.check.outcome(now, Tag::new(number, sequence), false);
        }
        self.relays.empties_hands(consumer);
    }

    /// What was published on is answered for, or was nothing.
    pub fn forwarded(&mut self, consumer: u32, delivery: Delivery, accepted: bool) {
        let now = self.calendar.now();
        if self.brokerless.any() {
            let group = self.consumers[consumer as usize].group as usize;
            let queue = self.copy_of(group, &delivery).queue.index();
            if self.brokerless.is(queue) {
                self.peer_goes_on(consumer, queue, delivery.tag);
            }
        }
        let slot = &mut self.consumers[consumer as usize];
        slot.machine
            .forwarded(now, delivery, accepted, &mut self.consumer_actions);
        self.consumer_acts(consumer);
    }

    // Backlogs

    /// Puts the messages in that queues hold when the run begins, as if their first producers had sent them at time zero.
    pub fn fill_queues(&mut self, keep: Option<&Mask>) {
        let scenario = self.scenario.clone();
        if scenario.queues.iter().all(|queue| queue.backlog == 0) {
            return;
        }
        let number = self.producers.len() + self.consumers.len();
        let kept = keep.map(|mask| mask.of(number as u32));
        let connection = self.loader();
        let window = u64::MAX;
        self.input(Time::ZERO, Input::Opened { connection, window });
        let mut sequence = 0;
        for (queue, spec) in scenario.queues.iter().enumerate() {
            if spec.backlog == 0 {
                continue;
            }
            let sends_here = |producer: &queuelab_scenario::Producer| {
                let here =
                    |(to, _): &(Target, f64)| matches!(to, Target::Queue(to) if *to == queue);
                producer.to.iter().any(here)
            };
            let producer = scenario.producers.iter().position(sends_here).unwrap_or(0);
            let size = scenario.producers.get(producer).map_or(0, |producer| {
                typical_size(&producer.size).min(u64::from(u32::MAX)) as u32
            });
            self.relays.loaded.push((sequence + spec.backlog, producer));
            let (exchange, own_key) = self.layout.exchange_of(&Target::Queue(queue));
            let routing_key = match own_key {
                true => Bytes::new(),
                false => Bytes::copy_from_slice(spec.name.as_bytes()),
            };
            for _ in 0..spec.backlog {
                let tag = Tag::new(number, sequence);
                sequence += 1;
                let kept = kept.as_ref();
                if kept.is_some_and(|kept| kept.binary_search(&tag.sequence()).is_err()) {
                    continue;
                }
                self.check.sent(tag, 0, None, false);
                self.load(queuelab_core::Message {
                    tag: tag.0,
                    exchange,
                    persistent: true,
                    routing_key: routing_key.clone(),
                    body: body(size),
                    properties: None,
                });
                self.tell_loaded(tag);
                let taken = !self.check.was_refused(tag);
                self.check.outcome(Time::ZERO, tag, taken);
            }
        }
        self.input(Time::ZERO, Input::Closed { connection });
        self.metrics.begin();
    }
}

/// What stays of a message's properties when it is published on: not how long it may take, nor what befell it.
fn on_its_way(properties: &Properties) -> Properties {
    Properties {
        ttl: None,
        delay: None,
        producer: None,
        reply_to: None,
        deaths: Vec::new(),
        ..properties.clone()
    }
}

fn typical_size(size: &queuelab_scenario::Size) -> u64 {
    use queuelab_scenario::Size;
    match size {
        Size::Fixed(size) => *size,
        Size::Uniform(low, high) => low.midpoint(*high),
        Size::Lognormal { median, .. } => *median as u64,
        Size::Bimodal { small, .. } => *small,
        Size::Empirical(values) => values.first().map_or(0, |(value, _)| *value),
    }
}
