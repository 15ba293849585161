//! The plane's side of the control connection: obeys the newest director, and serves on without one.

use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::control::transport::Transport;
use crate::control::{ControlError, Counters, FromPlane, PROTOCOL, Table, ToPlane};
use crate::events::Event;
use crate::listener::Listener;
use crate::plane::Plane;

/// How often the counters are sent, if they have changed.
const COUNTERS_EVERY: Duration = Duration::from_secs(1);
/// How long a director may take to read a line.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long nobody is accepted after the system refused.
const REST: Duration = Duration::from_millis(100);

/// Accepts directors for ever; each displaces the one before.
pub(crate) async fn listen(plane: Arc<Plane>, control: UnixListener) {
    let control = match tokio::net::UnixListener::from_std(control) {
        Ok(control) => control,
        Err(error) => return Event::ControlFailed { error: error.to_string() }.emit(),
    };
    let mut current: Option<JoinHandle<()>> = None;
    loop {
        match control.accept().await {
            Ok((stream, _)) if is_of_this_user(&stream) => {
                if let Some(former) = current.take() {
                    former.abort();
                    // It must be gone before the next one is heard; that it was aborted is known.
                    let _ = former.await;
                }
                Event::DirectorConnected.emit();
                current = Some(tokio::spawn(obey(Arc::clone(&plane), stream)));
            }
            Ok(_) => Event::ControlFailed { error: "a process of another user tried to direct".to_owned() }.emit(),
            Err(error) => {
                Event::ControlFailed { error: error.to_string() }.emit();
                sleep(REST).await;
            }
        }
    }
}

fn is_of_this_user(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == own || peer.uid() == 0)
}

async fn obey(plane: Arc<Plane>, stream: UnixStream) {
    let mut connection = Connection { plane, transport: Transport::new(stream), told: Counters::default() };
    let reason = match connection.serve().await {
        Ok(()) => "it closed the connection".to_owned(),
        Err(error) => format!("{error}"),
    };
    Event::DirectorLost { reason }.emit();
}

struct Connection {
    plane: Arc<Plane>,
    transport: Transport,
    told: Counters,
}

impl Connection {
    async fn serve(&mut self) -> Result<(), ControlError> {
        let listeners = self.plane.listeners().iter().map(|listener| listener.address).collect();
        let version = self.plane.targets.version();
        self.tell(&FromPlane::Hello { protocol: PROTOCOL, pid: std::process::id(), version, listeners }).await?;
        self.plane.targets.forget_told();
        let mut counting = interval(COUNTERS_EVERY);
        counting.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let plane = Arc::clone(&self.plane);
            tokio::select! {
                order = self.transport.receive() => match order? {
                    Some(order) => self.follow(order).await?,
                    None => return Ok(()),
                },
                () = plane.targets.idle_may_have_changed() => self.tell_idle().await?,
                _ = counting.tick() => self.tell_counters().await?,
            }
        }
    }

    async fn follow(&mut self, order: ToPlane) -> Result<(), ControlError> {
        match order {
            ToPlane::Table(table) => {
                self.plane.targets.apply(&table);
                note_table(&table);
                self.tell(&FromPlane::Acked { version: table.version }).await
            }
            ToPlane::Listen { address } => {
                let mut came = self.transport.take_descriptors(1).ok_or(ControlError::MissingDescriptor)?;
                let known = self.plane.listeners().iter().any(|listener| listener.address == address);
                if !known && let Some(descriptor) = came.pop() {
                    self.open(address, descriptor)?;
                }
                self.tell(&FromPlane::Listening { address }).await
            }
            ToPlane::Unlisten { address } => {
                let mut listeners = self.plane.listeners();
                if let Some(index) = listeners.iter().position(|listener| listener.address == address) {
                    listeners.swap_remove(index).close();
                    Event::ListenerClosed { address }.emit();
                }
                Ok(())
            }
            ToPlane::HandOver => self.hand_over().await,
            ToPlane::Retire { grace_ms } => {
                self.plane.retire(Duration::from_millis(grace_ms));
                Ok(())
            }
        }
    }

    fn open(&self, address: std::net::SocketAddr, descriptor: std::os::fd::OwnedFd) -> Result<(), ControlError> {
        match Listener::open(&self.plane, address, descriptor) {
            Ok(listener) => {
                self.plane.listeners().push(listener);
                Event::ListenerOpened { address }.emit();
                Ok(())
            }
            Err(error) => {
                Event::ListenerRefused { address, error: error.to_string() }.emit();
                Err(ControlError::Broken(error))
            }
        }
    }

    async fn hand_over(&mut self) -> Result<(), ControlError> {
        let (addresses, sockets): (Vec<_>, Vec<_>) =
            self.plane.listeners().iter().map(|listener| (listener.address, Arc::clone(&listener.socket))).unzip();
        let descriptors: Vec<_> = sockets.iter().map(|socket| socket.as_fd()).collect();
        Event::ListenersHandedOver { addresses: addresses.clone() }.emit();
        let message = FromPlane::Listeners { addresses };
        let sending = self.transport.send(&message, &descriptors);
        timeout(PATIENCE, sending).await.unwrap_or_else(|late| Err(ControlError::Broken(late.into())))
    }

    async fn tell_idle(&mut self) -> Result<(), ControlError> {
        for (target, version) in self.plane.targets.take_idle() {
            self.tell(&FromPlane::Idle { target, version }).await?;
        }
        Ok(())
    }

    async fn tell_counters(&mut self) -> Result<(), ControlError> {
        let counters = self.plane.counts.snapshot();
        if counters != self.told {
            self.told = counters.clone();
            self.tell(&FromPlane::Counters(counters)).await?;
        }
        Ok(())
    }

    async fn tell(&self, message: &FromPlane) -> Result<(), ControlError> {
        let sending = self.transport.send(message, &[]);
        timeout(PATIENCE, sending).await.unwrap_or_else(|late| Err(ControlError::Broken(late.into())))
    }
}

fn note_table(table: &Table) {
    let draining = table.targets.iter().filter(|target| target.draining).count();
    Event::TableApplied { version: table.version, serving: table.targets.len() - draining, draining }.emit();
}
