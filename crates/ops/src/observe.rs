//! Reads a service through the APIs. Nothing here decides.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ecs::types::{
    DesiredStatus, Service, ServiceField, SortOrder, TaskDefinition, TaskDefinitionField, TaskDefinitionStatus,
};
use gimmetime_clock::{Timestamp, iso};

use crate::error::{OpsError, refused};
use crate::place::Place;
use crate::snapshot::{AttemptView, ServiceView, Snapshot, TargetView, TaskView, revision_of, tags as read_tags};
use crate::tags;

/// Most tasks and tags one call describes (the APIs' own limit).
const BATCH: usize = 100;
/// Most service revisions one call describes (the API's own limit).
const REVISION_BATCH: usize = 20;
/// Most pages read of any list: a list that does not end is an error of the server.
const PAGES: usize = 100;

/// Reads one service again and again, remembering what cannot change any more.
#[derive(Debug, Default)]
pub(crate) struct Observer {
    /// Tasks that are STOPPED: described once.
    stopped: BTreeMap<String, TaskView>,
}

impl Observer {
    /// What the service looks like now.
    pub(crate) async fn look(&mut self, place: &Place) -> Result<Snapshot, OpsError> {
        let (service, tasks, targets, attempts) = tokio::try_join!(
            Box::pin(service(place)),
            Box::pin(self.tasks(place)),
            Box::pin(targets(place)),
            Box::pin(attempts(place)),
        )?;
        Ok(Snapshot { service, tasks, targets, attempts })
    }

    /// How many tasks have a process still. A cluster that is gone has none.
    pub(crate) async fn alive(&mut self, place: &Place) -> Result<usize, OpsError> {
        Ok(self.tasks(place).await?.iter().filter(|task| !task.is_gone()).count())
    }

    /// All tasks that ECS still knows; none of a cluster that is gone.
    pub(crate) async fn tasks(&mut self, place: &Place) -> Result<Vec<TaskView>, OpsError> {
        // One after the other: a task that goes from this list to that is in both then, and never in none.
        let alive = task_arns(place, DesiredStatus::Running).await?;
        let ending = task_arns(place, DesiredStatus::Stopped).await?;
        self.stopped.retain(|arn, _| ending.contains(arn));
        let listed: BTreeSet<String> = alive.into_iter().chain(ending).collect();
        let asked: Vec<String> = listed.into_iter().filter(|arn| !self.stopped.contains_key(arn)).collect();
        let mut tasks: Vec<TaskView> = self.stopped.values().cloned().collect();
        for batch in asked.chunks(BATCH) {
            for (arn, task) in describe_tasks(place, batch).await? {
                if task.last_status == "STOPPED" {
                    self.stopped.insert(arn, task.clone());
                }
                tasks.push(task);
            }
        }
        Ok(tasks)
    }
}

/// The service, or [`OpsError::NotUp`].
pub(crate) async fn service(place: &Place) -> Result<ServiceView, OpsError> {
    let not_up = || OpsError::NotUp { cluster: place.cluster.clone(), service: place.service.clone() };
    find_service(place).await?.as_ref().map(ServiceView::from).ok_or_else(not_up)
}

/// The service, if it is there and not being deleted.
pub(crate) async fn find_service(place: &Place) -> Result<Option<Service>, OpsError> {
    Ok(any_service(place).await?.filter(|service| service.status() == Some("ACTIVE")))
}

/// Whether the service is there still, be it on its way out.
pub(crate) async fn is_there(place: &Place) -> Result<bool, OpsError> {
    Ok(any_service(place).await?.is_some_and(|service| service.status() != Some("INACTIVE")))
}

/// The service in whatever state; those that are gone are shown for a while.
async fn any_service(place: &Place) -> Result<Option<Service>, OpsError> {
    const DOING: &str = "describe the service";
    let call = place.endpoint.ecs.describe_services().cluster(&place.cluster).services(&place.service);
    let reply = call.include(ServiceField::Tags).send().await;
    match reply.map_err(|error| refused(DOING, place.endpoint.endpoint(), error)) {
        Ok(reply) => Ok(reply.services.and_then(|services| services.into_iter().next())),
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error),
    }
}

async fn task_arns(place: &Place, desired: DesiredStatus) -> Result<Vec<String>, OpsError> {
    const DOING: &str = "list the tasks";
    let mut arns = Vec::new();
    let mut token = None;
    for _ in 0..PAGES {
        let call = place.endpoint.ecs.list_tasks().cluster(&place.cluster).service_name(&place.service);
        let reply = call.desired_status(desired.clone()).set_next_token(token.take()).send().await;
        let reply = match reply.map_err(|error| refused(DOING, place.endpoint.endpoint(), error)) {
            Err(error) if error.is_absent() => break,
            reply => reply?,
        };
        arns.extend_from_slice(reply.task_arns());
        token = reply.next_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    Ok(arns)
}

async fn describe_tasks(place: &Place, arns: &[String]) -> Result<Vec<(String, TaskView)>, OpsError> {
    let call = place.endpoint.ecs.describe_tasks().cluster(&place.cluster).set_tasks(Some(arns.to_vec()));
    let reply = call.send().await.map_err(|error| refused("describe the tasks", place.endpoint.endpoint(), error))?;
    // A task that went between the two calls is in `failures`: it is simply not there any more.
    Ok(reply.tasks().iter().map(|task| (task.task_arn().unwrap_or_default().to_owned(), task.into())).collect())
}

async fn targets(place: &Place) -> Result<Vec<TargetView>, OpsError> {
    let call = place.endpoint.balancing.describe_target_health().target_group_arn(&place.target_group_arn);
    let reply = call.send().await;
    let reply = reply.map_err(|error| refused("describe the targets' health", place.endpoint.endpoint(), error))?;
    Ok(reply.target_health_descriptions().iter().map(TargetView::from).collect())
}

/// How many targets are healthy.
pub(crate) async fn healthy(place: &Place) -> Result<u32, OpsError> {
    Ok(Snapshot { targets: targets(place).await?, ..Snapshot::default() }.healthy())
}

/// The ledger's newest page, newest first. An endpoint without service deployments has an empty one.
pub(crate) async fn attempts(place: &Place) -> Result<Vec<AttemptView>, OpsError> {
    const DOING: &str = "list the service deployments";
    let call = place.endpoint.ecs.list_service_deployments().cluster(&place.cluster).service(&place.service);
    let reply = match call.send().await.map_err(|error| refused(DOING, place.endpoint.endpoint(), error)) {
        Err(error) if error.is_absent() || is_unknown_operation(&error) => return Ok(Vec::new()),
        reply => reply?,
    };
    let mut attempts: Vec<AttemptView> = reply.service_deployments().iter().map(AttemptView::from).collect();
    // Oldest last; entries of one moment stay in the API's order, which is newest first.
    attempts.sort_by_key(|attempt| std::cmp::Reverse(attempt.created_at));
    Ok(attempts)
}

/// Fills in which revision each attempt brought. What cannot be looked up stays unknown.
pub(crate) async fn resolve_revisions(place: &Place, attempts: &mut [AttemptView]) -> Result<(), OpsError> {
    const DOING: &str = "describe the service revisions";
    let mut wanted: Vec<String> = attempts.iter().filter_map(|attempt| attempt.target.clone()).collect();
    wanted.sort();
    wanted.dedup();
    let mut revisions = BTreeMap::new();
    for batch in wanted.chunks(REVISION_BATCH) {
        let call = place.endpoint.ecs.describe_service_revisions().set_service_revision_arns(Some(batch.to_vec()));
        let reply = match call.send().await.map_err(|error| refused(DOING, place.endpoint.endpoint(), error)) {
            Err(error) if error.is_absent() || is_unknown_operation(&error) => return Ok(()),
            reply => reply?,
        };
        for revision in reply.service_revisions() {
            if let (Some(arn), Some(number)) =
                (revision.service_revision_arn(), revision.task_definition().and_then(revision_of))
            {
                revisions.insert(arn.to_owned(), number);
            }
        }
    }
    for attempt in attempts {
        attempt.revision = attempt.target.as_ref().and_then(|arn| revisions.get(arn)).copied();
    }
    Ok(())
}

pub(crate) fn is_unknown_operation(error: &OpsError) -> bool {
    let unknown = ["UnknownOperationException", "UnsupportedOperation", "InvalidAction", "NotImplemented"];
    matches!(error, OpsError::Refused { code, .. } if unknown.iter().any(|name| code.contains(name)))
}

/// A task definition by ARN or `family:revision`, and its labels.
pub(crate) async fn task_definition(
    place: &Place,
    name: &str,
) -> Result<(TaskDefinition, BTreeMap<String, String>), OpsError> {
    const DOING: &str = "describe the task definition";
    let call = place.endpoint.ecs.describe_task_definition().task_definition(name).include(TaskDefinitionField::Tags);
    let reply = call.send().await.map_err(|error| refused(DOING, place.endpoint.endpoint(), error))?;
    let mut labels = read_tags(reply.tags());
    match reply.task_definition {
        Some(definition) => {
            complete(&mut labels, &definition);
            Ok((definition, labels))
        }
        None => Err(OpsError::Incomplete { doing: DOING, missing: "taskDefinition" }),
    }
}

/// A revision that another client registered bears no labels of ours; ECS itself knows by whom and when.
fn complete(labels: &mut BTreeMap<String, String>, definition: &TaskDefinition) {
    if let Some(who) = definition.registered_by() {
        labels.entry(tags::WHO.to_owned()).or_insert_with(|| crate::snapshot::last_part(who).to_owned());
    }
    if let Some(at) = definition.registered_at().and_then(|at| i64::try_from(at.as_nanos()).ok()) {
        labels.entry(tags::AT.to_owned()).or_insert_with(|| iso::format(Timestamp::from_nanos(at)));
    }
}

/// The ARNs of the active revisions, newest first, at most `limit`.
pub(crate) async fn revisions(place: &Place, limit: usize) -> Result<Vec<String>, OpsError> {
    revisions_that_are(place, TaskDefinitionStatus::Active, limit).await
}

/// The ARNs of the revisions of one status, newest first, at most `limit`.
pub(crate) async fn revisions_that_are(
    place: &Place,
    status: TaskDefinitionStatus,
    limit: usize,
) -> Result<Vec<String>, OpsError> {
    const DOING: &str = "list the task definitions";
    let mut arns = Vec::new();
    let mut token = None;
    for _ in 0..PAGES {
        let call = place.endpoint.ecs.list_task_definitions().family_prefix(&place.service);
        let call = call.status(status.clone()).sort(SortOrder::Desc).set_next_token(token.take());
        let reply = call.send().await.map_err(|error| refused(DOING, place.endpoint.endpoint(), error))?;
        // The prefix also matches longer families.
        let family = |arn: &&String| {
            crate::snapshot::last_part(arn).rsplit_once(':').is_some_and(|(family, _)| family == place.service)
        };
        arns.extend(reply.task_definition_arns().iter().filter(family).cloned());
        token = reply.next_token().map(str::to_owned);
        if token.is_none() || limit <= arns.len() {
            break;
        }
    }
    arns.sort_by_key(|arn| std::cmp::Reverse(revision_of(arn)));
    arns.truncate(limit);
    Ok(arns)
}
