//! The client against servers that misbehave on real sockets.

use super::*;
use crate::testing::{PATIENCE, answering, eventually, nobody, plain, read_request, serve};
use tokio::net::TcpSocket;

/// Serves one reply, written in these pieces, then closes.
async fn pieces(parts: &'static [&'static [u8]]) -> SocketAddr {
    serve(move |mut stream, _| async move {
        read_request(&mut stream).await;
        for part in parts {
            stream.write_all(part).await.unwrap();
            stream.flush().await.unwrap();
            // Gives the reader a chance to see the piece alone; nothing depends on whether it does.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await
}

async fn ask(address: SocketAddr) -> Result<Reply, Fault> {
    get(address, "h", "/now", &[], PATIENCE).await
}

#[tokio::test]
async fn a_reply_bears_its_moments_in_order() {
    let address = pieces(&[b"HTTP/1.1 200 OK\r\nConte", b"nt-Length: 10\r\n\r\n17900", b"00000"]).await;
    let reply = ask(address).await.unwrap();
    assert_eq!((reply.status, reply.text().as_str()), (200, "1790000000"));
    let moments = [reply.sent, reply.received, reply.head_done, reply.done];
    assert!(moments.is_sorted_by_key(|now| now.mono) && reply.sent.mono < reply.received.mono, "{moments:?}");
    assert_eq!(reply.header("content-length"), Some(&b"10"[..]));
}

#[tokio::test]
async fn chunks_and_bodies_that_end_with_the_connection_are_read() {
    let chunked = pieces(&[
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n1790\r",
        b"\n6\r\n000000\r\n0\r\n",
        b"\r\n",
    ]);
    assert_eq!(ask(chunked.await).await.unwrap().text(), "1790000000");
    let endless = pieces(&[b"HTTP/1.0 200 OK\r\n\r\n1790", b"000000"]);
    assert_eq!(ask(endless.await).await.unwrap().text(), "1790000000");
}

#[tokio::test]
async fn an_interim_reply_is_skipped_and_its_moment_does_not_count() {
    let address =
        pieces(&[b"HTTP/1.1 103 Early Hints\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"]).await;
    let reply = ask(address).await.unwrap();
    assert_eq!((reply.status, reply.text().as_str()), (200, "ok"));
    let switched = pieces(&[b"HTTP/1.1 101 Switching\r\n\r\n"]).await;
    assert_eq!(ask(switched).await.unwrap_err(), Fault::Malformed("unexpected status 101".to_owned()));
}

#[tokio::test]
async fn a_connection_is_kept_for_the_next_request() {
    let address = serve(|mut stream, before| async move {
        while read_request(&mut stream).await.is_some() {
            stream.write_all(&plain("200 OK", &before.to_string())).await.unwrap();
        }
    })
    .await;
    let mut connection = Connection::open(address, PATIENCE).await.unwrap();
    for answered in 1..=3 {
        let reply = connection.get("/", "h", &[], Limits::within(PATIENCE)).await.unwrap();
        assert_eq!(reply.text(), "0");
        assert_eq!((connection.answered(), connection.is_reusable()), (answered, true));
    }
    assert_eq!(ask(address).await.unwrap().text(), "1", "a single request has a connection of its own");
}

#[tokio::test]
async fn a_kept_connection_that_the_server_closes_is_not_reusable() {
    let address = pieces(&[b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"]).await;
    let mut connection = Connection::open(address, PATIENCE).await.unwrap();
    connection.get("/", "h", &[], Limits::within(PATIENCE)).await.unwrap();
    eventually(|| !connection.is_reusable()).await;
    let fault = connection.get("/", "h", &[], Limits::within(PATIENCE)).await.unwrap_err();
    assert!(fault.may_be_stale(), "{fault}");
}

#[tokio::test]
async fn a_single_request_says_that_it_is_one_and_who_asks() {
    let address = answering(|request| plain("200 OK", request)).await;
    let reply = get(address, "time:81", "/live?x", &[("User-Agent", "ELB-HealthChecker/2.0")], PATIENCE).await.unwrap();
    let expected = "GET /live?x HTTP/1.1\r\nHost: time:81\r\nAccept: */*\r\nUser-Agent: ELB-HealthChecker/2.0\r\nConnection: close\r\n\r\n";
    assert_eq!(reply.text(), expected);
}

#[tokio::test]
async fn a_reset_before_the_answer_is_told_from_a_close() {
    let reset = serve(|stream, _| async move {
        // Closed with the request unread: the kernel answers with a reset.
        stream.readable().await.unwrap();
    });
    assert_eq!(ask(reset.await).await.unwrap_err(), Fault::Reset);
    let closed = serve(|mut stream, _| async move {
        read_request(&mut stream).await;
    });
    assert_eq!(ask(closed.await).await.unwrap_err(), Fault::Closed);
}

#[tokio::test]
async fn an_answer_cut_short_is_neither() {
    let half_head = pieces(&[b"HTTP/1.1 200 OK\r\nContent-"]).await;
    assert_eq!(ask(half_head).await.unwrap_err(), Fault::CutShort(25));
    let half_body = pieces(&[b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n1790"]).await;
    assert!(matches!(ask(half_body).await, Err(Fault::CutShort(_))));
    let half_chunk = pieces(&[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n1790000000\r\n"]).await;
    assert!(matches!(ask(half_chunk).await, Err(Fault::CutShort(_))));
}

#[tokio::test]
async fn silence_and_a_dribble_both_end_at_the_timeout() {
    let timeout = Duration::from_millis(30);
    let silent = serve(|mut stream, _| async move {
        read_request(&mut stream).await;
        std::future::pending::<()>().await;
    });
    assert_eq!(get(silent.await, "h", "/", &[], timeout).await.unwrap_err(), Fault::Timeout(timeout));
    let dribbling = serve(|mut stream, _| async move {
        while stream.write_all(b"H").await.is_ok() {
            std::future::pending::<()>().await;
        }
    });
    assert_eq!(get(dribbling.await, "h", "/", &[], timeout).await.unwrap_err(), Fault::Timeout(timeout));
}

#[tokio::test]
async fn what_is_not_http_and_what_exceeds_the_limits_is_malformed() {
    let ssh = pieces(&[b"SSH-2.0-OpenSSH_9.2\r\n"]).await;
    assert!(matches!(ask(ssh).await, Err(Fault::Malformed(_))));
    let endless = serve(|mut stream, _| async move {
        let mut part = b"HTTP/1.1 200 OK\r\nA: ".to_vec();
        while stream.write_all(&part).await.is_ok() {
            part = vec![b'x'; 1000];
        }
    });
    assert_eq!(ask(endless.await).await.unwrap_err(), Fault::Malformed("a head of more than 16384 bytes".to_owned()));
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_cut_and_its_connection_not_used_again() {
    let address = answering(|_| plain("200 OK", &"x".repeat(100))).await;
    let mut connection = Connection::open(address, PATIENCE).await.unwrap();
    let limits = Limits { body: 10, ..Limits::within(PATIENCE) };
    let reply = connection.get("/", "h", &[], limits).await.unwrap();
    assert_eq!((reply.body.len(), reply.body_cut, connection.is_reusable()), (10, true, false));
}

#[tokio::test]
async fn a_port_nobody_listens_on_refuses() {
    assert_eq!(ask(nobody()).await.unwrap_err(), Fault::Refused);
}

#[tokio::test]
async fn a_listener_that_accepts_nobody_ends_at_the_connect_timeout() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let timeout = Duration::from_millis(50);
    let mut waiting = Vec::new();
    let fault = loop {
        match Connection::open(address, timeout).await {
            Ok(connection) => waiting.push(connection),
            Err(fault) => break fault,
        }
        assert!(waiting.len() < 100, "a backlog of 1 has no room for a hundred");
    };
    assert_eq!(fault, Fault::ConnectTimeout(timeout));
    assert!(fault.before_connect());
}

#[tokio::test]
async fn nothing_is_smuggled_into_a_request() {
    let address = answering(|_| plain("200 OK", "")).await;
    for (path, host, value) in [("/a b", "h", ""), ("/", "h\r\nX: y", ""), ("/", "h", "a\nb"), ("", "h", "")] {
        let fault = get(address, host, path, &[("X", value)], PATIENCE).await.unwrap_err();
        assert!(matches!(fault, Fault::Unsendable(_)), "{path} {host} {value}: {fault}");
    }
}
