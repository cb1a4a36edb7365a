//! One page about a sweep.

use queuelab_record::{Sampling, Sweep, SweepPoint};

use super::table::{Cell, NOTHING, Table};
use super::{figures, over_runs, page, section};
use crate::Plot;
use crate::html::escaped;
use crate::sweep_plots;

/// `report.html` of a sweep: what was varied and what it came to, pictures, all points, the scenario. Equal sweeps give equal text.
pub fn sweep_report(sweep: &Sweep) -> String {
    let plots = sweep_plots(sweep);
    let mut sections = vec![
        section("plots", "Plots", &pictures(sweep, &plots)),
        section("points", "All points", &points(sweep)),
        section("scenario", "The scenario", &scenario(sweep)),
    ];
    sections.retain(|section| !section.body.is_empty());
    let title = format!("{}: sweep", sweep.scenario.title);
    page(&title, &opening(sweep), &sections, &plots)
}

/// Pictures of one kind, below what they show.
fn pictures(sweep: &Sweep, plots: &[Plot]) -> String {
    let what = match (sweep.axes.len(), sweep.sampling) {
        (2, Sampling::Grid) => {
            "A cell for each point of the sweep, with a metric's mean over its runs: the deeper in colour, the larger. ≥: messages that \
             were unfinished at the end may have made it larger."
        }
        (1, Sampling::Grid | Sampling::Bisection) => {
            "What each metric comes to along the axis, in the mean over the runs of a point; bands and bars are intervals for that mean. Where \
             theory knows the scenario, its curve is dashed."
        }
        _ => {
            "A dot for each point of the sweep, with a metric's mean over its runs and the interval for that mean, over the axis that it goes \
             with most."
        }
    };
    if plots.is_empty() {
        return String::new();
    }
    format!("<p class=\"quiet\">{what}</p>\n{}", figures(plots))
}

fn opening(sweep: &Sweep) -> String {
    let runs = sweep.points.iter().map(|it| it.seeds.len()).sum::<usize>();
    let how = match sweep.sampling {
        Sampling::Grid => "all combinations",
        Sampling::LatinHypercube => "a Latin hypercube",
        Sampling::Bisection => "a search",
    };
    let axes: Vec<String> = sweep
        .axes
        .iter()
        .map(|axis| match axis.values.as_slice() {
            [first, .., last] => format!("{} from {} to {}", axis.path, first.text, last.text),
            [one] => format!("{} = {}", axis.path, one.text),
            [] => axis.path.clone(),
        })
        .collect();
    let mut html = format!(
        "<header>\n<p class=\"kind\">queuelab {} · sweep · {} points, {} runs, {how}</p>\n<h1>{}</h1>\n<p class=\"about\">{}</p>\n",
        escaped(&sweep.version),
        sweep.points.len(),
        runs,
        escaped(&sweep.scenario.title),
        escaped(&sweep.scenario.about),
    );
    let answer = answer(sweep);
    html.push_str(&format!(
        "<p class=\"answer\">{} <span class=\"quiet\">Varied: {}.</span></p>\n</header>\n",
        escaped(&answer),
        escaped(&axes.join("; "))
    ));
    html
}

/// What the sweep came to in a sentence.
fn answer(sweep: &Sweep) -> String {
    if let Some(boundary) = &sweep.boundary {
        let conditions = boundary.conditions.join(" and ");
        let axis = sweep.axes.first().map_or("", |axis| axis.path.as_str());
        let mut text = match (&boundary.holds, &boundary.fails) {
            (Some(holds), Some(fails)) => format!(
                "{conditions} holds up to {axis} = {} and not at {}.",
                holds.text, fails.text
            ),
            (Some(holds), None) => format!("{conditions} holds as far as {axis} = {}.", holds.text),
            (None, Some(fails)) => format!(
                "{conditions} holds nowhere, not even at {axis} = {}.",
                fails.text
            ),
            (None, None) => format!("Where {conditions} ceases to hold was not found."),
        };
        for warning in &boundary.warnings {
            text.push(' ');
            text.push_str(warning);
        }
        return text;
    }
    let expected = sweep
        .points
        .iter()
        .any(|point| !point.expectations.is_empty());
    let met = sweep
        .points
        .iter()
        .filter(|it| it.met() == it.seeds.len())
        .count();
    match expected {
        true => format!(
            "All expectations are met in all runs at {met} of {} points.",
            sweep.points.len()
        ),
        false => format!(
            "{} points; nothing was expected of them.",
            sweep.points.len()
        ),
    }
}

/// A row per point: settings, expectations met, metrics.
fn points(sweep: &Sweep) -> String {
    let differs = |point: &SweepPoint, index: usize| {
        let difference = point.differences.get(index).copied().flatten();
        difference.is_some_and(|it| it.adjusted < 1.0 - sweep.precision.confidence)
    };
    let metrics = |point: &SweepPoint| 0..point.metrics.len();
    let mut html = format!(
        "<p class=\"quiet\">{}. ρ is the largest offered load of a queue over its capacity.",
        over_runs(
            sweep.points.iter().map(|it| it.seeds.len()).max(),
            sweep.precision.confidence
        )
    );
    let mut points = sweep.points.iter();
    if points.any(|point| metrics(point).any(|index| differs(point, index))) {
        html.push_str(
            " * marks values that differ from those of the first point, adjusted for all comparisons (Holm); percentiles are compared by those of single runs.",
        );
    }
    html.push_str("</p>\n");
    let mut head: Vec<String> = sweep
        .axes
        .iter()
        .map(|axis| format!("<{}", axis.path))
        .collect();
    head.extend(["ρ".to_string(), "met".to_string()]);
    head.extend(sweep.quantities.iter().map(ToString::to_string));
    let mut table = Table::new("", &head);
    for point in sweep.points.iter().take(ROWS_MAX) {
        let mut cells: Vec<Cell> = point
            .settings
            .iter()
            .map(|setting| Cell::from(setting.text.as_str()))
            .collect();
        let load = point.busiest.as_ref();
        cells.push(
            load.map_or(NOTHING.into(), |it| format!("{:.2}", it.load))
                .into(),
        );
        let class = match point.met() == point.seeds.len() {
            true => "pass",
            false => "fail",
        };
        cells.push(Cell::new(
            class,
            format!("{} of {}", point.met(), point.seeds.len()),
        ));
        for (index, metric) in point.metrics.iter().enumerate() {
            let mark = if differs(point, index) { " *" } else { "" };
            cells.push(format!("{}{mark}", metric.shown()).into());
        }
        table.row(cells);
    }
    html.push_str(&table.html());
    if sweep.points.len() > ROWS_MAX {
        let more = sweep.points.len() - ROWS_MAX;
        html.push_str(&format!("<p>and {more} more in sweep.csv</p>\n"));
    }
    html
}

fn scenario(sweep: &Sweep) -> String {
    let overrides = sweep.scenario.overrides.iter();
    let comments: String = overrides.map(|it| format!("# --set {it}\n")).collect();
    format!(
        "<details><summary>{}.toml</summary>\n<pre><code>{}{}</code></pre></details>\n",
        escaped(&sweep.scenario.name),
        escaped(&comments),
        escaped(&sweep.scenario.source)
    )
}

/// More rows would not be read.
const ROWS_MAX: usize = 500;
