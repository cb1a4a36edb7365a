//! How values read.

use queuelab_core::Span;
use queuelab_record::{Unit, bytes, number, percent, rate};

/// How a value reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Seconds.
    Time,
    /// A whole number, or nearly.
    Count,
    /// Per second.
    Rate,
    /// From 0 to 1.
    Share,
    /// Bytes.
    Size,
}

impl Reading {
    /// As the script of a report calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Reading::Time => "time",
            Reading::Count => "count",
            Reading::Rate => "rate",
            Reading::Share => "share",
            Reading::Size => "size",
        }
    }

    /// A value as people read it.
    pub(crate) fn text(self, value: f64) -> String {
        let sign = if value < 0.0 { "−" } else { "" };
        let size = value.abs();
        let text = match self {
            Reading::Time => Span::from_secs_f64(size).to_string(),
            Reading::Count => number(size),
            Reading::Rate => rate(size),
            Reading::Share => percent(size),
            Reading::Size => bytes(size as u64),
        };
        format!("{sign}{text}")
    }
}

impl From<Option<Unit>> for Reading {
    fn from(unit: Option<Unit>) -> Reading {
        match unit {
            Some(Unit::Time) => Reading::Time,
            Some(Unit::Rate) => Reading::Rate,
            Some(Unit::Ratio) => Reading::Share,
            Some(Unit::Count) | None => Reading::Count,
        }
    }
}
