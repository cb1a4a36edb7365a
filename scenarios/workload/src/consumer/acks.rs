//! Acknowledgements of several deliveries at a time.

use queuelab_core::Ledger;

use super::ConsumerAction;

/// Which deliveries of a channel one `multiple` ack may cover, when acks are for several at a time.
///
/// With services side by side they end out of order; an ack covers only the unbroken run of ended ones from the oldest on.
/// A nack goes out at once: what it settles no later ack touches.
#[derive(Clone, Debug, Default)]
pub(super) struct Acks {
    /// Delivered and in no ack or nack, nor ready: true if its service has ended.
    pub(super) outstanding: Ledger<bool>,
    /// How many ended ones precede all of them.
    pub(super) ready: u32,
    /// The delivery tag of the last of those.
    last: u64,
}

impl Acks {
    pub(super) fn settle(&mut self, delivery: u64, accepted: bool) {
        if !accepted {
            self.outstanding.remove(delivery);
        } else if let Some(ended) = self.outstanding.get_mut(delivery) {
            *ended = true;
        }
        while let Some((first, true)) = self.outstanding.front() {
            self.last = first;
            self.ready += 1;
            self.outstanding.pop_front();
        }
    }

    pub(super) fn flush(&mut self, subscription: u32, out: &mut Vec<ConsumerAction>) {
        if self.ready > 0 {
            out.push(ConsumerAction::Ack {
                subscription,
                delivery: self.last,
                multiple: self.ready > 1,
            });
            self.ready = 0;
        }
    }

    pub(super) fn clear(&mut self) {
        self.outstanding.clear();
        self.ready = 0;
    }
}
