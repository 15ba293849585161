//! What bears a fixed name and outlived its stack: left by a removal by hand, or by one that gave resources up. It is removed
//! only if our label is on it.

use serde_json::json;

use crate::error::{AwsError, refused};
use crate::event::{Doing, PlaceEvent, Progress, ResourceEvent};
use crate::inventory::{Item, log_group_names};
use crate::query::Service;
use crate::session::Session;
use crate::stack::{PlaceRun, obstacle};
use crate::tags;

/// Removes cluster, repository and log groups of that name, where our label is on them.
///
/// Somebody who may not look or remove is told so by the inventory, which lists what is still there.
pub(super) async fn sweep(session: &Session, name: &str, run: &PlaceRun) -> Result<Vec<Item>, AwsError> {
    let mut swept = Vec::new();
    if cluster(session, name).await.or_else(lenient)? {
        swept.push((Item::new("cluster", name), "AWS::ECS::Cluster"));
    }
    let repository_name = name.to_lowercase();
    if repository(session, name, &repository_name).await.or_else(lenient)? {
        swept.push((Item::new("repository", repository_name), "AWS::ECR::Repository"));
    }
    for group in log_group_names(name) {
        if log_group(session, name, &group).await.or_else(lenient)? {
            swept.push((Item::new("log group", group), "AWS::Logs::LogGroup"));
        }
    }
    for (item, kind) in &swept {
        run.emit(PlaceEvent::Resource(ResourceEvent {
            logical_id: item.id.clone(),
            kind: (*kind).to_owned(),
            physical_id: Some(item.id.clone()),
            doing: Doing::Delete,
            progress: Progress::Done,
        }));
    }
    Ok(swept.into_iter().map(|(item, _)| item).collect())
}

/// What one service refuses does not end the removal of the rest.
fn lenient(error: AwsError) -> Result<bool, AwsError> {
    match error {
        AwsError::Denied(_) | AwsError::Refused { .. } => Ok(false),
        error => Err(error),
    }
}

async fn cluster(session: &Session, name: &str) -> Result<bool, AwsError> {
    const DOING: &str = "remove a cluster that outlived its stack";
    let call = session.ecs().describe_clusters().clusters(name).include(aws_sdk_ecs::types::ClusterField::Tags);
    let reply = call.send().await.map_err(|error| refused(DOING, session.endpoint(), error))?;
    let is_ours = reply
        .clusters()
        .iter()
        .filter(|cluster| cluster.status() == Some("ACTIVE"))
        .any(|cluster| cluster.tags().iter().any(|tag| tag.key() == Some(tags::NAME) && tag.value() == Some(name)));
    if !is_ours {
        return Ok(false);
    }
    obstacle::empty_cluster(session, name).await?;
    let reply = session.ecs().delete_cluster().cluster(name).send().await;
    reply.map_err(|error| refused(DOING, session.endpoint(), error))?;
    Ok(true)
}

async fn repository(session: &Session, name: &str, repository: &str) -> Result<bool, AwsError> {
    const DOING: &str = "remove a repository that outlived its stack";
    let reply = session.ecr().describe_repositories().repository_names(repository).send().await;
    let reply = reply.map_err(|error| refused(DOING, session.endpoint(), error))?;
    let Some(arn) = reply.repositories().first().and_then(|repository| repository.repository_arn()) else {
        return Ok(false);
    };
    let reply = session.ecr().list_tags_for_resource().resource_arn(arn).send().await;
    let reply = reply.map_err(|error| refused(DOING, session.endpoint(), error))?;
    if !reply.tags().iter().any(|tag| tag.key() == tags::NAME && tag.value() == name) {
        return Ok(false);
    }
    let reply = session.ecr().delete_repository().repository_name(repository).force(true).send().await;
    reply.map_err(|error| refused(DOING, session.endpoint(), error))?;
    Ok(true)
}

async fn log_group(session: &Session, name: &str, group: &str) -> Result<bool, AwsError> {
    const DOING: &str = "remove a log group that outlived its stack";
    let query = session.query();
    let reply = query.json(DOING, Service::Logs, "DescribeLogGroups", &json!({"logGroupNamePrefix": group})).await?;
    let groups = reply["logGroups"].as_array().map_or(&[][..], Vec::as_slice);
    let Some(arn) = groups.iter().find(|one| one["logGroupName"] == group).and_then(|one| one["arn"].as_str()) else {
        return Ok(false);
    };
    let arn = arn.trim_end_matches(":*");
    let reply = query.json(DOING, Service::Logs, "ListTagsForResource", &json!({"resourceArn": arn})).await?;
    if reply["tags"][tags::NAME] != name {
        return Ok(false);
    }
    query.json(DOING, Service::Logs, "DeleteLogGroup", &json!({"logGroupName": group})).await?;
    Ok(true)
}
