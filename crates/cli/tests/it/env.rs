//! `env`: whatever is left in a shell, the clients reach the engine, and nothing else changes.

use std::process::Command;

use crate::aws::path_with_clients;
use crate::place::{Place, Ran};

/// What a shell may have left over: each of these, if it got through, ends the call below.
const LEFT_OVER: [(&str, &str); 11] = [
    ("AWS_PROFILE", "somebody"),
    ("AWS_DEFAULT_PROFILE", "somebody"),
    ("AWS_SESSION_TOKEN", "token"),
    ("AWS_SECURITY_TOKEN", "token"),
    ("AWS_CREDENTIAL_EXPIRATION", "2020-01-01T00:00:00Z"),
    ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
    ("AWS_ENDPOINT_URL_ECS", "http://127.0.0.1:1"),
    ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true"),
    ("AWS_DEFAULT_REGION", "eu-central-1"),
    ("AWS_CONFIG_FILE", "/etc/passwd"),
    ("HTTP_PROXY", "http://127.0.0.1:1"),
];

const LIST: &str = "aws ecs list-clusters --query clusterArns --output text";
const CLUSTER: &str = "arn:aws:ecs:local:000000000000:cluster/gimmetime\n";

/// A shell in this place, which finds the program and the clients.
fn shell(place: &Place, script: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-euc", script]).current_dir(place.folder()).env("HOME", place.folder());
    shell.env("GIMMETIME_STATE", place.folder().join("state")).env("PATH", path_with_clients());
    shell.env("GIMMETIME", env!("CARGO_BIN_EXE_gimmetime"));
    shell
}

#[track_caller]
fn says(command: &mut Command, words: &str) {
    let ran = Ran::of(command.output().unwrap());
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), words), "{ran:#?}");
}

#[test]
fn what_is_left_in_a_shell_does_not_lead_the_clients_astray() {
    let place = Place::new();
    place.must(&["up", "--count", "1"]);
    says(shell(&place, &format!("\"$GIMMETIME\" env -- {LIST}")).envs(LEFT_OVER), CLUSTER);
    says(shell(&place, &format!("eval \"$(\"$GIMMETIME\" env)\"; {LIST}")).envs(LEFT_OVER), CLUSTER);
}

#[test]
fn what_env_exports_is_undone_by_unset() {
    let place = Place::new();
    place.must(&["up", "--count", "1"]);
    let exported = "eval \"$(\"$GIMMETIME\" env)\"; env | grep -c -e ^AWS_ENDPOINT_URL= -e ^AWS_SECRET_ACCESS_KEY=";
    says(&mut shell(&place, exported), "2\n");
    let undone = "env | grep -v ^_= | sort >before; eval \"$(\"$GIMMETIME\" env)\"; eval \"$(\"$GIMMETIME\" env --unset)\"; \
        env | grep -v ^_= | sort | diff before -";
    let spared = "127.0.0.1,localhost";
    let mut shell = shell(&place, undone);
    for (name, _) in LEFT_OVER {
        shell.env_remove(name);
    }
    says(shell.env("NO_PROXY", spared).env("no_proxy", spared), "");
    // It needs no engine: that may be gone by then.
    let nowhere = Place::new();
    nowhere.must(&["env", "--unset"]).says("unset AWS_ENDPOINT_URL\n");
}

#[test]
fn proxies_that_others_need_to_be_spared_are_kept() {
    let place = Place::new();
    place.must(&["up", "--count", "1"]);
    let spared = [("NO_PROXY", "intranet.example,*.internal")];
    let expected = "intranet.example,*.internal,127.0.0.1,localhost\n";
    says(shell(&place, "\"$GIMMETIME\" env -- printenv NO_PROXY").envs(spared), expected);
    let twice = "eval \"$(\"$GIMMETIME\" env)\"; eval \"$(\"$GIMMETIME\" env)\"; printenv NO_PROXY";
    says(shell(&place, twice).envs(spared), expected);
}

#[test]
fn the_commands_own_end_is_the_end_of_env() {
    let place = Place::new();
    place.must(&["up", "--count", "1"]);
    place.run(&["env", "--", "sh", "-c", "echo out; echo err >&2; exit 7"]).ends(7).says("out\n").says("err\n");
    place.run(&["env", "--", "./nothing"]).ends(127).says("error: could not run ./nothing: No such file");
    std::fs::write(place.folder().join("notes"), "no program").unwrap();
    place.run(&["env", "--", "./notes"]).ends(126).says("error: could not run ./notes: Permission denied");
}

#[test]
fn without_an_engine_nothing_is_run() {
    let place = Place::new();
    let ran = place.run(&["env", "--", "touch", "ran"]);
    ran.ends(2).says("`gimmetime` is not up").says("gimmetime up");
    assert!(!place.folder().join("ran").exists());
}
