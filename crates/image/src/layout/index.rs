//! The index of a layout, as a value: put an image in, find one.
//!
//! Pure. Keeps every entry and every annotation that it does not know.

use std::path::Path;

use crate::digest::is_lower_hex;
use crate::layout::LayoutError;
use crate::manifest::{Descriptor, Index, annotation};
use crate::reference::{LOCALHOST, Reference, ReferenceError};

/// Fewest digits of a digest that name an image.
const MIN_PREFIX: usize = 4;
/// Most images that an error lists.
const MAX_LISTED: usize = 8;

/// The name as the index has it: `localhost/` is left out.
pub(super) fn reference_name(text: &str) -> Result<String, ReferenceError> {
    let short = without_localhost(text);
    if text.contains('@') {
        return Err(ReferenceError::Pinned { text: text.to_owned() });
    }
    let full = text.parse::<Reference>();
    if matches!(full, Err(ReferenceError::NoHost { .. })) {
        format!("{LOCALHOST}/{short}").parse::<Reference>()?;
    } else {
        full?;
    }
    Ok(short.to_owned())
}

/// `entry` under the name `reference`.
pub(super) fn named(mut entry: Descriptor, reference: &str) -> Descriptor {
    let annotations = entry.annotations.get_or_insert_default();
    annotations.insert(annotation::REF_NAME.to_owned(), reference.to_owned());
    entry
}

/// `index` with `entry` under the name `reference`, which another image loses. Equal to `index` if it was so.
pub(super) fn put(index: &Index, entry: &Descriptor, reference: &str) -> Index {
    let mut index = index.clone();
    let wanted = named(entry.clone(), reference);
    for other in index.manifests.iter_mut().filter(|other| other.digest != wanted.digest) {
        if other.annotation(annotation::REF_NAME) == Some(reference) {
            other.annotations.get_or_insert_default().remove(annotation::REF_NAME);
        }
    }
    // Its own entry, else one that lost its name.
    let called = |name: Option<&str>| {
        let same = |other: &Descriptor| other.digest == wanted.digest && other.annotation(annotation::REF_NAME) == name;
        index.manifests.iter().position(same)
    };
    match called(Some(reference)).or_else(|| called(None)) {
        Some(at) => {
            let present = &mut index.manifests[at];
            present.annotations.get_or_insert_default().extend(wanted.annotations.unwrap_or_default());
        }
        None => index.manifests.push(wanted),
    }
    index
}

/// The entry that `name` means.
pub(super) fn find<'a>(index: &'a Index, name: &str, dir: &Path) -> Result<&'a Descriptor, LayoutError> {
    let wanted = without_localhost(name);
    let by_name = |entry: &&Descriptor| entry.annotation(annotation::REF_NAME) == Some(wanted);
    if let Some(entry) = index.manifests.iter().find(by_name) {
        return Ok(entry);
    }
    // `host/name@sha256:…`: the digest decides.
    let wanted = wanted.rsplit_once('@').map_or(wanted, |(_, digest)| digest);
    let tag =
        |entry: &Descriptor| entry.annotation(annotation::REF_NAME)?.rsplit_once(':').map(|(_, tag)| tag.to_owned());
    let by_tag = matches(index, |entry| tag(entry).as_deref() == Some(wanted));
    let hex = wanted.strip_prefix("sha256:").unwrap_or(wanted);
    let is_prefix = MIN_PREFIX <= hex.len() && hex.bytes().all(is_lower_hex);
    let by_digest = matches(index, |entry| is_prefix && entry.digest.hex().starts_with(hex));
    match (by_tag.as_slice(), by_digest.as_slice()) {
        ([entry], _) | ([], [entry]) => Ok(entry),
        ([], []) => {
            let (name, dir) = (name.to_owned(), dir.to_owned());
            Err(LayoutError::NotFound { name, dir, known: listed(index.manifests.iter().rev()) })
        }
        ([], several) | (several, _) => {
            let candidates = listed(several.iter().copied());
            Err(LayoutError::Ambiguous { name: name.to_owned(), candidates })
        }
    }
}

/// The entries that fit, one for each digest.
fn matches(index: &Index, fits: impl Fn(&Descriptor) -> bool) -> Vec<&Descriptor> {
    let mut matching: Vec<&Descriptor> = Vec::new();
    for entry in index.manifests.iter().filter(|entry| fits(entry)) {
        if matching.iter().all(|known| known.digest != entry.digest) {
            matching.push(entry);
        }
    }
    matching
}

/// The images for a person, cut to a few.
pub(super) fn listed<'a>(entries: impl Iterator<Item = &'a Descriptor>) -> String {
    let show = |entry: &Descriptor| match entry.annotation(annotation::REF_NAME) {
        Some(name) => format!("`{name}` ({})", entry.digest.short()),
        None => format!("`{}`", entry.digest.short()),
    };
    let mut shown: Vec<String> = entries.take(MAX_LISTED + 1).map(show).collect();
    if MAX_LISTED < shown.len() {
        shown.truncate(MAX_LISTED);
        shown.push("others".to_owned());
    }
    if shown.is_empty() { "none".to_owned() } else { shown.join(", ") }
}

fn without_localhost(name: &str) -> &str {
    name.strip_prefix(LOCALHOST).and_then(|rest| rest.strip_prefix('/')).unwrap_or(name)
}
