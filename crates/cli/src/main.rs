//! gimmetime: the time, highly available.
//!
//! What was typed (`args`) and written (`settings`) becomes one resolved value; a verb (`verbs`) lets the other rooms do
//! the work; `render` shows it; `exit` says how it ended. Only this crate prints.
#![forbid(unsafe_code)]

mod args;
mod settings;

mod follow;
mod release;
mod target;
mod verbs;

mod embedded;
mod exit;
mod render;

use std::process::ExitCode;

use clap::Parser as _;

use args::Cli;
use exit::{Exit, Failure};
use render::Printer;
use settings::Environment;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let environment = Environment::read();
    let mut printer = Printer::new(&cli.common, environment.no_color, environment.dumb_terminal);
    let ended = match verbs::run_plain(&cli.verb, &mut printer) {
        Some(ended) => ended,
        None => run(cli, &environment, &mut printer),
    };
    let exit = ended.unwrap_or_else(|failure| {
        if failure.exit != Exit::Done {
            printer.failure(&failure);
        }
        failure.exit
    });
    exit.into()
}

/// Runs a verb on one thread: what it waits for is elsewhere.
fn run(cli: Cli, environment: &Environment, printer: &mut Printer) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::unsure(format!("could not start the async runtime: {error}")))?;
    let ended = runtime.block_on(verbs::run(cli, environment, printer));
    // A blocked read of the terminal must not keep the process.
    runtime.shutdown_background();
    ended
}
