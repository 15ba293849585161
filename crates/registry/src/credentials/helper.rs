//! Credential helpers: programs `docker-credential-NAME` that keep passwords elsewhere (docker-credential-helpers' protocol:
//! `get`, the registry on standard input, JSON on standard output).

use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use gimmetime_clock::{Mono, source};
use serde::Deserialize;

use super::Credential;
use crate::secret::Secret;

/// A helper may ask its user for a password; one that hangs must not hang everything.
const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(5);
/// How long after its end its output may stay open.
const CLOSES_WITHIN: Duration = Duration::from_secs(1);
/// Largest answer.
const MAX_ANSWER: u64 = 64 << 10;
/// The user name by which a helper says that its secret is an identity token.
const TOKEN_USER: &str = "<token>";

/// The program of a helper.
pub(super) fn program(name: &str) -> String {
    format!("docker-credential-{name}")
}

/// What the helper `name` has for the registry `server`, or why it has nothing.
pub(super) fn get(name: &str, server: &str, path: Option<&OsStr>) -> Result<Credential, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        username: String,
        secret: String,
    }
    let file = find(name, path)?;
    let mut child = Command::new(file)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("cannot be started: {error}"))?;
    let output = converse(&mut child, server);
    let _ = child.kill(); // it has ended, or it has to
    let _ = child.wait();
    let answer: Answer = serde_json::from_slice(&output?)
        .map_err(|_| "answered something else than a user name and a secret".to_owned())?;
    let secret = Secret::new(answer.secret);
    Ok(match answer.username.as_str() {
        TOKEN_USER => Credential::IdentityToken(secret),
        _ => Credential::Basic { username: answer.username, password: secret },
    })
}

fn find(name: &str, path: Option<&OsStr>) -> Result<PathBuf, String> {
    if name.is_empty() || name.contains(['/', '\0']) {
        return Err("a helper's name cannot hold a slash".to_owned());
    }
    // A relative folder of PATH would run what lies in the current one.
    let folders = std::env::split_paths(path.unwrap_or_default()).filter(|folder| folder.is_absolute());
    let files = folders.map(|folder| folder.join(program(name)));
    files.into_iter().find(|file| file.is_file()).ok_or_else(|| "no such program on PATH".to_owned())
}

/// Asks, and waits for the end of the answer.
fn converse(child: &mut Child, server: &str) -> Result<Vec<u8>, String> {
    let mut input = child.stdin.take().expect("it was piped");
    let output = child.stdout.take().expect("it was piped");
    // A helper that does not read has its answer anyway.
    let _ = writeln!(input, "{server}");
    drop(input);
    let (sender, answer) = mpsc::channel();
    thread::spawn(move || {
        let mut answer = Vec::new();
        let read = output.take(MAX_ANSWER).read_to_end(&mut answer).map(|_| answer);
        // Whoever has lost patience is not there any more.
        let _ = sender.send(read);
    });
    let deadline = source::mono().plus(PATIENCE);
    wait(child, deadline)?;
    // What it started, an agent for passwords perhaps, may hold its output open.
    let answer = answer.recv_timeout(CLOSES_WITHIN).map_err(|_| "left its output open".to_owned())?;
    answer.map_err(|error| format!("its answer cannot be read: {error}"))
}

fn wait(child: &mut Child, deadline: Mono) -> Result<(), String> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("has nothing for it ({status})")),
            Ok(None) if source::mono() < deadline => thread::sleep(PAUSE),
            Ok(None) => return Err(format!("did not answer within {} s", PATIENCE.as_secs())),
            Err(error) => return Err(format!("cannot be waited for: {error}")),
        }
    }
}
