//! The service: created, updated, deleted, described.

use gimmetime_scheduler::model::{Model, RolloutConfiguration, Service, ServiceStatus};
use gimmetime_scheduler::{NewService, ServiceChange};
use serde_json::{Map, Value, json};

use super::{arn, includes_tags, missing, rollout, service_view, tags};
use crate::page::{Order, Page};
use crate::parameters::Parameters;
use crate::{ApiError, World, sts};

/// Most services of one `DescribeServices`.
const DESCRIBE_LIMIT: usize = 10;

/// Words that mean nothing on one machine: kept and shown.
const SHOWN_WORDS: [&str; 4] = ["launchType", "platformVersion", "availabilityZoneRebalancing", "role"];
/// Lists and structures that mean nothing on one machine: kept and shown.
const SHOWN_SHAPES: [&str; 2] = ["capacityProviderStrategy", "networkConfiguration"];

pub(super) fn create(world: &mut dyn World, mut parameters: Parameters<'_>) -> Result<Value, ApiError> {
    let (now, created_by) = (world.now(), sts::caller_arn(world));
    let model = world.model();
    let given = read(model, &mut parameters)?;
    let name = parameters.required_text("serviceName")?.to_owned();
    let token = parameters.text("clientToken")?;
    let labels = tags::read(&mut parameters)?;
    let rollout = rollout::read(&mut parameters, &RolloutConfiguration::default())?.unwrap_or_default();
    let missing = (parameters.missing("taskDefinition"), parameters.missing("desiredCount"));
    parameters.finish()?;
    let cluster = arn::cluster(model, given.cluster)?.name.clone();
    let mut as_given = given.options;
    if let Some(token) = token {
        as_given.insert("clientToken".into(), token.into());
        if let Some(service) = made_with(model, &cluster, &name, token) {
            return Ok(json!({"service": service_view::view(model, service, true)}));
        }
    }
    let (family, revision) = given.task_definition.ok_or(missing.0)?;
    let load_balancers = given.load_balancers.unwrap_or_else(|| json!([]));
    check_load_balancers(model, &load_balancers, &family, revision)?;
    let new = NewService {
        name,
        cluster,
        family,
        revision,
        desired_count: given.desired_count.ok_or(missing.1)?,
        rollout,
        grace_seconds: given.grace_seconds.unwrap_or(0),
        load_balancers,
        as_given: as_given.into(),
        created_by,
        tags: labels,
    };
    model.create_service(new, now)?;
    reply(model, true)
}

/// The service that an earlier call with the same `clientToken` made.
fn made_with<'a>(model: &'a Model, cluster: &str, name: &str, token: &str) -> Option<&'a Service> {
    let service = arn::service(model, cluster, name).filter(|service| service.status == ServiceStatus::Active)?;
    (service.as_given.get("clientToken").and_then(Value::as_str) == Some(token)).then_some(service)
}

pub(super) fn update(world: &mut dyn World, mut parameters: Parameters<'_>) -> Result<Value, ApiError> {
    let now = world.now();
    let model = world.model();
    let given = read(model, &mut parameters)?;
    let name = parameters.required_text("service")?;
    let force_new_deployment = parameters.boolean("forceNewDeployment")?.unwrap_or(false);
    let cluster = arn::cluster(model, given.cluster)?.name.clone();
    let service = arn::service(model, &cluster, name).ok_or_else(ApiError::service_not_found)?;
    let rollout = rollout::read(&mut parameters, &service.rollout)?;
    parameters.finish()?;
    let name = service.name.clone();
    let (family, revision) = given.task_definition.clone().unwrap_or((service.family.clone(), service.revision));
    check_load_balancers(model, given.load_balancers.as_ref().unwrap_or(&service.load_balancers), &family, revision)?;
    let mut as_given = service.as_given.as_object().cloned().unwrap_or_default();
    as_given.extend(given.options);
    let change = ServiceChange {
        desired_count: given.desired_count,
        task_definition: given.task_definition,
        rollout,
        force_new_deployment,
        grace_seconds: given.grace_seconds,
        load_balancers: given.load_balancers,
        as_given: Some(as_given.into()),
    };
    model.update_service(&cluster, &name, change, now)?;
    reply(model, false)
}

pub(super) fn delete(world: &mut dyn World, mut parameters: Parameters<'_>) -> Result<Value, ApiError> {
    let cluster = parameters.text("cluster")?;
    let given = parameters.required_text("service")?;
    let force = parameters.boolean("force")?.unwrap_or(false);
    parameters.finish()?;
    let now = world.now();
    let model = world.model();
    let cluster = arn::cluster(model, cluster)?.name.clone();
    let name = arn::service_name(model, &cluster, given).to_owned();
    model.delete_service(&cluster, &name, force, now)?;
    reply(model, false)
}

pub(super) fn describe(model: &Model, mut parameters: Parameters<'_>) -> Result<Value, ApiError> {
    let cluster = parameters.text("cluster")?;
    let wanted = parameters.texts("services")?;
    let with_tags = includes_tags(&mut parameters, &["TAGS"])?;
    if wanted.is_empty() {
        return Err(parameters.missing("services"));
    }
    if DESCRIBE_LIMIT < wanted.len() {
        return Err(
            parameters.invalid("services", &format!("{} services, expected at most {DESCRIBE_LIMIT}", wanted.len()))
        );
    }
    parameters.finish()?;
    let cluster = &arn::cluster(model, cluster)?.name;
    let (mut services, mut failures) = (Vec::new(), Vec::new());
    for given in &wanted {
        match arn::service(model, cluster, given) {
            Some(service) => services.push(service_view::view(model, service, with_tags)),
            None => failures.push(missing(&model.arns().service(cluster, arn::service_name(model, cluster, given)))),
        }
    }
    Ok(json!({"services": services, "failures": failures}))
}

pub(super) fn list(model: &Model, mut parameters: Parameters<'_>) -> Result<Value, ApiError> {
    let page = Page::of("ListServices", &mut parameters, 10)?;
    let cluster = parameters.text("cluster")?;
    let launch_type = parameters.text("launchType")?;
    let strategy = parameters.text("schedulingStrategy")?;
    parameters.finish()?;
    let cluster = &arn::cluster(model, cluster)?.name;
    let wanted = |service: &&Service| {
        service.cluster == *cluster
            && service.status != ServiceStatus::Inactive
            && strategy.is_none_or(|strategy| strategy == "REPLICA")
            && launch_type.is_none_or(|wanted| service.as_given.get("launchType").is_some_and(|given| given == wanted))
    };
    let item = |service: &Service| (service.name.clone(), model.arns().service(cluster, &service.name).into());
    page.reply("serviceArns", model.service.iter().filter(wanted).map(item).collect(), Order::Ascending)
}

fn reply(model: &Model, with_tags: bool) -> Result<Value, ApiError> {
    let service = model.service.as_ref().ok_or_else(ApiError::service_not_found)?;
    Ok(json!({"service": service_view::view(model, service, with_tags)}))
}

/// What `CreateService` and `UpdateService` have in common.
struct Given<'a> {
    cluster: Option<&'a str>,
    task_definition: Option<(String, u32)>,
    desired_count: Option<u32>,
    grace_seconds: Option<u32>,
    load_balancers: Option<Value>,
    options: Map<String, Value>,
}

fn read<'a>(model: &Model, parameters: &mut Parameters<'a>) -> Result<Given<'a>, ApiError> {
    let task_definition = match parameters.text("taskDefinition")? {
        Some(given) => {
            let found = arn::task_definition(model, given);
            let found = found.ok_or_else(|| ApiError::client("TaskDefinition not found."))?;
            Some((found.family.clone(), found.revision))
        }
        None => None,
    };
    if parameters.text("schedulingStrategy")?.is_some_and(|strategy| strategy != "REPLICA") {
        return Err(parameters.invalid("schedulingStrategy", "only REPLICA is supported by this engine"));
    }
    if let Some(mut controller) = parameters.object("deploymentController")? {
        if controller.required_text("type")? != "ECS" {
            return Err(controller.invalid("type", "only ECS is supported by this engine"));
        }
        controller.finish()?;
    }
    let count = |parameters: &mut Parameters<'a>, name| {
        parameters.integer(name, (0, i64::from(i32::MAX))).map(|number| number.map(|number| number as u32))
    };
    Ok(Given {
        cluster: parameters.text("cluster")?,
        task_definition,
        desired_count: count(parameters, "desiredCount")?,
        grace_seconds: count(parameters, "healthCheckGracePeriodSeconds")?,
        load_balancers: read_load_balancers(parameters)?,
        options: read_shown(parameters)?,
    })
}

fn read_shown(parameters: &mut Parameters<'_>) -> Result<Map<String, Value>, ApiError> {
    if parameters.text("propagateTags")?.is_some_and(|source| source != "NONE") {
        return Err(
            parameters.invalid("propagateTags", "only NONE is supported by this engine: label tasks by TagResource")
        );
    }
    for name in SHOWN_WORDS {
        parameters.text(name)?;
    }
    parameters.objects("capacityProviderStrategy")?;
    parameters.object("networkConfiguration")?;
    let shown = SHOWN_WORDS.into_iter().chain(SHOWN_SHAPES);
    Ok(shown.filter_map(|name| Some((name.to_owned(), parameters.value(name)?.clone()))).collect())
}

/// The list as given, its entries known.
fn read_load_balancers(parameters: &mut Parameters<'_>) -> Result<Option<Value>, ApiError> {
    for mut entry in parameters.objects("loadBalancers")? {
        entry.required_text("targetGroupArn")?;
        entry.required_text("containerName")?;
        entry.integer("containerPort", (1, 65535))?.ok_or_else(|| entry.missing("containerPort"))?;
        entry.finish()?;
    }
    Ok(parameters.value("loadBalancers").cloned())
}

/// That the service is behind the one target group there is, by a container and port it has.
fn check_load_balancers(model: &Model, given: &Value, family: &str, revision: u32) -> Result<(), ApiError> {
    let group = model.arns().target_group();
    let Some([entry]) = given.as_array().map(Vec::as_slice) else {
        let message =
            format!("`loadBalancers` must name the one target group that this engine's services are behind: {group}");
        return Err(ApiError::invalid_parameter(message));
    };
    if entry["targetGroupArn"] != *group {
        let message = format!("Unable to find the target group {}: this engine has {group}", entry["targetGroupArn"]);
        return Err(ApiError::invalid_parameter(message));
    }
    let Some(definition) = model.task_definition(family, revision) else { return Ok(()) };
    let (name, port) = (&entry["containerName"], &entry["containerPort"]);
    if *name != *definition.container {
        return Err(ApiError::invalid_parameter(format!(
            "The container {name} does not exist in the task definition."
        )));
    }
    if definition.container_port.is_none_or(|exposed| *port != exposed) {
        let message = format!("The container {name} did not have a container port {port} defined.");
        return Err(ApiError::invalid_parameter(message));
    }
    Ok(())
}
