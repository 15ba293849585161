//! `check`: certifies the clock of a time service, each backend by itself.

use std::time::Duration;

use gimmetime_check::{CheckError, Options, Report, Url, Verdict};
use gimmetime_clock::{Offset, Synchronization};
use gimmetime_engine::Presence;
use serde_json::{Value, json};

use crate::args::Check;
use crate::exit::{Exit, Failure};
use crate::render::units::{counted, half_width, offset, span};
use crate::render::words::{once, times};
use crate::render::{Printer, Tone};
use crate::settings::Place;
use crate::target;
use crate::verbs::{Context, said};

/// Checks, and ends with 0 for a good clock, 1 for a wrong one, 2 when it could not be told.
pub(crate) async fn run(context: &Context, args: &Check, printer: &mut Printer) -> Result<Exit, Failure> {
    let url = match &args.url {
        Some(text) => text.parse().map_err(|error| Failure::unsure(format!("{error}")))?,
        None => of_target(context, printer).await?,
    };
    let mut options = Options { connect_to: context.common.connect_to.clone(), ..Options::default() };
    if let Some(timeout) = context.common.timeout {
        options.budget = timeout;
        options.timeout = timeout.min(options.timeout);
    }
    if args.compat {
        return compat(&url, &options, printer).await;
    }
    options.limit = Offset::from_nanos(i64::try_from(args.limit.as_nanos()).unwrap_or(i64::MAX));
    match gimmetime_check::check(&url, &options).await {
        Ok(report) => show(&report, &url, printer),
        Err(error) => unavailable(&error, printer),
    }
}

/// Where the target's own service tells the time.
async fn of_target(context: &Context, printer: &mut Printer) -> Result<Url, Failure> {
    if let Place::Local { .. } = context.settings.place {
        // To look is not to take over: a dead engine's tasks are not started anew for a question.
        let Ok(Presence::Running(endpoint)) = target::home(&context.settings).presence() else {
            return Err(Failure::unsure("check what? no URL was given, and no service runs here")
                .hint("gimmetime check http://HOST:PORT"));
        };
        return target::url_of(endpoint.listen, &context.settings.service.probe);
    }
    Ok(context.connect(printer).await?.place().url.clone())
}

/// The original's sentences, byte for byte; exit 0 or 1.
async fn compat(url: &Url, options: &Options, printer: &mut Printer) -> Result<Exit, Failure> {
    let outcome = gimmetime_check::compat(url, options).await;
    for line in &outcome.lines {
        said(printer.data(line))?;
    }
    Ok(if outcome.ok { Exit::Done } else { Exit::Failed })
}

fn show(report: &Report, url: &Url, printer: &mut Printer) -> Result<Exit, Failure> {
    said(printer.json(&as_json(report)))?;
    let (tone, word, exit) = match report.verdict {
        Verdict::Ok => (Tone::Good, "OK", Exit::Done),
        Verdict::Wrong => (Tone::Bad, "WRONG", Exit::Failed),
        Verdict::Undecided => (Tone::Warn, "UNDECIDED", Exit::Unsure),
    };
    said(printer.text(format!("{}  {}", printer.paint(tone, word), line(report))))?;
    for instance in report.instances.iter().filter(|_| report.verdict != Verdict::Ok || report.instances.len() > 4) {
        let interval = instance.interval;
        let (lo, hi) = (offset(interval.lo.as_nanos()), offset(interval.hi.as_nanos()));
        said(printer.text(format!("  {}  [{lo}, {hi}]  {:?}", instance.instance, instance.verdict)))?;
    }
    for (failure, told) in once(&report.failures, |failure| failure) {
        said(printer.text(format!("  {failure}{}", times(told))))?;
    }
    for (address, fault) in &report.unreached {
        said(printer.text(format!("  {address} of {} could not be reached: {fault}", url.host)))?;
    }
    Ok(exit)
}

/// `clock +0.012 s [+0.000, +0.024] against this machine (itself ±1 ms) · 2 backends · 4 requests, 0.1 s`
fn line(report: &Report) -> String {
    let hull = report.hull();
    let own = match (report.own.status, report.own.error_bound) {
        (Synchronization::Synchronized, Some(bound)) => format!("itself ±{}", span(bound)),
        _ => "itself unsynchronized".to_owned(),
    };
    let failed = if report.failed == 0 { String::new() } else { format!(", {} failed", report.failed) };
    let step = if report.own_step { " · this machine's clock was stepped meanwhile" } else { "" };
    format!(
        "clock {} [{}, {}] against this machine ({own}) · {} · {}{failed}, {}{step}",
        offset(hull.midpoint().as_nanos()),
        offset(hull.lo.as_nanos()),
        offset(hull.hi.as_nanos()),
        counted(report.instances.len(), "backend"),
        counted(report.requests as usize, "request"),
        span(report.elapsed),
    )
}

/// One line for the end of a rollout: how far the worst clock may be from this machine's.
pub(crate) fn brief(report: &Report) -> (Verdict, String) {
    let words = match report.verdict {
        Verdict::Ok => format!("clock within {} of this machine", half_width(report.hull())),
        Verdict::Wrong => format!("clock WRONG: {} from this machine", offset(report.hull().midpoint().as_nanos())),
        Verdict::Undecided => format!("clock undecided: within {} of this machine", half_width(report.hull())),
    };
    (report.verdict, words)
}

fn unavailable(error: &CheckError, printer: &mut Printer) -> Result<Exit, Failure> {
    said(printer.json(&json!({ "verdict": "unavailable", "error": error.to_string() })))?;
    let exit = match error {
        CheckError::Status { .. } | CheckError::NotNumber { .. } | CheckError::Unreachable { .. } => Exit::Failed,
        CheckError::Resolve(_) | CheckError::Unusable { .. } | CheckError::OwnClock => Exit::Unsure,
    };
    Err(Failure { exit, ..Failure::unsure(error.to_string()) })
}

/// The stable JSON of a check; offsets in nanoseconds, this machine's clock as the reference.
pub(crate) fn as_json(report: &Report) -> Value {
    let instances: Vec<Value> = report
        .instances
        .iter()
        .map(|instance| {
            json!({
                "instance": instance.instance.to_string(),
                "verdict": verdict_word(instance.verdict),
                "offset_low_ns": instance.interval.lo.as_nanos(),
                "offset_high_ns": instance.interval.hi.as_nanos(),
                "samples": instance.samples,
                "round_trip_seconds": instance.round_trip.as_secs_f64(),
                "contradictions": instance.contradictions,
            })
        })
        .collect();
    let hull = report.hull();
    json!({
        "verdict": verdict_word(report.verdict),
        "limit_seconds": Duration::from_nanos(report.limit.as_nanos().unsigned_abs()).as_secs_f64(),
        "offset_low_ns": hull.lo.as_nanos(),
        "offset_high_ns": hull.hi.as_nanos(),
        "instances": instances,
        "requests": report.requests,
        "failed": report.failed,
        "failures": report.failures,
        "elapsed_seconds": report.elapsed.as_secs_f64(),
        "own_clock": {
            "synchronized": report.own.status == Synchronization::Synchronized,
            "error_bound_seconds": report.own.error_bound.map(|bound| bound.as_secs_f64()),
            "stepped": report.own_step,
        },
    })
}

/// A verdict as JSON has it.
pub(crate) fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::Wrong => "wrong",
        Verdict::Undecided => "undecided",
    }
}
