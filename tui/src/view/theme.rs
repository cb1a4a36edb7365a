//! Colours. Data takes the Okabe–Ito palette, which people with colour-blindness can tell apart, in the nearest colours
//! of the 256 that nearly every terminal has; everything else takes the terminal's own colours.

use ratatui::style::{Color, Modifier, Style};

/// The colour of series `index`.
pub(crate) fn series(index: usize) -> Color {
    SERIES[index % SERIES.len()]
}

pub(crate) const DIM: Style = Style::new().fg(Color::DarkGray);
pub(crate) const PLAIN: Style = Style::new().fg(Color::Reset);
pub(crate) const TITLE: Style = Style::new().add_modifier(Modifier::BOLD);
pub(crate) const SELECTED: Style = Style::new().add_modifier(Modifier::BOLD);
pub(crate) const KEY: Style = Style::new().add_modifier(Modifier::REVERSED);
pub(crate) const GAUGE: Style = Style::new().fg(SKY_BLUE);
pub(crate) const RUNNING: Style = Style::new().fg(BLUISH_GREEN).add_modifier(Modifier::BOLD);
pub(crate) const PAUSED: Style = Style::new().fg(ORANGE).add_modifier(Modifier::BOLD);
pub(crate) const FINISHED: Style = Style::new().add_modifier(Modifier::BOLD);
pub(crate) const PASS: Style = Style::new().fg(BLUISH_GREEN).add_modifier(Modifier::BOLD);
pub(crate) const FAIL: Style = Style::new().fg(VERMILLION).add_modifier(Modifier::BOLD);
pub(crate) const UNDECIDED: Style = Style::new().fg(ORANGE).add_modifier(Modifier::BOLD);
pub(crate) const FAULT: Style = Style::new().fg(VERMILLION);
pub(crate) const FAULT_ON: Style = Style::new()
    .fg(Color::White)
    .bg(VERMILLION)
    .add_modifier(Modifier::BOLD);
pub(crate) const ALARM: Style = Style::new().fg(PURPLE);
pub(crate) const ALARM_ON: Style = Style::new()
    .fg(Color::White)
    .bg(PURPLE)
    .add_modifier(Modifier::BOLD);

const SERIES: [Color; 7] = [
    ORANGE,
    SKY_BLUE,
    BLUISH_GREEN,
    REDDISH_PURPLE,
    VERMILLION,
    YELLOW,
    BLUE,
];
const ORANGE: Color = Color::Indexed(214);
const SKY_BLUE: Color = Color::Indexed(74);
const BLUISH_GREEN: Color = Color::Indexed(36);
const YELLOW: Color = Color::Indexed(227);
const BLUE: Color = Color::Indexed(32);
const VERMILLION: Color = Color::Indexed(166);
/// Not of the palette: alarms, and nothing else.
const PURPLE: Color = Color::Indexed(97);
const REDDISH_PURPLE: Color = Color::Indexed(175);
