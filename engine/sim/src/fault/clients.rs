//! Faults of producers and consumers.

use queuelab_core::{ChannelId, ConnectionId, QueueId, Request};
use queuelab_record::grouped;
use queuelab_scenario::FaultKind;
use queuelab_workload::{ConsumerAction, Publish, Stream};

use crate::body::body;
use crate::check::Tag;
use crate::network::{Client, Stamps, Up};
use crate::world::World;

/// What is wrong with a producer.
#[derive(Clone, Debug)]
pub struct ProducerTrouble {
    /// It sends so many times as much.
    factor: f64,
    /// What of one more message it is to send.
    carry: f64,
    /// Bodies are this large.
    size: Option<u32>,
    /// All messages have the first key.
    hot_key: bool,
}

/// What is wrong with a consumer.
#[derive(Clone, Debug, Default)]
pub struct ConsumerTrouble {
    loss: Vec<(f64, Stream)>,
    zombie: bool,
    /// Acknowledgements that it holds back, with the attempt at connecting that they belong to.
    held: Vec<(u32, ConsumerAction)>,
    /// Acknowledgements lost.
    lost: u64,
}

impl World {
    /// A fault of producers or consumers begins. Returns what it does, in words.
    pub fn client_fault_begins(&mut self, fault: u32, kind: &FaultKind) -> String {
        let struck = self.struck(fault);
        self.set_clients(&struck);
        match kind {
            FaultKind::Burst { factor, .. } => format!("{factor} times as much was sent"),
            FaultKind::Oversized { size, .. } => format!("bodies had {} bytes", grouped(*size)),
            FaultKind::HotKey { .. } => "all messages had the same key".into(),
            FaultKind::AckLoss { .. } => "acknowledgements were lost".into(),
            FaultKind::NackStorm { .. } => "messages were rejected".into(),
            FaultKind::Hoard { .. } => "messages were taken and not served".into(),
            FaultKind::SetWeights { weight, .. } => {
                self.come_again(&struck);
                format!("they consumed again with a weight of {weight}")
            }
            _ => "acknowledgements were held back".into(),
        }
    }

    /// A fault of producers or consumers is over.
    pub fn client_fault_ends(&mut self, fault: u32, kind: &FaultKind) {
        let struck = self.struck(fault);
        let lost: Vec<u32> = match kind {
            // Who has lost acknowledgements is started anew, else the broker would wait for them for ever.
            FaultKind::AckLoss { .. } => {
                let lost = |connection: &u32| match self.connections[*connection as usize].client {
                    Client::Consumer(at) => {
                        let trouble = self.consumers[at as usize].trouble.as_deref();
                        trouble.is_some_and(|trouble| trouble.lost > 0)
                    }
                    Client::Producer(_) => false,
                };
                struck.iter().copied().filter(lost).collect()
            }
            FaultKind::SetWeights { .. } => struck.clone(),
            _ => Vec::new(),
        };
        self.set_clients(&struck);
        self.come_again(&lost);
    }

    /// Faults may overlap: what they do to a client is made anew of all that are on.
    fn set_clients(&mut self, connections: &[u32]) {
        for connection in connections {
            match self.connections[*connection as usize].client {
                Client::Producer(producer) => self.set_producer(*connection, producer),
                Client::Consumer(consumer) => self.set_consumer(*connection, consumer),
            }
        }
    }

    /// The faults that are on and strike a connection.
    fn on_it(&self, connection: u32) -> Vec<(u32, FaultKind)> {
        let strikes = |fault: &&u32| {
            let struck = self.strikes.struck.get(*fault);
            struck.is_some_and(|struck| struck.contains(&connection))
        };
        let kind = |fault: &u32| (*fault, self.scenario.faults[*fault as usize].kind.clone());
        self.active.keys().filter(strikes).map(kind).collect()
    }

    fn set_producer(&mut self, connection: u32, producer: u32) {
        let mut trouble: Option<ProducerTrouble> = None;
        for (_, kind) in self.on_it(connection) {
            let none = || ProducerTrouble {
                factor: 1.0,
                carry: 0.0,
                size: None,
                hot_key: false,
            };
            match kind {
                FaultKind::Burst { factor, .. } => {
                    trouble.get_or_insert_with(none).factor *= factor
                }
                FaultKind::Oversized { size, .. } => {
                    let size = u32::try_from(size).unwrap_or(u32::MAX);
                    let largest = &mut trouble.get_or_insert_with(none).size;
                    *largest = Some(largest.map_or(size, |other| other.max(size)));
                }
                FaultKind::HotKey { .. } => trouble.get_or_insert_with(none).hot_key = true,
                _ => {}
            }
        }
        self.producers[producer as usize].trouble = trouble.map(Box::new);
    }

    fn set_consumer(&mut self, connection: u32, consumer: u32) {
        let mut trouble: Option<ConsumerTrouble> = None;
        let (mut hoards, mut weight) = (false, None);
        let mut rejects: Option<(f64, Stream)> = None;
        for (fault, kind) in self.on_it(connection) {
            let chance = self
                .chance(fault, "fault/ack")
                .at(u64::from(connection))
                .next_u64();
            let stream = Stream::new(self.seed, "fault/ack", chance);
            match kind {
                FaultKind::AckLoss { p, .. } => {
                    trouble.get_or_insert_default().loss.push((p, stream));
                }
                FaultKind::Zombie { .. } => trouble.get_or_insert_default().zombie = true,
                FaultKind::NackStorm { p, .. } if rejects.is_none_or(|(other, _)| other < p) => {
                    rejects = Some((p, stream));
                }
                FaultKind::Hoard { .. } => hoards = true,
                FaultKind::SetWeights { weight: set, .. } => weight = Some(set),
                _ => {}
            }
        }
        let now = self.calendar.now();
        let slot = &mut self.consumers[consumer as usize];
        slot.weight = weight;
        slot.machine.reject(rejects);
        let before = slot.trouble.take();
        let mut held = Vec::new();
        if let Some(before) = before {
            if let Some(trouble) = &mut trouble {
                trouble.lost = before.lost;
            }
            match &mut trouble {
                Some(trouble) if trouble.zombie => trouble.held = before.held,
                _ => held = before.held,
            }
        }
        slot.trouble = trouble.map(Box::new);
        self.consumers[consumer as usize]
            .machine
            .hoard(now, hoards, &mut self.consumer_actions);
        // It rises again, and says what it had kept to itself; on another connection nobody would know what it speaks of.
        let link = &self.connections[connection as usize];
        let (attempt, live) = (link.attempt, link.live);
        let valid = held.into_iter().filter(|(of, _)| live && *of == attempt);
        let held: Vec<ConsumerAction> = valid.map(|(_, action)| action).collect();
        self.consumer_actions.splice(0..0, held);
        self.consumer_acts(consumer);
    }

    /// An acknowledgement of a consumer in trouble: true if it does not leave it.
    #[cold]
    #[inline(never)]
    pub fn withheld(&mut self, consumer: u32, action: &ConsumerAction) -> bool {
        let number = match action {
            ConsumerAction::Ack { delivery, .. } | ConsumerAction::Nack { delivery, .. } => {
                *delivery
            }
            _ => return false,
        };
        let connection = self.consumer_connection(consumer);
        let attempt = self.connections[connection as usize].attempt;
        let Some(trouble) = &mut self.consumers[consumer as usize].trouble else {
            return false;
        };
        if trouble.zombie {
            trouble.held.push((attempt, *action));
            return true;
        }
        let mut lots = trouble.loss.iter();
        let lost = lots.any(|(p, stream)| stream.at2(u64::from(attempt), number).next_f64() < *p);
        trouble.lost += u64::from(lost);
        lost
    }

    /// What a producer in trouble, or that was, publishes instead.
    #[cold]
    #[inline(never)]
    pub fn distorted(&mut self, producer: u32, publish: &Publish) -> Publish {
        let mut publish = *publish;
        let tag = Tag::new(producer as usize, publish.sequence).0;
        if let Some(trouble) = &self.producers[producer as usize].trouble {
            publish.size = trouble.size.unwrap_or(publish.size);
            if trouble.hot_key && publish.attempt == 0 {
                self.hot.insert(tag);
            }
        }
        // A message keeps its key however often it is sent.
        if self.hot.contains(&tag) {
            publish.key = 0;
        }
        publish
    }

    /// What a producer in trouble publishes besides: like what it has just published, and nobody waits for its confirm.
    #[cold]
    #[inline(never)]
    pub fn surge(&mut self, producer: u32, publish: &Publish) {
        if publish.attempt > 0 {
            return;
        }
        let Some(trouble) = &mut self.producers[producer as usize].trouble else {
            return;
        };
        let wanted = trouble.factor - 1.0 + trouble.carry;
        let more = wanted.max(0.0) as u64;
        trouble.carry = wanted - more as f64;
        for _ in 0..more {
            self.publish_besides(producer, publish);
        }
    }

    fn publish_besides(&mut self, producer: u32, publish: &Publish) {
        let now = self.calendar.now();
        let scenario = self.scenario.clone();
        let group = self.producers[producer as usize].group as usize;
        let spec = &scenario.producers[group];
        let plan = self.producer_plans[group].clone();
        let (target, _) = &spec.to[publish.target as usize];
        let (exchange, own_key) = self.layout.exchange_of(target);
        if self.brokerless.target(&self.layout, target).is_some() {
            return;
        }
        let sequence = self.surges[group];
        self.surges[group] += 1;
        let tag = Tag::new(self.first_surge() + group, sequence);
        self.check.sent(tag, publish.key, None, false);
        self.check.outcome(now, tag, false);
        self.metrics.producers[group].outcomes.sent += 1;
        let message = queuelab_core::Message {
            tag: tag.0,
            exchange,
            persistent: spec.persistent,
            routing_key: match own_key {
                true => plan.key_name(publish.key),
                false => plan.routing_key(publish.target, publish.key),
            },
            body: body(publish.size),
            properties: None,
        };
        let stamps = Stamps {
            intended: now,
            sent: now,
            received: now,
        };
        let request = Request::Publish {
            exchange,
            mandatory: false,
            message,
        };
        let packet = Up::Request {
            channel: ChannelId {
                connection: ConnectionId(self.producer_connection(producer)),
                number: SURGE_CHANNEL,
            },
            request,
            stamps,
        };
        self.send_up(self.producer_connection(producer), packet);
    }

    /// The first of the numbers that stand for those who send what a burst adds: one for each group of producers.
    pub fn first_surge(&self) -> usize {
        self.producers.len() + self.consumers.len() + 1
    }

    /// The broker's queues that a queue of the scenario is.
    pub fn queues_of(&self, queue: usize) -> Vec<QueueId> {
        let queues = self.layout.partitions(queue);
        queues.map(|queue| QueueId(queue as u32)).collect()
    }
}

/// The channel on which producers publish what a burst adds: without confirms.
const SURGE_CHANNEL: u16 = 3;
