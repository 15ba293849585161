//! The circuit breaker: how many failures end a deployment, and what follows.

use gimmetime_clock::Now;

use crate::deployment;
use crate::events;
use crate::ids::Ids;
use crate::model::{
    BreakerThreshold, BreakerType, CompletedDeployment, Model, RolloutState, Service,
    ServiceDeploymentStatus as Ledger, TaskStatus,
};

/// Bounds of ECS's default threshold.
const BOUNDS: (u32, u32) = (3, 200);
/// ECS's default: half the desired count, bounded.
const DEFAULT: BreakerThreshold = BreakerThreshold { kind: BreakerType::BoundedPercent, value: 50 };
/// ECS's `rolloutStateReason` of a deployment its breaker ended.
const FAILED: &str = "ECS deployment circuit breaker: tasks failed to start.";
/// What the ledger says of it.
const EXCEEDED: &str = "Service deployment rolled back because the circuit breaker threshold was exceeded.";
/// What the ledger says when there is no way back.
const NO_WAY_BACK: &str =
    "The circuit breaker threshold was exceeded, and there is no completed service deployment to roll back to.";
/// What the ledger says when a way back was not asked for.
const NOT_ASKED: &str = "The circuit breaker threshold was exceeded; rollback is not enabled.";
/// What the ledger says when the way back failed too.
const FAILED_TOO: &str = "The circuit breaker threshold was exceeded again while rolling back.";

/// How many failed tasks end a deployment of this service; at least 1.
pub(crate) fn threshold(service: &Service) -> u32 {
    let BreakerThreshold { kind, value } = service.rollout.breaker.threshold.unwrap_or(DEFAULT);
    let share = (u64::from(service.desired_count) * u64::from(value)).div_ceil(100);
    let share = u32::try_from(share).unwrap_or(u32::MAX);
    match kind {
        BreakerType::BoundedPercent => share.clamp(BOUNDS.0, BOUNDS.1),
        BreakerType::UnboundedPercent => share.max(1),
        BreakerType::Count => value.max(1),
    }
}

/// Ends the primary deployment if its failures reached the threshold, and turns back if that was asked for.
///
/// The threshold follows the desired count, and the ledger says which one counts. While nothing should run nothing is
/// concluded: the least threshold is no verdict on failures that were few of many.
///
/// A way back that fails too is marked as failed, yet goes on, slower and slower: giving up the last release that worked would
/// turn an outage of minutes into one without end.
pub(crate) fn check(model: &mut Model, now: Now) {
    let Some(service) = &mut model.service else { return };
    let threshold = threshold(service);
    let watches = service.rollout.breaker.enable && 0 < service.desired_count;
    let Some(primary) = service.deployments.first_mut() else { return };
    if !watches || primary.rollout_state != RolloutState::InProgress {
        return;
    }
    if let Some(entry) = service.history.iter_mut().find(|entry| entry.deployment_id == primary.id) {
        entry.breaker_threshold = threshold;
    }
    if primary.breaker_failures.saturating_add(primary.breaker_crashes) < threshold {
        return;
    }
    primary.rollout_state = RolloutState::Failed;
    FAILED.clone_into(&mut primary.rollout_reason);
    primary.updated_at = now.wall;
    let (id, rollback_of) = (primary.id.clone(), primary.rollback_of.clone());
    let event = format!("(deployment {id}) deployment failed: tasks failed to start.");
    events::record(service, &mut model.seed, now, &event);
    if let Some(failed) = rollback_of {
        return conclude(service, &failed, Ledger::RollbackFailed, FAILED_TOO, now);
    }
    match service.completed.clone() {
        Some(completed) if service.rollout.breaker.rollback => turn_back(model, &id, &completed, now),
        Some(_) => conclude(service, &id, Ledger::RollbackFailed, NOT_ASKED, now),
        None => conclude(service, &id, Ledger::RollbackFailed, NO_WAY_BACK, now),
    }
}

/// Makes a new deployment of the revision completed last `PRIMARY`. What still runs of that revision becomes its own.
fn turn_back(model: &mut Model, failed: &str, completed: &CompletedDeployment, now: Now) {
    let Some(service) = &mut model.service else { return };
    let CompletedDeployment { deployment_id, family, revision } = completed;
    let id = Ids(&mut model.seed).deployment();
    let reason = format!("ECS deployment circuit breaker: rolling back to deploymentId {deployment_id}");
    let mut back = deployment::new_deployment(id.clone(), family, *revision, reason, now);
    back.rollback_of = Some(failed.to_owned());
    deployment::make_primary(service, back);
    if let Some(entry) = service.history.iter_mut().find(|entry| entry.deployment_id == failed) {
        entry.status = Ledger::RollbackInProgress;
        entry.status_reason = Some(EXCEEDED.to_owned());
        entry.rolled_back_to = Some(*revision);
        entry.rollback_started_at = Some(now.wall);
        entry.updated_at = now.wall;
    }
    let event = format!("rolling back to (deployment {deployment_id}).");
    events::record(service, &mut model.seed, now, &event);
    for task in model.tasks.values_mut() {
        let same = (&task.family, task.revision) == (family, *revision) && task.deployment_id != failed;
        if same && task.desired_status == TaskStatus::Running {
            task.deployment_id.clone_from(&id);
        }
    }
}

fn conclude(service: &mut Service, deployment_id: &str, status: Ledger, reason: &str, now: Now) {
    if let Some(entry) = service.history.iter_mut().find(|entry| entry.deployment_id == deployment_id) {
        entry.status = status;
        entry.status_reason = Some(reason.to_owned());
        entry.finished_at = Some(now.wall);
        entry.updated_at = now.wall;
    }
}
