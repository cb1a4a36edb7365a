//! The exercises of docs/TEACHING.md: as they are handed out they fail their grading, and the reference solutions pass it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What `queuelab run … --expect …` says of a file: its exit status, and its output.
fn graded(file: &Path, grading: &Path, more: &[&str]) -> (Option<i32>, String) {
    let out = std::env::temp_dir().join(format!("queuelab-teaching-{}", std::process::id()));
    let run = Command::new(env!("CARGO_BIN_EXE_queuelab"))
        .arg("run")
        .arg(file)
        .arg("--expect")
        .arg(grading)
        .args(["--replications", "1", "--no-plots", "--out"])
        .arg(&out)
        .args(more)
        .output()
        .unwrap();
    let text = [run.stdout, run.stderr].concat();
    (
        run.status.code(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

/// An exercise, and its grading.
fn files(name: &str) -> (PathBuf, PathBuf) {
    let folder = folder();
    (
        folder.join(format!("{name}.toml")),
        folder.join(format!("{name}.grading.toml")),
    )
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/teaching")
}

#[test]
fn solutions_pass_and_unfinished_exercises_do_not() {
    let entries = fs::read_dir(folder()).unwrap();
    let names = entries.filter_map(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        name.strip_suffix(".grading.toml").map(str::to_string)
    });
    let names: Vec<String> = names.collect();
    assert_eq!(names.len(), 5);
    for name in names {
        let (file, grading) = files(&name);
        let (status, text) = graded(&file, &grading, &[]);
        assert_eq!(status, Some(1), "{name} as it is handed out:\n{text}");
        let solution = folder().join(format!("solutions/{name}.toml"));
        let (status, text) = graded(&solution, &grading, &[]);
        assert_eq!(status, Some(0), "the solution of {name}:\n{text}");
    }
}

/// One less, or one more, and the grading says so: there is one answer.
#[test]
fn the_smallest_number_is_the_only_one() {
    for (name, wrong) in [
        (
            "1-clerks",
            ["consumer.clerks.count=6", "consumer.clerks.count=8"],
        ),
        (
            "2-rush",
            ["consumer.cooks.count=12", "consumer.cooks.count=14"],
        ),
    ] {
        for count in wrong {
            let (file, grading) = files(name);
            let (status, text) = graded(&file, &grading, &["--set", count]);
            assert_eq!(status, Some(1), "{name} with {count}:\n{text}");
        }
    }
}
