//! How a deployment begins, is superseded, completes, fails and is rolled back; and the ledger of how each one ended.

use gimmetime_clock::Now;

use crate::breaker;
use crate::events;
use crate::ids::Ids;
use crate::model::{
    CompletedDeployment, Deployment, DeploymentStatus, Model, RolloutState, Service, ServiceDeployment,
    ServiceDeploymentStatus as Ledger, Tags,
};

/// How many service deployments the ledger keeps.
pub(crate) const LEDGER_KEPT: usize = 50;

/// Makes a deployment of this revision `PRIMARY`, and ends one that was still rolling.
pub(crate) fn begin(service: &mut Service, seed: &mut u64, family: &str, revision: u32, now: Now) {
    supersede(service, "Service deployment was superseded by a newer one.", now);
    let source_revision = service.completed.as_ref().map(|completed| completed.revision);
    let id = Ids(seed).deployment();
    let reason = format!("ECS deployment {id} in progress.");
    make_primary(service, new_deployment(id.clone(), family, revision, reason, now));
    service.history.insert(
        0,
        ServiceDeployment {
            id: Ids(seed).service_deployment(),
            deployment_id: id,
            status: Ledger::Pending,
            status_reason: None,
            family: family.to_owned(),
            revision,
            source_revision,
            failed_tasks: 0,
            breaker_threshold: breaker::threshold(service),
            rolled_back_to: None,
            rollback_started_at: None,
            created_at: now.wall,
            started_at: None,
            finished_at: None,
            updated_at: now.wall,
            tags: Tags::new(),
            evidence: Vec::new(),
        },
    );
    service.history.truncate(LEDGER_KEPT);
}

/// Ends what the ledger still has open: something newer was asked for.
pub(crate) fn supersede(service: &mut Service, reason: &str, now: Now) {
    for entry in service.history.iter_mut().filter(|entry| is_open(entry.status)) {
        entry.status = Ledger::Stopped;
        entry.status_reason = Some(reason.to_owned());
        entry.finished_at = Some(now.wall);
        entry.updated_at = now.wall;
    }
}

/// A deployment of which nothing runs yet.
pub(crate) fn new_deployment(id: String, family: &str, revision: u32, rollout_reason: String, now: Now) -> Deployment {
    Deployment {
        id,
        status: DeploymentStatus::Primary,
        family: family.to_owned(),
        revision,
        rollout_state: RolloutState::InProgress,
        rollout_reason,
        failed_tasks: 0,
        breaker_failures: 0,
        breaker_crashes: 0,
        stuck_reported: false,
        rollback_of: None,
        created_at: now.wall,
        updated_at: now.wall,
    }
}

/// Puts a deployment in front; what was `PRIMARY` is `ACTIVE` from now on, and starts are no longer throttled.
pub(crate) fn make_primary(service: &mut Service, deployment: Deployment) {
    for old in &mut service.deployments {
        old.status = DeploymentStatus::Active;
    }
    service.family.clone_from(&deployment.family);
    service.revision = deployment.revision;
    service.deployments.insert(0, deployment);
    service.start_failures = 0;
    service.throttled_until = None;
    service.steady_since = None;
}

/// Drops old deployments of which nothing is left, and completes the primary one when all its tasks are healthy and alone.
///
/// Having nothing to run completes only a deployment that never ran anything: one that was held at 0 half-way (an engine that
/// ends does that) has shown nothing, and goes on when there is something to run again.
pub(crate) fn settle(service: &mut Service, model: &mut Model, now: Now) {
    let lives = |id: &str| model.live_tasks().any(|task| task.deployment_id == id);
    let primary_id = service.deployments.first().map(|primary| primary.id.clone()).unwrap_or_default();
    service.deployments.retain(|deployment| deployment.id == primary_id || lives(&deployment.id));
    let [primary] = service.deployments.as_mut_slice() else { return };
    let works = CompletedDeployment {
        deployment_id: primary_id.clone(),
        family: primary.family.clone(),
        revision: primary.revision,
    };
    let proved = model.tasks.values().any(|task| task.deployment_id == primary_id && task.was_healthy);
    if primary.rollout_state == RolloutState::Completed && proved {
        service.completed = Some(works); // it may have been completed at 0 tasks, and only now be known to work
        return;
    }
    let counts = model.deployment_counts(primary);
    let whole = counts.healthy == service.desired_count && counts.pending == 0 && counts.running == counts.healthy;
    let alone = model.live_tasks().all(|task| task.deployment_id == primary.id);
    let goes_on = primary.rollout_state == RolloutState::InProgress
        || (primary.rollout_state == RolloutState::Failed && primary.rollback_of.is_some());
    let ledger_id = primary.rollback_of.clone().unwrap_or_else(|| primary_id.clone());
    let entry = service.history.iter_mut().find(|entry| entry.deployment_id == ledger_id && is_open(entry.status));
    let began = primary.rollout_state == RolloutState::Failed || entry.as_ref().is_some_and(|e| e.started_at.is_some());
    let held = service.desired_count == 0 && began;
    if !(whole && alone && goes_on) || held {
        return;
    }
    primary.rollout_state = RolloutState::Completed;
    primary.rollout_reason = format!("ECS deployment {primary_id} completed.");
    primary.updated_at = now.wall;
    if proved || (service.completed.is_none() && entry.is_some()) {
        service.completed = Some(works);
    }
    if let Some(entry) = entry {
        let rolled_back = entry.status == Ledger::RollbackInProgress;
        entry.status = if rolled_back { Ledger::RollbackSuccessful } else { Ledger::Successful };
        entry.finished_at = Some(now.wall);
        entry.updated_at = now.wall;
    }
    let event = format!("(deployment {primary_id}) deployment completed.");
    events::record(service, &mut model.seed, now, &event);
}

fn is_open(status: Ledger) -> bool {
    matches!(status, Ledger::Pending | Ledger::InProgress | Ledger::RollbackInProgress)
}
