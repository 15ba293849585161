//! `down` on this machine: tasks drained, the engine stopped, its state removed.

use gimmetime_clock::source;
use gimmetime_engine::{Home, Presence};
use serde_json::json;

use crate::exit::{Exit, Failure};
use crate::render::units::{counted, span};
use crate::render::{Printer, Tone};
use crate::target::{self, engine_failed};
use crate::verbs::{Context, said};

/// Takes everything down, whatever it is doing.
pub(super) async fn run(context: &Context, printer: &mut Printer) -> Result<Exit, Failure> {
    let home = target::home(&context.settings);
    let name = &context.settings.name;
    if matches!(home.presence().map_err(engine_failed)?, Presence::Absent) && !home.folder().exists() {
        said(printer.json(&json!({ "name": name, "removed": false, "left": 0 })))?;
        return said(printer.text(format!("nothing to delete: `{name}` is not up")));
    }
    let began = source::mono();
    let ran = matches!(home.presence().map_err(engine_failed)?, Presence::Running(_) | Presence::Orphaned { .. });
    let tasks = drain(&home, printer).await?;
    home.remove().map_err(engine_failed)?;
    said(printer.json(&json!({ "name": name, "removed": true, "tasks": tasks, "left": 0 })))?;
    let tick = printer.paint(Tone::Good, "✔");
    let tasks = counted(tasks, "task");
    let stopped = if ran { format!("{tick} {tasks} drained   {tick} engine stopped   ") } else { String::new() };
    let took = span(source::mono().since(began));
    said(printer.folded(&format!("{stopped}{tick} state removed   {took} · left: nothing"), "   "))
}

/// Stops everything in order and keeps the state, so that the next `up` goes on with the same releases.
pub(crate) async fn stop(home: &Home, printer: &mut Printer) -> Result<Exit, Failure> {
    let tasks = drain(home, printer).await?;
    printer.note(format!(
        "stopped: {} drained; the state stays in {}",
        counted(tasks, "task"),
        home.folder().display()
    ));
    Ok(Exit::Done)
}

async fn drain(home: &Home, printer: &mut Printer) -> Result<usize, Failure> {
    let mut show = |left: usize| {
        if left > 0 {
            let words = format!("stopping {}", counted(left, "task"));
            printer.progress(&words, &words);
        }
    };
    let report = home.stop(target::binary(), &mut show).await;
    printer.clear();
    report.map(|report| report.tasks).map_err(|error| engine_failed(error).hint("gimmetime down goes on with it"))
}
