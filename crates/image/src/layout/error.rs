//! What can go wrong with a layout, by what the caller can do about it.

use std::io;
use std::path::PathBuf;

use crate::digest::Digest;
use crate::program::Unrunnable;
use crate::reference::ReferenceError;
use crate::spec::BuildError;

/// Why an image could not be stored, found or read.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// No layout in the folder.
    #[error("`{dir}` holds no images (it has no file `oci-layout`); build one there first")]
    Missing {
        /// The folder.
        dir: PathBuf,
    },
    /// A layout of another version.
    #[error("`{file}` is of layout version `{found}`, expected `1.0.0`; use the version of gimmetime that wrote it")]
    Version {
        /// The file that says so.
        file: PathBuf,
        /// The version.
        found: String,
    },
    /// A file that is not what it is named.
    #[error("`{file}` is damaged: expected {expected}, but found {found}; it was left as it is")]
    Corrupt {
        /// The file.
        file: PathBuf,
        /// What it should hold.
        expected: String,
        /// What it holds.
        found: String,
    },
    /// An index that has grown to its limit.
    #[error("`{file}` has no room for another image within {limit} bytes; use another folder")]
    Full {
        /// The index.
        file: PathBuf,
        /// Bytes that an index may have.
        limit: u64,
    },
    /// Another writer has the folder, and goes on having it.
    #[error("another process has held `{file}` for {seconds} s; try again when it has ended")]
    Busy {
        /// The lock file.
        file: PathBuf,
        /// How long was waited.
        seconds: u64,
    },
    /// The operating system refused.
    #[error("cannot {attempt} `{file}`")]
    Io {
        /// What was attempted.
        attempt: &'static str,
        /// On which file.
        file: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// No image of that name.
    #[error("no image `{name}` in `{dir}`, which holds {known}")]
    NotFound {
        /// The name.
        name: String,
        /// The folder.
        dir: PathBuf,
        /// The images that are there, the newest first.
        known: String,
    },
    /// Several images of that name.
    #[error("`{name}` may be any of {candidates}; write more of the digest")]
    Ambiguous {
        /// The name.
        name: String,
        /// The images that it may mean.
        candidates: String,
    },
    /// An intact image that is not for this engine.
    #[error("image {digest} cannot be run as a process: {reason}")]
    Unrunnable {
        /// The image.
        digest: Digest,
        /// Why not.
        reason: Unrunnable,
    },
    /// A name that no image can have.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// A spec of which no image can be built.
    #[error(transparent)]
    Build(#[from] BuildError),
}
