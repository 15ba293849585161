//! The crates that an executable tells of itself, as `cargo auditable` leaves them in it: a section `.dep-v0` with JSON
//! behind zlib. The executable is foreign: what is read has a limit.

use std::io::Read as _;

use flate2::read::ZlibDecoder;
use serde::Deserialize;

use super::Component;
use crate::elf::{self, ElfError};

const SECTION: &str = ".dep-v0";
/// Largest list, unpacked; that of a program with 1,000 crates has about 100 KB.
const MAX_LIST: u64 = 8 << 20;

/// Why an executable's list of crates cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// The file's sections cannot be read.
    #[error(transparent)]
    Elf(#[from] ElfError),
    /// The section is there, but holds something else.
    #[error("the executable's list of crates (section {SECTION}) cannot be read: {why}; build it again")]
    List {
        /// What is wrong with it.
        why: String,
    },
}

#[derive(Deserialize)]
struct List {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    /// `local`, `git`, or the name of a package registry.
    source: String,
    #[serde(default)]
    kind: Kind,
}

#[derive(Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Build,
    #[default]
    Runtime,
}

/// The crates in `executable`, itself among them; none if it does not tell.
pub fn audited(executable: &[u8]) -> Result<Vec<Component>, AuditError> {
    let Some(section) = elf::section(executable, SECTION)? else { return Ok(Vec::new()) };
    let refuse = |why: String| AuditError::List { why };
    let mut json = Vec::new();
    let unpacked = ZlibDecoder::new(section).take(MAX_LIST + 1).read_to_end(&mut json);
    unpacked.map_err(|error| refuse(error.to_string()))?;
    if MAX_LIST < json.len() as u64 {
        return Err(refuse(format!("it has more than {MAX_LIST} bytes")));
    }
    let list: List = serde_json::from_slice(&json).map_err(|error| refuse(error.to_string()))?;
    let linked = list.packages.into_iter().filter(|package| package.kind == Kind::Runtime);
    Ok(linked.map(Package::component).collect())
}

impl Package {
    fn component(self) -> Component {
        let is_published = !["local", "git"].contains(&self.source.as_str());
        Component { name: self.name, version: self.version, is_published, licence: None, sha256: None }
    }
}
