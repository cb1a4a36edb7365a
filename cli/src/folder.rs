//! The folder of a run's results.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::ValueEnum;
use queuelab_plot::Plot;
use queuelab_record::{Ensemble, Environment, RunRecord, write_all, write_file};
use queuelab_scenario::Scenario;
use rayon::prelude::*;

/// The colours of PNG files. What else is drawn follows its viewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Theme {
    Light,
    Dark,
}

/// `<scenario>-<seed>`, and a digest of the overrides if there are any.
pub(crate) fn name(scenario: &Scenario, seed: u64) -> String {
    match scenario.digest_overrides() {
        None => format!("{}-{seed}", scenario.name),
        Some(digest) => format!("{}-{seed}-{digest}", scenario.name),
    }
}

/// Makes a folder that files can be written to, before a run spends time on figures that could not be kept.
///
/// # Errors
/// What the operating system says, with the way out.
pub(crate) fn prepare(folder: &Path) -> anyhow::Result<()> {
    let probe = folder.join(format!(".probe.{}", std::process::id()));
    let made = fs::create_dir_all(folder)
        .and_then(|()| fs::write(&probe, []))
        .and_then(|()| fs::remove_file(&probe));
    made.with_context(|| {
        format!(
            "failed to write to {}; choose another folder with --out DIR",
            folder.display()
        )
    })
}

/// Writes all files of a run but `replications.json`, which is there if `ensemble` is; their names, in the order in which they are shown.
///
/// # Errors
/// Of the file that could not be written, or of the plot that could not be drawn.
pub(crate) fn fill(
    folder: &Path,
    record: &RunRecord,
    ensemble: Option<&Ensemble>,
    environment: &Environment,
    plots: bool,
) -> anyhow::Result<Vec<String>> {
    remove_plots(folder)?;
    write_all(folder, record, environment)?;
    let mut names = Vec::new();
    if plots {
        // What people open comes first.
        names = render(
            folder,
            record,
            ensemble,
            Some(environment),
            Some(Theme::Light),
        )?;
    }
    names.push("record.json".into());
    names.extend(ensemble.map(|_| REPLICATIONS.to_string()));
    names.extend(["environment.json", "series.csv", "latency.hgrm"].map(String::from));
    Ok(names)
}

/// Writes the report of a run and, in a theme, its plots; their names.
///
/// # Errors
/// Of the file that could not be written, or of the plot that could not be drawn.
pub(crate) fn render(
    folder: &Path,
    record: &RunRecord,
    ensemble: Option<&Ensemble>,
    environment: Option<&Environment>,
    plots: Option<Theme>,
) -> anyhow::Result<Vec<String>> {
    let report = queuelab_plot::report(record, ensemble, environment);
    let mut drawn = Vec::new();
    if plots.is_some() {
        drawn.extend(queuelab_plot::plots(record));
        drawn.extend(
            ensemble
                .iter()
                .flat_map(|it| queuelab_plot::ensemble_plots(it)),
        );
    }
    write_report(folder, &report, &drawn, plots.unwrap_or(Theme::Light))
}

/// Writes a report and, in a theme, its plots in place of older ones; their names.
///
/// # Errors
/// Of the file that could not be written, or of the plot that could not be drawn.
pub(crate) fn write_report(
    folder: &Path,
    report: &str,
    plots: &[Plot],
    theme: Theme,
) -> anyhow::Result<Vec<String>> {
    remove_plots(folder)?;
    write_file(&folder.join(REPORT), report.as_bytes())?;
    let written = plots
        .par_iter()
        .map(|plot| write_plot(folder, plot, theme))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let names = [REPORT.to_string()].into_iter();
    Ok(names.chain(written.into_iter().flatten()).collect())
}

/// Rasterising is what takes time here.
fn write_plot(folder: &Path, plot: &Plot, theme: Theme) -> anyhow::Result<[String; 2]> {
    let (svg, png) = (format!("{}.svg", plot.name), format!("{}.png", plot.name));
    write_file(&folder.join(&svg), plot.svg.as_bytes())?;
    let image = match theme {
        Theme::Light => queuelab_plot::png(&plot.svg, PNG_SCALE),
        Theme::Dark => queuelab_plot::png(&queuelab_plot::dark(&plot.svg), PNG_SCALE),
    };
    let image = image.with_context(|| format!("failed to draw {png}"))?;
    write_file(&folder.join(&png), &image)?;
    Ok([svg, png])
}

/// Plots of an earlier run would show what the new record does not say. Only a folder that holds a record is ours to tidy.
fn remove_plots(folder: &Path) -> anyhow::Result<()> {
    let records = ["record.json", "sweep.json", "compare.json"];
    if !records.iter().any(|name| folder.join(name).is_file()) {
        return Ok(());
    }
    let entries =
        fs::read_dir(folder).with_context(|| format!("failed to read {}", folder.display()))?;
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    let plots: Vec<PathBuf> = paths
        .filter(|path| {
            path.ends_with(REPORT)
                || path
                    .extension()
                    .is_some_and(|kind| kind == "svg" || kind == "png")
        })
        .collect();
    for path in plots {
        fs::remove_file(&path).with_context(|| format!("failed to remove {}", path.display()))?;
    }
    Ok(())
}

/// What several seeds measured.
pub(crate) const REPLICATIONS: &str = "replications.json";
const REPORT: &str = "report.html";
/// Two pixels per unit stay sharp on dense screens and in print.
const PNG_SCALE: f32 = 2.0;
