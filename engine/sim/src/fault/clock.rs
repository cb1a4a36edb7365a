//! Faults of the node's wall clock: time itself goes on.

use queuelab_core::{Input, Span};
use queuelab_scenario::FaultKind;

use crate::world::World;

impl World {
    /// A fault of the clock begins. Returns what it does, in words.
    pub fn clock_fault_begins(&mut self, fault: u32, kind: &FaultKind) -> String {
        match kind {
            FaultKind::ClockStep { by } => {
                self.clock_steps(*by);
                format!("the wall clock jumped by {}", signed(*by))
            }
            FaultKind::ClockDrift { ppm } => {
                self.step_after(fault, DRIFT_STEP, 0);
                format!("the wall clock drifted by {ppm} ppm")
            }
            FaultKind::ClockStrobe { by, .. } => {
                self.clock_fault_steps(fault, 0);
                format!("the wall clock jumped by {} to and fro", signed(*by))
            }
            _ => String::new(),
        }
    }

    /// A fault of the clock goes on.
    pub fn clock_fault_steps(&mut self, fault: u32, step: u32) {
        let next = step.wrapping_add(1);
        match self.scenario.faults[fault as usize].kind {
            FaultKind::ClockDrift { ppm } => {
                self.clock_steps((DRIFT_STEP.0 as f64 * ppm / 1e6) as i64);
                self.step_after(fault, DRIFT_STEP, next);
            }
            FaultKind::ClockStrobe { by, period } => {
                let there = step.is_multiple_of(2);
                self.clock_steps(if there { by } else { -by });
                match there {
                    true => _ = self.strobes.insert(fault),
                    false => _ = self.strobes.remove(&fault),
                }
                self.step_after(fault, period, next);
            }
            _ => {}
        }
    }

    /// A fault of the clock is over.
    pub fn clock_fault_ends(&mut self, fault: u32, kind: &FaultKind) {
        match kind {
            FaultKind::ClockStep { by } => self.clock_steps(-by),
            FaultKind::ClockStrobe { by, .. } if self.strobes.remove(&fault) => {
                self.clock_steps(-by);
            }
            _ => {}
        }
    }

    fn clock_steps(&mut self, by: i64) {
        self.node.clock = self.node.clock.saturating_add(by);
        self.check.clock_is_off(self.node.clock);
        let now = self.calendar.now();
        let wall = self.node.wall(now);
        self.input(now, Input::Clock(wall));
        self.settle_node();
    }
}

/// A span with its sign, in words.
fn signed(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    format!("{sign}{}", Span(nanos.unsigned_abs()))
}

/// A drifting clock is told to the broker so often: it takes the time between for its own.
const DRIFT_STEP: Span = Span::from_millis(100);
