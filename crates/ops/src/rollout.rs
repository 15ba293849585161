//! The rollout machine: every change to what runs goes through it, whatever the verb.
//!
//! Probe, ask, watch, keep the evidence while it is there, tell, judge. What a snapshot means is decided elsewhere
//! ([`crate::progress`]); this is the driver.

use std::collections::BTreeMap;
use std::time::Duration;

use gimmetime_check::{ProbeHandle, ProbePlan, Tally, start_probe};
use gimmetime_clock::{Mono, source};

use crate::diagnosis::{Diagnosis, EvidenceLine, diagnose};
use crate::error::OpsError;
use crate::event::{Event, Operation, Outcome, RolloutReport};
use crate::evidence;
use crate::lock;
use crate::observe::{self, Observer};
use crate::place::{Place, Run};
use crate::progress::{Goal, GoalKind, Tracker};
use crate::release::{ReleaseOutcome, record};
use crate::snapshot::{AttemptView, ServiceView, Snapshot};
use crate::waiting::waiting_for;

/// What a verb is about to do.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) operation: Operation,
    /// The release that serves now, if one does.
    pub(crate) from: Option<u32>,
    pub(crate) from_arn: Option<String>,
    /// The release that shall serve.
    pub(crate) to: u32,
    pub(crate) to_arn: String,
    pub(crate) count: u32,
}

/// What the API answered when it was asked for the change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A deployment began: `ecs-svc/…`, and the service's ARN.
    Deployment { id: String, service_arn: String },
    /// The number of tasks was set.
    Count { count: u32, service_arn: String },
}

/// Asks for a change and sees it through. The SDK's futures are large, so `ask` should come boxed.
///
/// The probe runs from before `ask` until the change is over, where something serves already; else from the moment that
/// the first tasks serve.
pub(crate) async fn roll(
    place: &Place,
    run: &Run,
    change: Change,
    ask: impl Future<Output = Result<Asked, OpsError>>,
) -> Result<RolloutReport, OpsError> {
    let mut probe = Probing::new(place);
    let before = match change.from {
        Some(_) => {
            probe.start();
            observe::attempts(place).await?
        }
        None => Vec::new(),
    };
    let asked_at = source::mono();
    let asked = match ask.await {
        Ok(asked) => asked,
        Err(error) => {
            probe.finish(Duration::ZERO).await;
            return Err(error);
        }
    };
    let Change { operation, from, to, count, .. } = change;
    run.emit(Event::Changing { operation, from, to, count });
    let (kind, service_arn) = match asked {
        Asked::Deployment { id, service_arn } => (GoalKind::Deployment { id, attempt: None }, service_arn),
        Asked::Count { count, service_arn } => (GoalKind::Count(count), service_arn),
    };
    let line = Line::After(before.into_iter().next().map(|attempt| attempt.arn));
    let watch = Watch { kind, line, asked_at, probe };
    let report = Box::pin(see_through(place, run, change, watch)).await;
    lock::withdraw(place, &service_arn).await;
    report
}

/// Waits for the change that is in progress, whoever asked for it; None if there is none.
pub async fn attach(place: &Place, run: &Run) -> Result<Option<RolloutReport>, OpsError> {
    let service = observe::service(place).await?;
    let Some(busy) = lock::of_service(place, &service).await? else { return Ok(None) };
    run.emit(Event::Attached(busy));
    let kind = match service.rolling() {
        Some(rolling) => {
            let attempts = observe::attempts(place).await?;
            let attempt = attempts.first().filter(|attempt| is_open(attempt)).map(|attempt| attempt.arn.clone());
            GoalKind::Deployment { id: rolling.id.clone(), attempt }
        }
        None => GoalKind::Count(service.desired),
    };
    let older = service.deployments.iter().find(|deployment| !deployment.primary);
    let change = Change {
        operation: Operation::Attach,
        from: older.map(|deployment| deployment.revision),
        from_arn: older.and_then(|older| arn_of_revision(&service, older.revision)),
        to: service.revision(),
        to_arn: service.task_definition.clone(),
        count: service.desired,
    };
    let mut probe = Probing::new(place);
    probe.start();
    let watch = Watch { kind, line: Line::Settled, asked_at: source::mono(), probe };
    Box::pin(see_through(place, run, change, watch)).await.map(Some)
}

fn is_open(attempt: &AttemptView) -> bool {
    matches!(attempt.status.as_str(), "PENDING" | "IN_PROGRESS" | "ROLLBACK_REQUESTED" | "ROLLBACK_IN_PROGRESS")
}

/// The ARN of another revision of the family that the service runs.
pub(crate) fn arn_of_revision(service: &ServiceView, revision: u32) -> Option<String> {
    let (family, _) = service.task_definition.rsplit_once(':')?;
    Some(format!("{family}:{revision}"))
}

/// A change under way.
struct Watch {
    kind: GoalKind,
    line: Line,
    asked_at: Mono,
    probe: Probing,
}

/// Where the change's line in the ledger is.
#[derive(Debug)]
enum Line {
    /// Known, or there is none to look for.
    Settled,
    /// The first one after this, or the first of all.
    After(Option<String>),
}

/// What the loop brought home.
struct Seen {
    tracker: Tracker,
    snapshot: Snapshot,
    logs: BTreeMap<String, Vec<EvidenceLine>>,
}

async fn see_through(place: &Place, run: &Run, change: Change, watch: Watch) -> Result<RolloutReport, OpsError> {
    let Watch { kind, line, asked_at, mut probe } = watch;
    let is_deployment = matches!(kind, GoalKind::Deployment { .. });
    let seen = match Box::pin(poll(place, run, Goal { kind, revision: change.to }, line, asked_at, &mut probe)).await {
        Ok(seen) => seen,
        Err(error) => {
            probe.finish(Duration::ZERO).await;
            return Err(error);
        }
    };
    let outcome = seen.tracker.outcome().unwrap_or(Outcome::Detached);
    let interrupted = run.cancel.is_cancelled();
    let tail = if outcome == Outcome::Detached { Duration::ZERO } else { place.probe.tail };
    let gave_up = outcome == Outcome::Detached && !interrupted;
    let (tally, cause) = tokio::join!(
        probe.finish(tail),
        Box::pin(async {
            match outcome {
                Outcome::RolledBack | Outcome::FailedAndOldServes | Outcome::FailedNotServing => {
                    Some(explain(place, &change, &seen).await)
                }
                Outcome::Detached if gave_up => Some(explain(place, &change, &seen).await),
                _ => None,
            }
        })
    );
    if let Some(written) = ReleaseOutcome::of_rollout(outcome).filter(|_| is_deployment) {
        // The ledger of the API has the outcome too; failing to write it down twice is no failure of the rollout.
        drop(record(place, &change.to_arn, written, cause.as_ref().map(Diagnosis::label)).await);
    }
    Ok(RolloutReport {
        operation: change.operation,
        from: change.from,
        to: change.to,
        count: change.count,
        ledger: seen.tracker.ledger(),
        tally,
        outcome,
        cause,
        waiting_for: (outcome == Outcome::Detached)
            .then(|| waiting_for(&seen.snapshot).map(|waiting| waiting.words))
            .flatten(),
    })
}

/// Looks until there is an outcome, an interruption, or patience ends.
async fn poll(
    place: &Place,
    run: &Run,
    goal: Goal,
    mut line: Line,
    asked_at: Mono,
    probe: &mut Probing,
) -> Result<Seen, OpsError> {
    let mut observer = Observer::default();
    let mut logs = BTreeMap::new();
    let mut tracker = Tracker::new(goal);
    let mut last = Snapshot::default();
    loop {
        let elapsed = source::mono().since(asked_at);
        match observer.look(place).await {
            Ok(snapshot) => {
                if let Line::After(before) = &line
                    && let Some(found) = first_after(&snapshot.attempts, before.as_deref())
                {
                    tracker.follow(found);
                    line = Line::Settled;
                }
                for event in tracker.observe(&snapshot, elapsed) {
                    if matches!(event, Event::ServesEveryone { .. }) {
                        probe.start();
                    }
                    run.emit(event);
                }
                keep_logs(place, &tracker, &mut logs).await;
                last = snapshot;
            }
            // A rollout outlives a lost answer; patience bounds how many.
            Err(error) if error.is_passing() && elapsed < place.patience => {}
            Err(error) => return Err(error),
        }
        let over = tracker.outcome().is_some() || place.patience <= elapsed || run.cancel.is_cancelled();
        if over {
            return Ok(Seen { tracker, snapshot: last, logs });
        }
        tokio::select! {
            () = tokio::time::sleep(place.poll) => {}
            () = run.cancel.cancelled() => {}
        }
    }
}

/// The ledger's first line after the one that was newest before the change: lines of others may follow it.
fn first_after(attempts: &[AttemptView], newest_before: Option<&str>) -> Option<String> {
    let newer = attempts.iter().take_while(|attempt| Some(attempt.arn.as_str()) != newest_before);
    newer.last().map(|attempt| attempt.arn.clone())
}

/// Reads the output of tasks that newly failed, before anything can destroy it.
async fn keep_logs(place: &Place, tracker: &Tracker, logs: &mut BTreeMap<String, Vec<EvidenceLine>>) {
    let suspects = tracker.failed().map(|task| task.id.clone()).chain(tracker.unhealthy().keys().cloned());
    let fresh: Vec<String> = suspects.filter(|id| !logs.contains_key(id)).take(evidence::TASKS).collect();
    for id in fresh {
        if evidence::TASKS <= logs.len() {
            return;
        }
        logs.insert(id.clone(), evidence::last_lines(place, &id).await);
    }
}

async fn explain(place: &Place, change: &Change, seen: &Seen) -> Diagnosis {
    let mut found = evidence::of_tracker(&seen.tracker, &seen.snapshot, change.to);
    let mut lines: Vec<EvidenceLine> = Vec::new();
    for (id, kept) in &seen.logs {
        // The last words of a task may have been written after it was first seen to fail.
        let now = evidence::last_lines(place, id).await;
        lines.extend(if now.len() < kept.len() { kept.clone() } else { now });
    }
    lines.sort_by_key(|line| line.at);
    found.logs = lines;
    found.before_release = change.from;
    found.before = evidence::definition(place, change.from_arn.as_deref()).await;
    found.after = evidence::definition(place, Some(&change.to_arn)).await;
    diagnose(&found)
}

/// The probe of one rollout: started once, at the latest when the end is judged.
struct Probing {
    plan: Option<ProbePlan>,
    handle: Option<ProbeHandle>,
}

impl Probing {
    fn new(place: &Place) -> Self {
        let plan = ProbePlan {
            url: place.url.clone(),
            rate: place.probe.rate,
            timeout: place.probe.timeout,
            judge_clock: place.probe.judge_clock,
        };
        Self { plan: (0.0 < plan.rate).then_some(plan), handle: None }
    }

    fn start(&mut self) {
        if let Some(plan) = self.plan.take() {
            self.handle = Some(start_probe(plan));
        }
    }

    /// What it saw, `tail` from now.
    async fn finish(self, tail: Duration) -> Option<Tally> {
        let handle = self.handle?;
        tokio::time::sleep(tail).await;
        Some(handle.finish().await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempts(arns: &[&str]) -> Vec<AttemptView> {
        arns.iter().map(|arn| AttemptView { arn: (*arn).to_owned(), ..AttemptView::default() }).collect()
    }

    #[test]
    fn finds_its_own_line_in_the_ledger_below_those_of_others() {
        assert_eq!(first_after(&attempts(&["c", "b", "a"]), Some("a")), Some("b".to_owned()));
        assert_eq!(first_after(&attempts(&["a"]), Some("a")), None);
        assert_eq!(first_after(&attempts(&["a"]), None), Some("a".to_owned()));
        assert_eq!(first_after(&attempts(&[]), None), None);
    }
}
