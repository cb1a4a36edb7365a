//! The normal distribution and Student's t. Only `libm` computes here: the last digits of a platform's own functions differ.

use std::f64::consts::SQRT_2;

/// P(Z ≤ x) of the standard normal distribution: ½ erfc(−x/√2) (A&S 7.1.22, 26.2.29).
pub fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x / SQRT_2)
}

/// The x with P(Z ≤ x) = p of the standard normal distribution; infinite for 0 and 1, not a number outside.
pub fn normal_quantile(p: f64) -> f64 {
    quantile(p, |x| normal_cdf(-x))
}

/// P(T > t) of Student's t with `df` degrees of freedom (more than 0, need not be whole): with x = df/(df + t²) it is ½ Iₓ(df/2, ½) for
/// t ≥ 0 (A&S 26.5.27, 26.7.1). From a million degrees on the normal distribution stands in: quantiles are then the same in five figures.
pub fn t_tail(t: f64, df: f64) -> f64 {
    if t < 0.0 {
        return 1.0 - t_tail(-t, df);
    }
    if df >= NORMAL_FROM {
        return normal_cdf(-t);
    }
    let square = t * t;
    if square.is_infinite() {
        return 0.0;
    }
    0.5 * beta(df / (df + square), square / (df + square), df / 2.0, 0.5)
}

/// The t with P(T ≤ t) = p of Student's t with `df` degrees of freedom; infinite for 0 and 1, not a number outside or without degrees of
/// freedom.
pub fn t_quantile(p: f64, df: f64) -> f64 {
    if df > 0.0 {
        quantile(p, |t| t_tail(t, df))
    } else {
        f64::NAN
    }
}

/// The quantile `p` of a distribution that is symmetric about 0, by bisection to the last digit of its upper tail.
fn quantile(p: f64, tail: impl Fn(f64) -> f64) -> f64 {
    match p {
        0.5 => return 0.0,
        0.0 => return f64::NEG_INFINITY,
        1.0 => return f64::INFINITY,
        _ if p > 0.0 && p < 0.5 => return -upper(p, tail),
        _ if p > 0.5 && p < 1.0 => {}
        _ => return f64::NAN,
    }
    upper(1.0 - p, tail)
}

/// The x > 0 that a share `above` < ½ is above.
fn upper(above: f64, tail: impl Fn(f64) -> f64) -> f64 {
    let mut high = 1.0;
    while tail(high) > above && high < f64::MAX / 2.0 {
        high *= 2.0;
    }
    let mut low = if high > 1.0 { high / 2.0 } else { 0.0 };
    loop {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            return middle;
        }
        if tail(middle) > above {
            low = middle;
        } else {
            high = middle;
        }
    }
}

/// The regularised incomplete beta function Iₓ(a, b), with y = 1 − x given too, so that neither end loses digits: the continued fraction of
/// DLMF 8.17.22, from the side where it converges quickly (DLMF 8.17.4).
fn beta(x: f64, y: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if y <= 0.0 {
        return 1.0;
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - beta(y, x, b, a);
    }
    // The smaller of x and y carries the digits that the logarithm needs.
    let log = |value: f64, other: f64| match value < 0.5 {
        true => libm::log(value),
        false => libm::log1p(-other),
    };
    let scale = libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b);
    let front = libm::exp(scale + a * log(x, y) + b * log(y, x)) / a;
    front / fraction(x, a, b)
}

/// 1 + d₁/(1 + d₂/(1 + …)) with d₂ₘ = m(b−m)x/((a+2m−1)(a+2m)) and d₂ₘ₊₁ = −(a+m)(a+b+m)x/((a+2m)(a+2m+1)), by the method of Lentz
/// (Applied Optics 15, 1976) as modified by Thompson and Barnett.
fn fraction(x: f64, a: f64, b: f64) -> f64 {
    let apart = |value: f64| if value.abs() < TINY { TINY } else { value };
    let term = |index: u32| {
        let m = f64::from(index / 2);
        match index % 2 {
            0 => m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m)),
            _ => -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0)),
        }
    };
    let (mut value, mut numerator, mut denominator) = (1.0, 1.0, 0.0);
    for index in 1..=TERMS_MAX {
        let d = term(index);
        denominator = 1.0 / apart(1.0 + d * denominator);
        numerator = apart(1.0 + d / numerator);
        let factor = numerator * denominator;
        value *= factor;
        if (factor - 1.0).abs() < f64::EPSILON {
            break;
        }
    }
    value
}

/// Degrees of freedom that are as good as infinite.
const NORMAL_FROM: f64 = 1e6;

/// It converges after about √df terms.
const TERMS_MAX: u32 = 20_000;

/// In place of a zero by which the fraction would divide.
const TINY: f64 = 1e-300;
