//! Connections between clients and the node: reliable FIFO streams, as TCP is.

use std::collections::VecDeque;

use queuelab_core::{ChannelId, MessageCopy, Request, Span, Time};
use queuelab_scenario::Network;
use queuelab_workload::{Sampler, Stream};

use crate::fault::HELD;
use crate::kernel::{Calendar, LaneId};

/// What travels from a client to the node. It names its connection, so that nothing is to be added where it waits.
#[derive(Clone, Debug)]
pub enum Up {
    /// Connect, for the so many-th time.
    Open { connection: u32, attempt: u32 },
    /// The client is gone.
    Close { connection: u32 },
    /// A request, with the stamps of a publish.
    Request {
        channel: ChannelId,
        request: Request,
        stamps: Stamps,
    },
    /// The client has read so many bytes.
    Writable { connection: u32, bytes: u64 },
}

impl Up {
    /// The connection that it comes over.
    #[inline]
    pub fn connection(&self) -> u32 {
        match self {
            Up::Open { connection, .. }
            | Up::Close { connection }
            | Up::Writable { connection, .. } => *connection,
            Up::Request { channel, .. } => channel.connection.0,
        }
    }

    /// The tag of the message that it publishes, if it does.
    #[inline]
    pub fn publishes(&self) -> Option<u64> {
        match self {
            Up::Request {
                request: Request::Publish { message, .. },
                ..
            } => Some(message.tag),
            _ => None,
        }
    }
}

// A packet is moved from place to place: beyond this size each move is a call of `memcpy`.
const _: () = assert!(size_of::<Up>() <= 128);

/// What travels from the node to a client.
#[derive(Clone, Copy, Debug)]
pub enum Down {
    /// The connection that was asked for stands.
    Connected { attempt: u32 },
    /// Nobody listens.
    Refused { attempt: u32 },
    /// Publishes are accepted, or one is refused.
    Confirm {
        channel: u16,
        sequence: u64,
        multiple: bool,
        accepted: bool,
    },
    /// A transaction is carried out, or was refused.
    Committed { channel: u16, accepted: bool },
    /// A get found nothing.
    Empty { channel: u16 },
    /// A channel, or a consumer, was ended by the node.
    Ended,
    /// A message; its routing key and body are not looked at again.
    Deliver(Delivered),
    /// Something that these clients do not act upon.
    Notice { bytes: u64 },
    /// The node reads, or does not read, what the client sends: TCP's window as the client sees it.
    Reading { on: bool },
}

/// What a client needs to know of a delivery.
#[derive(Clone, Copy, Debug)]
pub struct Delivered {
    pub channel: u16,
    pub redelivered: bool,
    /// Its queue held the copy when it was dispatched.
    pub held: bool,
    pub size: u32,
    pub delivery: u64,
    pub tag: u64,
    pub copy: MessageCopy,
}

/// When a publish was meant to be sent, was sent, and arrived.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stamps {
    pub intended: Time,
    pub sent: Time,
    pub received: Time,
}

/// Whose connection it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    Producer(u32),
    Consumer(u32),
}

/// A connection with its two streams.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Whose.
    pub client: Client,
    /// Raised when the node resets it: what was under way before is void.
    pub epoch: u32,
    /// Whether the client takes what comes.
    pub live: bool,
    /// How often the client has tried to connect; an answer to an earlier attempt is void.
    pub attempt: u32,
    /// The node's end is gone, and the client does not know.
    pub void: bool,
    /// The client's end is gone, and the node does not know: it takes no new connection of this client.
    pub stale: bool,
    /// The client wants to connect as soon as the node knows.
    pub waits: bool,
    /// Nobody answers if it connects.
    pub hangs: bool,
    /// To the node.
    pub up: Pipe<Up>,
    /// To the client.
    pub down: Pipe<Down>,
}

/// One direction of a connection: in order, each packet after its latency but never before its predecessor.
#[derive(Clone, Debug)]
pub struct Pipe<T> {
    packets: VecDeque<T>,
    sent: u64,
    free_at: Time,
    stream: Stream,
    /// The calendar's lane of its arrivals.
    pub lane: LaneId,
    /// What faults do to it.
    trouble: Option<Box<LinkTrouble>>,
    /// When the last packet arrives that a fault has delayed.
    delayed_until: Time,
}

/// What faults do to one direction of a connection.
#[derive(Clone, Debug, Default)]
pub struct LinkTrouble {
    /// Latency that comes on top.
    pub latency: Vec<(Sampler, Stream)>,
    /// How likely a packet is lost, by which fault, and until when.
    pub loss: Vec<(f64, Stream, Time)>,
    /// Bytes per second.
    pub bandwidth: Option<f64>,
    /// Nothing gets through.
    pub clogged: bool,
    /// How many packets are held back.
    held: u32,
    sent: u64,
    free_at: Time,
}

impl LinkTrouble {
    fn is_none(&self) -> bool {
        self.latency.is_empty() && self.loss.is_empty() && self.bandwidth.is_none() && !self.clogged
    }

    /// When a packet of so many bytes arrives that would have arrived at `arrives`.
    fn delayed(&mut self, at: Time, arrives: Time, bytes: u64) -> Time {
        self.sent += 1;
        if self.clogged {
            self.held += 1;
            return HELD;
        }
        let mut arrives = arrives;
        if let Some(bandwidth) = self.bandwidth {
            let leaves = at.max(self.free_at) + Span::from_secs_f64(bytes as f64 / bandwidth);
            self.free_at = leaves;
            arrives += leaves - at;
        }
        for (extra, stream) in &self.latency {
            arrives += extra.sample(&mut stream.at(self.sent));
        }
        for (p, stream, until) in &self.loss {
            let mut draw = stream.at(self.sent);
            let (mut leaves, mut wait) = (at, RETRANSMISSION);
            // TCP gives up after some fifteen of them.
            for _ in 0..15 {
                if leaves >= *until || draw.next_f64() >= *p {
                    break;
                }
                leaves += wait;
                arrives += wait;
                wait = wait * 2;
            }
        }
        arrives
    }
}

/// The least time before a packet is sent again (Linux's TCP_RTO_MIN); it doubles with each loss (RFC 6298).
const RETRANSMISSION: Span = Span::from_millis(200);

/// What the network costs.
#[derive(Clone, Debug)]
pub struct Costs {
    latency: Sampler,
    free: bool,
    bandwidth: Option<f64>,
}

impl Costs {
    /// Of a scenario's network.
    pub fn new(network: &Network) -> Costs {
        let latency = Sampler::new(&network.clients);
        Costs {
            free: latency.is_zero() && network.bandwidth.is_none(),
            latency,
            bandwidth: network.bandwidth,
        }
    }

    /// One latency, for what is not a packet: a reset noticed.
    pub fn latency(&self, stream: &Stream, counter: u64) -> queuelab_core::Span {
        self.latency.sample(&mut stream.at(counter))
    }
}

/// What can travel.
pub trait Packet {
    /// Bytes on the wire, about.
    fn size(&self) -> u64;
}

impl<T: Packet> Pipe<T> {
    /// An empty pipe.
    pub fn new(stream: Stream, lane: LaneId) -> Pipe<T> {
        Pipe {
            packets: VecDeque::new(),
            sent: 0,
            free_at: Time::ZERO,
            stream,
            lane,
            trouble: None,
            delayed_until: Time::ZERO,
        }
    }

    /// From now on this is what faults do to it. Returns how many packets are held back no longer.
    pub fn set_trouble(&mut self, mut trouble: LinkTrouble) -> u32 {
        let before = self.trouble.take();
        let held = before.as_ref().map_or(0, |before| before.held);
        if let Some(before) = before {
            (trouble.sent, trouble.free_at) = (before.sent, before.free_at);
        }
        let clogged = trouble.clogged;
        trouble.held = if clogged { held } else { 0 };
        self.trouble = (!trouble.is_none()).then(|| Box::new(trouble));
        if clogged { 0 } else { held }
    }

    /// Takes a packet that leaves at `at`; returns when it arrives, but for its predecessors, which the lane minds.
    #[inline]
    pub fn send(&mut self, at: Time, packet: T, costs: &Costs) -> Time {
        let mut arrives = match costs.free {
            true => at,
            false => self.arrival(at, packet.size(), costs),
        };
        if let Some(trouble) = &mut self.trouble {
            arrives = trouble.delayed(at, arrives, packet.size());
            if arrives != HELD {
                self.delayed_until = self.delayed_until.max(arrives);
            }
        }
        self.packets.push_back(packet);
        arrives
    }

    /// When a packet of so many bytes arrives.
    fn arrival(&mut self, at: Time, bytes: u64, costs: &Costs) -> Time {
        self.sent += 1;
        let mut leaves = at;
        if let Some(bandwidth) = costs.bandwidth {
            leaves = leaves.max(self.free_at);
            leaves += queuelab_core::Span::from_secs_f64(bytes as f64 / bandwidth);
            self.free_at = leaves;
        }
        leaves + costs.latency.sample(&mut self.stream.at(self.sent))
    }

    /// The packet that arrives.
    #[inline]
    pub fn receive(&mut self) -> Option<T> {
        self.packets.pop_front()
    }

    /// How much longer a packet may be under way that a fault has delayed: after many losses it is sent again late, whether or not the fault
    /// still is.
    pub fn is_delayed(&self, now: Time) -> Span {
        self.delayed_until - now
    }

    /// Whether nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Everything under way is lost, and takes up no bandwidth any more; what comes next does not wait for it.
    pub fn cut<E: Copy>(
        &mut self,
        calendar: &mut Calendar<E>,
    ) -> impl Iterator<Item = T> + use<T, E> {
        self.lane = calendar.leave(self.lane);
        (self.free_at, self.delayed_until) = (Time::ZERO, Time::ZERO);
        if let Some(trouble) = &mut self.trouble {
            (trouble.held, trouble.free_at) = (0, Time::ZERO);
        }
        std::mem::take(&mut self.packets).into_iter()
    }
}

impl Packet for Up {
    #[inline]
    fn size(&self) -> u64 {
        match self {
            Up::Request {
                request: Request::Publish { message, .. },
                ..
            } => FRAME + message.size(),
            _ => FRAME,
        }
    }
}

impl Packet for Down {
    #[inline]
    fn size(&self) -> u64 {
        match self {
            Down::Deliver(delivered) => FRAME + u64::from(delivered.size),
            Down::Notice { bytes } => FRAME + bytes,
            _ => FRAME,
        }
    }
}

/// Method and header frames of a message, with its routing key.
const FRAME: u64 = 64;
