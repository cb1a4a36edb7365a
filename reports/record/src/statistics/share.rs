//! What some runs say about all.

/// Of how many of all seeds something holds at least, if it held in all of `runs` that were tried: the exact lower end of a one-sided
/// interval, (1 − confidence)^(1/runs) (Clopper and Pearson, The use of confidence or fiducial limits, Biometrika 26, 1934). 0 without runs.
pub fn share_of_all(runs: usize, confidence: f64) -> f64 {
    match runs {
        0 => 0.0,
        runs => libm::pow(1.0 - confidence, 1.0 / runs as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With the share p, all n hold with probability pⁿ: at the end of the interval that is 5 %.
    #[test]
    fn the_end_of_the_interval_makes_what_was_seen_just_credible() {
        for runs in 1..50 {
            let share = share_of_all(runs, 0.95);
            let all = (0..runs).fold(1.0, |product, _| product * share);
            assert!((all - 0.05).abs() < 1e-12, "{runs}");
        }
        assert_eq!(share_of_all(0, 0.95), 0.0);
    }
}
