//! Reads tar archives as image builders write them: ustar, pax and GNU long names.
//!
//! Streams, so that memory is bounded by what the caller keeps. The archive is foreign: every field is checked, and
//! nothing is ever written to disk by a name that it holds.

use std::io::{self, Read};

use crate::ustar::{BLOCK, checksum};

/// Largest extended header or long name.
const MAX_EXTENSION: u64 = 64 << 10;

/// One file, folder or link of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) path: Vec<u8>,
    pub(crate) kind: Kind,
    /// What a link points to.
    pub(crate) link: Vec<u8>,
    pub(crate) mode: u64,
    /// User and group by number, and the time of the last change in seconds: nothing here depends on them, so that a field
    /// which cannot be read is no error.
    pub(crate) owner: [Option<u64>; 2],
    pub(crate) modified: Option<u64>,
    /// Bytes of content that follow.
    pub(crate) size: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Regular,
    Directory,
    Symlink,
    HardLink,
    /// A device, a FIFO, a sparse file.
    Other,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum TarError {
    #[error(transparent)]
    Read(#[from] io::Error),
    #[error("{0}")]
    Malformed(&'static str),
}

/// An archive, read member by member.
pub(crate) struct Archive<R> {
    inner: R,
    /// Content of the current member, and its padding, that are still to be read.
    content: u64,
    padding: u64,
}

/// What extended headers say of the member that follows them.
#[derive(Default)]
struct Extension {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
}

impl<R: Read> Archive<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, content: 0, padding: 0 }
    }

    /// The next member; `None` at the end of the archive.
    pub(crate) fn next(&mut self) -> Result<Option<Member>, TarError> {
        let mut extension = Extension::default();
        loop {
            self.skip()?;
            let Some(header) = self.header()? else { return Ok(None) };
            let size = number(&header[124..136])?;
            self.expect_content(size)?;
            match header[156] {
                b'x' => extension.add_records(&self.extension()?)?,
                b'L' => extension.path = Some(until_nul(&self.extension()?).to_vec()),
                b'K' => extension.link = Some(until_nul(&self.extension()?).to_vec()),
                b'g' => {}
                _ => return self.member(&header, size, extension).map(Some),
            }
        }
    }

    /// The content of the current member, which has to fit into memory: the caller has looked at its size.
    pub(crate) fn content(&mut self) -> Result<Vec<u8>, TarError> {
        let mut content = Vec::new();
        self.inner.by_ref().take(self.content).read_to_end(&mut content)?;
        if (content.len() as u64) < self.content {
            return Err(TarError::Malformed("an archive that ends within a file"));
        }
        self.content = 0;
        Ok(content)
    }

    /// What the archive is read from, to read on behind its end.
    pub(crate) fn into_inner(self) -> R {
        self.inner
    }

    fn member(&mut self, header: &[u8; BLOCK], size: u64, extension: Extension) -> Result<Member, TarError> {
        let path = extension.path.unwrap_or_else(|| ustar_path(header));
        let kind = match header[156] {
            _ if extension.sparse => Kind::Other,
            b'0' | 0 if path.ends_with(b"/") => Kind::Directory,
            b'0' | b'7' | 0 => Kind::Regular,
            b'1' => Kind::HardLink,
            b'2' => Kind::Symlink,
            b'5' => Kind::Directory,
            _ => Kind::Other,
        };
        // A link or a folder has no content, whatever its size field says; so all readers have it.
        let without_content = (b'1'..=b'6').contains(&header[156]);
        let size = if without_content { 0 } else { extension.size.unwrap_or(size) };
        self.expect_content(size)?;
        let link = extension.link.unwrap_or_else(|| until_nul(&header[157..257]).to_vec());
        let lenient = |field: &[u8]| number(field).ok();
        let owner = [lenient(&header[108..116]), lenient(&header[116..124])];
        let modified = lenient(&header[136..148]);
        Ok(Member { path, kind, link, mode: number(&header[100..108])?, owner, modified, size })
    }

    fn header(&mut self) -> Result<Option<[u8; BLOCK]>, TarError> {
        let mut header = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.inner.read(&mut header[filled..])? {
                // Some writers leave the two empty blocks out.
                0 if filled == 0 => return Ok(None),
                0 => return Err(TarError::Malformed("an archive that ends within a header")),
                read => filled += read,
            }
        }
        if header == [0; BLOCK] {
            return Ok(None);
        }
        if number(&header[148..156])? != u64::from(checksum(&header)) {
            return Err(TarError::Malformed("a header with a wrong checksum"));
        }
        Ok(Some(header))
    }

    fn extension(&mut self) -> Result<Vec<u8>, TarError> {
        if MAX_EXTENSION < self.content {
            return Err(TarError::Malformed("an extended header of more than 64 KiB"));
        }
        self.content()
    }

    fn expect_content(&mut self, size: u64) -> Result<(), TarError> {
        let padded = size.checked_next_multiple_of(BLOCK as u64).ok_or(TarError::Malformed("a file of 2^64 bytes"))?;
        (self.content, self.padding) = (size, padded - size);
        Ok(())
    }

    fn skip(&mut self) -> Result<(), TarError> {
        let left = self.content.saturating_add(self.padding);
        let skipped = io::copy(&mut self.inner.by_ref().take(left), &mut io::sink())?;
        // Padding that is missing at the very end of an archive loses nothing.
        if skipped < self.content {
            return Err(TarError::Malformed("an archive that ends within a file"));
        }
        (self.content, self.padding) = (0, 0);
        Ok(())
    }
}

impl Extension {
    /// Takes pax records, `LENGTH KEY=VALUE\n`, where LENGTH counts the whole record.
    fn add_records(&mut self, mut records: &[u8]) -> Result<(), TarError> {
        const BROKEN: TarError = TarError::Malformed("a broken extended header");
        while !records.is_empty() {
            let space = records.iter().position(|&byte| byte == b' ').ok_or(BROKEN)?;
            let length = decimal(&records[..space]).and_then(|length| usize::try_from(length).ok()).ok_or(BROKEN)?;
            let record = records.get(space + 1..length).and_then(|record| record.strip_suffix(b"\n")).ok_or(BROKEN)?;
            let equals = record.iter().position(|&byte| byte == b'=').ok_or(BROKEN)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            match key {
                b"path" => self.path = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"size" => self.size = Some(decimal(value).ok_or(BROKEN)?),
                _ => self.sparse |= key.starts_with(b"GNU.sparse."),
            }
            records = &records[length..];
        }
        Ok(())
    }
}

fn ustar_path(header: &[u8; BLOCK]) -> Vec<u8> {
    let name = until_nul(&header[..100]);
    let prefix = until_nul(&header[345..500]);
    // GNU's own format says `ustar ` and has times where the prefix would be.
    if &header[257..263] == b"ustar\0" && !prefix.is_empty() { [prefix, b"/", name].concat() } else { name.to_vec() }
}

fn until_nul(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let text = str::from_utf8(digits).ok()?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// A number as tar has it: octal, padded with spaces or NULs, or big-endian behind a set first bit.
fn number(field: &[u8]) -> Result<u64, TarError> {
    const BROKEN: TarError = TarError::Malformed("a header with a broken number");
    if let [0x80, rest @ ..] = field {
        let (high, low) = rest.split_at(rest.len().saturating_sub(8));
        let negligible = high.iter().all(|&byte| byte == 0);
        return negligible.then(|| low.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte))).ok_or(BROKEN);
    }
    let text = str::from_utf8(field).map_err(|_| BROKEN)?.trim_matches(['\0', ' ']);
    if text.is_empty() { Ok(0) } else { u64::from_str_radix(text, 8).map_err(|_| BROKEN) }
}
