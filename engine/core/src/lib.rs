//! The broker as a pure state machine.
//!
//! Inputs go in, outputs come out into the caller's buffer. This crate has no clock, socket, file, thread or source of
//! entropy: time, log progress and seeds are inputs. See `docs/ARCHITECTURE.md`.

#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        reason = "tests compare floats with a tolerance"
    )
)]

pub mod balance;
mod broker;
mod channel;
mod config;
pub mod group;
pub mod hashing;
mod id;
mod interface;
mod ledger;
pub mod log;
mod message;
mod producers;
mod queue;
mod roster;
mod route;
mod seen;
pub mod selector;
mod slab;
mod stream;
mod time;
pub mod topic;

pub use broker::Broker;
pub use config::*;
pub use id::*;
pub use interface::*;
pub use ledger::Ledger;
pub use message::*;
pub use selector::{Selector, SelectorError};
pub use time::{Span, Time, WallTime};
