//! Tasks: listed, described, stopped.

use gimmetime_scheduler::Refusal;
use gimmetime_scheduler::model::{Model, Task, TaskStatus};
use serde_json::{Value, json};

use super::{arn, includes_tags, missing, task_view};
use crate::page::{Order, Page};
use crate::parameters::Parameters;
use crate::{ApiError, World};

/// Longest `reason` of `StopTask`, in characters.
const REASON_LIMIT: usize = 1024;

pub(super) fn list(model: &Model, mut parameters: Parameters<'_>) -> Result<Value, ApiError> {
    let page = Page::of("ListTasks", &mut parameters, 100)?;
    let cluster = parameters.text("cluster")?;
    let service = parameters.text("serviceName")?;
    let family = parameters.text("family")?;
    let started_by = parameters.text("startedBy")?;
    let launch_type = parameters.text("launchType")?;
    let desired = match parameters.text("desiredStatus")? {
        None | Some("RUNNING") => Some(TaskStatus::Running),
        Some("STOPPED") => Some(TaskStatus::Stopped),
        // ECS never has a task whose desired status is PENDING, and lists none.
        Some("PENDING") => None,
        Some(_) => return Err(parameters.invalid("desiredStatus", "expected RUNNING, PENDING or STOPPED")),
    };
    parameters.finish()?;
    let cluster = &arn::cluster(model, cluster)?.name;
    let service = service.map(|given| arn::service_name(model, cluster, given));
    if let Some(name) = service.filter(|name| arn::service(model, cluster, name).is_none()) {
        return Err(ApiError::new("ServiceNotFoundException", format!("Service not found: {name}")));
    }
    let launched = |wanted: &str| {
        model
            .service
            .as_ref()
            .and_then(|service| service.as_given.get("launchType"))
            .is_some_and(|given| given == wanted)
    };
    let wanted = |task: &&Task| {
        task.cluster == *cluster
            && Some(task.desired_status) == desired
            && service.is_none_or(|name| name == task.service)
            && family.is_none_or(|family| family == task.family)
            && started_by.is_none_or(|id| id == task.deployment_id)
            && launch_type.is_none_or(launched)
    };
    let item = |task: &Task| (task.id.0.clone(), model.arns().task(cluster, &task.id.0).into());
    page.reply("taskArns", model.tasks.values().filter(wanted).map(item).collect(), Order::Ascending)
}

pub(super) fn describe(model: &Model, mut parameters: Parameters<'_>) -> Result<Value, ApiError> {
    let cluster = parameters.text("cluster")?;
    let wanted = parameters.texts("tasks")?;
    if wanted.is_empty() {
        return Err(parameters.missing("tasks"));
    }
    let with_tags = includes_tags(&mut parameters, &["TAGS"])?;
    parameters.finish()?;
    let cluster = &arn::cluster(model, cluster)?.name;
    let (mut tasks, mut failures) = (Vec::new(), Vec::new());
    for given in &wanted {
        match arn::task(model, cluster, given) {
            Some(id) => tasks.push(task_view::view(model, &model.tasks[&id], with_tags)),
            None if given.starts_with("arn:") => failures.push(missing(given)),
            None => failures.push(missing(&model.arns().task(cluster, given))),
        }
    }
    Ok(json!({"tasks": tasks, "failures": failures}))
}

pub(super) fn stop(world: &mut dyn World, mut parameters: Parameters<'_>) -> Result<Value, ApiError> {
    let cluster = parameters.text("cluster")?;
    let given = parameters.required_text("task")?;
    let reason = parameters.text("reason")?;
    if reason.is_some_and(|reason| REASON_LIMIT < reason.chars().count()) {
        return Err(parameters.invalid("reason", &format!("expected at most {REASON_LIMIT} characters")));
    }
    parameters.finish()?;
    let now = world.now();
    let model = world.model();
    let cluster = &arn::cluster(model, cluster)?.name;
    let id = arn::task(model, cluster, given).ok_or(Refusal::TaskNotFound)?;
    model.stop_task(&id, reason, now)?;
    Ok(json!({"task": task_view::view(model, &model.tasks[&id], true)}))
}
