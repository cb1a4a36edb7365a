//! What only some producers do: send again, in batches or transactions, as fast as they can, lose patience, come and go.

use std::collections::{BTreeMap, VecDeque};

use queuelab_core::{ProducerSequence, Time};
use queuelab_scenario::{Batch, Producer as Spec, Retry};

use super::numbers::Numbers;
use super::retry::{Breaker, Bucket, Repeat, Repeats, backoff};
use super::{Outcome, Producer, ProducerAction, ProducerPlan, Unconfirmed};
use crate::departures::{ChurnPlan, Departures};
use crate::distribution::Sampler;
use crate::random::Stream;

/// What the members of a group have in common.
#[derive(Clone, Debug)]
pub(super) struct ExtrasPlan {
    retry: Option<Retry>,
    batch: Option<Batch>,
    transaction: bool,
    patience: Option<Sampler>,
    churn: Option<ChurnPlan>,
    /// The number of the group's first member among all idempotent producers.
    idempotent: Option<u64>,
}

impl ExtrasPlan {
    /// Of the group number `group`; `None` for a plain producer.
    pub(super) fn new(spec: &Spec, group: usize, is_max: bool) -> Option<Box<ExtrasPlan>> {
        let plan = ExtrasPlan {
            retry: spec.retry.clone(),
            batch: spec.batch.filter(|batch| batch.size > 1),
            transaction: spec.transaction.is_some(),
            patience: spec.patience.as_ref().map(Sampler::new),
            churn: spec.churn.as_ref().map(ChurnPlan::new),
            idempotent: spec.idempotent.then_some((group as u64) << 32),
        };
        let plain = plan.retry.is_none()
            && plan.batch.is_none()
            && !plan.transaction
            && plan.patience.is_none()
            && plan.churn.is_none()
            && plan.idempotent.is_none()
            && !is_max;
        (!plain).then(|| Box::new(plan))
    }

    pub(super) fn is_impatient(&self) -> bool {
        self.patience.is_some()
    }
}

/// The state of a member.
#[derive(Clone, Debug)]
pub(super) struct Extras {
    retries: Stream,
    patience: Stream,
    repeats: Repeats,
    /// How often messages under way were sent before; the others not at all.
    attempts: BTreeMap<u64, u32>,
    bucket: Option<Bucket>,
    breaker: Option<Breaker>,
    /// Messages that wait for their batch.
    batch: VecDeque<(u64, Repeat)>,
    /// When the batch leaves.
    linger: Option<Time>,
    /// The batch is to leave as soon as it can.
    overdue: bool,
    /// A commit is under way.
    committing: bool,
    /// When patience with a waiting message ends, and, of one that is to be sent again, when its wait ends.
    expiries: BTreeMap<(Time, u64), Time>,
    departures: Option<Departures>,
    /// It sends whenever it can.
    eager: bool,
    numbers: Option<Numbers>,
}

impl Extras {
    pub(super) fn new(
        plan: &ExtrasPlan,
        group: &ProducerPlan,
        member: u32,
        start: Time,
    ) -> Box<Extras> {
        let retry = plan.retry.as_ref();
        let departures = plan.churn.clone().map(|churn| {
            let stream = group.stream("churn", member);
            Departures::new(churn, stream, start, group.schedule.end())
        });
        Box::new(Extras {
            retries: group.stream("retries", member),
            patience: group.stream("patience", member),
            repeats: Repeats::default(),
            attempts: BTreeMap::new(),
            bucket: retry.and_then(|retry| retry.budget).map(Bucket::new),
            breaker: retry.and_then(|retry| retry.breaker).map(Breaker::new),
            batch: VecDeque::new(),
            linger: None,
            overdue: false,
            committing: false,
            expiries: BTreeMap::new(),
            departures,
            eager: false,
            numbers: plan
                .idempotent
                .map(|first| Numbers::new(first + u64::from(member))),
        })
    }

    /// `Time::MAX` if nothing is due.
    pub(super) fn deadline(&self, connected: bool) -> Time {
        let departures = self.departures.as_ref().filter(|_| connected);
        let dues = [
            self.repeats.deadline(),
            self.linger,
            self.breaker.as_ref().and_then(Breaker::deadline),
            self.expiries.keys().next().map(|(due, _)| *due),
            departures.map(Departures::deadline),
        ];
        dues.into_iter().flatten().min().unwrap_or(Time::MAX)
    }

    pub(super) fn connected(&mut self, now: Time) {
        if let Some(departures) = &mut self.departures {
            departures.connected(now);
        }
    }

    pub(super) fn reset(&mut self) {
        self.committing = false;
    }

    pub(super) fn number(&self, sequence: u64) -> Option<ProducerSequence> {
        self.numbers.as_ref()?.of(sequence)
    }

    /// It sends as fast as it can.
    pub(super) fn is_eager(&self) -> bool {
        self.eager
    }

    /// Only some messages may be sent, for the sake of their numbers.
    fn is_broken(&self) -> bool {
        (self.numbers.as_ref()).is_some_and(Numbers::is_broken)
    }

    fn admits(&self, sequence: u64) -> bool {
        (self.numbers.as_ref()).is_none_or(|numbers| numbers.admits(sequence))
    }

    /// A commit's answer has come; true if one is awaited.
    pub(super) fn answered(&mut self) -> bool {
        std::mem::take(&mut self.committing)
    }

    /// Messages that wait for their batch, or to be sent again.
    pub(super) fn held(&self) -> u64 {
        (self.batch.len() + self.repeats.len()) as u64
    }

    fn expire_later(&mut self, plan: &ExtrasPlan, sequence: u64, intended: Time, due: Time) {
        if let Some(expiry) = self.expiry(plan, sequence, intended) {
            self.expiries.insert((expiry, sequence), due);
        }
    }

    fn keep(&mut self, plan: &ExtrasPlan, sequence: u64, intended: Time) {
        if let Some(expiry) = self.expiry(plan, sequence, intended) {
            self.expiries.remove(&(expiry, sequence));
        }
    }

    fn expiry(&self, plan: &ExtrasPlan, sequence: u64, intended: Time) -> Option<Time> {
        let patience = plan.patience.as_ref()?;
        Some(intended + patience.sample(&mut self.patience.at(sequence)))
    }
}

/// The parts of [`Producer`]'s methods for a producer that has extras; without them they do nothing.
impl Producer {
    #[cold]
    pub(super) fn tick_extras(&mut self, now: Time, out: &mut Vec<ProducerAction>) {
        self.leave(now, out);
        self.lose_patience(now, out);
        let Some(extras) = self.extras.as_deref_mut() else {
            return;
        };
        extras.repeats.tick(now);
        if let Some(breaker) = &mut extras.breaker {
            breaker.tick(now);
        }
        if extras.linger.is_some_and(|due| due <= now) {
            extras.linger = None;
            extras.overdue = true;
        }
        self.send_extras(now, out);
    }

    /// Leaves, if it is time: what is unconfirmed ends as it does with a reset.
    fn leave(&mut self, now: Time, out: &mut Vec<ProducerAction>) {
        if !self.connected {
            return;
        }
        let departures = |extras: &mut Box<Extras>| extras.departures.as_mut()?.leave(now);
        if let Some((crash, back)) = self.extras.as_mut().and_then(departures) {
            out.push(ProducerAction::Disconnect { crash });
            self.reconnect_at = Some(back);
            self.reset(now, out);
        }
    }

    fn lose_patience(&mut self, now: Time, out: &mut Vec<ProducerAction>) {
        loop {
            let Some(extras) = self.extras.as_deref_mut() else {
                return;
            };
            let Some(first) = extras.expiries.first_entry() else {
                return;
            };
            if first.key().0 > now {
                return;
            }
            let ((_, sequence), due) = first.remove_entry();
            let repeat = extras.repeats.remove(due, sequence);
            let intended = repeat
                .map(|repeat| repeat.intended)
                .or_else(|| self.waiting.remove(sequence));
            if let Some(intended) = intended {
                self.finish_extras(now, sequence, intended, Outcome::Abandoned, out);
            }
        }
    }

    #[cold]
    pub(super) fn arrive_extras(&mut self, now: Time, out: &mut Vec<ProducerAction>) {
        let plan = self.plan.clone();
        let (Some(extras), Some(extras_plan)) = (self.extras.as_deref_mut(), &plan.extras) else {
            return;
        };
        if plan.schedule.is_max() {
            extras.eager = true;
            self.next.time = Time::MAX;
            self.send_extras(now, out);
            return;
        }
        let arrival = self.next;
        self.next
            .advance(&plan.schedule, &self.streams.arrivals, self.limit);
        if plan.schedule.is_closed() {
            self.awaited = Some(arrival.index);
        }
        let queued = !self.waiting.is_empty() || extras.repeats.has_ready();
        let full = (plan.capacity).is_some_and(|capacity| self.waiting.len() >= capacity);
        if full && (queued || !self.can_send_extras()) {
            self.finish(now, arrival.index, arrival.time, Outcome::Dropped, out);
            return;
        }
        if let Some(extras) = self.extras.as_deref_mut() {
            extras.expire_later(extras_plan, arrival.index, arrival.time, Time::MAX);
        }
        self.waiting.push(arrival);
        self.send_extras(now, out);
    }

    /// Sends what can be sent: what is sent again before what is sent for the first time.
    #[cold]
    pub(super) fn send_extras(&mut self, now: Time, out: &mut Vec<ProducerAction>) {
        if self.unconfirmed.is_empty()
            && let Some(extras) = self.extras.as_deref_mut()
            && let Some(numbers) = &mut extras.numbers
        {
            numbers.renew();
        }
        while self.can_send_extras()
            && let Some((sequence, repeat)) = self.next_to_send(now)
        {
            self.send_or_batch(now, sequence, repeat, out);
        }
        self.release_batch(now, out);
        self.commit_if_idle(out);
    }

    fn can_send_extras(&self) -> bool {
        let Some(extras) = self.extras.as_deref() else {
            return false;
        };
        // What waits for new numbers holds nobody up.
        let batch = if extras.is_broken() {
            0
        } else {
            extras.batch.len()
        };
        let under_way = self.unconfirmed.len() + batch;
        let admits = |breaker: &Breaker| breaker.admits(batch > 0);
        self.connected
            && self.writable
            && !extras.committing
            && self.plan.window.is_none_or(|window| under_way < window)
            && extras.breaker.as_ref().is_none_or(admits)
    }

    fn next_to_send(&mut self, now: Time) -> Option<(u64, Repeat)> {
        let plan = self.plan.clone();
        let extras_plan = plan.extras.as_deref()?;
        let extras = self.extras.as_deref_mut()?;
        let numbers = extras.numbers.as_ref();
        let admits = |sequence| numbers.is_none_or(|numbers| numbers.admits(sequence));
        if let Some((sequence, repeat)) = extras.repeats.pop(admits) {
            extras.keep(extras_plan, sequence, repeat.intended);
            return Some((sequence, repeat));
        }
        if extras.is_broken() {
            return None;
        }
        if let Some((sequence, intended)) = self.pop_waiting() {
            let extras = self.extras.as_deref_mut()?;
            extras.keep(extras_plan, sequence, intended);
            let attempt = 0;
            return Some((sequence, Repeat { intended, attempt }));
        }
        let extras = self.extras.as_deref_mut()?;
        if !extras.eager {
            return None;
        }
        let next = self.next_kept(self.next.index);
        let extras = self.extras.as_deref_mut()?;
        self.next.index = next.unwrap_or(self.limit);
        extras.eager = now < plan.schedule.end() && self.next.index < self.limit;
        extras.eager.then(|| {
            let sequence = self.next.index;
            self.next.index += 1;
            let repeat = Repeat {
                intended: now,
                attempt: 0,
            };
            (sequence, repeat)
        })
    }

    fn send_or_batch(
        &mut self,
        now: Time,
        sequence: u64,
        repeat: Repeat,
        out: &mut Vec<ProducerAction>,
    ) {
        let batch = self.plan.extras.as_ref().and_then(|plan| plan.batch);
        let extras = self.extras.as_deref_mut();
        let extras = extras.filter(|extras| !extras.is_broken());
        let (Some(batch), Some(extras)) = (batch, extras) else {
            self.send(now, sequence, repeat, out);
            return;
        };
        extras.batch.push_back((sequence, repeat));
        let under_way = self.unconfirmed.len() + extras.batch.len();
        // Where the window has no room for more, waiting is of no use.
        let full = extras.batch.len() >= batch.size as usize
            || self.plan.window.is_some_and(|window| under_way >= window);
        if full {
            extras.overdue = true;
            self.release_batch(now, out);
        } else if extras.batch.len() == 1 {
            extras.linger = Some(now + batch.linger);
        }
    }

    fn release_batch(&mut self, now: Time, out: &mut Vec<ProducerAction>) {
        let Some(extras) = self.extras.as_deref_mut() else {
            return;
        };
        let shut = extras.committing || extras.breaker.as_ref().is_some_and(Breaker::is_open);
        if !extras.overdue || shut || !self.connected || !self.writable {
            return;
        }
        extras.linger = None;
        let mut batch = std::mem::take(&mut extras.batch);
        if extras.is_broken() {
            let admitted = batch.into_iter();
            (batch, extras.batch) = admitted.partition(|(sequence, _)| extras.admits(*sequence));
        }
        extras.overdue = !extras.batch.is_empty();
        for (sequence, repeat) in batch {
            self.send(now, sequence, repeat, out);
        }
    }

    fn send(&mut self, now: Time, sequence: u64, repeat: Repeat, out: &mut Vec<ProducerAction>) {
        if let Some(extras) = self.extras.as_deref_mut() {
            if let Some(numbers) = &mut extras.numbers {
                numbers.sent(sequence);
            }
            if let Some(breaker) = &mut extras.breaker {
                breaker.sent(sequence);
            }
            if repeat.attempt > 0 {
                extras.attempts.insert(sequence, repeat.attempt);
            } else if let Some(bucket) = &mut extras.bucket {
                bucket.earn();
            }
        }
        self.publish(now, sequence, repeat.intended, repeat.attempt, out);
    }

    /// Commits a full transaction; also one that nothing more is going to fill: no further message has a time yet (a closed
    /// loop waits for this one), none waits, or none may be sent before this one has ended.
    fn commit_if_idle(&mut self, out: &mut Vec<ProducerAction>) {
        let waiting = self.waiting();
        let Some(extras) = self.extras.as_deref_mut() else {
            return;
        };
        let transaction = self
            .plan
            .extras
            .as_ref()
            .is_some_and(|plan| plan.transaction);
        if !transaction || extras.committing || self.unconfirmed.is_empty() || !self.connected {
            return;
        }
        let full = (self.plan.window).is_some_and(|window| self.unconfirmed.len() >= window);
        let idle = waiting == 0 && self.next.time == Time::MAX && !extras.eager;
        let trying = extras.breaker.as_ref().is_some_and(Breaker::is_trying);
        if full || idle || trying {
            extras.committing = true;
            out.push(ProducerAction::Commit);
        }
    }

    /// An attempt has ended: with the message, or it is sent again.
    #[cold]
    pub(super) fn settle_extras(
        &mut self,
        now: Time,
        settled: Unconfirmed,
        outcome: Outcome,
        out: &mut Vec<ProducerAction>,
    ) {
        let Unconfirmed {
            sequence, intended, ..
        } = settled;
        match self.retry(now, sequence, intended, outcome) {
            Some(outcome) => self.finish_extras(now, sequence, intended, outcome, out),
            None => {
                let extras = self.extras.as_deref_mut();
                if let Some(numbers) = extras.and_then(|extras| extras.numbers.as_mut()) {
                    numbers.failed(sequence, outcome == Outcome::Unknown);
                }
            }
        }
    }

    fn finish_extras(
        &mut self,
        now: Time,
        sequence: u64,
        intended: Time,
        outcome: Outcome,
        out: &mut Vec<ProducerAction>,
    ) {
        let extras = self.extras.as_deref_mut();
        if let Some(numbers) = extras.and_then(|extras| extras.numbers.as_mut()) {
            numbers.ended(sequence, outcome == Outcome::Confirmed);
        }
        self.finish(now, sequence, intended, outcome, out);
    }

    /// The message's outcome, or `None` if it is sent again.
    fn retry(
        &mut self,
        now: Time,
        sequence: u64,
        intended: Time,
        outcome: Outcome,
    ) -> Option<Outcome> {
        let plan = self.plan.clone();
        let (Some(extras), Some(extras_plan)) = (self.extras.as_deref_mut(), &plan.extras) else {
            return Some(outcome);
        };
        let attempt = extras.attempts.remove(&sequence).unwrap_or(0) + 1;
        let success = outcome == Outcome::Confirmed;
        if let Some(breaker) = &mut extras.breaker {
            breaker.ended(now, sequence, success);
        }
        let Some(retry) = extras_plan.retry.as_ref().filter(|_| !success) else {
            return Some(outcome);
        };
        if attempt >= retry.attempts {
            return Some(outcome);
        }
        let expiry = extras.expiry(extras_plan, sequence, intended);
        let spent =
            |extras: &mut Extras| (extras.bucket.as_mut()).is_some_and(|bucket| !bucket.spend());
        if expiry.is_some_and(|expiry| expiry <= now) || spent(extras) {
            return Some(Outcome::Abandoned);
        }
        let due = now + backoff(retry, &extras.retries, sequence, attempt - 1);
        let repeat = Repeat { intended, attempt };
        extras.repeats.push(now, due, sequence, repeat);
        extras.expire_later(extras_plan, sequence, intended, due);
        None
    }
}
