//! A run in slices, with a bar on standard error while it lasts.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use queuelab_core::Time;
use queuelab_record::grouped;
use queuelab_sim::Simulation;

use crate::summary::speed;

/// Runs to the end; how long that took. The bar shows only on a terminal, and never when `quiet`.
pub(crate) fn drive(simulation: &mut Simulation, name: &str, quiet: bool) -> Duration {
    let started = Instant::now();
    let bar = if quiet {
        ProgressBar::hidden()
    } else {
        bar(name)
    };
    let mut shown = Duration::ZERO;
    in_slices(simulation, SLICES, |simulation| {
        let elapsed = started.elapsed();
        if elapsed - shown >= INTERVAL && !bar.is_hidden() {
            shown = elapsed;
            bar.set_message(status(
                simulation.now(),
                simulation.end(),
                simulation.sent(),
                elapsed,
            ));
            bar.set_position(per_mille(simulation.now(), simulation.end()));
        }
    });
    let elapsed = started.elapsed();
    bar.finish_and_clear();
    elapsed
}

/// Runs to the end in slices of equal virtual time, with a look after each.
fn in_slices(simulation: &mut Simulation, slices: u64, mut look: impl FnMut(&Simulation)) {
    let end = simulation.end();
    for slice in 1..=slices {
        // Multiplied first, so that the last slice ends exactly at the end.
        let until = u128::from(end.0) * u128::from(slice) / u128::from(slices);
        simulation.run_until(Time(until as u64));
        look(simulation);
    }
}

fn bar(name: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(1000), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{prefix} {bar:16} {wide_msg}") {
        bar.set_style(style.progress_chars("━╸─"));
    }
    bar.set_prefix(name.to_string());
    bar
}

fn per_mille(now: Time, end: Time) -> u64 {
    (u128::from(now.0) * 1000 / u128::from(end.0.max(1))) as u64
}

/// `2m30s of 15m · 2 s left · 1,204,000 messages/s · 1,500 × real time`: narrow terminals cut the end off.
fn status(now: Time, end: Time, sent: u64, elapsed: Duration) -> String {
    let wall = elapsed.as_secs_f64().max(1e-9);
    let mut text = format!("{now} of {end}");
    // Before that the guess would say more about the start than about the rest.
    let done = now.as_secs_f64() / end.as_secs_f64();
    if done >= 0.01 {
        text.push_str(&format!(" · {:.0} s left", wall / done - wall));
    }
    let rate = grouped((sent as f64 / wall) as u64);
    let speed = speed(now.as_secs_f64(), elapsed);
    format!("{text} · {rate} messages/s · {speed}")
}

/// Enough for a smooth bar, few enough to cost nothing.
const SLICES: u64 = 2_000;

/// Faster than this the figures cannot be read.
const INTERVAL: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_tells_progress_and_speed() {
        let (now, end) = (Time(150_000_000_000), Time(900_000_000_000));
        let text = status(now, end, 2_000_000, Duration::from_secs(2));
        assert_eq!(
            text,
            "2m30s of 15m · 10 s left · 1,000,000 messages/s · 75 × real time"
        );
        assert_eq!(per_mille(now, end), 166);
    }

    #[test]
    fn slices_leave_no_trace_in_the_record() {
        let scenario = queuelab_scenario::open("hello", &["duration=5s".into()]).unwrap();
        let scenario = std::sync::Arc::new(scenario);
        let record = |slices| {
            let options = queuelab_sim::Options {
                seed: 7,
                check: true,
            };
            let mut simulation = Simulation::new(scenario.clone(), options);
            let mut looks = 0;
            in_slices(&mut simulation, slices, |_| looks += 1);
            assert_eq!((simulation.now(), looks), (scenario.end(), slices));
            simulation.record()
        };
        assert!(record(1) == record(997));
    }

    #[test]
    fn nothing_is_guessed_at_the_start() {
        let text = status(Time::ZERO, Time(900_000_000_000), 0, Duration::ZERO);
        assert_eq!(text, "0s of 15m · 0 messages/s · 0 × real time");
    }
}
