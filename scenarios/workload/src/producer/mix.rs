//! What messages carry besides key and body.

use bytes::Bytes;
use queuelab_core::{Properties, Value};
use queuelab_scenario::Producer;

use super::Publish;
use crate::choice::{KeyChoice, Weighted};
use crate::distribution::Sampler;
use crate::random::{Draw, Stream};

/// The properties of a group's messages, each a function of member and sequence: attempts do not differ.
#[derive(Clone, Debug)]
pub(super) struct Mix {
    name: String,
    priorities: Vec<u8>,
    priority: Choice,
    ttl: Option<Time>,
    delay: Option<Time>,
    group_by_key: bool,
    /// By name, ascending.
    headers: Vec<(Bytes, Vec<Value>, Choice)>,
    id: bool,
    duplicates: f64,
    repeats: Stream,
}

/// A choice by weight.
#[derive(Clone, Debug)]
struct Choice {
    weights: Weighted,
    stream: Stream,
}

/// A random span.
#[derive(Clone, Debug)]
struct Time {
    sampler: Sampler,
    stream: Stream,
}

impl Mix {
    /// `None` if a group's messages carry nothing.
    pub(super) fn new(spec: &Producer, seed: u64) -> Option<Box<Mix>> {
        if spec.properties.is_empty() {
            return None;
        }
        let stream =
            |purpose: &str| Stream::new(seed, &format!("producer {} {purpose}", spec.name), 0);
        let mix = &spec.properties;
        let time = |distribution, purpose: &str| Time {
            sampler: Sampler::new(distribution),
            stream: stream(purpose),
        };
        let header = |(name, values): &(String, Vec<(Value, f64)>)| {
            (
                Bytes::copy_from_slice(name.as_bytes()),
                values.iter().map(|(value, _)| value.clone()).collect(),
                Choice {
                    weights: Weighted::new(values.iter().map(|(_, weight)| *weight).collect()),
                    stream: stream(&format!("header {name}")),
                },
            )
        };
        let mut headers: Vec<(Bytes, Vec<Value>, Choice)> =
            mix.headers.iter().map(header).collect();
        headers.sort_by(|(one, ..), (other, ..)| one.cmp(other));
        Some(Box::new(Mix {
            name: spec.name.clone(),
            priorities: mix.priority.iter().map(|(priority, _)| *priority).collect(),
            priority: Choice {
                weights: Weighted::new(mix.priority.iter().map(|(_, weight)| *weight).collect()),
                stream: stream("priorities"),
            },
            ttl: (mix.ttl.as_ref()).map(|ttl| time(ttl, "ttls")),
            delay: (mix.delay.as_ref()).map(|delay| time(delay, "delays")),
            group_by_key: mix.group_by_key,
            headers,
            id: mix.id || mix.duplicates > 0.0,
            duplicates: mix.duplicates,
            repeats: stream("duplicates"),
        }))
    }

    pub(super) fn properties(
        &self,
        member: u32,
        publish: &Publish,
        keys: &KeyChoice,
    ) -> Properties {
        let sequence = publish.sequence;
        let draw = |stream: &Stream| stream.at2(u64::from(member), sequence);
        let time = |time: &Time| time.sampler.sample(&mut draw(&time.stream));
        let pick = |choice: &Choice| choice.weights.pick(&mut draw(&choice.stream)) as usize;
        let priority = if self.priorities.len() > 1 {
            pick(&self.priority)
        } else {
            0
        };
        let headers = self.headers.iter().filter_map(|(name, values, choice)| {
            let value = values.get(pick(choice))?;
            Some((name.clone(), value.clone()))
        });
        let key = || keys.name(publish.key);
        Properties {
            priority: self.priorities.get(priority).copied().unwrap_or(0),
            ttl: self.ttl.as_ref().map(time),
            delay: self.delay.as_ref().map(time),
            group: (self.group_by_key.then(key)).filter(|key| !key.is_empty()),
            id: self.id.then(|| {
                let number = self.identity(member, sequence);
                Bytes::from(format!("{}-{member}-{number}", self.name))
            }),
            producer: None,
            reply_to: None,
            headers: headers.collect(),
            deaths: Vec::new(),
        }
    }

    /// The first of the messages, back from this one, that share their identity.
    fn identity(&self, member: u32, sequence: u64) -> u64 {
        if self.duplicates >= 1.0 {
            return 0;
        }
        let repeats = |number: &u64| {
            let mut draw: Draw = self.repeats.at2(u64::from(member), *number);
            draw.next_f64() < self.duplicates
        };
        let mut number = sequence;
        while number > 0 && self.duplicates > 0.0 && repeats(&number) {
            number -= 1;
        }
        number
    }
}
