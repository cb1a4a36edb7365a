//! What viewers say of a record in sentences.

use std::collections::BTreeSet;

use queuelab_core::Time;

use crate::{
    Ensemble, Judgement, Load, PredictionRecord, RunRecord, Unit, Verdict, grouped, percent, rate,
    signed_rate,
};

impl RunRecord {
    /// The answer in a sentence or two: what of `judgements` is not met first, then the author's words or ours.
    pub fn answer_in_words(&self, judgements: &[Judgement]) -> String {
        let mut text = headline(judgements).unwrap_or_default();
        let words = self.answer.clone();
        let words = words.unwrap_or_else(|| match text.is_empty() {
            true => format!("{} {}", all_met(judgements), backlog(self)),
            false => backlog(self),
        });
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&words);
        text
    }

    /// What the figures rest on, item by item: durability, costs, events compared, semantics, Little's law in this run and in others.
    pub fn trust_in_words(&self, ensemble: Option<&Ensemble>) -> Vec<String> {
        trust(self, ensemble)
    }
}

impl Load {
    /// Σp, Σc, T = Σp − Σc and ρ = Σp / Σc, as a person reads them; `—` for what rests on a capacity that is not known.
    pub fn in_words(&self) -> [String; 4] {
        let Some(capacity) = self.capacity else {
            let unknown = || "—".to_string();
            return [rate(self.offered), unknown(), unknown(), unknown()];
        };
        let utilisation = match self.offered {
            offered if offered <= 0.0 => "0.00".into(),
            _ if capacity <= 0.0 => "∞".into(),
            offered => format!("{:.2}", offered / capacity),
        };
        [
            rate(self.offered),
            rate(capacity),
            signed_rate(self.offered - capacity),
            utilisation,
        ]
    }
}

impl PredictionRecord {
    /// Its value as a measured one of its metric reads.
    pub fn value_in_words(&self) -> String {
        const TIMES: [&str; 4] = ["latency", "drain_time", "oldest_age", "alarm_time"];
        let metric = self.metric.as_str();
        let unit = match () {
            () if TIMES.iter().any(|name| metric.starts_with(name)) => Unit::Time,
            () if metric.starts_with("rate") => Unit::Rate,
            () if metric.starts_with("utilisation") => Unit::Ratio,
            () => Unit::Count,
        };
        unit.shown(self.value)
    }
}

/// What is not met or cannot be said; `None` if all is well.
fn headline(judgements: &[Judgement]) -> Option<String> {
    let verdict = Verdict::worst(judgements.iter().map(|judgement| judgement.verdict));
    let word = match verdict {
        Verdict::Pass => return None,
        Verdict::Fail => "NOT MET",
        Verdict::Undecided => "UNDECIDED",
    };
    let named = judgements
        .iter()
        .filter(|judgement| judgement.verdict == verdict);
    let named: Vec<String> = named
        .map(|it| match &it.elsewhere {
            // A figure that meets it does not say why it is undecided.
            Some(elsewhere) => format!("{} ({}; {elsewhere})", it.text, it.measured),
            None => format!("{} ({})", it.text, it.measured),
        })
        .collect();
    Some(format!("{word}: {}.", named.join(", ")))
}

fn all_met(judgements: &[Judgement]) -> String {
    match judgements.len() {
        0 => "NOTHING WAS EXPECTED.".into(),
        1 => "THE EXPECTATION IS MET.".into(),
        _ => "ALL EXPECTATIONS MET.".into(),
    }
}

/// What the backlog did, for scenarios whose author wrote no answer.
fn backlog(record: &RunRecord) -> String {
    let queues = record.queues.iter().filter(|queue| !queue.stream);
    let Some(queue) = queues.max_by_key(|queue| queue.ready_max.0) else {
        return lag(record);
    };
    let (peak, at) = queue.ready_max;
    if peak == 0 {
        return "No message had to wait in a queue.".into();
    }
    let when = if at == Time::ZERO {
        String::new()
    } else {
        format!(" at {at}")
    };
    let then = match queue.drain_time {
        Some(span) => format!("was gone {span} later"),
        None => format!("was {} at the end", grouped(queue.ready_end)),
    };
    format!(
        "The backlog of {} peaked at {}{when} and {then}.",
        queue.name,
        grouped(peak)
    )
}

/// How far the group that was furthest behind was, where all messages go to streams.
fn lag(record: &RunRecord) -> String {
    match record.groups.iter().max_by_key(|group| group.lag_max.0) {
        None => String::new(),
        Some(group) if group.lag_max.0 == 0 => "No group fell behind its streams.".into(),
        Some(group) => format!(
            "The group {} was {} records behind at {}, and {} at the end.",
            group.name,
            grouped(group.lag_max.0),
            group.lag_max.1,
            grouped(group.lag_end)
        ),
    }
}

/// What the figures rest on.
fn trust(record: &RunRecord, ensemble: Option<&Ensemble>) -> Vec<String> {
    let names = |durability| {
        let queues = record
            .queues
            .iter()
            .filter(|queue| queue.durability == durability);
        queues.map(|queue| queue.name.as_str()).collect::<Vec<_>>()
    };
    let kinds: BTreeSet<_> = record.queues.iter().map(|queue| queue.durability).collect();
    let used: Vec<(String, Vec<&str>)> = kinds
        .into_iter()
        .rev()
        .map(|durability| (durability.to_string(), names(durability)))
        .collect();
    let durability = match used.as_slice() {
        [(word, _)] => word.to_string(),
        several => {
            let each = several
                .iter()
                .map(|(word, queues)| match queues.as_slice() {
                    [a] => format!("{word} ({a})"),
                    [a, b] => format!("{word} ({a}, {b})"),
                    many => format!("{word} ({} queues)", many.len()),
                });
            each.collect::<Vec<_>>().join(", ")
        }
    };
    let costs = match (record.trust.profile.as_str(), record.trust.calibrated) {
        ("ideal", _) => "costs ideal: only services take time".into(),
        (profile, true) => format!("costs {profile}, calibrated"),
        (profile, false) => format!("costs {profile}, uncalibrated"),
    };
    let compared: u64 = record
        .invariants
        .iter()
        .map(|invariant| invariant.compared)
        .sum();
    let checks = match record.trust.checked {
        true => format!("{} events compared", grouped(compared)),
        false => "checks off".into(),
    };
    let mut items = vec![format!("durability {durability}"), costs, checks];
    if !record.trust.designs.is_empty() {
        let designs = record.trust.designs.join(", ");
        items.push(format!(
            "carries the semantics of {designs} at queuelab's speed"
        ));
    }
    let law = littles_law(record);
    items.extend(law.map(|law| match ensemble {
        Some(it) if it.unaccounted.is_empty() => format!("{law} in {} runs", it.seeds.len()),
        _ => law,
    }));
    items
}

/// Whether L = λW held on the sample path; `None` if nothing was in the broker.
fn littles_law(record: &RunRecord) -> Option<String> {
    let law = record.littles_law;
    if law.integral == law.sojourns {
        return (law.integral > 0).then(|| "L = λW exact".into());
    }
    let difference =
        law.integral.abs_diff(law.sojourns) as f64 / law.integral.max(law.sojourns) as f64;
    Some(format!("L = λW off by {}", percent(difference)))
}
