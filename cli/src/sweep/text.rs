//! A sweep as text: a row per point. A pure function of its record.

use queuelab_record::statistics::share_of_all;
use queuelab_record::{
    Boundary, Difference, PredictionRecord, Sampling, Setting, Sweep, SweepPoint, percent,
};

use crate::layout::{Align, Cell, Painter, Style, fits, table, wrap};

/// The whole page.
pub(super) fn page(sweep: &Sweep, files: &str, width: usize, color: bool) -> String {
    let page = Page {
        sweep,
        width,
        painter: Painter { color },
    };
    let mut lines = page.head();
    lines.push(String::new());
    lines.extend(page.tables());
    lines.push(String::new());
    lines.extend(page.notes());
    if let Some(boundary) = &sweep.boundary {
        lines.extend(page.boundary(boundary));
    }
    let files = page.labelled("files", files);
    lines.extend(files.iter().map(|it| page.painter.paint(Style::Dim, it)));
    lines.join("\n") + "\n"
}

struct Page<'a> {
    sweep: &'a Sweep,
    width: usize,
    painter: Painter,
}

impl Page<'_> {
    fn head(&self) -> Vec<String> {
        let Sweep {
            scenario, points, ..
        } = self.sweep;
        let count = points.len();
        let what = match self.sweep.sampling {
            Sampling::Grid => format!("{count} points"),
            Sampling::LatinHypercube => format!("{count} points of a Latin hypercube"),
            Sampling::Bisection => format!("{count} values tried"),
        };
        let seeds = points.first().map_or(&[][..], |point| &point.seeds);
        let runs = match seeds {
            [] => String::new(),
            [one] => format!(" · one run each, seed {one}"),
            [first, .., last] => format!(" · {} runs each, seeds {first} to {last}", seeds.len()),
        };
        let title = self.painter.paint(Style::Bold, &scenario.name);
        let mut lines = vec![format!("{title} · {what}{runs}")];
        for set in &scenario.overrides {
            lines.push(format!("{INDENT}{set}"));
        }
        lines
    }

    /// As many quantities in one table as the width takes; the others below, with the settings again, or left to the files.
    fn tables(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let quantities = self.sweep.quantities.len();
        let mut from = 0;
        loop {
            let first = from == 0;
            let mut until = (from + 1).min(quantities);
            while until < quantities && self.is_narrow(first, from..until + 1) {
                until += 1;
            }
            if !first {
                lines.push(String::new());
            }
            lines.extend(self.table(first, from..until));
            from = until;
            if from >= quantities {
                break;
            }
            if self.sweep.points.len() > REPEATED_MAX {
                let more = format!("{} more quantities are in sweep.csv", quantities - from);
                lines.push(self.painter.paint(Style::Dim, &more));
                break;
            }
        }
        lines.into_iter().map(indented).collect()
    }

    fn is_narrow(&self, first: bool, quantities: std::ops::Range<usize>) -> bool {
        let (rows, align) = self.rows(first, quantities);
        fits(&rows, &align, self.width.saturating_sub(INDENT.len()))
    }

    fn table(&self, first: bool, quantities: std::ops::Range<usize>) -> Vec<String> {
        let (rows, align) = self.rows(first, quantities);
        table(&rows, &align, self.painter)
    }

    fn rows(
        &self,
        first: bool,
        quantities: std::ops::Range<usize>,
    ) -> (Vec<Vec<Cell>>, Vec<Align>) {
        let dim = |text: String| Cell::new(Style::Dim, text);
        let axes = self.sweep.axes.iter();
        let mut header: Vec<Cell> = axes.map(|axis| dim(axis.path.clone())).collect();
        let mut align = vec![Align::Right; header.len()];
        let met = match self.sweep.sampling {
            Sampling::Bisection => "holds",
            Sampling::Grid | Sampling::LatinHypercube => "met",
        };
        if first {
            header.extend([dim(met.into()), dim("ρ".into())]);
            align.extend([Align::Left, Align::Right]);
        }
        for at in quantities.clone() {
            let predicted = if self.is_predicted(at) { "theory" } else { "" };
            let name = self.sweep.quantities[at].to_string();
            header.extend([dim(name), dim(predicted.into())]);
            align.extend([Align::Right; 2]);
        }
        let mut rows = vec![header];
        for point in &self.sweep.points {
            let mut row: Vec<Cell> = Vec::new();
            row.extend(point.settings.iter().map(|it| Cell::from(it.text.as_str())));
            if first {
                row.extend([self.met(point), Cell::from(load(point))]);
            }
            for at in quantities.clone() {
                row.push(Cell::from(measured(point, at)));
                row.push(dim(self.predicted(point, at)));
            }
            rows.push(row);
        }
        (rows, align)
    }

    fn met(&self, point: &SweepPoint) -> Cell {
        let (met, runs) = match self.sweep.sampling {
            Sampling::Bisection => (point.holding(), point.seeds.len()),
            Sampling::Grid | Sampling::LatinHypercube => (point.met(), point.seeds.len()),
        };
        let style = match met {
            _ if met == runs => Style::Green,
            0 => Style::Red,
            _ => Style::Yellow,
        };
        Cell::new(style, format!("{met} of {runs}"))
    }

    fn is_predicted(&self, at: usize) -> bool {
        let quantity = &self.sweep.quantities[at];
        let mut points = self.sweep.points.iter();
        points.any(|point| point.prediction(quantity).is_some())
    }

    fn predicted(&self, point: &SweepPoint, at: usize) -> String {
        let prediction = point.prediction(&self.sweep.quantities[at]);
        prediction.map_or(String::new(), PredictionRecord::value_in_words)
    }

    /// What a reader of the figures has to know.
    fn notes(&self) -> Vec<String> {
        let points = &self.sweep.points;
        let mut notes = Vec::new();
        let unaccounted = points.iter().filter(|it| !it.unaccounted.is_empty());
        let unaccounted = unaccounted.count();
        if unaccounted > 0 {
            notes.push((
                "warning",
                format!(
                    "L = λW does not hold at {unaccounted} points: messages are not all accounted for, trust no figure of them"
                ),
            ));
        }
        let comparisons = || points.iter().flat_map(|it| &it.differences).flatten();
        if comparisons().any(differs) {
            let comparisons = comparisons().count();
            notes.push((
                "*",
                format!(
                    "differs from the first point (runs in pairs of one seed, Holm's correction for {comparisons} comparisons, 5 %)"
                ),
            ));
        }
        if points.iter().all(|point| point.seeds.len() == 1) {
            let text = "one run each: figures have no intervals, and differences are not tested; --replications 10 does both";
            notes.push(("note", text.into()));
        }
        let metrics = || points.iter().flat_map(|point| &point.metrics);
        let wide = metrics().filter(|it| it.interval.is_some() && !it.converged);
        let (wide, all) = (wide.count(), metrics().count());
        if wide > 0 {
            let relative = percent(self.sweep.precision.relative);
            notes.push((
                "note",
                format!(
                    "{wide} of {all} intervals are wider than ± {relative}: more --replications narrow them"
                ),
            ));
        }
        notes
            .into_iter()
            .flat_map(|(label, text)| self.labelled(label, &text))
            .collect()
    }

    fn boundary(&self, boundary: &Boundary) -> Vec<String> {
        let key = self.sweep.axes.first().map_or("", |axis| &axis.path);
        let mut lines = Vec::new();
        for warning in &boundary.warnings {
            lines.extend(self.labelled("warning", warning));
        }
        let conditions = boundary.conditions.join(", ");
        lines.extend(self.labelled("while", &format!("{conditions} ({})", boundary.rule)));
        let style = match (&boundary.holds, &boundary.fails) {
            (Some(_), Some(_)) => Style::Green,
            _ => Style::Yellow,
        };
        let told = match (&boundary.holds, &boundary.fails) {
            (Some(holds), Some(fails)) => {
                let most = holds.number < fails.number;
                let which = if most { "largest" } else { "smallest" };
                let share = self.sure(holds);
                format!(
                    "{key} = {} is the {which} that was seen to hold, {} fails{share}",
                    holds.text, fails.text
                )
            }
            (holds, _) => {
                let verb = if holds.is_some() { "holds" } else { "fails" };
                format!(
                    "{key}: it {verb} wherever it was tried, {}: no boundary was found",
                    self.tried()
                )
            }
        };
        for (at, line) in self.labelled("found", &told).into_iter().enumerate() {
            let style = if at == 0 { style } else { Style::Plain };
            lines.push(self.painter.paint(style, &line));
        }
        lines
    }

    /// From where to where was searched.
    fn tried(&self) -> String {
        let text = |point: Option<&SweepPoint>| {
            let setting = point.and_then(|point| point.settings.first());
            setting.map_or("", |setting| &setting.text).to_string()
        };
        let points = &self.sweep.points;
        format!("from {} to {}", text(points.first()), text(points.last()))
    }

    /// What the runs at a value say about runs with other seeds.
    fn sure(&self, setting: &Setting) -> String {
        let mut points = self.sweep.points.iter();
        let Some(point) = points.find(|point| point.settings.first() == Some(setting)) else {
            return String::new();
        };
        let (runs, confidence) = (point.seeds.len(), self.sweep.precision.confidence);
        match point.holding() == runs {
            true => format!(
                "; {runs} of {runs} say with {} confidence that it holds for more than {} of all seeds",
                percent(confidence),
                percent(share_of_all(runs, confidence))
            ),
            false => String::new(),
        }
    }

    fn labelled(&self, label: &str, text: &str) -> Vec<String> {
        let lines = wrap(text, self.width.saturating_sub(LABEL));
        let head = |at: usize| if at == 0 { label } else { "" };
        let labelled = lines.iter().enumerate();
        labelled
            .map(|(at, line)| format!("{:<LABEL$}{line}", head(at)))
            .collect()
    }
}

/// An estimate and its half-width, marked where it differs from the first point's.
fn measured(point: &SweepPoint, at: usize) -> String {
    let Some(metric) = point.metrics.get(at) else {
        return String::new();
    };
    let difference = point.differences.get(at).and_then(Option::as_ref);
    let mark = if difference.is_some_and(differs) {
        "*"
    } else {
        ""
    };
    format!("{}{mark}", metric.shown())
}

fn differs(difference: &Difference) -> bool {
    difference.adjusted < LEVEL
}

fn load(point: &SweepPoint) -> String {
    let busiest = point.busiest.as_ref();
    busiest.map_or(String::new(), |busiest| format!("{:.2}", busiest.load))
}

fn indented(line: String) -> String {
    match line.is_empty() {
        true => line,
        false => format!("{INDENT}{line}"),
    }
}

const INDENT: &str = "  ";

/// Columns of a label.
const LABEL: usize = 9;

/// Of differences.
const LEVEL: f64 = 0.05;

/// Longer tables are not repeated for more quantities.
const REPEATED_MAX: usize = 30;

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use queuelab_record::statistics::Precision;
    use queuelab_record::{Axis, AxisUnit, Quantity, RunRecord, SWEEP_SCHEMA_VERSION, fixture};

    use super::super::amount::setting;
    use super::*;

    fn quantity(metric: &str) -> Quantity {
        Quantity {
            metric: metric.into(),
            of: None,
            phase: None,
        }
    }

    fn quantities() -> Vec<Quantity> {
        let orders = Some("orders".to_string());
        let backlog = Quantity {
            of: orders,
            ..quantity("backlog.max")
        };
        let all = ["drain_time", "latency.end_to_end.p99", "count.lost"].map(quantity);
        [backlog].into_iter().chain(all).collect()
    }

    /// Ten runs, whose backlog peaks at about `peak`.
    fn point(count: &str, peak: u64) -> SweepPoint {
        let run = |index: u64| {
            let mut run: RunRecord = fixture::flash_sale();
            run.seed = 7 + index;
            run.queues[0].ready_max.0 = peak + index * 10;
            run
        };
        let runs: Vec<RunRecord> = (0..4).map(run).collect();
        let predictions = vec![PredictionRecord {
            model: "fluid".into(),
            metric: "backlog.max".into(),
            of: Some("orders".into()),
            phase: None,
            value: peak as f64,
            kind: "fluid".into(),
            source: String::new(),
            covers: String::new(),
            assumptions: Vec::new(),
        }];
        let (quantities, precision) = (quantities(), Precision::default());
        SweepPoint::of(
            vec![setting(count)],
            &runs,
            &quantities,
            precision,
            predictions,
        )
        .unwrap()
    }

    fn sweep(sampling: Sampling, boundary: Option<Boundary>) -> Sweep {
        let points = vec![point("20", 160_000), point("40", 90_000), point("60", 200)];
        let mut sweep = Sweep {
            schema_version: SWEEP_SCHEMA_VERSION,
            version: "1.2.3".into(),
            scenario: fixture::flash_sale().scenario,
            sampling,
            axes: vec![Axis {
                path: "consumer.fulfilment.count".into(),
                unit: AxisUnit::Number,
                values: points.iter().map(|it| it.settings[0].clone()).collect(),
            }],
            precision: Precision::default(),
            quantities: quantities(),
            points,
            boundary,
        };
        if sampling == Sampling::Grid {
            sweep.compare();
        }
        sweep
    }

    #[test]
    fn a_grid_has_a_row_per_point() {
        let text = page(
            &sweep(Sampling::Grid, None),
            "out/x/: sweep.json",
            100,
            false,
        );
        expect![[r#"
            flash-sale · 3 points · 4 runs each, seeds 7 to 10

              consumer.fulfilment.count   met         ρ   backlog.max of orders    theory   drain_time
                                     20   0 of 4   4.00          160,015 ± 20.5   160,000   4m05s ± 0s
                                     40   0 of 4   4.00          90,015 ± 20.5*    90,000   4m05s ± 0s
                                     60   0 of 4   4.00             215 ± 20.5*       200   4m05s ± 0s

              consumer.fulfilment.count   latency.end_to_end.p99   count.lost
                                     20             2m47.6s ± 0s        0 ± 0
                                     40             2m47.6s ± 0s        0 ± 0
                                     60             2m47.6s ± 0s        0 ± 0

            *        differs from the first point (runs in pairs of one seed, Holm's correction for 8
                     comparisons, 5 %)
            note     1 of 12 intervals are wider than ± 5 %: more --replications narrow them
            files    out/x/: sweep.json
        "#]].assert_eq(&text);
    }

    #[test]
    fn one_run_each_is_shown_without_widths() {
        let mut sweep = sweep(Sampling::Grid, None);
        for point in &mut sweep.points {
            let mut run = fixture::flash_sale();
            run.queues[0].ready_max.0 = 1_234;
            let settings = point.settings.clone();
            let alone = SweepPoint::of(
                settings,
                &[run],
                &quantities(),
                Precision::default(),
                Vec::new(),
            );
            *point = alone.unwrap();
        }
        sweep.compare();
        let text = page(&sweep, "out/x/: sweep.json", 100, false);
        assert!(
            text.contains("one run each, seed 7")
                && text.matches("1,234").count() == 3
                && text.contains("   4m05s\n"),
            "{text}"
        );
        assert!(text.contains("figures have no intervals"), "{text}");
        assert!(!text.contains('—') && !text.contains('±'), "{text}");
    }

    #[test]
    fn narrow_terminals_get_more_tables() {
        let text = page(
            &sweep(Sampling::Grid, None),
            "out/x/: sweep.json",
            60,
            false,
        );
        assert!(
            text.matches("consumer.fulfilment.count").count() > 1,
            "{text}"
        );
    }

    #[test]
    fn a_search_ends_with_what_it_found() {
        let boundary = |holds: Option<&str>, fails: Option<&str>| Boundary {
            conditions: vec!["drain_time < 2m".into()],
            rule: "in all 4 runs".into(),
            holds: holds.map(setting),
            fails: fails.map(setting),
            warnings: vec!["it holds and fails by turns".into()],
        };
        let found = |holds, fails| {
            let sweep = sweep(Sampling::Bisection, Some(boundary(holds, fails)));
            let text = page(&sweep, "out/x/: sweep.json", 100, false);
            text[text.find("warning").unwrap()..].to_string()
        };
        expect![[r#"
            warning  it holds and fails by turns
            while    drain_time < 2m (in all 4 runs)
            found    consumer.fulfilment.count = 60 is the smallest that was seen to hold, 40 fails
            files    out/x/: sweep.json
        "#]]
        .assert_eq(&found(Some("60"), Some("40")));
        expect![[r#"
            warning  it holds and fails by turns
            while    drain_time < 2m (in all 4 runs)
            found    consumer.fulfilment.count: it holds wherever it was tried, from 20 to 60: no boundary was
                     found
            files    out/x/: sweep.json
        "#]].assert_eq(&found(Some("60"), None));
        expect![[r#"
            warning  it holds and fails by turns
            while    drain_time < 2m (in all 4 runs)
            found    consumer.fulfilment.count: it fails wherever it was tried, from 20 to 60: no boundary was
                     found
            files    out/x/: sweep.json
        "#]].assert_eq(&found(None, Some("20")));
    }
}
