//! The log's codec: what it costs to write entries, and to read them again.
#![allow(missing_docs)]

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use queuelab_core::log::{Encoder, SegmentImage, put_entry, read_entry, recover};
use queuelab_core::{
    Command, Entry, ExchangeId, LogPosition, Message, MessageCopy, QueueId, Times,
};

/// Publishes with bodies of `size` bytes.
fn entries(size: usize) -> Vec<Entry> {
    let body = Bytes::from(vec![7; size]);
    let enqueue = |serial: u64| Command::Enqueue {
        copy: MessageCopy {
            queue: QueueId(3),
            serial,
        },
        message: Message {
            tag: serial,
            exchange: ExchangeId::DEFAULT,
            persistent: true,
            routing_key: Bytes::from_static(b"orders"),
            body: body.clone(),
            properties: None,
        },
        times: Times::ANY,
    };
    (0..1_000).map(enqueue).map(Entry::One).collect()
}

fn encode(entries: &[Entry], out: &mut Vec<u8>) {
    out.clear();
    let mut encoder = Encoder::new(1, 1, LogPosition(1), LogPosition(0), out);
    for (position, entry) in (1..).map(LogPosition).zip(entries) {
        encoder.append(position, entry, LogPosition(0), out);
    }
}

fn codec(criterion: &mut Criterion) {
    for size in [100, 1_024, 16_384] {
        let entries = entries(size);
        let mut out = Vec::new();
        encode(&entries, &mut out);
        let mut group = criterion.benchmark_group(format!("log-{size}B"));
        group.throughput(Throughput::Bytes(out.len() as u64));
        group.bench_function("encode", |bencher| {
            bencher.iter(|| {
                encode(black_box(&entries), &mut out);
                black_box(&out);
            });
        });
        let bodies: Vec<Bytes> = entries
            .iter()
            .map(|entry| {
                let mut body = Vec::new();
                put_entry(&mut body, entry);
                body.into()
            })
            .collect();
        group.bench_function("decode", |bencher| {
            bencher.iter(|| {
                for body in &bodies {
                    black_box(read_entry(black_box(body)));
                }
            });
        });
        let image = [SegmentImage {
            number: 1,
            bytes: out.clone().into(),
        }];
        group.bench_function("recover", |bencher| {
            bencher.iter(|| recover(black_box(&image), [&[]; 2]).expect("nothing is wrong"));
        });
        group.finish();
    }
}

criterion_group!(benches, codec);
criterion_main!(benches);
