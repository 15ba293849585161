//! When to ask again, and after which pause: pure.

use std::time::Duration;

use aws_sdk_cloudformation::config::retry::RetryConfig;

/// Tries where the SDK's configuration says nothing.
const ATTEMPTS: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// How often and how fast one call is tried, by the SDK's configuration. Pauses double.
#[derive(Debug)]
pub(super) struct Tries {
    left: u32,
    pause: Duration,
    longest: Duration,
}

impl Tries {
    pub(super) fn new(config: Option<&RetryConfig>) -> Self {
        Self {
            left: config.map_or(ATTEMPTS, RetryConfig::max_attempts).saturating_sub(1),
            pause: config.map_or(FIRST_PAUSE, RetryConfig::initial_backoff).min(FIRST_PAUSE),
            longest: config.map_or(LONGEST_PAUSE, RetryConfig::max_backoff),
        }
    }

    /// The pause before the next try; None when it was tried often enough.
    pub(super) fn next_pause(&mut self) -> Option<Duration> {
        self.left = self.left.checked_sub(1)?;
        let pause = self.pause.min(self.longest);
        self.pause = self.pause.saturating_mul(2);
        Some(pause)
    }
}

/// Whether an answer only says that AWS is busy.
pub(super) fn is_busy(status: u16, body: &str) -> bool {
    match status {
        429 | 500 | 502 | 503 | 504 => true,
        400..=499 => ["Throttl", "RequestLimitExceeded", "TooManyRequests"].iter().any(|word| body.contains(word)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_and_end() {
        let config = RetryConfig::standard()
            .with_max_attempts(5)
            .with_initial_backoff(Duration::from_millis(100))
            .with_max_backoff(Duration::from_millis(300));
        let mut tries = Tries::new(Some(&config));
        let pauses: Vec<u128> = std::iter::from_fn(|| tries.next_pause()).map(|pause| pause.as_millis()).collect();
        assert_eq!(pauses, [100, 200, 300, 300]);
    }

    #[test]
    fn only_being_busy_is_tried_again() {
        assert!(is_busy(503, ""));
        assert!(is_busy(400, "<Code>RequestLimitExceeded</Code>"));
        assert!(!is_busy(400, "<Code>InvalidVpcID.NotFound</Code>"));
        assert!(!is_busy(403, "AccessDenied"));
        assert!(!is_busy(200, "Throttling"));
    }
}
