//! `rollback`: an `UpdateService` to an earlier revision, in one step.

use crate::definition::Definition;
use crate::deploy::replace;
use crate::error::OpsError;
use crate::event::{Operation, RolloutReport};
use crate::observe;
use crate::place::{Place, Run};
use crate::release::{Registered, Release, ReleaseOutcome, releases};
use crate::rollout::arn_of_revision;
use crate::snapshot::{AttemptView, ServiceView, revision_of};

/// Most releases that an error lists.
const LISTED: usize = 10;

/// Goes back to `asked`, or to the last successful release before the one that serves.
///
/// It does not wait for a rollout that is in progress: going back is the way out of one.
///
/// # Errors
/// [`OpsError::AlreadyRolledBack`] without `asked`, when the service has just rolled itself back.
pub async fn rollback(place: &Place, asked: Option<u32>, run: &Run) -> Result<RolloutReport, OpsError> {
    let service = observe::service(place).await?;
    let release = if let Some(asked) = asked {
        known_number(&observe::revisions(place, usize::MAX).await?, asked)?
    } else if let Some(before) = being_replaced(&service) {
        before
    } else {
        let known = releases(place).await?;
        let mut attempts = observe::attempts(place).await?;
        attempts.truncate(1);
        observe::resolve_revisions(place, &mut attempts).await?;
        choose(&known, service.revision(), given_up(&attempts, &known))?
    };
    let arn = arn_of_revision(&service, release)
        .ok_or(OpsError::Incomplete { doing: "roll back", missing: "a revision in the task definition's ARN" })?;
    let (definition, _) = observe::task_definition(place, &arn).await?;
    let target = Registered { arn, release, port: Definition::read(&definition).port };
    Box::pin(replace(place, run, Operation::Rollback, &service, target, None)).await
}

/// The release that a rollout in progress replaces: the way out of it leads there, and no further.
fn being_replaced(service: &ServiceView) -> Option<u32> {
    let (rolling, serving) = (service.rolling()?.revision, service.deployments.iter().find(|older| older.is_older())?);
    (serving.revision != rolling).then_some(serving.revision)
}

/// The release that the service itself has just given up: pure. Where the ledger is empty, the newest release's label tells.
fn given_up(attempts: &[AttemptView], known: &[Release]) -> Option<u32> {
    if let Some(last) = attempts.first() {
        // The way back itself is not to be turned back from either.
        let turned_back = ["ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL"];
        return last.revision.filter(|_| turned_back.contains(&last.status.as_str()));
    }
    let newest = known.iter().max_by_key(|release| release.number)?;
    (newest.outcome == ReleaseOutcome::RolledBack).then_some(newest.number)
}

/// The number asked for, if there is such a release, however old: pure.
fn known_number(arns: &[String], asked: u32) -> Result<u32, OpsError> {
    let mut available: Vec<u32> = arns.iter().filter_map(|arn| revision_of(arn)).collect();
    if available.contains(&asked) {
        return Ok(asked);
    }
    available.truncate(LISTED);
    Err(OpsError::NoSuchRelease { asked, available })
}

/// Which release to go back to: pure. `rolled_back` is the release that the service itself has just given up.
fn choose(known: &[Release], serving: u32, rolled_back: Option<u32>) -> Result<u32, OpsError> {
    if let Some(failed) = rolled_back.filter(|failed| serving < *failed) {
        return Err(OpsError::AlreadyRolledBack { failed, serving });
    }
    let earlier = known.iter().filter(|release| release.number < serving);
    let successful = earlier.filter(|release| release.outcome == ReleaseOutcome::Succeeded);
    successful.map(|release| release.number).max().ok_or(OpsError::NothingToRollBackTo { serving })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn release(number: u32, outcome: ReleaseOutcome) -> Release {
        Release {
            number,
            digest: None,
            version: None,
            git: None,
            who: None,
            at: None,
            outcome,
            cause: None,
            serving: false,
        }
    }

    use ReleaseOutcome::{Failed, RolledBack, Succeeded, Unknown};

    #[test]
    fn goes_to_the_last_successful_release_before_the_one_that_serves() {
        let known = [release(1, Succeeded), release(2, Succeeded), release(3, Failed), release(4, Succeeded)];
        assert_eq!(choose(&known, 4, None).unwrap(), 2);
        assert_eq!(choose(&known, 2, None).unwrap(), 1);
    }

    #[test]
    fn after_an_automatic_rollback_it_goes_not_one_further() {
        let known = [release(13, Succeeded), release(14, Succeeded), release(15, RolledBack)];
        let attempt = |revision, status: &str| AttemptView {
            revision: Some(revision),
            status: status.to_owned(),
            ..AttemptView::default()
        };
        for ledger in [vec![attempt(15, "ROLLBACK_SUCCESSFUL"), attempt(14, "SUCCESSFUL")], Vec::new()] {
            let refused = choose(&known, 14, given_up(&ledger, &known)).unwrap_err();
            assert!(matches!(refused, OpsError::AlreadyRolledBack { failed: 15, serving: 14 }), "{refused}");
        }
        assert_eq!(given_up(&[attempt(15, "ROLLBACK_IN_PROGRESS")], &known), Some(15));
        assert_eq!(given_up(&[attempt(13, "SUCCESSFUL")], &known), None);
    }

    #[test]
    fn an_unknown_number_names_those_there_are() {
        let arns: Vec<String> = (1..=200).rev().map(|number| format!("arn:task-definition/web:{number}")).collect();
        assert_eq!(known_number(&arns, 3).unwrap(), 3);
        let refused = known_number(&arns[198..], 7).unwrap_err();
        assert!(
            matches!(&refused, OpsError::NoSuchRelease { asked: 7, available } if *available == [2, 1]),
            "{refused}"
        );
    }

    #[test]
    fn with_nothing_known_to_have_worked_it_says_so() {
        let refused = choose(&[release(1, Unknown), release(2, Succeeded)], 2, None).unwrap_err();
        assert!(matches!(refused, OpsError::NothingToRollBackTo { serving: 2 }), "{refused}");
    }

    proptest! {
        #[test]
        fn never_goes_forward_nor_to_a_release_that_failed(
            outcomes in proptest::collection::vec(0_usize..4, 1..8), serving in 1_u32..9
        ) {
            let kinds = [Succeeded, Failed, RolledBack, Unknown];
            let known: Vec<Release> = outcomes.iter().zip(1..).map(|(kind, n)| release(n, kinds[*kind])).collect();
            if let Ok(chosen) = choose(&known, serving, None) {
                prop_assert!(chosen < serving);
                let chosen = known.iter().find(|release| release.number == chosen).unwrap();
                prop_assert_eq!(chosen.outcome, Succeeded);
            }
        }
    }
}
