//! Statistics of simulation output: pure functions over figures, the same on every platform.
//!
//! Runs with different seeds are independent, what happens within one is not: intervals are taken over runs (replications), or over long
//! batches of one run. What is written as formulas in the literature is written here in that order, with its source:
//!
//! - Law: A. M. Law, Simulation Modeling and Analysis, 5th edition, McGraw-Hill 2015.
//! - A&S: M. Abramowitz and I. A. Stegun, Handbook of Mathematical Functions, 1964.
//! - DLMF: NIST Digital Library of Mathematical Functions, <https://dlmf.nist.gov>.

mod batch;
mod compare;
mod distribution;
mod interval;
mod mser;
mod share;
mod stopping;
mod welch;

pub use batch::{autocorrelation, batch_means};
pub use compare::{Compared, holm, paired, unpaired};
pub use distribution::{normal_cdf, normal_quantile, t_quantile, t_tail};
pub use interval::Interval;
pub use mser::mser5;
pub use share::share_of_all;
pub use stopping::Precision;
pub use welch::{mean_series, moving_average};
