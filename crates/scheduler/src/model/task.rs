//! Tasks: one process each, from asked for to stopped.

use std::fmt;
use std::net::SocketAddr;

use gimmetime_clock::{Mono, Timestamp};
use serde::{Deserialize, Serialize};

use super::Tags;

/// Thirty-two hex digits, as in the last part of a task's ARN.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskId(pub String);

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A task: its state machine's whole state.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// The cluster it was started in.
    pub cluster: String,
    /// The service it belongs to; shown as its group, `service:NAME`.
    pub service: String,
    /// The deployment that started it, or took it over on the way back to its revision.
    pub deployment_id: String,
    /// What it runs.
    pub family: String,
    /// What it runs.
    pub revision: u32,
    /// Where it is in its life.
    pub last_status: TaskStatus,
    /// Where it should be: `RUNNING` or `STOPPED`.
    pub desired_status: TaskStatus,
    /// The process behind it, once spawned.
    pub process: Option<Process>,
    /// Where it listens, once spawned.
    pub address: Option<SocketAddr>,
    /// How long SIGTERM may take, in milliseconds, resolved when it was made.
    pub stop_timeout_ms: u64,
    /// Why it stops or stopped.
    pub stop_code: Option<StopCode>,
    /// Why it stops or stopped, in words.
    pub stopped_reason: Option<String>,
    /// How the process ended.
    pub exit: Option<Exit>,
    /// Whether it was ever a healthy target.
    pub was_healthy: bool,
    /// What its failing health checks met last, in the load balancer's words: kept when the target is gone.
    pub health_detail: Option<String>,
    /// Labels on it.
    pub tags: Tags,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it was asked for: what its age is counted from.
    pub created: Mono,
    /// When it became RUNNING.
    pub started_at: Option<Timestamp>,
    /// When it was asked to stop.
    pub stopping_at: Option<Timestamp>,
    /// When its process was gone.
    pub stopped_at: Option<Timestamp>,
    /// When the current status began: what timeouts are counted from.
    pub since: Mono,
    /// When a signal was last asked for, so that it is asked for once.
    pub terminated: Option<Mono>,
    /// When SIGKILL was asked for.
    pub killed: Option<Mono>,
}

/// `lastStatus`, in the order of a task's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TaskStatus {
    /// Asked for; not yet handed to a driver.
    Provisioning,
    /// A driver is starting its process.
    Pending,
    /// Its process runs; it is being registered as a target.
    Activating,
    /// It runs and is a target.
    Running,
    /// Deregistered; what is in flight finishes.
    Deactivating,
    /// SIGTERM, then SIGKILL.
    Stopping,
    /// Its process is gone; what it held is being released.
    Deprovisioning,
    /// Gone.
    Stopped,
}

/// Which process: a pid alone may be reused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its pid, and that of its process group.
    pub pid: u32,
    /// Field 22 of `/proc/PID/stat`: clock ticks after boot.
    pub start_time: u64,
    /// `/proc/sys/kernel/random/boot_id` when it was started.
    pub boot_id: String,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// With this code.
    Code(i32),
    /// By this signal; shown as exit code 128 + signal.
    Signal(i32),
    /// Not known: it ended while no engine was its parent. Counts as a failure.
    Unknown,
}

/// `stopCode`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopCode {
    /// Its process could not be started.
    TaskFailedToStart,
    /// Its process ended by itself.
    EssentialContainerExited,
    /// `StopTask` was called.
    UserInitiated,
    /// The scheduler replaced or removed it.
    ServiceSchedulerInitiated,
}
