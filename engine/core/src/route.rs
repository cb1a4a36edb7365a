//! Exchanges and bindings: which queues a message goes to.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::config::{BrokerConfig, Destination, ExchangeKind};
use crate::hashing::{Placement, hash};
use crate::id::{ExchangeId, QueueId};
use crate::topic::{Scratch, Trie};

/// All exchanges.
#[derive(Clone, Debug)]
pub(crate) struct Router {
    by_name: BTreeMap<Bytes, QueueId>,
    exchanges: Vec<Exchange>,
}

#[derive(Clone, Debug)]
enum Exchange {
    Direct(BTreeMap<Bytes, Vec<QueueId>>),
    Fanout(Vec<QueueId>),
    Topic {
        trie: Trie<QueueId>,
        scratch: Scratch,
    },
    ConsistentHash {
        placement: Placement,
        queues: Vec<QueueId>,
    },
}

impl Router {
    /// Panics if a binding names an exchange or a queue that `config` does not have.
    pub(crate) fn new(config: &BrokerConfig) -> Router {
        for binding in &config.bindings {
            assert!(
                binding.exchange.index() < config.exchanges.len(),
                "a binding's exchange is declared"
            );
            let declared = match binding.to {
                Destination::Queue(queue) => queue.index() < config.queues.len(),
                Destination::Exchange(exchange) => exchange.index() < config.exchanges.len(),
            };
            assert!(declared, "a binding's destination is declared");
        }
        let names = config.queues.iter().map(|queue| queue.name.clone());
        Router {
            by_name: names.zip((0..).map(QueueId)).collect(),
            exchanges: (0..config.exchanges.len())
                .map(|at| Exchange::new(config, at))
                .collect(),
        }
    }

    pub(crate) fn knows(&self, exchange: ExchangeId) -> bool {
        exchange == ExchangeId::DEFAULT || exchange.index() < self.exchanges.len()
    }

    /// True if the targets depend on nothing but the routing key.
    pub(crate) fn is_stable(&self, exchange: ExchangeId) -> bool {
        !matches!(
            self.exchanges.get(exchange.index()),
            Some(Exchange::ConsistentHash { .. })
        )
    }

    /// Appends the targets to `targets`, each once. `depth` is the load that a bounded hash looks at.
    pub(crate) fn route(
        &mut self,
        exchange: ExchangeId,
        key: &[u8],
        depth: impl Fn(QueueId) -> u64,
        targets: &mut Vec<QueueId>,
    ) {
        let Some(exchange) = self.exchanges.get_mut(exchange.index()) else {
            targets.extend(self.by_name.get(key));
            return;
        };
        match exchange {
            Exchange::Direct(by_key) => targets.extend(by_key.get(key).into_iter().flatten()),
            Exchange::Fanout(queues) => targets.extend_from_slice(queues),
            Exchange::Topic { trie, scratch } => trie.matches_with(key, scratch, targets),
            Exchange::ConsistentHash { placement, queues } => {
                let chosen = placement.place(hash(key), |at| depth(queues[at]));
                targets.extend(chosen.map(|at| queues[at]));
            }
        }
    }
}

impl Exchange {
    fn new(config: &BrokerConfig, at: usize) -> Exchange {
        let bindings = config
            .bindings
            .iter()
            .filter(|binding| binding.exchange.index() == at)
            .filter_map(|binding| match binding.to {
                Destination::Queue(queue) => Some((queue, binding)),
                Destination::Exchange(_) => None,
            });
        match config.exchanges[at].kind {
            ExchangeKind::Direct => {
                let mut by_key = BTreeMap::<Bytes, Vec<QueueId>>::new();
                for (queue, binding) in bindings {
                    insert_once(by_key.entry(binding.key.clone()).or_default(), queue);
                }
                Exchange::Direct(by_key)
            }
            ExchangeKind::Fanout | ExchangeKind::Headers | ExchangeKind::Partition => {
                let mut queues = Vec::new();
                for (queue, _) in bindings {
                    insert_once(&mut queues, queue);
                }
                Exchange::Fanout(queues)
            }
            ExchangeKind::Topic => {
                let mut trie = Trie::default();
                for (queue, binding) in bindings {
                    trie.insert(&binding.key, queue);
                }
                Exchange::Topic {
                    trie,
                    scratch: Scratch::default(),
                }
            }
            ExchangeKind::ConsistentHash(kind) => {
                // A queue that is bound twice is one node with both weights.
                let mut weights = BTreeMap::<QueueId, u32>::new();
                for (queue, binding) in bindings {
                    let weight = weights.entry(queue).or_default();
                    *weight = weight.saturating_add(binding.weight);
                }
                let queues: Vec<QueueId> = weights.keys().copied().collect();
                let nodes: Vec<(&[u8], u32)> = weights
                    .iter()
                    .map(|(queue, weight)| (&config.queues[queue.index()].name[..], *weight))
                    .collect();
                Exchange::ConsistentHash {
                    placement: Placement::new(kind, &nodes),
                    queues,
                }
            }
        }
    }
}

/// The last route that a channel took: publishers tend to use one key, or the same one for a while.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memo {
    key: Option<(ExchangeId, Bytes)>,
    targets: Vec<QueueId>,
}

impl Memo {
    /// As [`Router::route`].
    pub(crate) fn route(
        &mut self,
        router: &mut Router,
        exchange: ExchangeId,
        key: &Bytes,
        depth: impl Fn(QueueId) -> u64,
        targets: &mut Vec<QueueId>,
    ) {
        if !router.is_stable(exchange) {
            return router.route(exchange, key, depth, targets);
        }
        let known = self
            .key
            .as_ref()
            .is_some_and(|(last, last_key)| *last == exchange && last_key == key);
        if !known {
            self.targets.clear();
            router.route(exchange, key, depth, &mut self.targets);
            self.key = Some((exchange, key.clone()));
        }
        targets.extend_from_slice(&self.targets);
    }
}

fn insert_once(queues: &mut Vec<QueueId>, queue: QueueId) {
    if let Err(at) = queues.binary_search(&queue) {
        queues.insert(at, queue);
    }
}
