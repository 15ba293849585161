//! Says the time over HTTP: `/now`, `/live`, `/health`.
//!
//! Owns an epoll loop and the HTTP/1.1 conversation on top of it. Everything has a limit; nothing is logged per request.
//! Refuses all else: it knows nothing of images, engines or clouds, looks up no names, and reads clocks through
//! `gimmetime_clock::source` only. What decides is pure (the conversation and what it stands on), what acts is thin.

#![forbid(unsafe_code)]

mod settings;

mod body;
mod conversation;
mod reply;
mod request;
mod site;
mod witness;

mod bench;
mod connection;
mod door;
mod events;
mod running;
mod worker;

pub use running::{Running, ServeError, Tally, run};
pub use settings::{Limits, Settings, SettingsError, USAGE, environment, settings_from};

/// The version of this program, as `--version` says it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
