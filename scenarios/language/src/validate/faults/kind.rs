//! Kinds of faults: what each is called, strikes, takes and is.

use queuelab_core::Span;

use super::Places;
use super::target::{clients, node, queues};
use crate::error::Problem;
use crate::fault::{Direction, End, FaultKind, Rot, Unsynced};
use crate::raw::{RawFault, RawFaultKind};
use crate::scenario::Distribution;
use crate::shape::At;
use crate::units::short;
use crate::validate::Check;
use crate::validate::distributions::some_time;

/// What is to be known of a kind of fault before it is read.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) strikes: Strikes,
    /// Keys that it must have.
    pub(super) needs: &'static [&'static str],
    /// Keys that it may have.
    pub(super) keys: &'static [&'static str],
}

/// Whom a fault strikes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Strikes {
    Node,
    Clients,
    Producers,
    Consumers,
    Queues,
}

impl Row {
    pub(super) fn of(kind: RawFaultKind) -> &'static Row {
        use Strikes::{Clients, Consumers, Node, Producers, Queues};
        macro_rules! row {
            ($name:literal, $strikes:ident, $needs:expr, $keys:expr) => {
                &Row {
                    name: $name,
                    strikes: $strikes,
                    needs: &$needs,
                    keys: &$keys,
                }
            };
        }
        match kind {
            RawFaultKind::Crash => row!("crash", Node, ["for"], ["unsynced"]),
            RawFaultKind::PowerLoss => row!("power-loss", Node, ["for"], ["unsynced"]),
            RawFaultKind::Stop => row!("stop", Node, ["for"], ["grace"]),
            RawFaultKind::Restart => row!("restart", Node, [], []),
            RawFaultKind::Wipe => row!("wipe", Node, ["for"], []),
            RawFaultKind::Pause => row!("pause", Node, ["for"], []),
            RawFaultKind::SlowCpu => row!("slow-cpu", Node, ["for", "factor"], []),
            RawFaultKind::OutOfMemory => row!("out-of-memory", Node, ["for", "bytes"], []),
            RawFaultKind::SlowDisk => row!("slow-disk", Node, ["for", "factor"], []),
            RawFaultKind::StallDisk => row!("stall-disk", Node, ["for"], []),
            RawFaultKind::ThrottleDisk => {
                row!("throttle-disk", Node, ["for"], ["bandwidth", "iops"])
            }
            RawFaultKind::FsyncError => row!("fsync-error", Node, ["for"], ["p"]),
            RawFaultKind::FsyncLie => row!("fsync-lie", Node, ["for"], ["p"]),
            RawFaultKind::WriteError => row!("write-error", Node, ["for"], ["p"]),
            RawFaultKind::ReadError => row!("read-error", Node, ["for"], ["p"]),
            RawFaultKind::DiskFull => row!("disk-full", Node, ["for"], []),
            RawFaultKind::BitRot => row!("bit-rot", Node, [], ["bits", "of"]),
            RawFaultKind::MisdirectedWrite => row!("misdirected-write", Node, [], []),
            RawFaultKind::TruncateLog => row!("truncate-log", Node, ["bytes"], []),
            RawFaultKind::Rollback => row!("rollback", Node, ["for"], []),
            RawFaultKind::Latency => row!("latency", Clients, ["for", "extra"], ["count"]),
            RawFaultKind::Loss => row!("loss", Clients, ["for", "p"], ["count"]),
            RawFaultKind::Clog => row!("clog", Clients, ["for"], ["count", "direction"]),
            RawFaultKind::Swizzle => row!("swizzle", Clients, ["for"], ["count"]),
            RawFaultKind::Reset => row!("reset", Clients, [], ["count"]),
            RawFaultKind::HalfOpen => row!("half-open", Clients, ["for"], ["count", "unaware"]),
            RawFaultKind::ConnectHang => row!("connect-hang", Clients, ["for"], ["count"]),
            RawFaultKind::Bandwidth => row!("bandwidth", Clients, ["for", "bandwidth"], ["count"]),
            RawFaultKind::ClockStep => row!("clock-step", Node, ["by"], ["for"]),
            RawFaultKind::ClockDrift => row!("clock-drift", Node, ["for", "ppm"], []),
            RawFaultKind::ClockStrobe => row!("clock-strobe", Node, ["for", "by", "period"], []),
            RawFaultKind::Burst => row!("burst", Producers, ["for", "factor"], ["count"]),
            RawFaultKind::Oversized => row!("oversized", Producers, ["for", "size"], ["count"]),
            RawFaultKind::HotKey => row!("hot-key", Producers, ["for"], ["count"]),
            RawFaultKind::ConsumerCrash => row!("consumer-crash", Consumers, ["for"], ["count"]),
            RawFaultKind::SlowConsumer => {
                row!("slow-consumer", Consumers, ["for", "factor"], ["count"])
            }
            RawFaultKind::PauseConsumer => row!("pause-consumer", Consumers, ["for"], ["count"]),
            RawFaultKind::AckLoss => row!("ack-loss", Consumers, ["for"], ["count", "p"]),
            RawFaultKind::NackStorm => row!("nack-storm", Consumers, ["for"], ["count", "p"]),
            RawFaultKind::Hoard => row!("hoard", Consumers, ["for"], ["count"]),
            RawFaultKind::Zombie => row!("zombie", Consumers, ["for"], ["count"]),
            RawFaultKind::Purge => row!("purge", Queues, [], []),
            RawFaultKind::Delete => row!("delete", Queues, [], []),
            RawFaultKind::SetDurability => row!("set-durability", Queues, ["durability"], ["for"]),
            RawFaultKind::SetWeights => {
                row!("set-weights", Consumers, ["weight"], ["count", "for"])
            }
        }
    }

    /// Whether it happens in an instant.
    pub(super) fn is_instant(&self) -> bool {
        !self.needs.contains(&"for") && !self.keys.contains(&"for")
    }
}

/// What to write for a key that is missing.
pub(super) fn remedy(key: &str) -> &'static str {
    match key {
        "for" => "add `for = \"20s\"`",
        "factor" => "add `factor = 10`: how many times as much, or as long",
        "bytes" => "add `bytes = \"64MiB\"`",
        "bandwidth" => "add `bandwidth = \"1MB/s\"`",
        "p" => "add `p = 0.01`: how likely it is each time",
        "extra" => "add `extra = \"100ms\"`: what is added to each packet's latency",
        "by" => "add `by = \"1h\"`, or `by = \"-1h\"`",
        "ppm" => "add `ppm = 200`: by how many millionths the clock runs fast",
        "period" => "add `period = \"100ms\"`: time between two jumps",
        "size" => "add `size = \"1MiB\"`",
        "durability" => "add `durability = \"os\"`",
        _ => "add `weight = 10`",
    }
}

/// What happens, and to whom.
pub(super) fn kind(
    check: &mut Check<'_>,
    at: &At<RawFault>,
    name: &str,
    row: &Row,
    places: &Places<'_>,
) -> Option<FaultKind> {
    let raw = &at.value;
    let p = check.number("p", &raw.p, 1.0, 0.0..=1.0);
    let factor = check.number("factor", &raw.factor, 1.0, 0.001..=1e6);
    match row.strikes {
        Strikes::Node => node(check, raw, places),
        Strikes::Queues => {
            let queues = queues(check, at, name, places)?;
            return Some(match raw.kind {
                RawFaultKind::Purge => FaultKind::Purge { queues },
                RawFaultKind::Delete => FaultKind::Delete { queues },
                _ => FaultKind::SetDurability {
                    queues,
                    durability: raw.durability.as_ref()?.value.into(),
                },
            });
        }
        Strikes::Clients | Strikes::Producers | Strikes::Consumers => {
            return of_clients(check, at, name, row, places, p, factor);
        }
    }
    Some(match raw.kind {
        RawFaultKind::Crash => FaultKind::Crash {
            unsynced: unsynced(raw, Unsynced::Keep),
        },
        RawFaultKind::PowerLoss => FaultKind::PowerLoss {
            unsynced: unsynced(raw, Unsynced::Drop),
        },
        RawFaultKind::Stop => FaultKind::Stop {
            grace: given(&raw.grace).map_or(Span::from_secs(5), |grace| grace.0),
        },
        RawFaultKind::Restart => FaultKind::Restart,
        RawFaultKind::Wipe => FaultKind::Wipe,
        RawFaultKind::Pause => FaultKind::Pause,
        RawFaultKind::SlowCpu => FaultKind::SlowCpu { factor },
        RawFaultKind::OutOfMemory => FaultKind::OutOfMemory {
            bytes: given(&raw.bytes)?.0,
        },
        RawFaultKind::SlowDisk => FaultKind::SlowDisk { factor },
        RawFaultKind::StallDisk => FaultKind::StallDisk,
        RawFaultKind::ThrottleDisk => throttle(check, at, name)?,
        RawFaultKind::FsyncError => FaultKind::FsyncError { p },
        RawFaultKind::FsyncLie => FaultKind::FsyncLie { p },
        RawFaultKind::WriteError => FaultKind::WriteError { p },
        RawFaultKind::ReadError => FaultKind::ReadError { p },
        RawFaultKind::DiskFull => FaultKind::DiskFull,
        RawFaultKind::BitRot => FaultKind::BitRot {
            bits: check.count32("bits", &raw.bits, 1, 1..=1_000_000),
            of: given(&raw.of).map_or(Rot::Any, Rot::from),
        },
        RawFaultKind::MisdirectedWrite => FaultKind::MisdirectedWrite,
        RawFaultKind::TruncateLog => FaultKind::TruncateLog {
            bytes: given(&raw.bytes)?.0,
        },
        RawFaultKind::Rollback => FaultKind::Rollback,
        RawFaultKind::ClockStep => FaultKind::ClockStep {
            by: given(&raw.by)?.0,
        },
        RawFaultKind::ClockDrift => FaultKind::ClockDrift {
            ppm: ppm(check, raw)?,
        },
        _ => FaultKind::ClockStrobe {
            by: given(&raw.by)?.0,
            period: check.duration("period", &raw.period)?,
        },
    })
}

/// Those of the network, of producers and of consumers.
fn of_clients(
    check: &mut Check<'_>,
    at: &At<RawFault>,
    name: &str,
    row: &Row,
    places: &Places<'_>,
    p: f64,
    factor: f64,
) -> Option<FaultKind> {
    let raw = &at.value;
    let clients = clients(check, at, name, row, places)?;
    Some(match raw.kind {
        RawFaultKind::Latency => FaultKind::Latency {
            clients,
            extra: extra(check, raw)?,
        },
        RawFaultKind::Loss => {
            if let Some(given) = raw.p.as_ref().filter(|p| p.value.0 > MOST_LOSS) {
                let problem = Problem::new(given.span.clone(), "so much loss lets nothing through");
                check.push(problem.help("write a `p` of 0.9 at most, or kind = \"clog\""));
            }
            FaultKind::Loss { clients, p }
        }
        RawFaultKind::Clog => FaultKind::Clog {
            clients,
            direction: given(&raw.direction).map_or(Direction::Both, Direction::from),
        },
        RawFaultKind::Swizzle => FaultKind::Swizzle { clients },
        RawFaultKind::Reset => FaultKind::Reset { clients },
        RawFaultKind::HalfOpen => FaultKind::HalfOpen {
            clients,
            unaware: given(&raw.unaware).map_or(End::Node, End::from),
        },
        RawFaultKind::ConnectHang => FaultKind::ConnectHang { clients },
        RawFaultKind::Bandwidth => FaultKind::Bandwidth {
            clients,
            bandwidth: bandwidth(check, raw)?,
        },
        RawFaultKind::Burst => FaultKind::Burst { clients, factor },
        RawFaultKind::Oversized => FaultKind::Oversized {
            clients,
            size: given(&raw.size)?.0,
        },
        RawFaultKind::HotKey => FaultKind::HotKey { clients },
        RawFaultKind::ConsumerCrash => FaultKind::ConsumerCrash { clients },
        RawFaultKind::SlowConsumer => FaultKind::SlowConsumer { clients, factor },
        RawFaultKind::PauseConsumer => FaultKind::PauseConsumer { clients },
        RawFaultKind::AckLoss => FaultKind::AckLoss { clients, p },
        RawFaultKind::NackStorm => FaultKind::NackStorm { clients, p },
        RawFaultKind::Hoard => FaultKind::Hoard { clients },
        RawFaultKind::Zombie => FaultKind::Zombie { clients },
        _ => FaultKind::SetWeights {
            clients,
            weight: check.count32("weight", &raw.weight, 1, 1..=1_000),
        },
    })
}

fn given<T: Clone>(given: &Option<At<T>>) -> Option<T> {
    given.as_ref().map(|given| given.value.clone())
}

fn unsynced(raw: &RawFault, default: Unsynced) -> Unsynced {
    given(&raw.unsynced).map_or(default, Unsynced::from)
}

fn extra(check: &mut Check<'_>, raw: &RawFault) -> Option<Distribution> {
    let extra = raw.extra.as_ref()?;
    Some(some_time(check, "extra", extra))
}

fn bandwidth(check: &mut Check<'_>, raw: &RawFault) -> Option<f64> {
    let given = raw.bandwidth.as_ref()?;
    if given.value.0.is_none() {
        check.push(
            Problem::new(given.span.clone(), "an unlimited bandwidth is no fault")
                .help("write a bandwidth such as \"1MB/s\""),
        );
    }
    given.value.0
}

/// Of a throttled disk one limit has to be said.
fn throttle(check: &mut Check<'_>, at: &At<RawFault>, name: &str) -> Option<FaultKind> {
    let raw = &at.value;
    if raw.bandwidth.is_none() && raw.iops.is_none() {
        let problem = Problem::new(
            at.span.clone(),
            format!(
                "the fault `{}` has neither `bandwidth` nor `iops`",
                short(name)
            ),
        );
        check.push(problem.help("add `bandwidth = \"1MB/s\"`, `iops = 500`, or both"));
        return None;
    }
    let iops = (raw.iops.as_ref()).map(|_| check.number("iops", &raw.iops, 1.0, 0.1..=1e9));
    let bandwidth = match raw.bandwidth {
        Some(_) => Some(bandwidth(check, raw)?),
        None => None,
    };
    Some(FaultKind::ThrottleDisk { bandwidth, iops })
}

/// Real clocks drift by a few hundred; beyond a tenth time itself would be in doubt.
fn ppm(check: &mut Check<'_>, raw: &RawFault) -> Option<f64> {
    let given = raw.ppm.as_ref()?;
    if given.value.0.abs() > MOST_DRIFT {
        let problem = Problem::new(given.span.clone(), "`ppm` is out of range");
        check.push(problem.help("write a number from -100000 to 100000"));
    }
    Some(given.value.0.into())
}

/// Most loss of packets.
const MOST_LOSS: f64 = 0.9;

/// Most drift of a clock, in millionths.
const MOST_DRIFT: i32 = 100_000;
