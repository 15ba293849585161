//! `image build`: an executable becomes an image, named by its digest.

use gimmetime_image::Layout;
use serde_json::json;

use super::args::Build;
use super::{choose_in, entry_json, not_written, store};
use crate::exit::{Exit, Failure};
use crate::release::store_failed;
use crate::render::Printer;
use crate::settings::Settings;
use crate::verbs::said;

/// Builds, and prints the digest.
pub(super) fn run(args: &Build, settings: &Settings, printer: &mut Printer) -> Result<Exit, Failure> {
    let layout = match &args.to {
        Some(folder) => Layout::create(folder).map_err(|error| store_failed(&error))?,
        None => store(settings)?,
    };
    let chosen = choose_in(layout, args.path.as_deref(), settings)?;
    let (sbom, document) = chosen.sbom()?;
    if let Some(file) = &args.sbom {
        std::fs::write(file, document).map_err(|error| not_written(file, &error))?;
    }
    let mut told = entry_json(&chosen.entry);
    told["sbom"] = json!({ "digest": sbom, "format": "CycloneDX 1.5", "file": args.sbom });
    said(printer.json(&told))?;
    said(printer.text(&chosen.entry.digest))
}
