//! Stands between a client's socket and the HTTP library: lets one classified message through at a time.
//!
//! A head is released only once all of it has arrived and passed [`crate::head`]; then exactly its body; only then is the next
//! head looked at. What is refused is answered here, after everything the library still had to say, and the connection is
//! closed in a way that does not destroy the answer on its way (lingering close).

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use hyper::rt::ReadBufCursor;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::{Sleep, sleep};

use crate::answer;
use crate::head::{Chunks, Finder, Framing, Refusal};
use crate::patience::Patience;

/// Room for a usual head; grows to the limits of [`crate::head`] for a large one.
const HEAD_ROOM: usize = 2 * 1024;
/// Room for a body on its way through.
const BODY_ROOM: usize = 32 * 1024;
/// How long a client may go on sending what nobody reads, after its answer was sent.
const LINGER: Duration = Duration::from_secs(2);

/// What the guard and whoever serves the connection tell each other.
#[derive(Debug, Default)]
pub(crate) struct Link {
    refusal: OnceLock<Refusal>,
    head_bytes: AtomicUsize,
    ending: AtomicBool,
}

impl Link {
    /// Why the connection was ended, if it was refused something.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        self.refusal.get().copied()
    }

    /// Bytes of the head that was released last.
    pub(crate) fn head_bytes(&self) -> usize {
        self.head_bytes.load(Ordering::Relaxed)
    }

    /// Ends the connection as soon as the client is silent between two requests. The connection must be polled after it.
    pub(crate) fn end_when_idle(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }
}

/// A client's socket, guarded.
pub(crate) struct Guard<S> {
    socket: S,
    buffer: BytesMut,
    /// So many bytes at the front of the buffer may be read.
    released: usize,
    place: Place,
    parting: Parting,
    patience: Patience,
    link: Arc<Link>,
}

/// Where in the stream of messages the bytes after the released ones are.
enum Place {
    Head(Finder),
    Length(u64),
    Chunks(Chunks),
    /// Nothing will be released any more; the client may still be sending.
    Refused,
    /// The client has closed its side.
    Ended,
}

/// How far the closing of the connection is.
enum Parting {
    NotYet,
    Answer(Bytes),
    Finish,
    Linger(Pin<Box<Sleep>>),
    Done,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Guard<S> {
    /// Guards `socket`, on which nothing may rest, and no head may take, for longer than `idle`.
    pub(crate) fn new(socket: S, idle: Duration, link: Arc<Link>) -> Self {
        Self {
            socket,
            buffer: BytesMut::new(),
            released: 0,
            place: Place::Head(Finder::default()),
            parting: Parting::NotYet,
            patience: Patience::new(idle),
            link,
        }
    }

    /// Releases what the buffer holds of the message at hand; waits for more if that is nothing. Ready with nothing released
    /// is the end.
    fn poll_release(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.released == 0 {
            match &mut self.place {
                Place::Refused | Place::Ended => return Poll::Ready(Ok(())),
                Place::Head(finder) => match finder.advance(&self.buffer) {
                    Ok(Some(head)) => {
                        self.buffer.advance(head.skip);
                        self.released = head.end - head.skip;
                        self.link.head_bytes.store(self.released, Ordering::Relaxed);
                        self.patience.renew();
                        self.place = Place::after_head(head.framing);
                    }
                    Ok(None) => ready!(self.poll_more_head(cx))?,
                    Err(refusal) => self.refuse(refusal),
                },
                Place::Length(0) => self.place = Place::Head(Finder::default()),
                Place::Length(left) if !self.buffer.is_empty() => {
                    self.released = self.buffer.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= self.released as u64;
                }
                Place::Chunks(chunks) if !self.buffer.is_empty() => {
                    let scan = chunks
                        .scan(&self.buffer)
                        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a chunk that is not one"))?;
                    self.released = scan.taken;
                    if scan.done {
                        self.place = Place::Head(Finder::default());
                    }
                }
                Place::Length(_) | Place::Chunks(_) => ready!(self.poll_more_body(cx))?,
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_more_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let is_silent = self.buffer.is_empty();
        let filled = self.poll_fill(cx, HEAD_ROOM);
        if is_silent && filled.is_ready() {
            // Only the first byte: the timeout is for the head as a whole, or one that trickles would hold its place for days.
            self.patience.renew();
        }
        match filled {
            // A reset between two requests is an end like any other.
            Poll::Ready(Ok(0) | Err(_)) if self.buffer.is_empty() => self.place = Place::Ended,
            Poll::Ready(Ok(0)) => self.refuse(Refusal::Malformed("an unfinished request")),
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending if self.buffer.is_empty() => {
                if !self.link.ending.load(Ordering::Relaxed) {
                    ready!(self.patience.poll_lost(cx));
                }
                self.place = Place::Ended;
            }
            Poll::Pending => {
                ready!(self.patience.poll_lost(cx));
                self.refuse(Refusal::Timeout);
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_more_body(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.poll_fill(cx, BODY_ROOM) {
            Poll::Ready(Ok(0)) => {
                self.place = Place::Ended;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(result) => {
                self.patience.renew();
                Poll::Ready(result.map(drop))
            }
            Poll::Pending => {
                ready!(self.patience.poll_lost(cx));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<io::Result<usize>> {
        if self.buffer.capacity() - self.buffer.len() < room / 2 {
            self.buffer.reserve(room);
        }
        pin!(self.socket.read_buf(&mut self.buffer)).poll(cx)
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.link.refusal.set(refusal).expect("after the first refusal no head is looked at");
        self.parting = Parting::Answer(answer::refusal(refusal));
        self.place = Place::Refused;
    }

    fn note_write(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.patience.renew();
            return written;
        }
        ready!(self.patience.poll_lost(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match &mut self.parting {
                Parting::NotYet => self.parting = Parting::Finish,
                Parting::Answer(rest) if rest.is_empty() => self.parting = Parting::Finish,
                Parting::Answer(rest) => {
                    let written = Pin::new(&mut self.socket).poll_write(cx, rest);
                    if let Poll::Ready(Ok(count)) = written {
                        rest.advance(count);
                    }
                    ready!(self.note_write(cx, written))?;
                }
                Parting::Finish => {
                    ready!(Pin::new(&mut self.socket).poll_shutdown(cx))?;
                    self.parting = match self.place {
                        Place::Ended => Parting::Done,
                        Place::Head(_) | Place::Length(0) if self.buffer.is_empty() => Parting::Done,
                        _ => Parting::Linger(Box::pin(sleep(LINGER))),
                    };
                }
                Parting::Linger(limit) => {
                    if limit.as_mut().poll(cx).is_ready() {
                        self.parting = Parting::Done;
                        continue;
                    }
                    self.buffer.clear();
                    if !matches!(ready!(self.poll_fill(cx, BODY_ROOM)), Ok(1..)) {
                        self.parting = Parting::Done;
                    }
                }
                Parting::Done => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl Place {
    fn after_head(framing: Framing) -> Self {
        match framing {
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunks(Chunks::default()),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> hyper::rt::Read for Guard<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, mut out: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let guard = self.get_mut();
        ready!(guard.poll_release(cx))?;
        let count = guard.released.min(out.remaining());
        out.put_slice(&guard.buffer[..count]);
        guard.buffer.advance(count);
        guard.released -= count;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> hyper::rt::Write for Guard<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let guard = self.get_mut();
        let written = Pin::new(&mut guard.socket).poll_write(cx, bytes);
        guard.note_write(cx, written)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_part(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let guard = self.get_mut();
        let written = Pin::new(&mut guard.socket).poll_write_vectored(cx, parts);
        guard.note_write(cx, written)
    }
}

#[cfg(test)]
mod tests {
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const IDLE: Duration = Duration::from_mins(1);

    /// What a guard lets through of `stream`, and what it answers itself.
    async fn through(stream: &[u8], cut: usize) -> (Vec<u8>, String) {
        let (mut client, socket) = duplex(1 << 20);
        let mut guard = TokioIo::new(Guard::new(socket, IDLE, Arc::default()));
        let sending = async {
            for part in stream.chunks(cut) {
                client.write_all(part).await.unwrap();
                tokio::task::yield_now().await;
            }
            client.shutdown().await.unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let serving = async {
            let mut passed = Vec::new();
            // A broken body ends in an error after what passed of it.
            let _ = guard.read_to_end(&mut passed).await;
            guard.shutdown().await.unwrap();
            drop(guard);
            passed
        };
        let (answer, passed) = tokio::join!(sending, serving);
        (passed, answer)
    }

    #[tokio::test]
    async fn good_messages_pass_unchanged_and_a_bad_one_is_answered() {
        let good = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET / HTTP/1.0\r\n\r\n";
        let bad = b"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\nHost: a\r\n\r\nx";
        for cut in [1, 7, 1000] {
            let (passed, answer) = through(&[good.as_slice(), bad].concat(), cut).await;
            assert_eq!(passed, good);
            assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
            assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
        }
    }

    #[tokio::test]
    async fn nothing_passes_of_a_head_that_is_refused_at_its_end() {
        let (passed, _) = through(b"GET / HTTP/1.1\r\nA: b\r\n\r\n", 3).await;
        assert_eq!(passed, b"");
    }

    #[tokio::test]
    async fn a_head_that_comes_byte_by_byte_has_the_idle_timeout_as_a_whole() {
        let (client, socket) = duplex(1024);
        let mut guard = TokioIo::new(Guard::new(socket, Duration::from_millis(50), Arc::default()));
        let (mut hearing, mut sending) = tokio::io::split(client);
        let trickle = async {
            while sending.write_all(b"G").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let refused = async {
            assert_eq!(guard.read(&mut [0; 10]).await.unwrap(), 0);
            let mut answer = [0; 12];
            tokio::select! {
                heard = hearing.read_exact(&mut answer) => drop(heard.unwrap()),
                parted = guard.shutdown() => parted.unwrap(),
            }
            assert_eq!(&answer, b"HTTP/1.1 408");
        };
        let limit = tokio::time::timeout(Duration::from_secs(10), refused);
        tokio::select! {
            refused = limit => refused.expect("it is refused"),
            () = trickle => {}
        }
    }

    #[tokio::test]
    async fn half_a_head_is_answered_after_the_idle_timeout_and_silence_just_ends() {
        for (sent, answered) in [("GET / HT", "HTTP/1.1 408 Request Timeout\r\n"), ("", "")] {
            let (mut client, socket) = duplex(1024);
            let mut guard = TokioIo::new(Guard::new(socket, Duration::from_millis(20), Arc::default()));
            client.write_all(sent.as_bytes()).await.unwrap();
            assert_eq!(guard.read(&mut [0; 10]).await.unwrap(), 0);
            let parting = async {
                guard.shutdown().await.unwrap();
                drop(guard);
            };
            let hearing = async {
                let mut answer = String::new();
                client.read_to_string(&mut answer).await.unwrap();
                drop(client);
                answer
            };
            let ((), answer) = tokio::join!(parting, hearing);
            assert!(answer.starts_with(answered) && answer.is_empty() == answered.is_empty(), "{answer}");
        }
    }
}
