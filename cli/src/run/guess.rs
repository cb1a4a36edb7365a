//! `--guess`: what the reader thinks will come out, asked before it is shown. A surprise is what one learns from.

use std::io::{BufRead, Write};

use queuelab_record::{Measured, RunRecord, Verdict};
use queuelab_scenario::{Claim, Expectation, MetricUnit, metric_unit, parse_duration, parse_rate};
use serde_json::{Value, json};

use crate::layout::{Align, Cell, Painter, Style, table};

/// What was guessed of one expectation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Guess {
    /// What was asked: a metric, or an invariant.
    asked: String,
    said: Option<Said>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Said {
    /// Seconds, 1/s, a count or a ratio.
    Figure(f64),
    /// Whether it holds.
    Holds(bool),
}

/// Asks on `output` for a guess of each expectation, a line of `input` each. An empty line, or none, is no guess; what is not understood
/// is asked for again.
///
/// # Errors
/// Of the streams.
pub(super) fn ask(
    expectations: &[Expectation],
    input: &mut impl BufRead,
    output: &mut impl Write,
) -> std::io::Result<Vec<Guess>> {
    let mut guesses: Vec<Guess> = Vec::new();
    for expectation in expectations {
        let asked = asked(&expectation.claim);
        if guesses.iter().any(|guess| guess.asked == asked) {
            continue;
        }
        let hint = hint(&expectation.claim);
        let mut said = None;
        write!(output, "  {asked}: your guess ({hint})? ")?;
        loop {
            output.flush()?;
            let mut line = String::new();
            let ended = input.read_line(&mut line)? == 0;
            let line = line.trim();
            if ended || line.is_empty() {
                break;
            }
            said = understood(&expectation.claim, line);
            if said.is_some() {
                break;
            }
            write!(output, "  {line} is not understood ({hint}): ")?;
        }
        guesses.push(Guess { asked, said });
    }
    writeln!(output)?;
    Ok(guesses)
}

/// Guesses beside what was measured.
pub(super) fn section(
    guesses: &[Guess],
    expectations: &[Expectation],
    record: &RunRecord,
    painter: Painter,
) -> String {
    let mut rows = vec![
        ["", "your guess", "this run", ""]
            .map(|text| Cell::new(Style::Dim, text))
            .to_vec(),
    ];
    rows.extend(guesses.iter().map(|guess| {
        let found = found(guess, expectations, record);
        vec![
            guess.asked.as_str().into(),
            guess
                .said
                .map_or("—".into(), |said| said.shown(found))
                .into(),
            found.shown().into(),
            Cell::new(Style::Dim, off(guess.said, found)),
        ]
    }));
    let align = [Align::Left, Align::Right, Align::Right, Align::Left];
    let lines = table(&rows, &align, painter);
    lines.iter().map(|line| format!("  {line}\n")).collect()
}

/// Guesses as programs read them: what was asked, guess and measurement (null where there is none).
pub(super) fn json(
    guesses: &[Guess],
    expectations: &[Expectation],
    record: &RunRecord,
) -> Vec<Value> {
    let value = |guess: &Guess| {
        let found = found(guess, expectations, record);
        let said = guess.said.map(|said| match said {
            Said::Figure(value) => json!(value),
            Said::Holds(holds) => json!(holds),
        });
        let measured = match found {
            Found::Figure(Measured::Value { value, .. }) => json!(value),
            Found::Verdict(Verdict::Undecided) | Found::Figure(_) => Value::Null,
            Found::Verdict(verdict) => json!(verdict == Verdict::Pass),
        };
        json!({ "asked": guess.asked, "guess": said, "measured": measured })
    };
    guesses.iter().map(value).collect()
}

/// What came out of what was guessed.
#[derive(Clone, Copy)]
enum Found {
    Figure(Measured),
    /// Of an invariant: whether it holds.
    Verdict(Verdict),
}

impl Said {
    fn shown(self, found: Found) -> String {
        match (self, found) {
            (Said::Holds(true), _) => "holds".into(),
            (Said::Holds(false), _) => "does not hold".into(),
            (Said::Figure(value), Found::Figure(Measured::Value { unit, .. })) => unit.shown(value),
            (Said::Figure(value), _) => value.to_string(),
        }
    }
}

impl Found {
    fn shown(self) -> String {
        match self {
            Found::Figure(measured) => measured.to_string(),
            Found::Verdict(Verdict::Pass) => "holds".into(),
            Found::Verdict(Verdict::Fail) => "does not hold".into(),
            Found::Verdict(Verdict::Undecided) => "undecided".into(),
        }
    }
}

fn found(guess: &Guess, expectations: &[Expectation], record: &RunRecord) -> Found {
    let same = |it: &Expectation| asked(&it.claim) == guess.asked;
    let Some(at) = expectations.iter().position(same) else {
        return Found::Figure(Measured::NoSamples);
    };
    match &expectations[at].claim {
        Claim::Metric { metric, .. } => {
            let (of, phase) = (metric.of.as_deref(), metric.phase.as_deref());
            let measured = record.metric(&metric.name, of, phase);
            Found::Figure(measured.unwrap_or(Measured::NoSamples))
        }
        Claim::Invariant { violated, .. } => {
            let judged = record.expectations.get(at).map(|it| it.verdict);
            // Where a violation is what is expected, the expectation is met if the invariant does not hold.
            Found::Verdict(match (judged.unwrap_or(Verdict::Undecided), violated) {
                (Verdict::Pass, true) => Verdict::Fail,
                (Verdict::Fail, true) => Verdict::Pass,
                (judged, _) => judged,
            })
        }
    }
}

/// How far off a guess was.
fn off(said: Option<Said>, found: Found) -> String {
    match (said, found) {
        (Some(Said::Figure(guess)), Found::Figure(Measured::Value { value, .. })) => {
            apart(guess, value)
        }
        (Some(Said::Figure(_)), Found::Figure(Measured::Never)) => "it never did".into(),
        (Some(Said::Holds(_)), Found::Verdict(Verdict::Undecided)) => String::new(),
        (Some(Said::Holds(holds)), Found::Verdict(verdict)) => {
            match holds == (verdict == Verdict::Pass) {
                true => "right".into(),
                false => "wrong".into(),
            }
        }
        _ => String::new(),
    }
}

fn apart(guess: f64, value: f64) -> String {
    if guess == value {
        return "right".into();
    }
    if guess == 0.0 || value == 0.0 {
        return if guess > value { "too high" } else { "too low" }.into();
    }
    let ratio = guess / value;
    match ratio {
        0.95..=1.05 => "within 5 %".into(),
        ratio if (1.0..2.0).contains(&ratio) => format!("{:.0} % too high", ratio * 100.0 - 100.0),
        ratio if (0.5..1.0).contains(&ratio) => format!("{:.0} % too low", 100.0 - ratio * 100.0),
        ratio if ratio > 1.0 => format!("{} times too high", times(ratio)),
        ratio => format!("{} times too low", times(1.0 / ratio)),
    }
}

fn times(ratio: f64) -> String {
    match ratio < 10.0 {
        true => format!("{ratio:.1}"),
        false => queuelab_record::grouped(ratio.round() as u64),
    }
}

/// What is asked, without the bound that would give the answer away.
fn asked(claim: &Claim) -> String {
    let part = |word, name: &Option<String>| match name {
        Some(name) => format!(" {word} {name}"),
        None => String::new(),
    };
    match claim {
        Claim::Metric { metric, .. } => {
            let (of, phase) = (part("of", &metric.of), part("in", &metric.phase));
            format!("{}{of}{phase}", metric.name)
        }
        Claim::Invariant { name, of, .. } => format!("{name}{}", part("of", of)),
    }
}

fn hint(claim: &Claim) -> &'static str {
    match claim {
        Claim::Invariant { .. } => "does it hold: yes or no",
        Claim::Metric { metric, .. } => match metric_unit(&metric.name) {
            Some(MetricUnit::Time) => "a time: 20ms, 3m45s",
            Some(MetricUnit::Rate) => "a rate: 200/s",
            Some(MetricUnit::Ratio) => "a share: 80%",
            Some(MetricUnit::Count) | None => "a number: 1500, 20k",
        },
    }
}

fn understood(claim: &Claim, line: &str) -> Option<Said> {
    let Claim::Metric { metric, .. } = claim else {
        return match line.to_lowercase().as_str() {
            "y" | "yes" | "holds" | "true" => Some(Said::Holds(true)),
            "n" | "no" | "false" => Some(Said::Holds(false)),
            _ => None,
        };
    };
    let close: String = line.chars().filter(|c| !c.is_whitespace()).collect();
    let value = match metric_unit(&metric.name) {
        Some(MetricUnit::Time) => parse_duration(&close).ok()?.as_secs_f64(),
        Some(MetricUnit::Rate) => match parse_rate(&close) {
            Ok(rate) => rate,
            Err(_) => number(&close)?,
        },
        Some(MetricUnit::Ratio) => match close.strip_suffix('%') {
            Some(percent) => number(percent)? / 100.0,
            // As in expectations: nobody who says 60 means 6,000 %.
            None => number(&close).filter(|share| *share <= 1.0)?,
        },
        Some(MetricUnit::Count) | None => number(&close)?,
    };
    Some(Said::Figure(value))
}

/// `1500`, `1,500`, `1.5k`, `2M`
fn number(text: &str) -> Option<f64> {
    let plain: String = text.chars().filter(|c| !matches!(c, ',' | '_')).collect();
    let (digits, factor) = match plain.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1e3),
        None => match plain.strip_suffix(['m', 'M']) {
            Some(digits) => (digits, 1e6),
            None => (plain.as_str(), 1.0),
        },
    };
    let value = digits.parse::<f64>().ok()? * factor;
    (value.is_finite() && value >= 0.0).then_some(value)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use queuelab_record::{ExpectationRecord, fixture};

    use super::*;

    fn expectations() -> Vec<Expectation> {
        let scenario = queuelab_scenario::open("flash-sale", &[]).unwrap();
        let text = "expect = ['backlog.max of orders < 200_000', 'drain_time of orders < 5m', 'utilisation of fulfilment > 10%', 'rate.acked > 1/s', 'no-loss', 'backlog.max of orders > 1', 'count.lost == 0']";
        let graded = scenario.graded("grading.toml", text);
        graded
            .unwrap_or_else(|error| panic!("{error}"))
            .expectations
    }

    /// A run in which all expectations came to `verdict`.
    fn judged(expectations: &[Expectation], verdict: Verdict) -> RunRecord {
        let mut record = fixture::flash_sale();
        let judged = expectations.iter().map(|it| ExpectationRecord {
            text: it.text.clone(),
            verdict,
            measured: String::new(),
        });
        record.expectations = judged.collect();
        record
    }

    #[test]
    fn guesses_stand_beside_what_was_measured() {
        let expectations = expectations();
        let mut input = "a lot\n100k\n1 m\n45\n45%\n\nyes\n".as_bytes();
        let mut output = Vec::new();
        let guesses = ask(&expectations, &mut input, &mut output).unwrap();
        let output = String::from_utf8(output).unwrap();
        let questions: Vec<&str> = output.split("? ").map(str::trim).collect();
        expect![[r#"
            backlog.max of orders: your guess (a number: 1500, 20k)
            a lot is not understood (a number: 1500, 20k):   drain_time of orders: your guess (a time: 20ms, 3m45s)
            utilisation of fulfilment: your guess (a share: 80%)
            45 is not understood (a share: 80%):   rate.acked: your guess (a rate: 200/s)
            no-loss: your guess (does it hold: yes or no)
            count.lost: your guess (a number: 1500, 20k)
        "#]]
        .assert_eq(&questions.join("\n"));
        let record = judged(&expectations, Verdict::Pass);
        let painter = Painter { color: false };
        let text = section(&guesses, &expectations, &record, painter);
        expect![[r#"
            guesses
                                          your guess   this run
              backlog.max of orders          100,000    161,862   38 % too low
              drain_time of orders                1m      4m05s   4.1 times too low
              utilisation of fulfilment         45 %     45.3 %   within 5 %
              rate.acked                           —      453/s
              no-loss                          holds      holds   right
              count.lost                           —          0
        "#]]
        .assert_eq(&format!("guesses\n{text}"));
        let json = json(&guesses, &expectations, &record);
        assert_eq!(json[1]["guess"], 60.0);
        assert_eq!(json[3]["guess"], Value::Null);
        assert_eq!(json[4]["measured"], true);
    }

    /// An invariant of one queue, and a violation that is wanted.
    #[test]
    fn a_guess_is_graded_by_its_expectation() {
        let scenario = queuelab_scenario::open("flash-sale", &[]).unwrap();
        let text = "expect = ['violates no-loss of orders', 'no-loss']";
        let expectations = scenario.graded("grading.toml", text).unwrap().expectations;
        let mut output = Vec::new();
        let guesses = ask(&expectations, &mut "no\nno\n".as_bytes(), &mut output).unwrap();
        let output = String::from_utf8(output).unwrap();
        assert!(output.contains("no-loss of orders: your guess"), "{output}");
        let record = judged(&expectations, Verdict::Pass);
        let text = section(&guesses, &expectations, &record, Painter { color: false });
        let graded: Vec<&str> = text.lines().skip(1).map(str::trim).collect();
        expect![[r#"
            no-loss of orders   does not hold   does not hold   right
            no-loss             does not hold           holds   wrong"#]]
        .assert_eq(&graded.join("\n"));
        let json = json(&guesses, &expectations, &record);
        assert_eq!(
            (&json[0]["measured"], &json[1]["measured"]),
            (&false.into(), &true.into())
        );
    }

    #[test]
    fn figures_are_read_as_people_write_them() {
        assert_eq!(number("1,500"), Some(1_500.0));
        assert_eq!(number("1.5k"), Some(1_500.0));
        assert_eq!(number("2M"), Some(2e6));
        assert_eq!(number("-1"), None);
        assert_eq!(number("nan"), None);
        assert_eq!(apart(3.0, 1.0), "3.0 times too high");
        assert_eq!(apart(1.0, 400.0), "400 times too low");
        assert_eq!(apart(0.0, 400.0), "too low");
    }
}
