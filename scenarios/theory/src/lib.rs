//! Closed forms of queueing theory, and which of them predicts a scenario.
//!
//! The modules up to [`retry`] are pure functions with their sources: times in seconds, rates per second, shares from 0 to 1. [`recognise()`]
//! reads a validated scenario and says which of them apply to it. Nothing is run or measured here.
//!
//! ```
//! use queuelab_theory::markov::MMc;
//! let queue = MMc { arrivals: 4.0, service: 1.0, servers: 5 };
//! assert!((queue.means().unwrap().wait - 0.5541).abs() < 1e-4);
//! ```

pub mod balance;
pub mod fluid;
pub mod general;
pub mod markov;
pub mod network;
mod numeric;
pub mod priority;
mod qbd;
mod recognise;
pub mod retry;
pub mod spread;

pub use qbd::{Modulated, modulated};
pub use recognise::{Kind, Prediction, notes, recognise, warnings};
