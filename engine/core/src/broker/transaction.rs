//! Transactions of channels: publishes and settlements that happen together or not at all, in one entry of the log.

use std::collections::{BTreeMap, BTreeSet};

use super::Broker;
use super::commit::Origin;
use super::consume::Settlement;
use super::publish::Arrival;
use crate::config::{Durability, Overflow};
use crate::id::{ChannelId, ExchangeId, LogPosition, QueueId};
use crate::interface::{Event, Output, Request, Response};
use crate::message::Message;
use crate::queue::State;
use crate::{producers, seen};

/// What a channel has gathered since its last commit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gathered {
    publishes: Vec<(Message, bool)>,
    /// By delivery tag.
    settlements: BTreeMap<u64, Settlement>,
    /// A delivery was to be settled that had been taken back before.
    late: bool,
}

impl Gathered {
    pub(super) fn publish(&mut self, message: Message, mandatory: bool) {
        self.publishes.push((message, mandatory));
    }
}

/// The end of a transaction, of which the channel has not heard: it waits for the log, or for its turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    channel: ChannelId,
    epoch: u32,
    /// False if nothing of it happened because a queue or a delivery did not allow it.
    done: bool,
    position: LogPosition,
    needs_sync: bool,
}

/// What was remembered of the publishes of a transaction, in order.
#[derive(Default)]
struct Known {
    ids: Vec<(QueueId, seen::Undo)>,
    producers: Vec<producers::Undo>,
}

/// Where the publishes of a transaction go.
#[derive(Default)]
struct Plan {
    /// By publish: the queues that take it, and those that have seen it.
    routes: Vec<(Vec<QueueId>, Vec<QueueId>)>,
    known: Known,
    /// By queue: messages and bytes, and the tag of the first.
    demand: BTreeMap<QueueId, (u64, u64, u64)>,
}

impl Broker {
    pub(super) fn select_transaction(&mut self, id: ChannelId, out: &mut Vec<Output>) {
        let Some(channel) = self.connections.channel_mut(id) else {
            return;
        };
        if channel.confirms.is_some() {
            return self.fail_channel(id, 406, "the channel has confirms", out);
        }
        channel.transaction.get_or_insert_default();
        self.respond(id, Response::Done, out);
    }

    pub(super) fn roll_back(&mut self, id: ChannelId, out: &mut Vec<Output>) {
        if self.take_gathered(id, out).is_some() {
            self.end_transaction(id, true, LogPosition(0), false, out);
        }
    }

    /// Notes what is to become of deliveries. One that is settled already in this transaction is unknown.
    pub(super) fn gather_settlement(
        &mut self,
        id: ChannelId,
        delivery: u64,
        multiple: bool,
        settlement: Settlement,
        out: &mut Vec<Output>,
    ) {
        let Some(channel) = self.connections.channel_mut(id) else {
            return;
        };
        let last = channel.named(delivery, multiple);
        let Some(gathered) = &mut channel.transaction else {
            return;
        };
        let Some(last) = last.filter(|_| !gathered.settlements.contains_key(&delivery)) else {
            return self.fail_channel(id, 406, "unknown delivery tag", out);
        };
        let outstanding = channel.unacked.get(delivery).is_some();
        gathered.late |= delivery > 0 && !outstanding;
        if !multiple {
            if outstanding {
                gathered.settlements.insert(last, settlement);
            }
            return;
        }
        let named = channel.unacked.iter().map(|(delivery, _)| delivery);
        for delivery in named.take_while(|delivery| *delivery <= last) {
            gathered.settlements.entry(delivery).or_insert(settlement);
        }
    }

    /// Carries out what was gathered, unless a queue refuses or a delivery was taken back meanwhile (then nothing happens), or makes it wait
    /// for room.
    pub(super) fn commit_transaction(
        &mut self,
        id: ChannelId,
        resumed: Option<QueueId>,
        out: &mut Vec<Output>,
    ) {
        let Some(gathered) = self.take_gathered(id, out) else {
            return;
        };
        if !self.still_holds(id, &gathered) {
            return self.end_transaction(id, false, LogPosition(0), false, out);
        }
        let mut plan = Plan::default();
        let refusing = self.plan(&gathered, &mut plan);
        if refusing.is_none()
            && let Some(queue) = self.full_block_of(&plan, resumed)
        {
            self.forget(plan.known);
            if let Some(channel) = self.connections.channel_mut(id) {
                channel.transaction = Some(gathered);
            }
            return self.park(id, queue, Request::Commit, plan.demand[&queue], out);
        }
        let refused = refusing.or_else(|| self.refusing_of(&plan));
        if let Some((tag, queue)) = refused {
            self.forget(plan.known);
            if let Some(queue) = queue {
                self.observe(Event::Refused { tag, queue }, out);
            }
            return self.end_transaction(id, false, LogPosition(0), false, out);
        }
        self.carry_out(id, *gathered, plan, out);
    }

    fn take_gathered(&mut self, id: ChannelId, out: &mut Vec<Output>) -> Option<Box<Gathered>> {
        let channel = self.connections.channel_mut(id)?;
        let Some(gathered) = &mut channel.transaction else {
            self.fail_channel(id, 406, "the channel has no transaction", out);
            return None;
        };
        Some(std::mem::take(gathered))
    }

    /// Whether all deliveries that are to be settled are still with the channel: none was taken back, and with none its queue has gone.
    fn still_holds(&mut self, id: ChannelId, gathered: &Gathered) -> bool {
        let Some(channel) = self.connections.channel_mut(id) else {
            return false;
        };
        let (queues, leases) = (&self.queues, &self.streams.leases);
        let holds = |delivery: &u64| {
            let unacked = channel.unacked.get(*delivery);
            unacked.is_some_and(|unacked| {
                let queue = &queues[unacked.queue.index()];
                if queue.stream.is_some() {
                    // Without a group there is no lease.
                    return unacked.serial == 0 || leases.get(unacked.serial).is_some();
                }
                let slot = queue.slot(unacked.serial);
                slot.is_some_and(|slot| slot.state == State::InFlight)
            })
        };
        !gathered.late && gathered.settlements.keys().all(holds)
    }

    /// Routes all publishes. The result is one that is out of order, with its first target.
    fn plan(&mut self, gathered: &Gathered, plan: &mut Plan) -> Option<(u64, Option<QueueId>)> {
        for (message, _) in &gathered.publishes {
            let (mut targets, mut seen) = (Vec::new(), Vec::new());
            let queues = &self.queues;
            let depth = |queue: QueueId| queues[queue.index()].depth();
            self.router
                .route(message.exchange, message, depth, &mut targets);
            if let Some(properties) = message.identity() {
                match self.split_seen(properties, &mut targets) {
                    Ok(split) => seen = split,
                    Err(queue) => return Some((message.tag, queue)),
                }
                let producer = self.remember_producer(properties, &targets);
                plan.known.producers.extend(producer);
                for queue in targets.iter().copied() {
                    let undo = self.remember(queue, properties);
                    plan.known.ids.extend(undo.map(|undo| (queue, undo)));
                }
            }
            for queue in &targets {
                let demand = plan.demand.entry(*queue).or_insert((0, 0, message.tag));
                demand.0 += 1;
                demand.1 = demand.1.saturating_add(message.size());
            }
            plan.routes.push((targets, seen));
        }
        None
    }

    fn forget(&mut self, known: Known) {
        for (queue, undo) in known.ids.into_iter().rev() {
            if let Some(seen) = &mut self.queues[queue.index()].seen {
                seen.undo(undo);
            }
        }
        for undo in known.producers.into_iter().rev() {
            self.producers.undo(undo);
        }
    }

    /// The first queue that the transaction has to wait for.
    fn full_block_of(&self, plan: &Plan, resumed: Option<QueueId>) -> Option<QueueId> {
        let mut demand = plan.demand.iter();
        let full = demand.find(|(id, (count, bytes, _))| {
            let queue = &self.queues[id.index()];
            let in_turn = queue.parked.is_empty() || resumed == Some(**id);
            queue.config.overflow == Overflow::Block
                && queue.can_ever_fit_all(*count, *bytes)
                && !(queue.has_room_for(*count, *bytes) && in_turn)
        });
        full.map(|(id, _)| *id)
    }

    /// The first queue that says no, with the first message for it.
    fn refusing_of(&self, plan: &Plan) -> Option<(u64, Option<QueueId>)> {
        let mut demand = plan.demand.iter();
        let full = demand.find(|(id, (count, bytes, _))| {
            let queue = &self.queues[id.index()];
            queue.refuses() && !queue.has_room_for(*count, *bytes)
        });
        full.map(|(id, (.., tag))| (*tag, Some(*id)))
    }

    /// All of it becomes one entry.
    fn carry_out(&mut self, id: ChannelId, gathered: Gathered, plan: Plan, out: &mut Vec<Output>) {
        let before = self.log.next();
        self.transaction.held = true;
        for ((message, mandatory), (targets, seen)) in gathered.publishes.iter().zip(&plan.routes) {
            self.announce(id, message, *mandatory, targets, seen, out);
        }
        // As with a single publish, queues that would refuse come first: what the others displace may fill them up.
        for refuses in [true, false] {
            for ((message, _), (targets, _)) in gathered.publishes.iter().zip(&plan.routes) {
                for target in targets.iter().copied() {
                    if self.queues[target.index()].refuses() == refuses {
                        let arrival = Arrival {
                            message: message.clone(),
                            origin: Origin::Unconfirmed,
                            from: None,
                            hops: 0,
                        };
                        self.place(target, arrival, out);
                    }
                }
            }
        }
        for (delivery, settlement) in gathered.settlements {
            let channel = self.connections.channel_mut(id);
            if let Some(unacked) = channel.and_then(|channel| channel.unacked.remove(delivery)) {
                self.settle_one(unacked, settlement, out);
            }
        }
        // What groups are done with by that is part of it.
        self.advance_cursors(out);
        self.transaction.held = false;
        let mut needs_sync = self.transaction.needs_sync;
        self.commit(out);

        let seen = plan.routes.iter().flat_map(|(_, seen)| seen);
        let mut durability = Durability::None;
        for queue in seen {
            durability = durability.max(self.queues[queue.index()].config.durability);
        }
        needs_sync |= durability == Durability::Fsync;
        let position = match self.log.next() > before || durability > Durability::None {
            true => LogPosition(self.log.next().0 - 1),
            false => LogPosition(0),
        };
        self.end_transaction(id, true, position, needs_sync, out);
        if self.flow.is_some() {
            let targets: Vec<QueueId> = plan.demand.into_keys().collect();
            let publishes = gathered.publishes.len() as u32;
            self.spend_credit(id.connection, publishes, before, &targets, out);
        }
    }

    /// Tells where a publish goes.
    fn announce(
        &mut self,
        id: ChannelId,
        message: &Message,
        mandatory: bool,
        targets: &[QueueId],
        seen: &[QueueId],
        out: &mut Vec<Output>,
    ) {
        let (tag, copies) = (message.tag, targets.len() as u32);
        if copies > 0 || seen.is_empty() {
            self.observe(Event::Routed { tag, copies }, out);
        }
        for queue in seen.iter().copied() {
            self.observe(Event::Deduplicated { tag, queue }, out);
        }
        if copies > 0 || !seen.is_empty() {
            return;
        }
        let answered = message.exchange == ExchangeId::DEFAULT && self.answer(message, out);
        if mandatory && !answered {
            let message = message.clone();
            self.respond(id, Response::Returned { message }, out);
        }
    }

    /// A transaction has ended, which its channel hears once the log has come to `position`.
    fn end_transaction(
        &mut self,
        id: ChannelId,
        done: bool,
        position: LogPosition,
        needs_sync: bool,
        out: &mut Vec<Output>,
    ) {
        if let Some(channel) = self.connections.channel_mut(id) {
            self.ended.push(Ended {
                channel: id,
                epoch: channel.epoch,
                done,
                position,
                needs_sync,
            });
        }
        self.answer_transactions(out);
    }

    /// Answers the transactions for which the log has come far enough, those of a channel in order: it may have sent one commit after another.
    pub(super) fn answer_transactions(&mut self, out: &mut Vec<Output>) {
        let (written, synced) = self.log.reached();
        let mut waiting = Vec::new();
        // Lives of channels that wait.
        let mut behind = BTreeSet::new();
        for ended in std::mem::take(&mut self.ended) {
            let reached = if ended.needs_sync { synced } else { written };
            let life = (ended.channel, ended.epoch);
            if ended.position > reached || behind.contains(&life) {
                behind.insert(life);
                waiting.push(ended);
                continue;
            }
            let channel = self.connections.channel_mut(ended.channel);
            if channel.is_some_and(|channel| channel.epoch == ended.epoch) {
                let response = match ended.done {
                    true => Response::Done,
                    false => Response::TransactionFailed,
                };
                self.respond(ended.channel, response, out);
            }
        }
        self.ended = waiting;
    }

    fn respond(&self, channel: ChannelId, response: Response, out: &mut Vec<Output>) {
        out.push(Output::Client { channel, response });
    }
}
