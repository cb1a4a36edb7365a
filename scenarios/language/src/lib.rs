//! The scenario language: TOML in, a validated [`Scenario`] out.

mod scenario;

pub use scenario::*;
