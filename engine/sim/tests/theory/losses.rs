//! Queues that turn messages away.

use super::*;

/// Gross and Harris, 2.5. K counts the message in service: a bound of K − 1 on those that wait.
#[test]
fn mm1k() {
    for (rate, length, loss, number, sojourn_time, throughput) in [
        (
            0.8,
            4,
            0.088_819_498_655_564_24,
            1.868_332_032_266_458_7,
            2.563_065_207_044_265,
            0.728_944_401_075_548_6,
        ),
        (
            0.9,
            9,
            0.050_813_731_327_412_4,
            3.969_440_598_586_174,
            4.646_600_672_123_705,
            0.854_267_641_805_328_9,
        ),
    ] {
        let scenario = one_queue(
            &format!("max_length = {length}\noverflow = \"reject-publish\""),
            &format!("rate = \"{rate}/s\""),
            SERVER,
            4e4 / rate,
        );
        all_within_4_standard_errors(
            &scenario,
            12,
            &[
                ("loss", refused, loss),
                ("L", in_system, number),
                ("W", |record| mean(&sojourn(record)), sojourn_time),
                ("throughput", acked, throughput),
            ],
        );
    }
}

/// By the chain embedded at departures.
#[test]
fn md1k() {
    let scenario = one_queue(
        "max_length = 9\noverflow = \"reject-publish\"",
        "rate = \"0.9/s\"",
        "prefetch = 1\nservice = \"1s\"",
        5e4 / 0.9,
    );
    all_within_4_standard_errors(
        &scenario,
        12,
        &[
            ("loss", refused, 0.016_631_747_828_946_497),
            (
                "W",
                |record| mean(&sojourn(record)),
                3.922_435_866_315_320_5,
            ),
            ("L", in_system, 3.471_479_011_900_394),
        ],
    );
}

/// Share of publishes that the queue refused.
fn refused(record: &RunRecord) -> f64 {
    let queue = &record.queues[0];
    queue.refused as f64 / (queue.refused + queue.enqueued) as f64
}

/// Messages per second.
fn acked(record: &RunRecord) -> f64 {
    record.queues[0].acked as f64 / record.end.as_secs_f64()
}
