//! Intervals from one long run, where there is no second one: batch means.

use serde::{Deserialize, Serialize};

use crate::statistics::{Interval, autocorrelation, batch_means};
use crate::{Measured, Quantity, RunRecord, Unit};

/// What a metric came to in one long run, and how far off that may be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchMeans {
    /// Which.
    #[serde(flatten)]
    pub quantity: Quantity,
    /// Of its value: seconds, 1/s, a count or a ratio.
    pub unit: Unit,
    /// The run's figure, and the interval from the spread of its batches.
    pub interval: Interval,
    /// Of neighbouring batches: far above 0, they know of each other and the interval is too narrow.
    pub correlation: Option<f64>,
}

impl BatchMeans {
    /// Whether batches are long enough to be taken for independent. Of twenty that are, 0.4 is exceeded once in 25 times.
    pub fn is_sound(&self) -> bool {
        self.correlation.is_none_or(|it| it <= 0.4)
    }

    /// As a person reads it: `180,052 ± 225`.
    pub fn shown(&self) -> String {
        let figure = |value| self.unit.shown(value);
        let Interval {
            estimate,
            half_width,
        } = self.interval;
        format!("{} ± {}", figure(estimate), figure(half_width))
    }
}

impl RunRecord {
    /// The interval of a metric of the whole run from twenty batches of its windows, after what is left out at the start. `None` unless
    /// the run is a steady-state one of forty windows at least, and the metric a mean over time of which there is a series: `backlog.mean`,
    /// `rate.…`, `utilisation`. Percentiles have none, since percentiles cannot be averaged.
    pub fn batch_means(&self, quantity: &Quantity, confidence: f64) -> Option<BatchMeans> {
        if self.warmup.is_zero() || quantity.phase.is_some() {
            return None;
        }
        let of = quantity.of.as_deref();
        let Ok(Measured::Value {
            value,
            unit,
            at_least: false,
        }) = self.metric(&quantity.metric, of, None)
        else {
            return None;
        };
        let windows = self.observations(&quantity.metric, of)?;
        let first = self.warmup.0.div_ceil(self.window.0.max(1)) as usize;
        let windows = windows.get(first..)?;
        if windows.len() < 2 * BATCHES {
            return None;
        }
        let means = batch_means(windows, BATCHES);
        let interval = Interval::of_mean(&means, confidence)?;
        Some(BatchMeans {
            quantity: quantity.clone(),
            unit,
            interval: Interval {
                estimate: value,
                ..interval
            },
            correlation: autocorrelation(&means),
        })
    }

    /// A value per window; `None` if the metric has no series.
    fn observations(&self, metric: &str, of: Option<&str>) -> Option<Vec<f64>> {
        let windows = self.windows();
        let summed = |pick: fn(&crate::QueueSeries) -> &Vec<u64>, scale: f64| {
            let queues = self.queues.iter().filter(|queue| match of {
                Some(of) => queue.is_part_of(of),
                None => true,
            });
            let mut sums = vec![0.0; windows];
            for queue in queues {
                for (sum, value) in sums.iter_mut().zip(pick(&queue.series)) {
                    *sum += *value as f64 * scale;
                }
            }
            sums
        };
        let per_second = 1.0 / self.window.as_secs_f64();
        match metric {
            "backlog.mean" => Some(summed(|series| &series.ready, 1.0)),
            "rate.published" => Some(summed(|series| &series.published, per_second)),
            "rate.delivered" => Some(summed(|series| &series.delivered, per_second)),
            "rate.acked" => Some(summed(|series| &series.acked, per_second)),
            "utilisation" => {
                let mut groups = self.consumers.iter().filter(|group| match of {
                    Some(of) => group.name == of,
                    None => true,
                });
                match (groups.next(), groups.next()) {
                    (Some(one), None) => Some(one.utilisation_series.clone()),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

/// As many as Schmeiser (Batch size effects in the analysis of simulation output, Operations Research 30, 1982) finds useful at most: more
/// make batches shorter, and hardly narrow the interval.
const BATCHES: usize = 20;
