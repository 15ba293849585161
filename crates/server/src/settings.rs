//! What was asked for, resolved once: arguments over environment over defaults.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// What `--help` says.
pub const USAGE: &str = "\
Serves the current time over HTTP.

usage: gimmetime-server [--listen ADDR] [--threads N]

  --listen ADDR   address and port to listen on, such as 127.0.0.1:8080 or [::]:8080
                  (default: $HOST:$PORT, or 0.0.0.0:8080 where they are not set)
  --threads N     event loops, 1 to 256 (default 1)
  --version       says which version this is
  --help          says this

GET /now answers Unix seconds in ten digits, /live that it serves, /health whether its clock is proved wrong.
SIGTERM and SIGINT: it answers what is in flight and leaves.";

const DEFAULT_PORT: u16 = 8080;
const MAX_THREADS: usize = 256;
/// Hex digits in an instance id.
const INSTANCE_DIGITS: usize = 12;

/// Everything a server needs to know. Nothing is looked up later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where to listen. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Event loops, at least one.
    pub threads: usize,
    /// Who this is: visible ASCII, sent with every reply.
    pub instance: String,
    /// What a client may use up.
    pub limits: Limits,
}

/// What clients may use up. The limits on bytes are fixed, beside the parser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections, over all threads.
    pub connections: usize,
    /// From the first byte of a request to its last.
    pub request: Duration,
    /// Between two requests, and before the first: longer than the 60 s of a load balancer, which must be the one that closes.
    pub idle: Duration,
    /// While a client takes nothing of its reply.
    pub write: Duration,
    /// While a client has not closed after we did.
    pub linger: Duration,
    /// From the signal to leave until what is still in flight is cut off.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 8192,
            request: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            write: Duration::from_secs(30),
            linger: Duration::from_secs(1),
            drain: Duration::from_secs(10),
        }
    }
}

/// Why there are no settings.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// An argument nobody knows.
    #[error("unknown argument `{0}`")]
    Unknown(String),
    /// An argument that needs one more word.
    #[error("`{0}` needs a value after it")]
    NoValue(&'static str),
    /// An address that is none. Names are not looked up.
    #[error("`--listen {0}` is no address and port, expected one like `127.0.0.1:8080` or `[::]:8080`")]
    Listen(String),
    /// A number of threads out of range.
    #[error("`--threads {0}` is no number from 1 to 256")]
    Threads(String),
    /// A port that is none.
    #[error("the environment says PORT=`{0}`, expected a number from 0 to 65535")]
    Port(String),
    /// The system gives no random bytes for an instance id.
    #[error("cannot make an instance id: {0}")]
    Randomness(getrandom::Error),
}

/// The settings that `args` (without the program's name) and the environment ask for.
///
/// `env` gives the value of a variable: `PORT` and `HOST`, unless `--listen` is there, and
/// `ECS_CONTAINER_METADATA_URI_V4`, whose last path segment begins with the task's id, and thus with the instance's.
pub fn settings_from(
    args: impl IntoIterator<Item = String>,
    env: impl Fn(&str) -> Option<String>,
) -> Result<Settings, SettingsError> {
    let (mut listen, mut threads) = (None, None);
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let (name, joined) = match arg.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (arg.as_str(), None),
        };
        match name {
            "--listen" => listen = Some(joined.or_else(|| args.next()).ok_or(SettingsError::NoValue("--listen"))?),
            "--threads" => threads = Some(joined.or_else(|| args.next()).ok_or(SettingsError::NoValue("--threads"))?),
            _ => return Err(SettingsError::Unknown(arg)),
        }
    }
    Ok(Settings {
        listen: address(listen, env("HOST"), env("PORT"))?,
        threads: threads.map_or(Ok(1), thread_count)?,
        instance: instance(env("ECS_CONTAINER_METADATA_URI_V4").as_deref())?,
        limits: Limits::default(),
    })
}

/// The environment of this process, for [`settings_from`].
#[expect(clippy::disallowed_methods, reason = "settings are resolved here")]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// `$HOST` is the custom of those who hand out `$PORT`; some shells put a name there, which is then no address for us.
fn address(listen: Option<String>, host: Option<String>, port: Option<String>) -> Result<SocketAddr, SettingsError> {
    if let Some(listen) = listen {
        return listen.parse().map_err(|_| SettingsError::Listen(listen));
    }
    let port = match port {
        None => DEFAULT_PORT,
        Some(port) => port.parse().map_err(|_| SettingsError::Port(port))?,
    };
    let host = host.and_then(|host| host.parse().ok()).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    Ok((host, port).into())
}

fn thread_count(typed: String) -> Result<usize, SettingsError> {
    match typed.parse() {
        Ok(count @ 1..=MAX_THREADS) => Ok(count),
        _ => Err(SettingsError::Threads(typed)),
    }
}

/// The beginning of the task's id if there is one, so that a check can name the task it spoke to; else random.
fn instance(metadata_uri: Option<&str>) -> Result<String, SettingsError> {
    let task = metadata_uri.and_then(|uri| uri.rsplit('/').next()).and_then(|segment| segment.get(..INSTANCE_DIGITS));
    if let Some(task) = task.filter(|task| task.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        return Ok(task.to_ascii_lowercase());
    }
    let mut random = [0; INSTANCE_DIGITS / 2];
    getrandom::fill(&mut random).map_err(SettingsError::Randomness)?;
    let digits = random.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    Ok(digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(args: &[&str], env: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let value = |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        settings_from(args.iter().map(ToString::to_string), value)
    }

    #[track_caller]
    fn listens(args: &[&str], env: &[(&str, &str)], wanted: &str) {
        assert_eq!(resolve(args, env).unwrap().listen.to_string(), wanted);
    }

    #[test]
    fn an_argument_beats_the_environment_beats_the_default() {
        listens(&[], &[], "0.0.0.0:8080");
        listens(&[], &[("PORT", "9000")], "0.0.0.0:9000");
        listens(&[], &[("PORT", "9000"), ("HOST", "127.0.0.1")], "127.0.0.1:9000");
        listens(&[], &[("HOST", "a-shell-put-its-name-here")], "0.0.0.0:8080");
        listens(&["--listen", "127.0.0.1:1"], &[("PORT", "9000")], "127.0.0.1:1");
        listens(&["--listen=[::1]:2"], &[("PORT", "nonsense")], "[::1]:2");
        assert_eq!(resolve(&["--threads", "4"], &[]).unwrap().threads, 4);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_name() {
        let refused = |args: &[&str], env: &[(&str, &str)]| resolve(args, env).unwrap_err();
        assert_eq!(refused(&["--port", "80"], &[]), SettingsError::Unknown("--port".into()));
        assert_eq!(refused(&["--listen"], &[]), SettingsError::NoValue("--listen"));
        assert_eq!(refused(&["--listen", "localhost:80"], &[]), SettingsError::Listen("localhost:80".into()));
        assert_eq!(refused(&["--threads", "0"], &[]), SettingsError::Threads("0".into()));
        assert_eq!(refused(&["--threads=257"], &[]), SettingsError::Threads("257".into()));
        assert_eq!(refused(&[], &[("PORT", "65536")]), SettingsError::Port("65536".into()));
    }

    #[test]
    fn an_instance_is_named_after_its_task_or_at_random() {
        let uri = "http://169.254.170.2/v4/0123456789ABcdef0123456789abcdef-42";
        assert_eq!(resolve(&[], &[("ECS_CONTAINER_METADATA_URI_V4", uri)]).unwrap().instance, "0123456789ab");
        for uri in ["", "http://169.254.170.2/v4/", "http://host/v4/not-a-task-id", "http://host/v4/äöüäöüäöü"]
        {
            let random = resolve(&[], &[("ECS_CONTAINER_METADATA_URI_V4", uri)]).unwrap().instance;
            assert!(random.len() == INSTANCE_DIGITS && random.bytes().all(|byte| byte.is_ascii_hexdigit()), "{random}");
        }
        assert_ne!(resolve(&[], &[]).unwrap().instance, resolve(&[], &[]).unwrap().instance);
    }
}
