//! What may be typed. Nothing is resolved here: a flag that was not given stays `None`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use gimmetime_check::ConnectTo;
use gimmetime_image::Reference;

use crate::settings::{parse_duration, parse_github_provider, parse_region};
pub(crate) use crate::verbs::image::args::Image;

/// The time, highly available: serves it, proves how right it is, and runs itself.
#[derive(Debug, Parser)]
#[command(
    name = "gimmetime",
    version,
    max_term_width = 100,
    disable_help_flag = true,
    after_help = "Exit codes: 0 done, serving · 1 it failed and the old release serves, requests failed on the way, or a \
                  verdict is bad · 2 usage, detached, or could not tell · 3 it failed and the service is not healthy.\n\
                  Settings: flag over environment (GIMMETIME_TARGET, GIMMETIME_LISTEN, …) over ./gimmetime.toml over default; \
                  none is needed."
)]
pub(crate) struct Cli {
    /// Flags that every verb knows.
    #[command(flatten)]
    pub(crate) common: Common,
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Flags that every verb knows.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Common options")]
pub(crate) struct Common {
    /// Where it runs: a table [targets.NAME] of the settings file [default: local]
    #[arg(long, global = true, env = "GIMMETIME_TARGET", hide_env = true, value_name = "NAME")]
    pub(crate) target: Option<String>,
    /// Name of the cluster, the service and the load balancer [default: gimmetime]
    #[arg(long, global = true, env = "GIMMETIME_NAME", hide_env = true, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Settings file [default: ./gimmetime.toml, if it is there]
    #[arg(long, global = true, env = "GIMMETIME_CONFIG", hide_env = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// State folder of local engines
    #[arg(
        long,
        global = true,
        env = "GIMMETIME_STATE",
        hide_env = true,
        value_name = "DIR",
        help = "State folder of local engines [default: $XDG_STATE_HOME/gimmetime]"
    )]
    pub(crate) state: Option<PathBuf>,
    /// AWS region [default: the target's, else the profile's]
    #[arg(long, global = true, env = "GIMMETIME_REGION", hide_env = true, value_name = "REGION", value_parser = parse_region)]
    pub(crate) region: Option<String>,
    /// Profile of the AWS configuration files [default: the target's, else `$AWS_PROFILE`]
    #[arg(
        long,
        global = true,
        env = "GIMMETIME_PROFILE",
        hide_env = true,
        value_name = "NAME",
        help = "Profile of the AWS configuration files [default: the target's, else $AWS_PROFILE]"
    )]
    pub(crate) profile: Option<String>,
    /// Connect here instead of to the address that is asked, as curl has it
    #[arg(long, global = true, env = "GIMMETIME_CONNECT_TO", hide_env = true, value_name = "HOST:PORT")]
    pub(crate) connect_to: Option<ConnectTo>,
    /// Where images are pushed to and pulled from [default: the repository of the place]
    #[arg(long, global = true, env = "GIMMETIME_REGISTRY", hide_env = true, value_name = "HOST/NAME", value_parser = parse_repository)]
    pub(crate) registry: Option<Reference>,
    /// Do not ask: yes to what a terminal would be asked
    #[arg(long, short = 'y', global = true)]
    pub(crate) yes: bool,
    /// Give up waiting after this long, as 90s or 5m; what was started goes on [default: 10m; on AWS 30m for tasks, 1h for the stack]
    #[arg(long, global = true, env = "GIMMETIME_TIMEOUT", hide_env = true, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) timeout: Option<Duration>,
    /// Start the change and return without waiting for it
    #[arg(long, global = true)]
    pub(crate) detach: bool,
    /// Say more: every line of evidence, every phase
    #[arg(long, short = 'v', global = true)]
    pub(crate) verbose: bool,
    /// What standard output bears
    #[arg(long, short = 'o', global = true, env = "GIMMETIME_OUTPUT", hide_env = true, value_name = "FORMAT")]
    pub(crate) output: Option<Output>,
    /// No colours (`NO_COLOR` does the same)
    #[arg(long, global = true, help = "No colours (NO_COLOR does the same)")]
    pub(crate) no_color: bool,
    /// Print help
    #[arg(long, short = 'h', global = true, action = clap::ArgAction::HelpShort)]
    pub(crate) help: Option<bool>,
}

/// `-o`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// One JSON object, for programs.
    Json,
}

/// The verbs. `up` changes the place; `deploy` changes what runs in it.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Make the place and start the service, or bring both up to the settings
    Up(Up),
    /// Say what `up` would change and cost; changes nothing
    Plan(Plan),
    /// Roll out a new release, make-before-break; a failing one is rolled back and explained
    Deploy(Deploy),
    /// Return to an earlier release
    Rollback(Rollback),
    /// List the releases
    Releases,
    /// Run N tasks
    Scale(Scale),
    /// Show tasks, health, clocks, and what the scheduler waits for
    Status(Status),
    /// Show the output of all tasks, merged in time order
    Logs(Logs),
    /// Say what is wrong now, else what failed last: cause, evidence, and one command that mends it
    Why(Why),
    /// Remove everything; on AWS its name must be typed, or given with --yes
    Down,
    /// List every service in reach of this target
    Ls,
    /// Certify the clock of a time service, each backend by itself
    Check(Check),
    /// Build, list, push, verify and save images
    #[command(subcommand)]
    Image(Image),
    /// Print the whole place and the service as one CloudFormation template, to leave with
    Template,
    /// Print the policies that the verbs need on AWS
    #[command(subcommand)]
    Iam(Iam),
    /// Serve the time in the foreground: one task, no balancer
    Serve(Serve),
    /// Run a command with the AWS CLI and SDKs pointed at the local engine
    Env(Env),
    /// Print a systemd unit that brings this service up at boot
    Unit,
    /// Print a completion script
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
    /// The engine's own processes
    #[command(subcommand, hide = true)]
    Engine(Engine),
}

/// `up`
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Up {
    /// Where clients connect [default: 127.0.0.1:8080]
    #[arg(long, env = "GIMMETIME_LISTEN", hide_env = true, value_name = "ADDR", value_parser = parse_address)]
    pub(crate) listen: Option<SocketAddr>,
    /// How many tasks; what is not said stays as it is [default: 2 at the first start]
    #[arg(long, env = "GIMMETIME_COUNT", hide_env = true, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=200))]
    pub(crate) count: Option<u32>,
    /// What runs: builtin, a path to a static executable, or on AWS an image HOST/REPOSITORY:TAG [default: builtin]
    #[arg(long, env = "GIMMETIME_IMAGE", hide_env = true, value_name = "IMAGE")]
    pub(crate) image: Option<String>,
    /// Stay, and take everything down on SIGTERM: for those who supervise it themselves
    #[arg(long)]
    pub(crate) foreground: bool,
    /// Whether it is tried first
    #[command(flatten)]
    pub(crate) smoke: Smoke,
    /// What to do when somebody else's rollout is in progress
    #[command(flatten)]
    pub(crate) busy: Busy,
}

/// `plan`
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Plan {
    /// End with 1 if anything would change, or was changed behind CloudFormation's back
    #[arg(long)]
    pub(crate) exit_code: bool,
}

/// `iam`
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub(crate) enum Iam {
    /// For plan, up and down
    Up,
    /// For deploy, rollback and scale
    Deploy,
    /// For status, logs, why, releases, ls and image ls
    Read,
    /// A role that GitHub Actions may assume for `deploy`, as a CloudFormation template
    Github {
        /// The repository whose workflows may assume it
        #[arg(value_name = "OWNER/NAME")]
        repository: String,
        /// The branch that they run on
        #[arg(long, value_name = "BRANCH", default_value = "main")]
        branch: String,
        /// The account's provider for GitHub's tokens, if it has one: an account can have only one [default: made with the role]
        #[arg(long = "provider-arn", value_name = "ARN", value_parser = parse_github_provider)]
        provider: Option<String>,
    },
}

/// What to do when somebody else's rollout is in progress. Without a terminal and without a choice: exit 2.
#[derive(Debug, Clone, Default, Args)]
#[group(multiple = false)]
pub(crate) struct Busy {
    /// If a rollout is in progress, follow that one instead
    #[arg(long)]
    pub(crate) attach: bool,
    /// If a rollout is in progress, wait for its end, then begin
    #[arg(long)]
    pub(crate) wait: bool,
}

/// Whether what was built here is started here once, before it goes to AWS.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Smoke {
    /// On AWS: do not start the program here first to see that it listens, is healthy and leaves
    #[arg(long)]
    pub(crate) no_smoke: bool,
}

/// `deploy`
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Deploy {
    /// What runs: builtin, a path to a static executable, a digest that is there, or on AWS an image HOST/REPOSITORY:TAG
    /// [default: the settings' image]
    #[arg(value_name = "IMAGE")]
    pub(crate) image: Option<String>,
    /// Roll out even if nothing changed
    #[arg(long)]
    pub(crate) force: bool,
    /// Whether it is tried first
    #[command(flatten)]
    pub(crate) smoke: Smoke,
    /// What to do when somebody else's rollout is in progress
    #[command(flatten)]
    pub(crate) busy: Busy,
}

/// `rollback`
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Rollback {
    /// To which release, as 12 or r12 [default: the last successful one before the one that serves]
    #[arg(value_name = "RELEASE", value_parser = parse_release)]
    pub(crate) release: Option<u32>,
    /// What to do when somebody else's rollout is in progress
    #[command(flatten)]
    pub(crate) busy: Busy,
}

/// `scale`
#[derive(Debug, Clone, Args)]
pub(crate) struct Scale {
    /// How many tasks should run
    #[arg(value_name = "N", value_parser = clap::value_parser!(u32).range(0..=200))]
    pub(crate) count: u32,
    /// What to do when somebody else's rollout is in progress
    #[command(flatten)]
    pub(crate) busy: Busy,
}

/// `status`
#[derive(Debug, Clone, Args)]
pub(crate) struct Status {
    /// Show it again and again until interrupted
    #[arg(long, short = 'w')]
    pub(crate) watch: bool,
}

/// `logs`
#[derive(Debug, Clone, Args)]
pub(crate) struct Logs {
    /// Go on as lines come
    #[arg(long, short = 'f')]
    pub(crate) follow: bool,
    /// Only lines younger than this, as 90s, 10m or 2h [default: the last 100 lines]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) since: Option<Duration>,
    /// Only this task, by the first digits of its id
    #[arg(long, value_name = "ID")]
    pub(crate) task: Option<String>,
}

/// `why`
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Why {
    /// Of which release, as 12 or r12 [default: what is wrong now, else the last failure]
    #[arg(value_name = "RELEASE", value_parser = parse_release)]
    pub(crate) release: Option<u32>,
    /// Near which moment, as 03:07 or 2026-11-22T03:07:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,
}

/// `check`
#[derive(Debug, Clone, Args)]
pub(crate) struct Check {
    /// What to check; an empty path means /now [default: the target's own]
    pub(crate) url: Option<String>,
    /// How far off a clock may be, as 1s or 250ms
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    pub(crate) limit: Duration,
    /// Speak as the original health-check did: `Time difference is N`, then ok or notok
    #[arg(long)]
    pub(crate) compat: bool,
}

/// `serve`
#[derive(Debug, Clone, Args)]
pub(crate) struct Serve {
    /// Where to listen [default: $HOST:$PORT, or 0.0.0.0:8080]
    #[arg(long, value_name = "ADDR", value_parser = parse_address)]
    pub(crate) listen: Option<SocketAddr>,
    /// Threads, one epoll loop each
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) threads: Option<u16>,
}

/// `env`
#[derive(Debug, Clone, Args)]
pub(crate) struct Env {
    /// Print what undoes the exports
    #[arg(long, conflicts_with = "command")]
    pub(crate) unset: bool,
    /// The command and its arguments; without one, exports are printed
    #[arg(last = true, value_name = "CMD")]
    pub(crate) command: Vec<std::ffi::OsString>,
}

/// `engine`
#[derive(Debug, Subcommand)]
pub(crate) enum Engine {
    /// The supervisor: tasks, logs, journal, API
    Supervise {
        /// Its state folder
        #[arg(long)]
        home: PathBuf,
    },
    /// The data plane
    Balance {
        /// Its state folder
        #[arg(long)]
        home: PathBuf,
    },
}

/// Reads a registry's host and a repository in it, without tag and digest.
fn parse_repository(text: &str) -> Result<Reference, String> {
    let reference: Reference = text.parse().map_err(|error| format!("{error}"))?;
    match (&reference.tag, &reference.digest) {
        (None, None) => Ok(reference),
        _ => Err(format!("expected a repository without a tag or digest, but found `{text}`")),
    }
}

/// Reads an address and a port.
fn parse_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("expected an address as 127.0.0.1:8080, but found `{text}`"))
}

/// Reads a release as `12` or `r12`.
fn parse_release(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix('r').unwrap_or(text);
    match digits.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("expected a release as 12 or r12 (see `gimmetime releases`)".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_of_the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_repository_has_a_host_and_no_tag() {
        assert!(parse_repository("127.0.0.1:4566/time").is_ok());
        for wrong in ["time", "127.0.0.1:4566/time:1", "127.0.0.1:4566/Time"] {
            assert!(parse_repository(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_release_is_a_positive_number_with_or_without_r() {
        assert_eq!(parse_release("r12"), Ok(12));
        assert_eq!(parse_release("3"), Ok(3));
        assert!(parse_release("r0").is_err());
        assert!(parse_release("latest").is_err());
    }
}
