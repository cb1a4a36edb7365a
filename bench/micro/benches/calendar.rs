//! The hold model (Jones 1986): with so many events pending, take the first and schedule another one.
//!
//! The simulator's calendar, a bare 4-ary heap on the same keys and the standard library's binary heap run side by
//! side, so that their ratios come from one run.
#![allow(missing_docs)]

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, criterion_group, criterion_main, measurement::WallTime,
};
use queuelab_core::{Span, Time};
use queuelab_sim::kernel::Calendar;

/// As large as the simulator's events.
type Event = [u32; 3];

/// Something that events can be held in. Equal instants leave in the order in which they came.
trait Pending {
    fn schedule(&mut self, at: u64, event: Event);
    fn pop(&mut self) -> Option<(u64, Event)>;
}

fn hold(criterion: &mut Criterion) {
    let delays = exponential_delays();
    let mut group = criterion.benchmark_group("hold");
    for size in SIZES {
        bench(&mut group, "calendar", size, &delays, Calendar::new);
        bench(&mut group, "bare-4-ary", size, &delays, BareHeap::default);
        bench(&mut group, "std-binary", size, &delays, StdHeap::default);
    }
    group.finish();
}

fn bench<P: Pending>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    size: usize,
    delays: &[u64],
    empty: impl Fn() -> P,
) {
    let mut filled = None;
    group.bench_function(BenchmarkId::new(name, size), |bencher| {
        let (pending, delays) = filled.get_or_insert_with(|| {
            let mut delays = delays.iter().copied().cycle();
            let mut pending = empty();
            for number in 0..size {
                let delay = delays.next().unwrap_or(1);
                pending.schedule(delay, [number as u32; 3]);
            }
            for _ in 0..size {
                hold_once(&mut pending, &mut delays);
            }
            (pending, delays)
        });
        bencher.iter(|| hold_once(pending, delays));
    });
}

#[inline]
fn hold_once(pending: &mut impl Pending, delays: &mut impl Iterator<Item = u64>) -> u64 {
    let (now, event) = pending.pop().expect("as many come as go");
    let delay = delays.next().unwrap_or(1);
    pending.schedule(now + delay, event);
    now
}

/// The stores beside the heap: no delay at all, and one constant delay with and without a lane of its own.
fn shortcuts(criterion: &mut Criterion) {
    const DELAY: Span = Span::from_secs(1);
    let mut group = criterion.benchmark_group("shortcut");
    let filled = |size: u64| {
        let mut calendar = Calendar::new();
        let lane = calendar.lane();
        for number in 0..size {
            calendar.schedule_in(lane, Time(1 + number), [0; 3]);
        }
        (calendar, lane)
    };
    let (mut calendar, _) = filled(1_000);
    group.bench_function("at-once", |bencher| {
        bencher.iter(|| {
            calendar.after(Span::ZERO, [0; 3]);
            calendar.pop()
        });
    });
    let (mut calendar, lane) = filled(1_000);
    group.bench_function("constant-delay/lane", |bencher| {
        bencher.iter(|| {
            let popped = calendar.pop();
            calendar.schedule_in(lane, calendar.now() + DELAY, [0; 3]);
            popped
        });
    });
    let (mut calendar, _) = filled(1_000);
    group.bench_function("constant-delay/heap", |bencher| {
        bencher.iter(|| {
            let popped = calendar.pop();
            calendar.after(DELAY, [0; 3]);
            popped
        });
    });
    group.finish();
}

criterion_group!(benches, hold, shortcuts);
criterion_main!(benches);

/// Enough delays to be exponential, and few enough to stay in the first-level cache. In nanoseconds, with a mean of a
/// second; prepared, so that no generator is measured.
fn exponential_delays() -> Vec<u64> {
    const COUNT: u64 = 2_039;
    (0..COUNT)
        .map(|number| {
            // A prime count visited by a step: each quantile once, in a scattered order.
            let quantile = (number * 787 % COUNT) as f64 + 0.5;
            Span::from_secs_f64(-libm::log(quantile / COUNT as f64)).0
        })
        .collect()
}

impl Pending for Calendar<Event> {
    #[inline]
    fn schedule(&mut self, at: u64, event: Event) {
        Calendar::schedule(self, Time(at), event);
    }

    #[inline]
    fn pop(&mut self) -> Option<(u64, Event)> {
        Calendar::pop(self).map(|(at, _, event)| (at.0, event))
    }
}

/// A 4-ary heap on (time, sequence) packed into one integer, as fast as it is easily made, and nothing else.
#[derive(Default)]
struct BareHeap {
    entries: Vec<(u128, Event)>,
    sequence: u64,
}

impl Pending for BareHeap {
    #[inline]
    fn schedule(&mut self, at: u64, event: Event) {
        let entry = (pack(at, self.sequence), event);
        self.sequence += 1;
        let mut hole = self.entries.len();
        self.entries.push(entry);
        while hole > 0 {
            let parent = (hole - 1) / 4;
            if self.entries[parent].0 <= entry.0 {
                break;
            }
            self.entries[hole] = self.entries[parent];
            hole = parent;
        }
        self.entries[hole] = entry;
    }

    #[inline]
    fn pop(&mut self) -> Option<(u64, Event)> {
        let last = self.entries.pop()?;
        let length = self.entries.len();
        let Some(first) = self.entries.first().copied() else {
            return Some(((last.0 >> 64) as u64, last.1));
        };
        let mut hole = 0;
        loop {
            let first_child = hole * 4 + 1;
            let smallest = match self.entries.get(first_child..first_child + 4) {
                // A tournament compiles to conditional moves: which child is the smallest cannot be predicted.
                Some([a, b, c, d]) => {
                    let left = if b.0 < a.0 { (1, b.0) } else { (0, a.0) };
                    let right = if d.0 < c.0 { (3, d.0) } else { (2, c.0) };
                    first_child + if right.1 < left.1 { right.0 } else { left.0 }
                }
                _ => match (first_child..length).min_by_key(|child| self.entries[*child].0) {
                    Some(smallest) => smallest,
                    None => break,
                },
            };
            if last.0 <= self.entries[smallest].0 {
                break;
            }
            self.entries[hole] = self.entries[smallest];
            hole = smallest;
        }
        self.entries[hole] = last;
        Some(((first.0 >> 64) as u64, first.1))
    }
}

/// The standard library's heap on the same keys.
#[derive(Default)]
struct StdHeap {
    entries: BinaryHeap<Reverse<(u128, Event)>>,
    sequence: u64,
}

impl Pending for StdHeap {
    #[inline]
    fn schedule(&mut self, at: u64, event: Event) {
        self.entries.push(Reverse((pack(at, self.sequence), event)));
        self.sequence += 1;
    }

    #[inline]
    fn pop(&mut self) -> Option<(u64, Event)> {
        let Reverse((key, event)) = self.entries.pop()?;
        Some(((key >> 64) as u64, event))
    }
}

fn pack(at: u64, sequence: u64) -> u128 {
    (u128::from(at) << 64) | u128::from(sequence)
}

const SIZES: [usize; 3] = [1_000, 100_000, 1_000_000];
