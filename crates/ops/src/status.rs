//! `status`: everything that is known about the service now, as data.

use std::collections::BTreeMap;

use gimmetime_clock::{Interval, Timestamp, iso};
use serde::{Serialize, Serializer};

use crate::error::{OpsError, refused};
use crate::lock;
use crate::observe::{self, Observer};
use crate::place::Place;
use crate::snapshot::{EventView, RolloutState, Snapshot, TaskView};
use crate::tags;
use crate::waiting::waiting_for;

/// Most events reported.
const EVENTS: usize = 10;
/// Most stopped tasks reported.
const STOPPED: usize = 5;

/// The clocks that a check bounded, by instance: the first twelve hex digits of a task's id.
pub type Clocks = BTreeMap<String, Interval>;

/// Everything that is known about the service now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StatusReport {
    /// Who asks, as the API sees it.
    pub caller: Caller,
    /// The cluster.
    pub cluster: String,
    /// The service.
    pub service: String,
    /// How many tasks are wanted.
    pub desired: u32,
    /// How many run.
    pub running: u32,
    /// How many get requests because their checks pass.
    pub healthy: u32,
    /// Whether all that is wanted is healthy, and nothing is in progress.
    pub is_steady: bool,
    /// The release that it runs, or is being changed to.
    pub release: ReleaseLine,
    /// What is in progress.
    pub deployment: Option<DeploymentLine>,
    /// Its tasks, oldest first; those that stopped for a fault last, newest first, a few.
    pub tasks: Vec<TaskLine>,
    /// What happened, newest first.
    pub events: Vec<EventView>,
    /// What the scheduler waits for, in words.
    pub waiting_for: Option<String>,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Caller {
    /// The account.
    pub account: String,
    /// The ARN.
    pub arn: String,
}

/// The release, in one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReleaseLine {
    /// Its number.
    pub number: u32,
    /// What it calls itself.
    pub version: Option<String>,
    /// The digest of its image.
    pub digest: Option<String>,
    /// Who registered it.
    pub who: Option<String>,
    /// When it was registered.
    #[serde(serialize_with = "iso::serialize_known")]
    pub at: Option<Timestamp>,
}

/// A change in progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeploymentLine {
    /// Who asked for it.
    pub who: String,
    /// What it is.
    pub what: String,
    /// Since when.
    #[serde(serialize_with = "iso::serialize_known")]
    pub since: Option<Timestamp>,
    /// Tasks of the new release that run.
    pub running: u32,
    /// Of so many.
    pub of: u32,
    /// Tasks of the new release that failed.
    pub failed: u32,
}

/// A task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskLine {
    /// Its id.
    pub id: String,
    /// `lastStatus`
    pub status: String,
    /// Since when.
    #[serde(serialize_with = "iso::serialize_known")]
    pub since: Option<Timestamp>,
    /// The release it runs.
    pub release: u32,
    /// Where it runs.
    pub zone: Option<String>,
    /// The port it is reached at.
    pub port: Option<u16>,
    /// Its target's state.
    pub health: Option<String>,
    /// Why its health is bad, or why it stopped.
    pub reason: Option<String>,
    /// Its clock against that of whoever checked it.
    #[serde(serialize_with = "bounds")]
    pub clock: Option<Interval>,
}

/// A clock as a check has it, with the unit in the names: `{"offset_low_ns": -197187, "offset_high_ns": 284329}`.
#[expect(clippy::ref_option, reason = "serde hands over a reference to the field")]
fn bounds<S: Serializer>(clock: &Option<Interval>, serializer: S) -> Result<S::Ok, S::Error> {
    let bounds = clock
        .map(|clock| BTreeMap::from([("offset_low_ns", clock.lo.as_nanos()), ("offset_high_ns", clock.hi.as_nanos())]));
    bounds.serialize(serializer)
}

/// What is known now. `clocks` come from a check of the caller's; an instance that is not in it has none.
pub async fn status(place: &Place, clocks: &Clocks) -> Result<StatusReport, OpsError> {
    let mut observer = Observer::default();
    let (caller, snapshot) = tokio::try_join!(caller(place), observer.look(place))?;
    let service = &snapshot.service;
    let (busy, (definition, labels)) =
        tokio::try_join!(lock::of_service(place, service), observe::task_definition(place, &service.task_definition))?;
    let digest = crate::definition::Definition::read(&definition).digest().map(str::to_owned);
    let primary = service.primary();
    let deployment = busy.map(|busy| DeploymentLine {
        who: busy.who,
        what: busy.what,
        since: busy.since,
        running: primary.map_or(0, |primary| primary.running),
        of: service.desired,
        failed: primary.map_or(0, |primary| primary.failed),
    });
    let release = ReleaseLine {
        number: service.revision(),
        version: labels.get(tags::VERSION).cloned(),
        digest,
        who: labels.get(tags::WHO).cloned(),
        at: labels.get(tags::AT).and_then(|at| gimmetime_clock::iso::parse(at)),
    };
    Ok(report(place, caller, &snapshot, release, deployment, clocks))
}

/// Who asks, as the API sees it.
pub async fn caller(place: &Place) -> Result<Caller, OpsError> {
    let reply = place.endpoint.sts.get_caller_identity().send().await;
    let reply = reply.map_err(|error| refused("ask who is asking", place.endpoint.endpoint(), error))?;
    Ok(Caller {
        account: reply.account().unwrap_or_default().to_owned(),
        arn: reply.arn().unwrap_or_default().to_owned(),
    })
}

fn report(
    place: &Place,
    caller: Caller,
    snapshot: &Snapshot,
    release: ReleaseLine,
    deployment: Option<DeploymentLine>,
    clocks: &Clocks,
) -> StatusReport {
    let service = &snapshot.service;
    let waiting_for = waiting_for(snapshot).map(|waiting| waiting.words);
    let is_settled = service.primary().is_none_or(|primary| primary.state != RolloutState::InProgress);
    StatusReport {
        caller,
        cluster: place.cluster.clone(),
        service: place.service.clone(),
        desired: service.desired,
        running: service.running,
        healthy: snapshot.healthy(),
        is_steady: is_settled && service.desired <= snapshot.healthy() && deployment.is_none(),
        release,
        deployment,
        tasks: lines(snapshot, clocks),
        events: service.events.iter().take(EVENTS).cloned().collect(),
        waiting_for,
    }
}

fn lines(snapshot: &Snapshot, clocks: &Clocks) -> Vec<TaskLine> {
    let (mut gone, mut alive): (Vec<&TaskView>, Vec<&TaskView>) =
        snapshot.tasks.iter().partition(|task| task.is_gone());
    alive.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
    gone.retain(|task| task.has_failed());
    gone.sort_by_key(|task| std::cmp::Reverse(task.stopped_at));
    gone.truncate(STOPPED);
    alive.into_iter().chain(gone).map(|task| line(snapshot, task, clocks)).collect()
}

fn line(snapshot: &Snapshot, task: &TaskView, clocks: &Clocks) -> TaskLine {
    let target = snapshot.target_of(task);
    let health = target.and_then(|target| target.description.clone().or_else(|| target.reason.clone()));
    let since = match task.last_status.as_str() {
        "RUNNING" => task.started_at,
        "DEACTIVATING" | "STOPPING" => task.stopping_at,
        "DEPROVISIONING" | "STOPPED" => task.stopped_at.or(task.stopping_at),
        _ => task.created_at,
    };
    TaskLine {
        id: task.id.clone(),
        status: task.last_status.clone(),
        since: since.or(task.created_at),
        release: task.revision,
        zone: task.zone.clone(),
        port: task.port,
        health: target.map(|target| target.state.clone()),
        reason: health.or_else(|| task.stopped_reason.clone()),
        clock: clocks.get(task.instance()).copied(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::TargetView;

    #[test]
    fn a_task_bears_its_health_and_the_clock_of_its_instance() {
        let task = TaskView {
            id: "0123456789abcdef0123456789abcdef".to_owned(),
            last_status: "RUNNING".to_owned(),
            address: Some("127.0.0.1".to_owned()),
            port: Some(20_001),
            ..TaskView::default()
        };
        let target = |port, state: &str| TargetView {
            id: "127.0.0.1".to_owned(),
            port: Some(port),
            state: state.to_owned(),
            ..TargetView::default()
        };
        let snapshot = Snapshot {
            tasks: vec![task],
            targets: vec![target(20_000, "healthy"), target(20_001, "unhealthy")],
            ..Snapshot::default()
        };
        let clock = Interval::new(gimmetime_clock::Offset::from_nanos(-1), gimmetime_clock::Offset::from_nanos(1));
        let clocks = Clocks::from([("0123456789ab".to_owned(), clock.unwrap())]);
        let lines = lines(&snapshot, &clocks);
        assert_eq!(lines[0].health.as_deref(), Some("unhealthy"));
        assert_eq!(lines[0].clock, clock);
    }
}
