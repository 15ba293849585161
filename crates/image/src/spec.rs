//! What an image is built from.
//!
//! Two equal specs give one digest. Nothing is defaulted here: the caller has resolved all settings.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::digest::{Digest, sha256};
use crate::elf::{self, ElfError};
use crate::manifest::{Annotations, annotation, to_json};
use crate::reference::{LOCALHOST, Reference, ReferenceError};

/// Largest executable that is packed, and that is taken out of an image, in bytes.
pub const MAX_EXECUTABLE: u64 = 256 << 20;

/// `created` of every image built here: the time of a build would give each build another digest.
pub(crate) const EPOCH: &str = "1970-01-01T00:00:00Z";

/// Raised when the bytes made from one spec change, so that no layout answers with an image of the older kind.
const FORMAT: u32 = 2;

/// What an image is built from. Equal specs give one digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// The static executable, which becomes `/app`.
    pub executable: Cow<'static, [u8]>,
    /// Its arguments.
    pub command: Vec<String>,
    /// Its environment.
    pub env: BTreeMap<String, String>,
    /// The TCP port that it listens on unless told otherwise, 1 to 65535.
    pub port: u16,
    /// The image's name, as a repository has it: lower case.
    pub title: String,
    /// The version of the executable.
    pub version: String,
    /// More annotations, by the keys of [`annotation`]; the image bears them as labels too.
    pub labels: BTreeMap<String, String>,
}

/// Why no image can be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// The executable would not run in an image.
    #[error(transparent)]
    Executable(#[from] ElfError),
    /// The executable is larger than [`MAX_EXECUTABLE`].
    #[error("the executable has {found} bytes, expected at most {MAX_EXECUTABLE}; strip it of its debug information")]
    TooLarge {
        /// Its size in bytes.
        found: u64,
    },
    /// An argument that no process can be given.
    #[error("argument {index} of the image's command holds a NUL character, which no process can be given")]
    Argument {
        /// Which one, from 0.
        index: usize,
    },
    /// A variable that no process can be given.
    #[error("environment variable `{name}` of the image needs a name without `=`, and no NUL character")]
    Variable {
        /// Its name.
        name: String,
    },
    /// Port 0.
    #[error("the image's port is 0, expected 1 to 65535")]
    Port,
    /// A label that is nameless, or that another field or the layout sets.
    #[error("label `{key}` of the image is set by another field; leave it out")]
    Label {
        /// Its key.
        key: String,
    },
}

impl Spec {
    /// Checks all of it, the executable first.
    pub(crate) fn check(&self) -> Result<(), BuildError> {
        elf::check_runnable(&self.executable)?;
        let found = self.executable.len() as u64;
        if MAX_EXECUTABLE < found {
            return Err(BuildError::TooLarge { found });
        }
        if let Some(index) = self.command.iter().position(|argument| argument.contains('\0')) {
            return Err(BuildError::Argument { index });
        }
        let impossible =
            |(name, value): &(&String, &String)| name.is_empty() || name.contains(['=', '\0']) || value.contains('\0');
        if let Some((name, _)) = self.env.iter().find(impossible) {
            return Err(BuildError::Variable { name: name.clone() });
        }
        if self.port == 0 {
            return Err(BuildError::Port);
        }
        let taken = |key: &&String| {
            let key = key.as_str();
            [annotation::TITLE, annotation::VERSION, ""].contains(&key) || annotation::OF_THE_LAYOUT.contains(&key)
        };
        self.labels.keys().find(taken).map_or(Ok(()), |key| Err(BuildError::Label { key: key.clone() }))
    }

    /// The name under which a layout holds it: `TITLE:VERSION`, with `_` for the `+` that no tag may hold.
    pub fn reference(&self) -> Result<String, ReferenceError> {
        let name = format!("{}:{}", self.title, self.version.replace('+', "_"));
        format!("{LOCALHOST}/{name}").parse::<Reference>().map(|_| name)
    }

    /// All that the image says about itself.
    pub(crate) fn annotations(&self) -> Annotations {
        let mut annotations = self.labels.clone();
        annotations.insert(annotation::CREATED.to_owned(), EPOCH.to_owned());
        annotations.insert(annotation::TITLE.to_owned(), self.title.clone());
        annotations.insert(annotation::VERSION.to_owned(), self.version.clone());
        annotations
    }

    /// One digest over all that decides the image's bytes, much cheaper than the image.
    pub(crate) fn fingerprint(&self) -> Digest {
        #[derive(Serialize)]
        struct Inputs<'a> {
            format: u32,
            executable: Digest,
            command: &'a [String],
            env: &'a BTreeMap<String, String>,
            port: u16,
            annotations: Annotations,
        }
        sha256(&to_json(&Inputs {
            format: FORMAT,
            executable: sha256(&self.executable),
            command: &self.command,
            env: &self.env,
            port: self.port,
            annotations: self.annotations(),
        }))
    }
}
