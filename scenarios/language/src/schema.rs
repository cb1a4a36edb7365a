//! The JSON Schema of scenario files, for editors.

use serde_json::Value;

use crate::raw::RawScenario;

/// The JSON Schema (2020-12) as indented text with a line break at the end.
pub fn schema() -> String {
    let mut schema = schemars::schema_for!(RawScenario).to_value();
    without_null(&mut schema);
    format!("{schema:#}\n")
}

/// Takes `null` out of the choices: TOML has none, an optional key is left out.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.get("default").is_some_and(Value::is_null) {
                map.remove("default");
            }
            if let Some(Value::Array(types)) = map.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    map.insert("type".into(), only);
                }
            }
            if let Some(Value::Array(choices)) = map.get_mut("anyOf") {
                choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
                if let [Value::Object(only)] = choices.as_slice() {
                    let only = only.clone();
                    map.remove("anyOf");
                    // The key's own description is the better one.
                    only.into_iter()
                        .for_each(|(key, value)| _ = map.entry(key).or_insert(value));
                }
            }
            map.values_mut().for_each(without_null);
        }
        Value::Array(values) => values.iter_mut().for_each(without_null),
        _ => {}
    }
}
