//! The deterministic discrete-event simulator: the real broker in virtual time.
//!
//! It knows no wall clock, thread or file. A run is a pure function of scenario and seed.

pub mod check;
mod disk;
mod fault;
mod journey;
pub mod kernel;
mod metrics;
mod network;
mod node;
mod simulation;
mod topology;
mod trace;
mod verdict;
mod world;

pub use simulation::{LogLine, Options, Simulation};
