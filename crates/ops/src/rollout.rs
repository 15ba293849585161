//! The rollout machine: every change to what runs goes through it, whatever the verb.
//!
//! Probe, ask, watch, keep the evidence while it is there, tell, judge. What a snapshot means is decided elsewhere
//! ([`crate::progress`]); this is the driver.

use std::collections::BTreeMap;
use std::time::Duration;

use gimmetime_clock::{Mono, Timestamp, source};

use crate::diagnosis::{Diagnosis, EvidenceLine, diagnose};
use crate::error::OpsError;
use crate::event::{Event, Ledger, Operation, Outcome, RolloutReport};
use crate::evidence;
use crate::lock;
use crate::observe::{self, Observer};
use crate::pace::Pace;
use crate::place::{Place, Run};
use crate::probing::Probing;
use crate::progress::{Before, Goal, GoalKind, Tracker};
use crate::release::{Record, ReleaseOutcome, record, took};
use crate::snapshot::{AttemptView, ServiceView, Snapshot};
use crate::waiting::waiting_for;

/// Most tasks whose output is kept while a change is watched: of those that failed, and of those that were unhealthy.
const MAX_LOGS: usize = 2 * evidence::TASKS;

/// A service that was made is known everywhere within this.
const NEWLY_MADE: Duration = Duration::from_mins(1);

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
    /// What the service looks like now; nothing if there is none.
    pub(crate) before: Before,
    /// Whether tasks run now. Where none of them is healthy the probe waits for those that the change brings.
    pub(crate) serves: bool,
    /// The label that says on the service what is done; None if nothing is said.
    pub(crate) label: Option<String>,
}

/// What the API answered when it was asked for the change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A deployment began: `ecs-svc/…`.
    Deployment { id: String },
    /// The number of tasks was set.
    Count { count: u32 },
}

/// Asks for a change and sees it through. The SDK's futures are large, so `ask` should come boxed.
///
/// The probe runs from before `ask` until the change is over, where something serves already; else from the moment that
/// what the change brings serves everyone.
pub(crate) async fn roll(
    place: &Place,
    run: &Run,
    change: Change,
    ask: impl Future<Output = Result<Asked, OpsError>>,
) -> Result<RolloutReport, OpsError> {
    let mut probe = probing(place, &change).await?;
    // Also of a service that is made again: the ledger may know its earlier life.
    let before = observe::attempts(place).await?;
    probe.begun().await;
    let asked_at = source::mono();
    let label = change.label.clone();
    let asked = match ask.await {
        Ok(asked) => asked,
        Err(error) => {
            lock::withdraw(place, label.as_deref()).await;
            probe.finish(Duration::ZERO).await;
            return Err(error);
        }
    };
    let Change { operation, from, to, count, .. } = change;
    run.emit(Event::Changing { operation, from, to, count });
    let kind = match asked {
        Asked::Deployment { id } => GoalKind::Deployment { id: Some(id), attempt: None },
        Asked::Count { count } => GoalKind::Count(count),
    };
    let line = Line::After(before.into_iter().next().map(|attempt| attempt.arn));
    let watch = Watch { kind, line, asked_at, probe };
    let report = Box::pin(see_through(place, run, change, watch)).await?;
    // What nobody waited for goes on, and its label with it.
    if report.outcome != Outcome::Detached {
        lock::withdraw(place, label.as_deref()).await;
    }
    Ok(report)
}

/// Waits for the change that is in progress, whoever asked for it; None if there is none.
pub async fn attach(place: &Place, run: &Run) -> Result<Option<RolloutReport>, OpsError> {
    let service = observe::service(place).await?;
    let Some(busy) = lock::of_service(place, &service).await? else { return Ok(None) };
    run.emit(Event::Attached(busy));
    let mut attempts = observe::attempts(place).await?;
    attempts.truncate(1);
    observe::resolve_revisions(place, &mut attempts).await?;
    let (kind, change) = under_way(&service, attempts.first());
    let probe = probing(place, &change).await?;
    let watch = Watch { kind, line: Line::Settled, asked_at: source::mono(), probe };
    Box::pin(see_through(place, run, change, watch)).await.map(Some)
}

/// The probe of a change, started where something serves. Tasks that run and are not healthy answer badly or not at all:
/// that is not the change's doing.
async fn probing(place: &Place, change: &Change) -> Result<Probing, OpsError> {
    let mut probe = Probing::new(place, change.count);
    if change.serves && 0 < observe::healthy(place).await? {
        probe.start();
    }
    Ok(probe)
}

/// The change that is in progress, from the service and the ledger's newest line: pure.
fn under_way(service: &ServiceView, newest: Option<&AttemptView>) -> (GoalKind, Change) {
    let open = newest.filter(|attempt| is_open(attempt));
    let older = service.deployments.iter().find(|deployment| deployment.is_older()).map(|older| older.revision);
    // While a service turns back, its primary deployment is the way back. What was asked for is what it gave up.
    let given_up = open.filter(|attempt| attempt.status.starts_with("ROLLBACK")).and_then(|attempt| attempt.revision);
    let given_up = given_up.filter(|revision| *revision != service.revision());
    let (from, to) = match given_up {
        Some(given_up) => (Some(service.revision()), given_up),
        None => (older, service.revision()),
    };
    let brought = service.deployments.iter().find(|deployment| deployment.revision == to);
    let kind = match service.rolling() {
        Some(_) => GoalKind::Deployment {
            id: brought.map(|deployment| deployment.id.clone()),
            attempt: open.map(|attempt| attempt.arn.clone()),
        },
        None => GoalKind::Count(service.desired),
    };
    let change = Change {
        operation: Operation::Attach,
        from,
        from_arn: from.and_then(|from| arn_of_revision(service, from)),
        to,
        to_arn: arn_of_revision(service, to).unwrap_or_else(|| service.task_definition.clone()),
        count: service.desired,
        before: Before::default(),
        serves: 0 < service.running && (from.is_some() || matches!(kind, GoalKind::Count(_))),
        label: None,
    };
    (kind, change)
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
    /// Why nothing more could be seen.
    lost: Option<String>,
}

async fn see_through(place: &Place, run: &Run, change: Change, watch: Watch) -> Result<RolloutReport, OpsError> {
    let Watch { kind, line, asked_at, mut probe } = watch;
    let is_deployment = matches!(kind, GoalKind::Deployment { .. });
    let tracker = Tracker::since(Goal { kind, revision: change.to }, change.before.clone());
    let seen = match Box::pin(poll(place, run, tracker, line, asked_at, &mut probe)).await {
        Ok(seen) => seen,
        Err(error) => {
            probe.finish(Duration::ZERO).await;
            return Err(error);
        }
    };
    let outcome = seen.tracker.outcome().unwrap_or(Outcome::Detached);
    let interrupted = run.cancel.is_cancelled();
    let tail = if outcome == Outcome::Detached { Duration::ZERO } else { place.probe.tail };
    let gave_up = outcome == Outcome::Detached && !interrupted && seen.lost.is_none();
    let (tally, last, cause) = tokio::join!(
        probe.finish(tail),
        Box::pin(async {
            if is_deployment && outcome == Outcome::Done { took(place, change.from_arn.as_deref()).await } else { None }
        }),
        Box::pin(async {
            if outcome.is_failure() || gave_up { Some(explain(place, &change, &seen).await) } else { None }
        })
    );
    let ledger = Ledger { push: run.pushed, ..seen.tracker.ledger() };
    // A release that serves does not become one that failed when bringing it once more did.
    let is_its_own = outcome == Outcome::Done || change.from != Some(change.to);
    if let Some(written) = ReleaseOutcome::of_rollout(outcome).filter(|_| is_deployment && is_its_own) {
        // Who came later did not see all of it.
        let took = (change.operation != Operation::Attach).then_some(ledger);
        let label = Record { outcome: written, cause: cause.as_ref().map(Diagnosis::label), took };
        // The ledger of the API has the outcome too; failing to write it down twice is no failure of the rollout.
        drop(record(place, &change.to_arn, label).await);
    }
    Ok(RolloutReport {
        operation: change.operation,
        from: change.from,
        to: change.to,
        count: change.count,
        ledger,
        last,
        tally,
        outcome,
        cause,
        waiting_for: (outcome == Outcome::Detached)
            .then(|| waiting_for(&seen.snapshot).map(|waiting| waiting.words))
            .flatten(),
        lost: seen.lost,
    })
}

/// Looks until there is an outcome, an interruption, or patience ends.
async fn poll(
    place: &Place,
    run: &Run,
    mut tracker: Tracker,
    mut line: Line,
    asked_at: Mono,
    probe: &mut Probing,
) -> Result<Seen, OpsError> {
    let mut observer = Observer::default();
    let mut logs = BTreeMap::new();
    let mut pace = Pace::new(place.poll);
    let mut last = Snapshot::default();
    let mut answers = true;
    loop {
        let elapsed = source::mono().since(asked_at);
        let pause;
        match observer.look(place).await {
            Ok(snapshot) => {
                if let Line::After(before) = &line
                    && let Some(found) = own_line(&snapshot.attempts, before.as_deref(), tracker.born(&snapshot))
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
                (last, answers, pause) = (snapshot, true, pace.answered());
            }
            // A rollout outlives a lost answer; patience bounds how many.
            Err(error) if error.is_passing() && elapsed < place.patience => {
                if std::mem::take(&mut answers) {
                    run.emit(Event::Waiting { what: format!("an answer: {error}") });
                }
                pause = pace.unanswered();
            }
            // What was made moments ago is not known everywhere yet.
            Err(OpsError::NotUp { .. }) if last.service.arn.is_empty() && elapsed < NEWLY_MADE => {
                pause = pace.unanswered();
            }
            // It goes on without us.
            Err(error) if error.is_passing() || error.blinds() => {
                return Ok(Seen { tracker, snapshot: last, logs, lost: Some(error.words()) });
            }
            Err(error) => return Err(error),
        }
        let over = tracker.outcome().is_some() || place.patience <= elapsed || run.cancel.is_cancelled();
        if over {
            // The answers of one look are not of one moment: what failed at once may show only after the service gave it up.
            if tracker.outcome().is_some_and(Outcome::is_failure)
                && tracker.failed().next().is_none()
                && let Ok(snapshot) = observer.look(place).await
            {
                tracker.remember(&snapshot);
                keep_logs(place, &tracker, &mut logs).await;
                last = snapshot;
            }
            return Ok(Seen { tracker, snapshot: last, logs, lost: None });
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = run.cancel.cancelled() => {}
        }
    }
}

/// The change's own line among those that are newer than what was newest before it. Where several changed the service at
/// once, it is the one that was made with the change's deployment; until that is seen, none.
fn own_line(attempts: &[AttemptView], newest_before: Option<&str>, born: Option<Timestamp>) -> Option<String> {
    let is_newer = |attempt: &&AttemptView| Some(attempt.arn.as_str()) != newest_before;
    let newer: Vec<&AttemptView> = attempts.iter().take_while(is_newer).collect();
    if let [only] = newer.as_slice() {
        return Some(only.arn.clone());
    }
    let born = born?;
    let distance = |attempt: &AttemptView| attempt.created_at.map_or(Duration::MAX, |at| at.since(born).magnitude());
    newer.into_iter().min_by_key(|attempt| distance(attempt)).map(|attempt| attempt.arn.clone())
}

/// Reads the output of tasks that newly failed, before anything can destroy it.
async fn keep_logs(place: &Place, tracker: &Tracker, logs: &mut BTreeMap<String, Vec<EvidenceLine>>) {
    // Tasks that only were unhealthy for a while must not take the places of those that failed.
    let failed = tracker.failed().map(|task| &task.id).take(evidence::TASKS);
    let suspects = failed.chain(tracker.unhealthy().keys().take(evidence::TASKS));
    let fresh: Vec<String> = suspects.filter(|id| !logs.contains_key(*id)).cloned().collect();
    for id in fresh {
        if MAX_LOGS <= logs.len() {
            return;
        }
        logs.insert(id.clone(), evidence::last_lines(place, &id).await);
    }
}

async fn explain(place: &Place, change: &Change, seen: &Seen) -> Diagnosis {
    let mut found = evidence::of_tracker(&seen.tracker, &seen.snapshot, change.to);
    let mut lines: Vec<EvidenceLine> = Vec::new();
    let failed = |id: &String| found.failed.is_empty() || found.failed.iter().any(|task| task.id == *id);
    for (id, kept) in seen.logs.iter().filter(|(id, _)| failed(id)) {
        // The last words of a task may have been written after it was first seen to fail.
        let now = evidence::last_lines(place, id).await;
        lines.extend(if now.len() < kept.len() { kept.clone() } else { now });
    }
    lines.sort_by_key(|line| line.at);
    found.logs = lines;
    found.way = evidence::way(place);
    found.before_release = change.from;
    found.before = evidence::definition(place, change.from_arn.as_deref()).await;
    found.after = evidence::definition(place, Some(&change.to_arn)).await;
    diagnose(&found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{DeploymentView, RolloutState};

    fn attempts(arns: &[&str]) -> Vec<AttemptView> {
        arns.iter().map(|arn| AttemptView { arn: (*arn).to_owned(), ..AttemptView::default() }).collect()
    }

    #[test]
    fn a_service_that_turns_back_is_bringing_what_it_gives_up() {
        let deployment = |id: &str, revision, primary| DeploymentView {
            id: id.to_owned(),
            revision,
            primary,
            state: RolloutState::InProgress,
            ..DeploymentView::default()
        };
        let service = ServiceView {
            task_definition: "arn:task-definition/web:1".to_owned(),
            deployments: vec![deployment("way back", 1, true), deployment("given up", 3, false)],
            running: 2,
            ..ServiceView::default()
        };
        let line = |status: &str, revision| AttemptView {
            arn: "line".to_owned(),
            revision: Some(revision),
            status: status.to_owned(),
            ..AttemptView::default()
        };
        let (kind, change) = under_way(&service, Some(&line("ROLLBACK_IN_PROGRESS", 3)));
        let attempt = Some("line".to_owned());
        assert_eq!(kind, GoalKind::Deployment { id: Some("given up".to_owned()), attempt: attempt.clone() });
        assert_eq!((change.from, change.to, change.to_arn.as_str()), (Some(1), 3, "arn:task-definition/web:3"));
        let (kind, change) = under_way(&service, Some(&line("IN_PROGRESS", 1)));
        assert_eq!(kind, GoalKind::Deployment { id: Some("way back".to_owned()), attempt });
        assert_eq!((change.from, change.to), (Some(3), 1));
    }

    #[test]
    fn finds_its_own_line_in_the_ledger_among_those_of_others() {
        let moment = Timestamp::from_secs;
        let of_three = || {
            let mut lines = attempts(&["d", "c", "b", "a"]);
            for (line, at) in lines.iter_mut().zip([30, 20, 10, 0]) {
                line.created_at = Some(moment(at));
            }
            lines
        };
        for (born, line) in [(30, "d"), (20, "c"), (10, "b")] {
            assert_eq!(own_line(&of_three(), Some("a"), Some(moment(born))), Some(line.to_owned()));
        }
        assert_eq!(own_line(&of_three(), Some("a"), None), None);
        assert_eq!(own_line(&attempts(&["b", "a"]), Some("a"), None), Some("b".to_owned()));
        assert_eq!(own_line(&attempts(&["a"]), Some("a"), None), None);
        assert_eq!(own_line(&attempts(&["a"]), None, None), Some("a".to_owned()));
    }
}
