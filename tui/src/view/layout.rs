//! Where the panels go. What does not fit is left out, the least needed first.

use ratatui::layout::Rect;

use crate::app::App;

/// Below this nothing useful fits.
pub(crate) const LEAST_WIDTH: u16 = 40;
/// Below this nothing useful fits.
pub(crate) const LEAST_HEIGHT: u16 = 10;

/// A place for each panel that is shown.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Layout {
    pub(crate) header: Rect,
    pub(crate) chart: Option<Rect>,
    pub(crate) rates: Option<Rect>,
    pub(crate) latency: Option<Rect>,
    pub(crate) queues: Option<Rect>,
    pub(crate) consumers: Option<Rect>,
    pub(crate) log: Option<Rect>,
    pub(crate) expectations: Option<Rect>,
    pub(crate) footer: Rect,
}

impl Layout {
    /// The layout of a screen of this size.
    pub(crate) fn of(app: &App, area: Rect) -> Layout {
        let count = |items: usize| u16::try_from(items).unwrap_or(u16::MAX);
        let wide = area.width >= WIDE;
        let queues = count(app.record.queues.len()).saturating_add(TITLE_AND_HEADER);
        let consumers = count(app.record.consumers.len()).saturating_add(TITLE_AND_HEADER);
        let tables = if wide { queues.max(consumers) } else { queues };
        let expected = match expectation_lines(app) {
            0 => 0,
            lines => lines.saturating_add(1),
        };
        let lists = if wide { 6 } else { consumers.clamp(4, 8) };
        let verdicts = if app.finished() {
            expected.min(5)
        } else {
            expected.min(1)
        };
        // Those that matter most come first; then rows grow in turn.
        let least = [
            (CHART, 7),
            (TABLES, 3),
            (FIGURES, 5),
            (EXPECTATIONS, verdicts),
            (EXPECTATIONS, expected.min(1)),
            (LISTS, 3),
        ];
        let grown = [
            (TABLES, tables.min(12)),
            (
                EXPECTATIONS,
                if app.finished() { expected.min(9) } else { 1 },
            ),
            (CHART, 10),
            (LISTS, lists),
            (EXPECTATIONS, expected.min(9)),
            (CHART, 18),
            (LISTS, lists.max(10)),
            (CHART, u16::MAX),
        ];
        let [chart, figures, tables, log, expectations] = stack(area, &least, &grown);

        let mut layout = Layout {
            header: Rect { height: 2, ..area },
            footer: Rect {
                y: area.bottom() - 1,
                height: 1,
                ..area
            },
            chart,
            expectations,
            ..Layout::default()
        };
        if area.width >= HALVES {
            (layout.rates, layout.latency) = beside(figures, if wide { 44 } else { 30 });
        } else {
            layout.rates = figures;
        }
        if wide {
            (layout.queues, layout.consumers) =
                beside(tables, area.width.saturating_sub(41).min(100));
            layout.log = log;
        } else if area.width >= HALVES {
            layout.queues = tables;
            (layout.consumers, layout.log) = beside(log, 40);
        } else {
            layout.queues = tables;
            layout.log = log;
        }
        layout
    }
}

/// Lines of the panel that tells what became of the expectations.
pub(crate) fn expectation_lines(app: &App) -> u16 {
    let answer = usize::from(app.finished() && app.record.answer.is_some());
    u16::try_from(app.record.judgements().len() + answer).unwrap_or(u16::MAX)
}

/// Stacks rows between header and footer: those of `least` that fit at (one of) their heights, grown by the steps of
/// `grown` for as long as there is room.
fn stack(area: Rect, least: &[(usize, u16)], grown: &[(usize, u16)]) -> [Option<Rect>; ROWS] {
    let mut room = area.height.saturating_sub(3);
    let mut heights = [0; ROWS];
    for &(row, height) in least {
        if heights[row] == 0 && height <= room {
            heights[row] = height;
            room -= height;
        }
    }
    for &(row, height) in grown {
        if heights[row] > 0 {
            let more = height.saturating_sub(heights[row]).min(room);
            heights[row] += more;
            room -= more;
        }
    }
    let mut y = area.y + 2;
    heights.map(|height| {
        let place = Rect { y, height, ..area };
        y += height;
        (height > 0).then_some(place)
    })
}

/// Cuts a row in two, with a column between.
fn beside(row: Option<Rect>, left: u16) -> (Option<Rect>, Option<Rect>) {
    let Some(row) = row else { return (None, None) };
    let left = left.min(row.width);
    let rest = row.width.saturating_sub(left + 1);
    let right = Rect {
        x: row.x + left + 1,
        width: rest,
        ..row
    };
    (
        Some(Rect { width: left, ..row }),
        (rest > 0).then_some(right),
    )
}

/// From here on tables stand side by side.
const WIDE: u16 = 110;
/// From here on small panels do.
const HALVES: u16 = 76;
const TITLE_AND_HEADER: u16 = 2;

// Rows from top to bottom.
const CHART: usize = 0;
const FIGURES: usize = 1;
const TABLES: usize = 2;
const LISTS: usize = 3;
const EXPECTATIONS: usize = 4;
const ROWS: usize = 5;
