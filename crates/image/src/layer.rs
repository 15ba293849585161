//! The one layer of an image: an archive of one file, in gzip.
//!
//! The compressor is pinned by Cargo.lock; a test holds the digest of a small image and notices when it changes.

use std::io::Write as _;

use flate2::{Compression, GzBuilder};

use crate::digest::{Digest, sha256};
use crate::ustar::{self, BLOCK, Mode};

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
    let archive = archive(executable);
    let compressed = Vec::with_capacity(archive.len() / 2);
    let mut gzip = GzBuilder::new().mtime(0).operating_system(UNKNOWN_OS).write(compressed, Compression::best());
    gzip.write_all(&archive).expect("a Vec takes all that is written");
    let bytes = gzip.finish().expect("a Vec takes all that is written");
    Layer { bytes, diff_id: sha256(&archive) }
}

/// The digest of that layer before compression.
pub(crate) fn diff_id(executable: &[u8]) -> Digest {
    sha256(&archive(executable))
}

fn archive(executable: &[u8]) -> Vec<u8> {
    let mut archive = Vec::with_capacity(executable.len() + 4 * BLOCK);
    let written =
        ustar::append(&mut archive, NAME, Mode::Executable, executable).and_then(|()| ustar::finish(&mut archive));
    written.expect("a Vec takes all that is written");
    archive
}
