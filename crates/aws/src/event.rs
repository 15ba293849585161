//! What happens while a place is made, changed or removed. Nothing is said twice; who renders it is another room's business.

use crate::stack::StackState;

/// Something worth a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlaceEvent {
    /// A role that AWS's own services need was made in this account; it stays when the place goes.
    ServiceRoleMade {
        /// Such as `ecs.amazonaws.com`.
        service: String,
    },
    /// The stack begins to change.
    Began {
        /// What is done to it.
        doing: Doing,
        /// Its ARN: also what is found by it after it is gone.
        stack_id: String,
    },
    /// Something was in progress already, and is being watched.
    Attached {
        /// The state of the stack.
        state: StackState,
    },
    /// A resource of the stack.
    Resource(ResourceEvent),
    /// A change is being undone by AWS.
    RollingBack {
        /// The earliest thing that failed, in AWS's words.
        reason: String,
    },
    /// It is tried once more.
    Retrying {
        /// Why.
        reason: String,
    },
    /// AWS does not answer, or is busy; waiting goes on.
    Unanswered {
        /// How it failed.
        reason: String,
    },
    /// What stood in the way of a removal was removed.
    Emptied {
        /// What was emptied, such as `repository web`.
        what: String,
        /// How many things were in it.
        n: usize,
    },
    /// What stands in the way of a removal, and goes by itself or must be removed by hand.
    Held {
        /// What it is and whose.
        what: String,
    },
}

/// What is done to a stack, or to one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// It is made.
    Create,
    /// It is changed.
    Update,
    /// It is removed.
    Delete,
    /// A change is undone.
    RollBack,
}

/// How far a resource is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// It began.
    Started,
    /// It is done.
    Done,
    /// It is left as it is.
    Skipped,
    /// It failed, in AWS's words.
    Failed(String),
}

/// A resource of the stack, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceEvent {
    /// Its name in the template.
    pub logical_id: String,
    /// Such as `AWS::ECR::Repository`.
    pub kind: String,
    /// Its name or ARN, once known.
    pub physical_id: Option<String>,
    /// What is done to it.
    pub doing: Doing,
    /// How far it is.
    pub progress: Progress,
}

impl ResourceEvent {
    /// Whether this kind of resource is there now: an image can be pushed once the repository is.
    pub fn is_ready(&self, kind: &str) -> bool {
        self.kind == kind && self.progress == Progress::Done && matches!(self.doing, Doing::Create | Doing::Update)
    }
}
