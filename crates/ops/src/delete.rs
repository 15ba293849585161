//! The part of `down` that is a service: drained, stopped, gone. It goes on where an earlier try ended.

use aws_sdk_ecs::types::TaskDefinitionStatus;
use gimmetime_clock::source;
use serde::Serialize;

use crate::error::{OpsError, refused};
use crate::event::Event;
use crate::observe::{self, Observer};
use crate::pace::Pace;
use crate::place::{Place, Run};

/// Most task definitions that one call deletes (the API's own limit).
const BATCH: usize = 10;

/// What becomes of the releases when their service goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Releases {
    /// They stay, and a new service goes on with their numbers.
    Keep,
    /// They are deregistered.
    Deregister,
    /// They are deregistered and deleted. An endpoint that deletes none keeps them deregistered.
    Delete,
}

/// What was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeleteReport {
    /// Whether there was a service.
    pub service: bool,
    /// How many tasks it had.
    pub tasks: usize,
    /// How many releases were deregistered, or deleted if that was asked for.
    pub releases: usize,
    /// How many tasks still run because nobody waited for the end.
    pub left: usize,
    /// Whether the service itself is on its way out still: a new one of its name has to wait.
    pub is_draining: bool,
    /// How many releases the API would not delete.
    pub releases_left: usize,
}

/// What of a service is left.
#[derive(Debug, Clone, Copy)]
struct Left {
    tasks: usize,
    service: bool,
}

/// Deletes the service, whatever it is doing, and waits until it and its last task are gone. Does nothing twice.
///
/// Tasks leave as they do when a release is replaced: deregistered, drained, then told to stop.
pub async fn delete(place: &Place, releases: Releases, run: &Run) -> Result<DeleteReport, OpsError> {
    let service = observe::is_there(place).await?;
    let tasks = if service { Observer::default().alive(place).await? } else { 0 };
    if observe::find_service(place).await?.is_some() {
        let call = place.endpoint.ecs.delete_service().cluster(&place.cluster).service(&place.service).force(true);
        match call.send().await.map_err(|error| refused("delete the service", place.endpoint.endpoint(), error)) {
            Err(error) if !error.is_absent() => return Err(error),
            _ => {}
        }
    }
    let left = Box::pin(wait_gone(place, run)).await?;
    let is_gone = left.tasks == 0 && !left.service;
    if service && is_gone {
        run.emit(Event::Deleted);
    }
    let (releases, releases_left) = match releases {
        Releases::Keep => (0, 0),
        Releases::Deregister => (deregister(place).await?, 0),
        Releases::Delete => {
            deregister(place).await?;
            delete_revisions(place).await?
        }
    };
    Ok(DeleteReport { service, tasks, releases, left: left.tasks, is_draining: left.service, releases_left })
}

/// What is left when waiting ends.
async fn wait_gone(place: &Place, run: &Run) -> Result<Left, OpsError> {
    let began = source::mono();
    let mut observer = Observer::default();
    let mut pace = Pace::new(place.poll);
    let mut told = 0;
    loop {
        let over = place.patience <= source::mono().since(began) || run.cancel.is_cancelled();
        let pause = match look(place, &mut observer).await {
            Ok(left) => {
                if 0 < left.tasks && told == 0 {
                    told = left.tasks;
                    run.emit(Event::Draining { n: left.tasks as u32 });
                }
                if over || (left.tasks == 0 && !left.service) {
                    return Ok(left);
                }
                pace.answered()
            }
            Err(error) if error.is_passing() && !over => pace.unanswered(),
            Err(error) => return Err(error),
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = run.cancel.cancelled() => {}
        }
    }
}

async fn look(place: &Place, observer: &mut Observer) -> Result<Left, OpsError> {
    Ok(Left { tasks: observer.alive(place).await?, service: observe::is_there(place).await? })
}

async fn deregister(place: &Place) -> Result<usize, OpsError> {
    let arns = observe::revisions(place, usize::MAX).await?;
    for arn in &arns {
        let call = place.endpoint.ecs.deregister_task_definition().task_definition(arn);
        let reply = call.send().await;
        reply.map_err(|error| refused("deregister a task definition", place.endpoint.endpoint(), error))?;
    }
    Ok(arns.len())
}

/// Deletes what is deregistered, by whomever and whenever; how many it deleted, and how many it could not.
async fn delete_revisions(place: &Place) -> Result<(usize, usize), OpsError> {
    const DOING: &str = "delete the task definitions";
    let arns = observe::revisions_that_are(place, TaskDefinitionStatus::Inactive, usize::MAX).await?;
    let mut left = 0;
    for batch in arns.chunks(BATCH) {
        let call = place.endpoint.ecs.delete_task_definitions().set_task_definitions(Some(batch.to_vec()));
        match call.send().await.map_err(|error| refused(DOING, place.endpoint.endpoint(), error)) {
            Ok(reply) => left += reply.failures().len(),
            Err(error) if observe::is_unknown_operation(&error) => left += batch.len(),
            Err(error) => return Err(error),
        }
    }
    Ok((arns.len().saturating_sub(left), left))
}
