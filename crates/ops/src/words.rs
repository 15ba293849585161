//! What AWS says of a failure, and what it means: tables, matched by substring. Messages change and are longer than any list;
//! codes are too general to tell anything.

use crate::cause::Cause;

/// Words of a way that does not lead anywhere, whatever was asked for over it.
const NO_WAY: [&str; 13] = [
    "i/o timeout",
    "dial tcp",
    "context canceled",
    "context deadline exceeded",
    "request canceled",
    "requesterror: send request failed",
    "signal: killed",
    "connection issue",
    "no such host",
    "no route to host",
    "network is unreachable",
    "tls handshake timeout",
    "client.timeout exceeded",
];

/// Words of what else than the image is fetched or opened before a task starts. "secrets or registry auth" is no such word:
/// it stands before either.
const NOT_THE_IMAGE: [&str; 8] = [
    "retrieve secret",
    "fetch secret",
    "from asm",
    "from ssm",
    "secrets manager",
    "systems manager",
    "logger args",
    "log stream",
];

/// All words of a row must be there. The first row counts: the particular stands before the general.
const ROWS: [(&[&str], Cause); 73] = [
    (&["expected a linux executable"], Cause::NotExecutable),
    (&["expected an executable"], Cause::NotExecutable),
    (&["descriptor matching platform"], Cause::WrongArchitecture),
    (&["no match for platform"], Cause::WrongArchitecture),
    (&["exec format error"], Cause::WrongArchitecture),
    (&["architecture"], Cause::WrongArchitecture),
    (&["expected x86-64"], Cause::WrongArchitecture),
    (&["expected `linux/"], Cause::WrongArchitecture),
    (&["not 64-bit"], Cause::WrongArchitecture),
    (&["big-endian"], Cause::WrongArchitecture),
    (&["not static"], Cause::NotStatic),
    (&["statically"], Cause::NotStatic),
    (&["dynamic"], Cause::NotStatic),
    (&["interpreter"], Cause::NotStatic),
    (&["shared librar"], Cause::NotStatic),
    (&["loader"], Cause::NotStatic),
    (&["lets nobody execute"], Cause::NotExecutable),
    (&["not executable"], Cause::NotExecutable),
    (&["not an executable"], Cause::NotExecutable),
    (&["executable file not found"], Cause::NotExecutable),
    (&["read-only file system"], Cause::ReadOnly),
    (&["outofmemory"], Cause::OutOfMemory),
    (&["assume the role"], Cause::RoleRefused),
    (&["assume role"], Cause::RoleRefused),
    (&["service linked role"], Cause::RoleRefused),
    (&["not authorized to perform: sts:"], Cause::RoleRefused),
    (&["not authorized to perform: ecr"], Cause::ImageDenied),
    (&["not authorized to perform: secretsmanager:"], Cause::SecretDenied),
    (&["not authorized to perform: ssm:"], Cause::SecretDenied),
    (&["not authorized to perform: kms:"], Cause::SecretDenied),
    (&["not authorized to perform: logs:"], Cause::LogsDenied),
    (&["logger args", "accessdenied"], Cause::LogsDenied),
    (&["log stream", "accessdenied"], Cause::LogsDenied),
    (&["retrieve secret", "accessdenied"], Cause::SecretDenied),
    (&["fetch secret", "accessdenied"], Cause::SecretDenied),
    (&["secrets manager", "accessdenied"], Cause::SecretDenied),
    (&["from ssm", "accessdenied"], Cause::SecretDenied),
    (&["registry auth", "accessdenied"], Cause::ImageDenied),
    (&["retrieve secret"], Cause::SecretUnavailable),
    (&["fetch secret"], Cause::SecretUnavailable),
    (&["specified secret"], Cause::SecretUnavailable),
    (&["json key"], Cause::SecretUnavailable),
    (&["parameternotfound"], Cause::SecretUnavailable),
    (&["invalid ssm parameters"], Cause::SecretUnavailable),
    (&["unable to pull secrets"], Cause::SecretUnavailable),
    (&["logger args"], Cause::LogsUnavailable),
    (&["log stream"], Cause::LogsUnavailable),
    (&["log group"], Cause::LogsUnavailable),
    (&["toomanyrequests"], Cause::PullLimited),
    (&["pull rate limit"], Cause::PullLimited),
    (&["pull access denied"], Cause::ImageDenied),
    (&["no basic auth credentials"], Cause::ImageDenied),
    (&[" 403"], Cause::ImageDenied),
    (&["number of vcpus"], Cause::QuotaExceeded),
    (&["vcpu limit"], Cause::QuotaExceeded),
    (&["limit on the number of"], Cause::QuotaExceeded),
    (&["capacity"], Cause::NoCapacity),
    (&["network interface"], Cause::NoNetwork),
    (&["insufficientfreeaddresses"], Cause::NoNetwork),
    (&["free addresses"], Cause::NoNetwork),
    (&["fargate configuration"], Cause::BadSize),
    (&["associated load balancer"], Cause::NoListener),
    (&["alarm detected"], Cause::AlarmRaised),
    (&["manifest unknown"], Cause::ImageMissing),
    (&["image digest resolution"], Cause::ImageMissing),
    (&["name unknown"], Cause::ImageMissing),
    (&["cannotpullcontainer"], Cause::ImageMissing),
    (&["dockertimeout"], Cause::PlatformFault),
    (&["cannotcreatecontainer"], Cause::PlatformFault),
    (&["unexpected ec2 error"], Cause::PlatformFault),
    (&["internal error"], Cause::PlatformFault),
    (&["permission denied"], Cause::NotExecutable),
    (&["no such file"], Cause::NotExecutable),
];

/// What the words of a stopped task, or of a service's event, mean.
pub(crate) fn cause(reason: &str) -> Option<Cause> {
    // What an image is called says nothing of what is wrong with it.
    let words = reason.split(' ').filter(|word| !word.contains("@sha256:"));
    let lower = words.collect::<Vec<_>>().join(" ").to_lowercase();
    if NO_WAY.iter().any(|words| lower.contains(words)) {
        let other = NOT_THE_IMAGE.iter().any(|words| lower.contains(words));
        return Some(if other { Cause::ApisUnreachable } else { Cause::RegistryUnreachable });
    }
    let row = ROWS.iter().find(|(words, _)| words.iter().all(|words| lower.contains(words)));
    row.map(|(_, cause)| *cause)
}

/// What an event of the service means, if it is one of a fault.
pub(crate) fn event_cause(message: &str) -> Option<Cause> {
    if message.contains("service deployment configuration") {
        return Some(Cause::Stuck);
    }
    if message.contains("unable to consistently start tasks") {
        return Some(Cause::Throttled);
    }
    if message.contains("is unhealthy in") {
        return health_cause(message);
    }
    if message.contains("unable to place") {
        return Some(cause(message).unwrap_or(Cause::NoCapacity));
    }
    ["failed to launch a task", "failed to register targets", "alarm detected"]
        .iter()
        .any(|told| message.contains(told))
        .then(|| cause(message))
        .flatten()
}

/// What the ALB's, ECS's or our own words of a failed health check mean.
pub(crate) fn health_cause(words: &str) -> Option<Cause> {
    let lower = words.to_lowercase();
    if lower.contains("clock") {
        return Some(Cause::ClockWrong);
    }
    if lower.contains("container health check") {
        return Some(Cause::FailsContainerHealthChecks);
    }
    if let Some(status) = status_in(&lower) {
        return Some(Cause::Answers(status));
    }
    if lower.contains("timed out") || lower.contains("timeout") {
        return Some(Cause::Hangs);
    }
    ["refused", "no connection within", "cannot connect"]
        .iter()
        .any(|told| lower.contains(told))
        .then_some(Cause::NeverListens)
}

/// The status in "Health checks failed with these codes: [500]".
fn status_in(words: &str) -> Option<u16> {
    let (_, rest) = words.split_once("with these codes: [")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests;
