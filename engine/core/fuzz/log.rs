//! The log's fuzz targets under libFuzzer; the tests run the same ones (`tests/log/fuzz.rs`).

#![no_main]

#[path = "../tests/log/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((which, data)) = data.split_first() else {
        return;
    };
    match which % 3 {
        0 => targets::decode(data),
        1 => targets::recover_anything(data),
        _ => targets::recover_mutated(data),
    }
});
