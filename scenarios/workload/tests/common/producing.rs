//! Scripts for one producer: a line per event, and what the producer did at which millisecond.
//!
//! Arrivals come once in each millisecond, at a fraction that the seed decides; the script's events come at its start.

use std::fmt::Write;
use std::sync::Arc;

use expect_test::Expect;
use queuelab_core::Time;
use queuelab_scenario::Producer as Spec;
use queuelab_workload::{Producer, ProducerAction, ProducerPlan, Publish};

use super::{ms, scenario};

/// A member under test, and all that it did.
struct Bench {
    producer: Producer,
    out: Vec<ProducerAction>,
    log: String,
}

impl Bench {
    /// Ticks at every deadline before `until`.
    fn run(&mut self, until: Time) {
        while let Some(due) = self.producer.deadline().filter(|due| *due < until) {
            self.producer.tick(due, &mut self.out);
            self.note(due);
        }
    }

    fn note(&mut self, now: Time) {
        for action in self.out.drain(..) {
            let what = match action {
                ProducerAction::Publish(Publish {
                    sequence,
                    intended,
                    attempt,
                    ..
                }) => {
                    let late = (now - intended).0 / 1_000_000;
                    let again = match attempt {
                        0 => String::new(),
                        _ => format!(" again ({attempt})"),
                    };
                    let number = match self.producer.number(sequence) {
                        None => String::new(),
                        Some(place) => format!(" as {}/{}", place.epoch, place.sequence),
                    };
                    if late == 0 {
                        format!("publish {sequence}{again}{number}")
                    } else {
                        format!("publish {sequence}{again}{number}, {late} ms late")
                    }
                }
                ProducerAction::Finished {
                    sequence, outcome, ..
                } => format!("{outcome:?} {sequence}"),
                ProducerAction::Connect => "connect!".into(),
                ProducerAction::Commit => "commit".into(),
                ProducerAction::Disconnect { crash: true } => "crash!".into(),
                ProducerAction::Disconnect { crash: false } => "leave".into(),
            };
            writeln!(self.log, "{:<3} {what}", now.0 / 1_000_000).expect("a string takes any text");
        }
    }
}

/// Runs a script of `MS EVENT` lines to its last line's instant.
pub fn check(spec: Spec, script: &str, expected: Expect) {
    let mut scenario = scenario(1);
    scenario.producers = vec![spec];
    let plan = Arc::new(ProducerPlan::new(&scenario, 0, 1));
    let mut bench = Bench {
        producer: Producer::new(plan, 0),
        out: Vec::new(),
        log: String::new(),
    };
    for line in script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| words[at].parse::<u64>().expect("a number");
        let now = ms(number(0));
        bench.run(now);
        let Bench { producer, out, log } = &mut bench;
        match words[1] {
            "connected" => producer.connected(now, out),
            "reset" => producer.reset(now, out),
            "confirm" => producer.confirm(now, number(2), words.contains(&"multiple"), true, out),
            "refuse" => producer.confirm(now, number(2), words.contains(&"multiple"), false, out),
            "blocked" => producer.writable(now, false, out),
            "writable" => producer.writable(now, true, out),
            "consumed" => producer.consumed(now, number(2), out),
            "committed" => producer.committed(now, true, out),
            "aborted" => producer.committed(now, false, out),
            "stale" => producer.tick(now, out),
            "show" => {
                let (offered, waiting, unconfirmed) = (
                    producer.offered(),
                    producer.waiting(),
                    producer.unconfirmed(),
                );
                writeln!(
                    log,
                    "{:<3} offered {offered}, waiting {waiting}, unconfirmed {unconfirmed}",
                    number(0)
                )
                .expect("a string takes any text");
            }
            other => panic!("no such event: {other}"),
        }
        bench.note(now);
    }
    expected.assert_eq(&bench.log);
}
