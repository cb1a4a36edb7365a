//! For machines that run checks: what a command found, as JUnit XML, as annotations of GitHub's kind and as a Markdown summary.
//!
//! A command makes a [`Suite`] of what it judged, whatever that was; the forms that others read are made of suites only.

mod annotations;
mod junit;
mod markdown;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use queuelab_record::Verdict;

use crate::outcome::Status;
use crate::summary::shell_word;
use crate::terminal;

/// The layout of what `--format json` prints, in every command; raised when a program that reads an older one would be misled.
pub(crate) const JSON_SCHEMA_VERSION: u32 = 1;

/// What commands that judge offer to CI.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "For CI")]
pub(crate) struct Ci {
    /// Write what was judged to FILE as JUnit XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Annotate what is not met, as GitHub shows beside the code: auto (in GitHub Actions), always or never.
    #[arg(long, value_name = "WHEN", num_args = 0..=1, require_equals = true, hide_possible_values = true)]
    #[arg(default_value = "auto", default_missing_value = "always")]
    annotations: When,
    /// Append a summary in Markdown to FILE; with annotations, to $GITHUB_STEP_SUMMARY unless told otherwise.
    #[arg(long, value_name = "FILE")]
    step_summary: Option<PathBuf>,
    /// What cannot be said counts as: pass (exit status 0) or fail (1). Without, the exit status is 3.
    #[arg(long, value_name = "AS", hide_possible_values = true)]
    undecided: Option<Undecided>,
}

/// When to annotate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum When {
    /// Where GitHub Actions runs the command.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// As what an undecided verdict counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Undecided {
    /// As met.
    Pass,
    /// As not met.
    Fail,
}

/// What belongs together: all that one scenario was judged by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Suite {
    /// The command and what it was about: `run flash-sale`.
    pub(crate) name: String,
    /// How it can be done again: `queuelab run flash-sale --seed 7`.
    pub(crate) command: String,
    /// How long it took.
    pub(crate) wall: Duration,
    /// What was judged, in order.
    pub(crate) cases: Vec<Case>,
    /// What a reader has to know besides: warnings, an answer in a sentence.
    pub(crate) notes: Vec<String>,
}

/// One thing that was judged.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// `drain_time < 5m`
    pub(crate) name: String,
    /// What became of it.
    pub(crate) verdict: Verdict,
    /// What was measured, or what is wrong, in a line: `3m45s`.
    pub(crate) measured: String,
    /// More lines, where something is wrong.
    pub(crate) details: Vec<String>,
    /// Where it is written.
    pub(crate) place: Option<Place>,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// As it was typed.
    pub(crate) file: String,
    /// From 1; `None` for the file as a whole.
    pub(crate) line: Option<usize>,
    /// From 1.
    pub(crate) column: Option<usize>,
}

impl Suite {
    /// The worst of its cases.
    pub(crate) fn verdict(&self) -> Verdict {
        Verdict::worst(self.cases.iter().map(|case| case.verdict))
    }

    fn count(&self, verdict: Verdict) -> usize {
        let cases = self.cases.iter();
        cases.filter(|case| case.verdict == verdict).count()
    }
}

impl Ci {
    /// Writes whatever was asked for.
    ///
    /// # Errors
    /// Of a file that cannot be written.
    pub(crate) fn report(&self, suites: &[Suite]) -> anyhow::Result<()> {
        if let Some(path) = &self.junit {
            let text = junit::text(suites, self.undecided);
            std::fs::write(path, text)
                .with_context(|| format!("failed to write {}", path.display()))?;
        }
        let annotates = self.annotates(variable);
        if annotates {
            // Beside the results, which may be JSON: GitHub reads both streams.
            terminal::complain(&annotations::text(suites, self.undecided));
        }
        if let Some(path) = self.summary_file(annotates, variable) {
            append(&path, &markdown::text(suites))
                .with_context(|| format!("failed to append to {}", path.display()))?;
        }
        Ok(())
    }

    /// The exit status of a verdict.
    pub(crate) fn status(&self, verdict: Verdict) -> Status {
        match (verdict, self.undecided) {
            (Verdict::Undecided, Some(Undecided::Pass)) => Status::Met,
            (Verdict::Undecided, Some(Undecided::Fail)) => Status::Unmet,
            (verdict, _) => verdict.into(),
        }
    }

    fn annotates(&self, variable: impl Fn(&str) -> Option<String>) -> bool {
        match self.annotations {
            When::Always => true,
            When::Never => false,
            When::Auto => variable("GITHUB_ACTIONS").is_some_and(|it| it == "true"),
        }
    }

    fn summary_file(
        &self,
        annotates: bool,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Option<PathBuf> {
        let of_step = || variable("GITHUB_STEP_SUMMARY").map(PathBuf::from);
        let given = self.step_summary.clone();
        given.or_else(|| of_step().filter(|_| annotates))
    }
}

/// What was typed, to type it again.
pub(crate) fn command_line() -> String {
    let words = std::env::args_os().skip(1);
    let words = words.map(|word| shell_word(&word.to_string_lossy()));
    let words: Vec<String> = words.collect();
    format!("queuelab {}", words.join(" "))
}

/// Where expectation `text` of a scenario stands: `typed` is the scenario as it was typed, `source` its text. Nowhere if it is of the
/// library, or came by `--set`.
pub(crate) fn place(typed: &str, source: &str, text: &str) -> Option<Place> {
    if !Path::new(typed).is_file() {
        return None;
    }
    let mut places = queuelab_scenario::expectation_places(source).into_iter();
    let (_, line, column) = places.find(|(other, ..)| other == text)?;
    Some(Place {
        file: typed.into(),
        line: Some(line),
        column: Some(column),
    })
}

/// The file of a scenario as a whole, if it is one.
pub(crate) fn file(typed: &str) -> Option<Place> {
    Path::new(typed).is_file().then(|| Place {
        file: typed.into(),
        line: None,
        column: None,
    })
}

fn append(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(text.as_bytes())
}

/// An environment variable that is set to something.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A suite with a case of each kind, and text that every form has to escape.
    pub(super) fn suite() -> Suite {
        let case = |name: &str, verdict, measured: &str| Case {
            name: name.into(),
            verdict,
            measured: measured.into(),
            details: Vec::new(),
            place: None,
        };
        Suite {
            name: "run mine".into(),
            command: "queuelab run mine.toml --seed 7".into(),
            wall: Duration::from_millis(1_500),
            cases: vec![
                case("no-loss", Verdict::Pass, "1,632 events compared"),
                Case {
                    details: vec!["100 % of \"orders\"".into(), "holds in 8 of 10".into()],
                    place: Some(Place {
                        file: "a,b:c.toml".into(),
                        line: Some(3),
                        column: Some(5),
                    }),
                    ..case("drain_time < 5m", Verdict::Fail, "never | & <ever>")
                },
                case("latency.p99 < 1s", Verdict::Undecided, "no\u{1} samples"),
            ],
            notes: vec!["did not converge".into()],
        }
    }

    #[test]
    fn annotations_come_by_themselves_where_github_runs_the_command() {
        let github = |name: &str| match name {
            "GITHUB_ACTIONS" => Some("true".to_string()),
            "GITHUB_STEP_SUMMARY" => Some("/tmp/step".to_string()),
            _ => None,
        };
        let auto = Ci::default();
        assert!(auto.annotates(github) && !auto.annotates(|_| None));
        let step = Some(PathBuf::from("/tmp/step"));
        assert_eq!(auto.summary_file(true, github), step);
        assert_eq!(auto.summary_file(false, github), None);
        let never = Ci {
            annotations: When::Never,
            step_summary: Some("mine.md".into()),
            ..Ci::default()
        };
        assert!(!never.annotates(github));
        assert_eq!(never.summary_file(false, github), Some("mine.md".into()));
    }

    #[test]
    fn an_undecided_verdict_counts_as_told() {
        let status = |undecided, verdict| {
            let ci = Ci {
                undecided,
                ..Ci::default()
            };
            ci.status(verdict)
        };
        assert_eq!(status(None, Verdict::Undecided), Status::Undecided);
        let pass = Some(Undecided::Pass);
        assert_eq!(status(pass, Verdict::Undecided), Status::Met);
        assert_eq!(status(pass, Verdict::Fail), Status::Unmet);
        let fail = Some(Undecided::Fail);
        assert_eq!(status(fail, Verdict::Undecided), Status::Unmet);
        assert_eq!(status(fail, Verdict::Pass), Status::Met);
    }

    #[test]
    fn expectations_of_the_library_stand_in_no_file() {
        let hello = queuelab_scenario::open("hello", &[]).unwrap();
        assert_eq!(place("hello", &hello.source, "no-loss"), None);
        let path = "../scenarios/library/basics/hello.toml";
        let place = place(path, &hello.source, "no-loss").unwrap();
        let line = place.line.unwrap();
        let written = hello.source.lines().nth(line - 1).unwrap();
        assert!(written.contains("no-loss"), "{written}");
    }
}
