//! Queues in a row, and forks. Times in seconds, rates per second.

use crate::numeric::{Matrix, poisson, quantile};

/// Arrival rates of an open network of queues: λ = γ + λ P, from outside and by routing (Jackson 1957). `routing[i][j]` is the share of what
/// leaves i that goes on to j. `None` if messages never leave.
pub fn traffic(external: &[f64], routing: &[Vec<f64>]) -> Option<Vec<f64>> {
    let size = external.len();
    let mut matrix = Matrix::identity(size);
    for (from, row) in routing.iter().enumerate() {
        for (to, share) in row.iter().enumerate() {
            matrix[(from, to)] -= share;
        }
    }
    let rates = matrix.inverse()?.left(external);
    rates
        .iter()
        .all(|rate| *rate > -1e-9 && rate.is_finite())
        .then_some(rates)
}

/// P(sum of independent exponential times with these rates > t), by uniformisation: no differences, so close rates do no harm.
pub fn stages_tail(rates: &[f64], t: f64) -> f64 {
    let fastest = rates.iter().copied().fold(0.0, f64::max);
    let mean = fastest * t;
    let mut at: Vec<f64> = (0..rates.len())
        .map(|stage| if stage == 0 { 1.0 } else { 0.0 })
        .collect();
    let (mut tail, mut seen) = (0.0, 0.0);
    let most = (mean + 12.0 * mean.sqrt() + 40.0) as u64;
    for jumps in 0..most {
        let weight = poisson(mean, jumps);
        tail += weight * at.iter().sum::<f64>();
        seen += weight;
        if seen > 1.0 - 1e-15 {
            break;
        }
        for stage in (0..rates.len()).rev() {
            let moves = at[stage] * rates[stage] / fastest;
            at[stage] -= moves;
            if let Some(next) = at.get_mut(stage + 1) {
                *next += moves;
            }
        }
    }
    tail
}

/// The quantile `p` of the time through single servers in a row: independent exponential times with rates μ − λ (Reich 1957; Burke 1956).
/// `None` without a steady state.
pub fn tandem_quantile(arrivals: f64, services: &[f64], p: f64) -> Option<f64> {
    let rates: Vec<f64> = services.iter().map(|service| service - arrivals).collect();
    let slowest = rates.iter().copied().fold(f64::INFINITY, f64::min);
    (slowest > 0.0).then(|| quantile(p, 1.0 / slowest, |t| stages_tail(&rates, t)))
}

/// The mean time until all copies are served of a message that is copied to `queues` M/M/1 queues at once: exact for two (Flatto, Hahn 1984),
/// for more the approximation of Nelson and Tantawi (1988), within 5 % up to 32. `None` without a steady state.
pub fn fork_join(arrivals: f64, service: f64, queues: u32) -> Option<f64> {
    let (load, single) = (arrivals / service, 1.0 / (service - arrivals));
    if load >= 1.0 {
        return None;
    }
    let two = (12.0 - load) / 8.0 * single;
    Some(match queues {
        0 | 1 => single,
        2 => two,
        _ => {
            let ratio = harmonic(queues) / harmonic(2);
            (ratio + 4.0 / 11.0 * (1.0 - ratio) * load) * two
        }
    })
}

/// 1 + 1/2 + … + 1/n.
pub fn harmonic(n: u32) -> f64 {
    (1..=n).map(|at| 1.0 / f64::from(at)).sum()
}

/// The share of requests that meet at least one slow call among `calls`, each slow with probability `slow` (Dean, Barroso 2013).
pub fn fan_out(calls: u32, slow: f64) -> f64 {
    -libm::expm1(f64::from(calls) * libm::log1p(-slow))
}

/// The mean time until a majority of `nodes` has an entry, whose followers answer after exponential times of this mean (order statistics).
pub fn majority(nodes: u32, mean: f64) -> f64 {
    let followers = nodes - 1;
    let needed = nodes / 2;
    mean * (harmonic(followers) - harmonic(followers - needed))
}
