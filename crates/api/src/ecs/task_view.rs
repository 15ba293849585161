//! A task as `DescribeTasks` shows it.

use gimmetime_scheduler::model::{Exit, Model, Service, StopCode, Task, TaskDefinition, TaskId, TaskStatus};
use serde_json::{Map, Value, json};

use super::tags;
use crate::time;

/// Exit codes of processes that a signal ended begin here, as a shell has it.
const SIGNAL_BASE: i32 = 128;

/// The container's id within its task, as Fargate forms it: the task's id, and a number.
pub(crate) fn container_id(task: &TaskId) -> String {
    format!("{task}-1")
}

/// The exit code as Docker would report it; `None` while it runs, or if it is not known.
pub(crate) fn exit_code(exit: Option<Exit>) -> Option<i32> {
    match exit? {
        Exit::Code(code) => Some(code),
        Exit::Signal(signal) => Some(SIGNAL_BASE + signal),
        Exit::Unknown => None,
    }
}

pub(super) fn view(model: &Model, task: &Task, with_tags: bool) -> Value {
    let arns = model.arns();
    let definition = model.task_definition(&task.family, task.revision);
    let mut view = Map::new();
    let mut put = |name: &str, value: Value| drop(view.insert(name.to_owned(), value));
    put("taskArn", arns.task(&task.cluster, &task.id.0).into());
    put("clusterArn", arns.cluster(&task.cluster).into());
    put("taskDefinitionArn", arns.task_definition(&task.family, task.revision).into());
    put("group", format!("service:{}", task.service).into());
    put("startedBy", task.deployment_id.clone().into());
    put("lastStatus", json!(task.last_status));
    put("desiredStatus", json!(task.desired_status));
    put("healthStatus", "UNKNOWN".into());
    put("connectivity", "CONNECTED".into());
    put("connectivityAt", time::seconds(task.created_at));
    put("availabilityZone", "local".into());
    put("enableExecuteCommand", false.into());
    put("version", 1.into());
    put("attachments", json!([]));
    put("attributes", attributes(task));
    put("containers", json!([container(model, task, definition)]));
    let name = definition.map_or("app", |definition| &definition.container);
    put("overrides", json!({"containerOverrides": [{"name": name}], "inferenceAcceleratorOverrides": []}));
    put("tags", if with_tags { tags::view(&task.tags) } else { json!([]) });
    for (name, at) in moments(task) {
        if let Some(at) = at {
            put(name, time::seconds(at));
        }
    }
    for (name, value) in words(model, task, definition) {
        if let Some(value) = value {
            put(name, value);
        }
    }
    view.into()
}

fn moments(task: &Task) -> [(&'static str, Option<gimmetime_clock::Timestamp>); 5] {
    [
        ("createdAt", Some(task.created_at)),
        ("startedAt", task.started_at),
        ("stoppingAt", task.stopping_at),
        ("executionStoppedAt", task.stopped_at),
        ("stoppedAt", task.stopped_at),
    ]
}

fn words(model: &Model, task: &Task, definition: Option<&TaskDefinition>) -> [(&'static str, Option<Value>); 5] {
    let launched = |service: &Service| service.as_given.get("launchType").cloned();
    [
        ("stopCode", task.stop_code.map(|code| json!(code))),
        ("stoppedReason", task.stopped_reason.clone().map(Value::from)),
        ("launchType", model.service.as_ref().filter(|service| service.name == task.service).and_then(launched)),
        ("cpu", definition.and_then(|definition| definition.cpu.clone()).map(Value::from)),
        ("memory", definition.and_then(|definition| definition.memory.clone()).map(Value::from)),
    ]
}

/// What ECS has no member for bears our own prefix.
fn attributes(task: &Task) -> Value {
    let mut attributes = vec![json!({"name": "ecs.cpu-architecture", "value": "x86_64"})];
    if let Some(process) = &task.process {
        attributes.push(json!({"name": "gimmetime.pid", "value": process.pid.to_string()}));
    }
    if let Some(detail) = &task.health_detail {
        attributes.push(json!({"name": "gimmetime.health", "value": detail}));
    }
    attributes.into()
}

fn container(model: &Model, task: &Task, definition: Option<&TaskDefinition>) -> Value {
    let mut view = Map::new();
    let mut put = |name: &str, value: Value| drop(view.insert(name.to_owned(), value));
    let id = container_id(&task.id);
    put("containerArn", model.arns().container(&task.cluster, &task.id.0, &id).into());
    put("taskArn", model.arns().task(&task.cluster, &task.id.0).into());
    put("lastStatus", container_status(task).into());
    put("healthStatus", "UNKNOWN".into());
    put("networkInterfaces", json!([]));
    put("networkBindings", bindings(task, definition));
    if task.process.is_some() {
        put("runtimeId", id.into());
    }
    if let Some(definition) = definition {
        put("name", definition.container.clone().into());
        put("image", definition.image.clone().into());
        if let Some((_, digest)) = definition.image.split_once('@') {
            put("imageDigest", digest.into());
        }
    }
    if let Some(code) = exit_code(task.exit) {
        put("exitCode", code.into());
    }
    if let Some(reason) = container_reason(task) {
        put("reason", reason.into());
    }
    put("cpu", "0".into());
    view.into()
}

/// A container is there or not; what surrounds it is the task's business.
pub(crate) fn container_status(task: &Task) -> &'static str {
    match task.last_status {
        TaskStatus::Provisioning | TaskStatus::Pending => "PENDING",
        TaskStatus::Activating | TaskStatus::Running | TaskStatus::Deactivating | TaskStatus::Stopping => "RUNNING",
        TaskStatus::Deprovisioning | TaskStatus::Stopped => "STOPPED",
    }
}

fn container_reason(task: &Task) -> Option<String> {
    match (task.stop_code, task.exit) {
        (Some(StopCode::TaskFailedToStart), _) => task.stopped_reason.clone(),
        (_, Some(Exit::Unknown)) => Some("exit status unknown: it ended while the engine was away".to_owned()),
        (_, Some(Exit::Signal(signal))) => Some(format!("ended by signal {signal}")),
        _ => None,
    }
}

fn bindings(task: &Task, definition: Option<&TaskDefinition>) -> Value {
    let Some(address) = task.address else { return json!([]) };
    let container_port = definition.and_then(|definition| definition.container_port).unwrap_or(address.port());
    json!([{
        "bindIP": address.ip().to_string(),
        "containerPort": container_port,
        "hostPort": address.port(),
        "protocol": "tcp",
    }])
}
