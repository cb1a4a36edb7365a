//! One page about a run: the answer first, then what it rests on, pictures with values under the pointer, tables, and how to have it
//! again. It needs no network and no other file.

mod account;
mod comparison;
mod opening;
mod predictions;
mod reproduction;
mod sweep;
mod table;
mod tables;
mod trust;

use std::fmt::Write as _;

use queuelab_record::{Ensemble, Environment, RunRecord};

pub use comparison::comparison_report;
pub use sweep::sweep_report;

use crate::html::escaped;
use crate::{Plot, ensemble_plots, plots, theme};

/// `report.html` of a run, with intervals over replications and the circumstances of the run where they are known. Equal arguments give
/// equal text.
pub fn report(
    record: &RunRecord,
    ensemble: Option<&Ensemble>,
    environment: Option<&Environment>,
) -> String {
    let mut plots = plots(record);
    plots.extend(ensemble.iter().flat_map(|it| ensemble_plots(it)));
    let mut sections = vec![
        section(
            "trust",
            "What this rests on",
            &trust::section(record, ensemble),
        ),
        section("plots", "Plots", &figures(&plots)),
        section("tables", "Tables", &tables::section(record)),
        section("faults", "Faults and alarms", &account::faults(record)),
        section(
            "messages",
            "What became of the messages",
            &account::messages(record),
        ),
        section(
            "prediction",
            "Prediction against measurement",
            &predictions::section(record, ensemble),
        ),
        section(
            "replications",
            "Replications",
            &predictions::replications(ensemble),
        ),
        section(
            "scenario",
            "The scenario, and how to run it again",
            &reproduction::section(record, environment),
        ),
    ];
    sections.retain(|section| !section.body.is_empty());
    let head = opening::section(record, ensemble);
    page(&record.scenario.title, &head, &sections, &plots)
}

/// A part of a page.
pub(crate) struct Section {
    id: &'static str,
    title: &'static str,
    body: String,
}

fn section(id: &'static str, title: &'static str, body: &str) -> Section {
    Section {
        id,
        title,
        body: body.into(),
    }
}

/// The document.
fn page(title: &str, head: &str, sections: &[Section], plots: &[Plot]) -> String {
    let mut html = String::new();
    let dark = theme::dark_rules(".plot svg ");
    let _ = write!(
        html,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <link rel=\"icon\" href=\"data:,\">\n\
         <title>{} · queuelab</title>\n\
         <style>\n{STYLE}@media screen and (prefers-color-scheme:dark){{{dark}}}\n</style>\n</head>\n<body>\n",
        escaped(title),
    );
    html.push_str(head);
    html.push_str("<nav aria-label=\"Sections\">");
    for section in sections {
        let _ = write!(html, "<a href=\"#{}\">{}</a>", section.id, section.title);
    }
    html.push_str("</nav>\n<main>\n");
    for section in sections {
        let _ = write!(
            html,
            "<section id=\"{}\">\n<h2>{}</h2>\n{}</section>\n",
            section.id, section.title, section.body
        );
    }
    html.push_str("</main>\n<div id=\"tip\" role=\"status\" hidden></div>\n");
    html.push_str("<script type=\"application/json\" id=\"values\">{");
    let known = plots
        .iter()
        .filter_map(|plot| Some((&plot.name, plot.hover.as_ref()?)));
    for (index, (name, hover)) in known.enumerate() {
        let comma = if index > 0 { ",\n" } else { "\n" };
        let _ = write!(html, "{comma}\"{name}\":{hover}");
    }
    let _ = write!(
        html,
        "\n}}</script>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n"
    );
    html
}

/// What figures over `runs` are.
fn over_runs(runs: Option<usize>, confidence: f64) -> String {
    match runs {
        Some(0 | 1) | None => "What one run each measured, without intervals".into(),
        Some(_) => format!(
            "Means over runs, and percentiles of all runs' latencies together, with {} intervals",
            queuelab_record::percent(confidence)
        ),
    }
}

/// Each picture with what it says.
fn figures(plots: &[Plot]) -> String {
    let mut html = String::new();
    for plot in plots {
        // The page has the rules for the dark.
        let svg = plot.svg.replacen(&theme::style(), "", 1);
        let _ = write!(
            html,
            "<figure class=\"plot\" id=\"plot-{0}\" data-plot=\"{0}\" tabindex=\"0\" aria-label=\"{1}\">\n\
             <div class=\"scroll\"><div class=\"picture\">{svg}<div class=\"cursor\" hidden></div></div></div>\n",
            plot.name,
            escaped(&plot.says),
        );
        let caption = caption(&plot.name);
        if !caption.is_empty() {
            let _ = writeln!(html, "<figcaption>{}</figcaption>", escaped(caption));
        }
        html.push_str("</figure>\n");
    }
    html
}

/// What a picture says, for those who see its kind for the first time.
fn caption(name: &str) -> &'static str {
    match name {
        "backlog" => {
            "How many messages wait, queue by queue. Where a line rises, more comes than is served; where it is flat at zero, nothing waits. \
             A dashed line, where theory knows the scenario, is what it expects with chance left aside."
        }
        "latency" => {
            "How long messages took from their intended send to the end of service, by when that was. Half of them took less than p50, one \
             in a hundred more than p99."
        }
        "distribution" => {
            "The same over the whole run: each step to the right is ten times as rare. A curve that climbs steeply has a long tail."
        }
        "cdf" => "The share of messages that took at most so long: steep where most of them are.",
        "rates" => {
            "Messages per second. Where delivered falls below published, a backlog grows; where it is above, one is worked off."
        }
        "parts" => {
            "Where the mean message spent its time, from its intended send to the end of service. The parts sum exactly to the latency."
        }
        "utilisation" => {
            "Who was busy. What is at 100 % for long is the bottleneck; queues before it grow without bound."
        }
        "balance" => {
            "How evenly work is shared. Bars within the band differ by no more than if each message had gone to one of them at random."
        }
        "bodies" => {
            "Bytes of message bodies in memory. What does not fit waits in the log, and is read back when its turn comes; dashed is the budget."
        }
        "faults" => {
            "When something was wrong, for how long nothing was delivered around it (to the width of a window of the series), and how fast it \
             went on. Where faults are short beside the run, only the time around them is shown."
        }
        "priorities" => "How long messages of each priority took to be received.",
        "groups" => {
            "How many records of their streams groups have not settled, and when members came or went."
        }
        "welch" => {
            "The mean over replications of what is in the broker. Where the smooth curve has become flat, the start is forgotten; what is \
             left of there should be left out."
        }
        _ => "",
    }
}

/// Nothing is fetched, whatever a scenario's text says.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";
const STYLE: &str = include_str!("report/page.css");
const SCRIPT: &str = include_str!("report/page.js");
