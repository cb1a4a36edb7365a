//! Messages that are numbered, and what happens together or not at all.

use super::run;

/// As many as were offered, each confirmed and taken once.
fn each_once(scenario: &str, offered: u64) {
    let record = run(scenario);
    let outcomes = record.outcomes;
    assert_eq!(
        (outcomes.offered, outcomes.confirmed),
        (offered, offered),
        "{scenario}"
    );
    let taken: u64 = record.queues.iter().map(|queue| queue.enqueued).sum();
    assert_eq!(taken, offered, "{scenario}");
}

#[test]
fn an_idempotent_producer_may_reach_several_queues() {
    let to = |targets: &str, queues: &str, from: &str| {
        format!(
            r#"
duration = "20s"
{queues}
[[producer]]
name = "p"
to = {targets}
rate = "100/s"
limit = 1_000
message_key = ["a.1", "b.1", "c.1"]
idempotent = true
[[consumer]]
name = "c"
from = {from}
service = "1ms"
"#
        )
    };
    let two = "[[queue]]\nname = 'a'\n[[queue]]\nname = 'b'\n";
    each_once(&to("['a', 'b']", two, "['a', 'b']"), 1_000);
    let partitions = "[[queue]]\nname = 'a'\ndesign = 'kafka'\npartitions = 3\n";
    each_once(&to("'a'", partitions, "'a'"), 1_000);
    let topic = "[[exchange]]\nname = 'x'\ntype = 'topic'\n\
                 [[queue]]\nname = 'a'\nbind = [{ exchange = 'x', key = 'a.#' }, { exchange = 'x', key = 'c.#' }]\n\
                 [[queue]]\nname = 'b'\nbind = [{ exchange = 'x', key = 'b.#' }]\n";
    each_once(&to("'x'", topic, "['a', 'b']"), 1_000);
}

/// What it drops or loses patience with has no number yet; one that is refused for good makes a new epoch.
#[test]
fn an_idempotent_producer_goes_on_after_a_message_that_is_given_up() {
    for (bound, gives_up) in [
        ("", "confirm = { window = 1 }\npatience = '30ms'"),
        (
            "",
            "confirm = { window = 1 }\nwhen_full = 'drop'\nbuffer = 3",
        ),
        (
            "max_length = 10\noverflow = 'reject-publish'",
            "confirm = { window = 10, timeout = '500ms' }\n\
             retry = { policy = 'fixed', base = '50ms', attempts = 3, jitter = 'none' }",
        ),
    ] {
        let record = run(&format!(
            r#"
duration = "30s"
[[queue]]
name = "q"
{bound}
[[producer]]
name = "p"
to = "q"
rate = "100/s"
idempotent = true
{gives_up}
[[consumer]]
name = "c"
from = "q"
prefetch = 1
service = {{ dist = "exponential", mean = "8ms" }}
[[fault]]
kind = "stall-disk"
at = "5s"
for = "200ms"
"#
        ));
        let outcomes = record.outcomes;
        let given_up = outcomes.offered - outcomes.confirmed - outcomes.pending;
        assert!(given_up > 0, "{gives_up}: {outcomes:?}");
        assert!(
            outcomes.confirmed > outcomes.offered / 2,
            "{gives_up}: {outcomes:?}"
        );
    }
}

/// A service that outlasts its lease never commits: nobody else has published on for it either.
#[test]
fn a_transaction_whose_lease_has_ended_publishes_nothing() {
    let record = run(r#"
duration = "60s"
[[queue]]
name = "work"
ack_timeout = "1s"
[[queue]]
name = "out"
[[producer]]
name = "p"
to = "work"
rate = "1/s"
limit = 10
arrivals = "constant"
[[consumer]]
name = "c"
from = "work"
count = 2
prefetch = 1
service = "1500ms"
then = { to = "out", transaction = true }
[[consumer]]
name = "o"
from = "out"
service = "1ms"
"#);
    let [work, out] = &record.queues[..] else {
        panic!("two queues");
    };
    assert_eq!((work.acked, out.enqueued), (0, 0));
    assert!(work.redelivered > 10);
}
