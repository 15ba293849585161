//! Who is asking, and whether this is where the target means to be.

use std::time::UNIX_EPOCH;

use aws_credential_types::Credentials;
use aws_sdk_sts::config::retry::RetryConfig;
use aws_types::SdkConfig;
use gimmetime_clock::Timestamp;

use crate::error::{AwsError, refused};
use crate::session::{SessionSpec, credentials};

/// Account, user id and ARN by which an engine of our own answers STS; AWS has no such account, and its user ids are
/// no names.
const ENGINE_ACCOUNT: &str = "000000000000";

/// Tries of the first question: nobody has begun anything yet, so bad news should come soon.
const ATTEMPTS: u32 = 3;

/// Who is asking, and where: the first line of every verb.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The account, 12 digits.
    pub account: String,
    /// The region.
    pub region: String,
    /// The full ARN.
    pub arn: String,
    /// Short: a user's name, the name behind a single sign-on, `ROLE/SESSION` of any other role.
    pub who: String,
    /// As a tag tells who made a place: like `who`, without the name of a session, which differs every time.
    pub owner: String,
    /// The profile that the credentials come from, if they come from one.
    pub profile: Option<String>,
    /// Whether the credentials come from single sign-on.
    pub is_sso: bool,
    /// When the credentials expire, if that is known.
    pub expires: Option<Timestamp>,
    user_id: String,
}

/// Asks STS.
pub(super) async fn ask(
    sdk: &SdkConfig,
    endpoint: &str,
    found: &Credentials,
    spec: &SessionSpec,
) -> Result<Identity, AwsError> {
    const DOING: &str = "ask AWS who is asking";
    let config = aws_sdk_sts::config::Builder::from(sdk).retry_config(sdk_retries(sdk)).build();
    let reply = aws_sdk_sts::Client::from_conf(config).get_caller_identity().send().await;
    let reply = reply.map_err(|error| refused(DOING, endpoint, error))?;
    let missing = |missing: &str| AwsError::Incomplete { doing: DOING.to_owned(), missing: missing.to_owned() };
    let arn = reply.arn().ok_or_else(|| missing("an ARN"))?.to_owned();
    let Names { who, owner, is_sso } = names(&arn);
    Ok(Identity {
        account: reply.account().ok_or_else(|| missing("an account"))?.to_owned(),
        region: sdk.region().map(ToString::to_string).unwrap_or_default(),
        who,
        owner,
        is_sso,
        profile: credentials::profile_of(sdk, spec, found),
        expires: found.expiry().and_then(|at| {
            let since_epoch = at.duration_since(UNIX_EPOCH).ok()?;
            Some(Timestamp::EPOCH.plus(since_epoch))
        }),
        user_id: reply.user_id().unwrap_or_default().to_owned(),
        arn,
    })
}

fn sdk_retries(sdk: &SdkConfig) -> RetryConfig {
    let retries = sdk.retry_config().cloned().unwrap_or_else(RetryConfig::standard);
    let attempts = retries.max_attempts().min(ATTEMPTS);
    retries.with_max_attempts(attempts)
}

impl Identity {
    /// Refuses an engine of our own, and an account that is not the target's.
    pub(super) fn check(&self, endpoint: &str, pinned: Option<&str>) -> Result<(), AwsError> {
        let by_engine = format!("arn:aws:iam::{ENGINE_ACCOUNT}:user/{}", self.user_id);
        if self.account == ENGINE_ACCOUNT && self.arn == by_engine {
            return Err(AwsError::OwnEngine { endpoint: endpoint.to_owned() });
        }
        match pinned.map(|pinned| pinned.replace('-', "")) {
            Some(pinned) if pinned != self.account => {
                Err(AwsError::WrongAccount { pinned, got: self.account.clone(), arn: self.arn.clone() })
            }
            _ => Ok(()),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Names {
    who: String,
    owner: String,
    is_sso: bool,
}

/// Reads a caller's ARN: pure.
fn names(arn: &str) -> Names {
    let Names { who, owner, is_sso } = spelled(arn);
    // The one character that a name may have and a tag may not.
    Names { who, owner: owner.replace(',', "_"), is_sso }
}

fn spelled(arn: &str) -> Names {
    let resource = arn.splitn(6, ':').nth(5).unwrap_or(arn);
    let last = resource.rsplit('/').next().unwrap_or(resource).to_owned();
    let Some(assumed) = resource.strip_prefix("assumed-role/") else {
        return Names { who: last.clone(), owner: last, is_sso: false };
    };
    let (role, session) = assumed.split_once('/').unwrap_or((assumed, ""));
    if role.starts_with("AWSReservedSSO_") {
        return Names { who: session.to_owned(), owner: session.to_owned(), is_sso: true };
    }
    Names { who: assumed.to_owned(), owner: role.to_owned(), is_sso: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(arn: &str, who: &str, owner: &str, is_sso: bool) {
        assert_eq!(names(arn), Names { who: who.to_owned(), owner: owner.to_owned(), is_sso });
    }

    #[test]
    fn a_caller_has_a_short_name_and_an_owner_that_stays_the_same() {
        check("arn:aws:iam::123456789012:user/team/alice", "alice", "alice", false);
        check("arn:aws:iam::123456789012:root", "root", "root", false);
        check(
            "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Admin_0123456789abcdef/alice@example.com",
            "alice@example.com",
            "alice@example.com",
            true,
        );
        check("arn:aws:sts::123456789012:assumed-role/ci/run-17", "ci/run-17", "ci", false);
        check("arn:aws:sts::123456789012:federated-user/bob", "bob", "bob", false);
        check("arn:aws:iam::123456789012:user/doe,jane", "doe,jane", "doe_jane", false);
        check("nonsense", "nonsense", "nonsense", false);
    }
}
