//! What is read off the model for a reader: counts, steadiness, thresholds.

use crate::breaker;
use crate::model::{Deployment, Model, RolloutState, Service, ServiceStatus, Target, TargetState, Task, TaskStatus};

/// Tasks of a deployment or service, as the API counts them. A task that stops is in neither.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// `runningCount`
    pub running: u32,
    /// `pendingCount`
    pub pending: u32,
    /// Of those running, how many are healthy targets.
    pub healthy: u32,
}

impl Model {
    /// Counts over the service's tasks.
    pub fn service_counts(&self) -> Counts {
        self.counts_of(|_| true)
    }

    /// Counts over one deployment's tasks.
    pub fn deployment_counts(&self, deployment: &Deployment) -> Counts {
        self.counts_of(|task| task.deployment_id == deployment.id)
    }

    /// Counts over the tasks for which `counts` says so.
    pub fn counts_of(&self, counts: impl Fn(&Task) -> bool) -> Counts {
        let mut sum = Counts::default();
        for task in self.live_tasks().filter(|task| counts(task)) {
            if task.last_status == TaskStatus::Running {
                sum.running += 1;
                sum.healthy += u32::from(self.is_healthy(task));
            } else if task.last_status < TaskStatus::Running {
                sum.pending += 1;
            }
        }
        sum
    }

    /// Whether the service is as it should be: one completed deployment, as many healthy tasks as desired, none stopping.
    pub fn is_steady(&self) -> bool {
        let Some(service) = &self.service else { return false };
        let [primary] = service.deployments.as_slice() else { return false };
        let alive = self.live_tasks().count() as u32;
        service.status == ServiceStatus::Active
            && primary.rollout_state == RolloutState::Completed
            && alive == service.desired_count
            && self.service_counts().healthy == service.desired_count
    }

    /// How many failed tasks end a deployment of this service.
    pub fn breaker_threshold(&self, service: &Service) -> u32 {
        breaker::threshold(service)
    }

    /// How many failures count towards a deployment's breaker now.
    pub fn breaker_count(&self, deployment: &Deployment) -> u32 {
        deployment.breaker_failures + deployment.breaker_crashes
    }

    /// Tasks whose process is not gone yet, those that stop included.
    pub fn live_tasks(&self) -> impl Iterator<Item = &Task> {
        self.tasks.values().filter(|task| task.last_status != TaskStatus::Stopped)
    }

    /// Whether a task gets requests because its target passed its checks, and is to go on.
    pub fn is_healthy(&self, task: &Task) -> bool {
        let healthy = |target: &Target| target.state == TargetState::Healthy;
        task.desired_status == TaskStatus::Running && self.targets.get(&task.id).is_some_and(healthy)
    }
}
