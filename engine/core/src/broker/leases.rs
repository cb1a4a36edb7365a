//! What members of groups hold, and for how long.

use super::Broker;
use super::consume::Settlement;
use super::timers::Watch;
use crate::channel::Unacked;
use crate::id::GroupId;
use crate::interface::{Event, Output};
use crate::stream::Stream;
use crate::time::Time;

/// A record that a member of a group holds. An acknowledgement without a lease is stale.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lease {
    pub(super) group: GroupId,
    /// The stream's place in the group.
    pub(super) at: usize,
    pub(super) offset: u64,
    /// The member's key.
    pub(super) member: u32,
    /// When it ends, in a shared group.
    pub(super) until: Time,
}
/// Settling.
impl Broker {
    /// Settles a delivery from a stream. Without a group that is credit, and so it is when the record is no longer the member's.
    pub(super) fn settle_record(&mut self, unacked: Unacked, settlement: Settlement) {
        let Unacked {
            serial: lease,
            consumer: key,
            ..
        } = unacked;
        let consumer = &mut self.consumers[key];
        consumer.unacked -= 1;
        let (limited, channel) = (consumer.limited, consumer.channel);
        if consumer.reader.is_some() {
            self.refresh_reader(key);
        } else {
            self.forget_if_done(key);
        }
        if limited {
            self.relieve_channel(channel);
        }
        self.end_lease_of_record(lease, settlement);
    }

    pub(super) fn end_lease_of_record(&mut self, lease: u64, settlement: Settlement) {
        let Some(Lease {
            group, at, offset, ..
        }) = self.streams.leases.remove(lease)
        else {
            return;
        };
        let state = &mut self.streams.groups[group.index()];
        let limit = state.delivery_limit();
        let cursor = &mut state.cursors[at];
        let queue = cursor.stream;
        match settlement {
            Settlement::Ack => cursor.settle(offset, true),
            Settlement::Reject => cursor.settle(offset, false),
            Settlement::Requeue => {
                let stream: &Stream = self.queues[queue.index()].stream_mut();
                cursor.release(stream, offset, limit);
                self.touch(queue);
            }
        }
        self.streams.advancing.push((group, at));
    }
}
/// Locks of shared groups.
impl Broker {
    /// Watches the end of a lease. The first that are over are forgotten.
    pub(super) fn watch_lock(&mut self, group: GroupId, until: Time, lease: u64) {
        let state = &mut self.streams.groups[group.index()];
        if state.lock().is_none() {
            return;
        }
        while let Some((until, lease)) = state.locks.front()
            && self
                .streams
                .leases
                .get(*lease)
                .is_none_or(|lease| lease.until != *until)
        {
            state.locks.pop_front();
        }
        state.locks.push_back((until, lease));
        let first = state.locks[0].0;
        if !std::mem::replace(&mut state.locks_watched, true) {
            self.timers.watch(first, Watch::Locks(group));
        }
    }

    /// Ends the leases that are due.
    pub(super) fn locks_are_due(&mut self, group: GroupId, out: &mut Vec<Output>) {
        let now = self.timers.now;
        while let Some((until, number)) = self.streams.groups[group.index()].locks.front().copied()
        {
            let lease = self.streams.leases.get(number).copied();
            let lease = lease.filter(|lease| lease.until == until);
            if lease.is_some() && until > now {
                self.timers.watch(until, Watch::Locks(group));
                return;
            }
            let state = &mut self.streams.groups[group.index()];
            state.locks.pop_front();
            if let Some(lease) = lease {
                let queue = state.cursors[lease.at].stream;
                let copy = self.queues[queue.index()].stream_mut().copy(lease.offset);
                self.observe(Event::LeaseExpired { copy }, out);
                self.end_lease_of_record(number, Settlement::Requeue);
            }
        }
        self.streams.groups[group.index()].locks_watched = false;
    }

    /// Lets a lease begin anew.
    pub(super) fn renew_record(&mut self, unacked: Unacked) {
        let number = unacked.serial;
        let Some(lease) = self.streams.leases.get_mut(number) else {
            return;
        };
        let group = lease.group;
        if let Some(lock) = self.streams.groups[group.index()].lock() {
            let until = self.timers.now + lock;
            lease.until = until;
            self.watch_lock(group, until, number);
        }
    }
}
