//! The deterministic discrete-event simulator: the real broker in virtual time.
//!
//! It knows no wall clock, thread or file. A run is a pure function of scenario and seed.

mod body;
mod brokerless;
pub mod check;
mod clients;
mod disk;
mod fault;
mod journey;
pub mod kernel;
mod measure;
mod metrics;
mod network;
mod node;
mod observe;
mod plan;
mod relay;
mod simulation;
mod topology;
mod trace;
mod verdict;
mod world;

pub use plan::{Knob, Mask, Operation, Plan};
pub use simulation::{LogLine, Options, Simulation};
