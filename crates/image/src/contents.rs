//! What is in a layer, to compare it with another: names, kinds, rights and digests, not the bytes themselves.

use std::io::Read;

use flate2::read::MultiGzDecoder;

use crate::digest::{Digest, sha256};
use crate::spec::MAX_EXECUTABLE;
use crate::tar::{Archive, Kind, TarError};

/// Most bytes that a layer may unpack to.
const MAX_UNPACKED: u64 = 1 << 30;
/// Most entries of a layer that are read.
const MAX_ENTRIES: usize = 100_000;
/// RFC 1952, section 2.3.1.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// One file, folder or link of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its path, as the archive has it.
    pub path: Vec<u8>,
    kind: Kind,
    link: Vec<u8>,
    mode: u64,
    owner: [Option<u64>; 2],
    modified: Option<u64>,
    size: u64,
    digest: Digest,
}

/// Why a layer cannot be looked into.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(String);

/// The entries of a layer, plain or in gzip, in their order.
///
/// # Errors
/// It is no archive, or has more in it than is read: 1 GiB, 256 MiB in one file, 100,000 entries.
pub fn read(layer: &[u8]) -> Result<Vec<Member>, Unreadable> {
    if layer.starts_with(&GZIP) { members(MultiGzDecoder::new(layer)) } else { members(layer) }
}

fn members(archive: impl Read) -> Result<Vec<Member>, Unreadable> {
    let broken = |error: TarError| Unreadable(error.to_string());
    let mut archive = Archive::new(archive.take(MAX_UNPACKED));
    let mut members = Vec::new();
    while let Some(found) = archive.next().map_err(broken)? {
        if MAX_EXECUTABLE < found.size || MAX_ENTRIES <= members.len() {
            return Err(Unreadable("it holds more than is read".to_owned()));
        }
        let digest = sha256(&archive.content().map_err(broken)?);
        let (path, kind, link) = (found.path, found.kind, found.link);
        let (mode, size) = (found.mode, found.size);
        members.push(Member { path, kind, link, mode, owner: found.owner, modified: found.modified, size, digest });
    }
    Ok(members)
}

impl Member {
    /// In what the two differ first, and both values in words; paths are not looked at.
    pub fn first_difference(&self, other: &Self) -> Option<(&'static str, String, String)> {
        let words = |of: fn(&Self) -> String| (of(self), of(other));
        let all: [(&'static str, (String, String)); 7] = [
            ("kind", words(|member| format!("{:?}", member.kind))),
            ("size", words(|member| format!("{} bytes", member.size))),
            ("content", words(|member| member.digest.to_string())),
            ("mode", words(|member| format!("{:04o}", member.mode))),
            ("owner", words(|member| format!("{}:{}", known(member.owner[0]), known(member.owner[1])))),
            ("time", words(|member| known(member.modified))),
            ("target", words(|member| String::from_utf8_lossy(&member.link).into_owned())),
        ];
        all.into_iter().find(|(_, (ours, theirs))| ours != theirs).map(|(what, (ours, theirs))| (what, ours, theirs))
    }
}

fn known(number: Option<u64>) -> String {
    number.map_or_else(|| "?".to_owned(), |number| number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{member, spec};
    use crate::pack;

    #[test]
    fn the_layer_of_an_image_holds_its_program() {
        let image = pack(&spec());
        let members = read(&image.layers()[0].bytes).unwrap();
        assert_eq!(members.len(), 1);
        assert_eq!(members[0].path, b"app");
        assert_eq!(members[0].digest, sha256(&spec().executable));
        assert_eq!(members[0].first_difference(&members[0]), None);
    }

    #[test]
    fn the_first_difference_of_two_entries_is_named() {
        let of = |mode, content: &[u8]| read(&member("a", b'0', mode, "", content)).unwrap().remove(0);
        let (what, ours, theirs) = of(0o555, b"x").first_difference(&of(0o755, b"x")).unwrap();
        assert_eq!((what, ours.as_str(), theirs.as_str()), ("mode", "0555", "0755"));
        assert_eq!(of(0o555, b"x").first_difference(&of(0o755, b"y")).unwrap().0, "content");
        assert_eq!(of(0o555, b"x").first_difference(&of(0o555, b"xy")).unwrap().0, "size");
    }

    #[test]
    fn what_is_no_layer_is_refused() {
        assert!(read(&[b'x'; 600]).is_err());
        assert!(read(&[0x1f, 0x8b, 0]).is_err());
    }
}
