//! What HdrHistogram's tools print of the same values.

use queuelab_core::Span;
use queuelab_record::{Latencies, hgrm};

#[test]
fn a_distribution_is_printed_as_hdr_histogram_js_prints_it() {
    let mut latencies = Latencies::default();
    let mut x = 1u64;
    for _ in 0..200_000 {
        x = x * 48_271 % 2_147_483_647;
        latencies.record(Span(90_000_000_000 / (1 + x % 100_003) + x % 1_009));
    }
    let expected = include_str!("hgrm/long-tail.hgrm");
    for (line, (ours, theirs)) in hgrm(&latencies).lines().zip(expected.lines()).enumerate() {
        assert_eq!(ours, theirs, "line {}", line + 1);
    }
    assert!(hgrm(&latencies) == expected);
}
