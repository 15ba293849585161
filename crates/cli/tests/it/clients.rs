//! Clients that ask all the while something happens to the service, and count what a user would have noticed.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::place::{eventually, get};

/// Between two requests of one client, so that many tests can run beside each other.
const PAUSE: Duration = Duration::from_millis(3);

/// Clients at work. Each request has a connection of its own.
pub(crate) struct Clients {
    leave: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    threads: Vec<JoinHandle<Noticed>>,
}

/// What clients noticed.
#[derive(Debug, Default)]
pub(crate) struct Noticed {
    /// Requests that were answered with 200.
    pub(crate) answered: u64,
    /// Connections that were refused.
    pub(crate) refused: u64,
    /// Any other failure: another status, a reset, a time-out.
    pub(crate) failed: Vec<String>,
}

impl Clients {
    /// Begins to ask, and returns once the first was answered.
    #[track_caller]
    pub(crate) fn ask(address: SocketAddr, path: &'static str) -> Self {
        let (leave, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let client = || {
            let (leave, answered) = (Arc::clone(&leave), Arc::clone(&answered));
            std::thread::spawn(move || ask_until(&leave, &answered, address, path))
        };
        let threads = vec![client(), client(), client()];
        let clients = Self { leave, answered, threads };
        clients.go_on(1);
        clients
    }

    /// Returns once so many more were answered.
    #[track_caller]
    pub(crate) fn go_on(&self, more: u64) {
        let goal = self.answered.load(Ordering::Relaxed) + more;
        eventually("clients are answered", || (goal <= self.answered.load(Ordering::Relaxed)).then_some(()));
    }

    /// Ends the asking.
    pub(crate) fn leave(self) -> Noticed {
        self.leave.store(true, Ordering::Relaxed);
        let mut all = Noticed::default();
        for noticed in self.threads.into_iter().map(|thread| thread.join().unwrap()) {
            all.answered += noticed.answered;
            all.refused += noticed.refused;
            all.failed.extend(noticed.failed);
        }
        all
    }
}

impl Noticed {
    /// Nobody noticed anything.
    #[track_caller]
    pub(crate) fn nothing_amiss(&self) {
        assert!(self.failed.is_empty() && self.refused == 0, "{self:?}");
    }
}

fn ask_until(leave: &AtomicBool, answered: &AtomicU64, address: SocketAddr, path: &str) -> Noticed {
    let mut noticed = Noticed::default();
    while !leave.load(Ordering::Relaxed) {
        match get(address, path) {
            Ok(reply) if reply.status == 200 => {
                noticed.answered += 1;
                answered.fetch_add(1, Ordering::Relaxed);
            }
            Ok(reply) => noticed.failed.push(format!("{reply:?}")),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => noticed.refused += 1,
            Err(error) => noticed.failed.push(error.to_string()),
        }
        std::thread::sleep(PAUSE);
    }
    noticed
}
