//! The data plane as a program: standard input is its control socket, the only argument its access log.
#![forbid(unsafe_code)]

use std::os::fd::AsFd;
use std::process::ExitCode;

use gimmetime_balancer::{Settings, run};

fn main() -> ExitCode {
    let access_log = std::env::args_os().nth(1).map(Into::into);
    let Ok(control) = std::io::stdin().as_fd().try_clone_to_owned() else {
        return ExitCode::from(2);
    };
    match run(control, Settings { access_log, ..Settings::default() }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(2),
    }
}
