//! How a command ends: its exit code, and what is said when it fails.

use std::fmt;
use std::process::ExitCode;

use gimmetime_aws::Denied;

/// How a verb ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: done, serving, in sync.
    Done,
    /// 1: it failed and the old release serves; or a verdict is bad.
    Failed,
    /// 2: usage, detached, or it could not be told.
    Unsure,
    /// 3: it failed, and the service is not healthy.
    Unhealthy,
    /// What a command run by us ended with.
    Of(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Unsure => 2,
            Exit::Unhealthy => 3,
            Exit::Of(code) => code,
        })
    }
}

/// A failure that knows its exit code and what to do next.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) exit: Exit,
    /// What was attempted, on what, and what was got.
    pub(crate) words: String,
    /// What to do next.
    pub(crate) hint: Option<String>,
}

impl Failure {
    /// Wrong usage, or it could not be told: exit 2.
    pub(crate) fn unsure(words: impl Into<String>) -> Self {
        Self { exit: Exit::Unsure, words: words.into(), hint: None }
    }

    /// It failed and what served still serves: exit 1.
    pub(crate) fn failed(words: impl Into<String>) -> Self {
        Self { exit: Exit::Failed, ..Self::unsure(words) }
    }

    /// It failed and the service is not healthy: exit 3.
    pub(crate) fn unhealthy(words: impl Into<String>) -> Self {
        Self { exit: Exit::Unhealthy, ..Self::unsure(words) }
    }

    /// What another room says: its lines that begin with `hint: ` are what to do next.
    pub(crate) fn told(exit: Exit, words: &str) -> Self {
        let mut parts = words.split("\nhint: ");
        let what = parts.next().unwrap_or_default().to_owned();
        let hints: Vec<&str> = parts.collect();
        Self { exit, words: what, hint: (!hints.is_empty()).then(|| hints.join("\n")) }
    }

    /// Says what to do next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl std::error::Error for Failure {}

impl From<gimmetime_ops::OpsError> for Failure {
    /// A denied action is named, with the statement that would allow it.
    fn from(error: gimmetime_ops::OpsError) -> Self {
        use gimmetime_ops::OpsError;
        let words = match &error {
            OpsError::Denied { doing, message } => Denied::read(doing, message).to_string(),
            error => error.to_string(),
        };
        let exit = match error {
            OpsError::NotUp { .. }
            | OpsError::Unreachable { .. }
            | OpsError::Credentials { .. }
            | OpsError::Busy(_)
            | OpsError::NoSuchRelease { .. }
            | OpsError::NoSuchTask { .. } => Exit::Unsure,
            _ => Exit::Failed,
        };
        Self::told(exit, &words)
    }
}

#[cfg(test)]
mod tests {
    use gimmetime_ops::OpsError;

    use super::*;

    #[test]
    fn a_denied_action_is_named_with_the_statement_that_allows_it() {
        let message = "User: arn:aws:iam::123456789012:user/bob is not authorized to perform: ecs:UpdateService on resource: \
                       arn:aws:ecs:eu-west-1:123456789012:service/time/time because no identity-based policy allows it";
        let denied = OpsError::Denied { doing: "update the service", message: message.to_owned() };
        let failure = Failure::from(denied);
        let on = "arn:aws:ecs:eu-west-1:123456789012:service/time/time";
        assert_eq!(failure.words, format!("not allowed to update the service: ecs:UpdateService on {on} is missing"));
        assert!(failure.hint.unwrap().starts_with("add this statement to your policy: {"));
        assert_eq!(failure.exit, Exit::Failed);
    }
}
