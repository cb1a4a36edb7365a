//! Figures that the screen reads off a record.

use queuelab_core::{Span, Time};
use queuelab_record::{
    AlarmRecord, BodiesRecord, Latencies, LatencySeries, Load, QueueRecord, RunRecord,
};

/// A latency's percentiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Percentiles {
    pub(crate) p50: Span,
    pub(crate) p90: Span,
    pub(crate) p99: Span,
    pub(crate) max: Span,
}

/// What a queue's counts per window say of the present, per second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Rates {
    pub(crate) published: f64,
    pub(crate) delivered: f64,
    pub(crate) acked: f64,
}

/// A queue's state at the end of the latest window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Depth {
    pub(crate) ready: u64,
    pub(crate) in_flight: u64,
    pub(crate) delayed: u64,
    /// Dead letters that wait for room in their target.
    pub(crate) stalled: u64,
    pub(crate) oldest_age: Span,
}

/// What the node has of bodies in memory, where that is limited.
pub(crate) fn bodies(record: &RunRecord) -> Option<&BodiesRecord> {
    record.nodes.iter().find_map(|node| node.bodies.as_ref())
}

/// Index of the phase at `now`; the last one from its end on.
pub(crate) fn phase_at(record: &RunRecord, now: Time) -> Option<usize> {
    let last = record.phases.len().checked_sub(1)?;
    Some(
        record
            .phases
            .partition_point(|phase| phase.until <= now)
            .min(last),
    )
}

/// Load of queue `queue` in the phase at `now`.
pub(crate) fn load(record: &RunRecord, queue: usize, now: Time) -> Option<&Load> {
    record.phases[phase_at(record, now)?].load.get(queue)
}

/// Rates in the latest window.
pub(crate) fn rates(record: &RunRecord, queue: &QueueRecord) -> Rates {
    Rates {
        published: per_second(record, &queue.series.published),
        delivered: per_second(record, &queue.series.delivered),
        acked: per_second(record, &queue.series.acked),
    }
}

/// The rate of what is counted by window, in the latest one.
pub(crate) fn per_second(record: &RunRecord, counts: &[u64]) -> f64 {
    latest(record, counts.len()).map_or(0.0, |(index, secs)| counts[index] as f64 / secs)
}

/// What ran short and still does.
pub(crate) fn alarms_on(record: &RunRecord, now: Time) -> impl Iterator<Item = &AlarmRecord> {
    let alarms = record.alarms.iter();
    alarms.filter(move |alarm| alarm.from <= now && now <= alarm.until)
}

/// Whether messages of several priorities were seen in a queue.
pub(crate) fn has_priorities(queue: &QueueRecord) -> bool {
    queue.priorities.len() > 1
}

/// Rates in the latest window, all queues together.
pub(crate) fn total_rates(record: &RunRecord) -> Rates {
    record
        .queues
        .iter()
        .map(|queue| rates(record, queue))
        .fold(Rates::default(), |sum, rates| Rates {
            published: sum.published + rates.published,
            delivered: sum.delivered + rates.delivered,
            acked: sum.acked + rates.acked,
        })
}

/// What is ready and in flight now.
pub(crate) fn depth(queue: &QueueRecord) -> Depth {
    Depth {
        ready: queue.ready_end,
        in_flight: queue.in_flight_end,
        delayed: queue.delayed_end,
        stalled: queue.stalled_end,
        oldest_age: Span(queue.series.oldest_age.last().copied().unwrap_or(0)),
    }
}

/// Percentiles in the latest window that has any samples.
pub(crate) fn latest_window(series: &LatencySeries) -> Option<Percentiles> {
    let index = series.count.iter().rposition(|&count| count > 0)?;
    let at = |values: &[u64]| Some(Span(*values.get(index)?));
    Some(Percentiles {
        p50: at(&series.p50)?,
        p90: at(&series.p90)?,
        p99: at(&series.p99)?,
        max: at(&series.max)?,
    })
}

/// Percentiles of the run so far: confirm, delivery, end-to-end.
pub(crate) fn whole_run(record: &RunRecord) -> [Option<Percentiles>; 3] {
    [
        percentiles(&record.confirm(None)),
        percentiles(&record.delivery(None)),
        percentiles(&record.end_to_end(None)),
    ]
}

/// Index and width in seconds of the latest window that says something: one that has only begun does not.
fn latest(record: &RunRecord, windows: usize) -> Option<(usize, f64)> {
    let window = record.window.as_secs_f64();
    let last = windows.checked_sub(1)?;
    let covered = record.end.as_secs_f64() - last as f64 * window;
    if last > 0 && covered < window / 2.0 {
        return (window > 0.0).then_some((last - 1, window));
    }
    let covered = covered.min(window);
    (covered > 0.0).then_some((last, covered))
}

/// Percentiles of latencies; `None` of none.
pub(crate) fn percentiles(all: &Latencies) -> Option<Percentiles> {
    Some(Percentiles {
        p50: all.quantile(0.5)?,
        p90: all.quantile(0.9)?,
        p99: all.quantile(0.99)?,
        max: all.max()?,
    })
}
