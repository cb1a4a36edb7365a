//! What a run measures while it goes on: constant work per event, memory by windows and never by messages.

use queuelab_core::{Span, Time};
use queuelab_record::{
    GroupSeries, Lag, Latencies, LatencySeries, Load, Outcomes, Parts, QueueSeries,
};
use queuelab_scenario::{Phase, Scenario};

use crate::topology::Layout;

/// Measurements of one run.
#[derive(Clone, Debug)]
pub struct Metrics {
    phases: Vec<Phase>,
    /// The phase that goes on.
    pub phase: usize,
    warmup: Time,
    /// Per queue.
    pub queues: Vec<QueueMetrics>,
    /// Per producer group.
    pub producers: Vec<ProducerMetrics>,
    /// Per group of consumers of streams.
    pub groups: Vec<GroupMetrics>,
    /// Time per part of the journey.
    pub parts: Parts,
    windows: [Window; 3],
    /// Confirm, delivery, end-to-end, per window.
    pub latency_series: [LatencySeries; 3],
    /// L = λW.
    pub littles: Littles,
}

/// Measurements of one queue.
#[derive(Clone, Debug)]
pub struct QueueMetrics {
    /// Ready now.
    pub ready: u64,
    since: Time,
    /// The largest number of ready messages, and when first.
    pub peak: (u64, Time),
    /// When first nothing was ready after the peak.
    pub drained: Option<Time>,
    window_max: u64,
    counted: Counts,
    /// All counts.
    pub counts: Counts,
    /// Per window.
    pub series: QueueSeries,
    /// Per phase.
    pub phases: Vec<PhaseMetrics>,
    /// By producer group, and by phase of the intended send within.
    pub delivery: Vec<Latencies>,
    /// The same. Services after which the consumer publishes on are left out.
    pub end_to_end: Vec<Latencies>,
    /// The same of those that were left out.
    pub relayed: Vec<Latencies>,
    /// Not ready before some instant.
    pub delayed: Level,
    /// Dead letters that wait for room in their targets.
    pub stalled: u64,
    /// By priority, in a queue that has priorities.
    pub priorities: Vec<PriorityMetrics>,
    /// Services of copies that had been served before.
    pub duplicates: u64,
    /// Copies that were begun: routed here, or moved here as dead letters, whether they entered or not.
    pub begun: u64,
    /// Copies that are back because a power loss took the record of their removal.
    pub resurrected: u64,
    /// Ready copies that came back, from a consumer or from the log: they may exceed the queue's bound.
    pub came_back: u64,
    /// Copies that a crash took.
    pub lost: u64,
    /// Publishes that the queue said no to.
    pub refused: u64,
    /// By reason, in the order of `queuelab_record::DEATH_NAMES`.
    pub deaths: [u64; 4],
    deaths_counted: u64,
    pub dropped: u64,
    pub rejected: u64,
    pub expired: u64,
    pub exhausted: u64,
    pub purged: u64,
    pub retired: u64,
    pub deduplicated: u64,
    pub lease_expired: u64,
}

/// Measurements of one priority in one queue.
#[derive(Clone, Debug, Default)]
pub struct PriorityMetrics {
    /// Ready now.
    pub ready: u64,
    pub enqueued: u64,
    pub delivered: u64,
    pub delivery: Latencies,
}

/// Measurements of a group of consumers of streams.
#[derive(Clone, Debug)]
pub struct GroupMetrics {
    /// Records that it has not settled.
    pub lag: Level,
    pub members: u32,
    pub delivered: u64,
    pub settled: u64,
    pub archived: u64,
    pub rebalances: u64,
    counted: (u64, u64),
    /// By phase of the intended send.
    pub delivery: Vec<Latencies>,
    /// By phase of the intended send.
    pub end_to_end: Vec<Latencies>,
    pub series: GroupSeries,
}

/// A number that goes up and down, by phase.
#[derive(Clone, Debug)]
pub struct Level {
    pub value: u64,
    since: Time,
    /// The largest, and when first.
    pub peak: (u64, Time),
    phases: Vec<LevelPhase>,
}

#[derive(Clone, Copy, Debug, Default)]
struct LevelPhase {
    integral: u128,
    max: u64,
    end: u64,
}

/// What is counted per window and per phase.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub enqueued: u64,
    pub delivered: u64,
    pub redelivered: u64,
    pub acked: u64,
}

/// Measurements of one queue in one phase.
#[derive(Clone, Copy, Debug, Default)]
pub struct PhaseMetrics {
    /// Copies routed there (or refused there), by phase of the intended send.
    pub offered: u64,
    counts: Counts,
    ready_integral: u128,
    ready_max: u64,
    ready_end: u64,
    oldest_age_max: Span,
}

/// Measurements of a producer group.
#[derive(Clone, Debug)]
pub struct ProducerMetrics {
    pub outcomes: Outcomes,
    /// By phase of the intended send.
    pub confirm: Vec<Latencies>,
    /// By phase of the intended send; only if that is not the same as the end-to-end latency.
    pub complete: Vec<Latencies>,
}

/// ∫ N(t) dt against Σ sojourns.
#[derive(Clone, Copy, Debug, Default)]
pub struct Littles {
    inside: u64,
    since: Time,
    integral: u128,
    sojourns: u128,
    /// Σ of the entry instants of those inside, so that the sum of their ages is known at any time.
    entries: u128,
}

/// Latencies of one window, to 1 %. Two of them are recorded per message and all are emptied six hundred times per run,
/// so this is the plainest log-linear histogram: a row per power of two, [`Window::COLUMNS`] columns each.
#[derive(Clone, Debug)]
struct Window {
    counts: Vec<u32>,
    /// A bit for each [`Window::BLOCK`] places that are not all empty: a window of few messages closes without a look at the others.
    blocks: u64,
    count: u64,
    max: u64,
}

/// Which of the three latencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latency {
    Confirm,
    Delivery,
    EndToEnd,
}

impl Metrics {
    /// Nothing measured yet.
    pub fn new(scenario: &Scenario, layout: &Layout, warmup: Span) -> Metrics {
        let phases = scenario.phases.len();
        let cells = phases * scenario.producers.len().max(1);
        let queue = QueueMetrics {
            ready: 0,
            since: Time::ZERO,
            peak: (0, Time::ZERO),
            drained: Some(Time::ZERO),
            window_max: 0,
            counted: Counts::default(),
            counts: Counts::default(),
            series: QueueSeries::default(),
            phases: vec![PhaseMetrics::default(); phases],
            delivery: vec![Latencies::default(); cells],
            end_to_end: vec![Latencies::default(); cells],
            relayed: vec![Latencies::default(); cells],
            delayed: Level::new(phases),
            stalled: 0,
            priorities: Vec::new(),
            duplicates: 0,
            begun: 0,
            resurrected: 0,
            came_back: 0,
            lost: 0,
            refused: 0,
            deaths: [0; 4],
            deaths_counted: 0,
            dropped: 0,
            rejected: 0,
            expired: 0,
            exhausted: 0,
            purged: 0,
            retired: 0,
            deduplicated: 0,
            lease_expired: 0,
        };
        let of = |number: usize| &scenario.queues[layout.queue_of(number)].policy;
        let queues = (0..layout.len()).map(|number| QueueMetrics {
            priorities: match of(number).max_priority {
                0 => Vec::new(),
                highest => vec![PriorityMetrics::default(); usize::from(highest) + 1],
            },
            ..queue.clone()
        });
        let producer = ProducerMetrics {
            outcomes: Outcomes::default(),
            confirm: vec![Latencies::default(); phases],
            complete: vec![Latencies::default(); phases],
        };
        let group = GroupMetrics {
            lag: Level::new(phases),
            members: 0,
            delivered: 0,
            settled: 0,
            archived: 0,
            rebalances: 0,
            counted: (0, 0),
            delivery: vec![Latencies::default(); phases],
            end_to_end: vec![Latencies::default(); phases],
            series: GroupSeries::default(),
        };
        Metrics {
            phases: scenario.phases.clone(),
            phase: 0,
            warmup: Time::ZERO + warmup,
            queues: queues.collect(),
            groups: vec![group; scenario.groups.len()],
            producers: vec![producer; scenario.producers.len()],
            parts: Parts::default(),
            windows: Default::default(),
            latency_series: Default::default(),
            littles: Littles::default(),
        }
    }

    /// The phase to which a message belongs by its intended send.
    #[inline]
    pub fn phase_of(&self, intended: Time) -> usize {
        let now = &self.phases[self.phase];
        if now.from <= intended && intended < now.until {
            return self.phase;
        }
        self.phases
            .partition_point(|phase| phase.until <= intended)
            .min(self.phases.len() - 1)
    }

    /// One latency of a message of a producer group meant to be sent at `intended`.
    // Always inlined: each place knows which one it is.
    #[inline(always)]
    pub fn latency(&mut self, which: Latency, of: Measured, intended: Time, now: Time) {
        if intended < self.warmup {
            return;
        }
        let span = now - intended;
        let cell = of.producer * self.phases.len() + of.phase;
        match which {
            Latency::Confirm => self.producers[of.producer].confirm[of.phase].record(span),
            Latency::Delivery => self.queues[of.queue].delivery[cell].record(span),
            Latency::EndToEnd => self.queues[of.queue].end_to_end[cell].record(span),
        }
        self.windows[which as usize].record(span);
    }

    /// The end of a service after which the consumer publishes on.
    pub fn relayed(&mut self, of: Measured, intended: Time, now: Time) {
        if intended >= self.warmup {
            let cell = of.producer * self.phases.len() + of.phase;
            self.queues[of.queue].relayed[cell].record(now - intended);
        }
    }

    /// A message has come to its end.
    pub fn complete(&mut self, producer: usize, intended: Time, now: Time) {
        if intended >= self.warmup {
            let phase = self.phase_of(intended);
            if let Some(producer) = self.producers.get_mut(producer) {
                producer.complete[phase].record(now - intended);
            }
        }
    }

    /// What a group's member receives, or has served, for the first time in the group.
    pub fn read(&mut self, group: usize, which: Latency, phase: usize, intended: Time, now: Time) {
        if intended < self.warmup {
            return;
        }
        let group = &mut self.groups[group];
        let latencies = match which {
            Latency::Delivery => &mut group.delivery,
            _ => &mut group.end_to_end,
        };
        latencies[phase].record(now - intended);
    }

    /// The parts of a finished journey.
    #[inline]
    pub fn journey(&mut self, intended: Time, parts: &[Span; 10]) {
        if intended < self.warmup {
            return;
        }
        self.parts.copies += 1;
        for (sum, part) in self.parts.nanos.iter_mut().zip(parts) {
            *sum += u128::from(part.0);
        }
    }

    /// Closes a window of every queue; `ages` are those of the oldest ready messages, `in_flight` what is in flight.
    pub fn end_window(&mut self, now: Time, samples: impl Iterator<Item = (u64, Span)>) {
        for (queue, (in_flight, age)) in self.queues.iter_mut().zip(samples) {
            queue.settle(now, self.phase);
            let phase = &mut queue.phases[self.phase];
            phase.oldest_age_max = phase.oldest_age_max.max(age);
            let (counts, before) = (queue.counts, queue.counted);
            queue.counted = counts;
            let series = &mut queue.series;
            series.ready.push(queue.ready);
            series.ready_max.push(queue.window_max);
            series.in_flight.push(in_flight);
            series.oldest_age.push(age.0);
            series.published.push(counts.enqueued - before.enqueued);
            series.delivered.push(counts.delivered - before.delivered);
            series
                .redelivered
                .push(counts.redelivered - before.redelivered);
            series.acked.push(counts.acked - before.acked);
            series.delayed.push(queue.delayed.value);
            let deaths = queue.deaths.iter().sum();
            series.dead_lettered.push(deaths - queue.deaths_counted);
            queue.deaths_counted = deaths;
            queue.window_max = queue.ready;
        }
        for group in &mut self.groups {
            let settled = group.settled + group.archived;
            group.series.lag.push(group.lag.value);
            group.series.members.push(u64::from(group.members));
            group
                .series
                .delivered
                .push(group.delivered - group.counted.0);
            group.series.settled.push(settled - group.counted.1);
            group.counted = (group.delivered, settled);
        }
        for (series, window) in self.latency_series.iter_mut().zip(&mut self.windows) {
            window.close(series);
        }
    }

    /// The next phase begins.
    pub fn end_phase(&mut self, now: Time) {
        for queue in &mut self.queues {
            queue.settle(now, self.phase);
        }
        if self.phase + 1 < self.phases.len() {
            self.phase += 1;
            for queue in &mut self.queues {
                queue.phases[self.phase].ready_max = queue.ready;
                queue.phases[self.phase].ready_end = queue.ready;
                queue.delayed.begin_phase(now, self.phase);
            }
            for group in &mut self.groups {
                group.lag.begin_phase(now, self.phase);
            }
        }
    }

    /// What is there before the run begins is no traffic.
    pub fn begin(&mut self) {
        for queue in &mut self.queues {
            queue.counted = queue.counts;
            queue.phases[0].counts = Counts::default();
            queue.phases[0].offered = 0;
        }
    }

    /// How many phases.
    pub fn phase_count(&self) -> usize {
        self.phases.len()
    }
}

/// Whose latency it is.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    pub queue: usize,
    pub producer: usize,
    pub phase: usize,
}

impl Level {
    /// Nothing, in so many phases.
    fn new(phases: usize) -> Level {
        Level {
            value: 0,
            since: Time::ZERO,
            peak: (0, Time::ZERO),
            phases: vec![LevelPhase::default(); phases],
        }
    }

    /// It is `value` from now on.
    pub fn set(&mut self, now: Time, phase: usize, value: u64) {
        if value == self.value {
            return;
        }
        self.settle(now, phase);
        self.value = value;
        let in_phase = &mut self.phases[phase];
        in_phase.max = in_phase.max.max(value);
        in_phase.end = value;
        if value > self.peak.0 {
            self.peak = (value, now);
        }
    }

    /// What it came to in a phase that has gone on from `from` to `until`.
    pub fn in_phase(
        &self,
        phase: usize,
        from: Time,
        until: Time,
        now: Time,
        current: usize,
    ) -> Lag {
        let measured = self.phases[phase];
        let mut integral = measured.integral;
        if phase == current {
            integral += u128::from(self.value) * u128::from((now - self.since).0);
        }
        let span = until - from;
        Lag {
            max: measured.max,
            mean: if span.is_zero() {
                0.0
            } else {
                integral as f64 / span.0 as f64
            },
            end: measured.end,
        }
    }

    fn begin_phase(&mut self, now: Time, phase: usize) {
        self.settle(now, phase - 1);
        self.phases[phase].max = self.value;
        self.phases[phase].end = self.value;
    }

    fn settle(&mut self, now: Time, phase: usize) {
        self.phases[phase].integral += u128::from(self.value) * u128::from((now - self.since).0);
        self.since = now;
    }
}

impl QueueMetrics {
    /// The number of ready messages is `ready` from now on.
    #[inline]
    pub fn set_ready(&mut self, now: Time, phase: usize, ready: u64) {
        if ready == self.ready {
            return;
        }
        self.settle(now, phase);
        self.ready = ready;
        self.window_max = self.window_max.max(ready);
        let in_phase = &mut self.phases[phase];
        in_phase.ready_max = in_phase.ready_max.max(ready);
        in_phase.ready_end = ready;
        if ready > self.peak.0 {
            self.peak = (ready, now);
            self.drained = None;
        } else if ready == 0 && self.drained.is_none() {
            self.drained = Some(now);
        }
    }

    /// Counts in the run and in the phase.
    #[inline]
    pub fn count(&mut self, phase: usize, add: impl Fn(&mut Counts)) {
        add(&mut self.counts);
        add(&mut self.phases[phase].counts);
    }

    /// Copies that left for the dead-letter target.
    pub fn dead_lettered(&self) -> u64 {
        self.deaths.iter().sum()
    }

    /// A copy of this priority becomes ready, or is so no longer.
    #[inline]
    pub fn count_priority(&mut self, priority: u8, ready: bool) {
        if self.priorities.is_empty() {
            return;
        }
        let level = self.level_of(priority);
        let count = &mut self.priorities[level].ready;
        *count = if ready {
            *count + 1
        } else {
            count.saturating_sub(1)
        };
    }

    /// What a priority counts as.
    pub fn level_of(&self, priority: u8) -> usize {
        usize::from(priority).min(self.priorities.len().saturating_sub(1))
    }

    /// A message of this age leaves the ready state.
    #[inline]
    pub fn aged(&mut self, phase: usize, age: Span) {
        let oldest = &mut self.phases[phase].oldest_age_max;
        *oldest = (*oldest).max(age);
    }

    /// The load of one phase, which has gone on from `from` to `until`.
    pub fn load(
        &self,
        phase: usize,
        from: Time,
        until: Time,
        now: Time,
        current: usize,
        capacity: Option<f64>,
    ) -> Load {
        let measured = &self.phases[phase];
        let span = until - from;
        let per_second = |count: u64| {
            if span.is_zero() {
                0.0
            } else {
                count as f64 / span.as_secs_f64()
            }
        };
        let delayed = self.delayed.in_phase(phase, from, until, now, current);
        let mut integral = measured.ready_integral;
        if phase == current {
            integral += u128::from(self.ready) * u128::from((now - self.since).0);
        }
        Load {
            offered: per_second(measured.offered),
            capacity,
            published: per_second(measured.counts.enqueued),
            delivered: per_second(measured.counts.delivered),
            acked: per_second(measured.counts.acked),
            ready_max: measured.ready_max,
            ready_mean: if span.is_zero() {
                0.0
            } else {
                integral as f64 / span.0 as f64
            },
            ready_end: measured.ready_end,
            oldest_age_max: measured.oldest_age_max,
            delayed_max: delayed.max,
            delayed_mean: delayed.mean,
            delayed_end: delayed.end,
        }
    }

    #[inline]
    fn settle(&mut self, now: Time, phase: usize) {
        self.phases[phase].ready_integral +=
            u128::from(self.ready) * u128::from((now - self.since).0);
        self.since = now;
    }
}

impl Default for Window {
    fn default() -> Self {
        let rows = (u64::BITS - Self::COLUMNS.ilog2()) as usize;
        Window {
            counts: vec![0; rows * Self::COLUMNS as usize],
            blocks: 0,
            count: 0,
            max: 0,
        }
    }
}

impl Window {
    const COLUMNS: u64 = 128;

    /// Half a row, which is all that rows above the first have: there are no more blocks than a word has bits.
    const BLOCK: usize = Self::COLUMNS as usize / 2;

    #[inline]
    fn record(&mut self, span: Span) {
        let place = Self::place(span.0);
        self.counts[place] += 1;
        self.blocks |= 1 << (place / Self::BLOCK);
        self.count += 1;
        self.max = self.max.max(span.0);
    }

    /// Appends the window's percentiles, in one pass, and empties it.
    fn close(&mut self, series: &mut LatencySeries) {
        let mut quantiles = [(0.5, 0), (0.9, 0), (0.99, 0)];
        let (mut seen, mut next) = (0, 0);
        while self.blocks != 0 {
            let block = self.blocks.trailing_zeros() as usize;
            self.blocks &= self.blocks - 1;
            let start = block * Self::BLOCK;
            let counts = &mut self.counts[start..start + Self::BLOCK];
            for (place, count) in (start..).zip(counts) {
                seen += u64::from(std::mem::take(count));
                while next < quantiles.len() && seen as f64 >= quantiles[next].0 * self.count as f64
                {
                    quantiles[next].1 = Self::middle(place).min(self.max);
                    next += 1;
                }
            }
        }
        let [(_, p50), (_, p90), (_, p99)] = quantiles;
        series.count.push(self.count);
        series.p50.push(p50);
        series.p90.push(p90);
        series.p99.push(p99);
        series.max.push(self.max);
        (self.count, self.max) = (0, 0);
    }

    /// Values below `COLUMNS` have a place each; above, a power of two is divided evenly.
    #[inline]
    fn place(value: u64) -> usize {
        let row = (value | (Self::COLUMNS - 1)).ilog2() - (Self::COLUMNS.ilog2() - 1);
        if row == 0 {
            return value as usize;
        }
        let column = (value >> row) & (Self::COLUMNS / 2 - 1);
        (Self::COLUMNS / 2 * u64::from(row + 1) + column) as usize
    }

    /// The middle of a place's values.
    fn middle(place: usize) -> u64 {
        let (place, half) = (place as u64, Self::COLUMNS / 2);
        if place < Self::COLUMNS {
            return place;
        }
        let (row, column) = (place / half - 1, place % half);
        ((half + column) << row) + (1 << (row - 1))
    }
}

impl Littles {
    /// A copy enters its queue.
    #[inline]
    pub fn enter(&mut self, now: Time) {
        self.settle(now);
        self.inside += 1;
        self.entries += u128::from(now.0);
    }

    /// A copy that entered at `entered` leaves.
    #[inline]
    pub fn leave(&mut self, now: Time, entered: Time) {
        self.settle(now);
        self.inside -= 1;
        self.entries -= u128::from(entered.0);
        self.sojourns += u128::from((now - entered).0);
    }

    /// How many copies are in queues.
    pub fn inside(&self) -> u64 {
        self.inside
    }

    /// Both sides at `now`: the integral, and the sojourns with those that go on.
    pub fn sides(&self, now: Time) -> (u128, u128) {
        let integral = self.integral + u128::from(self.inside) * u128::from((now - self.since).0);
        let going_on = u128::from(self.inside) * u128::from(now.0) - self.entries;
        (integral, self.sojourns + going_on)
    }

    #[inline]
    fn settle(&mut self, now: Time) {
        self.integral += u128::from(self.inside) * u128::from((now - self.since).0);
        self.since = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_keep_values_to_one_percent_and_in_order() {
        let mut last = 0;
        for shift in 0..64 {
            for offset in [0u64, 1, 2, 3, 5, 9, 17, 33, 65, 1_000_003] {
                let value = (1u64 << shift).saturating_add(offset % (1 << shift));
                let place = Window::place(value);
                let error = Window::middle(place).abs_diff(value) as f64 / value as f64;
                assert!(
                    error <= 1.0 / 128.0,
                    "{value} is told as {}",
                    Window::middle(place)
                );
            }
            let place = Window::place(1 << shift);
            assert!(place > last || shift == 0);
            last = place;
        }
        assert!(Window::place(u64::MAX) < Window::default().counts.len());
    }

    #[test]
    fn a_window_tells_its_percentiles_and_is_empty_again() {
        let (mut window, mut series) = (Window::default(), LatencySeries::default());
        (1..=1_000).for_each(|value| window.record(Span(value * 1_000)));
        window.close(&mut series);
        window.close(&mut series);
        assert_eq!((series.count[0], series.max[0]), (1_000, 1_000_000));
        for (measured, exact) in [
            (series.p50[0], 5e5),
            (series.p90[0], 9e5),
            (series.p99[0], 9.9e5),
        ] {
            assert!(
                (measured as f64 / exact - 1.0).abs() < 0.02,
                "{measured} for {exact}"
            );
        }
        assert_eq!((series.count[1], series.p99[1], series.max[1]), (0, 0, 0));
    }
}
