//! The files of a layout: bounded reads that verify, writes that are whole or absent, and the lock.
//!
//! A temporary file has one fixed name, since only the holder of the lock writes: what a crash leaves behind is
//! overwritten by the next writer and never read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::FlockOperation;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::digest::{Digest, sha256};
use crate::image::Blob;
use crate::layout::LayoutError;
use crate::layout::index::listed;
use crate::manifest::{Descriptor, Index, Manifest, to_json};
use crate::program::Unrunnable;

const VERSION: &str = "1.0.0";
const MARKER: &str = "oci-layout";
const INDEX: &str = "index.json";
const BLOBS: &str = "blobs/sha256";
const LOCK: &str = ".lock";
const TEMPORARY: &str = ".tmp";
/// Largest JSON document, as registries have it.
const MAX_JSON: u64 = 4 << 20;
/// Largest blob.
const MAX_BLOB: u64 = 512 << 20;
/// A writer is done within milliseconds; one that is stopped must not stop all others.
const LOCK_PAUSE: Duration = Duration::from_millis(10);
const LOCK_TRIES: u32 = 3000;

/// The folder of a layout.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    dir: PathBuf,
}

/// Held by the one who writes; released when dropped, or when the process ends however it may.
pub(super) struct Lock(#[expect(dead_code, reason = "held, not used: closing the file releases the lock")] File);

impl Store {
    pub(super) fn create(dir: &Path) -> Result<Self, LayoutError> {
        let store = Self { dir: dir.to_owned() };
        let blobs = dir.join(BLOBS);
        fs::create_dir_all(&blobs).map_err(|source| io_error("make the folder", &blobs, source))?;
        let _lock = store.lock()?;
        if !exists(&dir.join(MARKER))? {
            // The marker comes last: a layout that has one has an index.
            if !exists(&dir.join(INDEX))? {
                store.write(&dir.join(INDEX), &to_json(&Index::empty()))?;
            }
            let marker = serde_json::json!({ "imageLayoutVersion": VERSION });
            store.write(&dir.join(MARKER), &to_json(&marker))?;
        }
        Self::open(dir)
    }

    pub(super) fn open(dir: &Path) -> Result<Self, LayoutError> {
        #[derive(Deserialize)]
        struct Marker {
            #[serde(rename = "imageLayoutVersion")]
            version: String,
        }
        let file = dir.join(MARKER);
        let bytes = read(&file, MAX_JSON)?.ok_or_else(|| LayoutError::Missing { dir: dir.to_owned() })?;
        let marker: Marker = parse(&file, &bytes, "the version of an image layout")?;
        if marker.version != VERSION {
            return Err(LayoutError::Version { file, found: marker.version });
        }
        Ok(Self { dir: dir.to_owned() })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Waits for the lock, 30 s at most.
    pub(super) fn lock(&self) -> Result<Lock, LayoutError> {
        self.lock_within(LOCK_TRIES)
    }

    pub(super) fn lock_within(&self, tries: u32) -> Result<Lock, LayoutError> {
        let path = self.dir.join(LOCK);
        let opened = OpenOptions::new().create(true).append(true).open(&path);
        let file = opened.map_err(|source| io_error("open the lock", &path, source))?;
        for _ in 0..tries {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Lock(file)),
                Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => thread::sleep(LOCK_PAUSE),
                Err(error) => return Err(io_error("lock", &path, error.into())),
            }
        }
        Err(LayoutError::Busy { file: path, seconds: (LOCK_PAUSE * tries).as_secs() })
    }

    pub(super) fn index(&self) -> Result<Index, LayoutError> {
        let file = self.dir.join(INDEX);
        let expected = "an OCI image index";
        let bytes = read(&file, MAX_JSON)?.ok_or_else(|| corrupt(&file, expected, "no such file"))?;
        let index: Index = parse(&file, &bytes, expected)?;
        if index.schema_version != 2 {
            return Err(corrupt(&file, "schema version 2", index.schema_version.to_string()));
        }
        Ok(index)
    }

    /// Writes `new`, if it is not what is there; call with the lock held since `old` was read.
    pub(super) fn replace_index(&self, old: &Index, new: &Index) -> Result<(), LayoutError> {
        if old == new {
            return Ok(());
        }
        let file = self.dir.join(INDEX);
        let bytes = to_json(new);
        if MAX_JSON < bytes.len() as u64 {
            // Nobody could read it again.
            return Err(LayoutError::Full { file, limit: MAX_JSON });
        }
        self.write(&file, &bytes)
    }

    /// Writes the blobs that are not there, or not intact; call with the lock held.
    pub(super) fn write_blobs<'a>(&self, blobs: impl Iterator<Item = &'a Blob>) -> Result<(), LayoutError> {
        for blob in blobs {
            let file = self.blob_file(&blob.digest);
            let intact = matches!(read(&file, MAX_BLOB), Ok(Some(bytes)) if bytes == blob.bytes);
            if !intact {
                self.write(&file, &blob.bytes)?;
            }
        }
        Ok(())
    }

    /// The bytes that `descriptor` names, verified.
    pub(crate) fn blob(&self, descriptor: &Descriptor) -> Result<Vec<u8>, LayoutError> {
        let file = self.blob_file(&descriptor.digest);
        let expected = || format!("{} bytes", descriptor.size);
        let bytes = read(&file, MAX_BLOB)?.ok_or_else(|| corrupt(&file, expected(), "no such file"))?;
        if bytes.len() as u64 != descriptor.size {
            return Err(corrupt(&file, expected(), format!("{} bytes", bytes.len())));
        }
        verify(&file, &bytes, &descriptor.digest)?;
        Ok(bytes)
    }

    /// The JSON document that `descriptor` names, verified.
    pub(crate) fn json<T: DeserializeOwned>(&self, descriptor: &Descriptor, what: &str) -> Result<T, LayoutError> {
        let file = self.blob_file(&descriptor.digest);
        if MAX_JSON < descriptor.size {
            return Err(corrupt(&file, format!("{what} of at most {MAX_JSON} bytes"), descriptor.size.to_string()));
        }
        parse(&file, &self.blob(descriptor)?, what)
    }

    /// The manifest that `digest` names, verified, as its bytes and as what they say.
    pub(crate) fn manifest(&self, digest: &Digest) -> Result<(Vec<u8>, Manifest), LayoutError> {
        #[derive(Deserialize)]
        struct Peek {
            manifests: Option<IgnoredAny>,
        }
        let file = self.blob_file(digest);
        let bytes = read(&file, MAX_JSON)?.ok_or_else(|| self.not_found(digest))?;
        verify(&file, &bytes, digest)?;
        let peek: Peek = parse(&file, &bytes, "an image manifest")?;
        if peek.manifests.is_some() {
            return Err(LayoutError::Unrunnable { digest: digest.clone(), reason: Unrunnable::Index });
        }
        let manifest = parse(&file, &bytes, "an image manifest")?;
        Ok((bytes, manifest))
    }

    /// Whether the image has this config, and every blob of it is there and is what its digest says.
    pub(super) fn is_intact(&self, digest: &Digest, config: &Digest) -> bool {
        let verified = self.manifest(digest).and_then(|(_, manifest)| {
            let blobs = manifest.layers.iter().chain([&manifest.config]);
            blobs.map(|blob| self.blob(blob)).try_for_each(|blob| blob.map(drop))?;
            Ok(manifest.config.digest == *config)
        });
        verified.is_ok_and(|is_so| is_so)
    }

    /// The error for a blob that is not what another file says of it.
    pub(crate) fn damaged(
        &self,
        digest: &Digest,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> LayoutError {
        corrupt(&self.blob_file(digest), expected, found)
    }

    fn not_found(&self, digest: &Digest) -> LayoutError {
        let known = self.index().map_or_else(|error| error.to_string(), |index| listed(index.manifests.iter().rev()));
        LayoutError::NotFound { name: digest.to_string(), dir: self.dir.clone(), known }
    }

    fn blob_file(&self, digest: &Digest) -> PathBuf {
        self.dir.join(BLOBS).join(digest.hex())
    }

    /// Makes `file` hold `bytes`: after a crash at any moment it holds them, or what it held before.
    fn write(&self, file: &Path, bytes: &[u8]) -> Result<(), LayoutError> {
        let temporary = self.dir.join(TEMPORARY);
        let write = || -> io::Result<()> {
            let mut written = File::create(&temporary)?;
            written.write_all(bytes)?;
            written.sync_all()?;
            fs::rename(&temporary, file)?;
            File::open(file.parent().unwrap_or(&self.dir))?.sync_all()
        };
        write().map_err(|source| {
            // Best effort: a full disk should not stay full of what failed.
            let _ = fs::remove_file(&temporary);
            io_error("write", file, source)
        })
    }
}

/// The content of `file`, `None` if there is none.
fn read(file: &Path, limit: u64) -> Result<Option<Vec<u8>>, LayoutError> {
    let opened = match File::open(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|source| io_error("open", file, source))?,
    };
    // A guess that spares the growing; what is read decides.
    let size = opened.metadata().map_or(0, |metadata| metadata.len().min(limit));
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
    opened.take(limit + 1).read_to_end(&mut bytes).map_err(|source| io_error("read", file, source))?;
    if limit < bytes.len() as u64 {
        return Err(corrupt(file, format!("at most {limit} bytes"), "more"));
    }
    Ok(Some(bytes))
}

fn parse<T: DeserializeOwned>(file: &Path, bytes: &[u8], expected: &str) -> Result<T, LayoutError> {
    serde_json::from_slice(bytes).map_err(|error| {
        let found = if bytes.is_empty() { "an empty file".to_owned() } else { error.to_string() };
        corrupt(file, expected, found)
    })
}

fn verify(file: &Path, bytes: &[u8], digest: &Digest) -> Result<(), LayoutError> {
    let found = sha256(bytes);
    if found == *digest { Ok(()) } else { Err(corrupt(file, digest.to_string(), found.to_string())) }
}

fn exists(file: &Path) -> Result<bool, LayoutError> {
    file.try_exists().map_err(|source| io_error("look for", file, source))
}

fn corrupt(file: &Path, expected: impl Into<String>, found: impl Into<String>) -> LayoutError {
    LayoutError::Corrupt { file: file.to_owned(), expected: expected.into(), found: found.into() }
}

fn io_error(attempt: &'static str, file: &Path, source: io::Error) -> LayoutError {
    LayoutError::Io { attempt, file: file.to_owned(), source }
}
