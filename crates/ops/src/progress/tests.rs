use proptest::prelude::*;

use super::*;
use crate::snapshot::{AttemptView, DeploymentView, ServiceView};

const OLD: &str = "ecs-svc/1";
const NEW: &str = "ecs-svc/2";

/// A task of a deployment at its port; it is a target in `health` unless that is empty.
struct Fixture(Snapshot);

impl Fixture {
    fn new(desired: u32) -> Self {
        let service = ServiceView { desired, ..ServiceView::default() };
        Self(Snapshot { service, ..Snapshot::default() })
    }

    fn task(mut self, deployment: &str, status: &str, health: &str) -> Self {
        let port = 20_000 + self.0.tasks.len() as u16;
        let leaving = matches!(status, "DEACTIVATING" | "STOPPING" | "STOPPED");
        self.0.tasks.push(TaskView {
            id: format!("{port}"),
            deployment: Some(deployment.to_owned()),
            revision: if deployment == OLD { 1 } else { 2 },
            last_status: status.to_owned(),
            desired_status: if leaving { "STOPPED" } else { "RUNNING" }.to_owned(),
            address: Some("127.0.0.1".to_owned()),
            port: Some(port),
            ..TaskView::default()
        });
        if !health.is_empty() {
            self.0.targets.push(TargetView {
                id: "127.0.0.1".to_owned(),
                port: Some(port),
                state: health.to_owned(),
                ..TargetView::default()
            });
        }
        self
    }

    fn failed_task(self, deployment: &str) -> Self {
        let mut with = self.task(deployment, "STOPPED", "");
        let task = with.0.tasks.last_mut().unwrap();
        task.stop_code = Some("EssentialContainerExited".to_owned());
        task.stopped_reason = Some("Essential container in task exited".to_owned());
        with
    }

    fn deployment(mut self, id: &str, primary: bool, state: RolloutState) -> Self {
        let revision = if id == NEW { 2 } else { 1 };
        let view = DeploymentView { id: id.to_owned(), primary, revision, state, ..DeploymentView::default() };
        self.0.service.deployments.push(view);
        self
    }

    fn attempt(mut self, status: &str) -> Self {
        let line = AttemptView { arn: "mine".to_owned(), status: status.to_owned(), ..AttemptView::default() };
        self.0.attempts.push(line);
        self
    }
}

fn tracker(attempt: Option<&str>) -> Tracker {
    let attempt = attempt.map(str::to_owned);
    Tracker::new(Goal { kind: GoalKind::Deployment { id: Some(NEW.to_owned()), attempt }, revision: 2 })
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn rolling() -> Fixture {
    Fixture::new(2).deployment(NEW, true, RolloutState::InProgress).deployment(OLD, false, RolloutState::Completed)
}

#[test]
fn what_has_long_been_as_wanted_is_done_though_nobody_calls_it_complete() {
    let mut tracker = tracker(None);
    let whole = || {
        let under_way = Fixture::new(2).deployment(NEW, true, RolloutState::InProgress);
        under_way.task(NEW, "RUNNING", "healthy").task(NEW, "RUNNING", "healthy").0
    };
    let one_short = Fixture::new(2).deployment(NEW, true, RolloutState::InProgress).task(NEW, "RUNNING", "healthy").0;
    for (at, snapshot) in [(0, whole()), (29, whole()), (31, one_short), (32, whole()), (61, whole())] {
        tracker.observe(&snapshot, seconds(at));
        assert_eq!(tracker.outcome(), None, "after {at} s");
    }
    tracker.observe(&whole(), seconds(62));
    assert_eq!(tracker.outcome(), Some(Outcome::Done));
}

#[test]
fn a_good_rollout_says_each_phase_once_and_keeps_its_times() {
    let mut tracker = tracker(None);
    let both_old = |fixture: Fixture| fixture.task(OLD, "RUNNING", "healthy").task(OLD, "RUNNING", "healthy");
    let starting = both_old(rolling()).task(NEW, "PENDING", "").task(NEW, "PENDING", "").0;
    assert_eq!(tracker.observe(&starting, seconds(0)), []);
    let running = both_old(rolling()).task(NEW, "RUNNING", "initial").task(NEW, "RUNNING", "initial").0;
    assert_eq!(tracker.observe(&running, seconds(31)), [Event::Started { n: 2, of: 2 }]);
    assert_eq!(tracker.observe(&running, seconds(32)), []);
    let healthy = both_old(rolling()).task(NEW, "RUNNING", "healthy").task(NEW, "RUNNING", "healthy").0;
    assert_eq!(tracker.observe(&healthy, seconds(42)), [Event::Healthy { n: 2, of: 2 }]);
    let draining = rolling()
        .task(OLD, "DEACTIVATING", "draining")
        .task(OLD, "DEACTIVATING", "draining")
        .task(NEW, "RUNNING", "healthy")
        .task(NEW, "RUNNING", "healthy");
    let told = tracker.observe(&draining.0, seconds(43));
    assert_eq!(told, [Event::Draining { n: 2 }, Event::ServesEveryone { after: seconds(43) }]);
    let done = Fixture::new(2)
        .deployment(NEW, true, RolloutState::Completed)
        .task(NEW, "RUNNING", "healthy")
        .task(NEW, "RUNNING", "healthy")
        .task(OLD, "STOPPED", "");
    assert_eq!(tracker.observe(&done.0, seconds(58)), [Event::Completed { after: seconds(58) }]);
    assert_eq!(tracker.outcome(), Some(Outcome::Done));
    let ledger = Ledger {
        push: None,
        start: Some(seconds(31)),
        healthy: Some(seconds(11)),
        drain: Some(seconds(15)),
        serves_everyone: Some(seconds(43)),
        total: seconds(58),
    };
    assert_eq!(tracker.ledger(), ledger);
    assert_eq!(tracker.observe(&done.0, seconds(59)), []);
}

#[test]
fn completed_means_that_the_old_tasks_are_gone_too() {
    let mut tracker = tracker(Some("mine"));
    let early = rolling()
        .attempt("SUCCESSFUL")
        .task(OLD, "STOPPING", "draining")
        .task(NEW, "RUNNING", "healthy")
        .task(NEW, "RUNNING", "healthy");
    tracker.observe(&early.0, seconds(1));
    assert_eq!(tracker.outcome(), None);
}

#[test]
fn a_failing_release_is_told_and_ends_as_rolled_back() {
    for ledger in [Some("mine"), None] {
        let mut tracker = tracker(ledger);
        let old = |fixture: Fixture| fixture.task(OLD, "RUNNING", "healthy").task(OLD, "RUNNING", "healthy");
        let failing = old(rolling().attempt("IN_PROGRESS")).failed_task(NEW);
        let reason = "Essential container in task exited".to_owned();
        let told = tracker.observe(&failing.0, seconds(1));
        assert_eq!(told, [Event::TaskFailed { task: "2000".to_owned(), reason }]);
        let giving_up = Fixture::new(2)
            .attempt("ROLLBACK_IN_PROGRESS")
            .deployment("ecs-svc/3", true, RolloutState::InProgress)
            .deployment(NEW, false, RolloutState::Failed);
        let told = tracker.observe(&old(giving_up).failed_task(NEW).0, seconds(2));
        assert_eq!(told, [Event::RollingBack { to: Some(1), reason: String::new() }]);
        let back =
            Fixture::new(2).attempt("ROLLBACK_SUCCESSFUL").deployment("ecs-svc/3", true, RolloutState::Completed);
        let told = tracker.observe(&old(back).0, seconds(3));
        assert_eq!(told, [Event::RolledBack { after: seconds(3) }], "ledger {ledger:?}");
        assert_eq!(tracker.outcome(), Some(Outcome::RolledBack));
        assert_eq!(tracker.failed().count(), 1);
    }
}

#[test]
fn a_failure_without_a_way_back_says_whether_anything_serves() {
    let failed = |health: &str| {
        let mut tracker = tracker(Some("mine"));
        let fixture = rolling().attempt("ROLLBACK_FAILED").task(OLD, "RUNNING", health);
        tracker.observe(&fixture.0, seconds(1));
        tracker.outcome()
    };
    assert_eq!(failed("healthy"), Some(Outcome::FailedAndOldServes));
    assert_eq!(failed("unhealthy"), Some(Outcome::FailedNotServing));
}

#[test]
fn a_rollout_that_somebody_overtakes_is_superseded() {
    let mut tracker = tracker(Some("mine"));
    tracker.observe(&rolling().attempt("STOPPED").0, seconds(1));
    assert_eq!(tracker.outcome(), Some(Outcome::Superseded));
    let mut unlisted = super::tests::tracker(None);
    unlisted.observe(&Fixture::new(2).deployment("ecs-svc/9", true, RolloutState::InProgress).0, seconds(1));
    assert_eq!(unlisted.outcome(), Some(Outcome::Superseded));
}

#[test]
fn scaling_waits_for_health_and_for_those_that_are_too_many() {
    let scaling = |count| Tracker::new(Goal { kind: GoalKind::Count(count), revision: 1 });
    let mut up = scaling(2);
    up.observe(&Fixture::new(2).task(OLD, "RUNNING", "healthy").task(OLD, "RUNNING", "initial").0, seconds(1));
    assert_eq!(up.outcome(), None);
    up.observe(&Fixture::new(2).task(OLD, "RUNNING", "healthy").task(OLD, "RUNNING", "healthy").0, seconds(2));
    assert_eq!(up.outcome(), Some(Outcome::Done));
    let mut down = scaling(0);
    let told = down.observe(&Fixture::new(0).task(OLD, "STOPPING", "draining").0, seconds(1));
    assert_eq!(told, [Event::Draining { n: 1 }, Event::ServesNobody { after: seconds(1) }]);
    assert_eq!(down.outcome(), None);
    down.observe(&Fixture::new(0).task(OLD, "STOPPED", "").0, seconds(2));
    assert_eq!(down.outcome(), Some(Outcome::Done));
    assert_eq!(
        down.ledger(),
        Ledger { total: seconds(2), ..Ledger::default() },
        "no task started, none serves everyone"
    );
    let mut overtaken = scaling(2);
    overtaken.observe(&Fixture::new(5).0, seconds(1));
    assert_eq!(overtaken.outcome(), Some(Outcome::Superseded));
}

#[test]
fn failures_before_a_scale_are_not_its_own() {
    let mut tracker = Tracker::new(Goal { kind: GoalKind::Count(1), revision: 1 });
    let before = Fixture::new(1).failed_task(OLD);
    assert_eq!(tracker.observe(&before.0, seconds(0)), []);
    let during = Fixture::new(1).failed_task(OLD).failed_task(OLD);
    let told = tracker.observe(&during.0, seconds(1));
    assert!(matches!(told.as_slice(), [Event::TaskFailed { .. }]), "{told:?}");
}

#[test]
fn the_health_of_a_failing_task_is_kept_after_its_target_is_gone() {
    let mut tracker = tracker(None);
    tracker.observe(&rolling().task(NEW, "RUNNING", "unhealthy").0, seconds(1));
    tracker.observe(&rolling().task(NEW, "STOPPED", "").0, seconds(2));
    assert_eq!(tracker.unhealthy().len(), 1);
}

#[test]
fn an_obstacle_is_told_once() {
    let mut tracker = tracker(None);
    let mut fixture = rolling().task(OLD, "RUNNING", "healthy");
    fixture.0.service.events.push(crate::snapshot::EventView {
        at: None,
        message:
            "was unable to stop or start tasks during a deployment because of the service deployment configuration."
                .to_owned(),
    });
    assert!(matches!(tracker.observe(&fixture.0, seconds(1)).as_slice(), [Event::Waiting { .. }]));
    assert_eq!(tracker.observe(&fixture.0, seconds(2)), []);
}

fn snapshots() -> impl Strategy<Value = Snapshot> {
    let status = proptest::sample::select(vec!["PENDING", "RUNNING", "DEACTIVATING", "STOPPING", "STOPPED"]);
    let health = proptest::sample::select(vec!["", "initial", "healthy", "unhealthy", "draining"]);
    let task = (any::<bool>(), status, health);
    let state = proptest::sample::select(vec![RolloutState::InProgress, RolloutState::Completed, RolloutState::Failed]);
    (proptest::collection::vec(task, 0..6), state, 0_u32..4).prop_map(|(tasks, state, desired)| {
        let fixture = Fixture::new(desired).deployment(NEW, true, state);
        let add = |fixture: Fixture, (new, status, health): (bool, &str, &str)| {
            fixture.task(if new { NEW } else { OLD }, status, health)
        };
        tasks.into_iter().fold(fixture, add).0
    })
}

proptest! {
    #[test]
    fn nothing_is_ever_said_twice_and_nothing_after_the_end(snapshots in proptest::collection::vec(snapshots(), 1..12)) {
        let mut tracker = tracker(None);
        let mut told = Vec::new();
        for (second, snapshot) in (0..).zip(&snapshots) {
            let ended = tracker.outcome().is_some();
            let events = tracker.observe(snapshot, seconds(second));
            prop_assert!(!ended || events.is_empty());
            told.extend(events.into_iter().filter(|event| !matches!(event, Event::Waiting { .. })));
        }
        for (index, event) in told.iter().enumerate() {
            prop_assert!(!told[index + 1..].contains(event), "{event:?} twice in {told:?}");
        }
    }

    #[test]
    fn done_is_said_only_of_a_service_that_is_as_wanted(snapshots in proptest::collection::vec(snapshots(), 1..12)) {
        let mut tracker = tracker(None);
        for snapshot in &snapshots {
            tracker.observe(snapshot, seconds(1));
            if tracker.outcome() == Some(Outcome::Done) {
                let mine = snapshot.tasks.iter().filter(|task| task.deployment.as_deref() == Some(NEW));
                let healthy = mine.filter(|task| snapshot.is_healthy(task)).count() as u32;
                prop_assert!(snapshot.service.desired <= healthy);
                prop_assert!(snapshot.tasks.iter().all(|task| task.is_gone() || task.deployment.as_deref() == Some(NEW)));
                return Ok(());
            }
        }
    }
}

#[test]
fn fewer_tasks_are_not_reached_while_those_too_many_still_serve() {
    let mut tracker = Tracker::new(Goal { kind: GoalKind::Count(1), revision: 2 });
    let two = Fixture::new(1).task(NEW, "RUNNING", "healthy").task(NEW, "RUNNING", "healthy");
    tracker.observe(&two.0, seconds(0));
    assert_eq!(tracker.outcome(), None);
    let one = Fixture::new(1).task(NEW, "RUNNING", "healthy").task(NEW, "STOPPED", "");
    tracker.observe(&one.0, seconds(1));
    assert_eq!(tracker.outcome(), Some(Outcome::Done));
    let mut none = Tracker::new(Goal { kind: GoalKind::Count(0), revision: 2 });
    none.observe(&Fixture::new(0).task(NEW, "RUNNING", "healthy").0, seconds(0));
    assert_eq!(none.outcome(), None);
}

#[test]
fn tasks_of_a_deployment_that_was_given_up_are_not_waited_for() {
    let given_up = || Fixture::new(2).deployment(NEW, true, RolloutState::Failed);
    let outcome = |fixture: Fixture| {
        let mut tracker = Tracker::new(Goal { kind: GoalKind::Count(2), revision: 2 });
        tracker.observe(&fixture.0, seconds(0));
        tracker.outcome()
    };
    assert_eq!(outcome(given_up().failed_task(NEW)), Some(Outcome::FailedNotServing));
    assert_eq!(outcome(given_up().task(OLD, "RUNNING", "healthy")), Some(Outcome::FailedAndOldServes));
    assert_eq!(outcome(given_up().task(NEW, "PENDING", "")), None);
}

#[test]
fn what_was_completed_and_then_replaced_is_done() {
    let mut tracker = tracker(Some("mine"));
    let replaced = Fixture::new(1).deployment("ecs-svc/3", true, RolloutState::InProgress).attempt("SUCCESSFUL").task(
        "ecs-svc/3",
        "RUNNING",
        "healthy",
    );
    tracker.observe(&replaced.0, seconds(1));
    assert_eq!(tracker.outcome(), Some(Outcome::Done));
}

#[test]
fn a_task_that_became_healthy_is_no_evidence_and_a_dead_one_has_no_target() {
    let mut tracker = tracker(None);
    tracker.observe(&rolling().task(NEW, "RUNNING", "unhealthy").0, seconds(0));
    assert_eq!(tracker.unhealthy().len(), 1);
    tracker.observe(&rolling().task(NEW, "RUNNING", "healthy").0, seconds(1));
    tracker.observe(&rolling().task(NEW, "STOPPED", "unhealthy").0, seconds(2));
    assert!(tracker.unhealthy().is_empty());
}

#[test]
fn a_deployment_that_is_called_complete_and_only_fails_is_given_up() {
    let mut tracker = tracker(None);
    let complete = |failed: usize| {
        let alone = Fixture::new(2).deployment(NEW, true, RolloutState::Completed).task(NEW, "RUNNING", "initial");
        (0..failed).fold(alone, |fixture, _| fixture.failed_task(NEW)).0
    };
    tracker.observe(&complete(2), seconds(1));
    assert_eq!(tracker.outcome(), None);
    tracker.observe(&complete(3), seconds(2));
    assert_eq!(tracker.outcome(), Some(Outcome::FailedNotServing));
}

#[test]
fn one_that_the_breaker_stopped_has_failed_and_was_not_overtaken() {
    let mut tracker = tracker(Some("mine"));
    let stopped = Fixture::new(2).deployment(NEW, true, RolloutState::Failed).attempt("STOPPED").failed_task(NEW);
    tracker.observe(&stopped.0, seconds(1));
    assert_eq!(tracker.outcome(), Some(Outcome::FailedNotServing));
}

#[test]
fn an_answer_that_shows_what_was_before_says_nothing_yet() {
    let goal = Goal { kind: GoalKind::Deployment { id: Some(NEW.to_owned()), attempt: None }, revision: 2 };
    let before = Fixture::new(2).deployment(OLD, true, RolloutState::Completed).task(OLD, "RUNNING", "healthy");
    let mut tracker = Tracker::since(goal, Before::of(&before.0.service));
    tracker.observe(&before.0, seconds(1));
    assert_eq!(tracker.outcome(), None);
    // Something else than before and than ours: somebody was faster.
    let other = Fixture::new(2).deployment("ecs-svc/3", true, RolloutState::InProgress);
    tracker.observe(&other.0, seconds(2));
    assert_eq!(tracker.outcome(), Some(Outcome::Superseded));
}

#[test]
fn tasks_that_do_not_say_whose_they_are_are_told_by_when_they_were_made() {
    let mut tracker = tracker(None);
    let mut again = rolling().task(NEW, "RUNNING", "healthy").task(NEW, "RUNNING", "healthy").0;
    again.service.deployments[0].created_at = Some(Timestamp::from_secs(100));
    for (task, made) in again.tasks.iter_mut().zip([99, 100]) {
        (task.deployment, task.created_at) = (None, Some(Timestamp::from_secs(made)));
    }
    assert_eq!(tracker.observe(&again, seconds(1)), [Event::Started { n: 1, of: 2 }, Event::Healthy { n: 1, of: 2 }]);
}
