//! Looking up what a reference means, and comparing it with an image that was built here.

use std::collections::BTreeMap;

use gimmetime_image::{Digest, Image, Spec, pack, sha256};
use gimmetime_registry::{Difference, Fault as NetworkFault, Registry, RegistryError, Resolved, Stage, Verification};
use serde_json::{Value, json};

use crate::fault::{Act, Fault, FaultRegistry, Profile, Response, Store};
use crate::support::{access, image, image_with, push, quiet, reference};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn registry() -> FaultRegistry {
    let registry = FaultRegistry::start(Store::new(Profile::Spec));
    push(&registry).receipt();
    registry
}

fn client(registry: &FaultRegistry, rest: &str) -> Registry {
    Registry::open(&reference(registry, rest), access()).unwrap()
}

fn resolve(registry: &FaultRegistry, rest: &str) -> Result<Resolved, RegistryError> {
    client(registry, rest).resolve(&quiet)
}

/// Stores a manifest under a tag, as another tool would.
fn put(registry: &FaultRegistry, tag: &str, media_type: &str, manifest: &Value) -> Digest {
    let bytes = manifest.to_string().into_bytes();
    let digest = sha256(&bytes);
    let mut state = registry.store.state.lock().unwrap();
    state.manifests.insert(digest.to_string(), (media_type.to_owned(), bytes));
    state.tags.insert(tag.to_owned(), digest.to_string());
    digest
}

fn entry(digest: &Digest, os: &str, architecture: &str) -> Value {
    json!({ "mediaType": MANIFEST, "digest": digest, "size": 1, "platform": { "os": os, "architecture": architecture } })
}

#[test]
fn a_tag_and_a_digest_mean_the_image_and_its_platform() {
    let registry = registry();
    let by_digest = format!("@{}", image().digest());
    for rest in [":v1", by_digest.as_str()] {
        let resolved = resolve(&registry, rest).unwrap();
        let digest = image().digest().clone();
        let (architecture, os) = ("amd64".to_owned(), "linux".to_owned());
        assert_eq!(resolved, Resolved { image: digest.clone(), digest, architecture, os, size: image().size() });
    }
}

#[test]
fn of_an_index_the_image_for_this_platform_is_meant() {
    let registry = registry();
    let other = sha256(b"other");
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [
        entry(&other, "unknown", "unknown"), entry(&other, "linux", "arm64"), entry(image().digest(), "linux", "amd64"),
    ]});
    let digest = put(&registry, "many", INDEX, &index);
    let resolved = resolve(&registry, ":many").unwrap();
    assert_eq!((&resolved.digest, &resolved.image), (&digest, image().digest()));
    let foreign = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [
        entry(&other, "unknown", "unknown"), entry(&other, "linux", "arm64"), entry(&other, "windows", "amd64"),
    ]});
    put(&registry, "foreign", INDEX, &foreign);
    match resolve(&registry, ":foreign") {
        Err(RegistryError::OtherPlatform { found, .. }) => assert_eq!(found, ["linux/arm64", "windows/amd64"]),
        result => panic!("{result:?}"),
    }
}

#[test]
fn what_is_not_there_is_named() {
    let registry = registry();
    assert!(
        matches!(resolve(&registry, ":v2"), Err(RegistryError::NotFound { reference }) if reference.ends_with(":v2"))
    );
    assert!(matches!(resolve(&registry, ""), Err(RegistryError::Unnamed { .. })));
    assert_eq!(client(&registry, ":v1").head(&quiet).unwrap().as_ref(), Some(image().digest()));
    assert_eq!(client(&registry, ":v2").head(&quiet).unwrap(), None);
    registry.fault(Fault::at("HEAD", "/manifests/", Act::Answer(Response::new(403))));
    let denied = client(&registry, ":v1").head(&quiet);
    assert!(matches!(denied, Err(RegistryError::Denied { stage: Stage::HeadManifest, .. })), "{denied:?}");
}

#[test]
fn bytes_that_are_not_what_they_are_named_are_not_believed() {
    for path in ["/manifests/", "/blobs/"] {
        let registry = registry();
        let damage = |response: &mut Response| response.body[20] ^= 1;
        registry.fault(Fault::at("GET", path, Act::Change(Box::new(damage))));
        let result = resolve(&registry, ":v1");
        assert!(matches!(result, Err(RegistryError::DigestMismatch { .. })), "{path}: {result:?}");
    }
}

#[test]
fn what_is_no_manifest_is_told() {
    let registry = registry();
    put(&registry, "odd", MANIFEST, &json!({ "schemaVersion": 1, "fsLayers": [] }));
    assert!(matches!(resolve(&registry, ":odd"), Err(RegistryError::Malformed { .. })));
    let lost = json!({ "config": { "digest": sha256(b"lost"), "size": 4 }, "layers": [] });
    put(&registry, "lost", MANIFEST, &lost);
    assert!(matches!(resolve(&registry, ":lost"), Err(RegistryError::Malformed { stage: Stage::GetBlob, .. })));
}

#[test]
fn a_reply_may_come_in_chunks_or_end_with_its_connection() {
    let registry = registry();
    for (name, value) in [("Transfer-Encoding", "chunked"), ("Connection", "close")] {
        for path in ["/manifests/", "/blobs/"] {
            let change = move |response: &mut Response| *response = response.clone().with(name, value);
            registry.fault(Fault::at("GET", path, Act::Change(Box::new(change))));
        }
        assert_eq!(resolve(&registry, ":v1").unwrap().size, image().size(), "{name}");
    }
}

#[test]
fn of_a_blob_no_more_is_read_than_its_manifest_says() {
    let registry = registry();
    let mut manifest: Value = serde_json::from_slice(&image().manifest().bytes).unwrap();
    manifest["config"]["size"] = 10.into();
    put(&registry, "short", MANIFEST, &manifest);
    match resolve(&registry, ":short") {
        Err(RegistryError::Network {
            stage: Stage::GetBlob, tries: 1, fault: NetworkFault::Protocol(words), ..
        }) => {
            assert_eq!(words, "the reply has more than 10 bytes");
        }
        result => panic!("{result:?}"),
    }
}

#[test]
fn a_download_that_goes_round_in_circles_ends() {
    let registry = registry();
    let circle = Response::new(307).with("Location", "?again");
    registry.fault(Fault::at("GET", "/blobs/", Act::Answer(circle)).always());
    assert!(matches!(resolve(&registry, ":v1"), Err(RegistryError::Malformed { stage: Stage::GetBlob, .. })));
    assert_eq!(registry.count("GET", "/blobs/"), 6);
}

#[test]
fn a_busy_registry_is_waited_for() {
    let registry = registry();
    for path in ["/manifests/", "/blobs/"] {
        registry.fault(Fault::at("GET", path, Act::Answer(Response::new(503))).times(2));
        registry.fault(Fault::at("GET", path, Act::Reset));
    }
    resolve(&registry, ":v1").unwrap();
}

// === verify ===

#[track_caller]
fn first_difference(registry: &FaultRegistry, rest: &str, local: &Image) -> Difference {
    match client(registry, rest).verify(local, &quiet).unwrap() {
        Verification::Differs { first, local: ours, remote } => {
            assert_eq!((&ours, ours == remote), (local.digest(), false));
            first
        }
        Verification::Same => panic!("they should differ"),
    }
}

#[test]
fn the_very_same_image_is_verified() {
    let registry = registry();
    assert_eq!(client(&registry, ":v1").verify(&image(), &quiet).unwrap(), Verification::Same);
    assert_eq!(registry.count("GET", "/blobs/"), 0, "a digest is proof enough");
}

#[test]
fn another_executable_is_named_by_its_entry() {
    let registry = registry();
    match first_difference(&registry, ":v1", &image_with("1.0.0", 2)) {
        Difference::Entry { layer: 0, path, what: "content", local: Some(local), remote: Some(remote) } => {
            assert_eq!(path, "app");
            assert_ne!(local, remote);
        }
        difference => panic!("{difference:?}"),
    }
}

#[test]
fn another_setting_is_named_by_its_field() {
    let registry = registry();
    let spec = |env: &[(&str, &str)], port| Spec {
        executable: vec![1; 100].into(),
        command: vec!["serve".to_owned()],
        env: env.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
        port,
        title: "time".to_owned(),
        version: "1".to_owned(),
        labels: BTreeMap::new(),
    };
    let there = pack(&spec(&[("A", "1")], 80));
    crate::support::push_all(&registry, access(), &there, &["settings"], None).receipt();
    let field = |difference| match difference {
        Difference::Config { field, local, remote } => (field, local, remote),
        difference => panic!("{difference:?}"),
    };
    let text = |text: &str| Some(text.to_owned());
    let env = field(first_difference(&registry, ":settings", &pack(&spec(&[("A", "2")], 80))));
    assert_eq!(env, ("/config/Env/0".to_owned(), text("\"A=2\""), text("\"A=1\"")));
    let none = field(first_difference(&registry, ":settings", &pack(&spec(&[], 80))));
    assert_eq!(none, ("/config/Env".to_owned(), None, text("[\"A=1\"]")));
    let port = field(first_difference(&registry, ":settings", &pack(&spec(&[("A", "1")], 81))));
    assert_eq!(port, ("/config/ExposedPorts/81~1tcp".to_owned(), text("{}"), None));
}

#[test]
fn another_annotation_or_spelling_of_the_manifest_is_named() {
    let registry = registry();
    let mut manifest: Value = serde_json::from_slice(&image().manifest().bytes).unwrap();
    put(&registry, "spelling", MANIFEST, &manifest);
    assert_eq!(first_difference(&registry, ":spelling", &image()), Difference::Spelling { of: "manifest" });
    manifest["annotations"]["org.opencontainers.image.title"] = "other".into();
    put(&registry, "annotation", MANIFEST, &manifest);
    let difference = first_difference(&registry, ":annotation", &image());
    let said = "manifest field `/annotations/org.opencontainers.image.title`: \"time\" here, \"other\" there";
    assert_eq!(difference.to_string(), said);
}

#[test]
fn more_layers_and_other_packing_are_named() {
    let registry = registry();
    let mut manifest: Value = serde_json::from_slice(&image().manifest().bytes).unwrap();
    let layer = manifest["layers"][0].clone();
    manifest["layers"].as_array_mut().unwrap().push(layer);
    put(&registry, "layers", MANIFEST, &manifest);
    assert_eq!(first_difference(&registry, ":layers", &image()), Difference::Layers { local: 1, remote: 2 });

    let unpacked = unpack(&image().layers()[0].bytes);
    let digest = sha256(&unpacked);
    manifest["layers"] =
        json!([{ "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": unpacked.len() }]);
    registry.store.state.lock().unwrap().blobs.insert(digest.to_string(), unpacked);
    put(&registry, "plain", MANIFEST, &manifest);
    assert!(matches!(first_difference(&registry, ":plain", &image()), Difference::Packing { layer: 0, .. }));

    let junk = b"no archive".to_vec();
    manifest["layers"][0]["digest"] = sha256(&junk).to_string().into();
    registry.store.state.lock().unwrap().blobs.insert(sha256(&junk).to_string(), junk);
    put(&registry, "junk", MANIFEST, &manifest);
    assert!(matches!(first_difference(&registry, ":junk", &image()), Difference::Unreadable { layer: 0, .. }));
}

/// By a program that nobody here wrote.
fn unpack(gzip: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    let mut child = Command::new("gzip").arg("-dc").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let gzip = gzip.to_vec();
    let writer = std::thread::spawn(move || input.write_all(&gzip).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output.stdout
}
