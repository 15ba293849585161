//! The part of `down` that is a service: drained, stopped, gone.

use gimmetime_clock::source;
use serde::Serialize;

use crate::error::{OpsError, refused};
use crate::event::Event;
use crate::observe::{self, Observer};
use crate::place::{Place, Run};

/// What becomes of the releases when their service goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Releases {
    /// They stay, and a new service goes on with their numbers.
    Keep,
    /// They are deregistered.
    Deregister,
}

/// What was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeleteReport {
    /// Whether there was a service.
    pub service: bool,
    /// How many tasks it had.
    pub tasks: usize,
    /// How many releases were deregistered.
    pub releases: usize,
    /// How many tasks still run because nobody waited for the end.
    pub left: usize,
}

/// Deletes the service, whatever it is doing, and waits until its last task is gone. Does nothing twice.
pub async fn delete(place: &Place, releases: Releases, run: &Run) -> Result<DeleteReport, OpsError> {
    let mut report = DeleteReport { service: false, tasks: 0, releases: 0, left: 0 };
    if observe::find_service(place).await?.is_some() {
        report.service = true;
        report.tasks = Observer::default().alive(place).await?;
        let call = place.endpoint.ecs.delete_service().cluster(&place.cluster).service(&place.service).force(true);
        match call.send().await.map_err(|error| refused("delete the service", place.endpoint.endpoint(), error)) {
            Err(error) if !error.is_absent() => return Err(error),
            _ => {}
        }
    }
    report.left = wait_gone(place, run).await?;
    if report.service && report.left == 0 {
        run.emit(Event::Deleted);
    }
    if releases == Releases::Deregister {
        report.releases = deregister(place).await?;
    }
    Ok(report)
}

/// How many tasks are left when waiting ends.
async fn wait_gone(place: &Place, run: &Run) -> Result<usize, OpsError> {
    let began = source::mono();
    let mut observer = Observer::default();
    let mut told = 0;
    loop {
        let left = observer.alive(place).await?;
        if 0 < left && told == 0 {
            told = left;
            run.emit(Event::Draining { n: left as u32 });
        }
        let over = place.patience <= source::mono().since(began) || run.cancel.is_cancelled();
        if left == 0 || over {
            return Ok(left);
        }
        tokio::select! {
            () = tokio::time::sleep(place.poll) => {}
            () = run.cancel.cancelled() => {}
        }
    }
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
