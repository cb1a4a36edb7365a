//! Building blocks of the raw types: values with their place, quantities, and values of several shapes.
//!
//! serde's untagged enums would say only "did not match any variant"; these visitors keep the reason and the place.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use queuelab_core::Span;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};

use crate::units;

/// A value and where it stands: bytes of the source.
#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) span: Range<usize>,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = serde_spanned::Spanned::<T>::deserialize(deserializer)?;
        Ok(At {
            span: spanned.span(),
            value: spanned.into_inner(),
        })
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }
    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// A quantity that is written as text with its unit.
macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident($inner:ty), $parse:path, $expecting:literal, $example:literal, $pattern:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $name(pub(crate) $inner);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl Visitor<'_> for Text {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expecting)
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                        $parse(text).map($name).map_err(E::custom)
                    }
                }
                deserializer.deserialize_any(Text)
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "examples": [$example] })
            }
        }
    };
}

quantity!(
    Duration(Span),
    units::parse_duration,
    "a duration with its unit, such as \"20ms\"",
    "20ms",
    r"^([0-9][0-9_.]*\s*(ns|us|µs|μs|ms|s|m|h|d)\s*)+$"
);
quantity!(
    SignedDuration(i64),
    units::parse_signed_duration,
    "a duration with its unit, such as \"1h\" or \"-30s\"",
    "-30s",
    r"^-?([0-9][0-9_.]*\s*(ns|us|µs|μs|ms|s|m|h|d)\s*)+$"
);
quantity!(
    RateText(f64),
    units::parse_rate,
    "a rate, such as \"200/s\"",
    "200/s",
    r"^[0-9][0-9_.]*\s*/\s*(ns|us|µs|μs|ms|s|m|min|h|d)$"
);
quantity!(
    SizeText(u64),
    units::parse_size,
    "a size with its unit, such as \"700B\"",
    "700B",
    r"^[0-9][0-9_.]*\s*(B|kB|KB|MB|GB|KiB|MiB|GiB)$"
);
quantity!(
    Bandwidth(Option<f64>),
    units::parse_bandwidth,
    "a bandwidth, such as \"500MB/s\"",
    "500MB/s",
    r"^(unlimited|[0-9][0-9_.]*\s*(B|kB|KB|MB|GB|KiB|MiB|GiB|bit|kbit|Kbit|Mbit|Gbit)/s)$"
);

/// A whole number, 0 or more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Count(pub(crate) u64);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Whole;
        impl Visitor<'_> for Whole {
            type Value = Count;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, such as 20")
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Count, E> {
                Ok(Count(value))
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Count, E> {
                u64::try_from(value)
                    .map(Count)
                    .map_err(|_| E::custom(format_args!("{value} is negative")))
            }
            fn visit_i128<E: de::Error>(self, _: i128) -> Result<Count, E> {
                Err(E::custom("the number is too large"))
            }
            fn visit_u128<E: de::Error>(self, _: u128) -> Result<Count, E> {
                Err(E::custom("the number is too large"))
            }
        }
        deserializer.deserialize_any(Whole)
    }
}

impl JsonSchema for Count {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Count".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 0 })
    }
}

/// A number, 0 or more, finite.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number(pub(crate) f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Real;
        impl Visitor<'_> for Real {
            type Value = Number;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, such as 0.5")
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Number, E> {
                self.visit_f64(value as f64)
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Number, E> {
                self.visit_f64(value as f64)
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Number, E> {
                match value {
                    _ if !value.is_finite() => Err(E::custom("the number must be finite")),
                    _ if value < 0.0 => Err(E::custom(format_args!("{value} is negative"))),
                    _ => Ok(Number(value)),
                }
            }
        }
        deserializer.deserialize_any(Real)
    }
}

impl JsonSchema for Number {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Number".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0 })
    }
}

/// A whole number, negative or not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signed(pub(crate) i32);

impl<'de> Deserialize<'de> for Signed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Whole;
        impl Visitor<'_> for Whole {
            type Value = Signed;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, such as 10 or -10")
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Signed, E> {
                let most = i64::from(i32::MAX);
                i32::try_from(value)
                    .map(Signed)
                    .map_err(|_| E::custom(format_args!("{value} is beyond ±{most}")))
            }
        }
        deserializer.deserialize_any(Whole)
    }
}

impl JsonSchema for Signed {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Signed".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer" })
    }
}

/// The value of a header.
#[derive(Clone, Debug)]
pub(crate) enum Scalar {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Scalar;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a number, true or false")
            }
            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Scalar, E> {
                Ok(Scalar::Bool(value))
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Scalar, E> {
                Ok(Scalar::Int(value))
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Scalar, E> {
                match value.is_finite() {
                    true => Ok(Scalar::Float(value)),
                    false => Err(E::custom("the number must be finite")),
                }
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar::Text(text.to_string()))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

impl JsonSchema for Scalar {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Scalar".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["boolean", "number", "string"] })
    }
}

/// An enum of the shapes that a value may have: `Scalar(T)` (text, number or boolean), `Switch(bool)`, `Count(T)`, `Text(T)`, `List(T)` (a `Vec<T>`), `Table(T)`.
macro_rules! shapes {
    ($(#[doc = $doc:literal])* $name:ident, $expecting:literal $(, Scalar($scalar:ty))? $(, Switch($switch:ty))? $(, Count($count:ty))? $(, Text($text:ty))? $(, List($item:ty))? $(, Table($table:ty))? $(,)?) => {
        $(#[doc = $doc])*
        // There are few of them, and they live only while a file is read.
        #[allow(clippy::large_enum_variant)]
        #[derive(Clone, Debug)]
        pub(crate) enum $name {
            $(Scalar($scalar),)?
            $(Switch($switch),)?
            $(Count($count),)?
            $(Text($text),)?
            $(List(Vec<$item>),)?
            $(Table($table),)?
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Shapes;
                impl<'de> serde::de::Visitor<'de> for Shapes {
                    type Value = $name;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str($expecting)
                    }
                    $(fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<$name, E> {
                        Ok($name::Scalar(<$scalar>::Bool(value)))
                    }
                    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<$name, E> {
                        Ok($name::Scalar(<$scalar>::Int(value)))
                    }
                    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<$name, E> {
                        <$scalar as serde::Deserialize>::deserialize(serde::de::value::F64Deserializer::new(value)).map($name::Scalar)
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        Ok($name::Scalar(<$scalar>::Text(text.to_string())))
                    })?
                    $(fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<$name, E> {
                        <$count as serde::Deserialize>::deserialize(serde::de::value::I64Deserializer::new(value)).map($name::Count)
                    })?
                    $(fn visit_bool<E: serde::de::Error>(self, value: $switch) -> Result<$name, E> {
                        Ok($name::Switch(value))
                    })?
                    $(fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        <$text as serde::Deserialize>::deserialize(serde::de::value::StrDeserializer::new(text)).map($name::Text)
                    })?
                    $(fn visit_seq<A: serde::de::SeqAccess<'de>>(self, seq: A) -> Result<$name, A::Error> {
                        <Vec<$item> as serde::Deserialize>::deserialize(serde::de::value::SeqAccessDeserializer::new(seq)).map($name::List)
                    })?
                    $(fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<$name, A::Error> {
                        <$table as serde::Deserialize>::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map($name::Table)
                    })?
                }
                deserializer.deserialize_any(Shapes)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let shapes = [
                    $(generator.subschema_for::<$scalar>(),)?
                    $(generator.subschema_for::<$switch>(),)?
                    $(generator.subschema_for::<$count>(),)?
                    $(generator.subschema_for::<$text>(),)?
                    $(generator.subschema_for::<Vec<$item>>(),)?
                    $(generator.subschema_for::<$table>(),)?
                ];
                schemars::json_schema!({ "description": concat!($($doc),*).trim(), "anyOf": shapes })
            }
        }
    };
}

pub(crate) use shapes;

/// A table whose keys are names that the author chose, in order.
#[derive(Clone, Debug)]
pub(crate) struct Named<T>(pub(crate) Vec<(At<String>, At<T>)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Named<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Named<T>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Named(entries))
            }
        }
        deserializer.deserialize_map(Entries(std::marker::PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("NamedOf{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<T>();
        json_schema!({ "type": "object", "additionalProperties": value })
    }
}
