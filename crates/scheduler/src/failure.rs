//! What a failed task costs its deployment (the breaker) and its service (start throttling).

use std::time::Duration;

use gimmetime_clock::Now;

use crate::events;
use crate::model::{Exit, Model, RolloutState, Service, ServiceStatus, Task, TaskId};

/// Wait after the first failure before RUNNING; doubled by each further one.
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// The longest wait, as ECS has it.
const LONGEST_DELAY: Duration = Duration::from_mins(15);
/// How long a task must have been healthy to end a row of failures.
const STABLE_AFTER: Duration = Duration::from_secs(30);
/// The failure in a row at which the service says that it cannot start tasks.
const IMPAIRED_AT: u32 = 3;
/// How many failed tasks a service deployment keeps as evidence.
const EVIDENCE_KEPT: usize = 5;
/// ECS's words for a service whose tasks fail one after the other.
const IMPAIRED: &str = "is unable to consistently start tasks successfully. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.";

/// Counts a task that nobody asked to stop. Tasks of older deployments cost nothing: they are on their way out.
pub(crate) fn count(model: &mut Model, id: &TaskId, now: Now) {
    let (Some(task), Some(service)) = (model.tasks.get(id), &mut model.service) else { return };
    let belongs = service.deployments.first().is_some_and(|primary| primary.id == task.deployment_id);
    if !belongs || service.status != ServiceStatus::Active {
        return;
    }
    let impaired = throttle(service, task, now);
    let primary = &mut service.deployments[0];
    if primary.rollout_state == RolloutState::InProgress {
        primary.failed_tasks += 1;
        primary.updated_at = now.wall;
        *(if task.was_healthy { &mut primary.breaker_crashes } else { &mut primary.breaker_failures }) += 1;
        let ledger_id = primary.rollback_of.as_ref().unwrap_or(&primary.id).clone();
        if let Some(entry) = service.history.iter_mut().find(|entry| entry.deployment_id == ledger_id) {
            entry.failed_tasks += u32::from(primary.rollback_of.is_none());
            entry.updated_at = now.wall;
            if entry.evidence.len() < EVIDENCE_KEPT {
                entry.evidence.push(id.clone());
            }
        }
    }
    if impaired {
        events::add(model, now, IMPAIRED);
    }
}

/// A task of the primary deployment passed its checks: what failed before it does not count any more.
pub(crate) fn healthy(service: &mut Service, deployment_id: &str) {
    let resets = service.rollout.breaker.reset_on_healthy_task.unwrap_or(true);
    if let Some(primary) = service.deployments.first_mut().filter(|primary| resets && primary.id == deployment_id) {
        primary.breaker_failures = 0;
    }
}

/// Ends the row of failures once a task started since the last one has stayed healthy.
pub(crate) fn forgive(model: &mut Model, now: Now) {
    let Some(service) = &mut model.service else { return };
    let Some(last) = service.last_failure else { return };
    let stable = |id: &TaskId| {
        let since = model.targets.get(id).and_then(|target| target.healthy_since);
        since.is_some_and(|since| since.plus(STABLE_AFTER) <= now.mono)
    };
    if model.tasks.values().any(|task| last <= task.created && stable(&task.id)) {
        service.start_failures = 0;
        service.last_failure = None;
        service.throttled_until = None;
    }
}

/// Whether no task may be started yet.
pub(crate) fn is_throttled(service: &Service, now: Now) -> bool {
    service.throttled_until.is_some_and(|until| now.mono < until)
}

/// Puts off the next start after a task failed; returns whether the service just became unable to start tasks.
///
/// The first task in a row that ran and then failed is replaced at once: only a loop is worth waiting for. Tasks that fail
/// together are one failure, for none of them replaced another. How one ended that nobody watched says nothing of loops.
fn throttle(service: &mut Service, task: &Task, now: Now) -> bool {
    let together = service.last_failure.is_some_and(|last| task.created < last);
    if together || task.exit == Some(Exit::Unknown) {
        return false;
    }
    let ran = task.started_at.is_some();
    let doublings = if ran { service.start_failures.checked_sub(1) } else { Some(service.start_failures) };
    let delay = doublings.map_or(Duration::ZERO, |doublings| {
        FIRST_DELAY.saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX)).min(LONGEST_DELAY)
    });
    service.start_failures = service.start_failures.saturating_add(1);
    service.last_failure = Some(now.mono);
    let until = now.mono.plus(delay);
    service.throttled_until = Some(service.throttled_until.map_or(until, |earlier| earlier.max(until)));
    service.start_failures == IMPAIRED_AT
}
