//! What the API needs of the engine behind it, and what it tells it.

use std::net::SocketAddr;
use std::path::PathBuf;

use gimmetime_clock::source::{self, KernelClock};
use gimmetime_clock::{Now, Timestamp};
use gimmetime_scheduler::model::{Algorithm, Model};

/// The engine, as the API sees it.
pub trait World {
    /// What is known, and what commands change.
    fn model(&mut self) -> &mut Model;

    /// The moment of this call.
    fn now(&self) -> Now;

    /// Where task output is kept.
    fn logs(&self) -> &dyn LogSource;

    /// What the engine says of itself.
    fn engine(&self) -> EngineFacts;

    /// Changes the place; what cannot be done is said in one sentence.
    fn modify_place(&mut self, change: PlaceChange) -> Result<(), String>;

    /// What this machine's kernel says of its clock: the metadata endpoint's `ClockDrift`.
    fn kernel_clock(&self) -> KernelClock {
        source::kernel_clock()
    }
}

/// What the engine says of itself.
#[derive(Debug, Clone)]
pub struct EngineFacts {
    /// The supervisor's process.
    pub pid: u32,
    /// Where its state is.
    pub state_directory: PathBuf,
    /// Where clients connect.
    pub listen: SocketAddr,
    /// When the supervisor started.
    pub started_at: Timestamp,
    /// The login name it runs under, for the caller's ARN.
    pub user: String,
    /// Traffic over the last sixty seconds.
    pub last_minute: Traffic,
    /// Traffic over the last sixty minutes.
    pub last_hour: Traffic,
}

/// What the balancer counted over a window.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Traffic {
    /// Requests answered.
    pub requests: u64,
    /// Of these, with a 5xx, whoever made it.
    pub failed_5xx: u64,
    /// 99th percentile of the time to the whole answer, in seconds; `None` without a request.
    pub p99_seconds: Option<f64>,
    /// Requests per second.
    pub per_second: f64,
}

/// What `ModifyPlace` asks for; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlaceChange {
    /// Where clients connect.
    pub listen: Option<SocketAddr>,
    /// The target group's health check path.
    pub health_path: Option<String>,
    /// The real period between health checks, in milliseconds.
    pub health_interval_ms: Option<u64>,
    /// How long a health check may take, in milliseconds.
    pub health_timeout_ms: Option<u64>,
    /// Passes in a row from unhealthy to healthy.
    pub healthy_threshold: Option<u32>,
    /// Failures in a row from healthy to unhealthy.
    pub unhealthy_threshold: Option<u32>,
    /// How long a draining target may finish what is in flight, in milliseconds.
    pub deregistration_delay_ms: Option<u64>,
    /// How targets are chosen.
    pub algorithm: Option<Algorithm>,
}

/// Task output, as it is kept: groups of streams of lines.
///
/// The order of events within a group is that of their [`EventKey`]s: time, then stream, then place in the stream.
pub trait LogSource {
    /// All groups, by name.
    fn groups(&self) -> Vec<LogGroup>;

    /// All streams of a group, by name; none if there is no such group.
    fn streams(&self, group: &str) -> Vec<LogStream>;

    /// At most `query.limit` events that match, in ascending order; fewer only if there are no more.
    fn events(&self, query: &LogQuery<'_>) -> Result<Vec<LogEvent>, String>;
}

/// A log group.
#[derive(Debug, Clone)]
pub struct LogGroup {
    /// `/gimmetime/NAME`
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Bytes on disk.
    pub stored_bytes: u64,
}

/// A log stream: one task's output.
#[derive(Debug, Clone)]
pub struct LogStream {
    /// `<prefix>/<container>/<task id>`
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Time of the oldest event kept, in milliseconds since the epoch.
    pub first_event_ms: Option<i64>,
    /// Time of the newest event, in milliseconds since the epoch.
    pub last_event_ms: Option<i64>,
    /// Bytes on disk.
    pub stored_bytes: u64,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEvent {
    /// Where it stands among all events of its group.
    pub key: EventKey,
    /// When it was stored, in milliseconds since the epoch.
    pub ingested_ms: i64,
    /// The line, without its end.
    pub message: String,
}

/// An event's place in its group, in the order events are listed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct EventKey {
    /// When it was written, in milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// The stream it is in.
    pub stream: String,
    /// Its place in the stream: grows with every line, and is never used twice (a line count or a byte offset).
    pub sequence: u64,
}

/// Which events are wanted.
#[derive(Debug, Clone)]
pub struct LogQuery<'a> {
    /// In this group.
    pub group: &'a str,
    /// In these streams.
    pub streams: StreamFilter<'a>,
    /// Not before this, in milliseconds since the epoch.
    pub start_ms: i64,
    /// Before this, in milliseconds since the epoch.
    pub end_ms: i64,
    /// Only events after this one.
    pub after: Option<EventKey>,
    /// Only events before this one.
    pub before: Option<EventKey>,
    /// From which end the limit counts.
    pub end: LogEnd,
    /// How many at most.
    pub limit: usize,
}

/// Which streams of a group are wanted.
#[derive(Debug, Clone, Copy)]
pub enum StreamFilter<'a> {
    /// All.
    All,
    /// Those whose name begins so.
    Prefix(&'a str),
    /// Those of these names.
    Named(&'a [String]),
}

/// From which end of the matching events a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogEnd {
    /// The oldest.
    Head,
    /// The newest.
    Tail,
}

impl StreamFilter<'_> {
    /// Whether a stream of this name is wanted.
    pub fn wants(&self, stream: &str) -> bool {
        match self {
            Self::All => true,
            Self::Prefix(prefix) => stream.starts_with(prefix),
            Self::Named(names) => names.iter().any(|name| name == stream),
        }
    }
}

impl LogQuery<'_> {
    /// Whether an event at this place is wanted, the limit aside.
    pub fn wants(&self, key: &EventKey) -> bool {
        self.start_ms <= key.timestamp_ms
            && key.timestamp_ms < self.end_ms
            && self.streams.wants(&key.stream)
            && self.after.as_ref().is_none_or(|after| after < key)
            && self.before.as_ref().is_none_or(|before| key < before)
    }
}
