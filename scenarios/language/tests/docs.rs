//! The reference and the schema say what the code does.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use queuelab_scenario::{INVARIANTS, METRICS, Scenario, schema};
use serde_json::Value;

fn reference() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/SCENARIOS.md"))
        .unwrap()
}

/// Every key and every constant of the schema.
fn words(schema: &Value, out: &mut BTreeSet<String>) {
    match schema {
        Value::Object(map) => {
            if let Some(properties) = map.get("properties").and_then(Value::as_object) {
                out.extend(properties.keys().cloned());
            }
            out.extend(map.get("const").and_then(Value::as_str).map(str::to_string));
            if let Some(choices) = map.get("enum").and_then(Value::as_array) {
                out.extend(choices.iter().filter_map(Value::as_str).map(str::to_string));
            }
            map.values().for_each(|value| words(value, out));
        }
        Value::Array(values) => values.iter().for_each(|value| words(value, out)),
        _ => {}
    }
}

#[test]
fn the_reference_mentions_every_word_of_the_schema() {
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    let mut known = BTreeSet::new();
    words(&schema, &mut known);
    assert!(
        known.contains("max_length") && known.contains("drop-head") && known.len() > 100,
        "{known:?}"
    );
    let reference = reference();
    let forms = |word: &str| {
        [
            format!("`{word}`"),
            format!("`\"{word}\"`"),
            format!("`[{word}]`"),
            format!("`[[{word}]]`"),
        ]
    };
    let missing: Vec<_> = known
        .iter()
        .filter(|word| !forms(word).iter().any(|form| reference.contains(form)))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    for name in METRICS
        .iter()
        .map(|metric| metric.name)
        .chain(INVARIANTS.iter().map(|invariant| invariant.name))
    {
        assert!(reference.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn the_schema_knows_no_null() {
    assert!(!schema().contains("null"));
}

#[test]
fn every_key_of_the_schema_is_described() {
    fn check(schema: &Value, path: &str) {
        let Value::Object(map) = schema else { return };
        for (key, value) in map
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            assert!(value.get("description").is_some(), "{path}.{key}");
            check(value, &format!("{path}.{key}"));
        }
        for (key, value) in map
            .get("$defs")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            check(value, key);
        }
    }
    check(&serde_json::from_str(&schema()).unwrap(), "");
}

#[test]
fn every_example_of_the_reference_is_valid() {
    let reference = reference();
    let blocks: Vec<_> = reference
        .split("```toml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert!(blocks.len() >= 9);
    for block in blocks {
        // A fragment stands within this frame, which declares what it leaves out.
        let text = framed(block);
        if let Err(error) = Scenario::parse("SCENARIOS.md", &text, &[]) {
            panic!("{block}\n{error}");
        }
    }
}

fn framed(block: &str) -> String {
    let table: toml::Table = block
        .parse()
        .unwrap_or_else(|error| panic!("{block}\n{error}"));
    let mut top = String::new();
    if !table.contains_key("duration") && !table.contains_key("phases") {
        top += "phases = [{ name = 'before', for = '1m' }, { name = 'burst', for = '1m' }, { name = 'after', for = '1m' }]\n";
    }
    let mut text = format!("{top}{block}\n");
    let has = |list: &str, name: &str| {
        let items = table.get(list).and_then(toml::Value::as_array);
        items.is_some_and(|items| {
            items
                .iter()
                .any(|item| item.get("name").and_then(toml::Value::as_str) == Some(name))
        })
    };
    for (list, name, rest) in [
        ("exchange", "shop", "type = 'topic'"),
        ("queue", "orders", ""),
        ("queue", "orders-dead", ""),
        ("producer", "checkout", "to = 'orders'\nrate = '1/s'"),
        ("consumer", "fulfilment", "from = 'orders'\ncount = 20"),
    ] {
        if !has(list, name) {
            text += &format!("[[{list}]]\nname = '{name}'\n{rest}\n");
        }
    }
    text
}
