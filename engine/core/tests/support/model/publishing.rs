//! The publishers' side of the naive broker.

use super::*;

/// Back-pressure.
impl Model {
    pub(super) fn update_reading(&mut self, id: ConnectionId) {
        let alarm = self.alarms != [false; 2];
        let connection = self.connections.get_mut(&id).unwrap();
        let on = !connection.parked
            && connection.backlog.is_empty()
            && !connection.throttled
            && (!alarm || !connection.published);
        if std::mem::replace(&mut connection.reading, on) != on {
            self.expect(Output::Reading { connection: id, on });
        }
    }

    /// The alarms as they should be.
    pub(super) fn alarms_due(&self) -> [bool; 2] {
        let copies = self.queues.iter().flat_map(|queue| &queue.copies);
        let held: u64 = copies.map(|copy| copy.message.size()).sum();
        let limits = &self.config.limits;
        [
            limits.memory.is_some_and(|limit| held >= limit),
            limits.disk_free.is_some_and(|limit| self.disk_free < limit),
        ]
    }

    pub(super) fn change_alarms(&mut self) {
        let (was, due) = (self.alarms, self.alarms_due());
        self.alarms = due;
        for (at, resource) in [Resource::Memory, Resource::Disk].into_iter().enumerate() {
            if was[at] != due[at] {
                let on = due[at];
                self.observe(Event::Alarm { resource, on });
            }
        }
        let on = due != [false; 2];
        if on != (was != [false; 2]) {
            let connections = self.connections.iter();
            let publishers = connections.filter(|(_, connection)| connection.published);
            for id in publishers.map(|(id, _)| *id).collect::<Vec<_>>() {
                self.tell_alarm(id, on);
            }
        }
    }

    fn tell_alarm(&mut self, connection: ConnectionId, on: bool) {
        let number = 0;
        let channel = ChannelId { connection, number };
        let response = match on {
            true => Response::Blocked,
            false => Response::Unblocked,
        };
        self.expect(Output::Client { channel, response });
        self.update_reading(connection);
    }

    pub(super) fn note_publisher(&mut self, id: ConnectionId) {
        let connection = self.connections.get_mut(&id).unwrap();
        let first = !std::mem::replace(&mut connection.published, true);
        if first && self.alarms != [false; 2] {
            self.tell_alarm(id, true);
        }
    }

    /// Accounts for a publish that came when the log's last entry was `before`.
    pub(super) fn spend_credit(
        &mut self,
        id: ConnectionId,
        publishes: usize,
        before: LogPosition,
        targets: &[QueueId],
    ) {
        let fsync = targets
            .iter()
            .any(|queue| self.durability(queue.index()) == Durability::Fsync);
        let birth = self.connections[&id].birth;
        if self.last > before {
            let publish = (self.last, fsync, id, birth);
            self.uncommitted
                .extend(std::iter::repeat_n(publish, publishes));
        }
        let used = self.credit_used(id);
        if self.last > before
            && self
                .config
                .limits
                .publish_credit
                .is_some_and(|limit| used >= limit)
        {
            self.connections.get_mut(&id).unwrap().throttled = true;
            self.update_reading(id);
        }
    }

    fn credit_used(&self, id: ConnectionId) -> u32 {
        let birth = self.connections[&id].birth;
        let mine = self
            .uncommitted
            .iter()
            .filter(|(.., other)| *other == birth);
        mine.count() as u32
    }

    pub(super) fn restore_credit(&mut self) {
        for fsync in [false, true] {
            let reached = [self.written, self.synced][usize::from(fsync)];
            let done =
                |it: &&(LogPosition, bool, ConnectionId, u64)| it.1 == fsync && it.0 <= reached;
            while let Some(done) = self.uncommitted.iter().find(done).copied() {
                self.uncommitted.retain(|other| *other != done);
                let id = done.2;
                let Some(connection) = self.connections.get(&id) else {
                    continue;
                };
                let half = self.config.limits.publish_credit.unwrap_or(0) / 2;
                if connection.birth == done.3
                    && connection.throttled
                    && self.credit_used(id) <= half
                {
                    self.connections.get_mut(&id).unwrap().throttled = false;
                    self.update_reading(id);
                }
            }
        }
    }
}

/// Routing.
impl Model {
    /// The queues that a message goes to, ascending.
    pub(super) fn route(&mut self, message: &Message) -> Vec<QueueId> {
        let ids = (0..self.queues.len() as u32).map(QueueId);
        if message.exchange == ExchangeId::DEFAULT {
            return ids
                .filter(|id| !self.queues[id.index()].gone)
                .filter(|id| self.config.queues[id.index()].name == message.routing_key)
                .collect();
        }
        let mut reached = vec![message.exchange];
        let mut queues = Vec::new();
        let mut at = 0;
        while at < reached.len() {
            let exchange = reached[at];
            at += 1;
            let mut found = self.destinations(exchange, message);
            if found.is_empty() {
                let alternate = self.config.exchanges[exchange.index()].alternate;
                found.extend(alternate.map(Destination::Exchange));
            }
            found.sort();
            for destination in found {
                match destination {
                    Destination::Queue(queue) => queues.push(queue),
                    Destination::Exchange(next) if reached.contains(&next) => {}
                    Destination::Exchange(next) => reached.push(next),
                }
            }
        }
        queues.sort();
        queues.dedup();
        queues
    }

    fn destinations(&mut self, exchange: ExchangeId, message: &Message) -> Vec<Destination> {
        let kind = self.config.exchanges[exchange.index()].kind;
        let key = &message.routing_key;
        let bound = self
            .config
            .bindings
            .iter()
            .filter(|it| it.exchange == exchange);
        if kind == ExchangeKind::Partition {
            let mut nodes: Vec<Destination> = Vec::new();
            for binding in bound.filter(|binding| binding.weight > 0) {
                if !nodes.contains(&binding.to) {
                    nodes.push(binding.to);
                }
            }
            if nodes.is_empty() {
                return nodes;
            }
            let turn = self.turns.entry(exchange).or_default();
            let at = match key.is_empty() {
                true => *turn % nodes.len(),
                false => hashing::jump(hashing::hash(key), nodes.len() as u32) as usize,
            };
            *turn += usize::from(key.is_empty());
            return vec![nodes[at]];
        }
        if let ExchangeKind::ConsistentHash(kind) = kind {
            let mut weights = BTreeMap::<Destination, u32>::new();
            for binding in bound {
                *weights.entry(binding.to).or_default() += binding.weight;
            }
            let names: Vec<Bytes> = weights.keys().map(|to| self.name(*to)).collect();
            let nodes = names.iter().map(|name| &name[..]);
            let nodes: Vec<_> = nodes.zip(weights.values().copied()).collect();
            let nodes: Vec<(&[u8], u32)> = nodes;
            let loads: Vec<u64> = weights.keys().map(|to| self.load(*to)).collect();
            let placement = hashing::Placement::new(kind, &nodes);
            let chosen = placement.place(hashing::hash(key), |at| loads[at]);
            return Vec::from_iter(chosen.and_then(|at| weights.into_keys().nth(at)));
        }
        let matching = bound.filter(|binding| match kind {
            ExchangeKind::Direct => binding.key == *key,
            ExchangeKind::Topic => topic_matches(&words(&binding.key), &words(key)),
            ExchangeKind::Headers => headers_match(binding, message),
            _ => true,
        });
        matching.map(|binding| binding.to).collect()
    }

    /// What a hash exchange takes for the name of a destination.
    fn name(&self, to: Destination) -> Bytes {
        match to {
            Destination::Queue(queue) => self.config.queues[queue.index()].name.clone(),
            Destination::Exchange(exchange) => {
                let name = &self.config.exchanges[exchange.index()].name;
                [b"exchange/", &name[..]].concat().into()
            }
        }
    }

    /// How much a destination holds, for hashes that mind.
    fn load(&self, to: Destination) -> u64 {
        let Destination::Queue(queue) = to else {
            return 0;
        };
        let held = [State::Ready, State::InFlight, State::Settling];
        let copies = self.queues[queue.index()].copies.iter();
        copies.filter(|copy| held.contains(&copy.state)).count() as u64
    }

    /// A queue is gone, and its bindings with it.
    pub(super) fn remove_bindings(&mut self, queue: QueueId) {
        let bindings = &mut self.config.bindings;
        bindings.retain(|binding| binding.to != queue.into());
        self.turns.clear();
    }

    /// A queue is back, bound as the configuration says.
    pub(super) fn restore_bindings(&mut self, queue: QueueId) {
        for binding in &self.configured {
            if binding.to == queue.into() && !self.config.bindings.contains(binding) {
                self.config.bindings.push(binding.clone());
            }
        }
        self.turns.clear();
    }

    pub(super) fn bind(&mut self, id: ChannelId, binding: &Binding, add: bool) {
        if binding.exchange == ExchangeId::DEFAULT {
            return self.fail(id, 403, "the default exchange has its bindings");
        }
        if let Destination::Queue(queue) = binding.to
            && self.queues[queue.index()].gone
        {
            return self.fail(id, 404, "no such exchange or queue");
        }
        self.config.bindings.retain(|other| add || other != binding);
        if add && !self.config.bindings.contains(binding) {
            self.config.bindings.push(binding.clone());
        }
        self.turns.clear();
        let response = Response::Done;
        self.expect(Output::Client {
            channel: id,
            response,
        });
    }
}

fn words(text: &Bytes) -> Vec<&[u8]> {
    let words = text.split(|byte| *byte == b'.');
    words.filter(|_| !text.is_empty()).collect()
}

fn topic_matches(pattern: &[&[u8]], words: &[&[u8]]) -> bool {
    match (pattern.split_first(), words.split_first()) {
        (None, None) => true,
        (Some((&b"#", rest)), None) => topic_matches(rest, words),
        (Some((&b"#", rest)), Some((_, later))) => {
            topic_matches(rest, words) || topic_matches(pattern, later)
        }
        (Some((word, rest)), Some((first, later))) => {
            (word == first || *word == b"*") && topic_matches(rest, later)
        }
        _ => false,
    }
}

fn headers_match(binding: &Binding, message: &Message) -> bool {
    let Some(wanted) = &binding.headers else {
        return true;
    };
    let met = wanted.headers.iter().filter(|(name, value)| {
        let mut headers = message.properties.iter().flat_map(|it| &it.headers);
        headers
            .any(|(other, has)| other == name && (value.is_none() || value.as_ref() == Some(has)))
    });
    match wanted.all {
        true => met.count() == wanted.headers.len(),
        false => met.count() > 0,
    }
}

/// What a queue knows again: identities with their instants, and producers with epoch, first and last sequence.
#[derive(Clone, Default)]
pub(super) struct Seen {
    ids: Vec<(Time, Bytes)>,
    producers: BTreeMap<u64, (u32, u64, u64)>,
}

/// Repetitions.
impl Model {
    /// Whether a queue has seen a message; an error if it is out of order.
    pub(super) fn has_seen(&mut self, queue: QueueId, properties: &Properties) -> Result<bool, ()> {
        let now = self.clock.now;
        let window = self.config.queues[queue.index()].policy.deduplicate;
        let seen = &mut self.queues[queue.index()].seen;
        if let Some(window) = window {
            seen.ids.retain(|(at, _)| now < *at + window.window);
            let surplus = seen.ids.len().saturating_sub(window.capacity as usize);
            seen.ids.drain(..surplus);
        }
        if let Some(place) = properties.producer {
            let fresh = match seen.producers.get(&place.id) {
                None => place.sequence == 0 || self.config.incarnation > 0,
                Some((epoch, ..)) if *epoch < place.epoch => place.sequence == 0,
                Some((epoch, ..)) if *epoch > place.epoch => return Err(()),
                Some((_, first, last)) if place.sequence <= *last => {
                    let known = place.sequence >= *first && place.sequence + 5 > *last;
                    return if known { Ok(true) } else { Err(()) };
                }
                Some((.., last)) => place.sequence == last + 1,
            };
            if !fresh {
                return Err(());
            }
        }
        let known = |id| seen.ids.iter().any(|(_, other)| other == id);
        Ok(window.is_some() && properties.id.as_ref().is_some_and(known))
    }

    pub(super) fn remember(&mut self, queue: QueueId, properties: &Properties) {
        let window = self.config.queues[queue.index()].policy.deduplicate;
        let now = self.clock.now;
        self.queues[queue.index()]
            .seen
            .add(properties, window.is_some(), now);
    }
}

impl Seen {
    pub(super) fn add(&mut self, properties: &Properties, window: bool, now: Time) {
        if let Some(id) = properties.id.as_ref().filter(|_| window)
            && self.ids.iter().all(|(_, other)| other != id)
        {
            self.ids.push((now, id.clone()));
        }
        if let Some(place) = properties.producer {
            let known = self.producers.get(&place.id);
            let begin = (place.epoch, place.sequence, place.sequence);
            let progress = match known {
                Some((epoch, first, last)) if *epoch == place.epoch => {
                    (*epoch, *first, place.sequence.max(*last))
                }
                Some((epoch, ..)) if *epoch > place.epoch => return,
                _ => begin,
            };
            self.producers.insert(place.id, progress);
        }
    }
}
