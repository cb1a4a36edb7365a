//! `--vary KEY=VALUES`: what is varied, and which values it takes.

use std::collections::BTreeSet;

use anyhow::{Context as _, bail};
use queuelab_record::{Axis, Setting};

use super::amount::{Amount, setting, unit_of};

/// A value of the scenario, and what it is to be.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Vary {
    /// As `--set` takes it.
    pub(super) path: String,
    pub(super) values: Values,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Values {
    /// `10..50/10`, `1,2,4`: these.
    These(Vec<Setting>),
    /// `10..50`: anything from here to there.
    Between(Amount, Amount),
}

/// From one value to the next.
enum Step {
    Plus(Amount),
    Times(Amount),
}

impl Vary {
    /// Reads `KEY=VALUES`.
    ///
    /// # Errors
    /// What is wrong, and what to write instead.
    pub(super) fn parse(text: &str) -> anyhow::Result<Vary> {
        let read = || {
            let Some((path, values)) = split_path(text) else {
                bail!("it is KEY=VALUES, as in consumer.workers.count=10..50/10");
            };
            Ok(Vary {
                path: path.trim().to_string(),
                values: values_of(path.trim(), values.trim())?,
            })
        };
        read().with_context(|| format!("failed to read --vary '{text}'"))
    }

    /// The values of a grid.
    ///
    /// # Errors
    /// If it is a range without a step.
    pub(super) fn listed(&self) -> anyhow::Result<&[Setting]> {
        match &self.values {
            Values::These(settings) => Ok(settings),
            Values::Between(from, to) => {
                let (from, to) = (from.text(), to.text());
                bail!(
                    "failed to read --vary '{0}={from}..{to}': a range needs a step: write {0}={from}..{to}/STEP (or 'by STEP', 'by x2'), \
                     or --lhs N for N points of a Latin hypercube",
                    self.path
                )
            }
        }
    }
}

/// The axis of a path with the values that points have there, each once.
pub(super) fn axis(path: &str, settings: impl Iterator<Item = Setting>) -> Axis {
    let mut seen = BTreeSet::new();
    let values: Vec<Setting> = settings
        .filter(|setting| seen.insert(setting.text.clone()))
        .collect();
    Axis {
        path: path.to_string(),
        unit: unit_of(&values),
        values,
    }
}

/// Reads `FROM..TO`.
///
/// # Errors
/// What is wrong, and what to write instead.
pub(super) fn between(text: &str) -> anyhow::Result<(Amount, Amount)> {
    let Some((from, to)) = text.split_once("..") else {
        bail!("it is FROM..TO, as in 0.5..4 or 100/s..2000/s");
    };
    let (from, to) = (amount(from)?, amount(to)?);
    ascending(&from, &to)?;
    Ok((from, to))
}

/// The first `=` outside of quotes parts the path from its values.
fn split_path(text: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if open == c => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '=') if at > 0 => return Some((&text[..at], &text[at + 1..])),
            _ => {}
        }
    }
    None
}

fn values_of(path: &str, text: &str) -> anyhow::Result<Values> {
    if text.is_empty() {
        bail!("there are no values: write {path}=10..50/10 or {path}=10,20,50");
    }
    if let Some((from, rest)) = text.split_once("..")
        && !from.is_empty()
        && !from.contains([',', '"', '\'', '[', '{'])
    {
        return range(from, rest.trim());
    }
    let values: Vec<Setting> = split_list(text).into_iter().map(setting).collect();
    if let [one] = values.as_slice() {
        let one = &one.text;
        bail!(
            "one value is no sweep: write --set {path}={one}, or several as in {path}={one},… or {path}=10..50/10"
        );
    }
    let mut seen = BTreeSet::new();
    for value in &values {
        if value.text.is_empty() {
            bail!("a value between two commas is empty");
        }
        if !seen.insert(&value.text) {
            bail!("`{}` stands there twice", value.text);
        }
    }
    Ok(Values::These(values))
}

/// Commas within quotes, brackets and braces part nothing.
fn split_list(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth, mut quote) = (Vec::new(), 0, 0_usize, None);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '[' | '{') => depth += 1,
            (None, ']' | '}') => depth = depth.saturating_sub(1),
            (None, ',') if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn range(from: &str, rest: &str) -> anyhow::Result<Values> {
    let from = amount(from)?;
    let (to, step) = match rest.split_once(" by ") {
        Some((to, step)) => {
            let step = step.trim();
            let step = match step.strip_prefix(['x', '×']) {
                Some(factor) => Step::Times(amount(factor)?),
                None => Step::Plus(amount(step)?),
            };
            (amount(to)?, Some(step))
        }
        None => slashed(&from, rest)?,
    };
    ascending(&from, &to)?;
    let Some(step) = step else {
        return Ok(Values::Between(from, to));
    };
    let texts = match step {
        Step::Plus(step) => added(&from, &to, &step)?,
        Step::Times(factor) => multiplied(&from, &to, &factor)?,
    };
    Ok(Values::These(
        texts.iter().map(|text| setting(text)).collect(),
    ))
}

/// `TO/STEP`, where a rate has slashes of its own: what is right is what leaves two amounts of the unit of the start.
fn slashed(from: &Amount, rest: &str) -> anyhow::Result<(Amount, Option<Step>)> {
    let halves = rest.match_indices('/').filter_map(|(at, _)| {
        let (to, step) = (Amount::parse(&rest[..at])?, Amount::parse(&rest[at + 1..])?);
        Some((to, step))
    });
    let mut halves: Vec<(Amount, Amount)> = halves.collect();
    if let Some(at) = halves
        .iter()
        .position(|(to, step)| to.unit() == from.unit() && step.unit() == from.unit())
    {
        let (to, step) = halves.swap_remove(at);
        return Ok((to, Some(Step::Plus(step))));
    }
    if let Some(to) = Amount::parse(rest) {
        return Ok((to, None));
    }
    match halves.pop() {
        // Units differ, which the next check explains.
        Some((to, step)) => Ok((to, Some(Step::Plus(step)))),
        None => {
            let to = rest.split_once('/').map_or(rest, |(to, _)| to);
            amount(to)?;
            bail!("`{rest}` is no end with a step: write {rest} as END/STEP or 'END by STEP'")
        }
    }
}

fn added(from: &Amount, to: &Amount, step: &Amount) -> anyhow::Result<Vec<String>> {
    if step.unit() != from.unit() {
        bail!(
            "the step {} and the ends are in different units: write all three in one",
            step.text()
        );
    }
    let scale = from.scale().max(to.scale()).max(step.scale());
    let (first, last, by) = (from.at(scale), to.at(scale), step.at(scale));
    if by <= 0 {
        bail!("a step of {} leads nowhere: write one above 0", step.text());
    }
    let count = (last - first) / by + 1;
    if count > VALUES_MAX {
        bail!("these are {count} values, more than {VALUES_MAX}: write a larger step");
    }
    let values = (0..count).map(|at| from.with(first + at * by, scale).text());
    several(values.collect())
}

fn multiplied(from: &Amount, to: &Amount, factor: &Amount) -> anyhow::Result<Vec<String>> {
    let one = 10_i128.pow(factor.scale());
    if !factor.unit().is_empty() || factor.at(factor.scale()) <= one {
        bail!("a factor is a plain number above 1, as in 'by x2'");
    }
    if from.at(from.scale()) <= 0 {
        bail!("a factor leads nowhere from {}: start above 0", from.text());
    }
    let scale = from.scale().max(to.scale()).max(FACTOR_DIGITS);
    let (mut value, last) = (from.at(scale), to.at(scale));
    let mut values = Vec::new();
    while value <= last {
        values.push(from.with(value, scale).trimmed().text());
        let Some(product) = value.checked_mul(factor.at(factor.scale())) else {
            break;
        };
        value = product / one;
        if values.len() as i128 > VALUES_MAX {
            bail!("these are more than {VALUES_MAX} values: write a larger factor");
        }
    }
    several(values)
}

fn several(values: Vec<String>) -> anyhow::Result<Vec<String>> {
    if let [one] = values.as_slice() {
        bail!(
            "the step leads beyond the end at once, which leaves {one} alone: write a smaller one"
        );
    }
    Ok(values)
}

fn ascending(from: &Amount, to: &Amount) -> anyhow::Result<()> {
    let (low, high) = (from.text(), to.text());
    if from.unit() != to.unit() {
        bail!("{low} and {high} are in different units: write both in one");
    }
    let scale = from.scale().max(to.scale());
    if from.at(scale) >= to.at(scale) {
        bail!("{low}..{high} leads nowhere: the end must be above the start");
    }
    Ok(())
}

fn amount(text: &str) -> anyhow::Result<Amount> {
    let text = text.trim();
    Amount::parse(text).with_context(|| {
        format!("`{text}` is not a number with its unit, such as 10, 0.5, 50/s, 20ms or 8KiB")
    })
}

/// More values of one axis are a mistake.
const VALUES_MAX: i128 = 10_000;

/// Digits behind the point that a factor may bring in.
const FACTOR_DIGITS: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> String {
        let vary = Vary::parse(text).unwrap_or_else(|error| panic!("{text}: {error:#}"));
        match vary.values {
            Values::These(values) => {
                let texts: Vec<String> = values.into_iter().map(|value| value.text).collect();
                texts.join(" ")
            }
            Values::Between(from, to) => format!("{} to {}", from.text(), to.text()),
        }
    }

    fn refused(text: &str) -> String {
        let error = match Vary::parse(text) {
            Ok(vary) => vary.listed().map(|_| ()).expect_err(text),
            Err(error) => error,
        };
        format!("{error:#}")
    }

    #[test]
    fn ranges_have_their_values_exactly() {
        for (text, values) in [
            ("consumer.workers.count=10..50/10", "10 20 30 40 50"),
            ("load=0.1..0.5/0.1", "0.1 0.2 0.3 0.4 0.5"),
            ("a=0..1/0.25", "0.00 0.25 0.50 0.75 1.00"),
            ("a=1..10/4", "1 5 9"),
            ("a=-2..2/2", "-2 0 2"),
            ("p.rate=50/s..200/s by 50/s", "50/s 100/s 150/s 200/s"),
            ("p.rate=50/s..200/s/50/s", "50/s 100/s 150/s 200/s"),
            ("p.rate=5/m..15/m/5/m", "5/m 10/m 15/m"),
            ("s=1ms..9ms/4ms", "1ms 5ms 9ms"),
            ("s=1ms..9ms by 4ms", "1ms 5ms 9ms"),
            ("b=1KiB..3KiB/1KiB", "1KiB 2KiB 3KiB"),
            ("b=100MB/s..300MB/s/100MB/s", "100MB/s 200MB/s 300MB/s"),
            ("n=1..64 by x4", "1 4 16 64"),
            ("n=1ms..10ms by x2.5", "1ms 2.5ms 6.25ms"),
            ("n=1..1000 by ×10", "1 10 100 1000"),
            ("load=0.5..4", "0.5 to 4"),
            ("p.rate=50/s..200/s", "50/s to 200/s"),
        ] {
            assert_eq!(texts(text), values, "{text}");
        }
    }

    #[test]
    fn lists_are_parted_by_commas_that_stand_free() {
        for (text, values) in [
            ("q.design=kafka,redis-stream", "kafka redis-stream"),
            ("p.rate=50/s, 80/s", "50/s 80/s"),
            (
                r#"p.rate={ a = "1/s", b = "2/s" },"3/s""#,
                r#"{ a = "1/s", b = "2/s" } "3/s""#,
            ),
            (r#"queue."a=b".ttl=1s,2s"#, "1s 2s"),
            ("files=../a,../b", "../a ../b"),
        ] {
            assert_eq!(texts(text), values, "{text}");
        }
        let path = Vary::parse(r#"queue."a=b".ttl=1s,2s"#).unwrap().path;
        assert_eq!(path, r#"queue."a=b".ttl"#);
    }

    #[test]
    fn what_is_wrong_is_said_with_what_to_write() {
        for (text, part) in [
            ("load", "it is KEY=VALUES, as in consumer"),
            ("=1,2", "it is KEY=VALUES"),
            ("load=", "write load=10..50/10 or load=10,20,50"),
            ("load=2", "one value is no sweep: write --set load=2"),
            ("load=1,2,1", "`1` stands there twice"),
            ("load=1,,2", "between two commas is empty"),
            (
                "n=10..50",
                "write n=10..50/STEP (or 'by STEP', 'by x2'), or --lhs N",
            ),
            ("p.rate=50/s..200/s", "a range needs a step"),
            ("n=50..10/5", "the end must be above the start"),
            ("n=10..10/5", "the end must be above the start"),
            ("n=10..50/0", "a step of 0 leads nowhere"),
            ("n=10..50/100", "leaves 10 alone: write a smaller one"),
            ("n=0..1000000/1", "1000001 values, more than 10000"),
            ("s=1ms..2s by 1ms", "1ms and 2s are in different units"),
            (
                "s=1s..9s by 500ms",
                "the step 500ms and the ends are in different units",
            ),
            (
                "s=1s..9s/500ms",
                "the step 500ms and the ends are in different units",
            ),
            (
                "p.rate=50..200/s by 10/s",
                "50 and 200/s are in different units",
            ),
            ("n=a..b/1", "`a` is not a number with its unit"),
            ("n=1..b/1", "`b` is not a number with its unit"),
            ("n=1..9 by x1", "a factor is a plain number above 1"),
            ("n=0..9 by x2", "start above 0"),
        ] {
            let error = refused(text);
            assert!(error.contains(part), "{text}: {error}");
            assert!(error.contains("failed to read --vary"), "{error}");
        }
    }

    #[test]
    fn an_axis_has_each_value_once() {
        let settings = ["2", "1", "2"].map(setting);
        let axis = axis("n", settings.into_iter());
        let texts: Vec<&str> = axis.values.iter().map(|it| it.text.as_str()).collect();
        assert_eq!(texts, ["2", "1"]);
    }
}
