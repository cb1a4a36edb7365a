//! What sending again does to load. Rates per second, times in seconds.

use crate::numeric::power;

/// Mean sends per request with up to `retries` repetitions, each failing with probability `failure` on its own (a geometric sum).
pub fn amplification(failure: f64, retries: u32) -> f64 {
    (0..=retries)
        .map(|sent| power(failure, u64::from(sent)))
        .sum()
}

/// The share of requests that succeed in the end.
pub fn success(failure: f64, retries: u32) -> f64 {
    1.0 - power(failure, u64::from(retries) + 1)
}

/// How long a loss of capacity to `reduced` messages per second may last, with clients that send again at once after `timeout` while their old
/// message is still worked on, before the first of them does so; from then on the load is a multiple, and stays it when the capacity is back
/// (metastable failure: Bronson et al. 2021; fluid). Infinite if the reduced capacity is enough.
pub fn storm_threshold(arrivals: f64, reduced: f64, timeout: f64) -> f64 {
    // Work arriving at t waits (λ − c) t / c; the first to wait for the timeout gives up one timeout later.
    let growth = arrivals - reduced;
    if growth <= 0.0 {
        f64::INFINITY
    } else {
        timeout * reduced / growth + timeout
    }
}

/// The load of a storm: every message is sent `attempts` times.
pub fn storm_load(arrivals: f64, attempts: u32) -> f64 {
    arrivals * f64::from(attempts)
}
