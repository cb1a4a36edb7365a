//! Keys in, state and screens out.

use std::cell::Cell;
use std::sync::LazyLock;
use std::time::Duration;

use queuelab_core::{Span, Time};
use queuelab_record::{RunRecord, fixture};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::app::{App, Message, Mode};
use crate::faults::{Menu, Order};
use crate::recorded::Recorded;
use crate::source::Source;
use crate::{BUDGET, FIRST_SLICE, FRAME, advance, message_of_key, run, view};

/// A screen on a record that is played back.
struct Screen {
    app: App,
    source: Recorded,
}

impl Screen {
    fn of(record: RunRecord) -> Screen {
        let source = Recorded::new(record);
        let app = App::new(source.snapshot(), source.menu());
        Screen { app, source }
    }

    /// The flash sale at `secs`.
    fn at(secs: u64) -> Screen {
        Screen::of_at(flash_sale(), secs)
    }

    /// `record` at `secs`.
    fn of_at(record: RunRecord, secs: u64) -> Screen {
        let mut screen = Screen::of(record);
        screen.source.advance(Time(secs * 1_000_000_000));
        screen
            .app
            .update(Message::Progress(Box::new(screen.source.snapshot())));
        screen
    }

    fn press(mut self, keys: &str) -> Screen {
        for key in keys.split_whitespace() {
            let message = match key {
                "frame" => Some(Message::Frame(FRAME)),
                key => message_of_key(&key_of(key), self.app.choosing),
            };
            if let Some(message) = message {
                let request = self.app.update(message);
                let mut slice = FIRST_SLICE;
                run(&mut self.source, &mut self.app, request, &mut slice, || {
                    Duration::ZERO
                });
            }
        }
        self
    }

    fn draw(&self, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| view::draw(&self.app, frame)).unwrap();
        let buffer = terminal.backend().buffer();
        let rows = buffer.content().chunks(usize::from(width.max(1)));
        let text = rows.map(|row| {
            row.iter()
                .map(|cell| cell.symbol())
                .collect::<String>()
                .trim_end()
                .to_string()
        });
        text.collect::<Vec<_>>().join("\n")
    }
}

fn key_of(name: &str) -> KeyEvent {
    let code = match name {
        "space" => KeyCode::Char(' '),
        "tab" => KeyCode::Tab,
        "up" => KeyCode::Up,
        "down" => KeyCode::Down,
        "right" => KeyCode::Right,
        "left" => KeyCode::Left,
        "enter" => KeyCode::Enter,
        "esc" => KeyCode::Esc,
        "ctrl-c" => return KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL),
        name => KeyCode::Char(name.chars().next().unwrap()),
    };
    KeyEvent::new(code, KeyModifiers::NONE)
}

/// The fixture, made once.
fn flash_sale() -> RunRecord {
    static RECORD: LazyLock<RunRecord> = LazyLock::new(fixture::flash_sale);
    RECORD.clone()
}

/// The state that keys lead to, from the start of the flash sale.
fn state(keys: &str) -> String {
    let app = Screen::at(0).press(keys).app;
    let mode = match app.mode {
        Mode::Running => "running".to_string(),
        Mode::Paused => "paused".to_string(),
        Mode::Until(instant) => format!("until {instant} from"),
    };
    let speed = app
        .speed
        .times()
        .map_or("max".to_string(), |times| format!("{times}×"));
    let queue = &app.record.queues[app.selected].name;
    let flags = [
        (app.finished(), " finished"),
        (app.alone, " alone"),
        (app.choosing, " choosing"),
        (app.help, " help"),
        (app.quit, " quit"),
    ];
    let flags: String = flags
        .iter()
        .filter(|(set, _)| *set)
        .map(|(_, name)| *name)
        .collect();
    format!("{mode} {} {speed} {queue}{flags}", app.now)
}

#[test]
fn keys_change_the_state() {
    let cases = [
        ("", "running 0s 50× orders"),
        ("frame", "running 2.5 s 50× orders"),
        ("space frame frame", "paused 0s 50× orders"),
        ("space space frame", "running 2.5 s 50× orders"),
        ("s", "paused 1 µs 50× orders"),
        ("right right", "paused 2 µs 50× orders"),
        ("S", "until 5 s from 0s 50× orders"),
        ("S frame", "paused 5 s 50× orders"),
        ("frame S frame", "paused 5 s 50× orders"),
        ("+ frame", "running 5 s 100× orders"),
        ("= =", "running 0s 200× orders"),
        ("- - frame", "running 500 ms 10× orders"),
        (
            "- - - - - - - - - - - - - - - - - -",
            "running 0s 0.001× orders",
        ),
        (
            "+ + + + + + + + + + + + + + + + + frame",
            "running 15m max orders finished",
        ),
        ("tab", "running 0s 50× payments"),
        ("down down", "running 0s 50× orders"),
        ("up o", "running 0s 50× payments alone"),
        ("?", "running 0s 50× orders help"),
        ("? frame ?", "running 2.5 s 50× orders"),
        ("? esc", "running 0s 50× orders"),
        ("esc", "running 0s 50× orders quit"),
        ("? q", "running 0s 50× orders help quit"),
        ("ctrl-c", "running 0s 50× orders quit"),
        ("frame space r frame", "running 2.5 s 50× orders"),
        ("left", "paused 0s 50× orders"),
        ("B", "paused 0s 50× orders"),
        ("f", "running 0s 50× orders choosing"),
        ("f frame", "running 0s 50× orders choosing"),
        ("f f frame", "running 2.5 s 50× orders"),
        ("f esc frame", "running 2.5 s 50× orders"),
        ("? f", "running 0s 50× orders choosing"),
        ("f down right tab 3 enter frame", "running 2.5 s 50× orders"),
        ("f ctrl-c", "running 0s 50× orders choosing quit"),
        ("x c", "running 0s 50× orders"),
    ];
    for (keys, expected) in cases {
        assert_eq!(state(keys), expected, "after {keys:?}");
    }
}

#[test]
fn a_finished_run_only_starts_again() {
    let finish = "+ + + + + + + + + + + + + + + + + frame";
    for keys in ["space", "s", "S", "f", "frame", "space s S frame frame"] {
        assert_eq!(
            state(&format!("{finish} {keys}")),
            state(finish),
            "after {keys:?}"
        );
    }
    assert_eq!(state(&format!("{finish} r")), "running 0s max orders");
}

#[test]
fn a_run_goes_back_to_what_was_kept_and_on_from_there() {
    let at = |keys: &str| {
        let screen = Screen::at(151).press(keys);
        format!("{} {:?}", screen.app.now, screen.app.mode)
    };
    assert_eq!(at("left"), "2m Until(Time(150000000000))");
    assert_eq!(at("left frame"), "2m30s Paused");
    assert_eq!(at("b b frame"), "2m25s Paused");
    assert_eq!(at("B frame"), "2m15s Paused");
    assert_eq!(at("left space frame"), "2m Paused");
    assert_eq!(at("left space space frame"), "2m02.5s Running");
    let mut screen = Screen::at(900).press("left frame");
    assert_eq!(screen.app.now, Time(895_000_000_000));
    assert!(!screen.app.finished());
    // What was decided at the end is not yet, and is again.
    let decided = |screen: &Screen| {
        let events = screen.app.events(100);
        events
            .iter()
            .filter(|line| line.text.starts_with('✓'))
            .count()
    };
    assert_eq!(decided(&screen), 0);
    screen = screen.press("S frame");
    assert!(screen.app.finished() && decided(&screen) > 0);
}

#[test]
fn a_fault_is_injected_now() {
    let screen = Screen::at(600).press("f 1 right right enter frame");
    let fault = screen.app.record.faults.last().unwrap();
    assert_eq!(
        (fault.kind.as_str(), fault.from),
        ("crash", Time(600_000_000_000))
    );
    assert_eq!(fault.until - fault.from, Span::from_secs(120));
    insta::assert_snapshot!(screen.draw(120, 40));
}

#[test]
fn the_menu_of_faults() {
    insta::assert_snapshot!(Screen::at(300).press("f 8 left").draw(80, 24));
}

#[test]
fn a_run_takes_about_twenty_seconds_by_default() {
    for secs in [0.01, 1.0, 8.0, 60.0, 100.0, 900.0, 86_400.0] {
        let speed = crate::app::Speed::for_run(Time::ZERO + Span::from_secs_f64(secs))
            .times()
            .unwrap();
        let wall = secs / speed;
        assert!(
            (7.0..=25.0).contains(&wall) || secs < 0.02,
            "{secs} s take {wall} s"
        );
    }
}

#[test]
fn frames_without_progress_are_told_apart_from_a_slow_run() {
    let mut app = Screen::at(0).app;
    app.update(Message::Frame(FRAME));
    let mut slow = Recorded::new(flash_sale());
    slow.advance(Time(1_000_000_000));
    app.update(Message::Progress(Box::new(slow.snapshot())));
    assert_eq!(app.reached, Some(20.0), "one of 2.5 s in 50 ms");
    assert_eq!(Screen::at(0).press("frame frame").app.reached, None);
}

/// A source that takes a microsecond of wall time for each virtual millisecond.
struct Slow<'a> {
    inner: Recorded,
    wall: &'a Cell<Duration>,
    calls: usize,
}

impl Source for Slow<'_> {
    fn now(&self) -> Time {
        self.inner.now()
    }
    fn end(&self) -> Time {
        self.inner.end()
    }
    fn advance(&mut self, until: Time) {
        let span = until.since(self.now());
        self.wall
            .set(self.wall.get() + Duration::from_nanos(span.0 / 1_000));
        self.calls += 1;
        self.inner.advance(until);
    }
    fn step(&mut self) {
        self.inner.step();
    }
    fn rewind(&mut self, until: Time) {
        self.inner.rewind(until);
    }
    fn restart(&mut self) {
        self.inner.restart();
    }
    fn inject(&mut self, order: Order) {
        self.inner.inject(order);
    }
    fn menu(&self) -> Menu {
        self.inner.menu()
    }
    fn record(&self) -> RunRecord {
        self.inner.record()
    }
    fn log(&self) -> Vec<queuelab_sim::LogLine> {
        self.inner.log()
    }
}

#[test]
fn a_frame_ends_in_time_however_slow_the_simulation_is() {
    let wall = Cell::new(Duration::ZERO);
    let mut slow = Slow {
        inner: Recorded::new(flash_sale()),
        wall: &wall,
        calls: 0,
    };
    let mut slice = FIRST_SLICE;
    // Many short frames must not make the slice long.
    for millis in 1..200 {
        advance(&mut slow, Time(millis * 1_000_000), &mut slice, || {
            wall.get()
        });
    }
    while slow.now() < slow.end() {
        let (before, calls) = (wall.get(), slow.calls);
        advance(&mut slow, Time::MAX, &mut slice, || wall.get());
        assert!(
            wall.get() - before <= BUDGET + BUDGET / 4,
            "{:?}",
            wall.get() - before
        );
        assert!(slow.calls - calls < 100, "{} slices", slow.calls - calls);
    }
}

#[test]
fn a_run_under_way() {
    insta::assert_snapshot!(Screen::at(300).draw(120, 40));
}

#[test]
fn a_run_under_way_on_a_small_terminal() {
    insta::assert_snapshot!(Screen::at(150).draw(80, 24));
}

#[test]
fn a_run_that_has_not_begun() {
    insta::assert_snapshot!(Screen::of(fixture::empty()).draw(100, 30));
}

#[test]
fn a_paused_run_on_a_large_terminal() {
    insta::assert_snapshot!(Screen::at(200).press("space s tab o").draw(160, 50));
}

#[test]
fn a_finished_run_with_a_failed_expectation() {
    insta::assert_snapshot!(Screen::at(900).draw(120, 40));
}

#[test]
fn a_finished_run_on_a_small_terminal() {
    insta::assert_snapshot!(Screen::at(900).draw(80, 24));
}

#[test]
fn delays_priorities_groups_and_an_alarm() {
    let screen = Screen::of_at(fixture::retries_and_streams(), 160);
    insta::assert_snapshot!(screen.draw(120, 40));
}

#[test]
fn delays_priorities_groups_and_an_alarm_on_a_small_terminal() {
    let screen = Screen::of_at(fixture::retries_and_streams(), 160);
    insta::assert_snapshot!(screen.draw(80, 24));
}

#[test]
fn a_finished_run_with_groups() {
    let screen = Screen::of_at(fixture::retries_and_streams(), 900);
    insta::assert_snapshot!(screen.draw(120, 40));
}

#[test]
fn bodies_in_memory_have_a_line_where_they_are_limited() {
    let mut record = fixture::flash_sale();
    record.nodes[0].bodies = Some(queuelab_record::BodiesRecord {
        budget: 32 << 20,
        resident_max: 31 << 20,
        read: 140_024,
        resident_series: vec![24 << 20; 600],
    });
    let screen = Screen::of_at(record, 160).draw(80, 24);
    assert_eq!(
        screen.lines().nth(2),
        Some(" bodies in memory 24 MiB of 32 MiB, at most 31 MiB; 140,024 read back")
    );
}

#[test]
fn dead_letters_that_wait_have_a_column() {
    let mut record = fixture::flash_sale();
    let without = Screen::of_at(record.clone(), 900).draw(120, 40);
    assert!(!without.contains("stalled"));
    record.queues[0].stalled_end = 4_321;
    let with = Screen::of_at(record, 900).draw(120, 40);
    let header = with.lines().find(|line| line.contains("stalled"));
    let column = header.map(|line| {
        line.chars().count()
            - line
                .split("stalled")
                .last()
                .map_or(0, |it| it.chars().count())
    });
    let end = column.expect("a column");
    let cell = |line: &str| line.chars().take(end).collect::<String>();
    assert!(
        with.lines().any(|line| cell(line).ends_with(" 4,321")),
        "{with}"
    );
}

#[test]
fn alarms_stand_out_while_they_are_on() {
    let line = |secs: u64| {
        let screen = Screen::of_at(fixture::retries_and_streams(), secs).draw(80, 24);
        screen.lines().nth(2).unwrap().to_string()
    };
    assert!(!line(149).contains("alarm"));
    assert_eq!(
        line(150),
        "  ALARM  memory of n1 since 2m30s: publishers blocked"
    );
    assert_eq!(line(174), " no alarm now; 1 alarm so far, 22 s");
    assert_eq!(
        line(180),
        "  ALARM  memory of n1 since 2m56s: publishers blocked"
    );
    assert_eq!(line(200), " no alarm now; 2 alarms so far, 27 s");
}

#[test]
fn the_help() {
    insta::assert_snapshot!(Screen::at(130).press("?").draw(80, 24));
}

#[test]
fn a_tiny_terminal() {
    insta::assert_snapshot!(Screen::at(130).draw(30, 5), @"queuelab needs 40 × 10");
}

#[test]
fn every_size_can_be_drawn() {
    let mut crowded = flash_sale();
    for index in 0..30 {
        let mut queue = crowded.queues[0].clone();
        queue.name = format!("a queue with quite a long name, number {index}");
        (queue.delivery, queue.end_to_end) = (Vec::new(), Vec::new());
        crowded.queues.push(queue);
        crowded.consumers.push(crowded.consumers[0].clone());
        crowded.expectations.push(crowded.expectations[0].clone());
    }
    let mut bare = fixture::empty();
    bare.end = Time::ZERO;
    bare.window = Span::ZERO;
    bare.queues.clear();
    bare.consumers.clear();
    bare.producers.clear();
    bare.phases.clear();
    bare.expectations.clear();
    let screens = [
        Screen::at(300),
        Screen::of_at(fixture::retries_and_streams(), 160),
        Screen::at(900).press("?"),
        Screen::at(300).press("f up"),
        Screen::of(fixture::empty()),
        Screen::of(crowded).press("up frame frame frame"),
        Screen::of(bare).press("tab up S s frame"),
    ];
    for screen in &screens {
        for height in (1..26).chain((26..=60).step_by(5)) {
            for width in (1..=200).step_by(7).chain([40, 75, 76, 109, 110]) {
                screen.draw(width, height);
            }
        }
    }
}
