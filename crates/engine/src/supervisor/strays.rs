//! Processes of this place that its state does not know: found by the marker in their environment.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use gimmetime_balancer::control::TableTarget;
use gimmetime_scheduler::model::{Exit, Process, TaskId};
use rustix::process::Signal;
use tokio::time::timeout;

use crate::launch;
use crate::proc;
use crate::process::Handle;

/// How long a stray may take to end after SIGTERM: as long as ECS gives a task.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

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
        let task = TaskId(environment.get(launch::TASK)?.clone());
        let port: u16 = environment.get(launch::PORT)?.parse().ok()?;
        Some(Marked { task, process: proc::identity(pid)?, address: (Ipv4Addr::LOCALHOST, port).into() })
    });
    marked.collect()
}

/// The data plane of the place in `folder`, if it lives: it bears the place's marker and no task's.
pub(crate) fn plane(folder: &Path) -> Option<Process> {
    let found = of_place(folder).filter(|(_, environment)| !environment.contains_key(launch::TASK));
    found.map(|(pid, _)| pid).find(|pid| proc::group(*pid) == Some(*pid)).and_then(proc::identity)
}

/// Kills what a task that ended left behind outside its process group.
pub(crate) fn sweep(folder: &Path, task: &TaskId) {
    for (pid, environment) in of_place(folder) {
        if environment.get(launch::TASK) == Some(&task.0)
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
    living.filter(move |(_, environment)| environment.get(launch::HOME) == Some(&folder))
}

/// A stray that is served by until the service has a healthy task again, and stopped then.
#[derive(Debug)]
pub(crate) struct Stray {
    pub(super) marked: Marked,
    handle: Handle,
}

impl Stray {
    /// None if it ended meanwhile.
    pub(crate) fn of(marked: Marked) -> Option<Self> {
        let handle = Handle::adopt(&marked.process).ok()??;
        Some(Self { marked, handle })
    }

    /// As a line of the routing table.
    pub(super) fn target(&self) -> TableTarget {
        TableTarget { id: self.marked.task.0.clone(), address: self.marked.address, draining: false }
    }

    /// SIGTERM, then SIGKILL.
    pub(crate) async fn stop(self) {
        self.handle.signal(Signal::TERM);
        let ended: Result<std::io::Result<Exit>, _> = timeout(STOP_TIMEOUT, self.handle.clone().ended()).await;
        if ended.is_err() {
            self.handle.signal(Signal::KILL);
            let _ = self.handle.ended().await;
        }
    }
}
