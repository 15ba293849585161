//! The targets of the routing table: who may get the next request, who has requests in flight, who drains.
//!
//! A table is applied and a target chosen under one lock, so that from the moment a table is acknowledged every choice is made
//! by it. A target that leaves keeps its requests in flight and gets no new one; once it is idle the director is told.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::balance::{self, Candidate};
use crate::control::{Algorithm, Table, TableTarget};
use crate::pool::{self, Pool};

/// How often a target whose connections were refused is tried again.
const REPROBE_EVERY: Duration = Duration::from_millis(100);

/// One target: its connections, and how it stands.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) id: String,
    pub(crate) address: SocketAddr,
    pub(crate) pool: Pool,
    in_flight: AtomicUsize,
    ejected: AtomicBool,
    leaving: AtomicBool,
}

/// All targets, and the table they stand in.
#[derive(Debug)]
pub(crate) struct Targets {
    routing: Mutex<Routing>,
    became_idle: Notify,
    connect_timeout: Duration,
}

#[derive(Debug)]
struct Routing {
    version: u64,
    algorithm: Algorithm,
    serving: Vec<Arc<Target>>,
    leaving: VecDeque<Leaving>,
    cursor: usize,
}

/// A target that drains or has left the table.
#[derive(Debug)]
struct Leaving {
    target: Arc<Target>,
    version: u64,
    listed: bool,
    told: bool,
}

/// One request in flight to a target; it counts as long as this lives.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) target: Arc<Target>,
    targets: Arc<Targets>,
}

impl Target {
    fn new(wanted: &TableTarget) -> Self {
        Self {
            id: wanted.id.clone(),
            address: wanted.address,
            pool: Pool::new(),
            in_flight: AtomicUsize::new(0),
            ejected: AtomicBool::new(false),
            leaving: AtomicBool::new(false),
        }
    }

    /// It gets no new requests.
    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::SeqCst)
    }

    fn is_idle(&self) -> bool {
        self.in_flight.load(Ordering::SeqCst) == 0
    }

    fn leave(&self) {
        self.leaving.store(true, Ordering::SeqCst);
        self.pool.close();
    }

    fn serve(&self) {
        self.leaving.store(false, Ordering::SeqCst);
        self.pool.open();
    }
}

impl Targets {
    pub(crate) fn new(connect_timeout: Duration) -> Arc<Self> {
        let routing = Routing {
            version: 0,
            algorithm: Algorithm::RoundRobin,
            serving: Vec::new(),
            leaving: VecDeque::new(),
            cursor: 0,
        };
        Arc::new(Self { routing: Mutex::new(routing), became_idle: Notify::new(), connect_timeout })
    }

    /// The version of the table that requests are routed by; 0 before the first.
    pub(crate) fn version(&self) -> u64 {
        self.lock().version
    }

    /// Routes by `table` from now on.
    pub(crate) fn apply(&self, table: &Table) {
        let mut routing = self.lock();
        let mut known: Vec<Leaving> = routing.leaving.drain(..).collect();
        let version = table.version;
        let serving = std::mem::take(&mut routing.serving);
        known.extend(serving.into_iter().map(|target| Leaving { target, version, listed: false, told: false }));
        for wanted in &table.targets {
            let found = known.iter().position(|old| old.target.id == wanted.id && old.target.address == wanted.address);
            let mut entry = match found {
                Some(index) => known.swap_remove(index),
                None => Leaving { target: Arc::new(Target::new(wanted)), version, listed: true, told: false },
            };
            if wanted.draining {
                entry.listed = true;
                entry.target.leave();
                routing.leaving.push_back(entry);
            } else {
                entry.target.serve();
                routing.serving.push(entry.target);
            }
        }
        for mut gone in known {
            gone.listed = false;
            gone.target.leave();
            routing.leaving.push_back(gone);
        }
        routing.version = version;
        routing.algorithm = table.algorithm;
        self.became_idle.notify_one();
    }

    /// The target for the next request, of those not in `tried`; it has the request in flight from now on.
    pub(crate) fn choose(self: &Arc<Self>, tried: &[Arc<Target>]) -> Option<Lease> {
        let mut routing = self.lock();
        if tried.is_empty() {
            // A repeated request does not use up a turn: else a failing target of two would be first in every turn.
            routing.cursor = routing.cursor.wrapping_add(1);
        }
        let candidates = routing.serving.iter().map(|target| Candidate {
            in_flight: target.in_flight.load(Ordering::Relaxed),
            ejected: target.ejected.load(Ordering::Relaxed),
            tried: tried.iter().any(|other| Arc::ptr_eq(other, target)),
        });
        let index = balance::choose(routing.algorithm, routing.cursor, candidates)?;
        let target = Arc::clone(&routing.serving[index]);
        target.in_flight.fetch_add(1, Ordering::SeqCst);
        Some(Lease { target, targets: Arc::clone(self) })
    }

    /// Takes the target out of the choice until a connection to it is made again. Needs the runtime.
    pub(crate) fn eject(&self, target: &Arc<Target>) {
        if !target.ejected.swap(true, Ordering::Relaxed) {
            tokio::spawn(reprobe(Arc::downgrade(target), self.connect_timeout));
        }
    }

    /// Waits until [`Targets::take_idle`] may have something new.
    pub(crate) async fn idle_may_have_changed(&self) {
        self.became_idle.notified().await;
    }

    /// The leaving targets that have become idle and of which nobody was told, with the version that made them leave.
    pub(crate) fn take_idle(&self) -> Vec<(String, u64)> {
        let mut routing = self.lock();
        let mut idle = Vec::new();
        for leaving in routing.leaving.iter_mut().filter(|leaving| !leaving.told && leaving.target.is_idle()) {
            leaving.told = true;
            idle.push((leaving.target.id.clone(), leaving.version));
        }
        routing.leaving.retain(|leaving| leaving.listed || !leaving.told);
        idle
    }

    /// Makes [`Targets::take_idle`] tell of all idle targets again: a new director has not heard of them.
    pub(crate) fn forget_told(&self) {
        self.lock().leaving.iter_mut().for_each(|leaving| leaving.told = false);
        self.became_idle.notify_one();
    }

    /// Closes connections that have waited too long.
    pub(crate) fn sweep(&self, now: Instant) {
        self.lock().serving.iter().for_each(|target| target.pool.sweep(now));
    }

    fn lock(&self) -> MutexGuard<'_, Routing> {
        self.routing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let was_last = self.target.in_flight.fetch_sub(1, Ordering::SeqCst) == 1;
        if was_last && self.target.is_leaving() {
            self.targets.became_idle.notify_one();
        }
    }
}

/// Tries to connect until it succeeds, or the target is gone or leaving.
async fn reprobe(target: Weak<Target>, limit: Duration) {
    loop {
        tokio::time::sleep(REPROBE_EVERY).await;
        let Some(target) = target.upgrade() else { return };
        if target.is_leaving() {
            // Should it come back, the next refusal ejects it again.
            target.ejected.store(false, Ordering::Relaxed);
            return;
        }
        if let Ok(sender) = pool::connect(target.address, limit).await {
            target.pool.put(sender);
            target.ejected.store(false, Ordering::Relaxed);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(version: u64, targets: &[(&str, bool)]) -> Table {
        let targets = targets
            .iter()
            .zip(1..)
            .map(|((id, draining), port)| TableTarget {
                id: (*id).to_owned(),
                address: SocketAddr::from(([127, 0, 0, 1], port)),
                draining: *draining,
            })
            .collect();
        Table { version, algorithm: Algorithm::RoundRobin, targets }
    }

    fn targets() -> Arc<Targets> {
        Targets::new(Duration::from_secs(1))
    }

    #[test]
    fn without_a_table_nobody_is_chosen() {
        assert!(targets().choose(&[]).is_none());
    }

    #[test]
    fn a_draining_target_is_told_idle_once_its_last_request_ends() {
        let targets = targets();
        targets.apply(&table(1, &[("a", false), ("b", false)]));
        let held: Vec<Lease> = (0..2).filter_map(|_| targets.choose(&[])).collect();
        assert_eq!(held.len(), 2);
        targets.apply(&table(2, &[("a", true), ("b", false)]));
        assert_eq!(targets.take_idle(), []);
        for _ in 0..10 {
            assert_eq!(targets.choose(&[]).unwrap().target.id, "b");
        }
        drop(held);
        assert_eq!(targets.take_idle(), [("a".to_owned(), 2)]);
        assert_eq!(targets.take_idle(), []);
    }

    #[test]
    fn a_new_director_hears_of_idle_targets_again() {
        let targets = targets();
        targets.apply(&table(7, &[("a", true)]));
        assert_eq!(targets.take_idle(), [("a".to_owned(), 7)]);
        targets.forget_told();
        targets.apply(&table(8, &[("a", true)]));
        assert_eq!(targets.take_idle(), [("a".to_owned(), 7)]);
    }

    #[test]
    fn a_target_absent_from_the_table_drains_and_is_forgotten() {
        let targets = targets();
        targets.apply(&table(1, &[("a", false)]));
        let lease = targets.choose(&[]).unwrap();
        targets.apply(&table(2, &[]));
        assert!(targets.choose(&[]).is_none());
        drop(lease);
        assert_eq!(targets.take_idle(), [("a".to_owned(), 2)]);
        targets.forget_told();
        assert_eq!(targets.take_idle(), []);
    }

    #[test]
    fn a_target_that_comes_back_serves_again_and_can_drain_again() {
        let targets = targets();
        targets.apply(&table(1, &[("a", true)]));
        assert_eq!(targets.take_idle(), [("a".to_owned(), 1)]);
        targets.apply(&table(2, &[("a", false)]));
        assert!(targets.choose(&[]).is_some());
        targets.apply(&table(3, &[("a", true)]));
        assert_eq!(targets.take_idle(), [("a".to_owned(), 3)]);
    }

    #[test]
    fn a_tried_target_is_excluded() {
        let targets = targets();
        targets.apply(&table(1, &[("a", false), ("b", false)]));
        let first = targets.choose(&[]).unwrap();
        let second = targets.choose(std::slice::from_ref(&first.target)).unwrap();
        assert_ne!(first.target.id, second.target.id);
        assert!(targets.choose(&[Arc::clone(&first.target), Arc::clone(&second.target)]).is_none());
    }
}
