//! Limits, each reached: short ones stand in for those that are served with. Whoever waits here, waits for an end that must come.

use std::net::SocketAddr;
use std::time::Duration;

use hyper::HeaderMap;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::*;

/// Far longer than any limit of a test: reached only by what never ends.
const NEVER: Duration = Duration::from_mins(1);
const SHORT: Duration = Duration::from_millis(100);
const UNSIGNED: &[u8] = b"GET /nothing HTTP/1.1\r\nhost: a\r\n\r\n";

fn patient() -> Limits {
    Limits { head: NEVER, body: NEVER, answer: NEVER, lifetime: NEVER, last_call: NEVER, ..LIMITS }
}

fn keys() -> Keys {
    Keys { access_key: "AKIDGIMMETIME".into(), secret_key: "a secret of this test's own".into() }
}

/// A server whose calls nobody answers as long as the receiver is kept.
async fn served(limits: Limits) -> (SocketAddr, mpsc::Receiver<(Call, oneshot::Sender<Answer>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (calls, received) = mpsc::channel(1);
    tokio::spawn(serve_within(limits, listener, keys(), calls));
    (address, received)
}

/// All that comes until the server closes.
async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut reply = Vec::new();
    // A reset is an end too.
    let _ = timeout(NEVER, stream.read_to_end(&mut reply)).await.expect("the server closes");
    String::from_utf8_lossy(&reply).into_owned()
}

/// All that comes back for these bytes until the server closes.
async fn sent(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let _ = stream.write_all(request).await;
    read_to_end(&mut stream).await
}

#[tokio::test]
async fn a_head_that_never_ends_and_an_idle_connection_are_cut_off() {
    let (address, _calls) = served(Limits { head: SHORT, ..patient() }).await;
    for begun in [&b"POST / HTTP/1.1\r\nhost:"[..], b"", UNSIGNED] {
        let reply = sent(address, begun).await;
        assert_eq!(reply.matches("HTTP/1.1 404").count(), usize::from(begun == UNSIGNED), "{reply}");
    }
}

#[tokio::test]
async fn a_body_that_never_comes_is_told_so() {
    let (address, _calls) = served(Limits { body: SHORT, head: SHORT, ..patient() }).await;
    let reply = sent(address, b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n{").await;
    assert!(reply.starts_with("HTTP/1.1 408 ") && reply.contains("RequestTimeoutException"), "{reply}");
}

#[tokio::test]
async fn a_head_that_is_too_large_or_has_too_many_headers_is_refused() {
    let (address, _calls) = served(patient()).await;
    let large = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "v".repeat(2 * limits::HEAD_SIZE));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "x: v\r\n".repeat(limits::HEADERS + 1));
    for head in [large, many] {
        let reply = sent(address, head.as_bytes()).await;
        assert!(reply.starts_with("HTTP/1.1 431 "), "{reply}");
    }
}

#[tokio::test]
async fn a_connection_too_many_waits_until_another_ends() {
    let (address, _calls) = served(Limits { connections: 2, ..patient() }).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(UNSIGNED).await.unwrap();
        stream.read_u8().await.unwrap(); // it is being served
        held.push(stream);
    }
    let mut third = TcpStream::connect(address).await.unwrap();
    third.write_all(UNSIGNED).await.unwrap();
    assert!(timeout(SHORT, third.read_u8()).await.is_err(), "it is served beside two others");
    drop(held.pop());
    assert_eq!(timeout(NEVER, third.read_u8()).await.expect("it is served").unwrap(), b'H');
}

#[tokio::test]
async fn an_engine_that_does_not_answer_is_no_reason_to_wait_for_ever() {
    let (address, _calls) = served(Limits { answer: SHORT, ..patient() }).await;
    let (target, body) = (crate::DESCRIBE_ENGINE, json!({}).to_string());
    let mut headers = HeaderMap::new();
    headers.insert("host", address.to_string().parse().unwrap());
    headers.insert("x-amz-target", target.parse().unwrap());
    sigv4::sign(&Method::POST, &mut headers, body.as_bytes(), &keys(), Service::Engine, source::wall()).unwrap();
    let lines = headers.iter().map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap()));
    let head = lines.collect::<String>();
    let request = format!("POST / HTTP/1.1\r\n{head}content-length: 2\r\nconnection: close\r\n\r\n{body}");
    let reply = sent(address, request.as_bytes()).await;
    assert!(reply.starts_with("HTTP/1.1 500 ") && reply.contains("did not answer within 100ms"), "{reply}");
}

#[tokio::test]
async fn whoever_never_reads_replies_does_not_stay_for_ever() {
    let (address, _calls) = served(Limits { lifetime: SHORT, last_call: SHORT, ..patient() }).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let asks = UNSIGNED.repeat(100);
    let refused = async { while stream.write_all(&asks).await.is_ok() {} };
    timeout(NEVER, refused).await.expect("the server closes");
}

#[tokio::test]
async fn a_server_without_room_ends_all_the_same() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (calls, received) = mpsc::channel(1);
    let limits = Limits { connections: 1, goodbye: SHORT, ..patient() };
    let server = tokio::spawn(serve_within(limits, listener, keys(), calls));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n").await.unwrap();
    let mut second = TcpStream::connect(address).await.unwrap();
    second.write_all(UNSIGNED).await.unwrap();
    assert!(timeout(SHORT, second.read_u8()).await.is_err());
    drop(received);
    timeout(NEVER, server).await.expect("the server ends").unwrap().unwrap();
}
