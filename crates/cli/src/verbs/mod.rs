//! One file a verb. A verb resolves what it needs, lets another room do the work, and has it rendered.

pub(crate) mod change;
pub(crate) mod check;
mod deploy;
mod down;
mod env;
pub(crate) mod image;
mod logs;
mod ls;
mod manual;
mod releases;
mod serve;
mod status;
mod unit;
mod up;
mod why;

use std::io;

use crate::args::{Cli, Common, Engine, Verb};
use crate::exit::{Exit, Failure};
use crate::render::Printer;
use crate::settings::{Environment, Settings};
use crate::target;

/// What every verb is given.
pub(crate) struct Context {
    pub(crate) common: Common,
    pub(crate) settings: Settings,
    /// Who asks, as it is written into the ledger.
    pub(crate) who: String,
}

/// Verbs that need no settings and no async runtime: processes of their own, and what is printed as it is.
pub(crate) fn run_plain(verb: &Verb, printer: &mut Printer) -> Option<Result<Exit, Failure>> {
    let ended = |result: Result<(), gimmetime_engine::EngineError>| match result {
        Ok(()) => Ok(Exit::Done),
        Err(error) => Err(Failure::failed(error.to_string())),
    };
    Some(match verb {
        Verb::Serve(args) => serve::run(args),
        Verb::Engine(Engine::Supervise { home }) => ended(gimmetime_engine::supervise(home)),
        Verb::Engine(Engine::Balance { home }) => ended(gimmetime_engine::balance(home)),
        Verb::Completions { shell } => manual::completions(*shell, printer),
        Verb::Man => manual::man(printer),
        Verb::Env(args) if args.unset => env::unset(printer),
        _ => return None,
    })
}

/// All other verbs.
pub(crate) async fn run(cli: Cli, environment: &Environment, printer: &mut Printer) -> Result<Exit, Failure> {
    let settings = Settings::resolve(&cli.common, environment).map_err(|mistakes| {
        let hint = "gimmetime.toml is described in the README; without a file every setting has a default";
        Failure::unsure(mistakes.to_string()).hint(hint)
    })?;
    let context = Context { common: cli.common, settings, who: environment.who() };
    match cli.verb {
        Verb::Up(args) => Box::pin(up::run(&context, &args, printer)).await,
        Verb::Deploy(args) => Box::pin(deploy::deploy(&context, &args, printer)).await,
        Verb::Rollback(args) => Box::pin(deploy::rollback(&context, &args, printer)).await,
        Verb::Scale(args) => Box::pin(deploy::scale(&context, &args, printer)).await,
        Verb::Releases => releases::run(&context, printer).await,
        Verb::Status(args) => status::run(&context, &args, printer).await,
        Verb::Logs(args) => logs::run(&context, &args, printer).await,
        Verb::Why(args) => why::run(&context, &args, printer).await,
        Verb::Down => down::run(&context, printer).await,
        Verb::Ls => ls::run(&context, printer),
        Verb::Check(args) => check::run(&args, context.common.timeout, default_url(&context), printer).await,
        Verb::Image(image) => image::run(&context, &image, environment, printer).await,
        Verb::Env(args) => {
            let local = context.connect(printer).await?;
            env::run(&args, &local.endpoint, environment.no_proxy.as_deref(), printer)
        }
        Verb::Unit => unit::run(&context.settings, context.common.config.as_deref(), printer),
        Verb::Serve(_) | Verb::Engine(_) | Verb::Completions { .. } | Verb::Man => {
            unreachable!("run_plain has taken these")
        }
    }
}

impl Context {
    /// The running engine.
    pub(crate) async fn connect(&self, printer: &mut Printer) -> Result<target::Local, Failure> {
        target::connect(&self.settings, self.common.timeout, printer).await
    }
}

/// Where the time is asked of a service that runs here.
fn default_url(context: &Context) -> Option<String> {
    match target::home(&context.settings).presence() {
        Ok(gimmetime_engine::Presence::Running(endpoint)) => {
            Some(format!("http://{}{}", target::reachable(endpoint.listen), context.settings.service.probe))
        }
        _ => None,
    }
}

/// The end of something that was printed. Whoever read it and left has read enough: that is no failure.
pub(crate) fn said(printed: io::Result<()>) -> Result<Exit, Failure> {
    match printed {
        Ok(()) => Ok(Exit::Done),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            Err(Failure { exit: Exit::Done, words: String::new(), hint: None })
        }
        Err(error) => Err(Failure::unsure(format!("could not write to standard output: {error}"))),
    }
}
