//! Manifest, index and descriptor (OCI image-spec 1.1: manifest.md, image-index.md, descriptor.md), and their names.
//!
//! The order of the fields is the order of the bytes, and so part of the digest: do not sort them. What another
//! tool wrote into an index and this one does not know is kept when the index is written again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::Digest;

/// Keys of what an image says about itself (OCI image-spec, annotations.md).
pub mod annotation {
    /// The name a person knows it by.
    pub const TITLE: &str = "org.opencontainers.image.title";
    /// The version of the packed program.
    pub const VERSION: &str = "org.opencontainers.image.version";
    /// The commit it was built from.
    pub const REVISION: &str = "org.opencontainers.image.revision";
    /// Where the source code is.
    pub const SOURCE: &str = "org.opencontainers.image.source";
    /// The licences, an SPDX expression.
    pub const LICENSES: &str = "org.opencontainers.image.licenses";
    /// One sentence on what it is.
    pub const DESCRIPTION: &str = "org.opencontainers.image.description";
    /// Where to read about it.
    pub const URL: &str = "org.opencontainers.image.url";
    /// Who distributes it.
    pub const VENDOR: &str = "org.opencontainers.image.vendor";
    /// When it was made, RFC 3339; 1970 for an image built here, or its digest would change.
    pub const CREATED: &str = "org.opencontainers.image.created";
    /// The reference of an image in a layout, on its entry of the index.
    pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

    /// The reference by which containerd (and so Docker) shows an image of an archive, on its entry of the index.
    pub(crate) const CONTAINERD_NAME: &str = "io.containerd.image.name";
    /// What an image was built from, as one digest, on its entry of the index.
    pub(crate) const SPEC: &str = "gimmetime.spec";
    /// Bytes of manifest, config and layers together, on its entry of the index.
    pub(crate) const IMAGE_SIZE: &str = "gimmetime.image.size";
    /// Bytes of the compressed layer, on its entry of the index.
    pub(crate) const LAYER_SIZE: &str = "gimmetime.layer.size";
    /// Bytes of the executable, on its entry of the index.
    pub(crate) const EXECUTABLE_SIZE: &str = "gimmetime.executable.size";
    /// What the layout itself writes on an entry: no property of the image.
    pub(crate) const OF_THE_LAYOUT: [&str; 6] = [CREATED, REF_NAME, SPEC, IMAGE_SIZE, LAYER_SIZE, EXECUTABLE_SIZE];
}

pub(crate) mod media_type {
    pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    pub(crate) const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
    pub(crate) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
    pub(crate) const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    pub(crate) const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
    const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

    /// `text`, if it is the type of a blob that is carried from place to place here.
    pub(crate) fn known(text: &str) -> Option<&'static str> {
        let known =
            [MANIFEST, CONFIG, LAYER_GZIP, LAYER, DOCKER_MANIFEST, DOCKER_CONFIG, DOCKER_LAYER_GZIP, DOCKER_LAYER];
        known.into_iter().find(|known| *known == text)
    }
}

pub(crate) type Annotations = BTreeMap<String, String>;

/// Names a blob: what it is, its digest, its size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) annotations: Option<Annotations>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) platform: Option<Value>,
    #[serde(flatten)]
    pub(crate) rest: BTreeMap<String, Value>,
}

impl Descriptor {
    pub(crate) fn new(media_type: &str, digest: Digest, size: usize) -> Self {
        let (media_type, size) = (media_type.to_owned(), size as u64);
        Self { media_type, digest, size, annotations: None, platform: None, rest: BTreeMap::new() }
    }

    pub(crate) fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(key).map(String::as_str)
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    pub(crate) schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) media_type: Option<String>,
    pub(crate) config: Descriptor,
    pub(crate) layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) annotations: Option<Annotations>,
}

impl Manifest {
    /// Bytes of the whole image, and of its layers, by what the manifest says; its own bytes are `manifest`.
    pub(crate) fn sizes(&self, manifest: u64) -> (u64, u64) {
        let layers = self.layers.iter().fold(0u64, |sum, layer| sum.saturating_add(layer.size));
        (layers.saturating_add(self.config.size).saturating_add(manifest), layers)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Index {
    pub(crate) schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) media_type: Option<String>,
    pub(crate) manifests: Vec<Descriptor>,
    #[serde(flatten)]
    pub(crate) rest: BTreeMap<String, Value>,
}

impl Index {
    pub(crate) fn empty() -> Self {
        let media_type = Some(media_type::INDEX.to_owned());
        Self { schema_version: 2, media_type, manifests: Vec::new(), rest: BTreeMap::new() }
    }
}

/// The bytes of one of the structs above; they hold nothing that JSON cannot.
pub(crate) fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("strings, numbers and maps with string keys are JSON")
}
