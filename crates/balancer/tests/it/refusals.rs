//! What the plane answers by itself.

use std::time::Duration;

use gimmetime_balancer::Settings;

use crate::rig::{Manner, Rig, Target, until};

fn get(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

#[tokio::test]
async fn what_may_not_pass_is_answered_exactly_and_the_connection_closed() {
    let target = Target::start(Manner::ok("x")).await;
    let mut rig = Rig::start(&[&target]).await;
    let cases = [
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), "400 Bad Request"),
        (get("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), "400 Bad Request"),
        (get(&format!("A: {}\r\n", "b".repeat(17_000))), "400 Bad Request"),
        ("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), "405 Method Not Allowed"),
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(17_000)), "414 URI Too Long"),
        (get(&format!("X-Forwarded-For: {}\r\n", ["1.1.1.1"; 31].join(","))), "463 Too Many Forwarded Addresses"),
        (get("Transfer-Encoding: gzip\r\n"), "501 Not Implemented"),
        ("GET / HTTP/3.0\r\nHost: a\r\n\r\n".to_owned(), "505 HTTP Version Not Supported"),
    ];
    for (request, status) in &cases {
        let reply = rig.ask(request).await;
        assert!(reply.starts_with(&format!("HTTP/1.1 {status}\r\nServer: gimmetime-balancer\r\nDate: ")), "{reply}");
        assert!(
            reply.contains("\r\nConnection: close\r\n") && reply.ends_with(&format!("\r\n\r\n{status}\n")),
            "{reply}"
        );
    }
    assert_eq!(target.seen().len(), 0);
    let counters = rig.counters(|counters| 8 <= counters.elb_4xx + counters.elb_5xx).await;
    assert_eq!((counters.elb_4xx, counters.elb_5xx, counters.requests), (6, 2, 0));
}

#[tokio::test]
async fn a_client_that_stops_in_the_middle_is_answered_408() {
    let target = Target::start(Manner::ok("x")).await;
    let settings = Settings { idle_timeout: Duration::from_millis(100), ..Settings::default() };
    let rig = Rig::with(&[&target], settings).await;
    for request in ["GET / HTTP/1.1\r\nHost", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf"] {
        assert!(rig.ask(request).await.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{request}");
    }
    assert_eq!(rig.ask("").await, "");
}

#[tokio::test]
async fn nothing_passes_behind_a_refused_request() {
    let target = Target::start(Manner::ok("x")).await;
    let rig = Rig::start(&[&target]).await;
    let bad = get("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n");
    let reply = rig.ask([get(""), bad, get("")].concat()).await;
    assert_eq!(reply.matches("HTTP/1.1 200 OK\r\n").count(), 1, "{reply}");
    assert_eq!(reply.matches("HTTP/1.1 400 Bad Request\r\n").count(), 1, "{reply}");
    assert_eq!(target.seen().len(), 1);
}

#[tokio::test]
async fn a_body_of_bad_chunks_is_answered_400() {
    let target = Target::start(Manner::ok("x")).await;
    let rig = Rig::start(&[&target]).await;
    let reply = rig.ask("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n0\r\n\r\n").await;
    assert!(reply.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{reply}");
}

#[tokio::test]
async fn the_answer_survives_a_client_that_goes_on_sending() {
    let target = Target::start(Manner::ok("x")).await;
    let rig = Rig::start(&[&target]).await;
    let mut client = rig.connect().await;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n").await;
    for _ in 0..50 {
        client.send(vec![b'x'; 10_000]).await;
    }
    tokio::io::AsyncWriteExt::shutdown(&mut client.stream).await.unwrap();
    assert!(client.rest().await.starts_with("HTTP/1.1 400 Bad Request\r\n"));
}

#[tokio::test]
async fn one_client_too_many_is_turned_away_and_counted() {
    let target = Target::start(Manner::ok("x")).await;
    let mut rig = Rig::with(&[&target], Settings { connections_limit: 2, ..Settings::default() }).await;
    let (mut first, mut second) = (rig.connect().await, rig.connect().await);
    first.get("/").await;
    second.get("/").await;
    assert_eq!(rig.connect().await.rest().await, "");
    assert_eq!(rig.counters(|counters| counters.rejected_connections == 1).await.active_connections, 2);
    drop(first);
    rig.counters(|counters| counters.active_connections == 1).await;
    assert!(rig.get("/").await.ends_with('x'));
}

#[tokio::test]
async fn each_request_has_its_line_in_the_access_log() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let target = Target::start(Manner::ok("hello")).await;
    let settings = Settings { access_log: Some(path.clone()), load_balancer: "app/x/1".into(), ..Settings::default() };
    let rig = Rig::with(&[&target], settings).await;
    rig.get("/now").await;
    rig.ask("BAD\r\n\r\n").await;
    until("both lines are written", || std::fs::read_to_string(&path).unwrap().lines().count() == 2).await;
    let log = std::fs::read_to_string(&path).unwrap();
    let good = log.lines().find(|line| line.contains("\"GET http://a:")).unwrap();
    let to = format!(" {} ", target.address);
    assert!(good.starts_with("http 2") && good.contains(" app/x/1 127.0.0.1:") && good.contains(&to), "{log}");
    assert!(good.contains(" 200 200 30 43 \"GET http://a:"), "{log}");
    let bad = log.lines().find(|line| line.contains("\"- http://127.0.0.1:")).unwrap();
    assert!(bad.contains(" - -1 -1 -1 400 - "), "{log}");
}
