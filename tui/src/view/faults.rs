//! The menu of faults that can be injected.

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear, Padding, Paragraph};

use crate::app::App;
use crate::text;

use super::theme;

/// Draws the menu in the middle of `area`; what does not fit is cut off.
pub(crate) fn draw(app: &App, frame: &mut Frame, area: Rect) {
    let menu = &app.faults;
    let mut lines: Vec<Line> = menu
        .choices
        .iter()
        .enumerate()
        .map(|(index, choice)| {
            let is_chosen = index == menu.chosen;
            let mark = if is_chosen { '▸' } else { ' ' };
            let style = match is_chosen {
                true => Style::new().bold(),
                false => Style::new(),
            };
            let name = format!("{mark} {}  {:<15}", (index + 1) % 10, choice.kind());
            Line::from(vec![
                Span::styled(name, style),
                Span::styled(choice.what, if is_chosen { style } else { theme::DIM }),
            ])
        })
        .collect();
    if let Some(choice) = menu.choices.get(menu.chosen) {
        let more = match choice.has_other_targets() {
            true => "   (tab: somebody else)",
            false => "",
        };
        lines.extend([
            Line::default(),
            Line::from(vec![
                Span::from("  whom   "),
                Span::from(choice.target()).bold(),
                Span::styled(more, theme::DIM),
            ]),
            Line::from(vec![
                Span::from("  for    "),
                Span::from(menu.span().to_string()).bold(),
                Span::styled("   (← less long, → longer)", theme::DIM),
            ]),
            Line::default(),
            Line::from(vec![
                Span::styled(" enter ", theme::KEY),
                Span::from(" inject   "),
                Span::styled(" 1…0 ↑↓ ", theme::KEY),
                Span::from(" choose   "),
                Span::styled(" esc ", theme::KEY),
                Span::from(" go on without"),
            ]),
        ]);
    }
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    let place = area.centered(
        Constraint::Length(WIDTH),
        Constraint::Length(height.saturating_add(2)),
    );
    let block = Block::bordered()
        .border_type(BorderType::Rounded)
        .title(format!(
            " Inject a fault at {} ",
            text::clock(app.now, false)
        ))
        .padding(Padding::horizontal(1));
    frame.render_widget(Clear, place);
    frame.render_widget(Paragraph::new(lines).block(block), place);
}

/// Of the longest line, and its frame.
const WIDTH: u16 = 76;
