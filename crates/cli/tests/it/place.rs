//! A place of a test's own: a folder, a loopback address, and the program's commands in it. It is taken down at the end.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// How long anything may take before a test gives up on it. Far above what it takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// What every place that has a `command` can do with it.
macro_rules! runs_commands {
    () => {
        /// Runs a command to its end.
        pub(crate) fn run(&self, args: &[&str]) -> Ran {
            Ran::of(self.command(args).output().unwrap())
        }

        /// Runs a command that must end with 0, and returns what it says.
        #[track_caller]
        pub(crate) fn must(&self, args: &[&str]) -> Ran {
            self.run(args).well(args)
        }

        /// Runs a command that must end with 0, and returns its JSON.
        #[track_caller]
        pub(crate) fn json(&self, args: &[&str]) -> Value {
            self.must(&[args, &["--output", "json"]].concat()).json()
        }
    };
}
pub(crate) use runs_commands;

/// A place of a test's own.
pub(crate) struct Place {
    folder: tempfile::TempDir,
    pub(crate) listen: SocketAddr,
}

/// How a command ended, and what it said.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A reply as it came over the wire.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Place {
    /// An empty place at an address of loopback that no other test uses.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let octets = [127, 100 + (process >> 8) as u8 % 100, process as u8, 1 + number as u8];
        let listen = SocketAddr::from((Ipv4Addr::from(octets), 8080));
        Self { folder: tempfile::tempdir().unwrap(), listen }
    }

    /// The folder in which commands run.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The engine's state folder.
    pub(crate) fn state(&self) -> PathBuf {
        self.folder().join("state/gimmetime")
    }

    /// Writes `gimmetime.toml`.
    pub(crate) fn settings(&self, text: &str) {
        std::fs::write(self.folder().join("gimmetime.toml"), text).unwrap();
    }

    /// Writes an executable file.
    pub(crate) fn file(&self, name: &str, bytes: &[u8]) {
        let path = self.folder().join(name);
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    }

    /// A command of the program in this place, with nothing of the test's own environment that could change it.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gimmetime"));
        command.current_dir(self.folder()).args(args).env("GIMMETIME_STATE", self.folder().join("state"));
        command.env("GIMMETIME_LISTEN", self.listen.to_string()).stdin(Stdio::null());
        command
    }

    runs_commands!();

    /// Starts a command and leaves it running.
    pub(crate) fn start(&self, args: &[&str]) -> Child {
        self.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Asks the balancer; one connection, closed after.
    pub(crate) fn get(&self, path: &str) -> std::io::Result<Reply> {
        get(self.listen, path)
    }

    /// The tasks, as `status` has them.
    pub(crate) fn tasks(&self) -> Vec<Value> {
        self.json(&["status"])["tasks"].as_array().unwrap().clone()
    }

    /// `Some` once all that is wanted is healthy and nothing is in progress, whatever `status` ends with until then.
    pub(crate) fn is_steady(&self) -> Option<()> {
        let status = self.run(&["status", "--output", "json"]).stdout;
        let status: Value = serde_json::from_str(&status).ok()?;
        (status["is_steady"] == true).then_some(())
    }

    /// The pids of the tasks that run, by the engine's journal.
    pub(crate) fn task_pids(&self) -> BTreeSet<u32> {
        let state: Value = serde_json::from_slice(&std::fs::read(self.state().join("state.json")).unwrap()).unwrap();
        let tasks = state["model"]["tasks"].as_object().unwrap().values();
        let running = tasks.filter(|task| task["last_status"] == "RUNNING");
        running.map(|task| task["process"]["pid"].as_u64().unwrap() as u32).collect()
    }

    /// The supervisor's process.
    pub(crate) fn supervisor(&self) -> u32 {
        self.process("engine supervise").expect("a supervisor runs")
    }

    /// The data plane's process.
    pub(crate) fn plane(&self) -> u32 {
        self.process("engine balance").expect("a data plane runs")
    }

    /// A process of this place whose command line has these words.
    pub(crate) fn process(&self, words: &str) -> Option<u32> {
        let home = self.state().display().to_string();
        let processes =
            std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        processes.filter_map(|name| name.parse().ok()).find(|pid: &u32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            line.contains(words) && line.contains(&home)
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let ran = self.run(&["down"]);
        // A failing test has its own words; these would only hide them.
        if !std::thread::panicking() {
            assert_eq!(ran.code, Some(0), "down at the end: {ran:#?}");
        }
    }
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Ended with 0; a failure shows what was asked for.
    #[track_caller]
    pub(crate) fn well(self, args: &[&str]) -> Self {
        assert_eq!(self.code, Some(0), "gimmetime {}: {self:#?}", args.join(" "));
        self
    }

    /// What it said, as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// Both streams hold or lack words; a failure shows all of it.
    #[track_caller]
    pub(crate) fn says(&self, words: &str) -> &Self {
        assert!(self.stdout.contains(words) || self.stderr.contains(words), "no `{words}` in {self:#?}");
        self
    }

    /// Ended with this code.
    #[track_caller]
    pub(crate) fn ends(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }
}

/// One GET on a connection of its own.
pub(crate) fn get(address: SocketAddr, path: &str) -> std::io::Result<Reply> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let status = head.get(9..12).and_then(|code| code.parse().ok()).ok_or(std::io::ErrorKind::InvalidData)?;
    Ok(Reply { status, head: head.to_owned(), body: body.to_owned() })
}

/// Sends a signal.
pub(crate) fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
}

/// Ends a process at once, and returns when it is gone.
#[track_caller]
pub(crate) fn kill(pid: u32) {
    signal(pid, Signal::KILL);
    eventually("a killed process is gone", || (!runs(pid)).then_some(()));
}

/// Whether a process runs; a zombie does not.
pub(crate) fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// Waits until something is there, for [`PATIENCE`] at most.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The moment, for deadlines.
#[expect(clippy::disallowed_methods, reason = "deadlines of tests")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
