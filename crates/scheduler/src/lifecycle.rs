//! One task's way from asked for to stopped.
//!
//! Every way to stop is the same way: deregister, drain until the data plane has acknowledged and is idle (or the
//! deregistration delay is over), SIGTERM, `stopTimeout`, SIGKILL. Only a process that ended by itself skips it.

use std::net::SocketAddr;
use std::time::Duration;

use gimmetime_clock::Now;

use crate::ids::Ids;
use crate::model::{Exit, Model, Process, ReasonCode, StopCode, Tags, Target, TargetState, Task, TaskId, TaskStatus};
use crate::{Action, events, failure, health};

/// ECS's `stopTimeout` when the container definition gives none.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// ECS's `stoppedReason` for a process that ended by itself.
const EXITED: &str = "Essential container in task exited";

/// Asks for `count` new tasks of the primary deployment; returns their ids.
pub(crate) fn create(model: &mut Model, count: u32, now: Now) -> Vec<TaskId> {
    let Some(service) = &model.service else { return Vec::new() };
    let Some(primary) = service.deployments.first() else { return Vec::new() };
    let stop_timeout = model
        .task_definition(&primary.family, primary.revision)
        .and_then(|definition| definition.stop_timeout)
        .map_or(STOP_TIMEOUT, |seconds| Duration::from_secs(seconds.into()));
    let (cluster, service, primary) = (service.cluster.clone(), service.name.clone(), primary.clone());
    let mut made = Vec::new();
    for _ in 0..count {
        let id = Ids(&mut model.seed).task();
        let task = Task {
            id: id.clone(),
            cluster: cluster.clone(),
            service: service.clone(),
            deployment_id: primary.id.clone(),
            family: primary.family.clone(),
            revision: primary.revision,
            last_status: TaskStatus::Provisioning,
            desired_status: TaskStatus::Running,
            process: None,
            address: None,
            stop_timeout_ms: stop_timeout.as_millis() as u64,
            stop_code: None,
            stopped_reason: None,
            exit: None,
            was_healthy: false,
            health_detail: None,
            tags: Tags::new(),
            created_at: now.wall,
            created: now.mono,
            started_at: None,
            stopping_at: None,
            stopped_at: None,
            since: now.mono,
            terminated: None,
            killed: None,
        };
        model.tasks.insert(id.clone(), task);
        made.push(id);
    }
    made
}

/// Sends tasks on their way to `STOPPED`; their targets, if they have any, begin to drain.
pub(crate) fn begin_stops(model: &mut Model, stops: &[(TaskId, String)], code: StopCode, now: Now) {
    let mut draining = 0_u32;
    for (id, reason) in stops {
        let Some(task) = model.tasks.get_mut(id) else { continue };
        resolve(task, code, reason, now);
        if task.last_status != TaskStatus::Running {
            continue; // nothing is registered: it stops as soon as its process is known
        }
        enter(task, TaskStatus::Deactivating, now);
        if let Some(target) = model.targets.get_mut(id) {
            deregister(target, now);
            draining += 1;
        }
    }
    if 0 < draining {
        let deregistered = format!("deregistered {draining} targets in (target-group {})", model.arns().target_group());
        events::add(model, now, &deregistered);
        events::add(model, now, &format!("has begun draining connections on {draining} tasks."));
    }
}

/// The last step of every input: drains that are over, timeouts that have passed, tasks not yet handed to a driver.
pub(crate) fn advance(model: &mut Model, now: Now, actions: &mut Vec<Action>) {
    let live: Vec<TaskId> = model.live_tasks().map(|task| task.id.clone()).collect();
    for id in live {
        let drained = is_drained(model, &id, now);
        let Some(task) = model.tasks.get_mut(&id) else { continue };
        match (task.last_status, task.desired_status) {
            (TaskStatus::Provisioning, TaskStatus::Stopped) => finish(task, now),
            (TaskStatus::Provisioning, _) => {
                enter(task, TaskStatus::Pending, now);
                actions.push(Action::Start { task: id });
            }
            (TaskStatus::Deactivating, _) if drained => {
                terminate(task, now, actions);
                forget_target(model, &id);
            }
            (TaskStatus::Stopping, _) if task.killed.is_none() && kill_due(task) <= now.mono => {
                task.killed = Some(now.mono);
                actions.push(Action::Kill { task: id });
            }
            _ => {}
        }
    }
}

/// When SIGTERM has had its time.
pub(crate) fn kill_due(task: &Task) -> gimmetime_clock::Mono {
    task.terminated.unwrap_or(task.since).plus(Duration::from_millis(task.stop_timeout_ms))
}

/// The driver started the process: it runs and is registered, or is stopped again if that was asked for meanwhile.
pub(crate) fn spawned(
    model: &mut Model,
    id: &TaskId,
    process: Process,
    address: SocketAddr,
    now: Now,
    actions: &mut Vec<Action>,
) {
    let Some(task) = model.tasks.get_mut(id).filter(|task| task.last_status == TaskStatus::Pending) else { return };
    task.process = Some(process);
    task.address = Some(address);
    task.started_at = Some(now.wall);
    if task.desired_status == TaskStatus::Stopped {
        return terminate(task, now, actions);
    }
    enter(task, TaskStatus::Running, now);
    model.targets.insert(id.clone(), health::registered(now));
    let registered = format!("registered 1 targets in (target-group {})", model.arns().target_group());
    events::add(model, now, &registered);
}

/// The driver could not start the process.
pub(crate) fn spawn_failed(model: &mut Model, id: &TaskId, reason: &str, now: Now, actions: &mut Vec<Action>) {
    let Some(task) = model.tasks.get_mut(id).filter(|task| task.last_status == TaskStatus::Pending) else { return };
    let unasked = task.desired_status == TaskStatus::Running;
    if unasked {
        resolve(task, StopCode::TaskFailedToStart, reason, now);
        failure::count(model, id, now);
    }
    release(model, id, now, actions);
}

/// The process is gone: the task is deregistered at once, and what it held is released.
pub(crate) fn ended(model: &mut Model, id: &TaskId, exit: Exit, now: Now, actions: &mut Vec<Action>) {
    let Some(task) = model.tasks.get_mut(id).filter(|task| task.last_status != TaskStatus::Stopped) else { return };
    task.exit = Some(exit);
    if task.desired_status == TaskStatus::Running {
        resolve(task, StopCode::EssentialContainerExited, EXITED, now);
        failure::count(model, id, now);
    }
    release(model, id, now, actions);
}

fn resolve(task: &mut Task, code: StopCode, reason: &str, now: Now) {
    task.desired_status = TaskStatus::Stopped;
    task.stop_code = Some(code);
    task.stopped_reason = Some(reason.to_owned());
    task.stopping_at = Some(now.wall);
}

fn enter(task: &mut Task, status: TaskStatus, now: Now) {
    task.last_status = status;
    task.since = now.mono;
}

fn terminate(task: &mut Task, now: Now, actions: &mut Vec<Action>) {
    enter(task, TaskStatus::Stopping, now);
    task.terminated = Some(now.mono);
    actions.push(Action::Terminate { task: task.id.clone() });
}

fn release(model: &mut Model, id: &TaskId, now: Now, actions: &mut Vec<Action>) {
    forget_target(model, id);
    if let Some(task) = model.tasks.get_mut(id) {
        finish(task, now);
        actions.push(Action::Release { task: id.clone() });
    }
}

fn finish(task: &mut Task, now: Now) {
    task.stopped_at = Some(now.wall);
    enter(task, TaskStatus::Stopped, now);
}

fn forget_target(model: &mut Model, id: &TaskId) {
    model.targets.remove(id);
    model.idle.remove(id);
}

fn deregister(target: &mut Target, now: Now) {
    target.state = TargetState::Draining;
    target.reason = Some(ReasonCode::DeregistrationInProgress);
    target.description = Some("Target deregistration is in progress".to_owned());
    target.draining_since = Some(now.mono);
    target.probing_since = None;
    target.healthy_since = None;
}

/// Whether nothing more can be in flight to a draining target, or its deregistration delay is over.
fn is_drained(model: &Model, id: &TaskId, now: Now) -> bool {
    let Some(target) = model.targets.get(id) else { return true };
    let Some(since) = target.draining_since else { return false };
    let told = target.drained_by_version.is_some_and(|version| version <= model.table_acked);
    let delay = Duration::from_millis(model.place.deregistration_delay_ms);
    (told && model.idle.contains(id)) || since.plus(delay) <= now.mono
}
