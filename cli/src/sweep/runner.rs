//! Points, run on all cores and kept as they are finished.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;

use indicatif::ProgressBar;
use queuelab_record::statistics::Precision;
use queuelab_record::{Quantity, RunRecord, Setting, SweepPoint};
use queuelab_scenario::{Expectation, Scenario};

use super::journal::Journal;
use crate::batch::Job;
use crate::{panics, predict};

/// A scenario that is run at several settings.
pub(super) struct Ground {
    /// As it was typed.
    pub(super) typed: Arc<str>,
    /// Overrides of all points.
    pub(super) set: Vec<String>,
    /// What is varied.
    pub(super) paths: Vec<String>,
    /// Of each point.
    pub(super) seeds: Vec<u64>,
    pub(super) quantities: Vec<Quantity>,
    pub(super) precision: Precision,
    /// Of a search: what takes the place of the scenario's expectations.
    pub(super) conditions: Option<Vec<Expectation>>,
    /// Whether every message is accounted for.
    pub(super) check: bool,
}

/// A setting, and the scenario there.
pub(super) struct Point {
    pub(super) settings: Vec<Setting>,
    scenario: Arc<Scenario>,
}

impl Ground {
    /// The scenario at a point.
    ///
    /// # Errors
    /// If it has errors there.
    fn open(&self, settings: &[Setting]) -> anyhow::Result<Scenario> {
        let varied = self.paths.iter().zip(settings);
        let varied = varied.map(|(path, setting)| format!("{path}={}", setting.text));
        let set: Vec<String> = self.set.iter().cloned().chain(varied).collect();
        let mut scenario = queuelab_scenario::open(&self.typed, &set)?;
        if let Some(conditions) = &self.conditions {
            scenario.expectations = conditions.clone();
        }
        Ok(scenario)
    }

    /// The scenario at each of several points.
    ///
    /// # Errors
    /// If it has errors at one of them.
    pub(super) fn points(&self, points: Vec<Vec<Setting>>) -> anyhow::Result<Vec<Point>> {
        let open = |settings: Vec<Setting>| {
            let scenario = Arc::new(self.open(&settings)?);
            Ok(Point { settings, scenario })
        };
        points.into_iter().map(open).collect()
    }

    /// Runs the points that the journal does not have, and keeps each there as soon as its last run has ended; all of them, in order.
    /// Which thread runs what, and how many there are, changes nothing.
    ///
    /// # Errors
    /// If an assertion fails in a run, or a point cannot be kept.
    pub(super) fn run(
        &self,
        points: &[Point],
        journal: &mut Journal,
        bar: &ProgressBar,
    ) -> anyhow::Result<Vec<SweepPoint>> {
        let missing = |point: &&Point| journal.get(&point.settings).is_none();
        let missing: Vec<&Point> = points.iter().filter(missing).collect();
        let replications = self.seeds.len();
        let jobs: Vec<Job> = missing
            .iter()
            .flat_map(|point| {
                self.seeds.iter().map(|seed| Job {
                    scenario: point.scenario.clone(),
                    typed: self.typed.clone(),
                    seed: *seed,
                })
            })
            .collect();
        let mut pending: BTreeMap<usize, Vec<Option<RunRecord>>> = BTreeMap::new();
        stream(&jobs, self.check, |job, record| {
            let (point, replication) = (job / replications, job % replications);
            let records = pending
                .entry(point)
                .or_insert_with(|| vec![None; replications]);
            records[replication] = Some(record);
            bar.inc(1);
            if records.iter().any(Option::is_none) {
                return Ok(());
            }
            let records = pending.remove(&point).unwrap_or_default();
            let records: Vec<RunRecord> = records.into_iter().flatten().collect();
            journal.append(self.finished(missing[point], &records)?)
        })?;
        let known = |point: &Point| {
            let point = journal.get(&point.settings);
            point.cloned().expect("it was run, or was there")
        };
        Ok(points.iter().map(known).collect())
    }

    fn finished(&self, point: &Point, records: &[RunRecord]) -> anyhow::Result<SweepPoint> {
        let predictions = predict::records(&point.scenario);
        let (settings, quantities) = (point.settings.clone(), &self.quantities);
        let point = SweepPoint::of(settings, records, quantities, self.precision, predictions)?;
        Ok(point)
    }
}

/// Runs jobs on all cores, each thread taking the next one, and hands their records to `take(job, record)`, on this thread, as they end.
/// So few records exist at a time, and the first points are finished first.
fn stream(
    jobs: &[Job],
    check: bool,
    mut take: impl FnMut(usize, RunRecord) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let threads = rayon::current_num_threads().min(jobs.len());
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (sender, receiver) =
        sync_channel::<(usize, Result<RunRecord, panics::Failed>)>(threads * WAITING);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let sender = sender.clone();
            scope.spawn(|| {
                let sender = sender;
                while !stop.load(Ordering::Relaxed) {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(at) else { break };
                    if sender.send((at, job.run(check))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        let mut taken = || -> anyhow::Result<()> {
            for (at, record) in &receiver {
                take(at, record?)?;
            }
            Ok(())
        };
        let result = taken();
        // Threads that have a record to hand over find nobody, and end.
        stop.store(true, Ordering::Relaxed);
        drop(receiver);
        result
    })
}

/// Records of each thread that may wait to be taken: while a point is judged and synced, threads go on.
const WAITING: usize = 8;
