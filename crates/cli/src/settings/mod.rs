//! What the verbs work by: flag over environment over file over default, resolved once.
//!
//! `reader` walks the file and collects everything that is wrong; `file` knows which keys there are; this page makes
//! one resolved value of what was typed and what was written. Nothing past here looks at either again.

mod file;
mod reader;
mod registry;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::args::Common;

pub(crate) use file::{File, ServiceFile, TargetFile};
pub(crate) use reader::{Mistake, Mistakes};
pub(crate) use registry::RegistryEnvironment;

/// The settings file that is read when none is named.
const DEFAULT_FILE: &str = "gimmetime.toml";

/// Everything a verb needs to know of what was wanted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    /// Names the cluster, the service, the load balancer and the state folder.
    pub(crate) name: String,
    /// The target's name.
    pub(crate) target: String,
    /// The folder that holds one state folder for each name.
    pub(crate) state_root: PathBuf,
    /// What runs.
    pub(crate) service: Service,
    /// Where clients connect, if it was said.
    pub(crate) listen: Option<SocketAddr>,
    /// How many tasks, if it was said.
    pub(crate) count: Option<u32>,
}

/// `[service]`, resolved. Any change here is a release.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Service {
    /// `builtin`, or a path to a static executable.
    pub(crate) image: ImageSource,
    /// Arguments that replace the image's.
    pub(crate) command: Option<Vec<String>>,
    /// The port that is handed to the task as `$PORT` where a task has an address of its own.
    pub(crate) port: u16,
    /// The path that the balancer asks for health.
    pub(crate) health: String,
    /// The path that is asked during every rollout.
    pub(crate) probe: String,
    /// CPU in ECS units (1024 = one vCPU).
    pub(crate) cpu: u32,
    /// Memory in MiB.
    pub(crate) memory: u32,
    /// Plain environment variables.
    pub(crate) env: BTreeMap<String, String>,
    /// Variables whose values are fetched at start: only the reference is kept.
    pub(crate) secrets: BTreeMap<String, String>,
    /// How it rolls.
    pub(crate) rollout: Rollout,
}

/// What a release is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ImageSource {
    /// The time service embedded in this program.
    Builtin,
    /// A static executable on this machine.
    Path(PathBuf),
    /// An image that the engine's store already has, by digest.
    Digest(String),
}

/// `rollout`, resolved.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rollout {
    /// Lower limit of healthy tasks, percent.
    pub(crate) min_healthy_percent: u32,
    /// Upper limit of tasks, percent.
    pub(crate) max_percent: u32,
    /// Failures of the new release after which it is rolled back.
    pub(crate) failures: u32,
    /// How long SIGTERM may take.
    pub(crate) stop_timeout: Duration,
    /// Probes a second while it rolls.
    pub(crate) probe_rate: f64,
}

impl ImageSource {
    /// Reads `builtin`, `sha256:…`, or a path.
    pub(crate) fn parse(text: &str) -> Self {
        match text {
            "builtin" => Self::Builtin,
            digest if digest.starts_with("sha256:") => Self::Digest(digest.to_owned()),
            path => Self::Path(PathBuf::from(path)),
        }
    }
}

impl Settings {
    /// Reads the file, if there is one, and resolves it with what was typed.
    pub(crate) fn resolve(common: &Common, environment: &Environment) -> Result<Self, Mistakes> {
        let path = common.config.clone().or_else(|| Path::new(DEFAULT_FILE).exists().then(|| DEFAULT_FILE.into()));
        let file = match &path {
            Some(path) => File::read(path)?,
            None => File::default(),
        };
        Self::merge(common, environment, file, path.as_deref())
    }

    /// Resolves a file that was read. `path` is only for messages.
    fn merge(common: &Common, environment: &Environment, file: File, path: Option<&Path>) -> Result<Self, Mistakes> {
        let mut mistakes = Mistakes::of(path);
        let name = common.name.clone().or(file.name).unwrap_or_else(|| "gimmetime".to_owned());
        if let Err(why) = check_name(&name) {
            mistakes.add(Mistake::plain(format!("name `{name}` {why}")));
        }
        let target = common.target.clone().or(file.target).unwrap_or_else(|| "local".to_owned());
        let known: Vec<&str> = file.targets.keys().map(String::as_str).chain(["local"]).collect();
        let place = match file.targets.get(&target) {
            Some(place) => place.clone(),
            None if target == "local" => TargetFile::default(),
            None => {
                mistakes.add(Mistake::unknown("target", &target, &known));
                TargetFile::default()
            }
        };
        if place.is_aws {
            let words = format!("target `{target}` is on AWS, which this version does not reach yet");
            mistakes.add(Mistake::plain(words).hint("take a target without `aws`, for example --target local"));
        }
        let state_root = common.state.clone().or_else(|| environment.state_root());
        if state_root.is_none() {
            let words = "no state folder: neither --state nor XDG_STATE_HOME nor HOME is set";
            mistakes.add(Mistake::plain(words.to_owned()).hint("pass --state DIR"));
        }
        mistakes.into_result()?;
        Ok(Self {
            name,
            target,
            state_root: state_root.expect("its absence was a mistake"),
            service: resolve_service(file.service),
            listen: place.listen.or(file.top.listen),
            count: place.count.or(file.top.count),
        })
    }
}

/// Puts the defaults where the file is silent.
fn resolve_service(file: ServiceFile) -> Service {
    let (cpu, memory) = (file.cpu.unwrap_or(256), file.memory.unwrap_or(512));
    Service {
        image: file.image.map_or(ImageSource::Builtin, |image| ImageSource::parse(&image)),
        command: file.command,
        port: file.port.unwrap_or(8080),
        health: file.health.unwrap_or_else(|| "/live".to_owned()),
        probe: file.probe.unwrap_or_else(|| "/now".to_owned()),
        cpu,
        memory,
        env: file.env,
        secrets: file.secrets,
        rollout: Rollout {
            min_healthy_percent: file.min_healthy_percent.unwrap_or(100),
            max_percent: file.max_percent.unwrap_or(200),
            failures: file.failures.unwrap_or(2),
            stop_timeout: file.stop_timeout.unwrap_or(Duration::from_secs(5)),
            probe_rate: file.probe_rate.unwrap_or(50.0),
        },
    }
}

/// What the environment says beyond the flags' own variables.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    /// `$XDG_STATE_HOME`
    pub(crate) xdg_state_home: Option<PathBuf>,
    /// `$HOME`
    pub(crate) home: Option<PathBuf>,
    /// `$NO_COLOR` is set and not empty (no-color.org).
    pub(crate) no_color: bool,
    /// `$TERM` is `dumb`, or there is none.
    pub(crate) dumb_terminal: bool,
    /// `$NO_PROXY`, else `$no_proxy`.
    pub(crate) no_proxy: Option<String>,
    /// What it says about registries.
    pub(crate) registry: RegistryEnvironment,
    /// `$SUDO_USER`, else `$USER`, else `$LOGNAME`.
    user: Option<String>,
}

impl Environment {
    /// Reads it: the one place that does.
    #[expect(clippy::disallowed_methods, reason = "settings are resolved here")]
    pub(crate) fn read() -> Self {
        let path = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let text = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            xdg_state_home: path("XDG_STATE_HOME"),
            home: path("HOME"),
            no_color: text("NO_COLOR").is_some(),
            dumb_terminal: text("TERM").is_none_or(|term| term == "dumb"),
            no_proxy: ["NO_PROXY", "no_proxy"].into_iter().find_map(text),
            registry: RegistryEnvironment::read(),
            user: ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(text),
        }
    }

    /// Who asks: the login name, else the user's number.
    pub(crate) fn who(&self) -> String {
        let number = || {
            if rustix::process::getuid().is_root() {
                "root".to_owned()
            } else {
                format!("uid {}", rustix::process::getuid().as_raw())
            }
        };
        self.user.clone().unwrap_or_else(number)
    }

    /// `$XDG_STATE_HOME/gimmetime`, else `~/.local/state/gimmetime` (XDG Base Directory Specification).
    fn state_root(&self) -> Option<PathBuf> {
        let base = self.xdg_state_home.clone().or_else(|| Some(self.home.as_ref()?.join(".local/state")))?;
        Some(base.join("gimmetime"))
    }
}

/// Whether a name suits all that it will name: a load balancer's is the narrowest (32 characters).
pub(crate) fn check_name(name: &str) -> Result<(), &'static str> {
    let fits = (1..=32).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !fits {
        return Err("must have 1 to 32 letters, digits and hyphens, as a load balancer's name");
    }
    if !name.starts_with(|first: char| first.is_ascii_alphabetic())
        || name.ends_with('-')
        || name.starts_with("internal-")
    {
        return Err("must begin with a letter but not with `internal-`, and not end with a hyphen");
    }
    Ok(())
}

/// Reads a duration as `250ms`, `90s`, `10m`, `2h`, `3d`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "ms" => return number.parse().map(Duration::from_millis).map_err(|_| wrong_duration(text)),
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86400,
        _ => return Err(wrong_duration(text)),
    };
    let number: u64 = number.parse().map_err(|_| wrong_duration(text))?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(|| wrong_duration(text))
}

fn wrong_duration(text: &str) -> String {
    format!("expected a time as 250ms, 90s, 10m, 2h or 3d, but found `{text}`")
}
