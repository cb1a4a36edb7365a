//! With a budget for bodies, memory follows the number of messages, not their size: measured with real bodies and a counting allocator.

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
    static LIVE: Cell<i64> = const { Cell::new(0) };
    static MOST: Cell<i64> = const { Cell::new(0) };
}

fn count(bytes: i64) {
    LIVE.set(LIVE.get() + bytes);
    MOST.set(MOST.get().max(LIVE.get()));
}

// SAFETY: all calls go to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as i64 - layout.size() as i64);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const BODY: usize = 1_024;
const MESSAGES: u64 = 1 << 16;
const BATCH: u64 = 64;

/// A frame as a connection reads it, of which key and body are slices: who keeps one keeps all of it.
fn message(tag: u64) -> Message {
    let mut frame = vec![b'q'];
    frame.resize(1 + BODY, tag as u8);
    let frame = Bytes::from(frame);
    Message {
        tag,
        exchange: ExchangeId::DEFAULT,
        persistent: true,
        routing_key: frame.slice(..1),
        body: frame.slice(1..),
        properties: None,
    }
}

/// A broker, and a log that remembers nothing but which message is where: bodies are made anew when they are read.
struct Driver {
    broker: Broker,
    out: Vec<Output>,
    tags: Vec<(u64, MessageCopy)>,
    last: LogPosition,
    /// Delivered and not acknowledged.
    taken: Vec<u64>,
    next: u64,
}

impl Driver {
    fn input(&mut self, input: Input) {
        self.broker.handle(Time::ZERO, input, &mut self.out);
        self.carry_out();
    }

    fn request(&mut self, channel: u32, request: Request) {
        let channel = ChannelId {
            connection: ConnectionId(channel),
            number: 1,
        };
        self.input(Input::Client { channel, request });
    }

    fn carry_out(&mut self) {
        let mut reads = Vec::new();
        for output in self.out.drain(..) {
            match output {
                Output::Persist { position, entry } => {
                    self.last = position;
                    let Entry::One(command) = entry else {
                        panic!("one command is one entry");
                    };
                    let tag = match &command {
                        Command::Enqueue { message, .. } => message.tag,
                        _ => u64::MAX,
                    };
                    self.tags.push((tag, command.copy()));
                }
                Output::Read { token, position } => reads.push((token, position)),
                Output::Client {
                    response:
                        Response::Deliver {
                            delivery,
                            message: got,
                            ..
                        },
                    ..
                } => {
                    assert_eq!(got.tag, self.next, "in order");
                    assert_eq!(got.body, message(got.tag).body);
                    self.next += 1;
                    self.taken.push(delivery);
                }
                _ => {}
            }
        }
        for (token, position) in reads {
            let (tag, copy) = self.tags[position.0 as usize - 1];
            let entry = Entry::One(Command::Enqueue {
                copy,
                message: message(tag),
                times: Times::ANY,
            });
            let result = Ok(entry);
            self.input(Input::Read { token, result });
        }
    }

    fn settle(&mut self) {
        self.broker.flush(Time::ZERO, &mut self.out);
        self.carry_out();
        let (written, synced) = (self.last, self.last);
        self.input(Input::Log { written, synced });
    }
}

/// Bytes that are live at most while a backlog is published and drained, beyond what was before; and the broker's own account of bodies.
fn most_live(budget: Option<u64>) -> (i64, u64) {
    let mut driver = Driver {
        broker: Broker::new(
            BrokerConfig {
                queues: vec![QueueConfig {
                    name: Bytes::from_static(b"q"),
                    durability: Durability::Fsync,
                    ..QueueConfig::default()
                }],
                limits: Limits {
                    bodies: budget,
                    ..Limits::default()
                },
                ..BrokerConfig::default()
            },
            Recovered::default(),
            7,
        ),
        out: Vec::new(),
        tags: Vec::with_capacity(2 * MESSAGES as usize),
        last: LogPosition(0),
        taken: Vec::new(),
        next: 0,
    };
    for connection in 0..2 {
        driver.input(Input::Opened {
            connection: ConnectionId(connection),
            window: u64::MAX,
        });
    }
    MOST.set(LIVE.get());
    let before = LIVE.get();
    for tag in 0..MESSAGES {
        let request = Request::Publish {
            exchange: ExchangeId::DEFAULT,
            mandatory: false,
            message: message(tag),
        };
        driver.request(0, request);
        if tag % BATCH == BATCH - 1 {
            driver.settle();
        }
    }
    assert_eq!(driver.broker.queue(QueueId(0)).ready, MESSAGES);
    let consume = Consume {
        prefetch: 500,
        ..Consume::new(QueueId(0), ConsumerId(0))
    };
    driver.request(1, Request::Consume(Box::new(consume)));
    while driver.next < MESSAGES || !driver.taken.is_empty() {
        for delivery in std::mem::take(&mut driver.taken) {
            let multiple = false;
            driver.request(1, Request::Ack { delivery, multiple });
        }
        driver.settle();
    }
    let bodies = driver.broker.bodies();
    assert_eq!(driver.broker.queue(QueueId(0)).ready, 0);
    (MOST.get() - before, bodies.most_resident_bytes)
}

#[test]
fn a_long_backlog_keeps_to_its_budget() {
    let budget = 2 << 20;
    let bodies = MESSAGES as i64 * BODY as i64;
    let (free, _) = most_live(None);
    let (bound, resident) = most_live(Some(budget));
    assert!(free > bodies, "{free} bytes without a budget");
    // A batch that is not written yet is beyond it.
    let slack = BATCH * BODY as u64;
    assert!(resident <= budget + slack, "{resident} resident");
    // Each message costs its slot, in a queue that doubles as it grows; and some reads are under way.
    let slots = 3 * 160 * MESSAGES as i64;
    let most = slots + budget as i64 + (4 << 20);
    assert!(
        bound < most,
        "{bound} of {most} bytes with a budget, {free} without"
    );
}
