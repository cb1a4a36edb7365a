//! A run of a scenario: built, stepped, recorded.

use std::sync::Arc;

use queuelab_core::{QueueId, Span, Time};
use queuelab_record::{
    AlarmRecord, BodiesRecord, ConsumerRecord, EventTrace, GroupRecord, Latencies, LittlesLaw,
    Load, NodeRecord, Outcomes, PhaseInfo, PriorityRecord, ProducerRecord, QueueRecord, RunRecord,
    SCHEMA_VERSION, ScenarioInfo, Trust,
};
use queuelab_scenario::{Fault, Profile, Scenario};

use crate::history::{History, Line};
use crate::metrics::QueueMetrics;
use crate::outcome::{Broken, Violation, is_expected};
use crate::plan::{Operation, Plan};
use crate::topology::streams_of;
use crate::verdict;
use crate::world::World;

/// How to run a scenario.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Everything random follows from it.
    pub seed: u64,
    /// Whether checkers watch the run.
    pub check: bool,
}

/// What is watched while a run goes on. It changes nothing of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watch {
    /// Nothing but the measurements.
    Nothing,
    /// The invariants too.
    Checks,
    /// The invariants, and the events, to find where another run parts from this one.
    Events,
    /// The same, and what happens in words.
    Story,
}

/// A line for the event log of a screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When.
    pub at: Time,
    /// What.
    pub text: String,
}

/// A run under way. Cloning it forks the run: both copies go on from here, identically.
#[derive(Clone)]
pub struct Simulation {
    world: World,
    ended: bool,
}

impl Simulation {
    /// A run at time zero.
    pub fn new(scenario: Arc<Scenario>, options: Options) -> Simulation {
        let watch = match options.check {
            true => Watch::Checks,
            false => Watch::Nothing,
        };
        Simulation::planned(scenario, &Plan::seeded(options.seed), watch)
    }

    /// A run at time zero of what a plan leaves of a scenario.
    pub fn planned(scenario: Arc<Scenario>, plan: &Plan, watch: Watch) -> Simulation {
        Simulation {
            world: World::new(scenario, plan, watch),
            ended: false,
        }
    }

    /// The present instant.
    pub fn now(&self) -> Time {
        self.world.calendar.now()
    }

    /// When the run ends.
    pub fn end(&self) -> Time {
        self.world.end
    }

    /// Messages sent so far.
    pub fn sent(&self) -> u64 {
        self.world.sent()
    }

    /// Runs one event; false at the end of the run.
    pub fn step(&mut self) -> bool {
        if self.world.step(self.world.end) {
            return true;
        }
        self.finish();
        false
    }

    /// Runs all events up to `until` (or the end, if that is earlier); `now()` is that instant afterwards.
    pub fn run_until(&mut self, until: Time) {
        let until = until.min(self.world.end);
        while self.world.step(until) {}
        // The run may have come to an early end.
        let until = until.min(self.world.end);
        self.world.calendar.advance(until);
        if until == self.world.end {
            self.finish();
        }
    }

    /// What was measured so far; at the end of the run, its result with verdicts.
    pub fn record(&self) -> RunRecord {
        let mut record = build(&self.world);
        verdict::judge(&mut record, &self.world.scenario, self.ended);
        record
    }

    /// How many entries the run keeps, by what they are about. They follow what is unfinished, never how long the run has been going on.
    pub fn kept(&self) -> Vec<(&'static str, usize)> {
        let world = &self.world;
        let [relayed, open, joins, in_hands] = world.relays.sizes();
        let journeys = (0..world.layout.len()).map(|queue| world.journeys.len(queue));
        let groups = world.node.broker.iter().flat_map(|broker| {
            let queues = 0..world.layout.len() as u32;
            queues.map(|queue| broker.queue(QueueId(queue)).groups as usize)
        });
        vec![
            ("messages that consumers publish on", relayed),
            ("messages with copies", open),
            ("joins", joins),
            ("contents in consumers' hands", in_hands),
            ("messages sent again", world.retried.len()),
            ("publishes that the broker has parked", world.parked.len()),
            ("journeys", journeys.sum()),
            ("messages that are checked", world.check.unfinished()),
            ("groups of messages", groups.sum()),
        ]
    }

    /// The first violation of each invariant in each queue that the scenario does not mean to show.
    pub fn violations(&self) -> Vec<Violation> {
        let (scenario, layout) = (&self.world.scenario, &self.world.layout);
        let firsts = self.world.check.firsts();
        let violations = firsts.map(|(name, place, text)| Violation {
            broken: Broken::Invariant {
                name: name.into(),
                queue: layout.name(scenario, place.queue),
            },
            at: place.now,
            tag: place.tag.map(|tag| tag.0),
            text: text.into(),
        });
        let unexpected = |violation: &Violation| match &violation.broken {
            Broken::Invariant { name, queue } => !is_expected(scenario, name, queue),
            Broken::Panic { .. } => true,
        };
        violations.filter(unexpected).collect()
    }

    /// How many pairs of invariant and queue are violated so far.
    pub fn broken(&self) -> usize {
        self.world.check.broken()
    }

    /// The events so far, with [`Watch::Events`] or [`Watch::Story`].
    pub fn kept_events(&self) -> Option<EventTrace> {
        self.world.trace.kept()
    }

    /// What happened so far, with [`Watch::Story`].
    pub fn history(&self) -> &[Line] {
        let history = self.world.history.as_deref();
        history.map_or(&[], History::lines)
    }

    /// The operations that have taken place so far, in order, with [`Watch::Story`].
    pub fn operations(&self) -> &[Operation] {
        let history = self.world.history.as_deref();
        history.map_or(&[], History::operations)
    }

    /// The faults that have struck so far, each as one that strikes once, at an instant or at an event, for so long: with them
    /// instead of the scenario's the run can be had again.
    pub fn activations(&self) -> Vec<Fault> {
        self.world.activations()
    }

    /// Adds a fault to a run under way. One whose time has passed strikes at once; after everything has been healed, too.
    pub fn inject(&mut self, fault: Fault) {
        self.world.inject(fault);
    }

    /// How many events have run so far. Between two of them the run is the same, whatever instant it has been advanced to.
    pub fn events(&self) -> u64 {
        self.world.trace.events()
    }

    /// What a screen may tell of the run so far: phases, faults, restarts, alarms. Of a very long one, the latest.
    pub fn log(&self) -> &[LogLine] {
        &self.world.log
    }

    /// The checks that need the whole run.
    fn finish(&mut self) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let world = &mut self.world;
        world.calendar.advance(world.end);
        let now = world.end;
        for queue in 0..world.layout.len() {
            world.account(now, queue);
        }
    }
}

fn build(world: &World) -> RunRecord {
    let scenario = &world.scenario;
    let now = world.calendar.now();
    let groups = scenario
        .producers
        .iter()
        .zip(&world.metrics.producers)
        .enumerate();
    let mut producers: Vec<ProducerRecord> = groups
        .map(|(group, (spec, metrics))| ProducerRecord {
            name: spec.name.clone(),
            count: spec.count,
            outcomes: outcomes(world, group),
            confirm: metrics.confirm.clone(),
            delivery: by_producer(world, group, |queue| &queue.delivery),
            end_to_end: by_producer(world, group, |queue| &queue.end_to_end),
            complete: if world.relays.counts() {
                metrics.complete.clone()
            } else {
                by_producer(world, group, |queue| &queue.end_to_end)
            },
            unfinished_age_max: Span::ZERO,
            unfinished: vec![0; scenario.phases.len()],
            undelivered: vec![0; scenario.phases.len()],
            incomplete: vec![0; scenario.phases.len()],
        })
        .collect();
    count_unfinished(world, &mut producers);
    let (integral, sojourns) = world.metrics.littles.sides(now);
    let share = |busy: Span, of: f64| {
        if now == Time::ZERO {
            0.0
        } else {
            busy.0 as f64 / (now.0 as f64 * of)
        }
    };
    let disk = &world.node.disk;
    RunRecord {
        schema_version: SCHEMA_VERSION,
        version: env!("CARGO_PKG_VERSION").into(),
        scenario: ScenarioInfo {
            name: scenario.name.clone(),
            title: scenario.title.clone(),
            about: scenario.about.clone(),
            overrides: scenario.overrides.clone(),
            source: scenario.source.clone(),
            grading: scenario.grading.clone(),
        },
        seed: world.seed,
        end: now,
        warmup: scenario.steady.map_or(Span::ZERO, |steady| {
            steady.warmup.unwrap_or(Span(world.end.0 / 10))
        }),
        phases: phases(world),
        trust: Trust {
            profile: match scenario.cluster.profile {
                Profile::Ideal => "ideal".into(),
                Profile::Lan => "lan".into(),
                Profile::Wan => "wan".into(),
            },
            calibrated: false,
            checked: world.check.enabled(),
            designs: scenario.designs().map(str::to_string).collect(),
        },
        window: world.window,
        queues: (0..world.layout.len())
            .map(|queue| queue_record(world, queue))
            .collect(),
        consumers: (0..scenario.consumers.len())
            .map(|group| consumer_record(world, group))
            .collect(),
        nodes: vec![NodeRecord {
            name: "n1".into(),
            cpu: share(world.node.busy_until(now), world.node.cores() as f64),
            disk: share(disk.busy_until(now), 1.0),
            fsyncs: disk.fsyncs,
            synced: disk.entries_synced,
            stopped: world.node.stopped.clone(),
            bodies: bodies_record(world),
            cpu_series: world.cpu_series.clone(),
            disk_series: world.disk_series.clone(),
        }],
        parts: world.metrics.parts.clone(),
        latency_series: world.metrics.latency_series.clone(),
        outcomes: producers
            .iter()
            .fold(Outcomes::default(), |sum, group| add(sum, group.outcomes)),
        producers,
        faults: world.faults.clone(),
        fault_counts: world.fault_counts(),
        groups: (0..scenario.groups.len())
            .map(|group| group_record(world, group))
            .collect(),
        alarms: world
            .alarms
            .iter()
            .map(|alarm| AlarmRecord {
                until: alarm.until.min(now),
                ..alarm.clone()
            })
            .collect(),
        expectations: Vec::new(),
        invariants: world.check.records(),
        littles_law: LittlesLaw { integral, sojourns },
        answer: None,
        trace_hash: world.trace.hash(),
        events: world.trace.events(),
        suggestions: Vec::new(),
        predictions: Vec::new(),
    }
}

fn bodies_record(world: &World) -> Option<BodiesRecord> {
    let budget = world.scenario.cluster.limits.bodies?;
    let (read, resident_max) = world.node.bodies();
    Some(BodiesRecord {
        budget,
        resident_max,
        read,
        resident_series: world.bodies_series.clone(),
    })
}

fn phases(world: &World) -> Vec<PhaseInfo> {
    let now = world.calendar.now();
    let phases = world
        .scenario
        .phases
        .iter()
        .enumerate()
        .map(|(number, phase)| PhaseInfo {
            name: phase.name.clone(),
            from: phase.from,
            until: phase.until,
            load: (0..world.layout.len())
                .map(|queue| load(world, queue, number, phase.from, phase.until.min(now)))
                .collect(),
        });
    phases.collect()
}

fn load(world: &World, queue: usize, phase: usize, from: Time, until: Time) -> Load {
    let now = world.calendar.now();
    let current = world.metrics.phase;
    let of = world.layout.queue_of(queue);
    // Partitions share the consumers evenly.
    let partitions = world.layout.partitions(of).len() as f64;
    let capacity = world.scenario.capacity(of, phase);
    let capacity = capacity.map(|capacity| capacity / partitions);
    world.metrics.queues[queue].load(phase, from, until, now, current, capacity)
}

fn queue_record(world: &World, queue: usize) -> QueueRecord {
    let spec = &world.scenario.queues[world.layout.queue_of(queue)];
    let metrics = &world.metrics.queues[queue];
    let now = world.calendar.now();
    let unfinished = || {
        world
            .journeys
            .of_queue(queue)
            .map(|(_, journey)| journey)
            .filter(|journey| !journey.served)
    };
    let mut unfinished_by_phase = vec![0; world.scenario.phases.len()];
    for journey in unfinished() {
        unfinished_by_phase[journey.phase as usize] += 1;
    }
    let direct = world.brokerless.depths(queue);
    let in_broker = world
        .node
        .broker
        .as_ref()
        .map_or(0, |broker| broker.in_flight(QueueId(queue as u32)));
    QueueRecord {
        name: world.layout.name(&world.scenario, queue),
        durability: spec.durability,
        stream: spec.policy.stream.is_some(),
        max_length: match direct {
            Some(_) => world.brokerless.capacity(queue),
            None => world.layout.share(queue, spec.max_length),
        },
        enqueued: metrics.counts.enqueued,
        delivered: metrics.counts.delivered,
        redelivered: metrics.counts.redelivered,
        acked: metrics.counts.acked,
        dead_lettered: metrics.dead_lettered(),
        deaths: metrics.deaths,
        dropped: metrics.dropped,
        rejected: metrics.rejected,
        expired: metrics.expired,
        exhausted: metrics.exhausted,
        purged: metrics.purged,
        retired: metrics.retired,
        deduplicated: metrics.deduplicated,
        lease_expired: metrics.lease_expired,
        refused: metrics.refused,
        lost: metrics.lost,
        duplicates: metrics.duplicates,
        reordered: world.check.reordered(queue),
        ready_end: metrics.ready,
        in_flight_end: direct.map_or(in_broker, |(_, in_flight)| in_flight),
        delayed_end: metrics.delayed.value,
        stalled_end: metrics.stalled,
        leaving_end: world.leaving(queue),
        ready_max: metrics.peak,
        drain_time: metrics.drained.map(|drained| drained - metrics.peak.1),
        delivery: by_phase(world, &[&metrics.delivery]),
        end_to_end: by_phase(world, &[&metrics.end_to_end, &metrics.relayed]),
        priorities: (0..)
            .zip(&metrics.priorities)
            .filter(|(_, level)| level.enqueued > 0)
            .map(|(priority, level)| PriorityRecord {
                priority,
                enqueued: level.enqueued,
                delivered: level.delivered,
                delivery: level.delivery.clone(),
            })
            .collect(),
        unfinished_age_max: unfinished()
            .map(|journey| now - journey.stamps.intended)
            .max()
            .unwrap_or_default(),
        unfinished: unfinished_by_phase,
        series: metrics.series.clone(),
    }
}

/// Latencies by phase of what is kept by producer and phase.
fn by_phase(world: &World, kept: &[&Vec<Latencies>]) -> Vec<Latencies> {
    let phases = world.metrics.phase_count();
    let of_phase = |phase: usize| {
        let cells = kept
            .iter()
            .flat_map(|cells| cells.iter().skip(phase).step_by(phases));
        merged(cells)
    };
    (0..phases).map(of_phase).collect()
}

/// Latencies of a producer group by phase, all queues together.
fn by_producer(
    world: &World,
    group: usize,
    of: fn(&QueueMetrics) -> &Vec<Latencies>,
) -> Vec<Latencies> {
    let phases = world.metrics.phase_count();
    let of_phase = |phase: usize| {
        let queues = world.metrics.queues.iter();
        merged(queues.map(|queue| &of(queue)[group * phases + phase]))
    };
    (0..phases).map(of_phase).collect()
}

fn merged<'a>(all: impl Iterator<Item = &'a Latencies>) -> Latencies {
    let mut sum = Latencies::default();
    all.for_each(|latencies| sum.merge(latencies));
    sum
}

/// What is left of each producer group's messages.
fn count_unfinished(world: &World, producers: &mut [ProducerRecord]) {
    let now = world.calendar.now();
    for queue in 0..world.layout.len() {
        let left = world.journeys.of_queue(queue);
        for (_, journey) in left.filter(|(_, journey)| !journey.served) {
            let origin = world.origin(journey.tag, journey.stamps.intended);
            let Some(producer) = producers.get_mut(origin.producer) else {
                continue;
            };
            let phase = journey.phase as usize;
            producer.unfinished[phase] += 1;
            let received = journey.received_once || world.journeys.is_stream(queue);
            producer.undelivered[phase] += u64::from(!received);
            let age = now - origin.intended;
            producer.unfinished_age_max = producer.unfinished_age_max.max(age);
        }
    }
    for (group, producer) in producers.iter_mut().enumerate() {
        if !world.relays.counts() {
            producer.incomplete.clone_from(&producer.unfinished);
        }
        for intended in world.relays.open_of(group) {
            producer.incomplete[world.metrics.phase_of(intended)] += 1;
        }
    }
}

fn group_record(world: &World, group: usize) -> GroupRecord {
    let spec = &world.scenario.groups[group];
    let metrics = &world.metrics.groups[group];
    let (now, current) = (world.calendar.now(), world.metrics.phase);
    let phases = world.scenario.phases.iter().enumerate();
    GroupRecord {
        name: spec.name.clone(),
        streams: streams_of(&world.layout, &spec.streams).collect(),
        delivered: metrics.delivered,
        settled: metrics.settled,
        archived: metrics.archived,
        rebalances: metrics.rebalances,
        members_end: metrics.members,
        lag_end: metrics.lag.value,
        lag_max: metrics.lag.peak,
        lag: phases
            .map(|(number, phase)| {
                let until = phase.until.min(now);
                metrics
                    .lag
                    .in_phase(number, phase.from, until, now, current)
            })
            .collect(),
        delivery: metrics.delivery.clone(),
        end_to_end: metrics.end_to_end.clone(),
        series: metrics.series.clone(),
    }
}

fn consumer_record(world: &World, group: usize) -> ConsumerRecord {
    let spec = &world.scenario.consumers[group];
    let now = world.calendar.now();
    let capacity = now.0 as f64 * f64::from(spec.count) * f64::from(spec.concurrency);
    ConsumerRecord {
        name: spec.name.clone(),
        count: spec.count,
        served: world.members(group).map(|member| member.served()).sum(),
        nacked: world.members(group).map(|member| member.nacked()).sum(),
        utilisation: if capacity > 0.0 {
            world.group_busy(group, now).0 as f64 / capacity
        } else {
            0.0
        },
        served_by_member: world.members(group).map(|member| member.served()).collect(),
        forwarded: world.groups[group].forwarded,
        utilisation_series: world.groups[group].utilisation_series.clone(),
    }
}

fn outcomes(world: &World, group: usize) -> Outcomes {
    let mut outcomes = world.metrics.producers[group].outcomes;
    let members = || {
        world
            .producers
            .iter()
            .filter(|slot| slot.group as usize == group)
            .map(|slot| &slot.machine)
    };
    outcomes.offered = members().map(|member| member.offered()).sum();
    outcomes.pending = members()
        .map(|member| member.waiting() + member.unconfirmed())
        .sum();
    outcomes
}

fn add(a: Outcomes, b: Outcomes) -> Outcomes {
    Outcomes {
        offered: a.offered + b.offered,
        sent: a.sent + b.sent,
        confirmed: a.confirmed + b.confirmed,
        failed: a.failed + b.failed,
        unknown: a.unknown + b.unknown,
        dropped_by_producer: a.dropped_by_producer + b.dropped_by_producer,
        pending: a.pending + b.pending,
        abandoned: a.abandoned + b.abandoned,
        retried: a.retried + b.retried,
        unroutable: a.unroutable + b.unroutable,
    }
}
