//! A place to measure: a folder, an address, and the program's commands in it. Whatever happens, it is taken down.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::RATE;
use crate::run::{now, target};

/// Where clients connect: an address of loopback that nothing else uses.
const LISTEN: &str = "127.77.0.1:8080";
/// How long a first answer may take before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// A place to measure.
pub(super) struct Bench {
    program: PathBuf,
    pub(super) folder: PathBuf,
    pub(super) listen: SocketAddr,
}

impl Bench {
    /// An empty one.
    pub(super) fn new(program: &Path) -> Result<Self> {
        let folder = target()?.join("bench");
        std::fs::create_dir_all(&folder)?;
        let settings = format!("[service]\nrollout = {{ probe_rate = {RATE} }}\n");
        std::fs::write(folder.join("gimmetime.toml"), settings)?;
        let bench = Self { program: program.to_path_buf(), folder, listen: LISTEN.parse()? };
        // An earlier run may have been killed.
        bench.json(&["down"])?;
        Ok(bench)
    }

    /// A command of the program in this place, quiet, with JSON to its standard output.
    pub(super) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(&self.folder).args(args).args(["--name", "bench", "--output", "json"]);
        command.arg("--state").arg(self.folder.join("state"));
        command.env("GIMMETIME_LISTEN", LISTEN).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Runs a command to its end and reads what it reports.
    pub(super) fn json(&self, args: &[&str]) -> Result<Value> {
        let output = self.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "`gimmetime {}` ended with {}: {errors}", args.join(" "), output.status);
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("`gimmetime {}` printed no JSON", args.join(" ")))
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // What could not be taken down is found by the next run.
        let _ = self.command(&["down"]).status();
    }
}

/// Waits for the first 200 of `/now`.
pub(super) fn first_answer(listen: SocketAddr) -> Result<()> {
    let start = now();
    while start.elapsed() < PATIENCE {
        if answers(listen).unwrap_or(false) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    bail!("no 200 from http://{listen}/now within {PATIENCE:?}")
}

fn answers(listen: SocketAddr) -> Result<bool> {
    let mut stream = TcpStream::connect(listen)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"GET /now HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")?;
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply)?;
    Ok(reply.starts_with(b"HTTP/1.1 200"))
}

/// One line about the machine.
pub(super) fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("?", |m| m.1);
    let cores = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    format!("machine: {cores} × {model}, Linux {}", read("/proc/sys/kernel/osrelease").trim())
}
