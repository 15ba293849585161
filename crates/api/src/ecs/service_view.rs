//! The service as `DescribeServices` shows it.

use gimmetime_scheduler::model::{Deployment, DeploymentStatus, Model, Service, ServiceEvent, TaskStatus};
use serde_json::{Map, Value, json};

use super::{arn, rollout, tags};
use crate::time;

pub(super) fn view(model: &Model, service: &Service, with_tags: bool) -> Value {
    let arns = model.arns();
    let counts = model.service_counts();
    let mut view = Map::new();
    let mut put = |name: &str, value: Value| drop(view.insert(name.to_owned(), value));
    put("serviceArn", arns.service(&service.cluster, &service.name).into());
    put("serviceName", service.name.clone().into());
    put("clusterArn", arns.cluster(&service.cluster).into());
    put("loadBalancers", service.load_balancers.clone());
    put("serviceRegistries", json!([]));
    put("status", json!(service.status));
    put("desiredCount", service.desired_count.into());
    put("runningCount", counts.running.into());
    put("pendingCount", counts.pending.into());
    put("taskDefinition", arns.task_definition(&service.family, service.revision).into());
    put("deploymentConfiguration", rollout::view(&service.rollout));
    put("deployments", service.deployments.iter().map(|one| deployment(model, service, one)).collect());
    put("events", service.events.iter().map(event).collect());
    put("createdAt", time::seconds(service.created_at));
    put("createdBy", service.created_by.clone().into());
    put("placementConstraints", json!([]));
    put("placementStrategy", json!([]));
    put("healthCheckGracePeriodSeconds", service.grace_seconds.into());
    put("currentServiceRevisions", current_revisions(model, service));
    if let Some(newest) = service.history.first().filter(|newest| newest.finished_at.is_none()) {
        put("currentServiceDeployment", arns.service_deployment(&service.cluster, &service.name, &newest.id).into());
    }
    if with_tags {
        put("tags", tags::view(&service.tags));
    }
    for (name, value) in options(service) {
        view.entry(name).or_insert(value);
    }
    view.into()
}

/// What was given and means nothing here, with ECS's defaults for what was not.
fn options(service: &Service) -> Map<String, Value> {
    let mut options = service.as_given.as_object().cloned().unwrap_or_default();
    options.remove("clientToken");
    if let Some(role) = options.remove("role") {
        options.insert("roleArn".into(), role);
    }
    let defaults = [
        ("schedulingStrategy", json!("REPLICA")),
        ("deploymentController", json!({"type": "ECS"})),
        ("enableECSManagedTags", json!(false)),
        ("propagateTags", json!("NONE")),
        ("enableExecuteCommand", json!(false)),
        ("availabilityZoneRebalancing", json!("DISABLED")),
    ];
    for (name, value) in defaults {
        options.entry(name).or_insert(value);
    }
    options
}

fn deployment(model: &Model, service: &Service, deployment: &Deployment) -> Value {
    let counts = model.deployment_counts(deployment);
    let mut view = Map::new();
    let mut put = |name: &str, value: Value| drop(view.insert(name.to_owned(), value));
    put("id", deployment.id.clone().into());
    put("status", json!(deployment.status));
    put("taskDefinition", model.arns().task_definition(&deployment.family, deployment.revision).into());
    put("desiredCount", desired(model, service, deployment).into());
    put("pendingCount", counts.pending.into());
    put("runningCount", counts.running.into());
    put("failedTasks", deployment.failed_tasks.into());
    put("createdAt", time::seconds(deployment.created_at));
    put("updatedAt", time::seconds(deployment.updated_at));
    put("rolloutState", json!(deployment.rollout_state));
    put("rolloutStateReason", deployment.rollout_reason.clone().into());
    for name in ["launchType", "capacityProviderStrategy", "platformVersion", "networkConfiguration"] {
        if let Some(value) = service.as_given.get(name) {
            put(name, value.clone());
        }
    }
    view.into()
}

/// The newest deployment should have what the service should; the others what has not been told to stop.
pub(super) fn desired(model: &Model, service: &Service, deployment: &Deployment) -> u32 {
    match deployment.status {
        DeploymentStatus::Primary => service.desired_count,
        DeploymentStatus::Active => {
            let stays = model
                .live_tasks()
                .filter(|task| task.deployment_id == deployment.id && task.desired_status == TaskStatus::Running);
            stays.count() as u32
        }
    }
}

fn current_revisions(model: &Model, service: &Service) -> Value {
    let revision = |deployment: &Deployment| {
        let counts = model.deployment_counts(deployment);
        json!({
            "arn": arn::service_revision(model, service, deployment.revision),
            "requestedTaskCount": desired(model, service, deployment),
            "runningTaskCount": counts.running,
            "pendingTaskCount": counts.pending,
        })
    };
    service.deployments.iter().map(revision).collect()
}

fn event(event: &ServiceEvent) -> Value {
    json!({"id": event.id, "createdAt": time::seconds(event.created_at), "message": event.message})
}
