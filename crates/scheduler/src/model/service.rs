//! The service: how many, of which revision, and how it gets from one to the next.

use std::collections::VecDeque;

use gimmetime_clock::{Mono, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Tags, TaskId};

/// One ECS service with `ROLLING` deployments.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// The cluster it is in.
    pub cluster: String,
    /// `ACTIVE`, `DRAINING` while it is being deleted, `INACTIVE` after.
    pub status: ServiceStatus,
    /// How many tasks should run.
    pub desired_count: u32,
    /// The revision last asked for.
    pub family: String,
    /// The revision last asked for.
    pub revision: u32,
    /// How deployments roll.
    pub rollout: RolloutConfiguration,
    /// `healthCheckGracePeriodSeconds`
    pub grace_seconds: u32,
    /// Newest first: the `PRIMARY` one, then `ACTIVE` ones that are being replaced.
    pub deployments: Vec<Deployment>,
    /// The ledger of service deployments, newest first, bounded.
    pub history: Vec<ServiceDeployment>,
    /// What happened, newest first, the last 100.
    pub events: VecDeque<ServiceEvent>,
    /// Labels on it.
    pub tags: Tags,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it, as an ARN.
    pub created_by: String,
    /// Container name and port registered with the target group, as given.
    pub load_balancers: serde_json::Value,
    /// Options given and reported back that mean nothing on one machine (`launchType`, `networkConfiguration`, …).
    pub as_given: serde_json::Value,
    /// The deployment that was completed last: where the breaker goes back to.
    pub completed: Option<CompletedDeployment>,
    /// Start throttling: tasks that failed one after the other, without one that stayed healthy.
    pub start_failures: u32,
    /// When the last of them failed. A task started before belongs to that failure; one started since that stays healthy
    /// ends the row.
    pub last_failure: Option<Mono>,
    /// No task is started before this moment.
    pub throttled_until: Option<Mono>,
    /// When `has reached a steady state.` was last said; None while it is not steady.
    pub steady_since: Option<Timestamp>,
}

/// A deployment known to work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompletedDeployment {
    /// Its id: `ecs-svc/…`.
    pub deployment_id: String,
    /// The revision it runs.
    pub family: String,
    /// The revision it runs.
    pub revision: u32,
}

/// A service's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ServiceStatus {
    /// It runs.
    Active,
    /// It is being deleted; tasks still stop.
    Draining,
    /// It is gone.
    Inactive,
}

/// `deploymentConfiguration`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutConfiguration {
    /// Lower limit of healthy tasks during a deployment, in percent of the desired count, rounded up.
    pub minimum_healthy_percent: u32,
    /// Upper limit of tasks during a deployment, in percent of the desired count, rounded down.
    pub maximum_percent: u32,
    /// The circuit breaker.
    pub breaker: Breaker,
}

/// `deploymentCircuitBreaker`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breaker {
    /// Whether failures end a deployment.
    pub enable: bool,
    /// Whether a failed deployment is rolled back to the last one that succeeded.
    pub rollback: bool,
    /// `thresholdConfiguration`; None is ECS's default, `BOUNDED_PERCENT` 50.
    pub threshold: Option<BreakerThreshold>,
    /// `resetOnHealthyTask`; None is true.
    pub reset_on_healthy_task: Option<bool>,
}

/// `thresholdConfiguration`: how many failures are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakerThreshold {
    /// What `value` counts.
    pub kind: BreakerType,
    /// Percent of the desired count, or a count.
    pub value: u32,
}

/// `thresholdConfiguration.type`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BreakerType {
    /// A percentage of the desired count, at least 3, at most 200.
    BoundedPercent,
    /// A percentage of the desired count.
    UnboundedPercent,
    /// A number of failures.
    Count,
}

/// One entry of a service's `deployments`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Deployment {
    /// `ecs-svc/` and nineteen digits.
    pub id: String,
    /// `PRIMARY` or `ACTIVE`.
    pub status: DeploymentStatus,
    /// The revision it runs.
    pub family: String,
    /// The revision it runs.
    pub revision: u32,
    /// How far it is.
    pub rollout_state: RolloutState,
    /// `ECS deployment ecs-svc/… in progress.` and the like.
    pub rollout_reason: String,
    /// Tasks of this deployment that failed: shown as `failedTasks`.
    pub failed_tasks: u32,
    /// Failures that count towards the breaker now (reset by a healthy task, if so configured).
    pub breaker_failures: u32,
    /// Tasks of it that became healthy and ended nevertheless: they count towards the breaker, and no healthy task resets
    /// them, for it may do the same.
    pub breaker_crashes: u32,
    /// Whether its configuration was already reported as one that cannot move.
    pub stuck_reported: bool,
    /// Set when this deployment is the way back from the named one.
    pub rollback_of: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A deployment's place in the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum DeploymentStatus {
    /// The newest: what should run.
    Primary,
    /// Still has tasks, and is being replaced.
    Active,
}

/// `rolloutState`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RolloutState {
    /// Tasks are still being replaced.
    InProgress,
    /// All desired tasks run, are healthy, and the old ones are gone.
    Completed,
    /// The breaker ended it.
    Failed,
}

/// One entry of `ListServiceDeployments`: the ledger of what was rolled out, and how it ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServiceDeployment {
    /// The last part of its ARN; twenty-one characters, letters, digits, `-` and `_`.
    pub id: String,
    /// The deployment it belongs to: `ecs-svc/…`.
    pub deployment_id: String,
    /// How it stands.
    pub status: ServiceDeploymentStatus,
    /// Why it stands so.
    pub status_reason: Option<String>,
    /// The revision it brings.
    pub family: String,
    /// The revision it brings.
    pub revision: u32,
    /// The revision that served before it.
    pub source_revision: Option<u32>,
    /// Tasks it failed with, for the record.
    pub failed_tasks: u32,
    /// The breaker's threshold as it is while it rolls, and as it was after.
    pub breaker_threshold: u32,
    /// The revision it was rolled back to.
    pub rolled_back_to: Option<u32>,
    /// When the rollback began.
    pub rollback_started_at: Option<Timestamp>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When its first task was asked for.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Labels on it.
    pub tags: Tags,
    /// Tasks of it that stopped and why, a few, so that the cause outlives the tasks.
    pub evidence: Vec<TaskId>,
}

/// A service deployment's `status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ServiceDeploymentStatus {
    /// Asked for.
    Pending,
    /// Rolling.
    InProgress,
    /// Done.
    Successful,
    /// Replaced by a newer one, scaled to nothing, or deleted before it was done.
    Stopped,
    /// The breaker fired; the way back is under way.
    RollbackInProgress,
    /// The breaker fired; what ran before runs again.
    RollbackSuccessful,
    /// The breaker fired, and the way back failed too, or there was none.
    RollbackFailed,
}

/// One line of a service's `events`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServiceEvent {
    /// A UUID.
    pub id: String,
    /// When.
    pub created_at: Timestamp,
    /// What, in ECS's wording.
    pub message: String,
}
