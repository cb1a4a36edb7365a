//! The shipped scenarios, embedded.

use std::path::Path;
use std::sync::LazyLock;

use include_dir::{Dir, include_dir};

use crate::error::{Error, closest};
use crate::scenario::Scenario;

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
pub const THEMES: &[&str] = &["basics", "load", "routing", "delivery", "designs", "theory"];

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
        Some(entry) => Scenario::parse(&format!("{}.toml", entry.name), entry.source, overrides),
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
    let scenario = Scenario::parse(name, source, &[]).ok();
    let (title, about) = scenario
        .map(|scenario| (scenario.title, scenario.about))
        .unwrap_or_default();
    Some(LibraryEntry {
        name,
        theme,
        source,
        title,
        about,
    })
}

const TEMPLATE: &str = include_str!("template.toml");
