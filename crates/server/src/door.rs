//! The listening socket, and what to do when too many want in: accept never spins, and never fails silently.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

use gimmetime_clock::Mono;
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// Connections the kernel holds for us until they are accepted; it caps this at `net.core.somaxconn`.
const BACKLOG: i32 = 4096;
/// How long accepting rests when it cannot go on.
const PAUSE: Duration = Duration::from_millis(20);
/// How long newcomers wait for room in the kernel's queue before they are turned away.
const PATIENCE: Duration = Duration::from_secs(1);
/// Newcomers turned away in one go.
const TURNED_AWAY_AT_ONCE: usize = 64;
/// Trouble is told at most this often.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// One thread's view of the listening socket; all threads share one queue, so nothing is lost when one of them leaves.
#[derive(Debug)]
pub(crate) struct Door {
    listener: Option<TcpListener>,
    /// Held so that it can be given up: with no descriptor left, a newcomer can be turned away only in its place.
    spare: Option<OwnedFd>,
    /// The queue may hold somebody. Events are edges: they are not repeated while it does.
    ready: bool,
    rests_until: Option<Mono>,
    crowded_since: Option<Mono>,
    told: Option<Mono>,
}

/// What came of a look into the queue.
#[derive(Debug)]
pub(crate) enum Knock {
    In(TcpStream),
    Nobody,
    /// This one is lost, the next may be fine.
    Gone,
    /// No descriptor or no memory is left.
    Full(io::Error),
}

impl Door {
    /// Listens on `address`.
    pub(crate) fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
        let listener = std::net::TcpListener::bind(address)?;
        rustix::net::listen(&listener, BACKLOG)?; // std asks for 128; a second call only changes that
        rustix::net::sockopt::set_tcp_nodelay(&listener, true)?; // what is accepted inherits it
        listener.set_nonblocking(true)?;
        Ok(listener)
    }

    pub(crate) fn open(listener: std::net::TcpListener, registry: &Registry, token: Token) -> io::Result<Self> {
        let mut listener = TcpListener::from_std(listener);
        registry.register(&mut listener, token, Interest::READABLE)?;
        Ok(Self {
            listener: Some(listener),
            spare: spare(),
            ready: true,
            rests_until: None,
            crowded_since: None,
            told: None,
        })
    }

    /// The socket says that somebody is there.
    pub(crate) fn ring(&mut self) {
        self.ready = true;
    }

    /// Somebody left: there is room again.
    pub(crate) fn make_way(&mut self) {
        self.rests_until = None;
    }

    pub(crate) fn wants(&self, now: Mono) -> bool {
        self.ready && self.listener.is_some() && self.rests_until.is_none_or(|until| until <= now)
    }

    /// When to look again without an event, if at all.
    pub(crate) fn looks_again(&self, now: Mono) -> Option<Mono> {
        (self.ready && self.listener.is_some()).then(|| self.rests_until.unwrap_or(now))
    }

    /// Whether letting somebody in would succeed: asked before room is made at another's cost.
    pub(crate) fn somebody_waits(&mut self) -> bool {
        let Some(listener) = &self.listener else { return false };
        let mut queue = [PollFd::new(listener, PollFlags::IN)];
        self.ready = !matches!(poll(&mut queue, Some(&Timespec::default())), Ok(0));
        self.ready
    }

    pub(crate) fn knock(&mut self) -> Knock {
        let Some(listener) = &self.listener else { return Knock::Nobody };
        match listener.accept() {
            Ok((stream, _)) => {
                self.crowded_since = None;
                Knock::In(stream)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.ready = false;
                Knock::Nobody
            }
            Err(error) if is_exhaustion(&error) => Knock::Full(error),
            Err(_) => Knock::Gone,
        }
    }

    /// There is no room for a newcomer: rests, and after some patience turns away who waits. Returns how many, and whether the
    /// trouble is worth telling.
    pub(crate) fn crowded(&mut self, now: Mono) -> (u64, bool) {
        let since = *self.crowded_since.get_or_insert(now);
        let turned_away = if PATIENCE <= now.since(since) { self.turn_away() } else { 0 };
        self.rests_until = Some(now.plus(PAUSE));
        let tell = self.told.is_none_or(|told| TOLD_EVERY <= now.since(told));
        if tell {
            self.told = Some(now);
        }
        (turned_away, tell)
    }

    /// Stops listening; who is in the queue was let in before.
    pub(crate) fn close(&mut self, registry: &Registry) {
        if let Some(mut listener) = self.listener.take() {
            let _ = registry.deregister(&mut listener); // closing it does the same
        }
    }

    /// Answers those in the queue with a 503, in place of the spare descriptor.
    fn turn_away(&mut self) -> u64 {
        self.spare = None;
        let mut count = 0;
        for _ in 0..TURNED_AWAY_AT_ONCE {
            let Some(Ok((mut stream, _))) = self.listener.as_ref().map(TcpListener::accept) else { break };
            // What was sent already must be read, or closing resets the connection before the reply is seen. Each of these
            // may fail: then this client learns nothing, as it would have without them.
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write(
                b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\nConnection: close\r\n\r\n",
            );
            let _ = stream.shutdown(Shutdown::Write);
            count += 1;
        }
        self.spare = spare();
        count
    }
}

/// A descriptor that costs next to nothing; without one it is tried again at the next crowd.
fn spare() -> Option<OwnedFd> {
    rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).ok()
}

fn is_exhaustion(error: &io::Error) -> bool {
    [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM]
        .map(|errno| Some(errno.raw_os_error()))
        .contains(&error.raw_os_error())
}
