//! ECS: what runs, asked for and described in the API's own shapes.
//!
//! One file a group of operations. Each reads all its parameters and refuses what it does not know before it does anything.

mod arn;
mod clusters;
mod rollout;
mod service_deployments;
mod service_view;
mod services;
mod tags;
mod task_definitions;
mod task_view;
mod tasks;

use gimmetime_scheduler::Refusal;
use serde_json::{Value, json};

use crate::parameters::Parameters;
use crate::{ApiError, Call, World};

pub(crate) use task_view::{container_id, container_status, exit_code};

const OPERATIONS: [&str; 21] = [
    "CreateCluster",
    "CreateService",
    "DeleteService",
    "DeregisterTaskDefinition",
    "DescribeClusters",
    "DescribeServiceDeployments",
    "DescribeServiceRevisions",
    "DescribeServices",
    "DescribeTaskDefinition",
    "DescribeTasks",
    "ListClusters",
    "ListServiceDeployments",
    "ListServices",
    "ListTagsForResource",
    "ListTaskDefinitions",
    "ListTasks",
    "RegisterTaskDefinition",
    "StopTask",
    "TagResource",
    "UntagResource",
    "UpdateService",
];

pub(crate) fn answer(world: &mut dyn World, call: &Call) -> Result<Value, ApiError> {
    let parameters = Parameters::new(call.service, &call.parameters)?;
    match call.operation.as_str() {
        "CreateCluster" => clusters::create(world, parameters),
        "DescribeClusters" => clusters::describe(world.model(), parameters),
        "ListClusters" => clusters::list(world.model(), parameters),
        "RegisterTaskDefinition" => task_definitions::register(world, parameters),
        "DeregisterTaskDefinition" => task_definitions::deregister(world, parameters),
        "DescribeTaskDefinition" => task_definitions::describe(world, parameters),
        "ListTaskDefinitions" => task_definitions::list(world.model(), parameters),
        "CreateService" => services::create(world, parameters),
        "UpdateService" => services::update(world, parameters),
        "DeleteService" => services::delete(world, parameters),
        "DescribeServices" => services::describe(world.model(), parameters),
        "ListServices" => services::list(world.model(), parameters),
        "ListServiceDeployments" => service_deployments::list(world.model(), parameters),
        "DescribeServiceDeployments" => service_deployments::describe(world.model(), parameters),
        "DescribeServiceRevisions" => service_deployments::describe_revisions(world.model(), parameters),
        "ListTasks" => tasks::list(world.model(), parameters),
        "DescribeTasks" => tasks::describe(world.model(), parameters),
        "StopTask" => tasks::stop(world, parameters),
        "TagResource" => tags::tag(world.model(), parameters),
        "UntagResource" => tags::untag(world.model(), parameters),
        "ListTagsForResource" => tags::list(world.model(), parameters),
        other => Err(call.service.unknown_operation(other, &OPERATIONS)),
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.code(), refusal.to_string())
    }
}

/// An entry of `failures`: what was asked for and is not there.
fn missing(arn: &str) -> Value {
    json!({"arn": arn, "reason": "MISSING"})
}

/// Reads `include`, of which `allowed` is known; whether it asks for TAGS.
fn includes_tags(parameters: &mut Parameters<'_>, allowed: &[&str]) -> Result<bool, ApiError> {
    let include = parameters.texts("include")?;
    match include.iter().find(|wanted| !allowed.contains(&wanted.as_str())) {
        Some(unknown) => {
            Err(parameters.invalid("include", &format!("expected {}, found {unknown}", allowed.join(", "))))
        }
        None => Ok(include.iter().any(|wanted| wanted == "TAGS")),
    }
}
