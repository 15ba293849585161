//! What is known of an offset: a closed interval that certainly holds it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Offset;

/// A closed interval of offsets, `lo <= hi`. Whoever hands one out says that the true offset is inside.
///
/// Knowledge is combined by [`intersect`](Self::intersect), never by a mean: an empty intersection is a finding (a step,
/// another backend, a cache), not noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Ends")]
#[non_exhaustive] // only `new` makes one, so that `lo <= hi` holds for every one there is
pub struct Interval {
    /// The least offset there can be.
    pub lo: Offset,
    /// The greatest offset there can be.
    pub hi: Offset,
}

/// Two ends that are no interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an interval ends before it begins: from {} ns to {} ns", lo.as_nanos(), hi.as_nanos())]
pub struct ReversedInterval {
    lo: Offset,
    hi: Offset,
}

impl Interval {
    /// Everything: nothing is known.
    pub const ALL: Self = Self { lo: Offset::MIN, hi: Offset::MAX };

    /// The interval from `lo` to `hi`, both included; `None` if `hi < lo`.
    pub fn new(lo: Offset, hi: Offset) -> Option<Self> {
        (lo <= hi).then_some(Self { lo, hi })
    }

    /// The interval that holds exactly `offset`.
    pub const fn exactly(offset: Offset) -> Self {
        Self { lo: offset, hi: offset }
    }

    /// What both say; `None` if they contradict each other.
    pub fn intersect(self, other: Self) -> Option<Self> {
        Self::new(self.lo.max(other.lo), self.hi.min(other.hi))
    }

    /// The least interval that holds both, and all between them: the worst case over several clocks.
    #[must_use]
    pub fn hull(self, other: Self) -> Self {
        Self { lo: self.lo.min(other.lo), hi: self.hi.max(other.hi) }
    }

    /// Moves both ends outwards by `by`: what is left of this knowledge when a clock may have drifted that far.
    #[must_use]
    pub fn widen(self, by: Duration) -> Self {
        Self { lo: self.lo.minus(by), hi: self.hi.plus(by) }
    }

    /// Whether every offset in it is at most `limit` away from zero, either way (the sign of `limit` is ignored): proof of OK.
    pub fn within(self, limit: Offset) -> bool {
        let limit = limit.magnitude();
        Offset::ZERO.minus(limit) <= self.lo && self.hi <= Offset::ZERO.plus(limit)
    }

    /// Whether every offset in it is more than `limit` away from zero (the sign of `limit` is ignored): proof of a fault.
    pub fn disjoint_from(self, limit: Offset) -> bool {
        let limit = limit.magnitude();
        self.hi < Offset::ZERO.minus(limit) || Offset::ZERO.plus(limit) < self.lo
    }

    /// Whether `offset` is inside; the ends are.
    pub fn contains(self, offset: Offset) -> bool {
        self.lo <= offset && offset <= self.hi
    }

    /// The best estimate: the middle, rounded towards zero to a whole nanosecond.
    pub const fn midpoint(self) -> Offset {
        Offset::from_nanos(i64::midpoint(self.lo.as_nanos(), self.hi.as_nanos()))
    }

    /// How far the truth is from [`midpoint`](Self::midpoint) at most: half the width, rounded up.
    pub const fn half_width(self) -> Duration {
        Duration::from_nanos(self.hi.as_nanos().abs_diff(self.lo.as_nanos()).div_ceil(2))
    }
}

/// An interval as it is read, before its order is known.
#[derive(Deserialize)]
struct Ends {
    lo: Offset,
    hi: Offset,
}

impl TryFrom<Ends> for Interval {
    type Error = ReversedInterval;

    fn try_from(Ends { lo, hi }: Ends) -> Result<Self, ReversedInterval> {
        Self::new(lo, hi).ok_or(ReversedInterval { lo, hi })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;
    use proptest::prelude::*;

    fn interval(lo: i64, hi: i64) -> Interval {
        Interval::new(Offset::from_nanos(lo), Offset::from_nanos(hi)).unwrap()
    }

    prop_compose! {
        fn intervals()(a in any::<i64>(), b in any::<i64>()) -> Interval { interval(a.min(b), a.max(b)) }
    }

    prop_compose! {
        fn offsets()(nanos in any::<i64>()) -> Offset { Offset::from_nanos(nanos) }
    }

    #[test]
    fn reversed_ends_are_no_interval() {
        assert_eq!(Interval::new(Offset::from_nanos(1), Offset::ZERO), None);
        let read = Interval::try_from(Ends { lo: Offset::from_nanos(1), hi: Offset::ZERO });
        assert_eq!(read.unwrap_err().to_string(), "an interval ends before it begins: from 1 ns to 0 ns");
    }

    #[test]
    fn a_limit_is_inclusive_on_both_sides() {
        let limit = Offset::from_nanos(10);
        assert!(
            interval(-10, 10).within(limit) && !interval(-11, 10).within(limit) && !interval(-10, 11).within(limit)
        );
        assert!(interval(11, 12).disjoint_from(limit) && !interval(10, 12).disjoint_from(limit));
        assert!(interval(-12, -11).disjoint_from(limit) && !interval(-12, -10).disjoint_from(limit));
    }

    proptest! {
        #[test]
        fn an_intersection_holds_exactly_what_both_hold(a in intervals(), b in intervals(), x in offsets()) {
            let both = a.intersect(b);
            prop_assert_eq!(both, b.intersect(a));
            prop_assert_eq!(both.is_some_and(|both| both.contains(x)), a.contains(x) && b.contains(x));
        }

        #[test]
        fn intersecting_twice_in_any_order_is_the_same(a in intervals(), b in intervals(), c in intervals()) {
            let left = a.intersect(b).and_then(|ab| ab.intersect(c));
            let right = b.intersect(c).and_then(|bc| a.intersect(bc));
            prop_assert_eq!(left, right);
            prop_assert_eq!(a.intersect(a), Some(a));
            prop_assert_eq!(a.intersect(Interval::ALL), Some(a));
        }

        #[test]
        fn a_hull_and_a_widened_interval_lose_nothing(a in intervals(), b in intervals(), by in any::<u64>(), x in offsets()) {
            if a.contains(x) || b.contains(x) {
                prop_assert!(a.hull(b).contains(x));
            }
            if a.contains(x) {
                prop_assert!(a.widen(Duration::from_nanos(by)).contains(x));
            }
        }

        #[test]
        fn the_midpoint_is_inside_and_never_further_than_half_a_width_from_the_truth(a in intervals(), x in offsets()) {
            prop_assert!(a.contains(a.midpoint()));
            if a.contains(x) {
                let error = x.as_nanos().abs_diff(a.midpoint().as_nanos());
                prop_assert!(u128::from(error) <= a.half_width().as_nanos());
            }
        }

        #[test]
        fn a_proof_of_ok_and_a_proof_of_a_fault_exclude_each_other(a in intervals(), limit in offsets(), x in offsets()) {
            prop_assert!(!(a.within(limit) && a.disjoint_from(limit)));
            if a.contains(x) {
                prop_assert!(!a.within(limit) || x.magnitude() <= limit.magnitude());
                prop_assert!(!a.disjoint_from(limit) || limit.magnitude() < x.magnitude());
            }
        }

        /// The rule the whole project stands on: whatever the delays each way, `[sent − received', received − sent']` holds
        /// the true offset, however often it is widened or combined.
        #[test]
        fn the_true_offset_is_always_inside(
            truth in -10_000_000_000_i64..10_000_000_000,
            exchanges in prop::collection::vec((0_u64..1 << 40, 0_u64..1 << 32, 0_u64..1 << 20, 0_u64..1 << 32), 1..20),
        ) {
            let mut known = Interval::ALL;
            for (start, forth, inside, back) in exchanges {
                let sent = Timestamp::from_secs(1_790_000_000).plus(Duration::from_nanos(start));
                let read = sent.plus(Duration::from_nanos(forth));
                let answered = read.plus(Duration::from_nanos(inside));
                let received = answered.plus(Duration::from_nanos(back));
                let remote = |local: Timestamp| Timestamp::from_nanos(local.as_nanos() + truth);
                let sample = Interval::new(remote(answered).since(received), remote(read).since(sent)).unwrap();
                prop_assert_eq!(u128::from(forth + back).div_ceil(2), sample.half_width().as_nanos());
                known = known.intersect(sample).unwrap();
                prop_assert!(known.contains(Offset::from_nanos(truth)));
            }
        }
    }
}
