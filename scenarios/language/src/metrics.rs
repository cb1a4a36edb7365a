//! What can be measured, and what must hold: the words of `expect` and `answer`.

use crate::scenario::Comparison;

/// In what a metric is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricUnit {
    /// Seconds; written with a unit: `5m`.
    Time,
    /// Per second; written as `200/s`.
    Rate,
    /// A number of messages: `200_000`.
    Count,
    /// A share: `0.8` or `80%`.
    Ratio,
}

/// What a metric may be narrowed to by `of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricScope {
    /// A queue; without `of`, all queues together.
    Queue,
    /// A producer group; without `of`, all producers together.
    Producer,
    /// A consumer group; without `of`, all consumers together.
    Consumer,
    /// A queue, or a producer group if no queue has that name; without `of`, all queues together.
    QueueOrProducer,
    /// A group of consumers of streams; without `of`, all groups together.
    Group,
    /// Nothing: it is of the whole broker.
    Broker,
}

/// A metric, or a family of them.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name; `STAT` stands for `mean`, `max` or a percentile such as `p99` or `p99.9`.
    pub name: &'static str,
    /// Its unit.
    pub unit: MetricUnit,
    /// What `of` may name.
    pub scope: MetricScope,
    /// Whether `in PHASE` may follow.
    pub phased: bool,
    /// What it is.
    pub about: &'static str,
}

/// An invariant.
#[derive(Clone, Copy, Debug)]
pub struct Invariant {
    /// Its name.
    pub name: &'static str,
    /// What it says.
    pub about: &'static str,
}

const fn metric(
    name: &'static str,
    unit: MetricUnit,
    scope: MetricScope,
    phased: bool,
    about: &'static str,
) -> Metric {
    Metric {
        name,
        unit,
        scope,
        phased,
        about,
    }
}

use MetricScope::{Broker, Consumer, Group, Producer, Queue, QueueOrProducer};
use MetricUnit::{Count, Rate, Ratio, Time};

/// All metrics.
pub const METRICS: &[Metric] = &[
    metric(
        "backlog.max",
        Count,
        Queue,
        true,
        "largest number of ready messages",
    ),
    metric(
        "backlog.mean",
        Count,
        Queue,
        true,
        "mean number of ready messages over time",
    ),
    metric(
        "backlog.end",
        Count,
        Queue,
        true,
        "ready messages at the end",
    ),
    metric(
        "delayed.max",
        Count,
        Queue,
        true,
        "largest number of messages that are not ready yet: scheduled, or waiting for their retry",
    ),
    metric(
        "delayed.mean",
        Count,
        Queue,
        true,
        "mean number of messages that are not ready yet, over time",
    ),
    metric(
        "delayed.end",
        Count,
        Queue,
        true,
        "messages that are not ready yet at the end",
    ),
    metric(
        "stalled.end",
        Count,
        Queue,
        false,
        "dead letters that wait for room in their targets at the end",
    ),
    metric(
        "lag.max",
        Count,
        Group,
        true,
        "largest number of records that a group has not settled",
    ),
    metric(
        "lag.mean",
        Count,
        Group,
        true,
        "mean number of records that a group has not settled, over time",
    ),
    metric(
        "lag.end",
        Count,
        Group,
        true,
        "records that a group has not settled at the end",
    ),
    metric(
        "oldest_age.max",
        Time,
        Queue,
        true,
        "largest age of the oldest ready message",
    ),
    metric(
        "drain_time",
        Time,
        Queue,
        false,
        "from the backlog's peak until nothing is ready; never: the expectation fails",
    ),
    metric(
        "latency.confirm.STAT",
        Time,
        Producer,
        true,
        "from the intended send to the confirm at the producer",
    ),
    metric(
        "latency.delivery.STAT",
        Time,
        QueueOrProducer,
        true,
        "from the intended send to the receipt by a consumer",
    ),
    metric(
        "latency.end_to_end.STAT",
        Time,
        QueueOrProducer,
        true,
        "from the intended send to the end of the service; without `of`, of services that publish nothing on",
    ),
    metric(
        "latency.complete.STAT",
        Time,
        Producer,
        true,
        "from the intended send to the end of the last service, of all copies and of all that was published on",
    ),
    metric(
        "rate.published",
        Rate,
        Queue,
        true,
        "copies enqueued per second",
    ),
    metric("rate.delivered", Rate, Queue, true, "deliveries per second"),
    metric(
        "rate.acked",
        Rate,
        Queue,
        true,
        "copies acknowledged per second",
    ),
    metric(
        "count.offered",
        Count,
        Producer,
        false,
        "messages that the workload intended",
    ),
    metric(
        "count.sent",
        Count,
        Producer,
        false,
        "messages handed to the network at least once",
    ),
    metric(
        "count.confirmed",
        Count,
        Producer,
        false,
        "messages confirmed",
    ),
    metric(
        "count.failed",
        Count,
        Producer,
        false,
        "messages refused by the broker",
    ),
    metric(
        "count.unknown",
        Count,
        Producer,
        false,
        "messages that timed out or were lost with their connection: they may have arrived",
    ),
    metric(
        "count.dropped_by_producer",
        Count,
        Producer,
        false,
        "messages dropped because the producer's buffer was full",
    ),
    metric(
        "count.pending",
        Count,
        Producer,
        false,
        "messages that still wait for their confirm at the end",
    ),
    metric(
        "count.unroutable",
        Count,
        Producer,
        false,
        "messages that were accepted, but routed to no queue",
    ),
    metric("count.enqueued", Count, Queue, false, "copies enqueued"),
    metric(
        "count.delivered",
        Count,
        Queue,
        false,
        "deliveries, redeliveries included",
    ),
    metric("count.redelivered", Count, Queue, false, "redeliveries"),
    metric(
        "count.duplicates",
        Count,
        Queue,
        false,
        "services of messages that had been served before",
    ),
    metric(
        "count.reordered",
        Count,
        Queue,
        false,
        "first deliveries after that of a later message of the same producer and key",
    ),
    metric("count.acked", Count, Queue, false, "copies acknowledged"),
    metric(
        "count.dead_lettered",
        Count,
        Queue,
        false,
        "copies moved to the dead-letter target",
    ),
    metric(
        "count.dropped",
        Count,
        Queue,
        false,
        "copies dropped at the bound",
    ),
    metric(
        "count.rejected",
        Count,
        Queue,
        false,
        "copies rejected with no target to take them",
    ),
    metric(
        "count.refused",
        Count,
        Queue,
        false,
        "publishes refused at the bound",
    ),
    metric(
        "count.lost",
        Count,
        Queue,
        false,
        "copies that a crash took",
    ),
    metric(
        "count.expired",
        Count,
        Queue,
        false,
        "copies whose time to live ran out",
    ),
    metric(
        "count.exhausted",
        Count,
        Queue,
        false,
        "copies delivered too often without success",
    ),
    metric(
        "count.deduplicated",
        Count,
        Queue,
        false,
        "publishes that the queue had seen already",
    ),
    metric(
        "count.purged",
        Count,
        Queue,
        false,
        "copies that went with their deleted or purged queue",
    ),
    metric(
        "count.lease_expired",
        Count,
        Queue,
        false,
        "deliveries that a consumer held for too long",
    ),
    metric(
        "count.abandoned",
        Count,
        Producer,
        false,
        "messages that an impatient producer gave up",
    ),
    metric(
        "count.retried",
        Count,
        Producer,
        false,
        "sends after the first one of a message",
    ),
    metric(
        "count.rebalances",
        Count,
        Group,
        false,
        "times that the streams were assigned anew",
    ),
    metric("count.served", Count, Consumer, false, "services finished"),
    metric(
        "count.nacked",
        Count,
        Consumer,
        false,
        "messages refused by consumers",
    ),
    metric(
        "alarm_time",
        Time,
        Broker,
        false,
        "how long a memory or disk alarm made publishers wait",
    ),
    metric(
        "count.read_back",
        Count,
        Broker,
        false,
        "bodies that had left memory and were read back from the log",
    ),
    metric(
        "budget_use.max",
        Ratio,
        Broker,
        false,
        "the most of `limits.bodies` that was in use, as a share; 1 is all of it",
    ),
    metric(
        "utilisation",
        Ratio,
        Consumer,
        true,
        "share of time that members were serving, 0 to 1",
    ),
];

/// All invariants.
pub const INVARIANTS: &[Invariant] = &[
    Invariant {
        name: "no-loss",
        about: "every confirmed message is accounted for: ready, in flight, acked, dead-lettered or dropped by policy",
    },
    Invariant {
        name: "no-phantom",
        about: "nothing is delivered that was not sent, or whose send definitely failed",
    },
    Invariant {
        name: "prefetch-bound",
        about: "no consumer holds more unacknowledged deliveries than its prefetch",
    },
    Invariant {
        name: "depth-bound",
        about: "no queue holds more messages or bytes than its bound, but for what came back",
    },
    Invariant {
        name: "conservation",
        about: "copies in equal copies ready, delayed, in flight, stalled and gone",
    },
    Invariant {
        name: "order-per-key",
        about: "the messages of a producer with the same key are delivered first in the order in which they were sent",
    },
    Invariant {
        name: "timely",
        about: "nothing is delivered before its delay is over, nor after its time to live",
    },
    Invariant {
        name: "delivery-limit",
        about: "nothing comes back more often than its queue allows",
    },
    Invariant {
        name: "dead-letter-once",
        about: "a copy leaves for the dead letters once",
    },
    Invariant {
        name: "lease",
        about: "no copy is in the hands of two consumers at a time",
    },
    Invariant {
        name: "single-reader",
        about: "in a partitioned group nobody reads a stream that is assigned to somebody else",
    },
    Invariant {
        name: "priority-order",
        about: "nothing is delivered while a message of higher priority is ready",
    },
    Invariant {
        name: "confirm-durable",
        about: "at the moment of a confirm the log is as far as the durability of the message's queues asks",
    },
    Invariant {
        name: "redelivered-flag",
        about: "what was delivered before is marked as redelivered",
    },
    Invariant {
        name: "requeue-order",
        about: "what came back is delivered before what came after it, where the queue requeues in place",
    },
    Invariant {
        name: "ack-asked",
        about: "nothing is removed as acknowledged that the consumer that had it did not acknowledge",
    },
    Invariant {
        name: "no-duplicate",
        about: "a queue that deduplicates does not take a message again within its window",
    },
    Invariant {
        name: "key-partition",
        about: "messages of one key go to one partition",
    },
    Invariant {
        name: "no-stall",
        about: "a queue with ready messages and a consumer that holds nothing delivers within 5 s",
    },
    Invariant {
        name: "liveness",
        about: "once all faults are over, what was waiting then is delivered within the time that capacity implies",
    },
];

/// The unit of the metric `name`; `None` if there is no such metric.
pub fn metric_unit(name: &str) -> Option<MetricUnit> {
    find(name).map(|metric| metric.unit)
}

/// The quantile that a statistic such as `p99.9` means, 0 to 1; `None` for anything else.
pub fn percentile(statistic: &str) -> Option<f64> {
    let digits = statistic.strip_prefix('p')?;
    let plain = digits.len() <= 12
        && digits.starts_with(|c: char| c.is_ascii_digit())
        && !digits.ends_with('.');
    let percent = crate::units::decimal(digits)
        .ok()
        .filter(|_| plain && !digits.contains('_'))?;
    (percent > 0.0 && percent < 100.0).then_some(percent / 100.0)
}

/// The metric or family that `name` belongs to.
pub(crate) fn find(name: &str) -> Option<&'static Metric> {
    METRICS
        .iter()
        .find(|metric| match metric.name.strip_suffix("STAT") {
            Some(family) => name
                .strip_prefix(family)
                .is_some_and(|stat| matches!(stat, "mean" | "max") || percentile(stat).is_some()),
            None => metric.name == name,
        })
}

/// Names to suggest: families with the usual statistics.
pub(crate) fn names() -> Vec<String> {
    let statistics = ["mean", "p50", "p90", "p99", "p99.9", "max"];
    METRICS
        .iter()
        .flat_map(|metric| match metric.name.strip_suffix("STAT") {
            Some(family) => statistics
                .iter()
                .map(|stat| format!("{family}{stat}"))
                .collect(),
            None => vec![metric.name.to_string()],
        })
        .collect()
}

impl Comparison {
    /// Whether `a` compares to `b` so; never if either is not a number.
    pub fn holds(self, a: f64, b: f64) -> bool {
        match self {
            Comparison::Less => a < b,
            Comparison::AtMost => a <= b,
            Comparison::Greater => a > b,
            Comparison::AtLeast => a >= b,
            Comparison::Equal => a == b,
        }
    }

    /// As written: `<=`.
    pub fn symbol(self) -> &'static str {
        match self {
            Comparison::Less => "<",
            Comparison::AtMost => "<=",
            Comparison::Greater => ">",
            Comparison::AtLeast => ">=",
            Comparison::Equal => "==",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families() {
        assert_eq!(metric_unit("latency.end_to_end.p99.9"), Some(Time));
        assert_eq!(metric_unit("latency.confirm.mean"), Some(Time));
        assert_eq!(metric_unit("rate.acked"), Some(Rate));
        for unknown in [
            "latency.confirm",
            "latency.confirm.p",
            "latency.confirm.p100",
            "latency.confirm.p0",
            "latency.confirm.p-1",
            "latency.confirm.p9_9",
            "latency.confirm.STAT",
            "",
        ] {
            assert_eq!(metric_unit(unknown), None, "{unknown}");
        }
        assert_eq!(percentile("p50"), Some(0.5));
        assert!(names().iter().all(|name| metric_unit(name).is_some()));
    }

    #[test]
    fn comparisons() {
        assert!(Comparison::Less.holds(1.0, 2.0) && !Comparison::Less.holds(2.0, 2.0));
        assert!(Comparison::AtMost.holds(2.0, 2.0) && !Comparison::AtMost.holds(3.0, 2.0));
        assert!(Comparison::Greater.holds(3.0, 2.0) && !Comparison::Greater.holds(2.0, 2.0));
        assert!(Comparison::AtLeast.holds(2.0, 2.0) && !Comparison::AtLeast.holds(1.0, 2.0));
        assert!(Comparison::Equal.holds(2.0, 2.0) && !Comparison::Equal.holds(f64::NAN, f64::NAN));
    }
}
