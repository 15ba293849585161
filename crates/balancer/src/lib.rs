//! Balances requests over targets: the data plane, a process of its own.
//!
//! It knows requests, targets and a routing table with a version; it knows nothing of services, tasks or releases. Who
//! tells it which targets there are may die and come back: it serves on, and hands its listeners back when asked.
//! A request's way leads from [`listener`] through [`guard`] and [`head`] to [`connection`], [`exchange`] and [`pool`].
#![forbid(unsafe_code)]

pub mod control;

mod access;
mod account;
mod answer;
mod balance;
mod body;
mod connection;
mod counters;
mod director;
mod events;
mod exchange;
mod forward;
mod guard;
mod head;
mod hold;
mod listener;
mod patience;
mod plane;
mod pool;
mod retry;
mod targets;
mod trace;

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::time::Duration;

pub use plane::Settings;

/// Why a plane could not serve.
#[derive(Debug, thiserror::Error)]
pub enum PlaneError {
    /// The descriptor given is not a listening Unix socket, or the system refuses the basics.
    #[error("the data plane cannot start")]
    Start(#[source] io::Error),
}

/// Serves until retired by its director or by SIGTERM; blocks. `control` is a listening Unix stream socket, as made by
/// [`control::client::listen`].
pub fn run(control: OwnedFd, settings: Settings) -> Result<(), PlaneError> {
    let control = UnixListener::from(control);
    control.set_nonblocking(true).map_err(PlaneError::Start)?;
    let runtime = match settings.threads {
        0 | 1 => tokio::runtime::Builder::new_current_thread().enable_all().build(),
        threads => tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build(),
    };
    let runtime = runtime.map_err(PlaneError::Start)?;
    let served = runtime.block_on(plane::serve(control, settings)).map_err(PlaneError::Start);
    // What is still in flight after the grace is cut.
    runtime.shutdown_timeout(Duration::ZERO);
    served
}
