//! Queues whose number of messages is a birth–death process: Poisson arrivals, exponential services.
//!
//! Times are in seconds, rates per second. G&H is Gross, Shortle, Thompson, Harris, *Fundamentals of Queueing Theory*, 4th edition.

use crate::numeric::quantile;

/// Means of a queue in its steady state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Means {
    /// Share of arrivals that are turned away or give up, 0 to 1.
    pub loss: f64,
    /// Messages per second that are served.
    pub throughput: f64,
    /// Messages in the system.
    pub number: f64,
    /// Messages that wait.
    pub waiting: f64,
    /// Time in the system of those that come in.
    pub sojourn: f64,
    /// Time that they wait.
    pub wait: f64,
    /// Share of time that a server is busy, 0 to 1.
    pub utilisation: f64,
    /// Share of arrivals that find all servers busy (with a bound: of all arrivals, the lost ones too).
    pub delayed: f64,
}

/// M/M/c: an unbounded queue for `servers` equal servers (G&H 2.2, 2.3). It has a steady state if λ < c μ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MMc {
    /// λ, arrivals per second.
    pub arrivals: f64,
    /// μ, services per second of one server.
    pub service: f64,
    /// c, at least 1.
    pub servers: u32,
}

impl MMc {
    /// ρ = λ / (c μ).
    pub fn load(&self) -> f64 {
        self.arrivals / (f64::from(self.servers) * self.service)
    }

    /// The rate c μ − λ at which the wait of those who wait decays.
    pub fn spare(&self) -> f64 {
        f64::from(self.servers) * self.service - self.arrivals
    }

    /// Means; `None` without a steady state.
    pub fn means(&self) -> Option<Means> {
        if self.spare() <= 0.0 {
            return None;
        }
        let delayed = erlang_c(self.servers, self.arrivals / self.service);
        let wait = delayed / self.spare();
        let sojourn = wait + 1.0 / self.service;
        Some(Means {
            loss: 0.0,
            throughput: self.arrivals,
            number: self.arrivals * sojourn,
            waiting: self.arrivals * wait,
            sojourn,
            wait,
            utilisation: self.load(),
            delayed,
        })
    }

    /// P(wait > t) = C e^−(cμ−λ)t.
    pub fn wait_tail(&self, t: f64) -> f64 {
        erlang_c(self.servers, self.arrivals / self.service) * libm::exp(-self.spare() * t)
    }

    /// P(time in system > t): no wait, or an exponential one before the service.
    pub fn sojourn_tail(&self, t: f64) -> f64 {
        let (delayed, spare, service) = (
            erlang_c(self.servers, self.arrivals / self.service),
            self.spare(),
            self.service,
        );
        let served = libm::exp(-service * t);
        let both = if (spare - service).abs() < 1e-6 * service {
            (1.0 + service * t) * served
        } else {
            (spare * served - service * libm::exp(-spare * t)) / (spare - service)
        };
        (1.0 - delayed) * served + delayed * both
    }

    /// The quantile `p` of the wait; infinite without a steady state.
    pub fn wait_quantile(&self, p: f64) -> f64 {
        if self.spare() <= 0.0 {
            return f64::INFINITY;
        }
        let delayed = erlang_c(self.servers, self.arrivals / self.service);
        (libm::log(delayed / (1.0 - p)) / self.spare()).max(0.0)
    }

    /// The quantile `p` of the time in the system; infinite without a steady state.
    pub fn sojourn_quantile(&self, p: f64) -> f64 {
        if self.spare() <= 0.0 {
            return f64::INFINITY;
        }
        quantile(p, 1.0 / self.spare(), |t| self.sojourn_tail(t))
    }
}

/// Erlang B: the share of arrivals that `servers` without a queue turn away, offered `load` = λ E\[S\]; for any service time (Erlang 1917;
/// G&H 2.6).
pub fn erlang_b(servers: u32, load: f64) -> f64 {
    (1..=servers).fold(1.0, |blocked, server| {
        let blocked = load * blocked;
        blocked / (f64::from(server) + blocked)
    })
}

/// Erlang C: the share of arrivals that have to wait for one of `servers`, offered `load` = λ / μ below `servers` (Erlang 1917; G&H 2.3).
pub fn erlang_c(servers: u32, load: f64) -> f64 {
    let (blocked, servers) = (erlang_b(servers, load), f64::from(servers));
    servers * blocked / (servers - load * (1.0 - blocked))
}

/// M/M/c/K: what finds `capacity` messages in the system, those in service included, is turned away (G&H 2.5). Any load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MMcK {
    /// λ, arrivals per second.
    pub arrivals: f64,
    /// μ, services per second of one server.
    pub service: f64,
    /// c, at least 1.
    pub servers: u32,
    /// K, at least c.
    pub capacity: u64,
}

impl MMcK {
    /// Means; sojourn and wait are of messages that come in.
    pub fn means(&self) -> Means {
        let states = self.states();
        means(&states, self.servers, self.arrivals, |_| self.service, true)
    }

    /// P(time in system > t) of messages that come in, with one server: who finds n before it takes n + 1 services.
    fn sojourn_tail(&self, states: &[f64], t: f64) -> f64 {
        let (last, entering) = states.split_last().unwrap_or((&1.0, &[]));
        let (mut over, mut served) = (0.0, libm::exp(-self.service * t));
        let mut tail = 0.0;
        for (n, state) in entering.iter().enumerate() {
            over += served;
            tail += state * over;
            served *= self.service * t / (n + 1) as f64;
        }
        tail / (1.0 - last)
    }

    /// The quantile `p` of the time in the system of messages that come in; `None` with several servers.
    pub fn sojourn_quantile(&self, p: f64) -> Option<f64> {
        let states = self.states();
        (self.servers == 1)
            .then(|| quantile(p, 1.0 / self.service, |t| self.sojourn_tail(&states, t)))
    }

    fn states(&self) -> Vec<f64> {
        let servers = u64::from(self.servers);
        birth_death(
            self.capacity,
            |_| self.arrivals,
            |n| n.min(servers) as f64 * self.service,
        )
    }
}

/// M/M/c + M (Erlang A): messages wait for an exponential patience of mean 1 / θ, then give up; service is never cut short (Garnett,
/// Mandelbaum, Reiman 2002). Any load. [`Means::loss`] is the share that gives up, waits are over all.
pub fn erlang_a(arrivals: f64, service: f64, servers: u32, theta: f64) -> Means {
    let own = u64::from(servers);
    // Beyond this many the rest is below 1e-15: with each one more the ratio falls.
    let most =
        own + (40.0 * (arrivals / theta).max(1.0).sqrt() + 4.0 * arrivals / theta + 50.0) as u64;
    let states = birth_death(
        most,
        |_| arrivals,
        |n| n.min(own) as f64 * service + n.saturating_sub(own) as f64 * theta,
    );
    let mut means = means(&states, servers, arrivals, |_| service, false);
    means.wait = means.waiting / arrivals;
    means.sojourn = means.number / arrivals;
    means.loss = theta * means.waiting / arrivals;
    means.throughput = arrivals * (1.0 - means.loss);
    means
}

/// M/M/c//N (machine repair): `clients` each think for a mean of `think` seconds, send, and wait until it is done (G&H 2.9). The law of
/// the think time does not matter. [`Means::throughput`] is of all together.
pub fn closed(clients: u32, think: f64, service: f64, servers: u32) -> Means {
    let own = u64::from(servers);
    let states = birth_death(
        u64::from(clients),
        |n| (f64::from(clients) - n as f64) / think,
        |n| n.min(own) as f64 * service,
    );
    let thinking: f64 = states
        .iter()
        .enumerate()
        .map(|(n, p)| p * (f64::from(clients) - n as f64))
        .sum();
    let mut means = means(&states, servers, thinking / think, |_| service, false);
    means.wait = means.waiting / means.throughput;
    means.sojourn = means.number / means.throughput;
    means
}

/// M/M/1 whose server breaks down at rate `failures` at any time, is repaired at rate `repairs`, and then goes on where it was (White,
/// Christie 1958). The mean number in the system; `None` without a steady state.
pub fn breakdowns(arrivals: f64, service: f64, failures: f64, repairs: f64) -> Option<f64> {
    let both = failures + repairs;
    let spare = service * repairs - arrivals * both;
    (spare > 0.0).then(|| arrivals * (service * failures + both * both) / (both * spare))
}

/// M^X/M/1: `batches` per second of messages that come at once, a number with these first two moments (G&H 3.1). The mean number in the
/// system; `None` without a steady state.
pub fn batch_arrivals(batches: f64, mean: f64, second_moment: f64, service: f64) -> Option<f64> {
    let load = batches * mean / service;
    (load < 1.0).then(|| batches * (mean + second_moment) / (2.0 * service * (1.0 - load)))
}

/// M/M/c whose services fail with probability `again` and are repeated: as one with the service rate μ (1 − again), wherever in the
/// queue a message goes back to, because the number in the system does not see it (Takács 1963).
pub fn feedback(arrivals: f64, service: f64, servers: u32, again: f64) -> MMc {
    MMc {
        arrivals,
        service: service * (1.0 - again),
        servers,
    }
}

/// The mean wait of the `n`-th message (from 1) of an M/M/1 that starts empty, by Spitzer's identity: Σ E\[S_k⁺\] / k over the k < n steps of
/// the random walk of services minus gaps.
pub fn transient_wait(arrivals: f64, service: f64, n: u32) -> f64 {
    let (up, down) = (
        service / (arrivals + service),
        arrivals / (arrivals + service),
    );
    let mean_of = |steps: u32| -> f64 {
        // Until the k-th gap is over j of k services are, negative binomially; each of the others is 1 / μ more. In logarithms, because
        // the largest term is far from the first.
        let k = f64::from(steps);
        let fixed = k * libm::log(down) - libm::lgamma(k);
        let term = |done: u32| {
            let j = f64::from(done);
            let log = fixed + libm::lgamma(k + j) - libm::lgamma(j + 1.0) + j * libm::log(up);
            libm::exp(log) * (k - j) / service
        };
        (0..steps).map(term).sum()
    };
    (1..n).map(|steps| mean_of(steps) / f64::from(steps)).sum()
}

/// The mean time until an M/M/1 with `backlog` messages is empty for the first time: n / (μ − λ), exactly; `None` if it may never be.
pub fn drain(backlog: f64, arrivals: f64, service: f64) -> Option<f64> {
    (service > arrivals).then(|| backlog / (service - arrivals))
}

/// The stationary distribution on 0..=`most`.
fn birth_death(most: u64, up: impl Fn(u64) -> f64, down: impl Fn(u64) -> f64) -> Vec<f64> {
    // In logarithms, so that no product leaves the range of numbers.
    let mut logs = vec![0.0];
    for n in 0..most {
        let rate = up(n);
        if rate <= 0.0 {
            break;
        }
        logs.push(logs[n as usize] + libm::log(rate / down(n + 1)));
    }
    let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logs.iter().map(|log| libm::exp(log - largest)).collect();
    let total: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / total).collect()
}

/// Means from a distribution; if `bounded`, arrivals in the last state are lost.
fn means(
    states: &[f64],
    servers: u32,
    arrivals: f64,
    service: impl Fn(f64) -> f64,
    bounded: bool,
) -> Means {
    let servers_f = f64::from(servers);
    let (mut number, mut busy, mut delayed) = (0.0, 0.0, 0.0);
    for (n, probability) in states.iter().enumerate() {
        let n = n as f64;
        number += n * probability;
        busy += n.min(servers_f) * probability;
        delayed += if n >= servers_f { *probability } else { 0.0 };
    }
    let loss = if bounded {
        *states.last().unwrap_or(&0.0)
    } else {
        0.0
    };
    let throughput = busy * service(busy);
    let entering = arrivals * (1.0 - loss);
    Means {
        loss,
        throughput,
        number,
        waiting: number - busy,
        sojourn: number / entering,
        wait: (number - busy) / entering,
        utilisation: busy / servers_f,
        delayed,
    }
}
