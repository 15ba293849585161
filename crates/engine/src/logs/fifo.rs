//! The two FIFOs of a task: opened for reading and writing on both sides, so that neither end ever sees the other gone.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, chown};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use tokio::net::unix::pipe;

use crate::files;

/// How much a FIFO holds while nobody reads it, in bytes: the most that Linux grants without privilege.
pub(super) const CAPACITY: usize = 1 << 20;

/// The reading side of a task's output.
#[derive(Debug)]
pub(crate) struct Fifos {
    pub(super) out: pipe::Receiver,
    pub(super) err: pipe::Receiver,
}

impl Fifos {
    /// Makes the FIFOs that are not there yet in a task's folder, and opens them; `owner` may then reopen them by
    /// `/dev/stdout`.
    pub(crate) fn open(folder: &Path, owner: Option<u32>) -> io::Result<Self> {
        files::private_folder(folder)?;
        Ok(Self { out: reader(&folder.join("stdout"), owner)?, err: reader(&folder.join("stderr"), owner)? })
    }

    /// The task's side: descriptors of their own, since `O_NONBLOCK` belongs to the open file and must not be theirs.
    pub(crate) fn writers(folder: &Path) -> io::Result<(File, File)> {
        Ok((writer(&folder.join("stdout"))?, writer(&folder.join("stderr"))?))
    }
}

fn reader(path: &Path, owner: Option<u32>) -> io::Result<pipe::Receiver> {
    match mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    if owner.is_some() {
        chown(path, owner, owner)?;
    }
    let receiver = pipe::OpenOptions::new().read_write(true).open_receiver(path)?;
    // Above its user's share of pipe memory the kernel refuses: a smaller pipe still works.
    let _ = rustix::pipe::fcntl_setpipe_size(&receiver, CAPACITY);
    Ok(receiver)
}

fn writer(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).custom_flags(OFlags::CLOEXEC.bits().cast_signed()).open(path)
}
