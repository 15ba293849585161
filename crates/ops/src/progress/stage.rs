//! How a change stands, as the API has it: by its line in the ledger, else by the service's deployments.

use crate::snapshot::{AttemptView, RolloutState, Snapshot, TaskView};

/// How a change stands, as the API has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Rolling,
    Completed,
    RollingBack,
    RolledBack,
    Failed,
    Superseded,
}

/// Whether tasks are missing that will never come: the breaker ended the deployment, and nothing is on its way.
pub(super) fn is_given_up(snapshot: &Snapshot, count: u32) -> bool {
    let gave_up = snapshot.service.primary().is_some_and(|primary| primary.state == RolloutState::Failed);
    let coming = |task: &TaskView| !task.is_gone() && !task.is_leaving() && !snapshot.is_healthy(task);
    gave_up && snapshot.healthy() < count && !snapshot.tasks.iter().any(coming)
}

/// What the ledger says; None while it says only that something is under way.
pub(super) fn by_ledger(line: &AttemptView) -> Option<Stage> {
    match line.status.as_str() {
        "SUCCESSFUL" => Some(Stage::Completed),
        "ROLLBACK_REQUESTED" | "ROLLBACK_IN_PROGRESS" => Some(Stage::RollingBack),
        "ROLLBACK_SUCCESSFUL" => Some(Stage::RolledBack),
        "ROLLBACK_FAILED" => Some(Stage::Failed),
        "STOPPED" | "STOP_REQUESTED" => Some(Stage::Superseded),
        _ => None,
    }
}

/// What the service's deployments say, for endpoints whose ledger is empty or late.
pub(super) fn by_deployments(snapshot: &Snapshot, id: Option<&str>, was_rolling_back: bool) -> Stage {
    let mine = snapshot.service.deployments.iter().find(|deployment| Some(deployment.id.as_str()) == id);
    let other = snapshot.service.primary().filter(|primary| Some(primary.id.as_str()) != id);
    let failed = was_rolling_back || mine.is_some_and(|mine| mine.state == RolloutState::Failed);
    match (mine.map(|mine| mine.state), other) {
        (Some(RolloutState::Completed), None) => Stage::Completed,
        (_, Some(other)) if failed && other.state == RolloutState::Completed => Stage::RolledBack,
        (_, Some(other)) if failed && other.state == RolloutState::Failed => Stage::Failed,
        (_, Some(_)) if failed => Stage::RollingBack,
        (_, Some(_)) => Stage::Superseded,
        (_, None) if failed => Stage::Failed,
        (_, None) => Stage::Rolling,
    }
}
