//! The panels beside the chart.

use queuelab_core::Span as Length;
use queuelab_record::{QueueRecord, Verdict, grouped};
use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Table};

use crate::app::App;
use crate::figures::{self, Percentiles};
use crate::text;

use super::layout::expectation_lines;
use super::theme;

/// Draws a line with `title` on top of `area`; what is left below is returned.
pub(crate) fn titled<'a>(frame: &mut Frame, area: Rect, title: impl Into<Line<'a>>) -> Rect {
    let mut title = title.into();
    title.spans.insert(0, Span::from(" "));
    title.push_span(" ");
    let block = Block::new()
        .borders(Borders::TOP)
        .border_style(theme::DIM)
        .title(title);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    inner
}

/// Rates of the latest window, and T = Σp − Σc of the selected queue in the present phase.
pub(crate) fn rates(app: &App, frame: &mut Frame, area: Rect) {
    let area = titled(frame, area, "Rates".bold());
    let now = figures::total_rates(&app.record);
    let mut lines: Vec<Line> = [
        ("published", now.published),
        ("delivered", now.delivered),
        ("acked", now.acked),
    ]
    .into_iter()
    .map(|(name, value)| Line::from(format!(" {name:<10}{:>10}", text::rate(value))))
    .collect();
    let load = Load::of(app);
    if area.width < 44 {
        lines.push(
            Line::from(format!(" T {}  ρ {}", load.difference, load.utilisation)).style(load.style),
        );
        return frame.render_widget(Paragraph::new(lines), area);
    }
    let beside = vec![
        Line::from(load.place).style(theme::DIM),
        Line::from(format!("Σp {:>9}  offered", load.offered)),
        Line::from(format!("Σc {:>9}  capacity", load.capacity)),
        Line::from(format!("T  {:>9}  ρ {}", load.difference, load.utilisation)).style(load.style),
    ];
    frame.render_widget(Paragraph::new(lines), Rect { width: 21, ..area });
    let right = Rect {
        x: area.x + 22,
        width: area.width - 22,
        ..area
    };
    frame.render_widget(Paragraph::new(beside), right);
}

/// The load of the selected queue in the present phase, in words.
struct Load {
    place: String,
    offered: String,
    capacity: String,
    difference: String,
    utilisation: String,
    style: Style,
}

impl Load {
    fn of(app: &App) -> Load {
        let phase = figures::phase_at(&app.record, app.now)
            .map(|index| app.record.phases[index].name.as_str());
        let queue = app
            .record
            .queues
            .get(app.selected)
            .map(|queue| queue.name.as_str());
        let place = match (queue, phase) {
            (Some(queue), Some(phase)) => format!("{queue} in {phase}"),
            _ => String::new(),
        };
        let load = figures::load(&app.record, app.selected, app.now);
        let offered = load.map(|load| load.offered);
        let capacity = load.and_then(|load| load.capacity);
        let endless = load.is_some() && capacity.is_none();
        let mut words = Load {
            place,
            offered: offered.map_or(NONE.into(), text::rate),
            capacity: capacity.map_or(if endless { "∞" } else { NONE }.into(), text::rate),
            difference: if endless { "−∞" } else { NONE }.into(),
            utilisation: if endless { "0" } else { NONE }.into(),
            style: Style::new(),
        };
        if let (Some(offered), Some(capacity)) = (offered, capacity) {
            words.difference = text::signed_rate(offered - capacity);
            if capacity > 0.0 {
                words.utilisation = format!("{:.2}", offered / capacity);
            }
            if offered >= capacity && offered > 0.0 {
                words.style = theme::FAIL;
            }
        }
        words
    }
}

/// The three latencies: of the latest window and of the whole run, or what of the two there is room for.
pub(crate) fn latency(app: &App, frame: &mut Frame, area: Rect) {
    let both = area.width >= 74;
    let whole = !both && app.finished();
    let title = match (both, whole) {
        (true, _) => "",
        (_, true) => ", whole run",
        (_, false) => ", latest window",
    };
    let title = vec!["Latency".bold(), Span::styled(title, theme::DIM)];
    let area = titled(frame, area, title);
    let names = ["confirm", "delivery", "end-to-end"];
    let rows = (0..3).map(|index| {
        let now = figures::latest_window(&app.record.latency_series[index]);
        let whole_run = app.latencies[index];
        let mut cells = vec![Cell::from(format!(" {}", names[index]))];
        cells.extend(percentile_cells(if whole { whole_run } else { now }));
        if both {
            cells.extend(percentile_cells(whole_run));
        }
        Row::new(cells)
    });
    let (mut header, mut widths) = (vec![Cell::default()], vec![Constraint::Length(11)]);
    let groups: &[&str] = if both {
        &["now p50", "run p50"]
    } else {
        &["p50"]
    };
    for first in groups {
        header.extend([right(*first), right("p90"), right("p99"), right("max")]);
        widths.extend([Constraint::Length(8); 4]);
    }
    let table = Table::new(rows, widths)
        .header(Row::new(header).style(theme::DIM))
        .column_spacing(0);
    frame.render_widget(table, area);
}

fn percentile_cells(percentiles: Option<Percentiles>) -> [Cell<'static>; 4] {
    let Some(Percentiles { p50, p90, p99, max }) = percentiles else {
        return [NONE; 4].map(right);
    };
    [p50, p90, p99, max].map(|span| right(span.to_string()))
}

/// One row per queue, as many columns as there is room for.
pub(crate) fn queues(app: &App, frame: &mut Frame, area: Rect) {
    let area = titled(frame, area, "Queues".bold());
    let columns = columns_within(area.width);
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
    value: fn(&App, &QueueRecord) -> String,
}

fn columns_within(width: u16) -> Vec<&'static Column> {
    let mut columns: Vec<&Column> = COLUMNS.iter().collect();
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

const COLUMNS: [Column; 7] = [
    Column {
        title: "durable",
        width: 7,
        need: 1,
        value: |_, queue| text::durability(queue.durability).into(),
    },
    Column {
        title: "ready",
        width: 9,
        need: 7,
        value: |_, queue| grouped(figures::depth(queue).ready),
    },
    Column {
        title: "in flight",
        width: 9,
        need: 5,
        value: |_, queue| grouped(figures::depth(queue).in_flight),
    },
    Column {
        title: "oldest",
        width: 8,
        need: 3,
        value: |_, queue| age(figures::depth(queue).oldest_age),
    },
    Column {
        title: "in",
        width: 9,
        need: 6,
        value: |app, queue| text::rate(figures::rates(&app.record, queue).published),
    },
    Column {
        title: "acked",
        width: 9,
        need: 4,
        value: |app, queue| text::rate(figures::rates(&app.record, queue).acked),
    },
    Column {
        title: "drop/dead",
        width: 9,
        need: 2,
        value: |_, queue| lost(queue),
    },
];

fn age(age: Length) -> String {
    if age.is_zero() {
        NONE.into()
    } else {
        age.to_string()
    }
}

/// Dropped and dead-lettered copies, if any.
fn lost(queue: &QueueRecord) -> String {
    match (queue.dropped, queue.dead_lettered) {
        (0, 0) => NONE.into(),
        (dropped, dead) => format!("{}/{}", grouped(dropped), grouped(dead)),
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

/// `share` of `width` columns, to an eighth of one.
fn bar(share: f64, width: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share.clamp(0.0, 1.0) * width as f64 * 8.0).round() as usize;
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

/// The last lines of the log, the newest at the bottom.
pub(crate) fn log(app: &App, frame: &mut Frame, area: Rect) {
    let area = titled(frame, area, "Events".bold());
    let from = app.log.len().saturating_sub(usize::from(area.height));
    let lines: Vec<Line> = app.log[from..]
        .iter()
        .map(|line| {
            Line::from(vec![
                Span::styled(format!("{:>9}  ", text::clock(line.at, false)), theme::DIM),
                Span::from(line.text.as_str()),
            ])
        })
        .collect();
    frame.render_widget(Paragraph::new(lines), area);
}

/// What is expected; once the run has finished, what became of it.
pub(crate) fn expectations(app: &App, frame: &mut Frame, area: Rect) {
    if !app.finished() {
        let texts: Vec<&str> = app
            .record
            .expectations
            .iter()
            .map(|expectation| expectation.text.as_str())
            .collect();
        let line = format!(" expects  {}", texts.join(" · "));
        return frame.render_widget(Line::styled(line, theme::DIM), area);
    }
    let mut verdicts = verdicts(app);
    let roomy = area.height > expectation_lines(app);
    if !roomy {
        // Bad news first, there is no room for all.
        verdicts.sort_by_key(|(verdict, ..)| *verdict == Verdict::Pass);
    }
    if area.height == 1 {
        let mut line = summary(app);
        line.spans.insert(0, Span::from(" "));
        for (verdict, text, measured) in verdicts {
            line.push_span(mark(verdict));
            line.push_span(Span::from(format!("{text}  {measured}  ")));
        }
        return frame.render_widget(line, area);
    }
    let area = titled(frame, area, summary(app));
    let answer = app.record.answer.iter().filter(|_| roomy);
    let mut lines: Vec<Line> = answer
        .map(|answer| Line::from(format!(" {answer}")).bold())
        .collect();
    let longest = verdicts
        .iter()
        .map(|(_, text, _)| text.chars().count())
        .max()
        .unwrap_or(0);
    lines.extend(verdicts.into_iter().map(|(verdict, text, measured)| {
        Line::from(vec![
            mark(verdict),
            Span::from(format!("{text:<longest$}   {measured}")),
        ])
    }));
    frame.render_widget(Paragraph::new(lines), area);
}

/// Every expectation, and every invariant that was violated: verdict, text, measured.
fn verdicts(app: &App) -> Vec<(Verdict, String, String)> {
    let expectations = app
        .record
        .expectations
        .iter()
        .map(|it| (it.verdict, it.text.clone(), it.measured.clone()));
    let violated = app
        .record
        .invariants
        .iter()
        .filter(|it| it.verdict == Verdict::Fail);
    let violated = violated.map(|it| {
        (
            it.verdict,
            it.name.clone(),
            format!("{} violations", grouped(it.violations)),
        )
    });
    expectations.chain(violated).collect()
}

fn summary(app: &App) -> Line<'static> {
    let all = verdicts(app);
    let met = all
        .iter()
        .filter(|(verdict, ..)| *verdict == Verdict::Pass)
        .count();
    let (word, style) = if all.iter().any(|(verdict, ..)| *verdict == Verdict::Fail) {
        ("FAIL", theme::FAIL)
    } else if met < all.len() {
        ("UNDECIDED", theme::UNDECIDED)
    } else {
        ("PASS", theme::PASS)
    };
    Line::from(Span::styled(
        format!("{word} {met} of {}", all.len()),
        style,
    ))
}

fn mark(verdict: Verdict) -> Span<'static> {
    match verdict {
        Verdict::Pass => Span::styled(" ✓ ", theme::PASS),
        Verdict::Fail => Span::styled(" ✗ ", theme::FAIL),
        Verdict::Undecided => Span::styled(" ? ", theme::UNDECIDED),
    }
}

fn right<'a>(content: impl Into<String>) -> Cell<'a> {
    Cell::from(Line::from(content.into()).right_aligned())
}

/// The rows of a table of `count` that fit into `height` and hold the selected one.
fn visible(selected: usize, count: usize, height: u16) -> std::ops::Range<usize> {
    let height = usize::from(height);
    let from = (selected + 1).saturating_sub(height);
    from..count.min(from + height)
}

const NONE: &str = "–";
