//! What is allowed but suspicious.

use expect_test::{Expect, expect};
use queuelab_scenario::{Scenario, lint};

fn check(text: &str, expected: Expect) {
    let text = format!("duration = '1m'\nexpect = ['no-loss']\n{text}");
    let scenario =
        Scenario::parse("lint.toml", &text, &[]).unwrap_or_else(|error| panic!("{error}"));
    let lines: String = lint(&scenario)
        .iter()
        .map(|warning| format!("{warning}\n"))
        .collect();
    expected.assert_eq(&lines);
}

const QUEUE: &str = "queue = [{ name = 'q' }]\n";
const PRODUCER: &str = "producer = [{ name = 'p', to = 'q', rate = '10/s' }]\n";
const CONSUMER: &str = "consumer = [{ name = 'c', from = 'q', service = '10ms' }]\n";

#[test]
fn nothing_to_say() {
    check(&[QUEUE, PRODUCER, CONSUMER].concat(), expect![[""]]);
}

#[test]
fn a_bound_that_gives_up_the_highest_priority() {
    let queue = "queue = [{ name = 'q', max_priority = 9, max_length = 10 }]\n";
    let consumer = "consumer = [{ name = 'c', from = 'q', prefetch = 1, service = '10ms' }]\n";
    check(
        &[queue, PRODUCER, consumer].concat(),
        expect![[r#"
        at its bound the queue `q` gives up what would be served next, the highest priority first; write another `overflow`, or a queue for each priority
    "#]],
    );
}

#[test]
fn a_budget_without_a_log() {
    let memory = "queue = [{ name = 'q', kind = 'memory' }]\n";
    let budget = "cluster = { limits = { bodies = '1MiB' } }\n";
    check(
        &[budget, memory, PRODUCER, CONSUMER].concat(),
        expect![[r#"
            `limits.bodies` has no effect: no queue of this scenario has a log to read bodies back from; write kind = "durable", or leave it out
        "#]],
    );
    check(&[budget, QUEUE, PRODUCER, CONSUMER].concat(), expect![[""]]);
}

#[test]
fn a_budget_that_reaches_the_alarm_is_refused() {
    let refused = |limits: &str| {
        let text = format!("duration = '1m'\ncluster = {{ limits = {limits} }}\n{QUEUE}{PRODUCER}");
        let error = Scenario::parse("limits.toml", &text, &[]).err();
        error.map_or(String::new(), |error| error.to_string())
    };
    let both = refused("{ bodies = '2MiB', memory = '1MiB' }");
    assert!(
        both.contains("the budget for bodies reaches the memory alarm"),
        "{both}"
    );
    assert!(both.contains("write less than `limits.memory`"), "{both}");
    assert!(refused("{ bodies = '0B' }").contains("`bodies` cannot be 0"));
    assert_eq!(refused("{ bodies = '1MiB', memory = '2MiB' }"), "");
}

#[test]
fn loose_ends() {
    check(
        QUEUE,
        expect![[r#"
        nobody publishes to the queue `q`; let a producer or a binding name it, or leave it out
        nobody consumes the queue `q`; let a consumer name it in `from`
        there is no producer; add [[producer]]
    "#]],
    );
    check(
        &[QUEUE, PRODUCER, CONSUMER, "[[exchange]]\nname = 'x'"].concat(),
        expect![[r#"
        no queue is bound to the exchange `x`; add `bind` to a queue
        nobody publishes to the exchange `x`; let a producer name it in `to`, or leave it out
    "#]],
    );
    check(
        "exchange = [{ name = 'x', type = 'topic' }]
         queue = [{ name = 'q', bind = [{ exchange = 'x', key = 'a.*' }] }]
         producer = [{ name = 'p', to = { exchange = 'x', key = 'b.c' }, rate = '1/s' }]
         consumer = [{ name = 'c', from = 'q' }]",
        expect![[r#"
            messages of `p` with the key "b.c" match no binding of `x`; add a binding, or change the key
        "#]],
    );
    check(
        "exchange = [{ name = 'x', type = 'consistent-hash', hash = 'jump' }]
         queue = [{ name = 'q', bind = [{ exchange = 'x', weight = 2 }] }]
         producer = [{ name = 'p', to = 'x', rate = '1/s' }]
         consumer = [{ name = 'c', from = 'q' }]",
        expect![[r#"
            the exchange `x` hashes by jump, which knows no weights; use "ring" or "rendezvous"
            all messages of `p` have the same key, so `x` sends them to one queue; give the producer a `message_key`, and the target no `key`
        "#]],
    );
}

#[test]
fn overload_without_end() {
    let overload = |queue: &str| {
        format!(
            "queue = [{{ name = 'q'{queue} }}]\nproducer = [{{ name = 'p', to = 'q', rate = '100/s' }}]\n{CONSUMER}"
        )
    };
    check(
        &overload(""),
        expect![[r#"
            the queue `q` is offered 100.0/s at the end, its consumers can do 100.0/s: the backlog grows without end; add a phase in which it drains, a bound, or consumers
        "#]],
    );
    check(&overload(", max_length = 10"), expect![[""]]);
}

#[test]
fn clients() {
    check(
        &[
            QUEUE,
            PRODUCER,
            "consumer = [{ name = 'c', from = 'q', service = '10ms', prefetch = 0, weight = 2 }]",
        ]
        .concat(),
        expect![[r#"
        `c` has no prefetch limit: one member may take the whole backlog into its buffer; write `prefetch`, about twice what it can serve within a round trip
        the weight of `c` has no effect; use dispatch = "weighted-round-robin" or "weighted-least-connections"
    "#]],
    );
    check(&[QUEUE, PRODUCER, "consumer = [{ name = 'c', from = 'q', service = '50ms', prefetch = 5_000, concurrency = 2 }]"].concat(), expect![[r#"
        a full prefetch of `c` holds 125 s of work: other members cannot help; write a smaller `prefetch`
    "#]]);
    check(&[QUEUE, PRODUCER, "consumer = [{ name = 'c', from = 'q', service = '10ms', prefetch = 1, concurrency = 2 }]"].concat(), expect![[r#"
        `c` serves 2 at a time, but gets only 1; raise `prefetch`
    "#]]);
    check(&[QUEUE, CONSUMER, "producer = [{ name = 'p', to = 'q', rate = '10/s', persistent = false, confirm = false }]"].concat(), expect![[r#"
        the queue `q` is durable, but messages of `p` are not persistent: a restart forgets them; write persistent = true, or kind = "memory"
        `p` waits for no confirms: what the disk has not synced may be lost without a trace; leave `confirm` out
    "#]]);
    check(
        &[QUEUE, PRODUCER, "consumer = [{ name = 'c', from = 'q', ack = 'auto' }]\nfault = [{ kind = 'consumer-crash', at = '1s', for = '1s', target = 'c' }]"].concat(),
        expect![[r#"
            `c` crashes, and with ack = "auto" loses what it was working on; write ack = "manual"
        "#]],
    );
}

#[test]
fn a_suggestion_is_tried_out() {
    check(
        &[
            QUEUE,
            PRODUCER,
            CONSUMER,
            "try = [{ set = 'consumer.x.count=2', ask = '?' }]",
        ]
        .concat(),
        expect![[r#"
        the suggestion `consumer.x.count=2` does not work: there is no consumer `x`; correct it
    "#]],
    );
}

#[test]
fn features_that_miss_each_other() {
    for (queue, producer, consumer, expected) in [
        (
            "partitions = 4",
            "",
            "count = 3, service = '1ms'",
            expect![[r#"
                the members of `c` compete for each partition of `q`: the order per key is lost; write single_active = true on the queue, or use a stream with a `group`
            "#]],
        ),
        (
            "ttl = '5ms'",
            "",
            "service = '10ms'",
            expect![[r#"
            messages of `q` live for 5 ms, and a service of `c` takes 10 ms on average: what waits for one expires; write a longer `ttl`
        "#]],
        ),
        (
            "max_priority = 5",
            ", priority = 3",
            "service = '10ms'",
            expect![[r#"
                a member of `c` holds 50 messages of `q`: priorities sort only what waits in the queue; write a small `prefetch`
            "#]],
        ),
        (
            "ack_timeout = '1s'",
            "",
            "service = { dist = 'exponential', mean = '300ms' }, count = 9",
            expect![[r#"
                one service in a hundred of `c` takes more than 1.38 s, and the lock 1 s: messages come back while they are worked on; write a longer lock, or `renew`
            "#]],
        ),
        (
            "ack_timeout = '1s'",
            "",
            "service = '40ms'",
            expect![[r#"
            a full prefetch of `c` takes 2 s, and the lock 1 s: messages come back before their turn; write a smaller `prefetch`, a longer lock, or `renew`
        "#]],
        ),
        (
            "backlog = 5",
            ", priority = 3, group_by_key = true, id = true",
            "poison = 0.1, service = '1ms'",
            expect![[r#"
                poisoned messages of `q` come back without end; write a `delivery_limit` on the queue
                the priority of `p` has no effect; write `max_priority` on the queue
                `group_by_key` of `p` has no effect; write groups = true on the queue
                `id` of `p` has no effect; write `deduplicate` on the queue
            "#]],
        ),
    ] {
        let text = format!(
            "queue = [{{ name = 'q', {queue} }}]\nproducer = [{{ name = 'p', to = 'q', rate = '10/s'{producer} }}]\nconsumer = [{{ name = 'c', from = 'q', {consumer} }}]"
        );
        check(&text, expected);
    }
}

#[test]
fn pipelines_and_exchanges_behind_exchanges_have_no_loose_ends() {
    check(
        "exchange = [{ name = 'in', type = 'topic', alternate = 'rest' }, { name = 'mid', type = 'fanout', bind = [{ exchange = 'in', key = 'a.*' }] }, { name = 'rest', type = 'fanout' }]
         queue = [{ name = 'q', bind = [{ exchange = 'mid' }] }, { name = 'r', bind = [{ exchange = 'rest' }] }, { name = 'next' }]
         producer = [{ name = 'p', to = { exchange = 'in', key = 'a.b' }, rate = '1/s' }]
         consumer = [{ name = 'c', from = 'q', then = { to = 'next' } }, { name = 'd', from = ['r', 'next'] }]",
        expect![[""]],
    );
}
