//! The broker: inputs in, outputs out.

use crate::config::BrokerConfig;
use crate::id::QueueId;
use crate::interface::{Input, Output, QueueView, Recovered};
use crate::time::Time;

/// A message broker as a state machine.
#[derive(Clone, Debug)]
pub struct Broker {}

impl Broker {
    /// A broker as it starts: topology from `config`, messages of durable queues from the log, chance from `seed`.
    /// What recovery announces (`Event::Recovered`) comes out of the first `flush`.
    pub fn new(_config: BrokerConfig, _recovered: Recovered, _seed: u64) -> Broker {
        todo!()
    }

    /// Takes one input; effects are appended to `out`.
    pub fn handle(&mut self, _now: Time, _input: Input, _out: &mut Vec<Output>) {
        todo!()
    }

    /// Ends a batch of inputs: coalesced confirms, the sync that they need, the log's head released.
    pub fn flush(&mut self, _now: Time, _out: &mut Vec<Output>) {
        todo!()
    }

    /// The queues, in the order of the configuration.
    pub fn queue(&self, _queue: QueueId) -> QueueView {
        todo!()
    }
}
