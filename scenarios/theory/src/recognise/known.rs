//! What models know of queues and clients. Every key is named here, so that a new one does not compile until somebody says what it means to
//! theory.

use queuelab_scenario::{
    Ack, Consumer, Distribution, MessageMix, Overflow, Producer, Queue, QueuePolicy, Scenario,
    WhenFull,
};

use super::station::Station;

/// Nothing about the queue but what models look at themselves: bounds on messages, priorities, a TTL, where returns go, how consumers are chosen.
pub(super) fn queue(queue: &Queue) -> bool {
    let Queue {
        // These change nothing that is predicted, or are what models are about.
        name: _,
        durability: _,
        bind: _,
        max_length: _,
        overflow: _,
        dead_letter: _,
        dispatch: _,
        backlog: _,
        design: _,
        max_bytes,
        policy,
        partitions,
        brokerless,
    } = queue;
    let QueuePolicy {
        max_priority: _,
        ttl: _,
        requeue: _,
        dead_letter_at_least_once: _,
        // For the fluid that is a matter of capacity.
        delivery_limit: _,
        single_active: _,
        expires,
        retry_delay,
        ack_timeout,
        groups,
        deduplicate,
        stream,
    } = policy;
    *partitions == 1
        && !brokerless
        && max_bytes.is_none()
        && expires.is_none()
        && retry_delay.is_none()
        && ack_timeout.is_none()
        && !groups
        && deduplicate.is_none()
        && stream.is_none()
}

/// Nothing about the producer but how it arrives, what its messages carry and when it starts; nothing comes twice, and nothing is held back
/// for longer than `queue` makes it wait.
pub(super) fn producer(producer: &Producer, queue: &Queue) -> bool {
    let Producer {
        name: _,
        count: _,
        to: _,
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
        start: _,
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
        priority: _,
        ttl: _,
        group_by_key: _,
        headers: _,
        id: _,
        duplicates: _,
        delay,
    } = properties;
    let timeout = confirm.and_then(|confirm| confirm.timeout);
    let comes_again = retry.is_some() && (timeout.is_some() || queue.max_length.is_some());
    let blocks = queue.overflow == Overflow::Block && queue.max_length.is_some();
    let is_dropped = blocks && *when_full == WhenFull::Drop;
    limit.is_none()
        && delay.is_none()
        && transaction.is_none()
        && patience.is_none()
        && churn.is_none()
        && !comes_again
        && !is_dropped
}

/// Nothing about the consumer but how many there are, how long services take and vary, which fail, when they start, and who is away.
pub(super) fn consumer(consumer: &Consumer) -> bool {
    let Consumer {
        name: _,
        count: _,
        prefetch: _,
        service: _,
        concurrency: _,
        ack: _,
        weight: _,
        reconnect: _,
        reconnect_spread: _,
        service_by_phase: _,
        priority: _,
        exclusive: _,
        renew: _,
        offset: _,
        slow: _,
        start: _,
        churn: _,
        then: _,
        from,
        channel_prefetch,
        selector,
        pull,
        group,
        poison,
        rate_cap,
        patience,
    } = consumer;
    from.len() == 1
        && channel_prefetch.is_none()
        && selector.is_none()
        && pull.is_none()
        && group.is_none()
        && *poison == 0.0
        && rate_cap.is_none()
        && patience.is_none()
}

/// What a fluid needs besides: rates and capacities are all that matters, and they are what they are meant to be.
pub(super) fn flows(station: &Station<'_>) -> bool {
    let (queue, scenario) = (station.queue, station.scenario);
    let Some(servers) = station.servers else {
        return false;
    };
    let fixed = |start: &Distribution| matches!(start, Distribution::Constant(_));
    let source = |producer: &Producer| {
        self::producer(producer, queue) && fixed(&producer.start) && keeps_up(station, producer)
    };
    let consumer = servers.consumer;
    let blocks = |queue: &Queue| queue.overflow == Overflow::Block;
    let goes_on = consumer.then.is_none() || !scenario.queues.iter().any(blocks);
    self::queue(queue)
        && self::consumer(consumer)
        && !station.expires()
        && consumer.churn.is_none()
        && fixed(&consumer.start)
        && goes_on
        && !station.fed
        && !station.hashed
        && !station.unknown
        && scenario.until.is_none()
        && scenario.faults.is_empty()
        && reads_all(scenario)
        && station.sources.iter().all(|it| source(it.producer))
}

/// Confirms come sooner than they are waited for, as long as the queue has room.
fn keeps_up(station: &Station<'_>, producer: &Producer) -> bool {
    let Some(confirm) = producer.confirm else {
        return true;
    };
    let costs = station.costs();
    let highest = (0..station.scenario.phases.len())
        .filter_map(|phase| super::station::rates(producer, phase))
        .fold(0.0, |highest: f64, (from, to)| highest.max(from).max(to));
    let unconfirmed = highest / f64::from(producer.count.max(1)) * (costs.entry + costs.out.mean);
    costs.free || unconfirmed <= f64::from(confirm.window) / 2.0
}

/// The broker never stops reading, and no wire or disk is narrow.
fn reads_all(scenario: &Scenario) -> bool {
    let cluster = &scenario.cluster;
    let limits = &cluster.limits;
    limits.memory.is_none()
        && limits.disk_free.is_none()
        && limits.publish_credit.is_none()
        && cluster.disk.capacity.is_none()
        && cluster.disk.bandwidth.is_none_or(|most| most >= WIDE)
        && cluster.network.bandwidth.is_none_or(|most| most >= WIDE)
}

/// One acknowledgement per message.
pub(super) fn acks_singly(ack: Ack) -> bool {
    matches!(ack, Ack::Auto | Ack::Manual { every: 1, .. })
}

/// Bytes per second that no workload of these scenarios fills.
const WIDE: f64 = 100e6;
