//! Quantities as people write them: `20ms`, `200/s`, `8KiB`, `500MB/s`.
//!
//! Parsers return what is wrong as a message that can stand behind the offending text.

use queuelab_core::Span;

/// The longest duration that a scenario may mention: ten years.
pub const LONGEST: Span = Span::from_secs(10 * 365 * 86_400);

/// The highest rate that a scenario may mention, in 1/s.
pub const FASTEST: f64 = 1e9;

/// A duration: `250us`, `20ms`, `1.5s`, `2m30s`, `1h`. Units are ns, us (or µs), ms, s, m, h, d, largest first.
pub fn parse_duration(text: &str) -> Result<Span, String> {
    let mut rest = unsigned(text)?;
    let (mut total, mut smallest) = (0_u128, u128::MAX);
    while !rest.is_empty() {
        let (number, unit, after) = quantity(rest)?;
        let nanos = match unit {
            "" => {
                let number = short(number);
                return Err(format!(
                    "{} has no unit: write \"{number}ms\", \"{number}s\" or \"{number}m\"",
                    shown(text)
                ));
            }
            _ => time_unit(unit).ok_or_else(|| {
                format!(
                    "`{}` is not a unit of time; they are ns, us, ms, s, m, h, d",
                    short(unit)
                )
            })?,
        };
        if nanos >= smallest {
            return Err(format!(
                "units go from large to small, each once, as in \"2m30s\", not {}",
                shown(text)
            ));
        }
        smallest = nanos;
        total = total.saturating_add(scaled(number, nanos, "a nanosecond")?);
        rest = after;
    }
    match u64::try_from(total) {
        Ok(nanos) if Span(nanos) <= LONGEST => Ok(Span(nanos)),
        _ => Err(format!("{} is longer than ten years", shown(text))),
    }
}

/// A duration in nanoseconds that may be negative: `1h`, `-30s`.
pub(crate) fn parse_signed_duration(text: &str) -> Result<i64, String> {
    let trimmed = text.trim();
    let (sign, length) = match trimmed.strip_prefix('-') {
        Some(length) => (-1, length),
        None => (1, trimmed),
    };
    // Ten years fit.
    parse_duration(length).map(|span| sign * i64::try_from(span.0).unwrap_or(i64::MAX))
}

/// A rate in 1/s: `200/s`, `12/m`, `5/h`.
pub fn parse_rate(text: &str) -> Result<f64, String> {
    let text = unsigned(text)?;
    let Some((number, unit)) = text.split_once('/') else {
        return Err(format!("a rate says per what: write \"{}/s\"", short(text)));
    };
    let seconds = match unit.trim() {
        "min" => 60.0,
        unit => match time_unit(unit) {
            Some(nanos) => nanos as f64 / 1e9,
            None => {
                return Err(format!(
                    "`{}` is not a unit of time: rates are per s, m or h, as in \"200/s\"",
                    short(unit)
                ));
            }
        },
    };
    let rate = decimal(number.trim())? / seconds;
    if rate <= FASTEST {
        Ok(rate)
    } else {
        Err(format!(
            "{} is above the highest rate, 1_000_000_000/s",
            shown(text)
        ))
    }
}

/// A size in bytes: `700B`, `64kB`, `8KiB`, `1MB`.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let (number, unit, after) = quantity(unsigned(text)?)?;
    if unit.is_empty() && after.is_empty() {
        let number = short(number);
        return Err(format!(
            "{} has no unit: write \"{number}B\" or \"{number}KiB\"",
            shown(text)
        ));
    }
    let bytes = byte_unit(unit)
        .filter(|_| after.is_empty())
        .ok_or_else(|| {
            format!(
                "{} is not a size such as \"700B\", \"8KiB\" or \"1MB\"",
                shown(text)
            )
        })?;
    u64::try_from(scaled(number, bytes, "a byte")?)
        .map_err(|_| format!("{} is too large", shown(text)))
}

/// A bandwidth in bytes per second: `500MB/s`, `10Gbit/s`; `None` for `unlimited`.
pub fn parse_bandwidth(text: &str) -> Result<Option<f64>, String> {
    if text.trim() == "unlimited" {
        return Ok(None);
    }
    let wrong = || {
        format!(
            "{} is not a bandwidth such as \"500MB/s\", \"10Gbit/s\" or \"unlimited\"",
            shown(text)
        )
    };
    let amount = unsigned(text)?.strip_suffix("/s").ok_or_else(wrong)?;
    let (number, unit, after) = quantity(amount)?;
    let bytes = match unit {
        "bit" => 0.125,
        "kbit" | "Kbit" => 125.0,
        "Mbit" => 125e3,
        "Gbit" => 125e6,
        _ => byte_unit(unit).ok_or_else(wrong)? as f64,
    };
    let bandwidth = decimal(number)? * bytes;
    match bandwidth {
        _ if !after.is_empty() => Err(wrong()),
        _ if bandwidth < 1.0 => Err("a bandwidth must be at least 1B/s".into()),
        _ if bandwidth > 1e15 => Err(format!("{} is too large: write \"unlimited\"", shown(text))),
        _ => Ok(Some(bandwidth)),
    }
}

/// A plain number, 0 or more: `0.8`, `200_000`.
pub(crate) fn decimal(text: &str) -> Result<f64, String> {
    let wrong = || format!("{} is not a number", shown(text));
    let digits = plain(text).ok_or_else(wrong)?;
    digits
        .parse::<f64>()
        .ok()
        .filter(|value| value.is_finite())
        .ok_or_else(wrong)
}

/// `text` in quotes, cut where it is longer than anybody wants to read.
pub(crate) fn shown(text: &str) -> String {
    format!("\"{}\"", short(text))
}

/// `text`, cut where it is longer than anybody wants to read, without control characters.
pub(crate) fn short(text: &str) -> String {
    let mut out: String = text
        .chars()
        .take(60)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if text.chars().nth(60).is_some() {
        out.push('…');
    }
    out
}

fn unsigned(text: &str) -> Result<&str, String> {
    let trimmed = text.trim();
    match trimmed {
        "" => Err("there is nothing in it".into()),
        _ if trimmed.starts_with('-') => Err(format!("{} is negative", shown(text))),
        _ => Ok(trimmed),
    }
}

/// Splits `20ms rest` into number, unit and the rest.
fn quantity(text: &str) -> Result<(&str, &str, &str), String> {
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_'))
        .unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    if number.is_empty() {
        return Err(format!("{} does not start with a number", shown(text)));
    }
    let rest = rest.trim_start();
    let end = rest
        .find(|c: char| !(c.is_alphabetic()))
        .unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(end);
    if unit.is_empty() && !rest.is_empty() {
        return Err(format!("{} is not a number with a unit", shown(text)));
    }
    Ok((number, unit, rest.trim_start()))
}

fn time_unit(unit: &str) -> Option<u128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        _ => return None,
    })
}

fn byte_unit(unit: &str) -> Option<u128> {
    Some(match unit {
        "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    })
}

/// `number` · `unit` in whole base units: exact, so that what is written is what is simulated.
fn scaled(number: &str, unit: u128, base: &str) -> Result<u128, String> {
    let digits = plain(number).ok_or_else(|| format!("{} is not a number", shown(number)))?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
    let fraction = fraction.trim_end_matches('0');
    if whole.len() > 20 || fraction.len() > 15 {
        return Err(format!("{} has too many digits", shown(number)));
    }
    // Both fit: at most 35 digits.
    let joined: u128 = format!("{whole}{fraction}").parse().unwrap_or(0);
    let divisor = 10_u128.pow(fraction.len() as u32);
    let product = joined
        .checked_mul(unit)
        .ok_or_else(|| format!("{} is too large", shown(number)))?;
    if product % divisor == 0 {
        Ok(product / divisor)
    } else {
        Err(format!("{} is finer than {base}", shown(number)))
    }
}

/// Digits with at most one point between them; underscores may part them.
fn plain(text: &str) -> Option<String> {
    let digits = text.replace('_', "");
    let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, "0"));
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    (is_digits(whole) && is_digits(fraction) && !text.starts_with('_')).then_some(digits)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations() {
        let cases = [
            ("0s", 0),
            ("184ns", 184),
            ("250us", 250_000),
            ("250µs", 250_000),
            ("12.5 ms", 12_500_000),
            ("20ms", 20_000_000),
            ("1.000000001s", 1_000_000_001),
            ("2m30s", 150_000_000_000),
            ("1h", 3_600_000_000_000),
            ("1d2h", 93_600_000_000_000),
            ("1_000s", 1_000_000_000_000),
        ];
        for (text, nanos) in cases {
            assert_eq!(parse_duration(text), Ok(Span(nanos)), "{text}");
        }
    }

    #[test]
    fn rates_sizes_bandwidths() {
        assert_eq!(parse_rate("200/s"), Ok(200.0));
        assert_eq!(parse_rate("12/m"), Ok(0.2));
        assert_eq!(parse_rate("12/min"), Ok(0.2));
        assert_eq!(parse_rate("36/h"), Ok(0.01));
        assert_eq!(parse_rate("4_000.5 / s"), Ok(4000.5));
        assert_eq!(parse_size("700B"), Ok(700));
        assert_eq!(parse_size("8KiB"), Ok(8192));
        assert_eq!(parse_size("1.5MB"), Ok(1_500_000));
        assert_eq!(parse_bandwidth("500MB/s"), Ok(Some(5e8)));
        assert_eq!(parse_bandwidth("10Gbit/s"), Ok(Some(1.25e9)));
        assert_eq!(parse_bandwidth("unlimited"), Ok(None));
    }

    #[test]
    fn refusals_say_what_to_write() {
        let mut out = String::new();
        for text in [
            "",
            "20",
            "20 parsecs",
            "-5s",
            "s",
            "1s2m",
            "1s1s",
            "0.1ns",
            "1e3s",
            "NaN",
            "inf",
            "11000d",
            "1..2s",
            "9".repeat(99).as_str(),
        ] {
            out += &format!("duration: {}\n", parse_duration(text).unwrap_err());
        }
        for text in [
            "200",
            "-1/s",
            "200/sec",
            "x/s",
            "2e9/s",
            "2000000000/s",
            "inf/s",
        ] {
            out += &format!("rate: {}\n", parse_rate(text).unwrap_err());
        }
        for text in [
            "700",
            "700b",
            "0.5B",
            "-1B",
            "1B2B",
            "99999999999999999999GB",
        ] {
            out += &format!("size: {}\n", parse_size(text).unwrap_err());
        }
        for text in ["10", "10MB", "10Gb/s", "0B/s", "99999999999GB/s"] {
            out += &format!("bandwidth: {}\n", parse_bandwidth(text).unwrap_err());
        }
        expect![[r#"
            duration: there is nothing in it
            duration: "20" has no unit: write "20ms", "20s" or "20m"
            duration: `parsecs` is not a unit of time; they are ns, us, ms, s, m, h, d
            duration: "-5s" is negative
            duration: "s" does not start with a number
            duration: units go from large to small, each once, as in "2m30s", not "1s2m"
            duration: units go from large to small, each once, as in "2m30s", not "1s1s"
            duration: "0.1" is finer than a nanosecond
            duration: `e` is not a unit of time; they are ns, us, ms, s, m, h, d
            duration: "NaN" does not start with a number
            duration: "inf" does not start with a number
            duration: "11000d" is longer than ten years
            duration: "1..2" is not a number
            duration: "999999999999999999999999999999999999999999999999999999999999…" has no unit: write "999999999999999999999999999999999999999999999999999999999999…ms", "999999999999999999999999999999999999999999999999999999999999…s" or "999999999999999999999999999999999999999999999999999999999999…m"
            rate: a rate says per what: write "200/s"
            rate: "-1/s" is negative
            rate: `sec` is not a unit of time: rates are per s, m or h, as in "200/s"
            rate: "x" is not a number
            rate: "2e9" is not a number
            rate: "2000000000/s" is above the highest rate, 1_000_000_000/s
            rate: "inf" is not a number
            size: "700" has no unit: write "700B" or "700KiB"
            size: "700b" is not a size such as "700B", "8KiB" or "1MB"
            size: "0.5" is finer than a byte
            size: "-1B" is negative
            size: "1B2B" is not a size such as "700B", "8KiB" or "1MB"
            size: "99999999999999999999GB" is too large
            bandwidth: "10" is not a bandwidth such as "500MB/s", "10Gbit/s" or "unlimited"
            bandwidth: "10MB" is not a bandwidth such as "500MB/s", "10Gbit/s" or "unlimited"
            bandwidth: "10Gb/s" is not a bandwidth such as "500MB/s", "10Gbit/s" or "unlimited"
            bandwidth: a bandwidth must be at least 1B/s
            bandwidth: "99999999999GB/s" is too large: write "unlimited"
        "#]].assert_eq(&out);
    }

    proptest! {
        #[test]
        fn whole_nanoseconds_come_back(nanos in 0..LONGEST.0) {
            prop_assert_eq!(parse_duration(&format!("{nanos}ns")), Ok(Span(nanos)));
            let secs = format!("{}.{:09}s", nanos / 1_000_000_000, nanos % 1_000_000_000);
            prop_assert_eq!(parse_duration(&secs), Ok(Span(nanos)));
        }

        #[test]
        fn any_text_is_an_answer_or_a_message(text in "\\PC*") {
            let _ = (parse_duration(&text), parse_rate(&text), parse_size(&text), parse_bandwidth(&text));
        }

        #[test]
        fn what_is_displayed_can_be_read(nanos in 0..LONGEST.0) {
            prop_assert!(parse_duration(&Span(nanos).to_string()).is_ok());
        }
    }
}
