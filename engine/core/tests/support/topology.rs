//! Random exchanges and bindings.

use bytes::Bytes;
use proptest::prelude::*;
use queuelab_core::*;

/// How many exchanges there are. The first one is of fanout, to the first three queues.
pub(crate) const EXCHANGES: usize = 4;

/// Keys that messages go to exchanges with.
pub(crate) const KEYS: [&str; 5] = ["", "x", "y", "x.y", "x.y.x"];

const PATTERNS: [&str; 7] = ["", "x", "x.y", "*.y", "x.#", "#.x", "#"];

/// Queues 0 to 3 and up to four exchanges, bound at random, circles included.
pub(crate) fn topologies() -> impl Strategy<Value = (Vec<ExchangeConfig>, Vec<Binding>)> {
    let kind = prop::sample::select(vec![
        ExchangeKind::Direct,
        ExchangeKind::Fanout,
        ExchangeKind::Topic,
        ExchangeKind::Headers,
        ExchangeKind::Partition,
        ExchangeKind::ConsistentHash(HashKind::Ring { vnodes: 4 }),
        ExchangeKind::ConsistentHash(HashKind::BoundedRing {
            vnodes: 4,
            epsilon: 0.25,
        }),
    ]);
    let alternate = prop::option::weighted(0.3, 0..EXCHANGES as u32);
    let exchanges = prop::collection::vec((kind, alternate), EXCHANGES - 1);
    let bindings = prop::collection::vec(bindings(), 0..10);
    (exchanges, bindings).prop_map(|(others, bindings)| {
        let first = [(ExchangeKind::Fanout, None)];
        let exchanges = first.into_iter().chain(others).enumerate();
        let exchanges = exchanges.map(|(at, (kind, alternate))| ExchangeConfig {
            name: Bytes::from(format!("x{at}")),
            kind,
            alternate: alternate.map(ExchangeId),
        });
        let fanout = [(0, ""), (1, ""), (2, ""), (1, "x")].map(|(queue, key)| Binding {
            exchange: ExchangeId(0),
            to: QueueId(queue).into(),
            key: Bytes::from_static(key.as_bytes()),
            weight: 1,
            headers: None,
        });
        (
            exchanges.collect(),
            fanout.into_iter().chain(bindings).collect(),
        )
    })
}

/// From an exchange other than the first.
pub(crate) fn bindings() -> impl Strategy<Value = Binding> {
    let queue = (0..4u32).prop_map(|queue| Destination::Queue(QueueId(queue)));
    let exchange = (0..EXCHANGES as u32).prop_map(|id| Destination::Exchange(ExchangeId(id)));
    let destination = prop_oneof![3 => queue, 1 => exchange];
    let key = prop::sample::select(PATTERNS.to_vec());
    let wanted = prop::option::of((1..4i64).prop_map(Value::Int));
    let header = (prop::sample::select(vec!["shape", "none"]), wanted)
        .prop_map(|(name, value)| (Bytes::from_static(name.as_bytes()), value));
    let headers = (any::<bool>(), prop::collection::vec(header, 0..3))
        .prop_map(|(all, headers)| HeadersMatch { all, headers });
    let headers = prop::option::weighted(0.8, headers);
    let ends = (1..EXCHANGES as u32, destination);
    (ends, key, headers, 0..4u32).prop_map(|((exchange, to), key, headers, weight)| Binding {
        exchange: ExchangeId(exchange),
        to,
        key: Bytes::from_static(key.as_bytes()),
        weight,
        headers,
    })
}
