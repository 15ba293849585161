//! Counts, percentages, and how one release follows another.

use std::time::Duration;

use super::releases::{Behaviour, NAME, good, rollout};
use super::world::World;
use crate::model::{
    DeploymentStatus, Exit, RolloutState, ServiceDeploymentStatus, ServiceStatus, StopCode, TaskStatus,
};
use crate::{Input, ServiceChange};

#[test]
fn a_new_service_becomes_steady_with_all_tasks_healthy_and_says_so_once() {
    let world = World::steady(3);
    assert_eq!(world.healthy(), 3);
    assert_eq!(world.primary().rollout_state, RolloutState::Completed);
    let id = world.primary().id.clone();
    assert_eq!(world.primary().rollout_reason, format!("ECS deployment {id} completed."));
    assert_eq!(world.said("has reached a steady state."), 1);
    assert_eq!(world.said("has started 3 tasks: (task "), 1);
    assert_eq!(world.said(&format!("(deployment {id}) deployment completed.")), 1);
    assert_eq!(world.service().events[0].message, format!("(service {NAME}) has reached a steady state."));
    assert_eq!(world.service().history[0].status, ServiceDeploymentStatus::Successful);
}

#[test]
fn steadiness_is_not_repeated_while_it_lasts() {
    let mut world = World::steady(2);
    world.pass(Duration::from_mins(10));
    assert_eq!(world.said("has reached a steady state."), 1);
}

#[test]
fn a_deployment_makes_before_it_breaks() {
    let mut world = World::steady(4);
    world.deploy(good());
    while world.primary().rollout_state == RolloutState::InProgress {
        assert!(4 <= world.healthy());
        world.pass(Duration::from_micros(500));
    }
    assert_eq!(world.healthy_of(2), 4);
    world.settle();
    assert_eq!(world.model.live_tasks().count(), 4);
    assert_eq!(world.said("has reached a steady state."), 2);
}

#[test]
fn a_rolling_deployment_of_four_takes_less_than_a_second_of_virtual_time() {
    let mut world = World::steady(4);
    let before = world.now.mono;
    world.deploy(good());
    world.settle();
    assert!(world.now.mono.since(before) < Duration::from_secs(1));
}

#[test]
fn a_replaced_deployment_stays_listed_while_it_drains() {
    let mut world = World::steady(2);
    world.in_flight = Some(Duration::from_secs(3));
    world.deploy(good());
    world.until("new ones healthy", |world| world.healthy_of(2) == 2);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.service().deployments.len(), 2);
    assert_eq!(world.service().deployments[1].status, DeploymentStatus::Active);
    assert_eq!(world.primary().rollout_state, RolloutState::InProgress);
    world.settle();
    assert_eq!(world.service().deployments.len(), 1);
}

/// Least healthy and most wanted tasks seen during a deployment.
#[track_caller]
fn check_limits(count: u32, (min, max): (u32, u32), (least, most): (usize, usize)) {
    let mut world = World::steady(count);
    world.roll(min, max);
    world.deploy(good());
    let (mut fewest, mut highest) = (usize::MAX, 0);
    while world.primary().rollout_state == RolloutState::InProgress {
        fewest = fewest.min(world.healthy());
        highest = highest.max(world.wanted().len());
        world.pass(Duration::from_micros(200));
    }
    assert_eq!((fewest, highest), (least, most), "{count} tasks at {min}/{max}");
}

#[test]
fn percentages_round_the_minimum_up_and_the_maximum_down() {
    check_limits(4, (100, 200), (4, 8));
    check_limits(4, (100, 125), (4, 5));
    check_limits(4, (50, 100), (2, 4));
    check_limits(3, (50, 100), (2, 3));
    check_limits(3, (100, 150), (3, 4));
    check_limits(1, (0, 100), (0, 1));
    check_limits(1, (100, 200), (1, 2));
    check_limits(5, (60, 120), (3, 6));
}

#[test]
fn percentages_that_leave_no_room_are_reported_once_and_mended_by_new_ones() {
    let mut world = World::steady(2);
    world.roll(75, 100);
    world.deploy(good());
    world.pass(Duration::from_secs(100));
    assert_eq!(world.healthy_of(1), 2);
    let words = "was unable to stop or start tasks during a deployment because of the service deployment configuration. Update the minimumHealthyPercent or maximumPercent value and try again.";
    assert_eq!(world.said(words), 1);
    world.roll(100, 200);
    world.settle();
    assert_eq!(world.healthy_of(2), 2);
}

#[test]
fn scaling_out_starts_all_at_once_and_scaling_in_takes_the_newest() {
    let mut world = World::steady(2);
    let old: Vec<_> = world.wanted().iter().map(|task| task.id.clone()).collect();
    world.pass(Duration::from_secs(10));
    let before = world.now.mono;
    world.scale(8);
    world.settle();
    assert_eq!(world.healthy(), 8);
    assert!(world.now.mono.since(before) < Duration::from_secs(1));
    world.scale(2);
    world.settle();
    let mut left: Vec<_> = world.wanted().iter().map(|task| task.id.clone()).collect();
    left.sort();
    assert_eq!(left, old);
}

#[test]
fn scaling_in_takes_an_unhealthy_task_before_a_newer_healthy_one() {
    let mut world = World::steady(1);
    world.pass(Duration::from_secs(5));
    world.scale(2);
    world.settle();
    world.roll(50, 100); // no room for a replacement beside it
    let oldest = world.wanted().into_iter().min_by_key(|task| task.created).unwrap().id.clone();
    world.becomes(&oldest, Behaviour { status: Some(500), ..good() });
    world.pass(Duration::from_millis(1200)); // one failure: not yet unhealthy
    world.scale(1);
    assert_eq!(world.healthy(), 1);
    world.until("one is left", |world| world.model.live_tasks().count() == 1);
}

#[test]
fn scaling_to_nothing_and_back_works() {
    let mut world = World::steady(3);
    world.scale(0);
    world.settle();
    assert_eq!(world.model.live_tasks().count(), 0);
    world.scale(2);
    world.settle();
    assert_eq!(world.healthy(), 2);
}

#[test]
fn a_scaled_in_task_says_which_deployment_asked() {
    let mut world = World::steady(2);
    world.scale(1);
    world.settle();
    let stopped = world.model.tasks.values().find(|task| task.last_status == TaskStatus::Stopped).unwrap();
    let reason = format!("Scaling activity initiated by (deployment {})", world.primary().id);
    assert_eq!(stopped.stopped_reason.as_ref(), Some(&reason));
    assert_eq!(stopped.stop_code, Some(StopCode::ServiceSchedulerInitiated));
    assert_eq!(world.said("has stopped 1 running tasks: (task "), 1);
    assert_eq!(world.said("has begun draining connections on 1 tasks."), 1);
    assert_eq!(world.said("deregistered 1 targets in (target-group arn:aws:elasticloadbalancing:local:"), 1);
}

#[test]
fn a_dead_task_is_replaced_at_once() {
    let mut world = World::steady(2);
    let victim = world.some_healthy();
    world.dies(&victim, Exit::Signal(9));
    assert_eq!(world.wanted().len(), 2, "the replacement is asked for in the same step");
    assert!(!world.model.targets.contains_key(&victim));
    world.settle();
    assert_eq!(world.primary().rollout_state, RolloutState::Completed);
    let task = &world.model.tasks[&victim];
    assert_eq!(task.stop_code, Some(StopCode::EssentialContainerExited));
    assert_eq!(task.stopped_reason.as_deref(), Some("Essential container in task exited"));
    assert_eq!(task.exit, Some(Exit::Signal(9)));
}

#[test]
fn an_unhealthy_task_is_only_stopped_when_its_replacement_is_healthy() {
    let mut world = World::steady(1);
    let sick = world.some_healthy();
    world.becomes(&sick, Behaviour { status: Some(503), ..good() });
    world.until("unhealthy", |world| world.healthy() == 0);
    assert_eq!(world.wanted().len(), 2);
    assert_eq!(crate::table(&world.model).len(), 1, "fails open meanwhile");
    world.settle();
    let task = &world.model.tasks[&sick];
    let group = world.model.arns().target_group();
    assert_eq!(task.stopped_reason.as_ref(), Some(&format!("Task failed ELB health checks in (target-group {group})")));
    assert_eq!(task.health_detail.as_deref(), Some("Health checks failed with these codes: [503]"));
    assert_eq!(world.said("due to (reason Health checks failed with these codes: [503])."), 1);
}

#[test]
fn without_room_unhealthy_tasks_are_replaced_one_by_one() {
    let mut world = World::steady(3);
    world.roll(50, 100);
    for task in world.wanted().iter().map(|task| task.id.clone()).collect::<Vec<_>>() {
        world.becomes(&task, Behaviour { status: Some(500), ..good() });
    }
    world.until("all unhealthy", |world| world.healthy() == 0);
    while world.healthy() < 3 {
        assert!(2 <= world.model.live_tasks().filter(|task| task.last_status == TaskStatus::Running).count());
        world.pass(Duration::from_micros(500));
    }
    world.settle();
}

#[test]
fn in_its_grace_period_an_unhealthy_task_is_left_alone() {
    let mut world = World::steady(1);
    world.update(ServiceChange { grace_seconds: Some(60), ..ServiceChange::default() });
    let sick = world.some_healthy();
    world.becomes(&sick, Behaviour { status: Some(500), ..good() });
    world.pass(Duration::from_secs(50));
    assert_eq!(world.started.len(), 1);
    world.pass(Duration::from_secs(15));
    assert_eq!(world.started.len(), 2);
}

#[test]
fn a_newer_deployment_supersedes_one_that_still_rolls() {
    let mut world = World::steady(2);
    world.deploy(Behaviour { listens_after: None, ..good() });
    world.pass(Duration::from_millis(500));
    let third = world.deploy(good());
    assert_eq!(world.service().history[1].status, ServiceDeploymentStatus::Stopped);
    world.settle();
    assert_eq!(world.healthy_of(third), 2);
    assert_eq!(world.service().deployments.len(), 1);
    assert_eq!(world.service().history[0].status, ServiceDeploymentStatus::Successful);
}

#[test]
fn an_update_to_the_same_revision_deploys_only_if_forced() {
    let mut world = World::steady(2);
    world.deploy_revision(1);
    assert_eq!(world.service().history.len(), 1);
    world.update(ServiceChange { force_new_deployment: true, ..ServiceChange::default() });
    assert_eq!(world.service().history.len(), 2);
    world.settle();
    assert_eq!(world.started.len(), 4);
}

#[test]
fn a_crash_loop_backs_off_and_says_so() {
    let mut world = World::steady(1);
    world.releases[0].exits_after = Some((Duration::from_secs(1), Exit::Code(1)));
    let victim = world.some_healthy();
    world.dies(&victim, Exit::Code(1));
    world.pass(Duration::from_hours(1));
    // 0, 1, 2, 4 … 512, 900, 900 s apart
    assert!((10..=14).contains(&world.started.len()), "{} starts in an hour", world.started.len());
    assert_eq!(world.said("is unable to consistently start tasks successfully."), 1);
}

#[test]
fn a_task_that_stays_healthy_ends_the_back_off() {
    let mut world = World::steady(2);
    for _ in 0..4 {
        world.until("one is healthy", |world| 0 < world.healthy());
        let victim = world.some_healthy();
        world.dies(&victim, Exit::Code(1));
    }
    assert_eq!(world.service().start_failures, 2, "both failed together, twice");
    world.settle();
    world.pass(Duration::from_secs(40));
    assert_eq!(world.service().start_failures, 0);
}

#[test]
fn tasks_that_cannot_be_spawned_back_off_from_one_second() {
    let mut world = World::serving(1, Behaviour { spawns: false, ..good() });
    world.update(ServiceChange {
        rollout: Some(crate::model::RolloutConfiguration::default()), // no breaker
        ..ServiceChange::default()
    });
    world.pass(Duration::from_millis(990));
    assert_eq!(world.started.len(), 1);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.started.len(), 2);
    world.deploy(good());
    let before = world.now.mono;
    world.settle();
    assert!(world.now.mono.since(before) < Duration::from_secs(1), "a new deployment is not held back");
}

#[test]
fn a_deleted_service_drains_everything_then_is_inactive() {
    let mut world = World::steady(3);
    let now = world.now;
    world.model.delete_service(NAME, NAME, true, now).unwrap();
    world.give(Input::Tick);
    assert_eq!(world.service().status, ServiceStatus::Draining);
    world.until("gone", |world| world.service().status == ServiceStatus::Inactive);
    assert_eq!(world.model.live_tasks().count(), 0);
    assert!(world.model.targets.is_empty());
    assert_eq!(world.terminated.len(), 3);
    assert!(world.killed.is_empty());
}

#[test]
fn a_deletion_while_deploying_ends_all_of_both_releases() {
    let mut world = World::steady(2);
    world.deploy(Behaviour { listens_after: None, ..good() });
    let now = world.now;
    world.model.delete_service(NAME, NAME, true, now).unwrap();
    world.give(Input::Tick);
    world.until("gone", |world| world.service().status == ServiceStatus::Inactive);
    assert_eq!(world.service().history[0].status, ServiceDeploymentStatus::Stopped);
}

#[test]
fn history_is_bounded_but_evidence_is_kept() {
    let mut world = World::steady(1);
    world.deploy(Behaviour { exits_after: Some((Duration::ZERO, Exit::Code(7))), ..good() });
    world.settle();
    let evidence = world.service().history[0].evidence.clone();
    assert!(!evidence.is_empty());
    for _ in 0..60 {
        world.update(ServiceChange { force_new_deployment: true, desired_count: Some(4), ..ServiceChange::default() });
        world.settle();
        if world.service().history.len() < 50 {
            assert!(evidence.iter().all(|id| world.model.tasks[id].exit == Some(Exit::Code(7))));
        }
    }
    assert!(world.model.tasks.len() <= 4 + crate::STOPPED_TASKS_KEPT + 50);
    assert_eq!(world.service().history.len(), 50);
    assert_eq!(world.service().events.len(), 100);
}

#[test]
fn a_deployment_to_no_tasks_completes() {
    let mut world = World::steady(0);
    world.update(ServiceChange { rollout: Some(rollout()), force_new_deployment: true, ..ServiceChange::default() });
    world.settle();
    assert_eq!(world.service().history.len(), 2);
}

#[test]
fn tasks_that_die_together_are_replaced_at_once() {
    let mut world = World::steady(8);
    for task in world.wanted().iter().map(|task| task.id.clone()).collect::<Vec<_>>() {
        world.dies(&task, Exit::Signal(9));
    }
    let before = world.now.mono;
    world.settle();
    assert!(world.now.mono.since(before) < Duration::from_secs(1));
    assert_eq!(world.said("is unable to consistently start tasks successfully."), 0);
}

#[test]
fn a_release_that_never_served_is_nothing_to_go_back_to() {
    let mut world = World::steady(2);
    world.scale(0);
    world.settle();
    world.deploy(Behaviour { spawns: false, ..good() });
    world.settle();
    assert_eq!(world.service().completed.as_ref().unwrap().revision, 1);
}

#[test]
fn a_release_deployed_to_nothing_is_what_is_gone_back_to_once_it_has_served() {
    let mut world = World::steady(2);
    world.scale(0);
    world.settle();
    let second = world.deploy(good());
    world.settle();
    world.scale(2);
    world.settle();
    assert_eq!(world.service().completed.as_ref().unwrap().revision, second);
    world.deploy(Behaviour { spawns: false, ..good() });
    assert_eq!(world.service().history[0].source_revision, Some(second));
    world.settle();
    assert_eq!(world.healthy_of(second), 2);
}

#[test]
fn a_first_release_that_was_scaled_away_before_it_served_is_nothing_to_go_back_to() {
    let mut world = World::serving(2, Behaviour { listens_after: None, ..good() });
    world.pass(Duration::from_millis(500));
    world.scale(0);
    world.settle();
    assert_eq!(world.service().completed, None);
}
