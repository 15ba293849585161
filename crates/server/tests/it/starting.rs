//! How it starts, or says why not.

use std::net::TcpListener;
use std::process::Output;

use crate::program::{Server, field, header, program};

fn ended(args: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = program().args(args).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn a_port_that_is_taken_is_said_with_what_to_do() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap().to_string();
    let (code, stdout, stderr) = ended(&["--listen", &address]);
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert!(
        stderr.starts_with(&format!("error: cannot listen on `{address}`: something listens there already")),
        "{stderr}"
    );
    assert_eq!(stderr.matches("in use").count(), 1, "{stderr}");
}

#[test]
fn an_argument_nobody_knows_is_usage() {
    let (code, stdout, stderr) = ended(&["--port", "80"]);
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    let wanted = "error: unknown argument `--port`\nhint: `gimmetime-server --help` says what it takes\n";
    assert_eq!(stderr, wanted);
    assert_eq!(ended(&["--listen", "localhost:80"]).0, Some(2));
}

#[test]
fn help_and_version_are_data() {
    let (code, stdout, _) = ended(&["--help"]);
    assert!(code == Some(0) && stdout.contains("usage: gimmetime-server [--listen ADDR] [--threads N]"), "{stdout}");
    let (code, stdout, _) = ended(&["--version"]);
    assert_eq!((code, stdout), (Some(0), format!("gimmetime-server {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn the_port_comes_from_the_environment_as_the_contract_of_a_service_says() {
    use std::io::{BufRead, BufReader};
    let mut child = program().env("PORT", "0").stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut started = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut started).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(field(&started, "listen").unwrap().starts_with("0.0.0.0"), "{started}");
}

#[test]
fn a_task_is_named_in_every_reply_after_its_metadata() {
    let mut command = program();
    command.env("ECS_CONTAINER_METADATA_URI_V4", "http://169.254.170.2/v4/0123456789abcdef0123456789abcdef-17");
    let server = Server::start_as(command);
    let mut client = server.client();
    for path in ["/now", "/live", "/health", "/nowhere"] {
        assert_eq!(header(&client.get(path).0, "Gimmetime-Instance"), Some("0123456789ab"), "{path}");
    }
}
