//! One request of a probe: over a kept connection if there is one, over a new one else.

use std::net::SocketAddr;
use std::time::Duration;

use gimmetime_clock::{Now, source};

use crate::http::{Connection, Fault, Limits, Reply};

/// What every request of a probe asks.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) host: String,
    pub(super) path: String,
    pub(super) timeout: Duration,
}

/// What came of it, and the connection if it may be used again.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) started: Now,
    pub(super) took: Duration,
    pub(super) result: Result<Reply, Fault>,
    pub(super) connection: Option<Connection>,
    /// A kept connection was found closed.
    pub(super) reconnected: bool,
    /// Addresses that could not be connected to.
    pub(super) unreached: Vec<SocketAddr>,
}

/// Asks over `kept`; if that was closed while idle, or there is none, over a new connection to the first of `addresses` that
/// accepts one. A kept connection is replaced once only, and only if no byte of a reply came: as browsers do, for a server may
/// close an idle connection at any time, and the request may cross the close on its way.
pub(super) async fn request(
    question: &Question,
    kept: Option<Connection>,
    addresses: Vec<SocketAddr>,
    started: Now,
) -> Outcome {
    let mut outcome = Outcome {
        started,
        took: Duration::ZERO,
        result: Err(Fault::ConnectTimeout(question.timeout)),
        connection: None,
        reconnected: false,
        unreached: Vec::new(),
    };
    let must_connect = match kept {
        None => true,
        Some(connection) => {
            ask(question, connection, &mut outcome).await;
            // Closed when the time was up: that was no idle connection, and there is no time to try another.
            let in_time = left(question, started) != Duration::ZERO;
            outcome.reconnected = in_time && outcome.result.as_ref().is_err_and(Fault::may_be_stale);
            outcome.reconnected
        }
    };
    if must_connect {
        match connect(question, &addresses, &mut outcome).await {
            Ok(connection) => ask(question, connection, &mut outcome).await,
            Err(fault) => outcome.result = Err(fault),
        }
    }
    outcome.took = source::mono().since(started.mono);
    outcome
}

/// Asks once, and keeps the connection if it may be used again.
async fn ask(question: &Question, mut connection: Connection, outcome: &mut Outcome) {
    let limits = Limits::within(left(question, outcome.started));
    let result = connection.get(&question.path, &question.host, &[], limits).await;
    // What counts is the whole time, not what was left of it.
    outcome.result = result.map_err(|fault| match fault {
        Fault::Timeout(_) => Fault::Timeout(question.timeout),
        other => other,
    });
    outcome.connection = outcome.result.is_ok().then_some(connection);
}

/// Tries the addresses one after the other, each with its share of the time left.
async fn connect(question: &Question, addresses: &[SocketAddr], outcome: &mut Outcome) -> Result<Connection, Fault> {
    let mut first = None;
    for (tried, address) in addresses.iter().enumerate() {
        let share = left(question, outcome.started) / (addresses.len() - tried) as u32;
        match Connection::open(*address, share).await {
            Ok(connection) => return Ok(connection),
            Err(fault) => {
                outcome.unreached.push(*address);
                first.get_or_insert(fault);
            }
        }
    }
    Err(first.unwrap_or_else(|| Fault::Unreachable("the host name has no address".to_owned())))
}

fn left(question: &Question, started: Now) -> Duration {
    question.timeout.saturating_sub(source::mono().since(started.mono))
}
