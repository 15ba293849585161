//! `image ls`: the images in the engine's store.

use serde_json::json;

use super::{entry_json, store};
use crate::exit::{Exit, Failure};
use crate::release::store_failed;
use crate::render::Printer;
use crate::render::units::bytes;
use crate::settings::Settings;
use crate::verbs::said;

/// Lists them, by name.
pub(super) fn run(settings: &Settings, printer: &mut Printer) -> Result<Exit, Failure> {
    let mut entries = store(settings)?.list().map_err(|error| store_failed(&error))?;
    entries.sort_by(|a, b| a.reference.cmp(&b.reference));
    said(printer.json(&json!({ "images": entries.iter().map(entry_json).collect::<Vec<_>>() })))?;
    if entries.is_empty() {
        printer.note("no images yet: `gimmetime image build` makes one");
    }
    for entry in entries {
        let line = format!("{}  {:>9}  {}", entry.digest, bytes(entry.size), entry.reference.as_deref().unwrap_or("-"));
        said(printer.text(line))?;
    }
    Ok(Exit::Done)
}
