//! Where the steady state begins.

/// How many observations to leave out at the start, so that what is left estimates the steady state best: the rule MSER-5 of White, Cobb
/// and Spratt (A comparison of five steady-state truncation heuristics for simulation, Winter Simulation Conference 2000). Observations
/// are averaged in batches of five, Z₁ … Zₘ (what does not fill the last is left aside), and the cut d minimises the marginal standard
/// error (m−d)⁻² Σ (Zᵢ − Z̄)² over the Zᵢ after it; the earliest, if several do.
///
/// `None` if the cut is rejected: it lies beyond half of the observations, so that the run is too short for its transient or has no steady
/// state; or there are fewer than ten batches. The last five are never cut into: few alike values at the end would look precise.
pub fn mser5(observations: &[f64]) -> Option<usize> {
    let batches = observations.chunks_exact(BATCH);
    let means: Vec<f64> = batches
        .map(|it| it.iter().sum::<f64>() / BATCH as f64)
        .collect();
    if means.len() < BATCHES_MIN {
        return None;
    }
    // From the end on, each batch adds to the mean and to the sum of squares (Welford 1962).
    let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
    let (mut best, mut least) = (0, f64::INFINITY);
    for (cut, value) in means.iter().enumerate().rev() {
        count += 1.0;
        let distance = value - mean;
        mean += distance / count;
        squares += distance * (value - mean);
        let error = squares / (count * count);
        if means.len() - cut >= LAST && error <= least {
            (best, least) = (cut, error);
        }
    }
    let cut = best * BATCH;
    (cut <= observations.len() / 2).then_some(cut)
}

/// Observations that are averaged.
const BATCH: usize = 5;

/// Batches that are always kept.
const LAST: usize = 5;

/// Fewer tell nothing.
const BATCHES_MIN: usize = 10;
