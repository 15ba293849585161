//! Several times of one thing, shown as median, 99th percentile and count.

use std::fmt;
use std::time::Duration;

/// Times of one thing.
#[derive(Debug, Default)]
pub(super) struct Figures(Vec<Duration>);

impl Figures {
    /// One more.
    pub(super) fn add(&mut self, time: Duration) {
        self.0.push(time);
        self.0.sort_unstable();
    }

    /// The smallest time that is not below this share of all (nearest rank).
    fn rank(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100);
        self.0.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (median, p99) = (millis(self.rank(50)), millis(self.rank(99)));
        write!(f, "median {median:>8}  p99 {p99:>8}  n {:>3}", self.0.len())
    }
}

/// `834 ms`, with a decimal below 10 ms.
pub(super) fn millis(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1e3;
    if millis < 10.0 { format!("{millis:.1} ms") } else { format!("{millis:.0} ms") }
}
