//! From a command line to an exit status.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use crate::args::{Cli, Command};
use crate::outcome::Status;
use crate::terminal::{self, ColorChoice};
use crate::{
    catalogue, check, export, generate, hunt, panics, predict, replay, report, run, sweep, watch,
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
        Some(error) => format!("{}\n", error.render(color).trim_end()),
        None if color => format!("\x1b[1m\x1b[31merror:\x1b[0m {error:#}\n"),
        None => format!("error: {error:#}\n"),
    }
}

const GREETING: &str = "\
queuelab is a workbench for message-queue designs: one scenario file, a real broker, virtual time.

  queuelab run hello          the smallest experiment, and what its figures mean
  queuelab watch flash-sale   a backlog that rises and drains, live in the terminal
  queuelab list               all experiments that come with it

queuelab --help lists the other commands.
";
