//! A comparison for people: one table of all designs, then how each differs from the reference. A pure function of the comparison.

use std::time::Duration;

use queuelab_record::{
    ACCOUNT, Comparison, Contrast, Finding, MetricComparison, MetricEnsemble, Unit, Variant,
    Verdict, grouped, less_and_more, percent,
};

use crate::layout::{Align, Cell, Painter, Style, one_line, table, wrap};
use crate::summary::wall;

use super::{verdict, verdict_of, verdict_of_expectation};

/// What is shown, and where.
pub(super) struct Shown<'a> {
    pub(super) comparison: &'a Comparison,
    pub(super) folder: String,
    /// How many were drawn.
    pub(super) plots: usize,
    pub(super) wall: Duration,
    pub(super) width: usize,
    pub(super) painter: Painter,
}

impl Shown<'_> {
    /// The whole page, ending with the verdict.
    pub(super) fn page(&self) -> String {
        let mut lines = vec![self.title(), String::new()];
        lines.extend(self.tables());
        lines.push(String::new());
        lines.extend(self.differences());
        lines.extend(self.refusals());
        lines.extend(self.remarks());
        let plots = match self.plots {
            0 => String::new(),
            1 => "  1 plot".into(),
            plots => format!("  {plots} plots"),
        };
        lines.push(format!(
            "{INDENT}files  {}  compare.json  report.html{plots}",
            self.folder
        ));
        lines.join("\n") + "\n" + &self.verdict_line()
    }

    /// `PASS 3 designs meet all expectations`
    pub(super) fn verdict_line(&self) -> String {
        let variants = &self.comparison.variants;
        let ran: Vec<_> = variants
            .iter()
            .filter_map(|it| it.ensemble.as_ref())
            .collect();
        let refused = variants.len() - ran.len();
        let met = ran.iter().filter(|it| verdict_of(it) == Verdict::Pass);
        let (word, style) = match verdict(self.comparison) {
            Verdict::Pass => ("PASS", Style::Green),
            Verdict::Fail => ("FAIL", Style::Red),
            Verdict::Undecided => ("UNDECIDED", Style::Yellow),
        };
        let mut text = format!(
            "{} {} of {} designs meet all their expectations",
            self.painter.paint(style, word),
            met.count(),
            ran.len()
        );
        if refused > 0 {
            text.push_str(&format!(" · {refused} refused"));
        }
        let (found, made) = self.found();
        text.push_str(&format!(" · {found} of {made} differences found\n"));
        text
    }

    fn title(&self) -> String {
        let variants = &self.comparison.variants;
        let ensembles: Vec<_> = variants
            .iter()
            .filter_map(|it| it.ensemble.as_ref())
            .collect();
        let mut titles: Vec<&str> = Vec::new();
        for ensemble in &ensembles {
            if !titles.contains(&ensemble.scenario.title.as_str()) {
                titles.push(&ensemble.scenario.title);
            }
        }
        let title = one_line(&titles.join(" · "));
        let title = self.painter.paint(Style::Bold, &title);
        let seeds = match self.comparison.seeds_in_words() {
            none if none.is_empty() => none,
            seeds => format!(", {seeds}"),
        };
        format!(
            "{title} · {} designs{seeds} · in {}",
            variants.len(),
            wall(self.wall)
        )
    }

    /// One table, or as many below each other as it takes to fit the width, each with the names of its rows.
    fn tables(&self) -> Vec<String> {
        let columns = self.columns();
        let (names, designs) = columns.split_at(1);
        let mut lines = Vec::new();
        let mut rest = designs;
        while !rest.is_empty() {
            let fitting = (1..=rest.len()).rev().find(|count| {
                let rows = rows(&[names, &rest[..*count]].concat());
                let widest = table(&rows, &aligned(count + 1), Painter { color: false });
                let width = widest
                    .iter()
                    .map(|line| unicode_width::UnicodeWidthStr::width(line.as_str()));
                width.max().unwrap_or(0) + INDENT.len() <= self.width
            });
            let (now, later) = rest.split_at(fitting.unwrap_or(1));
            if !lines.is_empty() {
                lines.push(String::new());
            }
            let shown = rows(&[names, now].concat());
            let shown = table(&shown, &aligned(now.len() + 1), self.painter);
            lines.extend(shown.into_iter().map(|line| format!("{INDENT}{line}")));
            rest = later;
        }
        lines
    }

    /// The names of rows, then a column per design.
    fn columns(&self) -> Vec<Vec<Cell>> {
        let comparison = self.comparison;
        let expectations = comparison.expectations();
        let mut names = vec![Cell::from("")];
        names.extend(expectations.iter().map(|text| Cell::from(*text)));
        let metrics = comparison
            .metrics
            .iter()
            .filter(|it| is_known(comparison, it));
        let metrics: Vec<&MetricComparison> = metrics.collect();
        names.extend(metrics.iter().map(|it| Cell::from(it.quantity.to_string())));
        let accounts: Vec<&str> = ACCOUNT
            .into_iter()
            .filter(|metric| {
                comparison
                    .variants
                    .iter()
                    .any(|it| it.total(metric).is_some())
            })
            .collect();
        names.extend(
            accounts
                .iter()
                .map(|metric| Cell::from(account_name(metric))),
        );
        let column = |variant: &Variant| {
            let mut cells = vec![Cell::new(Style::Bold, variant.label.clone())];
            if variant.refused.is_some() {
                cells.push(Cell::new(Style::Yellow, "refused"));
                cells.resize(names.len(), Cell::default());
                return cells;
            }
            cells.extend(expectations.iter().map(|text| expectation(variant, text)));
            cells.extend(metrics.iter().map(|it| figure(variant, it)));
            cells.extend(accounts.iter().map(|metric| total(variant, metric)));
            cells
        };
        let designs: Vec<Vec<Cell>> = comparison.variants.iter().map(column).collect();
        [vec![names.clone()], designs].concat()
    }

    /// How each design differs from the reference, metric by metric.
    fn differences(&self) -> Vec<String> {
        let Some(reference) = self.comparison.variants.first() else {
            return Vec::new();
        };
        let (_, made) = self.found();
        if made == 0 {
            return vec![format!(
                "{INDENT}no differences: they take two runs of each design and more"
            )];
        }
        let mut rows = Vec::new();
        for metric in &self.comparison.metrics {
            let name = metric.quantity.to_string();
            let compared = self.comparison.variants.iter().zip(&metric.differences);
            let compared = compared.filter_map(|(variant, it)| Some((variant, (*it)?)));
            for (at, (variant, difference)) in compared.enumerate() {
                let name = if at == 0 { name.clone() } else { String::new() };
                let words = words(self.comparison, metric, &difference);
                let style = match difference.finding {
                    Finding::Nothing => Style::Dim,
                    Finding::Less | Finding::More => Style::Bold,
                };
                rows.push(vec![
                    Cell::from(name),
                    Cell::from(variant.label.as_str()),
                    Cell::from(interval(metric, &difference)),
                    Cell::new(style, words),
                ]);
            }
        }
        let percent = percent(self.comparison.confidence);
        let all = self
            .comparison
            .metrics
            .iter()
            .flat_map(|it| &it.differences);
        let how = match all.flatten().all(|it| it.paired) {
            true => "pairs of runs with one seed",
            false => "independent runs where seeds differ",
        };
        let head = format!(
            "against {}: {how}, {percent} intervals, Holm's correction for {} comparisons",
            reference.label,
            grouped(made as u64)
        );
        let align = [Align::Left, Align::Left, Align::Right, Align::Left];
        let table = table(&rows, &align, self.painter);
        let head = wrap(&head, self.width.saturating_sub(INDENT.len()));
        let dim = |line: String| format!("{INDENT}{}", self.painter.paint(Style::Dim, &line));
        let mut lines: Vec<String> = head.into_iter().map(dim).collect();
        lines.extend(table.into_iter().map(|line| format!("{INDENT}{line}")));
        lines.push(String::new());
        lines
    }

    fn refusals(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for variant in &self.comparison.variants {
            let Some(reason) = &variant.refused else {
                continue;
            };
            let text = format!("refused  {}: {reason}", variant.label);
            let wrapped = wrap(&text, self.width.saturating_sub(INDENT.len()));
            let line =
                |line: String| format!("{INDENT}{}", self.painter.paint(Style::Yellow, &line));
            lines.extend(wrapped.into_iter().map(line));
        }
        lines
    }

    /// What makes figures doubtful.
    fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        for variant in &self.comparison.variants {
            let Some(ensemble) = &variant.ensemble else {
                continue;
            };
            for violation in &ensemble.violations {
                let seeds = violation.seeds.len();
                remarks.push(format!(
                    "✗ {}: {} is violated in {seeds} of {} runs",
                    variant.label,
                    violation.invariant,
                    ensemble.seeds.len()
                ));
            }
            for overload in ensemble.overloads.iter().filter(|it| it.lasting) {
                remarks.push(format!(
                    "warning  {}: {} is offered ρ = {:.2} in {} and has no time to recover: its figures depend on the run's length",
                    variant.label, overload.queue, overload.load, overload.phase
                ));
            }
        }
        let wrapped = remarks
            .iter()
            .flat_map(|it| wrap(it, self.width.saturating_sub(INDENT.len())));
        wrapped.map(|line| format!("{INDENT}{line}")).collect()
    }

    /// Differences found, and comparisons made.
    fn found(&self) -> (usize, usize) {
        let all = self
            .comparison
            .metrics
            .iter()
            .flat_map(|it| &it.differences);
        let made: Vec<&Contrast> = all.flatten().collect();
        let found = made.iter().filter(|it| it.finding != Finding::Nothing);
        (found.count(), made.len())
    }
}

/// `97 % faster`, `no difference found`: a share of the mean of what the reference's runs measured one by one, as the difference is one of them.
pub(super) fn words(
    comparison: &Comparison,
    metric: &MetricComparison,
    difference: &Contrast,
) -> String {
    let [less, more] = less_and_more(&metric.quantity.metric);
    let word = match difference.finding {
        Finding::Nothing => return "no difference found".into(),
        Finding::Less => less,
        Finding::More => more,
    };
    let reference = comparison.variants.first();
    let ensemble = reference.and_then(|it| it.ensemble.as_ref());
    let values = ensemble.and_then(|it| it.metric(&metric.quantity));
    let mean = values.and_then(mean_of).filter(|mean| *mean > 0.0);
    match mean.map(|mean| difference.interval.estimate / mean) {
        Some(share) if share >= 1.0 => format!("{word} ({:.1} ×)", 1.0 + share),
        Some(share) => format!("{} {word}", percent(share.abs())),
        None => word.to_string(),
    }
}

fn rows(columns: &[Vec<Cell>]) -> Vec<Vec<Cell>> {
    let height = columns.iter().map(Vec::len).max().unwrap_or(0);
    let row = |at: usize| {
        let cells = columns.iter().map(|column| column.get(at).cloned());
        cells.map(Option::unwrap_or_default).collect()
    };
    (0..height).map(row).collect()
}

fn aligned(columns: usize) -> Vec<Align> {
    let mut align = vec![Align::Right; columns];
    align[0] = Align::Left;
    align
}

/// Whether any design has figures of a metric.
fn is_known(comparison: &Comparison, metric: &MetricComparison) -> bool {
    let ensembles = comparison
        .variants
        .iter()
        .filter_map(|it| it.ensemble.as_ref());
    let mut known = ensembles.filter_map(|it| it.metric(&metric.quantity));
    known.any(|it| it.never > 0 || it.values.iter().any(Option::is_some))
}

fn expectation(variant: &Variant, text: &str) -> Cell {
    let Some(expectation) = variant.expectation(text) else {
        return Cell::new(Style::Dim, "—");
    };
    let Some(ensemble) = &variant.ensemble else {
        return Cell::default();
    };
    let (unmet, undecided) = (expectation.unmet.len(), expectation.undecided.len());
    let all = expectation.met + unmet + undecided;
    let style = match verdict_of_expectation(ensemble, expectation) {
        Verdict::Pass => Style::Green,
        Verdict::Fail => Style::Red,
        Verdict::Undecided => Style::Yellow,
    };
    let text = match (unmet, undecided) {
        (0, 0) => "✓".to_string(),
        (0, _) => format!("? in {undecided} of {all}"),
        (unmet, _) if unmet == all => "✗".to_string(),
        (unmet, _) => format!("✗ in {unmet} of {all}"),
    };
    Cell::new(style, text)
}

fn figure(variant: &Variant, metric: &MetricComparison) -> Cell {
    let ensemble = variant.ensemble.as_ref();
    let Some(metric) = ensemble.and_then(|it| it.metric(&metric.quantity)) else {
        return Cell::new(Style::Dim, "—");
    };
    Cell::from(metric.shown())
}

fn total(variant: &Variant, metric: &str) -> Cell {
    match variant.total(metric) {
        None => Cell::new(Style::Dim, "—"),
        Some(0.0) => Cell::from("0"),
        Some(total) if metric == "count.lost" => Cell::new(Style::Red, grouped(total as u64)),
        Some(total) => Cell::from(grouped(total as u64)),
    }
}

/// `lost, all runs`
fn account_name(metric: &str) -> String {
    let name = match metric.trim_start_matches("count.") {
        "dead_lettered" => "dead-lettered",
        "reordered" => "out of order",
        name => name,
    };
    format!("{name}, all runs")
}

fn mean_of(metric: &MetricEnsemble) -> Option<f64> {
    let known: Vec<f64> = metric.values.iter().copied().flatten().collect();
    (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
}

/// `−3.2 s ± 0.1 s`
pub(super) fn interval(metric: &MetricComparison, difference: &Contrast) -> String {
    let estimate = difference.interval.estimate;
    let sign = match estimate {
        estimate if estimate > 0.0 => "+",
        estimate if estimate < 0.0 => "−",
        _ => "",
    };
    let shown = |size: f64| metric.unit.unwrap_or(Unit::Count).difference_shown(size);
    let half_width = shown(difference.interval.half_width);
    match shown(estimate.abs()) {
        // Too small to be shown: so is its sign.
        small if small.starts_with('<') => format!("{small} ± {half_width}"),
        size => format!("{sign}{size} ± {half_width}"),
    }
}

const INDENT: &str = "  ";

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use queuelab_record::fixture;

    use super::*;

    fn page(width: usize) -> String {
        let comparison = fixture::comparison();
        let shown = Shown {
            comparison: &comparison,
            folder: "out/flash-sale-compare-7/".into(),
            plots: 3,
            wall: Duration::from_millis(2_300),
            width,
            painter: Painter { color: false },
        };
        shown.page()
    }

    #[test]
    fn all_designs_stand_in_one_table() {
        expect![[r#"
            Flash sale · 4 designs, seeds 7..11 · in 2.3 s

                                                rabbitmq-classic      redis-stream           activemq   rabbitmq-quorum
              backlog.max of orders < 200_000                  ✓                 ✓                  ✓           refused
              drain_time of orders < 3m                        ✗                 ✗                  ✗
              backlog.max of orders              160,339 ± 3,528   130,328 ± 3,034    163,375 ± 2,092
              latency.end_to_end.p99            2m42.8s ± 3.58 s   2m12.5s ± 3.1 s   2m45.9s ± 2.13 s
              latency.confirm.p99                15.1 s ± 332 ms   24.6 s ± 564 ms    15.3 s ± 195 ms
              lost, all runs                                   0                 0                  0
              duplicates, all runs                           196               158                199
              redelivered, all runs                        3,833             3,462              3,871

              against rabbitmq-classic: pairs of runs with one seed, 95 % intervals, Holm's correction for 6 comparisons
              backlog.max of orders    redis-stream    −30,011 ± 5,260   18.7 % smaller
                                       activemq         +3,036 ± 3,713   no difference found
              latency.end_to_end.p99   redis-stream   −30.5 s ± 5.33 s   18.7 % faster
                                       activemq       +3.06 s ± 3.75 s   no difference found
              latency.confirm.p99      redis-stream   +9.46 s ± 729 ms   62.6 % slower
                                       activemq       +225 ms ± 349 ms   no difference found

              refused rabbitmq-quorum: replication is not there yet
              files  out/flash-sale-compare-7/  compare.json  report.html  3 plots
            FAIL 0 of 3 designs meet all their expectations · 1 refused · 3 of 6 differences found
        "#]].assert_eq(&page(140));
    }

    #[test]
    fn a_narrow_terminal_gets_tables_below_each_other() {
        let page = page(80);
        let heads = page.lines().filter(|line| line.contains("redis-stream"));
        assert!(heads.count() > 1, "{page}");
        for line in page.lines().filter(|line| line.starts_with(INDENT)) {
            let width = unicode_width::UnicodeWidthStr::width(line);
            assert!(width <= 100, "{width}: {line}");
        }
    }
}
