//! Welch's plot of the transient.

/// The mean over runs, observation by observation, as far as the shortest goes.
pub fn mean_series(runs: &[Vec<f64>]) -> Vec<f64> {
    let length = runs.iter().map(Vec::len).min().unwrap_or(0);
    let mean = |at: usize| runs.iter().map(|run| run[at]).sum::<f64>() / runs.len() as f64;
    (0..length).map(mean).collect()
}

/// Each value averaged with `window` neighbours on both sides; near the start, where there are fewer before it, with as many on both (Welch,
/// The statistical analysis of simulation results, 1983; Law 9.5.1). The last `window` values have no average of their own: the
/// result is shorter by them. Where the curve flattens, the transient ends.
pub fn moving_average(values: &[f64], window: usize) -> Vec<f64> {
    let averaged = values.len().saturating_sub(window);
    let average = |at: usize| {
        let reach = window.min(at);
        let around = &values[at - reach..=at + reach];
        around.iter().sum::<f64>() / around.len() as f64
    };
    (0..averaged).map(average).collect()
}
