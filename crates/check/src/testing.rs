//! Tiny servers on real sockets, for tests: each behaves, or misbehaves, as its handler says.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gimmetime_clock::{Offset, Timestamp, reply, source};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::url::Url;

/// Far more than any test needs: reached only if something hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Serves every connection with `handler`, which is also told how many connections came before.
pub(crate) async fn serve<F, Fut>(handler: F) -> SocketAddr
where
    F: Fn(TcpStream, usize) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let handler = Arc::new(handler);
    tokio::spawn(async move {
        for count in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            tokio::spawn(handler(stream, count));
        }
    });
    address
}

/// Answers every request on every connection with what `reply` makes of the request's text.
pub(crate) async fn answering<F>(reply: F) -> SocketAddr
where
    F: Fn(&str) -> Vec<u8> + Send + Sync + 'static,
{
    let reply = Arc::new(reply);
    serve(move |mut stream, _| {
        let reply = Arc::clone(&reply);
        async move {
            while let Some(request) = read_request(&mut stream).await {
                if stream.write_all(&reply(&request)).await.is_err() {
                    return;
                }
            }
        }
    })
    .await
}

/// The next request's head, or `None` when the client has closed.
pub(crate) async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(request).unwrap())
}

/// An address of this machine that nobody listens on: not a port that was just let go, which another test may get.
pub(crate) fn nobody() -> SocketAddr {
    SocketAddr::from(([127, 9, 9, 9], 9))
}

/// Any reply with a length.
pub(crate) fn plain(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// The reply of a server that says whole seconds and nothing else, on a clock that far ahead.
pub(crate) fn seconds(ahead: Offset) -> Vec<u8> {
    plain("200 OK", str::from_utf8(&reply::format_body(shifted(ahead))).unwrap())
}

/// The reply of our own server, on a clock that far ahead.
pub(crate) fn stamped(instance: &str, ahead: Offset) -> Vec<u8> {
    let received = shifted(ahead);
    let sent = shifted(ahead);
    format!("HTTP/1.1 200 OK\r\n{}Content-Length: 10\r\n\r\n{}", stamps(Some(instance), received, sent), body(sent))
        .into_bytes()
}

/// The three header fields of a reply; a server may withhold its id.
pub(crate) fn stamps(instance: Option<&str>, received: Timestamp, sent: Timestamp) -> String {
    let text = |moment| String::from_utf8(reply::format_stamp(moment).to_vec()).unwrap();
    let (received, sent) = (text(received), text(sent));
    let instance = instance.map(|id| format!("{}: {id}\r\n", reply::INSTANCE)).unwrap_or_default();
    format!("{instance}{}: {received}\r\n{}: {sent}\r\n", reply::RECEIVED, reply::SENT)
}

pub(crate) fn body(moment: Timestamp) -> String {
    String::from_utf8(reply::format_body(moment).to_vec()).unwrap()
}

fn shifted(ahead: Offset) -> Timestamp {
    Timestamp::from_nanos(source::wall().as_nanos() + ahead.as_nanos())
}

pub(crate) fn url(address: SocketAddr, path: &str) -> Url {
    format!("http://{address}{path}").parse().unwrap()
}

/// Waits until `condition` holds.
#[track_caller]
pub(crate) fn eventually(mut condition: impl FnMut() -> bool) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let started = source::mono();
        while !condition() {
            assert!(source::mono().since(started) < PATIENCE, "waited too long at {caller}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}
