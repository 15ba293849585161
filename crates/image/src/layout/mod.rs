//! Images on disk: an OCI image layout (image-spec, image-layout.md), which other tools read too.
//!
//! Owns one folder. Whatever is written is complete or absent (temporary file, fsync, rename), one writer at a time
//! (a lock file); readers need no lock. What is damaged is named and left alone; an intact copy of a damaged blob
//! replaces it when its image is added again. Nothing is ever removed.

mod error;
mod index;
mod store;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::digest::Digest;
use crate::image::{Blob, Image, build, config_digest};
use crate::manifest::{Descriptor, annotation, media_type};
use crate::program::{self, Program, Unrunnable};
use crate::spec::Spec;
pub use error::LayoutError;
pub(crate) use store::Store;

/// A folder of images.
#[derive(Debug, Clone)]
pub struct Layout {
    store: Store,
}

/// An image of a layout, as its index has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// The image's name: the digest of its manifest.
    pub digest: Digest,
    /// Its name for a person, such as `gimmetime:0.1.0`; `None` once another image has taken that name.
    pub reference: Option<String>,
    /// Bytes that a registry would hold of it: manifest, config and layers.
    pub size: u64,
    /// Bytes of its compressed layers; 0 if another tool put it here and its manifest cannot be read.
    pub layer_size: u64,
    /// Bytes of the executable in it; `None` if another tool put it here.
    pub executable_size: Option<u64>,
    /// When it was made, RFC 3339; always 1970 for an image built here, or its digest would change.
    pub created: Option<String>,
    /// What it says about itself, by the keys of [`annotation`].
    pub annotations: BTreeMap<String, String>,
}

impl Layout {
    /// The layout in `dir`, which is made if it is not there.
    pub fn create(dir: &Path) -> Result<Self, LayoutError> {
        Store::create(dir).map(|store| Self { store })
    }

    /// The layout in `dir`.
    ///
    /// # Errors
    /// [`LayoutError::Missing`] if there is none, [`LayoutError::Version`] if it is of a newer kind.
    pub fn open(dir: &Path) -> Result<Self, LayoutError> {
        Store::open(dir).map(|store| Self { store })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        self.store.dir()
    }

    /// Adds `image` under the name `reference`, such as `gimmetime:0.1.0`; an image that had the name stays, nameless.
    ///
    /// To add what is there already changes nothing, and mends blobs that are damaged.
    pub fn add(&self, image: &Image, reference: &str) -> Result<Entry, LayoutError> {
        let reference = index::reference_name(reference)?;
        let _lock = self.store.lock()?;
        // A damaged index is found before anything is written.
        let index = self.store.index()?;
        self.store.write_blobs(image.blobs())?;
        self.store.replace_index(&index, &index::put(&index, &image.index_entry(), &reference))?;
        Ok(self.entry(&index::named(image.index_entry(), &reference)))
    }

    /// The image of `spec`, under the name [`Spec::reference`]: found by what it was built from, and built only if it
    /// is not there intact.
    pub fn add_or_find(&self, spec: &Spec) -> Result<Entry, LayoutError> {
        spec.check()?;
        let reference = spec.reference()?;
        match self.find_built(spec)? {
            None => self.add(&build(spec)?, &reference),
            Some(found) => {
                let _lock = self.store.lock()?;
                let index = self.store.index()?;
                self.store.replace_index(&index, &index::put(&index, &found, &reference))?;
                Ok(self.entry(&index::named(found, &reference)))
            }
        }
    }

    /// All images, in the order in which they were added. An image with two names is there twice.
    pub fn list(&self) -> Result<Vec<Entry>, LayoutError> {
        Ok(self.store.index()?.manifests.iter().map(|entry| self.entry(entry)).collect())
    }

    /// The image called `name`: its reference or its tag, its digest or a unique start of it of at least 4 digits.
    ///
    /// # Errors
    /// [`LayoutError::NotFound`] and [`LayoutError::Ambiguous`] say what there is to choose from.
    pub fn find(&self, name: &str) -> Result<Entry, LayoutError> {
        let index = self.store.index()?;
        index::find(&index, name, self.dir()).map(|entry| self.entry(entry))
    }

    /// The image `digest` with all its bytes, each verified.
    ///
    /// # Errors
    /// [`LayoutError::NotFound`], [`LayoutError::Corrupt`], or [`LayoutError::Unrunnable`] for an index or a layer of a
    /// type that is not known here.
    pub fn image(&self, digest: &Digest) -> Result<Image, LayoutError> {
        let (bytes, manifest) = self.store.manifest(digest)?;
        let kind = |text: &str| {
            media_type::known(text).ok_or_else(|| LayoutError::Unrunnable {
                digest: digest.clone(),
                reason: Unrunnable::MediaType { media_type: text.to_owned() },
            })
        };
        let blob = |descriptor: &Descriptor| {
            let (media_type, bytes) = (kind(&descriptor.media_type)?, self.store.blob(descriptor)?);
            Ok(Blob { digest: descriptor.digest.clone(), media_type, bytes })
        };
        let own_kind = kind(manifest.media_type.as_deref().unwrap_or(media_type::MANIFEST))?;
        let layers = manifest.layers.iter().map(blob).collect::<Result<_, LayoutError>>()?;
        let index = self.store.index()?;
        let entry = index.manifests.into_iter().find(|entry| entry.digest == *digest);
        let mut notes = entry.and_then(|entry| entry.annotations).unwrap_or_default();
        notes.remove(annotation::REF_NAME);
        let own = Blob { digest: digest.clone(), media_type: own_kind, bytes };
        Ok(Image::from_blobs(own, blob(&manifest.config)?, layers, notes))
    }

    /// The program of the image `digest`, every digest on the way verified.
    ///
    /// # Errors
    /// [`LayoutError::NotFound`], [`LayoutError::Corrupt`], or [`LayoutError::Unrunnable`] with the reason.
    pub fn executable(&self, digest: &Digest) -> Result<Program, LayoutError> {
        program::extract(&self.store, digest)
    }

    /// The entry of an intact image that was built from `spec`. What the index says of that is only where to look: the
    /// config tells, which names the executable by the digest of its archive.
    fn find_built(&self, spec: &Spec) -> Result<Option<Descriptor>, LayoutError> {
        let (fingerprint, config) = (spec.fingerprint(), config_digest(spec));
        let built = |entry: &&Descriptor| entry.annotation(annotation::SPEC) == Some(fingerprint.as_str());
        let index = self.store.index()?;
        // A damaged image is as good as none: it is built again, which mends it.
        Ok(index.manifests.iter().filter(built).find(|entry| self.store.is_intact(&entry.digest, &config)).cloned())
    }

    fn entry(&self, descriptor: &Descriptor) -> Entry {
        let text = |key| descriptor.annotation(key).map(str::to_owned);
        let number = |key| descriptor.annotation(key).and_then(|value| value.parse().ok());
        let mut annotations = descriptor.annotations.clone().unwrap_or_default();
        let (size, layer_size) = number(annotation::IMAGE_SIZE)
            .zip(number(annotation::LAYER_SIZE))
            .or_else(|| {
                self.store.manifest(&descriptor.digest).ok().map(|(_, manifest)| manifest.sizes(descriptor.size))
            })
            .unwrap_or((descriptor.size, 0));
        annotations.retain(|key, _| !annotation::OF_THE_LAYOUT.contains(&key.as_str()));
        Entry {
            digest: descriptor.digest.clone(),
            reference: text(annotation::REF_NAME),
            size,
            layer_size,
            executable_size: number(annotation::EXECUTABLE_SIZE),
            created: text(annotation::CREATED),
            annotations,
        }
    }
}
