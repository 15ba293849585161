//! How a registry is reached: everything the caller has resolved, so that nothing here reads the environment.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::credentials::Credentials;
use crate::retry::Policy;
use crate::secret::Secret;

/// How soon a wait notices that it is interrupted.
const NOTICE: Duration = Duration::from_millis(50);

/// How a registry is reached. The default has no credentials, the system's root certificates, and no proxy.
#[derive(Debug, Clone)]
pub struct Access {
    /// Where a user name and a password may come from.
    pub credentials: Credentials,
    /// PEM certificates that are trusted besides the system's; with it, loopback is spoken to over TLS too.
    pub ca: Option<PathBuf>,
    /// Which hosts are spoken to without TLS.
    pub plain: Plain,
    /// `http://HOST:PORT` of a proxy for hosts other than loopback; it may hold a user name and a password.
    pub proxy: Option<Secret>,
    /// Hosts that may be asked for a token besides the registry's own domain.
    pub token_hosts: Vec<String>,
    /// For resolving and connecting together.
    pub connect_timeout: Duration,
    /// For a single read or write in which nothing moves.
    pub idle_timeout: Duration,
    /// How often and after what waits something is tried again.
    pub retry: Policy,
    /// Ends what is going on before its next request.
    pub interrupt: Interrupt,
}

/// Which hosts are spoken to over plain http.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Plain {
    /// `localhost` and 127.0.0.0/8, unless [`Access::ca`] is given.
    #[default]
    Loopback,
    /// Any host: bytes and credentials can then be read and changed on the way.
    Anywhere,
}

/// A flag that ends a push or a look-up from another thread; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Default for Access {
    fn default() -> Self {
        Self {
            credentials: Credentials::default(),
            ca: None,
            plain: Plain::Loopback,
            proxy: None,
            token_hosts: Vec::new(),
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
            retry: Policy::default(),
            interrupt: Interrupt::default(),
        }
    }
}

impl Interrupt {
    /// Asks to end; what is sent already is not taken back.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked to end.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Waits so long, or until it is raised.
    pub(crate) fn wait(&self, wait: Duration) {
        let mut left = wait;
        while !left.is_zero() && !self.is_raised() {
            let slice = left.min(NOTICE);
            thread::sleep(slice);
            left -= slice;
        }
    }
}
