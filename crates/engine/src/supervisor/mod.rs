//! The supervisor: one process for each place, which owns the model and whatever acts on it.
//!
//! It parses nothing that clients send, so it has little to die of; if it does, tasks and data plane live on and the
//! next one takes over. One actor loop: an input goes through the scheduler, the journal is written, and only then is
//! anything done about it.

mod actor;
mod adopt;
mod core;
mod detach;
mod signals;
pub(crate) mod strays;

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::enginelog::EngineLog;
use crate::error::{Attempt, EngineError, StartFailure};
use crate::home::{EngineFile, Home, PlaceSpec};
use crate::journal::Journal;
use crate::logs::{Group, Logs};
use crate::plane::Plane;
use crate::ports::Ports;
use crate::proc;
use actor::Actor;
use core::Core;

/// The one line a supervisor writes to standard output, for the command that started it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Readiness {
    /// It serves.
    Ready {
        /// What was found amiss and how it was mended, in sentences.
        findings: Vec<String>,
    },
    /// It cannot, and ends.
    Failed(StartFailure),
}

/// Supervises the place in folder `home` until SIGTERM; the body of `gimmetime engine supervise --home DIR`.
///
/// To be called first thing in the process: it closes every descriptor but the three standard ones. Standard output is
/// taken for the readiness line, then let go.
pub fn supervise(home: &Path) -> Result<(), EngineError> {
    detach::detach().attempt("become a process of its own")?;
    let folder = home.canonicalize().attempt_on("enter", home)?;
    let home = Home::of_folder(&folder);
    let mut log = EngineLog::open(&home.engine_log()).attempt_on("open", &home.engine_log())?;
    // A panic's words go where the engine's own go.
    detach::redirect_stderr(log.file()).attempt("redirect standard error")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().attempt("start a runtime")?;
    let ended = runtime.block_on(run(&home, &mut log));
    if let Err(error) = &ended {
        log.say(&format!("ended: {error}"));
    }
    ended
}

async fn run(home: &Home, log: &mut EngineLog) -> Result<(), EngineError> {
    let Some(_lock) = home.lock()? else {
        let failure = StartFailure::Locked { home: home.folder().into() };
        announce(&Readiness::Failed(failure.clone()));
        return Err(failure.into());
    };
    match prepare(home, log).await {
        Ok((actor, findings)) => {
            announce(&Readiness::Ready { findings });
            detach::release_stdout().attempt("let go of standard output")?;
            actor.run().await
        }
        Err(error) => {
            let failure = error.into_failure();
            announce(&Readiness::Failed(failure.clone()));
            Err(failure.into())
        }
    }
}

/// Whoever started us may be gone; that is no reason to stop.
fn announce(readiness: &Readiness) {
    let line = serde_json::to_string(readiness).expect("it has no maps with keys other than strings");
    let _ = writeln!(io::stdout(), "{line}");
}

/// Everything between an empty process and one that serves.
async fn prepare(home: &Home, log: &mut EngineLog) -> Result<(Actor, Vec<String>), EngineError> {
    let spec = home.spec()?.ok_or_else(|| EngineError::NotRunning { home: home.folder().into() })?;
    let mut journal = Journal::in_folder(home.folder());
    let loaded = journal.load().attempt_on("read the state in", home.folder())?;
    let mut findings = loaded.findings;
    let known = loaded.state.is_some();
    let (mut model, resume) =
        loaded.state.map_or_else(|| (spec.model(), None), |state| (state.model, state.resume_count));
    apply(&spec, &mut model.place);

    let binary = std::env::current_exe().attempt("find the engine's own binary")?;
    let group = Group { name: format!("/gimmetime/{}", spec.name), created_at: model.place.created_at };
    let logs = Logs::open(home.logs(), group).attempt_on("open", &home.logs())?;
    let api = api_listener(home, &mut findings).await?;
    let address = api.local_addr().attempt("ask for the API's address")?;
    let keys = home.keys()?;
    // Engines begin their search at different places, so that they rarely meet.
    let ports = Ports::of_this_user(address.port()).attempt("open the folder of port locks")?;
    // Last of what may fail, so that a start that fails leaves no plane behind.
    let plane = Plane::take_over_or_start(home, binary, spec.listen).await?;

    let core = Core::new(home.clone(), model, logs, ports, address, &plane)?;
    let (calls, called) = mpsc::channel(64);
    tokio::spawn(gimmetime_api::serve(api, keys.into(), calls));
    let actor_log = EngineLog::open(&home.engine_log()).attempt_on("open", &home.engine_log())?;
    let mut actor = Actor::new(core, journal, actor_log, plane, called).attempt("handle signals")?;
    findings.extend(actor.resume(known, resume));
    for finding in &findings {
        log.say(finding);
    }
    record(home, &spec, address)?;
    log.say(&format!("supervising `{}`, API on {address}, clients on {}", spec.name, spec.listen));
    Ok((actor, findings))
}

/// What the place is asked to be now may differ from what it was when the state was written.
fn apply(spec: &PlaceSpec, place: &mut gimmetime_scheduler::model::Place) {
    place.listen = spec.listen;
    place.health_check = spec.health_check.clone();
    place.deregistration_delay_ms = spec.deregistration_delay_ms;
    place.algorithm = spec.algorithm;
}

/// The port is chosen once, and then again only if it is taken.
async fn api_listener(home: &Home, findings: &mut Vec<String>) -> Result<TcpListener, EngineError> {
    let recorded = home.engine().unwrap_or_else(|error| {
        findings.push(format!("the record of the API's port is lost ({error}); another is chosen"));
        None
    });
    if let Some(EngineFile { api_port, .. }) = recorded {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, api_port));
        match TcpListener::bind(address).await {
            Ok(listener) => return Ok(listener),
            Err(error) => {
                let holder = proc::listener(address).map_or_else(String::new, |holder| format!(" by {holder}"));
                findings.push(format!("the API's port {api_port} is taken{holder} ({error}); another is chosen"));
            }
        }
    }
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.attempt("listen for API calls")
}

fn record(home: &Home, spec: &PlaceSpec, api: SocketAddr) -> Result<(), EngineError> {
    let file = EngineFile {
        process: proc::identity(std::process::id()),
        api_port: api.port(),
        listen: spec.listen,
        started_at: gimmetime_clock::source::wall(),
        version: env!("CARGO_PKG_VERSION").into(),
    };
    crate::files::replace_json(&home.engine_file(), &file).attempt_on("write", &home.engine_file())
}

/// Notes an orderly end: nothing lives, and the API's port is kept for the next start.
fn record_end(home: &Home) -> Result<(), EngineError> {
    let path = home.engine_file();
    let Some(file) = home.engine().attempt_on("read", &path)? else { return Ok(()) };
    crate::files::replace_json(&path, &EngineFile { process: None, ..file }).attempt_on("write", &path)
}
