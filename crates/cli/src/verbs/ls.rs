//! `ls`: every place below the state folder.

use gimmetime_engine::{Home, Presence};
use serde_json::{Value, json};

use crate::exit::{Exit, Failure};
use crate::render::{Printer, Tone};
use crate::target::engine_failed;
use crate::verbs::{Context, said};

/// Lists them.
pub(crate) fn run(context: &Context, printer: &mut Printer) -> Result<Exit, Failure> {
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
