//! Several servers.

use super::*;

/// Crommelin 1932: two servers, services of a second, one queue.
#[test]
fn md2() {
    let model = Model {
        rate: 1.8,
        servers: 2,
        service: r#""1s""#,
        messages: 4e4,
        ..BASE
    };
    model.all_within_4_standard_errors(
        12,
        &[
            ("Wq", |record| mean(&wait(record)), 2.146_923_214_708_265),
            (
                "P(wait)",
                |record| above(&wait(record), 0.0),
                0.847_107_642_702_290_3,
            ),
        ],
    );
}

/// The exact chain: two servers, each message to the one with fewer.
#[test]
fn join_the_shortest_of_two() {
    let queue = r#"dispatch = "least-connections""#;
    let messages: f64 = 5e5;
    let record = Model {
        rate: 1.0,
        servers: 2,
        prefetch: 0,
        queue,
        messages,
        ..BASE
    }
    .run(21);
    within(
        "W",
        mean(&sojourn(&record)),
        1.426_320_751_167_242_7,
        2.04 * 0.007 * (1e6 / messages).sqrt(),
    );
}

/// The bank of Ciw's documentation, with its times divided by ten: M/M/3 and M/M/4 offered 2.
#[test]
fn bank() {
    for (servers, exact) in [(3, 4.0 / 9.0), (4, 2.0 / 23.0)] {
        let model = Model {
            rate: 2.0,
            servers,
            messages: 4e4,
            ..BASE
        };
        model.all_within_4_standard_errors(12, &[("Wq", |record| mean(&wait(record)), exact)]);
    }
}
