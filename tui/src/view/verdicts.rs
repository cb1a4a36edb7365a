//! What is expected of the run, and what became of it.

use queuelab_record::{ExpectationRecord, Judgement, Verdict};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Stylize;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::app::App;

use super::layout::expectation_lines;
use super::panels::titled;
use super::theme;

/// What is expected; once the run has finished, what became of it.
pub(crate) fn expectations(app: &App, frame: &mut Frame, area: Rect) {
    if !app.finished() {
        return so_far(app, frame, area);
    }
    let mut verdicts = app.record.judgements();
    let roomy = area.height > expectation_lines(app);
    if !roomy {
        // Bad news first, there is no room for all.
        verdicts.sort_by_key(|it| it.verdict == Verdict::Pass);
    }
    if area.height == 1 {
        let mut line = summary(app);
        line.spans.insert(0, Span::from(" "));
        for it in verdicts {
            line.push_span(mark(it.verdict));
            line.push_span(Span::from(format!("{}  {}  ", it.text, it.measured)));
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
        .map(|it| it.text.chars().count())
        .max()
        .unwrap_or(0);
    lines.extend(verdicts.into_iter().map(|it| {
        let Judgement { text, measured, .. } = it;
        Line::from(vec![
            mark(it.verdict),
            Span::from(format!("{text:<longest$}   {measured}")),
        ])
    }));
    frame.render_widget(Paragraph::new(lines), area);
}

/// The expectations, each with what it measures now.
fn so_far(app: &App, frame: &mut Frame, area: Rect) {
    let expectations = &app.record.expectations;
    if area.height == 1 {
        let texts: Vec<String> = expectations
            .iter()
            .map(|it| format!("{} ({})", it.text, so_far_measured(it)))
            .collect();
        let line = format!(" expects  {}", texts.join(" · "));
        return frame.render_widget(Line::styled(line, theme::DIM), area);
    }
    let title = vec!["Expectations".bold(), Span::styled(", so far", theme::DIM)];
    let area = titled(frame, area, title);
    let longest = expectations
        .iter()
        .map(|it| it.text.chars().count())
        .max()
        .unwrap_or(0);
    let lines: Vec<Line> = expectations
        .iter()
        .map(|it| {
            Line::from(format!(
                " · {:<longest$}   {}",
                it.text,
                so_far_measured(it)
            ))
        })
        .collect();
    frame.render_widget(Paragraph::new(lines), area);
}

/// What an expectation measures now: what never came to pass may still do.
fn so_far_measured(expectation: &ExpectationRecord) -> &str {
    match expectation.measured.as_str() {
        "never" => "not yet",
        measured => measured,
    }
}

fn summary(app: &App) -> Line<'static> {
    let all = app.record.judgements();
    let met = all.iter().filter(|it| it.verdict == Verdict::Pass).count();
    let (word, style) = match app.record.verdict() {
        Verdict::Fail => ("FAIL", theme::FAIL),
        Verdict::Undecided => ("UNDECIDED", theme::UNDECIDED),
        Verdict::Pass => ("PASS", theme::PASS),
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
