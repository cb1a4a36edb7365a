//! A broker under test, driven by short scripts.

#![allow(dead_code, reason = "each test file uses its part")]

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use queuelab_core::*;

pub(crate) mod follow;
pub(crate) mod model;
pub(crate) mod tally;
pub(crate) mod topology;

/// How many cases a random test tries: what `QUEUELAB_CASES` says, or else a few seconds' worth.
pub(crate) fn cases(default: u32) -> u32 {
    let cases = std::env::var("QUEUELAB_CASES").ok();
    cases.map_or(default, |cases| {
        cases.parse().expect("QUEUELAB_CASES is a number")
    })
}

/// A queue with default options, so that the options that a test sets carry meaning.
pub(crate) fn queue(name: &'static str) -> QueueConfig {
    QueueConfig {
        name: Bytes::from_static(name.as_bytes()),
        ..QueueConfig::default()
    }
}

/// A dead-letter target: a queue, by name.
pub(crate) fn dead_letter_to(queue: &'static str) -> Option<DeadLetter> {
    let routing_key = Some(Bytes::from_static(queue.as_bytes()));
    Some(DeadLetter {
        exchange: ExchangeId::DEFAULT,
        routing_key,
    })
}

/// An exchange and its bindings: (queue's place, key, weight).
pub(crate) fn exchange(
    config: &mut BrokerConfig,
    kind: ExchangeKind,
    bindings: &[(u32, &'static str, u32)],
) {
    let exchange = ExchangeId(config.exchanges.len() as u32);
    let name = Bytes::from(format!("x{}", exchange.0));
    config.exchanges.push(ExchangeConfig {
        name,
        kind,
        alternate: None,
    });
    config
        .bindings
        .extend(bindings.iter().map(|(queue, key, weight)| Binding {
            exchange,
            to: QueueId(*queue).into(),
            headers: None,
            key: Bytes::from_static(key.as_bytes()),
            weight: *weight,
        }));
}

/// A broker with the log that its driver keeps.
pub(crate) struct Rig {
    pub(crate) config: BrokerConfig,
    pub(crate) broker: Broker,
    pub(crate) log: Vec<(LogPosition, Entry)>,
    /// The place of the last entry, released or not.
    pub(crate) last: LogPosition,
    pub(crate) written: LogPosition,
    pub(crate) synced: LogPosition,
    pub(crate) now: Time,
    open: Vec<ConnectionId>,
    /// Reads that are not answered yet, if they are answered on demand only.
    pub(crate) held_reads: Option<Vec<(u64, LogPosition)>>,
    /// What was done so far.
    pub(crate) tally: tally::Tally,
    /// Where the events say that copies are.
    followed: follow::Follower,
}

impl Rig {
    pub(crate) fn new(config: BrokerConfig) -> Rig {
        let broker = Broker::new(config.clone(), Recovered::default(), 7);
        let (last, written, synced) = Default::default();
        Rig {
            config,
            broker,
            log: Vec::new(),
            last,
            written,
            synced,
            now: Time::ZERO,
            open: Vec::new(),
            held_reads: None,
            tally: tally::Tally::default(),
            followed: follow::Follower::default(),
        }
    }

    /// One input; the log takes what is persisted.
    pub(crate) fn handle(&mut self, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        self.broker.handle(self.now, input, &mut out);
        self.take(&mut out);
        out
    }

    /// Answers reads that were held, by their places among them.
    pub(crate) fn answer_read(&mut self, at: usize) -> Vec<Output> {
        let (token, position) = self.held_reads.as_mut().expect("reads are held").remove(at);
        let result = self.read(position);
        self.handle(Input::Read { token, result })
    }

    fn read(&self, position: LogPosition) -> Result<Entry, LogFailure> {
        let entry = self.log.iter().find(|(place, _)| *place == position);
        entry
            .map(|(_, entry)| entry.clone())
            .ok_or(LogFailure::Read)
    }

    pub(crate) fn tick(&mut self) -> Vec<Output> {
        let mut out = Vec::new();
        self.broker.tick(self.now, &mut out);
        self.take(&mut out);
        out
    }

    /// Time passes, and the broker is called whenever it wants to be.
    pub(crate) fn wait_until(&mut self, until: Time) -> Vec<Output> {
        let mut out = Vec::new();
        while let Some(deadline) = self.broker.deadline().filter(|due| *due <= until) {
            self.now = self.now.max(deadline);
            self.broker.tick(self.now, &mut out);
        }
        self.now = until;
        self.take(&mut out);
        out
    }

    pub(crate) fn flush(&mut self) -> Vec<Output> {
        let mut out = Vec::new();
        self.broker.flush(self.now, &mut out);
        self.take(&mut out);
        out
    }

    pub(crate) fn progress(&mut self, written: LogPosition, synced: LogPosition) -> Vec<Output> {
        self.written = self.written.max(written);
        self.synced = self.synced.max(synced);
        self.handle(Input::Log {
            written: self.written,
            synced: self.synced,
        })
    }

    /// A new incarnation from the log's entries up to `last`.
    pub(crate) fn restart(&mut self, last: LogPosition) {
        self.log.retain(|(position, _)| *position <= last);
        self.config.incarnation += 1;
        let recovered = Recovered {
            entries: self.log.clone(),
            last,
        };
        self.broker = Broker::new(self.config.clone(), recovered, 7);
        self.followed = follow::Follower::default();
        (self.last, self.written, self.synced) = (last, last, last);
        self.open.clear();
        self.held_reads.iter_mut().for_each(Vec::clear);
    }

    /// Does what the broker asks for; reads are answered at once, unless they are held.
    fn take(&mut self, out: &mut Vec<Output>) {
        let mut from = 0;
        while from < out.len() {
            let reads = self.carry_out(&out[from..]);
            from = out.len();
            if let Some(held) = &mut self.held_reads {
                held.extend(reads);
                continue;
            }
            for (token, position) in reads {
                let result = self.read(position);
                self.broker
                    .handle(self.now, Input::Read { token, result }, out);
            }
        }
        if self.config.observe {
            self.followed.compare(&self.config, &self.broker);
        }
        out.retain(|output| !follow::is_about_leaving(output));
    }

    fn carry_out(&mut self, out: &[Output]) -> Vec<(u64, LogPosition)> {
        self.tally.note(out);
        let mut reads = Vec::new();
        for output in out {
            self.followed.note(output);
            match output {
                Output::Read { token, position } => {
                    assert!(*position <= self.written, "only what is written is read");
                    reads.push((*token, *position));
                }
                Output::Persist { position, entry } => {
                    assert_eq!(*position, LogPosition(self.last.0 + 1), "places are dense");
                    self.last = *position;
                    self.log.push((*position, entry.clone()));
                }
                Output::Release { before } => {
                    self.log.retain(|(position, _)| position >= before);
                }
                _ => {}
            }
        }
        reads
    }
}

/// Runs a script; the result is what came out, then the queues. Lines are batches of steps between `;`:
///
/// `[mandatory] [transient] CHANNEL publish KEY[@EXCHANGE] TAG [SIZE] [PROPERTY=VALUE]…` (an empty key is `-`; a property that is none is a header),
/// `CHANNEL confirm`, `CHANNEL bind|unbind KEY@EXCHANGE QUEUE|@EXCHANGE [WEIGHT]`, `CHANNEL tx|commit|rollback`,
/// `CHANNEL consume QUEUE [CONSUMER [PREFETCH [noack]]] [exclusive] [priority=P] [where SELECTOR]`,
/// `CHANNEL cancel CONSUMER`, `CHANNEL ack|requeue|reject [..]TAG`, `CHANNEL get QUEUE [noack]`, `CHANNEL limit DELIVERIES`,
/// `CHANNEL replies [CONSUMER] [acked]` (consumes direct replies), `CHANNEL ask QUEUE TAG` (publishes with `reply_to`),
/// `CHANNEL join GROUP [CONSUMER [PREFETCH]]`, `CHANNEL renew TAG`, `CHANNEL consume … from=OFFSET`, `at MILLISECONDS`,
/// `CHANNEL declare|purge|delete QUEUE`, `flush`, `pass SPAN` (with a tick at each deadline), `sleep SPAN` (without ticks), `clock SPAN`,
/// `open CONNECTION WINDOW`, `close CONNECTION`, `writable CONNECTION BYTES`, `disk FREE`, `fails` (the log),
/// `hold` (reads from now on), `read` (answers those that are held), `unreadable` (fails the first of them), `written [PLACE]`, `synced [PLACE]`, `crash`,
/// `power-loss`. A channel is a number for channel 1 of that connection, or `CONNECTION.NUMBER`.
pub(crate) fn run(config: BrokerConfig, script: &str) -> String {
    let mut rig = Rig::new(config);
    let mut text = String::new();
    for line in script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        writeln!(text, "> {line}").unwrap();
        for step in line.split(';') {
            if let Some(word) = step.trim().strip_prefix("pass ") {
                rig.pass(span(word), &mut text);
                continue;
            }
            for output in rig.step(step.trim()) {
                print(&rig.config, &output, &mut text);
            }
        }
        for output in rig.flush() {
            print(&rig.config, &output, &mut text);
        }
    }
    for at in 0..rig.config.queues.len() {
        let view = rig.broker.queue(QueueId(at as u32));
        let name = std::str::from_utf8(&view.name).unwrap();
        write!(
            text,
            "{name}: {} ready, {} in flight",
            view.ready, view.in_flight
        )
        .unwrap();
        if view.delayed > 0 {
            write!(text, ", {} delayed", view.delayed).unwrap();
        }
        if view.stalled > 0 {
            write!(text, ", {} stalled", view.stalled).unwrap();
        }
        if view.parked > 0 {
            write!(text, ", {} parked", view.parked).unwrap();
        }
        text.push('\n');
    }
    for at in 0..rig.config.groups.len() {
        let view = rig.broker.group(GroupId(at as u32));
        let (lag, in_flight) = (view.lag, view.in_flight);
        writeln!(text, "group {at}: lag {lag}, {in_flight} in flight").unwrap();
    }
    text
}

impl Rig {
    /// Time passes; what is due is done when it is due.
    fn pass(&mut self, span: Span, text: &mut String) {
        let end = self.now + span;
        while let Some(deadline) = self.broker.deadline().filter(|deadline| *deadline <= end) {
            self.now = self.now.max(deadline);
            let mut out = self.tick();
            out.extend(self.flush());
            if !out.is_empty() {
                writeln!(text, "  at {}:", self.now).unwrap();
            }
            for output in out {
                print(&self.config, &output, text);
            }
        }
        self.now = end;
    }

    pub(crate) fn step(&mut self, step: &str) -> Vec<Output> {
        let (step, selector) = match step.split_once(" where ") {
            Some((step, text)) => (step, Some(Arc::new(Selector::parse(text).expect(step)))),
            None => (step, None),
        };
        let mut words: Vec<&str> = step.split(' ').collect();
        let options = take_options(&mut words);
        let option = |name: &str| {
            let found = options.iter().find(|(other, _)| *other == name);
            found.map(|(_, value)| *value)
        };
        let mandatory = take_word(&mut words, "mandatory");
        let persistent = !take_word(&mut words, "transient");
        let no_ack = take_word(&mut words, "noack");
        let exclusive = take_word(&mut words, "exclusive");
        let acked = take_word(&mut words, "acked");
        let number = |at: usize| words.get(at).map(|word| word.parse::<u64>().expect(step));
        let place = |default| number(1).map_or(default, LogPosition);
        match words[0] {
            "open" => return self.open(number(1).unwrap() as u32, number(2).unwrap()),
            "close" => {
                let connection = ConnectionId(number(1).unwrap() as u32);
                self.open.retain(|open| *open != connection);
                return self.handle(Input::Closed { connection });
            }
            "writable" => {
                let connection = ConnectionId(number(1).unwrap() as u32);
                return self.handle(Input::Writable {
                    connection,
                    bytes: number(2).unwrap(),
                });
            }
            "disk" => {
                let free = number(1).unwrap();
                return self.handle(Input::Disk { free });
            }
            "hold" => {
                self.held_reads = Some(Vec::new());
                return Vec::new();
            }
            "read" => {
                let count = self.held_reads.as_ref().map_or(0, Vec::len);
                return (0..count).flat_map(|_| self.answer_read(0)).collect();
            }
            "unreadable" => {
                let (token, _) = self.held_reads.as_mut().unwrap().remove(0);
                let result = Err(LogFailure::Read);
                return self.handle(Input::Read { token, result });
            }
            "fails" => return self.handle(Input::LogFailed(LogFailure::Sync)),
            "at" => return self.wait_until(Time::ZERO + Span::from_millis(number(1).unwrap())),
            "written" => return self.progress(place(self.last), self.synced),
            "synced" => return self.progress(place(self.last), place(self.last)),
            "crash" => {
                self.restart(self.written);
                return Vec::new();
            }
            "power-loss" => {
                self.restart(self.synced);
                return Vec::new();
            }
            "flush" => return self.flush(),
            "sleep" => {
                self.now += span(words[1]);
                return Vec::new();
            }
            "clock" => return self.handle(Input::Clock(WallTime(span(words[1]).0))),
            _ => {}
        }
        let (connection, channel) = words[0].split_once('.').unwrap_or((words[0], "1"));
        let channel = ChannelId {
            connection: ConnectionId(connection.parse().expect(step)),
            number: channel.parse().expect(step),
        };
        let tags = words
            .get(2)
            .map(|word| (word.trim_start_matches(".."), word.starts_with("..")));
        let delivery = || tags.unwrap().0.parse::<u64>().expect(step);
        let multiple = tags.is_some_and(|tags| tags.1);
        let request = match words[1] {
            "confirm" => Request::ConfirmSelect,
            "publish" => {
                let (key, exchange) = key_and_exchange(words[2]);
                let message = Message {
                    tag: number(3).unwrap(),
                    exchange,
                    persistent,
                    routing_key: key,
                    body: Bytes::from(vec![0; number(4).unwrap_or(1) as usize]),
                    properties: properties(&options),
                };
                Request::Publish {
                    exchange,
                    mandatory,
                    message,
                }
            }
            "replies" => Request::Consume(Box::new(Consume {
                no_ack: !acked,
                ..Consume::new(QueueId::REPLY_TO, ConsumerId(number(2).unwrap_or(0) as u32))
            })),
            "ask" => Request::Publish {
                exchange: ExchangeId::DEFAULT,
                mandatory,
                message: asking(words[2], number(3).unwrap()),
            },
            "consume" => Request::Consume(Box::new(Consume {
                prefetch: number(4).unwrap_or(0) as u32,
                no_ack,
                exclusive,
                priority: option("priority").map_or(0, |value| value.parse().expect(step)),
                selector,
                from: option("from").map_or(Offset::default(), offset),
                ..Consume::new(
                    self.find_queue(words[2]),
                    ConsumerId(number(3).unwrap_or(0) as u32),
                )
            })),
            "join" => Request::Join {
                group: GroupId(number(2).unwrap() as u32),
                consumer: ConsumerId(number(3).unwrap_or(0) as u32),
                prefetch: number(4).unwrap_or(0) as u32,
            },
            "renew" => Request::Renew {
                delivery: delivery(),
            },
            "get" => Request::Get {
                queue: self.find_queue(words[2]),
                no_ack,
            },
            "limit" => Request::ChannelPrefetch {
                limit: number(2).unwrap() as u32,
            },
            "tx" => Request::TransactionSelect,
            "commit" => Request::Commit,
            "rollback" => Request::Rollback,
            "bind" | "unbind" => {
                let (key, exchange) = key_and_exchange(words[2]);
                let to = match words[3].strip_prefix('@') {
                    Some(exchange) => {
                        Destination::Exchange(ExchangeId(exchange.parse().expect(step)))
                    }
                    None => self.find_queue(words[3]).into(),
                };
                let binding = Box::new(Binding {
                    exchange,
                    to,
                    key,
                    weight: number(4).unwrap_or(1) as u32,
                    headers: None,
                });
                match words[1] {
                    "bind" => Request::Bind(binding),
                    _ => Request::Unbind(binding),
                }
            }
            "declare" => Request::Declare {
                queue: self.find_queue(words[2]),
            },
            "purge" => Request::Purge {
                queue: self.find_queue(words[2]),
            },
            "delete" => Request::Delete {
                queue: self.find_queue(words[2]),
            },
            "cancel" => Request::Cancel {
                consumer: ConsumerId(number(2).unwrap() as u32),
            },
            "ack" => Request::Ack {
                delivery: delivery(),
                multiple,
            },
            "requeue" => Request::Nack {
                delivery: delivery(),
                multiple,
                requeue: true,
            },
            "reject" => Request::Nack {
                delivery: delivery(),
                multiple,
                requeue: false,
            },
            other => panic!("unknown step {other}"),
        };
        let mut out = Vec::new();
        if !self.open.contains(&channel.connection) {
            out.extend(self.open(channel.connection.0, u64::MAX));
        }
        out.extend(self.handle(Input::Client { channel, request }));
        out
    }

    fn open(&mut self, connection: u32, window: u64) -> Vec<Output> {
        let connection = ConnectionId(connection);
        self.open.push(connection);
        self.handle(Input::Opened { connection, window })
    }

    fn find_queue(&self, name: &str) -> QueueId {
        let at = self
            .config
            .queues
            .iter()
            .position(|queue| queue.name == name.as_bytes());
        QueueId(at.map_or(99, |at| at as u32))
    }
}

/// `KEY@EXCHANGE`, or a key of the default exchange.
fn key_and_exchange(word: &str) -> (Bytes, ExchangeId) {
    let (key, exchange) = word.split_once('@').unwrap_or((word, ""));
    let key = if key == "-" { "" } else { key };
    let exchange = exchange.parse().map_or(ExchangeId::DEFAULT, ExchangeId);
    (Bytes::from(key.to_string()), exchange)
}

/// Words with an equals sign, split there.
fn take_options<'a>(words: &mut Vec<&'a str>) -> Vec<(&'a str, &'a str)> {
    let options = words
        .iter()
        .filter_map(|word| word.split_once('='))
        .collect();
    words.retain(|word| !word.contains('='));
    options
}

/// A message that asks for an answer.
fn asking(key: &str, tag: u64) -> Message {
    let properties = Properties {
        reply_to: Some(Bytes::new()),
        ..Default::default()
    };
    Message {
        tag,
        exchange: ExchangeId::DEFAULT,
        persistent: false,
        routing_key: Bytes::from(key.to_string()),
        body: Bytes::from_static(&[0]),
        properties: Some(Arc::new(properties)),
    }
}

/// Properties by name; what is none is a header.
fn properties(options: &[(&str, &str)]) -> Option<Arc<Properties>> {
    let mut properties = Properties::default();
    for (name, word) in options {
        let text = Bytes::from(word.to_string());
        match *name {
            "priority" => properties.priority = word.parse().unwrap(),
            "ttl" => properties.ttl = Some(span(word)),
            "delay" => properties.delay = Some(span(word)),
            "id" => properties.id = Some(text),
            "producer" => {
                let numbers: Vec<u64> = word.split('/').map(|n| n.parse().unwrap()).collect();
                properties.producer = Some(ProducerSequence {
                    id: numbers[0],
                    epoch: numbers[1] as u32,
                    sequence: numbers[2],
                });
            }
            "group" => properties.group = Some(text),
            "reply_to" => properties.reply_to = Some(text),
            _ => properties
                .headers
                .push((Bytes::from(name.to_string()), value(&text))),
        }
    }
    properties.headers.sort_by(|one, other| one.0.cmp(&other.0));
    (!options.is_empty()).then(|| Arc::new(properties))
}

fn died(config: &BrokerConfig, death: &DeathRecord) -> String {
    let name = std::str::from_utf8(&config.queues[death.queue.index()].name).unwrap();
    let (reason, first) = (death.reason.name(), Span(death.first.0));
    match death.count {
        1 => format!(", {reason} in {name} at {first}"),
        count => format!(", {reason} in {name} {count} times since {first}"),
    }
}

/// A header's value as it looks.
pub(crate) fn value(text: &Bytes) -> Value {
    let word = std::str::from_utf8(text).unwrap();
    match (word.parse(), word.parse(), word.parse()) {
        (Ok(int), ..) => Value::Int(int),
        (_, Ok(float), _) => Value::Float(float),
        (_, _, Ok(bool)) => Value::Bool(bool),
        _ => Value::Text(text.clone()),
    }
}

/// A span such as `5m`, `5s` or `10ms`.
pub(crate) fn span(text: &str) -> Span {
    let digits = text.trim_end_matches(char::is_alphabetic);
    let number: u64 = digits.parse().expect(text);
    match &text[digits.len()..] {
        "ns" => Span::from_nanos(number),
        "us" => Span::from_micros(number),
        "ms" => Span::from_millis(number),
        "s" => Span::from_secs(number),
        "m" => Span::from_secs(60 * number),
        unit => panic!("unknown unit {unit}"),
    }
}

fn take_word(words: &mut Vec<&str>, word: &str) -> bool {
    let before = words.len();
    words.retain(|other| *other != word);
    words.len() < before
}

/// `first`, `next`, `last`, `@MILLISECONDS` or an offset.
fn offset(text: &str) -> Offset {
    match text {
        "first" => Offset::First,
        "next" => Offset::Next,
        "last" => Offset::Last,
        _ => match text.strip_prefix('@') {
            Some(millis) => Offset::Since(WallTime(millis.parse::<u64>().unwrap() * 1_000_000)),
            None => Offset::At(text.parse().unwrap()),
        },
    }
}

fn print(config: &BrokerConfig, output: &Output, text: &mut String) {
    let copy = |copy: &MessageCopy| {
        let name = std::str::from_utf8(&config.queues[copy.queue.index()].name).unwrap();
        let (incarnation, serial) = (copy.serial >> 40, copy.serial & ((1 << 40) - 1));
        match incarnation {
            0 => format!("{name}/{serial}"),
            _ => format!("{name}/{incarnation}:{serial}"),
        }
    };
    let line = match output {
        Output::Client { channel, response } => {
            let what = match response {
                Response::Confirm {
                    sequence,
                    multiple,
                    accepted,
                } => format!(
                    "{} {}{sequence}",
                    if *accepted { "confirm" } else { "refuse" },
                    if *multiple { ".." } else { "" },
                ),
                Response::Returned { message } => format!("returned m{}", message.tag),
                Response::Deliver {
                    delivery,
                    redelivered,
                    message,
                    consumer,
                    ..
                } => {
                    let to = match *consumer {
                        ConsumerId::GET => "get".into(),
                        ConsumerId(number) => number.to_string(),
                    };
                    let again = if *redelivered { ", redelivered" } else { "" };
                    let properties = message.properties.as_ref();
                    let asker = properties.and_then(|properties| properties.reply_to.as_ref());
                    let asker = asker.map_or(String::new(), |to| format!(", reply to {to:?}"));
                    let deaths = properties.map_or(&[][..], |properties| &properties.deaths);
                    let deaths: String = deaths.iter().map(|death| died(config, death)).collect();
                    format!(
                        "deliver m{} as {delivery} to {to}{again}{asker}{deaths}",
                        message.tag
                    )
                }
                Response::Consuming { .. } => return,
                Response::Cancelled { consumer } => format!("cancelled {}", consumer.0),
                Response::Assigned {
                    consumer,
                    generation,
                    streams,
                } => {
                    let streams: Vec<u32> = streams.iter().map(|stream| stream.0).collect();
                    let consumer = consumer.0;
                    format!("assigned {streams:?} to {consumer}, generation {generation}")
                }
                Response::Empty => "empty".into(),
                Response::Done => "done".into(),
                Response::Blocked => "blocked".into(),
                Response::Unblocked => "unblocked".into(),
                Response::TransactionFailed => "transaction failed".into(),
                Response::ChannelClosed { code, reason }
                | Response::ConnectionClosed { code, reason } => format!("closed {code}: {reason}"),
                other => format!("{other:?}"),
            };
            let (connection, number) = (channel.connection.0, channel.number);
            let dot = if number == 1 {
                String::new()
            } else {
                format!(".{number}")
            };
            format!("{connection}{dot} {what}")
        }
        Output::Reading { connection, on } => {
            format!(
                "{} reading {}",
                connection.0,
                if *on { "on" } else { "off" }
            )
        }
        Output::Persist { position, entry } => {
            let command = |command: &Command| match command {
                Command::Enqueue {
                    copy: it,
                    message,
                    times,
                } => {
                    let mut text = format!("enqueue {} m{}", copy(it), message.tag);
                    if times.due > WallTime::ZERO {
                        write!(text, ", due {}", Span(times.due.0)).unwrap();
                    }
                    if times.expires < WallTime::MAX {
                        write!(text, ", expires {}", Span(times.expires.0)).unwrap();
                    }
                    text
                }
                Command::Remove { copy: it } => format!("remove {}", copy(it)),
                Command::Truncate { copy: it } => format!("truncate before {}", copy(it)),
                Command::Advance { copy: it, group } => {
                    format!("advance group {} to {}", group.0, copy(it))
                }
                Command::Return {
                    copy: it,
                    deliveries,
                    due: WallTime::ZERO,
                    ..
                } => format!("return {} after {deliveries}", copy(it)),
                Command::Return {
                    copy: it,
                    deliveries,
                    due,
                    ..
                } => format!(
                    "return {} after {deliveries}, due {}",
                    copy(it),
                    Span(due.0)
                ),
                Command::Delete { copy: it } => format!("delete before {}", copy(it)),
                Command::Declare { copy: it } => format!("declare from {}", copy(it)),
            };
            let commands: Vec<_> = entry.commands().iter().map(command).collect();
            format!("log {}: {}", position.0, commands.join(" + "))
        }
        Output::Sync { through } => format!("sync {}", through.0),
        Output::Read { position, .. } => format!("read {}", position.0),
        Output::Release { before } => format!("release {}", before.0),
        Output::Observe(event) => match event {
            Event::Routed { tag, copies } => format!("* m{tag} routed, {copies} copies"),
            Event::Refused { tag, queue } => format!("* m{tag} refused by {}", queue.0),
            Event::Parked { tag, queue } => format!("* m{tag} parked for {}", queue.0),
            Event::Proposed {
                tag,
                copy: it,
                from,
            } => match from {
                Some(from) => format!("* m{tag} proposed {} from {}", copy(it), copy(from)),
                None => format!("* m{tag} proposed {}", copy(it)),
            },
            Event::StreamDelivered {
                copy: it, group, ..
            } => match group {
                Some(group) => format!("* delivered {} to group {}", copy(it), group.0),
                None => format!("* delivered {}", copy(it)),
            },
            Event::StreamSettled {
                copy: it,
                group,
                acked,
                ..
            } => {
                let how = if *acked { "acked" } else { "archived" };
                format!("* {how} {} for group {}", copy(it), group.0)
            }
            Event::Rebalanced {
                group,
                generation,
                members,
            } => format!(
                "* group {} rebalanced, generation {generation}, {members} members",
                group.0
            ),
            Event::LeaseExpired { copy: it } => format!("* lease of {} expired", copy(it)),
            Event::Enqueued { copy: it, .. } => format!("* enqueued {}", copy(it)),
            Event::Returned {
                copy: it,
                deliveries,
                ..
            } => {
                format!("* returned {} after {deliveries}", copy(it))
            }
            Event::Removed {
                copy: it, reason, ..
            } => format!("* removed {}: {reason:?}", copy(it)),
            Event::Activated { queue, channel } => {
                let name = std::str::from_utf8(&config.queues[queue.index()].name).unwrap();
                format!("* {name} activates {}", channel.connection.0)
            }
            Event::Delayed { copy: it, .. } => format!("* delayed {}", copy(it)),
            Event::Due { copy: it, .. } => format!("* due {}", copy(it)),
            Event::QueueDeleted { queue } => format!("* queue {} deleted", queue.0),
            Event::Recovered { tag, copy: it } => format!("* recovered {} m{tag}", copy(it)),
            other => format!("* {other:?}"),
        },
    };
    writeln!(text, "  {line}").unwrap();
}
