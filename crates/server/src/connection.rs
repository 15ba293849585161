//! One connection: moves bytes between its socket and its conversation, and knows until when it may take what it takes.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;

use gimmetime_clock::{Mono, Timestamp};
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use crate::bench::Bench;
use crate::conversation::{Conversation, Ending, Situation};
use crate::settings::Limits;
use crate::site::{Clock, Replies, Site, SystemClock};

/// Reads in one turn; then the others have theirs.
const READS_PER_TURN: usize = 8;

#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    talk: Conversation,
    /// Replies the socket did not take yet. While there are any, nothing is read.
    unsent: Vec<u8>,
    accepted: Mono,
    received: Timestamp,
    phase: Phase,
    deadline: Mono,
}

/// What a deadline is for. A new phase means a new deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Waiting for a request, after so many.
    Idle(u64),
    /// Waiting for the rest of a request, after so many.
    Receiving(u64),
    /// Waiting for the client to take so many more bytes.
    Sending(usize),
    /// Our side is closed; waiting for the client's.
    Lingering,
}

/// What a turn came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Nothing to do until the socket or the clock says so.
    Waits,
    /// There is more to do, after the others.
    Again,
    /// It is over; drop it.
    Closes,
}

/// What a turn needs beside the connection itself.
pub(crate) struct Surroundings<'a> {
    pub(crate) bench: &'a mut Bench,
    pub(crate) registry: &'a Registry,
    pub(crate) site: &'a Site,
    pub(crate) limits: &'a Limits,
    pub(crate) now: Mono,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, now: Mono, limits: &Limits) -> Self {
        Self {
            stream,
            talk: Conversation::default(),
            unsent: Vec::new(),
            accepted: now,
            received: Timestamp::EPOCH,
            phase: Phase::Idle(0),
            deadline: now.plus(limits.idle),
        }
    }

    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> std::io::Result<()> {
        registry.register(&mut self.stream, token, Interest::READABLE)
    }

    /// When [`expire`](Self::expire) is due.
    pub(crate) fn deadline(&self) -> Mono {
        self.deadline
    }

    /// Sets an earlier deadline.
    pub(crate) fn hurry(&mut self, deadline: Mono) {
        self.deadline = self.deadline.min(deadline);
    }

    /// Between two requests, or before the first: nobody would miss an answer.
    pub(crate) fn is_idle(&self) -> bool {
        self.unsent.is_empty() && self.talk.situation() == Situation::Idle
    }

    /// When it was accepted, if it has asked for nothing yet.
    pub(crate) fn fresh_since(&self) -> Option<Mono> {
        (self.talk.answered() == 0).then_some(self.accepted)
    }

    pub(crate) fn talk(&self) -> &Conversation {
        &self.talk
    }

    /// Does what the socket allows: sends, reads, answers. `drained` = a short read proves the socket empty, which it does
    /// not if the client closed its side.
    pub(crate) fn turn(&mut self, token: Token, drained: bool, around: &mut Surroundings<'_>) -> Turn {
        let turn = self.exchange(token, drained, around);
        self.reschedule(around);
        turn
    }

    /// The deadline has passed: tells a client that dawdles with its request, and gives up on all others.
    pub(crate) fn expire(&mut self, token: Token, around: &mut Surroundings<'_>) -> Turn {
        if !matches!(self.phase, Phase::Receiving(_)) {
            return Turn::Closes;
        }
        around.bench.output.clear();
        let (site, received, out) = (around.site, self.received, &mut around.bench.output);
        self.talk.time_out(&mut Replies { site, clock: &SystemClock, received, out });
        let turn = match self.send(token, around) {
            Sent::All => self.exchange(token, true, around),
            Sent::Part => Turn::Waits,
            Sent::Broken => Turn::Closes,
        };
        self.reschedule(around);
        turn
    }

    fn exchange(&mut self, token: Token, drained: bool, around: &mut Surroundings<'_>) -> Turn {
        if !self.unsent.is_empty() {
            match self.flush(token, around.registry) {
                Sent::All => {}
                Sent::Part => return Turn::Waits,
                Sent::Broken => return Turn::Closes,
            }
        }
        for _ in 0..READS_PER_TURN {
            match self.talk.situation() {
                Situation::Over(Ending::Agreed) => return Turn::Closes,
                Situation::Over(Ending::Ours) => self.linger(around),
                Situation::Idle | Situation::Receiving => {}
            }
            let length = if self.talk.is_paused() {
                0
            } else {
                match self.stream.read(&mut around.bench.input) {
                    Ok(0) => return Turn::Closes,
                    Ok(length) => length,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Turn::Waits,
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(_) => return Turn::Closes,
                }
            };
            if 0 < length {
                self.received = SystemClock.wall();
            }
            let short = 0 < length && length < around.bench.input.len();
            around.bench.output.clear();
            let (site, received, out) = (around.site, self.received, &mut around.bench.output);
            let input = &around.bench.input[..length];
            self.talk.advance(input, &mut Replies { site, clock: &SystemClock, received, out });
            match self.send(token, around) {
                Sent::All => {}
                Sent::Part => return Turn::Waits,
                Sent::Broken => return Turn::Closes,
            }
            let over = matches!(self.talk.situation(), Situation::Over(_));
            if short && drained && !over && !self.talk.is_paused() {
                return Turn::Waits;
            }
        }
        Turn::Again
    }

    /// Sends what is on the bench; keeps what the socket does not take.
    fn send(&mut self, token: Token, around: &mut Surroundings<'_>) -> Sent {
        let output = &around.bench.output;
        if output.is_empty() {
            return Sent::All;
        }
        match self.stream.write(output) {
            Ok(length) if length == output.len() => return Sent::All,
            Ok(length) => self.unsent.extend_from_slice(&output[length..]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                self.unsent.extend_from_slice(output);
            }
            Err(_) => return Sent::Broken,
        }
        // Registering again is also an edge: if there is room by now, the event comes at once.
        match around.registry.reregister(&mut self.stream, token, Interest::READABLE | Interest::WRITABLE) {
            Ok(()) => Sent::Part,
            Err(_) => Sent::Broken,
        }
    }

    /// Sends what was kept.
    fn flush(&mut self, token: Token, registry: &Registry) -> Sent {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(length) => drop(self.unsent.drain(..length)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Sent::Part,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Sent::Broken,
            }
        }
        self.unsent = Vec::new();
        match registry.reregister(&mut self.stream, token, Interest::READABLE) {
            Ok(()) => Sent::All,
            Err(_) => Sent::Broken,
        }
    }

    /// Closes our side only: closing both while bytes wait unread would send a reset, and the reply would be lost with it.
    fn linger(&mut self, around: &Surroundings<'_>) {
        if self.phase != Phase::Lingering {
            let _ = self.stream.shutdown(Shutdown::Write); // fails if the client is gone, which the next read finds out
            self.phase = Phase::Lingering;
            self.deadline = around.now.plus(around.limits.linger);
        }
    }

    fn reschedule(&mut self, around: &Surroundings<'_>) {
        let answered = self.talk.answered();
        let phase = match self.talk.situation() {
            _ if !self.unsent.is_empty() => Phase::Sending(self.unsent.len()),
            Situation::Idle => Phase::Idle(answered),
            Situation::Receiving => Phase::Receiving(answered),
            Situation::Over(_) => Phase::Lingering,
        };
        if phase == self.phase {
            return;
        }
        let limits = around.limits;
        let allowed = match phase {
            Phase::Idle(_) => limits.idle,
            Phase::Receiving(_) => limits.request,
            Phase::Sending(_) => limits.write,
            Phase::Lingering => limits.linger,
        };
        self.phase = phase;
        self.deadline = around.now.plus(allowed);
    }
}

/// What the socket did with the bytes it was given.
enum Sent {
    All,
    Part,
    Broken,
}
