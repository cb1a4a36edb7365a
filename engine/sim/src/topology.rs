//! From a scenario to the broker's configuration.
//!
//! A queue of several partitions is as many queues of the broker, `orders/0`, `orders/1`, …, behind an exchange that chooses
//! among them by the message's key. Where messages have keys a single queue has an exchange of its own as well: by the default exchange,
//! which goes by the queue's name, they would lose them. Everything that is measured is measured per queue of the broker; a queue of the
//! scenario is the sum of its partitions.

use bytes::Bytes;
use queuelab_core::{
    BrokerConfig, DeadLetter, Destination, ExchangeConfig, ExchangeId, ExchangeKind, GroupConfig,
    Offset, QueueConfig, QueueId, Span, Time, WallTime,
};
use queuelab_scenario::{Binding, ExchangeType, Queue, Scenario, Target};

/// Which queues of the broker a queue of the scenario is.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The first queue of each queue of the scenario, and one more for the end.
    first: Vec<u32>,
    /// The queue of the scenario that each is, or is a partition of.
    of: Vec<u32>,
    /// The exchange before each queue of the scenario that has partitions, or gets messages with keys by its name.
    exchanges: Vec<Option<ExchangeId>>,
}

/// Which queues of a scenario get messages with keys by their name.
fn keyed(scenario: &Scenario) -> Vec<bool> {
    let mut keyed = vec![false; scenario.queues.len()];
    let mut mark = |target: &Target| {
        if let Target::Queue(queue) = target {
            keyed[*queue] = !scenario.queues[*queue].brokerless;
        }
    };
    let producers = scenario.producers.iter();
    let mut producers = producers.filter(|producer| producer.has_keys()).peekable();
    if producers.peek().is_none() {
        return keyed;
    }
    for producer in producers {
        producer.to.iter().for_each(|(target, _)| mark(target));
    }
    // Whatever goes on may have a key.
    for queue in &scenario.queues {
        queue.dead_letter.iter().for_each(&mut mark);
    }
    for then in scenario.consumers.iter().filter_map(|it| it.then.as_ref()) {
        let targets = then.to.iter().filter_map(|(target, _)| target.as_ref());
        targets.for_each(&mut mark);
    }
    keyed
}

impl Layout {
    /// Of a scenario.
    pub fn new(scenario: &Scenario) -> Layout {
        let (mut first, mut of) = (vec![0], Vec::new());
        let mut exchanges = Vec::new();
        let mut next_exchange = scenario.exchanges.len() as u32;
        let keyed = keyed(scenario);
        for (number, queue) in (0..).zip(&scenario.queues) {
            of.extend((0..queue.partitions.max(1)).map(|_| number));
            first.push(of.len() as u32);
            let own = queue.partitions > 1 || keyed[number as usize];
            exchanges.push(own.then_some(ExchangeId(next_exchange)));
            next_exchange += u32::from(own);
        }
        Layout {
            first,
            of,
            exchanges,
        }
    }

    /// How many queues the broker has.
    pub fn len(&self) -> usize {
        self.of.len()
    }

    /// The queues that a queue of the scenario is.
    pub fn partitions(&self, queue: usize) -> std::ops::Range<usize> {
        self.first[queue] as usize..self.first[queue + 1] as usize
    }

    /// The queue of the scenario that one of the broker's is.
    #[inline]
    pub fn queue_of(&self, queue: usize) -> usize {
        self.of[queue] as usize
    }

    /// The name of one of the broker's queues.
    pub fn name(&self, scenario: &Scenario, queue: usize) -> String {
        let of = self.queue_of(queue);
        let name = &scenario.queues[of].name;
        match self.partitions(of).len() {
            1 => name.clone(),
            _ => format!("{name}/{}", queue - self.first[of] as usize),
        }
    }

    /// Its share of a bound, of which the first partitions get what does not divide.
    pub fn share(&self, queue: usize, bound: Option<u64>) -> Option<u64> {
        let partitions = self.partitions(self.queue_of(queue));
        let (count, place) = (partitions.len() as u64, (queue - partitions.start) as u64);
        bound.map(|bound| bound / count + u64::from(place < bound % count))
    }

    /// The exchange that leads to a target, and whether its routing key is the message's own although a queue is named.
    #[inline]
    pub fn exchange_of(&self, target: &Target) -> (ExchangeId, bool) {
        match target {
            Target::Queue(queue) => match self.exchanges[*queue] {
                Some(exchange) => (exchange, true),
                None => (ExchangeId::DEFAULT, false),
            },
            Target::Exchange { exchange, .. } => (ExchangeId(*exchange as u32), false),
        }
    }

    /// Where a binding of a queue leads: to it, unless a partition is to be chosen.
    fn destination(&self, queue: usize) -> Destination {
        match self.exchanges[queue] {
            Some(exchange) if self.partitions(queue).len() > 1 => Destination::Exchange(exchange),
            _ => QueueId(self.first[queue]).into(),
        }
    }

    /// What has to be declared and bound so that a queue of the scenario is there.
    pub fn declarations(&self, scenario: &Scenario, queue: usize) -> Vec<queuelab_core::Request> {
        use queuelab_core::Request;
        let declare = self.partitions(queue).map(|queue| Request::Declare {
            queue: QueueId(queue as u32),
        });
        let to = self.destination(queue);
        let bind = scenario.queues[queue]
            .bind
            .iter()
            .map(|bind| Request::Bind(Box::new(binding(bind, to))));
        declare.chain(bind).collect()
    }
}

/// The broker of incarnation `incarnation` that runs `scenario`.
pub fn broker_config(scenario: &Scenario, layout: &Layout, incarnation: u32) -> BrokerConfig {
    let declared = scenario.exchanges.iter().map(|exchange| ExchangeConfig {
        name: text(&exchange.name),
        kind: match exchange.kind {
            ExchangeType::Direct => ExchangeKind::Direct,
            ExchangeType::Fanout => ExchangeKind::Fanout,
            ExchangeType::Topic => ExchangeKind::Topic,
            ExchangeType::ConsistentHash(hash) => ExchangeKind::ConsistentHash(hash),
            ExchangeType::Headers => ExchangeKind::Headers,
        },
        alternate: exchange.alternate.map(|other| ExchangeId(other as u32)),
    });
    let queues = scenario.queues.iter().zip(&layout.exchanges);
    let implicit = queues
        .filter(|(_, exchange)| exchange.is_some())
        .map(|(queue, _)| ExchangeConfig {
            name: text(&format!("{}/", queue.name)),
            kind: match queue.partitions > 1 {
                true => ExchangeKind::Partition,
                false => ExchangeKind::Fanout,
            },
            alternate: None,
        });
    BrokerConfig {
        exchanges: declared.chain(implicit).collect(),
        queues: (0..layout.len())
            .map(|queue| queue_config(scenario, layout, queue))
            .collect(),
        bindings: bindings(scenario, layout),
        groups: scenario
            .groups
            .iter()
            .map(|group| GroupConfig {
                name: text(&group.name),
                streams: streams_of(layout, &group.streams)
                    .map(|queue| QueueId(queue as u32))
                    .collect(),
                start: offset(group.start),
                kind: group.kind,
            })
            .collect(),
        limits: scenario.cluster.limits,
        incarnation,
        observe: true,
    }
}

/// What the wall clock says at `now`: runs begin on 2026-01-01, 00:00 UTC.
pub fn wall(now: Time) -> WallTime {
    WallTime(1_767_225_600_000_000_000) + Span(now.0)
}

/// Where a reader starts: times in a scenario count from the start of the run, the broker's are by the wall clock.
pub fn offset(from: Offset) -> Offset {
    match from {
        Offset::Since(after) => Offset::Since(wall(Time(after.0))),
        other => other,
    }
}

/// The broker's queues that some queues of the scenario are.
pub fn streams_of(layout: &Layout, queues: &[usize]) -> impl Iterator<Item = usize> {
    queues.iter().flat_map(|queue| layout.partitions(*queue))
}

fn bindings(scenario: &Scenario, layout: &Layout) -> Vec<queuelab_core::Binding> {
    let mut bindings = Vec::new();
    for (number, queue) in scenario.queues.iter().enumerate() {
        let to = layout.destination(number);
        bindings.extend(queue.bind.iter().map(|bind| binding(bind, to)));
        if let Some(exchange) = layout.exchanges[number] {
            let partitions = layout.partitions(number);
            bindings.extend(partitions.map(|partition| queuelab_core::Binding {
                exchange,
                to: QueueId(partition as u32).into(),
                key: Bytes::new(),
                weight: 1,
                headers: None,
            }));
        }
    }
    for (number, exchange) in (0..).zip(&scenario.exchanges) {
        let to = Destination::Exchange(ExchangeId(number));
        bindings.extend(exchange.bind.iter().map(|bind| binding(bind, to)));
    }
    bindings
}

fn binding(bind: &Binding, to: Destination) -> queuelab_core::Binding {
    queuelab_core::Binding {
        exchange: ExchangeId(bind.exchange as u32),
        to,
        key: text(&bind.key),
        weight: bind.weight,
        headers: bind.headers.clone(),
    }
}

fn queue_config(scenario: &Scenario, layout: &Layout, number: usize) -> QueueConfig {
    let queue: &Queue = &scenario.queues[layout.queue_of(number)];
    let mut policy = queue.policy.clone();
    if let Some(retention) = &mut policy.stream {
        retention.max_length = layout.share(number, retention.max_length);
        retention.max_bytes = layout.share(number, retention.max_bytes);
    }
    QueueConfig {
        name: text(&layout.name(scenario, number)),
        durability: queue.durability,
        max_length: layout.share(number, queue.max_length),
        max_bytes: layout.share(number, queue.max_bytes),
        overflow: queue.overflow,
        dead_letter: queue.dead_letter.as_ref().map(|target| {
            let (exchange, own_key) = layout.exchange_of(target);
            DeadLetter {
                exchange,
                routing_key: match target {
                    _ if own_key => None,
                    Target::Queue(number) => Some(text(&scenario.queues[*number].name)),
                    Target::Exchange { key, .. } => key.as_deref().map(text),
                },
            }
        }),
        dispatch: queue.dispatch,
        policy,
    }
}

fn text(name: &str) -> Bytes {
    Bytes::copy_from_slice(name.as_bytes())
}
