//! The shipped scenarios, embedded.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use include_dir::{Dir, include_dir};

use crate::error::{Error, closest};
use crate::scenario::{Scenario, Trace};
use crate::trace::{self, TraceError};
use crate::units::short;

/// A shipped scenario.
#[derive(Clone, Debug)]
pub struct LibraryEntry {
    /// The name to run it by: `flash-sale`.
    pub name: &'static str,
    /// What it is about, one of [`THEMES`]: the folder that it lies in.
    pub theme: &'static str,
    /// The TOML text.
    pub source: &'static str,
    /// For people: `Flash sale`.
    pub title: String,
    /// What it teaches.
    pub about: String,
}

/// The themes of the shipped scenarios, in the order in which to read them.
pub const THEMES: &[&str] = &[
    "basics", "load", "routing", "delivery", "faults", "designs", "theory",
];

/// The shipped scenarios by theme: `hello` first, the others of a theme by name.
pub fn library() -> impl Iterator<Item = &'static LibraryEntry> {
    LIBRARY.iter()
}

/// Opens a scenario: one of the library if `scenario` is the plain name of one, else the file at that path.
pub fn open(scenario: &str, overrides: &[String]) -> Result<Scenario, Error> {
    let is_path = scenario.contains(['/', '\\'])
        || scenario.ends_with(".toml")
        || scenario == "."
        || scenario == "..";
    if is_path {
        return Scenario::load(Path::new(scenario), overrides);
    }
    match library().find(|entry| entry.name == scenario) {
        Some(entry) => entry.read(overrides),
        None if Path::new(scenario).exists() => Scenario::load(Path::new(scenario), overrides),
        None => Err(Error::UnknownScenario {
            name: scenario.to_string(),
            suggestion: closest(scenario, library().map(|entry| entry.name)).map(str::to_string),
        }),
    }
}

/// A small scenario to start from, under the given title.
pub fn template(name: &str) -> String {
    let title: String = name
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    TEMPLATE.replace("TITLE", &title.replace('\\', "\\\\").replace('"', "\\\""))
}

impl LibraryEntry {
    fn read(&self, overrides: &[String]) -> Result<Scenario, Error> {
        let file = format!("{}.toml", self.name);
        let files = |file: &str| trace(self.theme, file);
        Scenario::read(self.name, &file, self.source, overrides, &files)
    }
}

/// The trace that is embedded beside the scenarios of a theme.
fn trace(theme: &str, file: &str) -> Result<Arc<Trace>, TraceError> {
    let embedded = FILES.get_file(format!("{theme}/{file}"));
    match embedded.and_then(|file| file.contents_utf8()) {
        Some(text) => trace::parse(file, text).map(Arc::new),
        None => Err(TraceError::new(format!(
            "the library has no trace {}",
            short(file)
        ))),
    }
}

static FILES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../library");

static LIBRARY: LazyLock<Vec<LibraryEntry>> = LazyLock::new(|| {
    let mut entries = Vec::new();
    for theme in THEMES {
        let folder = FILES.get_dir(theme);
        let files = folder.into_iter().flat_map(Dir::files);
        let mut of_theme: Vec<_> = files.filter_map(|file| entry(theme, file)).collect();
        of_theme.sort_by_key(|entry| (entry.name != "hello", entry.name));
        entries.append(&mut of_theme);
    }
    entries
});

fn entry(theme: &'static str, file: &'static include_dir::File<'static>) -> Option<LibraryEntry> {
    let name = file.path().file_name()?.to_str()?.strip_suffix(".toml")?;
    let source = file.contents_utf8()?;
    let mut entry = LibraryEntry {
        name,
        theme,
        source,
        title: String::new(),
        about: String::new(),
    };
    if let Ok(scenario) = entry.read(&[]) {
        (entry.title, entry.about) = (scenario.title, scenario.about);
    }
    Some(entry)
}

const TEMPLATE: &str = include_str!("template.toml");
