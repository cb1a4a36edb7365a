//! Random operations on the broker and on a naive one that predicts what it does.

mod support;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};
use queuelab_core::*;
use support::Rig;
use support::model::Model;
use support::tally::Tally;
use support::topology::{EXCHANGES, KEYS, bindings, topologies};

#[derive(Clone, Debug)]
enum Step {
    Open {
        connection: u32,
        window: u64,
    },
    Close {
        connection: u32,
    },
    Writable {
        connection: u32,
        bytes: u64,
    },
    ConfirmSelect(ChannelId),
    Publish {
        channel: ChannelId,
        target: usize,
        key: &'static str,
        size: usize,
        persistent: bool,
        mandatory: bool,
        group: Option<usize>,
        shape: usize,
        asks: bool,
        times: Box<Properties>,
    },
    Consume {
        channel: ChannelId,
        queue: u32,
        consumer: u32,
        prefetch: u32,
        no_ack: bool,
        priority: i32,
        exclusive: bool,
        selector: Option<usize>,
    },
    Get {
        channel: ChannelId,
        queue: u32,
        no_ack: bool,
    },
    Limit {
        channel: ChannelId,
        limit: u32,
    },
    ConsumeReplies {
        channel: ChannelId,
        consumer: u32,
        no_ack: bool,
    },
    /// Answers to some channel.
    Answer {
        channel: ChannelId,
        pick: usize,
    },
    TransactionSelect(ChannelId),
    Commit(ChannelId),
    Rollback(ChannelId),
    Cancel {
        channel: ChannelId,
        consumer: u32,
    },
    /// Settles one of the outstanding deliveries, or now and then something else.
    Settle {
        channel: ChannelId,
        pick: usize,
        multiple: bool,
        requeue: Option<bool>,
    },
    /// The log gets on by so many entries.
    Log {
        written: u64,
        synced: u64,
    },
    /// Time passes, and perhaps the broker is told by a tick.
    Pass {
        nanos: u64,
        tick: bool,
    },
    /// The wall clock steps.
    Clock(u64),
    Renew {
        channel: ChannelId,
        pick: usize,
    },
    Declare {
        channel: ChannelId,
        queue: u32,
    },
    Purge {
        channel: ChannelId,
        queue: u32,
    },
    Delete {
        channel: ChannelId,
        queue: u32,
    },
    Bind {
        channel: ChannelId,
        binding: Binding,
        add: bool,
    },
    /// So much of the disk is free.
    Disk {
        free: u64,
    },
    Flush,
    Crash,
    PowerLoss,
}

const QUEUES: usize = 4;
const GROUPS: [&str; 3] = ["g", "h", "i"];
const SELECTORS: [&str; 3] = ["shape = 1", "shape > 1", "shape IS NULL OR shape < 3"];
const NAMES: [&str; QUEUES + 1] = ["a", "b", "c", "d", "nowhere"];

fn channels() -> impl Strategy<Value = ChannelId> {
    (0..3u32, 1..3u16).prop_map(|(connection, number)| ChannelId {
        connection: ConnectionId(connection),
        number,
    })
}

/// The second channels: the first ones confirm.
fn transactional() -> impl Strategy<Value = ChannelId> {
    (channels(), prop::bool::weighted(0.02)).prop_map(|(channel, any)| ChannelId {
        number: if any { channel.number } else { 2 },
        ..channel
    })
}

fn steps() -> impl Strategy<Value = Step> {
    let window = prop_oneof![3 => Just(u64::MAX), 1 => 0..300u64];
    let steps = prop_oneof![
        1 => (0..3u32, window).prop_map(|(connection, window)| Step::Open { connection, window }),
        1 => (0..3u32).prop_map(|connection| Step::Close { connection }),
        4 => (0..3u32, 0..300u64).prop_map(|(connection, bytes)| Step::Writable { connection, bytes }),
        2 => channels().prop_map(Step::ConfirmSelect),
        2 => transactional().prop_map(Step::TransactionSelect),
        12 => transactional().prop_map(Step::Commit),
        1 => transactional().prop_map(Step::Rollback),
        30 => publishes(),
        8 => consumes(),
        3 => (channels(), 0..QUEUES as u32, any::<bool>()).prop_map(
            |(channel, queue, no_ack)| Step::Get { channel, queue, no_ack }
        ),
        3 => (channels(), 0..4u32).prop_map(|(channel, limit)| Step::Limit { channel, limit }),
        1 => (channels(), 0..3u32, prop::bool::weighted(0.9)).prop_map(
            |(channel, consumer, no_ack)| Step::ConsumeReplies { channel, consumer, no_ack }
        ),
        2 => (channels(), 0..9usize).prop_map(|(channel, pick)| Step::Answer { channel, pick }),
        2 => (channels(), 0..3u32).prop_map(|(channel, consumer)| Step::Cancel { channel, consumer }),
        30 => (channels(), 0..40usize, prop::bool::weighted(0.3), any::<Option<bool>>()).prop_map(
            |(channel, pick, multiple, requeue)| Step::Settle { channel, pick, multiple, requeue }
        ),
        10 => (0..6u64, 0..6u64).prop_map(|(written, synced)| Step::Log { written, synced }),
        15 => (0..8u64, any::<bool>()).prop_map(|(nanos, tick)| Step::Pass { nanos, tick }),
        1 => (0..400u64).prop_map(Step::Clock),
        4 => (channels(), 0..40usize).prop_map(|(channel, pick)| Step::Renew { channel, pick }),
        8 => (channels(), queues()).prop_map(|(channel, queue)| Step::Declare { channel, queue }),
        1 => (channels(), queues()).prop_map(|(channel, queue)| Step::Purge { channel, queue }),
        1 => (channels(), queues()).prop_map(|(channel, queue)| Step::Delete { channel, queue }),
        2 => (0..20u64).prop_map(|free| Step::Disk { free }),
        1 => (channels(), bindings(), any::<bool>()).prop_map(
            |(channel, binding, add)| Step::Bind { channel, binding, add }
        ),
        10 => Just(Step::Flush),
    ];
    prop_oneof![
        1 => Just(Step::Crash),
        1 => Just(Step::PowerLoss),
        300 => steps,
    ]
}

fn publishes() -> impl Strategy<Value = Step> {
    let group = prop::option::weighted(0.5, 0..GROUPS.len());
    let key = prop::sample::select(KEYS.to_vec());
    let target = prop_oneof![2 => 0..=QUEUES, 1 => QUEUES + 1..QUEUES + 1 + EXCHANGES];
    let target = (target, key);
    (
        channels(),
        target,
        0..9usize,
        prop::bool::weighted(0.8),
        any::<bool>(),
        (group, 0..4usize, prop::bool::weighted(0.01)),
        times(),
    )
        .prop_map(
            |(channel, (target, key), size, persistent, mandatory, (group, shape, asks), times)| {
                Step::Publish {
                    channel,
                    target,
                    key,
                    size,
                    persistent,
                    mandatory,
                    group,
                    shape,
                    asks,
                    times: Box::new(times),
                }
            },
        )
}

fn consumes() -> impl Strategy<Value = Step> {
    let selector = prop::option::weighted(0.2, 0..SELECTORS.len());
    (
        channels(),
        0..QUEUES as u32,
        0..3u32,
        0..4u32,
        prop::bool::weighted(0.2),
        (0..3i32, prop::bool::weighted(0.05), selector),
    )
        .prop_map(
            |(channel, queue, consumer, prefetch, no_ack, (priority, exclusive, selector))| {
                Step::Consume {
                    channel,
                    queue,
                    consumer,
                    prefetch,
                    no_ack,
                    priority,
                    exclusive,
                    selector,
                }
            },
        )
}

/// A queue, or now and then one that there is not.
fn queues() -> impl Strategy<Value = u32> {
    prop_oneof![19 => 0..QUEUES as u32, 1 => Just(QUEUES as u32)]
}

/// What a message says about time and order.
fn times() -> impl Strategy<Value = Properties> {
    let spans = || prop::option::weighted(0.3, (0..12u64).prop_map(Span));
    let properties = (0..5u8, spans(), spans()).prop_map(|(priority, ttl, delay)| Properties {
        priority,
        ttl,
        delay,
        ..Properties::default()
    });
    let properties = prop_oneof![Just(Properties::default()), properties];
    (properties, identities()).prop_map(|(properties, (id, producer))| Properties {
        id,
        producer,
        ..properties
    })
}

/// An id, and a place in a producer's output: a sequence of 2 stands for the next one.
fn identities() -> impl Strategy<Value = (Option<Bytes>, Option<ProducerSequence>)> {
    let id = prop::sample::select(vec!["a", "b", "c", "d", "e"]);
    let id = id.prop_map(|id| Bytes::from_static(id.as_bytes()));
    let sequence = prop_oneof![6 => Just(2), 1 => Just(0), 2 => Just(1), 1 => Just(3)];
    let epoch = prop_oneof![6 => Just(0), 2 => Just(1), 1 => Just(2)];
    let producer = (0..2u64, epoch, sequence).prop_map(|(id, epoch, sequence)| ProducerSequence {
        id,
        epoch,
        sequence,
    });
    (
        prop::option::weighted(0.3, id),
        prop::option::weighted(0.2, producer),
    )
}

/// What a queue may do with time and order; half of all queues do nothing of it.
fn time_policies() -> impl Strategy<Value = QueuePolicy> {
    let maybe = |most: u64| prop::option::weighted(0.3, (0..most).prop_map(Span));
    let growth = prop::sample::select(vec![Growth::Fixed, Growth::Linear, Growth::Exponential]);
    let retry_delay = (0..8u64, 0..20u64, growth).prop_map(|(base, max, growth)| RetryDelay {
        base: Span(base),
        max: Span(max),
        growth,
        jitter: 0.0,
    });
    let ack_timeout = (0..15u64, any::<bool>()).prop_map(|(after, closes_channel)| AckTimeout {
        after: Span(after),
        closes_channel,
    });
    let requeue = prop::sample::select(vec![Requeue::Original, Requeue::Head, Requeue::Tail]);
    let policy = (
        prop_oneof![2 => Just(0), 1 => 1..4u8],
        maybe(15),
        maybe(60),
        prop::option::weighted(0.4, 0..3u32),
        prop::option::weighted(0.4, retry_delay),
        requeue,
        prop::option::weighted(0.4, ack_timeout),
        any::<bool>(),
    )
        .prop_map(
            |(
                max_priority,
                ttl,
                expires,
                delivery_limit,
                retry_delay,
                requeue,
                ack_timeout,
                dead_letter_at_least_once,
            )| QueuePolicy {
                max_priority,
                ttl,
                expires,
                delivery_limit,
                retry_delay,
                requeue,
                ack_timeout,
                dead_letter_at_least_once,
                ..QueuePolicy::default()
            },
        );
    prop_oneof![Just(QueuePolicy::default()), policy]
}

fn queue_options() -> impl Strategy<Value = QueueConfig> {
    let durability = prop::sample::select(vec![
        Durability::None,
        Durability::Os,
        Durability::Interval(Span(20)),
        Durability::Fsync,
    ]);
    let overflow = prop::sample::select(vec![
        Overflow::DropHead,
        Overflow::RejectPublish,
        Overflow::DeadLetter,
        Overflow::Block,
    ]);
    let dispatch = prop::sample::select(vec![
        Dispatch::RoundRobin,
        Dispatch::LeastConnections,
        Dispatch::PowerOf(2),
    ]);
    let to_queue = prop::sample::select(NAMES.to_vec()).prop_map(|name| DeadLetter {
        exchange: ExchangeId::DEFAULT,
        routing_key: Some(Bytes::from_static(name.as_bytes())),
    });
    let to_exchange = Just(DeadLetter {
        exchange: ExchangeId(0),
        routing_key: None,
    });
    let dead_letter = prop::option::weighted(0.7, prop_oneof![4 => to_queue, 1 => to_exchange]);
    let max_length = prop::option::weighted(0.6, 0..4u64);
    let max_bytes = prop::option::weighted(0.2, 5..20u64);
    let policy = policies();
    (
        durability,
        overflow,
        dispatch,
        dead_letter,
        max_length,
        max_bytes,
        policy,
    )
        .prop_map(
            |(durability, overflow, dispatch, dead_letter, max_length, max_bytes, policy)| {
                QueueConfig {
                    name: Bytes::new(),
                    durability,
                    max_length,
                    max_bytes,
                    overflow,
                    dead_letter,
                    dispatch,
                    policy,
                }
            },
        )
}

fn policies() -> impl Strategy<Value = QueuePolicy> {
    let window = (1..60u64, 0..4u32).prop_map(|(window, capacity)| Deduplicate {
        window: Span(window),
        capacity,
    });
    let deduplicate = prop::option::weighted(0.3, window);
    let flag = || prop::bool::weighted(0.2);
    (flag(), flag(), deduplicate, time_policies()).prop_map(
        |(single_active, groups, deduplicate, times)| QueuePolicy {
            single_active,
            groups,
            deduplicate,
            ..times
        },
    )
}

fn configs() -> impl Strategy<Value = BrokerConfig> {
    let all = (prop::bool::weighted(0.3), prop::bool::weighted(0.3));
    let queues = prop::collection::vec(queue_options(), QUEUES);
    (queues, all, topologies(), limits()).prop_map(
        |(mut queues, (all_block, all_group), (exchanges, bindings), limits)| {
            for (queue, name) in queues.iter_mut().zip(NAMES) {
                queue.policy.groups |= all_group;
                if all_block {
                    queue.overflow = Overflow::Block;
                }
                queue.name = Bytes::from_static(name.as_bytes());
                // A dead letter that has to be read is a transaction of its own: `tests/bodies.rs` has those.
                if limits.bodies.is_some() {
                    queue.dead_letter = None;
                }
            }
            BrokerConfig {
                exchanges,
                queues,
                bindings,
                limits,
                observe: true,
                ..Default::default()
            }
        },
    )
}

fn limits() -> impl Strategy<Value = Limits> {
    let memory = prop::option::weighted(0.2, 10..60u64);
    let disk_free = prop::option::weighted(0.2, Just(5u64));
    let publish_credit = prop::option::weighted(0.3, 1..5u32);
    let bodies = prop::option::weighted(0.3, 0..40u64);
    (memory, disk_free, publish_credit, bodies).prop_map(
        |(memory, disk_free, publish_credit, bodies)| Limits {
            // What is in memory is not predicted, nor whether an alarm comes before or after what is read.
            memory: memory.filter(|_| bodies.is_none()),
            disk_free: disk_free.filter(|_| bodies.is_none()),
            publish_credit,
            bodies,
        },
    )
}

fn run(config: BrokerConfig, steps: Vec<Step>) -> Tally {
    let mut model = Model::new(config.clone());
    let mut rig = Rig::new(config);
    open_all(&mut rig, &mut model);
    // Of each producer's epoch, by target.
    let mut sequences = BTreeMap::new();
    for (tag, step) in (0..).zip(steps) {
        let input = match step {
            Step::Open { connection, window } => {
                if !model.is_open(ConnectionId(connection)) {
                    open(&mut rig, &mut model, connection, window);
                }
                continue;
            }
            Step::Close { connection } => Input::Closed {
                connection: ConnectionId(connection),
            },
            Step::Writable { connection, bytes } => Input::Writable {
                connection: ConnectionId(connection),
                bytes,
            },
            Step::ConfirmSelect(channel) => Input::Client {
                channel,
                request: Request::ConfirmSelect,
            },
            Step::Publish {
                channel,
                target,
                key,
                size,
                persistent,
                mandatory,
                group,
                shape,
                asks,
                times,
            } => {
                let (exchange, key) = match NAMES.get(target) {
                    Some(name) => (ExchangeId::DEFAULT, *name),
                    None => (ExchangeId((target - NAMES.len()) as u32), key),
                };
                let mut times = *times;
                if let Some(place) = &mut times.producer {
                    let next: &mut u64 = sequences
                        .entry((place.id, place.epoch, target))
                        .or_default();
                    let nth = *next + place.sequence;
                    *next += u64::from(place.sequence == 2);
                    place.sequence = nth.saturating_sub(2);
                }
                let message = Message {
                    tag,
                    exchange,
                    persistent,
                    routing_key: Bytes::from_static(key.as_bytes()),
                    body: Bytes::from_static(&[0; 9][..size]),
                    properties: properties(group, shape, asks, times),
                };
                Input::Client {
                    channel,
                    request: Request::Publish {
                        exchange,
                        mandatory,
                        message,
                    },
                }
            }
            Step::Consume {
                channel,
                queue,
                consumer,
                prefetch,
                no_ack,
                priority,
                exclusive,
                selector,
            } => {
                let consumer = ConsumerId(consumer);
                let parse = |at: usize| Arc::new(Selector::parse(SELECTORS[at]).unwrap());
                let request = Request::Consume(Box::new(Consume {
                    prefetch,
                    no_ack,
                    priority,
                    exclusive,
                    selector: selector.map(parse),
                    ..Consume::new(QueueId(queue), consumer)
                }));
                Input::Client { channel, request }
            }
            Step::Get {
                channel,
                queue,
                no_ack,
            } => {
                // A get that waits for a body is answered after what is read behind it: `tests/bodies.rs` has those, too.
                if rig.config.limits.bodies.is_some() {
                    continue;
                }
                let queue = QueueId(queue);
                let request = Request::Get { queue, no_ack };
                Input::Client { channel, request }
            }
            Step::Limit { channel, limit } => {
                let request = Request::ChannelPrefetch { limit };
                Input::Client { channel, request }
            }
            Step::ConsumeReplies {
                channel,
                consumer,
                no_ack,
            } => {
                let request = Request::Consume(Box::new(Consume {
                    no_ack,
                    ..Consume::new(QueueId::REPLY_TO, ConsumerId(consumer))
                }));
                Input::Client { channel, request }
            }
            Step::Answer { channel, pick } => {
                let message = Message {
                    tag,
                    exchange: ExchangeId::DEFAULT,
                    persistent: false,
                    routing_key: model.address(pick).into(),
                    body: Bytes::from_static(&[0; 5]),
                    properties: None,
                };
                let request = Request::Publish {
                    exchange: ExchangeId::DEFAULT,
                    mandatory: true,
                    message,
                };
                Input::Client { channel, request }
            }
            Step::TransactionSelect(channel) => Input::Client {
                channel,
                request: Request::TransactionSelect,
            },
            Step::Commit(channel) => {
                // Without a transaction it would close the channel.
                if !model.has_transaction(channel) && tag % 64 > 0 {
                    continue;
                }
                let request = Request::Commit;
                Input::Client { channel, request }
            }
            Step::Rollback(channel) => {
                if !model.has_transaction(channel) {
                    continue;
                }
                let request = Request::Rollback;
                Input::Client { channel, request }
            }
            Step::Cancel { channel, consumer } => Input::Client {
                channel,
                request: Request::Cancel {
                    consumer: ConsumerId(consumer),
                },
            },
            Step::Settle {
                channel,
                pick,
                multiple,
                requeue,
            } => {
                let unacked = model.unacked(channel);
                let delivery = match unacked.get(pick % unacked.len().max(1)) {
                    _ if pick == 0 => 0,
                    Some(delivery) => *delivery,
                    None if pick == 1 => 1,
                    None => continue,
                };
                let request = match requeue {
                    None => Request::Ack { delivery, multiple },
                    Some(requeue) => Request::Nack {
                        delivery,
                        multiple,
                        requeue,
                    },
                };
                Input::Client { channel, request }
            }
            Step::Log { written, synced } => {
                let written = LogPosition((rig.written.0 + written).min(rig.last.0));
                let synced = LogPosition((rig.synced.0 + synced).min(written.0));
                (rig.written, rig.synced) = (written, synced);
                Input::Log { written, synced }
            }
            Step::Pass { nanos, tick } => {
                rig.now += Span(nanos);
                if tick {
                    rig.tally.operations += 1;
                    let outputs = without_reads(rig.tick());
                    model.handle(rig.now, None, &outputs);
                    model.assert_same(&rig.broker);
                }
                continue;
            }
            Step::Clock(wall) => Input::Clock(WallTime(wall)),
            Step::Renew { channel, pick } => {
                let unacked = model.unacked(channel);
                let Some(delivery) = unacked.get(pick % unacked.len().max(1)).copied() else {
                    continue;
                };
                let request = Request::Renew { delivery };
                Input::Client { channel, request }
            }
            Step::Declare { channel, queue } => {
                let queue = QueueId(queue);
                let request = Request::Declare { queue };
                Input::Client { channel, request }
            }
            Step::Purge { channel, queue } => {
                let queue = QueueId(queue);
                let request = Request::Purge { queue };
                Input::Client { channel, request }
            }
            Step::Delete { channel, queue } => {
                let queue = QueueId(queue);
                let request = Request::Delete { queue };
                Input::Client { channel, request }
            }
            Step::Bind {
                channel,
                binding,
                add,
            } => {
                let binding = Box::new(binding);
                let request = match add {
                    true => Request::Bind(binding),
                    false => Request::Unbind(binding),
                };
                Input::Client { channel, request }
            }
            Step::Disk { free } => Input::Disk { free },
            Step::Flush => {
                flush(&mut rig, &mut model);
                continue;
            }
            Step::Crash => {
                restart(&mut rig, &mut model, Durability::Os);
                continue;
            }
            Step::PowerLoss => {
                restart(&mut rig, &mut model, Durability::Fsync);
                continue;
            }
        };
        drive(&mut rig, &mut model, input);
    }
    // Everything comes to rest once the disk has everything.
    let (written, synced) = (rig.last, rig.last);
    (rig.written, rig.synced) = (written, synced);
    drive(&mut rig, &mut model, Input::Log { written, synced });
    flush(&mut rig, &mut model);
    rig.tally
}

fn properties(
    group: Option<usize>,
    shape: usize,
    asks: bool,
    times: Properties,
) -> Option<Arc<Properties>> {
    let header = (Bytes::from_static(b"shape"), Value::Int(shape as i64));
    let properties = Properties {
        group: group.map(|at| Bytes::from_static(GROUPS[at].as_bytes())),
        reply_to: asks.then(Bytes::new),
        headers: if shape == 0 { vec![] } else { vec![header] },
        ..times
    };
    (properties != Properties::default()).then(|| Arc::new(properties))
}

fn open_all(rig: &mut Rig, model: &mut Model) {
    for connection in 0..3 {
        open(rig, model, connection, u64::MAX);
    }
}

/// Opens a connection whose first channel confirms.
fn open(rig: &mut Rig, model: &mut Model, connection: u32, window: u64) {
    let connection = ConnectionId(connection);
    drive(rig, model, Input::Opened { connection, window });
    let channel = ChannelId {
        connection,
        number: 1,
    };
    let request = Request::ConfirmSelect;
    drive(rig, model, Input::Client { channel, request });
}

fn drive(rig: &mut Rig, model: &mut Model, input: Input) {
    rig.tally.operations += 1;
    let outputs = without_reads(rig.handle(input.clone()));
    model.handle(rig.now, Some(input), &outputs);
    model.assert_same(&rig.broker);
}

/// The rig has answered them.
fn without_reads(mut outputs: Vec<Output>) -> Vec<Output> {
    outputs.retain(|output| !matches!(output, Output::Read { .. }));
    outputs
}

fn flush(rig: &mut Rig, model: &mut Model) {
    rig.tally.operations += 1;
    let outputs = rig.flush();
    model.flush(rig.now, &outputs);
    model.assert_same(&rig.broker);
}

/// Restarts with what the log has at `durability`. Queues that promise as much have all that was committed.
fn restart(rig: &mut Rig, model: &mut Model, durability: Durability) {
    let promised: Vec<(usize, Vec<u64>)> = (0..QUEUES)
        .filter(|queue| model.durability(*queue) >= durability)
        .map(|queue| (queue, model.committed(queue)))
        .collect();
    let last = if durability == Durability::Os {
        rig.written
    } else {
        rig.synced
    };
    let kind = ["Crash", "Power loss"][usize::from(durability == Durability::Fsync)];
    rig.tally.note_kind(kind);
    rig.tally.operations += 1;
    rig.restart(last);
    *model = Model::recovered(rig.config.clone(), &rig.log, last);
    model.starts(rig.now);
    for (queue, promised) in promised {
        let kept = model.committed(queue);
        assert!(
            promised.iter().all(|serial| kept.contains(serial)),
            "{promised:?} became {kept:?}"
        );
    }
    flush(rig, model);
    open_all(rig, model);
}

/// What has to occur, so that features are tested beside each other.
const KINDS: [&str; 67] = [
    "Activated",
    "Alarm Disk false",
    "Alarm Disk true",
    "Alarm Memory false",
    "Alarm Memory true",
    "Blocked",
    "Cancelled",
    "ChannelClosed 403 the queue is in exclusive use",
    "ChannelClosed 404 no such exchange or queue",
    "ChannelClosed 404 no such queue",
    "ChannelClosed 406 a delivery was held for too long",
    "ChannelClosed 406 replies are not acknowledged",
    "ChannelClosed 406 the channel has a reply consumer already",
    "ChannelClosed 406 the channel has confirms",
    "ChannelClosed 406 the channel has no reply consumer",
    "ChannelClosed 406 the channel has no transaction",
    "ChannelClosed 406 the channel has transactions",
    "ChannelClosed 406 unknown delivery tag",
    "ChannelClosed 530 the consumer exists already",
    "Confirm",
    "Confirm multiple",
    "Confirm refused",
    "Consuming",
    "Crash",
    "Declared",
    "Deduplicated",
    "Delayed",
    "Deliver",
    "Deliver a reply",
    "Deliver again",
    "Deliver to a get",
    "Done",
    "Due",
    "Empty",
    "Enqueued",
    "LeaseExpired",
    "Parked",
    "Persist Declare",
    "Persist Delete",
    "Persist Enqueue",
    "Persist Remove",
    "Persist Return",
    "Persist many",
    "Power loss",
    "Proposed",
    "Proposed by a move",
    "QueueDeleted",
    "Reading false",
    "Reading true",
    "Read",
    "Recovered",
    "Refused",
    "Removed Acked",
    "Removed DeadLettered(DeliveryLimit)",
    "Removed DeadLettered(Expired)",
    "Removed DeadLettered(MaxLength)",
    "Removed DeadLettered(Rejected)",
    "Removed Dropped",
    "Removed Exhausted",
    "Removed Expired",
    "Removed Purged",
    "Removed Rejected",
    "Returned",
    "Routed",
    "Sync",
    "TransactionFailed",
    "Unblocked",
];

/// `QUEUELAB_CASES` sets how many cases there are, of some 150 operations each.
#[test]
fn the_broker_does_what_the_naive_one_predicts() {
    let config = ProptestConfig {
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::with_cases(support::cases(400))
    };
    let tally = RefCell::new(Tally::default());
    let input = (configs(), prop::collection::vec(steps(), 0..300));
    let result = TestRunner::new(config).run(&input, |(config, steps)| {
        let one = run(config, steps);
        tally.borrow_mut().add(one);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    let tally = tally.into_inner();
    print(&tally);
    assert_eq!(tally.missing(&KINDS), Vec::<&str>::new(), "never occurred");
}

#[expect(clippy::print_stdout, reason = "`--nocapture` asks for the table")]
fn print(tally: &Tally) {
    println!("{tally}");
}
