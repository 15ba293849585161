//! What the verbs work by: flag over environment over file over default, resolved once.
//!
//! `reader` walks the file and collects everything that is wrong; `file` and `target_file` know which keys there are;
//! `place` says where it runs; this page makes one resolved value of what was typed and what was written. Nothing past
//! here looks at either again.

mod environment;
mod file;
mod place;
mod reader;
mod registry;
mod target_file;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gimmetime_aws::limits::fargate_size;
use gimmetime_image::Reference;

use crate::args::Common;

pub(crate) use environment::Environment;
pub(crate) use file::{File, ServiceFile};
pub(crate) use place::{AwsPlace, Place};
pub(crate) use reader::{Mistake, Mistakes};
pub(crate) use registry::RegistryEnvironment;
pub(crate) use target_file::{LOCAL, github_provider as parse_github_provider, region as parse_region};

use place::check_aws_name;

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
    /// How many tasks, if it was said.
    pub(crate) count: Option<u32>,
    /// Where it runs.
    pub(crate) place: Place,
    /// A target on AWS that the file has, for whoever meant one.
    pub(crate) aws_target: Option<String>,
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
    /// An image that is there already, by digest: in the engine's store, or in the place's repository.
    Digest(String),
    /// An image in a registry, `host/repository:tag` or `host/repository@sha256:…`.
    Reference(Reference),
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
    /// Reads `builtin`, `sha256:…`, `host/repository:tag`, or a path. A path that looks like a reference begins with `./`.
    pub(crate) fn parse(text: &str) -> Self {
        match text {
            "builtin" => Self::Builtin,
            digest if digest.starts_with("sha256:") => Self::Digest(digest.to_owned()),
            path if path.starts_with(['.', '/']) => Self::Path(PathBuf::from(path)),
            text => text.parse().map_or_else(|_| Self::Path(PathBuf::from(text)), Self::Reference),
        }
    }
}

impl fmt::Display for ImageSource {
    /// As it is written in the settings.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin => f.write_str("builtin"),
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Digest(digest) => f.write_str(digest),
            Self::Reference(reference) => write!(f, "{reference}"),
        }
    }
}

impl Settings {
    /// Reads the file, if there is one, and resolves it with what was typed.
    pub(crate) fn resolve(common: &Common, environment: &Environment) -> Result<Self, Mistakes> {
        let path = common.config.clone().or_else(|| Path::new(DEFAULT_FILE).exists().then(|| DEFAULT_FILE.into()));
        let (file, mistakes) = match &path {
            Some(path) => File::read(path)?,
            None => (File::default(), Mistakes::of(None)),
        };
        let mut mistakes = mistakes;
        if let (None, Some(target)) = (&path, &common.target)
            && target != LOCAL
        {
            let words = format!("unknown target `{target}`: there is no {DEFAULT_FILE} here that says where it is");
            mistakes.add(Mistake::plain(words));
            mistakes.advise(three_lines(target, common));
            return Err(mistakes);
        }
        Self::merge(common, environment, file, mistakes)
    }

    /// Resolves a file that was read, together with what was wrong in it.
    fn merge(common: &Common, environment: &Environment, file: File, mut mistakes: Mistakes) -> Result<Self, Mistakes> {
        let name = common.name.clone().or(file.name).unwrap_or_else(|| "gimmetime".to_owned());
        if let Err(why) = check_name(&name) {
            mistakes.add(Mistake::plain(format!("name `{name}` {why}")));
        }
        let target = common.target.clone().or(file.target).unwrap_or_else(|| LOCAL.to_owned());
        let known: Vec<&str> = file.targets.keys().map(String::as_str).chain([LOCAL]).collect();
        let own = file.targets.get(&target).cloned();
        if own.is_none() && target != LOCAL {
            mistakes.add(Mistake::unknown("target", &target, &known));
        }
        let aws_target = file.targets.iter().find(|(_, target)| target.aws.is_some()).map(|(name, _)| name.clone());
        let place = own.unwrap_or_default().over(&target, file.top);
        let count = place.count;
        let place = Place::resolve(place, common, environment);
        if !place.is_local() {
            check_aws_name(&name, &mut mistakes);
            check_aws_service(&file.service, &mut mistakes);
        }
        let state_root = common.state.clone().or_else(|| environment.state_root());
        if state_root.is_none() {
            let words = "no state folder: neither --state nor XDG_STATE_HOME nor HOME is set";
            mistakes.add(Mistake::plain(words).hint("pass --state DIR"));
        }
        mistakes.into_result()?;
        Ok(Self {
            name,
            target,
            state_root: state_root.expect("its absence was a mistake"),
            service: resolve_service(file.service, place.is_local()),
            count,
            place,
            aws_target,
        })
    }
}

/// What to write where there is no file yet, or no target on AWS in it.
pub(crate) fn three_lines(target: &str, common: &Common) -> String {
    let region = common.region.as_deref().unwrap_or("eu-west-1");
    let profile = common.profile.as_ref().map_or_else(String::new, |profile| format!(", profile = \"{profile}\""));
    format!(
        "write these three lines into {DEFAULT_FILE}:\n  [targets.{target}]\n  \
         aws = {{ account = \"123456789012\", region = \"{region}\"{profile} }}   # your account: nothing else is touched\n  \
         count = 2"
    )
}

/// What a service on AWS cannot be, though one on this machine can.
fn check_aws_service(service: &ServiceFile, mistakes: &mut Mistakes) {
    let (cpu, memory) = service.size();
    if let Err(why) = fargate_size(cpu, memory) {
        mistakes.add(Mistake::plain(format!("`service.size`: {why}")).at(service.size_line));
    }
    for secret in service.secrets.iter().filter(|secret| secret.value.starts_with("file:")) {
        let words = format!("secret `{}` is a file of this machine, which no task on AWS can read", secret.name);
        mistakes.add(Mistake::plain(words).at(secret.line).hint("ssm:NAME or secretsmanager:NAME"));
    }
}

impl ServiceFile {
    /// CPU units and MiB, with their defaults.
    fn size(&self) -> (u32, u32) {
        (self.cpu.unwrap_or(256), self.memory.unwrap_or(512))
    }
}

/// Puts the defaults where the file is silent. Here a process ends at once and a probe costs nothing; on AWS clients are
/// far away, and too many probes from one address look like an attack.
fn resolve_service(file: ServiceFile, is_local: bool) -> Service {
    let (cpu, memory) = file.size();
    let (stop_timeout, probe_rate) = if is_local { (5, 50.0) } else { (30, 5.0) };
    Service {
        image: file.image.map_or(ImageSource::Builtin, |image| ImageSource::parse(&image)),
        command: file.command,
        port: file.port.unwrap_or(8080),
        health: file.health.unwrap_or_else(|| "/live".to_owned()),
        probe: file.probe.unwrap_or_else(|| "/now".to_owned()),
        cpu,
        memory,
        env: file.env,
        secrets: file.secrets.into_iter().map(|secret| (secret.name, secret.value)).collect(),
        rollout: Rollout {
            min_healthy_percent: file.min_healthy_percent.unwrap_or(100),
            max_percent: file.max_percent.unwrap_or(200),
            failures: file.failures.unwrap_or(2),
            stop_timeout: file.stop_timeout.unwrap_or(Duration::from_secs(stop_timeout)),
            probe_rate: file.probe_rate.unwrap_or(probe_rate),
        },
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
