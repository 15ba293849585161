//! Whatever happens in whatever order: the limits hold (the world checks them at each step), and in the end all is well.

use std::time::Duration;

use gimmetime_clock::Offset;
use proptest::prelude::*;

use super::releases::{Behaviour, NAME, good, rollout};
use super::world::World;
use crate::model::{
    Breaker, Exit, Model, Process, RolloutConfiguration, RolloutState, ServiceDeploymentStatus, ServiceStatus,
    TargetState, Task, TaskId, TaskStatus,
};
use crate::{Input, ProbeOutcome, ServiceChange, step, table};

#[derive(Debug, Clone)]
enum Happening {
    Pass(u64),
    Deploy(Behaviour),
    Force,
    Scale(u32),
    Roll(u32, u32),
    Dies(usize),
    Stop(usize),
    Sickens(usize),
    Flight(Option<u64>),
    PlaneResets,
    Resumes,
    Echo(Echo, usize),
}

/// What a driver may say twice, too late, or of a task nobody knows.
#[derive(Debug, Clone, Copy)]
enum Echo {
    Spawned,
    SpawnFailed,
    Exited,
    Probed(bool),
    Idle,
    Acked(u64),
}

/// Releases that can never become healthy.
fn bad() -> impl Strategy<Value = Behaviour> {
    prop_oneof![
        Just(Behaviour { spawns: false, ..good() }),
        Just(Behaviour { listens_after: None, ..good() }),
        Just(Behaviour { status: None, ..good() }),
        Just(Behaviour { clock: Offset::from_secs(9), ..good() }),
        (400_u16..600).prop_map(|status| Behaviour { status: Some(status), ..good() }),
        (0_u64..20)
            .prop_map(|after| Behaviour { exits_after: Some((Duration::from_millis(after), Exit::Code(1))), ..good() }),
    ]
}

fn behaviour() -> impl Strategy<Value = Behaviour> {
    prop_oneof![
        6 => Just(good()),
        4 => bad(),
        1 => Just(Behaviour { listens_after: Some(Duration::from_secs(3)), ..good() }),
        1 => Just(Behaviour { ignores_term: true, ..good() }),
        1 => (0_u64..3000).prop_map(|after| Behaviour {
            exits_after: Some((Duration::from_millis(after), Exit::Code(1))),
            ..good()
        }),
    ]
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        6 => (0_u64..3000).prop_map(Happening::Pass),
        3 => behaviour().prop_map(Happening::Deploy),
        1 => Just(Happening::Force),
        3 => (0_u32..7).prop_map(Happening::Scale),
        1 => prop_oneof![Just((100, 200)), Just((50, 100)), Just((0, 100)), Just((100, 150)), Just((66, 133))]
            .prop_map(|(min, max)| Happening::Roll(min, max)),
        2 => any::<usize>().prop_map(Happening::Dies),
        1 => any::<usize>().prop_map(Happening::Stop),
        1 => any::<usize>().prop_map(Happening::Sickens),
        1 => prop_oneof![Just(None), (0_u64..5000).prop_map(Some)].prop_map(Happening::Flight),
        1 => Just(Happening::PlaneResets),
        1 => Just(Happening::Resumes),
        3 => (echo(), any::<usize>()).prop_map(|(echo, index)| Happening::Echo(echo, index)),
    ]
}

fn echo() -> impl Strategy<Value = Echo> {
    prop_oneof![
        Just(Echo::Spawned),
        Just(Echo::SpawnFailed),
        Just(Echo::Exited),
        any::<bool>().prop_map(Echo::Probed),
        Just(Echo::Idle),
        any::<u64>().prop_map(Echo::Acked),
    ]
}

/// Of a task that ended, or runs where only its start is repeated, or that never was.
fn echoed(world: &World, echo: Echo, index: usize) -> Input {
    let over = matches!(echo, Echo::SpawnFailed | Echo::Exited | Echo::Probed(_));
    let suits = |task: &&Task| match task.last_status {
        TaskStatus::Stopped => true,
        status => !over && status == TaskStatus::Running,
    };
    let known: Vec<&TaskId> = world.model.tasks.values().filter(suits).map(|task| &task.id).collect();
    let stranger = TaskId("0".repeat(32));
    let task = known.get(index % (known.len() + 1)).map_or(stranger, |task| (*task).clone());
    match echo {
        Echo::Spawned => Input::Spawned {
            task,
            process: Process { pid: 7, start_time: 7, boot_id: "boot".to_owned() },
            address: "127.0.0.1:7".parse().unwrap(),
        },
        Echo::SpawnFailed => Input::SpawnFailed { task, reason: "echo".to_owned() },
        Echo::Exited => Input::Exited { task, exit: Exit::Code(1) },
        Echo::Probed(well) => {
            let outcome = ProbeOutcome::Answered { status: if well { 200 } else { 500 }, clock: None };
            Input::Probed { task, outcome }
        }
        Echo::Idle => Input::Idle { task },
        Echo::Acked(ahead) => {
            Input::Acked { version: world.model.table_version.saturating_add(1).saturating_add(ahead) }
        }
    }
}

fn pick(world: &World, index: usize) -> Option<TaskId> {
    let running: Vec<&TaskId> =
        world.model.live_tasks().filter(|task| task.last_status == TaskStatus::Running).map(|task| &task.id).collect();
    (!running.is_empty()).then(|| running[index % running.len()].clone())
}

fn happen(world: &mut World, happening: Happening) {
    match happening {
        Happening::Pass(millis) => world.pass(Duration::from_millis(millis)),
        Happening::Deploy(behaviour) => {
            world.deploy(behaviour);
        }
        Happening::Force => world.update(ServiceChange { force_new_deployment: true, ..ServiceChange::default() }),
        Happening::Scale(count) => world.scale(count),
        Happening::Roll(min, max) => world.roll(min, max),
        Happening::Dies(index) => {
            if let Some(task) = pick(world, index) {
                world.dies(&task, Exit::Signal(11));
            }
        }
        Happening::Stop(index) => {
            if let Some(task) = pick(world, index) {
                let now = world.now;
                world.model.stop_task(&task, None, now).unwrap();
                world.give(Input::Tick);
            }
        }
        Happening::Sickens(index) => {
            if let Some(task) = pick(world, index) {
                world.becomes(&task, Behaviour { status: Some(500), ..good() });
            }
        }
        Happening::Flight(millis) => world.in_flight = millis.map(Duration::from_millis),
        Happening::Echo(echo, index) => {
            let input = echoed(world, echo, index);
            let actions = step(&mut world.model.clone(), input, world.now);
            let idle = step(&mut world.model.clone(), Input::Tick, world.now);
            assert_eq!(actions, idle, "an echo changes something");
        }
        Happening::PlaneResets => world.give(Input::PlaneReset),
        Happening::Resumes => {
            world.terminated.clear(); // it may ask again
            world.killed.clear();
            world.resume();
        }
    }
}

fn round_trip(model: &Model) {
    let written = serde_json::to_string(model).unwrap();
    let read: Model = serde_json::from_str(&written).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), written);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_limits_hold_and_a_good_release_ends_healthy(
        count in 0_u32..6,
        happenings in prop::collection::vec(happening(), 0..25),
    ) {
        let mut world = World::steady(count);
        for happening in happenings {
            happen(&mut world, happening);
        }
        round_trip(&world.model);
        world.in_flight = Some(Duration::from_millis(5));
        let last = world.deploy(good());
        world.roll(100, 200);
        world.settle();
        let desired = world.service().desired_count as usize;
        prop_assert_eq!(world.healthy_of(last), desired);
        prop_assert_eq!(world.model.live_tasks().count(), desired);
        prop_assert!(world.model.targets.values().all(|target| target.state == TargetState::Healthy));
    }

    #[test]
    fn whatever_happens_a_service_scaled_to_nothing_or_deleted_empties(
        count in 0_u32..6,
        rollback in any::<bool>(),
        deleted in any::<bool>(),
        happenings in prop::collection::vec(happening(), 0..25),
    ) {
        let mut world = World::steady(count);
        let breaker = Breaker { rollback, ..rollout().breaker };
        let rollout = Some(RolloutConfiguration { breaker, ..rollout() });
        world.update(ServiceChange { rollout, ..ServiceChange::default() });
        for happening in happenings {
            happen(&mut world, happening);
        }
        if deleted {
            let now = world.now;
            world.model.delete_service(NAME, NAME, true, now).unwrap();
            world.give(Input::Tick);
        } else {
            world.scale(0);
        }
        world.until("empty", |world| world.model.live_tasks().next().is_none());
        prop_assert!(world.model.targets.is_empty() && world.model.idle.is_empty());
        let started = world.started.len();
        world.pass(Duration::from_mins(10));
        prop_assert_eq!(world.started.len(), started);
        let expected = if deleted { ServiceStatus::Inactive } else { ServiceStatus::Active };
        prop_assert_eq!(world.service().status, expected);
    }

    #[test]
    fn a_bad_release_ends_rolled_back_and_the_good_one_never_falls_below_its_count(
        count in 1_u32..9,
        bad in bad(),
        flight in 0_u64..2000,
    ) {
        let mut world = World::steady(count);
        world.in_flight = Some(Duration::from_millis(flight));
        world.deploy(bad);
        while !world.model.is_steady() {
            prop_assert_eq!(world.healthy_of(1), count as usize);
            prop_assert!(table(&world.model).iter().any(|route| route.healthy && !route.draining));
            world.pass(Duration::from_millis(20));
        }
        prop_assert_eq!(world.service().history[0].status, ServiceDeploymentStatus::RollbackSuccessful);
        prop_assert_eq!(world.primary().rollout_state, RolloutState::Completed);
    }
}
