//! Task definitions: one container behind one port, and nothing that would need another machine, volume or container.
//!
//! What changes behaviour and is not here is refused by name. What is only shown, or only hardens, is kept and shown.

use std::collections::BTreeMap;

use gimmetime_scheduler::NewTaskDefinition;
use gimmetime_scheduler::model::{LogConfiguration, Model, RevisionStatus, Secret, Tags, TaskDefinition};
use serde_json::{Map, Value, json};

use super::{arn, includes_tags, tags};
use crate::page::{Order, Page};
use crate::parameters::Parameters;
use crate::{ApiError, World, sts, time};

/// Longest `stopTimeout`, in seconds: Fargate's.
const STOP_TIMEOUT_LIMIT: i64 = 120;

pub(super) fn register(world: &mut dyn World, parameters: Parameters<'_>) -> Result<Value, ApiError> {
    let new = read(parameters)?;
    let (now, caller) = (world.now(), sts::caller_arn(world));
    let model = world.model();
    let definition = model.register_task_definition(new, now)?.clone();
    Ok(json!({"taskDefinition": view(model, &definition, &caller), "tags": tags::view(&definition.tags)}))
}

pub(super) fn deregister(world: &mut dyn World, mut parameters: Parameters<'_>) -> Result<Value, ApiError> {
    let given = parameters.required_text("taskDefinition")?;
    parameters.finish()?;
    let (now, caller) = (world.now(), sts::caller_arn(world));
    let model = world.model();
    let (family, revision) = arn::split_revision(model, given);
    let revision =
        revision.ok_or_else(|| ApiError::client("Task definition must include a revision: family:revision"))?;
    let revision: u32 =
        revision.parse().map_err(|_| ApiError::client(format!("Invalid revision number. Number: {revision}")))?;
    let definition = model.deregister_task_definition(family, revision, now)?.clone();
    Ok(json!({"taskDefinition": view(model, &definition, &caller)}))
}

pub(super) fn describe(world: &mut dyn World, mut parameters: Parameters<'_>) -> Result<Value, ApiError> {
    let given = parameters.required_text("taskDefinition")?;
    let with_tags = includes_tags(&mut parameters, &["TAGS"])?;
    parameters.finish()?;
    let caller = sts::caller_arn(world);
    let model = world.model();
    let definition = arn::task_definition(model, given).ok_or(gimmetime_scheduler::Refusal::TaskDefinitionNotFound)?;
    let labels = if with_tags { tags::view(&definition.tags) } else { json!([]) };
    Ok(json!({"taskDefinition": view(model, definition, &caller), "tags": labels}))
}

pub(super) fn list(model: &Model, mut parameters: Parameters<'_>) -> Result<Value, ApiError> {
    let page = Page::of("ListTaskDefinitions", &mut parameters, 100)?;
    // ECS takes the whole family name here, whatever the parameter is called.
    let family = parameters.text("familyPrefix")?.filter(|family| !family.is_empty());
    let status = match parameters.text("status")? {
        None | Some("ACTIVE") => Some(RevisionStatus::Active),
        Some("INACTIVE") => Some(RevisionStatus::Inactive),
        Some("DELETE_IN_PROGRESS") => None,
        Some(_) => return Err(parameters.invalid("status", "expected ACTIVE, INACTIVE or DELETE_IN_PROGRESS")),
    };
    let order = match parameters.text("sort")? {
        None | Some("ASC") => Order::Ascending,
        Some("DESC") => Order::Descending,
        Some(_) => return Err(parameters.invalid("sort", "expected ASC or DESC")),
    };
    parameters.finish()?;
    let all = model.families.values().flatten();
    let wanted = all.filter(|definition| {
        Some(definition.status) == status && family.is_none_or(|family| family == definition.family)
    });
    let item = |definition: &TaskDefinition| {
        let arn = model.arns().task_definition(&definition.family, definition.revision);
        (format!("{}:{:010}", definition.family, definition.revision), Value::from(arn))
    };
    page.reply("taskDefinitionArns", wanted.map(item).collect(), order)
}

/// A revision as `DescribeTaskDefinition` shows it: all that was registered, and what became of it.
fn view(model: &Model, definition: &TaskDefinition, caller: &str) -> Value {
    let mut view = definition.as_registered.as_object().cloned().unwrap_or_default();
    view.insert("family".into(), definition.family.clone().into());
    view.insert("revision".into(), definition.revision.into());
    view.insert("status".into(), json!(definition.status));
    view.insert(
        "taskDefinitionArn".into(),
        model.arns().task_definition(&definition.family, definition.revision).into(),
    );
    view.insert("registeredAt".into(), time::seconds(definition.registered_at));
    view.insert("registeredBy".into(), caller.into());
    if let Some(moment) = definition.deregistered_at {
        view.insert("deregisteredAt".into(), time::seconds(moment));
    }
    for name in ["volumes", "placementConstraints", "requiresAttributes"] {
        view.entry(name).or_insert_with(|| json!([]));
    }
    let compatibilities = view.get("requiresCompatibilities").cloned().unwrap_or_else(|| json!(["EC2", "EXTERNAL"]));
    view.insert("compatibilities".into(), compatibilities);
    view.into()
}

fn read(mut top: Parameters<'_>) -> Result<NewTaskDefinition, ApiError> {
    let family = top.required_text("family")?.to_owned();
    let containers = top.objects("containerDefinitions")?;
    let given = top.value("containerDefinitions").cloned().unwrap_or_default();
    let mut as_registered = Map::new();
    for name in ["taskRoleArn", "executionRoleArn", "networkMode", "cpu", "memory"] {
        top.text(name)?;
        keep(&mut as_registered, &mut top, name);
    }
    if let Some(mut storage) = top.object("ephemeralStorage")? {
        storage.integer("sizeInGiB", (20, 200))?.ok_or_else(|| storage.missing("sizeInGiB"))?;
        storage.finish()?;
        keep(&mut as_registered, &mut top, "ephemeralStorage");
    }
    check_platform(&mut top, &mut as_registered)?;
    let labels = tags::read(&mut top)?;
    let texts = |name: &str| as_registered.get(name).and_then(Value::as_str).map(str::to_owned);
    let (cpu, memory) = (texts("cpu"), texts("memory"));
    let Ok([container]) = <[Parameters<'_>; 1]>::try_from(containers) else {
        let message =
            "`containerDefinitions` must hold exactly one container: this engine runs one static executable a task";
        return Err(ApiError::client(message));
    };
    top.finish()?;
    let mut new = read_container(container)?;
    as_registered.insert("containerDefinitions".into(), with_defaults(given));
    new.family = family;
    new.cpu = cpu;
    new.memory = memory;
    new.tags = labels;
    new.as_registered = as_registered.into();
    Ok(new)
}

fn keep(kept: &mut Map<String, Value>, parameters: &mut Parameters<'_>, name: &'static str) {
    if let Some(value) = parameters.value(name) {
        kept.insert(name.into(), value.clone());
    }
}

/// What a task would need of its platform, as far as this machine has it.
fn check_platform(top: &mut Parameters<'_>, kept: &mut Map<String, Value>) -> Result<(), ApiError> {
    let compatibilities = top.texts("requiresCompatibilities")?;
    let known = ["EC2", "FARGATE", "EXTERNAL", "MANAGED_INSTANCES"];
    if let Some(unknown) = compatibilities.iter().find(|given| !known.contains(&given.as_str())) {
        return Err(top.invalid("requiresCompatibilities", &format!("`{unknown}` is none of {}", known.join(", "))));
    }
    if !compatibilities.is_empty() {
        kept.insert("requiresCompatibilities".into(), compatibilities.into());
    }
    if let Some(mut platform) = top.object("runtimePlatform")? {
        if platform.text("cpuArchitecture")?.is_some_and(|architecture| architecture != "X86_64") {
            return Err(platform.invalid("cpuArchitecture", "this engine runs X86_64 only"));
        }
        if platform.text("operatingSystemFamily")?.is_some_and(|family| family != "LINUX") {
            return Err(platform.invalid("operatingSystemFamily", "this engine runs LINUX only"));
        }
        platform.finish()?;
        keep(kept, top, "runtimePlatform");
    }
    Ok(())
}

/// The container as ECS shows it: lists that were not given are empty, and it is essential.
fn with_defaults(mut containers: Value) -> Value {
    for container in containers.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        for name in ["environment", "mountPoints", "volumesFrom", "portMappings", "systemControls"] {
            container.entry(name).or_insert_with(|| json!([]));
        }
        container.entry("essential").or_insert(true.into());
        container.entry("cpu").or_insert(0.into());
    }
    containers
}

fn read_container(mut container: Parameters<'_>) -> Result<NewTaskDefinition, ApiError> {
    read_shown(&mut container)?;
    let name = container.required_text("name")?.to_owned();
    if 255 < name.len() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
        return Err(container.invalid("name", "up to 255 letters, digits, hyphens and underscores are allowed"));
    }
    if container.boolean("essential")? == Some(false) {
        return Err(ApiError::client(
            "a task definition must have an essential container: the only one cannot be optional",
        ));
    }
    let stop_timeout = container.integer("stopTimeout", (0, STOP_TIMEOUT_LIMIT))?.map(|seconds| seconds as u32);
    let labels = container.text_map("dockerLabels")?.into_iter().collect();
    let new = NewTaskDefinition {
        container: name,
        image: container.required_text("image")?.to_owned(),
        entry_point: arguments(&mut container, "entryPoint")?,
        command: arguments(&mut container, "command")?,
        container_port: read_port(&mut container)?,
        environment: read_environment(&mut container)?,
        secrets: read_secrets(&mut container)?,
        docker_labels: labels,
        stop_timeout,
        log: read_log(&mut container)?,
        tags: Tags::new(),
        ..NewTaskDefinition::default()
    };
    container.finish()?;
    if let Some(secret) = new.secrets.iter().find(|secret| new.environment.contains_key(&secret.name)) {
        let message = format!(
            "The secret name must be unique and not shared with any new or existing environment variables set on the container, such as '{}'.",
            secret.name
        );
        return Err(ApiError::client(message));
    }
    Ok(new)
}

/// What is only shown, or hardening that a process without rights has anyway; none of it changes what the task does here.
fn read_shown(container: &mut Parameters<'_>) -> Result<(), ApiError> {
    for name in ["cpu", "memory", "memoryReservation"] {
        container.integer(name, (0, i64::from(i32::MAX)))?;
    }
    container.boolean("readonlyRootFilesystem")?;
    container.text("user")?;
    container.text("versionConsistency")?;
    let Some(mut linux) = container.object("linuxParameters")? else { return Ok(()) };
    linux.boolean("initProcessEnabled")?; // the engine reaps what a task leaves behind
    if let Some(mut capabilities) = linux.object("capabilities")? {
        capabilities.texts("drop")?;
        capabilities.finish()?;
    }
    linux.finish()
}

/// An empty list is as none: ECS takes both for "what the image says".
fn arguments(container: &mut Parameters<'_>, name: &'static str) -> Result<Option<Vec<String>>, ApiError> {
    Ok(Some(container.texts(name)?).filter(|arguments| !arguments.is_empty()))
}

fn read_port(container: &mut Parameters<'_>) -> Result<Option<u16>, ApiError> {
    let mappings = container.objects("portMappings")?;
    if 1 < mappings.len() {
        return Err(container.invalid("portMappings", "this engine gives a task one port"));
    }
    let Some(mut mapping) = mappings.into_iter().next() else { return Ok(None) };
    let port = mapping.integer("containerPort", (1, 65535))?.ok_or_else(|| mapping.missing("containerPort"))?;
    let host = mapping.integer("hostPort", (0, 65535))?;
    if host.is_some_and(|host| host != 0 && host != port) {
        return Err(
            mapping.invalid("hostPort", "this engine hands out the host's port: leave it out, or name the container's")
        );
    }
    if mapping.text("protocol")?.is_some_and(|protocol| protocol != "tcp") {
        return Err(mapping.invalid("protocol", "only tcp is supported by this engine"));
    }
    if mapping.text("appProtocol")?.is_some_and(|protocol| protocol != "http") {
        return Err(mapping.invalid("appProtocol", "only http is supported by this engine"));
    }
    mapping.text("name")?;
    mapping.finish()?;
    Ok(Some(port as u16))
}

fn read_environment(container: &mut Parameters<'_>) -> Result<BTreeMap<String, String>, ApiError> {
    let mut environment = BTreeMap::new();
    for mut variable in container.objects("environment")? {
        let name = variable.required_text("name")?.to_owned();
        let value = variable.text("value")?.unwrap_or_default().to_owned();
        if name.contains(['=', '\0']) || value.contains('\0') {
            return Err(variable.invalid("name", "no variable can be called or set so"));
        }
        variable.finish()?;
        environment.insert(name, value);
    }
    Ok(environment)
}

fn read_secrets(container: &mut Parameters<'_>) -> Result<Vec<Secret>, ApiError> {
    let mut secrets: Vec<Secret> = Vec::new();
    for mut secret in container.objects("secrets")? {
        let name = secret.required_text("name")?.to_owned();
        let value_from = secret.required_text("valueFrom")?.to_owned();
        if !value_from.starts_with("file:/") {
            return Err(secret.invalid("valueFrom", "this engine reads secrets from files only: file:/absolute/path"));
        }
        if name.contains(['=', '\0']) || secrets.iter().any(|other| other.name == name) {
            return Err(secret.invalid("name", "no variable can be called so, or it is given twice"));
        }
        secret.finish()?;
        secrets.push(Secret { name, value_from });
    }
    Ok(secrets)
}

fn read_log(container: &mut Parameters<'_>) -> Result<Option<LogConfiguration>, ApiError> {
    let Some(mut log) = container.object("logConfiguration")? else { return Ok(None) };
    if log.required_text("logDriver")? != "awslogs" {
        return Err(log.invalid("logDriver", "only awslogs is supported by this engine"));
    }
    let options: BTreeMap<String, String> = log.text_map("options")?.into_iter().collect();
    let option = |name: &str| {
        options
            .get(name)
            .filter(|value| !value.is_empty())
            .cloned()
            .ok_or_else(|| log.missing(&format!("options.{name}")))
    };
    let configuration =
        LogConfiguration { group: option("awslogs-group")?, stream_prefix: option("awslogs-stream-prefix")? };
    log.finish()?;
    Ok(Some(configuration))
}
