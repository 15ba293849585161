//! What it answers.

use std::net::Shutdown;
use std::process::Command;

use gimmetime_clock::reply::{parse_imf_fixdate, parse_stamp};
use gimmetime_clock::{Timestamp, source};

use crate::program::{Server, curl, header, wrapped};

#[test]
fn the_time_is_answered_byte_for_byte_as_ever() {
    let server = Server::start();
    let before = source::wall();
    let reply = curl(&["--include", &server.url("/now")]);
    let after = source::wall();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    let names: Vec<&str> = head.lines().skip(1).map(|line| line.split_once(": ").unwrap().0).collect();
    let wanted = [
        "Content-Type",
        "Content-Length",
        "Cache-Control",
        "Date",
        "Gimmetime-Instance",
        "Gimmetime-Received",
        "Gimmetime-Sent",
    ];
    assert_eq!(names, wanted);
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(header(head, "Content-Type"), Some("text/plain; charset=utf-8"));
    assert_eq!(header(head, "Content-Length"), Some("10"));
    assert_eq!(header(head, "Cache-Control"), Some("no-store"));
    let stamp = |name| parse_stamp(header(head, name).unwrap().as_bytes()).unwrap();
    let (received, sent) = (stamp("Gimmetime-Received"), stamp("Gimmetime-Sent"));
    assert!(before <= received && received <= sent && sent <= after, "{before:?} {received:?} {sent:?} {after:?}");
    assert_eq!(body, sent.unix_seconds().to_string());
    let date = parse_imf_fixdate(header(head, "Date").unwrap().as_bytes());
    assert_eq!(date, Some(Timestamp::from_secs(sent.unix_seconds())));
}

#[test]
fn date_understands_the_answer_as_in_the_field() {
    let server = Server::start();
    let script = format!("date --utc --date @$(curl --silent {}) +%s", server.url("/now"));
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    let seconds: i64 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
    assert!((source::wall().unix_seconds() - seconds).abs() <= 20, "{seconds}");
}

#[test]
fn curl_gets_what_it_asks_for_in_each_of_its_ways() {
    let server = Server::start();
    let url = server.url("/now");
    let status =
        |args: &[&str]| curl(&[&["--output", "/dev/null", "--write-out", "%{http_code}", &url], args].concat());
    assert_eq!(status(&["--head"]), "200");
    assert_eq!(status(&["--http1.0"]), "200");
    assert_eq!(status(&["--data", "x=1"]), "405");
    assert_eq!(status(&["--request", "GET", "--data", "x=1"]), "200");
    assert_eq!(status(&["--request", "GET", "--data", "x=1", "--header", "Transfer-Encoding: chunked"]), "200");
    assert_eq!(status(&["--request", "GET", "--data", "x=1", "--header", "Expect: 100-continue"]), "200");
    assert_eq!(curl(&["--output", "/dev/null", "--write-out", "%{http_code}", &server.url("/nowhere")]), "404");
    assert_eq!(curl(&[&server.url("/live")]), "ok\n");
    assert!(curl(&[&server.url("/health")]).starts_with("ok: the "));
    let connects =
        curl(&["--output", "/dev/null", "--output", "/dev/null", "--write-out", "%{num_connects}", &url, &url]);
    assert_eq!(connects, "10", "the second request takes the same connection");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = Server::start();
    let mut client = server.client();
    client.send("GET /now HTTP/1.1\r\nHost: a\r\n\r\nGET /nowhere HTTP/1.1\r\nHost: a\r\n\r\nGET /live HTTP/1.1\r\nHost: a\r\n\r\n");
    let statuses: Vec<String> = (0..3).map(|_| client.reply().0[9..12].to_owned()).collect();
    assert_eq!(statuses, ["200", "404", "200"]);
}

#[test]
fn a_client_that_pipelines_thousands_and_reads_later_gets_them_all() {
    const REQUESTS: usize = 20_000;
    let server = Server::start();
    let mut client = server.client();
    let mut writing = client.stream().try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        use std::io::Write;
        writing.write_all(&b"GET /now HTTP/1.1\r\nHost: a\r\n\r\n".repeat(REQUESTS)).unwrap();
        writing.shutdown(Shutdown::Write).unwrap();
    });
    let replies = client.rest();
    writer.join().unwrap();
    assert_eq!(replies.matches("HTTP/1.1 200 OK\r\n").count(), REQUESTS);
}

#[test]
fn a_request_in_single_bytes_is_answered_as_one() {
    let server = Server::start();
    let mut client = server.client();
    for byte in b"GET /now HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxy" {
        client.send([*byte]);
    }
    assert_eq!(client.reply().1.len(), 10);
    assert!(client.get("/live").0.starts_with("HTTP/1.1 200 OK"), "the connection stays");
}

#[test]
fn a_client_that_closes_its_side_early_still_gets_its_answer() {
    let server = Server::start();
    let mut client = server.client();
    client.send("GET /now HTTP/1.1\r\nHost: a\r\n\r\n");
    client.stream().shutdown(Shutdown::Write).unwrap();
    assert!(client.rest().starts_with("HTTP/1.1 200 OK"));
}

#[test]
fn several_threads_serve_one_port() {
    let mut command = crate::program::program();
    command.args(["--threads", "3"]);
    let server = Server::start_as(command);
    let mut clients: Vec<_> = (0..50).map(|_| server.client()).collect();
    for client in &mut clients {
        assert_eq!(client.get("/now").1.len(), 10);
    }
}

#[test]
fn a_clock_behind_the_balancer_is_unhealthy_but_alive() {
    let server = Server::start_as(wrapped(&["faketime", "-f", "-5s"]));
    let mut client = server.client();
    let stamped = |path: &str| {
        let seconds = source::wall().unix_seconds();
        format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nX-Amzn-Trace-Id: Root=1-{seconds:08x}-0123456789abcdef01234567\r\n\r\n"
        )
    };
    assert!(client.get("/health").0.starts_with("HTTP/1.1 200 OK"), "nothing is proved yet");
    client.send(stamped("/now"));
    let (_, now) = client.reply();
    let behind = source::wall().unix_seconds() - now.parse::<i64>().unwrap();
    assert!(4 <= behind, "`faketime` (package faketime) does not reach this program");
    let (head, body) = client.get("/health");
    assert!(head.starts_with("HTTP/1.1 503 Service Unavailable"), "{head}");
    assert!(body.starts_with("clock wrong: at least ") && body.ends_with(" s behind the load balancer's\n"), "{body}");
    client.send(stamped("/live"));
    assert!(client.reply().0.starts_with("HTTP/1.1 200 OK"));
}

#[test]
fn a_clock_in_step_with_the_balancer_is_healthy() {
    let server = Server::start();
    let mut client = server.client();
    let seconds = source::wall().unix_seconds();
    client.send(format!(
        "GET /health HTTP/1.1\r\nHost: a\r\nX-Amzn-Trace-Id: Self=1-{seconds:08x}-0a;Root=1-ffffffff-0a\r\n\r\n"
    ));
    assert!(client.reply().0.starts_with("HTTP/1.1 200 OK"));
}
