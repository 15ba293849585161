//! The place on AWS: described, priced, planned, made, changed, removed, and counted afterwards.
//!
//! CloudFormation holds the place (network, balancer, cluster, roles, logs, repository, event memory); what runs in it
//! is `ops`'s. What decides (template, price, plan, what a stack's state asks for) is pure; what acts asks AWS. Refuses:
//! to print, to touch a service or a task definition, and to know what is served.
#![forbid(unsafe_code)]

pub mod limits;
mod outputs;
mod spec;

pub mod cost;
pub mod iam;
pub mod template;

mod first_plan;
mod forecast;
#[cfg(test)]
mod parts;
#[cfg(test)]
mod samples;

mod session;

pub mod inventory;
pub mod metrics;
pub mod preflight;
pub mod stack;

mod denied;
mod error;
mod event;
mod preparation;
mod query;
mod tags;

#[cfg(test)]
mod models;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use denied::Denied;
pub use error::{AwsError, DeniedError, StackError};
pub use event::{Doing, PlaceEvent, Progress, ResourceEvent};
pub use first_plan::{FirstPlan, PlanLine, first_plan};
pub use forecast::{Forecast, forecast};
pub use outputs::Outputs;
pub use query::registry_host;
pub use session::{Identity, RegistryLogin, Session, SessionSpec};
pub use spec::{Access, LAYOUT, Logs, Made, Network, PlaceSpec, Roles, Scheme, Size};
pub use tags::{NAME as NAME_TAG, OWNER as OWNER_TAG, PLACE as PLACE_TAG};
