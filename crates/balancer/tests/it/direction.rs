//! The control connection: directors that come, go, and say nonsense; listeners that change hands.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use gimmetime_balancer::control::client::Director;
use gimmetime_balancer::control::{Algorithm, FromPlane, ToPlane};
use tokio::time::timeout;

use crate::faults::Load;
use crate::rig::{DEADLINE, Manner, Rig, Target, hear, table, until};

const GRACE: Duration = Duration::from_secs(8);

#[tokio::test]
async fn the_plane_serves_on_without_a_director_and_tells_the_next_one_where_it_stands() {
    let (old, new) = (Target::start(Manner::ok("old")).await, Target::start(Manner::ok("new")).await);
    let mut rig = Rig::start(&[&old]).await;
    let version = rig.route(&[(&old, true), (&new, false)]).await;
    let idle = FromPlane::Idle { target: old.address.port().to_string(), version };
    rig.hear(|message| *message == idle).await;
    let address = rig.address;
    let path = rig.socket.clone();
    let former = std::mem::replace(&mut rig.director, Director::connect(&path).await.unwrap());
    drop(former);
    assert!(rig.get("/").await.ends_with("new"));
    let hello = rig.hear(|message| matches!(message, FromPlane::Hello { .. })).await;
    let FromPlane::Hello { version: known, listeners, .. } = hello else { unreachable!() };
    assert_eq!((known, listeners), (version, vec![address]));
    rig.hear(|message| *message == idle).await;
}

#[tokio::test]
async fn the_newest_director_displaces_the_one_before() {
    let target = Target::start(Manner::ok("x")).await;
    let mut rig = Rig::start(&[&target]).await;
    let mut newer = Director::connect(&rig.socket.clone()).await.unwrap();
    hear(&mut newer, |message| matches!(message, FromPlane::Hello { .. })).await;
    while timeout(DEADLINE, rig.director.recv()).await.unwrap().is_ok_and(|message| message.is_some()) {}
    newer.send(&ToPlane::Table(table(9, Algorithm::RoundRobin, &[(&target, false)])), None).await.unwrap();
    hear(&mut newer, |message| *message == FromPlane::Acked { version: 9 }).await;
}

#[tokio::test]
async fn nonsense_on_the_control_socket_ends_that_connection_only() {
    let target = Target::start(Manner::ok("x")).await;
    let rig = Rig::start(&[&target]).await;
    let folder = rustix::fs::open(
        rig.socket.parent().unwrap(),
        rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )
    .unwrap();
    let short = format!("/proc/self/fd/{}/control", std::os::fd::AsRawFd::as_raw_fd(&folder));
    let long = vec![b'x'; 3 << 20];
    for junk in [b"nonsense\n".as_slice(), b"{\"type\":\"listen\",\"address\":\"127.0.0.1:1\"}\n", b"\xff\n\n", &long] {
        let mut stream = UnixStream::connect(&short).unwrap();
        // The plane may hang up before all is written.
        let _ = stream.write_all(junk);
        let ended = tokio::task::spawn_blocking(move || std::io::copy(&mut stream, &mut std::io::sink()));
        let _ = timeout(DEADLINE, ended).await.expect("the plane hangs up").unwrap();
        assert!(rig.get("/").await.ends_with('x'));
    }
    let mut director = Director::connect(&rig.socket).await.unwrap();
    hear(&mut director, |message| matches!(message, FromPlane::Hello { .. })).await;
}

#[tokio::test]
async fn listeners_change_hands_under_load_and_no_request_fails() {
    let target = Target::start(Manner::ok("x")).await;
    hand_over(&target, Rig::start(&[&target]).await, Rig::start(&[&target]).await).await;
}

#[tokio::test]
async fn listeners_change_hands_between_processes() {
    let target = Target::start(Manner::ok("x")).await;
    hand_over(&target, Rig::process(&[&target]).await, Rig::process(&[&target]).await).await;
}

async fn hand_over(target: &Target, mut former: Rig, mut next: Rig) {
    let load = Load::start(former.address, 8);
    load.answers_more(200).await;
    former.director.send(&ToPlane::HandOver, None).await.unwrap();
    let (address, listener) = loop {
        let (message, mut listeners) = timeout(DEADLINE, former.director.recv()).await.unwrap().unwrap().unwrap();
        if let FromPlane::Listeners { addresses } = message {
            break (addresses[0], listeners.remove(0));
        }
    };
    next.director.send(&ToPlane::Listen { address }, Some(std::os::fd::AsFd::as_fd(&listener))).await.unwrap();
    next.hear(|message| *message == FromPlane::Listening { address }).await;
    drop(listener);
    load.answers_more(200).await;
    former.retire(GRACE).await;
    load.answers_more(200).await;
    let (asked, failures) = load.stop().await;
    assert_eq!(failures, Vec::<String>::new(), "of {asked}");
    assert!(next.counters(|counters| 200 <= counters.requests).await.requests <= asked as u64);
    assert!(asked <= target.seen().len());
}

#[tokio::test]
async fn a_closed_listener_lets_its_connections_finish() {
    let target = Target::start(Manner::ok("x")).await;
    let rig = Rig::start(&[&target]).await;
    let (mut asking, mut silent) = (rig.connect().await, rig.connect().await);
    asking.get("/").await;
    silent.get("/").await;
    rig.director.send(&ToPlane::Unlisten { address: rig.address }, None).await.unwrap();
    until("nobody is accepted", || std::net::TcpStream::connect(rig.address).is_err()).await;
    let last = asking.get("/").await;
    assert!(last.contains("\r\nConnection: close\r\n"), "{last}");
    assert_eq!(asking.reply().await, None);
    assert_eq!(silent.reply().await, None);
}

#[tokio::test]
async fn retirement_waits_for_what_is_in_flight_and_cuts_it_after_the_grace() {
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let target = Target::start(Manner::Waits(std::sync::Arc::clone(&gate))).await;
    for (grace, released) in [(GRACE, true), (Duration::from_millis(50), false)] {
        let rig = Rig::start(&[&target]).await;
        let before = target.seen().len();
        let mut client = rig.connect().await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        until("the request is in flight", || before < target.seen().len()).await;
        let retiring = tokio::spawn(rig.retire(grace));
        if released {
            gate.add_permits(1);
            let reply = client.reply().await.unwrap();
            assert!(reply.contains("\r\nConnection: close\r\n") && reply.ends_with("done"), "{reply}");
        } else {
            assert_eq!(client.reply().await, None);
        }
        timeout(DEADLINE, retiring).await.unwrap().unwrap();
    }
}
