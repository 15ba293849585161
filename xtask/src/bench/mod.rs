//! Measures what the README claims, on the release build, beside a peer in the same run.
//!
//! Times are of whole commands, as their user waits for them. Everything runs on loopback, in a folder of its own.

mod aws;
mod beside;
mod figures;
mod image;
mod place;

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::run::{cargo, must, now, target};
use crate::{parts, venv};
use figures::{Figures, millis};
use place::{Bench, first_answer};

/// How often each command is timed.
const RUNS: u32 = 10;
/// Requests a second that the probe sends during each rollout, whatever comes back.
const RATE: u32 = 500;

/// Times of `up`, `deploy` and `scale`, requests lost in rollouts, and the balancer's CPU beside nginx.
pub(crate) fn engine() -> Result<()> {
    must(&mut cargo(&["build", "--release", "--package", "gimmetime"]))?;
    let program = target()?.join("release/gimmetime");
    println!("{}", place::machine());
    let bench = Bench::new(&program)?;
    first_200(&bench)?;
    rollouts(&bench)?;
    scale(&bench)?;
    beside::nginx(&bench)
}

/// Times, own share, memory and requests lost of the verbs on AWS, against an emulator.
pub(crate) fn aws() -> Result<()> {
    must(&mut cargo(&["build", "--release", "--package", "gimmetime"]))?;
    let _engine = parts::container_engine()?;
    let (url, _emulator) = parts::emulator(&venv::make("aws", "requirements-aws.txt")?)?;
    println!("{}", place::machine());
    aws::run(target()?.join("release/gimmetime"), url)
}

/// Times of pushing the image into a registry on loopback, beside three peers.
pub(crate) fn image() -> Result<()> {
    must(&mut cargo(&["build", "--release", "--package", "gimmetime"]))?;
    let _engine = parts::container_engine()?;
    println!("{}", place::machine());
    image::run(target()?.join("release/gimmetime"))
}

/// From the start of `up` to the first 200 at the balancer.
fn first_200(bench: &Bench) -> Result<()> {
    let (mut first, mut whole) = (Figures::default(), Figures::default());
    for _ in 0..RUNS {
        let start = now();
        let mut up = bench.command(&["up"]).spawn().context("could not start `up`")?;
        first_answer(bench.listen)?;
        first.add(start.elapsed());
        anyhow::ensure!(up.wait()?.success(), "`up` failed");
        whole.add(start.elapsed());
        bench.json(&["down"])?;
    }
    println!("up → first 200, 2 tasks            {first}   (goal 1 s)");
    println!("up → command returns, checked      {whole}");
    Ok(())
}

/// Rolling deployments of 4 tasks, each under an open-loop probe.
fn rollouts(bench: &Bench) -> Result<()> {
    bench.json(&["up", "--count", "4"])?;
    let mut whole = Figures::default();
    let (mut requests, mut failed, mut unverified, mut worst) = (0, 0, 0, Duration::ZERO);
    for _ in 0..RUNS {
        let start = now();
        let report = bench.json(&["deploy", "--force"])?;
        whole.add(start.elapsed());
        let tally = &report["probe"];
        requests += tally["requests"].as_u64().context("the report has no probe.requests")?;
        failed += tally["failed"].as_u64().context("the report has no probe.failed")?;
        unverified += tally["unverified"].as_u64().unwrap_or(0);
        worst = worst.max(Duration::from_secs_f64(tally["p99_seconds"].as_f64().unwrap_or(0.0)));
    }
    bench.json(&["down"])?;
    println!("deploy --force, 4 tasks            {whole}   (goal 3 s)");
    println!(
        "  under {RATE} requests/s, open loop: {requests} requests, {failed} failed, {unverified} unverified, \
         worst p99 {}",
        millis(worst)
    );
    Ok(())
}

/// `scale` from 2 to 8 and back.
fn scale(bench: &Bench) -> Result<()> {
    bench.json(&["up"])?;
    let (mut out, mut back) = (Figures::default(), Figures::default());
    for _ in 0..RUNS {
        let start = now();
        bench.json(&["scale", "8"])?;
        out.add(start.elapsed());
        let start = now();
        bench.json(&["scale", "2"])?;
        back.add(start.elapsed());
    }
    bench.json(&["down"])?;
    println!("scale 2 → 8                        {out}   (goal 1 s)");
    println!("scale 8 → 2                        {back}");
    Ok(())
}
