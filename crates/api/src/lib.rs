//! Speaks the ECS, ELBv2, CloudWatch Logs and STS wire protocols over a model.
//!
//! Requests come in signed (`sigv4`), are read off the wire (`http`, `query`), and answered from the model alone ([`answer`]):
//! no I/O but logs, no decision that is not the scheduler's. What the real APIs have and this engine lacks is refused by name,
//! never ignored. Our own operations bear our own prefix.
#![forbid(unsafe_code)]

pub mod client;
mod ecs;
mod elbv2;
mod engine;
mod error;
mod http;
mod logs;
mod metadata;
mod page;
mod parameters;
mod query;
mod service;
pub mod sigv4;
mod sts;
mod time;
mod world;
mod xml;

use serde_json::Value;

pub use crate::http::{Answer, Calls, serve};
pub use engine::{API_VERSION, DESCRIBE_ENGINE, MODIFY_PLACE};
pub use error::ApiError;
pub use metadata::path as metadata_path;
pub use service::Service;
pub use sigv4::Keys;
pub use world::{
    EngineFacts, EventKey, LogEnd, LogEvent, LogGroup, LogQuery, LogSource, LogStream, PlaceChange, StreamFilter,
    Traffic, World,
};

/// One operation called, with its parameters in the JSON shape, whichever protocol they came by.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Whose operation.
    pub service: Service,
    /// Which: `UpdateService`.
    pub operation: String,
    /// An object.
    pub parameters: Value,
}

/// What the operation returns, in the JSON shape; and the model changed, if it is one that changes something.
pub fn answer(world: &mut dyn World, call: &Call) -> Result<Value, ApiError> {
    match call.service {
        Service::Ecs => ecs::answer(world, call),
        Service::Elbv2 => elbv2::answer(world, call),
        Service::Logs => logs::answer(world, call),
        Service::Sts => sts::answer(world, call),
        Service::Engine => engine::answer(world, call),
        Service::Metadata => metadata::answer(world, call),
    }
}
