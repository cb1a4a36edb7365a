//! The tables of queues and of consumers.

use queuelab_core::Span as Length;
use queuelab_record::{QueueRecord, grouped};
use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Row, Table};

use crate::app::App;
use crate::{figures, text};

use super::panels::{NONE, right, titled};
use super::theme;

/// One row per queue, as many columns as there is room for.
pub(crate) fn queues(app: &App, frame: &mut Frame, area: Rect) {
    let area = titled(frame, area, "Queues".bold());
    let columns = columns_within(app, area.width);
    let longest = app
        .record
        .queues
        .iter()
        .map(|queue| queue.name.chars().count())
        .max()
        .unwrap_or(0);
    let fixed: u16 = columns.iter().map(|column| column.width + 1).sum();
    let name_width = usize::from(area.width.saturating_sub(fixed + 3)).min(longest.max(8));
    let shown = visible(
        app.selected,
        app.record.queues.len(),
        area.height.saturating_sub(1),
    );
    let rows = shown.map(|index| {
        let queue = &app.record.queues[index];
        let selected = index == app.selected;
        let marker = Line::from(vec![
            Span::from(if selected { "▸" } else { " " }),
            Span::styled("● ", Style::new().fg(theme::series(index))),
            Span::from(text::shortened(&queue.name, name_width)),
        ]);
        let cells = std::iter::once(Cell::from(marker)).chain(
            columns
                .iter()
                .map(|column| right((column.value)(app, queue))),
        );
        Row::new(cells).style(if selected {
            theme::SELECTED
        } else {
            Style::new()
        })
    });
    let header = std::iter::once(Cell::from("   name"))
        .chain(columns.iter().map(|column| right(column.title)));
    let widths = std::iter::once(Constraint::Length(name_width as u16 + 3)).chain(
        columns
            .iter()
            .map(|column| Constraint::Length(column.width)),
    );
    let table = Table::new(rows, widths)
        .header(Row::new(header).style(theme::DIM))
        .column_spacing(1);
    frame.render_widget(table, area);
}

struct Column {
    title: &'static str,
    width: u16,
    /// The lower, the sooner it gives way.
    need: u8,
    /// Only if this is so of a queue.
    only_if: fn(&QueueRecord) -> bool,
    value: fn(&App, &QueueRecord) -> String,
}

fn columns_within(app: &App, width: u16) -> Vec<&'static Column> {
    let queues = &app.record.queues;
    let mut columns: Vec<&Column> = COLUMNS
        .iter()
        .filter(|column| queues.iter().any(column.only_if))
        .collect();
    let room =
        |columns: &[&Column]| columns.iter().map(|column| column.width + 1).sum::<u16>() + 12;
    while room(&columns) > width {
        let Some(least) = columns.iter().map(|column| column.need).min() else {
            break;
        };
        columns.retain(|column| column.need > least);
    }
    columns
}

fn always(_: &QueueRecord) -> bool {
    true
}

fn delays(queue: &QueueRecord) -> bool {
    queue.series.delayed.iter().any(|&count| count > 0)
}

/// Dead letters wait in it for room in their target.
fn stalls(queue: &QueueRecord) -> bool {
    figures::depth(queue).stalled > 0
}

const COLUMNS: [Column; 9] = [
    Column {
        title: "durable",
        width: 7,
        need: 1,
        only_if: always,
        value: |_, queue| queue.durability.to_string(),
    },
    Column {
        title: "ready",
        width: 9,
        need: 8,
        only_if: always,
        value: |_, queue| grouped(figures::depth(queue).ready),
    },
    Column {
        title: "in flight",
        width: 9,
        need: 6,
        only_if: always,
        value: |_, queue| grouped(figures::depth(queue).in_flight),
    },
    Column {
        title: "delayed",
        width: 8,
        need: 4,
        only_if: delays,
        value: |_, queue| some(figures::depth(queue).delayed),
    },
    Column {
        title: "stalled",
        width: 8,
        need: 4,
        only_if: stalls,
        value: |_, queue| some(figures::depth(queue).stalled),
    },
    Column {
        title: "oldest",
        width: 8,
        need: 3,
        only_if: always,
        value: |_, queue| age(figures::depth(queue).oldest_age),
    },
    Column {
        title: "in",
        width: 9,
        need: 7,
        only_if: always,
        value: |app, queue| text::rate(figures::rates(&app.record, queue).published),
    },
    Column {
        title: "acked",
        width: 9,
        need: 5,
        only_if: always,
        value: |app, queue| text::rate(figures::rates(&app.record, queue).acked),
    },
    Column {
        title: "drop/dead",
        width: 9,
        need: 2,
        only_if: always,
        value: |_, queue| lost(queue),
    },
];

fn some(count: u64) -> String {
    match count {
        0 => NONE.into(),
        count => grouped(count),
    }
}

fn age(age: Length) -> String {
    if age.is_zero() {
        NONE.into()
    } else {
        age.to_string()
    }
}

/// Copies that are gone without service, and those that moved to a dead-letter target, if any.
fn lost(queue: &QueueRecord) -> String {
    let gone = queue.dropped + queue.rejected + queue.expired + queue.exhausted;
    match (gone, queue.dead_lettered) {
        (0, 0) => NONE.into(),
        (gone, dead) => format!(
            "{}/{}",
            text::number(gone as f64),
            text::number(dead as f64)
        ),
    }
}

/// One row per consumer group, with a bar of its utilisation in the latest window.
pub(crate) fn consumers(app: &App, frame: &mut Frame, area: Rect) {
    let area = titled(frame, area, "Consumers".bold());
    let labels: Vec<String> = app
        .record
        .consumers
        .iter()
        .map(|group| format!("{} ×{}", group.name, group.count))
        .collect();
    let longest = labels
        .iter()
        .map(|label| label.chars().count())
        .max()
        .unwrap_or(0);
    // Beside the label: a bar of at least four columns, 5 for the percentage, 9 for the count, spaces between.
    let room = usize::from(area.width).saturating_sub(19);
    let label_width = longest.clamp(6, room.saturating_sub(4).max(6));
    let bar_width = room.saturating_sub(label_width).clamp(4, 16);
    let rows = app
        .record
        .consumers
        .iter()
        .zip(labels)
        .map(|(group, label)| {
            let now = group
                .utilisation_series
                .last()
                .copied()
                .unwrap_or(group.utilisation);
            let now = if app.finished() {
                group.utilisation
            } else {
                now
            };
            Row::new([
                Cell::from(format!(" {}", text::shortened(&label, label_width))),
                Cell::from(bar(now, bar_width)).style(theme::GAUGE),
                right(format!("{:.0} %", now.clamp(0.0, 1.0) * 100.0)),
                right(grouped(group.served)),
            ])
        });
    let header = Row::new([
        Cell::from(" group"),
        Cell::from("busy"),
        Cell::default(),
        right("served"),
    ])
    .style(theme::DIM);
    let widths = [
        Constraint::Length(label_width as u16 + 1),
        Constraint::Length(bar_width as u16),
        Constraint::Length(5),
        Constraint::Length(9),
    ];
    frame.render_widget(
        Table::new(rows, widths).header(header).column_spacing(1),
        area,
    );
}

/// One row per group that shares streams: members, how often streams were assigned anew, how far it is behind.
pub(crate) fn groups(app: &App, frame: &mut Frame, area: Rect) {
    let area = titled(frame, area, "Groups".bold());
    let room = usize::from(area.width).saturating_sub(29).max(6);
    let rows = app.record.groups.iter().map(|group| {
        let members = format!(" ×{}", group.members_end);
        let name_width = room.saturating_sub(members.chars().count());
        let name = text::shortened(&group.name, name_width);
        Row::new([
            Cell::from(format!(" {name}{members}")),
            right(grouped(group.rebalances)),
            right(grouped(group.lag_end)),
            right(text::rate(figures::per_second(
                &app.record,
                &group.series.settled,
            ))),
        ])
    });
    let header = [
        Cell::from(" group"),
        right("rebal."),
        right("lag"),
        right("settled"),
    ];
    let widths = [
        Constraint::Length(room as u16 + 1),
        Constraint::Length(6),
        Constraint::Length(9),
        Constraint::Length(8),
    ];
    let table = Table::new(rows, widths)
        .header(Row::new(header).style(theme::DIM))
        .column_spacing(1);
    frame.render_widget(table, area);
}

/// Delivery by priority in the selected queue, or in the first that has several; the highest first.
pub(crate) fn priorities(app: &App, frame: &mut Frame, area: Rect) {
    let Some(queue) = prioritised(app) else {
        return;
    };
    let name = text::shortened(&queue.name, usize::from(area.width).saturating_sub(24));
    let title = vec![
        "Priorities".bold(),
        Span::styled(format!(" of {name}, delivery"), theme::DIM),
    ];
    let area = titled(frame, area, title);
    let rows = queue.priorities.iter().rev().map(|class| {
        let percentiles = figures::percentiles(&class.delivery);
        let span = |of: fn(&figures::Percentiles) -> Length| {
            right(
                percentiles
                    .as_ref()
                    .map_or(NONE.into(), |it| of(it).to_string()),
            )
        };
        Row::new([
            Cell::from(format!(" {}", class.priority)),
            right(grouped(class.delivered)),
            span(|it| it.p50),
            span(|it| it.p99),
        ])
    });
    let header = [
        Cell::from(" priority"),
        right("delivered"),
        right("p50"),
        right("p99"),
    ];
    let widths = [9, 10, 8, 8].map(Constraint::Length);
    let table = Table::new(rows, widths)
        .header(Row::new(header).style(theme::DIM))
        .column_spacing(1);
    frame.render_widget(table, area);
}

/// The queue whose priorities are shown.
pub(crate) fn prioritised(app: &App) -> Option<&QueueRecord> {
    let selected = app.record.queues.get(app.selected);
    let has_any = |queue: &&QueueRecord| figures::has_priorities(queue);
    selected
        .filter(has_any)
        .or_else(|| app.record.queues.iter().find(has_any))
}

/// `share` of `width` columns, to an eighth of one.
fn bar(share: f64, width: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share.clamp(0.0, 1.0) * width as f64 * 8.0).round() as usize;
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

/// The rows of a table of `count` that fit into `height` and hold the selected one.
fn visible(selected: usize, count: usize, height: u16) -> std::ops::Range<usize> {
    let height = usize::from(height);
    let from = (selected + 1).saturating_sub(height);
    from..count.min(from + height)
}
