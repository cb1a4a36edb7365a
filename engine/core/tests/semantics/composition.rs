//! Features beside each other, where one could break the other.

use super::support::Rig;
use super::*;

/// Rows 26 and 28: what a refused transaction would have made a full window forget is still known.
#[test]
fn a_refused_transaction_forgets_no_identity() {
    let mut q = queue("q");
    q.policy.deduplicate = Some(Deduplicate {
        window: Span::from_secs(60),
        capacity: 1,
    });
    let full = QueueConfig {
        max_length: Some(0),
        overflow: Overflow::RejectPublish,
        ..queue("full")
    };
    let config = BrokerConfig {
        queues: vec![q, full],
        observe: true,
        ..Default::default()
    };
    let script = "1 publish q 1 id=a; 2 tx
         2 publish q 2 id=b; 2 publish q 3 id=c; 2 publish full 4; 2 commit
         1 publish q 5 id=a; 1 publish q 6 id=b";
    expect![[r#"
        > 1 publish q 1 id=a; 2 tx
          * m1 routed, 1 copies
          * m1 proposed q/0
          * enqueued q/0
          2 done
        > 2 publish q 2 id=b; 2 publish q 3 id=c; 2 publish full 4; 2 commit
          * m4 refused by 1
          2 transaction failed
        > 1 publish q 5 id=a; 1 publish q 6 id=b
          * Deduplicated { tag: 5, queue: QueueId(0) }
          * m6 routed, 1 copies
          * m6 proposed q/1
          * enqueued q/1
        q: 2 ready, 0 in flight
        full: 0 ready, 0 in flight
    "#]]
    .assert_eq(&run(config, script));
}

/// Row 28: the commit of a channel that is gone does not hold back those of the next channel of that number.
#[test]
fn a_commit_of_an_earlier_channel_delays_no_other() {
    let config = BrokerConfig {
        queues: vec![durable("q", Durability::Os)],
        ..Default::default()
    };
    let script = "1 tx; 1 publish q 1; 1 commit; 1 ack 7
         1 tx; 1 commit
         written";
    expect![[r#"
        > 1 tx; 1 publish q 1; 1 commit; 1 ack 7
          1 done
          log 1: enqueue q/0 m1
          1 closed 406: unknown delivery tag
        > 1 tx; 1 commit
          1 done
          1 done
        > written
        q: 1 ready, 0 in flight
    "#]]
    .assert_eq(&run(config, script));
}

/// Row 28: a channel that sends one commit after another hears of them in that order, also of those that fail at once.
#[test]
fn transactions_are_answered_in_order() {
    let full = QueueConfig {
        max_length: Some(0),
        overflow: Overflow::RejectPublish,
        ..queue("full")
    };
    let config = BrokerConfig {
        queues: vec![durable("q", Durability::Os), full],
        ..Default::default()
    };
    let script = "1 tx; 2 tx
         1 publish q 1; 1 commit; 1 publish full 2; 1 commit; 1 publish q 3; 1 rollback; 2 commit
         written";
    expect![[r#"
        > 1 tx; 2 tx
          1 done
          2 done
        > 1 publish q 1; 1 commit; 1 publish full 2; 1 commit; 1 publish q 3; 1 rollback; 2 commit
          log 1: enqueue q/0 m1
          2 done
        > written
          1 done
          1 transaction failed
          1 done
        q: 1 ready, 0 in flight
        full: 0 ready, 0 in flight
    "#]]
    .assert_eq(&run(config, script));
}

/// Row 20: a queue that stays deleted does not keep the log from being released, and is not there after a restart.
#[test]
fn a_deleted_queue_does_not_hold_the_log() {
    let config = BrokerConfig {
        queues: vec![
            durable("gone", Durability::Os),
            durable("q", Durability::Os),
        ],
        ..Default::default()
    };
    let mut rig = Rig::new(config);
    let connection = ConnectionId(0);
    let channel = ChannelId {
        connection,
        number: 1,
    };
    let publish = |tag, key: &'static str| Request::Publish {
        exchange: ExchangeId::DEFAULT,
        mandatory: false,
        message: Message {
            tag,
            exchange: ExchangeId::DEFAULT,
            persistent: true,
            routing_key: key.into(),
            body: "m".into(),
            properties: None,
        },
    };
    let ask = |rig: &mut Rig, request| {
        rig.handle(Input::Client { channel, request });
        rig.progress(rig.last, rig.last);
        rig.flush();
    };
    let window = u64::MAX;
    rig.handle(Input::Opened { connection, window });
    ask(&mut rig, publish(0, "gone"));
    ask(&mut rig, Request::Delete { queue: QueueId(0) });
    for tag in 1..5_000 {
        ask(&mut rig, publish(tag, "q"));
        let queue = QueueId(1);
        ask(
            &mut rig,
            Request::Get {
                queue,
                no_ack: true,
            },
        );
    }
    assert!(rig.log.len() < 3_000, "{} entries", rig.log.len());
    rig.restart(rig.last);
    rig.handle(Input::Opened { connection, window });
    let request = Request::Get {
        queue: QueueId(0),
        no_ack: true,
    };
    let answer = rig.handle(Input::Client { channel, request });
    let code = answer.into_iter().find_map(|output| match output {
        Output::Client {
            response: Response::ChannelClosed { code, .. },
            ..
        } => Some(code),
        _ => None,
    });
    assert_eq!(code, Some(404));
}

/// Rows 9 and 12: what was fetched before the channel's limit does not count against it, nor does settling it give credit.
#[test]
fn a_get_is_outside_the_channels_limit() {
    let config = BrokerConfig {
        queues: vec![queue("q")],
        ..Default::default()
    };
    let script = "1 publish q 1; 1 publish q 2; 1 publish q 3; 1 publish q 4
         2 get q; 2 limit 1
         2 consume q
         2 ack 1
         2 ack 2";
    expect![[r#"
        > 1 publish q 1; 1 publish q 2; 1 publish q 3; 1 publish q 4
        > 2 get q; 2 limit 1
          2 deliver m1 as 1 to get
          2 done
        > 2 consume q
          2 deliver m2 as 2 to 0
        > 2 ack 1
        > 2 ack 2
          2 deliver m3 as 3 to 0
        q: 1 ready, 1 in flight
    "#]]
    .assert_eq(&run(config, script));
}

/// Row 38: what a connection left uncommitted is no credit of the next connection of that number.
#[test]
fn credit_belongs_to_one_life_of_a_connection() {
    let config = BrokerConfig {
        queues: vec![durable("q", Durability::Os)],
        limits: Limits {
            publish_credit: Some(2),
            ..Limits::default()
        },
        ..Default::default()
    };
    let script = "1 publish q 1; close 1; open 1 1000
         1 publish q 2; 1 publish q 3
         written 1
         written 2";
    expect![[r#"
        > 1 publish q 1; close 1; open 1 1000
          log 1: enqueue q/0 m1
        > 1 publish q 2; 1 publish q 3
          log 2: enqueue q/1 m2
          log 3: enqueue q/2 m3
          1 reading off
        > written 1
        > written 2
          1 reading on
        q: 2 ready, 0 in flight
    "#]]
    .assert_eq(&run(config, script));
}

/// Rows 9 and 12: the name that gets have is nobody else's, so a limit counts right.
#[test]
fn the_name_of_gets_is_reserved() {
    let config = BrokerConfig {
        queues: vec![queue("q")],
        ..Default::default()
    };
    let script = "1 publish q 1; 2 consume q 4294967295
         2 limit 1; 2 get q";
    expect![[r#"
        > 1 publish q 1; 2 consume q 4294967295
          2 closed 530: the consumer's name is reserved
        > 2 limit 1; 2 get q
          2 done
          2 deliver m1 as 1 to get
        q: 0 ready, 1 in flight
    "#]]
    .assert_eq(&run(config, script));
}

/// Rows 28 and 35: what a group acknowledges in a transaction is in its entry, with what is published for it.
#[test]
fn a_group_reads_on_in_the_entry_of_the_transaction() {
    let mut s = durable("s", Durability::Fsync);
    s.policy.stream = Some(Retention {
        segment: 10,
        ..Retention::default()
    });
    let config = BrokerConfig {
        queues: vec![s, durable("q", Durability::Os)],
        groups: vec![GroupConfig {
            name: "g".into(),
            streams: vec![QueueId(0)],
            start: Offset::First,
            kind: GroupKind::Partitioned {
                assignment: Assignment::Range,
                rebalance: Span::ZERO,
            },
        }],
        ..Default::default()
    };
    let script = "1 publish s 1; synced; 2 tx; 2 join 0; synced
         2 publish q 2; 2 ack 1; 2 commit
         power-loss; 2 tx; 2 join 0; synced
         2 publish q 3; 2 ack 1; 2 commit; synced
         power-loss; 2 join 0";
    expect![[r#"
        > 1 publish s 1; synced; 2 tx; 2 join 0; synced
          log 1: enqueue s/0 m1
          2 done
          log 2: advance group 0 to s/0
          2 assigned [0] to 0, generation 1
          2 deliver m1 as 1 to 0
          sync 2
        > 2 publish q 2; 2 ack 1; 2 commit
          log 3: enqueue q/0 m2 + advance group 0 to s/1
          sync 3
        > power-loss; 2 tx; 2 join 0; synced
          2 done
          2 assigned [0] to 0, generation 1
          2 deliver m1 as 1 to 0, redelivered
        > 2 publish q 3; 2 ack 1; 2 commit; synced
          log 3: enqueue q/1:0 m3 + advance group 0 to s/1:1
          2 done
          sync 3
        > power-loss; 2 join 0
          2 assigned [0] to 0, generation 1
        s: 1 ready, 0 in flight
        q: 1 ready, 0 in flight
        group 0: lag 0, 0 in flight
    "#]]
    .assert_eq(&run(config, script));
}
