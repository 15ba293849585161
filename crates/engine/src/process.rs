//! One process of ours: started in a group of its own, watched and signalled by handle, its leftovers killed.
//!
//! Nothing of the engine reaches it: no variable, no descriptor but the three standard ones, no privilege.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use gimmetime_scheduler::model::{Exit, Process};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, pidfd_send_signal, waitid,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::proc;

/// The user and group that tasks run as when the engine is root: `nonroot` of the distroless images.
pub(crate) const UNPRIVILEGED: u32 = 65_532;

/// What to start.
#[derive(Debug)]
pub(crate) struct Execution<'a> {
    /// The folder of the executable. It is entered by descriptor: those above it are closed to the task's user.
    pub(crate) folder: &'a Path,
    /// The executable's name in it, which is also the name of the process.
    pub(crate) executable: &'a str,
    /// Its arguments.
    pub(crate) arguments: &'a [String],
    /// Its whole environment.
    pub(crate) environment: &'a BTreeMap<String, String>,
    /// Where its output goes.
    pub(crate) output: (File, File),
}

/// A process of ours that was alive when it was last looked at.
#[derive(Debug, Clone)]
pub(crate) struct Handle {
    /// Which.
    pub(crate) process: Process,
    pidfd: Arc<OwnedFd>,
}

/// Whom tasks run as: None for the engine's own user.
pub(crate) fn task_user() -> Option<u32> {
    rustix::process::geteuid().is_root().then_some(UNPRIVILEGED)
}

/// Starts a task's process.
pub(crate) fn spawn(what: Execution<'_>) -> io::Result<Handle> {
    let folder = File::open(what.folder)?;
    let path = format!("/proc/self/fd/{}/{}", folder.as_raw_fd(), what.executable);
    let mut command = Command::new(path);
    command.arg0(what.executable).args(what.arguments).env_clear().envs(what.environment);
    command.stdin(Stdio::null()).stdout(what.output.0).stderr(what.output.1);
    command.current_dir("/").process_group(0);
    if let Some(user) = task_user() {
        // std drops the supplementary groups when it changes the user.
        command.uid(user).gid(user);
    }
    start(&mut command)
}

/// Starts a command and takes a handle on it. It stays a zombie until [`Handle::ended`] reaps it, so its pid is its own.
pub(crate) fn start(command: &mut Command) -> io::Result<Handle> {
    let mut child = command.spawn()?;
    take_hold(&child).inspect_err(|_| {
        // Nobody would know of it. One that is gone already needs no signal.
        let _ = child.kill().and_then(|()| child.wait());
    })
}

fn take_hold(child: &Child) -> io::Result<Handle> {
    let pidfd = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    let gone = || io::Error::other("it is not in /proc");
    let process = proc::identity(child.id()).ok_or_else(gone)?;
    Ok(Handle { process, pidfd: Arc::new(pidfd) })
}

impl Handle {
    /// A handle on a process that an earlier supervisor started; None if it is gone.
    pub(crate) fn adopt(process: &Process) -> io::Result<Option<Self>> {
        let pidfd = proc::open(process)?;
        Ok(pidfd.map(|pidfd| Self { process: process.clone(), pidfd: Arc::new(pidfd) }))
    }

    /// Signals the whole group.
    pub(crate) fn signal(&self, signal: Signal) {
        let own = proc::start_time(self.process.pid) == Some(self.process.start_time);
        if let (true, Some(group)) = (own, self.group()) {
            // A group that is gone needs no signal.
            let _ = kill_process_group(group, signal);
        }
    }

    /// Kills just this process, whose group may be another task's.
    pub(crate) fn kill_alone(&self) {
        // One that is gone needs no signal.
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
    }

    /// Waits until the process is gone, kills what is left of its group, and returns how it ended: unknown if it was
    /// not our child.
    pub(crate) async fn ended(self) -> io::Result<Exit> {
        gone(Arc::clone(&self.pidfd)).await?;
        self.kill_leftovers();
        Ok(reap(WaitId::PidFd(self.pidfd.as_fd())))
    }

    /// While its zombie stands, or a member lives, the group's number cannot be another's; else it may be, of a
    /// process with another start time.
    fn kill_leftovers(&self) {
        let reused = proc::start_time(self.process.pid).is_some_and(|start| start != self.process.start_time);
        if let (false, Some(group)) = (reused, self.group()) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }

    fn group(&self) -> Option<Pid> {
        Pid::from_raw(self.process.pid.cast_signed())
    }
}

/// Waits until the process behind a handle is gone.
pub(crate) async fn gone(pidfd: Arc<OwnedFd>) -> io::Result<()> {
    #[expect(
        deprecated,
        reason = "its successor is unsafe; an owned descriptor keeps its number while it is registered"
    )]
    let pidfd = AsyncFd::with_interest(pidfd, Interest::READABLE)?;
    // It stays readable once the process ended; nothing is read from it.
    pidfd.readable().await?.retain_ready();
    Ok(())
}

fn reap(who: WaitId<'_>) -> Exit {
    match waitid(who, WaitIdOptions::EXITED | WaitIdOptions::NOHANG) {
        Ok(Some(status)) => match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Exit::Code(code),
            (None, Some(signal)) => Exit::Signal(signal),
            (None, None) => Exit::Unknown,
        },
        // Not a child of ours: an earlier supervisor's.
        Ok(None) | Err(_) => Exit::Unknown,
    }
}

/// Reaps processes whose parents left them to us, by pid: never any process, which would take a task's status away.
pub(crate) fn reap_orphans(ours: impl Fn(u32) -> bool) {
    let own = std::process::id();
    for pid in proc::pids() {
        if proc::parent(pid) == Some(own) && proc::state(pid) == Some('Z') && !ours(pid) {
            let _ = Pid::from_raw(pid.cast_signed()).map(|pid| reap(WaitId::Pid(pid)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Handle {
        start(Command::new("/bin/sh").args(["-c", script]).process_group(0)).unwrap()
    }

    #[tokio::test]
    async fn how_a_child_ended_is_told() {
        assert_eq!(shell("exit 3").ended().await.unwrap(), Exit::Code(3));
        assert_eq!(shell("kill -9 $$").ended().await.unwrap(), Exit::Signal(9));
    }

    #[tokio::test]
    async fn what_a_task_leaves_in_its_group_is_killed() {
        let out = tempfile::NamedTempFile::new().unwrap();
        let handle = shell(&format!("sleep 600 & echo $! > {}", out.path().display()));
        assert_eq!(handle.ended().await.unwrap(), Exit::Code(0));
        let left: u32 = std::fs::read_to_string(out.path()).unwrap().trim().parse().unwrap();
        while proc::state(left).is_some_and(|state| state != 'Z') {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_process_that_is_gone_cannot_be_adopted() {
        let handle = shell("exit 0");
        let process = handle.process.clone();
        handle.ended().await.unwrap();
        assert!(Handle::adopt(&process).unwrap().is_none());
    }
}
