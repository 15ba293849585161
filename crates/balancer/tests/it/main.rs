//! The data plane between real clients and real targets, over real sockets.
#![expect(clippy::unwrap_used, reason = "where a test cannot go on, it fails")]

mod basics;
mod direction;
mod faults;
mod programs;
mod refusals;
mod rig;
