//! A capsule: everything that it takes to see a violation again, in one JSON file.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use queuelab_scenario::Scenario;
use queuelab_sim::{Line, Plan, Violation};
use serde::{Deserialize, Serialize};

/// A failing run, made small.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Capsule {
    /// Version of this format.
    pub(crate) capsule: u32,
    /// The queuelab that wrote it.
    pub(crate) version: String,
    /// What runs.
    pub(crate) scenario: Source,
    /// Its seed, horizon, operations, faults and knobs.
    pub(crate) plan: Plan,
    /// What goes wrong.
    pub(crate) expected: Violation,
    /// The hash of all events, up to the violation.
    pub(crate) trace_hash: String,
    /// The events of the calendar up to the violation, packed: what tells two runs apart that read the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) events: Option<String>,
    /// What happens, up to the violation.
    pub(crate) trace: Vec<Line>,
}

/// A scenario as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Source {
    /// Its name.
    pub(crate) name: String,
    /// The TOML text.
    pub(crate) text: String,
    /// `--set` overrides.
    pub(crate) overrides: Vec<String>,
}

impl Source {
    /// Of a scenario.
    pub(crate) fn of(scenario: &Scenario) -> Source {
        Source {
            name: scenario.name.clone(),
            text: scenario.source.clone(),
            overrides: scenario.overrides.clone(),
        }
    }

    /// The scenario.
    ///
    /// # Errors
    /// Of its text, or of an override.
    pub(crate) fn open(&self) -> anyhow::Result<Arc<Scenario>> {
        // A shipped one may have a recorded trace beside it.
        if let Ok(shipped) = queuelab_scenario::open(&self.name, &self.overrides)
            && shipped.source == self.text
        {
            return Ok(Arc::new(shipped));
        }
        let file = format!("{}.toml", self.name);
        let scenario = Scenario::parse(&file, &self.text, &self.overrides)?;
        Ok(Arc::new(scenario))
    }
}

impl Capsule {
    /// As a file.
    ///
    /// # Errors
    /// None that is known: all of it has a form in JSON.
    pub(crate) fn to_json(&self) -> anyhow::Result<String> {
        let mut text = String::from("{\n");
        // One line for each thing that is worth a look, and one for each event.
        let value = serde_json::to_value(self)?;
        for name in [
            "capsule",
            "version",
            "scenario",
            "plan",
            "expected",
            "trace_hash",
        ] {
            text.push_str(&format!("  \"{name}\": {},\n", value[name]));
        }
        if let Some(events) = value.get("events") {
            text.push_str(&format!("  \"events\": {events},\n"));
        }
        let lines = self.trace.iter().map(serde_json::to_string);
        let lines: Vec<String> = lines.collect::<Result<_, _>>()?;
        text.push_str(&format!(
            "  \"trace\": [\n    {}\n  ]\n}}\n",
            lines.join(",\n    ")
        ));
        Ok(text)
    }

    /// Reads a text.
    ///
    /// # Errors
    /// If it is no capsule, or one of another format.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Capsule> {
        let any: Format = serde_json::from_str(text).context("it is not a capsule")?;
        ensure!(
            any.capsule == FORMAT,
            "its format is {}, and this queuelab reads format {FORMAT}",
            any.capsule
        );
        serde_json::from_str(text).context("it is not a capsule")
    }

    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, or is no capsule.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Capsule> {
        let shown = path.display();
        let read = || -> anyhow::Result<Capsule> {
            let mut text = String::new();
            let file = fs::File::open(path)?;
            let bytes = file.take(LARGEST + 1).read_to_string(&mut text)?;
            if bytes as u64 > LARGEST {
                bail!("it is larger than {} MiB", LARGEST >> 20);
            }
            Capsule::parse(&text)
        };
        read().with_context(|| format!("failed to read {shown}"))
    }
}

/// What every format has.
#[derive(Deserialize)]
struct Format {
    capsule: u32,
}

/// The version of the format that this program writes and reads.
pub(crate) const FORMAT: u32 = 1;

/// Larger files are refused before they are parsed.
const LARGEST: u64 = 64 << 20;

/// Lines of a trace that a capsule keeps.
pub(crate) const LINES: usize = 10_000;

#[cfg(test)]
mod tests {
    use queuelab_core::Time;
    use queuelab_record::EventTrace;
    use queuelab_sim::{Broken, Knob, Mask, Operation};

    use super::*;

    fn capsule() -> Capsule {
        Capsule {
            capsule: FORMAT,
            version: "0.1.0".into(),
            scenario: Source {
                name: "hello".into(),
                text: queuelab_scenario::open("hello", &[]).unwrap().source,
                overrides: vec!["duration=5s".into()],
            },
            plan: Plan {
                horizon: Some(Time(5)),
                keep: Some(Mask::new(vec![Operation {
                    producer: 0,
                    sequence: 3,
                }])),
                knobs: vec![Knob::Prefetch { group: 0, limit: 1 }],
                ..Plan::seeded(7)
            },
            expected: Violation {
                broken: Broken::Invariant {
                    name: "no-loss".into(),
                    queue: "greetings".into(),
                },
                at: Time(3),
                tag: Some(3),
                text: "at 3ns: gone".into(),
            },
            trace_hash: "0123".into(),
            events: Some(EventTrace::default().to_text()),
            trace: vec![
                Line(Time(1), Some(3), "sent".into()),
                Line(Time(2), None, "fault".into()),
            ],
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let text = capsule().to_json().unwrap();
        assert_eq!(Capsule::parse(&text).unwrap(), capsule());
        // Capsules of before events were kept.
        let without = Capsule {
            events: None,
            ..capsule()
        };
        let text = without.to_json().unwrap();
        assert_eq!(Capsule::parse(&text).unwrap(), without);
    }

    /// Any text with a byte changed, cut or doubled is read or refused, and what is read runs or is refused.
    #[test]
    fn bad_input_is_refused() {
        let text = capsule().to_json().unwrap();
        let mut state = 7_u64;
        let mut dice = |below: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) as usize % below
        };
        let mut refused = 0;
        for _ in 0..3_000 {
            let mut bytes = text.clone().into_bytes();
            let at = dice(bytes.len());
            match dice(4) {
                0 => bytes.truncate(at),
                1 => bytes[at] = dice(256) as u8,
                2 => bytes.insert(at, b"0123456789{}[]\",:-eE"[dice(20)]),
                _ => drop(bytes.drain(at..(at + dice(40)).min(text.len()))),
            }
            let mutated = String::from_utf8_lossy(&bytes);
            match Capsule::parse(&mutated) {
                Ok(capsule) => drop(capsule.scenario.open()),
                Err(error) => {
                    refused += 1;
                    assert!(format!("{error:#}").starts_with("it"), "{error:#}");
                }
            }
        }
        assert!(refused > 1_000, "{refused}");
        let other = text.replacen("\"capsule\": 1", "\"capsule\": 2", 1);
        let error = Capsule::parse(&other).unwrap_err().to_string();
        assert_eq!(error, "its format is 2, and this queuelab reads format 1");
        let deep = "[".repeat(100_000);
        assert!(Capsule::parse(&deep).is_err());
    }
}
