//! `load`: one number that all rates are multiplied by.

use std::sync::Arc;

use super::Check;
use crate::error::Problem;
use crate::raw::RawScenario;
use crate::scenario::{Arrivals, Producer, Rate};
use crate::units::{FASTEST, short};

/// Scales what has a rate. Closed loops and `max` have none: they send as fast as they are answered, at any load.
pub(super) fn scale(check: &mut Check<'_>, raw: &RawScenario, producers: &mut [Producer]) {
    let load = check.number("load", &raw.load, 1.0, 1e-6..=1e6);
    let mut scaled = false;
    let mut fastest: Option<(&str, f64)> = None;
    for producer in producers {
        let Some(highest) = scale_one(&mut producer.arrivals, load) else {
            continue;
        };
        scaled = true;
        if fastest.is_none_or(|(_, rate)| highest > rate) {
            fastest = Some((&producer.name, highest));
        }
    }
    let Some(given) = raw.load.as_ref().filter(|_| load != 1.0) else {
        return;
    };
    if !scaled {
        check.push(
            Problem::new(
                given.span.clone(),
                "there is no rate that `load` could scale: closed loops and arrivals = \"max\" have none",
            )
            .help("leave it out, and change the `count` of a producer instead"),
        );
    }
    if let Some((name, _)) = fastest.filter(|(_, rate)| *rate > FASTEST) {
        check.push(
            Problem::new(
                given.span.clone(),
                format!(
                    "at this load `{}` sends more than 1_000_000_000/s",
                    short(name)
                ),
            )
            .help("write a lower load, or a lower rate"),
        );
    }
}

/// The highest rate after scaling, if there is a rate; of a trace, none that could be too high.
fn scale_one(arrivals: &mut Arrivals, load: f64) -> Option<f64> {
    Some(match arrivals {
        Arrivals::Constant(rate) | Arrivals::Poisson(rate) | Arrivals::Renewal { rate, .. } => {
            scale_rate(rate, load)
        }
        Arrivals::Mmpp { states } => states.iter_mut().fold(0.0, |highest, (rate, _)| {
            *rate *= load;
            rate.max(highest)
        }),
        Arrivals::OnOff { rate, .. } | Arrivals::Diurnal { mean: rate, .. } => {
            *rate *= load;
            *rate
        }
        Arrivals::Trace(trace) => {
            // A trace that was read for the same text at another load is shared with it.
            if trace.speed != load {
                Arc::make_mut(trace).speed = load;
            }
            0.0
        }
        Arrivals::Closed { .. } | Arrivals::Max => return None,
    })
}

fn scale_rate(rate: &mut Rate, load: f64) -> f64 {
    rate.segments.iter_mut().fold(0.0, |highest, (start, end)| {
        *start *= load;
        *end *= load;
        start.max(*end).max(highest)
    })
}
