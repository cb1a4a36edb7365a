//! Random operations on streams and groups, watched by a naive account of who may get what.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use queuelab_core::*;
use support::Rig;

const STREAMS: u32 = 3;
const NAMES: [&str; STREAMS as usize] = ["s", "t", "u"];
const PARTITIONED: GroupId = GroupId(0);
const SHARED: GroupId = GroupId(1);
/// The lone reader's name; members of groups are named by their groups.
const ALONE: u32 = 2;
/// Who held what a consumer left behind.
const NOBODY: u32 = 9;
const LOCK: Span = Span::from_millis(50);

#[derive(Clone, Debug)]
enum Step {
    Publish {
        stream: u32,
        key: u32,
    },
    Join {
        connection: u32,
        group: u32,
        prefetch: u32,
    },
    Read {
        connection: u32,
        stream: u32,
        from: u64,
        prefetch: u32,
    },
    Cancel {
        connection: u32,
        consumer: u32,
    },
    Close {
        connection: u32,
    },
    Settle {
        connection: u32,
        pick: usize,
        multiple: bool,
        how: Option<bool>,
    },
    Renew {
        connection: u32,
        pick: usize,
    },
    Wait {
        millis: u64,
    },
    Log {
        written: u64,
        synced: u64,
    },
    Flush,
    Crash,
    PowerLoss,
}

fn steps() -> impl Strategy<Value = Step> {
    let connection = || 0..4u32;
    prop_oneof![
        30 => (0..STREAMS, 0..4u32).prop_map(|(stream, key)| Step::Publish { stream, key }),
        8 => (connection(), 0..2u32, 0..4u32)
            .prop_map(|(connection, group, prefetch)| Step::Join { connection, group, prefetch }),
        2 => (connection(), 0..STREAMS, 0..9u64, 0..4u32)
            .prop_map(|(connection, stream, from, prefetch)| Step::Read { connection, stream, from, prefetch }),
        3 => (connection(), 0..3u32).prop_map(|(connection, consumer)| Step::Cancel { connection, consumer }),
        2 => connection().prop_map(|connection| Step::Close { connection }),
        40 => (connection(), 0..20usize, prop::bool::weighted(0.2), any::<Option<bool>>())
            .prop_map(|(connection, pick, multiple, how)| Step::Settle { connection, pick, multiple, how }),
        3 => (connection(), 0..20usize).prop_map(|(connection, pick)| Step::Renew { connection, pick }),
        8 => (1..60u64).prop_map(|millis| Step::Wait { millis }),
        15 => (0..6u64, 0..6u64).prop_map(|(written, synced)| Step::Log { written, synced }),
        5 => Just(Step::Flush),
        1 => Just(Step::Crash),
        1 => Just(Step::PowerLoss),
    ]
}

fn configs() -> impl Strategy<Value = BrokerConfig> {
    let durability = prop::sample::select(vec![
        Durability::None,
        Durability::Os,
        Durability::Interval(Span::from_millis(7)),
        Durability::Fsync,
    ]);
    let retention = (
        prop::option::weighted(0.4, 2..8u64),
        prop::option::weighted(0.3, 2..8u64),
        prop::option::weighted(0.3, 20..200u64),
        1..4u32,
        any::<bool>(),
        any::<bool>(),
    );
    let retention = retention.prop_map(
        |(max_length, max_bytes, age, segment, compact, interest)| Retention {
            max_length,
            max_bytes,
            max_age: age.map(Span::from_millis),
            segment,
            compact,
            interest,
        },
    );
    let assignment = prop::sample::select(vec![
        Assignment::Range,
        Assignment::RoundRobin,
        Assignment::Sticky,
        Assignment::ConsistentHash,
    ]);
    let rebalance = prop::sample::select(vec![0, 20]);
    let groups = (assignment, rebalance, 0..4u32, 1..6u32);
    let streams = prop::collection::vec((durability, retention), STREAMS as usize);
    (streams, groups).prop_map(
        |(streams, (assignment, rebalance, delivery_limit, window))| {
            let queues = NAMES
                .iter()
                .zip(streams)
                .map(|(name, (durability, retention))| QueueConfig {
                    name: Bytes::from_static(name.as_bytes()),
                    durability,
                    policy: QueuePolicy {
                        stream: Some(retention),
                        ..Default::default()
                    },
                    ..Default::default()
                });
            let group = |name: &'static str, kind| GroupConfig {
                name: name.into(),
                streams: (0..STREAMS).map(QueueId).collect(),
                start: Offset::First,
                kind,
            };
            let mut config = BrokerConfig {
                queues: queues.collect(),
                groups: vec![
                    group(
                        "partitioned",
                        GroupKind::Partitioned {
                            assignment,
                            rebalance: Span::from_millis(rebalance),
                        },
                    ),
                    group(
                        "shared",
                        GroupKind::Shared {
                            lock: LOCK,
                            delivery_limit,
                            window,
                        },
                    ),
                ],
                observe: true,
                ..Default::default()
            };
            // The stream by the exchange, the key as it comes.
            for stream in 0..STREAMS {
                support::exchange(&mut config, ExchangeKind::Fanout, &[(stream, "", 1)]);
            }
            config
        },
    )
}

/// A record's place: the stream and the offset.
type Place = (u32, u64);
/// A delivery: the connection and the tag.
type Delivery = (u32, u64);

#[derive(Default)]
struct Account {
    visible: BTreeSet<Place>,
    end: BTreeMap<u32, u64>,
    groups: [Group; 2],
    /// Unsettled deliveries of each connection: the consumer, and what.
    unsettled: BTreeMap<Delivery, (u32, Place)>,
    /// Prefetch of each consumer.
    consumers: BTreeMap<(u32, u32), u32>,
    lone: BTreeMap<u32, Place>,
}

#[derive(Default)]
struct Group {
    members: BTreeSet<u32>,
    generation: u32,
    pending: bool,
    /// Who reads what, in the partitioned group.
    readers: BTreeMap<u32, u32>,
    /// Where reading goes on, of streams that the group has begun to read.
    next: BTreeMap<u32, u64>,
    start: BTreeMap<u32, u64>,
    holders: BTreeMap<Place, (Delivery, Time)>,
    done: BTreeMap<Place, bool>,
    available: BTreeSet<Place>,
    deliveries: BTreeMap<Place, u32>,
    /// Told to be settled.
    told: BTreeSet<Place>,
    logged: BTreeMap<u32, u64>,
    recovered_end: BTreeMap<u32, u64>,
}

impl Group {
    /// Everything before it is done, or gone and not held.
    fn prefix(&self, stream: u32, visible: &BTreeSet<Place>) -> u64 {
        let (Some(start), Some(next)) = (self.start.get(&stream), self.next.get(&stream)) else {
            return 0;
        };
        let open = |offset: &u64| {
            let place = (stream, *offset);
            !self.done.contains_key(&place)
                && (visible.contains(&place) || self.holders.contains_key(&place))
        };
        (*start..*next).find(open).unwrap_or(*next)
    }

    /// Reading goes on where everything before it is done.
    fn rewind(&mut self, stream: u32, visible: &BTreeSet<Place>) {
        let prefix = self.prefix(stream, visible);
        let keep = |place: &Place| place.0 != stream || place.1 < prefix;
        self.holders.retain(|place, _| keep(place));
        self.done.retain(|place, _| keep(place));
        self.available.retain(keep);
        if self.next.contains_key(&stream) {
            self.next.insert(stream, prefix);
        }
    }

    fn release(&mut self, place: Place, limit: u32, visible: &BTreeSet<Place>) {
        self.holders.remove(&place);
        if limit > 0 && self.deliveries[&place] >= limit {
            self.done.insert(place, false);
        } else if visible.contains(&place) {
            self.available.insert(place);
        }
    }

    /// The record that comes next.
    fn upcoming(&self, stream: u32, visible: &BTreeSet<Place>) -> Option<Place> {
        let all = (stream, 0)..(stream + 1, 0);
        let available = self.available.range(all).next().copied();
        let next = *self.next.get(&stream)?;
        available.or_else(|| {
            visible
                .range((stream, next)..(stream + 1, 0))
                .next()
                .copied()
        })
    }
}

struct World {
    rig: Rig,
    account: Account,
    tag: u64,
}

impl World {
    fn new(config: BrokerConfig) -> World {
        World {
            rig: Rig::new(config),
            account: Account::default(),
            tag: 0,
        }
    }

    fn limit(&self, group: usize) -> u32 {
        match self.rig.config.groups[group].kind {
            GroupKind::Shared { delivery_limit, .. } => delivery_limit,
            GroupKind::Partitioned { .. } => 0,
        }
    }

    fn durability(&self, stream: u32) -> Durability {
        self.rig.config.queues[stream as usize].durability
    }

    fn channel(connection: u32) -> ChannelId {
        ChannelId {
            connection: ConnectionId(connection),
            number: 1,
        }
    }

    fn client(&mut self, connection: u32, request: Request) {
        let channel = World::channel(connection);
        let out = self.rig.handle(Input::Client { channel, request });
        self.watch(&out);
    }

    fn open_all(&mut self) {
        for connection in 0..4 {
            self.open(connection);
        }
    }

    fn open(&mut self, connection: u32) {
        let connection = ConnectionId(connection);
        let window = u64::MAX;
        let out = self.rig.handle(Input::Opened { connection, window });
        self.watch(&out);
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Publish { stream, key } => {
                self.tag += 1;
                let message = Message {
                    tag: self.tag,
                    exchange: ExchangeId(stream),
                    persistent: true,
                    routing_key: Bytes::from(key.to_string()),
                    body: Bytes::from_static(b"x"),
                    properties: None,
                };
                let request = Request::Publish {
                    exchange: ExchangeId(stream),
                    mandatory: false,
                    message,
                };
                self.client(3, request);
            }
            Step::Join {
                connection,
                group,
                prefetch,
            } => {
                if self
                    .account
                    .consumers
                    .insert((connection, group), prefetch)
                    .is_some()
                {
                    self.account.consumers.insert((connection, group), prefetch);
                    return self.rejoin(connection, group);
                }
                self.join(connection, group, prefetch);
            }
            Step::Read {
                connection,
                stream,
                from,
                prefetch,
            } => {
                if self.account.consumers.contains_key(&(connection, ALONE)) {
                    return;
                }
                self.account.consumers.insert((connection, ALONE), prefetch);
                self.account.lone.insert(connection, (stream, from));
                let request = Consume {
                    prefetch,
                    from: Offset::At(from),
                    ..Consume::new(QueueId(stream), ConsumerId(ALONE))
                };
                self.client(connection, Request::Consume(Box::new(request)));
            }
            Step::Cancel {
                connection,
                consumer,
            } => {
                self.leave(connection, consumer);
                let consumer = ConsumerId(consumer);
                self.client(connection, Request::Cancel { consumer });
            }
            Step::Close { connection } => {
                self.close(connection);
                self.open(connection);
            }
            Step::Settle {
                connection,
                pick,
                multiple,
                how,
            } => {
                self.settle(connection, pick, multiple, how);
            }
            Step::Renew { connection, pick } => {
                let Some((_, delivery)) = self.pick(connection, pick) else {
                    return;
                };
                let until = self.rig.now + LOCK;
                for (holder, lock) in self.account.groups[1].holders.values_mut() {
                    if *holder == (connection, delivery) {
                        *lock = until;
                    }
                }
                self.client(connection, Request::Renew { delivery });
            }
            Step::Wait { millis } => {
                let until = self.rig.now + Span::from_millis(millis);
                while self.rig.now < until {
                    let deadline = self.rig.broker.deadline();
                    let next = deadline.map_or(until, |deadline| deadline.min(until));
                    let out = self.rig.wait_until(next);
                    self.watch(&out);
                }
            }
            Step::Log { written, synced } => {
                let written = LogPosition((self.rig.written.0 + written).min(self.rig.last.0));
                let synced = LogPosition((self.rig.synced.0 + synced).min(written.0));
                let out = self.rig.progress(written, synced);
                self.watch(&out);
            }
            Step::Flush => {
                let out = self.rig.flush();
                self.watch(&out);
            }
            Step::Crash => self.restart(Durability::Os),
            Step::PowerLoss => self.restart(Durability::Fsync),
        }
        self.at_rest();
    }

    fn join(&mut self, connection: u32, group: u32, prefetch: u32) {
        let visible = &self.account.visible;
        let state = &mut self.account.groups[group as usize];
        state.members.insert(connection);
        state.pending = group == PARTITIONED.0;
        if group == SHARED.0 {
            state.begin(visible, &self.account.end);
        }
        let request = Request::Join {
            group: GroupId(group),
            consumer: ConsumerId(group),
            prefetch,
        };
        self.client(connection, request);
    }

    /// Who joins twice loses the channel.
    fn rejoin(&mut self, connection: u32, group: u32) {
        self.forget(connection);
        let request = Request::Join {
            group: GroupId(group),
            consumer: ConsumerId(group),
            prefetch: 0,
        };
        self.client(connection, request);
        self.at_rest();
    }

    fn close(&mut self, connection: u32) {
        self.forget(connection);
        let connection = ConnectionId(connection);
        let out = self.rig.handle(Input::Closed { connection });
        self.watch(&out);
    }

    fn forget(&mut self, connection: u32) {
        for consumer in 0..3 {
            self.leave(connection, consumer);
        }
        self.account
            .unsettled
            .retain(|delivery, _| delivery.0 != connection);
    }

    fn leave(&mut self, connection: u32, consumer: u32) {
        if self
            .account
            .consumers
            .remove(&(connection, consumer))
            .is_none()
        {
            return;
        }
        for (delivery, (owner, _)) in &mut self.account.unsettled {
            if delivery.0 == connection && *owner == consumer {
                *owner = NOBODY;
            }
        }
        self.account
            .lone
            .retain(|reader, _| consumer != ALONE || *reader != connection);
        let limit = if consumer < 2 {
            self.limit(consumer as usize)
        } else {
            0
        };
        let Some(state) = self.account.groups.get_mut(consumer as usize) else {
            return;
        };
        state.members.remove(&connection);
        if consumer == SHARED.0 {
            let held = state
                .holders
                .iter()
                .filter(|(_, (holder, _))| holder.0 == connection);
            let held: Vec<Place> = held.map(|(place, _)| *place).collect();
            for place in held {
                state.release(place, limit, &self.account.visible);
            }
        } else {
            state.pending = true;
            for stream in 0..STREAMS {
                if state.readers.get(&stream) == Some(&connection) {
                    state.readers.remove(&stream);
                    state.rewind(stream, &self.account.visible);
                }
            }
        }
    }

    fn pick(&self, connection: u32, pick: usize) -> Option<Delivery> {
        let mine = self
            .account
            .unsettled
            .range((connection, 0)..(connection + 1, 0));
        let mine: Vec<Delivery> = mine.map(|(delivery, _)| *delivery).collect();
        mine.get(pick % mine.len().max(1)).copied()
    }

    fn settle(&mut self, connection: u32, pick: usize, multiple: bool, how: Option<bool>) {
        let Some((_, delivery)) = self.pick(connection, pick) else {
            return;
        };
        let first = if multiple { 0 } else { delivery };
        let named = self
            .account
            .unsettled
            .range((connection, first)..=(connection, delivery));
        let named: Vec<Delivery> = named.map(|(delivery, _)| *delivery).collect();
        for delivery in named {
            let (consumer, place) = self.account.unsettled.remove(&delivery).unwrap();
            if consumer == ALONE || consumer == NOBODY {
                continue;
            }
            let limit = self.limit(consumer as usize);
            let state = &mut self.account.groups[consumer as usize];
            if state.holders.get(&place).map(|(holder, _)| *holder) != Some(delivery) {
                continue;
            }
            match how {
                Some(true) => state.release(place, limit, &self.account.visible),
                _ => {
                    state.holders.remove(&place);
                    state.done.insert(place, how.is_none());
                }
            }
        }
        let request = match how {
            None => Request::Ack { delivery, multiple },
            Some(requeue) => Request::Nack {
                delivery,
                multiple,
                requeue,
            },
        };
        self.client(connection, request);
    }

    /// What came out has to be what the account allows.
    fn watch(&mut self, out: &[Output]) {
        for output in out {
            match output {
                Output::Client { channel, response } => {
                    self.response(channel.connection.0, response)
                }
                Output::Observe(event) => self.event(*event),
                Output::Persist { entry, .. } => entry
                    .commands()
                    .iter()
                    .for_each(|command| self.command(command)),
                _ => {}
            }
        }
    }

    fn command(&mut self, command: &Command) {
        if let Command::Advance { copy, group } = command {
            let (stream, offset) = (copy.queue.0, copy.offset());
            let state = &mut self.account.groups[group.index()];
            if state.next.contains_key(&stream) {
                assert!(
                    offset <= state.prefix(stream, &self.account.visible),
                    "committed beyond a gap"
                );
            }
            let before = state.logged.insert(stream, offset);
            assert!(before <= Some(offset), "a committed offset never goes back");
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Enqueued { copy, .. } => {
                let end = self.account.end.entry(copy.queue.0).or_default();
                assert_eq!(*end, copy.offset(), "offsets are dense");
                *end += 1;
                self.account.visible.insert((copy.queue.0, copy.offset()));
            }
            Event::Removed { copy, reason, .. } => {
                assert_eq!(reason, Removal::Retired);
                let place = (copy.queue.0, copy.offset());
                assert!(self.account.visible.remove(&place), "what leaves was there");
                for group in &mut self.account.groups {
                    group.available.remove(&place);
                }
            }
            Event::LeaseExpired { copy } => {
                let (place, limit) = ((copy.queue.0, copy.offset()), self.limit(1));
                let (_, until) = self.account.groups[1].holders[&place];
                assert!(until <= self.rig.now);
                self.account.groups[1].release(place, limit, &self.account.visible);
            }
            Event::StreamSettled {
                copy, group, acked, ..
            } => {
                let place = (copy.queue.0, copy.offset());
                let state = &mut self.account.groups[group.index()];
                assert_eq!(state.done.get(&place), Some(&acked));
                assert!(state.told.insert(place), "a record is settled once");
                assert!(place.1 < state.prefix(place.0, &self.account.visible));
            }
            Event::Rebalanced {
                group,
                generation,
                members,
            } => {
                let state = &mut self.account.groups[group.index()];
                assert_eq!(generation, state.generation + 1);
                assert_eq!(members as usize, state.members.len());
                state.generation = generation;
                state.pending = false;
                state.begin(&self.account.visible, &self.account.end);
            }
            _ => {}
        }
    }

    fn response(&mut self, connection: u32, response: &Response) {
        match response {
            Response::Assigned {
                consumer, streams, ..
            } if consumer.0 == PARTITIONED.0 => {
                let state = &mut self.account.groups[0];
                for stream in streams.iter().map(|stream| stream.0) {
                    if state.readers.insert(stream, connection) != Some(connection) {
                        state.rewind(stream, &self.account.visible);
                    }
                }
            }
            Response::Deliver {
                consumer,
                delivery,
                redelivered,
                copy,
                ..
            } => {
                let place = (copy.queue.0, copy.offset());
                self.delivered(connection, consumer.0, *delivery, place, *redelivered);
            }
            _ => {}
        }
    }

    fn delivered(
        &mut self,
        connection: u32,
        consumer: u32,
        delivery: u64,
        place: Place,
        redelivered: bool,
    ) {
        let (now, limit) = (
            self.rig.now,
            if consumer < 2 {
                self.limit(consumer as usize)
            } else {
                0
            },
        );
        let account = &mut self.account;
        assert!(
            account.visible.contains(&place),
            "only committed records are read"
        );
        account
            .unsettled
            .insert((connection, delivery), (consumer, place));
        let Some(state) = account.groups.get_mut(consumer as usize) else {
            let next = account.lone[&connection];
            assert_eq!(account.visible.range(next..).next(), Some(&place));
            account.lone.insert(connection, (place.0, place.1 + 1));
            return;
        };
        assert!(state.members.contains(&connection));
        assert!(!state.pending, "nobody reads before the rebalance");
        if consumer == PARTITIONED.0 {
            assert_eq!(
                state.readers.get(&place.0),
                Some(&connection),
                "a stream has one reader"
            );
        }
        assert_eq!(
            state.upcoming(place.0, &account.visible),
            Some(place),
            "in order, none skipped"
        );
        assert!(!state.done.contains_key(&place), "not settled");
        state.available.remove(&place);
        let next = state.next.entry(place.0).or_default();
        *next = (*next).max(place.1 + 1);
        let before = state
            .holders
            .insert(place, ((connection, delivery), now + LOCK));
        assert!(before.is_none(), "one holder at a time");
        let count = state.deliveries.entry(place).or_default();
        let recovered = place.1 < state.recovered_end.get(&place.0).copied().unwrap_or(0);
        assert_eq!(redelivered, *count > 0 || recovered);
        *count += 1;
        assert!(
            limit == 0 || *count <= limit,
            "no more deliveries than the limit"
        );
    }

    fn has_credit(&self, connection: u32, consumer: u32) -> bool {
        let prefetch = self.account.consumers[&(connection, consumer)];
        let mine = self
            .account
            .unsettled
            .range((connection, 0)..(connection + 1, 0));
        let held = mine.filter(|(_, (other, _))| *other == consumer).count();
        assert!(
            prefetch == 0 || held <= prefetch as usize,
            "no more than the prefetch"
        );
        prefetch == 0 || held < prefetch as usize
    }

    /// Between two steps nothing is left to do.
    fn at_rest(&self) {
        let account = &self.account;
        for (connection, next) in &account.lone {
            let upcoming = account.visible.range(*next..(next.0 + 1, 0)).next();
            assert!(upcoming.is_none() || !self.has_credit(*connection, ALONE));
        }
        let partitioned = &account.groups[0];
        if !partitioned.pending {
            let readers = partitioned.readers.len();
            assert!(
                partitioned.members.is_empty() || readers == STREAMS as usize,
                "each stream has a reader"
            );
            self.balanced(partitioned);
            for (stream, reader) in &partitioned.readers {
                let upcoming = partitioned.upcoming(*stream, &account.visible);
                assert!(upcoming.is_none() || !self.has_credit(*reader, PARTITIONED.0));
            }
        }
        let shared = &account.groups[1];
        if shared
            .members
            .iter()
            .any(|member| self.has_credit(*member, SHARED.0))
        {
            for stream in 0..STREAMS {
                assert!(
                    shared
                        .available
                        .range((stream, 0)..(stream + 1, 0))
                        .next()
                        .is_none()
                );
            }
        }
        assert!(
            shared
                .holders
                .values()
                .all(|(_, until)| *until > self.rig.now)
        );
        for (at, group) in account.groups.iter().enumerate() {
            let view = self.rig.broker.group(GroupId(at as u32));
            assert_eq!(view.members as usize, group.members.len());
            assert_eq!(view.in_flight as usize, group.holders.len());
            let unread = |place: &&Place| {
                let begun = group
                    .start
                    .get(&place.0)
                    .is_none_or(|start| place.1 >= *start);
                begun && !group.done.contains_key(place)
            };
            let lag = account.visible.iter().filter(unread).count();
            let held = group
                .holders
                .keys()
                .filter(|place| !account.visible.contains(place));
            assert_eq!(view.lag as usize, lag + held.count());
        }
    }

    fn balanced(&self, group: &Group) {
        let GroupKind::Partitioned { assignment, .. } = self.rig.config.groups[0].kind else {
            return;
        };
        let count = |member| {
            group
                .readers
                .values()
                .filter(|reader| *reader == member)
                .count()
        };
        let counts: Vec<usize> = group.members.iter().map(count).collect();
        let spread = counts.iter().max().unwrap_or(&0) - counts.iter().min().unwrap_or(&0);
        assert!(spread <= 1 || assignment == Assignment::ConsistentHash);
    }

    /// What was committed at `durability` or better comes back: records, and the groups' offsets.
    fn restart(&mut self, durability: Durability) {
        let last = if durability == Durability::Os {
            self.rig.written
        } else {
            self.rig.synced
        };
        self.rig.restart(last);
        let before = std::mem::take(&mut self.account);
        let mut kept: BTreeSet<Place> = BTreeSet::new();
        let mut left: BTreeSet<Place> = BTreeSet::new();
        let account = &mut self.account;
        for command in self.rig.log.iter().flat_map(|(_, entry)| entry.commands()) {
            let (stream, offset) = (command.copy().queue.0, command.copy().offset());
            let end = account.end.entry(stream).or_default();
            match command {
                Command::Enqueue { .. } => {
                    *end = (*end).max(offset + 1);
                    kept.insert((stream, offset));
                }
                Command::Remove { .. } => drop(left.insert((stream, offset))),
                Command::Truncate { .. } => {
                    *end = (*end).max(offset);
                    left.extend((0..offset).map(|offset| (stream, offset)));
                }
                Command::Advance { group, .. } => {
                    let state = &mut account.groups[group.index()];
                    for place in [&mut state.next, &mut state.start, &mut state.logged] {
                        place.insert(stream, offset);
                    }
                }
                _ => {}
            }
        }
        kept.retain(|place| !left.contains(place));
        for group in &mut account.groups {
            group.recovered_end = account.end.clone();
        }
        for place in before.visible {
            let promised = self.rig.config.queues[place.0 as usize].durability >= durability;
            assert!(
                !promised || kept.contains(&place) || left.contains(&place),
                "{place:?} was committed"
            );
        }
        for (at, group) in before.groups.iter().enumerate() {
            for place in group
                .told
                .iter()
                .filter(|place| self.durability(place.0) >= durability)
            {
                let committed = self.account.groups[at].next.get(&place.0);
                assert!(
                    committed > Some(&place.1),
                    "the group's offset was committed"
                );
            }
        }
        self.account.visible = kept.clone();
        let out = self.rig.flush();
        let mut found: BTreeSet<Place> = BTreeSet::new();
        for output in &out {
            if let Output::Observe(Event::Recovered { copy, .. }) = output {
                found.insert((copy.queue.0, copy.offset()));
            }
        }
        assert_eq!(found, kept, "what the log holds comes back");
        self.watch(&out);
        self.open_all();
    }
}

impl Group {
    /// Begins to read streams that it has no place in.
    fn begin(&mut self, visible: &BTreeSet<Place>, end: &BTreeMap<u32, u64>) {
        for stream in 0..STREAMS {
            let first = visible.range((stream, 0)..(stream + 1, 0)).next();
            let end = end.get(&stream).copied().unwrap_or(0);
            let first = first.map_or(end, |place| place.1);
            self.next.entry(stream).or_insert(first);
            self.start.entry(stream).or_insert(first);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::with_cases(support::cases(500))
    })]

    /// Rows 33 to 36.
    #[test]
    fn streams_and_groups_keep_their_promises(
        config in configs(),
        steps in prop::collection::vec(steps(), 0..300),
    ) {
        let mut world = World::new(config);
        world.open_all();
        for step in steps {
            world.step(step);
        }
        // Once the disk has everything, all that is settled without a gap is told.
        for _ in 0..3 {
            let last = world.rig.last;
            let out = world.rig.progress(last, last);
            world.watch(&out);
        }
        world.at_rest();
        for group in &world.account.groups {
            for place in group.done.keys() {
                let before = place.1 < group.prefix(place.0, &world.account.visible);
                prop_assert_eq!(before, group.told.contains(place));
            }
        }
    }
}
