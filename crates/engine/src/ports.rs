//! Ports for tasks: 20000–29999, below the range the kernel hands out itself, each locked per user.
//!
//! The locks are per user and not per place, so that two places on one machine never hand out the same port.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use gimmetime_scheduler::model::TaskId;
use rustix::fs::{FlockOperation, flock};

/// The first port handed out.
const FIRST: u16 = 20_000;
/// How many there are.
const COUNT: u16 = 10_000;

/// The ports of one engine's tasks.
#[derive(Debug)]
pub(crate) struct Ports {
    folder: PathBuf,
    next: u16,
    held: BTreeMap<TaskId, (u16, File)>,
}

impl Ports {
    /// With the locks of this user; the search begins at a place that differs from engine to engine.
    pub(crate) fn of_this_user(start: u16) -> io::Result<Self> {
        let uid = rustix::process::geteuid().as_raw();
        let runtime = PathBuf::from(format!("/run/user/{uid}"));
        let base = if owned_by(&runtime, uid) { runtime } else { PathBuf::from("/tmp") };
        let folder = base.join(format!("gimmetime-{uid}"));
        match DirBuilder::new().mode(0o700).create(&folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ if owned_by(&folder, uid) => {}
            _ => return Err(io::Error::other(format!("`{}` is not a folder of user {uid}", folder.display()))),
        }
        Ok(Self::in_folder(folder, start))
    }

    fn in_folder(folder: PathBuf, start: u16) -> Self {
        Self { folder, next: start % COUNT, held: BTreeMap::new() }
    }

    /// A port that no other engine of this user holds and nobody listens on; locked until [`Self::release`].
    pub(crate) fn allocate(&mut self, task: &TaskId) -> io::Result<u16> {
        for _ in 0..COUNT {
            let port = FIRST + self.next;
            self.next = (self.next + 1) % COUNT;
            if let Some(lock) = self.lock(port)?
                && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
            {
                self.held.insert(task.clone(), (port, lock));
                return Ok(port);
            }
        }
        Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            format!("all ports from {FIRST} to {} are taken", FIRST + COUNT - 1),
        ))
    }

    /// Locks the port of a task that was started by an earlier supervisor.
    pub(crate) fn adopt(&mut self, task: &TaskId, port: u16) -> io::Result<()> {
        if let Some(lock) = self.lock(port)? {
            self.held.insert(task.clone(), (port, lock));
        }
        Ok(())
    }

    /// Gives a task's port back.
    pub(crate) fn release(&mut self, task: &TaskId) {
        self.held.remove(task);
    }

    fn lock(&self, port: u16) -> io::Result<Option<File>> {
        let path = self.folder.join(format!("port-{port}"));
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

fn owned_by(folder: &Path, uid: u32) -> bool {
    std::fs::symlink_metadata(folder).is_ok_and(|meta| meta.is_dir() && meta.uid() == uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(name: &str) -> TaskId {
        TaskId(name.into())
    }

    #[test]
    fn two_engines_of_one_user_never_get_the_same_port() {
        let folder = tempfile::tempdir().unwrap();
        let mut one = Ports::in_folder(folder.path().into(), 4_000);
        let mut other = Ports::in_folder(folder.path().into(), 4_000);
        let (first, second) = (one.allocate(&task("a")).unwrap(), other.allocate(&task("b")).unwrap());
        assert_ne!(first, second);
    }

    #[test]
    fn a_port_somebody_listens_on_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let mut ports = Ports::in_folder(folder.path().into(), 5_000);
        let free = ports.allocate(&task("a")).unwrap();
        ports.release(&task("a"));
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, free)).unwrap();
        ports.next = free - FIRST;
        assert_ne!(ports.allocate(&task("b")).unwrap(), free);
    }
}
