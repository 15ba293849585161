//! Targets: a task as the load balancer sees it.

use gimmetime_clock::{Interval, Mono};
use serde::{Deserialize, Serialize};

/// The target group's health check. What is asked for is reported; what is done may be quicker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// `HealthCheckPath`
    pub path: String,
    /// The real period between checks, in milliseconds. The API reports the ALB's nearest: 5 s.
    pub interval_ms: u64,
    /// How long an answer may take, in milliseconds.
    pub timeout_ms: u64,
    /// Passes in a row from unhealthy to healthy. A new target needs one.
    pub healthy_threshold: u32,
    /// Failures in a row from healthy to unhealthy.
    pub unhealthy_threshold: u32,
    /// Lowest and highest status code that passes.
    pub matcher: (u16, u16),
}

/// A registered target.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Target {
    /// Its `TargetHealth.State`.
    pub state: TargetState,
    /// Its `TargetHealth.Reason`.
    pub reason: Option<ReasonCode>,
    /// Its `TargetHealth.Description`.
    pub description: Option<String>,
    /// Checks passed in a row.
    pub passes: u32,
    /// Checks failed in a row.
    pub failures: u32,
    /// A check is under way since.
    pub probing_since: Option<Mono>,
    /// When the next check is due.
    pub next_probe: Mono,
    /// How long to wait after the next check while it is `initial`, in milliseconds: short at first, then growing.
    pub initial_delay_ms: u64,
    /// When it became healthy; None while it is not.
    pub healthy_since: Option<Mono>,
    /// When it was registered.
    pub registered: Mono,
    /// When it began to drain.
    pub draining_since: Option<Mono>,
    /// The routing table version that first told the data plane to drain it.
    pub drained_by_version: Option<u64>,
    /// Its clock against this machine's, as bounded by the stamps of its replies.
    pub clock: Option<Interval>,
    /// Consecutive checks that proved its clock wrong.
    pub clock_wrong: u32,
}

/// `TargetHealth.State`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetState {
    /// Registered, not yet passed a check: no traffic.
    Initial,
    /// Gets traffic.
    Healthy,
    /// Gets none, unless all are unhealthy.
    Unhealthy,
    /// Not registered any more.
    Unused,
    /// Finishes what is in flight.
    Draining,
}

/// `TargetHealth.Reason`, and one of our own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReasonCode {
    /// Registration is under way.
    #[serde(rename = "Elb.RegistrationInProgress")]
    RegistrationInProgress,
    /// The first checks are under way.
    #[serde(rename = "Elb.InitialHealthChecking")]
    InitialHealthChecking,
    /// It answered with a code outside the matcher.
    #[serde(rename = "Target.ResponseCodeMismatch")]
    ResponseCodeMismatch,
    /// It did not answer in time.
    #[serde(rename = "Target.Timeout")]
    Timeout,
    /// The connection failed or broke.
    #[serde(rename = "Target.FailedHealthChecks")]
    FailedHealthChecks,
    /// It is not registered.
    #[serde(rename = "Target.NotRegistered")]
    NotRegistered,
    /// It drains.
    #[serde(rename = "Target.DeregistrationInProgress")]
    DeregistrationInProgress,
    /// The stamps of its replies prove its clock wrong. Ours, not the ALB's.
    #[serde(rename = "Gimmetime.ClockProvedWrong")]
    ClockProvedWrong,
}
