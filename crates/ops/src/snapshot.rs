//! What a service looks like at one moment, in plain values: what every decision in this room is made from.

mod read;

use std::collections::BTreeMap;

use gimmetime_clock::{Timestamp, iso};
use serde::Serialize;

use crate::cause::Cause;
use crate::location::Location;
use crate::words;

pub(crate) use read::tags;

/// The service, its tasks, its targets and its service deployments, read together.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Snapshot {
    /// The service.
    pub service: ServiceView,
    /// All its tasks that ECS still knows, stopped ones included.
    pub tasks: Vec<TaskView>,
    /// The target group's targets.
    pub targets: Vec<TargetView>,
    /// The ledger, newest first.
    pub attempts: Vec<AttemptView>,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ServiceView {
    /// Its ARN.
    pub arn: String,
    /// How many tasks are wanted.
    pub desired: u32,
    /// How many run.
    pub running: u32,
    /// How many are being started.
    pub pending: u32,
    /// The ARN of the task definition last asked for.
    pub task_definition: String,
    /// Newest first.
    pub deployments: Vec<DeploymentView>,
    /// Newest first.
    pub events: Vec<EventView>,
    /// Labels.
    pub tags: BTreeMap<String, String>,
    /// How it rolls.
    pub configuration: RolloutView,
    /// The port of its tasks that the load balancer is told; None while no balancer leads to them.
    pub port: Option<u16>,
    /// Where its tasks are; None where they have no network of their own.
    pub location: Option<Location>,
}

/// How a service rolls, as the API reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RolloutView {
    /// `minimumHealthyPercent`
    pub min_healthy_percent: u32,
    /// `maximumPercent`
    pub max_percent: u32,
    /// The breaker's threshold, if it counts failures.
    pub failures: Option<u32>,
}

/// One entry of a service's `deployments`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeploymentView {
    /// `ecs-svc/…`
    pub id: String,
    /// Whether it is the `PRIMARY` one.
    pub primary: bool,
    /// The revision it runs.
    pub revision: u32,
    /// How many of its tasks are wanted.
    pub desired: u32,
    /// How many of its tasks run.
    pub running: u32,
    /// How many of its tasks failed.
    pub failed: u32,
    /// `rolloutState`
    pub state: RolloutState,
    /// `rolloutStateReason`
    pub reason: Option<String>,
    /// When it was made.
    pub created_at: Option<Timestamp>,
}

/// `rolloutState`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RolloutState {
    /// Tasks are being replaced.
    InProgress,
    /// Done.
    Completed,
    /// The breaker ended it.
    Failed,
    /// Something newer than this program.
    #[default]
    Unknown,
}

/// A task.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct TaskView {
    /// Thirty-two hex digits.
    pub id: String,
    /// The deployment that started it.
    pub deployment: Option<String>,
    /// The revision it runs.
    pub revision: u32,
    /// `lastStatus`
    pub last_status: String,
    /// `desiredStatus`
    pub desired_status: String,
    /// Its address, where it has one of its own or is bound to one.
    pub address: Option<String>,
    /// The port it is reached at.
    pub port: Option<u16>,
    /// Where it runs.
    pub zone: Option<String>,
    /// When it was asked for.
    pub created_at: Option<Timestamp>,
    /// When it became RUNNING.
    pub started_at: Option<Timestamp>,
    /// When it was told to stop.
    pub stopping_at: Option<Timestamp>,
    /// When it was gone.
    pub stopped_at: Option<Timestamp>,
    /// `stopCode`
    pub stop_code: Option<String>,
    /// `stoppedReason`
    pub stopped_reason: Option<String>,
    /// The container's exit code.
    pub exit_code: Option<i32>,
    /// The container's `reason`.
    pub container_reason: Option<String>,
    /// What its failing health checks met last, where the endpoint tells.
    pub health_detail: Option<String>,
}

/// A target of the load balancer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct TargetView {
    /// An address, as a rule.
    pub id: String,
    /// Its port.
    pub port: Option<u16>,
    /// `TargetHealth.State`
    pub state: String,
    /// `TargetHealth.Reason`
    pub reason: Option<String>,
    /// `TargetHealth.Description`
    pub description: Option<String>,
}

/// An event of the service.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct EventView {
    /// When.
    #[serde(serialize_with = "iso::serialize_known")]
    pub at: Option<Timestamp>,
    /// What, in ECS's words.
    pub message: String,
}

/// A service deployment: one line of the ledger of what was tried.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct AttemptView {
    /// Its ARN.
    pub arn: String,
    /// The ARN of the service revision it brings.
    pub target: Option<String>,
    /// The task definition's revision it brings, once looked up.
    pub revision: Option<u32>,
    /// How it stands: `SUCCESSFUL`, `ROLLBACK_IN_PROGRESS`, …
    pub status: String,
    /// Why it stands so.
    pub reason: Option<String>,
    /// When it was asked for.
    pub created_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

impl Snapshot {
    /// The target that is this task, if it is registered. A task that is gone has none: its port may be another's by now.
    pub fn target_of(&self, task: &TaskView) -> Option<&TargetView> {
        self.targets.iter().find(|target| !task.is_gone() && target.is(task))
    }

    /// Whether this task gets requests because its checks pass.
    pub fn is_healthy(&self, task: &TaskView) -> bool {
        task.last_status == "RUNNING" && self.target_of(task).is_some_and(|target| target.state == "healthy")
    }

    /// The target that is this task, if its health is a fault: neither new nor leaving. Told as exactly as is known.
    pub fn bad_health(&self, task: &TaskView) -> Option<TargetView> {
        let target = self.target_of(task).filter(|target| target.is_bad())?;
        let description = task.health_detail.clone().or_else(|| target.description.clone());
        Some(TargetView { description, ..target.clone() })
    }

    /// How many targets get requests because their checks pass. Counted in one reply: tasks and targets are asked one
    /// after the other, and in a quick rollout the two need not agree.
    pub fn healthy(&self) -> u32 {
        self.targets.iter().filter(|target| target.state == "healthy").count() as u32
    }
}

impl ServiceView {
    /// The newest deployment.
    pub fn primary(&self) -> Option<&DeploymentView> {
        self.deployments.iter().find(|deployment| deployment.primary)
    }

    /// The revision last asked for.
    pub fn revision(&self) -> u32 {
        revision_of(&self.task_definition).unwrap_or(0)
    }

    /// The port that the load balancer must be told for a release that listens on `port` and is led to by this target group;
    /// None if it knows both already. A service without a balancer gets none by a release.
    pub(crate) fn other_way(&self, port: Option<u16>, target_group: &str) -> Option<u16> {
        let known = self.port?;
        let led_by = self.location.as_ref().and_then(|location| location.target_group.as_deref());
        let leads_elsewhere = led_by.is_some_and(|group| group != target_group);
        Some(port.unwrap_or(known)).filter(|port| leads_elsewhere || *port != known)
    }

    /// The deployment that is under way, if one is.
    pub fn rolling(&self) -> Option<&DeploymentView> {
        self.primary().filter(|primary| primary.state == RolloutState::InProgress)
    }
}

impl DeploymentView {
    /// Whether it started this task. Where that is not said, what the task runs tells.
    pub(crate) fn owns(&self, task: &TaskView) -> bool {
        task.deployment.as_ref().map_or(task.revision == self.revision, |id| *id == self.id)
    }

    /// Whether it may serve still: neither the newest nor given up.
    pub(crate) fn is_older(&self) -> bool {
        !self.primary && self.state != RolloutState::Failed
    }
}

impl TaskView {
    /// Whether it was not asked for earlier, as far as is known.
    pub(crate) fn is_made_since(&self, moment: Timestamp) -> bool {
        self.created_at.is_none_or(|created| moment <= created)
    }

    /// Whether its process is gone: what is left is book-keeping.
    pub fn is_gone(&self) -> bool {
        matches!(self.last_status.as_str(), "DEPROVISIONING" | "STOPPED")
    }

    /// Whether it is on its way out.
    pub fn is_leaving(&self) -> bool {
        self.desired_status == "STOPPED" || matches!(self.last_status.as_str(), "DEACTIVATING" | "STOPPING")
    }

    /// Whether it could not start for want of room: no capacity, no quota, no address. No fault of what it runs.
    pub fn is_starved(&self) -> bool {
        let words = self.stopped_reason.as_deref().and_then(words::cause);
        self.stop_code.as_deref() != Some("EssentialContainerExited") && words.is_some_and(Cause::is_want_of_room)
    }

    /// Whether it stopped, or is stopping, for a fault rather than by plan or for want of room.
    pub fn has_failed(&self) -> bool {
        !self.is_starved() && self.has_stopped_badly()
    }

    /// Whether it stopped, or is stopping, otherwise than by plan.
    pub fn has_stopped_badly(&self) -> bool {
        let reason = self.stopped_reason.as_deref().unwrap_or_default();
        match self.stop_code.as_deref() {
            Some("TaskFailedToStart" | "EssentialContainerExited" | "InfrastructureHealth") => true,
            _ => reason.contains("health check") || self.is_starved(),
        }
    }

    /// The first twelve digits of its id, as its replies bear them.
    pub fn instance(&self) -> &str {
        self.id.get(..12).unwrap_or(&self.id)
    }

    /// The first four digits of its id, as tables show them.
    pub fn short(&self) -> &str {
        self.id.get(..4).unwrap_or(&self.id)
    }
}

impl TargetView {
    /// Whether this target is that task: by id, or by what is known of its address and port.
    fn is(&self, task: &TaskView) -> bool {
        let same_address = task.address.as_deref().is_none_or(|address| address == self.id);
        let same_port = task.port.is_none() || self.port == task.port;
        self.id == task.id || ((task.address.is_some() || task.port.is_some()) && same_address && same_port)
    }

    fn is_bad(&self) -> bool {
        let reason = self.reason.as_deref().unwrap_or_default();
        match self.state.as_str() {
            "unhealthy" | "unavailable" => true,
            "initial" => reason.starts_with("Target."),
            // Registered, and yet no listener or no zone of the balancer leads to it.
            "unused" => reason == "Target.NotInUse",
            _ => false,
        }
    }

    /// Whether new requests may reach it.
    pub fn gets_requests(&self) -> bool {
        matches!(self.state.as_str(), "healthy" | "initial" | "unhealthy" | "unavailable")
    }
}

/// The number after the last colon of a task definition's ARN, or of `family:revision`.
pub(crate) fn revision_of(arn: &str) -> Option<u32> {
    arn.rsplit_once(':')?.1.parse().ok()
}

/// The last part of an ARN's path.
pub(crate) fn last_part(arn: &str) -> &str {
    arn.rsplit_once('/').map_or(arn, |(_, last)| last)
}
