//! Runs a service on this machine with ECS semantics: the supervisor, and the place as the command line sees it.
//!
//! What decides is elsewhere and pure (`gimmetime_scheduler`); here is what acts: processes, sockets, FIFOs, files.
//! A place is one folder. Its supervisor owns the model; the data plane and the tasks are processes of their own that
//! outlive it, and the next supervisor takes them over.
#![forbid(unsafe_code)]

mod error;
mod home;

mod front;
mod supervisor;

mod journal;
mod launch;
mod listen;
mod logs;
mod marker;
mod metrics;
mod plane;
mod ports;
mod prober;
mod process;
mod programs;

mod enginelog;
mod files;
mod proc;

pub use balance::balance;
pub use error::{EngineError, Holder, StartFailure};
pub use front::{Endpoint, EngineDescription, LiveTask, Metrics, PlaceDescription, Presence, StopReport, Traffic};
pub use gimmetime_api::PlaceChange;
pub use home::{Home, PlaceSpec};
pub use supervisor::supervise;

mod balance;
