//! Classes of messages that are served by priority. Times in seconds, rates per second.

use crate::general::Moments;
use crate::markov::{MMc, erlang_c};

/// Mean waits of classes, highest first, with these arrival rates: M/G/1 without preemption, each class with its own service (Cobham 1954).
/// Infinite from the first class on that has no steady state.
pub fn nonpreemptive_single(classes: &[(f64, Moments)]) -> Vec<f64> {
    let residual: f64 = classes
        .iter()
        .map(|(rate, service)| rate * service.second() / 2.0)
        .sum();
    let loads = classes.iter().map(|(rate, service)| rate * service.mean);
    waits(residual, loads)
}

/// Mean waits of classes, highest first: M/M/c without preemption, one service rate (Cobham 1954).
pub fn nonpreemptive(rates: &[f64], service: f64, servers: u32) -> Vec<f64> {
    let capacity = f64::from(servers) * service;
    let total: f64 = rates.iter().sum();
    // All servers are busy for C of the arrivals, and the next one is free 1 / (c μ) later: C (1 − ρ) / (c μ − λ) in Erlang's terms.
    let residual = if total < capacity {
        erlang_c(servers, total / service) / capacity
    } else {
        1.0 / capacity
    };
    waits(residual, rates.iter().map(|rate| rate / capacity))
}

/// Mean waits of classes, highest first: M/M/c with preemption, one service rate: nobody sees those below (G&H 4.3).
pub fn preemptive(rates: &[f64], service: f64, servers: u32) -> Vec<f64> {
    let (mut above, mut waited) = (0.0, 0.0);
    let wait = |rate: &f64| {
        let arrivals = above + rate;
        let queue = MMc {
            arrivals,
            service,
            servers,
        };
        let all = queue.means().map_or(f64::INFINITY, |means| means.waiting);
        let own = (all - waited) / rate;
        (above, waited) = (arrivals, all);
        own
    };
    rates.iter().map(wait).collect()
}

fn waits(residual: f64, loads: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut above: f64 = 0.0;
    let wait = |load: f64| {
        let with = above + load;
        let wait = if with < 1.0 {
            residual / ((1.0 - above) * (1.0 - with))
        } else {
            f64::INFINITY
        };
        above = with;
        wait
    };
    loads.map(wait).collect()
}
