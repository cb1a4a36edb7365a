//! M/M/1 at λ = 0.8, μ = 1 in nexosim: `nexosim-mm1 [customers]`.
//!
//! A source schedules its own arrivals, the server its own completions, and a sink on the server's output adds up the
//! sojourn times. One thread: nexosim's executor for that case has no synchronisation between workers.

#![allow(clippy::disallowed_types, reason = "a benchmark reads the clock")]

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use nexosim::model::{Context, Model, schedulable};
use nexosim::ports::{EventSinkWriter, Output};
use nexosim::simulation::{Mailbox, SimInit, SimulationError};
use nexosim::time::MonotonicTime;
use rand::SeedableRng;
use rand_distr::{Distribution, Exp1};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};

fn main() -> Result<(), SimulationError> {
    let customers = std::env::args()
        .nth(1)
        .and_then(|text| text.parse::<f64>().ok())
        .unwrap_or(1e6) as u64;
    let mut source = Source {
        customers: Output::default(),
        left: customers,
        gaps: Exponential::new(1, 1.0 / 0.8),
    };
    let mut server = Server {
        sojourns: Output::default(),
        queue: VecDeque::new(),
        services: Exponential::new(2, 1.0),
    };
    let tally = Tally::default();
    let (source_mailbox, server_mailbox) = (Mailbox::new(), Mailbox::new());
    source.customers.connect(Server::arrive, &server_mailbox);
    server.sojourns.connect_sink(tally.clone());

    let start = Instant::now();
    let mut simulation = SimInit::with_num_threads(1)
        .add_model(source, source_mailbox, "source")
        .add_model(server, server_mailbox, "server")
        .init(MonotonicTime::EPOCH)?;
    simulation.run()?;
    let elapsed = start.elapsed().as_secs_f64();

    let served = tally.served.load(Relaxed);
    println!(
        "nexosim: {served} customers in {elapsed:.2} s: {:.0} customers/s, mean sojourn {:.3}",
        served as f64 / elapsed,
        tally.nanoseconds.load(Relaxed) as f64 / 1e9 / served as f64,
    );
    Ok(())
}

/// Sends customers at exponential intervals.
#[derive(Serialize, Deserialize)]
struct Source {
    customers: Output<()>,
    left: u64,
    gaps: Exponential,
}

#[Model]
impl Source {
    #[nexosim(init)]
    async fn init(&mut self, context: &Context<Self>) {
        self.schedule(context);
    }

    #[nexosim(schedulable)]
    async fn send(&mut self, _: (), context: &Context<Self>) {
        self.customers.send(()).await;
        self.schedule(context);
    }

    fn schedule(&mut self, context: &Context<Self>) {
        if self.left > 0 {
            self.left -= 1;
            let gap = self.gaps.sample();
            context
                .schedule_event(gap, schedulable!(Self::send), ())
                .expect("a gap is longer than nothing");
        }
    }
}

/// Serves one customer after the other, in the order of arrival.
#[derive(Serialize, Deserialize)]
struct Server {
    sojourns: Output<Duration>,
    /// When each customer came; the first is being served.
    queue: VecDeque<MonotonicTime>,
    services: Exponential,
}

#[Model]
impl Server {
    fn arrive(&mut self, _: (), context: &Context<Self>) {
        self.queue.push_back(context.time());
        if self.queue.len() == 1 {
            self.serve(context);
        }
    }

    #[nexosim(schedulable)]
    async fn finish(&mut self, _: (), context: &Context<Self>) {
        if let Some(arrived) = self.queue.pop_front() {
            let sojourn = context.time().duration_since(arrived);
            self.sojourns.send(sojourn).await;
        }
        if !self.queue.is_empty() {
            self.serve(context);
        }
    }

    fn serve(&mut self, context: &Context<Self>) {
        let service = self.services.sample();
        context
            .schedule_event(service, schedulable!(Self::finish), ())
            .expect("a service is longer than nothing");
    }
}

/// Adds up what it is sent.
#[derive(Clone, Default)]
struct Tally {
    served: Arc<AtomicU64>,
    nanoseconds: Arc<AtomicU64>,
}

impl EventSinkWriter<Duration> for Tally {
    fn write(&self, sojourn: Duration) {
        // Plain loads and stores: there is one thread.
        self.served.store(self.served.load(Relaxed) + 1, Relaxed);
        let sum = self.nanoseconds.load(Relaxed) + sojourn.as_nanos() as u64;
        self.nanoseconds.store(sum, Relaxed);
    }
}

/// Exponential times with a mean in seconds.
#[derive(Serialize, Deserialize)]
struct Exponential {
    random: Xoshiro256PlusPlus,
    mean: f64,
}

impl Exponential {
    fn new(seed: u64, mean: f64) -> Self {
        Exponential {
            random: Xoshiro256PlusPlus::seed_from_u64(seed),
            mean,
        }
    }

    fn sample(&mut self) -> Duration {
        let unit: f64 = Exp1.sample(&mut self.random);
        // nexosim refuses to schedule an event for the present instant.
        Duration::from_nanos(((unit * self.mean * 1e9) as u64).max(1))
    }
}
