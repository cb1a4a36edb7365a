//! `queuelab report`: draws again what folders hold.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use queuelab_record::{Comparison, Ensemble, Environment, Sweep};

use crate::folder::{self, Theme};
use crate::outcome::Status;
use crate::terminal;

/// `queuelab report`
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Report {
    /// Folders that `queuelab run`, `sweep` or `compare` has filled.
    #[arg(required = true, value_name = "DIR")]
    pub(crate) folders: Vec<PathBuf>,
    /// Write report.html only, without the plots as files of their own.
    #[arg(long)]
    pub(crate) no_plots: bool,
    /// Colours of the PNG files: light or dark. SVG files and report.html are as dark as their viewer.
    #[arg(
        long,
        value_name = "THEME",
        default_value = "light",
        hide_possible_values = true
    )]
    theme: Theme,
}

const HELP: &str = "\
Examples:
  queuelab report out/hello-1
  queuelab report out/* --no-plots
  queuelab report out/flash-sale-7 --theme dark

Nothing is run: report.html and the plots are made of record.json, with intervals if
replications.json is there, and with the circumstances of the run if environment.json is; or of
sweep.json or compare.json. The same files give the same report. Paths of the reports are printed.

Exit status: 0 all are written, 2 a folder holds nothing to report, or a file is damaged.";

/// Renders reports and plots again.
///
/// # Errors
/// Of the first folder that holds no record, or whose files cannot be read or written.
pub(crate) fn report(args: &Report) -> anyhow::Result<Status> {
    for path in &args.folders {
        again(path, (!args.no_plots).then_some(args.theme))?;
        terminal::print(&format!("{}\n", path.join("report.html").display()))?;
    }
    Ok(Status::Met)
}

/// A folder holds a run, a sweep or a comparison.
fn again(path: &Path, plots: Option<Theme>) -> anyhow::Result<()> {
    if path.join("record.json").is_file() {
        let record = queuelab_record::read(path)?;
        let ensemble = optional(path, folder::REPLICATIONS, Ensemble::from_json)?;
        let environment = optional(path, "environment.json", |text| {
            serde_json::from_str::<Environment>(text)
        })?;
        let (ensemble, environment) = (ensemble.as_ref(), environment.as_ref());
        folder::render(path, &record, ensemble, environment, plots)?;
        return Ok(());
    }
    let (report, drawn) = if let Some(sweep) = optional(path, "sweep.json", Sweep::from_json)? {
        let report = queuelab_plot::sweep_report(&sweep);
        (report, plots.map(|_| queuelab_plot::sweep_plots(&sweep)))
    } else if let Some(it) = optional(path, "compare.json", Comparison::from_json)? {
        let report = queuelab_plot::comparison_report(&it);
        (report, plots.map(|_| queuelab_plot::comparison_plots(&it)))
    } else {
        bail!(
            "failed to find a record in {}; `queuelab run` writes record.json",
            path.display()
        );
    };
    let (drawn, theme) = (drawn.unwrap_or_default(), plots.unwrap_or(Theme::Light));
    folder::write_report(path, &report, &drawn, theme)?;
    Ok(())
}

/// A file that need not be there.
fn optional<T, E: std::error::Error + Send + Sync + 'static>(
    folder: &Path,
    name: &str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> anyhow::Result<Option<T>> {
    let path = folder.join(name);
    if !path.is_file() {
        return Ok(None);
    }
    let failed = || format!("failed to read {}", path.display());
    let text = fs::read_to_string(&path).with_context(failed)?;
    Ok(Some(parse(&text).with_context(failed)?))
}
