use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::fixture::{Foreign, put_blob, spec};
use crate::image::pack;
use crate::sha256;

fn layout() -> (TempDir, Layout) {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::create(&dir.path().join("images")).unwrap();
    (dir, layout)
}

fn image_on_port(port: u16) -> Image {
    pack(&Spec { port, ..spec() })
}

fn blob(layout: &Layout, digest: &Digest) -> PathBuf {
    layout.dir().join("blobs/sha256").join(digest.hex())
}

fn index_of(layout: &Layout) -> Value {
    serde_json::from_slice(&fs::read(layout.dir().join("index.json")).unwrap()).unwrap()
}

fn inode(layout: &Layout, file: &str) -> u64 {
    fs::metadata(layout.dir().join(file)).unwrap().ino()
}

#[test]
fn an_image_is_listed_with_its_sizes_and_what_it_says_about_itself() {
    let (_dir, layout) = layout();
    let image = build(&spec()).unwrap();
    let entry = layout.add(&image, "gimmetime:0.1.0").unwrap();
    assert_eq!(layout.list().unwrap(), std::slice::from_ref(&entry));
    assert_eq!(entry.digest, *image.digest());
    assert_eq!(entry.reference.as_deref(), Some("gimmetime:0.1.0"));
    assert_eq!(entry.size, image.size());
    assert_eq!(entry.layer_size, image.layer_size());
    assert_eq!(entry.executable_size, Some(132));
    assert_eq!(entry.created.as_deref(), Some("1970-01-01T00:00:00Z"));
    let mut annotations = spec().annotations();
    annotations.remove(annotation::CREATED);
    assert_eq!(entry.annotations, annotations);
}

#[test]
fn to_add_again_changes_nothing() {
    let (_dir, layout) = layout();
    let image = build(&spec()).unwrap();
    let first = layout.add(&image, "gimmetime:0.1.0").unwrap();
    let before = (inode(&layout, "index.json"), fs::metadata(blob(&layout, image.digest())).unwrap().ino());
    assert_eq!(layout.add(&image, "localhost/gimmetime:0.1.0").unwrap(), first);
    assert_eq!(layout.add_or_find(&spec()).unwrap(), first);
    let after = (inode(&layout, "index.json"), fs::metadata(blob(&layout, image.digest())).unwrap().ino());
    assert_eq!(before, after);
    assert_eq!(layout.list().unwrap().len(), 1);
}

#[test]
fn an_image_that_loses_its_name_stays() {
    let (_dir, layout) = layout();
    let (old, new) = (image_on_port(1), image_on_port(2));
    layout.add(&old, "time:latest").unwrap();
    layout.add(&new, "time:latest").unwrap();
    layout.add(&new, "time:2").unwrap();
    let named = |entry: Entry| (entry.digest, entry.reference);
    let listed: Vec<_> = layout.list().unwrap().into_iter().map(named).collect();
    let expected = [(&old, None), (&new, Some("time:latest")), (&new, Some("time:2"))];
    assert_eq!(listed, expected.map(|(image, name)| (image.digest().clone(), name.map(str::to_owned))));
    layout.executable(old.digest()).unwrap();
    // A new name goes to the nameless entry.
    layout.add(&old, "time:1").unwrap();
    assert_eq!(layout.list().unwrap().len(), 3);
}

#[test]
fn an_image_is_found_by_name_tag_digest_and_its_start() {
    let (_dir, layout) = layout();
    let image = image_on_port(1);
    let entry = layout.add(&image, "time:0.1.0").unwrap();
    layout.add(&image_on_port(2), "time:0.2.0").unwrap();
    let digest = image.digest();
    let pinned = format!("localhost/elsewhere@{digest}");
    let start = format!("sha256:{}", digest.short());
    let names = ["time:0.1.0", "localhost/time:0.1.0", "0.1.0", digest.as_str(), &pinned, &start, digest.short()];
    for name in names {
        assert_eq!(layout.find(name).unwrap(), entry, "{name}");
    }
}

#[test]
fn a_name_that_means_nothing_or_too_much_is_answered_with_the_choice() {
    let (_dir, layout) = layout();
    let missing = layout.find("time").unwrap_err();
    assert!(matches!(&missing, LayoutError::NotFound { known, .. } if known == "none"), "{missing}");
    let images = [image_on_port(1), image_on_port(2)];
    layout.add(&images[0], "time:1").unwrap();
    layout.add(&images[1], "date:1").unwrap();
    let missing = layout.find("sha256:").unwrap_err().to_string();
    for part in ["`time:1`", "`date:1`", images[0].digest().short()] {
        assert!(missing.contains(part), "{missing}");
    }
    assert!(matches!(layout.find("1"), Err(LayoutError::Ambiguous { .. })));
    assert!(matches!(layout.executable(&sha256(b"")), Err(LayoutError::NotFound { .. })));
}

#[test]
fn a_name_that_no_image_can_have_is_refused() {
    let (_dir, layout) = layout();
    let image = image_on_port(1);
    for name in ["", "Time", "time:-1", &format!("time@{}", image.digest())] {
        assert!(matches!(layout.add(&image, name), Err(LayoutError::Reference(_))), "{name}");
    }
    assert_eq!(layout.list().unwrap(), []);
    let spec = Spec { version: "1.0.0+build".to_owned(), ..spec() };
    assert_eq!(layout.add_or_find(&spec).unwrap().reference.as_deref(), Some("gimmetime:1.0.0_build"));
}

#[test]
fn the_same_spec_is_not_built_twice() {
    let (_dir, layout) = layout();
    let image = build(&spec()).unwrap();
    layout.add(&image, "other:1").unwrap();
    // The same in other words: if it were built, it would have the digest of its own bytes.
    let mut manifest: Value = serde_json::from_slice(&image.manifest().bytes).unwrap();
    manifest["annotations"]["said"] = json!("otherwise");
    let bytes = manifest.to_string().into_bytes();
    let digest = sha256(&bytes);
    fs::write(blob(&layout, &digest), &bytes).unwrap();
    let mut index = index_of(&layout);
    index["manifests"][0]["digest"] = json!(digest);
    fs::write(layout.dir().join("index.json"), index.to_string()).unwrap();
    let entry = layout.add_or_find(&spec()).unwrap();
    assert_eq!(entry.digest, digest);
    assert_eq!(entry.reference.as_deref(), Some("gimmetime:0.1.0"));
}

#[test]
fn a_damaged_image_is_built_again() {
    let (_dir, layout) = layout();
    let image = build(&spec()).unwrap();
    let entry = layout.add_or_find(&spec()).unwrap();
    for damaged in [image.digest(), &image.config().digest, &image.layers()[0].digest] {
        fs::write(blob(&layout, damaged), b"x").unwrap();
        assert!(matches!(layout.executable(image.digest()), Err(LayoutError::Corrupt { .. })), "{damaged}");
        assert_eq!(layout.add_or_find(&spec()).unwrap(), entry);
        layout.executable(image.digest()).unwrap();
        fs::remove_file(blob(&layout, damaged)).unwrap();
        assert_eq!(layout.add_or_find(&spec()).unwrap(), entry);
        layout.executable(image.digest()).unwrap();
    }
}

#[test]
fn one_wrong_bit_anywhere_is_found_and_the_file_is_named() {
    let (_dir, layout) = layout();
    let image = build(&spec()).unwrap();
    layout.add(&image, "time:1").unwrap();
    for blob_of_image in image.blobs() {
        let file = blob(&layout, &blob_of_image.digest);
        for at in (0..blob_of_image.bytes.len()).step_by(7) {
            let mut bytes = blob_of_image.bytes.clone();
            bytes[at] ^= 1;
            fs::write(&file, &bytes).unwrap();
            match layout.executable(image.digest()) {
                Err(LayoutError::Corrupt { file: named, expected, found }) => {
                    let digests = (blob_of_image.digest.to_string(), sha256(&bytes).to_string());
                    assert_eq!((named, (expected, found)), (file.clone(), digests));
                }
                other => panic!("expected Corrupt, but found {other:?}"),
            }
        }
        fs::write(&file, &blob_of_image.bytes).unwrap();
    }
    layout.executable(image.digest()).unwrap();
}

#[test]
fn a_layer_that_unpacks_to_something_else_is_damage() {
    let (_dir, layout) = layout();
    let image = Foreign::new(vec![vec![0; 1024]]);
    let digest = image.put(&layout);
    let manifest: Value = serde_json::from_slice(&fs::read(blob(&layout, &digest)).unwrap()).unwrap();
    let config = manifest["config"]["digest"].as_str().unwrap().parse().unwrap();
    let mut config: Value = serde_json::from_slice(&fs::read(blob(&layout, &config)).unwrap()).unwrap();
    config["rootfs"]["diff_ids"][0] = json!(sha256(b"else"));
    let mut manifest = manifest;
    manifest["config"] = put_blob(layout.dir(), config.to_string().as_bytes(), "");
    put_blob(layout.dir(), manifest.to_string().as_bytes(), "");
    let error = layout.executable(&sha256(manifest.to_string().as_bytes())).unwrap_err();
    assert!(matches!(&error, LayoutError::Corrupt { expected, .. } if expected.contains("archive")), "{error}");
}

#[test]
fn a_damaged_index_is_named_and_left_alone() {
    let (_dir, layout) = layout();
    layout.add(&image_on_port(1), "time:1").unwrap();
    let file = layout.dir().join("index.json");
    for damage in ["", "{\"schemaVersion\":2,\"mani", "[]", "{\"schemaVersion\":1,\"manifests\":[]}", "\0\0\0"] {
        fs::write(&file, damage).unwrap();
        for result in [layout.list().map(drop), layout.add(&image_on_port(2), "time:2").map(drop)] {
            match result {
                Err(LayoutError::Corrupt { file: named, .. }) => assert_eq!(named, file),
                other => panic!("expected Corrupt, but found {other:?}"),
            }
        }
        assert_eq!(fs::read(&file).unwrap(), damage.as_bytes());
    }
    fs::remove_file(&file).unwrap();
    assert!(matches!(Layout::create(layout.dir()).unwrap().list(), Err(LayoutError::Corrupt { .. })));
}

#[test]
fn a_folder_that_is_no_layout_or_of_another_version_is_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(Layout::open(dir.path()), Err(LayoutError::Missing { .. })));
    let marker = dir.path().join("oci-layout");
    fs::write(&marker, r#"{"imageLayoutVersion":"2.0.0"}"#).unwrap();
    let newer = Layout::create(dir.path()).unwrap_err();
    assert!(matches!(&newer, LayoutError::Version { found, .. } if found == "2.0.0"), "{newer}");
    fs::write(&marker, "").unwrap();
    let error = Layout::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("oci-layout") && error.contains("an empty file"), "{error}");
}

#[test]
fn what_another_tool_wrote_into_the_index_is_kept() {
    let (_dir, layout) = layout();
    let foreign = json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": sha256(b"f"), "size": 3,
        "artifactType": "application/x", "annotations": { "a": "b" }, "platform": { "os": "plan9", "x": [1] },
    });
    let index = json!({ "schemaVersion": 2, "manifests": [foreign], "subject": { "y": null } });
    fs::write(layout.dir().join("index.json"), index.to_string()).unwrap();
    layout.add(&image_on_port(1), "time:1").unwrap();
    let written = index_of(&layout);
    assert_eq!(written["manifests"][0], index["manifests"][0]);
    assert_eq!(written["subject"], index["subject"]);
    let entry = &layout.list().unwrap()[0];
    assert_eq!((entry.size, entry.layer_size, &entry.reference), (3, 0, &None));
}

#[test]
fn the_sizes_of_a_foreign_image_are_those_of_its_manifest() {
    let (_dir, layout) = layout();
    let digest = Foreign::new(vec![vec![0; 1024], vec![0; 512]]).put(&layout);
    let manifest = fs::read(blob(&layout, &digest)).unwrap();
    let entry = put_blob(layout.dir(), &manifest, "application/vnd.oci.image.manifest.v1+json");
    let index = json!({ "schemaVersion": 2, "manifests": [entry] });
    fs::write(layout.dir().join("index.json"), index.to_string()).unwrap();
    let entry = layout.find(digest.short()).unwrap();
    let config: Value = serde_json::from_slice(&manifest).unwrap();
    let config = config["config"]["size"].as_u64().unwrap();
    assert_eq!((entry.layer_size, entry.size), (1536, 1536 + config + manifest.len() as u64));
    assert_eq!(entry.executable_size, None);
}

#[test]
fn an_index_of_several_platforms_is_refused_as_such() {
    let (_dir, layout) = layout();
    let nested = json!({ "schemaVersion": 2, "manifests": [] }).to_string();
    put_blob(layout.dir(), nested.as_bytes(), "");
    let error = layout.executable(&sha256(nested.as_bytes())).unwrap_err();
    assert!(matches!(error, LayoutError::Unrunnable { reason: program::Unrunnable::Index, .. }));
}

#[test]
fn many_writers_at_once_lose_nothing() {
    let (dir, _layout) = layout();
    let path = dir.path().join("images");
    let add = |port: u16| {
        let layout = Layout::create(&path).unwrap();
        layout.add(&image_on_port(port), &format!("time:{port}")).unwrap();
        layout.add(&image_on_port(100), "time:latest").unwrap();
    };
    std::thread::scope(|scope| (1..=8).for_each(|port| drop(scope.spawn(move || add(port)))));
    let layout = Layout::open(&path).unwrap();
    assert_eq!(layout.list().unwrap().len(), 9);
    for entry in layout.list().unwrap() {
        layout.executable(&entry.digest).unwrap();
    }
}

#[test]
fn what_a_writer_killed_in_the_middle_leaves_is_no_hindrance() {
    let (_dir, layout) = layout();
    fs::write(layout.dir().join(".tmp"), "half a blo").unwrap();
    layout.add(&image_on_port(1), "time:1").unwrap();
    assert!(!layout.dir().join(".tmp").exists());
    layout.executable(image_on_port(1).digest()).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn no_json_makes_the_readers_panic(index in ".{0,200}", manifest in ".{0,200}") {
        let (_dir, layout) = layout();
        fs::write(layout.dir().join("index.json"), index).unwrap();
        put_blob(layout.dir(), manifest.as_bytes(), "");
        let _ = layout.list();
        let _ = layout.executable(&sha256(manifest.as_bytes()));
    }

    #[test]
    fn no_damage_makes_the_readers_panic(at in 0usize..400, value in any::<u8>()) {
        let (_dir, layout) = layout();
        let image = image_on_port(1);
        // The damaged manifest gets the name of its bytes, so that it is read beyond its digest.
        let mut bytes = image.manifest().bytes.clone();
        let at = at % bytes.len();
        bytes[at] = value;
        layout.add(&image, "time:1").unwrap();
        put_blob(layout.dir(), &bytes, "");
        let _ = layout.executable(&sha256(&bytes));
    }
}

#[test]
fn an_image_that_goes_back_to_one_of_its_names_is_listed_once_under_it() {
    let (_dir, layout) = layout();
    let (old, new) = (image_on_port(1), image_on_port(2));
    layout.add(&old, "time:a").unwrap();
    layout.add(&old, "time:b").unwrap();
    layout.add(&new, "time:a").unwrap();
    let before = layout.list().unwrap();
    layout.add(&old, "time:b").unwrap();
    assert_eq!(layout.list().unwrap(), before);
}

#[test]
fn an_index_that_says_an_image_was_built_from_something_else_is_not_believed() {
    let (_dir, layout) = layout();
    let (one, two) = (Spec { port: 1, ..spec() }, Spec { port: 2, ..spec() });
    let digest = layout.add_or_find(&one).unwrap().digest;
    layout.add_or_find(&two).unwrap();
    let mut index = index_of(&layout);
    let fingerprint = |n: usize, index: &Value| index["manifests"][n]["annotations"]["gimmetime.spec"].clone();
    let swapped = (fingerprint(1, &index), fingerprint(0, &index));
    index["manifests"][0]["annotations"]["gimmetime.spec"] = swapped.0;
    index["manifests"][1]["annotations"]["gimmetime.spec"] = swapped.1;
    fs::write(layout.dir().join("index.json"), index.to_string()).unwrap();
    assert_eq!(layout.add_or_find(&one).unwrap().digest, digest);
}

#[test]
fn a_writer_that_never_ends_is_named_and_when_it_ends_the_next_one_writes() {
    let (_dir, layout) = layout();
    let held = layout.store.lock().unwrap();
    let busy = layout.store.lock_within(2).err().unwrap();
    assert!(matches!(&busy, LayoutError::Busy { file, seconds: 0 } if file.ends_with(".lock")), "{busy}");
    drop(held);
    layout.store.lock_within(2).unwrap();
}
