//! The permissions that the tool needs, from one table of the calls it makes.

/// For whom a policy is.
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
    /// The IAM path of the place's roles, such as `/`.
    pub path: String,
}

/// One managed policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// What to call it: `gimmetime-deploy`.
    pub name: String,
    /// The policy document, JSON of at most 6,144 characters without white space.
    pub document: String,
}

/// The policies for a level, each within IAM's size limit; all of them are needed.
pub fn policies(level: Level, scope: &Scope) -> Vec<Policy> {
    let _ = (level, scope);
    Vec::new()
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
    let _ = (scope, github);
    String::new()
}
