//! The deterministic discrete-event simulator: the real broker in virtual time.

mod simulation;

pub use simulation::{LogLine, Options, Simulation};
