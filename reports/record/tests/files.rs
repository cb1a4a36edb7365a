//! What stands in a run's files.

use std::fs;

use expect_test::expect;
use queuelab_core::Span;
use queuelab_record::{
    Environment, FileError, Latencies, RecordError, RunRecord, fixture, latency_hgrm, read,
    series_csv, write_all, write_file,
};

fn some_latencies() -> Latencies {
    let mut latencies = Latencies::default();
    (1..=20u64).for_each(|value| latencies.record(Span::from_micros(value * value * 700)));
    latencies
}

/// One queue with little in it.
fn small() -> RunRecord {
    let mut record = fixture::empty();
    record.queues.truncate(1);
    record
        .phases
        .iter_mut()
        .for_each(|phase| phase.load.truncate(1));
    record.invariants.clear();
    record.queues[0].end_to_end[1] = some_latencies();
    record
}

#[test]
fn json_round_trips() {
    for record in [
        fixture::flash_sale(),
        fixture::empty(),
        fixture::retries_and_streams(),
    ] {
        let text = record.to_json();
        let back = RunRecord::from_json(&text).unwrap();
        assert!(back == record, "read back, the record differs");
        assert_eq!(back.to_json(), text);
    }
}

#[test]
fn json_is_laid_out_for_people() {
    let text = fixture::flash_sale().to_json();
    let lines: Vec<&str> = text.lines().collect();
    expect![[r#"
        {
          "schema_version": 2,
          "version": "0.1.0",
          "scenario": {
            "name": "flash-sale",
            "title": "Flash sale",
            "about": "A 20-fold order burst for one minute: is it absorbed, and how long does it take to drain?",
            "overrides": [],
            "source": "title = \"Flash sale\"\n"
          },
          "seed": 7,
          "end": 900000000000,
          "warmup": 0,
          "phases": [
            {
              "name": "before",
              "from": 0,
              "until": 120000000000,
              "load": [
                {
                  "offered": 180.0,
                  "capacity": 900.0,
                  "published": 179.74166666666667,
                  "delivered": 179.74166666666667,
                  "acked": 179.74166666666667,
                  "ready_max": 4,
                  "ready_mean": 0.7499999999999998,
                  "ready_end": 1,"#]].assert_eq(&lines[..28].join("\n"));
    let longest = lines.iter().map(|line| line.len()).max().unwrap();
    assert!(
        (500..20_000).contains(&longest),
        "series stand on one line each: {longest}"
    );
    assert!(lines.len() < 600, "{}", lines.len());
}

#[test]
fn other_text_is_refused_with_the_reason() {
    let check = |text: &str, expected: expect_test::Expect| {
        expected.assert_eq(&RunRecord::from_json(text).unwrap_err().to_string());
    };
    check(
        "",
        expect!["not a run record: EOF while parsing a value at line 1 column 0"],
    );
    check(
        "[1]",
        expect![
            "not a run record: invalid length 1, expected struct RunRecord with 28 elements at line 1 column 3"
        ],
    );
    check(
        "{}",
        expect!["not a run record: missing field `schema_version` at line 1 column 2"],
    );
    check(
        r#"{"schema_version": 7, "anything": []}"#,
        expect![
            "the record has schema version 7, but this queuelab reads up to 2: use a newer one"
        ],
    );
    check(
        &"[".repeat(1_000_000),
        expect!["not a run record: invalid type: sequence, expected u32 at line 1 column 1"],
    );
    let text = fixture::empty().to_json();
    check(
        &text[..text.len() / 2],
        expect!["not a run record: EOF while parsing an object at line 252 column 7"],
    );
    check(
        &text.replacen("\"window\": 5000000000", "\"window\": 0", 1),
        expect!["the record is damaged: `window` is zero"],
    );

    let mut record = fixture::empty();
    record.queues[1].delivery.pop();
    check(
        &record.to_json(),
        expect!["the record is damaged: `delivery` of `payments` has 3 entries instead of 4"],
    );
    let mut record = fixture::empty();
    record.phases[2].load.clear();
    check(
        &record.to_json(),
        expect!["the record is damaged: `load` of `drain` has 0 entries instead of 2"],
    );
}

#[test]
fn truncated_text_is_an_error() {
    let text = small().to_json();
    for end in (0..text.trim_end().len()).rev().step_by(7) {
        assert!(
            text.is_char_boundary(end)
                .then(|| RunRecord::from_json(&text[..end]))
                .is_none_or(|read| read.is_err())
        );
    }
}

#[test]
fn csv_tells_delays_dead_letters_groups_and_alarms() {
    let record = fixture::retries_and_streams();
    let csv = series_csv(&record);
    let header: Vec<&str> = csv.lines().next().unwrap().split(',').collect();
    let column = |name: &str| {
        let at = header.iter().position(|it| *it == name).expect(name);
        csv.lines()
            .skip(1)
            .map(|row| row.split(',').nth(at).unwrap().to_string())
            .collect::<Vec<_>>()
    };
    // Memory was short from 150 s to 172 s and from 176 s to 181 s, windows are 5 s wide.
    assert_eq!(
        column("alarm.memory.n1")[29..38],
        ["0", "1", "1", "1", "1", "0.4", "0.8", "0.2", "0"]
    );
    let total = |name: &str| -> u64 {
        column(name)
            .iter()
            .map(|it| it.parse::<u64>().unwrap())
            .sum()
    };
    assert_eq!(
        total("queue.orders.dead_lettered"),
        record.queues[0].dead_lettered
    );
    assert_eq!(total("group.analytics.settled"), record.groups[0].settled);
    assert_eq!(column("group.analytics.members")[60], "2");
    assert_eq!(
        column("queue.orders.delayed")[30],
        record.queues[0].series.delayed[30].to_string()
    );
}

#[test]
fn csv_has_a_row_per_window_and_a_cell_per_column() {
    let record = fixture::flash_sale();
    let csv = series_csv(&record);
    let mut rows = csv.lines();
    let header = rows.next().unwrap();
    expect![[r#"
        time_s
        queue.orders.ready
        queue.orders.ready_max
        queue.orders.in_flight
        queue.orders.oldest_age_s
        queue.orders.published
        queue.orders.delivered
        queue.orders.redelivered
        queue.orders.acked
        queue.orders.delayed
        queue.orders.dead_lettered
        queue.payments.ready
        queue.payments.ready_max
        queue.payments.in_flight
        queue.payments.oldest_age_s
        queue.payments.published
        queue.payments.delivered
        queue.payments.redelivered
        queue.payments.acked
        queue.payments.delayed
        queue.payments.dead_lettered
        consumer.fulfilment.utilisation
        consumer.gateway.utilisation
        node.n1.cpu
        node.n1.disk
        latency.confirm.count
        latency.confirm.p50_s
        latency.confirm.p90_s
        latency.confirm.p99_s
        latency.confirm.max_s
        latency.delivery.count
        latency.delivery.p50_s
        latency.delivery.p90_s
        latency.delivery.p99_s
        latency.delivery.max_s
        latency.end_to_end.count
        latency.end_to_end.p50_s
        latency.end_to_end.p90_s
        latency.end_to_end.p99_s
        latency.end_to_end.max_s"#]]
    .assert_eq(&header.replace(',', "\n"));
    let columns = header.split(',').count();
    assert_eq!(rows.clone().count(), record.windows());
    assert!(rows.clone().all(|row| row.split(',').count() == columns));
    expect!["125,13770,13772,19,15.300792794,18270,4500,0,4500,,,0,2,2,0,1943,1943,0,1943,,,1,0.7772,0.04,0.98,20213,0.001603583,0.004849663,0.016744447,0.159992,20213,0.002494463,0.007610367,0.025526271,0.2499875,20213,0.017809407,0.047710207,0.139984895,1.403011738"].assert_eq(rows.nth(24).unwrap());
    assert!(csv.lines().last().unwrap().starts_with("900,"));
}

#[test]
fn csv_leaves_cells_empty_where_nothing_was_measured() {
    let mut record = fixture::flash_sale();
    record.queues[0].name = "a,\"b\"".into();
    record.consumers[0].utilisation_series.clear();
    record.latency_series[0].count[0] = 0;
    record.end.0 -= 1_500_000_000;
    let csv = series_csv(&record);
    assert!(csv.starts_with("time_s,\"queue.a,\"\"b\"\".ready\","));
    let row: Vec<&str> = csv.lines().nth(1).unwrap().split(',').collect();
    let header: Vec<&str> = series_csv(&fixture::flash_sale())
        .leak()
        .lines()
        .next()
        .unwrap()
        .split(',')
        .collect();
    let cell = |name: &str| row[header.iter().position(|&column| column == name).unwrap()];
    assert_eq!(
        (
            cell("consumer.fulfilment.utilisation"),
            cell("latency.confirm.p50_s")
        ),
        ("", "")
    );
    assert_eq!(cell("latency.confirm.count"), "0");
    assert!(csv.lines().last().unwrap().starts_with("898.5,"));
    assert_eq!(series_csv(&fixture::empty()).lines().count(), 1);
}

#[test]
fn hgrm_is_what_hdr_histogram_prints() {
    expect![[r#"
               Value     Percentile TotalCount 1/(1-Percentile)

               0.700 0.000000000000          1           1.00
               2.802 0.100000000000          2           1.11
              11.207 0.200000000000          4           1.25
              25.215 0.300000000000          6           1.43
              44.827 0.400000000000          8           1.67
              70.058 0.500000000000         10           2.00
              84.738 0.550000000000         11           2.22
             100.860 0.600000000000         12           2.50
             118.358 0.650000000000         13           2.86
             137.232 0.700000000000         14           3.33
             157.549 0.750000000000         15           4.00
             179.306 0.775000000000         16           4.44
             179.306 0.800000000000         16           5.00
             202.375 0.825000000000         17           5.71
             202.375 0.850000000000         17           6.67
             226.886 0.875000000000         18           8.00
             226.886 0.887500000000         18           8.89
             226.886 0.900000000000         18          10.00
             252.707 0.912500000000         19          11.43
             252.707 0.925000000000         19          13.33
             252.707 0.937500000000         19          16.00
             252.707 0.943750000000         19          17.78
             252.707 0.950000000000         19          20.00
             280.232 0.956250000000         20          22.86
             280.232 1.000000000000         20
        #[Mean    =      100.459, StdDeviation   =       87.271]
        #[Max     =      280.000, Total count    =           20]
        #[Buckets =           19, SubBuckets     =         2048]
    "#]]
    .assert_eq(&latency_hgrm(&small()));
    expect![[r#"
               Value     Percentile TotalCount 1/(1-Percentile)

        #[Mean    =        0.000, StdDeviation   =        0.000]
        #[Max     =        0.000, Total count    =            0]
        #[Buckets =            1, SubBuckets     =         2048]
    "#]]
    .assert_eq(&latency_hgrm(&fixture::empty()));
}

#[test]
fn files_are_written_whole_and_read_back() {
    let dir = std::env::temp_dir().join(format!("queuelab-record-{}", std::process::id()));
    let run = dir.join("out/deep/flash-sale-7");
    let (record, environment) = (
        small(),
        Environment {
            threads: 2,
            ..Environment::default()
        },
    );
    write_all(&run, &record, &environment).unwrap();
    write_all(&run, &record, &environment).unwrap();
    let mut names: Vec<_> = fs::read_dir(&run)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "environment.json",
            "latency.hgrm",
            "record.json",
            "series.csv"
        ]
    );
    assert_eq!(read(&run).unwrap(), record);
    assert_eq!(read(&run.join("record.json")).unwrap(), record);

    assert!(matches!(
        read(&dir.join("nowhere")),
        Err(FileError::Io { .. })
    ));
    let csv = read(&run.join("series.csv"));
    assert!(
        matches!(
            csv,
            Err(FileError::Record {
                source: RecordError::Json(_),
                ..
            })
        ),
        "{csv:?}"
    );
    let beneath_a_file = write_all(&run.join("series.csv/deeper"), &record, &environment);
    assert!(
        matches!(beneath_a_file, Err(FileError::Io { verb: "create", .. })),
        "{beneath_a_file:?}"
    );
    fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn the_environment_is_json() {
    let environment = Environment {
        wall_seconds: 0.6,
        host: "bench".into(),
        commit: None,
        profile: "release".into(),
        threads: 2,
    };
    expect![[r#"
        {
          "wall_seconds": 0.6,
          "host": "bench",
          "commit": null,
          "profile": "release",
          "threads": 2
        }
    "#]]
    .assert_eq(&environment.to_json());
}

/// A reader of a pipe, or the owner of a link, keeps what it has; a plain file is new or old, but never half.
#[cfg(unix)]
#[test]
fn only_plain_files_are_replaced() {
    use std::io::Read as _;
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, symlink};

    let dir = std::env::temp_dir().join(format!("queuelab-written-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let [plain, link, dangling, pipe] =
        ["plain", "link", "dangling", "pipe"].map(|name| dir.join(name));

    write_file(&plain, b"old").unwrap();
    let inode = || fs::metadata(&plain).unwrap().ino();
    let old = inode();
    write_file(&plain, b"new").unwrap();
    assert_ne!(inode(), old, "it was written into");

    symlink("plain", &link).unwrap();
    write_file(&link, b"through the link").unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read(&plain).unwrap(), b"through the link");
    symlink("not there yet", &dangling).unwrap();
    write_file(&dangling, b"made").unwrap();
    assert_eq!(fs::read(dir.join("not there yet")).unwrap(), b"made");

    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    // Open for both: neither side waits for the other.
    let mut both = fs::File::options()
        .read(true)
        .write(true)
        .open(&pipe)
        .unwrap();
    write_file(&pipe, b"through the pipe").unwrap();
    let there = fs::symlink_metadata(&pipe).unwrap();
    assert!(there.file_type().is_fifo());
    let mut read = [0; 16];
    both.read_exact(&mut read).unwrap();
    assert_eq!(&read, b"through the pipe");

    let names = fs::read_dir(&dir).unwrap();
    assert_eq!(names.count(), 5, "something is left over");
    fs::remove_dir_all(&dir).unwrap();
}
