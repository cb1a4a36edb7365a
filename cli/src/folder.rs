//! The folder of a run's results.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use queuelab_record::{Environment, RunRecord, write_all, write_file};
use queuelab_scenario::Scenario;

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

/// Writes all files of a run; their names, in the order in which they are shown.
///
/// # Errors
/// Of the file that could not be written, or of the plot that could not be drawn.
pub(crate) fn fill(
    folder: &Path,
    record: &RunRecord,
    environment: &Environment,
    plots: bool,
) -> anyhow::Result<Vec<String>> {
    remove_plots(folder)?;
    write_all(folder, record, environment)?;
    let mut names = [
        "record.json",
        "environment.json",
        "series.csv",
        "latency.hgrm",
    ]
    .map(String::from)
    .to_vec();
    if plots {
        for plot in queuelab_plot::plots(record) {
            let (svg, png) = (format!("{}.svg", plot.name), format!("{}.png", plot.name));
            write_file(&folder.join(&svg), plot.svg.as_bytes())?;
            let image = queuelab_plot::png(&plot.svg, PNG_SCALE)
                .with_context(|| format!("failed to draw {png}"))?;
            write_file(&folder.join(&png), &image)?;
            names.extend([svg, png]);
        }
    }
    Ok(names)
}

/// Plots of an earlier run would show what the new record does not say. Only a folder that holds a record is ours to tidy.
fn remove_plots(folder: &Path) -> anyhow::Result<()> {
    if !folder.join("record.json").is_file() {
        return Ok(());
    }
    let entries =
        fs::read_dir(folder).with_context(|| format!("failed to read {}", folder.display()))?;
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    let plots: Vec<PathBuf> = paths
        .filter(|path| {
            path.extension()
                .is_some_and(|kind| kind == "svg" || kind == "png")
        })
        .collect();
    for path in plots {
        fs::remove_file(&path).with_context(|| format!("failed to remove {}", path.display()))?;
    }
    Ok(())
}

/// Two pixels per unit stay sharp on dense screens and in print.
const PNG_SCALE: f32 = 2.0;
