//! The local target: the folder of its engine, and the engine's APIs as a place for `ops`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use gimmetime_check::Url;
use gimmetime_engine::{Endpoint, EngineError, Home, PlaceSpec, Presence};
use gimmetime_ops::{Connection, Launch, Place, target_group};

use super::{PATIENCE, probe};
use crate::args::Common;
use crate::exit::Failure;
use crate::render::Printer;
use crate::settings::Settings;

/// Where clients connect unless it is said.
pub(crate) const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
/// Pause between two looks at a rollout: a call costs about a millisecond here.
const POLL: Duration = Duration::from_millis(50);
/// How long the probe goes on after a change. A dead connection shows in microseconds on loopback.
const PROBE_TAIL: Duration = Duration::from_millis(200);

/// A running engine, and what `ops` needs of it.
#[derive(Debug)]
pub(crate) struct Local {
    pub(crate) endpoint: Endpoint,
    pub(crate) place: Place,
}

/// The repository of images on this machine; a repository's name has no capital letters.
pub(crate) fn repository(settings: &Settings) -> String {
    format!("localhost/{}", settings.name.to_lowercase())
}

/// The state folder of the settings' name.
pub(crate) fn home(settings: &Settings) -> Home {
    Home::at(&settings.state_root, &settings.name)
}

/// This program, of which the engine runs a copy. Not `current_exe()`: that names a deleted file once a build has
/// replaced it, while this still opens.
pub(crate) fn binary() -> &'static Path {
    Path::new("/proc/self/exe")
}

/// The running engine. One whose supervisor died is taken over first: its tasks serve on all the while.
pub(super) async fn connect(settings: &Settings, common: &Common, printer: &mut Printer) -> Result<Local, Failure> {
    let home = home(settings);
    let endpoint = match home.presence().map_err(engine_failed)? {
        Presence::Running(endpoint) => endpoint,
        Presence::Orphaned { tasks, .. } => {
            let endpoint = take_over(settings, &home).await?;
            printer.note(format!(
                "the engine had died; a new one (pid {}) took over {} tasks that served on",
                endpoint.pid,
                tasks.len()
            ));
            tell_findings(&endpoint, printer);
            endpoint
        }
        Presence::Stopped => {
            let words = format!("the engine of `{}` is stopped", settings.name);
            return Err(Failure::unhealthy(words).hint("gimmetime up"));
        }
        Presence::Absent => {
            let words = format!("`{}` is not up: nothing in {}", settings.name, home.folder().display());
            return Err(Failure::unsure(words).hint("gimmetime up"));
        }
    };
    place(settings, endpoint, common).await
}

/// A new engine for what a dead one left. If another command starts it at this moment, that one's is as good.
pub(crate) async fn take_over(settings: &Settings, home: &Home) -> Result<Endpoint, Failure> {
    let spec = home.spec().map_err(engine_failed)?.unwrap_or_else(|| place_spec(settings, DEFAULT_LISTEN));
    home.start(&spec, binary()).await.map_err(engine_failed)
}

/// Says what was found amiss when an engine was started.
pub(crate) fn tell_findings(endpoint: &Endpoint, printer: &mut Printer) {
    for finding in &endpoint.findings {
        printer.note(format!("note: {finding}"));
    }
}

/// A running engine as a place for `ops`.
pub(crate) async fn place(settings: &Settings, endpoint: Endpoint, common: &Common) -> Result<Local, Failure> {
    let Endpoint { url, access_key, secret_key, region, .. } = &endpoint;
    let connection = Connection::local(url, access_key, secret_key, region);
    let target_group_arn = target_group(&connection, &settings.name).await?;
    let place = Place {
        cluster: settings.name.clone(),
        service: settings.name.clone(),
        target_group_arn,
        log_group: format!("/gimmetime/{}", settings.name),
        event_log_group: None,
        url: url_of(endpoint.listen, &settings.service.probe)?,
        connect_to: common.connect_to.clone(),
        endpoint: connection,
        poll: POLL,
        patience: common.timeout.unwrap_or(PATIENCE),
        probe: probe(settings, PROBE_TAIL),
        launch: Launch::Local,
        tags: std::collections::BTreeMap::new(),
    };
    Ok(Local { endpoint, place })
}

/// What the engine's place shall be.
pub(crate) fn place_spec(settings: &Settings, listen: SocketAddr) -> PlaceSpec {
    let mut spec = PlaceSpec::new(&settings.name, listen);
    spec.health_check.path.clone_from(&settings.service.health);
    spec
}

/// How a client on this machine reaches a listener.
pub(crate) fn url_of(listen: SocketAddr, path: &str) -> Result<Url, Failure> {
    let url = format!("http://{}{path}", reachable(listen));
    url.parse().map_err(|error| Failure::unsure(format!("{error}")))
}

/// The address under which this machine reaches a listener that may be on all its addresses.
pub(crate) fn reachable(listen: SocketAddr) -> SocketAddr {
    match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::from((Ipv4Addr::LOCALHOST, listen.port())),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::from((Ipv6Addr::LOCALHOST, listen.port())),
        _ => listen,
    }
}

/// A failure of the engine, as a failure of the command.
pub(crate) fn engine_failed(error: EngineError) -> Failure {
    use gimmetime_engine::StartFailure;
    let failure = Failure::unhealthy(error.to_string());
    match error {
        EngineError::Start(StartFailure::PortTaken { .. }) => failure.hint("take another: gimmetime up --listen ADDR"),
        EngineError::Start(StartFailure::PortForbidden { .. }) => {
            failure.hint("take a port from 1024 up: gimmetime up --listen ADDR")
        }
        EngineError::NotReady { log, .. } => failure.hint(format!("tail {}", log.display())),
        EngineError::Name { .. } => Failure { exit: crate::exit::Exit::Unsure, ..failure },
        _ => failure,
    }
}
