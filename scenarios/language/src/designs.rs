//! Real systems as presets: what each of them does by default, in the words of the language, and where that is written.
//!
//! A design fills in the keys that its author leaves out, before the file is read into types: the table below is all that there is to it.
//! A key that the system does not have is refused there, too.

mod apply;
mod table;

pub(crate) use apply::apply;

use crate::scenario::{Design, Scenario};

/// What a design stands for.
#[derive(Clone, Copy, Debug)]
pub struct DesignInfo {
    /// The variant.
    pub design: Design,
    /// As in the file: `rabbitmq-classic`.
    pub name: &'static str,
    /// The system: `RabbitMQ classic queues`.
    pub system: &'static str,
    /// What is special about it, in a sentence or two.
    pub summary: &'static str,
    /// What a confirmed message survives, and how that compares with the real system.
    pub durability: &'static str,
    /// What queuelab would have to have first; `None`: the design works.
    pub needs: Option<&'static str>,
    /// Defaults of the system, each with its source.
    pub choices: &'static [Choice],
    /// Keys of `[[queue]]` that the system has, besides those in `choices`; `key.part` for a part of a table.
    pub allowed: &'static [&'static str],
    /// Keys of `[[consumer]]` that it does not have.
    pub refused: &'static [&'static str],
}

/// A default of a system.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    /// In which table: `queue`, `consumer` or `group`.
    pub table: &'static str,
    /// The key.
    pub key: &'static str,
    /// The value, as in the file.
    pub value: &'static str,
    /// Whether another value may be written: otherwise the system has no such choice.
    pub free: bool,
    /// The setting or rule of the real system.
    pub why: &'static str,
    /// Where that is written.
    pub source: &'static str,
}

impl DesignInfo {
    /// Whether scenarios may use it.
    pub fn works(&self) -> bool {
        self.needs.is_none()
    }

    /// Whether its consumers share what they read in groups.
    pub(crate) fn reads_in_groups(&self) -> bool {
        self.choices.iter().any(|choice| choice.table == "group")
    }

    /// Where its choices are written, each address once.
    pub fn sources(&self) -> Vec<&'static str> {
        let mut sources: Vec<_> = self.choices.iter().map(|choice| choice.source).collect();
        sources.sort_unstable();
        sources.dedup();
        sources
    }
}

/// All designs.
pub fn designs() -> &'static [DesignInfo] {
    table::DESIGNS
}

impl Scenario {
    /// Names of the designs that its queues follow, in order, each once.
    pub fn designs(&self) -> impl Iterator<Item = &'static str> {
        let followed = |design: &&DesignInfo| {
            let mut queues = self.queues.iter();
            queues.any(|queue| queue.design == Some(design.design))
        };
        designs().iter().filter(followed).map(|info| info.name)
    }
}

impl Design {
    /// What it stands for.
    pub fn info(self) -> &'static DesignInfo {
        let found = designs().iter().find(|info| info.design == self);
        found.expect("every design is in the table, as a test shows")
    }
}
