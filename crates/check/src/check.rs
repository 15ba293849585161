//! One examination of a service's clocks: asks until each instance behind the address has been seen and judged.
//!
//! The first request goes at once to every address. With stamps a handful more follows, until no new instance turns up; with
//! whole seconds only, the next ones are aimed (see `aim`), and a good clock is certified by the first.

mod run;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gimmetime_clock::{Interval, KernelClock, Mono, Offset, source};
use tokio::task::JoinSet;

use crate::http::{Connection, Fault, Limits, Reply};
use crate::sample::{Instance, SampleError};
use crate::url::{ConnectTo, ResolveError, Url};
use crate::verdict::{LIMIT, Verdict};
use run::Run;

/// How hard to look.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// How far a clock may be off.
    pub limit: Offset,
    /// For one request, connecting included.
    pub timeout: Duration,
    /// For all of it.
    pub budget: Duration,
    /// Requests in all.
    pub max_requests: u32,
    /// Requests at the same time to one address.
    pub connections: usize,
    /// How many instances there are, if that is known: looking stops when all were seen, and fewer are not Ok.
    pub expected_instances: Option<usize>,
    /// Where to connect instead of the URL's own host and port.
    pub connect_to: Option<ConnectTo>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limit: LIMIT,
            timeout: Duration::from_secs(5),
            budget: Duration::from_secs(10),
            max_requests: 128,
            connections: 4,
            expected_instances: None,
            connect_to: None,
        }
    }
}

/// What was found. Offsets are against the clock of this machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// On everything: the worst instance; not Ok if a request failed or fewer instances than expected were seen.
    pub verdict: Verdict,
    /// The limit it was judged by.
    pub limit: Offset,
    /// Each clock seen, in the order of appearance; at least one.
    pub instances: Vec<InstanceReport>,
    /// As in the options.
    pub expected_instances: Option<usize>,
    /// Requests sent, or tried to send.
    pub requests: u32,
    /// Of these, how many brought no time although the service was reached.
    pub failed: u32,
    /// What happened to the first of them.
    pub failures: Vec<String>,
    /// Addresses that could not be connected to, while others could.
    pub unreached: Vec<(SocketAddr, Fault)>,
    /// From the first to the last.
    pub elapsed: Duration,
    /// Whether the clock of this machine was stepped meanwhile; what was learned before is then discarded.
    pub own_step: bool,
    /// What the kernel knows of the clock of this machine.
    pub own: KernelClock,
}

/// One clock behind the address.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceReport {
    /// Its id, or the address if it gives none.
    pub instance: Instance,
    /// Holds its offset from our clock.
    pub interval: Interval,
    /// On it alone.
    pub verdict: Verdict,
    /// Replies it is made of.
    pub samples: u64,
    /// The shortest round trip.
    pub round_trip: Duration,
    /// How often it contradicted itself.
    pub contradictions: u64,
}

impl Report {
    /// Holds the offset of every instance: the worst case.
    pub fn hull(&self) -> Interval {
        let intervals = self.instances.iter().map(|instance| instance.interval);
        intervals.reduce(Interval::hull).expect("a report has an instance")
    }
}

/// Why nothing can be said of the clock.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// The host name leads nowhere.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// No reply from any address; the fault of the first.
    #[error("no answer from {address}: {fault}")]
    Unreachable {
        /// Who was asked.
        address: SocketAddr,
        /// What happened.
        fault: Fault,
    },
    /// A reply that is not 2xx.
    #[error("{address} answered {status} instead of the time: `{}`", excerpt(body))]
    Status {
        /// Who answered.
        address: SocketAddr,
        /// The status code.
        status: u16,
        /// The body, up to its limit.
        body: String,
    },
    /// A reply that is no time.
    #[error("{address} answered no Unix time of ten digits: `{}`", excerpt(body))]
    NotNumber {
        /// Who answered.
        address: SocketAddr,
        /// The body, up to its limit.
        body: String,
    },
    /// A reply that proves nothing.
    #[error("the answer of {address} proves nothing: {reason}")]
    Unusable {
        /// Who answered.
        address: SocketAddr,
        /// Why.
        reason: SampleError,
    },
    /// Our own clock would not stand still long enough.
    #[error("the clock of this machine was stepped during every exchange: check it first")]
    OwnClock,
}

/// Examines the clocks behind `url`. Returns a report if at least one reply bore a time; takes `options.budget` at most, and
/// one request's timeout more.
pub async fn check(url: &Url, options: &Options) -> Result<Report, CheckError> {
    let started = source::now();
    let addresses = url.addresses(options.connect_to.as_ref()).await?;
    let mut run = Run::new(options.clone(), addresses, started, std::iter::repeat_with(source::now).take(5));
    let question = Arc::new(Question { host: url.authority(), path: url.path.clone(), timeout: options.timeout });
    let mut idle: Vec<Connection> = Vec::new();
    while let Some(round) = run.next(source::now()) {
        let mut asked = JoinSet::new();
        for address in round.addresses {
            let at = idle.iter().position(|connection| connection.peer() == address);
            let kept = at.map(|at| idle.swap_remove(at)).filter(Connection::is_reusable);
            asked.spawn(ask(address, kept, Arc::clone(&question), round.not_before));
        }
        while let Some(answer) = asked.join_next().await {
            let (address, connection, result) = answer.expect("asking neither panics nor is it cancelled");
            run.learn(address, result);
            idle.extend(connection);
        }
    }
    run.report(source::now(), source::kernel_clock())
}

struct Question {
    host: String,
    path: String,
    timeout: Duration,
}

type Answer = (SocketAddr, Option<Connection>, Result<Reply, Fault>);

/// Connects if need be, waits for the moment, and asks.
async fn ask(
    address: SocketAddr,
    kept: Option<Connection>,
    question: Arc<Question>,
    not_before: Option<Mono>,
) -> Answer {
    let mut connection = match kept {
        Some(connection) => connection,
        None => match Connection::open(address, question.timeout).await {
            Ok(connection) => connection,
            Err(fault) => return (address, None, Err(fault)),
        },
    };
    if let Some(moment) = not_before {
        wait_until(moment).await;
    }
    let limits = Limits::within(question.timeout);
    let result = connection.get(&question.path, &question.host, &[("Cache-Control", "no-cache")], limits).await;
    let kept = result.is_ok().then_some(connection);
    (address, kept, result)
}

/// Timers wake up to a millisecond or two late; an aimed request is worth spending the last stretch awake.
async fn wait_until(moment: Mono) {
    let early = Duration::from_millis(3);
    tokio::time::sleep(moment.since(source::mono()).saturating_sub(early)).await;
    while source::mono() < moment {
        tokio::task::yield_now().await;
    }
}

/// Characters of a reply's body that an error shows.
const EXCERPT: usize = 60;

/// The beginning of a body on one line, as it is but for characters that would move or paint what is around them.
fn excerpt(body: &str) -> String {
    let shown = |c: char| match c {
        c if c.is_whitespace() => ' ',
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    let line: String = body.trim().chars().take(EXCERPT).map(shown).collect();
    if body.trim().chars().nth(EXCERPT).is_some() { format!("{line}…") } else { line }
}

#[cfg(test)]
mod tests;
