//! The nouns: everything the engine knows, as it is kept in the journal.
//!
//! Names are those of the ECS and ELBv2 APIs. Wall time is kept to be shown; what is compared is monotonic.

mod arn;
mod definition;
mod service;
mod target;
mod task;

use std::collections::{BTreeMap, BTreeSet};

use gimmetime_clock::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Route;

pub use arn::{ACCOUNT, Arns, REGION};
pub use definition::{LogConfiguration, RevisionStatus, Secret, TaskDefinition};
pub use service::{
    Breaker, BreakerThreshold, BreakerType, CompletedDeployment, Deployment, DeploymentStatus, RolloutConfiguration,
    RolloutState, Service, ServiceDeployment, ServiceDeploymentStatus, ServiceEvent, ServiceStatus,
};
pub use target::{HealthCheck, ReasonCode, Target, TargetState};
pub use task::{Exit, Process, StopCode, Task, TaskId, TaskStatus};

/// Key and value labels on a resource, as the tagging calls have them.
pub type Tags = BTreeMap<String, String>;

/// Everything the engine knows. Serialised whole as the journal.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Model {
    /// The place: one load balancer, one target group, one listener, one log group, all of this name.
    pub place: Place,
    /// Clusters by name.
    pub clusters: BTreeMap<String, Cluster>,
    /// Task definitions by family; revision N stands at index N − 1.
    pub families: BTreeMap<String, Vec<TaskDefinition>>,
    /// The one service this engine runs, until it is deleted.
    pub service: Option<Service>,
    /// Tasks by id, stopped ones included for a while (see [`crate::STOPPED_TASKS_KEPT`]).
    pub tasks: BTreeMap<TaskId, Task>,
    /// Targets of the one target group, by the task behind them.
    pub targets: BTreeMap<TaskId, Target>,
    /// The routing table last wanted.
    pub table: Vec<Route>,
    /// Version of the routing table last wanted; the data plane acknowledges versions.
    pub table_version: u64,
    /// Version of the routing table that the data plane last acknowledged.
    pub table_acked: u64,
    /// State of the generator that ids are drawn from: kept here so that the same inputs give the same model.
    pub seed: u64,
    /// Draining targets that the data plane has reported as having no request in flight.
    pub idle: BTreeSet<TaskId>,
}

impl Model {
    /// A place with nothing in it. All ids are drawn from `seed`.
    pub fn new(place: Place, seed: u64) -> Self {
        Self {
            place,
            clusters: BTreeMap::new(),
            families: BTreeMap::new(),
            service: None,
            tasks: BTreeMap::new(),
            targets: BTreeMap::new(),
            table: Vec::new(),
            table_version: 0,
            table_acked: 0,
            seed,
            idle: BTreeSet::new(),
        }
    }

    /// Forms the names of this place's resources.
    pub fn arns(&self) -> Arns<'_> {
        Arns { name: &self.place.name, suffix: &self.place.suffix }
    }

    /// One revision of a family, if it was ever registered.
    pub fn task_definition(&self, family: &str, revision: u32) -> Option<&TaskDefinition> {
        let index = usize::try_from(revision.checked_sub(1)?).ok()?;
        self.families.get(family)?.get(index)
    }
}

/// What CloudFormation would have made on AWS.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Place {
    /// Name of the cluster, service, load balancer, target group and log group.
    pub name: String,
    /// Sixteen hex digits that tell this place's resources from an earlier one's of the same name.
    pub suffix: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Where clients connect: `127.0.0.1:8080`.
    pub listen: std::net::SocketAddr,
    /// The target group's health check; a revision may bring a path of its own.
    pub health_check: HealthCheck,
    /// How long a draining target may finish what is in flight, in milliseconds (ALB: 300 s).
    pub deregistration_delay_ms: u64,
    /// `round_robin` or `least_outstanding_requests`.
    pub algorithm: Algorithm,
}

/// The target group's `load_balancing.algorithm.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// Each next request to the next target.
    RoundRobin,
    /// Each next request to the target with the fewest in flight.
    LeastOutstandingRequests,
}

/// An ECS cluster: a name that holds a service.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// Labels on it.
    pub tags: Tags,
    /// When it was made.
    pub created_at: Timestamp,
}
