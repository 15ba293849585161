use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::elf::ElfError;
use crate::fixture::executable;

fn subject<'a>(digest: &'a Digest, executable: &'a [u8]) -> Subject<'a> {
    Subject { digest, title: "gimmetime", version: "0.1.0", executable }
}

fn component(name: &str, version: &str) -> Component {
    Component { name: name.into(), version: version.into(), is_published: true, licence: None, sha256: None }
}

/// The fixture with a section `.dep-v0` that holds `content`.
fn with_section(content: &[u8]) -> Vec<u8> {
    const NAMES: &[u8] = b"\0.dep-v0\0.shstrtab\0";
    let mut file = executable();
    let content_at = file.len() as u64;
    file.extend(content);
    let names_at = file.len() as u64;
    file.extend(NAMES);
    let table_at = file.len() as u64;
    for (name, kind, at, size) in
        [(0u32, 0u32, 0, 0), (1, 1, content_at, content.len() as u64), (9, 3, names_at, NAMES.len() as u64)]
    {
        file.extend([name, kind].map(u32::to_le_bytes).concat());
        file.extend([0, 0, at, size].map(u64::to_le_bytes).concat());
        file.extend([0; 24]);
    }
    file[40..48].copy_from_slice(&table_at.to_le_bytes());
    file[58..64].copy_from_slice(&[64u16, 3, 2].map(u16::to_le_bytes).concat());
    file
}

fn zlib(json: &str) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(json.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn one_image_has_one_document() {
    let digest = sha256(b"image");
    let executable = executable();
    let mut crates = vec![component("b", "1.0.0"), component("a", "1.0.0+x")];
    crates[0].licence = Some("MIT".to_owned());
    crates[0].sha256 = Some("0".repeat(64));
    let first = document(&subject(&digest, &executable), &crates);
    crates.reverse();
    crates.push(crates[0].clone());
    assert_eq!(first, document(&subject(&digest, &executable), &crates), "neither order nor repetition matters");

    let read: Value = serde_json::from_slice(&first).unwrap();
    assert_eq!(read["metadata"]["timestamp"], "1970-01-01T00:00:00Z");
    assert_eq!(read["metadata"]["component"]["purl"], format!("pkg:oci/gimmetime@sha256%3A{}", digest.hex()));
    let components = read["components"].as_array().unwrap();
    assert_eq!(components[0]["hashes"][0]["content"], sha256(&executable).hex());
    assert_eq!(components[1]["purl"], "pkg:cargo/a@1.0.0%2Bx");
    assert_eq!(components[2]["licenses"][0]["expression"], "MIT");
    assert_eq!(read["dependencies"][1]["dependsOn"], json!(["pkg:cargo/a@1.0.0%2Bx", "pkg:cargo/b@1.0.0"]));
    assert_eq!(read["compositions"][0]["aggregate"], "incomplete");
}

#[test]
fn the_serial_number_is_a_uuid_of_the_digest() {
    let digest: Digest = format!("sha256:{}", "f".repeat(64)).parse().unwrap();
    assert_eq!(serial_number(&digest), "urn:uuid:ffffffff-ffff-8fff-bfff-ffffffffffff");
    assert_ne!(serial_number(&sha256(b"a")), serial_number(&sha256(b"b")));
}

#[test]
fn crates_that_an_executable_tells_of_are_listed_without_what_only_built_it() {
    let list = r#"{"packages":[
        {"name":"service","version":"0.1.0","source":"local","root":true,"dependencies":[1,2]},
        {"name":"cc","version":"1.2.0","source":"a-registry","kind":"build"},
        {"name":"libc","version":"0.2.1","source":"a-registry","kind":"runtime"}]}"#;
    let own = Component { is_published: false, ..component("service", "0.1.0") };
    assert_eq!(audited(&with_section(&zlib(list))), Ok(vec![own, component("libc", "0.2.1")]));
    assert_eq!(audited(&executable()), Ok(Vec::new()));
}

#[test]
fn a_list_that_cannot_be_read_is_an_error_and_not_an_empty_list() {
    for content in [&b"no zlib"[..], &zlib("no json"), &zlib(&" ".repeat(9 << 20))] {
        let refused = audited(&with_section(content));
        assert!(matches!(refused, Err(AuditError::List { .. })), "{refused:?}");
    }
    let mut cut = with_section(&zlib("{}"));
    cut.truncate(cut.len() - 1);
    assert!(matches!(audited(&cut), Err(AuditError::Elf(ElfError::Truncated { .. }))));
}

proptest! {
    #[test]
    fn no_file_makes_the_reader_of_sections_panic(content in proptest::collection::vec(any::<u8>(), 0..64), at in 0usize..64, byte: u8) {
        let mut file = with_section(&content);
        file[at] = byte;
        let _ = audited(&file);
    }
}
