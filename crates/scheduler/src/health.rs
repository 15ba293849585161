//! A target's health, as an Application Load Balancer judges it; and its clock, as only we do.
//!
//! A new target needs one pass. Its first checks are quick; a connection refused while it may still be starting is told,
//! but not held against it. A clock proved wrong takes a target out only while another, right one stays.

use std::time::Duration;

use gimmetime_clock::{Mono, Now, Offset};

use crate::model::{HealthCheck, Model, ReasonCode, Target, TargetState, Task, TaskId};
use crate::{ProbeOrder, ProbeOutcome, events, failure};

/// The label by which a revision brings its own health check path.
pub const HEALTH_PATH_LABEL: &str = "gimmetime.health";
/// How far a clock may be off before a check proves it wrong.
pub const CLOCK_LIMIT: Offset = Offset::from_secs(1);
/// How many checks in a row must prove a clock wrong.
const CLOCK_CHECKS: u32 = 2;
/// Wait between the first two checks of a new target; each next wait is half as long again, up to the interval.
const FIRST_WAIT: Duration = Duration::from_millis(25);
/// The least time a new target has before a refused connection makes it unhealthy.
const LEAST_START_GRACE: Duration = Duration::from_secs(5);
/// What a check that was never answered by the driver is given beyond twice its timeout.
const LOST_AFTER: Duration = Duration::from_secs(1);

/// What one check found.
enum Finding {
    Pass,
    Fail { reason: ReasonCode, description: String, detail: String },
}

/// A target of which nothing is known yet; its first check is due at once.
pub(crate) fn registered(now: Now) -> Target {
    Target {
        state: TargetState::Initial,
        reason: Some(ReasonCode::RegistrationInProgress),
        description: Some("Target registration is in progress".to_owned()),
        passes: 0,
        failures: 0,
        probing_since: None,
        next_probe: now.mono,
        initial_delay_ms: FIRST_WAIT.as_millis() as u64,
        healthy_since: None,
        registered: now.mono,
        draining_since: None,
        drained_by_version: None,
        clock: None,
        clock_wrong: 0,
    }
}

/// The health checks to be made now; each is answered by [`crate::Input::Probed`]. They are in flight from now on.
pub fn due_probes(model: &mut Model, now: Now) -> Vec<ProbeOrder> {
    let check = model.place.health_check.clone();
    let due = |target: &Target| target.draining_since.is_none() && probe_due(target, &check) <= now.mono;
    let ids: Vec<TaskId> = model.targets.iter().filter(|(_, target)| due(target)).map(|(id, _)| id.clone()).collect();
    let mut orders = Vec::new();
    for id in ids {
        let Some(task) = model.tasks.get(&id) else { continue };
        let Some(address) = task.address else { continue };
        let path = health_path(model, task).to_owned();
        if let Some(target) = model.targets.get_mut(&id) {
            target.probing_since = Some(now.mono);
            if target.reason == Some(ReasonCode::RegistrationInProgress) {
                target.reason = Some(ReasonCode::InitialHealthChecking);
                target.description = Some("Initial health checks in progress".to_owned());
            }
        }
        orders.push(ProbeOrder { task: id, address, path, timeout: Duration::from_millis(check.timeout_ms) });
    }
    orders
}

/// When a target's next check is due; one in flight is given up for lost in the end.
pub(crate) fn probe_due(target: &Target, check: &HealthCheck) -> Mono {
    let patience = Duration::from_millis(check.timeout_ms.saturating_mul(2)).saturating_add(LOST_AFTER);
    target.probing_since.map_or(target.next_probe, |since| since.plus(patience))
}

/// The path a task's health is asked at: its revision's own, or the target group's.
pub fn health_path<'a>(model: &'a Model, task: &Task) -> &'a str {
    let own = model.task_definition(&task.family, task.revision);
    let own = own.and_then(|definition| definition.docker_labels.get(HEALTH_PATH_LABEL));
    own.map_or(&model.place.health_check.path, |path| path)
}

/// Takes in what a check found.
pub(crate) fn probed(model: &mut Model, id: &TaskId, outcome: &ProbeOutcome, now: Now) {
    let check = model.place.health_check.clone();
    let other_right = model
        .targets
        .iter()
        .any(|(other, target)| other != id && target.state == TargetState::Healthy && target.clock_wrong == 0);
    let Some(target) = model.targets.get_mut(id).filter(|target| target.draining_since.is_none()) else { return };
    let before = target.state;
    let asked = target.probing_since.take().unwrap_or(now.mono);
    let finding = finding(outcome, &check);
    note_clock(target, outcome);
    schedule(target, outcome, &finding, &check, asked, now);
    match &finding {
        Finding::Pass => passed(target, &check, other_right, now),
        Finding::Fail { reason, description, .. } => failed(target, *reason, description, &check, now),
    }
    let (after, description) = (target.state, target.description.clone().unwrap_or_default());
    tell(model, id, finding, (before, after), &description, now);
}

fn finding(outcome: &ProbeOutcome, check: &HealthCheck) -> Finding {
    let (low, high) = check.matcher;
    let (reason, description, detail) = match outcome {
        ProbeOutcome::Answered { status, .. } if (low..=high).contains(status) => return Finding::Pass,
        ProbeOutcome::Answered { status, .. } => {
            let description = format!("Health checks failed with these codes: [{status}]");
            (ReasonCode::ResponseCodeMismatch, description.clone(), description)
        }
        ProbeOutcome::TimedOut => (ReasonCode::Timeout, "Request timed out".to_owned(), "Request timed out".to_owned()),
        ProbeOutcome::Failed { error } => {
            let description = "Health checks failed";
            (ReasonCode::FailedHealthChecks, description.to_owned(), format!("{description}: {error}"))
        }
    };
    Finding::Fail { reason, description, detail }
}

/// Only an answer says anything about a clock; one without stamps proves nothing.
fn note_clock(target: &mut Target, outcome: &ProbeOutcome) {
    let ProbeOutcome::Answered { clock, .. } = outcome else { return };
    target.clock = clock.or(target.clock);
    let wrong = clock.is_some_and(|clock| clock.disjoint_from(CLOCK_LIMIT));
    target.clock_wrong = if wrong { target.clock_wrong.saturating_add(1) } else { 0 };
}

fn passed(target: &mut Target, check: &HealthCheck, other_right: bool, now: Now) {
    target.passes = target.passes.saturating_add(1);
    target.failures = 0;
    let take_out = other_right && CLOCK_CHECKS <= target.clock_wrong;
    let by_clock = target.reason == Some(ReasonCode::ClockProvedWrong);
    match target.state {
        TargetState::Initial | TargetState::Healthy if take_out => clock_proved_wrong(target),
        TargetState::Initial if other_right && 0 < target.clock_wrong => {} // the next check decides
        TargetState::Unhealthy if by_clock && 0 < target.clock_wrong && other_right => {}
        TargetState::Unhealthy if !by_clock && target.passes < check.healthy_threshold => {}
        TargetState::Unhealthy if !by_clock && take_out => clock_proved_wrong(target),
        TargetState::Initial | TargetState::Unhealthy => become_healthy(target, now),
        _ => {}
    }
}

fn failed(target: &mut Target, reason: ReasonCode, description: &str, check: &HealthCheck, now: Now) {
    target.passes = 0;
    let initial = target.state == TargetState::Initial;
    let may_be_starting = initial && reason == ReasonCode::FailedHealthChecks;
    let started = start_grace_ends(target, check) <= now.mono;
    if may_be_starting && started {
        target.failures = target.failures.max(check.unhealthy_threshold);
    } else if !may_be_starting {
        target.failures = target.failures.saturating_add(1);
    }
    if check.unhealthy_threshold <= target.failures {
        become_unhealthy(target, reason, description.to_owned());
    } else if initial {
        target.description = Some(description.to_owned());
    }
}

fn become_healthy(target: &mut Target, now: Now) {
    target.state = TargetState::Healthy;
    target.reason = None;
    target.description = None;
    target.healthy_since = Some(now.mono);
}

fn become_unhealthy(target: &mut Target, reason: ReasonCode, description: String) {
    target.state = TargetState::Unhealthy;
    target.reason = Some(reason);
    target.description = Some(description);
    target.healthy_since = None;
}

fn clock_proved_wrong(target: &mut Target) {
    let offset = target.clock.map_or(0.0, |clock| clock.midpoint().as_secs_f64());
    become_unhealthy(
        target,
        ReasonCode::ClockProvedWrong,
        format!("Clock proved wrong: {offset:+.3} s against this machine"),
    );
}

/// Until when a refused connection may mean that the process has not opened its port yet.
fn start_grace_ends(target: &Target, check: &HealthCheck) -> Mono {
    let judged = Duration::from_millis(check.interval_ms.saturating_mul(check.unhealthy_threshold.into()));
    target.registered.plus(judged.max(LEAST_START_GRACE))
}

/// An answer is followed up after the interval, silence sooner while the target is new.
fn schedule(
    target: &mut Target,
    outcome: &ProbeOutcome,
    finding: &Finding,
    check: &HealthCheck,
    asked: Mono,
    now: Now,
) {
    let interval = Duration::from_millis(check.interval_ms).max(FIRST_WAIT); // never a busy loop
    let answered = matches!(outcome, ProbeOutcome::Answered { .. });
    let undecided_clock = matches!(finding, Finding::Pass) && 0 < target.clock_wrong;
    target.next_probe = asked.plus(interval).max(now.mono);
    if target.state == TargetState::Initial && (!answered || undecided_clock) {
        let wait = Duration::from_millis(target.initial_delay_ms).min(interval);
        target.initial_delay_ms = (wait.as_millis() as u64).saturating_mul(3).div_ceil(2);
        target.next_probe = now.mono.plus(wait);
        let grace = start_grace_ends(target, check);
        if now.mono < grace {
            target.next_probe = target.next_probe.min(grace);
        }
    }
}

/// Remembers and announces what the check changed.
fn tell(
    model: &mut Model,
    id: &TaskId,
    finding: Finding,
    (before, after): (TargetState, TargetState),
    description: &str,
    now: Now,
) {
    let Some(task) = model.tasks.get_mut(id) else { return };
    task.health_detail = match finding {
        Finding::Fail { detail, .. } => Some(detail),
        Finding::Pass if after == TargetState::Unhealthy => Some(description.to_owned()),
        Finding::Pass => None,
    };
    if after == TargetState::Healthy && before != after {
        task.was_healthy = true;
        let deployment_id = task.deployment_id.clone();
        model.service.iter_mut().for_each(|service| failure::healthy(service, &deployment_id));
    }
    if after == TargetState::Unhealthy && before != after {
        let port = task.address.map_or(0, |address| address.port());
        let group = model.arns().target_group();
        let message =
            format!("(task {id}) (port {port}) is unhealthy in (target-group {group}) due to (reason {description}).");
        events::add(model, now, &message);
    }
}
