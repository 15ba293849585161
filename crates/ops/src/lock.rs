//! A visible lock: whether somebody changes the service right now, who, what, and since when.
//!
//! Nothing is locked away: ECS itself decides which of two changes wins. What is in progress is read from the service;
//! a label on it says who asked. A label that outlived its change (its author was killed) says nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use gimmetime_clock::{Timestamp, iso, source};

use crate::error::{OpsError, refused};
use crate::event::Operation;
use crate::observe;
use crate::place::{Place, Run};
use crate::release::tag;
use crate::snapshot::{DeploymentView, ServiceView};
use crate::tags;

/// A label older than this belongs to nothing that is in progress.
const STALE: Duration = Duration::from_hours(3);
/// A deployment older than this is over once all that is wanted runs and is healthy, whatever it is called: some endpoints
/// never call one complete.
const QUIET: Duration = Duration::from_mins(1);
/// A deployment begins this soon after its label was written, the clocks of both ends considered.
const AT_ONCE: Duration = Duration::from_mins(5);

/// A change that is in progress.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{who}: {what}, {}; it is not done yet\nhint: gimmetime status --watch", asked_at(.since.as_ref()))]
pub struct Busy {
    /// Who asked for it.
    pub who: String,
    /// What it is: `deploy r15`.
    pub what: String,
    /// Since when.
    pub since: Option<Timestamp>,
    /// The release it brings; None when it only changes the number of tasks.
    pub release: Option<u32>,
    /// The digest of that release's image.
    pub digest: Option<String>,
}

fn asked_at(since: Option<&Timestamp>) -> String {
    since.map_or_else(|| "since an unknown time".to_owned(), |since| format!("since {}", iso::format(*since)))
}

/// The change of the service that is in progress, if one is.
pub(crate) async fn of_service(place: &Place, service: &ServiceView) -> Result<Option<Busy>, OpsError> {
    let now = source::wall();
    let Some(rolling) = service.rolling() else { return Ok(busy(service, &BTreeMap::new(), 0, now)) };
    let labels = observe::task_definition(place, &service.task_definition).await?.1;
    let healthy = if is_at_rest(service, rolling, now) { observe::healthy(place).await? } else { 0 };
    Ok(busy(service, &labels, healthy, now))
}

/// Who is busy with what: pure. `release` are the labels of the release that is being rolled out, `healthy` how many tasks
/// are, which matters only where a deployment is at rest.
fn busy(service: &ServiceView, release: &BTreeMap<String, String>, healthy: u32, now: Timestamp) -> Option<Busy> {
    let operation = service.tags.get(tags::OPERATION).map(|value| tags::decode(value)).unwrap_or_default();
    let asked = operation.get("since").and_then(|since| iso::parse(since));
    let what = operation.get("what").map(|what| what.replace('_', " "));
    let fresh = asked.is_some_and(|asked| now.minus(STALE) <= asked && speaks_of(service, what.as_deref(), asked));
    let who = operation.get("who").filter(|_| fresh);
    let what = what.filter(|_| fresh);
    let is_over = |rolling: &DeploymentView| is_at_rest(service, rolling, now) && service.desired <= healthy;
    if let Some(rolling) = service.rolling().filter(|rolling| !is_over(rolling)) {
        let registrar = release.get(tags::WHO).cloned();
        return Some(Busy {
            who: who.cloned().or(registrar).unwrap_or_else(|| "somebody".to_owned()),
            what: what.unwrap_or_else(|| format!("deploy r{}", rolling.revision)),
            since: asked.filter(|_| fresh).or(rolling.created_at),
            release: Some(rolling.revision),
            digest: release.get(tags::DIGEST).cloned(),
        });
    }
    let unsettled = service.running != service.desired || 0 < service.pending;
    let (Some(who), Some(what), true) = (who, what, unsettled) else { return None };
    Some(Busy { who: who.clone(), what, since: asked, release: None, digest: None })
}

/// Whether a deployment that is called under way has no task left to start or to stop.
fn is_at_rest(service: &ServiceView, rolling: &DeploymentView, now: Timestamp) -> bool {
    let is_old = rolling.created_at.is_some_and(|created| created.plus(QUIET) <= now);
    is_old && service.deployments.len() == 1 && service.running == service.desired && service.pending == 0
}

/// Whether what is in progress is what a label of that time speaks of: its author may have been killed, and its label left.
fn speaks_of(service: &ServiceView, what: Option<&str>, asked: Timestamp) -> bool {
    let detail = what.and_then(|what| what.rsplit_once(' ')).map_or("", |(_, detail)| detail);
    let release = detail.strip_prefix('r').and_then(|number| number.parse::<u32>().ok());
    if service.rolling().is_none() {
        let count = detail.rsplit_once(':').and_then(|(_, count)| count.parse().ok());
        // Of those that name a release, only `up` may have changed the number of tasks and no more.
        let is_up = what.is_some_and(|what| what.starts_with(Operation::Up.word()));
        return count == Some(service.desired) || (is_up && release == Some(service.revision()));
    }
    let soon = |created: Timestamp| created.since(asked).magnitude() <= AT_ONCE;
    service
        .deployments
        .iter()
        .any(|deployment| release == Some(deployment.revision) && deployment.created_at.is_none_or(soon))
}

/// The value of the label for a change that begins now.
pub(crate) fn label(run: &Run, operation: Operation, detail: &str) -> String {
    let what = format!("{} {detail}", operation.word());
    tags::encode(&[("who", &run.who), ("since", &iso::format(source::wall())), ("what", &what)])
}

/// Says on the service what begins.
pub(crate) async fn announce(place: &Place, service_arn: &str, value: &str) -> Result<(), OpsError> {
    let call = place.endpoint.ecs.tag_resource().resource_arn(service_arn).tags(tag(tags::OPERATION, value));
    call.send().await.map(drop).map_err(|error| refused("label the service", place.endpoint.endpoint(), error))
}

/// Takes this label away, but no one else's. A failure is no reason to fail: a label is ignored when nothing is in progress.
pub(crate) async fn withdraw(place: &Place, value: Option<&str>) {
    let Some(value) = value else { return };
    let Ok(service) = observe::service(place).await else { return };
    if service.tags.get(tags::OPERATION).is_some_and(|label| label == value) {
        let call = place.endpoint.ecs.untag_resource().resource_arn(&service.arn).tag_keys(tags::OPERATION);
        drop(call.send().await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::RolloutState;

    const NOW: Timestamp = Timestamp::from_secs(1_795_342_020);

    fn service(state: RolloutState, running: u32, operation: Option<&str>) -> ServiceView {
        let primary = DeploymentView { primary: true, revision: 15, state, ..DeploymentView::default() };
        ServiceView {
            desired: 4,
            running,
            task_definition: "web:15".to_owned(),
            deployments: vec![primary],
            tags: operation.map(|value| (tags::OPERATION.to_owned(), value.to_owned())).into_iter().collect(),
            ..ServiceView::default()
        }
    }

    #[test]
    fn a_rollout_by_another_client_names_who_registered_the_release() {
        let release = BTreeMap::from([(tags::WHO.to_owned(), "bob".to_owned())]);
        let busy = busy(&service(RolloutState::InProgress, 4, None), &release, 0, NOW).unwrap();
        assert_eq!((busy.who.as_str(), busy.what.as_str(), busy.release), ("bob", "deploy r15", Some(15)));
    }

    #[test]
    fn a_rollback_names_who_rolls_back_not_who_registered() {
        let release = BTreeMap::from([(tags::WHO.to_owned(), "bob".to_owned())]);
        let operation = "who=alice since=2026-11-22T10:06:00.000Z what=rollback_r15";
        let busy = busy(&service(RolloutState::InProgress, 4, Some(operation)), &release, 0, NOW).unwrap();
        assert_eq!((busy.who.as_str(), busy.what.as_str()), ("alice", "rollback r15"));
    }

    #[test]
    fn a_rollout_with_nothing_left_to_do_keeps_nobody_waiting() {
        let mut rolling = service(RolloutState::InProgress, 4, None);
        rolling.deployments[0].created_at = Some(NOW.minus(Duration::from_mins(2)));
        assert_eq!(busy(&rolling, &BTreeMap::new(), 4, NOW), None);
        // All run, and yet they do not pass their checks.
        assert!(busy(&rolling, &BTreeMap::new(), 3, NOW).is_some());
        rolling.running = 3;
        assert!(busy(&rolling, &BTreeMap::new(), 4, NOW).is_some());
    }

    #[test]
    fn a_scale_is_busy_only_while_tasks_are_missing() {
        let operation = Some("who=alice since=2026-11-22T10:06:00.000Z what=scale_2:4");
        let during = busy(&service(RolloutState::Completed, 2, operation), &BTreeMap::new(), 0, NOW).unwrap();
        assert_eq!((during.what.as_str(), during.release), ("scale 2:4", None));
        assert_eq!(busy(&service(RolloutState::Completed, 4, operation), &BTreeMap::new(), 0, NOW), None);
    }

    #[test]
    fn a_label_left_by_one_change_names_nobody_as_the_author_of_another() {
        let release = BTreeMap::from([(tags::WHO.to_owned(), "bob".to_owned())]);
        let left = "who=alice since=2026-11-22T10:06:00.000Z what=deploy_r14";
        let by = |service: &ServiceView| busy(service, &release, 0, NOW).map(|busy| busy.who);
        let mut rolling = service(RolloutState::InProgress, 4, Some(left));
        assert_eq!(by(&rolling), Some("bob".to_owned()));
        // The release it gives up is what a service that turns back is busy with.
        rolling.deployments.push(DeploymentView { revision: 14, ..DeploymentView::default() });
        assert_eq!(by(&rolling), Some("alice".to_owned()));
        rolling.deployments[1].created_at = Some(NOW.plus(Duration::from_hours(1)));
        assert_eq!(by(&rolling), Some("bob".to_owned()));
        let scaled = "who=alice since=2026-11-22T10:06:00.000Z what=scale_1:2";
        assert_eq!(by(&service(RolloutState::Completed, 2, Some(scaled))), None);
    }

    #[test]
    fn a_rollout_that_nobody_watched_to_its_end_is_over_once_it_is_complete() {
        let left = |what: &str| format!("who=alice since=2026-11-22T10:06:00.000Z what={what}");
        let during =
            |what: &str| busy(&service(RolloutState::Completed, 3, Some(&left(what))), &BTreeMap::new(), 0, NOW);
        // A task of it was lost since: that is no deployment of alice's.
        assert_eq!((during("deploy_r15"), during("rollback_r15")), (None, None));
        // `up` may have changed the number of tasks only.
        assert_eq!(during("up_r15").map(|busy| busy.what), Some("up r15".to_owned()));
    }

    #[test]
    fn a_label_that_outlived_its_author_says_nothing() {
        let stale = Some("who=alice since=2026-11-22T01:00:00.000Z what=scale_2:4");
        assert_eq!(busy(&service(RolloutState::Completed, 2, stale), &BTreeMap::new(), 0, NOW), None);
        assert_eq!(busy(&service(RolloutState::Completed, 2, None), &BTreeMap::new(), 0, NOW), None);
    }
}
