//! Queues whose services or gaps are not exponential.
//!
//! Times are in seconds, rates per second. G&H is Gross, Shortle, Thompson, Harris, *Fundamentals of Queueing Theory*, 4th edition.

use queuelab_scenario::{Distribution, NORMAL_P99};

use crate::markov::erlang_c;
use crate::numeric::{integral, poisson, poisson_at_least, power, quantile, root};

/// Mean, variance and third central moment of a time: those of independent parts add up. In s, s², s³; infinite where they don't exist.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    /// E\[S\].
    pub mean: f64,
    /// Var\[S\].
    pub variance: f64,
    /// E\[(S − E\[S\])³\].
    pub third: f64,
}

impl Moments {
    /// From the moments about zero.
    pub fn raw(first: f64, second: f64, third: f64) -> Moments {
        Moments {
            mean: first,
            variance: (second - first * first).max(0.0),
            third: third - 3.0 * first * second + 2.0 * first * first * first,
        }
    }

    /// Those of a distribution.
    pub fn of(distribution: &Distribution) -> Moments {
        let mean = distribution.mean();
        let by_cv = |cv: f64, skewness: f64| {
            let deviation = cv * mean;
            Moments {
                mean,
                variance: deviation * deviation,
                third: skewness * deviation * deviation * deviation,
            }
        };
        match distribution {
            Distribution::Constant(_) => by_cv(0.0, 0.0),
            Distribution::Exponential(_) => by_cv(1.0, 2.0),
            Distribution::Erlang { k, .. } => {
                let cv = 1.0 / f64::from((*k).max(1)).sqrt();
                by_cv(cv, 2.0 * cv)
            }
            Distribution::Gamma { cv, .. } => by_cv(*cv, 2.0 * cv),
            Distribution::Lognormal { median, p99 } => {
                let sigma = libm::log(p99.as_secs_f64() / median.as_secs_f64()) / NORMAL_P99;
                let spread = libm::exp(sigma * sigma);
                by_cv(
                    (spread - 1.0).sqrt(),
                    (spread + 2.0) * (spread - 1.0).sqrt(),
                )
            }
            Distribution::Uniform(low, high) => {
                let width = high.as_secs_f64() - low.as_secs_f64();
                Moments {
                    mean,
                    variance: width * width / 12.0,
                    third: 0.0,
                }
            }
            Distribution::Hyperexponential { cv, .. } => {
                let (first, second) = balanced_means(mean, *cv);
                let moment = |n: i32, factorial: f64| -> f64 {
                    let of = |(p, rate): (f64, f64)| factorial * p / power(rate, n as u64);
                    of(first) + of(second)
                };
                Moments::raw(mean, moment(2, 2.0), moment(3, 6.0))
            }
            Distribution::Pareto { alpha, .. } => {
                let least = mean * (alpha - 1.0) / alpha;
                let moment = |n: f64| {
                    if *alpha > n {
                        alpha * libm::pow(least, n) / (alpha - n)
                    } else {
                        f64::INFINITY
                    }
                };
                infinite_or(moment(2.0), moment(3.0), mean)
            }
            Distribution::Weibull { shape, .. } => {
                let scale = mean / libm::tgamma(1.0 + 1.0 / shape);
                let moment = |n: f64| libm::pow(scale, n) * libm::tgamma(1.0 + n / shape);
                infinite_or(moment(2.0), moment(3.0), mean)
            }
            Distribution::Triangular { low, mode, high } => {
                let [a, c, b] = [low, mode, high].map(|span| span.as_secs_f64());
                Moments {
                    mean,
                    variance: (a * a + b * b + c * c - a * b - a * c - b * c) / 18.0,
                    third: (a + b - 2.0 * c) * (2.0 * a - b - c) * (a - 2.0 * b + c) / 270.0,
                }
            }
            Distribution::Empirical(values) => {
                let total: f64 = values.iter().map(|(_, weight)| weight).sum();
                let central = |n| -> f64 {
                    let term = |(value, weight): &(queuelab_scenario::Span, f64)| {
                        let off = value.as_secs_f64() - mean;
                        weight * if n == 2 { off * off } else { off * off * off }
                    };
                    values.iter().map(term).sum::<f64>() / total
                };
                Moments {
                    mean,
                    variance: central(2),
                    third: central(3),
                }
            }
        }
    }

    /// The sum of two independent times.
    pub fn plus(self, other: Moments) -> Moments {
        Moments {
            mean: self.mean + other.mean,
            variance: self.variance + other.variance,
            third: self.third + other.third,
        }
    }

    /// The squared coefficient of variation; 0 for a time of no length.
    pub fn cv2(self) -> f64 {
        if self.mean == 0.0 {
            0.0
        } else {
            self.variance / (self.mean * self.mean)
        }
    }

    /// E\[S²\].
    pub fn second(self) -> f64 {
        self.variance + self.mean * self.mean
    }

    /// E\[S³\].
    pub fn third_raw(self) -> f64 {
        self.third + 3.0 * self.mean * self.variance + self.mean * self.mean * self.mean
    }
}

fn infinite_or(second: f64, third: f64, mean: f64) -> Moments {
    let moments = Moments::raw(mean, second, third);
    Moments {
        third: if third.is_finite() {
            moments.third
        } else {
            f64::INFINITY
        },
        ..moments
    }
}

/// (probability, rate) of the two branches of a hyperexponential time with balanced means.
pub fn balanced_means(mean: f64, cv: f64) -> ((f64, f64), (f64, f64)) {
    let p = (1.0 + ((cv * cv - 1.0) / (cv * cv + 1.0)).sqrt()) / 2.0;
    ((p, 2.0 * p / mean), (1.0 - p, 2.0 * (1.0 - p) / mean))
}

/// M/G/1: the mean wait, by Pollaczek and Khinchine (G&H 5.1); `None` without a steady state.
pub fn mg1_wait(arrivals: f64, service: Moments) -> Option<f64> {
    let load = arrivals * service.mean;
    (load < 1.0).then(|| arrivals * service.second() / (2.0 * (1.0 - load)))
}

/// M/G/1: the variance of the wait, by Takács (1962); `None` without a steady state.
pub fn mg1_wait_variance(arrivals: f64, service: Moments) -> Option<f64> {
    let wait = mg1_wait(arrivals, service)?;
    let load = arrivals * service.mean;
    Some(wait * wait + arrivals * service.third_raw() / (3.0 * (1.0 - load)))
}

/// M/D/1: P(wait > t), by Franx' (2001) form of Erlang's (1909) distribution, in which nothing cancels.
pub fn md1_wait_tail(arrivals: f64, service: f64, t: f64) -> f64 {
    MD1::new(arrivals, service, t).tail(t)
}

/// M/D/1: the quantile `p` of the wait (Erlang 1909; Tijms, *A First Course in Stochastic Models*, 9.2); infinite without a steady state.
pub fn md1_wait_quantile(arrivals: f64, service: f64, p: f64) -> f64 {
    if arrivals * service >= 1.0 {
        return f64::INFINITY;
    }
    // Markov's inequality on the exponential bound e^{−η t} would do; twice the M/M/1 quantile is above and simpler.
    let most = 2.0 * service + 2.0 * service * -libm::log(1.0 - p) / (1.0 - arrivals * service);
    let table = MD1::new(arrivals, service, most);
    quantile(p, service, |t| table.tail(t.min(most)))
}

/// Cumulated probabilities of the number in an M/D/1, enough of them for waits up to a given one.
struct MD1 {
    arrivals: f64,
    service: f64,
    /// P(N ≤ n).
    up_to: Vec<f64>,
}

impl MD1 {
    fn new(arrivals: f64, service: f64, longest: f64) -> MD1 {
        let most = (longest / service) as usize + 2;
        let mut sum = 0.0;
        let up_to = departures(arrivals * service, most, 1.0 - arrivals * service)
            .into_iter()
            .map(|probability| {
                sum += probability;
                sum
            })
            .collect();
        MD1 {
            arrivals,
            service,
            up_to,
        }
    }

    fn tail(&self, t: f64) -> f64 {
        let whole = (t / self.service) as usize;
        let Some(last) = self.up_to.get(whole + 1) else {
            return 0.0;
        };
        let rest = self.arrivals * ((whole + 1) as f64 * self.service - t);
        let mut below = last * libm::exp(-rest);
        for (j, sum) in self.up_to[..=whole + 1]
            .iter()
            .rev()
            .enumerate()
            .skip(1)
            .take(whole)
        {
            below += sum * poisson(rest, j as u64);
        }
        1.0 - below
    }
}

/// What departures leave behind in an M/D/1 with this load, for 0..=`most`, starting from `empty` for 0: the level n is crossed
/// as often upwards as downwards, and all terms are positive.
fn departures(load: f64, most: usize, empty: f64) -> Vec<f64> {
    let at_least: Vec<f64> = (0..=most as u64 + 1)
        .map(|n| poisson_at_least(load, n))
        .collect();
    let none = libm::exp(-load);
    let mut states = vec![empty];
    for n in 1..=most {
        let from_empty = states[0] * at_least[n];
        let up: f64 = (1..n).map(|i| states[i] * at_least[n - i + 1]).sum();
        states.push((from_empty + up) / none);
    }
    states
}

/// M/D/1/K: what finds `capacity` messages in the system, the one in service included, is turned away (embedded chain: G&H 5.1.8). Any load.
/// The share lost, and the mean number in the system.
pub fn md1k(arrivals: f64, service: f64, capacity: u64) -> (f64, f64) {
    let load = arrivals * service;
    let states = departures(load, capacity.max(1) as usize - 1, 1.0);
    let total: f64 = states.iter().sum();
    let scale = 1.0 / (states[0] / total + load);
    let loss = 1.0 - scale;
    let mean = |(n, weight): (usize, &f64)| n as f64 * weight / total * scale;
    let number: f64 = states.iter().enumerate().map(mean).sum();
    (loss, number + capacity as f64 * loss)
}

/// M/D/c: the mean wait and the share that has to wait (Crommelin 1932, by Spitzer's identity for the walk of every c-th arrival);
/// `None` without a steady state.
pub fn mdc(arrivals: f64, service: f64, servers: u32) -> Option<(f64, f64)> {
    let load = arrivals * service / f64::from(servers);
    if load >= 1.0 {
        return None;
    }
    if servers == 1 {
        // Pollaczek and Khinchine: near a load of 1 the sum below takes millions of terms.
        return Some((load * service / (2.0 * (1.0 - load)), load));
    }
    let (mut wait, mut logarithm) = (0.0, 0.0);
    for step in 1..1_000_000u64 {
        let (count, mean) = (
            step * u64::from(servers),
            step as f64 * f64::from(servers) * load,
        );
        let (late, later) = (
            poisson_at_least(mean, count),
            poisson_at_least(mean, count + 1),
        );
        let term = late - later / load;
        wait += term;
        logarithm += late / step as f64;
        if late < 1e-14 {
            break;
        }
    }
    Some((wait * service, 1.0 - libm::exp(-logarithm)))
}

/// G/M/1: the root σ in (0, 1) of σ = A*(μ (1 − σ)) with A* the gap's transform (G&H 5.3). An arrival finds n before it with probability
/// (1 − σ) σⁿ, so its time in the system is exponential with rate μ (1 − σ). `None` without a steady state, or if the transform is not known.
pub fn gm1_root(gap: &Distribution, arrivals: f64, service: f64) -> Option<f64> {
    if arrivals >= service {
        return None;
    }
    let mean = 1.0 / arrivals;
    transform(gap, mean, 0.0)?;
    let off = |sigma: f64| sigma - transform(gap, mean, service * (1.0 - sigma)).unwrap_or(0.0);
    Some(root(0.0, 1.0 - 1e-12, off))
}

/// E\[e^{−s X}\] of a time with the shape of `distribution`, scaled to this mean.
pub fn transform(distribution: &Distribution, mean: f64, s: f64) -> Option<f64> {
    Some(match distribution {
        Distribution::Constant(_) => libm::exp(-s * mean),
        Distribution::Exponential(_) => 1.0 / (1.0 + s * mean),
        Distribution::Erlang { k, .. } => power(
            1.0 / (1.0 + s * mean / f64::from((*k).max(1))),
            u64::from((*k).max(1)),
        ),
        Distribution::Gamma { cv, .. } => libm::pow(1.0 + s * mean * cv * cv, -1.0 / (cv * cv)),
        Distribution::Hyperexponential { cv, .. } => {
            let ((p, fast), (q, slow)) = balanced_means(mean, *cv);
            p * fast / (fast + s) + q * slow / (slow + s)
        }
        Distribution::Uniform(low, high) => {
            let scale = mean / distribution.mean();
            let (low, high) = (low.as_secs_f64() * scale, high.as_secs_f64() * scale);
            let width = s * (high - low);
            if width < 1e-9 {
                libm::exp(-s * mean)
            } else {
                libm::exp(-s * low) * -libm::expm1(-width) / width
            }
        }
        Distribution::Empirical(values) => {
            let total: f64 = values.iter().map(|(_, weight)| weight).sum();
            let scale = mean / distribution.mean();
            let term = |(value, weight): &(queuelab_scenario::Span, f64)| {
                weight * libm::exp(-s * scale * value.as_secs_f64())
            };
            values.iter().map(term).sum::<f64>() / total
        }
        Distribution::Lognormal { .. }
        | Distribution::Pareto { .. }
        | Distribution::Weibull { .. }
        | Distribution::Triangular { .. } => return None,
    })
}

/// Allen and Cunneen's approximation of the mean wait in G/G/c (1978; Kingman's heavy-traffic formula with one server, 1961): that of M/M/c
/// times (c_a² + c_s²) / 2. Exact for M/G/1; `None` without a steady state.
pub fn allen_cunneen(arrivals: f64, gap_cv2: f64, service: Moments, servers: u32) -> Option<f64> {
    let load = arrivals * service.mean;
    let spare = f64::from(servers) / service.mean - arrivals;
    (spare > 0.0).then(|| erlang_c(servers, load) / spare * (gap_cv2 + service.cv2()) / 2.0)
}

/// Kingman's upper bound of the mean wait in G/G/1 (1962): λ (σ_a² + σ_s²) / (2 (1 − ρ)); `None` without a steady state.
pub fn kingman_bound(arrivals: f64, gap_variance: f64, service: Moments) -> Option<f64> {
    let load = arrivals * service.mean;
    (load < 1.0).then(|| arrivals * (gap_variance + service.variance) / (2.0 * (1.0 - load)))
}

/// A message that arrives while the log is being synced waits for the next sync; one that finds the disk idle starts one (renewal
/// argument). Batches are unbounded, and a sync takes as long for many as for one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupCommit {
    /// Mean time from arrival to the end of the sync that covers it.
    pub delay: f64,
    /// Mean messages per sync.
    pub batch: f64,
    /// Share of time that the disk is busy.
    pub busy: f64,
}

impl GroupCommit {
    /// With Poisson arrivals at this rate. Where the transform of the sync's time is not known, it is integrated.
    pub fn new(arrivals: f64, sync: &Distribution) -> GroupCommit {
        let moments = Moments::of(sync);
        let idle = transform(sync, moments.mean, arrivals)
            .unwrap_or_else(|| numeric_transform(sync, arrivals));
        let batch = arrivals * moments.mean + idle;
        let busy = arrivals * moments.mean / batch;
        let residual = moments.second() / (2.0 * moments.mean);
        GroupCommit {
            delay: moments.mean + busy * residual,
            batch,
            busy,
        }
    }
}

/// E\[e^{−s X}\] of a lognormal time by integration over the normal; for other shapes that of a gamma time with the same two moments.
fn numeric_transform(distribution: &Distribution, s: f64) -> f64 {
    if let Distribution::Lognormal { median, p99 } = distribution {
        let sigma = libm::log(p99.as_secs_f64() / median.as_secs_f64()) / NORMAL_P99;
        let density = |z: f64| libm::exp(-z * z / 2.0) / core::f64::consts::TAU.sqrt();
        let value = |z: f64| libm::exp(-s * median.as_secs_f64() * libm::exp(sigma * z));
        return integral(-9.0, 9.0, 400, |z| density(z) * value(z));
    }
    let moments = Moments::of(distribution);
    let cv2 = moments.cv2().clamp(1e-9, 1e9);
    libm::pow(1.0 + s * moments.mean * cv2, -1.0 / cv2)
}

/// A producer sends a batch when it has `size` messages or its first has waited for `linger` seconds; messages come as a Poisson process
/// (renewal reward). The mean wait of a message for its batch, and the mean batch.
pub fn linger(arrivals: f64, linger: f64, size: u32) -> (f64, f64) {
    let mean = arrivals * linger;
    let (mut waited, mut messages) = (0.0, 1.0);
    for more in 0..u64::from(size.max(1)) - 1 {
        let reached = poisson_at_least(mean, more + 1);
        waited += (more + 1) as f64 * reached / arrivals;
        messages += reached;
    }
    (waited / messages, messages)
}
