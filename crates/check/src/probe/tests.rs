//! The probe against servers that come, go, reset and keep silent, on real sockets.

use std::sync::atomic::{AtomicUsize, Ordering};

use gimmetime_clock::Offset;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::*;
use crate::http::Fault;
use crate::testing::{PATIENCE, answering, eventually, nobody, plain, read_request, serve, stamped, url};
use crate::verdict::Verdict;

fn plan(address: SocketAddr, rate: f64) -> ProbePlan {
    ProbePlan { url: url(address, "/now"), connect_to: None, rate, timeout: PATIENCE, judge_clock: true }
}

/// Lets the probe run until that many requests are accounted for, then takes its account.
async fn after(plan: ProbePlan, requests: u64) -> Tally {
    let probe = start_probe(plan);
    eventually(|| requests <= probe.snapshot().requests).await;
    probe.finish().await
}

#[track_caller]
fn adds_up(tally: &Tally) {
    assert_eq!(tally.answered() + tally.failed + tally.unverified, tally.requests);
    assert!(tally.p50 <= tally.p99 && tally.p99 <= tally.max, "{tally:?}");
}

#[tokio::test]
async fn a_good_service_is_probed_over_few_connections_and_every_request_is_accounted_for_once() {
    let (served, connections) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counts = (Arc::clone(&served), Arc::clone(&connections));
    let address = serve(move |mut stream, _| {
        let (served, connections) = (Arc::clone(&counts.0), Arc::clone(&counts.1));
        async move {
            connections.fetch_add(1, Ordering::SeqCst);
            while read_request(&mut stream).await.is_some() {
                served.fetch_add(1, Ordering::SeqCst);
                stream.write_all(&stamped("one", Offset::ZERO)).await.unwrap();
            }
        }
    })
    .await;
    let tally = after(plan(address, 500.0), 200).await;
    adds_up(&tally);
    assert_eq!((tally.failed, tally.unverified, tally.reconnected), (0, 0, 0), "{tally:?}");
    assert_eq!(tally.requests, served.load(Ordering::SeqCst) as u64);
    assert!(connections.load(Ordering::SeqCst) < served.load(Ordering::SeqCst));
    assert!(tally.clock.unwrap().contains(Offset::ZERO) && tally.max != Duration::ZERO);
    assert_eq!(tally.clock_verdict, Some(Verdict::Ok));
}

#[tokio::test]
async fn the_worst_clock_of_the_instances_counts() {
    let count = AtomicUsize::new(0);
    let address = answering(move |_| match count.fetch_add(1, Ordering::Relaxed) % 3 {
        0 => stamped("b", Offset::from_secs(3)),
        _ => stamped("a", Offset::ZERO),
    })
    .await;
    let tally = after(plan(address, 200.0), 10).await;
    assert_eq!((tally.failed, tally.clock_verdict), (0, Some(Verdict::Wrong)));
    let hull = tally.clock.unwrap();
    assert!(hull.contains(Offset::ZERO) && hull.contains(Offset::from_secs(3)));
}

#[tokio::test]
async fn a_service_that_knows_nothing_of_time_is_answered_by_its_status_alone() {
    for status in ["200 OK", "204 No Content", "301 Moved"] {
        let address = answering(move |_| plain(status, "")).await;
        let tally = after(plan(address, 200.0), 3).await;
        assert_eq!((tally.failed, tally.unverified, tally.clock, tally.clock_verdict), (0, 0, None, None), "{status}");
    }
    for status in ["404 Not Found", "500 Oops", "503 Unavailable"] {
        let address = answering(move |_| plain(status, "")).await;
        let tally = after(plan(address, 200.0), 3).await;
        assert_eq!((tally.failed, tally.answered()), (tally.requests, 0), "{status}");
        assert_eq!(tally.first_failures[0].1, format!("answered {}", &status[..3]));
    }
}

#[tokio::test]
async fn clocks_are_left_alone_unless_asked_for() {
    let address = answering(|_| stamped("a", Offset::from_secs(9))).await;
    let tally = after(ProbePlan { judge_clock: false, ..plan(address, 200.0) }, 3).await;
    assert_eq!((tally.clock, tally.clock_verdict), (None, None));
}

/// Answers once, and closes when the next request has come: the race every keep-alive client must be ready for.
async fn closes_on_second(mut stream: TcpStream) {
    read_request(&mut stream).await;
    stream.write_all(&plain("200 OK", "x")).await.unwrap();
    read_request(&mut stream).await;
}

#[tokio::test]
async fn a_kept_connection_found_closed_is_replaced_and_is_no_failure() {
    let address = serve(|stream, _| closes_on_second(stream)).await;
    let tally = after(plan(address, 200.0), 20).await;
    adds_up(&tally);
    assert_eq!((tally.failed, tally.unverified), (0, 0), "{tally:?}");
    assert!(0 < tally.reconnected, "{tally:?}");
}

#[tokio::test]
async fn a_kept_connection_reset_before_an_answer_is_replaced_too() {
    let address = serve(|mut stream, _| async move {
        read_request(&mut stream).await;
        stream.write_all(&plain("200 OK", "x")).await.unwrap();
        // Closed with the next request unread: the kernel answers with a reset.
        stream.peek(&mut [0]).await.unwrap();
    })
    .await;
    let tally = after(plan(address, 200.0), 20).await;
    assert_eq!((tally.failed, tally.unverified), (0, 0), "{tally:?}");
    assert!(0 < tally.reconnected, "{tally:?}");
}

#[tokio::test]
async fn a_new_connection_closed_before_an_answer_is_a_failure() {
    let address = serve(|mut stream, _| async move {
        read_request(&mut stream).await;
    })
    .await;
    let tally = after(plan(address, 200.0), 5).await;
    assert_eq!((tally.failed, tally.reconnected), (tally.requests, 0));
    assert_eq!(tally.first_failures[0].1, Fault::Closed.to_string());
    assert!(tally.first_failures.len() <= 10 && tally.first_failures.is_sorted_by_key(|(sent, _)| *sent));
}

#[tokio::test]
async fn an_answer_cut_short_on_a_kept_connection_is_a_failure_and_not_tried_again() {
    let served = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&served);
    let address = serve(move |mut stream, _| {
        let count = Arc::clone(&count);
        async move {
            while read_request(&mut stream).await.is_some() {
                if count.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) {
                    stream.write_all(&plain("200 OK", "x")).await.unwrap();
                } else {
                    return stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nx").await.unwrap();
                }
            }
        }
    })
    .await;
    let tally = after(plan(address, 100.0), 8).await;
    assert_eq!(tally.requests, served.load(Ordering::SeqCst) as u64);
    assert_eq!(tally.failed, tally.requests / 2, "{tally:?}");
}

#[tokio::test]
async fn a_service_nobody_can_connect_to_is_unverified_not_failed() {
    let tally = after(plan(nobody(), 200.0), 5).await;
    assert_eq!((tally.failed, tally.unverified), (0, tally.requests));
    assert_eq!(tally.first_unverified[0].1, "connection refused");
    let unknown = ProbePlan { url: "http://no-such-host.invalid".parse().unwrap(), ..plan(nobody(), 50.0) };
    let tally = after(unknown, 2).await;
    assert_eq!((tally.failed, tally.unverified), (0, tally.requests));
    assert!(tally.first_unverified[0].1.starts_with("cannot resolve `no-such-host.invalid`"), "{tally:?}");
}

#[tokio::test]
async fn a_name_that_leads_nowhere_is_asked_where_it_is_said_to_connect() {
    let address = answering(|request| {
        let named = request.contains("\r\nHost: no-such-host.invalid\r\n");
        plain(if named { "200 OK" } else { "400 Bad Request" }, "x")
    })
    .await;
    let unknown = ProbePlan {
        url: "http://no-such-host.invalid".parse().unwrap(),
        connect_to: Some(address.to_string().parse().unwrap()),
        ..plan(address, 200.0)
    };
    let tally = after(unknown, 5).await;
    assert_eq!((tally.answered(), tally.requests), (tally.requests, tally.answered()), "{tally:?}");
}

#[tokio::test]
async fn an_address_that_refuses_is_passed_over_while_another_serves() {
    let address = answering(|_| plain("200 OK", "x")).await;
    let account = Account {
        tally: Tally::default(),
        estimates: Vec::new(),
        anchor: Anchor::new(std::iter::empty()),
        judge_clock: false,
    };
    let account = Arc::new(Mutex::new(account));
    let mut pacer = Pacer::new(plan(address, 100.0), oneshot::channel().0, Arc::clone(&account));
    pacer.take_addresses(Ok(vec![nobody(), address]), source::mono());
    for _ in 0..4 {
        pacer.send(source::now());
        let event = pacer.running.join_next().await.unwrap();
        pacer.take(event.ok());
    }
    let tally = lock(&account).statement();
    assert_eq!((tally.answered(), tally.requests), (4, 4), "{tally:?}");
}

#[tokio::test]
async fn silence_is_a_failure_after_the_timeout_and_holds_nobody_up() {
    let timeout = Duration::from_millis(200);
    let address = serve(|mut stream, before| async move {
        while read_request(&mut stream).await.is_some() {
            match before {
                0 => std::future::pending().await,
                _ => stream.write_all(&plain("200 OK", "x")).await.unwrap(),
            }
        }
    })
    .await;
    let tally = after(ProbePlan { timeout, ..plan(address, 200.0) }, 100).await;
    adds_up(&tally);
    assert_eq!(tally.first_failures[0].1, Fault::Timeout(timeout).to_string());
    assert!(20 <= tally.answered(), "the others went on: {tally:?}");
}

#[tokio::test]
async fn no_more_requests_than_the_bound_are_ever_under_way() {
    let address = serve(|mut stream, _| async move {
        read_request(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    let account = Account {
        tally: Tally::default(),
        estimates: Vec::new(),
        anchor: Anchor::new(std::iter::empty()),
        judge_clock: false,
    };
    let account = Arc::new(Mutex::new(account));
    let mut pacer = Pacer::new(plan(address, 100.0), oneshot::channel().0, Arc::clone(&account));
    pacer.take_addresses(Ok(vec![address]), source::mono());
    pacer.outstanding = MAX_OUTSTANDING;
    pacer.send(source::now());
    let tally = lock(&account).statement();
    assert_eq!((tally.unverified, tally.requests, pacer.outstanding), (1, 1, MAX_OUTSTANDING));
    assert_eq!(tally.first_unverified[0].1, "1024 requests are under way, no more are begun");
}

#[tokio::test]
async fn a_dropped_probe_stops() {
    let served = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&served);
    let address = answering(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        plain("200 OK", "x")
    })
    .await;
    let probe = start_probe(plan(address, 500.0));
    eventually(|| 5 <= served.load(Ordering::SeqCst)).await;
    let account = Arc::downgrade(&probe.account);
    drop(probe);
    // Its task held the books, too.
    eventually(|| account.upgrade().is_none()).await;
}

#[tokio::test]
async fn it_has_begun_when_one_outcome_is_known_be_it_that_nobody_was_there() {
    let served = answering(|_| plain("200 OK", "x")).await;
    for (address, failed) in [(served, 0), (nobody(), 1)] {
        let mut probe = start_probe(plan(address, 0.01));
        probe.begun().await;
        probe.begun().await;
        let tally = probe.snapshot();
        assert_eq!((tally.requests, tally.failed + tally.unverified), (1, failed), "{tally:?}");
    }
}
