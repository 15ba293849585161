//! The loop: one thing after the other happens to the model, and after each, what follows is written down and done.

use std::future::Future;
use std::io;
use std::time::Duration;

use gimmetime_api::{Answer, Call, answer};
use gimmetime_balancer::control::{Algorithm, Table, TableTarget};
use gimmetime_clock::source;
use gimmetime_scheduler::model::{Algorithm as PlaceAlgorithm, Exit, TaskId};
use gimmetime_scheduler::{Action, Input, due_probes, next_deadline, step, table};
use rustix::process::Signal;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Interval, interval, sleep};

use super::core::{Core, Live};
use super::record_end;
use super::signals::{Asked, Signals};
use super::strays::Stray;
use crate::enginelog::{self, EngineLog};
use crate::error::EngineError;
use crate::journal::Journal;
use crate::plane::{Order, Plane, Report};
use crate::prober;
use crate::process;
use crate::{logs, marker};

/// How often logs that others write to are looked at.
const HOUSEKEEPING: Duration = Duration::from_secs(2);

/// Every how many such looks the streams of ended tasks are held against their bounds.
const PRUNING: u32 = 16;

/// A call that came in, and where its answer goes.
type Called = (Call, oneshot::Sender<Answer>);

/// The one that may change the model.
pub(super) struct Actor {
    pub(super) core: Core,
    pub(super) strays: Vec<Stray>,
    journal: Journal,
    log: EngineLog,
    inputs: mpsc::UnboundedReceiver<Input>,
    inbox: mpsc::UnboundedSender<Input>,
    calls: mpsc::Receiver<Called>,
    orders: mpsc::UnboundedSender<Order>,
    reports: mpsc::UnboundedReceiver<Report>,
    signals: Signals,
    housekeeping: Interval,
    rounds: u32,
    /// Whether the model may have changed since it was last held against what is on disk.
    stepped: bool,
    /// What the last steps asked for, to be done once they are written down.
    actions: Vec<Action>,
    /// Answers that may go out once they are true on disk.
    answers: Vec<(oneshot::Sender<Answer>, Answer)>,
    published: Option<u64>,
    /// Work that must be done before the process ends: last lines of output, strays that stop.
    closing: JoinSet<()>,
    ending: Option<Ending>,
}

/// An orderly end under way.
#[derive(Debug, Clone, Copy)]
struct Ending {
    /// What the next start goes back to.
    resume_count: Option<u32>,
    retiring: bool,
    retired: bool,
}

/// What happened.
enum Event {
    Input(Input),
    Report(Report),
    Call(Called),
    Signal(Asked),
    Time,
    Housekeeping,
}

impl Actor {
    pub(super) fn new(
        core: Core,
        journal: Journal,
        log: EngineLog,
        plane: Plane,
        calls: mpsc::Receiver<Called>,
    ) -> io::Result<Self> {
        let (inbox, inputs) = mpsc::unbounded_channel();
        let (orders, obeyed) = mpsc::unbounded_channel();
        let (tell, reports) = mpsc::unbounded_channel();
        let signals = Signals::listen()?;
        let mut core = core;
        if plane.adopted {
            // Whatever the plane routes by now, the next table is a newer one.
            core.model.table_version = core.model.table_version.max(plane.version + 1);
        }
        tokio::spawn(plane.direct(obeyed, tell));
        Ok(Self {
            core,
            strays: Vec::new(),
            journal,
            log,
            inputs,
            inbox,
            calls,
            orders,
            reports,
            signals,
            housekeeping: interval(HOUSEKEEPING),
            rounds: 0,
            stepped: true,
            actions: Vec::new(),
            answers: Vec::new(),
            published: None,
            closing: JoinSet::new(),
            ending: None,
        })
    }

    /// Runs until an orderly end is over.
    pub(super) async fn run(mut self) -> Result<(), EngineError> {
        loop {
            self.settle();
            if self.has_ended() {
                break;
            }
            match self.next().await {
                Event::Input(input) => {
                    self.step(input);
                    // What came meanwhile shares one write of the journal.
                    while let Ok(input) = self.inputs.try_recv() {
                        self.step(input);
                    }
                }
                Event::Report(report) => self.take_report(report),
                Event::Call((call, reply)) => {
                    let answer = answer(&mut self.core, &call);
                    self.answers.push((reply, answer));
                    self.step(Input::Tick);
                }
                Event::Signal(Asked::End) => self.begin_end(),
                Event::Signal(Asked::Reap) => self.reap(),
                Event::Signal(Asked::Nothing) => {}
                Event::Time => self.step(Input::Tick),
                Event::Housekeeping => self.keep_house(),
            }
        }
        while self.closing.join_next().await.is_some() {}
        self.log.say("ended in good order");
        record_end(&self.core.home)
    }

    async fn next(&mut self) -> Event {
        let due = wait_for_deadline(&self.core);
        tokio::select! {
            Some(input) = self.inputs.recv() => Event::Input(input),
            Some(report) = self.reports.recv() => Event::Report(report),
            Some(call) = self.calls.recv() => Event::Call(call),
            asked = self.signals.next() => Event::Signal(asked),
            () = due => Event::Time,
            _ = self.housekeeping.tick() => Event::Housekeeping,
        }
    }

    /// One input through the scheduler. What it asks for is done by [`Self::settle`].
    pub(super) fn step(&mut self, input: Input) {
        if self.ending.is_some()
            && let Some(service) = &mut self.core.model.service
        {
            service.desired_count = 0;
        }
        self.actions.extend(step(&mut self.core.model, input, source::now()));
        self.stepped = true;
    }

    /// Writes down what changed, then does what follows from it.
    fn settle(&mut self) {
        if std::mem::take(&mut self.stepped) {
            self.write_down();
        }
        for (reply, answer) in self.answers.drain(..) {
            // The caller may have hung up.
            let _ = reply.send(answer);
        }
        for action in std::mem::take(&mut self.actions) {
            self.act(action);
        }
        self.publish();
        for order in due_probes(&mut self.core.model, source::now()) {
            let inbox = self.inbox.clone();
            tokio::spawn(async move { inbox.send(prober::probe(order).await) });
        }
        self.finish_end();
    }

    fn write_down(&mut self) {
        let resume_count = self.ending.and_then(|ending| ending.resume_count);
        if let Err(error) = self.journal.save(&mut self.core.model, resume_count) {
            // Tasks are found again by their markers; not to serve because the disk is full would be worse.
            self.log.say(&format!("cannot write the state: {error}"));
            self.stepped = true;
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Start { task } => self.start(&task),
            Action::Terminate { task } => self.signal(&task, Signal::TERM),
            Action::Kill { task } => self.signal(&task, Signal::KILL),
            Action::Release { task } => self.release(&task),
        }
    }

    fn start(&mut self, id: &TaskId) {
        let input = match self.core.start(id) {
            Ok((process, address)) => {
                self.log.say(&format!("task {id} started (pid {}, {address})", process.pid));
                Input::Spawned { task: id.clone(), process, address }
            }
            Err(reason) => {
                self.log.say(&format!("task {id} cannot be started: {reason}"));
                Input::SpawnFailed { task: id.clone(), reason }
            }
        };
        self.tell_self(input);
        self.watch(id);
    }

    /// Reports the end of a task's process, if it has one: after its start was told, or the end would be lost.
    pub(super) fn watch(&self, id: &TaskId) {
        let Some(Live { handle, .. }) = self.core.tasks.get(id) else { return };
        let (handle, id, inbox) = (handle.clone(), id.clone(), self.inbox.clone());
        tokio::spawn(async move {
            let exit = handle.ended().await.unwrap_or(Exit::Unknown);
            inbox.send(Input::Exited { task: id, exit })
        });
    }

    fn signal(&self, id: &TaskId, signal: Signal) {
        match self.core.tasks.get(id) {
            Some(live) => live.handle.signal(signal),
            None => self.tell_self(Input::Exited { task: id.clone(), exit: Exit::Unknown }),
        }
    }

    fn release(&mut self, id: &TaskId) {
        self.core.ports.release(id);
        let (logs, home, folder) = (self.core.logs.clone(), self.core.home.clone(), self.core.home.task(&id.0));
        let exit = self.core.model.tasks.get(id).and_then(|task| task.exit);
        self.log.say(&format!("task {id} ended ({exit:?})"));
        let (live, id) = (self.core.tasks.remove(id), id.clone());
        self.closing.spawn(async move {
            // It reads the environment of every process of this machine: not on the actor's thread.
            let swept = id.clone();
            let _ = tokio::task::spawn_blocking(move || marker::sweep(home.folder(), &swept)).await;
            if let Some(live) = live {
                live.pumps.finish().await;
                logs.close(&id.0);
            }
            logs::remove_fifos(&folder);
        });
    }

    fn tell_self(&self, input: Input) {
        self.inbox.send(input).expect("this actor holds the receiver too");
    }

    fn take_report(&mut self, report: Report) {
        match report {
            Report::Acked(version) => self.step(Input::Acked { version }),
            Report::Idle(target) => self.step(Input::Idle { task: TaskId(target) }),
            Report::Counted(counters) => self.core.metrics.count(&counters, source::mono()),
            Report::Replaced { pid } => {
                self.log.say(&format!("a new data plane (pid {pid}) took over"));
                self.core.metrics.plane_started();
                self.step(Input::PlaneReset);
            }
            Report::Said(what) => self.log.say(&what),
            Report::Retired => self.ending.iter_mut().for_each(|ending| ending.retired = true),
        }
    }

    /// Publishes the routing table if it is not the one that was published last.
    fn publish(&mut self) {
        if let Some((address, listener)) = self.core.rebinding.take() {
            self.order(Order::Rebind { listener, address });
        }
        let model = &self.core.model;
        let version = model.table_version;
        if self.published == Some(version) {
            return self.dismiss_strays();
        }
        let routes = table(model);
        let serves = routes.iter().any(|route| !route.draining && route.healthy);
        let target = |route: gimmetime_scheduler::Route| TableTarget {
            id: route.task.0,
            address: route.address,
            draining: route.draining,
        };
        let mut targets: Vec<TableTarget> = routes.into_iter().map(target).collect();
        if !serves {
            targets.extend(self.strays.iter().map(Stray::target));
        }
        let algorithm = match model.place.algorithm {
            PlaceAlgorithm::RoundRobin => Algorithm::RoundRobin,
            PlaceAlgorithm::LeastOutstandingRequests => Algorithm::LeastOutstandingRequests,
        };
        self.published = Some(version);
        self.order(Order::Publish(Table { version, algorithm, targets }));
    }

    fn order(&self, order: Order) {
        // The director ends only after `Retire`, and then there is nothing to order.
        let _ = self.orders.send(order);
    }

    /// Once healthy tasks of the service are routed to, nothing is left for strays to do.
    fn dismiss_strays(&mut self) {
        let model = &self.core.model;
        let healthy = table(model).iter().any(|route| !route.draining && route.healthy);
        if self.ending.is_some() || healthy && model.table_version <= model.table_acked {
            for stray in self.strays.drain(..) {
                self.log.say(&format!("stopping stray task {}", stray.marked.task));
                self.closing.spawn(stray.stop());
            }
        }
    }

    /// SIGTERM. The first begins an orderly end; the second hurries it.
    fn begin_end(&mut self) {
        if self.ending.is_some() {
            self.log.say("told to end again: killing what still runs");
            return self.core.tasks.values().for_each(|live| live.handle.signal(Signal::KILL));
        }
        self.log.say("told to end: draining and stopping all tasks");
        let resume_count = self.core.model.service.as_ref().map(|service| service.desired_count);
        self.ending = Some(Ending { resume_count, retiring: false, retired: false });
        self.step(Input::Tick);
    }

    /// Retires the data plane once the last task is gone.
    fn finish_end(&mut self) {
        let idle = self.core.model.live_tasks().next().is_none();
        if let Some(ending) = &mut self.ending
            && idle
            && !ending.retiring
        {
            ending.retiring = true;
            self.order(Order::Retire);
        }
    }

    fn has_ended(&self) -> bool {
        self.ending.is_some_and(|ending| ending.retired)
    }

    /// Orphans of tasks that ended are ours; tasks themselves are reaped by whoever watches them.
    fn reap(&self) {
        let plane = self.core.home.plane().ok().flatten().map(|plane| plane.process.pid);
        let tasks = &self.core.tasks;
        process::reap_orphans(|pid| Some(pid) == plane || tasks.values().any(|live| live.handle.process.pid == pid));
    }

    fn keep_house(&mut self) {
        while self.closing.try_join_next().is_some() {}
        if self.rounds.is_multiple_of(PRUNING) {
            self.core.logs.prune();
        }
        self.rounds = self.rounds.wrapping_add(1);
        if let Err(error) = enginelog::bound(&self.core.home.engine_log()) {
            self.log.say(&format!("cannot bound the engine's log: {error}"));
        }
    }
}

fn wait_for_deadline(core: &Core) -> impl Future<Output = ()> + use<> {
    let now = source::now();
    let left = next_deadline(&core.model, now).map(|deadline| deadline.since(now.mono));
    async move {
        match left {
            Some(left) => sleep(left).await,
            None => std::future::pending().await,
        }
    }
}
