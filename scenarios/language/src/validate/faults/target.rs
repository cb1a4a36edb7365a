//! Whom a fault strikes.

use super::Places;
use super::kind::{Row, Strikes};
use crate::error::{Problem, suggest};
use crate::fault::{Clients, Queues, Share, Whose};
use crate::raw::RawFault;
use crate::shape::{At, Count};
use crate::units::short;
use crate::validate::{Check, Index};

/// Checks that the target is the only node, however it is called.
pub(super) fn node(check: &mut Check<'_>, raw: &RawFault, places: &Places<'_>) {
    let Some(target) = &raw.target else { return };
    let problem = |message: String, help: &str| {
        Problem::new(target.span.clone(), message).help(help.to_string())
    };
    match target.value.split_once(':') {
        None if matches!(target.value.as_str(), "n1" | "one" | "majority" | "all") => {}
        None if target.value == "minority" => check.push(problem(
            "a minority of one node is nobody".into(),
            "the only node is `n1`",
        )),
        Some(("leader", queue)) if places.queues.by_name.contains_key(queue) => {}
        Some(("leader", queue)) => {
            let known: Vec<_> = places.queues.by_name.keys().copied().collect();
            let message = format!("there is no queue `{}`", short(queue));
            check.push(problem(message, &suggest(queue, &known)));
        }
        Some(("zone", _)) => check.push(problem(
            "zones are not supported yet".into(),
            "the only node is `n1`",
        )),
        _ => check.push(problem(
            format!("there is no node `{}`", short(&target.value)),
            "the only node is `n1`",
        )),
    }
}

/// The queues that a fault strikes.
pub(super) fn queues(
    check: &mut Check<'_>,
    at: &At<RawFault>,
    name: &str,
    places: &Places<'_>,
) -> Option<Queues> {
    let Some(target) = &at.value.target else {
        missing(check, at, name, "a queue", &[places.queues]);
        return None;
    };
    Some(match target.value.as_str() {
        "all" => Queues::All,
        "one" => Queues::One,
        _ => Queues::Queue(check.resolve(target, places.queues)?),
    })
}

/// The clients that a fault strikes.
pub(super) fn clients(
    check: &mut Check<'_>,
    at: &At<RawFault>,
    name: &str,
    row: &Row,
    places: &Places<'_>,
) -> Option<Clients> {
    let (kinds, what): (&[&Index<'_>], _) = match row.strikes {
        Strikes::Producers => (&[places.producers], "a group of producers"),
        Strikes::Consumers => (&[places.consumers], "a group of consumers"),
        _ => (
            &[places.producers, places.consumers],
            "a group of producers or consumers",
        ),
    };
    let Some(target) = &at.value.target else {
        missing(check, at, name, what, kinds);
        return None;
    };
    let everybody = match row.strikes {
        Strikes::Producers => Whose::Producers,
        Strikes::Consumers => Whose::Consumers,
        _ => Whose::Everybody,
    };
    let text = target.value.as_str();
    let (share, group) = match (share(text), text.split_once(':')) {
        (Some(share), _) => (share, None),
        (None, Some((word, group))) if self::share(word).is_some() => {
            (self::share(word).unwrap_or(Share::All), Some(group))
        }
        _ => (Share::All, Some(text)),
    };
    let of = match group {
        None => everybody,
        Some("producers") if row.strikes != Strikes::Consumers => Whose::Producers,
        Some("consumers") if row.strikes != Strikes::Producers => Whose::Consumers,
        Some(group) => named(check, target, group, kinds, places, what)?,
    };
    let share = match &at.value.count {
        None => share,
        Some(count) => first(check, count, share, of, places)?,
    };
    Some(Clients { of, share })
}

/// A group by its name.
fn named(
    check: &mut Check<'_>,
    target: &At<String>,
    group: &str,
    kinds: &[&Index<'_>],
    places: &Places<'_>,
    what: &str,
) -> Option<Whose> {
    let consumer = places
        .consumers
        .by_name
        .get(group)
        .map(|at| Whose::Consumer(*at));
    let producer = places
        .producers
        .by_name
        .get(group)
        .map(|at| Whose::Producer(*at));
    let has = |index: &Index<'_>| kinds.iter().any(|kind| kind.what == index.what);
    let found = match (producer, consumer) {
        (Some(_), Some(_)) if kinds.len() > 1 => {
            let message = format!("`{}` is both a producer and a consumer", short(group));
            check.push(Problem::new(target.span.clone(), message).help("give them two names"));
            return None;
        }
        (Some(producer), _) if has(places.producers) => Some(producer),
        (_, Some(consumer)) if has(places.consumers) => Some(consumer),
        _ => None,
    };
    if found.is_none() {
        let names = |kind: &&Index<'_>| {
            kind.by_name
                .keys()
                .map(|name| (*name).to_string())
                .collect::<Vec<_>>()
        };
        let known: Vec<String> = kinds.iter().flat_map(names).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let problem = Problem::new(
            target.span.clone(),
            format!("`{}` is not {what}", short(group)),
        );
        check.push(problem.help(suggest(group, &known)));
    }
    found
}

/// The first so many members of a group.
fn first(
    check: &mut Check<'_>,
    count: &At<Count>,
    share: Share,
    of: Whose,
    places: &Places<'_>,
) -> Option<Share> {
    let members = match of {
        Whose::Producer(at) => &places.raw.producer[at].value.count,
        Whose::Consumer(at) => &places.raw.consumer[at].value.count,
        Whose::Everybody | Whose::Producers | Whose::Consumers => {
            check.push(
                Problem::new(count.span.clone(), "`count` is of one group")
                    .help("name the group as `target`"),
            );
            return None;
        }
    };
    if share != Share::All {
        check.push(Problem::new(
            count.span.clone(),
            "`target` says already how many",
        ));
        return None;
    }
    let most = members.as_ref().map_or(1, |count| count.value.0).max(1);
    let count = check.count("count", &Some(count.clone()), 1, 1..=most);
    u32::try_from(count).ok().map(Share::First)
}

fn share(word: &str) -> Option<Share> {
    Some(match word {
        "all" => Share::All,
        "one" => Share::One,
        "minority" => Share::Minority,
        "majority" => Share::Majority,
        _ => return None,
    })
}

fn missing(check: &mut Check<'_>, at: &At<RawFault>, name: &str, what: &str, kinds: &[&Index<'_>]) {
    let known: Vec<&str> = kinds
        .iter()
        .flat_map(|kind| kind.by_name.keys().copied())
        .collect();
    let problem = Problem::new(
        at.span.clone(),
        format!("the fault `{}` has no `target`", short(name)),
    );
    check.push(problem.help(format!("name {what}: {}", suggest("", &known))));
}
