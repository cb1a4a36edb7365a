//! Swarm testing: each seed has a random subset of the kinds of faults, at random intensities, on random targets, at random times.
//!
//! Groce, Zhang, Eide, Chen, Regehr: Swarm testing, ISSTA 2012: what is left out lets the rest go further than a little of everything.

use queuelab_core::{Span, Time};
use queuelab_scenario::{
    Clients, Direction, Distribution, Durability, End, Fault, FaultBudget, FaultKind, Milestone,
    Queues, Rot, Scenario, Share, Unsynced, When, Whose,
};
use queuelab_workload::{Draw, Stream};

/// The faults of one seed, of the kinds that the scenario's budget allows: with a recoverable one only those that leave what its queues have
/// confirmed. All begin in the first two thirds of the run.
pub fn swarm(scenario: &Scenario, seed: u64) -> Vec<Fault> {
    let end = scenario.end();
    let streams = Stream::new(seed, "swarm", 0);
    // In one seed nearly every kind, in another hardly any.
    let share = [0.05, 0.15, 0.4][streams.at(0).below(3) as usize];
    let mut faults = Vec::new();
    for number in 0..KINDS {
        let mut dice = Dice {
            scenario,
            end,
            draw: streams.at(u64::from(number) + 1),
        };
        let included = dice.draw.next_f64() < share;
        let kind = dice.kind(number);
        let fault = dice.fault(kind, number);
        let allowed = match scenario.budget {
            FaultBudget::Recoverable => scenario.survives(&fault.kind),
            FaultBudget::Unrestricted => true,
        };
        if included && allowed && dice.makes_sense(&fault.kind) {
            faults.push(fault);
        }
    }
    faults
}

/// How many kinds of faults there are.
const KINDS: u32 = 45;

struct Dice<'s> {
    scenario: &'s Scenario,
    end: Time,
    draw: Draw,
}

impl Dice<'_> {
    fn fault(&mut self, kind: FaultKind, number: u32) -> Fault {
        let until = Time(self.end.0 / 3 * 2);
        let length = self.logarithmic(0.000_5, 0.1) * self.end.as_secs_f64();
        let mean = Span::from_secs_f64(length).max(Span::from_micros(10));
        let when = match self.draw.below(4) {
            0 => When::At(Time(self.draw.below(until.0.max(1)))),
            1 => When::Every {
                mean: Span::from_secs_f64(self.logarithmic(0.01, 1.0) * self.end.as_secs_f64()),
                from: Time::ZERO,
                until,
            },
            2 => When::On {
                milestone: self.milestone(),
                nth: 1 + self.logarithmic(1.0, 1e4) as u64,
                before: self.draw.below(2) == 0,
            },
            _ => When::EachStep {
                every: Span(self.end.0 / 100).max(Span(1)),
                p: self.logarithmic(0.005, 0.2),
                heal_p: self.logarithmic(0.05, 1.0),
                stability: Span::ZERO,
                heal_stability: Span::ZERO,
                from: Time::ZERO,
                until,
            },
        };
        let span = match (&kind, &when) {
            _ if is_instant(&kind) => Distribution::Constant(Span::ZERO),
            (_, When::EachStep { .. }) => Distribution::Constant(Span::MAX),
            _ => Distribution::Exponential(mean),
        };
        Fault {
            name: format!("{}-{number}", kind.name()),
            kind,
            when,
            span,
            draw: self.draw.next_u64(),
        }
    }

    /// Between `low` and `high`, evenly on a logarithmic scale.
    fn logarithmic(&mut self, low: f64, high: f64) -> f64 {
        low * libm::pow(high / low, self.draw.next_f64())
    }

    fn milestone(&mut self) -> Milestone {
        let all = [
            Milestone::Publish,
            Milestone::Enqueue,
            Milestone::Confirm,
            Milestone::Deliver,
            Milestone::Ack,
            Milestone::Requeue,
            Milestone::DeadLetter,
            Milestone::Expire,
            Milestone::Fsync,
            Milestone::Restart,
            Milestone::Rebalance,
        ];
        all[self.draw.below(all.len() as u64) as usize]
    }

    fn unsynced(&mut self) -> Unsynced {
        let all = [
            Unsynced::Drop,
            Unsynced::Keep,
            Unsynced::Random,
            Unsynced::Torn,
            Unsynced::Corrupt,
        ];
        all[self.draw.below(5) as usize]
    }

    fn share(&mut self) -> Share {
        [Share::All, Share::One, Share::Minority, Share::Majority][self.draw.below(4) as usize]
    }

    fn anybody(&mut self) -> Clients {
        let of = [Whose::Everybody, Whose::Producers, Whose::Consumers];
        Clients {
            of: of[self.draw.below(3) as usize],
            share: self.share(),
        }
    }

    fn producers(&mut self) -> Clients {
        let groups = self.scenario.producers.len() as u64;
        let of = match self.draw.below(groups + 1) {
            group if group < groups => Whose::Producer(group as usize),
            _ => Whose::Producers,
        };
        let share = self.share();
        Clients { of, share }
    }

    fn consumers(&mut self) -> Clients {
        let groups = self.scenario.consumers.len() as u64;
        let of = match self.draw.below(groups + 1) {
            group if group < groups => Whose::Consumer(group as usize),
            _ => Whose::Consumers,
        };
        let share = self.share();
        Clients { of, share }
    }

    fn queues(&mut self) -> Queues {
        match self.draw.below(2) {
            0 => Queues::One,
            _ => Queues::Queue(self.draw.below(self.scenario.queues.len() as u64) as usize),
        }
    }

    fn jump(&mut self) -> i64 {
        let by = (self.logarithmic(1e-3, 1e5) * 1e9) as i64;
        if self.draw.below(2) == 0 { by } else { -by }
    }

    fn kind(&mut self, number: u32) -> FaultKind {
        let p = self.logarithmic(0.001, 1.0);
        let factor = self.logarithmic(1.5, 100.0);
        match number {
            0 | 1 => FaultKind::Crash {
                unsynced: self.unsynced(),
            },
            2 | 3 => FaultKind::PowerLoss {
                unsynced: self.unsynced(),
            },
            4 => FaultKind::Stop {
                grace: Span::from_secs_f64(self.logarithmic(0.001, 5.0)),
            },
            5 => FaultKind::Restart,
            6 => FaultKind::Wipe,
            7 => FaultKind::Pause,
            8 => FaultKind::SlowCpu { factor },
            9 => FaultKind::OutOfMemory {
                bytes: self.logarithmic(1e3, 1e8) as u64,
            },
            10 => FaultKind::SlowDisk { factor },
            11 => FaultKind::StallDisk,
            12 => match self.draw.below(2) {
                0 => FaultKind::ThrottleDisk {
                    bandwidth: Some(self.logarithmic(1e4, 1e8)),
                    iops: None,
                },
                _ => FaultKind::ThrottleDisk {
                    bandwidth: None,
                    iops: Some(self.logarithmic(5.0, 5e3)),
                },
            },
            13 => FaultKind::FsyncError { p },
            14 => FaultKind::FsyncLie { p },
            15 => FaultKind::WriteError { p },
            16 => FaultKind::ReadError { p },
            17 => FaultKind::DiskFull,
            18 => FaultKind::BitRot {
                bits: self.logarithmic(1.0, 100.0) as u32,
                of: [Rot::Synced, Rot::Any, Rot::Checkpoints][self.draw.below(3) as usize],
            },
            19 => FaultKind::MisdirectedWrite,
            20 => FaultKind::TruncateLog {
                bytes: self.logarithmic(1.0, 1e6) as u64,
            },
            21 => FaultKind::Rollback,
            22 => FaultKind::Latency {
                clients: self.anybody(),
                extra: Distribution::Exponential(Span::from_secs_f64(self.logarithmic(1e-3, 5.0))),
            },
            23 => FaultKind::Loss {
                clients: self.anybody(),
                p: p.min(0.5),
            },
            24 => FaultKind::Clog {
                clients: self.anybody(),
                direction: [Direction::In, Direction::Out, Direction::Both]
                    [self.draw.below(3) as usize],
            },
            25 => FaultKind::Swizzle {
                clients: self.anybody(),
            },
            26 => FaultKind::Reset {
                clients: self.anybody(),
            },
            27 => FaultKind::HalfOpen {
                clients: self.anybody(),
                unaware: [End::Node, End::Client][self.draw.below(2) as usize],
            },
            28 => FaultKind::ConnectHang {
                clients: self.anybody(),
            },
            29 => FaultKind::Bandwidth {
                clients: self.anybody(),
                bandwidth: self.logarithmic(1e3, 1e7),
            },
            30 => FaultKind::ClockStep { by: self.jump() },
            31 => FaultKind::ClockDrift {
                ppm: self.logarithmic(1.0, 1e4),
            },
            32 => FaultKind::ClockStrobe {
                by: self.jump(),
                period: Span::from_secs_f64(self.logarithmic(0.01, 1.0)),
            },
            33 => FaultKind::Burst {
                clients: self.producers(),
                factor: self.logarithmic(1.5, 10.0),
            },
            34 => FaultKind::Oversized {
                clients: self.producers(),
                size: self.logarithmic(1e3, 1e6) as u64,
            },
            35 => FaultKind::HotKey {
                clients: self.producers(),
            },
            36 => FaultKind::ConsumerCrash {
                clients: self.consumers(),
            },
            37 => FaultKind::SlowConsumer {
                clients: self.consumers(),
                factor,
            },
            38 => FaultKind::PauseConsumer {
                clients: self.consumers(),
            },
            39 => FaultKind::AckLoss {
                clients: self.consumers(),
                p,
            },
            40 => FaultKind::NackStorm {
                clients: self.consumers(),
                p,
            },
            41 => match self.draw.below(2) {
                0 => FaultKind::Hoard {
                    clients: self.consumers(),
                },
                _ => FaultKind::Zombie {
                    clients: self.consumers(),
                },
            },
            42 => match self.draw.below(2) {
                0 => FaultKind::Purge {
                    queues: self.queues(),
                },
                _ => FaultKind::Delete {
                    queues: self.queues(),
                },
            },
            43 => FaultKind::SetDurability {
                queues: self.queues(),
                durability: Durability::Os,
            },
            _ => FaultKind::SetWeights {
                clients: self.consumers(),
                weight: 1 + self.draw.below(100) as u32,
            },
        }
    }

    /// Whether the scenario has whom the fault strikes.
    fn makes_sense(&self, kind: &FaultKind) -> bool {
        let (producers, consumers) = (&self.scenario.producers, &self.scenario.consumers);
        let broker = self.scenario.queues.iter().all(|queue| !queue.brokerless);
        let queues = kind.queues().is_none() || !self.scenario.queues.is_empty();
        let clients = match kind.clients().map(|clients| clients.of) {
            Some(Whose::Producer(_) | Whose::Producers) => !producers.is_empty(),
            Some(Whose::Consumer(_) | Whose::Consumers) => !consumers.is_empty(),
            _ => true,
        };
        broker && queues && clients
    }
}

/// What happens in an instant.
fn is_instant(kind: &FaultKind) -> bool {
    matches!(
        kind,
        FaultKind::Restart
            | FaultKind::BitRot { .. }
            | FaultKind::MisdirectedWrite
            | FaultKind::TruncateLog { .. }
            | FaultKind::Reset { .. }
            | FaultKind::Purge { .. }
            | FaultKind::Delete { .. }
    )
}
