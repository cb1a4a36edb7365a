//! What the figures rest on.

use queuelab_record::{Ensemble, RunRecord, Verdict, grouped};

use super::opening::words;
use super::table::{Cell, Table, terms};
use crate::html::escaped;

pub(super) fn section(record: &RunRecord, ensemble: Option<&Ensemble>) -> String {
    let mut html = String::from("<ul>\n");
    for item in record.trust_in_words(ensemble) {
        html.push_str(&format!("<li>{}</li>\n", escaped(&item)));
    }
    html.push_str("</ul>\n");
    let costs = match (record.trust.profile.as_str(), record.trust.calibrated) {
        ("ideal", _) => {
            "Nothing but services takes time: for comparison with theory, not with a real broker."
                .into()
        }
        (profile, true) => format!("Profile {profile}, measured on a real machine."),
        (profile, false) => format!(
            "Profile {profile}: plausible costs of CPU, disk and network that were not measured on your machines. Compare designs by it; do \
             not read capacities off it."
        ),
    };
    let mut items = vec![("costs", escaped(&costs))];
    if !record.warmup.is_zero() {
        let left_out = format!(
            "Latencies and rates leave out what was intended in the first {}.",
            record.warmup
        );
        items.push(("warm-up", escaped(&left_out)));
    }
    items.push(("convergence", convergence(ensemble)));
    html.push_str(&terms(&items));
    html.push_str(&invariants(record));
    html
}

/// Whether more runs would change the figures.
fn convergence(ensemble: Option<&Ensemble>) -> String {
    let Some(ensemble) = ensemble else {
        return "One run: another seed gives somewhat other figures. <code>--replications 10</code> says how much other.".into();
    };
    let runs = format!(
        "{} replications, {} confidence.",
        ensemble.seeds.len(),
        queuelab_record::percent(ensemble.precision.confidence)
    );
    let warnings: Vec<String> = ensemble
        .warnings()
        .into_iter()
        .chain(ensemble.overloaded())
        .map(|warning| format!("<br><span class=\"warning\">{}</span>", escaped(&warning)))
        .collect();
    let reached = ensemble.convergence().map(|it| format!(" {it}"));
    format!("{runs}{}{}", reached.unwrap_or_default(), warnings.concat())
}

fn invariants(record: &RunRecord) -> String {
    let mut table = Table::new(
        "Invariants. One for which nothing was compared says nothing.",
        &[
            "<invariant",
            "<verdict",
            "compared",
            "violations",
            "<first of them",
        ],
    );
    for invariant in &record.invariants {
        if invariant.compared == 0 && invariant.verdict != Verdict::Fail {
            continue;
        }
        let (class, sign, word) = words(invariant.verdict);
        table.row([
            Cell::from(invariant.name.as_str()),
            Cell::new(class, format!("{sign} {}", word.to_lowercase())),
            grouped(invariant.compared).into(),
            grouped(invariant.violations).into(),
            invariant
                .examples
                .first()
                .cloned()
                .unwrap_or_default()
                .into(),
        ]);
    }
    table.without_empty_columns().html()
}
