//! Who was busy, and what became of the messages.

use std::cmp::Reverse;

use queuelab_core::Span;
use queuelab_record::{
    AlarmRecord, DEATH_NAMES, GroupRecord, Outcomes, QueueRecord, RunRecord, grouped, percent,
};

use super::{LABEL, Page, figures};
use crate::layout::{Align, Cell, chain, table};

/// Consumers, queues, nodes and messages.
pub(super) fn section(page: &Page<'_>) -> Vec<String> {
    let width = page.context.width - LABEL;
    let mut lines = page.labelled("consumers", consumers(page));
    lines.extend(page.labelled("groups", groups(page)));
    lines.extend(page.labelled("copies", chain(&shares(page.record), width)));
    lines.extend(page.labelled("nodes", nodes(page.record, width)));
    lines.extend(page.labelled("alarms", alarms(page)));
    lines.extend(page.labelled("messages", chain(&messages(page.record), width)));
    lines
}

/// Each group's utilisation, and how evenly its members were served.
fn consumers(page: &Page<'_>) -> Vec<String> {
    let rows: Vec<Vec<Cell>> = page
        .record
        .consumers
        .iter()
        .map(|group| {
            let members = if group.count == 1 {
                String::new()
            } else {
                format!("{} members", grouped(group.count.into()))
            };
            let least = group.served_by_member.iter().min();
            let most = group.served_by_member.iter().max();
            let each = match (least, most) {
                (Some(&least), Some(&most)) if group.count > 1 && least == most => {
                    format!("{} each", grouped(least))
                }
                (Some(&least), Some(&most)) if group.count > 1 => {
                    format!("{} to {} each", grouped(least), grouped(most))
                }
                _ => String::new(),
            };
            let busy = format!("{} busy", percent(group.utilisation));
            let served = format!("{} served", grouped(group.served));
            [group.name.clone(), members, busy, served, each]
                .map(Cell::from)
                .to_vec()
        })
        .collect();
    let align = [
        Align::Left,
        Align::Right,
        Align::Right,
        Align::Right,
        Align::Left,
    ];
    table(&rows, &align, page.painter)
}

/// How far each group that shares streams got, and how far it was behind.
fn groups(page: &Page<'_>) -> Vec<String> {
    let plural = |count: u64, word: &str| match count {
        1 => format!("1 {word}"),
        count => format!("{} {word}s", grouped(count)),
    };
    let row = |group: &GroupRecord| {
        let (most, at) = group.lag_max;
        let lag = match most {
            0 => "never behind".into(),
            most => format!(
                "lag at most {} at {at}, {} at the end",
                grouped(most),
                grouped(group.lag_end)
            ),
        };
        let rebalances = match group.rebalances {
            0 => String::new(),
            times => plural(times, "rebalance"),
        };
        let archived = match group.archived {
            0 => String::new(),
            count => format!("{} given up", grouped(count)),
        };
        [
            group.name.clone(),
            plural(group.members_end.into(), "member"),
            format!("{} settled", grouped(group.settled)),
            lag,
            rebalances,
            archived,
        ]
        .map(Cell::from)
        .to_vec()
    };
    let rows: Vec<Vec<Cell>> = page.record.groups.iter().map(row).collect();
    let align = [
        Align::Left,
        Align::Right,
        Align::Right,
        Align::Left,
        Align::Right,
        Align::Right,
    ];
    table(&rows, &align, page.painter)
}

/// For how long publishers were blocked, by resource and node.
fn alarms(page: &Page<'_>) -> Vec<String> {
    let mut totals: Vec<(&AlarmRecord, Span, u64)> = Vec::new();
    for alarm in &page.record.alarms {
        let is_same = |(first, ..): &&mut (&AlarmRecord, Span, u64)| {
            (&first.resource, &first.node) == (&alarm.resource, &alarm.node)
        };
        let length = alarm.until.min(page.record.end).since(alarm.from);
        match totals.iter_mut().find(is_same) {
            Some((_, total, times)) => (*total, *times) = (*total + length, *times + 1),
            None => totals.push((alarm, length, 1)),
        }
    }
    let line = |(first, total, times): &(&AlarmRecord, Span, u64)| {
        let when = match times {
            1 => format!("at {}", first.from),
            times => format!("in {} turns, first at {}", grouped(*times), first.from),
        };
        let AlarmRecord { resource, node, .. } = first;
        format!("{resource} of {node} short for {total}, {when}: publishers blocked")
    };
    totals.iter().map(line).collect()
}

/// How copies are spread over queues, where there are several to spread over.
fn shares(record: &RunRecord) -> Vec<String> {
    let mut queues: Vec<&QueueRecord> = record
        .queues
        .iter()
        .filter(|queue| queue.enqueued > 0)
        .collect();
    if queues.len() < 2 {
        return Vec::new();
    }
    let total: u64 = queues.iter().map(|queue| queue.enqueued).sum();
    // A stable sort: queues with equal shares keep the scenario's order.
    queues.sort_by_key(|queue| Reverse(queue.enqueued));
    let share = |queue: &&QueueRecord| {
        format!(
            "{} {}",
            queue.name,
            percent(queue.enqueued as f64 / total as f64)
        )
    };
    let mut items: Vec<String> = queues.iter().take(SHARES_MAX).map(share).collect();
    items[0] = format!("to {}", items[0]);
    let more = queues.len().saturating_sub(SHARES_MAX);
    if more > 0 {
        items.push(format!("{more} more"));
    }
    items
}

/// What the machines had to do; nothing where they cost nothing.
fn nodes(record: &RunRecord, width: usize) -> Vec<String> {
    let busy = record
        .nodes
        .iter()
        .filter(|node| node.cpu > 0.0 || node.disk > 0.0);
    busy.flat_map(|node| {
        let mut items = vec![format!("{} CPU {}", node.name, percent(node.cpu))];
        if node.fsyncs > 0 {
            let group = node.synced as f64 / node.fsyncs as f64;
            items.push(format!("disk {}", percent(node.disk)));
            items.push(format!(
                "{} log entries per fsync",
                figures::count_f64(group)
            ));
        }
        if let Some(bodies) = node.bodies.as_ref().filter(|bodies| bodies.read > 0) {
            items.push(format!(
                "at most {} of bodies in memory",
                queuelab_record::bytes(bodies.resident_max)
            ));
            items.push(format!(
                "{} read back",
                queuelab_record::grouped(bodies.read)
            ));
        }
        chain(&items, width)
    })
    .collect()
}

/// `408,067 sent = confirmed = acked · 0 dropped, lost, … or left in queues`: equal numbers in a row share one figure.
fn messages(record: &RunRecord) -> Vec<String> {
    let Outcomes {
        offered,
        sent,
        confirmed,
        failed,
        unknown,
        dropped_by_producer,
        pending,
        unroutable,
        abandoned,
        retried,
    } = record.outcomes;
    let confirming = record
        .producers
        .iter()
        .any(|producer| producer.confirm.iter().any(|phase| !phase.is_empty()));
    let (enqueued, acked) = (
        record.total(|queue| queue.enqueued),
        record.total(|queue| queue.acked),
    );

    let mut flow = vec![(offered, "offered"), (sent, "sent")];
    if confirming {
        flow.push((confirmed, "confirmed"));
    }
    // Routing may copy or drop: then copies are counted beside messages.
    if enqueued != sent {
        flow.push((enqueued, "copies enqueued"));
    }
    flow.push((acked, "acked"));

    let always = [
        (record.total(|queue| queue.dropped), "dropped"),
        (record.total(|queue| queue.lost), "lost"),
        (record.total(|queue| queue.dead_lettered), "dead-lettered"),
        (record.total(|queue| queue.duplicates), "duplicate"),
        (pending, "pending"),
        (record.left_in_queues(), "left in queues"),
    ];
    let sometimes = [
        (record.total(|queue| queue.delayed_end), "of them delayed"),
        (
            record.total(|queue| queue.stalled_end),
            "of them dead letters that wait for room",
        ),
        (delayed_max(record), "delayed at once"),
        (record.total(|queue| queue.redelivered), "redelivered"),
        (dropped_by_producer, "dropped by producers"),
        (failed, "refused"),
        (unknown, "unknown"),
        (unroutable, "unroutable"),
        (abandoned, "given up by producers"),
        (retried, "sent again"),
        (record.total(|queue| queue.rejected), "rejected"),
        (record.total(|queue| queue.expired), "expired"),
        (record.total(|queue| queue.exhausted), "delivered too often"),
        (record.total(|queue| queue.purged), "purged"),
        (record.total(|queue| queue.deduplicated), "deduplicated"),
        (
            record.total(|queue| queue.retired),
            "no longer kept by streams",
        ),
        (
            record.total(|queue| queue.lease_expired),
            "held for too long",
        ),
    ];
    let some = always
        .iter()
        .chain(&sometimes)
        .filter(|(count, _)| *count > 0);
    let none: Vec<&str> = always
        .iter()
        .filter(|(count, _)| *count == 0)
        .map(|(_, word)| *word)
        .collect();

    let mut items = equal_runs(&flow);
    items.extend(some.map(|(count, word)| match *word {
        "dead-lettered" => format!("{} {word}{}", grouped(*count), deaths(record)),
        word => format!("{} {word}", grouped(*count)),
    }));
    items.extend(alternatives(&none).map(|words| format!("0 {words}")));
    items
}

/// The most that were delayed in a queue at the same instant.
fn delayed_max(record: &RunRecord) -> u64 {
    let loads = record.phases.iter().flat_map(|phase| &phase.load);
    loads.map(|load| load.delayed_max).max().unwrap_or(0)
}

/// ` (183 rejected, 550 delivery_limit)`
fn deaths(record: &RunRecord) -> String {
    let reasons: Vec<String> = DEATH_NAMES
        .iter()
        .enumerate()
        .map(|(reason, name)| (record.total(|queue| queue.deaths[reason]), name))
        .filter(|(count, _)| *count > 0)
        .map(|(count, name)| format!("{} {name}", grouped(count)))
        .collect();
    match reasons.is_empty() {
        true => String::new(),
        false => format!(" ({})", reasons.join(", ")),
    }
}

/// `5 a = b`, `3 c`: words of equal numbers that follow each other are chained.
fn equal_runs(numbers: &[(u64, &str)]) -> Vec<String> {
    let runs = numbers.chunk_by(|a, b| a.0 == b.0);
    runs.map(|run| {
        let words: Vec<&str> = run.iter().map(|(_, word)| *word).collect();
        format!("{} {}", grouped(run[0].0), words.join(" = "))
    })
    .collect()
}

/// `a, b or c`
fn alternatives(words: &[&str]) -> Option<String> {
    match words {
        [] => None,
        [one] => Some(one.to_string()),
        [first @ .., last] => Some(format!("{} or {last}", first.join(", "))),
    }
}

/// More shares than this say little in a line.
const SHARES_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_equal_numbers_are_chained() {
        let flow = [(5, "offered"), (5, "sent"), (4, "confirmed"), (5, "acked")];
        assert_eq!(
            equal_runs(&flow),
            ["5 offered = sent", "4 confirmed", "5 acked"]
        );
    }

    #[test]
    fn alternatives_read_as_a_list() {
        assert_eq!(alternatives(&["a", "b", "c"]).as_deref(), Some("a, b or c"));
        assert_eq!(alternatives(&["a"]).as_deref(), Some("a"));
        assert_eq!(alternatives(&[]), None);
    }
}
