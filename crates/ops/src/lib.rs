//! What runs, on every target, over the AWS SDK.
//!
//! One stateless HTTP service as releases: made, rolled, scaled, watched, explained, deleted. Everything is asked of the ECS,
//! ELBv2, CloudWatch Logs and STS APIs, whoever answers them. Refuses: to print (it returns data and emits events), to know
//! what the service serves, and to know who answers. What decides is pure ([`progress`], [`three_way`], [`diagnosis`]).
#![forbid(unsafe_code)]

pub mod answer;
mod connection;
mod error;
mod event;
mod place;
mod snapshot;

pub mod progress;
mod release;
mod rollout;

mod delete;
mod deploy;
mod logs;
mod rollback;
mod scale;
mod status;
mod up;
mod why;

mod cause;
pub mod diagnosis;
mod lock;
pub mod three_way;
mod waiting;

mod cancel;
mod definition;
mod evidence;
pub mod fargate;
mod location;
mod memory;
mod observe;
mod pace;
mod patience;
mod probing;
mod tags;
mod target_group;
mod took;
mod update;
mod words;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use cancel::{Cancel, Canceller, cancellation};
pub use cause::Cause;
pub use connection::Connection;
pub use definition::Definition;
pub use delete::{DeleteReport, Releases, delete};
pub use deploy::{DeployMode, Deployed, deploy};
pub use diagnosis::{Certainty, Diagnosis, EvidenceLine, Way};
pub use error::OpsError;
pub use event::{Event, Ledger, Operation, Outcome, RolloutReport};
pub use location::Location;
pub use lock::Busy;
pub use logs::{LAST, LogLine, LogQuery, Merge, follow, logs};
pub use place::{CONTAINER, FIRST_COUNT, Fargate, Launch, Place, Probe, Rollout, Run, ServiceSpec, Size};
pub use release::{Release, ReleaseOutcome, releases};
pub use rollback::rollback;
pub use rollout::attach;
pub use scale::scale;
pub use snapshot::{
    AttemptView, DeploymentView, EventView, RolloutState, RolloutView, ServiceView, Snapshot, TargetView, TaskView,
};
pub use status::{Caller, Clocks, DeploymentLine, ReleaseLine, StatusReport, TaskLine, caller, status};
pub use target_group::{asked_path, target_group};
pub use up::{UpAction, UpReport, plan_service, up_service};
pub use waiting::{Waiting, waiting_for};
pub use why::{Answer, Question, why};
