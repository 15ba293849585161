//! What a change is to bring about, and what was there before it.

use crate::snapshot::ServiceView;

/// What a change is to bring about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Goal {
    /// What it waits for.
    pub kind: GoalKind,
    /// The revision that shall serve.
    pub revision: u32,
}

/// What a change waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GoalKind {
    /// A deployment of its own.
    Deployment {
        /// `ecs-svc/…`; None if only its revision is known.
        id: Option<String>,
        /// Its line in the ledger, where the endpoint keeps one.
        attempt: Option<String>,
    },
    /// So many tasks, of whatever is deployed.
    Count(u32),
}

/// What a service looked like right before a change. Answers may be older than the change for a while: one that shows just
/// this says nothing of it yet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Before {
    /// Its newest deployment.
    pub primary: Option<String>,
    /// How many tasks were wanted.
    pub desired: Option<u32>,
}

impl Before {
    /// Before a change of this service.
    pub fn of(service: &ServiceView) -> Self {
        Self { primary: service.primary().map(|primary| primary.id.clone()), desired: Some(service.desired) }
    }
}
