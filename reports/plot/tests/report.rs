//! The page of a run: what stands in it, and that it is the same each time.

use expect_test::expect_file;
use queuelab_plot::{plots, report};
use queuelab_record::statistics::Precision;
use queuelab_record::{Ensemble, Environment, Quantity, RunRecord, fixture};

/// Text between tags, without what is drawn and scripted, in lines.
fn skeleton(html: &str) -> Vec<String> {
    let mut html = html.to_string();
    for (begin, end) in [
        ("<style>", "</style>"),
        ("<script", "</script>"),
        ("<svg", "</svg>"),
    ] {
        while let Some(at) = html.find(begin) {
            let until = html[at..].find(end).expect("what begins ends") + at + end.len();
            html.replace_range(at..until, "");
        }
    }
    let mut lines = vec![String::new()];
    let mut inside = false;
    for character in html.chars() {
        match character {
            '<' => (inside, _) = (true, lines.push(String::new())),
            '>' => inside = false,
            _ if inside => {}
            character => lines.last_mut().expect("a line").push(character),
        }
    }
    let lines = lines.iter().map(|line| line.trim().to_string());
    lines.filter(|line| !line.is_empty()).collect()
}

fn ensemble(record: &RunRecord) -> Ensemble {
    let runs: Vec<RunRecord> = (1..=4)
        .map(|seed| {
            let mut run = record.clone();
            run.seed = seed;
            run.queues[0].ready_max.0 += seed * 100;
            run
        })
        .collect();
    let quantity = Quantity {
        metric: "backlog.max".into(),
        of: Some("orders".into()),
        phase: None,
    };
    Ensemble::of(&runs, &[quantity], Precision::default()).expect("an ensemble")
}

#[test]
fn equal_records_give_equal_pages() {
    for record in [
        fixture::flash_sale(),
        fixture::retries_and_streams(),
        fixture::empty(),
    ] {
        let page = report(&record, None, None);
        assert_eq!(page, report(&record.clone(), None, None));
        assert!(page.len() < 1_500_000, "{}", page.len());
    }
}

/// All that is written, and each picture by its size and hash: `UPDATE_EXPECT=1 cargo test -p queuelab-plot` after a change that is meant.
#[test]
fn the_page_is_as_it_was() {
    let record = fixture::flash_sale();
    let page = report(&record, Some(&ensemble(&record)), None);
    let mut text = skeleton(&page).join("\n") + "\n\n";
    for plot in plots(&record) {
        let hash = xxhash_rust::xxh3::xxh3_64(plot.svg.as_bytes());
        text += &format!("{} {} bytes {hash:016x}\n", plot.name, plot.svg.len());
    }
    expect_file!["snapshots/flash_sale.txt"].assert_eq(&text);
}

#[test]
fn the_answer_comes_first_then_verdicts_then_trust() {
    let record = fixture::flash_sale();
    let page = report(
        &record,
        Some(&ensemble(&record)),
        Some(&Environment::default()),
    );
    let lines = skeleton(&page);
    let at = |text: &str| {
        let at = lines.iter().position(|line| line.contains(text));
        at.unwrap_or_else(|| panic!("`{text}` is missing from {lines:#?}"))
    };
    let order = [
        "Flash sale",
        "is it absorbed",
        "✗ FAIL",
        "NOT MET: drain_time of orders &lt; 3m",
        "peak backlog of orders",
        "backlog.max of orders &lt; 200_000",
        "durability",
        "4 replications",
        "How many messages wait",
        "Load and capacity by phase",
        "took no message; 742 were delivered again",
        "Messages by producer",
        "Over 4 seeds",
        "queuelab run flash-sale.toml --seed 7",
        "Is ρ = 1 during the burst enough?",
        "title = &quot;Flash sale&quot;",
    ];
    let places: Vec<usize> = order.iter().map(|text| at(text)).collect();
    assert!(places.is_sorted(), "{places:?}");
}

#[test]
fn every_plot_is_there_with_what_it_says_and_its_values() {
    let record = fixture::retries_and_streams();
    let page = report(&record, None, None);
    let plots = plots(&record);
    assert_eq!(plots.len(), 11);
    for plot in &plots {
        let figure = format!("<figure class=\"plot\" id=\"plot-{}\"", plot.name);
        let from = page.find(&figure).expect("a figure");
        let caption = page[from..].find("<figcaption>").expect("a caption") + from;
        assert!(
            !page[caption + 12..].starts_with("</figcaption>"),
            "{}",
            plot.name
        );
        if let Some(hover) = &plot.hover {
            assert!(page.contains(&format!("\"{}\":{hover}", plot.name)));
        }
    }
    let values = page.split("id=\"values\">").nth(1).expect("values");
    let values = values.split("</script>").next().expect("an end");
    let values: serde_json::Value = serde_json::from_str(values).expect("JSON");
    let backlog = &values["backlog"][0];
    let places = backlog["p"].as_array().expect("places").len();
    assert!(places > 100);
    for series in backlog["s"].as_array().expect("series") {
        assert_eq!(series["v"].as_array().expect("values").len(), places);
    }
}

#[test]
fn what_records_say_stays_text() {
    let evil = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&\u{1b}";
    let mut record = fixture::retries_and_streams();
    record.scenario.title = evil.into();
    record.scenario.about = evil.into();
    record.scenario.name = evil.into();
    record.scenario.source = evil.into();
    record.scenario.overrides = vec![evil.into()];
    record.answer = Some(evil.into());
    record.suggestions = vec![(evil.into(), evil.into())];
    record.trace_hash = evil.into();
    record.queues[0].name = evil.into();
    record.consumers[0].name = evil.into();
    record.groups[0].name = evil.into();
    record.faults[0].kind = evil.into();
    record.faults[0].effect = evil.into();
    record.expectations[0].text = evil.into();
    record.expectations[0].measured = evil.into();
    record.invariants[0].examples = vec![evil.into()];
    record.nodes[0].stopped = Some(evil.into());
    record.phases[0].name = evil.into();
    let page = report(&record, None, None);
    assert_eq!(page.matches("<script").count(), 2, "the page's own");
    assert!(!page.contains("<img"));
    for plot in plots(&record) {
        assert!(
            !plot.svg.contains("<script") && !plot.svg.contains("<img"),
            "{}",
            plot.name
        );
    }
    let empty = report(&fixture::empty(), None, None);
    assert!(empty.contains("no message had to wait"));
}

#[test]
fn what_was_left_out_is_no_part_of_the_whole() {
    let mut record = fixture::flash_sale();
    record.warmup = queuelab_core::Span::from_secs(5);
    let page = report(&record, None, None);
    let after = format!(
        "Latencies of what was intended after {}, from",
        record.warmup
    );
    assert!(page.contains(&after));
    assert!(!page.contains("whole run, from the intended"));
}

#[test]
fn a_run_is_repeated_with_the_expectations_that_judged_it() {
    let mut record = fixture::flash_sale();
    let command = "queuelab run flash-sale.toml --seed 7";
    let page = report(&record, None, None);
    assert!(page.contains(&format!("{command}\n")) && !page.contains("--expect"));
    record.scenario.grading = Some("my grading.toml".into());
    let page = report(&record, None, None);
    let quoted = "&#39;my grading.toml&#39;";
    let commands = format!("{command} --expect {quoted}\nqueuelab watch flash-sale.toml --seed 7<");
    assert!(page.contains(&commands));
}

/// Intervals say nothing of figures that have none.
#[test]
fn figures_without_an_interval_are_counted() {
    let record = fixture::flash_sale();
    let runs = (1..=4).map(|seed| {
        let mut run = record.clone();
        run.seed = seed;
        if seed == 2 {
            run.queues[0].drain_time = None;
        }
        run
    });
    let runs: Vec<RunRecord> = runs.collect();
    let quantity = |metric: &str| Quantity {
        metric: metric.into(),
        of: Some("orders".into()),
        phase: None,
    };
    let asked = ["backlog.max", "drain_time"].map(quantity);
    let ensemble = Ensemble::of(&runs, &asked, Precision::default()).expect("an ensemble");
    let page = report(&record, Some(&ensemble), None);
    for part in [
        "1 of 2 figures has an interval; it is as narrow as was asked for.",
        "1 of 2 figures has no interval: drain_time of orders (never in 1 of 4)",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("All intervals"));
}

#[test]
fn nothing_is_fetched() {
    let page = report(&fixture::retries_and_streams(), None, None);
    for address in ["http:", "https:", "src=", "@import", "url("] {
        let found = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!found.contains(address), "{address}");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn long_runs_stay_small() {
    let mut record = fixture::flash_sale();
    let windows = 200_000;
    record.window = queuelab_core::Span(record.window.0 / 1_000);
    for queue in &mut record.queues {
        let series = &mut queue.series;
        for values in [
            &mut series.ready,
            &mut series.ready_max,
            &mut series.published,
            &mut series.delivered,
            &mut series.acked,
        ] {
            *values = (0..windows).map(|window| window * 7_919 % 10_007).collect();
        }
    }
    for series in &mut record.latency_series {
        series.count = vec![10; windows as usize];
        for values in [
            &mut series.p50,
            &mut series.p90,
            &mut series.p99,
            &mut series.max,
        ] {
            *values = (0..windows)
                .map(|window| 1_000_000 + window * 7_919 % 1_000_003)
                .collect();
        }
    }
    let page = report(&record, None, None);
    assert!(page.len() < 1_500_000, "{}", page.len());
}
