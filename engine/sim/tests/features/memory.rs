//! Memory follows what is unfinished: a run that is ten times as long keeps no more.

use std::sync::Arc;

use queuelab_core::{Span, Time};
use queuelab_sim::{Options, Simulation};

use crate::parse;

/// The most entries of each sort during the first 10 s after a start of 5 s, and during the last 10 s of 150 s.
fn check(text: &str) {
    let scenario = Arc::new(parse(&format!("duration = \"150s\"\n{text}")));
    let options = Options {
        seed: 3,
        check: true,
    };
    let mut simulation = Simulation::new(scenario, options);
    let mut most = |from: u64| {
        let mut most: Vec<(&str, usize)> = Vec::new();
        for tenth in 10 * from..10 * (from + 10) {
            simulation.run_until(Time::ZERO + Span::from_millis(100 * tenth));
            let kept = simulation.kept();
            most.resize(kept.len(), ("", 0));
            for (most, (what, now)) in most.iter_mut().zip(kept) {
                *most = (what, now.max(most.1));
            }
        }
        most
    };
    let (early, late) = (most(5), most(140));
    for ((what, early), (_, late)) in early.iter().zip(&late) {
        assert!(*late <= 2 * early + 40, "{what}: {early}, then {late}");
    }
    assert!(simulation.sent() > 3_000, "something happens");
}

/// What consumers publish on may be refused, go nowhere, expire, or be cut off on its way.
#[test]
fn of_messages_that_are_published_on() {
    for (then, ack) in [
        ("{ to = \"narrow\" }", ""),
        ("{ to = \"narrow\", transaction = true }", ""),
        ("{ to = { exchange = \"nowhere\" } }", ""),
        (
            "{ to = [{ queue = \"brief\" }, { out = true }] }",
            "every = 5",
        ),
        ("{ to = \"brief\" }", "ack = \"auto\""),
    ] {
        check(&format!(
            r#"
[[exchange]]
name = "nowhere"
type = "direct"
[[queue]]
name = "first"
kind = "memory"
[[queue]]
name = "narrow"
kind = "memory"
max_length = 3
overflow = "reject-publish"
[[queue]]
name = "brief"
kind = "memory"
ttl = "5ms"
[[producer]]
name = "p"
to = "first"
rate = "60/s"
confirm = {{ window = 20, timeout = "20ms" }}
retry = {{ policy = "fixed", base = "5ms", attempts = 2 }}
[[consumer]]
name = "middle"
from = "first"
count = 3
service = "1ms"
{ack}
then = {then}
reconnect = "5ms"
churn = {{ every = "700ms", away = "20ms" }}
[[consumer]]
name = "last"
from = ["narrow", "brief"]
service = "12ms"
ack = "auto"
"#
        ));
    }
}

/// Copies of a fork may expire, or be rejected, so that nothing is ever joined.
#[test]
fn of_forks_that_are_never_joined() {
    check(
        r#"
[[exchange]]
name = "fork"
type = "fanout"
[[queue]]
name = "left"
ttl = "20ms"
bind = [{ exchange = "fork" }]
[[queue]]
name = "right"
bind = [{ exchange = "fork" }]
[[queue]]
name = "joined"
[[producer]]
name = "p"
to = { exchange = "fork" }
rate = "60/s"
[[consumer]]
name = "workers"
from = ["left", "right"]
service = { dist = "exponential", mean = "7ms" }
nack = { probability = 0.2, requeue = false }
then = { to = "joined", join = true }
[[consumer]]
name = "last"
from = "joined"
service = "1ms"
"#,
    );
}

/// Publishes that wait in the broker when their connection ends, and transactions that fail, are gone.
#[test]
fn of_publishes_that_the_broker_never_answers() {
    for how in ["overflow = \"block\"", "overflow = \"reject-publish\""] {
        check(&format!(
            r#"
[[queue]]
name = "q"
kind = "memory"
max_length = 5
{how}
[[producer]]
name = "p"
count = 8
to = "q"
rate = "100/s"
transaction = 3
buffer = 20
when_full = "drop"
churn = {{ every = "300ms", away = "20ms", crash = true }}
[[consumer]]
name = "c"
from = "q"
service = "15ms"
"#
        ));
    }
}

/// Each message is of a group of its own.
#[test]
fn of_groups_that_have_no_messages() {
    check(
        r#"
[[queue]]
name = "q"
kind = "memory"
groups = true
[[producer]]
name = "p"
to = "q"
rate = "60/s"
message_key = { dist = "uniform", keys = 1000000 }
group_by_key = true
[[consumer]]
name = "c"
from = "q"
count = 3
service = "10ms"
"#,
    );
}
