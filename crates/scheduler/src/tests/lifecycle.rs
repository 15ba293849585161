//! Every way a task may come to its end, and what a restarted engine or data plane changes.

use std::time::Duration;

use serde_json::Value;

use super::releases::{Behaviour, good};
use super::world::World;
use crate::model::{Exit, Model, ServiceDeploymentStatus, StopCode, TargetState, TaskId, TaskStatus};
use crate::{Action, Input, next_deadline, step, table};

fn stop(world: &mut World, task: &TaskId) {
    let now = world.now;
    world.model.stop_task(task, Some("maintenance"), now).unwrap();
    world.give(Input::Tick);
}

#[test]
fn a_stopped_task_is_drained_before_it_is_signalled() {
    let mut world = World::steady(2);
    world.in_flight = Some(Duration::from_secs(3));
    let task = world.some_healthy();
    stop(&mut world, &task);
    assert_eq!(world.model.tasks[&task].last_status, TaskStatus::Deactivating);
    assert_eq!(world.model.targets[&task].state, TargetState::Draining);
    assert!(table(&world.model).iter().any(|route| route.task == task && route.draining));
    world.pass(Duration::from_secs(2));
    assert!(world.terminated.is_empty());
    world.pass(Duration::from_secs(2));
    assert!(world.terminated.contains(&task));
    let stopped = &world.model.tasks[&task];
    assert_eq!((stopped.last_status, stopped.stop_code), (TaskStatus::Stopped, Some(StopCode::UserInitiated)));
    assert_eq!(stopped.stopped_reason.as_deref(), Some("maintenance"));
    world.settle();
    assert_eq!(world.started.len(), 3, "it is replaced");
    assert_eq!(world.primary().failed_tasks, 0, "and counts as no failure");
}

#[test]
fn draining_ends_with_the_deregistration_delay() {
    let mut world = World::steady(2);
    world.in_flight = None;
    let task = world.some_healthy();
    stop(&mut world, &task);
    world.pass(Duration::from_secs(29));
    assert!(world.terminated.is_empty());
    world.pass(Duration::from_secs(2));
    assert!(world.terminated.contains(&task));
    assert!(!world.model.targets.contains_key(&task), "not registered any more");
}

#[test]
fn idle_without_an_acknowledged_table_is_not_enough() {
    let mut world = World::steady(2);
    world.plane = false;
    let task = world.some_healthy();
    stop(&mut world, &task);
    world.give(Input::Idle { task: task.clone() });
    assert!(world.terminated.is_empty());
    let version = world.model.table_version;
    world.give(Input::Acked { version: version + 7 }); // never sent
    world.give(Input::Acked { version: version - 1 });
    assert!(world.terminated.is_empty());
    world.give(Input::Acked { version });
    assert!(world.terminated.contains(&task));
}

#[test]
fn a_new_data_plane_must_acknowledge_and_report_anew() {
    let mut world = World::steady(2);
    world.plane = false;
    let task = world.some_healthy();
    stop(&mut world, &task);
    world.give(Input::Idle { task: task.clone() });
    world.give(Input::PlaneReset);
    let version = world.model.table_version;
    world.give(Input::Acked { version });
    assert!(world.terminated.is_empty());
    world.give(Input::Idle { task: task.clone() });
    assert!(world.terminated.contains(&task));
}

#[test]
fn a_task_that_ignores_sigterm_is_killed_after_its_stop_timeout() {
    let mut world = World::serving(1, Behaviour { ignores_term: true, ..good() });
    world.settle();
    let task = world.some_healthy();
    stop(&mut world, &task);
    world.pass(Duration::from_millis(4900));
    assert!(world.killed.is_empty());
    world.pass(Duration::from_millis(200));
    assert!(world.killed.contains(&task));
    assert_eq!(world.model.tasks[&task].exit, Some(Exit::Signal(9)));
}

#[test]
fn a_task_stopped_before_its_process_runs_is_signalled_as_soon_as_it_does() {
    let mut world = World::serving(1, good());
    let task = world.started[0].clone();
    stop(&mut world, &task);
    assert_eq!(world.model.tasks[&task].last_status, TaskStatus::Pending);
    world.until("stopped", |world| world.model.tasks[&task].last_status == TaskStatus::Stopped);
    assert!(world.terminated.contains(&task));
    world.settle();
}

#[test]
fn a_task_that_dies_while_it_drains_keeps_the_reason_it_was_stopped_for() {
    let mut world = World::steady(2);
    world.in_flight = None;
    let task = world.some_healthy();
    stop(&mut world, &task);
    world.dies(&task, Exit::Code(3));
    let stopped = &world.model.tasks[&task];
    assert_eq!((stopped.last_status, stopped.stop_code), (TaskStatus::Stopped, Some(StopCode::UserInitiated)));
    assert!(world.terminated.is_empty());
}

#[test]
fn what_is_held_is_released_once() {
    let mut world = World::steady(1);
    let task = world.some_healthy();
    let now = world.now;
    let exited = || Input::Exited { task: task.clone(), exit: Exit::Code(0) };
    let first = step(&mut world.model, exited(), now);
    assert!(first.contains(&Action::Release { task: task.clone() }));
    assert!(step(&mut world.model, exited(), now).is_empty());
}

#[test]
fn a_restarted_engine_asks_again_for_what_may_not_have_been_done() {
    let mut world = World::serving(1, Behaviour { ignores_term: true, ..good() });
    world.settle();
    let task = world.some_healthy();
    stop(&mut world, &task);
    world.until("signalled", |world| !world.terminated.is_empty());
    let now = world.now;
    let actions = step(&mut world.model, Input::Resumed, now);
    assert!(actions.contains(&Action::Terminate { task: task.clone() }));
    let due = next_deadline(&world.model, now).unwrap();
    assert!(due <= now.mono.plus(Duration::from_secs(5)));
}

#[test]
fn a_model_of_an_earlier_boot_does_not_wait_for_moments_that_never_come() {
    let mut world = World::steady(2);
    let tasks: Vec<TaskId> = world.model.tasks.keys().cloned().collect();
    world.now.mono = gimmetime_clock::Mono::from_nanos(5_000_000_000);
    let now = world.now;
    step(&mut world.model, Input::Resumed, now);
    for task in tasks {
        let actions = step(&mut world.model, Input::Exited { task, exit: Exit::Unknown }, now);
        assert!(actions.iter().any(|action| matches!(action, Action::Release { .. })));
    }
    assert!(next_deadline(&world.model, now).is_none_or(|due| due <= now.mono.plus(Duration::from_secs(2))));
}

#[test]
fn the_model_survives_the_journal() {
    let mut world = World::steady(2);
    world.in_flight = Some(Duration::from_secs(2));
    world.deploy(Behaviour { status: Some(500), ..good() });
    world.pass(Duration::from_millis(1500));
    let written = serde_json::to_string(&world.model).unwrap();
    let read: Model = serde_json::from_str(&written).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), written);
    world.model = read;
    world.settle();
}

/// What an engine of the first release wrote down: read by every later one, or the format's number must change.
const JOURNAL: &str = include_str!("journal.json");

/// Whether all of `part` stands in `whole`, which may know more.
fn holds(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(name, member)| whole.get(name).is_some_and(|known| holds(known, member)))
        }
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len() && whole.iter().zip(part).all(|(whole, part)| holds(whole, part))
        }
        (whole, part) => whole == part,
    }
}

#[test]
fn a_journal_of_the_first_format_is_read_and_nothing_of_it_is_lost() {
    let model: Model = serde_json::from_str(JOURNAL).unwrap();
    let (read, written): (Value, Value) =
        (serde_json::to_value(&model).unwrap(), serde_json::from_str(JOURNAL).unwrap());
    assert!(holds(&read, &written), "{read:#}");
    let service = model.service.as_ref().unwrap();
    assert_eq!(service.history[0].status, ServiceDeploymentStatus::RollbackInProgress);
}
