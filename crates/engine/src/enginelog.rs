//! The engine's own log, and how files that others append to are kept within bounds.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use gimmetime_clock::{iso, source};

/// The most that a log holds before its content moves to `<name>.1`, in bytes.
const LIMIT: u64 = 5 << 20;

/// What the engine does, one line an event.
#[derive(Debug)]
pub(crate) struct EngineLog {
    file: File,
}

impl EngineLog {
    /// Appends to the log at `path`.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { file: OpenOptions::new().append(true).create(true).mode(0o600).open(path)? })
    }

    /// Adds a line. A full disk must not stop the engine: then the line is lost.
    pub(crate) fn say(&mut self, what: &str) {
        let line = format!("{} {what}\n", iso::format(source::wall()));
        let _ = self.file.write_all(line.as_bytes());
    }

    /// The file, for what else is to go there.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }
}

/// Moves a log's content aside once it is too long. The file stays the same one, since other processes append to it
/// and go on doing so while no supervisor lives; a line written between copy and cut is lost.
pub(crate) fn bound(path: &Path) -> io::Result<()> {
    let length = match path.metadata() {
        Ok(meta) => meta.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if LIMIT < length {
        let mut older = path.as_os_str().to_owned();
        older.push(".1");
        std::fs::copy(path, older)?;
        OpenOptions::new().write(true).open(path)?.set_len(0)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_log_moves_aside_under_the_hands_of_its_writers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("engine.log");
        let mut log = EngineLog::open(&path).unwrap();
        log.say(&"x".repeat(LIMIT as usize));
        bound(&path).unwrap();
        log.say("afterwards");
        let now = std::fs::read_to_string(&path).unwrap();
        assert!(now.ends_with(" afterwards\n") && now.len() < 60, "{} bytes", now.len());
        assert!(LIMIT < folder.path().join("engine.log.1").metadata().unwrap().len());
    }
}
