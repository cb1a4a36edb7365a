//! Several runs taken together.

use std::sync::LazyLock;

use queuelab_core::{Span, Time};
use queuelab_record::statistics::Precision;
use queuelab_record::{
    ENSEMBLE_SCHEMA_VERSION, Ensemble, EnsembleError, Latencies, LittlesLaw, Quantity, RunRecord,
    Verdict, fixture,
};

static SALE: LazyLock<RunRecord> = LazyLock::new(fixture::flash_sale);

/// The flash sale with seeds 7, 8, 9, each changed a little.
fn runs(change: impl Fn(usize, &mut RunRecord)) -> Vec<RunRecord> {
    (0..3)
        .map(|index| {
            let mut run = SALE.clone();
            run.seed = 7 + index as u64;
            change(index, &mut run);
            run
        })
        .collect()
}

fn quantity(metric: &str, of: Option<&str>) -> Quantity {
    Quantity {
        metric: metric.into(),
        of: of.map(str::to_string),
        phase: None,
    }
}

fn ensemble(runs: &[RunRecord], metric: &str, of: Option<&str>) -> Ensemble {
    Ensemble::of(runs, &[quantity(metric, of)], Precision::default()).unwrap()
}

fn shown(runs: &[RunRecord], metric: &str, of: Option<&str>) -> String {
    ensemble(runs, metric, of).metrics[0].shown()
}

fn constant(nanos: u64, count: u64) -> Latencies {
    let mut latencies = Latencies::default();
    (0..count).for_each(|_| latencies.record(Span(nanos)));
    latencies
}

/// 100, 110, 120: s = 10, and t(0.975; 2) · 10/√3 = 24.8.
#[test]
fn a_metric_has_its_mean_and_interval() {
    let runs = runs(|index, run| run.queues[0].ready_max.0 = 100 + 10 * index as u64);
    let ensemble = ensemble(&runs, "backlog.max", Some("orders"));
    let metric = &ensemble.metrics[0];
    assert_eq!(metric.values, [Some(100.0), Some(110.0), Some(120.0)]);
    assert_eq!(metric.shown(), "110 ± 24.8");
    assert!(!metric.converged);
    assert_eq!(ensemble.seeds, [7, 8, 9]);
    assert_eq!(
        ensemble.metric(&quantity("backlog.max", Some("orders"))),
        Some(metric)
    );
}

#[test]
fn what_never_came_to_pass_in_one_run_has_no_interval() {
    let runs = runs(|index, run| {
        if index == 1 {
            run.queues[0].drain_time = None;
        }
    });
    let ensemble = ensemble(&runs, "drain_time", Some("orders"));
    assert_eq!(ensemble.metrics[0].shown(), "never in 1 of 3");
    assert_eq!(ensemble.metrics[0].interval, None);
    assert!(!ensemble.metrics[0].converged);
}

#[test]
fn one_run_is_shown_without_an_interval() {
    let runs = runs(|_, run| run.queues[0].ready_max.0 = 1_200);
    let alone = ensemble(&runs[..1], "backlog.max", Some("orders"));
    assert_eq!(alone.metrics[0].shown(), "1,200");
    assert_eq!(alone.metrics[0].estimate(), Some(1_200.0));
    assert_eq!(alone.metrics[0].interval, None);
    assert!(!alone.metrics[0].converged);
    // One run has no interval, so it lacks none.
    assert!(
        alone
            .warnings()
            .iter()
            .all(|it| !it.contains("no interval"))
    );
    assert_eq!(shown(&runs[..1], "latency.complete.mean", None), "—");
    assert_eq!(shown(&runs, "latency.complete.mean", None), "—");
}

/// 19,000 latencies of a second, and 1,000 of a minute that all fell into one run: the mean of the runs' 90 % quantiles would be 20.7 s, all
/// together have one of a second.
#[test]
fn percentiles_are_merged_and_not_averaged() {
    let runs = runs(|index, run| {
        for producer in &mut run.producers {
            let slow = if index == 0 { 1_000 } else { 0 };
            let mut confirm = constant(1_000_000_000, 6_000);
            confirm.merge(&constant(60_000_000_000, slow));
            producer.confirm = vec![Latencies::default(); 4];
            producer.confirm[0] = confirm;
        }
    });
    let ensemble = ensemble(&runs, "latency.confirm.p90", None);
    let metric = &ensemble.metrics[0];
    assert_eq!(metric.interval.unwrap().estimate.round(), 1.0);
    assert!(metric.values[0].unwrap() > 59.0);
    assert_eq!(ensemble.latencies[0].count(), 19_000);
}

#[test]
fn a_percentile_with_few_messages_above_it_is_not_told() {
    let with = |count| {
        let runs = runs(|_, run| {
            run.producers[0].confirm = vec![Latencies::default(); 4];
            run.producers[0].confirm[0] = constant(1_000_000_000, count);
        });
        shown(&runs, "latency.confirm.p99.9", None)
    };
    // Three means of one percentile each are no percentile either.
    assert_eq!(with(33_300), "—");
    assert_eq!(with(33_334), "1 s ± 0s");
}

/// 60 latencies above the p99.9 of 60,000 in three runs: five runs have a hundred.
#[test]
fn what_has_no_interval_is_named_with_what_would_do() {
    let runs = runs(|index, run| {
        run.producers[0].confirm = vec![Latencies::default(); 4];
        run.producers[0].confirm[0] = constant(1_000_000_000, 20_000);
        if index == 1 {
            run.queues[0].drain_time = None;
        }
    });
    let asked = [
        quantity("latency.confirm.p99.9", None),
        quantity("latency.confirm.p50", None),
        quantity("drain_time", Some("orders")),
    ];
    let ensemble = Ensemble::of(&runs, &asked, Precision::default()).unwrap();
    let scarce = &ensemble.metrics[0];
    assert_eq!(scarce.above.map(f64::round), Some(60.0));
    assert_eq!(scarce.runs_for_interval(), Some(5));
    assert_eq!(scarce.estimate(), None);
    assert_eq!(ensemble.metrics[1].runs_for_interval(), None);
    assert_eq!(ensemble.metrics[2].runs_for_interval(), None);
    assert_eq!(
        ensemble.warnings().last().unwrap(),
        "2 of 3 figures have no interval: latency.confirm.p99.9 (too few latencies above it; about 5 replications would do), \
         drain_time of orders (never in 1 of 3)"
    );
    assert_eq!(
        ensemble.convergence().unwrap(),
        "1 of 3 figures has an interval; it is as narrow as was asked for."
    );
}

#[test]
fn expectations_are_told_by_seed() {
    let runs = runs(|index, run| {
        run.expectations[0].verdict = [Verdict::Pass, Verdict::Fail, Verdict::Undecided][index];
    });
    let ensemble = ensemble(&runs, "backlog.max", None);
    let first = &ensemble.expectations[0];
    assert_eq!(
        (first.met, &first.unmet[..], &first.undecided[..]),
        (1, &[8][..], &[9][..])
    );
}

#[test]
fn a_violation_in_any_run_is_told_with_its_seed() {
    let runs = runs(|index, run| {
        if index > 0 {
            let invariant = &mut run.invariants[0];
            (invariant.verdict, invariant.violations) = (Verdict::Fail, 3);
        }
    });
    let violations = ensemble(&runs, "backlog.max", None).violations;
    assert_eq!(violations.len(), 1);
    assert_eq!(
        (violations[0].invariant.as_str(), &violations[0].seeds[..]),
        ("no-loss", &[8, 9][..])
    );
}

#[test]
fn accounting_that_is_off_is_the_first_warning() {
    let runs = runs(|index, run| {
        if index == 2 {
            run.littles_law = LittlesLaw {
                integral: 10,
                sojourns: 11,
            };
        }
    });
    let ensemble = ensemble(&runs, "backlog.max", None);
    assert_eq!(ensemble.unaccounted, [9]);
    assert!(ensemble.warnings()[0].starts_with("L = λW does not hold with seed 9:"));
}

/// Figures that are not to be trusted are not said to be as narrow as was asked for.
#[test]
fn narrow_intervals_are_told_only_where_nothing_is_wrong() {
    let told = |change: fn(&mut RunRecord)| {
        let runs = runs(|_, run| change(run));
        ensemble(&runs, "backlog.max", None).convergence()
    };
    // The burst is an overload, and what comes after drains it.
    let all = "All intervals are as narrow as was asked for.";
    assert_eq!(told(|_| {}).as_deref(), Some(all));
    let unaccounted = |run: &mut RunRecord| {
        (run.littles_law.integral, run.littles_law.sojourns) = (10, 11);
    };
    assert_eq!(told(unaccounted), None);
    let unsettled = |run: &mut RunRecord| {
        run.warmup = Span::from_secs(100);
        for queue in &mut run.queues {
            queue.series.ready = (0..180).collect();
        }
    };
    assert_eq!(told(unsettled), None);
    let overloaded = |run: &mut RunRecord| {
        for load in &mut run.phases[3].load {
            (load.offered, load.capacity) = (150.0, Some(100.0));
        }
    };
    assert_eq!(told(overloaded), None);
}

#[test]
fn a_load_of_one_or_more_is_lasting_where_nothing_drains_it() {
    let overloaded = |phase: usize| {
        let runs = runs(|_, run| {
            for info in &mut run.phases {
                for load in &mut info.load {
                    (load.offered, load.capacity) = (10.0, Some(100.0));
                }
            }
            run.phases[phase].load[0].offered = 150.0;
            // Nobody consumes: it is full in the end, but not overloaded.
            run.phases[3].load[1].capacity = Some(0.0);
        });
        ensemble(&runs, "backlog.max", None)
    };
    let burst = overloaded(1);
    assert_eq!((burst.overloads.len(), burst.overloads[0].load), (1, 1.5));
    assert!(burst.overloaded().is_empty());
    let last = overloaded(3).overloaded();
    assert!(
        last.len() == 1 && last[0].contains("`orders` is offered ρ = 1.50"),
        "{last:?}"
    );
}

#[test]
fn what_did_not_converge_is_named_with_what_would_do() {
    let runs = runs(|index, run| run.queues[0].ready_max.0 = 100 + 10 * index as u64);
    let warnings = ensemble(&runs, "backlog.max", Some("orders")).warnings();
    // (24.8/110 / 0.05)² · 3 = 61.2.
    assert_eq!(
        warnings.last().unwrap(),
        "did not converge to ± 5 %: backlog.max of orders (± 22.6 %); about 62 replications would"
    );
}

#[test]
fn a_steady_run_has_its_transient_judged() {
    let with = |busy_for: usize| {
        let runs = runs(|_, run| {
            run.warmup = Span::from_secs(100);
            for (index, queue) in run.queues.iter_mut().enumerate() {
                let level = |window: usize| match index {
                    0 if window < busy_for => 1_000,
                    0 => window as u64 % 3,
                    _ => 0,
                };
                queue.series.ready = (0..180).map(level).collect();
                queue.series.in_flight = vec![0; 180];
            }
        });
        ensemble(&runs, "backlog.max", None)
    };
    // Windows of 5 s.
    let (enough, short, never) = (with(20), with(60), with(120));
    assert_eq!(
        enough.transient.as_ref().unwrap().cut(),
        Some(Time::ZERO + Span::from_secs(100))
    );
    assert!(enough.transient.as_ref().unwrap().is_left_out());
    assert!(!enough.warnings().iter().any(|it| it.contains("MSER")));
    assert!(
        short
            .warnings()
            .iter()
            .any(|it| it.contains("warmup = \"5m\"")),
        "{:?}",
        short.warnings()
    );
    assert!(
        never
            .warnings()
            .iter()
            .any(|it| it.contains("no steady state"))
    );
    assert_eq!(
        ensemble(&runs(|_, _| {}), "backlog.max", None).transient,
        None
    );
}

/// A stream is never empty: it is judged by what its groups have yet to settle.
#[test]
fn the_transient_of_a_stream_is_that_of_its_groups() {
    let with = |busy_for: usize| {
        let runs = runs(|_, run| {
            let streams = fixture::retries_and_streams();
            let mut group = streams.groups[0].clone();
            run.warmup = Span::from_secs(100);
            for queue in &mut run.queues {
                queue.stream = true;
                queue.series.ready = (0..180).map(|window| window * 10).collect();
                queue.series.in_flight = vec![0; 180];
            }
            let level = |window: usize| match window {
                window if window < busy_for => 1_000,
                window if busy_for > 0 => window as u64 % 3,
                _ => 0,
            };
            group.series.lag = (0..180).map(level).collect();
            run.groups = vec![group];
        });
        ensemble(&runs, "backlog.max", None)
    };
    let cut = |seconds| Some(Time::ZERO + Span::from_secs(seconds));
    assert_eq!(with(20).transient.unwrap().cut(), cut(100));
    assert_eq!(with(60).transient.unwrap().cut(), cut(300));
    let idle = with(0);
    let transient = idle.transient.as_ref().unwrap();
    assert!(!transient.is_judged());
    assert_eq!(transient.cut(), None, "nothing to judge by is no cut");
    assert!(
        idle.warnings()
            .iter()
            .any(|it| it.contains("cannot be judged")),
        "{:?}",
        idle.warnings()
    );
}

#[test]
fn runs_that_do_not_belong_together_are_refused() {
    let ask = |runs: &[RunRecord]| Ensemble::of(runs, &[], Precision::default()).unwrap_err();
    assert!(matches!(ask(&[]), EnsembleError::Empty));
    let twice = runs(|_, run| run.seed = 7);
    assert!(matches!(ask(&twice), EnsembleError::Twice { seed: 7 }));
    let different = runs(|index, run| {
        if index == 2 {
            run.scenario.overrides = vec!["a=1".into()];
        }
    });
    assert!(matches!(
        ask(&different),
        EnsembleError::Different { seeds: [7, 9] }
    ));
    let unknown = Ensemble::of(
        &runs(|_, _| {}),
        &[quantity("backlog.median", None)],
        Precision::default(),
    );
    assert!(matches!(unknown, Err(EnsembleError::Metric(_))));
}

#[test]
fn the_file_reads_back_and_a_newer_one_is_refused() {
    let asked = [
        quantity("backlog.max", Some("orders")),
        quantity("latency.end_to_end.p99", None),
    ];
    let written = Ensemble::of(&runs(|_, _| {}), &asked, Precision::default()).unwrap();
    let text = written.to_json();
    assert!(Ensemble::from_json(&text).unwrap() == written);
    assert_eq!(Ensemble::from_json(&text).unwrap().to_json(), text);
    let version = format!("\"schema_version\": {ENSEMBLE_SCHEMA_VERSION}");
    assert!(text.contains(&version));
    let newer = text.replace(&version, "\"schema_version\": 999");
    let error = Ensemble::from_json(&newer).unwrap_err();
    assert!(error.to_string().contains("schema version 999"), "{error}");
    assert!(Ensemble::from_json("{}").is_err());
}

#[test]
fn a_quantity_is_read_as_it_is_shown() {
    for text in [
        "backlog.max",
        "backlog.max of orders",
        "latency.confirm.p99 in burst",
        "latency.confirm.p99 of shop in burst",
    ] {
        assert_eq!(text.parse::<Quantity>().unwrap().to_string(), text);
    }
    for text in [
        "",
        "backlog.max of",
        "backlog.max orders",
        "a in b of c",
        "a of b of c",
    ] {
        assert!(text.parse::<Quantity>().is_err(), "{text}");
    }
}
