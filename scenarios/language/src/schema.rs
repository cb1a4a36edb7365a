//! The JSON Schema of scenario files, for editors.

use crate::raw::RawScenario;

/// The JSON Schema (2020-12) as indented text with a line break at the end.
pub fn schema() -> String {
    let schema = schemars::schema_for!(RawScenario);
    format!("{:#}\n", schema.as_value())
}
