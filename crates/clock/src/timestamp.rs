//! Points on the wall clock, and the signed distance between two of them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(crate) const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// A point in time: nanoseconds since 1970-01-01T00:00:00Z, without leap seconds (POSIX), from 1677 to 2262.
///
/// Serialises as that integer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);
    /// The first point that can be held, in September 1677.
    pub const MIN: Self = Self(i64::MIN);
    /// The last point that can be held, in April 2262.
    pub const MAX: Self = Self(i64::MAX);

    /// The point `nanos` nanoseconds after the epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// The point `seconds` seconds after the epoch; saturates.
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(NANOS_PER_SECOND))
    }

    /// Nanoseconds since the epoch.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down (towards the past, also before 1970).
    pub const fn unix_seconds(self) -> i64 {
        self.0.div_euclid(NANOS_PER_SECOND)
    }

    /// Nanoseconds since the last whole second, in 0..1,000,000,000.
    pub const fn subsec_nanos(self) -> u32 {
        self.0.rem_euclid(NANOS_PER_SECOND) as u32
    }

    /// The point `duration` later; saturates.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }

    /// The point `duration` earlier; saturates.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(duration)))
    }

    /// The signed distance from `earlier` to this point: positive if this one is the later; saturates.
    pub const fn since(self, earlier: Self) -> Offset {
        Offset(self.0.saturating_sub(earlier.0))
    }
}

/// How far one clock is ahead of another: nanoseconds, signed, remote − local. Positive = the remote clock is ahead.
///
/// Serialises as that integer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Offset(i64);

impl Offset {
    /// Two clocks that agree.
    pub const ZERO: Self = Self(0);
    /// Furthest behind: stands for "no lower bound".
    pub const MIN: Self = Self(i64::MIN);
    /// Furthest ahead: stands for "no upper bound".
    pub const MAX: Self = Self(i64::MAX);

    /// `nanos` nanoseconds ahead.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// `millis` milliseconds ahead; saturates.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// `seconds` seconds ahead; saturates.
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(NANOS_PER_SECOND))
    }

    /// `duration` ahead; saturates.
    pub fn ahead(duration: Duration) -> Self {
        Self(nanos(duration))
    }

    /// Nanoseconds, signed.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Seconds, signed, for people and for formats that want a float.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / NANOS_PER_SECOND as f64
    }

    /// The distance without its sign.
    pub const fn magnitude(self) -> Duration {
        Duration::from_nanos(self.0.unsigned_abs())
    }

    /// This offset moved ahead by `duration`; saturates.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }

    /// This offset moved back by `duration`; saturates.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(duration)))
    }

    /// The same distance seen from the other clock; saturates.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self(0_i64.saturating_sub(self.0))
    }
}

/// A duration as nanoseconds; the longest one that fits stands for all longer ones.
fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn seconds_before_the_epoch_round_towards_the_past() {
        let moment = Timestamp::from_nanos(-1);
        assert_eq!((moment.unix_seconds(), moment.subsec_nanos()), (-1, 999_999_999));
    }

    proptest! {
        #[test]
        fn seconds_and_their_fraction_make_up_the_whole(nanos in any::<i64>()) {
            let moment = Timestamp::from_nanos(nanos);
            let whole = i128::from(moment.unix_seconds()) * 1_000_000_000 + i128::from(moment.subsec_nanos());
            prop_assert_eq!(whole, i128::from(nanos));
        }

        #[test]
        fn moving_is_exact_within_the_range_and_saturates_at_its_ends(nanos in any::<i64>(), by in any::<u64>()) {
            let (moment, by) = (Timestamp::from_nanos(nanos), Duration::from_nanos(by));
            let exact = i128::from(nanos) + i128::try_from(by.as_nanos().min(i64::MAX as u128)).unwrap();
            prop_assert_eq!(i128::from(moment.plus(by).as_nanos()), exact.min(i128::from(i64::MAX)));
            prop_assert!(moment.minus(by) <= moment);
        }

        #[test]
        fn a_distance_leads_back_to_where_it_was_measured(a in -1_i64 << 61..1 << 61, b in -1_i64 << 61..1 << 61) {
            let (a, b) = (Timestamp::from_nanos(a), Timestamp::from_nanos(b));
            let there = b.since(a);
            prop_assert_eq!(there.reversed(), a.since(b));
            let arrived = if a <= b { a.plus(there.magnitude()) } else { a.minus(there.magnitude()) };
            prop_assert_eq!(arrived, b);
        }
    }
}
