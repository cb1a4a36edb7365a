//! When messages are to be sent: a schedule that members share, and a cursor along it.

mod curve;
mod varied;

use queuelab_core::Time;
use queuelab_scenario::{Arrivals, BurstSize, Phase};

use crate::distribution::Sampler;
use crate::random::Stream;
use curve::Curve;
use varied::Varied;

/// The arrivals of one member of a group.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    pattern: Pattern,
    burst: BurstSize,
    end: Time,
}

#[derive(Clone, Debug)]
enum Pattern {
    Constant(Curve),
    Poisson(Curve),
    Closed { think: Sampler },
    Max,
    Varied(Box<Varied>),
}

impl Schedule {
    /// The share of each of `members` equal members in the arrivals of a group.
    ///
    /// Where a rate says how many there are, they come in bursts of `burst`.
    pub(crate) fn new(
        arrivals: &Arrivals,
        phases: &[Phase],
        members: u32,
        burst: BurstSize,
    ) -> Schedule {
        let end = phases.last().map_or(Time::ZERO, |phase| phase.until);
        let burst = match arrivals {
            Arrivals::Closed { .. } | Arrivals::Max | Arrivals::Trace(_) => BurstSize::One,
            _ => burst,
        };
        let share = 1.0 / (f64::from(members.max(1)) * mean(burst));
        let pattern = match arrivals {
            Arrivals::Constant(rate) => Pattern::Constant(Curve::new(rate, phases, share)),
            Arrivals::Poisson(rate) => Pattern::Poisson(Curve::new(rate, phases, share)),
            Arrivals::Closed { think, .. } => Pattern::Closed {
                think: Sampler::new(think),
            },
            Arrivals::Max => Pattern::Max,
            varied => Pattern::Varied(Box::new(Varied::new(varied, phases, members, share, end))),
        };
        Schedule {
            pattern,
            burst,
            end,
        }
    }

    /// Each message waits for the end of the one before.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.pattern, Pattern::Closed { .. })
    }

    /// Messages are sent as soon as they can be.
    pub(crate) fn is_max(&self) -> bool {
        matches!(self.pattern, Pattern::Max)
    }

    /// When the run ends.
    pub(crate) fn end(&self) -> Time {
        self.end
    }
}

fn mean(burst: BurstSize) -> f64 {
    match burst {
        BurstSize::One => 1.0,
        BurstSize::Fixed(size) => f64::from(size.max(1)),
        BurstSize::Geometric { mean } => mean.max(1.0),
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
    /// Its height on the curve: how many arrivals are expected up to it. [`Varied`] schedules have their own use for it.
    height: f64,
    /// Where on the curve that is.
    segment: u32,
    /// How many more come at the same instant.
    left: u32,
}

impl Cursor {
    /// At the first of at most `limit` arrivals of a member that starts at `start`.
    pub(crate) fn first(
        schedule: &Schedule,
        stream: &Stream,
        limit: u64,
        member: u32,
        start: Time,
    ) -> Cursor {
        let mut cursor = Cursor {
            index: 0,
            time: start,
            height: 0.0,
            segment: 0,
            left: 0,
        };
        match &schedule.pattern {
            Pattern::Constant(curve) | Pattern::Poisson(curve) => {
                cursor.height = curve.height_at(start);
            }
            Pattern::Varied(varied) => varied.start(&mut cursor, stream, member, start),
            Pattern::Closed { .. } => {
                cursor.think(schedule, stream, limit, start);
                return cursor;
            }
            Pattern::Max => {
                cursor.time = if start < schedule.end && limit > 0 {
                    start
                } else {
                    Time::MAX
                };
                return cursor;
            }
        }
        cursor.find(schedule, stream, limit);
        cursor
    }

    /// On to the next arrival. In a closed loop that has no time before [`Cursor::think`]; without a schedule it has none.
    #[inline]
    pub(crate) fn advance(&mut self, schedule: &Schedule, stream: &Stream, limit: u64) {
        self.index += 1;
        if self.left == 0 {
            self.find(schedule, stream, limit);
        } else {
            self.left -= 1;
            if self.index >= limit {
                self.time = Time::MAX;
            }
        }
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
                self.height += if self.index == 0 {
                    stream.at(u64::MAX).next_f64()
                } else {
                    1.0
                };
                curve
            }
            Pattern::Poisson(curve) => {
                self.height += stream.at(self.index).next_exponential();
                curve
            }
            Pattern::Closed { .. } | Pattern::Max => {
                self.time = Time::MAX;
                return;
            }
            Pattern::Varied(varied) => {
                let found = varied.find(self, stream);
                self.arrive(schedule, stream, limit, found);
                return;
            }
        };
        let found = curve.time_at(self.height, &mut self.segment);
        self.arrive(schedule, stream, limit, found);
    }

    #[inline]
    fn arrive(&mut self, schedule: &Schedule, stream: &Stream, limit: u64, found: Option<Time>) {
        let found = if self.index < limit { found } else { None };
        // Rounding must not turn time back.
        self.time = found.map_or(Time::MAX, |time| time.max(self.time));
        if schedule.burst != BurstSize::One {
            self.left = schedule.burst_size(stream, self.index) - 1;
        }
    }
}

impl Schedule {
    /// The size of the burst that begins with message `index`: at least one.
    fn burst_size(&self, stream: &Stream, index: u64) -> u32 {
        match self.burst {
            BurstSize::One => 1,
            BurstSize::Fixed(size) => size.max(1),
            BurstSize::Geometric { mean } if mean > 1.0 => {
                // By inversion: 1 + ⌊ln U / ln(1 - 1/mean)⌋.
                let draw = stream.at2(index, BURST).next_exponential();
                let more = draw / -libm::log1p(-1.0 / mean);
                (more as u32).saturating_add(1)
            }
            BurstSize::Geometric { .. } => 1,
        }
    }
}

/// The second counter of draws for bursts.
const BURST: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use super::*;
    use queuelab_core::Span;
    use queuelab_scenario::{Distribution, Rate, Trace, TraceMessage};

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
        Schedule::new(&arrivals, &phases, members, BurstSize::One)
    }

    fn times(schedule: &Schedule, stream: &Stream) -> Vec<u64> {
        times_of(schedule, stream, 0, Time::ZERO)
    }

    fn times_of(schedule: &Schedule, stream: &Stream, member: u32, start: Time) -> Vec<u64> {
        let mut cursor = Cursor::first(schedule, stream, u64::MAX, member, start);
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
        let mut cursor = Cursor::first(&busy, &stream, 1, 0, Time::ZERO);
        assert_ne!(cursor.time, Time::MAX);
        cursor.advance(&busy, &stream, 1);
        assert_eq!(cursor.time, Time::MAX);
        assert_eq!(
            Cursor::first(&busy, &stream, 0, 0, Time::ZERO).time,
            Time::MAX
        );
    }

    fn run(seconds: u64) -> Vec<Phase> {
        vec![Phase {
            name: "run".into(),
            from: Time::ZERO,
            until: Time::ZERO + Span::from_secs(seconds),
        }]
    }

    fn of(arrivals: Arrivals, seconds: u64, members: u32) -> Schedule {
        Schedule::new(&arrivals, &run(seconds), members, BurstSize::One)
    }

    fn flat(per_second: f64) -> Rate {
        Rate {
            segments: vec![(per_second, per_second)],
        }
    }

    fn stream(member: u64) -> Stream {
        Stream::new(3, "test", member)
    }

    /// Counts per interval of `width` seconds.
    fn histogram(times: &[u64], seconds: u64, width: f64) -> Vec<f64> {
        let mut counts = vec![0.0; (seconds as f64 / width) as usize];
        for time in times {
            let at = (*time as f64 / 1e9 / width) as usize;
            if let Some(count) = counts.get_mut(at) {
                *count += 1.0;
            }
        }
        counts
    }

    fn mean_and_variance(values: &[f64]) -> (f64, f64) {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares = values.iter().map(|value| (value - mean) * (value - mean));
        (mean, squares.sum::<f64>() / n)
    }

    #[test]
    fn bursts_come_at_one_instant_and_the_rate_counts_messages() {
        let seconds = 10_000;
        for (burst, square) in [
            // (sizes, mean square of the size)
            (BurstSize::Fixed(5), 25.0),
            (BurstSize::Geometric { mean: 4.0 }, 28.0),
        ] {
            let arrivals = Arrivals::Poisson(flat(20.0));
            let schedule = Schedule::new(&arrivals, &run(seconds), 1, burst);
            let times = times(&schedule, &stream(0));
            // A compound Poisson process: variance = rate of bursts × mean square.
            let (size, count) = (mean(burst), times.len() as f64);
            let deviation = (20.0 / size * seconds as f64 * square).sqrt();
            assert!(
                (count - 20.0 * seconds as f64).abs() < 5.0 * deviation,
                "{count}"
            );
            let mut instants = times.clone();
            instants.dedup();
            let drawn = count / instants.len() as f64;
            let allowed = 5.0 * ((square - size * size) / instants.len() as f64).sqrt();
            assert!((drawn - size).abs() < allowed + 0.01, "{burst:?}: {drawn}");
        }
        let schedule = Schedule::new(
            &Arrivals::Poisson(flat(20.0)),
            &run(10),
            1,
            BurstSize::Fixed(5),
        );
        let mut cursor = Cursor::first(&schedule, &stream(0), 7, 0, Time::ZERO);
        for _ in 0..6 {
            assert_ne!(cursor.time, Time::MAX);
            cursor.advance(&schedule, &stream(0), 7);
        }
        cursor.advance(&schedule, &stream(0), 7);
        assert_eq!((cursor.index, cursor.time), (7, Time::MAX));
    }

    #[test]
    fn a_late_start_keeps_to_the_rate_from_there_on() {
        let parts = [(10, 100.0, 100.0), (10, 0.0, 400.0)];
        let start = Time::ZERO + Span::from_secs(5);
        for poisson in [false, true] {
            let times = times_of(&schedule(&parts, poisson, 1), &stream(0), 0, start);
            assert!(times[0] >= start.0);
            for (from, until, count) in [(5.0, 10.0, 500.0f64), (10.0, 20.0, 2000.0)] {
                let allowed = if poisson { 5.0 * count.sqrt() } else { 1.0 };
                assert!((between(&times, from, until) - count).abs() <= allowed);
            }
        }
    }

    #[test]
    fn renewal_gaps_have_the_shape_and_the_rate() {
        let gap = Distribution::Gamma {
            mean: Span::from_secs(1),
            cv: 0.5,
        };
        let schedule = of(
            Arrivals::Renewal {
                rate: flat(400.0),
                gap,
            },
            1000,
            4,
        );
        let mut firsts = Vec::new();
        for member in 0..4 {
            let times = times(&schedule, &stream(member));
            firsts.push(times[0]);
            let gaps: Vec<f64> = times
                .windows(2)
                .map(|pair| (pair[1] - pair[0]) as f64 / 1e7)
                .collect();
            let n = gaps.len() as f64;
            let (mean, variance) = mean_and_variance(&gaps);
            assert!((mean - 1.0).abs() < 5.0 * 0.5 / n.sqrt(), "{mean}");
            assert!((variance.sqrt() - 0.5).abs() < 0.01, "{variance}");
        }
        firsts.sort_unstable();
        firsts.dedup();
        assert_eq!(firsts.len(), 4, "they march in step");
        // A stationary start: the first arrival comes after half of (mean + variance / mean) on average.
        let firsts: Vec<f64> = (0..4000)
            .map(|member| {
                Cursor::first(&schedule, &stream(member), 1, 0, Time::ZERO)
                    .time
                    .0 as f64
                    / 1e7
            })
            .collect();
        let (mean, variance) = mean_and_variance(&firsts);
        assert!(
            (mean - 0.625).abs() < 5.0 * (variance / 4000.0).sqrt(),
            "{mean}"
        );
    }

    #[test]
    fn mmpp_has_its_mean_rate_and_its_dispersion() {
        // Two states: the index of dispersion of counts over long times is
        // 1 + 2 (r1 - r2)² q1 q2 / ((q1 + q2)² (r1 q2 + r2 q1)), q the rates of leaving.
        // Heffes, Lucantoni: A Markov modulated characterization of packetized voice, IEEE JSAC 4 (1986) 856–868.
        let states = vec![(40.0, Span::from_secs(5)), (160.0, Span::from_secs(2))];
        let seconds = 200_000;
        let schedule = of(Arrivals::Mmpp { states }, seconds, 1);
        let times = times(&schedule, &stream(0));
        let (r1, r2, q1, q2) = (40.0, 160.0, 0.2, 0.5);
        let rate = (r1 * q2 + r2 * q1) / (q1 + q2);
        let sum: f64 = q1 + q2;
        let dispersion =
            1.0 + 2.0 * (r1 - r2) * (r1 - r2) * q1 * q2 / (sum * sum * (r1 * q2 + r2 * q1));
        let expected = rate * seconds as f64;
        let allowed = 5.0 * (dispersion * expected).sqrt();
        assert!(
            (times.len() as f64 - expected).abs() < allowed,
            "{}",
            times.len()
        );
        // Over windows of T the finite-time index is I - (I - 1) (1 - e^-sT) / sT.
        let width: f64 = 50.0;
        let (mean, variance) = mean_and_variance(&histogram(&times, seconds, width));
        let index =
            dispersion - (dispersion - 1.0) * (1.0 - libm::exp(-sum * width)) / (sum * width);
        let windows = seconds as f64 / width;
        let drawn = variance / mean;
        assert!(
            (drawn / index - 1.0).abs() < 5.0 * (2.0 / windows).sqrt() * 1.2,
            "{drawn}, not {index}"
        );
    }

    #[test]
    fn modulated_arrivals_start_in_the_stationary_phase() {
        let states = vec![(1000.0, Span::from_secs(1)), (0.0, Span::from_secs(3))];
        let schedule = of(Arrivals::Mmpp { states }, 10, 1);
        let silent = (0..4000)
            .filter(|member| {
                let first = Cursor::first(&schedule, &stream(*member), u64::MAX, 0, Time::ZERO);
                first.time > Time::ZERO + Span::from_millis(50)
            })
            .count() as f64;
        // Three of four begin silent, and stay so for 50 ms with probability e^(-50/3000).
        let share = 0.75 * libm::exp(-0.05 / 3.0);
        let allowed = 5.0 * (4000.0 * share * (1.0 - share)).sqrt();
        assert!((silent - 4000.0 * share).abs() < allowed, "{silent}");
    }

    #[test]
    fn on_off_is_silent_when_off_and_members_take_their_own_turns() {
        let on_off = |on, off| Arrivals::OnOff {
            rate: 2000.0,
            on,
            off,
        };
        let constant = |seconds| Distribution::Constant(Span::from_secs(seconds));
        let schedule = of(on_off(constant(1), constant(3)), 4000, 2);
        let (one, two) = (times(&schedule, &stream(0)), times(&schedule, &stream(1)));
        // 1000 cycles of 1000 messages, each cut to whole seconds at full rate.
        assert!(
            (one.len() as f64 - 1e6).abs() < 5.0 * 1e3 + 1e3,
            "{}",
            one.len()
        );
        assert_ne!(one[0], two[0]);
        let quiet = one
            .windows(2)
            .filter(|pair| pair[1] - pair[0] > 2_900_000_000)
            .count();
        assert!((990..=1001).contains(&quiet), "{quiet}");
        let heavy = Distribution::Pareto {
            mean: Span::from_secs(1),
            alpha: 2.5,
        };
        let schedule = of(on_off(heavy.clone(), heavy), 100_000, 2);
        let count = times(&schedule, &stream(0)).len() as f64;
        // Variance of a Pareto time: m² α / ((α - 1)² (α - 2)) with m = 0.6 is 0.8; share on 1/2, 50 000 cycles.
        let deviation = 1000.0 * (50_000f64 * 0.4).sqrt();
        assert!((count - 5e7).abs() < 5.0 * deviation, "{count}");
    }

    #[test]
    fn diurnal_quarters_have_their_shares() {
        let (mean, amplitude, days) = (100.0, 0.8, 50);
        let day = |phase| Arrivals::Diurnal {
            mean,
            amplitude,
            period: Span::from_secs(100),
            phase,
        };
        for phase in [0.0, 0.25] {
            let times = times(&of(day(phase), 100 * days, 1), &stream(0));
            let quarters = histogram(&times, 100 * days, 25.0);
            for quarter in 0..4 {
                let drawn: f64 = quarters.iter().skip(quarter).step_by(4).sum();
                // The sine's integral over a quarter of its period from x on is (cos x - cos(x + π/2)) / 2π of a period.
                let x = std::f64::consts::TAU * (phase + quarter as f64 / 4.0);
                let sine = libm::cos(x) - libm::cos(x + std::f64::consts::FRAC_PI_2);
                let share = 0.25 + amplitude * sine / std::f64::consts::TAU;
                let expected = mean * 100.0 * days as f64 * share;
                assert!(
                    (drawn - expected).abs() < 5.0 * expected.sqrt(),
                    "{phase}, {quarter}: {drawn}, not {expected}"
                );
            }
        }
        // The whole amplitude: the rate touches zero.
        let full = Arrivals::Diurnal {
            mean,
            amplitude: 1.0,
            period: Span::from_secs(100),
            phase: 0.0,
        };
        let count = times(&of(full, 5000, 1), &stream(0)).len() as f64;
        assert!((count - 5e5).abs() < 5.0 * 5e5f64.sqrt(), "{count}");
    }

    #[test]
    fn a_trace_is_dealt_out_in_turn() {
        let messages = (0..7)
            .map(|k| TraceMessage {
                at: Time(k * 100),
                key: None,
                size: None,
            })
            .collect();
        let trace = Trace {
            file: "x.csv".into(),
            messages,
            speed: 1.0,
        };
        let faster = Trace {
            speed: 4.0,
            ..trace.clone()
        };
        let schedule = of(Arrivals::Trace(faster.into()), 1, 3);
        assert_eq!(times(&schedule, &stream(0)), [0, 75, 150]);
        let schedule = of(Arrivals::Trace(trace.into()), 1, 3);
        assert_eq!(
            times_of(&schedule, &stream(0), 0, Time::ZERO),
            [0, 300, 600]
        );
        assert_eq!(times_of(&schedule, &stream(1), 1, Time::ZERO), [100, 400]);
        // A member that starts later plays its part later.
        assert_eq!(times_of(&schedule, &stream(2), 2, Time(50)), [250, 550]);
        assert_eq!(
            times_of(&schedule, &stream(2), 2, Time(999_999_500)),
            [999_999_700]
        );
    }

    #[test]
    fn a_rate_below_one_in_a_second_keeps_its_intervals() {
        let times = times(&of(Arrivals::Constant(flat(0.1)), 1000, 1), &stream(0));
        assert_eq!(times.len(), 100);
        assert_eq!(times[1] - times[0], 10_000_000_000);
    }
}
