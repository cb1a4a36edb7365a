//! What a run measures while it goes on: constant work per event, memory by windows and never by messages.

use queuelab_core::{Span, Time};
use queuelab_record::{Latencies, LatencySeries, Load, Outcomes, Parts, QueueSeries};
use queuelab_scenario::{Phase, Scenario};

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
    /// By phase of the intended send.
    pub delivery: Vec<Latencies>,
    /// By phase of the intended send.
    pub end_to_end: Vec<Latencies>,
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
    pub dead_lettered: u64,
    pub dropped: u64,
    pub rejected: u64,
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
    pub fn new(scenario: &Scenario, warmup: Span) -> Metrics {
        let phases = scenario.phases.len();
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
            delivery: vec![Latencies::default(); phases],
            end_to_end: vec![Latencies::default(); phases],
            duplicates: 0,
            begun: 0,
            resurrected: 0,
            came_back: 0,
            lost: 0,
            refused: 0,
            dead_lettered: 0,
            dropped: 0,
            rejected: 0,
        };
        let producer = ProducerMetrics {
            outcomes: Outcomes::default(),
            confirm: vec![Latencies::default(); phases],
        };
        Metrics {
            phases: scenario.phases.clone(),
            phase: 0,
            warmup: Time::ZERO + warmup,
            queues: vec![queue; scenario.queues.len()],
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

    /// One latency of a message meant to be sent at `intended`, of queue or producer group `of`.
    #[inline]
    pub fn latency(&mut self, which: Latency, of: usize, phase: usize, intended: Time, now: Time) {
        if intended < self.warmup {
            return;
        }
        let span = now - intended;
        match which {
            Latency::Confirm => self.producers[of].confirm[phase].record(span),
            Latency::Delivery => self.queues[of].delivery[phase].record(span),
            Latency::EndToEnd => self.queues[of].end_to_end[phase].record(span),
        }
        self.windows[which as usize].record(span);
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
            queue.window_max = queue.ready;
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
            }
        }
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
            ..Load::default()
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
            count: 0,
            max: 0,
        }
    }
}

impl Window {
    const COLUMNS: u64 = 128;

    #[inline]
    fn record(&mut self, span: Span) {
        self.counts[Self::place(span.0)] += 1;
        self.count += 1;
        self.max = self.max.max(span.0);
    }

    /// Appends the window's percentiles, in one pass, and empties it.
    fn close(&mut self, series: &mut LatencySeries) {
        let mut quantiles = [(0.5, 0), (0.9, 0), (0.99, 0)];
        let (mut seen, mut next) = (0, 0);
        let used = if self.count > 0 {
            Self::place(self.max) + 1
        } else {
            0
        };
        for place in 0..used {
            seen += u64::from(self.counts[place]);
            while next < quantiles.len() && seen as f64 >= quantiles[next].0 * self.count as f64 {
                quantiles[next].1 = Self::middle(place).min(self.max);
                next += 1;
            }
        }
        let [(_, p50), (_, p90), (_, p99)] = quantiles;
        series.count.push(self.count);
        series.p50.push(p50);
        series.p90.push(p90);
        series.p99.push(p99);
        series.max.push(self.max);
        self.counts[..used].fill(0);
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
