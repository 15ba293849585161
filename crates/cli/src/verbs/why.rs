//! `why`: what is wrong now, else what failed last.

use gimmetime_clock::{Timestamp, iso, source};
use gimmetime_ops::{Answer, Question, why};
use jiff::civil;
use jiff::tz::TimeZone;
use serde_json::json;

use crate::args::Why;
use crate::exit::{Exit, Failure};
use crate::render::units::clock_time;
use crate::render::{Printer, Tone, rollout};
use crate::verbs::{Context, said};

/// Answers; ends with 0 when all is well, 1 when something is wrong now.
pub(crate) async fn run(context: &Context, args: &Why, printer: &mut Printer) -> Result<Exit, Failure> {
    let question = match (args.release, &args.at) {
        (Some(_), Some(_)) => return Err(Failure::unsure("a release or a moment (--at), not both")),
        (Some(release), None) => Question::Release(release),
        (None, Some(at)) => Question::At(moment(at)?),
        (None, None) => Question::Now,
    };
    let reached = context.connect(printer).await?;
    let verbose = context.common.verbose;
    match why(reached.place(), question).await? {
        Answer::Healthy { release, healthy, desired } => well(release, healthy, desired, printer),
        Answer::NoFailure { release } => {
            said(printer.json(&json!({ "state": "no_failure", "release": release })))?;
            let tick = printer.paint(Tone::Good, "✔");
            said(printer.text(format!("{tick} no failure of r{release} is known")))
        }
        Answer::NothingNear { moment } => {
            said(printer.json(&json!({ "state": "no_failure", "at": iso::format(moment) })))?;
            let at = args.at.clone().unwrap_or_else(|| iso::format(moment));
            said(printer.text(format!("no failure near {at} is known")))
        }
        Answer::InProgress { busy, waiting_for } => {
            let since = busy.since.map_or_else(String::new, |since| format!(" since {}", clock_time(since)));
            let waits = waiting_for.as_ref().map_or_else(String::new, |what| format!(", waits for {what}"));
            said(printer.json(&json!({
                "state": "in_progress", "who": busy.who, "what": busy.what, "since": busy.since.map(iso::format),
                "waiting_for": waiting_for,
            })))?;
            said(printer.text(format!("in progress: {} {}{since}{waits}", busy.who, busy.what)))
        }
        Answer::Past(diagnosis) => {
            said(printer.json(&json!({ "state": "past", "diagnosis": diagnosis })))?;
            let words = format!("all is well now; r{} failed before:", diagnosis.release);
            said(printer.text(if question == Question::Now {
                words
            } else {
                format!("r{} failed:", diagnosis.release)
            }))?;
            said(rollout::diagnosis(&diagnosis, verbose, printer))
        }
        Answer::Wrong(diagnosis) => {
            said(printer.json(&json!({ "state": "wrong", "diagnosis": diagnosis })))?;
            let cross = printer.paint(Tone::Bad, "✘");
            said(printer.text(format!("{cross} r{} is not well:", diagnosis.release)))?;
            said(rollout::diagnosis(&diagnosis, verbose, printer))?;
            Ok(Exit::Failed)
        }
    }
}

/// Nothing is wrong, and nothing was: of a service of no tasks that is all that can be said.
fn well(release: u32, healthy: u32, desired: u32, printer: &mut Printer) -> Result<Exit, Failure> {
    let state = json!({ "state": "healthy", "release": release, "healthy": healthy, "desired": desired });
    said(printer.json(&state))?;
    if desired == 0 {
        let words = format!("r{release} is scaled to 0, and no failure is known: {}", rollout::nobody(printer));
        return said(printer.folded(&words, "; "));
    }
    let tick = printer.paint(Tone::Good, "✔");
    said(printer.text(format!("{tick} all is well: r{release}, {healthy} of {desired} healthy; no failure is known")))
}

/// Reads `03:07` (the last time it was so, here) or a moment as RFC 3339.
fn moment(text: &str) -> Result<Timestamp, Failure> {
    if let Ok(moment) = text.parse::<jiff::Timestamp>() {
        return Ok(from(moment));
    }
    let wrong = || Failure::unsure(format!("expected a time as 03:07 or 2026-11-22T03:07:00Z, but found `{text}`"));
    let time: civil::Time = text.parse().map_err(|_| wrong())?;
    let now = jiff::Timestamp::from_nanosecond(i128::from(source::wall().as_nanos())).map_err(|_| wrong())?;
    let now = now.to_zoned(TimeZone::system());
    let today = now.with().time(time).build().map_err(|_| wrong())?;
    let zoned = if today <= now { today } else { today.yesterday().map_err(|_| wrong())? };
    Ok(from(zoned.timestamp()))
}

fn from(moment: jiff::Timestamp) -> Timestamp {
    Timestamp::from_nanos(i64::try_from(moment.as_nanosecond()).unwrap_or(i64::MAX))
}
