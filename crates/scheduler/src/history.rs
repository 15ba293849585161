//! Forgets what is over: all that is kept has a limit.

use std::collections::BTreeSet;

use crate::STOPPED_TASKS_KEPT;
use crate::model::{Model, Service, TaskId, TaskStatus};

/// Drops the longest stopped tasks beyond [`STOPPED_TASKS_KEPT`], but none that a service deployment names as evidence.
pub(crate) fn forget(model: &mut Model) {
    let stopped = model.tasks.values().filter(|task| task.last_status == TaskStatus::Stopped).count();
    if stopped <= STOPPED_TASKS_KEPT {
        return;
    }
    let evidence: BTreeSet<&TaskId> = model.service.iter().flat_map(evidence).collect();
    let mut droppable: Vec<_> = model
        .tasks
        .values()
        .filter(|task| task.last_status == TaskStatus::Stopped && !evidence.contains(&task.id))
        .map(|task| (task.since, task.id.clone()))
        .collect();
    droppable.sort_unstable();
    let surplus = droppable.len().saturating_sub(STOPPED_TASKS_KEPT);
    for (_, id) in droppable.into_iter().take(surplus) {
        model.tasks.remove(&id);
    }
}

fn evidence(service: &Service) -> impl Iterator<Item = &TaskId> {
    service.history.iter().flat_map(|entry| &entry.evidence)
}
