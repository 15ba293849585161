//! The requests that change a service, written once for all verbs.

use aws_sdk_ecs::error::BuildError;
use aws_sdk_ecs::types::{
    AssignPublicIp, AvailabilityZoneRebalancing, AwsVpcConfiguration, DeploymentCircuitBreaker,
    DeploymentConfiguration, LaunchType, LoadBalancer, NetworkConfiguration, PropagateTags, Service,
    ThresholdConfiguration, ThresholdType,
};

use crate::error::{OpsError, refused};
use crate::fargate::{GRACE_SECONDS, PLATFORM_VERSION, rebalances};
use crate::patience::until_accepted;
use crate::place::{CONTAINER, Fargate, Launch, Place, Run};
use crate::release::tag;
use crate::rollout::Asked;
use crate::snapshot::{RolloutView, ServiceView};
use crate::tags;

/// What an update changes; what is None stays.
#[derive(Debug, Default)]
pub(crate) struct Update {
    pub(crate) task_definition: Option<String>,
    /// The port of the new tasks. Those that serve stay registered with the port they were started with.
    pub(crate) port: Option<u16>,
    pub(crate) count: Option<u32>,
    pub(crate) rollout: Option<RolloutView>,
    /// Replaces all tasks, be it by ones of the same release; as with another release, they go where the place has them now.
    pub(crate) force: bool,
}

/// What a new service is made of.
#[derive(Debug)]
pub(crate) struct NewService {
    pub(crate) task_definition: String,
    pub(crate) count: u32,
    pub(crate) port: u16,
    pub(crate) rollout: RolloutView,
    /// Labels `gimmetime:applied` and `gimmetime:operation`.
    pub(crate) applied: String,
    pub(crate) operation: String,
}

/// Makes the service.
pub(crate) async fn create(place: &Place, new: NewService, run: &Run) -> Result<Asked, OpsError> {
    const DOING: &str = "create the service";
    let unbuildable = |_: BuildError| OpsError::Incomplete { doing: DOING, missing: "a subnet or threshold" };
    let mut call = place
        .endpoint
        .ecs
        .create_service()
        .cluster(&place.cluster)
        .service_name(&place.service)
        .task_definition(new.task_definition)
        .desired_count(number(new.count))
        .load_balancers(balancer(place, new.port))
        .deployment_configuration(configuration(new.rollout).map_err(unbuildable)?)
        .tags(tag(tags::APPLIED, &new.applied))
        .tags(tag(tags::OPERATION, &new.operation));
    for (key, value) in &place.tags {
        call = call.tags(tag(key, value));
    }
    if let Launch::Fargate(fargate) = &place.launch {
        call = call
            .launch_type(LaunchType::Fargate)
            .platform_version(PLATFORM_VERSION)
            .network_configuration(network(fargate).map_err(unbuildable)?)
            .health_check_grace_period_seconds(GRACE_SECONDS)
            .availability_zone_rebalancing(rebalancing(new.rollout))
            .propagate_tags(PropagateTags::Service)
            .enable_ecs_managed_tags(true);
    }
    let ask = async || {
        let reply = Box::pin(call.clone().send()).await;
        reply.map_err(|error| refused(DOING, place.endpoint.endpoint(), error))
    };
    let reply = until_accepted(place, run, ask).await?;
    deployment(reply.service(), DOING)
}

/// Changes the service; a change of revision, or force, begins a deployment.
pub(crate) async fn update(place: &Place, update: Update) -> Result<Service, OpsError> {
    const DOING: &str = "update the service";
    let unbuildable = |_: BuildError| OpsError::Incomplete { doing: DOING, missing: "a subnet or threshold" };
    let mut call = place.endpoint.ecs.update_service().cluster(&place.cluster).service(&place.service);
    let deploys = update.force || update.task_definition.is_some();
    if let (Launch::Fargate(fargate), true) = (&place.launch, deploys) {
        // New tasks go where the place has them now: its subnets and groups may have been replaced since.
        call = call
            .network_configuration(network(fargate).map_err(unbuildable)?)
            .platform_version(PLATFORM_VERSION)
            .health_check_grace_period_seconds(GRACE_SECONDS);
    }
    let mut call = call
        .set_task_definition(update.task_definition)
        .set_load_balancers(update.port.map(|port| vec![balancer(place, port)]))
        .set_desired_count(update.count.map(number))
        .set_force_new_deployment(update.force.then_some(true));
    if let Some(rollout) = update.rollout {
        call = call.deployment_configuration(configuration(rollout).map_err(unbuildable)?);
        if place.launch != Launch::Local {
            call = call.availability_zone_rebalancing(rebalancing(rollout));
        }
    }
    let reply = call.send().await.map_err(|error| refused(DOING, place.endpoint.endpoint(), error))?;
    reply.service.ok_or(OpsError::Incomplete { doing: DOING, missing: "service" })
}

/// The deployment that a reply names as the newest.
pub(crate) fn deployment(service: Option<&Service>, doing: &'static str) -> Result<Asked, OpsError> {
    let service = ServiceView::from(service.ok_or(OpsError::Incomplete { doing, missing: "service" })?);
    let primary = service.primary().ok_or(OpsError::Incomplete { doing, missing: "a PRIMARY deployment" })?;
    Ok(Asked::Deployment { id: primary.id.clone() })
}

/// Writes down the settings that are now applied.
pub(crate) async fn label_applied(place: &Place, service_arn: &str, applied: &str) -> Result<(), OpsError> {
    let call = place.endpoint.ecs.tag_resource().resource_arn(service_arn).tags(tag(tags::APPLIED, applied));
    call.send().await.map(drop).map_err(|error| refused("label the service", place.endpoint.endpoint(), error))
}

/// The way from the target group to the tasks.
fn balancer(place: &Place, port: u16) -> LoadBalancer {
    LoadBalancer::builder()
        .target_group_arn(&place.target_group_arn)
        .container_name(CONTAINER)
        .container_port(i32::from(port))
        .build()
}

fn number(count: u32) -> i32 {
    count.try_into().unwrap_or(i32::MAX)
}

fn configuration(rollout: RolloutView) -> Result<DeploymentConfiguration, BuildError> {
    let mut breaker = DeploymentCircuitBreaker::builder().enable(true).rollback(true);
    if let Some(failures) = rollout.failures {
        let threshold =
            ThresholdConfiguration::builder().r#type(ThresholdType::Count).value(number(failures)).build()?;
        breaker = breaker.threshold_configuration(threshold);
    }
    Ok(DeploymentConfiguration::builder()
        .minimum_healthy_percent(number(rollout.min_healthy_percent))
        .maximum_percent(number(rollout.max_percent))
        .deployment_circuit_breaker(breaker.build())
        .build())
}

fn rebalancing(rollout: RolloutView) -> AvailabilityZoneRebalancing {
    if rebalances(rollout.max_percent) {
        AvailabilityZoneRebalancing::Enabled
    } else {
        AvailabilityZoneRebalancing::Disabled
    }
}

fn network(fargate: &Fargate) -> Result<NetworkConfiguration, BuildError> {
    let public_ip = if fargate.public_ip { AssignPublicIp::Enabled } else { AssignPublicIp::Disabled };
    let vpc = AwsVpcConfiguration::builder()
        .set_subnets(Some(fargate.subnets.clone()))
        .set_security_groups(Some(fargate.security_groups.clone()))
        .assign_public_ip(public_ip)
        .build()?;
    Ok(NetworkConfiguration::builder().awsvpc_configuration(vpc).build())
}
