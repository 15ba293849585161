//! `up` on this machine: the engine is started, taken over or brought to the settings, then the service.

use gimmetime_check::{CheckError, Report};
use gimmetime_clock::{Mono, source};
use gimmetime_engine::{Endpoint, PlaceChange, Presence};
use gimmetime_ops::{Outcome, UpAction, UpReport, releases, up_service};
use serde_json::json;

use super::{changes_json, clock, examine, named, serving, success_info, tell_changes, tell_other_image};
use crate::args::Up;
use crate::exit::{Exit, Failure};
use crate::follow::Told;
use crate::release::{Packed, pack};
use crate::render::units::span;
use crate::render::{Printer, Tone, rollout};
use crate::settings::{Place, Settings};
use crate::target::{self, DEFAULT_LISTEN, Local, engine_failed};
use crate::verbs::change::{self, Changed};
use crate::verbs::{Context, check, down, said};

/// Brings everything up; with `--foreground`, stays and takes it down at the end.
pub(super) async fn run(
    context: &Context,
    settings: &Settings,
    args: &Up,
    printer: &mut Printer,
) -> Result<Exit, Failure> {
    let began = source::mono();
    let told = if args.foreground { Some(Told::listen()?) } else { None };
    let home = target::home(settings);
    // A folder may be there without a place: images that were built for it.
    let is_new = !home.folder().exists();
    let packed =
        home.layout().map_err(engine_failed).and_then(|layout| pack(settings, &settings.service.image, &layout));
    let started = match packed {
        Ok(packed) => start(settings, printer).await.map(|endpoint| (packed, endpoint)),
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
    let local = target::place(settings, endpoint, &context.common).await?;
    let exit = serve(context, settings, args, &local, packed, began, printer).await?;
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

/// Starts the engine, takes over what a dead one left, or brings a running one to the settings.
async fn start(settings: &Settings, printer: &mut Printer) -> Result<Endpoint, Failure> {
    let home = target::home(settings);
    let Place::Local { listen } = settings.place else { unreachable!("a local target is on this machine") };
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
    let repository = target::repository(settings);
    let spec = target::service_spec(settings, &settings.service.image, &repository, packed.clone());
    let change = async |run| up_service(&local.place, &spec, &run).await;
    let up = match Box::pin(change::make(context, &args.busy, &local.place, printer, change)).await? {
        Changed::Own(up) => up,
        Changed::Other(rollout) => UpReport { action: UpAction::Unchanged, changes: Vec::new(), rollout: *rollout },
    };
    let checked = examine(context, settings, &local.place.url, &up).await;
    said(printer.json(&as_json(settings, local, &up, checked.as_ref())))?;
    let Endpoint { pid, state_dir, .. } = &local.endpoint;
    let place = format!("{} · {} · engine pid {pid} · state {}", settings.target, settings.name, state_dir.display());
    said(printer.folded(&place, " · "))?;
    if up.rollout.outcome != Outcome::Done {
        return change::end(context, &up.rollout, printer);
    }
    let (clock, exit) = clock(checked.as_ref(), printer);
    let running = releases(&local.place).await?.into_iter().find(|release| release.number == up.rollout.to);
    let done = format!(
        "{tick} r{} {}   {}   {}",
        up.rollout.to,
        running.as_ref().map_or_else(String::new, |release| named(release, settings, &packed)),
        serving(up.rollout.count, &clock, printer),
        span(source::mono().since(began)),
        tick = printer.paint(Tone::Good, "✔"),
    );
    said(printer.folded(&done, "   "))?;
    tell_other_image(running.as_ref(), &packed, printer)?;
    tell_changes(&up, printer)?;
    success_info(settings, &local.place, printer)?;
    Ok(change::brought(&up.rollout, exit))
}

fn as_json(
    settings: &Settings,
    local: &Local,
    up: &UpReport,
    checked: Option<&Result<Report, CheckError>>,
) -> serde_json::Value {
    json!({
        "target": settings.target,
        "name": settings.name,
        "url": format!("http://{}{}", local.place.url.authority(), local.place.url.path),
        "engine": { "pid": local.endpoint.pid, "api": local.endpoint.url, "state": local.endpoint.state_dir },
        "action": up.action,
        "changes": changes_json(up),
        "rollout": rollout::as_json(&up.rollout),
        "check": checked.and_then(|checked| checked.as_ref().ok()).map(check::as_json),
    })
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
