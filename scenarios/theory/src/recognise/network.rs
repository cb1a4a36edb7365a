//! Queues that feed each other, forks, and rings.

use queuelab_scenario::{Arrivals, Distribution, ExchangeType, HashKind, Scenario, Target};

use super::known::{Departure, departures};
use super::station::{Dispatching, Servers, Shape, Station, keys_are_even};
use super::{Kind, Prediction, metric};
use crate::markov::MMc;
use crate::network::{fork_join, tandem_quantile, traffic};
use crate::spread::{ring_busiest, ring_cv};

/// How evenly rings spread keys.
pub(super) fn rings(scenario: &Scenario) -> Vec<String> {
    let told = |(index, exchange): (usize, &queuelab_scenario::Exchange)| {
        let ExchangeType::ConsistentHash(HashKind::Ring { vnodes }) = exchange.kind else {
            return None;
        };
        let bound = |queue: &&queuelab_scenario::Queue| {
            queue
                .bind
                .iter()
                .any(|binding| binding.exchange == index && binding.weight == 1)
        };
        let queues = scenario.queues.iter().filter(bound).count() as u32;
        let sends = |producer: &&queuelab_scenario::Producer| {
            producer.to.iter().any(|(target, _)| matches!(target, Target::Exchange { exchange, .. } if *exchange == index))
        };
        let even = scenario.producers.iter().filter(sends).all(keys_are_even);
        (queues > 1 && vnodes > 0 && queues.saturating_mul(vnodes) <= 1_000_000).then(|| {
            format!(
                "`{}` spreads keys over {queues} queues with {vnodes} points each: shares vary by {:.1} %, the busiest gets about {:.2} × the mean{} (Beta law of the spacings)",
                exchange.name,
                100.0 * ring_cv(queues, vnodes),
                ring_busiest(queues, vnodes),
                if even { "" } else { ", uneven keys apart" }
            )
        })
    };
    scenario
        .exchanges
        .iter()
        .enumerate()
        .filter_map(told)
        .collect()
}

/// An open Jackson network, or a tandem; `None` if the queues have nothing to do with each other.
pub(super) fn jackson(scenario: &Scenario, stations: &[Station<'_>]) -> Option<Vec<Prediction>> {
    let publishes_on = |station: &&Station<'_>| {
        station
            .servers
            .is_some_and(|servers| servers.consumer.then.is_some())
    };
    if !stations.iter().any(|station| publishes_on(&station)) {
        return None;
    }
    let used: Vec<&Station<'_>> = stations
        .iter()
        .filter(|station| station.fed || !station.sources.is_empty())
        .collect();
    let index_of = |station: &Station<'_>| {
        scenario
            .queues
            .iter()
            .position(|queue| std::ptr::eq(queue, station.queue))
    };
    let indexes: Vec<usize> = used
        .iter()
        .map(|station| index_of(station))
        .collect::<Option<_>>()?;
    let mut external = Vec::new();
    let mut routing = Vec::new();
    let mut services = Vec::new();
    for station in &used {
        let servers = markovian(station)?;
        external.push(if station.sources.is_empty() {
            0.0
        } else {
            station.constant_rate()?
        });
        routing.push(routes(scenario, servers, &indexes)?);
        services.push(1.0 / held(station, servers));
    }
    let rates = traffic(&external, &routing)?;
    let entering: f64 = external.iter().sum();
    let mut number = 0.0;
    let mut all = Vec::new();
    let costs = used.first()?.costs();
    let tandem = is_tandem(&routing) && external[1..].iter().all(|rate| *rate == 0.0);
    let model = if tandem {
        format!("tandem of {}", used.len())
    } else {
        format!("open Jackson network of {}", used.len())
    };
    let free = used
        .iter()
        .all(|station| station.costs().free && !station.hashed);
    let kind = if free {
        Kind::Exact
    } else {
        Kind::Approximation
    };
    let told = |name: &str, of: Option<&str>, value: f64, covers: &str| Prediction {
        model: model.clone(),
        metric: metric(name, of, None),
        value,
        kind,
        source: "Jackson 1957: Gross & Harris 4.2",
        covers: covers.into(),
        assumptions: used[0].assumptions(),
    };
    for ((station, rate), service) in used.iter().zip(&rates).zip(&services) {
        let servers = station.servers?;
        let means = MMc {
            arrivals: *rate,
            service: *service,
            servers: servers.count,
        }
        .means()?;
        number += means.number;
        // What is delivered at once waits at its consumer.
        if servers.dispatching == Dispatching::Central {
            all.push(told(
                "backlog.mean",
                Some(station.name()),
                means.waiting,
                "",
            ));
        }
        let busy = rate * servers.consumer.service.mean() / servers.places();
        all.push(told("utilisation", Some(&servers.consumer.name), busy, ""));
    }
    let around = costs.entry + costs.out.mean;
    let covers = "all queues and services on the way";
    all.insert(
        0,
        told(
            "latency.end_to_end.mean",
            None,
            around + number / entering,
            covers,
        ),
    );
    let single = used
        .iter()
        .all(|station| station.servers.is_some_and(|servers| servers.count == 1));
    if tandem && single {
        for (at, (name, p)) in [
            ("latency.end_to_end.p50", 0.5),
            ("latency.end_to_end.p90", 0.9),
            ("latency.end_to_end.p99", 0.99),
        ]
        .into_iter()
        .enumerate()
        {
            let value = tandem_quantile(entering, &services, p)?;
            all.insert(at + 1, told(name, None, around + value, covers));
        }
    }
    Some(all)
}

/// Exponential services and Poisson arrivals, if any, at a queue that others may feed, and nothing besides.
fn markovian<'a>(station: &Station<'a>) -> Option<Servers<'a>> {
    let servers = station.servers?;
    let exponential = matches!(servers.consumer.service, Distribution::Exponential(_));
    let central = servers.dispatching == Dispatching::Central || servers.count == 1;
    let poisson = station.sources.is_empty() || matches!(station.shape(), Shape::Poisson);
    let plain = departures(station)
        .iter()
        .all(|it| matches!(it, Departure::Fed | Departure::Elsewhere));
    (plain && exponential && central && poisson).then_some(servers)
}

/// How long a message keeps a server.
fn held(station: &Station<'_>, servers: Servers<'_>) -> f64 {
    let costs = station.costs();
    let round_trip = if servers.dispatching == Dispatching::Central {
        costs.out.mean + costs.back.mean
    } else {
        0.0
    };
    servers.consumer.service.mean() + round_trip
}

/// The share of what a station has served that goes on to each of these queues; `None` if that is no simple choice.
fn routes(scenario: &Scenario, servers: Servers<'_>, queues: &[usize]) -> Option<Vec<f64>> {
    let mut shares = vec![0.0; queues.len()];
    let Some(then) = &servers.consumer.then else {
        return Some(shares);
    };
    if then.join {
        return None;
    }
    let total: f64 = then.to.iter().map(|(_, weight)| weight).sum();
    for (target, weight) in &then.to {
        let Some(target) = target else {
            continue;
        };
        let [only] = scenario.reached_by(target)[..] else {
            return None;
        };
        shares[queues.iter().position(|queue| *queue == only)?] += weight / total;
    }
    Some(shares)
}

/// Each queue sends all to the next one, the last nowhere.
fn is_tandem(routing: &[Vec<f64>]) -> bool {
    routing.iter().enumerate().all(|(from, row)| {
        row.iter().enumerate().all(|(to, share)| {
            let expected = if to == from + 1 { 1.0 } else { 0.0 };
            *share == expected
        })
    })
}

/// One producer whose messages are copied to several equal single servers.
pub(super) fn fork(scenario: &Scenario, stations: &[Station<'_>]) -> Option<Prediction> {
    let [producer] = scenario.producers.as_slice() else {
        return None;
    };
    let [(Target::Exchange { exchange, .. }, _)] = producer.to.as_slice() else {
        return None;
    };
    let branches: Vec<&Station<'_>> = stations
        .iter()
        .filter(|station| !station.sources.is_empty())
        .collect();
    let fanned = scenario.exchanges[*exchange].kind == ExchangeType::Fanout && branches.len() > 1;
    if !fanned || !matches!(producer.arrivals, Arrivals::Poisson(_)) {
        return None;
    }
    let (mut means, mut rate) = (Vec::new(), 0.0);
    for branch in &branches {
        let servers = markovian(branch)?;
        let last = servers.consumer.then.is_none();
        if servers.count != 1 || !last {
            return None;
        }
        means.push(held(branch, servers));
        rate = branch.constant_rate()?;
    }
    let alike = means.iter().all(|mean| (mean - means[0]).abs() < 1e-9);
    let count = branches.len() as u32;
    let value = fork_join(rate, 1.0 / means[0], count).filter(|_| alike)?;
    let costs = branches[0].costs();
    let kind = if count == 2 && costs.free {
        Kind::Exact
    } else {
        Kind::Approximation
    };
    Some(Prediction {
        model: format!("fork and join of {count}"),
        metric: metric("latency.complete.mean", None, None),
        value: value + costs.entry + costs.out.mean,
        kind,
        source: if count == 2 {
            "Flatto & Hahn 1984"
        } else {
            "Nelson & Tantawi 1988"
        },
        covers: "until the last copy is served".into(),
        assumptions: branches[0].assumptions(),
    })
}
