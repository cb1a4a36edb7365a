//! 128-bit integers as decimal text: JSON readers commonly keep only 53 bits of a number.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// For `#[serde(with = "crate::wide")]` on an array of sums.
pub(crate) fn serialize<S: Serializer>(
    values: &[u128; 10],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    values.map(|value| value.to_string()).serialize(serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<[u128; 10], D::Error> {
    let texts = <[String; 10]>::deserialize(deserializer)?;
    let mut values = [0; 10];
    for (value, text) in values.iter_mut().zip(&texts) {
        *value = parse(text)?;
    }
    Ok(values)
}

/// For `#[serde(with = "crate::wide::one")]` on a single sum.
pub(crate) mod one {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(value: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        value.to_string().serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<u128, D::Error> {
        parse(&String::deserialize(deserializer)?)
    }
}

fn parse<E: Error>(text: &str) -> Result<u128, E> {
    text.parse()
        .map_err(|_| E::custom(format!("`{text}` is not a whole number")))
}
