//! What no model has: the broker's own server when it is nearly busy, and producers that come to an end.

use queuelab_scenario::{Ack, Scenario, Size, Span};

use super::station::{self, Station};

/// Phases in which the broker's CPU is nearly busy, or is offered more than it can do.
pub(super) fn warnings(scenario: &Scenario, stations: &[Station<'_>]) -> Vec<String> {
    let phases = &scenario.phases;
    let heavy = |(index, phase): (usize, &queuelab_scenario::Phase)| {
        let load = load(scenario, stations, index)?;
        let during = match phases.len() {
            1 => String::new(),
            _ => format!(" during {}", phase.name),
        };
        (load >= HEAVY).then(|| {
            format!(
                "the broker's CPU is offered {:.0} % of what it can do{during}, what batches cost left aside: predictions know nothing of the wait for it",
                load * 100.0
            )
        })
    };
    phases.iter().enumerate().filter_map(heavy).collect()
}

/// Producers that stop although a model would know what they send if they did not.
pub(super) fn notes(scenario: &Scenario) -> Vec<String> {
    let limited = scenario.producers.iter();
    let limited = limited.filter_map(|producer| Some((&producer.name, producer.limit?)));
    let limited: Vec<_> = limited.collect();
    if limited.is_empty() {
        return Vec::new();
    }
    let mut endless = scenario.clone();
    for producer in &mut endless.producers {
        producer.limit = None;
    }
    if super::recognise(&endless).len() <= super::recognise(scenario).len() {
        return Vec::new();
    }
    let note = |(name, limit)| {
        format!(
            "`{name}` stops after {limit} messages (`limit`): models of arrivals without end are not applied"
        )
    };
    limited.into_iter().map(note).collect()
}

/// The share of the cores' time that publishes, deliveries and acknowledgements of a phase take; `None` if rates are not known.
pub(super) fn load(scenario: &Scenario, stations: &[Station<'_>], phase: usize) -> Option<f64> {
    let cpu = &scenario.cluster.cpu;
    let body = |size: f64| cpu.per_kib.as_secs_f64() * size / 1024.0;
    let rate = |producer| {
        let (from, to) = station::rates(producer, phase)?;
        Some((from + to) / 2.0)
    };
    let mut work = 0.0;
    for producer in &scenario.producers {
        work += rate(producer)? * (cpu.publish.as_secs_f64() + body(mean(&producer.size)));
    }
    for station in stations.iter().filter(|station| !station.queue.brokerless) {
        let Some(servers) = station.servers else {
            continue;
        };
        let ack = match servers.consumer.ack {
            Ack::Auto => Span::ZERO,
            Ack::Manual { every, .. } => Span(cpu.ack.0 / u64::from(every.max(1))),
        };
        let each = (cpu.deliver + ack).as_secs_f64();
        for source in &station.sources {
            let copies = rate(source.producer)? * source.share;
            work += copies * (each + body(mean(&source.producer.size)));
        }
    }
    Some(work / f64::from(cpu.cores.max(1)))
}

/// The mean size of bodies, in bytes.
fn mean(size: &Size) -> f64 {
    match size {
        Size::Fixed(size) => *size as f64,
        Size::Uniform(low, high) => low.midpoint(*high) as f64,
        Size::Lognormal { median, p99 } => {
            let sigma = libm::log(p99 / median) / QUANTILE_99;
            median * libm::exp(sigma * sigma / 2.0)
        }
        Size::Bimodal {
            small,
            large,
            share,
        } => *small as f64 * (1.0 - share) + *large as f64 * share,
        Size::Empirical(values) => {
            let weights: f64 = values.iter().map(|(_, weight)| weight).sum();
            let sum: f64 = values
                .iter()
                .map(|(size, weight)| *size as f64 * weight)
                .sum();
            sum / weights
        }
    }
}

/// From this load on a wait for the broker is worth a word: it is at least four times the work itself, for random arrivals.
const HEAVY: f64 = 0.8;

/// The standard normal distribution's 99 % quantile.
const QUANTILE_99: f64 = 2.326_347_874_040_841;
