//! The target group of a place: by its name, and what it asks the tasks.

use crate::connection::Connection;
use crate::error::{OpsError, refused};
use crate::observe;
use crate::place::Place;

/// The ARN of the target group of this name.
pub async fn target_group(connection: &Connection, name: &str) -> Result<String, OpsError> {
    const DOING: &str = "find the target group";
    let call = connection.balancing.describe_target_groups().names(name);
    let reply = call.send().await.map_err(|error| refused(DOING, connection.endpoint(), error))?;
    let group = reply.target_groups().first().and_then(|group| group.target_group_arn());
    group.map(str::to_owned).ok_or(OpsError::Incomplete { doing: DOING, missing: "a target group" })
}

/// The path that the balancer asks the tasks for their health; None while no task runs that a wrong one could fell.
pub async fn asked_path(place: &Place) -> Result<Option<String>, OpsError> {
    const DOING: &str = "describe the target group";
    if observe::find_service(place).await?.is_none_or(|service| service.running_count() == 0) {
        return Ok(None);
    }
    let call = place.endpoint.balancing.describe_target_groups().target_group_arns(&place.target_group_arn);
    let reply = call.send().await.map_err(|error| refused(DOING, place.endpoint.endpoint(), error))?;
    let path = reply.target_groups().first().and_then(|group| group.health_check_path());
    path.map(|path| Some(path.to_owned())).ok_or(OpsError::Incomplete { doing: DOING, missing: "a health check path" })
}
