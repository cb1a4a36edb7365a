//! Instants and spans in integer nanoseconds. There is no `now()`: time is an input.

use std::fmt;
use std::ops::{Add, AddAssign, Mul, Sub};

use serde::{Deserialize, Serialize};

/// An instant: nanoseconds since this incarnation's origin, monotonic.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Time(pub u64);

/// An instant that outlives a restart: nanoseconds since the Unix epoch, as this machine's wall clock has it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct WallTime(pub u64);

/// A length of time in nanoseconds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Span(pub u64);

impl Time {
    /// The origin of this incarnation.
    pub const ZERO: Time = Time(0);
    /// Later than every instant that occurs.
    pub const MAX: Time = Time(u64::MAX);

    /// The span since `earlier`; zero if `earlier` is later.
    pub const fn since(self, earlier: Time) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }

    /// Seconds since the origin.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);
    /// Longer than every span that occurs.
    pub const MAX: Span = Span(u64::MAX);

    /// A span of whole nanoseconds.
    pub const fn from_nanos(nanos: u64) -> Span {
        Span(nanos)
    }

    /// A span of whole microseconds.
    pub const fn from_micros(micros: u64) -> Span {
        Span(micros * 1_000)
    }

    /// A span of whole milliseconds.
    pub const fn from_millis(millis: u64) -> Span {
        Span(millis * 1_000_000)
    }

    /// A span of whole seconds.
    pub const fn from_secs(secs: u64) -> Span {
        Span(secs * 1_000_000_000)
    }

    /// The nearest span to `secs` seconds; negative and not-a-number become zero, too large the maximum.
    pub fn from_secs_f64(secs: f64) -> Span {
        // `as` saturates and maps NaN to zero, which is what is promised.
        Span((secs * 1e9 + 0.5) as u64)
    }

    /// Seconds.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// True for a span of no time.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl WallTime {
    /// Before every instant that occurs.
    pub const ZERO: WallTime = WallTime(0);
    /// Later than every instant that occurs.
    pub const MAX: WallTime = WallTime(u64::MAX);

    /// The span since `earlier`; zero if `earlier` is later.
    pub const fn since(self, earlier: WallTime) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Span> for WallTime {
    type Output = WallTime;
    fn add(self, span: Span) -> WallTime {
        WallTime(self.0.saturating_add(span.0))
    }
}

impl Add<Span> for Time {
    type Output = Time;
    fn add(self, span: Span) -> Time {
        Time(self.0.saturating_add(span.0))
    }
}

impl AddAssign<Span> for Time {
    fn add_assign(&mut self, span: Span) {
        *self = *self + span;
    }
}

impl Sub<Time> for Time {
    type Output = Span;
    fn sub(self, earlier: Time) -> Span {
        self.since(earlier)
    }
}

impl Add for Span {
    type Output = Span;
    fn add(self, other: Span) -> Span {
        Span(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Span {
    fn add_assign(&mut self, other: Span) {
        *self = *self + other;
    }
}

impl Sub for Span {
    type Output = Span;
    fn sub(self, other: Span) -> Span {
        Span(self.0.saturating_sub(other.0))
    }
}

impl Mul<u64> for Span {
    type Output = Span;
    fn mul(self, times: u64) -> Span {
        Span(self.0.saturating_mul(times))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Span(self.0).fmt(f)
    }
}

/// Three significant figures in the unit a person would choose: `184 ns`, `12.5 ms`, `3m45.4s`, `2h05m`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = display_span(self.0);
        f.pad(&text)
    }
}

fn display_span(nanos: u64) -> String {
    const MINUTE: u64 = 60_000_000_000;
    let secs = nanos as f64 / 1e9;
    match nanos {
        0 => "0s".into(),
        1..1_000 => format!("{nanos} ns"),
        1_000..999_500 => format!("{} µs", three_figures(secs * 1e6)),
        999_500..999_500_000 => format!("{} ms", three_figures(secs * 1e3)),
        999_500_000..59_950_000_000 => format!("{} s", three_figures(secs)),
        _ if nanos < 60 * MINUTE => {
            let tenths = (nanos + 50_000_000) / 100_000_000;
            let (minutes, rest) = (tenths / 600, tenths % 600);
            match rest {
                0 => format!("{minutes}m"),
                _ if rest % 10 == 0 => format!("{minutes}m{:02}s", rest / 10),
                _ => format!("{minutes}m{:02}.{}s", rest / 10, rest % 10),
            }
        }
        _ => {
            let minutes = (nanos + MINUTE / 2) / MINUTE;
            match minutes % 60 {
                0 => format!("{}h", minutes / 60),
                rest => format!("{}h{rest:02}m", minutes / 60),
            }
        }
    }
}

fn three_figures(value: f64) -> String {
    let decimals = if value < 9.995 {
        2
    } else if value < 99.95 {
        1
    } else {
        0
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_string()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_as_a_person_would_write_them() {
        let cases = [
            (0, "0s"),
            (184, "184 ns"),
            (1_600, "1.6 µs"),
            (999_600, "1 ms"),
            (12_540_000, "12.5 ms"),
            (1_000_000_000, "1 s"),
            (50_000_000_000, "50 s"),
            (60_000_000_000, "1m"),
            (225_400_000_000, "3m45.4s"),
            (225_000_000_000, "3m45s"),
            (7_500_000_000_000, "2h05m"),
        ];
        for (nanos, text) in cases {
            assert_eq!(Span(nanos).to_string(), text);
        }
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Time::MAX + Span(1), Time::MAX);
        assert_eq!(Time(3) - Time(5), Span::ZERO);
        assert_eq!(Span::from_secs_f64(f64::NAN), Span::ZERO);
        assert_eq!(Span::from_secs_f64(1e30), Span::MAX);
    }
}
