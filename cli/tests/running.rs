//! `queuelab run` beyond one run: other seeds, other expectations, guesses, and what CI reads.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use snapbox::cmd::{Command, OutputAssert, cargo_bin};

/// An empty folder of a test's own.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("running-{name}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("the target folder can be written to");
    folder
}

fn command(folder: &PathBuf, line: &str) -> Command {
    Command::new(cargo_bin!("queuelab"))
        .current_dir(folder)
        .args(line.split_whitespace())
        .env_remove("NO_COLOR")
        .env_remove("GITHUB_ACTIONS")
}

fn queuelab(folder: &PathBuf, line: &str) -> OutputAssert {
    command(folder, line).assert()
}

fn stdout(output: &OutputAssert) -> String {
    String::from_utf8(output.get_output().stdout.clone()).expect("output is text")
}

fn stderr(output: &OutputAssert) -> String {
    String::from_utf8(output.get_output().stderr.clone()).expect("errors are text")
}

fn json(output: &OutputAssert) -> Value {
    serde_json::from_str(&stdout(output)).expect("JSON")
}

fn read(folder: &Path, file: &str) -> String {
    fs::read_to_string(folder.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn assert_has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}

/// Runs of a few seconds.
const SHORT: &str = "--set duration=10s --no-plots";

#[test]
fn other_seeds_show_how_far_figures_hang_on_chance() {
    let folder = folder("seeds");
    let run = queuelab(&folder, "run hello --no-plots --seed 3")
        .code(0)
        .stderr_eq("");
    let text = stdout(&run);
    assert_has(
        &text,
        &[
            "seed 3, intervals over seeds 3..12",
            "this run",
            "10 seeds, 95 %",
            "latency.end_to_end.p99",
            " ± ",
            "L = λW exact in 10 runs",
            "record.json  replications.json",
        ],
    );
    let out = folder.join("out/hello-3");
    let replications: Value = serde_json::from_str(&read(&out, "replications.json")).expect("JSON");
    assert_eq!(replications["seeds"].as_array().expect("seeds").len(), 10);
    // One run leaves nothing of the others behind.
    let alone =
        stdout(&queuelab(&folder, "run hello --no-plots --seed 3 --replications 1").code(0));
    assert!(!alone.contains("seeds"), "{alone}");
    assert!(!out.join("replications.json").exists());
}

#[test]
fn the_number_of_cores_changes_nothing() {
    let folder = folder("cores");
    let run = |threads: &str, out: &str| {
        let line =
            format!("run hello {SHORT} --precision 30% --replications 40 --out {out} --quiet");
        let run = command(&folder, &line).env("RAYON_NUM_THREADS", threads);
        run.assert().code(0);
        let name = fs::read_dir(folder.join(out)).expect("read").next();
        let run = name.expect("a folder").expect("read").path();
        (read(&run, "record.json"), read(&run, "replications.json"))
    };
    let one = run("1", "one");
    assert!(one == run("3", "three"), "the files differ");
    let replications: Value = serde_json::from_str(&one.1).expect("JSON");
    let seeds = replications["seeds"].as_array().expect("seeds").len();
    assert!((10..40).contains(&seeds), "{seeds}");
}

#[test]
fn what_does_not_converge_says_so() {
    let folder = folder("converge");
    let line = format!("run hello {SHORT} --precision 0.1% --replications 12");
    let text = stdout(&queuelab(&folder, &line).code(0));
    assert_has(
        &text,
        &[
            "did not converge to ± 0.1 %",
            "replications would",
            "seeds 1..12",
        ],
    );
    for (wrong, part) in [
        (
            "--precision 5% --replications 3",
            "10 replications at least",
        ),
        ("--precision 0", "5% or 0.05"),
        ("--replications 0", "--replications"),
        ("--seed 18446744073709551615", "take a smaller first seed"),
    ] {
        let error = stderr(&queuelab(&folder, &format!("run hello {wrong}")).code(2));
        assert!(error.contains(part), "{error}");
    }
    // The last seeds are seeds too.
    let last = format!("run hello {SHORT} --seed 18446744073709551606 --replications 10");
    let text = stdout(&queuelab(&folder, &last).code(0));
    assert_has(&text, &["seeds 18446744073709551606..18446744073709551615"]);
}

/// The longest of the waits differs by seed; this bound lies in between.
fn bound_that_hangs_on_chance(folder: &PathBuf) -> String {
    let line = format!("run hello {SHORT} --format json --seed 1");
    let json = json(&queuelab(folder, &line).code(0));
    let metrics = json["replications"]["metrics"].as_array().expect("metrics");
    let named = |it: &&Value| it["metric"] == "latency.end_to_end.p99" && it["of"].is_null();
    let p99 = metrics.iter().find(named).expect("a key metric");
    let values = p99["values"].as_array().expect("values");
    let values: Vec<f64> = values.iter().filter_map(Value::as_f64).collect();
    let others = values[1..].iter().copied().fold(0.0, f64::max);
    let bound = (values[0] + others) / 2.0;
    assert!(values[0] < others, "seed 1 is the slowest");
    format!(
        "expect = [\n    'latency.end_to_end.p99 < {}us',\n    'no-loss',\n]\n",
        (bound * 1e6) as u64
    )
}

#[test]
fn a_second_file_judges_and_ci_reads_it() {
    let folder = folder("grading");
    let grading = bound_that_hangs_on_chance(&folder);
    fs::write(folder.join("grading.toml"), grading).expect("written");
    let line = format!(
        "run hello {SHORT} --seed 1 --expect grading.toml --junit junit.xml --annotations --step-summary step.md"
    );
    // Seed 1 meets it, others do not.
    let run = queuelab(&folder, &line).code(3);
    let text = stdout(&run);
    assert_has(
        &text,
        &[
            "UNDECIDED 1 of 2 met",
            "repeat with --seed 1 --expect grading.toml",
            "? latency.end_to_end.p99",
            "of 10 seeds; not in",
        ],
    );
    let annotations = stderr(&run);
    assert!(
        annotations
            .starts_with("::warning file=grading.toml,line=2,col=5,title=run hello%3A latency"),
        "{annotations}"
    );
    assert_has(
        &read(&folder, "junit.xml"),
        &[
            "<error message=",
            "file=\"grading.toml\" line=\"2\"",
            "errors=\"1\"",
        ],
    );
    assert_has(
        &read(&folder, "step.md"),
        &["### run hello · ❔ 1 of 2 met", "| ✅ | no-loss |"],
    );
    queuelab(&folder, &format!("{line} --undecided pass")).code(0);
    let failed = queuelab(&folder, &format!("{line} --undecided fail")).code(1);
    assert!(stderr(&failed).starts_with("::error "));
    assert_eq!(
        read(&folder, "step.md").matches("### run hello").count(),
        3,
        "it is appended to"
    );
    // One run knows nothing of other seeds.
    queuelab(&folder, &format!("{line} --replications 1"))
        .code(0)
        .stderr_eq("");
}

#[test]
fn a_bad_second_file_is_refused_with_its_place() {
    let folder = folder("bad-grading");
    for (text, place) in [
        ("expect = ['backlog.mux < 3']", "grading.toml:1:12"),
        ("expect = ['no-loss']\nseed = 3", "grading.toml:2:1"),
        ("", "grading.toml"),
    ] {
        fs::write(folder.join("grading.toml"), text).expect("written");
        let error = stderr(&queuelab(&folder, "run hello --expect grading.toml").code(2));
        assert!(error.contains(place), "{error}");
    }
    let error = stderr(&queuelab(&folder, "run hello --expect absent.toml").code(2));
    assert_has(&error, &["absent.toml: there is no such file", "--expect"]);
    assert!(!folder.join("out").exists());
}

#[test]
fn a_failed_expectation_is_annotated_where_it_is_written() {
    let folder = folder("annotated");
    let hello = stdout(&queuelab(&folder, "show hello").code(0));
    fs::write(folder.join("mine.toml"), &hello).expect("written");
    let step = folder.join("step.md");
    let line = "run mine.toml --no-plots --replications 1 --set consumer.receiver.service=19ms --junit junit.xml";
    let run = command(&folder, line)
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_STEP_SUMMARY", &step)
        .assert()
        .code(1);
    let number = hello
        .lines()
        .position(|line| line.starts_with("expect = "))
        .expect("a line")
        + 1;
    let error = stderr(&run);
    assert!(
        error.starts_with(&format!("::error file=mine.toml,line={number},col=")),
        "{error}"
    );
    assert_has(
        &error,
        &[
            "title=run mine%3A latency.end_to_end.p99 < 200ms::not met: ",
            "%0Aqueuelab run mine.toml --seed 1 --set",
        ],
    );
    assert_has(&read(&folder, "step.md"), &["### run mine · ❌ 3 of 4 met"]);
    assert_has(
        &read(&folder, "junit.xml"),
        &["failures=\"1\"", "<failure message="],
    );
    let error =
        stderr(&queuelab(&folder, "run hello --no-plots --junit nowhere/junit.xml").code(2));
    assert!(error.contains("nowhere/junit.xml"), "{error}");
}

#[test]
fn hunts_are_read_by_ci_too() {
    let folder = folder("hunt");
    let line = "hunt hello --seeds 3 --messages 200 --junit junit.xml --step-summary step.md";
    queuelab(&folder, line).code(0).stderr_eq("");
    assert_has(
        &read(&folder, "junit.xml"),
        &[
            "<testsuite name=\"hunt hello\" tests=\"1\" failures=\"0\"",
            "name=\"no violation\"",
        ],
    );
    assert_has(
        &read(&folder, "step.md"),
        &[
            "### hunt hello · ✅ 1 of 1",
            "queuelab hunt hello --first-seed 1 --seeds 3",
        ],
    );
    let none = "hunt hello --seeds 0 --undecided fail";
    queuelab(&folder, none).code(1);
}

#[test]
fn guesses_are_asked_for_before_the_result() {
    let folder = folder("guess");
    let line = format!("run hello {SHORT} --replications 1 --guess");
    let run = command(&folder, &line)
        .stdin("20ms\n\n1k\nyes\n")
        .assert()
        .code(0);
    assert_has(
        &stderr(&run),
        &[
            "latency.confirm.p50: your guess (a time: 20ms, 3m45s)?",
            "no-loss: your guess (does it hold: yes or no)?",
        ],
    );
    let text = stdout(&run);
    let verdict = text.find("PASS").expect("a verdict");
    let guesses = text.find("your guess").expect("guesses");
    assert!(verdict < guesses, "{text}");
    assert_has(&text[guesses..], &["times too high", "holds", "right", "—"]);
    // What the scenario shows is that it does not hold.
    let shows = "run broker-crash --no-plots --replications 1 --guess --quiet";
    let run = command(&folder, shows).stdin("no\n".repeat(9)).assert();
    let text = stdout(&run);
    let named = |line: &&str| line.trim_start().starts_with("no-loss of forgotten ");
    let words: Vec<&str> = text
        .lines()
        .find(named)
        .expect("a row")
        .split("   ")
        .collect();
    let words: Vec<&str> = words
        .iter()
        .map(|it| it.trim())
        .filter(|it| !it.is_empty())
        .collect();
    assert_eq!(
        words[1..],
        ["does not hold", "does not hold", "right"],
        "{text}"
    );
    // Nobody is there.
    let silent = command(&folder, &format!("{line} --format json"))
        .stdin("")
        .assert()
        .code(0);
    let json = json(&silent);
    assert_eq!(json["schema_version"], 1);
    assert_eq!(json["guesses"].as_array().expect("guesses").len(), 4);
    assert!(json["guesses"][0]["guess"].is_null());
    assert!(json["guesses"][0]["measured"].as_f64().expect("seconds") > 0.0);
}

#[cfg(target_os = "linux")]
#[test]
fn the_report_or_the_folder_is_opened() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = folder("open");
    let program = folder.join("xdg-open");
    fs::write(&program, "#!/bin/sh\nprintf '%s' \"$1\" > opened\n").expect("written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("set");
    let path = format!("{}:/bin:/usr/bin", folder.display());
    let line = format!("run hello {SHORT} --replications 1 --seed 5 --open --quiet");
    command(&folder, &line).env("PATH", &path).assert().code(0);
    assert!(read(&folder, "opened").starts_with("out/hello-5-"));
    // A failure to open is no failure of the run.
    fs::write(&program, "#!/bin/sh\nexit 3\n").expect("written");
    let run = command(&folder, &line).env("PATH", &path).assert().code(0);
    assert_has(&stderr(&run), &["warning: failed to open out/hello-5-"]);
}

/// A scenario of one's own, with a name of its own.
fn queuelab_new(folder: &Path) -> &'static str {
    let text = "title = \"Mine\"\nduration = \"1s\"\n[[queue]]\nname = \"q\"\n\
                [[producer]]\nname = \"p\"\nto = \"q\"\nrate = \"10/s\"\n";
    fs::write(folder.join("mine.toml"), text).expect("written");
    "mine.toml"
}

#[test]
fn several_runs_are_one_object() {
    let folder = folder("several");
    let mine = queuelab_new(&folder);
    let line =
        format!("run hello {mine} --set duration=5s --no-plots --replications 1 --format json");
    let run = queuelab(&folder, &line).code(0);
    let json = json(&run);
    assert_eq!(json["schema_version"], 1);
    let named = |at: usize| json["runs"][at]["scenario"].as_str();
    assert_eq!([named(0), named(1)], [Some("hello"), Some("mine")]);
}

#[test]
fn what_a_scenario_says_does_not_command_the_terminal() {
    let folder = folder("commands");
    let text = "title = \"one\\ntwo \\u001b]0;mine\\u0007\"\nabout = \"\\u202eover\\u009b2J\"\nduration = \"1s\"\n\
                [[queue]]\nname = \"q\"\n[[producer]]\nname = \"p\"\nto = \"q\"\nrate = \"1/s\"\n";
    fs::write(folder.join("evil.toml"), text).expect("written");
    let run = command(
        &folder,
        "run evil.toml --no-plots --replications 1 --color always",
    )
    .assert();
    let text = stdout(&run);
    assert_has(
        &text,
        &[
            "one two \u{fffd}]0;mine\u{fffd}",
            "\u{fffd}over\u{fffd}2J",
            "\x1b[1m",
        ],
    );
    for command in ["\x1b]", "\x07", "\u{202e}", "\u{9b}"] {
        assert!(!text.contains(command), "{text:?}");
    }
}
