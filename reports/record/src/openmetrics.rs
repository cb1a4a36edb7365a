//! Records as OpenMetrics text, for Prometheus and whatever else reads it.
//!
//! The format: <https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md>. Seconds and shares (`_ratio`) are the
//! units; counters end in `_total`; each family stands in one piece, whatever the number of runs, which the labels `scenario`, `seed` and
//! `overrides` tell apart. There are no timestamps: virtual time is nobody's clock.

use std::fmt::Write as _;

use queuelab_core::Span;

use crate::export::seconds;
use crate::{
    DEATH_NAMES, GroupRecord, Latencies, Measured, NodeRecord, PART_NAMES, ProducerRecord,
    QueueRecord, RunRecord, Verdict,
};

/// All runs as one exposition. Two runs of the same scenario, seed and overrides would be the same series twice: that is the caller's to
/// prevent.
pub fn openmetrics(records: &[RunRecord]) -> String {
    let mut text = String::new();
    for family in FAMILIES {
        family.write(records, &mut text);
    }
    text.push_str("# EOF\n");
    text
}

/// A metric family.
struct Family {
    name: &'static str,
    kind: Kind,
    /// The last part of the name, if it is a unit.
    unit: &'static str,
    help: &'static str,
    samples: fn(&RunRecord) -> Vec<Sample>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Counter,
    Gauge,
    Info,
    StateSet,
    Summary,
}

struct Sample {
    suffix: &'static str,
    labels: Vec<(&'static str, String)>,
    value: String,
}

impl Family {
    /// Writes nothing where no run has a sample.
    fn write(&self, records: &[RunRecord], text: &mut String) {
        let samples: Vec<(&RunRecord, Sample)> = records
            .iter()
            .flat_map(|record| {
                let samples = (self.samples)(record).into_iter();
                samples.map(move |sample| (record, sample))
            })
            .collect();
        if samples.is_empty() {
            return;
        }
        let (kind, suffix) = match self.kind {
            Kind::Counter => ("counter", "_total"),
            Kind::Gauge => ("gauge", ""),
            Kind::Info => ("info", "_info"),
            Kind::StateSet => ("stateset", ""),
            Kind::Summary => ("summary", ""),
        };
        let name = self.name;
        let _ = writeln!(text, "# TYPE {name} {kind}");
        if !self.unit.is_empty() {
            let _ = writeln!(text, "# UNIT {name} {}", self.unit);
        }
        let _ = writeln!(text, "# HELP {name} {}", escaped(self.help));
        for (record, sample) in samples {
            let _ = write!(text, "{name}{suffix}{}", sample.suffix);
            let overrides = record.scenario.overrides.join(" ");
            let overrides = (!overrides.is_empty()).then_some(("overrides", overrides));
            let labels = [
                ("scenario", record.scenario.name.clone()),
                ("seed", record.seed.to_string()),
            ];
            let labels = labels.into_iter().chain(overrides).chain(sample.labels);
            for (number, (label, value)) in labels.enumerate() {
                let before = if number == 0 { '{' } else { ',' };
                let _ = write!(text, "{before}{label}=\"{}\"", escaped(&value));
            }
            let _ = writeln!(text, "}} {}", sample.value);
        }
    }
}

/// As label values and help texts have it.
fn escaped(text: &str) -> String {
    let escaped = text.replace('\\', r"\\").replace('"', "\\\"");
    escaped.replace('\n', r"\n")
}

type Label = (&'static str, String);

fn label(name: &'static str, value: &str) -> Label {
    (name, value.to_string())
}

fn sample(labels: Vec<Label>, value: impl ToString) -> Sample {
    Sample {
        suffix: "",
        labels,
        value: value.to_string(),
    }
}

fn time(labels: Vec<Label>, span: Span) -> Sample {
    sample(labels, seconds(span.0))
}

/// One sample of each queue.
fn of_queues(record: &RunRecord, value: fn(&QueueRecord) -> u64) -> Vec<Sample> {
    let queues = record.queues.iter();
    queues
        .map(|queue| sample(vec![label("queue", &queue.name)], value(queue)))
        .collect()
}

/// One sample of each group.
fn of_groups(record: &RunRecord, value: fn(&GroupRecord) -> u64) -> Vec<Sample> {
    let groups = record.groups.iter();
    groups
        .map(|group| sample(vec![label("group", &group.name)], value(group)))
        .collect()
}

/// One sample of each node.
fn of_nodes(record: &RunRecord, value: fn(&NodeRecord) -> f64) -> Vec<Sample> {
    let nodes = record.nodes.iter();
    nodes
        .map(|node| sample(vec![label("node", &node.name)], value(node)))
        .collect()
}

/// Quantiles, count and sum of all phases together; nothing without samples.
fn summary(labels: &[Label], phases: &[Latencies]) -> Vec<Sample> {
    let mut all = Latencies::default();
    phases.iter().for_each(|phase| all.merge(phase));
    if all.is_empty() {
        return Vec::new();
    }
    let quantiles = ["0.5", "0.9", "0.99", "0.999"].map(|quantile| {
        let value = quantile.parse().ok().and_then(|q: f64| all.quantile(q));
        let labels = [labels, &[label("quantile", quantile)]].concat();
        time(labels, value.unwrap_or_default())
    });
    let total = |suffix, value| Sample {
        suffix,
        labels: labels.to_vec(),
        value,
    };
    let (secs, rest) = (all.sum() / 1_000_000_000, all.sum() % 1_000_000_000);
    let mut samples: Vec<Sample> = quantiles.into_iter().collect();
    samples.push(total("_count", all.count().to_string()));
    samples.push(total("_sum", format!("{secs}.{rest:09}")));
    samples
}

fn latencies_of_queues(record: &RunRecord, of: fn(&QueueRecord) -> &Vec<Latencies>) -> Vec<Sample> {
    let queues = record.queues.iter();
    queues
        .flat_map(|queue| summary(&[label("queue", &queue.name)], of(queue)))
        .collect()
}

fn latencies_of_producers(
    record: &RunRecord,
    of: fn(&ProducerRecord) -> &Vec<Latencies>,
) -> Vec<Sample> {
    let producers = record.producers.iter();
    producers
        .flat_map(|producer| summary(&[label("producer", &producer.name)], of(producer)))
        .collect()
}

fn run(record: &RunRecord) -> Vec<Sample> {
    let calibrated = record.trust.calibrated.to_string();
    vec![sample(
        vec![
            label("version", &record.version),
            label("profile", &record.trust.profile),
            label("calibrated", &calibrated),
            label("trace", &record.trace_hash),
        ],
        1,
    )]
}

fn drains(record: &RunRecord) -> Vec<Sample> {
    let queues = record.queues.iter();
    let drained = queues.filter_map(|queue| Some((queue, queue.drain_time?)));
    drained
        .map(|(queue, span)| time(vec![label("queue", &queue.name)], span))
        .collect()
}

fn oldest_ages(record: &RunRecord) -> Vec<Sample> {
    let age = |queue: &QueueRecord| {
        let oldest = record.metric("oldest_age.max", Some(&queue.name), None);
        match oldest {
            Ok(Measured::Value { value, .. }) => {
                Some(sample(vec![label("queue", &queue.name)], value))
            }
            _ => None,
        }
    };
    record.queues.iter().filter_map(age).collect()
}

fn queue_messages(record: &RunRecord) -> Vec<Sample> {
    let events = |queue: &QueueRecord| {
        [
            ("enqueued", queue.enqueued),
            ("delivered", queue.delivered),
            ("redelivered", queue.redelivered),
            ("acked", queue.acked),
            ("dead_lettered", queue.dead_lettered),
            ("dropped", queue.dropped),
            ("rejected", queue.rejected),
            ("expired", queue.expired),
            ("exhausted", queue.exhausted),
            ("purged", queue.purged),
            ("retired", queue.retired),
            ("deduplicated", queue.deduplicated),
            ("lease_expired", queue.lease_expired),
            ("refused", queue.refused),
            ("lost", queue.lost),
            ("duplicated", queue.duplicates),
        ]
    };
    let of_queue = |queue: &QueueRecord| {
        events(queue).map(|(event, count)| {
            sample(
                vec![label("queue", &queue.name), label("event", event)],
                count,
            )
        })
    };
    record.queues.iter().flat_map(of_queue).collect()
}

fn dead_letters(record: &RunRecord) -> Vec<Sample> {
    let of_queue = |queue: &QueueRecord| {
        let reasons = DEATH_NAMES.iter().zip(queue.deaths);
        let name = queue.name.clone();
        reasons
            .map(|(reason, count)| {
                sample(vec![label("queue", &name), label("reason", reason)], count)
            })
            .collect::<Vec<_>>()
    };
    record.queues.iter().flat_map(of_queue).collect()
}

fn producer_messages(record: &RunRecord) -> Vec<Sample> {
    let of_producer = |producer: &ProducerRecord| {
        let it = producer.outcomes;
        [
            ("offered", it.offered),
            ("sent", it.sent),
            ("confirmed", it.confirmed),
            ("failed", it.failed),
            ("unknown", it.unknown),
            ("dropped_by_producer", it.dropped_by_producer),
            ("abandoned", it.abandoned),
            ("retried", it.retried),
            ("unroutable", it.unroutable),
        ]
        .map(|(outcome, count)| {
            sample(
                vec![label("producer", &producer.name), label("outcome", outcome)],
                count,
            )
        })
    };
    record.producers.iter().flat_map(of_producer).collect()
}

fn consumer_services(record: &RunRecord) -> Vec<Sample> {
    let consumers = record.consumers.iter();
    consumers
        .map(|it| sample(vec![label("consumer", &it.name)], it.served))
        .collect()
}

fn consumer_nacks(record: &RunRecord) -> Vec<Sample> {
    let consumers = record.consumers.iter();
    consumers
        .map(|it| sample(vec![label("consumer", &it.name)], it.nacked))
        .collect()
}

fn utilisations(record: &RunRecord) -> Vec<Sample> {
    let consumers = record.consumers.iter();
    consumers
        .map(|it| sample(vec![label("consumer", &it.name)], it.utilisation))
        .collect()
}

fn parts(record: &RunRecord) -> Vec<Sample> {
    let parts = PART_NAMES.iter().zip(record.parts.nanos);
    parts
        .map(|(part, nanos)| {
            let (secs, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
            sample(vec![label("part", part)], format!("{secs}.{rest:09}"))
        })
        .collect()
}

fn alarm_times(record: &RunRecord) -> Vec<Sample> {
    let mut totals: Vec<(&str, &str, Span)> = Vec::new();
    for alarm in &record.alarms {
        let length = alarm.until.since(alarm.from);
        let is_same = |(resource, node, _): &&mut (&str, &str, Span)| {
            (*resource, *node) == (alarm.resource.as_str(), alarm.node.as_str())
        };
        match totals.iter_mut().find(is_same) {
            Some((_, _, total)) => *total += length,
            None => totals.push((&alarm.resource, &alarm.node, length)),
        }
    }
    let totals = totals.into_iter();
    totals
        .map(|(resource, node, total)| {
            time(
                vec![label("resource", resource), label("node", node)],
                total,
            )
        })
        .collect()
}

fn faults(record: &RunRecord) -> Vec<Sample> {
    let counts = record.fault_counts.iter();
    counts
        .map(|it| {
            sample(
                vec![label("fault", &it.name), label("kind", &it.kind)],
                it.fired,
            )
        })
        .collect()
}

fn fault_times(record: &RunRecord) -> Vec<Sample> {
    let total = |name: &str| {
        let activations = record.faults.iter().filter(|it| it.name == name);
        activations.fold(Span::ZERO, |total, it| total + it.until.since(it.from))
    };
    let counts = record.fault_counts.iter();
    counts
        .map(|it| {
            time(
                vec![label("fault", &it.name), label("kind", &it.kind)],
                total(&it.name),
            )
        })
        .collect()
}

fn expectations(record: &RunRecord) -> Vec<Sample> {
    let mut judgements = record.judgements();
    // The same line twice in a scenario is one series.
    judgements.sort_by(|a, b| a.text.cmp(&b.text));
    judgements.dedup_by(|a, b| a.text == b.text);
    let states = [
        ("pass", Verdict::Pass),
        ("fail", Verdict::Fail),
        ("undecided", Verdict::Undecided),
    ];
    judgements
        .iter()
        .flat_map(|judgement| {
            states.map(|(name, state)| {
                sample(
                    vec![
                        label("expectation", &judgement.text),
                        label("queuelab_verdict", name),
                    ],
                    u8::from(judgement.verdict == state),
                )
            })
        })
        .collect()
}

fn comparisons(record: &RunRecord) -> Vec<Sample> {
    let invariants = record.invariants.iter();
    invariants
        .map(|it| sample(vec![label("invariant", &it.name)], it.compared))
        .collect()
}

fn violations(record: &RunRecord) -> Vec<Sample> {
    let invariants = record.invariants.iter();
    invariants
        .map(|it| sample(vec![label("invariant", &it.name)], it.violations))
        .collect()
}

const fn family(
    kind: Kind,
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    samples: fn(&RunRecord) -> Vec<Sample>,
) -> Family {
    Family {
        name,
        kind,
        unit,
        help,
        samples,
    }
}

const FAMILIES: &[Family] = &[
    family(
        Kind::Info,
        "queuelab_run",
        "",
        "What ran, and what its figures rest on.",
        run,
    ),
    family(
        Kind::Gauge,
        "queuelab_run_duration_seconds",
        "seconds",
        "Virtual time of the run.",
        |record| vec![sample(Vec::new(), seconds(record.end.0))],
    ),
    family(
        Kind::Counter,
        "queuelab_events",
        "",
        "Events of the simulation.",
        |record| vec![sample(Vec::new(), record.events)],
    ),
    family(
        Kind::Gauge,
        "queuelab_queue_ready_messages",
        "messages",
        "Messages that were ready at the end.",
        |record| of_queues(record, |queue| queue.ready_end),
    ),
    family(
        Kind::Gauge,
        "queuelab_queue_ready_peak_messages",
        "messages",
        "Most messages that were ready at once.",
        |record| of_queues(record, |queue| queue.ready_max.0),
    ),
    family(
        Kind::Gauge,
        "queuelab_queue_in_flight_messages",
        "messages",
        "Messages that were delivered and not settled at the end.",
        |record| of_queues(record, |queue| queue.in_flight_end),
    ),
    family(
        Kind::Gauge,
        "queuelab_queue_delayed_messages",
        "messages",
        "Messages that were not ready before some instant at the end.",
        |record| of_queues(record, |queue| queue.delayed_end),
    ),
    family(
        Kind::Gauge,
        "queuelab_queue_stalled_messages",
        "messages",
        "Dead letters that waited for room in their targets at the end.",
        |record| of_queues(record, |queue| queue.stalled_end),
    ),
    family(
        Kind::Gauge,
        "queuelab_queue_oldest_age_peak_seconds",
        "seconds",
        "Age of the oldest ready message, at most.",
        oldest_ages,
    ),
    family(
        Kind::Gauge,
        "queuelab_queue_drain_seconds",
        "seconds",
        "From the peak of the backlog until nothing was ready; absent if that never was.",
        drains,
    ),
    family(
        Kind::Counter,
        "queuelab_queue_messages",
        "messages",
        "Copies of messages by what happened to them in a queue.",
        queue_messages,
    ),
    family(
        Kind::Counter,
        "queuelab_queue_dead_letters",
        "",
        "Copies moved to the dead-letter target, by reason.",
        dead_letters,
    ),
    family(
        Kind::Counter,
        "queuelab_producer_messages",
        "messages",
        "Messages by what became of them at their producer.",
        producer_messages,
    ),
    family(
        Kind::Summary,
        "queuelab_confirm_latency_seconds",
        "seconds",
        "From the intended send to the confirm back at the producer.",
        |record| latencies_of_producers(record, |it| &it.confirm),
    ),
    family(
        Kind::Summary,
        "queuelab_delivery_latency_seconds",
        "seconds",
        "From the intended send to receipt by a consumer.",
        |record| latencies_of_queues(record, |it| &it.delivery),
    ),
    family(
        Kind::Summary,
        "queuelab_end_to_end_latency_seconds",
        "seconds",
        "From the intended send to the end of service.",
        |record| latencies_of_queues(record, |it| &it.end_to_end),
    ),
    family(
        Kind::Summary,
        "queuelab_complete_latency_seconds",
        "seconds",
        "From the intended send to the end of the message's last service.",
        |record| latencies_of_producers(record, |it| &it.complete),
    ),
    family(
        Kind::Counter,
        "queuelab_consumer_services",
        "",
        "Services that consumers finished.",
        consumer_services,
    ),
    family(
        Kind::Counter,
        "queuelab_consumer_nacks",
        "",
        "Messages that consumers rejected.",
        consumer_nacks,
    ),
    family(
        Kind::Gauge,
        "queuelab_consumer_utilisation_ratio",
        "ratio",
        "Share of time that members were serving.",
        utilisations,
    ),
    family(
        Kind::Gauge,
        "queuelab_group_lag_messages",
        "messages",
        "Records of its streams that a group had not settled at the end.",
        |record| of_groups(record, |group| group.lag_end),
    ),
    family(
        Kind::Gauge,
        "queuelab_group_lag_peak_messages",
        "messages",
        "Most records that a group had not settled.",
        |record| of_groups(record, |group| group.lag_max.0),
    ),
    family(
        Kind::Counter,
        "queuelab_group_rebalances",
        "",
        "How often a group's streams were assigned anew.",
        |record| of_groups(record, |group| group.rebalances),
    ),
    family(
        Kind::Gauge,
        "queuelab_node_cpu_ratio",
        "ratio",
        "Share of CPU time in use.",
        |record| of_nodes(record, |node| node.cpu),
    ),
    family(
        Kind::Gauge,
        "queuelab_node_disk_ratio",
        "ratio",
        "Share of time that an fsync was under way.",
        |record| of_nodes(record, |node| node.disk),
    ),
    family(
        Kind::Counter,
        "queuelab_node_fsyncs",
        "",
        "fsyncs completed.",
        |record| of_nodes(record, |node| node.fsyncs as f64),
    ),
    family(
        Kind::Counter,
        "queuelab_journey_seconds",
        "seconds",
        "Where the time of finished copies went.",
        parts,
    ),
    family(
        Kind::Counter,
        "queuelab_alarm_seconds",
        "seconds",
        "How long a resource was short, and publishers were blocked.",
        alarm_times,
    ),
    family(
        Kind::Counter,
        "queuelab_faults",
        "",
        "How often a fault struck.",
        faults,
    ),
    family(
        Kind::Counter,
        "queuelab_fault_seconds",
        "seconds",
        "For how long a fault was on.",
        fault_times,
    ),
    family(
        Kind::StateSet,
        "queuelab_verdict",
        "",
        "What became of an expectation or invariant.",
        expectations,
    ),
    family(
        Kind::Counter,
        "queuelab_invariant_comparisons",
        "",
        "What an invariant was compared for.",
        comparisons,
    ),
    family(
        Kind::Counter,
        "queuelab_invariant_violations",
        "",
        "How often an invariant was violated.",
        violations,
    ),
];
