//! Figures as people read them.

use std::time::Duration;

use queuelab_core::Span;
use queuelab_record::{Measured, RunRecord, grouped};
use unicode_width::UnicodeWidthStr;

/// Columns that a text takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// A word as a shell reads it back: quoted where that is needed.
pub(crate) fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./~+=@:,".contains(c);
    if word.chars().all(plain) && !word.is_empty() {
        return word.to_string();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A span of wall time.
pub(crate) fn wall(elapsed: Duration) -> Span {
    Span::from_secs_f64(elapsed.as_secs_f64())
}

/// Virtual over wall time: `1,500 × real time`.
pub(crate) fn speed(simulated_s: f64, elapsed: Duration) -> String {
    let ratio = simulated_s / elapsed.as_secs_f64().max(1e-9);
    format!("{} × real time", count_f64(ratio))
}

/// A rate per second: `3,999/s`, `12.5/s`.
pub(super) fn rate(per_second: f64) -> String {
    format!("{}/s", count_f64(per_second))
}

/// A difference of rates with its sign, so that growth and decline are told apart at a glance.
pub(super) fn signed_rate(per_second: f64) -> String {
    match rate(per_second.abs()) {
        zero if zero == "0/s" => zero,
        text if per_second > 0.0 => format!("+{text}"),
        text => format!("−{text}"),
    }
}

/// A number that need not be whole, to three figures or to the last digit before the point.
pub(super) fn count_f64(value: f64) -> String {
    match value {
        value if value.is_infinite() => "∞".into(),
        value if value >= 99.95 => grouped(value.round() as u64),
        value if value >= 9.995 => trimmed(value, 1),
        value => trimmed(value, 2),
    }
}

/// A metric as people read it; a dash where there was nothing to measure.
pub(crate) fn metric(
    record: &RunRecord,
    name: &str,
    of: Option<&str>,
    phase: Option<&str>,
) -> String {
    match record.metric(name, of, phase) {
        Ok(Measured::NoSamples) | Err(_) => NOTHING.into(),
        Ok(measured) => measured.to_string(),
    }
}

fn trimmed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

/// What metrics put before a figure that can only grow.
pub(super) const AT_LEAST: &str = "≥";

/// In place of a figure that there is not.
pub(super) const NOTHING: &str = "—";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_three_figures() {
        assert_eq!(
            [0.0, 0.8, 12.54, 99.96, 3999.7].map(rate),
            ["0/s", "0.8/s", "12.5/s", "100/s", "4,000/s"]
        );
        assert_eq!(
            [-799.2, 3000.0, 0.001].map(signed_rate),
            ["−799/s", "+3,000/s", "0/s"]
        );
        assert_eq!(signed_rate(f64::NEG_INFINITY), "−∞/s");
    }

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(shell_word("./my-design.toml"), "./my-design.toml");
        assert_eq!(shell_word("it's here.toml"), r"'it'\''s here.toml'");
    }
}
