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
