//! The three latencies, and where the time went.

use queuelab_core::Span;
use queuelab_record::{PART_NAMES, Parts, RunRecord, grouped, percent};

use super::figures::{self, AT_LEAST, NOTHING};
use super::{INDENT, Page};
use crate::layout::{Align, Cell, Style, chain, fits, table, wrap};

/// The latencies of the whole run with what each means; then the parts of the mean journey.
pub(super) fn section(page: &Page<'_>) -> Vec<String> {
    let record = page.record;
    let mut rows: Vec<[String; 5]> = LATENCIES
        .iter()
        .filter_map(|(metric, name, meaning)| row(record, metric, None, name, meaning))
        .collect();
    if rows.is_empty() {
        return page.labelled("latency", vec!["no message was finished".into()]);
    }
    rows.extend(complete(record, rows.last()));
    rows.extend(by_priority(record));
    rows.extend(by_producer(record));
    let scope = match record.warmup {
        warmup if warmup.is_zero() => "latency (whole run)".into(),
        warmup => format!("latency (after {warmup})"),
    };
    let mut cells = vec![
        [scope.as_str(), "p50", "p99", "max"]
            .map(|text| Cell::new(Style::Dim, text))
            .to_vec(),
    ];
    cells.extend(rows.iter().map(|[name, figures @ .., meaning]| {
        let figures = figures.iter().map(|figure| Cell::from(figure.as_str()));
        let name = std::iter::once(Cell::from(name.as_str()));
        name.chain(figures)
            .chain([Cell::new(Style::Dim, meaning.as_str())])
            .collect()
    }));
    let align = [
        Align::Left,
        Align::Right,
        Align::Right,
        Align::Right,
        Align::Left,
    ];
    // The meaning is worth its space, but not a broken table.
    if !fits(&cells, &align, page.context.width - INDENT.len()) {
        cells.iter_mut().for_each(|row| row.truncate(4));
    }
    let table = table(&cells, &align, page.painter);
    let mut lines: Vec<String> = table
        .into_iter()
        .map(|line| format!("{INDENT}{line}"))
        .collect();
    lines.extend(where_it_went(page));
    if rows.iter().flatten().any(|text| text.starts_with(AT_LEAST)) {
        let reasons = wrap(&at_least(record), page.context.width - INDENT.len());
        lines.extend(reasons.iter().map(|line| format!("{INDENT}{line}")));
    }
    lines
}

/// A latency's name, p50, p99, max and meaning; `None` if nothing is known of it.
fn row(
    record: &RunRecord,
    metric: &str,
    of: Option<&str>,
    name: &str,
    meaning: &str,
) -> Option<[String; 5]> {
    let [p50, p99, max] = ["p50", "p99", "max"]
        .map(|figure| record.metric_shown(&format!("latency.{metric}.{figure}"), of, None));
    let known = [&p50, &p99, &max].iter().any(|text| *text != NOTHING);
    known.then(|| [name.to_string(), p50, p99, max, meaning.to_string()])
}

/// Until the last copy was served, where that is later than the end of a service.
fn complete(record: &RunRecord, end_to_end: Option<&[String; 5]>) -> Option<[String; 5]> {
    let meaning = "intended send → last copy served, or what came of it";
    let complete = row(record, "complete", None, "complete", meaning)?;
    let differs = end_to_end.is_none_or(|other| other[1..4] != complete[1..4]);
    differs.then_some(complete)
}

/// Delivery of each priority, the highest first, in queues that saw several.
fn by_priority(record: &RunRecord) -> Vec<[String; 5]> {
    let named = record.queues.len() > 1;
    let mut rows = Vec::new();
    for queue in record.queues.iter().filter(|it| it.priorities.len() > 1) {
        for class in queue.priorities.iter().rev() {
            let name = match named {
                true => format!("  priority {} of {}", class.priority, queue.name),
                false => format!("  priority {}", class.priority),
            };
            let delivery = &class.delivery;
            let figures = [
                delivery.quantile(0.5),
                delivery.quantile(0.99),
                delivery.max(),
            ];
            let [p50, p99, max] =
                figures.map(|span| span.map_or(NOTHING.into(), |span| span.to_string()));
            let meaning = format!("delivery of {}", grouped(class.delivered));
            rows.push([name, p50, p99, max, meaning]);
        }
    }
    rows.truncate(ROWS_MAX);
    rows
}

/// End-to-end latency of each producer, where priorities make them differ.
fn by_producer(record: &RunRecord) -> Vec<[String; 5]> {
    let differ = record.queues.iter().any(|it| it.priorities.len() > 1);
    if !differ || record.producers.len() < 2 {
        return Vec::new();
    }
    let rows = record.producers.iter().filter_map(|producer| {
        let name = format!("  from {}", producer.name);
        row(
            record,
            "end_to_end",
            Some(&producer.name),
            &name,
            "its end-to-end",
        )
    });
    rows.take(ROWS_MAX).collect()
}

/// Why some figures are lower bounds.
fn at_least(record: &RunRecord) -> String {
    let oldest = |stream: bool| {
        let queues = record.queues.iter().filter(|queue| queue.stream == stream);
        let ages = queues.map(|queue| queue.unfinished_age_max);
        ages.max().unwrap_or(Span::ZERO)
    };
    let unsettled = record.left_in_queues();
    // A stream keeps what was read too: only what was not served counts.
    let streams = record.queues.iter().filter(|queue| queue.stream);
    let unread: u64 = streams.flat_map(|queue| &queue.unfinished).sum();
    let mut reasons = Vec::new();
    if unsettled > 0 {
        reasons.push(format!(
            "{} were unfinished at the end, the oldest sent {} before",
            grouped(unsettled),
            oldest(false)
        ));
    }
    if unread > 0 {
        reasons.push(format!(
            "{} in streams were not read, or not finished, at the end, the oldest sent {} before",
            grouped(unread),
            oldest(true)
        ));
    }
    if record.outcomes.pending > 0 {
        reasons.push(format!(
            "{} had not been confirmed",
            grouped(record.outcomes.pending)
        ));
    }
    format!("{AT_LEAST} reads at least: {}", reasons.join("; "))
}

/// `where 62.8 s went   broker queue 98.9 % · …`: the mean journey, its parts by size, what is tiny folded together.
fn where_it_went(page: &Page<'_>) -> Vec<String> {
    let Parts { copies, nanos } = &page.record.parts;
    let total: u128 = nanos.iter().sum();
    if *copies == 0 || total == 0 {
        return Vec::new();
    }
    let mean = Span((total / u128::from(*copies)) as u64);
    let mut parts: Vec<(&str, f64)> = PART_NAMES
        .into_iter()
        .zip(nanos)
        .map(|(name, &nanos)| (name, nanos as f64 / total as f64))
        .collect();
    parts.retain(|(_, share)| *share > 0.0);
    parts.sort_by(|a, b| b.1.total_cmp(&a.1));
    let (large, tiny): (Vec<_>, Vec<_>) = parts.into_iter().partition(|(_, share)| *share >= 0.001);
    let mut items: Vec<String> = large
        .iter()
        .map(|(name, share)| format!("{name} {}", percent(*share)))
        .collect();
    if !tiny.is_empty() {
        let names: Vec<&str> = tiny.iter().map(|(name, _)| *name).collect();
        items.push(format!("{} < 0.1 %", names.join(", ")));
    }
    let head = format!("where {mean} went   ");
    let margin = INDENT.len() + figures::width(&head);
    let lines = chain(&items, page.context.width.saturating_sub(margin));
    let lines = lines.into_iter().enumerate().map(|(at, line)| match at {
        0 => format!("{INDENT}{}{line}", page.painter.paint(Style::Dim, &head)),
        _ => format!("{}{line}", " ".repeat(margin)),
    });
    lines.collect()
}

/// More rows say little.
const ROWS_MAX: usize = 6;

/// Each latency in metrics, for people, and its meaning.
const LATENCIES: [(&str, &str, &str); 3] = [
    (
        "confirm",
        "confirm",
        "intended send → confirm back at the producer",
    ),
    (
        "delivery",
        "delivery",
        "intended send → received by a consumer",
    ),
    ("end_to_end", "end-to-end", "intended send → service done"),
];
