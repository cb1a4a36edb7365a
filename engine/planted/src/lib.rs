//! A catalogue of bugs, to test the checkers with: what an engine, or the disk below it, could get wrong.
//!
//! Each acts at the broker's boundary: on its configuration, on what it is told and asks for, on what a restart finds. The core
//! has no line for them, and no product is built with the simulator's feature `planted-bugs`.

mod delivering;
mod logging;
mod queueing;

use std::sync::Arc;

use queuelab_core::{Message, Properties};
use queuelab_scenario::Scenario;
use queuelab_sim::Bug;

/// A bug, a small workload that shows it, and who sees it.
#[derive(Clone, Copy, Debug)]
pub struct Planted {
    /// The bug.
    pub bug: Bug,
    /// The invariant that it violates; `panic` for a failed assertion.
    pub seen_by: &'static str,
    /// The workload, as TOML.
    pub workload: &'static str,
}

impl Planted {
    /// The workload.
    ///
    /// # Panics
    /// If the text has a mistake.
    pub fn scenario(&self) -> Arc<Scenario> {
        match Scenario::parse("planted.toml", self.workload, &[]) {
            Ok(scenario) => Arc::new(scenario),
            Err(error) => panic!("{}: {}", self.bug.name, error.render(false)),
        }
    }
}

/// All of them.
pub fn catalogue() -> Vec<Planted> {
    [logging::bugs(), queueing::bugs(), delivering::bugs()].concat()
}

/// The properties of a message, to change; nothing if it has none.
fn properties(message: &mut Message) -> Option<&mut Properties> {
    message.properties.as_mut().map(Arc::make_mut)
}

/// Two clients, two workers, one durable queue.
macro_rules! workload {
    ($queue:literal, $producer:literal, $consumer:literal, $more:literal) => {
        concat!(
            "title = \"Work\"\nabout = \"For a planted bug\"\nduration = \"12s\"\n",
            "[cluster]\ndisk = { fsync = \"10ms\" }\n",
            "[[queue]]\nname = \"jobs\"\n",
            $queue,
            "\n[[producer]]\nname = \"clients\"\nto = \"jobs\"\nrate = \"60/s\"\n",
            "confirm = { window = 20, timeout = \"5s\" }\nreconnect = \"100ms\"\n",
            $producer,
            "\n[[consumer]]\nname = \"workers\"\nfrom = \"jobs\"\n",
            $consumer,
            "\n",
            $more,
        )
    };
}
pub(crate) use workload;
