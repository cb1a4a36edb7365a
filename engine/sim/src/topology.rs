//! From a scenario to the broker's configuration.

use bytes::Bytes;
use queuelab_core::{
    Binding, BrokerConfig, DeadLetter, ExchangeConfig, ExchangeId, ExchangeKind, QueueConfig,
    QueueId,
};
use queuelab_scenario::{ExchangeType, Queue, Scenario, Target};

/// The broker of incarnation `incarnation` that runs `scenario`.
pub fn broker_config(scenario: &Scenario, incarnation: u32) -> BrokerConfig {
    let exchanges = scenario.exchanges.iter().map(|exchange| ExchangeConfig {
        name: text(&exchange.name),
        kind: match exchange.kind {
            ExchangeType::Direct => ExchangeKind::Direct,
            ExchangeType::Fanout => ExchangeKind::Fanout,
            ExchangeType::Topic => ExchangeKind::Topic,
            ExchangeType::ConsistentHash(hash) => ExchangeKind::ConsistentHash(hash),
            ExchangeType::Headers => ExchangeKind::Headers,
        },
        alternate: None,
    });
    let bindings = (0u32..).zip(&scenario.queues).flat_map(|(number, queue)| {
        queue.bind.iter().map(move |bind| Binding {
            exchange: ExchangeId(bind.exchange as u32),
            to: QueueId(number).into(),
            headers: None,
            key: text(&bind.key),
            weight: bind.weight,
        })
    });
    BrokerConfig {
        exchanges: exchanges.collect(),
        queues: scenario
            .queues
            .iter()
            .map(|queue| queue_config(scenario, queue))
            .collect(),
        bindings: bindings.collect(),
        incarnation,
        observe: true,
        ..BrokerConfig::default()
    }
}

/// The exchange that a target names, for the broker.
pub fn exchange_of(target: &Target) -> ExchangeId {
    match target {
        Target::Queue(_) => ExchangeId::DEFAULT,
        Target::Exchange { exchange, .. } => ExchangeId(*exchange as u32),
    }
}

fn queue_config(scenario: &Scenario, queue: &Queue) -> QueueConfig {
    QueueConfig {
        name: text(&queue.name),
        durability: queue.durability,
        max_length: queue.max_length,
        max_bytes: queue.max_bytes,
        overflow: queue.overflow,
        dead_letter: queue.dead_letter.as_ref().map(|target| DeadLetter {
            exchange: exchange_of(target),
            routing_key: match target {
                Target::Queue(number) => Some(text(&scenario.queues[*number].name)),
                Target::Exchange { key, .. } => key.as_deref().map(text),
            },
        }),
        dispatch: queue.dispatch,
        policy: queue.policy.clone(),
    }
}

fn text(name: &str) -> Bytes {
    Bytes::copy_from_slice(name.as_bytes())
}
