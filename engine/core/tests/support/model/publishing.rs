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

/// What a queue knows again: identities with their instants.
#[derive(Clone, Default)]
pub(super) struct Seen {
    ids: Vec<(Time, Bytes)>,
}

/// What is known of a producer: epoch, first and last sequence, and the most durable queue that took something in that epoch.
#[derive(Clone, Copy)]
pub(super) struct Progress {
    epoch: u32,
    first: u64,
    last: u64,
    slowest: Option<(Durability, QueueId)>,
}

#[derive(Clone, Default)]
pub(super) struct Producers(BTreeMap<u64, Progress>);

/// Repetitions.
impl Model {
    /// Splits targets into those that take a message and those that have seen it; an error, with the first target, if it is out of order.
    pub(super) fn split_seen(
        &mut self,
        mut targets: Vec<QueueId>,
        properties: &Properties,
    ) -> Result<(Vec<QueueId>, Vec<QueueId>), Option<QueueId>> {
        if let Some(place) = properties.producer {
            let fresh = match self.producers.0.get(&place.id) {
                None => place.sequence == 0 || self.config.incarnation > 0,
                Some(known) if known.epoch < place.epoch => place.sequence == 0,
                Some(known) if known.epoch > place.epoch => false,
                Some(known) if place.sequence <= known.last => {
                    if place.sequence < known.first {
                        return Err(targets.first().copied());
                    }
                    let strongest = targets.iter().map(|queue| self.durability(queue.index()));
                    let strongest = strongest.max().unwrap_or_default();
                    let slowest = known.slowest.filter(|(how, _)| *how > strongest);
                    targets.extend(slowest.map(|(_, queue)| queue));
                    return Ok((Vec::new(), targets));
                }
                Some(known) => place.sequence == known.last + 1,
            };
            if !fresh {
                return Err(targets.first().copied());
            }
        }
        let seen = |queue: &QueueId| self.has_seen(*queue, properties);
        let (seen, new) = targets.into_iter().partition(seen);
        Ok((new, seen))
    }

    fn has_seen(&mut self, queue: QueueId, properties: &Properties) -> bool {
        let now = self.clock.now;
        let window = self.config.queues[queue.index()].policy.deduplicate;
        let seen = &mut self.queues[queue.index()].seen;
        if let Some(window) = window {
            seen.ids.retain(|(at, _)| now < *at + window.window);
            let surplus = seen.ids.len().saturating_sub(window.capacity as usize);
            seen.ids.drain(..surplus);
        }
        let known = |id| seen.ids.iter().any(|(_, other)| other == id);
        window.is_some() && properties.id.as_ref().is_some_and(known)
    }

    pub(super) fn remember(&mut self, targets: &[QueueId], properties: &Properties) {
        let now = self.clock.now;
        for queue in targets {
            let window = self.config.queues[queue.index()].policy.deduplicate;
            let seen = &mut self.queues[queue.index()].seen;
            seen.add(properties, window.is_some(), now);
        }
        let queues = targets.iter();
        let queues = queues.map(|queue| (self.durability(queue.index()), *queue));
        let queues: Vec<_> = queues.collect();
        self.producers.add(properties, &queues);
    }
}

impl Seen {
    pub(super) fn starts(&mut self, now: Time) {
        for (since, _) in &mut self.ids {
            *since = now;
        }
    }

    pub(super) fn add(&mut self, properties: &Properties, window: bool, now: Time) {
        if let Some(id) = properties.id.as_ref().filter(|_| window)
            && self.ids.iter().all(|(_, other)| other != id)
        {
            self.ids.push((now, id.clone()));
        }
    }
}

impl Producers {
    /// Knows what the log shows.
    pub(super) fn replay(&mut self, config: &BrokerConfig, log: &[(LogPosition, Entry)]) {
        let commands = log.iter().flat_map(|(_, entry)| entry.commands());
        for command in commands {
            let Command::Enqueue { copy, message, .. } = command else {
                continue;
            };
            let how = config.queues[copy.queue.index()].durability;
            let properties = message.properties.as_deref();
            let published = properties.filter(|it| it.deaths.is_empty());
            if let Some(properties) = published.filter(|_| how > Durability::None) {
                self.add(properties, &[(how, copy.queue)]);
            }
        }
    }

    /// A message was taken by queues of these durabilities.
    pub(super) fn add(&mut self, properties: &Properties, queues: &[(Durability, QueueId)]) {
        let Some(place) = properties.producer else {
            return;
        };
        let mut begin = Progress {
            epoch: place.epoch,
            first: place.sequence,
            last: place.sequence,
            slowest: None,
        };
        match self.0.get(&place.id) {
            Some(known) if known.epoch > place.epoch => return,
            Some(known) if known.epoch == place.epoch => {
                begin.first = known.first;
                begin.last = known.last.max(place.sequence);
                begin.slowest = known.slowest;
            }
            _ => {}
        }
        for (how, queue) in queues {
            if *how > begin.slowest.map_or(Durability::None, |(how, _)| how) {
                begin.slowest = Some((*how, *queue));
            }
        }
        self.0.insert(place.id, begin);
    }
}
