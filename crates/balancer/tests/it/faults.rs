//! Targets that die, refuse, hang or answer nonsense.

use std::sync::Arc;
use std::time::Duration;

use gimmetime_balancer::Settings;
use gimmetime_balancer::control::FromPlane;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::rig::{Client, Manner, Rig, Target};

fn status(reply: &str) -> &str {
    reply.get(9..12).unwrap_or("")
}

/// A target whose port is closed.
async fn dead() -> Target {
    let mut target = Target::start(Manner::HangsUp).await;
    target.kill().await;
    target
}

#[tokio::test]
async fn without_a_target_the_answer_is_503() {
    let rig = Rig::start(&[]).await;
    let reply = rig.get("/").await;
    assert!(
        reply.starts_with("HTTP/1.1 503 Service Unavailable\r\n") && !reply.contains("Connection: close"),
        "{reply}"
    );
}

#[tokio::test]
async fn a_bad_target_alone_is_a_bad_gateway() {
    let long = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "b".repeat(33_000)).into_bytes();
    let manners = [
        Manner::HangsUp,
        Manner::BreaksOff(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".to_vec()),
        Manner::BreaksOff(b"HTTP/1.1 200".to_vec()),
        Manner::Says(b"nonsense\r\n\r\n".to_vec()),
        Manner::Says(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n".to_vec()),
        Manner::Says(long),
    ];
    for manner in manners {
        let what = format!("{manner:.60?}");
        let target = Target::start(manner).await;
        let rig = Rig::start(&[&target]).await;
        assert_eq!(status(&rig.get("/").await), "502", "{what}");
        assert_eq!(target.seen().len(), 1, "never sent to the same target again: {what}");
    }
    let rig = Rig::start(&[&dead().await]).await;
    assert_eq!(status(&rig.get("/").await), "502");
}

#[tokio::test]
async fn a_target_that_does_not_answer_is_a_gateway_timeout() {
    let target = Target::start(Manner::Waits(Arc::new(Semaphore::new(0)))).await;
    let other = Target::start(Manner::Waits(Arc::new(Semaphore::new(0)))).await;
    let settings = Settings { idle_timeout: Duration::from_millis(100), ..Settings::default() };
    let rig = Rig::with(&[&target, &other], settings).await;
    assert_eq!(status(&rig.get("/").await), "504");
    assert_eq!(target.seen().len() + other.seen().len(), 1, "not repeated");
}

#[tokio::test]
async fn a_get_that_fails_goes_to_another_target_and_a_post_does_not() {
    for bad in [Manner::HangsUp, Manner::BreaksOff(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".to_vec())] {
        let bad = Target::start(bad).await;
        let good = Target::start(Manner::ok("x")).await;
        let mut rig = Rig::start(&[&bad, &good]).await;
        for _ in 0..10 {
            assert_eq!(status(&rig.get("/").await), "200");
        }
        assert_eq!(rig.counters(|counters| counters.retried == 5).await.requests, 10);
        let mut statuses = Vec::new();
        for _ in 0..10 {
            let mut client = rig.connect().await;
            client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx").await;
            statuses.push(status(&client.reply().await.unwrap()).to_owned());
        }
        assert_eq!(statuses.iter().filter(|status| *status == "502").count(), 5, "{statuses:?}");
    }
}

#[tokio::test]
async fn a_post_to_a_closed_port_goes_to_another_target_because_nothing_was_sent() {
    let (bad, good) = (dead().await, Target::start(Manner::ok("x")).await);
    let rig = Rig::start(&[&bad, &good]).await;
    for _ in 0..6 {
        let mut client = rig.connect().await;
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc").await;
        assert_eq!(status(&client.reply().await.unwrap()), "200");
    }
    assert!(good.seen().iter().all(|request| request.ends_with("\r\n\r\nabc")));
}

#[tokio::test]
async fn a_target_that_refuses_is_left_alone_until_it_listens_again() {
    let (bad, good) = (dead().await, Target::start(Manner::ok("x")).await);
    let mut rig = Rig::start(&[&bad, &good]).await;
    let mut client = rig.connect().await;
    for _ in 0..100 {
        assert_eq!(status(&client.get("/").await), "200");
    }
    let counters = rig.counters(|counters| counters.requests == 100).await;
    assert_eq!(counters.connection_errors, 1, "ejected by the first refusal");
    let back = Target::on(TcpListener::bind(bad.address).await.unwrap(), Manner::ok("back"));
    let returned = async { while !client.get("/").await.ends_with("back") {} };
    tokio::time::timeout(crate::rig::DEADLINE, returned).await.expect("it gets requests again");
    assert!(!back.seen().is_empty());
}

#[tokio::test]
async fn a_connection_on_which_a_request_is_still_being_sent_holds_up_no_other() {
    let target = Target::start(Manner::Hurries).await;
    let rig = Rig::start(&[&target]).await;
    let mut uploading = rig.connect().await;
    uploading.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nx").await;
    assert_eq!(status(&uploading.reply().await.unwrap()), "200");
    assert_eq!(status(&rig.get("/").await), "200");
}

#[tokio::test]
async fn when_everything_fails_retries_are_bounded() {
    let targets = [Target::start(Manner::HangsUp).await, Target::start(Manner::HangsUp).await];
    let mut rig = Rig::start(&[&targets[0], &targets[1]]).await;
    let mut client = rig.connect().await;
    for _ in 0..500 {
        assert_eq!(status(&client.get("/").await), "502");
    }
    let counters = rig.counters(|counters| counters.requests == 500).await;
    // A hundred that are always allowed over ten seconds, and a fifth of the requests.
    assert!(100 <= counters.retried && counters.retried <= 200, "{counters:?}");
    assert_eq!(counters.elb_5xx, 500);
}

#[tokio::test]
async fn a_retry_that_no_target_is_left_for_is_not_paid_for() {
    let (bad, good) = (Target::start(Manner::HangsUp).await, Target::start(Manner::ok("x")).await);
    let mut rig = Rig::start(&[&bad]).await;
    let mut client = rig.connect().await;
    for _ in 0..200 {
        assert_eq!(status(&client.get("/").await), "502");
    }
    rig.route(&[(&bad, false), (&good, false)]).await;
    for _ in 0..20 {
        assert_eq!(status(&client.get("/").await), "200");
    }
}

#[tokio::test]
async fn an_old_connection_that_was_closed_costs_no_request() {
    let target = Target::start(Manner::ok("x")).await;
    let rig = Rig::start(&[&target]).await;
    let mut client = rig.connect().await;
    assert_eq!(status(&client.get("/").await), "200");
    let address = target.address;
    let mut target = target;
    target.kill().await;
    let again = Target::on(TcpListener::bind(address).await.unwrap(), Manner::ok("y"));
    let reply = client.get("/").await;
    assert!(reply.ends_with('y'), "{reply}");
    assert_eq!(again.seen().len(), 1);
}

#[tokio::test]
async fn killing_targets_under_load_fails_no_get() {
    let mut targets = Vec::new();
    for _ in 0..3 {
        targets.push(Target::start(Manner::ok("0123456789")).await);
    }
    let mut rig = Rig::start(&targets.iter().collect::<Vec<_>>()).await;
    let load = Load::start(rig.address, 16);
    for victim in targets.iter_mut().take(2) {
        load.answers_more(300).await;
        victim.kill().await;
    }
    load.answers_more(300).await;
    let (asked, failures) = load.stop().await;
    assert_eq!(failures, Vec::<String>::new(), "of {asked}");
    assert!(rig.counters(|counters| asked as u64 <= counters.requests).await.connection_errors < 200);
}

#[tokio::test]
async fn a_target_is_drained_before_it_goes_and_nobody_notices() {
    let gate = Arc::new(Semaphore::new(0));
    let old = Target::start(Manner::Waits(Arc::clone(&gate))).await;
    let new = Target::start(Manner::ok("new")).await;
    let mut rig = Rig::start(&[&old]).await;
    let mut held = rig.connect().await;
    held.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n").await;
    crate::rig::until("the request is in flight", || old.seen().len() == 1).await;
    let version = rig.route(&[(&old, true), (&new, false)]).await;
    // Every request from here on goes elsewhere.
    for _ in 0..20 {
        assert!(rig.get("/").await.ends_with("new"));
    }
    assert_eq!(old.seen().len(), 1);
    let idle = FromPlane::Idle { target: old.address.port().to_string(), version };
    let early = tokio::time::timeout(Duration::from_millis(50), rig.hear(|message| *message == idle)).await;
    assert!(early.is_err(), "idle was said while a request was in flight");
    gate.add_permits(1);
    assert!(held.reply().await.unwrap().ends_with("done"));
    rig.hear(|message| *message == idle).await;
    // A target that is absent drains the same way.
    let version = rig.route(&[]).await;
    let idle = FromPlane::Idle { target: new.address.port().to_string(), version };
    rig.hear(|message| *message == idle).await;
    assert_eq!(status(&rig.get("/").await), "503");
}

/// Clients that ask for ever on connections they keep, and note each failure.
pub(crate) struct Load {
    clients: JoinSet<(usize, Vec<String>)>,
    asked: Arc<std::sync::atomic::AtomicUsize>,
    stop: Arc<std::sync::atomic::AtomicBool>,
}

impl Load {
    pub(crate) fn start(address: std::net::SocketAddr, clients: usize) -> Self {
        let (asked, stop) = (Arc::default(), Arc::default());
        let mut load = Self { clients: JoinSet::new(), asked, stop };
        for _ in 0..clients {
            load.clients.spawn(hammer(address, Arc::clone(&load.asked), Arc::clone(&load.stop)));
        }
        load
    }

    /// Returns after so many more answers.
    pub(crate) async fn answers_more(&self, count: usize) {
        let goal = self.asked.load(std::sync::atomic::Ordering::SeqCst) + count;
        crate::rig::until("answers come", || goal <= self.asked.load(std::sync::atomic::Ordering::SeqCst)).await;
    }

    /// How often was asked, and what failed.
    pub(crate) async fn stop(self) -> (usize, Vec<String>) {
        self.stop.store(true, std::sync::atomic::Ordering::SeqCst);
        let results = self.clients.join_all().await;
        let asked = results.iter().map(|(asked, _)| asked).sum();
        (asked, results.into_iter().flat_map(|(_, failures)| failures).collect())
    }
}

async fn hammer(
    address: std::net::SocketAddr,
    asked: Arc<std::sync::atomic::AtomicUsize>,
    stop: Arc<std::sync::atomic::AtomicBool>,
) -> (usize, Vec<String>) {
    let (mut count, mut failures) = (0, Vec::new());
    let mut client = Client::connect(address).await;
    while !stop.load(std::sync::atomic::Ordering::SeqCst) {
        client.send("GET /now HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let reply = client.reply().await.unwrap_or_else(|| "the connection ended".to_owned());
        if !reply.starts_with("HTTP/1.1 200 OK\r\n") {
            failures.push(reply.clone());
        }
        if !reply.starts_with("HTTP/") || reply.contains("\r\nConnection: close\r\n") {
            client = Client::connect(address).await;
        }
        count += 1;
        asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }
    (count, failures)
}
