//! A machine without descriptors, in a process of its own: the limit is the process's.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use gimmetime_check::{ProbeHandle, ProbePlan, Tally, start_probe};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that the test may have: more than the test itself needs.
const LIMIT: u64 = 64;

async fn until(probe: &ProbeHandle, enough: impl Fn(&Tally) -> bool) -> Tally {
    let seen = async {
        loop {
            let tally = probe.snapshot();
            if enough(&tally) {
                return tally;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), seen).await.expect("the probe goes on")
}

#[tokio::test]
async fn a_machine_without_descriptors_blames_itself_and_goes_on_when_it_has_some() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    setrlimit(Resource::Nofile, Rlimit { current: Some(LIMIT), ..getrlimit(Resource::Nofile) }).unwrap();
    let all: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    let probe = start_probe(ProbePlan {
        url,
        connect_to: None,
        rate: 200.0,
        timeout: Duration::from_secs(5),
        judge_clock: false,
    });
    let without = until(&probe, |tally| 5 <= tally.requests).await;
    assert_eq!((without.failed, without.answered()), (0, 0), "{without:?}");
    assert!(without.first_unverified[0].1.starts_with("out of descriptors"), "{without:?}");
    drop(all);
    // Not earlier: without descriptors nothing can be accepted either.
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    until(&probe, |tally| 5 <= tally.answered()).await;
    assert_eq!(probe.finish().await.failed, 0);
}
