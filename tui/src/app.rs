//! What the screen shows, and how messages change it. No terminal, no clock.

use std::time::Duration;

use queuelab_core::{Span, Time};
use queuelab_record::{RunRecord, Verdict};
use queuelab_sim::LogLine;

use crate::faults::{Menu, Order};
use crate::figures::{self, Percentiles};
use crate::source::{LOG_LINES, Snapshot};

/// Something that happened to the screen.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    /// Pause or go on.
    Pause,
    /// One event further.
    StepEvent,
    /// To the end of the window.
    StepWindow,
    /// Back by a window.
    Back,
    /// Back by a twentieth of the run.
    BackFar,
    /// The next higher speed.
    Faster,
    /// The next lower speed.
    Slower,
    /// Select the next queue.
    NextQueue,
    /// Select the queue before.
    PreviousQueue,
    /// Chart the selected queue alone, or all of them.
    Alone,
    /// From time zero again.
    Restart,
    /// Show or hide the faults that can be injected.
    Faults,
    /// In that menu: choose the kind with this number, from 0.
    Choose(usize),
    /// In that menu: the kind so many further down, or up.
    Turn(isize),
    /// In that menu: whom else it may strike.
    OtherTarget,
    /// In that menu: for longer, or less long.
    Lengthen(isize),
    /// In that menu: inject what is chosen.
    Inject,
    /// Show or hide the help.
    Help,
    /// Hide the menu or the help, or quit.
    Leave,
    /// Quit.
    Quit,
    /// A frame is due; so much wall time has passed since the last one.
    Frame(Duration),
    /// What a request led to.
    Progress(Box<Snapshot>),
}

/// What the run is to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Request {
    /// Nothing.
    Nothing,
    /// Move towards this instant.
    Advance(Time),
    /// Run one event.
    Step,
    /// Go back to an instant that is kept, this one at the latest.
    Rewind(Time),
    /// Go back to time zero.
    Restart,
    /// Inject a fault now.
    Inject(Order),
}

/// Whether virtual time moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It does.
    Running,
    /// It does not.
    Paused,
    /// It does, up to an instant.
    Until(Time),
}

/// Virtual time per wall time: steps 1, 2, 5 of every power of ten, and beyond the last one no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Speed(usize);

/// The screen's state.
#[derive(Clone, Debug)]
pub(crate) struct App {
    /// Whether virtual time moves.
    pub(crate) mode: Mode,
    /// How fast.
    pub(crate) speed: Speed,
    /// The virtual time per wall time that is reached, if the run falls behind `speed`.
    pub(crate) reached: Option<f64>,
    /// Index of the highlighted queue.
    pub(crate) selected: usize,
    /// Whether the chart shows only that one.
    pub(crate) alone: bool,
    /// The faults that can be injected.
    pub(crate) faults: Menu,
    /// Whether they are shown; virtual time stands still then.
    pub(crate) choosing: bool,
    /// Whether the help is open.
    pub(crate) help: bool,
    /// Whether to leave.
    pub(crate) quit: bool,
    /// The present.
    pub(crate) now: Time,
    /// When the run ends.
    pub(crate) end: Time,
    /// What was measured so far.
    pub(crate) record: RunRecord,
    /// Confirm, delivery and end-to-end latency of the run so far; merged once per snapshot, not per drawing.
    pub(crate) latencies: [Option<Percentiles>; 3],
    /// The last lines of the run's log.
    log: Vec<LogLine>,
    /// What was decided so far, in the order in which the screen learnt of it.
    decided: Vec<LogLine>,
    /// Wall time of the last frame, and where virtual time was to be at its end.
    pace: (Duration, Time),
}

impl App {
    pub(crate) fn new(snapshot: Snapshot, faults: Menu) -> App {
        let mut app = App {
            mode: Mode::Running,
            speed: Speed::for_run(snapshot.end),
            reached: None,
            selected: 0,
            alone: false,
            faults,
            choosing: false,
            help: false,
            quit: false,
            now: Time::ZERO,
            end: snapshot.end,
            record: snapshot.record.clone(),
            latencies: [None; 3],
            log: Vec::new(),
            decided: Vec::new(),
            pace: (Duration::ZERO, Time::ZERO),
        };
        app.show(snapshot);
        app
    }

    /// Whether the run has reached its end.
    pub(crate) fn finished(&self) -> bool {
        self.now >= self.end
    }

    /// Takes `message` in; what it asks of the run is returned.
    pub(crate) fn update(&mut self, message: Message) -> Request {
        match message {
            Message::Pause if self.finished() => {}
            Message::Pause => {
                self.mode = match self.mode {
                    Mode::Paused => Mode::Running,
                    Mode::Running | Mode::Until(_) => Mode::Paused,
                }
            }
            Message::StepEvent | Message::StepWindow if self.finished() => {}
            Message::StepEvent => {
                self.mode = Mode::Paused;
                return Request::Step;
            }
            Message::StepWindow => self.mode = Mode::Until(self.window_end()),
            Message::Back => return self.back(self.record.window),
            Message::BackFar => return self.back(Span(self.end.0 / FAR)),
            Message::Faster => self.set_speed(self.speed.faster()),
            Message::Slower => self.set_speed(self.speed.slower()),
            Message::NextQueue => self.select(1),
            Message::PreviousQueue => self.select(self.record.queues.len().saturating_sub(1)),
            Message::Alone => self.alone = !self.alone,
            Message::Restart => {
                self.mode = Mode::Running;
                self.reached = None;
                return Request::Restart;
            }
            Message::Faults if self.finished() => {}
            Message::Faults => (self.choosing, self.help) = (!self.choosing, false),
            Message::Choose(index) => self.faults.choose(index),
            Message::Turn(by) => self.faults.turn(by),
            Message::OtherTarget => self.faults.other_target(),
            Message::Lengthen(by) => self.faults.lengthen(by),
            Message::Inject => {
                self.choosing = false;
                return self
                    .faults
                    .order()
                    .map_or(Request::Nothing, Request::Inject);
            }
            Message::Leave if self.choosing => self.choosing = false,
            Message::Help => self.help = !self.help,
            Message::Leave if self.help => self.help = false,
            Message::Leave | Message::Quit => self.quit = true,
            Message::Frame(elapsed) => return self.frame(elapsed),
            Message::Progress(snapshot) => self.show(*snapshot),
        }
        Request::Nothing
    }

    fn frame(&mut self, elapsed: Duration) -> Request {
        let until = match self.mode {
            _ if self.finished() || self.choosing => return Request::Nothing,
            Mode::Paused => return Request::Nothing,
            Mode::Running => self
                .speed
                .after(self.now, elapsed.min(LONGEST_FRAME))
                .min(self.end),
            Mode::Until(instant) => instant,
        };
        self.pace = (elapsed, until);
        Request::Advance(until)
    }

    fn show(&mut self, snapshot: Snapshot) {
        self.measure_pace(snapshot.now);
        self.now = snapshot.now;
        self.end = snapshot.end;
        self.latencies = figures::whole_run(&snapshot.record);
        self.log = snapshot.log;
        self.record = snapshot.record;
        self.decide();
        self.selected = self
            .selected
            .min(self.record.queues.len().saturating_sub(1));
        if matches!(self.mode, Mode::Until(instant) if self.now >= instant) {
            self.mode = Mode::Paused;
        }
    }

    /// Tells what is decided now and was not before. What was decided later than now, before the run was rewound, is not yet.
    fn decide(&mut self) {
        self.decided.retain(|line| line.at <= self.now);
        for text in decisions(&self.record) {
            if self.decided.iter().all(|line| line.text != text) {
                self.decided.push(LogLine { at: self.now, text });
            }
        }
    }

    /// The last lines of what happened: of the run's log, and of what was decided.
    pub(crate) fn events(&self, most: usize) -> Vec<&LogLine> {
        let mut lines: Vec<&LogLine> = self.log.iter().chain(&self.decided).collect();
        lines.sort_by_key(|line| line.at);
        lines.split_off(lines.len().saturating_sub(most.min(LOG_LINES)))
    }

    /// To the last multiple of `step` before now, or before where the run is being rewound to.
    fn back(&mut self, step: Span) -> Request {
        let from = match self.mode {
            Mode::Until(instant) if instant > self.now => instant,
            _ => self.now,
        };
        let step = step.0.max(1);
        let until = Time(from.0.saturating_sub(1) / step * step);
        self.mode = Mode::Until(until);
        self.reached = None;
        Request::Rewind(until)
    }

    /// Smoothed over some frames, so that the figure can be read.
    fn measure_pace(&mut self, now: Time) {
        let (elapsed, until) = self.pace;
        if self.mode != Mode::Running || elapsed.is_zero() || now < self.now {
            return;
        }
        let pace = now.since(self.now).as_secs_f64() / elapsed.as_secs_f64();
        let behind = now < until || self.speed.times().is_none();
        self.reached = behind.then(|| {
            self.reached
                .map_or(pace, |before| before + (pace - before) / 8.0)
        });
    }

    fn window_end(&self) -> Time {
        let window = self.record.window.0.max(1);
        let end = (self.now.0 / window)
            .saturating_add(1)
            .saturating_mul(window);
        Time(end).min(self.end)
    }

    fn set_speed(&mut self, speed: Speed) {
        self.speed = speed;
        self.reached = None;
    }

    fn select(&mut self, by: usize) {
        let count = self.record.queues.len().max(1);
        self.selected = (self.selected + by) % count;
    }
}

impl Speed {
    /// The one at which a run up to `end` takes about twenty seconds.
    pub(crate) fn for_run(end: Time) -> Speed {
        let wanted = end.as_secs_f64() / WATCHED_SECONDS;
        let speed = (0..STEPS).find(|&step| at_step(step) >= wanted * 0.8);
        Speed(speed.unwrap_or(STEPS))
    }

    /// Virtual seconds per second; `None` is no limit.
    pub(crate) fn times(self) -> Option<f64> {
        (self.0 < STEPS).then(|| at_step(self.0))
    }

    fn faster(self) -> Speed {
        Speed((self.0 + 1).min(STEPS))
    }

    fn slower(self) -> Speed {
        Speed(self.0.saturating_sub(1))
    }

    fn after(self, now: Time, elapsed: Duration) -> Time {
        match self.times() {
            Some(times) => now + Span::from_secs_f64(elapsed.as_secs_f64() * times),
            None => Time::MAX,
        }
    }
}

/// A line for every expectation that is decided, and every invariant that is violated.
fn decisions(record: &RunRecord) -> Vec<String> {
    let decided = record.expectations.iter().filter_map(|expectation| {
        let mark = match expectation.verdict {
            Verdict::Undecided => return None,
            Verdict::Pass => '✓',
            Verdict::Fail => '✗',
        };
        Some(format!(
            "{mark} {}: {}",
            expectation.text, expectation.measured
        ))
    });
    let violated = record.invariants.iter().filter_map(|invariant| {
        let example = invariant
            .examples
            .first()
            .map_or(String::new(), |example| format!(": {example}"));
        let is_violated = invariant.verdict == Verdict::Fail;
        is_violated.then(|| format!("✗ {} violated{example}", invariant.name))
    });
    violated.chain(decided).collect()
}

fn at_step(step: usize) -> f64 {
    ([1, 2, 5][step % 3] * 10u64.pow((step / 3) as u32)) as f64 / 1000.0
}

/// 0.001 to 500,000.
const STEPS: usize = 27;
const WATCHED_SECONDS: f64 = 20.0;
/// After a longer one (the process was stopped) virtual time does not make up for it.
const LONGEST_FRAME: Duration = Duration::from_millis(250);
/// A long way back is so large a part of the run.
const FAR: u64 = 20;
