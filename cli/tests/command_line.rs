//! The binary as it is used: what it prints, and its exit status.

use std::fs;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::Stdio;

use snapbox::cmd::{Command, OutputAssert, cargo_bin};
use snapbox::str;

/// An empty folder of a test's own.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("the target folder can be written to");
    folder
}

/// `queuelab` with `line` as its arguments, in a folder of the test's own.
fn queuelab(folder: &PathBuf, line: &str) -> OutputAssert {
    Command::new(cargo_bin!("queuelab"))
        .current_dir(folder)
        .args(line.split_whitespace())
        .env_remove("NO_COLOR")
        .env_remove("GITHUB_ACTIONS")
        .assert()
}

fn stdout(output: &OutputAssert) -> String {
    String::from_utf8(output.get_output().stdout.clone()).expect("output is text")
}

fn stderr(output: &OutputAssert) -> String {
    String::from_utf8(output.get_output().stderr.clone()).expect("errors are text")
}

/// Refused with status 2, nothing on standard output, and an error that has all of `parts`.
fn refused(output: OutputAssert, parts: &[&str]) {
    let error = stderr(&output);
    for part in parts {
        assert!(error.contains(part), "{part:?} is not in:\n{error}");
    }
    assert!(!error.contains("panicked"), "{error}");
    output.code(2).stdout_eq("");
}

#[test]
fn bare_it_names_three_commands_to_start_with() {
    let expected = str![[r#"
queuelab is a workbench for message-queue designs: one scenario file, a real broker, virtual time.

  queuelab run hello          the smallest experiment, and what its figures mean
  queuelab watch flash-sale   a backlog that rises and drains, live in the terminal
  queuelab list               all experiments that come with it

queuelab --help lists the other commands.

"#]];
    queuelab(&folder("bare"), "")
        .code(0)
        .stdout_eq(expected)
        .stderr_eq("");
}

#[test]
fn help_explains_every_command_with_examples() {
    let folder = folder("help");
    let help = stdout(&queuelab(&folder, "--help").code(0));
    for command in [
        "run",
        "watch",
        "sweep",
        "hunt",
        "replay",
        "predict",
        "list",
        "show",
        "new",
        "lint",
        "schema",
        "completions",
        "man",
    ] {
        assert!(
            help.contains(&format!("\n  {command} ")),
            "{command} is not in:\n{help}"
        );
        let of_command = stdout(&queuelab(&folder, &format!("{command} --help")).code(0));
        assert!(of_command.contains("Examples:"), "{of_command}");
    }
    assert!(help.contains("Exit status:"));
    queuelab(&folder, "--version").code(0).stderr_eq("");
}

#[test]
fn theory_predicts_without_a_run() {
    let folder = folder("predict");
    let text = stdout(&queuelab(&folder, "predict flash-sale").code(0));
    for part in [
        "fluid",
        "backlog.max of orders",
        "drain_time",
        "warning",
        "ρ = 4.00",
    ] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
    let json = stdout(
        &queuelab(
            &folder,
            "predict hello --set producer.sender.rate=95/s --format json",
        )
        .code(0),
    );
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["schema_version"], 1);
    assert_eq!(json["scenarios"][0]["scenario"], "hello");
    let first = &json["scenarios"][0]["predictions"][0];
    assert!(
        first["metric"].is_string() && first["value"].is_number(),
        "{json:#}"
    );
    assert!(!folder.join("out").exists(), "nothing was run");
}

#[test]
fn wrong_usage_is_refused() {
    let folder = folder("usage");
    refused(queuelab(&folder, "run"), &["SCENARIO"]);
    refused(queuelab(&folder, "run hello --sed 7"), &["--sed", "--seed"]);
    refused(queuelab(&folder, "rum hello"), &["rum", "run"]);
    refused(queuelab(&folder, "run hello --seed many"), &["many"]);
    refused(
        queuelab(&folder, "run hello --format yaml"),
        &["yaml", "json"],
    );
}

#[test]
fn bad_input_is_refused_with_its_place() {
    let folder = folder("input");
    let hello = stdout(&queuelab(&folder, "show hello").code(0));
    fs::write(folder.join("misspelt.toml"), format!("sed = 7\n{hello}")).expect("written");
    fs::write(folder.join("binary.toml"), [0xff, 0xfe, 0x00, 0x80]).expect("written");
    fs::write(folder.join("large.toml"), "[".repeat(2 << 20)).expect("written");
    fs::create_dir(folder.join("folder.toml")).expect("created");
    for command in ["run", "lint", "predict", "show", "watch"] {
        let on = |input: &str| queuelab(&folder, &format!("{command} {input}"));
        refused(
            on("misspelt.toml"),
            &["misspelt.toml", "1:1", "sed", "seed"],
        );
        refused(on("binary.toml"), &["binary.toml", "text"]);
        refused(on("large.toml"), &["large.toml", "1 MiB"]);
        refused(on("folder.toml"), &["folder.toml", "folder"]);
        refused(on("absent.toml"), &["absent.toml"]);
        refused(on("helo"), &["helo", "hello"]);
    }
    refused(
        queuelab(&folder, "run hello --set producer.nobody.rate=2/s"),
        &["nobody"],
    );
    refused(queuelab(&folder, "run hello --set nonsense"), &["nonsense"]);
    assert!(
        !folder.join("out").exists(),
        "a refused run leaves nothing behind"
    );
}

#[test]
fn an_error_in_the_last_scenario_keeps_the_first_from_running() {
    let folder = folder("last");
    refused(
        queuelab(&folder, "run hello absent.toml --no-plots"),
        &["absent.toml"],
    );
    refused(
        queuelab(&folder, "run hello hello --no-plots"),
        &["hello", "--out"],
    );
    assert!(!folder.join("out").exists());
}

#[test]
fn a_folder_that_cannot_be_written_to_is_refused_before_the_run() {
    let folder = folder("unwritable");
    fs::write(folder.join("file"), "in the way").expect("written");
    refused(
        queuelab(&folder, "run hello --out file"),
        &["file", "choose another folder with --out DIR"],
    );
    refused(queuelab(&folder, "man --out file"), &["file"]);
}

#[test]
fn watching_needs_a_terminal() {
    refused(
        queuelab(&folder("watch"), "watch hello"),
        &["not a terminal", "queuelab run hello"],
    );
}

#[test]
fn colours_are_for_those_who_want_them() {
    let folder = folder("colours");
    assert!(!stderr(&queuelab(&folder, "run helo")).contains('\x1b'));
    assert!(!stderr(&queuelab(&folder, "run --nonsense")).contains('\x1b'));
    assert!(stderr(&queuelab(&folder, "run helo --color always")).contains('\x1b'));
    assert!(stderr(&queuelab(&folder, "run --nonsense --color=always")).contains('\x1b'));
}

#[test]
fn the_library_is_listed_and_shown() {
    let folder = folder("library");
    let list = stdout(&queuelab(&folder, "list").code(0).stderr_eq(""));
    assert!(list.starts_with("basics\n  hello "), "{list}");
    let json: serde_json::Value =
        serde_json::from_str(&stdout(&queuelab(&folder, "list --format json").code(0)))
            .expect("JSON");
    assert_eq!(json["schema_version"], 1);
    for entry in json["scenarios"].as_array().expect("an array") {
        let name = entry["name"].as_str().expect("a name");
        assert!(
            list.contains(&format!("{name} ")),
            "{name} is not in:\n{list}"
        );
        assert!(!entry["title"].as_str().expect("a title").is_empty());
        let source = stdout(&queuelab(&folder, &format!("show {name}")).code(0));
        assert!(source.contains("title = "), "{source}");
        queuelab(&folder, &format!("lint {name}"))
            .code(0)
            .stderr_eq("");
    }
}

#[test]
fn a_new_scenario_is_clean_and_never_overwritten() {
    let folder = folder("new");
    queuelab(&folder, "new mine")
        .code(0)
        .stdout_eq("wrote mine.toml; now: queuelab run mine.toml\n");
    queuelab(&folder, "lint mine.toml").code(0);
    fs::write(folder.join("mine.toml"), "precious").expect("written");
    refused(queuelab(&folder, "new mine"), &["mine.toml exists already"]);
    assert_eq!(
        fs::read_to_string(folder.join("mine.toml")).expect("read"),
        "precious"
    );
    refused(queuelab(&folder, "new ../mine"), &["../mine"]);
}

#[test]
fn suspicious_scenarios_are_warned_of() {
    let folder = folder("lint");
    let warned = queuelab(&folder, "lint hello --set producer.sender.rate=1000/s").code(1);
    assert!(
        stdout(&warned).starts_with("warning: hello: "),
        "{}",
        stdout(&warned)
    );
}

#[test]
fn other_programs_get_schema_completions_and_manual() {
    let folder = folder("generated");
    let schema: serde_json::Value =
        serde_json::from_str(&stdout(&queuelab(&folder, "schema").code(0))).expect("JSON");
    assert!(schema.get("properties").is_some());
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = stdout(
            &queuelab(&folder, &format!("completions {shell}"))
                .code(0)
                .stderr_eq(""),
        );
        assert!(script.contains("no-plots"), "{shell}");
    }
    assert!(stdout(&queuelab(&folder, "man").code(0)).starts_with(".ie"));
    queuelab(&folder, "man --out pages").code(0);
    for page in [
        "queuelab.1",
        "queuelab-run.1",
        "queuelab-watch.1",
        "queuelab-man.1",
    ] {
        assert!(
            fs::metadata(folder.join("pages").join(page))
                .expect(page)
                .len()
                > 0
        );
    }
}

#[test]
fn a_run_writes_its_files_and_ends_with_a_verdict() {
    let folder = folder("run");
    let run = queuelab(&folder, "run hello").code(0).stderr_eq("");
    let text = stdout(&run);
    let last = text.lines().last().expect("a summary");
    assert!(
        last.starts_with("PASS 4 of 4 · trace ") && last.contains("repeat with --seed"),
        "{last}"
    );
    let seed = last.rsplit(' ').next().expect("a seed");
    let out = folder.join("out").join(format!("hello-{seed}"));
    for file in [
        "record.json",
        "environment.json",
        "series.csv",
        "latency.hgrm",
    ] {
        assert!(fs::metadata(out.join(file)).expect(file).len() > 0);
    }
    let extension = |kind: &str| {
        let entries = fs::read_dir(&out).expect("read");
        entries
            .filter(|entry| {
                entry
                    .as_ref()
                    .is_ok_and(|entry| entry.path().extension().is_some_and(|e| e == kind))
            })
            .count()
    };
    let plots = extension("svg");
    assert!(plots > 0 && plots == extension("png"));
    // Drawn again, it is the same.
    let report = fs::read(out.join("report.html")).expect("read");
    fs::write(out.join("report.html"), "").expect("write");
    let shown = format!("out/hello-{seed}");
    queuelab(&folder, &format!("report {shown}"))
        .code(0)
        .stdout_eq(format!("{shown}/report.html\n"));
    assert!(fs::read(out.join("report.html")).expect("read") == report);
    assert_eq!(extension("svg"), plots);
    queuelab(&folder, "report out")
        .code(2)
        .stderr_eq("error: failed to find a record in out; `queuelab run` writes record.json\n");
    queuelab(&folder, "run hello --no-plots").code(0);
    let drawn = extension("svg") + extension("html");
    assert_eq!(drawn, 0, "plots of an earlier run are gone");
}

#[test]
fn two_processes_write_the_same_record_and_another_seed_another() {
    let folder = folder("determinism");
    let record = |line: &str| {
        let run = queuelab(
            &folder,
            &format!("run hello --no-plots --format json {line}"),
        )
        .code(0)
        .stderr_eq("");
        let json: serde_json::Value = serde_json::from_str(&stdout(&run)).expect("JSON");
        let path = folder
            .join(json["folder"].as_str().expect("a folder"))
            .join("record.json");
        (
            json["trace_hash"].to_string(),
            fs::read(path).expect("read"),
        )
    };
    let first = record("--seed 11 --out first");
    assert!(
        first == record("--seed 11 --out second"),
        "the records differ"
    );
    assert_ne!(first.0, record("--seed 12 --out third").0);
}

#[test]
fn programs_get_json() {
    let folder = folder("json");
    let run = queuelab(
        &folder,
        "run hello --no-plots --format json --set duration=20s",
    )
    .code(0)
    .stderr_eq("");
    let json: serde_json::Value = serde_json::from_str(&stdout(&run)).expect("JSON");
    assert_eq!(json["scenario"], "hello");
    assert_eq!(json["verdict"], "pass");
    assert_eq!(json["simulated_s"], 20.0);
    assert_eq!(json["set"][0], "duration=20s");
    assert_eq!(json["expectations"].as_array().expect("an array").len(), 4);
    assert!(
        json["metrics"]["latency.end_to_end.p99"]
            .as_f64()
            .expect("seconds")
            > 0.0
    );
    let folder_name = json["folder"].as_str().expect("a folder");
    assert_eq!(
        folder_name.rsplit('-').next().map(str::len),
        Some(8),
        "{folder_name} ends with a digest"
    );
}

#[test]
fn several_runs_close_with_a_table_and_the_worst_verdict() {
    let folder = folder("several");
    fs::write(
        folder.join("other.toml"),
        stdout(&queuelab(&folder, "show hello").code(0)),
    )
    .expect("written");
    let run = queuelab(
        &folder,
        "run hello other.toml --no-plots --set consumer.receiver.service=19ms",
    )
    .code(1);
    let text = stdout(&run);
    let table: Vec<&str> = text.lines().rev().take(3).collect();
    assert!(
        table[2].starts_with("scenario ")
            && table[1].contains("FAIL")
            && table[0].starts_with("other "),
        "{text}"
    );
}

#[test]
fn unchecked_invariants_leave_a_run_undecided() {
    let run = queuelab(
        &folder("unchecked"),
        "run hello --no-plots --no-check --quiet",
    )
    .code(3);
    let text = stdout(&run);
    assert!(
        text.starts_with("hello: UNDECIDED 3 of 4 met") && text.lines().count() == 1,
        "{text}"
    );
}

#[test]
fn a_reader_that_leaves_early_changes_nothing() {
    let folder = folder("closed");
    let mut child = std::process::Command::new(cargo_bin!("queuelab"))
        .current_dir(&folder)
        .args(["run", "hello", "--no-plots"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    drop(child.stdout.take());
    let mut error = String::new();
    child
        .stderr
        .take()
        .expect("piped")
        .read_to_string(&mut error)
        .expect("text");
    assert_eq!(error, "");
    assert_eq!(child.wait().expect("ended").code(), Some(0));
}
