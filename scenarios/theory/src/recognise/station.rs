//! A scenario as stations: a queue, its arrivals, its servers.

use queuelab_scenario::{
    Ack, Arrivals, BurstSize, Cluster, Consumer, Dispatch, Distribution, Durability, ExchangeType,
    Keys, Producer, Profile, Queue, Scenario, Span, Target,
};

use crate::general::{GroupCommit, Moments};

/// A queue with what comes to it and who serves it.
pub(super) struct Station<'a> {
    pub(super) scenario: &'a Scenario,
    /// Of the queue, in [`Scenario::queues`].
    pub(super) index: usize,
    pub(super) queue: &'a Queue,
    /// What comes from outside.
    pub(super) sources: Vec<Source<'a>>,
    /// Consumers of other queues send here too.
    pub(super) fed: bool,
    pub(super) servers: Option<Servers<'a>>,
    /// Keys that change how much comes are taken as evenly spread.
    pub(super) hashed: bool,
    /// How much comes depends on keys or headers.
    pub(super) unknown: bool,
}

/// A producer's share of a queue's arrivals.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) producer: &'a Producer,
    /// 0 to 1.
    pub(super) share: f64,
}

/// The one group of consumers of a queue.
#[derive(Clone, Copy)]
pub(super) struct Servers<'a> {
    pub(super) consumer: &'a Consumer,
    /// How many messages can be served at once.
    pub(super) count: u32,
    pub(super) dispatching: Dispatching,
}

impl Servers<'_> {
    /// Messages that could be in service if the prefetch let them: where it is smaller, some places stay empty.
    pub(super) fn places(&self) -> f64 {
        f64::from(self.consumer.count) * f64::from(self.consumer.concurrency.max(1))
    }
}

/// When a message is given to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dispatching {
    /// When one is free: all wait in one queue. An acknowledgement's way is part of the service.
    Central,
    /// At once: each server has a queue of its own.
    Immediate,
    /// So many at a time: something in between.
    Ahead,
}

/// What happens between producers, broker and consumers, besides waiting and service.
#[derive(Clone, Copy, Debug)]
pub(super) struct Costs {
    /// From the intended send until the message is ready.
    pub(super) entry: f64,
    /// From the broker to a consumer.
    pub(super) out: Moments,
    /// From a consumer until the broker has its acknowledgement.
    pub(super) back: Moments,
    /// Nothing costs anything.
    pub(super) free: bool,
}

/// How messages come.
pub(super) enum Shape<'a> {
    /// As a Poisson process, all sources together.
    Poisson,
    /// With independent gaps of this shape.
    Renewal(Distribution),
    /// In batches, as a Poisson process: mean and second moment of their size.
    Batches(f64, f64),
    /// With a rate that jumps: (messages per second, mean seconds).
    Modulated(Vec<(f64, f64)>),
    /// From so many clients that wait for each message and then think.
    Closed(u32, &'a Distribution),
    /// Several evenly spaced streams.
    Smooth,
    /// Otherwise.
    Other,
}

impl<'a> Station<'a> {
    /// One for each queue.
    pub(super) fn all(scenario: &'a Scenario) -> Vec<Station<'a>> {
        (0..scenario.queues.len())
            .map(|index| Station::new(scenario, index))
            .collect()
    }

    fn new(scenario: &'a Scenario, index: usize) -> Station<'a> {
        let (mut hashed, mut unknown) = (false, false);
        let mut sources = Vec::new();
        for producer in &scenario.producers {
            let total: f64 = producer.to.iter().map(|(_, weight)| weight).sum();
            let mut share = 0.0;
            for (target, weight) in &producer.to {
                if !scenario.reached_by(target).contains(&index) {
                    continue;
                }
                let part = scenario.share(producer, target, index).unwrap_or_else(|| {
                    let even = even_share(scenario, target, index);
                    hashed |= even.is_some();
                    unknown |= even.is_none();
                    even.unwrap_or(0.0)
                });
                share += part * weight / total;
            }
            if share > 0.0 {
                sources.push(Source { producer, share });
            }
        }
        let feeds = |target: &Option<Target>| {
            target
                .as_ref()
                .is_some_and(|target| scenario.reached_by(target).contains(&index))
        };
        let fed = scenario
            .consumers
            .iter()
            .filter_map(|consumer| consumer.then.as_ref())
            .any(|then| then.to.iter().any(|(target, _)| feeds(target)));
        let dead_letters = scenario
            .queues
            .iter()
            .filter_map(|queue| queue.dead_letter.as_ref());
        let fed = fed
            || dead_letters
                .into_iter()
                .any(|target| scenario.reached_by(target).contains(&index));
        Station {
            scenario,
            index,
            queue: &scenario.queues[index],
            sources,
            fed,
            servers: servers(scenario, index),
            hashed,
            unknown,
        }
    }

    /// The queue's name.
    pub(super) fn name(&self) -> &'a str {
        &self.queue.name
    }

    /// The queue's name where a latency needs one.
    pub(super) fn of(&self) -> Option<&'a str> {
        (self.scenario.queues.len() > 1).then_some(self.name())
    }

    /// Messages per second at the beginning and the end of a phase; `None` if that is not given.
    pub(super) fn rates(&self, phase: usize) -> Option<(f64, f64)> {
        if self.unknown {
            return None;
        }
        let mut sum = (0.0, 0.0);
        for source in &self.sources {
            let (from, to) = rates(source.producer, phase)?;
            sum = (sum.0 + from * source.share, sum.1 + to * source.share);
        }
        Some(sum)
    }

    /// The rate, if it is the same throughout.
    pub(super) fn constant_rate(&self) -> Option<f64> {
        let mut phases = (0..self.scenario.phases.len()).map(|phase| self.rates(phase));
        let (rate, end) = phases.next()??;
        let same = |other: Option<(f64, f64)>| other == Some((rate, rate));
        (rate == end && phases.all(same)).then_some(rate)
    }

    /// Messages per second that the servers can do once all are there: with a prefetch of 1 the way of an acknowledgement is part of the
    /// service. `None` if that is not known, or nobody serves.
    pub(super) fn capacity(&self, phase: usize) -> Option<f64> {
        let overhead = match self.servers?.dispatching {
            Dispatching::Central => {
                let costs = self.costs();
                costs.out.mean + costs.back.mean
            }
            _ => 0.0,
        };
        self.scenario.full_capacity(self.index, phase, overhead)
    }

    /// How all sources together arrive.
    pub(super) fn shape(&self) -> Shape<'a> {
        let poisson = |source: &Source<'_>| {
            matches!(source.producer.arrivals, Arrivals::Poisson(_))
                && source.producer.burst == BurstSize::One
                && source.producer.batch.is_none()
        };
        if !self.sources.is_empty() && self.sources.iter().all(poisson) {
            return Shape::Poisson;
        }
        let [Source { producer, share }] = self.sources.as_slice() else {
            return Shape::Other;
        };
        let (one, all) = (producer.count == 1, *share == 1.0);
        if producer.batch.is_some() || !all {
            return Shape::Other;
        }
        match (&producer.arrivals, producer.burst) {
            (Arrivals::Poisson(_), BurstSize::Fixed(size)) => {
                let size = f64::from(size);
                Shape::Batches(size, size * size)
            }
            (Arrivals::Poisson(_), BurstSize::Geometric { mean }) => {
                Shape::Batches(mean, mean * (2.0 * mean - 1.0))
            }
            (_, BurstSize::Fixed(_) | BurstSize::Geometric { .. }) => Shape::Other,
            (Arrivals::Constant(rate), _) if one => Shape::Renewal(Distribution::Constant(
                Span::from_secs_f64(1.0 / rate.segments[0].0.max(1e-9)),
            )),
            (Arrivals::Constant(_), _) => Shape::Smooth,
            (Arrivals::Renewal { gap, .. }, _) if one => Shape::Renewal(gap.clone()),
            (Arrivals::Mmpp { states }, _) if one => Shape::Modulated(
                states
                    .iter()
                    .map(|(rate, mean)| (*rate, mean.as_secs_f64()))
                    .collect(),
            ),
            (
                Arrivals::OnOff {
                    rate,
                    on: Distribution::Exponential(on),
                    off: Distribution::Exponential(off),
                },
                _,
            ) if one => Shape::Modulated(vec![(*rate, on.as_secs_f64()), (0.0, off.as_secs_f64())]),
            (Arrivals::Closed { think, .. }, _) => Shape::Closed(producer.count, think),
            _ => Shape::Other,
        }
    }

    /// What it costs to get a message in, out, and done.
    pub(super) fn costs(&self) -> Costs {
        let Cluster {
            cpu,
            disk,
            network,
            profile,
            ..
        } = &self.scenario.cluster;
        let way = Moments::of(&network.clients);
        let cpu_of = |span: Span| Moments {
            mean: (span + cpu.per_batch).as_secs_f64(),
            ..Moments::default()
        };
        let mut entry = way.plus(cpu_of(cpu.publish)).mean;
        if self.queue.durability == Durability::Fsync && disk.fsync.mean() > 0.0 {
            // Publishes and acknowledgements are both synced.
            let rate: f64 = self.rates(0).map_or(0.0, |(rate, _)| rate);
            if rate > 0.0 {
                entry += GroupCommit::new(2.0 * rate, &disk.fsync).delay;
            }
        }
        Costs {
            entry,
            out: way.plus(cpu_of(cpu.deliver)),
            back: way.plus(cpu_of(cpu.ack)),
            free: *profile == Profile::Ideal && entry == 0.0 && way.mean == 0.0,
        }
    }

    /// What the scenario has that the models lack, in words.
    pub(super) fn assumptions(&self) -> Vec<String> {
        let mut all = Vec::new();
        let costs = self.costs();
        if !costs.free {
            let central = self
                .servers
                .is_some_and(|servers| servers.dispatching == Dispatching::Central);
            let round_trip = costs.out.mean + costs.back.mean;
            all.push(match central {
                true => format!(
                    "network, CPU and disk add about {} on the way in; with this prefetch the acknowledgement's round trip of about {} is part of the service",
                    super::shown(costs.entry),
                    super::shown(round_trip)
                ),
                false => format!(
                    "network, CPU and disk add about {} on the way in and {} on the way out",
                    super::shown(costs.entry),
                    super::shown(costs.out.mean)
                ),
            });
        }
        if self.hashed {
            all.push("keys are taken as evenly spread".into());
        }
        all
    }

    /// The run is long enough to forget that it began empty: some hundred times the time in which a queue at this load does.
    pub(super) fn settles(&self, rate: f64, capacity: f64, span: f64) -> bool {
        let gap = capacity.sqrt() - rate.sqrt();
        gap > 0.0 && span * gap * gap >= 100.0
    }
}

/// Messages per second of the whole group at the beginning and the end of a phase.
pub(super) fn rates(producer: &Producer, phase: usize) -> Option<(f64, f64)> {
    match &producer.arrivals {
        Arrivals::Constant(rate) | Arrivals::Poisson(rate) | Arrivals::Renewal { rate, .. } => {
            rate.segments.get(phase).copied()
        }
        Arrivals::Mmpp { states } => {
            let period: f64 = states.iter().map(|(_, mean)| mean.as_secs_f64()).sum();
            let sum: f64 = states
                .iter()
                .map(|(rate, mean)| rate * mean.as_secs_f64())
                .sum();
            Some((sum / period, sum / period))
        }
        Arrivals::OnOff { rate, on, off } => {
            let mean = rate * on.mean() / (on.mean() + off.mean());
            Some((mean, mean))
        }
        Arrivals::Closed { .. } | Arrivals::Max | Arrivals::Diurnal { .. } | Arrivals::Trace(_) => {
            None
        }
    }
}

/// The one group that consumes from the queue; `None` if there are none or several.
fn servers(scenario: &Scenario, queue: usize) -> Option<Servers<'_>> {
    let mut consumers = scenario
        .consumers
        .iter()
        .filter(|consumer| consumer.from.contains(&queue));
    let (consumer, None) = (consumers.next()?, consumers.next()) else {
        return None;
    };
    let (members, each) = (consumer.count, consumer.concurrency.max(1));
    let bounded = consumer.ack != Ack::Auto && consumer.prefetch != 0;
    let (count, dispatching) = if bounded && consumer.prefetch <= each {
        (
            members.saturating_mul(consumer.prefetch),
            Dispatching::Central,
        )
    } else if bounded && !(members == 1 && each == 1) {
        (members.saturating_mul(each), Dispatching::Ahead)
    } else {
        (members.saturating_mul(each), Dispatching::Immediate)
    };
    Some(Servers {
        consumer,
        count,
        dispatching,
    })
}

/// The share of a consistent-hash exchange's messages that a queue gets if keys are many and alike.
fn even_share(scenario: &Scenario, target: &Target, queue: usize) -> Option<f64> {
    let Target::Exchange { exchange, .. } = target else {
        return None;
    };
    if !matches!(
        scenario.exchanges[*exchange].kind,
        ExchangeType::ConsistentHash(_)
    ) {
        return None;
    }
    let weight = |queue: &Queue| -> f64 {
        let own = queue
            .bind
            .iter()
            .filter(|binding| binding.exchange == *exchange);
        own.map(|binding| f64::from(binding.weight)).sum()
    };
    let total: f64 = scenario.queues.iter().map(weight).sum();
    (total > 0.0).then(|| weight(&scenario.queues[queue]) / total)
}

/// Whether the producer's keys make some queues busier than others.
pub(super) fn keys_are_even(producer: &Producer) -> bool {
    matches!(
        producer.message_key,
        Keys::Uniform { .. } | Keys::RoundRobin { .. }
    )
}

/// How the queue spreads messages over servers that have room.
pub(super) fn spreads_evenly(dispatch: Dispatch) -> bool {
    matches!(
        dispatch,
        Dispatch::RoundRobin | Dispatch::WeightedRoundRobin
    )
}
