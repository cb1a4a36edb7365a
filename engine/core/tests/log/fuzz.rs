//! The fuzzer's targets with random bytes, always the same.

use queuelab_core::log::put_entry;

use super::entries::{Random, entry};
use super::targets::{decode, recover_anything, recover_mutated};

const CASES: u64 = 20_000;

/// Changes a few bytes, or the length.
fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len() as u64 + 1) as usize;
        match random.below(5) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, random.next() as u8),
            2 => bytes.splice(at..at, [0xff; 9]).for_each(drop),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = random.next() as u8;
                }
            }
        }
    }
}

#[test]
fn any_bytes_are_an_entry_or_none() {
    let random = &mut Random(1);
    for _ in 0..CASES {
        decode(&random.bytes(60));
        let mut bytes = Vec::new();
        put_entry(&mut bytes, &entry(random));
        mutate(&mut bytes, random);
        decode(&bytes);
    }
}

#[test]
fn any_files_are_a_log_or_an_error() {
    let random = &mut Random(2);
    for _ in 0..CASES {
        recover_anything(&random.bytes(400));
    }
}

#[test]
fn a_changed_log_is_a_log_or_an_error() {
    let random = &mut Random(3);
    for _ in 0..CASES {
        recover_mutated(&random.bytes(20));
    }
}
