//! Starts an image's program once, as a container would, and sees that it keeps the contract of what runs: it listens on
//! `$PORT`, answers its health path, and leaves on SIGTERM.
//!
//! As root it runs as user 65532 in a root folder that holds nothing but itself and the devices that every container has,
//! else as whoever asks. Nothing of the caller's environment is passed on, and nothing is left behind, however it ends.

use std::fmt;
use std::fs::{self, File, Permissions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use std::os::unix::process::ExitStatusExt as _;

use gimmetime_clock::source;
use gimmetime_image::Program;
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::process::{Pid, Signal};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::exit::Failure;
use crate::render::units::span;
use crate::render::words::plain;
use crate::settings::Service;

/// How soon a task must listen, as the engine has it.
const LISTENS_WITHIN: Duration = Duration::from_secs(5);
/// How soon it must answer its health path.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);
/// How soon a process that closed its connection has ended, if it has.
const ENDS_WITHIN: Duration = Duration::from_millis(200);
/// Ports below those that Linux gives to connections, which would be in the way, and above those of the engine's tasks.
const PORTS: Range<u16> = 30_000..32_768;
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(5);
/// The user of images that have no users.
const USER: &str = "65532:65532";
/// Where coreutils may have it: a clean environment has no search path.
const CHROOT: [&str; 3] = ["/usr/sbin/chroot", "/usr/bin/chroot", "/sbin/chroot"];
/// What every container has below `/dev` (OCI runtime-spec, config-linux.md, "Default Devices"), by minor number; the major
/// number is 1.
const DEVICES: [(&str, u32); 5] = [("null", 3), ("zero", 5), ("full", 7), ("random", 8), ("urandom", 9)];
/// Bytes at the end of its output that are searched for its last lines.
const TAIL: u64 = 4096;
/// Lines that are shown of it: the last one alone may be a hint.
const LINES: usize = 3;
/// Longest first line of a reply that is read.
const MAX_LINE: u64 = 4096;

/// A program that keeps the contract.
#[derive(Debug)]
pub(crate) struct Passed {
    /// Under which conditions it was tried: `as 65532 in an empty root`, `as yourself`.
    pub(crate) how: &'static str,
    /// How long that took.
    pub(crate) took: Duration,
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "listens, is healthy, leaves: tried {}   {}", self.how, span(self.took))
    }
}

/// Tries `program` as `service` would have it run; `folder` is where it may be put meanwhile.
///
/// # Errors
/// The first part of the contract that it does not keep, in words, with its last lines.
pub(crate) async fn smoke(program: &Program, service: &Service, folder: &Path) -> Result<Passed, Failure> {
    let began = source::mono();
    let stage = Stage::set(program, folder)?;
    let mut trial = Trial::start(stage, program, service)?;
    trial.listens().await?;
    trial.is_healthy(&service.health).await?;
    trial.hears_sigterm()?;
    let how = trial.stage.how();
    trial.leaves(service.rollout.stop_timeout).await?;
    Ok(Passed { how, took: source::mono().since(began) })
}

/// The files of a trial: `root/app`, and `output` beside it. Gone when dropped, with the folders that were made for it.
struct Stage {
    folder: PathBuf,
    /// Folders above it that were not there, the innermost first.
    made: Vec<PathBuf>,
    /// The program that shuts another one into a folder, for those who may.
    chroot: Option<&'static str>,
}

impl Stage {
    fn set(program: &Program, folder: &Path) -> Result<Self, Failure> {
        let is_root = rustix::process::geteuid().is_root();
        let chroot = CHROOT.into_iter().find(|path| is_root && Path::new(path).exists());
        // The program starts in another folder than this one.
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let made = folder.ancestors().take_while(|folder| !folder.exists()).map(Path::to_owned).collect();
        let stage = Self { folder: folder.join(format!("smoke-{}", std::process::id())), made, chroot };
        let write = || {
            let _ = fs::remove_dir_all(&stage.folder);
            fs::create_dir_all(stage.root())?;
            fs::set_permissions(stage.root(), Permissions::from_mode(0o755))?;
            fs::write(stage.app(), &program.bytes)?;
            fs::set_permissions(stage.app(), Permissions::from_mode(0o555))?;
            if stage.chroot.is_some() { stage.make_devices() } else { Ok(()) }
        };
        write().map_err(|error| {
            Failure::failed(format!("could not put the program into {}: {error}", stage.folder.display()))
        })?;
        Ok(stage)
    }

    fn make_devices(&self) -> std::io::Result<()> {
        let folder = self.root().join("dev");
        fs::create_dir(&folder)?;
        fs::set_permissions(&folder, Permissions::from_mode(0o755))?;
        for (name, minor) in DEVICES {
            let device = folder.join(name);
            // Root in a container may lack the right to make one: most programs do without.
            if mknodat(CWD, &device, FileType::CharacterDevice, Mode::empty(), makedev(1, minor)).is_ok() {
                fs::set_permissions(&device, Permissions::from_mode(0o666))?;
            }
        }
        Ok(())
    }

    fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    fn app(&self) -> PathBuf {
        self.root().join("app")
    }

    fn output(&self) -> PathBuf {
        self.folder.join("output")
    }

    fn how(&self) -> &'static str {
        if self.chroot.is_some() { "as 65532 in an empty root" } else { "as yourself" }
    }

    fn command(&self) -> Command {
        match self.chroot {
            Some(chroot) => {
                let mut command = Command::new(chroot);
                command.args(["--groups=", &format!("--userspec={USER}")]).arg(self.root()).arg("/app");
                command
            }
            None => Command::new(self.app()),
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Best effort: what stays is small, and the next one of this number takes its place.
        let _ = fs::remove_dir_all(&self.folder);
        for folder in &self.made {
            // Somebody else's by now, if anything is in it.
            let _ = fs::remove_dir(folder);
        }
    }
}

/// A program that runs. Killed when dropped, with all that it started.
struct Trial {
    child: Child,
    pid: Pid,
    address: SocketAddr,
    stage: Stage,
}

impl Trial {
    fn start(stage: Stage, program: &Program, service: &Service) -> Result<Self, Failure> {
        let failed =
            |error: std::io::Error| Failure::failed(format!("the image's program could not be started: {error}"));
        let address = free_address().map_err(failed)?;
        let output = File::create(stage.output()).map_err(failed)?;
        let mut command = stage.command();
        command.args(service.command.as_ref().unwrap_or(&program.args)).current_dir(stage.root());
        command.env_clear().envs(program.env.iter().cloned()).envs(&service.env);
        command.env("PORT", address.port().to_string());
        command.stdin(Stdio::null()).stdout(output.try_clone().map_err(failed)?).stderr(output);
        let child = command.process_group(0).spawn().map_err(failed)?;
        let pid = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        let pid = pid.expect("a process that was not waited for has a pid");
        Ok(Self { child, pid, address, stage })
    }

    /// Waits until somebody listens on `$PORT`.
    async fn listens(&mut self) -> Result<(), Failure> {
        let began = source::mono();
        while source::mono().since(began) < LISTENS_WITHIN {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(self.unfit(&format!("{} before it listened on $PORT", ended(status))));
            }
            if self.connect().await.is_some() {
                return Ok(());
            }
            sleep(PAUSE).await;
        }
        Err(self.unfit(&format!(
            "does not listen on $PORT ({}) within {} s",
            self.address.port(),
            LISTENS_WITHIN.as_secs()
        )))
    }

    async fn connect(&self) -> Option<TcpStream> {
        TcpStream::connect(self.address).await.ok()
    }

    /// Asks the health path once.
    async fn is_healthy(&mut self, path: &str) -> Result<(), Failure> {
        let asked = timeout(ANSWERS_WITHIN, self.ask(path)).await;
        let why = match asked {
            Ok(Some(200..=299)) => return Ok(()),
            Ok(Some(status)) => format!("answers {status} on its health path {path}, expected 2xx"),
            Ok(None) => match timeout(ENDS_WITHIN, self.child.wait()).await {
                Ok(Ok(status)) => format!("{} when it was asked for {path}", ended(status)),
                _ => format!("answers no HTTP on its health path {path}"),
            },
            Err(_) => format!("does not answer its health path {path} within {} s", ANSWERS_WITHIN.as_secs()),
        };
        Err(self.unfit(&why))
    }

    /// The status of its answer, if it is one.
    async fn ask(&self, path: &str) -> Option<u16> {
        let mut stream = BufReader::new(self.connect().await?.take(MAX_LINE));
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address);
        stream.get_mut().get_mut().write_all(request.as_bytes()).await.ok()?;
        let mut reply = Vec::new();
        // Its first line is enough, and some keep the connection open. What was read before an error is a line all the same.
        let _ = stream.read_until(b'\n', &mut reply).await;
        let reply = String::from_utf8_lossy(&reply);
        reply.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()
    }

    /// Whether it has a handler for SIGTERM, or waits for it otherwise. The first process of a container does not get a
    /// signal that it does nothing about (`pid_namespaces(7)`): every stop would take the whole stop timeout.
    fn hears_sigterm(&mut self) -> Result<(), Failure> {
        if let Ok(Some(status)) = self.child.try_wait() {
            return Err(self.unfit(&format!("{} after it answered", ended(status))));
        }
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid.as_raw_nonzero())).unwrap_or_default();
        let mask = |name: &str| {
            let digits = status.lines().find_map(|line| line.strip_prefix(name))?.trim();
            u64::from_str_radix(digits, 16).ok()
        };
        let bit = 1 << (Signal::TERM.as_raw() - 1);
        let masks = [mask("SigCgt:"), mask("SigBlk:")];
        if masks.into_iter().flatten().any(|mask| mask & bit != 0) {
            return Ok(());
        }
        Err(self.unfit("has no handler for SIGTERM, which the first process of a container then never gets"))
    }

    /// Sends SIGTERM and waits for its end.
    async fn leaves(mut self, stop_timeout: Duration) -> Result<(), Failure> {
        // It may have left by itself just now.
        let _ = rustix::process::kill_process(self.pid, Signal::TERM);
        let why = match timeout(stop_timeout, self.child.wait()).await {
            Ok(Ok(status)) if left_well(status) => return Ok(()),
            Ok(Ok(status)) => format!("{} on SIGTERM, expected 0 or 143", ended(status)),
            Ok(Err(error)) => format!("could not be waited for: {error}"),
            Err(_) => format!("does not leave within {} s of SIGTERM", stop_timeout.as_secs()),
        };
        Err(self.unfit(&why))
    }

    fn unfit(&self, why: &str) -> Failure {
        let lines = match last_lines(&self.stage.output()).as_slice() {
            [] => "it wrote nothing".to_owned(),
            [line] => format!("its last line: {line}"),
            lines => format!("its last lines:\n{}", lines.join("\n")),
        };
        Failure::failed(format!("the image's program {why} (tried {})\n{lines}", self.stage.how()))
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        // Once it was waited for, its number may be somebody else's.
        if self.child.id().is_some() {
            let _ = rustix::process::kill_process_group(self.pid, Signal::KILL);
        }
    }
}

/// An address of loopback that nobody had a moment ago, not on any address of this machine.
fn free_address() -> std::io::Result<SocketAddr> {
    let length = PORTS.end - PORTS.start;
    // Each process begins elsewhere.
    let first = (std::process::id() % u32::from(length)) as u16;
    let mut ports = (0..length).map(|step| PORTS.start + (first + step) % length);
    let free = ports.find(|port| std::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).is_ok());
    free.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))).ok_or_else(|| std::io::ErrorKind::AddrInUse.into())
}

/// 143 is 128 + SIGTERM: what those exit with who tell why they left.
fn left_well(status: ExitStatus) -> bool {
    matches!(status.code(), Some(0 | 143)) || status.signal() == Some(Signal::TERM.as_raw())
}

fn ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exits {code}"),
        (None, Some(signal)) => format!("is killed by signal {signal}"),
        (None, None) => "ends".to_owned(),
    }
}

/// The last lines that are not empty, fit for a terminal; none if they cannot be read.
fn last_lines(output: &Path) -> Vec<String> {
    let tail = || {
        let mut file = File::open(output)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(bytes)
    };
    let bytes = tail().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let mut lines: Vec<String> =
        text.lines().rev().filter(|line| !line.trim().is_empty()).take(LINES).map(plain).collect();
    lines.reverse();
    lines
}
