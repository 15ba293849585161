//! The data plane as a whole: what its tasks share, and its life from the first order to its retirement.

use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::access::{Files, Names, Queue};
use crate::counters::Counts;
use crate::director;
use crate::events::Event;
use crate::listener::Listener;
use crate::retry::Budget;
use crate::targets::Targets;
use crate::trace::Ids;

/// How often the access log is written and old connections are looked through.
const HOUSEKEEPING_EVERY: Duration = Duration::from_millis(250);
/// Descriptors for all that is not a connection.
const DESCRIPTORS_KEPT: u64 = 64;

/// A listener looks at its queue for a moment after it was closed; longer than that.
const LAST_ACCEPT: Duration = Duration::from_millis(30);

/// What can be set. The defaults are the ALB's but for the connect timeout.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the access log goes; `None` for nowhere.
    pub access_log: Option<PathBuf>,
    /// What the access log calls the load balancer: `app/NAME/ID`.
    pub load_balancer: String,
    /// What the access log calls the targets: an ARN.
    pub target_group: String,
    /// How long a connection may rest in the middle of something, and a client's between two requests.
    pub idle_timeout: Duration,
    /// How long a client's connection may live.
    pub client_keep_alive: Duration,
    /// How long a target on this machine may take to accept a connection.
    pub loopback_connect_timeout: Duration,
    /// How long any other target may take to.
    pub connect_timeout: Duration,
    /// Most clients at a time; fewer if the limit on open files is lower.
    pub connections_limit: u64,
    /// How long requests in flight may take after SIGTERM.
    pub grace: Duration,
    /// Threads that serve.
    pub threads: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            access_log: None,
            load_balancer: "-".to_owned(),
            target_group: "-".to_owned(),
            idle_timeout: Duration::from_mins(1),
            client_keep_alive: Duration::from_hours(1),
            loopback_connect_timeout: Duration::from_secs(1),
            connect_timeout: Duration::from_secs(10),
            connections_limit: 10_000,
            grace: Duration::from_secs(30),
            threads: 1,
        }
    }
}

/// What all tasks of the plane share.
#[derive(Debug)]
pub(crate) struct Plane {
    pub(crate) settings: Settings,
    pub(crate) counts: Counts,
    pub(crate) targets: Arc<Targets>,
    pub(crate) ids: Ids,
    pub(crate) log: Queue,
    budget: Mutex<Budget>,
    listeners: Mutex<Vec<Listener>>,
    connections_limit: u64,
    left: Notify,
    retiring: watch::Sender<Option<Instant>>,
}

/// One client among those admitted; leaves when dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<Plane>);

impl Plane {
    fn new(settings: Settings) -> Arc<Self> {
        let connections_limit = settings.connections_limit.min(connections_possible());
        let names =
            Names { load_balancer: settings.load_balancer.clone(), target_group: settings.target_group.clone() };
        Arc::new(Self {
            targets: Targets::new(settings.loopback_connect_timeout),
            settings,
            counts: Counts::default(),
            ids: Ids::new(),
            log: Queue::new(names),
            budget: Mutex::default(),
            listeners: Mutex::default(),
            connections_limit,
            left: Notify::new(),
            retiring: watch::Sender::new(None),
        })
    }

    /// The retries that are left.
    pub(crate) fn budget(&self) -> MutexGuard<'_, Budget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The open listeners.
    pub(crate) fn listeners(&self) -> MutexGuard<'_, Vec<Listener>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long a connection to `target` may take.
    pub(crate) fn connect_timeout(&self, target: SocketAddr) -> Duration {
        if target.ip().is_loopback() { self.settings.loopback_connect_timeout } else { self.settings.connect_timeout }
    }

    /// Room for one more client, unless there are too many.
    pub(crate) fn admit(self: &Arc<Self>) -> Option<Place> {
        if self.connections_limit <= self.counts.active_connections.get() {
            return None;
        }
        self.counts.active_connections.up();
        Some(Place(Arc::clone(self)))
    }

    /// Accepts nobody any more, and ends once all is answered, at the latest after `grace`.
    pub(crate) fn retire(&self, grace: Duration) {
        Event::Retiring { grace_ms: u64::try_from(grace.as_millis()).unwrap_or(u64::MAX) }.emit();
        for listener in self.listeners().drain(..) {
            listener.close();
        }
        let deadline = Instant::now() + grace;
        self.retiring.send_modify(|known| *known = Some(known.map_or(deadline, |known| known.min(deadline))));
    }

    /// Returns once the plane has retired.
    async fn retired(&self) {
        let mut retiring = self.retiring.subscribe();
        // The sender lives in `self`: the wait cannot fail.
        let _ = retiring.wait_for(Option::is_some).await;
        // What waits in the accept queue counts among those to be answered.
        tokio::time::sleep(LAST_ACCEPT).await;
        loop {
            let Some(deadline) = *retiring.borrow_and_update() else { return };
            let left = self.left.notified();
            if self.counts.active_connections.get() == 0 || deadline <= Instant::now() {
                return;
            }
            tokio::select! {
                () = left => {}
                _ = retiring.changed() => {}
                () = sleep_until(deadline) => {}
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.0.counts.active_connections.down() == 0 {
            self.0.left.notify_waiters();
        }
    }
}

/// Serves until retired. `control` is where directors connect.
pub(crate) async fn serve(control: UnixListener, settings: Settings) -> io::Result<()> {
    let files = settings.access_log.as_deref().map(Files::open).transpose()?;
    let plane = Plane::new(settings);
    retire_on_terminate(&plane)?;
    let directors = tokio::spawn(director::listen(Arc::clone(&plane), control));
    Event::Started { pid: std::process::id(), connections_limit: plane.connections_limit }.emit();
    let mut writer = Writer { files };
    {
        let mut retired = std::pin::pin!(plane.retired());
        let mut housekeeping = interval(HOUSEKEEPING_EVERY);
        housekeeping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = retired.as_mut() => break,
                _ = housekeeping.tick() => {
                    plane.targets.sweep(Instant::now());
                    writer = writer.write(&plane).await;
                }
            }
        }
    }
    let (connections_cut, requests_cut) = (plane.counts.active_connections.get(), plane.counts.in_flight.get());
    directors.abort();
    writer.write(&plane).await;
    Event::Retired { connections_cut, requests_cut }.emit();
    Ok(())
}

/// Retires at SIGTERM.
fn retire_on_terminate(plane: &Arc<Plane>) -> io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let plane = Arc::clone(plane);
    tokio::spawn(async move {
        while terminate.recv().await.is_some() {
            plane.retire(plane.settings.grace);
        }
    });
    Ok(())
}

/// The access log's files, while they can be written.
struct Writer {
    files: Option<Files>,
}

impl Writer {
    /// Writes what waits, on a thread that may block.
    async fn write(mut self, plane: &Plane) -> Self {
        let waiting = plane.log.take();
        if 0 < waiting.dropped {
            Event::AccessLogDropped { entries: waiting.dropped }.emit();
        }
        if waiting.text.is_empty() {
            return self;
        }
        let written = tokio::task::spawn_blocking(move || {
            let written = self.files.as_mut().map_or(Ok(()), |files| files.write(&waiting.text));
            if let Err(error) = written {
                Event::AccessLogFailed { error: error.to_string() }.emit();
            }
            self
        });
        written.await.expect("writing a log line does not panic")
    }
}

/// How many clients the limit on open files allows, each with a connection to a target. Raises the limit as far as it may.
fn connections_possible() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    // What cannot be raised stays as it is.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    (files.saturating_sub(DESCRIPTORS_KEPT) / 2).max(1)
}
