//! Records for other tools: OpenMetrics, and long tables.

use std::collections::BTreeSet;

use expect_test::{expect, expect_file};
use queuelab_record::{
    RunRecord, fixture, long_series_csv, metric_rows, metrics_csv, metrics_json, openmetrics,
    series_csv, series_json, series_rows,
};

/// Two runs, one with an override that has to be escaped.
fn two() -> Vec<RunRecord> {
    let mut other = fixture::retries_and_streams();
    other.scenario.overrides = vec![r#"producer.a.to="x\y""#.into(), "b=\n".into()];
    other.seed = 8;
    vec![fixture::flash_sale(), other]
}

#[test]
fn openmetrics_of_two_runs() {
    expect_file!["export/openmetrics.txt"].assert_eq(&openmetrics(&two()));
}

/// What the specification asks for: a family in one piece under its own name, the suffix of its type, its unit at the end of its name, and
/// no series twice.
#[test]
fn openmetrics_keeps_to_its_grammar() {
    for records in [
        two(),
        vec![fixture::flash_sale()],
        vec![fixture::empty()],
        Vec::new(),
    ] {
        let text = openmetrics(&records);
        assert!(text.ends_with("# EOF\n"));
        assert_eq!(text.matches("# EOF").count(), 1);
        let (mut families, mut series) = (BTreeSet::new(), BTreeSet::new());
        let (mut name, mut kind) = ("", "");
        for line in text.lines().filter(|line| *line != "# EOF") {
            let words: Vec<&str> = line.splitn(4, ' ').collect();
            match words.as_slice() {
                ["#", "TYPE", family, of] => {
                    assert!(families.insert(family.to_string()), "{line}");
                    (name, kind) = (family, of);
                }
                ["#", "UNIT", family, unit] => {
                    assert!(
                        *family == name && name.ends_with(&format!("_{unit}")),
                        "{line}"
                    );
                    assert!(!matches!(kind, "info" | "stateset"), "{line}");
                }
                ["#", "HELP", family, _] => assert_eq!(*family, name),
                _ => {
                    let (labelled, value) = line.rsplit_once(' ').unwrap();
                    assert!(value.parse::<f64>().unwrap() >= 0.0, "{line}");
                    let (full, labels) = labelled.split_once('{').unwrap();
                    let suffix = full.strip_prefix(name).unwrap();
                    let suffixes: &[&str] = match kind {
                        "counter" => &["_total"],
                        "info" => &["_info"],
                        "summary" => &["", "_count", "_sum"],
                        _ => &[""],
                    };
                    assert!(suffixes.contains(&suffix), "{line}");
                    assert_eq!(
                        suffix.is_empty() && kind == "summary",
                        labels.contains("quantile=")
                    );
                    assert!(series.insert(labelled.to_string()), "{line}");
                }
            }
        }
        assert_eq!(families.is_empty(), records.is_empty());
    }
}

#[test]
fn metrics_are_rows_of_all_names_and_phases() {
    let record = fixture::flash_sale();
    let rows = metric_rows(&record);
    let find = |metric: &str, of: Option<&str>, phase: Option<&str>| {
        let mut rows = rows.iter().filter(|row| {
            (row.metric.as_str(), row.of.as_deref(), row.phase.as_deref()) == (metric, of, phase)
        });
        let row = rows.next();
        assert!(rows.next().is_none(), "{metric} is there twice");
        row
    };
    let peak = find("backlog.max", Some("orders"), None).unwrap();
    assert_eq!((peak.value, peak.unit), (Some(161_862.0), "messages"));
    assert!(find("latency.end_to_end.p99.9", None, None).is_some());
    assert!(find("utilisation", Some("fulfilment"), None).is_some());
    assert!(find("utilisation", Some("orders"), None).is_none());
    assert!(find("count.sent", Some("checkout"), None).is_some());

    let mut endless = record.clone();
    endless.queues[0].drain_time = None;
    let rows = metric_rows(&endless);
    let drain = rows
        .iter()
        .find(|row| row.metric == "drain_time" && row.of.as_deref() == Some("orders"));
    assert_eq!(drain.unwrap().value, None);
}

#[test]
fn metrics_as_csv() {
    let csv = metrics_csv(&two());
    let some: Vec<&str> = csv
        .lines()
        .filter(|line| line.contains("metric,") || line.contains("backlog.max"))
        .collect();
    expect_file!["export/metrics.csv"].assert_eq(&(some.join("\n") + "\n"));
    // A row of ours spans two lines where an override does.
    assert!(csv.lines().count() >= metric_rows(&two()[0]).len());
}

#[test]
fn series_say_the_same_as_the_wide_table() {
    let record = fixture::retries_and_streams();
    let rows = series_rows(&record);
    let wide = series_csv(&record);
    let mut lines = wide.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let mut figures = 0;
    for (window, line) in lines.enumerate() {
        for (column, cell) in header.iter().zip(line.split(',')).skip(1) {
            let of_column = rows
                .iter()
                .filter(|row| format!("{}.{}.{}", row.kind, row.name, row.series) == *column);
            let end = record.window_end(window).as_secs_f64();
            let row = of_column.clone().find(|row| row.time_s == end);
            assert_eq!(row.is_some(), !cell.is_empty(), "{column} at {end}");
            if let Some(row) = row {
                assert_eq!(row.value, cell.parse::<f64>().unwrap(), "{column} at {end}");
                figures += 1;
            }
        }
        // The rest is alike.
        if window > 3 {
            break;
        }
    }
    assert!(figures > 50);
}

#[test]
fn tables_as_json() {
    let records = vec![fixture::empty()];
    let json = metrics_json(&records);
    let start: String = json.chars().take(190).collect();
    expect![[r#"{"schema_version":1,"rows":[{"scenario":"flash-sale","seed":7,"overrides":"","metric":"backlog.max","of":null,"phase":null,"value":0.0,"unit":"messages","at_least":false},{"scenario":"flash-"#]].assert_eq(&start);
    for text in [json, series_json(&records), metrics_json(&two())] {
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["schema_version"], 1);
        assert!(value["rows"].is_array());
    }
    let csv = long_series_csv(&[fixture::flash_sale()]);
    expect![[r#"
        scenario,seed,overrides,time_s,kind,name,series,value
        flash-sale,7,,5,queue,orders,ready,0
        flash-sale,7,,10,queue,orders,ready,0"#]]
    .assert_eq(csv.lines().take(3).collect::<Vec<_>>().join("\n").as_str());
}
