//! queuelab's terminal screen: one live simulation, watched.
//!
//! The screen owns no logic of the simulation. [`source`] is what it watches, [`app`] what it shows and how keys change
//! that, [`view`] how it is drawn; the last two are pure. Wall time exists in this file only: it decides how far virtual
//! time moves between two frames, never what happens in it.

mod app;
mod faults;
mod figures;
mod live;
#[cfg(test)]
mod recorded;
mod source;
#[cfg(test)]
mod tests;
mod text;
mod view;

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::Duration;

use queuelab_core::{Span, Time};
use queuelab_scenario::Scenario;
use queuelab_sim::Options;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use app::{App, Message, Request};
use live::Live;
use source::Source;

/// Runs `scenario` on a screen that takes the whole terminal, until its user quits.
///
/// # Errors
///
/// Standard input or output is not a terminal, or the terminal fails. The terminal is given back as it was, on a panic
/// too.
pub fn watch(scenario: Arc<Scenario>, options: Options) -> io::Result<()> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(io::Error::other(
            "failed to open the screen: standard input and output must be a terminal",
        ));
    }
    let mut source = Live::new(scenario, options);
    // Entering may fail halfway, so what gives the terminal back exists before.
    let _restored = Restored;
    let mut terminal = ratatui::try_init()?;
    show(&mut terminal, &mut source)
}

/// Gives the terminal back when it goes out of scope.
struct Restored;

impl Drop for Restored {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = ratatui::try_restore();
    }
}

#[expect(
    clippy::disallowed_types,
    reason = "wall time decides how far virtual time moves per frame, never what happens in it"
)]
fn show(terminal: &mut DefaultTerminal, source: &mut impl Source) -> io::Result<()> {
    let started = std::time::Instant::now();
    let mut slice = FIRST_SLICE;
    let mut app = App::new(source.snapshot(), source.menu());
    let mut last = started.elapsed();
    while !app.quit {
        terminal.draw(|frame| view::draw(&app, frame))?;
        let mut wait = (last + FRAME).saturating_sub(started.elapsed());
        while event::poll(wait)? {
            if let Some(message) = message_of(&event::read()?, app.choosing) {
                let request = app.update(message);
                run(source, &mut app, request, &mut slice, || started.elapsed());
            }
            wait = (last + FRAME).saturating_sub(started.elapsed());
        }
        let now = started.elapsed();
        let request = app.update(Message::Frame(now - last));
        last = now;
        run(source, &mut app, request, &mut slice, || started.elapsed());
    }
    Ok(())
}

/// Does to the source what the app asks for, and tells the app what came of it.
fn run(
    source: &mut impl Source,
    app: &mut App,
    request: Request,
    slice: &mut Span,
    clock: impl Fn() -> Duration,
) {
    match request {
        Request::Nothing => return,
        Request::Advance(until) => advance(source, until, slice, clock),
        Request::Step => source.step(),
        Request::Rewind(until) => source.rewind(until),
        Request::Restart => source.restart(),
        Request::Inject(order) => source.inject(order),
    }
    app.update(Message::Progress(Box::new(source.snapshot())));
}

/// Advances to `until`, or for as long as a frame leaves time, in slices of virtual time that are fitted to how fast
/// the simulation is, so that keys never wait.
fn advance(source: &mut impl Source, until: Time, slice: &mut Span, clock: impl Fn() -> Duration) {
    let started = clock();
    let mut spent = Duration::ZERO;
    while source.now() < until && spent < BUDGET {
        let next = source.now() + *slice;
        source.advance(until.min(next));
        let before = std::mem::replace(&mut spent, clock() - started);
        let took = spent - before;
        if took > BUDGET / 4 {
            *slice = Span((slice.0 / 2).max(1));
        } else if took < BUDGET / 16 && next < until {
            // A step that ended early, at `until`, tells nothing of what a whole slice takes.
            *slice = *slice * 2;
        }
    }
}

fn message_of(event: &Event, choosing: bool) -> Option<Message> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => message_of_key(key, choosing),
        _ => None,
    }
}

/// What a key means; while a fault is being chosen, some mean something else.
fn message_of_key(key: &KeyEvent, choosing: bool) -> Option<Message> {
    let plain = !key.modifiers.contains(KeyModifiers::CONTROL);
    if let Some(message) = Some(key.code)
        .filter(|_| choosing && plain)
        .and_then(choice)
    {
        return Some(message);
    }
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return (key.code == KeyCode::Char('c')).then_some(Message::Quit);
    }
    Some(match key.code {
        KeyCode::Char(' ') => Message::Pause,
        KeyCode::Char('s') | KeyCode::Right => Message::StepEvent,
        KeyCode::Char('S') => Message::StepWindow,
        KeyCode::Char('b') | KeyCode::Left => Message::Back,
        KeyCode::Char('B') => Message::BackFar,
        KeyCode::Char('+' | '=') => Message::Faster,
        KeyCode::Char('-') => Message::Slower,
        KeyCode::Tab | KeyCode::Down => Message::NextQueue,
        KeyCode::BackTab | KeyCode::Up => Message::PreviousQueue,
        KeyCode::Char('o') => Message::Alone,
        KeyCode::Char('r') => Message::Restart,
        KeyCode::Char('f') => Message::Faults,
        KeyCode::Char('?' | 'h') => Message::Help,
        KeyCode::Char('q') => Message::Quit,
        KeyCode::Esc => Message::Leave,
        _ => return None,
    })
}

/// What a key means in the menu of faults.
fn choice(key: KeyCode) -> Option<Message> {
    Some(match key {
        KeyCode::Up => Message::Turn(-1),
        KeyCode::Down => Message::Turn(1),
        KeyCode::Left | KeyCode::Char('-') => Message::Lengthen(-1),
        KeyCode::Right | KeyCode::Char('+' | '=') => Message::Lengthen(1),
        KeyCode::Tab => Message::OtherTarget,
        KeyCode::Enter => Message::Inject,
        // The tenth is 0.
        KeyCode::Char(digit @ '0'..='9') => {
            Message::Choose((digit as usize + 9 - '0' as usize) % 10)
        }
        _ => return None,
    })
}

/// Twenty frames a second.
const FRAME: Duration = Duration::from_millis(50);
/// Most of a frame that the simulation may take.
const BUDGET: Duration = Duration::from_millis(30);
/// Short enough for any scenario; it fits itself within a frame.
const FIRST_SLICE: Span = Span::from_micros(100);
