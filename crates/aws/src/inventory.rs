//! What is there of a place, by tag and by name: the proof that nothing is left, and the list of all places.
//!
//! AWS's index of tags is minutes late. So each service is asked itself, and the index only for what nobody else knows.

mod by_name;
mod by_tag;
mod contents;
mod images;

use std::collections::BTreeMap;

use gimmetime_clock::Timestamp;

pub(crate) use by_name::{log_group_names, log_policies};
pub(crate) use by_tag::arns;
pub use contents::{Contents, contents};
pub use images::{StoredImage, images};

use crate::error::{AwsError, refused};
use crate::preparation::{self, SERVICE_ROLES};
use crate::session::Session;
use crate::stack::{StackState, StackView};
use crate::tags;

/// Pages that are read at most, of whatever is listed.
pub(crate) const MAX_PAGES: usize = 50;

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
    pub kind: &'static str,
    /// Its name or ARN.
    pub id: String,
}

impl Item {
    pub(crate) fn new(kind: &'static str, id: impl Into<String>) -> Self {
        Self { kind, id: id.into() }
    }
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
///
/// # Errors
/// Only what concerns the caller as a whole, such as expired credentials. What one service does not tell is `unsure`.
pub async fn inventory(session: &Session, name: &str) -> Result<Inventory, AwsError> {
    // Three rows of questions at a time: one after the other they take seconds, all at once they are throttled.
    let by_name = async {
        vec![
            ("the stack", by_name::stack(session, name).await),
            ("the cluster and its service", by_name::cluster(session, name).await),
            ("task definitions", by_name::task_definitions(session, name).await),
            ("the repository", by_name::repository(session, name).await),
            ("log groups", by_name::log_groups(session, name).await),
            ("policies of logs", by_name::log_policy(session, name).await),
        ]
    };
    let by_tag = async {
        vec![
            ("roles", by_tag::roles(session, name).await),
            ("balancers", by_tag::balancers(session, name).await),
            ("target groups", by_tag::target_groups(session, name).await),
            ("AWS's index of tags", by_tag::others(session, name).await),
        ]
    };
    let of_network = async {
        let mut rows = Vec::new();
        for kind in by_tag::NETWORK {
            rows.push((kind.words, by_tag::network(session, &kind, name).await));
        }
        rows
    };
    let (by_name, by_tag, of_network) = tokio::join!(by_name, by_tag, of_network);
    let mut found = Inventory::default();
    for (what, items) in by_name.into_iter().chain(by_tag).chain(of_network) {
        found.look(what, items)?;
    }
    found.keep("deregistered task definitions", by_name::deregistered(session, name).await)?;
    for (_, role) in SERVICE_ROLES {
        if preparation::has_role(session, role).await == Some(true) {
            found.kept.push(Item::new("service-linked role", role));
        }
    }
    found.left.sort();
    found.left.dedup();
    Ok(found)
}

impl Inventory {
    fn look(&mut self, what: &str, found: Result<Vec<Item>, AwsError>) -> Result<(), AwsError> {
        match found {
            Ok(items) => self.left.extend(items),
            Err(error) => self.could_not_tell(what, error)?,
        }
        Ok(())
    }

    fn keep(&mut self, what: &str, found: Result<Vec<Item>, AwsError>) -> Result<(), AwsError> {
        match found {
            Ok(items) => self.kept.extend(items),
            Err(error) => self.could_not_tell(what, error)?,
        }
        Ok(())
    }

    fn could_not_tell(&mut self, what: &str, error: AwsError) -> Result<(), AwsError> {
        match error {
            AwsError::Denied(_)
            | AwsError::Refused { .. }
            | AwsError::Throttled { .. }
            | AwsError::Unreachable { .. }
            | AwsError::Incomplete { .. } => {
                let words = error.to_string();
                self.unsure.push(format!("{what}: {}", words.lines().next().unwrap_or_default()));
                Ok(())
            }
            error => Err(error),
        }
    }

    /// Whether it is proved that nothing is left.
    pub fn is_proof_of_absence(&self) -> bool {
        self.left.is_empty() && self.unsure.is_empty()
    }
}

/// Every place of this program in this account and region, by name.
pub async fn list(session: &Session) -> Result<Vec<PlaceSummary>, AwsError> {
    let (mut places, mut token) = (Vec::new(), None);
    for _ in 0..MAX_PAGES {
        let reply = session.cloudformation().describe_stacks().set_next_token(token).send().await;
        let reply = reply.map_err(|error| refused("list the stacks", session.endpoint(), error))?;
        let ours = reply.stacks().iter().map(StackView::read).filter(StackView::is_ours);
        places.extend(ours.filter(|stack| stack.state != StackState::DeleteComplete).map(|stack| PlaceSummary {
            name: stack.tags.get(tags::NAME).cloned().unwrap_or_default(),
            owner: stack.owner().map(str::to_owned),
            place: stack.place(),
            state: stack.state,
            created: stack.created,
            updated: stack.updated,
            tags: stack.tags,
        }));
        token = reply.next_token;
        if token.is_none() {
            break;
        }
    }
    places.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(places)
}

#[cfg(test)]
mod tests;
