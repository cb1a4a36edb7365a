//! Draws the screen: a pure function of the app.

mod chart;
mod faults;
mod layout;
mod panels;
mod tables;
mod theme;
mod verdicts;

use queuelab_record::grouped;
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Rect};
use ratatui::style::{Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear, Padding, Paragraph, Wrap};

use crate::app::{App, Mode};
use crate::figures;
use crate::text;
use layout::Layout;

type Panel = fn(&App, &mut Frame, Rect);

/// Draws `app` on the whole frame, whatever its size.
pub(crate) fn draw(app: &App, frame: &mut Frame) {
    let area = frame.area();
    if area.width < layout::LEAST_WIDTH || area.height < layout::LEAST_HEIGHT {
        return too_small(frame, area);
    }
    let layout = Layout::of(app, area);
    header(app, frame, layout.header);
    if let Some(area) = layout.banner {
        panels::banner(app, frame, area);
    }
    let mut show = |area: Option<Rect>, panel: Panel| {
        if let Some(area) = area {
            panel(app, frame, area);
        }
    };
    show(layout.chart, chart::draw);
    show(layout.rates, panels::rates);
    show(layout.latency, panels::latency);
    show(layout.queues, tables::queues);
    show(layout.consumers, tables::consumers);
    show(layout.groups, tables::groups);
    show(layout.priorities, tables::priorities);
    show(layout.log, panels::log);
    show(layout.expectations, verdicts::expectations);
    footer(app, frame, layout.footer);
    if app.choosing {
        faults::draw(app, frame, area);
    }
    if app.help {
        help(frame, area);
    }
}

fn too_small(frame: &mut Frame, area: Rect) {
    let text = format!(
        "queuelab needs {} × {}",
        layout::LEAST_WIDTH,
        layout::LEAST_HEIGHT
    );
    frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }), area);
}

/// Title and state on the first line, time on the second.
fn header(app: &App, frame: &mut Frame, area: Rect) {
    let [first, second] = area.layout(&ratatui::layout::Layout::vertical(
        [Constraint::Length(1); 2],
    ));
    let state = state(app);
    let width = usize::from(first.width).saturating_sub(state.width() + 2);
    let seed = format!("  seed {}", app.record.seed);
    let title = text::shortened(
        &app.record.scenario.title,
        width.saturating_sub(seed.len()).max(8),
    );
    let left = Line::from(vec![
        Span::from(format!(" {title}")).bold(),
        Span::styled(seed, theme::DIM),
    ]);
    frame.render_widget(left, first);
    let place = Rect {
        x: first
            .right()
            .saturating_sub(state.width() as u16)
            .max(first.x),
        ..first
    }
    .intersection(first);
    frame.render_widget(Clear, place);
    frame.render_widget(state, place);

    let exact = app.mode == Mode::Paused && !app.finished();
    let time = format!(" {} / {} ", text::clock(app.now, exact), app.end);
    let phase = figures::phase_at(&app.record, app.now)
        .map_or("", |index| app.record.phases[index].name.as_str());
    let phase = format!(" {phase} ");
    let [time_area, gauge_area, phase_area] =
        second.layout(&ratatui::layout::Layout::horizontal([
            Constraint::Length(time.chars().count() as u16),
            Constraint::Min(8),
            Constraint::Length((phase.chars().count() as u16).min(24)),
        ]));
    frame.render_widget(Line::from(time), time_area);
    let ratio = match app.end.0 {
        0 => 1.0,
        end => (app.now.0 as f64 / end as f64).clamp(0.0, 1.0),
    };
    frame.render_widget(progress(ratio, gauge_area.width), gauge_area);
    frame.render_widget(
        Line::from(phase).bold().alignment(Alignment::Right),
        phase_area,
    );
}

/// `━━━━━━────── 33 %`
fn progress(ratio: f64, width: u16) -> Line<'static> {
    let width = usize::from(width.saturating_sub(6));
    let done = (ratio * width as f64).floor() as usize;
    Line::from(vec![
        Span::styled("━".repeat(done), theme::GAUGE),
        Span::styled("─".repeat(width - done), theme::DIM),
        Span::from(format!("{:>4.0} %", (ratio * 100.0).floor())),
    ])
}

fn state(app: &App) -> Line<'static> {
    let speed = match (app.speed.times(), app.reached) {
        (Some(times), None) => format!("{}×", text::factor(times)),
        (Some(times), Some(reached)) => format!(
            "{}× (reaches {}×)",
            text::factor(times),
            text::number(reached)
        ),
        (None, None) => "max".into(),
        (None, Some(reached)) => format!("max ({}×)", text::number(reached)),
    };
    let (symbol, style): (String, Style) = match app.mode {
        _ if app.finished() => ("■ finished".into(), theme::FINISHED),
        _ if app.choosing => ("‖ choosing".into(), theme::PAUSED),
        Mode::Paused => ("‖ paused".into(), theme::PAUSED),
        Mode::Running => ("▶ running".into(), theme::RUNNING),
        Mode::Until(instant) => (format!("▶ to {instant}"), theme::RUNNING),
    };
    let mut spans = vec![Span::styled(symbol, style)];
    if !app.finished() {
        spans.push(Span::from(format!("  {speed}")));
    }
    spans.push(Span::styled(
        format!("  {} events ", grouped(app.record.events)),
        theme::DIM,
    ));
    Line::from(spans)
}

/// As many keys as there is room for, the most needed ones first.
fn footer(app: &App, frame: &mut Frame, area: Rect) {
    let keys: &[(&str, &str)] = if app.finished() {
        &[
            ("q", "quit"),
            ("r", "restart"),
            ("←", "back"),
            ("↑↓", "queue"),
            ("o", "only this queue"),
            ("?", "help"),
        ]
    } else {
        let pause = if app.mode == Mode::Paused {
            "go on"
        } else {
            "pause"
        };
        &[
            ("space", pause),
            ("q", "quit"),
            ("f", "fault"),
            ("+ -", "speed"),
            ("s", "step"),
            ("←", "back"),
            ("?", "help"),
            ("↑↓", "queue"),
            ("S", "step a window"),
            ("o", "only this queue"),
            ("r", "restart"),
        ]
    };
    let mut spans = Vec::new();
    let mut left = usize::from(area.width);
    for (key, what) in keys {
        let width = key.chars().count() + what.len() + 4;
        if width > left {
            break;
        }
        left -= width;
        spans.push(Span::styled(format!(" {key} "), theme::KEY));
        spans.push(Span::styled(format!("{what}  "), theme::DIM));
    }
    frame.render_widget(Line::from(spans), area);
}

fn help(frame: &mut Frame, area: Rect) {
    let lines: Vec<Line> = HELP
        .iter()
        .map(|(keys, what)| {
            Line::from(vec![
                Span::styled(
                    format!("{keys:<13}"),
                    Style::new().add_modifier(Modifier::BOLD),
                ),
                Span::from(*what),
            ])
        })
        .collect();
    let height = lines.len() as u16 + 2;
    let place = area.centered(Constraint::Length(66), Constraint::Length(height));
    let block = Block::bordered()
        .border_type(BorderType::Rounded)
        .title(" Keys ")
        .padding(Padding::horizontal(1));
    frame.render_widget(Clear, place);
    frame.render_widget(Paragraph::new(lines).block(block), place);
}

const HELP: [(&str, &str); 17] = [
    ("space", "pause, go on"),
    ("s, →", "one event further"),
    ("S", "to the end of the window"),
    (
        "←, b",
        "back by a window; what was injected after is undone",
    ),
    ("B", "back by a twentieth of the run"),
    ("+, -", "faster, slower"),
    (
        "f",
        "inject a fault: a crash, a slow disk, a lost connection, …",
    ),
    ("tab, ↑, ↓", "select a queue: its load, its line on top"),
    ("o", "chart this queue only, or all"),
    ("r", "from the start again"),
    ("?", "this help"),
    ("q, Esc", "quit"),
    ("", ""),
    ("Σp", "copies offered per second, by intended send"),
    ("Σc", "capacity of its consumers: count / mean service"),
    ("T = Σp − Σc", "positive: the backlog grows; ρ = Σp / Σc"),
    (
        "▒, ░, ┊",
        "a fault is active; an alarm is on; a phase begins",
    ),
];
