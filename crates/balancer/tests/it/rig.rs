//! Targets that say what they got, a plane with its director, and a client that reads raw bytes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gimmetime_balancer::control::client::{self, Director};
use gimmetime_balancer::control::{Algorithm, Counters, FromPlane, Table, TableTarget, ToPlane};
use gimmetime_balancer::{Settings, run};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

/// Whatever is waited for comes within this, or the test fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// How a target treats a request.
#[derive(Debug, Clone)]
pub(crate) enum Manner {
    /// Sends this, as it stands, and keeps the connection.
    Says(Vec<u8>),
    /// Reads the request and closes the connection.
    HangsUp,
    /// Sends this, then closes the connection.
    BreaksOff(Vec<u8>),
    /// Reads the request and waits to be released, then answers 200.
    Waits(Arc<tokio::sync::Semaphore>),
    /// Answers each head with 200 as it comes, and never minds a body.
    Hurries,
}

impl Manner {
    pub(crate) fn ok(body: &str) -> Self {
        Self::Says(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes())
    }
}

/// A server that records the requests it gets.
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) requests: Arc<Mutex<Vec<String>>>,
    pub(crate) connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Target {
    pub(crate) async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, manner)
    }

    pub(crate) fn on(listener: TcpListener, manner: Manner) -> Self {
        let address = listener.local_addr().unwrap();
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let connections = Arc::<AtomicUsize>::default();
        let (seen, count) = (Arc::clone(&requests), Arc::clone(&connections));
        let task = tokio::spawn(async move {
            let mut tasks = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tasks.spawn(behave(stream, manner.clone(), Arc::clone(&seen)));
            }
        });
        Self { address, requests, connections, task }
    }

    /// Closes all its sockets.
    pub(crate) async fn kill(&mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    pub(crate) fn seen(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn behave(mut stream: TcpStream, manner: Manner, seen: Arc<Mutex<Vec<String>>>) {
    let mut received = Vec::new();
    if matches!(manner, Manner::Hurries) {
        while stream.read_buf(&mut received).await.is_ok_and(|count| 0 < count) {
            if received.windows(4).any(|window| window == b"\r\n\r\n") {
                received.clear();
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            }
        }
        return;
    }
    while let Some(request) = read_message(&mut stream, &mut received).await {
        seen.lock().unwrap().push(request);
        let answer = match &manner {
            Manner::Says(bytes) => bytes.clone(),
            Manner::HangsUp | Manner::Hurries => return,
            Manner::BreaksOff(bytes) => {
                let _ = stream.write_all(bytes).await;
                return;
            }
            Manner::Waits(gate) => {
                gate.acquire().await.unwrap().forget();
                b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone".to_vec()
            }
        };
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

/// One message with its body off the stream; what follows it stays in `received`. `None` at the end.
pub(crate) async fn read_message(stream: &mut TcpStream, received: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(length) = message_length(received) {
            let rest = received.split_off(length);
            return Some(String::from_utf8_lossy(&std::mem::replace(received, rest)).into_owned());
        }
        if stream.read_buf(received).await.ok()? == 0 {
            return None;
        }
    }
}

fn message_length(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let fields = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    if fields.starts_with("http/1.1 100") {
        return Some(head);
    }
    if fields.contains("transfer-encoding: chunked") {
        return Some(head + bytes[head..].windows(5).position(|window| window == b"0\r\n\r\n")? + 5);
    }
    let length = fields.lines().find_map(|line| line.strip_prefix("content-length: "));
    let end = head + length.map_or(0, |length| length.trim().parse::<usize>().unwrap());
    (end <= bytes.len()).then_some(end)
}

/// A plane: on a thread of this process, or a process.
pub(crate) struct Rig {
    pub(crate) address: SocketAddr,
    pub(crate) director: Director,
    pub(crate) socket: PathBuf,
    pub(crate) process: Option<Child>,
    thread: Option<std::thread::JoinHandle<()>>,
    version: u64,
    _folder: TempDir,
}

impl Rig {
    pub(crate) async fn start(targets: &[&Target]) -> Self {
        Self::with(targets, Settings::default()).await
    }

    pub(crate) async fn with(targets: &[&Target], settings: Settings) -> Self {
        let (folder, socket, control) = socket();
        let thread = std::thread::spawn(move || run(control, settings).unwrap());
        Self::finish(folder, socket, Some(thread), None, targets).await
    }

    pub(crate) async fn process(targets: &[&Target]) -> Self {
        Self::command(Command::new(env!("CARGO_BIN_EXE_gimmetime-balancer")), targets).await
    }

    /// A plane that `command` becomes; it gets the path of the access log as its last argument.
    pub(crate) async fn command(mut command: Command, targets: &[&Target]) -> Self {
        let (folder, socket, control) = socket();
        let log = folder.path().join("access.log");
        let child = command.arg(log).stdin(control).stderr(Stdio::null()).spawn().unwrap();
        Self::finish(folder, socket, None, Some(child), targets).await
    }

    async fn finish(
        folder: TempDir,
        socket: PathBuf,
        thread: Option<std::thread::JoinHandle<()>>,
        process: Option<Child>,
        targets: &[&Target],
    ) -> Self {
        let director = Director::connect(&socket).await.unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut rig = Self { address, director, socket, process, thread, version: 0, _folder: folder };
        let hello = rig.hear(|message| matches!(message, FromPlane::Hello { .. })).await;
        assert!(matches!(hello, FromPlane::Hello { protocol: 1, version: 0, .. }), "{hello:?}");
        rig.route(&targets.iter().map(|target| (*target, false)).collect::<Vec<_>>()).await;
        rig.listen_anywhere().await;
        rig
    }

    async fn listen_anywhere(&mut self) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        self.address = listener.local_addr().unwrap();
        let order = ToPlane::Listen { address: self.address };
        self.director.send(&order, Some(std::os::fd::AsFd::as_fd(&listener))).await.unwrap();
        self.hear(|message| matches!(message, FromPlane::Listening { .. })).await;
    }

    /// Routes to these targets, those marked draining; returns once that is acknowledged.
    pub(crate) async fn route(&mut self, targets: &[(&Target, bool)]) -> u64 {
        self.route_by(Algorithm::RoundRobin, targets).await
    }

    pub(crate) async fn route_by(&mut self, algorithm: Algorithm, targets: &[(&Target, bool)]) -> u64 {
        self.version += 1;
        let table = table(self.version, algorithm, targets);
        self.director.send(&ToPlane::Table(table), None).await.unwrap();
        let version = self.version;
        self.hear(|message| *message == FromPlane::Acked { version }).await;
        version
    }

    /// The next line from the plane that `fits`; others are passed over.
    pub(crate) async fn hear(&mut self, fits: impl Fn(&FromPlane) -> bool) -> FromPlane {
        hear(&mut self.director, fits).await
    }

    /// The counters, once they fit.
    pub(crate) async fn counters(&mut self, fits: impl Fn(&Counters) -> bool) -> Counters {
        let message = self.hear(|message| matches!(message, FromPlane::Counters(counters) if fits(counters))).await;
        let FromPlane::Counters(counters) = message else { unreachable!() };
        counters
    }

    pub(crate) async fn connect(&self) -> Client {
        Client::connect(self.address).await
    }

    /// What comes back for `request` on a connection of its own, until its end.
    pub(crate) async fn ask(&self, request: impl AsRef<[u8]>) -> String {
        let mut client = self.connect().await;
        client.send(request).await;
        client.rest().await
    }

    /// The reply to a plain GET on a connection of its own.
    pub(crate) async fn get(&self, path: &str) -> String {
        let mut client = self.connect().await;
        client.get(path).await
    }

    /// Retires the plane, and waits for its end.
    pub(crate) async fn retire(mut self, grace: Duration) {
        let grace_ms = grace.as_millis() as u64;
        self.director.send(&ToPlane::Retire { grace_ms }, None).await.unwrap();
        self.ended().await;
    }

    /// Waits for the plane's end.
    pub(crate) async fn ended(&mut self) {
        while let Ok(Some(_)) = timeout(DEADLINE, self.director.recv()).await.expect("the plane ends") {}
        if let Some(thread) = self.thread.take() {
            tokio::task::spawn_blocking(|| thread.join().unwrap()).await.unwrap();
        }
        if let Some(mut child) = self.process.take() {
            assert!(child.wait().unwrap().success());
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(child) = &mut self.process {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub(crate) async fn hear(director: &mut Director, fits: impl Fn(&FromPlane) -> bool) -> FromPlane {
    let hearing = async {
        loop {
            let (message, _) = director.recv().await.unwrap().expect("the plane is there");
            if fits(&message) {
                return message;
            }
        }
    };
    timeout(DEADLINE, hearing).await.expect("the plane says so")
}

pub(crate) fn table(version: u64, algorithm: Algorithm, targets: &[(&Target, bool)]) -> Table {
    let targets = targets
        .iter()
        .map(|(target, draining)| TableTarget {
            id: target.address.port().to_string(),
            address: target.address,
            draining: *draining,
        })
        .collect();
    Table { version, algorithm, targets }
}

/// A control socket whose path is longer than a socket's path may be.
pub(crate) fn socket() -> (TempDir, PathBuf, std::os::fd::OwnedFd) {
    let folder = tempfile::Builder::new().prefix(&"deep".repeat(30)).tempdir().unwrap();
    let path = folder.path().join("control");
    let control = client::listen(&path).unwrap();
    (folder, path, control)
}

/// A client's connection, raw.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    received: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), received: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// The next reply, with its body; `None` at the end.
    pub(crate) async fn reply(&mut self) -> Option<String> {
        timeout(DEADLINE, read_message(&mut self.stream, &mut self.received)).await.expect("a reply comes")
    }

    pub(crate) async fn get(&mut self, path: &str) -> String {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        self.reply().await.expect("a reply comes before the end")
    }

    /// All that comes until the end.
    pub(crate) async fn rest(&mut self) -> String {
        timeout(DEADLINE, self.stream.read_to_end(&mut self.received)).await.expect("the end comes").unwrap();
        String::from_utf8_lossy(&self.received).into_owned()
    }
}

/// Waits until `condition` holds.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(DEADLINE, waiting).await.unwrap_or_else(|_| panic!("{what}"));
}
