//! Files to scenarios: every key, defaults, overrides, the library.

use std::collections::BTreeSet;

use expect_test::expect;
use queuelab_scenario::{
    AnswerPart, Arrivals, Claim, Error, INVARIANTS, METRICS, Scenario, THEMES, Time, When, designs,
    library, lint, open, template,
};

#[test]
fn every_key_is_read() {
    let scenario = Scenario::parse("full.toml", include_str!("full.toml"), &[])
        .unwrap_or_else(|error| panic!("{error}"));
    expect![[r#"
        "full" "Everything" "Every key of the language at least once." seed 7
        Phase { name: "before", from: Time(0), until: Time(120000000000) }
        Phase { name: "burst", from: Time(120000000000), until: Time(180000000000) }
        Phase { name: "drain", from: Time(180000000000), until: Time(420000000000) }
        Some(Steady { warmup: Some(Span(5000000000)) }) Some("The backlog peaked at {backlog.max of orders in burst}, {{and}} was gone {drain_time} after.")
        Cluster { profile: Wan, cpu: Cpu { publish: Span(2000), deliver: Span(2000), ack: Span(1000), per_kib: Span(200), per_batch: Span(5000), cores: 2 }, disk: Disk { fsync: Lognormal { median: Span(1000000), p99: Span(8000000) }, bandwidth: Some(500000000.0), capacity: None, writeback: Span(30000000000) }, network: Network { clients: Lognormal { median: Span(250000), p99: Span(1000000) }, bandwidth: Some(1250000000.0) }, limits: Limits { memory: None, disk_free: None, publish_credit: None }, design: None }
        Expectation { text: "backlog.max of orders < 200_000", claim: Metric { metric: MetricRef { name: "backlog.max", of: Some("orders"), phase: None }, comparison: Less, value: 200000.0 } }
        Expectation { text: "drain_time < 5m", claim: Metric { metric: MetricRef { name: "drain_time", of: None, phase: None }, comparison: Less, value: 300.0 } }
        Expectation { text: "latency.end_to_end.p99.9 <= 200ms in drain", claim: Metric { metric: MetricRef { name: "latency.end_to_end.p99.9", of: None, phase: Some("drain") }, comparison: AtMost, value: 0.2 } }
        Expectation { text: "latency.confirm.mean of checkout > 1us", claim: Metric { metric: MetricRef { name: "latency.confirm.mean", of: Some("checkout"), phase: None }, comparison: Greater, value: 1e-6 } }
        Expectation { text: "rate.acked >= 10/s", claim: Metric { metric: MetricRef { name: "rate.acked", of: None, phase: None }, comparison: AtLeast, value: 10.0 } }
        Expectation { text: "count.lost of orders-dead == 0", claim: Metric { metric: MetricRef { name: "count.lost", of: Some("orders-dead"), phase: None }, comparison: Equal, value: 0.0 } }
        Expectation { text: "utilisation of fulfilment<80%", claim: Metric { metric: MetricRef { name: "utilisation", of: Some("fulfilment"), phase: None }, comparison: Less, value: 0.8 } }
        Expectation { text: "no-loss", claim: Invariant { name: "no-loss", of: None, violated: false } }
        Expectation { text: "violates no-loss of cache", claim: Invariant { name: "no-loss", of: Some("cache"), violated: true } }
        Suggestion { set: ["consumer.fulfilment.count=80"], ask: "More consumers?" }
        Suggestion { set: ["queue.orders.overflow=drop-head", "queue.orders.max_length=5"], ask: "Dropping?" }
        Exchange { name: "shop", kind: Topic, alternate: None, bind: [] }
        Exchange { name: "by-key", kind: ConsistentHash(BoundedRing { vnodes: 64, epsilon: 0.5 }), alternate: None, bind: [] }
        Exchange { name: "all", kind: Fanout, alternate: None, bind: [] }
        Queue { name: "orders", durability: Fsync, bind: [Binding { exchange: 0, key: "order.*", weight: 1, headers: None }, Binding { exchange: 1, key: "", weight: 2, headers: None }, Binding { exchange: 2, key: "", weight: 1, headers: None }], max_length: Some(200000), max_bytes: Some(1073741824), overflow: DeadLetter, dead_letter: Some(Queue(1)), dispatch: PowerOf(3), policy: QueuePolicy { max_priority: 0, ttl: None, expires: None, delivery_limit: None, retry_delay: None, requeue: Original, ack_timeout: None, single_active: false, groups: false, deduplicate: None, dead_letter_at_least_once: false, stream: None }, partitions: 1, backlog: 0, brokerless: false, design: None }
        Queue { name: "orders-dead", durability: Os, bind: [], max_length: None, max_bytes: None, overflow: DropHead, dead_letter: None, dispatch: RoundRobin, policy: QueuePolicy { max_priority: 0, ttl: None, expires: None, delivery_limit: None, retry_delay: None, requeue: Original, ack_timeout: None, single_active: false, groups: false, deduplicate: None, dead_letter_at_least_once: false, stream: None }, partitions: 1, backlog: 0, brokerless: false, design: None }
        Queue { name: "cache", durability: None, bind: [], max_length: None, max_bytes: None, overflow: DropHead, dead_letter: Some(Exchange { exchange: 2, key: Some("dead") }), dispatch: RoundRobin, policy: QueuePolicy { max_priority: 0, ttl: None, expires: None, delivery_limit: None, retry_delay: None, requeue: Original, ack_timeout: None, single_active: false, groups: false, deduplicate: None, dead_letter_at_least_once: false, stream: None }, partitions: 1, backlog: 0, brokerless: false, design: None }
        Producer { name: "checkout", count: 50, to: [(Exchange { exchange: 0, key: Some("order.created") }, 1.0)], arrivals: Poisson(Rate { segments: [(200.0, 200.0), (200.0, 4000.0), (200.0, 200.0)] }), message_key: Zipf { keys: 10000, exponent: 1.1 }, size: Lognormal { median: 700.0, p99: 8192.0 }, persistent: true, confirm: Some(Confirm { window: 100, timeout: Some(Span(2000000000)) }), buffer: 10000, when_full: Drop, reconnect: None, reconnect_spread: Span(0), mandatory: true, limit: Some(1000000), properties: MessageMix { priority: [], ttl: None, delay: None, group_by_key: false, headers: [], id: false, duplicates: 0.0 }, burst: One, batch: None, transaction: None, retry: None, patience: None, idempotent: false, start: Constant(Span(0)), churn: None }
        Producer { name: "spread", count: 1, to: [(Queue(2), 2.5), (Queue(0), 1.0), (Exchange { exchange: 1, key: None }, 1.0)], arrivals: Constant(Rate { segments: [(10.0, 12.857142857142858), (12.857142857142858, 14.285714285714285), (14.285714285714285, 20.0)] }), message_key: Words([("a", 1.0), ("b", 3.0)]), size: Uniform(1, 1024), persistent: true, confirm: None, buffer: 10000, when_full: Wait, reconnect: Some(Span(1000000000)), reconnect_spread: Span(0), mandatory: false, limit: None, properties: MessageMix { priority: [], ttl: None, delay: None, group_by_key: false, headers: [], id: false, duplicates: 0.0 }, burst: One, batch: None, transaction: None, retry: None, patience: None, idempotent: false, start: Constant(Span(0)), churn: None }
        Producer { name: "loop", count: 1, to: [(Queue(2), 1.0)], arrivals: Closed { think: Uniform(Span(1000000), Span(2000000)), ramp: Span(0) }, message_key: Hot { keys: 10, hot: 2, share: 0.8 }, size: Fixed(1000000), persistent: true, confirm: None, buffer: 10000, when_full: Wait, reconnect: Some(Span(1000000000)), reconnect_spread: Span(0), mandatory: false, limit: None, properties: MessageMix { priority: [], ttl: None, delay: None, group_by_key: false, headers: [], id: false, duplicates: 0.0 }, burst: One, batch: None, transaction: None, retry: None, patience: None, idempotent: false, start: Constant(Span(0)), churn: None }
        Consumer { name: "fulfilment", from: [0, 2], count: 20, prefetch: 50, service: Erlang { mean: Span(20000000), k: 4 }, concurrency: 2, ack: Manual { every: 10, nack: Some(Nack { probability: 0.01, requeue: false }) }, weight: 3, reconnect: Some(Span(2000000000)), reconnect_spread: Span(0), service_by_phase: [], channel_prefetch: None, priority: 0, exclusive: false, selector: None, pull: None, renew: None, group: None, offset: Next, poison: 0.0, rate_cap: None, slow: None, start: Constant(Span(0)), churn: None, patience: None, then: None }
        Consumer { name: "auditor", from: [0], count: 1, prefetch: 50, service: Constant(Span(1000)), concurrency: 1, ack: Auto, weight: 1, reconnect: Some(Span(1000000000)), reconnect_spread: Span(0), service_by_phase: [], channel_prefetch: None, priority: 0, exclusive: false, selector: None, pull: None, renew: None, group: None, offset: Next, poison: 0.0, rate_cap: None, slow: None, start: Constant(Span(0)), churn: None, patience: None, then: None }
        Fault { name: "outage", kind: PowerLoss { unsynced: Drop }, when: At(Time(150000000000)), span: Constant(Span(20000000000)), draw: 10902827638346722758 }
        Fault { name: "slow-consumer", kind: SlowConsumer { clients: Clients { of: Consumer(0), share: First(3) }, factor: 10.0 }, when: At(Time(120000000000)), span: Constant(Span(60000000000)), draw: 9010441278341697031 }
        Fault { name: "pause-consumer", kind: PauseConsumer { clients: Clients { of: Consumer(1), share: All } }, when: At(Time(120000000000)), span: Constant(Span(2000000000)), draw: 2731609557178629804 }
        Fault { name: "pause-consumer-2", kind: PauseConsumer { clients: Clients { of: Consumer(1), share: All } }, when: At(Time(240000000000)), span: Constant(Span(2000000000)), draw: 12016154029209260211 }
    "#]].assert_eq(&shown(&scenario));
}

#[test]
fn load_scales_every_rate_and_nothing_else() {
    let shown = |load: &str| {
        let text = r#"
phases = [{ name = "a", for = "10s" }, { name = "b", for = "10s" }]
queue = [{ name = "q" }]
consumer = [{ name = "c", from = "q" }]
producer = [
    { name = "ramp", to = "q", arrivals = "constant", rate = { a = "10/s", b = ["20/s", "40/s"] } },
    { name = "states", to = "q", arrivals = { dist = "mmpp", states = [{ rate = "1/s", mean = "9s" }, { rate = "7/s", mean = "1s" }] } },
    { name = "bursts", to = "q", arrivals = { dist = "on-off", rate = "5/s", on = "1s", off = "9s" } },
    { name = "day", to = "q", arrivals = { dist = "diurnal", mean = "3/s", period = "24h" } },
    { name = "closed", to = "q", arrivals = "closed", think = "2s", ramp = "3s" },
    { name = "limited", to = "q", rate = "10/s", limit = 7, count = 3 },
]
"#;
        let set = [format!("load={load}")];
        let scenario = Scenario::parse("load.toml", text, &set);
        let scenario = scenario.unwrap_or_else(|error| panic!("{error}"));
        let producers = scenario.producers.iter();
        let lines = producers.map(|it| format!("{} {:?} {:?}\n", it.count, it.limit, it.arrivals));
        lines.collect::<String>()
    };
    assert_eq!(shown("1"), shown("1.0"));
    expect![[r#"
        1 None Constant(Rate { segments: [(20.0, 20.0), (40.0, 80.0)] })
        1 None Mmpp { states: [(2.0, Span(9000000000)), (14.0, Span(1000000000))] }
        1 None OnOff { rate: 10.0, on: Constant(Span(1000000000)), off: Constant(Span(9000000000)) }
        1 None Diurnal { mean: 6.0, amplitude: 0.5, period: Span(86400000000000), phase: 0.0 }
        1 None Closed { think: Constant(Span(2000000000)), ramp: Span(3000000000) }
        3 Some(7) Poisson(Rate { segments: [(20.0, 20.0), (20.0, 20.0)] })
    "#]]
    .assert_eq(&shown("2"));
}

#[test]
fn a_trace_is_played_faster_also_in_what_is_suggested() {
    let folder = std::env::temp_dir().join(format!("queuelab-load-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("day.csv"), "at\n1\n2\n").unwrap();
    let file = folder.join("traced.toml");
    let text = r#"
duration = "10s"
load = 4
try = [{ set = "load=2", ask = "Slower?" }]
queue = [{ name = "q" }]
consumer = [{ name = "c", from = "q" }]
producer = [{ name = "p", to = "q", arrivals = { dist = "trace", file = "day.csv" } }]
"#;
    std::fs::write(&file, text).unwrap();
    let scenario = Scenario::load(&file, &[]).unwrap_or_else(|error| panic!("{error}"));
    let warnings = queuelab_scenario::lint(&scenario);
    std::fs::remove_dir_all(&folder).unwrap();
    let Arrivals::Trace(trace) = &scenario.producers[0].arrivals else {
        panic!("{:?}", scenario.producers[0].arrivals)
    };
    assert_eq!((trace.speed, trace.messages.len()), (4.0, 2));
    let broken = warnings
        .iter()
        .any(|warning| warning.message.contains("try"));
    assert!(!broken, "{warnings:?}");
}

#[test]
fn defaults() {
    let text = "duration = '1s'\nqueue = [{ name = 'q' }]\nproducer = [{ name = 'p', to = 'q', rate = '1/s' }]\nconsumer = [{ name = 'c', from = 'q' }]";
    let scenario =
        Scenario::parse("small.toml", text, &[]).unwrap_or_else(|error| panic!("{error}"));
    expect![[r#"
        "small" "small" "" seed 1
        Phase { name: "run", from: Time(0), until: Time(1000000000) }
        None None
        Cluster { profile: Lan, cpu: Cpu { publish: Span(2000), deliver: Span(2000), ack: Span(1000), per_kib: Span(200), per_batch: Span(5000), cores: 1 }, disk: Disk { fsync: Lognormal { median: Span(1000000), p99: Span(8000000) }, bandwidth: Some(500000000.0), capacity: None, writeback: Span(30000000000) }, network: Network { clients: Lognormal { median: Span(250000), p99: Span(1000000) }, bandwidth: Some(1250000000.0) }, limits: Limits { memory: None, disk_free: None, publish_credit: None }, design: None }
        Queue { name: "q", durability: Fsync, bind: [], max_length: None, max_bytes: None, overflow: DropHead, dead_letter: None, dispatch: RoundRobin, policy: QueuePolicy { max_priority: 0, ttl: None, expires: None, delivery_limit: None, retry_delay: None, requeue: Original, ack_timeout: None, single_active: false, groups: false, deduplicate: None, dead_letter_at_least_once: false, stream: None }, partitions: 1, backlog: 0, brokerless: false, design: None }
        Producer { name: "p", count: 1, to: [(Queue(0), 1.0)], arrivals: Poisson(Rate { segments: [(1.0, 1.0)] }), message_key: None, size: Fixed(100), persistent: true, confirm: Some(Confirm { window: 100, timeout: None }), buffer: 10000, when_full: Wait, reconnect: Some(Span(1000000000)), reconnect_spread: Span(0), mandatory: false, limit: None, properties: MessageMix { priority: [], ttl: None, delay: None, group_by_key: false, headers: [], id: false, duplicates: 0.0 }, burst: One, batch: None, transaction: None, retry: None, patience: None, idempotent: false, start: Constant(Span(0)), churn: None }
        Consumer { name: "c", from: [0], count: 1, prefetch: 50, service: Constant(Span(0)), concurrency: 1, ack: Manual { every: 1, nack: None }, weight: 1, reconnect: Some(Span(1000000000)), reconnect_spread: Span(0), service_by_phase: [], channel_prefetch: None, priority: 0, exclusive: false, selector: None, pull: None, renew: None, group: None, offset: Next, poison: 0.0, rate_cap: None, slow: None, start: Constant(Span(0)), churn: None, patience: None, then: None }
    "#]].assert_eq(&shown(&scenario));
}

/// One line per thing.
fn shown(scenario: &Scenario) -> String {
    fn lines<T: std::fmt::Debug>(out: &mut String, items: &[T]) {
        items.iter().for_each(|item| *out += &format!("{item:?}\n"));
    }
    let mut out = format!(
        "{:?} {:?} {:?} seed {}\n",
        scenario.name, scenario.title, scenario.about, scenario.seed
    );
    lines(&mut out, &scenario.phases);
    out += &format!(
        "{:?} {:?}\n{:?}\n",
        scenario.steady, scenario.answer, scenario.cluster
    );
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
            AnswerPart::Hole(metric) => {
                format!("[{} {:?} {:?}]", metric.name, metric.of, metric.phase)
            }
        })
        .collect();
    expect![[r#"The backlog peaked at [backlog.max Some("orders") Some("burst")], {and} was gone [drain_time None None] after."#]].assert_eq(&text);
}

#[test]
fn overrides_reach_everything() {
    let set = |overrides: &[&str]| {
        let overrides: Vec<_> = overrides.iter().map(|text| text.to_string()).collect();
        Scenario::parse("full.toml", include_str!("full.toml"), &overrides)
            .unwrap_or_else(|error| panic!("{error}"))
    };
    assert_eq!(set(&["producer.checkout.count=80"]).producers[0].count, 80);
    assert_eq!(set(&["seed = 9"]).seed, 9);
    assert_eq!(
        set(&["queue.\"orders\".max_length=5"]).queues[0].max_length,
        Some(5)
    );
    assert_eq!(
        set(&["queue.cache.max_length=5"]).queues[2].max_length,
        Some(5),
        "a new key"
    );
    assert_eq!(
        set(&["cluster.disk.fsync=3ms"]).cluster.disk.fsync.mean(),
        0.003,
        "text needs no quotes"
    );
    assert_eq!(
        set(&["cluster.disk.fsync=\"3ms\""])
            .cluster
            .disk
            .fsync
            .mean(),
        0.003
    );
    assert_eq!(
        set(&["cluster.disk.fsync={ dist = 'exponential', mean = '2ms' }"])
            .cluster
            .disk
            .fsync
            .mean(),
        0.002
    );
    assert_eq!(set(&["phases.burst.for=2m"]).end().as_secs_f64(), 480.0);
    let at_ten = When::At(Time(10_000_000_000));
    assert_eq!(set(&["fault.outage.at=10s"]).faults[0].when, at_ten);
    assert_eq!(
        set(&["fault.pause-consumer-2.at=10s"]).faults[3].when,
        at_ten,
        "a numbered name"
    );
    assert_eq!(
        set(&["producer.checkout.rate.burst=5000/s"]).producers[0].arrivals,
        set(&["producer.checkout.rate={burst='5000/s', else='200/s'}"]).producers[0].arrivals
    );
    assert_eq!(
        set(&["producer.spread.to.0.weight=9"]).producers[1].to[0].1,
        9.0,
        "by number"
    );
    assert_eq!(set(&["expect=[]"]).expectations.len(), 0);
    assert_eq!(set(&["seed=1", "seed=2"]).seed, 2, "the last one counts");
    assert_eq!(set(&["seed=1"]).overrides, ["seed=1"]);
    assert_eq!(set(&["title=5s"]).title, "5s");
    assert_eq!(set(&[]).digest_overrides(), None);
    assert_ne!(
        set(&["seed=1"]).digest_overrides(),
        set(&["seed=2"]).digest_overrides()
    );
}

#[test]
fn the_library_is_sound() {
    let mut names = Vec::new();
    for entry in library() {
        let scenario = open(entry.name, &[]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(lint(&scenario), [], "{}", entry.name);
        assert!(
            !scenario.about.is_empty() && scenario.title != scenario.name,
            "{}",
            entry.name
        );
        assert!(
            !scenario.suggestions.is_empty() && !scenario.expectations.is_empty(),
            "{}",
            entry.name
        );
        assert!(!scenario.answer_parts().is_empty(), "{}", entry.name);
        assert_eq!(
            (entry.title.as_str(), entry.about.as_str()),
            (scenario.title.as_str(), scenario.about.as_str())
        );
        for suggestion in &scenario.suggestions {
            open(entry.name, &suggestion.set).unwrap_or_else(|error| panic!("{error}"));
        }
        names.push(entry.name);
    }
    assert_eq!(names[0], "hello");
    names.sort_unstable();
    assert!(
        names.len() >= 24 && names.windows(2).all(|pair| pair[0] != pair[1]),
        "{names:?}"
    );
}

#[test]
fn the_library_uses_every_metric_and_invariant() {
    let mut used = BTreeSet::new();
    for entry in library() {
        let scenario = open(entry.name, &[]).unwrap_or_else(|error| panic!("{error}"));
        for expectation in &scenario.expectations {
            used.insert(match &expectation.claim {
                Claim::Metric { metric, .. } => metric.name.clone(),
                Claim::Invariant { name, .. } => name.clone(),
            });
        }
        for part in scenario.answer_parts() {
            if let AnswerPart::Hole(metric) = part {
                used.insert(metric.name);
            }
        }
    }
    let is_used = |name: &str| match name.strip_suffix("STAT") {
        Some(family) => used.iter().any(|used| used.starts_with(family)),
        None => used.contains(name),
    };
    let metrics = METRICS.iter().map(|metric| metric.name);
    let invariants = INVARIANTS.iter().map(|invariant| invariant.name);
    let unused: Vec<_> = metrics
        .chain(invariants)
        .filter(|name| !is_used(name))
        .collect();
    // These are measured by the simulator's own tests.
    let elsewhere = [
        "count.rejected",
        "confirm-durable",
        "redelivered-flag",
        "requeue-order",
        "ack-asked",
        "no-duplicate",
        "key-partition",
        "no-stall",
        "liveness",
    ];
    assert_eq!(unused, elsewhere);
}

#[test]
fn every_file_of_the_library_lies_in_the_folder_of_a_theme() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../library");
    let themes: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .collect();
    let mut files = 0;
    for theme in themes {
        let name = theme.file_name().into_string().unwrap();
        assert!(THEMES.contains(&name.as_str()), "{name}");
        files += std::fs::read_dir(theme.path())
            .unwrap()
            .filter(|entry| {
                entry
                    .as_ref()
                    .unwrap()
                    .path()
                    .extension()
                    .is_some_and(|extension| extension == "toml")
            })
            .count();
    }
    assert_eq!(files, library().count());
}

#[test]
fn a_template_is_a_scenario() {
    for name in ["my-test", "quotes \" and \\ and \n breaks"] {
        let scenario = Scenario::parse("new.toml", &template(name), &[])
            .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(lint(&scenario), []);
    }
}

#[test]
fn names_and_paths() {
    assert!(
        matches!(open("flashsale", &[]), Err(Error::UnknownScenario { suggestion: Some(name), .. }) if name == "flash-sale")
    );
    assert!(
        matches!(open("hello.toml", &[]), Err(Error::Unreadable { .. })),
        "a .toml suffix makes it a path"
    );
    assert!(matches!(
        open("./hello", &[]),
        Err(Error::Unreadable { .. })
    ));
    assert!(matches!(open(".", &[]), Err(Error::Folder { .. })));
    assert!(
        matches!(open("tests", &[]), Err(Error::Folder { .. })),
        "a plain name that the library lacks may be a path"
    );
}

/// What each design makes of the least that can be written of it: a queue, a consumer, and a group of its name.
#[test]
fn designs_fill_in_their_defaults() {
    let mut shown = String::new();
    for design in designs().iter().filter(|design| design.works()) {
        let grouped = design.choices.iter().any(|choice| choice.table == "group");
        let group = if grouped { ", group = 'g'" } else { "" };
        let text = format!(
            "duration = '1s'\nqueue = [{{ name = 'q', design = '{}' }}]\nconsumer = [{{ name = 'c', from = 'q'{group} }}]",
            design.name
        );
        let scenario =
            Scenario::parse("design.toml", &text, &[]).unwrap_or_else(|error| panic!("{error}"));
        let (queue, consumer) = (&scenario.queues[0], &scenario.consumers[0]);
        let policy = &queue.policy;
        shown += &format!("{}: {:?}", design.name, queue.durability);
        shown += &format!(" overflow {:?} {:?}", queue.max_length, queue.overflow);
        shown += &format!(" dispatch {:?}\n", queue.dispatch);
        shown += &format!("    {policy:?}\n");
        shown += &format!("    prefetch {}", consumer.prefetch);
        shown += &format!(" {:?} pull {:?}\n", consumer.ack, consumer.pull);
        for group in &scenario.groups {
            shown += &format!("    {:?} {:?}\n", group.start, group.kind);
        }
    }
    expect![[r#"
        rabbitmq-classic: Os overflow None DropHead dispatch RoundRobin
            QueuePolicy { max_priority: 0, ttl: None, expires: None, delivery_limit: None, retry_delay: None, requeue: Original, ack_timeout: Some(AckTimeout { after: Span(1800000000000), closes_channel: true }), single_active: false, groups: false, deduplicate: None, dead_letter_at_least_once: false, stream: None }
            prefetch 0 Manual { every: 1, nack: None } pull None
        kafka: Os overflow None DropHead dispatch RoundRobin
            QueuePolicy { max_priority: 0, ttl: None, expires: None, delivery_limit: None, retry_delay: None, requeue: Original, ack_timeout: None, single_active: false, groups: false, deduplicate: None, dead_letter_at_least_once: false, stream: Some(Retention { max_bytes: None, max_length: None, max_age: Some(Span(604800000000000)), segment: 1000, compact: false, interest: false }) }
            prefetch 500 Manual { every: 1, nack: None } pull None
            Next Partitioned { assignment: Range, rebalance: Span(3000000000) }
        redis-list: None overflow None DropHead dispatch RoundRobin
            QueuePolicy { max_priority: 0, ttl: None, expires: None, delivery_limit: None, retry_delay: None, requeue: Original, ack_timeout: None, single_active: false, groups: false, deduplicate: None, dead_letter_at_least_once: false, stream: None }
            prefetch 50 Auto pull Some(Pull { every: Span(1000000), batch: 1 })
        redis-stream: Interval(Span(1000000000)) overflow None DropHead dispatch RoundRobin
            QueuePolicy { max_priority: 0, ttl: None, expires: None, delivery_limit: None, retry_delay: None, requeue: Original, ack_timeout: None, single_active: false, groups: false, deduplicate: None, dead_letter_at_least_once: false, stream: Some(Retention { max_bytes: None, max_length: None, max_age: None, segment: 1000, compact: false, interest: false }) }
            prefetch 50 Manual { every: 1, nack: None } pull None
            Next Shared { lock: Span(315360000000000000), delivery_limit: 0, window: 2000 }
        activemq: Fsync overflow None DropHead dispatch RoundRobin
            QueuePolicy { max_priority: 0, ttl: None, expires: None, delivery_limit: Some(6), retry_delay: Some(RetryDelay { base: Span(1000000000), max: Span(1000000000), growth: Fixed, jitter: 0.0 }), requeue: Original, ack_timeout: None, single_active: false, groups: false, deduplicate: None, dead_letter_at_least_once: false, stream: None }
            prefetch 1000 Manual { every: 1, nack: None } pull None
        zeromq: None overflow Some(1000) Block dispatch RoundRobin
            QueuePolicy { max_priority: 0, ttl: None, expires: None, delivery_limit: None, retry_delay: None, requeue: Original, ack_timeout: None, single_active: false, groups: false, deduplicate: None, dead_letter_at_least_once: false, stream: None }
            prefetch 50 Auto pull None
        nats-jetstream: Interval(Span(120000000000)) overflow None DropHead dispatch RoundRobin
            QueuePolicy { max_priority: 0, ttl: None, expires: None, delivery_limit: None, retry_delay: None, requeue: Original, ack_timeout: None, single_active: false, groups: false, deduplicate: Some(Deduplicate { window: Span(120000000000), capacity: 100000 }), dead_letter_at_least_once: false, stream: Some(Retention { max_bytes: None, max_length: None, max_age: None, segment: 1000, compact: false, interest: false }) }
            prefetch 50 Manual { every: 1, nack: None } pull None
            First Shared { lock: Span(30000000000), delivery_limit: 0, window: 1000 }
        sqs: Fsync overflow None DropHead dispatch RoundRobin
            QueuePolicy { max_priority: 0, ttl: Some(Span(345600000000000)), expires: None, delivery_limit: None, retry_delay: None, requeue: Original, ack_timeout: Some(AckTimeout { after: Span(30000000000), closes_channel: false }), single_active: false, groups: false, deduplicate: None, dead_letter_at_least_once: false, stream: None }
            prefetch 50 Manual { every: 1, nack: None } pull Some(Pull { every: Span(100000000), batch: 1 })
    "#]].assert_eq(&shown);
}
