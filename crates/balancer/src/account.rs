//! The account of one request: opened when it comes in, closed when its reply has gone out or broken off.

use std::net::SocketAddr;
use std::sync::Arc;

use gimmetime_clock::source;
use http::{HeaderMap, HeaderValue, StatusCode, header, request};

use crate::access::Entry;
use crate::body::Progress;
use crate::forward::{Way, X_AMZN_TRACE_ID};
use crate::plane::Plane;

/// What the log shows for a client that left before its answer; no answer bears it.
const CLIENT_LEFT: u16 = 460;

/// Counts and logs one request when dropped.
pub(crate) struct Account {
    plane: Arc<Plane>,
    entry: Entry,
    progress: Option<Arc<Progress>>,
}

impl Account {
    /// Opens the account of a request whose head had `head_bytes`. The headers are those of the client, the entry's trace
    /// that which goes on to the target: it is noted by [`Account::note_trace`].
    pub(crate) fn open(
        plane: &Arc<Plane>,
        connection: u64,
        way: &Way,
        head_bytes: usize,
        parts: &request::Parts,
    ) -> Self {
        let began = source::now();
        plane.counts.in_flight.up();
        let entry = Entry {
            connection,
            client: way.client,
            local: way.local,
            began,
            ended: began,
            dispatched: None,
            answered: None,
            target: None,
            status: CLIENT_LEFT,
            target_status: None,
            received: head_bytes as u64,
            sent: 0,
            request: Some((parts.method.clone(), parts.uri.clone(), parts.version)),
            host: parts.headers.get(header::HOST).cloned(),
            agent: parts.headers.get(header::USER_AGENT).cloned(),
            trace: None,
        };
        Self { plane: Arc::clone(plane), entry, progress: None }
    }

    /// When the request came in.
    pub(crate) fn began(&self) -> gimmetime_clock::Now {
        self.entry.began
    }

    /// The trace that goes on to the target.
    pub(crate) fn note_trace(&mut self, headers: &HeaderMap<HeaderValue>) {
        self.entry.trace = headers.get(X_AMZN_TRACE_ID).cloned();
    }

    /// Counts the body, once it has ended.
    pub(crate) fn note_upload(&mut self, progress: &Arc<Progress>) {
        self.progress = Some(Arc::clone(progress));
    }

    /// It goes to this target now.
    pub(crate) fn dispatched(&mut self, target: SocketAddr) {
        self.entry.target = Some(target);
        self.entry.dispatched = Some(source::mono());
    }

    /// The target has begun its answer.
    pub(crate) fn answered(&mut self, status: StatusCode) {
        let now = source::mono();
        self.entry.answered = Some(now);
        self.entry.target_status = Some(status.as_u16());
        if let Some(dispatched) = self.entry.dispatched {
            self.plane.counts.note_response_time(now.since(dispatched));
        }
        if status.is_server_error() {
            self.plane.counts.target_5xx.up();
        }
    }

    /// The reply that goes to the client: the target's.
    pub(crate) fn replied(&mut self, status: StatusCode, headers: &HeaderMap) {
        self.entry.status = status.as_u16();
        // `HTTP/1.1 200`, a space, the reason, and the two line ends around the fields.
        let line = 13 + status.canonical_reason().map_or(0, str::len) + 4;
        let fields: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        self.entry.sent += (line + fields) as u64;
    }

    /// The reply that goes to the client: our own, in place of a target's.
    pub(crate) fn replied_ourselves(&mut self, status: StatusCode, headers: &HeaderMap) {
        self.replied(status, headers);
        // What a target said before it failed is no answer.
        self.entry.answered = None;
        self.entry.target_status = None;
        if status.is_client_error() {
            self.plane.counts.elb_4xx.up();
        } else {
            self.plane.counts.elb_5xx.up();
        }
    }

    /// So much of the reply's body went on its way.
    pub(crate) fn add_sent(&mut self, bytes: u64) {
        self.entry.sent += bytes;
    }

    /// The reply ended too early, by the target's fault.
    pub(crate) fn broke_off(&mut self) {
        self.plane.counts.elb_5xx.up();
        self.entry.status = StatusCode::BAD_GATEWAY.as_u16();
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.plane.counts.in_flight.down();
        if self.entry.status == CLIENT_LEFT {
            self.plane.counts.elb_4xx.up();
        }
        if self.plane.settings.access_log.is_none() {
            return;
        }
        self.entry.received += self.progress.as_ref().map_or(0, |progress| progress.bytes());
        self.entry.ended = source::now();
        self.plane.log.push(&self.entry);
    }
}
