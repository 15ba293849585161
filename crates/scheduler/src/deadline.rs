//! When a driver must call again, if nothing happens before.

use std::time::Duration;

use gimmetime_clock::{Mono, Now};

use crate::Deadline;
use crate::census::PROVED_AFTER;
use crate::model::{Model, Service, TargetState, TaskStatus};
use crate::{health, lifecycle};

/// When [`crate::Input::Tick`] and [`crate::due_probes`] are owed at the latest; None if only another input can change anything.
///
/// It is later than `now` if both were called at `now`.
pub fn next_deadline(model: &Model, now: Now) -> Deadline {
    let later = |moment: &Mono| now.mono < *moment;
    let throttle = model.service.iter().filter_map(|service| service.throttled_until).filter(later);
    let kills = model.live_tasks().filter(|task| task.last_status == TaskStatus::Stopping && task.killed.is_none());
    let grace = model.service.iter().flat_map(|service| graces(model, service)).filter(later);
    let healthy = model.targets.values().filter_map(|target| target.healthy_since);
    let proofs = healthy.map(|since| since.plus(PROVED_AFTER)).filter(later);
    targets(model).chain(throttle).chain(kills.map(lifecycle::kill_due)).chain(grace).chain(proofs).min()
}

/// Next checks, and ends of deregistration delays.
fn targets(model: &Model) -> impl Iterator<Item = Mono> {
    let delay = Duration::from_millis(model.place.deregistration_delay_ms);
    model.targets.values().map(move |target| match target.draining_since {
        Some(since) => since.plus(delay),
        None => health::probe_due(target, &model.place.health_check),
    })
}

/// Ends of the service's grace period for targets that are already unhealthy.
fn graces(model: &Model, service: &Service) -> impl Iterator<Item = Mono> {
    let grace = Duration::from_secs(service.grace_seconds.into());
    let unhealthy = model.targets.values().filter(|target| target.state == TargetState::Unhealthy);
    unhealthy.map(move |target| target.registered.plus(grace))
}
