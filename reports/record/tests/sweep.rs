//! One scenario at several settings.

use std::sync::LazyLock;

use expect_test::expect;
use queuelab_record::statistics::Precision;
use queuelab_record::{
    Axis, AxisUnit, Quantity, RunRecord, SWEEP_SCHEMA_VERSION, Sampling, Setting, Sweep,
    SweepPoint, Verdict, fixture,
};

static SALE: LazyLock<RunRecord> = LazyLock::new(fixture::flash_sale);

fn setting(count: u64) -> Setting {
    Setting {
        text: count.to_string(),
        number: Some(count as f64),
    }
}

fn peak() -> Quantity {
    Quantity {
        metric: "backlog.max".into(),
        of: Some("orders".into()),
        phase: None,
    }
}

/// Runs with seeds 7, 8, 9, whose backlog peaks at `peaks`.
fn runs(peaks: [u64; 3]) -> Vec<RunRecord> {
    let run = |(index, peak)| {
        let mut run = SALE.clone();
        run.seed = 7 + index as u64;
        run.queues[0].ready_max.0 = peak;
        run
    };
    peaks.into_iter().enumerate().map(run).collect()
}

fn point(count: u64, runs: &[RunRecord]) -> SweepPoint {
    let (quantities, precision) = ([peak()], Precision::default());
    SweepPoint::of(
        vec![setting(count)],
        runs,
        &quantities,
        precision,
        Vec::new(),
    )
    .unwrap()
}

fn sweep(points: Vec<SweepPoint>) -> Sweep {
    let mut sweep = Sweep {
        schema_version: SWEEP_SCHEMA_VERSION,
        version: "1.2.3".into(),
        scenario: SALE.scenario.clone(),
        sampling: Sampling::Grid,
        axes: vec![Axis {
            path: "consumer.fulfilment.count".into(),
            unit: AxisUnit::Number,
            values: points.iter().map(|it| it.settings[0].clone()).collect(),
        }],
        precision: Precision::default(),
        quantities: vec![peak()],
        points,
        boundary: None,
    };
    sweep.compare();
    sweep
}

#[test]
fn files_can_be_read_again() {
    let points = vec![
        point(20, &runs([100, 110, 120])),
        point(40, &runs([10, 20, 30])),
    ];
    let sweep = sweep(points);
    let text = sweep.to_json();
    let read = Sweep::from_json(&text).unwrap();
    assert_eq!(read, sweep);
    assert_eq!(read.to_json(), text);
    let newer = text.replacen("\"schema_version\": 1", "\"schema_version\": 99", 1);
    let error = Sweep::from_json(&newer).unwrap_err().to_string();
    assert!(error.contains("use a newer one"), "{error}");
}

#[test]
fn a_sweep_whose_parts_do_not_fit_is_refused() {
    let mut sweep = sweep(vec![point(20, &runs([1, 2, 3]))]);
    sweep.points[0].metrics.clear();
    let error = Sweep::from_json(&sweep.to_json()).unwrap_err().to_string();
    assert!(
        error.contains("point 0 does not have 1 settings"),
        "{error}"
    );
}

/// 90 less in each pair, whatever the spread: common random numbers show it beyond doubt.
#[test]
fn points_are_compared_in_pairs_with_the_first() {
    let first = point(20, &runs([100, 110, 120]));
    let less = point(40, &runs([10, 20, 30]));
    let same = point(60, &runs([101, 109, 120]));
    let sweep = sweep(vec![first, less, same]);
    assert!(sweep.points[0].differences.is_empty());
    let less = sweep.points[1].differences[0].unwrap();
    assert_eq!(less.difference.estimate, -90.0);
    assert_eq!((less.p, less.adjusted), (0.0, 0.0));
    let same = sweep.points[2].differences[0].unwrap();
    assert!(same.adjusted > 0.9, "{same:?}");
}

/// The runs that drained say nothing about those that did not.
#[test]
fn what_never_came_to_pass_is_not_compared() {
    let drain = Quantity {
        metric: "drain_time".into(),
        ..peak()
    };
    let point = |count: u64, ends: bool| {
        let mut runs = runs([100, 110, 120]);
        if !ends {
            runs[2].queues[0].drain_time = None;
        }
        let (quantities, precision) = ([drain.clone(), peak()], Precision::default());
        let settings = vec![setting(count)];
        SweepPoint::of(settings, &runs, &quantities, precision, Vec::new()).unwrap()
    };
    let compared = |first: bool, second: bool| {
        let mut sweep = sweep(vec![point(20, first), point(40, second)]);
        sweep.quantities.insert(0, drain.clone());
        sweep.compare();
        let [drain, peak] = sweep.points[1].differences[..] else {
            panic!("two differences");
        };
        assert!(peak.is_some());
        drain.is_some()
    };
    assert!(compared(true, true));
    assert!(!compared(true, false) && !compared(false, true) && !compared(false, false));
}

/// One comparison of three that would be significant alone.
#[test]
fn many_comparisons_make_each_less_sure() {
    let first = point(20, &runs([100, 110, 120]));
    let other = runs([103, 114, 125]);
    let sweep = sweep(vec![
        first,
        point(40, &other),
        point(60, &other),
        point(80, &other),
    ]);
    let difference = sweep.points[1].differences[0].unwrap();
    assert!((difference.adjusted - 3.0 * difference.p).abs() < 1e-12);
    assert!(
        difference.p < 0.05 && difference.adjusted > 0.05,
        "{difference:?}"
    );
}

#[test]
fn a_run_meets_its_expectations_or_not() {
    let mut failing = runs([1, 2, 3]);
    for run in &mut failing {
        for expectation in &mut run.expectations {
            expectation.verdict = Verdict::Pass;
        }
    }
    assert_eq!(point(1, &failing).met(), 3);
    failing[0].expectations[0].verdict = Verdict::Fail;
    failing[1].expectations[1].verdict = Verdict::Undecided;
    assert_eq!(point(1, &failing).met(), 1);
    for run in &mut failing {
        run.expectations.clear();
        run.invariants[0].verdict = Verdict::Fail;
    }
    let point = point(1, &failing);
    assert_eq!((point.met(), point.holding()), (0, 3));
}

/// An estimate without a width.
#[test]
fn one_run_each_is_a_table_too() {
    let points = vec![
        point(20, &runs([100, 110, 120])[..1]),
        point(40, &runs([10, 20, 30])[..1]),
    ];
    let sweep = sweep(points);
    expect![[r#"
        consumer.fulfilment.count,runs,met,load,backlog.max of orders,backlog.max of orders low,backlog.max of orders high,backlog.max of orders p
        20,1,0,4,100,,,
        40,1,0,4,10,,,
    "#]]
    .assert_eq(&sweep.to_csv());
    assert_eq!(sweep.points[0].metrics[0].shown(), "100");
}

#[test]
fn the_table_has_a_row_per_point() {
    let points = vec![
        point(20, &runs([100, 110, 120])),
        point(40, &runs([10, 20, 30])),
    ];
    expect![[r#"
        consumer.fulfilment.count,runs,met,load,backlog.max of orders,backlog.max of orders low,backlog.max of orders high,backlog.max of orders p
        20,3,0,4,110,85.1586228824967,134.8413771175033,
        40,3,0,4,20,-4.841377117503296,44.8413771175033,0
    "#]]
    .assert_eq(&sweep(points).to_csv());
}
