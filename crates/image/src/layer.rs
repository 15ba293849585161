//! The one layer of an image: a ustar archive (POSIX.1-2017 pax, "ustar Interchange Format") of one file, in gzip.
//!
//! Written by hand, since every byte of it is part of the digest: no time, no name of a user, no extension.
//! The compressor is pinned by Cargo.lock; a test holds the digest of a small image and notices when it changes.

use std::io::Write as _;

use flate2::{Compression, GzBuilder};

use crate::digest::{Digest, sha256};

/// Tar archives are made of blocks of this size.
pub(crate) const BLOCK: usize = 512;
const NAME: &[u8] = b"app";
const MODE: &[u8] = b"0000555";
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
    let padded = executable.len().next_multiple_of(BLOCK);
    let mut archive = Vec::with_capacity(padded + 3 * BLOCK);
    archive.extend_from_slice(&header(executable.len()));
    archive.extend_from_slice(executable);
    // Two empty blocks end an archive.
    archive.resize(BLOCK + padded + 2 * BLOCK, 0);
    archive
}

fn header(size: usize) -> [u8; BLOCK] {
    let mut header = [0; BLOCK];
    let mut put = |at: usize, field: &[u8]| header[at..at + field.len()].copy_from_slice(field);
    put(0, NAME);
    put(100, MODE);
    put(108, b"0000000"); // uid
    put(116, b"0000000"); // gid
    put(124, format!("{size:011o}").as_bytes());
    put(136, b"00000000000"); // mtime
    put(148, b"        "); // the checksum counts itself as spaces
    put(156, b"0"); // a regular file
    put(257, b"ustar\x0000");
    put(329, b"0000000"); // device numbers, which a regular file has not
    put(337, b"0000000");
    let checksum = checksum(&header);
    header[148..156].copy_from_slice(format!("{checksum:06o}\0 ").as_bytes());
    header
}

/// The sum of a header's bytes with its checksum field read as spaces.
pub(crate) fn checksum(header: &[u8; BLOCK]) -> u32 {
    let field = 148..156;
    let counted = |(at, &byte): (usize, &u8)| u32::from(if field.contains(&at) { b' ' } else { byte });
    header.iter().enumerate().map(counted).sum()
}
