//! Pictures and pages of several runs: sweeps, comparisons, the transient.

use queuelab_core::Span;
use queuelab_plot::{
    comparison_plots, comparison_report, ensemble_plots, png, report, sweep_plots, sweep_report,
};
use queuelab_record::statistics::Precision;
use queuelab_record::{
    Axis, AxisUnit, Boundary, Comparison, Ensemble, Entrant, PredictionRecord, Quantity, RunRecord,
    SWEEP_SCHEMA_VERSION, Sampling, Setting, Sweep, SweepPoint, fixture,
};

fn quantity(metric: &str) -> Quantity {
    Quantity {
        metric: metric.into(),
        of: None,
        phase: None,
    }
}

/// Three runs whose backlog grows with `load`, from 0 to 1.
fn runs(load: f64) -> Vec<RunRecord> {
    let run = |seed: u64| {
        let mut run = fixture::flash_sale();
        run.seed = seed;
        let busy = load + 0.002 * seed as f64;
        for consumer in &mut run.consumers {
            consumer.utilisation = busy;
        }
        for queue in &mut run.queues {
            queue.series.ready_max = vec![(1_000.0 * load) as u64 + seed * 20; 180];
        }
        run
    };
    (1..=3).map(run).collect()
}

fn setting(number: f64) -> Setting {
    Setting {
        text: format!("{number}/s"),
        number: Some(number),
    }
}

fn axis(path: &str, values: &[f64]) -> Axis {
    Axis {
        path: path.into(),
        unit: AxisUnit::Rate,
        values: values.iter().copied().map(setting).collect(),
    }
}

fn sweep(axes: Vec<Axis>) -> Sweep {
    let quantities = ["backlog.max", "utilisation"].map(quantity).to_vec();
    let mut settings: Vec<Vec<Setting>> = vec![Vec::new()];
    for axis in &axes {
        let extended = settings.iter().flat_map(|so_far| {
            let values = axis.values.iter().cloned();
            values.map(|value| [so_far.clone(), vec![value]].concat())
        });
        settings = extended.collect();
    }
    let count = settings.len() as f64;
    let points = settings.into_iter().enumerate().map(|(index, settings)| {
        let load = (index as f64 + 1.0) / count;
        let prediction = PredictionRecord {
            model: "M/M/5".into(),
            metric: "utilisation".into(),
            of: None,
            phase: None,
            value: load,
            kind: "exact".into(),
            source: "somewhere".into(),
            covers: String::new(),
            assumptions: Vec::new(),
        };
        let runs = runs(load);
        let precision = Precision::default();
        SweepPoint::of(settings, &runs, &quantities, precision, vec![prediction]).expect("a point")
    });
    let points = points.collect();
    let mut sweep = Sweep {
        schema_version: SWEEP_SCHEMA_VERSION,
        version: "0.1.0".into(),
        scenario: fixture::flash_sale().scenario,
        sampling: Sampling::Grid,
        axes,
        precision: Precision::default(),
        quantities,
        points,
        boundary: None,
    };
    sweep.compare();
    sweep
}

fn count(svg: &str, tag: &str) -> usize {
    svg.lines().filter(|line| line.starts_with(tag)).count()
}

#[test]
fn one_axis_has_a_curve_with_intervals_and_theory() {
    let mut sweep = sweep(vec![axis(
        "producer.a.rate",
        &[10.0, 20.0, 40.0, 80.0, 160.0],
    )]);
    let plots = sweep_plots(&sweep);
    let names: Vec<&str> = plots.iter().map(|plot| plot.name.as_str()).collect();
    assert_eq!(names, ["sweep-1-backlog-max", "sweep-2-utilisation"]);
    for plot in &plots {
        assert_eq!(count(&plot.svg, "<circle"), 5, "{}", plot.name);
        assert!(
            count(&plot.svg, "<polygon") == 1,
            "the band of {}",
            plot.name
        );
        png(&plot.svg, 0.5).expect("a picture");
    }
    assert!(plots[1].svg.contains("predicted (M/M/5, exact)"));
    assert!(!plots[0].svg.contains("predicted"));
    let page = sweep_report(&sweep);
    assert_eq!(page, sweep_report(&sweep));
    assert!(page.contains("160/s") && page.contains("producer.a.rate from 10/s to 160/s"));

    sweep.sampling = Sampling::Bisection;
    sweep.boundary = Some(Boundary {
        conditions: vec!["backlog.max < 600".into()],
        rule: "in all runs".into(),
        holds: Some(setting(40.0)),
        fails: Some(setting(80.0)),
        warnings: Vec::new(),
    });
    let page = sweep_report(&sweep);
    assert!(page.contains("holds up to producer.a.rate = 40/s and not at 80/s."));
    assert!(sweep_plots(&sweep)[0].svg.contains("ceases to hold"));
}

#[test]
fn two_axes_have_a_heat_map_and_more_have_dots() {
    let two = sweep(vec![
        axis("producer.a.rate", &[10.0, 20.0, 30.0]),
        axis("consumer.b.count", &[1.0, 2.0]),
    ]);
    let plots = sweep_plots(&two);
    // A cell each, the smallest and the largest in the legend, the paper, and nothing else.
    assert_eq!(count(&plots[0].svg, "<rect"), 9);
    let values: serde_json::Value =
        serde_json::from_str(plots[0].hover.as_ref().expect("values")).expect("JSON");
    let rows = values.as_array().expect("panels");
    assert_eq!(rows.len(), 3);
    assert_eq!(
        rows[0]["x"][1],
        "producer.a.rate = 30/s, consumer.b.count = 2/s"
    );
    let heights = |row: usize| (rows[row]["f"][2].as_i64(), rows[row]["f"][3].as_i64());
    assert!(heights(0).1 <= heights(1).0 && heights(1).1 <= heights(2).0);
    assert!(plots[0].svg.contains("producer.a.rate") && plots[0].svg.contains("consumer.b.count"));
    let three = sweep(vec![
        axis("a", &[1.0, 2.0]),
        axis("b", &[1.0, 2.0]),
        axis("c", &[1.0, 2.0]),
    ]);
    let plots = sweep_plots(&three);
    // A dot for each point, and one in the legend.
    assert_eq!(count(&plots[0].svg, "<circle"), 9);
    // Points are in the order of the load, whose first digit is the first axis.
    assert!(plots[0].svg.contains("b, c differ too"));
}

#[test]
fn a_point_without_values_breaks_the_curve() {
    let mut sweep = sweep(vec![axis("a", &[1.0, 2.0, 3.0, 4.0, 5.0])]);
    let metric = &mut sweep.points[2].metrics[0];
    (metric.interval, metric.never) = (None, 3);
    let plots = sweep_plots(&sweep);
    assert_eq!(count(&plots[0].svg, "<polygon"), 2);
    assert!(sweep_report(&sweep).contains("never in 3 of 3"));
    sweep.points.clear();
    sweep_report(&sweep);
    sweep.axes[0].values.clear();
    sweep_report(&sweep);
}

#[test]
fn comparisons_show_differences_and_what_each_measured() {
    let ensemble = |load: f64| {
        let quantities = ["backlog.max", "utilisation"].map(quantity);
        Ensemble::of(&runs(load), &quantities, Precision::default()).expect("an ensemble")
    };
    let entrant = |label: &str, outcome| Entrant {
        label: label.into(),
        outcome,
    };
    let mut bounded = ensemble(0.2);
    bounded.metrics[0].at_least = 1;
    let entrants = vec![
        entrant("classic", Ok(ensemble(0.5))),
        entrant("<b>stream</b>", Ok(bounded)),
        entrant("worse", Ok(ensemble(0.9))),
        entrant("odd", Err("it has no priorities".into())),
    ];
    let quantities = ["backlog.max", "utilisation"].map(quantity);
    let comparison = Comparison::of(entrants, &quantities, 0.95).expect("a comparison");
    let plots = comparison_plots(&comparison);
    assert_eq!(plots.len(), 2);
    for text in ["smaller", "larger", "the reference", "refused", "≥ "] {
        assert!(plots[0].svg.contains(text), "{text}");
    }
    png(&plots[0].svg, 0.5).expect("a picture");
    let page = comparison_report(&comparison);
    assert_eq!(page, comparison_report(&comparison));
    assert!(!page.contains("<b>stream"));
    assert!(page.contains("odd was not run: it has no priorities"));
    assert!(page.contains("drain_time of orders &lt; 3m"));
}

#[test]
fn the_transient_of_steady_runs_has_a_picture() {
    let mut runs = runs(0.5);
    for run in &mut runs {
        run.warmup = Span::from_secs(60);
        for (window, ready) in run.queues[0].series.ready.iter_mut().enumerate() {
            *ready = 100 - (100 >> (window / 4).min(20));
        }
    }
    let ensemble = Ensemble::of(&runs, &[], Precision::default()).expect("an ensemble");
    let plots = ensemble_plots(&ensemble);
    assert_eq!(plots.len(), 1);
    assert!(plots[0].svg.contains("mean over 3 runs"));
    let page = report(&runs[0], Some(&ensemble), None);
    assert!(page.contains("id=\"plot-welch\""));
    // A terminating run has no transient.
    let terminating = Ensemble::of(&self::runs(0.5), &[], Precision::default());
    assert!(ensemble_plots(&terminating.expect("an ensemble")).is_empty());
}
