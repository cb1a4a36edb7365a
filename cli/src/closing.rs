//! The table that closes several runs.

use queuelab_record::{RunRecord, Verdict};

use crate::layout::{Align, Cell, Painter, Style, table};
use crate::summary::{self, Context, wall};

/// A line per run: verdict and the figures that one looks at first.
pub(crate) fn table_of<T>(runs: &[(RunRecord, Context, T)], color: bool) -> String {
    let header = [
        "scenario",
        "seed",
        "verdict",
        "peak backlog",
        "end-to-end p50",
        "p99",
        "took",
        "folder",
    ];
    let mut rows = vec![header.map(|text| Cell::new(Style::Dim, text)).to_vec()];
    rows.extend(runs.iter().map(|(record, context, _)| row(record, context)));
    let figures = [Align::Right; 4];
    let align: Vec<Align> = [Align::Left, Align::Right, Align::Left]
        .into_iter()
        .chain(figures)
        .chain([Align::Left])
        .collect();
    let mut text = table(&rows, &align, Painter { color }).join("\n");
    text.push('\n');
    text
}

fn row(record: &RunRecord, context: &Context) -> Vec<Cell> {
    let judgements = summary::judgements(record, context);
    let met = judgements
        .iter()
        .filter(|judgement| judgement.verdict == Verdict::Pass)
        .count();
    let (word, style) = match summary::verdict(record, context) {
        Verdict::Pass => ("pass", Style::Green),
        Verdict::Fail => ("FAIL", Style::Red),
        Verdict::Undecided => ("undecided", Style::Yellow),
    };
    let metric = |name| Cell::from(record.metric_shown(name, None, None));
    vec![
        record.scenario.name.as_str().into(),
        record.seed.to_string().into(),
        Cell::new(style, format!("{word} {met} of {}", judgements.len())),
        metric("backlog.max"),
        metric("latency.end_to_end.p50"),
        metric("latency.end_to_end.p99"),
        wall(context.wall).to_string().into(),
        context
            .files
            .as_ref()
            .map_or_else(String::new, |files| files.folder.clone())
            .into(),
    ]
}
