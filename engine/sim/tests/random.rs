//! Random small scenarios: whatever meets whatever, the laws hold.

use std::fmt::Write as _;
use std::sync::Arc;

use queuelab_core::{Durability, Time};
use queuelab_record::{RunRecord, Verdict};
use queuelab_scenario::{Ack, Arrivals, FaultKind, Scenario};
use queuelab_sim::{Options, Simulation};

/// A small generator of its own: the scenarios must not depend on what the simulator draws.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        // SplitMix64 (Steele, Lea, Flood 2014).
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// True once in `n` times.
    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len() as u64) as usize]
    }
}

/// Load for a second, faults that are over after two and a half, four seconds to drain.
fn scenario_text(dice: &mut Dice) -> String {
    let mut text = String::from(
        "phases = [{ name = \"load\", for = \"1s\" }, { name = \"drain\", for = \"4s\" }]\n[cluster]\n",
    );
    let ideal = dice.one_in(4);
    writeln!(
        text,
        "profile = \"{}\"",
        if ideal { "ideal" } else { "lan" }
    )
    .unwrap();
    if dice.one_in(2) {
        let cores = 1 + dice.below(4);
        // Costs up to where batches are long and a fault meets them half done.
        let cost = dice.pick(&["1us", "20us", "200us"]);
        writeln!(
            text,
            "cpu = {{ publish = \"{cost}\", deliver = \"2us\", ack = \"{cost}\", per_batch = \"{cost}\", cores = {cores} }}"
        )
        .unwrap();
    }
    if dice.one_in(3) {
        writeln!(text, "network = {{ bandwidth = \"200kB/s\" }}").unwrap();
    }
    if dice.one_in(2) {
        writeln!(
            text,
            "disk = {{ fsync = \"{}\" }}",
            dice.pick(&["0s", "3ms", "20ms"])
        )
        .unwrap();
    }
    writeln!(text, "[[exchange]]\nname = \"all\"\ntype = \"fanout\"").unwrap();
    let queues = 1 + dice.below(3);
    for queue in 0..queues {
        self::queue(dice, &mut text, queue, queues);
    }
    for producer in 0..1 + dice.below(3) {
        self::producer(dice, &mut text, producer, queues);
    }
    let consumers = dice.below(4);
    for consumer in 0..consumers {
        self::consumer(dice, &mut text, consumer, queues);
    }
    for _ in 0..dice.below(6) {
        fault(dice, &mut text, consumers);
    }
    text
}

/// Features on top: each table of the text may get some lines more.
fn with_features(text: &str, seed: u64) -> String {
    let mut dice = Dice(seed ^ 0x5eed);
    let mut more = String::new();
    for table in text.split_inclusive("\n[[") {
        let (body, opening) = match table.strip_suffix("[[") {
            Some(body) => (body, "[["),
            None => (table, ""),
        };
        more.push_str(body);
        let features: &[&str] = match body {
            _ if body.starts_with("queue]]") => &[
                "max_priority = 3",
                "ttl = \"40ms\"",
                "delivery_limit = 2",
                "retry_delay = { base = \"5ms\", max = \"50ms\", growth = \"exponential\", jitter = 0.5 }",
                "requeue = \"head\"",
                "requeue = \"tail\"",
                "ack_timeout = \"100ms\"",
                "single_active = true",
                "groups = true",
                "deduplicate = \"1s\"",
                "partitions = 2",
                "backlog = 5",
            ],
            _ if body.starts_with("producer]]") => &[
                "priority = [{ priority = 3, weight = 1 }, { priority = 0, weight = 3 }]",
                "ttl = \"30ms\"",
                "delay = \"20ms\"",
                "message_key = { dist = \"uniform\", keys = 4 }\ngroup_by_key = true",
                "id = true\nduplicates = 0.3",
                "burst = 3",
                "transaction = 3",
                "retry = { policy = \"fixed\", base = \"10ms\", attempts = 3 }",
                "headers = { region = \"eu\" }",
                "start = \"50ms\"",
                "churn = { every = \"170ms\", away = \"30ms\" }",
                "churn = { every = \"230ms\", away = \"20ms\", crash = true, declare = true }",
            ],
            _ if body.starts_with("consumer]]") => &[
                "priority = 1",
                "channel_prefetch = 20",
                "pull = \"5ms\"",
                "start = \"70ms\"",
                "renew = \"30ms\"",
                "then = { to = \"sink\" }",
                "then = { to = \"sink\", transaction = true }",
                "churn = { every = \"150ms\", away = \"40ms\" }",
                "churn = { every = \"210ms\", away = \"50ms\", crash = true }",
            ],
            _ => &[],
        };
        if !features.is_empty() && dice.one_in(2) {
            writeln!(more, "{}", dice.pick(features)).unwrap();
        }
        more.push_str(opening);
    }
    more.push_str("[[queue]]\nname = \"sink\"\n");
    more
}

/// Besides that, any of: streams with their groups, a fork with its join, selectors, a queue without a broker; each with faults of its own.
fn with_more(text: &str, seed: u64) -> String {
    let mut dice = Dice(seed ^ 0x3a9);
    let mut text = with_features(text, seed);
    let dice = &mut dice;
    let parts = [stream, fork, selectors, brokerless];
    let (one, other) = (dice.below(4) as usize, dice.below(4) as usize);
    for (number, part) in parts.into_iter().enumerate() {
        if number == one || number == other {
            part(dice, &mut text);
        }
    }
    text
}

/// A stream, who writes it, a reader by himself, and up to two groups.
fn stream(dice: &mut Dice, text: &mut String) {
    let durability = dice.pick(&["os", "fsync"]);
    let partitions = 1 + dice.below(3);
    writeln!(
        text,
        "[[queue]]\nname = \"stream\"\nkind = \"stream\"\ndurability = \"{durability}\"\npartitions = {partitions}"
    )
    .unwrap();
    let retention = dice.pick(&[
        "",
        "",
        "retention = { max_length = 12, segment = 4 }",
        "retention = { max_age = \"200ms\", segment = 3 }",
        "retention = { max_bytes = \"2kB\", segment = 5 }",
        "retention = { interest = true, segment = 5 }",
        "retention = { compact = true, segment = 5 }",
    ]);
    writeln!(text, "{retention}").unwrap();
    let confirm = dice.pick(&[
        "confirm = false",
        "confirm = { window = 10, timeout = \"50ms\" }",
        "retry = { policy = \"fixed\", base = \"20ms\", attempts = 4 }\nidempotent = true",
    ]);
    let rate = 20 + dice.below(150);
    writeln!(
        text,
        "[[producer]]\nname = \"writer\"\ncount = 2\nto = \"stream\"\nrate = {{ load = \"{rate}/s\", else = \"0/s\" }}\n\
         message_key = {{ dist = \"uniform\", keys = 5 }}\nreconnect = \"20ms\"\n{confirm}"
    )
    .unwrap();
    let service = dice.pick(&["0s", "1ms", "4ms"]);
    let offset = dice.pick(&[
        "\"first\"",
        "\"next\"",
        "\"last\"",
        "3",
        "{ since = \"300ms\" }",
    ]);
    writeln!(
        text,
        "[[consumer]]\nname = \"reader\"\nfrom = \"stream\"\noffset = {offset}\nservice = \"{service}\"\nreconnect = \"20ms\""
    )
    .unwrap();
    for group in 0..dice.below(3) {
        let kind = dice.pick(&[
            "assignment = \"range\"\nrebalance = \"30ms\"",
            "assignment = \"sticky\"\nrebalance = \"100ms\"",
            "assignment = \"consistent-hash\"\nrebalance = \"1ms\"",
            "kind = \"shared\"\nlock = \"60ms\"\ndelivery_limit = 3\nwindow = 20",
            "kind = \"shared\"\nlock = \"10ms\"",
        ]);
        let start = dice.pick(&["first", "next"]);
        writeln!(
            text,
            "[[group]]\nname = \"g{group}\"\nstreams = \"stream\"\nstart = \"{start}\"\n{kind}"
        )
        .unwrap();
        let more = dice.pick(&[
            "",
            "churn = { every = \"190ms\", away = \"20ms\" }",
            "churn = { every = \"190ms\", away = \"20ms\", crash = true }",
            "nack = { probability = 0.2 }",
            "then = { to = \"sink\" }",
            "then = { to = \"sink\", transaction = true }",
            "every = 3",
        ]);
        let count = 1 + dice.below(4);
        writeln!(
            text,
            "[[consumer]]\nname = \"r{group}\"\nfrom = \"stream\"\ngroup = \"g{group}\"\ncount = {count}\nprefetch = 7\nservice = \"3ms\"\nreconnect = \"20ms\"\n{more}"
        )
        .unwrap();
        fault_of(dice, text, &format!("r{group}"));
    }
    fault_of(dice, text, "reader");
}

/// What an exchange forks is joined, if all copies are served.
fn fork(dice: &mut Dice, text: &mut String) {
    writeln!(text, "[[exchange]]\nname = \"fork\"\ntype = \"fanout\"").unwrap();
    for side in ["left", "right"] {
        let kind = dice.pick(&[
            "",
            "kind = \"memory\"",
            "ttl = \"20ms\"",
            "max_length = 4",
            "durability = \"os\"",
        ]);
        writeln!(
            text,
            "[[queue]]\nname = \"{side}\"\nbind = [{{ exchange = \"fork\" }}]\n{kind}"
        )
        .unwrap();
        let ack = dice.pick(&[
            "",
            "",
            "ack = \"auto\"",
            "nack = { probability = 0.2, requeue = false }",
        ]);
        let transaction = ack.is_empty() && dice.one_in(2);
        writeln!(
            text,
            "[[consumer]]\nname = \"{side}\"\nfrom = \"{side}\"\ncount = 2\nservice = \"2ms\"\nreconnect = \"20ms\"\n{ack}\n\
             then = {{ to = \"joined\", join = true, transaction = {transaction} }}"
        )
        .unwrap();
        fault_of(dice, text, side);
    }
    let rate = 20 + dice.below(100);
    writeln!(
        text,
        "[[queue]]\nname = \"joined\"\n[[producer]]\nname = \"forker\"\nto = {{ exchange = \"fork\" }}\n\
         rate = {{ load = \"{rate}/s\", else = \"0/s\" }}\nreconnect = \"20ms\"\n\
         [[consumer]]\nname = \"joiner\"\nfrom = \"joined\"\nservice = \"1ms\"\nreconnect = \"20ms\""
    )
    .unwrap();
}

/// Consumers that want only some messages.
fn selectors(dice: &mut Dice, text: &mut String) {
    let queue = dice.pick(&[
        "",
        "kind = \"memory\"\nmax_length = 20",
        "max_priority = 2",
        "ttl = \"100ms\"",
        "groups = true",
        "single_active = true",
    ]);
    writeln!(text, "[[queue]]\nname = \"sorted\"\n{queue}").unwrap();
    for (region, size) in [("eu", 1), ("us", 2)] {
        let rate = 10 + dice.below(80);
        writeln!(
            text,
            "[[producer]]\nname = \"{region}\"\nto = \"sorted\"\nrate = {{ load = \"{rate}/s\", else = \"0/s\" }}\n\
             headers = {{ region = \"{region}\", size = {size} }}\nmessage_key = {{ dist = \"uniform\", keys = 3 }}\ngroup_by_key = true\nreconnect = \"20ms\""
        )
        .unwrap();
    }
    for number in 0..1 + dice.below(3) {
        let selector = dice.pick(&[
            "region = 'eu'",
            "size > 1",
            "region LIKE 'u%' OR size = 1",
            "region IS NULL",
        ]);
        let more = dice.pick(&[
            "",
            "priority = 2",
            "pull = \"4ms\"",
            "every = 3",
            "nack = { probability = 0.3 }",
        ]);
        let selector = match more.starts_with("pull") {
            true => String::new(),
            false => format!("selector = \"{selector}\"\n"),
        };
        writeln!(
            text,
            "[[consumer]]\nname = \"s{number}\"\nfrom = \"sorted\"\ncount = 2\n{selector}service = \"1ms\"\nreconnect = \"20ms\"\n{more}"
        )
        .unwrap();
        fault_of(dice, text, &format!("s{number}"));
    }
}

/// Pipes from clients to clients.
fn brokerless(dice: &mut Dice, text: &mut String) {
    let mark = dice.pick(&["", "max_length = 3", "max_length = 1"]);
    let rate = 20 + dice.below(300);
    let count = 1 + dice.below(3);
    let more = dice.pick(&[
        "",
        "buffer = 5\nwhen_full = \"drop\"",
        "churn = { every = \"130ms\", away = \"30ms\", crash = true }",
        "churn = { every = \"130ms\", away = \"30ms\" }",
    ]);
    writeln!(
        text,
        "[[queue]]\nname = \"pipes\"\ndesign = \"zeromq\"\n{mark}\n[[producer]]\nname = \"pusher\"\ncount = {count}\nto = \"pipes\"\n\
         rate = {{ load = \"{rate}/s\", else = \"0/s\" }}\n{more}"
    )
    .unwrap();
    let count = 1 + dice.below(3);
    let more = dice.pick(&[
        "",
        "prefetch = 1",
        "prefetch = 4\nconcurrency = 2",
        "then = { to = \"sink\" }",
        "churn = { every = \"170ms\", away = \"30ms\", crash = true }",
    ]);
    writeln!(
        text,
        "[[consumer]]\nname = \"puller\"\nfrom = \"pipes\"\ncount = {count}\nservice = \"5ms\"\nreconnect = \"20ms\"\n{more}"
    )
    .unwrap();
    fault_of(dice, text, "puller");
}

/// Perhaps a fault of these consumers.
fn fault_of(dice: &mut Dice, text: &mut String, consumers: &str) {
    if dice.one_in(2) {
        let kind = dice.pick(&["consumer-crash", "pause-consumer", "slow-consumer"]);
        let at = dice.below(15) * 100;
        let length = dice.pick(&["20us", "10ms", "200ms"]);
        writeln!(
            text,
            "[[fault]]\nkind = \"{kind}\"\nat = \"{at}ms\"\nfor = \"{length}\"\ntarget = \"{consumers}\""
        )
        .unwrap();
        if kind == "slow-consumer" {
            writeln!(text, "factor = 7").unwrap();
        }
        if dice.one_in(2) {
            writeln!(text, "count = 1").unwrap();
        }
    }
}

fn queue(dice: &mut Dice, text: &mut String, queue: u64, queues: u64) {
    let kind = dice.pick(&[
        "kind = \"memory\"",
        "durability = \"os\"",
        "durability = \"interval(20ms)\"",
        "durability = \"fsync\"",
    ]);
    writeln!(text, "[[queue]]\nname = \"q{queue}\"\n{kind}").unwrap();
    if dice.one_in(2) {
        writeln!(text, "bind = [{{ exchange = \"all\" }}]").unwrap();
    }
    let target = (0..queues)
        .map(|_| dice.below(queues))
        .find(|target| *target != queue);
    let dead_letter = target.filter(|_| dice.one_in(2));
    match dead_letter {
        Some(target) => writeln!(text, "dead_letter = \"q{target}\"").unwrap(),
        None if dice.one_in(8) => writeln!(text, "dead_letter = {{ exchange = \"all\" }}").unwrap(),
        None => {}
    }
    if dice.one_in(2) {
        let overflow = dice.pick(&["drop-head", "reject-publish", "block", "dead-letter"]);
        let overflow = match (overflow, dead_letter) {
            ("dead-letter", None) => "drop-head",
            (overflow, _) => overflow,
        };
        writeln!(text, "overflow = \"{overflow}\"").unwrap();
        if dice.one_in(4) {
            writeln!(text, "max_bytes = \"{}B\"", 500 + dice.below(3000)).unwrap();
        } else {
            writeln!(text, "max_length = {}", 1 + dice.below(30)).unwrap();
        }
    }
    let dispatch = [
        "round-robin",
        "weighted-round-robin",
        "least-connections",
        "random",
        "power-of-2",
        "join-idle-queue",
    ];
    writeln!(text, "dispatch = \"{}\"", dice.pick(&dispatch)).unwrap();
}

fn producer(dice: &mut Dice, text: &mut String, producer: u64, queues: u64) {
    let to = match dice.below(3) {
        0 => "{ exchange = \"all\" }".into(),
        _ => format!("\"q{}\"", dice.below(queues)),
    };
    let count = 1 + dice.below(3);
    writeln!(
        text,
        "[[producer]]\nname = \"p{producer}\"\ncount = {count}\nto = {to}"
    )
    .unwrap();
    if dice.one_in(3) {
        let think = dice.pick(&["100us", "2ms", "10ms"]);
        let limit = 1 + dice.below(60);
        writeln!(
            text,
            "arrivals = \"closed\"\nthink = \"{think}\"\nlimit = {limit}"
        )
        .unwrap();
    } else {
        let arrivals = dice.pick(&["constant", "poisson"]);
        let rate = 10 + dice.below(200);
        writeln!(
            text,
            "arrivals = \"{arrivals}\"\nrate = {{ load = \"{rate}/s\", else = \"0/s\" }}"
        )
        .unwrap();
    }
    match dice.below(4) {
        0 => writeln!(text, "confirm = false").unwrap(),
        1 => writeln!(text, "confirm = true").unwrap(),
        _ => {
            let window = 5 + dice.below(10);
            let timeout = dice.pick(&["", ", timeout = \"5ms\"", ", timeout = \"300ms\""]);
            writeln!(text, "confirm = {{ window = {window}{timeout} }}").unwrap();
        }
    }
    if dice.one_in(3) {
        writeln!(
            text,
            "buffer = {}\nwhen_full = \"drop\"",
            1 + dice.below(20)
        )
        .unwrap();
    }
    let reconnect = dice.pick(&["1ms", "100ms", "100ms", "never"]);
    writeln!(text, "reconnect = \"{reconnect}\"").unwrap();
    if dice.one_in(6) {
        writeln!(text, "persistent = false").unwrap();
    }
    if dice.one_in(4) {
        writeln!(
            text,
            "mandatory = true\nsize = {{ dist = \"uniform\", min = \"0B\", max = \"2KiB\" }}"
        )
        .unwrap();
    }
}

fn consumer(dice: &mut Dice, text: &mut String, consumer: u64, queues: u64) {
    let mut from: Vec<String> = (0..queues)
        .filter(|_| dice.one_in(2))
        .map(|queue| format!("\"q{queue}\""))
        .collect();
    if from.is_empty() {
        from.push(format!("\"q{}\"", dice.below(queues)));
    }
    writeln!(
        text,
        "[[consumer]]\nname = \"c{consumer}\"\nfrom = [{}]\ncount = {}\nconcurrency = {}",
        from.join(", "),
        1 + dice.below(3),
        1 + dice.below(2)
    )
    .unwrap();
    let service = [
        "\"0s\"",
        "\"100us\"",
        "\"1ms\"",
        "{ dist = \"exponential\", mean = \"1ms\" }",
    ];
    writeln!(text, "service = {}", dice.pick(&service)).unwrap();
    if dice.one_in(4) {
        writeln!(text, "ack = \"auto\"").unwrap();
    } else {
        let every = 1 + dice.below(5);
        let prefetch = if dice.one_in(5) {
            0
        } else {
            every + dice.below(8)
        };
        writeln!(text, "every = {every}\nprefetch = {prefetch}").unwrap();
        if dice.one_in(3) {
            writeln!(
                text,
                "nack = {{ probability = 0.{}, requeue = {} }}",
                1 + dice.below(4),
                dice.one_in(2)
            )
            .unwrap();
        }
    }
    let reconnect = dice.pick(&["1ms", "50ms", "50ms", "never"]);
    writeln!(text, "reconnect = \"{reconnect}\"").unwrap();
}

fn fault(dice: &mut Dice, text: &mut String, consumers: u64) {
    let kind = dice.pick(&[
        "crash",
        "power-loss",
        "slow-disk",
        "consumer-crash",
        "slow-consumer",
        "pause-consumer",
    ]);
    let of_consumers = kind.contains("consumer");
    if of_consumers && consumers == 0 {
        return;
    }
    // Coarse instants, so that faults also meet at one of them.
    let at = dice.below(20) * 100;
    let length = dice.pick(&["1ns", "20us", "300us", "10ms", "100ms", "500ms"]);
    writeln!(
        text,
        "[[fault]]\nkind = \"{kind}\"\nat = \"{at}ms\"\nfor = \"{length}\""
    )
    .unwrap();
    if of_consumers {
        writeln!(text, "target = \"c{}\"", dice.below(consumers)).unwrap();
        if dice.one_in(2) {
            writeln!(text, "count = 1").unwrap();
        }
    }
    if kind.starts_with("slow") {
        writeln!(text, "factor = {}", dice.pick(&["0.3", "3", "49"])).unwrap();
    }
}

fn run(scenario: &Arc<Scenario>, seed: u64, check: bool) -> RunRecord {
    let mut simulation = Simulation::new(scenario.clone(), Options { seed, check });
    simulation.run_until(simulation.end());
    simulation.record()
}

/// What goes on from a copy taken halfway is what goes on without it.
fn run_forked(scenario: &Arc<Scenario>, seed: u64) -> RunRecord {
    let mut original = Simulation::new(scenario.clone(), Options { seed, check: true });
    original.run_until(Time(original.end().0 / 7));
    let mut fork = original.clone();
    while original.step() {}
    while fork.step() {}
    assert_eq!(original.record(), fork.record(), "a fork goes its own way");
    fork.record()
}

fn laws(scenario: &Scenario, record: &RunRecord) {
    assert_eq!(
        record.littles_law.integral, record.littles_law.sojourns,
        "L = λW"
    );
    for invariant in &record.invariants {
        if invariant.name != "no-loss" {
            assert_eq!(
                invariant.violations, 0,
                "{}: {:?}",
                invariant.name, invariant.examples
            );
        }
    }
    losses(scenario, record);
    for (spec, producer) in scenario.producers.iter().zip(&record.producers) {
        let outcomes = producer.outcomes;
        let known = outcomes.confirmed
            + outcomes.failed
            + outcomes.unknown
            + outcomes.abandoned
            + outcomes.dropped_by_producer;
        let sent_off = if spec.confirm.is_none() && spec.transaction.is_none() {
            outcomes.sent
        } else {
            0
        };
        assert_eq!(
            outcomes.offered,
            known + sent_off + outcomes.pending,
            "{outcomes:?}"
        );
    }
    let measured = record.end_to_end(None).sum();
    assert_eq!(
        record.parts.nanos.iter().sum::<u128>(),
        measured,
        "the parts make up the latency"
    );
    assert!(
        record
            .consumers
            .iter()
            .all(|consumer| (0.0..=1.0).contains(&consumer.utilisation)),
        "no consumer is busy for more than the whole time"
    );
}

/// Only a crash loses what was confirmed, and never from an fsync queue whose messages are persistent.
fn losses(scenario: &Scenario, record: &RunRecord) {
    let Some(no_loss) = record.invariants.iter().find(|one| one.name == "no-loss") else {
        return;
    };
    let power_loss = |kind: &FaultKind| matches!(kind, FaultKind::PowerLoss { .. });
    let crash = |kind: &FaultKind| matches!(kind, FaultKind::Crash { .. }) || power_loss(kind);
    let crashes = scenario.faults.iter().any(|fault| crash(&fault.kind));
    let power_losses = scenario.faults.iter().any(|fault| power_loss(&fault.kind));
    let transient = scenario
        .producers
        .iter()
        .any(|producer| !producer.persistent);
    let may_lose = |durability: Durability| match durability {
        Durability::None => crashes,
        Durability::Os | Durability::Interval(_) => power_losses || transient && crashes,
        Durability::Fsync => transient && crashes,
    };
    // What a weaker queue moves on as a dead letter is lost on its way.
    let weak = scenario
        .queues
        .iter()
        .any(|queue| queue.dead_letter.is_some() && may_lose(queue.durability));
    // Of what comes again, and of what consumers publish on, a copy may be somewhere else.
    for (queue, violations) in record.queues.iter().zip(&no_loss.by_queue) {
        // Without a broker, what a peer had goes with it.
        let parts = scenario.queues.iter();
        if parts
            .clone()
            .any(|spec| spec.brokerless && queue.is_part_of(&spec.name))
        {
            continue;
        }
        let may_lose = weak || may_lose(queue.durability);
        assert!(
            may_lose || *violations == 0,
            "{} lost what was confirmed: {:?}",
            queue.name,
            no_loss.examples
        );
        assert!(crashes || queue.lost == 0, "{} lost a message", queue.name);
    }
}

/// With all faults over and all arrivals done, a queue with consumers that come back runs empty.
fn liveness(scenario: &Scenario, record: &RunRecord) {
    for queue in &record.queues {
        let is_it = |spec: &queuelab_scenario::Queue| queue.is_part_of(&spec.name);
        let Some(number) = scenario.queues.iter().position(is_it) else {
            continue;
        };
        let served = scenario.consumers.iter().any(|consumer| {
            consumer.from.contains(&number)
                && consumer.reconnect.is_some()
                && consumer.from.len() == 1
        });
        if served {
            assert_eq!(
                (queue.ready_end, queue.in_flight_end),
                (0, 0),
                "{} has not drained",
                queue.name
            );
        }
    }
    let closed = |producer: &queuelab_scenario::Producer| {
        matches!(producer.arrivals, Arrivals::Closed { .. })
    };
    let blocks = scenario.queues.iter().any(|queue| {
        queue.overflow == queuelab_core::Overflow::Block
            && (queue.max_length.is_some() || queue.max_bytes.is_some())
    });
    for (spec, producer) in scenario.producers.iter().zip(&record.producers) {
        if spec.reconnect.is_some() && !closed(spec) && !blocks {
            assert_eq!(
                producer.outcomes.pending, 0,
                "{} has not sent all",
                producer.name
            );
        }
    }
}

/// A run is at an end when nobody is left to judge it.
fn holds(seed: u64, how: Mix) -> bool {
    let text = text_of(seed, how);
    let Ok(scenario) = Scenario::parse("random.toml", &text, &[]) else {
        // Such as a dead-letter target that blocks.
        return false;
    };
    let scenario = Arc::new(scenario);
    let judge = std::panic::AssertUnwindSafe(|| {
        let record = run(&scenario, seed, true);
        laws(&scenario, &record);
        if how == Mix::Plain {
            liveness(&scenario, &record);
        }
        assert_eq!(record, run_forked(&scenario, seed), "the same seed twice");
        let unwatched = run(&scenario, seed, false);
        assert_eq!(
            unwatched.trace_hash, record.trace_hash,
            "checkers change nothing"
        );
        assert!(
            unwatched
                .invariants
                .iter()
                .all(|invariant| invariant.verdict == Verdict::Undecided)
        );
    });
    if let Err(panic) = std::panic::catch_unwind(judge) {
        let why = panic.downcast_ref::<String>().map_or("", String::as_str);
        panic!("seed {seed}: {why}\n{text}");
    }
    true
}

/// What scenarios are made of.
#[derive(Clone, Copy, PartialEq)]
enum Mix {
    Plain,
    Features,
    Everything,
    /// The same, with little memory for bodies.
    Narrow,
}

fn text_of(seed: u64, how: Mix) -> String {
    let text = scenario_text(&mut Dice(seed));
    match how {
        Mix::Plain => text,
        Mix::Features => with_features(&text, seed),
        Mix::Everything => with_more(&text, seed),
        Mix::Narrow => {
            let budget = Dice(seed ^ 0xb0d1).pick(&["1B", "1KiB", "20KiB"]);
            let limits = format!("[cluster]\nlimits = {{ bodies = \"{budget}\" }}\n");
            with_more(&text, seed).replacen("[cluster]\n", &limits, 1)
        }
    }
}

fn all_hold(seeds: std::ops::Range<u64>, how: Mix) {
    let count = seeds.end - seeds.start;
    let ran = seeds.filter(|seed| holds(*seed, how)).count() as u64;
    assert!(
        ran * 2 > count,
        "only {ran} of {count} scenarios were valid"
    );
}

#[test]
fn random_scenarios_keep_the_laws() {
    all_hold(0..500, Mix::Plain);
}

#[test]
fn more_random_scenarios_keep_the_laws() {
    all_hold(1_000..1_500, Mix::Plain);
}

#[test]
fn random_features_keep_the_laws() {
    all_hold(2_000..2_300, Mix::Features);
}

#[test]
fn random_mixtures_of_everything_keep_the_laws() {
    all_hold(3_000..3_300, Mix::Everything);
}

#[test]
fn random_mixtures_with_little_memory_keep_the_laws() {
    all_hold(4_000..4_300, Mix::Narrow);
}

#[test]
fn everything_is_in_some_mixture() {
    let valid = |seed| Scenario::parse("random.toml", &text_of(seed, Mix::Everything), &[]).ok();
    let scenarios: Vec<Scenario> = (3_000..3_300).filter_map(valid).collect();
    let some = |what: fn(&Scenario) -> bool| {
        let found = scenarios.iter().filter(|one| what(one)).count();
        assert!(found >= 15, "{found}");
    };
    some(|one| one.queues.iter().any(|queue| queue.policy.stream.is_some()));
    some(|one| one.queues.iter().any(|queue| queue.brokerless));
    some(|one| one.groups.len() == 2);
    some(|one| one.consumers.iter().any(|group| group.selector.is_some()));
    some(|one| one.consumers.iter().any(|group| group.churn.is_some()));
    some(|one| one.producers.iter().any(|group| group.churn.is_some()));
    some(|one| {
        let joins =
            |group: &queuelab_scenario::Consumer| group.then.as_ref().is_some_and(|it| it.join);
        one.consumers.iter().any(joins)
    });
}

#[test]
fn something_is_put_to_the_test() {
    let scenarios: Vec<Scenario> = (0..150)
        .filter_map(|seed| {
            Scenario::parse("random.toml", &scenario_text(&mut Dice(seed)), &[]).ok()
        })
        .collect();
    let some = |what: fn(&Scenario) -> bool| scenarios.iter().filter(|one| what(one)).count() >= 10;
    assert!(some(|one| one
        .faults
        .iter()
        .any(|fault| matches!(fault.kind, FaultKind::PowerLoss { .. }))));
    assert!(some(|one| one
        .consumers
        .iter()
        .any(|consumer| consumer.ack == Ack::Auto)));
    assert!(some(|one| one
        .queues
        .iter()
        .any(|queue| queue.dead_letter.is_some())));
    assert!(some(|one| one.cluster.cpu.cores > 1));
}

/// A large message takes a core longer than a small one: the small one must not overtake it on its own connection.
#[test]
fn many_cores_keep_a_connection_in_order() {
    let text = r#"
duration = "1s"
[cluster]
cpu = { per_kib = "50us", per_batch = "10us", cores = 4 }
[[queue]]
name = "q"
kind = "memory"
[[producer]]
name = "p"
to = "q"
rate = "2000/s"
size = { dist = "uniform", min = "0B", max = "20KiB" }
confirm = true
[[consumer]]
name = "c"
from = "q"
every = 5
"#;
    let scenario =
        Scenario::parse("cores.toml", text, &[]).unwrap_or_else(|error| panic!("{error}"));
    let record = run(&Arc::new(scenario.clone()), 1, true);
    laws(&scenario, &record);
    assert!(record.outcomes.confirmed > 500);
}
