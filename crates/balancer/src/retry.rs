//! Whether a request that failed may be sent again. Pure.
//!
//! A request of which nothing was written may go to another target, whatever it is. One that may have reached a target goes
//! out again only if it has no body, is idempotent (RFC 9110 §9.2.2) and the budget allows: when everything fails, retries
//! must not double the load. (The ALB never repeats a request that it has sent: this is more than it promises.)

use std::time::Duration;

use gimmetime_clock::Mono;
use http::Method;

/// Retries that are always allowed, per second of [`WINDOW`].
const ALWAYS_PER_SECOND: u64 = 10;
/// Of so many requests in the window, one may be repeated: 20 %.
const REQUESTS_PER_RETRY: u64 = 5;
/// Seconds over which requests and retries are weighed.
const WINDOW: usize = 10;

/// Whether a request may be sent a second time though the first may have arrived.
pub(crate) fn is_repeatable(method: &Method, has_body: bool) -> bool {
    !has_body && method.is_idempotent()
}

/// How many retries the requests of the last ten seconds allow.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    second: u64,
    slots: [Slot; WINDOW],
}

#[derive(Debug, Default, Clone, Copy)]
struct Slot {
    requests: u64,
    retries: u64,
}

impl Budget {
    /// Notes a request.
    pub(crate) fn deposit(&mut self, now: Mono) {
        self.slot(now).requests += 1;
    }

    /// Takes one retry out of the budget; false if none is left.
    pub(crate) fn withdraw(&mut self, now: Mono) -> bool {
        self.slot(now);
        let (requests, retries) =
            self.slots.iter().fold((0, 0), |sum, slot| (sum.0 + slot.requests, sum.1 + slot.retries));
        let allowed = ALWAYS_PER_SECOND * WINDOW as u64 + requests / REQUESTS_PER_RETRY;
        let granted = retries < allowed;
        self.slot(now).retries += u64::from(granted);
        granted
    }

    /// The slot of this second; what is older than the window is forgotten.
    fn slot(&mut self, now: Mono) -> &mut Slot {
        let second = now.since(Mono::ZERO).as_secs().max(self.second);
        let passed = (second - self.second).min(WINDOW as u64);
        for step in 1..=passed {
            self.slots[((second - passed + step) % WINDOW as u64) as usize] = Slot::default();
        }
        self.second = second;
        &mut self.slots[(second % WINDOW as u64) as usize]
    }
}

/// Whether a target whose idle connections live for `limit` closes them itself: it was found to have closed one of `age`.
/// The limit to keep to from now on: one second less than the age, but at least one second.
pub(crate) fn learned_idle_limit(limit: Duration, age: Duration) -> Duration {
    limit.min(age.saturating_sub(Duration::from_secs(1)).max(Duration::from_secs(1)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Mono {
        Mono::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn only_bodyless_idempotent_requests_are_sent_twice() {
        for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::PUT, Method::DELETE] {
            assert!(is_repeatable(&method, false), "{method}");
            assert!(!is_repeatable(&method, true), "{method}");
        }
        for method in [Method::POST, Method::PATCH, Method::from_bytes(b"PURGE").unwrap()] {
            assert!(!is_repeatable(&method, false), "{method}");
        }
    }

    #[test]
    fn without_requests_ten_a_second_are_allowed_over_ten_seconds() {
        let mut budget = Budget::default();
        assert_eq!((0..1000).filter(|_| budget.withdraw(at(5_000))).count(), 100);
        assert_eq!((0..1000).filter(|_| budget.withdraw(at(14_999))).count(), 0);
        assert_eq!((0..1000).filter(|_| budget.withdraw(at(15_000))).count(), 100);
    }

    #[test]
    fn a_connection_closed_early_teaches_a_shorter_life() {
        let seconds = Duration::from_secs;
        assert_eq!(learned_idle_limit(seconds(30), seconds(5)), seconds(4));
        assert_eq!(learned_idle_limit(seconds(30), seconds(60)), seconds(30));
        assert_eq!(learned_idle_limit(seconds(30), Duration::from_millis(300)), seconds(1));
    }

    proptest! {
        #[test]
        fn retries_never_exceed_a_fifth_of_the_requests_and_a_hundred(steps in prop::collection::vec((0_u64..400, any::<bool>()), 1..400)) {
            let (mut budget, mut now, mut requests, mut retries) = (Budget::default(), 0, Vec::new(), Vec::new());
            for (step, retry) in steps {
                now += step;
                if retry {
                    if budget.withdraw(at(now)) { retries.push(now); }
                } else {
                    budget.deposit(at(now));
                    requests.push(now);
                }
                let recent = |list: &[u64]| list.iter().filter(|then| now / 1000 < **then / 1000 + 10).count();
                prop_assert!(recent(&retries) <= 100 + requests.len() / 5);
            }
        }
    }
}
