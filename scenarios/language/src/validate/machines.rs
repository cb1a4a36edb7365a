//! The cluster with its cost profile, distributions of times, and faults.

use queuelab_core::{Limits, Span, Time};

use super::{Check, Index};
use crate::error::{Problem, suggest};
use crate::overrides::numbered;
use crate::raw::{
    DistributionKind, DistributionTable, RawCluster, RawDistribution, RawFault, RawFaultKind,
    RawProfile, RawScenario,
};
use crate::scenario::{
    Cluster, Cpu, Disk, Distribution, Fault, FaultKind, Members, Network, Phase, Profile,
};
use crate::shape::{At, Bandwidth, Duration};
use crate::units::short;

pub(super) fn cluster(check: &mut Check<'_>, raw: &RawCluster) -> Cluster {
    if let Some(nodes) = raw.nodes.as_ref().filter(|nodes| nodes.value.0 != 1) {
        check.push(
            Problem::new(
                nodes.span.clone(),
                "more than one node is not supported yet",
            )
            .help("write 1, or leave it out"),
        );
    }
    let defaults = Cluster::of(match raw.profile.unwrap_or_default() {
        RawProfile::Ideal => Profile::Ideal,
        RawProfile::Lan => Profile::Lan,
        RawProfile::Wan => Profile::Wan,
    });
    let span = |given: Option<Duration>, default| given.map_or(default, |Duration(span)| span);
    let bandwidth =
        |given: Option<Bandwidth>, default| given.map_or(default, |Bandwidth(bandwidth)| bandwidth);
    Cluster {
        profile: defaults.profile,
        cpu: Cpu {
            publish: span(raw.cpu.publish, defaults.cpu.publish),
            deliver: span(raw.cpu.deliver, defaults.cpu.deliver),
            ack: span(raw.cpu.ack, defaults.cpu.ack),
            per_kib: span(raw.cpu.per_kib, defaults.cpu.per_kib),
            per_batch: span(raw.cpu.per_batch, defaults.cpu.per_batch),
            cores: check.count32("cores", &raw.cpu.cores, defaults.cpu.cores, 1..=1_024),
        },
        disk: Disk {
            fsync: raw
                .disk
                .fsync
                .as_ref()
                .map_or(defaults.disk.fsync, |given| distribution(check, given)),
            bandwidth: bandwidth(raw.disk.bandwidth, defaults.disk.bandwidth),
            capacity: None,
        },
        network: Network {
            clients: raw
                .network
                .clients
                .as_ref()
                .map_or(defaults.network.clients, |given| distribution(check, given)),
            bandwidth: bandwidth(raw.network.bandwidth, defaults.network.bandwidth),
        },
        limits: Limits::default(),
        design: None,
    }
}

impl Cluster {
    /// A cluster with the costs of `profile`.
    pub fn of(profile: Profile) -> Cluster {
        let lognormal = |median, p99| Distribution::Lognormal { median, p99 };
        let free = Distribution::Constant(Span::ZERO);
        let clients = match profile {
            Profile::Ideal => free.clone(),
            Profile::Lan => lognormal(Span::from_micros(250), Span::from_millis(1)),
            Profile::Wan => lognormal(Span::from_millis(40), Span::from_millis(80)),
        };
        match profile {
            Profile::Ideal => Cluster {
                profile,
                cpu: Cpu {
                    cores: 1,
                    ..Cpu::default()
                },
                disk: Disk {
                    fsync: free,
                    bandwidth: None,
                    capacity: None,
                },
                network: Network {
                    clients,
                    bandwidth: None,
                },
                limits: Limits::default(),
                design: None,
            },
            Profile::Lan | Profile::Wan => Cluster {
                profile,
                cpu: Cpu {
                    publish: Span::from_micros(2),
                    deliver: Span::from_micros(2),
                    ack: Span::from_micros(1),
                    per_kib: Span::from_nanos(200),
                    per_batch: Span::from_micros(5),
                    cores: 1,
                },
                disk: Disk {
                    fsync: lognormal(Span::from_millis(1), Span::from_millis(8)),
                    bandwidth: Some(500e6),
                    capacity: None,
                },
                network: Network {
                    clients,
                    bandwidth: Some(1.25e9),
                },
                limits: Limits::default(),
                design: None,
            },
        }
    }
}

pub(super) fn distribution(check: &mut Check<'_>, raw: &At<RawDistribution>) -> Distribution {
    let table = match &raw.value {
        RawDistribution::Text(Duration(span)) => return Distribution::Constant(*span),
        RawDistribution::Table(table) => table,
    };
    let Some(kind) = kind_of(table) else {
        let help =
            "write dist = \"constant\", \"exponential\", \"erlang\", \"lognormal\" or \"uniform\"";
        check.push(Problem::new(raw.span.clone(), "the distribution has no `dist`").help(help));
        return Distribution::Constant(Span::ZERO);
    };
    for (given, key, owners) in [
        (&table.value, "value", &[DistributionKind::Constant][..]),
        (
            &table.mean,
            "mean",
            &[DistributionKind::Exponential, DistributionKind::Erlang],
        ),
        (&table.median, "median", &[DistributionKind::Lognormal]),
        (&table.p99, "p99", &[DistributionKind::Lognormal]),
        (&table.min, "min", &[DistributionKind::Uniform]),
        (&table.max, "max", &[DistributionKind::Uniform]),
    ] {
        match given {
            Some(given) if !owners.contains(&kind) => {
                let problem = Problem::new(
                    given.span.clone(),
                    format!("`{key}` does not belong to this distribution"),
                );
                check.push(problem.help(format!("it takes {}", parameters(kind))));
            }
            None if owners.contains(&kind) => {
                let problem =
                    Problem::new(raw.span.clone(), format!("the distribution has no `{key}`"));
                check.push(problem.help(format!("it takes {}", parameters(kind))));
            }
            _ => {}
        }
    }
    if kind != DistributionKind::Erlang {
        check.misplaced(&table.k, "`k` belongs to dist = \"erlang\"");
    } else if table.k.is_none() {
        check.push(
            Problem::new(raw.span.clone(), "the distribution has no `k`")
                .help("it takes `mean` and `k`, the number of stages"),
        );
    }
    let span =
        |given: &Option<At<Duration>>| given.as_ref().map_or(Span::ZERO, |given| given.value.0);
    let refuse =
        |check: &mut Check<'_>, message: &str| check.push(Problem::new(raw.span.clone(), message));
    let complete = |low: &Option<_>, high: &Option<_>| low.is_some() && high.is_some();
    match kind {
        DistributionKind::Constant => Distribution::Constant(span(&table.value)),
        DistributionKind::Exponential => Distribution::Exponential(span(&table.mean)),
        DistributionKind::Erlang => Distribution::Erlang {
            mean: span(&table.mean),
            k: check.count32("k", &table.k, 1, 1..=1_000),
        },
        DistributionKind::Lognormal => {
            let (median, p99) = (span(&table.median), span(&table.p99));
            if complete(&table.median, &table.p99) && (median.is_zero() || median >= p99) {
                refuse(check, "`median` must be above 0 and below `p99`");
            }
            Distribution::Lognormal { median, p99 }
        }
        DistributionKind::Uniform => {
            let (min, max) = (span(&table.min), span(&table.max));
            if complete(&table.min, &table.max) && min > max {
                refuse(check, "`min` is above `max`");
            }
            Distribution::Uniform(min, max)
        }
    }
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
        DistributionKind::Erlang => "`mean` and `k`",
        DistributionKind::Lognormal => "`median` and `p99`",
        DistributionKind::Uniform => "`min` and `max`",
    }
}

pub(super) fn faults(
    check: &mut Check<'_>,
    raw: &RawScenario,
    consumers: &Index<'_>,
    phases: &[Phase],
) -> Vec<Fault> {
    let given: Vec<_> = raw
        .fault
        .iter()
        .map(|fault| {
            (
                fault.value.name.as_ref().map(|name| name.value.clone()),
                Some(fault.value.kind.name().to_string()),
            )
        })
        .collect();
    check.index(
        "fault",
        raw.fault
            .iter()
            .filter_map(|fault| fault.value.name.as_ref()),
    );
    let names = numbered(&given);
    raw.fault
        .iter()
        .zip(names)
        .filter_map(|(fault, name)| self::fault(check, fault, name, raw, consumers, phases))
        .collect()
}

fn fault(
    check: &mut Check<'_>,
    at: &At<RawFault>,
    name: String,
    scenario: &RawScenario,
    consumers: &Index<'_>,
    phases: &[Phase],
) -> Option<Fault> {
    let raw = &at.value;
    let needs_factor = matches!(
        raw.kind,
        RawFaultKind::SlowDisk | RawFaultKind::SlowConsumer
    );
    match &raw.factor {
        Some(factor) if !needs_factor => {
            check.push(Problem::new(
                factor.span.clone(),
                "`factor` belongs to \"slow-disk\" and \"slow-consumer\"",
            ));
        }
        None if needs_factor => {
            check.push(
                Problem::new(
                    at.span.clone(),
                    format!("the fault `{}` has no `factor`", short(&name)),
                )
                .help("add `factor = 10`: how many times as long things take"),
            );
        }
        _ => {}
    }
    let factor = check.number("factor", &raw.factor, 1.0, 0.001..=1e6);
    let when = when(check, at, &name, phases);
    let kind = match raw.kind {
        RawFaultKind::Crash | RawFaultKind::PowerLoss | RawFaultKind::SlowDisk => {
            check.misplaced(&raw.count, "`count` belongs to faults of consumers");
            if let Some(target) = raw.target.as_ref().filter(|target| target.value != "n1") {
                let problem = Problem::new(
                    target.span.clone(),
                    format!("there is no node `{}`", short(&target.value)),
                );
                check.push(problem.help("the only node is `n1`"));
            }
            match raw.kind {
                RawFaultKind::Crash => FaultKind::Crash,
                RawFaultKind::PowerLoss => FaultKind::PowerLoss,
                _ => FaultKind::SlowDisk { factor },
            }
        }
        RawFaultKind::ConsumerCrash => {
            FaultKind::ConsumerCrash(members(check, at, &name, scenario, consumers)?)
        }
        RawFaultKind::SlowConsumer => FaultKind::SlowConsumer {
            members: members(check, at, &name, scenario, consumers)?,
            factor,
        },
        RawFaultKind::PauseConsumer => {
            FaultKind::PauseConsumer(members(check, at, &name, scenario, consumers)?)
        }
    };
    let (at, span) = when?;
    Some(Fault {
        name,
        kind,
        at,
        span,
    })
}

fn members(
    check: &mut Check<'_>,
    at: &At<RawFault>,
    name: &str,
    scenario: &RawScenario,
    consumers: &Index<'_>,
) -> Option<Members> {
    let Some(target) = &at.value.target else {
        let known: Vec<_> = consumers.by_name.keys().copied().collect();
        let problem = Problem::new(
            at.span.clone(),
            format!("the fault `{}` has no `target`", short(name)),
        );
        check.push(problem.help(format!(
            "name a group of consumers: {}",
            suggest("", &known)
        )));
        return None;
    };
    let group = check.resolve(target, consumers)?;
    let most = scenario.consumer[group]
        .value
        .count
        .as_ref()
        .map_or(1, |count| count.value.0);
    let count = at
        .value
        .count
        .is_some()
        .then(|| check.count("count", &at.value.count, 1, 1..=most.max(1)));
    Some(Members {
        group,
        count: count.and_then(|count| u32::try_from(count).ok()),
    })
}

/// When the fault starts, and for how long it is on.
fn when(
    check: &mut Check<'_>,
    at: &At<RawFault>,
    name: &str,
    phases: &[Phase],
) -> Option<(Time, Span)> {
    let raw = &at.value;
    let end = phases.last().map_or(Time::ZERO, |phase| phase.until);
    let (start, until) = match (&raw.at, &raw.during) {
        (Some(start), None) => {
            let time = Time::ZERO + start.value.0;
            if time >= end {
                check.push(Problem::new(
                    start.span.clone(),
                    format!("the run ends at {end}, before the fault"),
                ));
                return None;
            }
            (time, None)
        }
        (None, Some(during)) => {
            let Some(phase) = phases.iter().find(|phase| phase.name == during.value) else {
                check.push_unknown(
                    during,
                    "phase",
                    phases.iter().map(|phase| phase.name.as_str()),
                );
                return None;
            };
            (phase.from, Some(phase.until))
        }
        _ => {
            let problem = Problem::new(
                at.span.clone(),
                format!("the fault `{}` must say when", short(name)),
            );
            check.push(problem.help("write either `at = \"30s\"` or `during = \"PHASE\"`"));
            return None;
        }
    };
    match (&raw.length, until) {
        (Some(length), _) if length.value.0.is_zero() => {
            check.push(Problem::new(
                length.span.clone(),
                "a fault of no length does nothing",
            ));
            None
        }
        (Some(length), _) if start + length.value.0 > end => {
            let problem = Problem::new(
                length.span.clone(),
                format!(
                    "the fault would last until {}, but the run ends at {end}",
                    start + length.value.0
                ),
            );
            check.push(problem.help("end the fault within the run, so that what follows is seen"));
            None
        }
        (Some(length), _) => Some((start, length.value.0)),
        (None, Some(until)) => Some((start, until - start)),
        (None, None) => {
            let problem = Problem::new(
                at.span.clone(),
                format!("the fault `{}` must say for how long", short(name)),
            );
            check.push(problem.help("add `for = \"20s\"`"));
            None
        }
    }
}
