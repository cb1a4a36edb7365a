//! A message that nobody takes doesn't hold the log.

use std::collections::BTreeSet;

use bytes::Bytes;
use queuelab_core::*;

mod support;
use support::{Rig, queue};

const STUCK: QueueId = QueueId(0);
const BUSY: QueueId = QueueId(1);

fn config(durability: Durability) -> BrokerConfig {
    let queues = ["stuck", "busy"].map(|name| QueueConfig {
        durability,
        ..queue(name)
    });
    BrokerConfig {
        queues: queues.to_vec(),
        ..BrokerConfig::default()
    }
}

fn channel() -> ChannelId {
    ChannelId {
        connection: ConnectionId(1),
        number: 1,
    }
}

fn request(rig: &mut Rig, request: Request) -> Vec<Output> {
    let channel = channel();
    rig.handle(Input::Client { channel, request })
}

fn connect(rig: &mut Rig) {
    rig.handle(Input::Opened {
        connection: channel().connection,
        window: u64::MAX,
    });
}

fn publish(rig: &mut Rig, queue: QueueId, tag: u64) {
    let key = rig.config.queues[queue.index()].name.clone();
    publish_to(rig, ExchangeId::DEFAULT, key, tag);
}

fn publish_to(rig: &mut Rig, exchange: ExchangeId, routing_key: Bytes, tag: u64) {
    let message = Message {
        tag,
        exchange,
        persistent: true,
        routing_key,
        body: Bytes::from(tag.to_le_bytes().to_vec()),
        properties: None,
    };
    let publish = Request::Publish {
        exchange,
        mandatory: false,
        message,
    };
    request(rig, publish);
}

fn settle(rig: &mut Rig) {
    rig.flush();
    let last = rig.last;
    rig.progress(last, last);
    rig.flush();
}

/// Takes the next message and does `then` with it; the result is its tag, and whether it may have been delivered before.
fn take(rig: &mut Rig, queue: QueueId, then: fn(u64) -> Request) -> Option<(u64, bool)> {
    let (delivery, tag, redelivered) = get(rig, queue)?;
    request(rig, then(delivery));
    Some((tag, redelivered))
}

/// Takes the next message; the result is the delivery, its tag, and whether it may have been delivered before.
fn get(rig: &mut Rig, queue: QueueId) -> Option<(u64, u64, bool)> {
    let out = request(
        rig,
        Request::Get {
            queue,
            no_ack: false,
        },
    );
    out.iter().find_map(|output| match output {
        Output::Client {
            response:
                Response::Deliver {
                    delivery,
                    redelivered,
                    message,
                    ..
                },
            ..
        } => Some((*delivery, message.tag, *redelivered)),
        _ => None,
    })
}

/// Takes so many messages and gives them back, the last one first.
fn give_back(rig: &mut Rig, count: usize) {
    let taken: Vec<u64> = (0..count)
        .filter_map(|_| Some(get(rig, STUCK)?.0))
        .collect();
    for delivery in taken.into_iter().rev() {
        request(rig, requeue(delivery));
    }
    settle(rig);
}

/// All that a stream has, read from its beginning: offsets and tags.
fn read(rig: &mut Rig) -> Vec<(u64, u64)> {
    let consume = Consume {
        no_ack: true,
        from: Offset::First,
        ..Consume::new(STUCK, ConsumerId(1))
    };
    let out = request(rig, Request::Consume(Box::new(consume)));
    let records = out.iter().filter_map(|output| match output {
        Output::Client {
            response: Response::Deliver { copy, message, .. },
            ..
        } => Some((copy.offset(), message.tag)),
        _ => None,
    });
    let records = records.collect();
    let consumer = ConsumerId(1);
    request(rig, Request::Cancel { consumer });
    records
}

fn ack(delivery: u64) -> Request {
    Request::Ack {
        delivery,
        multiple: false,
    }
}

fn requeue(delivery: u64) -> Request {
    Request::Nack {
        delivery,
        multiple: false,
        requeue: true,
    }
}

/// So many messages come and go, in batches.
fn pass(rig: &mut Rig, messages: u64) {
    for batch in 0..messages / 64 {
        for nth in 0..64 {
            publish(rig, BUSY, 1_000_000 + batch * 64 + nth);
        }
        settle(rig);
        while take(rig, BUSY, ack).is_some() {}
        settle(rig);
    }
}

fn drain(rig: &mut Rig) -> Vec<u64> {
    let mut tags = Vec::new();
    while let Some((tag, _)) = take(rig, STUCK, ack) {
        tags.push(tag);
    }
    settle(rig);
    tags
}

#[test]
fn a_few_old_messages_hold_a_bounded_log_and_survive() {
    for durability in [Durability::Os, Durability::Fsync] {
        let mut config = config(durability);
        config.queues[STUCK.index()].policy.delivery_limit = Some(2);
        let mut rig = Rig::new(config);
        connect(&mut rig);
        for tag in 1..=3_000 {
            publish(&mut rig, STUCK, tag);
        }
        settle(&mut rig);
        assert_eq!(take(&mut rig, STUCK, requeue), Some((1, false)));
        settle(&mut rig);
        // Nobody takes the three thousand, again and again, restarts included.
        for round in 0..3 {
            pass(&mut rig, 64_000);
            let length = rig.log.len();
            assert!(length < 100_000, "{length} entries after round {round}");
            rig.restart(rig.last);
            connect(&mut rig);
            assert_eq!(rig.broker.ready(STUCK), 3_000);
        }
        // The first has come back once: twice more, and it is gone.
        for _ in 0..2 {
            assert_eq!(take(&mut rig, STUCK, requeue), Some((1, true)));
            settle(&mut rig);
        }
        let expected: Vec<u64> = (2..=3_000).collect();
        assert!(
            drain(&mut rig) == expected,
            "the others come in their order"
        );
        pass(&mut rig, 1_024);
        assert!(rig.log.len() < 4_096, "{}", rig.log.len());
    }
}

#[test]
fn a_power_loss_at_any_time_loses_no_copy_and_revives_none() {
    let mut rig = Rig::new(config(Durability::Fsync));
    connect(&mut rig);
    for tag in 1..=2_500 {
        publish(&mut rig, STUCK, tag);
    }
    settle(&mut rig);
    let mut first = 1;
    let (mut copied, mut cuts) = (0, 0);
    for batch in 0..4_000 {
        for nth in 0..16 {
            publish(&mut rig, BUSY, 1_000_000 + batch * 16 + nth);
        }
        settle(&mut rig);
        while take(&mut rig, BUSY, ack).is_some() {}
        if batch % 8 == 0 {
            assert_eq!(take(&mut rig, STUCK, ack).map(|(tag, _)| tag), Some(first));
        }
        let before = rig.last;
        let acks = 16 + u64::from(batch % 8 == 0);
        rig.flush();
        copied += rig.last.0 - before.0;
        // Cut in the middle of what was not synced: an acknowledgement that is lost brings its message back.
        if rig.last.0 - before.0 > 0 || batch % 500 == 0 {
            cuts += 1;
            for kept in [
                rig.synced.0,
                before.0,
                (before.0 + rig.last.0) / 2,
                rig.last.0,
            ] {
                let mut cut = Rig::new(rig.config.clone());
                cut.log = rig.log.clone();
                cut.config.incarnation = 1;
                cut.restart(LogPosition(kept.max(rig.synced.0)));
                connect(&mut cut);
                let acked = batch % 8 == 0 && kept >= rig.synced.0 + acks;
                let from = first + u64::from(acked);
                assert!(drain(&mut cut).into_iter().eq(from..=2_500), "from {from}");
            }
        }
        first += u64::from(batch % 8 == 0);
        settle(&mut rig);
    }
    assert!(copied > 2_000 && cuts > 3, "{copied} copies, {cuts} cuts");
}

#[test]
fn what_came_back_to_the_head_or_the_tail_holds_a_bounded_log_and_keeps_its_place() {
    for requeue in [Requeue::Head, Requeue::Tail] {
        let mut config = config(Durability::Fsync);
        config.queues[STUCK.index()].policy.requeue = requeue;
        let mut rig = Rig::new(config);
        connect(&mut rig);
        for tag in 1..=2_000 {
            publish(&mut rig, STUCK, tag);
        }
        settle(&mut rig);
        give_back(&mut rig, 1_000);
        for round in 0..3 {
            pass(&mut rig, 64_000);
            let length = rig.log.len();
            assert!(length < 100_000, "{length} entries after round {round}");
            rig.restart(rig.last);
            connect(&mut rig);
            assert_eq!(rig.broker.ready(STUCK), 2_000);
            // What comes back now goes by what came back in earlier lives, copied or not.
            give_back(&mut rig, 2);
        }
        let mut expected: Vec<u64> = (1..=1_000).rev().collect();
        match requeue {
            Requeue::Head => {
                expected.extend(1_001..=2_000);
                // They stand behind the others that came back: the first two, then the next two, and so on.
                let moved: Vec<u64> = expected.drain(..6).collect();
                let moved = moved.chunks(2).flat_map(|pair| pair.iter().rev().copied());
                let at = expected.len() - 1_000;
                expected.splice(at..at, moved.collect::<Vec<u64>>());
            }
            _ => {
                let mut line: Vec<u64> = (1_001..=2_000).chain(expected).collect();
                let moved: Vec<u64> = line.drain(..6).collect();
                line.extend(moved.chunks(2).flat_map(|pair| pair.iter().rev().copied()));
                expected = line;
            }
        }
        assert_eq!(drain(&mut rig), expected);
        pass(&mut rig, 1_024);
        assert!(rig.log.len() < 4_096, "{}", rig.log.len());
    }
}

#[test]
fn the_records_of_a_quiet_stream_hold_a_bounded_log_and_survive() {
    for durability in [Durability::Os, Durability::Fsync] {
        let mut config = config(durability);
        config.queues[STUCK.index()].policy.stream = Some(Retention::default());
        let mut rig = Rig::new(config);
        connect(&mut rig);
        for tag in 1..=3_000 {
            publish(&mut rig, STUCK, tag);
        }
        settle(&mut rig);
        let mut expected: Vec<(u64, u64)> = (1..=3_000).map(|tag| (tag - 1, tag)).collect();
        for round in 0..3 {
            pass(&mut rig, 64_000);
            let length = rig.log.len();
            assert!(length < 100_000, "{length} entries after round {round}");
            rig.restart(rig.last);
            connect(&mut rig);
            assert!(read(&mut rig) == expected, "round {round}");
            publish(&mut rig, STUCK, 10_000 + round);
            settle(&mut rig);
            expected.push((3_000 + round, 10_000 + round));
        }
    }
}

/// What was logged, but for copies of what was logged before.
#[derive(Default)]
struct Originals {
    entries: Vec<(LogPosition, Entry)>,
    known: BTreeSet<MessageCopy>,
    last: LogPosition,
    copies: u64,
}

impl Originals {
    fn follow(&mut self, rig: &Rig) {
        let from = rig
            .log
            .partition_point(|(position, _)| *position <= self.last);
        for (position, entry) in &rig.log[from..] {
            let mut enqueued = entry.commands().iter().filter_map(|command| match command {
                Command::Enqueue { copy, .. } => Some(*copy),
                _ => None,
            });
            if enqueued.all(|copy| self.known.insert(copy)) {
                self.entries.push((*position, entry.clone()));
            } else {
                self.copies += 1;
            }
        }
        self.last = rig.last;
    }
}

/// A broker that starts with the log up to a place.
fn restarted(config: &BrokerConfig, log: &[(LogPosition, Entry)], last: LogPosition) -> Rig {
    let mut rig = Rig::new(config.clone());
    rig.log = log.to_vec();
    rig.config.incarnation = 1;
    rig.restart(last);
    connect(&mut rig);
    rig
}

/// Cuts in what was not synced: an acknowledgement that is lost brings its message back.
fn compare_cuts(rig: &Rig, originals: &Originals, is_stream: bool) {
    let (synced, last) = (rig.synced, rig.last);
    for kept in [synced, LogPosition((synced.0 + last.0) / 2), last] {
        let mut cut = restarted(&rig.config, &rig.log, kept);
        let mut truth = restarted(&rig.config, &originals.entries, kept);
        match is_stream {
            true => assert_eq!(read(&mut cut), read(&mut truth)),
            false => assert_eq!(drain(&mut cut), drain(&mut truth)),
        }
    }
}

#[test]
fn a_cut_log_with_copies_says_what_it_would_say_with_all_originals() {
    let by_key = Retention {
        segment: 1,
        compact: true,
        ..Retention::default()
    };
    let by_length = Retention {
        segment: 1,
        max_length: Some(2_000),
        ..Retention::default()
    };
    let policies = [
        QueuePolicy {
            requeue: Requeue::Head,
            ..QueuePolicy::default()
        },
        QueuePolicy {
            requeue: Requeue::Tail,
            ..QueuePolicy::default()
        },
        QueuePolicy {
            stream: Some(by_key),
            ..QueuePolicy::default()
        },
        QueuePolicy {
            stream: Some(by_length),
            ..QueuePolicy::default()
        },
    ];
    for policy in policies {
        let is_stream = policy.stream.is_some();
        let mut config = config(Durability::Fsync);
        config.queues[STUCK.index()].policy = policy;
        support::exchange(&mut config, ExchangeKind::Fanout, &[(STUCK.0, "", 1)]);
        let mut rig = Rig::new(config);
        connect(&mut rig);
        let mut originals = Originals::default();
        let record = |rig: &mut Rig, tag: u64| {
            let key = tag * 7_919 % 2_000;
            publish_to(rig, ExchangeId(0), Bytes::from(key.to_string()), tag);
        };
        for tag in 1..=2_000 {
            record(&mut rig, tag);
        }
        settle(&mut rig);
        let mut cuts = 0;
        for batch in 0..2_000 {
            for nth in 0..24 {
                publish(&mut rig, BUSY, 1_000_000 + batch * 24 + nth);
            }
            if is_stream {
                record(&mut rig, 10_000 + batch);
            }
            originals.follow(&rig);
            settle(&mut rig);
            while take(&mut rig, BUSY, ack).is_some() {}
            if !is_stream {
                give_back(&mut rig, batch as usize % 3);
                if batch % 8 == 0 {
                    take(&mut rig, STUCK, ack);
                }
            }
            for finish in [Rig::flush, |rig: &mut Rig| {
                settle(rig);
                Vec::new()
            }] {
                let copies = originals.copies;
                finish(&mut rig);
                originals.follow(&rig);
                if originals.copies > copies || batch == 0 {
                    cuts += 1;
                    compare_cuts(&rig, &originals, is_stream);
                }
            }
        }
        assert!(
            originals.copies > 1_000 && cuts > 3,
            "{} copies, {cuts} cuts",
            originals.copies
        );
    }
}

/// An acknowledged message may be sent again: its identity holds the log until its window is over, bounded by what comes meanwhile.
#[test]
fn identities_hold_the_log_until_their_window_is_over() {
    let mut config = config(Durability::Os);
    config.queues[0].policy.deduplicate = Some(Deduplicate {
        window: Span::from_secs(10),
        capacity: 100,
    });
    let mut rig = Rig::new(config.clone());
    connect(&mut rig);
    let send = |rig: &mut Rig| {
        let message = Message {
            tag: 7,
            exchange: ExchangeId::DEFAULT,
            persistent: true,
            routing_key: config.queues[0].name.clone(),
            body: Bytes::new(),
            properties: Some(std::sync::Arc::new(Properties {
                id: Some(Bytes::from_static(b"seven")),
                ..Properties::default()
            })),
        };
        request(
            rig,
            Request::Publish {
                exchange: ExchangeId::DEFAULT,
                mandatory: false,
                message,
            },
        );
        settle(rig);
    };
    send(&mut rig);
    assert_eq!(take(&mut rig, STUCK, ack), Some((7, false)));
    settle(&mut rig);
    pass(&mut rig, 5_000);
    assert_eq!(rig.log.first().map(|(position, _)| position.0), Some(1));
    let last = rig.last;
    rig.restart(last);
    connect(&mut rig);
    send(&mut rig);
    assert_eq!(take(&mut rig, STUCK, ack), None, "it is known");
    rig.now += Span::from_secs(10);
    pass(&mut rig, 5_000);
    assert!(rig.log.len() < 3_000, "{}", rig.log.len());
    send(&mut rig);
    assert_eq!(take(&mut rig, STUCK, ack), Some((7, false)));
}
