//! Distributions of times.

use std::sync::Arc;

use queuelab_core::Span;

use super::Check;
use crate::error::Problem;
use crate::raw::{DistributionKind, DistributionTable, RawDistribution, RawTimeValue};
use crate::scenario::{Distribution, NORMAL_P99};
use crate::shape::{At, Duration, Number};

/// A distribution, or no time at all where none is given.
pub(super) fn distribution_or_zero(
    check: &mut Check<'_>,
    raw: &Option<At<RawDistribution>>,
) -> Distribution {
    raw.as_ref()
        .map_or(Distribution::Constant(Span::ZERO), |given| {
            distribution(check, given)
        })
}

/// A distribution whose mean is above zero.
pub(super) fn some_time(
    check: &mut Check<'_>,
    key: &str,
    raw: &At<RawDistribution>,
) -> Distribution {
    let problems = check.problems.len();
    let distribution = distribution(check, raw);
    if problems == check.problems.len() && distribution.mean() <= 0.0 {
        check.push(Problem::new(
            raw.span.clone(),
            format!("`{key}` must take time"),
        ));
    }
    distribution
}

pub(super) fn distribution(check: &mut Check<'_>, raw: &At<RawDistribution>) -> Distribution {
    let table = match &raw.value {
        RawDistribution::Text(Duration(span)) => return Distribution::Constant(*span),
        RawDistribution::Table(table) => table,
    };
    let Some(kind) = kind_of(table) else {
        check.push(
            Problem::new(raw.span.clone(), "the distribution has no `dist`").help(
                "write dist = \"constant\", \"exponential\", \"erlang\", \"lognormal\", \"uniform\", \"gamma\", \"hyperexponential\", \"pareto\", \"weibull\", \"triangular\" or \"empirical\"",
            ),
        );
        return Distribution::Constant(Span::ZERO);
    };
    if !keys_fit(check, raw, table, kind) {
        return Distribution::Constant(Span::ZERO);
    }
    let span =
        |given: &Option<At<Duration>>| given.as_ref().map_or(Span::ZERO, |given| given.value.0);
    let mut refuse = |message: &str| check.push(Problem::new(raw.span.clone(), message));
    let mean = span(&table.mean);
    match kind {
        DistributionKind::Constant => Distribution::Constant(span(&table.value)),
        DistributionKind::Exponential => Distribution::Exponential(mean),
        DistributionKind::Erlang => Distribution::Erlang {
            mean,
            k: check.count32("k", &table.k, 1, 1..=1_000),
        },
        DistributionKind::Lognormal if table.cv.is_some() => {
            let cv = above_zero(check, "cv", &table.cv, 0.01..=100.0);
            lognormal(check, raw, mean, cv)
        }
        DistributionKind::Lognormal => {
            let (median, p99) = (span(&table.median), span(&table.p99));
            if median.is_zero() || median >= p99 {
                refuse("`median` must be above 0 and below `p99`");
            }
            Distribution::Lognormal { median, p99 }
        }
        DistributionKind::Uniform => {
            let (min, max) = (span(&table.min), span(&table.max));
            if min > max {
                refuse("`min` is above `max`");
            }
            Distribution::Uniform(min, max)
        }
        DistributionKind::Gamma => Distribution::Gamma {
            mean,
            cv: above_zero(check, "cv", &table.cv, 0.01..=100.0),
        },
        DistributionKind::Hyperexponential => Distribution::Hyperexponential {
            mean,
            cv: hyperexponential_cv(check, &table.cv),
        },
        DistributionKind::Pareto => Distribution::Pareto {
            mean,
            alpha: tail_index(check, &table.alpha, 2.0),
        },
        DistributionKind::Weibull => Distribution::Weibull {
            mean,
            shape: above_zero(check, "shape", &table.shape, 0.1..=100.0),
        },
        DistributionKind::Triangular => {
            let (low, mode, high) = (span(&table.low), span(&table.mode), span(&table.high));
            if low > mode || mode > high {
                refuse("`mode` must lie between `low` and `high`");
            }
            Distribution::Triangular { low, mode, high }
        }
        DistributionKind::Empirical => empirical(check, raw, table),
    }
}

/// Every key that the distribution needs is there, and no other.
fn keys_fit(
    check: &mut Check<'_>,
    raw: &At<RawDistribution>,
    table: &DistributionTable,
    kind: DistributionKind,
) -> bool {
    use DistributionKind::{
        Constant, Empirical, Erlang, Exponential, Gamma, Hyperexponential, Lognormal, Pareto,
        Triangular, Uniform, Weibull,
    };
    fn place<T>(given: &Option<At<T>>) -> Option<std::ops::Range<usize>> {
        given.as_ref().map(|given| given.span.clone())
    }
    let by_mean = kind != Lognormal || table.mean.is_some() || table.cv.is_some();
    let lognormal = &[Lognormal][..];
    let none = &[][..];
    let means: &[_] = &[
        Exponential,
        Erlang,
        Gamma,
        Hyperexponential,
        Pareto,
        Weibull,
        Lognormal,
    ];
    type Key<'k> = (
        &'k str,
        Option<std::ops::Range<usize>>,
        &'k [DistributionKind],
    );
    let keys: [Key<'_>; 14] = [
        ("value", place(&table.value), &[Constant]),
        (
            "mean",
            place(&table.mean),
            if by_mean { means } else { &means[..6] },
        ),
        ("k", place(&table.k), &[Erlang]),
        (
            "median",
            place(&table.median),
            if by_mean { none } else { lognormal },
        ),
        (
            "p99",
            place(&table.p99),
            if by_mean { none } else { lognormal },
        ),
        ("min", place(&table.min), &[Uniform]),
        ("max", place(&table.max), &[Uniform]),
        (
            "cv",
            place(&table.cv),
            if by_mean {
                &[Gamma, Hyperexponential, Lognormal]
            } else {
                &[Gamma, Hyperexponential]
            },
        ),
        ("alpha", place(&table.alpha), &[Pareto]),
        ("shape", place(&table.shape), &[Weibull]),
        ("low", place(&table.low), &[Triangular]),
        ("mode", place(&table.mode), &[Triangular]),
        ("high", place(&table.high), &[Triangular]),
        ("values", place(&table.values), &[Empirical]),
    ];
    let mut complete = true;
    for (key, given, owners) in keys {
        let (span, message) = match given {
            Some(span) if !owners.contains(&kind) => (
                span,
                format!("`{key}` does not belong to this distribution"),
            ),
            None if owners.contains(&kind) => {
                complete = false;
                (raw.span.clone(), format!("the distribution has no `{key}`"))
            }
            _ => continue,
        };
        check.push(Problem::new(span, message).help(format!("it takes {}", parameters(kind))));
    }
    complete
}

/// By mean and coefficient of variation: σ² = ln(1 + cv²), median = mean / √(1 + cv²).
fn lognormal(
    check: &mut Check<'_>,
    raw: &At<RawDistribution>,
    mean: Span,
    cv: f64,
) -> Distribution {
    let spread = 1.0 + cv * cv;
    let median = mean.0 as f64 / spread.sqrt();
    let p99 = median * libm::exp(NORMAL_P99 * libm::log(spread).sqrt());
    let (median, p99) = (Span(median.round() as u64), Span(p99.round() as u64));
    if median.is_zero() || median >= p99 || p99 > crate::units::LONGEST {
        check.push(Problem::new(
            raw.span.clone(),
            "a lognormal distribution with this `mean` and `cv` is out of range",
        ));
    }
    Distribution::Lognormal { median, p99 }
}

fn above_zero(
    check: &mut Check<'_>,
    key: &str,
    given: &Option<At<Number>>,
    range: std::ops::RangeInclusive<f64>,
) -> f64 {
    check.number(key, given, 1.0, range)
}

fn hyperexponential_cv(check: &mut Check<'_>, given: &Option<At<Number>>) -> f64 {
    if let Some(given) = given
        && given.value.0 < 1.0
    {
        let problem = Problem::new(
            given.span.clone(),
            "the `cv` of a hyperexponential distribution is 1 or more",
        );
        check.push(problem.help("below 1 write dist = \"gamma\" or \"erlang\""));
        return 1.0;
    }
    check.number("cv", given, 1.0, 1.0..=1_000.0)
}

/// Above 1, so that there is a mean.
pub(super) fn tail_index(check: &mut Check<'_>, given: &Option<At<Number>>, default: f64) -> f64 {
    if let Some(given) = given
        && given.value.0 <= 1.0
    {
        let problem = Problem::new(
            given.span.clone(),
            "with an `alpha` of 1 or less a Pareto distribution has no mean",
        );
        check.push(problem.help("write 1.5 for a heavy tail, 3 for a light one"));
        return default;
    }
    check.number("alpha", given, default, 1.001..=1_000.0)
}

fn empirical(
    check: &mut Check<'_>,
    raw: &At<RawDistribution>,
    table: &DistributionTable,
) -> Distribution {
    let values = table
        .values
        .as_ref()
        .map_or(&[][..], |values| &values.value);
    if values.is_empty() || values.len() > MOST_VALUES {
        check.push(Problem::new(
            raw.span.clone(),
            "a list of `values` has 1 to 10_000 entries",
        ));
        return Distribution::Constant(Span::ZERO);
    }
    let value = |value: &RawTimeValue| match value {
        RawTimeValue::Text(Duration(span)) => (*span, 1.0),
        RawTimeValue::Table(table) => (table.value.0, check.weight(&table.weight)),
    };
    let values: Arc<[(Span, f64)]> = values.iter().map(value).collect();
    Distribution::Empirical(values)
}

fn kind_of(table: &DistributionTable) -> Option<DistributionKind> {
    match &table.dist {
        Some(kind) => Some(kind.value),
        None if table.median.is_some() && table.p99.is_some() => Some(DistributionKind::Lognormal),
        None => None,
    }
}

fn parameters(kind: DistributionKind) -> &'static str {
    match kind {
        DistributionKind::Constant => "`value`",
        DistributionKind::Exponential => "`mean`",
        DistributionKind::Erlang => "`mean` and `k`, the number of stages",
        DistributionKind::Lognormal => "`median` and `p99`, or `mean` and `cv`",
        DistributionKind::Uniform => "`min` and `max`",
        DistributionKind::Gamma | DistributionKind::Hyperexponential => "`mean` and `cv`",
        DistributionKind::Pareto => "`mean` and `alpha`",
        DistributionKind::Weibull => "`mean` and `shape`",
        DistributionKind::Triangular => "`low`, `mode` and `high`",
        DistributionKind::Empirical => "`values`",
    }
}

/// Most values of an empirical distribution.
pub(super) const MOST_VALUES: usize = 10_000;
