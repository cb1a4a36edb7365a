//! `queuelab sweep` as it is used: what it prints, that it goes on after whatever stopped it, and what it finds.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use snapbox::cmd::{Command, OutputAssert, cargo_bin};
use snapbox::str;

/// An empty folder of a test's own.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("sweep-{name}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("the target folder can be written to");
    folder
}

/// `queuelab sweep` with `line` as its arguments, on so many threads.
fn sweep(folder: &Path, threads: u32, line: &[&str]) -> OutputAssert {
    Command::new(cargo_bin!("queuelab"))
        .current_dir(folder)
        .args(["sweep", "--no-plots"])
        .args(line)
        .env("RAYON_NUM_THREADS", threads.to_string())
        .env_remove("NO_COLOR")
        .assert()
}

fn stdout(output: &OutputAssert) -> String {
    String::from_utf8(output.get_output().stdout.clone()).expect("output is text")
}

fn stderr(output: &OutputAssert) -> String {
    String::from_utf8(output.get_output().stderr.clone()).expect("errors are text")
}

/// The one folder of results.
fn results(folder: &Path) -> PathBuf {
    let mut entries = fs::read_dir(folder.join("out")).expect("there are results");
    entries.next().expect("there is a sweep").unwrap().path()
}

/// All that a sweep leaves behind.
fn files(folder: &Path) -> [String; 2] {
    ["sweep.json", "sweep.csv"].map(|name| fs::read_to_string(results(folder).join(name)).unwrap())
}

const GRID: [&str; 8] = [
    "hello",
    "--set",
    "duration=5s",
    "--vary",
    "producer.sender.rate=20/s..80/s/20/s",
    "--vary",
    "consumer.receiver.count=1,2",
    "--replications=3",
];

#[test]
fn a_grid_is_a_table() {
    let folder = folder("table");
    let line = [
        "hello",
        "--set",
        "duration=20s",
        "--vary",
        "producer.sender.rate=20/s..80/s by 30/s",
        "--replications=4",
        "--metric",
        "latency.end_to_end.mean of greetings",
        "--metric",
        "backlog.max",
    ];
    let output = sweep(&folder, 2, &line).code(0);
    output
        .stdout_eq(str![[r#"
hello · 3 points · 4 runs each, seeds 1 to 4
  duration=20s

  producer.sender.rate   met         ρ   latency.end_to_end.mean of greetings   backlog.max
                  20/s   4 of 4   0.20                       13.4 ms ± 380 µs         0 ± 0
                  50/s   4 of 4   0.51                      17.1 ms ± 574 µs*         0 ± 0
                  80/s   4 of 4   0.80                     30.7 ms ± 4.59 ms*         0 ± 0

*        differs from the first point (runs in pairs of one seed, Holm's correction for 4
         comparisons, 5 %)
note     1 of 6 intervals are wider than ± 5 %: more --replications narrow them
files    out/hello-sweep-2859e4c0/: sweep.json, sweep.csv

"#]])
        .stderr_eq("");
    let [_, csv] = files(&folder);
    assert_eq!(csv.lines().count(), 4, "{csv}");
}

#[test]
fn json_is_what_is_in_the_file() {
    let folder = folder("json");
    let line = [&GRID[..], &["--format=json"]].concat();
    let output = sweep(&folder, 2, &line).code(0);
    let [json, _] = files(&folder);
    assert_eq!(stdout(&output), json);
    let sweep = queuelab_record::Sweep::from_json(&json).unwrap();
    assert_eq!(sweep.points.len(), 8);
    assert_eq!(sweep.to_json(), json);
    // The last axis changes fastest.
    let second: Vec<&str> = sweep.points[1]
        .settings
        .iter()
        .map(|it| it.text.as_str())
        .collect();
    assert_eq!(second, ["20/s", "2"]);
}

/// The journal cut at many places, in the middle of lines too: what was finished is not run again, and in the end nothing shows.
#[test]
fn a_sweep_that_was_stopped_goes_on_and_ends_the_same() {
    let folder = folder("resumed");
    let whole = sweep(&folder, 2, &GRID).code(0);
    let (printed, expected) = (stdout(&whole), files(&folder));
    let journal = results(&folder).join("points.jsonl");
    let lines = fs::read(&journal).unwrap();
    let step = lines.len() / 9;
    for (at, threads) in (0..lines.len())
        .step_by(step)
        .zip([1, 2, 3].into_iter().cycle())
    {
        fs::write(&journal, &lines[..at]).unwrap();
        fs::remove_file(results(&folder).join("sweep.json")).unwrap();
        let output = sweep(&folder, threads, &GRID).code(0);
        assert_eq!(stdout(&output), printed, "cut at byte {at}");
        assert_eq!(files(&folder), expected, "cut at byte {at}");
        let finished = lines[..at].iter().filter(|byte| **byte == b'\n').count();
        match finished.saturating_sub(1) {
            0 => assert_eq!(stderr(&output), ""),
            points => {
                let told = format!("{points} of 8 points are in out/");
                assert!(stderr(&output).starts_with(&told), "{}", stderr(&output));
            }
        }
    }
    // Nothing is left to do, or all of it.
    assert_eq!(stdout(&sweep(&folder, 1, &GRID).code(0)), printed);
    let fresh = [&GRID[..], &["--fresh"]].concat();
    let output = sweep(&folder, 1, &fresh).code(0);
    assert_eq!((stdout(&output), stderr(&output)), (printed, String::new()));
    assert_eq!(files(&folder), expected);
}

/// A process that is killed at some moment, for real.
#[test]
fn a_sweep_that_was_killed_goes_on() {
    let folder = folder("killed");
    let start = || {
        std::process::Command::new(cargo_bin!("queuelab"))
            .current_dir(&folder)
            .args(["sweep", "--no-plots"])
            .args(GRID)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts")
    };
    let finished = || {
        let entry = fs::read_dir(folder.join("out")).ok()?.next()?.ok()?;
        let journal = fs::read(entry.path().join("points.jsonl")).ok()?;
        Some(
            journal
                .iter()
                .filter(|byte| **byte == b'\n')
                .count()
                .saturating_sub(1),
        )
    };
    let mut before = 0;
    for wanted in [1, 3] {
        let mut child = start();
        while finished().unwrap_or(0) < wanted && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        let _ = child.kill();
        child.wait().unwrap();
        let now = finished().unwrap_or(0);
        assert!(now >= before.max(wanted), "{now} after {before}");
        before = now;
    }
    let output = sweep(&folder, 2, &GRID).code(0);
    let resumed = (stdout(&output), files(&folder));
    let fresh = [&GRID[..], &["--fresh"]].concat();
    let output = sweep(&folder, 2, &fresh).code(0);
    assert_eq!((stdout(&output), files(&folder)), resumed);
}

#[test]
fn points_of_another_state_of_the_file_are_not_taken() {
    let folder = folder("changed");
    let text = |rate| {
        format!(
            "duration = '2s'\nqueue = [{{ name = 'q' }}]\nconsumer = [{{ name = 'c', from = 'q' }}]\n\
             producer = [{{ name = 'p', to = 'q', arrivals = {{ dist = 'trace', file = '{rate}.csv' }} }}]\n"
        )
    };
    fs::write(folder.join("x.csv"), "at\n0.1\n0.2\n").unwrap();
    fs::write(folder.join("mine.toml"), text("x")).unwrap();
    let line = [
        "mine.toml",
        "--vary",
        "consumer.c.count=1,2",
        "--replications=2",
    ];
    sweep(&folder, 2, &line).code(0).stderr_eq("");
    fs::write(folder.join("x.csv"), "at\n0.1\n0.2\n0.3\n").unwrap();
    let output = sweep(&folder, 2, &line).code(0);
    assert!(
        stderr(&output).contains("all are run again"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_hypercube_has_as_many_points_as_asked() {
    let folder = folder("hypercube");
    let line = [
        "hello",
        "--set=duration=2s",
        "--lhs=5",
        "--vary=load=0.5..1.5",
        "--vary=consumer.receiver.count=1..9",
        "--replications=2",
        "--format=json",
    ];
    let output = sweep(&folder, 2, &line).code(0);
    let sweep = queuelab_record::Sweep::from_json(&stdout(&output)).unwrap();
    assert_eq!((sweep.points.len(), sweep.axes.len()), (5, 2));
    // Only whole consumers, and all kinds of loads.
    assert!(
        sweep
            .points
            .iter()
            .all(|point| !point.settings[1].text.contains('.'))
    );
    assert!(
        sweep
            .points
            .iter()
            .all(|point| point.settings[0].text.len() > 3)
    );
}

/// 50/s of 10 ms each: a load of 1.8 keeps the consumer busy 90 % of the time.
#[test]
fn the_sustainable_load_is_found() {
    let folder = folder("load");
    let line = [
        "hello",
        "--set=duration=20s",
        "--find=load",
        "--while=utilisation < 90%",
        "--replications=3",
        "--format=json",
    ];
    let output = sweep(&folder, 2, &line).code(0);
    let sweep = queuelab_record::Sweep::from_json(&stdout(&output)).unwrap();
    let boundary = sweep.boundary.expect("it was a search");
    let [holds, fails] = [boundary.holds, boundary.fails].map(|it| it.unwrap().number.unwrap());
    assert!((1.6..1.9).contains(&holds), "{holds}");
    assert!(
        holds < fails && fails - holds <= 0.01 * fails,
        "{holds} {fails}"
    );
}

/// More consumers help: the smallest number that is enough.
#[test]
fn the_smallest_number_of_consumers_is_found() {
    let folder = folder("consumers");
    let line = [
        "hello",
        "--set=duration=10s",
        "--set=load=8",
        "--find=consumer.receiver.count",
        "--between=1..20",
        "--while=utilisation < 90%",
        "--while=backlog.end < 50",
        "--replications=2",
    ];
    let output = sweep(&folder, 2, &line).code(0);
    output.stdout_eq(str![[r#"
hello · 7 values tried · 2 runs each, seeds 1 to 2
  duration=10s
  load=8

  consumer.receiver.count   holds       ρ       utilisation   backlog.end
                        1   0 of 2   3.91   100 % ± < 0.1 %   2,864 ± 718
                        3   0 of 2   1.30    99.9 % ± 0.7 %     766 ± 737
                        4   0 of 2   0.98   97.7 % ± 17.9 %         0 ± 0
                        5   2 of 2   0.78   78.2 % ± 14.6 %         0 ± 0
                       10   2 of 2   0.39    39.1 % ± 7.2 %         0 ± 0
                       15   2 of 2   0.26    26.1 % ± 4.9 %         0 ± 0
                       20   2 of 2   0.20    19.6 % ± 3.6 %         0 ± 0

note     7 of 14 intervals are wider than ± 5 %: more --replications narrow them
while    utilisation < 90%, backlog.end < 50 (in all 2 runs)
found    consumer.receiver.count = 5 is the smallest that was seen to hold, 4 fails; 2 of 2 say with
         95 % confidence that it holds for more than 22.4 % of all seeds
files    out/hello-sweep-1ece984f/: sweep.json, sweep.csv

"#]]);
}

#[test]
fn a_boundary_that_is_not_there_is_undecided() {
    let folder = folder("nowhere");
    let line = [
        "hello",
        "--set=duration=2s",
        "--find=load",
        "--between=0.5..0.9",
        "--while=no-loss",
        "--replications=2",
    ];
    let output = sweep(&folder, 2, &line).code(3);
    assert!(
        stdout(&output).contains("it holds wherever it was tried, from 0.5 to 0.9"),
        "{}",
        stdout(&output)
    );
}

#[test]
fn what_is_wrong_is_said_before_anything_runs() {
    let folder = folder("refused");
    let refused = |line: &[&str], parts: &[&str]| {
        let output = sweep(&folder, 1, line).code(2).stdout_eq("");
        let error = stderr(&output);
        for part in parts {
            assert!(error.contains(part), "{part:?} is not in:\n{error}");
        }
        assert!(!error.contains("panicked"), "{error}");
    };
    refused(
        &["hello"],
        &["there is nothing to vary: add --vary KEY=VALUES"],
    );
    refused(&["helo", "--vary=load=1,2"], &["did you mean `hello`?"]);
    refused(&["hello", "--vary=load"], &["it is KEY=VALUES"]);
    refused(&["hello", "--vary=load=1..2"], &["a range needs a step"]);
    refused(
        &["hello", "--vary=lood=1,2"],
        &["unknown key `lood`", "did you mean `load`?"],
    );
    refused(
        &["hello", "--vary=seed=1,2"],
        &["choose the first with --seed"],
    );
    refused(
        &["hello", "--vary=load=1,2", "--vary=load=3,4"],
        &["`load` is varied twice"],
    );
    refused(
        &["hello", "--vary=consumer.receiver.count=1..3/0.5"],
        &["--set:1:25", "expected a whole number"],
    );
    refused(
        &["hello", "--vary=load=1,2", "--metric=backlog.mex"],
        &["did you mean `backlog.max`?"],
    );
    refused(&["hello", "--find=load"], &["--while"]);
    refused(
        &["hello", "--find=load", "--while=fast"],
        &["is not a metric or an invariant"],
    );
    refused(
        &["hello", "--find=consumer.receiver.count", "--while=no-loss"],
        &["Add --between FROM..TO"],
    );
    refused(
        &["hello", "--find=load", "--while=no-loss", "--between=2..1"],
        &[
            "failed to read --between 2..1",
            "the end must be above the start",
        ],
    );
    refused(
        &[
            "hello",
            "--find=load",
            "--while=no-loss",
            "--tolerance=small",
        ],
        &["failed to read --tolerance small", "a share such as 1%"],
    );
    refused(
        &["hello", "--vary=load=1,2", "--lhs=1"],
        &["--latin-hypercube"],
    );
    assert!(!folder.join("out").exists());
}
