//! Routing by topic with 1000 patterns.
#![allow(missing_docs)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use queuelab_core::topic::{Scratch, Trie};

fn patterns(shape: impl Fn(u32) -> String) -> Trie<u32> {
    let mut trie = Trie::default();
    (0..1000).for_each(|number| trie.insert(shape(number).as_bytes(), number));
    trie
}

fn matches(criterion: &mut Criterion) {
    let literal = patterns(|n| format!("shop.order.{n}.created"));
    let mixed = patterns(|n| match n % 4 {
        0 => format!("shop.{}.{n}.created", n % 10),
        1 => format!("shop.*.{n}.*"),
        2 => format!("shop.{}.#", n % 50),
        _ => format!("#.{n}.created"),
    });
    let hostile = patterns(|n| format!("{}{n}", "#.*.".repeat(n as usize % 12)));
    let mut group = criterion.benchmark_group("topic-1000");
    for (name, trie, key) in [
        ("literal", &literal, "shop.order.500.created".to_owned()),
        ("mixed", &mixed, "shop.7.501.created".to_owned()),
        ("no-match", &mixed, "other.key".to_owned()),
        (
            "hostile-60-words",
            &hostile,
            format!("{}500", "a.".repeat(60)),
        ),
    ] {
        let mut scratch = Scratch::default();
        let mut out = vec![];
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                out.clear();
                trie.matches_with(black_box(key.as_bytes()), &mut scratch, &mut out);
                out.len()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, matches);
criterion_main!(benches);
