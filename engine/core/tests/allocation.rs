//! Warm calls allocate nothing.

#![allow(
    unsafe_code,
    reason = "an allocator is unsafe to implement; this one only counts"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bytes::Bytes;
use queuelab_core::*;

struct Counting;

thread_local! {
    // Per thread: the test harness allocates on its own.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: all calls go to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const KEYS: [&[u8]; 3] = [b"shop.order", b"shop.refund", b"shop.order"];

/// Publishes `messages` in batches of 16, acknowledges and logs what comes out.
fn pass(broker: &mut Broker, out: &mut Vec<Output>, inputs: &mut Vec<Input>, messages: u64) -> u64 {
    let publisher = ChannelId {
        connection: ConnectionId(0),
        number: 1,
    };
    let mut settled = 0;
    for batch in 0..messages / 16 {
        for nth in 0..16 {
            let message = Message {
                tag: batch * 16 + nth,
                exchange: ExchangeId(0),
                persistent: true,
                routing_key: Bytes::from_static(KEYS[nth as usize % KEYS.len()]),
                body: Bytes::from_static(&[0; 100]),
                properties: None,
            };
            let request = Request::Publish {
                exchange: ExchangeId(0),
                mandatory: true,
                message,
            };
            broker.handle(
                Time::ZERO,
                Input::Client {
                    channel: publisher,
                    request,
                },
                out,
            );
        }
        broker.flush(Time::ZERO, out);
        while !out.is_empty() {
            let mut last = None;
            for output in out.drain(..) {
                match output {
                    Output::Persist { position, .. } => last = Some(position),
                    Output::Client {
                        channel,
                        response: Response::Deliver { delivery, .. },
                    } => {
                        // Every third goes back once, then it is acknowledged.
                        let request = if delivery % 3 == 0 {
                            Request::Nack {
                                delivery,
                                multiple: false,
                                requeue: true,
                            }
                        } else {
                            settled += 1;
                            Request::Ack {
                                delivery,
                                multiple: false,
                            }
                        };
                        inputs.push(Input::Client { channel, request });
                    }
                    _ => {}
                }
            }
            let progress = last.map(|last| Input::Log {
                written: last,
                synced: last,
            });
            for input in inputs.drain(..).chain(progress) {
                broker.handle(Time::ZERO, input, out);
            }
            broker.flush(Time::ZERO, out);
        }
    }
    settled
}

fn allocations(durability: Durability, kind: ExchangeKind, dispatch: Dispatch) -> u64 {
    let queue = QueueConfig {
        name: Bytes::from_static(b"q"),
        durability,
        max_length: Some(1_000),
        max_bytes: None,
        overflow: Overflow::Block,
        dead_letter: None,
        dispatch,
        policy: QueuePolicy::default(),
    };
    let config = BrokerConfig {
        exchanges: vec![ExchangeConfig {
            name: Bytes::from_static(b"shop"),
            kind,
            alternate: None,
        }],
        queues: vec![queue],
        bindings: ["shop.order", "shop.refund"]
            .map(|key| Binding {
                exchange: ExchangeId(0),
                to: QueueId(0).into(),
                headers: None,
                key: Bytes::from_static(key.as_bytes()),
                weight: 1,
            })
            .to_vec(),
        observe: true,
        ..Default::default()
    };
    let mut broker = Broker::new(config, Recovered::default(), 7);
    let (mut out, mut inputs) = (Vec::new(), Vec::new());
    for connection in 0..4 {
        let connection = ConnectionId(connection);
        broker.handle(
            Time::ZERO,
            Input::Opened {
                connection,
                window: u64::MAX,
            },
            &mut out,
        );
        let channel = ChannelId {
            connection,
            number: 1,
        };
        let request = match connection.0 {
            0 => Request::ConfirmSelect,
            _ => Request::Consume(Box::new(Consume {
                prefetch: 5,
                no_ack: false,
                weight: connection.0,
                ..Consume::new(QueueId(0), ConsumerId(0))
            })),
        };
        broker.handle(Time::ZERO, Input::Client { channel, request }, &mut out);
    }
    out.clear();
    pass(&mut broker, &mut out, &mut inputs, 4_096);
    let before = ALLOCATIONS.get();
    assert_eq!(pass(&mut broker, &mut out, &mut inputs, 4_096), 4_096);
    ALLOCATIONS.get() - before
}

#[test]
fn the_counter_counts() {
    let before = ALLOCATIONS.get();
    drop(std::hint::black_box(Box::new(1)));
    assert_eq!(ALLOCATIONS.get() - before, 1);
}

#[test]
fn warm_calls_allocate_nothing() {
    let dispatches = [
        Dispatch::RoundRobin,
        Dispatch::WeightedRoundRobin,
        Dispatch::LeastConnections,
        Dispatch::WeightedLeastConnections,
        Dispatch::Random,
        Dispatch::PowerOf(2),
        Dispatch::JoinIdleQueue,
    ];
    for dispatch in dispatches {
        for durability in [Durability::None, Durability::Os, Durability::Fsync] {
            let count = allocations(durability, ExchangeKind::Direct, dispatch);
            assert_eq!(count, 0, "{durability:?}, {dispatch:?}");
        }
    }
}

#[test]
fn no_exchange_allocates_when_warm() {
    let kinds = [
        ExchangeKind::Fanout,
        ExchangeKind::Topic,
        ExchangeKind::ConsistentHash(HashKind::Ring { vnodes: 100 }),
        ExchangeKind::ConsistentHash(HashKind::BoundedRing {
            vnodes: 100,
            epsilon: 0.25,
        }),
        ExchangeKind::ConsistentHash(HashKind::Jump),
        ExchangeKind::ConsistentHash(HashKind::Rendezvous),
        ExchangeKind::ConsistentHash(HashKind::Maglev { table: 65_537 }),
        ExchangeKind::ConsistentHash(HashKind::MultiProbe { probes: 21 }),
    ];
    for kind in kinds {
        let count = allocations(Durability::None, kind, Dispatch::RoundRobin);
        assert_eq!(count, 0, "{kind:?}");
    }
}
