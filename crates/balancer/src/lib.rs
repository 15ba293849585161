//! Balances requests over targets: the data plane, a process of its own.
//!
//! It knows requests, targets and a routing table with a version; it knows nothing of services, tasks or releases. Who
//! tells it which targets there are may die and come back: it serves on, and hands its listeners back when asked.
#![forbid(unsafe_code)]

pub mod control;
