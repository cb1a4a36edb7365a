//! Raw types to a [`Scenario`]: names are resolved, defaults filled in, the impossible refused.
//!
//! Checks go on after a problem with a stand-in value, so that one reading shows many problems; a scenario is made
//! only if there were none.

mod arrivals;
mod consumers;
mod distributions;
mod faults;
mod load;
mod machines;
mod payload;
mod producers;
mod queues;
mod rules;
mod streams;
mod topology;

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};

use queuelab_core::{Span, Time};

use crate::error::{Problem, suggest};
use crate::raw::{Overrides, RawEnd, RawPhase, RawScenario, RawSteady, RawUntil};
use crate::scenario::{Expectation, Phase, Scenario, Steady, Suggestion, Until};
use crate::sentence::{self, Names};
use crate::shape::{At, Count, Duration, Number};
use crate::source::Source;
use crate::trace::Files;
use crate::units::{parse_duration, short, shown};

/// Makes a scenario of `raw`.
pub(crate) fn validate(
    name: &str,
    source: &Source,
    overrides: &[String],
    raw: RawScenario,
    files: &Files<'_>,
) -> Result<Scenario, Vec<Problem>> {
    let mut check = Check {
        source,
        problems: Vec::new(),
    };
    check.limits(&raw);
    if !check.problems.is_empty() {
        return Err(check.problems);
    }
    let phases = phases(&mut check, &raw);
    let end = phases.last().map_or(Time::ZERO, |phase| phase.until);
    let cluster = machines::cluster(&mut check, &raw.cluster);
    let exchange_index = check.index(
        "exchange",
        raw.exchange.iter().map(|exchange| &exchange.value.name),
    );
    let queue_index = check.index("queue", raw.queue.iter().map(|queue| &queue.value.name));
    let consumer_index = check.index(
        "consumer",
        raw.consumer.iter().map(|consumer| &consumer.value.name),
    );
    let producer_index = check.index(
        "producer",
        raw.producer.iter().map(|producer| &producer.value.name),
    );
    let places = topology::Places {
        exchanges: exchange_index,
        queues: queue_index,
    };

    let exchanges = raw
        .exchange
        .iter()
        .map(|exchange| topology::exchange(&mut check, &exchange.value, &places, &raw))
        .collect();
    let queues = queues::queues(&mut check, &raw, &places);
    let mut producers = producers::producers(&mut check, &raw, &places, &phases, files);
    load::scale(&mut check, &raw, &mut producers);
    let mut groups = streams::Groups::declared(&mut check, &raw, &places);
    let consumers = consumers::consumers(&mut check, &raw, &places, &phases, &mut groups);
    let groups = groups.groups;
    let faults = faults::faults(
        &mut check,
        &faults::Places {
            raw: &raw,
            producers: &producer_index,
            consumers: &consumer_index,
            queues: &places.queues,
            phases: &phases,
        },
    );
    let heal = faults::heal(&mut check, &raw, end);

    let names = Names {
        phases: phases.iter().map(|phase| phase.name.as_str()).collect(),
        queues: raw
            .queue
            .iter()
            .map(|queue| queue.value.name.value.as_str())
            .collect(),
        producers: raw
            .producer
            .iter()
            .map(|producer| producer.value.name.value.as_str())
            .collect(),
        consumers: raw
            .consumer
            .iter()
            .map(|consumer| consumer.value.name.value.as_str())
            .collect(),
        groups: groups.iter().map(|group| group.name.as_str()).collect(),
    };
    let expectations = expectations(&mut check, &raw, &names);
    if let Some(answer) = &raw.answer
        && let Err(problem) = sentence::answer(&answer.value, &names)
    {
        check.push_within(answer, problem);
    }

    let scenario = Scenario {
        name: name.to_string(),
        title: raw.title.clone().unwrap_or_else(|| name.to_string()),
        about: raw.about.clone().unwrap_or_default(),
        source: source.file().to_string(),
        overrides: overrides.to_vec(),
        grading: None,
        seed: raw.seed.as_ref().map_or(1, |seed| seed.value.0),
        phases,
        steady: raw
            .steady
            .as_ref()
            .map(|steady| self::steady(&mut check, steady, end)),
        answer: raw.answer.as_ref().map(|answer| answer.value.clone()),
        expectations,
        suggestions: suggestions(&raw),
        cluster,
        exchanges,
        queues,
        producers,
        consumers,
        groups: groups.clone(),
        budget: faults::budget(&raw, &faults),
        faults,
        heal,
        until: raw
            .until
            .as_ref()
            .map(|until| self::until(&mut check, until)),
    };
    if check.problems.is_empty() {
        rules::check(&mut check, &raw, &scenario);
        faults::within_budget(&mut check, &raw, &scenario);
    }
    if check.problems.is_empty() {
        Ok(scenario)
    } else {
        Err(check.problems)
    }
}

/// Expectations that stand in a text of their own.
pub(crate) fn graded(
    source: &Source,
    raw: &RawScenario,
    names: &Names<'_>,
) -> Result<Vec<Expectation>, Vec<Problem>> {
    let mut check = Check {
        source,
        problems: Vec::new(),
    };
    check.limits(raw);
    let expectations = expectations(&mut check, raw, names);
    match check.problems.is_empty() {
        true => Ok(expectations),
        false => Err(check.problems),
    }
}

/// What validation knows and has found.
struct Check<'a> {
    source: &'a Source,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn push(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// A name that stands for nothing.
    fn push_unknown<'n>(
        &mut self,
        name: &At<String>,
        what: &str,
        known: impl IntoIterator<Item = &'n str>,
    ) {
        let problem = Problem::new(
            name.span.clone(),
            format!("there is no {what} `{}`", short(&name.value)),
        );
        // Looking for the closest name takes time, and only the first problems are shown.
        if self.problems.len() > 100 {
            return self.push(problem);
        }
        let known: Vec<_> = known.into_iter().collect();
        self.push(problem.help(suggest(&name.value, &known)));
    }

    /// A problem within a text: it points there if the text stands in the source as it is, without escapes.
    fn push_within(&mut self, text: &At<String>, problem: Problem) {
        let written = self.source.get(text.span.clone());
        let offset = (0..=3).find(|quotes| {
            written
                .get(*quotes..)
                .is_some_and(|rest| rest.starts_with(&text.value))
        });
        let span = match offset {
            Some(quotes) => {
                text.span.start + quotes + problem.span.start
                    ..text.span.start + quotes + problem.span.end
            }
            None => text.span.clone(),
        };
        self.push(Problem { span, ..problem });
    }

    /// A whole number that must lie in `range`.
    fn count(
        &mut self,
        key: &str,
        given: &Option<At<Count>>,
        default: u64,
        range: RangeInclusive<u64>,
    ) -> u64 {
        let Some(given) = given else { return default };
        if !range.contains(&given.value.0) {
            let (low, high) = (grouped(*range.start()), grouped(*range.end()));
            let problem = match given.value.0 {
                0 => Problem::new(given.span.clone(), format!("`{key}` cannot be 0")),
                _ => Problem::new(given.span.clone(), format!("`{key}` is out of range")),
            };
            self.push(problem.help(format!("write a number from {low} to {high}")));
            return default;
        }
        given.value.0
    }

    /// As [`Check::count`], for what is a `u32`.
    fn count32(
        &mut self,
        key: &str,
        given: &Option<At<Count>>,
        default: u32,
        range: RangeInclusive<u32>,
    ) -> u32 {
        let range = u64::from(*range.start())..=u64::from(*range.end());
        self.count(key, given, default.into(), range)
            .try_into()
            .unwrap_or(default)
    }

    /// A number that must lie in `range`.
    fn number(
        &mut self,
        key: &str,
        given: &Option<At<Number>>,
        default: f64,
        range: RangeInclusive<f64>,
    ) -> f64 {
        let Some(given) = given else { return default };
        if !range.contains(&given.value.0) {
            let help = format!("write a number from {} to {}", range.start(), range.end());
            self.push(
                Problem::new(given.span.clone(), format!("`{key}` is out of range")).help(help),
            );
            return default;
        }
        given.value.0
    }

    /// A time that must be above zero, where one is given.
    fn duration(&mut self, key: &str, given: &Option<At<Duration>>) -> Option<Span> {
        let given = given.as_ref()?;
        if given.value.0.is_zero() {
            self.push(Problem::new(
                given.span.clone(),
                format!("`{key}` cannot be 0"),
            ));
        }
        Some(given.value.0)
    }

    /// A weight: above zero.
    fn weight(&mut self, given: &Option<At<Number>>) -> f64 {
        match given {
            Some(given) if given.value.0 == 0.0 => {
                self.push(
                    Problem::new(given.span.clone(), "`weight` cannot be 0")
                        .help("leave the entry out"),
                );
                1.0
            }
            _ => self.number("weight", given, 1.0, 1e-9..=1e9),
        }
    }

    /// A key that does not belong where it stands.
    fn misplaced<T>(&mut self, given: &Option<At<T>>, message: &str) {
        if let Some(given) = given {
            self.push(Problem::new(given.span.clone(), message));
        }
    }

    /// Names to indexes; checks that they are names, and unique.
    fn index<'n>(
        &mut self,
        what: &'static str,
        names: impl Iterator<Item = &'n At<String>>,
    ) -> Index<'n> {
        let mut by_name = BTreeMap::new();
        for (at, name) in names.enumerate() {
            self.name(what, name);
            if by_name.insert(name.value.as_str(), at).is_some() {
                self.push(
                    Problem::new(
                        name.span.clone(),
                        format!("there are two {what}s named `{}`", short(&name.value)),
                    )
                    .label("this is the second"),
                );
            }
        }
        Index { what, by_name }
    }

    fn name(&mut self, what: &str, name: &At<String>) {
        let text = &name.value;
        let odd = |c: char| c.is_whitespace() || c.is_control() || "\"'`{}<>=".contains(c);
        let wrong = match text {
            _ if text.is_empty() => "is empty",
            _ if text.len() > 200 => "is longer than 200 bytes",
            _ if text.contains(odd) => "may not hold spaces, quotes, braces, <, > or =",
            _ if what == "phase" && text == "else" => "is a word of the language",
            _ => return,
        };
        self.push(Problem::new(
            name.span.clone(),
            format!("the name of the {what} {wrong}"),
        ));
    }

    /// What `name` stands for; a problem if nothing.
    fn resolve(&mut self, name: &At<String>, index: &Index<'_>) -> Option<usize> {
        let found = index.by_name.get(name.value.as_str()).copied();
        if found.is_none() {
            self.push_unknown(name, index.what, index.by_name.keys().copied());
        }
        found
    }

    /// A wait, or `never`.
    fn reconnect(&mut self, given: &Option<At<String>>) -> Option<Span> {
        let Some(given) = given else {
            return Some(Span::from_secs(1));
        };
        if given.value == "never" {
            return None;
        }
        match parse_duration(&given.value) {
            Ok(span) => Some(span),
            Err(message) => {
                self.push(
                    Problem::new(given.span.clone(), message)
                        .help("write a duration such as \"1s\", or \"never\""),
                );
                None
            }
        }
    }

    /// Bounds on how many things a file may declare: a small file must not ask for unbounded memory.
    fn limits(&mut self, raw: &RawScenario) {
        let mut limit = |what: &str, spans: Vec<Range<usize>>, most: usize| {
            if let Some(first) = spans.get(most) {
                self.push(Problem::new(
                    first.clone(),
                    format!("more than {} {what}", grouped(most as u64)),
                ));
            }
        };
        limit(
            "exchanges",
            raw.exchange.iter().map(|item| item.span.clone()).collect(),
            1_000,
        );
        limit(
            "queues",
            raw.queue.iter().map(|item| item.span.clone()).collect(),
            10_000,
        );
        limit(
            "producer groups",
            raw.producer.iter().map(|item| item.span.clone()).collect(),
            1_000,
        );
        limit(
            "consumer groups",
            raw.consumer.iter().map(|item| item.span.clone()).collect(),
            1_000,
        );
        limit(
            "groups",
            raw.group.iter().map(|item| item.span.clone()).collect(),
            1_000,
        );
        limit(
            "faults",
            raw.fault.iter().map(|item| item.span.clone()).collect(),
            1_000,
        );
        let phases = raw.phases.iter().flat_map(|phases| &phases.value);
        limit(
            "phases",
            phases.map(|phase| phase.name.span.clone()).collect(),
            1_000,
        );
        limit(
            "expectations",
            raw.expect
                .iter()
                .flat_map(|expect| &expect.value)
                .map(|text| text.span.clone())
                .collect(),
            1_000,
        );
        let members = |count: &Option<At<Count>>| count.as_ref().map_or(1, |count| count.value.0);
        let total = raw
            .producer
            .iter()
            .map(|producer| members(&producer.value.count))
            .fold(0, u64::saturating_add);
        let total = raw
            .consumer
            .iter()
            .map(|consumer| members(&consumer.value.count))
            .fold(total, u64::saturating_add);
        if total > MOST_MEMBERS
            && let Some(count) = raw
                .producer
                .iter()
                .filter_map(|producer| producer.value.count.as_ref())
                .chain(
                    raw.consumer
                        .iter()
                        .filter_map(|consumer| consumer.value.count.as_ref()),
                )
                .last()
            && count.value.0 <= MOST_MEMBERS
        {
            let message = format!(
                "{} producers and consumers in all, more than {}",
                grouped(total),
                grouped(MOST_MEMBERS)
            );
            self.push(Problem::new(count.span.clone(), message));
        }
    }
}

/// Names of one kind of thing.
struct Index<'n> {
    what: &'static str,
    by_name: BTreeMap<&'n str, usize>,
}

/// Most members of all groups together, and of one.
const MOST_MEMBERS: u64 = 100_000;

fn phases(check: &mut Check<'_>, raw: &RawScenario) -> Vec<Phase> {
    let run = |length: Span| {
        vec![Phase {
            name: "run".into(),
            from: Time::ZERO,
            until: Time::ZERO + length,
        }]
    };
    match (&raw.phases, &raw.duration) {
        (Some(phases), None) => named_phases(check, phases),
        (None, Some(duration)) => {
            if duration.value.0.is_zero() {
                check.push(Problem::new(duration.span.clone(), "the run has no length"));
            }
            run(duration.value.0)
        }
        (Some(_), Some(duration)) => {
            check.push(
                Problem::new(
                    duration.span.clone(),
                    "`duration` and `phases` contradict each other",
                )
                .help("leave one out"),
            );
            run(duration.value.0)
        }
        (None, None) => {
            check.push(
                Problem::new(0..0, "the scenario has no end")
                    .help("add `duration = \"1m\"`, or `phases`"),
            );
            run(crate::units::LONGEST)
        }
    }
}

fn named_phases(check: &mut Check<'_>, raw: &At<Vec<RawPhase>>) -> Vec<Phase> {
    if raw.value.is_empty() {
        check.push(
            Problem::new(raw.span.clone(), "the list of phases is empty")
                .help("write `duration` for a run without phases"),
        );
    }
    check.index("phase", raw.value.iter().map(|phase| &phase.name));
    let mut from = Time::ZERO;
    let mut phases = Vec::new();
    for phase in &raw.value {
        let length = phase.length.value.0;
        if length.is_zero() {
            check.push(Problem::new(
                phase.length.span.clone(),
                "the phase has no length",
            ));
        }
        let until = from + length;
        if until > Time::ZERO + crate::units::LONGEST {
            check.push(Problem::new(
                phase.length.span.clone(),
                "the run is longer than ten years",
            ));
        }
        phases.push(Phase {
            name: phase.name.value.clone(),
            from,
            until,
        });
        from = until;
    }
    phases
}

fn steady(check: &mut Check<'_>, raw: &RawSteady, end: Time) -> Steady {
    let Some(warmup) = raw.warmup.as_ref().filter(|warmup| warmup.value != "auto") else {
        return Steady { warmup: None };
    };
    let problem = match parse_duration(&warmup.value) {
        Ok(span) if Time::ZERO + span < end => return Steady { warmup: Some(span) },
        Ok(_) => Problem::new(
            warmup.span.clone(),
            format!("the warm-up leaves nothing of the run, which ends at {end}"),
        ),
        Err(message) => Problem::new(warmup.span.clone(), message)
            .help("write a duration such as \"5s\", or \"auto\""),
    };
    check.push(problem);
    Steady { warmup: None }
}

fn until(check: &mut Check<'_>, raw: &At<RawUntil>) -> Until {
    match &raw.value {
        RawUntil::Text(RawEnd::Empty) => Until::Empty,
        RawUntil::Text(RawEnd::Idle) => Until::Idle(Span::from_secs(5)),
        RawUntil::Table(table) => Until::Idle(
            check
                .duration("idle", &Some(table.idle.clone()))
                .unwrap_or_default(),
        ),
    }
}

fn expectations(check: &mut Check<'_>, raw: &RawScenario, names: &Names<'_>) -> Vec<Expectation> {
    let Some(sentences) = &raw.expect else {
        return Vec::new();
    };
    let mut expectations = Vec::new();
    for text in &sentences.value {
        match sentence::expectation(&text.value, names) {
            Ok(claim) => expectations.push(Expectation {
                text: text.value.clone(),
                claim,
            }),
            Err(problem) => check.push_within(text, problem),
        }
    }
    expectations
}

fn suggestions(raw: &RawScenario) -> Vec<Suggestion> {
    let Some(suggestions) = &raw.suggestions else {
        return Vec::new();
    };
    let convert = |suggestion: &crate::raw::RawSuggestion| Suggestion {
        set: match &suggestion.set {
            Overrides::Text(text) => vec![text.clone()],
            Overrides::List(texts) => texts.clone(),
        },
        ask: suggestion.ask.clone(),
    };
    suggestions.value.iter().map(convert).collect()
}

/// `200_000`
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('_');
        }
        out.push(digit);
    }
    out
}

/// For a text that is none of `known`.
fn not_known(text: &At<String>, what: &str, known: &[&str]) -> Problem {
    Problem::new(
        text.span.clone(),
        format!("{} is not a {what}", shown(&text.value)),
    )
    .help(suggest(&text.value, known))
}
