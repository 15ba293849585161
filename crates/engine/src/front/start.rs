//! Starting an engine: its own copy of the binary, a process of its own, and one line that says whether it serves.

use std::fs::{OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use gimmetime_clock::{Mono, source};
use tokio::time::{sleep, timeout};

use super::{Endpoint, Presence};
use crate::error::{Attempt, EngineError, StartFailure};
use crate::files;
use crate::home::{Home, PlaceSpec};
use crate::supervisor::Readiness;

/// How long an engine may take to become ready.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often another's start is looked at.
const LOOK: Duration = Duration::from_millis(20);

impl Home {
    /// Starts the engine of this place, or takes over what a dead supervisor left; one that runs is left as it is.
    ///
    /// `binary` is this program; the engine runs from a copy of it, so that a rebuild does not pull it away.
    pub async fn start(&self, spec: &PlaceSpec, binary: &Path) -> Result<Endpoint, EngineError> {
        if let Presence::Running(endpoint) = self.presence()? {
            return Ok(endpoint);
        }
        self.make()?;
        let copy = self.copy_binary(binary)?;
        let mut found = Vec::new();
        let deadline = source::mono().plus(PATIENCE);
        while source::mono() < deadline {
            // While another start holds the lock its wishes count: they came first.
            if let Some(_lock) = self.lock()? {
                found.extend(self.set_unreadable_aside()?);
                files::replace_json(&self.place_file(), spec).attempt_on("write", &self.place_file())?;
            }
            match self.attempt(&copy).await? {
                Readiness::Ready { findings } => {
                    found.extend(findings);
                    let endpoint = self.follow(deadline).await?;
                    return endpoint
                        .map(|endpoint| Endpoint { findings: found, ..endpoint })
                        .ok_or_else(|| self.not_ready("it ended"));
                }
                Readiness::Failed(StartFailure::Locked { .. }) => {
                    if let Some(endpoint) = self.follow(deadline).await? {
                        return Ok(endpoint);
                    }
                }
                Readiness::Failed(failure) => return Err(failure.into()),
            }
        }
        Err(self.not_ready(&format!("another start of it did not end within {} s", PATIENCE.as_secs())))
    }

    /// What the place was asked to be is about to be written: what stands there and cannot be read is kept.
    fn set_unreadable_aside(&self) -> Result<Option<String>, EngineError> {
        let path = self.place_file();
        match files::read_json::<PlaceSpec>(&path) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                let aside = files::keep_aside(&path, "corrupt").attempt_on("set aside", &path)?;
                Ok(Some(format!("{error}: it is kept as `{}`", aside.display())))
            }
            _ => Ok(None),
        }
    }

    /// One supervisor, and what it says.
    async fn attempt(&self, binary: &Path) -> Result<Readiness, EngineError> {
        let word = async {
            let started = self.spawn_once_closed(binary).await?;
            tokio::task::spawn_blocking(move || read_readiness(started)).await.map_err(io::Error::other)?
        };
        match timeout(PATIENCE, word).await {
            Ok(read) => read.map_err(|error| self.not_ready(&error.to_string())),
            Err(_) => Err(self.not_ready(&format!("no word within {} s", PATIENCE.as_secs()))),
        }
    }

    /// Starts the supervisor as soon as nobody has its file open for writing (ETXTBSY). A process that another thread
    /// forked while the copy was written has, until its own exec.
    async fn spawn_once_closed(&self, binary: &Path) -> io::Result<std::process::ChildStdout> {
        loop {
            match self.spawn(binary) {
                Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => sleep(LOOK).await,
                other => return other,
            }
        }
    }

    /// The endpoint of whoever holds the lock, once it is ready; None if it lets go of the lock instead: it failed, or
    /// was about to end when it was met.
    async fn follow(&self, deadline: Mono) -> Result<Option<Endpoint>, EngineError> {
        while source::mono() < deadline {
            if let Presence::Running(endpoint) = self.presence()? {
                return Ok(Some(endpoint));
            }
            if self.lock()?.is_some() {
                return Ok(None);
            }
            sleep(LOOK).await;
        }
        Ok(None)
    }

    fn not_ready(&self, why: &str) -> EngineError {
        EngineError::NotReady { why: why.to_owned(), log: self.engine_log() }
    }

    /// A copy of the binary below the folder, in a folder named by its digest: its own name is what `ps` shows.
    fn copy_binary(&self, binary: &Path) -> Result<PathBuf, EngineError> {
        let bytes = std::fs::read(binary).attempt_on("read", binary)?;
        let folder = self.folder().join("bin").join(gimmetime_image::sha256(&bytes).hex());
        let copy = folder.join("gimmetime");
        if !copy.exists() {
            files::private_folder(&folder).attempt_on("make", &folder)?;
            let beside = copy.with_extension(std::process::id().to_string());
            std::fs::write(&beside, bytes).attempt_on("write", &beside)?;
            std::fs::set_permissions(&beside, Permissions::from_mode(0o700)).attempt_on("open up", &beside)?;
            // A supervisor may run from the copy of another start already. It would not find its file replaced.
            files::keep_first(&beside, &copy).attempt_on("rename", &beside)?;
        }
        Ok(copy)
    }

    /// Starts the supervisor: nothing of ours in its environment, its words in the engine's log, one pipe to us.
    fn spawn(&self, binary: &Path) -> io::Result<std::process::ChildStdout> {
        let log = OpenOptions::new().append(true).create(true).mode(0o600).open(self.engine_log())?;
        let mut command = Command::new(binary);
        command.args(["engine", "supervise", "--home"]).arg(self.folder()).env_clear();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let child = command.spawn()?;
        child.stdout.ok_or_else(|| io::Error::other("its standard output is not a pipe"))
    }
}

/// The supervisor's first line; it writes no other.
fn read_readiness(mut pipe: std::process::ChildStdout) -> io::Result<Readiness> {
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\n") {
        if pipe.read(&mut byte)? == 0 {
            return Err(io::Error::other("it ended without a word"));
        }
        line.push(byte[0]);
    }
    serde_json::from_slice(&line).map_err(io::Error::from)
}
