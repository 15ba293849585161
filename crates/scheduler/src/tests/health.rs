//! Targets: states, reasons, thresholds, clocks, and who gets requests.

use std::time::Duration;

use gimmetime_clock::Offset;

use super::releases::{Behaviour, good};
use super::world::World;
use crate::model::{Exit, ReasonCode, TargetState, TaskId, TaskStatus};
use crate::{Input, ProbeOutcome, ServiceChange, due_probes, table};

fn only(world: &World) -> &crate::model::Target {
    world.model.targets.values().next().unwrap()
}

#[test]
fn a_new_target_needs_one_pass() {
    let mut world = World::serving(1, good());
    world.pass(Duration::from_millis(1));
    assert_eq!(only(&world).state, TargetState::Initial);
    assert_eq!(only(&world).reason, Some(ReasonCode::InitialHealthChecking));
    assert_eq!(only(&world).description.as_deref(), Some("Initial health checks in progress"));
    world.settle();
    assert_eq!((only(&world).state, only(&world).passes), (TargetState::Healthy, 1));
    assert_eq!((only(&world).reason, &only(&world).description), (None, &None));
}

#[test]
fn a_new_target_is_checked_quickly_then_at_the_interval() {
    let mut world = World::serving(1, Behaviour { listens_after: Some(Duration::from_millis(100)), ..good() });
    let before = world.now.mono;
    world.settle();
    assert!(world.now.mono.since(before) < Duration::from_millis(200));
    world.pass(Duration::from_millis(100)); // let what is in flight end
    let next = only(&world).next_probe;
    world.pass(Duration::from_millis(1100));
    assert_eq!(only(&world).next_probe.since(next), Duration::from_secs(1));
}

#[test]
fn a_slow_starter_is_not_killed_within_its_start_grace() {
    let mut world = World::serving(1, Behaviour { listens_after: Some(Duration::from_millis(4900)), ..good() });
    world.pass(Duration::from_secs(4));
    assert_eq!(only(&world).state, TargetState::Initial);
    assert_eq!(only(&world).description.as_deref(), Some("Health checks failed"));
    world.settle();
    assert_eq!(world.started.len(), 1);
}

#[test]
fn thresholds_count_in_a_row() {
    let mut world = World::steady(2);
    world.update(ServiceChange { grace_seconds: Some(3600), ..ServiceChange::default() }); // no replacement
    let task = world.some_healthy();
    let answer = |status| ProbeOutcome::Answered { status, clock: None };
    let script = [
        (answer(500), TargetState::Healthy),
        (answer(200), TargetState::Healthy),
        (answer(500), TargetState::Healthy),
        (answer(500), TargetState::Unhealthy),
        (answer(200), TargetState::Unhealthy),
        (ProbeOutcome::TimedOut, TargetState::Unhealthy),
        (answer(200), TargetState::Unhealthy),
        (answer(200), TargetState::Healthy),
    ];
    for (outcome, expected) in script {
        world.give(Input::Probed { task: task.clone(), outcome: outcome.clone() });
        assert_eq!(world.model.targets[&task].state, expected, "after {outcome:?}");
    }
}

#[test]
fn reasons_and_descriptions_are_the_load_balancers() {
    let cases = [
        (
            ProbeOutcome::Answered { status: 500, clock: None },
            ReasonCode::ResponseCodeMismatch,
            "Health checks failed with these codes: [500]",
        ),
        (
            ProbeOutcome::Answered { status: 301, clock: None },
            ReasonCode::ResponseCodeMismatch,
            "Health checks failed with these codes: [301]",
        ),
        (ProbeOutcome::TimedOut, ReasonCode::Timeout, "Request timed out"),
        (ProbeOutcome::Failed { error: "reset".to_owned() }, ReasonCode::FailedHealthChecks, "Health checks failed"),
    ];
    for (outcome, reason, description) in cases {
        let mut world = World::steady(2);
        world.update(ServiceChange { grace_seconds: Some(3600), ..ServiceChange::default() });
        let task = world.some_healthy();
        for _ in 0..2 {
            world.give(Input::Probed { task: task.clone(), outcome: outcome.clone() });
        }
        let target = &world.model.targets[&task];
        assert_eq!((target.reason, target.description.as_deref()), (Some(reason), Some(description)));
    }
}

#[test]
fn reasons_are_spelt_as_the_api_spells_them() {
    let spelt = |reason: ReasonCode| serde_json::to_value(reason).unwrap();
    assert_eq!(spelt(ReasonCode::ResponseCodeMismatch), "Target.ResponseCodeMismatch");
    assert_eq!(spelt(ReasonCode::RegistrationInProgress), "Elb.RegistrationInProgress");
    assert_eq!(spelt(ReasonCode::DeregistrationInProgress), "Target.DeregistrationInProgress");
}

#[test]
fn an_initial_target_gets_no_requests_beside_any_other() {
    let mut world = World::steady(1);
    world.releases[0].listens_after = None;
    world.scale(2);
    world.pass(Duration::from_millis(100));
    let serving = table(&world.model);
    assert_eq!(serving.len(), 1);
    assert!(serving[0].healthy);
}

#[test]
fn with_no_healthy_target_all_unhealthy_ones_get_requests() {
    let mut world = World::steady(3);
    world.update(ServiceChange { grace_seconds: Some(3600), ..ServiceChange::default() });
    let tasks: Vec<TaskId> = world.model.targets.keys().cloned().collect();
    for task in &tasks {
        world.becomes(task, Behaviour { status: Some(500), ..good() });
    }
    world.until("none healthy", |world| world.healthy() == 0);
    let routes = table(&world.model);
    assert_eq!(routes.len(), 3);
    assert!(routes.iter().all(|route| !route.draining && !route.healthy));
}

#[test]
fn only_initial_targets_get_requests_if_nothing_else_is_registered() {
    let mut world = World::serving(2, Behaviour { listens_after: None, ..good() });
    world.pass(Duration::from_millis(50));
    assert_eq!(table(&world.model).len(), 2);
}

#[test]
fn the_table_gets_a_new_version_only_when_it_changes() {
    let mut world = World::steady(2);
    let version = world.model.table_version;
    world.pass(Duration::from_mins(1));
    assert_eq!(world.model.table_version, version);
    world.scale(3);
    world.settle();
    assert_eq!(world.model.table_version, version + 1);
}

#[test]
fn a_task_whose_clock_is_proved_wrong_is_replaced_for_our_own_reason() {
    let mut world = World::steady(2);
    let wrong = world.some_healthy();
    world.becomes(&wrong, Behaviour { clock: Offset::from_secs(-5), ..good() });
    world.until("out", |world| {
        world.model.targets.get(&wrong).is_some_and(|target| target.state == TargetState::Unhealthy)
    });
    assert_eq!(world.model.targets[&wrong].reason, Some(ReasonCode::ClockProvedWrong));
    world.settle();
    let reason = world.model.tasks[&wrong].stopped_reason.clone().unwrap();
    assert!(reason.starts_with("Task clock proved wrong in (target-group arn:"), "{reason}");
    assert!(reason.ends_with(": -5.000 s against this machine"), "{reason}");
}

#[test]
fn a_clock_that_is_right_again_makes_its_target_healthy() {
    let mut world = World::steady(2);
    world.update(ServiceChange { grace_seconds: Some(3600), ..ServiceChange::default() });
    let task = world.some_healthy();
    world.becomes(&task, Behaviour { clock: Offset::from_secs(5), ..good() });
    world.until("out", |world| world.healthy() == 1);
    world.becomes(&task, good());
    world.until("in", |world| world.healthy() == 2);
}

#[test]
fn clocks_wrong_together_take_nobody_out() {
    let mut world = World::steady(3);
    for task in world.model.targets.keys().cloned().collect::<Vec<_>>() {
        world.becomes(&task, Behaviour { clock: Offset::from_secs(5), ..good() });
    }
    world.pass(Duration::from_mins(1));
    assert!(1 <= world.healthy());
    assert!(table(&world.model).iter().any(|route| route.healthy));
}

#[test]
fn the_last_healthy_target_is_never_taken_out_for_its_clock() {
    let mut world = World::steady(1);
    let task = world.some_healthy();
    world.becomes(&task, Behaviour { clock: Offset::from_secs(500), ..good() });
    world.pass(Duration::from_mins(1));
    assert_eq!(world.model.targets[&task].state, TargetState::Healthy);
}

#[test]
fn one_wrong_reading_or_a_small_offset_proves_nothing() {
    let mut world = World::steady(2);
    let task = world.some_healthy();
    world.becomes(&task, Behaviour { clock: Offset::from_millis(1000), ..good() });
    world.pass(Duration::from_mins(1));
    assert_eq!(world.model.targets[&task].state, TargetState::Healthy);
    assert_eq!(world.started.len(), 2);
}

#[test]
fn a_revision_brings_its_own_health_path() {
    let mut world = World::new();
    let now = world.now;
    let mut definition = super::releases::new_definition();
    definition.docker_labels.insert(crate::HEALTH_PATH_LABEL.to_owned(), "/live".to_owned());
    world.releases.push(good());
    world.model.register_task_definition(definition, now).unwrap();
    world.model.create_service(super::releases::new_service(1, 1), now).unwrap();
    world.give(Input::Tick);
    world.settle();
    let later = now.plus(Duration::from_secs(100));
    let orders = due_probes(&mut world.model, later);
    assert_eq!(orders[0].path, "/live");
    assert_eq!(orders[0].timeout, Duration::from_secs(2));
}

#[test]
fn a_check_in_flight_is_not_ordered_twice_but_one_that_was_lost_is() {
    let mut world = World::steady(1);
    let at = world.now.plus(Duration::from_secs(10));
    assert_eq!(due_probes(&mut world.model, at).len(), 1);
    assert_eq!(due_probes(&mut world.model, at.plus(Duration::from_secs(4))).len(), 0);
    assert_eq!(due_probes(&mut world.model, at.plus(Duration::from_secs(5))).len(), 1);
}

#[test]
fn late_answers_about_gone_or_draining_targets_change_nothing() {
    let mut world = World::steady(2);
    world.in_flight = None;
    let task = world.some_healthy();
    let now = world.now;
    world.model.stop_task(&task, None, now).unwrap();
    world.give(Input::Tick);
    let answer = ProbeOutcome::Answered { status: 200, clock: None };
    world.give(Input::Probed { task: task.clone(), outcome: answer.clone() });
    assert_eq!(world.model.targets[&task].state, TargetState::Draining);
    world.dies(&task, Exit::Code(0));
    world.give(Input::Probed { task: task.clone(), outcome: answer });
    assert!(!world.model.targets.contains_key(&task));
    assert_eq!(world.model.tasks[&task].last_status, TaskStatus::Stopped);
}
