//! When something is tried again. Pure: what came back, which try it was and a random number, to a decision.

use std::time::Duration;

use gimmetime_clock::{Timestamp, iso};

/// How often and after what waits a request, or the upload of a whole blob, is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Tries in all, the first included.
    pub tries: u32,
    /// What a second of waiting lasts; only a test makes it shorter.
    pub second: Duration,
}

/// The wait after the first failure lies between half of this and all of it, in seconds; it doubles with each failure.
const FIRST_WAIT: u32 = 1;
/// No wait of our own choice is longer, in seconds.
const LONGEST_WAIT: u32 = 8;
/// A registry that asks for a longer wait than this many seconds is not waited for.
pub const LONGEST_RETRY_AFTER: u64 = 60;

/// What came back, as far as trying again depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// No reply: refused, cut, timed out.
    NoReply,
    /// A reply with that status, and the seconds that its `Retry-After` asks for.
    Status { status: u16, retry_after: Option<u64> },
    /// The upload session is of no more use: a new one is needed.
    SessionLost,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    Wait(Duration),
    GiveUp,
}

impl Default for Policy {
    fn default() -> Self {
        Self { tries: 4, second: Duration::from_secs(1) }
    }
}

impl Policy {
    /// Whether to try again after the try number `tried`, from 1, and after what wait; `random` spreads those who wait.
    pub(crate) fn decide(&self, outcome: Outcome, tried: u32, random: u64) -> Decision {
        let asked = match outcome {
            Outcome::Status { status, .. } if !is_passing(status) => return Decision::GiveUp,
            Outcome::Status { retry_after, .. } => retry_after.unwrap_or(0),
            Outcome::NoReply | Outcome::SessionLost => 0,
        };
        if self.tries <= tried || LONGEST_RETRY_AFTER < asked {
            return Decision::GiveUp;
        }
        let doubled = FIRST_WAIT.checked_shl(tried.saturating_sub(1)).unwrap_or(LONGEST_WAIT);
        let whole = self.second * doubled.clamp(FIRST_WAIT, LONGEST_WAIT);
        let jitter = Duration::from_nanos(random % (whole.as_nanos() as u64 / 2 + 1));
        Decision::Wait((whole / 2 + jitter).max(self.second * asked as u32))
    }
}

/// Whether a status says "not now" rather than "no" (RFC 9110, section 15; 429: RFC 6585).
pub(crate) fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502..=504 | 506..=599)
}

/// The seconds that a `Retry-After` asks for (RFC 9110, section 10.2.3): a number, or a date as `now` has it.
pub(crate) fn seconds(retry_after: &str, now: Timestamp) -> Option<u64> {
    let text = retry_after.trim();
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    // `Sun, 06 Nov 1994 08:49:37 GMT`; the older forms are not sent any more.
    let [_, day, month, year, time, "GMT"] = text.split(' ').collect::<Vec<_>>()[..] else { return None };
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = 1 + months.iter().position(|name| *name == month)?;
    let date = iso::parse(&format!("{year}-{month:02}-{day}T{time}Z"))?;
    Some(date.unix_seconds().saturating_sub(now.unix_seconds()).max(0).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn status(status: u16) -> Outcome {
        Outcome::Status { status, retry_after: None }
    }

    #[test]
    fn what_is_refused_for_good_is_not_tried_again() {
        for refused in [400, 401, 403, 404, 405, 409, 412, 416, 501, 505] {
            assert_eq!(Policy::default().decide(status(refused), 1, 0), Decision::GiveUp, "{refused}");
        }
    }

    #[test]
    fn the_last_try_is_the_last() {
        for outcome in [Outcome::NoReply, Outcome::SessionLost, status(503), status(429), status(408)] {
            assert!(matches!(Policy::default().decide(outcome, 3, 0), Decision::Wait(_)), "{outcome:?}");
            assert_eq!(Policy::default().decide(outcome, 4, 0), Decision::GiveUp, "{outcome:?}");
        }
    }

    #[test]
    fn a_registry_that_asks_for_an_hour_is_not_waited_for() {
        let hour = Outcome::Status { status: 429, retry_after: Some(3600) };
        assert_eq!(Policy::default().decide(hour, 1, 0), Decision::GiveUp);
    }

    #[test]
    fn both_forms_of_retry_after_are_understood() {
        let now = Timestamp::from_secs(784_111_777);
        assert_eq!(seconds("120", now), Some(120));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:57 GMT", now), Some(20));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:07 GMT", now), Some(0));
        for text in ["", "soon", "-1", "1.5", "Sun, 06 Nov 1994 08:49:57", "Sun, 36 Now 1994 08:49:57 GMT"] {
            assert_eq!(seconds(text, now), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn waits_stay_within_their_bounds(tried in 1_u32..200, tries in 1_u32..200, random: u64, asked in 0_u64..=60) {
            let policy = Policy { tries, ..Policy::default() };
            let outcome = Outcome::Status { status: 503, retry_after: Some(asked) };
            match policy.decide(outcome, tried, random) {
                Decision::GiveUp => prop_assert!(tries <= tried),
                Decision::Wait(wait) => {
                    prop_assert!(Duration::from_millis(500) <= wait && Duration::from_secs(asked) <= wait);
                    prop_assert!(wait <= Duration::from_secs(asked.max(8)));
                }
            }
        }
    }
}
