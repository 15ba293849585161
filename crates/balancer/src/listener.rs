//! Listening sockets, and the acceptance of clients, which is bounded.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::connection;
use crate::events::Event;
use crate::forward::Way;
use crate::plane::Plane;

/// How long nothing is accepted after the system refused: it is out of descriptors or memory.
const REST: Duration = Duration::from_millis(100);
/// How long the accept queue is looked at for clients that came before the end.
const LAST_LOOK: Duration = Duration::from_millis(10);
/// How long a connection stays open to a silent client after its listener was closed: one that is about to ask gets its
/// answer, with `Connection: close`. Closed at once, requests in the kernel's buffer would be lost.
const SILENCE: Duration = Duration::from_secs(1);

/// How a listener and its connections stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Clients are accepted.
    Open,
    /// None is accepted; answers say `Connection: close`.
    Closing,
    /// Silent connections are closed too.
    Ending,
}

/// One listening socket; accepts until closed.
#[derive(Debug)]
pub(crate) struct Listener {
    /// What the director calls it.
    pub(crate) address: SocketAddr,
    /// The socket, to be handed over.
    pub(crate) socket: Arc<TcpListener>,
    phase: watch::Sender<Phase>,
}

impl Listener {
    /// Begins to accept on `descriptor`, which is bound and listens.
    pub(crate) fn open(plane: &Arc<Plane>, address: SocketAddr, descriptor: OwnedFd) -> io::Result<Self> {
        let socket = std::net::TcpListener::from(descriptor);
        socket.set_nonblocking(true)?;
        // What is accepted inherits both, which saves two system calls a connection.
        sockopt::set_tcp_nodelay(&socket, true)?;
        sockopt::set_socket_keepalive(&socket, true)?;
        let socket = Arc::new(TcpListener::from_std(socket)?);
        let (phase, watched) = watch::channel(Phase::Open);
        tokio::spawn(accept(Arc::clone(plane), Arc::clone(&socket), watched));
        Ok(Self { address, socket, phase })
    }

    /// Accepts nobody from now on, and lets its connections end.
    pub(crate) fn close(self) {
        self.phase.send_replace(Phase::Closing);
        tokio::spawn(async move {
            sleep(SILENCE).await;
            self.phase.send_replace(Phase::Ending);
            // The sender must outlive the connections, which listen to it.
            self.phase.closed().await;
        });
    }
}

async fn accept(plane: Arc<Plane>, socket: Arc<TcpListener>, phase: watch::Receiver<Phase>) {
    let mut closing = phase.clone();
    loop {
        let accepted = tokio::select! {
            _ = closing.wait_for(|phase| *phase != Phase::Open) => break,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, client)) => admit(&plane, stream, client, &phase),
            Err(error) if is_of_one_client(&error) => {}
            Err(error) => {
                Event::AcceptFailed { error: error.to_string() }.emit();
                sleep(REST).await;
            }
        }
    }
    // Bounded as a whole: under load there is always one more.
    let last_look = async {
        while let Ok((stream, client)) = socket.accept().await {
            admit(&plane, stream, client, &phase);
        }
    };
    let _ = timeout(LAST_LOOK, last_look).await;
}

/// Serves the client in a task of its own, or closes its connection if there are too many.
fn admit(plane: &Arc<Plane>, stream: TcpStream, client: SocketAddr, phase: &watch::Receiver<Phase>) {
    let Ok(local) = stream.local_addr() else { return };
    let Some(place) = plane.admit() else {
        plane.counts.rejected_connections.up();
        return;
    };
    let (plane, phase) = (Arc::clone(plane), phase.clone());
    tokio::spawn(async move {
        connection::serve(plane, stream, Way::new(client, local), phase).await;
        drop(place);
    });
}

/// The client was gone before it was accepted; the next one may be fine.
fn is_of_one_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}
