//! Numbers with units, exact to the last digit, so that ten steps of 0.1 are 1.0.

use queuelab_record::{AxisUnit, Setting};
use queuelab_scenario::{parse_bandwidth, parse_duration, parse_rate, parse_size};

/// A number as written, with its unit: `0.5`, `50/s`, `20ms`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Amount {
    /// All digits, as one whole number.
    digits: i128,
    /// How many of them stand behind the point.
    scale: u32,
    unit: String,
}

impl Amount {
    /// Reads one number with one unit, or none; `1m30s` is no such thing.
    pub(super) fn parse(text: &str) -> Option<Amount> {
        let text = text.trim();
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let number = |c: char| c.is_ascii_digit() || c == '.' || c == '_';
        let end = unsigned.find(|c| !number(c)).unwrap_or(unsigned.len());
        let (digits, unit) = unsigned.split_at(end);
        if digits.starts_with('_') || digits.ends_with('_') {
            return None;
        }
        let digits = digits.replace('_', "");
        let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
        let one = !unit.contains(|c: char| c.is_ascii_digit());
        let known = unit.is_empty() || (one && measured(unsigned).is_some());
        let sound = !whole.is_empty()
            && whole.len() <= WHOLE_MAX
            && fraction.len() <= FRACTION_MAX
            && !fraction.contains('.')
            && !digits.ends_with('.');
        // Only plain numbers can be negative.
        if !sound || !known || (negative && !unit.is_empty()) {
            return None;
        }
        let value: i128 = format!("{whole}{fraction}").parse().ok()?;
        Some(Amount {
            digits: if negative { -value } else { value },
            scale: fraction.len() as u32,
            unit: unit.trim().to_string(),
        })
    }

    pub(super) fn unit(&self) -> &str {
        &self.unit
    }

    pub(super) fn scale(&self) -> u32 {
        self.scale
    }

    /// Whether nothing stands behind the point.
    pub(super) fn is_whole(&self) -> bool {
        self.scale == 0
    }

    /// All digits with `scale` of them behind the point, where it has no more than that.
    pub(super) fn at(&self, scale: u32) -> i128 {
        self.digits * 10_i128.pow(scale.saturating_sub(self.scale))
    }

    /// A number in the same unit.
    pub(super) fn with(&self, digits: i128, scale: u32) -> Amount {
        Amount {
            digits,
            scale,
            unit: self.unit.clone(),
        }
    }

    /// Without zeros at the end of its fraction.
    pub(super) fn trimmed(mut self) -> Amount {
        while self.scale > 0 && self.digits % 10 == 0 {
            self.digits /= 10;
            self.scale -= 1;
        }
        self
    }

    /// As the scenario takes it.
    pub(super) fn text(&self) -> String {
        let sign = if self.digits < 0 { "-" } else { "" };
        let digits = self.digits.unsigned_abs().to_string();
        let scale = self.scale as usize;
        let digits = format!("{digits:0>width$}", width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let point = if scale > 0 { "." } else { "" };
        format!("{sign}{whole}{point}{fraction}{}", self.unit)
    }
}

/// A value as it was typed, with its number.
pub(super) fn setting(text: &str) -> Setting {
    Setting {
        text: text.trim().to_string(),
        number: measured(text.trim()).map(|(_, number)| number),
    }
}

/// What the numbers of `settings` are in; words, if not all of them are of one kind.
pub(super) fn unit_of(settings: &[Setting]) -> AxisUnit {
    let mut units = settings
        .iter()
        .map(|setting| measured(&setting.text).map(|(unit, _)| unit));
    match units.next() {
        Some(Some(first)) if units.all(|unit| unit == Some(first)) => first,
        _ => AxisUnit::Words,
    }
}

/// What a text measures, in seconds, 1/s, bytes, bytes per second or plain.
fn measured(text: &str) -> Option<(AxisUnit, f64)> {
    let plain = text.replace('_', "");
    let number = plain.parse::<f64>().ok().filter(|value| value.is_finite());
    if let Some(number) = number {
        return Some((AxisUnit::Number, number));
    }
    let time = parse_duration(text).map(|span| (AxisUnit::Time, span.as_secs_f64()));
    let rate = || parse_rate(text).map(|rate| (AxisUnit::Rate, rate));
    let size = || parse_size(text).map(|bytes| (AxisUnit::Size, bytes as f64));
    let bandwidth = || match parse_bandwidth(text) {
        Ok(Some(bandwidth)) => Ok((AxisUnit::Bandwidth, bandwidth)),
        Ok(None) => Err(String::new()),
        Err(error) => Err(error),
    };
    time.or_else(|_| rate())
        .or_else(|_| size())
        .or_else(|_| bandwidth())
        .ok()
}

/// More digits are nobody's parameter, and with these no sum or product is too large.
const WHOLE_MAX: usize = 12;
const FRACTION_MAX: usize = 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_written_exactly() {
        for (text, same) in [
            ("10", "10"),
            ("0.50", "0.50"),
            ("-3", "-3"),
            ("200_000", "200000"),
            ("50/s", "50/s"),
            ("1.5ms", "1.5ms"),
            ("8KiB", "8KiB"),
            ("500MB/s", "500MB/s"),
            ("0.001", "0.001"),
        ] {
            let amount = Amount::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(amount.text(), same);
        }
        for text in [
            "",
            "ten",
            "1m30s",
            "5x",
            "1.2.3",
            "1.",
            "-5ms",
            "_1",
            "1_",
            "10/",
            "50/fortnight",
            "1e3",
            "1234567890123456",
        ] {
            assert_eq!(Amount::parse(text), None, "{text}");
        }
    }

    #[test]
    fn kinds_do_not_mix() {
        let unit = |texts: &[&str]| {
            let settings: Vec<Setting> = texts.iter().map(|text| setting(text)).collect();
            unit_of(&settings)
        };
        assert_eq!(unit(&["1m30s", "5ms"]), AxisUnit::Time);
        assert_eq!(unit(&["50/s", "12/m"]), AxisUnit::Rate);
        assert_eq!(unit(&["1", "2.5"]), AxisUnit::Number);
        assert_eq!(unit(&["1", "5ms"]), AxisUnit::Words);
        assert_eq!(unit(&["fsync", "os"]), AxisUnit::Words);
        assert_eq!(setting(" 12/m ").number, Some(0.2));
    }
}
