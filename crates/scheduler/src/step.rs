//! One input, all its consequences. Level-triggered: what is done follows from what is, not from what just happened.

use gimmetime_clock::{Mono, Now};

use crate::model::{Model, TaskStatus};
use crate::{Action, Input, health, history, lifecycle, reconcile, routing};

/// All consequences of one input: the model is changed, and what is returned must be done, in this order.
///
/// A repeated, late or foreign input (about a task that is gone, a version never sent) changes nothing.
pub fn step(model: &mut Model, input: Input, now: Now) -> Vec<Action> {
    let mut actions = Vec::new();
    take(model, input, now, &mut actions);
    lifecycle::advance(model, now, &mut actions);
    reconcile::service(model, now);
    lifecycle::advance(model, now, &mut actions);
    reconcile::settle(model, now);
    routing::refresh(model);
    history::forget(model);
    actions
}

fn take(model: &mut Model, input: Input, now: Now, actions: &mut Vec<Action>) {
    match input {
        Input::Spawned { task, process, address } => {
            lifecycle::spawned(model, &task, process, address, now, actions);
        }
        Input::SpawnFailed { task, reason } => lifecycle::spawn_failed(model, &task, &reason, now, actions),
        Input::Exited { task, exit } => lifecycle::ended(model, &task, exit, now, actions),
        Input::Probed { task, outcome } => health::probed(model, &task, &outcome, now),
        Input::Acked { version } => {
            if version <= model.table_version {
                model.table_acked = model.table_acked.max(version);
            }
        }
        Input::Idle { task } => {
            if model.targets.get(&task).is_some_and(|target| target.draining_since.is_some()) {
                model.idle.insert(task);
            }
        }
        Input::PlaneReset => {
            model.table_acked = 0;
            model.idle.clear();
        }
        Input::Resumed => resume(model, now, actions),
        Input::Tick => {}
    }
}

/// Asks again for what may never have been done, and forgets moments of another boot, which lie ahead.
fn resume(model: &mut Model, now: Now, actions: &mut Vec<Action>) {
    let past = |moment: &mut Mono| *moment = (*moment).min(now.mono);
    for target in model.targets.values_mut() {
        target.probing_since = None;
        past(&mut target.registered);
        past(&mut target.next_probe);
        target.draining_since.iter_mut().for_each(past);
        target.healthy_since.iter_mut().for_each(past);
    }
    for task in model.tasks.values_mut() {
        past(&mut task.since);
        past(&mut task.created);
        if task.last_status == TaskStatus::Stopping {
            task.terminated = Some(now.mono);
            task.killed = None;
            actions.push(Action::Terminate { task: task.id.clone() });
        }
    }
    if let Some(service) = &mut model.service {
        service.last_failure.iter_mut().for_each(past);
        service.throttled_until = None;
    }
}
