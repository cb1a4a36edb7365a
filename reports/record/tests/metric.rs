//! Metrics by name.

use expect_test::{Expect, expect};
use queuelab_core::{Span, Time};
use queuelab_record::{Latencies, METRICS, Measured, RunRecord, Unit, fixture};

/// `latency.confirm.p99 of checkout in burst`
fn ask(record: &RunRecord, question: &str) -> String {
    let (question, phase) = question
        .split_once(" in ")
        .map_or((question, None), |(left, phase)| (left, Some(phase)));
    let (name, of) = question
        .split_once(" of ")
        .map_or((question, None), |(left, of)| (left, Some(of)));
    match record.metric(name, of, phase) {
        Ok(measured) => measured.to_string(),
        Err(error) => format!("error: {error}"),
    }
}

fn check(record: &RunRecord, questions: &[&str], expected: Expect) {
    let answers: Vec<String> = questions
        .iter()
        .map(|question| format!("{question}: {}", ask(record, question)))
        .collect();
    expected.assert_eq(&answers.join("\n"));
}

#[test]
fn every_metric_has_an_answer_in_the_whole_run() {
    let record = fixture::flash_sale();
    let names: Vec<String> = METRICS
        .iter()
        .map(|name| name.replace("pN", "p99.9"))
        .collect();
    check(
        &record,
        &names.iter().map(String::as_str).collect::<Vec<_>>(),
        expect![[r#"
            backlog.max: 161,866
            backlog.mean: 28,981
            backlog.end: 0
            oldest_age.max: 2m59.8s
            drain_time: 4m05s
            delayed.max: 0
            delayed.mean: 0
            delayed.end: 0
            stalled.end: 0
            lag.max: no samples
            lag.mean: no samples
            lag.end: no samples
            alarm_time: 0s
            count.read_back: 0
            budget_use.max: no samples
            latency.confirm.mean: 101 ms
            latency.confirm.max: 20 s
            latency.confirm.p99.9: 18 s
            latency.delivery.mean: 54.3 s
            latency.delivery.max: 3m03.4s
            latency.delivery.p99.9: 3m00.3s
            latency.end_to_end.mean: 54.3 s
            latency.end_to_end.max: 3m03.5s
            latency.end_to_end.p99.9: 3m00.4s
            latency.complete.mean: no samples
            latency.complete.max: no samples
            latency.complete.p99.9: no samples
            rate.published: 453/s
            rate.delivered: 453/s
            rate.acked: 453/s
            count.offered: 407,546
            count.sent: 407,546
            count.confirmed: 407,546
            count.failed: 0
            count.unknown: 0
            count.dropped_by_producer: 0
            count.pending: 0
            count.unroutable: 0
            count.abandoned: 0
            count.retried: 0
            count.enqueued: 407,546
            count.delivered: 408,288
            count.redelivered: 742
            count.duplicates: 0
            count.reordered: no samples
            count.acked: 407,546
            count.dead_lettered: 0
            count.dropped: 0
            count.rejected: 0
            count.refused: 0
            count.lost: 0
            count.expired: 0
            count.exhausted: 0
            count.purged: 0
            count.deduplicated: 0
            count.lease_expired: 0
            count.rebalances: 0
            count.served: 407,546
            count.nacked: 0
            utilisation: 41.7 %"#]],
    );
}

#[test]
fn bodies_in_memory_have_metrics() {
    let mut record = fixture::flash_sale();
    record.nodes[0].bodies = Some(queuelab_record::BodiesRecord {
        budget: 32 << 20,
        resident_max: 33_020_702,
        read: 140_024,
        resident_series: vec![1_024, 33_020_702, 9],
    });
    check(
        &record,
        &[
            "count.read_back",
            "budget_use.max",
            "budget_use.max in burst",
        ],
        expect![[r#"
            count.read_back: 140,024
            budget_use.max: 98.4 %
            budget_use.max in burst: error: `budget_use.max` is measured over the whole run, not per phase"#]],
    );
    let series = queuelab_record::series_csv(&record);
    let at = series.lines().next().and_then(|names| {
        let mut names = names.split(',');
        names.position(|name| name == "node.n1.resident_bytes")
    });
    let values = series.lines().skip(1).take(3);
    let values: Vec<&str> = values.filter_map(|line| line.split(',').nth(at?)).collect();
    assert_eq!(values, ["1024", "33020702", "9"]);
}

#[test]
fn delays_lags_and_alarms_have_metrics() {
    let questions = [
        "delayed.max of orders",
        "delayed.max of orders in after",
        "delayed.mean in burst",
        "delayed.end",
        "lag.max of analytics",
        "lag.mean of analytics in after",
        "lag.end",
        "alarm_time",
        "count.rebalances of analytics",
        "count.expired of orders",
        "count.retried of checkout",
        "backlog.end of events",
        "backlog.end of events/1",
        "count.enqueued of events",
        "count.enqueued of event",
        "latency.end_to_end.p50 of checkout in before",
        "latency.end_to_end.p50 of analytics in before",
        "latency.complete.p50 of checkout in before",
        "latency.complete.p50 of orders",
        "lag.max of orders",
    ];
    check(
        &fixture::retries_and_streams(),
        &questions,
        expect![[r#"
            delayed.max of orders: 180
            delayed.max of orders in after: 180
            delayed.mean in burst: 180
            delayed.end: 36
            lag.max of analytics: 31,378
            lag.mean of analytics in after: 2,112
            lag.end: 0
            alarm_time: 27 s
            count.rebalances of analytics: 3
            count.expired of orders: 312
            count.retried of checkout: 84
            backlog.end of events: 367,020
            backlog.end of events/1: 183,510
            count.enqueued of events: 367,020
            count.enqueued of event: error: no queue is called `event`; there are orders, payments, events/0, events/1
            latency.end_to_end.p50 of checkout in before: 17.9 ms
            latency.end_to_end.p50 of analytics in before: 17.9 ms
            latency.complete.p50 of checkout in before: 17.9 ms
            latency.complete.p50 of orders: error: no producer is called `orders`; there are checkout
            lag.max of orders: error: no group is called `orders`; there are analytics"#]],
    );
}

#[test]
fn names_and_phases_narrow_it_down() {
    let questions = [
        "backlog.max of orders",
        "backlog.max of payments",
        "backlog.max of orders in after",
        "backlog.max in burst",
        "backlog.mean of orders in burst",
        "backlog.end of orders in burst",
        "oldest_age.max of orders in burst",
        "drain_time of orders",
        "latency.end_to_end.p50 of orders in before",
        "latency.end_to_end.p50 of orders in burst",
        "latency.delivery.mean of payments in before",
        "latency.confirm.p99 of checkout in burst",
        "rate.published of payments",
        "rate.published of orders in burst",
        "rate.acked in burst",
        "count.acked of orders",
        "count.confirmed of checkout",
        "count.served of gateway",
        "utilisation of fulfilment",
        "utilisation of fulfilment in burst",
    ];
    check(
        &fixture::flash_sale(),
        &questions,
        expect![[r#"
            backlog.max of orders: 161,862
            backlog.max of payments: 401
            backlog.max of orders in after: 3,495
            backlog.max in burst: 161,866
            backlog.mean of orders in burst: 87,706
            backlog.end of orders in burst: 161,860
            oldest_age.max of orders in burst: 2m59.8s
            drain_time of orders: 4m05s
            latency.end_to_end.p50 of orders in before: 17.9 ms
            latency.end_to_end.p50 of orders in burst: 1m16.5s
            latency.delivery.mean of payments in before: 3.99 ms
            latency.confirm.p99 of checkout in burst: 16.2 ms
            rate.published of payments: 45.0/s
            rate.published of orders in burst: 3,598/s
            rate.acked in burst: 1,297/s
            count.acked of orders: 367,057
            count.confirmed of checkout: 407,546
            count.served of gateway: 40,489
            utilisation of fulfilment: 45.3 %
            utilisation of fulfilment in burst: 100 %"#]],
    );
}

#[test]
fn wrong_questions_say_what_there_is() {
    let questions = [
        "backlog",
        "latency.confirm.p0",
        "latency.confirm.p100",
        "latency.confirm.p9e1",
        "latency.confirm.p",
        "latency.service.p50",
        "backlog.max of order",
        "latency.confirm.p99 of orders",
        "latency.end_to_end.p99 of nobody",
        "utilisation of orders",
        "backlog.max in sale",
        "drain_time in burst",
        "count.sent in burst",
    ];
    let record = fixture::flash_sale();
    let answers: Vec<String> = questions
        .iter()
        .map(|question| ask(&record, question).replace(&METRICS.join(", "), "…"))
        .collect();
    expect![[r#"
        error: no metric is called `backlog`; there are …
        error: no metric is called `latency.confirm.p0`; there are …
        error: no metric is called `latency.confirm.p100`; there are …
        error: no metric is called `latency.confirm.p9e1`; there are …
        error: no metric is called `latency.confirm.p`; there are …
        error: no metric is called `latency.service.p50`; there are …
        error: no queue is called `order`; there are orders, payments
        error: no producer is called `orders`; there are checkout
        error: no queue is called `nobody`; there are orders, payments
        error: no consumer is called `orders`; there are fulfilment, gateway
        error: no phase is called `sale`; there are before, burst, drain, after
        error: `drain_time` is measured over the whole run, not per phase
        error: `count.sent` is measured over the whole run, not per phase"#]]
    .assert_eq(&answers.join("\n"));
}

#[test]
fn without_messages_there_are_no_samples() {
    let record = fixture::empty();
    let names: Vec<String> = METRICS
        .iter()
        .map(|name| name.replace("pN", "p50"))
        .collect();
    for name in names {
        let measured = record.metric(&name, None, None).unwrap();
        let nothing = matches!(measured, Measured::NoSamples)
            || matches!(measured, Measured::Value { value: 0.0, .. });
        assert!(nothing, "{name}: {measured}");
        // No phase makes it fail either.
        let _ = record.metric(&name, None, Some("after"));
    }
}

#[test]
fn a_backlog_that_stays_never_drains() {
    let mut record = fixture::flash_sale();
    record.queues[1].drain_time = None;
    check(
        &record,
        &[
            "drain_time",
            "drain_time of orders",
            "drain_time of payments",
        ],
        expect![[r#"
            drain_time: never
            drain_time of orders: 4m05s
            drain_time of payments: never"#]],
    );
    // An untouched queue has nothing to drain.
    record.queues[1].ready_max = (0, Time::ZERO);
    check(
        &record,
        &["drain_time", "drain_time of payments"],
        expect![[r#"
            drain_time: 4m05s
            drain_time of payments: no samples"#]],
    );
}

#[test]
fn unfinished_messages_make_lower_bounds_where_they_matter() {
    let mut record = fixture::empty();
    record.end = record.phases[3].until;
    let mut latencies = Latencies::default();
    (1..=1000).for_each(|value| latencies.record(Span::from_millis(value)));
    for phase in 0..4 {
        record.queues[0].end_to_end[phase] = latencies.clone();
    }
    record.queues[0].unfinished_age_max = Span::from_secs(60);
    record.queues[0].ready_end = 50;
    record.queues[0].unfinished = vec![0, 0, 0, 50];
    // 50 of 4050 are unfinished: the median stands, the 99 % quantile may be anything above. The oldest was intended a minute
    // before the end, so the earlier phases are complete.
    let questions = [
        "latency.end_to_end.mean",
        "latency.end_to_end.p50",
        "latency.end_to_end.p99",
        "latency.end_to_end.max",
    ];
    check(
        &record,
        &questions,
        expect![[r#"
        latency.end_to_end.mean: ≥ 500 ms
        latency.end_to_end.p50: 500 ms
        latency.end_to_end.p99: ≥ 990 ms
        latency.end_to_end.max: ≥ 1m"#]],
    );
    check(
        &record,
        &[
            "latency.end_to_end.max in burst",
            "latency.end_to_end.max in after",
            "latency.end_to_end.p99 in drain",
        ],
        expect![[r#"
            latency.end_to_end.max in burst: 1 s
            latency.end_to_end.max in after: ≥ 1m
            latency.end_to_end.p99 in drain: 990 ms"#]],
    );
    // One that is younger than the figure says nothing.
    record.queues[0].unfinished_age_max = Span::from_millis(20);
    check(
        &record,
        &questions,
        expect![[r#"
        latency.end_to_end.mean: 500 ms
        latency.end_to_end.p50: 500 ms
        latency.end_to_end.p99: 990 ms
        latency.end_to_end.max: 1 s"#]],
    );

    record.producers[0].confirm[0] = latencies;
    record.producers[0].outcomes.unknown = 20;
    check(
        &record,
        &[
            "latency.confirm.p50",
            "latency.confirm.p99 of checkout",
            "latency.confirm.max",
        ],
        expect![[r#"
            latency.confirm.p50: 500 ms
            latency.confirm.p99 of checkout: ≥ 990 ms
            latency.confirm.max: 1 s"#]],
    );
}

#[test]
fn figures_read_as_people_write_them() {
    let show = |value, unit, at_least| {
        Measured::Value {
            value,
            unit,
            at_least,
        }
        .to_string()
    };
    assert_eq!(show(225.0, Unit::Time, false), "3m45s");
    assert_eq!(show(0.092, Unit::Time, true), "≥ 92 ms");
    assert_eq!(show(1_204.0, Unit::Count, false), "1,204");
    assert_eq!(show(200.7, Unit::Rate, false), "201/s");
    assert_eq!(show(0.8701, Unit::Ratio, false), "87 %");
    assert_eq!(
        format!("{:>7}|{:<7}|", Measured::Never, Measured::Never),
        "  never|never  |"
    );
}
