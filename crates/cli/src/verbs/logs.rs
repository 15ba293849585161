//! `logs`: the output of all tasks, merged in time order.

use std::time::Duration;

use gimmetime_clock::{iso, source};
use gimmetime_engine::Presence;
use gimmetime_ops::{LogLine, LogQuery, cancellation, follow, logs};
use serde_json::json;
use tokio::sync::mpsc::unbounded_channel;

use crate::args::Logs;
use crate::exit::{Exit, Failure};
use crate::render::units::clock_time;
use crate::render::words::plain;
use crate::render::{Printer, Tone};
use crate::target;
use crate::verbs::{Context, heard};

/// How often a follower looks whether there is still anybody to follow.
const LOOK: Duration = Duration::from_secs(1);

/// Shows lines, and goes on as they come with `-f`.
pub(crate) async fn run(context: &Context, args: &Logs, printer: &mut Printer) -> Result<Exit, Failure> {
    let reached = context.connect(printer).await?;
    let since = args.since.map(|since| source::wall().minus(since));
    let query = LogQuery { since, task: args.task.clone() };
    if !args.follow {
        for line in logs(reached.place(), &query).await? {
            show(&line, printer)?;
        }
        return Ok(Exit::Done);
    }
    let (sender, mut lines) = unbounded_channel();
    let (canceller, cancel) = cancellation();
    let mut following = std::pin::pin!(follow(reached.place(), &query, &sender, &cancel));
    let mut look = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            biased;
            Some(line) = lines.recv() => drop(show(&line, printer)?),
            ended = &mut following => return Ok(ended.map(|()| Exit::Done)?),
            _ = tokio::signal::ctrl_c() => canceller.cancel(),
            _ = look.tick() => if !runs(context) {
                printer.note("the engine is gone; nothing more comes");
                canceller.cancel();
            },
        }
    }
}

/// Whether there is still anybody to follow. AWS does not go away.
fn runs(context: &Context) -> bool {
    !context.settings.place.is_local() || matches!(target::home(&context.settings).presence(), Ok(Presence::Running(_)))
}

/// `10:07:00.123 4f2a91bc0d3e  the line`; as JSON, one object a line.
fn show(line: &LogLine, printer: &mut Printer) -> Result<Exit, Failure> {
    if printer.is_json() {
        let object = json!({ "at": iso::format(line.at), "task": line.task, "id": line.id, "text": line.text });
        return heard(printer.data(object));
    }
    let short = line.task.get(..12).unwrap_or(&line.task);
    let head = printer.paint(Tone::Dim, format!("{} {short}", clock_time(line.at)));
    heard(printer.data(format!("{head}  {}", plain(&line.text))))
}
