//! A small made-up record for tests and documentation of viewers.

use queuelab_core::{Durability, Span, Time};

use crate::*;

/// A flash sale: 15 minutes in four phases, 180 windows, 300 thousand orders, of which the payment gateway's queue takes
/// one in ten; the only node crashes for 20 s while the backlog drains. One expectation fails.
///
/// The figures follow a fluid model with some noise: plausible beside each other, measured by nobody.
pub fn flash_sale() -> RunRecord {
    let mut noise = Noise(7);
    let orders = flow(&mut noise, |second| rate_at(second) * 0.9, 900.0, 20e-3);
    let payments = flow(&mut noise, |second| rate_at(second) * 0.1, 500.0, 4e-3);
    let confirms = confirms(&mut noise, &orders, &payments);
    let offered = orders.copies + payments.copies;
    let outcomes = Outcomes {
        offered,
        sent: offered,
        confirmed: offered,
        ..Outcomes::default()
    };
    let phases = PHASES
        .iter()
        .enumerate()
        .map(|(index, &(name, from, until))| PhaseInfo {
            name: name.into(),
            from: second(from),
            until: second(until),
            load: vec![orders.load(index), payments.load(index)],
        });
    RunRecord {
        schema_version: SCHEMA_VERSION,
        version: "0.1.0".into(),
        scenario: ScenarioInfo {
            name: "flash-sale".into(),
            title: "Flash sale".into(),
            about: "A 20-fold order burst for one minute: is it absorbed, and how long does it take to drain?".into(),
            overrides: Vec::new(),
            source: "title = \"Flash sale\"\n".into(),
            grading: None,
        },
        seed: 7,
        end: second(END),
        warmup: Span::ZERO,
        phases: phases.collect(),
        trust: Trust { profile: "lan".into(), calibrated: false, checked: true, designs: Vec::new() },
        window: Span::from_secs(WINDOW),
        parts: Parts {
            copies: offered,
            nanos: [0, 500_000, 4_000, 1_600_000, 0, 0, 29_000_000_000, 250_000, 330_000_000, 20_000_000]
                .map(|each: u128| each * u128::from(offered)),
        },
        latency_series: [confirms.series, series_of(&orders, &payments, 0), series_of(&orders, &payments, 1)],
        producers: vec![ProducerRecord {
            name: "checkout".into(),
            count: 50,
            outcomes,
            confirm: confirms.phases,
            ..ProducerRecord::default()
        }],
        groups: Vec::new(),
        fault_counts: Vec::new(),
        alarms: Vec::new(),
        consumers: vec![
            consumer("fulfilment", 18, &orders, 900.0),
            consumer("gateway", 2, &payments, 500.0),
        ],
        nodes: vec![NodeRecord {
            name: "n1".into(),
            cpu: 0.004,
            disk: 0.31,
            fsyncs: 140_000,
            synced: 2 * offered,
            stopped: None,
            bodies: None,
            cpu_series: (0..WINDOWS).map(|window| rate_at(window * WINDOW) * 1e-5).collect(),
            disk_series: (0..WINDOWS).map(|window| (rate_at(window * WINDOW) * 1e-3).min(0.98)).collect(),
        }],
        outcomes,
        faults: vec![FaultRecord {
            name: "restart".into(),
            kind: "crash".into(),
            target: "n1".into(),
            from: second(CRASH.0),
            until: second(CRASH.1),
            effect: "took no message; 742 were delivered again".into(),
        }],
        expectations: vec![
            ExpectationRecord {
                text: "backlog.max of orders < 200_000".into(),
                verdict: Verdict::Pass,
                measured: grouped(orders.ready_max.0),
            },
            ExpectationRecord {
                text: "drain_time of orders < 3m".into(),
                verdict: Verdict::Fail,
                measured: orders.drain_time.to_string(),
            },
        ],
        invariants: vec![InvariantRecord {
            name: "no-loss".into(),
            verdict: Verdict::Pass,
            compared: 4 * offered,
            violations: 0,
            by_queue: vec![0, 0],
            examples: Vec::new(),
            losses: None,
        }],
        littles_law: LittlesLaw { integral: 29_350_000_000 * u128::from(offered), sojourns: 29_350_000_000 * u128::from(offered) },
        answer: Some(format!(
            "The backlog peaked at {} and was gone {} after the burst.",
            grouped(orders.ready_max.0),
            orders.drain_time
        )),
        trace_hash: "5f1c9e02a4b7d836".into(),
        events: 11 * offered,
        suggestions: vec![(
            "queuelab run flash-sale --set consumer.fulfilment.count=72".into(),
            "Is ρ = 1 during the burst enough?".into(),
        )],
        predictions: Vec::new(),
        queues: vec![queue("orders", Some(200_000), orders), queue("payments", None, payments)],
    }
}

/// The flash sale with all that queues and streams can do: orders have priorities, expire, are retried with delays and end as dead
/// letters; their events go to a stream of two partitions that the group `analytics` reads, which lags and is rebalanced; memory runs
/// short in the burst.
pub fn retries_and_streams() -> RunRecord {
    let mut record = flash_sale();
    record.scenario.name = "retries-and-streams".into();
    record.scenario.title = "Retries and streams".into();
    let orders = &mut record.queues[0];
    // One message in fifty fails and comes back after ten seconds; one in five hundred dies of it.
    let share = |values: &[u64], of: u64| values.iter().map(|value| value / of).collect();
    orders.series.delayed = share(&orders.series.acked, 50 * WINDOW / 10);
    orders.series.dead_lettered = share(&orders.series.acked, 500);
    orders.delayed_end = orders.series.delayed.last().copied().unwrap_or(0);
    orders.dead_lettered = orders.series.dead_lettered.iter().sum();
    orders.deaths = [orders.dead_lettered / 4, 0, 0, orders.dead_lettered * 3 / 4];
    (orders.expired, orders.lease_expired, orders.deduplicated) = (312, 45, 18);
    orders.priorities = [(0, 0.9, 1.0), (5, 0.08, 0.01), (9, 0.02, 0.0)]
        .map(|(priority, share, wait)| priority_record(orders, priority, share, wait))
        .into();
    let delayed = orders.series.delayed.clone();
    for phase in &mut record.phases {
        let windows =
            (phase.from.0 / WINDOW_NANOS) as usize..(phase.until.0 / WINDOW_NANOS) as usize;
        let (length, load) = (windows.len() as f64, &mut phase.load[0]);
        load.delayed_max = delayed[windows.clone()].iter().copied().max().unwrap_or(0);
        load.delayed_mean = delayed[windows.clone()].iter().sum::<u64>() as f64 / length;
        load.delayed_end = delayed[windows.end - 1];
    }
    for partition in 0..2 {
        add_partition(&mut record, partition);
    }
    add_group(&mut record);
    for (from, until) in [(150, 172), (176, 181)] {
        record.alarms.push(AlarmRecord {
            resource: "memory".into(),
            node: "n1".into(),
            from: second(from),
            until: second(until),
        });
    }
    let (queue, producer) = (&record.queues[0], &mut record.producers[0]);
    producer.delivery = queue.delivery.clone();
    producer.end_to_end = queue.end_to_end.clone();
    producer.complete = queue.end_to_end.clone();
    (producer.outcomes.retried, producer.outcomes.abandoned) = (84, 3);
    record.outcomes = producer.outcomes;
    record.consumers[0].forwarded = record.consumers[0].served;
    record
}

fn priority_record(orders: &QueueRecord, priority: u8, share: f64, wait: f64) -> PriorityRecord {
    let count = (orders.enqueued as f64 * share) as u64;
    let mut delivery = Latencies::default();
    let mut noise = Noise(u64::from(priority));
    for window in &orders.series.oldest_age {
        for _ in 0..(20.0 * share) as u64 + 1 {
            let seconds = *window as f64 / 1e9 * wait + noise.tailed(2.5e-3);
            delivery.record(Span::from_secs_f64(seconds));
        }
    }
    PriorityRecord {
        priority,
        enqueued: count,
        delivered: count,
        delivery,
    }
}

/// A stream that keeps half of the orders' events.
fn add_partition(record: &mut RunRecord, partition: usize) {
    let orders = &record.queues[0].series;
    let published: Vec<u64> = orders.acked.iter().map(|acked| acked / 2).collect();
    let kept: Vec<u64> = published
        .iter()
        .scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        })
        .collect();
    let nothing = vec![0; published.len()];
    let total = kept.last().copied().unwrap_or(0);
    let mut loads = vec![Load::default(); PHASES.len()];
    for (phase, load) in record.phases.iter_mut().zip(&mut loads) {
        let end = (phase.until.0 / WINDOW_NANOS) as usize;
        let orders = phase.load[0];
        *load = Load {
            offered: orders.acked / 2.0,
            published: orders.acked / 2.0,
            delivered: orders.acked / 2.0,
            ready_max: kept[end - 1],
            ready_end: kept[end - 1],
            ready_mean: kept[end - 1] as f64,
            ..Load::default()
        };
        phase.load.push(*load);
    }
    for invariant in &mut record.invariants {
        invariant.by_queue.push(0);
    }
    record.queues.push(QueueRecord {
        name: format!("events/{partition}"),
        durability: Durability::Os,
        stream: true,
        enqueued: total,
        delivered: total,
        ready_end: total,
        ready_max: (total, second(END)),
        delivery: vec![Latencies::default(); PHASES.len()],
        end_to_end: vec![Latencies::default(); PHASES.len()],
        series: QueueSeries {
            ready: kept.clone(),
            ready_max: kept,
            in_flight: nothing.clone(),
            oldest_age: nothing.clone(),
            delivered: published.clone(),
            published,
            redelivered: nothing.clone(),
            acked: nothing.clone(),
            delayed: nothing.clone(),
            dead_lettered: nothing,
        },
        ..QueueRecord::default()
    });
}

/// Members come and go: three, two from the 300th second on, three again from the 360th.
fn add_group(record: &mut RunRecord) {
    const CAPACITY: [u64; 4] = [0, 300, 600, 900];
    let mut group = GroupRecord {
        name: "analytics".into(),
        streams: vec![2, 3],
        rebalances: 3,
        members_end: 3,
        lag: vec![Lag::default(); PHASES.len()],
        delivery: record.queues[0].delivery.clone(),
        end_to_end: record.queues[0].end_to_end.clone(),
        ..GroupRecord::default()
    };
    let mut lag = 0;
    for window in 0..WINDOWS {
        let start = window * WINDOW;
        let members = if (300..360).contains(&start) { 2 } else { 3 };
        let published: u64 = [2, 3]
            .map(|queue: usize| record.queues[queue].series.published[window as usize])
            .iter()
            .sum();
        let settled = (lag + published).min(CAPACITY[members as usize] * WINDOW * 9 / 10);
        lag = lag + published - settled;
        group.series.lag.push(lag);
        group.series.members.push(members);
        group.series.delivered.push(settled);
        group.series.settled.push(settled);
        group.delivered += settled;
        group.settled += settled;
        if lag > group.lag_max.0 {
            group.lag_max = (lag, second(start + WINDOW));
        }
        let phase = phase_at(start);
        let length = (PHASES[phase].2 - PHASES[phase].1) as f64;
        let in_phase = &mut group.lag[phase];
        in_phase.max = in_phase.max.max(lag);
        in_phase.mean += lag as f64 * WINDOW as f64 / length;
        in_phase.end = lag;
    }
    group.lag_end = lag;
    record.groups.push(group);
}

/// The flash sale as three designs with five seeds each, and a fourth that the language refused: the second peaks lower, serves sooner and confirms
/// later than the first, the third is like it.
pub fn comparison() -> Comparison {
    let quantity = |metric: &str, of: Option<&str>| Quantity {
        metric: metric.into(),
        of: of.map(str::to_string),
        phase: None,
    };
    let asked = [
        quantity("backlog.max", Some("orders")),
        quantity("latency.end_to_end.p99", None),
        quantity("latency.confirm.p99", None),
        quantity("count.lost", None),
        quantity("count.duplicates", None),
        quantity("count.redelivered", None),
    ];
    let sale = flash_sale();
    let mut noise = Noise(3);
    let mut design = |label: &str, share: f64, confirms: f64| {
        let mut run = |seed| {
            let mut run = sale.clone();
            run.seed = seed;
            let luck = 0.97 + 0.06 * noise.unit();
            let near = |value: u64, share: f64| (value as f64 * share * luck) as u64;
            let orders = &mut run.queues[0];
            orders.ready_max.0 = near(orders.ready_max.0, share);
            orders.redelivered = near(400, share);
            orders.duplicates = near(40, share);
            let scale = |phases: &mut Vec<Latencies>, share: f64| {
                for latencies in phases {
                    let mut scaled = Latencies::default();
                    for bucket in latencies.buckets() {
                        let latency = Span(near(bucket.upper.0, share));
                        (0..bucket.count.div_ceil(50)).for_each(|_| scaled.record(latency));
                    }
                    *latencies = scaled;
                }
            };
            run.queues
                .iter_mut()
                .for_each(|queue| scale(&mut queue.end_to_end, share));
            run.producers
                .iter_mut()
                .for_each(|producer| scale(&mut producer.confirm, confirms));
            run
        };
        let runs: Vec<RunRecord> = (7..12).map(&mut run).collect();
        Entrant {
            label: label.into(),
            outcome: Ensemble::of(&runs, &asked, statistics::Precision::default())
                .map_err(|error| error.to_string()),
        }
    };
    let entrants = vec![
        design("rabbitmq-classic", 1.0, 1.0),
        design("redis-stream", 0.8, 1.6),
        design("activemq", 1.004, 1.0),
        Entrant {
            label: "rabbitmq-quorum".into(),
            outcome: Err("replication is not there yet".into()),
        },
    ];
    Comparison::of(entrants, &asked[..3], 0.95).unwrap_or_else(|error| panic!("{error}"))
}

/// The same scenario before anything happened: no message, no window, no sample. What a viewer shows first, and where
/// divisions by zero hide.
pub fn empty() -> RunRecord {
    let mut record = flash_sale();
    record.end = Time::ZERO;
    record.outcomes = Outcomes::default();
    record.parts = Parts::default();
    record.littles_law = LittlesLaw::default();
    record.latency_series = Default::default();
    record.events = 0;
    record.answer = None;
    record.faults.clear();
    for expectation in &mut record.expectations {
        expectation.verdict = Verdict::Undecided;
        expectation.measured = Measured::NoSamples.to_string();
    }
    for invariant in &mut record.invariants {
        (invariant.verdict, invariant.compared) = (Verdict::Undecided, 0);
    }
    for load in record.phases.iter_mut().flat_map(|phase| &mut phase.load) {
        *load = Load {
            offered: load.offered,
            capacity: load.capacity,
            ..Load::default()
        };
    }
    let none = vec![Latencies::default(); PHASES.len()];
    for queue in &mut record.queues {
        let (name, max_length) = (queue.name.clone(), queue.max_length);
        let nothing = Flow {
            latencies: [none.clone(), none.clone()],
            ..Flow::default()
        };
        *queue = QueueRecord {
            drain_time: None,
            ..self::queue(&name, max_length, nothing)
        };
    }
    for producer in &mut record.producers {
        (producer.outcomes, producer.confirm) = (Outcomes::default(), none.clone());
    }
    for consumer in &mut record.consumers {
        (consumer.served, consumer.utilisation) = (0, 0.0);
        consumer.served_by_member.fill(0);
        consumer.utilisation_series.clear();
    }
    for node in &mut record.nodes {
        (node.cpu, node.disk, node.fsyncs, node.synced) = (0.0, 0.0, 0, 0);
        node.cpu_series.clear();
        node.disk_series.clear();
        node.bodies = None;
    }
    record
}

const WINDOW: u64 = 5;
const WINDOW_NANOS: u64 = WINDOW * 1_000_000_000;
const END: u64 = 900;
const WINDOWS: u64 = END / WINDOW;
const PHASES: [(&str, u64, u64); 4] = [
    ("before", 0, 120),
    ("burst", 120, 180),
    ("drain", 180, 420),
    ("after", 420, END),
];
const CRASH: (u64, u64) = (240, 260);

fn second(second: u64) -> Time {
    Time(second * 1_000_000_000)
}

fn rate_at(second: u64) -> f64 {
    if (120..180).contains(&second) {
        4_000.0
    } else {
        200.0
    }
}

fn phase_at(second: u64) -> usize {
    PHASES
        .iter()
        .position(|&(_, _, until)| second < until)
        .unwrap_or(PHASES.len() - 1)
}

/// Splitmix64.
struct Noise(u64);

impl Noise {
    /// Evenly between 0 and 1, both excluded.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 12) as f64 / (1u64 << 52) as f64 + 1e-16
    }

    /// Around `median`, with a long tail (log-logistic of shape 2).
    fn tailed(&mut self, median: f64) -> f64 {
        let unit = self.unit().min(0.999_9);
        median * (unit / (1.0 - unit)).sqrt()
    }
}

/// What a queue went through.
#[derive(Default)]
struct Flow {
    copies: u64,
    series: QueueSeries,
    /// Delivery and end-to-end, per phase.
    latencies: [Vec<Latencies>; 2],
    /// The same, per window.
    windows: [LatencySeries; 2],
    ready_max: (u64, Time),
    drain_time: Span,
    loads: Vec<Load>,
}

impl Flow {
    fn load(&self, phase: usize) -> Load {
        self.loads[phase]
    }
}

fn flow(noise: &mut Noise, rate: impl Fn(u64) -> f64, capacity: f64, service: f64) -> Flow {
    let mut flow = Flow {
        latencies: [vec![Latencies::default(); 4], vec![Latencies::default(); 4]],
        ..Flow::default()
    };
    flow.loads = vec![Load::default(); PHASES.len()];
    let mut window_latencies = [Latencies::default(), Latencies::default()];
    let mut backlog = 0.0f64;
    let mut drained = Time::ZERO;
    for window in 0..WINDOWS {
        let start = window * WINDOW;
        let down = (CRASH.0..CRASH.1).contains(&start);
        let arrivals = rate(start) * WINDOW as f64 * (0.97 + 0.06 * noise.unit());
        let served = if down {
            0.0
        } else {
            (backlog + arrivals).min(capacity * WINDOW as f64)
        };
        let wait = backlog / capacity;
        backlog += arrivals - served;
        // A queue that keeps up still holds a few messages at times.
        let ready = backlog as u64
            + (if backlog < 1.0 {
                noise.unit() * 3.0
            } else {
                0.0
            }) as u64;
        let (published, acked) = (arrivals as u64, served as u64);
        flow.copies += published;
        flow.series.ready.push(ready);
        flow.series.ready_max.push(ready + 2);
        flow.series.in_flight.push(if served > 0.0 {
            (served * service / WINDOW as f64) as u64 + 1
        } else {
            0
        });
        flow.series
            .oldest_age
            .push(((backlog / capacity) * 1e9) as u64);
        flow.series.published.push(published);
        flow.series.delivered.push(acked);
        flow.series
            .redelivered
            .push(if start == CRASH.1 { 371.min(acked) } else { 0 });
        flow.series.acked.push(acked);
        if ready + 2 > flow.ready_max.0 {
            flow.ready_max = (ready + 2, second(start + WINDOW));
            drained = flow.ready_max.1;
        }
        if backlog >= 1.0 {
            drained = second(start + WINDOW);
        }
        let phase = phase_at(start);
        for _ in 0..published {
            let delivery = wait * (0.98 + 0.04 * noise.unit()) + noise.tailed(2.5e-3);
            let end_to_end = delivery + noise.tailed(service * 0.7);
            for (index, seconds) in [delivery, end_to_end].into_iter().enumerate() {
                flow.latencies[index][phase].record(Span::from_secs_f64(seconds));
                window_latencies[index].record(Span::from_secs_f64(seconds));
            }
        }
        for (series, latencies) in flow.windows.iter_mut().zip(&mut window_latencies) {
            push_percentiles(series, latencies);
        }
        let load = &mut flow.loads[phase];
        let share = WINDOW as f64 / (PHASES[phase].2 - PHASES[phase].1) as f64;
        load.offered = rate(start);
        load.capacity = Some(capacity);
        load.published += published as f64 / WINDOW as f64 * share;
        load.delivered += acked as f64 / WINDOW as f64 * share;
        load.acked = load.delivered;
        load.ready_max = load.ready_max.max(ready + 2);
        load.ready_mean += ready as f64 * share;
        load.ready_end = ready;
        load.oldest_age_max = load
            .oldest_age_max
            .max(Span::from_secs_f64(backlog / capacity));
    }
    flow.drain_time = drained.since(flow.ready_max.1);
    flow
}

fn push_percentiles(series: &mut LatencySeries, window: &mut Latencies) {
    let nanos = |span: Option<Span>| span.unwrap_or_default().0;
    series.count.push(window.count());
    series.p50.push(nanos(window.quantile(0.5)));
    series.p90.push(nanos(window.quantile(0.9)));
    series.p99.push(nanos(window.quantile(0.99)));
    series.max.push(nanos(window.max()));
    window.reset();
}

struct Confirms {
    phases: Vec<Latencies>,
    series: LatencySeries,
}

fn confirms(noise: &mut Noise, orders: &Flow, payments: &Flow) -> Confirms {
    let mut confirms = Confirms {
        phases: vec![Latencies::default(); PHASES.len()],
        series: LatencySeries::default(),
    };
    let mut window_latencies = Latencies::default();
    for window in 0..WINDOWS {
        let start = window * WINDOW;
        let down = (CRASH.0..CRASH.1).contains(&start);
        let window = window as usize;
        for _ in 0..orders.series.published[window] + payments.series.published[window] {
            // While the node is down a message waits for its return.
            let wait = if down {
                (CRASH.1 - start) as f64 - WINDOW as f64 * noise.unit()
            } else {
                0.0
            };
            let latency = Span::from_secs_f64(wait + noise.tailed(1.6e-3));
            confirms.phases[phase_at(start)].record(latency);
            window_latencies.record(latency);
        }
        push_percentiles(&mut confirms.series, &mut window_latencies);
    }
    confirms
}

/// Both queues together; percentiles do not add, so those of the busier queue stand for both.
fn series_of(orders: &Flow, payments: &Flow, index: usize) -> LatencySeries {
    let mut series = orders.windows[index].clone();
    for (sum, count) in series.count.iter_mut().zip(&payments.windows[index].count) {
        *sum += count;
    }
    series
}

fn queue(name: &str, max_length: Option<u64>, flow: Flow) -> QueueRecord {
    let [delivery, end_to_end] = flow.latencies;
    let redelivered: u64 = flow.series.redelivered.iter().sum();
    QueueRecord {
        name: name.into(),
        durability: Durability::Fsync,
        max_length,
        enqueued: flow.copies,
        delivered: flow.copies + redelivered,
        redelivered,
        acked: flow.copies,
        ready_max: flow.ready_max,
        drain_time: Some(flow.drain_time),
        delivery,
        end_to_end,
        series: flow.series,
        ..QueueRecord::default()
    }
}

fn consumer(name: &str, count: u32, flow: &Flow, capacity: f64) -> ConsumerRecord {
    let series: Vec<f64> = flow
        .series
        .acked
        .iter()
        .map(|&acked| acked as f64 / WINDOW as f64 / capacity)
        .collect();
    ConsumerRecord {
        name: name.into(),
        count,
        served: flow.copies,
        nacked: 0,
        utilisation: series.iter().sum::<f64>() / series.len() as f64,
        served_by_member: (0..u64::from(count))
            .map(|member| (flow.copies + member) / u64::from(count))
            .collect(),
        utilisation_series: series,
        ..ConsumerRecord::default()
    }
}
