//! The director's side of the control connection, and the making of the socket that a plane listens on.
//!
//! Paths go through `/proc/self/fd/N/name`, because a socket's path ends at 108 bytes and state folders lie deeper than that.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use tokio::net::UnixStream;

use super::transport::Transport;
use super::{ControlError, FromPlane, ToPlane};

/// A connection that directs a data plane; it displaces the one before.
#[derive(Debug)]
pub struct Director {
    transport: Transport,
}

impl Director {
    /// Connects to the plane that listens on the socket at `path`. The first line to come is [`FromPlane::Hello`].
    pub async fn connect(path: &Path) -> Result<Self, ControlError> {
        let unreachable = |source| ControlError::Unreachable { path: path.to_owned(), source };
        let (_folder, short) = shorten(path).map_err(unreachable)?;
        let stream = UnixStream::connect(short).await.map_err(unreachable)?;
        Ok(Self { transport: Transport::new(stream) })
    }

    /// Sends one order; `listener` travels beside [`ToPlane::Listen`].
    pub async fn send(&self, order: &ToPlane, listener: Option<BorrowedFd<'_>>) -> Result<(), ControlError> {
        self.transport.send(order, listener.as_slice()).await
    }

    /// The next line, and the listening sockets that came with [`FromPlane::Listeners`] in the order of its addresses;
    /// `None` once the plane is gone. Cancel-safe.
    pub async fn recv(&mut self) -> Result<Option<(FromPlane, Vec<OwnedFd>)>, ControlError> {
        let Some(message) = self.transport.receive::<FromPlane>().await? else {
            return Ok(None);
        };
        let wanted = match &message {
            FromPlane::Listeners { addresses } => addresses.len(),
            _ => 0,
        };
        let listeners = self.transport.take_descriptors(wanted).ok_or(ControlError::MissingDescriptor)?;
        Ok(Some((message, listeners)))
    }
}

/// Makes the socket at `path` that a plane gets as its standard input; it is for this user alone (mode 0600).
///
/// What lay at `path` before is removed: the caller knows that no plane listens there.
pub fn listen(path: &Path) -> Result<OwnedFd, ControlError> {
    let unusable = |source| ControlError::Unreachable { path: path.to_owned(), source };
    let (_folder, short) = shorten(path).map_err(unusable)?;
    match fs::remove_file(&short) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unusable(error)),
        _ => {}
    }
    let listener = UnixListener::bind(&short).map_err(unusable)?;
    fs::set_permissions(&short, fs::Permissions::from_mode(0o600)).map_err(unusable)?;
    Ok(listener.into())
}

/// A short path to the same file, good for as long as the folder beside it is held open.
fn shorten(path: &Path) -> io::Result<(OwnedFd, PathBuf)> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = rustix::fs::open(parent, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let short = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name);
    Ok((folder, short))
}
