//! Expectations from a second file: whoever sets a task keeps its grading apart from the scenario that is handed in.

use std::path::Path;

use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::{Error, Invalid, Problem};
use crate::raw::RawScenario;
use crate::read::{serde_problem, syntax_problem};
use crate::scenario::Scenario;
use crate::sentence::Names;
use crate::shape::At;
use crate::source::Source;
use crate::{LARGEST_FILE, validate};

impl Scenario {
    /// The scenario judged by the expectations of the file at `path` instead of its own: a TOML text with nothing but `expect = […]`.
    ///
    /// # Errors
    /// If the file cannot be read, or says something else, with its place.
    pub fn graded_by(self, path: &Path) -> Result<Scenario, Error> {
        let text = crate::read_text(path)?;
        self.graded(&path.display().to_string(), &text)
    }

    /// As [`Scenario::graded_by`], with `text` instead of a file; `file` is its name as messages show it.
    ///
    /// # Errors
    /// If the text is not such a list.
    pub fn graded(mut self, file: &str, text: &str) -> Result<Scenario, Error> {
        if text.len() as u64 > LARGEST_FILE {
            return Err(Error::TooLarge { path: file.into() });
        }
        let source = Source::new(file, text, &[]);
        let names = Names::of(&self);
        let expectations = read(&source).and_then(|raw| validate::graded(&source, &raw, &names));
        self.expectations =
            expectations.map_err(|problems| Error::Invalid(Invalid::new(problems, source)))?;
        self.grading = Some(file.into());
        Ok(self)
    }
}

/// Each expectation of a scenario's or a grading's text, with its line and column, from 1. Empty if the text is not TOML.
pub fn expectation_places(text: &str) -> Vec<(String, usize, usize)> {
    let source = Source::new("", text, &[]);
    let Ok(document) = DeTable::parse(source.file()) else {
        return Vec::new();
    };
    let Some(DeValue::Array(sentences)) = document.get_ref().get("expect").map(|it| it.get_ref())
    else {
        return Vec::new();
    };
    let place = |sentence: &Spanned<DeValue<'_>>| {
        let text = sentence.get_ref().as_str()?.to_string();
        let (line, column) = source.place(sentence.span()).line_and_column();
        Some((text, line, column))
    };
    sentences.iter().filter_map(place).collect()
}

/// What a grading may say.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGrading {
    expect: At<Vec<At<String>>>,
}

fn read(source: &Source) -> Result<RawScenario, Vec<Problem>> {
    let document = DeTable::parse(source.file()).map_err(|error| vec![syntax_problem(&error)])?;
    let span = document.span();
    let root = Spanned::new(span, DeValue::Table(document.into_inner()));
    match RawGrading::deserialize(root.into_deserializer()) {
        Ok(RawGrading { expect }) => Ok(RawScenario {
            expect: Some(expect),
            ..RawScenario::default()
        }),
        Err(error) => Err(vec![serde_problem(&error)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graded(text: &str) -> Result<Scenario, Error> {
        let hello = crate::open("hello", &[]).expect("it is shipped");
        hello.graded("grading.toml", text)
    }

    #[test]
    fn the_second_file_replaces_the_expectations() {
        let text = "# by hand\nexpect = [\n  'backlog.max < 3',\n  'no-loss',\n]\n";
        let scenario = graded(text).unwrap_or_else(|error| panic!("{error}"));
        let texts = scenario.expectations.iter().map(|it| it.text.as_str());
        assert_eq!(texts.collect::<Vec<_>>(), ["backlog.max < 3", "no-loss"]);
        let places = [("backlog.max < 3", 3, 3), ("no-loss", 4, 3)];
        let places = places.map(|(text, line, column)| (text.to_string(), line, column));
        assert_eq!(expectation_places(text), places);
        assert!(expectation_places("expect = [").is_empty());
    }

    #[test]
    fn errors_have_their_place_in_the_second_file() {
        for (text, parts) in [
            (
                "expect = [\n  'backlog.max < 3',\n  'backlog.mux < 3',\n]",
                ["grading.toml:3:4", "backlog.max"],
            ),
            ("expect = ['no-los']", ["grading.toml:1:12", "no-loss"]),
            ("expects = []", ["grading.toml:1:1", "expect"]),
            ("seed = 7\nexpect = []", ["grading.toml:1:1", "seed"]),
            ("expect = 3", ["grading.toml:1:10", "a list"]),
            ("expect = [", ["grading.toml:1:", "TOML"]),
            ("", ["grading.toml:1:1", "expect"]),
        ] {
            let error = graded(text).unwrap_err().to_string();
            for part in parts {
                assert!(error.contains(part), "{part} is not in:\n{error}");
            }
        }
    }
}
