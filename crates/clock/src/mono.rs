//! Points on the clock that never steps: what durations and deadlines are measured with.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Nanoseconds since this machine booted, time asleep included (`CLOCK_BOOTTIME`).
///
/// Comparable between the processes of one boot, and of one boot only: keep [`source::boot_id`](crate::source::boot_id)
/// beside it wherever it is stored. Serialises as that integer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mono(u64);

impl Mono {
    /// The moment of boot.
    pub const ZERO: Self = Self(0);

    /// The point `nanos` nanoseconds after boot.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since boot.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to this point; zero if `earlier` is the later one.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The point `duration` later; saturates.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// The point `duration` earlier; not before boot.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// One moment on both clocks: what a pure function takes as `now`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Now {
    /// For showing and serving; may step.
    pub wall: Timestamp,
    /// For durations and deadlines; never steps.
    pub mono: Mono,
}

impl Now {
    /// This moment and `duration` more, on both clocks.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self { wall: self.wall.plus(duration), mono: self.mono.plus(duration) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_later_point_is_as_far_away_as_it_was_moved(from in any::<u64>(), by in any::<u64>()) {
            let (start, by) = (Mono::from_nanos(from), Duration::from_nanos(by));
            let end = start.plus(by);
            prop_assert_eq!(start.since(end), Duration::ZERO);
            prop_assert!(end == Mono::from_nanos(u64::MAX) || end.since(start) == by);
            prop_assert!(end.minus(by) <= start);
        }
    }
}
