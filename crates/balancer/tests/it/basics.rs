//! Requests and replies on their way through.

use std::sync::atomic::Ordering;
use std::time::Duration;

use gimmetime_balancer::control::Algorithm;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::rig::{Client, Manner, Rig, Target, until};

const NOW: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 10\r\n\
    Date: Sun, 22 Nov 2026 10:07:00 GMT\r\nGimmetime-Instance: 0123456789ab\r\n\
    Gimmetime-Received: 1795342020.000000001\r\nGimmetime-Sent: 1795342020.000000002\r\n\r\n1795342020";

#[tokio::test]
async fn the_time_comes_through_byte_for_byte() {
    let target = Target::start(Manner::Says(NOW.into())).await;
    let rig = Rig::start(&[&target]).await;
    assert_eq!(rig.get("/now").await, NOW);
    let mut client = rig.connect().await;
    client.send("HEAD /now HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    client.stream.shutdown().await.unwrap();
    let head = client.rest().await;
    assert!(head.ends_with("\r\n\r\n") && head.contains("\r\nContent-Length: 10\r\n"), "{head}");
}

#[tokio::test]
async fn a_request_reaches_the_target_with_what_the_load_balancer_adds() {
    let target = Target::start(Manner::ok("x")).await;
    let rig = Rig::start(&[&target]).await;
    let request = "GET /now?a=b HTTP/1.1\r\nhost: time.example\r\nx-forwarded-for: 1.2.3.4\r\nX-Amzn-Trace-Id: Root=1-2-3\r\n\
                   Connection: close, x-hop\r\nX-Hop: 1\r\nUpgrade: h2c\r\n\r\n";
    let reply = rig.ask(request).await;
    assert!(reply.contains("\r\nConnection: close\r\n"), "{reply}");
    let seen = target.seen().remove(0);
    let port = rig.address.port();
    assert!(seen.starts_with("GET /now?a=b HTTP/1.1\r\n"), "{seen}");
    for line in [
        "Host: time.example".to_owned(),
        "X-Forwarded-For: 1.2.3.4, 127.0.0.1".to_owned(),
        "X-Forwarded-Proto: http".to_owned(),
        format!("X-Forwarded-Port: {port}"),
    ] {
        assert!(seen.contains(&format!("\r\n{line}\r\n")), "{line} in {seen}");
    }
    assert!(seen.contains("\r\nX-Amzn-Trace-Id: Self=1-") && seen.contains(";Root=1-2-3\r\n"), "{seen}");
    assert!(!seen.contains("Hop") && !seen.contains("Upgrade") && !seen.contains("Connection"), "{seen}");
}

#[tokio::test]
async fn connections_are_kept_on_both_sides() {
    let target = Target::start(Manner::ok("x")).await;
    let rig = Rig::start(&[&target]).await;
    let mut client = rig.connect().await;
    for _ in 0..20 {
        assert!(client.get("/").await.ends_with("\r\n\r\nx"));
    }
    assert_eq!(target.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_their_order() {
    let target = Target::start(Manner::ok("x")).await;
    let rig = Rig::start(&[&target]).await;
    let one = |path: &str| format!("GET /{path} HTTP/1.1\r\nHost: a\r\n\r\n");
    let post = "POST /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    let mut client = rig.connect().await;
    client.send([one("1"), one("2"), post.to_owned(), one("4")].concat()).await;
    for _ in 0..4 {
        assert!(client.reply().await.unwrap().starts_with("HTTP/1.1 200 OK\r\n"));
    }
    let lines: Vec<_> = target.seen().iter().map(|request| request.lines().next().unwrap().to_owned()).collect();
    assert_eq!(lines, ["GET /1 HTTP/1.1", "GET /2 HTTP/1.1", "POST /3 HTTP/1.1", "GET /4 HTTP/1.1"]);
}

#[tokio::test]
async fn an_http_1_0_client_is_served_and_may_keep_its_connection() {
    let target = Target::start(Manner::ok("x")).await;
    let rig = Rig::start(&[&target]).await;
    assert!(rig.ask("GET / HTTP/1.0\r\n\r\n").await.ends_with("\r\n\r\nx"));
    assert!(target.seen()[0].contains(&format!("\r\nHost: {}\r\n", rig.address)));
    let mut client = rig.connect().await;
    for _ in 0..2 {
        client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").await;
        assert!(client.reply().await.unwrap().to_ascii_lowercase().contains("\r\nconnection: keep-alive\r\n"));
    }
}

#[tokio::test]
async fn a_chunked_upload_goes_through_however_it_is_cut() {
    let target = Target::start(Manner::ok("x")).await;
    let rig = Rig::start(&[&target]).await;
    let mut client = rig.connect().await;
    let request = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nT: v\r\n\r\n";
    for byte in request.as_bytes() {
        client.send([*byte]).await;
        tokio::task::yield_now().await;
    }
    assert!(client.reply().await.unwrap().starts_with("HTTP/1.1 200"));
    let seen = target.seen().remove(0);
    let body: String = seen.split("\r\n\r\n").nth(1).unwrap().split("\r\n").skip(1).step_by(2).collect();
    assert_eq!(body, "hello world", "{seen}");
    assert!(seen.contains("\r\nTransfer-Encoding: chunked\r\n"));
    // The connection is good for another request.
    assert!(client.get("/").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_get_keeps_the_body_it_came_with() {
    let target = Target::start(Manner::ok("x")).await;
    let rig = Rig::start(&[&target]).await;
    for framed in ["Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "Content-Length: 3\r\n\r\nabc"] {
        let mut client = rig.connect().await;
        client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{framed}")).await;
        assert!(client.reply().await.unwrap().starts_with("HTTP/1.1 200 OK\r\n"));
        let seen = target.seen().pop().unwrap();
        assert!(seen.contains("abc"), "{seen}");
    }
}

#[tokio::test]
async fn a_client_that_waits_to_be_told_to_go_on_is_told() {
    let target = Target::start(Manner::ok("x")).await;
    let rig = Rig::start(&[&target]).await;
    let mut client = rig.connect().await;
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n").await;
    assert!(client.reply().await.unwrap().starts_with("HTTP/1.1 100 Continue\r\n"));
    client.send("hello").await;
    assert!(client.reply().await.unwrap().starts_with("HTTP/1.1 200 OK\r\n"));
    let seen = target.seen().remove(0);
    assert!(seen.ends_with("hello") && !seen.contains("Expect"), "{seen}");
}

#[tokio::test]
async fn a_huge_reply_is_streamed_to_a_slow_client() {
    const SIZE: usize = 64 << 20;
    let mut reply = format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n").into_bytes();
    let head = reply.len();
    reply.resize(head + SIZE, b'x');
    let target = Target::start(Manner::Says(reply)).await;
    let rig = Rig::start(&[&target]).await;
    let mut client = rig.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let (mut got, mut buffer) = (0, vec![0; 1 << 20]);
    while got < head + SIZE {
        let count = client.stream.read(&mut buffer).await.unwrap();
        assert_ne!(count, 0, "the end came after {got} bytes");
        got += count;
        if got < 1 << 20 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    assert_eq!(got, head + SIZE);
    assert_eq!(target.seen().len(), 1);
}

#[tokio::test]
async fn a_reply_of_unknown_length_goes_on_in_chunks() {
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n".to_vec();
    let closed = b"HTTP/1.0 200 OK\r\n\r\nabc".to_vec();
    for manner in [Manner::Says(chunked), Manner::BreaksOff(closed)] {
        let target = Target::start(manner).await;
        let rig = Rig::start(&[&target]).await;
        let reply = rig.get("/").await;
        assert!(
            reply.contains("\r\nTransfer-Encoding: chunked\r\n") && reply.contains("3\r\nabc\r\n0\r\n\r\n"),
            "{reply}"
        );
        assert!(rig.ask("GET / HTTP/1.0\r\n\r\n").await.ends_with("\r\n\r\nabc"));
    }
}

#[tokio::test]
async fn a_length_beside_chunks_counts_for_nothing() {
    let both = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let target = Target::start(Manner::Says(both.to_vec())).await;
    let rig = Rig::start(&[&target]).await;
    let reply = rig.get("/").await;
    assert!(reply.ends_with("\r\n\r\n3\r\nabc\r\n0\r\n\r\n") && !reply.contains("Content-Length"), "{reply}");
}

#[tokio::test]
async fn round_robin_gives_each_target_its_turn() {
    let targets = [Target::start(Manner::ok("x")).await, Target::start(Manner::ok("x")).await];
    let rig = Rig::start(&[&targets[0], &targets[1]]).await;
    let mut client = rig.connect().await;
    for _ in 0..10 {
        client.get("/").await;
    }
    assert_eq!(targets.each_ref().map(|target| target.seen().len()), [5, 5]);
}

#[tokio::test]
async fn the_target_with_the_fewest_requests_in_flight_gets_the_next() {
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let busy = Target::start(Manner::Waits(gate)).await;
    let free = Target::start(Manner::ok("x")).await;
    let mut rig = Rig::start(&[&busy]).await;
    let mut held = rig.connect().await;
    held.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    until("the request is in flight", || busy.seen().len() == 1).await;
    rig.route_by(Algorithm::LeastOutstandingRequests, &[(&busy, false), (&free, false)]).await;
    for _ in 0..6 {
        assert!(rig.get("/").await.ends_with('x'));
    }
    assert_eq!(busy.seen().len(), 1);
}

#[tokio::test]
async fn a_client_that_has_closed_its_side_gets_its_answer() {
    let target = Target::start(Manner::ok("x")).await;
    let rig = Rig::start(&[&target]).await;
    let mut client = Client::connect(rig.address).await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    client.stream.shutdown().await.unwrap();
    assert!(client.rest().await.ends_with("\r\n\r\nx"));
}
