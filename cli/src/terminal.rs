//! Where output goes: colours, width, and pipes that are closed early.

use std::borrow::Cow;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};

use anyhow::Context as _;
use clap::ValueEnum;

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set or TERM is dumb.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl ColorChoice {
    /// The last `--color` on a command line, for errors that occur before it is understood as a whole.
    pub(crate) fn sought(arguments: &[OsString]) -> ColorChoice {
        let mut choice = ColorChoice::default();
        let mut arguments = arguments.iter().map(|argument| argument.to_string_lossy());
        while let Some(argument) = arguments.next() {
            let value = match argument.strip_prefix("--color") {
                Some("") => arguments.next(),
                Some(value) => value
                    .strip_prefix('=')
                    .map(|value| value.to_string().into()),
                None if argument == "--" => break,
                None => continue,
            };
            if let Some(found) = value.and_then(|value| ColorChoice::from_str(&value, false).ok()) {
                choice = found;
            }
        }
        choice
    }

    /// Whether to colour what goes to standard output.
    pub(crate) fn stdout(self) -> bool {
        self.decide(io::stdout().is_terminal(), variable)
    }

    /// Whether to colour what goes to standard error.
    pub(crate) fn stderr(self) -> bool {
        self.decide(io::stderr().is_terminal(), variable)
    }

    fn decide(self, terminal: bool, variable: impl Fn(&str) -> Option<OsString>) -> bool {
        match self {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                terminal
                    && variable("NO_COLOR").is_none()
                    && variable("TERM").is_none_or(|term| term != "dumb")
            }
        }
    }
}

impl From<ColorChoice> for clap::ColorChoice {
    fn from(choice: ColorChoice) -> clap::ColorChoice {
        match choice {
            ColorChoice::Auto => clap::ColorChoice::Auto,
            ColorChoice::Always => clap::ColorChoice::Always,
            ColorChoice::Never => clap::ColorChoice::Never,
        }
    }
}

/// Writes what people read to standard output, as [`plain`] as it has to be. Readers may leave early (`| head`): that is no error, and
/// changes no exit status.
///
/// # Errors
/// Whatever else keeps the text from being written, such as a full disk.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    write(&plain(text))
}

/// As [`print()`], for what programs read: as it is, unless it goes to a terminal.
///
/// # Errors
/// As [`print()`].
pub(crate) fn data(text: &str) -> anyhow::Result<()> {
    match io::stdout().is_terminal() {
        true => write(&plain(text)),
        false => write(text),
    }
}

/// A text that does nothing to a terminal but colour what it shows: scenarios and records are other people's. Control characters but for
/// line breaks and tabs, and those that change the direction of text, are replaced.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(commands) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        // Colours: ESC [ 1 m.
        let colour = rest.strip_prefix("\x1b[").and_then(|code| {
            let end = code.find(|c: char| !c.is_ascii_digit())?;
            (end <= 2 && code[end..].starts_with('m')).then_some("\x1b[".len() + end + 1)
        });
        let length = colour.unwrap_or(next.len_utf8());
        match colour.is_none() && commands(next) {
            true => shown.push(char::REPLACEMENT_CHARACTER),
            false => shown.push_str(&rest[..length]),
        }
        rest = &rest[length..];
    }
    Cow::Owned(shown)
}

/// C0 and C1, and what overrides or isolates the direction of text.
fn commands(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || (c.is_control() && !"\n\t".contains(c))
}

fn write(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("failed to write to standard output"),
    }
}

/// Writes to standard error. Where that fails, nobody is left to tell.
pub(crate) fn complain(text: &str) {
    let _ = io::stderr().lock().write_all(plain(text).as_bytes());
}

/// Columns for text on standard output: the terminal's, within what reads well.
pub(crate) fn width() -> usize {
    terminal_size::terminal_size_of(io::stdout()).map_or(WIDTH_MAX, |(width, _)| width_for(width.0))
}

fn width_for(columns: u16) -> usize {
    usize::from(columns).clamp(WIDTH_MIN, WIDTH_MAX)
}

/// An environment variable that is set to something.
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

const WIDTH_MIN: usize = 60;
const WIDTH_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(set: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<OsString> {
        move |name| {
            set.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| OsString::from(value))
        }
    }

    #[test]
    fn colours_follow_choice_then_environment_then_terminal() {
        let auto = ColorChoice::Auto;
        assert!(auto.decide(true, environment(&[])));
        assert!(auto.decide(true, environment(&[("TERM", "xterm")])));
        assert!(!auto.decide(false, environment(&[])));
        assert!(!auto.decide(true, environment(&[("NO_COLOR", "1")])));
        assert!(!auto.decide(true, environment(&[("TERM", "dumb")])));
        assert!(ColorChoice::Always.decide(false, environment(&[("NO_COLOR", "1")])));
        assert!(!ColorChoice::Never.decide(true, environment(&[])));
    }

    #[test]
    fn the_choice_is_found_on_a_wrong_command_line() {
        let sought = |line: &str| {
            ColorChoice::sought(&line.split(' ').map(OsString::from).collect::<Vec<_>>())
        };
        assert_eq!(
            sought("queuelab run --color never --wrong"),
            ColorChoice::Never
        );
        assert_eq!(
            sought("queuelab --color=always --wrong"),
            ColorChoice::Always
        );
        assert_eq!(sought("queuelab --colour never"), ColorChoice::Auto);
        assert_eq!(sought("queuelab --color"), ColorChoice::Auto);
        assert_eq!(sought("queuelab -- --color never"), ColorChoice::Auto);
    }

    #[test]
    fn nothing_that_is_shown_commands_the_terminal() {
        for same in [
            "a title\n\tof 注文",
            "\x1b[1mbold\x1b[0m \x1b[32mgreen\x1b[0m",
        ] {
            assert_eq!(plain(same), same);
        }
        for (text, shown) in [
            ("a\x07b\rc", "a\u{fffd}b\u{fffd}c"),
            (
                "\x1b[2J\x1b]0;title\x07",
                "\u{fffd}[2J\u{fffd}]0;title\u{fffd}",
            ),
            ("\x1b[1mkept\x1b", "\x1b[1mkept\u{fffd}"),
            ("\x1b[38;5;1m", "\u{fffd}[38;5;1m"),
            ("\u{9b}31m \u{7f}", "\u{fffd}31m \u{fffd}"),
            ("abc\u{202e}cba\u{2069}", "abc\u{fffd}cba\u{fffd}"),
        ] {
            assert_eq!(plain(text), shown);
        }
    }

    #[test]
    fn width_keeps_to_what_reads_well() {
        assert_eq!([20, 80, 300].map(width_for), [60, 80, 100]);
    }
}
