//! Writes ustar archives (POSIX.1-2017 pax, "ustar Interchange Format") of plain files.
//!
//! Written by hand, since every byte is part of a digest: no time, no name of a user, no extension.

use std::io::{self, Write};

/// Tar archives are made of blocks of this size.
pub(crate) const BLOCK: usize = 512;
/// Longest name of a file, in bytes; longer ones would need an extension.
const MAX_NAME: usize = 100;

/// The mode of a file in an archive, owned by root.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mode {
    /// Readable and executable by all.
    Executable,
    /// Readable by all.
    Data,
}

/// Writes one file called `name`, which has at most 100 bytes.
pub(crate) fn append(out: &mut impl Write, name: &str, mode: Mode, content: &[u8]) -> io::Result<()> {
    let padding = content.len().next_multiple_of(BLOCK) - content.len();
    out.write_all(&header(name, mode, content.len()))?;
    out.write_all(content)?;
    out.write_all(&[0; BLOCK][..padding])
}

/// Ends an archive: two empty blocks.
pub(crate) fn finish(out: &mut impl Write) -> io::Result<()> {
    out.write_all(&[0; 2 * BLOCK])
}

fn header(name: &str, mode: Mode, size: usize) -> [u8; BLOCK] {
    debug_assert!(name.len() <= MAX_NAME, "{name}");
    let mut header = [0; BLOCK];
    let mut put = |at: usize, field: &[u8]| header[at..at + field.len()].copy_from_slice(field);
    put(0, name.as_bytes());
    put(
        100,
        match mode {
            Mode::Executable => b"0000555",
            Mode::Data => b"0000444",
        },
    );
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
