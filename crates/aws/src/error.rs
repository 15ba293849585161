//! What can go wrong, by what its reader can do about it. AWS's errors are told apart by their code.

use std::error::Error;
use std::fmt::Debug;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_cloudformation::error::{BoxError, DisplayErrorContext, ProvideErrorMetadata, SdkError};

use gimmetime_ops::answer::{self, in_short};

use crate::denied::Denied;
use crate::stack::{Failure, Stuck};

/// Why something could not be done on AWS.
#[derive(Debug, thiserror::Error)]
pub enum AwsError {
    /// No keys anywhere.
    #[error(
        "no AWS credentials: {reason}; tried {tried}\nhint: aws configure sso, or export AWS_PROFILE=NAME, or pass \
         --profile NAME"
    )]
    NoCredentials {
        /// Where they were looked for.
        tried: String,
        /// What the last place said.
        reason: String,
    },
    /// A profile was named that nobody wrote down.
    #[error(
        "no profile `{profile}` in ~/.aws/config or ~/.aws/credentials; known: {known}\nhint: correct --profile or \
         `aws.profile`, or aws configure --profile {profile}"
    )]
    NoProfile {
        /// Its name.
        profile: String,
        /// Those that are there, in words.
        known: String,
    },
    /// The single sign-on session is over, or was never begun.
    #[error("the SSO session of profile `{profile}` is over: {reason}\nhint: aws sso login --profile {profile}")]
    SsoExpired {
        /// The profile.
        profile: String,
        /// The SDK's words.
        reason: String,
    },
    /// The console login is over, or was never begun.
    #[error("the login of profile `{profile}` is over: {reason}\nhint: aws login --profile {profile}")]
    LoginExpired {
        /// The profile.
        profile: String,
        /// The SDK's words.
        reason: String,
    },
    /// The profile wants a code that nobody is asked for.
    #[error(
        "profile `{profile}` needs a code of {serial}, which this program cannot ask for: {reason}\nhint: aws sts \
         assume-role --role-arn ROLE --role-session-name gimmetime --serial-number {serial} --token-code CODE, and \
         export the keys it prints; or use an SSO profile"
    )]
    NeedsMfa {
        /// The profile.
        profile: String,
        /// Its `mfa_serial`.
        serial: String,
        /// The SDK's words.
        reason: String,
    },
    /// The keys were good once.
    #[error(
        "cannot {doing}: the credentials have expired: {message}\nhint: renew them, then run the same command again"
    )]
    Expired {
        /// What was attempted.
        doing: String,
        /// AWS's words.
        message: String,
    },
    /// AWS does not know these keys.
    #[error(
        "cannot {doing}: AWS does not accept the credentials: {code}: {message}\nhint: aws sts get-caller-identity"
    )]
    UnknownKeys {
        /// What was attempted.
        doing: String,
        /// AWS's code.
        code: String,
        /// AWS's words.
        message: String,
    },
    /// This machine's clock is so wrong that AWS refuses its signatures.
    #[error("cannot {doing}: this machine's clock is wrong: {message}\nhint: timedatectl set-ntp true")]
    Clock {
        /// What was attempted.
        doing: String,
        /// AWS's words: they hold both times.
        message: String,
    },
    /// Not the account that the target names.
    #[error(
        "wrong account: the credentials ({arn}) belong to {got}, the target says {pinned}\nhint: pass --profile NAME \
         for {pinned}, or correct `account` in gimmetime.toml"
    )]
    WrongAccount {
        /// The target's.
        pinned: String,
        /// That of the credentials.
        got: String,
        /// Who asked.
        arn: String,
    },
    /// No region anywhere.
    #[error(
        "no region: neither --region, nor `region` in gimmetime.toml, nor AWS_REGION, nor the profile names one\nhint: pass --region eu-west-1"
    )]
    NoRegion,
    /// The endpoint is an engine of our own: a place on AWS cannot be there.
    #[error(
        "{endpoint} is a gimmetime engine on a machine, not AWS\nhint: eval \"$(gimmetime env --unset)\"; or use --target local"
    )]
    OwnEngine {
        /// Its URL.
        endpoint: String,
    },
    /// The caller lacks a permission.
    #[error(transparent)]
    Denied(Box<DeniedError>),
    /// Nobody answered.
    #[error("cannot {doing}: no answer from {endpoint}: {reason}")]
    Unreachable {
        /// What was attempted.
        doing: String,
        /// Whom.
        endpoint: String,
        /// How it failed.
        reason: String,
    },
    /// AWS is busy, or was asked too often, and stayed so over all tries.
    #[error("cannot {doing}: AWS is busy: {code}: {message}\nhint: run the same command again in a minute")]
    Throttled {
        /// What was attempted.
        doing: String,
        /// AWS's code.
        code: String,
        /// AWS's words.
        message: String,
    },
    /// AWS answered no.
    #[error("cannot {doing}: {code}: {message}")]
    Refused {
        /// What was attempted.
        doing: String,
        /// AWS's code.
        code: String,
        /// AWS's words.
        message: String,
    },
    /// AWS answered, but without what every such answer bears.
    #[error("cannot {doing}: the reply lacks {missing}")]
    Incomplete {
        /// What was attempted.
        doing: String,
        /// What is missing.
        missing: String,
    },
    /// Nobody waited for the answer.
    #[error("cannot {doing}: interrupted\nhint: nothing was changed; run the same command again")]
    Interrupted {
        /// What was attempted.
        doing: String,
    },
    /// The stack is not one of ours, or may not be touched.
    #[error(transparent)]
    Stack(#[from] StackError),
}

/// [`Denied`] as an error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DeniedError(pub Denied);

/// Why a stack was not changed, or how its change ended.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// It was not made by this program.
    #[error(
        "the stack `{name}` was not made by gimmetime: it bears no tag `gimmetime:name`\nhint: choose another --name"
    )]
    Foreign {
        /// Its name.
        name: String,
    },
    /// It was made by a newer version of this program.
    #[error(
        "the stack `{name}` was made by a newer gimmetime (place {theirs}, this one knows {ours})\nhint: update gimmetime"
    )]
    Newer {
        /// Its name.
        name: String,
        /// Its version of the place's layout.
        theirs: u32,
        /// Ours.
        ours: u32,
    },
    /// There is no such stack.
    #[error("there is no stack `{name}` in {region}\nhint: gimmetime up, or gimmetime ls")]
    Absent {
        /// Its name.
        name: String,
        /// Where it was looked for.
        region: String,
    },
    /// It is protected.
    #[error(
        "`{name}` is protected: {what}\nhint: set `protect = false` in gimmetime.toml, gimmetime up, then the same command again"
    )]
    Protected {
        /// Its name.
        name: String,
        /// By what.
        what: String,
    },
    /// It is protected from being replaced in part.
    #[error(
        "`{name}` is protected: {what}\nhint: set `protect = false` in gimmetime.toml for this one `gimmetime up`, if that may happen"
    )]
    Kept {
        /// Its name.
        name: String,
        /// What would be replaced, or may be.
        what: String,
    },
    /// The change was not made, or did not work.
    #[error(transparent)]
    Failed(Box<Failure>),
    /// The stack could not be removed.
    #[error(transparent)]
    Stuck(Box<Stuck>),
    /// It took longer than anybody wanted to wait.
    #[error(
        "`{name}` is still {state} after {waited_s} s; it goes on\nhint: run the same command again: it attaches to what is in progress"
    )]
    StillBusy {
        /// Its name.
        name: String,
        /// Its state.
        state: String,
        /// How long was waited, in seconds.
        waited_s: u64,
    },
    /// AWS could not be asked any more while something went on.
    #[error(
        "lost sight of `{name}` ({state}); it goes on without us: {reason}\nhint: then run the same command again: it attaches to what is in progress"
    )]
    LostSight {
        /// Its name.
        name: String,
        /// Its last known state.
        state: String,
        /// Why AWS cannot be asked.
        reason: Box<AwsError>,
    },
}

impl AwsError {
    /// Whether a moment later may do: what is in progress on AWS outlives a lost answer.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Throttled { .. })
    }

    /// Whether AWS refused with this code.
    pub(crate) fn has_code(&self, wanted: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == wanted)
    }

    /// AWS's words of a refusal.
    pub(crate) fn refusal(&self) -> Option<&str> {
        match self {
            Self::Refused { message, .. } => Some(message),
            _ => None,
        }
    }
}

/// Tells an error of AWS by its code; `doing` completes "cannot …".
pub(crate) fn by_code(doing: &str, code: &str, words: &str) -> AwsError {
    let (doing, code, message) = (doing.to_owned(), code.to_owned(), in_short(words));
    let is = |codes: &[&str]| codes.contains(&code.as_str());
    if is(&answer::EXPIRED) {
        AwsError::Expired { doing, message }
    } else if is(&answer::SIGNATURE) && (is_about_time(&message) || code.contains("Time") || code.contains("Future")) {
        AwsError::Clock { doing, message }
    } else if is(&answer::UNKNOWN_KEY) || is(&answer::SIGNATURE) {
        AwsError::UnknownKeys { doing, code, message }
    } else if is(&answer::DENIED) || Denied::is_told_by(words) {
        AwsError::Denied(Box::new(DeniedError(Denied::read(&doing, words))))
    } else if is(&answer::PASSING) || message.contains("Rate exceeded") {
        AwsError::Throttled { doing, code, message }
    } else {
        AwsError::Refused { doing, code, message }
    }
}

/// Whether a refused signature is refused for its age: the words then compare two times.
fn is_about_time(message: &str) -> bool {
    message.contains("Signature expired") || message.contains("Signature not yet current") || message.contains("skew")
}

/// Tells an error of the SDK.
pub(crate) fn refused<E, R>(doing: &str, endpoint: &str, error: SdkError<E, R>) -> AwsError
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
    R: Debug + Send + Sync + 'static,
{
    let SdkError::ServiceError(service) = &error else {
        return unanswered(doing, endpoint, BoxError::from(error).as_ref());
    };
    let code = service.err().code().unwrap_or("an unknown error");
    let message = service.err().message().map_or_else(|| DisplayErrorContext(service.err()).to_string(), str::to_owned);
    by_code(doing, code, &message)
}

/// No answer: because nobody could be reached, or because there was nothing to sign the request with.
fn unanswered(doing: &str, endpoint: &str, error: &(dyn Error + 'static)) -> AwsError {
    let doing = doing.to_owned();
    if chain(error).iter().any(|cause| cause.is::<CredentialsError>()) {
        return AwsError::Expired { doing, message: innermost(error) };
    }
    AwsError::Unreachable { doing, endpoint: endpoint.to_owned(), reason: innermost(error) }
}

/// An error and everything that caused it, the outermost first.
pub(crate) fn chain<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    let mut all = vec![error];
    let mut last = error;
    while let Some(source) = last.source() {
        all.push(source);
        last = source;
    }
    all
}

/// The last words of a chain of causes: the SDK's outer layers say only "dispatch failure".
pub(crate) fn innermost(error: &(dyn Error + 'static)) -> String {
    chain(error).last().map_or_else(String::new, |cause| in_short(&cause.to_string()))
}
