//! What went wrong: each activation, or each fault with how often it struck; and what never did.

use queuelab_core::Span;
use queuelab_record::{FaultRecord, grouped};

use super::{LABEL, Page};
use crate::layout::{Align, Cell, Style, table, wrap};

/// Faults in the order of their beginnings, nodes that are down, and a warning of faults that never struck.
pub(super) fn section(page: &Page<'_>) -> Vec<String> {
    let faults = &page.record.faults;
    let rows: Vec<Vec<Cell>> = match faults.len() <= FAULTS_MAX {
        true => faults.iter().map(activation).collect(),
        false => tallies(faults).iter().map(tally).collect(),
    };
    let more = rows.len().saturating_sub(FAULTS_MAX);
    let shown = &rows[..rows.len() - more];
    let mut lines = table(shown, &[Align::Left; 4], page.painter);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    let width = page.context.width.saturating_sub(LABEL);
    let stopped = page.record.nodes.iter().filter_map(|node| {
        let reason = node.stopped.as_ref()?;
        Some(format!("{} is down: {reason}", node.name))
    });
    lines.extend(stopped.flat_map(|line| wrap(&line, width)));
    let never = never(page).into_iter().flat_map(|line| wrap(&line, width));
    lines.extend(never.map(|line| page.painter.paint(Style::Yellow, &line)));
    page.labelled("faults", lines)
}

fn activation(fault: &FaultRecord) -> Vec<Cell> {
    [
        fault.name.clone(),
        format!("{} of {}", fault.kind, fault.target),
        format!("{} – {}", fault.from, fault.until),
        fault.effect.clone(),
    ]
    .map(Cell::from)
    .to_vec()
}

/// All activations of one fault.
struct Tally<'a> {
    first: &'a FaultRecord,
    last: &'a FaultRecord,
    times: u64,
    total: Span,
    /// Whether each struck the same.
    same_target: bool,
}

/// In the order of their first activations.
fn tallies(faults: &[FaultRecord]) -> Vec<Tally<'_>> {
    let mut tallies: Vec<Tally<'_>> = Vec::new();
    for fault in faults {
        let length = fault.until.since(fault.from);
        let of_name = tallies.iter_mut().find(|it| it.first.name == fault.name);
        match of_name {
            None => tallies.push(Tally {
                first: fault,
                last: fault,
                times: 1,
                total: length,
                same_target: true,
            }),
            Some(tally) => {
                tally.last = fault;
                tally.times += 1;
                tally.total += length;
                tally.same_target &= tally.first.target == fault.target;
            }
        }
    }
    tallies
}

fn tally(tally: &Tally<'_>) -> Vec<Cell> {
    let Tally {
        first, last, times, ..
    } = tally;
    if *times == 1 {
        return activation(first);
    }
    let target = match tally.same_target {
        true => first.target.as_str(),
        false => "several",
    };
    // What happens in an instant has no length.
    let total = match tally.total {
        Span::ZERO => String::new(),
        total => format!(", {total} in all"),
    };
    [
        first.name.clone(),
        format!("{} of {target}", first.kind),
        format!("{} times{total}", grouped(*times)),
        format!("first at {}, last at {}", first.from, last.from),
    ]
    .map(Cell::from)
    .to_vec()
}

/// What the scenario has and the run did not: its figures say nothing of that.
fn never(page: &Page<'_>) -> Option<String> {
    let counts = page.record.fault_counts.iter();
    let names: Vec<String> = counts
        .filter(|fault| fault.fired == 0)
        .map(|fault| match fault.name == fault.kind {
            true => fault.name.clone(),
            false => format!("{} ({})", fault.name, fault.kind),
        })
        .collect();
    match names.as_slice() {
        [] => None,
        [one] => Some(format!("{one} never struck: nothing here shows its effect")),
        [first @ .., last] => Some(format!(
            "{} and {last} never struck: nothing here shows their effect",
            first.join(", ")
        )),
    }
}

/// More lines than this would push the verdict off the screen; record.json has them all.
const FAULTS_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use queuelab_core::Time;
    use queuelab_record::{FaultCount, RunRecord, fixture};

    use super::*;
    use crate::layout::Painter;
    use crate::summary::INDENT;
    use crate::summary::tests::context;

    fn lines(record: &RunRecord) -> String {
        let context = context();
        let page = Page {
            record,
            context: &context,
            painter: Painter { color: false },
        };
        let lines = section(&page);
        // What is expected below has no indentation of its own.
        let lines = lines
            .iter()
            .map(|line| line.strip_prefix(INDENT).unwrap_or(line));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn many_activations_are_counted_by_fault() {
        let mut record = fixture::flash_sale();
        let at = |secs: u64| Time(secs * 1_000_000_000);
        let again = |number: u64| FaultRecord {
            name: "flaky".into(),
            kind: "clog".into(),
            target: match number % 2 {
                0 => "1 of fulfilment".into(),
                _ => "2 of fulfilment".into(),
            },
            from: at(300 + 10 * number),
            until: at(304 + 10 * number),
            effect: "nothing got through".into(),
        };
        record.faults.extend((0..9).map(again));
        record.faults.push(FaultRecord {
            name: "wipe".into(),
            kind: "purge".into(),
            target: "orders".into(),
            from: at(500),
            until: at(500),
            effect: "it took 3 messages".into(),
        });
        expect_test::expect![[r#"
              faults    restart   crash of n1       4m – 4m20s             took no message; 742 were delivered again
                        flaky     clog of several   9 times, 36 s in all   first at 5m, last at 6m20s
                        wipe      purge of orders   8m20s – 8m20s          it took 3 messages"#]]
        .assert_eq(&lines(&record));
    }

    #[test]
    fn what_never_struck_is_named() {
        let mut record = fixture::flash_sale();
        let count = |name: &str, kind: &str, fired| FaultCount {
            name: name.into(),
            kind: kind.into(),
            fired,
        };
        record.fault_counts = vec![
            count("restart", "crash", 1),
            count("rot", "bit-rot", 0),
            count("pause", "pause", 0),
        ];
        let text = lines(&record);
        let last = text.lines().last().unwrap().trim();
        assert_eq!(
            last,
            "rot (bit-rot) and pause never struck: nothing here shows their effect"
        );
        record.fault_counts.truncate(2);
        assert!(
            lines(&record).contains("rot (bit-rot) never struck: nothing here shows its effect")
        );
        record.fault_counts.truncate(1);
        assert!(!lines(&record).contains("never"));
    }
}
