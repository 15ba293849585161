//! What a service says about itself, in ECS's wording: newest first, bounded.

use gimmetime_clock::Now;

use crate::ids::Ids;
use crate::model::{Model, Service, ServiceEvent, TaskId};

/// How many events are kept, as ECS keeps them.
const EVENTS_KEPT: usize = 100;

/// Adds `(service NAME) MESSAGE` to the service's events, if there is a service.
pub(crate) fn add(model: &mut Model, now: Now, message: &str) {
    if let Some(service) = &mut model.service {
        record(service, &mut model.seed, now, message);
    }
}

/// Adds `(service NAME) MESSAGE` to the service's events.
pub(crate) fn record(service: &mut Service, seed: &mut u64, now: Now, message: &str) {
    let message = format!("(service {}) {message}", service.name);
    service.events.push_front(ServiceEvent { id: Ids(seed).uuid(), created_at: now.wall, message });
    service.events.truncate(EVENTS_KEPT);
}

/// `(task a) (task b)`
pub(crate) fn named(tasks: &[TaskId]) -> String {
    tasks.iter().map(|task| format!("(task {task})")).collect::<Vec<_>>().join(" ")
}
