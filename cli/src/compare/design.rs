//! What is to be compared: scenarios to run, and runs that were kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use queuelab_record::{Ensemble, RunRecord};
use queuelab_scenario::Scenario;

use crate::vary::{Vary, combinations};

/// One of the designs.
pub(super) struct Design {
    /// What tells it from the others.
    pub(super) label: String,
    /// The scenario's.
    pub(super) name: String,
    /// Where its figures come from.
    pub(super) origin: Origin,
}

/// Where figures come from.
pub(super) enum Origin {
    /// From runs that are still to be made.
    Scenario {
        /// What runs.
        scenario: Arc<Scenario>,
        /// As it was typed.
        typed: String,
    },
    /// From the record of one run.
    Read(Vec<RunRecord>),
    /// From what was kept of several.
    Kept(Box<Ensemble>),
    /// From nowhere: the language refuses it.
    Refused(String),
}

impl Design {
    /// What is to run, if anything is.
    pub(super) fn scenario(&self) -> Option<&Arc<Scenario>> {
        match &self.origin {
            Origin::Scenario { scenario, .. } => Some(scenario),
            _ => None,
        }
    }
}

/// All designs, the reference first.
///
/// # Errors
/// Of a scenario or a folder; of the reference if the language refuses it, and of all if it refuses each.
pub(super) fn all(typed: &[String], vary: &[Vary], set: &[String]) -> anyhow::Result<Vec<Design>> {
    if !vary.is_empty() {
        let [typed] = typed else {
            bail!(
                "--vary compares one scenario with itself, and there are {}",
                typed.len()
            );
        };
        return varied(typed, vary, set);
    }
    ensure!(
        typed.len() > 1,
        "a comparison takes two scenarios or more, or one and --vary KEY=A,B"
    );
    let mut designs = Vec::new();
    for typed in typed {
        designs.push(one(typed, set)?);
    }
    tell_apart(&mut designs, typed);
    Ok(designs)
}

/// One scenario with each combination of values.
fn varied(typed: &str, vary: &[Vary], set: &[String]) -> anyhow::Result<Vec<Design>> {
    let combinations = combinations(vary);
    ensure!(
        (2..=MOST).contains(&combinations.len()),
        "--vary makes {} designs, and a comparison takes 2 to {MOST}; `queuelab sweep` runs more",
        combinations.len()
    );
    // What is wrong with the scenario itself is no variant's fault.
    let plain = queuelab_scenario::open(typed, set)?;
    let mut designs = Vec::new();
    for indexes in combinations {
        let keys = || vary.iter().zip(&indexes);
        let changes = keys().map(|(key, index)| key.set(*index));
        let overrides: Vec<String> = set.iter().cloned().chain(changes).collect();
        let values = keys().map(|(key, index)| key.values[*index].as_str());
        let label = values.collect::<Vec<_>>().join(", ");
        let origin = match queuelab_scenario::open(typed, &overrides) {
            Ok(scenario) => Origin::Scenario {
                scenario: Arc::new(scenario),
                typed: typed.into(),
            },
            Err(error) if designs.is_empty() => {
                return Err(anyhow::Error::from(error).context(Reference(label)));
            }
            Err(error) => Origin::Refused(reason(&error)),
        };
        designs.push(Design {
            label,
            name: plain.name.clone(),
            origin,
        });
    }
    let accepted = designs.iter().filter(|it| it.scenario().is_some()).count();
    if accepted < 2 {
        let refused = designs.iter().find_map(|design| match &design.origin {
            Origin::Refused(reason) => Some(format!("with {}: {reason}", design.label)),
            _ => None,
        });
        bail!(
            "all designs but the first are refused; {}",
            refused.unwrap_or_default()
        );
    }
    Ok(designs)
}

/// The variant of which an error is.
#[derive(Debug)]
struct Reference(String);

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the reference, {}, is refused", self.0)
    }
}

/// What is wrong, in a line: the first problem, without the place, which is on the command line.
fn reason(error: &queuelab_scenario::Error) -> String {
    let text = error.to_string();
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(first).to_string();
    let help = lines
        .take_while(|line| !line.starts_with("error"))
        .find_map(|line| line.trim_start().strip_prefix("= help: "));
    match help {
        Some(help) => format!("{first} ({help})"),
        None => first,
    }
}

fn one(typed: &str, set: &[String]) -> anyhow::Result<Design> {
    let path = Path::new(typed);
    let is_json = path.extension().is_some_and(|it| it == "json");
    if path.is_dir() || is_json {
        return kept(path);
    }
    let scenario = queuelab_scenario::open(typed, set)?;
    Ok(Design {
        label: scenario.name.clone(),
        name: scenario.name.clone(),
        origin: Origin::Scenario {
            scenario: Arc::new(scenario),
            typed: typed.into(),
        },
    })
}

/// Runs that were made before: of a folder the replications, if there are any, else the one run.
fn kept(path: &Path) -> anyhow::Result<Design> {
    let files: Vec<PathBuf> = match path.is_dir() {
        true => vec![path.join("replications.json"), path.join("record.json")],
        false => vec![path.to_path_buf()],
    };
    let Some(file) = files.iter().find(|file| file.is_file()) else {
        bail!(
            "there is neither replications.json nor record.json in {}",
            path.display()
        );
    };
    let read = || -> anyhow::Result<Design> {
        let text = fs::read_to_string(file)?;
        if let Ok(ensemble) = Ensemble::from_json(&text) {
            return Ok(Design {
                label: ensemble.scenario.name.clone(),
                name: ensemble.scenario.name.clone(),
                origin: Origin::Kept(Box::new(ensemble)),
            });
        }
        let record = RunRecord::from_json(&text)?;
        Ok(Design {
            label: record.scenario.name.clone(),
            name: record.scenario.name.clone(),
            origin: Origin::Read(vec![record]),
        })
    };
    read().with_context(|| format!("failed to read {}", file.display()))
}

/// Designs of one name are called as they were typed, and numbered if that does not tell them apart either.
fn tell_apart(designs: &mut [Design], typed: &[String]) {
    let labels: Vec<String> = designs.iter().map(|it| it.label.clone()).collect();
    let twice = |label: &String| labels.iter().filter(|it| *it == label).count() > 1;
    for (at, design) in designs.iter_mut().enumerate() {
        if !twice(&labels[at]) {
            continue;
        }
        let same = typed[..at].iter().filter(|it| **it == typed[at]).count();
        design.label = match same {
            0 => typed[at].trim_end_matches('/').to_string(),
            before => format!("{} ({})", typed[at].trim_end_matches('/'), before + 1),
        };
    }
}

/// More would not be read beside each other.
const MOST: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    fn vary(text: &str) -> Vec<Vary> {
        vec![text.parse().unwrap()]
    }

    #[test]
    fn each_combination_is_a_design() {
        let keys: Vec<Vary> = [
            "queue.orders.design=sqs,activemq",
            "consumer.billing.count=4,5",
        ]
        .map(|key| key.parse().unwrap())
        .to_vec();
        let designs = all(&["one-workload".into()], &keys, &[]).unwrap();
        let labels: Vec<&str> = designs.iter().map(|it| it.label.as_str()).collect();
        assert_eq!(labels, ["sqs, 4", "sqs, 5", "activemq, 4", "activemq, 5"]);
        let overrides = &designs[3].scenario().unwrap().overrides;
        assert_eq!(
            overrides,
            &["queue.orders.design=activemq", "consumer.billing.count=5"]
        );
    }

    #[test]
    fn a_design_that_is_refused_says_why() {
        let keys = vary("queue.orders.design=sqs,rabbitmq-quorum,kafka");
        let designs = all(&["one-workload".into()], &keys, &[]).unwrap();
        let Origin::Refused(reason) = &designs[1].origin else {
            panic!("there is no replication yet");
        };
        assert!(reason.contains("rabbitmq-quorum"), "{reason}");
        assert!(!reason.contains('\n'), "{reason}");
        let keys = vary("queue.orders.design=rabbitmq-quorum,sqs");
        let error = all(&["one-workload".into()], &keys, &[]).err().unwrap();
        assert!(format!("{error:#}").contains("the reference, rabbitmq-quorum"));
        let keys = vary("consumer.billing.count=5,many,few");
        let error = all(&["one-workload".into()], &keys, &[]).err().unwrap();
        assert!(error.to_string().contains("with many: "), "{error}");
        let keys = vary("consumer.biling.count=5,6");
        assert!(all(&["one-workload".into()], &keys, &[]).is_err());
    }

    #[test]
    fn it_takes_two() {
        let text = |typed: &[&str], keys: &[Vary]| {
            let typed: Vec<String> = typed.iter().map(|it| it.to_string()).collect();
            all(&typed, keys, &[]).err().unwrap().to_string()
        };
        assert!(text(&["hello"], &[]).contains("--vary"));
        assert!(text(&["hello", "ttl"], &vary("seed=1,2")).contains("one scenario"));
        assert!(text(&["hello"], &vary("seed=1")).contains("makes 1 design"));
    }

    #[test]
    fn designs_of_one_name_are_called_as_they_were_typed() {
        let path = "../scenarios/library/basics/hello.toml";
        let typed = ["hello", path, path].map(String::from);
        let designs = all(&typed, &[], &[]).unwrap();
        let labels: Vec<&str> = designs.iter().map(|it| it.label.as_str()).collect();
        assert_eq!(labels, ["hello", path, &format!("{path} (2)")]);
    }
}
