//! The data plane from the director's side: started, directed, replaced when it dies, taken over when we are new.
//!
//! The listening sockets are held here too. While a dead plane is being replaced, clients wait in the kernel's queue;
//! none is refused.

use std::fs::OpenOptions;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use gimmetime_balancer::control::client::{self, Director};
use gimmetime_balancer::control::{ControlError, Counters, FromPlane, PROTOCOL, Table, ToPlane};
use rustix::process::Signal;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::error::StartFailure;
use crate::files;
use crate::home::{Home, PlaneFile};
use crate::process::{self, Handle};
use crate::{listen, marker};

/// How long a plane may take to answer its director.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long what is in flight may take when a plane retires.
const GRACE: Duration = Duration::from_secs(10);
/// How long a plane that keeps dying is left alone, at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What the supervisor wants of the plane.
#[derive(Debug)]
pub(crate) enum Order {
    /// Route by this.
    Publish(Table),
    /// Accept here instead of where it does now.
    Rebind {
        /// Bound and listening already.
        listener: OwnedFd,
        /// To what.
        address: SocketAddr,
    },
    /// Finish what is in flight, then end; answered by [`Report::Retired`].
    Retire,
}

/// What the plane tells the supervisor.
#[derive(Debug)]
pub(crate) enum Report {
    /// Another plane took over: it routes by nothing yet.
    Replaced {
        /// Its process.
        pid: u32,
    },
    /// It routes by this version.
    Acked(u64),
    /// This target has nothing in flight.
    Idle(String),
    /// What it counted since it started.
    Counted(Counters),
    /// It ended as told.
    Retired,
    /// Something for the log.
    Said(String),
}

/// A plane that answers, and the sockets it accepts on.
pub(crate) struct Plane {
    home: Home,
    binary: PathBuf,
    handle: Handle,
    director: Director,
    listeners: Vec<(SocketAddr, OwnedFd)>,
    table: Option<Table>,
    /// The version of the table by which the plane already routed when it was taken over.
    pub(crate) version: u64,
    /// Whether an earlier supervisor started it.
    pub(crate) adopted: bool,
}

impl Plane {
    /// The plane of this place: the one that lives, or a new one, accepting at `address`.
    pub(crate) async fn take_over_or_start(
        home: &Home,
        binary: PathBuf,
        address: SocketAddr,
    ) -> Result<Self, StartFailure> {
        let other = |error: io::Error| StartFailure::Other { message: format!("cannot start the data plane: {error}") };
        let mut plane = if let Some(plane) = take_over(home, &binary).await.map_err(other)? {
            plane
        } else {
            let listener = listen::bind_listener(address)?;
            start(home, binary, vec![(address, listener)], None).await.map_err(other)?
        };
        if plane.listeners.iter().all(|(listened, _)| *listened != address) {
            let listener = plane.bind_in_place(address)?;
            plane.rebind(address, listener).await.map_err(other)?;
        }
        Ok(plane)
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.handle.process.pid
    }

    /// A duplicate of the socket it accepts on.
    pub(crate) fn listener(&self) -> io::Result<OwnedFd> {
        let (_, socket) = self.listeners.first().ok_or_else(|| io::Error::other("the data plane accepts nowhere"))?;
        socket.try_clone()
    }

    fn bind_in_place(&self, address: SocketAddr) -> Result<OwnedFd, StartFailure> {
        match self.listeners.first() {
            Some((_, old)) => listen::bind_beside(address, old),
            None => listen::bind_listener(address),
        }
    }

    /// Directs the plane until it is told to retire.
    pub(crate) async fn direct(
        mut self,
        mut orders: mpsc::UnboundedReceiver<Order>,
        reports: mpsc::UnboundedSender<Report>,
    ) {
        let mut pause = Duration::ZERO;
        // A report that nobody reads is owed to nobody: the supervisor is ending.
        let tell = |report| drop(reports.send(report));
        loop {
            let died = self.handle.clone().ended();
            tokio::select! {
                _ = died => self.recover(&mut pause, &tell).await,
                order = orders.recv() => match order {
                    None => return,
                    Some(Order::Retire) => {
                        self.retire().await;
                        return tell(Report::Retired);
                    }
                    Some(order) => self.obey(order, &tell).await,
                },
                message = self.director.recv() => {
                    let Ok(Some((message, _))) = message else {
                        // Its end is often heard before it is seen.
                        self.kill().await;
                        self.recover(&mut pause, &tell).await;
                        continue;
                    };
                    if let Some(report) = report_of(message) {
                        // It lives and works: the next death is a new one.
                        pause = Duration::ZERO;
                        tell(report);
                    }
                }
            }
        }
    }

    /// Puts a new process in place of a dead one: at once, and less and less so while it keeps dying.
    async fn recover(&mut self, pause: &mut Duration, tell: &impl Fn(Report)) {
        tell(Report::Said(format!("the data plane (pid {}) died", self.pid())));
        tokio::time::sleep(*pause).await;
        *pause = (*pause * 2).clamp(Duration::from_millis(100), LONGEST_PAUSE);
        match self.replace().await {
            Ok(()) => tell(Report::Replaced { pid: self.pid() }),
            Err(error) => tell(Report::Said(format!("cannot replace the data plane: {error}"))),
        }
    }

    async fn obey(&mut self, order: Order, tell: &impl Fn(Report)) {
        let done = match order {
            Order::Publish(table) => {
                let sent = timeout(PATIENCE, self.director.send(&ToPlane::Table(table.clone()), None)).await;
                self.table = Some(table);
                sent.unwrap_or_else(|_| Err(deaf())).map_err(io::Error::other)
            }
            Order::Rebind { listener, address } => self.rebind(address, listener).await,
            Order::Retire => Ok(()),
        };
        if let Err(error) = done {
            tell(Report::Said(format!("the data plane does not obey: {error}")));
            self.kill().await;
        }
    }

    /// Accepts at the new address before it stops at the old ones.
    async fn rebind(&mut self, address: SocketAddr, listener: OwnedFd) -> io::Result<()> {
        let listen = ToPlane::Listen { address };
        let told = self.director.send(&listen, Some(listener.as_fd())).await;
        // Told or not: a plane that is put in place of one that died of this accepts at the new address.
        let old = std::mem::replace(&mut self.listeners, vec![(address, listener)]);
        told.map_err(io::Error::other)?;
        for (address, _) in old {
            self.director.send(&ToPlane::Unlisten { address }, None).await.map_err(io::Error::other)?;
        }
        Ok(())
    }

    /// A new process on the same sockets, which knows whom to route to before it accepts anybody.
    async fn replace(&mut self) -> io::Result<()> {
        let duplicates = self.listeners.iter().map(|(address, socket)| Ok((*address, socket.try_clone()?)));
        let duplicates = duplicates.collect::<io::Result<_>>()?;
        *self = start(&self.home, self.binary.clone(), duplicates, self.table.clone()).await?;
        Ok(())
    }

    async fn retire(&mut self) {
        self.listeners.clear();
        let grace_ms = GRACE.as_millis() as u64;
        let told = self.director.send(&ToPlane::Retire { grace_ms }, None).await.is_ok();
        if !told || timeout(GRACE + PATIENCE, self.last_words()).await.is_err() {
            self.kill().await;
        }
        // It is named there for the next supervisor, and there is nothing to take over.
        let _ = std::fs::remove_file(self.home.plane_file());
    }

    /// What a retiring plane still says must be taken, or it waits for us.
    async fn last_words(&mut self) {
        let ended = self.handle.clone().ended();
        tokio::pin!(ended);
        let mut talks = true;
        loop {
            tokio::select! {
                _ = &mut ended => return,
                message = self.director.recv(), if talks => talks = matches!(message, Ok(Some(_))),
            }
        }
    }

    async fn kill(&self) {
        self.handle.signal(Signal::KILL);
        let _ = timeout(PATIENCE, self.handle.clone().ended()).await;
    }
}

fn report_of(message: FromPlane) -> Option<Report> {
    match message {
        FromPlane::Acked { version } => Some(Report::Acked(version)),
        FromPlane::Idle { target, .. } => Some(Report::Idle(target)),
        FromPlane::Counters(counters) => Some(Report::Counted(counters)),
        FromPlane::Listening { address } => Some(Report::Said(format!("listening on {address}"))),
        FromPlane::Hello { .. } | FromPlane::Listeners { .. } => None,
    }
}

fn deaf() -> ControlError {
    let source = io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} s", PATIENCE.as_secs()));
    ControlError::Broken(source)
}

/// The plane that an earlier supervisor left, with its sockets; None if there is none, or it cannot be directed.
async fn take_over(home: &Home, binary: &Path) -> io::Result<Option<Plane>> {
    let Some(process) = home.plane_process() else { return Ok(None) };
    let Some(handle) = Handle::adopt(&process)? else { return Ok(None) };
    let Ok(Ok((director, version, listeners))) = timeout(PATIENCE, ask_for_listeners(home)).await else {
        handle.signal(Signal::KILL);
        handle.ended().await?;
        return Ok(None);
    };
    files::replace_json(&home.plane_file(), &PlaneFile { process })?;
    let (home, binary) = (home.clone(), binary.to_path_buf());
    Ok(Some(Plane { home, binary, handle, director, listeners, table: None, version, adopted: true }))
}

async fn ask_for_listeners(home: &Home) -> Result<(Director, u64, Vec<(SocketAddr, OwnedFd)>), ControlError> {
    let (mut director, version) = greet(home).await?;
    director.send(&ToPlane::HandOver, None).await?;
    loop {
        match director.recv().await? {
            Some((FromPlane::Listeners { addresses }, sockets)) => {
                return Ok((director, version, addresses.into_iter().zip(sockets).collect()));
            }
            Some(_) => {}
            None => return Err(ControlError::Broken(io::ErrorKind::UnexpectedEof.into())),
        }
    }
}

/// Connects, and hears which version of the table the plane routes by.
async fn greet(home: &Home) -> Result<(Director, u64), ControlError> {
    let mut director = Director::connect(&home.control_socket()).await?;
    match director.recv().await? {
        Some((FromPlane::Hello { protocol: PROTOCOL, version, .. }, _)) => Ok((director, version)),
        Some((FromPlane::Hello { protocol, .. }, _)) => {
            let words = format!("it speaks version {protocol} of the control protocol, expected {PROTOCOL}");
            Err(ControlError::Broken(io::Error::other(words)))
        }
        _ => Err(ControlError::Broken(io::ErrorKind::UnexpectedEof.into())),
    }
}

/// Starts a plane that routes by this table and accepts on these sockets; one that does not answer is killed.
async fn start(
    home: &Home,
    binary: PathBuf,
    listeners: Vec<(SocketAddr, OwnedFd)>,
    table: Option<Table>,
) -> io::Result<Plane> {
    let handle = spawn(home, &binary)?;
    files::replace_json(&home.plane_file(), &PlaneFile { process: handle.process.clone() })?;
    let instructed = timeout(PATIENCE, instruct(home, &listeners, table.as_ref())).await;
    match instructed.unwrap_or_else(|_| Err(deaf())) {
        Ok((director, version)) => {
            Ok(Plane { home: home.clone(), binary, handle, director, listeners, table, version, adopted: false })
        }
        Err(error) => {
            handle.signal(Signal::KILL);
            handle.ended().await?;
            Err(io::Error::other(error))
        }
    }
}

/// Tells a new plane whom to route to, and only then where to accept.
async fn instruct(
    home: &Home,
    listeners: &[(SocketAddr, OwnedFd)],
    table: Option<&Table>,
) -> Result<(Director, u64), ControlError> {
    let (director, version) = greet(home).await?;
    if let Some(table) = table {
        director.send(&ToPlane::Table(table.clone()), None).await?;
    }
    for (address, socket) in listeners {
        director.send(&ToPlane::Listen { address: *address }, Some(socket.as_fd())).await?;
    }
    Ok((director, version))
}

/// Its control socket as standard input, its events in the engine's log, nothing of ours in its environment.
fn spawn(home: &Home, binary: &Path) -> io::Result<Handle> {
    let control = client::listen(&home.control_socket()).map_err(io::Error::other)?;
    let log = OpenOptions::new().append(true).create(true).mode(0o600).open(home.engine_log())?;
    let mut command = Command::new(binary);
    command.args(["engine", "balance", "--home"]).arg(home.folder());
    command.env_clear().env(marker::HOME, home.folder()).current_dir("/").process_group(0);
    command.stdin(Stdio::from(control)).stdout(Stdio::null()).stderr(log);
    process::start(&mut command)
}
