//! What the members of a consumer group have in common.

use queuelab_core::{Span, Time};
use queuelab_scenario::{Ack, Nack, Scenario};

use super::Delivery;
use super::extras::ExtrasPlan;
use crate::distribution::Sampler;
use crate::random::Stream;

/// What all members of a consumer group share.
#[derive(Clone, Debug)]
pub struct ConsumerPlan {
    name: String,
    seed: u64,
    pub(super) subscriptions: Vec<SubscriptionPlan>,
    service: Sampler,
    /// By the ends of the phases, if they differ.
    service_by_phase: Vec<(Time, Sampler)>,
    pub(super) concurrency: usize,
    pub(super) ack: Ack,
    poison: Option<Box<Poison>>,
    reconnect: Option<Span>,
    reconnect_spread: Span,
    /// The first so many members are slow, by this factor.
    slow: (u32, f64),
    start: Sampler,
    pub(super) extras: Option<Box<ExtrasPlan>>,
}

/// Messages that fail however often they are served.
#[derive(Clone, Copy, Debug)]
struct Poison {
    share: f64,
    stream: Stream,
}

/// A choice about a message depends on the group, the queue, the message and the attempt: not on the member that got it.
#[derive(Clone, Copy, Debug)]
pub(super) struct SubscriptionPlan {
    services: Stream,
    nacks: Stream,
    /// Where messages go on to.
    pub(super) targets: Stream,
    pub(super) sizes: Stream,
}

impl ConsumerPlan {
    /// Prepares the consumer group number `group` of a scenario.
    pub fn new(scenario: &Scenario, group: usize, seed: u64) -> ConsumerPlan {
        let spec = &scenario.consumers[group];
        let stream = |queue: usize, purpose: &str| {
            Stream::new(
                seed,
                &format!(
                    "consumer {} {} {purpose}",
                    spec.name, scenario.queues[queue].name
                ),
                0,
            )
        };
        let subscription = |queue: &usize| SubscriptionPlan {
            services: stream(*queue, "services"),
            nacks: stream(*queue, "nacks"),
            targets: stream(*queue, "targets"),
            sizes: stream(*queue, "sizes"),
        };
        let by_phase = (scenario.phases.iter()).zip(&spec.service_by_phase);
        let poison = Poison {
            share: spec.poison,
            stream: Stream::new(seed, &format!("consumer {} poison", spec.name), 0),
        };
        let transaction = spec.then.as_ref().is_some_and(|then| then.transaction);
        let ack = match spec.ack {
            // Each message has its own transaction.
            Ack::Manual { nack, .. } if transaction => Ack::Manual { every: 1, nack },
            ack => ack,
        };
        let slow = spec.slow.map_or((0, 1.0), |slow| {
            let members = (slow.share * f64::from(spec.count)).ceil();
            (members as u32, slow.factor)
        });
        ConsumerPlan {
            subscriptions: spec.from.iter().map(subscription).collect(),
            service: Sampler::new(&spec.service),
            service_by_phase: by_phase
                .map(|(phase, service)| (phase.until, Sampler::new(service)))
                .collect(),
            concurrency: spec.concurrency.max(1) as usize,
            ack,
            poison: (spec.poison > 0.0).then(|| Box::new(poison)),
            reconnect: spec.reconnect,
            reconnect_spread: spec.reconnect_spread,
            slow,
            start: Sampler::new(&spec.start),
            extras: ExtrasPlan::new(spec, scenario.end()),
            name: spec.name.clone(),
            seed,
        }
    }

    /// When a member starts.
    pub(super) fn start_of(&self, member: u32) -> Time {
        Time::ZERO + self.start.sample(&mut self.stream("start", member).at(0))
    }

    /// How many times as long a member takes.
    pub(super) fn slowness_of(&self, member: u32) -> f64 {
        let (members, factor) = self.slow;
        if member < members { factor } else { 1.0 }
    }

    /// When a member whose connection is lost now connects again, if it does.
    pub(super) fn reconnects_at(&self, now: Time, member: u32) -> Option<Time> {
        let wait = self.reconnect?;
        if self.reconnect_spread.is_zero() {
            return Some(now + wait);
        }
        // No connection is lost twice at one instant.
        let share = self.stream("reconnect", member).at(now.0).next_f64();
        let spread = Span::from_secs_f64(share * self.reconnect_spread.as_secs_f64());
        Some(now + wait + spread)
    }

    pub(super) fn stream(&self, purpose: &str, member: u32) -> Stream {
        let name = format!("consumer {} {purpose}", self.name);
        Stream::new(self.seed, &name, u64::from(member))
    }

    /// How long a service that begins now takes.
    #[inline]
    pub(super) fn service_time(&self, now: Time, delivery: &Delivery) -> Span {
        let stream = &self.subscriptions[delivery.subscription as usize].services;
        let service = if self.service_by_phase.is_empty() {
            &self.service
        } else {
            self.service_at(now)
        };
        service.sample(&mut stream.at2(delivery.tag, u64::from(delivery.attempt)))
    }

    fn service_at(&self, now: Time) -> &Sampler {
        let phase = (self.service_by_phase).partition_point(|(until, _)| *until <= now);
        let phase = phase.min(self.service_by_phase.len() - 1);
        &self.service_by_phase[phase].1
    }

    /// The nack that a delivery ends with, if it does.
    #[inline]
    pub(super) fn nack(&self, delivery: &Delivery) -> Option<Nack> {
        let Ack::Manual { nack, .. } = self.ack else {
            return None;
        };
        if let Some(poison) = &self.poison
            && poison.stream.at(delivery.tag).next_f64() < poison.share
        {
            return Some(Nack {
                probability: 1.0,
                requeue: nack.is_none_or(|nack| nack.requeue),
            });
        }
        let nack = nack?;
        let stream = &self.subscriptions[delivery.subscription as usize].nacks;
        let drawn = stream
            .at2(delivery.tag, u64::from(delivery.attempt))
            .next_f64();
        (drawn < nack.probability).then_some(nack)
    }
}
