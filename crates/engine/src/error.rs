//! What can go wrong between the command and the engine, by what a caller can do about it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Why an engine could not be started, asked, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// It said why it could not start.
    #[error(transparent)]
    Start(#[from] StartFailure),
    /// It ended, or said nothing, before it was ready.
    #[error("the engine did not become ready: {why}; its log is `{}`", log.display())]
    NotReady {
        /// What was seen.
        why: String,
        /// Where to look.
        log: PathBuf,
    },
    /// Nothing runs there.
    #[error("no engine runs in `{}`", home.display())]
    NotRunning {
        /// The place's folder.
        home: PathBuf,
    },
    /// Something still runs there, so the folder was left alone.
    #[error("`{}` is still in use by {what}; stop it first", home.display())]
    InUse {
        /// The place's folder.
        home: PathBuf,
        /// Who.
        what: String,
    },
    /// It was told to stop, and did not within the time given.
    #[error("the engine (pid {pid}) did not stop within {seconds} s")]
    StillStopping {
        /// Its process.
        pid: u32,
        /// How long was waited.
        seconds: u64,
    },
    /// The name cannot be that of a folder, a cluster and a log group.
    #[error("`{name}` cannot name a place: expected 1 to 32 letters, digits and hyphens, starting with a letter")]
    Name {
        /// What was given.
        name: String,
    },
    /// It answered a request with an error.
    #[error("the engine refused {operation}: {message}")]
    Refused {
        /// What was asked.
        operation: String,
        /// Its words.
        message: String,
    },
    /// A system call failed.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was attempted, on what.
        what: String,
        /// The system's words.
        source: io::Error,
    },
}

/// Why an engine could not start, as it tells the command that started it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum StartFailure {
    /// Somebody else listens there.
    #[error("{listen} is taken by {}", Holder::name(holder.as_ref()))]
    PortTaken {
        /// Where it should have listened.
        listen: SocketAddr,
        /// Who does, if this user may know.
        holder: Option<Holder>,
    },
    /// The system keeps low ports for root.
    #[error("{listen} cannot be bound: ports below 1024 need root")]
    PortForbidden {
        /// Where it should have listened.
        listen: SocketAddr,
    },
    /// This machine has no such address.
    #[error("{listen} cannot be bound: this machine has no address {}", listen.ip())]
    NoSuchAddress {
        /// Where it should have listened.
        listen: SocketAddr,
    },
    /// Another engine holds the folder's lock.
    #[error("another engine holds `{}`", home.display())]
    Locked {
        /// The place's folder.
        home: PathBuf,
    },
    /// Anything else, in words.
    #[error("{message}")]
    Other {
        /// What was attempted, and how it failed.
        message: String,
    },
}

/// Who listens on a port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process.
    pub pid: u32,
    /// The process's name.
    pub name: String,
}

impl Holder {
    fn name(holder: Option<&Self>) -> String {
        holder.map_or_else(|| "a process of another user".into(), ToString::to_string)
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {})", self.name, self.pid)
    }
}

/// Adds what was attempted to a system error.
pub(crate) trait Attempt<T> {
    /// With the attempt in words.
    fn attempt(self, what: &str) -> Result<T, EngineError>;
    /// With a verb and the path it was tried on.
    fn attempt_on(self, verb: &str, path: &Path) -> Result<T, EngineError>;
}

impl<T, E: Into<io::Error>> Attempt<T> for Result<T, E> {
    fn attempt(self, what: &str) -> Result<T, EngineError> {
        self.map_err(|source| EngineError::Io { what: what.into(), source: source.into() })
    }

    fn attempt_on(self, verb: &str, path: &Path) -> Result<T, EngineError> {
        self.map_err(|source| EngineError::Io { what: format!("{verb} `{}`", path.display()), source: source.into() })
    }
}

impl EngineError {
    /// As the starting side passes it on.
    pub(crate) fn into_failure(self) -> StartFailure {
        match self {
            Self::Start(failure) => failure,
            other => StartFailure::Other { message: other.to_string() },
        }
    }
}
