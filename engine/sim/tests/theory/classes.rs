//! Priorities, impatience, and queues that feed each other.

use super::*;

/// Cobham 1954: two classes, without preemption; λ = 0.3 and 0.4, services of a second.
#[test]
fn two_priorities() {
    let scenario = classes(1, "1s", &[("high", 9, 0.3), ("low", 0, 0.4)], 6e4);
    all_within_4_standard_errors(
        &scenario,
        12,
        &[
            (
                "W of the high",
                |record| mean(&merged(&record.producers[0].end_to_end)),
                2.0,
            ),
            (
                "W of the low",
                |record| mean(&merged(&record.producers[1].end_to_end)),
                4.333_333_333_333_332,
            ),
        ],
    );
}

/// The county hospital of Hillier and Lieberman, chapter 17, without preemption: λ = 0.2, 0.6, 1.2 and μ = 3 per hour; waits in hours.
#[test]
fn county_hospital() {
    for (doctors, waits) in [
        (
            1,
            [
                0.238_095_238_095_238_08,
                0.324_675_324_675_324_6,
                0.909_090_909_090_909,
            ],
        ),
        (
            2,
            [
                0.028_735_632_183_908_066,
                0.033_156_498_673_740_04,
                0.048_076_923_076_923_07,
            ],
        ),
    ] {
        // Seconds for hours.
        let scenario = classes(
            doctors,
            "333333333ns",
            &[("one", 2, 0.2), ("two", 1, 0.6), ("three", 0, 1.2)],
            2.5e4,
        );
        all_within_4_standard_errors(
            &scenario,
            12,
            &[
                (
                    "Wq of one",
                    |record| mean(&merged(&record.producers[0].delivery)),
                    waits[0],
                ),
                (
                    "Wq of two",
                    |record| mean(&merged(&record.producers[1].delivery)),
                    waits[1],
                ),
                (
                    "Wq of three",
                    |record| mean(&merged(&record.producers[2].delivery)),
                    waits[2],
                ),
            ],
        );
    }
}

/// Erlang 1917: ten servers without a queue, for any law of the service.
#[test]
fn erlang_b() {
    for service in [
        r#"{ dist = "exponential", mean = "1s" }"#,
        r#""1s""#,
        r#"{ dist = "lognormal", mean = "1s", cv = 2 }"#,
    ] {
        let consumer = format!("count = 10\nprefetch = 1\nservice = {service}");
        let scenario = one_queue("ttl = \"0s\"", "rate = \"8/s\"", &consumer, 2e4);
        let record = run(&scenario, 31);
        let queue = &record.queues[0];
        let loss = queue.expired as f64 / (queue.expired + queue.acked) as f64;
        within(
            "loss",
            loss,
            0.121_661_064_252_951_5,
            2.04 * 0.0013 * (1e6f64 / 1.6e5).sqrt(),
        );
    }
}

/// Erlang A (Garnett et al. 2002): ten servers offered ten, a mean patience of two seconds.
#[test]
fn erlang_a() {
    let producer = "rate = \"10/s\"\nttl = { dist = \"exponential\", mean = \"2s\" }";
    let consumer = "count = 10\nprefetch = 1\nservice = { dist = \"exponential\", mean = \"1s\" }";
    let messages: f64 = 4e5;
    let scale = 2.04 * (1e6 / messages).sqrt();
    let record = run(&one_queue("", producer, consumer, messages / 10.0), 32);
    let queue = &record.queues[0];
    let lost = queue.expired as f64 / (queue.expired + queue.acked) as f64;
    within("gives up", lost, 0.103_913_212_326_308_24, 0.0019 * scale);
    let load = &record.phases[0].load[0];
    within(
        "Wq, by Little's law",
        load.ready_mean / 10.0,
        0.207_826_424_652_616_47,
        0.0044 * scale,
    );
}

/// White and Christie 1958: a consumer that dies at a rate of 0.1 and comes back at a rate of 0.4.
#[test]
fn breakdowns() {
    let churn = "churn = { every = { dist = \"exponential\", mean = \"10s\" }, away = { dist = \"exponential\", mean = \"2500ms\" }, crash = true }";
    let scenario = one_queue("", "rate = \"0.5/s\"", &format!("{SERVER}{churn}"), 6e4);
    within_4_standard_errors(
        "W",
        replicate(&scenario, 12, |record| mean(&sojourn(record))),
        4.666_666_666_666_666,
    );
}

/// Jackson; Reich 1957: two servers in a row.
#[test]
fn tandem() {
    let scenario = network(
        &[("a", "1s", r#"then = { to = "b" }"#), ("b", "800ms", "")],
        "a",
        0.7,
        1e5,
    );
    let whole = |record: &RunRecord| merged(&record.queues[1].end_to_end);
    let records: Vec<RunRecord> = (1..=5).map(|seed| run(&scenario, seed)).collect();
    let all = merged(&records.iter().map(whole).collect::<Vec<_>>());
    let count = all.count() as f64;
    within(
        "W",
        mean(&all),
        5.151_515_151_515_151,
        2.04 * 0.05 * (1e6 / count).sqrt(),
    );
    for (quantile, level) in [
        (4.240_608_208_153_564, 0.5),
        (10.156_785_255_690_572, 0.1),
        (17.958_285_831_710_526, 0.01),
    ] {
        let error = (level * (1.0 - level) / count).sqrt() * 8.3;
        within("P(T > t)", above(&all, quantile), level, 4.0 * error);
    }
}

/// Bolch et al., example 7.4: an open Jackson network of four.
#[test]
fn jackson() {
    let queues = [
        (
            "q1",
            "40ms",
            r#"then = { to = [ { queue = "q2", weight = 1 }, { queue = "q3", weight = 1 } ] }"#,
        ),
        ("q2", "30ms", r#"then = { to = "q1" }"#),
        (
            "q3",
            "60ms",
            r#"then = { to = [ { queue = "q1", weight = 6 }, { out = true, weight = 4 } ] }"#,
        ),
        ("q4", "50ms", r#"then = { to = "q1" }"#),
    ];
    let scenario = network(&queues, "q4", 4.0, 2e3);
    // In the mean 4, 3/7, 1.5 and 0.25 are at the queues; those that wait are fewer by the load.
    all_within_4_standard_errors(
        &scenario,
        12,
        &[
            (
                "W",
                |record| mean(&merged(&record.producers[0].complete)),
                1.544_642_857_142_857_2,
            ),
            ("L", in_system, 4.0 * 1.544_642_857_142_857_2),
            ("Lq of q2", |record| waiting(record, 1), 3.0 / 7.0 - 0.3),
            ("Lq of q3", |record| waiting(record, 2), 1.5 - 0.6),
            ("Lq of q4", |record| waiting(record, 3), 0.25 - 0.2),
        ],
    );
}

/// Mean number that waits in a queue.
fn waiting(record: &RunRecord, queue: usize) -> f64 {
    record.phases[0].load[queue].ready_mean
}

/// Flatto, Hahn 1984: a message is copied to two servers, and done when both are.
#[test]
fn fork_join() {
    let scenario = r#"
        title = "fork"
        about = "Two copies, one join."
        duration = "40000s"
        steady = { warmup = "800s" }
        [cluster]
        profile = "ideal"
        [[exchange]]
        name = "x"
        type = "fanout"
        [[queue]]
        name = "a"
        kind = "memory"
        bind = [ { exchange = "x" } ]
        [[queue]]
        name = "b"
        kind = "memory"
        bind = [ { exchange = "x" } ]
        [[producer]]
        name = "p"
        to = { exchange = "x" }
        arrivals = "poisson"
        rate = "0.7/s"
        confirm = false
        [[consumer]]
        name = "ca"
        from = "a"
        prefetch = 1
        service = { dist = "exponential", mean = "1s" }
        [[consumer]]
        name = "cb"
        from = "b"
        prefetch = 1
        service = { dist = "exponential", mean = "1s" }
    "#;
    let joined = |record: &RunRecord| mean(&merged(&record.producers[0].complete));
    within_4_standard_errors("W", replicate(scenario, 12, joined), 4.708_333_333_333_333);
}

/// Dean and Barroso 2013: of a hundred calls, one in a hundred is slow; whoever waits for all of them is slow with 1 − 0.99^100.
#[test]
fn hundred_calls() {
    let calls: String = (0..100)
        .map(|call| {
            format!(
                "[[queue]]\nname = \"q{call}\"\nkind = \"memory\"\nbind = [ {{ exchange = \"x\" }} ]\n"
            )
        })
        .collect();
    let from: Vec<String> = (0..100).map(|call| format!("\"q{call}\"")).collect();
    let scenario = format!(
        r#"
        title = "calls"
        about = "How often is one of a hundred slow?"
        duration = "2000s"
        [cluster]
        profile = "ideal"
        [[exchange]]
        name = "x"
        type = "fanout"
        {calls}
        [[producer]]
        name = "p"
        to = {{ exchange = "x" }}
        arrivals = "constant"
        rate = "1/s"
        confirm = false
        [[consumer]]
        name = "c"
        from = [{}]
        prefetch = 0
        concurrency = 1000
        service = {{ dist = "empirical", values = [ {{ value = "1ms", weight = 99 }}, {{ value = "1s", weight = 1 }} ] }}
        "#,
        from.join(", ")
    );
    let complete = merged(&run(&scenario, 41).producers[0].complete);
    let (share, count): (f64, f64) = (0.633_967_658_726_770_9, complete.count() as f64);
    assert!(count > 1_900.0, "{count} are complete");
    let error = (share * (1.0 - share) / count).sqrt();
    within("slow", above(&complete, 0.5), share, 4.0 * error);
}

/// One queue, `servers` with exponential services of this mean, and a producer for each (name, priority, rate).
fn classes(servers: u32, service: &str, producers: &[(&str, u8, f64)], seconds: f64) -> String {
    let mut text = format!(
        "title = \"classes\"\nabout = \"Priorities.\"\nduration = \"{}s\"\nsteady = {{ warmup = \"{}s\" }}\n[cluster]\nprofile = \"ideal\"\n[[queue]]\nname = \"q\"\nkind = \"memory\"\nmax_priority = 9\n[[consumer]]\nname = \"c\"\nfrom = \"q\"\ncount = {servers}\nprefetch = 1\nservice = {{ dist = \"exponential\", mean = \"{service}\" }}\n",
        seconds as u64,
        (seconds / 50.0) as u64
    );
    for (name, priority, rate) in producers {
        text += &format!(
            "[[producer]]\nname = \"{name}\"\nto = {{ queue = \"q\" }}\narrivals = \"poisson\"\nrate = \"{rate}/s\"\npriority = {priority}\nconfirm = false\nsize = \"0B\"\n"
        );
    }
    text
}

/// Queues with a server each (name, mean service, what its consumer does then), fed by a Poisson process into one of them.
fn network(queues: &[(&str, &str, &str)], first: &str, rate: f64, seconds: f64) -> String {
    let mut text = format!(
        "title = \"network\"\nabout = \"Queues that feed each other.\"\nduration = \"{}s\"\nsteady = {{ warmup = \"{}s\" }}\n[cluster]\nprofile = \"ideal\"\n[[producer]]\nname = \"p\"\nto = {{ queue = \"{first}\" }}\narrivals = \"poisson\"\nrate = \"{rate}/s\"\nconfirm = false\nsize = \"0B\"\n",
        seconds as u64,
        (seconds / 50.0) as u64
    );
    for (name, service, then) in queues {
        text += &format!(
            "[[queue]]\nname = \"{name}\"\nkind = \"memory\"\n[[consumer]]\nname = \"c-{name}\"\nfrom = \"{name}\"\nprefetch = 1\nservice = {{ dist = \"exponential\", mean = \"{service}\" }}\n{then}\n"
        );
    }
    text
}
