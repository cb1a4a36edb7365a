//! `queuelab compare` and `queuelab baseline` as they are used.

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

/// Ends with `status`, and says all of `parts`.
fn says(output: OutputAssert, status: i32, parts: &[&str]) -> String {
    let text = stdout(&output);
    let errors = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in:\n{text}{errors}");
    }
    output.code(status);
    text
}

/// Refused with status 2, nothing on standard output, and an error that has all of `parts`.
fn refused(output: OutputAssert, parts: &[&str]) {
    let error = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    for part in parts {
        assert!(error.contains(part), "{part:?} is not in:\n{error}");
    }
    assert!(!error.contains("panicked"), "{error}");
    output.code(2).stdout_eq("");
}

#[test]
fn a_slower_consumer_is_found_slower() {
    let folder = folder("compare-service");
    let line = "compare hello --set duration=10s --replications 4 \
                --vary consumer.receiver.service=10ms,12ms --metric latency.end_to_end.p50";
    let text = says(
        queuelab(&folder, line),
        0,
        &[
            "seeds 1..4",
            "latency.end_to_end.p50",
            "against 10ms",
            "slower",
            "lost, all runs",
            "PASS 2 of 2 designs meet all their expectations · 1 of 1 differences found",
        ],
    );
    let name = text.lines().find(|line| line.contains("compare.json"));
    assert!(
        name.is_some_and(|line| line.contains("out/hello-compare-1-")),
        "{text}"
    );
    // Another process, another number of threads: the same file.
    let files = || {
        let out = fs::read_dir(folder.join("out")).expect("read");
        let folders: Vec<PathBuf> = out.map(|it| it.expect("read").path()).collect();
        assert_eq!(folders.len(), 1);
        fs::read(folders[0].join("compare.json")).expect("read")
    };
    let first = files();
    Command::new(cargo_bin!("queuelab"))
        .current_dir(&folder)
        .args(line.split_whitespace())
        .arg("--quiet")
        .env("RAYON_NUM_THREADS", "1")
        .assert()
        .code(0);
    assert!(first == files(), "the comparison differs");
}

#[test]
fn a_design_that_is_refused_keeps_a_column() {
    let folder = folder("compare-refused");
    let line = "compare one-workload --replications 2 --set producer.checkout.rate=20/s \
                --vary queue.orders.design=sqs,rabbitmq-quorum,rabbitmq-classic --format json";
    let text = says(queuelab(&folder, line), 1, &[]);
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(json["schema_version"], 1);
    assert_eq!(json["reference"], "sqs");
    let designs = json["designs"].as_array().expect("designs");
    assert_eq!(designs.len(), 3);
    assert!(
        designs[1]["refused"]
            .as_str()
            .expect("a reason")
            .contains("rabbitmq-quorum")
    );
    // Nobody promises the order of keys here, and it is followed all the same.
    assert!(designs[0]["account"]["count.reordered"].is_u64(), "{text}");
    assert_eq!(
        designs[0]["expectations"]
            .as_array()
            .expect("expectations")
            .len(),
        2
    );
    let metrics = json["metrics"].as_array().expect("metrics");
    let named = |name: &str| {
        metrics
            .iter()
            .find(|it| it["metric"] == name)
            .expect("known")
    };
    let p99 = named("latency.end_to_end.p99");
    assert!(
        p99["designs"][2]["difference"]["estimate"].is_number(),
        "{text}"
    );
    assert!(p99["designs"][1]["difference"].is_null());
}

#[test]
fn earlier_runs_are_compared() {
    let folder = folder("compare-folders");
    for seed in [1, 2] {
        queuelab(
            &folder,
            &format!("run hello --set duration=10s --seed {seed} --no-plots --quiet"),
        );
    }
    let out = fs::read_dir(folder.join("out")).expect("read");
    let mut folders: Vec<String> = out
        .map(|it| format!("out/{}", it.expect("read").file_name().display()))
        .collect();
    folders.sort();
    let line = format!("compare {}", folders.join(" "));
    says(
        queuelab(&folder, &line),
        0,
        &[
            folders[0].as_str(),
            folders[1].as_str(),
            "latency.end_to_end.p99",
            "PASS",
        ],
    );
    refused(
        queuelab(&folder, "compare out out"),
        &["neither replications.json nor record.json"],
    );
}

#[test]
fn comparisons_that_make_no_sense_are_refused() {
    let folder = folder("compare-refusals");
    refused(queuelab(&folder, "compare hello"), &["--vary"]);
    refused(
        queuelab(&folder, "compare hello ttl --vary seed=1,2"),
        &["one scenario"],
    );
    refused(queuelab(&folder, "compare hello --vary seed"), &["KEY=A,B"]);
    refused(
        queuelab(&folder, "compare hello --vary consumer.nobody.count=1,2"),
        &["nobody", "the reference, 1"],
    );
    refused(
        queuelab(
            &folder,
            "compare hello --set duration=1s --vary consumer.receiver.count=1,2 --metric backlog.most",
        ),
        &["backlog.most", "no design has that metric"],
    );
    assert!(!folder.join("out").join("compare.json").exists());
}

const SHORT: &str = "--set duration=10s --quiet";

#[test]
fn an_unchanged_build_is_as_in_its_baseline() {
    let folder = folder("baseline-same");
    let save = format!("baseline save hello {SHORT}");
    says(
        queuelab(&folder, &save),
        0,
        &["kept hello: 10 seeds", "baselines/hello.json"],
    );
    refused(
        queuelab(&folder, &save),
        &["is there already", "baseline accept hello"],
    );
    let check = format!("baseline check hello {SHORT}");
    says(
        queuelab(&folder, &check),
        0,
        &["✓ hello: behaviour and performance as in the baseline"],
    );
    // Fresh seeds: chance alone raises no alarm.
    for seed in [1_000, 2_000, 3_000, 4_000, 5_000] {
        let line = format!("{check} --first-seed {seed}");
        says(queuelab(&folder, &line), 0, &["✓ hello: "]);
    }
}

#[test]
fn a_slower_service_is_flagged() {
    let folder = folder("baseline-slower");
    queuelab(&folder, &format!("baseline save hello {SHORT}")).code(0);
    let check = format!("baseline check hello {SHORT} --set consumer.receiver.service=11ms");
    let told = [
        "✗ hello: behaviour changed, performance worse in",
        "note: with duration=10s consumer.receiver.service=11ms, the baseline with duration=10s",
        "the first event that differs is number",
        "then: ",
        "now:  ",
        "slower: worse",
        "queuelab baseline accept hello",
    ];
    says(queuelab(&folder, &check), 1, &told);
    says(
        queuelab(&folder, &format!("{check} --first-seed 500")),
        1,
        &["slower: worse"],
    );
    let json = stdout(&queuelab(&folder, &format!("{check} --format json")).code(1));
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["schema_version"], 1);
    let check_of = &json["checks"][0];
    assert_eq!(check_of["verdict"], "fail");
    assert!(
        check_of["behaviour"]["parting"]["first_event"]
            .as_u64()
            .expect("an event")
            > 0
    );
    // After a look it is what is wanted.
    let accept = check.replace(" check ", " accept ");
    says(
        queuelab(&folder, &accept),
        0,
        &["✗ hello: ", "kept hello: "],
    );
    says(
        queuelab(&folder, &check),
        0,
        &["✓ hello: behaviour and performance as in the baseline"],
    );
}

#[test]
fn seeds_end_where_they_end() {
    let folder = folder("seeds-end");
    let told = ["there are no 10 seeds from 18446744073709551610 on"];
    let vary = "--vary consumer.receiver.count=1,2 --replications 10";
    let seed = "--seed 18446744073709551610";
    for line in [
        format!("compare hello {SHORT} {vary} {seed}"),
        format!("baseline save hello {SHORT} {seed}"),
    ] {
        refused(queuelab(&folder, &line), &told);
    }
    let save = "baseline save hello --seed 18446744073709551610 --replications 6";
    queuelab(&folder, &format!("{save} {SHORT}")).code(0);
    let check = format!("baseline check hello {SHORT}");
    let line = format!("{check} --replications 10");
    refused(queuelab(&folder, &line), &told);
    let line = format!("{check} --first-seed 18446744073709551611");
    refused(queuelab(&folder, &line), &["there are no 6 seeds"]);
    queuelab(&folder, &check).code(0);
}

#[test]
fn ci_reads_comparisons_and_checks() {
    let folder = folder("baseline-ci");
    queuelab(&folder, &format!("baseline save hello {SHORT}")).code(0);
    let line = format!("baseline check hello {SHORT} --set consumer.receiver.service=11ms");
    let told = queuelab(
        &folder,
        &format!("{line} --junit junit.xml --step-summary step.md --annotations=always"),
    )
    .code(1);
    let errors = String::from_utf8_lossy(&told.get_output().stderr).into_owned();
    assert!(
        errors.contains("::error title=baseline hello%3A behaviour::"),
        "{errors}"
    );
    let junit = fs::read_to_string(folder.join("junit.xml")).expect("written");
    assert!(
        junit.contains("<testsuite name=\"baseline hello\""),
        "{junit}"
    );
    assert!(
        junit.contains("the first event that differs is number"),
        "{junit}"
    );
    let step = fs::read_to_string(folder.join("step.md")).expect("written");
    assert!(step.contains("### baseline hello · ❌"), "{step}");
    let line = "compare hello --set duration=2s --replications 2 --quiet --junit compare.xml \
                --vary queue.greetings.design=sqs,rabbitmq-quorum,activemq";
    queuelab(&folder, line).code(3);
    queuelab(&folder, &format!("{line} --undecided pass")).code(0);
    queuelab(&folder, &format!("{line} --undecided fail")).code(1);
    let junit = fs::read_to_string(folder.join("compare.xml")).expect("written");
    assert!(junit.contains("<testsuite name=\"compare sqs\""), "{junit}");
    assert!(junit.contains("the language accepts it"), "{junit}");
}

#[test]
fn behaviour_may_change_without_performance() {
    let folder = folder("baseline-behaviour");
    queuelab(
        &folder,
        &format!("baseline save hello {SHORT} --file b.json"),
    )
    .code(0);
    let check = format!(
        "baseline check hello {SHORT} --file b.json --tolerance 2% --set cluster.network.bandwidth=9Gbit/s"
    );
    says(
        queuelab(&folder, &check),
        1,
        &[
            "✗ hello: behaviour changed, performance not",
            "the first event that differs",
        ],
    );
    says(
        queuelab(&folder, &format!("{check} --allow-behaviour-change")),
        0,
        &["✓ hello: behaviour changed, performance not"],
    );
}

#[test]
fn real_time_of_another_machine_is_refused() {
    let folder = folder("baseline-clock");
    let line = "--set duration=1s --quiet";
    queuelab(&folder, &format!("baseline save hello {line} --wall-clock")).code(0);
    let path = folder.join("baselines/hello.json");
    let text = fs::read_to_string(&path).expect("read");
    let mut json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    json["wall_clock"]["host"]["name"] = "elsewhere".into();
    fs::write(&path, json.to_string()).expect("written");
    let told = ["real time: not compared, the baseline is of elsewhere"];
    let check = format!("baseline check hello {line}");
    says(queuelab(&folder, &check), 0, &told);
    says(
        queuelab(&folder, &format!("{check} --wall-clock")),
        3,
        &told,
    );
}

#[test]
fn baselines_that_are_no_good_are_refused() {
    let folder = folder("baseline-bad");
    let line = "--set duration=1s --quiet";
    refused(
        queuelab(&folder, &format!("baseline check hello {line}")),
        &[
            "there is no baseline baselines/hello.json",
            "baseline save hello",
        ],
    );
    queuelab(&folder, &format!("baseline save hello {line}")).code(0);
    let (json, trace) = (
        folder.join("baselines/hello.json"),
        folder.join("baselines/hello.trace"),
    );
    let check = || queuelab(&folder, &format!("baseline check hello {line}"));
    let good = fs::read(&trace).expect("read");
    fs::write(&trace, &good[..good.len() / 2]).expect("written");
    refused(check(), &["hello.trace", "damaged"]);
    fs::write(&trace, "something else").expect("written");
    refused(check(), &["hello.trace", "not a trace"]);
    fs::remove_file(&trace).expect("removed");
    refused(
        check(),
        &["hello.trace, the events of baselines/hello.json"],
    );
    fs::write(&trace, good).expect("written");
    check().code(0);
    let text = fs::read_to_string(&json).expect("read");
    let newer = text.replacen("\"schema_version\": 1", "\"schema_version\": 2", 1);
    fs::write(&json, newer).expect("written");
    refused(
        check(),
        &["its schema version is 2, and this queuelab reads 1"],
    );
    fs::write(&json, "{}").expect("written");
    refused(check(), &["it is not a baseline"]);
    refused(
        queuelab(&folder, "baseline save hello ttl --file one.json"),
        &["--file is for one scenario"],
    );
    refused(queuelab(&folder, "baseline"), &["Usage"]);
}

/// A check of one queue whose service takes twice as long.
const SLOW: &str = "--allow-behaviour-change --set consumer.receiver.service=20ms";

#[test]
fn two_seeds_in_common_hide_no_change() {
    let folder = folder("baseline-overlap");
    queuelab(&folder, &format!("baseline save hello {SHORT}")).code(0);
    let line = format!(
        "baseline check hello {SHORT} --first-seed 9 --allow-behaviour-change --set consumer.receiver.service=12ms"
    );
    says(
        queuelab(&folder, &line),
        1,
        &[
            "slower: worse",
            "seeds 9..18 against 1..10",
            "as independent samples",
        ],
    );
}

#[test]
fn a_check_with_too_few_runs_to_see_a_change_is_undecided() {
    let folder = folder("baseline-blind");
    let save = format!("baseline save hello {SHORT} --replications 2");
    queuelab(&folder, &save).code(0);
    let check = format!("baseline check hello {SHORT}");
    // The same events and the same figures: nothing is there to be seen.
    says(queuelab(&folder, &check), 0, &["✓ hello: "]);
    let text = says(
        queuelab(&folder, &format!("{check} {SLOW} --junit junit.xml")),
        3,
        &[
            "? hello: behaviour changed, too few runs to say so of performance",
            "2 seeds",
            "changes would be found",
            "more --replications, of the baseline too, see smaller ones",
        ],
    );
    assert!(!text.contains("accept"), "{text}");
    let junit = fs::read_to_string(folder.join("junit.xml")).expect("written");
    assert!(junit.contains("name=\"performance\""), "{junit}");
}

/// 60 messages have hardly one above their p99: its mean over runs is no percentile, on the terminal or elsewhere.
#[test]
fn a_scarce_percentile_is_a_dash_everywhere() {
    let folder = folder("compare-scarce");
    let line = "compare hello --set duration=2s --vary consumer.receiver.service=10ms,12ms --no-plots \
                --metric latency.end_to_end.p99 --metric utilisation";
    let row = |replications: u32, name: &str| {
        let text = stdout(&queuelab(
            &folder,
            &format!("{line} --replications {replications}"),
        ));
        let out = fs::read_dir(folder.join("out"))
            .expect("read")
            .next()
            .expect("a folder");
        let report = out.expect("read").path().join("report.html");
        let report = fs::read_to_string(report).expect("a report");
        let row = text
            .lines()
            .find(|line| line.trim().starts_with(&format!("{name}   ")));
        let row: Vec<String> = row
            .expect("a row")
            .split("   ")
            .map(|it| it.trim().to_string())
            .filter(|it| !it.is_empty())
            .collect();
        (row, report, text)
    };
    let (scarce, report, text) = row(3, "latency.end_to_end.p99");
    assert_eq!(scarce[1..], ["—", "—"], "{text}");
    assert!(report.contains("percentiles of all runs"), "{report}");
    assert!(text.contains(" points ± "), "{text}");
    // One run is shown as it is, in both.
    let (alone, report, text) = row(1, "latency.end_to_end.p99");
    assert!(alone[1..].iter().all(|it| it.ends_with(" ms")), "{text}");
    assert!(
        report.contains(&alone[1]) && report.contains("1 run each"),
        "{}",
        alone[1]
    );
}
