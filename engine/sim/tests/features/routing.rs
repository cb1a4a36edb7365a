//! Ways through exchanges, and the joins of what they fork.

use super::run;

#[test]
fn headers_exchanges_and_alternates_share_the_messages_out() {
    let record = run(r#"
duration = "10s"
[[exchange]]
name = "by-header"
type = "headers"
alternate = "rest"
[[exchange]]
name = "rest"
type = "fanout"
[[queue]]
name = "all"
bind = [{ exchange = "by-header", headers = { match = "all", region = "eu", vip = true } }]
[[queue]]
name = "any"
bind = [{ exchange = "by-header", headers = { match = "any", region = "eu", vip = true } }]
[[queue]]
name = "others"
bind = [{ exchange = "rest" }]
[[producer]]
name = "p"
to = "by-header"
rate = "100/s"
limit = 800
headers = { region = [ { value = "eu", weight = 1 }, { value = "us", weight = 1 } ], vip = [ { value = true, weight = 1 }, { value = false, weight = 1 } ] }
"#);
    let [all, any, others] = [0, 1, 2].map(|queue| record.queues[queue].enqueued);
    assert_eq!(any + others, 800);
    assert!((150..250).contains(&all), "{all}");
    assert!((550..650).contains(&any), "{any}");
    assert_eq!(record.outcomes.unroutable, 0);
}

#[test]
fn exchanges_lead_to_exchanges() {
    let record = run(r##"
duration = "10s"
[[exchange]]
name = "front"
type = "topic"
[[exchange]]
name = "orders"
type = "fanout"
bind = [{ exchange = "front", key = "order.#" }]
[[queue]]
name = "billing"
bind = [{ exchange = "orders" }]
[[queue]]
name = "audit"
bind = [{ exchange = "orders" }, { exchange = "front", key = "#" }]
[[producer]]
name = "p"
to = "front"
rate = "100/s"
limit = 600
message_key = ["order.created", "login"]
"##);
    let [billing, audit] = [0, 1].map(|queue| record.queues[queue].enqueued);
    assert_eq!(audit, 600, "each once, by whatever way");
    assert!((250..350).contains(&billing), "{billing}");
}

#[test]
fn a_join_waits_for_the_last_of_a_fork() {
    let record = run(r#"
duration = "20s"
[[exchange]]
name = "fork"
type = "fanout"
[[queue]]
name = "quick"
bind = [{ exchange = "fork" }]
[[queue]]
name = "slow"
bind = [{ exchange = "fork" }]
[[queue]]
name = "done"
[[producer]]
name = "p"
to = "fork"
arrivals = "constant"
rate = "20/s"
limit = 200
[[consumer]]
name = "fast"
from = "quick"
service = "1ms"
then = { to = "done", join = true }
[[consumer]]
name = "late"
from = "slow"
service = "40ms"
then = { to = "done", join = true }
[[consumer]]
name = "last"
from = "done"
service = "1ms"
"#);
    assert_eq!(record.queues[2].acked, 200, "one of each two");
    let forwarded = [0, 1].map(|consumer| record.consumers[consumer].forwarded);
    assert_eq!(forwarded, [0, 200], "the slow one is the last");
    let complete = &record.producers[0].complete[0];
    assert_eq!(complete.count(), 200);
    assert!(complete.min().unwrap().as_secs_f64() > 0.041);
}

/// What goes through a queue without partitions is dealt out by its key after that, also as a dead letter.
#[test]
fn keys_outlive_a_queue_without_partitions() {
    let record = run(r#"
duration = "20s"
[[queue]]
name = "a"
[[queue]]
name = "c"
partitions = 4
[[queue]]
name = "dying"
ttl = "10ms"
dead_letter = "d"
[[queue]]
name = "d"
partitions = 4
[[producer]]
name = "p"
to = "a"
rate = "100/s"
limit = 1000
message_key = { dist = "uniform", keys = 50 }
[[producer]]
name = "q"
to = "dying"
rate = "100/s"
limit = 1000
message_key = { dist = "uniform", keys = 50 }
[[consumer]]
name = "passes"
from = "a"
then = { to = "c" }
"#);
    for queue in record.queues.iter().filter(|it| it.name.contains('/')) {
        assert!(
            (100..500).contains(&queue.enqueued),
            "{}: {}",
            queue.name,
            queue.enqueued
        );
    }
}

/// A queue that has an exchange of its own for the keys of what is sent to it by name is bound to others itself: its depth counts, and when it
/// is gone so are its bindings.
#[test]
fn queues_with_keys_are_bound_themselves() {
    let gone = |keys: &str| {
        let record = run(&format!(
            r#"
duration = "20s"
[[exchange]]
name = "e"
type = "fanout"
alternate = "rest"
[[exchange]]
name = "rest"
type = "fanout"
[[queue]]
name = "temp"
bind = [ {{ exchange = "e" }} ]
expires = "2s"
[[queue]]
name = "unsorted"
bind = [ {{ exchange = "rest" }} ]
[[producer]]
name = "by-exchange"
to = "e"
arrivals = "constant"
rate = "10/s"
[[producer]]
name = "by-name"
to = "temp"
rate = "1/s"
limit = 1
{keys}
"#
        ));
        record.queues[1].enqueued
    };
    let plain = gone("");
    assert!(plain > 100, "{plain}");
    assert_eq!(
        gone("message_key = { dist = \"uniform\", keys = 3 }"),
        plain
    );
}
