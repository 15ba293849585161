//! Names as callers write them: a short name or a full ARN, everywhere.

use gimmetime_scheduler::model::{Cluster, Model, RevisionStatus, Service, TaskDefinition, TaskId};

use crate::ApiError;

/// The name ECS takes where no cluster is named.
pub(crate) const DEFAULT_CLUSTER: &str = "default";

/// The cluster that is meant by `given`.
pub(crate) fn cluster<'a>(model: &'a Model, given: Option<&str>) -> Result<&'a Cluster, ApiError> {
    model.clusters.get(cluster_name(model, given)).ok_or_else(ApiError::cluster_not_found)
}

/// The name in `given`, whether or not there is such a cluster.
pub(crate) fn cluster_name<'a>(model: &Model, given: Option<&'a str>) -> &'a str {
    let given = given.filter(|given| !given.is_empty()).unwrap_or(DEFAULT_CLUSTER);
    given.strip_prefix(model.arns().cluster("").as_str()).unwrap_or(given)
}

/// The service of this name or ARN in a cluster, whatever its status.
pub(crate) fn service<'a>(model: &'a Model, cluster: &str, given: &str) -> Option<&'a Service> {
    let service = model.service.as_ref().filter(|service| service.cluster == cluster)?;
    (service_name(model, cluster, given) == service.name).then_some(service)
}

/// The name in `given`, whether or not there is such a service.
pub(crate) fn service_name<'a>(model: &Model, cluster: &str, given: &'a str) -> &'a str {
    given.strip_prefix(model.arns().service(cluster, "").as_str()).unwrap_or(given)
}

/// The id of the task of this id or ARN in a cluster.
pub(crate) fn task(model: &Model, cluster: &str, given: &str) -> Option<TaskId> {
    let id = TaskId(given.strip_prefix(model.arns().task(cluster, "").as_str()).unwrap_or(given).to_owned());
    model.tasks.get(&id).filter(|task| task.cluster == cluster).map(|_| id)
}

/// The revision meant by `family`, `family:revision` or an ARN; a family alone means its latest active revision.
pub(crate) fn task_definition<'a>(model: &'a Model, given: &str) -> Option<&'a TaskDefinition> {
    match split_revision(model, given) {
        (family, Some(revision)) => model.task_definition(family, revision.parse().ok()?),
        (family, None) => {
            let active = |definition: &&TaskDefinition| definition.status == RevisionStatus::Active;
            model.families.get(family)?.iter().rev().find(active)
        }
    }
}

/// Family and revision as written.
pub(crate) fn split_revision<'a>(model: &Model, given: &'a str) -> (&'a str, Option<&'a str>) {
    let prefix = model.arns().task_definition("", 0);
    let name = given.strip_prefix(prefix.trim_end_matches(":0")).unwrap_or(given);
    name.split_once(':').map_or((name, None), |(family, revision)| (family, Some(revision)))
}

/// The ARN of a service revision. Its id is the task definition's revision in nineteen digits: what a service runs differs
/// between its revisions in nothing else here.
pub(crate) fn service_revision(model: &Model, service: &Service, revision: u32) -> String {
    model.arns().service_revision(&service.cluster, &service.name, &format!("{revision:019}"))
}
