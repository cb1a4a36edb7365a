//! Fills in what a design says, and refuses what its system does not have.

use std::borrow::Cow;
use std::ops::Range;

use serde_spanned::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::{Choice, DesignInfo, designs};
use crate::error::Problem;
use crate::units::short;

/// Completes the queues that follow a design, and their consumers and groups. What is not understood is left for others to refuse.
pub(crate) fn apply(root: &mut DeTable<'_>, problems: &mut Vec<Problem>) {
    let of_cluster = root
        .get("cluster")
        .and_then(|cluster| cluster.get_ref().as_table())
        .and_then(|cluster| design_of(cluster));
    let mut followed = Vec::new();
    for queue in tables(root, "queue") {
        let own = design_of(queue);
        // One that the queue names and nobody knows is no reason to take the cluster's.
        let given = queue.contains_key("design");
        let Some((info, span)) = own.or(of_cluster.clone().filter(|_| !given)) else {
            continue;
        };
        complete_queue(queue, info, &span, problems);
        if let Some(name) = text(queue, "name") {
            let beyond = is_beyond(queue);
            followed.push(Followed {
                queue: name.to_string(),
                info,
                span,
                beyond,
            });
        }
    }
    if followed.is_empty() {
        return;
    }
    let mut implied = Vec::new();
    for consumer in tables(root, "consumer") {
        let Some(followed) = followed_by(consumer, "from", &followed) else {
            continue;
        };
        complete_consumer(consumer, followed, problems);
        join_own_group(consumer, followed);
        if let Some(group) = text(consumer, "group") {
            implied.push((group.to_string(), consumer.get("from").cloned(), followed));
        }
    }
    let mut declared = Vec::new();
    for group in tables(root, "group") {
        declared.extend(text(group, "name").map(str::to_string));
        if let Some(followed) = followed_by(group, "streams", &followed) {
            let span = followed.span.clone();
            complete(group, "group", followed.info, &span);
        }
    }
    for (name, streams, followed) in implied {
        if !followed.info.reads_in_groups() || declared.contains(&name) {
            continue;
        }
        let mut group = DeTable::new();
        let span = followed.span.clone();
        insert(
            &mut group,
            "name",
            DeValue::String(Cow::Owned(name.clone())),
            &span,
        );
        if let Some(streams) = streams {
            insert(&mut group, "streams", streams.into_inner(), &span);
        }
        complete(&mut group, "group", followed.info, &span);
        declared.push(name);
        push_group(root, group, &span);
    }
}

/// A queue that follows a design.
struct Followed {
    queue: String,
    info: &'static DesignInfo,
    span: Range<usize>,
    beyond: bool,
}

fn complete_queue(
    queue: &mut DeTable<'_>,
    info: &'static DesignInfo,
    span: &Range<usize>,
    problems: &mut Vec<Problem>,
) {
    if let Some(needs) = info.needs {
        problems.push(
            Problem::new(
                span.clone(),
                format!(
                    "the design `{}` needs {needs}, which queuelab does not have yet",
                    info.name
                ),
            )
            .help(format!("leave it out, or take another one: {}", working())),
        );
        return;
    }
    if !is_beyond(queue) {
        refuse_queue_keys(queue, info, problems);
    }
    let in_memory = text(queue, "kind") == Some("memory");
    let bounded = queue.contains_key("max_length") || queue.contains_key("max_bytes");
    for choice in info.choices.iter().filter(|choice| choice.table == "queue") {
        let idle = match choice.key {
            "durability" => in_memory,
            "overflow" => !bounded && !info.choices.iter().any(|choice| choice.key == "max_length"),
            _ => false,
        };
        if !idle && !queue.contains_key(choice.key) {
            insert(queue, choice.key, value(choice), span);
        }
    }
    if !queue.contains_key("design") {
        insert(
            queue,
            "design",
            DeValue::String(Cow::Borrowed(info.name)),
            span,
        );
    }
}

fn refuse_queue_keys(queue: &DeTable<'_>, info: &'static DesignInfo, problems: &mut Vec<Problem>) {
    for (key, given) in queue.iter() {
        let name = key.get_ref().as_ref();
        if ALWAYS.contains(&name) || !crate::raw::is_queue_key(name) {
            continue;
        }
        let choice = info
            .choices
            .iter()
            .find(|choice| choice.table == "queue" && choice.key == name);
        match choice {
            Some(choice) if !choice.free && !same(choice, given.get_ref()) => {
                problems.push(beyond(
                    key.span(),
                    format!("`{name}` of {} is always {}", info.system, choice.value),
                ));
            }
            None if !info.allowed.contains(&name) => problems.push(beyond(
                key.span(),
                format!("{} have no `{}`", plural(info), short(name)),
            )),
            _ => {}
        }
        refuse_parts(name, given.get_ref(), given.span(), info, problems);
    }
}

/// Parts of tables, and values, that a system does not have although it has the key.
fn refuse_parts(
    key: &str,
    given: &DeValue<'_>,
    span: Range<usize>,
    info: &'static DesignInfo,
    problems: &mut Vec<Problem>,
) {
    let has = |path: &str| info.allowed.contains(&path);
    if key == "dead_letter"
        && let Some(table) = given.as_table()
        && let Some((part, _)) = table.get_key_value("at_least_once")
        && !has("dead_letter.at_least_once")
    {
        let message = format!("{} have no dead letters at least once", plural(info));
        problems.push(beyond(part.span(), message));
    }
    let names_parts = |key: &str| info.allowed.iter().any(|path| path.starts_with(key));
    if key == "retention"
        && let Some(table) = given.as_table()
        && names_parts("retention.")
    {
        for (part, _) in table.iter() {
            if !has(&format!("retention.{}", part.get_ref())) {
                let name = short(part.get_ref());
                let message = format!("{} have no retention by `{name}`", plural(info));
                problems.push(beyond(part.span(), message));
            }
        }
    }
    if key == "overflow"
        && let Some(choice) = given.as_str()
        && names_parts("overflow.")
        && !has(&format!("overflow.{choice}"))
    {
        let message = format!("{} have no overflow by `{}`", plural(info), short(choice));
        problems.push(beyond(span, message));
    }
}

fn complete_consumer(consumer: &mut DeTable<'_>, followed: &Followed, problems: &mut Vec<Problem>) {
    let info = followed.info;
    if !followed.beyond {
        for (key, given) in consumer.iter() {
            let name = key.get_ref().as_ref();
            let choice = info
                .choices
                .iter()
                .find(|choice| choice.table == "consumer" && choice.key == name);
            if info.refused.contains(&name) {
                let message = format!("consumers of {} have no `{name}`", info.system);
                problems.push(beyond(key.span(), message));
            } else if let Some(choice) = choice
                && !choice.free
                && !same(choice, given.get_ref())
            {
                let message = format!(
                    "`{name}` of consumers of {} is always {}",
                    info.system, choice.value
                );
                problems.push(beyond(key.span(), message));
            }
        }
    }
    let pulls = consumer.contains_key("pull");
    let span = followed.span.clone();
    for choice in info
        .choices
        .iter()
        .filter(|choice| choice.table == "consumer")
    {
        // Who pulls has no prefetch, and who has a prefetch does not pull.
        let idle = match choice.key {
            "prefetch" => pulls,
            "pull" => consumer.contains_key("prefetch"),
            _ => false,
        };
        if !idle && !consumer.contains_key(choice.key) {
            insert(consumer, choice.key, value(choice), &span);
        }
    }
}

/// Where members share what they read in groups, those that name none, and no place of their own to read from, are one.
fn join_own_group(consumer: &mut DeTable<'_>, followed: &Followed) {
    let in_groups = followed.info.reads_in_groups();
    let from = consumer.get("from").map(|from| from.get_ref());
    let from_one = match from {
        Some(DeValue::Array(names)) => names.len() == 1,
        _ => true,
    };
    let by_itself = consumer.contains_key("group") || consumer.contains_key("offset");
    if in_groups
        && from_one
        && !by_itself
        && let Some(name) = text(consumer, "name").map(str::to_string)
    {
        let group = DeValue::String(Cow::Owned(name));
        insert(consumer, "group", group, &followed.span);
    }
}

/// Fills in the choices for `table`.
fn complete(given: &mut DeTable<'_>, table: &str, info: &'static DesignInfo, span: &Range<usize>) {
    let shared = text(given, "kind").map(str::to_string);
    for choice in info.choices.iter().filter(|choice| choice.table == table) {
        // A group of the other kind than the system's usual one has other keys.
        let of_partitioned = matches!(choice.key, "assignment" | "rebalance");
        let of_shared = matches!(choice.key, "lock" | "delivery_limit" | "window");
        let idle = match shared.as_deref() {
            Some("shared") => of_partitioned,
            Some(_) => of_shared,
            None => false,
        };
        if !idle && !given.contains_key(choice.key) {
            insert(given, choice.key, value(choice), span);
        }
    }
}

/// The design of the first of the queues that `key` names.
fn followed_by<'f>(
    table: &DeTable<'_>,
    key: &str,
    followed: &'f [Followed],
) -> Option<&'f Followed> {
    let from = table.get(key)?.get_ref();
    let name = match from {
        DeValue::Array(names) => names.first()?.get_ref().as_str()?,
        one => one.as_str()?,
    };
    followed.iter().find(|followed| followed.queue == name)
}

fn design_of(table: &DeTable<'_>) -> Option<(&'static DesignInfo, Range<usize>)> {
    let given = table.get("design")?;
    let name = given.get_ref().as_str()?;
    let info = designs().iter().find(|info| info.name == name)?;
    Some((info, given.span()))
}

fn tables<'t, 'i>(
    root: &'t mut DeTable<'i>,
    key: &str,
) -> impl Iterator<Item = &'t mut DeTable<'i>> {
    let items = match root.get_mut(key).map(Spanned::get_mut) {
        Some(DeValue::Array(items)) => Some(items),
        _ => None,
    };
    items
        .into_iter()
        .flat_map(|items| items.iter_mut())
        .filter_map(|item| match item.get_mut() {
            DeValue::Table(table) => Some(table),
            _ => None,
        })
}

fn push_group<'i>(root: &mut DeTable<'i>, group: DeTable<'i>, span: &Range<usize>) {
    if !root.contains_key("group") {
        insert(root, "group", DeValue::Array(DeArray::new()), span);
    }
    if let Some(DeValue::Array(groups)) = root.get_mut("group").map(Spanned::get_mut) {
        groups.push(Spanned::new(span.clone(), DeValue::Table(group)));
    }
}

fn text<'t>(table: &'t DeTable<'_>, key: &str) -> Option<&'t str> {
    table.get(key)?.get_ref().as_str()
}

fn is_beyond(queue: &DeTable<'_>) -> bool {
    let given = queue.get("beyond_design").map(|given| given.get_ref());
    given.and_then(DeValue::as_bool) == Some(true)
}

fn insert<'i>(table: &mut DeTable<'i>, key: &'static str, value: DeValue<'i>, span: &Range<usize>) {
    table.insert(
        Spanned::new(span.clone(), Cow::Borrowed(key)),
        placed(Spanned::new(span.clone(), value), span),
    );
}

/// The value with all its places at `span`: problems point at the design.
fn placed<'i>(value: Spanned<DeValue<'i>>, span: &Range<usize>) -> Spanned<DeValue<'i>> {
    let value = match value.into_inner() {
        DeValue::Array(items) => {
            DeValue::Array(items.into_iter().map(|item| placed(item, span)).collect())
        }
        DeValue::Table(table) => {
            let entries = table.into_iter().map(|(key, value)| {
                let key = Spanned::new(span.clone(), key.into_inner());
                (key, placed(value, span))
            });
            DeValue::Table(entries.collect())
        }
        plain => plain,
    };
    Spanned::new(span.clone(), value)
}

/// The choice's value; a test parses all of them.
fn value(choice: &Choice) -> DeValue<'static> {
    DeValue::parse(choice.value).map_or(DeValue::Boolean(false), Spanned::into_inner)
}

fn same(choice: &Choice, given: &DeValue<'_>) -> bool {
    value(choice)
        .as_str()
        .is_some_and(|text| given.as_str() == Some(text))
}

fn beyond(span: Range<usize>, message: String) -> Problem {
    Problem::new(span, message)
        .help("leave it out, or write `beyond_design = true` on the queue to see what if")
}

/// The system, as the subject of a sentence in the plural.
fn plural(info: &DesignInfo) -> String {
    format!("queues of the design `{}`", info.name)
}

fn working() -> String {
    let works = designs().iter().filter(|info| info.works());
    works.map(|info| info.name).collect::<Vec<_>>().join(", ")
}

/// What belongs to the experiment, not to the system.
const ALWAYS: &[&str] = &["name", "backlog", "design", "beyond_design"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_a_value() {
        for info in designs() {
            for choice in info.choices {
                assert!(DeValue::parse(choice.value).is_ok(), "{choice:?}");
                assert!(choice.source.starts_with("https://"), "{choice:?}");
                assert!(
                    ["queue", "consumer", "group"].contains(&choice.table),
                    "{choice:?}"
                );
                assert!(choice.table != "queue" || crate::raw::is_queue_key(choice.key));
            }
            for key in info.allowed {
                let key = key.split('.').next().unwrap();
                assert!(crate::raw::is_queue_key(key), "{key}");
            }
        }
    }
}
