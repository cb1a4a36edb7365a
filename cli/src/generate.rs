//! `schema`, `completions` and `man`: what other programs read.

use anyhow::Context as _;
use clap::CommandFactory;

use crate::args::{Cli, Completions, Man};
use crate::outcome::Status;
use crate::terminal;

/// Prints the JSON Schema of the scenario language.
///
/// # Errors
/// Of standard output.
pub(crate) fn schema() -> anyhow::Result<Status> {
    terminal::data(&format!("{}\n", queuelab_scenario::schema().trim_end()))?;
    Ok(Status::Met)
}

/// Prints a completion script.
///
/// # Errors
/// Of standard output.
pub(crate) fn completions(args: &Completions) -> anyhow::Result<Status> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "queuelab", &mut script);
    terminal::data(&String::from_utf8_lossy(&script))?;
    Ok(Status::Met)
}

/// Prints the main manual page, or writes one for each command.
///
/// # Errors
/// Of standard output, or of the folder.
pub(crate) fn man(args: &Man) -> anyhow::Result<Status> {
    match &args.out {
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page)?;
            terminal::data(&String::from_utf8_lossy(&page))?;
        }
        Some(folder) => {
            std::fs::create_dir_all(folder)
                .and_then(|()| clap_mangen::generate_to(Cli::command(), folder))
                .with_context(|| format!("failed to write manual pages to {}", folder.display()))?;
        }
    }
    Ok(Status::Met)
}
