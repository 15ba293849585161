//! `deploy`: a new release, if there is anything new.

use crate::definition::Definition;
use crate::error::OpsError;
use crate::event::{Operation, Outcome, RolloutReport};
use crate::lock;
use crate::observe;
use crate::place::{Place, Run, ServiceSpec};
use crate::progress::Before;
use crate::release::{Registered, register};
use crate::rollout::{Change, attach, roll};
use crate::snapshot::ServiceView;
use crate::three_way::Settings;
use crate::update::{self, Update};

/// How `deploy` decides whether there is anything to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeployMode {
    /// An unchanged digest with unchanged settings is left alone.
    #[default]
    WhenChanged,
    /// All tasks are replaced in any case.
    Force,
}

/// What `deploy` did.
#[derive(Debug)]
pub enum Deployed {
    /// This release is what should run already, with these settings; nothing is in progress that would change it.
    Unchanged {
        /// Its number.
        release: u32,
        /// How many tasks are healthy.
        healthy: u32,
        /// Of so many.
        desired: u32,
    },
    /// It rolled, or a rollout of the same was under way already and was waited for.
    Rolled(Box<RolloutReport>),
}

/// Rolls the specification out, and waits.
///
/// # Errors
/// [`OpsError::Busy`] if somebody rolls out something else: the caller may [`attach`] or wait.
pub async fn deploy(place: &Place, spec: &ServiceSpec, mode: DeployMode, run: &Run) -> Result<Deployed, OpsError> {
    let service = observe::service(place).await?;
    let wanted = Definition::wanted(place, spec);
    let (running, _) = observe::task_definition(place, &service.task_definition).await?;
    let is_same = Definition::read(&running) == wanted;
    let settings = Settings::of(spec, &wanted);
    // A change of the number of tasks is no hindrance: what crashes while it is scaled must be replaceable.
    if let Some(busy) = lock::of_service(place, &service).await?.filter(|busy| busy.release.is_some()) {
        if !is_same {
            return Err(busy.into());
        }
        // One that is stuck for want of room gets what the settings give it now.
        apply_settings(place, &service, &settings).await?;
        return join(place, &service, run).await;
    }
    if is_same && mode == DeployMode::WhenChanged {
        apply_settings(place, &service, &settings).await?;
        return unchanged(place, &service).await;
    }
    let target = if is_same {
        Registered { arn: service.task_definition.clone(), release: service.revision(), port: wanted.port }
    } else {
        Box::pin(register(place, spec, &wanted, run)).await?
    };
    let report = Box::pin(replace(place, run, Operation::Deploy, &service, target, Some(&settings))).await?;
    if report.outcome == Outcome::Done {
        // The count is `scale`'s, not deploy's: what was applied of it stays.
        let count = Settings::applied(&service).map_or(settings.count, |applied| applied.count);
        update::label_applied(place, &service.arn, &Settings { count, ..settings }.encode()).await?;
    }
    Ok(Deployed::Rolled(Box::new(report)))
}

/// The same release on its way already is as good as ours.
async fn join(place: &Place, service: &ServiceView, run: &Run) -> Result<Deployed, OpsError> {
    match Box::pin(attach(place, run)).await? {
        Some(report) => Ok(Deployed::Rolled(Box::new(report))),
        None => unchanged(place, service).await,
    }
}

async fn unchanged(place: &Place, service: &ServiceView) -> Result<Deployed, OpsError> {
    let healthy = observe::healthy(place).await?;
    Ok(Deployed::Unchanged { release: service.revision(), healthy, desired: service.desired })
}

/// How it shall roll next time needs no rollout now.
async fn apply_settings(place: &Place, service: &ServiceView, settings: &Settings) -> Result<(), OpsError> {
    if service.configuration != settings.rollout {
        update::update(place, Update { rollout: Some(settings.rollout), ..Update::default() }).await?;
    }
    Ok(())
}

/// Brings every task to `target`: a new revision, or the same once more.
pub(crate) async fn replace(
    place: &Place,
    run: &Run,
    operation: Operation,
    service: &ServiceView,
    target: Registered,
    settings: Option<&Settings>,
) -> Result<RolloutReport, OpsError> {
    let label = lock::label(run, operation, &format!("r{}", target.release));
    let change = Change {
        operation,
        from: Some(service.revision()),
        from_arn: Some(service.task_definition.clone()),
        to: target.release,
        to_arn: target.arn.clone(),
        count: service.desired,
        before: Before::of(service),
        serves: 0 < service.running,
        label: Some(label.clone()),
    };
    let update = Update {
        force: target.arn == service.task_definition,
        port: service.other_way(target.port, &place.target_group_arn),
        task_definition: Some(target.arn),
        count: None,
        rollout: settings.map(|settings| settings.rollout),
    };
    let asking = Box::pin(async {
        lock::announce(place, &service.arn, &label).await?;
        let updated = update::update(place, update).await?;
        update::deployment(Some(&updated), "update the service")
    });
    roll(place, run, change, asking).await
}
