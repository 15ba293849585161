//! `serve`: one task in the foreground.

use gimmetime_server::settings;

use crate::args::Serve;
use crate::exit::{Exit, Failure};

/// Serves until SIGTERM or SIGINT.
pub(crate) fn run(args: &Serve) -> Result<Exit, Failure> {
    todo!()
}
