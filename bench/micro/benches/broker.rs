//! Messages through the broker alone: publish, deliver, ack, confirm. The log is instant: only the broker is measured.
#![allow(missing_docs)]

use bytes::Bytes;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use queuelab_core::*;

fn queues(criterion: &mut Criterion) {
    let mut group = group(criterion, "queue");
    for (name, durability) in [
        ("memory", Durability::None),
        ("os", Durability::Os),
        ("fsync", Durability::Fsync),
    ] {
        bench(&mut group, name, config(None, durability, 1, |_| "".into()));
    }
    group.finish();
}

/// Ten queues; a fanout puts each message into all of them, the others into one.
fn exchanges(criterion: &mut Criterion) {
    let mut group = group(criterion, "exchange");
    let hash = ExchangeKind::ConsistentHash(HashKind::Ring { vnodes: 128 });
    for (name, kind) in [
        ("topic", ExchangeKind::Topic),
        ("consistent-hash", hash),
        ("fanout-10", ExchangeKind::Fanout),
    ] {
        let pattern = |queue| format!("*.{queue}.#");
        bench(
            &mut group,
            name,
            config(Some(kind), Durability::None, 10, pattern),
        );
    }
    group.finish();
}

fn bench(
    group: &mut BenchmarkGroup<'_, criterion::measurement::WallTime>,
    name: &str,
    config: BrokerConfig,
) {
    let mut rig = Rig::new(config);
    group.bench_function(name, |bencher| bencher.iter(|| rig.batch()));
}

fn group<'a>(
    criterion: &'a mut Criterion,
    name: &str,
) -> BenchmarkGroup<'a, criterion::measurement::WallTime> {
    let mut group = criterion.benchmark_group(format!("broker/{name}"));
    group.throughput(Throughput::Elements(BATCH));
    group
}

criterion_group!(benches, queues, exchanges);
criterion_main!(benches);

/// Messages that are published between two flushes.
const BATCH: u64 = 16;

/// So many queues, bound to an exchange of a kind, or reached through the default one.
fn config(
    kind: Option<ExchangeKind>,
    durability: Durability,
    queues: u32,
    pattern: impl Fn(u32) -> String,
) -> BrokerConfig {
    let exchanges = kind.map(|kind| ExchangeConfig {
        name: Bytes::from_static(b"shop"),
        kind,
        alternate: None,
    });
    let queue = |queue| QueueConfig {
        name: Bytes::from(format!("shop.{queue}.order")),
        durability,
        ..QueueConfig::default()
    };
    let binding = |queue| Binding {
        exchange: ExchangeId(0),
        to: QueueId(queue).into(),
        headers: None,
        key: Bytes::from(pattern(queue)),
        weight: 1,
    };
    BrokerConfig {
        bindings: exchanges
            .iter()
            .flat_map(|_| (0..queues).map(binding))
            .collect(),
        exchanges: exchanges.into_iter().collect(),
        queues: (0..queues).map(queue).collect(),
        ..BrokerConfig::default()
    }
}

/// A broker with a publisher, a consumer on each queue, and a log that is done at once.
struct Rig {
    broker: Broker,
    exchange: ExchangeId,
    keys: Vec<Bytes>,
    out: Vec<Output>,
    inputs: Vec<Input>,
    tag: u64,
}

impl Rig {
    fn new(config: BrokerConfig) -> Rig {
        let exchange = if config.exchanges.is_empty() {
            ExchangeId::DEFAULT
        } else {
            ExchangeId(0)
        };
        let keys: Vec<Bytes> = config
            .queues
            .iter()
            .map(|queue| queue.name.clone())
            .collect();
        let mut rig = Rig {
            exchange,
            broker: Broker::new(config, Recovered::default(), 1),
            out: Vec::new(),
            inputs: Vec::new(),
            tag: 0,
            keys,
        };
        rig.open(PUBLISHER, Request::ConfirmSelect);
        for queue in 0..rig.keys.len() as u32 {
            let request = Request::Consume(Box::new(Consume {
                prefetch: 100,
                no_ack: false,
                ..Consume::new(QueueId(queue), ConsumerId(queue))
            }));
            rig.open(channel(1 + queue), request);
        }
        rig.settle();
        let confirmed = rig.batch();
        assert_eq!(confirmed, BATCH, "every message goes through");
        rig
    }

    fn open(&mut self, channel: ChannelId, request: Request) {
        let opened = Input::Opened {
            connection: channel.connection,
            window: u64::MAX,
        };
        self.handle(opened);
        self.handle(Input::Client { channel, request });
    }

    /// Publishes a batch, and goes on until the broker has nothing more to say. How many messages were confirmed.
    fn batch(&mut self) -> u64 {
        for _ in 0..BATCH {
            self.tag += 1;
            let message = Message {
                tag: self.tag,
                exchange: self.exchange,
                persistent: true,
                routing_key: self.keys[self.tag as usize % self.keys.len()].clone(),
                body: Bytes::from_static(&[0; 100]),
                properties: None,
            };
            let request = Request::Publish {
                exchange: self.exchange,
                mandatory: false,
                message,
            };
            self.handle(Input::Client {
                channel: PUBLISHER,
                request,
            });
        }
        self.settle()
    }

    /// Acknowledges what is delivered and logs what is persisted, until nothing is left to do.
    fn settle(&mut self) -> u64 {
        let mut confirmed = self.tag - BATCH.min(self.tag);
        let before = confirmed;
        loop {
            self.broker.flush(Time::ZERO, &mut self.out);
            if self.out.is_empty() {
                return confirmed - before;
            }
            let mut last = None;
            for output in self.out.drain(..) {
                match output {
                    Output::Persist { position, .. } => last = Some(position),
                    Output::Client { channel, response } => match response {
                        Response::Deliver { delivery, .. } => {
                            let request = Request::Ack {
                                delivery,
                                multiple: false,
                            };
                            self.inputs.push(Input::Client { channel, request });
                        }
                        Response::Confirm { sequence, .. } => confirmed = confirmed.max(sequence),
                        _ => {}
                    },
                    _ => {}
                }
            }
            self.inputs.extend(last.map(|last| Input::Log {
                written: last,
                synced: last,
            }));
            for input in self.inputs.drain(..) {
                self.broker.handle(Time::ZERO, input, &mut self.out);
            }
        }
    }

    fn handle(&mut self, input: Input) {
        self.broker.handle(Time::ZERO, input, &mut self.out);
    }
}

const PUBLISHER: ChannelId = channel(0);

const fn channel(connection: u32) -> ChannelId {
    ChannelId {
        connection: ConnectionId(connection),
        number: 1,
    }
}
