//! When messages are to be sent: a curve of expected arrivals over time, and a cursor along it.

use queuelab_core::Time;
use queuelab_scenario::{Arrivals, Phase, Rate};

use crate::distribution::Sampler;
use crate::random::Stream;

/// The arrivals of one member of a group.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    pattern: Pattern,
    end: Time,
}

#[derive(Clone, Debug)]
enum Pattern {
    Constant(Curve),
    Poisson(Curve),
    Closed { think: Sampler },
}

impl Schedule {
    /// The share of each of `members` equal members in the arrivals of a group.
    pub(crate) fn new(arrivals: &Arrivals, phases: &[Phase], members: u32) -> Schedule {
        let pattern = match arrivals {
            Arrivals::Constant(rate) => Pattern::Constant(Curve::new(rate, phases, members)),
            Arrivals::Poisson(rate) => Pattern::Poisson(Curve::new(rate, phases, members)),
            Arrivals::Max
            | Arrivals::Renewal { .. }
            | Arrivals::Mmpp { .. }
            | Arrivals::OnOff { .. }
            | Arrivals::Diurnal { .. }
            | Arrivals::Trace(_) => unimplemented!(),
            Arrivals::Closed { think, .. } => Pattern::Closed {
                think: Sampler::new(think),
            },
        };
        Schedule {
            pattern,
            end: phases.last().map_or(Time::ZERO, |phase| phase.until),
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.pattern, Pattern::Closed { .. })
    }
}

/// A place on a schedule: one arrival.
///
/// Two cursors that take the same steps name the same instants, so arrivals that nobody had room for need not be kept:
/// a second cursor finds them again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor {
    /// The arrival's number, from zero.
    pub(crate) index: u64,
    /// Its instant; `Time::MAX` if there is none (any more, or, in a closed loop, yet).
    pub(crate) time: Time,
    /// Its height on the curve: how many arrivals are expected up to it.
    height: f64,
    segment: usize,
}

impl Cursor {
    /// At the first of at most `limit` arrivals.
    pub(crate) fn first(schedule: &Schedule, stream: &Stream, limit: u64) -> Cursor {
        let mut cursor = Cursor {
            index: 0,
            time: Time::ZERO,
            height: 0.0,
            segment: 0,
        };
        if schedule.is_closed() {
            cursor.think(schedule, stream, limit, Time::ZERO);
        } else {
            cursor.find(schedule, stream, limit);
        }
        cursor
    }

    /// On to the next arrival. In a closed loop that has no time before [`Cursor::think`].
    #[inline]
    pub(crate) fn advance(&mut self, schedule: &Schedule, stream: &Stream, limit: u64) {
        self.index += 1;
        self.find(schedule, stream, limit);
    }

    /// Sets a closed loop's next arrival to be one think time after `now`.
    pub(crate) fn think(&mut self, schedule: &Schedule, stream: &Stream, limit: u64, now: Time) {
        if let Pattern::Closed { think } = &schedule.pattern {
            let time = now + think.sample(&mut stream.at(self.index));
            self.time = if time < schedule.end && self.index < limit {
                time
            } else {
                Time::MAX
            };
        }
    }

    #[inline]
    fn find(&mut self, schedule: &Schedule, stream: &Stream, limit: u64) {
        let curve = match &schedule.pattern {
            Pattern::Constant(curve) => {
                // A random phase, from the number that is no arrival's.
                self.height = if self.index == 0 {
                    stream.at(u64::MAX).next_f64()
                } else {
                    self.height + 1.0
                };
                curve
            }
            Pattern::Poisson(curve) => {
                self.height += stream.at(self.index).next_exponential();
                curve
            }
            Pattern::Closed { .. } => {
                self.time = Time::MAX;
                return;
            }
        };
        let found = if self.index < limit {
            curve.time_at(self.height, &mut self.segment)
        } else {
            None
        };
        // Rounding must not turn time back.
        self.time = found.map_or(Time::MAX, |time| time.max(self.time));
    }
}

/// The expected number of arrivals since the start: the integral of the rate, piecewise quadratic.
#[derive(Clone, Debug)]
struct Curve {
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
    fn new(rate: &Rate, phases: &[Phase], members: u32) -> Curve {
        let members = f64::from(members.max(1));
        let mut bottom = 0.0;
        let segments = phases
            .iter()
            .zip(&rate.segments)
            .map(|(phase, (start, end))| {
                let (start, end) = (start / members, end / members);
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

    /// The instant of a height; `segment` is where to look first, and where it was found.
    #[inline]
    fn time_at(&self, height: f64, segment: &mut usize) -> Option<Time> {
        loop {
            let here = self.segments.get(*segment)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use queuelab_core::Span;

    /// Phases of (seconds, rate at the start, rate at the end).
    fn schedule(parts: &[(u64, f64, f64)], poisson: bool, members: u32) -> Schedule {
        let mut from = Time::ZERO;
        let phases: Vec<Phase> = (parts.iter())
            .map(|(seconds, ..)| {
                let phase = Phase {
                    name: String::new(),
                    from,
                    until: from + Span::from_secs(*seconds),
                };
                from = phase.until;
                phase
            })
            .collect();
        let rate = Rate {
            segments: parts.iter().map(|(_, start, end)| (*start, *end)).collect(),
        };
        let arrivals = if poisson {
            Arrivals::Poisson(rate)
        } else {
            Arrivals::Constant(rate)
        };
        Schedule::new(&arrivals, &phases, members)
    }

    fn times(schedule: &Schedule, stream: &Stream) -> Vec<u64> {
        let mut cursor = Cursor::first(schedule, stream, u64::MAX);
        let mut times = Vec::new();
        while cursor.time != Time::MAX {
            times.push(cursor.time.0);
            cursor.advance(schedule, stream, u64::MAX);
        }
        assert!(times.is_sorted());
        times
    }

    fn between(times: &[u64], from: f64, until: f64) -> f64 {
        times
            .iter()
            .filter(|time| (from..until).contains(&(**time as f64 / 1e9)))
            .count() as f64
    }

    #[test]
    fn constant_arrivals_are_evenly_spaced_from_a_random_phase() {
        for member in 0..20 {
            let stream = Stream::new(1, "test", member);
            let times = times(
                &schedule(&[(10, 700.0, 700.0), (5, 700.0, 700.0)], false, 7),
                &stream,
            );
            assert!(times[0] < 10_000_000);
            assert_eq!(times.len(), 1500);
            for pair in times.windows(2) {
                assert!((pair[1] - pair[0]).abs_diff(10_000_000) <= 1, "{pair:?}");
            }
        }
        let first = |member| {
            times(
                &schedule(&[(1, 1.0, 1.0)], false, 1),
                &Stream::new(1, "test", member),
            )[0]
        };
        assert_ne!(first(0), first(1));
    }

    #[test]
    fn each_phase_has_its_share() {
        let parts = [
            (10, 100.0, 100.0),
            (5, 0.0, 0.0),
            (10, 2000.0, 2000.0),
            (10, 0.0, 1000.0),
            (10, 1000.0, 200.0),
            (5, 0.0, 0.0),
        ];
        // (from, until, expected): ramps also by halves.
        let expected = [
            (0.0, 10.0, 1000.0),
            (10.0, 15.0, 0.0),
            (15.0, 25.0, 20_000.0),
            (25.0, 30.0, 1250.0),
            (30.0, 35.0, 3750.0),
            (35.0, 40.0, 4000.0),
            (40.0, 45.0, 2000.0),
            (45.0, 50.0, 0.0),
        ];
        let (even, random) = (schedule(&parts, false, 1), schedule(&parts, true, 1));
        let stream = Stream::new(3, "test", 0);
        let (even, random) = (times(&even, &stream), times(&random, &stream));
        for (from, until, count) in expected {
            assert!(
                (between(&even, from, until) - count).abs() <= 1.0,
                "{from}: {}",
                between(&even, from, until)
            );
            let drawn = between(&random, from, until);
            assert!(
                (drawn - count).abs() <= 4.0 * count.sqrt(),
                "{from}: {drawn}, not {count}"
            );
        }
    }

    #[test]
    fn poisson_gaps_are_exponential() {
        let times = times(
            &schedule(&[(100, 1000.0, 1000.0)], true, 1),
            &Stream::new(3, "test", 0),
        );
        let gaps: Vec<f64> = times
            .windows(2)
            .map(|pair| (pair[1] - pair[0]) as f64 / 1e6)
            .collect();
        let n = gaps.len() as f64;
        let mean = gaps.iter().sum::<f64>() / n;
        // The square of an exponential variable has mean 2, variance 20.
        let squares = gaps.iter().map(|gap| gap * gap).sum::<f64>() / n;
        assert!((mean - 1.0).abs() < 4.0 / n.sqrt(), "{mean}");
        assert!((squares - 2.0).abs() < 4.0 * (20.0 / n).sqrt(), "{squares}");
    }

    #[test]
    fn another_rate_stretches_the_same_arrivals() {
        let stream = Stream::new(3, "test", 0);
        let slow = times(&schedule(&[(20, 100.0, 100.0)], true, 1), &stream);
        let fast = times(&schedule(&[(20, 200.0, 200.0)], true, 1), &stream);
        for (slow, fast) in slow.iter().zip(&fast) {
            assert!(slow.abs_diff(2 * fast) <= 2);
        }
    }

    #[test]
    fn a_limit_and_an_idle_schedule_end_it() {
        let stream = Stream::new(3, "test", 0);
        assert!(times(&schedule(&[(20, 0.0, 0.0)], false, 1), &stream).is_empty());
        assert!(times(&schedule(&[], true, 1), &stream).is_empty());
        let busy = schedule(&[(20, 100.0, 100.0)], false, 1);
        let mut cursor = Cursor::first(&busy, &stream, 1);
        assert_ne!(cursor.time, Time::MAX);
        cursor.advance(&busy, &stream, 1);
        assert_eq!(cursor.time, Time::MAX);
        assert_eq!(Cursor::first(&busy, &stream, 0).time, Time::MAX);
    }
}
