//! Stations in their steady state: the table of models.

use queuelab_scenario::{Ack, Arrivals, Dispatch, Distribution, Overflow, Requeue, Span};

use super::fluid::Flow;
use super::known::{Departure, departures};
use super::station::{Dispatching, Servers, Shape, Source, Station, spreads_evenly};
use super::{Kind, Prediction, metric};
use crate::general::{Moments, allen_cunneen, gm1_root, md1_wait_quantile, md1k, mdc, mg1_wait};
use crate::markov::{self, MMc, MMcK};
use crate::{balance, modulated, priority};

/// A station whose state does not change any more, in the whole run or in a phase.
struct Steady<'a> {
    station: &'a Station<'a>,
    /// Those that matter at this load.
    departures: Vec<Departure>,
    servers: Servers<'a>,
    /// In the order of the scenario; `None` is the whole run.
    phase: Option<usize>,
    /// Messages per second; 0 if clients wait for their messages.
    arrivals: f64,
    /// How long a message keeps a server.
    hold: Moments,
    /// Seconds that are measured.
    span: f64,
}

/// What a model says of a station.
#[derive(Default)]
struct Answer {
    model: String,
    source: &'static str,
    kind: Option<Kind>,
    /// Mean time that a message keeps nobody busy.
    wait: Option<f64>,
    /// Mean time from being ready until the service is over, if it is not the sum.
    sojourn: Option<f64>,
    /// Quantiles of it, by name.
    quantiles: Vec<(&'static str, f64)>,
    /// Share of time that a server is busy.
    utilisation: Option<f64>,
    /// Messages in the queue that nobody has yet.
    ready: Option<f64>,
    /// Metrics besides.
    others: Vec<(&'static str, f64)>,
    /// Mean times from being ready until the service is over, by producer.
    producers: Vec<(String, f64)>,
}

/// A model, and the departures from a plain queue that it knows of: its answer, and what is told besides, holds with any of them. A station
/// that has others is never shown to it.
struct Model {
    knows: &'static [Departure],
    answer: fn(&Steady<'_>) -> Option<Answer>,
}

const fn model(knows: &'static [Departure], answer: fn(&Steady<'_>) -> Option<Answer>) -> Model {
    Model { knows, answer }
}

/// Who may know a station, the most special first.
const MODELS: [Model; 13] = [
    model(&[Departure::Blocks], closed),
    model(&[Departure::Expiry, Departure::Elsewhere], lost_at_once),
    model(&[Departure::Expiry, Departure::Elsewhere], impatient),
    model(&[Departure::Loss, Departure::Elsewhere], bounded),
    model(&[Departure::Ranks, Departure::Rejections], prioritised),
    model(&[Departure::Returns, Departure::Elsewhere], feedback),
    model(&[Departure::Churn, Departure::Elsewhere], breaking_down),
    model(&WAITS, batches),
    model(&WAITS, modulated_arrivals),
    model(&WAITS, own_queues),
    model(&WAITS, renewal),
    model(&WAITS, poisson),
    model(&WAITS, anything),
];

/// Of no matter to who waits and is served once: that some wait outside, and what becomes of them afterwards.
const WAITS: [Departure; 3] = [
    Departure::Elsewhere,
    Departure::Blocks,
    Departure::Rejections,
];

/// What the first model that knows the station says; nothing if none does.
pub(super) fn predictions(station: &Station<'_>) -> Vec<Prediction> {
    let mut predictions = Vec::new();
    for steady in Steady::all(station) {
        let known = |model: &&Model| {
            let departures = &steady.departures;
            departures.iter().all(|it| model.knows.contains(it))
        };
        let answer = MODELS
            .iter()
            .filter(known)
            .find_map(|model| (model.answer)(&steady));
        predictions.extend(answer.into_iter().flat_map(|answer| steady.told(answer)));
    }
    predictions
}

impl<'a> Steady<'a> {
    /// The whole run if nothing changes in it, else the phases that begin without a backlog and are long enough.
    fn all(station: &'a Station<'a>) -> Vec<Steady<'a>> {
        let Some(servers) = station.servers else {
            return Vec::new();
        };
        if station.sources.is_empty() {
            return Vec::new();
        }
        let service = Moments::of(&servers.consumer.service);
        let hold = match servers.dispatching {
            Dispatching::Central => {
                let costs = station.costs();
                service.plus(costs.out).plus(costs.back)
            }
            _ => service,
        };
        let at = |phase, arrivals, span| {
            let mut steady = Steady {
                station,
                departures: departures(station),
                servers,
                phase,
                arrivals,
                hold,
                span,
            };
            if steady.never_full() {
                let bound = |it: &Departure| matches!(it, Departure::Loss | Departure::Blocks);
                steady.departures.retain(|it| !bound(it));
            }
            steady
        };
        // What waits for the broker comes to no queue in time, and clients that send again make it worse, also afterwards.
        let stations = Station::all(station.scenario);
        let stuck = |phase: usize| {
            let before = 0..=phase;
            before
                .filter_map(|phase| super::broker::load(station.scenario, &stations, phase))
                .any(|load| load >= 1.0)
        };
        if stuck(0) {
            return Vec::new();
        }
        let end = station.scenario.end().as_secs_f64();
        if matches!(station.shape(), Shape::Closed(..)) {
            return vec![at(None, 0.0, end)];
        }
        if let Some(rate) = station.constant_rate() {
            return vec![at(None, rate, end)];
        }
        let flow = Flow::of(station);
        let calm = |phase: usize| {
            let from = flow.as_ref()?.begins_empty(station, phase)?;
            let (rate, later) = station.rates(phase)?;
            let own = &station.scenario.phases[phase];
            let span = own.until.as_secs_f64() - from;
            let capacity = station.capacity(phase)?;
            let settles = rate == later && rate < capacity && !stuck(phase);
            (settles && station.settles(rate, capacity, span)).then(|| at(Some(phase), rate, span))
        };
        (0..station.scenario.phases.len())
            .filter_map(calm)
            .collect()
    }

    fn count(&self) -> f64 {
        f64::from(self.servers.count)
    }

    /// λ E\[S\] / c.
    fn load(&self) -> f64 {
        self.arrivals * self.hold.mean / self.count()
    }

    fn central(&self) -> bool {
        self.servers.dispatching == Dispatching::Central || self.servers.count == 1
    }

    /// How long a server is kept is as good as exponential: the way of an acknowledgement is at most a twentieth of it.
    fn exponential(&self) -> bool {
        let service = &self.servers.consumer.service;
        matches!(
            service,
            Distribution::Exponential(_) | Distribution::Erlang { k: 1, .. }
        ) && self.hold.mean <= 1.05 * service.mean()
    }

    fn constant(&self) -> bool {
        self.hold.variance == 0.0
    }

    fn markov(&self) -> MMc {
        MMc {
            arrivals: self.arrivals,
            service: 1.0 / self.hold.mean,
            servers: self.servers.count,
        }
    }

    fn has(&self, departure: Departure) -> bool {
        self.departures.contains(&departure)
    }

    /// The bound, if publishes wait outside: in the order in which they came.
    fn blocked(&self) -> Option<u64> {
        let length = self.station.queue.max_length;
        length.filter(|_| self.has(Departure::Blocks))
    }

    /// The queue is as good as never at its bound: ρ^K of nothing, where arrivals and services vary by chance; sooner where they vary more. What
    /// clients have under way, what comes back and what piles up while nobody is there is not known to be less.
    fn never_full(&self) -> bool {
        let arrivals = match self.station.shape() {
            Shape::Poisson | Shape::Smooth => 1.0,
            Shape::Renewal(gap) => Moments::of(&gap).cv2(),
            Shape::Batches(mean, second) => second / mean,
            Shape::Modulated(_) | Shape::Closed(..) | Shape::Other => return false,
        };
        let load = self.load();
        let steady = load > 0.0
            && load < 1.0
            && !self.has(Departure::Returns)
            && !self.has(Departure::Churn);
        let varies = f64::midpoint(arrivals, self.hold.cv2()).max(1.0);
        let length = self.station.queue.max_length.unwrap_or(0) as f64;
        steady && length * -libm::log(load) >= 25.0 * varies
    }

    /// An answer as predictions of metrics.
    fn told(&self, answer: Answer) -> Vec<Prediction> {
        let costs = self.station.costs();
        let kind = match answer.kind.unwrap_or(Kind::Exact) {
            Kind::Exact if !costs.free || self.station.hashed => Kind::Approximation,
            kind => kind,
        };
        let mut assumptions = self.station.assumptions();
        if self.arrivals > 0.0 && !self.settled() {
            assumptions.push("the run is too short to forget that it began empty".into());
        }
        let of = self.station.of();
        let phase = self
            .phase
            .map(|phase| self.station.scenario.phases[phase].name.as_str());
        let told = |name: &str, of: Option<&str>, value: f64, kind, covers: &str| Prediction {
            model: answer.model.clone(),
            metric: metric(name, of, phase),
            value,
            kind,
            source: answer.source,
            covers: covers.into(),
            assumptions: assumptions.clone(),
        };
        let mut all = Vec::new();
        let service = self.servers.consumer.service.mean();
        let around = costs.entry + costs.out.mean;
        let parts = |rest: &str| match costs.free {
            true => format!("broker queue{rest}"),
            false => format!("way in, broker queue, way out{rest}"),
        };
        let sojourn = answer.sojourn.or(answer.wait.map(|wait| wait + service));
        let with_service = parts(match self.central() {
            true => " and service",
            false => ", consumer buffer and service",
        });
        if let Some(sojourn) = sojourn {
            all.push(told(
                "latency.end_to_end.mean",
                of,
                around + sojourn,
                kind,
                &with_service,
            ));
        }
        for (name, value) in &answer.quantiles {
            all.push(told(name, of, around + value, kind, &with_service));
        }
        for (producer, sojourn) in &answer.producers {
            all.push(told(
                "latency.end_to_end.mean",
                Some(producer),
                around + sojourn,
                kind,
                &with_service,
            ));
        }
        if let Some(wait) = answer
            .wait
            .filter(|_| self.servers.dispatching == Dispatching::Central)
        {
            all.push(told(
                "latency.delivery.mean",
                of,
                around + wait,
                kind,
                &parts(""),
            ));
        }
        let waiting = answer.wait.filter(|_| {
            self.servers.dispatching == Dispatching::Central && self.blocked().is_none()
        });
        let ready = answer.ready.or(waiting.map(|wait| wait * self.arrivals));
        if let Some(ready) = ready {
            all.push(told(
                "backlog.mean",
                Some(self.station.name()),
                ready,
                kind,
                "",
            ));
        }
        let places = self.servers.places();
        let busy = self.arrivals * service / places;
        // Without losses the load is known whatever the model is.
        let known = if self.station.hashed {
            Kind::Approximation
        } else {
            Kind::Exact
        };
        let utilisation = answer
            .utilisation
            .map(|busy| (busy * self.count() / places, kind))
            .or((self.arrivals > 0.0).then_some((busy, known)));
        if let Some((busy, kind)) = utilisation.filter(|(busy, _)| *busy <= 1.0) {
            all.push(told(
                "utilisation",
                Some(&self.servers.consumer.name),
                busy,
                kind,
                "",
            ));
        }
        // Counts are of the whole run.
        let others = answer.others.iter();
        for (name, value) in
            others.filter(|(name, _)| self.phase.is_none() || !name.starts_with("count."))
        {
            all.push(told(name, Some(self.station.name()), *value, kind, ""));
        }
        all
    }

    fn settled(&self) -> bool {
        let capacity = self.count() / self.hold.mean;
        self.load() >= 1.0 || self.station.settles(self.arrivals, capacity, self.span)
    }
}

/// M/M/c//N.
fn closed(steady: &Steady<'_>) -> Option<Answer> {
    let Shape::Closed(clients, think) = steady.station.shape() else {
        return None;
    };
    let known = steady.central() && steady.exponential();
    // The client's own way in and out is thinking, as far as the server is concerned.
    let costs = steady.station.costs();
    let think = think.mean() + costs.entry;
    if !known || think <= 0.0 {
        return None;
    }
    let in_queue = steady.servers.dispatching == Dispatching::Central;
    let means = markov::closed(clients, think, 1.0 / steady.hold.mean, steady.servers.count);
    Some(Answer {
        model: format!("M/M/{}//{clients}", steady.servers.count),
        source: "machine repair: Gross & Harris 2.9",
        wait: Some(means.wait),
        ready: Some(means.waiting).filter(|_| in_queue && steady.blocked().is_none()),
        utilisation: Some(means.utilisation),
        others: vec![("rate.acked", means.throughput)],
        ..Answer::default()
    })
}

/// Erlang B: a TTL of zero drops what finds all servers busy.
fn lost_at_once(steady: &Steady<'_>) -> Option<Answer> {
    let zero = steady.station.queue.policy.ttl == Some(Span::ZERO);
    let known =
        zero && steady.servers.dispatching == Dispatching::Central && poisson_arrivals(steady);
    known.then(|| {
        let offered = steady.arrivals * steady.hold.mean;
        let loss = markov::erlang_b(steady.servers.count, offered);
        let carried = steady.arrivals * (1.0 - loss);
        Answer {
            model: format!("M/G/{0}/{0}", steady.servers.count),
            source: "Erlang 1917: Gross & Harris 2.6",
            wait: Some(0.0),
            ready: Some(0.0),
            utilisation: Some(carried * steady.servers.consumer.service.mean() / steady.count()),
            others: vec![
                ("count.expired", loss * steady.arrivals * steady.span),
                ("rate.acked", carried),
            ],
            ..Answer::default()
        }
    })
}

/// Erlang A: messages whose exponential TTL ends before their service begins.
fn impatient(steady: &Steady<'_>) -> Option<Answer> {
    let station = steady.station;
    let [source] = station.sources.as_slice() else {
        return None;
    };
    let Some(Distribution::Exponential(patience)) = source.producer.properties.ttl else {
        return None;
    };
    let known = station.queue.policy.ttl.is_none()
        && steady.servers.dispatching == Dispatching::Central
        && steady.exponential()
        && poisson_arrivals(steady);
    known.then(|| {
        let means = markov::erlang_a(
            steady.arrivals,
            1.0 / steady.hold.mean,
            steady.servers.count,
            1.0 / patience.as_secs_f64(),
        );
        Answer {
            model: format!("M/M/{}+M", steady.servers.count),
            source: "Erlang A: Garnett, Mandelbaum, Reiman 2002",
            ready: Some(means.waiting),
            utilisation: Some(means.utilisation),
            others: vec![
                ("count.expired", means.loss * steady.arrivals * steady.span),
                ("rate.acked", means.throughput),
            ],
            ..Answer::default()
        }
    })
}

/// M/M/c/K and M/D/1/K: `max_length` and what is in service.
fn bounded(steady: &Steady<'_>) -> Option<Answer> {
    let queue = steady.station.queue;
    let length = queue.max_length?;
    let servers = steady.servers;
    let known = steady.has(Departure::Loss)
        && servers.dispatching == Dispatching::Central
        && poisson_arrivals(steady)
        && length < 1_000_000;
    if !known {
        return None;
    }
    let capacity = length + u64::from(servers.count);
    let counted = match queue.overflow {
        Overflow::RejectPublish => "count.refused",
        Overflow::DeadLetter => "count.dead_lettered",
        Overflow::DropHead | Overflow::Block => "count.dropped",
    };
    let mut answer = if steady.exponential() {
        let model = MMcK {
            arrivals: steady.arrivals,
            service: 1.0 / steady.hold.mean,
            servers: servers.count,
            capacity,
        };
        let means = model.means();
        let quantile = |(name, p)| Some((name, model.sojourn_quantile(p)?));
        Answer {
            model: format!("M/M/{}/{capacity}", servers.count),
            source: "Gross & Harris 2.5; K counts those in service",
            wait: Some(means.wait),
            quantiles: if capacity <= 10_000 {
                QUANTILES.into_iter().filter_map(quantile).collect()
            } else {
                Vec::new()
            },
            ready: Some(means.waiting),
            utilisation: Some(
                means.utilisation * steady.servers.consumer.service.mean() / steady.hold.mean,
            ),
            others: vec![
                (counted, means.loss * steady.arrivals * steady.span),
                ("rate.acked", means.throughput),
            ],
            ..Answer::default()
        }
    } else if steady.constant() && servers.count == 1 && capacity <= 5_000 {
        let (loss, number) = md1k(steady.arrivals, steady.hold.mean, capacity);
        let throughput = steady.arrivals * (1.0 - loss);
        let busy = throughput * steady.hold.mean;
        Answer {
            model: format!("M/D/1/{capacity}"),
            source: "embedded chain: Gross & Harris 5.1.8; K counts the one in service",
            wait: Some(number / throughput - steady.hold.mean),
            ready: Some(number - busy),
            utilisation: Some(busy),
            others: vec![
                (counted, loss * steady.arrivals * steady.span),
                ("rate.acked", throughput),
            ],
            ..Answer::default()
        }
    } else {
        return None;
    };
    // Dropping at the head changes who waits how long, but not how many.
    if queue.overflow != Overflow::RejectPublish {
        (answer.wait, answer.quantiles) = (None, Vec::new());
    }
    Some(answer)
}

/// Classes by priority, without preemption.
fn prioritised(steady: &Steady<'_>) -> Option<Answer> {
    let station = steady.station;
    let top = station.queue.policy.max_priority;
    let known = steady.has(Departure::Ranks)
        && steady.servers.dispatching == Dispatching::Central
        && poisson_arrivals(steady)
        && steady.load() < 1.0;
    if !known {
        return None;
    }
    let mut rates = vec![0.0; usize::from(top) + 1];
    for source in &station.sources {
        let (rate, _) = super::station::rates(source.producer, steady.phase.unwrap_or(0))?;
        let mix = &source.producer.properties.priority;
        let total: f64 = mix.iter().map(|(_, weight)| weight).sum();
        if mix.is_empty() {
            rates[0] += rate * source.share;
        }
        for (level, weight) in mix {
            rates[usize::from((*level).min(top))] += rate * source.share * weight / total;
        }
    }
    let used: Vec<(usize, f64)> = rates
        .iter()
        .copied()
        .enumerate()
        .rev()
        .filter(|(_, rate)| *rate > 0.0)
        .collect();
    let rates: Vec<f64> = used.iter().map(|(_, rate)| *rate).collect();
    let (model, waits) = if steady.exponential() {
        let model = format!(
            "M/M/{} with {} priorities",
            steady.servers.count,
            rates.len()
        );
        (
            model,
            priority::nonpreemptive(&rates, 1.0 / steady.hold.mean, steady.servers.count),
        )
    } else if steady.servers.count == 1 {
        let classes: Vec<_> = rates.iter().map(|rate| (*rate, steady.hold)).collect();
        (
            format!("M/G/1 with {} priorities", rates.len()),
            priority::nonpreemptive_single(&classes),
        )
    } else {
        return None;
    };
    let own = |source: &Source<'_>| {
        let level = match source.producer.properties.priority.as_slice() {
            [] => 0,
            [(level, _)] => usize::from((*level).min(top)),
            _ => return None,
        };
        let class = used.iter().position(|(used, _)| *used == level)?;
        Some((
            source.producer.name.clone(),
            waits[class] + steady.servers.consumer.service.mean(),
        ))
    };
    let producers = station.sources.iter().filter_map(own).collect();
    let total: f64 = rates.iter().sum();
    let wait = rates
        .iter()
        .zip(&waits)
        .map(|(rate, wait)| rate * wait)
        .sum::<f64>()
        / total;
    Some(Answer {
        model,
        source: "Cobham 1954",
        wait: Some(wait),
        producers,
        ..Answer::default()
    })
}

/// Services that fail and are repeated.
fn feedback(steady: &Steady<'_>) -> Option<Answer> {
    let Ack::Manual {
        nack: Some(nack), ..
    } = steady.servers.consumer.ack
    else {
        return None;
    };
    let policy = &steady.station.queue.policy;
    let known = nack.requeue
        && nack.probability > 0.0
        && nack.probability < 1.0
        && steady.servers.dispatching == Dispatching::Central
        && steady.exponential()
        && poisson_arrivals(steady);
    if !known {
        return None;
    }
    let queue = markov::feedback(
        steady.arrivals,
        1.0 / steady.hold.mean,
        steady.servers.count,
        nack.probability,
    );
    let means = queue.means()?;
    // At the head of a single server, repetitions make one long exponential service.
    let together = steady.servers.count == 1 && policy.requeue != Requeue::Tail;
    let quantile = |(name, p)| (name, queue.sojourn_quantile(p));
    Some(Answer {
        model: format!("M/M/{} with feedback", steady.servers.count),
        source: "Takács 1963",
        wait: None,
        sojourn: Some(means.sojourn),
        quantiles: if together {
            QUANTILES.map(quantile).to_vec()
        } else {
            Vec::new()
        },
        ready: Some(means.waiting),
        utilisation: Some(means.utilisation),
        ..Answer::default()
    })
}

/// A single server that comes and goes.
fn breaking_down(steady: &Steady<'_>) -> Option<Answer> {
    let churn = steady.servers.consumer.churn.as_ref()?;
    let (Distribution::Exponential(up), Distribution::Exponential(down)) =
        (&churn.every, &churn.away)
    else {
        return None;
    };
    let known = steady.servers.count == 1
        && steady.servers.dispatching == Dispatching::Central
        && churn.crash
        && steady.exponential()
        && poisson_arrivals(steady);
    if !known {
        return None;
    }
    let number = markov::breakdowns(
        steady.arrivals,
        1.0 / steady.hold.mean,
        1.0 / up.as_secs_f64(),
        1.0 / down.as_secs_f64(),
    )?;
    Some(Answer {
        model: "M/M/1 with breakdowns".into(),
        source: "White & Christie 1958",
        sojourn: Some(number / steady.arrivals),
        ..Answer::default()
    })
}

/// M^X/M/1.
fn batches(steady: &Steady<'_>) -> Option<Answer> {
    let Shape::Batches(mean, second) = steady.station.shape() else {
        return None;
    };
    if !(steady.servers.count == 1 && steady.exponential()) {
        return None;
    }
    let number =
        markov::batch_arrivals(steady.arrivals / mean, mean, second, 1.0 / steady.hold.mean)?;
    Some(Answer {
        model: "M^X/M/1".into(),
        source: "Gross & Harris 3.1",
        wait: Some(number / steady.arrivals - steady.hold.mean),
        ..Answer::default()
    })
}

/// MMPP/M/1.
fn modulated_arrivals(steady: &Steady<'_>) -> Option<Answer> {
    let Shape::Modulated(states) = steady.station.shape() else {
        return None;
    };
    if !(steady.servers.count == 1 && steady.exponential()) {
        return None;
    }
    let means = modulated(&states, 1.0 / steady.hold.mean)?;
    Some(Answer {
        model: "MMPP/M/1".into(),
        source: "Neuts 1981, matrix-geometric",
        wait: Some(means.sojourn - steady.hold.mean),
        ..Answer::default()
    })
}

/// Servers with a queue each: what is delivered at once waits at its consumer.
fn own_queues(steady: &Steady<'_>) -> Option<Answer> {
    let servers = steady.servers;
    let each = servers.consumer.concurrency;
    let known = servers.dispatching == Dispatching::Immediate
        && servers.count > 1
        && each == 1
        && poisson_arrivals(steady)
        && steady.exponential();
    if !known {
        return None;
    }
    let (count, service) = (servers.count, 1.0 / steady.hold.mean);
    let single = MMc {
        arrivals: steady.arrivals / steady.count(),
        service,
        servers: 1,
    };
    let mean_only = |model: String, source, kind, sojourn: f64| {
        Some(Answer {
            model,
            source,
            kind: Some(kind),
            sojourn: Some(sojourn),
            ready: Some(0.0),
            ..Answer::default()
        })
    };
    match steady.station.queue.dispatch {
        Dispatch::Random => Some(Answer {
            model: format!("{count} × M/M/1, chosen at random"),
            source: "Gross & Harris 2.2",
            sojourn: Some(single.means()?.sojourn),
            quantiles: QUANTILES
                .map(|(name, p)| (name, single.sojourn_quantile(p)))
                .to_vec(),
            ready: Some(0.0),
            ..Answer::default()
        }),
        dispatch if spreads_evenly(dispatch) && servers.consumer.weight == 1 => {
            let gap = Distribution::Erlang {
                mean: Span::from_secs_f64(1.0),
                k: count,
            };
            let sigma = gm1_root(&gap, steady.arrivals / steady.count(), service)?;
            let rate = service * (1.0 - sigma);
            Some(Answer {
                model: format!("{count} × E{count}/M/1, in turn"),
                source: "Gross & Harris 5.3",
                sojourn: Some(1.0 / rate),
                quantiles: QUANTILES
                    .map(|(name, p)| (name, -libm::log(1.0 - p) / rate))
                    .to_vec(),
                ready: Some(0.0),
                ..Answer::default()
            })
        }
        Dispatch::LeastConnections | Dispatch::WeightedLeastConnections if count == 2 => {
            let sojourn = balance::join_shortest_of_two(steady.arrivals, service)?;
            mean_only(
                "join the shortest of 2".into(),
                "exact Markov chain, solved numerically",
                Kind::Exact,
                sojourn,
            )
        }
        Dispatch::PowerOf(2) if count == 2 => {
            let sojourn = balance::join_shortest_of_two(steady.arrivals, service)?;
            mean_only(
                "join the shortest of 2".into(),
                "exact Markov chain, solved numerically",
                Kind::Exact,
                sojourn,
            )
        }
        Dispatch::PowerOf(choices) => {
            let sojourn =
                balance::power_of_choices(steady.load(), u32::from(choices), steady.hold.mean)?;
            mean_only(
                format!("power of {choices} choices, {count} → ∞ servers"),
                "Mitzenmacher 2001",
                Kind::Approximation,
                sojourn,
            )
        }
        _ => {
            let sojourn = steady.markov().means()?.sojourn;
            mean_only(
                format!("M/M/{count}: no routing beats one queue"),
                "Gross & Harris 2.3",
                Kind::LowerBound,
                sojourn,
            )
        }
    }
}

/// G/M/1.
fn renewal(steady: &Steady<'_>) -> Option<Answer> {
    let Shape::Renewal(gap) = steady.station.shape() else {
        return None;
    };
    if !(steady.servers.count == 1 && steady.exponential()) {
        return None;
    }
    let service = 1.0 / steady.hold.mean;
    let sigma = gm1_root(&gap, steady.arrivals, service)?;
    let rate = service * (1.0 - sigma);
    let name = match gap {
        Distribution::Constant(_) => "D/M/1".into(),
        Distribution::Erlang { k, .. } => format!("E{k}/M/1"),
        Distribution::Hyperexponential { .. } => "H2/M/1".into(),
        _ => "G/M/1".into(),
    };
    Some(Answer {
        model: name,
        source: "Gross & Harris 5.3",
        wait: Some(sigma / rate),
        quantiles: QUANTILES
            .map(|(name, p)| (name, -libm::log(1.0 - p) / rate))
            .to_vec(),
        ..Answer::default()
    })
}

/// M/M/c, M/D/c, M/G/1.
fn poisson(steady: &Steady<'_>) -> Option<Answer> {
    if !(steady.central() && poisson_arrivals(steady))
        || steady.load() >= 1.0
        || steady.hold.mean <= 0.0
    {
        return None;
    }
    let count = steady.servers.count;
    if steady.exponential() {
        let queue = steady.markov();
        let means = queue.means()?;
        return Some(Answer {
            model: format!("M/M/{count}"),
            source: if count == 1 {
                "Gross & Harris 2.2"
            } else {
                "Erlang C: Gross & Harris 2.3"
            },
            // With a round trip in it, the service is not quite exponential.
            wait: match count {
                1 => mg1_wait(steady.arrivals, steady.hold),
                _ => Some(means.wait),
            },
            // With several producers those whose connections stand still come in another order.
            quantiles: match steady.blocked() {
                Some(_) if !one_connection(steady) => Vec::new(),
                _ => QUANTILES
                    .map(|(name, p)| (name, queue.sojourn_quantile(p)))
                    .to_vec(),
            },
            // More than K wait with a probability that is smaller by ρ^K; of those only K are inside.
            ready: steady
                .blocked()
                .filter(|_| steady.servers.dispatching == Dispatching::Central)
                .map(|length| means.waiting * (1.0 - libm::pow(steady.load(), length as f64))),
            ..Answer::default()
        });
    }
    if steady.constant() {
        let (wait, _) = mdc(steady.arrivals, steady.hold.mean, count)?;
        let service = steady.servers.consumer.service.mean();
        let quantile = |(name, p)| {
            (
                name,
                md1_wait_quantile(steady.arrivals, steady.hold.mean, p) + service,
            )
        };
        // The table of a queue that is hardly ever empty would be long.
        let in_order = steady.blocked().is_none() || one_connection(steady);
        let short = count == 1 && steady.load() <= 0.98 && in_order;
        return Some(Answer {
            model: format!("M/D/{count}"),
            source: if count == 1 {
                "Erlang 1909; Tijms 9.2"
            } else {
                "Crommelin 1932"
            },
            wait: Some(wait),
            quantiles: if short {
                QUANTILES.map(quantile).to_vec()
            } else {
                Vec::new()
            },
            ..Answer::default()
        });
    }
    if count == 1 {
        return Some(Answer {
            model: "M/G/1".into(),
            source: "Pollaczek–Khinchine: Gross & Harris 5.1",
            wait: mg1_wait(steady.arrivals, steady.hold),
            ..Answer::default()
        });
    }
    Some(Answer {
        model: format!("M/G/{count}"),
        source: "Allen & Cunneen 1978",
        kind: Some(Kind::Approximation),
        wait: allen_cunneen(steady.arrivals, 1.0, steady.hold, count),
        ..Answer::default()
    })
}

/// Kingman's formula, or what a single queue would do.
fn anything(steady: &Steady<'_>) -> Option<Answer> {
    if steady.load() >= 1.0 || steady.hold.mean <= 0.0 {
        return None;
    }
    let count = steady.servers.count;
    let (cv2, kind, letter) = match steady.station.shape() {
        Shape::Poisson => (1.0, Kind::Approximation, "M"),
        Shape::Renewal(gap) => (Moments::of(&gap).cv2(), Kind::Approximation, "G"),
        // Evenly spaced streams together are smoother than chance.
        Shape::Smooth => (1.0, Kind::UpperBound, "ΣD"),
        _ => return None,
    };
    let wait = allen_cunneen(steady.arrivals, cv2, steady.hold, count)?;
    if !steady.central() {
        // Messages wait for a server that has been chosen too early.
        let ahead = steady.servers.consumer.prefetch;
        return Some(Answer {
            model: format!("{letter}/G/{count}, one queue instead of prefetch {ahead}"),
            source: "Allen & Cunneen 1978",
            kind: Some(if kind == Kind::UpperBound {
                Kind::Approximation
            } else {
                Kind::LowerBound
            }),
            wait: Some(wait),
            ..Answer::default()
        });
    }
    Some(Answer {
        model: format!("{letter}/G/{count}"),
        source: if count == 1 {
            "Kingman 1961"
        } else {
            "Allen & Cunneen 1978"
        },
        kind: Some(kind),
        wait: Some(wait),
        ..Answer::default()
    })
}

/// All messages come by one connection.
fn one_connection(steady: &Steady<'_>) -> bool {
    matches!(steady.station.sources.as_slice(), [source] if source.producer.count == 1)
}

/// Poisson arrivals of single messages, from one or many.
fn poisson_arrivals(steady: &Steady<'_>) -> bool {
    matches!(steady.station.shape(), Shape::Poisson)
        && steady
            .station
            .sources
            .iter()
            .all(|source| matches!(source.producer.arrivals, Arrivals::Poisson(_)))
}

/// Which quantiles of the end-to-end latency are predicted.
const QUANTILES: [(&str, f64); 3] = [
    ("latency.end_to_end.p50", 0.5),
    ("latency.end_to_end.p90", 0.9),
    ("latency.end_to_end.p99", 0.99),
];
