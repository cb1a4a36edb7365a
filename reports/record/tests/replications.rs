//! What other seeds say of a run, and what one long run says of itself.

use std::sync::LazyLock;

use queuelab_core::{Span, Time};
use queuelab_record::statistics::{Interval, Precision, batch_means};
use queuelab_record::{Ensemble, Quantity, RunRecord, Verdict, fixture};

static SALE: LazyLock<RunRecord> = LazyLock::new(fixture::flash_sale);

/// The flash sale with seeds 7 to 16, judged by one expectation with these verdicts: ✓, ✗ or ?.
fn runs(text: &str, verdicts: &str) -> Vec<RunRecord> {
    let run = |(index, verdict): (usize, char)| {
        let mut run = SALE.clone();
        run.seed = 7 + index as u64;
        run.expectations.truncate(1);
        run.expectations[0].text = text.into();
        run.expectations[0].measured = "3m".into();
        run.expectations[0].verdict = match verdict {
            '✓' => Verdict::Pass,
            '✗' => Verdict::Fail,
            _ => Verdict::Undecided,
        };
        run
    };
    verdicts.chars().enumerate().map(run).collect()
}

fn judged(runs: &[RunRecord]) -> Vec<String> {
    let ensemble = Ensemble::of(runs, &[], Precision::default()).unwrap();
    let judgements = ensemble.judgements(&runs[0]);
    let verdict = Verdict::worst(judgements.iter().map(|it| it.verdict));
    assert_eq!(verdict, ensemble.verdict(&runs[0]));
    let line = |it: queuelab_record::Judgement| {
        let elsewhere = it.elsewhere.map_or(String::new(), |it| format!(" · {it}"));
        format!("{:?} {} ({}){elsewhere}", it.verdict, it.text, it.measured)
    };
    judgements.into_iter().map(line).collect()
}

#[test]
fn an_expectation_that_hangs_on_chance_is_undecided() {
    for (verdicts, expected) in [
        ("✓✓✓✓✓✓✓✓✓✓", "Pass drain_time < 5m (3m)"),
        (
            "✓✓✗✓✓✓✓✗✓✓",
            "Undecided drain_time < 5m (3m) · holds in 8 of 10 seeds; not in 9, 14",
        ),
        (
            "✓?✓✓✓✓✓✓✓✓",
            "Undecided drain_time < 5m (3m) · holds in 9 of 10 seeds; it cannot be said in 8",
        ),
        ("✗✗✗✗✗✗✗✗✗✗", "Fail drain_time < 5m (3m)"),
        (
            "✗✓✓✓✓✓✓✓✓✓",
            "Fail drain_time < 5m (3m) · holds in 9 of 10 seeds; not in 7",
        ),
        (
            "✗✗✗✗✗✗✗✗✗✓",
            "Fail drain_time < 5m (3m) · holds in 1 of 10 seeds",
        ),
        ("??????????", "Undecided drain_time < 5m (3m)"),
    ] {
        let runs = runs("drain_time < 5m", verdicts);
        assert_eq!(judged(&runs), [expected], "{verdicts}");
    }
}

#[test]
fn one_run_is_enough_to_show_an_anomaly() {
    assert_eq!(
        judged(&runs("violates order-per-key", "✓✗✗✓✗✗✗✗✗✗")),
        ["Pass violates order-per-key (3m) · shown in 2 of 10 seeds"]
    );
    assert_eq!(
        judged(&runs("violates order-per-key", "✗✓✓✓✓✓✓✓✓✓")),
        ["Fail violates order-per-key (3m) · shown in 9 of 10 seeds; not in 7"]
    );
}

#[test]
fn an_invariant_that_any_seed_violates_fails() {
    let violate = |run: &mut RunRecord| {
        let invariant = &mut run.invariants[0];
        (invariant.verdict, invariant.violations) = (Verdict::Fail, 3);
    };
    let name = SALE.invariants[0].name.clone();
    let mut elsewhere = runs("drain_time < 5m", "✓✓✓");
    violate(&mut elsewhere[1]);
    assert_eq!(
        judged(&elsewhere),
        [
            "Pass drain_time < 5m (3m)".to_string(),
            format!("Fail {name} (violated with seed 8)")
        ]
    );
    violate(&mut elsewhere[0]);
    assert_eq!(
        judged(&elsewhere)[1],
        format!("Fail {name} (violated 3 times) · violated with seeds 7, 8")
    );
}

#[test]
fn runs_may_leave_out_different_parts() {
    let runs: Vec<RunRecord> = (0..3)
        .map(|index| {
            let mut run = SALE.clone();
            run.seed = 7 + index;
            run.warmup = Span::from_secs(5 * (index + 1));
            for queue in &mut run.queues {
                // A transient of 5, 10 and 15 s, in windows of 5 s.
                let level = |window: u64| if window <= index { 1_000 } else { window % 3 };
                queue.series.ready = (0..180).map(level).collect();
                queue.series.in_flight = vec![0; 180];
            }
            run
        })
        .collect();
    let ensemble = Ensemble::of(&runs, &[], Precision::default()).unwrap();
    let transient = ensemble.transient.unwrap();
    assert_eq!(transient.least(), Span::from_secs(5));
    // MSER-5 cuts whole batches of five windows, which is more than any of them left out.
    let cut = Some(Time::ZERO + Span::from_secs(25));
    assert_eq!(transient.cuts, [cut; 3]);
    assert!(!transient.is_left_out());
}

fn quantity(metric: &str) -> Quantity {
    Quantity {
        metric: metric.into(),
        of: None,
        phase: None,
    }
}

#[test]
fn one_long_run_has_intervals_from_its_batches() {
    let mut run = SALE.clone();
    run.queues.truncate(1);
    // 160 windows of 5 s after 100 s, in twenty batches of eight.
    run.warmup = Span::from_secs(100);
    let acked = |window: u64| (window * 7919) % 101;
    run.queues[0].series.acked = (0..180).map(acked).collect();
    let found = run.batch_means(&quantity("rate.acked"), 0.95).unwrap();
    let windows: Vec<f64> = (20..180).map(|it| acked(it) as f64 / 5.0).collect();
    let expected = Interval::of_mean(&batch_means(&windows, 20), 0.95).unwrap();
    assert!((found.interval.half_width - expected.half_width).abs() < 1e-9);
    assert!(found.is_sound() && found.shown().contains(" ± "));
    // Percentiles cannot be averaged, and phases are no steady state.
    assert_eq!(
        run.batch_means(&quantity("latency.end_to_end.p99"), 0.95),
        None
    );
    run.warmup = Span::ZERO;
    assert_eq!(run.batch_means(&quantity("rate.acked"), 0.95), None);
}

#[test]
fn batches_that_know_of_each_other_are_told() {
    let mut run = SALE.clone();
    run.queues.truncate(1);
    run.warmup = Span::from_secs(100);
    let slow_wave = |window: u64| {
        if (window / 40).is_multiple_of(2) {
            10
        } else {
            90
        }
    };
    run.queues[0].series.ready = (0..180).map(slow_wave).collect();
    let found = run.batch_means(&quantity("backlog.mean"), 0.95).unwrap();
    assert!(!found.is_sound(), "{:?}", found.correlation);
}

#[test]
fn extreme_percentiles_of_few_messages_are_scarce() {
    let all = SALE.end_to_end(None).count();
    assert!(all > 100_000);
    assert!(!SALE.is_scarce(&quantity("latency.end_to_end.p99.9")));
    assert!(SALE.is_scarce(&quantity("latency.end_to_end.p99.99")));
    let few = fixture::empty();
    assert!(few.is_scarce(&quantity("latency.end_to_end.p99.9")));
    assert!(!few.is_scarce(&quantity("latency.end_to_end.p99")));
    assert!(!few.is_scarce(&quantity("backlog.max")));
}
