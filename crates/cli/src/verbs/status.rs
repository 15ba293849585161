//! `status`: tasks with health and clocks, the deployment, rates, events, and what the scheduler waits for.

use std::time::Duration;

use gimmetime_check::{CheckError, Options, Report};
use gimmetime_clock::{Interval, Timestamp, source};
use gimmetime_engine::{Endpoint, EngineDescription};
use gimmetime_ops::{Clocks, StatusReport, TaskLine, status};
use serde_json::{Value, json};
use tokio::signal::unix::SignalKind;

use crate::args::Status;
use crate::exit::{Exit, Failure};
use crate::follow::listen;
use crate::render::progress::short;
use crate::render::units::{clock_time, day_time, half_width, span};
use crate::render::words::shorten;
use crate::render::{Printer, Tone};
use crate::target::Reached;
use crate::traffic::{Meter, Traffic};
use crate::verbs::{Context, check, heard, said};

/// How often `--watch` looks.
const LOOK: Duration = Duration::from_secs(1);
/// How long the clocks of one picture may be asked for.
const CLOCKS: Duration = Duration::from_secs(1);
/// Events shown without `--verbose`.
const FEW: usize = 5;

/// Shows it once, or again and again.
pub(crate) async fn run(context: &Context, args: &Status, printer: &mut Printer) -> Result<Exit, Failure> {
    let reached = context.connect(printer).await?;
    if args.watch {
        return watch(context, &reached, printer).await;
    }
    Picture::take(context, &reached, &mut Meter::default()).await?.show(context, &reached, printer)
}

/// Shows it until Ctrl-C, which may come while a picture is taken.
async fn watch(context: &Context, reached: &Reached, printer: &mut Printer) -> Result<Exit, Failure> {
    let look = if context.settings.place.is_local() { LOOK } else { reached.place().poll };
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut exit = Exit::Unsure;
    let mut pause = Duration::ZERO;
    let mut meter = Meter::default();
    loop {
        let next = async {
            tokio::time::sleep(pause).await;
            Picture::take(context, reached, &mut meter).await
        };
        let picture = tokio::select! {
            picture = next => picture?,
            _ = interrupt.recv() => {
                printer.leave_picture();
                return Ok(exit);
            }
        };
        printer.begin_picture();
        exit = picture.show(context, reached, printer)?;
        heard(printer.end_picture())?;
        pause = look;
    }
}

/// What the probe's path answered at one moment.
#[derive(Debug, Clone, Copy)]
enum Answers {
    Well,
    /// With this status code.
    Badly(u16),
    /// Nobody answered this machine.
    OutOfReach,
}

/// All that is shown at one moment.
struct Picture {
    status: StatusReport,
    /// Only here.
    engine: Option<EngineDescription>,
    traffic: Traffic,
    checked: Result<Report, CheckError>,
}

impl Picture {
    async fn take(context: &Context, reached: &Reached, meter: &mut Meter) -> Result<Self, Failure> {
        let connect_to = context.common.connect_to.clone();
        let options = Options { budget: CLOCKS, timeout: CLOCKS, connect_to, ..Options::default() };
        let place = reached.place();
        let checked = gimmetime_check::check(&place.url, &options).await;
        let clocks: Clocks = checked.iter().flat_map(clocks_of).collect();
        let (status, counted) = tokio::join!(status(place, &clocks), counted(reached, meter));
        let (status, (engine, traffic)) = (status?, counted?);
        Ok(Self { status, engine, traffic, checked })
    }

    fn show(&self, context: &Context, reached: &Reached, printer: &mut Printer) -> Result<Exit, Failure> {
        let status = &self.status;
        said(printer.json(&self.as_json(context, reached)))?;
        let (answers, heading) = (self.answers(), self.heading(context, reached, printer));
        said(printer.folded(&heading, " · "))?;
        for task in &status.tasks {
            said(printer.text(task_line(task, matches!(reached, Reached::Local(_)), printer)))?;
        }
        self.show_motion(printer)?;
        if let (Answers::Badly(_) | Answers::OutOfReach, Err(why)) = (answers, &self.checked) {
            said(printer.text(format!("{}: {why}", reached.place().url.path)))?;
        }
        said(printer.text(match self.traffic.error() {
            Some(why) if context.common.verbose => printer.paint(Tone::Dim, why),
            Some(_) => printer.paint(Tone::Dim, self.traffic.line()),
            None => self.traffic.line(),
        }))?;
        let events = if context.common.verbose { status.events.len() } else { FEW };
        for event in status.events.iter().take(events) {
            let at = event.at.map_or_else(String::new, clock_time);
            let message = if context.common.verbose { event.message.clone() } else { shorten(&event.message) };
            said(printer.text(printer.paint(Tone::Dim, format!("  {at}  {message}"))))?;
        }
        Ok(if self.serves() && !matches!(answers, Answers::Badly(_)) {
            Exit::Done
        } else if status.healthy > 0 {
            Exit::Failed
        } else {
            Exit::Unhealthy
        })
    }

    fn serves(&self) -> bool {
        self.status.desired <= self.status.healthy
    }

    /// How it is, in a word.
    fn sign(&self, printer: &Printer) -> String {
        let status = &self.status;
        if status.desired == 0 {
            printer.paint(Tone::Warn, "SCALED TO 0")
        } else if let (true, Answers::Badly(code)) = (self.serves(), self.answers()) {
            printer.paint(Tone::Bad, format!("ANSWERS {code}"))
        } else if self.serves() && status.is_steady {
            printer.paint(Tone::Good, "OK")
        } else if status.healthy > 0 {
            printer.paint(Tone::Warn, "CHANGING")
        } else {
            printer.paint(Tone::Bad, "NOT HEALTHY")
        }
    }

    /// `local · time · http://127.0.0.1:8080 · OK · r1 0.1.0 sha256:9c1f… (alice, 2026-11-22 12:33) · 2 of 2`
    fn heading(&self, context: &Context, reached: &Reached, printer: &Printer) -> String {
        let (status, sign) = (&self.status, self.sign(printer));
        let release = &status.release;
        let who = match (&release.who, release.at) {
            (Some(who), Some(at)) => format!(" ({who}, {})", day_time(at)),
            _ => String::new(),
        };
        let hourly = match reached {
            Reached::Aws(cloud) => format!(" · {}", cloud.hourly(status.desired)),
            Reached::Local(_) => String::new(),
        };
        format!(
            "{} · {} · http://{} · {sign} · r{}{} {}{who} · {} of {}{hourly}",
            context.settings.target,
            status.service,
            reached.place().url.authority(),
            release.number,
            release.version.as_ref().map_or_else(String::new, |version| format!(" {version}")),
            release.digest.as_deref().map_or_else(String::new, short),
            status.healthy,
            status.desired,
        )
    }

    /// What the probe's path answers. A service that serves no time is no worse for it.
    fn answers(&self) -> Answers {
        match &self.checked {
            Err(CheckError::Status { status, .. }) if 0 < self.status.desired => Answers::Badly(*status),
            Err(CheckError::Resolve(_) | CheckError::Unreachable { .. }) if 0 < self.status.desired => {
                Answers::OutOfReach
            }
            _ => Answers::Well,
        }
    }

    /// What is being changed, and what it waits for.
    fn show_motion(&self, printer: &mut Printer) -> Result<Exit, Failure> {
        if let Some(deployment) = &self.status.deployment {
            let since = deployment.since.map_or_else(String::new, |since| format!(" since {}", clock_time(since)));
            let failed = if deployment.failed == 0 { String::new() } else { format!(", {} failed", deployment.failed) };
            said(printer.text(format!(
                "{} {}{since}, {} of {} run{failed}",
                deployment.who, deployment.what, deployment.running, deployment.of
            )))?;
        }
        match &self.status.waiting_for {
            Some(what) => said(printer.text(format!("waits for {what}"))),
            None => Ok(Exit::Done),
        }
    }

    fn as_json(&self, context: &Context, reached: &Reached) -> Value {
        let mut value = serde_json::to_value(&self.status).expect("a report has only text keys");
        value["target"] = json!(context.settings.target);
        value["url"] = json!(format!("http://{}", reached.place().url.authority()));
        match (reached, &self.engine) {
            (Reached::Local(local), Some(engine)) => {
                let Endpoint { url, state_dir, .. } = &local.endpoint;
                value["engine"] = json!({ "pid": engine.pid, "api": url, "state": state_dir });
            }
            (Reached::Aws(cloud), _) => {
                value["region"] = json!(cloud.region());
                value["dollars_per_hour"] = json!(cloud.dollars_per_hour(self.status.desired));
            }
            (Reached::Local(_), None) => {}
        }
        value["traffic"] = self.traffic.as_json();
        value["traffic_error"] = json!(self.traffic.error());
        value["check"] = json!(self.checked.as_ref().ok().map(check::as_json));
        value["check_error"] = json!(self.checked.as_ref().err().map(ToString::to_string));
        value
    }
}

/// The engine, if there is one here, and what it or AWS counted.
async fn counted(reached: &Reached, meter: &mut Meter) -> Result<(Option<EngineDescription>, Traffic), Failure> {
    match reached {
        Reached::Local(local) => {
            let engine = local.endpoint.describe().await.map_err(crate::target::engine_failed)?;
            let traffic = Traffic::from(&engine.metrics);
            Ok((Some(engine), traffic))
        }
        Reached::Aws(cloud) => Ok((None, meter.read(&cloud.session, &cloud.outputs).await)),
    }
}

/// Clocks by instance: the first digits of a task's id.
fn clocks_of(report: &Report) -> Vec<(String, Interval)> {
    report.instances.iter().map(|instance| (instance.instance.to_string(), instance.interval)).collect()
}

/// `4f2a91bc  RUNNING  3 d   healthy  clock ±0.4 ms  r14  :20001`
fn task_line(task: &TaskLine, is_local: bool, printer: &Printer) -> String {
    let health = task.health.as_deref().unwrap_or("-");
    let tone = match health {
        "healthy" => Tone::Good,
        "unhealthy" => Tone::Bad,
        _ => Tone::Warn,
    };
    let age = task.since.map_or_else(String::new, |since| span(age_of(since)));
    let clock = task.clock.map_or_else(String::new, |clock| format!("clock {}", half_width(clock)));
    // Here tasks differ by their ports, on AWS by their zones.
    let port = task.port.map(|port| format!(":{port}"));
    let place = if is_local { port } else { task.zone.clone() }.unwrap_or_default();
    let reason = task.reason.as_ref().map_or_else(String::new, |reason| format!("  {}", shorten(reason)));
    let line = format!(
        "  {}  {:<12} {age:>7}  {} {clock:<15} r{:<4} {place}{reason}",
        task.id.get(..12).unwrap_or(&task.id),
        task.status,
        printer.paint(tone, format!("{health:<9}")),
        task.release,
    );
    line.trim_end().to_owned()
}

fn age_of(since: Timestamp) -> Duration {
    source::wall().since(since).magnitude()
}
