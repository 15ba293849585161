//! The place as the command line sees it: is it there, start it, ask it, stop it, remove it.

mod client;
mod look;
mod start;
mod stop;

use std::net::SocketAddr;
use std::path::PathBuf;

use gimmetime_scheduler::model::{ACCOUNT, REGION};

use crate::error::EngineError;
use crate::home::{EngineFile, Home};

pub use client::{EngineDescription, Metrics, PlaceDescription, Traffic};
pub use look::LiveTask;
pub use stop::StopReport;

/// Where a running engine answers, and how calls to it are signed.
#[derive(Clone)]
pub struct Endpoint {
    /// `http://127.0.0.1:PORT`, for the ECS, ELBv2, Logs and STS APIs.
    pub url: String,
    /// The access key id.
    pub access_key: String,
    /// The secret key. Never shown.
    pub secret_key: String,
    /// Always `local`.
    pub region: &'static str,
    /// Always twelve zeros.
    pub account: &'static str,
    /// The supervisor's process.
    pub pid: u32,
    /// The place's folder.
    pub state_dir: PathBuf,
    /// Where clients connect.
    pub listen: SocketAddr,
    /// What was found amiss when it was started, and how it was mended, in sentences; empty unless just started.
    pub findings: Vec<String>,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { url, access_key, pid, state_dir, listen, .. } = self;
        let mut shown = f.debug_struct("Endpoint");
        shown.field("url", url).field("access_key", access_key).field("pid", pid);
        shown.field("state_dir", state_dir).field("listen", listen).finish_non_exhaustive()
    }
}

/// Whether an engine is there.
#[derive(Debug, Clone)]
pub enum Presence {
    /// There is no such place.
    Absent,
    /// It runs.
    Running(Endpoint),
    /// Its supervisor died; parts of it live on and serve. [`Home::start`] takes them over.
    Orphaned {
        /// Tasks whose processes live.
        tasks: Vec<LiveTask>,
        /// The data plane's process, if it lives.
        plane: Option<u32>,
    },
    /// The folder is there, and nothing lives.
    Stopped,
}

/// The endpoint of a supervisor that is `process`.
fn endpoint(home: &Home, file: &EngineFile, pid: u32) -> Result<Endpoint, EngineError> {
    let keys = home.keys()?;
    Ok(Endpoint {
        url: format!("http://127.0.0.1:{}", file.api_port),
        access_key: keys.access_key,
        secret_key: keys.secret_key,
        region: REGION,
        account: ACCOUNT,
        pid,
        state_dir: home.folder().into(),
        listen: file.listen,
        findings: Vec::new(),
    })
}
