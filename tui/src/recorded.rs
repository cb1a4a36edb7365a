//! A finished record, played back: what tests watch.

use queuelab_core::{Span, Time};
use queuelab_record::{FaultRecord, RunRecord, Verdict};
use queuelab_sim::LogLine;

use crate::faults::{Menu, Order};
use crate::source::Source;

/// A record, known up to an instant. Counts of the whole run stand in it from the start; series end at the present.
pub(crate) struct Recorded {
    record: RunRecord,
    now: Time,
}

impl Recorded {
    pub(crate) fn new(record: RunRecord) -> Recorded {
        Recorded {
            record,
            now: Time::ZERO,
        }
    }
}

impl Source for Recorded {
    fn now(&self) -> Time {
        self.now
    }

    fn end(&self) -> Time {
        self.record
            .phases
            .last()
            .map_or(self.record.end, |phase| phase.until)
    }

    fn advance(&mut self, until: Time) {
        self.now = until.max(self.now).min(self.end());
    }

    fn step(&mut self) {
        self.advance(self.now + Span::from_micros(1));
    }

    fn rewind(&mut self, until: Time) {
        // As one that keeps an instant per minute.
        self.now = Time(until.0 / 60_000_000_000 * 60_000_000_000);
    }

    fn restart(&mut self) {
        self.now = Time::ZERO;
    }

    fn inject(&mut self, order: Order) {
        self.record.faults.push(FaultRecord {
            name: "injected-1".into(),
            kind: order.kind.name().into(),
            target: "n1".into(),
            from: self.now,
            until: self.now + order.span,
            effect: "it was recorded".into(),
        });
    }

    fn menu(&self) -> Menu {
        let scenario = queuelab_scenario::open("flash-sale", &[]).unwrap();
        Menu::of(&scenario, self.end())
    }

    fn record(&self) -> RunRecord {
        let mut record = self.record.clone();
        if self.now < record.end {
            let windows = (self.now.0 / record.window.0) as usize;
            record.end = self.now;
            record.faults.retain(|fault| fault.from <= self.now);
            record.alarms.retain(|alarm| alarm.from <= self.now);
            for alarm in &mut record.alarms {
                alarm.until = alarm.until.min(self.now);
            }
            record.answer = None;
            for expectation in &mut record.expectations {
                expectation.verdict = Verdict::Undecided;
                expectation.measured = "no samples".into();
            }
            for queue in &mut record.queues {
                let series = &mut queue.series;
                for values in [
                    &mut series.ready,
                    &mut series.ready_max,
                    &mut series.in_flight,
                    &mut series.oldest_age,
                    &mut series.published,
                    &mut series.delivered,
                    &mut series.redelivered,
                    &mut series.acked,
                    &mut series.delayed,
                    &mut series.dead_lettered,
                ] {
                    values.truncate(windows);
                }
                queue.ready_end = queue.series.ready.last().copied().unwrap_or(0);
                queue.in_flight_end = queue.series.in_flight.last().copied().unwrap_or(0);
                queue.delayed_end = queue.series.delayed.last().copied().unwrap_or(0);
            }
            for group in &mut record.groups {
                let series = &mut group.series;
                for values in [
                    &mut series.lag,
                    &mut series.members,
                    &mut series.delivered,
                    &mut series.settled,
                ] {
                    values.truncate(windows);
                }
                group.lag_end = group.series.lag.last().copied().unwrap_or(0);
                let members = group.series.members.last().copied().unwrap_or(0);
                group.members_end = members as u32;
            }
            for series in &mut record.latency_series {
                for values in [
                    &mut series.count,
                    &mut series.p50,
                    &mut series.p90,
                    &mut series.p99,
                    &mut series.max,
                ] {
                    values.truncate(windows);
                }
            }
            for group in &mut record.consumers {
                group.utilisation_series.truncate(windows);
            }
        }
        record
    }

    fn log(&self) -> Vec<LogLine> {
        let phases = self
            .record
            .phases
            .iter()
            .map(|phase| (phase.from, format!("phase {}", phase.name)));
        let faults = self.record.faults.iter().flat_map(|fault| {
            let begins = format!("fault {}: {} of {}", fault.name, fault.kind, fault.target);
            let effect = format!("fault {}: {}", fault.name, fault.effect);
            let ends = format!("fault {} is over", fault.name);
            [
                (fault.from, begins),
                (fault.from, effect),
                (fault.until, ends),
            ]
        });
        let lines = phases.chain(faults);
        let mut lines: Vec<LogLine> = lines
            .map(|(at, text)| LogLine { at, text })
            .filter(|line| line.at <= self.now)
            .collect();
        lines.sort_by_key(|line| line.at);
        lines
    }
}
