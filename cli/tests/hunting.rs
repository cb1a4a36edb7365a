//! `queuelab hunt` and `queuelab replay` as they are used.

use std::fs;
use std::path::PathBuf;

use snapbox::cmd::{Command, OutputAssert, cargo_bin};

/// An empty folder of a test's own.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("the target folder can be written to");
    folder
}

fn queuelab(folder: &PathBuf, threads: &str, line: &str) -> OutputAssert {
    Command::new(cargo_bin!("queuelab"))
        .current_dir(folder)
        .args(line.split_whitespace())
        .env("RAYON_NUM_THREADS", threads)
        .env_remove("GITHUB_ACTIONS")
        .assert()
}

fn stdout(output: &OutputAssert) -> String {
    String::from_utf8(output.get_output().stdout.clone()).expect("output is text")
}

fn stderr(output: &OutputAssert) -> String {
    String::from_utf8(output.get_output().stderr.clone()).expect("errors are text")
}

/// Queues in memory lose what is confirmed; this one does not say that it means to show that.
const LOSSY: &str = r#"
title = "Lossy"
about = "A queue in memory, and a crash"
duration = "10s"

[[queue]]
name = "jobs"
kind = "memory"

[[producer]]
name = "clients"
to = "jobs"
rate = "50/s"
confirm = { window = 10, timeout = "1s" }

[[consumer]]
name = "workers"
from = "jobs"
service = "10ms"

[[fault]]
name = "lights-out"
kind = "crash"
at = "4s"
for = "1s"

[[fault]]
kind = "slow-disk"
at = "1s"
for = "1s"
factor = 2
"#;

fn lossy(name: &str) -> PathBuf {
    let folder = folder(name);
    fs::write(folder.join("lossy.toml"), LOSSY).expect("written");
    folder
}

#[test]
fn a_violation_is_made_small_told_and_replayed() {
    let folder = lossy("hunt");
    let hunt = queuelab(&folder, "2", "hunt lossy.toml --seeds 5").code(1);
    assert_eq!(stderr(&hunt), "");
    let text = stdout(&hunt);
    for part in [
        "no-loss of jobs",
        "1 message, 1 fault,",
        "confirmed: its producer relies on it",
        "fault lights-out: crash of n1",
        "and a crash took it",
    ] {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
    let last = text.lines().last().expect("a last line");
    let (seed, command) = last.split_once(": queuelab ").expect("a command");
    assert!(seed.starts_with("lossy, seed "), "{last}");
    let replay = queuelab(&folder, "1", command).code(1);
    let again = stdout(&replay);
    assert!(again.contains("no-loss of jobs reproduced\n"), "{again}");
    assert!(again.contains("and a crash took it"), "{again}");

    // A capsule of a run that went otherwise says where.
    let path = folder.join(command.split_whitespace().nth(1).expect("a path"));
    let capsule = fs::read_to_string(&path).expect("it was written");
    let other = capsule.replacen("is in jobs", "is in tasks", 1);
    assert_ne!(capsule, other);
    fs::write(&path, other).expect("written");
    let text = stdout(&queuelab(&folder, "1", command).code(1));
    assert!(text.contains("reproduced, in another way"), "{text}");
    assert!(text.contains("is in tasks\n    now:"), "{text}");

    // Without its fault nothing goes wrong.
    let at = capsule.find("\"faults\":[").expect("faults");
    let end = at + capsule[at..].find("]").expect("their end");
    let without = format!("{}\"faults\":[{}", &capsule[..at], &capsule[end..]);
    fs::write(&path, without).expect("written");
    let text = stdout(&queuelab(&folder, "1", command).code(0));
    assert!(text.contains("not reproduced"), "{text}");
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let folder = lossy("threads");
    let hunt = |threads| {
        let line = "hunt lossy.toml hello --seeds 70 --messages 300 --format json";
        stdout(&queuelab(&folder, threads, line).code(1))
    };
    let one = hunt("1");
    assert_eq!(one, hunt("3"));
    let json: serde_json::Value = serde_json::from_str(&one).expect("JSON");
    assert_eq!(json["schema_version"], 1);
    let json = &json["hunts"];
    assert_eq!(json[0]["seeds"], 64, "a batch has a violation");
    assert_eq!(json[0]["violations"][0]["operations"], 1);
    assert_eq!(json[1]["seeds"], 70);
    assert_eq!(json[1]["failing"], 0);
    assert!(json[1]["comparisons"].as_u64().expect("a count") > 10_000);
}

#[test]
fn what_a_scenario_means_to_show_is_no_violation() {
    let folder = folder("expected");
    let text = LOSSY.replacen(
        "[[queue]]",
        "expect = [\"violates no-loss of jobs\"]\n[[queue]]",
        1,
    );
    fs::write(folder.join("lossy.toml"), text).expect("written");
    let hunt = queuelab(&folder, "2", "hunt lossy.toml --seeds 3").code(0);
    let text = stdout(&hunt);
    assert!(text.contains("✓ lossy: 3 seeds"), "{text}");
}

#[test]
fn bad_capsules_are_refused() {
    let folder = folder("bad-capsule");
    for (name, text, part) in [
        ("empty.json", "", "it is not a capsule"),
        ("other.json", "{\"capsule\": 9}", "its format is 9"),
        (
            "half.json",
            "{\"capsule\": 1, \"version\": 3}",
            "it is not a capsule",
        ),
    ] {
        fs::write(folder.join(name), text).expect("written");
        let replay = queuelab(&folder, "1", &format!("replay {name}")).code(2);
        let error = stderr(&replay);
        assert!(error.contains(part) && error.contains(name), "{error}");
    }
    let error = stderr(&queuelab(&folder, "1", "replay nowhere.json").code(2));
    assert!(error.contains("failed to read nowhere.json"), "{error}");
}

#[test]
fn seeds_end_where_they_end() {
    let folder = folder("seeds-end");
    let hunt = "hunt hello --set duration=1s --first-seed 18446744073709551610 --seeds";
    let output = queuelab(&folder, "2", &format!("{hunt} 20")).code(2);
    let told = "there are no 20 seeds from 18446744073709551610 on; take a smaller first seed";
    assert!(stderr(&output).contains(told), "{}", stderr(&output));
    let output = queuelab(&folder, "2", &format!("{hunt} 6")).code(0);
    let told = "6 seeds from 18446744073709551610 on";
    assert!(stdout(&output).contains(told), "{}", stdout(&output));
}
