//! When to send the next request to a server that only says whole seconds. Pure.
//!
//! Such a reply tells on which side of a whole second the server's clock was. Aimed so that a clock with a chosen offset reads
//! exactly a whole second, it tells on which side of that offset the clock is, to the round trip. So a reply decides about the
//! limit only if it is aimed a little inside or outside of it, never at it.

use std::time::Duration;

use gimmetime_clock::{Interval, Offset, Timestamp};

const SECOND: Duration = Duration::from_secs(1);
/// Share of the shortest round trip to aim beside the limit: above half, so that the way back cannot blur the answer.
const MARGIN_PERCENT: u32 = 65;
/// A first request this close to a whole second waits: a good clock's answer might fall on the other side.
const FIRST_CLEARANCE: Duration = Duration::from_millis(50);
/// A wait shorter than this cannot be kept.
const LEAD: Duration = Duration::from_millis(5);

/// How long to wait before the very first request, at most 0.1 s: then one reply certifies a clock that is right to 50 ms.
pub(crate) fn first_wait(now: Timestamp) -> Duration {
    let since = Duration::from_nanos(u64::from(now.subsec_nanos()));
    let left = SECOND.saturating_sub(since);
    if since < FIRST_CLEARANCE {
        FIRST_CLEARANCE.saturating_sub(since)
    } else if left < FIRST_CLEARANCE {
        left + FIRST_CLEARANCE
    } else {
        Duration::ZERO
    }
}

/// How far beside the limit to aim after that many tries. In turn far, so that the answer decides even over the slowest round
/// trip seen, and as near as the shortest allows, for clocks close to the limit.
pub(crate) fn margin(shortest: Duration, longest: Duration, tries: u32) -> Duration {
    if tries.is_multiple_of(2) { longest * (1 + tries / 2) } else { shortest * MARGIN_PERCENT / 100 }
}

/// The offset to aim at so that the answer can decide about ±`limit`; `None` if `known` is decided already. It is never further
/// from the limit than half of what is unknown on that side.
pub(crate) fn target(known: Interval, limit: Offset, margin: Duration) -> Option<Offset> {
    if known.within(limit) || known.disjoint_from(limit) {
        return None;
    }
    let limit = limit.magnitude();
    let edges = [Offset::ZERO.plus(limit), Offset::ZERO.minus(limit)].into_iter().filter(|edge| known.contains(*edge));
    let middle = known.midpoint();
    let room = |from: Offset, to: Offset| Duration::from_nanos(from.as_nanos().abs_diff(to.as_nanos())) / 2;
    edges
        .flat_map(|edge| [edge.minus(margin.min(room(edge, known.lo))), edge.plus(margin.min(room(edge, known.hi)))])
        .min_by_key(|candidate| candidate.as_nanos().abs_diff(middle.as_nanos()))
}

/// The next moment, on our wall clock, to write a request so that a clock `offset` ahead reads a whole second when it arrives.
pub(crate) fn send_at(now: Timestamp, offset: Offset, round_trip: Duration) -> Timestamp {
    let earliest = now.plus(LEAD);
    let arrival = earliest.plus(round_trip / 2);
    let reading = i128::from(arrival.as_nanos()) + i128::from(offset.as_nanos());
    let wait = (-reading).rem_euclid(1_000_000_000);
    earliest.plus(Duration::from_nanos(wait as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::LIMIT;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_clock_that_far_ahead_reads_a_whole_second_at_half_the_round_trip(
            now in 0_i64..4_000_000_000_000_000_000,
            offset in -100_000_000_000_i64..100_000_000_000,
            round_trip in 0_u64..2_000_000_000,
        ) {
            let now = Timestamp::from_nanos(now);
            let sent = send_at(now, Offset::from_nanos(offset), Duration::from_nanos(round_trip));
            prop_assert!(now.plus(LEAD) <= sent && sent < now.plus(LEAD + SECOND));
            let reading = sent.as_nanos() + (round_trip / 2).cast_signed() + offset;
            prop_assert_eq!(reading.rem_euclid(1_000_000_000), 0);
        }

        #[test]
        fn the_first_wait_is_short_and_ends_clear_of_a_whole_second(now in 0_i64..4_000_000_000_000_000_000) {
            let now = Timestamp::from_nanos(now);
            let wait = first_wait(now);
            let phase = Duration::from_nanos(u64::from(now.plus(wait).subsec_nanos()));
            prop_assert!(wait <= 2 * FIRST_CLEARANCE);
            prop_assert!(FIRST_CLEARANCE <= phase && phase + FIRST_CLEARANCE <= SECOND);
        }

        #[test]
        fn there_is_a_target_exactly_while_the_limit_is_undecided(lo in -3000_i64..3000, width in 0_i64..3000, margin in 0_u64..500) {
            let known = Interval::new(Offset::from_millis(lo), Offset::from_millis(lo + width)).unwrap();
            let decided = known.within(LIMIT) || known.disjoint_from(LIMIT);
            let aimed = target(known, LIMIT, Duration::from_millis(margin));
            prop_assert_eq!(aimed.is_none(), decided);
            prop_assert!(aimed.is_none_or(|offset| known.contains(offset)));
        }
    }
}
