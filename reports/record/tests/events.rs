//! Traces of events: as bytes, and where two part.

use proptest::prelude::*;
use queuelab_core::Time;
use queuelab_record::{BLOCK, EventTrace, Parting, TraceError, TracedEvent};

/// So many events, of which the first few are kept one by one.
fn trace(kept: u64, count: u64) -> EventTrace {
    let event = |number: u64| TracedEvent {
        at: Time(number * 1_000),
        sequence: number ^ 5,
        kind: (number % 20) as u8,
        target: (number * 7 % 100) as u32,
        did: (number * 40_503) as u16,
    };
    EventTrace {
        first: (0..kept).map(event).collect(),
        blocks: (1..=count / BLOCK).map(|block| block * 99).collect(),
        count,
        hash: count * 99,
    }
}

#[test]
fn the_first_event_that_differs_is_found() {
    let then = trace(10, 10);
    assert_eq!(then.parting(&then), None);
    let mut now = then.clone();
    now.first[3].target += 1;
    now.hash += 1;
    let parting = Parting::Event {
        number: 4,
        then: Some(then.first[3]),
        now: Some(now.first[3]),
    };
    assert_eq!(then.parting(&now), Some(parting));
    // One that ends earlier, on either side.
    let shorter = trace(9, 9);
    let parting = |then, now| {
        Some(Parting::Event {
            number: 10,
            then,
            now,
        })
    };
    assert_eq!(then.parting(&shorter), parting(Some(then.first[9]), None));
    assert_eq!(shorter.parting(&then), parting(None, Some(then.first[9])));
}

#[test]
fn beyond_the_kept_events_a_block_is_named() {
    let then = trace(10, 5 * BLOCK + 3);
    let mut now = then.clone();
    (now.blocks[2], now.blocks[3], now.blocks[4], now.hash) = (1, 2, 3, 4);
    let (from, until) = (2 * BLOCK + 1, 3 * BLOCK);
    assert_eq!(then.parting(&now), Some(Parting::Block { from, until }));
    // In the first block, but not among the kept ones.
    now.blocks[0] = 7;
    let (from, until) = (11, BLOCK);
    assert_eq!(then.parting(&now), Some(Parting::Block { from, until }));
    // After the last whole block.
    let mut now = then.clone();
    now.hash += 1;
    let (from, until) = (5 * BLOCK + 1, 5 * BLOCK + 3);
    assert_eq!(then.parting(&now), Some(Parting::Block { from, until }));
    // One that goes on.
    let longer = trace(10, 6 * BLOCK);
    let Some(Parting::Block { from, .. }) = then.parting(&longer) else {
        panic!("they differ");
    };
    assert_eq!(from, 5 * BLOCK + 1);
}

#[test]
fn bytes_of_something_else_are_refused() {
    assert_eq!(EventTrace::decode(b"{}"), Err(TraceError::Format));
    assert_eq!(
        EventTrace::decode(b"QLTRACE\x02abc"),
        Err(TraceError::Format)
    );
    assert_eq!(
        EventTrace::decode(b"QLTRACE\x01abc"),
        Err(TraceError::Compression)
    );
    let bytes = trace(1_000, 1_000).encode();
    assert!(bytes.len() < 8_000, "{}", bytes.len());
}

fn events() -> impl Strategy<Value = Vec<TracedEvent>> {
    let event = (
        any::<u64>(),
        any::<u64>(),
        any::<u8>(),
        any::<u32>(),
        any::<u16>(),
    )
        .prop_map(|(at, sequence, kind, target, did)| TracedEvent {
            at: Time(at),
            sequence,
            kind,
            target,
            did,
        });
    prop::collection::vec(event, 0..50)
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(first in events(), blocks in prop::collection::vec(any::<u64>(), 0..9), more in any::<u32>(), hash in any::<u64>()) {
        let count = first.len() as u64 + u64::from(more);
        let trace = EventTrace { first, blocks, count, hash };
        prop_assert_eq!(&EventTrace::decode(&trace.encode()).unwrap(), &trace);
        prop_assert_eq!(&EventTrace::from_text(&trace.to_text()).unwrap(), &trace);
    }

    /// Damage is refused or read as something, and never takes more memory than a trace may.
    #[test]
    fn damage_does_no_harm(at in any::<prop::sample::Index>(), value in any::<u8>(), cut in any::<bool>()) {
        let mut bytes = trace(200, BLOCK * 3).encode();
        let at = at.index(bytes.len());
        match cut {
            true => bytes.truncate(at),
            false => bytes[at] = value,
        }
        if let Ok(read) = EventTrace::decode(&bytes) {
            prop_assert!(read.first.len() <= 1_000_000);
        }
    }
}
