//! Archives, and what the programs that they are for make of them.

use std::ffi::OsStr;
use std::process::Command;

use serde_json::Value;

use crate::fixture::{Foreign, executable, member, spec};
use crate::tests::run;
use crate::{Image, Layout, LayoutError, Spec, build, sha256};

fn archive(image: &Image, reference: Option<&str>) -> Vec<u8> {
    let mut bytes = Vec::new();
    image.write_archive(reference, &mut bytes).unwrap();
    bytes
}

/// What a program is told, as it is typed.
fn words<'a>(args: &'a [&'a str]) -> Vec<&'a OsStr> {
    args.iter().map(OsStr::new).collect()
}

/// An image that no other test and no user has: its title is this test's.
fn own(title: &str) -> Image {
    build(&Spec { title: title.to_owned(), ..spec() }).unwrap()
}

#[test]
fn one_image_has_one_archive() {
    let image = build(&spec()).unwrap();
    let bytes = archive(&image, Some("gimmetime:0.1.0"));
    assert_eq!(bytes, archive(&build(&spec()).unwrap(), Some("gimmetime:0.1.0")));
    assert_eq!(
        sha256(&bytes).as_str(),
        "sha256:2c5a3c873c92f140517a8ed46dddd957839ff2da0b452c3e9332a92d0f610f49",
        "the archive has changed"
    );
    assert_ne!(bytes, archive(&image, None));
}

#[test]
fn python_reads_the_archive() {
    let script = "import sys, tarfile, hashlib\n\
        tar = tarfile.open(fileobj=sys.stdin.buffer, mode='r|')\n\
        for m in tar:\n \
        assert (m.uid, m.gid, m.mtime, m.uname, m.mode, m.isreg()) == (0, 0, 0, '', 0o444, True), m\n \
        b = tar.extractfile(m).read()\n \
        assert not m.name.startswith('blobs') or m.name == 'blobs/sha256/' + hashlib.sha256(b).hexdigest()\n \
        print(m.name)";
    let image = build(&spec()).unwrap();
    let listed = run("python3", &words(&["-c", script]), &archive(&image, None));
    let blobs = [&image.layers()[0], image.config(), image.manifest()];
    let blobs: String = blobs.map(|blob| format!("blobs/sha256/{}\n", blob.digest.hex())).concat();
    assert_eq!(listed, format!("oci-layout\nindex.json\nmanifest.json\n{blobs}"));
}

#[test]
fn skopeo_reads_the_archive_and_keeps_the_digest() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("image.tar");
    let image = build(&spec()).unwrap();
    image.save(Some("gimmetime:0.1.0"), &file).unwrap();
    let name = format!("oci-archive:{}", file.display());
    let inspected: Value = serde_json::from_str(&run("skopeo", &words(&["inspect", &name]), &[])).unwrap();
    assert_eq!(inspected["Digest"], image.digest().as_str());
    let copy = format!("oci:{}:copy", dir.path().join("copy").display());
    run("skopeo", &words(&["copy", "--quiet", &name, &copy]), &[]);
    let copied = Layout::open(&dir.path().join("copy")).unwrap().find("copy").unwrap();
    assert_eq!(copied.digest, *image.digest());
}

#[test]
fn docker_loads_the_archive_and_runs_it() {
    let title = format!("gimmetime-test-{}", std::process::id());
    let image = own(&title);
    let name = format!("localhost/{title}:0.1.0");
    let loaded = run("docker", &words(&["load", "--quiet"]), &archive(&image, Some(&format!("{title}:0.1.0"))));
    assert_eq!(loaded.trim(), format!("Loaded image: {name}"));
    let id = run("docker", &words(&["image", "inspect", "--format", "{{.Id}}", &name]), &[]);
    let ran = Command::new("docker")
        .args(["run", "--rm", "--network", "none", "--read-only", "--cap-drop", "ALL", &name])
        .status()
        .unwrap();
    run("docker", &words(&["image", "rm", &name]), &[]);
    assert_eq!(id.trim(), image.config().digest.as_str(), "Docker calls an image by its config");
    assert_eq!(ran.code(), Some(7));
}

#[test]
fn podman_loads_the_archive_and_keeps_the_digest() {
    let title = format!("gimmetime-test-{}", std::process::id());
    let image = own(&title);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("image.tar");
    image.save(Some(&format!("{title}:0.1.0")), &file).unwrap();
    let name = format!("localhost/{title}:0.1.0");
    let file = file.to_str().unwrap();
    let loaded = run("podman", &words(&["load", "--quiet", "--input", file]), &[]);
    assert_eq!(loaded.trim(), format!("Loaded image: {name}"));
    let digest = run("podman", &words(&["image", "inspect", "--format", "{{.Digest}}", &name]), &[]);
    run("podman", &words(&["image", "rm", &name]), &[]);
    assert_eq!(digest.trim(), image.digest().as_str());
}

#[test]
fn an_image_of_a_layout_is_archived_as_it_was_built() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::create(dir.path()).unwrap();
    let entry = layout.add_or_find(&spec()).unwrap();
    let reference = entry.reference.as_deref();
    let built = build(&spec()).unwrap();
    let read = layout.image(&entry.digest).unwrap();
    assert_eq!(archive(&read, reference), archive(&built, reference));
}

#[test]
fn an_image_of_another_builder_is_archived_with_each_layer_once() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::create(&dir.path().join("images")).unwrap();
    let layer = [member("srv/bin/app", b'0', 0o755, "", &executable()), vec![0; 1024]].concat();
    let digest = Foreign::new(vec![layer.clone(), layer]).put(&layout);
    let image = layout.image(&digest).unwrap();
    let file = dir.path().join("image.tar");
    image.save(None, &file).unwrap();
    let name = format!("oci-archive:{}", file.display());
    let inspected: Value = serde_json::from_str(&run("skopeo", &words(&["inspect", &name]), &[])).unwrap();
    assert_eq!(inspected["Digest"], digest.as_str());
    assert_eq!(inspected["Layers"].as_array().unwrap().len(), 2);
    let listed = run("tar", &words(&["--list", "--file", file.to_str().unwrap()]), &[]);
    assert_eq!(listed.matches("blobs/").count(), 3, "{listed}");
}

#[test]
fn a_layer_of_an_unknown_type_is_not_carried_on() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::create(dir.path()).unwrap();
    let foreign = Foreign { media_type: "application/vnd.example", ..Foreign::new(vec![vec![0; 1024]]) };
    let error = layout.image(&foreign.put(&layout)).unwrap_err();
    assert!(error.to_string().contains("a layer is of type `application/vnd.example`"), "{error}");
}

#[test]
fn a_damaged_blob_is_not_archived() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::create(dir.path()).unwrap();
    let entry = layout.add_or_find(&spec()).unwrap();
    let config = build(&spec()).unwrap().config().digest.clone();
    std::fs::write(dir.path().join("blobs/sha256").join(config.hex()), "{}").unwrap();
    assert!(matches!(layout.image(&entry.digest), Err(LayoutError::Corrupt { .. })));
}

#[test]
fn a_saved_file_takes_the_place_of_another_and_nothing_lies_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("image.tar");
    std::fs::write(&file, "before").unwrap();
    let image = build(&spec()).unwrap();
    image.save(None, &file).unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), archive(&image, None));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);

    let error = image.save(None, &dir.path().join("missing/image.tar")).unwrap_err();
    assert!(matches!(error, LayoutError::Io { attempt: "write", .. }), "{error:?}");
    // A folder cannot be replaced by a file.
    let folder = dir.path().join("folder");
    std::fs::create_dir(&folder).unwrap();
    image.save(None, &folder).unwrap_err();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
}
