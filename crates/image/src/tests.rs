//! The image as a whole, and what programs that nobody here wrote make of it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use flate2::read::GzDecoder;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::elf::ElfError;
use crate::fixture::{executable, spec};
use crate::{BuildError, Image, Layout, Spec, annotation, build, pack, sha256};

/// The digests of `fixture::spec()`. When they change on purpose, raise `spec::FORMAT`.
const GOLDEN_MANIFEST: &str = "sha256:857098569813a2de3278be24e137b4a5a0bc78840ca8fb48d44ed865b7c828c0";
const GOLDEN_LAYER: &str = "sha256:494aadc4c5f0a625e17b902b04a965e33d76207ade14beec7ada30bb0083bcda";

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap()
}

/// What `program` prints when given `input`; says so if the machine lacks it.
#[track_caller]
pub(crate) fn run(program: &str, args: &[&OsStr], input: &[u8]) -> String {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("this test needs `{program}`; install it: {error}"));
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

fn layer(image: &Image) -> &[u8] {
    &image.layers()[0].bytes
}

#[test]
fn a_spec_has_one_digest_for_ever() {
    let image = build(&spec()).unwrap();
    assert_eq!(image.layers()[0].digest.as_str(), GOLDEN_LAYER, "the compressor or the archive has changed");
    assert_eq!(image.digest().as_str(), GOLDEN_MANIFEST, "config or manifest has changed");
}

#[test]
fn manifest_and_config_are_as_the_specification_has_them() {
    let image = build(&spec()).unwrap();
    let (config, layer) = (image.config(), &image.layers()[0]);
    let annotations = concat!(
        r#"{"org.opencontainers.image.created":"1970-01-01T00:00:00Z","org.opencontainers.image.licenses":"MIT OR Apache-2.0","#,
        r#""org.opencontainers.image.revision":"0123abc","org.opencontainers.image.title":"gimmetime","org.opencontainers.image.version":"0.1.0"}"#,
    );
    let expected = format!(
        concat!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"#,
            r#""mediaType":"application/vnd.oci.image.config.v1+json","digest":"{}","size":{}}},"layers":[{{"#,
            r#""mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"{}","size":{}}}],"#,
            r#""annotations":{}}}"#
        ),
        config.digest,
        config.bytes.len(),
        layer.digest,
        layer.bytes.len(),
        annotations
    );
    assert_eq!(text(&image.manifest().bytes), expected);
    let mut archive = Vec::new();
    GzDecoder::new(layer.bytes.as_slice()).read_to_end(&mut archive).unwrap();
    let expected = format!(
        concat!(
            r#"{{"created":"1970-01-01T00:00:00Z","architecture":"amd64","os":"linux","config":{{"User":"65532:65532","#,
            r#""ExposedPorts":{{"8080/tcp":{{}}}},"Env":["A=1","B=2=3"],"Entrypoint":["/app"],"#,
            r#""Cmd":["--threads","2"],"WorkingDir":"/","Labels":{},"StopSignal":"SIGTERM"}},"#,
            r#""rootfs":{{"type":"layers","diff_ids":["{}"]}},"#,
            r#""history":[{{"created":"1970-01-01T00:00:00Z","created_by":"gimmetime image build"}}]}}"#
        ),
        annotations,
        sha256(&archive)
    );
    assert_eq!(text(&config.bytes), expected);
}

#[test]
fn the_gzip_header_tells_nothing_of_the_builder() {
    let image = build(&spec()).unwrap();
    // RFC 1952: deflate, no flags, no time, slowest algorithm, unknown system.
    assert_eq!(layer(&image)[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255]);
}

/// Also the child of the test below, which tells it the folder.
#[test]
fn a_layout_is_written_with_the_golden_digest() {
    let temporary = tempfile::tempdir().unwrap();
    #[expect(clippy::disallowed_methods, reason = "how the test below, its parent process, names the folder")]
    let told = std::env::var_os("GIMMETIME_IMAGE_TEST_DIR");
    let dir = told.as_deref().map_or(temporary.path(), Path::new);
    let entry = Layout::create(dir).unwrap().add_or_find(&spec()).unwrap();
    assert_eq!(entry.digest.as_str(), GOLDEN_MANIFEST);
}

#[test]
fn folder_umask_and_time_zone_leave_no_trace() {
    let child = "tests::a_layout_is_written_with_the_golden_digest";
    let write = |umask: &str, zone: &str| {
        let dir = tempfile::tempdir().unwrap();
        let status = Command::new("sh")
            .args(["-c", &format!("umask {umask} && exec \"$0\" --exact {child}")])
            .arg(std::env::current_exe().unwrap())
            .env("TZ", zone)
            .env("GIMMETIME_IMAGE_TEST_DIR", dir.path())
            .current_dir(dir.path())
            .stdout(Stdio::null())
            .status();
        assert!(status.unwrap().success());
        let files = contents(dir.path());
        assert_eq!(files.len(), 6, "{:?}", files.keys());
        files
    };
    assert!(write("077", "Asia/Kathmandu") == write("002", "America/St_Johns"));
}

fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            files.extend(contents(&path).into_iter().map(|(inner, bytes)| (format!("{name}/{inner}"), bytes)));
        } else {
            files.insert(name, fs::read(&path).unwrap());
        }
    }
    files
}

#[test]
fn gnu_tar_reads_the_layer() {
    let image = build(&spec()).unwrap();
    let options = ["--list", "--verbose", "--gzip", "--numeric-owner", "--utc", "--full-time", "--file=-"];
    let listed = run("tar", &options.map(OsStr::new), layer(&image));
    let fields: Vec<&str> = listed.split_whitespace().collect();
    assert_eq!(fields, ["-r-xr-xr-x", "0/0", "132", "1970-01-01", "00:00:00", "app"]);
}

#[test]
fn python_reads_the_layer() {
    let image = build(&spec()).unwrap();
    let script = "import sys, tarfile, hashlib\n\
        tar = tarfile.open(fileobj=sys.stdin.buffer, mode='r|gz')\n\
        for m in tar: print(m.name, oct(m.mode), m.uid, m.gid, m.mtime, repr(m.uname), repr(m.gname), m.isreg(), \
        hashlib.sha256(tar.extractfile(m).read()).hexdigest())";
    let listed = run("python3", &["-c".as_ref(), script.as_ref()], layer(&image));
    assert_eq!(listed, format!("app 0o555 0 0 0 '' '' True {}\n", sha256(&executable()).hex()));
}

#[test]
fn skopeo_reads_the_layout() {
    let dir = tempfile::tempdir().unwrap();
    let entry = Layout::create(dir.path()).unwrap().add_or_find(&spec()).unwrap();
    let name = format!("oci:{}:{}", dir.path().display(), entry.reference.unwrap());
    let inspected = run("skopeo", &["inspect", &name].map(OsStr::new), &[]);
    let inspected: Value = serde_json::from_str(&inspected).unwrap();
    assert_eq!(inspected["Digest"], GOLDEN_MANIFEST);
    assert_eq!(inspected["Architecture"], "amd64");
    assert_eq!(inspected["Layers"], json!([GOLDEN_LAYER]));
    let config = run("skopeo", &["inspect", "--config", &name].map(OsStr::new), &[]);
    let config: Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["config"]["Entrypoint"], json!(["/app"]));
}

#[test]
fn the_program_taken_out_of_an_image_runs() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::create(&dir.path().join("images")).unwrap();
    let entry = layout.add_or_find(&spec()).unwrap();
    let program = layout.executable(&entry.digest).unwrap();
    // Written by another process: a descriptor open for writing, inherited by the child of a test in parallel, would
    // keep the file from being executed ("text file busy").
    let file = dir.path().join("app");
    run("sh", &["-c".as_ref(), "cat > \"$0\"".as_ref(), file.as_os_str()], &program.bytes);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o700)).unwrap();
    let status = Command::new(&file).args(&program.args).status().unwrap();
    assert_eq!(status.code(), Some(7));
}

#[test]
fn sizes_are_those_of_the_bytes() {
    let image = build(&spec()).unwrap();
    assert_eq!(image.layer_size(), layer(&image).len() as u64);
    let around = (image.config().bytes.len() + image.manifest().bytes.len()) as u64;
    assert_eq!(image.size(), image.layer_size() + around);
}

#[test]
fn every_part_of_a_spec_has_a_share_in_the_digest() {
    let changes: [fn(&mut Spec); 7] = [
        |spec| spec.executable.to_mut().push(0),
        |spec| spec.command.push(String::new()),
        |spec| drop(spec.env.insert("C".to_owned(), String::new())),
        |spec| spec.port = 80,
        |spec| spec.title.push('x'),
        |spec| spec.version.push('1'),
        |spec| drop(spec.labels.insert(annotation::SOURCE.to_owned(), String::new())),
    ];
    let mut digests = vec![pack(&spec()).digest().clone()];
    let mut fingerprints = vec![spec().fingerprint()];
    for change in changes {
        let mut changed = spec();
        change(&mut changed);
        digests.push(pack(&changed).digest().clone());
        fingerprints.push(changed.fingerprint());
    }
    for names in [&mut digests, &mut fingerprints] {
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 8);
    }
}

#[test]
fn what_no_process_can_be_given_is_refused() {
    let refused = |change: fn(&mut Spec)| {
        let mut spec = spec();
        change(&mut spec);
        build(&spec).unwrap_err()
    };
    let variable = |name: &str| BuildError::Variable { name: name.to_owned() };
    assert!(matches!(
        refused(|spec| spec.executable.to_mut().clear()),
        BuildError::Executable(ElfError::NotElf { .. })
    ));
    assert_eq!(refused(|spec| spec.command.push("a\0".to_owned())), BuildError::Argument { index: 2 });
    assert_eq!(refused(|spec| drop(spec.env.insert("A=".to_owned(), String::new()))), variable("A="));
    assert_eq!(refused(|spec| drop(spec.env.insert("A".to_owned(), "\0".to_owned()))), variable("A"));
    assert_eq!(refused(|spec| spec.port = 0), BuildError::Port);
    let reserved = refused(|spec| drop(spec.labels.insert(annotation::TITLE.to_owned(), String::new())));
    assert_eq!(reserved, BuildError::Label { key: annotation::TITLE.to_owned() });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_is_packed_comes_out_again(
        content in proptest::collection::vec(any::<u8>(), 0..3000),
        command in proptest::collection::vec("[^\\x00]{0,20}", 0..4),
        env in proptest::collection::btree_map("[^\\x00=]{1,8}", "[^\\x00]{0,20}", 0..4),
        port in 1u16..,
    ) {
        let executable = [executable(), content].concat();
        let spec = Spec { executable: executable.into(), command, env, port, ..spec() };
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::create(dir.path()).unwrap();
        let entry = layout.add_or_find(&spec).unwrap();
        let built = build(&spec).unwrap();
        prop_assert_eq!(&entry.digest, built.digest());
        let program = layout.executable(&entry.digest).unwrap();
        prop_assert_eq!(program.bytes, spec.executable.as_ref());
        prop_assert_eq!(program.args, spec.command);
        prop_assert_eq!(program.env, spec.env.into_iter().collect::<Vec<_>>());
        prop_assert_eq!(program.path, "/app");
        prop_assert_eq!(program.user.unwrap().to_string(), "65532:65532");
        prop_assert_eq!(program.workdir, "/");
    }
}
