//! `list`, `show` and `new`: the scenarios that there are, and one more.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};

use anyhow::{Context as _, bail};
use queuelab_scenario::{DesignInfo, LibraryEntry, THEMES, designs, library};
use serde_json::json;

use crate::args::{Format, List, New, Show};
use crate::ci::JSON_SCHEMA_VERSION;
use crate::layout::{first_sentence, wrap};
use crate::outcome::Status;
use crate::terminal;

/// Lists the library: names, titles and what each asks.
///
/// # Errors
/// Of standard output.
pub(crate) fn list(args: &List) -> anyhow::Result<Status> {
    match args.printed.format {
        Format::Text if args.designs => {
            terminal::print(&designs_listing(designs(), terminal::width()))?;
        }
        Format::Json if args.designs => {
            terminal::data(&format!("{:#}\n", designs_json(designs())))?;
        }
        Format::Text => {
            let of_theme = |theme: &str| {
                let entries = library().filter(|entry| entry.theme == theme);
                entries.map(shown).collect::<Vec<_>>()
            };
            let themes = THEMES.iter().map(|theme| (*theme, of_theme(theme)));
            let listing = listing(&themes.collect::<Vec<_>>(), terminal::width());
            terminal::print(&listing)?;
        }
        Format::Json => {
            let object = |entry: &LibraryEntry| {
                let [name, title, about] = shown(entry);
                json!({ "name": name, "theme": entry.theme, "title": title, "about": about })
            };
            let scenarios = library().map(object).collect::<Vec<_>>();
            let json = json!({ "schema_version": JSON_SCHEMA_VERSION, "scenarios": scenarios });
            terminal::data(&format!("{json:#}\n"))?;
        }
    }
    Ok(Status::Met)
}

/// Name, title and the first sentence of what it is about.
fn shown(entry: &LibraryEntry) -> [String; 3] {
    [
        entry.name.to_string(),
        entry.title.to_string(),
        first_sentence(&entry.about),
    ]
}

/// Under each theme a name per line, its title beside it and the sentence below.
fn listing(themes: &[(&str, Vec<[String; 3]>)], width: usize) -> String {
    let names = themes.iter().flat_map(|(_, entries)| entries);
    let longest = names.map(|[name, ..]| name.len()).max().unwrap_or(0);
    let margin = longest + 5;
    let mut text = String::new();
    for (theme, entries) in themes.iter().filter(|(_, entries)| !entries.is_empty()) {
        text.push_str(&format!("{theme}\n"));
        for [name, title, about] in entries {
            text.push_str(&format!("  {name:<longest$}   {title}\n"));
            for line in wrap(about, width.saturating_sub(margin)) {
                text.push_str(&format!("{:margin$}{line}\n", ""));
            }
        }
        text.push('\n');
    }
    text.push_str("queuelab run NAME runs one, queuelab show NAME prints its file.\n");
    text
}

/// A design per line, its system beside it; below, what it is and what a confirm stands for.
fn designs_listing(designs: &[DesignInfo], width: usize) -> String {
    let longest = designs.iter().map(|info| info.name.len()).max();
    let margin = longest.unwrap_or(0) + 3;
    let mut text = String::new();
    for info in designs {
        text.push_str(&format!("{:<margin$}{}\n", info.name, info.system));
        let needs = info
            .needs
            .map(|needs| format!("Not yet: it needs {needs}."));
        for paragraph in [Some(info.summary), needs.as_deref()].into_iter().flatten() {
            for line in wrap(paragraph, width.saturating_sub(margin)) {
                text.push_str(&format!("{:margin$}{line}\n", ""));
            }
        }
    }
    text.push_str("\nWrite design = \"NAME\" on a [[queue]] or on [cluster]; docs/DESIGNS.md has every value with its source.\n");
    text
}

fn designs_json(designs: &[DesignInfo]) -> serde_json::Value {
    let object = |info: &DesignInfo| {
        let choices = info.choices.iter().map(|choice| {
            json!({
                "table": choice.table, "key": choice.key, "value": choice.value,
                "always": !choice.free, "why": choice.why, "source": choice.source,
            })
        });
        json!({
            "name": info.name,
            "system": info.system,
            "summary": info.summary,
            "durability": info.durability,
            "works": info.works(),
            "needs": info.needs,
            "choices": choices.collect::<Vec<_>>(),
        })
    };
    let designs = designs.iter().map(object).collect::<Vec<_>>();
    json!({ "schema_version": JSON_SCHEMA_VERSION, "designs": designs })
}

/// Prints a scenario's TOML text.
///
/// # Errors
/// If there is no such scenario, or it has errors.
pub(crate) fn show(args: &Show) -> anyhow::Result<Status> {
    let scenario = queuelab_scenario::open(&args.scenario, &[])?;
    terminal::data(&scenario.source)?;
    Ok(Status::Met)
}

/// Writes a file to start from.
///
/// # Errors
/// If the name does not suit, or the file exists or cannot be written.
pub(crate) fn new(args: &New) -> anyhow::Result<Status> {
    let name = args.name.strip_suffix(".toml").unwrap_or(&args.name);
    if !suits(name) {
        bail!(
            "`{}` is not a name for a scenario: use letters, digits, - and _",
            args.name
        );
    }
    let path = format!("{name}.toml");
    let mut file = match OpenOptions::new().write(true).create_new(true).open(&path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            bail!("{path} exists already and is left as it is; choose another name")
        }
        opened => opened.with_context(|| format!("failed to create {path}"))?,
    };
    let template = queuelab_scenario::template(name);
    file.write_all(template.as_bytes())
        .with_context(|| format!("failed to write {path}"))?;
    terminal::print(&format!("wrote {path}; now: queuelab run {path}\n"))?;
    Ok(Status::Met)
}

/// Whether a name is a plain file name everywhere, and no option.
fn suits(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn designs_say_what_they_need() {
        let text = designs_listing(designs(), 80);
        assert!(
            text.contains("kafka              Apache Kafka topics"),
            "{text}"
        );
        assert!(text.contains("Not yet: it needs replication."), "{text}");
        assert!(
            text.lines().take(20).all(|line| line.chars().count() <= 80),
            "{text}"
        );
        let json = &designs_json(designs())["designs"];
        assert_eq!(json[1]["works"], false);
        assert_eq!(json[2]["choices"][0]["key"], "kind");
    }

    #[test]
    fn names_are_plain_file_names() {
        assert!(["a", "my-design_2"].into_iter().all(suits));
        assert!(!["", "-a", "a/b", "..", "a b", "ä"].into_iter().any(suits));
    }

    #[test]
    fn a_listing_keeps_sentences_apart_from_names() {
        let entry =
            |name: &str, about: &str| [name.to_string(), name.to_uppercase(), about.to_string()];
        let text = listing(
            &[
                ("basics", vec![entry("hello", "One queue.")]),
                ("load", Vec::new()),
                ("routing", vec![entry("hot-key", "Some keys are hot.")]),
            ],
            24,
        );
        let expected = "\
basics
  hello     HELLO
            One queue.

routing
  hot-key   HOT-KEY
            Some keys
            are hot.

queuelab run NAME runs one, queuelab show NAME prints its file.
";
        assert_eq!(text, expected);
    }
}
