//! The service as a whole: its threads, the signal to leave, and what is told of both.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::JoinHandle;

use gimmetime_clock::source;
use mio::Waker;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

use crate::door::Door;
use crate::settings::Settings;
use crate::site::Site;
use crate::worker::Worker;
use crate::{VERSION, events};

/// Why there is no service.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is taken, forbidden or not ours.
    #[error("cannot listen on `{address}`: {}", reason(error))]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the kernel said.
        error: io::Error,
    },
    /// The system refuses what every service needs: threads, event queues, signal handlers.
    #[error("cannot set up an event loop: {0}")]
    Setup(io::Error),
    /// An event loop ended by itself.
    #[error("an event loop failed: {0}")]
    Loop(io::Error),
}

/// What was done, from start to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Connections let in.
    pub connections: u64,
    /// Requests answered, refusals included.
    pub requests: u64,
    /// Requests answered with 400 to 417, 431, 501 or 505.
    pub refused: u64,
    /// Idle connections closed to make room for others.
    pub evicted: u64,
    /// Connections turned away with a 503 for want of room.
    pub turned_away: u64,
    /// Connections cut off in the end, with something in flight.
    pub cut: u64,
}

/// A service that runs.
pub struct Running {
    address: SocketAddr,
    site: Arc<Site>,
    wakers: Vec<Waker>,
    threads: Vec<JoinHandle<io::Result<Tally>>>,
}

/// Serves until SIGTERM or SIGINT, then answers what is in flight and returns. Tells its start and its end on stdout.
pub fn run(settings: Settings) -> Result<(), ServeError> {
    // The handlers come first: without them, process 1 of a container cannot be told to leave.
    let (mut signals, alarm) = UnixStream::pair().map_err(ServeError::Setup)?;
    for signal in [SIGTERM, SIGINT] {
        pipe::register(signal, alarm.try_clone().map_err(ServeError::Setup)?).map_err(ServeError::Setup)?;
    }
    let (threads, instance) = (settings.threads as u64, settings.instance.clone());
    let running = Running::start(settings, Some(&alarm))?;
    let start = [
        ("listen", running.address.to_string().into()),
        ("version", VERSION.into()),
        ("instance", instance.into()),
        ("threads", threads.into()),
    ];
    events::tell(source::wall(), "started", &start);
    signals.read_exact(&mut [0]).map_err(ServeError::Setup)?;
    events::tell(source::wall(), "stopping", &[]);
    running.leave();
    let tally = running.join()?;
    let end = [
        ("connections", tally.connections.into()),
        ("requests", tally.requests.into()),
        ("refused", tally.refused.into()),
        ("evicted", tally.evicted.into()),
        ("turned_away", tally.turned_away.into()),
        ("cut", tally.cut.into()),
    ];
    events::tell(source::wall(), "stopped", &end);
    Ok(())
}

impl Running {
    /// Listens, and serves on threads of its own. `alarm` gets a byte when one of them ends, for whatever reason.
    pub fn start(settings: Settings, alarm: Option<&UnixStream>) -> Result<Self, ServeError> {
        let refused = |error| ServeError::Listen { address: settings.listen, error };
        let listener = Door::listen(settings.listen).map_err(refused)?;
        let address = listener.local_addr().map_err(ServeError::Setup)?;
        let mut limits = settings.limits;
        limits.connections = (limits.connections / settings.threads).max(1);
        let mut running =
            Self { address, site: Arc::new(Site::new(settings.instance)), wakers: Vec::new(), threads: Vec::new() };
        for number in 0..settings.threads {
            let listener = listener.try_clone().map_err(ServeError::Setup)?;
            let alarm = Alarm(alarm.map(UnixStream::try_clone).transpose().map_err(ServeError::Setup)?);
            let (worker, waker) =
                Worker::new(listener, Arc::clone(&running.site), limits.clone()).map_err(ServeError::Setup)?;
            let body = move || {
                let _alarm = alarm;
                worker.run()
            };
            let thread = std::thread::Builder::new().name(format!("serve-{number}"));
            running.threads.push(thread.spawn(body).map_err(ServeError::Setup)?);
            running.wakers.push(waker);
        }
        Ok(running)
    }

    /// Where it listens: the port that was found, if any was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Tells it to answer what is in flight and end.
    pub fn leave(&self) {
        self.site.leave();
        for waker in &self.wakers {
            let _ = waker.wake(); // fails for a thread that is gone
        }
    }

    /// Waits for its end.
    pub fn join(self) -> Result<Tally, ServeError> {
        let mut sum = Tally::default();
        for thread in self.threads {
            let result = thread.join().unwrap_or_else(|_| Err(io::Error::other("it panicked")));
            let tally = result.map_err(ServeError::Loop)?;
            sum.connections += tally.connections;
            sum.requests += tally.requests;
            sum.refused += tally.refused;
            sum.evicted += tally.evicted;
            sum.turned_away += tally.turned_away;
            sum.cut += tally.cut;
        }
        Ok(sum)
    }
}

/// Rings when it is dropped: also when its thread panics.
struct Alarm(Option<UnixStream>);

impl Drop for Alarm {
    fn drop(&mut self) {
        if let Some(stream) = &mut self.0 {
            let _ = stream.write(&[0]); // nobody listens any more
        }
    }
}

/// What the kernel said, and what to do about it.
fn reason(error: &io::Error) -> String {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "something listens there already; stop it or choose another port with --listen ADDR"
        }
        io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege; choose another with --listen ADDR",
        io::ErrorKind::AddrNotAvailable => "no interface of this machine has that address",
        _ => return error.to_string(),
    };
    format!("{advice} ({error})")
}
