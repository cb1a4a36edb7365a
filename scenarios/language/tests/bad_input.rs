//! Whatever is wrong is said with its place and with what to write instead; nothing panics.

use std::fs;
use std::path::{Path, PathBuf};

use expect_test::{Expect, expect};
use proptest::prelude::*;
use queuelab_scenario::{Error, LARGEST_FILE, Scenario, library};

/// A sound scenario, to be spoilt.
const GOOD: &str = r#"title = "Good"
phases = [{ name = "calm", for = "10s" }, { name = "storm", for = "10s" }]
expect = ["no-loss"]

[cluster]
profile = "lan"

[[exchange]]
name = "shop"
type = "topic"

[[queue]]
name = "orders"
bind = [{ exchange = "shop", key = "order.*" }]
max_length = 100
overflow = "block"

[[queue]]
name = "dead"

[[producer]]
name = "checkout"
to = { queue = "orders" }
rate = "200/s"

[[consumer]]
name = "workers"
from = "orders"
prefetch = 10
service = "20ms"

[[fault]]
name = "crash"
kind = "crash"
at = "2s"
for = "1s"
"#;

/// What is said about `GOOD` after the replacements.
fn check(replacements: &[(&str, &str)], expected: Expect) {
    let mut text = GOOD.to_string();
    for (from, to) in replacements {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    check_text(&text, &[], expected);
}

fn check_override(text: &str, expected: Expect) {
    check_text(GOOD, &[text], expected);
}

fn check_text(text: &str, overrides: &[&str], expected: Expect) {
    let overrides: Vec<_> = overrides.iter().map(|text| text.to_string()).collect();
    let error = Scenario::parse("bad.toml", text, &overrides).expect_err("it is bad");
    // Snapshots without spaces at line ends, which editors remove.
    let rendered: String = error
        .to_string()
        .lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect();
    expected.assert_eq(&rendered);
}

/// Bodies of 100 bytes or, now and then, of 2 KiB: ten of them usually fit.
#[test]
fn a_transaction_that_may_fit_is_not_refused() {
    let text = GOOD
        .replacen("max_length = 100", "max_bytes = \"5KiB\"", 1)
        .replacen(
            "rate = \"200/s\"",
            "rate = \"200/s\"\ntransaction = 10\nsize = { dist = \"bimodal\", small = \"100B\", large = \"2KiB\", share = 0.02 }",
            1,
        );
    if let Err(error) = Scenario::parse("good.toml", &text, &[]) {
        panic!("{error}");
    }
}

#[test]
fn the_good_one_is_good() {
    Scenario::parse("good.toml", GOOD, &[]).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn keys() {
    check(
        &[("max_length", "max_lenght")],
        expect![[r#"
        error: unknown key `max_lenght`
          --> bad.toml:15:1
           |
        15 | max_lenght = 100
           | ^^^^^^^^^^
           |
           = help: did you mean `max_length`?
    "#]],
    );
    check(
        &[("prefetch = 10", "qqq = 10")],
        expect![[r#"
            error: unknown key `qqq`
              --> bad.toml:29:1
               |
            29 | qqq = 10
               | ^^^
               |
               = help: known here: name, from, count, prefetch, service, concurrency, ack, every, nack, weight, reconnect, reconnect_spread, service_by_phase, channel_prefetch, priority, exclusive, selector, pull, renew, group, offset, poison, rate_cap, slow, start, churn, patience, then
        "#]],
    );
    check(
        &[("title", "titel")],
        expect![[r#"
        error: unknown key `titel`
         --> bad.toml:1:1
          |
        1 | titel = "Good"
          | ^^^^^
          |
          = help: did you mean `title`?
    "#]],
    );
    check(
        &[("[[producer]]", "[[producers]]")],
        expect![[r#"
        error: unknown key `producers`
          --> bad.toml:21:3
           |
        21 | [[producers]]
           |   ^^^^^^^^^
           |
           = help: did you mean `producer`?
    "#]],
    );
    check(
        &[("max_length = 100", "max_length = 100\nreplicas = 3")],
        expect![[r#"
            error: the key `replicas` is not supported yet
              --> bad.toml:16:1
               |
            16 | replicas = 3
               | ^^^^^^^^
               |
               = help: leave it out
        "#]],
    );
    check(
        &[("name = \"dead\"", "")],
        expect![[r#"
        error: the key `name` is missing
          --> bad.toml:18:1
           |
        18 | [[queue]]
           | ^^^^^^^^^ in this table
    "#]],
    );
    check(
        &[("overflow = \"block\"", "overflow = \"blok\"")],
        expect![[r#"
        error: `blok` is not a known value here
          --> bad.toml:16:12
           |
        16 | overflow = "blok"
           |            ^^^^^^
           |
           = help: did you mean `block`?
    "#]],
    );
    check(
        &[("name = \"dead\"", "name = \"dead\"\nkind = \"quorum\"")],
        expect![[r#"
            error: `quorum` is not supported yet
              --> bad.toml:20:8
               |
            20 | kind = "quorum"
               |        ^^^^^^^^
               |
               = help: there are `memory`, `durable`, `stream`
        "#]],
    );
}

#[test]
fn units() {
    check(
        &[("service = \"20ms\"", "service = 20")],
        expect![[r#"
        error: expected a duration such as "20ms", or a table such as { dist = "exponential", mean = "20ms" }
          --> bad.toml:30:11
           |
        30 | service = 20
           |           ^^ found the integer 20
           |
           = help: say of what: "20us", "20ms", "20s" or "20m"
    "#]],
    );
    check(
        &[("service = \"20ms\"", "service = \"20\"")],
        expect![[r#"
        error: "20" has no unit: write "20ms", "20s" or "20m"
          --> bad.toml:30:11
           |
        30 | service = "20"
           |           ^^^^
    "#]],
    );
    check(
        &[("service = \"20ms\"", "service = \"20 parsecs\"")],
        expect![[r#"
        error: `parsecs` is not a unit of time; they are ns, us, ms, s, m, h, d
          --> bad.toml:30:11
           |
        30 | service = "20 parsecs"
           |           ^^^^^^^^^^^^
    "#]],
    );
    check(
        &[("rate = \"200/s\"", "rate = 200")],
        expect![[r#"
        error: expected a rate such as "200/s", a ramp such as ["200/s", "4000/s"], or a table of rates by phase
          --> bad.toml:24:8
           |
        24 | rate = 200
           |        ^^^ found the integer 200
           |
           = help: say per what: "200/s" or "200/m"
    "#]],
    );
    check(
        &[("rate = \"200/s\"", "rate = \"200\"")],
        expect![[r#"
        error: a rate says per what: write "200/s"
          --> bad.toml:24:8
           |
        24 | rate = "200"
           |        ^^^^^
    "#]],
    );
    check(
        &[("rate = \"200/s\"", "rate = \"-200/s\"")],
        expect![[r#"
        error: "-200/s" is negative
          --> bad.toml:24:8
           |
        24 | rate = "-200/s"
           |        ^^^^^^^^
    "#]],
    );
    check(
        &[("rate = \"200/s\"", "rate = \"200/s\"\nsize = 700")],
        expect![[r#"
        error: expected a size such as "700B", or a table such as { dist = "lognormal", median = "700B", p99 = "8KiB" }
          --> bad.toml:25:8
           |
        25 | size = 700
           |        ^^^ found the integer 700
           |
           = help: say of what: "700B" or "700KiB"
    "#]],
    );
    check(
        &[("max_length = 100", "max_length = -1")],
        expect![[r#"
        error: -1 is negative
          --> bad.toml:15:14
           |
        15 | max_length = -1
           |              ^^
    "#]],
    );
    check(
        &[("max_length = 100", "max_length = 0")],
        expect![[r#"
        error: `max_length` cannot be 0
          --> bad.toml:15:14
           |
        15 | max_length = 0
           |              ^
           |
           = help: write a number from 1 to 1_000_000_000_000
    "#]],
    );
    check(
        &[("max_length = 100", "max_length = \"100\"")],
        expect![[r#"
        error: expected a whole number, such as 20
          --> bad.toml:15:14
           |
        15 | max_length = "100"
           |              ^^^^^ found the text "100"
    "#]],
    );
    check(
        &[("max_length = 100", "max_length = 99999999999999999999")],
        expect![[r#"
        error: the number is too large
          --> bad.toml:15:14
           |
        15 | max_length = 99999999999999999999
           |              ^^^^^^^^^^^^^^^^^^^^
    "#]],
    );
    check(
        &[("rate = \"200/s\"", "rate = \"0/s\"")],
        expect![[r#"
        error: the rate is 0 throughout
          --> bad.toml:24:8
           |
        24 | rate = "0/s"
           |        ^^^^^
           |
           = help: leave the producer out
    "#]],
    );
    check(
        &[("prefetch = 10", "nack = { probability = nan }")],
        expect![[r#"
        error: the number must be finite
          --> bad.toml:29:24
           |
        29 | nack = { probability = nan }
           |                        ^^^
    "#]],
    );
    check(
        &[("prefetch = 10", "nack = { probability = 1.5 }")],
        expect![[r#"
        error: `probability` is out of range
          --> bad.toml:29:24
           |
        29 | nack = { probability = 1.5 }
           |                        ^^^
           |
           = help: write a number from 0 to 1
    "#]],
    );
    check(
        &[(
            "{ name = \"calm\", for = \"10s\" }",
            "{ name = \"calm\", for = \"11y\" }",
        )],
        expect![[r#"
        error: `y` is not a unit of time; they are ns, us, ms, s, m, h, d
         --> bad.toml:2:34
          |
        2 | phases = [{ name = "calm", for = "11y" }, { name = "storm", for = "10s" }]
          |                                  ^^^^^
    "#]],
    );
}

#[test]
fn names() {
    check(
        &[("queue = \"orders\"", "queue = \"order\"")],
        expect![[r#"
        error: there is no queue `order`
          --> bad.toml:23:16
           |
        23 | to = { queue = "order" }
           |                ^^^^^^^
           |
           = help: did you mean `orders`?
    "#]],
    );
    check(
        &[("from = \"orders\"", "from = [\"orders\", \"ordres\"]")],
        expect![[r#"
        error: there is no queue `ordres`
          --> bad.toml:28:19
           |
        28 | from = ["orders", "ordres"]
           |                   ^^^^^^^^
           |
           = help: did you mean `orders`?
    "#]],
    );
    check(
        &[("exchange = \"shop\"", "exchange = \"shoop\"")],
        expect![[r#"
        error: there is no exchange `shoop`
          --> bad.toml:14:22
           |
        14 | bind = [{ exchange = "shoop", key = "order.*" }]
           |                      ^^^^^^^
           |
           = help: did you mean `shop`?
    "#]],
    );
    check(
        &[("name = \"dead\"", "name = \"orders\"")],
        expect![[r#"
        error: there are two queues named `orders`
          --> bad.toml:19:8
           |
        19 | name = "orders"
           |        ^^^^^^^^ this is the second
    "#]],
    );
    check(
        &[("name = \"dead\"", "name = \"the dead\"")],
        expect![[r#"
        error: the name of the queue may not hold spaces, quotes, braces, <, > or =
          --> bad.toml:19:8
           |
        19 | name = "the dead"
           |        ^^^^^^^^^^
    "#]],
    );
    check(
        &[("rate = \"200/s\"", "rate = { calm = \"1/s\" }")],
        expect![[r#"
        error: there is no rate for the phase `storm`
          --> bad.toml:24:8
           |
        24 | rate = { calm = "1/s" }
           |        ^^^^^^^^^^^^^^^^
           |
           = help: add it, or `else = "200/s"` for all others
    "#]],
    );
    check(
        &[(
            "rate = \"200/s\"",
            "rate = { clam = \"1/s\", else = \"2/s\" }",
        )],
        expect![[r#"
        error: there is no phase `clam`
          --> bad.toml:24:10
           |
        24 | rate = { clam = "1/s", else = "2/s" }
           |          ^^^^
           |
           = help: did you mean `calm`?
    "#]],
    );
    check(
        &[("at = \"2s\"", "during = \"strom\"")],
        expect![[r#"
        error: there is no phase `strom`
          --> bad.toml:35:10
           |
        35 | during = "strom"
           |          ^^^^^^^
           |
           = help: did you mean `storm`?
    "#]],
    );
    check(
        &[("kind = \"crash\"", "kind = \"crash\"\ntarget = \"n2\"")],
        expect![[r#"
        error: there is no node `n2`
          --> bad.toml:35:10
           |
        35 | target = "n2"
           |          ^^^^
           |
           = help: the only node is `n1`
    "#]],
    );
    check(
        &[(
            "kind = \"crash\"",
            "kind = \"consumer-crash\"\ntarget = \"worker\"",
        )],
        expect![[r#"
            error: `worker` is not a group of consumers
              --> bad.toml:35:10
               |
            35 | target = "worker"
               |          ^^^^^^^^
               |
               = help: did you mean `workers`?
        "#]],
    );
}

#[test]
fn contradictions() {
    check(
        &[("prefetch = 10", "prefetch = 10\nevery = 20")],
        expect![[r#"
        error: one ack for 20 messages, but a prefetch of 10: the consumer would wait forever
          --> bad.toml:30:9
           |
        30 | every = 20
           |         ^^
           |
           = help: write a `prefetch` of 20 or more, or a smaller `every`
    "#]],
    );
    check(
        &[("title", "duration = \"1m\"\ntitle")],
        expect![[r#"
        error: `duration` and `phases` contradict each other
         --> bad.toml:1:12
          |
        1 | duration = "1m"
          |            ^^^^
          |
          = help: leave one out
    "#]],
    );
    check(
        &[("phases", "#")],
        expect![[r#"
        error: the scenario has no end
         --> bad.toml:1:1
          |
        1 | title = "Good"
          | ^
          |
          = help: add `duration = "1m"`, or `phases`
    "#]],
    );
    check(
        &[("overflow = \"block\"", "overflow = \"dead-letter\"")],
        expect![[r#"
        error: `overflow = "dead-letter"` needs a `dead_letter` target
          --> bad.toml:16:12
           |
        16 | overflow = "dead-letter"
           |            ^^^^^^^^^^^^^
           |
           = help: add `dead_letter` with the name of a queue or an exchange
    "#]],
    );
    check(
        &[("max_length = 100", "")],
        expect![[r#"
        error: `overflow` without a bound never happens
          --> bad.toml:16:12
           |
        16 | overflow = "block"
           |            ^^^^^^^
           |
           = help: add `max_length` or `max_bytes`
    "#]],
    );
    check(
        &[("overflow = \"block\"", "dead_letter = \"orders\"")],
        expect![[r#"
        error: the queue `orders` is its own dead-letter target
          --> bad.toml:16:15
           |
        16 | dead_letter = "orders"
           |               ^^^^^^^^
           |
           = help: name another queue
    "#]],
    );
    check(
        &[(
            "name = \"dead\"",
            "name = \"dead\"\ndead_letter = \"orders\"",
        )],
        expect![[r#"
        error: the dead-letter target `orders` blocks when it is full, but a dead letter cannot wait
          --> bad.toml:20:15
           |
        20 | dead_letter = "orders"
           |               ^^^^^^^^
           |
           = help: give `orders` another `overflow`
    "#]],
    );
    check(
        &[(
            "name = \"dead\"",
            "name = \"dead\"\nkind = \"memory\"\ndurability = \"os\"",
        )],
        expect![[r#"
        error: a memory queue has no durability
          --> bad.toml:21:14
           |
        21 | durability = "os"
           |              ^^^^
           |
           = help: leave it out, or write kind = "durable"
    "#]],
    );
    check(
        &[("at = \"2s\"", "at = \"2m\"")],
        expect![[r#"
        error: the run ends at 20 s, before the fault
          --> bad.toml:35:6
           |
        35 | at = "2m"
           |      ^^^^
    "#]],
    );
    check(
        &[("for = \"1s\"\n", "for = \"1m\"\n")],
        expect![[r#"
        error: the fault would last until 1m02s, but the run ends at 20 s
          --> bad.toml:36:7
           |
        36 | for = "1m"
           |       ^^^^
           |
           = help: end the fault within the run, so that what follows is seen
    "#]],
    );
    check(
        &[(
            "rate = \"200/s\"",
            "arrivals = \"closed\"\nrate = \"200/s\"",
        )],
        expect![[r#"
        error: closed arrivals have no `rate`: each message waits for the one before
          --> bad.toml:25:8
           |
        25 | rate = "200/s"
           |        ^^^^^^^
           |
           = help: write `think`, or other arrivals
    "#]],
    );
    check(
        &[("rate = \"200/s\"", "")],
        expect![[r#"
        error: the producer `checkout` has no rate
          --> bad.toml:21:1
           |
        21 | [[producer]]
           | ^^^^^^^^^^^^
           |
           = help: add `rate = "200/s"`
    "#]],
    );
    check(
        &[(
            "prefetch = 10",
            "nack = { probability = 1, requeue = true }",
        )],
        expect![[r#"
        error: every message is refused and comes back: nothing is ever finished
          --> bad.toml:29:8
           |
        29 | nack = { probability = 1, requeue = true }
           |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
           |
           = help: write a probability below 1, or `requeue = false`
    "#]],
    );
    check(
        &[
            ("max_length = 100", "max_length = 5"),
            ("rate = \"200/s\"", "rate = \"200/s\"\ntransaction = 10"),
        ],
        expect![[r#"
            error: a transaction of 10 messages never fits into the queue `orders`: it would be refused each time
              --> bad.toml:25:15
               |
            25 | transaction = 10
               |               ^^
               |
               = help: write a smaller `transaction`, a larger bound, or another `overflow`
        "#]],
    );
    check(
        &[
            ("max_length = 100", "max_bytes = \"500B\""),
            ("rate = \"200/s\"", "rate = \"200/s\"\ntransaction = 10"),
        ],
        expect![[r#"
            error: a transaction of 10 messages never fits into the queue `orders`: it would be refused each time
              --> bad.toml:25:15
               |
            25 | transaction = 10
               |               ^^
               |
               = help: write a smaller `transaction`, a larger bound, or another `overflow`
        "#]],
    );
    check(
        &[
            (
                "overflow = \"block\"",
                "dead_letter = { queue = \"dead\", at_least_once = true }\noverflow = \"block\"",
            ),
            (
                "name = \"dead\"",
                "name = \"dead\"\nmax_bytes = \"1KiB\"\noverflow = \"reject-publish\"",
            ),
            (
                "rate = \"200/s\"",
                "rate = \"200/s\"\nsize = { dist = \"bimodal\", small = \"100B\", large = \"2KiB\", share = 0.02 }",
            ),
        ],
        expect![[r#"
            error: bodies of 2048 bytes never fit into the queue `dead`: as dead letters of `orders` they would wait for it forever, and others behind them
              --> bad.toml:28:8
               |
            28 | size = { dist = "bimodal", small = "100B", large = "2KiB", share = 0.02 }
               |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
               |
               = help: write a larger `max_bytes`, another `overflow`, or leave `at_least_once` out
        "#]],
    );
    check(
        &[("max_length = 100", "max_bytes = \"10B\"")],
        expect![[r#"
        error: bodies of 100 bytes never fit into the queue `orders`: its producers would block forever
          --> bad.toml:21:1
           |
        21 | [[producer]]
           | ^^^^^^^^^^^^
           |
           = help: write a larger `max_bytes`, or another `overflow`
    "#]],
    );
    check(
        &[
            (
                "overflow = \"block\"",
                "overflow = \"dead-letter\"\ndead_letter = \"dead\"",
            ),
            (
                "name = \"dead\"",
                "name = \"dead\"\nmax_length = 1\noverflow = \"dead-letter\"\ndead_letter = \"orders\"",
            ),
        ],
        expect![[r#"
            error: full queues displace messages to each other in a circle
              --> bad.toml:17:15
               |
            17 | dead_letter = "dead"
               |               ^^^^^^
               |
               = help: let one of them drop or reject instead
        "#]],
    );
    check(
        &[
            ("profile = \"lan\"", "profile = \"ideal\""),
            ("rate = \"200/s\"", "arrivals = \"closed\""),
            ("service = \"20ms\"", ""),
        ],
        expect![[r#"
        error: the closed loop of `checkout` takes no time at all: the run would never get past its first moment
          --> bad.toml:21:1
           |
        21 | [[producer]]
           | ^^^^^^^^^^^^
           |
           = help: give it a `think` time or a `limit`, or let the service take time
    "#]],
    );
    check(
        &[("profile = \"lan\"", "nodes = 3")],
        expect![[r#"
        error: more than one node is not supported yet
         --> bad.toml:6:9
          |
        6 | nodes = 3
          |         ^
          |
          = help: write 1, or leave it out
    "#]],
    );
    check(
        &[(
            "service = \"20ms\"",
            "service = { dist = \"exponential\", p99 = \"1s\" }",
        )],
        expect![[r#"
        error: the distribution has no `mean`
          --> bad.toml:30:11
           |
        30 | service = { dist = "exponential", p99 = "1s" }
           |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
           |
           = help: it takes `mean`

        error: `p99` does not belong to this distribution
          --> bad.toml:30:41
           |
        30 | service = { dist = "exponential", p99 = "1s" }
           |                                         ^^^^
           |
           = help: it takes `mean`
    "#]],
    );
    check(
        &[(
            "service = \"20ms\"",
            "service = { median = \"2s\", p99 = \"1s\" }",
        )],
        expect![[r#"
        error: `median` must be above 0 and below `p99`
          --> bad.toml:30:11
           |
        30 | service = { median = "2s", p99 = "1s" }
           |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#]],
    );
    check(
        &[(
            "type = \"topic\"",
            "type = \"consistent-hash\"\nhash = { kind = \"maglev\", table = 1000 }",
        )],
        expect![[r#"
        error: the size of a Maglev table is a prime, so that its permutations reach every slot
          --> bad.toml:11:35
           |
        11 | hash = { kind = "maglev", table = 1000 }
           |                                   ^^^^
           |
           = help: the next one is 1_009
    "#]],
    );
    check(
        &[(
            "name = \"checkout\"",
            "name = \"checkout\"\ncount = 4_000_000_000",
        )],
        expect![[r#"
        error: `count` is out of range
          --> bad.toml:23:9
           |
        23 | count = 4_000_000_000
           |         ^^^^^^^^^^^^^
           |
           = help: write a number from 1 to 100_000
    "#]],
    );
}

#[test]
fn expectations() {
    let spoilt = |sentence: &str, expected: Expect| {
        check(&[("\"no-loss\"", &format!("\"{sentence}\""))], expected)
    };
    spoilt(
        "no-los",
        expect![[r#"
        error: `no-los` is not a metric or an invariant
         --> bad.toml:3:12
          |
        3 | expect = ["no-los"]
          |            ^^^^^^
          |
          = help: did you mean `no-loss`?
    "#]],
    );
    spoilt(
        "latency.end_to_end.p99 < 200",
        expect![[r#"
        error: `latency.end_to_end.p99` is a time: "200" has no unit
         --> bad.toml:3:37
          |
        3 | expect = ["latency.end_to_end.p99 < 200"]
          |                                     ^^^
          |
          = help: write `200ms`, `200s` or `200m`
    "#]],
    );
    spoilt(
        "latency.end_to_end.p101 < 200ms",
        expect![[r#"
        error: `latency.end_to_end.p101` is not a metric
         --> bad.toml:3:12
          |
        3 | expect = ["latency.end_to_end.p101 < 200ms"]
          |            ^^^^^^^^^^^^^^^^^^^^^^^
          |
          = help: did you mean `latency.end_to_end.p50`?
    "#]],
    );
    spoilt(
        "latency.endtoend.p99 < 200ms",
        expect![[r#"
        error: `latency.endtoend.p99` is not a metric
         --> bad.toml:3:12
          |
        3 | expect = ["latency.endtoend.p99 < 200ms"]
          |            ^^^^^^^^^^^^^^^^^^^^
          |
          = help: did you mean `latency.end_to_end.p99`?
    "#]],
    );
    spoilt(
        "backlog.max < 5m",
        expect![[r#"
        error: `backlog.max` is a number of messages, not "5m"
         --> bad.toml:3:26
          |
        3 | expect = ["backlog.max < 5m"]
          |                          ^^
          |
          = help: write a plain number, such as `200_000`
    "#]],
    );
    spoilt(
        "utilisation of workers < 60",
        expect![[r#"
        error: `utilisation` is a share: "60" without % is above 1
         --> bad.toml:3:37
          |
        3 | expect = ["utilisation of workers < 60"]
          |                                     ^^
          |
          = help: write `60%`, or a number from 0 to 1; a share above 1 is written with % too: `105%`
    "#]],
    );
    spoilt(
        "budget_use.max < 1.05",
        expect![[r#"
        error: `budget_use.max` is a share: "1.05" without % is above 1
         --> bad.toml:3:29
          |
        3 | expect = ["budget_use.max < 1.05"]
          |                             ^^^^
          |
          = help: write `1.05%`, or a number from 0 to 1; a share above 1 is written with % too: `105%`
    "#]],
    );
    for share in ["105%", "1", "0.6", "60 %"] {
        let expectation = format!("expect = [\"budget_use.max < {share}\"]");
        let text = GOOD.replacen("expect = [\"no-loss\"]", &expectation, 1);
        Scenario::parse("good.toml", &text, &[]).expect(share);
    }
    spoilt(
        "backlog.max of order < 5",
        expect![[r#"
        error: there is no queue `order`
         --> bad.toml:3:27
          |
        3 | expect = ["backlog.max of order < 5"]
          |                           ^^^^^
          |
          = help: did you mean `orders`?
    "#]],
    );
    spoilt(
        "backlog.max < 5 in strom",
        expect![[r#"
        error: there is no phase `strom`
         --> bad.toml:3:31
          |
        3 | expect = ["backlog.max < 5 in strom"]
          |                               ^^^^^
          |
          = help: did you mean `storm`?
    "#]],
    );
    spoilt(
        "drain_time < 5m in storm",
        expect![[r#"
        error: `drain_time` is of the whole run only
         --> bad.toml:3:28
          |
        3 | expect = ["drain_time < 5m in storm"]
          |                            ^^^^^^^^
    "#]],
    );
    spoilt(
        "backlog.max",
        expect![[r#"
        error: `backlog.max` is compared with nothing
         --> bad.toml:3:12
          |
        3 | expect = ["backlog.max"]
          |            ^^^^^^^^^^^
          |
          = help: for example: "latency.end_to_end.p99 < 200ms in after", "backlog.max of orders < 200_000", "no-loss"
    "#]],
    );
    spoilt(
        "backlog.max <",
        expect![[r#"
        error: nothing to compare with
         --> bad.toml:3:24
          |
        3 | expect = ["backlog.max <"]
          |                        ^
          |
          = help: for example: "latency.end_to_end.p99 < 200ms in after", "backlog.max of orders < 200_000", "no-loss"
    "#]],
    );
    spoilt(
        "rate.acked > 100",
        expect![[r#"
        error: `rate.acked` is a rate: "100" has no unit
         --> bad.toml:3:25
          |
        3 | expect = ["rate.acked > 100"]
          |                         ^^^
          |
          = help: write `100/s`
    "#]],
    );
    spoilt(
        "violates",
        expect![[r#"
        error: violates what?
         --> bad.toml:3:12
          |
        3 | expect = ["violates"]
          |            ^^^^^^^^
          |
          = help: for example: "violates no-loss of orders"
    "#]],
    );
    spoilt(
        "no-loss of ordres",
        expect![[r#"
        error: there is no queue `ordres`
         --> bad.toml:3:23
          |
        3 | expect = ["no-loss of ordres"]
          |                       ^^^^^^
          |
          = help: did you mean `orders`?
    "#]],
    );
    spoilt(
        "",
        expect![[r#"
        error: the expectation is empty
         --> bad.toml:3:11
          |
        3 | expect = [""]
          |           ^
          |
          = help: for example: "latency.end_to_end.p99 < 200ms in after", "backlog.max of orders < 200_000", "no-loss"
    "#]],
    );
    check(
        &[("title", "answer = \"It took {drain_tim}.\"\ntitle")],
        expect![[r#"
        error: `drain_tim` is not a metric
         --> bad.toml:1:20
          |
        1 | answer = "It took {drain_tim}."
          |                    ^^^^^^^^^
          |
          = help: did you mean `drain_time`?
    "#]],
    );
    check(
        &[("title", "answer = \"It took {drain_time.\"\ntitle")],
        expect![[r#"
        error: a brace without its partner
         --> bad.toml:1:19
          |
        1 | answer = "It took {drain_time."
          |                   ^
          |
          = help: write `{{` for a brace
    "#]],
    );
}

#[test]
fn policies_of_queues() {
    let queue = |more: &str| format!("max_length = 100\n{more}");
    for (more, expected) in [
        (
            "max_priority = 256",
            expect![[r#"
            error: `max_priority` is out of range
              --> bad.toml:16:16
               |
            16 | max_priority = 256
               |                ^^^
               |
               = help: write a number from 1 to 255
        "#]],
        ),
        (
            "delivery_limit = -1",
            expect![[r#"
            error: -1 is negative
              --> bad.toml:16:18
               |
            16 | delivery_limit = -1
               |                  ^^
        "#]],
        ),
        (
            "retry_delay = { base = '5s', max = '1s' }",
            expect![[r#"
            error: the longest delay is shorter than the first
              --> bad.toml:16:36
               |
            16 | retry_delay = { base = '5s', max = '1s' }
               |                                    ^^^^
        "#]],
        ),
        (
            "retry_delay = { base = '5s', growth = 'fixed', max = '9s' }",
            expect![[r#"
                error: `max` belongs to a delay that grows
                  --> bad.toml:16:54
                   |
                16 | retry_delay = { base = '5s', growth = 'fixed', max = '9s' }
                   |                                                      ^^^^
            "#]],
        ),
        (
            "ack_timeout = '0s'",
            expect![[r#"
            error: `ack_timeout` cannot be 0
              --> bad.toml:16:15
               |
            16 | ack_timeout = '0s'
               |               ^^^^
        "#]],
        ),
        (
            "ack_timeout = { after = '1m', action = 'close' }",
            expect![[r#"
                error: `close` is not a known value here
                  --> bad.toml:16:40
                   |
                16 | ack_timeout = { after = '1m', action = 'close' }
                   |                                        ^^^^^^^
                   |
                   = help: there are `requeue`, `close-channel`
            "#]],
        ),
        (
            "dead_letter = { queue = 'dead', at_least_once = true }\noverflow = 'drop-head'",
            expect![[r#"
                error: `at_least_once` cannot be promised by a queue that drops or moves messages when it is full
                  --> bad.toml:16:49
                   |
                16 | dead_letter = { queue = 'dead', at_least_once = true }
                   |                                                 ^^^^
                   |
                   = help: write overflow = "reject-publish" or "block", or leave the bound out
            "#]],
        ),
        (
            "retention = { max_age = '1h' }",
            expect![[r#"
            error: `retention` belongs to kind = "stream"
              --> bad.toml:16:13
               |
            16 | retention = { max_age = '1h' }
               |             ^^^^^^^^^^^^^^^^^^
        "#]],
        ),
        (
            "partitions = 200",
            expect![[r#"
            error: the bound is split evenly, and leaves some partitions without room
              --> bad.toml:16:14
               |
            16 | partitions = 200
               |              ^^^
               |
               = help: write a larger bound, or fewer partitions
        "#]],
        ),
        (
            "backlog = 101",
            expect![[r#"
            error: the backlog is above `max_length`
              --> bad.toml:16:11
               |
            16 | backlog = 101
               |           ^^^
               |
               = help: write a smaller one, or a larger bound
        "#]],
        ),
        (
            "beyond_design = true",
            expect![[r#"
            error: `beyond_design` without a `design`
              --> bad.toml:16:17
               |
            16 | beyond_design = true
               |                 ^^^^
        "#]],
        ),
    ] {
        let text = queue(more);
        let mut changes = vec![("max_length = 100", text.as_str())];
        if more.contains("overflow") {
            changes.push(("\noverflow = \"block\"", ""));
        }
        check(&changes, expected);
    }
}

#[test]
fn streams_and_groups() {
    const STREAM: (&str, &str) = ("max_length = 100\noverflow = \"block\"", "kind = 'stream'");
    check(
        &[(
            "max_length = 100\noverflow = \"block\"",
            "kind = 'stream'\nttl = '1m'\nmax_priority = 3",
        )],
        expect![[r#"
            error: a stream has no `ttl`
              --> bad.toml:16:7
               |
            16 | ttl = '1m'
               |       ^^^^
               |
               = help: write `retention = { max_length = 100_000, max_age = "1h" }`

            error: a stream has no `max_priority`
              --> bad.toml:17:16
               |
            17 | max_priority = 3
               |                ^
               |
               = help: leave it out, or write another `kind`
        "#]],
    );
    check(
        &[STREAM, ("prefetch = 10", "priority = 3")],
        expect![[r#"
        error: a consumer of a stream has no `priority`
          --> bad.toml:28:12
           |
        28 | priority = 3
           |            ^
           |
           = help: leave it out
    "#]],
    );
    check(
        &[STREAM, ("prefetch = 10", "group = 'g'\noffset = 'first'")],
        expect![[r#"
            error: a group goes on where it stopped: its members have no `offset`
              --> bad.toml:29:10
               |
            29 | offset = 'first'
               |          ^^^^^^^
               |
               = help: write `start` in its [[group]]
        "#]],
    );
    check(
        &[("prefetch = 10", "group = 'g'")],
        expect![[r#"
        error: `group` belongs to consumers of streams
          --> bad.toml:29:9
           |
        29 | group = 'g'
           |         ^^^
    "#]],
    );
    check(
        &[
            STREAM,
            (
                "[[fault]]",
                "[[group]]\nname = 'g'\nstreams = ['orders', 'dead']\nlock = '1s'\n\n[[fault]]",
            ),
        ],
        expect![[r#"
            error: the queue `dead` is no stream, and groups read streams
              --> bad.toml:33:11
               |
            33 | streams = ['orders', 'dead']
               |           ^^^^^^^^^^^^^^^^^^
               |
               = help: write kind = "stream" there

            error: `lock` belongs to kind = "shared"
              --> bad.toml:34:8
               |
            34 | lock = '1s'
               |        ^^^^
        "#]],
    );
}

#[test]
fn what_clients_cannot_do() {
    for (more, expected) in [
        (
            "count = 2\nexclusive = true",
            expect![[r#"
            error: of 2 members only one can be exclusive
              --> bad.toml:30:13
               |
            30 | exclusive = true
               |             ^^^^
               |
               = help: write count = 1, or `single_active = true` on the queue
        "#]],
        ),
        (
            "renew = '10s'",
            expect![[r#"
            error: `renew` where no lock runs out
              --> bad.toml:29:9
               |
            29 | renew = '10s'
               |         ^^^^^
               |
               = help: give the queue an `ack_timeout`, or the consumer a `group` of kind "shared"
        "#]],
        ),
        (
            "selector = \"region = 'eu' AND AND\"",
            expect![[r#"
            error: expected a value instead of AND
              --> bad.toml:29:31
               |
            29 | selector = "region = 'eu' AND AND"
               |                               ^
        "#]],
        ),
        (
            "poison = 1.5",
            expect![[r#"
            error: `poison` is out of range
              --> bad.toml:29:10
               |
            29 | poison = 1.5
               |          ^^^
               |
               = help: write a number from 0 to 1
        "#]],
        ),
        (
            "pull = '0s'",
            expect![[r#"
            error: a consumer that pulls has to wait after an empty answer
              --> bad.toml:29:8
               |
            29 | pull = '0s'
               |        ^^^^
               |
               = help: write a duration above 0, such as "10ms"
        "#]],
        ),
        (
            "ack = 'auto'\nthen = { to = 'dead', transaction = true }",
            expect![[r#"
                error: with ack = "auto" there is no ack to put into a `transaction`
                  --> bad.toml:30:37
                   |
                30 | then = { to = 'dead', transaction = true }
                   |                                     ^^^^
            "#]],
        ),
        (
            "then = { to = { out = true } }",
            expect![[r#"
            error: nothing is ever published
              --> bad.toml:29:15
               |
            29 | then = { to = { out = true } }
               |               ^^^^^^^^^^^^^^
               |
               = help: leave `then` out, or name a queue or an exchange too
        "#]],
        ),
        (
            "service_by_phase = { strom = '1s' }",
            expect![[r#"
            error: there is no phase `strom`
              --> bad.toml:29:22
               |
            29 | service_by_phase = { strom = '1s' }
               |                      ^^^^^
               |
               = help: did you mean `storm`?
        "#]],
        ),
        (
            "every = 5\nchannel_prefetch = 4",
            expect![[r#"
            error: one ack for 5 messages, but the channel holds 4: the consumer would wait forever
              --> bad.toml:29:9
               |
            29 | every = 5
               |         ^
               |
               = help: write a larger `channel_prefetch`, or a smaller `every`
        "#]],
        ),
    ] {
        check(&[("prefetch = 10", more)], expected);
    }
    for (more, expected) in [
        (
            "transaction = 5\nconfirm = true",
            expect![[r#"
            error: a channel has either transactions or confirms
              --> bad.toml:25:15
               |
            25 | transaction = 5
               |               ^
               |
               = help: leave `confirm` out: the commit's answer takes its place
        "#]],
        ),
        (
            "retry = { attempts = 3 }\nconfirm = false",
            expect![[r#"
            error: without confirms `retry` knows of no failure
              --> bad.toml:25:9
               |
            25 | retry = { attempts = 3 }
               |         ^^^^^^^^^^^^^^^^
               |
               = help: leave `confirm` out: it is on then
        "#]],
        ),
        (
            "retry = { policy = 'fixed', max = '1s' }",
            expect![[r#"
            error: `max` belongs to policy = "exponential"
              --> bad.toml:25:35
               |
            25 | retry = { policy = 'fixed', max = '1s' }
               |                                   ^^^^
        "#]],
        ),
        (
            "duplicates = 0.5",
            expect![[r#"
            error: `duplicates` repeat an identity, but the messages have none
              --> bad.toml:25:14
               |
            25 | duplicates = 0.5
               |              ^^^
               |
               = help: add `id = true`
        "#]],
        ),
        (
            "priority = 300",
            expect![[r#"
            error: `priority` is out of range
              --> bad.toml:25:12
               |
            25 | priority = 300
               |            ^^^
               |
               = help: write a number from 0 to 255
        "#]],
        ),
        (
            "headers = { region = [] }",
            expect![[r#"
            error: a list of values has 1 to 1_000 entries
              --> bad.toml:25:22
               |
            25 | headers = { region = [] }
               |                      ^^
        "#]],
        ),
        (
            "burst = { dist = 'geometric', mean = 0.5 }",
            expect![[r#"
            error: `mean` is out of range
              --> bad.toml:25:38
               |
            25 | burst = { dist = 'geometric', mean = 0.5 }
               |                                      ^^^
               |
               = help: write a number from 1 to 100000
        "#]],
        ),
        (
            "ramp = '5s'",
            expect![[r#"
            error: `ramp` belongs to arrivals = "closed"
              --> bad.toml:25:8
               |
            25 | ramp = '5s'
               |        ^^^^
        "#]],
        ),
        (
            "message_key = { dist = 'shifting', keys = 9, share = 0.5 }",
            expect![[r#"
                error: shifting keys need `every`
                  --> bad.toml:25:24
                   |
                25 | message_key = { dist = 'shifting', keys = 9, share = 0.5 }
                   |                        ^^^^^^^^^^
                   |
                   = help: add `every = "10s"`: how long keys stay hot
            "#]],
        ),
        (
            "size = { dist = 'bimodal', small = '1B' }",
            expect![[r#"
            error: the distribution of sizes has no `large`
              --> bad.toml:25:8
               |
            25 | size = { dist = 'bimodal', small = '1B' }
               |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
               |
               = help: it takes `small`, `large` and `share`

            error: the distribution of sizes has no `share`
              --> bad.toml:25:8
               |
            25 | size = { dist = 'bimodal', small = '1B' }
               |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
               |
               = help: it takes `small`, `large` and `share`
        "#]],
        ),
        (
            "churn = { every = '0s' }",
            expect![[r#"
            error: `every` must take time
              --> bad.toml:25:19
               |
            25 | churn = { every = '0s' }
               |                   ^^^^
        "#]],
        ),
    ] {
        let more = format!("rate = \"200/s\"\n{more}");
        check(&[("rate = \"200/s\"", &more)], expected);
    }
}

#[test]
fn loads() {
    check_override(
        "load=0",
        expect![[r#"
        error: `load` is out of range
         --> --set:1:6
          |
        1 | load=0
          |      ^
          |
          = help: write a number from 0.000001 to 1000000
    "#]],
    );
    check_override(
        "load=1e7",
        expect![[r#"
        error: `load` is out of range
         --> --set:1:6
          |
        1 | load=1e7
          |      ^^^
          |
          = help: write a number from 0.000001 to 1000000
    "#]],
    );
    check_override(
        "load=-1",
        expect![[r#"
        error: -1 is negative
         --> --set:1:6
          |
        1 | load=-1
          |      ^^
    "#]],
    );
    check_override(
        "load=2x",
        expect![[r#"
        error: expected a number, such as 0.5
         --> --set:1:6
          |
        1 | load=2x
          |      ^^ found the text "2x"
    "#]],
    );
    check(
        &[
            ("title = \"Good\"", "load = 1e6"),
            ("rate = \"200/s\"", "rate = \"2_000/s\""),
        ],
        expect![[r#"
            error: at this load `checkout` sends more than 1_000_000_000/s
             --> bad.toml:1:8
              |
            1 | load = 1e6
              |        ^^^
              |
              = help: write a lower load, or a lower rate
        "#]],
    );
    check(
        &[
            ("title = \"Good\"", "load = 2"),
            ("rate = \"200/s\"", "arrivals = \"closed\"\nthink = \"1s\""),
        ],
        expect![[r#"
            error: there is no rate that `load` could scale: closed loops and arrivals = "max" have none
             --> bad.toml:1:8
              |
            1 | load = 2
              |        ^
              |
              = help: leave it out, and change the `count` of a producer instead
        "#]],
    );
}

#[test]
fn arrival_processes_and_shapes() {
    for (arrivals, expected) in [
        (
            "{ dist = 'mmpp', states = [{ rate = '5/s', mean = '1s' }] }",
            expect![[r#"
                error: an MMPP has 2 to 1_000 states
                  --> bad.toml:24:38
                   |
                24 | arrivals = { dist = 'mmpp', states = [{ rate = '5/s', mean = '1s' }] }
                   |                                      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
                   |
                   = help: one state alone is arrivals = "poisson"
            "#]],
        ),
        (
            "{ dist = 'on-off', rate = '5/s', on = '1s' }",
            expect![[r#"
                error: these arrivals have no `off`
                  --> bad.toml:24:21
                   |
                24 | arrivals = { dist = 'on-off', rate = '5/s', on = '1s' }
                   |                     ^^^^^^^^
                   |
                   = help: write { dist = "on-off", rate = "500/s", on = "1s", off = "9s" }
            "#]],
        ),
        (
            "{ dist = 'pareto-burst', rate = '5/s', on = '1s', off = '1s', alpha = 1 }",
            expect![[r#"
                error: with an `alpha` of 1 or less a Pareto distribution has no mean
                  --> bad.toml:24:82
                   |
                24 | arrivals = { dist = 'pareto-burst', rate = '5/s', on = '1s', off = '1s', alpha = 1 }
                   |                                                                                  ^
                   |
                   = help: write 1.5 for a heavy tail, 3 for a light one
            "#]],
        ),
        (
            "{ dist = 'diurnal', mean = '5/s', amplitude = 2, period = '24h' }",
            expect![[r#"
                error: `amplitude` is out of range
                  --> bad.toml:24:58
                   |
                24 | arrivals = { dist = 'diurnal', mean = '5/s', amplitude = 2, period = '24h' }
                   |                                                          ^
                   |
                   = help: write a number from 0 to 1
            "#]],
        ),
        (
            "{ dist = 'trace', file = 'monday.csv' }",
            expect![[r#"
            error: there is no folder to look for the trace in
              --> bad.toml:24:37
               |
            24 | arrivals = { dist = 'trace', file = 'monday.csv' }
               |                                     ^^^^^^^^^^^^
        "#]],
        ),
        (
            "'bursty'",
            expect![[r#"
            error: `bursty` is not a known value here
              --> bad.toml:24:12
               |
            24 | arrivals = 'bursty'
               |            ^^^^^^^^
               |
               = help: there are `constant`, `poisson`, `closed`, `max`
        "#]],
        ),
    ] {
        let text = format!("arrivals = {arrivals}");
        check(&[("rate = \"200/s\"", &text)], expected);
    }
    check(
        &[
            ("rate = \"200/s\"", "arrivals = 'max'\nconfirm = false"),
            ("overflow = \"block\"", ""),
        ],
        expect![[r#"
            error: nothing holds `checkout` back: it would send without end at one instant
              --> bad.toml:21:1
               |
            21 | [[producer]]
               | ^^^^^^^^^^^^
               |
               = help: give it `confirm`, a `limit`, or a queue with a bound and overflow = "block"
        "#]],
    );
    for (service, expected) in [
        (
            "{ dist = 'hyperexponential', mean = '1s', cv = 0.5 }",
            expect![[r#"
                error: the `cv` of a hyperexponential distribution is 1 or more
                  --> bad.toml:30:58
                   |
                30 | service = { dist = 'hyperexponential', mean = '1s', cv = 0.5 }
                   |                                                          ^^^
                   |
                   = help: below 1 write dist = "gamma" or "erlang"
            "#]],
        ),
        (
            "{ dist = 'pareto', mean = '1s', alpha = 1 }",
            expect![[r#"
            error: with an `alpha` of 1 or less a Pareto distribution has no mean
              --> bad.toml:30:51
               |
            30 | service = { dist = 'pareto', mean = '1s', alpha = 1 }
               |                                                   ^
               |
               = help: write 1.5 for a heavy tail, 3 for a light one
        "#]],
        ),
        (
            "{ dist = 'triangular', low = '2s', mode = '1s', high = '3s' }",
            expect![[r#"
                error: `mode` must lie between `low` and `high`
                  --> bad.toml:30:11
                   |
                30 | service = { dist = 'triangular', low = '2s', mode = '1s', high = '3s' }
                   |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
            "#]],
        ),
        (
            "{ dist = 'lognormal', mean = '1s', p99 = '3s' }",
            expect![[r#"
                error: the distribution has no `cv`
                  --> bad.toml:30:11
                   |
                30 | service = { dist = 'lognormal', mean = '1s', p99 = '3s' }
                   |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
                   |
                   = help: it takes `median` and `p99`, or `mean` and `cv`

                error: `p99` does not belong to this distribution
                  --> bad.toml:30:52
                   |
                30 | service = { dist = 'lognormal', mean = '1s', p99 = '3s' }
                   |                                                    ^^^^
                   |
                   = help: it takes `median` and `p99`, or `mean` and `cv`
            "#]],
        ),
        (
            "{ dist = 'empirical', values = [] }",
            expect![[r#"
            error: a list of `values` has 1 to 10_000 entries
              --> bad.toml:30:11
               |
            30 | service = { dist = 'empirical', values = [] }
               |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        "#]],
        ),
    ] {
        let text = format!("service = {service}");
        check(&[("service = \"20ms\"", &text)], expected);
    }
}

#[test]
fn exchanges() {
    check(
        &[("type = \"topic\"", "type = 'topic'\nalternate = 'shop'")],
        expect![[r#"
            error: bindings and alternates lead from the exchange `shop` back to it
             --> bad.toml:9:8
              |
            9 | name = "shop"
              |        ^^^^^^
              |
              = help: take one of them out
        "#]],
    );
    check(
        &[(
            "key = \"order.*\"",
            "key = 'order.*', headers = { region = 'eu' }",
        )],
        expect![[r#"
            error: `headers` belongs to a binding to an exchange of type "headers"
              --> bad.toml:14:57
               |
            14 | bind = [{ exchange = "shop", key = 'order.*', headers = { region = 'eu' } }]
               |                                                         ^^^^^^^^^^^^^^^^^
        "#]],
    );
    check(
        &[
            ("type = \"topic\"", "type = 'headers'"),
            (
                "key = \"order.*\"",
                "headers = { match = 'some', region = 'eu' }",
            ),
        ],
        expect![[r#"
            error: `match` is "all" or "any"
              --> bad.toml:14:50
               |
            14 | bind = [{ exchange = "shop", headers = { match = 'some', region = 'eu' } }]
               |                                                  ^^^^^^
               |
               = help: a header of this name cannot be matched
        "#]],
    );
}

#[test]
fn designs() {
    let design = |text: &str, expected: Expect| {
        check(
            &[
                ("max_length = 100\noverflow = \"block\"", text),
                ("bind = [{ exchange = \"shop\", key = \"order.*\" }]\n", ""),
            ],
            expected,
        );
    };
    design(
        "design = 'rabbitmq'",
        expect![[r#"
        error: `rabbitmq` is not a known value here
          --> bad.toml:14:10
           |
        14 | design = 'rabbitmq'
           |          ^^^^^^^^^^
           |
           = help: there are `rabbitmq-classic`, `rabbitmq-quorum`, `kafka`, `redis-list`, `redis-stream`, `activemq`, `zeromq`, `nats-jetstream`, `sqs`
    "#]],
    );
    design(
        "design = 'rabbitmq-quorum'",
        expect![[r#"
            error: the design `rabbitmq-quorum` needs replication, which queuelab does not have yet
              --> bad.toml:14:10
               |
            14 | design = 'rabbitmq-quorum'
               |          ^^^^^^^^^^^^^^^^^
               |
               = help: leave it out, or take another one: rabbitmq-classic, kafka, redis-list, redis-stream, activemq, zeromq, nats-jetstream, sqs
        "#]],
    );
    design(
        "design = 'rabbitmq-classic'\ndelivery_limit = 3",
        expect![[r#"
            error: queues of the design `rabbitmq-classic` have no `delivery_limit`
              --> bad.toml:15:1
               |
            15 | delivery_limit = 3
               | ^^^^^^^^^^^^^^
               |
               = help: leave it out, or write `beyond_design = true` on the queue to see what if
        "#]],
    );
    design(
        "design = 'rabbitmq-classic'\ndurability = 'fsync'",
        expect![[r#"
            error: `durability` of RabbitMQ classic queues is always "os"
              --> bad.toml:15:1
               |
            15 | durability = 'fsync'
               | ^^^^^^^^^^
               |
               = help: leave it out, or write `beyond_design = true` on the queue to see what if
        "#]],
    );
    design(
        "design = 'rabbitmq-classic'\ndead_letter = { queue = 'dead', at_least_once = true }",
        expect![[r#"
            error: queues of the design `rabbitmq-classic` have no dead letters at least once
              --> bad.toml:15:33
               |
            15 | dead_letter = { queue = 'dead', at_least_once = true }
               |                                 ^^^^^^^^^^^^^
               |
               = help: leave it out, or write `beyond_design = true` on the queue to see what if
        "#]],
    );
    design(
        "design = 'kafka'\nretention = { interest = true }",
        expect![[r#"
            error: queues of the design `kafka` have no retention by `interest`
              --> bad.toml:15:15
               |
            15 | retention = { interest = true }
               |               ^^^^^^^^
               |
               = help: leave it out, or write `beyond_design = true` on the queue to see what if
        "#]],
    );
    design(
        "design = 'redis-list'",
        expect![[r#"
        error: consumers of Redis lists (LPUSH, BRPOP) have no `prefetch`
          --> bad.toml:27:1
           |
        27 | prefetch = 10
           | ^^^^^^^^
           |
           = help: leave it out, or write `beyond_design = true` on the queue to see what if
    "#]],
    );
}

#[test]
fn several_at_once() {
    check(
        &[
            ("max_length", "max_lenght"),
            ("prefetch = 10", "prefetch = \"ten\""),
            ("for = \"1s\"\n", "for = 1\n"),
        ],
        expect![[r#"
            error: unknown key `max_lenght`
              --> bad.toml:15:1
               |
            15 | max_lenght = 100
               | ^^^^^^^^^^
               |
               = help: did you mean `max_length`?

            error: expected a whole number, such as 20
              --> bad.toml:29:12
               |
            29 | prefetch = "ten"
               |            ^^^^^ found the text "ten"

            error: expected a duration such as "20ms", or a table such as { dist = "exponential", mean = "20ms" }
              --> bad.toml:36:7
               |
            36 | for = 1
               |       ^ found the integer 1
               |
               = help: say of what: "1us", "1ms", "1s" or "1m"
        "#]],
    );
    check(
        &[
            ("queue = \"orders\"", "queue = \"order\""),
            ("from = \"orders\"", "from = \"order\""),
        ],
        expect![[r#"
        error: there is no queue `order`
          --> bad.toml:23:16
           |
        23 | to = { queue = "order" }
           |                ^^^^^^^
           |
           = help: did you mean `orders`?

        error: there is no queue `order`
          --> bad.toml:28:8
           |
        28 | from = "order"
           |        ^^^^^^^
           |
           = help: did you mean `orders`?
    "#]],
    );
}

#[test]
fn syntax() {
    check(
        &[("name = \"dead\"", "name = \"dead")],
        expect![[r#"
        error: this is not TOML: invalid basic string, expected `"`
          --> bad.toml:19:13
           |
        19 | name = "dead
           |             ^ here
    "#]],
    );
    check_text(
        "x = ",
        &[],
        expect![[r#"
        error: this is not TOML: string values must be quoted, expected literal string
         --> bad.toml:1:5
          |
        1 | x =
          |     ^ here
    "#]],
    );
    check_text(
        "",
        &[],
        expect![[r#"
        error: the scenario has no end
         --> bad.toml:1:1
          |
        1 |
          | ^
          |
          = help: add `duration = "1m"`, or `phases`
    "#]],
    );
    check_text(
        "\u{feff}title = \"ü\"\nüber = 1",
        &[],
        expect![[r#"
        error: this is not TOML: invalid unquoted key, expected letters, numbers, `-`, `_`
         --> bad.toml:2:1
          |
        2 | über = 1
          | ^ here
    "#]],
    );
}

#[test]
fn overrides() {
    check_override(
        "producer.checkot.count=80",
        expect![[r#"
        error: there is no producer `checkot`
         --> --set:1:10
          |
        1 | producer.checkot.count=80
          |          ^^^^^^^
          |
          = help: did you mean `checkout`?
    "#]],
    );
    check_override(
        "producer.checkout.cuont=80",
        expect![[r#"
        error: unknown key `cuont`
         --> --set:1:19
          |
        1 | producer.checkout.cuont=80
          |                   ^^^^^
          |
          = help: did you mean `count`?
    "#]],
    );
    check_override(
        "producers.checkout.count=80",
        expect![[r#"
        error: unknown key `producers`
         --> --set:1:1
          |
        1 | producers.checkout.count=80
          | ^^^^^^^^^
          |
          = help: did you mean `producer`?
    "#]],
    );
    check_override(
        "producer.checkout.rate=-5/s",
        expect![[r#"
        error: "-5/s" is negative
         --> --set:1:24
          |
        1 | producer.checkout.rate=-5/s
          |                        ^^^^
    "#]],
    );
    check_override(
        "producer.checkout.rate.calm=5/s",
        expect![[r#"
        error: `producer.checkout.rate` is a plain value here, it has no `calm`
         --> --set:1:24
          |
        1 | producer.checkout.rate.calm=5/s
          |                        ^^^^
          |
          = help: set the whole value: producer.checkout.rate=…
    "#]],
    );
    check_override(
        "producer.checkout.to={ queue = 'ordres' }",
        expect![[r#"
        error: there is no queue `ordres`
         --> --set:1:32
          |
        1 | producer.checkout.to={ queue = 'ordres' }
          |                                ^^^^^^^^
          |
          = help: did you mean `orders`?
    "#]],
    );
    check_override(
        "consumer.workers.service=20",
        expect![[r#"
        error: expected a duration such as "20ms", or a table such as { dist = "exponential", mean = "20ms" }
         --> --set:1:26
          |
        1 | consumer.workers.service=20
          |                          ^^ found the integer 20
          |
          = help: say of what: "20us", "20ms", "20s" or "20m"
    "#]],
    );
    check_override(
        "consumer.workers",
        expect![[r#"
        error: an override is a path, `=` and a value
         --> --set:1:1
          |
        1 | consumer.workers
          | ^^^^^^^^^^^^^^^^
          |
          = help: for example: --set producer.checkout.count=80
    "#]],
    );
    check_override(
        "=5",
        expect![[r#"
        error: a part of the path is empty
         --> --set:1:1
          |
        1 | =5
          | ^
          |
          = help: for example: --set producer.checkout.count=80
    "#]],
    );
    check_override(
        "a..b=5",
        expect![[r#"
        error: a part of the path is empty
         --> --set:1:3
          |
        1 | a..b=5
          |   ^
          |
          = help: for example: --set producer.checkout.count=80
    "#]],
    );
    check_override(
        "seed=[1",
        expect![[r#"
        error: this is not TOML: unclosed array, expected `]`
         --> --set:1:8
          |
        1 | seed=[1
          |        ^ here
    "#]],
    );
    check_override(
        "queue.\"orders.max_length=5",
        expect![[r#"
        error: the quote is not closed
         --> --set:1:7
          |
        1 | queue."orders.max_length=5
          |       ^^^^^^^^^^^^^^^^^^^^
    "#]],
    );
    check_override(
        "expect.7=no-loss",
        expect![[r#"
        error: there is no expect `7`
         --> --set:1:8
          |
        1 | expect.7=no-loss
          |        ^
          |
          = help: address it by a number below 1
    "#]],
    );
}

#[test]
fn colours_are_optional() {
    let error = Scenario::parse("bad.toml", "seed = -1", &[]).unwrap_err();
    assert!(!error.render(false).contains('\u{1b}') && error.render(true).contains('\u{1b}'));
    assert_eq!(error.to_string(), error.render(false));
}

/// A folder that goes when the test ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    fn check(&self, file: &str, bytes: &[u8], expected: Expect) -> Error {
        let path = self.0.join(file);
        fs::write(&path, bytes).unwrap();
        self.check_path(file, expected)
    }

    fn check_path(&self, file: &str, expected: Expect) -> Error {
        let error = Scenario::load(&self.0.join(file), &[]).expect_err("it is bad");
        let rendered = error.to_string();
        expected.assert_eq(&rendered.replace(&self.0.display().to_string(), "DIR"));
        error
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn files() {
    // Short, so that messages are not cut.
    let scratch = Scratch::new("f");
    assert!(matches!(
        scratch.check(
            "bin.toml",
            b"title = 1\n\x00\xff\xfe",
            expect![[r#"
        error: failed to read DIR/bin.toml: not UTF-8 text at line 2, byte 2
         |
         = help: a scenario is a TOML file"#]]
        ),
        Error::NotText {
            line: 2,
            column: 2,
            ..
        }
    ));
    assert!(matches!(scratch.check_path("none.toml", expect![[r#"
        error: failed to read DIR/none.toml: there is no such file
         |
         = help: a scenario is a path to a .toml file or a library name: `queuelab list` shows these"#]]), Error::Unreadable { .. }));
    assert!(matches!(
        scratch.check_path(
            "",
            expect![[r#"
        error: failed to read DIR/: it is a folder
         |
         = help: name a .toml file in it"#]]
        ),
        Error::Folder { .. }
    ));
    let brackets = vec![b'['; 2 * LARGEST_FILE as usize];
    assert!(matches!(
        scratch.check(
            "large.toml",
            &brackets,
            expect![[r#"
        error: failed to read DIR/large.toml: it is larger than 1 MiB
         |
         = help: a scenario is a short text; it was not parsed"#]]
        ),
        Error::TooLarge { .. }
    ));
    let most = &brackets[..LARGEST_FILE as usize];
    assert!(matches!(scratch.check("deep.toml", most, expect![[r#"
        error: this is not TOML: unquoted keys cannot be empty, expected letters, numbers, `-`, `_`
         --> DIR/deep.toml:1:3
          |
        1 | [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[...
          |   ^ here"#]]), Error::Invalid(_)));
}

/// As a named pipe that nobody writes to would be, if it were opened.
#[cfg(unix)]
#[test]
fn what_is_no_file_is_not_opened() {
    // Names of sockets are short.
    let path = std::env::temp_dir().join(format!("queuelab-{}", std::process::id()));
    let socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let error = Scenario::load(&path, &[]).expect_err("it is no file");
    drop(socket);
    fs::remove_file(&path).unwrap();
    assert!(matches!(error, Error::NotAFile { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("it is a pipe, a socket or a device")
    );
}

#[test]
fn large_files_are_refused_in_bounded_time_and_memory() {
    let most = LARGEST_FILE as usize;
    let fill = |start: &str, part: &str| {
        let mut text = start.to_string();
        while text.len() + part.len() <= most {
            text.push_str(part);
        }
        text
    };
    let numbered = |start: &str, part: fn(usize) -> String| {
        let mut text = start.to_string();
        (0..9_000).for_each(|n| text.push_str(&part(n)));
        text.truncate(most);
        text
    };
    for text in [
        fill("x = ", "["),
        fill("x = ", "{a="),
        fill("", "a."),
        fill("", "[[queue]]\n"),
        fill("duration='1s'\n", "[[queue]]\nname='q'\n"),
        fill("duration='1s'\n", "[[producer]]\nname='q'\nto='r'\n"),
        fill("duration='1s'\nx='", "ü"),
        fill("duration='1s'\nphases=[", "{name='a',for='1s'},"),
        fill("duration='1s'\nexpect=[", "'a',"),
        fill("", "\n"),
        numbered("", |n| {
            format!("[[queue]]\nname='queue-{n}'\n[[consumer]]\nname='c{n}'\nfrom='queue{n}'\n")
        }),
        numbered("duration='1s'\n", |n| {
            format!("[[queue]]\nname='queue-{n}'\ndead_letter='queue{n}'\n")
        }),
    ] {
        let error = Scenario::parse("large.toml", &text, &[]).expect_err("it is bad");
        let rendered = error.to_string();
        assert!(
            rendered.len() < 20_000,
            "{} bytes of message",
            rendered.len()
        );
    }
}

/// A sound scenario without a broker, to be spoilt.
const PEERS: &str = r#"duration = "10s"

[[queue]]
name = "jobs"
design = "zeromq"

[[producer]]
name = "ventilator"
to = "jobs"
rate = "100/s"

[[consumer]]
name = "workers"
from = "jobs"
count = 4
"#;

#[test]
fn without_a_broker() {
    Scenario::parse("peers.toml", PEERS, &[]).expect("it is sound");
    let beyond = (
        "design = \"zeromq\"",
        "design = \"zeromq\"\nbeyond_design = true",
    );
    let cases = [
        (
            &[beyond, ("true\n", "true\npartitions = 2\n")][..],
            expect![[r#"
                error: a queue without a broker has no bindings, partitions, backlog or dead letters
                 --> bad.toml:4:8
                  |
                4 | name = "jobs"
                  |        ^^^^^^
                  |
                  = help: leave them out, or choose another `design`
            "#]],
        ),
        (
            &[beyond, ("true\n", "true\nbacklog = 5\n")],
            expect![[r#"
                error: a queue without a broker has no bindings, partitions, backlog or dead letters
                 --> bad.toml:4:8
                  |
                4 | name = "jobs"
                  |        ^^^^^^
                  |
                  = help: leave them out, or choose another `design`
            "#]],
        ),
        (
            &[
                beyond,
                ("true\n", "true\ndead_letter = \"dead\"\n"),
                ("[[producer]]", "[[queue]]\nname = \"dead\"\n[[producer]]"),
            ],
            expect![[r#"
                error: a queue without a broker has no bindings, partitions, backlog or dead letters
                 --> bad.toml:4:8
                  |
                4 | name = "jobs"
                  |        ^^^^^^
                  |
                  = help: leave them out, or choose another `design`
            "#]],
        ),
        (
            &[(
                "[[producer]]",
                "[[queue]]\nname = \"kept\"\ndead_letter = \"jobs\"\n[[producer]]",
            )],
            expect![[r#"
                error: its dead letters would go to a queue without a broker
                 --> bad.toml:8:8
                  |
                8 | name = "kept"
                  |        ^^^^^^
                  |
                  = help: name a queue at the broker as `dead_letter`

                error: the dead-letter target `jobs` blocks when it is full, but a dead letter cannot wait
                 --> bad.toml:9:15
                  |
                9 | dead_letter = "jobs"
                  |               ^^^^^^
                  |
                  = help: give `jobs` another `overflow`
            "#]],
        ),
        (
            &[("rate", "confirm = true\nrate")],
            expect![[r#"
            error: without a broker nobody confirms, and a producer has either peers or a broker
             --> bad.toml:9:6
              |
            9 | to = "jobs"
              |      ^^^^^^
              |
              = help: leave `confirm`, `transaction` and `retry` out, and give other targets a producer of their own
        "#]],
        ),
        (
            &[
                ("to = \"jobs\"", "to = [\"jobs\", \"kept\"]"),
                ("[[producer]]", "[[queue]]\nname = \"kept\"\n[[producer]]"),
            ],
            expect![[r#"
                error: without a broker nobody confirms, and a producer has either peers or a broker
                  --> bad.toml:11:6
                   |
                11 | to = ["jobs", "kept"]
                   |      ^^^^^^^^^^^^^^^^
                   |
                   = help: leave `confirm`, `transaction` and `retry` out, and give other targets a producer of their own
            "#]],
        ),
        (
            &[
                ("from = \"jobs\"", "from = [\"jobs\", \"kept\"]"),
                ("[[producer]]", "[[queue]]\nname = \"kept\"\n[[producer]]"),
            ],
            expect![[r#"
                error: a consumer has either peers or a broker
                  --> bad.toml:16:8
                   |
                16 | from = ["jobs", "kept"]
                   |        ^^^^^^^^^^^^^^^^
                   |
                   = help: write ack = "auto" without `pull`, fewer members, and a consumer of its own for the broker's queues
            "#]],
        ),
        (
            &[beyond, ("count = 4", "count = 4\nack = \"manual\"")],
            expect![[r#"
                error: without a broker nothing is acknowledged or asked for
                  --> bad.toml:15:8
                   |
                15 | from = "jobs"
                   |        ^^^^^^
                   |
                   = help: write ack = "auto" without `pull`, fewer members, and a consumer of its own for the broker's queues
            "#]],
        ),
        (
            &[
                ("rate", "count = 1_000\nrate"),
                ("count = 4", "count = 101"),
            ],
            expect![[r#"
                error: more than 100,000 pipes between senders and receivers
                  --> bad.toml:15:8
                   |
                15 | from = "jobs"
                   |        ^^^^^^
                   |
                   = help: write ack = "auto" without `pull`, fewer members, and a consumer of its own for the broker's queues
            "#]],
        ),
    ];
    for (replacements, expected) in cases {
        let spoilt = replacements
            .iter()
            .fold(PEERS.to_string(), |text, (from, to)| {
                assert!(text.contains(from), "{from}");
                text.replacen(from, to, 1)
            });
        check_text(&spoilt, &[], expected);
    }
}

/// No panic; an error names a place that exists.
fn reads_or_says_where(text: &str, overrides: &[String]) -> Result<(), TestCaseError> {
    if let Err(error) = Scenario::parse("any.toml", text, overrides) {
        let Error::Invalid(invalid) = &error else {
            return Err(TestCaseError::fail(error.to_string()));
        };
        prop_assert!(invalid.places().count() > 0);
        for (origin, line, column) in invalid.places() {
            prop_assert!(line >= 1 && column >= 1);
            prop_assert!(
                origin == "--set" || line <= text.split('\n').count(),
                "{origin} {line}"
            );
        }
        prop_assert!(!error.to_string().is_empty());
    }
    Ok(())
}

/// A place in the library's texts, cut out and something else put in.
fn mutation() -> impl Strategy<Value = (usize, usize, String)> {
    let words = prop::sample::select(vec![
        "",
        "\"",
        "'",
        "[",
        "]",
        "{",
        "}",
        "=",
        "\n",
        ".",
        "-1",
        "0",
        "1e999",
        "nan",
        "-inf",
        "99999999999999999999",
        "\"0s\"",
        "\"-5s\"",
        "[]",
        "{}",
        "true",
        "\"\"",
        "name",
        "rate = ",
        "[[queue]]\n",
        "[[fault]]\n",
        "\"n1\"",
        "1979-05-27",
        "\u{0}",
        "ü",
        "\"else\"",
        "\"closed\"",
        "\"ideal\"",
        "18446744073709551615",
    ]);
    (0..4_000_usize, 0..40_usize, words.prop_map(str::to_string))
}

#[test]
fn faults_of_the_disk_say_what_they_need() {
    let fault = |kind: &str| format!("kind = \"{kind}\"\nat = \"2s\"");
    check(
        &[("kind = \"crash\"\nat = \"2s\"", &fault("throttle-disk"))],
        expect![[r#"
            error: the fault `crash` has neither `bandwidth` nor `iops`
              --> bad.toml:32:1
               |
            32 | [[fault]]
               | ^^^^^^^^^
               |
               = help: add `bandwidth = "1MB/s"`, `iops = 500`, or both
        "#]],
    );
    check(
        &[(
            "kind = \"crash\"\nat = \"2s\"",
            &(fault("throttle-disk") + "\niops = 0"),
        )],
        expect![[r#"
            error: `iops` is out of range
              --> bad.toml:36:8
               |
            36 | iops = 0
               |        ^
               |
               = help: write a number from 0.1 to 1000000000
        "#]],
    );
    check(
        &[(
            "kind = \"crash\"\nat = \"2s\"",
            &(fault("stall-disk") + "\niops = 100"),
        )],
        expect![[r#"
            error: `iops` does not belong to the fault "stall-disk"
              --> bad.toml:36:8
               |
            36 | iops = 100
               |        ^^^
               |
               = help: it takes `for`
        "#]],
    );
    check(
        &[(
            "kind = \"crash\"\nat = \"2s\"\nfor = \"1s\"",
            &(fault("bit-rot") + "\nof = \"checkpoint\""),
        )],
        expect![[r#"
            error: `checkpoint` is not a known value here
              --> bad.toml:36:6
               |
            36 | of = "checkpoint"
               |      ^^^^^^^^^^^^
               |
               = help: did you mean `checkpoints`?
        "#]],
    );
    check(
        &[(
            "prefetch = 10",
            "prefetch = 10\nreconnect_spread = \"soon\"",
        )],
        expect![[r#"
            error: "soon" does not start with a number
              --> bad.toml:30:20
               |
            30 | reconnect_spread = "soon"
               |                    ^^^^^^
        "#]],
    );
}

proptest! {
    #[test]
    fn any_text(text in "\\PC*") {
        reads_or_says_where(&text, &[])?;
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        reads_or_says_where(&String::from_utf8_lossy(&bytes), &[])?;
    }

    #[test]
    fn mutated_library(which in 0..9_usize, mutations in prop::collection::vec(mutation(), 1..4)) {
        let mut text: Vec<char> = library().nth(which).unwrap().source.chars().collect();
        for (at, length, word) in mutations {
            let at = at % text.len().max(1);
            let end = (at + length).min(text.len());
            text.splice(at..end, word.chars());
        }
        reads_or_says_where(&text.into_iter().collect::<String>(), &[])?;
    }

    #[test]
    fn replaced_values(which in 0..9_usize, line in 0..60_usize, (_, _, word) in mutation()) {
        let source = library().nth(which).unwrap().source;
        let replaced = |(at, text): (usize, &str)| match text.split_once('=') {
            Some((key, _)) if at == line => format!("{key}= {word}"),
            _ => text.to_string(),
        };
        let lines: Vec<_> = source.lines().enumerate().map(replaced).collect();
        reads_or_says_where(&lines.join("\n"), &[])?;
    }

    #[test]
    fn any_override(text in prop_oneof!["\\PC{0,40}", "(seed|queue|producer|cluster|expect|phases|fault)(\\.(0|1|calm|orders|checkout|rate|to|\"a\"|disk|fsync)){0,3} ?= ?(\\PC{0,10}|\\[1, 2\\]|\\{ a = 1 \\}|-1|5ms|\"x\")"]) {
        reads_or_says_where(GOOD, &[text])?;
    }
}
