//! `why`: what is wrong now, else what was wrong last.

use std::time::Duration;

use gimmetime_clock::{Timestamp, iso, source};

use crate::diagnosis::{Diagnosis, Evidence, diagnose};
use crate::error::OpsError;
use crate::evidence;
use crate::lock::{self, Busy};
use crate::memory;
use crate::observe::{self, Observer};
use crate::place::Place;
use crate::release::{ReleaseOutcome, releases};
use crate::rollout::arn_of_revision;
use crate::snapshot::{EventView, RolloutState, Snapshot, TaskView};
use crate::tags;
use crate::waiting::waiting_for;
use crate::words;

/// How far from the moment asked for a failure may be.
const NEAR: Duration = Duration::from_mins(10);

/// Words of a task that was stopped by plan, whatever its stop code says.
const PLANNED: [&str; 2] = ["scaling", "deployment"];

/// How long ago the last failure may be.
const LAST: Duration = Duration::from_hours(7 * 24);

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// What is wrong now, else the last failure.
    Now,
    /// Why this release failed.
    Release(u32),
    /// What failed around this moment.
    At(Timestamp),
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// This is wrong now.
    Wrong(Box<Diagnosis>),
    /// All is well now; this failed last, or is what was asked for.
    Past(Box<Diagnosis>),
    /// No failure of the release that was asked for is known.
    NoFailure {
        /// Which.
        release: u32,
    },
    /// No failure around the moment that was asked for is known.
    NothingNear {
        /// Which.
        moment: Timestamp,
    },
    /// A change is under way, and nothing of it has gone wrong so far.
    InProgress {
        /// Who does what since when.
        busy: Busy,
        /// What it waits for, in words.
        waiting_for: Option<String>,
    },
    /// All is well, and no failure is known.
    Healthy {
        /// The release that serves.
        release: u32,
        /// How many tasks are healthy.
        healthy: u32,
        /// Of so many.
        desired: u32,
    },
}

/// Answers the question from what ECS still knows, and from what was written down when it failed.
pub async fn why(place: &Place, question: Question) -> Result<Answer, OpsError> {
    let mut snapshot = Observer::default().look(place).await?;
    observe::resolve_revisions(place, &mut snapshot.attempts).await?;
    if question == Question::Now
        && goes_well(&snapshot)
        && let Some(busy) = lock::of_service(place, &snapshot.service).await?
    {
        let waiting_for = waiting_for(&snapshot).map(|waiting| waiting.words);
        return Ok(Answer::InProgress { busy, waiting_for });
    }
    let is_wrong_now = is_wrong(&snapshot) && question == Question::Now;
    let mut subject = subject_of(&snapshot, question);
    if subject.tasks.is_empty() && !is_wrong_now && place.event_log_group.is_some() {
        let (from, to) = period(place, &snapshot, question, source::wall()).await;
        let is_of_other = |task: &TaskView| matches!(question, Question::Release(asked) if asked != task.revision);
        let is_meant = |task: &TaskView| is_failure(task) && !is_of_other(task);
        memory::recall(place, from, to, is_meant).await.join(&mut snapshot);
        subject = subject_of(&snapshot, question);
    }
    let recorded = match subject.release {
        Some(release) => recorded(place, &snapshot, release).await,
        None => None,
    };
    let nothing_known = subject.tasks.is_empty() && subject.events.is_empty() && recorded.is_none();
    if let (Question::Release(release), true) = (question, nothing_known)
        && !has_failed(place, release).await?
    {
        return Ok(Answer::NoFailure { release });
    }
    if let (Question::At(moment), true) = (question, nothing_known) {
        return Ok(Answer::NothingNear { moment });
    }
    if nothing_known && !is_wrong_now && question == Question::Now {
        let service = &snapshot.service;
        let (release, healthy, desired) = (service.revision(), snapshot.healthy(), service.desired);
        return Ok(Answer::Healthy { release, healthy, desired });
    }
    let release = subject.release.unwrap_or_else(|| snapshot.service.revision());
    let subject = Subject { release: Some(release), ..subject };
    let evidence = collect(place, &snapshot, subject, recorded, is_wrong_now).await;
    let diagnosis = Box::new(diagnose(&evidence));
    Ok(if is_wrong_now { Answer::Wrong(diagnosis) } else { Answer::Past(diagnosis) })
}

/// Whether the ledger says that a release failed.
async fn has_failed(place: &Place, release: u32) -> Result<bool, OpsError> {
    let all = releases(place).await?;
    let Some(known) = all.iter().find(|known| known.number == release) else {
        let available = all.iter().map(|known| known.number).collect();
        return Err(OpsError::NoSuchRelease { asked: release, available });
    };
    Ok(matches!(known.outcome, ReleaseOutcome::RolledBack | ReleaseOutcome::Failed))
}

/// Which failure the question is about.
#[derive(Debug, Default, PartialEq, Eq)]
struct Subject {
    release: Option<u32>,
    tasks: Vec<TaskView>,
    /// What the service said of it, newest first.
    events: Vec<EventView>,
}

/// When to look for it in the place's memory.
async fn period(place: &Place, snapshot: &Snapshot, question: Question, now: Timestamp) -> (Timestamp, Timestamp) {
    match question {
        Question::Now => (now.minus(LAST), now),
        Question::At(moment) => (moment.minus(NEAR), moment.plus(NEAR)),
        Question::Release(release) => {
            let registered = match arn_of_revision(&snapshot.service, release) {
                Some(arn) => observe::task_definition(place, &arn).await.ok(),
                None => None,
            };
            let at = registered.and_then(|(_, labels)| iso::parse(labels.get(tags::AT)?));
            (at.unwrap_or(now.minus(LAST)), now)
        }
    }
}

/// Whether something is wrong at this moment: fewer healthy tasks than wanted, or a rollout that is failing.
fn is_wrong(snapshot: &Snapshot) -> bool {
    let failing = snapshot.service.primary().is_some_and(|primary| primary.state == RolloutState::Failed);
    let rolling = snapshot.service.rolling().is_some_and(|rolling| 0 < rolling.failed);
    failing || rolling || snapshot.healthy() < snapshot.service.desired
}

/// Whether nothing of what is under way, if anything is, has failed, is unhealthy, or stands in its own way.
fn goes_well(snapshot: &Snapshot) -> bool {
    let service = &snapshot.service;
    let gives_up = service.primary().is_none_or(|primary| 0 < primary.failed || primary.state == RolloutState::Failed)
        || snapshot
            .attempts
            .first()
            .is_some_and(|attempt| attempt.status.starts_with("ROLLBACK") && service.rolling().is_some());
    let is_ill = |task: &TaskView| {
        let is_new = service.primary().is_some_and(|primary| primary.owns(task));
        (is_new && is_failure(task)) || (!task.is_leaving() && snapshot.bad_health(task).is_some())
    };
    let is_stuck = waiting_for(snapshot).is_some_and(|waiting| waiting.is_obstacle);
    !gives_up && !is_stuck && !snapshot.tasks.iter().any(is_ill)
}

/// Pure: the failed tasks that belong together, and their release.
fn subject_of(snapshot: &Snapshot, question: Question) -> Subject {
    let mut failed: Vec<&TaskView> = snapshot.tasks.iter().filter(|task| is_failure(task)).collect();
    failed.sort_by_key(|task| std::cmp::Reverse(ended(task)));
    match question {
        Question::Release(release) => {
            let tasks = failed.into_iter().filter(|task| task.revision == release).cloned().collect();
            Subject { release: Some(release), tasks, events: Vec::new() }
        }
        Question::At(moment) => {
            let distance = |task: &TaskView| ended(task).map_or(Duration::MAX, |end| end.since(moment).magnitude());
            let near = failed.into_iter().filter(|task| distance(task) <= NEAR).min_by_key(|task| distance(task));
            let then = |event: &&EventView| event.at.is_some_and(|at| at.since(moment).magnitude() <= NEAR);
            let events = snapshot.service.events.iter().filter(then);
            Subject {
                release: near.map(|task| task.revision),
                tasks: near.into_iter().cloned().collect(),
                events: events.filter(|event| words::event_cause(&event.message).is_some()).cloned().collect(),
            }
        }
        Question::Now => {
            if let Some(release) = ailing(snapshot)
                && failed.first().is_none_or(|task| task.revision != release)
            {
                return Subject { release: Some(release), ..Subject::default() };
            }
            let newest = failed.first().map(|task| (task.revision, task.deployment.clone()));
            let attempt = snapshot.attempts.first().filter(|attempt| attempt.status.starts_with("ROLLBACK"));
            let given_up = attempt.and_then(|attempt| attempt.revision);
            let together = |task: &&TaskView| newest.as_ref() == Some(&(task.revision, task.deployment.clone()));
            let release = newest.as_ref().map(|(revision, _)| *revision).or(given_up);
            let tasks = failed.into_iter().filter(together).cloned().collect();
            Subject { release, tasks, events: Vec::new() }
        }
    }
}

/// The release of a task that lives and is not well, while something is wrong: it tells more than failures of the past.
fn ailing(snapshot: &Snapshot) -> Option<u32> {
    let mut alive = snapshot.tasks.iter().filter(|task| !task.is_leaving());
    let ailing = alive.find(|task| snapshot.bad_health(task).is_some());
    ailing.filter(|_| is_wrong(snapshot)).map(|task| task.revision)
}

/// A fault, want of room, or somebody's deed, AWS's included: all are worth an answer. What a scheduler says it did is not.
fn is_failure(task: &TaskView) -> bool {
    let reason = task.stopped_reason.as_deref().unwrap_or_default().to_lowercase();
    let is_planned = PLANNED.iter().any(|words| reason.contains(words));
    match task.stop_code.as_deref() {
        Some("UserInitiated") => !is_planned,
        Some("SpotInterruption" | "TerminationNotice") => true,
        _ => task.has_stopped_badly(),
    }
}

fn ended(task: &TaskView) -> Option<Timestamp> {
    task.stopped_at.or(task.stopping_at)
}

/// What was written into the release's label when it failed.
async fn recorded(place: &Place, snapshot: &Snapshot, release: u32) -> Option<String> {
    let arn = arn_of_revision(&snapshot.service, release)?;
    let (_, labels) = observe::task_definition(place, &arn).await.ok()?;
    labels.get(tags::CAUSE).filter(|value| !value.is_empty()).cloned()
}

async fn collect(
    place: &Place,
    snapshot: &Snapshot,
    subject: Subject,
    recorded: Option<String>,
    is_now: bool,
) -> Evidence {
    let (release, failed) = (subject.release.unwrap_or(0), subject.tasks);
    let of_release: Vec<&TaskView> = snapshot.tasks.iter().filter(|task| task.revision == release).collect();
    let alive = of_release.iter().filter(|task| is_now && !task.is_leaving());
    let unhealthy = alive.filter_map(|task| Some((task.id.clone(), snapshot.bad_health(task)?))).collect();
    let before_release = before(snapshot, release);
    let arn = |revision: u32| arn_of_revision(&snapshot.service, revision);
    let mut evidence = Evidence {
        release,
        of: of_release.len(),
        unhealthy,
        events: if is_now { snapshot.service.events.clone() } else { subject.events },
        given_up: evidence::reason(snapshot, release),
        before_release,
        before: evidence::definition(place, before_release.and_then(arn).as_deref()).await,
        after: evidence::definition(place, arn(release).as_deref()).await,
        recorded,
        way: evidence::way(place),
        ..Evidence::default()
    };
    let suspects = failed.iter().map(|task| &task.id).chain(evidence.unhealthy.keys());
    for id in suspects.take(evidence::TASKS) {
        evidence.logs.extend(evidence::last_lines(place, id).await);
    }
    evidence.logs.sort_by_key(|line| line.at);
    evidence.failed = failed;
    evidence
}

/// The release that served before this one: the last that the ledger calls successful, else the number before.
fn before(snapshot: &Snapshot, release: u32) -> Option<u32> {
    let earlier = snapshot.attempts.iter().skip_while(|attempt| attempt.revision != Some(release));
    let mut successful = earlier.filter(|attempt| attempt.status == "SUCCESSFUL" && attempt.revision != Some(release));
    let serving = Some(snapshot.service.revision()).filter(|serving| *serving < release);
    successful.find_map(|attempt| attempt.revision).or(serving).or(release.checked_sub(1).filter(|n| 0 < *n))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{AttemptView, DeploymentView, ServiceView, TargetView};

    fn task(id: &str, revision: u32, code: &str, stopped_at: i64) -> TaskView {
        TaskView {
            id: id.to_owned(),
            revision,
            last_status: "STOPPED".to_owned(),
            desired_status: "STOPPED".to_owned(),
            stop_code: Some(code.to_owned()),
            stopped_at: Some(Timestamp::from_secs(stopped_at)),
            ..TaskView::default()
        }
    }

    fn ids(subject: &Subject) -> Vec<&str> {
        subject.tasks.iter().map(|task| task.id.as_str()).collect()
    }

    #[test]
    fn the_newest_failure_is_the_one_meant_with_its_siblings() {
        let snapshot = Snapshot {
            tasks: vec![
                task("old", 1, "EssentialContainerExited", 10),
                task("a", 2, "TaskFailedToStart", 100),
                task("b", 2, "TaskFailedToStart", 101),
                task("planned", 3, "ServiceSchedulerInitiated", 200),
            ],
            ..Snapshot::default()
        };
        let now = subject_of(&snapshot, Question::Now);
        assert_eq!((now.release, ids(&now)), (Some(2), vec!["b", "a"]));
        let asked = subject_of(&snapshot, Question::Release(1));
        assert_eq!((asked.release, ids(&asked)), (Some(1), vec!["old"]));
        let at = subject_of(&snapshot, Question::At(Timestamp::from_secs(12)));
        assert_eq!((at.release, ids(&at)), (Some(1), vec!["old"]));
        let far = subject_of(&snapshot, Question::At(Timestamp::from_secs(100_000)));
        assert_eq!(far, Subject::default());
    }

    #[test]
    fn a_task_that_is_not_well_now_is_meant_before_a_release_that_failed_earlier() {
        let hung = TaskView {
            id: "hung".to_owned(),
            revision: 1,
            last_status: "RUNNING".to_owned(),
            desired_status: "RUNNING".to_owned(),
            ..TaskView::default()
        };
        let target = |state: &str| TargetView {
            id: "hung".to_owned(),
            state: state.to_owned(),
            reason: Some("Target.Timeout".to_owned()),
            ..TargetView::default()
        };
        let service = ServiceView { desired: 1, ..ServiceView::default() };
        let tasks = vec![hung, task("bad", 2, "EssentialContainerExited", 100)];
        let mut snapshot = Snapshot { service, tasks, targets: vec![target("unhealthy")], ..Snapshot::default() };
        let now = subject_of(&snapshot, Question::Now);
        assert_eq!((now.release, ids(&now)), (Some(1), Vec::new()));
        snapshot.targets = vec![target("healthy")];
        assert_eq!(subject_of(&snapshot, Question::Now).release, Some(2));
    }

    #[test]
    fn a_rollout_goes_well_until_a_task_of_it_fails_or_the_service_turns_back() {
        let primary = DeploymentView {
            id: "ecs-svc/2".to_owned(),
            primary: true,
            revision: 2,
            state: RolloutState::InProgress,
            ..DeploymentView::default()
        };
        let service = ServiceView { desired: 2, deployments: vec![primary], ..ServiceView::default() };
        let mut snapshot = Snapshot { service, ..Snapshot::default() };
        let earlier = TaskView { deployment: Some("ecs-svc/1".to_owned()), ..task("old", 1, "TaskFailedToStart", 9) };
        snapshot.tasks = vec![earlier];
        assert!(goes_well(&snapshot));
        let mut turned = snapshot.clone();
        turned.attempts = vec![AttemptView { status: "ROLLBACK_IN_PROGRESS".to_owned(), ..AttemptView::default() }];
        assert!(!goes_well(&turned));
        snapshot
            .tasks
            .push(TaskView { deployment: Some("ecs-svc/2".to_owned()), ..task("a", 2, "TaskFailedToStart", 10) });
        assert!(!goes_well(&snapshot));
    }
}
