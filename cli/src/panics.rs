//! Panics of the broker or the simulator: what a run shows, never a message of the Rust runtime.

use std::cell::Cell;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use queuelab_core::Time;
use queuelab_sim::{Simulation, panicked};

/// A run that ended with a failed assertion.
#[derive(Debug)]
pub(crate) struct Failed {
    /// The scenario.
    pub(crate) scenario: String,
    /// Its seed.
    pub(crate) seed: u64,
    /// When, in virtual time.
    pub(crate) at: Time,
    /// The assertion's message.
    pub(crate) message: String,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failed {
            scenario,
            seed,
            at,
            message,
        } = self;
        write!(
            f,
            "{scenario}, seed {seed}: an assertion of the broker or the simulator failed at {at}: {message}\n  \
             That is a bug of queuelab, or of a change to it. This makes it small and explains it:\n  \
             queuelab hunt {scenario} --first-seed {seed} --seeds 1"
        )
    }
}

impl std::error::Error for Failed {}

/// Drives a simulation with `drive`; a panic on the way is an error that says so.
///
/// # Errors
/// [`Failed`].
pub(crate) fn caught<T>(
    simulation: &mut Simulation,
    (scenario, seed): (&str, u64),
    drive: impl FnOnce(&mut Simulation) -> T,
) -> Result<T, Failed> {
    let driven = quietly(|| panic::catch_unwind(AssertUnwindSafe(|| drive(&mut *simulation))));
    driven.map_err(|payload| {
        let at = simulation.now();
        let violation = panicked(at, payload.as_ref());
        Failed {
            scenario: scenario.into(),
            seed,
            at,
            message: match violation.broken {
                queuelab_sim::Broken::Panic { message } => message,
                queuelab_sim::Broken::Invariant { .. } => violation.text,
            },
        }
    })
}

/// Calls `act`; what panics in it on this thread prints nothing.
pub(crate) fn quietly<T>(act: impl FnOnce() -> T) -> T {
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                usual(info);
            }
        }));
    });
    let before = QUIET.replace(true);
    let result = act();
    QUIET.set(before);
    result
}

static HOOK: Once = Once::new();

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_in_plain_words() {
        let scenario = queuelab_scenario::open("hello", &[]).unwrap();
        let options = queuelab_sim::Options {
            seed: 7,
            check: true,
        };
        let mut simulation = Simulation::new(scenario.into(), options);
        let failed = caught(&mut simulation, ("hello", 7), |simulation| {
            simulation.run_until(Time(2_000_000_000));
            assert_eq!(simulation.sent(), 0, "nothing is sent");
        });
        let text = failed.unwrap_err().to_string();
        assert!(text.starts_with("hello, seed 7: an assertion"), "{text}");
        assert!(text.contains("failed at 2 s: "), "{text}");
        assert!(text.contains("nothing is sent"), "{text}");
        assert!(
            text.ends_with("queuelab hunt hello --first-seed 7 --seeds 1"),
            "{text}"
        );
    }
}
