//! Looking at a place without touching it.

use std::path::Path;

use super::{Presence, endpoint};
use crate::error::{Attempt, EngineError};
use crate::home::{Home, check_name};
use crate::{journal, marker, proc};

/// A task whose process lives although no supervisor does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveTask {
    /// Its id.
    pub id: String,
    /// Its process.
    pub pid: u32,
}

impl Home {
    /// What is there.
    pub fn presence(&self) -> Result<Presence, EngineError> {
        if !self.place_file().exists() {
            return Ok(Presence::Absent);
        }
        // One that cannot be read names no process; what lives is found without it.
        if let Ok(Some(file)) = self.engine()
            && let Some(process) = &file.process
            && proc::lives(process)
        {
            return endpoint(self, &file, process.pid).map(Presence::Running);
        }
        let (tasks, plane) = (self.live_tasks(), self.live_plane());
        let nothing = tasks.is_empty() && plane.is_none();
        Ok(if nothing { Presence::Stopped } else { Presence::Orphaned { tasks, plane } })
    }

    /// The places below a state root, by name. A folder that is no place is passed over.
    pub fn list(state_root: &Path) -> Result<Vec<(String, Presence)>, EngineError> {
        let entries = match std::fs::read_dir(state_root) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.attempt_on("list", state_root)?,
        };
        let mut names: Vec<String> =
            entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.retain(|name| check_name(name).is_ok());
        names.sort();
        let mut places = Vec::new();
        for name in names {
            match Self::at(state_root, &name).presence()? {
                Presence::Absent => {}
                presence => places.push((name, presence)),
            }
        }
        Ok(places)
    }

    /// Tasks that live: those the journal knows, and those it does not.
    pub(super) fn live_tasks(&self) -> Vec<LiveTask> {
        let folder = self.real_folder();
        let marked = marker::marked(&folder).into_iter();
        let mut tasks: Vec<LiveTask> =
            marked.map(|found| LiveTask { id: found.task.0, pid: found.process.pid }).collect();
        let known = journal::peek(&folder).map(|state| state.model.tasks).unwrap_or_default();
        for (id, task) in known {
            if let Some(process) = task.process.filter(proc::lives)
                && tasks.iter().all(|found| found.pid != process.pid)
            {
                tasks.push(LiveTask { id: id.0, pid: process.pid });
            }
        }
        tasks
    }

    pub(super) fn live_plane(&self) -> Option<u32> {
        self.plane_process().map(|process| process.pid)
    }
}
