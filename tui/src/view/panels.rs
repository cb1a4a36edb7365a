//! Rates, latencies and the log.

use queuelab_record::{bytes, grouped};
use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Table};

use crate::app::App;
use crate::figures::{self, Percentiles};
use crate::text;

use super::theme;

/// Draws a line with `title` on top of `area`; what is left below is returned.
pub(crate) fn titled<'a>(frame: &mut Frame, area: Rect, title: impl Into<Line<'a>>) -> Rect {
    let mut title = title.into();
    title.spans.insert(0, Span::from(" "));
    title.push_span(" ");
    let block = Block::new()
        .borders(Borders::TOP)
        .border_style(theme::DIM)
        .title_style(theme::PLAIN)
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
        let unknown = || [NONE; 4].map(String::from);
        let [offered, capacity, difference, utilisation] =
            load.map_or_else(unknown, |load| load.in_words());
        let over = load.is_some_and(|load| {
            let full = |capacity| load.offered >= capacity;
            load.offered > 0.0 && load.capacity.is_some_and(full)
        });
        Load {
            place,
            offered,
            capacity,
            difference,
            utilisation,
            style: if over { theme::FAIL } else { Style::new() },
        }
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

/// The last lines of the log, the newest at the bottom.
pub(crate) fn log(app: &App, frame: &mut Frame, area: Rect) {
    let area = titled(frame, area, "Events".bold());
    let lines: Vec<Line> = app
        .events(usize::from(area.height))
        .into_iter()
        .map(|line| {
            Line::from(vec![
                Span::styled(format!("{:>9}  ", text::clock(line.at, false)), theme::DIM),
                Span::styled(line.text.as_str(), style_of(&line.text)),
            ])
        })
        .collect();
    frame.render_widget(Paragraph::new(lines), area);
}

/// What went wrong stands out, and that it is over.
fn style_of(event: &str) -> Style {
    let is_fault = event.starts_with("fault ");
    match event {
        _ if event.starts_with('✗') => theme::FAIL,
        _ if event.starts_with('✓') => theme::PASS,
        _ if is_fault && !event.contains("is over") => theme::FAULT,
        _ if event.contains(" alarm ") => theme::ALARM,
        _ => theme::PLAIN,
    }
}

/// What is wrong now, and what runs short; how often that was so before, once nothing is.
pub(crate) fn banner(app: &App, frame: &mut Frame, area: Rect) {
    let faults = faults(app);
    let alarms = alarms(app);
    let gap = faults.is_some() && alarms.is_some();
    let mut spans = vec![Span::from(" ")];
    spans.extend(faults);
    spans.extend(gap.then(|| Span::styled(" · ", theme::DIM)));
    spans.extend(alarms);
    frame.render_widget(Line::from(spans), area);
}

fn faults(app: &App) -> Option<Span<'static>> {
    let all = &app.record.faults;
    let on = all
        .iter()
        .filter(|fault| fault.from <= app.now && app.now < fault.until);
    let on: Vec<String> = on
        .map(|it| format!("{} of {} since {}", it.kind, it.target, it.from))
        .collect();
    let so_far = match all.len() {
        0 => return None,
        1 => "1 fault so far".into(),
        count => format!("{} faults so far", grouped(count as u64)),
    };
    Some(match on.is_empty() {
        true => Span::styled(so_far, theme::FAULT),
        false => Span::styled(format!(" FAULT  {} ", on.join(", ")), theme::FAULT_ON),
    })
}

fn alarms(app: &App) -> Option<Span<'static>> {
    let on: Vec<String> = figures::alarms_on(&app.record, app.now)
        .map(|it| format!("{} of {} since {}", it.resource, it.node, it.from))
        .collect();
    let times = match app.record.alarms.len() {
        0 => return None,
        1 => "1 alarm".into(),
        count => format!("{} alarms", grouped(count as u64)),
    };
    Some(match on.is_empty() {
        true => {
            let total = metric(app, "alarm_time");
            Span::styled(
                format!("no alarm now; {times} so far, {total}"),
                theme::ALARM,
            )
        }
        false => Span::styled(
            format!(" ALARM  {}: publishers blocked ", on.join(", ")),
            theme::ALARM_ON,
        ),
    })
}

/// What there is of bodies in memory, where that is limited.
pub(crate) fn memory(app: &App, frame: &mut Frame, area: Rect) {
    let Some(bodies) = figures::bodies(&app.record) else {
        return;
    };
    let now = bodies.resident_series.last().copied().unwrap_or(0);
    let line = Line::styled(
        format!(
            " bodies in memory {} of {}, at most {}; {} read back",
            bytes(now),
            bytes(bodies.budget),
            bytes(bodies.resident_max),
            grouped(bodies.read),
        ),
        theme::DIM,
    );
    frame.render_widget(Paragraph::new(line), area);
}

fn metric(app: &App, name: &str) -> String {
    let measured = app.record.metric(name, None, None);
    measured.map_or(NONE.into(), |measured| measured.to_string())
}

/// A cell of a right-aligned column.
pub(crate) fn right<'a>(content: impl Into<String>) -> Cell<'a> {
    Cell::from(Line::from(content.into()).right_aligned())
}

/// Stands where there is nothing to tell.
pub(crate) const NONE: &str = "–";
