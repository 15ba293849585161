//! The push of an image: look at its tags, store its blobs in parallel, its manifest by digest, what is attached, its tags.
//!
//! In this order whatever exists is complete: an interrupted push leaves blobs that nothing names, never a tag that cannot be
//! pulled.

use std::thread;

use gimmetime_clock::source;
use gimmetime_image::{Digest, Image};

use crate::attach::Artifact;
use crate::error::RegistryError;
use crate::event::Event;
use crate::manifest::{self, Lookup, MANIFEST, Put};
use crate::receipt::{AttachedReceipt, Listed, Receipt, Tag, TagState};
use crate::run::{Run, millis};
use crate::upload::{Payload, upload};

/// Blobs that are sent at the same time; more only share the line.
const MAX_PARALLEL: usize = 4;

/// Pushes `image`, names it by `tags`, and attaches `artifact`.
pub(crate) fn push(
    run: Run<'_>,
    image: &Image,
    tags: &[String],
    artifact: Option<&Artifact>,
) -> Result<Receipt, RegistryError> {
    let started = source::mono();
    let digest = image.digest();
    let before = look(&run, tags, digest)?;
    let is_there = before.contains(&Lookup::Found(digest.clone()));
    let is_attached = artifact.map_or(Ok(true), |artifact| artifact.is_there(&run))?;

    let blobs = image.layers().iter().chain([image.config()]);
    let image_payloads = blobs.map(|blob| Payload { digest: &blob.digest, bytes: &blob.bytes });
    let mut payloads: Vec<Payload<'_>> = image_payloads.filter(|_| !is_there).collect();
    payloads.extend(artifact.iter().filter(|_| !is_attached).flat_map(|artifact| artifact.payloads()));
    let mut bytes_sent = upload_all(&run, &payloads)?;
    if is_there {
        run.tell(Event::Skipped { digest: digest.clone() });
    } else {
        bytes_sent += manifest::put_by_digest(&run, &image.manifest().bytes, digest)?.0;
    }
    let attached = artifact.map(|artifact| attach(&run, artifact, is_attached, &mut bytes_sent)).transpose()?;
    let mut states = Vec::new();
    for (tag, before) in tags.iter().zip(&before) {
        let state = name(&run, image, tag, before, &mut bytes_sent)?;
        states.push(Tag { tag: tag.clone(), state });
    }
    let endpoint = run.endpoint();
    Ok(Receipt {
        reference: format!("{}/{}@{digest}", endpoint.registry, endpoint.repository),
        digest: digest.clone(),
        tags: states,
        attached,
        requests: run.into_requests(),
        bytes_sent,
        ms: millis(source::mono().since(started)),
    })
}

/// What each tag names; the digest alone if there are no tags.
fn look(run: &Run<'_>, tags: &[String], digest: &Digest) -> Result<Vec<Lookup>, RegistryError> {
    if tags.is_empty() {
        return Ok(vec![manifest::head(run, digest.as_str())?]);
    }
    tags.iter().map(|tag| manifest::head(run, tag)).collect()
}

/// Stores all blobs, some at the same time; the bytes that were stored.
fn upload_all(run: &Run<'_>, payloads: &[Payload<'_>]) -> Result<u64, RegistryError> {
    let mut sent = 0;
    for some in payloads.chunks(MAX_PARALLEL) {
        // All of them end before an error is told: none goes on behind the caller's back.
        let results: Vec<Result<u64, RegistryError>> = thread::scope(|scope| {
            let threads: Vec<_> = some.iter().map(|&payload| scope.spawn(move || upload(run, payload))).collect();
            threads.into_iter().map(|thread| thread.join().expect("an upload does not panic")).collect()
        });
        for result in results {
            sent += result?;
        }
    }
    Ok(sent)
}

fn attach(
    run: &Run<'_>,
    artifact: &Artifact,
    is_attached: bool,
    bytes_sent: &mut u64,
) -> Result<AttachedReceipt, RegistryError> {
    if is_attached {
        return Ok(artifact.receipt(Listed::Before));
    }
    let (receipt, bytes) = artifact.push(run)?;
    *bytes_sent += bytes;
    Ok(receipt)
}

/// Makes `tag` name the image, and looks whether it does.
fn name(
    run: &Run<'_>,
    image: &Image,
    tag: &str,
    before: &Lookup,
    bytes_sent: &mut u64,
) -> Result<TagState, RegistryError> {
    let (digest, bytes) = (image.digest(), &image.manifest().bytes);
    if *before == Lookup::Found(digest.clone()) {
        return Ok(TagState::Unchanged);
    }
    match manifest::put(run, tag, MANIFEST, bytes, digest)? {
        Put::Stored { .. } => *bytes_sent += bytes.len() as u64,
        Put::WasThere => return Ok(TagState::Unchanged),
        Put::Immutable { remote } => {
            return Err(RegistryError::TagImmutable { tag: tag.to_owned(), remote, local: digest.clone() });
        }
    }
    run.tell(Event::Tagged { tag: tag.to_owned() });
    Ok(match manifest::head(run, tag)? {
        Lookup::Found(found) if found == *digest => TagState::Pushed,
        Lookup::Found(to) => TagState::Moved { to },
        Lookup::Absent | Lookup::Unknown => TagState::Unverified,
    })
}
