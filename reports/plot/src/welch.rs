//! How the start of steady-state runs is forgotten.

use queuelab_core::{Span, Time};
use queuelab_record::Ensemble;
use queuelab_record::statistics::moving_average;

use crate::Plot;
use crate::axis::{Scale, instants, values};
use crate::canvas::{GREY, PALETTE, QUIET, picture};
use crate::frame::{Entry, Look, circumstances_of, heading_of, plain, x_axis, y_axis};
use crate::hover::{Hover, Labels, Reading};

/// The pictures of several runs together: `welch` of those in the steady state, how copies in the broker settle in the mean over the runs
/// (Welch 1983), with what was left out.
pub fn ensemble_plots(ensemble: &Ensemble) -> Vec<Plot> {
    let transient = ensemble.transient.as_ref();
    let Some(transient) = transient.filter(|it| it.inside.len() >= 10) else {
        return Vec::new();
    };
    let left_out = transient.left_out.iter().copied().max();
    let left_out = left_out.unwrap_or(Span::ZERO);
    let mean = &transient.inside;
    let reach = (mean.len() / 20).max(1);
    let smooth = moving_average(mean, reach);
    let top = mean.iter().fold(1.0, |most: f64, &value| most.max(value));
    let window = transient.window.as_secs_f64();
    let end = queuelab_core::Time(transient.window.0.saturating_mul(mean.len() as u64));
    let line = |label: String, color, width| Entry {
        label,
        color,
        look: Look::Line(width),
    };
    let band = match transient.cut() {
        Some(cut) => format!(
            "left out: {left_out}; MSER-5 would leave out {}",
            Span(cut.0)
        ),
        None if transient.is_judged() => {
            format!("left out: {left_out}; MSER-5 sees no steady state")
        }
        None => format!("left out: {left_out}; MSER-5 has nothing to judge by"),
    };
    let legend = [
        line(
            format!("mean over {} runs", ensemble.seeds.len()),
            GREY,
            1.25,
        ),
        line(
            format!("smoothed over {} windows", 2 * reach + 1),
            PALETTE[0],
            3.0,
        ),
        Entry {
            label: band,
            color: QUIET,
            look: Look::Band,
        },
    ];
    let what = "how the start is forgotten";
    let title = format!("{}: {what}", ensemble.scenario.title);
    vec![picture("welch", &title, |canvas| {
        let circumstances = circumstances_of(&ensemble.scenario);
        let frame = plain(heading_of(canvas, &title, &circumstances, &legend));
        let x = Scale::new(0.0, end.as_secs_f64().max(1e-9), (frame.left, frame.right));
        let corner = (x.at(left_out.as_secs_f64()), frame.bottom);
        canvas.rectangle((frame.left, frame.top), corner, QUIET, 0.18);
        let y = y_axis(
            canvas,
            frame,
            &values(0.0, top, Reading::Count),
            "copies in the broker",
        );
        x_axis(
            canvas,
            frame,
            &x,
            &instants(Time::ZERO, end),
            "simulated time",
        );
        let seconds: Vec<f64> = (1..=mean.len())
            .map(|index| index as f64 * window)
            .collect();
        for (values, color, width) in [(mean, GREY, 1.25), (&smooth, PALETTE[0], 3.0)] {
            let points: Vec<_> = seconds
                .iter()
                .zip(values)
                .map(|(&second, &value)| (x.at(second), y.at(value)))
                .collect();
            canvas.line(&points, color, width);
        }
        let places = seconds.iter().map(|&second| x.at(second)).collect();
        let mut hover = Hover::across(frame, places, Labels::Values(Reading::Time, seconds));
        let smoothed = (0..mean.len()).map(|index| smooth.get(index).copied());
        hover.series("smoothed", PALETTE[0], Reading::Count, smoothed);
        hover.series("mean", GREY, Reading::Count, mean.iter().copied().map(Some));
        Some(hover)
    })]
}
