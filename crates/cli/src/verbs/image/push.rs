//! `image push`: tries an image, then brings it to a registry.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gimmetime_image::{Image, Reference};
use gimmetime_registry::{
    Access, Attached, Event, Interrupt, Outcome, Receipt, Registry, RegistryError, Stage, TagState,
};
use serde_json::json;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::args::Push;
use super::{Chosen, choose, reach, registry_failed, try_first};
use crate::exit::{Exit, Failure};
use crate::follow::unless_interrupted;
use crate::release::store_failed;
use crate::render::progress::short;
use crate::render::units::{bytes, counted, span};
use crate::render::{Printer, Tone};
use crate::settings::Settings;
use crate::smoke::Passed;
use crate::verbs::{Context, said};

/// What the attached bill of materials is.
const SBOM_TYPE: &str = "application/vnd.cyclonedx+json";

/// Pushes, and prints the receipt.
pub(super) async fn run(args: &Push, context: &Context, printer: &mut Printer) -> Result<Exit, Failure> {
    let settings = &context.settings;
    let access = reach::typed(&args.reach, &args.reference, context)?;
    let chosen = choose(args.path.as_deref(), settings)?;
    let interrupt = access.interrupt.clone();
    let order = Arc::new(Order::of(args, &chosen, access)?);
    let is_there = order.clone().is_there().await?;
    let tried = if is_there || args.no_smoke { None } else { Some(try_chosen(&chosen, settings).await?) };
    if let Some(passed) = &tried {
        let tick = printer.paint(Tone::Good, "✔");
        said(printer.text(format!("{tick} {passed}")))?;
    }
    let receipt = order.carry_out(&interrupt, printer).await?;
    let mut told = serde_json::to_value(&receipt).expect("a receipt is strings and numbers");
    told["tried"] = json!(tried.map(|tried| json!({ "how": tried.how, "ms": tried.took.as_secs_f64() * 1e3 })));
    said(printer.json(&told))?;
    show(&args.reference, &receipt, printer)
}

async fn try_chosen(chosen: &Chosen, settings: &Settings) -> Result<Passed, Failure> {
    let program = chosen.layout.executable(&chosen.entry.digest).map_err(|error| store_failed(&error))?;
    try_first(&program, settings).await
}

/// What is pushed where.
struct Order {
    registry: Registry,
    image: Image,
    tags: Vec<String>,
    attached: Option<Attached>,
}

impl Order {
    fn of(args: &Push, chosen: &Chosen, access: Access) -> Result<Self, Failure> {
        let digest = &chosen.entry.digest;
        if let Some(wanted) = args.reference.digest.as_ref().filter(|wanted| *wanted != digest) {
            let words = format!("{} names {}, but the image is {}", args.reference, wanted.short(), digest.short());
            return Err(Failure::unsure(words).hint("name it by a tag, or see: gimmetime image ls"));
        }
        let image = chosen.layout.image(digest).map_err(|error| store_failed(&error))?;
        let mut tags: Vec<String> = args.reference.tag.iter().chain(&args.tags).cloned().collect();
        tags.sort();
        tags.dedup();
        let attached = if args.sbom { Some(attachment(chosen)?) } else { None };
        let by_digest = Reference { tag: None, digest: Some(digest.clone()), ..args.reference.clone() };
        let registry = Registry::open(&by_digest, access).map_err(|error| registry_failed(&error, Exit::Failed))?;
        Ok(Self { registry: registry.to_push(), image, tags, attached })
    }

    /// Whether the registry has the image, whatever its tags: then it was tried before. Also learns, before anything else
    /// is done, that the registry cannot be reached or does not accept the credentials.
    async fn is_there(self: Arc<Self>) -> Result<bool, Failure> {
        let look = in_background(move || self.registry.head(&|_| {}));
        match unless_interrupted(look, "interrupted before anything was pushed").await?? {
            Ok(found) => Ok(found.is_some()),
            // Those who may push need not be allowed to look.
            Err(RegistryError::Denied { .. } | RegistryError::RepositoryMissing { .. }) => Ok(false),
            Err(error) => Err(registry_failed(&error, Exit::Failed)),
        }
    }

    /// Pushes, and shows how it goes. An interrupt ends it before its next request.
    async fn carry_out(self: Arc<Self>, interrupt: &Interrupt, printer: &mut Printer) -> Result<Receipt, Failure> {
        let (sender, events) = unbounded_channel();
        let push = in_background(move || {
            // Nobody who watches is no reason to fail.
            let tell = |event| drop(sender.send(event));
            self.registry.push(&self.image, &self.tags, self.attached.as_ref(), &tell)
        });
        let watched = async { tokio::join!(push, watch(events, printer)).0 };
        let left = "interrupted; the same command goes on with what is there";
        let receipt = unless_interrupted(watched, left).await.inspect_err(|_| interrupt.raise())??;
        receipt.map_err(|error| registry_failed(&error, Exit::Failed))
    }
}

/// What is in the image, to be found beside it.
fn attachment(chosen: &Chosen) -> Result<Attached, Failure> {
    let (_, bytes) = chosen.sbom()?;
    Ok(Attached { media_type: SBOM_TYPE.to_owned(), bytes, annotations: BTreeMap::new() })
}

/// Runs what waits for the network, away from the one thread that hears signals.
async fn in_background<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Failure::failed(format!("the push ended early: {error}")))
}

async fn watch(mut events: UnboundedReceiver<Event>, printer: &mut Printer) {
    while let Some(event) = events.recv().await {
        match event {
            Event::Sending { digest, bytes: size } => {
                printer.progress(&format!("sending {} {}", short(digest.as_str()), bytes(size)), "");
            }
            Event::Waiting { cause, wait, next_try, .. } => {
                printer.note(format!("  {cause}; try {next_try} in {}", span(wait)));
            }
            Event::Skipped { .. } | Event::Stored { .. } | Event::Tagged { .. } => {}
        }
    }
    printer.clear();
}

fn show(reference: &Reference, receipt: &Receipt, printer: &mut Printer) -> Result<Exit, Failure> {
    let tick = printer.paint(Tone::Good, "✔");
    let digest = short(receipt.digest.as_str());
    let requests = counted(receipt.requests.len(), "request");
    let took = span(Duration::from_secs_f64(receipt.ms / 1e3));
    let line = if receipt.is_unchanged() {
        format!("{tick} there already {reference} {digest}  {requests}   {took}")
    } else {
        let is_sent = |stage, outcome| stage == Stage::PutBlob && outcome == Outcome::Stored;
        let blobs = receipt.requests.iter().filter(|request| is_sent(request.stage, request.outcome));
        let blobs = counted(blobs.count(), "blob");
        let size = bytes(receipt.bytes_sent);
        format!("{tick} pushed {reference} {digest}  {blobs}, {size}, {requests}   {took}")
    };
    said(printer.text(line))?;
    let mut exit = Exit::Done;
    for tag in &receipt.tags {
        if let TagState::Moved { to } = &tag.state {
            let cross = printer.paint(Tone::Bad, "✘");
            let words =
                format!("{cross} tag {} names {} now: somebody else pushed it too", tag.tag, short(to.as_str()));
            said(printer.text(words))?;
            exit = Exit::Failed;
        }
    }
    Ok(exit)
}
