//! Many servers with a queue each: what choosing among them is worth. Times in seconds, rates per second.

use crate::numeric::Matrix;
use crate::qbd::Qbd;

/// The mean time in the system when each arrival goes to the shortest of `choices` queues chosen at random, for ever more servers, at this
/// load of each and exponential services of mean `service` (Mitzenmacher 2001; Vvedenskaya, Dobrushin, Karpelevich 1996). One choice is
/// M/M/1. `None` without a steady state.
pub fn power_of_choices(load: f64, choices: u32, service: f64) -> Option<f64> {
    if load >= 1.0 {
        return None;
    }
    if choices <= 1 {
        return Some(service / (1.0 - load));
    }
    let d = f64::from(choices);
    let (mut power, mut sum) = (d, 0.0);
    loop {
        // Σ λ^((dⁱ − d) / (d − 1)), from i = 1 on.
        let term = libm::pow(load, (power - d) / (d - 1.0));
        sum += term;
        power *= d;
        if term < 1e-17 * sum || !power.is_finite() {
            return Some(sum * service);
        }
    }
}

/// The mean time in the system of two servers with a queue each, arrivals joining the shorter one, ties at random: the Markov chain of
/// (the shorter queue, the difference), solved numerically. `None` without a steady state.
pub fn join_shortest_of_two(arrivals: f64, service: f64) -> Option<f64> {
    if arrivals >= 2.0 * service {
        return None;
    }
    // A difference of d has a probability of about (ρ / (2 + ρ))^d.
    const DIFFERENCES: usize = 30;
    let mut up = Matrix::zero(DIFFERENCES);
    let mut stay = Matrix::zero(DIFFERENCES);
    let mut down = Matrix::zero(DIFFERENCES);
    stay[(0, 1)] = arrivals;
    down[(0, 1)] = 2.0 * service;
    for difference in 1..DIFFERENCES {
        up[(difference, difference - 1)] = arrivals;
        stay[(difference, difference - 1)] = service;
        if difference + 1 < DIFFERENCES {
            down[(difference, difference + 1)] = service;
        }
    }
    let mut bottom = stay.clone();
    bottom[(0, 1)] = arrivals;
    let solution = Qbd {
        up,
        stay,
        down,
        bottom,
    }
    .solve()?;
    let (levels, phases) = (solution.mean_level(), solution.phases());
    let difference: f64 = phases.iter().enumerate().map(|(d, p)| d as f64 * p).sum();
    Some((2.0 * levels + difference) / arrivals)
}
