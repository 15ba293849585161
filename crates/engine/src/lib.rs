//! Runs a service on this machine with ECS semantics.
