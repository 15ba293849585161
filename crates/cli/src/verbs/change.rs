//! What `up`, `deploy`, `rollback` and `scale` have in common: follow the change, mind whoever is busy, tell the end.

use std::time::Duration;

use gimmetime_engine::Presence;
use gimmetime_ops::{Operation, OpsError, Outcome, Place, RolloutReport, Run, attach, rollback};
use tokio::signal::unix::SignalKind;

use crate::args::Busy;
use crate::exit::{Exit, Failure};
use crate::follow::{Follow, Followed, listen};
use crate::question;
use crate::render::{Printer, rollout};
use crate::target;
use crate::verbs::{Context, said};

/// How often it is looked whether the engine that makes a change is still there.
const LOOK: Duration = Duration::from_millis(250);

/// How a change ended: its own result, or that of somebody else's rollout that was followed instead, or of the way back.
pub(crate) enum Changed<T> {
    /// It was made.
    Own(T),
    /// Another was followed instead.
    Other(Box<RolloutReport>),
}

impl Changed<RolloutReport> {
    /// The rollout that was followed to its end, whoever's it was.
    pub(crate) fn into_report(self) -> RolloutReport {
        match self {
            Self::Own(report) => report,
            Self::Other(report) => *report,
        }
    }
}

/// Makes a change and follows it. While somebody else's is in progress: attach, wait, or ask.
pub(crate) async fn make<T>(
    context: &Context,
    busy: &Busy,
    place: &Place,
    printer: &mut Printer,
    change: impl AsyncFn(Run) -> Result<T, OpsError>,
) -> Result<Changed<T>, Failure> {
    loop {
        let follow = Follow::new(&context.who);
        if context.common.detach {
            follow.detach();
        }
        let run = follow.run();
        match Box::pin(to_its_end(context, follow, change(run), printer)).await? {
            Followed::Ended(Ok(done)) => return Ok(Changed::Own(done)),
            Followed::Ended(Err(OpsError::Busy(other))) => match choose(&other, busy, printer).await? {
                Choice::Attach => {
                    let over = || Failure::unsure("it ended a moment ago").hint("gimmetime status");
                    let report = join(context, place, printer).await?.ok_or_else(over)?;
                    return Ok(Changed::Other(Box::new(report)));
                }
                Choice::Wait => {
                    let other = join(context, place, printer).await?;
                    // Who no longer waits for its end, or went back from it, does not mean to begin after it.
                    if let Some(report) = other.filter(is_left) {
                        return Ok(Changed::Other(Box::new(report)));
                    }
                }
            },
            Followed::Ended(Err(error)) => return Err(error.into()),
            Followed::RollBack { to } => {
                return back(context, place, to, printer).await.map(Box::new).map(Changed::Other);
            }
        }
    }
}

/// Whether the user left a rollout before its end, or turned back from it.
fn is_left(report: &RolloutReport) -> bool {
    report.outcome == Outcome::Detached || report.operation == Operation::Rollback
}

/// What was asked for runs; but requests that failed on the way are told by the exit code too, and if none got through, what
/// runs does not serve.
fn lost(report: &RolloutReport) -> Exit {
    match &report.tally {
        Some(tally) if 0 < tally.failed && tally.failed + tally.unverified == tally.requests => Exit::Unhealthy,
        Some(tally) if 0 < tally.failed => Exit::Failed,
        _ => Exit::Done,
    }
}

/// Shows how a rollout ended, and gives the exit code that says the same.
pub(crate) fn end(context: &Context, report: &RolloutReport, printer: &mut Printer) -> Result<Exit, Failure> {
    match report.outcome {
        Outcome::Done => {
            said(rollout::success(report, printer))?;
            Ok(lost(report))
        }
        Outcome::Detached => {
            let waiting = report.waiting_for.as_ref().map_or_else(String::new, |what| format!("; it waits for {what}"));
            if let Some(lost) = &report.lost {
                printer.note(format!("nothing more can be seen of it: {lost}"));
            }
            printer.note(format!("detached: {} goes on{waiting}", operation(report)));
            printer.note("  follow it: gimmetime status --watch");
            Ok(Exit::Unsure)
        }
        Outcome::FailedNotServing => {
            said(rollout::failure(report, context.common.verbose, printer))?;
            Ok(Exit::Unhealthy)
        }
        Outcome::RolledBack | Outcome::FailedAndOldServes | Outcome::Superseded => {
            said(rollout::failure(report, context.common.verbose, printer))?;
            Ok(Exit::Failed)
        }
    }
}

/// The exit code of an `up` that is done: what its check says, or what was lost on the way if that is worse.
pub(crate) fn brought(report: &RolloutReport, checked: Exit) -> Exit {
    match (undone(report, checked), lost(report)) {
        (_, Exit::Unhealthy) => Exit::Unhealthy,
        (Exit::Done, lost) => lost,
        (checked, _) => checked,
    }
}

/// The exit code of `up` and `deploy` where the user went back meanwhile: what was asked for does not serve.
pub(crate) fn undone(report: &RolloutReport, exit: Exit) -> Exit {
    if report.operation == Operation::Rollback && exit == Exit::Done { Exit::Failed } else { exit }
}

fn operation(report: &RolloutReport) -> String {
    match report.operation {
        Operation::Scale => format!("scaling to {} tasks", report.count),
        _ => format!("the rollout of r{}", report.to),
    }
}

enum Choice {
    Attach,
    Wait,
}

async fn choose(other: &gimmetime_ops::Busy, flags: &Busy, printer: &mut Printer) -> Result<Choice, Failure> {
    let words = other.to_string();
    let first = words.lines().next().unwrap_or_default().to_owned();
    if flags.attach {
        return Ok(Choice::Attach);
    }
    if flags.wait {
        printer.note(format!("waiting: {first}"));
        return Ok(Choice::Wait);
    }
    if printer.can_ask() {
        let mut interrupt = listen(SignalKind::interrupt())?;
        let question = format!("{first}. [a]ttach to it, [w]ait for its end, or [q]uit?");
        match question::ask(&question, &mut interrupt, printer).await.as_deref() {
            Some("a" | "attach") => return Ok(Choice::Attach),
            Some("w" | "wait") => return Ok(Choice::Wait),
            _ => {}
        }
    }
    Err(Failure::unsure(first).hint("pass --attach to follow it, or --wait to begin after it"))
}

/// Follows a change, as long as there is an engine that makes it.
async fn to_its_end<T>(
    context: &Context,
    follow: Follow,
    change: impl Future<Output = Result<T, OpsError>>,
    printer: &mut Printer,
) -> Result<Followed<T>, Failure> {
    tokio::select! {
        followed = follow.until_end(change, printer) => followed,
        failure = without_engine(context) => Err(failure),
    }
}

/// Returns once somebody took the place on this machine down. An engine that died is taken over, and the change goes on.
/// AWS does not go away.
async fn without_engine(context: &Context) -> Failure {
    if !context.settings.place.is_local() {
        return std::future::pending().await;
    }
    let home = target::home(&context.settings);
    loop {
        tokio::time::sleep(LOOK).await;
        match home.presence().map_err(target::engine_failed) {
            Ok(Presence::Running(_)) => {}
            Ok(Presence::Orphaned { .. }) => {
                if let Err(failure) = target::take_over(&context.settings, &home).await {
                    return failure;
                }
            }
            Ok(Presence::Stopped | Presence::Absent) => {
                let words = format!("`{}` was taken down meanwhile", context.settings.name);
                return Failure::unhealthy(words).hint("gimmetime up");
            }
            Err(failure) => return failure,
        }
    }
}

/// Follows the change that is in progress to its end; None if it has ended meanwhile.
async fn join(context: &Context, place: &Place, printer: &mut Printer) -> Result<Option<RolloutReport>, Failure> {
    let follow = Follow::new(&context.who);
    let run = follow.run();
    match Box::pin(to_its_end(context, follow, attach(place, &run), printer)).await? {
        Followed::Ended(report) => Ok(report?),
        Followed::RollBack { to } => Box::pin(back(context, place, to, printer)).await.map(Some),
    }
}

/// Goes back to what served before, on the user's word.
async fn back(context: &Context, place: &Place, to: u32, printer: &mut Printer) -> Result<RolloutReport, Failure> {
    let follow = Follow::new(&context.who);
    let run = follow.run();
    match Box::pin(to_its_end(context, follow, rollback(place, Some(to), &run), printer)).await? {
        Followed::Ended(report) => Ok(report?),
        Followed::RollBack { .. } => Err(Failure::unsure("interrupted; the way back goes on").hint("gimmetime status")),
    }
}

#[cfg(test)]
mod tests {
    use gimmetime_check::Tally;
    use gimmetime_ops::Ledger;

    use super::*;

    #[test]
    fn an_up_that_lost_requests_on_the_way_does_not_end_well_however_well_its_clock_is() {
        let tally = |requests, failed| {
            let mut tally = Tally::default();
            (tally.requests, tally.failed) = (requests, failed);
            tally
        };
        let report = |requests, failed| RolloutReport {
            operation: Operation::Up,
            from: Some(1),
            to: 2,
            count: 2,
            ledger: Ledger::default(),
            last: None,
            tally: Some(tally(requests, failed)),
            outcome: Outcome::Done,
            cause: None,
            waiting_for: None,
            lost: None,
        };
        let table = [
            ((10, 0), Exit::Done, Exit::Done),
            ((10, 0), Exit::Failed, Exit::Failed),
            ((10, 1), Exit::Done, Exit::Failed),
            ((10, 10), Exit::Done, Exit::Unhealthy),
            ((10, 10), Exit::Failed, Exit::Unhealthy),
        ];
        for ((requests, failed), checked, ends) in table {
            assert_eq!(brought(&report(requests, failed), checked), ends, "{failed} of {requests}, {checked:?}");
        }
    }
}
