//! The run record: what one run of a scenario measured.

mod record;

pub use record::*;
