//! Service deployments: the ledger of what was rolled out and how it ended; and the revisions they lead between.

use gimmetime_clock::Timestamp;
use gimmetime_scheduler::model::{Model, Service, ServiceDeployment, ServiceDeploymentStatus};
use serde_json::{Map, Value, json};

use super::{arn, missing, rollout, service_view};
use crate::page::{Order, Page};
use crate::parameters::Parameters;
use crate::{ApiError, time};

/// Most ARNs of one describing call.
const DESCRIBE_LIMIT: usize = 20;

const STATUSES: [&str; 9] = [
    "PENDING",
    "SUCCESSFUL",
    "STOPPED",
    "STOP_REQUESTED",
    "IN_PROGRESS",
    "ROLLBACK_REQUESTED",
    "ROLLBACK_IN_PROGRESS",
    "ROLLBACK_SUCCESSFUL",
    "ROLLBACK_FAILED",
];

pub(super) fn list(model: &Model, mut parameters: Parameters<'_>) -> Result<Value, ApiError> {
    let page = Page::of("ListServiceDeployments", &mut parameters, 20)?;
    let cluster = parameters.text("cluster")?;
    let given = parameters.required_text("service")?;
    let statuses = parameters.texts("status")?;
    if let Some(unknown) = statuses.iter().find(|given| !STATUSES.contains(&given.as_str())) {
        return Err(parameters.invalid("status", &format!("`{unknown}` is none of {}", STATUSES.join(", "))));
    }
    let (after, before) = read_window(&mut parameters)?;
    parameters.finish()?;
    let cluster = &arn::cluster(model, cluster)?.name;
    let service = arn::service(model, cluster, given).ok_or_else(ApiError::service_not_found)?;
    let wanted = service.history.iter().filter(|entry| {
        let status = json!(entry.status);
        after <= entry.created_at
            && entry.created_at <= before
            && (statuses.is_empty() || statuses.iter().any(|wanted| status == *wanted))
    });
    let item = |entry: &ServiceDeployment| (key(entry), brief(model, service, entry));
    page.reply("serviceDeployments", wanted.map(item).collect(), Order::Descending)
}

/// `createdAt {after, before}`; open ends are the ends of time.
fn read_window(parameters: &mut Parameters<'_>) -> Result<(Timestamp, Timestamp), ApiError> {
    let Some(mut window) = parameters.object("createdAt")? else { return Ok((Timestamp::MIN, Timestamp::MAX)) };
    let after = window.seconds("after")?.map_or(Timestamp::MIN, moment);
    let before = window.seconds("before")?.map_or(Timestamp::MAX, moment);
    window.finish()?;
    Ok((after, before))
}

/// Saturates at the ends of what a timestamp can hold.
fn moment(seconds: f64) -> Timestamp {
    Timestamp::from_nanos((seconds * 1e9) as i64)
}

/// Newest first, the id apart those of one moment.
fn key(entry: &ServiceDeployment) -> String {
    format!("{:020}{}", entry.created_at.as_nanos().max(0), entry.id)
}

pub(super) fn describe(model: &Model, mut parameters: Parameters<'_>) -> Result<Value, ApiError> {
    let wanted = read_arns(&mut parameters, "serviceDeploymentArns")?;
    parameters.finish()?;
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for given in wanted {
        let entry = model.service.as_ref().and_then(|service| {
            let same = |entry: &&ServiceDeployment| arn_of(model, service, entry) == given;
            service.history.iter().find(same).map(|entry| full(model, service, entry))
        });
        match entry {
            Some(entry) => found.push(entry),
            None => failures.push(missing(&given)),
        }
    }
    Ok(json!({"serviceDeployments": found, "failures": failures}))
}

pub(super) fn describe_revisions(model: &Model, mut parameters: Parameters<'_>) -> Result<Value, ApiError> {
    let wanted = read_arns(&mut parameters, "serviceRevisionArns")?;
    parameters.finish()?;
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for given in wanted {
        let revision = model.service.as_ref().and_then(|service| {
            let revision = given.rsplit('/').next()?.parse().ok()?;
            (arn::service_revision(model, service, revision) == given).then_some(())?;
            service_revision(model, service, revision)
        });
        match revision {
            Some(revision) => found.push(revision),
            None => failures.push(missing(&given)),
        }
    }
    Ok(json!({"serviceRevisions": found, "failures": failures}))
}

fn service_revision(model: &Model, service: &Service, revision: u32) -> Option<Value> {
    let entries = service.history.iter().filter(|entry| entry.revision == revision);
    let first = entries.min_by_key(|entry| entry.created_at);
    let family = first.map_or(&service.family, |entry| &entry.family);
    let definition = model.task_definition(family, revision)?;
    let created_at = first.map_or(definition.registered_at, |entry| entry.created_at);
    Some(json!({
        "serviceRevisionArn": arn::service_revision(model, service, revision),
        "serviceArn": model.arns().service(&service.cluster, &service.name),
        "clusterArn": model.arns().cluster(&service.cluster),
        "taskDefinition": model.arns().task_definition(family, revision),
        "loadBalancers": service.load_balancers,
        "containerImages": [{"containerName": definition.container, "image": definition.image}],
        "createdAt": time::seconds(created_at),
    }))
}

fn read_arns(parameters: &mut Parameters<'_>, name: &'static str) -> Result<Vec<String>, ApiError> {
    let wanted = parameters.texts(name)?;
    if wanted.is_empty() {
        return Err(parameters.missing(name));
    }
    if DESCRIBE_LIMIT < wanted.len() {
        return Err(parameters.invalid(name, &format!("{} ARNs, expected at most {DESCRIBE_LIMIT}", wanted.len())));
    }
    Ok(wanted)
}

fn arn_of(model: &Model, service: &Service, entry: &ServiceDeployment) -> String {
    model.arns().service_deployment(&service.cluster, &service.name, &entry.id)
}

/// What both calls show.
fn common(model: &Model, service: &Service, entry: &ServiceDeployment) -> Map<String, Value> {
    let mut view = Map::new();
    let mut put = |name: &str, value: Value| drop(view.insert(name.to_owned(), value));
    put("serviceDeploymentArn", arn_of(model, service, entry).into());
    put("serviceArn", model.arns().service(&service.cluster, &service.name).into());
    put("clusterArn", model.arns().cluster(&service.cluster).into());
    put("status", json!(entry.status));
    put("createdAt", time::seconds(entry.created_at));
    if let Some(reason) = &entry.status_reason {
        put("statusReason", reason.clone().into());
    }
    for (name, at) in [("startedAt", entry.started_at), ("finishedAt", entry.finished_at)] {
        if let Some(at) = at {
            put(name, time::seconds(at));
        }
    }
    view
}

fn brief(model: &Model, service: &Service, entry: &ServiceDeployment) -> Value {
    let mut view = common(model, service, entry);
    view.insert("targetServiceRevisionArn".into(), arn::service_revision(model, service, entry.revision).into());
    view.into()
}

fn full(model: &Model, service: &Service, entry: &ServiceDeployment) -> Value {
    let mut view = common(model, service, entry);
    let mut put = |name: &str, value: Value| drop(view.insert(name.to_owned(), value));
    put("updatedAt", time::seconds(entry.updated_at));
    if let (ServiceDeploymentStatus::Stopped, Some(at)) = (entry.status, entry.finished_at) {
        put("stoppedAt", time::seconds(at));
    }
    let source = entry.source_revision.map(|revision| revision_counts(model, service, revision));
    put("sourceServiceRevisions", source.into_iter().collect());
    put("targetServiceRevision", revision_counts(model, service, entry.revision));
    put("deploymentConfiguration", rollout::view(&service.rollout));
    put("deploymentCircuitBreaker", breaker(model, service, entry));
    if let Some(at) = entry.rollback_started_at {
        let mut rollback = Map::new();
        rollback.insert("startedAt".into(), time::seconds(at));
        if let Some(reason) = &entry.status_reason {
            rollback.insert("reason".into(), reason.clone().into());
        }
        if let Some(revision) = entry.rolled_back_to {
            rollback.insert("serviceRevisionArn".into(), arn::service_revision(model, service, revision).into());
        }
        put("rollback", rollback.into());
    }
    view.into()
}

/// What a revision has now, and what is asked of it: nothing once it was replaced.
fn revision_counts(model: &Model, service: &Service, revision: u32) -> Value {
    let asked = service.deployments.iter().filter(|deployment| deployment.revision == revision);
    let requested: u32 = asked.map(|deployment| service_view::desired(model, service, deployment)).sum();
    let counts = model.counts_of(|task| task.revision == revision);
    json!({
        "arn": arn::service_revision(model, service, revision),
        "requestedTaskCount": requested,
        "runningTaskCount": counts.running,
        "pendingTaskCount": counts.pending,
    })
}

fn breaker(model: &Model, service: &Service, entry: &ServiceDeployment) -> Value {
    use ServiceDeploymentStatus::{InProgress, Pending, RollbackFailed, RollbackInProgress, RollbackSuccessful};
    let status = match entry.status {
        _ if !service.rollout.breaker.enable => "DISABLED",
        RollbackInProgress | RollbackSuccessful | RollbackFailed => "TRIGGERED",
        Pending | InProgress => "MONITORING",
        ServiceDeploymentStatus::Successful | ServiceDeploymentStatus::Stopped => "MONITORING_COMPLETE",
    };
    let counting = service.deployments.iter().find(|deployment| deployment.id == entry.deployment_id);
    let failures = counting.map_or(entry.failed_tasks, |deployment| model.breaker_count(deployment));
    json!({"status": status, "failureCount": failures, "threshold": entry.breaker_threshold})
}
