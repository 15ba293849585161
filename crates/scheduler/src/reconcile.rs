//! Brings a service nearer to what was asked for, and says so in its events.

use gimmetime_clock::Now;

use crate::census::{Cause, Census, Move};
use crate::model::{Model, ReasonCode, Service, ServiceDeploymentStatus, ServiceStatus, StopCode, TaskId, TaskStatus};
use crate::{breaker, deployment, events, failure, lifecycle};

/// How many moves one input may cause: each either stops or starts tasks, and three kinds follow on each other at most.
const MOVES: usize = 16;
/// ECS's words for percentages that leave no room.
const STUCK: &str = "was unable to stop or start tasks during a deployment because of the service deployment configuration. Update the minimumHealthyPercent or maximumPercent value and try again.";

/// Stops and starts what should be stopped and started now.
pub(crate) fn service(model: &mut Model, now: Now) {
    match model.service.as_ref().map(|service| service.status) {
        Some(ServiceStatus::Active) => {}
        Some(ServiceStatus::Draining) => return empty(model, now),
        Some(ServiceStatus::Inactive) | None => return,
    }
    failure::forgive(model, now);
    for _ in 0..MOVES {
        breaker::check(model, now);
        let Some(census) = model.service.as_ref().and_then(|service| Census::of(model, service, now)) else { return };
        match census.next() {
            Move::Stop(tasks) => stop(model, &tasks, now),
            Move::Start(count) => start(model, count, now),
            Move::Stuck => return report_stuck(model, now),
            Move::Wait => return,
        }
    }
}

/// Notices what has come to its end: old deployments, the rollout, the way to a steady state, a deletion.
pub(crate) fn settle(model: &mut Model, now: Now) {
    let Some(mut service) = model.service.take() else { return };
    match service.status {
        ServiceStatus::Active => deployment::settle(&mut service, model, now),
        ServiceStatus::Draining if model.live_tasks().next().is_none() => {
            service.status = ServiceStatus::Inactive;
            service.deployments.clear();
        }
        ServiceStatus::Draining | ServiceStatus::Inactive => {}
    }
    model.service = Some(service);
    announce_steady(model, now);
}

fn start(model: &mut Model, count: u32, now: Now) {
    let made = lifecycle::create(model, count, now);
    let Some(service) = &mut model.service else { return };
    let primary = service.deployments.first().map(|primary| primary.id.clone());
    let pending = |status| status == ServiceDeploymentStatus::Pending;
    let entry = service.history.iter_mut().find(|entry| Some(&entry.deployment_id) == primary.as_ref());
    if let Some(entry) = entry.filter(|entry| pending(entry.status)) {
        entry.status = ServiceDeploymentStatus::InProgress;
        entry.started_at = Some(now.wall);
        entry.updated_at = now.wall;
    }
    events::add(model, now, &format!("has started {} tasks: {}.", made.len(), events::named(&made)));
}

fn stop(model: &mut Model, tasks: &[(TaskId, Cause)], now: Now) {
    let ran = |id: &TaskId| model.tasks.get(id).is_some_and(|task| task.last_status == TaskStatus::Running);
    let running: Vec<TaskId> = tasks.iter().map(|(id, _)| id.clone()).filter(ran).collect();
    if !running.is_empty() {
        let message = format!("has stopped {} running tasks: {}.", running.len(), events::named(&running));
        events::add(model, now, &message);
    }
    let reasoned = |(id, cause): &(TaskId, Cause)| (id.clone(), reason(model, id, *cause));
    let stops: Vec<(TaskId, String)> = tasks.iter().map(reasoned).collect();
    for (id, _) in tasks.iter().filter(|(_, cause)| *cause == Cause::Unhealthy) {
        failure::count(model, id, now);
    }
    lifecycle::begin_stops(model, &stops, StopCode::ServiceSchedulerInitiated, now);
}

fn reason(model: &Model, id: &TaskId, cause: Cause) -> String {
    let group = model.arns().target_group();
    let target = model.targets.get(id);
    match (cause, target.and_then(|target| target.reason)) {
        (Cause::Unhealthy, Some(ReasonCode::ClockProvedWrong)) => {
            let clock = target.and_then(|target| target.clock);
            let offset = clock.map_or(0.0, |clock| clock.midpoint().as_secs_f64());
            format!("Task clock proved wrong in (target-group {group}): {offset:+.3} s against this machine")
        }
        (Cause::Unhealthy, _) => format!("Task failed ELB health checks in (target-group {group})"),
        (Cause::Surplus, _) => {
            let primary = model.service.as_ref().and_then(|service| service.deployments.first());
            format!("Scaling activity initiated by (deployment {})", primary.map_or("", |primary| &primary.id))
        }
    }
}

/// A deleted service stops all it has at once.
fn empty(model: &mut Model, now: Now) {
    let going = model.tasks.values().filter(|task| task.desired_status == TaskStatus::Running);
    let all: Vec<(TaskId, Cause)> = going.map(|task| (task.id.clone(), Cause::Surplus)).collect();
    if !all.is_empty() {
        stop(model, &all, now);
    }
}

fn report_stuck(model: &mut Model, now: Now) {
    let Some(service) = &mut model.service else { return };
    let unreported = |service: &mut Service| {
        service.deployments.first_mut().is_some_and(|primary| !std::mem::replace(&mut primary.stuck_reported, true))
    };
    if unreported(service) {
        events::record(service, &mut model.seed, now, STUCK);
    }
}

fn announce_steady(model: &mut Model, now: Now) {
    let steady = model.is_steady();
    let Some(service) = &mut model.service else { return };
    if !steady {
        service.steady_since = None;
    } else if service.steady_since.is_none() {
        service.steady_since = Some(now.wall);
        events::record(service, &mut model.seed, now, "has reached a steady state.");
    }
}
