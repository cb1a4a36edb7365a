//! What a station has besides a plain queue, whose messages wait, are served once, and go. A model says which of it it knows; with anything
//! else it stays silent. Every key is named here, so that a new one does not compile until somebody says what it means to theory.

use std::collections::BTreeSet;

use queuelab_scenario::{
    Ack, Cluster, Consumer, Disk, Distribution, MessageMix, Network, Overflow, Producer, Queue,
    QueuePolicy, Scenario, Target, WhenFull,
};

use super::station::Station;

/// A way in which a station departs from a plain queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Departure {
    /// No model knows it.
    Unknown,
    /// Consumers of other queues, or dead letters, add to what comes.
    Fed,
    /// Messages, or copies of them, are also served elsewhere.
    Elsewhere,
    /// Messages are there from the start.
    Backlog,
    /// Messages have a TTL.
    Expiry,
    /// Messages have priorities, and the queue heeds them.
    Ranks,
    /// A bound turns messages away.
    Loss,
    /// At a bound publishes wait outside: no longer than they would inside, but not as part of the backlog.
    Blocks,
    /// Some services fail, and their messages are put back.
    Returns,
    /// Some services fail, and their messages are gone.
    Rejections,
    /// What has failed so often is gone.
    DeliveryLimit,
    /// One member serves, the others stand by.
    SingleActive,
    /// Members go away and come back.
    Churn,
    /// Some members are slower than others.
    Slow,
    /// Services change by phase.
    OtherServices,
    /// Some clients start later than others, at a fixed time.
    LateStart,
    /// One acknowledgement for several messages.
    AckBatches,
}

use Departure::*;

/// All of a station's departures.
pub(super) fn departures(station: &Station<'_>) -> Vec<Departure> {
    let (queue, scenario) = (station.queue, station.scenario);
    let sources = || station.sources.iter().map(|source| source.producer);
    let prioritised = sources().any(|producer| !producer.properties.priority.is_empty());
    let mut all = present(&[
        (station.fed, Fed),
        (station.unknown, Unknown),
        (
            station.hashed && !sources().all(super::station::keys_are_even),
            Unknown,
        ),
        (queue.policy.max_priority > 0 && prioritised, Ranks),
        (!scenario.faults.is_empty(), Unknown),
        (scenario.until.is_some(), Unknown),
    ]);
    all.extend(self::cluster(&scenario.cluster));
    all.extend(self::queue(queue));
    all.extend(sources().flat_map(|it| producer(scenario, it)));
    match station.servers {
        Some(servers) => all.extend(consumer(scenario, servers.consumer)),
        None => all.push(Unknown),
    }
    all
}

/// Those that are there.
fn present(all: &[(bool, Departure)]) -> Vec<Departure> {
    let there = all.iter().filter(|(there, _)| *there);
    there.map(|(_, departure)| *departure).collect()
}

/// Costs are known; a broker that stops reading, and wires and disks that are narrow, are not.
pub(super) fn cluster(cluster: &Cluster) -> Vec<Departure> {
    let Cluster {
        profile: _,
        cpu: _,
        design: _,
        disk,
        network,
        limits,
    } = cluster;
    let Disk {
        fsync: _,
        read: _,
        writeback: _,
        bandwidth: written,
        capacity,
    } = disk;
    let Network {
        clients: _,
        bandwidth: sent,
    } = network;
    let narrow = |bandwidth: &Option<f64>| bandwidth.is_some_and(|most| most < WIDE);
    present(&[
        (narrow(written) || narrow(sent), Unknown),
        (capacity.is_some(), Unknown),
        (*limits != Default::default(), Unknown),
    ])
}

pub(super) fn queue(queue: &Queue) -> Vec<Departure> {
    let Queue {
        // These change nothing that is predicted, or are what models are about.
        name: _,
        durability: _,
        bind: _,
        dispatch: _,
        design: _,
        dead_letter: _,
        max_length,
        overflow,
        backlog,
        max_bytes,
        policy,
        partitions,
        brokerless,
    } = queue;
    let QueuePolicy {
        // Nobody heeds it unless messages have some.
        max_priority: _,
        requeue: _,
        dead_letter_at_least_once: _,
        ttl,
        delivery_limit,
        single_active,
        expires,
        retry_delay,
        ack_timeout,
        groups,
        deduplicate,
        stream,
    } = policy;
    let bounded = max_length.is_some();
    let blocks = *overflow == Overflow::Block;
    present(&[
        (*partitions != 1 || *brokerless, Unknown),
        (max_bytes.is_some(), Unknown),
        (expires.is_some(), Unknown),
        (retry_delay.is_some() || ack_timeout.is_some(), Unknown),
        (*groups || deduplicate.is_some(), Unknown),
        (stream.is_some(), Unknown),
        (*backlog > 0, Backlog),
        (ttl.is_some(), Expiry),
        (bounded && !blocks, Loss),
        (bounded && blocks, Blocks),
        (delivery_limit.is_some(), DeliveryLimit),
        (*single_active, SingleActive),
    ])
}

pub(super) fn producer(scenario: &Scenario, producer: &Producer) -> Vec<Departure> {
    let Producer {
        name: _,
        count: _,
        arrivals: _,
        message_key: _,
        size: _,
        persistent: _,
        buffer: _,
        reconnect: _,
        reconnect_spread: _,
        mandatory: _,
        burst: _,
        batch: _,
        idempotent: _,
        to,
        start,
        confirm,
        when_full,
        limit,
        properties,
        transaction,
        retry,
        patience,
        churn,
    } = producer;
    let MessageMix {
        // Only together with the queue's levels.
        priority: _,
        group_by_key: _,
        headers: _,
        id: _,
        duplicates: _,
        ttl,
        delay,
    } = properties;
    let timeout = confirm.and_then(|confirm| confirm.timeout);
    let reached = to
        .iter()
        .flat_map(|(target, _)| scenario.reached_by(target));
    let reached: BTreeSet<usize> = reached.collect();
    let bounded = |index: &usize| scenario.queues[*index].max_length.is_some();
    let blocks = |index: &usize| scenario.queues[*index].overflow == Overflow::Block;
    let bounds = reached.iter().any(bounded);
    let waits = reached.iter().any(|index| bounded(index) && blocks(index));
    let comes_again = retry.is_some() && (timeout.is_some() || bounds);
    let is_dropped = waits && *when_full == WhenFull::Drop;
    // At one queue's bound what is for others waits, too.
    let holds_up = waits && reached.len() > 1;
    present(&[
        (limit.is_some(), Unknown),
        (delay.is_some(), Unknown),
        (transaction.is_some(), Unknown),
        (patience.is_some(), Unknown),
        (churn.is_some(), Unknown),
        (comes_again || is_dropped || holds_up, Unknown),
        (reached.len() > 1, Elsewhere),
        (ttl.is_some(), Expiry),
        begins(start),
    ])
}

fn consumer(scenario: &Scenario, consumer: &Consumer) -> Vec<Departure> {
    let Consumer {
        name: _,
        count: _,
        prefetch: _,
        service,
        concurrency: _,
        weight: _,
        reconnect: _,
        reconnect_spread: _,
        priority: _,
        exclusive: _,
        renew: _,
        offset: _,
        ack,
        service_by_phase,
        slow,
        start,
        churn,
        then,
        from,
        channel_prefetch,
        selector,
        pull,
        group,
        poison,
        rate_cap,
        patience,
    } = consumer;
    let (every, nack) = match *ack {
        Ack::Auto => (1, None),
        Ack::Manual { every, nack } => (every, nack),
    };
    let fails = nack.filter(|nack| nack.probability > 0.0);
    let next = then.iter().flat_map(|then| &then.to);
    let waits_to_send = next
        .into_iter()
        .any(|(target, _)| may_be_full(scenario, target.as_ref()));
    let changes = service_by_phase.iter().any(|other| other != service);
    present(&[
        (from.len() != 1, Unknown),
        (channel_prefetch.is_some(), Unknown),
        (selector.is_some() || pull.is_some(), Unknown),
        (group.is_some(), Unknown),
        (*poison > 0.0, Unknown),
        (rate_cap.is_some() || patience.is_some(), Unknown),
        (waits_to_send, Unknown),
        (then.is_some(), Elsewhere),
        (fails.is_some_and(|nack| nack.requeue), Returns),
        (fails.is_some_and(|nack| !nack.requeue), Rejections),
        (every != 1, AckBatches),
        (slow.is_some(), Slow),
        (changes, OtherServices),
        (churn.is_some(), Churn),
        begins(start),
    ])
}

/// When clients start.
fn begins(start: &Distribution) -> (bool, Departure) {
    let fixed = matches!(start, Distribution::Constant(_));
    (start.mean() > 0.0, if fixed { LateStart } else { Unknown })
}

/// Whoever sends there may have to wait for room, or send again.
fn may_be_full(scenario: &Scenario, target: Option<&Target>) -> bool {
    let full = |index: usize| {
        let queue = &scenario.queues[index];
        let bounded = queue.max_length.is_some() || queue.max_bytes.is_some();
        bounded && matches!(queue.overflow, Overflow::Block | Overflow::RejectPublish)
    };
    target.is_some_and(|target| scenario.reached_by(target).into_iter().any(full))
}

/// Bytes per second that no workload of these scenarios fills.
const WIDE: f64 = 100e6;
