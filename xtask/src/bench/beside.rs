//! The balancer's CPU for each request, beside nginx as a proxy to the same tasks in the same run.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use super::place::{Bench, first_answer};

/// Where nginx listens.
const NGINX: &str = "127.77.0.1:8081";
/// How often each is measured, in turn.
const ROUNDS: usize = 5;
/// Seconds of load in each round.
const SECONDS: &str = "4";

/// Measures both in turn and prints the medians.
pub(super) fn nginx(bench: &Bench) -> Result<()> {
    let report = bench.json(&["up"])?;
    let status = bench.json(&["status"])?;
    let ports: Vec<u64> = status["tasks"]
        .as_array()
        .context("status has no tasks")?
        .iter()
        .filter_map(|task| task["port"].as_u64())
        .collect();
    ensure!(!ports.is_empty(), "no task tells its port: {report}");
    let mut proxy = start_nginx(&bench.folder, &ports)?;
    let measured = rounds(bench, proxy.id());
    proxy.kill()?;
    proxy.wait()?;
    bench.json(&["down"])?;
    let (ours, theirs) = measured?;
    println!(
        "CPU of a proxied request, 32 connections: balancer {ours:.1} µs, nginx {theirs:.1} µs (medians, n {ROUNDS} each)"
    );
    Ok(())
}

fn rounds(bench: &Bench, nginx: u32) -> Result<(f64, f64)> {
    first_answer(NGINX.parse()?)?;
    let plane = plane(&bench.folder)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(load(plane, &bench.listen.to_string())?);
        theirs.push(load(nginx, NGINX)?);
    }
    Ok((median(ours), median(theirs)))
}

/// CPU microseconds of a process for each request that wrk made.
fn load(pid: u32, address: &str) -> Result<f64> {
    let before = cpu_micros(pid)?;
    let url = format!("http://{address}/now");
    let output =
        Command::new("wrk").args(["-t1", "-c32", "-d", SECONDS, &url]).output().context("could not run wrk")?;
    let spent = cpu_micros(pid)? - before;
    let text = String::from_utf8(output.stdout)?;
    ensure!(!text.contains("Non-2xx") && !text.contains("Socket errors"), "wrk saw failures:\n{text}");
    let requests = text.lines().find_map(|line| line.trim().split_once(" requests in ")).context("wrk said nothing")?;
    Ok(spent / requests.0.parse::<f64>()?)
}

/// User and system time of all threads, from `/proc/PID/stat`.
fn cpu_micros(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = stat.rsplit_once(") ").context("no name in stat")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    // Fields 14 and 15, in ticks of 10 ms; `rest` begins with field 3.
    Ok((fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) * 10_000.0)
}

fn plane(folder: &Path) -> Result<u32> {
    let home = folder.join("state/bench").display().to_string();
    for entry in std::fs::read_dir("/proc")? {
        let Ok(pid) = entry?.file_name().to_string_lossy().parse::<u32>() else { continue };
        let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let arguments = String::from_utf8_lossy(&arguments).replace('\0', " ");
        if arguments.contains("engine balance") && arguments.contains(&home) {
            return Ok(pid);
        }
    }
    bail!("no data plane of {home} runs")
}

/// One process: killed, it leaves no worker behind.
fn start_nginx(folder: &Path, ports: &[u64]) -> Result<Child> {
    let servers: Vec<String> = ports.iter().map(|port| format!("server 127.0.0.1:{port};")).collect();
    let servers = servers.join(" ");
    let configuration = format!(
        "daemon off; master_process off; pid nginx.pid; error_log stderr crit;\n\
         events {{ worker_connections 1024; }}\n\
         http {{ access_log off; keepalive_requests 1000000;\n\
         upstream tasks {{ {servers} keepalive 64; keepalive_requests 1000000; }}\n\
         server {{ listen {NGINX}; location / {{ proxy_pass http://tasks; proxy_http_version 1.1;\n\
         proxy_set_header Connection \"\"; proxy_set_header Host $host;\n\
         proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; }} }} }}\n"
    );
    let path = folder.join("nginx.conf");
    std::fs::write(&path, configuration)?;
    let mut command = Command::new("nginx");
    command.arg("-p").arg(folder).arg("-c").arg(&path).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().context("could not start nginx")
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}
