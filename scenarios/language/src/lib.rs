//! The scenario language: TOML in, a validated [`Scenario`] out.
//!
//! Text is parsed into raw types, which carry the place of each value; validation turns them into a [`Scenario`], in
//! which names are resolved, units are gone and the impossible cannot be written. Errors show their place.
//!
//! ```
//! let scenario = queuelab_scenario::open("hello", &["producer.sender.rate=2/s".into()]).unwrap();
//! assert_eq!(scenario.name, "hello");
//! let error = queuelab_scenario::open("helo", &[]).unwrap_err();
//! assert!(error.to_string().contains("did you mean `hello`?"));
//! ```

mod ask;
mod capacity;
mod designs;
mod error;
mod fault;
mod grading;
mod library;
mod lint;
mod metrics;
mod overrides;
mod raw;
mod read;
mod scenario;
mod schema;
mod sentence;
mod shape;
mod source;
mod trace;
mod units;
mod validate;

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use trace::{Files, TraceError};

pub use designs::{Choice, DesignInfo, designs};
pub use error::{Error, Invalid, Problem};
pub use fault::*;
pub use grading::expectation_places;
pub use library::{LibraryEntry, THEMES, library, open, template};
pub use lint::{Warning, lint};
/// Types of the core that a [`Scenario`] is made of.
pub use queuelab_core::{
    Dispatch, Durability, HashKind, Overflow, QueuePolicy, Requeue, Span, Time,
};

pub use metrics::{
    INVARIANTS, Invariant, METRICS, Metric, MetricScope, MetricUnit, metric_unit, percentile,
};
pub use scenario::*;
pub use schema::schema;
pub use sentence::AnswerPart;
pub use units::{FASTEST, LONGEST, parse_bandwidth, parse_duration, parse_rate, parse_size};

/// Files above this many bytes (1 MiB) are refused before they are parsed.
pub const LARGEST_FILE: u64 = 1 << 20;

/// Eight hexadecimal digits that stand for texts, in the name of a file; `None` if there are none.
pub fn digest(texts: &[String]) -> Option<String> {
    if texts.is_empty() {
        return None;
    }
    // FNV-1a, 64 bits (Fowler, Noll, Vo), folded: a name, not a signature.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in texts.iter().flat_map(|text| text.bytes().chain([0])) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    }
    Some(format!("{:08x}", (hash >> 32) ^ (hash & 0xffff_ffff)))
}

impl Scenario {
    /// Reads the file at `path`; its stem is the scenario's name.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Scenario, Error> {
        let text = read_text(path)?;
        let name = path.file_stem().map_or_else(
            || "scenario".into(),
            |stem| stem.to_string_lossy().into_owned(),
        );
        let files = |file: &str| read_trace(path, file);
        Scenario::read(&name, &path.display().to_string(), &text, overrides, &files)
    }

    /// Reads `text`; `file` is the file's name as messages show it, and its stem the scenario's name. A text lies in no folder, so
    /// it cannot have traces beside it.
    pub fn parse(file: &str, text: &str, overrides: &[String]) -> Result<Scenario, Error> {
        let name = Path::new(file).file_stem().map_or_else(
            || "scenario".into(),
            |stem| stem.to_string_lossy().into_owned(),
        );
        let no_files = |_: &str| {
            Err(TraceError::new(
                "there is no folder to look for the trace in",
            ))
        };
        Scenario::read(&name, file, text, overrides, &no_files)
    }

    /// The same text with other overrides, and the traces that were read for this one.
    fn with(&self, overrides: &[String]) -> Result<Scenario, Error> {
        let files = |file: &str| {
            let traces = self
                .producers
                .iter()
                .filter_map(|producer| match &producer.arrivals {
                    Arrivals::Trace(trace) => Some(trace),
                    _ => None,
                });
            traces
                .clone()
                .find(|trace| trace.file == file)
                .cloned()
                .ok_or_else(|| TraceError::new(format!("{file} was not read yet")))
        };
        let file = format!("{}.toml", self.name);
        Scenario::read(&self.name, &file, &self.source, overrides, &files)
    }

    /// The pieces of [`Scenario::answer`]; none if there is no answer.
    pub fn answer_parts(&self) -> Vec<AnswerPart> {
        let names = sentence::Names::of(self);
        self.answer
            .as_deref()
            .and_then(|answer| sentence::answer(answer, &names).ok())
            .unwrap_or_default()
    }

    /// Eight hexadecimal digits that stand for the overrides in the name of a folder; `None` without overrides.
    pub fn digest_overrides(&self) -> Option<String> {
        digest(&self.overrides)
    }

    fn read(
        name: &str,
        file: &str,
        text: &str,
        overrides: &[String],
        files: &Files<'_>,
    ) -> Result<Scenario, Error> {
        let size = overrides
            .iter()
            .map(String::len)
            .fold(text.len(), usize::saturating_add);
        if size as u64 > LARGEST_FILE {
            return Err(Error::TooLarge { path: file.into() });
        }
        let source = source::Source::new(file, text, overrides);
        let scenario = read::read(&source)
            .and_then(|raw| validate::validate(name, &source, overrides, raw, files));
        scenario.map_err(|problems| Error::Invalid(Invalid::new(problems, source)))
    }
}

/// Reads the trace `file` beside the scenario at `path`.
fn read_trace(path: &Path, file: &str) -> Result<Arc<Trace>, TraceError> {
    let path = path.parent().unwrap_or(Path::new("")).join(file);
    let failed = |why: &str| {
        TraceError::new(format!(
            "failed to read the trace {}: {why}",
            units::short(file)
        ))
    };
    let unreadable = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            failed("there is no such file").help("the path is relative to the scenario's file")
        }
        kind => failed(&kind.to_string()),
    };
    if !std::fs::metadata(&path).map_err(unreadable)?.is_file() {
        return Err(failed("it is not a file"));
    }
    let mut bytes = Vec::new();
    File::open(&path)
        .map_err(unreadable)?
        .take(trace::LARGEST_TRACE + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > trace::LARGEST_TRACE {
        return Err(failed("it is larger than 16 MiB"));
    }
    let text = String::from_utf8(bytes).map_err(|_| failed("it is not UTF-8 text"))?;
    trace::parse(file, &text).map(Arc::new)
}

fn read_text(path: &Path) -> Result<String, Error> {
    let unreadable = |error: std::io::Error| Error::Unreadable {
        path: path.into(),
        kind: error.kind(),
    };
    let kind = std::fs::metadata(path).map_err(unreadable)?;
    if kind.is_dir() {
        return Err(Error::Folder { path: path.into() });
    }
    // A named pipe may never answer. Under /dev is what a shell hands over: `/dev/stdin`, `<(…)`.
    if !kind.is_file() && !path.starts_with("/dev") {
        return Err(Error::NotAFile { path: path.into() });
    }
    let mut bytes = Vec::new();
    // One byte more than is allowed tells whether there is more; a file without end is cut here too.
    File::open(path)
        .map_err(unreadable)?
        .take(LARGEST_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(Error::TooLarge { path: path.into() });
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line_start = valid
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        Error::NotText {
            path: path.into(),
            line,
            column: valid.len() - line_start + 1,
        }
    })
}
