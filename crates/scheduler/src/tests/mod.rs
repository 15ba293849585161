//! The rules of the service and its targets, shown in a small world with its own time.

mod breaker;
mod health;
mod held;
mod lifecycle;
mod properties;
pub(crate) mod releases;
mod rollout;
pub(crate) mod world;
