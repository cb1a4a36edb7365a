//! A queue of many messages with real bodies and a real log on a real disk: does memory keep to its budget, and what does that cost?
//!
//!     long_backlog MESSAGES [BODY-BYTES] [BUDGET-MIB] [DIRECTORY]
//!
//! Publishes all, then drains the queue, and compares each body with the one that was sent. Files are not synced: the point is memory.

#![allow(clippy::print_stdout, reason = "it is a program")]
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "it measures time"
)]

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::time::Instant;

use bytes::Bytes;
use queuelab_core::log::{FileOperation, SEGMENT_BYTES, Start, Writer};
use queuelab_core::*;

struct Driver {
    directory: PathBuf,
    files: BTreeMap<log::File, File>,
    writer: Writer,
    operations: Vec<FileOperation>,
    broker: Broker,
    out: Vec<Output>,
    last: LogPosition,
    body: usize,
    /// Delivered, and not acknowledged.
    taken: Vec<u64>,
    next: u64,
}

type Done = Result<(), Box<dyn Error>>;

fn main() -> Done {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: u64| {
        let given = arguments.get(at).map(|text| text.replace('_', "").parse());
        given.unwrap_or(Ok(default))
    };
    let (messages, body, budget) = (
        number(0, 1_000_000)?,
        number(1, 1_024)?,
        number(2, 64)? << 20,
    );
    let directory = arguments
        .get(3)
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let directory = directory.join(format!("queuelab-long-backlog-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let done = run(directory.clone(), messages, body as usize, budget);
    std::fs::remove_dir_all(&directory)?;
    done
}

fn run(directory: PathBuf, messages: u64, body: usize, budget: u64) -> Done {
    let mut operations = Vec::new();
    let writer = Writer::new(Start::default(), SEGMENT_BYTES, &mut operations);
    let config = BrokerConfig {
        queues: vec![QueueConfig {
            name: Bytes::from_static(b"q"),
            durability: Durability::Os,
            ..QueueConfig::default()
        }],
        limits: Limits {
            bodies: Some(budget),
            ..Limits::default()
        },
        ..BrokerConfig::default()
    };
    let mut driver = Driver {
        directory,
        files: BTreeMap::new(),
        writer,
        operations,
        broker: Broker::new(config, Recovered::default(), 1),
        out: Vec::new(),
        last: LogPosition(0),
        body,
        taken: Vec::new(),
        next: 0,
    };
    driver.operate()?;
    for connection in 0..2 {
        let connection = ConnectionId(connection);
        let window = u64::MAX;
        driver.input(Input::Opened { connection, window })?;
    }
    let began = Instant::now();
    for tag in 0..messages {
        let request = Request::Publish {
            exchange: ExchangeId::DEFAULT,
            mandatory: false,
            message: message(tag, body),
        };
        driver.request(0, request)?;
        if tag % BATCH == BATCH - 1 {
            driver.settle()?;
        }
    }
    driver.settle()?;
    driver.report("published", messages, began);
    let began = Instant::now();
    let consume = Consume {
        prefetch: 1_000,
        ..Consume::new(QueueId(0), ConsumerId(0))
    };
    driver.request(1, Request::Consume(Box::new(consume)))?;
    while driver.next < messages || !driver.taken.is_empty() {
        for delivery in std::mem::take(&mut driver.taken) {
            let multiple = false;
            driver.request(1, Request::Ack { delivery, multiple })?;
        }
        driver.settle()?;
    }
    driver.report("drained", messages, began);
    Ok(())
}

impl Driver {
    fn input(&mut self, input: Input) -> Done {
        self.broker.handle(Time::ZERO, input, &mut self.out);
        self.carry_out()
    }

    fn request(&mut self, connection: u32, request: Request) -> Done {
        let channel = ChannelId {
            connection: ConnectionId(connection),
            number: 1,
        };
        self.input(Input::Client { channel, request })
    }

    /// Ends a batch: the operating system has it.
    fn settle(&mut self) -> Done {
        self.broker.flush(Time::ZERO, &mut self.out);
        self.carry_out()?;
        self.writer.write(&mut self.operations);
        self.operate()?;
        let (written, synced) = (self.last, LogPosition(0));
        self.input(Input::Log { written, synced })
    }

    fn carry_out(&mut self) -> Done {
        let mut reads = Vec::new();
        for output in std::mem::take(&mut self.out) {
            match output {
                Output::Persist { position, entry } => {
                    self.writer.append(position, &entry);
                    self.last = position;
                }
                Output::Release { before } => {
                    self.writer.release(before);
                    self.writer.write(&mut self.operations);
                    let through = self.writer.sync(&mut self.operations);
                    self.writer.synced(through, &mut self.operations);
                    self.operate()?;
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
                    assert_eq!(got.body, message(got.tag, self.body).body, "as sent");
                    self.next += 1;
                    self.taken.push(delivery);
                }
                _ => {}
            }
        }
        for (token, position) in reads {
            let entry = self.read(position)?;
            let result = Ok(entry);
            self.input(Input::Read { token, result })?;
        }
        Ok(())
    }

    fn read(&mut self, position: LogPosition) -> Result<Entry, Box<dyn Error>> {
        let place = self.writer.locate(position).ok_or("the entry is gone")?;
        let file = log::File::Segment(place.segment);
        // A header, the entry's own words, the body.
        let mut record = vec![0; self.body + 256];
        let file = self.files.get(&file).ok_or("the segment is gone")?;
        let mut read = 0;
        while read < record.len() {
            match file.read_at(&mut record[read..], place.offset + read as u64)? {
                0 => break,
                more => read += more,
            }
        }
        record.truncate(read);
        let entry = place.read(&record.into(), position);
        entry.map_err(|damage| format!("entry {}: {damage:?}", position.0).into())
    }

    fn operate(&mut self) -> Done {
        for operation in std::mem::take(&mut self.operations) {
            match operation {
                FileOperation::Create { file, .. } => {
                    let path = self.directory.join(file.to_string());
                    let mut options = OpenOptions::new();
                    let options = options.read(true).write(true).create(true).truncate(true);
                    self.files.insert(file, options.open(path)?);
                }
                FileOperation::Write {
                    file,
                    offset,
                    bytes,
                } => {
                    let file = self.files.get(&file).ok_or("no such file")?;
                    file.write_all_at(&bytes, offset)?;
                }
                FileOperation::Delete { file } => {
                    self.files.remove(&file);
                    std::fs::remove_file(self.directory.join(file.to_string()))?;
                }
                FileOperation::Sync { .. } | FileOperation::SyncDirectory => {}
            }
        }
        Ok(())
    }

    fn report(&self, what: &str, messages: u64, began: Instant) {
        let seconds = began.elapsed().as_secs_f64();
        let bodies = self.broker.bodies();
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let most = status.lines().find(|line| line.starts_with("VmHWM"));
        println!(
            "{what} {messages} messages in {seconds:.1} s, {:.0}/s; bodies resident {} KiB, at most {} KiB, {} read back; {}",
            messages as f64 / seconds,
            bodies.resident_bytes >> 10,
            bodies.most_resident_bytes >> 10,
            bodies.read,
            most.unwrap_or("VmHWM unknown"),
        );
    }
}

/// Each message has memory of its own.
fn message(tag: u64, body: usize) -> Message {
    let mut bytes = vec![tag as u8; body];
    let named = bytes.len().min(8);
    bytes[..named].copy_from_slice(&tag.to_le_bytes()[..named]);
    Message {
        tag,
        exchange: ExchangeId::DEFAULT,
        persistent: true,
        routing_key: Bytes::from_static(b"q"),
        body: bytes.into(),
        properties: None,
    }
}

const BATCH: u64 = 256;
