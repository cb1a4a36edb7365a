//! The reference and the schema say what the code does.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use expect_test::expect_file;
use queuelab_scenario::{INVARIANTS, METRICS, Scenario, designs, library, schema};
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

/// The words in code of a text.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn the_features_name_scenarios_and_keys_that_exist() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/FEATURES.md");
    let features = fs::read_to_string(path).unwrap();
    let mut keys = BTreeSet::new();
    words(&serde_json::from_str(&schema()).unwrap(), &mut keys);
    let scenarios: BTreeSet<&str> = library().map(|entry| entry.name).collect();
    let themes: BTreeSet<&str> = library().map(|entry| entry.theme).collect();
    let mut rows = 0;
    for row in features.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.split('|').collect();
        let [_, _, _, key, scenario, _] = cells[..] else {
            panic!("four cells: {row}");
        };
        rows += 1;
        // `kind = "shared"`, `then.transaction`, `[[group]]`: all their words.
        for word in code(key)
            .flat_map(|key| key.split(" = "))
            .flat_map(|key| key.split('.'))
        {
            let word = word.trim_matches(|c| "[]\"".contains(c));
            assert!(keys.contains(word), "{word}: {row}");
        }
        for name in code(scenario) {
            assert!(scenarios.contains(name), "{name}: {row}");
        }
    }
    assert!(rows > 40, "{rows} rows");
    let (_, clients) = features.split_once("## Clients").unwrap();
    for name in code(clients) {
        let known = scenarios.contains(name) || themes.contains(name) || keys.contains(name);
        assert!(known, "{name}");
    }
}

#[test]
fn the_designs_are_as_in_their_table() {
    expect_file!["../../../docs/DESIGNS.md"].assert_eq(&designs_document());
}

fn designs_document() -> String {
    let mut text = String::from(DESIGNS);
    for info in designs() {
        let state = match info.needs {
            None => String::new(),
            Some(needs) => format!(" **Refused until queuelab has {needs}.**"),
        };
        text += &format!(
            "\n## `{}`: {}\n\n{}{state}\n\n",
            info.name, info.system, info.summary
        );
        text += &format!("Durability: {}\n\n", info.durability);
        text += "| key | value | | in the real system |\n|---|---|---|---|\n";
        for choice in info.choices {
            let free = if choice.free { "default" } else { "always" };
            text += &format!(
                "| {} `{}` | `{}` | {free} | {} ([source]({})) |\n",
                choice.table, choice.key, choice.value, choice.why, choice.source
            );
        }
        let list = |keys: &[&str]| {
            let keys: Vec<_> = keys.iter().map(|key| format!("`{key}`")).collect();
            keys.join(", ")
        };
        if !info.allowed.is_empty() {
            text += &format!("\nQueues may also have {}.\n", list(info.allowed));
        }
        if !info.refused.is_empty() {
            text += &format!("\nConsumers have no {}.\n", list(info.refused));
        }
    }
    text
}

const DESIGNS: &str = "# Designs

`design = \"kafka\"` on a `[[queue]]`, or on `[cluster]` for all queues that name no other, gives the keys that the file leaves out the values that the real system has by default,
on its queues, on the consumers that take from them, and on the groups that read them. It carries the semantics of that system at queuelab's speed: what an operation costs is what `[cluster]`
says, not what it costs there.

A key that the real system does not have is refused, and so is another value where it has no choice (\"always\" below); with `beyond_design = true` on the queue both are allowed, to see what if.
`queuelab list --designs` lists the designs. This page is checked against the table in `scenarios/language/src/designs/table.rs`.

## If you come from pika

| pika | here |
|---|---|
| `channel.queue_declare(\"orders\", durable=True)` | `[[queue]]` with `design = \"rabbitmq-classic\"`; its `arguments` `x-max-length`, `x-message-ttl`, `x-expires`, `x-max-priority`, `x-dead-letter-exchange`, `x-single-active-consumer` are `max_length`, `ttl`, `expires`, `max_priority`, `dead_letter`, `single_active` |
| `channel.exchange_declare(\"shop\", \"topic\")` | `[[exchange]]` with `type = \"topic\"` |
| `channel.queue_bind(\"orders\", \"shop\", \"order.*\")` | `bind = [{ exchange = \"shop\", key = \"order.*\" }]` on the queue |
| `channel.basic_publish(\"shop\", \"order.new\", body)` | `[[producer]]` with `to = { exchange = \"shop\", key = \"order.new\" }`; `mandatory=True` is `mandatory`, `delivery_mode=2` is `persistent` |
| `channel.confirm_delivery()` | `confirm = true`; pika's blocking channel waits for each: `confirm = { window = 1 }` |
| `channel.basic_qos(prefetch_count=20)` | `prefetch = 20` on the consumer; `global_qos=True` is `channel_prefetch` |
| `channel.basic_consume(\"orders\", callback)` | `[[consumer]]` with `from = \"orders\"`; the callback is `service`, a time |
| `auto_ack=True` | `ack = \"auto\"` |
| `channel.basic_ack(tag, multiple=True)` | `every = 10`: one ack for ten messages |
| `channel.basic_nack(tag, requeue=True)`, `basic_reject` | `nack = { probability, requeue }` |
| `channel.basic_get(\"orders\")` | `pull = \"10ms\"`: how long to wait after an empty answer |
| `channel.tx_select()`, `tx_commit()` | `transaction = 10` on the producer |
";

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

/// Every key of the schema stands in an example.
#[test]
fn every_key_of_the_schema_has_an_example() {
    fn keys(schema: &Value, out: &mut BTreeSet<String>) {
        match schema {
            Value::Object(map) => {
                if let Some(properties) = map.get("properties").and_then(Value::as_object) {
                    out.extend(properties.keys().cloned());
                }
                map.values().for_each(|value| keys(value, out));
            }
            Value::Array(values) => values.iter().for_each(|value| keys(value, out)),
            _ => {}
        }
    }
    fn written(value: &toml::Value, out: &mut BTreeSet<String>) {
        match value {
            toml::Value::Table(table) => {
                out.extend(table.keys().cloned());
                table.values().for_each(|value| written(value, out));
            }
            toml::Value::Array(values) => values.iter().for_each(|value| written(value, out)),
            _ => {}
        }
    }
    let mut known = BTreeSet::new();
    keys(&serde_json::from_str(&schema()).unwrap(), &mut known);
    let mut shown = BTreeSet::new();
    for block in reference().split("```toml\n").skip(1) {
        let table: toml::Table = block.split("```").next().unwrap().parse().unwrap();
        written(&toml::Value::Table(table), &mut shown);
    }
    // A trace needs a file beside the scenario, which an example has not.
    let missing: Vec<_> = known
        .difference(&shown)
        .filter(|key| *key != "file")
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
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
