//! Load and latency by phase, latencies, queues, consumers, groups, nodes.

use queuelab_core::Span;
use queuelab_record::{Latencies, RunRecord, grouped, number, percent, rate};

use super::table::{Cell, NOTHING, Table};

pub(super) fn section(record: &RunRecord) -> String {
    [
        phases(record),
        latencies(record),
        queues(record),
        consumers(record),
        groups(record),
        nodes(record),
    ]
    .concat()
}

fn phases(record: &RunRecord) -> String {
    let mut table = Table::new(
        "Load and capacity by phase: T = Σp − Σc is how fast the backlog grows, ρ = Σp / Σc how much of the capacity is asked for.",
        &[
            "<phase",
            "from",
            "<queue",
            "offered Σp",
            "capacity Σc",
            "T = Σp − Σc",
            "ρ",
            "published",
            "delivered",
            "acked",
            "peak backlog",
            "end-to-end p50",
            "p99",
        ],
    );
    for phase in &record.phases {
        for (queue, load) in record.queues.iter().zip(&phase.load).take(QUEUES_MAX) {
            let latency = |figure: &str| {
                let name = format!("latency.end_to_end.{figure}");
                record.metric_shown(&name, Some(&queue.name), Some(&phase.name))
            };
            let [offered, capacity, difference, rho] = load.in_words();
            table.row([
                phase.name.clone(),
                phase.from.to_string(),
                queue.name.clone(),
                offered,
                capacity,
                difference,
                rho,
                rate(load.published),
                rate(load.delivered),
                rate(load.acked),
                grouped(load.ready_max),
                latency("p50"),
                latency("p99"),
            ]);
        }
    }
    table.html()
}

fn latencies(record: &RunRecord) -> String {
    let of = match record.warmup.is_zero() {
        true => "of the whole run".to_string(),
        false => format!("of what was intended after {}", record.warmup),
    };
    let mut table = Table::new(
        format!(
            "Latencies {of}, from the intended send. ≥ reads at least: messages unfinished at the end would have made it larger."
        ),
        &[
            "<latency", "p50", "p90", "p99", "p99.9", "max", "mean", "samples", "<until",
        ],
    );
    let stages = [
        (
            "confirm",
            record.confirm(None),
            "confirm back at the producer",
        ),
        ("delivery", record.delivery(None), "received by a consumer"),
        ("end_to_end", record.end_to_end(None), "end of service"),
    ];
    for (name, latencies, until) in stages {
        if latencies.is_empty() {
            continue;
        }
        let figure =
            |figure: &str| record.metric_shown(&format!("latency.{name}.{figure}"), None, None);
        // Of fewer messages the thousandth is anybody's guess.
        let rare = match latencies.count() >= RARE_MIN {
            true => figure("p99.9"),
            false => NOTHING.into(),
        };
        table.row([
            name.replace('_', "-"),
            figure("p50"),
            figure("p90"),
            figure("p99"),
            rare,
            figure("max"),
            figure("mean"),
            grouped(latencies.count()),
            until.into(),
        ]);
    }
    for queue in &record.queues {
        for class in queue.priorities.iter().rev().take(PRIORITIES_MAX) {
            let name = format!("priority {} of {}", class.priority, queue.name);
            table.row(of_latencies(
                name,
                &class.delivery,
                "received by a consumer",
            ));
        }
    }
    table.html()
}

fn of_latencies(name: String, latencies: &Latencies, until: &str) -> [String; 9] {
    let shown = |span: Option<Span>| span.map_or(NOTHING.into(), |span| span.to_string());
    let quantile = |share: f64| shown(latencies.quantile(share));
    [
        name,
        quantile(0.5),
        quantile(0.9),
        quantile(0.99),
        match latencies.count() >= RARE_MIN {
            true => quantile(0.999),
            false => NOTHING.into(),
        },
        shown(latencies.max()),
        shown(latencies.mean()),
        grouped(latencies.count()),
        until.into(),
    ]
}

fn queues(record: &RunRecord) -> String {
    let mut table = Table::new(
        "Queues, in copies of messages.",
        &[
            "<queue",
            "<durability",
            "enqueued",
            "delivered",
            "redelivered",
            "acked",
            "dead-lettered",
            "dropped",
            "rejected",
            "expired",
            "exhausted",
            "refused",
            "purged",
            "retired",
            "deduplicated",
            "held too long",
            "lost",
            "duplicates",
            "peak",
            "drained after",
            "ready at end",
            "in flight at end",
            "delayed at end",
            "dead letters that wait at end",
        ],
    );
    for queue in record.queues.iter().take(QUEUES_MAX) {
        let drained = queue.drain_time.filter(|_| queue.ready_max.0 > 0);
        let mut cells = vec![queue.name.clone(), queue.durability.to_string()];
        cells.extend(
            [
                queue.enqueued,
                queue.delivered,
                queue.redelivered,
                queue.acked,
                queue.dead_lettered,
                queue.dropped,
                queue.rejected,
                queue.expired,
                queue.exhausted,
                queue.refused,
                queue.purged,
                queue.retired,
                queue.deduplicated,
                queue.lease_expired,
                queue.lost,
                queue.duplicates,
                queue.ready_max.0,
            ]
            .map(grouped),
        );
        cells.push(drained.map_or(NOTHING.into(), |span| span.to_string()));
        cells.extend(
            [
                queue.ready_end,
                queue.in_flight_end,
                queue.delayed_end,
                queue.stalled_end,
            ]
            .map(grouped),
        );
        table.row(cells);
    }
    let mut html = table.without_empty_columns().html();
    if record.queues.len() > QUEUES_MAX {
        let more = record.queues.len() - QUEUES_MAX;
        html.push_str(&format!("<p>and {more} more in record.json</p>\n"));
    }
    html
}

fn consumers(record: &RunRecord) -> String {
    let mut table = Table::new(
        "Consumers.",
        &[
            "<consumer",
            "members",
            "busy",
            "served",
            "nacked",
            "forwarded",
            "least of a member",
            "most of a member",
        ],
    );
    for consumer in &record.consumers {
        let members = consumer.served_by_member.iter();
        table.row([
            consumer.name.clone(),
            grouped(consumer.count.into()),
            percent(consumer.utilisation),
            grouped(consumer.served),
            grouped(consumer.nacked),
            grouped(consumer.forwarded),
            members
                .clone()
                .min()
                .map_or(NOTHING.into(), |&it| grouped(it)),
            members.max().map_or(NOTHING.into(), |&it| grouped(it)),
        ]);
    }
    table.without_empty_columns().html()
}

fn groups(record: &RunRecord) -> String {
    let mut table = Table::new(
        "Groups that share streams, in records.",
        &[
            "<group",
            "members at end",
            "delivered",
            "settled",
            "given up",
            "rebalances",
            "largest lag",
            "at",
            "lag at end",
        ],
    );
    for group in &record.groups {
        table.row([
            group.name.clone(),
            grouped(group.members_end.into()),
            grouped(group.delivered),
            grouped(group.settled),
            grouped(group.archived),
            grouped(group.rebalances),
            grouped(group.lag_max.0),
            group.lag_max.1.to_string(),
            grouped(group.lag_end),
        ]);
    }
    table.without_empty_columns().html()
}

fn nodes(record: &RunRecord) -> String {
    let mut table = Table::new(
        "Nodes.",
        &[
            "<node",
            "CPU",
            "disk",
            "fsyncs",
            "log entries per fsync",
            "<down at the end because",
        ],
    );
    for node in &record.nodes {
        let grouping = node.synced as f64 / node.fsyncs.max(1) as f64;
        table.row([
            Cell::from(node.name.as_str()),
            percent(node.cpu).into(),
            percent(node.disk).into(),
            grouped(node.fsyncs).into(),
            number(grouping).into(),
            node.stopped.clone().unwrap_or_default().into(),
        ]);
    }
    table.without_empty_columns().html()
}

/// More rows would not be read; record.json has them.
const QUEUES_MAX: usize = 40;
const PRIORITIES_MAX: usize = 10;
/// Samples from which the 99.9 % quantile is shown.
const RARE_MIN: u64 = 100_000;
