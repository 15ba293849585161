//! The causes this program can name: their words, their fix, and a code that fits into a label.

use std::fmt;

use serde::Serialize;

/// Why a release or a task failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The image is not where the task looks for it.
    ImageMissing,
    /// The image is not to be had: no right to pull it.
    ImageDenied,
    /// The registry cannot be reached.
    RegistryUnreachable,
    /// The executable is for another architecture.
    WrongArchitecture,
    /// The executable needs a loader or libraries that are not in the image.
    NotStatic,
    /// The file is not an executable, or may not be executed.
    NotExecutable,
    /// The registry gives no more images to this address for now.
    PullLimited,
    /// A secret could not be read.
    SecretUnavailable,
    /// No right to read a secret.
    SecretDenied,
    /// The log group is missing.
    LogsUnavailable,
    /// No right to write logs.
    LogsDenied,
    /// The APIs that hold secrets or take logs cannot be reached.
    ApisUnreachable,
    /// A role could not be assumed.
    RoleRefused,
    /// No capacity in this zone now.
    NoCapacity,
    /// The account's quota of virtual CPUs is used up.
    QuotaExceeded,
    /// No address or network interface was to be had.
    NoNetwork,
    /// No such pair of CPU and memory exists.
    BadSize,
    /// The target group belongs to no listener.
    NoListener,
    /// The platform failed to start or keep it.
    PlatformFault,
    /// AWS took back the machine that it ran on.
    Reclaimed,
    /// The program writes where it may not.
    ReadOnly,
    /// It could not be started, for a reason not known here.
    CannotStart,
    /// The command is not in the image, or not executable: exit code 126 or 127.
    CommandNotFound(i32),
    /// A panic: exit code 101, or 134 by abort.
    Panicked(i32),
    /// Out of memory.
    OutOfMemory,
    /// Killed from outside by this signal.
    Killed(i32),
    /// It broke its own memory or instructions: the signal.
    Broken(i32),
    /// It ended without an error, as a server must not.
    Ended,
    /// It exits with this code right after its start.
    ExitsAtStart(i32),
    /// It ran for a while and exits with this code.
    Crashed(i32),
    /// Its end was not seen: no exit code is known.
    ExitUnknown,
    /// Nothing listens on its port.
    NeverListens,
    /// It answers the health path with this status.
    Answers(u16),
    /// It does not answer the health path in time.
    Hangs,
    /// Its clock is proved wrong.
    ClockWrong,
    /// It fails its health checks; how is not known any more.
    FailsHealthChecks,
    /// The health check inside its container fails.
    FailsContainerHealthChecks,
    /// An alarm ended the rollout.
    AlarmRaised,
    /// The limits of the rollout leave no room to replace a task.
    Stuck,
    /// Tasks keep failing, so starts are throttled.
    Throttled,
    /// Somebody stopped the task.
    StoppedByUser,
    /// Nothing that this program knows.
    Unknown,
}

/// Lives shorter than this are "at start", in seconds.
pub(crate) const START_SECONDS: i64 = 10;

impl Cause {
    /// The cause of an exit code; `at_start` if the process lived for moments only.
    pub(crate) fn of_exit(code: i32, at_start: bool, reason: &str) -> Self {
        match code {
            _ if reason.contains("OutOfMemory") => Self::OutOfMemory,
            0 => Self::Ended,
            101 | 134 => Self::Panicked(code),
            126 | 127 => Self::CommandNotFound(code),
            132 | 135 | 136 | 139 => Self::Broken(code - 128),
            129..=192 => Self::Killed(code - 128),
            _ if at_start => Self::ExitsAtStart(code),
            _ => Self::Crashed(code),
        }
    }

    /// Whether there was no room for the task: neither it nor its release is to blame.
    pub(crate) fn is_want_of_room(self) -> bool {
        matches!(self, Self::NoCapacity | Self::QuotaExceeded | Self::NoNetwork)
    }

    /// Whether the task's network led nowhere.
    pub(crate) fn is_want_of_way(self) -> bool {
        matches!(self, Self::RegistryUnreachable | Self::ApisUnreachable)
    }

    /// The number that belongs to this cause: an exit code, a signal, a status.
    fn number(self) -> Option<i32> {
        match self {
            Self::CommandNotFound(n)
            | Self::Panicked(n)
            | Self::Killed(n)
            | Self::Broken(n)
            | Self::ExitsAtStart(n)
            | Self::Crashed(n) => Some(n),
            Self::Answers(status) => Some(i32::from(status)),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::ImageMissing => "image-missing",
            Self::ImageDenied => "image-denied",
            Self::RegistryUnreachable => "registry-unreachable",
            Self::WrongArchitecture => "wrong-architecture",
            Self::NotStatic => "not-static",
            Self::NotExecutable => "not-executable",
            Self::PullLimited => "pull-limited",
            Self::SecretUnavailable => "secret-unavailable",
            Self::SecretDenied => "secret-denied",
            Self::LogsUnavailable => "logs-unavailable",
            Self::LogsDenied => "logs-denied",
            Self::ApisUnreachable => "apis-unreachable",
            Self::RoleRefused => "role-refused",
            Self::NoCapacity => "no-capacity",
            Self::QuotaExceeded => "quota-exceeded",
            Self::NoNetwork => "no-network",
            Self::BadSize => "bad-size",
            Self::NoListener => "no-listener",
            Self::PlatformFault => "platform-fault",
            Self::Reclaimed => "reclaimed",
            Self::ReadOnly => "read-only",
            Self::CannotStart => "cannot-start",
            Self::CommandNotFound(_) => "command-not-found",
            Self::Panicked(_) => "panicked",
            Self::OutOfMemory => "out-of-memory",
            Self::Killed(_) => "killed",
            Self::Broken(_) => "broken",
            Self::Ended => "ended",
            Self::ExitsAtStart(_) => "exits-at-start",
            Self::Crashed(_) => "crashed",
            Self::ExitUnknown => "exit-unknown",
            Self::NeverListens => "never-listens",
            Self::Answers(_) => "answers",
            Self::Hangs => "hangs",
            Self::ClockWrong => "clock-wrong",
            Self::FailsHealthChecks => "fails-health-checks",
            Self::FailsContainerHealthChecks => "fails-container-health-checks",
            Self::AlarmRaised => "alarm-raised",
            Self::Stuck => "stuck",
            Self::Throttled => "throttled",
            Self::StoppedByUser => "stopped-by-user",
            Self::Unknown => "unknown",
        }
    }

    /// A word that [`Cause::from_code`] reads again: `answers:500`.
    pub fn code(self) -> String {
        match self.number() {
            Some(number) => format!("{}:{number}", self.name()),
            None => self.name().to_owned(),
        }
    }

    /// The cause of a code; None for a code of a later version.
    pub fn from_code(code: &str) -> Option<Self> {
        let (name, number) = code.split_once(':').unwrap_or((code, "0"));
        let number: i32 = number.parse().ok()?;
        let status = u16::try_from(number).unwrap_or(0);
        all(number, status).into_iter().find(|cause| cause.name() == name)
    }

    /// What would mend it: advice, and one command.
    pub fn fix(self) -> (&'static str, &'static str) {
        const DEPLOY: &str = "gimmetime deploy";
        const UP: &str = "gimmetime up";
        match self {
            Self::ImageMissing => ("put the image where tasks are told to find it", DEPLOY),
            Self::ImageDenied => ("let the execution role pull from this repository", DEPLOY),
            Self::RegistryUnreachable | Self::ApisUnreachable => {
                ("give the tasks a way to the registry, the logs and the secrets", UP)
            }
            Self::PullLimited => ("wait, or pull from a registry of your own", DEPLOY),
            Self::SecretDenied => ("let the execution role read this secret, and use the key it is encrypted with", UP),
            Self::LogsDenied => ("let the execution role write to the log group", UP),
            Self::BadSize => ("take a pair of `size.cpu` and `size.memory` that Fargate has", DEPLOY),
            Self::PlatformFault | Self::Reclaimed => ("nothing of yours: try again", "gimmetime deploy --force"),
            Self::WrongArchitecture => ("build for the architecture that tasks run on", DEPLOY),
            Self::NotStatic => ("link statically: cargo build --target x86_64-unknown-linux-musl", DEPLOY),
            Self::NotExecutable => ("deploy an executable file", DEPLOY),
            Self::SecretUnavailable => ("restore it under [service] secrets", DEPLOY),
            Self::LogsUnavailable | Self::RoleRefused | Self::NoNetwork | Self::NoListener => ("mend the place", UP),
            Self::NoCapacity => ("try again in some minutes", DEPLOY),
            Self::QuotaExceeded => ("ask for a higher quota, or use fewer tasks", "gimmetime scale 1"),
            Self::ReadOnly => ("write to /tmp or to nowhere: the root file system is read-only", DEPLOY),
            Self::CommandNotFound(_) => ("correct `command` under [service]", DEPLOY),
            Self::OutOfMemory => ("raise `size.memory` under [service]", DEPLOY),
            Self::Ended => ("the process must stay in the foreground", DEPLOY),
            Self::NeverListens => ("listen on 0.0.0.0:$PORT", DEPLOY),
            Self::Answers(404) => ("correct `health` under [service]", DEPLOY),
            Self::ClockWrong => ("set the clock of the machine it runs on", "gimmetime status"),
            Self::Stuck => ("raise `max_percent` or lower `min_healthy_percent` under [service] rollout", DEPLOY),
            Self::Killed(_) | Self::StoppedByUser => ("find out who did it", "gimmetime logs --since 1h"),
            Self::Panicked(_)
            | Self::Broken(_)
            | Self::ExitsAtStart(_)
            | Self::Crashed(_)
            | Self::Answers(_)
            | Self::Hangs
            | Self::FailsHealthChecks
            | Self::FailsContainerHealthChecks => ("mend it by what its log says", DEPLOY),
            Self::AlarmRaised => ("see which alarm it was, and why", "gimmetime status"),
            Self::CannotStart | Self::ExitUnknown | Self::Throttled | Self::Unknown => {
                ("read its log", "gimmetime logs --since 1h")
            }
        }
    }
}

impl fmt::Display for Cause {
    /// One sentence, the subject being the task.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ImageMissing => f.write_str("the image is not there"),
            Self::ImageDenied => f.write_str("the image may not be pulled"),
            Self::RegistryUnreachable => f.write_str("the registry cannot be reached"),
            Self::WrongArchitecture => f.write_str("the executable is for another architecture"),
            Self::NotStatic => f.write_str("the executable is not static"),
            Self::NotExecutable => f.write_str("the file is not executable"),
            Self::PullLimited => f.write_str("the registry gives no more images for now"),
            Self::SecretUnavailable => f.write_str("a secret cannot be read"),
            Self::SecretDenied => f.write_str("a secret may not be read"),
            Self::LogsUnavailable => f.write_str("its output cannot be logged"),
            Self::LogsDenied => f.write_str("its output may not be logged"),
            Self::ApisUnreachable => f.write_str("the APIs for secrets and logs cannot be reached"),
            Self::RoleRefused => f.write_str("its role cannot be assumed"),
            Self::NoCapacity => f.write_str("there is no capacity at this time"),
            Self::QuotaExceeded => f.write_str("the account's quota of virtual CPUs is used up"),
            Self::NoNetwork => f.write_str("no network address was to be had"),
            Self::BadSize => f.write_str("no such pair of CPU and memory exists"),
            Self::NoListener => f.write_str("the target group belongs to no listener"),
            Self::PlatformFault => f.write_str("the platform failed to start the task"),
            Self::Reclaimed => f.write_str("AWS took back the machine that it ran on"),
            Self::ReadOnly => f.write_str("the process writes to a read-only file system"),
            Self::CannotStart => f.write_str("the process cannot be started"),
            Self::CommandNotFound(code) => write!(f, "the command cannot be executed (exit code {code})"),
            Self::Panicked(code) => write!(f, "the process panics (exit code {code})"),
            Self::OutOfMemory => f.write_str("the process runs out of memory"),
            Self::Killed(signal) => write!(f, "the process was killed from outside by {}", signal_name(*signal)),
            Self::Broken(signal) => write!(f, "the process breaks ({})", signal_name(*signal)),
            Self::Ended => f.write_str("the process ends by itself (exit code 0)"),
            Self::ExitsAtStart(code) => write!(f, "the process exits {code} at start"),
            Self::Crashed(code) => write!(f, "the process exits {code} after it ran for a while"),
            Self::ExitUnknown => f.write_str("the process ended while nobody looked"),
            Self::NeverListens => f.write_str("the process never listens on its port"),
            Self::Answers(status) => write!(f, "the process answers {status} on its health path"),
            Self::Hangs => f.write_str("the process does not answer its health path in time"),
            Self::ClockWrong => f.write_str("its clock is proved wrong"),
            Self::FailsHealthChecks => f.write_str("the process fails its health checks"),
            Self::FailsContainerHealthChecks => f.write_str("the health check inside its container fails"),
            Self::AlarmRaised => f.write_str("an alarm ended the rollout"),
            Self::Stuck => f.write_str("the limits of the rollout leave no room to replace a task"),
            Self::Throttled => f.write_str("tasks keep failing, so starts are throttled"),
            Self::StoppedByUser => f.write_str("somebody stopped the task"),
            Self::Unknown => f.write_str("the cause is not known"),
        }
    }
}

/// Every cause there is, with this number where one belongs.
fn all(n: i32, status: u16) -> [Cause; 42] {
    use Cause::{
        AlarmRaised, Answers, ApisUnreachable, BadSize, Broken, CannotStart, ClockWrong, CommandNotFound, Crashed,
        Ended, ExitUnknown, ExitsAtStart, FailsContainerHealthChecks, FailsHealthChecks, Hangs, ImageDenied,
        ImageMissing, Killed, LogsDenied, LogsUnavailable, NeverListens, NoCapacity, NoListener, NoNetwork,
        NotExecutable, NotStatic, OutOfMemory, Panicked, PlatformFault, PullLimited, QuotaExceeded, ReadOnly,
        Reclaimed, RegistryUnreachable, RoleRefused, SecretDenied, SecretUnavailable, StoppedByUser, Stuck, Throttled,
        Unknown, WrongArchitecture,
    };
    [
        ImageMissing,
        ImageDenied,
        RegistryUnreachable,
        WrongArchitecture,
        NotStatic,
        NotExecutable,
        PullLimited,
        SecretUnavailable,
        SecretDenied,
        LogsUnavailable,
        LogsDenied,
        ApisUnreachable,
        RoleRefused,
        NoCapacity,
        QuotaExceeded,
        NoNetwork,
        BadSize,
        NoListener,
        PlatformFault,
        Reclaimed,
        ReadOnly,
        CannotStart,
        CommandNotFound(n),
        Panicked(n),
        OutOfMemory,
        Killed(n),
        Broken(n),
        Ended,
        ExitsAtStart(n),
        Crashed(n),
        ExitUnknown,
        NeverListens,
        Answers(status),
        Hangs,
        ClockWrong,
        FailsHealthChecks,
        FailsContainerHealthChecks,
        AlarmRaised,
        Stuck,
        Throttled,
        StoppedByUser,
        Unknown,
    ]
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        2 => "SIGINT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        15 => "SIGTERM",
        _ => return format!("signal {signal}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_survives_its_code() {
        for cause in all(7, 503) {
            assert_eq!(Cause::from_code(&cause.code()).map(Cause::name), Some(cause.name()));
        }
        assert_eq!(Cause::from_code("answers:500"), Some(Cause::Answers(500)));
        assert_eq!(Cause::from_code("from-the-future"), None);
    }

    #[test]
    fn codes_are_legal_labels() {
        for cause in all(139, 404) {
            assert_eq!(crate::tags::legal(&cause.code()), cause.code());
        }
    }

    #[test]
    fn exit_codes_have_their_cause() {
        let table = [
            (0, "", Cause::Ended),
            (1, "", Cause::ExitsAtStart(1)),
            (2, "", Cause::ExitsAtStart(2)),
            (101, "", Cause::Panicked(101)),
            (126, "", Cause::CommandNotFound(126)),
            (127, "", Cause::CommandNotFound(127)),
            (134, "", Cause::Panicked(134)),
            (137, "", Cause::Killed(9)),
            (137, "OutOfMemoryError: Container killed due to memory usage", Cause::OutOfMemory),
            (139, "", Cause::Broken(11)),
            (143, "", Cause::Killed(15)),
        ];
        for (code, reason, cause) in table {
            assert_eq!(Cause::of_exit(code, true, reason), cause, "exit code {code}");
        }
        assert_eq!(Cause::of_exit(1, false, ""), Cause::Crashed(1));
    }
}
