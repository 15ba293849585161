//! `env`: the AWS CLI and SDKs, pointed at the local engine.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use gimmetime_engine::Endpoint;

use crate::args::Env;
use crate::exit::{Exit, Failure};
use crate::render::Printer;
use crate::verbs::said;

/// Variables that would send a call elsewhere, or sign it otherwise, if they were left.
const CLEARED: [&str; 9] = [
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_ENDPOINT_URL_ECS",
    "AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2",
    "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS",
    "AWS_ENDPOINT_URL_STS",
];

/// Files of the user's own that must not be read: a profile there may set an endpoint or ask for a token.
const NO_FILES: [(&str, &str); 2] = [("AWS_CONFIG_FILE", "/dev/null"), ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")];

/// Runs the command, or prints exports.
pub(crate) fn run(args: &Env, endpoint: &Endpoint, printer: &mut Printer) -> Result<Exit, Failure> {
    let variables = variables(endpoint);
    let Some((program, arguments)) = args.command.split_first() else {
        for name in CLEARED {
            said(printer.data(format!("unset {name}")))?;
        }
        for (name, value) in variables {
            said(printer.data(format!("export {name}={value}")))?;
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
    Err(Failure { exit: Exit::Of(127), ..Failure::unsure(format!("could not run {}: {error}", program.display())) })
}

/// Prints what undoes the exports; needs no engine.
pub(crate) fn unset(printer: &mut Printer) -> Result<Exit, Failure> {
    let set = ["AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION"];
    for name in set.into_iter().chain(NO_FILES.map(|(name, _)| name)) {
        said(printer.data(format!("unset {name}")))?;
    }
    Ok(Exit::Done)
}

fn variables(endpoint: &Endpoint) -> Vec<(&'static str, String)> {
    let mut variables = vec![
        ("AWS_ENDPOINT_URL", endpoint.url.clone()),
        ("AWS_ACCESS_KEY_ID", endpoint.access_key.clone()),
        ("AWS_SECRET_ACCESS_KEY", endpoint.secret_key.clone()),
        ("AWS_REGION", endpoint.region.to_string()),
        ("AWS_DEFAULT_REGION", endpoint.region.to_string()),
        // A proxy of the machine's must not be asked for an address on loopback.
        ("NO_PROXY", "127.0.0.1,localhost".to_owned()),
        ("no_proxy", "127.0.0.1,localhost".to_owned()),
    ];
    variables.extend(NO_FILES.map(|(name, value)| (name, value.to_owned())));
    variables
}
