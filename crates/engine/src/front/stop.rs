//! Stopping an engine in good order, and removing what it leaves.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gimmetime_clock::source;
use rustix::process::{Signal, pidfd_send_signal};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Presence;
use crate::error::{Attempt, EngineError};
use crate::home::Home;
use crate::process::Handle;
use crate::supervisor::strays::Stray;
use crate::{journal, marker, proc, process};

/// How long an orderly end may take: a drain, SIGTERM and SIGKILL of the slowest task ECS allows, and some.
const PATIENCE: Duration = Duration::from_mins(3);
/// How long another removal of the same folder may take.
const REMOVAL: Duration = Duration::from_secs(5);
/// How often progress is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// How an engine ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopReport {
    /// Tasks that ran when it was told.
    pub tasks: usize,
    /// How long it took.
    pub elapsed: Duration,
}

impl Home {
    /// Stops the engine in good order: drains, stops all tasks, retires the data plane. `progress` is told how many
    /// tasks are left whenever that changes. What a dead supervisor left is taken over by a new one first, from
    /// `binary`, and then stopped the same way. Where nothing runs there is nothing to do.
    pub async fn stop(&self, binary: &Path, mut progress: impl FnMut(usize)) -> Result<StopReport, EngineError> {
        let began = source::mono();
        let mut presence = self.presence()?;
        if let Presence::Orphaned { plane: None, .. } = presence
            && let Some(_lock) = self.lock()?
        {
            let tasks = self.stop_unreachable(progress).await;
            return Ok(StopReport { tasks, elapsed: source::mono().since(began) });
        }
        if let (Presence::Orphaned { .. }, Some(spec)) = (&presence, self.spec()?) {
            presence = Presence::Running(self.start(&spec, binary).await?);
        }
        let Presence::Running(endpoint) = presence else {
            return Ok(StopReport { tasks: 0, elapsed: Duration::ZERO });
        };
        let tasks = self.tasks_left();
        let pid = endpoint.pid;
        let ended = async {
            let process = self.engine()?.and_then(|file| file.process);
            let Some(handle) = process.map(|process| proc::open(&process)).transpose()?.flatten() else {
                return Ok(());
            };
            match pidfd_send_signal(&handle, Signal::TERM) {
                Ok(()) | Err(rustix::io::Errno::SRCH) => {}
                Err(error) => return Err(io::Error::from(error)),
            }
            process::gone(Arc::new(handle)).await
        };
        let watched = async {
            let mut last = None;
            loop {
                let left = self.tasks_left();
                if last.replace(left) != Some(left) {
                    progress(left);
                }
                sleep(LOOK).await;
            }
        };
        let both = async {
            tokio::select! {
                ended = ended => ended,
                () = watched => Ok(()),
            }
        };
        let late = EngineError::StillStopping { pid, seconds: PATIENCE.as_secs() };
        timeout(PATIENCE, both).await.map_err(|_| late)?.attempt("stop the engine")?;
        progress(0);
        Ok(StopReport { tasks, elapsed: source::mono().since(began) })
    }

    /// Stops tasks that no data plane leads clients to: nothing of theirs is to be drained, and no engine is needed,
    /// which might find its port taken by now. Returns how many there were.
    async fn stop_unreachable(&self, mut progress: impl FnMut(usize)) -> usize {
        let mut stopping: JoinSet<()> =
            marker::marked(&self.real_folder()).into_iter().filter_map(Stray::of).map(Stray::stop).collect();
        let tasks = stopping.len();
        progress(tasks);
        while stopping.join_next().await.is_some() {
            progress(stopping.len());
        }
        tasks
    }

    /// Ends every process of this place at once, drained or not: when it must go and does not.
    pub fn kill(&self) -> Result<(), EngineError> {
        let engine = self.engine().ok().flatten().and_then(|file| file.process);
        let plane = self.plane_process();
        let tasks = self.live_tasks().into_iter().filter_map(|task| proc::identity(task.pid));
        for process in engine.into_iter().chain(plane).chain(tasks) {
            if let Some(handle) = Handle::adopt(&process).attempt("open a process")? {
                handle.signal(Signal::KILL);
                handle.kill_alone();
            }
        }
        Ok(())
    }

    /// Removes the folder with everything in it, images and logs included.
    ///
    /// # Errors
    /// [`EngineError::InUse`] while anything of the place lives.
    pub fn remove(&self) -> Result<(), EngineError> {
        let in_use = |what: String| Err(EngineError::InUse { home: self.folder().into(), what });
        match self.presence()? {
            Presence::Running(endpoint) => return in_use(format!("its engine (pid {})", endpoint.pid)),
            Presence::Orphaned { tasks, plane } => {
                let pids: Vec<String> =
                    tasks.iter().map(|task| task.pid).chain(plane).map(|pid| pid.to_string()).collect();
                return in_use(format!("processes that outlived its engine (pids {})", pids.join(", ")));
            }
            Presence::Absent | Presence::Stopped => {}
        }
        let deadline = source::mono().plus(REMOVAL);
        while self.folder().exists() {
            match self.lock() {
                Ok(Some(_lock)) => return std::fs::remove_dir_all(self.folder()).attempt_on("remove", self.folder()),
                // Another removal took the folder away, or is about to.
                Err(_) if !self.folder().exists() => {}
                Err(error) => return Err(error),
                Ok(None) if source::mono() < deadline => std::thread::sleep(LOOK),
                Ok(None) => return in_use("an engine that is starting".into()),
            }
        }
        Ok(())
    }

    fn tasks_left(&self) -> usize {
        journal::peek(self.folder()).map_or(0, |state| state.model.live_tasks().count())
    }
}
