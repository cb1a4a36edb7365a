//! Figures as people read them.

use std::time::Duration;

use queuelab_core::Span;
pub(super) use queuelab_record::number as count_f64;
use unicode_width::UnicodeWidthStr;

/// Columns that a text takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// A word as a shell reads it back: quoted where that is needed.
pub(crate) fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./~+=@:,".contains(c);
    if word.chars().all(plain) && !word.is_empty() {
        return word.to_string();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A span of wall time.
pub(crate) fn wall(elapsed: Duration) -> Span {
    Span::from_secs_f64(elapsed.as_secs_f64())
}

/// Virtual over wall time: `1,500 × real time`.
pub(crate) fn speed(simulated_s: f64, elapsed: Duration) -> String {
    let ratio = simulated_s / elapsed.as_secs_f64().max(1e-9);
    format!("{} × real time", count_f64(ratio))
}

/// What metrics put before a figure that can only grow.
pub(super) const AT_LEAST: &str = "≥";

/// In place of a figure that there is not.
pub(super) const NOTHING: &str = "—";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(shell_word("./my-design.toml"), "./my-design.toml");
        assert_eq!(shell_word("it's here.toml"), r"'it'\''s here.toml'");
    }
}
