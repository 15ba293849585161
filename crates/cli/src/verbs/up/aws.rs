//! `up` on AWS: planned, agreed to, made while the image is on its way, then the service, then the check.

use std::time::Duration;

use gimmetime_aws::stack::{self, Applied, Change, Ended, StackState};
use gimmetime_aws::{PlaceEvent, Session};
use gimmetime_check::{CheckError, Report};
use gimmetime_clock::{Mono, source};
use gimmetime_ops::{Outcome, Run, UpAction, UpReport, releases, up_service};
use serde_json::json;
use tokio::sync::watch;

use super::{changes_json, clock, examine, named, serving, success_info, tell_changes, tell_other_image};
use crate::args::Up;
use crate::exit::{Exit, Failure};
use crate::follow::{Told, unless_interrupted};
use crate::follow_place::PlaceFollow;
use crate::render::units::span;
use crate::render::{Printer, Tone, rollout};
use crate::settings::{AwsPlace, Settings};
use crate::target::{self, Cloud, Prepared, Published};
use crate::verbs::change::{self, Changed};
use crate::verbs::plan::{Aim, Outlook};
use crate::verbs::{Context, check, confirm, said};

/// How long the name of a new balancer is waited for: a resolver may remember for a minute that there was none.
const NAME_PATIENCE: Duration = Duration::from_secs(90);
/// The resource after which an image can be pushed.
const REPOSITORY: &str = "AWS::ECR::Repository";

/// Brings place and service up.
pub(super) async fn run(
    context: &Context,
    settings: &Settings,
    place: &AwsPlace,
    args: &Up,
    printer: &mut Printer,
) -> Result<Exit, Failure> {
    if args.foreground {
        return Err(Failure::unsure("`--foreground` is for targets on this machine: on AWS nothing needs us to stay"));
    }
    let began = source::mono();
    // What cannot run is refused before anybody is asked.
    let prepared = Prepared::of(settings, &settings.service.image)?;
    let session = target::open(settings, place, printer).await?;
    prepared.try_first(settings, &args.smoke, printer).await?;
    let context = &context.asked_as(&session.identity().who);
    let spec = target::aws_spec(settings, place, session.region());
    let (template, wanted) = target::wanted(&session, &spec)?;
    let aim = Aim { spec, template, wanted, prepared };
    let outlook = Box::pin(Outlook::of(context, settings, &session, &aim, printer)).await?;
    let answered = agree(context, &outlook, printer).await?;
    let mut told = Told::listen()?;
    let (applied, published) = match apply(context, settings, &session, &aim, printer).await? {
        Ended::Done(made) => made,
        Ended::Detached { state } => return detached(settings, &state, printer),
    };
    // On a terminal Ctrl-C was answered: keep waiting.
    if !printer.can_ask() && told.has_come().await {
        return detached(settings, &applied.state, printer);
    }
    let outputs = target::outputs(&settings.name, &applied.outputs)?;
    let mut cloud = Cloud::new(settings, &context.common, session, aim.spec, outputs)?;
    cloud.launch_on(&published.architecture);
    serve(context, settings, args, &Made { cloud, applied, published, began: began.plus(answered) }, printer).await
}

/// Shows what would be done, and asks. Nothing to do is not asked about. Returns how long the answer was waited for.
async fn agree(context: &Context, outlook: &Outlook, printer: &mut Printer) -> Result<Duration, Failure> {
    printer.clear();
    for line in outlook.lines(printer.note_columns(), printer) {
        printer.note(line);
    }
    // Nobody's consent is needed for nothing.
    let is_forced = context.common.yes || outlook.is_empty();
    let in_the_way = outlook.preflight.as_ref().and_then(|preflight| preflight.in_the_way(is_forced).next());
    if let Some(finding) = in_the_way {
        let failure = Failure::unsure(&finding.words);
        return Err(finding.hint.iter().fold(failure, Failure::hint));
    }
    if outlook.is_empty() || context.common.yes {
        return Ok(Duration::ZERO);
    }
    confirm::yes("make it so?", printer).await
}

/// Nobody waits for the rest.
fn detached(settings: &Settings, state: &StackState, printer: &mut Printer) -> Result<Exit, Failure> {
    let Settings { name, target, .. } = settings;
    said(printer.json(&json!({ "target": target, "name": name, "action": "detached", "state": state.to_string() })))?;
    printer.note(format!("detached: the stack `{name}` is {state}; what runs in it is not brought up yet"));
    printer.note("  go on with it: gimmetime up");
    Ok(Exit::Unsure)
}

/// What was made, before anything runs in it.
struct Made {
    cloud: Cloud,
    applied: Applied,
    published: Published,
    /// Later by what an answer was waited for.
    began: Mono,
}

/// Where the repository is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repository {
    /// Not there yet.
    Awaited,
    /// There: images can be pushed.
    There,
}

/// Applies the template, and brings the image to the repository as soon as there is one.
async fn apply(
    context: &Context,
    settings: &Settings,
    session: &Session,
    aim: &Aim,
    printer: &mut Printer,
) -> Result<Ended<(Applied, Published)>, Failure> {
    let follow = PlaceFollow::new(aim.template.resources.len(), &context.common);
    let run = follow.run();
    if context.common.detach {
        follow.detach();
    }
    let (repository, mut awaited) = watch::channel(Repository::Awaited);
    let both = async {
        let applying = stack::apply(session, &aim.wanted, &run);
        let publishing = async {
            // The sender lives as long as we do.
            let _ = awaited.wait_for(|state| *state == Repository::There).await;
            publish(context, settings, session, &aim.prepared).await
        };
        tokio::pin!(applying, publishing);
        let mut published = None;
        let applied = loop {
            tokio::select! {
                applied = &mut applying => break applied?,
                early = &mut publishing, if published.is_none() => published = Some(early),
            }
        };
        let applied = match applied {
            Ended::Done(applied) => applied,
            Ended::Detached { state } => return Ok(Ended::Detached { state }),
        };
        repository.send_replace(Repository::There);
        let published = async {
            match published {
                Some(published) => published,
                None => publishing.await,
            }
        };
        tokio::select! {
            biased;
            // With `--detach` it is the rollout that is left.
            () = run.cancel.cancelled(), if !context.common.detach => Ok(Ended::Detached { state: applied.state }),
            published = published => Ok::<_, Failure>(Ended::Done((applied, published?))),
        }
    };
    let heard = |event: &PlaceEvent| {
        if matches!(event, PlaceEvent::Resource(resource) if resource.is_ready(REPOSITORY)) {
            repository.send_replace(Repository::There);
        }
    };
    Box::pin(follow.until_end(both, heard, printer)).await?
}

/// Pushes to where the settings say, else to the place's own repository.
async fn publish(
    context: &Context,
    settings: &Settings,
    session: &Session,
    prepared: &Prepared,
) -> Result<Published, Failure> {
    let repository = if let Some(repository) = &context.common.registry {
        repository.to_string()
    } else {
        let name = target::repository_name(settings);
        let missing = || Failure::failed(format!("there is no repository `{name}`, though the stack has made one"));
        session.repository_uri(&name).await?.ok_or_else(missing)?
    };
    prepared.publish(context, session, &repository).await
}

async fn serve(
    context: &Context,
    settings: &Settings,
    args: &Up,
    made: &Made,
    printer: &mut Printer,
) -> Result<Exit, Failure> {
    let Made { cloud, published, .. } = made;
    let Published { repository, packed, pushed, .. } = published;
    let spec = target::service_spec(settings, &settings.service.image, repository, packed.clone());
    let change = async |mut run: Run| {
        run.pushed = *pushed;
        up_service(&cloud.place, &spec, &run).await
    };
    let up = match Box::pin(change::make(context, &args.busy, &cloud.place, printer, change)).await? {
        Changed::Own(up) => up,
        Changed::Other(rollout) => UpReport { action: UpAction::Unchanged, changes: Vec::new(), rollout: *rollout },
    };
    let checking = examine_named(context, settings, made, &up, printer);
    let checked = unless_interrupted(checking, "interrupted before it was checked; what was made serves").await;
    let checked = checked.map_err(|left| left.hint("gimmetime check"))?;
    said(printer.json(&as_json(settings, made, &up, checked.as_ref())))?;
    if up.rollout.outcome != Outcome::Done {
        return change::end(context, &up.rollout, printer);
    }
    let (clock, exit) = verdict(checked.as_ref(), printer);
    let running = releases(&cloud.place).await?.into_iter().find(|release| release.number == up.rollout.to);
    let done = format!(
        "{tick} r{} {}   {}   {} · {}",
        up.rollout.to,
        running.as_ref().map_or_else(String::new, |release| named(release, settings, packed)),
        serving(up.rollout.count, &clock, printer),
        span(source::mono().since(made.began)),
        cloud.hourly(up.rollout.count),
        tick = printer.paint(Tone::Good, "✔"),
    );
    said(printer.folded(&done, "   "))?;
    tell_other_image(running.as_ref(), packed, printer)?;
    tell_changes(&up, printer)?;
    success_info(settings, &cloud.place, printer)?;
    Ok(change::brought(&up.rollout, exit))
}

/// What the service says of its clocks. The name of a balancer that was just made is not known everywhere at once.
async fn examine_named(
    context: &Context,
    settings: &Settings,
    made: &Made,
    up: &UpReport,
    printer: &mut Printer,
) -> Option<Result<Report, CheckError>> {
    let began = source::mono();
    loop {
        let checked = examine(context, settings, &made.cloud.place.url, up).await;
        let is_young = made.applied.change == Change::Created && source::mono().since(began) < NAME_PATIENCE;
        if !is_young || !matches!(checked, Some(Err(CheckError::Resolve(_)))) {
            printer.clear();
            return checked;
        }
        printer.progress("waiting for the balancer's name", "waiting for the balancer's name");
        tokio::time::sleep(made.cloud.place.poll).await;
    }
}

/// A balancer that this machine cannot reach proves nothing: what ECS found healthy stands.
fn verdict(checked: Option<&Result<Report, CheckError>>, printer: &Printer) -> (String, Exit) {
    match checked {
        Some(Err(error @ (CheckError::Resolve(_) | CheckError::Unreachable { .. }))) => {
            let sign = printer.paint(Tone::Warn, "?");
            (format!("{sign} unverified: not to be reached from this machine ({error})"), Exit::Done)
        }
        checked => clock(checked, printer),
    }
}

fn as_json(
    settings: &Settings,
    made: &Made,
    up: &UpReport,
    checked: Option<&Result<Report, CheckError>>,
) -> serde_json::Value {
    let Made { cloud, applied, published, .. } = made;
    json!({
        "target": settings.target,
        "name": settings.name,
        "account": cloud.session.account(),
        "region": cloud.region(),
        "url": format!("http://{}{}", cloud.place.url.authority(), cloud.place.url.path),
        "stack": { "id": applied.stack_id, "change": target::change_word(applied.change), "seconds": applied.took.as_secs_f64() },
        "image": format!("{}@{}", published.repository, published.packed.digest),
        "pushed_seconds": published.pushed.map(|took| took.as_secs_f64()),
        "action": up.action,
        "changes": changes_json(up),
        "rollout": rollout::as_json(&up.rollout),
        "check": checked.and_then(|checked| checked.as_ref().ok()).map(check::as_json),
        "unverified": matches!(checked, Some(Err(CheckError::Resolve(_) | CheckError::Unreachable { .. }))),
        "dollars_per_hour": cloud.dollars_per_hour(up.rollout.count),
    })
}
