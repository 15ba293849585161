//! What the tests of several rooms need: a small executable that runs, and images of other builders.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::digest::{Digest, sha256};
use crate::manifest::annotation;
use crate::ustar::{BLOCK, checksum};
use crate::{Layout, Spec};

/// `exit(7)` in x86-64: mov edi, 7; mov eax, 60; syscall.
const EXIT_7: &[u8] = &[0xbf, 7, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05];
const BASE: u64 = 0x40_0000;

/// A static executable of 132 bytes that exits with 7.
pub(crate) fn executable() -> Vec<u8> {
    elf(62, 2, &[(1, 0, 132)], EXIT_7)
}

/// An ELF64 file with those program headers (type, offset, size), and `content` behind them.
pub(crate) fn elf(machine: u16, kind: u16, segments: &[(u32, u64, u64)], content: &[u8]) -> Vec<u8> {
    let start = 64 + 56 * segments.len() as u64;
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend([kind.to_le_bytes(), machine.to_le_bytes()].concat());
    file.extend(1u32.to_le_bytes());
    file.extend([BASE + start, 64, 0].map(u64::to_le_bytes).concat()); // entry, program headers, sections
    file.extend(0u32.to_le_bytes());
    file.extend([64, 56, segments.len() as u16, 64, 0, 0].map(u16::to_le_bytes).concat());
    for &(segment, offset, size) in segments {
        file.extend([segment, 5].map(u32::to_le_bytes).concat()); // readable, executable
        file.extend([offset, BASE + offset, BASE + offset, size, size, 0x1000].map(u64::to_le_bytes).concat());
    }
    file.extend(content);
    file
}

pub(crate) fn spec() -> Spec {
    let texts = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
    };
    Spec {
        executable: executable().into(),
        command: vec!["--threads".to_owned(), "2".to_owned()],
        env: texts(&[("B", "2=3"), ("A", "1")]),
        port: 8080,
        title: "gimmetime".to_owned(),
        version: "0.1.0".to_owned(),
        labels: texts(&[(annotation::LICENSES, "MIT OR Apache-2.0"), (annotation::REVISION, "0123abc")]),
    }
}

/// One header and the content of a tar archive.
pub(crate) fn member(path: &str, flag: u8, mode: u32, link: &str, content: &[u8]) -> Vec<u8> {
    let mut header = [0; BLOCK];
    header[..path.len()].copy_from_slice(path.as_bytes());
    header[100..107].copy_from_slice(format!("{mode:07o}").as_bytes());
    header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
    header[156] = flag;
    header[157..157 + link.len()].copy_from_slice(link.as_bytes());
    header[257..265].copy_from_slice(b"ustar\x0000");
    let sum = checksum(&header);
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut member = header.to_vec();
    member.extend(content);
    member.resize(BLOCK + content.len().next_multiple_of(BLOCK), 0);
    member
}

/// The image of another builder: plain tar layers, and settings as the config's `config` has them.
pub(crate) struct Foreign {
    pub(crate) layers: Vec<Vec<u8>>,
    pub(crate) media_type: &'static str,
    pub(crate) architecture: &'static str,
    pub(crate) execution: Value,
}

impl Foreign {
    pub(crate) fn new(layers: Vec<Vec<u8>>) -> Self {
        let execution = json!({ "Entrypoint": ["/srv/bin/app"], "Cmd": null, "Env": null, "User": "" });
        Self { layers, media_type: "application/vnd.oci.image.layer.v1.tar", architecture: "amd64", execution }
    }

    /// Puts it into `layout`, as a foreign tool would; the digest of its manifest.
    pub(crate) fn put(&self, layout: &Layout) -> Digest {
        let diff_ids: Vec<Digest> = self.layers.iter().map(|layer| sha256(layer)).collect();
        let config = json!({
            "architecture": self.architecture, "os": "linux", "config": self.execution,
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        let layers: Vec<Value> =
            self.layers.iter().map(|layer| put_blob(layout.dir(), layer, self.media_type)).collect();
        let config = put_blob(layout.dir(), config.to_string().as_bytes(), "application/vnd.oci.image.config.v1+json");
        let manifest = json!({ "schemaVersion": 2, "config": config, "layers": layers }).to_string();
        put_blob(layout.dir(), manifest.as_bytes(), "");
        sha256(manifest.as_bytes())
    }
}

pub(crate) fn put_blob(dir: &Path, bytes: &[u8], media_type: &str) -> Value {
    let digest = sha256(bytes);
    fs::write(dir.join("blobs/sha256").join(digest.hex()), bytes).unwrap();
    json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
}
