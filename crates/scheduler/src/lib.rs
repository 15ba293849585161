//! Decides what runs: the semantics of one ECS service and one ALB target group, as pure functions.
//!
//! State, input and `now` go in; the changed state and the actions it asks for come out. Nothing here reads a clock,
//! opens a file, or awaits: who acts on an [`Action`] is another room's business, and so is how the model is stored.
#![forbid(unsafe_code)]

pub mod model;

pub mod commands;
mod step;

mod lifecycle;

mod health;
mod routing;

mod census;
mod reconcile;

mod breaker;
mod deployment;
mod failure;

mod deadline;
mod events;
mod history;
mod ids;
mod view;

use std::net::SocketAddr;
use std::time::Duration;

use gimmetime_clock::{Interval, Mono};
use model::{Exit, Process, TaskId};
use serde::{Deserialize, Serialize};

pub use commands::{NewService, NewTaskDefinition, Refusal, ServiceChange};
pub use deadline::next_deadline;
pub use health::{CLOCK_LIMIT, HEALTH_PATH_LABEL, due_probes, health_path};
pub use routing::table;
pub use step::step;
pub use view::Counts;

/// How many stopped tasks are kept to be described.
pub const STOPPED_TASKS_KEPT: usize = 100;

/// Something that happened, as a driver saw it.
#[derive(Debug, Clone)]
pub enum Input {
    /// The process of a task runs, and will listen there.
    Spawned {
        /// Which task.
        task: TaskId,
        /// Its process.
        process: Process,
        /// Where it was told to listen.
        address: SocketAddr,
    },
    /// No process could be started for a task.
    SpawnFailed {
        /// Which task.
        task: TaskId,
        /// Why, in one sentence for `stoppedReason`.
        reason: String,
    },
    /// The process of a task ended.
    Exited {
        /// Which task.
        task: TaskId,
        /// How.
        exit: Exit,
    },
    /// A health check ended.
    Probed {
        /// Which target.
        task: TaskId,
        /// With what.
        outcome: ProbeOutcome,
    },
    /// The data plane routes by this version of the table.
    Acked {
        /// Which version.
        version: u64,
    },
    /// The data plane has no request in flight to a draining target.
    Idle {
        /// Which target.
        task: TaskId,
    },
    /// A new data plane took over: nothing is acknowledged yet, no target known idle.
    PlaneReset,
    /// This engine took over from an earlier one, whose last actions may never have been done.
    Resumed,
    /// Time passed, or the model was changed by a command.
    Tick,
}

/// How a health check ended.
#[derive(Debug, Clone)]
pub enum ProbeOutcome {
    /// It answered.
    Answered {
        /// The status code.
        status: u16,
        /// Its clock minus ours, if the reply bore stamps.
        clock: Option<Interval>,
    },
    /// No answer in time.
    TimedOut,
    /// The connection was refused or broke.
    Failed {
        /// How.
        error: String,
    },
}

/// Something a driver must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Start a process for the task; answer with [`Input::Spawned`] or [`Input::SpawnFailed`].
    Start {
        /// Which task.
        task: TaskId,
    },
    /// Signal the task's process group; a later [`Input::Exited`] is the answer.
    Terminate {
        /// Which task.
        task: TaskId,
    },
    /// Kill the task's process group.
    Kill {
        /// Which task.
        task: TaskId,
    },
    /// Release what a stopped task held (port, FIFOs).
    Release {
        /// Which task.
        task: TaskId,
    },
}

/// One line of the routing table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The target.
    pub task: TaskId,
    /// Where it listens.
    pub address: SocketAddr,
    /// Whether it finishes what it has instead of getting new requests.
    pub draining: bool,
    /// Whether it passed its checks; one that did not gets requests only for want of better.
    pub healthy: bool,
}

/// A health check to be made now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeOrder {
    /// The target.
    pub task: TaskId,
    /// Where it listens.
    pub address: SocketAddr,
    /// What to GET.
    pub path: String,
    /// How long it may take.
    pub timeout: Duration,
}

/// The latest moment by which [`Input::Tick`] is owed; kept here so that drivers need no rules of their own.
pub type Deadline = Option<Mono>;

#[cfg(test)]
mod tests;
