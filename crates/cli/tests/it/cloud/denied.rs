//! Rights that are missing: what cannot be looked at is not taken for an answer.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use super::place::{Cloud, emulator};
use crate::place::Ran;

/// An AWS that denies one action of ECS or ECR to whoever asks, and passes all else on to the emulator.
fn denying(action: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let there = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            // A client that leaves in the middle of a request wants no answer.
            std::thread::spawn(move || drop(answer(client, action)));
        }
    });
    there
}

/// Answers one request, and closes.
fn answer(mut client: TcpStream, action: &str) -> std::io::Result<()> {
    let mut request = Vec::new();
    let head = loop {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        request.push(byte[0]);
        if request.ends_with(b"\r\n\r\n") {
            break String::from_utf8_lossy(&request).to_lowercase();
        }
    };
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let length = header("content-length:").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    client.read_exact(&mut body)?;
    if header("x-amz-target:").is_some_and(|target| target.ends_with(&format!(".{}", action.to_lowercase()))) {
        let words = format!("User: arn:aws:iam::000000000000:user/bob is not authorized to perform: x:{action}");
        let reply = format!("{{\"__type\":\"AccessDeniedException\",\"message\":\"{words}\"}}");
        let head = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/x-amz-json-1.1\r\nConnection: close";
        return write!(client, "{head}\r\nContent-Length: {}\r\n\r\n{reply}", reply.len());
    }
    let mut aws = TcpStream::connect(emulator())?;
    request.truncate(request.len() - 2);
    request.extend_from_slice(b"Connection: close\r\n\r\n");
    request.extend_from_slice(&body);
    aws.write_all(&request)?;
    std::io::copy(&mut aws, &mut client).map(drop)
}

impl Cloud {
    /// Runs a command to its end, denied this action.
    fn denied(&self, action: &'static str, args: &[&str]) -> Ran {
        Ran::of(self.command(args).env("AWS_ENDPOINT_URL", denying(action)).output().unwrap())
    }
}

#[test]
fn a_verb_that_only_looks_ends_with_2_where_it_may_not_look() {
    let cloud = Cloud::new();
    cloud.must(&["up", "--yes"]);
    for args in [&["status"][..], &["releases"], &["why"], &["plan", "--exit-code"]] {
        let ran = cloud.denied("DescribeServices", args);
        ran.ends(2).says("not allowed to describe the service").says("hint: add this statement to your policy");
    }
    // What was to be changed was not: the old release serves.
    cloud.denied("UpdateService", &["scale", "3"]).ends(1).says("not allowed to update the service");
    assert_eq!(cloud.json(&["status"])["desired"], 2);
}

#[test]
fn nothing_found_is_no_proof_where_nobody_could_look() {
    let cloud = Cloud::new();
    let down = ["down", "--yes", "--name", &cloud.name];
    cloud.must(&down).says("left: 0 resources, $0.00/h");
    let unsure = cloud.denied("DescribeRepositories", &down);
    unsure.ends(2).says("left: 0 resources").says("could not look: the repository: ");
    assert!(!unsure.stdout.contains("$0.00/h"), "{unsure:#?}");
}
