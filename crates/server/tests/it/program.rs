//! The program under test, and clients of a few lines. Everything that waits has a deadline.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use gimmetime_clock::source::mono;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// Whatever takes longer than this has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A server that runs, on a port of its own, until it is dropped.
pub(crate) struct Server {
    child: Child,
    events: BufReader<ChildStdout>,
    pub(crate) address: SocketAddr,
    /// The process to signal: not the child itself where that is a wrapper.
    pub(crate) pid: u32,
}

/// The program, with a clean environment.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gimmetime-server"));
    command.env_remove("PORT").env_remove("ECS_CONTAINER_METADATA_URI_V4");
    command
}

/// `wrapper` (a program and its arguments) around the server.
pub(crate) fn wrapped(wrapper: &[&str]) -> Command {
    let mut command = Command::new(wrapper[0]);
    command.args(&wrapper[1..]).arg(env!("CARGO_BIN_EXE_gimmetime-server"));
    command.env_remove("PORT").env_remove("ECS_CONTAINER_METADATA_URI_V4");
    command
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_as(program())
    }

    /// Starts `command` with a free port, and waits until it says where it listens.
    pub(crate) fn start_as(mut command: Command) -> Self {
        let name = command.get_program().to_owned();
        command.process_group(0);
        let spawned = command.args(["--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn();
        let mut child = spawned.unwrap_or_else(|error| panic!("cannot start {}: {error}", name.display()));
        let mut events = BufReader::new(child.stdout.take().unwrap());
        let started = line(&mut events);
        let address = field(&started, "listen").unwrap_or_else(|| panic!("no start: {started:?}")).parse().unwrap();
        let pid = child.id();
        Self { child, events, address, pid }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn client(&self) -> Client {
        Client::to(self.address)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid.try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// The next event it tells.
    pub(crate) fn event(&mut self) -> String {
        line(&mut self.events)
    }

    /// Waits for its end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        until("the server ends", || self.child.try_wait().unwrap())
    }

    /// The one process that a wrapper started.
    pub(crate) fn child_of_wrapper(&self) -> u32 {
        let path = format!("/proc/{0}/task/{0}/children", self.child.id());
        until("the wrapper has a child", || std::fs::read_to_string(&path).unwrap().trim().parse().ok())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The whole group: some wrappers stay between us and the server.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}

fn line(events: &mut impl BufRead) -> String {
    let mut line = String::new();
    events.read_line(&mut line).unwrap();
    line
}

/// The text or number of a field of an event.
pub(crate) fn field<'a>(event: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = event.split_once(&format!("\"{name}\":"))?;
    rest.split([',', '}']).next().map(|value| value.trim_matches('"'))
}

/// Polls until there is something.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = mono().plus(PATIENCE);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(mono() < deadline, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A connection, spoken to in raw bytes.
pub(crate) struct Client(BufReader<TcpStream>);

impl Client {
    pub(crate) fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    pub(crate) fn stream(&mut self) -> &mut TcpStream {
        self.0.get_mut()
    }

    /// One reply: head and body.
    pub(crate) fn reply(&mut self) -> (String, String) {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(self.0.read_line(&mut head).unwrap(), 0, "the connection closed after {head:?}");
        }
        let length = header(&head, "Content-Length").unwrap().parse().unwrap();
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        (head, String::from_utf8(body).unwrap())
    }

    pub(crate) fn get(&mut self, path: &str) -> (String, String) {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
        self.reply()
    }

    /// All there is until the server closes; a reset is an error.
    pub(crate) fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).unwrap();
        rest
    }
}

pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// What `curl` prints.
pub(crate) fn curl(args: &[&str]) -> String {
    let output = Command::new("curl").args(["--silent", "--show-error", "--max-time", "20"]).args(args).output();
    let output = output.expect("`curl` is installed");
    assert!(output.status.success(), "curl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
