//! Drives the real program through sockets, signals and `curl`.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod leaving;
mod limits;
mod program;
mod serving;
mod starting;
