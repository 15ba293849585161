//! How far a change is: pure, from one look at the service to the next.
//!
//! The tracker is told what the change is to bring about, and shown snapshots. It says what is new since the last one,
//! keeps what a diagnosis will need before it vanishes, and knows when the change is over. It never reads a clock.

mod goal;
mod stage;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gimmetime_clock::Timestamp;

use crate::event::{Event, Ledger, Outcome};
use crate::snapshot::{DeploymentView, RolloutState, Snapshot, TargetView, TaskView};
use crate::waiting::waiting_for;

pub use goal::{Before, Goal, GoalKind};
use stage::{Stage, by_deployments, by_ledger, is_given_up};

/// Failed tasks after which a deployment that is complete and never served is given up: ECS's own least threshold.
const HOPELESS: usize = 3;
/// A deployment after which everything has been as wanted for this long is done, whatever it is called: some endpoints
/// never call one complete. ECS itself takes seconds from there.
const SETTLED: Duration = Duration::from_secs(30);

/// Watches one change. Feed it with [`Tracker::observe`] until [`Tracker::outcome`] is there.
#[derive(Debug)]
pub struct Tracker {
    goal: Goal,
    before: Before,
    /// Whether an answer showed the change.
    is_seen: bool,
    /// When the change's own deployment was made, once seen: tasks that do not say whose they are cannot be older.
    born: Option<Timestamp>,
    told: Told,
    ledger: Ledger,
    /// Tasks that had failed before this change: not its fault.
    earlier: Option<BTreeSet<String>>,
    failed: BTreeMap<String, TaskView>,
    /// Tasks that found no room: not its fault either.
    starved: BTreeMap<String, TaskView>,
    /// The last bad health of each task, kept because it vanishes with the task.
    unhealthy: BTreeMap<String, TargetView>,
    /// Since when everything has been as wanted, while the deployment is not called complete.
    whole_since: Option<Duration>,
    outcome: Option<Outcome>,
}

/// What was said already.
#[derive(Debug, Default)]
struct Told {
    started: u32,
    healthy: u32,
    /// That no request reaches the old set any more, and the new one is healthy, be it of no tasks.
    stands_alone: bool,
    draining: bool,
    rolling_back: bool,
    waiting: Option<String>,
}

impl Tracker {
    /// A tracker of a change of which nothing older is known.
    pub fn new(goal: Goal) -> Self {
        Self::since(goal, Before::default())
    }

    /// A tracker of a change that was just asked for, of a service that looked like this.
    pub fn since(goal: Goal, before: Before) -> Self {
        Self {
            goal,
            before,
            is_seen: false,
            born: None,
            told: Told::default(),
            ledger: Ledger::default(),
            earlier: None,
            failed: BTreeMap::new(),
            starved: BTreeMap::new(),
            unhealthy: BTreeMap::new(),
            whole_since: None,
            outcome: None,
        }
    }

    /// What is new in this snapshot, taken `elapsed` after the change. Says nothing more once there is an outcome.
    pub fn observe(&mut self, snapshot: &Snapshot, elapsed: Duration) -> Vec<Event> {
        if self.outcome.is_some() {
            return Vec::new();
        }
        self.ledger.total = elapsed;
        self.is_seen = self.is_seen || !self.is_stale(snapshot);
        self.born = self.born(snapshot);
        let mut events = self.failures(snapshot);
        let stage = self.settle(self.stage(snapshot), snapshot, elapsed);
        if matches!(stage, Stage::Rolling | Stage::Completed) {
            events.extend(self.advance(snapshot, elapsed));
        }
        events.extend(self.waiting(snapshot, stage));
        events.extend(self.conclude(snapshot, stage, elapsed));
        events
    }

    /// Keeps what failed, from a look after the end. What the outcome is stays.
    pub(crate) fn remember(&mut self, snapshot: &Snapshot) {
        self.failures(snapshot);
    }

    /// When the change's own deployment was made, once seen.
    pub(crate) fn born(&self, snapshot: &Snapshot) -> Option<Timestamp> {
        self.born.or_else(|| self.own(snapshot)?.created_at)
    }

    /// Believes this line of the ledger from now on.
    pub fn follow(&mut self, line: String) {
        if let GoalKind::Deployment { attempt, .. } = &mut self.goal.kind {
            *attempt = Some(line);
        }
    }

    /// How the change ended, once it did.
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// How long each part took so far.
    pub fn ledger(&self) -> Ledger {
        self.ledger
    }

    /// The tasks that failed during this change.
    pub fn failed(&self) -> impl Iterator<Item = &TaskView> {
        self.failed.values()
    }

    /// The tasks of this change that found no room.
    pub fn starved(&self) -> impl Iterator<Item = &TaskView> {
        self.starved.values()
    }

    /// Tasks of this change that the balancer found unhealthy, by id, with the last reason.
    pub fn unhealthy(&self) -> &BTreeMap<String, TargetView> {
        &self.unhealthy
    }

    /// Whether the task belongs to what the change brings.
    fn is_mine(&self, task: &TaskView) -> bool {
        match &self.goal.kind {
            GoalKind::Deployment { id, .. } => match (&task.deployment, id) {
                (Some(deployment), Some(id)) => deployment == id,
                _ => task.revision == self.goal.revision && self.born.is_none_or(|born| task.is_made_since(born)),
            },
            GoalKind::Count(_) => true,
        }
    }

    /// The change's own deployment.
    fn own<'a>(&self, snapshot: &'a Snapshot) -> Option<&'a DeploymentView> {
        let GoalKind::Deployment { id: Some(id), .. } = &self.goal.kind else { return None };
        snapshot.service.deployments.iter().find(|deployment| deployment.id == *id)
    }

    /// Whether this answer is just what was there before the change.
    fn is_stale(&self, snapshot: &Snapshot) -> bool {
        match &self.goal.kind {
            GoalKind::Deployment { id: Some(_), .. } => {
                let primary = snapshot.service.primary().map(|primary| &primary.id);
                self.own(snapshot).is_none() && primary.is_some() && primary == self.before.primary.as_ref()
            }
            GoalKind::Deployment { id: None, .. } => false,
            GoalKind::Count(count) => {
                snapshot.service.desired != *count && self.before.desired == Some(snapshot.service.desired)
            }
        }
    }

    /// Whether the task is to go, but is not gone.
    fn is_outgoing(&self, task: &TaskView) -> bool {
        !task.is_gone() && (task.is_leaving() || !self.is_mine(task))
    }

    fn failures(&mut self, snapshot: &Snapshot) -> Vec<Event> {
        let count_only = matches!(self.goal.kind, GoalKind::Count(_));
        let earlier = self.earlier.take().unwrap_or_else(|| {
            let failed = snapshot.tasks.iter().filter(|task| count_only && task.has_stopped_badly());
            failed.map(|task| task.id.clone()).collect()
        });
        let mut events = Vec::new();
        for task in snapshot.tasks.iter().filter(|task| !earlier.contains(&task.id)) {
            if !self.is_mine(task) {
                continue;
            }
            if let Some(target) = snapshot.bad_health(task) {
                self.unhealthy.insert(task.id.clone(), target);
            } else if snapshot.is_healthy(task) {
                self.unhealthy.remove(&task.id);
            }
            if task.is_starved() {
                self.starved.insert(task.id.clone(), task.clone());
            }
            if task.has_failed() && self.failed.insert(task.id.clone(), task.clone()).is_none() {
                let reason = task.stopped_reason.clone().or_else(|| task.stop_code.clone()).unwrap_or_default();
                events.push(Event::TaskFailed { task: task.short().to_owned(), reason });
            }
        }
        self.earlier = Some(earlier);
        events
    }

    fn advance(&mut self, snapshot: &Snapshot, elapsed: Duration) -> Vec<Event> {
        let of = self.wanted(snapshot);
        let incoming = || snapshot.tasks.iter().filter(|task| self.is_mine(task) && !task.is_leaving());
        let started = (incoming().filter(|task| task.last_status == "RUNNING").count() as u32).min(of);
        let healthy = (incoming().filter(|task| snapshot.is_healthy(task)).count() as u32).min(of);
        let outgoing: Vec<&TaskView> = snapshot.tasks.iter().filter(|task| self.is_outgoing(task)).collect();
        let draining = outgoing.iter().filter(|task| task.is_leaving()).count() as u32;
        let reachable = outgoing.iter().filter_map(|task| snapshot.target_of(task)).any(TargetView::gets_requests);

        let mut events = Vec::new();
        if self.told.started < started {
            self.told.started = started;
            events.push(Event::Started { n: started, of });
        }
        if 0 < of && of <= started && self.ledger.start.is_none() {
            self.ledger.start = Some(elapsed);
        }
        if self.told.healthy < healthy {
            self.told.healthy = healthy;
            events.push(Event::Healthy { n: healthy, of });
        }
        if 0 < of && of <= healthy && self.ledger.healthy.is_none() {
            self.ledger.healthy = Some(elapsed.saturating_sub(self.ledger.start.unwrap_or_default()));
        }
        if 0 < draining && !self.told.draining {
            self.told.draining = true;
            events.push(Event::Draining { n: draining });
        }
        if of <= healthy && !reachable && !self.told.stands_alone {
            self.told.stands_alone = true;
            self.ledger.serves_everyone = (0 < of).then_some(elapsed);
            let told =
                if of == 0 { Event::ServesNobody { after: elapsed } } else { Event::ServesEveryone { after: elapsed } };
            events.push(told);
        }
        events
    }

    fn wanted(&self, snapshot: &Snapshot) -> u32 {
        match self.goal.kind {
            GoalKind::Deployment { .. } => snapshot.service.desired,
            GoalKind::Count(count) => count,
        }
    }

    fn waiting(&mut self, snapshot: &Snapshot, stage: Stage) -> Option<Event> {
        let what = waiting_for(snapshot).filter(|_| stage == Stage::Rolling);
        // Only what stands in the way is news; the ordinary course of things has events of its own.
        let what = what.filter(|what| what.is_obstacle).map(|what| what.words);
        let what = what.or_else(|| self.room().filter(|_| stage == Stage::Rolling));
        if what == self.told.waiting {
            return None;
        }
        self.told.waiting.clone_from(&what);
        what.map(|what| Event::Waiting { what })
    }

    /// What tasks that found no room said last.
    fn room(&self) -> Option<String> {
        let last = self.starved.values().max_by_key(|task| task.stopped_at.or(task.stopping_at))?;
        Some(format!("capacity: {}", last.stopped_reason.clone().unwrap_or_default()))
    }

    fn stage(&self, snapshot: &Snapshot) -> Stage {
        match &self.goal.kind {
            _ if !self.is_seen => Stage::Rolling,
            GoalKind::Count(count) if snapshot.service.desired != *count => Stage::Superseded,
            GoalKind::Count(count) if is_given_up(snapshot, *count) => Stage::Failed,
            GoalKind::Count(_) => Stage::Completed,
            GoalKind::Deployment { id, attempt } => {
                let line = attempt.as_ref().and_then(|arn| snapshot.attempts.iter().find(|line| line.arn == *arn));
                let failed = self.own(snapshot).is_some_and(|own| own.state == RolloutState::Failed);
                // One that the breaker stopped was not overtaken: its deployment says so.
                let told = line.and_then(by_ledger).filter(|stage| *stage != Stage::Superseded || !failed);
                told.unwrap_or_else(|| by_deployments(snapshot, id.as_deref(), self.told.rolling_back))
            }
        }
    }

    /// The stage, or that it is over where everything has long been as wanted.
    fn settle(&mut self, stage: Stage, snapshot: &Snapshot, elapsed: Duration) -> Stage {
        let is_own = self.own(snapshot).is_some_and(|own| own.primary);
        if stage != Stage::Rolling || !is_own || !self.is_whole(snapshot) {
            self.whole_since = None;
            return stage;
        }
        let since = *self.whole_since.get_or_insert(elapsed);
        if SETTLED <= elapsed.saturating_sub(since) { Stage::Completed } else { stage }
    }

    /// Whether somebody has begun something else since.
    fn is_overtaken(&self, snapshot: &Snapshot) -> bool {
        let GoalKind::Deployment { id: Some(id), .. } = &self.goal.kind else { return false };
        snapshot.service.primary().is_some_and(|primary| primary.id != *id)
    }

    /// Whether a deployment that is called complete never served, and does nothing but fail: no breaker will end it.
    fn is_hopeless(&self, serving: bool) -> bool {
        let is_deployment = matches!(self.goal.kind, GoalKind::Deployment { .. });
        is_deployment && !serving && !self.told.stands_alone && HOPELESS <= self.failed.len()
    }

    fn conclude(&mut self, snapshot: &Snapshot, stage: Stage, elapsed: Duration) -> Option<Event> {
        let serving = 0 < snapshot.healthy();
        let (outcome, event) = match stage {
            Stage::Rolling => return None,
            Stage::Completed => {
                let whole = self.told.stands_alone && self.is_whole(snapshot);
                // What was completed and then replaced will never be whole again.
                if !whole && self.is_hopeless(serving) {
                    self.outcome = Some(Outcome::FailedNotServing);
                    return Some(Event::Failed { after: elapsed });
                }
                if !whole && !self.is_overtaken(snapshot) {
                    return None;
                }
                self.ledger.drain = self.ledger.serves_everyone.map(|served| elapsed.saturating_sub(served));
                (Outcome::Done, Some(Event::Completed { after: elapsed }))
            }
            Stage::RollingBack => return self.rolling_back(snapshot),
            // The ledger may be ahead of the health checks by a moment.
            Stage::RolledBack if !serving && 0 < snapshot.service.desired => return self.rolling_back(snapshot),
            Stage::RolledBack => (Outcome::RolledBack, Some(Event::RolledBack { after: elapsed })),
            Stage::Failed if serving => (Outcome::FailedAndOldServes, Some(Event::Failed { after: elapsed })),
            Stage::Failed => (Outcome::FailedNotServing, Some(Event::Failed { after: elapsed })),
            Stage::Superseded => (Outcome::Superseded, None),
        };
        self.outcome = Some(outcome);
        event
    }

    /// Nothing of the old left, neither a healthy task too few nor one too many: those that are too many may not have been
    /// told to leave yet.
    fn is_whole(&self, snapshot: &Snapshot) -> bool {
        let mine = || snapshot.tasks.iter().filter(|task| self.is_mine(task) && !task.is_leaving() && !task.is_gone());
        let healthy = mine().filter(|task| snapshot.is_healthy(task)).count();
        let wanted = self.wanted(snapshot) as usize;
        let settled = snapshot.tasks.iter().all(|task| !self.is_outgoing(task));
        settled && healthy == wanted && mine().count() == wanted
    }

    fn rolling_back(&mut self, snapshot: &Snapshot) -> Option<Event> {
        if self.told.rolling_back {
            return None;
        }
        self.told.rolling_back = true;
        let GoalKind::Deployment { id, attempt } = &self.goal.kind else { return None };
        let line = attempt.as_ref().and_then(|arn| snapshot.attempts.iter().find(|line| line.arn == *arn));
        let deployment = self.own(snapshot);
        let reason = line.and_then(|line| line.reason.clone()).or_else(|| deployment.and_then(|d| d.reason.clone()));
        let to = snapshot.service.primary().filter(|primary| Some(&primary.id) != id.as_ref());
        let to = to.map(|primary| primary.revision);
        Some(Event::RollingBack { to, reason: reason.unwrap_or_default() })
    }
}

#[cfg(test)]
mod tests;
