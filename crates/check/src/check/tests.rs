//! The examination against simulated networks, without a socket, and against small servers with them.

use std::sync::atomic::{AtomicUsize, Ordering};

use gimmetime_clock::Synchronization;
use proptest::prelude::*;

use super::run::draws_to_see_all;
use super::*;
use crate::simulation::{World, now, start, worlds};
use crate::testing::{PATIENCE, answering, nobody, plain, seconds, stamped, url};

const OWN: KernelClock = KernelClock { status: Synchronization::Unknown, error_bound: None };
const NODE: &str = "192.0.2.1:80";

/// Runs a whole examination against simulated instances, balanced in turn; none named if there is only one.
fn simulate(worlds: &mut [World], options: Options, phase: u64) -> (Report, i64) {
    let node: SocketAddr = NODE.parse().unwrap();
    let named = 1 < worlds.len();
    let mut at = start(phase);
    let mut run = Run::new(options, vec![node], now(at), std::iter::once(now(at)));
    let mut asked = 0;
    while let Some(round) = run.next(now(at)) {
        let waited = round.not_before.map_or(Duration::ZERO, |moment| moment.since(now(at).mono));
        let sent = at + waited.as_nanos() as i64;
        for address in round.addresses {
            let count = worlds.len();
            let seen = worlds[asked % count].exchange(sent);
            let name = format!("i{}", asked % count);
            let reply = seen.reply(named.then_some(name.as_str()));
            at = at.max(seen.received);
            asked += 1;
            run.learn(address, Ok(reply));
        }
    }
    (run.report(now(at), OWN).unwrap(), at)
}

fn beyond(world: &World, at: i64) -> bool {
    LIMIT.magnitude() < world.truth(at).magnitude()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_examination_is_never_wrong_and_stays_within_its_budget(world in worlds(), phase in any::<u64>()) {
        let mut worlds = [world];
        let (report, end) = simulate(&mut worlds, Options::default(), phase);
        let world = &worlds[0];
        let known = &report.instances[0];
        prop_assert_eq!(report.instances.len(), 1);
        prop_assert_eq!(known.contradictions, 0);
        prop_assert!(known.interval.widen(Duration::from_millis(2)).contains(world.truth(end)));
        match report.verdict {
            Verdict::Ok => prop_assert!(!beyond(world, end) || !beyond(world, start(phase))),
            Verdict::Wrong => prop_assert!(beyond(world, end) || beyond(world, start(phase))),
            Verdict::Undecided => {
                // Honest only near the limit: nearer than a few of the slowest round trips.
                let margin = world.truth(end).magnitude().abs_diff(LIMIT.magnitude()).as_nanos() as u64;
                let slowest = world.forth + world.back + 2 * world.jitter + world.hold;
                prop_assert!(margin <= 5 * slowest + 1_000_000, "{:?}", report);
            }
        }
        prop_assert!(report.requests <= 16 && report.failed == 0);
        prop_assert!(report.elapsed <= Options::default().budget + Duration::from_secs(2));
    }

    #[test]
    fn a_good_clock_that_says_whole_seconds_is_certified_by_one_request(
        offset in -45_000_000_i64..45_000_000, forth in 0_u64..2_000_000, back in 0_u64..2_000_000, phase in any::<u64>(),
    ) {
        let world = World { offset, drift_ppm: 0, stamps: false, forth, back, jitter: 1, hold: 1000, seed: 1 };
        let (report, _) = simulate(&mut [world], Options::default(), phase);
        prop_assert_eq!((report.verdict, report.requests), (Verdict::Ok, 1));
    }

}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_instance_behind_a_balancer_is_seen_and_judged(mut worlds in prop::collection::vec(worlds(), 2..5), phase in any::<u64>()) {
        for world in &mut worlds {
            (world.stamps, world.offset) = (true, world.offset % 800_000_000 + if world.seed % 4 == 0 { 3_000_000_000 } else { 0 });
            (world.forth, world.back, world.jitter) = (world.forth % 40_000_000, world.back % 40_000_000, world.jitter % 40_000_000);
        }
        let (report, end) = simulate(&mut worlds, Options::default(), phase);
        prop_assert_eq!(report.instances.len(), worlds.len());
        for known in &report.instances {
            let which: usize = known.instance.to_string()[1..].parse().unwrap();
            let expected = if beyond(&worlds[which], end) { Verdict::Wrong } else { Verdict::Ok };
            prop_assert_eq!(known.verdict, expected);
        }
        let any_beyond = worlds.iter().any(|world| beyond(world, end));
        prop_assert_eq!(report.verdict, if any_beyond { Verdict::Wrong } else { Verdict::Ok });
    }
}

#[test]
fn near_the_limit_a_few_aimed_requests_decide() {
    for (offset, expected) in [(998_000_000, Verdict::Ok), (1_002_000_000, Verdict::Wrong), (-998_000_000, Verdict::Ok)]
    {
        for phase in (0..1_000_000_000).step_by(9_999_991) {
            let world = World {
                offset,
                drift_ppm: 0,
                stamps: false,
                forth: 500_000,
                back: 500_000,
                jitter: 1,
                hold: 1,
                seed: 1,
            };
            let (report, _) = simulate(&mut [world], Options::default(), phase);
            assert_eq!(report.verdict, expected, "{offset} at {phase}: {:?}", report.instances);
            assert!(report.requests <= 4, "{} requests for {offset} at {phase}", report.requests);
        }
    }
}

#[test]
fn more_draws_are_needed_the_more_instances_there_are() {
    let draws: Vec<_> = [1, 2, 3, 4, 8].into_iter().map(draws_to_see_all).collect();
    assert_eq!(draws, [7, 16, 25, 34, 72]);
}

#[test]
fn what_was_learned_about_a_clock_of_ours_that_is_gone_is_discarded() {
    let node: SocketAddr = NODE.parse().unwrap();
    let mut world = World { offset: 0, drift_ppm: 0, stamps: true, forth: 1, back: 1, jitter: 1, hold: 1, seed: 1 };
    let at = start(500_000_000);
    let mut run = Run::new(Options::default(), vec![node], now(at), std::iter::once(now(at)));
    run.learn(node, Ok(world.exchange(at).reply(Some("a"))));
    // Our wall clock is set back by five seconds; the other one is as it was.
    let mut reply = world.exchange(at + 5_000_000_000).reply(Some("a"));
    for moment in [&mut reply.sent, &mut reply.received, &mut reply.head_done, &mut reply.done] {
        moment.wall = moment.wall.minus(Duration::from_secs(5));
    }
    run.learn(node, Ok(reply));
    let report = run.report(now(at), OWN).unwrap();
    assert!(report.own_step);
    assert_eq!((report.instances[0].samples, report.instances[0].contradictions), (1, 0));
    assert_eq!(report.verdict, Verdict::Wrong, "against the clock as it is now");
}

async fn examine(address: SocketAddr, options: Options) -> Result<Report, CheckError> {
    check(&url(address, "/now"), &options).await
}

fn quick() -> Options {
    Options { timeout: PATIENCE, ..Options::default() }
}

#[tokio::test]
async fn our_own_server_is_certified_and_looked_at_until_no_other_instance_shows_up() {
    let address = answering(|_| stamped("one", Offset::ZERO)).await;
    let report = examine(address, quick()).await.unwrap();
    assert_eq!((report.verdict, report.failed), (Verdict::Ok, 0), "{report:?}");
    assert!(draws_to_see_all(1) < report.requests, "{report:?}");
    assert_eq!(report.instances[0].instance, Instance::Named("one".to_owned()));
    assert!(report.hull().contains(Offset::ZERO) && !report.own_step);
}

#[tokio::test]
async fn a_foreign_server_of_whole_seconds_is_judged() {
    let address = answering(|_| seconds(Offset::ZERO)).await;
    let report = examine(address, quick()).await.unwrap();
    assert_eq!((report.verdict, &report.instances[0].instance), (Verdict::Ok, &Instance::Unnamed(address)));
    let ahead = answering(|_| seconds(Offset::from_secs(5))).await;
    assert_eq!(examine(ahead, quick()).await.unwrap().verdict, Verdict::Wrong);
}

#[tokio::test]
async fn one_wrong_clock_of_two_is_named() {
    let count = AtomicUsize::new(0);
    let address = answering(move |_| match count.fetch_add(1, Ordering::Relaxed) % 2 {
        0 => stamped("good", Offset::ZERO),
        _ => stamped("bad", Offset::from_millis(-2500)),
    })
    .await;
    let report = examine(address, Options { expected_instances: Some(2), ..quick() }).await.unwrap();
    assert_eq!(report.verdict, Verdict::Wrong);
    let verdict = |name: &str| {
        let named = |report: &&InstanceReport| report.instance == Instance::Named(name.to_owned());
        report.instances.iter().find(named).unwrap().verdict
    };
    assert_eq!((verdict("good"), verdict("bad")), (Verdict::Ok, Verdict::Wrong));
    assert!(report.hull().contains(Offset::ZERO) && report.hull().contains(Offset::from_millis(-2500)));
}

#[tokio::test]
async fn fewer_instances_than_expected_are_not_ok() {
    let address = answering(|_| stamped("one", Offset::ZERO)).await;
    let report = examine(address, Options { expected_instances: Some(2), ..quick() }).await.unwrap();
    assert_eq!((report.verdict, report.instances[0].verdict), (Verdict::Undecided, Verdict::Ok));
    assert!(draws_to_see_all(2) <= report.requests, "{}", report.requests);
}

#[tokio::test]
async fn what_is_no_time_is_said_to_be_none() {
    let page = answering(|_| plain("200 OK", "<html>hello</html>")).await;
    let error = examine(page, quick()).await.unwrap_err();
    assert_eq!(error, CheckError::NotNumber { address: page, body: "<html>hello</html>".to_owned() });
    assert_eq!(error.to_string(), format!("{page} answered no Unix time of ten digits: `<html>hello</html>`"));
    let failing = answering(|_| plain("503 Service Unavailable", "no healthy target")).await;
    let error = examine(failing, quick()).await.unwrap_err();
    assert_eq!(error.to_string(), format!("{failing} answered 503 instead of the time: `no healthy target`"));
}

#[tokio::test]
async fn a_service_that_cannot_be_reached_is_told_from_one_without_the_time() {
    let address = nobody();
    let error = examine(address, quick()).await.unwrap_err();
    assert_eq!(error, CheckError::Unreachable { address, fault: Fault::Refused });
    assert_eq!(error.to_string(), format!("no answer from {address}: connection refused"));
}

#[tokio::test]
async fn a_body_that_belies_its_stamps_is_no_proof_of_a_good_clock() {
    let address = answering(|_| {
        let text = String::from_utf8(stamped("liar", Offset::ZERO)).unwrap();
        format!("{}1500000000", &text[..text.len() - 10]).into_bytes()
    })
    .await;
    let error = examine(address, quick()).await.unwrap_err();
    assert!(matches!(error, CheckError::Unusable { reason: SampleError::Inconsistent { .. }, .. }), "{error}");
}

#[tokio::test]
async fn a_service_that_fails_now_and_then_is_not_ok() {
    let count = AtomicUsize::new(0);
    let address = answering(move |_| match count.fetch_add(1, Ordering::Relaxed) {
        3 => plain("502 Bad Gateway", "oops"),
        _ => stamped("one", Offset::ZERO),
    })
    .await;
    let report = examine(address, quick()).await.unwrap();
    assert_eq!((report.verdict, report.failed), (Verdict::Undecided, 1));
    assert_eq!(report.failures, [format!("{address} answered 502 instead of the time: `oops`")]);
}

#[tokio::test]
async fn the_old_words_are_spoken_over_real_sockets() {
    let said = async |address| {
        let said = crate::compat(&url(address, "/now"), &Options::default()).await;
        (said.lines.join("\n"), said.ok)
    };
    let good = answering(|_| stamped("a", Offset::ZERO)).await;
    assert_eq!(said(good).await, ("Time difference is 0\nok".to_owned(), true));
    let behind = answering(|_| stamped("a", Offset::from_millis(-3000))).await;
    let (words, ok) = said(behind).await;
    assert_eq!((words.as_str(), ok), ("Time difference is 3\nnotok", false));
    assert_eq!(said(nobody()).await, ("Service not available or accessible".to_owned(), false));
}

#[test]
fn a_reply_is_shown_as_it_is_but_cannot_paint_the_terminal() {
    assert_eq!(excerpt("{\"message\": \"it's gone\"}\n"), "{\"message\": \"it's gone\"}");
    assert_eq!(excerpt("a\r\n\u{1b}[31mred"), "a  \u{fffd}[31mred");
    assert_eq!(excerpt(&"é".repeat(61)), format!("{}…", "é".repeat(60)));
}
