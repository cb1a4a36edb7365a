//! One long run instead of several.

use super::interval::moments;

/// Means of `batches` consecutive batches of equal length. Long batches are nearly independent, so that
/// [`Interval::of_mean`](super::Interval::of_mean) of 10 to 30 of them estimates the steady state (Schmeiser, Batch size effects in the
/// analysis of simulation output, Operations Research 30, 1982). Batches that are short beside the time over which the system forgets
/// are correlated, and the interval is far too narrow: [`autocorrelation`] of the means near 0 is the condition.
///
/// What does not go into equal batches is left out at the start, where the transient is. Empty if there are fewer observations than
/// batches, or no batches.
pub fn batch_means(observations: &[f64], batches: usize) -> Vec<f64> {
    let length = observations.len().checked_div(batches).unwrap_or(0);
    if length == 0 {
        return Vec::new();
    }
    let kept = &observations[observations.len() - length * batches..];
    let means = kept.chunks_exact(length);
    means
        .map(|batch| batch.iter().sum::<f64>() / length as f64)
        .collect()
}

/// The lag-1 autocorrelation Σ (xᵢ − x̄)(xᵢ₊₁ − x̄) / Σ (xᵢ − x̄)² (Law 4.4), between −1 and 1: near 0 for independent values. `None` for
/// fewer than two values, or if all are equal.
pub fn autocorrelation(values: &[f64]) -> Option<f64> {
    let (mean, variance) = moments(values)?;
    let products = values
        .windows(2)
        .map(|pair| (pair[0] - mean) * (pair[1] - mean));
    let squares = variance * (values.len() - 1) as f64;
    (squares > 0.0).then(|| products.sum::<f64>() / squares)
}
