//! What a caller may cost, whoever it is: numbers and times, all in one place.

use std::time::Duration;

/// Largest request body.
pub(super) const BODY_SIZE: usize = 1 << 20;
/// Largest request head.
pub(super) const HEAD_SIZE: usize = 32 << 10;
/// Most headers of a request.
pub(super) const HEADERS: usize = 64;

/// How many at once, and how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Most connections at once; more wait to be accepted.
    pub(super) connections: usize,
    /// How long a connection may be without a whole request head, idle ones included.
    pub(super) head: Duration,
    /// How long a body may take.
    pub(super) body: Duration,
    /// How long the model's holder may take.
    pub(super) answer: Duration,
    /// How long a connection may be used. Clients open another; one that never reads its replies would stay for ever.
    pub(super) lifetime: Duration,
    /// How long the last call of a connection may take, reading and answering it included.
    pub(super) last_call: Duration,
    /// How long replies may take after the model's holder is gone.
    pub(super) goodbye: Duration,
    /// How long to wait when no connection could be accepted (out of descriptors).
    pub(super) accept_pause: Duration,
}

/// What is served with.
pub(super) const LIMITS: Limits = Limits {
    connections: 128,
    head: Duration::from_mins(1),
    body: Duration::from_secs(10),
    answer: Duration::from_secs(30),
    lifetime: Duration::from_mins(5),
    last_call: Duration::from_mins(1),
    goodbye: Duration::from_secs(1),
    accept_pause: Duration::from_millis(100),
};
