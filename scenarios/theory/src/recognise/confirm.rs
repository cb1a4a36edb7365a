//! What producers see: confirms, batches, retries.

use queuelab_scenario::{
    Arrivals, BurstSize, Durability, Fault, FaultKind, Producer, Scenario, Target,
};

use super::known::{self, Departure};
use super::station::{Station, rates};
use super::{Kind, Prediction, metric, per_second, shown};
use crate::general::{GroupCommit, linger};
use crate::retry;

/// Confirms of producers whose messages a disk has to sync, and waits for a batch.
pub(super) fn predictions(scenario: &Scenario, stations: &[Station<'_>]) -> Vec<Prediction> {
    let commit = scenario
        .producers
        .iter()
        .filter_map(|producer| group_commit(scenario, stations, producer));
    let batch = scenario
        .producers
        .iter()
        .filter_map(|producer| batch(scenario, stations, producer));
    commit.chain(batch).collect()
}

/// A load that only grows when messages time out.
pub(super) fn storms(station: &Station<'_>) -> Option<String> {
    let (mut most, mut timeout) = (0.0, None);
    for source in &station.sources {
        let (rate, _) = rates(source.producer, 0)?;
        let retry = source.producer.retry.as_ref();
        let attempts = retry
            .filter(|retry| retry.budget.is_none() && retry.breaker.is_none())
            .map_or(1, |retry| retry.attempts);
        if attempts > 1 {
            timeout = timeout.or(source.producer.confirm.and_then(|confirm| confirm.timeout));
        }
        most += retry::storm_load(rate * source.share, attempts);
    }
    let (capacity, (rate, _)) = (station.capacity(0)?, station.rates(0)?);
    let timeout = timeout?;
    (rate < capacity && most >= capacity).then(|| {
        format!(
            "once messages for `{}` wait longer than {timeout}, retries can offer {} to consumers that do {}: such a storm may not end by itself",
            station.name(),
            per_second(most),
            per_second(capacity)
        )
    })
}

/// Confirms that wait for a sync of the log.
fn group_commit(
    scenario: &Scenario,
    stations: &[Station<'_>],
    producer: &Producer,
) -> Option<Prediction> {
    producer.confirm?;
    let disk = &scenario.cluster.disk;
    let [(Target::Queue(queue), _)] = producer.to.as_slice() else {
        return None;
    };
    let station = stations.get(*queue)?;
    let constant = (0..scenario.phases.len()).map(|phase| rates(producer, phase));
    let mut constant = constant.collect::<Option<Vec<_>>>()?.into_iter();
    let (rate, _) = constant.next()?;
    let known = station.queue.durability == Durability::Fsync
        && scenario.faults.iter().all(is_of_consumers)
        && producer.persistent
        && producer.batch.is_none()
        && disk.fsync.mean() > 0.0
        // What is read back shares the disk, too.
        && scenario.cluster.limits.bodies.is_none()
        && rate > 0.0
        && constant.all(|other| other == (rate, rate));
    if !known {
        return None;
    }
    // Whatever else is logged shares the disk: publishes to other durable queues, and acknowledgements.
    let logged: f64 = stations
        .iter()
        .filter(|station| station.queue.durability == Durability::Fsync)
        .map(|station| {
            let own = station.rates(0).map_or(0.0, |(rate, _)| rate);
            if station.servers.is_some() {
                2.0 * own
            } else {
                own
            }
        })
        .sum();
    let poisson = matches!(producer.arrivals, Arrivals::Poisson(_));
    let costs = station.costs();
    let ways = scenario.cluster.network.clients.mean() * 2.0;
    let single = producer.burst == BurstSize::One;
    let others = stations.iter().any(|other| {
        let own = std::ptr::eq(other, station);
        let comes = other.fed || other.sources.len() > usize::from(own);
        other.queue.durability == Durability::Fsync && comes
    });
    let consumed = scenario
        .consumers
        .iter()
        .any(|consumer| consumer.from.contains(queue));
    let alone = is_open(scenario, producer, station)
        && !others
        && !consumed
        && poisson
        && single
        && ways == 0.0
        && disk.bandwidth.is_none();
    let commit = GroupCommit::new(logged, &disk.fsync);
    let cpu = &scenario.cluster.cpu;
    let work = (cpu.publish + cpu.per_batch).as_secs_f64();
    let mut assumptions = Vec::new();
    if !alone {
        assumptions.push(format!(
            "{logged:.0} log entries per second come as if at random; network and CPU add about {}",
            shown(ways + work)
        ));
    }
    Some(Prediction {
        model: "group commit".into(),
        metric: metric("latency.confirm.mean", Some(&producer.name), None),
        value: commit.delay + ways + work,
        kind: if alone && costs.out.mean == 0.0 {
            Kind::Exact
        } else {
            Kind::Approximation
        },
        source: "renewal argument",
        covers: "network, CPU and fsync".into(),
        assumptions,
    })
}

/// Messages that wait at their producer until a batch is full or its first has waited long enough.
fn batch(scenario: &Scenario, stations: &[Station<'_>], producer: &Producer) -> Option<Prediction> {
    let batch = producer.batch?;
    let (rate, end) = rates(producer, 0)?;
    let steady = scenario.phases.len() == 1 && rate == end && rate > 0.0;
    if !(steady && matches!(producer.arrivals, Arrivals::Poisson(_))) {
        return None;
    }
    let (delay, _) = linger(
        rate / f64::from(producer.count),
        batch.linger.as_secs_f64(),
        batch.size,
    );
    let [(Target::Queue(queue), _)] = producer.to.as_slice() else {
        return None;
    };
    let station = stations.get(*queue)?;
    // With a smaller window the batch would not be full before its first is confirmed.
    let fills = producer
        .confirm
        .is_some_and(|confirm| confirm.window >= batch.size);
    let single = producer.burst == BurstSize::One;
    let known = fills
        && single
        && scenario.faults.iter().all(is_of_consumers)
        && is_open(scenario, producer, station);
    let ways = scenario.cluster.network.clients.mean() * 2.0;
    let free = station.costs().free && station.queue.durability != Durability::Fsync;
    known.then(|| Prediction {
        model: "batch with linger".into(),
        metric: metric("latency.confirm.mean", Some(&producer.name), None),
        value: delay + ways,
        kind: if free { Kind::Exact } else { Kind::LowerBound },
        source: "renewal reward",
        covers: "wait for the batch, network".into(),
        assumptions: Vec::new(),
    })
}

/// Nothing holds up what the producer sends to the queue, or its confirm.
fn is_open(scenario: &Scenario, producer: &Producer, station: &Station<'_>) -> bool {
    let mut departures = known::cluster(&scenario.cluster);
    departures.extend(known::producer(scenario, producer));
    departures.extend(known::queue(station.queue));
    let of_no_matter = |it: &Departure| {
        matches!(
            it,
            Departure::Backlog
                | Departure::Expiry
                | Departure::DeliveryLimit
                | Departure::SingleActive
        )
    };
    departures.iter().all(of_no_matter)
}

/// What befalls consumers is nothing to confirms; the rest is.
fn is_of_consumers(fault: &Fault) -> bool {
    matches!(
        fault.kind,
        FaultKind::ConsumerCrash { .. }
            | FaultKind::SlowConsumer { .. }
            | FaultKind::PauseConsumer { .. }
    )
}
