//! What records say of faults: all that each has done, and nothing that another has, or that has not happened.

use queuelab_scenario::Scenario;
use queuelab_sim::Simulation;

use crate::{simulation, sound};

/// A queue whose consumer comes late, with faults.
fn run(kind: &str, faults: &str) -> Simulation {
    let text = format!(
        r#"duration = "40s"
budget = "unrestricted"
fault = [{faults}]

[[queue]]
name = "orders"
kind = "{kind}"

[[producer]]
name = "shop"
to = "orders"
rate = "50/s"
limit = 1000

[[consumer]]
name = "packers"
from = "orders"
service = "1ms"
start = "30s"
"#
    );
    let scenario =
        Scenario::parse("told.toml", &text, &[]).unwrap_or_else(|error| panic!("{error}"));
    let mut run = simulation(&scenario);
    run.run_until(run.end());
    run
}

fn effects(run: &Simulation) -> Vec<String> {
    let faults = run.record().faults.into_iter();
    faults.map(|fault| fault.effect).collect()
}

fn says(run: &Simulation, text: &str) -> bool {
    run.log().iter().any(|line| line.text.contains(text))
}

/// How many messages were lost, by what these effects say.
fn taken(effects: &[String]) -> u64 {
    let words: Vec<&str> = effects.iter().flat_map(|it| it.split(' ')).collect();
    let counts = words.windows(3).filter_map(|three| match three {
        ["took", count, "messages"] => count.replace(',', "").parse::<u64>().ok(),
        _ => None,
    });
    counts.sum()
}

#[test]
fn all_that_a_process_takes_with_it_is_told() {
    for (fault, stops) in [
        ("kind = 'crash', for = '1s'", 0),
        ("kind = 'wipe', for = '1s'", 0),
        ("kind = 'rollback', for = '1s'", 0),
        ("kind = 'restart'", 1),
        ("kind = 'stop', for = '1s', grace = '0s'", 1),
        ("kind = 'stop', for = '2s', grace = '1s'", 1),
        ("kind = 'stop', for = '1s', grace = '3s'", 1),
        (
            "kind = 'set-durability', target = 'orders', durability = 'os', for = '2s'",
            2,
        ),
    ] {
        let run = run("memory", &format!("{{ {fault}, at = '10s' }}"));
        let effects = effects(&run);
        let lost = run.record().queues[0].lost;
        assert!(lost > 400, "{fault}: {lost}");
        assert_eq!(taken(&effects), lost, "{fault}: {effects:?}");
        let lines = run.log().iter();
        let told = lines.filter(|line| line.text.contains("n1 has stopped: it took"));
        assert_eq!(told.count(), stops, "{fault}");
    }
}

#[test]
fn the_limit_that_was_exceeded_kills() {
    let small = "{ kind = 'out-of-memory', at = '10s', for = '2s', bytes = '1KiB' }";
    let large = "{ kind = 'out-of-memory', at = '5s', for = '30s', bytes = '1GiB' }";
    let run = run("durable", &format!("{large}, {small}"));
    let record = run.record();
    let [large, small] = &effects(&run)[..] else {
        panic!("{:?}", record.faults);
    };
    assert!(!large.contains("killed"), "{large}");
    assert!(small.contains("killed at 10 s"), "{small}");
    // It is up again when that is over.
    let up = run.log().iter().find(|line| line.text.contains("is up"));
    assert_eq!(up.map(|line| line.at), Some(record.faults[1].until));
    sound(&record, &[]);
}

#[test]
fn a_log_that_fails_is_charged_to_what_has_it_fail_so() {
    let read = "{ kind = 'read-error', at = '5s', for = '10s', p = 0.000001 }";
    for (fault, p) in [
        ("disk-full", ""),
        ("write-error", ", p = 1"),
        ("fsync-error", ", p = 1"),
    ] {
        let fault = format!("{{ kind = '{fault}', at = '10s', for = '2s'{p} }}");
        let run = run("durable", &format!("{read}, {fault}"));
        let effects = effects(&run);
        assert_eq!(effects[0], "reads report errors", "{fault}");
        assert!(effects[1].starts_with("n1 stopped"), "{effects:?}");
    }
}

#[test]
fn a_truncation_takes_what_an_earlier_one_has_left() {
    let cut = "{ kind = 'truncate-log', bytes = '2KiB', at = '10s' }";
    let crash = "{ kind = 'crash', at = '10001ms', for = '2s' }";
    let gone = |cuts: &[&str]| {
        let run = run("durable", &format!("{}, {crash}", cuts.join(", ")));
        let effects = effects(&run);
        let entries = |effect: &String| {
            let words: Vec<&str> = effect.split(' ').collect();
            let count = words.iter().find_map(|word| word.parse::<u64>().ok());
            count.unwrap_or_default()
        };
        let cut: u64 = effects[..cuts.len()].iter().map(entries).sum();
        (cut, taken(&effects))
    };
    let (one, two) = (gone(&[cut]), gone(&[cut, cut]));
    assert_eq!(two.0, 2 * one.0);
    assert_eq!(two, (two.0, two.0), "{two:?}");
}

#[test]
fn a_backup_is_restored_when_it_is() {
    let rollback = |length: &str| {
        let fault =
            format!("{{ kind = 'rollback', on = {{ event = 'publish' }}, for = '{length}' }}");
        let run = run("durable", &fault);
        (says(&run, "the disk went back"), effects(&run).remove(0))
    };
    assert_eq!(rollback("50s"), (false, "a backup was made".into()));
    let (said, effect) = rollback("5s");
    assert!(said && effect.starts_with("the disk went back"), "{effect}");
}

#[test]
fn a_write_is_misdirected_when_there_is_one() {
    let landed = "a write landed in another place of the log";
    // After the last message, at 20 s, the next write is that of the first acknowledgement.
    for (at, lands) in [("10s", 10.0), ("25s", 30.0)] {
        let run = run(
            "durable",
            &format!("{{ kind = 'misdirected-write', at = '{at}' }}"),
        );
        assert_eq!(effects(&run), [landed]);
        let line = run.log().iter().find(|line| line.text.contains(landed));
        let told = line.map(|line| line.at.as_secs_f64());
        let soon = told.is_some_and(|told| (lands..lands + 0.2).contains(&told));
        assert!(soon, "{told:?}");
    }
    let run = run("memory", "{ kind = 'misdirected-write', at = '25s' }");
    assert_eq!(effects(&run), [""]);
    assert!(!says(&run, landed));
}
