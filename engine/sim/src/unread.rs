//! Requests of connections that the broker does not read: they wait in the node's sockets, in order, until it does.

use std::collections::{BTreeMap, VecDeque};

use queuelab_core::Span;

use crate::network::Up;
use crate::world::{Event, World};

/// By connection, for those that the broker does not read.
#[derive(Clone, Debug, Default)]
pub struct Unread {
    sockets: BTreeMap<u32, Socket>,
}

#[derive(Clone, Debug, Default)]
struct Socket {
    waiting: VecDeque<Up>,
    /// The broker reads on as soon as it gets round to it. What comes until then waits its turn.
    reads: bool,
    /// The connection was cut: nothing that came before the next one is read.
    cut: bool,
}

impl Unread {
    /// Whether there is such a connection.
    #[inline]
    pub fn any(&self) -> bool {
        !self.sockets.is_empty()
    }

    /// Whether the broker reads from a connection.
    pub fn reads(&self, connection: u32) -> bool {
        !self.sockets.contains_key(&connection)
    }

    /// Whether any request waits.
    pub fn is_waiting(&self) -> bool {
        let mut sockets = self.sockets.values();
        sockets.any(|socket| !socket.waiting.is_empty())
    }

    /// The process is gone, with its sockets. The result are the publishes in them.
    pub fn clear(&mut self) -> Vec<u64> {
        let sockets = std::mem::take(&mut self.sockets).into_values();
        let waiting = sockets.flat_map(|socket| socket.waiting);
        waiting.filter_map(|packet| packet.publishes()).collect()
    }

    /// A connection is cut, and what waits of it is lost. The result are the publishes among that.
    pub fn cut(&mut self, connection: u32) -> Vec<u64> {
        let socket = self.sockets.get_mut(&connection);
        let waiting = socket.map(|socket| {
            socket.cut = true;
            std::mem::take(&mut socket.waiting)
        });
        let waiting = waiting.into_iter().flatten();
        waiting.filter_map(|packet| packet.publishes()).collect()
    }
}

impl World {
    /// The broker reads from a connection again, or stops.
    pub fn reading_changes(&mut self, connection: u32, on: bool) {
        let incarnation = self.node.incarnation;
        let sockets = &mut self.node.unread.sockets;
        if !on {
            sockets.entry(connection).or_default().reads = false;
        } else if let Some(socket) = sockets.get_mut(&connection) {
            socket.reads = true;
            let event = Event::ReadsOn {
                connection,
                incarnation,
            };
            self.calendar.after(Span::ZERO, event);
        }
    }

    /// Lets a request wait if its connection is not read; true if so. A client that closes its connection has sent what is in the socket, so
    /// that is read to the end.
    #[cold]
    #[inline(never)]
    pub fn waits_unread(&mut self, packet: &mut Up) -> bool {
        let connection = packet.connection();
        let sockets = &mut self.node.unread.sockets;
        match packet {
            Up::Request { .. } => {
                let Some(socket) = sockets.get_mut(&connection) else {
                    return false;
                };
                let packet = std::mem::replace(packet, Up::Close { connection });
                match socket.cut {
                    true => self.not_read(packet),
                    false => socket.waiting.push_back(packet),
                }
                return true;
            }
            Up::Writable { .. } => {}
            Up::Open { .. } | Up::Close { .. } => {
                let socket = sockets.remove(&connection);
                for mut packet in socket.into_iter().flat_map(|socket| socket.waiting) {
                    self.handle_later(&mut packet);
                }
            }
        }
        false
    }

    /// Reads what waits of a connection, unless the broker stops that again. The result is the CPU time that its outputs take.
    #[cold]
    #[inline(never)]
    pub fn read_on(&mut self, connection: u32) -> Span {
        let now = self.calendar.now();
        let mut sending = Span::ZERO;
        while let Some(socket) = self.node.unread.sockets.get_mut(&connection)
            && socket.reads
        {
            let Some(mut packet) = socket.waiting.pop_front() else {
                self.node.unread.sockets.remove(&connection);
                break;
            };
            if let Up::Request { stamps, .. } = &mut packet {
                // As with a publish that is parked, its client waited: it is sent so much later.
                let waited = now - stamps.received;
                (stamps.sent, stamps.received) = (stamps.sent + waited, now);
            }
            sending += self.handle_later(&mut packet);
        }
        sending
    }
}
