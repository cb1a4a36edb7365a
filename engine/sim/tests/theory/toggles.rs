//! Two scenarios of which much is predicted, with each key of queues, producers and consumers toggled: what theory still says of the scenario
//! that this makes, the simulator does. A key that the schema has and [`TOGGLES`] does not fails the test. The same with one scenario of each
//! kind of model, where two things come together.

use std::collections::BTreeSet;

use queuelab_record::Measured;
use queuelab_scenario::MetricRef;
use queuelab_theory::{Kind, Prediction, recognise};
use serde_json::Value;

use super::*;

/// Overload for 20 s, and time to drain.
const FLUID: Base = Base {
    head: r#"phases = [{ name = "rush", for = "20s" }, { name = "after", for = "100s" }]"#,
    rate: r#"rate = { rush = "150/s", else = "20/s" }"#,
    count: 5,
    mean: "50ms",
    phase: "rush",
    seeds: 3,
    more: "",
};

/// M/M/1 at ρ = 0.7, in whose steady state about 60,000 messages come to all seeds together: the means' standard errors are about 2 %.
const STEADY: Base = Base {
    head: "duration = \"220s\"\nsteady = { warmup = \"10s\" }",
    rate: r#"rate = "70/s""#,
    count: 1,
    mean: "10ms",
    phase: "run",
    seeds: 4,
    more: "",
};

/// M/M/1 at ρ = 0.5, where 17,000 messages do for standard errors of about 2 %.
const QUIET: Base = Base {
    head: "duration = \"180s\"\nsteady = { warmup = \"10s\" }",
    rate: r#"rate = "50/s""#,
    count: 1,
    mean: "10ms",
    phase: "run",
    seeds: 2,
    more: r#"
        [[consumer]]
        name = "d"
        from = "z"
        prefetch = 1
        service = { dist = "exponential", mean = "5ms" }
        "#,
};

struct Base {
    head: &'static str,
    rate: &'static str,
    count: u32,
    mean: &'static str,
    /// A phase, for what changes by phase.
    phase: &'static str,
    seeds: u64,
    /// Further tables.
    more: &'static str,
}

impl Base {
    /// With overrides that are separated by semicolons; `!rate` takes the line of the rate out.
    fn with(&self, overrides: &str) -> Result<Arc<Scenario>, String> {
        let text = format!(
            r#"
            title = "toggles"
            about = "One key at a time."
            {}
            [cluster]
            profile = "ideal"
            [[exchange]]
            name = "x"
            type = "fanout"
            [[queue]]
            name = "q"
            kind = "memory"
            [[queue]]
            name = "z"
            kind = "memory"
            [[producer]]
            name = "p"
            to = "q"
            {}
            [[consumer]]
            name = "c"
            from = "q"
            count = {}
            prefetch = 1
            service = {{ dist = "exponential", mean = "{}" }}
            {}
            "#,
            self.head, self.rate, self.count, self.mean, self.more
        );
        let without = overrides
            .split(';')
            .filter_map(|text| text.strip_prefix('!'));
        let stays = |line: &&str| !without.clone().any(|key| line.trim().starts_with(key));
        let text: Vec<&str> = text.lines().filter(stays).collect();
        let overrides: Vec<String> = overrides
            .split(';')
            .filter(|text| !text.is_empty() && !text.starts_with('!'))
            .map(|text| text.replace("PHASE", self.phase).replace("MEAN", self.mean))
            .collect();
        let scenario = Scenario::parse("toggles.toml", &text.join("\n"), &overrides);
        scenario
            .map(Arc::new)
            .map_err(|error| format!("{overrides:?}: {error}"))
    }

    /// What is predicted and is not so, in words.
    fn wrong(&self, overrides: &str, is_tested: impl Fn(&Prediction) -> bool) -> Vec<String> {
        let scenario = match self.with(overrides) {
            Ok(scenario) => scenario,
            Err(error) => return vec![error],
        };
        let mut predictions = recognise(&scenario);
        predictions.retain(is_tested);
        if predictions.is_empty() {
            return Vec::new();
        }
        let seeds = 1..=self.seeds;
        let records: Vec<RunRecord> = seeds
            .map(|seed| crate::finished(&scenario, Options { seed, check: false }))
            .collect();
        let is_wrong = |prediction: &Prediction| {
            let MetricRef { name, of, phase } = &prediction.metric;
            let measured = records.iter().map(|record| {
                match record.metric(name, of.as_deref(), phase.as_deref()) {
                    Ok(Measured::Value { value, .. }) => value,
                    _ => f64::NAN,
                }
            });
            let mean = measured.sum::<f64>() / records.len() as f64;
            let (value, Allowed { share, slack }) = (prediction.value, allowed(prediction));
            let margin = share * value.abs() + slack;
            let (low, high) = match prediction.kind {
                Kind::LowerBound => (value - margin, f64::INFINITY),
                Kind::UpperBound => (f64::NEG_INFINITY, value + margin),
                _ => (value - margin, value + margin),
            };
            (!(low..=high).contains(&mean)).then(|| {
                format!(
                    "{overrides}: {} ({}) says that {name} of {of:?} in {phase:?} is {value}, it is {mean}",
                    prediction.model, prediction.kind
                )
            })
        };
        predictions.iter().filter_map(is_wrong).collect()
    }
}

/// By how much a mean over the seeds may differ: by a share of the prediction, and by so much besides.
struct Allowed {
    share: f64,
    slack: f64,
}

/// Four standard errors or more where the model is exact, for percentiles as for means; for a fluid a quarter, and what a few messages or
/// half a second do.
fn allowed(prediction: &Prediction) -> Allowed {
    let name = &prediction.metric.name;
    let (share, slack) = match prediction.kind {
        Kind::Exact if name.ends_with("p99") => (0.2, 1e-4),
        // Rare events, twice the root of which is nearly three standard errors of the mean of two.
        Kind::Exact if name.starts_with("count") => (0.1, 2.0 * prediction.value.sqrt()),
        Kind::Exact | Kind::LowerBound | Kind::UpperBound => (0.1, 1e-4),
        Kind::Approximation => (0.4, 1e-4),
        Kind::Fluid if name.starts_with("backlog") => (0.25, 10.0),
        Kind::Fluid => (0.25, 0.5),
    };
    Allowed { share, slack }
}

#[test]
fn a_fluid_is_predicted_only_of_what_is_one() {
    let wrong: Vec<String> = toggles()
        .flat_map(|overrides| FLUID.wrong(overrides, |_| true))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // What is easily accounted for is.
    for told in [
        "",
        "queue.q.single_active=true",
        "consumer.c.slow={share=0.5,factor=3}",
        "consumer.c.start=\"20s\"",
        "producer.p.start=\"5s\"",
        "consumer.c.nack={probability=0.2,requeue=true}",
    ] {
        let predictions = recognise(&FLUID.with(told).unwrap());
        let fluid = predictions.iter().any(|it| it.kind == Kind::Fluid);
        assert!(fluid, "nothing is predicted with {told:?}");
    }
}

#[test]
fn a_steady_state_is_predicted_only_of_what_has_it() {
    let wrong: Vec<String> = toggles()
        .flat_map(|overrides| STEADY.wrong(overrides, |_| true))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let exact = |it: &Prediction| it.kind == Kind::Exact && it.metric.name == "backlog.mean";
    for told in ["", "queue.q.max_length=2;queue.q.overflow=\"block\""] {
        assert!(
            recognise(&STEADY.with(told).unwrap()).iter().any(exact),
            "{told:?}"
        );
    }
}

#[test]
fn every_key_of_the_schema_is_toggled() {
    let schema: Value = serde_json::from_str(&queuelab_scenario::schema()).unwrap();
    let mut missing = Vec::new();
    for (table, kind, name) in [
        ("Queue", "queue", "q"),
        ("Producer", "producer", "p"),
        ("Consumer", "consumer", "c"),
    ] {
        let set = format!("{kind}.{name}.");
        let toggled: BTreeSet<&str> = toggles()
            .flat_map(|overrides| overrides.split(';'))
            .filter_map(|text| text.strip_prefix(&set)?.split_once('='))
            .map(|(key, _)| key)
            .collect();
        let keys = schema["$defs"][table]["properties"].as_object().unwrap();
        assert!(keys.len() > 20, "{table} has {} keys", keys.len());
        let keys = keys.keys().filter(|key| key.as_str() != "name");
        missing.extend(
            keys.filter(|key| !toggled.contains(key.as_str()))
                .map(|key| format!("{set}{key}")),
        );
    }
    assert!(missing.is_empty(), "nobody toggles {missing:?}");
}

#[test]
fn a_model_is_exact_only_of_what_it_knows() {
    let mut wrong = Vec::new();
    for (number, (model, kind)) in KINDS.iter().enumerate() {
        let exact = |it: &Prediction| it.kind == Kind::Exact;
        let predictions = recognise(&QUIET.with(kind).unwrap());
        let known = predictions.iter().any(|it| it.model == *model && exact(it));
        assert!(known, "{kind} is {predictions:?}, rather than {model}");
        for (at, toggle) in toggles().enumerate() {
            let tried = (at + number) % EACH == 0 || OFTEN_FORGOTTEN.contains(&toggle);
            let both = format!("{kind};{toggle}");
            // Some exclude each other.
            if tried && QUIET.with(&both).is_ok() {
                wrong.extend(QUIET.wrong(&both, exact));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// As they are, and with each of [`TOGGLES`].
fn toggles() -> impl Iterator<Item = &'static str> {
    [""].into_iter().chain(lines(TOGGLES))
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

/// What makes [`QUIET`] a scenario of each model.
const KINDS: [(&str, &str); 19] = [
    (
        "M/M/1/3",
        r#"queue.q.overflow="reject-publish";queue.q.max_length=2"#,
    ),
    (
        "M/D/1/3",
        r#"queue.q.overflow="reject-publish";queue.q.max_length=2;consumer.c.service="10ms""#,
    ),
    ("M/M/1", r#"queue.q.overflow="block";queue.q.max_length=2"#),
    (
        "M/M/1+M",
        r#"producer.p.ttl={dist="exponential",mean="20ms"}"#,
    ),
    ("M/G/1/1", r#"queue.q.ttl="0s""#),
    (
        "M/M/1 with 2 priorities",
        r#"queue.q.max_priority=3;producer.p.priority=[{priority=3,weight=1},{priority=0,weight=1}]"#,
    ),
    (
        "M/M/1 with feedback",
        r#"consumer.c.nack={probability=0.2,requeue=true}"#,
    ),
    (
        "M/M/1 with breakdowns",
        r#"consumer.c.churn={every={dist="exponential",mean="200ms"},away={dist="exponential",mean="20ms"},crash=true}"#,
    ),
    ("M^X/M/1", "producer.p.burst=2"),
    (
        "MMPP/M/1",
        r#"producer.p.arrivals={dist="on-off",rate="90/s",on={dist="exponential",mean="100ms"},off={dist="exponential",mean="100ms"}};!rate"#,
    ),
    (
        "E3/M/1",
        r#"producer.p.arrivals={dist="renewal",gap={dist="erlang",mean="1s",k=3}}"#,
    ),
    (
        "M/M/1//3",
        r#"producer.p.arrivals="closed";producer.p.think="40ms";producer.p.count=3;!rate"#,
    ),
    ("M/D/1", r#"consumer.c.service="10ms""#),
    (
        "2 × M/M/1, chosen at random",
        r#"queue.q.dispatch="random";consumer.c.count=2;consumer.c.prefetch=0;producer.p.rate="100/s""#,
    ),
    ("M/M/2", r#"consumer.c.count=2;producer.p.rate="100/s""#),
    ("tandem of 2", r#"consumer.c.then={to="z"}"#),
    (
        "fork and join of 2",
        r#"producer.p.to={exchange="x"};queue.q.bind=[{exchange="x"}];queue.z.bind=[{exchange="x"}];consumer.d.service={dist="exponential",mean="MEAN"}"#,
    ),
    (
        "batch with linger",
        r#"producer.p.batch={size=10,linger="50ms"};producer.p.confirm={window=100}"#,
    ),
    (
        "group commit",
        r#"cluster.disk.fsync="5ms";queue.q.kind="durable";queue.q.durability="fsync";consumer.c.from="z""#,
    ),
];

/// Of the pairs of a kind and a toggle so many are one test: other ones for each kind. With 1 it takes a minute, and all of them hold.
const EACH: usize = 8;

/// Toggles that are tried on every kind.
const OFTEN_FORGOTTEN: [&str; 6] = [
    r#"consumer.c.churn={every="10s",away="1s"}"#,
    r#"consumer.c.nack={probability=0.2,requeue=true}"#,
    r#"producer.p.ttl={dist="exponential",mean="50ms"}"#,
    r#"consumer.c.concurrency=2"#,
    r#"consumer.c.ack="auto""#,
    r#"cluster.limits.memory="400B""#,
];

/// Overrides that belong together stand on one line.
const TOGGLES: &str = r#"
    queue.q.kind="durable";queue.q.durability="os"
    queue.q.bind=[{exchange="x"}]
    queue.q.max_length=5
    queue.q.max_length=500
    queue.q.overflow="reject-publish";queue.q.max_length=5
    queue.q.overflow="reject-publish";queue.q.max_length=5;producer.p.retry={policy="fixed",base="10ms",attempts=3}
    queue.q.overflow="reject-publish";queue.q.max_length=500
    queue.q.overflow="block";queue.q.max_length=2
    queue.q.overflow="block";queue.q.max_length=5;producer.p.count=5
    queue.q.overflow="block";queue.q.max_length=500
    queue.q.overflow="block";queue.q.max_length=5;consumer.c.prefetch=10
    queue.q.overflow="block";queue.q.max_length=5;consumer.c.nack={probability=0.2,requeue=true}
    queue.q.overflow="block";queue.q.max_length=5;producer.p.when_full="drop";producer.p.buffer=5;producer.p.confirm={window=1}
    queue.q.overflow="block";queue.q.max_length=5;queue.q.max_priority=3;producer.p.priority=[{priority=3,weight=1},{priority=0,weight=1}]
    queue.q.overflow="dead-letter";queue.q.max_length=5;queue.q.dead_letter="z"
    queue.q.max_bytes="3KiB"
    queue.q.dispatch="random";consumer.c.count=5;consumer.c.prefetch=10
    queue.q.max_priority=3;producer.p.priority=[{priority=3,weight=1},{priority=0,weight=1}]
    queue.q.max_priority=2
    queue.q.max_priority=2;producer.p.priority=0
    queue.q.ttl="50ms"
    queue.q.ttl="0s"
    queue.q.expires="1s"
    queue.q.delivery_limit=1;consumer.c.nack={probability=0.5,requeue=true}
    queue.q.retry_delay={base="100ms"};consumer.c.nack={probability=0.2,requeue=true}
    queue.q.requeue="tail";consumer.c.nack={probability=0.2,requeue=true}
    queue.q.ack_timeout="15ms"
    queue.q.ack_timeout="15ms";consumer.c.renew="5ms"
    queue.q.single_active=true
    queue.q.single_active=true;consumer.c.count=3;consumer.c.slow={share=0.5,factor=3}
    queue.q.groups=true;producer.p.group_by_key=true;producer.p.message_key={dist="round-robin",keys=3};consumer.c.count=5
    queue.q.deduplicate="10s";producer.p.id=true;producer.p.duplicates=0.3
    queue.q.kind="stream";queue.q.retention={max_length=100}
    queue.q.kind="stream";consumer.c.offset="first"
    queue.q.kind="stream";consumer.c.group="g"
    queue.q.partitions=2;producer.p.message_key={dist="round-robin",keys=100}
    queue.q.backlog=50
    queue.q.backlog=2000
    queue.q.design="rabbitmq-classic";queue.q.kind="durable";queue.q.beyond_design=true
    producer.p.count=5
    producer.p.to=[{queue="q",weight=2},{queue="z",weight=1}]
    producer.p.arrivals="constant"
    producer.p.arrivals={dist="renewal",gap={dist="erlang",mean="1s",k=3}}
    producer.p.arrivals={dist="on-off",rate="100/s",on="1s",off="1s"};!rate
    producer.p.arrivals="closed";producer.p.think="10ms";producer.p.ramp="1s";producer.p.count=10;!rate
    producer.p.rate=["60/s","80/s"]
    producer.p.message_key={dist="zipf",keys=100}
    producer.p.size={dist="bimodal",small="200B",large="64KiB",share=0.05}
    producer.p.persistent=false
    producer.p.confirm=false
    producer.p.confirm={window=1}
    producer.p.confirm={window=2,timeout="5ms"};producer.p.retry={policy="fixed",base="1ms",attempts=3}
    producer.p.buffer=5;producer.p.confirm={window=1}
    producer.p.when_full="drop"
    producer.p.reconnect="never"
    producer.p.reconnect_spread="1s"
    producer.p.mandatory=true
    producer.p.limit=1000
    producer.p.ttl="50ms"
    producer.p.ttl={dist="exponential",mean="50ms"}
    producer.p.delay="1s"
    producer.p.headers={size=[1,5]}
    producer.p.id=true
    producer.p.burst=5
    producer.p.batch={size=10,linger="50ms"}
    producer.p.transaction=10
    producer.p.patience="100ms"
    producer.p.idempotent=true
    producer.p.start="5s"
    producer.p.start="30s"
    producer.p.start={dist="uniform",min="0s",max="20s"}
    producer.p.churn={every="10s",away="5s"}
    consumer.c.from=["q","z"]
    consumer.c.count=3
    consumer.c.prefetch=0
    consumer.c.prefetch=10
    consumer.c.prefetch=10;consumer.c.count=3
    consumer.c.service={dist="erlang",mean="MEAN",k=3}
    consumer.c.service={dist="hyperexponential",mean="MEAN",cv=1.5}
    consumer.c.concurrency=2
    consumer.c.concurrency=2;consumer.c.prefetch=2
    consumer.c.ack="auto"
    consumer.c.every=10;consumer.c.prefetch=10
    consumer.c.nack={probability=0.2,requeue=true}
    consumer.c.nack={probability=0.2,requeue=false}
    consumer.c.weight=2
    consumer.c.reconnect="never"
    consumer.c.reconnect_spread="1s"
    consumer.c.service_by_phase={PHASE="5ms"}
    consumer.c.channel_prefetch=1
    consumer.c.priority=1
    consumer.c.exclusive=true;consumer.c.count=1
    consumer.c.selector="size > 3";producer.p.headers={size=[1,5]}
    consumer.c.pull="10ms";!prefetch
    consumer.c.poison=0.3
    consumer.c.poison=0.3;queue.q.delivery_limit=2
    consumer.c.rate_cap="80/s"
    consumer.c.slow={share=0.5,factor=3}
    consumer.c.start="20s"
    consumer.c.start={dist="uniform",min="0s",max="20s"}
    consumer.c.churn={every="20s",away="2s"}
    consumer.c.churn={every="10s",away="1s"}
    consumer.c.patience="100ms"
    consumer.c.then={to="z"}
    cluster.limits.memory="400B"
    cluster.limits.publish_credit=1
    cluster.network.bandwidth="20kB/s"
    cluster.disk.bandwidth="20kB/s"
"#;
