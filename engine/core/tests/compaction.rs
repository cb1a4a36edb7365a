//! A message that nobody takes doesn't hold the log.

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
    let message = Message {
        tag,
        exchange: ExchangeId::DEFAULT,
        persistent: true,
        routing_key: rig.config.queues[queue.index()].name.clone(),
        body: Bytes::from(tag.to_le_bytes().to_vec()),
        properties: None,
    };
    let publish = Request::Publish {
        exchange: ExchangeId::DEFAULT,
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
    let out = request(
        rig,
        Request::Get {
            queue,
            no_ack: false,
        },
    );
    let found = out.iter().find_map(|output| match output {
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
    });
    let (delivery, tag, redelivered) = found?;
    request(rig, then(delivery));
    Some((tag, redelivered))
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
