//! The HTTP time service as a program of its own: all that is in the image.

#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of its own, with nobody else to print for it"
)]

use std::process::ExitCode;

use gimmetime_server::{USAGE, VERSION, environment, run, settings_from};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
    match args.first().map(String::as_str) {
        Some("--help" | "-h") => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Some("--version" | "-V") => {
            println!("gimmetime-server {VERSION}");
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let settings = match settings_from(args, environment) {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("error: {error}\nhint: `gimmetime-server --help` says what it takes");
            return ExitCode::from(2);
        }
    };
    match run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
