//! A small HTTP/1.1 client that knows when its bytes went and came.
//!
//! Owns one TCP connection at a time, takes its stamps right at the system calls, keeps everything within limits and tells
//! faults apart by who is to blame. GET only, no TLS, no redirects, no content codings.

mod body;
mod fault;
mod reply;

pub use fault::Fault;
pub use reply::Reply;

use std::net::SocketAddr;
use std::time::Duration;

use gimmetime_clock::{Now, source};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use body::BodyReader;
use reply::{Head, parse_head};

const USER_AGENT: &str = concat!("gimmetime/", env!("CARGO_PKG_VERSION"));
/// What one read asks for: a `/now` reply and its head fit many times.
const READ_SIZE: usize = 4096;
/// More interim replies (1xx) than this before the final one are refused.
const MAX_INTERIM: usize = 8;

/// How long and how large a reply may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the write of the request to the end of the body.
    pub timeout: Duration,
    /// Bytes of the head; a longer one is malformed.
    pub head: usize,
    /// Bytes of the body that are kept; a longer one is cut, and its connection closed.
    pub body: usize,
}

impl Limits {
    /// That long, a head of 16 KiB, a body of 64 KiB.
    pub const fn within(timeout: Duration) -> Self {
        Self { timeout, head: 16 << 10, body: 64 << 10 }
    }
}

/// One connection, for one request after the other.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    peer: SocketAddr,
    reusable: bool,
    answered: u64,
}

/// Asks once on a connection of its own, which is closed afterwards: what a health check does. `timeout` covers it all.
pub async fn get(
    address: SocketAddr,
    host: &str,
    path: &str,
    headers: &[(&str, &str)],
    timeout: Duration,
) -> Result<Reply, Fault> {
    let started = source::mono();
    let mut connection = Connection::open(address, timeout).await?;
    let left = timeout.saturating_sub(source::mono().since(started));
    let headers: Vec<_> = headers.iter().copied().chain([("Connection", "close")]).collect();
    let reply = connection.get(path, host, &headers, Limits::within(left)).await;
    reply.map_err(|fault| if matches!(fault, Fault::Timeout(_)) { Fault::Timeout(timeout) } else { fault })
}

impl Connection {
    /// Connects, without delaying small writes (`TCP_NODELAY`).
    pub async fn open(address: SocketAddr, timeout: Duration) -> Result<Self, Fault> {
        let connected = tokio::time::timeout(timeout, TcpStream::connect(address)).await;
        let stream = connected.map_err(|_| Fault::ConnectTimeout(timeout))?.map_err(|e| Fault::of_connect(&e))?;
        // A port nobody listens on, in the range of local ports: TCP may connect a socket to itself.
        if stream.local_addr().is_ok_and(|local| local == address) {
            return Err(Fault::Refused);
        }
        stream.set_nodelay(true).map_err(|error| Fault::of_connect(&error))?;
        Ok(Self { stream, buffer: Vec::with_capacity(READ_SIZE), peer: address, reusable: true, answered: 0 })
    }

    /// Who is at the other end.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// How many replies came over it.
    pub fn answered(&self) -> u64 {
        self.answered
    }

    /// Whether another request may be sent: the last reply ended cleanly, promised to keep the connection, and nothing has
    /// come since, the end of the connection included.
    pub fn is_reusable(&self) -> bool {
        let quiet = || {
            let silence = self.stream.try_read(&mut [0]);
            silence.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
        };
        self.reusable && quiet()
    }

    /// Sends one GET and reads the reply. `headers` come behind `Host`, `User-Agent` (unless given) and `Accept`.
    ///
    /// After an error, or when dropped half-way, the connection is not reusable.
    pub async fn get(
        &mut self,
        path: &str,
        host: &str,
        headers: &[(&str, &str)],
        limits: Limits,
    ) -> Result<Reply, Fault> {
        self.reusable = false;
        let request = render(path, host, headers)?;
        let exchange = tokio::time::timeout(limits.timeout, self.exchange(&request, limits));
        exchange.await.unwrap_or(Err(Fault::Timeout(limits.timeout)))
    }

    async fn exchange(&mut self, request: &[u8], limits: Limits) -> Result<Reply, Fault> {
        self.buffer.clear();
        let sent = source::now();
        self.stream.write_all(request).await.map_err(|error| Fault::of_stream(&error, 0))?;
        let (head, received, head_done) = self.read_head(limits.head).await?;
        let bytes = self.buffer.drain(..head.length).collect();
        let (body, done) = self.read_body(&head, limits.body, head_done).await?;
        self.answered += 1;
        self.reusable = head.keeps_alive && !body.cut && self.buffer.is_empty();
        Ok(Reply {
            status: head.status,
            head: bytes,
            body: body.body,
            body_cut: body.cut,
            sent,
            received,
            head_done,
            done,
            fields: head.fields,
        })
    }

    /// The final head, and the moments of its first and its last byte.
    async fn read_head(&mut self, limit: usize) -> Result<(Head, Now, Now), Fault> {
        let mut interim = 0;
        let mut moment = self.read_more(0).await?.ok_or(Fault::Closed)?;
        let mut first = moment;
        loop {
            match parse_head(&self.buffer)? {
                Some(head) if 200 <= head.status => return Ok((head, first, moment)),
                Some(head) if interim < MAX_INTERIM && head.status != 101 => {
                    interim += 1;
                    self.buffer.drain(..head.length);
                    if self.buffer.is_empty() {
                        moment = self.read_more(head.length).await?.ok_or(Fault::CutShort(head.length))?;
                    }
                    // The clock may be read after the interim reply was sent: only what came since counts.
                    first = moment;
                }
                Some(head) => return Err(Fault::Malformed(format!("unexpected status {}", head.status))),
                None if limit <= self.buffer.len() => {
                    return Err(Fault::Malformed(format!("a head of more than {limit} bytes")));
                }
                None => {
                    let seen = self.buffer.len();
                    moment = self.read_more(seen).await?.ok_or(Fault::CutShort(seen))?;
                }
            }
        }
    }

    async fn read_body(&mut self, head: &Head, limit: usize, mut moment: Now) -> Result<(BodyReader, Now), Fault> {
        let mut body = BodyReader::new(head.framing, limit);
        loop {
            let used = body.feed(&self.buffer)?;
            self.buffer.drain(..used);
            if body.is_done() {
                return Ok((body, moment));
            }
            let seen = head.length + body.body.len();
            match self.read_more(seen).await? {
                Some(later) => moment = later,
                // The end is what ends such a body; the clock reading came with the bytes before it.
                None if body.may_end_here() => return Ok((body, moment)),
                None => return Err(Fault::CutShort(seen)),
            }
        }
    }

    /// Reads once; the moment right after, or `None` at the end of the stream.
    async fn read_more(&mut self, seen: usize) -> Result<Option<Now>, Fault> {
        self.buffer.reserve(READ_SIZE);
        let count = self.stream.read_buf(&mut self.buffer).await;
        let moment = source::now();
        let count = count.map_err(|error| Fault::of_stream(&error, seen))?;
        Ok((count != 0).then_some(moment))
    }
}

/// The whole request, for one write.
fn render(path: &str, host: &str, headers: &[(&str, &str)]) -> Result<Vec<u8>, Fault> {
    let visible = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    let printable = |text: &str| text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    for text in [path, host].into_iter().chain(headers.iter().map(|(name, _)| *name)) {
        if !visible(text) {
            return Err(Fault::Unsendable(text.escape_debug().to_string()));
        }
    }
    let mut request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("User-Agent")) {
        request.extend(["User-Agent: ", USER_AGENT, "\r\n"]);
    }
    request.push_str("Accept: */*\r\n");
    for (name, value) in headers {
        if !printable(value) {
            return Err(Fault::Unsendable(value.escape_debug().to_string()));
        }
        request.extend([*name, ": ", *value, "\r\n"]);
    }
    request.push_str("\r\n");
    Ok(request.into_bytes())
}

#[cfg(test)]
mod tests;
