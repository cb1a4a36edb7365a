//! What the members of a producer group have in common.

use bytes::Bytes;
use queuelab_core::{Properties, Span, Time};
use queuelab_scenario::{Arrivals, Scenario, Target, WhenFull};

use super::Publish;
use super::extras::ExtrasPlan;
use super::mix::Mix;
use crate::arrivals::Schedule;
use crate::choice::{KeyChoice, SizeChoice, Weighted};
use crate::distribution::Sampler;
use crate::random::Stream;

/// What all members of a producer group share.
#[derive(Clone, Debug)]
pub struct ProducerPlan {
    name: String,
    seed: u64,
    count: u32,
    pub(super) schedule: Schedule,
    limit: Option<u64>,
    pub(super) targets: Weighted,
    /// The routing keys that targets give; where they give none the message's key is used.
    target_keys: Vec<Option<Bytes>>,
    pub(super) keys: KeyChoice,
    pub(super) sizes: SizeChoice,
    /// Most messages sent and not answered: confirms' window, or the size of a transaction; `None` without either.
    pub(super) window: Option<usize>,
    pub(super) timeout: Option<Span>,
    /// Most messages that wait before further ones are dropped; `None` drops none.
    pub(super) capacity: Option<u64>,
    reconnect: Option<Span>,
    reconnect_spread: Span,
    start: Sampler,
    /// Closed loop: its members join over this time.
    ramp: Span,
    mix: Option<Box<Mix>>,
    pub(super) extras: Option<Box<ExtrasPlan>>,
}

impl ProducerPlan {
    /// Prepares the producer group number `group` of a scenario.
    pub fn new(scenario: &Scenario, group: usize, seed: u64) -> ProducerPlan {
        let spec = &scenario.producers[group];
        let schedule = Schedule::new(&spec.arrivals, &scenario.phases, spec.count, spec.burst);
        let target_key = |target: &Target| match target {
            Target::Queue(queue) => Some(Bytes::copy_from_slice(
                scenario.queues[*queue].name.as_bytes(),
            )),
            Target::Exchange { key, .. } => key
                .as_ref()
                .map(|key| Bytes::copy_from_slice(key.as_bytes())),
        };
        let trace = match &spec.arrivals {
            Arrivals::Trace(trace) => Some(&**trace),
            _ => None,
        };
        // A closed loop has one message at a time: there is nothing to drop.
        let drops = spec.when_full == WhenFull::Drop && !schedule.is_closed();
        let transaction = spec.transaction.map(|size| size.max(1) as usize);
        let confirm = spec.confirm.filter(|_| transaction.is_none());
        let ramp = match spec.arrivals {
            Arrivals::Closed { ramp, .. } => ramp,
            _ => Span::ZERO,
        };
        ProducerPlan {
            start: Sampler::new(&spec.start),
            ramp,
            mix: Mix::new(spec, seed),
            extras: ExtrasPlan::new(spec, group, schedule.is_max()),
            name: spec.name.clone(),
            seed,
            count: spec.count,
            schedule,
            limit: spec.limit,
            targets: Weighted::new(spec.to.iter().map(|(_, weight)| *weight).collect()),
            target_keys: spec
                .to
                .iter()
                .map(|(target, _)| target_key(target))
                .collect(),
            keys: trace
                .and_then(|trace| KeyChoice::recorded(trace, spec.count))
                .unwrap_or_else(|| KeyChoice::new(&spec.message_key)),
            sizes: trace
                .and_then(|trace| SizeChoice::recorded(trace, spec.count))
                .unwrap_or_else(|| SizeChoice::new(&spec.size)),
            window: transaction.or(confirm.map(|confirm| confirm.window as usize)),
            timeout: confirm.and_then(|confirm| confirm.timeout),
            capacity: drops.then_some(spec.buffer),
            reconnect: spec.reconnect,
            reconnect_spread: spec.reconnect_spread,
        }
    }

    /// The routing key of a message: the queue's name, the target's own key, or the message's.
    #[inline]
    pub fn routing_key(&self, target: u32, key: u32) -> Bytes {
        match self.target_keys.get(target as usize) {
            Some(Some(given)) => given.clone(),
            _ => self.keys.name(key),
        }
    }

    /// What a message carries besides key, body and [number](super::Producer::number); nothing, for most producers. The same for each attempt.
    #[inline]
    pub fn properties(&self, member: u32, publish: &Publish) -> Option<Properties> {
        let mix = self.mix.as_ref()?;
        Some(mix.properties(member, publish, &self.keys))
    }

    /// The name of a message key: `k0`, `k1`, … or the word.
    pub fn key_name(&self, key: u32) -> Bytes {
        self.keys.name(key)
    }

    /// When a member starts.
    pub(super) fn start_of(&self, member: u32) -> Time {
        let joins = self.ramp.0 as f64 * f64::from(member) / f64::from(self.count.max(1));
        let drawn = self.start.sample(&mut self.stream("start", member).at(0));
        Time::ZERO + Span(joins as u64) + drawn
    }

    /// A member's share of the group's limit; the first members get what remains.
    pub(super) fn limit_of(&self, member: u32) -> u64 {
        let Some(limit) = self.limit else {
            return u64::MAX;
        };
        let count = u64::from(self.count.max(1));
        limit / count + u64::from(u64::from(member) < limit % count)
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
        Stream::new(
            self.seed,
            &format!("producer {} {purpose}", self.name),
            u64::from(member),
        )
    }
}
