//! How a change of a stack failed: the earliest cause, and what else failed, kept before a rollback destroys it.

use std::fmt;

use crate::denied::Denied;
use crate::stack::StackState;

/// A resource that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedResource {
    /// Its name in the template.
    pub logical_id: String,
    /// Such as `AWS::ECS::Cluster`.
    pub kind: String,
    /// Its name or ARN, if it got one.
    pub physical_id: Option<String>,
    /// In AWS's words.
    pub reason: String,
}

/// A change that did not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The stack.
    pub name: String,
    /// The ARN of the stack: its events can be read even after it is gone.
    pub stack_id: String,
    /// The state it ended in.
    pub state: StackState,
    /// What failed first.
    pub cause: Option<FailedResource>,
    /// What failed after it.
    pub others: Vec<FailedResource>,
    /// CloudFormation's words about the whole.
    pub reason: Option<String>,
}

impl std::error::Error for Failure {}

impl Failure {
    /// What to do about it.
    fn hint(&self) -> String {
        let cause = self.cause.as_ref();
        let reason = cause.map_or("", |cause| cause.reason.as_str());
        if let Some(statement) = Denied::read("make it", reason).statement().filter(|_| Denied::is_told_by(reason)) {
            return format!("add this statement to your policy: {statement}");
        }
        if reason.contains("LimitExceeded") || reason.contains("maximum number") || reason.contains("limit") {
            return "a quota is used up: remove something, or ask for more at Service Quotas".to_owned();
        }
        if reason.contains("already exists") {
            return "gimmetime plan lists what an earlier try left; remove it, or choose another --name".to_owned();
        }
        match self.state {
            StackState::UpdateRollbackFailed => format!(
                "mend the cause, then gimmetime up again; or give the resource up: aws cloudformation \
                 continue-update-rollback --stack-name {} --resources-to-skip {}",
                self.name,
                cause.map_or("NAME", |cause| cause.logical_id.as_str())
            ),
            _ => format!("aws cloudformation describe-stack-events --stack-name {}", self.stack_id),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the stack `{}` ended in {}", self.name, self.state)?;
        match &self.cause {
            Some(cause) => write!(f, ": {} ({}): {}", cause.logical_id, cause.kind, cause.reason)?,
            None => write!(f, ": {}", self.reason.as_deref().unwrap_or("CloudFormation gives no reason"))?,
        }
        if !self.others.is_empty() {
            write!(f, " ({} more failed after it)", self.others.len())?;
        }
        match self.state {
            StackState::UpdateRollbackComplete => f.write_str("; everything is as it was before")?,
            StackState::RollbackComplete => f.write_str("; what had been made was removed again")?,
            _ => {}
        }
        write!(f, "\nhint: {}", self.hint())
    }
}

/// A stack that could not be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// The stack.
    pub name: String,
    /// What is still there, and why.
    pub resources: Vec<StuckResource>,
}

/// A resource that could not be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StuckResource {
    /// The resource, with AWS's reason.
    pub failed: FailedResource,
    /// What holds it, and whose it is: `eni-1 of a VPC endpoint (vpce-1)`.
    pub held_by: Vec<String>,
    /// What to do about it.
    pub hint: String,
}

impl std::error::Error for Stuck {}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the stack `{}` could not be removed; left of it: {}", self.name, self.resources.len())?;
        for StuckResource { failed, held_by, .. } in &self.resources {
            let id = failed.physical_id.as_deref().unwrap_or("no id");
            write!(f, "\n  {} ({}, {id}): {}", failed.logical_id, failed.kind, failed.reason)?;
            for holder in held_by {
                write!(f, "\n    held by {holder}")?;
            }
        }
        let mut hints: Vec<&str> = self.resources.iter().map(|resource| resource.hint.as_str()).collect();
        hints.dedup();
        for hint in hints {
            write!(f, "\nhint: {hint}")?;
        }
        write!(f, "\nhint: then gimmetime down again: it goes on where it stopped")
    }
}
