//! The target group of a place, by its name.

use crate::connection::Connection;
use crate::error::{OpsError, refused};

/// The ARN of the target group of this name.
pub async fn target_group(connection: &Connection, name: &str) -> Result<String, OpsError> {
    const DOING: &str = "find the target group";
    let call = connection.balancing.describe_target_groups().names(name);
    let reply = call.send().await.map_err(|error| refused(DOING, connection.endpoint(), error))?;
    let group = reply.target_groups().first().and_then(|group| group.target_group_arn());
    group.map(str::to_owned).ok_or(OpsError::Incomplete { doing: DOING, missing: "a target group" })
}
