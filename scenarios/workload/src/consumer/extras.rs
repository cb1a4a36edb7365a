//! What only some consumers do: ask for messages, keep to a rate, renew locks, publish on, lose patience, come and go.

use std::collections::{BTreeSet, VecDeque};

use queuelab_core::{Span, Time};
use queuelab_scenario::{Consumer as Spec, Pull, Then};

use super::{Consumer, ConsumerAction, ConsumerPlan, Delivery};
use crate::choice::{SizeChoice, Weighted};
use crate::departures::{ChurnPlan, Departures};
use crate::distribution::Sampler;
use crate::random::Stream;

/// What the members of a group have in common.
#[derive(Clone, Debug)]
pub(super) struct ExtrasPlan {
    pull: Option<Pull>,
    renew: Option<Span>,
    /// Least time between the starts of two services.
    gap: Span,
    then: Option<ThenPlan>,
    patience: Option<Sampler>,
    churn: Option<ChurnPlan>,
    /// When the run ends.
    end: Time,
}

/// Where messages go on to.
#[derive(Clone, Debug)]
struct ThenPlan {
    targets: Weighted,
    /// Those of them that are no target: there nothing is published.
    out: Vec<bool>,
    transaction: bool,
    sizes: Option<SizeChoice>,
}

impl ThenPlan {
    fn new(then: &Then) -> ThenPlan {
        ThenPlan {
            targets: Weighted::new(then.to.iter().map(|(_, weight)| *weight).collect()),
            out: then.to.iter().map(|(target, _)| target.is_none()).collect(),
            transaction: then.transaction,
            sizes: then.size.as_ref().map(SizeChoice::new),
        }
    }
}

impl ExtrasPlan {
    /// `None` for a plain consumer.
    pub(super) fn new(spec: &Spec, end: Time) -> Option<Box<ExtrasPlan>> {
        let gap = (spec.rate_cap).map_or(Span::ZERO, |rate| Span::from_secs_f64(1.0 / rate));
        let plain = spec.pull.is_none()
            && spec.renew.is_none()
            && gap.is_zero()
            && spec.then.is_none()
            && spec.patience.is_none()
            && spec.churn.is_none();
        (!plain).then(|| {
            Box::new(ExtrasPlan {
                pull: spec.pull,
                renew: spec.renew,
                gap,
                then: spec.then.as_ref().map(ThenPlan::new),
                patience: spec.patience.as_ref().map(Sampler::new),
                churn: spec.churn.as_ref().map(ChurnPlan::new),
                end,
            })
        })
    }
}

/// The state of a member.
#[derive(Clone, Debug)]
pub(super) struct Extras {
    patience: Stream,
    gap: Span,
    /// When the next service may start.
    next_start: Time,
    /// When it says for the next time that it is still working.
    renew: Option<Time>,
    /// When it gives up waiting for a message.
    gives_up: Option<Time>,
    /// How often it has begun to wait for one.
    waits: u64,
    departures: Option<Departures>,
    /// It leaves in peace as soon as nothing is under way: since when, and when it will be back.
    leaving: Option<(Time, Option<Time>)>,
    /// It has left for good.
    gone: bool,
    asking: Asking,
    /// Served, and waiting for what was published on: (channel, delivery tag).
    forwarding: BTreeSet<(u32, u64)>,
    /// Commits under way, per channel: what they acknowledge, or nothing that could go back.
    commits: Vec<VecDeque<Option<u64>>>,
}

/// A consumer that asks for its messages: one queue after the other.
#[derive(Clone, Copy, Debug, Default)]
struct Asking {
    /// The queue that it asks.
    subscription: u32,
    /// Answers that are to come.
    pending: u32,
    /// One of them was a message.
    found: bool,
    /// Queues in a row that had nothing.
    empty: u32,
    /// When it asks again, all being empty.
    wake: Option<Time>,
}

impl Asking {
    /// An answer has come.
    fn answer(&mut self, now: Time, message: bool, every: Span, queues: u32) {
        if self.pending == 0 {
            return;
        }
        self.pending -= 1;
        self.found |= message;
        if self.pending > 0 {
            return;
        }
        self.empty = if std::mem::take(&mut self.found) {
            0
        } else {
            self.empty + 1
        };
        self.subscription = (self.subscription + 1) % queues.max(1);
        if self.empty >= queues {
            self.empty = 0;
            self.wake = Some(now + every);
        }
    }
}

impl Extras {
    pub(super) fn new(
        plan: &ExtrasPlan,
        group: &ConsumerPlan,
        member: u32,
        start: Time,
    ) -> Box<Extras> {
        let departures = plan.churn.clone().map(|churn| {
            let stream = group.stream("churn", member);
            Departures::new(churn, stream, start, plan.end)
        });
        Box::new(Extras {
            patience: group.stream("patience", member),
            gap: plan.gap,
            next_start: Time::ZERO,
            renew: None,
            gives_up: None,
            waits: 0,
            departures,
            leaving: None,
            gone: false,
            asking: Asking::default(),
            forwarding: BTreeSet::new(),
            commits: vec![VecDeque::new(); group.subscriptions.len()],
        })
    }

    pub(super) fn may_start(&self, now: Time) -> bool {
        self.next_start <= now && self.leaving.is_none()
    }

    pub(super) fn started(&mut self, now: Time) {
        self.next_start = now + self.gap;
    }

    /// Connection and channels are gone.
    pub(super) fn forget(&mut self) {
        self.renew = None;
        self.gives_up = None;
        self.leaving = None;
        self.asking = Asking::default();
        self.forwarding.clear();
        self.commits.iter_mut().for_each(VecDeque::clear);
    }
}

/// The parts of [`Consumer`]'s methods for a consumer that has extras; without them they do nothing.
impl Consumer {
    /// The earlier of `service` and what the extras have to do. A paused process does nothing, nor one that is away.
    #[cold]
    pub(super) fn earlier_extra(&self, service: Option<Time>) -> Option<Time> {
        let Some(extras) = &self.extras else {
            return service;
        };
        if !self.connected || self.paused_since.is_some() {
            return service;
        }
        let capped = extras.leaving.is_none()
            && !self.hoards
            && !self.buffer.is_empty()
            && self.services.len() < self.plan.concurrency;
        let departure = match extras.leaving {
            Some((since, _)) => (!self.is_busy()).then_some(since),
            None => extras.departures.as_ref().map(Departures::deadline),
        };
        let dues = [
            service,
            extras.renew,
            extras.gives_up.filter(|_| extras.leaving.is_none()),
            extras.asking.wake,
            capped.then_some(extras.next_start),
            departure.filter(|due| *due < Time::MAX),
        ];
        dues.into_iter().flatten().min()
    }

    #[cold]
    pub(super) fn tick_extras(&mut self, now: Time, out: &mut Vec<ConsumerAction>) {
        if !self.connected || self.paused_since.is_some() || self.leave(now, out) {
            return;
        }
        self.renew(now, out);
        if let Some(extras) = &mut self.extras
            && extras.asking.wake.is_some_and(|wake| wake <= now)
        {
            extras.asking.wake = None;
        }
        if self.start_services(now, out) {
            self.flush_if_idle(out);
        }
        self.mind_extras(now, out);
    }

    #[cold]
    pub(super) fn connected_extras(&mut self, now: Time, out: &mut Vec<ConsumerAction>) {
        if let Some(extras) = &mut self.extras {
            if let Some(departures) = &mut extras.departures {
                departures.connected(now);
            }
            self.mind_extras(now, out);
        }
    }

    #[cold]
    pub(super) fn received(&mut self, now: Time, out: &mut Vec<ConsumerAction>) {
        self.answer(now, true);
        // The wait for a message is over, even if that was served at once.
        if let Some(extras) = &mut self.extras {
            extras.gives_up = None;
        }
        self.mind_extras(now, out);
    }

    pub(super) fn answered_empty(&mut self, now: Time, out: &mut Vec<ConsumerAction>) {
        self.answer(now, false);
        self.mind_extras(now, out);
    }

    fn answer(&mut self, now: Time, message: bool) {
        let queues = self.plan.subscriptions.len() as u32;
        if let (Some(extras), Some(plan)) = (&mut self.extras, &self.plan.extras)
            && let Some(pull) = plan.pull
        {
            extras.asking.answer(now, message, pull.every, queues);
        }
    }

    /// Sets the timers by what it holds now, and asks for more if it has nothing to do.
    pub(super) fn mind_extras(&mut self, now: Time, out: &mut Vec<ConsumerAction>) {
        let (Some(extras), Some(plan)) = (self.extras.as_deref_mut(), &self.plan.extras) else {
            return;
        };
        if !self.connected {
            return;
        }
        let held =
            !(self.buffer.is_empty() && self.services.is_empty() && extras.forwarding.is_empty());
        extras.renew =
            (plan.renew).and_then(|every| held.then(|| extras.renew.unwrap_or(now + every)));
        if held {
            extras.gives_up = None;
        } else if let Some(patience) = &plan.patience
            && extras.gives_up.is_none()
        {
            let drawn = patience.sample(&mut extras.patience.at(extras.waits));
            extras.waits += 1;
            extras.gives_up = Some(now + drawn);
        }
        let Some(pull) = plan.pull else {
            return;
        };
        let has_room = self.buffer.is_empty() && self.services.len() < self.plan.concurrency;
        let asking = &mut extras.asking;
        let asks = has_room && self.paused_since.is_none() && extras.leaving.is_none();
        if asks && asking.pending == 0 && asking.wake.is_none() {
            asking.pending = pull.batch.max(1);
            let subscription = asking.subscription;
            out.extend((0..asking.pending).map(|_| ConsumerAction::Get { subscription }));
        }
    }

    /// Whether something that it has begun is not answered for.
    fn is_busy(&self) -> bool {
        let answered = |extras: &Extras| {
            extras.forwarding.is_empty() && extras.commits.iter().all(VecDeque::is_empty)
        };
        !self.services.is_empty() || !self.extras.as_deref().is_none_or(answered)
    }

    /// Leaves, if it is time or its patience is at an end. In peace it finishes first what it has begun, and says so.
    fn leave(&mut self, now: Time, out: &mut Vec<ConsumerAction>) -> bool {
        let busy = self.is_busy();
        let Some(extras) = self.extras.as_deref_mut() else {
            return false;
        };
        if extras.leaving.is_none()
            && let Some(departures) = &mut extras.departures
            && let Some((crash, back)) = departures.leave(now)
        {
            if crash {
                return self.disconnect(true, Some(back), out, now);
            }
            extras.leaving = Some((now, Some(back)));
        }
        if let Some((_, back)) = extras.leaving {
            return !busy && self.disconnect(false, back.map(|back| back.max(now)), out, now);
        }
        if extras.gives_up.is_some_and(|due| due <= now) {
            let departures = extras.departures.as_ref();
            let back = departures.map(|departures| now + departures.away());
            return self.disconnect(false, back, out, now);
        }
        false
    }

    /// Closes the connection: it is away now.
    fn disconnect(
        &mut self,
        crash: bool,
        back: Option<Time>,
        out: &mut Vec<ConsumerAction>,
        now: Time,
    ) -> bool {
        if !crash {
            for (subscription, acks) in (0..).zip(&mut self.acks) {
                acks.flush(subscription, out);
            }
        }
        out.push(ConsumerAction::Disconnect { crash });
        self.forget(now);
        self.reconnect_at = back;
        if let Some(extras) = &mut self.extras {
            extras.gone = back.is_none();
        }
        true
    }

    /// Whether it has left for good: no connection that is lost, and no restart, brings it back.
    pub(super) fn is_gone(&self) -> bool {
        self.extras.as_ref().is_some_and(|extras| extras.gone)
    }

    /// Says that it is still working on all that it holds.
    fn renew(&mut self, now: Time, out: &mut Vec<ConsumerAction>) {
        let (Some(extras), Some(plan)) = (self.extras.as_deref_mut(), &self.plan.extras) else {
            return;
        };
        let (Some(every), Some(_)) = (plan.renew, extras.renew.filter(|due| *due <= now)) else {
            return;
        };
        let mut held = extras.forwarding.clone();
        let key = |delivery: &Delivery| (delivery.subscription, delivery.delivery);
        held.extend(self.buffer.iter().map(|(delivery, _)| key(delivery)));
        held.extend(self.services.iter().map(|service| key(&service.0.delivery)));
        out.extend(
            held.into_iter()
                .map(|(subscription, delivery)| ConsumerAction::Renew {
                    subscription,
                    delivery,
                }),
        );
        extras.renew = Some(now + every);
    }

    /// Publishes on what was served well, and commits. True if that settles the delivery, or will.
    #[cold]
    pub(super) fn goes_on(
        &mut self,
        delivery: &Delivery,
        accepted: bool,
        out: &mut Vec<ConsumerAction>,
    ) -> bool {
        let plan = self.plan.clone();
        let Some(then) = plan.extras.as_ref().and_then(|plan| plan.then.as_ref()) else {
            return false;
        };
        let streams = &plan.subscriptions[delivery.subscription as usize];
        let tag = delivery.tag;
        let target = then.targets.pick(&mut streams.targets.at(tag));
        let goes_out = then.out.get(target as usize).copied().unwrap_or(true);
        let forward = accepted && !goes_out;
        if forward {
            let size = then
                .sizes
                .as_ref()
                .map(|sizes| sizes.choose(&streams.sizes, 0, tag));
            out.push(ConsumerAction::Forward {
                delivery: *delivery,
                target,
                size,
            });
        }
        if then.transaction {
            let nack = if accepted { None } else { plan.nack(delivery) };
            self.settle(
                delivery,
                accepted,
                nack.is_none_or(|nack| nack.requeue),
                out,
            );
            let back = accepted.then_some(delivery.delivery);
            self.commit(delivery.subscription, back, out);
            return true;
        }
        if forward && let Some(extras) = self.extras.as_deref_mut() {
            extras
                .forwarding
                .insert((delivery.subscription, delivery.delivery));
        }
        forward
    }

    fn commit(&mut self, subscription: u32, back: Option<u64>, out: &mut Vec<ConsumerAction>) {
        if let Some(extras) = self.extras.as_deref_mut() {
            extras.commits[subscription as usize].push_back(back);
            out.push(ConsumerAction::Commit { subscription });
        }
    }

    /// What was published on for a delivery is answered; false if that is not awaited.
    pub(super) fn takes_back(&mut self, delivery: &Delivery) -> bool {
        let key = (delivery.subscription, delivery.delivery);
        (self.extras.as_mut()).is_some_and(|extras| extras.forwarding.remove(&key))
    }

    /// A delivery whose commit failed goes back; that takes another commit, on the same channel.
    pub(super) fn commit_answered(
        &mut self,
        now: Time,
        subscription: u32,
        accepted: bool,
        out: &mut Vec<ConsumerAction>,
    ) {
        let commits = |extras: &mut Box<Extras>| {
            extras.commits.get_mut(subscription as usize)?.pop_front()?
        };
        let answered = self.extras.as_mut().and_then(commits);
        if let Some(delivery) = answered.filter(|_| !accepted) {
            out.push(ConsumerAction::Nack {
                subscription,
                delivery,
                requeue: true,
            });
            self.commit(subscription, None, out);
        }
        self.mind_extras(now, out);
    }
}
