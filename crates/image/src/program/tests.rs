use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::Layout;
use crate::fixture::{Foreign, executable, member, spec};
use crate::ustar;

/// Flags of a member of an archive.
const FILE: u8 = b'0';
const HARD_LINK: u8 = b'1';
const SYMLINK: u8 = b'2';
const FIFO: u8 = b'6';
const FOLDER: u8 = b'5';

const APP: &str = "srv/bin/app";

fn archive(members: &[&[u8]]) -> Vec<u8> {
    [members.concat(), vec![0; 1024]].concat()
}

fn app() -> Vec<u8> {
    member(APP, FILE, 0o755, "", &executable())
}

/// The program of an image with these layers, made of these members.
fn extracted(layers: &[&[&[u8]]]) -> Result<Program, LayoutError> {
    from(&Foreign::new(layers.iter().map(|members| archive(members)).collect()))
}

fn from(image: &Foreign) -> Result<Program, LayoutError> {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::create(dir.path()).unwrap();
    layout.executable(&image.put(&layout))
}

#[track_caller]
fn unrunnable(result: Result<Program, LayoutError>) -> Unrunnable {
    match result {
        Err(LayoutError::Unrunnable { reason, .. }) => reason,
        other => panic!("expected Unrunnable, but found {other:?}"),
    }
}

fn not_a_file(found: &str) -> Unrunnable {
    Unrunnable::NotAFile { path: format!("/{APP}"), found: found.to_owned() }
}

#[test]
fn the_program_of_a_spec_is_the_one_in_its_image() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::create(dir.path()).unwrap();
    let entry = layout.add_or_find(&spec()).unwrap();
    assert_eq!(layout.executable(&entry.digest).unwrap(), Program::of(spec()));
}

#[test]
fn the_image_of_another_builder_runs_if_it_is_static() {
    let program = extracted(&[&[&member("./srv/", FOLDER, 0o755, "", b""), &app()]]).unwrap();
    assert_eq!(program.bytes, executable());
    assert_eq!(program.user, None);
    assert_eq!(program.workdir, "/");
}

#[test]
fn entrypoint_and_command_are_one_list() {
    let mut image = Foreign::new(vec![archive(&[&app()])]);
    image.execution = json!({
        "Entrypoint": ["/srv/bin/app", "a"], "Cmd": ["b"], "Env": ["A=1=2", "B"], "User": "1000", "WorkingDir": "/srv",
    });
    let program = from(&image).unwrap();
    assert_eq!(program.args, ["a", "b"]);
    assert_eq!(program.env, [("A".to_owned(), "1=2".to_owned()), ("B".to_owned(), String::new())]);
    assert_eq!(program.user, Some(User { uid: 1000, gid: 1000 }));
    assert_eq!(program.workdir, "/srv");
    image.execution = json!({ "Cmd": ["/srv/bin/app", "c"], "User": "nobody" });
    let program = from(&image).unwrap();
    assert_eq!(program.args, ["c"]);
    assert_eq!(program.user, None);
}

#[test]
fn the_last_layer_wins() {
    let newer = [executable(), vec![1, 2, 3]].concat();
    let newer_app = member(APP, FILE, 0o555, "", &newer);
    assert_eq!(extracted(&[&[&app()], &[&newer_app]]).unwrap().bytes, newer);
    assert_eq!(extracted(&[&[&newer_app], &[&app()]]).unwrap().bytes, executable());
}

#[test]
fn a_whiteout_hides_what_lies_below_it() {
    for hidden in ["srv/bin/.wh.app", "srv/.wh.bin", ".wh.srv", "srv/bin/.wh..wh..opq", ".wh..wh..opq"] {
        let whiteout = member(hidden, FILE, 0o644, "", b"");
        let missing = not_a_file("missing from its layers");
        assert_eq!(unrunnable(extracted(&[&[&app()], &[&whiteout]])), missing, "{hidden}");
        // In its own layer it hides nothing, wherever it stands.
        extracted(&[&[&app()], &[&whiteout, &app()]]).unwrap();
        extracted(&[&[&app()], &[&app(), &whiteout]]).unwrap();
    }
    extracted(&[&[&app()], &[&member("srv/bin/.wh.other", FILE, 0o644, "", b"")]]).unwrap();
    extracted(&[&[&app()], &[&member("etc/.wh.app", FILE, 0o644, "", b"")]]).unwrap();
}

#[test]
fn a_link_on_the_way_is_named_and_not_followed() {
    let link = |path: &str, target: &str| Unrunnable::Link { path: path.to_owned(), target: target.to_owned() };
    let outward = member("srv/bin", SYMLINK, 0o777, "../../etc", b"");
    assert_eq!(unrunnable(extracted(&[&[&app()], &[&outward]])), link("/srv/bin", "../../etc"));
    assert_eq!(unrunnable(extracted(&[&[&outward, &app()]])), link("/srv/bin", "../../etc"));
    let file = member(APP, SYMLINK, 0o777, "busybox", b"");
    assert_eq!(unrunnable(extracted(&[&[&file]])), link("/srv/bin/app", "busybox"));
    let hard = member(APP, HARD_LINK, 0o755, "srv/bin/busybox", b"");
    assert_eq!(unrunnable(extracted(&[&[&hard]])), link("/srv/bin/app", "srv/bin/busybox"));
}

#[test]
fn an_entrypoint_that_is_no_executable_file_is_refused() {
    assert_eq!(unrunnable(extracted(&[&[&member(APP, FOLDER, 0o755, "", b"")]])), not_a_file("a folder"));
    assert_eq!(unrunnable(extracted(&[&[&member(APP, FIFO, 0o755, "", b"")]])), not_a_file("a special file"));
    let plain = member(APP, FILE, 0o644, "", &executable());
    assert_eq!(unrunnable(extracted(&[&[&plain]])), Unrunnable::Mode { path: format!("/{APP}"), mode: 0o644 });
    let script = member(APP, FILE, 0o755, "", b"#!/bin/sh\n");
    let error = ElfError::NotElf { found: "a script for `/bin/sh`".to_owned() };
    assert_eq!(unrunnable(extracted(&[&[&script]])), Unrunnable::Executable { path: format!("/{APP}"), error });
    // A file where the path has a folder.
    let missing = not_a_file("missing from its layers");
    assert_eq!(unrunnable(extracted(&[&[&app()], &[&member("srv", FILE, 0o755, "", b"")]])), missing);
}

#[test]
fn settings_that_no_process_has_are_refused() {
    let mut image = Foreign::new(vec![archive(&[&app()])]);
    image.architecture = "arm64";
    assert_eq!(unrunnable(from(&image)), Unrunnable::Platform { found: "linux/arm64".to_owned() });
    image.architecture = "amd64";
    image.execution = json!(null);
    assert_eq!(unrunnable(from(&image)), Unrunnable::NoEntrypoint);
    image.execution = json!({ "Entrypoint": ["app"] });
    assert_eq!(unrunnable(from(&image)), Unrunnable::Relative { path: "app".to_owned() });
    image.media_type = "application/vnd.oci.image.layer.v1.tar+zstd";
    image.execution = json!({ "Entrypoint": ["/srv/bin/app"] });
    assert_eq!(unrunnable(from(&image)), Unrunnable::MediaType { media_type: image.media_type.to_owned() });
    assert_eq!(unrunnable(from(&Foreign::new(vec![]))), Unrunnable::Layers { found: 0 });
}

#[test]
fn long_names_are_read_in_both_styles() {
    let record = |key: &str, value: &str| {
        let rest = format!(" {key}={value}\n");
        let length = (rest.len()..).take(10).find(|length| length.to_string().len() + rest.len() == *length).unwrap();
        format!("{length}{rest}").into_bytes()
    };
    let short = member("short", FILE, 0o755, "", &executable());
    let pax = member("pax", b'x', 0o644, "", &[record("mtime", "1.5"), record("path", APP)].concat());
    assert_eq!(extracted(&[&[&pax, &short]]).unwrap().bytes, executable());
    let gnu = member("././@LongLink", b'L', 0o644, "", format!("{APP}\0").as_bytes());
    assert_eq!(extracted(&[&[&gnu, &short]]).unwrap().bytes, executable());
    let sparse = member("pax", b'x', 0o644, "", &[record("path", APP), record("GNU.sparse.major", "1")].concat());
    assert_eq!(unrunnable(extracted(&[&[&sparse, &short]])), not_a_file("a special file"));
}

#[test]
fn a_broken_archive_is_damage() {
    let mut wrong_sum = app();
    wrong_sum[0] ^= 1;
    let mut cut = app();
    cut.truncate(600);
    let endless = member("x", b'L', 0o644, "", &vec![b'a'; 70_000]);
    let found = |layer: Vec<u8>| match from(&Foreign::new(vec![layer])) {
        Err(LayoutError::Corrupt { found, .. }) => found,
        other => panic!("expected Corrupt, but found {other:?}"),
    };
    assert_eq!(found(wrong_sum), "a header with a wrong checksum");
    assert_eq!(found(cut), "an archive that ends within a file");
    assert_eq!(found(vec![1; 100]), "an archive that ends within a header");
    assert_eq!(found(endless), "an extended header of more than 64 KiB");
}

#[test]
fn a_layer_that_unpacks_without_end_is_stopped() {
    let mut left = 1000;
    let error = read_layer(io::repeat(0).take(1 << 40).chain(io::empty()), &mut Walk::to("/app"), &mut left);
    assert!(matches!(error, Err(TarError::Read(_))), "{error:?}");
}

proptest! {
    #[test]
    fn no_bytes_make_the_tar_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let _ = read_layer(bytes.as_slice(), &mut Walk::to("/srv/bin/app"), &mut 100_000);
    }

    #[test]
    fn no_damage_makes_the_tar_reader_panic(at in 0usize..504, value in any::<[u8; 8]>(), flag in any::<u8>()) {
        let mut header = member(APP, flag, 0o755, "", &executable());
        header[at..at + 8].copy_from_slice(&value);
        // A right checksum, or nothing behind it would be read.
        let sum = ustar::checksum(header[..512].try_into().unwrap());
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let layer = archive(&[&header, &app()]);
        let _ = read_layer(layer.as_slice(), &mut Walk::to("/srv/bin/app"), &mut 100_000);
    }
}
