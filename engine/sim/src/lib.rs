//! The deterministic discrete-event simulator: the real broker in virtual time.
//!
//! It knows no wall clock, thread or file. A run is a pure function of scenario and seed.

mod account;
mod body;
mod brokerless;
pub mod check;
mod clients;
mod disk;
mod fault;
mod history;
mod journey;
pub mod kernel;
mod measure;
mod metrics;
mod network;
mod node;
mod observe;
mod outcome;
mod plan;
mod planted;
mod relay;
mod shrink;
mod simulation;
mod swarm;
mod topology;
mod trace;
mod unread;
mod verdict;
mod world;

pub use history::Line;
pub use outcome::{Broken, Outcome, Violation, attempt, panicked};
pub use plan::{Knob, Mask, Operation, Plan};
#[cfg(feature = "planted-bugs")]
pub use planted::{Bug, Seen};
pub use shrink::{Failure, Shrunk, shrink};
pub use simulation::{LogLine, Options, Simulation, Watch};
pub use swarm::swarm;
pub use trace::in_words;
