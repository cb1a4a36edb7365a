//! Transactions of channels in the naive broker.

use super::*;

/// What a channel has gathered since its last ended.
#[derive(Clone, Default)]
pub(super) struct Gathered {
    pub(super) publishes: Vec<(Message, bool)>,
    /// By delivery tag: `None` for an ack, else whether the message is to be requeued.
    settlements: BTreeMap<u64, Option<bool>>,
    /// A delivery was to be settled that had been taken back before.
    late: bool,
}

/// The end of a transaction that waits for the log, or for its turn.
#[derive(Clone, Copy)]
pub(super) struct Ended {
    channel: ChannelId,
    epoch: u64,
    done: bool,
    position: LogPosition,
    needs_sync: bool,
}

/// Where the publishes of a transaction go: per publish the queues that take it, and those that have seen it.
type Routes = Vec<(Vec<QueueId>, Vec<QueueId>)>;

impl Model {
    pub(super) fn confirm_select(&mut self, id: ChannelId) {
        if self.channel(id).transaction.is_some() {
            return self.fail(id, 406, "the channel has transactions");
        }
        self.channel(id).publishes.get_or_insert_default();
    }

    pub(super) fn select_transaction(&mut self, id: ChannelId) {
        if self.channel(id).publishes.is_some() {
            return self.fail(id, 406, "the channel has confirms");
        }
        self.channel(id).transaction.get_or_insert_default();
        self.respond(id, Response::Done);
    }

    pub(super) fn roll_back(&mut self, id: ChannelId) {
        match self.channel(id).transaction {
            None => self.fail(id, 406, "the channel has no transaction"),
            Some(_) => {
                self.channel(id).transaction = Some(Gathered::default());
                self.end_transaction(id, true, LogPosition(0), false);
            }
        }
    }

    /// Notes what is to become of a channel's deliveries.
    pub(super) fn gather(
        &mut self,
        id: ChannelId,
        delivery: u64,
        named: &[u64],
        late: bool,
        requeue: Option<bool>,
    ) {
        let gathered = self.channel(id).transaction.as_mut().unwrap();
        if gathered.settlements.contains_key(&delivery) {
            return self.fail(id, 406, "unknown delivery tag");
        }
        gathered.late |= late;
        for delivery in named {
            gathered.settlements.entry(*delivery).or_insert(requeue);
        }
    }

    pub(super) fn commit_transaction(&mut self, id: ChannelId, resumed: Option<QueueId>) {
        let Some(gathered) = self.channel(id).transaction.clone() else {
            return self.fail(id, 406, "the channel has no transaction");
        };
        if gathered.late || !gathered.settlements.keys().all(|it| self.holds(id, *it)) {
            self.channel(id).transaction = Some(Gathered::default());
            return self.end_transaction(id, false, LogPosition(0), false);
        }
        let seen: Vec<publishing::Seen> =
            self.queues.iter().map(|queue| queue.seen.clone()).collect();
        let known = (seen, self.producers.clone());
        let planned = self.plan(&gathered);
        let refused = match &planned {
            Err(refused) => Some(*refused),
            Ok(routes) => {
                let demand = demand(&gathered, routes);
                let parks = demand.iter().find(|(queue, (count, bytes, _))| {
                    let turn = self.queues[queue.index()].parked.is_empty();
                    let turn = turn || resumed == Some(**queue);
                    self.overflow(**queue) == Overflow::Block
                        && self.fits(**queue, count - 1, 0, *bytes)
                        && !(turn && self.has_room_for(**queue, *count, *bytes))
                });
                if let Some((queue, (count, bytes, tag))) = parks {
                    self.know(known);
                    self.observe(Event::Parked {
                        tag: *tag,
                        queue: *queue,
                    });
                    return self.park(id, *queue, Request::Commit, (*count, *bytes));
                }
                let refusing = demand.iter().find(|(queue, (count, bytes, _))| {
                    self.refuses(**queue) && !self.has_room_for(**queue, *count, *bytes)
                });
                refusing.map(|(queue, (.., tag))| (*tag, Some(*queue)))
            }
        };
        self.channel(id).transaction = Some(Gathered::default());
        if let Some((tag, queue)) = refused {
            self.know(known);
            if let Some(queue) = queue {
                self.observe(Event::Refused { tag, queue });
            }
            return self.end_transaction(id, false, LogPosition(0), false);
        }
        self.carry_out(id, gathered, planned.unwrap());
    }

    /// Whether a delivery can still be settled.
    fn holds(&mut self, id: ChannelId, delivery: u64) -> bool {
        let mut unacked = self.channel(id).unacked.iter();
        let Some((_, name, _)) = unacked.find(|(tag, ..)| *tag == delivery).copied() else {
            return false;
        };
        let copy = self.find(name);
        copy.is_some_and(|copy| copy.state == State::InFlight)
    }

    fn know(&mut self, known: (Vec<publishing::Seen>, publishing::Producers)) {
        self.producers = known.1;
        for (queue, seen) in self.queues.iter_mut().zip(known.0) {
            queue.seen = seen;
        }
    }

    /// Routes all publishes; an error is one that is out of order.
    fn plan(&mut self, gathered: &Gathered) -> Result<Routes, (u64, Option<QueueId>)> {
        let mut routes = Vec::new();
        for (message, _) in &gathered.publishes {
            let targets = self.route(message);
            let properties = message.properties.clone().unwrap_or_default();
            let split = self.split_seen(targets, &properties);
            let split = split.map_err(|queue| (message.tag, queue))?;
            self.remember(&split.0, &properties);
            routes.push(split);
        }
        Ok(routes)
    }

    fn carry_out(&mut self, id: ChannelId, gathered: Gathered, routes: Routes) {
        let before = self.last;
        for ((message, mandatory), (targets, seen)) in gathered.publishes.iter().zip(&routes) {
            self.announce(id, message, *mandatory, targets, seen);
        }
        self.held = true;
        for refuses in [true, false] {
            for ((message, _), (targets, _)) in gathered.publishes.iter().zip(&routes) {
                for target in targets.iter().copied() {
                    if self.refuses(target) == refuses {
                        self.place(target, message.clone(), Origin::Nobody, None, 0);
                    }
                }
            }
        }
        for (delivery, requeue) in gathered.settlements {
            let unacked = &mut self.channel(id).unacked;
            if let Some(at) = unacked.iter().position(|(tag, ..)| *tag == delivery) {
                let (_, name, _) = unacked.remove(at);
                self.settle_one(name, requeue);
            }
        }
        self.held = false;
        let strongest = |queues: &mut dyn Iterator<Item = usize>| {
            queues.map(|queue| self.durability(queue)).max()
        };
        let mut logged = self.commands.iter().map(|it| it.copy().queue.index());
        let logged = strongest(&mut logged);
        let mut seen = routes.iter().flat_map(|(_, seen)| seen.iter().copied());
        let seen = strongest(&mut seen.by_ref().map(QueueId::index));
        self.commit();
        let waits_for = logged.max(seen).unwrap_or_default();
        let position = match waits_for {
            Durability::None => LogPosition(0),
            _ => self.last,
        };
        self.end_transaction(id, true, position, waits_for == Durability::Fsync);
        let mut targets: Vec<QueueId> = routes.into_iter().flat_map(|(to, _)| to).collect();
        targets.sort_unstable();
        targets.dedup();
        self.spend_credit(id.connection, gathered.publishes.len(), before, &targets);
    }

    fn end_transaction(&mut self, id: ChannelId, done: bool, position: LogPosition, sync: bool) {
        self.ended.push(Ended {
            channel: id,
            epoch: self.connections[&id.connection].channels[&id.number].epoch,
            done,
            position,
            needs_sync: sync,
        });
        self.answer_transactions();
    }

    /// Answers transactions, those of a channel in order.
    pub(super) fn answer_transactions(&mut self) {
        let mut at = 0;
        while let Some(ended) = self.ended.get(at).copied() {
            let life = (ended.channel, ended.epoch);
            let mut earlier = self.ended[..at].iter();
            let first = !earlier.any(|other| (other.channel, other.epoch) == life);
            let reached = if ended.needs_sync {
                self.synced
            } else {
                self.written
            };
            if !first || ended.position > reached {
                at += 1;
                continue;
            }
            self.ended.remove(at);
            let connection = self.connections.get(&ended.channel.connection);
            let channel = connection.and_then(|open| open.channels.get(&ended.channel.number));
            if channel.is_some_and(|channel| channel.epoch == ended.epoch) {
                let failed = Response::TransactionFailed;
                let response = if ended.done { Response::Done } else { failed };
                self.respond(ended.channel, response);
            }
        }
    }

    pub(crate) fn has_transaction(&self, id: ChannelId) -> bool {
        let connection = self.connections.get(&id.connection);
        let channel = connection.and_then(|open| open.channels.get(&id.number));
        channel.is_some_and(|channel| channel.transaction.is_some())
    }
}

/// By queue: how many messages and bytes are for it, and the tag of the first.
fn demand(gathered: &Gathered, routes: &Routes) -> BTreeMap<QueueId, (u64, u64, u64)> {
    let mut demand = BTreeMap::new();
    for ((message, _), (targets, _)) in gathered.publishes.iter().zip(routes) {
        for queue in targets {
            let entry = demand.entry(*queue).or_insert((0, 0, message.tag));
            (entry.0, entry.1) = (entry.0 + 1, entry.1 + message.size());
        }
    }
    demand
}
