//! Where the time of a mean journey goes.

use plotters::style::RGBColor;
use queuelab_core::Span;
use queuelab_record::{PART_NAMES, Parts, RunRecord, grouped, percent};

use crate::Plot;
use crate::axis::Scale;
use crate::canvas::{Align, GREY, GRID, PALETTE, PAPER, QUIET, WIDTH, picture};
use crate::frame::{Frame, LABEL, heading};
use crate::hover::{Hover, Labels, Reading};
use crate::theme::{BROWN, STEEL};

/// In the order of [`PART_NAMES`].
const COLORS: [RGBColor; 10] = [
    GREY, PALETTE[4], PALETTE[3], PALETTE[2], QUIET, PALETTE[5], PALETTE[0], STEEL, PALETTE[1],
    BROWN,
];

/// Each part's share of the whole.
fn shares(record: &RunRecord) -> Option<[f64; 10]> {
    let total: u128 = record.parts.nanos.iter().sum();
    let share = |nanos: u128| nanos as f64 / total as f64;
    (record.parts.copies > 0 && total > 0).then(|| record.parts.nanos.map(share))
}

/// Whether any time went anywhere.
pub(crate) fn says_something(record: &RunRecord) -> bool {
    shares(record).is_some()
}

/// One bar with all parts of the mean journey, and below it each part by itself.
pub(crate) fn draw(record: &RunRecord) -> Plot {
    let Parts { copies, nanos } = &record.parts;
    let shares = shares(record).unwrap_or_default();
    let per_copy = |nanos: u128| Span((nanos / u128::from((*copies).max(1))) as u64);
    let mean = per_copy(nanos.iter().sum());
    let what = format!(
        "where {mean} went, on average over {} copies",
        grouped(*copies)
    );
    let title = format!("{}: {what}", record.scenario.title);
    picture("parts", &title, |canvas| {
        let top = heading(canvas, record, &what, &[]) - 10.0;
        let whole = Frame {
            left: 24.0,
            right: WIDTH - 24.0,
            top,
            bottom: top + 72.0,
        };
        let x = Scale::new(0.0, 1.0, (whole.left, whole.right));
        let mut from = 0.0;
        for (share, color) in shares.iter().zip(COLORS) {
            let corner = (x.at(from + share), whole.bottom);
            canvas.rectangle((x.at(from), whole.top), corner, color, 1.0);
            from += share;
        }
        // Neighbours are told apart by more than their colour.
        let mut from = 0.0;
        for share in shares {
            from += share;
            let edge = x.at(from);
            if share > 0.004 && from < 0.999 {
                canvas.line(&[(edge, whole.top), (edge, whole.bottom)], PAPER, 1.5);
            }
        }

        let shown: Vec<usize> = (0..10).filter(|&part| nanos[part] > 0).collect();
        let most = shares.iter().fold(0.0, |most: f64, &share| most.max(share));
        let (left, right) = (230.0, WIDTH - 250.0);
        let length = Scale::new(0.0, most.max(1e-9), (left, right));
        let place = |row: usize| whole.bottom + 44.0 + 40.0 * row as f64;
        for (row, &part) in shown.iter().enumerate() {
            let y = place(row);
            canvas.rectangle((24.0, y - 9.0), (50.0, y + 9.0), COLORS[part], 1.0);
            canvas.text(PART_NAMES[part], (62.0, y), LABEL, Align::Left);
            canvas.line(&[(left, y), (right, y)], GRID, 1.0);
            let end = length.at(shares[part]).max(left + 1.5);
            canvas.rectangle((left, y - 9.0), (end, y + 9.0), COLORS[part], 1.0);
            let text = format!("{} · {}", per_copy(nanos[part]), percent(shares[part]));
            canvas.text(&text, (right + 16.0, y), LABEL, Align::Left);
        }
        let names = shown.iter().map(|&part| PART_NAMES[part].into()).collect();
        let frame = Frame {
            left,
            right,
            top: place(0) - 16.0,
            bottom: place(shown.len()) - 24.0,
        };
        let places = (0..shown.len()).map(place).collect();
        let mut hover = Hover::down(frame, places, Labels::Text(names));
        let seconds = |&part: &usize| Some(per_copy(nanos[part]).as_secs_f64());
        hover.series("mean", QUIET, Reading::Time, shown.iter().map(seconds));
        let share = |&part: &usize| Some(shares[part]);
        hover.series("share", QUIET, Reading::Share, shown.iter().map(share));
        Some(hover)
    })
}
