//! `curl` and `wrk` against the balancer.

use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::place::{Place, Ran, eventually, signal};

/// Connections that `wrk` holds.
const CONNECTIONS: &str = "16";

#[track_caller]
fn curl(args: &[&str]) -> Ran {
    let ran = Ran::of(Command::new("curl").args(["--silent", "--show-error"]).args(args).output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    ran
}

/// A head with every digit as `0`, and what is named at random as `x`: the rest must be so to the byte.
fn shape(head: &str) -> String {
    let zero = |line: &str| line.replace(|letter: char| letter.is_ascii_digit(), "0");
    let line = |line: &str| match line.split_once(": ") {
        Some((name @ "Gimmetime-Instance", id)) => {
            assert!(id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{line}");
            format!("{name}: x")
        }
        Some((name @ "Date", date)) => {
            assert!(date.len() == 29 && date.ends_with(" GMT"), "{line}");
            format!("{name}: x")
        }
        Some((name @ ("Gimmetime-Received" | "Gimmetime-Sent"), stamp)) => format!("{name}: {}", zero(stamp)),
        _ => line.to_owned(),
    };
    head.split("\r\n").map(line).collect::<Vec<_>>().join("\r\n")
}

const HEADERS: &str = "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 10\r\nCache-Control: no-store\r\nDate: x\r\n\
    Gimmetime-Instance: x\r\nGimmetime-Received: 0000000000.000000000\r\nGimmetime-Sent: 0000000000.000000000\r\n\r\n";

#[test]
fn curl_gets_what_the_original_served_byte_for_byte() {
    let place = Place::new();
    place.must(&["up"]);
    let url = format!("http://{}/now", place.listen);
    let (get, head) = (curl(&["--include", &url]).stdout, curl(&["--head", &url]).stdout);
    let (of_get, body) = get.split_at(get.len() - 10);
    assert_eq!(shape(of_get), format!("HTTP/1.1 200 OK\r\n{HEADERS}"));
    assert!(body.bytes().all(|byte| byte.is_ascii_digit()), "{get}");
    assert_eq!(shape(&head), format!("HTTP/1.1 200 OK\r\n{HEADERS}"));

    let post = curl(&["--include", "--data", "x=y", &url]).stdout;
    assert!(post.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"), "{post}");
    assert!(post.contains("\r\nAllow: GET, HEAD\r\n"), "{post}");
    let missing = curl(&["--output", "/dev/null", "--write-out", "%{http_code}", &format!("{url}s")]);
    assert_eq!(missing.stdout, "404");
}

#[test]
fn curl_asks_many_times_over_one_connection() {
    let place = Place::new();
    place.must(&["up"]);
    let url = format!("http://{}/now?[1-20]", place.listen);
    let count = "%{num_connects} %{http_code}\n";
    let ran = curl(&["--output", "/dev/null", "--write-out", count, &url]);
    let (first, rest) = ran.stdout.split_once('\n').unwrap();
    assert_eq!((first, rest), ("1 200", "0 200\n".repeat(19).as_str()));
}

#[test]
fn wrk_notices_nothing_of_a_rollout_and_of_scaling() {
    let place = Place::new();
    place.must(&["up"]);
    // It is told to end once all is done. How long a reply takes is not judged here: the machine may be busy.
    let args = ["--threads", "1", "--connections", CONNECTIONS, "--duration", "10m", "--timeout", "60s"];
    let mut wrk = Command::new("wrk");
    let wrk = wrk.args(args).arg(format!("http://{}/now", place.listen)).stdout(Stdio::piped()).stderr(Stdio::piped());
    let wrk = wrk.spawn().unwrap();
    eventually("wrk is served", || {
        let requests = place.json(&["status"])["traffic"]["last_hour"]["requests"].as_u64();
        requests.filter(|requests| 1000 < *requests)
    });
    place.must(&["deploy", "--force"]).says("r1").says(" 0 failed");
    place.must(&["scale", "4"]).says("4 of 4 healthy").says(" 0 failed");
    place.must(&["scale", "1"]).says("1 of 1 healthy").says(" 0 failed");
    signal(wrk.id(), Signal::INT);
    let ran = Ran::of(wrk.wait_with_output().unwrap());
    ran.ends(0).says(" requests in ");
    assert!(!ran.stdout.contains("Socket errors") && !ran.stdout.contains("Non-2xx"), "{ran:#?}");
}
