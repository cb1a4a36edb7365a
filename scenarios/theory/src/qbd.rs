//! Quasi-birth–death processes: a level that moves by one, and a phase. Solved by Neuts' matrix-geometric method.

use crate::numeric::Matrix;

/// Rates between phases when the level rises, stays and falls; and when it stays while it is 0 (from which it rises as from all others).
/// Diagonals are left out: they follow.
pub(crate) struct Qbd {
    pub(crate) up: Matrix,
    pub(crate) stay: Matrix,
    pub(crate) down: Matrix,
    pub(crate) bottom: Matrix,
}

/// The steady state: level n has the phase probabilities π₀ Rⁿ.
pub(crate) struct Solution {
    bottom: Vec<f64>,
    /// (I − R)⁻¹.
    sum: Matrix,
    rate: Matrix,
}

impl Qbd {
    /// `None` without a steady state.
    pub(crate) fn solve(&self) -> Option<Solution> {
        let size = self.up.size();
        let total = self.up.plus(&self.stay).plus(&self.down);
        let stay = self.stay.minus(&diagonal(&total));
        let first_passage = self.first_passage(&stay)?;
        // R = A_up (−A_stay − A_up G)⁻¹.
        let inner = Matrix::zero(size)
            .minus(&stay)
            .minus(&self.up.times(&first_passage));
        let rate = self.up.times(&inner.inverse()?);
        let sum = Matrix::identity(size).minus(&rate).inverse()?;
        // π₀ (B + R A_down) = 0, with the total of all levels 1.
        let leaving = diagonal(&self.bottom.plus(&self.up));
        let mut balance = self.bottom.minus(&leaving).plus(&rate.times(&self.down));
        let totals: Vec<f64> = (0..size)
            .map(|row| (0..size).map(|to| sum[(row, to)]).sum())
            .collect();
        (0..size).for_each(|row| balance[(row, 0)] = totals[row]);
        let mut one = vec![0.0; size];
        one[0] = 1.0;
        let bottom = balance.inverse()?.left(&one);
        let sane = bottom.iter().all(|p| p.is_finite() && *p > -1e-9);
        sane.then_some(Solution { bottom, sum, rate })
    }

    /// G, the phase in which the next lower level is first met, by logarithmic reduction (Latouche, Ramaswami 1993).
    fn first_passage(&self, stay: &Matrix) -> Option<Matrix> {
        let size = stay.size();
        let scale = Matrix::zero(size).minus(stay).inverse()?;
        let (mut high, mut low) = (scale.times(&self.up), scale.times(&self.down));
        let (mut passage, mut climbed) = (low.clone(), high.clone());
        for _ in 0..60 {
            let both = high.times(&low).plus(&low.times(&high));
            let scale = Matrix::identity(size).minus(&both).inverse()?;
            (high, low) = (
                scale.times(&high.times(&high)),
                scale.times(&low.times(&low)),
            );
            let step = climbed.times(&low);
            passage = passage.plus(&step);
            climbed = climbed.times(&high);
            if step.largest() < 1e-15 || climbed.largest() < 1e-15 {
                break;
            }
        }
        Some(passage)
    }
}

impl Solution {
    /// Phase probabilities over all levels.
    pub(crate) fn phases(&self) -> Vec<f64> {
        self.sum.left(&self.bottom)
    }

    /// P(level 0).
    pub(crate) fn empty(&self) -> f64 {
        self.bottom.iter().sum()
    }

    /// Σ n πₙ = π₀ R (I − R)⁻².
    pub(crate) fn mean_level(&self) -> f64 {
        let once = self.sum.left(&self.rate.left(&self.bottom));
        self.sum.left(&once).iter().sum()
    }
}

/// Row sums on the diagonal.
fn diagonal(matrix: &Matrix) -> Matrix {
    let size = matrix.size();
    let mut sums = Matrix::zero(size);
    for row in 0..size {
        sums[(row, row)] = (0..size).map(|column| matrix[(row, column)]).sum();
    }
    sums
}

/// MMPP/M/1: Poisson arrivals whose rate jumps between states, each left for the next in the list after an exponential time (Neuts 1981).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Modulated {
    /// Mean messages per second.
    pub arrivals: f64,
    /// Mean number in the system.
    pub number: f64,
    /// Mean time in the system.
    pub sojourn: f64,
    /// P(nothing in the system).
    pub empty: f64,
}

/// MMPP/M/1 with (messages per second, mean seconds in the state) and the service rate; `None` without a steady state, or above 64 states.
pub fn modulated(states: &[(f64, f64)], service: f64) -> Option<Modulated> {
    let size = states.len();
    if !(1..=64).contains(&size) {
        return None;
    }
    let period: f64 = states.iter().map(|(_, mean)| mean).sum();
    let arrivals = states.iter().map(|(rate, mean)| rate * mean).sum::<f64>() / period;
    if arrivals >= service || arrivals <= 0.0 {
        return None;
    }
    let (mut up, mut stay, mut down) = (Matrix::zero(size), Matrix::zero(size), Matrix::zero(size));
    for (at, (rate, mean)) in states.iter().enumerate() {
        up[(at, at)] = *rate;
        down[(at, at)] = service;
        if size > 1 {
            stay[(at, (at + 1) % size)] += 1.0 / mean;
        }
    }
    let bottom = stay.clone();
    let solution = Qbd {
        up,
        stay,
        down,
        bottom,
    }
    .solve()?;
    let number = solution.mean_level();
    Some(Modulated {
        arrivals,
        number,
        sojourn: number / arrivals,
        empty: solution.empty(),
    })
}
