//! `up`: makes the place and the service, or brings both up to the settings; ends with a service that was checked.

use std::net::SocketAddr;

use gimmetime_check::{CheckError, Options, Report};
use gimmetime_clock::{Mono, source};
use gimmetime_engine::{Endpoint, PlaceChange, Presence};
use gimmetime_ops::{Outcome, Release, UpAction, UpReport, releases, up_service};
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind};

use crate::args::Up;
use crate::exit::{Exit, Failure};
use crate::follow::listen;
use crate::release::{Packed, pack};
use crate::render::progress::short;
use crate::render::units::span;
use crate::render::{Printer, Tone, rollout};
use crate::settings::{ImageSource, Settings};
use crate::target::{self, DEFAULT_LISTEN, Local, engine_failed};
use crate::verbs::change::{self, Changed};
use crate::verbs::{Context, check, down, said};

/// Brings everything up; with `--foreground`, stays and takes it down at the end.
pub(crate) async fn run(context: &Context, args: &Up, printer: &mut Printer) -> Result<Exit, Failure> {
    let began = source::mono();
    let told = if args.foreground { Some(Told::listen()?) } else { None };
    let settings = wanted(&context.settings, args);
    let home = target::home(&settings);
    // A folder may be there without a place: images that were built for it.
    let is_new = !home.folder().exists();
    let packed =
        home.layout().map_err(engine_failed).and_then(|layout| pack(&settings, &settings.service.image, &layout));
    let started = match packed {
        Ok(packed) => {
            start(&settings, args.listen.or(settings.listen), printer).await.map(|endpoint| (packed, endpoint))
        }
        Err(failure) => Err(failure),
    };
    let (packed, endpoint) = match started {
        Ok(started) => started,
        Err(failure) => {
            if is_new {
                // Nothing came of it: leave nothing. What cannot be removed is found by the next `up`.
                let _ = home.remove();
            }
            return Err(failure);
        }
    };
    let local = target::place(&settings, endpoint, context.common.timeout).await?;
    let exit = serve(context, &settings, args, &local, packed, began, printer).await?;
    match told {
        // Unsure: it goes on, and nobody waited. Whoever interrupted it is heard now.
        // Failed: the old release serves; to end would only have whoever supervises this roll the new one out again.
        Some(told) if matches!(exit, Exit::Unsure | Exit::Failed) => stay(context, &local, told, printer).await,
        Some(told) if exit == Exit::Done => {
            // Ctrl-C on a terminal was answered: keep waiting.
            let told = if printer.can_ask() { told.without_interrupt()? } else { told };
            stay(context, &local, told, printer).await
        }
        _ => Ok(exit),
    }
}

/// The settings with what was typed for this verb.
fn wanted(settings: &Settings, args: &Up) -> Settings {
    let mut wanted = settings.clone();
    if let Some(image) = &args.image {
        wanted.service.image = ImageSource::parse(image);
    }
    wanted.count = args.count.or(wanted.count);
    wanted
}

/// Starts the engine, takes over what a dead one left, or brings a running one to the settings.
async fn start(settings: &Settings, listen: Option<SocketAddr>, printer: &mut Printer) -> Result<Endpoint, Failure> {
    let home = target::home(settings);
    let before = home.spec().map_err(engine_failed)?;
    // An address that is not said stays what it was.
    let listen = listen.or(before.map(|spec| spec.listen)).unwrap_or(DEFAULT_LISTEN);
    let spec = target::place_spec(settings, listen);
    let endpoint = home.start(&spec, target::binary()).await.map_err(engine_failed)?;
    target::tell_findings(&endpoint, printer);
    let place = endpoint.describe().await.map_err(engine_failed)?.place;
    let moved = (place.listen != listen).then_some(listen);
    let health_path = (place.health_path != spec.health_check.path).then(|| spec.health_check.path.clone());
    if moved.is_none() && health_path.is_none() {
        return Ok(endpoint);
    }
    endpoint
        .modify_place(&PlaceChange { listen: moved, health_path, ..PlaceChange::default() })
        .await
        .map_err(|error| Failure::failed(error.to_string()).hint(format!("it goes on at {}", place.listen)))?;
    if moved.is_some() {
        printer.note(format!("listener moved: {} → {listen}", place.listen));
    }
    Ok(Endpoint { listen, ..endpoint })
}

async fn serve(
    context: &Context,
    settings: &Settings,
    args: &Up,
    local: &Local,
    packed: Packed,
    began: Mono,
    printer: &mut Printer,
) -> Result<Exit, Failure> {
    let spec = target::service_spec(settings, &settings.service.image, packed.clone());
    let change = async |run| up_service(&local.place, &spec, &run).await;
    let up = match Box::pin(change::make(context, &args.busy, &local.place, printer, change)).await? {
        Changed::Own(up) => up,
        Changed::Other(rollout) => UpReport { action: UpAction::Unchanged, changes: Vec::new(), rollout: *rollout },
    };
    let checked = match up.rollout.outcome {
        Outcome::Done if 0 < up.rollout.count => {
            // Only the built-in service is known to name its instances.
            let builtin = settings.service.image == ImageSource::Builtin;
            let expected_instances = builtin.then_some(up.rollout.count as usize);
            let options = Options { expected_instances, ..Options::default() };
            Some(gimmetime_check::check(&local.place.url, &options).await)
        }
        _ => None,
    };
    said(printer.json(&as_json(settings, local, &up, checked.as_ref())))?;
    let Endpoint { pid, state_dir, .. } = &local.endpoint;
    let place = format!("{} · {} · engine pid {pid} · state {}", settings.target, settings.name, state_dir.display());
    said(printer.text(place))?;
    if up.rollout.outcome != Outcome::Done {
        return change::end(context, &up.rollout, printer);
    }
    let (clock, exit) = clock(checked.as_ref(), printer);
    let running = releases(&local.place).await?.into_iter().find(|release| release.number == up.rollout.to);
    said(printer.text(format!(
        "{tick} r{} {}   {tick} {} of {} healthy   {clock}   {}",
        up.rollout.to,
        running.as_ref().map_or_else(String::new, |release| named(release, settings, &packed)),
        up.rollout.count,
        up.rollout.count,
        span(source::mono().since(began)),
        tick = printer.paint(Tone::Good, "✔"),
    )))?;
    if running.is_some_and(|release| release.digest.as_deref() != Some(packed.digest.as_str())) {
        let words = format!("  note   {} is not what runs; to roll it out: gimmetime deploy", short(&packed.digest));
        said(printer.text(words))?;
    }
    tell_changes(&up, printer)?;
    success_info(context, local, printer)?;
    Ok(change::undone(&up.rollout, exit))
}

/// `builtin 0.1.0 sha256:9c1f…`
fn named(release: &Release, settings: &Settings, packed: &Packed) -> String {
    let digest = release.digest.as_deref().unwrap_or_default();
    let is_builtin = settings.service.image == ImageSource::Builtin && digest == packed.digest;
    let builtin = if is_builtin { "builtin " } else { "" };
    format!("{builtin}{} {}", release.version.as_deref().unwrap_or_default(), short(digest))
}

/// The verdict on the service's clock. A service that tells no time has none.
fn clock(checked: Option<&Result<Report, CheckError>>, printer: &Printer) -> (String, Exit) {
    match checked {
        Some(Ok(report)) => {
            let (verdict, words) = check::brief(report);
            let (tone, sign, exit) = match verdict {
                gimmetime_check::Verdict::Ok => (Tone::Good, "✔", Exit::Done),
                gimmetime_check::Verdict::Wrong => (Tone::Bad, "✘", Exit::Failed),
                gimmetime_check::Verdict::Undecided => (Tone::Warn, "?", Exit::Done),
            };
            (format!("{} {words}", printer.paint(tone, sign)), exit)
        }
        Some(Err(CheckError::NotNumber { .. })) => (format!("{} answers", printer.paint(Tone::Good, "✔")), Exit::Done),
        Some(Err(error)) => (format!("{} {error}", printer.paint(Tone::Bad, "✘")), Exit::Failed),
        None => (String::new(), Exit::Done),
    }
}

fn tell_changes(up: &UpReport, printer: &mut Printer) -> Result<Exit, Failure> {
    for change in &up.changes {
        said(printer.text(format!("  changed  {}: {}", change.setting, change.words)))?;
    }
    match (&up.action, up.rollout.tally.as_ref()) {
        (UpAction::Changed, Some(tally)) => said(printer.text(format!("  probed   {}", rollout::probe(tally)))),
        _ => Ok(Exit::Done),
    }
}

/// How to read it, watch it, scale it, delete it.
fn success_info(context: &Context, local: &Local, printer: &mut Printer) -> Result<Exit, Failure> {
    let url = format!("http://{}{}", local.place.url.authority(), local.place.url.path);
    let reads_time = context.settings.service.probe == "/now";
    let read = if reads_time { format!("date -d @$(curl -s {url})") } else { format!("curl -s {url}") };
    said(printer.text(format!("  read   {read:<50} watch   gimmetime status --watch")))?;
    said(printer.text(format!("  scale  {:<50} delete  gimmetime down", "gimmetime scale 4")))
}

fn as_json(
    settings: &Settings,
    local: &Local,
    up: &UpReport,
    checked: Option<&Result<Report, CheckError>>,
) -> serde_json::Value {
    let changes: Vec<_> =
        up.changes.iter().map(|change| json!({ "setting": change.setting, "change": change.words })).collect();
    json!({
        "target": settings.target,
        "name": settings.name,
        "url": format!("http://{}{}", local.place.url.authority(), local.place.url.path),
        "engine": { "pid": local.endpoint.pid, "api": local.endpoint.url, "state": local.endpoint.state_dir },
        "action": up.action,
        "changes": changes,
        "rollout": rollout::as_json(&up.rollout),
        "check": checked.and_then(|checked| checked.as_ref().ok()).map(check::as_json),
    })
}

/// Signals that end the foreground. They are listened for from the first moment on, so that none is lost on the way there.
struct Told {
    terminate: Signal,
    interrupt: Signal,
}

impl Told {
    fn listen() -> Result<Self, Failure> {
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    /// Forgets a Ctrl-C that came until now.
    fn without_interrupt(self) -> Result<Self, Failure> {
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, ..self })
    }
}

/// Stays while the engine lives. SIGTERM and Ctrl-C take everything down in order; a dead engine is a failure, so that
/// whoever supervises this process starts it again, and the next one takes over what serves on.
async fn stay(context: &Context, local: &Local, mut told: Told, printer: &mut Printer) -> Result<Exit, Failure> {
    let home = target::home(&context.settings);
    let mut look = tokio::time::interval(std::time::Duration::from_millis(250));
    loop {
        tokio::select! {
            _ = told.terminate.recv() => return down::stop(&home, printer).await,
            _ = told.interrupt.recv() => return down::stop(&home, printer).await,
            _ = look.tick() => match home.presence().map_err(engine_failed)? {
                Presence::Running(_) => {}
                Presence::Absent | Presence::Stopped => return Ok(Exit::Done),
                Presence::Orphaned { tasks, .. } => {
                    let words = format!("the engine (pid {}) died; {} tasks serve on", local.endpoint.pid, tasks.len());
                    return Err(Failure::unhealthy(words).hint("gimmetime up takes them over"));
                }
            },
        }
    }
}
