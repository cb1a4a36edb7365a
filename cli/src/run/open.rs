//! `--open`: the results in the browser.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::terminal;

/// Shows the report of a folder, or the folder where there is none. Where nothing can, that is said, and no error: the results are there.
pub(super) fn open(folder: &Path) {
    let what = target(folder);
    let mut command = opener();
    let started = command
        .arg(&what)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let failed = match started.and_then(outcome) {
        Ok(Some(status)) if !status.success() => status.to_string(),
        Ok(_) => return,
        Err(error) => error.to_string(),
    };
    let program = command.get_program().to_string_lossy().into_owned();
    terminal::complain(&format!(
        "warning: failed to open {} with {program}: {failed}\n",
        what.display()
    ));
}

/// How it ended, if it does so at once: some openers go on for as long as the browser does.
#[allow(
    clippy::disallowed_methods,
    reason = "what is waited for is another program"
)]
fn outcome(mut child: Child) -> std::io::Result<Option<ExitStatus>> {
    let started = Instant::now();
    loop {
        let status = child.try_wait()?;
        if status.is_some() || started.elapsed() > PATIENCE {
            return Ok(status);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn target(folder: &Path) -> PathBuf {
    let report = folder.join("report.html");
    match report.is_file() {
        true => report,
        false => folder.to_path_buf(),
    }
}

/// What this system opens files with.
fn opener() -> Command {
    if cfg!(target_os = "macos") {
        Command::new("open")
    } else if cfg!(windows) {
        let mut command = Command::new("cmd");
        // What follows `start` first is a window's title.
        command.args(["/C", "start", ""]);
        command
    } else {
        Command::new("xdg-open")
    }
}

/// Longer than an opener takes that finds nothing to open with.
const PATIENCE: Duration = Duration::from_secs(2);
