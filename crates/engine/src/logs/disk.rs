//! A stream on disk: one folder, two files, the newer written to until it is full.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use gimmetime_clock::Timestamp;
use serde::{Deserialize, Serialize};

use super::ring::{Output, Record};
use crate::files;

/// What a stream is called; kept beside it, so that it outlives the task and the engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StreamName {
    /// `awslogs-group`
    pub(crate) group: String,
    /// `<prefix>/<container>/<task id>`
    pub(crate) stream: String,
    /// When the stream was made.
    pub(crate) created_at: Timestamp,
}

/// A stream that is being written.
#[derive(Debug)]
pub(crate) struct StreamFile {
    folder: PathBuf,
    limit: u64,
    file: File,
    size: u64,
    /// Number of the next record: grows with every line of the stream, over rotations and restarts.
    next: u64,
}

/// A record as it was found in a stream, to be copied only if it is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found<'a> {
    /// Its number in the stream.
    pub(crate) sequence: u64,
    /// When it was read, in milliseconds since the Unix epoch.
    pub(crate) at_ms: i64,
    /// Without its line feed.
    pub(crate) text: &'a str,
}

impl StreamFile {
    /// Opens the stream in `folder`, each of whose two files holds up to `limit` bytes.
    pub(crate) fn open(folder: &Path, limit: u64) -> io::Result<Self> {
        files::private_folder(folder)?;
        let file = append(&newer(folder))?;
        let size = file.metadata()?.len();
        let mut next = 0;
        visit(folder, i64::MIN, |last| next = last.sequence + 1)?;
        Ok(Self { folder: folder.into(), limit, file, size, next })
    }

    /// Appends records, rotating between them.
    pub(crate) fn write(&mut self, records: &[Record]) -> io::Result<()> {
        let mut batch = Vec::new();
        for record in records {
            let before = batch.len();
            encode(self.next, record, &mut batch);
            self.next += 1;
            if self.limit < self.size + batch.len() as u64 && 0 < self.size + before as u64 {
                let rest = batch.split_off(before);
                self.file.write_all(&batch)?;
                self.rotate()?;
                batch = rest;
            }
        }
        self.file.write_all(&batch)?;
        self.size += batch.len() as u64;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        std::fs::rename(newer(&self.folder), older(&self.folder))?;
        self.file = append(&newer(&self.folder))?;
        self.size = 0;
        Ok(())
    }
}

/// Shows the records of a stream from `since_ms` on, in the order in which they were written.
pub(crate) fn visit(folder: &Path, since_ms: i64, mut each: impl FnMut(Found<'_>)) -> io::Result<()> {
    let mut line = Vec::new();
    for path in [older(folder), newer(folder)] {
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        if modified_ms(&file)?.is_some_and(|modified| modified < since_ms) {
            continue;
        }
        let mut lines = BufReader::new(file);
        while lines.read_until(b'\n', &mut line)? != 0 {
            // A torn last line after a power cut is no record.
            decode(&line).filter(|found| since_ms <= found.at_ms).into_iter().for_each(&mut each);
            line.clear();
        }
    }
    Ok(())
}

/// The times of the first and the last record, in milliseconds since the Unix epoch.
pub(crate) fn span(folder: &Path) -> Option<(i64, i64)> {
    let first = [older(folder), newer(folder)].into_iter().find_map(|path| {
        let mut line = Vec::new();
        BufReader::new(File::open(path).ok()?).read_until(b'\n', &mut line).ok()?;
        Some(decode(&line)?.at_ms)
    })?;
    let last = modified_ms(&File::open(newer(folder)).ok()?).ok()??;
    Some((first, last.max(first)))
}

/// Bytes of the stream on disk.
pub(crate) fn size(folder: &Path) -> u64 {
    [older(folder), newer(folder)].iter().filter_map(|path| Some(path.metadata().ok()?.len())).sum()
}

fn newer(folder: &Path) -> PathBuf {
    folder.join("0.log")
}

fn older(folder: &Path) -> PathBuf {
    folder.join("1.log")
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

fn modified_ms(file: &File) -> io::Result<Option<i64>> {
    let modified = file.metadata()?.modified()?;
    let since_epoch = modified.duration_since(std::time::UNIX_EPOCH).ok();
    Ok(since_epoch.and_then(|age| i64::try_from(age.as_millis()).ok()))
}

fn encode(sequence: u64, record: &Record, into: &mut Vec<u8>) {
    let letter = match record.output {
        Output::Out => 'o',
        Output::Err => 'e',
        Output::Engine => 'g',
    };
    // A line feed cannot be in a record's text, so a line is a record.
    writeln!(into, "{sequence} {} {letter} {}", record.at_ms, record.text).expect("memory takes what is written");
}

fn decode(line: &[u8]) -> Option<Found<'_>> {
    let text = std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?;
    let mut fields = text.splitn(4, ' ');
    let sequence = fields.next()?.parse().ok()?;
    let at_ms = fields.next()?.parse().ok()?;
    // Which output it came from is kept for people who read the file.
    let _output = fields.next()?;
    Some(Found { sequence, at_ms, text: fields.next()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: i64) -> Record {
        Record { at_ms: number, output: Output::Err, text: format!("line {number} ü") }
    }

    fn read(folder: &Path, since_ms: i64) -> Vec<(u64, i64, String)> {
        let mut found = Vec::new();
        visit(folder, since_ms, |record| found.push((record.sequence, record.at_ms, record.text.to_owned()))).unwrap();
        found
    }

    fn numbered(number: i64) -> (u64, i64, String) {
        (number.unsigned_abs(), number, record(number).text)
    }

    #[test]
    fn a_stream_rotates_and_never_holds_more_than_two_files() {
        let folder = tempfile::tempdir().unwrap();
        let mut stream = StreamFile::open(folder.path(), 200).unwrap();
        let records: Vec<Record> = (0..100).map(record).collect();
        records.chunks(7).for_each(|some| stream.write(some).unwrap());
        assert!(size(folder.path()) <= 400);
        let read = read(folder.path(), 0);
        let first = 100 - i64::try_from(read.len()).unwrap();
        assert_eq!(read, (first..100).map(numbered).collect::<Vec<_>>(), "no gap within what is kept");
    }

    #[test]
    fn a_stream_goes_on_where_it_was_after_it_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..3 {
            StreamFile::open(folder.path(), 1_000).unwrap().write(&[record(number)]).unwrap();
        }
        assert_eq!(read(folder.path(), 1), [numbered(1), numbered(2)]);
    }
}
