//! What clients do: random streams, arrivals, and producers and consumers as state machines.
//!
//! The machines know neither broker nor network: a driver — the simulation or a live client — hands them time and what
//! the broker says, and carries out the actions that they push into its buffer. This crate has no clock, socket, thread
//! or source of entropy; every random choice is a function of (seed, named stream, counter), so that one choice more or
//! less shifts no other.

mod arrivals;
mod choice;
mod consumer;
mod departures;
mod distribution;
mod gamma;
mod normal;
mod producer;
mod random;

pub use consumer::{Consumer, ConsumerAction, ConsumerPlan, Delivery};
pub use distribution::Sampler;
pub use normal::normal_quantile;
pub use producer::{Outcome, Producer, ProducerAction, ProducerPlan, Publish};
pub use random::{Draw, Stream};
