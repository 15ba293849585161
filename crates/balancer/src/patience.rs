//! How long something may rest: an idle timeout that costs one timer per rest, not one per byte.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// An idle timeout.
#[derive(Debug)]
pub(crate) struct Patience {
    limit: Duration,
    timer: Pin<Box<Sleep>>,
    last_progress: Instant,
}

impl Patience {
    /// Starts now.
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, timer: Box::pin(sleep(limit)), last_progress: Instant::now() }
    }

    /// Something moved.
    pub(crate) fn renew(&mut self) {
        self.last_progress = Instant::now();
    }

    /// Ready once nothing has moved for the limit. The timer runs on through progress, and is set again when it fires.
    pub(crate) fn poll_lost(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let due = self.last_progress + self.limit;
            if due <= Instant::now() {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(due);
        }
    }
}
