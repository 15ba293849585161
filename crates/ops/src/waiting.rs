//! What the scheduler waits for, in words.

use crate::snapshot::{RolloutState, Snapshot, TaskView};

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// In words.
    pub words: String,
    /// Whether it stands in the way, rather than being the ordinary course of things.
    pub is_obstacle: bool,
}

/// What the scheduler waits for in this snapshot; None when everything is as it should be.
pub fn waiting_for(snapshot: &Snapshot) -> Option<Waiting> {
    obstacle(snapshot)
        .map(|words| Waiting { words, is_obstacle: true })
        .or_else(|| course(snapshot).map(|words| Waiting { words, is_obstacle: false }))
}

/// What ECS says in its events when it cannot go on; only the newest event counts, older ones may be settled.
fn obstacle(snapshot: &Snapshot) -> Option<String> {
    let settled = snapshot.service.primary().is_none_or(|primary| primary.state != RolloutState::InProgress)
        && snapshot.service.desired <= snapshot.healthy();
    let newest = snapshot.service.events.first().filter(|_| !settled)?;
    let configuration = snapshot.service.configuration;
    if newest.message.contains("service deployment configuration") {
        return Some(format!(
            "min_healthy_percent {} and max_percent {} leave no room to replace any of {} tasks",
            configuration.min_healthy_percent, configuration.max_percent, snapshot.service.desired
        ));
    }
    if newest.message.contains("unable to consistently start tasks") {
        return Some("its next start: tasks keep failing, so starts are throttled".to_owned());
    }
    if ["failed to launch a task", "failed to register targets"].iter().any(|told| newest.message.contains(told)) {
        return Some(newest.message.clone());
    }
    newest.message.contains("unable to place").then(|| format!("capacity: {}", newest.message))
}

fn course(snapshot: &Snapshot) -> Option<String> {
    let service = &snapshot.service;
    let primary = service.primary();
    let is_new = |task: &&TaskView| {
        !task.is_leaving() && !task.is_gone() && primary.is_none_or(|primary| task.revision == primary.revision)
    };
    let new = || snapshot.tasks.iter().filter(is_new);
    let starting = new().filter(|task| task.last_status != "RUNNING").count();
    let unhealthy = new().filter(|task| task.last_status == "RUNNING" && !snapshot.is_healthy(task)).count();
    let missing = (service.desired as usize).saturating_sub(new().count());
    let draining = snapshot.tasks.iter().filter(|task| task.is_leaving() && !task.is_gone()).count();
    if 0 < unhealthy {
        Some(format!("{} to pass the health check", tasks(unhealthy)))
    } else if 0 < starting {
        Some(format!("{} to start", tasks(starting)))
    } else if 0 < missing {
        Some(format!("{} to be started", tasks(missing)))
    } else if 0 < draining {
        Some(format!("{} to finish what is in flight", tasks(draining)))
    } else {
        service.rolling().map(|_| "the deployment to be called complete".to_owned())
    }
}

fn tasks(n: usize) -> String {
    if n == 1 { "1 task".to_owned() } else { format!("{n} tasks") }
}
