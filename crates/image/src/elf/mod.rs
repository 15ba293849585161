//! Tells whether a file can run alone in an empty image: a static ELF executable for x86-64 Linux.
//!
//! Reads a few fields of the ELF64 header, the program headers and the dynamic section (System V gABI, chapters 4
//! and 5), each within bounds. No section, symbol or instruction decides that: the kernel does
//! not look at them either.

use std::fmt;

mod section;
#[cfg(test)]
mod tests;

pub use section::section;

/// The kernel loads no more program headers than fit into 64 KiB (Linux `fs/binfmt_elf.c`).
const MAX_PROGRAM_HEADERS: u16 = (65_536 / PROGRAM_HEADER) as u16;
/// Longest path of an interpreter (`PATH_MAX`).
const MAX_INTERPRETER: usize = 4096;

const HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;
const CLASS_64: u8 = 2;
const LITTLE_ENDIAN: u8 = 1;
const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const DT_NULL: u64 = 0;
const DT_NEEDED: u64 = 1;
const DT_FLAGS_1: u64 = 0x6fff_fffb;
const DF_1_PIE: u64 = 0x0800_0000;

/// What the headers of a 64-bit ELF file say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elf {
    /// The processor it was made for.
    pub machine: Machine,
    /// What kind of file it is.
    pub kind: Kind,
    /// The loader it asks for; a static executable asks for none.
    pub interpreter: Option<String>,
    /// Number of shared libraries it needs.
    pub needed: usize,
}

/// The processor of an ELF file (`e_machine`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// 62, also called amd64.
    X86_64,
    /// 183, also called arm64.
    Aarch64,
    /// Any other, by its number.
    Other(u16),
}

/// What an ELF file is for (`e_type`; for `ET_DYN` told apart by the loader it asks for and its flags).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Can be started.
    Executable,
    /// A shared library.
    SharedLibrary,
    /// An object file, made for the linker.
    Relocatable,
    /// A core dump.
    Core,
    /// Any other, by its number.
    Other(u16),
}

/// Why a file cannot run alone in an image. Each message names what to do next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ElfError {
    /// Not an ELF file at all.
    #[error("expected a Linux executable (ELF), but found {found}; give the compiled program itself")]
    NotElf {
        /// What it looks like.
        found: String,
    },
    /// A 32-bit file.
    #[error("the executable is not 64-bit; build it for x86_64-unknown-linux-gnu")]
    Not64Bit,
    /// A file of a big-endian machine.
    #[error("the executable is big-endian; build it for x86_64-unknown-linux-gnu")]
    BigEndian,
    /// The file ends before what its headers announce.
    #[error("the executable is cut short: expected at least {expected} bytes, but found {found}; copy it again")]
    Truncated {
        /// Bytes that the headers announce.
        expected: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// The headers contradict the ELF format.
    #[error("the executable's headers are damaged ({what}); build it again")]
    Malformed {
        /// The field, and what it held.
        what: String,
    },
    /// Made for another processor.
    #[error("the executable is for {found}, expected x86-64; build it for x86_64-unknown-linux-gnu")]
    WrongMachine {
        /// The processor it was made for.
        found: Machine,
    },
    /// An ELF file, but not one that can be started.
    #[error("expected an executable, but found {found}; give the program that the linker made")]
    NotExecutable {
        /// What it is.
        found: Kind,
    },
    /// Needs a dynamic loader, which an image of one file lacks.
    #[error(
        "the executable is dynamic: it needs the loader `{interpreter}`, which the image does not hold; link it \
         statically (Rust: `RUSTFLAGS='-C target-feature=+crt-static' cargo build --target \
         x86_64-unknown-linux-gnu`, C: `cc -static`, Go: `CGO_ENABLED=0`)"
    )]
    Dynamic {
        /// The loader's path.
        interpreter: String,
    },
    /// Names shared libraries, though no loader.
    #[error("the executable needs {count} shared libraries, which the image does not hold; link it statically")]
    Needed {
        /// How many.
        count: usize,
    },
}

/// Checks that `file` can run alone: ELF, 64-bit x86-64, an executable, no loader and no shared library.
///
/// # Errors
/// One variant for each reason; the first that applies.
pub fn check_runnable(file: &[u8]) -> Result<(), ElfError> {
    let elf = inspect(file)?;
    if elf.machine != Machine::X86_64 {
        return Err(ElfError::WrongMachine { found: elf.machine });
    }
    if elf.kind != Kind::Executable {
        return Err(ElfError::NotExecutable { found: elf.kind });
    }
    if let Some(interpreter) = elf.interpreter {
        return Err(ElfError::Dynamic { interpreter });
    }
    if elf.needed > 0 {
        return Err(ElfError::Needed { count: elf.needed });
    }
    Ok(())
}

/// What the headers of `file` say, of any processor and kind.
///
/// # Errors
/// `NotElf`, `Not64Bit`, `BigEndian`, `Truncated` and `Malformed`.
pub fn inspect(file: &[u8]) -> Result<Elf, ElfError> {
    check_identification(file)?;
    let header = slice(file, 0, HEADER)?;
    let machine = Machine::from(u16_at(header, 18));
    let segments = Segments::read(file, header)?;
    let interpreter = segments.interpreter.map(interpreter_path).transpose()?;
    let dynamic = read_dynamic(segments.dynamic.unwrap_or_default());
    let kind = match u16_at(header, 16) {
        1 => Kind::Relocatable,
        2 => Kind::Executable,
        // A position-independent executable and a shared library have one type. The C library has a loader too:
        // it can be started.
        3 if interpreter.is_some() || dynamic.pie => Kind::Executable,
        3 => Kind::SharedLibrary,
        4 => Kind::Core,
        other => Kind::Other(other),
    };
    if kind == Kind::Executable && !segments.loads {
        return Err(malformed("no segment to load"));
    }
    Ok(Elf { machine, kind, interpreter, needed: dynamic.needed })
}

impl From<u16> for Machine {
    fn from(number: u16) -> Self {
        match number {
            62 => Self::X86_64,
            183 => Self::Aarch64,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::X86_64 => f.write_str("x86-64"),
            Self::Aarch64 => f.write_str("ARM64 (aarch64)"),
            Self::Other(3) => f.write_str("x86 (32-bit)"),
            Self::Other(40) => f.write_str("ARM (32-bit)"),
            Self::Other(21) => f.write_str("PowerPC 64"),
            Self::Other(22) => f.write_str("IBM Z (s390x)"),
            Self::Other(243) => f.write_str("RISC-V"),
            Self::Other(258) => f.write_str("LoongArch"),
            Self::Other(number) => write!(f, "an unknown processor (ELF machine {number})"),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Executable => f.write_str("an executable"),
            Self::SharedLibrary => f.write_str("a shared library"),
            Self::Relocatable => f.write_str("an object file"),
            Self::Core => f.write_str("a core dump"),
            Self::Other(number) => write!(f, "an ELF file of unknown type {number}"),
        }
    }
}

fn check_identification(file: &[u8]) -> Result<(), ElfError> {
    if !file.starts_with(b"\x7fELF") {
        return Err(ElfError::NotElf { found: describe(file) });
    }
    match (file.get(4), file.get(5)) {
        (Some(&CLASS_64), Some(&LITTLE_ENDIAN)) => Ok(()),
        (Some(&CLASS_64), Some(2)) => Err(ElfError::BigEndian),
        (Some(1), Some(1 | 2)) => Err(ElfError::Not64Bit),
        (Some(class), Some(data)) => Err(malformed(format!("class {class}, byte order {data}"))),
        _ => Err(ElfError::Truncated { expected: HEADER as u64, found: file.len() as u64 }),
    }
}

/// What a file that is not ELF looks like, for the one who chose it.
fn describe(file: &[u8]) -> String {
    if let Some(rest) = file.strip_prefix(b"#!") {
        let line = rest.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let line = String::from_utf8_lossy(&line[..line.len().min(80)]);
        return format!("a script for `{}`", line.trim().escape_debug());
    }
    match file {
        [] => "an empty file".to_owned(),
        [0x1f, 0x8b, ..] => "a gzip archive".to_owned(),
        [b'M', b'Z', ..] => "a Windows program".to_owned(),
        [0xcf, 0xfa, 0xed, 0xfe, ..] | [0xca, 0xfe, 0xba, 0xbe, ..] => "a macOS program".to_owned(),
        [b'P', b'K', 3, 4, ..] => "a zip archive".to_owned(),
        _ => format!("a file that starts with `{}`", file[..file.len().min(4)].escape_ascii()),
    }
}

/// What is needed of the program headers.
#[derive(Default)]
struct Segments<'a> {
    loads: bool,
    interpreter: Option<&'a [u8]>,
    dynamic: Option<&'a [u8]>,
}

impl<'a> Segments<'a> {
    fn read(file: &'a [u8], header: &[u8]) -> Result<Self, ElfError> {
        let (offset, entry_size, count) = (u64_at(header, 32), u16_at(header, 54), u16_at(header, 56));
        let mut segments = Self::default();
        if count == 0 {
            return Ok(segments);
        }
        if usize::from(entry_size) != PROGRAM_HEADER {
            return Err(malformed(format!("program headers of {entry_size} bytes, expected {PROGRAM_HEADER}")));
        }
        if count > MAX_PROGRAM_HEADERS {
            return Err(malformed(format!("{count} program headers, expected at most {MAX_PROGRAM_HEADERS}")));
        }
        let table = slice(file, offset, PROGRAM_HEADER * usize::from(count))?;
        for entry in table.chunks_exact(PROGRAM_HEADER) {
            let content = || slice(file, u64_at(entry, 8), usize::try_from(u64_at(entry, 32)).unwrap_or(usize::MAX));
            match u32_at(entry, 0) {
                PT_LOAD => segments.loads = content().map(|_| true)?,
                PT_INTERP => segments.interpreter = Some(content()?),
                PT_DYNAMIC => segments.dynamic = Some(content()?),
                _ => {}
            }
        }
        Ok(segments)
    }
}

fn interpreter_path(bytes: &[u8]) -> Result<String, ElfError> {
    let path = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    if path.is_empty() || path.len() > MAX_INTERPRETER {
        return Err(malformed(format!("a loader's path of {} bytes", path.len())));
    }
    Ok(String::from_utf8_lossy(path).escape_debug().to_string())
}

struct Dynamic {
    needed: usize,
    pie: bool,
}

fn read_dynamic(bytes: &[u8]) -> Dynamic {
    let entries = bytes.chunks_exact(16).map(|entry| (u64_at(entry, 0), u64_at(entry, 8)));
    let mut dynamic = Dynamic { needed: 0, pie: false };
    for (tag, value) in entries.take_while(|&(tag, _)| tag != DT_NULL) {
        match tag {
            DT_NEEDED => dynamic.needed += 1,
            DT_FLAGS_1 => dynamic.pie = value & DF_1_PIE != 0,
            _ => {}
        }
    }
    dynamic
}

/// `length` bytes at `offset`, if the file has them.
fn slice(file: &[u8], offset: u64, length: usize) -> Result<&[u8], ElfError> {
    let end = offset.saturating_add(length as u64);
    let range = usize::try_from(offset).ok().zip(usize::try_from(end).ok());
    range
        .and_then(|(start, end)| file.get(start..end))
        .ok_or(ElfError::Truncated { expected: end, found: file.len() as u64 })
}

fn malformed(what: impl Into<String>) -> ElfError {
    ElfError::Malformed { what: what.into() }
}

// The three below are given slices of a size that holds the field.

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
