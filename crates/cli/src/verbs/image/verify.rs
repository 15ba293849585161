//! `image verify`: whether a registry has exactly the image that is built here.

use gimmetime_image::{Image, build};
use gimmetime_registry::{Difference, Registry, Verification};
use serde_json::{Value, json};

use super::args::Verify;
use super::{choose, reach, registry_failed};
use crate::exit::{Exit, Failure};
use crate::follow::unless_interrupted;
use crate::release::{not_packed, spec, store_failed};
use crate::render::progress::short;
use crate::render::{Printer, Tone};
use crate::settings::{ImageSource, Settings};
use crate::verbs::{Context, said};

/// Compares: 0 the same, 1 different, 2 could not tell.
pub(super) async fn run(args: &Verify, context: &Context, printer: &mut Printer) -> Result<Exit, Failure> {
    let settings = &context.settings;
    let access = reach::typed(&args.reach, &args.reference, context)?;
    let source = args.path.as_deref().map_or_else(|| settings.service.image.clone(), ImageSource::parse);
    let image = image(args.path.as_deref(), &source, settings)?;
    let digest = image.digest().clone();
    let reference = args.reference.clone();
    let compare = tokio::task::spawn_blocking(move || Registry::open(&reference, access)?.verify(&image, &|_| {}));
    let compared = unless_interrupted(compare, "interrupted before it could tell").await?;
    let compared = compared.map_err(|error| Failure::unsure(format!("the comparison ended early: {error}")))?;
    match compared.map_err(|error| registry_failed(&error, Exit::Unsure))? {
        Verification::Same => {
            said(printer.json(&told("same", digest.as_str(), digest.as_str(), None)))?;
            let tick = printer.paint(Tone::Good, "✔");
            said(printer.text(format!("{tick} same  {} {}", args.reference, short(digest.as_str()))))
        }
        Verification::Differs { local, remote, first } => {
            said(printer.json(&told("different", local.as_str(), remote.as_str(), Some(&first))))?;
            let cross = printer.paint(Tone::Bad, "✘");
            said(printer.text(format!("{cross} differs: {first}")))?;
            let (here, there) = (short(local.as_str()), short(remote.as_str()));
            said(printer.text(format!("  here {here}, {} {there}", args.reference)))?;
            if source == ImageSource::Builtin && matches!(first, Difference::Entry { .. }) {
                printer.note("  (the built-in service has one digest per version, Rust toolchain and C library)");
            }
            Ok(Exit::Failed)
        }
    }
}

/// Built anew, not taken from the store: that is the proof.
fn image(named: Option<&str>, source: &ImageSource, settings: &Settings) -> Result<Image, Failure> {
    if let ImageSource::Digest(_) = source {
        let chosen = choose(named, settings)?;
        return chosen.layout.image(&chosen.entry.digest).map_err(|error| store_failed(&error));
    }
    let (spec, _) = spec(source, settings.service.port)?;
    build(&spec).map_err(|error| not_packed(source, &error.into()))
}

fn told(verdict: &str, local: &str, remote: &str, first: Option<&Difference>) -> Value {
    json!({ "verdict": verdict, "local": local, "remote": remote, "difference": first.map(ToString::to_string) })
}
