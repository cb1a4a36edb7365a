//! What operators do to a running system.

use queuelab_core::{ChannelId, ConnectionId, Input, Output, QueueId, Request};
use queuelab_scenario::{FaultKind, Queues};

use crate::world::World;

impl World {
    /// The operator does something. Returns what, in words.
    pub fn operator_acts(&mut self, fault: u32, kind: &FaultKind) -> String {
        let Some(queues) = kind.queues() else {
            return String::new();
        };
        if self.node.broker.is_none() {
            return "n1 was down".into();
        }
        let names = self.queues_in_words(fault, queues);
        let mut held = 0;
        for queue in self.chosen_queues(fault, queues) {
            if self.brokerless.is(queue.index()) || self.journeys.is_stream(queue.index()) {
                continue;
            }
            let broker = self.node.broker.as_ref();
            held += broker.map_or(0, |broker| broker.ready(queue));
            let request = match kind {
                FaultKind::Purge { .. } => Request::Purge { queue },
                _ => Request::Delete { queue },
            };
            self.operate(request);
        }
        let held = queuelab_record::grouped(held);
        match kind {
            FaultKind::Purge { .. } => format!("{names} lost {held} ready messages"),
            _ => format!("{names} was deleted with {held} ready messages"),
        }
    }

    /// A request of the operator's, over a connection of his own; nobody needs the answer.
    fn operate(&mut self, request: Request) {
        let now = self.calendar.now();
        let loader = self.loader();
        let connection = ConnectionId(loader.0 + 1);
        let channel = ChannelId {
            connection,
            number: 1,
        };
        let window = u64::MAX;
        self.input(now, Input::Opened { connection, window });
        self.input(now, Input::Client { channel, request });
        self.input(now, Input::Closed { connection });
        let to_operator = |output: &Output| {
            matches!(output, Output::Client { channel, .. } if channel.connection == connection)
                || matches!(output, Output::Reading { connection: of, .. } if *of == connection)
        };
        self.node.outputs.retain(|output| !to_operator(output));
        self.settle_node();
    }

    fn chosen_queues(&self, fault: u32, queues: Queues) -> Vec<QueueId> {
        match queues {
            Queues::All => (0..self.layout.len())
                .map(|at| QueueId(at as u32))
                .collect(),
            Queues::One => self.queues_of(self.chosen_queue(fault)),
            Queues::Queue(queue) => self.queues_of(queue),
        }
    }

    /// The queue that a fault has chosen.
    pub fn chosen_queue(&self, fault: u32) -> usize {
        let queues = self.scenario.queues.len() as u64;
        let chance = self.chance(fault, "fault/queue");
        chance.at(0).below(queues) as usize
    }

    /// The queues that a fault strikes, in words.
    pub fn queues_in_words(&self, fault: u32, queues: Queues) -> String {
        let name = |queue: usize| {
            let queue = self.scenario.queues.get(queue);
            queue.map_or(String::new(), |queue| queue.name.clone())
        };
        match queues {
            Queues::All => "all queues".into(),
            Queues::One => name(self.chosen_queue(fault)),
            Queues::Queue(queue) => name(queue),
        }
    }
}
