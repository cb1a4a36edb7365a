//! Where two runs part, in words.

use queuelab_record::{Parting, TracedEvent, grouped};
use queuelab_scenario::Scenario;
use queuelab_sim::in_words;

/// A line that says where, and two with the event then and now, if it is one event.
pub(crate) fn lines(scenario: &Scenario, parting: &Parting) -> Vec<String> {
    match parting {
        Parting::Event { number, then, now } => {
            let shown = |event: &Option<TracedEvent>, other: &Option<TracedEvent>| match event {
                Some(event) => words(scenario, event, other.as_ref()),
                None => "nothing: the run was over".into(),
            };
            vec![
                format!(
                    "the first event that differs is number {}",
                    grouped(*number)
                ),
                format!("  then: {}", shown(then, now)),
                format!("  now:  {}", shown(now, then)),
            ]
        }
        Parting::Block { from, until } => vec![format!(
            "the first event that differs is one of {} to {}: only the first {} are kept one by one",
            grouped(*from),
            grouped(*until),
            grouped(queuelab_record::EVENTS_MAX as u64)
        )],
    }
}

/// `1.234567890s  a packet from shop/1 reaches the node`, and what tells it from the other one where that would read the same.
fn words(scenario: &Scenario, event: &TracedEvent, other: Option<&TracedEvent>) -> String {
    let nanos = event.at.0;
    let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    let mut text = format!("{seconds}.{rest:09}s  {}", in_words(scenario, event));
    let Some(other) = other else { return text };
    let alike = |event: &TracedEvent| (event.at, event.kind, event.target);
    if alike(event) == alike(other) {
        if event.did != other.did {
            text.push_str(&format!(", with other messages (digest {:04x})", event.did));
        } else {
            let sequence = grouped(event.sequence);
            text.push_str(&format!(", scheduled as number {sequence}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use queuelab_core::Time;

    use super::*;

    #[test]
    fn an_event_is_told_then_and_now() {
        let scenario = queuelab_scenario::open("one-workload", &[]).unwrap();
        let event = TracedEvent {
            at: Time(1_000_000_005),
            sequence: 7,
            kind: 3,
            target: 1,
            did: 0x12,
        };
        let parting = |now: Option<TracedEvent>| Parting::Event {
            number: 1_234,
            then: Some(event),
            now,
        };
        let told = lines(&scenario, &parting(None));
        assert_eq!(
            told,
            [
                "the first event that differs is number 1,234",
                "  then: 1.000000005s  a packet from checkout/1 reaches the node",
                "  now:  nothing: the run was over",
            ]
        );
        let other = TracedEvent { did: 0x34, ..event };
        let told = lines(&scenario, &parting(Some(other)));
        assert!(
            told[1].ends_with("the node, with other messages (digest 0012)"),
            "{told:?}"
        );
        let other = TracedEvent {
            sequence: 8,
            ..event
        };
        let told = lines(&scenario, &parting(Some(other)));
        assert!(
            told[2].ends_with("the node, scheduled as number 8"),
            "{told:?}"
        );
        let block = Parting::Block {
            from: 1_000_001,
            until: 1_048_576,
        };
        let told = lines(&scenario, &block);
        assert!(
            told[0].contains("one of 1,000,001 to 1,048,576"),
            "{told:?}"
        );
    }
}
