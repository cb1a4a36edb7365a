//! Clients that come and go, are held back, refused or picky; and runs that end when all is quiet.

use super::{parse, run, run_of};

#[test]
fn consumers_that_leave_give_back_what_they_held() {
    for crash in [false, true] {
        let record = run(&format!(
            r#"
duration = "30s"
[[queue]]
name = "q"
[[producer]]
name = "p"
to = "q"
rate = "100/s"
limit = 1000
[[consumer]]
name = "c"
from = "q"
count = 3
prefetch = 5
service = "20ms"
churn = {{ every = "1s", away = "300ms", crash = {crash} }}
"#
        ));
        let queue = &record.queues[0];
        assert_eq!(queue.acked, 1000);
        assert!(queue.redelivered > 20, "{}", queue.redelivered);
    }
}

#[test]
fn producers_that_leave_go_on_where_they_were() {
    let record = run(r#"
duration = "10s"
[[queue]]
name = "q"
[[producer]]
name = "p"
to = "q"
arrivals = "constant"
rate = "100/s"
limit = 500
confirm = { window = 10 }
churn = { every = "1s", away = "200ms" }
[[consumer]]
name = "c"
from = "q"
service = "1ms"
"#);
    let outcomes = record.outcomes;
    assert_eq!((outcomes.sent, outcomes.pending), (500, 0));
    assert!(record.queues[0].acked >= outcomes.confirmed);
    // What was to be sent meanwhile was late.
    let longest = record.end_to_end(None).max().unwrap().as_secs_f64();
    assert!((0.15..0.4).contains(&longest), "{longest}");
}

/// A queue that nobody uses is gone with what it holds; who comes back declares it, and its binding, again.
#[test]
fn an_unused_queue_expires_and_is_declared_again() {
    let record = run(r#"
duration = "10s"
[[exchange]]
name = "x"
type = "direct"
[[queue]]
name = "q"
expires = "500ms"
bind = [{ exchange = "x", key = "a" }]
[[producer]]
name = "p"
to = { exchange = "x", key = "a" }
arrivals = "constant"
rate = "100/s"
[[consumer]]
name = "c"
from = "q"
service = "1ms"
churn = { every = "2s", away = "1500ms" }
"#);
    let queue = &record.queues[0];
    // It is away for 1.5 s of each two: for half a second the queue goes on, for the rest it is gone.
    let unroutable = record.outcomes.unroutable;
    assert!((350..450).contains(&unroutable), "{unroutable}");
    assert!((150..250).contains(&queue.purged), "{}", queue.purged);
    assert!(queue.acked > 300, "{}", queue.acked);
    assert_eq!(
        queue.enqueued + unroutable,
        record.outcomes.sent - in_transit(&record)
    );
}

/// Sent, and not at the broker at the end.
fn in_transit(record: &queuelab_record::RunRecord) -> u64 {
    let queue = &record.queues[0];
    let arrived = queue.enqueued + record.outcomes.unroutable;
    let under_way = record.outcomes.sent - arrived;
    assert!(under_way < 5, "{under_way} messages never arrived");
    under_way
}

#[test]
fn an_exclusive_consumer_keeps_the_others_out_until_it_is_gone() {
    // The language refuses two of them: the second may stand for somebody else's.
    let mut scenario = parse(
        r#"
duration = "10s"
[[queue]]
name = "q"
[[producer]]
name = "p"
to = "q"
arrivals = "constant"
rate = "100/s"
limit = 900
[[consumer]]
name = "first"
from = "q"
reconnect = "5s"
service = "1ms"
[[consumer]]
name = "second"
from = "q"
start = "100ms"
reconnect = "50ms"
service = "1ms"
[[fault]]
kind = "consumer-crash"
at = "4s"
for = "1s"
target = "first"
"#,
    );
    scenario
        .consumers
        .iter_mut()
        .for_each(|group| group.exclusive = true);
    let record = run_of(scenario);
    let served = [0, 1].map(|consumer| record.consumers[consumer].served);
    assert!((380..420).contains(&served[0]), "{served:?}");
    assert_eq!(record.queues[0].acked, 900);
}

#[test]
fn selectors_leave_what_they_do_not_want() {
    let record = run(r#"
duration = "10s"
[[queue]]
name = "q"
[[producer]]
name = "p"
to = "q"
rate = "100/s"
limit = 800
headers = { region = [ { value = "eu", weight = 2 }, { value = "us", weight = 1 }, { value = "asia", weight = 1 } ], size = 3 }
[[consumer]]
name = "europe"
from = "q"
selector = "region = 'eu' AND size > 2"
service = "1ms"
[[consumer]]
name = "america"
from = "q"
selector = "region IN ('us', 'ca')"
service = "1ms"
"#);
    let [europe, america] = [0, 1].map(|consumer| record.consumers[consumer].served);
    let left = record.queues[0].ready_end;
    assert_eq!(europe + america + left, 800);
    assert!((350..450).contains(&europe), "{europe}");
    assert!((150..250).contains(&america), "{america}");
    assert!((150..250).contains(&left), "{left}");
}

#[test]
fn a_memory_alarm_holds_publishers_back() {
    let record = run(r#"
duration = "20s"
[cluster]
limits = { memory = "100kB" }
[[queue]]
name = "q"
kind = "memory"
[[producer]]
name = "p"
to = "q"
arrivals = "constant"
rate = "400/s"
size = "1kB"
limit = 1500
confirm = { window = 10 }
[[consumer]]
name = "c"
from = "q"
prefetch = 5
service = "5ms"
"#);
    let queue = &record.queues[0];
    assert!(!record.alarms.is_empty());
    assert!(record.alarms.iter().all(|alarm| alarm.resource == "memory"));
    assert!(
        (80..140).contains(&queue.ready_max.0),
        "{:?}",
        queue.ready_max
    );
    assert_eq!(queue.acked, 1500);
    let confirm = record.producers[0].confirm[0].max().unwrap();
    assert!(
        confirm.as_secs_f64() > 1.0,
        "from the intended send: {confirm}"
    );
}

#[test]
fn a_full_disk_holds_publishers_back() {
    let record = run(r#"
duration = "20s"
[cluster]
limits = { disk_free = "200kB" }
disk = { capacity = "400kB" }
[[queue]]
name = "q"
kind = "durable"
[[producer]]
name = "p"
to = "q"
arrivals = "constant"
rate = "200/s"
size = "1kB"
limit = 1000
confirm = { window = 10 }
[[consumer]]
name = "c"
from = "q"
prefetch = 5
service = "10ms"
"#);
    let queue = &record.queues[0];
    assert!(!record.alarms.is_empty());
    assert!(record.alarms.iter().all(|alarm| alarm.resource == "disk"));
    // The log holds what is acknowledged, too, until it can let go of its beginning.
    assert!(
        (50..300).contains(&queue.ready_max.0),
        "{:?}",
        queue.ready_max
    );
    assert_eq!(queue.acked, 1000);
}

/// Credit bounds what one connection has under way to a slow disk; what is to be sent waits at the client.
#[test]
fn credit_keeps_a_flood_at_the_client() {
    let record = |limits: &str| {
        run(&format!(
            r#"
duration = "10s"
[cluster]
disk = {{ fsync = "20ms" }}
{limits}
[[queue]]
name = "q"
kind = "durable"
durability = "fsync"
[[producer]]
name = "p"
to = "q"
arrivals = "constant"
rate = "2000/s"
limit = 4000
confirm = false
[[consumer]]
name = "c"
from = "q"
prefetch = 1000
service = "10us"
"#
        ))
    };
    let wait = |record: &queuelab_record::RunRecord| {
        record.parts.nanos[0] as f64 / record.parts.copies as f64
    };
    let (free, held) = (record(""), record("limits = { publish_credit = 20 }"));
    assert_eq!(free.queues[0].acked, 4000);
    assert!(wait(&free) < 1e3, "{}", wait(&free));
    // At most twenty per fsync of 20 ms, half of what is sent: the last of 4000 is read two seconds after it was to be sent, at least.
    assert!(wait(&held) > 1e9, "{}", wait(&held));
    assert_eq!(held.queues[0].acked, 4000);
}

#[test]
fn a_run_ends_when_nothing_happens_any_more() {
    let record = run(r#"
duration = "1h"
until = { idle = "3s" }
[[queue]]
name = "q"
[[producer]]
name = "p"
to = "q"
arrivals = "constant"
rate = "10/s"
limit = 50
[[consumer]]
name = "c"
from = "q"
service = "1s"
count = 10
"#);
    assert_eq!(record.queues[0].acked, 50);
    let seconds = record.end.as_secs_f64();
    assert!((8.5..10.0).contains(&seconds), "{seconds}");
}
