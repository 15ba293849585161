//! A stack as CloudFormation tells it, and whose it is.

use std::collections::BTreeMap;

use aws_sdk_cloudformation::primitives::DateTime;
use aws_sdk_cloudformation::types::Stack;
use gimmetime_clock::Timestamp;

use crate::error::{AwsError, StackError, refused};
use crate::session::Session;
use crate::spec::LAYOUT;
use crate::stack::StackState;
use crate::tags;

/// A stack, as it was when it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackView {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub id: String,
    /// Its state.
    pub state: StackState,
    /// Why it is in this state, if CloudFormation says.
    pub reason: Option<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// What it tells.
    pub outputs: BTreeMap<String, String>,
    /// Whether CloudFormation refuses to delete it.
    pub is_protected: bool,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// When it was last changed.
    pub updated: Option<Timestamp>,
}

impl StackView {
    pub(crate) fn read(stack: &Stack) -> Self {
        let tag = |tag: &aws_sdk_cloudformation::types::Tag| {
            (tag.key().unwrap_or_default().to_owned(), tag.value().unwrap_or_default().to_owned())
        };
        let output = |output: &aws_sdk_cloudformation::types::Output| {
            Some((output.output_key()?.to_owned(), output.output_value()?.to_owned()))
        };
        Self {
            name: stack.stack_name().unwrap_or_default().to_owned(),
            id: stack.stack_id().unwrap_or_default().to_owned(),
            state: StackState::parse(stack.stack_status().map_or("", |status| status.as_str())),
            reason: stack.stack_status_reason().map(str::to_owned),
            tags: stack.tags().iter().map(tag).collect(),
            outputs: stack.outputs().iter().filter_map(output).collect(),
            is_protected: stack.enable_termination_protection().unwrap_or_default(),
            created: stack.creation_time().map(timestamp),
            updated: stack.last_updated_time().map(timestamp),
        }
    }

    /// Whether this program made it.
    pub fn is_ours(&self) -> bool {
        self.tags.contains_key(tags::NAME)
    }

    /// Who made it.
    pub fn owner(&self) -> Option<&str> {
        self.tags.get(tags::OWNER).map(String::as_str)
    }

    /// The version of its layout.
    pub fn place(&self) -> Option<u32> {
        self.tags.get(tags::PLACE)?.parse().ok()
    }

    /// Refuses what is not ours and what is newer than we are. Whose it is of several users is the preflight's.
    pub(crate) fn check_ours(&self) -> Result<(), StackError> {
        if !self.is_ours() {
            return Err(StackError::Foreign { name: self.name.clone() });
        }
        match self.place() {
            Some(theirs) if LAYOUT < theirs => Err(StackError::Newer { name: self.name.clone(), theirs, ours: LAYOUT }),
            _ => Ok(()),
        }
    }
}

fn timestamp(time: &DateTime) -> Timestamp {
    Timestamp::from_nanos(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX))
}

/// The stack of that name or ARN; None where there is none. A name never finds a stack that is gone, an ARN does.
pub async fn find(session: &Session, name_or_id: &str) -> Result<Option<StackView>, AwsError> {
    const DOING: &str = "look at the stack";
    let reply = session.cloudformation().describe_stacks().stack_name(name_or_id).send().await;
    match reply.map_err(|error| refused(DOING, session.endpoint(), error)) {
        Ok(reply) => Ok(reply.stacks().first().map(StackView::read)),
        Err(error) if is_absence(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// CloudFormation has one code for all that is wrong with a request; only the words tell an absent stack.
pub(crate) fn is_absence(error: &AwsError) -> bool {
    error.has_code("ValidationError") && error.refusal().is_some_and(|words| words.contains("does not exist"))
}
