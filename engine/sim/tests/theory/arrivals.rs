//! Arrivals that are not a Poisson process of single messages.

use super::*;

/// Gross and Harris, 5.3: an arrival every 1.25 s.
#[test]
fn dm1() {
    let messages: f64 = 4e5;
    let scale = 2.04 * (1e6 / messages).sqrt();
    let record = Model {
        arrivals: "constant",
        rate: 0.8,
        messages,
        ..BASE
    }
    .run(11);
    within(
        "Wq",
        mean(&wait(&record)),
        1.692_730_839_919_897_7,
        0.023 * scale,
    );
    within(
        "W",
        mean(&sojourn(&record)),
        2.692_730_839_919_897_7,
        0.023 * scale,
    );
    tail("p99", &record, 12.400_483_782_889_784, 0.01, 8.3);
}

/// Gross and Harris, 3.1: batches of a geometric number with mean 4, a fifth of one per second.
#[test]
fn batches() {
    let producer = r#"
        rate = "0.8/s"
        burst = { dist = "geometric", mean = 4 }
    "#;
    let messages: f64 = 5e5;
    let scale = 2.04 * (1e6 / messages).sqrt();
    let record = run(&one_queue("", producer, SERVER, messages / 0.8), 12);
    within("W", mean(&sojourn(&record)), 20.0, 0.6 * scale);
    within("L", in_system(&record), 16.0, 0.6 * 0.8 * scale);
}

/// Neuts' matrix-geometric solution: a rate of 0.4 for a mean of 50 s, of 1.6 for a mean of 20 s.
#[test]
fn mmpp() {
    let producer = r#"
        arrivals = { dist = "mmpp", states = [ { rate = "0.4/s", mean = "50s" }, { rate = "1.6/s", mean = "20s" } ] }
    "#;
    let scenario = one_queue("", producer, SERVER, 1e5);
    all_within_4_standard_errors(
        &scenario,
        14,
        &[
            ("W", |record| mean(&sojourn(record)), 20.104_162_348_279_335),
            (
                "λ",
                |record| record.queues[0].enqueued as f64 / record.end.as_secs_f64(),
                0.742_857_142_857_142_9,
            ),
            (
                "busy",
                |record| record.consumers[0].utilisation,
                1.0 - 0.257_142_857_142_859_8,
            ),
        ],
    );
}

/// Machine repair (Gross and Harris, 2.9): twenty clients that think for a mean of 10 s.
#[test]
fn closed_loop() {
    let producer = r#"
        count = 20
        arrivals = "closed"
        think = { dist = "exponential", mean = "10s" }
    "#;
    let messages: f64 = 4e5;
    let record = run(&one_queue("", producer, SERVER, messages), 13);
    let scale = 2.04 * (1e6 / messages).sqrt();
    within(
        "X",
        record.queues[0].acked as f64 / record.end.as_secs_f64(),
        0.998_130_950_147_645_5,
        0.002 * scale,
    );
    within(
        "W",
        mean(&sojourn(&record)),
        10.037_450_994_823_432,
        0.04 * scale,
    );
    within(
        "utilisation",
        record.consumers[0].utilisation,
        0.998_130_950_147_645_5,
        0.001,
    );
}

/// A producer sends after 5 ms or 16 messages (renewal reward); nothing else takes time.
#[test]
fn linger() {
    let producer = r#"
        rate = "1000/s"
        batch = { size = 16, linger = "5ms" }
    "#;
    let scenario = one_queue("", producer, "prefetch = 0\nservice = \"0s\"", 50.0);
    let waits = replicate(&scenario, 12, |record| mean(&wait(record)));
    within_4_standard_errors("delay", waits, 0.002_916_450_874_558_609_2);
}
