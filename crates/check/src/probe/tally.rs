//! The account of a probe: every request exactly once, as one of answered, failed, unverified.

use std::fmt;
use std::time::Duration;

use gimmetime_clock::{Interval, Timestamp};
use hdrhistogram::Histogram;

use crate::verdict::Verdict;

/// Words of failures that are kept, of each kind.
const MAX_WORDS: usize = 10;
/// Latencies are counted from 1 µs to this, to two digits.
const MAX_LATENCY_US: u64 = 600_000_000;

/// What came of a probe's requests so far. `requests` = answered + `failed` + `unverified`.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Requests whose outcome is known.
    pub requests: u64,
    /// The service's fault: a status of 4xx or 5xx, reset, closed, timeout, malformed, after the connection stood.
    pub failed: u64,
    /// Nobody's: no connection (refused, unreachable, not resolved, out of descriptors). Proves nothing either way.
    pub unverified: u64,
    /// Kept connections that turned out closed when used again; the request then went over a new one. No failure.
    pub reconnected: u64,
    /// Half of the answers came within; from when the request was begun to the end of the reply, connecting included. What this
    /// machine was late with beginning it is not the service's.
    pub p50: Duration,
    /// 99 of 100 answers came within.
    pub p99: Duration,
    /// The slowest answer.
    pub max: Duration,
    /// The first failures, with when the request was sent; at most 10.
    pub first_failures: Vec<(Timestamp, String)>,
    /// The same for requests that were not verified.
    pub first_unverified: Vec<(Timestamp, String)>,
    /// Holds the offset of every instance that answered with a time: the worst case. `None` if none did.
    pub clock: Option<Interval>,
    /// The worst verdict on these.
    pub clock_verdict: Option<Verdict>,
    latencies: Latencies,
}

/// How long each answer took, in microseconds.
#[derive(Clone)]
struct Latencies(Histogram<u64>);

impl fmt::Debug for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} latencies", self.0.len())
    }
}

/// What came of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Answered(Duration),
    Failed(String),
    Unverified(String),
}

impl Default for Tally {
    fn default() -> Self {
        let latencies = Histogram::new_with_bounds(1, MAX_LATENCY_US, 2);
        Self {
            requests: 0,
            failed: 0,
            unverified: 0,
            reconnected: 0,
            p50: Duration::ZERO,
            p99: Duration::ZERO,
            max: Duration::ZERO,
            first_failures: Vec::new(),
            first_unverified: Vec::new(),
            clock: None,
            clock_verdict: None,
            latencies: Latencies(latencies.expect("constant bounds, 1 < 2 × 1 <= the highest")),
        }
    }
}

impl Tally {
    /// Requests that were answered as they should.
    pub fn answered(&self) -> u64 {
        self.requests - self.failed - self.unverified
    }

    /// Adds another probe's account to this one.
    pub fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.failed += other.failed;
        self.unverified += other.unverified;
        self.reconnected += other.reconnected;
        self.max = self.max.max(other.max);
        merge_words(&mut self.first_failures, &other.first_failures);
        merge_words(&mut self.first_unverified, &other.first_unverified);
        self.clock = match (self.clock, other.clock) {
            (Some(ours), Some(theirs)) => Some(ours.hull(theirs)),
            (ours, theirs) => ours.or(theirs),
        };
        self.clock_verdict = self.clock_verdict.max(other.clock_verdict);
        self.latencies.0.add(&other.latencies.0).expect("all tallies have the same bounds");
        self.summarize();
    }

    pub(super) fn count(&mut self, sent: Timestamp, fate: Fate) {
        self.requests += 1;
        match fate {
            Fate::Answered(latency) => {
                self.latencies.0.saturating_record(latency.as_micros().try_into().unwrap_or(u64::MAX));
                self.max = self.max.max(latency);
            }
            Fate::Failed(words) => {
                self.failed += 1;
                keep_words(&mut self.first_failures, sent, words);
            }
            Fate::Unverified(words) => {
                self.unverified += 1;
                keep_words(&mut self.first_unverified, sent, words);
            }
        }
    }

    /// Brings the percentiles up to date; they are not kept so with every request.
    pub(super) fn summarize(&mut self) {
        let at = |quantile| Duration::from_micros(self.latencies.0.value_at_quantile(quantile)).min(self.max);
        (self.p50, self.p99) = (at(0.5), at(0.99));
    }
}

fn keep_words(kept: &mut Vec<(Timestamp, String)>, sent: Timestamp, words: String) {
    if kept.len() < MAX_WORDS {
        kept.push((sent, words));
    }
}

fn merge_words(ours: &mut Vec<(Timestamp, String)>, theirs: &[(Timestamp, String)]) {
    ours.extend_from_slice(theirs);
    ours.sort_by_key(|(sent, _)| *sent);
    ours.truncate(MAX_WORDS);
}

#[cfg(test)]
mod tests {
    use super::*;
    use gimmetime_clock::Offset;
    use proptest::prelude::*;

    fn fates() -> impl Strategy<Value = Vec<(i64, Fate)>> {
        let fate = prop_oneof![
            (1_u64..5_000_000).prop_map(|micros| Fate::Answered(Duration::from_micros(micros))),
            "[a-z]{3}".prop_map(Fate::Failed),
            "[a-z]{3}".prop_map(Fate::Unverified),
        ];
        prop::collection::vec((0_i64..1000, fate), 0..60)
    }

    fn tally(fates: &[(i64, Fate)]) -> Tally {
        let mut tally = Tally::default();
        for (sent, fate) in fates {
            tally.count(Timestamp::from_secs(*sent), fate.clone());
        }
        tally.summarize();
        tally
    }

    proptest! {
        #[test]
        fn two_accounts_merged_are_the_account_of_both(a in fates(), b in fates()) {
            let both = tally(&[a.clone(), b.clone()].concat());
            let mut merged = tally(&a);
            merged.merge(&tally(&b));
            prop_assert_eq!(
                (merged.requests, merged.failed, merged.unverified, merged.answered()),
                (both.requests, both.failed, both.unverified, both.answered())
            );
            prop_assert_eq!((merged.p50, merged.p99, merged.max), (both.p50, both.p99, both.max));
            prop_assert_eq!(merged.requests as usize, a.len() + b.len());
            prop_assert!(merged.first_failures.is_sorted_by_key(|(sent, _)| *sent));
            prop_assert!(merged.first_failures.len() == MAX_WORDS.min(both.failed as usize) || 10 < both.failed);
        }
    }

    #[test]
    fn percentiles_are_of_answers_only_and_good_to_two_digits() {
        let mut fates: Vec<_> = (1..=100).map(|ms| (0, Fate::Answered(Duration::from_millis(ms)))).collect();
        fates.push((0, Fate::Failed("answered 503".to_owned())));
        let tally = tally(&fates);
        let near = |got: Duration, ms: u64| got.abs_diff(Duration::from_millis(ms)) <= Duration::from_millis(1);
        assert!(near(tally.p50, 50) && near(tally.p99, 99), "{:?} {:?}", tally.p50, tally.p99);
        assert_eq!((tally.max, tally.failed), (Duration::from_millis(100), 1));
    }

    #[test]
    fn the_worst_clock_of_two_accounts_counts() {
        let interval = |lo, hi| Interval::new(Offset::from_millis(lo), Offset::from_millis(hi));
        let good = Tally { clock: interval(-1, 2), clock_verdict: Some(Verdict::Ok), ..Tally::default() };
        let mut sum = Tally::default();
        sum.merge(&good);
        assert_eq!((sum.clock, sum.clock_verdict), (interval(-1, 2), Some(Verdict::Ok)));
        sum.merge(&Tally { clock: interval(2000, 2001), clock_verdict: Some(Verdict::Wrong), ..Tally::default() });
        assert_eq!((sum.clock, sum.clock_verdict), (interval(-1, 2001), Some(Verdict::Wrong)));
        sum.merge(&Tally::default());
        assert_eq!(sum.clock_verdict, Some(Verdict::Wrong));
    }
}
