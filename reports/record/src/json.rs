//! `record.json`.

use std::io;

use serde::{Deserialize, Serialize};
use serde_json::ser::{Formatter, Serializer};
use thiserror::Error;

use crate::{RunRecord, SCHEMA_VERSION};

/// Why text is not a record.
#[derive(Debug, Error)]
pub enum RecordError {
    /// A newer queuelab wrote it.
    #[error(
        "the record has schema version {found}, but this queuelab reads up to {known}: use a newer one"
    )]
    Newer {
        /// Its schema version.
        found: u32,
        /// The latest that this version reads.
        known: u32,
    },
    /// It is not the JSON of a record.
    #[error("not a run record: {0}")]
    Json(#[from] serde_json::Error),
    /// Its parts do not fit together.
    #[error("the record is damaged: {0}")]
    Damaged(String),
}

impl RunRecord {
    /// JSON for people and programs: fields in a fixed order, an object's fields on lines of their own, series on one
    /// line each. Equal records give equal text.
    pub fn to_json(&self) -> String {
        text(self)
    }

    /// The record that [`RunRecord::to_json`] wrote.
    pub fn from_json(text: &str) -> Result<RunRecord, RecordError> {
        check_version(text, SCHEMA_VERSION)?;
        let record: RunRecord = serde_json::from_str(text)?;
        record.check_shape()?;
        Ok(record)
    }

    /// Viewers index by queue and phase; a record that would make them fail is refused here.
    fn check_shape(&self) -> Result<(), RecordError> {
        let (queues, phases) = (self.queues.len(), self.phases.len());
        let expect = |what: &str, name: &str, found: usize, wanted: usize| match found == wanted {
            true => Ok(()),
            false => Err(RecordError::Damaged(format!(
                "{what} of `{name}` has {found} entries instead of {wanted}"
            ))),
        };
        if self.window.is_zero() {
            return Err(RecordError::Damaged("`window` is zero".into()));
        }
        for phase in &self.phases {
            expect("`load`", &phase.name, phase.load.len(), queues)?;
        }
        for queue in &self.queues {
            expect("`delivery`", &queue.name, queue.delivery.len(), phases)?;
            expect("`end_to_end`", &queue.name, queue.end_to_end.len(), phases)?;
            if !queue.unfinished.is_empty() {
                expect("`unfinished`", &queue.name, queue.unfinished.len(), phases)?;
            }
        }
        for producer in &self.producers {
            let name = &producer.name;
            expect("`confirm`", name, producer.confirm.len(), phases)?;
            for (what, found) in [
                ("`delivery`", producer.delivery.len()),
                ("`end_to_end`", producer.end_to_end.len()),
                ("`complete`", producer.complete.len()),
                ("`unfinished`", producer.unfinished.len()),
                ("`undelivered`", producer.undelivered.len()),
                ("`incomplete`", producer.incomplete.len()),
            ] {
                // Absent in a record of schema version 1.
                if found > 0 {
                    expect(what, name, found, phases)?;
                }
            }
        }
        for group in &self.groups {
            let name = &group.name;
            expect("`lag`", name, group.lag.len(), phases)?;
            expect("`delivery`", name, group.delivery.len(), phases)?;
            expect("`end_to_end`", name, group.end_to_end.len(), phases)?;
            if let Some(stream) = group.streams.iter().find(|stream| **stream >= queues) {
                return Err(RecordError::Damaged(format!(
                    "group `{name}` reads queue {stream} of {queues}"
                )));
            }
        }
        for invariant in &self.invariants {
            expect(
                "`by_queue`",
                &invariant.name,
                invariant.by_queue.len(),
                queues,
            )?;
        }
        Ok(())
    }
}

/// What stands in files: fields in a fixed order, an object's fields on lines of their own, arrays of figures on one line each.
pub fn text(value: &impl Serialize) -> String {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, Compact::default());
    value
        .serialize(&mut serializer)
        .expect("a record has text keys and is written to memory");
    bytes.push(b'\n');
    String::from_utf8(bytes).expect("serde_json writes UTF-8")
}

/// Whether this version knows what a file means.
pub(crate) fn check_version(text: &str, known: u32) -> Result<(), RecordError> {
    #[derive(Deserialize)]
    struct Version {
        schema_version: u32,
    }
    let Version {
        schema_version: found,
    } = serde_json::from_str(text)?;
    match found > known {
        true => Err(RecordError::Newer { found, known }),
        false => Ok(()),
    }
}

/// Two spaces of indent; arrays stay on their line except for the objects and arrays in them.
#[derive(Default)]
struct Compact {
    /// Per open bracket: whether it is an array, and whether anything in it took a line of its own.
    open: Vec<(bool, bool)>,
}

impl Compact {
    fn begin<W: ?Sized + io::Write>(&mut self, writer: &mut W, array: bool) -> io::Result<()> {
        if let Some((true, broken)) = self.open.last_mut() {
            *broken = true;
            self.line(writer)?;
        }
        self.open.push((array, false));
        writer.write_all(if array { b"[" } else { b"{" })
    }

    fn end<W: ?Sized + io::Write>(&mut self, writer: &mut W, bracket: &[u8]) -> io::Result<()> {
        if let Some((_, true)) = self.open.pop() {
            self.line(writer)?;
        }
        writer.write_all(bracket)
    }

    fn line<W: ?Sized + io::Write>(&self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b"\n")?;
        (0..self.open.len()).try_for_each(|_| writer.write_all(b"  "))
    }
}

impl Formatter for Compact {
    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin(writer, true)
    }

    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first {
            Ok(())
        } else {
            writer.write_all(b",")
        }
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(writer, b"]")
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin(writer, false)
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if let Some((_, broken)) = self.open.last_mut() {
            *broken = true;
        }
        if !first {
            writer.write_all(b",")?;
        }
        self.line(writer)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(writer, b"}")
    }
}
