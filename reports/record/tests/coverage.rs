//! Do intervals cover as often as they say? The oracle is M/M/1, of which the truth is known; and procedures that are known to fail do fail,
//! by as much as the literature says.
//!
//! Every experiment has its own seed, so the shares are always the same. Their margins are four standard errors of a binomial share: other
//! seeds would pass as well, but for one set in 16,000.

use queuelab_core::Span;
use queuelab_record::Latencies;
use queuelab_record::statistics::{
    Interval, Precision, autocorrelation, batch_means, holm, mser5, paired,
};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// An M/M/1 queue with a service rate of 1, message by message, by Lindley's recursion (1952): Wₙ₊₁ = max(0, Wₙ + Sₙ − Aₙ₊₁).
struct Queue {
    random: Xoshiro256PlusPlus,
    load: f64,
    wait: f64,
}

impl Queue {
    fn empty(load: f64, seed: u64) -> Queue {
        let random = Xoshiro256PlusPlus::seed_from_u64(seed);
        Queue {
            random,
            load,
            wait: 0.0,
        }
    }

    /// It has run for ever: a share 1 − ρ does not wait, the others' waits are exponential with rate 1 − ρ.
    fn steady(load: f64, seed: u64) -> Queue {
        let mut queue = Queue::empty(load, seed);
        if queue.random.random::<f64>() < load {
            queue.wait = queue.exponential() / (1.0 - load);
        }
        queue
    }

    fn exponential(&mut self) -> f64 {
        -libm::log1p(-self.random.random::<f64>())
    }

    /// The wait of the next message and its service time.
    fn serve(&mut self) -> (f64, f64) {
        let (wait, service) = (self.wait, self.exponential());
        let gap = self.exponential() / self.load;
        self.wait = (wait + service - gap).max(0.0);
        (wait, service)
    }

    fn waits(&mut self, messages: usize) -> Vec<f64> {
        (0..messages).map(|_| self.serve().0).collect()
    }
}

/// The mean wait in the steady state, ρ/(1 − ρ) service times.
fn mean_wait(load: f64) -> f64 {
    load / (1.0 - load)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// In which share of `experiments` (given their seeds) an interval covers the truth.
fn coverage(experiments: u64, truth: f64, interval: impl Fn(u64) -> Interval) -> f64 {
    let covering = (0..experiments).filter(|&experiment| interval(experiment).contains(truth));
    covering.count() as f64 / experiments as f64
}

/// Four standard errors of a share over so many experiments.
fn margin(share: f64, experiments: u64) -> f64 {
    4.0 * (share * (1.0 - share) / experiments as f64).sqrt()
}

fn assert_share(found: f64, expected: f64, experiments: u64) {
    let margin = margin(expected, experiments);
    assert!(
        (found - expected).abs() <= margin,
        "{found} instead of {expected} ± {margin:.3}"
    );
}

/// Seeds of the replications of an experiment.
fn seeds(experiment: u64, replications: u64) -> std::ops::Range<u64> {
    experiment * replications..(experiment + 1) * replications
}

fn replicated(experiment: u64, run: impl Fn(u64) -> f64) -> Interval {
    let values: Vec<f64> = seeds(experiment, 10).map(run).collect();
    Interval::of_mean(&values, 0.9).unwrap()
}

#[test]
fn intervals_of_90_percent_over_replications_cover_90_percent() {
    let experiments = 1_000;
    let found = coverage(experiments, mean_wait(0.5), |experiment| {
        replicated(experiment, |seed| {
            mean(&Queue::steady(0.5, seed).waits(1_000))
        })
    });
    assert_share(found, 0.9, experiments);
}

#[test]
fn intervals_of_percentiles_cover_90_percent() {
    // The time in the system is exponential with rate 1 − ρ.
    let experiments = 400;
    let truth = -libm::log(0.1) / (1.0 - 0.5);
    let found = coverage(experiments, truth, |experiment| {
        let mut all = Latencies::default();
        let runs: Vec<f64> = seeds(experiment, 10)
            .map(|seed| {
                let (mut queue, mut run) = (Queue::steady(0.5, seed), Latencies::default());
                for _ in 0..2_000 {
                    let (wait, service) = queue.serve();
                    run.record(Span::from_secs_f64(wait + service));
                }
                all.merge(&run);
                run.quantile(0.9).unwrap().as_secs_f64()
            })
            .collect();
        let pooled = all.quantile(0.9).unwrap().as_secs_f64();
        Interval::of_quantile(pooled, &runs, 0.9).unwrap()
    });
    assert_share(found, 0.9, experiments);
}

/// Law's table 9.1: the mean wait of the first 25 messages of an empty M/M/1 with ρ = 0.9 is 2.12 times that between arrivals, and intervals
/// of 90 % over 10 replications cover it in 86 % of 500 experiments: few messages make skewed means.
#[test]
fn terminating_runs_of_few_messages_cover_a_little_less() {
    let truth = mean_of_the_first(25, 0.9);
    assert!((truth * 0.9 - 2.12).abs() < 0.005, "{truth}");
    let experiments = 2_000;
    let found = coverage(experiments, truth, |experiment| {
        replicated(experiment, |seed| mean(&Queue::empty(0.9, seed).waits(25)))
    });
    assert_share(found, 0.864, 500);
    assert!(found < 0.9 - margin(0.9, experiments), "{found}");
}

/// The exact mean wait of the first messages, from the distribution of how many each finds: between two arrivals a busy server finishes k
/// messages and no more with probability (1/(1+ρ))ᵏ ρ/(1+ρ).
fn mean_of_the_first(messages: usize, load: f64) -> f64 {
    let (done, gap) = (1.0 / (1.0 + load), load / (1.0 + load));
    let mut found = vec![1.0];
    let mut total = 0.0;
    for _ in 0..messages {
        let number = |(count, share): (usize, &f64)| count as f64 * share;
        total += found.iter().enumerate().map(number).sum::<f64>();
        let mut next = vec![0.0; found.len() + 1];
        for (count, share) in found.iter().enumerate() {
            let mut left = *share;
            for after in (1..=count + 1).rev() {
                next[after] += left * gap;
                left *= done;
            }
            next[0] += left;
        }
        found = next;
    }
    total / messages as f64
}

/// Law and Kelton (Confidence intervals for steady-state simulations I, Operations Research 32, 1984; Law's table 9.4): batch means of an
/// M/M/1 with ρ = 0.8 from empty cover far less than 90 % where batches are short, and the more so the more there are of them: from about
/// half of the time (320 messages in 20 batches) to about four fifths (2,560 in 5).
#[test]
fn batch_means_of_short_runs_at_high_load_fail_as_published() {
    for (messages, batches, published) in [
        (320, 5, 0.690),
        (320, 20, 0.490),
        (1_280, 5, 0.780),
        (2_560, 5, 0.798),
        (2_560, 20, 0.753),
    ] {
        let experiments = 1_000;
        let found = coverage(experiments, mean_wait(0.8), |seed| {
            let waits = Queue::empty(0.8, seed).waits(messages);
            Interval::of_mean(&batch_means(&waits, batches), 0.9).unwrap()
        });
        assert_share(found, published, 400);
    }
}

#[test]
fn long_batches_cover_and_are_not_correlated() {
    let experiments = 400;
    let correlated = |messages: usize| {
        let correlation = |seed| {
            let waits = Queue::steady(0.5, seed).waits(messages);
            autocorrelation(&batch_means(&waits, 20)).unwrap()
        };
        (0..experiments).map(correlation).sum::<f64>() / experiments as f64
    };
    // Of twenty independent values the mean is −1/20.
    assert!(correlated(200) > 0.1, "{}", correlated(200));
    assert!(correlated(20_000).abs() < 0.1, "{}", correlated(20_000));
    let found = coverage(experiments, mean_wait(0.5), |seed| {
        let waits = Queue::steady(0.5, seed).waits(20_000);
        Interval::of_mean(&batch_means(&waits, 20), 0.9).unwrap()
    });
    assert_share(found, 0.9, experiments);
}

/// Waits follow each other closely. An interval that takes them for independent is worth nothing (Law 4.4).
#[test]
fn messages_of_one_run_are_no_independent_values() {
    let found = coverage(200, mean_wait(0.8), |seed| {
        Interval::of_mean(&Queue::steady(0.8, seed).waits(2_000), 0.9).unwrap()
    });
    assert!(found < 0.3, "{found}");
}

/// More replications of a run that starts empty make narrow intervals about the wrong value (Law 9.5.2).
#[test]
fn replications_do_not_help_against_the_transient() {
    let covers = |replications: u64| {
        coverage(200, mean_wait(0.9), |experiment| {
            let runs = seeds(experiment, replications);
            let means: Vec<f64> = runs
                .map(|seed| mean(&Queue::empty(0.9, seed).waits(400)))
                .collect();
            Interval::of_mean(&means, 0.9).unwrap()
        })
    };
    let (few, many) = (covers(5), covers(60));
    assert!(few > 0.5 && many < 0.1, "{few} {many}");
}

/// A queue that starts with work for 200 service times needs about 200 · ρ/(1 − ρ) messages to get rid of it. MSER-5 cuts a little after that, or
/// says (rarely) that the run is too short; the mean of what it leaves is right, that of all is not.
#[test]
fn mser5_cuts_the_transient_off() {
    let experiments = 200;
    let run = |seed| {
        let mut queue = Queue::empty(0.5, seed);
        queue.wait = 200.0;
        queue.waits(4_000)
    };
    let cuts: Vec<usize> = (0..experiments)
        .filter_map(|seed| mser5(&run(seed)))
        .collect();
    let average = cuts.iter().sum::<usize>() as f64 / cuts.len() as f64;
    assert!((180.0..400.0).contains(&average), "{average}");
    assert!(cuts.len() >= 180, "{} runs are long enough", cuts.len());
    let interval = |experiment, truncated: bool| {
        let kept = seeds(experiment, 10).filter_map(|seed| {
            let waits = run(seed);
            let cut = if truncated { mser5(&waits)? } else { 0 };
            Some(mean(&waits[cut..]))
        });
        Interval::of_mean(&kept.collect::<Vec<f64>>(), 0.9).unwrap()
    };
    let whole = coverage(50, mean_wait(0.5), |experiment| interval(experiment, false));
    assert_eq!(whole, 0.0);
    let cut = coverage(experiments, mean_wait(0.5), |experiment| {
        interval(experiment, true)
    });
    assert_share(cut, 0.9, experiments);
}

/// To stop as soon as it looks precise costs little coverage if ten replications are made at least, much more with two (Law 9.4.1).
#[test]
fn sequential_stopping_covers_nearly_as_often() {
    let experiments = 300;
    let replicate = |experiment| -> Vec<f64> {
        seeds(experiment, 80)
            .map(|seed| mean(&Queue::steady(0.5, seed).waits(500)))
            .collect()
    };
    let values: Vec<Vec<f64>> = (0..experiments).map(replicate).collect();
    let covers = |least: usize| {
        let precision = Precision {
            confidence: 0.9,
            relative: 0.1,
            least,
        };
        coverage(experiments, mean_wait(0.5), |experiment| {
            let values = &values[experiment as usize];
            let enough = precision.reached(&[values]).unwrap();
            Interval::of_mean(&values[..enough], 0.9).unwrap()
        })
    };
    let (careful, hasty) = (covers(10), covers(2));
    assert_share(careful, 0.9, experiments);
    assert!(hasty < careful - 0.03, "{hasty} {careful}");
}

/// The same arrivals and services for both designs, one of which serves 3 % slower: a paired comparison sees it, one of different seeds does
/// not.
#[test]
fn common_random_numbers_show_a_small_difference() {
    let run = |seed: u64, slower: f64| {
        let mut queue = Queue::steady(0.5, seed);
        let mut wait = 0.0;
        let waits: Vec<f64> = (0..1_000)
            .map(|_| {
                let now = wait;
                let service = queue.exponential() * slower;
                wait = f64::max(0.0, wait + service - queue.exponential() / 0.5);
                now
            })
            .collect();
        mean(&waits)
    };
    let design = |first: u64, slower: f64| -> Vec<f64> {
        (first..first + 10).map(|seed| run(seed, slower)).collect()
    };
    let experiments = 200;
    let seen = |other: u64| {
        let p = |experiment: u64| {
            let first = experiment * 10;
            paired(&design(first, 1.0), &design(first + other, 1.03), 0.95)
                .unwrap()
                .p
        };
        (0..experiments)
            .filter(|&experiment| p(experiment) < 0.05)
            .count() as f64
            / experiments as f64
    };
    let (common, apart) = (seen(0), seen(1_000_000));
    assert!(common > 0.99 && apart < 0.2, "{common} {apart}");
}

/// Five designs that do not differ, compared with a sixth: without correction every fourth or fifth experiment raises a false alarm, with it
/// not more than one in twenty.
#[test]
fn holm_keeps_false_alarms_below_the_level() {
    let experiments = 1_000;
    let alarms = |correct: bool| {
        let alarm = |experiment: &u64| {
            let mut random = Xoshiro256PlusPlus::seed_from_u64(*experiment);
            let mut design = || -> Vec<f64> {
                // The sum of twelve uniform numbers is close to normal.
                (0..10)
                    .map(|_| (0..12).map(|_| random.random::<f64>()).sum())
                    .collect()
            };
            let p: Vec<f64> = (0..5)
                .map(|_| paired(&design(), &design(), 0.95).unwrap().p)
                .collect();
            let p = if correct { holm(&p) } else { p };
            p.iter().any(|&p| p < 0.05)
        };
        (0..experiments).filter(alarm).count() as f64 / experiments as f64
    };
    assert_share(
        alarms(false),
        1.0 - 0.95 * 0.95 * 0.95 * 0.95 * 0.95,
        experiments,
    );
    let corrected = alarms(true);
    assert!(corrected <= 0.05 + margin(0.05, experiments), "{corrected}");
}
