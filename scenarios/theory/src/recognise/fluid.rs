//! Overload, and what remains of it.

use queuelab_scenario::Overflow;

use super::station::{Dispatching, Station};
use super::{Kind, Prediction, metric, per_second};
use crate::fluid::{Backlog, Stretch, backlog};

/// Peak, drain and longest latency, where more is offered than can be served or a backlog is there from the start; nothing otherwise.
pub(super) fn predictions(station: &Station<'_>) -> Vec<Prediction> {
    let Some(flow) = Flow::of(station) else {
        return Vec::new();
    };
    let queue = station.queue;
    let overloaded = flow
        .stretches
        .iter()
        .any(|stretch| stretch.arrivals.0.max(stretch.arrivals.1) > stretch.capacity);
    if !overloaded && queue.backlog == 0 {
        return Vec::new();
    }
    let told = |name: &str, of: Option<&str>, value: f64, covers: &str| Prediction {
        model: "fluid".into(),
        metric: metric(name, of, None),
        value,
        kind: Kind::Fluid,
        source: "chance left aside",
        covers: covers.into(),
        assumptions: station.assumptions(),
    };
    let name = Some(queue.name.as_str());
    let mut all = vec![
        told("backlog.max", name, flow.ready(flow.bounded.peak), ""),
        told("backlog.end", name, flow.ready(flow.bounded.end), ""),
    ];
    if let Some(gone) = flow.gone_at() {
        all.push(told("drain_time", name, gone - flow.bounded.peak_at, ""));
    }
    let waits = if flow.waits_outside {
        &flow.unbounded
    } else {
        &flow.bounded
    };
    if queue.overflow != Overflow::DropHead || queue.max_length.is_none() {
        let longest = waits.longest_wait;
        all.push(told(
            "latency.end_to_end.max",
            station.of(),
            longest,
            "waiting for the service to begin",
        ));
    }
    all
}

/// Phases with a load of 1 or more.
pub(super) fn warnings(station: &Station<'_>) -> Vec<String> {
    let phases = &station.scenario.phases;
    let over = |(index, phase): (usize, &queuelab_scenario::Phase)| {
        let (from, to) = station.rates(index)?;
        let capacity = station.capacity(index)?;
        let offered = (from + to) / 2.0;
        // With failing services each message comes more than once; what other queues send on is not counted.
        (offered >= capacity).then(|| {
            let during = if phases.len() > 1 {
                format!(" during {}", phase.name)
            } else {
                String::new()
            };
            format!(
                "the queue `{}` is offered {}{during}, its consumers can do {}: ρ = {:.2}",
                station.name(),
                per_second(offered),
                per_second(capacity),
                offered / capacity
            )
        })
    };
    phases.iter().enumerate().filter_map(over).collect()
}

/// When in the phase the queue is without a backlog for good, as a fluid; `None` if it is not, or if that is not known.
pub(super) fn begins_empty(station: &Station<'_>, phase: usize) -> Option<f64> {
    let flow = Flow::of(station)?;
    let level = *flow.bounded.at.get(phase)?;
    (level <= 0.0).then(|| station.scenario.phases[phase].from.as_secs_f64())
}

/// A station's backlog as a fluid.
struct Flow {
    stretches: Vec<Stretch>,
    /// Messages at consumers while there is a backlog: they don't count as ready.
    held: f64,
    bounded: Backlog,
    unbounded: Backlog,
    /// At the bound publishes wait, rather than being lost.
    waits_outside: bool,
}

impl Flow {
    /// `None` if rates or capacities are not known.
    fn of(station: &Station<'_>) -> Option<Flow> {
        let (queue, servers) = (station.queue, station.servers?);
        if station.fed
            || queue.partitions != 1
            || queue.policy.stream.is_some()
            || station
                .scenario
                .producers
                .iter()
                .any(|producer| producer.limit.is_some())
        {
            return None;
        }
        if !station.scenario.faults.is_empty()
            || servers.consumer.from.len() != 1
            || queue.policy.ttl.is_some()
        {
            return None;
        }
        // Those who give up and those who are away make it less than what is intended or what could be done.
        let come_and_go = station
            .sources
            .iter()
            .any(|source| source.producer.patience.is_some() || source.producer.churn.is_some());
        let consumer = servers.consumer;
        if come_and_go
            || consumer.churn.is_some()
            || consumer.patience.is_some()
            || consumer.rate_cap.is_some()
            || consumer.pull.is_some()
        {
            return None;
        }
        let phases = &station.scenario.phases;
        let stretch = |index: usize| {
            Some(Stretch {
                from: phases[index].from.as_secs_f64(),
                until: phases[index].until.as_secs_f64(),
                arrivals: station.rates(index)?,
                capacity: station.capacity(index)?,
            })
        };
        let stretches: Vec<Stretch> = (0..phases.len()).map(stretch).collect::<Option<_>>()?;
        let held = match servers.dispatching {
            Dispatching::Immediate if servers.count > 1 || consumer.prefetch == 0 => return None,
            _ => f64::from(consumer.count) * f64::from(consumer.prefetch),
        };
        let bound = queue
            .max_length
            .map_or(f64::INFINITY, |length| length as f64 + held);
        let start = queue.backlog as f64;
        Some(Flow {
            bounded: backlog(&stretches, start, bound),
            unbounded: backlog(&stretches, start, f64::INFINITY),
            stretches,
            held,
            waits_outside: queue.overflow == Overflow::Block,
        })
    }

    /// Of so many messages, those that no consumer has.
    fn ready(&self, total: f64) -> f64 {
        (total - self.held).max(0.0)
    }

    /// When nothing is ready any more.
    fn gone_at(&self) -> Option<f64> {
        let whole = if self.waits_outside {
            &self.unbounded
        } else {
            &self.bounded
        };
        let gone = whole.gone_at?;
        if self.ready(whole.peak) <= 0.0 {
            return Some(self.bounded.peak_at);
        }
        // The last ones are at consumers for as long as it takes to serve them.
        let last = self
            .stretches
            .iter()
            .rev()
            .find(|stretch| stretch.from <= gone)?;
        let spare = last.capacity - last.arrivals.1;
        Some((gone - self.held / spare.max(f64::MIN_POSITIVE)).max(self.bounded.peak_at))
    }
}
