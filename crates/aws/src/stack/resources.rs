//! The resources of a stack.

use crate::denied::readable;
use crate::error::{AwsError, refused};
use crate::session::Session;

/// Pages of 100 that are read at most; a stack has at most 500 resources.
const MAX_PAGES: usize = 10;

/// A resource of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackResource {
    /// Its name in the template.
    pub logical_id: String,
    /// Such as `AWS::EC2::Subnet`.
    pub kind: String,
    /// Its name or ARN, if it got one.
    pub physical_id: Option<String>,
    /// Its state, in CloudFormation's words: `CREATE_COMPLETE`.
    pub status: String,
    /// Why it is in this state, if CloudFormation says.
    pub reason: Option<String>,
}

impl StackResource {
    /// Whether it is there: neither removed nor never made.
    pub fn is_there(&self) -> bool {
        self.physical_id.is_some() && self.status != "DELETE_COMPLETE"
    }
}

/// All resources of a stack, by its name or ARN.
pub async fn list(session: &Session, stack: &str) -> Result<Vec<StackResource>, AwsError> {
    let (mut all, mut token) = (Vec::new(), None);
    for _ in 0..MAX_PAGES {
        let call = session.cloudformation().list_stack_resources().stack_name(stack).set_next_token(token);
        let reply =
            call.send().await.map_err(|error| refused("list the stack's resources", session.endpoint(), error))?;
        all.extend(reply.stack_resource_summaries().iter().map(|resource| StackResource {
            logical_id: resource.logical_resource_id().unwrap_or_default().to_owned(),
            kind: resource.resource_type().unwrap_or_default().to_owned(),
            physical_id: resource.physical_resource_id().filter(|id| !id.is_empty()).map(str::to_owned),
            status: resource.resource_status().map_or("", |status| status.as_str()).to_owned(),
            reason:
                resource.resource_status_reason().map(readable).filter(|reason| !reason.is_empty()).map(str::to_owned),
        }));
        token = reply.next_token;
        if token.is_none() {
            break;
        }
    }
    Ok(all)
}
