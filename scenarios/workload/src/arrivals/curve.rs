//! How many arrivals are expected up to each instant, for a rate that a scenario gives by phases.

use queuelab_core::Time;
use queuelab_scenario::{Phase, Rate};

/// The expected number of arrivals since the start: the integral of the rate, piecewise quadratic.
#[derive(Clone, Debug)]
pub(super) struct Curve {
    segments: Vec<Segment>,
}

#[derive(Clone, Debug)]
struct Segment {
    from: Time,
    until: Time,
    /// Arrivals per second at its start.
    rate: f64,
    /// Nanoseconds between arrivals at that rate.
    gap: f64,
    /// Change of the rate per second.
    slope: f64,
    /// Height at its start.
    bottom: f64,
    /// Height at its end.
    top: f64,
}

impl Curve {
    /// A part of a rate: `share` of it.
    pub(super) fn new(rate: &Rate, phases: &[Phase], share: f64) -> Curve {
        let mut bottom = 0.0;
        let segments = phases
            .iter()
            .zip(&rate.segments)
            .map(|(phase, (start, end))| {
                let (start, end) = (start * share, end * share);
                let seconds = phase.until.since(phase.from).as_secs_f64();
                let top = bottom + (start + end) / 2.0 * seconds;
                let slope = if seconds > 0.0 {
                    (end - start) / seconds
                } else {
                    0.0
                };
                let segment = Segment {
                    from: phase.from,
                    until: phase.until,
                    rate: start,
                    gap: 1e9 / start,
                    slope,
                    bottom,
                    top,
                };
                bottom = top;
                segment
            });
        Curve {
            segments: segments.collect(),
        }
    }

    /// The height at an instant.
    pub(super) fn height_at(&self, time: Time) -> f64 {
        let mut height = 0.0;
        for segment in &self.segments {
            if time < segment.until {
                let seconds = time.since(segment.from).as_secs_f64();
                let below = (segment.rate + segment.slope * seconds / 2.0) * seconds;
                return segment.bottom + below;
            }
            height = segment.top;
        }
        height
    }

    /// The instant of a height; `segment` is where to look first, and where it was found.
    #[inline]
    pub(super) fn time_at(&self, height: f64, segment: &mut u32) -> Option<Time> {
        loop {
            let here = self.segments.get(*segment as usize)?;
            if height < here.top {
                return Some(here.time_at(height));
            }
            *segment += 1;
        }
    }
}

impl Segment {
    #[inline]
    fn time_at(&self, height: f64) -> Time {
        let arrivals = (height - self.bottom).max(0.0);
        let nanos = if self.slope == 0.0 {
            arrivals * self.gap
        } else {
            // The root of slope/2 x² + rate x = arrivals, in the form that loses no digits for a gentle slope.
            let root = (self.rate * self.rate + 2.0 * self.slope * arrivals)
                .max(0.0)
                .sqrt();
            2e9 * arrivals / (self.rate + root)
        };
        // `as` turns 0/0, the start of a ramp from nothing, into zero. The end belongs to the next segment.
        let last = self.until.since(self.from).0.saturating_sub(1);
        Time(self.from.0 + (nanos as u64).min(last))
    }
}
