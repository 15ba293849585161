//! `image`: what the engine runs, as OCI images named by digest.

use gimmetime_image::Layout;
use serde_json::json;

use crate::args::Image;
use crate::exit::{Exit, Failure};
use crate::release::{not_packed, spec, store_failed};
use crate::render::Printer;
use crate::render::units::bytes;
use crate::settings::{ImageSource, Settings};
use crate::target::home;
use crate::verbs::said;

/// Builds or lists.
pub(crate) fn run(image: &Image, settings: &Settings, printer: &mut Printer) -> Result<Exit, Failure> {
    match image {
        Image::Build { path, to } => {
            let source = path.as_deref().map_or_else(|| settings.service.image.clone(), ImageSource::parse);
            let layout = match to {
                Some(folder) => Layout::create(folder).map_err(|error| store_failed(&error))?,
                None => store(settings)?,
            };
            let (spec, _) = spec(&source, settings.service.port)?;
            let entry = layout.add_or_find(&spec).map_err(|error| not_packed(&source, &error))?;
            said(printer.json(&entry))?;
            said(printer.text(&entry.digest))
        }
        Image::Ls => list(settings, printer),
    }
}

fn list(settings: &Settings, printer: &mut Printer) -> Result<Exit, Failure> {
    let mut entries = store(settings)?.list().map_err(|error| store_failed(&error))?;
    entries.sort_by(|a, b| a.reference.cmp(&b.reference));
    said(printer.json(&json!({ "images": entries })))?;
    if entries.is_empty() {
        printer.note("no images yet: `gimmetime image build` makes one");
    }
    for entry in entries {
        let line = format!("{}  {:>9}  {}", entry.digest, bytes(entry.size), entry.reference.as_deref().unwrap_or("-"));
        said(printer.text(line))?;
    }
    Ok(Exit::Done)
}

fn store(settings: &Settings) -> Result<Layout, Failure> {
    home(settings).layout().map_err(|error| Failure::failed(error.to_string()))
}
