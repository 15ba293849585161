//! Finds a section of an ELF64 file by its name (System V gABI, chapter 4, "Sections").
//!
//! Sections decide nothing about how a program runs; some tools leave notes on a program in one.

use super::{ElfError, check_identification, malformed, slice, u16_at, u32_at, u64_at};

const SECTION_HEADER: usize = 64;
/// `SHT_NOBITS`: a section without bytes in the file.
const NO_BITS: u32 = 8;

/// The content of the first section called `name`; `None` if there is none.
///
/// # Errors
/// `NotElf`, `Not64Bit`, `BigEndian`, `Truncated` and `Malformed`.
pub fn section<'a>(file: &'a [u8], name: &str) -> Result<Option<&'a [u8]>, ElfError> {
    check_identification(file)?;
    let header = slice(file, 0, super::HEADER)?;
    let (offset, entry_size, count, names) =
        (u64_at(header, 40), u16_at(header, 58), u16_at(header, 60), u16_at(header, 62));
    if count == 0 {
        return Ok(None);
    }
    if usize::from(entry_size) != SECTION_HEADER {
        return Err(malformed(format!("section headers of {entry_size} bytes, expected {SECTION_HEADER}")));
    }
    let table = slice(file, offset, SECTION_HEADER * usize::from(count))?;
    let headers = || table.chunks_exact(SECTION_HEADER);
    let content =
        |header: &[u8]| slice(file, u64_at(header, 24), usize::try_from(u64_at(header, 32)).unwrap_or(usize::MAX));
    let Some(names) = headers().nth(usize::from(names)) else {
        return Err(malformed(format!("section names in section {names} of {count}")));
    };
    let names = content(names)?;
    let is_called = |header: &&[u8]| {
        let start = u32_at(header, 0) as usize;
        let rest = names.get(start..).unwrap_or_default();
        u32_at(header, 4) != NO_BITS && rest.split(|&byte| byte == 0).next() == Some(name.as_bytes())
    };
    headers().find(is_called).map(content).transpose()
}
