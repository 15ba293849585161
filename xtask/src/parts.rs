//! The parts that tests need and no test can bring: a container engine, and what stands in for AWS.
//!
//! Each is used if it runs already and started otherwise; what was started here ends with this value. A part that
//! cannot be had is a failure: nothing is skipped.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::run::{now, target};

/// How long a part may take until it answers.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often it is asked.
const PAUSE: Duration = Duration::from_millis(200);
/// How long a part may take to leave on SIGTERM.
const LEAVE: Duration = Duration::from_secs(20);
/// Where the emulator listens; its registry is there too, and a container engine lets loopback be plain HTTP.
const EMULATOR: &str = "127.0.0.1:4566";
/// The region that the emulator is in.
const REGION: &str = "eu-west-1";

/// A part that was started here.
pub(crate) struct Part {
    name: &'static str,
    process: Child,
}

/// A container engine that answers `docker info`. None if one ran already.
pub(crate) fn container_engine() -> Result<Option<Part>> {
    if docker_answers() {
        return Ok(None);
    }
    // Where the limit of this machine is lower than the engine's own default, no container would start.
    let mut command = Command::new("dockerd");
    command.args(["--default-ulimit", "nofile=1024:1024"]);
    let part = Part::start("dockerd", &mut command).context(
        "no container engine answers `docker info`, and none could be started (as root: apt-get install docker.io)",
    )?;
    part.until("docker info", docker_answers)
}

/// What stands in for AWS, at the address it returns.
pub(crate) fn emulator(venv: &Path) -> Result<(String, Option<Part>)> {
    let url = format!("http://{EMULATOR}");
    if emulator_answers() {
        return Ok((url, None));
    }
    let (host, port) = EMULATOR.split_once(':').expect("an address has a port");
    let mut command = Command::new(venv.join("bin/ministack"));
    command.env("BIND_HOST", host).env("GATEWAY_PORT", port).env("MINISTACK_REGION", REGION);
    let part = Part::start("ministack", &mut command)?;
    Ok((url, part.until("a connection", emulator_answers)?))
}

fn docker_answers() -> bool {
    let mut info = Command::new("docker");
    info.arg("info").stdout(Stdio::null()).stderr(Stdio::null());
    info.status().is_ok_and(|status| status.success())
}

fn emulator_answers() -> bool {
    let address: SocketAddr = EMULATOR.parse().expect("an address");
    TcpStream::connect_timeout(&address, PAUSE).is_ok()
}

impl Part {
    /// Starts a part; what it says goes to `target/parts/NAME.log`.
    fn start(name: &'static str, command: &mut Command) -> Result<Self> {
        let folder = target()?.join("parts");
        std::fs::create_dir_all(&folder)?;
        let log = File::create(folder.join(format!("{name}.log")))?;
        command.current_dir(&folder).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let process = command.spawn().with_context(|| format!("could not start {command:?}"))?;
        Ok(Self { name, process })
    }

    /// Waits until it answers.
    fn until(mut self, what: &str, answers: impl Fn() -> bool) -> Result<Option<Self>> {
        let start = now();
        loop {
            if answers() {
                return Ok(Some(self));
            }
            let log = target()?.join("parts").join(format!("{}.log", self.name));
            if let Some(status) = self.process.try_wait()? {
                bail!("{} ended with {status} before it gave {what}; see {}", self.name, log.display());
            }
            if PATIENCE < start.elapsed() {
                bail!("{} gave no {what} in {} s; see {}", self.name, PATIENCE.as_secs(), log.display());
            }
            std::thread::sleep(PAUSE);
        }
    }
}

impl Drop for Part {
    /// Ends it in order; one that does not leave is killed.
    fn drop(&mut self) {
        if let Some(pid) = Pid::from_raw(self.process.id().cast_signed()) {
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::TERM);
        }
        let start = now();
        while start.elapsed() < LEAVE {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(PAUSE);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
