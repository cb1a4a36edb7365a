//! The gamma distribution's quantiles.

use crate::normal::normal_quantile;

/// The quantile of `p` in (0, 1) of the gamma distribution with this shape and scale 1, to about 1 part in 10^10; from shape
/// 10^4 on, where the distribution is almost normal, to about 1 part in 10^6.
///
/// Halley's method on the incomplete gamma function, from Wilson and Hilferty's approximation or (up to shape 1) from the
/// leading term: Press et al., Numerical Recipes, 3rd ed., 6.2.1.
pub(crate) fn gamma_quantile(p: f64, shape: f64) -> f64 {
    if p <= 0.0 {
        return 0.0;
    }
    if p >= 1.0 {
        return f64::INFINITY;
    }
    if shape >= ALMOST_NORMAL {
        return wilson_hilferty(p, shape);
    }
    let mut x = if shape > 1.0 {
        wilson_hilferty(p, shape).max(1e-3 * shape)
    } else {
        let split = 1.0 - shape * (0.253 + shape * 0.12);
        if p < split {
            libm::pow(p / split, 1.0 / shape)
        } else {
            1.0 - libm::log1p(-(p - split) / (1.0 - split))
        }
    };
    let log_gamma = libm::lgamma(shape);
    for _ in 0..STEPS {
        if x <= 0.0 {
            return 0.0;
        }
        let error = lower_gamma(shape, x, log_gamma) - p;
        let density = libm::exp((shape - 1.0) * libm::log(x) - x - log_gamma);
        if density <= 0.0 || !density.is_finite() {
            break;
        }
        let newton = error / density;
        let step = newton / (1.0 - 0.5 * (newton * ((shape - 1.0) / x - 1.0)).min(1.0));
        x = if step >= x { x / 2.0 } else { x - step };
        if step.abs() < 1e-11 * x {
            break;
        }
    }
    x
}

/// E. B. Wilson, M. M. Hilferty: The distribution of chi-square, PNAS 17 (1931) 684–688.
fn wilson_hilferty(p: f64, shape: f64) -> f64 {
    let ninth = 1.0 / (9.0 * shape);
    let root = (1.0 - ninth + normal_quantile(p) * ninth.sqrt()).max(0.0);
    shape * root * root * root
}

/// The regularised incomplete gamma function P(a, x): a series below a + 1, a continued fraction (modified Lentz) above.
fn lower_gamma(a: f64, x: f64, log_gamma: f64) -> f64 {
    let factor = libm::exp(a * libm::log(x) - x - log_gamma);
    if x < a + 1.0 {
        let (mut term, mut sum, mut n) = (1.0 / a, 1.0 / a, a);
        for _ in 0..TERMS {
            n += 1.0;
            term *= x / n;
            sum += term;
            if term < sum * 1e-16 {
                break;
            }
        }
        return factor * sum;
    }
    let mut b = x + 1.0 - a;
    let mut c = 1.0 / 1e-300;
    let mut d = 1.0 / b;
    let mut fraction = d;
    for n in 1..TERMS {
        let n = f64::from(n);
        let an = -n * (n - a);
        b += 2.0;
        d = 1.0 / nonzero(an * d + b);
        c = nonzero(b + an / c);
        fraction *= d * c;
        if (d * c - 1.0).abs() < 1e-15 {
            break;
        }
    }
    1.0 - factor * fraction
}

fn nonzero(value: f64) -> f64 {
    if value.abs() < 1e-300 { 1e-300 } else { value }
}

/// From this shape on the normal approximation of the cube root is as good as it needs to be.
const ALMOST_NORMAL: f64 = 1e4;

/// Halley's method doubles the digits at least: a dozen steps are plenty.
const STEPS: u32 = 16;

/// The series and the fraction need a few times the root of the shape.
const TERMS: u32 = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// P(k, x) = 1 - e^-x Σ x^i / i! for a whole shape.
    fn erlang(k: u32, x: f64) -> f64 {
        let (mut term, mut sum) = (1.0, 1.0);
        for i in 1..k {
            term *= x / f64::from(i);
            sum += term;
        }
        1.0 - libm::exp(-x) * sum
    }

    #[test]
    fn quantiles_of_whole_and_half_shapes_are_the_closed_ones() {
        for p in [
            0.001,
            0.01,
            0.1,
            0.25,
            0.5,
            0.75,
            0.9,
            0.99,
            0.999,
            1.0 - 1e-6,
        ] {
            let exponential = -libm::log1p(-p);
            let ours = gamma_quantile(p, 1.0);
            assert!((ours / exponential - 1.0).abs() < 1e-9, "{p}: {ours}");
            for k in [2, 4, 25, 100] {
                let x = gamma_quantile(p, f64::from(k));
                assert!((erlang(k, x) - p).abs() < 1e-10, "{k}, {p}: {x}");
            }
            // Shape 1/2 is half the square of a normal variable.
            let normal = normal_quantile((1.0 + p) / 2.0);
            let ours = gamma_quantile(p, 0.5);
            assert!(
                (ours / (normal * normal / 2.0) - 1.0).abs() < 1e-8,
                "{p}: {ours}"
            );
        }
    }

    #[test]
    fn quantiles_grow_with_p_for_all_shapes() {
        for shape in [1e-3, 0.01, 0.1, 0.7, 1.0, 3.3, 50.0, 9_999.0, 10_001.0, 1e8] {
            let mut last = 0.0;
            for k in 1..1000 {
                let x = gamma_quantile(f64::from(k) / 1000.0, shape);
                assert!(x >= last && x.is_finite(), "{shape}, {k}: {x} after {last}");
                last = x;
            }
        }
    }

    #[test]
    fn the_two_methods_meet() {
        for p in [0.01, 0.3, 0.5, 0.9, 0.999] {
            let (below, above) = (
                gamma_quantile(p, ALMOST_NORMAL - 1e-6),
                gamma_quantile(p, ALMOST_NORMAL),
            );
            assert!((below / above - 1.0).abs() < 1e-6, "{p}: {below} {above}");
        }
    }
}
