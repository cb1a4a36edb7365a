//! How often random operations do what.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use queuelab_core::*;

/// Counts of operations, and of what came out, by kind.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) operations: u64,
    kinds: BTreeMap<String, u64>,
}

impl Tally {
    pub(crate) fn note(&mut self, outputs: &[Output]) {
        for output in outputs {
            *self.kinds.entry(kind(output)).or_default() += 1;
        }
    }

    pub(crate) fn note_kind(&mut self, kind: &str) {
        *self.kinds.entry(kind.into()).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: Tally) {
        self.operations += other.operations;
        for (kind, count) in other.kinds {
            *self.kinds.entry(kind).or_default() += count;
        }
    }

    /// Which of these kinds never occurred.
    pub(crate) fn missing<'a>(&self, kinds: &[&'a str]) -> Vec<&'a str> {
        let kinds = kinds.iter().copied();
        kinds
            .filter(|kind| !self.kinds.contains_key(*kind))
            .collect()
    }
}

/// Per million operations.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} operations; per million:", self.operations)?;
        for (kind, count) in &self.kinds {
            let rate = *count as f64 * 1e6 / self.operations.max(1) as f64;
            writeln!(f, "{rate:>10.0} {kind}")?;
        }
        Ok(())
    }
}

fn kind(output: &Output) -> String {
    match output {
        Output::Observe(Event::Removed { reason, .. }) => format!("Removed {reason:?}"),
        Output::Observe(Event::Alarm { resource, on }) => format!("Alarm {resource:?} {on}"),
        Output::Observe(Event::Proposed { from: Some(_), .. }) => "Proposed by a move".into(),
        Output::Observe(event) => first_word(event),
        Output::Client { response, .. } => match response {
            Response::ChannelClosed { code, reason } => format!("ChannelClosed {code} {reason}"),
            Response::Confirm {
                accepted: false, ..
            } => "Confirm refused".into(),
            Response::Confirm { multiple: true, .. } => "Confirm multiple".into(),
            Response::Deliver {
                redelivered: true, ..
            } => "Deliver again".into(),
            Response::Deliver {
                consumer: ConsumerId::GET,
                ..
            } => "Deliver to a get".into(),
            Response::Deliver { copy, .. } if copy.queue == QueueId::REPLY_TO => {
                "Deliver a reply".into()
            }
            response => first_word(response),
        },
        Output::Persist {
            entry: Entry::Many(_),
            ..
        } => "Persist many".into(),
        Output::Persist {
            entry: Entry::One(command),
            ..
        } => format!("Persist {}", first_word(command)),
        Output::Reading { on, .. } => format!("Reading {on}"),
        output => first_word(output),
    }
}

fn first_word(value: &impl fmt::Debug) -> String {
    let mut text = String::new();
    write!(text, "{value:?}").unwrap();
    let end = text.find(|c: char| !c.is_alphanumeric());
    text.truncate(end.unwrap_or(text.len()));
    text
}
