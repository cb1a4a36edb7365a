//! When faults strike, whom, and for how long; what is known of that afterwards.

use std::collections::{BTreeMap, BTreeSet};

use queuelab_core::{Span, Time};
use queuelab_record::FaultCount;
use queuelab_scenario::{Clients, Distribution, Fault, FaultBudget, Milestone, Share, When, Whose};
use queuelab_workload::{Sampler, Stream};

use crate::network::Client;
use crate::world::{Event, World};

/// What is known of the faults of a run: one entry for each fault of the scenario.
#[derive(Clone, Debug, Default)]
pub struct Strikes {
    /// How often each has struck.
    pub fired: Vec<u64>,
    /// What names the random streams of the activation that is on, or was last.
    draws: Vec<u64>,
    /// The connections that are struck by each fault that is on.
    pub struck: BTreeMap<u32, Vec<u32>>,
    /// Since when each fault that goes by the toss of a coin is as it is.
    since: BTreeMap<u32, Time>,
    /// All activations, as faults of their own.
    activations: Vec<Fault>,
    /// The activation of each fault that is on, in `activations`.
    open: BTreeMap<u32, (usize, Time)>,
    /// Where the record of the activation is that is on, or was last.
    pub records: BTreeMap<u32, usize>,
    /// The steps of their own that activations are still to take: by fault, instant and number.
    steps: BTreeSet<(u32, Time, u32)>,
    /// Nothing strikes any more, but for what is injected.
    pub healed: Option<Time>,
    /// The faults that were added to the run.
    pub injected: BTreeSet<u32>,
}

/// Faults that wait for something to happen.
#[derive(Clone, Debug, Default)]
pub struct Milestones {
    /// How often each has happened: before and after.
    counts: BTreeMap<(Milestone, bool), u64>,
    waiting: Vec<u32>,
    /// The client that the event is about at which a fault strikes.
    concerned: BTreeMap<u32, u32>,
}

impl World {
    /// Puts the beginnings of all faults into the calendar.
    pub fn schedule_faults(&mut self) {
        for fault in 0..self.scenario.faults.len() as u32 {
            self.schedule_fault(fault);
        }
        if let Some(heal) = self.heals_at() {
            self.calendar.schedule(heal, Event::Heal);
        }
    }

    /// Puts the beginning of a fault into the calendar.
    pub fn schedule_fault(&mut self, fault: u32) {
        self.strikes.fired.push(0);
        self.strikes.draws.push(0);
        let now = self.calendar.now();
        match self.scenario.faults[fault as usize].when {
            When::At(at) => self.calendar.schedule(at, Event::FaultBegins(fault)),
            When::Every { from, .. } => self.schedule_next(fault, from.max(now)),
            When::On { .. } => {
                let milestones = self.milestones.get_or_insert_default();
                milestones.waiting.push(fault);
            }
            When::EachStep { every, from, .. } => {
                let step = from.max(now) + every;
                self.strikes.since.insert(fault, from);
                self.calendar
                    .schedule(step, Event::FaultStep { fault, step: 0 });
            }
        }
    }

    /// The next beginning of a fault that comes again and again.
    pub fn schedule_next(&mut self, fault: u32, after: Time) {
        let spec = &self.scenario.faults[fault as usize];
        let When::Every { mean, until, .. } = spec.when else {
            return;
        };
        let gaps = Stream::new(self.seed, "fault/every", spec.draw);
        // Counted by the calendar's instant: as many as there were, on or not.
        let gap = gaps.at(after.0).next_exponential() * mean.as_secs_f64();
        let next = after + Span::from_secs_f64(gap).max(Span(1));
        if next < until {
            self.calendar.schedule(next, Event::FaultBegins(fault));
        }
    }

    /// A step of a fault that goes by the toss of a coin.
    pub fn toss(&mut self, fault: u32, step: u32) {
        let now = self.calendar.now();
        let spec = &self.scenario.faults[fault as usize];
        let When::EachStep {
            every,
            p,
            heal_p,
            stability,
            heal_stability,
            until,
            ..
        } = spec.when
        else {
            return;
        };
        let coin = Stream::new(self.seed, "fault/step", spec.draw)
            .at(u64::from(step))
            .next_f64();
        let held = now - self.strikes.since.get(&fault).copied().unwrap_or_default();
        if self.active.contains_key(&fault) {
            if held >= heal_stability && coin < heal_p {
                self.strikes.since.insert(fault, now);
                self.fault_ends(fault);
            }
        } else if now < until && held >= stability && coin < p {
            self.strikes.since.insert(fault, now);
            self.fault_begins(fault);
        }
        if self.strikes.healed.is_none()
            && (now + every < until || self.active.contains_key(&fault))
        {
            let step = step + 1;
            self.calendar.after(every, Event::FaultStep { fault, step });
        }
    }

    /// Something that faults may wait for has happened, or is about to (`before`), to the client of `connection` if to one.
    #[inline(always)]
    pub fn reach(&mut self, milestone: Milestone, before: bool, connection: Option<u32>) {
        if self.milestones.is_some() {
            self.reached(milestone, before, connection);
        }
    }

    #[cold]
    #[inline(never)]
    fn reached(&mut self, milestone: Milestone, before: bool, connection: Option<u32>) {
        let Some(milestones) = &mut self.milestones else {
            return;
        };
        let count = milestones.counts.entry((milestone, before)).or_default();
        *count += 1;
        let now = When::On {
            milestone,
            nth: *count,
            before,
        };
        let (due, waiting): (Vec<u32>, Vec<u32>) = std::mem::take(&mut milestones.waiting)
            .into_iter()
            .partition(|fault| self.scenario.faults[*fault as usize].when == now);
        milestones.waiting = waiting;
        if let Some(connection) = connection {
            let concerned = due.iter().map(|fault| (*fault, connection));
            milestones.concerned.extend(concerned);
        }
        for fault in due {
            // What asks the broker for something waits until it is done with what it does at the moment.
            match before && self.scenario.faults[fault as usize].kind.strikes_at_once() {
                true => self.fault_begins(fault),
                false => self.calendar.after(Span::ZERO, Event::FaultBegins(fault)),
            }
        }
    }

    /// Chooses whom a fault strikes that begins, and how long it lasts; `None` if it does not begin: it is on already, or all is healed.
    pub fn strike(&mut self, fault: u32) -> Option<Span> {
        let now = self.calendar.now();
        let spec = self.scenario.faults[fault as usize].clone();
        if let When::Every { .. } = spec.when {
            self.schedule_next(fault, now);
        }
        let healed = self.strikes.healed.is_some() && !self.strikes.injected.contains(&fault);
        if self.active.contains_key(&fault) || healed {
            return None;
        }
        let at = fault as usize;
        let again = matches!(spec.when, When::Every { .. } | When::EachStep { .. });
        let draw = match again {
            true => Stream::new(self.seed, "fault/activation", spec.draw)
                .at(self.strikes.fired[at])
                .next_u64(),
            false => spec.draw,
        };
        self.strikes.fired[at] += 1;
        self.strikes.draws[at] = draw;
        let span = match &spec.span {
            Distribution::Constant(span) => *span,
            random => {
                let chance = self.chance(fault, "fault/span");
                Sampler::new(random).sample(&mut chance.at(0)).max(Span(1))
            }
        };
        if let Some(clients) = spec.kind.clients() {
            let struck = self.choose(fault, clients);
            self.strikes.struck.insert(fault, struck);
        }
        let activation = Fault {
            name: match self.strikes.fired[at] {
                1 => spec.name.clone(),
                number => format!("{}@{number}", spec.name),
            },
            when: match spec.when {
                When::On { .. } => spec.when,
                _ => When::At(now),
            },
            span: Distribution::Constant(span),
            draw,
            kind: spec.kind,
        };
        self.strikes
            .open
            .insert(fault, (self.strikes.activations.len(), now));
        self.strikes.activations.push(activation);
        Some(span)
    }

    /// A fault that was on is over: how long it was on is known now, and it takes no further step.
    pub fn strike_ends(&mut self, fault: u32) {
        let now = self.calendar.now();
        self.strikes.steps.retain(|(of, ..)| *of != fault);
        if let Some((at, since)) = self.strikes.open.remove(&fault)
            && let Distribution::Constant(span) = &mut self.strikes.activations[at].span
        {
            *span = (*span).min(now - since);
        }
    }

    /// Puts a step of a fault's own into the calendar.
    pub fn step_after(&mut self, fault: u32, span: Span, step: u32) {
        let at = self.calendar.now() + span;
        let step = OWN_STEP | step;
        self.strikes.steps.insert((fault, at, step));
        self.calendar.schedule(at, Event::FaultStep { fault, step });
    }

    /// The number of a step of a fault's own that is due; `None` if the activation that was to take it is over.
    pub fn step_is_due(&mut self, fault: u32, step: u32) -> Option<u32> {
        let now = self.calendar.now();
        let due = self.strikes.steps.remove(&(fault, now, step));
        due.then_some(step & !OWN_STEP)
    }

    /// All activations so far, as faults that strike once: with them the run can be had again.
    pub fn activations(&self) -> Vec<Fault> {
        self.strikes.activations.clone()
    }

    /// How often each fault has struck.
    pub fn fault_counts(&self) -> Vec<FaultCount> {
        let faults = self.scenario.faults.iter().zip(&self.strikes.fired);
        faults
            .map(|(fault, fired)| FaultCount {
                name: fault.name.clone(),
                kind: fault.kind.name().into(),
                fired: *fired,
            })
            .collect()
    }

    /// Where the choices of a fault's activation come from: of the last one, while it is on.
    pub fn chance(&self, fault: u32, purpose: &str) -> Stream {
        Stream::new(self.seed, purpose, self.strikes.draws[fault as usize])
    }

    /// The connections that a fault strikes which is on.
    pub fn struck(&self, fault: u32) -> Vec<u32> {
        self.strikes.struck.get(&fault).cloned().unwrap_or_default()
    }

    fn choose(&mut self, fault: u32, clients: Clients) -> Vec<u32> {
        let producers = self.producers.len() as u32;
        let all = self.connections.len() as u32;
        let mut members: Vec<u32> = match clients.of {
            Whose::Everybody => (0..all).collect(),
            Whose::Producers => (0..producers).collect(),
            Whose::Consumers => (producers..all).collect(),
            Whose::Producer(group) => (0..producers)
                .filter(|at| self.producers[*at as usize].group as usize == group)
                .collect(),
            Whose::Consumer(group) => (producers..all)
                .filter(|at| self.consumers[(*at - producers) as usize].group as usize == group)
                .collect(),
        };
        let concerned = self.milestones.as_mut();
        let concerned = concerned.and_then(|milestones| milestones.concerned.remove(&fault));
        let chance = self.chance(fault, "fault/choice");
        let size = members.len();
        let count = match clients.share {
            Share::All => return members,
            Share::First(count) => {
                members.truncate(count as usize);
                return members;
            }
            Share::One if concerned.is_some_and(|one| members.contains(&one)) => {
                return concerned.into_iter().collect();
            }
            Share::One => size.min(1),
            Share::Minority => size.saturating_sub(1) / 2,
            Share::Majority => (size / 2 + 1).min(size),
        };
        shuffle(&mut members, &chance);
        members.truncate(count);
        members.sort_unstable();
        members
    }

    /// When everything is healed: as said; else three quarters into a run whose faults come at random and must be recovered from.
    fn heals_at(&self) -> Option<Time> {
        let scenario = &self.scenario;
        let known = |fault: &Fault| {
            let ends = fault.span != Distribution::Constant(Span::MAX);
            matches!(fault.when, When::At(_)) && ends
        };
        let random = !scenario.faults.iter().all(known);
        let heals = scenario.budget == FaultBudget::Recoverable && random;
        let heal = scenario.heal.or(heals.then_some(Time(self.end.0 / 4 * 3)));
        heal.filter(|heal| *heal < self.end)
    }

    /// Everything is healed: what is on ends, and nothing begins any more.
    pub fn heal(&mut self) {
        let now = self.calendar.now();
        self.strikes.healed = Some(now);
        self.milestones = None;
        self.say("everything is healed".into());
        for fault in self.active.keys().copied().collect::<Vec<_>>() {
            self.fault_ends(fault);
        }
        self.node.disk.heal();
        if self.node.broker.is_none() {
            self.node_restarts();
        }
        self.mind_liveness();
    }

    /// Whom a fault strikes, in words.
    pub fn target_of(&self, fault: u32) -> String {
        let kind = &self.scenario.faults[fault as usize].kind;
        if let Some(queues) = kind.queues() {
            return self.queues_in_words(fault, queues);
        }
        let Some(clients) = kind.clients() else {
            return "n1".into();
        };
        let name = match clients.of {
            Whose::Everybody => "all clients",
            Whose::Producers => "producers",
            Whose::Consumers => "consumers",
            Whose::Producer(group) => &self.scenario.producers[group].name,
            Whose::Consumer(group) => &self.scenario.consumers[group].name,
        };
        let count = self.strikes.struck.get(&fault).map_or(0, Vec::len);
        match clients.share {
            Share::All => name.into(),
            Share::First(_) | Share::Minority | Share::Majority | Share::One => {
                let whole = match clients.of {
                    Whose::Consumer(group) => self.scenario.consumers[group].count as usize,
                    Whose::Producer(group) => self.scenario.producers[group].count as usize,
                    _ => usize::MAX,
                };
                match count >= whole {
                    true => name.into(),
                    false => format!("{count} of {name}"),
                }
            }
        }
    }

    /// The consumers among some connections.
    pub fn consumers_of(&self, connections: &[u32]) -> Vec<u32> {
        let consumer = |connection: &u32| match self.connections[*connection as usize].client {
            Client::Consumer(consumer) => Some(consumer),
            Client::Producer(_) => None,
        };
        connections.iter().filter_map(consumer).collect()
    }
}

/// Marks the steps of a fault's own among those at which a coin is tossed.
pub const OWN_STEP: u32 = 1 << 31;

/// Fisher and Yates' shuffle.
pub fn shuffle<T>(items: &mut [T], chance: &Stream) {
    for at in (1..items.len()).rev() {
        let other = chance.at(at as u64).below(at as u64 + 1) as usize;
        items.swap(at, other);
    }
}
