//! Arrivals that are neither evenly spaced nor plain Poisson.

use std::f64::consts::TAU;
use std::sync::Arc;

use queuelab_core::{Span, Time};
use queuelab_scenario::{Arrivals, Distribution, Phase, Trace};

use super::Cursor;
use super::curve::Curve;
use crate::distribution::Sampler;
use crate::random::Stream;

/// What a cursor's height and segment mean differs between them.
#[derive(Clone, Debug)]
pub(super) enum Varied {
    /// Gaps of a shape, on the curve's scale.
    Renewal { curve: Curve, gap: Sampler },
    /// Poisson in each state. The segment counts the states visited, the height is the instant, in nanoseconds, at which the
    /// present one ends.
    Modulated(Modulated),
    /// Poisson along a sine. The height is what is expected up to the arrival.
    Diurnal(Diurnal),
    /// Recorded. The segment is the member, the height its start in nanoseconds.
    Trace {
        trace: Arc<Trace>,
        members: u64,
        end: Time,
    },
}

impl Varied {
    /// `share` is a member's part of a rate of messages, in arrivals.
    pub(super) fn new(
        arrivals: &Arrivals,
        phases: &[Phase],
        members: u32,
        share: f64,
        end: Time,
    ) -> Varied {
        match arrivals {
            Arrivals::Renewal { rate, gap } => Varied::Renewal {
                curve: Curve::new(rate, phases, share),
                gap: Sampler::new(gap),
            },
            Arrivals::Mmpp { states } => {
                let states = states.iter().map(|(rate, mean)| State {
                    rate: rate * share / 1e9,
                    time: Sampler::new(&Distribution::Exponential(*mean)),
                });
                Varied::Modulated(Modulated::new(states.collect(), end))
            }
            Arrivals::OnOff { rate, on, off } => {
                let state = |rate: f64, time| State {
                    rate: rate * share / 1e9,
                    time: Sampler::new(time),
                };
                Varied::Modulated(Modulated::new(vec![state(*rate, on), state(0.0, off)], end))
            }
            Arrivals::Diurnal {
                mean,
                amplitude,
                period,
                phase,
            } => Varied::Diurnal(Diurnal {
                rate: mean * share,
                amplitude: *amplitude,
                period: period.as_secs_f64(),
                phase: *phase,
                end,
            }),
            Arrivals::Trace(trace) => Varied::Trace {
                trace: trace.clone(),
                members: u64::from(members.max(1)),
                end,
            },
            Arrivals::Constant(_)
            | Arrivals::Poisson(_)
            | Arrivals::Closed { .. }
            | Arrivals::Max => unreachable!("these have patterns of their own"),
        }
    }

    /// Prepares the search for the first arrival of a member that starts at `start`.
    pub(super) fn start(&self, cursor: &mut Cursor, stream: &Stream, member: u32, start: Time) {
        match self {
            Varied::Renewal { curve, .. } => cursor.height = curve.height_at(start),
            Varied::Modulated(modulated) => {
                cursor.segment = modulated.stationary(stream);
                cursor.height = start.0 as f64 + modulated.stay(stream, cursor.segment);
            }
            Varied::Diurnal(diurnal) => cursor.height = diurnal.height_at(start.as_secs_f64()),
            Varied::Trace { .. } => {
                cursor.segment = member;
                cursor.height = start.0 as f64;
            }
        }
    }

    /// The instant of the arrival number `cursor.index`, if it comes before the end.
    pub(super) fn find(&self, cursor: &mut Cursor, stream: &Stream) -> Option<Time> {
        match self {
            Varied::Renewal { curve, gap } => {
                cursor.height += if cursor.index == 0 {
                    residual(gap, stream)
                } else {
                    ratio(gap, stream, cursor.index)
                };
                curve.time_at(cursor.height, &mut cursor.segment)
            }
            Varied::Modulated(modulated) => modulated.find(cursor, stream),
            Varied::Diurnal(diurnal) => {
                cursor.height += stream.at(cursor.index).next_exponential();
                diurnal.time_at(cursor.height)
            }
            Varied::Trace {
                trace,
                members,
                end,
            } => {
                let at = cursor.index.checked_mul(*members)? + u64::from(cursor.segment);
                let row = trace.messages.get(usize::try_from(at).ok()?)?;
                let at = match trace.speed {
                    1.0 => row.at,
                    speed => Time((row.at.0 as f64 / speed) as u64),
                };
                let time = at + Span(cursor.height as u64);
                (time < *end).then_some(time)
            }
        }
    }
}

/// A gap, in means.
fn ratio(gap: &Sampler, stream: &Stream, index: u64) -> f64 {
    scaled(gap, gap.sample(&mut stream.at(index)))
}

fn scaled(gap: &Sampler, drawn: Span) -> f64 {
    let mean = gap.mean();
    if mean > 0.0 {
        drawn.as_secs_f64() / mean
    } else {
        1.0
    }
}

/// The time to the first arrival, in mean gaps: of a process that has run for 16 to 32 of them, so that it is practically
/// stationary and members are out of step.
fn residual(gap: &Sampler, stream: &Stream) -> f64 {
    let start = 16.0 + 16.0 * stream.at(u64::MAX).next_f64();
    let mut sum = 0.0;
    for number in 0..MOST_GAPS {
        sum += scaled(gap, gap.sample(&mut stream.at2(u64::MAX, number)));
        if sum > start {
            return sum - start;
        }
    }
    0.0
}

/// Where so many gaps are shorter than 32 mean ones, the first arrival comes at once.
const MOST_GAPS: u64 = 100_000;

/// Poisson arrivals at a rate that jumps from state to state, in turn.
#[derive(Clone, Debug)]
pub(super) struct Modulated {
    states: Vec<State>,
    /// In nanoseconds.
    end: f64,
}

#[derive(Clone, Debug)]
struct State {
    /// Arrivals per nanosecond.
    rate: f64,
    /// How long it is stayed in.
    time: Sampler,
}

impl Modulated {
    fn new(states: Vec<State>, end: Time) -> Modulated {
        Modulated {
            states,
            end: end.0 as f64,
        }
    }

    /// A state as it is met at a random instant. Its remaining time is drawn as a whole one: the same for exponential times.
    fn stationary(&self, stream: &Stream) -> u32 {
        let total: f64 = self.states.iter().map(|state| state.time.mean()).sum();
        let mut place = stream.at(u64::MAX).next_f64() * total;
        for (number, state) in (0..).zip(&self.states) {
            place -= state.time.mean();
            if place < 0.0 {
                return number;
            }
        }
        0
    }

    fn state(&self, visit: u32) -> Option<&State> {
        self.states.get(visit as usize % self.states.len().max(1))
    }

    /// How long the state that is visited as number `visit` lasts, in nanoseconds; at least one, so that time goes on.
    fn stay(&self, stream: &Stream, visit: u32) -> f64 {
        self.state(visit).map_or(f64::INFINITY, |state| {
            let span = state
                .time
                .sample(&mut stream.at2(u64::MAX, u64::from(visit)));
            (span.0 as f64).max(1.0)
        })
    }

    /// What remains of a gap when the state changes is forgotten: exponential gaps have no memory.
    fn find(&self, cursor: &mut Cursor, stream: &Stream) -> Option<Time> {
        let mut now = cursor.time.0 as f64;
        while now < self.end {
            let state = self.state(cursor.segment)?;
            if state.rate > 0.0 {
                let mut draw = stream.at2(cursor.index, u64::from(cursor.segment));
                let time = now + draw.next_exponential() / state.rate;
                if time < cursor.height {
                    return (time < self.end).then_some(Time(time as u64));
                }
            }
            now = cursor.height;
            cursor.segment = cursor.segment.wrapping_add(1);
            cursor.height += self.stay(stream, cursor.segment);
        }
        None
    }
}

/// Poisson arrivals at the rate `rate · (1 + amplitude · sin(2π (t / period + phase)))`, by inverting its integral.
#[derive(Clone, Debug)]
pub(super) struct Diurnal {
    /// Mean arrivals per second.
    rate: f64,
    amplitude: f64,
    /// In seconds.
    period: f64,
    phase: f64,
    end: Time,
}

impl Diurnal {
    /// Arrivals expected in the first `seconds`.
    fn height_at(&self, seconds: f64) -> f64 {
        let from = libm::cos(TAU * self.phase);
        let to = libm::cos(TAU * (seconds / self.period + self.phase));
        self.rate * (seconds + self.amplitude * self.period / TAU * (from - to))
    }

    /// Newton's method, kept between bounds that close in: where the rate touches zero the slope is of no use.
    fn time_at(&self, height: f64) -> Option<Time> {
        let middle = height / self.rate;
        let swing = self.amplitude * self.period / std::f64::consts::PI;
        let (mut low, mut high) = ((middle - swing).max(0.0), middle + swing);
        let end = self.end.as_secs_f64();
        if self.rate <= 0.0 || low >= end {
            return None;
        }
        let mut at = middle.clamp(low, high);
        for _ in 0..STEPS {
            let error = self.height_at(at) - height;
            if error > 0.0 {
                high = at;
            } else {
                low = at;
            }
            let sine = libm::sin(TAU * (at / self.period + self.phase));
            let newton = at - error / (self.rate * (1.0 + self.amplitude * sine));
            let next = if newton > low && newton < high {
                newton
            } else {
                (low + high) / 2.0
            };
            if (next - at).abs() < 1e-10 {
                break;
            }
            at = next;
        }
        let time = Time::ZERO + Span::from_secs_f64(at);
        (time < self.end).then_some(time)
    }
}

/// Enough for the bounds alone to close in on a nanosecond.
const STEPS: u32 = 64;
