//! Random entries, with everything that an entry can have.

use std::sync::Arc;

use bytes::Bytes;
use queuelab_core::*;

/// SplitMix64.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn chance(&mut self, of: u64, among: u64) -> bool {
        self.below(among) < of
    }

    /// Small ones and large ones alike.
    fn int(&mut self) -> u64 {
        let bits = self.below(65);
        match bits {
            0 => 0,
            bits => self.next() >> (64 - bits),
        }
    }

    pub(crate) fn bytes(&mut self, longest: u64) -> Bytes {
        let length = self.below(longest + 1);
        (0..length).map(|_| self.next() as u8).collect()
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Random) -> T) -> Option<T> {
        self.chance(1, 2).then(|| make(self))
    }
}

pub(crate) fn entry(random: &mut Random) -> Entry {
    match random.below(4) {
        0 => {
            let count = random.below(5);
            Entry::Many((0..count).map(|_| command(random)).collect())
        }
        _ => Entry::One(command(random)),
    }
}

fn command(random: &mut Random) -> Command {
    let copy = MessageCopy {
        queue: QueueId(random.int() as u32),
        serial: random.int(),
    };
    match random.below(10) {
        0 => Command::Remove { copy },
        1 => Command::Return {
            copy,
            deliveries: random.int() as u32,
            due: WallTime(random.int()),
            place: random.maybe(|random| (random.int(), random.int())),
        },
        2 => Command::Truncate { copy },
        3 => Command::Advance {
            copy,
            group: GroupId(random.int() as u32),
        },
        4 => Command::Delete { copy },
        5 => Command::Declare { copy },
        _ => Command::Enqueue {
            copy,
            message: message(random),
            times: Times {
                due: WallTime(random.maybe(Random::int).unwrap_or(0)),
                expires: WallTime(random.maybe(Random::int).unwrap_or(u64::MAX)),
            },
        },
    }
}

fn message(random: &mut Random) -> Message {
    let longest = if random.chance(1, 20) { 3_000 } else { 100 };
    Message {
        tag: random.next(),
        exchange: match random.below(2) {
            0 => ExchangeId::DEFAULT,
            _ => ExchangeId(random.int() as u32),
        },
        persistent: random.chance(1, 2),
        routing_key: random.bytes(20),
        body: random.bytes(longest),
        properties: random.maybe(properties).map(Arc::new),
    }
}

fn properties(random: &mut Random) -> Properties {
    let mut headers: Vec<(Bytes, Value)> = (0..random.below(4))
        .map(|_| (random.bytes(10), value(random)))
        .collect();
    headers.sort_by(|one, other| one.0.cmp(&other.0));
    headers.dedup_by(|one, other| one.0 == other.0);
    let reasons = [
        Death::Rejected,
        Death::Expired,
        Death::MaxLength,
        Death::DeliveryLimit,
    ];
    Properties {
        priority: random.int() as u8,
        ttl: random.maybe(|random| Span(random.int())),
        delay: random.maybe(|random| Span(random.int())),
        group: random.maybe(|random| random.bytes(10)),
        id: random.maybe(|random| random.bytes(10)),
        producer: random.maybe(|random| ProducerSequence {
            id: random.int(),
            epoch: random.int() as u32,
            sequence: random.int(),
        }),
        reply_to: random.maybe(|random| random.bytes(10)),
        headers,
        deaths: (0..random.below(3))
            .map(|_| DeathRecord {
                queue: QueueId(random.int() as u32),
                reason: reasons[random.below(4) as usize],
                count: random.int() as u32,
                first: WallTime(random.int()),
            })
            .collect(),
    }
}

fn value(random: &mut Random) -> Value {
    match random.below(4) {
        0 => Value::Bool(random.chance(1, 2)),
        1 => Value::Int(random.int() as i64),
        2 => Value::Float(f64::from_bits(random.next())),
        _ => Value::Text(random.bytes(10)),
    }
}
