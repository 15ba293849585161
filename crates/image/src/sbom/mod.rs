//! What is in an image, as a bill of materials: CycloneDX 1.5 in JSON.
//!
//! Pure: one image gives one document, with no time and no random number in it. It names the executable and the crates
//! that its builder told of; a C library that was linked in is not known here, so no list is said to be complete.

mod audit;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use crate::config::ENTRYPOINT;
use crate::digest::{Digest, sha256};
use crate::spec::EPOCH;
pub use audit::{AuditError, audited};

/// What the document calls the executable.
const EXECUTABLE: &str = "executable";

/// The image that a document is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject<'a> {
    /// The image's digest.
    pub digest: &'a Digest,
    /// The image's name, as a repository has it.
    pub title: &'a str,
    /// Its version.
    pub version: &'a str,
    /// The executable in it.
    pub executable: &'a [u8],
}

/// A crate that is linked into an executable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Component {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Whether it came from a package registry, and so has a package URL.
    pub is_published: bool,
    /// Its licence, an SPDX expression, if it was told.
    pub licence: Option<String>,
    /// The sha256 of its package, 64 hex digits, if it was told.
    pub sha256: Option<String>,
}

/// The bill of materials of `subject`, whose executable holds `crates`.
pub fn document(subject: &Subject<'_>, crates: &[Component]) -> Vec<u8> {
    let Subject { digest, title, version, executable } = *subject;
    let mut sorted = crates.to_vec();
    sorted.sort();
    sorted.dedup();
    let program = json!({
        "type": "file",
        "bom-ref": EXECUTABLE,
        "name": ENTRYPOINT.trim_start_matches('/'),
        "hashes": [hash(sha256(executable).hex())],
    });
    let components: Vec<Value> = std::iter::once(program).chain(sorted.iter().map(Component::as_json)).collect();
    let references: Vec<String> = sorted.iter().map(Component::reference).collect();
    let document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": serial_number(digest),
        "version": 1,
        "metadata": {
            "timestamp": EPOCH,
            "tools": { "components": [{ "type": "application", "name": "gimmetime" }] },
            "component": {
                "type": "container",
                "bom-ref": digest,
                "name": title,
                "version": version,
                "purl": format!("pkg:oci/{title}@{}", digest.as_str().replace(':', "%3A")),
                "hashes": [hash(digest.hex())],
            },
        },
        "components": components,
        "dependencies": [
            { "ref": digest, "dependsOn": [EXECUTABLE] },
            { "ref": EXECUTABLE, "dependsOn": references },
        ],
        "compositions": [{
            "aggregate": if crates.is_empty() { "unknown" } else { "incomplete" },
            "dependencies": [EXECUTABLE],
        }],
    });
    let mut bytes = serde_json::to_vec_pretty(&document).expect("strings, numbers and maps with string keys are JSON");
    bytes.push(b'\n');
    bytes
}

impl Component {
    fn as_json(&self) -> Value {
        let mut component = json!({
            "type": "library",
            "bom-ref": self.reference(),
            "name": self.name,
            "version": self.version,
        });
        if self.is_published {
            component["purl"] = self.reference().into();
        }
        if let Some(licence) = &self.licence {
            component["licenses"] = json!([{ "expression": licence }]);
        }
        if let Some(sha256) = &self.sha256 {
            component["hashes"] = json!([hash(sha256)]);
        }
        component
    }

    /// Its package URL, which is also its name within the document (`+` must be escaped there).
    fn reference(&self) -> String {
        let kind = if self.is_published { "pkg:cargo/" } else { "" };
        format!("{kind}{}@{}", self.name, self.version.replace('+', "%2B"))
    }
}

fn hash(hex: &str) -> Value {
    json!({ "alg": "SHA-256", "content": hex })
}

/// A UUID of version 8 (RFC 9562, section 5.8), made of the digest's first 16 bytes: one image, one number.
fn serial_number(digest: &Digest) -> String {
    let hex = digest.hex();
    let nibble = u8::from_str_radix(&hex[16..17], 16).expect("a digest has hex digits");
    let variant = 0b1000 | (nibble & 0b0011);
    format!("urn:uuid:{}-{}-8{}-{variant:x}{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
}
