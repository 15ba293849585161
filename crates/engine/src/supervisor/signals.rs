//! The signals that a supervisor minds.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
pub(super) enum Asked {
    /// SIGTERM and SIGINT: an orderly end.
    End,
    /// SIGCHLD: a child, or an orphan that was left to us, waits to be reaped.
    Reap,
    /// SIGHUP: the terminal we were started from is gone, and that is nothing to us.
    Nothing,
}

/// They are heard from the moment this is made.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    child: Signal,
}

impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            child: signal(SignalKind::child())?,
        })
    }

    /// The next one. Cancel-safe.
    pub(super) async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::End,
            _ = self.interrupt.recv() => Asked::End,
            _ = self.child.recv() => Asked::Reap,
            _ = self.hang_up.recv() => Asked::Nothing,
        }
    }
}
