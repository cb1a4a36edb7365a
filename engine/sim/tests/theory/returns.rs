//! Services that fail.

use super::*;

/// Takács 1963: three of ten services fail, and their messages go to the tail of the queue.
#[test]
fn feedback() {
    let consumer = format!("{SERVER}nack = {{ probability = 0.3, requeue = true }}");
    let scenario = one_queue("requeue = \"tail\"", "rate = \"0.5/s\"", &consumer, 1e5);
    all_within_4_standard_errors(
        &scenario,
        12,
        &[
            ("W", |record| mean(&sojourn(record)), 5.0),
            ("L", in_system, 2.5),
            ("visits", visits, 1.428_571_428_571_428_6),
            (
                "ρ",
                |record| record.consumers[0].utilisation,
                0.714_285_714_285_714_3,
            ),
        ],
    );
}

/// A geometric sum (Brooker 2022): up to three retries of services that fail independently.
#[test]
fn limited_retries() {
    for (failure, deliveries, success) in [
        (0.2, 1.248, 0.9984),
        (0.5, 1.875, 0.9375),
        (0.75, 2.734_375, 0.683_593_75),
    ] {
        let consumer = format!(
            "prefetch = 1\nservice = \"1ms\"\nnack = {{ probability = {failure}, requeue = true }}"
        );
        let scenario = one_queue("delivery_limit = 3", "rate = \"100/s\"", &consumer, 200.0);
        let records: Vec<RunRecord> = (1..=10).map(|seed| run(&scenario, seed)).collect();
        let sent = |record: &RunRecord| {
            record.queues[0].delivered as f64 / record.queues[0].enqueued as f64
        };
        let done =
            |record: &RunRecord| record.queues[0].acked as f64 / record.queues[0].enqueued as f64;
        for (what, measure, exact) in [
            (
                "deliveries",
                &sent as &dyn Fn(&RunRecord) -> f64,
                deliveries,
            ),
            ("success", &done, success),
        ] {
            let values: Vec<f64> = records.iter().map(measure).collect();
            within_4_standard_errors(what, mean_and_error(&values), exact);
        }
    }
}

fn visits(record: &RunRecord) -> f64 {
    record.queues[0].delivered as f64 / record.queues[0].enqueued as f64
}
