//! The end of a broker whose log has failed.

use super::Broker;
use super::commit::Transaction;
use super::timers::Timers;
use crate::channel::Connections;
use crate::id::ChannelId;
use crate::interface::{LogFailure, Output, Response};
use crate::slab::Slab;

impl Broker {
    /// Closes all connections and lets go of everything that could still have an effect: requests find no connection, progress of the
    /// log is ignored, nothing is due. Queues stay as they are, for whoever looks.
    #[cold]
    pub(super) fn fail(&mut self, failure: LogFailure, out: &mut Vec<Output>) {
        self.failed = Some(failure);
        out.extend(self.connections.all().map(|connection| Output::Client {
            channel: ChannelId {
                connection,
                number: 0,
            },
            response: Response::ConnectionClosed {
                code: 541,
                reason: "the log has failed",
            },
        }));
        self.connections = Connections::default();
        self.consumers = Slab::default();
        self.moves = Slab::default();
        self.stalled.clear();
        self.transaction = Transaction::default();
        self.ended.clear();
        self.answering.clear();
        self.touched.clear();
        self.streams.advancing.clear();
        self.flow = None;
        self.timers = Timers::default();
        self.log.abandon();
    }
}
