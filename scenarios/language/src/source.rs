//! The text of a scenario with its overrides, as one range of offsets, so that a place is a span and nothing else.

use std::ops::Range;

/// The file's text, followed by each override.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
struct Part {
    origin: String,
    range: Range<usize>,
}

/// Where a span lies for a reader.
pub(crate) struct Place<'a> {
    /// The file, or `--set`.
    pub(crate) origin: &'a str,
    /// The whole text of the file or the override.
    pub(crate) text: &'a str,
    /// Within `text`; never across lines, never inside a character.
    pub(crate) span: Range<usize>,
}

impl Source {
    pub(crate) fn new(name: &str, text: &str, overrides: &[String]) -> Source {
        let mut source = Source {
            text: String::new(),
            parts: Vec::new(),
        };
        source.push(name, text);
        for text in overrides {
            source.push("--set", text);
        }
        source
    }

    /// The file's text.
    pub(crate) fn file(&self) -> &str {
        &self.text[self.parts[0].range.clone()]
    }

    /// The overrides, each with its offset.
    pub(crate) fn overrides(&self) -> impl Iterator<Item = (usize, &str)> {
        self.parts[1..]
            .iter()
            .map(|part| (part.range.start, &self.text[part.range.clone()]))
    }

    /// What stands at `span`.
    pub(crate) fn get(&self, span: Range<usize>) -> &str {
        self.text.get(span).unwrap_or("")
    }

    pub(crate) fn place(&self, span: Range<usize>) -> Place<'_> {
        let part = self
            .parts
            .iter()
            .rev()
            .find(|part| part.range.start <= span.start)
            .unwrap_or(&self.parts[0]);
        let text = &self.text[part.range.clone()];
        let start = floor(text, span.start - part.range.start);
        let line_end = text[start..]
            .find(['\n', '\r'])
            .map_or(text.len(), |length| start + length);
        let end = ceil(text, span.end.saturating_sub(part.range.start)).clamp(start, line_end);
        Place {
            origin: &part.origin,
            text,
            span: start..end,
        }
    }

    fn push(&mut self, origin: &str, text: &str) {
        let start = self.text.len();
        self.text.push_str(text);
        self.parts.push(Part {
            origin: origin.to_string(),
            range: start..self.text.len(),
        });
        // So that the end of one part is not the start of the next.
        self.text.push('\n');
    }
}

impl Place<'_> {
    /// Line and column, from 1; columns count characters.
    pub(crate) fn line_and_column(&self) -> (usize, usize) {
        let before = &self.text[..self.span.start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (
            before.bytes().filter(|byte| *byte == b'\n').count() + 1,
            before[line_start..].chars().count() + 1,
        )
    }
}

fn floor(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn ceil(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}
