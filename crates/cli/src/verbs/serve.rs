//! `serve`: one task in the foreground, as the image has it.

use gimmetime_server::{environment, settings_from};

use crate::args::Serve;
use crate::exit::{Exit, Failure};

/// Serves until SIGTERM or SIGINT.
pub(crate) fn run(args: &Serve) -> Result<Exit, Failure> {
    let listen = args.listen.map(|listen| ["--listen".to_owned(), listen.to_string()]);
    let threads = args.threads.map(|threads| ["--threads".to_owned(), threads.to_string()]);
    let words = listen.into_iter().chain(threads).flatten();
    let settings = settings_from(words, environment).map_err(|error| Failure::unsure(error.to_string()))?;
    gimmetime_server::run(settings).map(|()| Exit::Done).map_err(|error| Failure::failed(error.to_string()))
}
