//! What bears a fixed name: found whoever made it, with tags or without.

use aws_sdk_ecs::types::TaskDefinitionStatus;
use serde_json::{Value, json};

use crate::error::{AwsError, refused};
use crate::inventory::{Item, MAX_PAGES};
use crate::query::Service;
use crate::session::Session;
use crate::stack::find;
use crate::template::event_policy_name;

/// What AWS calls a cluster, a service or a revision that is gone, and tells of for a while.
const GONE: &str = "INACTIVE";

pub(super) async fn stack(session: &Session, name: &str) -> Result<Vec<Item>, AwsError> {
    Ok(find(session, name)
        .await?
        .map(|stack| Item::new("stack", format!("{} ({})", stack.name, stack.state)))
        .into_iter()
        .collect())
}

pub(super) async fn cluster(session: &Session, name: &str) -> Result<Vec<Item>, AwsError> {
    let reply = session.ecs().describe_clusters().clusters(name).send().await;
    let reply = reply.map_err(|error| refused("look at the cluster", session.endpoint(), error))?;
    if !reply.clusters().iter().any(|cluster| cluster.status() != Some(GONE)) {
        return Ok(Vec::new());
    }
    let mut found = vec![Item::new("cluster", name)];
    let reply = session.ecs().describe_services().cluster(name).services(name).send().await;
    let reply = reply.map_err(|error| refused("look at the service", session.endpoint(), error))?;
    found.extend(
        reply
            .services()
            .iter()
            .filter(|service| service.status() != Some(GONE))
            .map(|service| Item::new("service", service.service_name().unwrap_or(name))),
    );
    Ok(found)
}

/// Revisions that could still be started.
pub(super) async fn task_definitions(session: &Session, name: &str) -> Result<Vec<Item>, AwsError> {
    let arns = revisions(session, name, TaskDefinitionStatus::Active).await?;
    Ok(arns.into_iter().map(|arn| Item::new("task definition", arn)).collect())
}

/// Revisions that are deregistered: they are free, and ECS forgets them in its own time.
pub(super) async fn deregistered(session: &Session, name: &str) -> Result<Vec<Item>, AwsError> {
    let arns = revisions(session, name, TaskDefinitionStatus::Inactive).await?;
    Ok(arns.into_iter().map(|arn| Item::new("deregistered task definition", arn)).collect())
}

async fn revisions(session: &Session, family: &str, status: TaskDefinitionStatus) -> Result<Vec<String>, AwsError> {
    let (mut all, mut token) = (Vec::new(), None);
    for _ in 0..MAX_PAGES {
        let call = session.ecs().list_task_definitions().family_prefix(family).status(status.clone());
        let reply = call.set_next_token(token).send().await;
        let reply = reply.map_err(|error| refused("list task definitions", session.endpoint(), error))?;
        // A prefix is one here: `web` would find `web-2`, too.
        let ours =
            |arn: &&String| arn.rsplit('/').next().and_then(|it| it.split_once(':')).is_some_and(|it| it.0 == family);
        all.extend(reply.task_definition_arns().iter().filter(ours).cloned());
        token = reply.next_token;
        if token.is_none() {
            break;
        }
    }
    Ok(all)
}

pub(super) async fn repository(session: &Session, name: &str) -> Result<Vec<Item>, AwsError> {
    let name = name.to_lowercase();
    Ok(session.repository_uri(&name).await?.map(|_| Item::new("repository", name)).into_iter().collect())
}

/// The log groups of a place: its own two, and the one that ECS makes outside the stack.
pub(crate) fn log_group_names(name: &str) -> [String; 3] {
    [
        format!("/gimmetime/{name}"),
        format!("/aws/events/gimmetime/{name}"),
        format!("/aws/ecs/containerinsights/{name}/performance"),
    ]
}

pub(super) async fn log_groups(session: &Session, name: &str) -> Result<Vec<Item>, AwsError> {
    let mut found = Vec::new();
    for name in log_group_names(name) {
        if log_group(session, &name).await?.is_some() {
            found.push(Item::new("log group", name));
        }
    }
    Ok(found)
}

/// Names of all policies of CloudWatch Logs in this account and region.
pub(crate) async fn log_policies(session: &Session) -> Result<Vec<String>, AwsError> {
    let (mut all, mut token) = (Vec::new(), Value::Null);
    for _ in 0..MAX_PAGES {
        let body = if token.is_string() { json!({"nextToken": token}) } else { json!({}) };
        let reply = session.query().json("look at policies of logs", Service::Logs, "DescribeResourcePolicies", &body);
        let reply = reply.await?;
        let listed = reply["resourcePolicies"].as_array().map_or(&[][..], Vec::as_slice);
        all.extend(listed.iter().filter_map(|one| one["policyName"].as_str()).map(str::to_owned));
        token = reply["nextToken"].clone();
        if !token.is_string() {
            break;
        }
    }
    Ok(all)
}

/// The policy by which events reach their log group. It takes no tags, and an account has few of its kind.
pub(super) async fn log_policy(session: &Session, name: &str) -> Result<Vec<Item>, AwsError> {
    let ours = event_policy_name(name);
    let found = log_policies(session).await?.into_iter().filter(|policy| *policy == ours);
    Ok(found.map(|policy| Item::new("policy of logs", policy)).collect())
}

/// Bytes stored in a log group; None where there is no such group.
pub(super) async fn log_group(session: &Session, name: &str) -> Result<Option<u64>, AwsError> {
    let body = json!({"logGroupNamePrefix": name});
    let reply = session.query().json("look at log groups", Service::Logs, "DescribeLogGroups", &body).await?;
    let groups = reply["logGroups"].as_array().map_or(&[][..], Vec::as_slice);
    let group = groups.iter().find(|group| group["logGroupName"] == name);
    Ok(group.map(|group| group["storedBytes"].as_u64().unwrap_or_default()))
}
