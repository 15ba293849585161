//! Takes the program back out of an image, to run it as a plain process.
//!
//! Verifies every digest on the way: manifest, config, each layer as stored and each as unpacked. Nothing is written
//! to disk. Refuses an image whose entrypoint is not a static executable in a regular file; it would need the rest
//! of the image around it.

mod path;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, Read};

use flate2::read::MultiGzDecoder;

use crate::config::{ARCHITECTURE, Config, ENTRYPOINT, Execution, OS, USER};
use crate::digest::{Digest, Hasher};
use crate::elf::{self, ElfError};
use crate::layout::{LayoutError, Store};
use crate::manifest::{Descriptor, media_type};
use crate::spec::{MAX_EXECUTABLE, Spec};
use crate::tar::{Archive, TarError};
use path::Walk;

/// Most layers of an image; other engines stop at about as many.
const MAX_LAYERS: usize = 128;
/// Most bytes that all layers of an image unpack to.
const MAX_UNPACKED: u64 = 1 << 30;

/// How to run an image as a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Where the image has it, absolute: the first argument by custom.
    pub path: String,
    /// The executable, checked by [`elf::check_runnable`].
    pub bytes: Vec<u8>,
    /// The arguments after the first.
    pub args: Vec<String>,
    /// The environment, in the image's order; of two variables of one name the later wins.
    pub env: Vec<(String, String)>,
    /// Whom it wants to run as; `None` if the image says nothing, or a name, which only its own files explain.
    pub user: Option<User>,
    /// The working folder within the image.
    pub workdir: String,
}

/// A user and a group, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    /// The user.
    pub uid: u32,
    /// The group; the user's number if the image names none.
    pub gid: u32,
}

/// Why an image, intact as it may be, cannot be run as a process.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unrunnable {
    /// Made for another system.
    #[error("it is for `{found}`, expected `linux/amd64`")]
    Platform {
        /// `os/architecture`.
        found: String,
    },
    /// Several images under one digest.
    #[error("it is an index of images for several platforms; name the digest of one of them")]
    Index,
    /// Layers in a format that is not read here.
    #[error("a layer is of type `{media_type}`, expected tar or gzip")]
    MediaType {
        /// The layer's type.
        media_type: String,
    },
    /// More layers than are read here.
    #[error("it has {found} layers, expected 1 to {MAX_LAYERS}")]
    Layers {
        /// How many.
        found: usize,
    },
    /// Nothing to start.
    #[error("it names no entrypoint; set one to the absolute path of a static executable")]
    NoEntrypoint,
    /// An entrypoint that is to be searched for.
    #[error("its entrypoint `{path}` is not absolute; name the executable by its whole path")]
    Relative {
        /// The entrypoint.
        path: String,
    },
    /// An entrypoint that is no file of the image.
    #[error("its entrypoint `{path}` is {found}, expected a regular file")]
    NotAFile {
        /// The entrypoint.
        path: String,
        /// What is there.
        found: String,
    },
    /// An entrypoint that leads through a link.
    #[error("its entrypoint leads over the link `{path}` to `{target}`; name the file itself")]
    Link {
        /// The link.
        path: String,
        /// Where it points to.
        target: String,
    },
    /// A file that may not be executed.
    #[error("its entrypoint `{path}` has mode {mode:04o}, which lets nobody execute it")]
    Mode {
        /// The entrypoint.
        path: String,
        /// Its mode.
        mode: u64,
    },
    /// A file that is too large.
    #[error("its entrypoint `{path}` has {found} bytes, expected at most {MAX_EXECUTABLE}")]
    TooLarge {
        /// The entrypoint.
        path: String,
        /// Its size in bytes.
        found: u64,
    },
    /// A file that needs more than itself.
    #[error("its entrypoint `{path}` cannot run alone: {error}")]
    Executable {
        /// The entrypoint.
        path: String,
        /// Why.
        error: ElfError,
    },
}

impl Program {
    /// The program of the image that is built from `spec`, without the way through that image.
    pub fn of(spec: Spec) -> Self {
        Self {
            path: ENTRYPOINT.to_owned(),
            bytes: spec.executable.into_owned(),
            args: spec.command,
            env: spec.env.into_iter().collect(),
            user: User::parse(USER),
            workdir: "/".to_owned(),
        }
    }
}

/// The program of the image that `digest` names.
pub(crate) fn extract(store: &Store, digest: &Digest) -> Result<Program, LayoutError> {
    let refuse = |reason| LayoutError::Unrunnable { digest: digest.clone(), reason };
    let (_, manifest) = store.manifest(digest)?;
    let config: Config = store.json(&manifest.config, "an image config")?;
    let platform = format!("{}/{}", config.os, config.architecture);
    if platform != format!("{OS}/{ARCHITECTURE}") {
        return Err(refuse(Unrunnable::Platform { found: platform }));
    }
    let (layers, diff_ids) = (&manifest.layers, &config.rootfs.diff_ids);
    if !(1..=MAX_LAYERS).contains(&layers.len()) {
        return Err(refuse(Unrunnable::Layers { found: layers.len() }));
    }
    if layers.len() != diff_ids.len() {
        let expected = format!("{} entries in `diff_ids`, one a layer", layers.len());
        return Err(store.damaged(&manifest.config.digest, expected, format!("{}", diff_ids.len())));
    }
    let execution = config.execution.unwrap_or_default();
    let (path, args) = command(&execution).map_err(refuse)?;
    let mut walk = Walk::to(&path);
    let mut left = MAX_UNPACKED;
    for (layer, diff_id) in layers.iter().zip(diff_ids) {
        let compressed = is_compressed(layer).map_err(refuse)?;
        let bytes = store.blob(layer)?;
        let unpacked = if compressed {
            read_layer(MultiGzDecoder::new(bytes.as_slice()), &mut walk, &mut left)
        } else {
            read_layer(bytes.as_slice(), &mut walk, &mut left)
        };
        let found = unpacked.map_err(|error| store.damaged(&layer.digest, "a tar archive", error.to_string()))?;
        if found != *diff_id {
            let expected = format!("an archive with the digest {diff_id}");
            return Err(store.damaged(&layer.digest, expected, found.to_string()));
        }
    }
    let bytes = walk.file().map_err(refuse)?;
    elf::check_runnable(&bytes).map_err(|error| refuse(Unrunnable::Executable { path: path.clone(), error }))?;
    let workdir = execution.working_dir.filter(|folder| !folder.is_empty()).unwrap_or_else(|| "/".to_owned());
    let env = execution.env.unwrap_or_default().iter().map(|variable| split_variable(variable)).collect();
    Ok(Program { path, bytes, args, env, user: execution.user.as_deref().and_then(User::parse), workdir })
}

/// The path of the executable and its arguments: entrypoint and command are one list (OCI image-spec, config.md).
fn command(execution: &Execution) -> Result<(String, Vec<String>), Unrunnable> {
    let words = execution.entrypoint.iter().chain(&execution.cmd).flatten();
    let mut words = words.cloned();
    let path = words.next().filter(|path| !path.is_empty()).ok_or(Unrunnable::NoEntrypoint)?;
    if !path.starts_with('/') || path.split('/').any(|part| part == "..") {
        return Err(Unrunnable::Relative { path });
    }
    Ok((path, words.collect()))
}

fn is_compressed(layer: &Descriptor) -> Result<bool, Unrunnable> {
    match layer.media_type.as_str() {
        media_type::LAYER_GZIP | media_type::DOCKER_LAYER_GZIP => Ok(true),
        media_type::LAYER | media_type::DOCKER_LAYER => Ok(false),
        other => Err(Unrunnable::MediaType { media_type: other.to_owned() }),
    }
}

/// Leads `walk` through one layer; the digest of its archive. `left` is what may still be unpacked.
fn read_layer(stream: impl Read, walk: &mut Walk, left: &mut u64) -> Result<Digest, TarError> {
    let mut archive = Archive::new(Hashing { inner: stream, hasher: Hasher::default(), left });
    walk.begin_layer();
    while let Some(member) = archive.next()? {
        if walk.wants_content(&member) {
            let content = archive.content()?;
            walk.meet(&member, content);
        } else {
            walk.meet(&member, Vec::new());
        }
    }
    // The digest is that of the whole stream; what follows the last member belongs to it.
    let mut rest = archive.into_inner();
    io::copy(&mut rest, &mut io::sink())?;
    Ok(rest.hasher.finish())
}

/// Hashes what is read through it, up to a limit.
struct Hashing<'a, R> {
    inner: R,
    hasher: Hasher,
    left: &'a mut u64,
}

impl<R: Read> Read for Hashing<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        *self.left = self
            .left
            .checked_sub(read as u64)
            .ok_or_else(|| io::Error::other(format!("layers that unpack to more than {MAX_UNPACKED} bytes")))?;
        Ok(read)
    }
}

fn split_variable(variable: &str) -> (String, String) {
    let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
    (name.to_owned(), value.to_owned())
}

impl User {
    /// `UID` or `UID:GID`, both numbers.
    fn parse(text: &str) -> Option<Self> {
        let (uid, gid) = text.split_once(':').unwrap_or((text, text));
        Some(Self { uid: uid.parse().ok()?, gid: gid.parse().ok()? })
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.uid, self.gid)
    }
}
