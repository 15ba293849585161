//! How often a service is looked at: steadily while it answers, more seldom while it does not. Pure.
//!
//! Watchers need no jitter between them: each began at a moment of its own, and the SDK's own retries have theirs.

use std::time::Duration;

/// An endpoint that throttles is left alone for up to so many pauses.
const SELDOM: u32 = 8;

/// The pause between two looks.
#[derive(Debug)]
pub(crate) struct Pace {
    pause: Duration,
    factor: u32,
}

impl Pace {
    pub(crate) fn new(pause: Duration) -> Self {
        Self { pause, factor: 1 }
    }

    /// The pause after a look that brought an answer.
    pub(crate) fn answered(&mut self) -> Duration {
        self.factor = 1;
        self.pause
    }

    /// The pause after a look that did not: twice the one before, up to a limit.
    pub(crate) fn unanswered(&mut self) -> Duration {
        self.factor = (self.factor * 2).min(SELDOM);
        self.pause * self.factor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_more_seldom_until_there_is_an_answer() {
        let mut pace = Pace::new(Duration::from_secs(2));
        let pauses: Vec<u64> = (0..5).map(|_| pace.unanswered().as_secs()).collect();
        assert_eq!(pauses, [4, 8, 16, 16, 16]);
        assert_eq!((pace.answered().as_secs(), pace.unanswered().as_secs()), (2, 4));
    }
}
