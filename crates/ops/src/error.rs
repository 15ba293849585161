//! What can go wrong, by what its reader can do about it. SDK errors are told apart by their code.

use std::error::Error;
use std::fmt::Debug;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ecs::error::{BoxError, DisplayErrorContext, ProvideErrorMetadata, SdkError};

use crate::answer::{self, in_short};
use crate::lock::Busy;

/// Codes that mean: what was asked for is not there.
const ABSENT_CODES: [&str; 4] =
    ["ClusterNotFoundException", "ServiceNotFoundException", "ServiceNotActiveException", "ResourceNotFoundException"];

/// Why a verb could not be done.
#[derive(Debug, thiserror::Error)]
pub enum OpsError {
    /// There is no such service.
    #[error(
        "`{service}` is not up: its place stands, but no such service is in cluster `{cluster}`\nhint: gimmetime up; or gimmetime down, which removes the place"
    )]
    NotUp {
        /// The cluster asked.
        cluster: String,
        /// The service looked for.
        service: String,
    },
    /// Somebody else changes it right now. The caller may attach, or wait.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// No such release.
    #[error("there is no release r{asked}, only {}\nhint: gimmetime releases", list(.available))]
    NoSuchRelease {
        /// What was asked for.
        asked: u32,
        /// What there is.
        available: Vec<u32>,
    },
    /// No task has an id that begins so.
    #[error("there is no task `{asked}`, only {}\nhint: gimmetime status", names(.known))]
    NoSuchTask {
        /// What was asked for.
        asked: String,
        /// The first digits of some that are known, those that run first.
        known: Vec<String>,
    },
    /// The failed release was rolled back already; going one further is hardly what is meant.
    #[error(
        "r{failed} was rolled back already, r{serving} serves\nhint: gimmetime rollback rN, if an earlier one is meant"
    )]
    AlreadyRolledBack {
        /// The release that failed.
        failed: u32,
        /// The release that serves.
        serving: u32,
    },
    /// No earlier release is known to have worked.
    #[error("no release before r{serving} is known to have worked\nhint: gimmetime releases; gimmetime rollback rN")]
    NothingToRollBackTo {
        /// The release that serves.
        serving: u32,
    },
    /// Nobody answered.
    #[error("cannot {doing}: no answer from {endpoint}: {reason}")]
    Unreachable {
        /// What was attempted.
        doing: &'static str,
        /// Whom.
        endpoint: String,
        /// How it failed.
        reason: String,
    },
    /// The keys are missing, wrong or too old.
    #[error("cannot {doing}: {code}: {message}\nhint: renew the credentials, and check this machine's clock")]
    Credentials {
        /// What was attempted.
        doing: &'static str,
        /// The API's code.
        code: String,
        /// The API's words.
        message: String,
    },
    /// The caller lacks a permission.
    #[error("not allowed to {doing}: {message}")]
    Denied {
        /// What was attempted.
        doing: &'static str,
        /// The API's words: they name the missing action.
        message: String,
    },
    /// The API answered no.
    #[error("cannot {doing}: {code}: {message}")]
    Refused {
        /// What was attempted.
        doing: &'static str,
        /// The API's code.
        code: String,
        /// The API's words.
        message: String,
    },
    /// The API answered, but without what every such answer bears.
    #[error("cannot {doing}: the reply lacks {missing}")]
    Incomplete {
        /// What was attempted.
        doing: &'static str,
        /// What is missing.
        missing: &'static str,
    },
}

impl OpsError {
    /// Whether the API has no such thing, as opposed to: it could not be asked.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if ABSENT_CODES.contains(&code.as_str()))
    }

    /// Whether a moment later may do: used where a rollout is watched, which outlives a lost answer.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { code, .. } => answer::PASSING.contains(&code.as_str()),
            _ => false,
        }
    }

    /// Whether it ends the watch over a change but says nothing of the change itself: whoever watched lost the right to.
    pub(crate) fn blinds(&self) -> bool {
        matches!(self, Self::Credentials { .. } | Self::Denied { .. })
    }

    /// The error without its hint.
    pub(crate) fn words(&self) -> String {
        let words = self.to_string();
        words.split_once("\nhint: ").map_or_else(|| words.clone(), |(words, _)| words.to_owned())
    }
}

/// Tells an SDK error by its code; `doing` completes "cannot …".
pub(crate) fn refused<E, R>(doing: &'static str, endpoint: &str, error: SdkError<E, R>) -> OpsError
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
    R: Debug + Send + Sync + 'static,
{
    let SdkError::ServiceError(service) = &error else {
        let error = BoxError::from(error);
        let reason = innermost(&error);
        if lacks_credentials(&error) {
            return OpsError::Credentials { doing, code: "no credentials".to_owned(), message: reason };
        }
        return OpsError::Unreachable { doing, endpoint: endpoint.to_owned(), reason };
    };
    let code = service.err().code().unwrap_or("no code").to_owned();
    let message = service.err().message().map_or_else(|| DisplayErrorContext(service.err()).to_string(), str::to_owned);
    let message = in_short(&message);
    let is = |codes: &[&str]| codes.contains(&code.as_str());
    if is(&answer::EXPIRED) || is(&answer::UNKNOWN_KEY) || is(&answer::SIGNATURE) {
        OpsError::Credentials { doing, code, message }
    } else if is(&answer::DENIED) {
        OpsError::Denied { doing, message }
    } else {
        OpsError::Refused { doing, code, message }
    }
}

/// Whether the request was never sent because there was nothing to sign it with: no profile, a login that is over.
fn lacks_credentials(error: &BoxError) -> bool {
    let mut link: Option<&(dyn Error + 'static)> = Some(error.as_ref());
    while let Some(error) = link {
        if error.is::<CredentialsError>() {
            return true;
        }
        link = error.source();
    }
    false
}

/// The last words of a chain of sources: the SDK's outer layers say only "dispatch failure".
fn innermost(error: &BoxError) -> String {
    let mut last: &(dyn Error + 'static) = error.as_ref();
    while let Some(source) = last.source() {
        last = source;
    }
    in_short(&last.to_string())
}

fn list(releases: &[u32]) -> String {
    names(&releases.iter().map(|release| format!("r{release}")).collect::<Vec<_>>())
}

fn names(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
