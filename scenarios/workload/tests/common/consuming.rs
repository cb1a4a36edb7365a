//! Scripts for one consumer: a line per event, and what the consumer did at which millisecond.

use std::fmt::Write;
use std::sync::Arc;

use expect_test::Expect;
use queuelab_core::Time;
use queuelab_scenario::Consumer as Spec;
use queuelab_workload::{Consumer, ConsumerAction, ConsumerPlan, Delivery};

use super::{ms, scenario};

pub fn plan(spec: Spec) -> Arc<ConsumerPlan> {
    let mut scenario = scenario(1);
    scenario.consumers = vec![spec];
    Arc::new(ConsumerPlan::new(&scenario, 0, 1))
}

/// Message and delivery tag are the same number.
pub fn delivery(subscription: u32, number: u64) -> Delivery {
    Delivery {
        subscription,
        delivery: number,
        tag: number,
        partition: 0,
        serial: number,
        redelivered: false,
        attempt: 0,
    }
}

/// `a1` or `b2`: the queue and the number.
fn named(word: &str) -> Delivery {
    let subscription = u32::from(word.starts_with('b'));
    delivery(subscription, word[1..].parse().expect("a number"))
}

/// Runs a script of `MS EVENT` lines, then on until nothing more is due.
pub fn check(spec: Spec, script: &str, expected: Expect) {
    let mut consumer = Consumer::new(plan(spec), 0);
    let (mut out, mut log) = (Vec::new(), String::new());
    if consumer.start() == Time::ZERO {
        consumer.connected(Time::ZERO, &mut out);
        note(Time::ZERO, &mut out, &mut log);
    }
    for line in script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        let words: Vec<&str> = line.split_whitespace().collect();
        let now = ms(words[0].parse().expect("a number"));
        run(&mut consumer, now, &mut log);
        match words[1] {
            "deliver" => {
                // `a1 b2`: the queue and the number.
                for word in &words[2..] {
                    consumer.deliver(now, named(word), &mut out);
                }
            }
            "connected" => consumer.connected(now, &mut out),
            "reset" => consumer.reset(now, &mut out),
            "crash" => consumer.crash(now, &mut out),
            "restart" => consumer.restart(now, &mut out),
            "factor" => consumer.set_factor(now, words[2].parse().expect("a number")),
            "pause" => consumer.pause(now),
            "resume" => consumer.resume(now, &mut out),
            "empty" => consumer.empty(now, 0, &mut out),
            "forwarded" => consumer.forwarded(now, named(words[2]), true, &mut out),
            "refused" => consumer.forwarded(now, named(words[2]), false, &mut out),
            "committed" => consumer.committed(now, 0, true, &mut out),
            "aborted" => consumer.committed(now, 0, false, &mut out),
            "stale" => consumer.tick(now, &mut out),
            "show" => {
                let (buffered, serving, busy) = (
                    consumer.buffered(),
                    consumer.serving(),
                    consumer.busy_time(now),
                );
                let (served, nacked) = (consumer.served(), consumer.nacked());
                let line = format!(
                    "buffered {buffered}, serving {serving}, busy {busy}, served {served}, nacked {nacked}"
                );
                writeln!(log, "{:<3} {line}", words[0]).expect("a string takes any text");
            }
            other => panic!("no such event: {other}"),
        }
        note(now, &mut out, &mut log);
    }
    run(&mut consumer, Time::MAX, &mut log);
    expected.assert_eq(&log);
}

fn run(consumer: &mut Consumer, until: Time, log: &mut String) {
    let mut out = Vec::new();
    while let Some(due) = consumer.deadline().filter(|due| *due <= until) {
        consumer.tick(due, &mut out);
        note(due, &mut out, log);
    }
}

fn note(now: Time, out: &mut Vec<ConsumerAction>, log: &mut String) {
    let queue = |subscription: u32| if subscription == 0 { 'a' } else { 'b' };
    for action in out.drain(..) {
        let what = match action {
            ConsumerAction::Served {
                delivery:
                    Delivery {
                        subscription,
                        delivery,
                        ..
                    },
                received,
                started,
                ended,
                ..
            } => {
                assert_eq!(ended, now);
                let (wait, service) = (started - received, ended - started);
                format!(
                    "served {}{delivery}: waited {wait}, took {service}",
                    queue(subscription)
                )
            }
            ConsumerAction::Ack {
                subscription,
                delivery,
                multiple,
            } => {
                format!(
                    "ack {}{delivery}{}",
                    queue(subscription),
                    if multiple { " multiple" } else { "" }
                )
            }
            ConsumerAction::Nack {
                subscription,
                delivery,
                requeue,
            } => {
                format!(
                    "nack {}{delivery}{}",
                    queue(subscription),
                    if requeue { " requeue" } else { "" }
                )
            }
            ConsumerAction::Connect => "connect!".into(),
            ConsumerAction::Disconnect { crash: true } => "crash!".into(),
            ConsumerAction::Disconnect { crash: false } => "leave".into(),
            ConsumerAction::Get { subscription } => format!("get {}", queue(subscription)),
            ConsumerAction::Renew {
                subscription,
                delivery,
            } => format!("renew {}{delivery}", queue(subscription)),
            ConsumerAction::Forward {
                delivery, target, ..
            } => format!(
                "forward {}{} to {target}",
                queue(delivery.subscription),
                delivery.delivery
            ),
            ConsumerAction::Commit { subscription } => format!("commit {}", queue(subscription)),
        };
        writeln!(log, "{:<3} {what}", now.0 / 1_000_000).expect("a string takes any text");
    }
}
