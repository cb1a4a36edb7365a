//! Figures as people read them.

/// A whole number with thousands separators: `179,724`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Values over time as `width` bars: `▁▁▃▅█▇▅▃▁`. A bar stands for the largest of the values that it covers and is scaled
/// to the largest of all, so that a short peak is never lost. Empty without values.
pub fn sparkline(values: &[u64], width: usize) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let Some(&top) = values.iter().max() else {
        return String::new();
    };
    (0..width)
        .map(|column| {
            let from = column * values.len() / width;
            let until = ((column + 1) * values.len() / width).max(from + 1);
            let value = values[from..until].iter().max().copied().unwrap_or(0);
            let height = (u128::from(value) * 7).div_ceil(u128::from(top.max(1)));
            BARS[height as usize]
        })
        .collect()
}

/// Seeds: `7`, `7..16`, `3, 9, 12 and 4 more`.
pub fn seeds(seeds: &[u64]) -> String {
    let follows = |pair: &[u64]| pair[0].checked_add(1) == Some(pair[1]);
    if let ([first, .., last], true) = (seeds, seeds.windows(2).all(follows)) {
        return format!("{first}..{last}");
    }
    and_more(seeds, SEEDS_MAX, u64::to_string)
}

/// More would not be read.
const SEEDS_MAX: usize = 5;

/// The first few, and how many more there are: `3, 9, 12 and 4 more`.
pub(crate) fn and_more<T>(all: &[T], most: usize, shown: impl Fn(&T) -> String) -> String {
    let first: Vec<String> = all.iter().take(most).map(shown).collect();
    match all.len() - first.len() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// A share between 0 and 1: `98.9 %`. What is there does not vanish: `< 0.1 %`.
pub fn percent(share: f64) -> String {
    if share > 0.0 && share < 0.000_5 {
        return "< 0.1 %".into();
    }
    let text = format!("{:.1}", share * 100.0);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A rate per second: `3,999/s`, `12.5/s`.
pub fn rate(per_second: f64) -> String {
    format!("{}/s", number(per_second))
}

/// A difference of rates with its sign, so that growth and decline are told apart at a glance.
pub fn signed_rate(per_second: f64) -> String {
    match rate(per_second.abs()) {
        zero if zero == "0/s" => zero,
        text if per_second > 0.0 => format!("+{text}"),
        text => format!("−{text}"),
    }
}

/// A number of 0 or more that need not be whole, to three figures or to the last digit before the point, without zeros at its end.
pub fn number(value: f64) -> String {
    let trimmed = |decimals: usize| {
        let text = format!("{value:.decimals$}");
        text.trim_end_matches('0').trim_end_matches('.').to_string()
    };
    match value {
        value if value.is_infinite() => "∞".into(),
        value if value >= 99.95 => grouped(value.round() as u64),
        value if value >= 9.995 => trimmed(1),
        _ => trimmed(2),
    }
}

/// A number of bytes in the largest unit of which there is one: `23.4 MiB`.
pub fn bytes(count: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let unit = (1..=4).rev().find(|unit| count >> (10 * unit) > 0);
    match unit {
        None => format!("{count} B"),
        Some(unit) => {
            let value = count as f64 / (1_u64 << (10 * unit)) as f64;
            format!("{} {}", number(value), units[unit - 1])
        }
    }
}

/// A number that need not be whole, in about three figures: `0.87`, `20.5`, `1,204`.
pub(crate) fn decimal(value: f64) -> String {
    let size = value.abs();
    let decimals = match size {
        _ if size >= 99.95 || size == size.trunc() => 0,
        _ if size >= 9.995 => 1,
        _ => 2,
    };
    if decimals > 0 {
        return format!("{value:.decimals$}");
    }
    let sign = if value < 0.0 { "−" } else { "" };
    // `as` saturates, far beyond any count.
    format!("{sign}{}", grouped((size + 0.5) as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }

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
    fn shares_do_not_vanish() {
        assert_eq!(
            [0.989, 0.2, 0.0001, 0.0, 1.0].map(percent),
            ["98.9 %", "20 %", "< 0.1 %", "0 %", "100 %"]
        );
    }

    #[test]
    fn decimals_keep_about_three_figures() {
        for (value, text) in [
            (0.0, "0"),
            (0.873, "0.87"),
            (20.46, "20.5"),
            (200.7, "201"),
            (1_204.4, "1,204"),
            (-3.25, "-3.25"),
            (-1_204.0, "−1,204"),
        ] {
            assert_eq!(decimal(value), text);
        }
    }

    #[test]
    fn sparklines_keep_peaks_and_stretch_short_series() {
        assert_eq!(sparkline(&[], 5), "");
        assert_eq!(sparkline(&[0, 0], 4), "▁▁▁▁");
        assert_eq!(sparkline(&[0, 7, 3, 0], 4), "▁█▄▁");
        assert_eq!(sparkline(&[0, 7], 4), "▁▁██");
        let mut long = vec![1; 1_000];
        long[500] = 700;
        assert_eq!(sparkline(&long, 10), "▂▂▂▂▂█▂▂▂▂");
    }
}
