//! `queuelab watch`: a live simulation on the terminal.

use std::io::IsTerminal;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use queuelab_sim::Options;

use crate::args::Watch;
use crate::outcome::Status;

/// Hands the terminal over to the screen.
///
/// # Errors
/// If the scenario is wrong, or there is no terminal to draw on.
pub(crate) fn watch(args: &Watch) -> anyhow::Result<Status> {
    let scenario = queuelab_scenario::open(&args.scenario, &args.variation.set)?;
    if !std::io::stdout().is_terminal() {
        bail!(
            "failed to start the screen: standard output is not a terminal; use `queuelab run {}`",
            args.scenario
        );
    }
    let options = Options {
        seed: args.variation.seed.unwrap_or(scenario.seed),
        check: true,
    };
    queuelab_tui::watch(Arc::new(scenario), options).context("failed to draw on the terminal")?;
    Ok(Status::Met)
}
