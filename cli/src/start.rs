//! From a command line to an exit status.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use crate::args::{Cli, Command};
use crate::outcome::Status;
use crate::terminal::{self, ColorChoice};
use crate::{
    baseline, catalogue, check, compare, export, generate, hunt, panics, predict, replay, report,
    run, sweep, watch,
};

/// Does what `arguments` (with the program's name first) say.
pub(crate) fn start(arguments: Vec<OsString>) -> ExitCode {
    let color = ColorChoice::sought(&arguments);
    let parsed = Cli::command()
        .color(color.into())
        .try_get_matches_from(arguments);
    let cli = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        // Help and the version are not errors: clap knows which stream and status each has.
        Err(error) => error.exit(),
    };
    let status = act(cli).unwrap_or_else(|error| {
        terminal::complain(&rendered(&error, color.stderr()));
        match error.is::<panics::Failed>() {
            true => Status::Unmet,
            false => Status::Refused,
        }
    });
    ExitCode::from(status)
}

fn act(cli: Cli) -> anyhow::Result<Status> {
    let color = cli.color;
    match cli.command {
        None => {
            terminal::print(GREETING)?;
            Ok(Status::Met)
        }
        Some(Command::Run(args)) => run::run(&args, color),
        Some(Command::Watch(args)) => watch::watch(&args),
        Some(Command::Sweep(args)) => sweep::sweep(&args, color),
        Some(Command::Hunt(args)) => hunt::hunt(&args, color),
        Some(Command::Replay(args)) => replay::replay(&args, color),
        Some(Command::Report(args)) => report::report(&args),
        Some(Command::Compare(args)) => compare::compare(&args, color),
        Some(Command::Baseline(args)) => baseline::baseline(&args, color),
        Some(Command::Predict(args)) => predict::predict(&args, color),
        Some(Command::Export(args)) => export::export(&args),
        Some(Command::List(args)) => catalogue::list(&args),
        Some(Command::Show(args)) => catalogue::show(&args),
        Some(Command::New(args)) => catalogue::new(&args),
        Some(Command::Lint(args)) => check::lint(&args, color),
        Some(Command::Schema) => generate::schema(),
        Some(Command::Completions(args)) => generate::completions(&args),
        Some(Command::Man(args)) => generate::man(&args),
    }
}

/// An error as the terminal shows it. Errors in scenarios bring their own form, with the place and the offending text.
fn rendered(error: &anyhow::Error, color: bool) -> String {
    match error.downcast_ref::<queuelab_scenario::Error>() {
        Some(refused) => {
            let text = format!("{}\n", refused.render(color).trim_end());
            // Where several readings of a scenario are at stake, the context says which it is.
            match error.to_string() {
                context if context == refused.to_string() => text,
                context => format!("{text}note: {context}\n"),
            }
        }
        None if color => format!("\x1b[1m\x1b[31merror:\x1b[0m {}\n", told(error)),
        None => format!("error: {}\n", told(error)),
    }
}

/// An error and its causes, each once: some name their cause themselves.
fn told(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if told.is_empty() {
            told = cause;
        } else if !told.ends_with(&cause) {
            told = format!("{told}: {cause}");
        }
    }
    told
}

const GREETING: &str = "\
queuelab is a workbench for message-queue designs: one scenario file, a real broker, virtual time.

  queuelab run hello          the smallest experiment, and what its figures mean
  queuelab watch flash-sale   a backlog that rises and drains, live in the terminal
  queuelab list               all experiments that come with it

queuelab --help lists the other commands.
";

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::PathBuf;

    use anyhow::Context as _;
    use queuelab_record::FileError;

    use super::*;

    #[test]
    fn each_cause_is_told_once() {
        let full = || io::Error::new(io::ErrorKind::StorageFull, "the disk is full");
        let error = FileError::Io {
            verb: "write",
            path: PathBuf::from("out/record.json"),
            source: full(),
        };
        let error = Err::<(), _>(error).context("the run is done").unwrap_err();
        assert_eq!(
            told(&error),
            "the run is done: failed to write out/record.json: the disk is full"
        );
        let error = Err::<(), _>(full()).context("failed to read a.toml");
        let error = error.unwrap_err();
        assert_eq!(told(&error), "failed to read a.toml: the disk is full");
    }
}
