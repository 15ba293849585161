//! What passes between the data plane and who directs it: one JSON object a line over a Unix stream socket.
//!
//! The plane listens on the socket it was given as its standard input. The newest connection directs it; an older one
//! is closed. Listening sockets travel beside a line as `SCM_RIGHTS`.

pub mod client;
pub(crate) mod transport;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Version of this protocol; a director refuses a plane that speaks another.
pub const PROTOCOL: u32 = 1;

/// From director to plane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToPlane {
    /// Route by this from now on; answered by [`FromPlane::Acked`].
    Table(Table),
    /// Accept clients on the listening socket that travels with this line; answered by [`FromPlane::Listening`].
    Listen {
        /// The address it is bound to.
        address: SocketAddr,
    },
    /// Stop accepting on this address; connections there are finished with `Connection: close`.
    Unlisten {
        /// Which.
        address: SocketAddr,
    },
    /// Send duplicates of all listening sockets back, as [`FromPlane::Listeners`]; go on serving.
    HandOver,
    /// Stop accepting, answer what is in flight with `Connection: close`, close what is idle, exit by `grace_ms`.
    Retire {
        /// How long what is in flight may take, in milliseconds.
        grace_ms: u64,
    },
}

/// From plane to director.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromPlane {
    /// The first line on each connection.
    Hello {
        /// [`PROTOCOL`].
        protocol: u32,
        /// The plane's process.
        pid: u32,
        /// The routing table version it routes by; 0 for none.
        version: u64,
        /// Where it accepts.
        listeners: Vec<SocketAddr>,
    },
    /// Every request from now on is routed by this version.
    Acked {
        /// Which.
        version: u64,
    },
    /// It accepts clients there.
    Listening {
        /// Where.
        address: SocketAddr,
    },
    /// A draining target has no request in flight, and its pooled connections are closed.
    Idle {
        /// The target.
        target: String,
        /// The version of the table that made it draining.
        version: u64,
    },
    /// The listening sockets that travel with this line, in the order of these addresses.
    Listeners {
        /// Their addresses.
        addresses: Vec<SocketAddr>,
    },
    /// Counters since the plane started, sent once a second while they change.
    Counters(Counters),
}

/// A routing table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Grows with each change.
    pub version: u64,
    /// How to choose.
    pub algorithm: Algorithm,
    /// Targets that may get new requests, in order, and those that drain.
    pub targets: Vec<TableTarget>,
}

/// How the next target is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// Each next request to the next target.
    RoundRobin,
    /// Each next request to the target with the fewest in flight; ties go round.
    LeastOutstandingRequests,
}

/// One target of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableTarget {
    /// What the director calls it; shown in the access log.
    pub id: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// It gets no new requests; what is in flight may finish.
    pub draining: bool,
}

/// Counters since the plane started, by the ALB's metric names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// `RequestCount`: requests for which a target was chosen.
    pub requests: u64,
    /// `HTTPCode_ELB_4XX_Count`
    pub elb_4xx: u64,
    /// `HTTPCode_ELB_5XX_Count`
    pub elb_5xx: u64,
    /// `HTTPCode_Target_5XX_Count`
    pub target_5xx: u64,
    /// Requests sent again to another target after the first failed before its answer began.
    pub retried: u64,
    /// `TargetConnectionErrorCount`
    pub connection_errors: u64,
    /// `ActiveConnectionCount`
    pub active_connections: u64,
    /// Requests in flight now.
    pub in_flight: u64,
    /// `RejectedConnectionCount`
    pub rejected_connections: u64,
    /// `TargetResponseTime`: number of answers that took up to 1, 2, 4, 8 … 32768 ms, and longer.
    pub response_time: [u64; 17],
}

/// Why a control connection is of no use any more.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Nobody listens there, or it cannot be made.
    #[error("cannot reach the data plane's socket `{}`", path.display())]
    Unreachable {
        /// Where the socket is expected.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Reading or writing failed: connect again.
    #[error("the control connection broke")]
    Broken(#[source] io::Error),
    /// A line that is not of this protocol: the other side speaks another version.
    #[error("expected a line of protocol version {PROTOCOL}, but could not read it")]
    Unintelligible(#[source] serde_json::Error),
    /// A line without an end.
    #[error("expected lines of up to {limit} bytes, but got a longer one")]
    TooLong {
        /// In bytes.
        limit: usize,
    },
    /// A listening socket was announced and did not come.
    #[error("expected a listening socket beside the line, but none came")]
    MissingDescriptor,
    /// Descriptors nobody asked for.
    #[error("expected at most {limit} descriptors at a time, but got more")]
    TooManyDescriptors {
        /// How many.
        limit: usize,
    },
}
