//! Releases that fail, each in its own way.

use std::time::Duration;

use gimmetime_clock::Offset;

use super::releases::{Behaviour, NAME, good, rollout};
use super::world::World;
use crate::ServiceChange;
use crate::model::{
    Breaker, BreakerThreshold, BreakerType, Exit, RolloutConfiguration, RolloutState, ServiceDeploymentStatus,
    StopCode, TaskId,
};

/// Deploys a bad release over a good one: it must be rolled back, and the good one must never stop serving.
#[track_caller]
fn check_rolled_back(count: u32, bad: Behaviour) -> World {
    let mut world = World::steady(count);
    let source = world.primary().id.clone();
    let failed = world.deploy(bad);
    let failed_id = world.primary().id.clone();
    let end = world.now.mono.plus(Duration::from_mins(5));
    while !world.model.is_steady() {
        assert_eq!(world.healthy_of(1), count as usize, "the old release serves on");
        assert!(world.now.mono < end, "never rolled back: {:#?}", world.service().events);
        if world.primary().rollback_of.is_some() && world.primary().rollout_state == RolloutState::InProgress {
            let words = format!("ECS deployment circuit breaker: rolling back to deploymentId {source}");
            assert_eq!(world.primary().rollout_reason, words);
        }
        world.pass(Duration::from_millis(10));
    }
    let entry = &world.service().history[0];
    assert_eq!((entry.status, entry.revision), (ServiceDeploymentStatus::RollbackSuccessful, failed));
    assert_eq!(entry.rolled_back_to, Some(1));
    assert!(entry.breaker_threshold <= entry.failed_tasks);
    assert!(!entry.evidence.is_empty());
    assert_eq!((world.service().revision, world.primary().revision), (1, 1));
    assert_eq!(world.said(&format!("(deployment {failed_id}) deployment failed: tasks failed to start.")), 1);
    assert_eq!(world.said(&format!("rolling back to (deployment {source}).")), 1);
    assert_eq!(world.healthy_of(1), count as usize);
    world
}

#[test]
fn a_release_that_cannot_be_spawned_is_rolled_back() {
    let world = check_rolled_back(2, Behaviour { spawns: false, ..good() });
    let task = &world.model.tasks[&world.service().history[0].evidence[0]];
    assert_eq!(task.stop_code, Some(StopCode::TaskFailedToStart));
    assert_eq!(task.stopped_reason.as_deref(), Some("exec format error"));
}

#[test]
fn a_release_that_exits_at_once_is_rolled_back() {
    let world = check_rolled_back(2, Behaviour { exits_after: Some((Duration::ZERO, Exit::Code(1))), ..good() });
    let task = &world.model.tasks[&world.service().history[0].evidence[0]];
    assert_eq!((task.stop_code, task.exit), (Some(StopCode::EssentialContainerExited), Some(Exit::Code(1))));
}

#[test]
fn a_release_that_never_listens_is_rolled_back() {
    let world = check_rolled_back(2, Behaviour { listens_after: None, ..good() });
    let task = &world.model.tasks[&world.service().history[0].evidence[0]];
    let group = world.model.arns().target_group();
    assert_eq!(task.stopped_reason.as_ref(), Some(&format!("Task failed ELB health checks in (target-group {group})")));
    assert_eq!(task.health_detail.as_deref(), Some("Health checks failed: connection refused"));
}

#[test]
fn a_release_that_answers_500_is_rolled_back() {
    check_rolled_back(2, Behaviour { status: Some(500), ..good() });
    check_rolled_back(8, Behaviour { status: Some(500), ..good() });
}

#[test]
fn a_release_that_hangs_is_rolled_back() {
    let world = check_rolled_back(2, Behaviour { status: None, ..good() });
    assert_eq!(world.said("due to (reason Request timed out)."), 3);
}

#[test]
fn a_release_whose_clock_is_wrong_is_rolled_back_for_our_own_reason() {
    let world = check_rolled_back(2, Behaviour { clock: Offset::from_secs(30), ..good() });
    let task = &world.model.tasks[&world.service().history[0].evidence[0]];
    assert!(task.stopped_reason.as_ref().unwrap().starts_with("Task clock proved wrong in (target-group "));
}

#[test]
fn a_release_that_becomes_healthy_and_crashes_is_counted_though_others_are_healthy() {
    let mut world = World::steady(1);
    // It needs longer to drain the old task than the new one lives: the deployment is never complete.
    world.in_flight = None;
    world.deploy(Behaviour { exits_after: Some((Duration::from_millis(700), Exit::Code(2))), ..good() });
    world
        .until("rolled back", |world| world.service().history[0].status == ServiceDeploymentStatus::RollbackInProgress);
    world.settle();
    assert_eq!(world.healthy_of(1), 1);
}

#[test]
fn a_release_that_dies_soon_after_its_first_check_costs_no_old_task() {
    let mut world = World::steady(2);
    let serving: Vec<TaskId> = world.model.live_tasks().map(|task| task.id.clone()).collect();
    world.deploy(Behaviour { exits_after: Some((Duration::from_millis(400), Exit::Code(2))), ..good() });
    world.settle();
    let entry = &world.service().history[0];
    assert_eq!(entry.status, ServiceDeploymentStatus::RollbackSuccessful);
    let still: Vec<TaskId> = world.model.live_tasks().map(|task| task.id.clone()).collect();
    assert_eq!(still, serving);
}

#[test]
fn a_rollback_starts_the_old_release_again_if_it_is_already_gone() {
    let mut world = World::steady(4);
    world.roll(0, 100);
    world.deploy(Behaviour { status: Some(500), ..good() });
    world.settle();
    assert_eq!((world.healthy_of(1), world.service().revision), (4, 1));
    assert_eq!(world.service().history[0].status, ServiceDeploymentStatus::RollbackSuccessful);
}

#[test]
fn a_first_release_that_fails_is_given_up() {
    let mut world = World::serving(2, Behaviour { exits_after: Some((Duration::ZERO, Exit::Code(1))), ..good() });
    world.until("failed", |world| world.primary().rollout_state == RolloutState::Failed);
    assert_eq!(world.primary().rollout_reason, "ECS deployment circuit breaker: tasks failed to start.");
    assert_eq!(world.service().history[0].status, ServiceDeploymentStatus::RollbackFailed);
    let started = world.started.len();
    world.pass(Duration::from_hours(1));
    assert_eq!(world.started.len(), started, "no task is started any more");
    world.deploy(good());
    world.settle();
    assert_eq!(world.healthy(), 2);
}

#[test]
fn without_rollback_a_failed_deployment_leaves_what_is_healthy() {
    let mut world = World::steady(2);
    let breaker = Breaker { rollback: false, ..rollout().breaker };
    world.update(ServiceChange {
        rollout: Some(RolloutConfiguration { breaker, ..rollout() }),
        ..ServiceChange::default()
    });
    world.deploy(Behaviour { spawns: false, ..good() });
    world.until("failed", |world| world.primary().rollout_state == RolloutState::Failed);
    world.pass(Duration::from_mins(10));
    assert_eq!(world.healthy_of(1), 2);
}

#[test]
fn a_rollback_that_fails_too_is_marked_and_still_tried() {
    let mut world = World::steady(1);
    world.deploy(Behaviour { listens_after: None, ..good() });
    world.releases[0].exits_after = Some((Duration::ZERO, Exit::Code(1)));
    let victim = world.some_healthy();
    world.dies(&victim, Exit::Code(1));
    world.until("given up", |world| world.service().history[0].status == ServiceDeploymentStatus::RollbackFailed);
    world.pass(Duration::from_mins(1));
    world.releases[0].exits_after = None;
    world.settle();
    assert_eq!(world.healthy_of(1), 1);
    assert_eq!(world.service().history[0].status, ServiceDeploymentStatus::RollbackFailed);
}

#[test]
fn a_healthy_task_resets_the_count_unless_told_otherwise() {
    for (reset, expected) in [(None, 0), (Some(true), 0), (Some(false), 1)] {
        let mut world = World::steady(2);
        let breaker = Breaker { reset_on_healthy_task: reset, ..rollout().breaker };
        world.update(ServiceChange {
            rollout: Some(RolloutConfiguration { breaker, ..rollout() }),
            ..ServiceChange::default()
        });
        world.in_flight = Some(Duration::from_secs(20));
        world.deploy(good());
        world.until("started", |world| world.healthy_of(2) == 0 && 4 <= world.model.targets.len());
        let victim = world.wanted().into_iter().find(|task| task.revision == 2).unwrap().id.clone();
        world.dies(&victim, Exit::Code(1));
        assert_eq!(world.model.breaker_count(world.primary()), 1);
        world.until("healthy", |world| world.healthy_of(2) == 2);
        assert_eq!(world.model.breaker_count(world.primary()), expected, "{reset:?}");
    }
}

#[test]
fn a_way_back_can_be_superseded() {
    let mut world = World::steady(2);
    world.in_flight = Some(Duration::from_secs(20));
    world.deploy(Behaviour { status: Some(500), ..good() });
    world.until("turned back", |world| world.primary().rollback_of.is_some());
    let third = world.deploy(good());
    assert_eq!(world.service().history[1].status, ServiceDeploymentStatus::Stopped);
    world.settle();
    assert_eq!(world.healthy_of(third), 2);
}

#[test]
fn a_release_after_a_rollback_goes_back_to_the_one_that_was_completed_last() {
    let mut world = check_rolled_back(2, Behaviour { spawns: false, ..good() });
    assert_eq!(world.service().completed.as_ref().unwrap().revision, 1);
    world.deploy(Behaviour { spawns: false, ..good() });
    world.settle();
    assert_eq!(world.service().history[0].rolled_back_to, Some(1));
    assert_eq!(world.service().history[0].source_revision, Some(1));
}

#[test]
fn the_threshold_is_as_ecs_computes_it() {
    let cases = [
        (None, 1, 3),
        (None, 6, 3),
        (None, 7, 4),
        (None, 20, 10),
        (None, 1000, 200),
        (Some((BreakerType::BoundedPercent, 10)), 20, 3),
        (Some((BreakerType::UnboundedPercent, 10)), 20, 2),
        (Some((BreakerType::UnboundedPercent, 1)), 20, 1),
        (Some((BreakerType::UnboundedPercent, 10)), 0, 1),
        (Some((BreakerType::Count, 2)), 100, 2),
    ];
    for (threshold, count, expected) in cases {
        let mut world = World::steady(0);
        let threshold = threshold.map(|(kind, value)| BreakerThreshold { kind, value });
        let breaker = Breaker { threshold, ..rollout().breaker };
        let now = world.now;
        let rollout = Some(RolloutConfiguration { breaker, ..rollout() });
        let change = ServiceChange { rollout, desired_count: Some(count), ..ServiceChange::default() };
        let service = world.model.update_service(NAME, NAME, change, now).unwrap().clone();
        assert_eq!(world.model.breaker_threshold(&service), expected, "{threshold:?} of {count}");
    }
}

#[test]
fn two_failures_are_enough_if_two_is_the_threshold() {
    let mut world = World::steady(2);
    let threshold = Some(BreakerThreshold { kind: BreakerType::Count, value: 2 });
    let breaker = Breaker { threshold, ..rollout().breaker };
    world.update(ServiceChange {
        rollout: Some(RolloutConfiguration { breaker, ..rollout() }),
        ..ServiceChange::default()
    });
    let before = world.now.mono;
    world.deploy(Behaviour { exits_after: Some((Duration::ZERO, Exit::Code(1))), ..good() });
    world.settle();
    assert_eq!(world.service().history[0].failed_tasks, 2);
    assert!(world.now.mono.since(before) < Duration::from_secs(1));
}

#[test]
fn what_a_failed_deployment_left_can_be_scaled_to_nothing() {
    let mut world = World::steady(2);
    let breaker = Breaker { rollback: false, ..rollout().breaker };
    let rollout = Some(RolloutConfiguration { breaker, ..rollout() });
    world.update(ServiceChange { rollout, ..ServiceChange::default() });
    world.deploy(Behaviour { spawns: false, ..good() });
    world.until("failed", |world| world.primary().rollout_state == RolloutState::Failed);
    let sick = world.some_healthy();
    world.becomes(&sick, Behaviour { status: Some(500), ..good() });
    world.until("unhealthy", |world| world.healthy() == 1);
    world.scale(0);
    world.until("empty", |world| world.model.live_tasks().next().is_none());
}
