//! A violation as a short story: what was confirmed when, what the faults did, what was lost.

use std::collections::BTreeSet;

use queuelab_core::Time;
use queuelab_scenario::Scenario;
use queuelab_sim::{Line, Violation};

/// The lines of a story: those of the message that it is about and of what concerns all, or, where it is about none, the last ones.
pub(crate) fn story(scenario: &Scenario, violation: &Violation, lines: &[Line]) -> Vec<String> {
    let until = lines.partition_point(|line| line.at() <= violation.at);
    let lines = &lines[..until];
    let mut told: Vec<&Line> = match violation.tag {
        Some(tag) => {
            let concerns = |line: &&Line| line.tag() == Some(tag) || is_event(line);
            lines.iter().filter(concerns).collect()
        }
        None => lines.iter().collect(),
    };
    let left_out = told.len().saturating_sub(LONGEST);
    // The end of a story matters most; its beginning comes next.
    if left_out > 0 {
        told.drain(LONGEST / 3..LONGEST / 3 + left_out);
    }
    let names: BTreeSet<u64> = told.iter().filter_map(|line| line.tag()).collect();
    let several = names.len() > 1 || violation.tag.is_none();
    let width = told.iter().map(|line| instant(line.at()).chars().count());
    let width = width.max().unwrap_or_default();
    let mut story: Vec<String> = Vec::new();
    let mut named = false;
    for (number, line) in told.iter().enumerate() {
        if left_out > 0 && number == LONGEST / 3 {
            story.push(format!("{:>width$}  … {left_out} lines", ""));
        }
        let subject = match line.tag() {
            Some(tag) if several || !std::mem::replace(&mut named, true) => {
                format!("{}: ", message(scenario, tag))
            }
            Some(_) => "it: ".into(),
            None => String::new(),
        };
        story.push(format!(
            "{:>width$}  {subject}{}",
            instant(line.at()),
            line.text()
        ));
    }
    let what = violation.text.split_once(": ").map(|(_, what)| what);
    story.push(format!(
        "{:>width$}  ✗ {}: {}",
        instant(violation.at),
        violation.broken,
        what.unwrap_or(&violation.text)
    ));
    story
}

/// `message 17 of checkout/3`
pub(crate) fn message(scenario: &Scenario, tag: u64) -> String {
    let (mut member, sequence) = ((tag >> 40) as u32, tag & ((1 << 40) - 1));
    for producer in &scenario.producers {
        if member < producer.count {
            return format!("message {sequence} of {}/{member}", producer.name);
        }
        member -= producer.count;
    }
    for consumer in &scenario.consumers {
        if member < consumer.count {
            return format!("message {sequence} of {}/{member}", consumer.name);
        }
        member -= consumer.count;
    }
    format!("message {sequence} of the backlog")
}

fn instant(at: Time) -> String {
    format!("{:.6}s", at.as_secs_f64())
}

/// Faults and restarts, not what becomes of single deliveries.
fn is_event(line: &Line) -> bool {
    let told = ["its delivery", "phase "];
    line.tag().is_none() && !told.iter().any(|told| line.text().contains(told))
}

/// Lines of a story.
const LONGEST: usize = 24;

#[cfg(test)]
mod tests {
    use queuelab_sim::Broken;

    use super::*;

    #[test]
    fn a_story_follows_its_message() {
        let scenario = queuelab_scenario::open("hello", &[]).unwrap();
        let line = |at: u64, tag, text: &str| Line(Time(at * 1_000), tag, text.into());
        let lines = [
            line(0, None, "phase run"),
            line(1, Some(3), "sent, 10 bytes"),
            line(2, Some(4), "sent, 10 bytes"),
            line(3, Some(3), "confirmed: its producer relies on it"),
            line(4, None, "workers/0 acknowledges its delivery 1"),
            line(5, None, "fault lights-out: power-loss of n1"),
            line(9, Some(3), "later"),
        ];
        let violation = Violation {
            broken: Broken::Invariant {
                name: "no-loss".into(),
                queue: "greetings".into(),
            },
            at: Time(5_000),
            tag: Some(3),
            text: "at 5us: message 3 of producer 0 was confirmed, and a crash took it".into(),
        };
        let name = &scenario.producers[0].name;
        let expected = [
            format!("0.000001s  message 3 of {name}/0: sent, 10 bytes"),
            "0.000003s  it: confirmed: its producer relies on it".into(),
            "0.000005s  fault lights-out: power-loss of n1".into(),
            "0.000005s  ✗ no-loss of greetings: message 3 of producer 0 was confirmed, and a crash took it".into(),
        ];
        assert_eq!(story(&scenario, &violation, &lines), expected);
    }
}
