//! How evenly work is spread over the members of a group, the partitions of a queue, and queues that belong together.

use plotters::style::RGBColor;
use queuelab_record::{RunRecord, grouped};

use crate::Plot;
use crate::axis::counts_in;
use crate::canvas::{Align, Canvas, HEIGHT, INK, PALETTE, WIDTH, picture};
use crate::frame::{Entry, Frame, Look, SMALL, heading, y_axis};
use crate::hover::{Hover, Labels, Reading};

/// Who shares some work.
struct Sharing {
    /// `workers`
    name: String,
    /// `members`, `partitions`, `queues`
    of: &'static str,
    parts: Vec<(String, u64)>,
    color: RGBColor,
}

/// Groups of several consumers, then queues that belong together: the first three.
fn sharings(record: &RunRecord) -> Vec<Sharing> {
    let mut sharings: Vec<Sharing> = Vec::new();
    for consumer in &record.consumers {
        let members = consumer.served_by_member.iter().enumerate();
        sharings.push(Sharing {
            name: consumer.name.clone(),
            of: "members",
            parts: members
                .map(|(index, &served)| (format!("member {}", index + 1), served))
                .collect(),
            color: PALETTE[1],
        });
    }
    // Queues that differ in a number only are there to share something.
    let mut stems: Vec<&str> = Vec::new();
    for stem in record.queues.iter().filter_map(|it| stem(&it.name)) {
        if !stems.contains(&stem) {
            stems.push(stem);
        }
    }
    for of in stems {
        let parts = record.queues.iter().filter(|it| stem(&it.name) == Some(of));
        sharings.push(Sharing {
            name: of.trim_end_matches(SEPARATORS).into(),
            of: if of.ends_with('/') {
                "partitions"
            } else {
                "queues"
            },
            parts: parts.map(|it| (it.name.clone(), it.enqueued)).collect(),
            color: PALETTE[0],
        });
    }
    sharings.retain(|it| it.parts.len() > 1 && it.parts.iter().any(|part| part.1 > 0));
    sharings.truncate(SHARINGS_MAX);
    sharings
}

/// `orders/` of `orders/12`, `shard-` of `shard-b`: what is in front of a number, or of a letter behind a separator.
fn stem(name: &str) -> Option<&str> {
    let digits = name.trim_end_matches(|c: char| c.is_ascii_digit());
    if digits.len() < name.len() {
        return Some(digits);
    }
    let (at, _) = name.char_indices().next_back()?;
    let stem = &name[..at];
    stem.ends_with(SEPARATORS).then_some(stem)
}

/// Whether anything is shared.
pub(crate) fn says_something(record: &RunRecord) -> bool {
    !sharings(record).is_empty()
}

/// A panel for each: bars, their mean, and the range that a fair random choice would mostly keep to.
pub(crate) fn draw(record: &RunRecord) -> Plot {
    let sharings = sharings(record);
    let legend = [
        Entry {
            label: "an equal share".into(),
            color: INK,
            look: Look::Dashes,
        },
        Entry {
            label: "± 2σ of a fair random choice".into(),
            color: PALETTE[2],
            look: Look::Band,
        },
    ];
    let title = format!("{}: how evenly work is spread", record.scenario.title);
    picture("balance", &title, |canvas| {
        let top = heading(canvas, record, "how evenly work is spread", &legend);
        let height = (HEIGHT - top - 16.0) / sharings.len().max(1) as f64;
        let mut panels = Vec::new();
        for (index, sharing) in sharings.iter().enumerate() {
            let above = top + height * index as f64;
            let frame = Frame {
                left: 132.0,
                right: WIDTH - 36.0,
                top: above + 38.0,
                bottom: above + height - 18.0,
            };
            canvas.text(
                &canvas.fitted(&caption(sharing), SMALL, frame.right - frame.left),
                (frame.left, above + 16.0),
                SMALL,
                Align::Left,
            );
            panel(canvas, sharing, frame);
            panels.push(values(sharing, frame));
        }
        panels
    })
}

/// The mean of a part, and two standard deviations of it if each piece of work went to a part at random.
fn spread(sharing: &Sharing) -> (f64, f64) {
    let total: u64 = sharing.parts.iter().map(|part| part.1).sum();
    let share = 1.0 / sharing.parts.len() as f64;
    let total = total as f64;
    (total * share, 2.0 * (total * share * (1.0 - share)).sqrt())
}

/// `workers: 20 members, 4,812 to 5,304 each; chance alone gives 5,037 ± 142`
fn caption(sharing: &Sharing) -> String {
    let counts = sharing.parts.iter().map(|part| part.1);
    let (least, most) = (counts.clone().min().unwrap_or(0), counts.max().unwrap_or(0));
    let (mean, two_sigma) = spread(sharing);
    let each = match least == most {
        true => grouped(least),
        false => format!("{} to {}", grouped(least), grouped(most)),
    };
    format!(
        "{}: {} {}, {each} each; chance alone would give {} ± {}",
        sharing.name,
        grouped(sharing.parts.len() as u64),
        sharing.of,
        grouped(mean.round() as u64),
        grouped(two_sigma.round() as u64),
    )
}

fn panel(canvas: &Canvas<'_>, sharing: &Sharing, frame: Frame) {
    let (mean, two_sigma) = spread(sharing);
    let most = sharing.parts.iter().map(|part| part.1).max().unwrap_or(0);
    let top = (most as f64).max(mean + two_sigma);
    let steps = if frame.bottom - frame.top < 200.0 {
        3
    } else {
        6
    };
    let ticks = counts_in(libm::ceil(top) as u64, steps);
    let y = y_axis(canvas, frame, &ticks, "");
    let slot = (frame.right - frame.left) / sharing.parts.len() as f64;
    let gap = (slot * 0.2).min(10.0);
    for (index, part) in sharing.parts.iter().enumerate() {
        let left = frame.left + slot * index as f64;
        let upper = (left + gap / 2.0, y.at(part.1 as f64));
        let lower = (left + slot - gap / 2.0, frame.bottom);
        canvas.rectangle(upper, lower, sharing.color, 0.85);
    }
    let band = (y.at(mean + two_sigma), y.at((mean - two_sigma).max(0.0)));
    canvas.rectangle(
        (frame.left, band.0),
        (frame.right, band.1.max(band.0 + 1.0)),
        PALETTE[2],
        0.35,
    );
    let ends = [(frame.left, y.at(mean)), (frame.right, y.at(mean))];
    canvas.dashed(&ends, INK, 1.75);
    canvas.line(
        &[(frame.left, frame.bottom), (frame.right, frame.bottom)],
        INK,
        1.25,
    );
}

fn values(sharing: &Sharing, frame: Frame) -> Hover {
    let slot = (frame.right - frame.left) / sharing.parts.len() as f64;
    let places = (0..sharing.parts.len()).map(|index| frame.left + slot * (index as f64 + 0.5));
    let name = |part: &(String, u64)| match sharing.of {
        "members" => format!("{}, {}", sharing.name, part.0),
        _ => part.0.clone(),
    };
    let names = sharing.parts.iter().map(name).collect();
    let mut hover = Hover::across(frame, places.collect(), Labels::Text(names));
    let counts = sharing.parts.iter().map(|part| Some(part.1 as f64));
    let name = match sharing.of {
        "members" => "served",
        _ => "enqueued",
    };
    hover.series(name, sharing.color, Reading::Count, counts);
    let (mean, _) = spread(sharing);
    let equal = sharing.parts.iter().map(|_| Some(mean));
    hover.series("an equal share", INK, Reading::Count, equal);
    hover
}

const SEPARATORS: [char; 3] = ['/', '-', '_'];
const SHARINGS_MAX: usize = 3;
