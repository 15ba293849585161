//! What happens while a verb runs, and how it ended. Nothing is said twice; who renders it is another room's business.

use std::time::Duration;

use gimmetime_check::Tally;
use serde::Serialize;

use crate::diagnosis::Diagnosis;
use crate::lock::Busy;

/// Something worth a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The cluster was made.
    ClusterCreated {
        /// Its name.
        name: String,
    },
    /// A release was written into the ledger. It does not run yet.
    Registered {
        /// Its number.
        release: u32,
        /// The digest of its image.
        digest: String,
        /// What it calls itself.
        version: String,
        /// Its git commit.
        git: Option<String>,
        /// Who registered it.
        who: String,
    },
    /// A rollout that was under way already is being watched.
    Attached(Busy),
    /// The change was asked for; the clock of the ledger starts.
    Changing {
        /// What is done.
        operation: Operation,
        /// The release that served, if one did.
        from: Option<u32>,
        /// The release that shall serve.
        to: u32,
        /// How many tasks there shall be.
        count: u32,
    },
    /// Processes of the new set that run.
    Started {
        /// So many.
        n: u32,
        /// Of so many.
        of: u32,
    },
    /// Tasks of the new set that the balancer found healthy.
    Healthy {
        /// So many.
        n: u32,
        /// Of so many.
        of: u32,
    },
    /// No request reaches the old set any more.
    ServesEveryone {
        /// After this long.
        after: Duration,
    },
    /// No request reaches any task any more: none is wanted.
    ServesNobody {
        /// After this long.
        after: Duration,
    },
    /// The old set finishes what it has in flight.
    Draining {
        /// So many tasks.
        n: u32,
    },
    /// A task of the new set failed.
    TaskFailed {
        /// First digits of its id.
        task: String,
        /// Why, in ECS's words.
        reason: String,
    },
    /// The service gives up on the new release.
    RollingBack {
        /// To this release, once known.
        to: Option<u32>,
        /// Why, in ECS's words.
        reason: String,
    },
    /// What the scheduler waits for, when it waits.
    Waiting {
        /// In words.
        what: String,
    },
    /// Everything that was asked for is done.
    Completed {
        /// After this long.
        after: Duration,
    },
    /// The new release failed; the old one serves.
    RolledBack {
        /// After this long.
        after: Duration,
    },
    /// It failed, and nothing was or could be rolled back.
    Failed {
        /// After this long.
        after: Duration,
    },
    /// The service is gone.
    Deleted,
}

/// What is done to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// The service is made, or its settings change.
    Up,
    /// A new release.
    Deploy,
    /// An earlier release.
    Rollback,
    /// Another number of tasks.
    Scale,
    /// What was under way already.
    Attach,
}

impl Operation {
    /// One word, as it is written into labels.
    pub fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Deploy => "deploy",
            Self::Rollback => "rollback",
            Self::Scale => "scale",
            Self::Attach => "attach",
        }
    }
}

/// How a rollout ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// What was asked for serves.
    Done,
    /// It failed; what served before serves again.
    RolledBack,
    /// It failed without a rollback; tasks serve nevertheless.
    FailedAndOldServes,
    /// It failed, and no task is healthy.
    FailedNotServing,
    /// Somebody else changed the service before it was done.
    Superseded,
    /// Nobody waited for the end; it goes on.
    Detached,
}

impl Outcome {
    /// Whether there is a cause to be found.
    pub(crate) fn is_failure(self) -> bool {
        matches!(self, Self::RolledBack | Self::FailedAndOldServes | Self::FailedNotServing)
    }
}

/// How long each part took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Ledger {
    /// Before the change: until the image was where tasks pull it from.
    pub push: Option<Duration>,
    /// Until all new tasks ran.
    pub start: Option<Duration>,
    /// From then until the balancer found them all healthy.
    pub healthy: Option<Duration>,
    /// From "serves everyone" until the last old task was gone.
    pub drain: Option<Duration>,
    /// From the change until no request could reach the old set; None where no task is wanted.
    pub serves_everyone: Option<Duration>,
    /// From the change to the end, without the push before it.
    pub total: Duration,
}

impl Ledger {
    /// All of it: the push, and what came after.
    pub fn sum(&self) -> Duration {
        self.push.unwrap_or_default() + self.total
    }
}

/// What is said at the end of `up`, `deploy`, `rollback`, `scale` and of waiting for one of them.
#[derive(Debug)]
pub struct RolloutReport {
    /// What was done.
    pub operation: Operation,
    /// The release that served before.
    pub from: Option<u32>,
    /// The release that shall serve.
    pub to: u32,
    /// How many tasks there shall be.
    pub count: u32,
    /// How long each part took.
    pub ledger: Ledger,
    /// How long each part took when the release that served before was rolled out, if that is known.
    pub last: Option<Ledger>,
    /// What the probe saw; None when it was switched off.
    pub tally: Option<Tally>,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it failed.
    pub cause: Option<Diagnosis>,
    /// What it still waits for, when nobody waited for the end.
    pub waiting_for: Option<String>,
    /// Why it could not be watched to its end, in words: credentials that expired, a right that is missing. It goes on.
    pub lost: Option<String>,
}

impl RolloutReport {
    /// Whether the probe proves nothing: it asked, and not one request got as far as the service. The network between is to
    /// blame, or this machine; what the balancer found healthy stands.
    pub fn is_unverified(&self) -> bool {
        self.tally.as_ref().is_some_and(|tally| 0 < tally.requests && tally.unverified == tally.requests)
    }
}
