//! Where the panels go. What does not fit is left out, the least needed first.

use ratatui::layout::Rect;

use crate::app::App;

use super::tables::prioritised;

/// Below this nothing useful fits.
pub(crate) const LEAST_WIDTH: u16 = 40;
/// Below this nothing useful fits.
pub(crate) const LEAST_HEIGHT: u16 = 10;

/// A place for each panel that is shown.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Layout {
    pub(crate) header: Rect,
    /// Faults and alarms: below the header, once there was any.
    pub(crate) banner: Option<Rect>,
    pub(crate) chart: Option<Rect>,
    pub(crate) rates: Option<Rect>,
    pub(crate) latency: Option<Rect>,
    pub(crate) queues: Option<Rect>,
    pub(crate) consumers: Option<Rect>,
    /// Only where there are groups.
    pub(crate) groups: Option<Rect>,
    /// Only where a queue saw several priorities.
    pub(crate) priorities: Option<Rect>,
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
        let asides = Asides::of(app);
        let lists = if wide { 6 } else { consumers.clamp(4, 8) };
        let lists = lists.max(asides.height().min(9));
        let calm = app.record.alarms.is_empty() && app.record.faults.is_empty();
        let banner = u16::from(!calm);
        let (whole, area) = (area, below(area, banner));
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
            header: Rect { height: 2, ..whole },
            banner: (banner > 0).then_some(Rect {
                y: whole.y + 2,
                height: 1,
                ..whole
            }),
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
            if asides.height() > 0 {
                let right;
                (layout.log, right) = beside(log, area.width.saturating_sub(41).min(100));
                asides.stack(&mut layout, right);
            }
        } else if area.width >= HALVES {
            layout.queues = tables;
            let right;
            (layout.consumers, right) = beside(log, 40);
            layout.log = asides.stack(&mut layout, right);
        } else {
            layout.queues = tables;
            layout.log = asides.stack(&mut layout, log);
        }
        layout
    }
}

/// Panels that only some runs have.
struct Asides {
    groups: u16,
    priorities: u16,
}

impl Asides {
    /// The lines that each would take.
    fn of(app: &App) -> Asides {
        let lines = |items: usize| match items {
            0 => 0,
            items => u16::try_from(items)
                .unwrap_or(u16::MAX)
                .saturating_add(TITLE_AND_HEADER),
        };
        Asides {
            groups: lines(app.record.groups.len()),
            priorities: lines(prioritised(app).map_or(0, |queue| queue.priorities.len())),
        }
    }

    fn height(&self) -> u16 {
        self.groups.saturating_add(self.priorities)
    }

    /// Stacks them in `area` as far as they fit; returns what is left, if that is enough for a list.
    fn stack(&self, layout: &mut Layout, area: Option<Rect>) -> Option<Rect> {
        let mut rest = area?;
        let mut take = |lines: u16| {
            let height = lines.min(rest.height);
            let place = Rect { height, ..rest };
            if lines == 0 || height < LIST_LEAST {
                return None;
            }
            rest = Rect {
                y: rest.y + height,
                height: rest.height - height,
                ..rest
            };
            Some(place)
        };
        layout.groups = take(self.groups);
        layout.priorities = take(self.priorities);
        (rest.height >= LIST_LEAST).then_some(rest)
    }
}

/// `area` without some rows at its top.
fn below(area: Rect, rows: u16) -> Rect {
    let rows = rows.min(area.height);
    Rect {
        y: area.y + rows,
        height: area.height - rows,
        ..area
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
/// A title and two lines.
const LIST_LEAST: u16 = 3;
const TITLE_AND_HEADER: u16 = 2;

// Rows from top to bottom.
const CHART: usize = 0;
const FIGURES: usize = 1;
const TABLES: usize = 2;
const LISTS: usize = 3;
const EXPECTATIONS: usize = 4;
const ROWS: usize = 5;
