//! Statistics against published tables, worked examples and the definitions they follow from.

use proptest::prelude::*;
use queuelab_record::statistics::{
    Interval, Precision, autocorrelation, batch_means, fisher, holm, mean_series, moving_average,
    mser5, normal_cdf, normal_quantile, paired, t_quantile, t_tail, unpaired,
};

/// Two-sided 80, 90, 95, 98 and 99 % points of Student's t, as printed (A&S table 26.10; NIST/SEMATECH e-Handbook 1.3.6.7.2).
const T_TABLE: [(f64, [f64; 5]); 12] = [
    (1.0, [3.078, 6.314, 12.706, 31.821, 63.657]),
    (2.0, [1.886, 2.920, 4.303, 6.965, 9.925]),
    (3.0, [1.638, 2.353, 3.182, 4.541, 5.841]),
    (4.0, [1.533, 2.132, 2.776, 3.747, 4.604]),
    (5.0, [1.476, 2.015, 2.571, 3.365, 4.032]),
    (9.0, [1.383, 1.833, 2.262, 2.821, 3.250]),
    (10.0, [1.372, 1.812, 2.228, 2.764, 3.169]),
    (20.0, [1.325, 1.725, 2.086, 2.528, 2.845]),
    (30.0, [1.310, 1.697, 2.042, 2.457, 2.750]),
    (60.0, [1.296, 1.671, 2.000, 2.390, 2.660]),
    (100.0, [1.290, 1.660, 1.984, 2.364, 2.626]),
    (1e7, [1.282, 1.645, 1.960, 2.326, 2.576]),
];

#[test]
fn t_quantiles_are_those_of_the_printed_table() {
    for (df, points) in T_TABLE {
        for (p, printed) in [0.9, 0.95, 0.975, 0.99, 0.995].into_iter().zip(points) {
            let found = t_quantile(p, df);
            assert!(
                (found - printed).abs() <= 0.000_5 + 1e-9,
                "{df} {p}: {found}"
            );
        }
    }
}

/// Computed with mpmath 1.3 to 30 digits.
#[test]
fn distributions_have_twelve_good_digits() {
    let close = |found: f64, exact: f64| {
        assert!(
            (found / exact - 1.0).abs() < 1e-12,
            "{found} instead of {exact}"
        );
    };
    for (p, df, exact) in [
        (0.95, 9.0, 1.833_112_932_656_23),
        (0.975, 1.0, 12.706_204_736_174_7),
        (0.975, 2.5, 3.574_654_842_003_68),
        (0.995, 4.0, 4.604_094_871_349_99),
        (0.975, 100.0, 1.983_971_518_523_55),
        (0.6, 7.0, 0.263_166_861_352_022),
    ] {
        close(t_quantile(p, df), exact);
        close(t_quantile(1.0 - p, df), -exact);
    }
    for (t, df, exact) in [
        (1.0, 1.0, 0.25),
        (2.0, 9.0, 0.038_276_411_885_350_5),
        (10.0, 5.0, 8.547_378_787_148_17e-5),
        (50.0, 9.0, 1.284_476_455_437_39e-12),
        (0.001, 30.0, 0.499_604_367_883_242),
        (3.0, 250.5, 0.001_486_051_809_252_97),
    ] {
        close(t_tail(t, df), exact);
    }
    for (p, exact) in [
        (0.975, 1.959_963_984_540_05),
        (0.995, 2.575_829_303_548_90),
        (0.9, 1.281_551_565_544_60),
    ] {
        close(normal_quantile(p), exact);
    }
}

#[test]
fn quantiles_have_their_limits() {
    for quantile in [normal_quantile, |p| t_quantile(p, 3.0)] {
        assert_eq!(quantile(0.5), 0.0);
        assert_eq!(quantile(0.0), f64::NEG_INFINITY);
        assert_eq!(quantile(1.0), f64::INFINITY);
        for p in [-0.1, 1.1, f64::NAN] {
            assert!(quantile(p).is_nan(), "{p}");
        }
    }
    for df in [0.0, -1.0, f64::NAN] {
        assert!(t_quantile(0.9, df).is_nan(), "{df}");
    }
    assert_eq!(t_tail(f64::INFINITY, 4.0), 0.0);
    assert_eq!(t_tail(f64::NEG_INFINITY, 4.0), 1.0);
}

/// The ten values of mean 1.34 and variance 0.17 of Law's example 4.27, for which he gives 1.34 ± 0.24 at 90 %.
#[test]
fn the_mean_of_a_worked_example_has_its_interval() {
    let values = [1.20, 1.50, 1.68, 1.89, 0.95, 1.49, 1.58, 1.55, 0.50, 1.09];
    let interval = Interval::of_mean(&values, 0.9).unwrap();
    assert!((interval.estimate - 1.343).abs() < 1e-12);
    assert!((interval.half_width - 0.24).abs() < 0.005, "{interval:?}");
    assert!(interval.contains(1.5) && !interval.contains(1.6));
    assert!((interval.high() - interval.low() - 2.0 * interval.half_width).abs() < 1e-12);
}

#[test]
fn a_mean_needs_two_values_and_equal_ones_leave_no_doubt() {
    assert_eq!(Interval::of_mean(&[], 0.95), None);
    assert_eq!(Interval::of_mean(&[1.0], 0.95), None);
    let exact = Interval::of_mean(&[0.1; 10], 0.95).unwrap();
    assert_eq!((exact.estimate, exact.half_width), (0.1, 0.0));
    assert_eq!(exact.relative(), 0.0);
    let about_zero = Interval::of_mean(&[-1.0, 1.0], 0.95).unwrap();
    assert_eq!(about_zero.relative(), f64::INFINITY);
    let of_nothing = Interval::of_mean(&[1.0, f64::NAN], 0.95).unwrap();
    assert!(!Precision::default().is_met_by(&of_nothing));
}

#[test]
fn a_quantile_is_that_of_all_runs_and_its_width_that_of_single_ones() {
    let runs = [9.0, 10.0, 11.0];
    let interval = Interval::of_quantile(10.4, &runs, 0.95).unwrap();
    let of_mean = Interval::of_mean(&runs, 0.95).unwrap();
    assert_eq!(
        (interval.estimate, interval.half_width),
        (10.4, of_mean.half_width)
    );
}

/// Batches of five equal observations. By hand, the sums of squares over (m − d)²: 52.4/100, 4/81, 2/64, 1.714/49, 1.5/36, 1.2/25.
#[test]
fn mser5_finds_the_cut_of_a_worked_example() {
    let batches = [9.0, 3.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0];
    assert_eq!(mser5(&each_five_times(&batches)), Some(10));
}

#[test]
fn mser5_leaves_out_a_step_and_nothing_else() {
    let mut series = vec![100.0; 50];
    series.extend((0..150).map(|at| f64::from(at % 3)));
    assert_eq!(mser5(&series), Some(50));
    assert_eq!(mser5(&series[50..]), Some(0));
    assert_eq!(mser5(&[7.0; 60]), Some(0));
}

/// What still changes at the end has no steady state: of a straight line the error (m − d)/12 falls to the last possible cut.
#[test]
fn mser5_rejects_what_does_not_settle() {
    let ramp: Vec<f64> = (0..400).map(f64::from).collect();
    assert_eq!(mser5(&ramp), None);
    let mut late = vec![100.0; 120];
    late.extend([1.0, 2.0].repeat(40));
    assert_eq!(mser5(&late), None);
    assert_eq!(mser5(&[1.0; 49]), None, "too short to tell");
}

/// The definition, each cut computed anew.
fn mser5_by_definition(observations: &[f64]) -> Option<usize> {
    let means: Vec<f64> = observations
        .chunks_exact(5)
        .map(|it| it.iter().sum::<f64>() / 5.0)
        .collect();
    let error = |cut: usize| {
        let rest = &means[cut..];
        let count = rest.len() as f64;
        let mean = rest.iter().sum::<f64>() / count;
        rest.iter().map(|it| (it - mean) * (it - mean)).sum::<f64>() / (count * count)
    };
    let last = means.len().checked_sub(5)?;
    let best = (0..=last).min_by(|&left, &right| error(left).total_cmp(&error(right)))?;
    (means.len() >= 10 && best * 5 <= observations.len() / 2).then_some(best * 5)
}

#[test]
fn batches_are_equal_and_end_with_the_run() {
    let values: Vec<f64> = (0..11).map(f64::from).collect();
    assert_eq!(batch_means(&values, 5), [1.5, 3.5, 5.5, 7.5, 9.5]);
    assert_eq!(batch_means(&values, 1), [5.0]);
    assert!(batch_means(&values, 12).is_empty());
    assert!(batch_means(&values, 0).is_empty());
}

#[test]
fn autocorrelation_of_worked_examples() {
    // Distances from the mean −2, −1, 0, 1, 2: products 2 + 0 + 0 + 2 over squares 10.
    assert_eq!(autocorrelation(&[1.0, 2.0, 3.0, 4.0, 5.0]), Some(0.4));
    assert_eq!(autocorrelation(&[1.0, -1.0, 1.0, -1.0]), Some(-0.75));
    assert_eq!(autocorrelation(&[3.0; 5]), None);
    assert_eq!(autocorrelation(&[3.0]), None);
}

#[test]
fn replications_stop_at_the_first_prefix_in_which_all_metrics_are_precise() {
    let precision = Precision {
        least: 3,
        ..Precision::default()
    };
    let narrow = [100.0, 101.0, 99.0, 100.0, 100.0];
    let wide = [10.0, 30.0, 20.0, 20.0, 20.0];
    assert_eq!(precision.reached(&[&narrow]), Some(3));
    assert_eq!(precision.reached(&[&narrow, &wide]), None);
    assert_eq!(precision.reached(&[]), None);
    assert_eq!(precision.reached(&[&narrow[..2]]), None);
    // What became known beyond the stop changes nothing.
    let disturbed = [100.0, 101.0, 99.0, 5_000.0, 0.0];
    assert_eq!(precision.reached(&[&disturbed]), Some(3));
}

#[test]
fn widths_shrink_with_the_root_of_replications() {
    let precision = Precision::default();
    let interval = Interval {
        estimate: 100.0,
        half_width: 10.0,
    };
    assert_eq!(precision.needed(&interval, 10), Some(40));
    let narrow = Interval {
        estimate: 100.0,
        half_width: 1.0,
    };
    assert_eq!(precision.needed(&narrow, 10), Some(10));
    let about_zero = Interval {
        estimate: 0.0,
        half_width: 1.0,
    };
    assert_eq!(precision.needed(&about_zero, 10), None);
}

/// Differences 1, 2, 3: mean 2, s = 1, t = 2√3 with two degrees of freedom, for which P(|T| > t) = 1 − t/√(t² + 2).
#[test]
fn pairs_are_compared_by_their_differences() {
    let result = paired(&[10.0, 20.0, 30.0], &[11.0, 22.0, 33.0], 0.95).unwrap();
    let t = 12_f64.sqrt();
    assert!(
        (result.p - (1.0 - t / (t * t + 2.0).sqrt())).abs() < 1e-12,
        "{result:?}"
    );
    assert!((result.difference.estimate - 2.0).abs() < 1e-12);
    assert!((result.difference.half_width - 4.302_652_729_911_27 / 3_f64.sqrt()).abs() < 1e-9);
}

#[test]
fn the_same_twice_does_not_differ_and_a_constant_difference_is_beyond_doubt() {
    let same = paired(&[1.0, 2.0], &[1.0, 2.0], 0.95).unwrap();
    assert_eq!((same.difference.half_width, same.p), (0.0, 1.0));
    let shifted = paired(&[1.0, 2.0], &[2.0, 3.0], 0.95).unwrap();
    assert_eq!((shifted.difference.estimate, shifted.p), (1.0, 0.0));
    assert_eq!(paired(&[1.0, 2.0], &[1.0], 0.95), None);
    assert_eq!(paired(&[1.0], &[2.0], 0.95), None);
}

/// Means 3 and 5, variances 5/2 of five and 20/3 of four: s² = 1/2 + 5/3, df = s⁴ / (1/16 + 25/27), t = 2/s.
#[test]
fn independent_samples_are_compared_as_welch_has_it() {
    let (first, second) = ([1.0, 2.0, 3.0, 4.0, 5.0], [2.0, 4.0, 6.0, 8.0]);
    let result = unpaired(&first, &second, 0.95).unwrap();
    let (square, df): (f64, f64) = (13.0 / 6.0, (169.0 / 36.0) / (1.0 / 16.0 + 25.0 / 27.0));
    assert!((df - 4.7494).abs() < 1e-4);
    assert_eq!(result.difference.estimate, 2.0);
    let half_width = t_quantile(0.975, df) * square.sqrt();
    assert!((result.difference.half_width - half_width).abs() < 1e-12);
    let p = 2.0 * t_tail(2.0 / square.sqrt(), df);
    assert!(
        (result.p - p).abs() < 1e-12 && (0.2..0.25).contains(&p),
        "{p}"
    );
    // The other way round it is the same with the other sign.
    let back = unpaired(&second, &first, 0.95).unwrap();
    assert_eq!(back.difference.estimate, -2.0);
    assert!((back.p - result.p).abs() < 1e-12);
    // What never varies differs beyond doubt, or not at all.
    assert_eq!(
        unpaired(&[1.0, 1.0], &[1.0, 1.0, 1.0], 0.95).unwrap().p,
        1.0
    );
    let apart = unpaired(&[1.0, 1.0], &[2.0, 2.0], 0.95).unwrap();
    assert_eq!((apart.p, apart.difference.half_width), (0.0, 0.0));
    assert_eq!(unpaired(&[1.0], &[1.0, 2.0], 0.95), None);
}

/// The lady tasting tea: three of four cups of each kind are recognised (Fisher, The design of experiments, 1935): 2 · 17/70.
#[test]
fn shares_are_compared_as_fisher_has_it() {
    assert!((fisher([3, 1], [1, 3]) - 34.0 / 70.0).abs() < 1e-12);
    assert!((fisher([4, 0], [0, 4]) - 2.0 / 70.0).abs() < 1e-12);
    // All of ten against none of ten: two tables of 184,756.
    assert!((fisher([10, 0], [0, 10]) - 2.0 / 184_756.0).abs() < 1e-12);
    assert!((fisher([0, 10], [0, 10]) - 1.0).abs() < 1e-9);
    assert!((fisher([5, 5], [5, 5]) - 1.0).abs() < 1e-9);
    assert_eq!(fisher([0, 0], [3, 4]), 1.0);
}

/// p = 0.01, 0.04, 0.03, 0.005 in four tests: 4·0.005, 3·0.01, 2·0.03, and 0.04 raised to the one before it.
#[test]
fn holm_corrects_a_worked_example() {
    let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
    for (found, exact) in adjusted.into_iter().zip([0.03, 0.06, 0.06, 0.02]) {
        assert!((found - exact).abs() < 1e-12, "{found} instead of {exact}");
    }
    assert_eq!(holm(&[0.6, 0.7]), [1.0, 1.0]);
    assert!(holm(&[]).is_empty());
}

#[test]
fn welchs_average_reaches_as_far_as_there_are_neighbours() {
    let runs = [vec![0.0, 2.0, 4.0, 6.0, 9.0], vec![2.0, 4.0, 6.0, 8.0]];
    let mean = mean_series(&runs);
    assert_eq!(mean, [1.0, 3.0, 5.0, 7.0]);
    assert_eq!(moving_average(&mean, 0), mean);
    // Alone, with one neighbour on each side, and the last has none after it.
    assert_eq!(moving_average(&[1.0, 4.0, 7.0, 1.0], 1), [1.0, 4.0, 4.0]);
    assert!(moving_average(&mean, 4).is_empty());
    assert!(mean_series(&[]).is_empty());
}

fn each_five_times(batches: &[f64]) -> Vec<f64> {
    batches.iter().flat_map(|value| [*value; 5]).collect()
}

fn series(length: std::ops::Range<usize>) -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec((0_u32..1_000).prop_map(f64::from), length)
}

proptest! {
    #[test]
    fn mser5_is_its_definition(values in series(0..200)) {
        // Errors within rounding of each other may order differently: then the cuts are equally good.
        let (found, defined) = (mser5(&values), mser5_by_definition(&values));
        if values.len() < 50 {
            prop_assert_eq!(found, None);
        } else if found != defined {
            let doubled: Vec<f64> = values.iter().map(|value| value * 2.0).collect();
            prop_assert_eq!(mser5(&doubled), found, "{:?} against {:?}", found, defined);
        }
    }

    /// Shift and scale move an interval as they move the values.
    #[test]
    fn intervals_follow_their_values(values in series(2..30), shift in -1e3_f64..1e3, scale in 0.1_f64..10.0) {
        let plain = Interval::of_mean(&values, 0.95).unwrap();
        let moved: Vec<f64> = values.iter().map(|value| value * scale + shift).collect();
        let moved = Interval::of_mean(&moved, 0.95).unwrap();
        prop_assert!((moved.estimate - (plain.estimate * scale + shift)).abs() < 1e-6);
        prop_assert!((moved.half_width - plain.half_width * scale).abs() < 1e-6);
        let wider = Interval::of_mean(&values, 0.99).unwrap();
        prop_assert!(wider.half_width >= plain.half_width);
    }

    #[test]
    fn quantiles_and_tails_are_inverses(p in 0.000_1_f64..0.999_9, df in 0.5_f64..2_000.0) {
        prop_assert!((1.0 - t_tail(t_quantile(p, df), df) - p).abs() < 1e-10);
        prop_assert!((normal_cdf(normal_quantile(p)) - p).abs() < 1e-12);
    }

    /// Tails are heavier the fewer degrees of freedom there are.
    #[test]
    fn few_degrees_of_freedom_make_wide_intervals(p in 0.51_f64..0.999, df in 1.0_f64..1_000.0) {
        prop_assert!(t_quantile(p, df) > t_quantile(p, df * 1.5));
        prop_assert!(t_quantile(p, df) > normal_quantile(p));
    }

    /// Adjusted values keep the order, are no smaller than they were, and no larger than Bonferroni's.
    #[test]
    fn holm_lies_between_no_correction_and_bonferroni(p in prop::collection::vec(0.0_f64..1.0, 1..12)) {
        let adjusted = holm(&p);
        for (index, (&plain, &fixed)) in p.iter().zip(&adjusted).enumerate() {
            prop_assert!(plain <= fixed && fixed <= (plain * p.len() as f64).min(1.0));
            for (other, &theirs) in p.iter().enumerate() {
                prop_assert!(plain > theirs || adjusted[index] <= adjusted[other]);
            }
        }
    }

    #[test]
    fn comparing_the_other_way_round_turns_the_sign(
        first in series(5..6),
        second in series(5..6),
    ) {
        let (there, back) = (paired(&first, &second, 0.9), paired(&second, &first, 0.9));
        let (there, back) = (there.unwrap(), back.unwrap());
        prop_assert!((there.difference.estimate + back.difference.estimate).abs() < 1e-9);
        prop_assert!((there.p - back.p).abs() < 1e-9);
        prop_assert!((0.0..=1.0).contains(&there.p));
    }

    /// As many parallel workers as there are: the answer depends on the values up to it only.
    #[test]
    fn stopping_depends_on_no_later_replication(values in series(10..40), noise in series(10..40)) {
        let precision = Precision { relative: 0.3, ..Precision::default() };
        if let Some(enough) = precision.reached(&[&values]) {
            let mut other = values[..enough].to_vec();
            other.extend(&noise);
            prop_assert_eq!(precision.reached(&[&other]), Some(enough));
        }
    }
}
