//! Ready messages over virtual time, a line per queue.

use queuelab_core::{Span as Length, Time};
use queuelab_record::grouped;
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::canvas::{self, Canvas};

use crate::app::App;
use crate::{figures, text};

use super::panels::titled;
use super::theme;

/// Draws the chart: the axes, then the lines, then marks where no line runs: bands of faults and alarms, phases.
pub(crate) fn draw(app: &App, frame: &mut Frame, area: Rect) {
    let shown = shown(app);
    let area = titled(frame, area, title(app, &shown));
    let scale = Scale::of(app, &shown, area);
    if area.height < 3 || scale.plot.width < 8 {
        return;
    }
    let buffer = frame.buffer_mut();
    axes(&scale, buffer);
    lines(app, &shown, &scale, frame);
    let buffer = frame.buffer_mut();
    for fault in &app.record.faults {
        band(
            app,
            &scale,
            (fault.from, fault.until),
            "▒",
            theme::FAULT,
            buffer,
        );
    }
    for alarm in &app.record.alarms {
        band(
            app,
            &scale,
            (alarm.from, alarm.until),
            "░",
            theme::ALARM,
            buffer,
        );
    }
    phases(app, &scale, buffer);
}

/// Indexes of the queues to draw; the selected one last, so that it is on top. What streams keep does not wait: it is shown where
/// there is nothing else, or selected.
fn shown(app: &App) -> Vec<usize> {
    let queues = &app.record.queues;
    let streams_only = queues.iter().all(|queue| queue.stream);
    let all = (0..queues.len()).filter(|&index| {
        index != app.selected && !app.alone && (streams_only || !queues[index].stream)
    });
    let selected = (app.selected < app.record.queues.len()).then_some(app.selected);
    all.chain(selected).collect()
}

fn title(app: &App, shown: &[usize]) -> Line<'static> {
    let mut spans = vec![
        Span::styled("Backlog", theme::TITLE),
        Span::styled(", ready messages", theme::DIM),
    ];
    let mut shown = shown.to_vec();
    shown.sort_unstable();
    for index in shown {
        let queue = &app.record.queues[index];
        let style = if index == app.selected {
            theme::SELECTED
        } else {
            theme::DIM
        };
        spans.push(Span::styled("  ● ", Style::new().fg(theme::series(index))));
        let ready = grouped(figures::depth(queue).ready);
        spans.push(Span::styled(format!("{} {ready}", queue.name), style));
    }
    Line::from(spans)
}

/// From figures to cells.
struct Scale {
    plot: Rect,
    /// Ready messages at the top row.
    top: u64,
    step: u64,
    end: Time,
}

impl Scale {
    fn of(app: &App, shown: &[usize], area: Rect) -> Scale {
        let most = shown
            .iter()
            .flat_map(|&index| &app.record.queues[index].series.ready)
            .max();
        let rows = area.height.saturating_sub(2);
        let (step, top) = round_scale(most.copied().unwrap_or(0), u64::from(rows / 3).clamp(2, 6));
        let labels = grouped(top).len() as u16 + 2;
        let plot = Rect {
            x: area.x + labels.min(area.width),
            width: area.width.saturating_sub(labels + 1),
            height: rows,
            ..area
        };
        Scale {
            plot,
            top,
            step,
            end: app.end,
        }
    }

    fn row(&self, ready: u64) -> u16 {
        let rows = f64::from(self.plot.height.saturating_sub(1));
        let down = rows - ready as f64 / self.top as f64 * rows;
        self.plot.y + (down.round() as u16).min(self.plot.height.saturating_sub(1))
    }

    fn column(&self, at: Time) -> u16 {
        let columns = f64::from(self.plot.width.saturating_sub(1));
        let share = at.as_secs_f64() / self.end.as_secs_f64().max(f64::MIN_POSITIVE);
        self.plot.x + ((share * columns).round() as u16).min(self.plot.width.saturating_sub(1))
    }
}

/// A round step, at most `ticks` of which reach `most`, and where they end.
fn round_scale(most: u64, ticks: u64) -> (u64, u64) {
    // Twice as wide, so that no power of ten overflows before it is large enough.
    let (most, ticks) = (u128::from(most.max(4)), u128::from(ticks.max(1)));
    let narrow = |wide: u128| u64::try_from(wide).unwrap_or(u64::MAX);
    let mut power = 1u128;
    loop {
        for tenths in [10, 15, 20, 25, 30, 40, 50, 60, 80] {
            let step = power * tenths / 10;
            let count = most.div_ceil(step);
            // Below ten, one and a half is no step.
            if count <= ticks && (power > 1 || tenths % 10 == 0) {
                return (narrow(step), narrow(step * count));
            }
        }
        power *= 10;
    }
}

fn axes(scale: &Scale, buffer: &mut Buffer) {
    let plot = scale.plot;
    for row in plot.y..plot.bottom() {
        buffer.set_string(plot.x - 1, row, "│", theme::DIM);
    }
    for tick in (0..=scale.top / scale.step).map(|count| count * scale.step) {
        let label = grouped(tick);
        let row = scale.row(tick);
        buffer.set_string(plot.x - 2 - label.len() as u16, row, &label, theme::DIM);
        buffer.set_string(plot.x - 1, row, "┤", theme::DIM);
    }
    buffer.set_string(plot.x - 1, plot.bottom(), "└", theme::DIM);
    for column in plot.x..plot.right() {
        buffer.set_string(column, plot.bottom(), "─", theme::DIM);
    }
    let step = time_step(scale.end, u64::from(plot.width / 12).max(1));
    let mut free = plot.x.saturating_sub(1);
    for tick in (0..)
        .map(|count| Time(step.0.saturating_mul(count)))
        .take_while(|&tick| tick <= scale.end)
        .take(100)
    {
        let label = tick.to_string();
        let width = label.chars().count() as u16;
        let column = scale.column(tick);
        let place = column.saturating_sub(width / 2).max(free);
        if place + width > plot.right() + 1 {
            break;
        }
        buffer.set_string(column, plot.bottom(), "┬", theme::DIM);
        buffer.set_string(place, plot.bottom() + 1, label, theme::DIM);
        free = place + width + 1;
    }
}

/// The least step of a clock's divisions, at most `ticks` of which fill the time until `end`.
fn time_step(end: Time, ticks: u64) -> Length {
    const SECOND: u64 = 1_000_000_000;
    let below = (0..9).flat_map(|power| [1, 2, 5].map(|factor| factor * 10u64.pow(power)));
    let clock = [
        1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200,
    ]
    .map(|secs| secs * SECOND);
    let days = (0..5)
        .flat_map(|power| [1, 2, 5].map(|factor| factor * 10u64.pow(power) * 86_400 * SECOND));
    let mut steps = below.chain(clock).chain(days);
    Length(
        steps
            .find(|&step| end.0 / step <= ticks)
            .unwrap_or(u64::MAX),
    )
}

fn lines(app: &App, shown: &[usize], scale: &Scale, frame: &mut Frame) {
    let window = app.record.window.as_secs_f64();
    let present = app.now.as_secs_f64();
    let canvas = Canvas::default()
        .marker(Marker::Braille)
        .x_bounds([0.0, scale.end.as_secs_f64().max(f64::MIN_POSITIVE)])
        .y_bounds([0.0, scale.top as f64])
        .paint(|context| {
            for &index in shown {
                let color = theme::series(index);
                let (mut x1, mut y1) = (0.0, 0.0);
                for (count, &ready) in app.record.queues[index].series.ready.iter().enumerate() {
                    let (x2, y2) = (((count + 1) as f64 * window).min(present), ready as f64);
                    context.draw(&canvas::Line {
                        x1,
                        y1,
                        x2,
                        y2,
                        color,
                    });
                    (x1, y1) = (x2, y2);
                }
                // A layer each, so that one line's colour does not spread to another's dots.
                context.layer();
            }
        });
    frame.render_widget(canvas, scale.plot);
}

/// A band while something is not as it should be: shaded on the axis, and above where no line runs.
fn band(
    app: &App,
    scale: &Scale,
    (from, until): (Time, Time),
    shade: &str,
    style: Style,
    buffer: &mut Buffer,
) {
    let (from, until) = (scale.column(from), scale.column(until.min(app.now)));
    for column in from..=until {
        buffer.set_string(column, scale.plot.bottom(), shade, style);
        for row in scale.plot.y..scale.plot.bottom() {
            let dot = match (row + column).is_multiple_of(2) {
                true => "·",
                false => " ",
            };
            put_if_free(buffer, column, row, dot, style);
        }
    }
}

fn phases(app: &App, scale: &Scale, buffer: &mut Buffer) {
    for phase in &app.record.phases {
        let (from, until) = (scale.column(phase.from), scale.column(phase.until));
        if phase.from > Time::ZERO {
            for row in scale.plot.y..scale.plot.bottom() {
                put_if_free(buffer, from, row, "┊", theme::DIM);
            }
        }
        let start = from + u16::from(phase.from > Time::ZERO);
        let name = text::shortened(&phase.name, usize::from(until.saturating_sub(start)));
        for (column, letter) in (start..).zip(name.chars()) {
            put_if_free(
                buffer,
                column,
                scale.plot.y,
                letter.encode_utf8(&mut [0; 4]),
                theme::DIM,
            );
        }
    }
}

/// Marks never cover data.
fn put_if_free(buffer: &mut Buffer, x: u16, y: u16, symbol: &str, style: Style) {
    if let Some(cell) = buffer.cell_mut((x, y))
        && matches!(cell.symbol(), " " | "·" | "\u{2800}")
    {
        cell.set_symbol(symbol).set_style(style);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_end_at_round_numbers() {
        assert_eq!(round_scale(0, 3), (2, 4));
        assert_eq!(round_scale(179_724, 4), (50_000, 200_000));
        assert_eq!(round_scale(202_778, 2), (150_000, 300_000));
        assert_eq!(round_scale(7, 4), (2, 8));
        assert_eq!(round_scale(u64::MAX, 1).1, u64::MAX);
    }

    #[test]
    fn time_ticks_divide_the_clock() {
        let secs = |secs| Length::from_secs(secs);
        assert_eq!(time_step(Time(900_000_000_000), 10), secs(120));
        assert_eq!(time_step(Time(10_000_000_000), 5), secs(2));
        assert_eq!(time_step(Time(90_000_000), 9), Length::from_millis(10));
        assert_eq!(time_step(Time::ZERO, 9), Length(1));
        assert_eq!(time_step(Time::MAX, 1), Length(u64::MAX));
    }
}
