//! What each process of a place bears in its environment, and how it is found by that without the journal.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use gimmetime_scheduler::model::{Process, TaskId};

use crate::proc;
use crate::process::Handle;

/// Names the place's folder.
pub(crate) const HOME: &str = "GIMMETIME_HOME";
/// Names the task.
pub(crate) const TASK: &str = "GIMMETIME_TASK";
/// Where a task listens.
pub(crate) const PORT: &str = "PORT";

/// A task's main process, as its environment tells.
#[derive(Debug, Clone)]
pub(crate) struct Marked {
    /// The task it says it is.
    pub(crate) task: TaskId,
    /// Which process.
    pub(crate) process: Process,
    /// Where it was told to listen.
    pub(crate) address: SocketAddr,
}

/// The main processes of all tasks of the place in `folder` that live.
pub(crate) fn marked(folder: &Path) -> Vec<Marked> {
    let found = of_place(folder).filter(|(pid, _)| proc::group(*pid) == Some(*pid));
    let marked = found.filter_map(|(pid, environment)| {
        let task = TaskId(environment.get(TASK)?.clone());
        let port: u16 = environment.get(PORT)?.parse().ok()?;
        Some(Marked { task, process: proc::identity(pid)?, address: (Ipv4Addr::LOCALHOST, port).into() })
    });
    marked.collect()
}

/// The data plane of the place in `folder`, if it lives: it bears the place's marker and no task's.
pub(crate) fn plane(folder: &Path) -> Option<Process> {
    let found = of_place(folder).filter(|(_, environment)| !environment.contains_key(TASK));
    found.map(|(pid, _)| pid).find(|pid| proc::group(*pid) == Some(*pid)).and_then(proc::identity)
}

/// Kills what a task that ended left behind outside its process group.
pub(crate) fn sweep(folder: &Path, task: &TaskId) {
    for (pid, environment) in of_place(folder) {
        if environment.get(TASK) == Some(&task.0)
            && let Some(process) = proc::identity(pid)
            && let Ok(Some(handle)) = Handle::adopt(&process)
        {
            handle.kill_alone();
        }
    }
}

fn of_place(folder: &Path) -> impl Iterator<Item = (u32, BTreeMap<String, String>)> {
    let folder = folder.to_string_lossy().into_owned();
    let living = proc::pids().into_iter().filter_map(|pid| Some((pid, proc::environment(pid)?)));
    living.filter(move |(_, environment)| environment.get(HOME) == Some(&folder))
}
