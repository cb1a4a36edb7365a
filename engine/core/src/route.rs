//! Exchanges and bindings: which queues a message goes to.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::config::{
    Binding, BrokerConfig, Destination, ExchangeConfig, ExchangeKind, HeadersMatch,
};
use crate::hashing::{Placement, hash, jump};
use crate::id::{ExchangeId, QueueId};
use crate::message::Message;
use crate::topic::{Scratch, Trie};

/// All exchanges.
#[derive(Clone, Debug)]
pub(crate) struct Router {
    queues: Vec<Bytes>,
    /// Queues that exist, by name.
    by_name: BTreeMap<Bytes, QueueId>,
    exchanges: Vec<Exchange>,
    /// The bindings that a queue has again when it comes back.
    configured: Vec<Binding>,
    /// Grows with each change: what was remembered of routes is void then.
    version: u64,
    walk: Walk,
}

#[derive(Clone, Debug)]
struct Exchange {
    config: ExchangeConfig,
    /// In order of declaration; no two are equal.
    bindings: Vec<Binding>,
    /// The bindings, arranged for looking up.
    table: Table,
    /// The targets depend on nothing but the routing key, here and wherever the message goes on.
    stable: bool,
}

/// The way of one message through exchanges; kept for its memory.
#[derive(Clone, Debug, Default)]
struct Walk {
    /// Exchanges that the message has reached, each once; those from the current one on are still to route it.
    reached: Vec<ExchangeId>,
    /// Where the current one sends it.
    found: Vec<Destination>,
}

impl Router {
    /// Panics if a binding names an exchange or a queue that `config` does not have.
    pub(crate) fn new(config: &BrokerConfig) -> Router {
        let queues: Vec<Bytes> = config
            .queues
            .iter()
            .map(|queue| queue.name.clone())
            .collect();
        let mut router = Router {
            by_name: queues.iter().cloned().zip((0..).map(QueueId)).collect(),
            queues,
            exchanges: config.exchanges.iter().map(Exchange::new).collect(),
            configured: config.bindings.clone(),
            version: 0,
            walk: Walk::default(),
        };
        for exchange in &router.exchanges {
            let alternate = exchange.config.alternate;
            assert!(
                alternate.is_none_or(|alternate| alternate.index() < router.exchanges.len()),
                "an alternate exchange is declared"
            );
        }
        for binding in &config.bindings {
            assert!(
                router.can_bind(binding),
                "a binding's exchange and destination are declared"
            );
            router.add(binding);
        }
        router.changed();
        router
    }

    pub(crate) fn knows(&self, exchange: ExchangeId) -> bool {
        exchange == ExchangeId::DEFAULT || exchange.index() < self.exchanges.len()
    }

    /// Appends the targets to `targets`, each once. `depth` is the load that a bounded hash looks at.
    pub(crate) fn route(
        &mut self,
        exchange: ExchangeId,
        message: &Message,
        depth: impl Fn(QueueId) -> u64,
        targets: &mut Vec<QueueId>,
    ) {
        if exchange.index() >= self.exchanges.len() {
            targets.extend(self.by_name.get(&message.routing_key));
            return;
        }
        let Walk { reached, found } = &mut self.walk;
        reached.clear();
        reached.push(exchange);
        let mut at = 0;
        while let Some(id) = reached.get(at).copied() {
            at += 1;
            let exchange = &mut self.exchanges[id.index()];
            exchange.table.find(message, &depth, found);
            if found.is_empty() {
                found.extend(exchange.config.alternate.map(Destination::Exchange));
            }
            for destination in found.drain(..) {
                match destination {
                    Destination::Queue(queue) => targets.push(queue),
                    Destination::Exchange(next) if reached.contains(&next) => {}
                    Destination::Exchange(next) => reached.push(next),
                }
            }
        }
        if at > 1 {
            targets.sort_unstable();
            targets.dedup();
        }
    }
}

/// Changes.
impl Router {
    /// True if what a binding names exists.
    pub(crate) fn can_bind(&self, binding: &Binding) -> bool {
        let exists = match binding.to {
            Destination::Queue(queue) => self
                .queues
                .get(queue.index())
                .is_some_and(|name| self.by_name.contains_key(name)),
            Destination::Exchange(exchange) => exchange.index() < self.exchanges.len(),
        };
        exists && binding.exchange.index() < self.exchanges.len()
    }

    /// Adds a binding; both its ends exist.
    pub(crate) fn bind(&mut self, binding: &Binding) {
        self.add(binding);
        self.changed();
    }

    /// Takes a binding away, if it is there.
    pub(crate) fn unbind(&mut self, binding: &Binding) {
        let exchange = &mut self.exchanges[binding.exchange.index()];
        exchange.bindings.retain(|other| other != binding);
        self.changed();
    }

    /// A queue is gone, and its bindings with it.
    pub(crate) fn remove_queue(&mut self, queue: QueueId) {
        self.by_name.remove(&self.queues[queue.index()]);
        for exchange in &mut self.exchanges {
            exchange
                .bindings
                .retain(|binding| binding.to != queue.into());
        }
        self.changed();
    }

    /// A queue is back, with the bindings that the configuration gives it.
    pub(crate) fn restore_queue(&mut self, queue: QueueId) {
        self.by_name
            .insert(self.queues[queue.index()].clone(), queue);
        let mut configured = self.configured.clone();
        configured.retain(|binding| binding.to == queue.into());
        for binding in &configured {
            self.add(binding);
        }
        self.changed();
    }

    fn add(&mut self, binding: &Binding) {
        let bindings = &mut self.exchanges[binding.exchange.index()].bindings;
        if !bindings.contains(binding) {
            bindings.push(binding.clone());
        }
    }

    /// Arranges the bindings anew.
    fn changed(&mut self) {
        self.version += 1;
        let tables: Vec<Table> = self
            .exchanges
            .iter()
            .map(|exchange| Table::new(exchange, self))
            .collect();
        for (exchange, table) in self.exchanges.iter_mut().zip(tables) {
            exchange.stable = table.is_stable();
            exchange.table = table;
        }
        // Who leads to an unstable one is not stable either.
        while let Some(at) = (0..self.exchanges.len()).find(|at| self.is_stable_in_error(*at)) {
            self.exchanges[at].stable = false;
        }
    }

    fn is_stable_in_error(&self, at: usize) -> bool {
        let exchange = &self.exchanges[at];
        let bound = exchange.bindings.iter().map(|binding| binding.to);
        let alternate = exchange.config.alternate.map(Destination::Exchange);
        exchange.stable
            && bound.chain(alternate).any(|to| match to {
                Destination::Queue(_) => false,
                Destination::Exchange(next) => !self.exchanges[next.index()].stable,
            })
    }

    fn name(&self, destination: Destination) -> Vec<u8> {
        match destination {
            Destination::Queue(queue) => self.queues[queue.index()].to_vec(),
            // A queue may have the same name.
            Destination::Exchange(exchange) => {
                let name = &self.exchanges[exchange.index()].config.name;
                [b"exchange/", &name[..]].concat()
            }
        }
    }
}

impl Exchange {
    fn new(config: &ExchangeConfig) -> Exchange {
        Exchange {
            config: config.clone(),
            bindings: Vec::new(),
            table: Table::Fanout(Vec::new()),
            stable: true,
        }
    }
}

/// The bindings of an exchange, arranged for looking up.
#[derive(Clone, Debug)]
enum Table {
    Direct(BTreeMap<Bytes, Vec<Destination>>),
    Fanout(Vec<Destination>),
    Topic {
        trie: Trie<Destination>,
        scratch: Scratch,
    },
    ConsistentHash {
        placement: Placement,
        nodes: Vec<Destination>,
    },
    Headers(Vec<(Option<HeadersMatch>, Destination)>),
    Partition {
        /// In order of binding.
        nodes: Vec<Destination>,
        /// Whose turn it is.
        next: usize,
    },
}

impl Table {
    fn new(exchange: &Exchange, router: &Router) -> Table {
        let bindings = exchange.bindings.iter();
        match exchange.config.kind {
            ExchangeKind::Direct => {
                let mut by_key = BTreeMap::<Bytes, Vec<Destination>>::new();
                for binding in bindings {
                    insert_once(by_key.entry(binding.key.clone()).or_default(), binding.to);
                }
                Table::Direct(by_key)
            }
            ExchangeKind::Fanout => {
                let mut all = Vec::new();
                for binding in bindings {
                    insert_once(&mut all, binding.to);
                }
                Table::Fanout(all)
            }
            ExchangeKind::Topic => {
                let mut trie = Trie::default();
                for binding in bindings {
                    trie.insert(&binding.key, binding.to);
                }
                Table::Topic {
                    trie,
                    scratch: Scratch::default(),
                }
            }
            ExchangeKind::ConsistentHash(kind) => {
                // Who is bound twice is one node with both weights.
                let mut weights = BTreeMap::<Destination, u32>::new();
                for binding in bindings {
                    let weight = weights.entry(binding.to).or_default();
                    *weight = weight.saturating_add(binding.weight);
                }
                let nodes: Vec<Destination> = weights.keys().copied().collect();
                let names: Vec<Vec<u8>> = nodes.iter().map(|node| router.name(*node)).collect();
                let weighted: Vec<(&[u8], u32)> = names
                    .iter()
                    .map(|name| &name[..])
                    .zip(weights.into_values())
                    .collect();
                Table::ConsistentHash {
                    placement: Placement::new(kind, &weighted),
                    nodes,
                }
            }
            ExchangeKind::Headers => {
                let wanted = bindings.map(|binding| (binding.headers.clone(), binding.to));
                Table::Headers(wanted.collect())
            }
            ExchangeKind::Partition => {
                let mut nodes = Vec::new();
                for binding in bindings.filter(|binding| binding.weight > 0) {
                    if !nodes.contains(&binding.to) {
                        nodes.push(binding.to);
                    }
                }
                Table::Partition { nodes, next: 0 }
            }
        }
    }

    /// True if the destinations depend on nothing but the routing key.
    fn is_stable(&self) -> bool {
        matches!(
            self,
            Table::Direct(_) | Table::Fanout(_) | Table::Topic { .. }
        )
    }

    /// Puts the destinations into `found`, which is empty, each once.
    fn find(
        &mut self,
        message: &Message,
        depth: impl Fn(QueueId) -> u64,
        found: &mut Vec<Destination>,
    ) {
        let key = &message.routing_key[..];
        match self {
            Table::Direct(by_key) => found.extend(by_key.get(key).into_iter().flatten()),
            Table::Fanout(all) => found.extend_from_slice(all),
            Table::Topic { trie, scratch } => trie.matches_with(key, scratch, found),
            Table::ConsistentHash { placement, nodes } => {
                let load = |at: usize| match nodes[at] {
                    Destination::Queue(queue) => depth(queue),
                    Destination::Exchange(_) => 0,
                };
                let chosen = placement.place(hash(key), load);
                found.extend(chosen.map(|at| nodes[at]));
            }
            Table::Headers(all) => {
                for (wanted, destination) in all {
                    if wanted.as_ref().is_none_or(|wanted| wanted.matches(message)) {
                        insert_once(found, *destination);
                    }
                }
            }
            Table::Partition { nodes, next } => {
                let at = if key.is_empty() {
                    let turn = *next % nodes.len().max(1);
                    *next = turn + 1;
                    turn
                } else {
                    jump(hash(key), nodes.len() as u32) as usize
                };
                found.extend(nodes.get(at));
            }
        }
    }
}

impl HeadersMatch {
    fn matches(&self, message: &Message) -> bool {
        let mut headers = self.headers.iter();
        let is_met = |(name, wanted): &(Bytes, Option<_>)| {
            let value = message.header(name);
            value.is_some_and(|value| wanted.as_ref().is_none_or(|wanted| wanted == value))
        };
        match self.all {
            true => headers.all(is_met),
            false => headers.any(is_met),
        }
    }
}

/// The last route that a channel took: publishers tend to use one key, or the same one for a while.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memo {
    key: Option<(ExchangeId, Bytes)>,
    /// Of the router, at that time.
    version: u64,
    targets: Vec<QueueId>,
}

impl Memo {
    /// As [`Router::route`].
    pub(crate) fn route(
        &mut self,
        router: &mut Router,
        exchange: ExchangeId,
        message: &Message,
        depth: impl Fn(QueueId) -> u64,
        targets: &mut Vec<QueueId>,
    ) {
        let known = self.version == router.version
            && self.key.as_ref().is_some_and(|(last, last_key)| {
                *last == exchange && *last_key == message.routing_key
            });
        if !known {
            let state = router.exchanges.get(exchange.index());
            if state.is_some_and(|exchange| !exchange.stable) {
                return router.route(exchange, message, depth, targets);
            }
            self.targets.clear();
            router.route(exchange, message, depth, &mut self.targets);
            self.key = Some((exchange, message.routing_key.clone()));
            self.version = router.version;
        }
        targets.extend_from_slice(&self.targets);
    }
}

fn insert_once(all: &mut Vec<Destination>, destination: Destination) {
    if let Err(at) = all.binary_search(&destination) {
        all.insert(at, destination);
    }
}
