//! One file a verb. A verb resolves what it needs, lets another room do the work, and has it rendered.

pub(crate) mod change;
pub(crate) mod check;
mod confirm;
mod deploy;
mod down;
mod env;
mod iam;
pub(crate) mod image;
mod logs;
mod ls;
mod manual;
mod plan;
mod releases;
mod serve;
mod status;
mod template;
mod unit;
mod up;
mod why;

use std::io;

use crate::args::{Cli, Common, Engine, Verb};
use crate::exit::{Exit, Failure};
use crate::render::Printer;
use crate::settings::{self, AwsPlace, Environment, Settings};
use crate::target::{self, Reached};

/// What every verb is given.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) common: Common,
    pub(crate) settings: Settings,
    /// Who asks, as it is written into the ledger.
    pub(crate) who: String,
    /// What the environment says beyond the settings.
    pub(crate) environment: Environment,
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
    let settings = Settings::resolve(&cli.common, environment)
        .map_err(|mistakes| Failure::unsure(mistakes.to_string()).hint(mistakes.advice()))?;
    let context = Context { common: cli.common, settings, who: environment.who(), environment: environment.clone() };
    if context.settings.place.is_local() && context.settings.target != settings::LOCAL {
        // Its name could be that of a place elsewhere.
        printer.heading(&format!("{} · this machine", context.settings.target));
    }
    match cli.verb {
        Verb::Up(args) => Box::pin(up::run(&context, &args, printer)).await,
        Verb::Deploy(args) => Box::pin(deploy::deploy(&context, &args, printer)).await,
        Verb::Rollback(args) => Box::pin(deploy::rollback(&context, &args, printer)).await,
        Verb::Scale(args) => Box::pin(deploy::scale(&context, &args, printer)).await,
        Verb::Releases => looked(releases::run(&context, printer).await),
        Verb::Status(args) => looked(status::run(&context, &args, printer).await),
        Verb::Logs(args) => looked(logs::run(&context, &args, printer).await),
        Verb::Why(args) => looked(why::run(&context, &args, printer).await),
        Verb::Plan(args) => looked(Box::pin(plan::run(&context, &args, printer)).await),
        Verb::Down => Box::pin(down::run(&context, printer)).await,
        Verb::Template => template::run(&context, printer),
        Verb::Iam(args) => iam::run(&context, &args, printer),
        Verb::Ls => looked(Box::pin(ls::run(&context, printer)).await),
        Verb::Check(args) => Box::pin(check::run(&context, &args, printer)).await,
        Verb::Image(image) => Box::pin(image::run(&context, &image, printer)).await,
        Verb::Env(args) => {
            let Reached::Local(local) = context.here("env")?.connect(printer).await? else {
                unreachable!("a local target is reached locally")
            };
            env::run(&args, &local.endpoint, environment.no_proxy.as_deref(), printer)
        }
        Verb::Unit => unit::run(&context.here("unit")?.settings, context.common.config.as_deref(), printer),
        Verb::Serve(_) | Verb::Engine(_) | Verb::Completions { .. } | Verb::Man => {
            unreachable!("run_plain has taken these")
        }
    }
}

impl Context {
    /// The place, reached.
    pub(crate) async fn connect(&self, printer: &mut Printer) -> Result<Reached, Failure> {
        target::reach(&self.settings, &self.common, printer).await
    }

    /// The same, asked by whom the place knows: on AWS that is who the credentials belong to.
    fn asked_by(&self, reached: &Reached) -> Self {
        match reached {
            Reached::Local(_) => self.clone(),
            Reached::Aws(cloud) => self.asked_as(&cloud.session.identity().who),
        }
    }

    /// The same, asked under this name.
    fn asked_as(&self, who: &str) -> Self {
        Self { who: who.to_owned(), ..self.clone() }
    }

    /// Itself, if its target is this machine; `verb` is only for those.
    fn here(&self, verb: &str) -> Result<&Self, Failure> {
        if self.settings.place.is_local() {
            return Ok(self);
        }
        let words = format!("`{verb}` is for targets on this machine, and `{}` is on AWS", self.settings.target);
        Err(Failure::unsure(words).hint(format!("gimmetime {verb} --target local")))
    }

    /// The place on AWS; `verb`, with what it cannot do without, is only for those.
    fn on_aws(&self, verb: &str) -> Result<&AwsPlace, Failure> {
        let settings::Place::Aws(place) = &self.settings.place else {
            let words = format!("`{verb}` is for targets on AWS, and `{}` is on this machine", self.settings.target);
            let (lines, target) = match &self.settings.aws_target {
                Some(target) => (String::new(), target.as_str()),
                None => (settings::three_lines("production", &self.common) + "\n", "production"),
            };
            return Err(Failure::unsure(words).hint(format!("{lines}gimmetime {verb} --target {target}")));
        };
        Ok(place)
    }
}

/// The end of a verb that changes nothing: where it fails it could not tell, whatever runs. Its 1 is a verdict.
fn looked(ended: Result<Exit, Failure>) -> Result<Exit, Failure> {
    ended.map_err(|failure| match failure.exit {
        Exit::Failed => Failure { exit: Exit::Unsure, ..failure },
        _ => failure,
    })
}

/// The end of something that was printed. Whoever read it and left has read enough: that is no failure, and it does not
/// change how the command ends.
pub(crate) fn said(printed: io::Result<()>) -> Result<Exit, Failure> {
    match heard(printed) {
        Err(left) if left.exit == Exit::Done => Ok(Exit::Done),
        heard => heard,
    }
}

/// The same for what has no end of its own: it ends, well, once nobody reads on.
pub(crate) fn heard(printed: io::Result<()>) -> Result<Exit, Failure> {
    match printed {
        Ok(()) => Ok(Exit::Done),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            Err(Failure { exit: Exit::Done, words: String::new(), hint: None })
        }
        Err(error) => Err(Failure::unsure(format!("could not write to standard output: {error}"))),
    }
}
