//! Whether a registry has exactly the image that was built here, and if not, the first thing in which they differ.
//!
//! A digest is proof enough that all is the same. A difference is looked for where its cause is: a file makes its layer, its
//! config and its manifest differ, so layers come first.

use std::fmt;

use gimmetime_image::contents::{self, Member};
use gimmetime_image::{Digest, Image, Reference};
use serde_json::Value;

use crate::blob;
use crate::error::RegistryError;
use crate::resolve::{self, MAX_CONFIG};
use crate::run::Run;

/// Largest layer that is fetched to be compared.
const MAX_LAYER: u64 = 512 << 20;
/// Longest value that is shown.
const MAX_SHOWN: usize = 80;

/// What came of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verification {
    /// The registry has this very image.
    Same,
    /// It has another one.
    Differs {
        /// The digest of the image here.
        local: Digest,
        /// The digest of the image there.
        remote: Digest,
        /// The first difference.
        first: Difference,
    },
}

/// One thing in which two images differ. What one of them lacks is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// The number of layers.
    Layers {
        /// Here.
        local: usize,
        /// There.
        remote: usize,
    },
    /// A file, folder or link within a layer.
    Entry {
        /// The layer, from 0.
        layer: usize,
        /// Its path.
        path: String,
        /// What of it: `content`, `mode`, `owner`, …
        what: &'static str,
        /// Here.
        local: Option<String>,
        /// There.
        remote: Option<String>,
    },
    /// A layer that holds the same entries in other bytes: compressed or archived by something else.
    Packing {
        /// The layer, from 0.
        layer: usize,
        /// The digest here.
        local: Digest,
        /// The digest there.
        remote: Digest,
    },
    /// A layer that cannot be read.
    Unreadable {
        /// The layer, from 0.
        layer: usize,
        /// Why not.
        reason: String,
    },
    /// A field of the config, such as `/config/Env/0`.
    Config {
        /// The field, a JSON pointer.
        field: String,
        /// Here, as JSON.
        local: Option<String>,
        /// There, as JSON.
        remote: Option<String>,
    },
    /// A field of the manifest.
    Manifest {
        /// The field, a JSON pointer.
        field: String,
        /// Here, as JSON.
        local: Option<String>,
        /// There, as JSON.
        remote: Option<String>,
    },
    /// The same JSON in other bytes.
    Spelling {
        /// `config` or `manifest`.
        of: &'static str,
    },
}

/// Compares `image` with what `reference` means.
pub(crate) fn verify(run: &Run<'_>, image: &Image, reference: &Reference) -> Result<Verification, RegistryError> {
    let found = resolve::image(run, reference)?;
    let (local, remote) = (image.digest().clone(), found.fetched.digest.clone());
    if local == remote {
        return Ok(Verification::Same);
    }
    let first = match first_layer(run, image, &found.manifest)? {
        Some(difference) => difference,
        None if image.config().digest != found.manifest.config.digest => {
            let config = blob::get(run, &found.manifest.config, MAX_CONFIG)?;
            let named = |field, local, remote| Difference::Config { field, local, remote };
            first_field(&image.config().bytes, &config, named).unwrap_or(Difference::Spelling { of: "config" })
        }
        None => {
            let named = |field, local, remote| Difference::Manifest { field, local, remote };
            let difference = first_field(&image.manifest().bytes, &found.fetched.bytes, named);
            difference.unwrap_or(Difference::Spelling { of: "manifest" })
        }
    };
    Ok(Verification::Differs { local, remote, first })
}

fn first_layer(
    run: &Run<'_>,
    image: &Image,
    manifest: &resolve::Manifest,
) -> Result<Option<Difference>, RegistryError> {
    for (layer, (ours, theirs)) in image.layers().iter().zip(&manifest.layers).enumerate() {
        if ours.digest != theirs.digest {
            let bytes = blob::get(run, theirs, MAX_LAYER)?;
            let difference = match (contents::read(&ours.bytes), contents::read(&bytes)) {
                (Ok(local), Ok(remote)) => first_entry(layer, &local, &remote),
                (Err(error), _) | (_, Err(error)) => Some(Difference::Unreadable { layer, reason: error.to_string() }),
            };
            let (local, remote) = (ours.digest.clone(), theirs.digest.clone());
            return Ok(Some(difference.unwrap_or(Difference::Packing { layer, local, remote })));
        }
    }
    let (local, remote) = (image.layers().len(), manifest.layers.len());
    Ok((local != remote).then_some(Difference::Layers { local, remote }))
}

fn first_entry(layer: usize, local: &[Member], remote: &[Member]) -> Option<Difference> {
    let path = |member: &Member| String::from_utf8_lossy(&member.path).into_owned();
    let entry = |path, what, local, remote| Some(Difference::Entry { layer, path, what, local, remote });
    for (ours, theirs) in local.iter().zip(remote) {
        if ours.path != theirs.path {
            return entry(path(ours), "name", Some(path(ours)), Some(path(theirs)));
        }
        if let Some((what, ours_is, theirs_is)) = ours.first_difference(theirs) {
            return entry(path(ours), what, Some(ours_is), Some(theirs_is));
        }
    }
    let shared = local.len().min(remote.len());
    match (local.get(shared), remote.get(shared)) {
        (Some(only), _) => entry(path(only), "entry", Some(path(only)), None),
        (_, Some(only)) => entry(path(only), "entry", None, Some(path(only))),
        _ => None,
    }
}

fn first_field(
    local: &[u8],
    remote: &[u8],
    named: impl Fn(String, Option<String>, Option<String>) -> Difference,
) -> Option<Difference> {
    let local: Value = serde_json::from_slice(local).ok()?;
    let Ok(remote) = serde_json::from_slice::<Value>(remote) else {
        return Some(named(String::new(), Some(shown(&local)), None));
    };
    let (field, ours, theirs) = differing(String::new(), Some(&local), Some(&remote))?;
    Some(named(field, ours.map(shown), theirs.map(shown)))
}

/// The first differing value, and its JSON pointer (RFC 6901).
fn differing<'a>(
    at: String,
    local: Option<&'a Value>,
    remote: Option<&'a Value>,
) -> Option<(String, Option<&'a Value>, Option<&'a Value>)> {
    match (local, remote) {
        (Some(Value::Object(ours)), Some(Value::Object(theirs))) => {
            let others = theirs.keys().filter(|key| !ours.contains_key(*key));
            ours.keys().chain(others).find_map(|key| {
                let at = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
                differing(at, ours.get(key), theirs.get(key))
            })
        }
        (Some(Value::Array(ours)), Some(Value::Array(theirs))) => (0..ours.len().max(theirs.len()))
            .find_map(|index| differing(format!("{at}/{index}"), ours.get(index), theirs.get(index))),
        (local, remote) if local == remote => None,
        (local, remote) => Some((at, local, remote)),
    }
}

fn shown(value: &Value) -> String {
    value.to_string().chars().filter(|character| !character.is_control()).take(MAX_SHOWN).collect()
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nothing = "nothing";
        let or = |value: &Option<String>| value.clone().unwrap_or_else(|| nothing.to_owned());
        match self {
            Self::Layers { local, remote } => write!(f, "{local} layers here, {remote} there"),
            Self::Entry { layer, path, what, local, remote } => {
                write!(f, "{what} of `{path}` in layer {layer}: {} here, {} there", or(local), or(remote))
            }
            Self::Packing { layer, local, remote } => {
                write!(f, "layer {layer} holds the same files, packed differently: {local} here, {remote} there")
            }
            Self::Unreadable { layer, reason } => write!(f, "layer {layer} differs and cannot be read: {reason}"),
            Self::Config { field, local, remote } => {
                write!(f, "config field `{field}`: {} here, {} there", or(local), or(remote))
            }
            Self::Manifest { field, local, remote } => {
                write!(f, "manifest field `{field}`: {} here, {} there", or(local), or(remote))
            }
            Self::Spelling { of } => write!(f, "the {of} says the same in other bytes"),
        }
    }
}
