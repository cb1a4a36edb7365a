//! Placing keys on 10 and 100 nodes.
#![allow(missing_docs)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use queuelab_core::HashKind;
use queuelab_core::hashing::{Placement, hash, jump};

const KINDS: [(&str, HashKind); 6] = [
    ("ring", HashKind::Ring { vnodes: 128 }),
    (
        "bounded-ring",
        HashKind::BoundedRing {
            vnodes: 128,
            epsilon: 0.25,
        },
    ),
    ("jump", HashKind::Jump),
    ("rendezvous", HashKind::Rendezvous),
    ("maglev", HashKind::Maglev { table: 65_537 }),
    ("multi-probe", HashKind::MultiProbe { probes: 21 }),
];

fn place(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("place");
    for nodes in [10, 100] {
        let names: Vec<String> = (0..nodes).map(|node| format!("orders/{node}")).collect();
        let weighted = |weight: fn(usize) -> u32| -> Vec<(&[u8], u32)> {
            names
                .iter()
                .enumerate()
                .map(|(at, name)| (name.as_bytes(), weight(at)))
                .collect()
        };
        for (name, kind) in KINDS {
            let placement = Placement::new(kind, &weighted(|_| 1));
            bench(&mut group, BenchmarkId::new(name, nodes), &placement);
        }
        let placement = Placement::new(HashKind::Rendezvous, &weighted(|at| 1 + at as u32 % 3));
        bench(
            &mut group,
            BenchmarkId::new("rendezvous-weighted", nodes),
            &placement,
        );
    }
    group.finish();
}

fn bench<M: criterion::measurement::Measurement>(
    group: &mut criterion::BenchmarkGroup<'_, M>,
    id: BenchmarkId,
    placement: &Placement,
) {
    let mut key = 0_u64;
    group.bench_function(id, |bencher| {
        bencher.iter(|| {
            key = key.wrapping_add(0x9e37_79b9_7f4a_7c15);
            placement.place(black_box(key), |at| at as u64 % 7)
        });
    });
}

fn functions(criterion: &mut Criterion) {
    criterion.bench_function("hash/20-bytes", |bencher| {
        bencher.iter(|| hash(black_box(b"order.created.4711-x")))
    });
    criterion.bench_function("jump/1000", |bencher| {
        bencher.iter(|| jump(black_box(0xDEAD_10CC), black_box(1000)))
    });
}

criterion_group!(benches, place, functions);
criterion_main!(benches);
