//! Whole runs through engine and simulator, from the scenario's text to the record.
#![allow(missing_docs)]

use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use queuelab_scenario::Scenario;
use queuelab_sim::{Options, Simulation};

fn runs(criterion: &mut Criterion) {
    const MESSAGES: u64 = 100_000;
    let mut group = criterion.benchmark_group("run");
    group.sample_size(10);
    group.throughput(Throughput::Elements(MESSAGES));
    for (model, check) in [("mm1", false), ("mm1", true), ("durable", false)] {
        let text = queuelab_micro::scenario(model, MESSAGES as f64).expect("the model exists");
        let scenario =
            Scenario::parse("run.toml", &text, &[]).unwrap_or_else(|error| panic!("{error}"));
        let scenario = Arc::new(scenario);
        let id = BenchmarkId::new(model, if check { "checked" } else { "unchecked" });
        group.bench_function(id, |bencher| {
            bencher.iter(|| {
                let options = Options { seed: 1, check };
                let mut simulation = Simulation::new(scenario.clone(), options);
                simulation.run_until(simulation.end());
                simulation.record().trace_hash
            });
        });
    }
    group.finish();
}

criterion_group!(benches, runs);
criterion_main!(benches);
