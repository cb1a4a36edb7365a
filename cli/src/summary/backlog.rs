//! The backlog over time, a line of blocks per queue.

use queuelab_core::Time;
use queuelab_record::{PART_NAMES, Parts, QueueRecord, RunRecord, grouped, sparkline};

use super::{LABEL, Page, figures};
use crate::layout::{Align, Cell, Style, table, wrap};

/// A sparkline per queue with its peak, and the times of the phases below.
pub(super) fn section(page: &Page<'_>) -> Vec<String> {
    let busiest = page.busiest();
    let queues: Vec<&QueueRecord> = busiest.iter().map(|(_, queue)| *queue).collect();
    if queues.is_empty() {
        return Vec::new();
    }
    if queues.iter().all(|queue| queue.ready_max.0 == 0) {
        return page.labelled(
            "backlog",
            wrap(none(page.record), page.context.width - LABEL),
        );
    }
    let named = page.names_queues();
    let margin = if named {
        queues
            .iter()
            .map(|queue| figures::width(&queue.name))
            .max()
            .unwrap_or(0)
            + 3
    } else {
        0
    };
    let peaks: Vec<String> = queues.iter().map(|queue| peak(queue)).collect();
    let longest = peaks
        .iter()
        .map(|peak| figures::width(peak))
        .max()
        .unwrap_or(0);
    let columns = page
        .context
        .width
        .saturating_sub(LABEL + margin + 3 + longest)
        .clamp(COLUMNS_MIN, COLUMNS_MAX);

    let rows: Vec<Vec<Cell>> = queues
        .iter()
        .zip(peaks)
        .map(|(queue, peak)| {
            let name = Cell::new(Style::Dim, queue.name.as_str());
            let line = Cell::from(sparkline(&queue.series.ready_max, columns));
            let rest = [line, peak.into()];
            if named {
                std::iter::once(name).chain(rest).collect()
            } else {
                rest.into()
            }
        })
        .collect();
    let mut lines = table(&rows, &[Align::Left; 3], page.painter);
    let axis = format!("{}{}", " ".repeat(margin), axis(page.record, columns));
    lines.push(page.painter.paint(Style::Dim, axis.trim_end()));
    match page.quieter() {
        0 => {}
        1 => lines.push("and 1 quieter queue".into()),
        more => lines.push(format!("and {more} quieter queues")),
    }
    page.labelled("backlog", lines)
}

/// Why there is no backlog: a prefetch may have moved the waiting to where the queue does not see it.
fn none(record: &RunRecord) -> &'static str {
    let Parts { copies, nanos } = &record.parts;
    let buffer = PART_NAMES
        .iter()
        .position(|name| *name == "consumer buffer");
    let buffered = buffer.map_or(0, |at| nanos[at]);
    let total: u128 = nanos.iter().sum();
    if *copies > 0 && buffered * 10 >= total {
        "none in the broker: what waited did so at consumers, within their prefetch"
    } else {
        "none: no message had to wait in a queue"
    }
}

fn peak(queue: &QueueRecord) -> String {
    match queue.ready_max {
        (0, _) => "always empty".into(),
        // What a stream keeps does not wait.
        (most, _) if queue.stream => format!("keeps {} at most", grouped(most)),
        (peak, at) => {
            let bound = queue
                .max_length
                .map(|length| format!(" of {}", grouped(length)));
            format!(
                "peak {}{} at {at}",
                grouped(peak),
                bound.unwrap_or_default()
            )
        }
    }
}

/// The starts of phases and the end, each where its time lies below a sparkline of `columns`; labels that would touch
/// the one before are left out, and the end always shows.
fn axis(record: &RunRecord, columns: usize) -> String {
    let end = record.end;
    let place =
        |at: Time| (at.as_secs_f64() / end.as_secs_f64().max(1e-9) * columns as f64) as usize;
    let last = end.to_string();
    let last_at = columns.saturating_sub(figures::width(&last));
    let mut line = String::new();
    for phase in record.phases.iter().filter(|phase| phase.from < end) {
        let (label, at) = (phase.from.to_string(), place(phase.from));
        let used = figures::width(&line);
        let clear = used == 0 || at > used;
        if clear && at + figures::width(&label) < last_at {
            line.push_str(&" ".repeat(at - used));
            line.push_str(&label);
        }
    }
    let gap = last_at.saturating_sub(figures::width(&line));
    line + &" ".repeat(gap) + &last
}

const COLUMNS_MIN: usize = 20;
const COLUMNS_MAX: usize = 60;
