//! What stands in the way, told before anything is touched.

use crate::error::AwsError;
use crate::session::Session;
use crate::spec::PlaceSpec;
use crate::stack::{Action, StackView};

/// What was found before anything is touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preflight {
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
    /// The stack as it is.
    pub stack: Option<StackView>,
    /// What `up` would do with it.
    pub action: Action,
}

impl Preflight {
    /// Whether `up` may go on; `is_forced` is the user's `--yes`.
    pub fn may_go_on(&self, is_forced: bool) -> bool {
        self.findings.iter().all(|finding| match finding.severity {
            Severity::Refusal => false,
            Severity::Consent => is_forced,
            Severity::Warning | Severity::Unknown => true,
        })
    }
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is.
    pub words: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// How bad a finding is, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// `up` must not go on.
    Refusal,
    /// `up` goes on only if the user insists.
    Consent,
    /// It is likely to fail, or will surprise.
    Warning,
    /// It could not be told.
    Unknown,
}

/// Looks at everything that could stand in the way. Changes nothing.
pub async fn preflight(_session: &Session, _spec: &PlaceSpec) -> Result<Preflight, AwsError> {
    Err(AwsError::NoRegion)
}
