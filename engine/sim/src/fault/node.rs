//! Faults of the node's process, those apart that kill it at once.

use std::sync::Arc;

use queuelab_core::{Durability, QueueId, Span};
use queuelab_record::grouped;
use queuelab_scenario::{FaultKind, Queues, Unsynced};

use crate::world::{Event, World};

/// A stop in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopping {
    /// The fault that does it.
    fault: u32,
    /// Where the record of its activation is: that may be over before the process is.
    record: usize,
    /// Nothing more is taken in; what is in the log is being synced.
    pub closing: bool,
}

impl World {
    /// A fault of the process begins. Returns what it does, in words.
    pub fn process_fault_begins(&mut self, fault: u32, kind: &FaultKind) -> String {
        match kind {
            FaultKind::Pause => {
                self.set_paused();
                "the process stood still".into()
            }
            FaultKind::SlowCpu { factor } => {
                self.set_factors();
                format!("CPU work took {factor} times as long")
            }
            FaultKind::OutOfMemory { bytes } => {
                self.set_memory_limit();
                format!("{} bytes would have been too many", grouped(*bytes))
            }
            FaultKind::Stop { grace } => self.stop_node(fault, *grace),
            _ => self.stop_node(fault, Span::ZERO),
        }
    }

    /// A fault of the process is over.
    pub fn process_fault_ends(&mut self, fault: u32, kind: &FaultKind) {
        match kind {
            FaultKind::Pause => self.set_paused(),
            FaultKind::SlowCpu { .. } => self.set_factors(),
            FaultKind::OutOfMemory { .. } => {
                self.set_memory_limit();
                self.killed = self.killed.filter(|by| *by != fault);
                self.start_again();
            }
            FaultKind::SetDurability { .. } => _ = self.stop_node(fault, Span::ZERO),
            _ => {
                // It is not down yet.
                self.stop_closes(fault);
                self.start_again();
            }
        }
    }

    fn start_again(&mut self) {
        if self.node.broker.is_none() {
            self.node_restarts();
        }
    }

    /// A stop begins: no new connections, and no more at all once the grace period is over.
    fn stop_node(&mut self, fault: u32, grace: Span) -> String {
        if self.node.broker.is_none() {
            return "it was down already".into();
        }
        // What comes is read no more: from here on it can only end.
        if self.node.stopping.is_some_and(|stopping| stopping.closing) {
            return "it was coming to an end already".into();
        }
        let Some(&record) = self.strikes.records.get(&fault) else {
            return String::new();
        };
        self.node.stopping = Some(Stopping {
            fault,
            record,
            closing: false,
        });
        match grace.is_zero() {
            true => self.stop_closes(fault),
            false => self.step_after(fault, grace, 0),
        }
        match self.scenario.faults[fault as usize].kind {
            FaultKind::Stop { .. } => format!("it had {grace} to come to an end"),
            FaultKind::SetDurability { durability, .. } => {
                format!("it was started again with durability = \"{durability}\"")
            }
            _ => "it was started again".into(),
        }
    }

    /// The grace period is over: what is in the log is synced, then the process ends.
    pub fn stop_closes(&mut self, fault: u32) {
        let now = self.calendar.now();
        let Some(stopping) = self.node.stopping.as_mut().filter(|it| it.fault == fault) else {
            return;
        };
        stopping.closing = true;
        if self.node.sync_all(now, &mut self.calendar) {
            self.stop_ends();
        }
    }

    /// The log is synced, as far as a stop waits for it: the process ends.
    pub fn stop_ends(&mut self) {
        let Some(stopping) = self.node.stopping.take() else {
            return;
        };
        let Stopping { fault, record, .. } = stopping;
        let took = self.node_dies(Unsynced::Keep, &self.chance(fault, "fault/disk"));
        self.say(format!("n1 has stopped: {took}"));
        let is_on = self.active.contains_key(&fault);
        let kind = &self.scenario.faults[fault as usize].kind;
        // What only has to be started again is; else the fault's end does that.
        let waits = is_on && matches!(kind, FaultKind::Stop { .. });
        // Such a fault stops the process twice.
        match sets_durability(kind) && !is_on {
            true => self.add_effect(record, &format!("at its end {took}")),
            false => self.add_effect(record, &took),
        }
        if !waits {
            self.node_restarts();
        }
    }

    /// Queues have the durability that they were declared with, or that of the last fault that is on and changes it.
    pub fn set_durabilities(&mut self) {
        if self
            .scenario
            .faults
            .iter()
            .all(|fault| !sets_durability(&fault.kind))
        {
            return;
        }
        let mut wanted = self.declared_durability.clone();
        for fault in self.active.keys().copied() {
            let FaultKind::SetDurability { queues, durability } =
                self.scenario.faults[fault as usize].kind
            else {
                continue;
            };
            let of = match queues {
                Queues::All => 0..wanted.len(),
                Queues::One => one(self.chosen_queue(fault)),
                Queues::Queue(queue) => one(queue),
            };
            for durable in &mut wanted[of] {
                if *durable != Durability::None {
                    *durable = durability;
                }
            }
        }
        let scenario = Arc::make_mut(&mut self.scenario);
        for (queue, durability) in scenario.queues.iter_mut().zip(wanted) {
            queue.durability = durability;
        }
        for queue in 0..self.layout.len() {
            let of = self.layout.queue_of(queue);
            let durability = self.scenario.queues[of].durability;
            self.check.has_durability(queue, durability);
        }
        self.node.knows_durabilities(&self.scenario);
    }

    /// Faults may overlap: the process goes on when the last pause is over.
    fn set_paused(&mut self) {
        let pauses = |fault: &u32| {
            let kind = &self.scenario.faults[*fault as usize].kind;
            matches!(kind, FaultKind::Pause)
        };
        match self.active.keys().any(pauses) {
            true => self.pause_node(),
            false => self.resume_node(),
        }
    }

    /// The least of the limits that are on.
    fn set_memory_limit(&mut self) {
        let limit = |fault: &u32| match self.scenario.faults[*fault as usize].kind {
            FaultKind::OutOfMemory { bytes } => Some(bytes),
            _ => None,
        };
        self.node.memory_limit = self.active.keys().filter_map(limit).min();
        self.mind_memory();
    }

    /// Has the process killed, once it has done what it does at the moment, if its queues hold too much.
    #[cold]
    #[inline(never)]
    pub fn mind_memory(&mut self) {
        let (Some(limit), Some(broker)) = (self.node.memory_limit, &self.node.broker) else {
            return;
        };
        let queues = (0..self.layout.len()).filter(|queue| !self.brokerless.is(*queue));
        let held: u64 = match self.scenario.cluster.limits.bodies {
            // What has left memory takes none.
            Some(_) => broker.bodies().resident_bytes,
            None => queues
                .map(|queue| broker.queue(QueueId(queue as u32)).ready_bytes)
                .sum(),
        };
        if held > limit {
            self.node.memory_limit = None;
            let incarnation = self.node.incarnation;
            let event = Event::OutOfMemory { incarnation };
            self.calendar.after(Span::ZERO, event);
        }
    }

    /// The process is killed for what it holds, until the fault is over.
    pub fn out_of_memory(&mut self) {
        // Once a limit is exceeded none is minded, unless a fault has begun or ended since.
        let within = self.node.memory_limit.is_some();
        let limit = |(fault, record): (&u32, &usize)| {
            let kind = &self.scenario.faults[*fault as usize].kind;
            match kind {
                FaultKind::OutOfMemory { bytes } => Some((*bytes, *fault, *record)),
                _ => None,
            }
        };
        let least = self.active.iter().filter_map(limit).min();
        let Some((_, fault, record)) = least.filter(|_| !within) else {
            return;
        };
        let took = self.node_dies(Unsynced::Keep, &self.chance(fault, "fault/disk"));
        let now = self.calendar.now();
        self.say(format!("n1 is out of memory: {took}"));
        self.add_effect(record, &format!("killed at {now}, {took}"));
        self.killed = Some(fault);
    }

    /// Says more about what a fault has done, in its record.
    pub fn add_effect(&mut self, record: usize, text: &str) {
        if let Some(record) = self.faults.get_mut(record) {
            record.effect = joined(&record.effect, text);
        }
    }

    /// Whether a fault that is on keeps a node down that is not up.
    pub fn keeps_down(&self, fault: u32) -> bool {
        match self.scenario.faults[fault as usize].kind {
            FaultKind::Crash { .. } | FaultKind::PowerLoss { .. } | FaultKind::Wipe => true,
            FaultKind::Stop { .. } => true,
            FaultKind::OutOfMemory { .. } => self.killed == Some(fault),
            ref kind => World::troubles_log(kind) && self.node.stopped.is_some(),
        }
    }
}

/// One effect and then another.
pub fn joined(first: &str, second: &str) -> String {
    match (first, second) {
        ("", only) | (only, "") => only.into(),
        both => format!("{}; {}", both.0, both.1),
    }
}

fn sets_durability(kind: &FaultKind) -> bool {
    matches!(kind, FaultKind::SetDurability { .. })
}

fn one(at: usize) -> std::ops::Range<usize> {
    at..at + 1
}
