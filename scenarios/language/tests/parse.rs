//! Files to scenarios: every key, defaults, overrides, the library.

use expect_test::expect;
use queuelab_scenario::{AnswerPart, Error, Scenario, lint, library, open, template};

#[test]
fn every_key_is_read() {
    let scenario = Scenario::parse("full.toml", include_str!("full.toml"), &[]).unwrap_or_else(|error| panic!("{error}"));
    expect![[""]].assert_eq(&shown(&scenario));
}

#[test]
fn defaults() {
    let text = "duration = '1s'\nqueue = [{ name = 'q' }]\nproducer = [{ name = 'p', to = 'q', rate = '1/s' }]\nconsumer = [{ name = 'c', from = 'q' }]";
    let scenario = Scenario::parse("small.toml", text, &[]).unwrap_or_else(|error| panic!("{error}"));
    expect![[r#"
        "small" "small" "" seed 1
        Phase { name: "run", from: Time(0), until: Time(1000000000) }
        None None
        Cluster { profile: Lan, cpu: Cpu { publish: Span(2000), deliver: Span(2000), ack: Span(1000), per_kib: Span(200), per_batch: Span(5000), cores: 1 }, disk: Disk { fsync: Lognormal { median: Span(1000000), p99: Span(8000000) }, bandwidth: Some(500000000.0) }, network: Network { clients: Lognormal { median: Span(250000), p99: Span(1000000) }, bandwidth: Some(1250000000.0) } }
        Queue { name: "q", durability: Fsync, bind: [], max_length: None, max_bytes: None, overflow: DropHead, dead_letter: None, dispatch: RoundRobin }
        Producer { name: "p", count: 1, to: [(Queue(0), 1.0)], arrivals: Poisson(Rate { segments: [(1.0, 1.0)] }), message_key: None, size: Fixed(100), persistent: true, confirm: Some(Confirm { window: 100, timeout: None }), buffer: 10000, when_full: Wait, reconnect: Some(Span(1000000000)), mandatory: false, limit: None }
        Consumer { name: "c", from: [0], count: 1, prefetch: 50, service: Constant(Span(0)), concurrency: 1, ack: Manual { every: 1, nack: None }, weight: 1, reconnect: Some(Span(1000000000)) }
    "#]].assert_eq(&shown(&scenario));
}

/// One line per thing.
fn shown(scenario: &Scenario) -> String {
    fn lines<T: std::fmt::Debug>(out: &mut String, items: &[T]) {
        items.iter().for_each(|item| *out += &format!("{item:?}\n"));
    }
    let mut out = format!("{:?} {:?} {:?} seed {}\n", scenario.name, scenario.title, scenario.about, scenario.seed);
    lines(&mut out, &scenario.phases);
    out += &format!("{:?} {:?}\n{:?}\n", scenario.steady, scenario.answer, scenario.cluster);
    lines(&mut out, &scenario.expectations);
    lines(&mut out, &scenario.suggestions);
    lines(&mut out, &scenario.exchanges);
    lines(&mut out, &scenario.queues);
    lines(&mut out, &scenario.producers);
    lines(&mut out, &scenario.consumers);
    lines(&mut out, &scenario.faults);
    out
}

#[test]
fn an_answer_has_holes() {
    let scenario = Scenario::parse("full.toml", include_str!("full.toml"), &[]).unwrap();
    let text: String = scenario
        .answer_parts()
        .iter()
        .map(|part| match part {
            AnswerPart::Text(text) => text.clone(),
            AnswerPart::Hole(metric) => format!("[{} {:?} {:?}]", metric.name, metric.of, metric.phase),
        })
        .collect();
    expect![[r#"The backlog peaked at [backlog.max Some("orders") Some("burst")], {and} was gone [drain_time None None] after."#]].assert_eq(&text);
}

#[test]
fn overrides_reach_everything() {
    let set = |overrides: &[&str]| {
        let overrides: Vec<_> = overrides.iter().map(|text| text.to_string()).collect();
        Scenario::parse("full.toml", include_str!("full.toml"), &overrides).unwrap_or_else(|error| panic!("{error}"))
    };
    assert_eq!(set(&["producer.checkout.count=80"]).producers[0].count, 80);
    assert_eq!(set(&["seed = 9"]).seed, 9);
    assert_eq!(set(&["queue.\"orders\".max_length=5"]).queues[0].max_length, Some(5));
    assert_eq!(set(&["queue.cache.max_length=5"]).queues[2].max_length, Some(5), "a new key");
    assert_eq!(set(&["cluster.disk.fsync=3ms"]).cluster.disk.fsync.mean(), 0.003, "text needs no quotes");
    assert_eq!(set(&["cluster.disk.fsync=\"3ms\""]).cluster.disk.fsync.mean(), 0.003);
    assert_eq!(set(&["cluster.disk.fsync={ dist = 'exponential', mean = '2ms' }"]).cluster.disk.fsync.mean(), 0.002);
    assert_eq!(set(&["phases.burst.for=2m"]).end().as_secs_f64(), 480.0);
    assert_eq!(set(&["fault.outage.at=10s"]).faults[0].at.as_secs_f64(), 10.0);
    assert_eq!(set(&["fault.pause-consumer-2.at=10s"]).faults[3].at.as_secs_f64(), 10.0, "a numbered name");
    assert_eq!(set(&["producer.checkout.rate.burst=5000/s"]).producers[0].arrivals, set(&["producer.checkout.rate={burst='5000/s', else='200/s'}"]).producers[0].arrivals);
    assert_eq!(set(&["producer.spread.to.0.weight=9"]).producers[1].to[0].1, 9.0, "by number");
    assert_eq!(set(&["expect=[]"]).expectations.len(), 0);
    assert_eq!(set(&["seed=1", "seed=2"]).seed, 2, "the last one counts");
    assert_eq!(set(&["seed=1"]).overrides, ["seed=1"]);
    assert_eq!(set(&["title=5s"]).title, "5s");
    assert_eq!(set(&[]).digest_overrides(), None);
    assert_ne!(set(&["seed=1"]).digest_overrides(), set(&["seed=2"]).digest_overrides());
}

#[test]
fn the_library_is_sound() {
    let mut names = Vec::new();
    for entry in library() {
        let scenario = open(entry.name, &[]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(lint(&scenario), [], "{}", entry.name);
        assert!(!scenario.about.is_empty() && scenario.title != scenario.name, "{}", entry.name);
        assert!(!scenario.suggestions.is_empty() && !scenario.expectations.is_empty(), "{}", entry.name);
        assert!(!scenario.answer_parts().is_empty(), "{}", entry.name);
        assert_eq!((entry.title.as_str(), entry.about.as_str()), (scenario.title.as_str(), scenario.about.as_str()));
        for suggestion in &scenario.suggestions {
            open(entry.name, &suggestion.set).unwrap_or_else(|error| panic!("{error}"));
        }
        names.push(entry.name);
    }
    assert_eq!(names, ["hello", "balancers", "bounded-buffer", "broker-crash", "flash-sale", "hot-key", "idle-consumers", "order-fanout", "overload"]);
}

#[test]
fn a_template_is_a_scenario() {
    for name in ["my-test", "quotes \" and \\ and \n breaks"] {
        let scenario = Scenario::parse("new.toml", &template(name), &[]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(lint(&scenario), []);
    }
}

#[test]
fn names_and_paths() {
    assert!(matches!(open("flashsale", &[]), Err(Error::UnknownScenario { suggestion: Some(name), .. }) if name == "flash-sale"));
    assert!(matches!(open("hello.toml", &[]), Err(Error::Unreadable { .. })), "a .toml suffix makes it a path");
    assert!(matches!(open("./hello", &[]), Err(Error::Unreadable { .. })));
    assert!(matches!(open(".", &[]), Err(Error::Folder { .. })));
}
