//! Collects what a diagnosis needs. What cannot be had is left out: half the evidence is better than none.

use std::collections::BTreeSet;

use aws_sdk_cloudwatchlogs::types::OutputLogEvent;
use gimmetime_clock::Timestamp;

use crate::definition::Definition;
use crate::diagnosis::{Evidence, EvidenceLine, Way};
use crate::observe;
use crate::place::{CONTAINER, Launch, Place};
use crate::progress::Tracker;
use crate::snapshot::{RolloutState, Snapshot, TaskView};

/// Most tasks whose output is read for one diagnosis: they fail alike.
pub(crate) const TASKS: usize = 4;
/// Lines read of each.
const LINES: i32 = 30;

/// Most pages read of each, while they are empty.
const PAGES: usize = 5;

/// What the tracker of a change saw.
pub(crate) fn of_tracker(tracker: &Tracker, snapshot: &Snapshot, release: u32) -> Evidence {
    let mut failed: Vec<TaskView> = tracker.failed().cloned().collect();
    if failed.is_empty() {
        failed = given_up(snapshot);
    }
    if failed.is_empty() {
        failed = tracker.starved().cloned().collect();
    }
    let deployments: BTreeSet<_> = failed.iter().map(|task| &task.deployment).collect();
    let together = |task: &&TaskView| {
        task.revision == release && (deployments.is_empty() || deployments.contains(&task.deployment))
    };
    let of = snapshot.tasks.iter().filter(together).count();
    Evidence {
        release,
        of: of.max(failed.len()),
        failed,
        unhealthy: tracker.unhealthy().clone(),
        events: snapshot.service.events.clone(),
        given_up: reason(snapshot, release),
        ..Evidence::default()
    }
}

/// The failed tasks of a deployment that was given up before this change: why none of its tasks will come.
fn given_up(snapshot: &Snapshot) -> Vec<TaskView> {
    let primary = snapshot.service.primary().filter(|primary| primary.state == RolloutState::Failed);
    let of_it = |task: &&TaskView| task.has_failed() && primary.is_some_and(|primary| primary.owns(task));
    snapshot.tasks.iter().filter(of_it).cloned().collect()
}

/// Why the service gave a release up, as its deployment has it.
pub(crate) fn reason(snapshot: &Snapshot, release: u32) -> Option<String> {
    let mut deployments = snapshot.service.deployments.iter();
    let of_it = deployments.find(|it| it.revision == release && it.state == RolloutState::Failed);
    of_it.and_then(|deployment| deployment.reason.clone())
}

/// The last lines a task wrote.
pub(crate) async fn last_lines(place: &Place, task: &str) -> Vec<EvidenceLine> {
    let stream = format!("{}/{CONTAINER}/{task}", place.service);
    let short = task.get(..4).unwrap_or(task);
    let mut token = None;
    // A page may be empty although there is more behind it; the end is where the token stays the same.
    for _ in 0..PAGES {
        let call = place.endpoint.logs.get_log_events().log_group_name(&place.log_group).log_stream_name(&stream);
        let call = call.start_from_head(false).limit(LINES).set_next_token(token.clone());
        let Ok(reply) = call.send().await else { break };
        let mut lines: Vec<EvidenceLine> = reply.events().iter().map(|event| line(event, short)).collect();
        let next = reply.next_backward_token().map(str::to_owned);
        if !lines.is_empty() || next.is_none() || next == token {
            lines.sort_by_key(|line| line.at);
            return lines;
        }
        token = next;
    }
    Vec::new()
}

fn line(event: &OutputLogEvent, task: &str) -> EvidenceLine {
    EvidenceLine {
        at: Timestamp::from_nanos(event.timestamp().unwrap_or(0).saturating_mul(1_000_000)),
        task: task.to_owned(),
        text: event.message().unwrap_or_default().trim_end().to_owned(),
    }
}

/// How the tasks of this place reach the registry and the APIs.
pub(crate) fn way(place: &Place) -> Option<Way> {
    match &place.launch {
        Launch::Local => None,
        Launch::Fargate(fargate) if fargate.public_ip => Some(Way::PublicAddress),
        Launch::Fargate(_) => Some(Way::NoPublicAddress),
    }
}

/// What a task definition says, if it can still be read.
pub(crate) async fn definition(place: &Place, arn: Option<&str>) -> Option<Definition> {
    let (definition, _) = observe::task_definition(place, arn?).await.ok()?;
    Some(Definition::read(&definition))
}
