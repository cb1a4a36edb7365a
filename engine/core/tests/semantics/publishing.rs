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
