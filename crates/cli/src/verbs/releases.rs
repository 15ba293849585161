//! `releases`: the ledger, newest first.

use gimmetime_ops::{ReleaseOutcome, releases};
use serde_json::json;

use crate::exit::{Exit, Failure};
use crate::render::progress::short;
use crate::render::units::day_time;
use crate::render::{Printer, Tone};
use crate::verbs::{Context, said};

/// Lists them.
pub(crate) async fn run(context: &Context, printer: &mut Printer) -> Result<Exit, Failure> {
    let reached = context.connect(printer).await?;
    let releases = releases(reached.place()).await?;
    said(printer.json(&json!({ "releases": releases })))?;
    for release in &releases {
        let outcome = match release.outcome {
            ReleaseOutcome::Succeeded => printer.paint(Tone::Good, "✔ succeeded  "),
            ReleaseOutcome::RolledBack => printer.paint(Tone::Bad, "✘ rolled back"),
            ReleaseOutcome::Failed => printer.paint(Tone::Bad, "✘ failed     "),
            ReleaseOutcome::InProgress => "… in progress".to_owned(),
            ReleaseOutcome::Stopped => "- stopped    ".to_owned(),
            ReleaseOutcome::Unknown => "  unknown    ".to_owned(),
        };
        let line = format!(
            "{:>4}  {}  {:<18} {:<9} {outcome}  by {}{}{}{}",
            format!("r{}", release.number),
            release.at.map_or_else(|| "-".to_owned(), day_time),
            release.digest.as_deref().map_or_else(|| "-".to_owned(), short),
            release.version.as_deref().unwrap_or("-"),
            release.who.as_deref().unwrap_or("-"),
            release.git.as_ref().map_or_else(String::new, |git| format!("  git {git}")),
            release.cause.as_ref().map_or_else(String::new, |cause| format!("  {cause}")),
            if release.serving { "  serving" } else { "" },
        );
        said(printer.text(line))?;
    }
    Ok(Exit::Done)
}
