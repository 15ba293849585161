//! Connections to one target that wait for the next request: last in, first out, so that what is not needed grows old.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::body::Upload;
use crate::retry::learned_idle_limit;

/// A connection to a target, ready for one request at a time.
pub(crate) type Sender = SendRequest<Upload>;

/// How long a connection may wait; shorter than the idle timeout of common servers, but for those we learn from.
const IDLE_LIMIT: Duration = Duration::from_secs(30);
/// Most connections that wait per target.
const WAITING_LIMIT: usize = 256;
/// A longer response head is a bad gateway; the ALB's limit.
const RESPONSE_HEAD_LIMIT: usize = 32 * 1024;

/// Why a target cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreachable {
    /// Nobody listens, or no route.
    Refused,
    /// It did not answer in time.
    Timeout,
}

/// The waiting connections of one target.
#[derive(Debug)]
pub(crate) struct Pool {
    waiting: Mutex<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    connections: Vec<(Sender, Instant)>,
    closed: bool,
    limit: Duration,
}

impl Pool {
    pub(crate) fn new() -> Self {
        let waiting = Waiting { connections: Vec::new(), closed: false, limit: IDLE_LIMIT };
        Self { waiting: Mutex::new(waiting) }
    }

    /// A connection that waited, and is open as far as we know.
    pub(crate) async fn take(&self) -> Option<Sender> {
        loop {
            let (mut sender, _) = self.lock().connections.pop()?;
            if sender.is_ready() || (!sender.is_closed() && sender.ready().await.is_ok()) {
                return Some(sender);
            }
        }
    }

    /// Keeps a connection for the next request; closes it if the pool is closed or full.
    pub(crate) fn put(&self, sender: Sender) {
        let mut waiting = self.lock();
        if !waiting.closed && !sender.is_closed() && waiting.connections.len() < WAITING_LIMIT {
            waiting.connections.push((sender, Instant::now()));
        }
    }

    /// Closes what waits, and keeps nothing from now on.
    pub(crate) fn close(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        waiting.connections = Vec::new();
    }

    /// Keeps connections again.
    pub(crate) fn open(&self) {
        self.lock().closed = false;
    }

    /// Closes what has waited too long, and learns from what the target closed first.
    pub(crate) fn sweep(&self, now: Instant) {
        let mut waiting = self.lock();
        let mut limit = waiting.limit;
        for (_, since) in waiting.connections.iter().filter(|(sender, _)| sender.is_closed()) {
            limit = learned_idle_limit(limit, now.saturating_duration_since(*since));
        }
        waiting.limit = limit;
        waiting
            .connections
            .retain(|(sender, since)| !sender.is_closed() && now.saturating_duration_since(*since) < limit);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A new connection to a target.
pub(crate) async fn connect(address: SocketAddr, limit: Duration) -> Result<Sender, Unreachable> {
    let stream = match timeout(limit, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(_)) => return Err(Unreachable::Refused),
        Err(_) => return Err(Unreachable::Timeout),
    };
    // Without it a small request waits for an acknowledgement; a socket that cannot have it still works.
    let _ = stream.set_nodelay(true);
    let (sender, connection) = http1::Builder::new()
        .title_case_headers(true)
        .max_header_size(RESPONSE_HEAD_LIMIT)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|_| Unreachable::Refused)?;
    // Its end is seen by the sender; what it ended with tells nothing more.
    tokio::spawn(connection);
    Ok(sender)
}
