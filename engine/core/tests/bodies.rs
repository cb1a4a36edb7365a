//! Bodies leave memory and come back: what clients see is the same as if they had stayed.

mod support;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};
use queuelab_core::*;
use support::{Rig, dead_letter_to};

const QUEUES: [&str; 3] = ["a", "b", "dead"];

/// The connection that publishes; consumers have one channel of another each.
const PUBLISHER: u32 = 0;
const CONSUMERS: u32 = 1;

#[derive(Clone, Debug)]
enum Step {
    Publish {
        queue: usize,
        size: usize,
        persistent: bool,
        priority: u8,
        ttl: Option<u64>,
        group: usize,
    },
    Consume {
        queue: usize,
        prefetch: u32,
        selective: bool,
    },
    Cancel(usize),
    Settle {
        queue: usize,
        pick: usize,
        how: usize,
    },
    Get(usize),
    Purge(usize),
    Pass(u64),
    Restart,
}

fn steps() -> impl Strategy<Value = Step> {
    let queues = || 0..QUEUES.len();
    let ttl = prop::option::weighted(0.1, 1..200u64);
    let publish = (
        0..2usize,
        0..60usize,
        prop::bool::weighted(0.9),
        0..3u8,
        ttl,
        0..3usize,
    );
    prop_oneof![
        60 => publish.prop_map(|(queue, size, persistent, priority, ttl, group)| Step::Publish {
            queue, size, persistent, priority, ttl, group
        }),
        6 => (queues(), 0..5u32, prop::bool::weighted(0.2)).prop_map(
            |(queue, prefetch, selective)| Step::Consume { queue, prefetch, selective }
        ),
        2 => queues().prop_map(Step::Cancel),
        30 => (queues(), 0..9usize, 0..6usize).prop_map(
            |(queue, pick, how)| Step::Settle { queue, pick, how }
        ),
        4 => queues().prop_map(Step::Get),
        1 => queues().prop_map(Step::Purge),
        8 => (0..40u64).prop_map(Step::Pass),
        1 => Just(Step::Restart),
    ]
}

fn queue_options() -> impl Strategy<Value = QueueConfig> {
    let durability = prop::sample::select(vec![
        Durability::Fsync,
        Durability::Fsync,
        Durability::Os,
        Durability::None,
    ]);
    let overflow = prop::sample::select(vec![
        Overflow::DropHead,
        Overflow::DeadLetter,
        Overflow::RejectPublish,
    ]);
    let requeue = prop::sample::select(vec![Requeue::Original, Requeue::Head, Requeue::Tail]);
    (
        durability,
        prop::option::weighted(0.3, 5..40u64),
        prop::option::weighted(0.2, 100..900u64),
        overflow,
        any::<bool>(),
        (
            prop_oneof![2 => Just(0), 1 => Just(2u8)],
            prop::bool::weighted(0.2),
        ),
        (prop::option::weighted(0.3, 0..3u32), requeue),
    )
        .prop_map(
            |(
                durability,
                max_length,
                max_bytes,
                overflow,
                dead_letters,
                (max_priority, groups),
                (delivery_limit, requeue),
            )| QueueConfig {
                durability,
                max_length,
                max_bytes,
                overflow,
                dead_letter: dead_letters.then(|| dead_letter_to("dead")).flatten(),
                policy: QueuePolicy {
                    max_priority,
                    groups,
                    delivery_limit,
                    requeue,
                    ..QueuePolicy::default()
                },
                ..QueueConfig::default()
            },
        )
}

fn configs() -> impl Strategy<Value = BrokerConfig> {
    prop::collection::vec(queue_options(), 2).prop_map(|mut queues| {
        queues.push(QueueConfig {
            durability: Durability::Fsync,
            ..QueueConfig::default()
        });
        // Of two queues that send dead letters to one, timing says whose comes first.
        queues[1].dead_letter = None;
        for (queue, name) in queues.iter_mut().zip(QUEUES) {
            queue.name = Bytes::from_static(name.as_bytes());
        }
        BrokerConfig {
            queues,
            observe: true,
            ..BrokerConfig::default()
        }
    })
}

/// A broker whose clients write down what they see.
struct World {
    rig: Rig,
    /// By channel, in order: tag, bytes, whether it may have been delivered before.
    seen: BTreeMap<ChannelId, Vec<String>>,
    /// By queue, the deliveries of its consumer that are not settled.
    unsettled: BTreeMap<usize, Vec<(ChannelId, u64)>>,
    bodies: BTreeMap<u64, Bytes>,
    removed: Vec<String>,
    most: u64,
}

impl World {
    fn new(mut config: BrokerConfig, budget: Option<u64>) -> World {
        config.limits.bodies = budget;
        let mut world = World {
            rig: Rig::new(config),
            seen: BTreeMap::new(),
            unsettled: BTreeMap::new(),
            bodies: BTreeMap::new(),
            removed: Vec::new(),
            most: 0,
        };
        world.connect();
        world
    }

    fn connect(&mut self) {
        for connection in 0..2 {
            self.input(Input::Opened {
                connection: ConnectionId(connection),
                window: u64::MAX,
            });
        }
    }

    fn input(&mut self, input: Input) {
        let out = self.rig.handle(input);
        self.look(out);
        self.settle();
    }

    fn request(&mut self, channel: ChannelId, request: Request) {
        self.input(Input::Client { channel, request });
    }

    /// The log has everything.
    fn settle(&mut self) {
        loop {
            let last = self.rig.last;
            let out = self.rig.progress(last, last);
            self.look(out);
            let out = self.rig.flush();
            self.look(out);
            if self.rig.last == last {
                break;
            }
        }
    }

    fn look(&mut self, out: Vec<Output>) {
        self.most = self.most.max(self.rig.broker.bodies().resident_bytes);
        for output in out {
            match output {
                Output::Client {
                    channel,
                    response:
                        Response::Deliver {
                            delivery,
                            redelivered,
                            copy,
                            message,
                            ..
                        },
                } => {
                    let sent = &self.bodies[&message.tag];
                    assert_eq!(&message.body, sent, "the body that was sent");
                    let seen = self.seen.entry(channel).or_default();
                    seen.push(format!("m{} {redelivered}", message.tag));
                    let unsettled = self.unsettled.entry(copy.queue.index()).or_default();
                    unsettled.push((channel, delivery));
                }
                Output::Client {
                    response: Response::Confirm { .. },
                    ..
                } => {}
                Output::Client { channel, response } => {
                    let seen = self.seen.entry(channel).or_default();
                    seen.push(format!("{response:?}"));
                }
                Output::Observe(Event::Removed { tag, reason, .. }) => {
                    self.removed.push(format!("m{tag} {reason:?}"));
                }
                _ => {}
            }
        }
    }

    fn step(&mut self, tag: u64, step: &Step) {
        let publisher = ChannelId {
            connection: ConnectionId(PUBLISHER),
            number: 1,
        };
        let consumer = |queue: usize| ChannelId {
            connection: ConnectionId(CONSUMERS),
            number: queue as u16 + 1,
        };
        match *step {
            Step::Publish {
                queue,
                size,
                persistent,
                priority,
                ttl,
                group,
            } => {
                let body = Bytes::from(vec![tag as u8; size]);
                self.bodies.insert(tag, body.clone());
                let groups = ["g", "h"];
                let properties = Properties {
                    priority,
                    ttl: ttl.map(Span),
                    group: groups
                        .get(group)
                        .map(|name| Bytes::from_static(name.as_bytes())),
                    headers: vec![(Bytes::from_static(b"shape"), Value::Int(group as i64))],
                    ..Properties::default()
                };
                let message = Message {
                    tag,
                    exchange: ExchangeId::DEFAULT,
                    persistent,
                    routing_key: Bytes::from_static(QUEUES[queue].as_bytes()),
                    body,
                    properties: Some(properties.into()),
                };
                let exchange = ExchangeId::DEFAULT;
                let mandatory = false;
                self.request(
                    publisher,
                    Request::Publish {
                        exchange,
                        mandatory,
                        message,
                    },
                );
            }
            Step::Consume {
                queue,
                prefetch,
                selective,
            } => {
                let channel = consumer(queue);
                let selector = Selector::parse("shape > 0").expect("it is one");
                let request = Consume {
                    prefetch,
                    selector: selective.then(|| selector.into()),
                    ..Consume::new(QueueId(queue as u32), ConsumerId(0))
                };
                let consumers = self.rig.broker.queue(QueueId(queue as u32)).consumers;
                if consumers == 0 {
                    self.request(channel, Request::Consume(Box::new(request)));
                }
            }
            Step::Cancel(queue) => {
                let consumer = ConsumerId(0);
                let channel = ChannelId {
                    connection: ConnectionId(CONSUMERS),
                    number: queue as u16 + 1,
                };
                self.request(channel, Request::Cancel { consumer });
            }
            Step::Settle { queue, pick, how } => {
                let unsettled = self.unsettled.entry(queue).or_default();
                if unsettled.is_empty() {
                    return;
                }
                let at = pick % unsettled.len();
                let (channel, delivery) = unsettled.remove(at);
                let multiple = false;
                let request = match how {
                    0 | 1 => Request::Nack {
                        delivery,
                        multiple,
                        requeue: how == 0,
                    },
                    _ => Request::Ack { delivery, multiple },
                };
                self.request(channel, request);
            }
            Step::Get(queue) => {
                let no_ack = false;
                let queue = QueueId(queue as u32);
                let channel = ChannelId {
                    connection: ConnectionId(CONSUMERS),
                    number: queue.0 as u16 + 11,
                };
                self.request(channel, Request::Get { queue, no_ack });
            }
            Step::Purge(queue) => {
                let queue = QueueId(queue as u32);
                self.request(publisher, Request::Purge { queue });
            }
            Step::Pass(nanos) => {
                self.rig.now += Span(nanos);
                let out = self.rig.tick();
                self.look(out);
                self.settle();
            }
            Step::Restart => {
                let last = self.rig.last;
                self.rig.restart(last);
                self.unsettled.clear();
                self.connect();
            }
        }
    }

    fn views(&self) -> Vec<QueueView> {
        let queues = (0..QUEUES.len()).map(|at| self.rig.broker.queue(QueueId(at as u32)));
        let same = queues.map(|view| QueueView {
            resident_bytes: 0,
            absent: 0,
            ..view
        });
        same.collect()
    }
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(ProptestConfig {
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(3),
        ..ProptestConfig::with_cases(support::cases(cases))
    })
}

#[test]
fn with_any_budget_clients_see_what_they_would_see_without() {
    let input = (configs(), 0..800u64, prop::collection::vec(steps(), 0..250));
    let mut read = std::cell::Cell::new(0);
    let result = runner(300).run(&input, |(config, budget, steps)| {
        let mut free = World::new(config.clone(), None);
        let mut bound = World::new(config, Some(budget));
        for (tag, step) in (0..).zip(&steps) {
            free.step(tag, step);
            bound.step(tag, step);
            prop_assert_eq!(&free.seen, &bound.seen, "after step {}: {:?}", tag, step);
            prop_assert_eq!(
                free.views(),
                bound.views(),
                "after step {}: {:?}",
                tag,
                step
            );
        }
        free.removed.sort();
        bound.removed.sort();
        prop_assert_eq!(free.removed, bound.removed);
        read.set(read.get() + bound.rig.broker.bodies().read);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    assert!(
        *read.get_mut() > 1_000,
        "only {} bodies were read",
        read.get()
    );
}

/// One durable queue of the given policy, a dead-letter queue, and room for no body at all.
fn narrow(change: impl FnOnce(&mut QueueConfig)) -> Rig {
    let mut q = QueueConfig {
        durability: Durability::Fsync,
        dead_letter: dead_letter_to("dead"),
        ..support::queue("q")
    };
    change(&mut q);
    let dead = QueueConfig {
        durability: Durability::Fsync,
        ..support::queue("dead")
    };
    let mut rig = Rig::new(BrokerConfig {
        queues: vec![q, dead],
        limits: Limits {
            bodies: Some(0),
            ..Limits::default()
        },
        observe: true,
        ..BrokerConfig::default()
    });
    rig.step("hold");
    rig
}

/// Runs steps, each with all that follows from the log's progress; the result is what clients got, and what was read.
fn play(rig: &mut Rig, script: &str) -> Vec<String> {
    let mut seen = Vec::new();
    for step in script.split(';').map(str::trim) {
        let mut out = rig.step(step);
        for _ in 0..2 {
            out.extend(rig.flush());
            out.extend(rig.step("synced"));
        }
        seen.extend(out.iter().filter_map(|output| match output {
            Output::Client {
                response: Response::Deliver { message, .. },
                ..
            } => {
                assert!(!message.body.is_empty(), "a delivery has its body");
                Some(format!("m{}", message.tag))
            }
            Output::Client {
                response: Response::Empty,
                ..
            } => Some("empty".into()),
            Output::Client {
                response: Response::ConnectionClosed { .. },
                ..
            } => Some("closed".into()),
            Output::Read { position, .. } => Some(format!("read {}", position.0)),
            Output::Observe(Event::Removed { tag, reason, .. }) => {
                Some(format!("m{tag} {reason:?}"))
            }
            _ => None,
        }));
    }
    seen
}

#[test]
fn a_message_is_delivered_when_its_body_has_been_read() {
    let mut rig = narrow(|_| {});
    let filled = play(&mut rig, "1 publish q 1; 1 publish q 2; 1 publish q 3");
    assert_eq!(filled, [""; 0]);
    assert_eq!(rig.broker.queue(QueueId(0)).absent, 2, "the head stays");
    assert_eq!(play(&mut rig, "2 consume q 0 2"), ["m1", "read 2"]);
    assert_eq!(play(&mut rig, "read"), ["m2", "read 3"]);
    // There is no credit for the third, which is read ahead.
    assert_eq!(play(&mut rig, "read"), [""; 0]);
    assert_eq!(play(&mut rig, "2 ack 1"), ["m3", "m1 Acked"]);
}

#[test]
fn what_comes_back_is_read_again() {
    let mut rig = narrow(|_| {});
    play(&mut rig, "1 publish q 1; 2 consume q 0 1");
    assert_eq!(rig.broker.queue(QueueId(0)).absent, 1, "a delivery lets go");
    assert_eq!(play(&mut rig, "2 requeue 1"), ["read 1"]);
    assert_eq!(play(&mut rig, "read"), ["m1"]);
}

#[test]
fn who_waits_for_a_body_may_leave_meanwhile() {
    // Two are ready, and the first is with a consumer that has credit for one more.
    let start = "1 publish q 1; 1 publish q 2 1 ttl=10ms; 1 publish q 3; 2 consume q 0 2";
    let mut rig = narrow(|q| q.dead_letter = None);
    assert_eq!(play(&mut rig, start), ["m1", "read 2"]);
    assert_eq!(play(&mut rig, "at 20"), ["read 3", "m2 Expired"]);
    assert_eq!(play(&mut rig, "read"), ["m3"]);

    let mut rig = narrow(|q| q.dead_letter = None);
    play(&mut rig, start);
    assert_eq!(play(&mut rig, "1 purge q"), ["m2 Purged", "m3 Purged"]);
    assert_eq!(play(&mut rig, "read; 1 publish q 4"), ["m4"]);

    let mut rig = narrow(|_| {});
    play(&mut rig, start);
    play(&mut rig, "1 delete q; 1 declare q");
    assert_eq!(play(&mut rig, "read; 1 publish q 4; 3 consume q"), ["m4"]);
}

#[test]
fn a_dead_letter_waits_for_its_body_and_for_those_before_it() {
    let mut rig = narrow(|q| {
        q.max_length = Some(2);
        q.overflow = Overflow::DeadLetter;
    });
    play(&mut rig, "1 publish q 1; 1 publish q 2; 1 publish q 3");
    // The first had its body; the second has not, and the third waits for it.
    assert_eq!(rig.broker.queue(QueueId(1)).ready, 1);
    assert_eq!(play(&mut rig, "1 publish q 4"), ["read 2"]);
    assert_eq!(play(&mut rig, "1 publish q 5"), ["read 3"]);
    let view = rig.broker.queue(QueueId(0));
    assert_eq!((view.ready, view.stalled), (2, 2));
    let out = rig.answer_read(1);
    assert!(
        out.iter()
            .all(|output| !matches!(output, Output::Persist { .. }))
    );
    let moved = play(&mut rig, "read");
    assert_eq!(
        moved,
        ["m2 DeadLettered(MaxLength)", "m3 DeadLettered(MaxLength)"]
    );
    assert_eq!(rig.broker.queue(QueueId(1)).ready, 3);
    let mut taken = play(&mut rig, "2 consume dead 0 0");
    taken.extend(play(&mut rig, "read; read"));
    taken.retain(|what| what.starts_with('m'));
    assert_eq!(taken, ["m1", "m2", "m3"]);
}

#[test]
fn gets_wait_in_turn() {
    let mut rig = narrow(|_| {});
    play(&mut rig, "1 publish q 1; 1 publish q 2; 1 publish q 3");
    assert_eq!(play(&mut rig, "2 get q"), ["m1"]);
    assert_eq!(play(&mut rig, "2 get q"), ["read 2"]);
    // Who asks for less waits, too: answers come in the order of the questions.
    assert_eq!(play(&mut rig, "2 get dead"), [""; 0]);
    assert_eq!(play(&mut rig, "read"), ["m2", "empty"]);
    assert_eq!(play(&mut rig, "2 get q"), ["read 3"]);
    assert_eq!(play(&mut rig, "1 purge q; read"), ["m3 Purged", "empty"]);
}

#[test]
fn a_read_that_fails_is_the_end_and_nothing_wrong_is_delivered() {
    let fill = "1 publish q 1; 1 publish q 2; 2 consume q 0 2";
    let mut rig = narrow(|_| {});
    play(&mut rig, fill);
    assert_eq!(play(&mut rig, "unreadable"), ["closed", "closed"]);
    assert_eq!(rig.broker.failure(), Some(LogFailure::Read));

    // The entry of another message, whole as it may be, is none.
    let mut rig = narrow(|_| {});
    play(&mut rig, fill);
    let (token, _) = rig.held_reads.as_mut().unwrap().remove(0);
    let result = Ok(rig.log[0].1.clone());
    let out = rig.handle(Input::Read { token, result });
    assert_eq!(rig.broker.failure(), Some(LogFailure::Damaged));
    let delivered = |output: &Output| {
        let deliver = |response: &Response| matches!(response, Response::Deliver { .. });
        matches!(output, Output::Client { response, .. } if deliver(response))
    };
    assert!(!out.iter().any(delivered));

    // A restart finds everything.
    rig.restart(rig.last);
    assert_eq!(play(&mut rig, "2 consume q 0 0"), ["read 1"]);
    assert_eq!(play(&mut rig, "read"), ["m1", "read 2"]);
    assert_eq!(play(&mut rig, "read"), ["m2"]);
}

/// Reads come back late and in any order, and the process dies with some under way: with one message at a time, the order is that of entry.
#[test]
fn late_answers_change_no_order() {
    let input = (
        0..3_000u64,
        prop::collection::vec((0..200usize, 0..8usize, 0..8usize), 10..60),
        prop::option::weighted(0.3, 0..60usize),
    );
    let result = runner(150).run(&input, |(budget, rounds, crash)| {
        let mut rig = narrow(|_| {});
        rig.config.limits.bodies = Some(budget);
        rig.restart(LogPosition(0));
        let mut tag = 0;
        let mut order = Vec::new();
        let mut consume = |rig: &mut Rig, seen: Vec<String>| {
            let mut seen: VecDeque<String> = seen.into();
            while let Some(what) = seen.pop_front() {
                if let Some(tag) = what
                    .strip_prefix('m')
                    .and_then(|tag| tag.parse::<u64>().ok())
                {
                    order.push(tag);
                    let delivery = "2 ack ..0";
                    seen.extend(play(rig, delivery));
                }
            }
        };
        for (round, (size, publishes, answers)) in rounds.into_iter().enumerate() {
            if crash == Some(round) {
                rig.restart(rig.last);
            }
            for _ in 0..publishes {
                tag += 1;
                let seen = play(&mut rig, &format!("1 publish q {tag} {}", 1 + size));
                consume(&mut rig, seen);
            }
            if rig.broker.queue(QueueId(0)).consumers == 0 {
                let seen = play(&mut rig, "2 consume q 0 1");
                consume(&mut rig, seen);
            }
            for answer in 0..answers {
                let held = rig.held_reads.as_ref().map_or(0, Vec::len);
                if held > 0 {
                    let out = rig.answer_read((answer * 7 + size) % held);
                    let mut seen: Vec<String> = tags(&out);
                    seen.extend(play(&mut rig, "flush"));
                    consume(&mut rig, seen);
                }
            }
        }
        loop {
            let seen = play(&mut rig, "read");
            let idle = rig.held_reads.as_ref().is_none_or(Vec::is_empty) && seen.is_empty();
            consume(&mut rig, seen);
            if idle && rig.held_reads.as_ref().is_none_or(Vec::is_empty) {
                break;
            }
        }
        order.dedup();
        let sent: Vec<u64> = (1..=tag).collect();
        prop_assert_eq!(order, sent);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

fn tags(out: &[Output]) -> Vec<String> {
    let delivered = out.iter().filter_map(|output| match output {
        Output::Client {
            response: Response::Deliver { message, .. },
            ..
        } => Some(format!("m{}", message.tag)),
        _ => None,
    });
    delivered.collect()
}

/// The log of a backlog that lets go of its head reads the bodies that it logs again.
#[test]
fn compaction_reads_what_it_copies() {
    let mut rig = narrow(|_| {});
    rig.held_reads = None;
    play(
        &mut rig,
        "1 publish q 1 9; 1 publish q 2 9; 1 publish q 3 9; 3 consume dead 0 0 noack",
    );
    assert_eq!(rig.broker.queue(QueueId(0)).absent, 2);
    let before = rig.broker.bodies().read;
    for tag in 0..70_000 {
        rig.step(&format!("1 publish dead {}", 10 + tag));
        if tag % 64 == 0 {
            rig.flush();
            rig.step("synced");
        }
    }
    play(&mut rig, "flush");
    let head = rig.log.first().map(|(position, _)| position.0);
    assert!(head > Some(10_000), "the log begins at {head:?}");
    assert!(
        rig.broker.bodies().read >= before + 2,
        "the two that were not there"
    );
    rig.restart(rig.last);
    let seen = play(&mut rig, "2 consume q 0 0");
    let delivered: Vec<&String> = seen.iter().filter(|what| what.starts_with('m')).collect();
    assert_eq!(delivered, ["m1", "m2", "m3"]);
}
