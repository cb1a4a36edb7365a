//! What happened in a run, in words: the story of a violation, and what a replay is compared with.
//!
//! Kept only where somebody asks for it.

use queuelab_core::{Event as BrokerEvent, MessageCopy, Time};
use queuelab_workload::{Outcome, Publish};
use serde::{Deserialize, Serialize};

use crate::check::Tag;
use crate::network::Delivered;
use crate::plan::Operation;
use crate::world::World;

/// Something that happened, as `[nanoseconds, message, "words"]` in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line(pub Time, pub Option<u64>, pub String);

/// All that happened, up to a bound.
#[derive(Clone, Debug, Default)]
pub struct History {
    lines: Vec<Line>,
    operations: Vec<Operation>,
}

impl Line {
    /// When.
    pub fn at(&self) -> Time {
        self.0
    }

    /// The tag of the message that it is about, if it is about one.
    pub fn tag(&self) -> Option<u64> {
        self.1
    }

    /// What.
    pub fn text(&self) -> &str {
        &self.2
    }
}

impl History {
    /// The lines, in order.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The operations that have taken place, in order.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    fn push(&mut self, at: Time, tag: Option<u64>, text: String) {
        if self.lines.len() < LINES {
            self.lines.push(Line(at, tag, text));
        }
    }
}

/// What the world tells; each call costs one test where no history is kept.
impl World {
    #[cold]
    fn tell(&mut self, tag: Option<u64>, text: String) {
        let now = self.calendar.now();
        if let Some(history) = &mut self.history {
            history.push(now, tag, text);
        }
    }

    /// Something that concerns no message in particular.
    pub fn tell_all(&mut self, text: &str) {
        if self.history.is_some() {
            self.tell(None, text.into());
        }
    }

    /// A producer sends a message.
    #[inline]
    pub fn tell_sent(&mut self, tag: Tag, publish: &Publish) {
        if let Some(history) = &mut self.history {
            if publish.attempt == 0 {
                history.operations.push(Operation::of_tag(tag.0));
            }
            let again = if publish.attempt > 0 { " again" } else { "" };
            let text = format!("sent{again}, {} bytes", publish.size);
            self.tell(Some(tag.0), text);
        }
    }

    /// A message is in its queue before the run.
    pub fn tell_loaded(&mut self, tag: Tag) {
        if let Some(history) = &mut self.history {
            history.operations.push(Operation::of_tag(tag.0));
            self.tell(Some(tag.0), "was there before the run".into());
        }
    }

    /// A producer knows what became of a message.
    #[inline]
    pub fn tell_outcome(&mut self, tag: Tag, outcome: Outcome) {
        if self.history.is_some() {
            let text = match outcome {
                Outcome::Sent => return,
                Outcome::Confirmed => "confirmed: its producer relies on it",
                Outcome::Failed => "refused: its producer knows that it failed",
                Outcome::Unknown => "never answered for: its producer does not know",
                Outcome::Dropped => "dropped by its producer",
                Outcome::Abandoned => "given up by its producer",
            };
            self.tell(Some(tag.0), text.into());
        }
    }

    /// A delivery reaches a consumer.
    #[inline]
    pub fn tell_received(&mut self, consumer: u32, delivered: &Delivered) {
        if self.history.is_some() {
            let queue = self.queue_name(delivered.copy);
            let again = match delivered.redelivered {
                true => ", marked as redelivered",
                false => "",
            };
            let who = self.consumer_name(consumer);
            let text = format!("{who} has it from {queue}{again}");
            self.tell(Some(delivered.tag), text);
        }
    }

    /// A consumer settles a delivery.
    #[inline]
    pub fn tell_settled(&mut self, consumer: u32, delivery: u64, accepted: bool) {
        if self.history.is_some() {
            let what = if accepted { "acknowledges" } else { "rejects" };
            let who = self.consumer_name(consumer);
            self.tell(None, format!("{who} {what} its delivery {delivery}"));
        }
    }

    /// The broker did something.
    #[inline]
    pub fn tell_event(&mut self, event: &BrokerEvent) {
        if self.history.is_some() {
            self.tell_in_words(event);
        }
    }

    #[cold]
    fn tell_in_words(&mut self, event: &BrokerEvent) {
        let of = |copy: &MessageCopy| self.queue_name(*copy);
        let (tag, text) = match event {
            BrokerEvent::Routed { tag, copies: 0 } => (tag, "no queue wants it".into()),
            BrokerEvent::Refused { tag, .. } => (tag, "a full queue refuses it".into()),
            BrokerEvent::Enqueued { tag, copy } => (tag, format!("is in {}", of(copy))),
            BrokerEvent::Returned {
                tag,
                copy,
                deliveries,
            } => {
                let queue = of(copy);
                let text = format!("is back in {queue}, after {deliveries} deliveries in vain");
                (tag, text)
            }
            BrokerEvent::Stalled { tag, copy } => {
                let text = format!("waits in {} for room among the dead letters", of(copy));
                (tag, text)
            }
            BrokerEvent::Removed { tag, copy, reason } => {
                let reason = format!("{reason:?}").to_lowercase();
                (tag, format!("has left {}: {reason}", of(copy)))
            }
            BrokerEvent::Recovered { tag, copy } => {
                (tag, format!("the restart finds it in {}", of(copy)))
            }
            BrokerEvent::Delayed { tag, copy } => (tag, format!("is delayed in {}", of(copy))),
            BrokerEvent::Due { tag, copy } => (tag, format!("is due in {}", of(copy))),
            BrokerEvent::Deduplicated { tag, .. } => (tag, "is known already: no new copy".into()),
            BrokerEvent::StreamSettled { tag, .. } => (tag, "its group is done with it".into()),
            _ => return,
        };
        let tag = *tag;
        self.tell(Some(tag), text);
    }

    fn queue_name(&self, copy: MessageCopy) -> String {
        self.layout.name(&self.scenario, copy.queue.index())
    }

    fn consumer_name(&self, consumer: u32) -> String {
        let group = self.consumers[consumer as usize].group as usize;
        let member = consumer - self.groups[group].first;
        format!("{}/{member}", self.scenario.consumers[group].name)
    }
}

/// Lines that are kept: those of a shrunk run are a few dozen.
const LINES: usize = 100_000;
