//! What all connections share, and what there is to say to a request. Pure: clocks are asked through [`Clock`].

use std::sync::atomic::{AtomicBool, Ordering};

use gimmetime_clock::{KernelClock, Mono, Timestamp, source};

use crate::reply::{Content, Fate, Reply, Status};
use crate::request::{Method, Persistence, Request, Target};
use crate::witness::Witness;

/// The clocks a reply needs.
pub(crate) trait Clock {
    fn wall(&self) -> Timestamp;
    fn mono(&self) -> Mono;
    fn kernel(&self) -> KernelClock;
}

/// The clocks of this machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn wall(&self) -> Timestamp {
        source::wall()
    }

    fn mono(&self) -> Mono {
        source::mono()
    }

    fn kernel(&self) -> KernelClock {
        source::kernel_clock()
    }
}

/// What all connections of all threads share.
#[derive(Debug)]
pub(crate) struct Site {
    instance: String,
    witness: Witness,
    leaving: AtomicBool,
}

impl Site {
    pub(crate) fn new(instance: String) -> Self {
        Self { instance, witness: Witness::default(), leaving: AtomicBool::new(false) }
    }

    /// From now on every connection closes when what is in flight on it is answered.
    pub(crate) fn leave(&self) {
        self.leaving.store(true, Ordering::Release);
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Acquire)
    }
}

/// Makes the replies to what came in one read: all that they need, and where they go.
#[derive(Debug)]
pub(crate) struct Replies<'a, C> {
    pub(crate) site: &'a Site,
    pub(crate) clock: &'a C,
    /// When the read was done, by our clock.
    pub(crate) received: Timestamp,
    /// Replies are appended to it.
    pub(crate) out: &'a mut Vec<u8>,
}

impl<C: Clock> Replies<'_, C> {
    /// Takes note of what a request says of our clock.
    pub(crate) fn observe(&self, request: &Request) {
        if let Some(stamped) = request.stamped_seconds {
            self.site.witness.observe(stamped, self.received, || self.clock.mono());
        }
    }

    /// Answers a request, and says what becomes of the connection.
    pub(crate) fn answer(&mut self, request: &Request, closes: bool) -> Status {
        let health;
        let (status, content) = match (request.target, request.method) {
            (Target::Unknown, _) => (Status::NotFound, Content::OfStatus),
            (_, Method::Other) => (Status::MethodNotAllowed, Content::OfStatus),
            _ if request.is_too_large() => (Status::ContentTooLarge, Content::OfStatus),
            (Target::Now, _) => (Status::Ok, Content::Now),
            (Target::Live, _) => (Status::Ok, Content::OfStatus),
            (Target::Health, _) => {
                let (status, text) = self.health();
                health = text;
                (status, Content::Text(&health))
            }
        };
        let fate = match request.persistence {
            _ if closes => Fate::Closes,
            Persistence::StaysIfTold => Fate::StaysAsTold,
            Persistence::Stays | Persistence::Closes => Fate::Stays,
        };
        self.write(status, content, request.method == Method::Head, fate);
        status
    }

    /// Refuses what is no request, and closes.
    pub(crate) fn refuse(&mut self, status: Status) {
        self.write(status, Content::OfStatus, false, Fate::Closes);
    }

    /// The clock is read last of all.
    fn write(&mut self, status: Status, content: Content<'_>, head_only: bool, fate: Fate) {
        let (instance, received) = (self.site.instance.as_str(), self.received);
        Reply { status, content, head_only, fate, instance, received }.write(self.clock.wall(), self.out);
    }

    /// 503 while our clock is proved wrong; else what the kernel knows of its error.
    fn health(&self) -> (Status, String) {
        if let Some(behind) = self.site.witness.behind(self.clock.mono()) {
            let seconds = behind.as_secs_f64();
            let text = format!("clock wrong: at least {seconds:.3} s behind the load balancer's\n");
            return (Status::Unavailable, text);
        }
        let text = match self.clock.kernel().error_bound {
            Some(bound) => format!("ok: the kernel states a clock error of at most {:.6} s\n", bound.as_secs_f64()),
            None => "ok: the clock's error is unknown\n".to_owned(),
        };
        (Status::Ok, text)
    }
}
