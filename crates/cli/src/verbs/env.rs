//! `env`: the AWS CLI and SDKs, pointed at the local engine.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use gimmetime_engine::Endpoint;

use crate::args::Env;
use crate::exit::{Exit, Failure};
use crate::render::Printer;
use crate::render::words::quoted;
use crate::verbs::said;

/// Variables that would send a call elsewhere, or sign it otherwise, if they were left.
const CLEARED: [&str; 12] = [
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_ENDPOINT_URL_ECS",
    "AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2",
    "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS",
    "AWS_ENDPOINT_URL_STS",
];

/// Files of the user's own that must not be read: a profile there may set an endpoint or ask for a token.
const NO_FILES: [(&str, &str); 2] = [("AWS_CONFIG_FILE", "/dev/null"), ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")];

/// Hosts that no proxy may be asked for: the engine is on loopback.
const LOOPBACK: [&str; 2] = ["127.0.0.1", "localhost"];

/// Runs the command, or prints exports. `no_proxy` is what the environment spares already.
pub(crate) fn run(
    args: &Env,
    endpoint: &Endpoint,
    no_proxy: Option<&str>,
    printer: &mut Printer,
) -> Result<Exit, Failure> {
    let variables = variables(endpoint, &spare_loopback(no_proxy.unwrap_or_default()));
    let Some((program, arguments)) = args.command.split_first() else {
        for name in CLEARED {
            said(printer.data(format!("unset {name}")))?;
        }
        for (name, value) in variables {
            said(printer.data(format!("export {name}={}", quoted(&value))))?;
        }
        return Ok(Exit::Done);
    };
    let mut command = Command::new(program);
    command.args(arguments).envs(variables);
    for name in CLEARED {
        command.env_remove(name);
    }
    // The command takes this process's place: signals, terminal and exit code are then its own.
    let error = command.exec();
    // As a shell has it (POSIX.1-2017, XCU 2.8.2).
    let exit = Exit::Of(if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 });
    Err(Failure { exit, ..Failure::unsure(format!("could not run {}: {error}", program.display())) })
}

/// Prints what undoes the exports; needs no engine. `NO_PROXY` stays: to spare loopback is right without one, too.
pub(crate) fn unset(printer: &mut Printer) -> Result<Exit, Failure> {
    let set = ["AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION"];
    for name in set.into_iter().chain(NO_FILES.map(|(name, _)| name)) {
        said(printer.data(format!("unset {name}")))?;
    }
    Ok(Exit::Done)
}

fn variables(endpoint: &Endpoint, no_proxy: &str) -> Vec<(&'static str, String)> {
    let mut variables = vec![
        ("AWS_ENDPOINT_URL", endpoint.url.clone()),
        ("AWS_ACCESS_KEY_ID", endpoint.access_key.clone()),
        ("AWS_SECRET_ACCESS_KEY", endpoint.secret_key.clone()),
        ("AWS_REGION", endpoint.region.to_string()),
        ("AWS_DEFAULT_REGION", endpoint.region.to_string()),
        ("NO_PROXY", no_proxy.to_owned()),
        ("no_proxy", no_proxy.to_owned()),
    ];
    variables.extend(NO_FILES.map(|(name, value)| (name, value.to_owned())));
    variables
}

/// The list of hosts that a proxy is not asked for, with loopback among them.
fn spare_loopback(spared: &str) -> String {
    let given = spared.split(',').map(str::trim).filter(|host| !host.is_empty());
    let mut hosts: Vec<&str> = given.collect();
    hosts.extend(LOOPBACK.into_iter().filter(|host| !spared.split(',').any(|given| given.trim() == *host)));
    hosts.join(",")
}
