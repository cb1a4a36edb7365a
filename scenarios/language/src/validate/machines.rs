//! The cluster with its cost profile.

use queuelab_core::{Limits, Span};

use super::Check;
use super::distributions::distribution;
use crate::error::Problem;
use crate::raw::{RawCluster, RawDesign, RawProfile};
use crate::scenario::{Cluster, Cpu, Design, Disk, Distribution, Network, Profile};
use crate::shape::{At, Bandwidth, Duration, SizeText};

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
            read: raw
                .disk
                .read
                .as_ref()
                .map_or(defaults.disk.read, |given| distribution(check, given)),
            bandwidth: bandwidth(raw.disk.bandwidth, defaults.disk.bandwidth),
            capacity: size(check, "capacity", &raw.disk.capacity),
            writeback: span(raw.disk.writeback, defaults.disk.writeback),
        },
        network: Network {
            clients: raw
                .network
                .clients
                .as_ref()
                .map_or(defaults.network.clients, |given| distribution(check, given)),
            bandwidth: bandwidth(raw.network.bandwidth, defaults.network.bandwidth),
        },
        limits: limits(check, raw),
        design: raw.design.as_ref().map(|design| design.value.into()),
    }
}

fn limits(check: &mut Check<'_>, raw: &RawCluster) -> Limits {
    let disk_free = size(check, "disk_free", &raw.limits.disk_free);
    match (&raw.limits.disk_free, &raw.disk.capacity) {
        (Some(given), None) => check.push(
            Problem::new(
                given.span.clone(),
                "`disk_free` of a disk without bounds is never reached",
            )
            .help("add `disk.capacity = \"10GB\"`"),
        ),
        (Some(given), Some(capacity)) if given.value.0 >= capacity.value.0 => {
            let problem = Problem::new(
                given.span.clone(),
                "`disk_free` is all that the disk has: publishers would wait forever",
            );
            check.push(problem.help("write less than `disk.capacity`"));
        }
        _ => {}
    }
    Limits {
        memory: size(check, "memory", &raw.limits.memory),
        disk_free,
        bodies: bodies(check, raw),
        publish_credit: raw.limits.publish_credit.is_some().then(|| {
            check.count32(
                "publish_credit",
                &raw.limits.publish_credit,
                1,
                1..=1_000_000,
            )
        }),
    }
}

/// The budget for bodies, which has to leave something for an alarm to watch.
fn bodies(check: &mut Check<'_>, raw: &RawCluster) -> Option<u64> {
    let budget = size(check, "bodies", &raw.limits.bodies)?;
    if let (Some(given), Some(memory)) = (&raw.limits.bodies, &raw.limits.memory)
        && memory.value.0 <= budget
    {
        check.push(
            Problem::new(
                given.span.clone(),
                "the budget for bodies reaches the memory alarm: publishers would wait although bodies could leave",
            )
            .help("write less than `limits.memory`"),
        );
    }
    Some(budget)
}

/// A size above zero.
pub(super) fn size(check: &mut Check<'_>, key: &str, given: &Option<At<SizeText>>) -> Option<u64> {
    let given = given.as_ref()?;
    if given.value.0 == 0 {
        check.push(Problem::new(
            given.span.clone(),
            format!("`{key}` cannot be 0"),
        ));
    }
    Some(given.value.0)
}

/// Linux' dirty_expire_centisecs.
const WRITEBACK: Span = Span::from_secs(30);

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
                    fsync: free.clone(),
                    read: free,
                    bandwidth: None,
                    capacity: None,
                    writeback: WRITEBACK,
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
                    read: lognormal(Span::from_micros(100), Span::from_micros(500)),
                    bandwidth: Some(500e6),
                    capacity: None,
                    writeback: WRITEBACK,
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

impl From<RawDesign> for Design {
    fn from(raw: RawDesign) -> Design {
        match raw {
            RawDesign::RabbitmqClassic => Design::RabbitmqClassic,
            RawDesign::RabbitmqQuorum => Design::RabbitmqQuorum,
            RawDesign::Kafka => Design::Kafka,
            RawDesign::RedisList => Design::RedisList,
            RawDesign::RedisStream => Design::RedisStream,
            RawDesign::Activemq => Design::Activemq,
            RawDesign::Zeromq => Design::Zeromq,
            RawDesign::NatsJetstream => Design::NatsJetstream,
            RawDesign::Sqs => Design::Sqs,
        }
    }
}
