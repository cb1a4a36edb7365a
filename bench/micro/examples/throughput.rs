//! Messages per second of whole runs, with the mean sojourn and the memory they took: `throughput mm1|durable [messages] [check]`.
//!
//! `mm1` is M/M/1 at λ = 0.8 through the whole engine (memory queue, free hardware); `durable` is a durable queue with
//! fsync, costs of a local network, confirms and manual acks.

#![allow(
    clippy::disallowed_types,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a benchmark reads the clock, and prints what it says"
)]

use std::sync::Arc;
use std::time::Instant;

use queuelab_scenario::Scenario;
use queuelab_sim::{Options, Simulation};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let model = arguments.next().unwrap_or_else(|| "mm1".into());
    let messages = arguments
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1e6);
    let check = arguments.next().is_some();
    let Some(text) = queuelab_micro::scenario(&model, messages) else {
        eprintln!("failed to find model `{model}`: there are mm1 and durable");
        std::process::exit(2);
    };
    let scenario =
        Scenario::parse("throughput.toml", &text, &[]).unwrap_or_else(|error| panic!("{error}"));
    let start = Instant::now();
    let mut simulation = Simulation::new(Arc::new(scenario), Options { seed: 1, check });
    simulation.run_until(simulation.end());
    let elapsed = start.elapsed().as_secs_f64();
    let record = simulation.record();
    let acked: u64 = record.queues.iter().map(|queue| queue.acked).sum();
    let sojourn = record.queues[0].end_to_end[0].mean().unwrap_or_default();
    println!(
        "{model}: {acked} messages in {elapsed:.2} s: {:.3} million messages/s, {:.1} million events/s, {:.1} events per message, mean sojourn {:.3} s, {}",
        acked as f64 / elapsed / 1e6,
        record.events as f64 / elapsed / 1e6,
        record.events as f64 / acked as f64,
        sojourn.as_secs_f64(),
        peak_memory(),
    );
}

/// The largest resident set so far, as Linux tells it.
fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or("memory unknown".into(), |line| {
        format!("peak memory {}", line.trim())
    })
}
