//! Designs side by side.

use std::sync::LazyLock;

use queuelab_record::statistics::Precision;
use queuelab_record::{
    Comparison, ComparisonError, Ensemble, Entrant, Finding, Quantity, RecordError, RunRecord,
    fixture,
};

static SALE: LazyLock<RunRecord> = LazyLock::new(fixture::flash_sale);

fn quantity(metric: &str, of: Option<&str>) -> Quantity {
    Quantity {
        metric: metric.into(),
        of: of.map(str::to_string),
        phase: None,
    }
}

/// Runs of a design with these seeds, whose peaks are as given.
fn design(label: &str, seeds: &[u64], peaks: &[u64]) -> Entrant {
    let runs: Vec<RunRecord> = seeds
        .iter()
        .zip(peaks)
        .map(|(seed, peak)| {
            let mut run = SALE.clone();
            run.seed = *seed;
            run.queues[0].ready_max.0 = *peak;
            run
        })
        .collect();
    let asked = [
        quantity("backlog.max", Some("orders")),
        quantity("count.lost", None),
    ];
    Entrant {
        label: label.into(),
        outcome: Ok(Ensemble::of(&runs, &asked, Precision::default()).unwrap()),
    }
}

fn compare(entrants: Vec<Entrant>) -> Comparison {
    Comparison::of(entrants, &[quantity("backlog.max", Some("orders"))], 0.95).unwrap()
}

const SEEDS: [u64; 3] = [7, 8, 9];

/// Runs with the same seed go up and down together: 10, 11 and 12 more each time, s = 1, t(0.975; 2) · 1/√3 = 2.484.
#[test]
fn runs_with_the_same_seed_are_compared_with_each_other() {
    let comparison = compare(vec![
        design("one", &SEEDS, &[1_000, 2_000, 3_000]),
        design("other", &SEEDS, &[1_010, 2_011, 3_012]),
    ]);
    let metric = &comparison.metrics[0];
    assert_eq!(metric.differences[0], None);
    let difference = metric.differences[1].unwrap();
    assert!(difference.paired);
    assert_eq!(difference.interval.estimate, 11.0);
    assert!((difference.interval.half_width - 2.484).abs() < 1e-3);
    assert_eq!(difference.finding, Finding::More);
}

#[test]
fn runs_with_other_seeds_are_independent() {
    let comparison = compare(vec![
        design("one", &SEEDS, &[1_000, 2_000, 3_000]),
        design("other", &[9, 10, 11], &[1_010, 2_011, 3_012]),
    ]);
    let difference = comparison.metrics[0].differences[1].unwrap();
    assert!(!difference.paired);
    assert_eq!(difference.interval.estimate, 11.0);
    assert!(difference.interval.half_width > 1_000.0);
    assert_eq!(difference.finding, Finding::Nothing);
}

/// Two seeds in common are no reason to throw the other runs away.
#[test]
fn few_seeds_in_common_throw_no_run_away() {
    let seeds = |first: u64| (first..first + 10).collect::<Vec<u64>>();
    let peaks = |from: u64| (0..10).map(|at| from + at % 3).collect::<Vec<u64>>();
    let comparison = compare(vec![
        design("one", &seeds(1), &peaks(1_000)),
        design("other", &seeds(9), &peaks(4_500)),
    ]);
    let difference = comparison.metrics[0].differences[1].unwrap();
    assert!(!difference.paired);
    assert_eq!(difference.finding, Finding::More);
    assert!(difference.p < 1e-10, "{difference:?}");
    assert_eq!(comparison.seeds_in_words(), "seeds 1..10 and 9..18");
    let unrun = Comparison {
        variants: Vec::new(),
        ..comparison
    };
    assert_eq!(unrun.seeds_in_words(), "");
}

/// Pairs if no more than half of one side is lost.
#[test]
fn fewer_runs_with_the_same_seeds_are_pairs() {
    let paired = |fewer: usize| {
        let seeds: Vec<u64> = (1..=10).collect();
        let peaks: Vec<u64> = (0..10).map(|at| 1_000 + at % 3).collect();
        let comparison = compare(vec![
            design("one", &seeds, &peaks),
            design("other", &seeds[..fewer], &peaks[..fewer]),
        ]);
        comparison.metrics[0].differences[1].unwrap().paired
    };
    assert!(paired(10) && paired(5));
    assert!(!paired(4) && !paired(2));
}

/// What would be a finding alone is none among many.
#[test]
fn many_comparisons_ask_for_clearer_differences() {
    let reference = || design("reference", &SEEDS, &[100, 200, 300]);
    let clear = || design("clear", &SEEDS, &[110, 212, 314]);
    let alone = compare(vec![reference(), clear()]);
    assert_eq!(
        alone.metrics[0].differences[1].unwrap().finding,
        Finding::More
    );
    let mut all = vec![reference(), clear()];
    all.extend(
        (0..12).map(|number| design(&format!("same {number}"), &SEEDS, &[101, 199, 300 + number])),
    );
    let among = compare(all);
    let difference = among.metrics[0].differences[1].unwrap();
    assert_eq!(difference.finding, Finding::Nothing);
    assert!(difference.p < 0.05 && difference.p_adjusted > 0.05);
}

#[test]
fn what_was_refused_has_no_figures() {
    let refused = Entrant {
        label: "rabbitmq-quorum".into(),
        outcome: Err("it is replicated".into()),
    };
    let one = design("one", &SEEDS, &[1, 2, 3]);
    let comparison = compare(vec![one.clone(), refused.clone()]);
    assert_eq!(comparison.metrics[0].differences, [None, None]);
    assert_eq!(
        comparison.variants[1].refused.as_deref(),
        Some("it is replicated")
    );
    assert_eq!(comparison.variants[0].total("count.lost"), Some(0.0));
    assert_eq!(comparison.variants[1].total("count.lost"), None);
    let expectations = comparison.expectations();
    assert_eq!(expectations.len(), SALE.expectations.len());
    assert!(
        comparison.variants[0]
            .expectation(expectations[0])
            .is_some()
    );
    // Nothing can be compared with a reference that was refused.
    let comparison = compare(vec![refused, one]);
    assert_eq!(comparison.metrics[0].differences, [None, None]);
}

#[test]
fn what_never_came_to_pass_is_not_compared() {
    let runs = |label: &str, ends: bool| {
        let runs: Vec<RunRecord> = SEEDS
            .iter()
            .map(|seed| {
                let mut run = SALE.clone();
                run.seed = *seed;
                if !ends && *seed == 8 {
                    run.queues[0].drain_time = None;
                }
                run
            })
            .collect();
        let asked = [quantity("drain_time", Some("orders"))];
        Entrant {
            label: label.into(),
            outcome: Ok(Ensemble::of(&runs, &asked, Precision::default()).unwrap()),
        }
    };
    let asked = [quantity("drain_time", Some("orders"))];
    let entrants = vec![runs("one", true), runs("other", false)];
    let comparison = Comparison::of(entrants, &asked, 0.95).unwrap();
    assert_eq!(comparison.metrics[0].differences[1], None);
}

#[test]
fn it_takes_two_that_can_be_told_apart() {
    let one = || design("one", &SEEDS, &[1, 2, 3]);
    let refused = |entrants| Comparison::of(entrants, &[], 0.95).unwrap_err();
    assert_eq!(refused(vec![one()]), ComparisonError::Few);
    let label = "one".to_string();
    assert_eq!(
        refused(vec![one(), one()]),
        ComparisonError::Twice { label }
    );
}

#[test]
fn what_is_written_is_read_again() {
    let refused = Entrant {
        label: "refused".into(),
        outcome: Err("why".into()),
    };
    let comparison = compare(vec![
        design("one", &SEEDS, &[1_000, 2_000, 3_000]),
        design("other", &SEEDS, &[1_010, 2_011, 3_012]),
        refused,
    ]);
    let text = comparison.to_json();
    assert_eq!(Comparison::from_json(&text).unwrap(), comparison);
    let newer = text.replacen("\"schema_version\": 1", "\"schema_version\": 9", 1);
    assert!(matches!(
        Comparison::from_json(&newer),
        Err(RecordError::Newer { found: 9, .. })
    ));
    let mut damaged = comparison;
    damaged.metrics[0].differences.pop();
    let error = Comparison::from_json(&damaged.to_json()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("`backlog.max of orders` has 2 entries instead of 3")
    );
}

#[test]
fn the_fixture_shows_all_that_can_be_found() {
    let comparison = fixture::comparison();
    let findings: Vec<Vec<Option<Finding>>> = comparison
        .metrics
        .iter()
        .map(|metric| {
            let all = metric.differences.iter();
            all.map(|it| it.map(|it| it.finding)).collect()
        })
        .collect();
    let (less, more, nothing) = (Finding::Less, Finding::More, Finding::Nothing);
    let rows = [(less, nothing), (less, nothing), (more, nothing)];
    let expected = rows.map(|(second, third)| vec![None, Some(second), Some(third), None]);
    assert_eq!(findings, expected);
}
