//! A registry that is stricter than the real ones, has their quirks, and fails as it is told: in process, on loopback.
//!
//! What a request may do is checked as the distribution-spec has it: a session is used once, a blob is what its digest says, a
//! manifest names only what is there. Every request is kept, with its `Authorization`.

mod http;
mod store;

use std::io::{BufReader, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

pub(crate) use http::{Asked, Response};
pub(crate) use store::{Auth, Immutable, Profile, Store};

/// What goes wrong with a request.
pub(crate) enum Act {
    /// It is answered so, and not done.
    Answer(Response),
    /// It is done, and its answer is changed.
    Change(Box<dyn Fn(&mut Response) + Send + Sync>),
    /// Only so many bytes of the body are read before the connection is cut.
    CutAfter(usize),
    /// Nothing is read or answered until the client goes.
    Stall,
    /// The answer's half of the connection is closed, and the request not done.
    HalfClose,
    /// The whole request is read, and the connection reset.
    Reset,
    /// It is done, and the connection is cut before the answer.
    Lose,
    /// One bit of the body is flipped on the way.
    Flip,
    /// Something happens elsewhere before it is done.
    Before(Box<dyn Fn(&Store) + Send + Sync>),
}

/// When something goes wrong.
pub(crate) struct Fault {
    method: &'static str,
    path: &'static str,
    skip: usize,
    times: usize,
    act: Act,
}

/// The registry; its threads end with it.
pub(crate) struct FaultRegistry {
    pub(crate) address: String,
    pub(crate) store: Arc<Store>,
    shared: Arc<Shared>,
}

struct Shared {
    faults: Mutex<Vec<Fault>>,
    asked: Mutex<Vec<Asked>>,
    over: AtomicBool,
    ended: (Mutex<bool>, Condvar),
}

impl Fault {
    /// Once, at the first request of that method whose path holds `path`.
    pub(crate) fn at(method: &'static str, path: &'static str, act: Act) -> Self {
        Self { method, path, skip: 0, times: 1, act }
    }

    pub(crate) fn times(self, times: usize) -> Self {
        Self { times, ..self }
    }

    pub(crate) fn always(self) -> Self {
        self.times(usize::MAX)
    }

    pub(crate) fn after(self, skip: usize) -> Self {
        Self { skip, ..self }
    }

    /// Whether it is this request's turn; counts it.
    fn strikes(&mut self, asked: &Asked) -> bool {
        if self.method != asked.method || !asked.path.contains(self.path) || self.times == 0 {
            return false;
        }
        if 0 < self.skip {
            self.skip -= 1;
            return false;
        }
        self.times -= 1;
        true
    }
}

impl FaultRegistry {
    pub(crate) fn start(store: Store) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared {
            faults: Mutex::default(),
            asked: Mutex::default(),
            over: AtomicBool::new(false),
            ended: (Mutex::new(false), Condvar::new()),
        });
        let store = Arc::new(store);
        let (registry, threads, own) = (Arc::clone(&store), Arc::clone(&shared), address.clone());
        thread::spawn(move || {
            for connection in listener.incoming() {
                if threads.over.load(Ordering::SeqCst) {
                    return;
                }
                let (registry, threads, own) = (Arc::clone(&registry), Arc::clone(&threads), own.clone());
                // A connection that breaks is the client's business.
                thread::spawn(move || serve(&connection?, &own, &registry, &threads));
            }
        });
        Self { address, store, shared }
    }

    pub(crate) fn fault(&self, fault: Fault) {
        self.shared.faults.lock().unwrap().push(fault);
    }

    /// All requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// How many requests had that method and a path that holds `path`.
    pub(crate) fn count(&self, method: &str, path: &str) -> usize {
        self.asked().iter().filter(|asked| asked.method == method && asked.path.contains(path)).count()
    }
}

impl Drop for FaultRegistry {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        *self.shared.ended.0.lock().unwrap() = true;
        self.shared.ended.1.notify_all();
        let _ = TcpStream::connect(&self.address);
    }
}

fn serve(connection: &TcpStream, own: &str, store: &Store, shared: &Shared) -> std::io::Result<()> {
    connection.set_nodelay(true)?;
    let mut reader = BufReader::new(connection.try_clone()?);
    while let Some((mut asked, length)) = http::head(&mut reader)? {
        let act = {
            let mut faults = shared.faults.lock().unwrap();
            let struck = faults.iter_mut().position(|fault| fault.strikes(&asked));
            struck.map(|at| if faults[at].times == 0 { take(&mut faults[at].act) } else { share(&faults[at].act) })
        };
        let keep = |asked: &Asked| shared.asked.lock().unwrap().push(asked.clone());
        match act {
            Some(Act::CutAfter(bytes)) => {
                http::body(&mut reader, &mut asked, bytes.min(length))?;
                keep(&asked);
                return reset(connection);
            }
            Some(Act::Stall) => {
                keep(&asked);
                let mut ended = shared.ended.0.lock().unwrap();
                while !*ended {
                    ended = shared.ended.1.wait(ended).unwrap();
                }
                return Ok(());
            }
            Some(Act::HalfClose) => {
                keep(&asked);
                connection.shutdown(Shutdown::Write)?;
                return http::body(&mut reader, &mut asked, length);
            }
            _ => {}
        }
        http::body(&mut reader, &mut asked, length)?;
        keep(&asked);
        let mut response = match &act {
            Some(Act::Reset) => return reset(connection),
            Some(Act::Answer(response)) => response.clone(),
            Some(Act::Flip) => {
                let middle = asked.body.len() / 2;
                asked.body[middle] ^= 1;
                store.answer(&asked, own)
            }
            Some(Act::Before(happens)) => {
                happens(store);
                store.answer(&asked, own)
            }
            _ => store.answer(&asked, own),
        };
        match &act {
            Some(Act::Lose) => return reset(connection),
            Some(Act::Change(change)) => change(&mut response),
            _ => {}
        }
        (&*connection).write_all(&response.bytes(asked.method == "HEAD"))?;
        if response.ends_with_its_connection() {
            return connection.shutdown(Shutdown::Both);
        }
    }
    Ok(())
}

/// Closes so that the client sees a reset, not an end.
fn reset(connection: &TcpStream) -> std::io::Result<()> {
    rustix::net::sockopt::set_socket_linger(connection, Some(Duration::ZERO))?;
    Ok(())
}

fn take(act: &mut Act) -> Act {
    std::mem::replace(act, Act::Stall)
}

/// The same again, for a fault that strikes more often; one that holds code cannot.
fn share(act: &Act) -> Act {
    match act {
        Act::Answer(response) => Act::Answer(response.clone()),
        Act::CutAfter(bytes) => Act::CutAfter(*bytes),
        Act::Stall => Act::Stall,
        Act::HalfClose => Act::HalfClose,
        Act::Reset => Act::Reset,
        Act::Lose => Act::Lose,
        Act::Flip => Act::Flip,
        Act::Change(_) | Act::Before(_) => panic!("a fault that holds code strikes once"),
    }
}
