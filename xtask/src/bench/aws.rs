//! What the verbs cost on AWS, beside what they wait for: measured against an emulator, whose containers are real.
//!
//! An emulator's waits are not AWS's. What is measured is therefore the tool's own share (the command's time less the time
//! it waited for ECS), its memory, and requests lost.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::figures::Figures;
use crate::run::{now, target};

/// Any key will do: the emulator's balancer and registry answer in its default account only.
const KEY: &str = "bench";
/// How often a rollout is measured.
const RUNS: u32 = 10;
/// How often the memory of a running command is read.
const LOOK: Duration = Duration::from_millis(10);
/// Probes a second in each rollout.
const RATE: u32 = 100;

/// A target on an emulator, and the release build that is measured.
struct Cloud {
    program: PathBuf,
    folder: PathBuf,
    url: String,
}

/// A command that ended well.
struct Ran {
    report: Value,
    took: Duration,
    /// Its largest resident set, in KiB.
    memory: u64,
}

/// Times of `up`, `deploy` and `down`, the tool's own share, its memory, and requests lost.
pub(super) fn run(program: PathBuf, url: String) -> Result<()> {
    let folder = target()?.join("bench-aws");
    std::fs::create_dir_all(&folder)?;
    let settings = format!(
        "target = \"bench\"\nname = \"bench\"\n[service]\nrollout = {{ probe_rate = {RATE} }}\n\
         [targets.bench]\naws = {{ region = \"eu-west-1\" }}\n"
    );
    std::fs::write(folder.join("gimmetime.toml"), settings)?;
    let cloud = Cloud { program, folder, url };
    // An earlier run may have been killed.
    cloud.gimmetime(&["down", "--yes", "--name", "bench"])?;
    let up = cloud.gimmetime(&["up", "--yes"])?;
    println!("up, empty account → checked        {:>8.2} s  {:>6} KiB", up.took.as_secs_f64(), up.memory);
    let again = cloud.gimmetime(&["up", "--yes"])?;
    println!("up again, nothing to do            {:>8.2} s  {:>6} KiB", again.took.as_secs_f64(), again.memory);
    let deployed = rollouts(&cloud);
    let down = cloud.gimmetime(&["down", "--yes", "--name", "bench"])?;
    println!("down                               {:>8.2} s  {:>6} KiB", down.took.as_secs_f64(), down.memory);
    deployed
}

/// Rollouts under an open-loop probe: the whole time, the share of it that is not ECS's, requests lost, and memory.
fn rollouts(cloud: &Cloud) -> Result<()> {
    let (mut whole, mut own) = (Figures::default(), Figures::default());
    let (mut requests, mut failed, mut memory) = (0, 0, 0);
    for _ in 0..RUNS {
        let ran = cloud.gimmetime(&["deploy", "--force"])?;
        let waited =
            ran.report["phases"]["total_seconds"].as_f64().context("the report has no phases.total_seconds")?;
        whole.add(ran.took);
        own.add(ran.took.saturating_sub(Duration::from_secs_f64(waited)));
        let tally = &ran.report["probe"];
        requests += tally["requests"].as_u64().context("the report has no probe.requests")?;
        failed += tally["failed"].as_u64().context("the report has no probe.failed")?;
        memory = memory.max(ran.memory);
    }
    println!("deploy --force, 2 tasks            {whole}");
    println!("  of it the tool's own             {own}   (goal 2 s)");
    println!(
        "  under {RATE} requests/s, open loop: {requests} requests, {failed} failed; at most {memory} KiB (goal 61,440)"
    );
    Ok(())
}

impl Cloud {
    /// Runs a command to its good end.
    fn gimmetime(&self, args: &[&str]) -> Result<Ran> {
        let (_, address) = self.url.split_once("://").context("the emulator's URL has no scheme")?;
        let mut command = Command::new(&self.program);
        command.current_dir(&self.folder).args(args).args(["--output", "json"]);
        command.arg("--state").arg(self.folder.join("state"));
        let takes_address = |verb: &str| ["up", "deploy"].contains(&verb);
        if args.first().is_some_and(|verb| takes_address(verb)) {
            command.args(["--connect-to", address, "--registry", &format!("{address}/bench")]);
        }
        command.env("AWS_ENDPOINT_URL", &self.url).env("AWS_ACCESS_KEY_ID", KEY).env("AWS_SECRET_ACCESS_KEY", KEY);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let start = now();
        let child = command.spawn().with_context(|| format!("could not start {command:?}"))?;
        let pid = child.id();
        let (output, memory) = watched(child, pid)?;
        let took = start.elapsed();
        ensure!(output.status.success(), "`gimmetime {}` ended with {}", args.join(" "), output.status);
        let report = serde_json::from_slice(&output.stdout)
            .with_context(|| format!("`gimmetime {}` printed no JSON", args.join(" ")))?;
        Ok(Ran { report, took, memory })
    }
}

/// Waits for a process and reads its memory meanwhile: `VmHWM` only grows.
fn watched(child: Child, pid: u32) -> Result<(std::process::Output, u64)> {
    let waiting = std::thread::spawn(move || child.wait_with_output());
    let mut memory = 0;
    while !waiting.is_finished() {
        memory = memory.max(peak_kib(pid).unwrap_or(0));
        std::thread::sleep(LOOK);
    }
    let output = waiting.join().expect("waiting for a process does not panic")?;
    Ok((output, memory))
}

fn peak_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}
