//! Text in columns: wrapping, tables, colours. All of it pure.

use unicode_width::UnicodeWidthStr;

/// How a piece of text looks where colours are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Style {
    /// As it is.
    #[default]
    Plain,
    /// Stands out.
    Bold,
    /// Steps back.
    Dim,
    /// Well.
    Green,
    /// Not well.
    Red,
    /// Doubtful.
    Yellow,
}

/// Colours text, or leaves it alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Painter {
    /// Whether colours are shown.
    pub(crate) color: bool,
}

impl Painter {
    /// `text` in a style.
    pub(crate) fn paint(self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Plain => "",
            Style::Bold => "1",
            Style::Dim => "2",
            Style::Green => "32",
            Style::Red => "31",
            Style::Yellow => "33",
        };
        if self.color && !code.is_empty() && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_string()
        }
    }
}

/// A piece of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A cell in a style.
    pub(crate) fn new(style: Style, text: impl Into<String>) -> Cell {
        Cell {
            text: text.into(),
            style,
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Cell {
        Cell::new(Style::Plain, text)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell::new(Style::Plain, text)
    }
}

/// To which side of its column a text keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    /// Words.
    Left,
    /// Figures.
    Right,
}

/// Lines of a table, columns as wide as their widest cell and three spaces apart; columns without any text vanish. Rows may be
/// shorter than `align`, not longer.
pub(crate) fn table(rows: &[Vec<Cell>], align: &[Align], painter: Painter) -> Vec<String> {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.text.width()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..align.len()).map(width).collect();
    let line = |row: &Vec<Cell>| {
        let columns = row
            .iter()
            .zip(align)
            .zip(&widths)
            .filter(|(_, width)| **width > 0);
        let cells = columns.map(|((cell, align), width)| {
            let padding = " ".repeat(width - cell.text.width());
            let text = painter.paint(cell.style, &cell.text);
            match align {
                Align::Left => text + &padding,
                Align::Right => padding + &text,
            }
        });
        cells.collect::<Vec<_>>().join("   ").trim_end().to_string()
    };
    rows.iter().map(line).collect()
}

/// Whether no line of a table takes more than `width` columns.
pub(crate) fn fits(rows: &[Vec<Cell>], align: &[Align], width: usize) -> bool {
    let lines = table(rows, align, Painter { color: false });
    lines.iter().all(|line| line.width() <= width)
}

/// A text without line breaks.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Lines of at most `width` columns, broken at spaces; a longer word stands alone.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.width() + 1 + word.width() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_string()),
        }
    }
    lines
}

/// Lines of at most `width` columns made of `items` with ` · ` between, broken only between items.
pub(crate) fn chain(items: &[String], width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for item in items {
        match lines.last_mut() {
            Some(line) if line.width() + 3 + item.width() <= width => {
                line.push_str(" · ");
                line.push_str(item);
            }
            _ => lines.push(item.clone()),
        }
    }
    lines
}

/// The first sentence of a text: up to a stop, question or exclamation mark that a space follows.
pub(crate) fn first_sentence(text: &str) -> String {
    let text = one_line(text);
    let end = text
        .match_indices(['.', '?', '!'])
        .map(|(at, _)| at + 1)
        .find(|&end| text[end..].starts_with(' '));
    text[..end.unwrap_or(text.len())].to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_by_what_is_seen() {
        let rows = [
            vec![Cell::from("name"), Cell::from("ready")],
            vec![Cell::from("µ"), Cell::new(Style::Red, "1")],
            vec![Cell::from("注文"), Cell::from("20")],
        ];
        let plain = table(
            &rows,
            &[Align::Left, Align::Right],
            Painter { color: false },
        );
        assert_eq!(plain, ["name   ready", "µ          1", "注文      20"]);
        let painted = table(&rows, &[Align::Left, Align::Right], Painter { color: true });
        assert_eq!(painted[1], "µ          \x1b[31m1\x1b[0m");
    }

    #[test]
    fn columns_without_text_vanish() {
        let rows = [vec!["a".into(), "".into(), "b".into()], vec!["cc".into()]];
        let align = [Align::Left, Align::Left, Align::Right];
        assert_eq!(
            table(&rows, &align, Painter { color: false }),
            ["a    b", "cc"]
        );
        assert!(fits(&rows, &align, 6) && !fits(&rows, &align, 5));
    }

    #[test]
    fn lines_break_at_spaces() {
        assert_eq!(
            wrap("one two  three\nfour", 9),
            ["one two", "three", "four"]
        );
        assert_eq!(
            wrap("incomprehensibilities a", 5),
            ["incomprehensibilities", "a"]
        );
        assert!(wrap(" \n", 5).is_empty());
    }

    #[test]
    fn chains_break_between_items() {
        let items = ["broker queue 98 %", "service 2 %", "network 0 %"].map(String::from);
        assert_eq!(
            chain(&items, 32),
            ["broker queue 98 % · service 2 %", "network 0 %"]
        );
    }

    #[test]
    fn a_sentence_ends_before_a_space() {
        assert_eq!(
            first_sentence("A rate of 0.5 messages.\nThen more."),
            "A rate of 0.5 messages."
        );
        assert_eq!(
            first_sentence("Is it absorbed? How long?"),
            "Is it absorbed?"
        );
        assert_eq!(first_sentence("no end"), "no end");
    }
}
