//! Measured quantities by name, as expectations and answers write them.

use std::fmt;

use queuelab_core::{Span, Time};
use thiserror::Error;

use crate::text::{decimal, percent};
use crate::{ConsumerRecord, Latencies, Outcomes, ProducerRecord, QueueRecord, RunRecord};

/// Every metric; `pN` stands for a percentile such as `p50` or `p99.9`.
pub const METRICS: [&str; 38] = [
    "backlog.max",
    "backlog.mean",
    "backlog.end",
    "oldest_age.max",
    "drain_time",
    "latency.confirm.mean",
    "latency.confirm.max",
    "latency.confirm.pN",
    "latency.delivery.mean",
    "latency.delivery.max",
    "latency.delivery.pN",
    "latency.end_to_end.mean",
    "latency.end_to_end.max",
    "latency.end_to_end.pN",
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
    "count.enqueued",
    "count.delivered",
    "count.redelivered",
    "count.duplicates",
    "count.acked",
    "count.dead_lettered",
    "count.dropped",
    "count.rejected",
    "count.refused",
    "count.lost",
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
        /// `queue`, `producer` or `consumer`.
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
    /// What the metric `name` came to, `of` a queue, producer or consumer (all together if absent) in a phase (the whole run
    /// if absent). The name after `of` is a producer's for `latency.confirm` and for what becomes of messages (`count.offered`
    /// to `count.unroutable`), a consumer's for `utilisation`, `count.served` and `count.nacked`, a queue's for the rest.
    ///
    /// Queues together add up, except that `oldest_age.max` and `drain_time` are the largest of them, and `backlog.max` is the
    /// largest sum over one series window of the queues' maxima in it: with several queues it may exceed the true
    /// peak by what they change within a window.
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
            Metric::Latency(Stage::Confirm, figure) => {
                confirm(&select("producer", &self.producers, of)?, figure, phase)
            }
            Metric::Latency(stage, figure) => {
                self.latency(&select("queue", &self.queues, of)?, stage, figure, phase)
            }
            Metric::Rate(flow) => self.rate(flow, &select("queue", &self.queues, of)?, phase),
            Metric::Outcome(counter) => count(&select("producer", &self.producers, of)?, |it| {
                counter(&it.outcomes)
            }),
            Metric::Queue(counter) => count(&select("queue", &self.queues, of)?, counter),
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
        figure: Backlog,
        queues: &[(usize, &QueueRecord)],
        phase: Option<usize>,
    ) -> Measured {
        let load = |index: usize, phase: usize| &self.phases[phase].load[index];
        match (figure, phase) {
            (Backlog::Max, _) if queues.len() == 1 => {
                let (index, queue) = queues[0];
                whole(phase.map_or(queue.ready_max.0, |phase| load(index, phase).ready_max))
            }
            (Backlog::Max, _) => {
                let windows = phase.map_or(0..self.windows(), |phase| self.windows_of(phase));
                whole(
                    self.backlog_series()[windows]
                        .iter()
                        .max()
                        .copied()
                        .unwrap_or(0),
                )
            }
            (Backlog::Mean, None) => {
                let mut total = 0.0;
                let mut weight = 0.0;
                for phase in 0..self.phases.len() {
                    let length = self.length_of(phase).as_secs_f64();
                    weight += length;
                    total += length
                        * queues
                            .iter()
                            .map(|&(index, _)| load(index, phase).ready_mean)
                            .sum::<f64>();
                }
                if weight > 0.0 {
                    figure_of(total / weight, Unit::Count)
                } else {
                    Measured::NoSamples
                }
            }
            (Backlog::Mean, Some(phase)) => figure_of(
                queues
                    .iter()
                    .map(|&(index, _)| load(index, phase).ready_mean)
                    .sum(),
                Unit::Count,
            ),
            (Backlog::End, None) => whole(queues.iter().map(|(_, queue)| queue.ready_end).sum()),
            (Backlog::End, Some(phase)) => whole(
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

    fn latency(
        &self,
        queues: &[(usize, &QueueRecord)],
        stage: Stage,
        figure: Figure,
        phase: Option<usize>,
    ) -> Measured {
        let mut latencies = Latencies::default();
        let (mut unfinished, mut oldest) = (0, Span::ZERO);
        // Who was intended after the phase does not count; who was intended in it is at least this old.
        let youngest = phase.map_or(Span::ZERO, |phase| self.end.since(self.phases[phase].until));
        let eldest = phase.map_or(Span::MAX, |phase| self.end.since(self.phases[phase].from));
        for (_, queue) in queues {
            let phases = if stage == Stage::Delivery {
                &queue.delivery
            } else {
                &queue.end_to_end
            };
            merge_phases(&mut latencies, phases, phase);
            if queue.unfinished_age_max > youngest {
                unfinished += unfinished_of(queue, stage, phase);
                oldest = oldest.max(queue.unfinished_age_max.min(eldest));
            }
        }
        figure.of(&latencies, unfinished, oldest)
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
    Backlog(Backlog),
    OldestAge,
    DrainTime,
    Latency(Stage, Figure),
    Rate(Flow),
    Outcome(fn(&Outcomes) -> u64),
    Queue(fn(&QueueRecord) -> u64),
    Consumer(fn(&ConsumerRecord) -> u64),
    Utilisation,
}

#[derive(Clone, Copy)]
enum Backlog {
    Max,
    Mean,
    End,
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Confirm,
    Delivery,
    EndToEnd,
}

#[derive(Clone, Copy)]
enum Figure {
    Mean,
    Max,
    Quantile(f64),
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
            "backlog.max" => Metric::Backlog(Backlog::Max),
            "backlog.mean" => Metric::Backlog(Backlog::Mean),
            "backlog.end" => Metric::Backlog(Backlog::End),
            "oldest_age.max" => Metric::OldestAge,
            "drain_time" => Metric::DrainTime,
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
            "count.enqueued" => Metric::Queue(|it| it.enqueued),
            "count.delivered" => Metric::Queue(|it| it.delivered),
            "count.redelivered" => Metric::Queue(|it| it.redelivered),
            "count.duplicates" => Metric::Queue(|it| it.duplicates),
            "count.acked" => Metric::Queue(|it| it.acked),
            "count.dead_lettered" => Metric::Queue(|it| it.dead_lettered),
            "count.dropped" => Metric::Queue(|it| it.dropped),
            "count.rejected" => Metric::Queue(|it| it.rejected),
            "count.refused" => Metric::Queue(|it| it.refused),
            "count.lost" => Metric::Queue(|it| it.lost),
            "count.served" => Metric::Consumer(|it| it.served),
            "count.nacked" => Metric::Consumer(|it| it.nacked),
            "utilisation" => Metric::Utilisation,
            _ => {
                let (stage, figure) = name.strip_prefix("latency.")?.split_once('.')?;
                let stage = match stage {
                    "confirm" => Stage::Confirm,
                    "delivery" => Stage::Delivery,
                    "end_to_end" => Stage::EndToEnd,
                    _ => return None,
                };
                Metric::Latency(stage, Figure::parse(figure)?)
            }
        })
    }

    fn whole_run_only(&self) -> bool {
        matches!(
            self,
            Metric::DrainTime | Metric::Outcome(_) | Metric::Queue(_) | Metric::Consumer(_)
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

    fn of(self, latencies: &Latencies, unfinished: u64, oldest: Span) -> Measured {
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
}

impl Named for QueueRecord {
    fn name(&self) -> &str {
        &self.name
    }
}

impl Named for ProducerRecord {
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
    match all.iter().position(|each| each.name() == name) {
        Some(index) => Ok(vec![(index, &all[index])]),
        None => Err(MetricError::UnknownName {
            kind,
            name: name.into(),
            known: all.iter().map(|each| each.name().to_string()).collect(),
        }),
    }
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

fn confirm(
    producers: &[(usize, &ProducerRecord)],
    figure: Figure,
    phase: Option<usize>,
) -> Measured {
    let (mut latencies, mut unfinished) = (Latencies::default(), 0);
    for (_, producer) in producers {
        merge_phases(&mut latencies, &producer.confirm, phase);
        // One that asks for no confirms waits for none.
        if producer
            .confirm
            .iter()
            .any(|latencies| !latencies.is_empty())
        {
            unfinished += producer.outcomes.pending + producer.outcomes.unknown;
        }
    }
    match figure {
        // Their ages are not kept, so nothing can be said of the largest.
        Figure::Max => figure.of(&latencies, 0, Span::ZERO),
        _ => figure.of(&latencies, unfinished, Span::MAX),
    }
}

fn merge_phases(all: &mut Latencies, phases: &[Latencies], phase: Option<usize>) {
    let phases = phase.map_or(phases, |phase| &phases[phase..=phase]);
    phases.iter().for_each(|latencies| all.merge(latencies));
}

fn count<T>(groups: &[(usize, &T)], counter: impl Fn(&T) -> u64) -> Measured {
    whole(groups.iter().map(|(_, group)| counter(group)).sum())
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
