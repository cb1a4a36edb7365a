//! One page about a comparison.

use queuelab_record::{ACCOUNT, Comparison, Finding, number};

use super::table::{Cell, NOTHING, Table};
use super::{figures, over_runs, page, section};
use crate::Plot;
use crate::comparison::verdict;
use crate::comparison_plots;
use crate::html::escaped;

/// `report.html` of a comparison: which designs do what is expected, what they do to messages, how far they are from the first one.
/// Equal comparisons give equal text.
pub fn comparison_report(comparison: &Comparison) -> String {
    let plots = comparison_plots(comparison);
    let mut sections = vec![
        section("expectations", "Expectations", &expectations(comparison)),
        section("account", "What became of messages", &account(comparison)),
        section("metrics", "Metrics", &metrics(comparison)),
        section("plots", "Plots", &pictures(&plots)),
        section("scenario", "The scenario", &scenario(comparison)),
    ];
    sections.retain(|section| !section.body.is_empty());
    let labels: Vec<&str> = comparison
        .variants
        .iter()
        .map(|it| it.label.as_str())
        .collect();
    page(
        &labels.join(", "),
        &opening(comparison, &labels),
        &sections,
        &plots,
    )
}

/// Pictures of one kind, below what they show.
fn pictures(plots: &[Plot]) -> String {
    if plots.is_empty() {
        return String::new();
    }
    format!(
        "<p class=\"quiet\">How far each design is from the first one, with its interval. At the right, what it measured, and whether that is a \
         difference after all comparisons are counted.</p>\n{}",
        figures(plots)
    )
}

fn opening(comparison: &Comparison, labels: &[&str]) -> String {
    let ensembles = comparison
        .variants
        .iter()
        .filter_map(|it| it.ensemble.as_ref());
    let scenario = ensembles.map(|it| &it.scenario).next();
    let title = scenario.map_or("Comparison", |it| it.title.as_str());
    let about = scenario.map_or("", |it| it.about.as_str());
    let runs = match runs(comparison).unwrap_or(0) {
        1 => "1 run".to_string(),
        runs => format!("{runs} runs"),
    };
    let seeds = match comparison.seeds_in_words() {
        none if none.is_empty() => none,
        seeds => format!(", {}", escaped(&seeds)),
    };
    format!(
        "<header>\n<p class=\"kind\">queuelab {} · comparison of {} · {} each{}</p>\n<h1>{}</h1>\n<p class=\"about\">{}</p>\n\
         <p class=\"answer\">{}</p>\n</header>\n",
        escaped(&comparison.version),
        escaped(&labels.join(", ")),
        runs,
        seeds,
        escaped(title),
        escaped(about),
        escaped(&answer(comparison)),
    )
}

/// Runs of the design that has the most; `None` if none could be run.
fn runs(comparison: &Comparison) -> Option<usize> {
    let ensembles = comparison.variants.iter();
    let ensembles = ensembles.filter_map(|it| it.ensemble.as_ref());
    ensembles.map(|it| it.seeds.len()).max()
}

/// Which designs do what is expected, and how much is different.
fn answer(comparison: &Comparison) -> String {
    let meets = |variant: &&queuelab_record::Variant| {
        let Some(ensemble) = &variant.ensemble else {
            return false;
        };
        let all = ensemble.seeds.len();
        ensemble.violations.is_empty() && ensemble.expectations.iter().all(|it| it.met == all)
    };
    let good: Vec<&str> = comparison
        .variants
        .iter()
        .filter(meets)
        .map(|it| it.label.as_str())
        .collect();
    let contrasts = comparison
        .metrics
        .iter()
        .flat_map(|it| &it.differences)
        .flatten();
    let made = contrasts.clone().count();
    let found = contrasts
        .filter(|it| it.finding != Finding::Nothing)
        .count();
    let met = match good.len() {
        0 => "No design meets all expectations in all runs.".into(),
        all if all == comparison.variants.len() => {
            "All designs meet all expectations in all runs.".into()
        }
        1 => format!("Only {} meets all expectations in all runs.", good[0]),
        _ => format!("{} meet all expectations in all runs.", good.join(", ")),
    };
    let all = comparison.variants.len();
    let refused = comparison.variants.iter();
    let refused = match refused.filter(|it| it.refused.is_some()).count() {
        0 => String::new(),
        refused => format!(" {refused} of {all} designs could not be run."),
    };
    format!("{met}{refused} {found} of {made} comparisons with the first design show a difference.")
}

fn labels(comparison: &Comparison) -> impl Iterator<Item = String> {
    comparison.variants.iter().map(|it| it.label.clone())
}

fn expectations(comparison: &Comparison) -> String {
    let head: Vec<String> = ["<expectation".to_string()]
        .into_iter()
        .chain(labels(comparison).map(|label| format!("<{label}")))
        .collect();
    let mut table = Table::new("In how many runs it is met.", &head);
    for text in comparison.expectations() {
        let mut cells = vec![Cell::from(text)];
        for variant in &comparison.variants {
            cells.push(match variant.expectation(text) {
                None => NOTHING.into(),
                Some(it) => {
                    let all = it.met + it.unmet.len() + it.undecided.len();
                    let (class, sign) = match () {
                        () if it.met == all => ("pass", "✓"),
                        () if it.unmet.is_empty() => ("undecided", "?"),
                        () => ("fail", "✗"),
                    };
                    Cell::new(class, format!("{sign} {} of {all}", it.met))
                }
            });
        }
        table.row(cells);
    }
    let mut html = table.html();
    for variant in &comparison.variants {
        if let Some(reason) = &variant.refused {
            let text = format!("{} was not run: {reason}", variant.label);
            html.push_str(&format!("<p class=\"warning\">{}</p>\n", escaped(&text)));
        }
        let violations = variant.ensemble.iter().flat_map(|it| &it.violations);
        for violation in violations {
            let times = violation.seeds.len();
            let text = format!(
                "{} violates {} in {times} of its runs, and no expectation speaks of it.",
                variant.label, violation.invariant
            );
            html.push_str(&format!("<p class=\"fail\">{}</p>\n", escaped(&text)));
        }
    }
    html
}

fn account(comparison: &Comparison) -> String {
    let head: Vec<String> = ["<messages".to_string()]
        .into_iter()
        .chain(labels(comparison))
        .collect();
    let mut table = Table::new("Sums over all runs.", &head);
    for metric in ACCOUNT {
        let totals: Vec<Option<f64>> = comparison
            .variants
            .iter()
            .map(|it| it.total(metric))
            .collect();
        if totals.iter().all(Option::is_none) {
            continue;
        }
        let mut cells = vec![metric.trim_start_matches("count.").replace('_', " ")];
        cells.extend(
            totals
                .into_iter()
                .map(|total| total.map_or(NOTHING.into(), number)),
        );
        table.row(cells);
    }
    table.html()
}

fn metrics(comparison: &Comparison) -> String {
    let head: Vec<String> = ["<metric".to_string()]
        .into_iter()
        .chain(labels(comparison))
        .collect();
    let mut table = Table::new(
        format!(
            "{}. A word says where a design differs from the first one, adjusted for all comparisons (Holm); percentiles are compared by \
             those of single runs.",
            over_runs(runs(comparison), comparison.confidence)
        ),
        &head,
    );
    for metric in &comparison.metrics {
        let mut cells = vec![Cell::from(metric.quantity.to_string())];
        for (index, variant) in comparison.variants.iter().enumerate() {
            let measured = variant
                .ensemble
                .as_ref()
                .and_then(|it| it.metric(&metric.quantity));
            let shown = measured.map_or(NOTHING.into(), |it| it.shown());
            let contrast = metric.differences.get(index).copied().flatten();
            let found = contrast.filter(|it| it.finding != Finding::Nothing);
            let word = found.map(|it| verdict(&metric.quantity.metric, it.finding).1);
            cells.push(
                word.map_or(shown.clone(), |word| format!("{shown} {word}"))
                    .into(),
            );
        }
        table.row(cells);
    }
    table.html()
}

fn scenario(comparison: &Comparison) -> String {
    let mut shown: Vec<&str> = Vec::new();
    let mut html = String::new();
    for variant in &comparison.variants {
        let Some(ensemble) = &variant.ensemble else {
            continue;
        };
        let scenario = &ensemble.scenario;
        let overrides = scenario.overrides.join(", ");
        html.push_str(&format!(
            "<p>{}: {} {}</p>\n",
            escaped(&variant.label),
            escaped(&scenario.name),
            escaped(&overrides)
        ));
        if !shown.contains(&scenario.source.as_str()) {
            shown.push(&scenario.source);
            html.push_str(&format!(
                "<details><summary>{}.toml</summary>\n<pre><code>{}</code></pre></details>\n",
                escaped(&scenario.name),
                escaped(&scenario.source)
            ));
        }
    }
    html
}
