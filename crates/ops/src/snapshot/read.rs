//! From the SDK's types to plain values. What a reply lacks has its empty value: no decision here depends on more.

use std::collections::BTreeMap;

use aws_sdk_ecs::primitives::DateTime;
use aws_sdk_ecs::types;
use aws_sdk_elasticloadbalancingv2::types::{TargetDescription, TargetHealthDescription};
use gimmetime_clock::Timestamp;

use crate::location::Location;
use crate::place::CONTAINER;

use super::{
    AttemptView, DeploymentView, EventView, RolloutState, RolloutView, ServiceView, TargetView, TaskView, last_part,
    revision_of,
};

/// The attribute of a task that tells what its health checks met; ALB and ECS have no member for it.
const HEALTH_ATTRIBUTE: &str = "gimmetime.health";

/// How the ids of deployments begin.
const DEPLOYMENT: &str = "ecs-svc/";

/// The same moment as the rest of this program has it, to the microsecond: the API's float says no more, and what it says
/// below would turn .691 s into .690 s.
fn moment(time: Option<&DateTime>) -> Option<Timestamp> {
    let nanos = i64::try_from(time?.as_nanos()).ok()?;
    Some(Timestamp::from_nanos(nanos.saturating_add(500).div_euclid(1000) * 1000))
}

fn count(number: i32) -> u32 {
    number.try_into().unwrap_or(0)
}

fn owned(text: Option<&str>) -> Option<String> {
    text.map(str::to_owned)
}

/// Labels as a map; a key without a value has an empty one.
pub(crate) fn tags(tags: &[types::Tag]) -> BTreeMap<String, String> {
    let pair = |tag: &types::Tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()));
    tags.iter().filter_map(pair).collect()
}

impl From<&types::Service> for ServiceView {
    fn from(service: &types::Service) -> Self {
        Self {
            arn: service.service_arn().unwrap_or_default().to_owned(),
            desired: count(service.desired_count()),
            running: count(service.running_count()),
            pending: count(service.pending_count()),
            task_definition: service.task_definition().unwrap_or_default().to_owned(),
            deployments: service.deployments().iter().map(DeploymentView::from).collect(),
            events: service.events().iter().map(EventView::from).collect(),
            tags: tags(service.tags()),
            configuration: service.deployment_configuration().map(RolloutView::from).unwrap_or_default(),
            port: balanced_port(service),
            location: Location::read(service),
        }
    }
}

impl From<&types::DeploymentConfiguration> for RolloutView {
    fn from(configuration: &types::DeploymentConfiguration) -> Self {
        let threshold =
            configuration.deployment_circuit_breaker().and_then(|breaker| breaker.threshold_configuration());
        Self {
            min_healthy_percent: count(configuration.minimum_healthy_percent().unwrap_or(100)),
            max_percent: count(configuration.maximum_percent().unwrap_or(200)),
            failures: threshold
                .filter(|threshold| *threshold.r#type() == types::ThresholdType::Count)
                .map(|threshold| count(threshold.value())),
        }
    }
}

impl From<&types::Deployment> for DeploymentView {
    fn from(deployment: &types::Deployment) -> Self {
        Self {
            id: deployment.id().unwrap_or_default().to_owned(),
            primary: deployment.status() == Some("PRIMARY"),
            revision: deployment.task_definition().and_then(revision_of).unwrap_or(0),
            desired: count(deployment.desired_count()),
            running: count(deployment.running_count()),
            failed: count(deployment.failed_tasks()),
            state: match deployment.rollout_state() {
                Some(types::DeploymentRolloutState::InProgress) => RolloutState::InProgress,
                Some(types::DeploymentRolloutState::Completed) => RolloutState::Completed,
                Some(types::DeploymentRolloutState::Failed) => RolloutState::Failed,
                _ => RolloutState::Unknown,
            },
            reason: owned(deployment.rollout_state_reason()),
            created_at: moment(deployment.created_at()),
        }
    }
}

impl From<&types::ServiceEvent> for EventView {
    fn from(event: &types::ServiceEvent) -> Self {
        Self { at: moment(event.created_at()), message: event.message().unwrap_or_default().to_owned() }
    }
}

/// The port by which the load balancer leads to our container.
fn balanced_port(service: &types::Service) -> Option<u16> {
    let entry = service.load_balancers().iter().find(|entry| entry.container_name() == Some(CONTAINER))?;
    entry.container_port().and_then(|port| port.try_into().ok())
}

/// The address of a task's own network interface.
fn attached_address(task: &types::Task) -> Option<&str> {
    let details = task.attachments().iter().flat_map(types::Attachment::details);
    details.filter(|detail| detail.name() == Some("privateIPv4Address")).find_map(types::KeyValuePair::value)
}

/// The deployment that started a task. Other words are of whoever started it by hand, and `ecs-svc/SERVICE`, which some
/// endpoints say of every task, tells no deployment from another.
fn deployment_of(task: &types::Task) -> Option<&str> {
    let service = task.group().and_then(|group| group.strip_prefix("service:"));
    task.started_by().filter(|by| by.strip_prefix(DEPLOYMENT).is_some_and(|id| Some(id) != service))
}

impl From<&types::Task> for TaskView {
    fn from(task: &types::Task) -> Self {
        let container = task.containers().first();
        let detail = task.attributes().iter().find(|attribute| attribute.name() == HEALTH_ATTRIBUTE);
        let binding = container.and_then(|container| container.network_bindings().first());
        let interface = container.and_then(|container| container.network_interfaces().first());
        let address = interface
            .and_then(|interface| interface.private_ipv4_address())
            .or_else(|| attached_address(task))
            .or_else(|| binding.and_then(|binding| binding.bind_ip()));
        Self {
            id: last_part(task.task_arn().unwrap_or_default()).to_owned(),
            deployment: owned(deployment_of(task)),
            revision: task.task_definition_arn().and_then(revision_of).unwrap_or(0),
            last_status: task.last_status().unwrap_or_default().to_owned(),
            desired_status: task.desired_status().unwrap_or_default().to_owned(),
            address: owned(address),
            port: binding.and_then(types::NetworkBinding::host_port).and_then(|port| port.try_into().ok()),
            zone: owned(task.availability_zone()),
            created_at: moment(task.created_at()),
            started_at: moment(task.started_at()),
            stopping_at: moment(task.stopping_at()),
            stopped_at: moment(task.stopped_at()),
            stop_code: task.stop_code().map(|code| code.as_str().to_owned()),
            stopped_reason: owned(task.stopped_reason()),
            exit_code: container.and_then(types::Container::exit_code),
            container_reason: container.and_then(|container| owned(container.reason())),
            health_detail: detail.and_then(|attribute| owned(attribute.value())),
        }
    }
}

impl From<&TargetHealthDescription> for TargetView {
    fn from(description: &TargetHealthDescription) -> Self {
        let target = description.target();
        let health = description.target_health();
        Self {
            id: target.and_then(|target| target.id()).unwrap_or_default().to_owned(),
            port: target.and_then(TargetDescription::port).and_then(|port| port.try_into().ok()),
            state: health.and_then(|h| h.state()).map(|state| state.as_str().to_owned()).unwrap_or_default(),
            reason: health.and_then(|h| h.reason()).map(|reason| reason.as_str().to_owned()),
            description: health.and_then(|h| owned(h.description())),
        }
    }
}

impl From<&types::ServiceDeploymentBrief> for AttemptView {
    fn from(brief: &types::ServiceDeploymentBrief) -> Self {
        Self {
            arn: brief.service_deployment_arn().unwrap_or_default().to_owned(),
            target: owned(brief.target_service_revision_arn()),
            revision: None,
            status: brief.status().map(|status| status.as_str().to_owned()).unwrap_or_default(),
            reason: owned(brief.status_reason()),
            created_at: moment(brief.created_at()),
            finished_at: moment(brief.finished_at()),
        }
    }
}
