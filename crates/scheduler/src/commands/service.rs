//! The service: created, updated, deleted.

use std::collections::VecDeque;

use gimmetime_clock::Now;

use super::{Refusal, check_name};
use crate::deployment;
use crate::model::{Breaker, Model, RolloutConfiguration, Service, ServiceStatus, Tags};

/// The most tasks one service may want; one machine has only so many ports.
pub const MAX_DESIRED_COUNT: u32 = 1000;

/// What `CreateService` brings.
#[derive(Debug, Clone)]
pub struct NewService {
    /// Its name.
    pub name: String,
    /// The cluster it is in.
    pub cluster: String,
    /// The revision it runs.
    pub family: String,
    /// The revision it runs.
    pub revision: u32,
    /// How many tasks should run.
    pub desired_count: u32,
    /// How deployments roll.
    pub rollout: RolloutConfiguration,
    /// `healthCheckGracePeriodSeconds`
    pub grace_seconds: u32,
    /// As given.
    pub load_balancers: serde_json::Value,
    /// Options that mean nothing on one machine, as given.
    pub as_given: serde_json::Value,
    /// Who made it, as an ARN.
    pub created_by: String,
    /// Labels on it.
    pub tags: Tags,
}

/// What `UpdateService` changes; None leaves it as it is.
#[derive(Debug, Clone, Default)]
pub struct ServiceChange {
    /// How many tasks should run.
    pub desired_count: Option<u32>,
    /// Family and revision that should run: another one begins a deployment.
    pub task_definition: Option<(String, u32)>,
    /// How deployments roll.
    pub rollout: Option<RolloutConfiguration>,
    /// Begin a deployment even of the revision that runs.
    pub force_new_deployment: bool,
    /// `healthCheckGracePeriodSeconds`
    pub grace_seconds: Option<u32>,
    /// Container name and port registered with the target group.
    pub load_balancers: Option<serde_json::Value>,
    /// Options that mean nothing on one machine.
    pub as_given: Option<serde_json::Value>,
}

impl Default for RolloutConfiguration {
    /// ECS's: 100 and 200 percent, no circuit breaker.
    fn default() -> Self {
        let breaker = Breaker { enable: false, rollback: false, threshold: None, reset_on_healthy_task: None };
        Self { minimum_healthy_percent: 100, maximum_percent: 200, breaker }
    }
}

impl Model {
    /// The new service, with its first deployment.
    ///
    /// There is one service per engine: a second is refused until the first is deleted.
    pub fn create_service(&mut self, new: NewService, now: Now) -> Result<&Service, Refusal> {
        check_name("service name", &new.name)?;
        if !self.clusters.contains_key(&new.cluster) {
            return Err(Refusal::ClusterNotFound);
        }
        self.refuse_second(&new)?;
        self.usable_definition(&new.family, new.revision)?;
        check_count(new.desired_count)?;
        check_rollout(&new.rollout)?;
        let service = Service {
            name: new.name,
            cluster: new.cluster,
            status: ServiceStatus::Active,
            desired_count: new.desired_count,
            family: new.family.clone(),
            revision: new.revision,
            rollout: new.rollout,
            grace_seconds: new.grace_seconds,
            deployments: Vec::new(),
            history: Vec::new(),
            events: VecDeque::new(),
            tags: new.tags,
            created_at: now.wall,
            created_by: new.created_by,
            load_balancers: new.load_balancers,
            as_given: new.as_given,
            completed: None,
            start_failures: 0,
            last_failure: None,
            throttled_until: None,
            steady_since: None,
        };
        let service = self.service.insert(service);
        deployment::begin(service, &mut self.seed, &new.family, new.revision, now);
        Ok(service)
    }

    fn refuse_second(&self, new: &NewService) -> Result<(), Refusal> {
        let Some(service) = &self.service else { return Ok(()) };
        match service.status {
            ServiceStatus::Inactive => Ok(()),
            ServiceStatus::Draining => Err(Refusal::ServiceDraining),
            ServiceStatus::Active if service.name == new.name && service.cluster == new.cluster => {
                Err(Refusal::InvalidParameter("Creation of service was not idempotent.".to_owned()))
            }
            ServiceStatus::Active => Err(Refusal::SecondService(service.name.clone())),
        }
    }

    /// The service as changed; with a new deployment if another revision was asked for, or one was forced.
    ///
    /// Whoever scales to nothing ends a deployment that still rolls: it is not known whether it would have worked.
    pub fn update_service(
        &mut self,
        cluster: &str,
        name: &str,
        change: ServiceChange,
        now: Now,
    ) -> Result<&Service, Refusal> {
        let current = self.active_service(cluster, name)?;
        let running = (current.family.clone(), current.revision);
        let wanted = change.task_definition.unwrap_or_else(|| running.clone());
        let deploys = change.force_new_deployment || wanted != running;
        if deploys {
            self.usable_definition(&wanted.0, wanted.1)?;
        }
        change.desired_count.map_or(Ok(()), check_count)?;
        change.rollout.as_ref().map_or(Ok(()), check_rollout)?;
        let service = self.service.as_mut().ok_or(Refusal::ServiceNotFound)?;
        if 0 < service.desired_count && change.desired_count == Some(0) {
            deployment::supersede(service, "Scaled to 0 tasks before it was complete.", now);
        }
        service.desired_count = change.desired_count.unwrap_or(service.desired_count);
        service.grace_seconds = change.grace_seconds.unwrap_or(service.grace_seconds);
        replace(&mut service.rollout, change.rollout);
        replace(&mut service.load_balancers, change.load_balancers);
        replace(&mut service.as_given, change.as_given);
        if deploys {
            deployment::begin(service, &mut self.seed, &wanted.0, wanted.1, now);
        }
        Ok(service)
    }

    /// The service, `DRAINING` until its last task is gone, then `INACTIVE`.
    ///
    /// Without `force` it must have been scaled to nothing first.
    pub fn delete_service(&mut self, cluster: &str, name: &str, force: bool, now: Now) -> Result<&Service, Refusal> {
        let current = self.active_service(cluster, name)?;
        if !force && 0 < current.desired_count {
            let message = "The service cannot be stopped while it is scaled above 0.";
            return Err(Refusal::InvalidParameter(message.to_owned()));
        }
        let service = self.service.as_mut().ok_or(Refusal::ServiceNotFound)?;
        service.status = ServiceStatus::Draining;
        service.desired_count = 0;
        deployment::supersede(service, "Service was deleted.", now);
        Ok(service)
    }

    /// The service of this name, if it may be changed.
    fn active_service(&self, cluster: &str, name: &str) -> Result<&Service, Refusal> {
        if !self.clusters.contains_key(cluster) {
            return Err(Refusal::ClusterNotFound);
        }
        let named = |service: &&Service| service.cluster == cluster && service.name == name;
        let service = self.service.as_ref().filter(named).ok_or(Refusal::ServiceNotFound)?;
        match service.status {
            ServiceStatus::Active => Ok(service),
            ServiceStatus::Draining | ServiceStatus::Inactive => Err(Refusal::ServiceNotActive),
        }
    }
}

fn replace<T>(old: &mut T, new: Option<T>) {
    if let Some(new) = new {
        *old = new;
    }
}

fn check_count(count: u32) -> Result<(), Refusal> {
    if MAX_DESIRED_COUNT < count {
        let message = format!("desiredCount must be between 0 and {MAX_DESIRED_COUNT}, got {count}.");
        return Err(Refusal::InvalidParameter(message));
    }
    Ok(())
}

fn check_rollout(rollout: &RolloutConfiguration) -> Result<(), Refusal> {
    let (min, max) = (rollout.minimum_healthy_percent, rollout.maximum_percent);
    let refused = |message: &str| Err(Refusal::InvalidParameter(message.to_owned()));
    if 100 < min {
        return refused("minimumHealthyPercent must be between 0 and 100.");
    }
    if !(100..=1000).contains(&max) {
        return refused("maximumPercent must be between 100 and 1000.");
    }
    if min == 100 && max == 100 {
        return refused("Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block deployments.");
    }
    if rollout.breaker.threshold.is_some_and(|threshold| threshold.value == 0) {
        return refused("thresholdConfiguration.value must be at least 1.");
    }
    Ok(())
}
