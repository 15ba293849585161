//! From evidence to a cause: pure. What is known is a table; what is not known is said to be so.

use std::collections::BTreeMap;

use gimmetime_clock::{Timestamp, iso};
use serde::Serialize;

use crate::cause::{Cause, START_SECONDS};
use crate::definition::Definition;
use crate::snapshot::{EventView, TargetView, TaskView};
use crate::tags;
use crate::words;

/// Most log lines a diagnosis bears.
const EVIDENCE_LIMIT: usize = 20;

/// What was seen of a failure.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// The release that failed.
    pub release: u32,
    /// The tasks that failed.
    pub failed: Vec<TaskView>,
    /// How many tasks of the release were looked at.
    pub of: usize,
    /// Bad health by task id, as last seen.
    pub unhealthy: BTreeMap<String, TargetView>,
    /// Output of the failed tasks, in time order.
    pub logs: Vec<EvidenceLine>,
    /// The service's events, newest first.
    pub events: Vec<EventView>,
    /// Why the service gave the release up, in its own words.
    pub given_up: Option<String>,
    /// What served before.
    pub before: Option<Definition>,
    /// What failed.
    pub after: Option<Definition>,
    /// Number of the release that served before.
    pub before_release: Option<u32>,
    /// What an earlier diagnosis wrote into the release's label.
    pub recorded: Option<String>,
    /// How tasks reach the registry and the APIs, where they have a network of their own.
    pub way: Option<Way>,
}

/// How tasks with a network of their own reach the registry and the APIs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By public addresses of theirs, through an internet gateway.
    PublicAddress,
    /// Without one: through a NAT gateway, or endpoints in the VPC.
    NoPublicAddress,
}

/// A line of output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EvidenceLine {
    /// When.
    #[serde(serialize_with = "iso::serialize")]
    pub at: Timestamp,
    /// First digits of the task's id.
    pub task: String,
    /// The line.
    pub text: String,
}

/// How sure a diagnosis is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    /// Inferred from less than a statement.
    Guess,
    /// Said by the API in words that this program knows.
    Likely,
    /// Said by the API in a field of its own.
    Certain,
}

/// What is wrong, why we think so, and what mends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// The release that failed.
    pub release: u32,
    /// Why.
    pub cause: Cause,
    /// `cause` as a sentence.
    pub sentence: String,
    /// How sure.
    pub certainty: Certainty,
    /// What the certainty rests on: `EssentialContainerExited, 2 of 2`.
    pub because: String,
    /// Output of the failed tasks. The most telling line is first, the others follow in time order.
    pub evidence: Vec<EvidenceLine>,
    /// The release that served before.
    pub before: Option<u32>,
    /// What changed between the two, in a few words each.
    pub changed: Vec<String>,
    /// What to do, in words.
    pub advice: String,
    /// One command that mends it, once the advice is followed.
    pub fix: String,
}

impl Diagnosis {
    /// What is kept in the release's label.
    pub(crate) fn label(&self) -> String {
        tags::encode(&[("cause", &self.cause.code()), ("because", &self.because.replace(", ", " "))])
    }
}

impl Way {
    /// What to look at when it leads nowhere.
    fn advice(self) -> &'static str {
        match self {
            Self::PublicAddress => {
                "tasks have public addresses: give their subnets a route to an internet gateway, and their security group \
                 egress to port 443"
            }
            Self::NoPublicAddress => {
                "tasks have no public address: give them a NAT gateway, or endpoints for ecr.api, ecr.dkr, logs, s3 and \
                 what secrets they have"
            }
        }
    }
}

/// The most plausible cause of a failure.
pub fn diagnose(evidence: &Evidence) -> Diagnosis {
    let (cause, certainty, because) = verdict(evidence);
    let (advice, fix) = cause.fix();
    let advice = match evidence.way {
        Some(way) if cause.is_want_of_way() => way.advice(),
        // A balancer that is not let in cannot be told from a process that is silent.
        Some(_) if cause == Cause::Hangs => {
            "mend it by what its log says; if it says nothing, let the balancer's security group in on its port"
        }
        _ => advice,
    };
    let changed = match (&evidence.before, &evidence.after) {
        (Some(before), Some(after)) => before.changes_to(after),
        _ => Vec::new(),
    };
    Diagnosis {
        release: evidence.release,
        cause,
        sentence: cause.to_string(),
        certainty,
        because,
        evidence: telling(&if evidence.logs.is_empty() { reasons(&evidence.failed) } else { evidence.logs.clone() }),
        before: evidence.before_release,
        changed,
        advice: advice.to_owned(),
        fix: fix.to_owned(),
    }
}

fn verdict(evidence: &Evidence) -> (Cause, Certainty, String) {
    let mut votes: BTreeMap<(Certainty, Cause), (usize, String)> = BTreeMap::new();
    for task in &evidence.failed {
        let (cause, certainty, source) = of_task(task, evidence);
        let vote = votes.entry((certainty, cause)).or_insert((0, source));
        vote.0 += 1;
    }
    // Most tasks first; of equals the surer one.
    let winner = votes.into_iter().max_by_key(|((certainty, _), (count, _))| (*count, *certainty));
    if let Some(((certainty, cause), (count, source))) = winner {
        let of = evidence.of.max(evidence.failed.len());
        return (cause, certainty, format!("{source}, {count} of {of}"));
    }
    let told = of_targets(evidence).or_else(|| of_service(evidence)).or_else(|| of_events(evidence));
    told.or_else(|| of_record(evidence)).unwrap_or((
        Cause::Unknown,
        Certainty::Guess,
        "no failed task, no bad health, nothing in the events".to_owned(),
    ))
}

fn of_task(task: &TaskView, evidence: &Evidence) -> (Cause, Certainty, String) {
    let code = task.stop_code.clone().unwrap_or_default();
    let reason = reason(task);
    match code.as_str() {
        "TaskFailedToStart" => {
            let (cause, certainty) = of_start(&reason, evidence);
            (cause, certainty, code)
        }
        "SpotInterruption" | "TerminationNotice" => (Cause::Reclaimed, Certainty::Certain, code),
        "EssentialContainerExited" => (of_exit(task, &reason), Certainty::Certain, code),
        "UserInitiated" => (Cause::StoppedByUser, Certainty::Certain, code),
        _ => of_health(task, evidence, &reason),
    }
}

/// A task that did not start.
fn of_start(reason: &str, evidence: &Evidence) -> (Cause, Certainty) {
    let cause = words::cause(reason).unwrap_or(Cause::CannotStart);
    let has_secrets = evidence.after.as_ref().is_none_or(|after| !after.secrets.is_empty());
    match cause {
        Cause::CannotStart => (cause, Certainty::Likely),
        // ECS has one sentence for both, and this release has no secrets: it is the registry, and most often the way to it.
        Cause::SecretUnavailable if reason.contains("or registry auth") && !has_secrets => {
            (Cause::RegistryUnreachable, Certainty::Likely)
        }
        _ => (cause, Certainty::Certain),
    }
}

/// What is known of tasks that said nothing themselves: ECS's words on why they stopped.
fn reasons(failed: &[TaskView]) -> Vec<EvidenceLine> {
    let line = |task: &TaskView| {
        let at = task.stopped_at.or(task.stopping_at)?;
        let text = Some(reason(task)).filter(|text| !text.is_empty())?;
        Some(EvidenceLine { at, task: task.short().to_owned(), text })
    };
    failed.iter().filter_map(line).collect()
}

/// Everything a stopped task says in words.
fn reason(task: &TaskView) -> String {
    let parts = [task.stopped_reason.as_deref(), task.container_reason.as_deref()];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn of_exit(task: &TaskView, reason: &str) -> Cause {
    let lived = match (task.started_at.or(task.created_at), task.stopping_at.or(task.stopped_at)) {
        (Some(started), Some(ended)) => ended.unix_seconds() - started.unix_seconds(),
        _ => 0,
    };
    match task.exit_code {
        Some(code) => Cause::of_exit(code, lived < START_SECONDS, reason),
        None => words::cause(reason).unwrap_or(Cause::ExitUnknown),
    }
}

/// A task that the scheduler stopped: its target's last health says why, else its own words, else the service's events.
fn of_health(task: &TaskView, evidence: &Evidence, reason: &str) -> (Cause, Certainty, String) {
    if let Some(target) = evidence.unhealthy.get(&task.id) {
        let source = target.reason.clone().unwrap_or_else(|| target.state.clone());
        return (of_target(target), Certainty::Certain, source);
    }
    let source = "failed health checks".to_owned();
    if let Some(detail) = &task.health_detail {
        return (words::health_cause(detail).unwrap_or(Cause::FailsHealthChecks), Certainty::Certain, source);
    }
    let event = evidence.events.iter().find(|event| event.message.contains("is unhealthy in"));
    let told = words::health_cause(reason).or_else(|| event.and_then(|event| words::health_cause(&event.message)));
    match told {
        Some(cause) => (cause, Certainty::Likely, source),
        None => (Cause::FailsHealthChecks, Certainty::Certain, source),
    }
}

fn of_target(target: &TargetView) -> Cause {
    let words = target.description.as_deref().unwrap_or_default();
    match target.reason.as_deref() {
        Some("Gimmetime.ClockProvedWrong") => Cause::ClockWrong,
        Some("Target.Timeout") => Cause::Hangs,
        Some("Target.NotInUse") => Cause::NoListener,
        Some("Elb.InternalError") => Cause::PlatformFault,
        // The ALB says no more than this of a connection that failed, and most fail because nothing listens.
        Some("Target.FailedHealthChecks") if matches!(words, "" | "Health checks failed") => Cause::NeverListens,
        _ => words::health_cause(words).unwrap_or(Cause::FailsHealthChecks),
    }
}

fn of_targets(evidence: &Evidence) -> Option<(Cause, Certainty, String)> {
    let target = evidence.unhealthy.values().next()?;
    let source = target.reason.clone().unwrap_or_else(|| target.state.clone());
    Some((of_target(target), Certainty::Certain, format!("{source}, {} of {}", evidence.unhealthy.len(), evidence.of)))
}

/// A release whose tasks say nothing, because they were stopped when it was given up.
fn of_service(evidence: &Evidence) -> Option<(Cause, Certainty, String)> {
    let cause = words::cause(evidence.given_up.as_ref()?)?;
    Some((cause, Certainty::Likely, "the deployment's own words".to_owned()))
}

fn of_events(evidence: &Evidence) -> Option<(Cause, Certainty, String)> {
    // An event older than the last steady state is settled.
    let mut recent = evidence.events.iter().take_while(|event| !event.message.contains("has reached a steady state"));
    let found = recent.find_map(|event| words::event_cause(&event.message))?;
    Some((found, Certainty::Likely, "the service's events".to_owned()))
}

fn of_record(evidence: &Evidence) -> Option<(Cause, Certainty, String)> {
    let recorded = tags::decode(evidence.recorded.as_ref()?);
    let cause = Cause::from_code(recorded.get("cause")?)?;
    let because = recorded.get("because").map(|text| text.replace('_', " ")).unwrap_or_default();
    Some((cause, Certainty::Certain, format!("recorded when it failed: {because}")))
}

/// The lines worth showing: the last that speaks of a fault first, then the last ones in time order.
fn telling(logs: &[EvidenceLine]) -> Vec<EvidenceLine> {
    const FAULTS: [&str; 12] = [
        "panic", "fatal", "error", "not set", "denied", "refused", "cannot", "failed", "missing", "invalid", "unable",
        "in use",
    ];
    let last: Vec<&EvidenceLine> = logs.iter().rev().take(EVIDENCE_LIMIT).collect();
    let speaks = |line: &&EvidenceLine| FAULTS.iter().any(|word| line.text.to_lowercase().contains(word));
    let headline = last.iter().position(speaks).unwrap_or(0);
    let others = last.iter().enumerate().rev().filter(|(index, _)| *index != headline).map(|(_, line)| *line);
    last.get(headline).copied().into_iter().chain(others).cloned().collect()
}

#[cfg(test)]
mod tests;
