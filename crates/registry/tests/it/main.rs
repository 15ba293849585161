//! The client against registries: one that fails as it is told, and real ones.

mod fault;
mod support;

mod auth;
mod network;
mod push;
mod quirks;
mod real;
mod resolve;
mod security;
