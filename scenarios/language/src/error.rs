//! What can be wrong with a scenario, said so that the reader finds the place and knows what to write instead.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::PathBuf;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::source::Source;
use crate::units::short;

/// Why a scenario could not be had. `Display` is [`Error::render`] without colour.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The file could not be read.
    #[error("{}", self.render(false))]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        kind: io::ErrorKind,
    },
    /// The path is a folder.
    #[error("{}", self.render(false))]
    Folder {
        /// Which.
        path: PathBuf,
    },
    /// The path is neither a file nor a folder, but a named pipe, a socket or a device.
    #[error("{}", self.render(false))]
    NotAFile {
        /// Which.
        path: PathBuf,
    },
    /// The file is larger than [`crate::LARGEST_FILE`]; it was not parsed.
    #[error("{}", self.render(false))]
    TooLarge {
        /// Which.
        path: PathBuf,
    },
    /// The file is not UTF-8 text.
    #[error("{}", self.render(false))]
    NotText {
        /// Which.
        path: PathBuf,
        /// Line of the first byte that is not text, from 1.
        line: usize,
        /// Its column in bytes, from 1.
        column: usize,
    },
    /// The library has no scenario of this name.
    #[error("{}", self.render(false))]
    UnknownScenario {
        /// As asked for.
        name: String,
        /// The closest name there is.
        suggestion: Option<String>,
    },
    /// The text is not a scenario.
    #[error("{}", self.render(false))]
    Invalid(Invalid),
}

/// All problems that were found in one text.
#[derive(Clone, Debug)]
pub struct Invalid {
    problems: Vec<Problem>,
    source: Source,
    more: usize,
}

/// One problem and its place.
#[derive(Clone, Debug)]
pub struct Problem {
    pub(crate) message: String,
    pub(crate) span: Range<usize>,
    pub(crate) label: String,
    pub(crate) help: Option<String>,
}

impl Error {
    /// The message with its place, as rustc shows errors, with ANSI colours or without. No line break at the end.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let plain = |message: String, help: Option<String>| {
            let mut group = Group::with_title(Level::ERROR.primary_title(message));
            if let Some(help) = help {
                group = group.element(Level::HELP.message(help));
            }
            renderer.render(&[group])
        };
        match self {
            Error::Unreadable { path, kind } => plain(
                match kind {
                    io::ErrorKind::NotFound => {
                        format!("failed to read {}: there is no such file", shown_path(path))
                    }
                    kind => format!("failed to read {}: {kind}", shown_path(path)),
                },
                (*kind == io::ErrorKind::NotFound)
                    .then(|| "a scenario is a path to a .toml file or a library name: `queuelab list` shows these".into()),
            ),
            Error::Folder { path } => plain(
                format!("failed to read {}: it is a folder", shown_path(path)),
                Some("name a .toml file in it".into()),
            ),
            Error::NotAFile { path } => plain(
                format!("failed to read {}: it is a pipe, a socket or a device", shown_path(path)),
                Some("a scenario is a file".into()),
            ),
            Error::TooLarge { path } => plain(
                format!("failed to read {}: it is larger than 1 MiB", shown_path(path)),
                Some("a scenario is a short text; it was not parsed".into()),
            ),
            Error::NotText { path, line, column } => plain(
                format!("failed to read {}: not UTF-8 text at line {line}, byte {column}", shown_path(path)),
                Some("a scenario is a TOML file".into()),
            ),
            Error::UnknownScenario { name, suggestion } => {
                let names: Vec<_> = crate::library().map(|entry| entry.name).collect();
                let there_are = format!("there are {}; a path ends in .toml", names.join(", "));
                plain(
                    format!("there is no scenario `{}` in the library", short(name)),
                    Some(match suggestion {
                        Some(suggestion) => format!("did you mean `{suggestion}`? {there_are}"),
                        None => there_are,
                    }),
                )
            }
            Error::Invalid(invalid) => invalid.render(&renderer),
        }
    }

    /// The problems of a text that is not a scenario; none for the other errors.
    pub fn problems(&self) -> &[Problem] {
        match self {
            Error::Invalid(invalid) => &invalid.problems,
            _ => &[],
        }
    }
}

impl Invalid {
    pub(crate) fn new(mut problems: Vec<Problem>, source: Source) -> Invalid {
        problems.sort_by_key(|problem| problem.span.start);
        let more = problems.len().saturating_sub(MOST_SHOWN);
        problems.truncate(MOST_SHOWN);
        Invalid {
            problems,
            source,
            more,
        }
    }

    /// File (or `--set`), line and column of each problem, from 1.
    pub fn places(&self) -> impl Iterator<Item = (&str, usize, usize)> {
        self.problems.iter().map(|problem| {
            let place = self.source.place(problem.span.clone());
            let (line, column) = place.line_and_column();
            (place.origin, line, column)
        })
    }

    fn render(&self, renderer: &Renderer) -> String {
        let mut reports: Vec<String> = self
            .problems
            .iter()
            .map(|problem| problem.render(&self.source, renderer))
            .collect();
        if self.more > 0 {
            reports.push(format!("… and {} more", self.more));
        }
        reports.join("\n\n")
    }
}

impl Problem {
    pub(crate) fn new(span: Range<usize>, message: impl Into<String>) -> Problem {
        Problem {
            message: message.into(),
            span,
            label: String::new(),
            help: None,
        }
    }

    pub(crate) fn label(mut self, label: impl Into<String>) -> Problem {
        self.label = label.into();
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Problem {
        self.help = Some(help.into());
        self
    }

    /// What is wrong, in one line.
    pub fn message(&self) -> &str {
        &self.message
    }

    fn render(&self, source: &Source, renderer: &Renderer) -> String {
        let place = source.place(self.span.clone());
        let (line, _) = place.line_and_column();
        // Only the line itself goes to the renderer: it would split the whole file for each problem.
        let start = place.text[..place.span.start]
            .rfind('\n')
            .map_or(0, |at| at + 1);
        let end = place.text[place.span.end..]
            .find('\n')
            .map_or(place.text.len(), |length| place.span.end + length);
        let mut annotation =
            AnnotationKind::Primary.span(place.span.start - start..place.span.end - start);
        if !self.label.is_empty() {
            annotation = annotation.label(self.label.as_str());
        }
        let snippet = Snippet::source(&place.text[start..end])
            .path(place.origin)
            .line_start(line)
            .annotation(annotation);
        let mut group = Level::ERROR
            .primary_title(self.message.as_str())
            .element(snippet);
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        renderer.render(&[group])
    }
}

/// Problems beyond these are only counted.
const MOST_SHOWN: usize = 20;

/// The candidate that `word` was probably meant to be.
pub(crate) fn closest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let word: String = word.chars().take(100).collect::<String>().to_lowercase();
    candidates
        .into_iter()
        .take(10_000)
        .filter(|candidate| candidate.len() <= 100)
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&word, &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count().max(3) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// "did you mean …?", or what there is to choose from.
pub(crate) fn suggest(word: &str, candidates: &[&str]) -> String {
    match closest(word, candidates.iter().copied()) {
        Some(candidate) => format!("did you mean `{candidate}`?"),
        None if candidates.is_empty() => "none is declared".into(),
        None => {
            let shown: Vec<_> = candidates
                .iter()
                .take(30)
                .map(|candidate| format!("`{}`", short(candidate)))
                .collect();
            let more = if candidates.len() > shown.len() {
                ", …"
            } else {
                ""
            };
            let there = if candidates.len() == 1 {
                "there is only"
            } else {
                "there are"
            };
            format!("{there} {}{more}", shown.join(", "))
        }
    }
}

fn shown_path(path: &std::path::Path) -> impl fmt::Display {
    short(&path.display().to_string())
}
