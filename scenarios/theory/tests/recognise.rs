//! Which scenario is recognised as what.

use expect_test::{Expect, expect};
use queuelab_scenario::Scenario;
use queuelab_theory::{notes, recognise, warnings};

/// What is predicted of a scenario with free hardware, one line per metric.
fn check(text: &str, expected: Expect) {
    expected.assert_eq(&told(&format!("[cluster]\nprofile = \"ideal\"\n{text}")));
}

fn told(text: &str) -> String {
    let text = format!(
        "title = \"t\"\nabout = \"a\"\n{}{text}",
        if text.contains("phases = ") {
            ""
        } else {
            "duration = \"10000s\"\n"
        }
    );
    let scenario = Scenario::parse("t.toml", &text, &[]).unwrap_or_else(|error| panic!("{error}"));
    let mut out = String::new();
    for prediction in recognise(&scenario) {
        let metric = &prediction.metric;
        let of = metric
            .of
            .as_ref()
            .map_or(String::new(), |of| format!(" of {of}"));
        let phase = metric
            .phase
            .as_ref()
            .map_or(String::new(), |phase| format!(" in {phase}"));
        out += &format!(
            "{} ({}): {}{of}{phase} = {:.4}\n",
            prediction.model, prediction.kind, metric.name, prediction.value
        );
        assert!(!prediction.source.is_empty());
    }
    for line in warnings(&scenario) {
        out += &format!("warning: {line}\n");
    }
    for line in notes(&scenario) {
        out += &format!("note: {line}\n");
    }
    out
}

/// One queue, services with a mean of a second.
fn one(queue: &str, producer: &str, consumer: &str) -> String {
    format!(
        "[[queue]]\nname = \"q\"\nkind = \"memory\"\n{queue}\n[[producer]]\nname = \"p\"\nto = {{ queue = \"q\" }}\narrivals = \"poisson\"\n{producer}\n[[consumer]]\nname = \"c\"\nfrom = \"q\"\n{consumer}\n"
    )
}

const EXPONENTIAL: &str = "service = { dist = \"exponential\", mean = \"1s\" }\nprefetch = 1";

#[test]
fn single_queues() {
    check(
        &one("", "rate = \"4/s\"", &format!("count = 5\n{EXPONENTIAL}")),
        expect![[r#"
            M/M/5 (exact): latency.end_to_end.mean = 1.5541
            M/M/5 (exact): latency.end_to_end.p50 = 1.2044
            M/M/5 (exact): latency.end_to_end.p90 = 3.3526
            M/M/5 (exact): latency.end_to_end.p99 = 6.0797
            M/M/5 (exact): latency.delivery.mean = 0.5541
            M/M/5 (exact): backlog.mean of q = 2.2165
            M/M/5 (exact): utilisation of c = 0.8000
        "#]],
    );
    check(
        &one("", "rate = \"0.8/s\"", "service = \"1s\"\nprefetch = 1"),
        expect![[r#"
            M/D/1 (exact): latency.end_to_end.mean = 3.0000
            M/D/1 (exact): latency.end_to_end.p50 = 2.2759
            M/D/1 (exact): latency.end_to_end.p90 = 6.0115
            M/D/1 (exact): latency.end_to_end.p99 = 11.3559
            M/D/1 (exact): latency.delivery.mean = 2.0000
            M/D/1 (exact): backlog.mean of q = 1.6000
            M/D/1 (exact): utilisation of c = 0.8000
        "#]],
    );
    check(
        &one(
            "",
            "rate = \"0.8/s\"",
            "service = { dist = \"erlang\", mean = \"1s\", k = 4 }",
        ),
        expect![[r#"
            M/G/1 (exact): latency.end_to_end.mean = 3.5000
            M/G/1 (exact): utilisation of c = 0.8000
        "#]],
    );
}

#[test]
fn queues_with_a_bound() {
    check(
        &one(
            "max_length = 4\noverflow = \"reject-publish\"",
            "rate = \"0.8/s\"",
            EXPONENTIAL,
        ),
        expect![[r#"
            M/M/1/5 (exact): latency.end_to_end.mean = 2.5631
            M/M/1/5 (exact): latency.end_to_end.p50 = 2.0605
            M/M/1/5 (exact): latency.end_to_end.p90 = 5.4753
            M/M/1/5 (exact): latency.end_to_end.p99 = 9.2015
            M/M/1/5 (exact): latency.delivery.mean = 1.5631
            M/M/1/5 (exact): backlog.mean of q = 1.1394
            M/M/1/5 (exact): utilisation of c = 0.7289
            M/M/1/5 (exact): count.refused of q = 710.5560
            M/M/1/5 (exact): rate.acked of q = 0.7289
        "#]],
    );
    check(
        &one(
            "max_length = 9",
            "rate = \"0.9/s\"",
            "service = \"1s\"\nprefetch = 1",
        ),
        expect![[r#"
            M/D/1/10 (exact): backlog.mean of q = 2.5864
            M/D/1/10 (exact): utilisation of c = 0.8850
            M/D/1/10 (exact): count.dropped of q = 149.6857
            M/D/1/10 (exact): rate.acked of q = 0.8850
        "#]],
    );
}

#[test]
fn servers_with_queues_of_their_own() {
    let servers = "service = { dist = \"exponential\", mean = \"1s\" }\nprefetch = 0\n";
    for (dispatch, count, expected) in [
        (
            "random",
            4,
            expect![[r#"
            4 × M/M/1, chosen at random (exact): latency.end_to_end.mean = 2.0000
            4 × M/M/1, chosen at random (exact): latency.end_to_end.p50 = 1.3863
            4 × M/M/1, chosen at random (exact): latency.end_to_end.p90 = 4.6052
            4 × M/M/1, chosen at random (exact): latency.end_to_end.p99 = 9.2103
            4 × M/M/1, chosen at random (exact): backlog.mean of q = 0.0000
            4 × M/M/1, chosen at random (exact): utilisation of c = 0.5000
        "#]],
        ),
        (
            "round-robin",
            4,
            expect![[r#"
            4 × E4/M/1, in turn (exact): latency.end_to_end.mean = 1.4325
            4 × E4/M/1, in turn (exact): latency.end_to_end.p50 = 0.9929
            4 × E4/M/1, in turn (exact): latency.end_to_end.p90 = 3.2985
            4 × E4/M/1, in turn (exact): latency.end_to_end.p99 = 6.5970
            4 × E4/M/1, in turn (exact): backlog.mean of q = 0.0000
            4 × E4/M/1, in turn (exact): utilisation of c = 0.5000
        "#]],
        ),
        (
            "least-connections",
            2,
            expect![[r#"
            join the shortest of 2 (exact): latency.end_to_end.mean = 1.4263
            join the shortest of 2 (exact): backlog.mean of q = 0.0000
            join the shortest of 2 (exact): utilisation of c = 0.5000
        "#]],
        ),
        (
            "least-connections",
            4,
            expect![[r#"
            M/M/4: no routing beats one queue (lower bound): latency.end_to_end.mean = 1.0870
            M/M/4: no routing beats one queue (lower bound): backlog.mean of q = 0.0000
            M/M/4: no routing beats one queue (exact): utilisation of c = 0.5000
        "#]],
        ),
        (
            "power-of-2",
            10,
            expect![[r#"
            power of 2 choices, 10 → ∞ servers (approximation): latency.end_to_end.mean = 1.2657
            power of 2 choices, 10 → ∞ servers (approximation): backlog.mean of q = 0.0000
            power of 2 choices, 10 → ∞ servers (exact): utilisation of c = 0.5000
        "#]],
        ),
    ] {
        let producer = format!("rate = \"{}/s\"", f64::from(count) * 0.5);
        check(
            &one(
                &format!("dispatch = \"{dispatch}\""),
                &producer,
                &format!("{servers}count = {count}"),
            ),
            expected,
        );
    }
}

#[test]
fn hash_rings() {
    let queues: String = (0..10)
        .map(|at| format!("[[queue]]\nname = \"q{at}\"\nkind = \"memory\"\nbind = [ {{ exchange = \"x\" }} ]\n"))
        .collect();
    let text = format!(
        "{queues}[[exchange]]\nname = \"x\"\ntype = \"consistent-hash\"\nhash = {{ kind = \"ring\", vnodes = 100 }}\n[[producer]]\nname = \"p\"\nto = {{ exchange = \"x\" }}\nrate = \"1/s\"\nmessage_key = {{ dist = \"uniform\", keys = 1000 }}\n"
    );
    check(
        &text,
        expect![[r#"
        note: `x` spreads keys over 10 queues with 100 points each: shares vary by 9.5 %, the busiest gets about 1.16 × the mean (Beta law of the spacings)
    "#]],
    );
}

#[test]
fn overload_is_a_fluid() {
    let text = "phases = [ { name = \"before\", for = \"100s\" }, { name = \"burst\", for = \"100s\" }, { name = \"after\", for = \"800s\" } ]\n";
    let queue = one(
        "",
        "rate = { burst = \"40/s\", else = \"2/s\" }",
        "count = 10\nservice = { dist = \"exponential\", mean = \"1s\" }\nprefetch = 2",
    );
    expect![[r#"
        fluid (fluid): backlog.max of q = 2980.0000
        fluid (fluid): backlog.end of q = 0.0000
        fluid (fluid): drain_time of q = 372.5000
        fluid (fluid): latency.end_to_end.max = 300.0000
        M/G/10, one queue instead of prefetch 2 (lower bound): latency.end_to_end.mean in before = 1.0006
        M/G/10, one queue instead of prefetch 2 (exact): utilisation of c in before = 0.2000
        warning: the queue `q` is offered 40/s during burst, its consumers can do 10/s: ρ = 4.00
    "#]].assert_eq(&told(&format!("{text}{queue}")));
    check(
        &one("", "rate = \"1.5/s\"", EXPONENTIAL),
        expect![[r#"
            fluid (fluid): backlog.max of q = 4999.0000
            fluid (fluid): backlog.end of q = 4999.0000
            warning: the queue `q` is offered 1.5/s, its consumers can do 1/s: ρ = 1.50
        "#]],
    );
}

/// Who gives up waiting makes it less than the fluid.
#[test]
fn impatience_is_no_fluid() {
    check(
        &one("", "rate = \"1.5/s\"\npatience = \"2s\"", EXPONENTIAL),
        expect![[r#"
            warning: the queue `q` is offered 1.5/s, its consumers can do 1/s: ρ = 1.50
        "#]],
    );
}

/// What is not a matter of rates and capacities is no fluid, and where that says something of ρ, it is said of what there is.
#[test]
fn overload_that_is_no_fluid() {
    let told = |queue: &str, producer: &str, consumer: &str| {
        let producer = format!("rate = \"1.5/s\"\n{producer}");
        let consumer = format!("{EXPONENTIAL}\n{consumer}");
        told(&format!(
            "[cluster]\nprofile = \"ideal\"\n{}",
            one(queue, &producer, &consumer)
        ))
    };
    let headers = "headers = { size = [1, 5] }";
    for (queue, producer, consumer) in [
        ("max_bytes = \"3KiB\"", "", ""),
        ("ack_timeout = \"500ms\"", "", ""),
        ("", "ttl = \"5s\"", ""),
        ("", headers, "selector = \"size > 3\""),
        ("", "", "poison = 0.3"),
        ("", "", "ack = \"auto\""),
    ] {
        let told = told(queue, producer, consumer);
        assert!(
            !told.contains("fluid"),
            "{queue} {producer} {consumer}: {told}"
        );
    }
    // Two of three members would do, one at a time does not.
    let one_active = told("single_active = true", "", "count = 3");
    assert!(
        one_active.contains("backlog.max of q = 4999"),
        "{one_active}"
    );
    assert!(one_active.contains("can do 1/s: ρ = 1.50"), "{one_active}");
    let slow = told("", "", "count = 2\nslow = { share = 0.5, factor = 4 }");
    assert!(slow.contains("can do 1.3/s: ρ = 1.20"), "{slow}");
}

/// How much an exchange that goes by random keys brings is not known, and not taken for nothing.
#[test]
fn what_keys_decide_is_not_guessed() {
    let other = "[[exchange]]\nname = \"x\"\ntype = \"direct\"\n[[producer]]\nname = \"other\"\nto = { exchange = \"x\" }\nrate = \"10/s\"\nmessage_key = { dist = \"uniform\", keys = 10 }\n";
    for rate in ["0.5/s", "1.5/s"] {
        let queue = one(
            "bind = [ { exchange = \"x\", key = \"k1\" } ]",
            &format!("rate = \"{rate}\""),
            EXPONENTIAL,
        );
        check(&format!("{queue}{other}"), expect![""]);
    }
}

/// Publishes that wait outside wait as long, and are not in the queue.
#[test]
fn a_queue_that_blocks_is_bounded() {
    check(
        &one(
            "max_length = 4\noverflow = \"block\"",
            "rate = \"0.8/s\"",
            EXPONENTIAL,
        ),
        expect![[r#"
            M/M/1 (exact): latency.end_to_end.mean = 5.0000
            M/M/1 (exact): latency.end_to_end.p50 = 3.4657
            M/M/1 (exact): latency.end_to_end.p90 = 11.5129
            M/M/1 (exact): latency.end_to_end.p99 = 23.0259
            M/M/1 (exact): latency.delivery.mean = 4.0000
            M/M/1 (exact): backlog.mean of q = 1.8893
            M/M/1 (exact): utilisation of c = 0.8000
        "#]],
    );
}

/// A model that knows of one thing stays silent where a second one comes to it.
#[test]
fn what_models_do_not_know_silences_them() {
    let churn = "churn = { every = \"10s\", away = \"1s\" }";
    let rejecting = "max_length = 5\noverflow = \"reject-publish\"";
    let impatient = "ttl = { dist = \"exponential\", mean = \"5s\" }";
    let failing = "nack = { probability = 0.1, requeue = true }";
    for (queue, producer, consumer) in [
        (rejecting, "", churn.to_string()),
        ("max_priority = 2", "priority = 0", churn.to_string()),
        ("", "", format!("{churn}\n{failing}")),
        ("", impatient, churn.to_string()),
        ("", impatient, failing.to_string()),
        ("ttl = \"0s\"", "", churn.to_string()),
    ] {
        let producer = format!("rate = \"0.8/s\"\n{producer}");
        let consumer = format!("{EXPONENTIAL}\n{consumer}");
        check(&one(queue, &producer, &consumer), expect![""]);
    }
}

/// With costs, an acknowledgement's round trip is part of the service.
#[test]
fn costs_are_said() {
    let text = format!(
        "title = \"t\"\nabout = \"a\"\nduration = \"1h\"\n{}",
        one(
            "",
            "rate = \"40/s\"",
            "service = { dist = \"exponential\", mean = \"20ms\" }\nprefetch = 1"
        )
    );
    let scenario = Scenario::parse("t.toml", &text, &[]).unwrap();
    let predictions = recognise(&scenario);
    let first = &predictions[0];
    expect![[r#"M/M/1 0.1146 way in, broker queue, way out and service ["network, CPU and disk add about 306 µs on the way in; with this prefetch the acknowledgement's round trip of about 610 µs is part of the service"]"#]].assert_eq(&format!(
        "{} {:.4} {} {:?}",
        first.model, first.value, first.covers, first.assumptions
    ));
}

/// The wait for a broker that is nearly busy is in no model, and what ends is not without end.
#[test]
fn what_models_leave_out_is_said() {
    let text = |cpu: &str, more: &str| {
        let station = one(
            "",
            &format!("rate = \"100/s\"\nsize = \"1KiB\"\n{more}"),
            "count = 2\nservice = { dist = \"exponential\", mean = \"10ms\" }\nprefetch = 1",
        );
        told(&format!(
            "[cluster]\nprofile = \"ideal\"\ncpu = {{ {cpu} }}\n{station}"
        ))
    };
    let said = |text: &str| {
        let lines = text
            .lines()
            .filter(|line| line.starts_with("warning") || line.starts_with("note"));
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    let costs = "publish = \"3ms\", deliver = \"2ms\", ack = \"2ms\", per_kib = \"1ms\"";
    expect![[r#"
        warning: the broker's CPU is offered 90 % of what it can do, what batches cost left aside: predictions know nothing of the wait for it
    "#]].assert_eq(&said(&text(costs, "")));
    assert_eq!(said(&text(&format!("{costs}, cores = 2"), "")), "");
    let limited = text("publish = \"1us\"", "limit = 500_000");
    expect![[r#"
        note: `p` stops after 500000 messages (`limit`): models of arrivals without end are not applied
    "#]].assert_eq(&limited);
    assert_ne!(text("publish = \"1us\"", ""), "");
}

/// Every shipped scenario is read without a panic, and what is predicted is a number of a metric that exists.
#[test]
fn shipped_scenarios() {
    for entry in queuelab_scenario::library() {
        let scenario =
            queuelab_scenario::open(entry.name, &[]).unwrap_or_else(|error| panic!("{error}"));
        for prediction in recognise(&scenario) {
            let name = &prediction.metric.name;
            assert!(
                queuelab_scenario::metric_unit(name).is_some(),
                "{}: {name}",
                entry.name
            );
            assert!(
                prediction.value.is_finite() && prediction.value >= 0.0,
                "{}: {prediction:?}",
                entry.name
            );
        }
    }
}
