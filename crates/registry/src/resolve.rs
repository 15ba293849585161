//! What a reference means: the image of this platform, by digest, and what its config says of it.

use gimmetime_image::{Digest, Reference};
use serde::Deserialize;

use crate::blob;
use crate::error::RegistryError;
use crate::manifest::{self, Fetched};
use crate::receipt::Stage;
use crate::run::Run;

/// What images are run on.
const OS: &str = "linux";
const ARCHITECTURE: &str = "amd64";
/// What an index lists of builders' statements, which are no images.
const UNKNOWN: &str = "unknown";
/// Largest config that is read; they have a few kilobytes.
pub(crate) const MAX_CONFIG: u64 = 4 << 20;

/// An image that a reference means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The digest that the reference means: of an index, if it is one.
    pub digest: Digest,
    /// The digest of the image itself; the same unless [`Resolved::digest`] is an index.
    pub image: Digest,
    /// As its config has it, such as `amd64`.
    pub architecture: String,
    /// As its config has it, such as `linux`.
    pub os: String,
    /// Bytes that the registry holds of it: manifest, config and layers.
    pub size: u64,
}

/// A manifest as far as it is understood here.
#[derive(Debug, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) config: Descriptor,
    pub(crate) layers: Vec<Descriptor>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Descriptor {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    platform: Option<Platform>,
}

#[derive(Debug, Deserialize)]
struct Platform {
    architecture: String,
    os: String,
}

/// The image that `reference` means.
pub(crate) fn resolve(run: &Run<'_>, reference: &Reference) -> Result<Resolved, RegistryError> {
    let found = image(run, reference)?;
    let config = blob::get(run, &found.manifest.config, MAX_CONFIG)?;
    let platform: Platform =
        serde_json::from_slice(&config).map_err(|error| malformed(run, "an image config", &error))?;
    let parts = found.manifest.layers.iter().chain([&found.manifest.config]);
    let size = parts.fold(found.fetched.bytes.len() as u64, |sum, part| sum.saturating_add(part.size));
    let (architecture, os) = (platform.architecture, platform.os);
    Ok(Resolved { digest: found.named, image: found.fetched.digest, architecture, os, size })
}

/// The manifest of an image.
pub(crate) struct Found {
    /// What the reference means.
    pub(crate) named: Digest,
    pub(crate) fetched: Fetched,
    pub(crate) manifest: Manifest,
}

/// The manifest of the image that `reference` means, chosen from an index if it is one.
pub(crate) fn image(run: &Run<'_>, reference: &Reference) -> Result<Found, RegistryError> {
    let fetched = fetch(run, target(reference)?, reference)?;
    let named = fetched.digest.clone();
    let fetched = match entry(run, &fetched, reference)? {
        Some(digest) => fetch(run, digest.as_str(), reference)?,
        None => fetched,
    };
    let manifest =
        serde_json::from_slice(&fetched.bytes).map_err(|error| malformed(run, "an image manifest", &error))?;
    Ok(Found { named, fetched, manifest })
}

/// What a registry is asked for: the digest, or else the tag.
pub(crate) fn target(reference: &Reference) -> Result<&str, RegistryError> {
    let digest = reference.digest.as_ref().map(Digest::as_str);
    digest.or(reference.tag.as_deref()).ok_or_else(|| RegistryError::Unnamed { reference: reference.to_string() })
}

fn fetch(run: &Run<'_>, target: &str, reference: &Reference) -> Result<Fetched, RegistryError> {
    manifest::get(run, target)?.ok_or_else(|| RegistryError::NotFound { reference: reference.to_string() })
}

/// The image of an index that runs here; `None` if it is no index.
fn entry(run: &Run<'_>, fetched: &Fetched, reference: &Reference) -> Result<Option<Digest>, RegistryError> {
    #[derive(Deserialize)]
    struct Index {
        manifests: Option<Vec<Descriptor>>,
    }
    let index: Index = serde_json::from_slice(&fetched.bytes).map_err(|error| malformed(run, "a manifest", &error))?;
    let Some(entries) = index.manifests else { return Ok(None) };
    let runs_here = |entry: &&Descriptor| {
        entry.platform.as_ref().is_some_and(|platform| platform.os == OS && platform.architecture == ARCHITECTURE)
    };
    if let Some(entry) = entries.iter().find(runs_here) {
        return Ok(Some(entry.digest.clone()));
    }
    let platforms =
        entries.iter().filter_map(|entry| entry.platform.as_ref()).filter(|platform| platform.os != UNKNOWN);
    let found = platforms.map(|platform| format!("{}/{}", platform.os, platform.architecture)).collect();
    Err(RegistryError::OtherPlatform { reference: reference.to_string(), found })
}

fn malformed(run: &Run<'_>, expected: &'static str, error: &serde_json::Error) -> RegistryError {
    let registry = run.endpoint().registry.clone();
    RegistryError::Malformed { registry, stage: Stage::GetManifest, expected, found: error.to_string() }
}
