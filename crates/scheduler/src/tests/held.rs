//! A deployment held at nothing half-way, as by an engine that ends, and taken up again by the next one.

use std::time::Duration;

use proptest::prelude::*;

use super::releases::{Behaviour, good, rollout};
use super::world::World;
use crate::model::{
    Breaker, BreakerThreshold, BreakerType, Exit, RolloutConfiguration, RolloutState, ServiceDeploymentStatus,
};
use crate::{Input, ServiceChange};

fn slow() -> Behaviour {
    Behaviour { listens_after: Some(Duration::from_secs(2)), ..good() }
}

/// Nothing runs any more, and nobody asked for that: the engine ends.
fn hold(world: &mut World) -> u32 {
    let count = world.service().desired_count;
    world.model.service.as_mut().unwrap().desired_count = 0;
    world.give(Input::Tick);
    world.until("empty", |world| world.model.live_tasks().next().is_none());
    count
}

fn take_up(world: &mut World, count: u32) {
    world.model.service.as_mut().unwrap().desired_count = count;
    world.resume();
    world.give(Input::PlaneReset);
}

fn ledger(world: &World) -> ServiceDeploymentStatus {
    world.service().history[0].status
}

#[test]
fn a_deployment_held_half_way_is_not_complete_and_goes_on() {
    let mut world = World::steady(4);
    let second = world.deploy(slow());
    world.pass(Duration::from_millis(500));
    let count = hold(&mut world);
    assert_eq!(world.primary().rollout_state, RolloutState::InProgress);
    assert_eq!(ledger(&world), ServiceDeploymentStatus::InProgress);
    assert_eq!(world.service().completed.as_ref().unwrap().revision, 1);
    take_up(&mut world, count);
    world.settle();
    assert_eq!((world.healthy_of(second), ledger(&world)), (4, ServiceDeploymentStatus::Successful));
}

#[test]
fn a_bad_release_held_half_way_is_still_rolled_back() {
    let mut world = World::steady(2);
    world.deploy(Behaviour { listens_after: None, ..good() });
    world.pass(Duration::from_millis(500));
    let count = hold(&mut world);
    take_up(&mut world, count);
    world.settle();
    assert_eq!((world.healthy_of(1), ledger(&world)), (2, ServiceDeploymentStatus::RollbackSuccessful));
}

#[test]
fn a_way_back_held_half_way_is_not_at_its_end() {
    let mut world = World::steady(2);
    world.in_flight = Some(Duration::from_secs(20));
    world.deploy(Behaviour { spawns: false, ..good() });
    world.until("turned back", |world| world.primary().rollback_of.is_some());
    let stays = world.some_healthy();
    world.dies(&stays, Exit::Signal(9));
    let count = hold(&mut world);
    assert_eq!(ledger(&world), ServiceDeploymentStatus::RollbackInProgress);
    take_up(&mut world, count);
    world.settle();
    assert_eq!((world.healthy_of(1), ledger(&world)), (2, ServiceDeploymentStatus::RollbackSuccessful));
}

#[test]
fn a_completed_deployment_held_at_nothing_stays_complete() {
    let mut world = World::steady(3);
    let count = hold(&mut world);
    assert_eq!(world.primary().rollout_state, RolloutState::Completed);
    take_up(&mut world, count);
    world.settle();
    assert_eq!((world.healthy(), world.service().history.len()), (3, 1));
}

#[test]
fn scaling_to_nothing_half_way_ends_the_deployment_without_calling_it_a_success() {
    let mut world = World::steady(2);
    world.deploy(slow());
    world.pass(Duration::from_millis(500));
    world.scale(0);
    assert_eq!(ledger(&world), ServiceDeploymentStatus::Stopped);
    world.settle();
    assert_eq!(world.primary().rollout_state, RolloutState::Completed);
    assert_eq!(ledger(&world), ServiceDeploymentStatus::Stopped);
    assert_eq!(world.service().completed.as_ref().unwrap().revision, 1, "what never served is nothing to go back to");
}

#[test]
fn few_failures_of_many_tasks_do_not_trip_the_breaker_because_the_engine_ends() {
    let mut world = World::steady(20);
    let threshold = Some(BreakerThreshold { kind: BreakerType::UnboundedPercent, value: 50 });
    let breaker = Breaker { threshold, ..rollout().breaker };
    let rollout = Some(RolloutConfiguration { breaker, ..rollout() });
    world.update(ServiceChange { rollout, ..ServiceChange::default() });
    world.deploy(slow());
    world.pass(Duration::from_millis(500));
    for task in
        world.wanted().iter().filter(|task| task.revision == 2).take(4).map(|task| task.id.clone()).collect::<Vec<_>>()
    {
        world.dies(&task, Exit::Code(1));
    }
    hold(&mut world);
    assert_eq!(world.primary().rollout_state, RolloutState::InProgress);
    assert_eq!(world.service().history[0].breaker_threshold, 10);
}

#[test]
fn the_ledger_shows_the_threshold_that_counts_after_scaling() {
    let mut world = World::steady(2);
    world.deploy(slow());
    assert_eq!(world.service().history[0].breaker_threshold, 3);
    world.scale(20);
    assert_eq!(world.service().history[0].breaker_threshold, 10);
    world.settle();
    world.scale(2);
    world.settle();
    assert_eq!(world.service().history[0].breaker_threshold, 10, "as it was");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn whenever_it_is_held_a_bad_release_ends_rolled_back(
        count in 1_u32..6,
        bad in prop_oneof![
            Just(Behaviour { spawns: false, ..good() }),
            Just(Behaviour { status: Some(500), ..good() }),
            Just(Behaviour { listens_after: None, ..good() }),
        ],
        moments in prop::collection::vec(0_u64..9000, 1..4),
    ) {
        let mut world = World::steady(count);
        world.deploy(bad);
        for moment in moments {
            world.pass(Duration::from_millis(moment));
            let count = hold(&mut world);
            world.pass(Duration::from_secs(1));
            take_up(&mut world, count);
        }
        world.settle();
        prop_assert_eq!((world.healthy_of(1), ledger(&world)), (count as usize, ServiceDeploymentStatus::RollbackSuccessful));
    }
}
