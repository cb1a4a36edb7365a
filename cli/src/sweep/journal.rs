//! What a sweep has finished, on disk: a line per point, so that whatever ends the program loses no finished point.
//!
//! A line is a checksum, a space, JSON, a line break. It is written at once and synced before the next point counts. A line that was
//! torn by a crash, or is damaged, ends what is believed: it and what comes after are cut off and run again.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use queuelab_record::{Setting, SweepPoint};
use xxhash_rust::xxh3::xxh3_64;

use crate::folder;

/// The open file, and the points in it.
pub(super) struct Journal {
    file: File,
    path: PathBuf,
    points: BTreeMap<Vec<String>, SweepPoint>,
}

/// What was there when it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing.
    Nothing,
    /// So many points of the same sweep.
    Points(usize),
    /// Those of another one: of another version of queuelab, or of a file that has changed since.
    Other,
}

impl Journal {
    /// Opens the journal in `folder`, or starts one. `header` tells which sweep it is, and of which build: points of another one are
    /// thrown away, as all are if `fresh`.
    ///
    /// # Errors
    /// If the folder cannot be written to, or another process writes there.
    pub(super) fn open(
        folder: &Path,
        header: &str,
        fresh: bool,
    ) -> anyhow::Result<(Journal, Found)> {
        folder::prepare(folder)?;
        let path = folder.join(NAME);
        let failed = |verb: &str| format!("failed to {verb} {}", path.display());
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .with_context(|| failed("open"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!(
                "another sweep is writing to {}: wait for it, or choose another folder with --out DIR",
                folder.display()
            ),
            Err(TryLockError::Error(error)) => return Err(error).with_context(|| failed("lock")),
        }
        let mut bytes = Vec::new();
        if !fresh {
            file.read_to_end(&mut bytes)
                .with_context(|| failed("read"))?;
        }
        let read = Contents::read(&bytes, header);
        file.set_len(read.valid as u64)
            .and_then(|()| file.seek(SeekFrom::End(0)))
            .with_context(|| failed("write"))?;
        let mut journal = Journal {
            file,
            path: path.clone(),
            points: read.points,
        };
        if read.valid == 0 {
            journal.write(header)?;
            // A new file is there for good once its folder is synced.
            File::open(folder)
                .and_then(|folder| folder.sync_all())
                .with_context(|| failed("sync"))?;
        }
        let found = match journal.points.len() {
            0 if read.other => Found::Other,
            0 => Found::Nothing,
            points => Found::Points(points),
        };
        Ok((journal, found))
    }

    /// The point at `settings`, if it is finished.
    pub(super) fn get(&self, settings: &[Setting]) -> Option<&SweepPoint> {
        self.points.get(&key(settings))
    }

    /// Keeps a point; it is on the disk when this returns.
    ///
    /// # Errors
    /// What the operating system says.
    pub(super) fn append(&mut self, point: SweepPoint) -> anyhow::Result<()> {
        self.write(&serde_json::to_string(&point)?)?;
        self.points.insert(key(&point.settings), point);
        Ok(())
    }

    fn write(&mut self, json: &str) -> anyhow::Result<()> {
        let written = self
            .file
            .write_all(line(json).as_bytes())
            .and_then(|()| self.file.sync_data());
        written.with_context(|| format!("failed to write {}", self.path.display()))
    }
}

/// What the bytes of a journal say.
struct Contents {
    /// Bytes that are believed.
    valid: usize,
    points: BTreeMap<Vec<String>, SweepPoint>,
    /// They are those of another sweep.
    other: bool,
}

impl Contents {
    fn read(bytes: &[u8], header: &str) -> Contents {
        let mut contents = Contents {
            valid: 0,
            points: BTreeMap::new(),
            other: false,
        };
        let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
        match lines.next().map(|first| (first.len(), checked(first))) {
            Some((length, Some(found))) if found == header => contents.valid = length,
            Some((_, found)) => {
                contents.other = found.is_some();
                return contents;
            }
            None => return contents,
        }
        for line in lines {
            let Some(json) = checked(line) else { break };
            contents.valid += line.len();
            // What is whole and yet no point is run again, and costs nothing that came after it.
            if let Ok(point) = serde_json::from_str::<SweepPoint>(json) {
                contents.points.insert(key(&point.settings), point);
            }
        }
        contents
    }
}

/// The JSON of a line that is whole.
fn checked(line: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?;
    let (checksum, json) = text.split_once(' ')?;
    (checksum == self::checksum(json)).then_some(json)
}

fn line(json: &str) -> String {
    format!("{} {json}\n", checksum(json))
}

fn checksum(json: &str) -> String {
    format!("{:016x}", xxh3_64(json.as_bytes()))
}

fn key(settings: &[Setting]) -> Vec<String> {
    settings.iter().map(|it| it.text.clone()).collect()
}

/// Of the file within the sweep's folder.
pub(super) const NAME: &str = "points.jsonl";

#[cfg(test)]
mod tests {
    use queuelab_record::fixture;
    use queuelab_record::statistics::Precision;

    use super::super::amount::setting;
    use super::*;

    fn point(text: &str) -> SweepPoint {
        let runs = [fixture::empty()];
        let settings = vec![setting(text)];
        SweepPoint::of(settings, &runs, &[], Precision::default(), Vec::new()).unwrap()
    }

    fn whole() -> Vec<u8> {
        let mut text = line("head");
        for setting in ["1", "2", "3"] {
            text += &line(&serde_json::to_string(&point(setting)).unwrap());
        }
        text.into_bytes()
    }

    /// Whatever byte a crash stops at: what is believed is a prefix of whole lines, and all of them.
    #[test]
    fn a_torn_line_loses_itself_and_nothing_else() {
        let bytes = whole();
        let ends: Vec<usize> = bytes
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'\n')
            .map(|(at, _)| at + 1)
            .collect();
        for length in 0..=bytes.len() {
            let read = Contents::read(&bytes[..length], "head");
            let lines = ends.iter().filter(|end| **end <= length).count();
            let valid = if lines == 0 { 0 } else { ends[lines - 1] };
            assert_eq!(read.valid, valid, "{length}");
            assert_eq!(read.points.len(), lines.saturating_sub(1), "{length}");
            assert!(!read.other, "{length}");
        }
    }

    #[test]
    fn a_flipped_bit_is_noticed_wherever_it_is() {
        let bytes = whole();
        for at in (0..bytes.len()).step_by(7) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            let read = Contents::read(&damaged, "head");
            assert!(read.valid <= at, "{at}: {}", read.valid);
        }
    }

    #[test]
    fn points_of_another_sweep_are_not_taken() {
        let read = Contents::read(&whole(), "another head");
        assert!(read.other && read.valid == 0 && read.points.is_empty());
    }

    #[test]
    fn what_was_appended_is_there_when_it_is_opened_again() {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../target/tmp")
            .join(format!("journal-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let open = |header, fresh| Journal::open(&folder, header, fresh).unwrap();
        let (mut journal, found) = open("head", false);
        assert_eq!(found, Found::Nothing);
        journal.append(point("1")).unwrap();
        let error = Journal::open(&folder, "head", false).err().unwrap();
        assert!(
            error.to_string().contains("another sweep is writing"),
            "{error}"
        );
        drop(journal);
        let torn = b"0123456789abcdef {\"settings\":";
        let mut file = OpenOptions::new()
            .append(true)
            .open(folder.join(NAME))
            .unwrap();
        file.write_all(torn).unwrap();
        drop(file);
        let (mut journal, found) = open("head", false);
        assert_eq!(found, Found::Points(1));
        assert_eq!(journal.get(&[setting("1")]), Some(&point("1")));
        journal.append(point("2")).unwrap();
        drop(journal);
        assert_eq!(open("head", false).1, Found::Points(2));
        assert_eq!(open("other head", false).1, Found::Other);
        assert_eq!(open("other head", false).1, Found::Nothing);
        open("other head", false).0.append(point("3")).unwrap();
        assert_eq!(open("other head", true).1, Found::Nothing);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
