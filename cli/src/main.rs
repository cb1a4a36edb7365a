//! The one binary: it joins the scenario language, the simulator, the reports and the terminal screen.
//!
//! Wall clocks, files and terminals are met only here; what is printed is a pure function of a run record.

#![allow(
    clippy::disallowed_types,
    reason = "progress goes by the wall clock, and no result does"
)]

mod args;
mod batch;
mod capsule;
mod catalogue;
mod check;
mod ci;
mod closing;
mod export;
mod folder;
mod generate;
mod hunt;
mod layout;
mod machine;
mod outcome;
mod panics;
mod predict;
mod progress;
mod replay;
mod report;
mod run;
mod start;
mod story;
mod summary;
mod sweep;
mod terminal;
mod watch;

use std::process::ExitCode;

fn main() -> ExitCode {
    start::start(std::env::args_os().collect())
}
