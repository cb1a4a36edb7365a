//! Many runs on all cores. What comes out depends neither on their number nor on which run ends first.

use std::sync::Arc;

use anyhow::ensure;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use queuelab_core::Span;
use queuelab_record::RunRecord;
use queuelab_scenario::{Scenario, Steady};
use queuelab_sim::{Options, Simulation};
use rayon::prelude::*;

use crate::panics;

/// A run to be.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// What runs.
    pub(crate) scenario: Arc<Scenario>,
    /// The scenario as it was typed, for commands that are suggested: a name or a path.
    pub(crate) typed: Arc<str>,
    /// Of everything random.
    pub(crate) seed: u64,
}

/// `count` seeds from `first` on.
///
/// # Errors
/// If there are not so many: runs with a seed from the other end would be others than asked for.
pub(crate) fn seeds(first: u64, count: u64) -> anyhow::Result<impl Iterator<Item = u64> + Clone> {
    ensure!(
        count.saturating_sub(1) <= u64::MAX - first,
        "there are no {count} seeds from {first} on; take a smaller first seed"
    );
    Ok((0..count).map(move |index| first + index))
}

/// Runs all jobs; their records, in the order of jobs. `done(index, &record)` is called as each ends, from any thread.
/// With `check`, every message is accounted for.
///
/// # Errors
/// [`panics::Failed`] of the first job in order that ended with a failed assertion, when all have ended.
pub(crate) fn run_all(
    jobs: &[Job],
    check: bool,
    done: impl Fn(usize, &RunRecord) + Sync,
) -> anyhow::Result<Vec<RunRecord>> {
    run_each(jobs, check, |index, record| {
        done(index, &record);
        record
    })
}

/// Like [`run_all`], but keeps of each record only what `take(index, record)` makes of it: a record holds histograms and series, too much
/// for thousands of runs.
///
/// # Errors
/// As of [`run_all`].
pub(crate) fn run_each<T: Send>(
    jobs: &[Job],
    check: bool,
    take: impl Fn(usize, RunRecord) -> T + Sync,
) -> anyhow::Result<Vec<T>> {
    let one = |(index, job): (usize, &Job)| Ok(take(index, job.run(check)?));
    let taken: Vec<Result<T, panics::Failed>> = jobs.par_iter().enumerate().map(one).collect();
    // Whichever thread failed first: the error is that of the first job.
    Ok(taken.into_iter().collect::<Result<_, _>>()?)
}

impl Job {
    /// Runs to the end, on this thread.
    ///
    /// # Errors
    /// If an assertion fails.
    pub(crate) fn run(&self, check: bool) -> Result<RunRecord, panics::Failed> {
        let options = Options {
            seed: self.seed,
            check,
        };
        let mut simulation = Simulation::new(self.settled()?, options);
        let end = simulation.end();
        panics::caught(&mut simulation, (&self.typed, self.seed), |simulation| {
            simulation.run_until(end);
        })?;
        Ok(simulation.record())
    }

    /// The scenario with what is to be left out at its start. Where that is left to us (`warmup = "auto"`), it is what MSER-5 leaves out of
    /// the same run: how long its transient takes is known only afterwards, and no event depends on what is measured. A tenth of the run,
    /// as the simulator has it, where no steady state is seen.
    ///
    /// # Errors
    /// If an assertion fails.
    pub(crate) fn settled(&self) -> Result<Arc<Scenario>, panics::Failed> {
        let automatic = Steady { warmup: None };
        if self.scenario.steady != Some(automatic) {
            return Ok(self.scenario.clone());
        }
        let options = Options {
            seed: self.seed,
            check: false,
        };
        let mut pilot = Simulation::new(self.scenario.clone(), options);
        let end = pilot.end();
        panics::caught(&mut pilot, (&self.typed, self.seed), |pilot| {
            pilot.run_until(end);
        })?;
        let record = pilot.record();
        Ok(match record.transient() {
            Some(cut) => {
                // At least a window: a warm-up of nothing would say that the run starts in its steady state.
                let warmup = Some(Span(cut.0).max(record.window));
                let steady = Some(Steady { warmup });
                let scenario = Scenario::clone(&self.scenario);
                Arc::new(Scenario { steady, ..scenario })
            }
            None => self.scenario.clone(),
        })
    }
}

/// A bar on standard error for `count` pieces of work called `unit`, with the time left; only on a terminal, and never when `quiet`.
pub(crate) fn bar(name: &str, count: u64, unit: &str, quiet: bool) -> ProgressBar {
    if quiet {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(count), ProgressDrawTarget::stderr());
    let template =
        format!("{{prefix}} {{bar:16}} {{pos}}/{{len}} {unit} · {{eta}} left {{wide_msg}}");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style.progress_chars("━╸─"));
    }
    bar.set_prefix(name.to_string());
    bar
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn jobs(seeds: std::ops::Range<u64>) -> Vec<Job> {
        let scenario = queuelab_scenario::open("hello", &["duration=5s".into()]).unwrap();
        let scenario = Arc::new(scenario);
        let job = |seed| Job {
            scenario: scenario.clone(),
            typed: "hello".into(),
            seed,
        };
        seeds.map(job).collect()
    }

    #[test]
    fn records_come_in_the_order_of_jobs_whatever_the_number_of_threads() {
        let jobs = jobs(1..9);
        let ended = AtomicUsize::new(0);
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let all = || {
                run_all(&jobs, true, |index, record| {
                    assert_eq!(jobs[index].seed, record.seed);
                    ended.fetch_add(1, Ordering::Relaxed);
                })
            };
            pool.build().unwrap().install(all).unwrap()
        };
        let (one, four) = (run(1), run(4));
        assert!(one == four);
        assert_eq!(ended.load(Ordering::Relaxed), 16);
        let seeds: Vec<u64> = one.iter().map(|record| record.seed).collect();
        assert_eq!(seeds, [1, 2, 3, 4, 5, 6, 7, 8]);
        let taken = run_each(&jobs, false, |index, record| (index as u64, record.seed));
        assert_eq!(taken.unwrap()[3], (3, 4));
    }

    #[test]
    fn an_automatic_warm_up_is_what_mser5_leaves_out() {
        let run = |overrides: &[&str]| {
            let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
            let scenario = queuelab_scenario::open("hello", &overrides).unwrap();
            let job = Job {
                scenario: Arc::new(scenario),
                typed: "hello".into(),
                seed: 7,
            };
            job.run(true).unwrap()
        };
        let whole = run(&[]);
        let automatic = run(&["steady={ warmup = 'auto' }"]);
        assert_eq!(whole.trace_hash, automatic.trace_hash);
        let cut = whole.transient().unwrap();
        assert_eq!(automatic.warmup, Span(cut.0).max(whole.window));
        assert!(automatic.end_to_end(None).count() < whole.end_to_end(None).count());
        // A queue that grows for ever has no steady state.
        let growing = run(&["steady={}", "producer.sender.rate=200/s"]);
        assert_eq!(growing.transient(), None);
        assert_eq!(growing.warmup, Span(growing.end.0 / 10));
    }
}
