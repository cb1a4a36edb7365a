//! Numbers as a person reads them.

use queuelab_core::Time;
use queuelab_record::grouped;

/// Three significant figures, or all before the point: `4,012`, `20.5`, `0.05`.
pub(crate) fn number(value: f64) -> String {
    let decimals = match value.abs() {
        small if small < 9.995 => 2,
        small if small < 99.95 => 1,
        _ => return grouped(value.abs().round() as u64),
    };
    let text = format!("{:.decimals$}", value.abs());
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

/// `4,012/s`
pub(crate) fn rate(per_second: f64) -> String {
    format!("{}/s", number(per_second))
}

/// `0.005`, `50`, `1,000`: a factor that is written with few digits, in all of them.
pub(crate) fn factor(value: f64) -> String {
    if value < 1.0 {
        format!("{value}")
    } else {
        number(value)
    }
}

/// An instant in figures that do not dance: `3m04.2s`; to the microsecond where events are followed one by one.
pub(crate) fn clock(time: Time, exact: bool) -> String {
    let decimals = if exact { 6 } else { 1 };
    let (secs, nanos) = (time.0 / 1_000_000_000, time.0 % 1_000_000_000);
    let fraction = format!("{nanos:09}");
    let fraction = &fraction[..decimals];
    let (minutes, rest) = (secs / 60, secs % 60);
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{rest}.{fraction}s"),
        (0, minutes) => format!("{minutes}m{rest:02}.{fraction}s"),
        (hours, minutes) => format!("{hours}h{minutes:02}m{rest:02}.{fraction}s"),
    }
}

/// At most `width` columns of `text`; an ellipsis stands for the rest.
pub(crate) fn shortened(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_string();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    if width > 0 {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_separators_and_few_decimals() {
        assert_eq!(number(0.0), "0");
        assert_eq!(number(0.054), "0.05");
        assert_eq!(number(20.52), "20.5");
        assert_eq!(number(999.6), "1,000");
    }

    #[test]
    fn clocks_keep_their_decimals() {
        let second = 1_000_000_000;
        assert_eq!(clock(Time(0), false), "0.0s");
        assert_eq!(clock(Time(184 * second + 250_000_000), false), "3m04.2s");
        assert_eq!(clock(Time(184 * second + 1_500), true), "3m04.000001s");
        assert_eq!(clock(Time(3_725 * second), false), "1h02m05.0s");
    }

    #[test]
    fn long_text_is_shortened() {
        assert_eq!(shortened("orders", 6), "orders");
        assert_eq!(shortened("orders", 5), "orde…");
        assert_eq!(shortened("orders", 0), "");
    }
}
