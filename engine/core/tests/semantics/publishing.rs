//! What is on the publishers' side: routing, sequences, transactions, back-pressure.

use super::*;

/// A broker without events: what exchanges do shows in the queues.
fn topology(queues: &[&'static str]) -> BrokerConfig {
    BrokerConfig {
        queues: queues.iter().copied().map(queue).collect(),
        ..Default::default()
    }
}

/// Which of `queues` (of memory, named by one letter each) got each of the messages 0, 1, ….
fn targets(config: BrokerConfig, messages: &[&str]) -> Vec<String> {
    let publishes = messages.iter().enumerate().map(|(tag, message)| {
        let (to, properties) = message.split_once(' ').unwrap_or((message, ""));
        format!("1 publish {to} {tag} {properties}\n")
    });
    let config = BrokerConfig {
        observe: true,
        ..config
    };
    let text = run(config, &publishes.collect::<String>());
    let mut targets = vec![String::new(); messages.len()];
    let proposed = text.lines().filter_map(|line| {
        let (tag, place) = line.trim().strip_prefix("* m")?.split_once(" proposed ")?;
        Some((tag.parse::<usize>().ok()?, place.split_once('/')?.0))
    });
    for (tag, queue) in proposed {
        targets[tag].push_str(queue);
    }
    targets
}

fn matching(all: bool, headers: &[(&'static str, Option<&str>)]) -> Option<HeadersMatch> {
    let wanted = headers.iter().map(|(name, value)| {
        let value = value.map(|value| support::value(&Bytes::from(value.to_string())));
        (Bytes::from_static(name.as_bytes()), value)
    });
    Some(HeadersMatch {
        all,
        headers: wanted.collect(),
    })
}

/// Row 29.
#[test]
fn headers_exchange() {
    let mut config = topology(&["a", "b", "c", "d"]);
    exchange(
        &mut config,
        ExchangeKind::Headers,
        &[(0, "", 1), (1, "", 1), (2, "", 1), (3, "", 1), (1, "", 1)],
    );
    let eu_and_vip = [("region", Some("eu")), ("vip", Some("true"))];
    config.bindings[0].headers = matching(true, &eu_and_vip);
    config.bindings[1].headers = matching(false, &eu_and_vip);
    config.bindings[2].headers = matching(true, &[("region", None)]);
    config.bindings[4].headers = matching(false, &[("size", Some("3"))]);
    let messages = [
        "-@0 region=eu vip=true",
        "-@0 region=eu vip=false",
        "-@0 region=us vip=true size=3",
        "-@0 size=3",
        "-@0 size=3.0 vip=1",
        "-@0",
    ];
    assert_eq!(
        targets(config, &messages),
        ["abcd", "bcd", "bcd", "bd", "d", "d"]
    );
}

/// Row 29: with nothing to compare, all of it matches and none of it does.
#[test]
fn headers_exchange_with_nothing_to_match() {
    let mut config = topology(&["a", "b"]);
    exchange(
        &mut config,
        ExchangeKind::Headers,
        &[(0, "", 1), (1, "", 1)],
    );
    config.bindings[0].headers = matching(true, &[]);
    config.bindings[1].headers = matching(false, &[]);
    assert_eq!(targets(config, &["-@0", "-@0 x=1"]), ["a", "a"]);
}

/// Binds exchange `to` to exchange `from`.
fn chain(config: &mut BrokerConfig, from: u32, key: &'static str, to: u32) {
    config.bindings.push(Binding {
        exchange: ExchangeId(from),
        to: Destination::Exchange(ExchangeId(to)),
        key: Bytes::from_static(key.as_bytes()),
        weight: 1,
        headers: None,
    });
}

/// Row 30: each queue gets a message once, however many ways lead to it, and circles end.
#[test]
fn exchange_to_exchange_bindings() {
    let mut config = topology(&["a", "b", "c"]);
    exchange(&mut config, ExchangeKind::Topic, &[(0, "shop.#", 1)]);
    exchange(&mut config, ExchangeKind::Fanout, &[(0, "", 1), (2, "", 1)]);
    exchange(&mut config, ExchangeKind::Direct, &[(1, "shop.new", 1)]);
    chain(&mut config, 0, "*.new", 1);
    chain(&mut config, 0, "#", 2);
    chain(&mut config, 2, "shop.new", 0);
    chain(&mut config, 1, "", 2);
    chain(&mut config, 1, "", 1);
    let messages = [
        "shop.new@0",
        "shop.old@0",
        "other.new@0",
        "shop.new@2",
        "shop.old@2",
        "x@1",
    ];
    assert_eq!(
        targets(config, &messages),
        ["abc", "a", "ac", "abc", "", "ac"]
    );
}

/// Row 30: an exchange that sends a message nowhere hands it to its alternate, which may have one, too.
#[test]
fn alternate_exchange() {
    let mut config = topology(&["a", "b", "c"]);
    exchange(&mut config, ExchangeKind::Direct, &[(0, "x", 1)]);
    exchange(&mut config, ExchangeKind::Direct, &[(1, "y", 1)]);
    exchange(&mut config, ExchangeKind::Fanout, &[(2, "", 1)]);
    exchange(&mut config, ExchangeKind::Direct, &[]);
    config.exchanges[0].alternate = Some(ExchangeId(1));
    config.exchanges[1].alternate = Some(ExchangeId(2));
    config.exchanges[3].alternate = Some(ExchangeId(3));
    // What goes to an exchange has gone somewhere, even if that one knows no further.
    chain(&mut config, 0, "z", 3);
    let messages = ["x@0", "y@0", "w@0", "w@1", "z@0", "w@3"];
    assert_eq!(targets(config, &messages), ["a", "b", "c", "c", "", ""]);
}

/// Row 30: a mandatory message comes back only if the alternate has no queue for it either.
#[test]
fn alternate_exchange_before_return() {
    let mut config = topology(&["a"]);
    exchange(&mut config, ExchangeKind::Direct, &[]);
    exchange(&mut config, ExchangeKind::Direct, &[(0, "x", 1)]);
    config.exchanges[0].alternate = Some(ExchangeId(1));
    let script = "mandatory 1 publish x@0 1; mandatory 1 publish y@0 2";
    expect![[r#"
        > mandatory 1 publish x@0 1; mandatory 1 publish y@0 2
          1 returned m2
        a: 1 ready, 0 in flight
    "#]]
    .assert_eq(&run(config, script));
}

/// Row 31: a queue's share of the keys is its weight's share, and a key stays with its queue.
#[test]
fn consistent_hash_exchange_shares() {
    let kinds = [
        HashKind::Ring { vnodes: 400 },
        HashKind::Rendezvous,
        HashKind::Maglev { table: 5003 },
    ];
    for kind in kinds {
        let mut config = topology(&["a", "b", "c"]);
        let bindings = [(0, "", 1), (1, "", 2), (2, "", 5)];
        exchange(&mut config, ExchangeKind::ConsistentHash(kind), &bindings);
        let keys: Vec<String> = (0..4000).map(|key| format!("k{}@0", key % 2000)).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let targets = targets(config, &keys);
        assert_eq!(targets[..2000], targets[2000..]);
        for (queue, weight) in [("a", 1.0), ("b", 2.0), ("c", 5.0)] {
            let count = targets.iter().filter(|target| *target == queue).count();
            let (share, expected) = (count as f64 / 4000.0, weight / 8.0);
            // Four standard deviations of 2000 keys, and 10 % for the uneven arcs of a ring.
            let tolerance =
                4.0 * (expected * (1.0 - expected) / 2000.0_f64).sqrt() + 0.1 * expected;
            assert!(
                (share - expected).abs() < tolerance,
                "{kind:?}: {queue} has {share} instead of {expected}"
            );
        }
    }
}

/// Row 35: keys by jump hash over the queues in order of binding; without a key, in turn.
#[test]
fn partition_exchange() {
    let mut config = topology(&["a", "b", "c"]);
    let bindings = [(2, "", 1), (0, "", 1), (1, "", 1), (0, "again", 1)];
    exchange(&mut config, ExchangeKind::Partition, &bindings);
    let order = ["c", "a", "b"];
    let keys = ["k1", "k2", "k3", "k4", "k5", "k6", "k1"];
    let mut messages: Vec<String> = keys.iter().map(|key| format!("{key}@0")).collect();
    messages.extend(vec!["-@0".to_string(); 4]);
    let messages: Vec<&str> = messages.iter().map(String::as_str).collect();
    let place = |key: &&str| hashing::jump(hashing::hash(key.as_bytes()), 3) as usize;
    let mut expected: Vec<&str> = keys.iter().map(|key| order[place(key)]).collect();
    expected.extend(["c", "a", "b", "c"]);
    assert_eq!(targets(config, &messages), expected);
}

/// Row 29: a publisher's remembered route does not outlive a change of the bindings, wherever on the way it is.
#[test]
fn bindings_that_change() {
    let mut config = topology(&["a", "b"]);
    config.observe = true;
    exchange(&mut config, ExchangeKind::Direct, &[(0, "x", 1)]);
    exchange(&mut config, ExchangeKind::Fanout, &[]);
    let script = "1 publish x@0 1
         2 bind x@0 @1; 2 bind -@1 b; 2 bind -@1 b
         1 publish x@0 2
         2 unbind -@1 b; 2 unbind -@1 b
         1 publish x@0 3
         2 unbind x@0 a
         1 publish x@0 4
         2 bind x@7 a
         2 bind x@0 nowhere
         2 bind x a";
    expect![[r#"
        > 1 publish x@0 1
          * m1 routed, 1 copies
          * m1 proposed a/0
          * enqueued a/0
        > 2 bind x@0 @1; 2 bind -@1 b; 2 bind -@1 b
          2 done
          2 done
          2 done
        > 1 publish x@0 2
          * m2 routed, 2 copies
          * m2 proposed a/1
          * m2 proposed b/0
          * enqueued a/1
          * enqueued b/0
        > 2 unbind -@1 b; 2 unbind -@1 b
          2 done
          2 done
        > 1 publish x@0 3
          * m3 routed, 1 copies
          * m3 proposed a/2
          * enqueued a/2
        > 2 unbind x@0 a
          2 done
        > 1 publish x@0 4
          * m4 routed, 0 copies
        > 2 bind x@7 a
          2 closed 404: no such exchange or queue
        > 2 bind x@0 nowhere
          2 closed 404: no such exchange or queue
        > 2 bind x a
          2 closed 403: the default exchange has its bindings
        a: 3 ready, 0 in flight
        b: 1 ready, 0 in flight
    "#]]
    .assert_eq(&run(config, script));
}

/// Row 38: a connection with as many publishes in the log's queue as it may have is not read until half of them are committed; what was
/// read before is carried out.
#[test]
fn credit_flow() {
    let mut config = BrokerConfig {
        queues: vec![durable("q", Durability::Fsync), queue("memory")],
        ..Default::default()
    };
    config.limits.publish_credit = Some(4);
    let script = "1 publish q 1; 1 publish q 2; 1 publish q 3; 2 publish q 20
         1 publish memory 4; transient 1 publish q 5
         1 publish q 6; 1 publish q 7
         synced 2
         synced 3
         synced 5
         close 1; 1 publish q 8
         synced";
    expect![[r#"
        > 1 publish q 1; 1 publish q 2; 1 publish q 3; 2 publish q 20
          log 1: enqueue q/0 m1
          log 2: enqueue q/1 m2
          log 3: enqueue q/2 m3
          log 4: enqueue q/3 m20
          sync 4
        > 1 publish memory 4; transient 1 publish q 5
        > 1 publish q 6; 1 publish q 7
          log 5: enqueue q/5 m6
          1 reading off
          log 6: enqueue q/6 m7
          sync 6
        > synced 2
        > synced 3
          1 reading on
        > synced 5
        > close 1; 1 publish q 8
          log 7: enqueue q/7 m8
          sync 7
        > synced
        q: 8 ready, 0 in flight
        memory: 1 ready, 0 in flight
    "#]]
    .assert_eq(&run(config, script));
}

/// Row 39: while queues hold too much, connections that publish are not read and know why; consumers go on.
#[test]
fn memory_alarm() {
    let mut config = topology(&["q"]);
    config.observe = true;
    config.limits.memory = Some(10);
    let script = "1 publish q 1 6; 2 publish q 2 2
         1 publish q 3 2
         1 publish q 4 1; 3 publish q 5 1
         4 consume q 0 3
         4 ack 1
         2 publish q 6 4
         close 1; 4 ack 2";
    expect![[r#"
        > 1 publish q 1 6; 2 publish q 2 2
          * m1 routed, 1 copies
          * m1 proposed q/0
          * enqueued q/0
          * m2 routed, 1 copies
          * m2 proposed q/1
          * enqueued q/1
        > 1 publish q 3 2
          * m3 routed, 1 copies
          * m3 proposed q/2
          * enqueued q/2
          * Alarm { resource: Memory, on: true }
          1.0 blocked
          1 reading off
          2.0 blocked
          2 reading off
        > 1 publish q 4 1; 3 publish q 5 1
          * m4 routed, 1 copies
          * m4 proposed q/3
          * enqueued q/3
          3.0 blocked
          3 reading off
          * m5 routed, 1 copies
          * m5 proposed q/4
          * enqueued q/4
        > 4 consume q 0 3
          4 deliver m1 as 1 to 0
          4 deliver m2 as 2 to 0
          4 deliver m3 as 3 to 0
        > 4 ack 1
          * removed q/0: Acked
          4 deliver m4 as 4 to 0
          * Alarm { resource: Memory, on: false }
          1.0 unblocked
          1 reading on
          2.0 unblocked
          2 reading on
          3.0 unblocked
          3 reading on
        > 2 publish q 6 4
          * m6 routed, 1 copies
          * m6 proposed q/5
          * enqueued q/5
          * Alarm { resource: Memory, on: true }
          1.0 blocked
          1 reading off
          2.0 blocked
          2 reading off
          3.0 blocked
          3 reading off
        > close 1; 4 ack 2
          * removed q/1: Acked
          4 deliver m5 as 5 to 0
          * Alarm { resource: Memory, on: false }
          2.0 unblocked
          2 reading on
          3.0 unblocked
          3 reading on
        q: 1 ready, 3 in flight
    "#]]
    .assert_eq(&run(config, script));
}

/// Row 39: a disk that fills up stops publishers as well; two alarms are told as one.
#[test]
fn disk_alarm() {
    let mut config = topology(&["q"]);
    config.observe = true;
    config.limits.disk_free = Some(100);
    config.limits.memory = Some(5);
    let script = "1 publish q 1 4
         disk 100
         disk 99
         1 publish q 2 4; 2 consume q
         disk 500
         2 ack 1";
    expect![[r#"
        > 1 publish q 1 4
          * m1 routed, 1 copies
          * m1 proposed q/0
          * enqueued q/0
        > disk 100
        > disk 99
          * Alarm { resource: Disk, on: true }
          1.0 blocked
          1 reading off
        > 1 publish q 2 4; 2 consume q
          * m2 routed, 1 copies
          * m2 proposed q/1
          * enqueued q/1
          * Alarm { resource: Memory, on: true }
          2 deliver m1 as 1 to 0
          2 deliver m2 as 2 to 0
        > disk 500
          * Alarm { resource: Disk, on: false }
        > 2 ack 1
          * removed q/0: Acked
          * Alarm { resource: Memory, on: false }
          1.0 unblocked
          1 reading on
        q: 0 ready, 1 in flight
    "#]]
    .assert_eq(&run(config, script));
}

fn deduplicating(durability: Durability, capacity: u32) -> QueueConfig {
    let mut queue = durable("q", durability);
    queue.policy.deduplicate = Some(Deduplicate {
        window: Span::from_secs(10),
        capacity,
    });
    queue
}

/// Row 26: a message whose id was seen lately is confirmed and dropped, by each queue for itself.
#[test]
fn deduplication_window() {
    let mut config = topology(&["other"]);
    config.queues.push(deduplicating(Durability::None, 2));
    config.observe = true;
    exchange(&mut config, ExchangeKind::Fanout, &[(0, "", 1), (1, "", 1)]);
    let script = "1 confirm
         1 publish -@0 1 id=a; 1 publish -@0 2 id=a; 1 publish q 3 id=a
         at 9000; 1 publish q 4 id=b; 1 publish q 5 id=a
         at 10000; 1 publish q 6 id=a; 1 publish q 7 id=b
         1 publish q 8 id=c; 1 publish q 9 id=d; 1 publish q 10 id=c; 1 publish q 11 id=a";
    expect![[r#"
        > 1 confirm
        > 1 publish -@0 1 id=a; 1 publish -@0 2 id=a; 1 publish q 3 id=a
          * m1 routed, 2 copies
          * m1 proposed other/0
          * m1 proposed q/0
          * enqueued other/0
          * enqueued q/0
          * m2 routed, 1 copies
          * Deduplicated { tag: 2, queue: QueueId(1) }
          * m2 proposed other/1
          * enqueued other/1
          * Deduplicated { tag: 3, queue: QueueId(1) }
          1 confirm ..3
        > at 9000; 1 publish q 4 id=b; 1 publish q 5 id=a
          * m4 routed, 1 copies
          * m4 proposed q/1
          * enqueued q/1
          * Deduplicated { tag: 5, queue: QueueId(1) }
          1 confirm ..5
        > at 10000; 1 publish q 6 id=a; 1 publish q 7 id=b
          * m6 routed, 1 copies
          * m6 proposed q/2
          * enqueued q/2
          * Deduplicated { tag: 7, queue: QueueId(1) }
          1 confirm ..7
        > 1 publish q 8 id=c; 1 publish q 9 id=d; 1 publish q 10 id=c; 1 publish q 11 id=a
          * m8 routed, 1 copies
          * m8 proposed q/3
          * enqueued q/3
          * m9 routed, 1 copies
          * m9 proposed q/4
          * enqueued q/4
          * Deduplicated { tag: 10, queue: QueueId(1) }
          * m11 routed, 1 copies
          * m11 proposed q/5
          * enqueued q/5
          1 confirm ..11
        other: 2 ready, 0 in flight
        q: 6 ready, 0 in flight
    "#]]
    .assert_eq(&run(config, script));
}

/// Row 26: a repetition is confirmed no sooner than what it repeats is safe.
#[test]
fn deduplication_waits_for_the_disk() {
    let config = BrokerConfig {
        queues: vec![deduplicating(Durability::Fsync, 9)],
        ..Default::default()
    };
    let script = "1 confirm
         1 publish q 1 id=a; 1 publish q 2 id=a
         synced
         1 publish q 3 id=a; 1 publish q 4 id=b
         power-loss
         1 confirm; 1 publish q 5 id=a; 1 publish q 6 id=b
         synced";
    expect![[r#"
        > 1 confirm
        > 1 publish q 1 id=a; 1 publish q 2 id=a
          log 1: enqueue q/0 m1
          sync 1
        > synced
          1 confirm ..2
        > 1 publish q 3 id=a; 1 publish q 4 id=b
          log 2: enqueue q/1 m4
          sync 2
          1 confirm 3
        > power-loss
        > 1 confirm; 1 publish q 5 id=a; 1 publish q 6 id=b
          log 2: enqueue q/1:0 m6
          sync 2
          1 confirm 1
        > synced
          1 confirm 2
        q: 2 ready, 0 in flight
    "#]]
    .assert_eq(&run(config, script));
}

/// Row 26: a window outlives restarts, whenever they are and whatever became of the message; it begins anew with them.
#[test]
fn deduplication_outlives_restarts() {
    let config = BrokerConfig {
        queues: vec![deduplicating(Durability::Fsync, 9)],
        ..Default::default()
    };
    let script = "at 60000; 1 confirm; 2 consume q
         1 publish q 1 id=a; synced; 2 ack 1; synced
         at 65000; crash; at 66000; 1 confirm; 1 publish q 2 id=a
         at 75999; 1 publish q 3 id=a
         at 76000; 1 publish q 4 id=a; synced";
    expect![[r#"
        > at 60000; 1 confirm; 2 consume q
        > 1 publish q 1 id=a; synced; 2 ack 1; synced
          log 1: enqueue q/0 m1
          2 deliver m1 as 1 to 0
          log 2: remove q/0
          sync 2
          1 confirm 1
        > at 65000; crash; at 66000; 1 confirm; 1 publish q 2 id=a
          1 confirm 1
        > at 75999; 1 publish q 3 id=a
          1 confirm 2
        > at 76000; 1 publish q 4 id=a; synced
          log 3: enqueue q/1:0 m4
          sync 3
          1 confirm 3
        q: 1 ready, 0 in flight
    "#]]
    .assert_eq(&run(config, script));
}

/// Row 27: what an idempotent producer has sent is known again, gaps and fenced epochs are refused, and a new epoch begins at 0.
#[test]
fn idempotent_producer() {
    let config = topology(&["q"]);
    let script = "1 confirm
         1 publish q 1 producer=7/0/1
         1 publish q 2 producer=7/0/0; 1 publish q 3 producer=7/0/1; 1 publish q 4 producer=7/0/0
         1 publish q 5 producer=7/0/2; 1 publish q 6 producer=7/0/3; 1 publish q 7 producer=7/0/4; 1 publish q 8 producer=7/0/5
         1 publish q 9 producer=7/0/0
         1 publish q 10 producer=7/0/1
         1 publish q 11 producer=7/0/7
         1 publish q 12 producer=8/0/0; 1 publish q 13 producer=7/1/1
         1 publish q 14 producer=7/1/0; 1 publish q 15 producer=7/0/6
         2 consume q";
    expect![[r#"
        > 1 confirm
        > 1 publish q 1 producer=7/0/1
          1 refuse 1
        > 1 publish q 2 producer=7/0/0; 1 publish q 3 producer=7/0/1; 1 publish q 4 producer=7/0/0
          1 confirm ..4
        > 1 publish q 5 producer=7/0/2; 1 publish q 6 producer=7/0/3; 1 publish q 7 producer=7/0/4; 1 publish q 8 producer=7/0/5
          1 confirm ..8
        > 1 publish q 9 producer=7/0/0
          1 confirm 9
        > 1 publish q 10 producer=7/0/1
          1 confirm 10
        > 1 publish q 11 producer=7/0/7
          1 refuse 11
        > 1 publish q 12 producer=8/0/0; 1 publish q 13 producer=7/1/1
          1 refuse 13
          1 confirm 12
        > 1 publish q 14 producer=7/1/0; 1 publish q 15 producer=7/0/6
          1 refuse 15
          1 confirm 14
        > 2 consume q
          2 deliver m2 as 1 to 0
          2 deliver m3 as 2 to 0
          2 deliver m5 as 3 to 0
          2 deliver m6 as 4 to 0
          2 deliver m7 as 5 to 0
          2 deliver m8 as 6 to 0
          2 deliver m12 as 7 to 0
          2 deliver m14 as 8 to 0
        q: 0 ready, 8 in flight
    "#]].assert_eq(&run(config, script));
}

/// Row 27: what the log shows of a producer is known after a restart; a producer that it does not show may go on anywhere.
#[test]
fn idempotent_producer_after_a_restart() {
    let config = BrokerConfig {
        queues: vec![durable("q", Durability::Os)],
        ..Default::default()
    };
    let script = "1 publish q 1 producer=7/0/0; 1 publish q 2 producer=7/0/1; 1 publish q 3 producer=7/0/2
         written 2
         crash
         1 confirm; 1 publish q 2 producer=7/0/1; 1 publish q 3 producer=7/0/2; 1 publish q 4 producer=7/0/4
         1 publish q 5 producer=9/0/5; 1 publish q 6 producer=9/0/4
         written";
    expect![[r#"
        > 1 publish q 1 producer=7/0/0; 1 publish q 2 producer=7/0/1; 1 publish q 3 producer=7/0/2
          log 1: enqueue q/0 m1
          log 2: enqueue q/1 m2
          log 3: enqueue q/2 m3
        > written 2
        > crash
        > 1 confirm; 1 publish q 2 producer=7/0/1; 1 publish q 3 producer=7/0/2; 1 publish q 4 producer=7/0/4
          log 3: enqueue q/1:0 m3
          1 refuse 3
          1 confirm 1
        > 1 publish q 5 producer=9/0/5; 1 publish q 6 producer=9/0/4
          log 4: enqueue q/1:1 m5
          1 refuse 5
        > written
          1 confirm ..4
        q: 4 ready, 0 in flight
    "#]].assert_eq(&run(config, script));
}

/// Row 27: a producer's numbers are judged over all queues that it publishes to, in turn, at once, or none.
#[test]
fn idempotent_producer_of_several_queues() {
    let config = BrokerConfig {
        queues: vec![
            durable("a", Durability::Os),
            durable("b", Durability::Fsync),
        ],
        observe: true,
        ..Default::default()
    };
    let script = "1 confirm
         1 publish a 1 producer=7/0/0; 1 publish b 2 producer=7/0/1; 1 publish a 3 producer=7/0/2
         1 publish b 4 producer=7/0/4; 1 publish nowhere 5 producer=7/0/3
         1 publish a 2 producer=7/0/1
         1 publish nowhere 6 producer=7/0/5; 1 publish b 4 producer=7/0/4
         written
         synced";
    expect![[r#"
        > 1 confirm
        > 1 publish a 1 producer=7/0/0; 1 publish b 2 producer=7/0/1; 1 publish a 3 producer=7/0/2
          * m1 routed, 1 copies
          * m1 proposed a/0
          log 1: enqueue a/0 m1
          * m2 routed, 1 copies
          * m2 proposed b/0
          log 2: enqueue b/0 m2
          * m3 routed, 1 copies
          * m3 proposed a/1
          log 3: enqueue a/1 m3
          sync 3
        > 1 publish b 4 producer=7/0/4; 1 publish nowhere 5 producer=7/0/3
          * m4 refused by 1
          1 refuse 4
          * m5 routed, 0 copies
          1 confirm 5
        > 1 publish a 2 producer=7/0/1
          * Deduplicated { tag: 2, queue: QueueId(0) }
          * Deduplicated { tag: 2, queue: QueueId(1) }
        > 1 publish nowhere 6 producer=7/0/5; 1 publish b 4 producer=7/0/4
          1 refuse 7
          * m4 routed, 1 copies
          * m4 proposed b/1
          log 4: enqueue b/1 m4
          sync 4
        > written
          * enqueued a/0
          * enqueued a/1
          1 confirm 1
          1 confirm 3
        > synced
          * enqueued b/0
          * enqueued b/1
          1 confirm ..8
        a: 2 ready, 0 in flight
        b: 2 ready, 0 in flight
    "#]]
    .assert_eq(&run(config, script));
}

/// Row 28: publishes to several queues and acknowledgements are one entry; it is answered when that is as durable as the queues ask.
#[test]
fn transactions() {
    let config = BrokerConfig {
        queues: vec![
            durable("a", Durability::Os),
            durable("b", Durability::Fsync),
            queue("memory"),
        ],
        observe: true,
        ..Default::default()
    };
    let script = "1 publish a 1; written; 1.2 tx; 1.2 consume a
         1.2 publish b 2; 1.2 publish memory 3; 1.2 ack 1; mandatory 1.2 publish nowhere 4
         1.2 commit
         written
         synced
         1.2 publish memory 5; 1.2 publish memory 6; 1.2 commit
         1.2 commit";
    expect![[r#"
        > 1 publish a 1; written; 1.2 tx; 1.2 consume a
          * m1 routed, 1 copies
          * m1 proposed a/0
          log 1: enqueue a/0 m1
          * enqueued a/0
          1.2 done
          1.2 deliver m1 as 1 to 0
        > 1.2 publish b 2; 1.2 publish memory 3; 1.2 ack 1; mandatory 1.2 publish nowhere 4
        > 1.2 commit
          * m2 routed, 1 copies
          * m3 routed, 1 copies
          * m4 routed, 0 copies
          1.2 returned m4
          * m2 proposed b/0
          * m3 proposed memory/0
          log 2: enqueue b/0 m2 + remove a/0
          * enqueued memory/0
          sync 2
        > written
          * removed a/0: Acked
        > synced
          * enqueued b/0
          1.2 done
        > 1.2 publish memory 5; 1.2 publish memory 6; 1.2 commit
          * m5 routed, 1 copies
          * m6 routed, 1 copies
          * m5 proposed memory/1
          * m6 proposed memory/2
          * enqueued memory/1
          * enqueued memory/2
          1.2 done
        > 1.2 commit
          1.2 done
        a: 0 ready, 0 in flight
        b: 1 ready, 0 in flight
        memory: 3 ready, 0 in flight
    "#]]
    .assert_eq(&run(config, script));
}

/// Row 28: what was gathered is forgotten by a rollback, and by the end of the channel.
#[test]
fn transactions_that_do_not_happen() {
    let config = topology(&["a", "b"]);
    let script = "1 publish a 1; 1 publish a 2; 2 tx; 2 consume a
         2 publish b 3; 2 ack 1; 2 ack 1
         2 tx; 2 consume a; 2 publish b 4; 2 reject ..0; 2 rollback; 2 commit
         2 publish b 5; 2 ack 1; close 2
         3 commit; 3 confirm; 3 tx; 3.2 tx; 3.2 confirm
         4 consume a";
    expect![[r#"
        > 1 publish a 1; 1 publish a 2; 2 tx; 2 consume a
          2 done
          2 deliver m1 as 1 to 0
          2 deliver m2 as 2 to 0
        > 2 publish b 3; 2 ack 1; 2 ack 1
          2 closed 406: unknown delivery tag
        > 2 tx; 2 consume a; 2 publish b 4; 2 reject ..0; 2 rollback; 2 commit
          2 done
          2 deliver m1 as 1 to 0, redelivered
          2 deliver m2 as 2 to 0, redelivered
          2 done
          2 done
        > 2 publish b 5; 2 ack 1; close 2
        > 3 commit; 3 confirm; 3 tx; 3.2 tx; 3.2 confirm
          3 closed 406: the channel has no transaction
          3 closed 406: the channel has confirms
          3.2 done
          3.2 closed 406: the channel has transactions
        > 4 consume a
          4 deliver m1 as 1 to 0, redelivered
          4 deliver m2 as 2 to 0, redelivered
        a: 0 ready, 2 in flight
        b: 0 ready, 0 in flight
    "#]]
    .assert_eq(&run(config, script));
}

/// Row 28: a queue that refuses one publish refuses the whole; ids and sequences of it stay free.
#[test]
fn transactions_that_are_refused() {
    let mut config = topology(&["free", "bounded"]);
    config.queues[1].max_length = Some(2);
    config.queues[1].overflow = Overflow::RejectPublish;
    config.queues[0].policy.deduplicate = deduplicating(Durability::None, 9).policy.deduplicate;
    let script = "1 publish free 1; 2 tx; 2 consume free
         2 publish free 2 id=a producer=1/0/0; 2 publish bounded 3; 2 publish bounded 4; 2 publish bounded 5; 2 ack 1; 2 commit
         2 publish free 6 id=a producer=1/0/0; 2 publish free 7 id=a; 2 publish bounded 8; 2 publish bounded 9; 2 ack 1; 2 commit
         2 publish free 10 producer=1/0/2; 2 commit";
    expect![[r#"
        > 1 publish free 1; 2 tx; 2 consume free
          2 done
          2 deliver m1 as 1 to 0
        > 2 publish free 2 id=a producer=1/0/0; 2 publish bounded 3; 2 publish bounded 4; 2 publish bounded 5; 2 ack 1; 2 commit
          2 transaction failed
        > 2 publish free 6 id=a producer=1/0/0; 2 publish free 7 id=a; 2 publish bounded 8; 2 publish bounded 9; 2 ack 1; 2 commit
          2 done
          2 deliver m6 as 2 to 0
        > 2 publish free 10 producer=1/0/2; 2 commit
          2 transaction failed
        free: 0 ready, 1 in flight
        bounded: 2 ready, 0 in flight
    "#]].assert_eq(&run(config, script));
}

/// Row 28: a full queue that lets publishers wait makes the commit wait, until there is room for all of it.
#[test]
fn transactions_that_wait() {
    let mut config = topology(&["other", "q"]);
    config.queues[1].max_length = Some(2);
    config.queues[1].overflow = Overflow::Block;
    let script = "3 consume q 0 1; 1 publish q 1; 1 publish q 10; 2 tx
         2 publish q 2; 2 publish other 3; 2 publish q 4; 2 commit; 2 publish other 5; 2 commit
         1 publish q 6
         3 ack 1
         3 ack 2
         2 publish q 7; 2 publish q 8; 2 publish q 9; 2 commit";
    expect![[r#"
        > 3 consume q 0 1; 1 publish q 1; 1 publish q 10; 2 tx
          3 deliver m1 as 1 to 0
          2 done
        > 2 publish q 2; 2 publish other 3; 2 publish q 4; 2 commit; 2 publish other 5; 2 commit
          2 reading off
        > 1 publish q 6
          1 reading off
        > 3 ack 1
          3 deliver m10 as 2 to 0
          2 done
          2 done
          2 reading on
        > 3 ack 2
          3 deliver m2 as 3 to 0
          1 reading on
        > 2 publish q 7; 2 publish q 8; 2 publish q 9; 2 commit
          2 transaction failed
        other: 2 ready, 0 in flight
        q: 2 ready, 1 in flight
    "#]]
    .assert_eq(&run(config, script));
}
