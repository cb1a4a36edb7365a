//! What a check says, for people and for programs. Pure functions of what was found.

use std::path::Path;

use queuelab_core::Span;
use queuelab_record::{Parting, Unit, Verdict, grouped, less_and_more, percent, seeds};
use serde_json::{Value, json};

use crate::ci::JSON_SCHEMA_VERSION;
use crate::layout::{Align, Cell, Painter, Style, table};
use crate::parting;

use super::Checked;
use super::change::{Change, Clock, Figure, Of, Rules};
use super::file::Baseline;

impl Checked<'_> {
    /// What has changed, ending with a verdict.
    pub(super) fn text(&self, rules: &Rules, painter: Painter) -> String {
        let mut lines = vec![self.head(rules, painter)];
        lines.extend(
            self.notes()
                .into_iter()
                .map(|note| format!("  note: {note}")),
        );
        if let Some(parting) = &self.changes.parting {
            let told = parting::lines(&self.target.scenario, parting);
            lines.extend(told.into_iter().map(|line| format!("  {line}")));
        }
        lines.extend(self.figures(painter));
        lines.extend(self.detectable().map(|text| format!("  {text}")));
        for (invariant, seeds) in &self.changes.violations {
            let text = format!(
                "  ✗ {invariant} is violated with {seeds} of {} seeds",
                self.now.seeds.len()
            );
            lines.push(painter.paint(Style::Red, &text));
        }
        lines.extend(self.clock(painter));
        if self.verdict(rules) == Verdict::Fail {
            lines.push(format!(
                "  if that is meant: queuelab baseline accept {}",
                self.target.typed
            ));
        }
        lines.join("\n") + "\n"
    }

    /// `✗ hello: behaviour changed, performance worse in 4 of 18 figures`
    fn head(&self, rules: &Rules, painter: Painter) -> String {
        let (sign, style) = match self.verdict(rules) {
            Verdict::Pass => ("✓", Style::Green),
            Verdict::Fail => ("✗", Style::Red),
            Verdict::Undecided => ("?", Style::Yellow),
        };
        let text = format!("{sign} {}: {}", self.target.scenario.name, self.summary());
        painter.paint(style, &text)
    }

    /// `behaviour changed, performance not`, and what that rests on.
    pub(super) fn summary(&self) -> String {
        let all = self.changes.figures.len();
        let changed = |wanted: fn(&Figure) -> bool| {
            self.changes.figures.iter().filter(|it| wanted(it)).count()
        };
        let worse = changed(|it| it.change == Change::Worse);
        let better = changed(|it| it.change == Change::Better);
        let other = changed(|it| it.change == Change::Other);
        let mut kinds = Vec::new();
        for (count, word) in [(worse, "worse"), (better, "better"), (other, "different")] {
            if count > 0 {
                kinds.push(format!("{word} in {count}"));
            }
        }
        let seeds = self.seeds();
        let basis = format!("{all} figures, {seeds}");
        let events = grouped(self.now.trace.events);
        match (&self.changes.parting, kinds.is_empty()) {
            (parting, true) if self.changes.is_blind() => {
                let behaviour = match parting {
                    Some(_) => "behaviour changed",
                    None => "behaviour as in the baseline",
                };
                format!("{behaviour}, too few runs to say so of performance ({basis})")
            }
            (None, true) => {
                format!("behaviour and performance as in the baseline ({events} events, {basis})")
            }
            (Some(_), true) => format!("behaviour changed, performance not ({basis})"),
            (parting, false) => {
                let behaviour = match parting {
                    Some(_) => "behaviour changed",
                    None => "behaviour as in the baseline",
                };
                format!(
                    "{behaviour}, performance {} of {all} figures ({seeds})",
                    kinds.join(", ")
                )
            }
        }
    }

    /// `10 seeds`, `seeds 9..18 against 1..10`
    fn seeds(&self) -> String {
        let (then, now) = (&self.then.seeds, &self.now.seeds);
        match then == now {
            true => format!("{} seeds", now.len()),
            false => format!("seeds {} against {}", seeds(now), seeds(then)),
        }
    }

    /// How small a change of performance may be to be found, if any was looked for.
    pub(super) fn detectable(&self) -> Option<String> {
        let [(_, least), (figure, most)] = self.changes.detectable()?;
        let more = match self.changes.is_blind() {
            true => "; more --replications, of the baseline too, see smaller ones",
            false => "",
        };
        let of_figure = |share: f64| match share < 10.0 {
            true => format!("{} of a figure", percent(share)),
            false => format!("{share:.0} times a figure"),
        };
        let least = match least < most {
            true => format!("from {} on, and all ", of_figure(least)),
            false => String::new(),
        };
        Some(format!(
            "changes would be found {least}from {} on ({}){more}",
            of_figure(most),
            figure.of.name()
        ))
    }

    /// What a reader has to know besides.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let (then, now) = (&self.then.scenario, &self.now.scenario);
        if then.text != now.text {
            notes.push("the scenario's text is not what it was".into());
        }
        if then.overrides != now.overrides {
            let shown = |overrides: &[String]| match overrides {
                [] => "no overrides".to_string(),
                some => some.join(" "),
            };
            notes.push(format!(
                "with {}, the baseline with {}",
                shown(&now.overrides),
                shown(&then.overrides)
            ));
        }
        let mut figures = self.changes.figures.iter();
        let unpaired =
            |it: &Figure| matches!(&it.of, Of::Values { contrast, .. } if !contrast.paired);
        if figures.any(unpaired) {
            notes.push(format!(
                "figures with seeds {} are compared as independent samples with those of seeds {}",
                seeds(&self.now.seeds),
                seeds(&self.then.seeds)
            ));
        }
        if self.then.version != self.now.version {
            notes.push(format!(
                "the baseline is of queuelab {}, this is {}",
                self.then.version, self.now.version
            ));
        }
        notes
    }

    fn figures(&self, painter: Painter) -> Vec<String> {
        let row = |figure: &Figure| {
            let style = match figure.change {
                Change::Better => Style::Green,
                Change::Worse => Style::Red,
                Change::Other => Style::Yellow,
                Change::Same => Style::Dim,
            };
            let [then, now, difference] = figure.of.shown();
            vec![
                Cell::from(figure.of.name()),
                Cell::from(then),
                Cell::from("→"),
                Cell::from(now),
                Cell::from(difference),
                Cell::new(style, figure.words()),
            ]
        };
        let rows: Vec<Vec<Cell>> = self.changes.changed().map(row).collect();
        let (left, right) = (Align::Left, Align::Right);
        let lines = table(&rows, &[left, right, left, right, right, left], painter);
        lines.into_iter().map(|line| format!("  {line}")).collect()
    }

    /// What there is to say of real time, in a line.
    pub(super) fn clock(&self, painter: Painter) -> Vec<String> {
        let line = match &self.changes.wall_clock {
            Clock::Unasked => return Vec::new(),
            Clock::Missing => painter.paint(
                Style::Yellow,
                "real time: not compared, the baseline has none (save it with --wall-clock)",
            ),
            Clock::Elsewhere { then, now } => painter.paint(
                Style::Yellow,
                &format!("real time: not compared, the baseline is of {then}, and this is {now}"),
            ),
            Clock::Here {
                then,
                now,
                p,
                change,
            } => {
                let (word, style) = match change {
                    Change::Same | Change::Other => ("no difference found", Style::Dim),
                    Change::Better => ("faster", Style::Green),
                    Change::Worse => ("slower", Style::Red),
                };
                let word = painter.paint(style, word);
                let time = |seconds: f64| Span::from_secs_f64(seconds);
                format!(
                    "real time: {} → {} per run, {word} (p = {p:.2e})",
                    time(*then),
                    time(*now)
                )
            }
        };
        vec![format!("  {line}")]
    }

    /// For programs.
    pub(super) fn json(&self, rules: &Rules) -> Value {
        let verdict = match self.verdict(rules) {
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
            Verdict::Undecided => "undecided",
        };
        let figures = self.changes.figures.iter().map(|figure| {
            let (then, now) = figure.of.means();
            json!({
                "name": figure.of.name(),
                "then": then,
                "now": now,
                "p_adjusted": figure.p_adjusted,
                "change": figure.change.word(),
                "detectable": match figure.of {
                    Of::Values { detectable, .. } => Some(detectable),
                    _ => None,
                },
            })
        });
        let violations = self.changes.violations.iter();
        let violations =
            violations.map(|(name, seeds)| json!({ "invariant": name, "seeds": seeds }));
        json!({
            "scenario": self.target.scenario.name,
            "set": self.now.scenario.overrides,
            "baseline": self.target.path,
            "verdict": verdict,
            "summary": self.summary(),
            "behaviour": {
                "changed": self.changes.parting.is_some(),
                "trace_hash_then": self.then.trace.hash,
                "trace_hash_now": self.now.trace.hash,
                "parting": self.changes.parting.as_ref().map(|it| self.parting(it)),
            },
            "seeds": self.now.seeds,
            "alpha": rules.level,
            "figures": figures.collect::<Vec<_>>(),
            "violations": violations.collect::<Vec<_>>(),
            "real_time": self.clock(Painter { color: false }).first().map(|it| it.trim()),
            "notes": self.notes(),
            "wall_s": self.wall.as_secs_f64(),
        })
    }

    fn parting(&self, parting: &Parting) -> Value {
        let (from, until) = match parting {
            Parting::Event { number, .. } => (number, number),
            Parting::Block { from, until } => (from, until),
        };
        let told = parting::lines(&self.target.scenario, parting);
        json!({ "first_event": from, "last_event": until, "told": told })
    }
}

impl Figure {
    /// `19.9 ms → 23.4 ms, +3.5 ms ± 0.2 ms, 18 % slower: worse`
    pub(super) fn told(&self) -> String {
        let [then, now, difference] = self.of.shown();
        let mut text = format!("{then} → {now}");
        if self.change != Change::Same {
            for part in [difference, self.words()] {
                if !part.is_empty() {
                    text.push_str(", ");
                    text.push_str(&part);
                }
            }
        }
        text
    }

    /// `18 % slower: worse`
    fn words(&self) -> String {
        let word = self.change.word();
        let Of::Values {
            quantity,
            then,
            contrast,
            ..
        } = &self.of
        else {
            return word.into();
        };
        let [less, more] = less_and_more(&quantity.metric);
        let estimate = contrast.interval.estimate;
        let comparative = if estimate < 0.0 { less } else { more };
        match *then != 0.0 {
            true => format!("{} {comparative}: {word}", percent((estimate / then).abs())),
            false => format!("{comparative}: {word}"),
        }
    }
}

impl Of {
    /// Then, now and the difference, as people read them.
    fn shown(&self) -> [String; 3] {
        match self {
            Of::Values {
                unit,
                then,
                now,
                contrast,
                ..
            } => {
                let interval = contrast.interval;
                let sign = if interval.estimate < 0.0 { "−" } else { "+" };
                let unit = unit.unwrap_or(Unit::Count);
                let shown = |value: f64| unit.shown(value);
                let size = |size: f64| unit.difference_shown(size);
                let half_width = size(interval.half_width);
                let difference = match size(interval.estimate.abs()) {
                    // Too small to be shown: so is its sign.
                    small if small.starts_with('<') => format!("{small} ± {half_width}"),
                    size => format!("{sign}{size} ± {half_width}"),
                };
                [shown(*then), shown(*now), difference]
            }
            Of::CameToPass { then, now, .. } => {
                let shown = |[hit, miss]: &[u64; 2]| match miss {
                    0 => "always".to_string(),
                    miss => format!("never in {miss} of {}", hit + miss),
                };
                [shown(then), shown(now), String::new()]
            }
            Of::Met { then, now, .. } => {
                let shown = |[hit, miss]: &[u64; 2]| format!("met in {hit} of {}", hit + miss);
                [shown(then), shown(now), String::new()]
            }
        }
    }

    /// Then and now as numbers: means, or shares of runs.
    fn means(&self) -> (f64, f64) {
        match self {
            Of::Values { then, now, .. } => (*then, *now),
            Of::CameToPass { then, now, .. } | Of::Met { then, now, .. } => {
                let share = |[hit, miss]: &[u64; 2]| *hit as f64 / (hit + miss).max(1) as f64;
                (share(then), share(now))
            }
        }
    }
}

impl Change {
    fn word(self) -> &'static str {
        match self {
            Change::Same => "same",
            Change::Better => "better",
            Change::Worse => "worse",
            Change::Other => "different",
        }
    }
}

/// `saved hello: 10 seeds, 105,331 events, baselines/hello.json`
pub(super) fn saved(kept: &Baseline, path: &Path) -> String {
    format!(
        "kept {}: {} seeds from {} on, {} events, {}\n",
        kept.scenario.name,
        kept.seeds.len(),
        kept.trace.seed,
        grouped(kept.trace.events),
        path.display()
    )
}

/// What `save` tells programs.
pub(super) fn saved_json(paths: &[&Path]) -> String {
    format!(
        "{:#}\n",
        json!({ "schema_version": JSON_SCHEMA_VERSION, "saved": paths })
    )
}

/// What a check tells programs.
pub(super) fn json(results: Vec<Value>) -> String {
    format!(
        "{:#}\n",
        json!({ "schema_version": JSON_SCHEMA_VERSION, "checks": results })
    )
}
