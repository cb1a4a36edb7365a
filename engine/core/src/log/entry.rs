//! Entries as bytes.

use std::sync::Arc;

use bytes::Bytes;

use super::wire::{Reader, put_bytes, put_int, put_signed};
use crate::id::{ExchangeId, GroupId, MessageCopy, QueueId};
use crate::interface::{Command, Entry, Times};
use crate::message::{Death, DeathRecord, Message, ProducerSequence, Properties, Value};
use crate::time::{Span, WallTime};

/// Appends an entry as the body of its record: 0 and a command, or 1 more than their number and the commands.
pub fn put_entry(out: &mut Vec<u8>, entry: &Entry) {
    match entry {
        Entry::One(command) => {
            put_int(out, 0);
            put_command(out, command);
        }
        Entry::Many(commands) => {
            put_int(out, commands.len() as u64 + 1);
            for command in commands {
                put_command(out, command);
            }
        }
    }
}

/// The entry that these bytes are, all of them; `None` if they are none. Keys, bodies and headers share their memory.
pub fn read_entry(bytes: &Bytes) -> Option<Entry> {
    let reader = &mut Reader::new(bytes);
    let entry = match reader.int()? {
        0 => Entry::One(read_command(reader)?),
        // The number may be a lie: the list grows with what is there.
        more => {
            let commands = (1..more).map(|_| read_command(reader));
            Entry::Many(commands.collect::<Option<Vec<Command>>>()?.into())
        }
    };
    reader.is_empty().then_some(entry)
}

const ENQUEUE: u8 = 1;
const REMOVE: u8 = 2;
const RETURN: u8 = 3;
const TRUNCATE: u8 = 4;
const ADVANCE: u8 = 5;
const DELETE: u8 = 6;
const DECLARE: u8 = 7;
/// A [`RETURN`] that has a place.
const RETURN_TO: u8 = 8;

fn put_command(out: &mut Vec<u8>, command: &Command) {
    let mut begin = |tag, copy: &MessageCopy| {
        out.push(tag);
        put_int(out, copy.queue.0.into());
        put_int(out, copy.serial);
    };
    match command {
        Command::Enqueue {
            copy,
            message,
            times,
        } => {
            begin(ENQUEUE, copy);
            put_message(out, message, times);
        }
        Command::Remove { copy } => begin(REMOVE, copy),
        Command::Return {
            copy,
            deliveries,
            due,
            place,
        } => {
            begin(if place.is_some() { RETURN_TO } else { RETURN }, copy);
            put_int(out, (*deliveries).into());
            put_int(out, due.0);
            if let Some((before, order)) = place {
                put_int(out, *before);
                put_int(out, *order);
            }
        }
        Command::Truncate { copy } => begin(TRUNCATE, copy),
        Command::Advance { copy, group } => {
            begin(ADVANCE, copy);
            put_int(out, group.0.into());
        }
        Command::Delete { copy } => begin(DELETE, copy),
        Command::Declare { copy } => begin(DECLARE, copy),
    }
}

fn read_command(reader: &mut Reader<'_>) -> Option<Command> {
    let tag = reader.byte()?;
    let copy = MessageCopy {
        queue: QueueId(reader.small()?),
        serial: reader.int()?,
    };
    Some(match tag {
        ENQUEUE => {
            let (message, times) = read_message(reader)?;
            Command::Enqueue {
                copy,
                message,
                times,
            }
        }
        REMOVE => Command::Remove { copy },
        RETURN | RETURN_TO => Command::Return {
            copy,
            deliveries: reader.small()?,
            due: WallTime(reader.int()?),
            place: match tag {
                RETURN_TO => Some((reader.int()?, reader.int()?)),
                _ => None,
            },
        },
        TRUNCATE => Command::Truncate { copy },
        ADVANCE => Command::Advance {
            copy,
            group: GroupId(reader.small()?),
        },
        DELETE => Command::Delete { copy },
        DECLARE => Command::Declare { copy },
        _ => return None,
    })
}

/// What a message has beyond the least.
mod has {
    pub(super) const PERSISTENT: u8 = 1;
    pub(super) const PROPERTIES: u8 = 2;
    pub(super) const DUE: u8 = 4;
    pub(super) const EXPIRES: u8 = 8;
    pub(super) const ALL: u8 = 15;
}

fn flag(on: bool, flag: u8) -> u8 {
    if on { flag } else { 0 }
}

fn put_message(out: &mut Vec<u8>, message: &Message, times: &Times) {
    out.push(
        flag(message.persistent, has::PERSISTENT)
            | flag(message.properties.is_some(), has::PROPERTIES)
            | flag(times.due != WallTime::ZERO, has::DUE)
            | flag(times.expires != WallTime::MAX, has::EXPIRES),
    );
    out.extend_from_slice(&message.tag.to_le_bytes());
    // The default exchange, which is the last one, in one byte.
    put_int(out, message.exchange.0.wrapping_add(1).into());
    put_bytes(out, &message.routing_key);
    for (instant, absent) in [(times.due, WallTime::ZERO), (times.expires, WallTime::MAX)] {
        if instant != absent {
            put_int(out, instant.0);
        }
    }
    if let Some(properties) = &message.properties {
        put_properties(out, properties);
    }
    put_bytes(out, &message.body);
}

fn read_message(reader: &mut Reader<'_>) -> Option<(Message, Times)> {
    let flags = reader.byte()?;
    if flags & !has::ALL != 0 {
        return None;
    }
    let tag = reader.fixed()?;
    let exchange = ExchangeId(reader.small()?.wrapping_sub(1));
    let routing_key = reader.bytes()?;
    let mut instant = |flag, absent| {
        if flags & flag == 0 {
            return Some(absent);
        }
        // There is one way to write each instant.
        reader.int().map(WallTime).filter(|at| *at != absent)
    };
    let times = Times {
        due: instant(has::DUE, WallTime::ZERO)?,
        expires: instant(has::EXPIRES, WallTime::MAX)?,
    };
    let properties = match flags & has::PROPERTIES {
        0 => None,
        _ => Some(Arc::new(read_properties(reader)?)),
    };
    let message = Message {
        tag,
        exchange,
        persistent: flags & has::PERSISTENT != 0,
        routing_key,
        body: reader.bytes()?,
        properties,
    };
    Some((message, times))
}

/// Which properties a message has.
mod property {
    pub(super) const TTL: u8 = 1;
    pub(super) const DELAY: u8 = 2;
    pub(super) const GROUP: u8 = 4;
    pub(super) const ID: u8 = 8;
    pub(super) const PRODUCER: u8 = 16;
    pub(super) const REPLY_TO: u8 = 32;
    pub(super) const ALL: u8 = 63;
}

fn put_properties(out: &mut Vec<u8>, properties: &Properties) {
    let Properties {
        priority,
        ttl,
        delay,
        group,
        id,
        producer,
        reply_to,
        headers,
        deaths,
    } = properties;
    out.push(
        flag(ttl.is_some(), property::TTL)
            | flag(delay.is_some(), property::DELAY)
            | flag(group.is_some(), property::GROUP)
            | flag(id.is_some(), property::ID)
            | flag(producer.is_some(), property::PRODUCER)
            | flag(reply_to.is_some(), property::REPLY_TO),
    );
    out.push(*priority);
    for span in [ttl, delay].into_iter().flatten() {
        put_int(out, span.0);
    }
    for text in [group, id, reply_to].into_iter().flatten() {
        put_bytes(out, text);
    }
    if let Some(producer) = producer {
        put_int(out, producer.id);
        put_int(out, producer.epoch.into());
        put_int(out, producer.sequence);
    }
    put_int(out, headers.len() as u64);
    for (name, value) in headers {
        put_bytes(out, name);
        put_value(out, value);
    }
    put_int(out, deaths.len() as u64);
    for death in deaths {
        put_int(out, death.queue.0.into());
        out.push(death_code(death.reason));
        put_int(out, death.count.into());
        put_int(out, death.first.0);
    }
}

fn read_properties(reader: &mut Reader<'_>) -> Option<Properties> {
    let flags = reader.byte()?;
    if flags & !property::ALL != 0 {
        return None;
    }
    let mut properties = Properties {
        priority: reader.byte()?,
        ..Properties::default()
    };
    let has = |flag| flags & flag != 0;
    if has(property::TTL) {
        properties.ttl = Some(Span(reader.int()?));
    }
    if has(property::DELAY) {
        properties.delay = Some(Span(reader.int()?));
    }
    if has(property::GROUP) {
        properties.group = Some(reader.bytes()?);
    }
    if has(property::ID) {
        properties.id = Some(reader.bytes()?);
    }
    if has(property::REPLY_TO) {
        properties.reply_to = Some(reader.bytes()?);
    }
    if has(property::PRODUCER) {
        properties.producer = Some(ProducerSequence {
            id: reader.int()?,
            epoch: reader.small()?,
            sequence: reader.int()?,
        });
    }
    for _ in 0..reader.int()? {
        let header = (reader.bytes()?, read_value(reader)?);
        // Readers search them: each name once, ascending.
        if properties
            .headers
            .last()
            .is_some_and(|(last, _)| *last >= header.0)
        {
            return None;
        }
        properties.headers.push(header);
    }
    for _ in 0..reader.int()? {
        properties.deaths.push(DeathRecord {
            queue: QueueId(reader.small()?),
            reason: read_death(reader)?,
            count: reader.small()?,
            first: WallTime(reader.int()?),
        });
    }
    Some(properties)
}

fn put_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Bool(value) => out.push((*value).into()),
        Value::Int(value) => {
            out.push(2);
            put_signed(out, *value);
        }
        Value::Float(value) => {
            out.push(3);
            out.extend_from_slice(&value.to_bits().to_le_bytes());
        }
        Value::Text(value) => {
            out.push(4);
            put_bytes(out, value);
        }
    }
}

fn read_value(reader: &mut Reader<'_>) -> Option<Value> {
    Some(match reader.byte()? {
        0 => Value::Bool(false),
        1 => Value::Bool(true),
        2 => Value::Int(reader.signed()?),
        3 => Value::Float(f64::from_bits(reader.fixed()?)),
        4 => Value::Text(reader.bytes()?),
        _ => return None,
    })
}

fn death_code(death: Death) -> u8 {
    match death {
        Death::Rejected => 0,
        Death::Expired => 1,
        Death::MaxLength => 2,
        Death::DeliveryLimit => 3,
    }
}

fn read_death(reader: &mut Reader<'_>) -> Option<Death> {
    let code = reader.byte()?;
    let deaths = [
        Death::Rejected,
        Death::Expired,
        Death::MaxLength,
        Death::DeliveryLimit,
    ];
    deaths.into_iter().find(|death| death_code(*death) == code)
}
