//! What happens before the steady state.

use super::*;

/// An M/M/1 at ρ = 0.9 that starts empty: the mean wait of its n-th message, by Lindley's recursion over the wait's distribution. Runs of n and of
/// n − 1 messages differ by the last.
#[test]
fn warm_up() {
    for (n, replications, exact) in [
        (10_u64, 1_000, 2.195_003_437_014_417_4),
        (100, 700, 6.399_233_725_644_382_5),
    ] {
        let waits = |limit: u64| {
            let producer = format!("rate = \"0.9/s\"\nlimit = {limit}");
            let scenario = one_queue("", &producer, SERVER, 10.0 * n as f64 + 100.0)
                .lines()
                .filter(|line| !line.contains("steady"))
                .collect::<Vec<_>>()
                .join("\n");
            let scenario = parse(&scenario);
            (1..=replications).map(move |seed| {
                let delivery = wait(&simulate(&scenario, seed));
                assert_eq!(delivery.count(), limit, "all were delivered");
                delivery.sum() as f64 / 1e9
            })
        };
        let last: Vec<f64> = waits(n)
            .zip(waits(n - 1))
            .map(|(all, others)| all - others)
            .collect();
        within_4_standard_errors("wait", mean_and_error(&last), exact);
    }
}

/// First passage: 501 are there, one of which is served at once; at λ = 0.8 and μ = 1 nothing waits after a mean of 500 / (μ − λ) seconds.
#[test]
fn drain() {
    let scenario = r#"
        title = "drain"
        about = "A backlog is worked off while more comes."
        duration = "8000s"
        [cluster]
        profile = "ideal"
        [[queue]]
        name = "q"
        kind = "memory"
        backlog = 501
        [[producer]]
        name = "p"
        to = { queue = "q" }
        arrivals = "poisson"
        rate = "0.8/s"
        confirm = false
        [[consumer]]
        name = "c"
        from = "q"
        prefetch = 1
        service = { dist = "exponential", mean = "1s" }
    "#;
    let emptied = |record: &RunRecord| {
        let queue = &record.queues[0];
        let drain = queue.drain_time.expect("it drains");
        queue.ready_max.1.as_secs_f64() + drain.as_secs_f64()
    };
    within_4_standard_errors("drain", replicate(scenario, 40, emptied), 2_500.0);
}

/// A retry storm is metastable (Bronson et al. 2021): 70/s into 100/s, of which a fifth is left for a while. Whoever has no answer after three seconds
/// sends again, four times, and nobody cancels the work that is stale. By the fluid, the storm outlives a loss of capacity of more than
/// 20 · 3 / (70 − 20) + 3 = 4.2 s. Here the client that sends again is the queue, whose consumer takes all at once and answers too late.
#[test]
fn retry_storm() {
    for (slow, storms) in [("3780ms", false), ("6006ms", true)] {
        let scenario = format!(
            r#"
            title = "storm"
            about = "Does the queue recover?"
            phases = [{{ name = "before", for = "10s" }}, {{ name = "slow", for = "{slow}" }}, {{ name = "after", for = "50s" }}, {{ name = "late", for = "20s" }}]
            [cluster]
            profile = "ideal"
            [[queue]]
            name = "q"
            kind = "memory"
            requeue = "tail"
            ack_timeout = "3s"
            delivery_limit = 4
            [[producer]]
            name = "p"
            to = {{ queue = "q" }}
            arrivals = "poisson"
            rate = "70/s"
            confirm = false
            [[consumer]]
            name = "c"
            from = "q"
            prefetch = 0
            service = {{ dist = "exponential", mean = "10ms" }}
            service_by_phase = {{ slow = {{ dist = "exponential", mean = "50ms" }} }}
            "#
        );
        for seed in 1..=10 {
            let late = run(&scenario, seed).phases[3].load[0];
            let (sent, answered) = (late.delivered, late.acked);
            if storms {
                within("sent in a storm", sent, 350.0, 40.0);
                assert_eq!(answered, 0.0, "seed {seed}: answers in a storm");
            } else {
                within("sent", sent, 70.0, 10.0);
                within("answered", answered, 70.0, 10.0);
            }
        }
    }
}
