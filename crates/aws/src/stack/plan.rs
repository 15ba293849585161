//! What would change: a change set that is read and deleted again, and what differs from what was last applied.

use crate::error::AwsError;
use crate::session::Session;
use crate::stack::change_set::ChangeSet;
use crate::stack::drift::{self, Drift};
use crate::stack::{Action, Goal, PlaceRun, StackView, Wanted, decide, find};

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

impl Plan {
    /// Whether `up` would change anything at all.
    pub fn has_changes(&self) -> bool {
        self.action != Action::Update || !self.changes.is_empty()
    }

    /// What would be replaced, or might be.
    pub fn replaced(&self) -> impl Iterator<Item = &PlannedChange> {
        self.changes.iter().filter(|change| change.replacement != Replacement::No)
    }
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

/// What `up` would do. Changes nothing: without a stack it only reads, with one it makes a change set and deletes it.
///
/// # Errors
/// A stack that is not ours or newer than we are; a template that CloudFormation refuses.
pub async fn plan(session: &Session, wanted: &Wanted, run: &PlaceRun) -> Result<Plan, AwsError> {
    let stack = find(session, &wanted.name).await?;
    let action = decide(stack.as_ref().map(|stack| &stack.state), Goal::There);
    let nothing_to_ask = Plan { stack: stack.clone(), action, changes: Vec::new(), drift: None };
    let Some(stack) = stack else { return Ok(nothing_to_ask) };
    stack.check_ours()?;
    if action != Action::Update {
        return Ok(nothing_to_ask);
    }
    let (change_set, drift) =
        tokio::join!(ChangeSet::make(session, &stack, wanted, run), drift::detect(session, &stack, run));
    let change_set = change_set?;
    change_set.delete(session).await?;
    Ok(Plan { changes: change_set.changes, drift, ..nothing_to_ask })
}
