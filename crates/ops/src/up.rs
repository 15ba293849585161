//! `up`, the part of it that is a service: made if it is missing, brought to the settings if it is there.

use serde::Serialize;

use crate::definition::Definition;
use crate::error::{OpsError, refused};
use crate::event::{Event, Operation, Outcome, RolloutReport};
use crate::location::Location;
use crate::lock;
use crate::observe;
use crate::place::{Launch, Place, Run, ServiceSpec};
use crate::progress::Before;
use crate::release::{Registered, register};
use crate::rollout::{Asked, Change, attach, roll};
use crate::snapshot::{RolloutState, ServiceView, revision_of};
use crate::three_way::{self, Live, Plan, Settings};
use crate::update::{self, NewService, Update};

/// What `up` did.
#[derive(Debug)]
pub struct UpReport {
    /// What it found, and what that led to.
    pub action: UpAction,
    /// What it changed, in words; empty when it made everything, or nothing had to change.
    pub changes: Vec<three_way::Change>,
    /// How the tasks got there. Also when nothing had to change: `up` ends with a healthy service.
    pub rollout: RolloutReport,
}

/// What `up` found, and what that led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UpAction {
    /// There was no service.
    Created,
    /// Settings had changed.
    Changed,
    /// Everything was as it should be.
    Unchanged,
}

/// Makes the service, or changes what the settings changed since they were last applied, and waits until it is healthy.
pub async fn up_service(place: &Place, spec: &ServiceSpec, run: &Run) -> Result<UpReport, OpsError> {
    // Elsewhere the cluster is a part of the place, and whoever made the place made it.
    if place.launch == Launch::Local {
        ensure_cluster(place, run).await?;
    }
    if observe::find_service(place).await?.is_none() {
        match Box::pin(create(place, spec, run)).await {
            // Another `up` was faster by a moment: theirs is as good as ours.
            Err(OpsError::Refused { .. }) if observe::find_service(place).await?.is_some() => {}
            made => {
                let rollout = made?;
                return Ok(UpReport { action: UpAction::Created, changes: Vec::new(), rollout });
            }
        }
    }
    // A rollout is waited for; a change of the number of tasks goes on beside what is brought.
    if observe::service(place).await?.rolling().is_some()
        && let Some(rollout) = Box::pin(attach(place, run)).await?
        && rollout.outcome == Outcome::Detached
    {
        return Ok(UpReport { action: UpAction::Unchanged, changes: Vec::new(), rollout });
    }
    Box::pin(bring(place, spec, run)).await
}

async fn ensure_cluster(place: &Place, run: &Run) -> Result<(), OpsError> {
    let describing = place.endpoint.ecs.describe_clusters().clusters(&place.cluster).send().await;
    let described = match describing.map_err(|error| refused("describe the cluster", place.endpoint.endpoint(), error))
    {
        Ok(reply) => reply.clusters().iter().any(|cluster| cluster.status() == Some("ACTIVE")),
        Err(error) if error.is_absent() => false,
        Err(error) => return Err(error),
    };
    if !described {
        let creating = place.endpoint.ecs.create_cluster().cluster_name(&place.cluster).send().await;
        creating.map_err(|error| refused("create the cluster", place.endpoint.endpoint(), error))?;
        run.emit(Event::ClusterCreated { name: place.cluster.clone() });
    }
    Ok(())
}

async fn create(place: &Place, spec: &ServiceSpec, run: &Run) -> Result<RolloutReport, OpsError> {
    let definition = Definition::wanted(place, spec);
    let registered = newest_or_new(place, spec, &definition, run).await?;
    let settings = Settings::of(spec, &definition);
    let label = lock::label(run, Operation::Up, &format!("r{}", registered.release));
    let change = Change {
        operation: Operation::Up,
        from: None,
        from_arn: None,
        to: registered.release,
        to_arn: registered.arn.clone(),
        count: settings.count,
        before: Before::default(),
        serves: false,
        label: Some(label.clone()),
    };
    let new = NewService {
        task_definition: registered.arn,
        count: settings.count,
        port: spec.port,
        rollout: settings.rollout,
        applied: settings.encode(),
        operation: label,
    };
    roll(place, run, change, Box::pin(update::create(place, new, run))).await
}

/// The family's newest revision if it says just this, else a new one: a service that was deleted and made again goes on
/// with the release it had.
async fn newest_or_new(
    place: &Place,
    spec: &ServiceSpec,
    wanted: &Definition,
    run: &Run,
) -> Result<Registered, OpsError> {
    if let Some(arn) = observe::revisions(place, 1).await?.pop() {
        let (newest, _) = observe::task_definition(place, &arn).await?;
        if let Some(release) = revision_of(&arn).filter(|_| Definition::read(&newest) == *wanted) {
            return Ok(Registered { arn, release, port: wanted.port });
        }
    }
    register(place, spec, wanted, run).await
}

/// What [`up_service`] would change, in words; None where there is no service yet. Changes nothing.
pub async fn plan_service(place: &Place, spec: &ServiceSpec) -> Result<Option<Vec<three_way::Change>>, OpsError> {
    let Some(service) = observe::find_service(place).await? else { return Ok(None) };
    Ok(Some(compare(place, spec, &ServiceView::from(&service)).await?.plan.changes))
}

/// A service that is there, against what is wanted.
struct Compared {
    /// The settings to be applied.
    settings: Settings,
    /// Those that were.
    applied: Option<Settings>,
    plan: Plan,
}

async fn compare(place: &Place, spec: &ServiceSpec, service: &ServiceView) -> Result<Compared, OpsError> {
    let wanted = Definition::wanted(place, spec);
    let mut settings = Settings::of(spec, &wanted);
    let applied = Settings::applied(service);
    if let (None, Some(applied)) = (spec.count, &applied) {
        // What is not said stays what it was said to be.
        settings.count = applied.count;
    }
    let (running, _) = observe::task_definition(place, &service.task_definition).await?;
    let live = Live {
        definition: Definition::read(&running),
        count: service.desired,
        rollout: service.configuration,
        location: service.location.clone(),
    };
    let location = Location::of(place);
    let mut plan = three_way::plan(applied.as_ref(), &settings, &wanted, location.as_ref(), &live);
    // What was given up is not tried again by itself.
    plan.again = plan.definition.is_none() && service.primary().is_some_and(|it| it.state == RolloutState::Failed);
    if plan.again {
        let words = format!("r{} once more: it was given up", service.revision());
        plan.changes.push(three_way::Change { setting: "release".to_owned(), words });
    }
    Ok(Compared { settings, applied, plan })
}

async fn bring(place: &Place, spec: &ServiceSpec, run: &Run) -> Result<UpReport, OpsError> {
    let service = observe::service(place).await?;
    let Compared { settings, applied, plan } = compare(place, spec, &service).await?;
    let action = if plan.is_empty() { UpAction::Unchanged } else { UpAction::Changed };
    let changes = plan.changes.clone();
    let moves_only = plan.location.is_some() && plan.definition.is_none();
    let mut rollout = Box::pin(apply(place, spec, run, &service, plan)).await?;
    if let Some(cause) = &mut rollout.cause {
        // The release may be the same: then where it runs is all that is new, and only `up` brings it there.
        let moved = changes.iter().filter(|change| change.setting == "network");
        cause.changed.extend(moved.map(|change| change.words.clone()));
        if moves_only && cause.fix.starts_with("gimmetime deploy") {
            "gimmetime up".clone_into(&mut cause.fix);
        }
    }
    // Settings that did not work are tried again by the next `up`.
    if applied.as_ref() != Some(&settings) && rollout.outcome == Outcome::Done {
        update::label_applied(place, &service.arn, &settings.encode()).await?;
    }
    Ok(UpReport { action, changes, rollout })
}

async fn apply(
    place: &Place,
    spec: &ServiceSpec,
    run: &Run,
    service: &ServiceView,
    plan: Plan,
) -> Result<RolloutReport, OpsError> {
    let target = match &plan.definition {
        Some(definition) => Some(register(place, spec, definition, run).await?),
        None => None,
    };
    let count = plan.count.unwrap_or(service.desired);
    let to = target.as_ref().map_or(service.revision(), |registered| registered.release);
    let label = lock::label(run, Operation::Up, &format!("r{to}"));
    let change = Change {
        operation: Operation::Up,
        from: Some(service.revision()),
        from_arn: Some(service.task_definition.clone()),
        to,
        to_arn: target.as_ref().map_or_else(|| service.task_definition.clone(), |registered| registered.arn.clone()),
        count,
        before: Before::of(service),
        serves: 0 < service.running,
        label: Some(label.clone()),
    };
    let asking = Box::pin(async {
        if plan.is_empty() {
            return Ok(Asked::Count { count });
        }
        lock::announce(place, &service.arn, &label).await?;
        let port = target.as_ref().and_then(|registered| registered.port);
        let port = service.other_way(port, &place.target_group_arn);
        let task_definition = target.map(|registered| registered.arn);
        let force = plan.replaces();
        let deploys = task_definition.is_some() || force;
        let update = Update { task_definition, port, count: plan.count, rollout: plan.rollout, force };
        let updated = update::update(place, update).await?;
        if deploys {
            return update::deployment(Some(&updated), "update the service");
        }
        Ok(Asked::Count { count })
    });
    roll(place, run, change, asking).await
}
