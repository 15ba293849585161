//! What can go wrong between a request and its reply, told apart by who is to blame.

use std::io;
use std::time::Duration;

/// Why there is no reply. [`Fault::before_connect`] tells our own network's faults from the service's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nobody listens there.
    #[error("connection refused")]
    Refused,
    /// No way there; the words of the system.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// Ours: no file descriptors, ports or buffers left.
    #[error("out of descriptors on this machine: {0}")]
    OutOfDescriptors(String),
    /// The connection did not stand in time.
    #[error("no connection within {0:?}")]
    ConnectTimeout(Duration),
    /// The request cannot be written as it was given.
    #[error("`{0}` cannot stand in a request")]
    Unsendable(String),
    /// Reset after the connection stood, before the first byte of a reply.
    #[error("connection reset before an answer")]
    Reset,
    /// Closed in good order, before the first byte of a reply.
    #[error("connection closed before an answer")]
    Closed,
    /// A reply began; the connection ended in the middle of it.
    #[error("answer cut short after {0} bytes")]
    CutShort(usize),
    /// No complete reply in time.
    #[error("no complete answer within {0:?}")]
    Timeout(Duration),
    /// What came is not HTTP/1.x, or exceeds a limit.
    #[error("malformed answer: {0}")]
    Malformed(String),
}

/// `errno` values that [`io::ErrorKind`] has no stable name for (Linux, all architectures).
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;
const ENOBUFS: i32 = 105;

impl Fault {
    /// Whether the service never saw us: the network between, or this machine, is to blame, and nothing is proved about it.
    pub fn before_connect(&self) -> bool {
        match self {
            Self::Refused
            | Self::Unreachable(_)
            | Self::OutOfDescriptors(_)
            | Self::ConnectTimeout(_)
            | Self::Unsendable(_) => true,
            Self::Reset | Self::Closed | Self::CutShort(_) | Self::Timeout(_) | Self::Malformed(_) => false,
        }
    }

    /// Whether a kept connection may simply have been closed while it was idle: then a new one is worth one more try.
    pub fn may_be_stale(&self) -> bool {
        matches!(self, Self::Reset | Self::Closed)
    }

    /// What a failed connect means.
    pub(super) fn of_connect(error: &io::Error) -> Self {
        if matches!(error.raw_os_error(), Some(ENFILE | EMFILE | ENOBUFS)) {
            return Self::OutOfDescriptors(error.to_string());
        }
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            // All local ports towards that address are taken.
            io::ErrorKind::AddrNotAvailable | io::ErrorKind::OutOfMemory => Self::OutOfDescriptors(error.to_string()),
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => Self::Reset,
            _ => Self::Unreachable(error.to_string()),
        }
    }

    /// What a failed read or write means when `seen` bytes of the reply had come.
    pub(super) fn of_stream(error: &io::Error, seen: usize) -> Self {
        match error.kind() {
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable if seen == 0 => {
                Self::Unreachable(error.to_string())
            }
            _ if seen == 0 => Self::Reset,
            _ => Self::CutShort(seen),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_descriptors_blames_itself() {
        for code in [ENFILE, EMFILE, ENOBUFS] {
            let fault = Fault::of_connect(&io::Error::from_raw_os_error(code));
            assert!(matches!(fault, Fault::OutOfDescriptors(_)) && fault.before_connect(), "{code}: {fault}");
        }
    }

    #[test]
    fn a_broken_connection_is_told_by_how_much_of_the_reply_had_come() {
        let broken = io::Error::from(io::ErrorKind::BrokenPipe);
        assert_eq!(Fault::of_stream(&broken, 0), Fault::Reset);
        assert_eq!(Fault::of_stream(&broken, 7), Fault::CutShort(7));
        assert!(Fault::Reset.may_be_stale() && !Fault::CutShort(7).may_be_stale());
    }

    #[test]
    fn no_route_is_unreachable() {
        for kind in [io::ErrorKind::HostUnreachable, io::ErrorKind::NetworkUnreachable, io::ErrorKind::PermissionDenied]
        {
            assert!(matches!(Fault::of_connect(&io::Error::from(kind)), Fault::Unreachable(_)), "{kind}");
        }
    }
}
