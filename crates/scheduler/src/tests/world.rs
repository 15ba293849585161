//! A driver, a data plane and processes, simulated: every rehearsal takes no time, and every rule is checked at every step.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use gimmetime_clock::{Interval, Mono, Now, Timestamp};

use super::releases::{Behaviour, NAME, good, new_definition, new_service, rollout};
use crate::model::{
    Algorithm, Deployment, Exit, HealthCheck, Model, Place, Process, RolloutConfiguration, Service, StopCode, Tags,
    TargetState, Task, TaskId, TaskStatus,
};
use crate::{Action, Input, ProbeOutcome, ServiceChange, due_probes, next_deadline, step, table};

pub(super) const DELAY: Duration = Duration::from_secs(30);
const TICK: Duration = Duration::from_millis(1);

#[derive(Debug)]
struct Living {
    behaviour: Behaviour,
    since: Mono,
}

/// The whole world.
pub(crate) struct World {
    pub(crate) model: Model,
    pub(crate) now: Now,
    pub(super) releases: Vec<Behaviour>,
    /// How long requests in flight take; None: they never end.
    pub(super) in_flight: Option<Duration>,
    /// Whether a data plane is there.
    pub(super) plane: bool,
    pub(super) terminated: BTreeSet<TaskId>,
    pub(super) killed: BTreeSet<TaskId>,
    pub(super) started: Vec<TaskId>,
    living: BTreeMap<TaskId, Living>,
    queue: BTreeMap<(Mono, u64), Input>,
    sequence: u64,
    sent_version: u64,
    told_idle: BTreeSet<TaskId>,
    first_draining: BTreeMap<TaskId, (u64, Mono)>,
    acked: u64,
    heard_idle: BTreeSet<TaskId>,
}

impl World {
    pub(crate) fn new() -> Self {
        let now = Now { wall: Timestamp::from_secs(1_790_000_000), mono: Mono::from_nanos(1_000_000_000_000) };
        let place = Place {
            name: NAME.to_owned(),
            suffix: "0123456789abcdef".to_owned(),
            created_at: now.wall,
            listen: "127.0.0.1:8080".parse().unwrap(),
            health_check: HealthCheck {
                path: "/".to_owned(),
                interval_ms: 1000,
                timeout_ms: 2000,
                healthy_threshold: 2,
                unhealthy_threshold: 2,
                matcher: (200, 200),
            },
            deregistration_delay_ms: DELAY.as_millis() as u64,
            algorithm: Algorithm::RoundRobin,
        };
        let mut model = Model::new(place, 42);
        model.create_cluster(NAME, Tags::new(), now).unwrap();
        Self {
            model,
            now,
            releases: Vec::new(),
            in_flight: Some(Duration::from_millis(5)),
            plane: true,
            terminated: BTreeSet::new(),
            killed: BTreeSet::new(),
            started: Vec::new(),
            living: BTreeMap::new(),
            queue: BTreeMap::new(),
            sequence: 0,
            sent_version: 0,
            told_idle: BTreeSet::new(),
            first_draining: BTreeMap::new(),
            acked: 0,
            heard_idle: BTreeSet::new(),
        }
    }

    /// A world with a service of `count` good tasks, steady.
    pub(crate) fn steady(count: u32) -> Self {
        let mut world = Self::serving(count, good());
        world.settle();
        world
    }

    /// A world that has just created its service.
    pub(super) fn serving(count: u32, behaviour: Behaviour) -> Self {
        let mut world = Self::new();
        let revision = world.register(behaviour);
        let now = world.now;
        world.model.create_service(new_service(count, revision), now).unwrap();
        world.give(Input::Tick);
        world
    }

    pub(super) fn register(&mut self, behaviour: Behaviour) -> u32 {
        self.releases.push(behaviour);
        let now = self.now;
        self.model.register_task_definition(new_definition(), now).unwrap().revision
    }

    pub(super) fn update(&mut self, change: ServiceChange) {
        let now = self.now;
        self.model.update_service(NAME, NAME, change, now).unwrap();
        self.give(Input::Tick);
    }

    pub(super) fn deploy(&mut self, behaviour: Behaviour) -> u32 {
        let revision = self.register(behaviour);
        self.deploy_revision(revision);
        revision
    }

    pub(super) fn deploy_revision(&mut self, revision: u32) {
        self.update(ServiceChange { task_definition: Some((NAME.to_owned(), revision)), ..ServiceChange::default() });
    }

    pub(super) fn scale(&mut self, count: u32) {
        self.update(ServiceChange { desired_count: Some(count), ..ServiceChange::default() });
    }

    pub(super) fn roll(&mut self, minimum_healthy_percent: u32, maximum_percent: u32) {
        let rollout = RolloutConfiguration { minimum_healthy_percent, maximum_percent, ..rollout() };
        self.update(ServiceChange { rollout: Some(rollout), ..ServiceChange::default() });
    }

    pub(super) fn service(&self) -> &Service {
        self.model.service.as_ref().unwrap()
    }

    pub(super) fn primary(&self) -> &Deployment {
        &self.service().deployments[0]
    }

    pub(super) fn said(&self, words: &str) -> usize {
        self.service().events.iter().filter(|event| event.message.contains(words)).count()
    }

    /// Tasks that are to go on.
    pub(super) fn wanted(&self) -> Vec<&Task> {
        self.model.tasks.values().filter(|task| task.desired_status == TaskStatus::Running).collect()
    }

    pub(super) fn healthy(&self) -> usize {
        healthy(&self.model).len()
    }

    pub(super) fn healthy_of(&self, revision: u32) -> usize {
        let healthy = healthy(&self.model);
        healthy.iter().filter(|id| self.model.tasks[*id].revision == revision).count()
    }

    pub(crate) fn some_healthy(&self) -> TaskId {
        healthy(&self.model).first().unwrap().clone()
    }

    /// Something happens, and all it leads to at once is done and checked.
    pub(super) fn give(&mut self, input: Input) {
        let before = self.model.clone();
        let started_over = matches!(input, Input::PlaneReset);
        match &input {
            Input::Acked { version } => self.acked = self.acked.max(*version),
            Input::Idle { task } => {
                self.heard_idle.insert(task.clone());
            }
            Input::Exited { task, .. } => {
                self.living.remove(task);
            }
            Input::PlaneReset => {
                self.acked = 0;
                self.heard_idle.clear();
                self.sent_version = 0;
                self.told_idle.clear();
            }
            _ => {}
        }
        let actions = step(&mut self.model, input, self.now);
        self.check_stops(&before);
        for action in actions {
            self.act(&action, &before);
        }
        self.probe();
        self.tell_plane();
        assert!(
            started_over || next_deadline(&self.model, self.now).is_none_or(|due| self.now.mono < due),
            "a driver would spin"
        );
    }

    /// Lets time pass until the condition holds; fails if it does not within an hour.
    #[track_caller]
    pub(super) fn until(&mut self, what: &str, condition: impl Fn(&Self) -> bool) {
        let end = self.now.mono.plus(Duration::from_hours(1));
        while !condition(self) {
            assert!(self.advance(end), "never: {what}\n{:#?}", self.service().events);
        }
    }

    pub(super) fn pass(&mut self, duration: Duration) {
        let end = self.now.mono.plus(duration);
        while self.advance(end) {}
    }

    #[track_caller]
    pub(super) fn settle(&mut self) {
        self.until("steady", |world| world.model.is_steady());
    }

    /// The next thing happens, if it does before `end`; else it is `end`.
    fn advance(&mut self, end: Mono) -> bool {
        let event = self.queue.keys().next().copied();
        let due = next_deadline(&self.model, self.now);
        let next = event.map(|(at, _)| at).into_iter().chain(due).min();
        let reached = next.is_some_and(|next| next <= end);
        let next = next.unwrap_or(end);
        self.now = self.now.plus(next.min(end).since(self.now.mono));
        match event {
            Some(key) if reached && key.0 <= self.now.mono => {
                let input = self.queue.remove(&key).unwrap();
                self.give(input);
            }
            _ if reached => self.give(Input::Tick),
            _ => {}
        }
        reached
    }

    pub(super) fn later(&mut self, after: Duration, input: Input) {
        self.sequence += 1;
        self.queue.insert((self.now.mono.plus(after), self.sequence), input);
    }

    pub(super) fn dies(&mut self, task: &TaskId, exit: Exit) {
        self.give(Input::Exited { task: task.clone(), exit });
    }

    /// Changes how a living task behaves.
    pub(super) fn becomes(&mut self, task: &TaskId, behaviour: Behaviour) {
        self.living.get_mut(task).unwrap().behaviour = behaviour;
    }

    /// The engine starts over: its driver knows the model and nothing else.
    pub(super) fn resume(&mut self) {
        self.give(Input::Resumed);
    }

    fn act(&mut self, action: &Action, before: &Model) {
        match action {
            Action::Start { task } => self.start(task, before),
            Action::Terminate { task } => {
                assert!(self.terminated.insert(task.clone()), "two SIGTERMs for {task}");
                self.check_drained(task, before);
                if self.living.get(task).is_some_and(|living| !living.behaviour.ignores_term) {
                    self.later(TICK, Input::Exited { task: task.clone(), exit: Exit::Code(0) });
                }
            }
            Action::Kill { task } => {
                assert!(self.terminated.contains(task), "killed before it was asked: {task}");
                assert!(self.killed.insert(task.clone()), "two SIGKILLs for {task}");
                self.later(TICK, Input::Exited { task: task.clone(), exit: Exit::Signal(9) });
            }
            Action::Release { task } => assert!(!self.living.contains_key(task), "released while it lives: {task}"),
        }
    }

    fn start(&mut self, task: &TaskId, before: &Model) {
        self.started.push(task.clone());
        let service = self.model.service.as_ref().unwrap();
        let desired = service.desired_count as usize;
        let upper = (desired * service.rollout.maximum_percent as usize / 100).max(desired);
        let wanted = self.wanted().len();
        let waited = before.tasks.contains_key(task);
        assert!(waited || wanted <= upper, "{wanted} tasks are more than {upper}");
        let behaviour = self.releases[self.model.tasks[task].revision as usize - 1].clone();
        if !behaviour.spawns {
            let reason = "exec format error".to_owned();
            return self.later(TICK, Input::SpawnFailed { task: task.clone(), reason });
        }
        let port = 20000 + (self.sequence % 10000) as u16;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let process =
            Process { pid: 100 + self.sequence as u32, start_time: self.sequence, boot_id: "boot".to_owned() };
        self.later(TICK, Input::Spawned { task: task.clone(), process, address });
        if let Some((after, exit)) = behaviour.exits_after {
            self.later(TICK + after, Input::Exited { task: task.clone(), exit });
        }
        self.living.insert(task.clone(), Living { behaviour, since: self.now.mono });
    }

    fn probe(&mut self) {
        for order in due_probes(&mut self.model, self.now) {
            let (after, outcome) = self.outcome(&order.task, order.timeout);
            self.later(after, Input::Probed { task: order.task, outcome });
        }
    }

    fn outcome(&self, task: &TaskId, timeout: Duration) -> (Duration, ProbeOutcome) {
        let refused = (TICK, ProbeOutcome::Failed { error: "connection refused".to_owned() });
        let Some(Living { behaviour, since }) = self.living.get(task) else { return refused };
        if behaviour.listens_after.is_none_or(|after| self.now.mono.since(*since) < after) {
            return refused;
        }
        let Some(status) = behaviour.status else { return (timeout, ProbeOutcome::TimedOut) };
        let clock = Some(Interval::exactly(behaviour.clock).widen(Duration::from_millis(1)));
        (TICK, ProbeOutcome::Answered { status, clock })
    }

    fn tell_plane(&mut self) {
        if !self.plane {
            return;
        }
        if self.sent_version < self.model.table_version {
            self.sent_version = self.model.table_version;
            self.later(TICK, Input::Acked { version: self.sent_version });
        }
        let routes = table(&self.model);
        for route in routes.into_iter().filter(|route| route.draining) {
            if let Some(after) = self.in_flight
                && self.told_idle.insert(route.task.clone())
            {
                self.later(TICK + after, Input::Idle { task: route.task });
            }
        }
    }

    /// A deployment or a scale-in never takes healthy tasks below the minimum.
    fn check_stops(&mut self, before: &Model) {
        for route in table(&self.model).into_iter().filter(|route| route.draining) {
            self.first_draining.entry(route.task).or_insert((self.model.table_version, self.now.mono));
        }
        let Some(service) =
            self.model.service.as_ref().filter(|service| service.status == crate::model::ServiceStatus::Active)
        else {
            return;
        };
        let taken = |id: &&TaskId| {
            let (task, target) = (&self.model.tasks[*id], self.model.targets.get(*id));
            task.stop_code == Some(StopCode::ServiceSchedulerInitiated)
                && target.is_some_and(|target| target.failures < 2 && target.clock_wrong < 2)
        };
        let taken = healthy(before).iter().filter(taken).count();
        let scaled = self.model.tasks.values().any(|task| {
            task.stopping_at == Some(self.now.wall)
                && task.stopped_reason.as_ref().is_some_and(|reason| reason.starts_with("Scaling"))
        });
        let lower = (service.desired_count * service.rollout.minimum_healthy_percent).div_ceil(100) as usize;
        let left = healthy(&self.model).len();
        assert!(taken == 0 || !scaled || lower <= left, "{left} healthy tasks left of at least {lower}");
    }

    /// No SIGTERM before the data plane let go of the target, or its time was over.
    fn check_drained(&self, task: &TaskId, before: &Model) {
        if !before.targets.contains_key(task) {
            return; // it was never registered
        }
        let (version, since) = self.first_draining[task];
        let let_go = version <= self.acked && self.heard_idle.contains(task);
        assert!(let_go || since.plus(DELAY) <= self.now.mono, "SIGTERM while requests may be in flight to {task}");
    }
}

fn healthy(model: &Model) -> Vec<TaskId> {
    let healthy = model.targets.iter().filter(|(_, target)| target.state == TargetState::Healthy);
    healthy.map(|(id, _)| id.clone()).collect()
}
