//! The run record: what one run of a scenario measured.

mod hdr;
mod histogram;
mod record;
mod wide;

pub use hdr::DecodeError;
pub use histogram::{Bucket, Latencies};
pub use record::*;
