//! The structure of pictures, rather than their every byte.

use queuelab_core::{Span, Time};
use queuelab_plot::{Error, dark, plots, png};
use queuelab_record::{BodiesRecord, FaultRecord, RunRecord, fixture};

/// A picture without its style sheet, which names all colours.
fn svg(record: &RunRecord, name: &str) -> String {
    let mut plots = plots(record).into_iter();
    let svg = plots.find(|plot| plot.name == name).unwrap().svg;
    let (head, rest) = svg.split_once("<style>").unwrap();
    let (style, rest) = rest.split_once("</style>").unwrap();
    assert!(style.starts_with("@media (prefers-color-scheme:dark)"));
    format!("{head}{rest}")
}

/// Curves are the lines with many points.
fn curves(svg: &str) -> usize {
    svg.lines()
        .filter(|line| line.starts_with("<polyline") && line.matches(',').count() > 20)
        .count()
}

/// What is written, in order.
fn texts(svg: &str) -> Vec<&str> {
    let mut lines = svg.lines();
    std::iter::from_fn(|| {
        lines
            .by_ref()
            .find(|line| line.starts_with("<text"))
            .and_then(|_| lines.next())
    })
    .collect()
}

const FAULT: &str = "#D55E00";

#[test]
fn equal_records_give_equal_bytes() {
    let names: Vec<_> = plots(&fixture::empty())
        .into_iter()
        .map(|plot| plot.name)
        .collect();
    assert_eq!(names, ["backlog", "latency", "distribution"]);
    let names: Vec<_> = plots(&fixture::flash_sale())
        .into_iter()
        .map(|plot| plot.name)
        .collect();
    let more = ["cdf", "rates", "parts", "utilisation", "balance", "faults"];
    assert_eq!(names[3..], more);
    assert_eq!(plots(&fixture::flash_sale()), plots(&fixture::flash_sale()));
}

#[test]
fn the_backlog_shows_queues_phases_faults_bound_and_peak() {
    let record = fixture::flash_sale();
    let svg = svg(&record, "backlog");
    assert_eq!(curves(&svg), 2);
    let band = |line: &&str| line.starts_with("<rect") && line.contains(FAULT);
    assert_eq!(svg.lines().filter(band).count(), 1);
    let texts = texts(&svg);
    for text in [
        "before",
        "burst",
        "drain",
        "after",
        "crash n1",
        "orders (max_length 200,000)",
        "payments",
        "200,000",
        "peak 161,862 at 3m",
        "14m",
    ] {
        assert!(texts.contains(&text), "`{text}` is missing from {texts:?}");
    }
    let mut calm = record;
    calm.faults.clear();
    assert!(!self::svg(&calm, "backlog").contains(FAULT));
}

#[test]
fn bodies_in_memory_stand_against_their_budget() {
    let mut record = fixture::flash_sale();
    assert!(!plots(&record).iter().any(|plot| plot.name == "bodies"));
    let half = record.windows() / 2;
    record.nodes[0].bodies = Some(BodiesRecord {
        budget: 32 << 20,
        resident_max: 33_020_702,
        read: 140_024,
        resident_series: (0..record.windows())
            .map(|window| if window < half { 0 } else { 24 << 20 })
            .collect(),
    });
    let shown = svg(&record, "bodies");
    assert_eq!(curves(&shown), 1);
    assert!(
        shown.matches("#0072B2").count() > 40,
        "the budget is dashed"
    );
    let texts = texts(&shown);
    for text in [
        "n1: at most 31.5 MiB, 140,024 read back",
        "budget of n1: 32 MiB",
        "24 MiB",
    ] {
        assert!(texts.contains(&text), "`{text}` is missing from {texts:?}");
    }
    // Of many nodes the fullest are shown.
    let one = record.nodes[0].clone();
    record.nodes.extend((2..=8).map(|number| {
        let mut node = one.clone();
        node.name = format!("n{number}");
        node.bodies.as_mut().unwrap().resident_max += number;
        node
    }));
    let shown = svg(&record, "bodies");
    assert_eq!(curves(&shown), 6);
    assert!(shown.contains("budget of n8") && !shown.contains("budget of n2"));
}

const ALARM: &str = "#7B3294";

#[test]
fn delayed_messages_dead_letters_and_alarms_stand_in_the_backlog() {
    let record = fixture::retries_and_streams();
    let shown = svg(&record, "backlog");
    // Two queues without the streams, the delayed ones as a line with a white core, and dead letters.
    assert_eq!(curves(&shown), 5);
    let texts = texts(&shown);
    for text in [
        "orders delayed (at most 180)",
        "memory alarm n1",
        "memory alarm: publishers blocked",
        "ready and delayed messages",
    ] {
        assert!(texts.contains(&text), "`{text}` is missing from {texts:?}");
    }
    let caption = texts.iter().find(|text| text.starts_with("dead letters"));
    assert!(caption.is_some_and(|text| text.contains("delivery_limit")));
    let bands = |svg: &str| {
        svg.lines()
            .filter(|line| line.starts_with("<rect") && line.contains(ALARM))
            .count()
    };
    assert_eq!(bands(&shown), 3, "two alarms and the legend");
    for name in ["backlog", "latency"] {
        assert!(!svg(&fixture::flash_sale(), name).contains(ALARM));
    }
    let mut flickering = record;
    let alarm = flickering.alarms[0].clone();
    flickering.alarms = (0..10_000)
        .map(|index| {
            let mut alarm = alarm.clone();
            alarm.from = Time(index * 20_000_000);
            alarm.until = Time(index * 20_000_000 + 10_000_000);
            alarm
        })
        .collect();
    assert_eq!(bands(&svg(&flickering, "backlog")), 2, "one and the legend");
}

#[test]
fn streams_alone_show_what_they_keep() {
    let mut record = fixture::retries_and_streams();
    record.queues.drain(..2);
    let svg = svg(&record, "backlog");
    assert_eq!(curves(&svg), 2);
    assert!(texts(&svg).contains(&"records kept"));
}

#[test]
fn groups_show_their_lag_and_when_members_changed() {
    let mut record = fixture::retries_and_streams();
    let shown = svg(&record, "groups");
    assert_eq!(curves(&shown), 1);
    let texts = texts(&shown);
    for text in ["analytics: 3 rebalances", "2", "3 members"] {
        assert!(texts.contains(&text), "`{text}` is missing from {texts:?}");
    }
    let group = &mut record.groups[0];
    (group.lag_max, group.series.lag) = ((0, Time::ZERO), vec![0; 180]);
    assert!(self::texts(&svg(&record, "groups")).contains(&"no group fell behind"));
    record.groups.clear();
    assert!(plots(&record).iter().all(|plot| plot.name != "groups"));
}

#[test]
fn priorities_have_a_curve_each() {
    let record = fixture::retries_and_streams();
    let shown = svg(&record, "priorities");
    assert_eq!(curves(&shown), 3);
    let legend = texts(&shown);
    assert!(
        legend
            .iter()
            .any(|text| text.starts_with("orders priority 9: p50"))
    );
}

#[test]
fn latency_has_four_figures_and_breaks_where_nothing_was_finished() {
    let mut record = fixture::flash_sale();
    assert_eq!(curves(&svg(&record, "latency")), 4);
    record.latency_series[2].count[90..100].fill(0);
    assert_eq!(curves(&svg(&record, "latency")), 8);
}

#[test]
fn the_distribution_has_three_latencies_and_as_many_nines_as_there_are_messages() {
    let mut record = fixture::flash_sale();
    let full = svg(&record, "distribution");
    assert_eq!(curves(&full), 3);
    assert!(texts(&full).contains(&"99.999 %"));
    for queue in &mut record.queues {
        queue.end_to_end.truncate(0);
        queue.delivery.truncate(0);
    }
    record.producers[0].confirm.truncate(1);
    let part = svg(&record, "distribution");
    assert_eq!(curves(&part), 1);
    assert!(texts(&part).contains(&"end-to-end: none"));
    assert!(texts(&part).contains(&"99.99 %") && !texts(&part).contains(&"99.999 %"));
}

#[test]
fn nothing_is_drawn_of_nothing() {
    let record = fixture::empty();
    for (name, says) in [
        ("backlog", "no message had to wait"),
        ("latency", "no message was finished"),
        ("distribution", "no message was finished"),
    ] {
        let svg = svg(&record, name);
        assert_eq!(curves(&svg), 0);
        assert!(texts(&svg).contains(&says), "{name}");
    }
    let mut bare = record;
    bare.phases.clear();
    bare.queues.clear();
    bare.producers.clear();
    assert_eq!(plots(&bare).len(), 3);
}

#[test]
fn long_runs_stay_small_and_keep_their_peak() {
    let mut record = fixture::flash_sale();
    let windows = 100_000;
    record.end = Time(record.window.0 * windows as u64);
    record.phases[3].until = record.end;
    record.queues[0].series.ready_max = vec![3; windows];
    record.queues[0].series.ready_max[54_321] = 150_000;
    record.queues[0].ready_max = (150_000, record.window_end(54_321));
    let svg = svg(&record, "backlog");
    assert!(svg.len() < 100_000, "{}", svg.len());
    let dot = svg
        .lines()
        .find(|line| line.starts_with("<circle"))
        .unwrap();
    let height = dot
        .split("cy=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    assert!(
        svg.lines()
            .any(|line| line.starts_with("<polyline") && line.contains(&format!(",{height} ")))
    );
}

#[test]
fn many_queues_are_summed_up_and_long_names_cut() {
    let mut record = fixture::flash_sale();
    let queue = record.queues[1].clone();
    for index in 0..30 {
        let mut queue = queue.clone();
        queue.name = format!("a queue <{index}> {}", "with a very long name ".repeat(20));
        record.queues.push(queue);
    }
    record.scenario.title = "A & B ".repeat(100);
    for index in 0..300u64 {
        record.faults.push(FaultRecord {
            name: "again".into(),
            kind: "slow-disk".into(),
            target: "n1".into(),
            from: Time(index * 3_000_000_000),
            until: Time(index * 3_000_000_000) + Span::from_millis(100),
            effect: String::new(),
        });
    }
    let svg = svg(&record, "backlog");
    assert_eq!(curves(&svg), 6);
    assert!(texts(&svg).contains(&"27 others together"));
    png(&svg, 0.5).unwrap();
}

#[test]
fn faults_are_shown_from_close_by_and_are_many_without_a_loss() {
    let mut record = fixture::flash_sale();
    let fault = |kind: &str, target: String, from: u64| FaultRecord {
        name: kind.into(),
        kind: kind.into(),
        target,
        from: Time(from * 1_000_000_000),
        until: Time((from + 5) * 1_000_000_000),
        effect: String::new(),
    };
    // One of five seconds within a quarter of an hour, which has windows of five.
    record.faults = vec![fault("crash", "n1".into(), 300)];
    let close = svg(&record, "faults");
    let close = texts(&close);
    assert!(
        close.contains(&"simulated time, 3m20s to 10m05s of 15m"),
        "{close:?}"
    );
    assert!(close.contains(&"crash n1") && close.contains(&"delivered per second, all queues"));

    record.faults = (0..40)
        .map(|index| {
            let kind = ["crash", "partition", "slow-disk"][index as usize % 3];
            fault(kind, format!("n{index}"), 20 * index)
        })
        .collect();
    let many = svg(&record, "faults");
    let bars = |line: &&str| line.starts_with("<rect") && line.contains(FAULT);
    assert_eq!(
        many.lines().filter(bars).count(),
        80,
        "a bar and a band each"
    );
    let many = texts(&many);
    for text in [
        "crash, 14 targets",
        "partition, 13 targets",
        "simulated time",
    ] {
        assert!(many.contains(&text), "`{text}` is missing from {many:?}");
    }
    let mut plots = plots(&record).into_iter();
    let values = plots
        .find(|plot| plot.name == "faults")
        .unwrap()
        .hover
        .unwrap();
    assert!(values.contains("slow-disk n38, 12m40s to 12m45s"));
}

#[test]
fn png_has_the_asked_size() {
    let svg = svg(&fixture::flash_sale(), "backlog");
    for (scale, width, height) in [(1.0, 1200u32, 640u32), (2.0, 2400, 1280)] {
        let png = png(&svg, scale).unwrap();
        assert_eq!(png[..8], *b"\x89PNG\r\n\x1a\n");
        assert_eq!(
            (&png[16..20], &png[20..24]),
            (&width.to_be_bytes()[..], &height.to_be_bytes()[..])
        );
    }
    assert_eq!(png(&svg, 1.0).unwrap(), png(&svg, 1.0).unwrap());
    let dark = dark(&svg);
    assert!(!dark.contains("#FFFFFF") && dark.contains("fill=\"#15181C\""));
    assert_ne!(png(&svg, 1.0).unwrap(), png(&dark, 1.0).unwrap());
}

#[test]
fn what_cannot_be_drawn_is_an_error() {
    let svg = svg(&fixture::empty(), "backlog");
    for scale in [0.0, -1.0, f32::NAN, f32::INFINITY, 1e9] {
        assert!(
            matches!(png(&svg, scale), Err(Error::Size { .. })),
            "{scale}"
        );
    }
    assert!(matches!(png("not SVG", 1.0), Err(Error::Svg(_))));
}
