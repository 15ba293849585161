//! The model on disk: written whole before anything irreversible is done, read back by the next supervisor.
//!
//! A state that cannot be read is never overwritten: it is renamed, and the one before it is taken if it can be read.

use std::io;
use std::path::{Path, PathBuf};

use gimmetime_clock::Mono;
use gimmetime_scheduler::model::{Model, Target};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::files;

/// The form of the state file that this program writes, and the newest it reads.
const FORMAT: u64 = 1;

/// The state file and what was last written to it.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    written: Vec<u8>,
}

/// What a supervisor resumes from.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct State {
    /// Everything the scheduler knows.
    pub(crate) model: Model,
    /// The desired count before an orderly end set it to 0: what the next start goes back to.
    pub(crate) resume_count: Option<u32>,
}

/// A [`State`] as it is written.
#[derive(Debug, Serialize)]
struct Written<'a> {
    format: u64,
    model: &'a Model,
    resume_count: Option<u32>,
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// None: there was nothing, or nothing that can be read.
    pub(crate) state: Option<State>,
    /// What was put aside and why, in sentences for the log and the person who starts the engine.
    pub(crate) findings: Vec<String>,
}

impl Journal {
    /// The state file of the place whose folder this is.
    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self { path: folder.join("state.json"), written: Vec::new() }
    }

    fn previous(&self) -> PathBuf {
        self.path.with_file_name("state.previous.json")
    }

    /// Reads the state; what cannot be read is kept aside.
    pub(crate) fn load(&mut self) -> io::Result<Loaded> {
        let mut findings = Vec::new();
        for path in [self.path.clone(), self.previous()] {
            let bytes = match std::fs::read(&path) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            match parse(&bytes) {
                Ok(state) => {
                    if !findings.is_empty() {
                        findings.push(format!("went back to the state before it, `{}`", path.display()));
                    }
                    return Ok(Loaded { state: Some(state), findings });
                }
                Err(unusable) => {
                    let aside = files::keep_aside(&path, unusable.suffix())?;
                    findings.push(unusable.explain(&path, &aside));
                }
            }
        }
        Ok(Loaded { state: None, findings })
    }

    /// Writes the state if what matters of it changed; returns whether it did. Streaks of health checks and their
    /// schedule are not worth a disk write each: after a restart they begin anew.
    pub(crate) fn save(&mut self, model: &mut Model, resume_count: Option<u32>) -> io::Result<bool> {
        let settled = model.targets.iter().map(|(id, target)| (id.clone(), settled(target))).collect();
        // Exchanged for the time of writing: a copy of the whole model, for every input, would be dear.
        let unsettled = std::mem::replace(&mut model.targets, settled);
        let bytes = serde_json::to_vec(&Written { format: FORMAT, model, resume_count });
        model.targets = unsettled;
        let bytes = bytes?;
        if bytes == self.written {
            return Ok(false);
        }
        files::replace_keeping(&self.path, &self.previous(), &bytes)?;
        self.written = bytes;
        Ok(true)
    }
}

/// The state in a place's folder as it stands, for those who only look.
pub(crate) fn peek(folder: &Path) -> Option<State> {
    parse(&std::fs::read(folder.join("state.json")).ok()?).ok()
}

/// A target without what changes at each health check.
fn settled(target: &Target) -> Target {
    Target {
        passes: 0,
        failures: 0,
        clock_wrong: 0,
        probing_since: None,
        next_probe: Mono::ZERO,
        clock: None,
        ..target.clone()
    }
}

enum Unusable {
    Corrupt(String),
    Newer(u64),
}

impl Unusable {
    fn suffix(&self) -> &'static str {
        match self {
            Self::Corrupt(_) => "corrupt",
            Self::Newer(_) => "newer",
        }
    }

    fn explain(&self, path: &Path, aside: &Path) -> String {
        let (path, aside) = (path.display(), aside.display());
        match self {
            Self::Corrupt(why) => format!("`{path}` cannot be read ({why}): it is kept as `{aside}`"),
            Self::Newer(format) => format!(
                "`{path}` was written by a newer gimmetime (format {format}, this one reads up to {FORMAT}): it is kept as `{aside}`"
            ),
        }
    }
}

fn parse(bytes: &[u8]) -> Result<State, Unusable> {
    let corrupt = |error: serde_json::Error| Unusable::Corrupt(error.to_string());
    let value: Value = serde_json::from_slice(bytes).map_err(corrupt)?;
    match value.get("format").and_then(Value::as_u64) {
        None => Err(Unusable::Corrupt("it names no format".into())),
        Some(format) if FORMAT < format => Err(Unusable::Newer(format)),
        Some(_) => serde_json::from_value(value).map_err(corrupt),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::home::PlaceSpec;

    fn model() -> Model {
        PlaceSpec::new("place", "127.0.0.1:8080".parse().unwrap()).model()
    }

    #[test]
    fn what_was_saved_is_loaded_and_an_unchanged_model_is_not_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::in_folder(folder.path());
        assert!(journal.save(&mut model(), Some(3)).unwrap());
        let mut again = peek(folder.path()).unwrap().model;
        assert!(!journal.save(&mut again, Some(3)).unwrap());
        let loaded = Journal::in_folder(folder.path()).load().unwrap();
        assert!(loaded.findings.is_empty());
        assert_eq!(loaded.state.unwrap().resume_count, Some(3));
    }

    #[test]
    fn a_corrupt_state_is_kept_and_the_one_before_it_taken() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::in_folder(folder.path());
        journal.save(&mut model(), Some(1)).unwrap();
        journal.save(&mut model(), Some(2)).unwrap();
        std::fs::write(folder.path().join("state.json"), "{\"format\":1,\"mod").unwrap();
        let loaded = Journal::in_folder(folder.path()).load().unwrap();
        assert_eq!(loaded.state.unwrap().resume_count, Some(1));
        assert!(loaded.findings[0].contains(".corrupt-"), "{:?}", loaded.findings);
        let kept = std::fs::read_dir(folder.path()).unwrap().flatten();
        assert!(kept.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with("state.json.corrupt-")));
    }

    #[test]
    fn a_newer_state_is_kept_and_said_to_be_newer() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("state.json"), "{\"format\":2,\"model\":{}}").unwrap();
        let loaded = Journal::in_folder(folder.path()).load().unwrap();
        assert!(loaded.state.is_none());
        assert!(loaded.findings[0].contains("newer gimmetime (format 2"), "{:?}", loaded.findings);
    }
}
