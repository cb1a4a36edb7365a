//! Faults: what begins, what ends, what they took.

mod activation;
mod clients;
mod clock;
mod disk;
mod liveness;
mod network;
mod node;
mod operator;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use queuelab_core::{Command, Durability, MessageCopy, QueueId, Recovered, Span, Time};
use queuelab_record::{FaultRecord, grouped};
use queuelab_scenario::{Ack, Fault, FaultKind, Milestone, Unsynced};
use queuelab_workload::{Consumer, ConsumerAction, Stream};

use crate::check::Tag;
use crate::journey::{Held, State};
use crate::world::{Event, World};

use activation::OWN_STEP;
pub use activation::{Milestones, Strikes};
pub use clients::{ConsumerTrouble, ProducerTrouble};
pub use network::{CONNECT_TIMEOUT, HELD};
pub use node::Stopping;
use node::joined;

impl World {
    /// A fault of the scenario begins, if it can.
    pub fn fault_begins(&mut self, fault: u32) {
        let now = self.calendar.now();
        let Some(span) = self.strike(fault) else {
            return;
        };
        self.forget_drains();
        let spec = self.scenario.faults[fault as usize].clone();
        let kind = spec.kind.name();
        let target = self.target_of(fault);
        let record = self.faults.len();
        self.active.insert(fault, record);
        self.strikes.records.insert(fault, record);
        self.faults.push(FaultRecord {
            name: spec.name.clone(),
            kind: kind.into(),
            target: target.clone(),
            from: now,
            // As far as is known yet.
            until: (now + span).min(self.end),
            effect: String::new(),
        });
        self.say(format!("fault {}: {kind} of {target}", spec.name));
        let effect = match spec.kind {
            FaultKind::Crash { unsynced } | FaultKind::PowerLoss { unsynced } => {
                self.node_dies(unsynced, &self.chance(fault, "fault/disk"))
            }
            FaultKind::Wipe => {
                let before = self.lost();
                self.node_dies(Unsynced::Keep, &self.chance(fault, "fault/disk"));
                self.wipe_disk();
                format!("it took {} messages", grouped(self.lost() - before))
            }
            FaultKind::SlowDisk { factor } => {
                self.set_factors();
                format!("fsync took {factor} times as long")
            }
            FaultKind::SlowConsumer { factor, .. } => {
                self.set_factors();
                format!("service took {factor} times as long")
            }
            FaultKind::PauseConsumer { .. } => {
                self.each_member(fault, |world, consumer| world.pause(consumer, true));
                "nothing was served".into()
            }
            FaultKind::ConsumerCrash { .. } => {
                let mut held = 0;
                self.each_member(fault, |world, consumer| {
                    held += world.consumer_dies(consumer)
                });
                format!("{} messages were in its hands", grouped(held))
            }
            ref kind => match Theme::of(kind) {
                Theme::Process => self.process_fault_begins(fault, kind),
                Theme::Disk => self.disk_fault_begins(fault, kind),
                Theme::Network => self.network_fault_begins(fault, kind, span),
                Theme::Clock => self.clock_fault_begins(fault, kind),
                Theme::Clients => self.client_fault_begins(fault, kind),
                Theme::Operator => self.operator_acts(fault, kind),
            },
        };
        if !effect.is_empty() {
            self.say(format!("fault {}: {effect}", spec.name));
        }
        // Behind that comes what it has led to already.
        if let Some(record) = self.faults.get_mut(record) {
            record.effect = joined(&effect, &record.effect);
        }
        if span < Span::MAX {
            self.calendar.after(span, Event::FaultEnds(fault));
        }
    }

    /// A fault is over.
    pub fn fault_ends(&mut self, fault: u32) {
        let now = self.calendar.now();
        let spec = self.scenario.faults[fault as usize].clone();
        // Healing may have ended it before.
        let Some(at) = self.active.remove(&fault) else {
            return;
        };
        self.faults[at].until = now;
        self.strike_ends(fault);
        match spec.kind {
            FaultKind::Crash { .. } | FaultKind::PowerLoss { .. } | FaultKind::Wipe => {
                self.node_restarts()
            }
            FaultKind::SlowDisk { .. } | FaultKind::SlowConsumer { .. } => self.set_factors(),
            FaultKind::PauseConsumer { .. } => {
                self.each_member(fault, |world, consumer| world.pause(consumer, false));
            }
            FaultKind::ConsumerCrash { .. } => self.each_member(fault, World::consumer_restarts),
            ref kind => match Theme::of(kind) {
                Theme::Process => self.process_fault_ends(fault, kind),
                Theme::Network => self.network_fault_ends(fault, kind),
                Theme::Clock => self.clock_fault_ends(fault, kind),
                Theme::Clients => self.client_fault_ends(fault, kind),
                Theme::Disk => self.disk_fault_ends(fault, kind),
                Theme::Operator => {}
            },
        }
        self.strikes.struck.remove(&fault);
        self.mind_liveness();
        self.say(format!("fault {} is over", spec.name));
    }

    /// A fault goes on: a coin is tossed, or its next step is due.
    pub fn fault_steps(&mut self, fault: u32, step: u32) {
        if step & OWN_STEP == 0 {
            if self.strikes.healed.is_none() {
                self.toss(fault, step);
            }
            return;
        }
        let Some(step) = self.step_is_due(fault, step) else {
            return;
        };
        match self.scenario.faults[fault as usize].kind {
            FaultKind::Swizzle { .. } => self.swizzle_step(fault, step),
            FaultKind::Stop { .. } => self.stop_closes(fault),
            FaultKind::MisdirectedWrite => self.waits_for_misdirection(fault),
            _ => self.clock_fault_steps(fault, step),
        }
    }

    /// Adds a fault to the run.
    pub fn inject(&mut self, fault: Fault) {
        let number = self.scenario.faults.len() as u32;
        Arc::make_mut(&mut self.scenario).faults.push(fault);
        self.strikes.injected.insert(number);
        self.schedule_fault(number);
    }

    /// The node's process dies, or its machine: `unsynced` says what becomes of what was not synced, where `chance` decides. Connections
    /// are reset. Returns what that took, in words.
    pub fn node_dies(&mut self, unsynced: Unsynced, chance: &Stream) -> String {
        let now = self.calendar.now();
        if self.node.broker.is_none() {
            if unsynced == Unsynced::Keep {
                return "it was down already".into();
            }
            // What the operating system kept of a dead process goes with the machine.
            let entries = self.node.disk.crash(now, unsynced, chance);
            let lost = self.lose_copies(None);
            return format!(
                "it was down already; that took {lost} messages and {entries} unsynced log entries"
            );
        }
        for tag in self.node.die(now) {
            self.vanished(tag);
        }
        self.check.forget_assignments();
        self.check.forget_returns();
        self.check.log_ended();
        for alarm in &mut self.alarms {
            alarm.until = alarm.until.min(now);
        }
        for tag in std::mem::take(&mut self.parked).into_keys() {
            self.vanished(tag);
        }
        // What a failed log held of what was written is as uncertain as after a power loss.
        let power = unsynced != Unsynced::Keep || self.node.disk.failure().is_some();
        let damaged = self.node.disk.is_damaged();
        let entries = self.node.disk.crash(now, unsynced, chance);
        for connection in 0..self.connections.len() as u32 {
            if self.brokerless.is_direct(connection) {
                continue;
            }
            self.cut(connection);
            self.notices(connection);
        }
        let certain = match power {
            true => Durability::Fsync,
            false => Durability::Os,
        };
        let lost = self.lose_copies((!damaged).then_some(certain));
        format!(
            "it took {} messages and {} log entries",
            grouped(lost),
            grouped(entries)
        )
    }

    /// How many copies were lost so far.
    fn lost(&self) -> u64 {
        self.metrics.queues.iter().map(|queue| queue.lost).sum()
    }

    /// Copies that are not in what the disk kept are lost. Returns how many. What took effect in a queue at least as durable as `certain` was
    /// logged before; of a log that changed at rest nothing is to be expected.
    fn lose_copies(&mut self, certain: Option<Durability>) -> u64 {
        let now = self.calendar.now();
        let phase = self.metrics.phase;
        let log = LogContents::of(&self.node.disk.contents());
        let mut total = 0;
        let of_broker = |queue: &usize| !self.brokerless.is(*queue);
        for queue in (0..self.layout.len()).filter(of_broker).collect::<Vec<_>>() {
            let copy = |serial| MessageCopy {
                queue: QueueId(queue as u32),
                serial,
            };
            let in_broker = self
                .journeys
                .of_queue(queue)
                .filter(|(_, journey)| journey.state != State::Removed);
            let (kept, gone): (Vec<u64>, Vec<u64>) = in_broker
                .map(|(serial, _)| serial)
                .partition(|serial| log.holds.contains_key(&copy(*serial)));
            let metrics = &mut self.metrics.queues[queue];
            metrics.came_back = 0;
            metrics
                .priorities
                .iter_mut()
                .for_each(|level| level.ready = 0);
            for serial in gone {
                let copy = copy(serial);
                let Some(journey) = self.journeys.get(copy).cloned() else {
                    continue;
                };
                self.end_journey(copy);
                let tag = Tag(journey.tag);
                if journey.state != State::Proposed {
                    self.metrics.littles.leave(now, journey.committed);
                }
                // If the log has its removal, or its consumer was done and only the ack was under way, it is finished.
                let metrics = &mut self.metrics.queues[queue];
                if log.moved.contains(&copy) {
                    metrics.deaths[0] += 1;
                    self.check.ended(tag);
                } else if journey.state == State::Proposed
                    && journey.moved
                    && log.holds.values().any(|held| held.tag == journey.tag)
                {
                    // A dead letter that the log does not have has not left its source, which it does have.
                    metrics.begun -= 1;
                    metrics.phases[journey.phase as usize].offered -= 1;
                    self.check.unmade(tag);
                } else if journey.served && !self.journeys.is_stream(queue) {
                    metrics.count(phase, |counts| counts.acked += 1);
                    self.check.ended(tag);
                } else if log.removed.contains(&copy) {
                    match journey.state {
                        State::InFlight => metrics.rejected += 1,
                        _ => metrics.dropped += 1,
                    }
                    self.check.ended(tag);
                    self.consumed(journey.tag);
                } else {
                    self.metrics.queues[queue].lost += 1;
                    total += 1;
                    self.check.lost(now, tag, copy, "a crash");
                    self.consumed(journey.tag);
                }
            }
            for serial in &kept {
                let copy = copy(*serial);
                if let Some(journey) = self.journeys.get_mut(copy) {
                    journey.in_vain = log.in_vain.get(&copy).copied().unwrap_or_default();
                    if journey.state == State::Stalled {
                        journey.state = State::Leaving;
                    }
                }
            }
            // What was delayed waits on, as the disk has it.
            let is_delayed = |serial: &&u64| {
                let journey = self.journeys.get(copy(**serial));
                journey.is_some_and(|journey| journey.state == State::Delayed)
            };
            let delayed = kept.iter().filter(is_delayed).count() as u64;
            let kept = kept.len() as u64 + self.resurrect(queue, &log, certain);
            let metrics = &mut self.metrics.queues[queue];
            metrics.delayed.set(now, phase, delayed);
            metrics.stalled = 0;
            metrics.set_ready(now, phase, kept - delayed);
        }
        total
    }

    /// Copies whose removal took effect, but not on the disk, are back. Returns how many.
    fn resurrect(&mut self, queue: usize, log: &LogContents, certain: Option<Durability>) -> u64 {
        let now = self.calendar.now();
        let back: Vec<(u64, Held)> = log
            .holds
            .iter()
            .filter(|(copy, _)| copy.queue.index() == queue)
            .filter(|(copy, _)| {
                self.journeys
                    .get(**copy)
                    .is_none_or(|journey| journey.state == State::Removed)
            })
            .map(|(copy, held)| (copy.serial, *held))
            .collect();
        for (_, Held { tag, .. }) in &back {
            self.check.begun(Tag(*tag), true);
            self.copy_begins(*tag, now, true);
            self.metrics.littles.enter(now);
        }
        // Nobody waits for the log when acknowledgements are automatic.
        let of = self.layout.queue_of(queue);
        let auto_ack = |group: &queuelab_scenario::Consumer| {
            group.ack == Ack::Auto && group.from.contains(&of)
        };
        let durability = self.scenario.queues[self.layout.queue_of(queue)].durability;
        let awaited = certain.is_some_and(|certain| durability >= certain);
        if awaited && !self.scenario.consumers.iter().any(auto_ack) {
            self.check.undead(now, queue, back.len() as u64);
        }
        self.metrics.queues[queue].resurrected += back.len() as u64;
        self.journeys.resurrect(queue, now, &back);
        back.len() as u64
    }

    /// Faults may overlap: the node stays down until the last one is over.
    pub fn node_restarts(&mut self) {
        if self.active.keys().any(|fault| self.keeps_down(*fault)) || self.node.broker.is_some() {
            return;
        }
        self.reach(Milestone::Restart, true, None);
        if self.node.broker.is_some() || self.active.keys().any(|fault| self.keeps_down(*fault)) {
            return;
        }
        let recovered = match self.node.disk.restart() {
            Ok(recovered) => recovered,
            Err(refusal) => {
                self.say(format!("n1 stays down: {refusal}"));
                self.node.stopped = Some(refusal);
                return;
            }
        };
        self.node.stopped = None;
        self.set_durabilities();
        let scenario = self.scenario.clone();
        let now = self.calendar.now();
        if self.node.disk.take_altered() {
            self.lose_copies(None);
        }
        self.check.log_found(recovered.last);
        self.node.boot(&scenario, &self.layout, now, recovered);
        self.settle_node();
        self.say(format!(
            "n1 is up again, life {}",
            self.node.incarnation + 1
        ));
        self.reach(Milestone::Restart, false, None);
    }

    /// A consumer's process dies, if it has not already. Returns how many messages it held.
    fn consumer_dies(&mut self, consumer: u32) -> u64 {
        let crashes = &mut self.consumers[consumer as usize].crashes;
        *crashes += 1;
        if *crashes > 1 {
            return 0;
        }
        let held = {
            let machine = &self.consumers[consumer as usize].machine;
            machine.buffered() + u64::from(machine.serving())
        };
        self.forget_held(consumer);
        self.forget_relayed(consumer);
        let connection = self.consumer_connection(consumer);
        self.let_go(connection);
        self.consumer_does(consumer, |machine, now, actions| {
            machine.crash(now, actions)
        });
        self.sender_goes(connection, true);
        self.say_goodbye(connection);
        held
    }

    /// Faults may overlap: a consumer comes back when the last crash is over.
    fn consumer_restarts(&mut self, consumer: u32) {
        let crashes = &mut self.consumers[consumer as usize].crashes;
        *crashes -= 1;
        if *crashes == 0 {
            self.consumer_does(consumer, |machine, now, actions| {
                machine.restart(now, actions)
            });
        }
    }

    /// Faults may overlap: the factors of those that are on multiply, anew each time so that none leaves a rounding error.
    fn set_factors(&mut self) {
        let now = self.calendar.now();
        let scenario = self.scenario.clone();
        let active: Vec<&FaultKind> = self
            .active
            .keys()
            .map(|fault| &scenario.faults[*fault as usize].kind)
            .collect();
        let of_cpu = active.iter().filter_map(|kind| match kind {
            FaultKind::SlowCpu { factor } => Some(factor),
            _ => None,
        });
        self.node.set_cpu_factor(of_cpu.product());
        let of_disk = active.iter().filter_map(|kind| match kind {
            FaultKind::SlowDisk { factor } => Some(factor),
            _ => None,
        });
        self.node.disk.factor = of_disk.product();
        for consumer in 0..self.consumers.len() as u32 {
            let connection = self.consumer_connection(consumer);
            let of_member = self.active.keys().filter_map(|fault| {
                let struck = self.strikes.struck.get(fault)?;
                match &scenario.faults[*fault as usize].kind {
                    FaultKind::SlowConsumer { factor, .. } if struck.contains(&connection) => {
                        Some(factor)
                    }
                    _ => None,
                }
            });
            let factor: f64 = of_member.product();
            let slot = &mut self.consumers[consumer as usize];
            if std::mem::replace(&mut slot.factor, factor) != factor {
                slot.machine.set_factor(now, factor);
                self.consumer_acts(consumer);
            }
        }
    }

    /// Faults may overlap: a consumer goes on when the last pause is over.
    fn pause(&mut self, consumer: u32, on: bool) {
        let slot = &mut self.consumers[consumer as usize];
        let before = slot.pauses;
        slot.pauses = if on { before + 1 } else { before - 1 };
        let pauses = slot.pauses;
        match (before, pauses) {
            (0, 1) => slot.machine.pause(self.calendar.now()),
            (1, 0) => self.consumer_does(consumer, |machine, now, actions| {
                machine.resume(now, actions)
            }),
            _ => {}
        }
    }

    pub fn cut(&mut self, connection: u32) {
        let link = &mut self.connections[connection as usize];
        link.epoch += 1;
        link.live = false;
        link.void = false;
        // Nor does the node's answer to who was connecting, if it is still to come, open the next one.
        link.attempt += 1;
        drop(link.down.cut(&mut self.calendar));
        let under_way = link.up.cut(&mut self.calendar);
        let mut lost = self.node.unread.cut(connection);
        lost.extend(under_way.filter_map(|packet| packet.publishes()));
        for tag in lost {
            self.vanished(tag);
        }
    }

    fn consumer_does(
        &mut self,
        consumer: u32,
        act: impl FnOnce(&mut Consumer, Time, &mut Vec<ConsumerAction>),
    ) {
        let now = self.calendar.now();
        act(
            &mut self.consumers[consumer as usize].machine,
            now,
            &mut self.consumer_actions,
        );
        self.consumer_acts(consumer);
    }

    /// Those consumers that a fault strikes.
    fn each_member(&mut self, fault: u32, mut act: impl FnMut(&mut World, u32)) {
        for consumer in self.consumers_of(&self.struck(fault)) {
            act(self, consumer);
        }
    }
}

/// What a fault is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Theme {
    Process,
    Disk,
    Network,
    Clock,
    Clients,
    Operator,
}

impl Theme {
    fn of(kind: &FaultKind) -> Theme {
        match kind {
            FaultKind::Crash { .. }
            | FaultKind::PowerLoss { .. }
            | FaultKind::Stop { .. }
            | FaultKind::Restart
            | FaultKind::Wipe
            | FaultKind::Pause
            | FaultKind::SlowCpu { .. }
            | FaultKind::OutOfMemory { .. }
            | FaultKind::SetDurability { .. } => Theme::Process,
            FaultKind::Latency { .. }
            | FaultKind::Loss { .. }
            | FaultKind::Clog { .. }
            | FaultKind::Swizzle { .. }
            | FaultKind::Reset { .. }
            | FaultKind::HalfOpen { .. }
            | FaultKind::ConnectHang { .. }
            | FaultKind::Bandwidth { .. } => Theme::Network,
            FaultKind::ClockStep { .. }
            | FaultKind::ClockDrift { .. }
            | FaultKind::ClockStrobe { .. } => Theme::Clock,
            FaultKind::Burst { .. }
            | FaultKind::Oversized { .. }
            | FaultKind::HotKey { .. }
            | FaultKind::ConsumerCrash { .. }
            | FaultKind::SlowConsumer { .. }
            | FaultKind::PauseConsumer { .. }
            | FaultKind::AckLoss { .. }
            | FaultKind::NackStorm { .. }
            | FaultKind::Hoard { .. }
            | FaultKind::Zombie { .. }
            | FaultKind::SetWeights { .. } => Theme::Clients,
            FaultKind::Purge { .. } | FaultKind::Delete { .. } => Theme::Operator,
            _ => Theme::Disk,
        }
    }
}

/// The copies that a log speaks of.
#[derive(Default)]
struct LogContents {
    /// Enqueued and not removed.
    holds: BTreeMap<MessageCopy, Held>,
    /// Unsuccessful deliveries.
    in_vain: BTreeMap<MessageCopy, u32>,
    removed: BTreeSet<MessageCopy>,
    /// Of the removed ones, those that went on as dead letters.
    moved: BTreeSet<MessageCopy>,
}

impl LogContents {
    fn of(recovered: &Recovered) -> LogContents {
        let mut log = LogContents::default();
        for (_, entry) in &recovered.entries {
            let begun: Vec<u64> = entry.commands().iter().filter_map(tag_of).collect();
            for command in entry.commands() {
                match command {
                    Command::Enqueue { copy, message, .. } => {
                        let (tag, priority) = (message.tag, message.priority());
                        log.holds.insert(*copy, Held { tag, priority });
                    }
                    Command::Remove { copy } => {
                        let tag = log.holds.remove(copy).map(|held| held.tag);
                        log.removed.insert(*copy);
                        if tag.is_some_and(|tag| begun.contains(&tag)) {
                            log.moved.insert(*copy);
                        }
                    }
                    Command::Truncate { copy } | Command::Delete { copy } => {
                        let all = matches!(command, Command::Delete { .. });
                        let from = MessageCopy { serial: 0, ..*copy };
                        let until = MessageCopy {
                            serial: if all { u64::MAX } else { copy.serial },
                            ..*copy
                        };
                        let gone: Vec<_> = log.holds.range(from..until).map(|it| *it.0).collect();
                        for copy in gone {
                            log.holds.remove(&copy);
                            log.removed.insert(copy);
                        }
                    }
                    Command::Return {
                        copy, deliveries, ..
                    } => {
                        log.in_vain.insert(*copy, *deliveries);
                    }
                    Command::Advance { .. } | Command::Declare { .. } => {}
                }
            }
        }
        log
    }
}

fn tag_of(command: &Command) -> Option<u64> {
    match command {
        Command::Enqueue { message, .. } => Some(message.tag),
        _ => None,
    }
}
