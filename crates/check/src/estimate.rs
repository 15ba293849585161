//! What several samples say together, one estimate an instance. Pure.
//!
//! Knowledge is intersected, never averaged, and it ages: a clock may drift. Two samples that cannot both be true are a
//! finding, which is counted and kept; neither is thrown away.

use std::time::Duration;

use gimmetime_clock::{Interval, Mono, Offset};

use crate::sample::{Instance, Resolution, Sample};

/// How fast two clocks may drift apart, in parts per million. NTP assumes 15 for a crystal, cloud machines are said to stay
/// within 50.
pub const DRIFT_PPM: u32 = 100;

/// Beliefs kept of one instance; beyond, the two oldest become the interval that holds both.
const MAX_BELIEFS: usize = 16;

/// What is known of one instance's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// Whose.
    pub instance: Instance,
    /// How many samples it is made of.
    pub samples: u64,
    /// How often a sample could not be true together with those before: a step, two clocks behind one name, a cache.
    pub contradictions: u64,
    /// The moment it is about.
    pub as_of: Mono,
    /// The shortest round trip.
    pub round_trip: Duration,
    /// The longest one.
    pub longest_round_trip: Duration,
    /// The finest reading among the samples.
    pub resolution: Resolution,
    /// One per stretch of samples that agree; the last is the current one.
    beliefs: Vec<Interval>,
}

/// How far two clocks drift apart at most in that time, rounded up.
pub(crate) fn drift(over: Duration) -> Duration {
    let nanos = over.as_nanos().saturating_mul(u128::from(DRIFT_PPM)).div_ceil(1_000_000);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// One estimate for each instance, in the order they were first seen.
pub fn estimate<'a>(samples: impl IntoIterator<Item = &'a Sample>) -> Vec<Estimate> {
    let mut estimates = Vec::new();
    for sample in samples {
        absorb(&mut estimates, sample);
    }
    estimates
}

/// Adds a sample to the estimate of its instance; whether that instance is a new one.
pub(crate) fn absorb(estimates: &mut Vec<Estimate>, sample: &Sample) -> bool {
    if let Some(known) = estimates.iter_mut().find(|known| known.instance == sample.instance) {
        known.absorb(sample);
        return false;
    }
    estimates.push(Estimate::of(sample));
    true
}

impl Estimate {
    /// What one sample says.
    pub fn of(sample: &Sample) -> Self {
        Self {
            instance: sample.instance.clone(),
            samples: 1,
            contradictions: 0,
            as_of: sample.at,
            round_trip: sample.round_trip,
            longest_round_trip: sample.round_trip,
            resolution: sample.resolution,
            beliefs: vec![sample.interval.widen(drift(sample.round_trip))],
        }
    }

    /// Adds what another sample of the same instance says; they may come in any order.
    pub fn absorb(&mut self, sample: &Sample) {
        let now = self.as_of.max(sample.at);
        let known = self.current().widen(drift(now.since(self.as_of)));
        let heard = sample.interval.widen(drift(now.since(sample.at) + sample.round_trip));
        self.samples += 1;
        self.as_of = now;
        self.round_trip = self.round_trip.min(sample.round_trip);
        self.longest_round_trip = self.longest_round_trip.max(sample.round_trip);
        if sample.resolution == Resolution::Fine {
            self.resolution = Resolution::Fine;
        }
        let last = self.beliefs.len() - 1;
        if let Some(both) = known.intersect(heard) {
            self.beliefs[last] = both;
            return;
        }
        self.contradictions += 1;
        self.beliefs[last] = known;
        self.beliefs.push(heard);
        if MAX_BELIEFS < self.beliefs.len() {
            let oldest = self.beliefs.remove(0);
            self.beliefs[0] = self.beliefs[0].hull(oldest);
        }
    }

    /// Holds the offset at `as_of`: what the samples since the last contradiction say together.
    pub fn current(&self) -> Interval {
        *self.beliefs.last().expect("an estimate begins with a sample")
    }

    /// Holds every offset the instance showed: the same as [`current`](Self::current) unless it contradicted itself.
    pub fn interval(&self) -> Interval {
        self.beliefs.iter().copied().reduce(Interval::hull).expect("an estimate begins with a sample")
    }

    /// Whether at some moment its offset was certainly more than `limit` away from zero.
    pub fn proves_beyond(&self, limit: Offset) -> bool {
        self.beliefs.iter().any(|belief| belief.disjoint_from(limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(lo: i64, hi: i64, at_s: u64) -> Sample {
        Sample {
            instance: Instance::Named("a".to_owned()),
            interval: Interval::new(Offset::from_nanos(lo), Offset::from_nanos(hi)).unwrap(),
            at: Mono::from_nanos(at_s * 1_000_000_000),
            round_trip: Duration::ZERO,
            resolution: Resolution::Fine,
        }
    }

    fn ends(interval: Interval) -> (i64, i64) {
        (interval.lo.as_nanos(), interval.hi.as_nanos())
    }

    #[test]
    fn knowledge_ages_by_a_hundred_parts_in_a_million() {
        let estimates = estimate(&[sample(0, 10, 1), sample(-900_000, 900_000, 3)]);
        assert_eq!(ends(estimates[0].current()), (-200_000, 200_010));
    }

    #[test]
    fn samples_may_come_in_any_order() {
        let late_first = estimate(&[sample(-900_000, 900_000, 3), sample(0, 10, 1)]);
        assert_eq!(ends(late_first[0].current()), (-200_000, 200_010));
        assert_eq!(late_first[0].as_of, Mono::from_nanos(3_000_000_000));
    }

    #[test]
    fn a_contradiction_is_counted_and_nothing_is_forgotten() {
        let estimates = estimate(&[sample(0, 10, 1), sample(500, 600, 1), sample(550, 700, 1)]);
        assert_eq!(estimates[0].contradictions, 1);
        assert_eq!(ends(estimates[0].current()), (550, 600));
        assert_eq!(ends(estimates[0].interval()), (0, 600));
    }

    #[test]
    fn an_instance_that_contradicts_itself_for_ever_stays_bounded() {
        let samples: Vec<_> = (0..1000).map(|n| sample(n * 100, n * 100 + 1, 1)).collect();
        let estimates = estimate(&samples);
        assert_eq!((estimates[0].beliefs.len(), estimates[0].contradictions), (MAX_BELIEFS, 999));
        assert_eq!(ends(estimates[0].interval()), (0, 99_901));
    }

    #[test]
    fn each_instance_has_its_own() {
        let other = Sample { instance: Instance::Named("b".to_owned()), ..sample(5, 6, 1) };
        let estimates = estimate(&[sample(0, 1, 1), other, sample(0, 1, 1)]);
        assert_eq!(estimates.iter().map(|each| each.samples).collect::<Vec<_>>(), [2, 1]);
    }
}
