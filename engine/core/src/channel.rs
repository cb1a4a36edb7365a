//! Connections, their channels, and what belongs to a channel: delivery tags, confirms, consumers.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::broker::append;
use crate::broker::transaction::Gathered;
use crate::id::{ChannelId, ConnectionId, ConsumerId, GroupId, QueueId};
use crate::interface::{DELIVERY_OVERHEAD, Output, Request, Response};
use crate::ledger::Ledger;
use crate::roster::Seat;
use crate::route::Memo;
use crate::selector::Selector;

/// The connections that are open, by number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connections {
    open: Vec<Option<Connection>>,
    /// How many were opened so far.
    births: u64,
}

impl Connections {
    pub(crate) fn open(&mut self, id: ConnectionId, window: u64) {
        if self.open.len() <= id.index() {
            self.open.resize_with(id.index() + 1, || None);
        }
        self.births += 1;
        self.open[id.index()] = Some(Connection::new(window, self.births));
    }

    pub(crate) fn close(&mut self, id: ConnectionId) -> Option<Connection> {
        self.open.get_mut(id.index())?.take()
    }

    /// The connections that are open.
    pub(crate) fn all(&self) -> impl Iterator<Item = ConnectionId> {
        let numbered = (0..).zip(&self.open);
        numbered.filter_map(|(id, open)| open.is_some().then_some(ConnectionId(id)))
    }

    /// The connections that have published, as far as that is noted.
    pub(crate) fn publishers(&self) -> Vec<ConnectionId> {
        let published = |open: &Option<Connection>| open.as_ref().is_some_and(|it| it.published);
        (0..)
            .zip(&self.open)
            .filter(|(_, open)| published(open))
            .map(|(id, _)| ConnectionId(id))
            .collect()
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.open.get_mut(id.index())?.as_mut()
    }

    /// An open channel.
    #[inline]
    pub(crate) fn channel_mut(&mut self, id: ChannelId) -> Option<&mut Channel> {
        self.get_mut(id.connection)?.channel_mut(id.number)
    }
}

/// A client's connection.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    /// Bytes of deliveries that it takes; unlimited if absent. The last delivery may overdraw it.
    window: Option<i64>,
    /// The queue that it waits for. Its publish is the first in the backlog.
    pub(crate) parked: Option<QueueId>,
    /// For how many messages there, and bytes.
    pub(crate) demand: (u64, u64),
    /// See `broker/flow.rs`.
    pub(crate) reading: bool,
    /// Which of all connections it is.
    pub(crate) birth: u64,
    /// It has published; noted if there are limits.
    pub(crate) published: bool,
    /// How many of its publishes wait for the log; counted if there is a limit.
    pub(crate) uncommitted: u32,
    /// They were too many, and are not half as many yet.
    pub(crate) throttled: bool,
    /// Requests that wait behind a parked publish, with their channel's number.
    pub(crate) backlog: VecDeque<(u16, Request)>,
    /// By number, ascending: there are few.
    pub(crate) channels: Vec<Channel>,
}

impl Connection {
    fn new(window: u64, birth: u64) -> Connection {
        let window = (window != u64::MAX).then(|| clamp(window));
        Connection {
            window,
            parked: None,
            demand: (0, 0),
            reading: true,
            birth,
            published: false,
            uncommitted: 0,
            throttled: false,
            backlog: VecDeque::new(),
            channels: Vec::new(),
        }
    }

    /// True if it can be sent deliveries.
    #[inline]
    pub(crate) fn takes_deliveries(&self) -> bool {
        self.reading && self.window.is_none_or(|window| window > 0)
    }

    /// Pays for a delivery; true if that used the window up.
    #[inline]
    pub(crate) fn spend(&mut self, size: u64) -> bool {
        let Some(window) = &mut self.window else {
            return false;
        };
        *window = window
            .saturating_sub(clamp(size))
            .saturating_sub(DELIVERY_OVERHEAD as i64);
        *window <= 0
    }

    /// Lets a request wait behind a parked publish.
    #[cold]
    pub(crate) fn keep(&mut self, channel: u16, request: Request) {
        self.backlog.push_back((channel, request));
    }

    pub(crate) fn grant(&mut self, bytes: u64) {
        if let Some(window) = &mut self.window {
            *window = window.saturating_add(clamp(bytes));
        }
    }

    #[inline]
    pub(crate) fn channel_mut(&mut self, number: u16) -> Option<&mut Channel> {
        let at = self.find(number).ok()?;
        Some(&mut self.channels[at])
    }

    /// True if it opened the channel just now.
    pub(crate) fn ensure_channel(&mut self, number: u16, epoch: u32) -> bool {
        match self.find(number) {
            Ok(_) => false,
            Err(at) => {
                self.channels.insert(at, Channel::new(number, epoch));
                true
            }
        }
    }

    pub(crate) fn close_channel(&mut self, number: u16) -> Option<Channel> {
        let at = self.find(number).ok()?;
        Some(self.channels.remove(at))
    }

    #[inline]
    fn find(&self, number: u16) -> Result<usize, usize> {
        // Most clients have one channel.
        if self
            .channels
            .first()
            .is_some_and(|channel| channel.number == number)
        {
            return Ok(0);
        }
        self.channels
            .binary_search_by_key(&number, |channel| channel.number)
    }
}

/// A channel of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Channel {
    pub(crate) number: u16,
    /// Tells it from earlier channels of the same name.
    pub(crate) epoch: u32,
    /// Present once the client asked for confirms.
    pub(crate) confirms: Option<Confirms>,
    /// Present once the client asked for transactions.
    pub(crate) transaction: Option<Box<Gathered>>,
    next_delivery: u64,
    /// A delivery was taken back when its time was up: an acknowledgement may come too late.
    pub(crate) late: bool,
    /// Deliveries that wait to be settled, by tag.
    pub(crate) unacked: Ledger<Unacked>,
    /// Keys of its consumers, in order of registration.
    pub(crate) consumers: Vec<u32>,
    /// The consumer of direct replies.
    pub(crate) replies_to: Option<ConsumerId>,
    /// Most deliveries that its consumers may hold together; 0 is unlimited.
    pub(crate) limit: u32,
    /// How many they hold, if that is limited.
    pub(crate) held: u32,
    pub(crate) memo: Memo,
}

/// A delivery that waits to be settled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unacked {
    pub(crate) queue: QueueId,
    pub(crate) serial: u64,
    pub(crate) consumer: u32,
}

/// A consumer; it stays known until all that it holds is settled.
#[derive(Clone, Debug)]
pub(crate) struct Consumer {
    pub(crate) id: ConsumerId,
    pub(crate) channel: ChannelId,
    pub(crate) queue: QueueId,
    /// Its place in the queue; absent once it has ended.
    pub(crate) seat: Option<Seat>,
    pub(crate) prefetch: u32,
    pub(crate) no_ack: bool,
    /// Its deliveries count against the channel's limit.
    pub(crate) limited: bool,
    /// How many deliveries it has not settled.
    pub(crate) unacked: u32,
    /// What it reads, if that is a stream; absent once it has ended.
    pub(crate) reader: Option<Reader>,
}

/// How a consumer reads streams.
#[derive(Clone, Debug)]
pub(crate) enum Reader {
    /// For itself.
    Alone {
        /// The next offset.
        next: u64,
        /// What it wants of the records.
        selector: Option<Arc<Selector>>,
    },
    /// As a member of a group.
    Member(GroupId),
}

impl Consumer {
    /// True if its prefetch allows one more.
    #[inline]
    pub(crate) fn has_credit(&self) -> bool {
        self.prefetch == 0 || self.unacked < self.prefetch
    }
}

impl Channel {
    fn new(number: u16, epoch: u32) -> Channel {
        Channel {
            number,
            epoch,
            confirms: None,
            transaction: None,
            next_delivery: 1,
            late: false,
            unacked: Ledger::new(),
            consumers: Vec::new(),
            replies_to: None,
            limit: 0,
            held: 0,
            memo: Memo::default(),
        }
    }

    /// The next delivery tag.
    #[inline]
    pub(crate) fn number_delivery(&mut self) -> u64 {
        self.next_delivery += 1;
        self.next_delivery - 1
    }

    /// True if its limit allows one more.
    pub(crate) fn has_credit(&self) -> bool {
        self.limit == 0 || self.held < self.limit
    }

    /// The outstanding deliveries from the first to the last that an acknowledgement names; `None` if it names none that is outstanding.
    pub(crate) fn named(&self, delivery: u64, multiple: bool) -> Option<u64> {
        match (delivery, multiple) {
            (0, true) => Some(u64::MAX),
            _ if self.late && (1..self.next_delivery).contains(&delivery) => Some(delivery),
            _ => self.unacked.get(delivery).map(|_| delivery),
        }
    }
}

/// The publishes of a channel that are not answered yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Confirms {
    /// How many left the window at its front.
    answered: u64,
    /// What is known of each after that.
    window: VecDeque<Publish>,
    /// Accepted since the last flush.
    accepted: Vec<u64>,
    /// Already on the broker's list of channels to answer.
    pub(crate) touched: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Publish {
    /// So many copies are not committed.
    Waiting(u32),
    Accepted,
    Answered,
}

impl Confirms {
    /// Numbers a publish with so many copies.
    pub(crate) fn begin(&mut self, copies: u32) -> u64 {
        self.window.push_back(Publish::Waiting(copies));
        let sequence = self.answered + self.window.len() as u64;
        if copies == 0 {
            self.accept(sequence);
        }
        sequence
    }

    /// Numbers a publish that is refused at once.
    pub(crate) fn refuse(&mut self) -> u64 {
        self.window.push_back(Publish::Answered);
        self.answered + self.window.len() as u64
    }

    /// One copy is committed; true if it was the last.
    pub(crate) fn commit(&mut self, sequence: u64) -> bool {
        let Publish::Waiting(copies) = self.publish(sequence) else {
            unreachable!("a publish is answered after its last copy");
        };
        *copies -= 1;
        let last = *copies == 0;
        if last {
            self.accept(sequence);
        }
        last
    }

    /// Answers what was accepted since the last flush: one confirm for the front, one each beyond a gap.
    pub(crate) fn flush(&mut self, channel: ChannelId, out: &mut Vec<Output>) {
        self.touched = false;
        let mut confirm = |sequence, multiple| {
            let response = Response::Confirm {
                sequence,
                multiple,
                accepted: true,
            };
            append(out, || Output::Client { channel, response });
        };
        let (mut last, mut count) = (0, 0);
        while let Some(publish @ (Publish::Accepted | Publish::Answered)) = self.window.front() {
            self.answered += 1;
            if *publish == Publish::Accepted {
                (last, count) = (self.answered, count + 1);
            }
            self.window.pop_front();
        }
        if count > 0 {
            confirm(last, count > 1);
        }
        if self.window.is_empty() {
            return self.accepted.clear();
        }
        for sequence in self
            .accepted
            .drain(..)
            .filter(|sequence| *sequence > self.answered)
        {
            confirm(sequence, false);
            self.window[(sequence - self.answered - 1) as usize] = Publish::Answered;
        }
    }

    fn accept(&mut self, sequence: u64) {
        *self.publish(sequence) = Publish::Accepted;
        self.accepted.push(sequence);
    }

    fn publish(&mut self, sequence: u64) -> &mut Publish {
        &mut self.window[(sequence - self.answered - 1) as usize]
    }
}

fn clamp(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
