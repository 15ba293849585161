//! The permissions that the tool needs, from one table of the calls it makes.
//!
//! CloudFormation makes the place with the caller's credentials, so `up` also needs what CloudFormation does for each kind
//! of resource. What can be limited to one place is: by name where AWS lets one choose it, else by the tag of the place.

mod document;
mod kinds;
mod on;
mod table;

use std::collections::{BTreeMap, BTreeSet};

use crate::spec::{PlaceSpec, Roles};
use crate::template::{Values, fill};

use document::Statement;
use on::On;

/// For whom a policy is. Each level may do what the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Looks: `plan`, `status`, `logs`, `why`, `ls`, `releases`.
    Read,
    /// Also changes what runs: `deploy`, `rollback`, `scale`, `image push`.
    Deploy,
    /// Also makes, changes and removes the place: `up`, `down`.
    Up,
}

/// What a policy is limited to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The place's name.
    pub name: String,
    /// The account, 12 digits; `*` if it is not known.
    pub account: String,
    /// The region.
    pub region: String,
    /// The roles of the place's tasks: yours, or where and how they are made.
    pub roles: Roles,
}

impl Scope {
    /// The scope of a place in an account (12 digits, or `*`).
    pub fn of(spec: &PlaceSpec, account: &str) -> Self {
        Self {
            name: spec.name.clone(),
            account: account.to_owned(),
            region: spec.region.clone(),
            roles: spec.roles.clone(),
        }
    }
}

/// One managed policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// What to call it: `gimmetime-deploy`, or `gimmetime-up-1` of several.
    pub name: String,
    /// The policy document: JSON, at most 6,144 characters beside white space.
    pub document: String,
}

/// The policies for a level, each within IAM's size limit; all of them are needed.
pub fn policies(level: Level, scope: &Scope) -> Vec<Policy> {
    let documents = document::pack(statements(level, scope));
    let of = documents.len();
    let name = |index: usize| match of {
        1 => format!("{}-{}", scope.name, level.word()),
        _ => format!("{}-{}-{}", scope.name, level.word(), index + 1),
    };
    let policy = |(index, statements): (usize, Vec<Statement>)| Policy {
        name: name(index),
        document: document::render(&statements),
    };
    documents.into_iter().enumerate().map(policy).collect()
}

impl Level {
    /// The word after `iam`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Deploy => "deploy",
            Self::Up => "up",
        }
    }
}

/// What a level may do, one statement for what is limited alike.
///
/// CloudFormation reads with the caller's credentials, too, when a plan asks it what drifted: so each level may look at
/// every kind of resource.
fn statements(level: Level, scope: &Scope) -> Vec<Statement> {
    let mut actions: BTreeMap<On, BTreeSet<&'static str>> = BTreeMap::new();
    let rows = table::CALLS.iter().filter(|row| row.level <= level).map(|row| (row.on, row.actions));
    let kinds = kinds::KINDS.iter().flat_map(|(_, actions)| *actions).copied();
    let rows = rows.flat_map(|(on, actions)| actions.iter().map(move |action| (on, *action)));
    let kinds = kinds.flat_map(|(on, actions)| actions.iter().map(move |action| (on, *action)));
    for (on, action) in rows.chain(kinds.filter(|(_, action)| level == Level::Up || kinds::only_looks(action))) {
        actions.entry(on).or_default().insert(action);
    }
    actions.into_iter().filter_map(|(on, actions)| on.statement(actions, scope)).collect()
}

/// Where a GitHub workflow may deploy from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitHub {
    /// `OWNER/NAME`.
    pub repository: String,
    /// The branch whose workflows may deploy.
    pub branch: String,
    /// Who vouches for GitHub's tokens.
    pub provider: Provider,
}

/// Who vouches for GitHub's tokens: an account has at most one such provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provider {
    /// Made with the role.
    Made,
    /// There already: its ARN.
    Existing(String),
}

/// A template of its own: a role that a GitHub workflow takes on to deploy, and nothing else.
pub fn github(scope: &Scope, github: &GitHub) -> String {
    let (provider, reference) = match &github.provider {
        Provider::Made => (include_str!("github_provider.yaml").lines().map(str::to_owned).collect(), None),
        Provider::Existing(arn) => (Vec::new(), Some(arn)),
    };
    let statements = document::render_statements(&statements(Level::Deploy, scope));
    let values = Values::default()
        .text("description", &format!("gimmetime: who deploys {} from GitHub", scope.name))
        .lines("provider", provider)
        .text("subject", &format!("repo:{}:ref:refs/heads/{}", github.repository, github.branch))
        .text("name", &scope.name)
        .lines("statements", statements);
    let values = match reference {
        Some(arn) => values.text("provider-arn", arn),
        None => values.yaml("provider-arn", "!Ref GitHub"),
    };
    fill(include_str!("github.yaml"), &values)
}

#[cfg(test)]
pub(crate) mod tests;
