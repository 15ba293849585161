//! A place's folder: what is kept where, who may read it, and in which form.
//!
//! Everything of one place is below one folder of mode 0700, and nothing of it is anywhere else but the port locks
//! (see [`crate::ports`]).

use std::fs::{File, OpenOptions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use gimmetime_clock::{Timestamp, source};
use gimmetime_image::Layout;
use gimmetime_scheduler::model::{Algorithm, HealthCheck, Model, Place, Process};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::error::{Attempt, EngineError};
use crate::files;
use crate::{journal, marker, proc};

/// A place's folder, whether or not it exists.
#[derive(Debug, Clone)]
pub struct Home {
    folder: PathBuf,
    name: String,
}

/// What a place is asked to be: one balancer at one address, and how its targets are checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceSpec {
    /// Name of the cluster, service, load balancer, target group and log group.
    pub name: String,
    /// Where clients connect.
    pub listen: SocketAddr,
    /// How targets are checked; a revision may bring a path of its own.
    pub health_check: HealthCheck,
    /// How long a draining target may finish what is in flight, in milliseconds.
    pub deregistration_delay_ms: u64,
    /// How the next target is chosen.
    pub algorithm: Algorithm,
}

impl PlaceSpec {
    /// The local profile: quick checks, since loopback does not lose packets (ALB: every 30 s, 5 passes).
    pub fn new(name: &str, listen: SocketAddr) -> Self {
        let health_check = HealthCheck {
            path: "/live".into(),
            interval_ms: 1_000,
            timeout_ms: 2_000,
            healthy_threshold: 2,
            unhealthy_threshold: 2,
            matcher: (200, 299),
        };
        let algorithm = Algorithm::RoundRobin;
        Self { name: name.into(), listen, health_check, deregistration_delay_ms: 30_000, algorithm }
    }

    /// An empty model of this place.
    pub(crate) fn model(&self) -> Model {
        let place = Place {
            name: self.name.clone(),
            suffix: random_hex(8),
            created_at: source::wall(),
            listen: self.listen,
            health_check: self.health_check.clone(),
            deregistration_delay_ms: self.deregistration_delay_ms,
            algorithm: self.algorithm,
        };
        Model::new(place, u64::from_be_bytes(random()))
    }
}

impl From<&Place> for PlaceSpec {
    fn from(place: &Place) -> Self {
        Self {
            name: place.name.clone(),
            listen: place.listen,
            health_check: place.health_check.clone(),
            deregistration_delay_ms: place.deregistration_delay_ms,
            algorithm: place.algorithm,
        }
    }
}

/// The keys that calls to this engine are signed with. Made once; they last until the folder is removed.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct KeyFile {
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
}

impl From<KeyFile> for gimmetime_api::Keys {
    fn from(file: KeyFile) -> Self {
        Self { access_key: file.access_key, secret_key: file.secret_key }
    }
}

/// Which process is the supervisor, and where it answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct EngineFile {
    /// None after an orderly end.
    pub(crate) process: Option<Process>,
    /// Chosen once and used again, so that exported endpoints stay true over a restart.
    pub(crate) api_port: u16,
    /// Where clients connect.
    pub(crate) listen: SocketAddr,
    /// When it became ready.
    pub(crate) started_at: Timestamp,
    /// The version of the program it runs.
    pub(crate) version: String,
}

/// The data plane's process, so that the next supervisor and `presence` know it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PlaneFile {
    pub(crate) process: Process,
}

/// Held by the one supervisor of a folder as long as it lives.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Home {
    /// The folder of place `name` below the state root.
    pub fn at(state_root: &Path, name: &str) -> Self {
        Self { folder: state_root.join(name), name: name.into() }
    }

    /// The place whose folder this is.
    pub fn of_folder(folder: &Path) -> Self {
        let name = folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        Self { folder: folder.to_path_buf(), name }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The place's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The engine's own log.
    pub fn engine_log(&self) -> PathBuf {
        self.folder.join("engine.log")
    }

    /// The images that can be run here; made when it is not there.
    pub fn layout(&self) -> Result<Layout, EngineError> {
        self.make()?;
        let folder = self.folder.join("images");
        Layout::create(&folder)
            .map_err(|error| EngineError::Io { what: "open the image layout".into(), source: io::Error::other(error) })
    }

    /// What the place was last asked to be.
    pub fn spec(&self) -> Result<Option<PlaceSpec>, EngineError> {
        let path = self.place_file();
        match files::read_json(&path) {
            // The state says the same, until one of them is written anew.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => match journal::peek(&self.folder) {
                Some(state) => Ok(Some(PlaceSpec::from(&state.model.place))),
                None => Err(error).attempt_on("read", &path),
            },
            read => read.attempt_on("read", &path),
        }
    }

    /// Makes the folder, private to its owner.
    pub(crate) fn make(&self) -> Result<(), EngineError> {
        check_name(&self.name)?;
        files::private_folder(&self.folder).attempt_on("make", &self.folder)
    }

    pub(crate) fn place_file(&self) -> PathBuf {
        self.folder.join("place.json")
    }

    pub(crate) fn engine_file(&self) -> PathBuf {
        self.folder.join("engine.json")
    }

    pub(crate) fn plane_file(&self) -> PathBuf {
        self.folder.join("plane.json")
    }

    /// Where the data plane takes its director's connection.
    pub(crate) fn control_socket(&self) -> PathBuf {
        self.folder.join("balancer.sock")
    }

    /// What the data plane says of each request.
    pub(crate) fn access_log(&self) -> PathBuf {
        self.folder.join("access.log")
    }

    pub(crate) fn programs(&self) -> PathBuf {
        self.folder.join("programs")
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.folder.join("logs")
    }

    /// The folder of a task's FIFOs.
    pub(crate) fn task(&self, id: &str) -> PathBuf {
        self.folder.join("tasks").join(id)
    }

    pub(crate) fn engine(&self) -> io::Result<Option<EngineFile>> {
        files::read_json(&self.engine_file())
    }

    pub(crate) fn plane(&self) -> io::Result<Option<PlaneFile>> {
        files::read_json(&self.plane_file())
    }

    /// The folder as the place's processes have it in their environment: without links.
    pub(crate) fn real_folder(&self) -> PathBuf {
        self.folder.canonicalize().unwrap_or_else(|_| self.folder.clone())
    }

    /// The data plane's process, if it lives: as it is written down, else as `/proc` knows it.
    pub(crate) fn plane_process(&self) -> Option<Process> {
        let written = self.plane().ok().flatten().map(|file| file.process);
        written.filter(proc::lives).or_else(|| marker::plane(&self.real_folder()))
    }

    /// The keys, made when they are not there yet.
    pub(crate) fn keys(&self) -> Result<KeyFile, EngineError> {
        let path = self.folder.join("keys.json");
        if let Some(keys) = files::read_json(&path).attempt_on("read", &path)? {
            return Ok(keys);
        }
        let access_key = format!("GIMMETIME{}", random_hex(6).to_uppercase());
        let keys = KeyFile { access_key, secret_key: random_hex(20) };
        files::replace_json(&path, &keys).attempt_on("write", &path)?;
        Ok(keys)
    }

    /// The lock, if nobody else holds it.
    pub(crate) fn lock(&self) -> Result<Option<Lock>, EngineError> {
        let path = self.folder.join("lock");
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.attempt_on("open", &path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Lock { _file: file })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error).attempt_on("lock", &path),
        }
    }
}

/// Whether a name can be that of a folder, a cluster, a load balancer (32 characters at most) and a log group.
pub(crate) fn check_name(name: &str) -> Result<(), EngineError> {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
    let rest = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let valid = first && rest && name.len() <= 32;
    if valid { Ok(()) } else { Err(EngineError::Name { name: name.into() }) }
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("Linux 3.17 and later have getrandom");
    bytes
}

/// Random lower-case hex digits, two for each byte.
pub(crate) fn random_hex(bytes: usize) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).expect("four bits are one hex digit");
    (0..bytes).map(|_| random::<1>()[0]).flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_lock_is_held_by_one_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let home = Home::at(root.path(), "place");
        home.make().unwrap();
        let held = home.lock().unwrap();
        assert!(held.is_some());
        assert!(home.lock().unwrap().is_none());
        drop(held);
        assert!(home.lock().unwrap().is_some());
    }

    #[test]
    fn keys_are_made_once_and_private() {
        let root = tempfile::tempdir().unwrap();
        let home = Home::at(root.path(), "place");
        home.make().unwrap();
        let (first, second) = (home.keys().unwrap(), home.keys().unwrap());
        assert_eq!(first.secret_key, second.secret_key);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&home.folder().join("keys.json")), 0o600);
        assert_eq!(mode(home.folder()), 0o700);
    }

    #[test]
    fn names_that_would_leave_the_folder_are_refused() {
        for name in ["", "..", "a/b", "-a", "1a", "ä", "a.b", &"a".repeat(33)] {
            assert!(matches!(check_name(name), Err(EngineError::Name { .. })), "{name}");
        }
        for name in ["gimmetime", "engage-infra", "A1"] {
            check_name(name).unwrap();
        }
    }
}
