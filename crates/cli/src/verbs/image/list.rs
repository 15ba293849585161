//! `image ls`: the images that can run there: in the engine's store, or in the repository of the place on AWS.

use gimmetime_aws::inventory::{StoredImage, images};
use gimmetime_clock::iso;
use gimmetime_ops::{Release, releases};
use serde_json::{Value, json};

use super::{entry_json, store};
use crate::exit::{Exit, Failure};
use crate::release::store_failed;
use crate::render::units::{bytes, day_time};
use crate::render::{Printer, Tone};
use crate::settings::Settings;
use crate::target::{Cloud, Reached, repository_name};
use crate::verbs::{Context, said};

/// Lists them.
pub(super) async fn run(context: &Context, printer: &mut Printer) -> Result<Exit, Failure> {
    if context.settings.place.is_local() {
        return here(&context.settings, printer);
    }
    match context.connect(printer).await? {
        Reached::Aws(cloud) => on_aws(&context.settings, &cloud, printer).await,
        Reached::Local(_) => unreachable!("a target on AWS is reached there"),
    }
}

/// By name.
fn here(settings: &Settings, printer: &mut Printer) -> Result<Exit, Failure> {
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

/// Newest first, with the releases that run each.
async fn on_aws(settings: &Settings, cloud: &Cloud, printer: &mut Printer) -> Result<Exit, Failure> {
    let repository = &cloud.outputs.repository_uri;
    let images = images(&cloud.session, &repository_name(settings)).await?;
    let releases = releases(&cloud.place).await?;
    let objects: Vec<Value> = images.iter().map(|image| stored_json(image, &releases)).collect();
    said(printer.json(&json!({ "repository": repository, "images": objects })))?;
    if images.is_empty() {
        printer.note(format!("no images in {repository}"));
    }
    for image in &images {
        said(printer.text(stored_line(image, &releases, printer)))?;
    }
    Ok(Exit::Done)
}

/// The releases that run an image.
fn running<'a>(image: &'a StoredImage, releases: &'a [Release]) -> impl Iterator<Item = &'a Release> {
    releases.iter().filter(|release| release.digest.as_deref() == Some(image.digest.as_str()))
}

/// `sha256:…  582.1 kB  2026-11-26 19:45  0.1.0-9bb367d87b16  r3 serving, r1`
fn stored_line(image: &StoredImage, releases: &[Release], printer: &Printer) -> String {
    let pushed = image.pushed.map_or_else(|| "-".to_owned(), day_time);
    let tags = if image.tags.is_empty() { "-".to_owned() } else { image.tags.join(" ") };
    let of = |release: &Release| {
        let serving = if release.serving { printer.paint(Tone::Good, " serving") } else { String::new() };
        format!("r{}{serving}", release.number)
    };
    let runs: Vec<String> = running(image, releases).map(of).collect();
    let line = format!("{}  {:>9}  {pushed}  {tags}  {}", image.digest, bytes(image.bytes), runs.join(", "));
    line.trim_end().to_owned()
}

fn stored_json(image: &StoredImage, releases: &[Release]) -> Value {
    json!({
        "digest": image.digest,
        "tags": image.tags,
        "size": image.bytes,
        "pushed": image.pushed.map(iso::format),
        "releases": running(image, releases).map(|release| release.number).collect::<Vec<_>>(),
        "serving": running(image, releases).any(|release| release.serving),
    })
}
