//! From evidence to a cause: pure. What is known is a table; what is not known is said to be so.

use std::collections::BTreeMap;

use gimmetime_clock::Timestamp;
use serde::Serialize;

use crate::cause::{Cause, START_SECONDS};
use crate::definition::Definition;
use crate::snapshot::{EventView, TargetView, TaskView};
use crate::tags;

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
    /// What served before.
    pub before: Option<Definition>,
    /// What failed.
    pub after: Option<Definition>,
    /// Number of the release that served before.
    pub before_release: Option<u32>,
    /// What an earlier diagnosis wrote into the release's label.
    pub recorded: Option<String>,
}

/// A line of output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EvidenceLine {
    /// When.
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

/// The most plausible cause of a failure.
pub fn diagnose(evidence: &Evidence) -> Diagnosis {
    let (cause, certainty, because) = verdict(evidence);
    let (advice, fix) = cause.fix();
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
    of_targets(evidence).or_else(|| of_events(evidence)).or_else(|| of_record(evidence)).unwrap_or((
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
            let cause = by_words(&reason).unwrap_or(Cause::CannotStart);
            let certainty = if cause == Cause::CannotStart { Certainty::Likely } else { Certainty::Certain };
            (cause, certainty, code)
        }
        "EssentialContainerExited" => (of_exit(task, &reason), Certainty::Certain, code),
        "UserInitiated" => (Cause::StoppedByUser, Certainty::Certain, code),
        _ => of_health(task, evidence, &reason),
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
        None => by_words(reason).unwrap_or(Cause::ExitUnknown),
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
        return (by_health_words(detail).unwrap_or(Cause::FailsHealthChecks), Certainty::Certain, source);
    }
    let event = evidence.events.iter().find(|event| event.message.contains("is unhealthy in"));
    let told = by_health_words(reason).or_else(|| event.and_then(|event| by_health_words(&event.message)));
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
        // The ALB says no more than this of a connection that failed, and most fail because nothing listens.
        Some("Target.FailedHealthChecks") if matches!(words, "" | "Health checks failed") => Cause::NeverListens,
        _ => by_health_words(words).unwrap_or(Cause::FailsHealthChecks),
    }
}

fn of_targets(evidence: &Evidence) -> Option<(Cause, Certainty, String)> {
    let target = evidence.unhealthy.values().next()?;
    let source = target.reason.clone().unwrap_or_else(|| target.state.clone());
    Some((of_target(target), Certainty::Certain, format!("{source}, {} of {}", evidence.unhealthy.len(), evidence.of)))
}

fn of_events(evidence: &Evidence) -> Option<(Cause, Certainty, String)> {
    let of_message = |message: &str| {
        if message.contains("service deployment configuration") {
            return Some(Cause::Stuck);
        }
        if message.contains("unable to consistently start tasks") {
            return Some(Cause::Throttled);
        }
        if message.contains("is unhealthy in") {
            return by_health_words(message);
        }
        message.contains("unable to place").then(|| by_words(message).unwrap_or(Cause::NoCapacity))
    };
    // An event older than the last steady state is settled.
    let mut recent = evidence.events.iter().take_while(|event| !event.message.contains("has reached a steady state"));
    let found = recent.find_map(|event| of_message(&event.message))?;
    Some((found, Certainty::Likely, "the service's events".to_owned()))
}

fn of_record(evidence: &Evidence) -> Option<(Cause, Certainty, String)> {
    let recorded = tags::decode(evidence.recorded.as_ref()?);
    let cause = Cause::from_code(recorded.get("cause")?)?;
    let because = recorded.get("because").map(|text| text.replace('_', " ")).unwrap_or_default();
    Some((cause, Certainty::Certain, format!("recorded when it failed: {because}")))
}

/// Words of the API for tasks that did not start. The first match counts: the particular stands before the general.
const WORDS: [(&str, Cause); 37] = [
    ("expected a linux executable", Cause::NotExecutable),
    ("expected an executable", Cause::NotExecutable),
    ("descriptor matching platform", Cause::WrongArchitecture),
    ("exec format error", Cause::WrongArchitecture),
    ("architecture", Cause::WrongArchitecture),
    ("expected x86-64", Cause::WrongArchitecture),
    ("expected `linux/", Cause::WrongArchitecture),
    ("not 64-bit", Cause::WrongArchitecture),
    ("big-endian", Cause::WrongArchitecture),
    ("not static", Cause::NotStatic),
    ("statically", Cause::NotStatic),
    ("dynamic", Cause::NotStatic),
    ("interpreter", Cause::NotStatic),
    ("shared librar", Cause::NotStatic),
    ("loader", Cause::NotStatic),
    ("lets nobody execute", Cause::NotExecutable),
    ("not executable", Cause::NotExecutable),
    ("not an executable", Cause::NotExecutable),
    ("read-only file system", Cause::ReadOnly),
    ("outofmemory", Cause::OutOfMemory),
    ("unable to pull secrets", Cause::SecretUnavailable),
    ("logger args", Cause::LogsUnavailable),
    ("log stream", Cause::LogsUnavailable),
    ("assume the role", Cause::RoleRefused),
    ("pull access denied", Cause::ImageDenied),
    (" 403", Cause::ImageDenied),
    ("i/o timeout", Cause::RegistryUnreachable),
    ("dial tcp", Cause::RegistryUnreachable),
    ("context canceled", Cause::RegistryUnreachable),
    ("number of vcpus", Cause::QuotaExceeded),
    ("capacity", Cause::NoCapacity),
    ("network interface", Cause::NoNetwork),
    ("insufficientfreeaddresses", Cause::NoNetwork),
    ("manifest unknown", Cause::ImageMissing),
    ("cannotpullcontainer", Cause::ImageMissing),
    ("permission denied", Cause::NotExecutable),
    ("no such file", Cause::NotExecutable),
];

fn by_words(reason: &str) -> Option<Cause> {
    // What an image is called says nothing of what is wrong with it.
    let words = reason.split(' ').filter(|word| !word.contains("@sha256:"));
    let lower = words.collect::<Vec<_>>().join(" ").to_lowercase();
    WORDS.iter().find(|(words, _)| lower.contains(words)).map(|(_, cause)| *cause)
}

/// The cause in the ALB's, ECS's or our own words of a failed health check.
fn by_health_words(words: &str) -> Option<Cause> {
    let lower = words.to_lowercase();
    if lower.contains("clock") {
        return Some(Cause::ClockWrong);
    }
    if let Some(status) = status_in(&lower) {
        return Some(Cause::Answers(status));
    }
    if lower.contains("timed out") || lower.contains("timeout") {
        return Some(Cause::Hangs);
    }
    ["refused", "no connection within", "cannot connect"]
        .iter()
        .any(|told| lower.contains(told))
        .then_some(Cause::NeverListens)
}

/// The status in "Health checks failed with these codes: [500]".
fn status_in(words: &str) -> Option<u16> {
    let (_, rest) = words.split_once("with these codes: [")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
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
