//! `image save`: an image as one file.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;

use gimmetime_image::Image;
use serde_json::json;

use super::args::Save;
use super::{choose, not_written};
use crate::exit::{Exit, Failure};
use crate::release::store_failed;
use crate::render::progress::short;
use crate::render::units::bytes;
use crate::render::{Printer, Tone};
use crate::settings::Settings;
use crate::verbs::said;

/// Writes the archive, whole or not at all.
pub(super) fn run(args: &Save, settings: &Settings, printer: &mut Printer) -> Result<Exit, Failure> {
    let file = &args.file;
    let to_stdout = file == Path::new("-");
    if to_stdout && (io::stdout().is_terminal() || printer.is_json()) {
        let words = "standard output is taken: an archive is not for a terminal, nor for `-o json`";
        return Err(Failure::unsure(words).hint("name a file, or pipe it: gimmetime image save - | docker load"));
    }
    // To take the place of a device or a pipe would destroy it.
    if !to_stdout && file.metadata().is_ok_and(|found| !found.is_file()) {
        let words = format!("{} is no regular file, which a new one could take the place of", file.display());
        return Err(Failure::unsure(words).hint("gimmetime image save - writes to standard output"));
    }
    let chosen = choose(args.path.as_deref(), settings)?;
    let entry = &chosen.entry;
    let image = chosen.layout.image(&entry.digest).map_err(|error| store_failed(&error))?;
    if to_stdout {
        return stream(&image, entry.reference.as_deref());
    }
    image.save(entry.reference.as_deref(), file).map_err(|error| store_failed(&error))?;
    let size = file.metadata().map_err(|error| not_written(file, &error))?.len();
    let digest = &entry.digest;
    said(printer.json(&json!({ "file": file, "size": size, "digest": digest, "reference": entry.reference })))?;
    let tick = printer.paint(Tone::Good, "✔");
    let name = entry.reference.as_deref().unwrap_or("image");
    said(printer.text(format!("{tick} saved {}  {name} {}  {}", file.display(), short(digest.as_str()), bytes(size))))
}

fn stream(image: &Image, reference: Option<&str>) -> Result<Exit, Failure> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let written = image.write_archive(reference, &mut out).and_then(|()| out.flush());
    // Unlike with text, whoever left early has not read enough.
    written.map(|()| Exit::Done).map_err(|error| not_written(Path::new("standard output"), &error))
}
