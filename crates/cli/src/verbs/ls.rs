//! `ls`: every service in reach of this target: below the state folder, or in the account and region.

use gimmetime_aws::inventory::{PlaceSummary, list};
use gimmetime_clock::iso;
use gimmetime_engine::{Home, Presence};
use serde_json::{Value, json};

use crate::exit::{Exit, Failure};
use crate::render::units::day_time;
use crate::render::{Printer, Tone};
use crate::settings::{AwsPlace, Place};
use crate::target::{self, engine_failed};
use crate::verbs::{Context, said};

/// Lists them.
pub(crate) async fn run(context: &Context, printer: &mut Printer) -> Result<Exit, Failure> {
    match &context.settings.place {
        Place::Local { .. } => here(context, printer),
        Place::Aws(place) => on_aws(context, place, printer).await,
    }
}

async fn on_aws(context: &Context, place: &AwsPlace, printer: &mut Printer) -> Result<Exit, Failure> {
    let session = target::open(&context.settings, place, printer).await?;
    let places = list(&session).await?;
    let objects: Vec<Value> = places.iter().map(summary_json).collect();
    said(printer.json(&json!({ "services": objects })))?;
    if places.is_empty() {
        printer.note(format!("nothing is up in {}", session.region()));
    }
    for PlaceSummary { name, state, owner, created, .. } in &places {
        let tone = if state.is_whole() { Tone::Good } else { Tone::Warn };
        let owner = owner.as_ref().map_or_else(String::new, |owner| format!("   by {owner}"));
        let created = created.map_or_else(String::new, |created| format!("   since {}", day_time(created)));
        said(printer.text(format!("{name:<20} {}{owner}{created}", printer.paint(tone, state))))?;
    }
    Ok(Exit::Done)
}

fn summary_json(place: &PlaceSummary) -> Value {
    json!({
        "name": place.name,
        "state": place.state.to_string(),
        "owner": place.owner,
        "place": place.place,
        "created": place.created.map(iso::format),
        "updated": place.updated.map(iso::format),
        "tags": place.tags,
    })
}

fn here(context: &Context, printer: &mut Printer) -> Result<Exit, Failure> {
    let root = &context.settings.state_root;
    let places = Home::list(root).map_err(engine_failed)?;
    let objects: Vec<Value> = places.iter().map(|(name, presence)| as_json(name, presence)).collect();
    said(printer.json(&json!({ "services": objects })))?;
    if places.is_empty() {
        printer.note(format!("nothing is up below {}", root.display()));
    }
    for (name, presence) in &places {
        let words = match presence {
            Presence::Running(endpoint) => {
                let sign = printer.paint(Tone::Good, "running");
                format!("{sign}   http://{}   engine pid {}", endpoint.listen, endpoint.pid)
            }
            Presence::Orphaned { tasks, .. } => {
                let sign = printer.paint(Tone::Warn, "orphaned");
                format!("{sign}  {} tasks serve on without an engine: gimmetime up --name {name}", tasks.len())
            }
            Presence::Stopped | Presence::Absent => printer.paint(Tone::Dim, "stopped"),
        };
        said(printer.text(format!("{name:<20} {words}")))?;
    }
    Ok(Exit::Done)
}

fn as_json(name: &str, presence: &Presence) -> Value {
    match presence {
        Presence::Running(endpoint) => json!({
            "name": name, "state": "running", "listen": endpoint.listen, "pid": endpoint.pid, "api": endpoint.url,
        }),
        Presence::Orphaned { tasks, plane } => {
            json!({ "name": name, "state": "orphaned", "tasks": tasks.len(), "data_plane": plane })
        }
        Presence::Stopped | Presence::Absent => json!({ "name": name, "state": "stopped" }),
    }
}
