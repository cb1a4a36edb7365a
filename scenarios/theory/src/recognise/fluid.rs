//! Overload, and what remains of it.

use queuelab_scenario::{Ack, Overflow, Producer};

use super::known::{Departure, departures};
use super::station::{Dispatching, Station};
use super::{Kind, Prediction, metric, per_second};
use crate::fluid::{Backlog, Stretch, backlog};

/// Peak, drain and longest latency, where more is offered than can be served or a backlog is there from the start; nothing otherwise, nor
/// what chance would decide.
pub(super) fn predictions(station: &Station<'_>) -> Vec<Prediction> {
    let Some(flow) = Flow::of(station) else {
        return Vec::new();
    };
    let queue = station.queue;
    let overloaded = flow
        .stretches
        .iter()
        .any(|stretch| stretch.arrivals.0.max(stretch.arrivals.1) > stretch.capacity);
    if !overloaded && queue.backlog == 0 || !flow.outgrows_chance(queue.backlog as f64) {
        return Vec::new();
    }
    let told = |name: &str, of: Option<&str>, value: f64, covers: &str| Prediction {
        model: "fluid".into(),
        metric: metric(name, of, None),
        value,
        kind: Kind::Fluid,
        source: "chance left aside",
        covers: covers.into(),
        assumptions: station.assumptions(),
    };
    let name = Some(queue.name.as_str());
    let mut all = vec![
        told("backlog.max", name, flow.ready(flow.bounded.peak), ""),
        told("backlog.end", name, flow.ready(flow.bounded.end), ""),
    ];
    if let Some(gone) = flow.gone_at() {
        all.push(told("drain_time", name, gone - flow.bounded.peak_at, ""));
    }
    if waits_are_known(station, &flow) {
        all.push(told(
            "latency.end_to_end.max",
            station.of(),
            flow.whole().longest_wait,
            "waiting for the service to begin",
        ));
    }
    all
}

/// Whether the one that waits longest waits for those before it, each of whom is served once, and whether there are enough of them to
/// be alike.
fn waits_are_known(station: &Station<'_>, flow: &Flow) -> bool {
    let queue = station.queue;
    let bounded = queue.max_length.is_some();
    let lost = bounded && matches!(queue.overflow, Overflow::DropHead | Overflow::DeadLetter);
    let alike = flow.waits_outside || !bounded || flow.bounded.peak >= ALIKE;
    !lost && flow.in_turn && alike && station.scenario.steady.is_none()
}

/// Phases with a load of 1 or more.
pub(super) fn warnings(station: &Station<'_>) -> Vec<String> {
    let phases = &station.scenario.phases;
    let over = |(index, phase): (usize, &queuelab_scenario::Phase)| {
        let (from, to) = station.rates(index)?;
        // Of members that come later only a part is there in the mean.
        let present = station.scenario.capacity(station.index, index)?;
        let capacity = station.capacity(index)?.min(present);
        let offered = (from + to) / 2.0;
        // What other queues send on is not counted.
        (offered > 0.0 && offered >= capacity).then(|| {
            let during = if phases.len() > 1 {
                format!(" during {}", phase.name)
            } else {
                String::new()
            };
            let load = if capacity > 0.0 {
                format!("{:.2}", offered / capacity)
            } else {
                "∞".into()
            };
            format!(
                "the queue `{}` is offered {}{during}, its consumers can do {}: ρ = {load}",
                station.name(),
                per_second(offered),
                per_second(capacity),
            )
        })
    };
    phases.iter().enumerate().filter_map(over).collect()
}

/// A station's backlog as a fluid.
pub(super) struct Flow {
    stretches: Vec<Stretch>,
    /// Messages at consumers while there is a backlog: they don't count as ready.
    held: f64,
    bounded: Backlog,
    unbounded: Backlog,
    /// At the bound publishes wait, rather than being lost.
    waits_outside: bool,
    /// Messages are served once, in the order in which they came, by members who are alike.
    in_turn: bool,
}

impl Flow {
    /// `None` if rates or capacities are not known, or if more than they decides.
    pub(super) fn of(station: &Station<'_>) -> Option<Flow> {
        let (queue, servers) = (station.queue, station.servers?);
        let departures = departures(station);
        let known = departures.iter().all(|departure| FLOWS.contains(departure));
        let in_time = station
            .sources
            .iter()
            .all(|source| keeps_up(station, source.producer));
        if !known || !in_time || station.hashed {
            return None;
        }
        let consumer = servers.consumer;
        let stations = Station::all(station.scenario);
        let busy = |phase| super::broker::load(station.scenario, &stations, phase);
        let stuck = |phase| busy(phase).is_none_or(|load| load >= 1.0);
        if (0..station.scenario.phases.len()).any(stuck) {
            return None;
        }
        // Without acknowledgements, or with a bound that matters to nobody, all messages are at consumers.
        let immediate = servers.dispatching == Dispatching::Immediate;
        if immediate && (servers.count > 1 || consumer.prefetch == 0 || consumer.ack == Ack::Auto) {
            return None;
        }
        let active = if queue.policy.single_active {
            1
        } else {
            consumer.count
        };
        let held = f64::from(active) * f64::from(consumer.prefetch);
        let bound = queue
            .max_length
            .map_or(f64::INFINITY, |length| length as f64 + held);
        let start = queue.backlog as f64;
        let stretches = stretches(station)?;
        Some(Flow {
            bounded: backlog(&stretches, start, bound),
            unbounded: backlog(&stretches, start, f64::INFINITY),
            stretches,
            held,
            waits_outside: queue.overflow == Overflow::Block,
            in_turn: !departures
                .iter()
                .any(|departure| OUT_OF_TURN.contains(departure)),
        })
    }

    /// When in the phase the queue is without a backlog for good; `None` if it is not, or if that is not known: what comes before is far from
    /// overload, else chance leaves something.
    pub(super) fn begins_empty(&self, station: &Station<'_>, phase: usize) -> Option<f64> {
        let from = station.scenario.phases[phase].from.as_secs_f64();
        let begins = |stretch: &Stretch| stretch.from >= from;
        let first = self.stretches.iter().position(begins)?;
        let calm = self.stretches[..first].last().is_none_or(|before| {
            let most = before.arrivals.0.max(before.arrivals.1);
            most <= CALM * before.capacity
        });
        (self.bounded.at[first] <= 0.0 && calm).then_some(from)
    }

    /// Inside and outside.
    fn whole(&self) -> &Backlog {
        if self.waits_outside {
            &self.unbounded
        } else {
            &self.bounded
        }
    }

    /// Whether the backlog gets so large that chance, which makes it larger or smaller by about the root of what comes and goes meanwhile, is
    /// no match for it. A `start` that nothing is added to is what it is.
    fn outgrows_chance(&self, start: f64) -> bool {
        let peak = &self.unbounded;
        let before = self.stretches.iter().map(|stretch| {
            let span = (stretch.until.min(peak.peak_at) - stretch.from).max(0.0);
            let arrivals = f64::midpoint(stretch.arrivals.0, stretch.arrivals.1);
            span * (arrivals + stretch.capacity)
        });
        let deviation = before.sum::<f64>().sqrt();
        start > 0.0 && peak.peak <= start || peak.peak - start >= DEVIATIONS * deviation
    }

    /// At a bound that is small, or with a load that is hardly above 1, chance empties the queue long before the fluid does.
    fn stays_full(&self) -> bool {
        let (peak, full) = (self.bounded.peak, self.bounded.peak < self.unbounded.peak);
        let highest = |stretch: &Stretch| {
            let most = stretch.arrivals.0.max(stretch.arrivals.1);
            most / stretch.capacity.max(f64::MIN_POSITIVE)
        };
        let load = self.stretches.iter().map(highest).fold(0.0, f64::max);
        !full || (peak - self.held) * libm::log(load) >= CERTAIN
    }

    /// Of so many messages, those that no consumer has.
    fn ready(&self, total: f64) -> f64 {
        (total - self.held).max(0.0)
    }

    /// When nothing is ready any more; `None` if that is never, or up to chance.
    fn gone_at(&self) -> Option<f64> {
        let whole = self.whole();
        let gone = whole.gone_at?;
        if self.ready(whole.peak) <= 0.0 {
            return Some(self.bounded.peak_at);
        }
        // The last ones are at consumers for as long as it takes to serve them.
        let last = self
            .stretches
            .iter()
            .rev()
            .find(|stretch| stretch.from <= gone)?;
        let spare = last.capacity - last.arrivals.1;
        let noise = last.capacity + last.arrivals.1;
        let steep = spare * whole.peak >= DEVIATIONS * DEVIATIONS * noise;
        if !steep || !self.stays_full() {
            return None;
        }
        Some((gone - self.held / spare.max(f64::MIN_POSITIVE)).max(self.bounded.peak_at))
    }
}

/// Confirms come sooner than they are waited for, as long as the queue has room.
fn keeps_up(station: &Station<'_>, producer: &Producer) -> bool {
    let Some(confirm) = producer.confirm else {
        return true;
    };
    let costs = station.costs();
    let highest = (0..station.scenario.phases.len())
        .filter_map(|phase| super::station::rates(producer, phase))
        .fold(0.0, |highest: f64, (from, to)| highest.max(from).max(to));
    let unconfirmed = highest / f64::from(producer.count.max(1)) * (costs.entry + costs.out.mean);
    costs.free || unconfirmed <= f64::from(confirm.window) / 2.0
}

/// The run in parts in which rates change linearly and capacities do not: phases, cut where clients start.
fn stretches(station: &Station<'_>) -> Option<Vec<Stretch>> {
    let consumer = station.servers?.consumer;
    let starts = station.sources.iter().map(|it| it.producer.start.mean());
    let mut cuts: Vec<f64> = starts.chain([consumer.start.mean()]).collect();
    cuts.sort_by(f64::total_cmp);
    let mut all = Vec::new();
    for (index, phase) in station.scenario.phases.iter().enumerate() {
        let (begin, end) = (phase.from.as_secs_f64(), phase.until.as_secs_f64());
        let inside = cuts.iter().filter(|&&cut| begin < cut && cut < end);
        let mut edges: Vec<f64> = [begin].into_iter().chain(inside.copied()).collect();
        edges.push(end);
        edges.dedup();
        let capacity = station.capacity(index)?;
        for edge in edges.windows(2) {
            let (from, until) = (edge[0], edge[1]);
            let there = consumer.start.mean() <= from;
            let mut arrivals = (0.0, 0.0);
            for source in &station.sources {
                let (first, last) = super::station::rates(source.producer, index)?;
                let at = |now: f64| first + (last - first) * (now - begin) / (end - begin);
                if source.producer.start.mean() <= from {
                    arrivals.0 += at(from) * source.share;
                    arrivals.1 += at(until) * source.share;
                }
            }
            all.push(Stretch {
                from,
                until,
                arrivals,
                capacity: if there { capacity } else { 0.0 },
            });
        }
    }
    Some(all)
}

/// What is a matter of rates and capacities, or of no matter to a fluid.
const FLOWS: [Departure; 13] = [
    Departure::Elsewhere,
    Departure::Backlog,
    Departure::Ranks,
    Departure::Loss,
    Departure::Blocks,
    Departure::Returns,
    Departure::Rejections,
    Departure::DeliveryLimit,
    Departure::SingleActive,
    Departure::Slow,
    Departure::OtherServices,
    Departure::LateStart,
    Departure::AckBatches,
];

/// With these, some wait for longer than those before them take.
const OUT_OF_TURN: [Departure; 3] = [Departure::Ranks, Departure::Returns, Departure::Slow];

/// A backlog that is so many standard deviations of chance large is predicted: to a fifth, most of the time.
const DEVIATIONS: f64 = 5.0;

/// A queue at its bound is not emptied by chance if that is less likely than one in e to this, for each time it is touched.
const CERTAIN: f64 = 12.0;

/// Up to this load a queue forgets soon what was before.
const CALM: f64 = 0.9;

/// Of so many messages, the longest wait is within some 15 % of the mean one.
const ALIKE: f64 = 400.0;
