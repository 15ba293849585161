//! Simulated clocks and networks: whatever they do, what is said about them must be true.

#![expect(clippy::cast_possible_wrap, reason = "simulated moments are far from the ends of their range")]

use std::time::Duration;

use gimmetime_clock::reply::Readings;
use gimmetime_clock::{Interval, Mono, Now, Offset, Timestamp};
use proptest::prelude::*;

use crate::estimate::{Estimate, estimate};
use crate::http::Reply;
use crate::sample::{Instance, Resolution, Sample, bound};
use crate::testing;
use crate::verdict::{LIMIT, Verdict, judge};

/// Our clock at the beginning, and nanoseconds in a second.
const EPOCH: i64 = 1_790_000_000_000_000_000;
const SECOND: i64 = 1_000_000_000;

/// A server behind a network.
#[derive(Clone, Debug)]
pub(crate) struct World {
    /// Its offset at the beginning, and how fast it drifts, which adds up to no more than is allowed for.
    pub(crate) offset: i64,
    pub(crate) drift_ppm: i64,
    pub(crate) stamps: bool,
    /// Least delays each way, what the network adds at random, and how long the server takes.
    pub(crate) forth: u64,
    pub(crate) back: u64,
    pub(crate) jitter: u64,
    pub(crate) hold: u64,
    pub(crate) seed: u64,
}

/// What one exchange showed.
pub(crate) struct Seen {
    pub(crate) sent: i64,
    pub(crate) received: i64,
    pub(crate) readings: Readings,
}

pub(crate) fn worlds() -> impl Strategy<Value = World> {
    let delay = prop_oneof![0_u64..100_000, 0_u64..50_000_000, 0_u64..400_000_000];
    let offset = prop_oneof![
        3 => -2_500_000_000_i64..2_500_000_000,
        1 => 900_000_000_i64..1_100_000_000,
        1 => -1_100_000_000_i64..-900_000_000,
        1 => -100_000_000_i64..100_000_000,
    ];
    let jitter = prop_oneof![Just(1_u64), 1_u64..1_000_000, 1_u64..200_000_000];
    (offset, -100_i64..=100, any::<bool>(), (delay.clone(), delay, jitter, 0_u64..20_000_000), any::<u64>()).prop_map(
        |(offset, drift_ppm, stamps, (forth, back, jitter, hold), seed)| World {
            offset,
            drift_ppm,
            stamps,
            forth,
            back,
            jitter,
            hold,
            seed,
        },
    )
}

impl World {
    /// The true offset at a moment of our clock.
    pub(crate) fn truth(&self, local: i64) -> Offset {
        let drifted = i128::from(local - EPOCH) * i128::from(self.drift_ppm) / 1_000_000;
        Offset::from_nanos(self.offset + drifted as i64)
    }

    fn remote(&self, local: i64) -> Timestamp {
        Timestamp::from_nanos(local + self.truth(local).as_nanos())
    }

    /// The next random number (splitmix64) below `below`.
    fn random(&mut self, below: u64) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below.max(1)
    }

    pub(crate) fn exchange(&mut self, sent: i64) -> Seen {
        let jitter = self.jitter;
        let arrived = sent + (self.forth + self.random(jitter)) as i64;
        let answered = arrived + self.random(self.hold + 1) as i64;
        let received = answered + (self.back + self.random(jitter)) as i64;
        let (first, last) = (self.remote(arrived), self.remote(answered));
        let readings = Readings {
            body: Some(last.unix_seconds() as u64),
            received: self.stamps.then_some(first),
            sent: self.stamps.then_some(last),
            ..Readings::default()
        };
        Seen { sent, received, readings }
    }
}

impl Seen {
    pub(crate) fn sample(&self, instance: &str) -> Sample {
        let interval = bound(Timestamp::from_nanos(self.sent), Timestamp::from_nanos(self.received), &self.readings);
        Sample {
            instance: Instance::Named(instance.to_owned()),
            interval: interval.expect("a server that is not stepped never contradicts itself"),
            at: now(self.received).mono,
            round_trip: Duration::from_nanos((self.received - self.sent) as u64),
            resolution: if self.readings.sent.is_some() { Resolution::Fine } else { Resolution::Second },
        }
    }

    pub(crate) fn reply(&self, instance: Option<&str>) -> Reply {
        let stamps = self.readings.sent.zip(self.readings.received);
        let stamps = stamps.map(|(sent, received)| testing::stamps(instance, received, sent)).unwrap_or_default();
        let seconds = Timestamp::from_secs(self.readings.body.unwrap() as i64);
        let head = format!("HTTP/1.1 200 OK\r\n{stamps}Content-Length: 10\r\n\r\n");
        Reply::simulated(&head, testing::body(seconds).as_bytes(), now(self.sent), now(self.received))
    }
}

/// Both our clocks at a moment of our wall clock.
pub(crate) fn now(local: i64) -> Now {
    Now { wall: Timestamp::from_nanos(local), mono: Mono::from_nanos((local - EPOCH) as u64 + 7) }
}

/// Some moment of the first second.
pub(crate) fn start(phase: u64) -> i64 {
    EPOCH + (phase % SECOND as u64) as i64
}

/// Asks `count` times with random pauses of up to a second.
fn ask(world: &mut World, count: usize, from: i64, instance: &str) -> (Vec<Sample>, i64) {
    let mut at = from;
    let mut samples = Vec::new();
    for _ in 0..count {
        let seen = world.exchange(at);
        at = seen.received + world.random(SECOND as u64) as i64;
        samples.push(seen.sample(instance));
    }
    (samples, at)
}

fn truth_at(world: &World, estimate: &Estimate) -> Offset {
    world.truth(EPOCH + estimate.as_of.as_nanos() as i64 - 7)
}

/// A verdict that is given must be true of the offset at some moment we watched (which it was of, drift aside, at all).
fn is_true(verdict: Verdict, world: &World, first: i64, last: i64) -> bool {
    let (a, b) = (world.truth(first).magnitude(), world.truth(last).magnitude());
    match verdict {
        Verdict::Ok => b <= LIMIT.magnitude(),
        Verdict::Wrong => LIMIT.magnitude() < a.max(b),
        Verdict::Undecided => true,
    }
}

proptest! {
    // 1000 worlds, 100 exchanges each.
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_exchange_always_holds_the_true_offset_and_its_verdict_is_never_wrong(mut world in worlds(), phase in any::<u64>()) {
        for _ in 0..100 {
            let sent = start(phase.wrapping_add(world.random(SECOND as u64)));
            let seen = world.exchange(sent);
            let known = Estimate::of(&seen.sample("a"));
            prop_assert!(known.current().contains(world.truth(seen.received)));
            prop_assert!(known.current().contains(world.truth(seen.sent)), "it drifts less than is allowed for");
            prop_assert!(is_true(judge(&known, LIMIT), &world, seen.sent, seen.received));
            if world.stamps {
                let width = (seen.received - seen.sent) as u64;
                prop_assert!(known.current().half_width().as_nanos() as u64 <= width / 2 + width / 1000 + 2);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn many_exchanges_with_a_drifting_clock_agree_and_hold_the_true_offset(
        mut world in worlds(), phase in any::<u64>(), count in 1_usize..20,
    ) {
        let from = start(phase);
        let (mut samples, end) = ask(&mut world, count, from, "a");
        let in_order = estimate(&samples);
        samples.reverse();
        for estimates in [in_order, estimate(&samples)] {
            let known = &estimates[0];
            prop_assert_eq!(known.contradictions, 0);
            prop_assert!(known.current().contains(truth_at(&world, known)));
            prop_assert!(is_true(judge(known, LIMIT), &world, from, end));
        }
    }

    #[test]
    fn a_step_beyond_what_could_be_noise_is_found_and_both_offsets_are_held(
        mut world in worlds(), phase in any::<u64>(), before in 1_usize..6, after in 1_usize..6,
        step in prop_oneof![-20_i64..-4, 4_i64..20],
    ) {
        let (mut samples, at) = ask(&mut world, before, start(phase), "a");
        let old = world.truth(at);
        world.offset += step * SECOND;
        let (later, end) = ask(&mut world, after, at, "a");
        samples.extend(later);
        let known = &estimate(&samples)[0];
        prop_assert_eq!(known.contradictions, 1);
        prop_assert!(known.current().contains(truth_at(&world, known)));
        let slack = Duration::from_nanos(((end - at) / 1000) as u64);
        prop_assert!(known.interval().widen(slack).contains(old));
        prop_assert_ne!(judge(known, LIMIT), Verdict::Ok, "one of the two was beyond the limit");
    }

    #[test]
    fn several_instances_are_kept_apart(
        mut worlds in prop::collection::vec(worlds(), 2..6), phase in any::<u64>(), count in 4_usize..24,
    ) {
        let mut at = start(phase);
        let mut samples = Vec::new();
        for n in 0..count {
            let which = n % worlds.len();
            let seen = worlds[which].exchange(at);
            at = seen.received;
            samples.push(seen.sample(&which.to_string()));
        }
        let estimates = estimate(&samples);
        prop_assert_eq!(estimates.len(), worlds.len().min(count));
        let mut hull: Option<Interval> = None;
        for (world, known) in worlds.iter().zip(&estimates) {
            prop_assert_eq!(known.contradictions, 0);
            prop_assert!(known.current().contains(truth_at(world, known)));
            prop_assert!(is_true(judge(known, LIMIT), world, start(phase), at));
            hull = Some(hull.map_or(known.interval(), |hull| hull.hull(known.interval())));
        }
        prop_assert!(estimates.iter().zip(&worlds).all(|(known, world)| hull.unwrap().contains(truth_at(world, known))));
    }
}
