//! What is going on, for whoever shows it.

use std::time::Duration;

use gimmetime_image::Digest;

use crate::receipt::Stage;

/// Something that happened during a push or a look-up. Blobs go in parallel: events of several may alternate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A blob or manifest is there and is not sent.
    Skipped {
        /// Its digest.
        digest: Digest,
    },
    /// A blob is being sent.
    Sending {
        /// Its digest.
        digest: Digest,
        /// Its bytes.
        bytes: u64,
    },
    /// A blob or manifest was stored.
    Stored {
        /// Its digest.
        digest: Digest,
        /// Its bytes.
        bytes: u64,
    },
    /// A tag names the image.
    Tagged {
        /// The tag.
        tag: String,
    },
    /// Something failed and will be tried again.
    Waiting {
        /// What failed.
        stage: Stage,
        /// How, in words.
        cause: String,
        /// How long is waited first.
        wait: Duration,
        /// The number of the try that follows.
        next_try: u32,
    },
}

/// Where events go; called from several threads.
pub type Events<'a> = &'a (dyn Fn(Event) + Sync);
