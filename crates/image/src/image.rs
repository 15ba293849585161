//! An image in memory: manifest, config and layers, named by the digest of its manifest.

use crate::config::{ARCHITECTURE, Config, OS};
use crate::digest::{Digest, sha256};
use crate::layer;
use crate::manifest::{Annotations, Descriptor, Manifest, annotation, media_type, to_json};
use crate::spec::{BuildError, Spec};

/// An image; it cannot be changed, or its digest would.
#[derive(Debug, Clone)]
pub struct Image {
    manifest: Blob,
    config: Blob,
    layers: Vec<Blob>,
    /// What an index tells of it beyond its digest.
    notes: Annotations,
}

/// Some bytes of an image, under the digest that names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// The digest of the bytes.
    pub digest: Digest,
    /// What the bytes are.
    pub media_type: &'static str,
    /// The bytes, as a registry or a layout holds them.
    pub bytes: Vec<u8>,
}

/// The image of `spec`: the same bytes on every machine.
///
/// # Errors
/// The executable would not run alone ([`crate::elf::check_runnable`]), or a setting cannot be given to a process.
pub fn build(spec: &Spec) -> Result<Image, BuildError> {
    spec.check()?;
    Ok(pack(spec))
}

/// The image of `spec`, unchecked: [`build`] is what a user is served with.
///
/// An image that cannot run is how a test shows what becomes of one.
pub fn pack(spec: &Spec) -> Image {
    let packed = layer::pack(&spec.executable);
    let layer = Blob::new(media_type::LAYER_GZIP, packed.bytes);
    let config = Blob::new(media_type::CONFIG, to_json(&Config::of(spec, packed.diff_id)));
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(media_type::MANIFEST.to_owned()),
        config: config.descriptor(),
        layers: vec![layer.descriptor()],
        annotations: Some(spec.annotations()),
    };
    let mut notes = spec.annotations();
    notes.insert(annotation::SPEC.to_owned(), spec.fingerprint().to_string());
    notes.insert(annotation::EXECUTABLE_SIZE.to_owned(), spec.executable.len().to_string());
    Image { manifest: Blob::new(media_type::MANIFEST, to_json(&manifest)), config, layers: vec![layer], notes }
}

/// The digest of the config that the image of `spec` has: all of the image but the compression, at a fraction of the cost.
pub(crate) fn config_digest(spec: &Spec) -> Digest {
    sha256(&to_json(&Config::of(spec, layer::diff_id(&spec.executable))))
}

impl Image {
    /// An image that was read, each blob verified; `notes` is what its index told of it.
    pub(crate) fn from_blobs(manifest: Blob, config: Blob, layers: Vec<Blob>, notes: Annotations) -> Self {
        Self { manifest, config, layers, notes }
    }

    /// The image's name: the digest of its manifest.
    pub fn digest(&self) -> &Digest {
        &self.manifest.digest
    }

    /// The manifest.
    pub fn manifest(&self) -> &Blob {
        &self.manifest
    }

    /// The config.
    pub fn config(&self) -> &Blob {
        &self.config
    }

    /// The layers, lowest first.
    pub fn layers(&self) -> &[Blob] {
        &self.layers
    }

    /// Bytes that a registry holds of it: manifest, config and layers.
    pub fn size(&self) -> u64 {
        self.blobs().map(|blob| blob.bytes.len() as u64).sum()
    }

    /// Bytes of its compressed layers.
    pub fn layer_size(&self) -> u64 {
        self.layers.iter().map(|layer| layer.bytes.len() as u64).sum()
    }

    /// All blobs, each after those that it names.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = &Blob> {
        self.layers.iter().chain([&self.config, &self.manifest])
    }

    /// The entry of an index that names it, without a reference.
    pub(crate) fn index_entry(&self) -> Descriptor {
        let mut annotations = self.notes.clone();
        annotations.insert(annotation::IMAGE_SIZE.to_owned(), self.size().to_string());
        annotations.insert(annotation::LAYER_SIZE.to_owned(), self.layer_size().to_string());
        let platform = serde_json::json!({ "architecture": ARCHITECTURE, "os": OS });
        Descriptor { annotations: Some(annotations), platform: Some(platform), ..self.manifest.descriptor() }
    }
}

impl Blob {
    pub(crate) fn new(media_type: &'static str, bytes: Vec<u8>) -> Self {
        Self { digest: sha256(&bytes), media_type, bytes }
    }

    fn descriptor(&self) -> Descriptor {
        Descriptor::new(self.media_type, self.digest.clone(), self.bytes.len())
    }
}
