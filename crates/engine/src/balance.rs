//! The data plane's process: started by the supervisor, its control socket as standard input.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use gimmetime_balancer::Settings;
use gimmetime_scheduler::model::Arns;

use crate::error::{Attempt, EngineError};
use crate::home::Home;
use crate::journal;

/// Balances for the place in folder `home` until retired; the body of `gimmetime engine balance --home DIR`.
pub fn balance(home: &Path) -> Result<(), EngineError> {
    let control = std::io::stdin().as_fd().try_clone_to_owned().attempt("take the control socket")?;
    // Nothing but the duplicate may hold the socket, or it outlives its use.
    let null = File::open("/dev/null").attempt("open the null device")?;
    rustix::stdio::dup2_stdin(&null).attempt("let go of standard input")?;
    gimmetime_balancer::run(control, settings(&Home::of_folder(home)))
        .map_err(|error| EngineError::Io { what: "serve as data plane".into(), source: std::io::Error::other(error) })
}

/// What the access log calls the load balancer and its targets.
fn settings(home: &Home) -> Settings {
    let mut settings = Settings { access_log: Some(home.access_log()), ..Settings::default() };
    if let Some(state) = journal::peek(home.folder()) {
        let place = state.model.place;
        settings.load_balancer = format!("app/{}/{}", place.name, place.suffix);
        settings.target_group = Arns { name: &place.name, suffix: &place.suffix }.target_group();
    }
    settings
}
