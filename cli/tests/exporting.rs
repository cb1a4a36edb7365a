//! `queuelab export`: from folders of runs to the formats of other tools.

use std::path::PathBuf;
use std::process::{Command, Output};

fn queuelab(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_queuelab"))
        .args(arguments)
        .output()
        .unwrap()
}

/// What a successful command prints.
fn printed(arguments: &[&str]) -> String {
    let output = queuelab(arguments);
    let text = String::from_utf8(output.stdout).unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {complaints}");
    text
}

/// What a refused command complains of.
fn refused(arguments: &[&str]) -> String {
    let output = queuelab(arguments);
    let complaints = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {complaints}");
    complaints
}

#[test]
fn runs_are_exported_in_every_format() {
    let out = std::env::temp_dir().join(format!("queuelab-export-{}", std::process::id()));
    for seed in ["1", "2"] {
        let arguments = ["run", "hello", "--seed", seed, "--set", "duration=5s"];
        let target = ["--no-plots", "--quiet", "--out", out.to_str().unwrap()];
        // Five seconds may be too few for what the scenario expects.
        queuelab(&[&arguments[..], &target].concat());
    }
    let folders: Vec<PathBuf> = std::fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("record.json").is_file())
        .collect();
    assert_eq!(folders.len(), 2, "{folders:?}");
    let [a, b] = [0, 1].map(|at| folders[at].to_str().unwrap());

    let csv = printed(&["export", a, b, "--as", "csv"]);
    let header = "scenario,seed,overrides,metric,of,phase,value,unit,at_least";
    assert_eq!(csv.lines().next(), Some(header));
    for seed in [1, 2] {
        let start = format!("hello,{seed},duration=5s,count.sent,,,");
        assert!(csv.lines().any(|line| line.starts_with(&start)), "{start}");
    }
    let series = printed(&["export", a, "--as", "csv", "--table", "series"]);
    assert!(series.starts_with("scenario,seed,overrides,time_s,kind,name,series,value\nhello,"));
    let json = printed(&["export", a, b, "--as", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["rows"][0]["scenario"], "hello");
    let metrics = printed(&["export", a, b, "--as", "openmetrics"]);
    assert!(metrics.contains("# TYPE queuelab_queue_messages counter\n"));
    assert!(metrics.ends_with("# EOF\n"));

    let distribution = printed(&["export", a, "--as", "hgrm"]);
    let kept = std::fs::read_to_string(folders[0].join("latency.hgrm")).unwrap();
    assert_eq!(distribution, kept);
    let both = printed(&["export", a, b, "--as", "hgrm", "--latency", "confirm"]);
    assert!(both.contains("#[Max     ="));

    let file = out.join("deep/er/metrics.prom");
    let to = ["--as", "openmetrics", "--out", file.to_str().unwrap()];
    assert_eq!(printed(&[&["export", a, b][..], &to].concat()), "");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), metrics);

    #[cfg(unix)]
    {
        // What the shell makes of >(…) is such a pipe.
        let line = "\"$0\" export \"$1\" \"$2\" --as openmetrics --out /dev/fd/3 3>&1 | cat";
        let piped = Command::new("sh")
            .args(["-c", line, env!("CARGO_BIN_EXE_queuelab"), a, b])
            .output()
            .unwrap();
        assert!(piped.stdout == metrics.as_bytes(), "{piped:?}");
    }

    let twice = refused(&["export", a, a, "--as", "csv"]);
    assert!(twice.contains("is there twice"), "{twice}");
    let parquet = ["export", a, "--as", "parquet"];
    let parquet = refused(&parquet);
    let remedy = match cfg!(feature = "parquet") {
        true => "--out FILE",
        false => "--features parquet",
    };
    assert!(parquet.contains(remedy), "{parquet}");
    let missing = refused(&["export", "nowhere", "--as", "csv"]);
    assert!(missing.contains("nowhere"), "{missing}");
    std::fs::remove_dir_all(&out).unwrap();
}
