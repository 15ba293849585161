//! Task metadata v4: what a task may know of itself, and how far this machine's clock can be trusted.
//!
//! Source: Amazon ECS Developer Guide, "Task metadata endpoint version 4". `ClockDrift` bears the kernel's own figures; what
//! the kernel does not know is left out, never made up.

use gimmetime_clock::Synchronization;
use gimmetime_scheduler::model::{Model, Task, TaskDefinition, TaskId};
use serde_json::{Map, Value, json};

use crate::ecs::{container_id, container_status, exit_code};
use crate::parameters::Parameters;
use crate::{ApiError, Call, World, time};
use http::StatusCode;

/// The path of a task's metadata: what follows the API's URL in `ECS_CONTAINER_METADATA_URI_V4`.
pub fn path(task: &TaskId) -> String {
    format!("/v4/{}", container_id(task))
}

pub(crate) fn answer(world: &mut dyn World, call: &Call) -> Result<Value, ApiError> {
    let mut parameters = Parameters::new(call.service, &call.parameters)?;
    let path = parameters.required_text("path")?;
    parameters.finish()?;
    let not_found = || {
        ApiError::new(
            "NotFound",
            format!("there is no metadata at {path}: expected /v4/<task id>-<n>, or that and /task"),
        )
        .with_status(StatusCode::NOT_FOUND)
    };
    let rest = path.strip_prefix("/v4/").ok_or_else(not_found)?;
    let (container, view) = rest.split_once('/').map_or((rest, ""), |(container, view)| (container, view));
    let (id, number) = container.split_once('-').ok_or_else(not_found)?;
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(not_found());
    }
    let drift = clock_drift(world);
    let model = world.model();
    let task = model.tasks.get(&TaskId(id.to_owned())).ok_or_else(not_found)?;
    let definition = model.task_definition(&task.family, task.revision).ok_or_else(not_found)?;
    match view {
        "" => Ok(container_view(model, task, definition)),
        "task" => Ok(task_view(model, task, definition, drift)),
        _ => Err(not_found()),
    }
}

fn clock_drift(world: &dyn World) -> Value {
    let clock = world.kernel_clock();
    let mut drift = Map::new();
    if let Some(bound) = clock.error_bound {
        drift.insert("ClockErrorBound".into(), (bound.as_secs_f64() * 1000.0).into());
    }
    drift.insert("ReferenceTimestamp".into(), time::text(world.now().wall));
    let status = match clock.status {
        Synchronization::Synchronized => Some("SYNCHRONIZED"),
        Synchronization::NotSynchronized => Some("NOT_SYNCHRONIZED"),
        Synchronization::Unknown => None,
    };
    if let Some(status) = status {
        drift.insert("ClockSynchronizationStatus".into(), status.into());
    }
    drift.into()
}

fn task_view(model: &Model, task: &Task, definition: &TaskDefinition, drift: Value) -> Value {
    let mut view = Map::new();
    let mut put = |name: &str, value: Value| drop(view.insert(name.to_owned(), value));
    put("Cluster", model.arns().cluster(&task.cluster).into());
    put("TaskARN", model.arns().task(&task.cluster, &task.id.0).into());
    put("ServiceName", task.service.clone().into());
    put("Family", task.family.clone().into());
    put("Revision", task.revision.to_string().into());
    put("DesiredStatus", json!(task.desired_status));
    put("KnownStatus", json!(task.last_status));
    put("AvailabilityZone", "local".into());
    put("Containers", json!([container_view(model, task, definition)]));
    put("ClockDrift", drift);
    if let Some(at) = task.stopping_at {
        put("ExecutionStoppedAt", time::text(at));
    }
    let service = model.service.as_ref().filter(|service| service.name == task.service);
    if let Some(launch_type) = service.and_then(|service| service.as_given.get("launchType")) {
        put("LaunchType", launch_type.clone());
    }
    view.into()
}

fn container_view(model: &Model, task: &Task, definition: &TaskDefinition) -> Value {
    let arn = model.arns().task(&task.cluster, &task.id.0);
    let id = container_id(&task.id);
    let mut view = Map::new();
    let mut put = |name: &str, value: Value| drop(view.insert(name.to_owned(), value));
    put("ContainerARN", model.arns().container(&task.cluster, &task.id.0, &id).into());
    put("DockerId", id.into());
    put("Name", definition.container.clone().into());
    put("DockerName", definition.container.clone().into());
    put("Image", definition.image.clone().into());
    if let Some((_, digest)) = definition.image.split_once('@') {
        put("ImageID", digest.into());
    }
    put(
        "Labels",
        json!({
            "com.amazonaws.ecs.cluster": model.arns().cluster(&task.cluster),
            "com.amazonaws.ecs.container-name": definition.container,
            "com.amazonaws.ecs.task-arn": arn,
            "com.amazonaws.ecs.task-definition-family": task.family,
            "com.amazonaws.ecs.task-definition-version": task.revision.to_string(),
        }),
    );
    put("DesiredStatus", json!(task.desired_status));
    put("KnownStatus", container_status(task).into());
    put("Type", "NORMAL".into());
    put("CreatedAt", time::text(task.created_at));
    if let Some(at) = task.started_at {
        put("StartedAt", time::text(at));
    }
    if let Some(code) = exit_code(task.exit) {
        put("ExitCode", code.into());
    }
    if let Some(address) = task.address {
        let port = definition.container_port.unwrap_or(address.port());
        put(
            "Ports",
            json!([{"ContainerPort": port, "HostPort": address.port(), "Protocol": "tcp", "HostIp": address.ip().to_string()}]),
        );
    }
    if let Some(log) = &definition.log {
        let stream = format!("{}/{}/{}", log.stream_prefix, definition.container, task.id);
        put("LogDriver", "awslogs".into());
        put(
            "LogOptions",
            json!({"awslogs-group": log.group, "awslogs-stream": stream, "awslogs-region": gimmetime_scheduler::model::REGION}),
        );
    }
    view.into()
}
