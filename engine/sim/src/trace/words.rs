//! Events of the calendar in words.

use queuelab_record::TracedEvent;
use queuelab_scenario::Scenario;

/// What an event of a run of this scenario is, in words: `a packet from checkout/3 reaches the node`.
pub fn in_words(scenario: &Scenario, event: &TracedEvent) -> String {
    let target = event.target;
    match event.kind {
        1 => format!("{} acts", producer(scenario, target)),
        2 => format!("{} acts", consumer(scenario, target)),
        3 => format!(
            "a packet from {} reaches the node",
            client(scenario, target)
        ),
        4 => format!(
            "a packet from the node reaches {}",
            client(scenario, target)
        ),
        5 => format!(
            "{} notices that its connection is gone",
            client(scenario, target)
        ),
        6 => format!("core {target} of the node has done its batch"),
        7 => "an fsync is done".into(),
        8 => "a window of the series ends".into(),
        9 => "a phase ends".into(),
        10 => format!("{} begins", fault(scenario, target)),
        11 => format!("{} ends", fault(scenario, target)),
        12 => "a timer of the broker is due".into(),
        13 => "the run looks whether it has come to rest".into(),
        14 => format!("a message goes straight through pipe {target}"),
        15 => format!("there is room in pipe {target}"),
        16 => "the node finds that its log has failed".into(),
        17 => format!("{} goes on", fault(scenario, target)),
        18 => "everything is healed".into(),
        19 => format!("{} gives up a connection attempt", client(scenario, target)),
        20 => "the node's process is killed for its memory".into(),
        kind => format!("an event of kind {kind}, about {target}"),
    }
}

fn fault(scenario: &Scenario, number: u32) -> String {
    match scenario.faults.get(number as usize) {
        Some(fault) => format!("fault {}", fault.name),
        None => format!("fault number {}", number + 1),
    }
}

/// Producers' connections come first, consumers' follow.
fn client(scenario: &Scenario, connection: u32) -> String {
    let producers: u32 = scenario.producers.iter().map(|group| group.count).sum();
    match connection.checked_sub(producers) {
        None => producer(scenario, connection),
        Some(number) => consumer(scenario, number),
    }
}

fn producer(scenario: &Scenario, number: u32) -> String {
    let groups = scenario.producers.iter();
    member(groups.map(|group| (&group.name, group.count)), number)
        .unwrap_or_else(|| format!("producer {number}"))
}

fn consumer(scenario: &Scenario, number: u32) -> String {
    let groups = scenario.consumers.iter();
    member(groups.map(|group| (&group.name, group.count)), number)
        .unwrap_or_else(|| format!("consumer {number}"))
}

fn member<'a>(groups: impl Iterator<Item = (&'a String, u32)>, number: u32) -> Option<String> {
    let mut left = number;
    for (name, count) in groups {
        match left.checked_sub(count) {
            None => return Some(format!("{name}/{left}")),
            Some(rest) => left = rest,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use queuelab_core::Time;

    use super::*;
    use crate::trace::keep::traced;

    #[test]
    fn clients_are_named_as_everywhere() {
        let scenario = queuelab_scenario::open("one-workload", &[]).unwrap();
        let words = |kind, target| in_words(&scenario, &traced(Time(1), 1, kind, target));
        assert_eq!(words(1, 3), "checkout/3 acts");
        assert_eq!(words(2, 4), "billing/4 acts");
        assert_eq!(words(3, 0), "a packet from checkout/0 reaches the node");
        assert_eq!(words(4, 6), "a packet from the node reaches billing/1");
        assert_eq!(words(2, 99), "consumer 99 acts");
        assert!(words(10, 0).starts_with("fault "));
        assert_eq!(words(77, 5), "an event of kind 77, about 5");
    }
}
