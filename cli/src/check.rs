//! `queuelab lint`: what is allowed, but probably not meant.

use crate::args::Lint;
use crate::layout::{Painter, Style};
use crate::outcome::Status;
use crate::terminal::{self, ColorChoice};

/// Prints the warnings of scenarios.
///
/// # Errors
/// If a scenario has errors.
pub(crate) fn lint(args: &Lint, color: ColorChoice) -> anyhow::Result<Status> {
    let painter = Painter {
        color: color.stdout(),
    };
    let mut found = 0;
    for name in &args.scenarios {
        let scenario = queuelab_scenario::open(name, &args.set)?;
        let warnings = queuelab_scenario::lint(&scenario);
        found += warnings.len();
        for warning in &warnings {
            let head = painter.paint(Style::Yellow, "warning:");
            terminal::print(&format!(
                "{head} {name}: {}\n  {} {}\n",
                warning.message,
                painter.paint(Style::Dim, "help:"),
                warning.help
            ))?;
        }
        if warnings.is_empty() {
            terminal::print(&format!("{name}: nothing to warn of\n"))?;
        }
    }
    Ok(if found == 0 {
        Status::Met
    } else {
        Status::Unmet
    })
}
