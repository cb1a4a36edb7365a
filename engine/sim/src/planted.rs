//! The seam at which tests plant bugs: what the broker is told, what it asks for, and what a restart finds.
//!
//! With the feature `planted-bugs` a plan can carry a bug; without it, which is how the product is built, nothing of this is
//! there and the calls are empty.

#[cfg(feature = "planted-bugs")]
pub use with::{Bug, Planted, Seen};
#[cfg(not(feature = "planted-bugs"))]
pub use without::Planted;

#[cfg(feature = "planted-bugs")]
mod with {
    use std::collections::BTreeMap;

    use queuelab_core::{BrokerConfig, ChannelId, Input, Output, Recovered, Request, Time};

    use crate::plan::Plan;

    /// A mutation of the engine or its disk, at the boundary of the broker.
    #[derive(Clone, Copy, Debug)]
    pub struct Bug {
        /// What is wrong, in a few words.
        pub name: &'static str,
        /// Changes how a life of the broker is configured.
        pub config: fn(&mut Seen, &mut BrokerConfig),
        /// Changes what a restart finds.
        pub recovered: fn(&mut Seen, &mut Recovered),
        /// Changes what the broker is told; false keeps it from the broker.
        pub input: fn(&mut Seen, Time, &mut Input) -> bool,
        /// Changes what the broker asks for.
        pub outputs: fn(&mut Seen, Time, &mut Vec<Output>),
    }

    /// What a bug remembers.
    #[derive(Clone, Debug, Default)]
    pub struct Seen {
        /// Which life the broker lives, from 0.
        pub incarnation: u32,
        /// A counter.
        pub count: u64,
        /// Facts by number.
        pub facts: BTreeMap<u64, u64>,
        /// Outputs that it keeps.
        pub kept: Vec<Output>,
    }

    impl Bug {
        /// A bug that does nothing yet.
        pub const fn named(name: &'static str) -> Bug {
            Bug {
                name,
                config: |_, _| {},
                recovered: |_, _| {},
                input: |_, _, _| true,
                outputs: |_, _, _| {},
            }
        }
    }

    impl PartialEq for Bug {
        fn eq(&self, other: &Bug) -> bool {
            self.name == other.name
        }
    }

    /// A bug in a node, if there is one.
    #[derive(Clone, Debug, Default)]
    pub struct Planted(Option<Box<(Bug, Seen)>>);

    impl Planted {
        pub fn of(plan: &Plan) -> Planted {
            Planted(plan.bug.map(|bug| Box::new((bug, Seen::default()))))
        }

        pub fn boots(
            &mut self,
            incarnation: u32,
            config: &mut BrokerConfig,
            recovered: &mut Recovered,
        ) {
            if let Some((bug, seen)) = self.0.as_deref_mut() {
                seen.incarnation = incarnation;
                seen.kept.clear();
                (bug.config)(seen, config);
                (bug.recovered)(seen, recovered);
            }
        }

        pub fn input(&mut self, now: Time, input: &mut Input) -> bool {
            match self.0.as_deref_mut() {
                Some((bug, seen)) => (bug.input)(seen, now, input),
                None => true,
            }
        }

        /// As `input`, for a client's request.
        pub fn request(&mut self, now: Time, channel: ChannelId, request: &mut Request) -> bool {
            let taken = std::mem::replace(request, Request::Rollback);
            let mut input = Input::Client {
                channel,
                request: taken,
            };
            match (self.input(now, &mut input), input) {
                (
                    true,
                    Input::Client {
                        request: changed, ..
                    },
                ) => {
                    *request = changed;
                    true
                }
                _ => false,
            }
        }

        pub fn outputs(&mut self, now: Time, outputs: &mut Vec<Output>) {
            if let Some((bug, seen)) = self.0.as_deref_mut() {
                (bug.outputs)(seen, now, outputs);
            }
        }
    }
}

#[cfg(not(feature = "planted-bugs"))]
mod without {
    use queuelab_core::{BrokerConfig, ChannelId, Input, Output, Recovered, Request, Time};

    use crate::plan::Plan;

    /// No bug.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct Planted;

    impl Planted {
        #[inline(always)]
        pub fn of(_: &Plan) -> Planted {
            Planted
        }

        #[inline(always)]
        pub fn boots(&mut self, _: u32, _: &mut BrokerConfig, _: &mut Recovered) {}

        #[inline(always)]
        pub fn input(&mut self, _: Time, _: &mut Input) -> bool {
            true
        }

        #[inline(always)]
        pub fn request(&mut self, _: Time, _: ChannelId, _: &mut Request) -> bool {
            true
        }

        #[inline(always)]
        pub fn outputs(&mut self, _: Time, _: &mut Vec<Output>) {}
    }
}
