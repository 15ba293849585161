//! From one reply to one interval that certainly holds the server's offset. Pure.
//!
//! Nothing is assumed of how a round trip divides into forth and back: the server read its clock after we wrote the request
//! and before we had read the reply, and that is all. Cf. Cristian 1989, "Probabilistic clock synchronization".

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use gimmetime_clock::reply::Readings;
use gimmetime_clock::{Interval, Mono, Now, Offset, Timestamp};

use crate::http::Reply;

/// The body is cut to whole seconds.
const BODY_RESOLUTION: Duration = Duration::from_secs(1);
/// Wall and monotonic clock of one moment are read within this, unless something happened between.
const ANCHOR_TOLERANCE: Duration = Duration::from_millis(1);

/// Whose clock a sample is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Instance {
    /// The id it gave itself.
    Named(String),
    /// A server that gives none: one clock is assumed at each address, and a contradiction shows if that is wrong by more than
    /// the width of the intervals.
    Unnamed(SocketAddr),
}

/// How fine the reading was that the sample is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// A stamp: the width of the interval is the round trip's.
    Fine,
    /// A whole second: when the request is sent decides what can be learned.
    Second,
}

/// What one exchange proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Who answered.
    pub instance: Instance,
    /// Holds the offset at the moment the server read its clock, at most `round_trip` before `at`.
    pub interval: Interval,
    /// When the reply was complete.
    pub at: Mono,
    /// From before the write to the completed reply.
    pub round_trip: Duration,
    /// Of what it was made.
    pub resolution: Resolution,
}

/// Why a reply proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SampleError {
    /// It bears no time.
    #[error("the reply bears no time")]
    NoTime,
    /// Its stamps and its body cannot both be true.
    #[error("the stamps put the clock at {} to {} ns, the body at {} to {} ns",
        stamps.lo.as_nanos(), stamps.hi.as_nanos(), body.lo.as_nanos(), body.hi.as_nanos())]
    Inconsistent {
        /// What the stamps say.
        stamps: Interval,
        /// What the body says.
        body: Interval,
    },
    /// Our own clock went backwards between request and reply.
    #[error("the clock of this machine went backwards during the exchange")]
    Backwards,
}

/// What can be read off a reply.
pub fn readings(reply: &Reply) -> Readings {
    Readings::read(reply.headers(), &reply.body)
}

/// Bounds the server's offset (remote − ours) from one exchange; `None` if nothing follows from it.
///
/// `sent` is ours before the write, `received` ours after the read that completed what was read off. With both stamps
/// `[T2 − received, T1 − sent]`; with one `[T − received, T − sent]`; with whole seconds `[S − received, S + 1 s − sent]`; with
/// several of them what all say. `Date` is left out: caches, proxies and servers that refresh it by a timer let it lag.
pub fn bound(sent: Timestamp, received: Timestamp, readings: &Readings) -> Option<Interval> {
    combine(sent, received, received, readings).ok().map(|(interval, _)| interval)
}

impl Sample {
    /// What `reply` from `peer` proves.
    pub fn of(reply: &Reply, readings: &Readings, peer: SocketAddr) -> Result<Self, SampleError> {
        let (interval, resolution) = combine(reply.sent.wall, reply.head_done.wall, reply.done.wall, readings)?;
        let instance = readings.instance.clone().map_or(Instance::Unnamed(peer), Instance::Named);
        let round_trip = reply.done.mono.since(reply.sent.mono);
        Ok(Self { instance, interval, at: reply.done.mono, round_trip, resolution })
    }
}

/// Header fields were complete at `head_done`, the body at `done`: neither may bound the other's reading.
fn combine(
    sent: Timestamp,
    head_done: Timestamp,
    done: Timestamp,
    readings: &Readings,
) -> Result<(Interval, Resolution), SampleError> {
    if head_done < sent || done < sent {
        return Err(SampleError::Backwards);
    }
    let stamps = stamp_interval(sent, head_done, readings);
    let body = readings.body.and_then(|seconds| body_interval(sent, done, seconds));
    match (stamps, body) {
        (None, None) => Err(SampleError::NoTime),
        (None, Some(body)) => Ok((body, Resolution::Second)),
        (Some(stamps), None) => Ok((stamps, Resolution::Fine)),
        (Some(stamps), Some(body)) => match stamps.intersect(body) {
            Some(both) => Ok((both, Resolution::Fine)),
            None => Err(SampleError::Inconsistent { stamps, body }),
        },
    }
}

fn stamp_interval(sent: Timestamp, received: Timestamp, readings: &Readings) -> Option<Interval> {
    let single = |stamp: Timestamp| Interval::new(stamp.since(received), stamp.since(sent));
    match (readings.received, readings.sent) {
        // A server that says it held the request longer than we waited was stepped meanwhile: its later reading counts alone.
        (Some(first), Some(second)) if first <= second => {
            Interval::new(second.since(received), first.since(sent)).or_else(|| single(second))
        }
        (_, Some(stamp)) | (Some(stamp), None) => single(stamp),
        (None, None) => None,
    }
}

fn body_interval(sent: Timestamp, received: Timestamp, seconds: u64) -> Option<Interval> {
    let start = Timestamp::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    let end = start.plus(BODY_RESOLUTION);
    // Beyond what can be held there is no upper end to speak of.
    let hi = if end == Timestamp::MAX { Offset::MAX } else { end.since(sent) };
    Interval::new(start.since(received), hi)
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(id) => f.write_str(id),
            Self::Unnamed(address) => write!(f, "{address}"),
        }
    }
}

/// What became of our own wall clock, as an exchange showed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Steadiness {
    /// It ran on; it may have moved by this much all the same, which the interval must allow for.
    Steady(Duration),
    /// Its two clocks were read far apart, or one stepped, during this exchange: it proves nothing.
    Disturbed,
    /// It was stepped since the last one: all that was learned was about a clock that is gone.
    Stepped,
}

/// Tells a step of our own wall clock from one of the server's: wall − monotonic stays the same while nobody steps it
/// (slewing moves both alike).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Anchor {
    distance: i128,
}

impl Anchor {
    /// From some readings in a row. A pause between the two clocks of a reading makes their distance smaller (the wall clock
    /// is read first), so the greatest is the best.
    pub(crate) fn new(readings: impl Iterator<Item = Now>) -> Self {
        Self { distance: readings.map(distance).max().unwrap_or_default() }
    }

    pub(crate) fn observe(&mut self, sent: Now, done: Now) -> Steadiness {
        let (before, after) = (distance(sent), distance(done));
        let tolerance = ANCHOR_TOLERANCE.as_nanos();
        if tolerance < before.abs_diff(after) {
            return Steadiness::Disturbed;
        }
        let moved = self.distance.abs_diff(before).max(self.distance.abs_diff(after));
        if moved <= tolerance {
            return Steadiness::Steady(Duration::from_nanos(moved as u64));
        }
        self.distance = after;
        Steadiness::Stepped
    }
}

fn distance(now: Now) -> i128 {
    i128::from(now.wall.as_nanos()) - i128::from(now.mono.as_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: i64 = 1_790_000_000;

    fn at(nanos: i64) -> Timestamp {
        Timestamp::from_nanos(T * 1_000_000_000 + nanos)
    }

    fn ends(interval: Option<Interval>) -> Option<(i64, i64)> {
        interval.map(|interval| (interval.lo.as_nanos(), interval.hi.as_nanos()))
    }

    fn stamps(received: Option<i64>, sent: Option<i64>) -> Readings {
        Readings { received: received.map(at), sent: sent.map(at), ..Readings::default() }
    }

    #[test]
    fn two_stamps_take_the_servers_own_time_off_the_round_trip() {
        assert_eq!(ends(bound(at(0), at(100), &stamps(Some(40), Some(70)))), Some((-30, 40)));
    }

    #[test]
    fn one_stamp_is_as_good_as_the_round_trip() {
        assert_eq!(ends(bound(at(0), at(100), &stamps(None, Some(70)))), Some((-30, 70)));
        assert_eq!(ends(bound(at(0), at(100), &stamps(Some(40), None))), Some((-60, 40)));
    }

    #[test]
    fn a_server_stepped_while_it_answered_is_judged_by_its_last_reading() {
        assert_eq!(ends(bound(at(0), at(100), &stamps(Some(40), Some(5040)))), Some((4940, 5040)));
        assert_eq!(ends(bound(at(0), at(100), &stamps(Some(5040), Some(70)))), Some((-30, 70)));
    }

    #[test]
    fn whole_seconds_leave_a_second_and_the_round_trip() {
        let readings = Readings { body: Some(T as u64), ..Readings::default() };
        let second = 1_000_000_000;
        assert_eq!(ends(bound(at(300), at(400), &readings)), Some((-400, second - 300)));
    }

    #[test]
    fn a_body_beyond_what_can_be_held_has_no_upper_end() {
        let readings = Readings { body: Some(9_999_999_999), ..Readings::default() };
        let interval = bound(at(0), at(1), &readings).unwrap();
        assert!(interval.hi == Offset::MAX && interval.disjoint_from(Offset::from_secs(1)));
    }

    #[test]
    fn a_body_that_contradicts_its_own_stamps_is_no_sample() {
        let readings = Readings { body: Some(T as u64 - 5), ..stamps(Some(40), Some(70)) };
        assert!(matches!(combine(at(0), at(100), at(100), &readings), Err(SampleError::Inconsistent { .. })));
        assert_eq!(bound(at(0), at(100), &readings), None);
    }

    #[test]
    fn a_reply_without_a_time_and_a_clock_that_went_backwards_prove_nothing() {
        assert_eq!(combine(at(0), at(1), at(1), &Readings::default()), Err(SampleError::NoTime));
        assert_eq!(combine(at(9), at(1), at(1), &stamps(None, Some(5))), Err(SampleError::Backwards));
    }

    #[test]
    fn our_own_step_is_told_from_slow_reading() {
        let now = |wall: i64, mono: u64| Now { wall: at(wall), mono: Mono::from_nanos(mono) };
        let mut anchor = Anchor::new([now(-900_000, 100), now(0, 100), now(0, 700)].into_iter());
        assert_eq!(anchor.observe(now(50, 150), now(950, 1000)), Steadiness::Steady(Duration::from_nanos(50)));
        assert_eq!(anchor.observe(now(0, 100), now(5_000_000, 200)), Steadiness::Disturbed);
        assert_eq!(anchor.observe(now(5_000_000, 200), now(5_000_100, 300)), Steadiness::Stepped);
        assert_eq!(anchor.observe(now(5_000_000, 200), now(5_000_100, 300)), Steadiness::Steady(Duration::ZERO));
    }
}
