//! Faults, alarms, and what became of the messages.

use queuelab_record::{DEATH_NAMES, Outcomes, RunRecord, grouped};

use super::table::Table;
use crate::faults::{delivered, gaps};

/// When something was wrong.
pub(super) fn faults(record: &RunRecord) -> String {
    let mut table = Table::new(
        "",
        &[
            "<fault",
            "<kind",
            "<target",
            "from",
            "until",
            "for",
            "<what it did",
        ],
    );
    for fault in record.faults.iter().take(FAULTS_MAX) {
        table.row([
            fault.name.clone(),
            fault.kind.clone(),
            fault.target.clone(),
            fault.from.to_string(),
            fault.until.to_string(),
            fault.until.since(fault.from).to_string(),
            fault.effect.clone(),
        ]);
    }
    let mut html = table.html();
    let mut say =
        |text: String| html.push_str(&format!("<p>{}</p>\n", crate::html::escaped(&text)));
    if record.faults.len() > FAULTS_MAX {
        say(format!(
            "and {} more",
            grouped((record.faults.len() - FAULTS_MAX) as u64)
        ));
    }
    for fault in record.fault_counts.iter().filter(|it| it.fired == 0) {
        say(format!("{} ({}) never struck.", fault.name, fault.kind));
    }
    for (from, until) in gaps(record, &delivered(record)).into_iter().take(GAPS_MAX) {
        let length = until.since(from);
        say(format!(
            "Nothing was delivered for {length}, from {from} to {until}."
        ));
    }
    for alarm in record.alarms.iter().take(FAULTS_MAX) {
        say(format!(
            "{} of {} ran short from {} to {}: publishers were blocked.",
            alarm.resource, alarm.node, alarm.from, alarm.until
        ));
    }
    html
}

/// By producer and in all.
pub(super) fn messages(record: &RunRecord) -> String {
    let mut table = Table::new(
        "Messages by producer. Unknown: timed out or lost with their connection, so that they may or may not have arrived.",
        &[
            "<producer",
            "members",
            "offered",
            "sent",
            "confirmed",
            "refused",
            "unknown",
            "dropped by the producer",
            "given up",
            "sent again",
            "unroutable",
            "pending at end",
        ],
    );
    let mut row = |name: &str, members: String, outcomes: &Outcomes| {
        let mut cells = vec![name.to_string(), members];
        cells.extend(
            [
                outcomes.offered,
                outcomes.sent,
                outcomes.confirmed,
                outcomes.failed,
                outcomes.unknown,
                outcomes.dropped_by_producer,
                outcomes.abandoned,
                outcomes.retried,
                outcomes.unroutable,
                outcomes.pending,
            ]
            .map(grouped),
        );
        table.row(cells);
    };
    for producer in &record.producers {
        let members = grouped(producer.count.into());
        row(&producer.name, members, &producer.outcomes);
    }
    if record.producers.len() > 1 {
        row("together", String::new(), &record.outcomes);
    }
    let mut deaths = Table::new("Dead letters by reason.", &["<reason", "copies"]);
    for (reason, name) in DEATH_NAMES.iter().enumerate() {
        let copies = record.total(|queue| queue.deaths[reason]);
        if copies > 0 {
            deaths.row([name.to_string(), grouped(copies)]);
        }
    }
    table.without_empty_columns().html() + &deaths.html()
}

const FAULTS_MAX: usize = 100;
const GAPS_MAX: usize = 20;
