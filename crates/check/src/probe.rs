//! The watch over a rollout: asks at a steady rate, whatever becomes of the requests before (open loop), and keeps account.
//!
//! A slow service is asked as often as a fast one, so that what it does to its users is seen. Everything is owned by one task,
//! which starts each request and takes back each outcome: nothing is counted twice or lost.

mod request;
mod tally;

pub use tally::Tally;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gimmetime_clock::{Interval, Mono, Now, source};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::MissedTickBehavior;

use crate::estimate::{Estimate, absorb};
use crate::http::Connection;
use crate::sample::{Anchor, Sample, Steadiness, readings};
use crate::url::{ConnectTo, ResolveError, Url};
use crate::verdict::{LIMIT, worst};
use request::{Outcome, Question, request};
use tally::Fate;

/// Requests under way; one more is counted as unverified. Each may need a descriptor.
const MAX_OUTSTANDING: usize = 1024;
/// Idle connections kept to one address.
const MAX_IDLE: usize = 64;
/// Instances whose clock is followed.
const MAX_INSTANCES: usize = 256;
/// A balancer's addresses change: they are asked for again this often, and at once (but not faster) when one fails.
const RESOLVE_EVERY: Duration = Duration::from_secs(30);
const RESOLVE_AFTER_FAULT: Duration = Duration::from_secs(1);
/// An address that refused is left out this long while there are others.
const SHUN: Duration = Duration::from_secs(5);
/// Rates from one in a hundred seconds to this are kept.
const MAX_RATE: f64 = 10_000.0;

/// What to watch.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbePlan {
    /// Asked with GET; must be safe to repeat. Any 2xx or 3xx is success.
    pub url: Url,
    /// Where to connect instead of the URL's own host and port.
    pub connect_to: Option<ConnectTo>,
    /// Requests a second, 0.01 to 10,000.
    pub rate: f64,
    /// For one request, connecting included.
    pub timeout: Duration,
    /// Whether to follow the clocks of replies that bear a time; one that bears none is no failure.
    pub judge_clock: bool,
}

/// A probe at work. Dropped, it stops at once, and requests under way are not counted.
#[derive(Debug)]
pub struct ProbeHandle {
    stop: Option<oneshot::Sender<()>>,
    begun: oneshot::Receiver<()>,
    pacer: JoinHandle<()>,
    account: Arc<Mutex<Account>>,
}

/// Starts a probe on the current tokio runtime; the first request is due at once.
pub fn start_probe(plan: ProbePlan) -> ProbeHandle {
    let (stop, stopped) = oneshot::channel();
    let (tell_begun, begun) = oneshot::channel();
    let anchor = Anchor::new(std::iter::repeat_with(source::now).take(5));
    let account = Account { tally: Tally::default(), estimates: Vec::new(), anchor, judge_clock: plan.judge_clock };
    let account = Arc::new(Mutex::new(account));
    let pacer = Pacer::new(plan, tell_begun, Arc::clone(&account));
    ProbeHandle { stop: Some(stop), begun, pacer: tokio::spawn(pacer.run(stopped)), account }
}

impl ProbeHandle {
    /// The account of all requests whose outcome is known now.
    pub fn snapshot(&self) -> Tally {
        lock(&self.account).statement()
    }

    /// Waits until the outcome of a first request is known: what is done after that, the probe sees from its first moment
    /// on. It takes at most the limit of a name's resolution and the plan's timeout.
    pub async fn begun(&mut self) {
        if !self.begun.is_terminated() {
            // A pacer that panicked tells nothing more.
            let _ = (&mut self.begun).await;
        }
    }

    /// Sends no more, waits for the requests under way (at most the plan's timeout), and gives the whole account.
    pub async fn finish(mut self) -> Tally {
        self.stop.take();
        // A pacer that panicked has left an account of all it counted.
        let _ = (&mut self.pacer).await;
        self.snapshot()
    }
}

impl Drop for ProbeHandle {
    fn drop(&mut self) {
        self.pacer.abort();
    }
}

/// What is shared with the handle: the books.
#[derive(Debug)]
struct Account {
    tally: Tally,
    estimates: Vec<Estimate>,
    anchor: Anchor,
    judge_clock: bool,
}

impl Account {
    fn statement(&self) -> Tally {
        let mut tally = self.tally.clone();
        tally.summarize();
        tally.clock = self.estimates.iter().map(Estimate::interval).reduce(Interval::hull);
        tally.clock_verdict = worst(&self.estimates, LIMIT);
        tally
    }

    fn settle(&mut self, outcome: &Outcome, peer: Option<SocketAddr>) {
        let fate = match &outcome.result {
            Ok(reply) if reply.is_success() => Fate::Answered(outcome.took),
            Ok(reply) => Fate::Failed(format!("answered {}", reply.status)),
            Err(fault) if fault.before_connect() => Fate::Unverified(fault.to_string()),
            Err(fault) => Fate::Failed(fault.to_string()),
        };
        self.tally.reconnected += u64::from(outcome.reconnected);
        self.tally.count(outcome.started.wall, fate);
        if let (true, Some(peer)) = (self.judge_clock, peer) {
            self.follow_clock(outcome, peer);
        }
    }

    fn follow_clock(&mut self, outcome: &Outcome, peer: SocketAddr) {
        let Some(reply) = outcome.result.as_ref().ok().filter(|reply| reply.is_success()) else { return };
        let Ok(sample) = Sample::of(reply, &readings(reply), peer) else { return };
        let moved = match self.anchor.observe(reply.sent, reply.done) {
            Steadiness::Disturbed => return,
            Steadiness::Steady(moved) => moved,
            Steadiness::Stepped => {
                self.estimates.clear();
                Duration::ZERO
            }
        };
        let is_known = self.estimates.iter().any(|known| known.instance == sample.instance);
        if is_known || self.estimates.len() < MAX_INSTANCES {
            absorb(&mut self.estimates, &Sample { interval: sample.interval.widen(moved), ..sample });
        }
    }
}

/// One address of the service.
#[derive(Debug)]
struct Node {
    address: SocketAddr,
    idle: Vec<Connection>,
    shunned_until: Mono,
}

enum Event {
    Outcome(Box<Outcome>, Option<SocketAddr>),
    Resolved(Result<Vec<SocketAddr>, ResolveError>),
}

struct Pacer {
    url: Url,
    connect_to: Option<ConnectTo>,
    period: Duration,
    question: Arc<Question>,
    account: Arc<Mutex<Account>>,
    nodes: Vec<Node>,
    /// The node whose turn it is.
    turn: usize,
    running: JoinSet<Event>,
    outstanding: usize,
    resolving: bool,
    resolved_at: Mono,
    /// Why there are no nodes.
    unresolved: String,
    /// To be told of the first request that is counted.
    tell_begun: Option<oneshot::Sender<()>>,
}

impl Pacer {
    fn new(plan: ProbePlan, tell_begun: oneshot::Sender<()>, account: Arc<Mutex<Account>>) -> Self {
        let rate = if plan.rate.is_finite() { plan.rate.clamp(0.01, MAX_RATE) } else { 1.0 };
        let question = Question { host: plan.url.authority(), path: plan.url.path.clone(), timeout: plan.timeout };
        Self {
            url: plan.url,
            connect_to: plan.connect_to,
            period: Duration::from_secs_f64(1.0 / rate),
            question: Arc::new(question),
            account,
            nodes: Vec::new(),
            turn: 0,
            running: JoinSet::new(),
            outstanding: 0,
            resolving: false,
            resolved_at: Mono::ZERO,
            unresolved: String::new(),
            tell_begun: Some(tell_begun),
        }
    }

    async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        let first = self.url.addresses(self.connect_to.as_ref()).await;
        self.take_addresses(first, source::mono());
        let mut ticks = tokio::time::interval(self.period);
        // Open loop: what was due while this task could not run is sent late, not left out.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        loop {
            tokio::select! {
                biased;
                Some(event) = self.running.join_next() => self.take(event.ok()),
                _ = &mut stopped => break,
                _ = ticks.tick() => self.send(source::now()),
            }
            if self.tell_begun.is_some() && lock(&self.account).tally.requests != 0 {
                // Nobody need be waiting.
                let _ = self.tell_begun.take().map(|tell| tell.send(()));
            }
        }
        while self.outstanding != 0 {
            let event = self.running.join_next().await.expect("every outstanding request is a running task");
            self.take(event.ok());
        }
    }

    /// One request is due.
    fn send(&mut self, now: Now) {
        self.resolve_again(now.mono, RESOLVE_EVERY);
        if self.nodes.is_empty() || MAX_OUTSTANDING <= self.outstanding {
            let words = if self.nodes.is_empty() {
                self.unresolved.clone()
            } else {
                format!("{MAX_OUTSTANDING} requests are under way, no more are begun")
            };
            lock(&self.account).tally.count(now.wall, Fate::Unverified(words));
            return self.resolve_again(now.mono, RESOLVE_AFTER_FAULT);
        }
        let turn = self.next_turn(now.mono);
        let kept = self.nodes[turn].idle.pop();
        let (kept, found_closed) = match kept {
            Some(connection) if connection.is_reusable() => (Some(connection), false),
            other => (None, other.is_some()),
        };
        let addresses: Vec<_> =
            (0..self.nodes.len()).map(|n| self.nodes[(turn + n) % self.nodes.len()].address).collect();
        let question = Arc::clone(&self.question);
        self.outstanding += 1;
        self.running.spawn(async move {
            let mut outcome = request(&question, kept, addresses, now).await;
            outcome.reconnected |= found_closed;
            let peer = outcome.connection.as_ref().map(Connection::peer);
            Event::Outcome(Box::new(outcome), peer)
        });
    }

    /// Round robin over the addresses, leaving out those that refused lately unless all did.
    fn next_turn(&mut self, now: Mono) -> usize {
        let count = self.nodes.len();
        let turns = (0..count).map(|n| (self.turn + n) % count);
        let turn = turns.clone().find(|turn| self.nodes[*turn].shunned_until <= now).unwrap_or(self.turn % count);
        self.turn = (turn + 1) % count;
        turn
    }

    fn take(&mut self, event: Option<Event>) {
        match event {
            Some(Event::Outcome(outcome, peer)) => self.take_outcome(*outcome, peer),
            Some(Event::Resolved(result)) => {
                self.resolving = false;
                self.take_addresses(result, source::mono());
            }
            None => {
                // A request that panicked; what it was about is lost, but not that it was.
                self.outstanding = self.outstanding.saturating_sub(1);
                let fate = Fate::Unverified("the probe itself failed".to_owned());
                lock(&self.account).tally.count(source::wall(), fate);
            }
        }
    }

    fn take_outcome(&mut self, mut outcome: Outcome, peer: Option<SocketAddr>) {
        self.outstanding -= 1;
        lock(&self.account).settle(&outcome, peer);
        let now = source::mono();
        if !outcome.unreached.is_empty() {
            for node in self.nodes.iter_mut().filter(|node| outcome.unreached.contains(&node.address)) {
                node.shunned_until = now.plus(SHUN);
            }
            self.resolve_again(now, RESOLVE_AFTER_FAULT);
        }
        let Some(connection) = outcome.connection.take() else { return };
        let node = self.nodes.iter_mut().find(|node| node.address == connection.peer());
        if let Some(node) = node.filter(|node| node.idle.len() < MAX_IDLE && connection.is_reusable()) {
            node.idle.push(connection);
        }
    }

    fn resolve_again(&mut self, now: Mono, after: Duration) {
        if self.resolving || now.since(self.resolved_at) < after {
            return;
        }
        self.resolving = true;
        let (url, connect_to) = (self.url.clone(), self.connect_to.clone());
        self.running.spawn(async move { Event::Resolved(url.addresses(connect_to.as_ref()).await) });
    }

    /// Takes over what the resolver says now; what it no longer says is asked no more. Without an answer nothing changes.
    fn take_addresses(&mut self, result: Result<Vec<SocketAddr>, ResolveError>, now: Mono) {
        self.resolved_at = now;
        match result {
            Err(error) => self.unresolved = error.to_string(),
            Ok(addresses) => {
                self.nodes.retain(|node| addresses.contains(&node.address));
                for address in addresses {
                    if !self.nodes.iter().any(|node| node.address == address) {
                        self.nodes.push(Node { address, idle: Vec::new(), shunned_until: Mono::ZERO });
                    }
                }
            }
        }
    }
}

fn lock(account: &Mutex<Account>) -> MutexGuard<'_, Account> {
    account.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
