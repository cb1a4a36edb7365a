//! `Latencies` against sorted vectors, and its text against damage.

use base64::Engine;
use expect_test::expect;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use proptest::prelude::*;
use queuelab_core::Span;
use queuelab_record::Latencies;

fn latencies(nanos: &[u64]) -> Latencies {
    let mut latencies = Latencies::default();
    nanos
        .iter()
        .for_each(|&nanos| latencies.record(Span(nanos)));
    latencies
}

/// Spread over magnitudes, as latencies are.
fn nanos() -> impl Strategy<Value = u64> {
    (0u32..64, any::<u64>()).prop_map(|(shift, bits)| bits >> shift)
}

proptest! {
    #[test]
    fn quantiles_are_within_a_thousandth(mut values in prop::collection::vec(nanos(), 1..400), q in 0.0f64..=1.0) {
        let latencies = latencies(&values);
        values.sort_unstable();
        let rank = ((q * values.len() as f64).ceil() as usize).clamp(1, values.len());
        let exact = values[rank - 1];
        // At zero the histogram answers with the least.
        let measured = latencies.quantile(q).unwrap().0;
        prop_assert!(measured >= exact || q == 0.0, "{measured} < {exact}");
        prop_assert!(measured as u128 * 1000 <= exact as u128 * 1001, "{measured} > {exact}");
        prop_assert_eq!(latencies.max(), values.last().copied().map(Span));
        prop_assert_eq!(latencies.min(), values.first().copied().map(Span));
        let sum: u128 = values.iter().map(|&value| u128::from(value)).sum();
        prop_assert_eq!(latencies.sum(), sum);
        let count = values.len() as u128;
        prop_assert_eq!(u128::from(latencies.mean().unwrap().0), (sum + count / 2) / count);
    }

    #[test]
    fn shares_above_agree_with_counting(values in prop::collection::vec(0u64..2_000, 1..200), limit in 0u64..2_500) {
        let above = values.iter().filter(|&&value| value > limit).count();
        let share = latencies(&values).fraction_above(Span(limit));
        prop_assert_eq!(share, above as f64 / values.len() as f64);
    }

    #[test]
    fn merging_equals_recording_together(a in prop::collection::vec(nanos(), 0..50), b in prop::collection::vec(nanos(), 0..50)) {
        let mut merged = latencies(&a);
        merged.merge(&latencies(&b));
        prop_assert_eq!(&merged, &latencies(&[a.clone(), b.clone()].concat()));
        // What was forgotten leaves no trace but memory.
        merged.reset();
        prop_assert_eq!(&merged, &Latencies::default());
        merged.merge(&latencies(&b));
        prop_assert_eq!(&merged, &latencies(&b));
        prop_assert_eq!(serde_json::to_string(&merged).unwrap(), serde_json::to_string(&latencies(&b)).unwrap());
    }

    #[test]
    fn text_round_trips(values in prop::collection::vec(nanos(), 0..100)) {
        let latencies = latencies(&values);
        let text = serde_json::to_string(&latencies).unwrap();
        let back: Latencies = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&back, &latencies);
        prop_assert_eq!(serde_json::to_string(&back).unwrap(), text);
    }

    #[test]
    fn hdr_histograms_own_decoder_reads_the_text(values in prop::collection::vec(nanos(), 1..100)) {
        let text = serde_json::to_value(latencies(&values)).unwrap();
        let bytes = base64::engine::general_purpose::STANDARD.decode(text["hdr"].as_str().unwrap()).unwrap();
        let read: Histogram<u64> = Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap();
        let mut expected = Histogram::<u64>::new(3).unwrap();
        values.iter().for_each(|&value| expected.record(value).unwrap());
        let recorded = |histogram: &Histogram<u64>| -> Vec<(u64, u64)> {
            histogram.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value())).collect()
        };
        prop_assert_eq!(recorded(&read), recorded(&expected));
    }

    #[test]
    fn damage_is_an_error_or_harmless(values in prop::collection::vec(nanos(), 1..20), at in any::<prop::sample::Index>(), byte in 0x20u8..0x7f) {
        let text = serde_json::to_string(&latencies(&values)).unwrap();
        let mut damaged = text.clone().into_bytes();
        damaged[at.index(text.len())] = byte;
        if let Ok(read) = serde_json::from_slice::<Latencies>(&damaged) {
            // Only figures that nothing else determines may pass unnoticed.
            prop_assert_eq!(read.count(), values.len() as u64);
        }
    }

    #[test]
    fn arbitrary_frames_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        // Well-formed up to the counts, so that the decoder's loop is reached.
        let mut inner = HEADER.to_vec();
        inner[4..8].copy_from_slice(&(bytes.len() as u32).to_be_bytes());
        inner.extend(bytes);
        let _ = serde_json::from_str::<Latencies>(&text_of(&inner));
    }
}

const HEADER: [u8; 40] = {
    let mut header = [0; 40];
    let parts: [(usize, &[u8]); 5] = [
        (0, &[0x1c, 0x84, 0x93, 0x13]),
        (12, &[0, 0, 0, 3]),
        (16, &[0, 0, 0, 0, 0, 0, 0, 1]),
        (24, &[0, 0, 0, 0, 0, 0, 0x0f, 0xff]),
        (32, &[0x3f, 0xf0, 0, 0, 0, 0, 0, 0]),
    ];
    let mut part = 0;
    while part < parts.len() {
        let mut byte = 0;
        while byte < parts[part].1.len() {
            header[parts[part].0 + byte] = parts[part].1[byte];
            byte += 1;
        }
        part += 1;
    }
    header
};

/// The JSON of a histogram of one latency of 5 ns, whose uncompressed encoding is `inner`.
fn text_of(inner: &[u8]) -> String {
    let packed = miniz_oxide::deflate::compress_to_vec_zlib(inner, 6);
    let mut frame = vec![0x1c, 0x84, 0x93, 0x14];
    frame.extend((packed.len() as u32).to_be_bytes());
    frame.extend(packed);
    let hdr = base64::engine::general_purpose::STANDARD.encode(frame);
    format!(r#"{{"count":1,"sum":"5","min":5,"max":5,"hdr":"{hdr}"}}"#)
}

fn check_damage(inner: &[u8], expected: expect_test::Expect) {
    expected.assert_eq(
        &serde_json::from_str::<Latencies>(&text_of(inner))
            .unwrap_err()
            .to_string(),
    );
}

fn with(at: usize, bytes: &[u8], counts: &[u8]) -> Vec<u8> {
    let mut inner = [&HEADER, counts].concat();
    inner[4..8].copy_from_slice(&(counts.len() as u32).to_be_bytes());
    inner[at..at + bytes.len()].copy_from_slice(bytes);
    inner
}

#[test]
fn damage_is_named() {
    // −5 in zig-zag skips five values, 1 counts the sixth.
    let sound = [9, 2];
    assert_eq!(
        serde_json::from_str::<Latencies>(&text_of(&with(0, &[], &sound))).unwrap(),
        latencies(&[5])
    );
    check_damage(
        &with(3, &[9], &sound),
        expect!["the histogram is not in HdrHistogram's compressed V2 encoding"],
    );
    check_damage(
        &with(15, &[4], &sound),
        expect!["the histogram has parameters other than 3 significant figures of nanoseconds"],
    );
    check_damage(
        &with(7, &[77], &sound),
        expect!["the histogram is cut short or too long"],
    );
    check_damage(
        &with(0, &[], &[9, 0x80]),
        expect!["the histogram is cut short or too long"],
    );
    check_damage(
        &with(0, &[], &[9, 4]),
        expect!["the histogram contradicts its `count`"],
    );
    check_damage(
        &with(0, &[], &[11, 2]),
        expect!["the histogram contradicts its `min`"],
    );
    // i64::MIN zeros.
    check_damage(
        &with(0, &[], &[0xff; 9]),
        expect!["the histogram's counts are out of range"],
    );
    check_damage(
        &with(
            0,
            &[],
            &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff].repeat(3),
        ),
        expect!["the histogram's counts are out of range"],
    );
    check_damage(&[], expect!["the histogram is cut short or too long"]);
    // Zeros that compress a thousandfold: refused before they take memory.
    check_damage(
        &vec![0; 100_000_000],
        expect!["the histogram does not decompress"],
    );
}

#[test]
fn the_text_stays_what_it_was() {
    // Of 1, 2 and 3 ms. Changing it makes older records unreadable.
    let latencies = latencies(&(1..=3).map(|value| value * 1_000_000).collect::<Vec<_>>());
    expect![[r#"{"count":3,"sum":"6000000","min":1000000,"max":3000000,"hdr":"HISTFAAAAD14nAEyAM3/HISTEwAAAAoAAAAAAAAAAwAAAAAAAAABAAAAAAA///8/8AAAAAAAAMGuAQL9DwKrCAKWoQf2"}"#]].assert_eq(&serde_json::to_string(&latencies).unwrap());
}

#[test]
fn an_empty_one_answers_nothing_and_owns_nothing() {
    let empty = Latencies::default();
    assert_eq!(
        (
            empty.count(),
            empty.mean(),
            empty.quantile(0.5),
            empty.max(),
            empty.min()
        ),
        (0, None, None, None, None)
    );
    assert_eq!(empty.fraction_above(Span::ZERO), 0.0);
    assert_eq!(empty.buckets().count(), 0);
    assert!(size_of::<Latencies>() <= 64);
    let mut merged = empty.clone();
    merged.merge(&empty);
    assert_eq!(merged, empty);
}
