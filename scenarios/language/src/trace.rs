//! Recorded workloads: CSV files with the columns `at`, `key` and `size`.

use std::collections::BTreeSet;
use std::sync::Arc;

use queuelab_core::{Span, Time};

use crate::scenario::{Trace, TraceMessage};
use crate::units::{LONGEST, decimal, parse_duration, parse_size, shown};

/// Gives the trace in the file of this name, as the scenario writes it.
pub(crate) type Files<'a> = dyn Fn(&str) -> Result<Arc<Trace>, TraceError> + 'a;

/// Why there is no trace.
#[derive(Clone, Debug)]
pub(crate) struct TraceError {
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl TraceError {
    pub(crate) fn new(message: impl Into<String>) -> TraceError {
        TraceError {
            message: message.into(),
            help: None,
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> TraceError {
        self.help = Some(help.into());
        self
    }
}

/// Trace files above this many bytes (16 MiB) are not read.
pub(crate) const LARGEST_TRACE: u64 = 16 << 20;

/// Reads the text of a CSV file.
pub(crate) fn parse(file: &str, text: &str) -> Result<Trace, TraceError> {
    // Spreadsheets begin UTF-8 with a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    let at_line = |line: usize, message: String| {
        TraceError::new(format!("{file}, line {}: {message}", line + 1))
    };
    let Some((first, header)) = lines.next() else {
        return Err(TraceError::new(format!("{file} is empty")).help(USAGE));
    };
    let columns = fields(header).map_err(|message| at_line(first, message))?;
    let columns = Columns::of(&columns).map_err(|message| at_line(first, message).help(USAGE))?;
    // Keys repeat: each text is kept once, while reading at least.
    let mut messages: Vec<TraceMessage> = Vec::new();
    for (line, text) in lines {
        let message = fields(text)
            .and_then(|fields| columns.message(&fields))
            .map_err(|message| at_line(line, message))?;
        if messages.last().is_some_and(|last| last.at > message.at) {
            let message = "the message is earlier than the one before".to_string();
            return Err(at_line(line, message).help("sort the file by its column `at`"));
        }
        messages.push(message);
    }
    if messages.is_empty() {
        return Err(TraceError::new(format!("{file} holds no messages")));
    }
    Ok(Trace {
        file: file.to_string(),
        messages,
        speed: 1.0,
    })
}

/// Which field is which.
struct Columns {
    count: usize,
    at: usize,
    key: Option<usize>,
    size: Option<usize>,
}

impl Columns {
    fn of(names: &[String]) -> Result<Columns, String> {
        let mut seen = BTreeSet::new();
        for name in names {
            if !matches!(name.as_str(), "at" | "key" | "size") {
                return Err(format!("{} is not a column", shown(name)));
            }
            if !seen.insert(name) {
                return Err(format!("there are two columns {}", shown(name)));
            }
        }
        let find = |wanted| names.iter().position(|name| name == wanted);
        Ok(Columns {
            count: names.len(),
            at: find("at").ok_or("there is no column \"at\"")?,
            key: find("key"),
            size: find("size"),
        })
    }

    fn message(&self, fields: &[String]) -> Result<TraceMessage, String> {
        if fields.len() != self.count {
            return Err(format!("{} fields instead of {}", fields.len(), self.count));
        }
        let key = self.key.map(|key| fields[key].clone());
        if key.as_ref().is_some_and(|key| key.len() > 255) {
            return Err("a routing key has at most 255 bytes".into());
        }
        if fields[self.at].is_empty() {
            return Err(
                "the column \"at\" is empty; write an instant such as 1.5 or 1500ms".into(),
            );
        }
        if self.size.is_some_and(|size| fields[size].is_empty()) {
            return Err(
                "the column \"size\" is empty; write a size such as 100 or 2KiB, or leave the column out in all lines"
                    .into(),
            );
        }
        Ok(TraceMessage {
            at: Time::ZERO + instant(&fields[self.at])?,
            key,
            size: self.size.map(|size| bytes(&fields[size])).transpose()?,
        })
    }
}

/// A duration since the run's start: with its unit, or plain seconds.
fn instant(text: &str) -> Result<Span, String> {
    match decimal(text) {
        Ok(seconds) if seconds <= LONGEST.as_secs_f64() => Ok(Span((seconds * 1e9).round() as u64)),
        Ok(_) => Err(format!("{} is longer than ten years", shown(text))),
        Err(_) => parse_duration(text),
    }
}

/// A size: with its unit, or plain bytes.
fn bytes(text: &str) -> Result<u32, String> {
    let size = match text.parse() {
        Ok(bytes) => bytes,
        Err(_) => parse_size(text)?,
    };
    u32::try_from(size)
        .ok()
        .filter(|size| *size <= 128 << 20)
        .ok_or_else(|| "a message has at most 128MiB".into())
}

/// The fields of a line, as RFC 4180 has them; quoted fields end on their line.
fn fields(line: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut rest = line.trim_end_matches('\r');
    loop {
        let trimmed = rest.trim_start();
        let (field, after) = match trimmed.strip_prefix('"') {
            Some(quoted) => {
                let (field, after) = quoted_field(quoted)?;
                (field, after.trim_start())
            }
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (rest[..end].trim().to_string(), &rest[end..])
            }
        };
        fields.push(field);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(fields),
            None => return Err("a comma is missing after a quoted field".into()),
        }
    }
}

/// Up to the closing quote; two quotes are one.
fn quoted_field(text: &str) -> Result<(String, &str), String> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let Some(end) = rest.find('"') else {
            return Err("a quote is not closed".into());
        };
        field.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(next) => {
                field.push('"');
                rest = next;
            }
            None => return Ok((field, rest)),
        }
    }
}

const USAGE: &str =
    "its first line names the columns: at, and if wanted key and size, as in \"at,key,size\"";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_in_any_order() {
        let trace = parse(
            "t.csv",
            "size,at,key\n700,0.5,a\n1KiB,1500ms,\"b, \"\"c\"\"\"\r\n\n",
        )
        .unwrap();
        let [first, second] = &trace.messages[..] else {
            panic!("{trace:?}")
        };
        assert_eq!((first.at, first.size), (Time(500_000_000), Some(700)));
        assert_eq!((second.at, second.size), (Time(1_500_000_000), Some(1024)));
        assert_eq!(second.key.as_deref(), Some("b, \"c\""));
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_text() {
        let trace = parse("t.csv", "\u{feff}at,key\r\n1,\r\n2,x\r\n").unwrap();
        assert_eq!(trace.messages.len(), 2);
        let error = parse("t.csv", "\u{feff}").unwrap_err();
        assert_eq!(error.message, "t.csv is empty");
    }

    #[test]
    fn what_is_wrong_has_its_line() {
        for (text, expected) in [
            ("", "t.csv is empty"),
            ("at\n", "t.csv holds no messages"),
            ("key\na", "t.csv, line 1: there is no column \"at\""),
            ("at,at\n1,1", "t.csv, line 1: there are two columns \"at\""),
            ("at,to\n1,1", "t.csv, line 1: \"to\" is not a column"),
            (
                "at\n1\n\n0.5",
                "t.csv, line 4: the message is earlier than the one before",
            ),
            ("at,key\n1", "t.csv, line 2: 1 fields instead of 2"),
            (
                "at\nsoon",
                "t.csv, line 2: \"soon\" does not start with a number",
            ),
            ("at\n-1", "t.csv, line 2: \"-1\" is negative"),
            (
                "at,size\n1,huge",
                "t.csv, line 2: \"huge\" does not start with a number",
            ),
            ("at,key\n1,\"a", "t.csv, line 2: a quote is not closed"),
            (
                "at,size\n1,",
                "t.csv, line 2: the column \"size\" is empty; write a size such as 100 or 2KiB, or leave the column out in all lines",
            ),
            (
                "at,key\n\"\",a",
                "t.csv, line 2: the column \"at\" is empty; write an instant such as 1.5 or 1500ms",
            ),
        ] {
            assert_eq!(
                parse("t.csv", text).unwrap_err().message,
                expected,
                "{text}"
            );
        }
    }
}
