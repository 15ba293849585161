//! gimmetime: the time, highly available.
//!
//! What was typed (`args`) and written (`settings`) becomes one resolved value; a verb (`verbs`) lets the other rooms do
//! the work; `render` shows it; `exit` says how it ended. Only this crate prints.
#![forbid(unsafe_code)]

mod args;
mod settings;

mod follow;
mod follow_place;
mod question;
mod release;
mod smoke;
mod target;
mod traffic;
mod verbs;

mod embedded;
mod exit;
mod render;

use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, CommandFactory as _, FromArgMatches as _};

use args::Cli;
use exit::{Exit, Failure};
use render::Printer;
use render::words::quoted;
use settings::Environment;

fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let environment = Environment::read();
    let mut printer = Printer::new(&cli.common, environment.no_color, environment.dumb_terminal);
    let place = ["name", "config", "state", "region", "profile", "connect_to"];
    printer.name_place(&typed(&matches, &["target"]), &typed(&matches, &place), &typed(&matches, &["registry"]));
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

/// The variables that flags of a command, and of those below it, are read from.
fn variables(command: &Command) -> Vec<String> {
    let own = command.get_arguments().filter_map(Arg::get_env).map(|name| name.to_string_lossy().into_owned());
    own.chain(command.get_subcommands().flat_map(variables)).collect()
}

/// Those of the flags that were typed, as they were: what the environment and the settings say, they say again.
fn typed(matches: &ArgMatches, flags: &[&str]) -> String {
    let typed = flags.iter().filter_map(|flag| {
        let is_typed = matches.value_source(flag) == Some(ValueSource::CommandLine);
        let value = matches.get_raw(flag).filter(|_| is_typed)?.next()?;
        Some(format!(" --{} {}", flag.replace('_', "-"), quoted(&value.to_string_lossy())))
    });
    typed.collect()
}

/// Runs a verb on one thread: what it waits for is elsewhere.
fn run(cli: Cli, environment: &Environment, printer: &mut Printer) -> Result<Exit, Failure> {
    for words in environment.unknown(&variables(&Cli::command())) {
        printer.note(format!("warning: {words}"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::unsure(format!("could not start the async runtime: {error}")))?;
    let ended = runtime.block_on(verbs::run(cli, environment, printer));
    // What still waits for a registry must not keep the process.
    runtime.shutdown_background();
    ended
}
