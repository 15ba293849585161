//! The client against registries: one that fails as it is told, and real ones.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod fault;
mod support;

mod auth;
mod network;
mod push;
mod quirks;
mod real;
mod resolve;
mod security;
