//! What was changed behind CloudFormation's back, as far as it can tell.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_cloudformation::types::{StackDriftDetectionStatus, StackResourceDrift, StackResourceDriftStatus};
use gimmetime_clock::source;

use crate::error::{AwsError, refused};
use crate::session::Session;
use crate::stack::{PlaceRun, StackView, resources};

/// Pages of 100 that are read at most; a stack has at most 500 resources.
const MAX_PAGES: usize = 10;

/// How long CloudFormation may compare: a plan without what drifted is still a plan.
const PATIENCE: Duration = Duration::from_mins(3);

/// What was changed behind CloudFormation's back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drift {
    /// What differs.
    pub drifted: Vec<Drifted>,
    /// How many resources were compared.
    pub checked: usize,
    /// Logical ids that CloudFormation cannot compare.
    pub not_checked: Vec<String>,
}

/// A resource that differs from what was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drifted {
    /// Its name in the template.
    pub logical_id: String,
    /// Such as `AWS::Logs::LogGroup`.
    pub kind: String,
    /// Its name or ARN.
    pub physical_id: Option<String>,
    /// Whether it is gone altogether.
    pub is_gone: bool,
    /// `property: expected → actual`.
    pub differences: Vec<String>,
}

/// What drifted; None where it could not be looked for: a plan without it is still a plan.
pub(super) async fn detect(session: &Session, stack: &StackView, run: &PlaceRun) -> Option<Drift> {
    let reply = session.cloudformation().detect_stack_drift().stack_name(&stack.id).send().await.ok()?;
    let id = reply.stack_drift_detection_id()?.to_owned();
    let began = source::mono();
    loop {
        let call = session.cloudformation().describe_stack_drift_detection_status().stack_drift_detection_id(&id);
        match call.send().await.ok()?.detection_status()? {
            StackDriftDetectionStatus::DetectionInProgress => {}
            // A detection that failed may still know about some.
            _ => break,
        }
        if run.cancel.is_cancelled() || PATIENCE <= source::mono().since(began) {
            return None;
        }
        run.pause(run.pace.poll).await;
    }
    let all = resources::list(session, &stack.id).await.ok()?;
    let compared = compared(session, &stack.id).await.ok()?;
    let all = all.into_iter().map(|resource| resource.logical_id);
    Some(summarize(all.collect(), &compared))
}

async fn compared(session: &Session, stack_id: &str) -> Result<Vec<StackResourceDrift>, AwsError> {
    let (mut all, mut token) = (Vec::new(), None);
    for _ in 0..MAX_PAGES {
        let call = session.cloudformation().describe_stack_resource_drifts().stack_name(stack_id);
        let reply = call.set_next_token(token).send().await;
        let reply = reply.map_err(|error| refused("read what drifted", session.endpoint(), error))?;
        all.extend(reply.stack_resource_drifts.unwrap_or_default());
        token = reply.next_token;
        if token.is_none() {
            break;
        }
    }
    Ok(all)
}

/// Pure: what CloudFormation compared, and which of all resources it could not.
fn summarize(mut all: BTreeSet<String>, compared: &[StackResourceDrift]) -> Drift {
    let mut drift = Drift::default();
    for one in compared {
        let logical_id = one.logical_resource_id().unwrap_or_default().to_owned();
        let is_gone = match one.stack_resource_drift_status() {
            Some(StackResourceDriftStatus::Modified) => false,
            Some(StackResourceDriftStatus::Deleted) => true,
            Some(StackResourceDriftStatus::InSync) => {
                all.remove(&logical_id);
                drift.checked += 1;
                continue;
            }
            _ => continue,
        };
        all.remove(&logical_id);
        drift.checked += 1;
        let difference = |difference: &aws_sdk_cloudformation::types::PropertyDifference| {
            let word = |word: Option<&str>| word.unwrap_or("nothing").to_owned();
            format!(
                "{}: {} → {}",
                word(difference.property_path()),
                word(difference.expected_value()),
                word(difference.actual_value())
            )
        };
        drift.drifted.push(Drifted {
            kind: one.resource_type().unwrap_or_default().to_owned(),
            physical_id: one.physical_resource_id().map(str::to_owned),
            is_gone,
            differences: one.property_differences().iter().map(difference).collect(),
            logical_id,
        });
    }
    drift.not_checked = all.into_iter().collect();
    drift
}
