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

mod error;
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
mod units;
mod validate;

use std::fs::File;
use std::io::Read;
use std::path::Path;

pub use error::{Error, Invalid, Problem};
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

impl Scenario {
    /// Reads the file at `path`; its stem is the scenario's name.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Scenario, Error> {
        let text = read_text(path)?;
        let name = path.file_stem().map_or_else(
            || "scenario".into(),
            |stem| stem.to_string_lossy().into_owned(),
        );
        Scenario::read(&name, &path.display().to_string(), &text, overrides)
    }

    /// Reads `text`; `file` is the file's name as messages show it, and its stem the scenario's name.
    pub fn parse(file: &str, text: &str, overrides: &[String]) -> Result<Scenario, Error> {
        let name = Path::new(file).file_stem().map_or_else(
            || "scenario".into(),
            |stem| stem.to_string_lossy().into_owned(),
        );
        Scenario::read(&name, file, text, overrides)
    }

    /// The pieces of [`Scenario::answer`]; none if there is no answer.
    pub fn answer_parts(&self) -> Vec<AnswerPart> {
        let names = sentence::Names {
            phases: self
                .phases
                .iter()
                .map(|phase| phase.name.as_str())
                .collect(),
            queues: self
                .queues
                .iter()
                .map(|queue| queue.name.as_str())
                .collect(),
            producers: self
                .producers
                .iter()
                .map(|producer| producer.name.as_str())
                .collect(),
            consumers: self
                .consumers
                .iter()
                .map(|consumer| consumer.name.as_str())
                .collect(),
        };
        self.answer
            .as_deref()
            .and_then(|answer| sentence::answer(answer, &names).ok())
            .unwrap_or_default()
    }

    /// Eight hexadecimal digits that stand for the overrides in the name of a folder; `None` without overrides.
    pub fn digest_overrides(&self) -> Option<String> {
        if self.overrides.is_empty() {
            return None;
        }
        // FNV-1a, 64 bits (Fowler, Noll, Vo), folded: a name, not a signature.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in self
            .overrides
            .iter()
            .flat_map(|text| text.bytes().chain([0]))
        {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
        Some(format!("{:08x}", (hash >> 32) ^ (hash & 0xffff_ffff)))
    }

    fn read(name: &str, file: &str, text: &str, overrides: &[String]) -> Result<Scenario, Error> {
        let size = overrides
            .iter()
            .map(String::len)
            .fold(text.len(), usize::saturating_add);
        if size as u64 > LARGEST_FILE {
            return Err(Error::TooLarge { path: file.into() });
        }
        let source = source::Source::new(file, text, overrides);
        let scenario =
            read::read(&source).and_then(|raw| validate::validate(name, &source, overrides, raw));
        scenario.map_err(|problems| Error::Invalid(Invalid::new(problems, source)))
    }
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
