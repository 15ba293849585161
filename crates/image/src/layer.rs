//! The one layer of an image: an archive of one file, in gzip.
//!
//! The compressor is pinned by Cargo.lock; a test holds the digest of a small image and notices when it changes.

use std::io::Write;

use flate2::{Compression, GzBuilder};

use crate::digest::{Digest, Hasher};
use crate::ustar::{self, Mode};

const NAME: &str = "app";
/// RFC 1952, section 2.3: OS 255 is "unknown".
const UNKNOWN_OS: u8 = 255;

pub(crate) struct Layer {
    /// The gzip file.
    pub(crate) bytes: Vec<u8>,
    /// The digest of the archive before compression.
    pub(crate) diff_id: Digest,
}

/// The layer that holds `executable` as `/app`, readable and executable by all, owned by root.
pub(crate) fn pack(executable: &[u8]) -> Layer {
    let compressed = Vec::with_capacity(executable.len() / 2);
    let mut gzip = GzBuilder::new().mtime(0).operating_system(UNKNOWN_OS).write(compressed, Compression::best());
    archive(&mut gzip, executable);
    let bytes = gzip.finish().expect("a Vec takes all that is written");
    Layer { bytes, diff_id: diff_id(executable) }
}

/// The digest of that layer before compression.
pub(crate) fn diff_id(executable: &[u8]) -> Digest {
    let mut hasher = Hasher::default();
    archive(&mut hasher, executable);
    hasher.finish()
}

/// Writes the archive to what takes all that is written.
fn archive(out: &mut impl Write, executable: &[u8]) {
    let written = ustar::append(out, NAME, Mode::Executable, executable).and_then(|()| ustar::finish(out));
    written.expect("memory takes all that is written");
}
