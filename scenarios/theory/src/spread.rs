//! How evenly hashing spreads keys over servers. Everything here is a number or a share.

use crate::numeric::{integral, quantile, root};

/// A ring with `points` points for each of `servers`: a server's share is Beta(V, V (S − 1)) (spacings of uniform points; Lamping, Veach 2014
/// measure it). The coefficient of variation of the share.
pub fn ring_cv(servers: u32, points: u32) -> f64 {
    let (servers, points) = (f64::from(servers), f64::from(points));
    ((servers - 1.0) / (points * servers + 1.0)).sqrt()
}

/// The quantile `p` of a server's share over the mean share.
pub fn ring_quantile(servers: u32, points: u32, p: f64) -> f64 {
    let (a, b) = (
        f64::from(points),
        f64::from(points) * (f64::from(servers) - 1.0),
    );
    f64::from(servers) * root(0.0, 1.0, |x| beta_below(a, b, x) - p)
}

/// The expected share of the busiest server over the mean share: gamma variables over their sum.
pub fn ring_busiest(servers: u32, points: u32) -> f64 {
    let shape = f64::from(points);
    let most = quantile(1.0 - 1e-14, shape, |x| 1.0 - gamma_below(shape, x));
    let none_above =
        |x: f64| -libm::expm1(f64::from(servers) * libm::log(gamma_below(shape, x).max(1e-300)));
    integral(0.0, most, 4_000, none_above) / shape
}

/// The expected fullest of `bins` after `balls` thrown at random, exactly: Poisson variables given their sum.
pub fn balls_in_bins(balls: u32, bins: u32) -> f64 {
    let (m, n) = (f64::from(balls), f64::from(bins));
    let mean = m / n;
    // The sum's distribution by its Fourier transform on enough points that nothing folds back.
    let points = (40.0 * m.sqrt()) as usize + 100;
    let turn = core::f64::consts::TAU / points as f64;
    let mut transform = vec![(0.0, 0.0); points];
    let log_sum = m * libm::log(m) - m - libm::lgamma(m + 1.0);
    // Ten standard deviations around the mean; below, no bin is the fullest, above, none is.
    let reach = 10.0 * mean.sqrt();
    let mut count = (mean - reach).max(0.0) as u32;
    let (mut expected, last) = (f64::from(count), (mean + reach + 40.0) as u32);
    while count <= last.min(balls) {
        let own = crate::numeric::poisson(mean, u64::from(count));
        for (at, value) in transform.iter_mut().enumerate() {
            let angle = turn * ((at as u64 * u64::from(count)) % points as u64) as f64;
            let (sin, cos) = libm::sincos(angle);
            *value = (value.0 + own * cos, value.1 + own * sin);
        }
        let below = if f64::from(count) * n < m {
            0.0
        } else {
            all_at_most(&transform, m, n, turn) / libm::exp(log_sum)
        };
        expected += 1.0 - below.clamp(0.0, 1.0);
        count += 1;
    }
    expected
}

/// P(all bins are within the transform's reach, and their sum is m).
fn all_at_most(transform: &[(f64, f64)], m: f64, n: f64, turn: f64) -> f64 {
    let term = |(at, (re, im)): (usize, &(f64, f64))| {
        let size = re * re + im * im;
        if size < 1e-300 {
            return 0.0;
        }
        let angle = n * libm::atan2(*im, *re) - m * turn * at as f64;
        libm::exp(n / 2.0 * libm::log(size)) * libm::cos(angle)
    };
    transform.iter().enumerate().map(term).sum::<f64>() / transform.len() as f64
}

/// The most keys that a server takes of `keys` over `servers` with bounded loads: ⌈(1 + ε) m / n⌉ (Mirrokni, Thorup, Zadimoghaddam 2018).
pub fn bounded_load(keys: u64, servers: u64, epsilon: f64) -> u64 {
    ((1.0 + epsilon) * keys as f64 / servers as f64 - 1e-9).ceil() as u64
}

/// The share of keys that move when a server joins `servers`, with a consistent hash (jump, rendezvous, ring: all that the newcomer gets).
pub fn moved_consistent(servers: u32) -> f64 {
    1.0 / (f64::from(servers) + 1.0)
}

/// The share of keys that move when a server joins `servers` and keys go by remainder.
pub fn moved_modulo(servers: u32) -> f64 {
    let next = servers + 1;
    // k mod S and k mod (S + 1) agree on S of S (S + 1) residues, as the two have no common divisor.
    1.0 - 1.0 / f64::from(next)
}

/// The regularised incomplete beta function, by its continued fraction (Lentz).
fn beta_below(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - beta_below(b, a, 1.0 - x);
    }
    let front = libm::exp(
        a * libm::log(x) + b * libm::log1p(-x) + libm::lgamma(a + b)
            - libm::lgamma(a)
            - libm::lgamma(b),
    );
    let (mut c, mut d) = (1.0, 1.0 / (1.0 - (a + b) * x / (a + 1.0)));
    let mut fraction = d;
    for m in 1..10_000 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / (1.0 + even * d);
        c = 1.0 + even / c;
        fraction *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / (1.0 + odd * d);
        c = 1.0 + odd / c;
        let step = d * c;
        fraction *= step;
        if (step - 1.0).abs() < 1e-15 {
            break;
        }
    }
    front * fraction / a
}

/// The regularised lower incomplete gamma function, by its series.
fn gamma_below(shape: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    let (mut term, mut sum, mut at) = (1.0 / shape, 1.0 / shape, shape);
    while term > sum * 1e-17 {
        at += 1.0;
        term *= x / at;
        sum += term;
    }
    (sum * libm::exp(shape * libm::log(x) - x - libm::lgamma(shape))).min(1.0)
}
