//! `down` on AWS: the service drained, the stack removed, and what is left counted.

use std::time::Duration;

use gimmetime_aws::Session;
use gimmetime_aws::inventory::{Contents, Inventory, Item, contents, inventory};
use gimmetime_aws::stack::{Destroyed, Ended, StackView, destroy, find};
use gimmetime_clock::source;
use gimmetime_ops::{DeleteReport, Releases, delete};
use serde_json::{Value, json};

use crate::exit::{Exit, Failure};
use crate::follow::{Follow, Followed};
use crate::follow_place::PlaceFollow;
use crate::render::units::{bytes, counted, span};
use crate::render::{Printer, Tone, money};
use crate::settings::AwsPlace;
use crate::target::{self, Cloud};
use crate::traffic::Traffic;
use crate::verbs::{Context, confirm, said};

/// Takes the place down, whatever state it is in. What was half removed is gone on with.
pub(super) async fn run(context: &Context, place: &AwsPlace, printer: &mut Printer) -> Result<Exit, Failure> {
    let name = &context.settings.name;
    let session = target::open(&context.settings, place, printer).await?;
    let context = &context.asked_as(&session.identity().who);
    let began = source::mono();
    let stack = find(&session, name).await?;
    stack.as_ref().map_or(Ok(()), target::must_be_ours)?;
    let before = inventory(&session, name).await?;
    if stack.is_none() && before.left.is_empty() {
        let (kept, unsure) = (items(&before.kept), &before.unsure);
        said(printer.json(&json!({ "name": name, "removed": false, "left": [], "kept": kept, "unsure": unsure })))?;
        said(printer.text(format!("nothing to delete: `{name}` is not up · {}", left(&before))))?;
        return Ok(proved(&before, printer));
    }
    refuse_protected(context, place, stack.as_ref())?;
    let (held, traffic) = tokio::join!(contents(&session, name), traffic(&session, stack.as_ref()));
    let held = held?;
    let answered = agree(context, held, stack.as_ref(), traffic.as_ref(), printer).await?;
    let deleted = drain(context, place, &session, stack.as_ref(), printer).await?;
    if 0 < deleted.left || deleted.is_draining {
        said(printer.json(&json!({ "name": name, "removed": false, "action": "detached", "service": deleted })))?;
        printer
            .note(format!("detached: the service is on its way out, {} left", counted(deleted.left as usize, "task")));
        printer.note("  go on with it: gimmetime down");
        return Ok(Exit::Unsure);
    }
    let follow = PlaceFollow::new(held.resources, &context.common);
    let run = follow.run();
    if context.common.detach {
        follow.detach();
    }
    let destroyed = match Box::pin(follow.until_end(destroy(&session, name, &run), |_| {}, printer)).await?? {
        Ended::Done(destroyed) => destroyed,
        Ended::Detached { state } => {
            let goes_on = json!({ "name": name, "removed": false, "action": "detached", "state": state.to_string() });
            said(printer.json(&goes_on))?;
            printer.note(format!("detached: the stack `{name}` is {state}, and goes on"));
            printer.note("  go on with it: gimmetime down");
            return Ok(Exit::Unsure);
        }
    };
    let after = inventory(&session, name).await?;
    said(printer.json(&as_json(name, &deleted, &destroyed, held, &after)))?;
    let took = span(source::mono().since(began.plus(answered)));
    said(printer.folded(&format!("{}   {took} · {}", done(&deleted, &destroyed, held, printer), left(&after)), "   "))?;
    for Item { kind, id } in &after.left {
        said(printer.text(format!("  left   {kind}  {id}")))?;
    }
    Ok(proved(&after, printer))
}

/// Says where nobody could look, and gives the exit code of what is left.
fn proved(inventory: &Inventory, printer: &mut Printer) -> Exit {
    for unsure in &inventory.unsure {
        printer.note(format!("could not look: {unsure}"));
    }
    if inventory.is_proof_of_absence() {
        Exit::Done
    } else if inventory.left.is_empty() {
        Exit::Unsure
    } else {
        Exit::Failed
    }
}

/// Protection is lifted on purpose, in the settings and by `up`: never by the verb that deletes.
fn refuse_protected(context: &Context, place: &AwsPlace, stack: Option<&StackView>) -> Result<(), Failure> {
    let by = if place.protect {
        "`protect = true` in the settings"
    } else if stack.is_some_and(|stack| stack.is_protected) {
        "the termination protection of its stack"
    } else {
        return Ok(());
    };
    let words = format!("`{}` is protected by {by}", context.settings.name);
    Err(Failure::unsure(words).hint("set `protect = false`, then: gimmetime up; gimmetime down"))
}

/// How many requests it serves; None if its balancer is not known any more.
async fn traffic(session: &Session, stack: Option<&StackView>) -> Option<Traffic> {
    let outputs = stack.map(target::read)?.ok()?;
    Some(Traffic::ask(session, &outputs).await)
}

/// Says what will be deleted, and how much it serves, and has the name typed. With `--yes` it must have been given: a
/// default is not a name. Returns how long the answer was waited for.
async fn agree(
    context: &Context,
    held: Contents,
    stack: Option<&StackView>,
    traffic: Option<&Traffic>,
    printer: &mut Printer,
) -> Result<Duration, Failure> {
    let name = &context.settings.name;
    let Contents { resources, images, image_bytes, log_bytes } = held;
    let state = stack.map_or_else(|| "its stack is gone already".to_owned(), |stack| format!("stack {}", stack.state));
    let (resources, images) = (counted(resources, "resource"), counted(images, "image"));
    let (images_in, logs_in) = (bytes(image_bytes), bytes(log_bytes));
    let served = traffic.map_or_else(String::new, |traffic| format!("; {}", traffic.warning()));
    let words = format!("deletes {resources}, {images} ({images_in}) and {logs_in} of logs; {state}{served}");
    printer.note_folded(&words, "; ");
    match (context.common.yes, &context.common.name) {
        (true, Some(_)) => Ok(Duration::ZERO),
        (true, None) => Err(Failure::unsure(format!("`--yes` alone deletes nothing: its name is `{name}`"))
            .hint(format!("pass --yes --name {name}"))),
        (false, _) => confirm::name(name, printer).await,
    }
}

/// Deletes the service, if there is a place left that can be asked for it.
async fn drain(
    context: &Context,
    place: &AwsPlace,
    session: &Session,
    stack: Option<&StackView>,
    printer: &mut Printer,
) -> Result<DeleteReport, Failure> {
    let settings = &context.settings;
    let spec = target::aws_spec(settings, place, session.region());
    let outputs = stack.map(target::read).and_then(Result::ok);
    // A stack that is not whole tells nothing, but its cluster bears the place's name.
    let outputs = outputs.unwrap_or_else(|| target::outputs_by_name(settings));
    let cloud = Cloud::new(settings, &context.common, session.clone(), spec, outputs)?;
    let follow = Follow::new(&context.who);
    let run = follow.run();
    match Box::pin(follow.until_end(delete(&cloud.place, Releases::Delete, &run), printer)).await? {
        Followed::Ended(report) => Ok(report?),
        Followed::RollBack { .. } => Err(Failure::unsure("interrupted; the deletion goes on").hint("gimmetime down")),
    }
}

/// `✔ drained ✔ stack gone ✔ 14 images`
fn done(deleted: &DeleteReport, destroyed: &Destroyed, held: Contents, printer: &Printer) -> String {
    let tick = printer.paint(Tone::Good, "✔");
    let mut words = Vec::new();
    if deleted.service {
        words.push(format!("{tick} {} drained", counted(deleted.tasks, "task")));
    }
    if destroyed.was_there {
        words.push(format!("{tick} stack gone"));
    }
    if 0 < held.images {
        words.push(format!("{tick} {}", counted(held.images, "image")));
    }
    words.join("   ")
}

/// `left: 0 resources, $0.00/h · kept on purpose: 2 service-linked roles`
fn left(inventory: &Inventory) -> String {
    let costs = if inventory.is_proof_of_absence() { format!(", {}", money::hourly(0.0)) } else { String::new() };
    let mut kept: Vec<(&str, usize)> = Vec::new();
    for item in &inventory.kept {
        match kept.iter_mut().find(|(kind, _)| *kind == item.kind) {
            Some((_, n)) => *n += 1,
            None => kept.push((item.kind, 1)),
        }
    }
    let kept: Vec<String> = kept.into_iter().map(|(kind, n)| counted(n, kind)).collect();
    let kept = if kept.is_empty() { String::new() } else { format!(" · kept on purpose: {}", kept.join(", ")) };
    format!("left: {}{costs}{kept}", counted(inventory.left.len(), "resource"))
}

fn items(items: &[Item]) -> Vec<Value> {
    items.iter().map(|Item { kind, id }| json!({ "kind": kind, "id": id })).collect()
}

fn as_json(name: &str, deleted: &DeleteReport, destroyed: &Destroyed, held: Contents, after: &Inventory) -> Value {
    json!({
        "name": name,
        "removed": true,
        "service": deleted,
        "stack": destroyed.was_there,
        "resources": destroyed.resources,
        "images": held.images,
        "seconds": destroyed.took.as_secs_f64(),
        "left": items(&after.left),
        "kept": items(&after.kept),
        "unsure": after.unsure,
    })
}
