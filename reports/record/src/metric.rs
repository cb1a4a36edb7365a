//! Measured quantities by name, as expectations and answers write them.

use std::fmt;

use queuelab_core::{Span, Time};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::text::{decimal, percent};
use crate::{
    BodiesRecord, ConsumerRecord, GroupRecord, Lag, Latencies, Load, Outcomes, ProducerRecord,
    QueueRecord, RunRecord,
};

/// Every metric; `pN` stands for a percentile such as `p50` or `p99.9`.
pub const METRICS: [&str; 60] = [
    "backlog.max",
    "backlog.mean",
    "backlog.end",
    "oldest_age.max",
    "drain_time",
    "delayed.max",
    "delayed.mean",
    "delayed.end",
    "stalled.end",
    "lag.max",
    "lag.mean",
    "lag.end",
    "alarm_time",
    "count.read_back",
    "budget_use.max",
    "latency.confirm.mean",
    "latency.confirm.max",
    "latency.confirm.pN",
    "latency.delivery.mean",
    "latency.delivery.max",
    "latency.delivery.pN",
    "latency.end_to_end.mean",
    "latency.end_to_end.max",
    "latency.end_to_end.pN",
    "latency.complete.mean",
    "latency.complete.max",
    "latency.complete.pN",
    "rate.published",
    "rate.delivered",
    "rate.acked",
    "count.offered",
    "count.sent",
    "count.confirmed",
    "count.failed",
    "count.unknown",
    "count.dropped_by_producer",
    "count.pending",
    "count.unroutable",
    "count.abandoned",
    "count.retried",
    "count.enqueued",
    "count.delivered",
    "count.redelivered",
    "count.duplicates",
    "count.reordered",
    "count.acked",
    "count.dead_lettered",
    "count.dropped",
    "count.rejected",
    "count.refused",
    "count.lost",
    "count.expired",
    "count.exhausted",
    "count.purged",
    "count.deduplicated",
    "count.lease_expired",
    "count.rebalances",
    "count.served",
    "count.nacked",
    "utilisation",
];

/// What a metric came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Measured {
    /// A figure.
    Value {
        /// Seconds, 1/s, a count or a ratio.
        value: f64,
        /// Which of them.
        unit: Unit,
        /// The truth may be larger: messages that were unfinished at the end would have counted.
        at_least: bool,
    },
    /// It did not come to pass: a drain that never ended.
    Never,
    /// Nothing happened that could be measured.
    NoSamples,
}

/// What a figure is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Seconds.
    Time,
    /// Per second.
    Rate,
    /// Messages; a mean number of them need not be whole.
    Count,
    /// A share.
    Ratio,
}

impl Unit {
    /// A figure in this unit, as people read it.
    pub fn shown(self, value: f64) -> String {
        figure_of(value, self).to_string()
    }

    /// The size of a difference of two figures in this unit. Shares differ by percentage points, so that they are not taken for shares of
    /// one of the two: `7.7 points`.
    pub fn difference_shown(self, size: f64) -> String {
        match self {
            Unit::Ratio => percent(size).replace(" %", " points"),
            unit => unit.shown(size),
        }
    }
}

/// Why there is no such metric.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MetricError {
    /// No metric is called that.
    #[error("no metric is called `{name}`; there are {}", METRICS.join(", "))]
    UnknownMetric {
        /// As asked.
        name: String,
    },
    /// What follows `of` is not there.
    #[error("no {kind} is called `{name}`; {}", listed(known))]
    UnknownName {
        /// `queue`, `producer`, `consumer` or `group`.
        kind: &'static str,
        /// As asked.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The phase is not there.
    #[error("no phase is called `{name}`; {}", listed(known))]
    UnknownPhase {
        /// As asked.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// It is measured over the whole run only.
    #[error("`{name}` is measured over the whole run, not per phase")]
    WholeRunOnly {
        /// The metric.
        name: String,
    },
}

impl RunRecord {
    /// A metric as people read it; a dash where there was nothing to measure, or there is no such metric.
    pub fn metric_shown(&self, name: &str, of: Option<&str>, phase: Option<&str>) -> String {
        match self.metric(name, of, phase) {
            Ok(Measured::NoSamples) | Err(_) => "—".into(),
            Ok(measured) => measured.to_string(),
        }
    }

    /// What the metric `name` came to, `of` a queue, producer or consumer (all together if absent) in a phase (the whole run
    /// if absent). The name after `of` is a producer's for `latency.confirm`, `latency.complete` and for what becomes of messages
    /// (`count.offered` to `count.retried`), a consumer's for `utilisation`, `count.served` and `count.nacked`, a group's for `lag` and
    /// `count.rebalances`, a queue's for the rest; `latency.delivery` and `latency.end_to_end` are also known of producers and groups.
    /// The name of a queue with partitions stands for all of them.
    ///
    /// Queues together add up, except that `oldest_age.max` and `drain_time` are the largest of them, and `backlog.max` (as
    /// `delayed.max` and `lag.max`) is the largest sum over one series window of the queues' maxima in it: with several queues it may
    /// exceed the true peak by what they change within a window. Without a name `latency.end_to_end` leaves services out whose
    /// consumer publishes on: those messages are not at their end.
    ///
    /// Latencies belong to the phase of their intended send. One is reported as a lower bound (`at_least`) if the share of
    /// messages that were unfinished at the end reaches what the figure leaves above it (1 − N/100 for `pN`, a hundredth
    /// for the mean, none for the maximum) and, where ages are known, the oldest of them is already older than the figure.
    pub fn metric(
        &self,
        name: &str,
        of: Option<&str>,
        phase: Option<&str>,
    ) -> Result<Measured, MetricError> {
        let metric =
            Metric::parse(name).ok_or_else(|| MetricError::UnknownMetric { name: name.into() })?;
        let phase = match phase {
            None => None,
            Some(_) if metric.whole_run_only() => {
                return Err(MetricError::WholeRunOnly { name: name.into() });
            }
            Some(phase) => Some(self.phase_named(phase)?),
        };
        Ok(match metric {
            Metric::Backlog(figure) => {
                self.backlog(figure, &select("queue", &self.queues, of)?, phase)
            }
            Metric::OldestAge => self.oldest_age(&select("queue", &self.queues, of)?, phase),
            Metric::DrainTime => drain_time(&select("queue", &self.queues, of)?),
            Metric::Delayed(figure) => {
                self.delayed(figure, &select("queue", &self.queues, of)?, phase)
            }
            Metric::Lag(figure) => self.lag(figure, &select("group", &self.groups, of)?, phase),
            Metric::AlarmTime => time(self.alarm_time()),
            Metric::ReadBack => whole(self.bodies().map(|bodies| bodies.read).sum()),
            Metric::BudgetUse => {
                let used =
                    |bodies: &BodiesRecord| bodies.resident_max as f64 / bodies.budget as f64;
                let most = self.bodies().map(used).max_by(f64::total_cmp);
                most.map_or(Measured::NoSamples, |most| figure_of(most, Unit::Ratio))
            }
            Metric::Group(counter) => count(&select("group", &self.groups, of)?, counter),
            Metric::Latency(stage, figure) => figure.of(&self.sample(stage, figure, of, phase)?),
            Metric::Rate(flow) => self.rate(flow, &select("queue", &self.queues, of)?, phase),
            Metric::Outcome(counter) => count(&select("producer", &self.producers, of)?, |it| {
                counter(&it.outcomes)
            }),
            Metric::Queue(counter) => count(&select("queue", &self.queues, of)?, counter),
            Metric::Reordered => reordered(&select("queue", &self.queues, of)?),
            Metric::Consumer(counter) => count(&select("consumer", &self.consumers, of)?, counter),
            Metric::Utilisation => {
                self.utilisation(&select("consumer", &self.consumers, of)?, phase)
            }
        })
    }

    fn phase_named(&self, name: &str) -> Result<usize, MetricError> {
        self.phases
            .iter()
            .position(|phase| phase.name == name)
            .ok_or_else(|| MetricError::UnknownPhase {
                name: name.into(),
                known: self.phases.iter().map(|phase| phase.name.clone()).collect(),
            })
    }

    fn backlog(
        &self,
        figure: Level,
        queues: &[(usize, &QueueRecord)],
        phase: Option<usize>,
    ) -> Measured {
        let load = |index: usize, phase: usize| &self.phases[phase].load[index];
        match (figure, phase) {
            (Level::Max, _) if queues.len() == 1 => {
                let (index, queue) = queues[0];
                whole(phase.map_or(queue.ready_max.0, |phase| load(index, phase).ready_max))
            }
            (Level::Max, _) => {
                let windows = phase.map_or(0..self.windows(), |phase| self.windows_of(phase));
                let series = queues.iter().map(|(_, queue)| &queue.series.ready_max);
                whole(largest_sum(series, windows))
            }
            (Level::Mean, None) => self.mean_over(0..self.phases.len(), |phase| {
                let means = queues
                    .iter()
                    .map(|&(index, _)| load(index, phase).ready_mean);
                means.sum()
            }),
            (Level::Mean, Some(phase)) => figure_of(
                queues
                    .iter()
                    .map(|&(index, _)| load(index, phase).ready_mean)
                    .sum(),
                Unit::Count,
            ),
            (Level::End, None) => whole(queues.iter().map(|(_, queue)| queue.ready_end).sum()),
            (Level::End, Some(phase)) => whole(
                queues
                    .iter()
                    .map(|&(index, _)| load(index, phase).ready_end)
                    .sum(),
            ),
        }
    }

    fn oldest_age(&self, queues: &[(usize, &QueueRecord)], phase: Option<usize>) -> Measured {
        let phases = phase.map_or(0..self.phases.len(), |phase| phase..phase + 1);
        let ages = self.phases[phases].iter().flat_map(|phase| {
            queues
                .iter()
                .map(|&(index, _)| phase.load[index].oldest_age_max)
        });
        ages.max().map_or(Measured::NoSamples, time)
    }

    /// Delayed messages. They have no peak of their own: the largest value is that of the phases.
    fn delayed(
        &self,
        figure: Level,
        queues: &[(usize, &QueueRecord)],
        phase: Option<usize>,
    ) -> Measured {
        let phases = phase.map_or(0..self.phases.len(), |phase| phase..phase + 1);
        let sum = |phase: usize, of: fn(&Load) -> f64| -> f64 {
            let loads = queues
                .iter()
                .map(|&(index, _)| of(&self.phases[phase].load[index]));
            loads.sum()
        };
        match figure {
            Level::Max => {
                let sums = phases.map(|phase| sum(phase, |load| load.delayed_max as f64));
                figure_of(sums.fold(0.0, f64::max), Unit::Count)
            }
            Level::Mean => self.mean_over(phases, |phase| sum(phase, |load| load.delayed_mean)),
            Level::End => match phase {
                Some(phase) => figure_of(sum(phase, |load| load.delayed_end as f64), Unit::Count),
                None => whole(queues.iter().map(|(_, queue)| queue.delayed_end).sum()),
            },
        }
    }

    fn lag(
        &self,
        figure: Level,
        groups: &[(usize, &GroupRecord)],
        phase: Option<usize>,
    ) -> Measured {
        if groups.is_empty() {
            return Measured::NoSamples;
        }
        let phases = phase.map_or(0..self.phases.len(), |phase| phase..phase + 1);
        let lag = |group: &GroupRecord, phase: usize| group.lag.get(phase).copied();
        let sum = |phase: usize, of: fn(Lag) -> f64| -> f64 {
            let lags = groups.iter().filter_map(|(_, group)| lag(group, phase));
            lags.map(of).sum()
        };
        match figure {
            Level::Max => {
                let sums = phases.map(|phase| sum(phase, |lag| lag.max as f64));
                figure_of(sums.fold(0.0, f64::max), Unit::Count)
            }
            Level::Mean => self.mean_over(phases, |phase| sum(phase, |lag| lag.mean)),
            Level::End => match phase {
                Some(phase) => figure_of(sum(phase, |lag| lag.end as f64), Unit::Count),
                None => whole(groups.iter().map(|(_, group)| group.lag_end).sum()),
            },
        }
    }

    /// The mean over phases of what has a mean in each, by their lengths.
    fn mean_over(&self, phases: std::ops::Range<usize>, mean: impl Fn(usize) -> f64) -> Measured {
        let (mut total, mut weight) = (0.0, 0.0);
        for phase in phases {
            let length = self.length_of(phase).as_secs_f64();
            weight += length;
            total += length * mean(phase);
        }
        if weight > 0.0 {
            figure_of(total / weight, Unit::Count)
        } else {
            Measured::NoSamples
        }
    }

    /// What nodes that have a budget had of bodies in memory.
    fn bodies(&self) -> impl Iterator<Item = &BodiesRecord> {
        self.nodes.iter().filter_map(|node| node.bodies.as_ref())
    }

    /// Time during which any alarm was on.
    fn alarm_time(&self) -> Span {
        let (mut total, mut until) = (Span::ZERO, Time::ZERO);
        for alarm in &self.alarms {
            total += alarm.until.since(alarm.from.max(until));
            until = until.max(alarm.until);
        }
        total
    }

    /// What the latency metric `name` is a figure of, for a figure over several runs; `None` if it is no latency.
    pub(crate) fn latency_sample(
        &self,
        name: &str,
        of: Option<&str>,
        phase: Option<&str>,
    ) -> Result<Option<(Figure, Sample)>, MetricError> {
        let Some(Metric::Latency(stage, figure)) = Metric::parse(name) else {
            return Ok(None);
        };
        let phase = phase.map(|phase| self.phase_named(phase)).transpose()?;
        let sample = self.sample(stage, figure, of, phase)?;
        Ok(Some((figure, sample)))
    }

    /// Latencies of a stage: of a queue, a producer or a group; without a name of all messages where they end.
    fn sample(
        &self,
        stage: Stage,
        figure: Figure,
        of: Option<&str>,
        phase: Option<usize>,
    ) -> Result<Sample, MetricError> {
        if matches!(stage, Stage::Confirm | Stage::Complete) {
            let producers = select("producer", &self.producers, of)?;
            return Ok(match stage {
                Stage::Confirm => confirm(&producers, figure, phase),
                _ => self.latency_of_producers(&producers, stage, phase),
            });
        }
        let queues = select("queue", &self.queues, of);
        let Some(name) = of else {
            // A record of before producers had latencies tells them by queue.
            return Ok(if self.knows_producers_latencies() {
                let all: Vec<_> = self.producers.iter().enumerate().collect();
                self.latency_of_producers(&all, stage, phase)
            } else {
                self.latency(&queues?, stage, phase)
            });
        };
        let is_named = |of: &str| name == of;
        if self.producers.iter().any(|it| is_named(&it.name)) && queues.is_err() {
            let producers = select("producer", &self.producers, of)?;
            return Ok(self.latency_of_producers(&producers, stage, phase));
        }
        if let Some(group) = self.groups.iter().find(|it| is_named(&it.name))
            && queues.is_err()
        {
            let phases = match stage {
                Stage::Delivery => &group.delivery,
                _ => &group.end_to_end,
            };
            let mut latencies = Latencies::default();
            merge_phases(&mut latencies, phases, phase);
            return Ok(Sample {
                latencies,
                unfinished: if phase.is_none() { group.lag_end } else { 0 },
                // The age of the oldest record that was not read is not kept.
                oldest: Span::MAX,
            });
        }
        Ok(self.latency(&queues?, stage, phase))
    }

    fn latency_of_producers(
        &self,
        producers: &[(usize, &ProducerRecord)],
        stage: Stage,
        phase: Option<usize>,
    ) -> Sample {
        let mut sample = Sample::default();
        let (youngest, eldest) = self.ages_at_end(phase);
        for (_, producer) in producers {
            let (phases, left) = match stage {
                Stage::Delivery => (&producer.delivery, &producer.undelivered),
                Stage::Complete => (&producer.complete, &producer.incomplete),
                _ => (&producer.end_to_end, &producer.unfinished),
            };
            merge_phases(&mut sample.latencies, phases, phase);
            if producer.unfinished_age_max > youngest {
                sample.unfinished += match phase {
                    Some(phase) => left.get(phase).copied().unwrap_or(0),
                    None => left.iter().sum(),
                };
                sample.oldest = sample.oldest.max(producer.unfinished_age_max.min(eldest));
            }
        }
        sample
    }

    /// Of the messages of a phase (of all, without one): the age at the end of the youngest, and of the oldest.
    fn ages_at_end(&self, phase: Option<usize>) -> (Span, Span) {
        phase.map_or((Span::ZERO, Span::MAX), |phase| {
            let phase = &self.phases[phase];
            (self.end.since(phase.until), self.end.since(phase.from))
        })
    }

    fn latency(
        &self,
        queues: &[(usize, &QueueRecord)],
        stage: Stage,
        phase: Option<usize>,
    ) -> Sample {
        let mut sample = Sample::default();
        // Who was intended after the phase does not count; who was intended in it is at least this old.
        let (youngest, eldest) = self.ages_at_end(phase);
        for (_, queue) in queues {
            let phases = if stage == Stage::Delivery {
                &queue.delivery
            } else {
                &queue.end_to_end
            };
            merge_phases(&mut sample.latencies, phases, phase);
            if queue.unfinished_age_max > youngest {
                sample.unfinished += unfinished_of(queue, stage, phase);
                sample.oldest = sample.oldest.max(queue.unfinished_age_max.min(eldest));
            }
        }
        sample
    }

    fn rate(&self, flow: Flow, queues: &[(usize, &QueueRecord)], phase: Option<usize>) -> Measured {
        if let Some(phase) = phase {
            let loads = queues
                .iter()
                .map(|&(index, _)| &self.phases[phase].load[index]);
            let rates = loads.map(|load| match flow {
                Flow::Published => load.published,
                Flow::Delivered => load.delivered,
                Flow::Acked => load.acked,
            });
            return figure_of(rates.sum(), Unit::Rate);
        }
        // The warm-up is left out by whole windows.
        let first = self.warmup.0.div_ceil(self.window.0.max(1));
        let seconds = self
            .end
            .since(Time(first.saturating_mul(self.window.0)))
            .as_secs_f64();
        let first = first as usize;
        let total: u64 = queues
            .iter()
            .map(|(_, queue)| match flow {
                Flow::Published => &queue.series.published,
                Flow::Delivered => &queue.series.delivered,
                Flow::Acked => &queue.series.acked,
            })
            .flat_map(|series| series.iter().skip(first))
            .sum();
        if seconds > 0.0 {
            figure_of(total as f64 / seconds, Unit::Rate)
        } else {
            Measured::NoSamples
        }
    }

    fn utilisation(
        &self,
        consumers: &[(usize, &ConsumerRecord)],
        phase: Option<usize>,
    ) -> Measured {
        let (mut total, mut members) = (0.0, 0.0);
        for (_, consumer) in consumers {
            let share = match phase {
                None => consumer.utilisation,
                Some(phase) => {
                    let windows = self.windows_of(phase);
                    let series = consumer.utilisation_series.get(windows).unwrap_or_default();
                    if series.is_empty() {
                        continue;
                    }
                    series.iter().sum::<f64>() / series.len() as f64
                }
            };
            total += share * f64::from(consumer.count);
            members += f64::from(consumer.count);
        }
        if members > 0.0 {
            figure_of(total / members, Unit::Ratio)
        } else {
            Measured::NoSamples
        }
    }
}

impl fmt::Display for Measured {
    /// As a person reads it: `3m45s`, `92 ms`, `1,204`, `201/s`, `87 %`, `≥ 12 s`, `never`, `no samples`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match *self {
            Measured::Never => "never".to_string(),
            Measured::NoSamples => "no samples".to_string(),
            Measured::Value {
                value,
                unit,
                at_least,
            } => {
                let bound = if at_least { "≥ " } else { "" };
                match unit {
                    Unit::Time => format!("{bound}{}", Span::from_secs_f64(value)),
                    Unit::Rate => format!("{bound}{}/s", decimal(value)),
                    Unit::Count => format!("{bound}{}", decimal(value)),
                    Unit::Ratio => format!("{bound}{}", percent(value)),
                }
            }
        };
        f.pad(&text)
    }
}

/// A parsed name.
enum Metric {
    Backlog(Level),
    Delayed(Level),
    Lag(Level),
    AlarmTime,
    ReadBack,
    BudgetUse,
    OldestAge,
    DrainTime,
    Latency(Stage, Figure),
    Rate(Flow),
    Outcome(fn(&Outcomes) -> u64),
    Queue(fn(&QueueRecord) -> u64),
    Reordered,
    Consumer(fn(&ConsumerRecord) -> u64),
    Group(fn(&GroupRecord) -> u64),
    Utilisation,
}

/// What is asked of a number that goes up and down.
#[derive(Clone, Copy)]
enum Level {
    Max,
    Mean,
    End,
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Confirm,
    Delivery,
    EndToEnd,
    Complete,
}

/// What is asked of latencies.
#[derive(Clone, Copy)]
pub(crate) enum Figure {
    Mean,
    Max,
    Quantile(f64),
}

/// Latencies, and messages that would still have added one.
#[derive(Default)]
pub(crate) struct Sample {
    pub(crate) latencies: Latencies,
    unfinished: u64,
    /// The age of the oldest of them.
    oldest: Span,
}

impl Sample {
    /// Adds what another run saw.
    pub(crate) fn merge(&mut self, other: &Sample) {
        self.latencies.merge(&other.latencies);
        self.unfinished += other.unfinished;
        self.oldest = self.oldest.max(other.oldest);
    }
}

#[derive(Clone, Copy)]
enum Flow {
    Published,
    Delivered,
    Acked,
}

impl Metric {
    fn parse(name: &str) -> Option<Metric> {
        Some(match name {
            "backlog.max" => Metric::Backlog(Level::Max),
            "backlog.mean" => Metric::Backlog(Level::Mean),
            "backlog.end" => Metric::Backlog(Level::End),
            "oldest_age.max" => Metric::OldestAge,
            "drain_time" => Metric::DrainTime,
            "delayed.max" => Metric::Delayed(Level::Max),
            "delayed.mean" => Metric::Delayed(Level::Mean),
            "delayed.end" => Metric::Delayed(Level::End),
            "stalled.end" => Metric::Queue(|it| it.stalled_end),
            "lag.max" => Metric::Lag(Level::Max),
            "lag.mean" => Metric::Lag(Level::Mean),
            "lag.end" => Metric::Lag(Level::End),
            "alarm_time" => Metric::AlarmTime,
            "count.read_back" => Metric::ReadBack,
            "budget_use.max" => Metric::BudgetUse,
            "rate.published" => Metric::Rate(Flow::Published),
            "rate.delivered" => Metric::Rate(Flow::Delivered),
            "rate.acked" => Metric::Rate(Flow::Acked),
            "count.offered" => Metric::Outcome(|it| it.offered),
            "count.sent" => Metric::Outcome(|it| it.sent),
            "count.confirmed" => Metric::Outcome(|it| it.confirmed),
            "count.failed" => Metric::Outcome(|it| it.failed),
            "count.unknown" => Metric::Outcome(|it| it.unknown),
            "count.dropped_by_producer" => Metric::Outcome(|it| it.dropped_by_producer),
            "count.pending" => Metric::Outcome(|it| it.pending),
            "count.unroutable" => Metric::Outcome(|it| it.unroutable),
            "count.abandoned" => Metric::Outcome(|it| it.abandoned),
            "count.retried" => Metric::Outcome(|it| it.retried),
            "count.enqueued" => Metric::Queue(|it| it.enqueued),
            "count.delivered" => Metric::Queue(|it| it.delivered),
            "count.redelivered" => Metric::Queue(|it| it.redelivered),
            "count.duplicates" => Metric::Queue(|it| it.duplicates),
            "count.reordered" => Metric::Reordered,
            "count.acked" => Metric::Queue(|it| it.acked),
            "count.dead_lettered" => Metric::Queue(|it| it.dead_lettered),
            "count.dropped" => Metric::Queue(|it| it.dropped),
            "count.rejected" => Metric::Queue(|it| it.rejected),
            "count.refused" => Metric::Queue(|it| it.refused),
            "count.lost" => Metric::Queue(|it| it.lost),
            "count.expired" => Metric::Queue(|it| it.expired),
            "count.exhausted" => Metric::Queue(|it| it.exhausted),
            "count.purged" => Metric::Queue(|it| it.purged),
            "count.deduplicated" => Metric::Queue(|it| it.deduplicated),
            "count.lease_expired" => Metric::Queue(|it| it.lease_expired),
            "count.rebalances" => Metric::Group(|it| it.rebalances),
            "count.served" => Metric::Consumer(|it| it.served),
            "count.nacked" => Metric::Consumer(|it| it.nacked),
            "utilisation" => Metric::Utilisation,
            _ => {
                let (stage, figure) = name.strip_prefix("latency.")?.split_once('.')?;
                let stage = match stage {
                    "confirm" => Stage::Confirm,
                    "delivery" => Stage::Delivery,
                    "end_to_end" => Stage::EndToEnd,
                    "complete" => Stage::Complete,
                    _ => return None,
                };
                Metric::Latency(stage, Figure::parse(figure)?)
            }
        })
    }

    fn whole_run_only(&self) -> bool {
        matches!(
            self,
            Metric::DrainTime
                | Metric::AlarmTime
                | Metric::ReadBack
                | Metric::BudgetUse
                | Metric::Outcome(_)
                | Metric::Queue(_)
                | Metric::Reordered
                | Metric::Consumer(_)
                | Metric::Group(_)
        )
    }
}

impl Figure {
    fn parse(text: &str) -> Option<Figure> {
        match text {
            "mean" => return Some(Figure::Mean),
            "max" => return Some(Figure::Max),
            _ => {}
        }
        let digits = text.strip_prefix('p')?;
        let plain = digits
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
        let percent: f64 = digits.parse().ok().filter(|_| plain)?;
        (0.0 < percent && percent < 100.0).then_some(Figure::Quantile(percent / 100.0))
    }

    pub(crate) fn of(self, sample: &Sample) -> Measured {
        let Sample {
            latencies,
            unfinished,
            oldest,
        } = sample;
        let (unfinished, oldest) = (*unfinished, *oldest);
        let (value, left_above) = match self {
            Figure::Mean => (latencies.mean(), 0.01),
            Figure::Max => (latencies.max(), 0.0),
            Figure::Quantile(q) => (latencies.quantile(q), 1.0 - q),
        };
        // The age of an unfinished message bounds the maximum even if no message was finished.
        let value = match self {
            Figure::Max if unfinished > 0 && oldest != Span::MAX => value.max(Some(oldest)),
            _ => value,
        };
        let Some(value) = value else {
            return Measured::NoSamples;
        };
        let share = unfinished as f64 / (unfinished as f64 + latencies.count() as f64);
        let at_least = unfinished > 0 && share >= left_above && oldest >= value;
        Measured::Value {
            value: value.as_secs_f64(),
            unit: Unit::Time,
            at_least,
        }
    }
}

/// What `of` can name.
trait Named {
    fn name(&self) -> &str;

    fn answers_to(&self, name: &str) -> bool {
        self.name() == name
    }
}

impl Named for QueueRecord {
    fn name(&self) -> &str {
        &self.name
    }

    /// By its name, or as a partition of the one that is named.
    fn answers_to(&self, name: &str) -> bool {
        self.is_part_of(name)
    }
}

impl Named for ProducerRecord {
    fn name(&self) -> &str {
        &self.name
    }
}

impl Named for GroupRecord {
    fn name(&self) -> &str {
        &self.name
    }
}

impl Named for ConsumerRecord {
    fn name(&self) -> &str {
        &self.name
    }
}

/// The one that is named, or all; with indexes.
fn select<'a, T: Named>(
    kind: &'static str,
    all: &'a [T],
    of: Option<&str>,
) -> Result<Vec<(usize, &'a T)>, MetricError> {
    let Some(name) = of else {
        return Ok(all.iter().enumerate().collect());
    };
    let each = all.iter().enumerate();
    let named: Vec<_> = each.filter(|(_, each)| each.answers_to(name)).collect();
    if named.is_empty() {
        return Err(MetricError::UnknownName {
            kind,
            name: name.into(),
            known: all.iter().map(|each| each.name().to_string()).collect(),
        });
    }
    Ok(named)
}

/// Copies that would still have added a latency: what was not served or, for the delivery, not yet received by a consumer.
fn unfinished_of(queue: &QueueRecord, stage: Stage, phase: Option<usize>) -> u64 {
    let unfinished = match phase {
        // A record of before the count was kept per phase.
        _ if queue.unfinished.is_empty() => queue.ready_end + queue.in_flight_end,
        Some(phase) => queue.unfinished[phase],
        None => queue.unfinished.iter().sum(),
    };
    if stage == Stage::Delivery {
        unfinished.min(queue.ready_end)
    } else {
        unfinished
    }
}

fn drain_time(queues: &[(usize, &QueueRecord)]) -> Measured {
    let mut longest = None;
    for (_, queue) in queues {
        match queue.drain_time {
            // What was never filled has nothing to drain.
            None if queue.ready_max.0 == 0 => {}
            None => return Measured::Never,
            Some(span) => longest = longest.max(Some(span)),
        }
    }
    longest.map_or(Measured::NoSamples, time)
}

fn confirm(producers: &[(usize, &ProducerRecord)], figure: Figure, phase: Option<usize>) -> Sample {
    let mut sample = Sample {
        oldest: Span::MAX,
        ..Sample::default()
    };
    for (_, producer) in producers {
        merge_phases(&mut sample.latencies, &producer.confirm, phase);
        // One that asks for no confirms waits for none. Ages are not kept, so nothing can be said of the largest.
        if producer
            .confirm
            .iter()
            .any(|latencies| !latencies.is_empty())
            && !matches!(figure, Figure::Max)
        {
            sample.unfinished += producer.outcomes.pending + producer.outcomes.unknown;
        }
    }
    sample
}

/// The largest sum of several series in one of the windows.
fn largest_sum<'a>(
    series: impl Iterator<Item = &'a Vec<u64>> + Clone,
    windows: std::ops::Range<usize>,
) -> u64 {
    let sum = |window: usize| {
        let values = series.clone().filter_map(|values| values.get(window));
        values.sum::<u64>()
    };
    windows.map(sum).max().unwrap_or(0)
}

fn merge_phases(all: &mut Latencies, phases: &[Latencies], phase: Option<usize>) {
    let phases = phase.map_or(phases, |phase| {
        phases.get(phase..=phase).unwrap_or_default()
    });
    phases.iter().for_each(|latencies| all.merge(latencies));
}

fn count<T>(groups: &[(usize, &T)], counter: impl Fn(&T) -> u64) -> Measured {
    whole(groups.iter().map(|(_, group)| counter(group)).sum())
}

/// Known only if all of them were followed.
fn reordered(queues: &[(usize, &QueueRecord)]) -> Measured {
    let counts = queues.iter().map(|(_, queue)| queue.reordered);
    counts
        .sum::<Option<u64>>()
        .map_or(Measured::NoSamples, whole)
}

fn whole(count: u64) -> Measured {
    figure_of(count as f64, Unit::Count)
}

fn time(span: Span) -> Measured {
    figure_of(span.as_secs_f64(), Unit::Time)
}

fn figure_of(value: f64, unit: Unit) -> Measured {
    Measured::Value {
        value,
        unit,
        at_least: false,
    }
}

fn listed(known: &[String]) -> String {
    match known {
        [] => "there is none".to_string(),
        _ => format!("there are {}", known.join(", ")),
    }
}
