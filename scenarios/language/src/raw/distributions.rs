//! Distributions of times.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::shape::{At, Count, Duration, Number, shapes};

shapes! {
    /// A distribution of times: a duration (always the same) or a table.
    RawDistribution, "a duration such as \"20ms\", or a table such as { dist = \"exponential\", mean = \"20ms\" }",
    Text(Duration), Table(DistributionTable)
}

/// A distribution of times, by quantities that a person knows.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DistributionTable")]
pub(crate) struct DistributionTable {
    /// Its shape; absent with `median` and `p99`: lognormal.
    pub(crate) dist: Option<At<DistributionKind>>,
    /// Of "constant".
    pub(crate) value: Option<At<Duration>>,
    /// Of "exponential", "erlang", "gamma", "hyperexponential", "pareto", "weibull", and of "lognormal" with `cv`.
    pub(crate) mean: Option<At<Duration>>,
    /// Of "erlang": how many exponential stages.
    pub(crate) k: Option<At<Count>>,
    /// Of "lognormal".
    pub(crate) median: Option<At<Duration>>,
    /// Of "lognormal": the 99 % quantile.
    pub(crate) p99: Option<At<Duration>>,
    /// Of "uniform".
    pub(crate) min: Option<At<Duration>>,
    /// Of "uniform".
    pub(crate) max: Option<At<Duration>>,
    /// Of "gamma", "hyperexponential" and "lognormal": the coefficient of variation, standard deviation over mean.
    pub(crate) cv: Option<At<Number>>,
    /// Of "pareto": the tail index, above 1; the smaller, the heavier.
    pub(crate) alpha: Option<At<Number>>,
    /// Of "weibull": below 1 heavier than exponential, above 1 lighter.
    pub(crate) shape: Option<At<Number>>,
    /// Of "triangular": the lowest.
    pub(crate) low: Option<At<Duration>>,
    /// Of "triangular": the most likely.
    pub(crate) mode: Option<At<Duration>>,
    /// Of "triangular": the highest.
    pub(crate) high: Option<At<Duration>>,
    /// Of "empirical": the values, each with its weight.
    pub(crate) values: Option<At<Vec<RawTimeValue>>>,
}

shapes! {
    /// A value of an empirical distribution: a duration, or a table with a weight.
    RawTimeValue, "a duration such as \"1ms\", or a table such as { value = \"1ms\", weight = 3 }",
    Text(Duration), Table(TimeValueTable)
}

/// A time and its weight.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TimeValue")]
pub(crate) struct TimeValueTable {
    /// The time.
    pub(crate) value: Duration,
    /// How often, in proportion. Default 1.
    pub(crate) weight: Option<At<Number>>,
}

/// The shape of a distribution.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DistributionKind {
    /// Always the same: `value`.
    Constant,
    /// Memoryless: `mean`.
    Exponential,
    /// The sum of `k` exponentials: `mean`, `k`.
    Erlang,
    /// Skewed, as most times are: `median`, `p99`, or `mean`, `cv`.
    Lognormal,
    /// Evenly between `min` and `max`.
    Uniform,
    /// `mean`, `cv`: erlang for any coefficient of variation.
    Gamma,
    /// Now short, now long: `mean`, `cv` of 1 or more.
    Hyperexponential,
    /// With a heavy tail: `mean`, `alpha`.
    Pareto,
    /// `mean`, `shape`.
    Weibull,
    /// `low`, `mode`, `high`.
    Triangular,
    /// As measured: `values`.
    Empirical,
}
