//! How a rollout ended, for people and for programs.

use std::io;
use std::time::Duration;

use gimmetime_check::{Tally, Verdict};
use gimmetime_clock::iso;
use gimmetime_ops::{Certainty, Diagnosis, Ledger, Operation, Outcome, RolloutReport};
use serde_json::{Value, json};

use super::progress::short;
use super::units::{clock_time, count, counted, half_width, latency, span};
use super::words::{once, plain, times};
use super::{Printer, Tone};
use crate::verbs::check::verdict_word;

/// A phase below this took no time worth a word.
const SHORTEST: Duration = Duration::from_millis(1);
/// What is true of a service of no tasks.
const NOBODY: &str = "no task runs, so nobody is served";
/// Log lines shown without `--verbose`.
const FEW: usize = 1;

/// The phases and the probe of a rollout that did what was asked.
pub(crate) fn success(report: &RolloutReport, printer: &mut Printer) -> io::Result<()> {
    let tick = printer.paint(Tone::Good, "✔");
    printer.folded(&format!("{tick} {}", phases(report)), " ")?;
    if let (true, Some(tally)) = (report.is_unverified(), &report.tally) {
        let words = tally.first_unverified.first().map_or("", |(_, words)| words);
        let (sign, requests) = (printer.paint(Tone::Warn, "?"), count(tally.requests));
        printer.text(format!(
            "{sign} not verified: none of {requests} requests left this network ({words}); the balancer found all healthy{}",
            undo(report)
        ))?;
    } else if let Some(tally) = &report.tally {
        let sign = if tally.failed == 0 { tick } else { printer.paint(Tone::Bad, "✘") };
        printer.text(format!("{sign} {}{}", probe(tally), undo(report)))?;
        for ((at, words), told) in once(&tally.first_failures, |(_, words)| words) {
            printer.text(format!("  {}  {words}{}", clock_time(*at), times(told)))?;
        }
        let more = tally.failed.saturating_sub(tally.first_failures.len() as u64);
        if 0 < more {
            printer.text(format!("  and {} more", count(more)))?;
        }
    }
    Ok(())
}

/// One sentence on a rollout that failed, and why it did.
pub(crate) fn failure(report: &RolloutReport, verbose: bool, printer: &mut Printer) -> io::Result<()> {
    let cross = printer.paint(Tone::Bad, "✘");
    if report.outcome == Outcome::Superseded {
        let words = format!("{cross} r{} was overtaken after {}", report.to, span(report.ledger.total));
        return printer.folded(&format!("{words}: somebody else changed the service before it was done"), " ");
    }
    let cause = report.cause.as_ref().map_or_else(String::new, |cause| format!(": {}", cause.sentence));
    let after = span(report.ledger.total);
    let was_noticed = report.tally.as_ref().is_some_and(|tally| 0 < tally.failed);
    let tally = report.tally.as_ref().map_or_else(String::new, |tally| format!(" ({})", brief(tally)));
    let is_same = report.from == Some(report.to);
    let ending = match (report.outcome, report.from) {
        (Outcome::RolledBack, Some(_)) if is_same && was_noticed => format!("Rolled back to the tasks before{tally}"),
        (Outcome::RolledBack, Some(_)) if is_same => format!("Rolled back; the tasks before never stopped{tally}"),
        (Outcome::RolledBack, Some(from)) if was_noticed => format!("Rolled back to r{from}{tally}"),
        (Outcome::RolledBack, Some(from)) => format!("Rolled back; r{from} never stopped{tally}"),
        (Outcome::RolledBack, None) => format!("Rolled back{tally}"),
        (Outcome::FailedAndOldServes, _) => format!("Not rolled back; healthy tasks serve on{tally}"),
        _ => format!("No task is healthy{tally}"),
    };
    let again = if is_same { " once more" } else { "" };
    printer.folded(&format!("{cross} r{}{again} failed after {after}{cause}. {ending}", report.to), " ")?;
    report.cause.as_ref().map_or(Ok(()), |cause| diagnosis(cause, verbose, printer))
}

/// Cause, evidence, what changed, and what mends it.
pub(crate) fn diagnosis(cause: &Diagnosis, verbose: bool, printer: &mut Printer) -> io::Result<()> {
    let certainty = match cause.certainty {
        Certainty::Certain => "certain",
        Certainty::Likely => "likely",
        Certainty::Guess => "a guess",
    };
    printer.labelled("cause", &format!("{:<42} {certainty}: {}", cause.sentence, cause.because))?;
    let shown = if verbose { cause.evidence.len() } else { FEW };
    let hidden = cause.evidence.len().saturating_sub(shown);
    for (index, line) in cause.evidence.iter().take(shown).enumerate() {
        let label = if index == 0 { "evidence" } else { "" };
        let more = if index + 1 == shown && hidden > 0 {
            format!("   ({}: --verbose)", counted(hidden, "more line"))
        } else {
            String::new()
        };
        let words = format!("{} {}  {}{more}", clock_time(line.at), line.task, plain(&line.text));
        printer.labelled(label, &words)?;
    }
    if !cause.changed.is_empty() {
        let before = cause.before.filter(|before| *before != cause.release);
        let before = before.map_or_else(String::new, |before| format!("r{before} → "));
        printer.labelled("changed", &format!("{before}r{}: {}", cause.release, cause.changed.join(", ")))?;
    }
    let fix =
        if cause.advice.is_empty() { cause.fix.clone() } else { format!("{}, then: {}", cause.advice, cause.fix) };
    // It ends with a command to be copied: it is not folded.
    printer.text(format!("fix        {fix}"))
}

/// What is said of a service of no tasks, and how it gets some.
pub(crate) fn nobody(printer: &Printer) -> String {
    format!("{NOBODY}; to change that: {}", printer.placed("gimmetime scale 2"))
}

/// `push 1 s · start 31 s · healthy 11 s · drain 15 s = 58 s (last time 61 s); r14 serves everyone after 43 s`
fn phases(report: &RolloutReport) -> String {
    let Ledger { push, start, healthy, drain, serves_everyone, .. } = report.ledger;
    let parts = [("push", push), ("start", start), ("healthy", healthy), ("drain", drain)];
    let took = parts.into_iter().filter_map(|(name, time)| Some((name, time.filter(|time| SHORTEST <= *time)?)));
    let parts: Vec<String> = took.map(|(name, time)| format!("{name} {}", span(time))).collect();
    let sum = span(report.ledger.sum());
    let sum = if parts.len() < 2 { sum } else { format!("{} = {sum}", parts.join(" · ")) };
    let last = report.last.map_or_else(String::new, |last| format!(" (last time {})", span(last.sum())));
    match serves_everyone {
        _ if report.count == 0 => format!("{sum}{last}; {NOBODY}"),
        Some(after) if report.operation != Operation::Scale => {
            let after = push.unwrap_or_default() + after;
            format!("{sum}{last}; r{} serves everyone after {}", report.to, span(after))
        }
        _ => format!("{sum}{last}; {} of {} healthy", report.count, report.count),
    }
}

/// `290 requests, 0 failed, p99 38 ms, clock within ±0.02 s`
pub(crate) fn probe(tally: &Tally) -> String {
    let clock = match (tally.clock, tally.clock_verdict) {
        (Some(interval), Some(Verdict::Ok)) => format!(", clock within {}", half_width(interval)),
        (Some(interval), Some(Verdict::Wrong)) => format!(", clock WRONG, up to {}", half_width(interval)),
        (Some(interval), _) => format!(", clock undecided within {}", half_width(interval)),
        (None, _) => String::new(),
    };
    format!("{}, p99 {}{clock}", brief(tally), latency(tally.p99))
}

fn brief(tally: &Tally) -> String {
    let unverified = match tally.unverified {
        0 => String::new(),
        n => format!(", {n} unverified (this machine's network)"),
    };
    format!("{} requests, {} failed{unverified}", count(tally.requests), tally.failed)
}

fn undo(report: &RolloutReport) -> String {
    match (report.operation, report.from) {
        (Operation::Deploy, Some(from)) if from != report.to => {
            format!("             undo: gimmetime rollback r{from}")
        }
        _ => String::new(),
    }
}

/// The stable JSON of a rollout.
pub(crate) fn as_json(report: &RolloutReport) -> Value {
    json!({
        "operation": report.operation,
        "outcome": report.outcome,
        "from": report.from,
        "release": report.to,
        "count": report.count,
        "phases": ledger_json(&report.ledger),
        "last_phases": report.last.as_ref().map(ledger_json),
        "unverified": report.is_unverified(),
        "probe": report.tally.as_ref().map(tally_json),
        "cause": report.cause,
        "waiting_for": report.waiting_for,
        "lost": report.lost,
    })
}

fn ledger_json(ledger: &Ledger) -> Value {
    let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
    json!({
        "push_seconds": seconds(ledger.push),
        "start_seconds": seconds(ledger.start),
        "healthy_seconds": seconds(ledger.healthy),
        "drain_seconds": seconds(ledger.drain),
        "serves_everyone_seconds": seconds(ledger.serves_everyone),
        "total_seconds": ledger.total.as_secs_f64(),
    })
}

fn tally_json(tally: &Tally) -> Value {
    let failures: Vec<Value> =
        tally.first_failures.iter().map(|(at, words)| json!({ "at": iso::format(*at), "error": words })).collect();
    json!({
        "requests": tally.requests,
        "failed": tally.failed,
        "unverified": tally.unverified,
        "reconnected": tally.reconnected,
        "p50_seconds": tally.p50.as_secs_f64(),
        "p99_seconds": tally.p99.as_secs_f64(),
        "max_seconds": tally.max.as_secs_f64(),
        "first_failures": failures,
        "clock_low_ns": tally.clock.map(|interval| interval.lo.as_nanos()),
        "clock_high_ns": tally.clock.map(|interval| interval.hi.as_nanos()),
        "clock": tally.clock_verdict.map(verdict_word),
    })
}

/// The line that names a release: `r13 → r14  sha256:77ab…  git 3f2c1d9  by alice`
pub(crate) fn heading(report: &RolloutReport, digest: Option<&str>, git: Option<&str>, who: &str) -> String {
    let releases = match report.from {
        Some(from) if from != report.to => format!("r{from} → r{}", report.to),
        _ => format!("r{}", report.to),
    };
    let digest = digest.map_or_else(String::new, |digest| format!("  {}", short(digest)));
    let git = git.map_or_else(String::new, |git| format!("  git {git}"));
    format!("{releases}{digest}{git}  by {who}")
}
