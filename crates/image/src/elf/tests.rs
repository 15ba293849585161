use std::fs;
use std::process::Command;

use proptest::prelude::*;

use super::*;
use crate::fixture::{elf, executable};

#[track_caller]
fn refused(file: &[u8]) -> ElfError {
    check_runnable(file).unwrap_err()
}

fn dynamic_entries(entries: &[(u64, u64)]) -> Vec<u8> {
    entries.iter().flat_map(|&(tag, value)| [tag.to_le_bytes(), value.to_le_bytes()].concat()).collect()
}

/// A file of type `ET_DYN` with one segment to load and this dynamic section.
fn position_independent(entries: &[(u64, u64)]) -> Vec<u8> {
    let content = dynamic_entries(entries);
    elf(62, 3, &[(PT_LOAD, 0, 176), (PT_DYNAMIC, 176, content.len() as u64)], &content)
}

#[test]
fn a_static_executable_may_run() {
    check_runnable(&executable()).unwrap();
    check_runnable(&position_independent(&[(DT_FLAGS_1, DF_1_PIE), (DT_NULL, 0)])).unwrap();
}

#[test]
fn a_program_of_this_machine_is_refused_with_the_loader_it_needs() {
    let file = fs::read("/bin/true").unwrap();
    let error = refused(&file);
    assert_eq!(error, ElfError::Dynamic { interpreter: "/lib64/ld-linux-x86-64.so.2".to_owned() });
    assert!(error.to_string().contains("link it statically"), "{error}");
    assert!(inspect(&file).unwrap().needed > 0);
}

#[test]
fn what_a_linker_makes_is_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("main.c");
    fs::write(&source, "int main(void) { return 0; }").unwrap();
    let linked = |options: &[&str]| {
        let file = dir.path().join("out");
        let status = Command::new("cc").arg(&source).args(options).arg("-o").arg(&file).status();
        assert!(status.expect("this test needs `cc`; install build-essential").success(), "cc {options:?}");
        check_runnable(&fs::read(&file).unwrap())
    };
    linked(&["-static"]).unwrap();
    linked(&["-static-pie", "-fPIE"]).unwrap();
    assert!(matches!(linked(&["-pie", "-fPIE"]), Err(ElfError::Dynamic { .. })));
    assert!(matches!(linked(&["-no-pie"]), Err(ElfError::Dynamic { .. })));
    assert_eq!(linked(&["-shared", "-fPIC"]), Err(ElfError::NotExecutable { found: Kind::SharedLibrary }));
    assert_eq!(linked(&["-c"]), Err(ElfError::NotExecutable { found: Kind::Relocatable }));
}

#[test]
fn an_executable_of_another_processor_is_refused_by_its_name() {
    let error = refused(&elf(183, 2, &[(PT_LOAD, 0, 64)], &[]));
    assert_eq!(error, ElfError::WrongMachine { found: Machine::Aarch64 });
    assert_eq!(
        error.to_string(),
        "the executable is for ARM64 (aarch64), expected x86-64; build it for x86_64-unknown-linux-gnu"
    );
}

#[test]
fn what_is_no_elf_file_is_told_apart() {
    let found = |file: &[u8]| match refused(file) {
        ElfError::NotElf { found } => found,
        other => panic!("expected NotElf, but found {other:?}"),
    };
    assert_eq!(found(b""), "an empty file");
    assert_eq!(found(b"#!/bin/sh -e\necho"), "a script for `/bin/sh -e`");
    assert_eq!(found(&[0x1f, 0x8b, 8]), "a gzip archive");
    assert_eq!(found(b"\0\x01"), "a file that starts with `\\x00\\x01`");
}

#[test]
fn what_is_not_to_be_started_is_refused() {
    let kind = |file: &[u8]| match refused(file) {
        ElfError::NotExecutable { found } => found,
        other => panic!("expected NotExecutable, but found {other:?}"),
    };
    assert_eq!(kind(&elf(62, 1, &[], &[])), Kind::Relocatable);
    assert_eq!(kind(&elf(62, 4, &[], &[])), Kind::Core);
    assert_eq!(kind(&elf(62, 9, &[], &[])), Kind::Other(9));
    assert_eq!(kind(&position_independent(&[(DT_NEEDED, 1), (DT_NULL, 0)])), Kind::SharedLibrary);
    assert!(matches!(refused(&elf(62, 2, &[], &[])), ElfError::Malformed { .. }));
}

#[test]
fn libraries_without_a_loader_are_counted() {
    let entries = [(DT_NEEDED, 1), (DT_NEEDED, 9), (DT_FLAGS_1, DF_1_PIE), (DT_NULL, 0), (DT_NEEDED, 3)];
    assert_eq!(refused(&position_independent(&entries)), ElfError::Needed { count: 2 });
}

#[test]
fn other_classes_are_refused() {
    let mut file = executable();
    file[4] = 1;
    assert_eq!(refused(&file), ElfError::Not64Bit);
    (file[4], file[5]) = (2, 2);
    assert_eq!(refused(&file), ElfError::BigEndian);
}

#[test]
fn a_file_cut_anywhere_is_truncated() {
    let whole = executable();
    for length in 4..whole.len() {
        let error = refused(&whole[..length]);
        assert!(matches!(error, ElfError::Truncated { found, .. } if found == length as u64), "{length}: {error:?}");
    }
}

#[test]
fn headers_that_lie_are_refused() {
    let mut far = executable();
    far[32..40].fill(0xff);
    assert!(matches!(refused(&far), ElfError::Truncated { expected: u64::MAX, .. }));
    let mut many = executable();
    many[56..58].fill(0xff);
    assert!(matches!(refused(&many), ElfError::Malformed { .. }));
    let mut narrow = executable();
    narrow[54] = 8;
    assert!(matches!(refused(&narrow), ElfError::Malformed { .. }));
    let endless = elf(62, 2, &[(PT_INTERP, 0, u64::MAX)], &[]);
    assert!(matches!(refused(&endless), ElfError::Truncated { .. }));
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = check_runnable(&bytes);
    }

    #[test]
    fn no_damage_makes_the_reader_panic(at in 4usize..176, value in any::<[u8; 8]>(), length in 0usize..300) {
        let mut file = position_independent(&[(DT_NEEDED, 1), (DT_FLAGS_1, DF_1_PIE), (DT_NULL, 0)]);
        file[at..at + 8].copy_from_slice(&value);
        file.truncate(length);
        let _ = check_runnable(&file);
    }
}
