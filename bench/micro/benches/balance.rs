//! Picking one of 10 and of 100 members, with all of them available and with a tenth.
#![allow(missing_docs)]

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use queuelab_core::Dispatch;
use queuelab_core::balance::{Balance, Balancer, Member, Rng};
use rand::SeedableRng;

const DISPATCHES: [(&str, Dispatch); 7] = [
    ("round-robin", Dispatch::RoundRobin),
    ("weighted-round-robin", Dispatch::WeightedRoundRobin),
    ("least-connections", Dispatch::LeastConnections),
    (
        "weighted-least-connections",
        Dispatch::WeightedLeastConnections,
    ),
    ("random", Dispatch::Random),
    ("power-of-2", Dispatch::PowerOf(2)),
    ("join-idle-queue", Dispatch::JoinIdleQueue),
];

fn pick(criterion: &mut Criterion) {
    for (name, share) in [("pick", 1), ("pick-few-available", 10)] {
        let mut group = criterion.benchmark_group(name);
        for size in [10, 100] {
            let members: Vec<Member> = (0..size)
                .map(|at| Member {
                    in_flight: 1 + at % 5,
                    weight: 1 + at % 3,
                    available: at % share == 0,
                })
                .collect();
            let available = members.iter().filter(|member| member.available).count();
            for (name, dispatch) in DISPATCHES {
                let mut balancer = Balancer::new(dispatch);
                (0..members.len()).for_each(|at| balancer.joined(at));
                let mut rng = Rng::seed_from_u64(1);
                group.bench_function(BenchmarkId::new(name, size), |bencher| {
                    bencher.iter(|| balancer.pick(&members, available, &mut rng));
                });
            }
        }
        group.finish();
    }
}

criterion_group!(benches, pick);
criterion_main!(benches);
