//! What a push does when all goes well, and when a tag is taken.

use gimmetime_image::sha256;
use gimmetime_registry::{Event, Interrupt, Listed, Outcome, Registry, RegistryError, Stage, TagState};

use crate::fault::{Act, Fault, FaultRegistry, Immutable, Profile, Response, Store};
use crate::support::{access, bill, image, image_with, push, push_all, push_with, reference};

#[test]
fn a_push_stores_blobs_then_the_manifest_then_tags() {
    let registry = FaultRegistry::start(Store::new(Profile::Spec));
    let pushed = push(&registry);
    let receipt = pushed.receipt();
    let digest = image().digest().clone();
    assert_eq!(receipt.digest, digest);
    assert_eq!(receipt.reference, format!("{}/team/time@{digest}", registry.address));
    assert_eq!(receipt.tags[0].state, TagState::Pushed);
    assert_eq!(registry.store.tag("v1"), Some(digest.to_string()));
    let asked: Vec<String> = registry.asked().iter().map(|asked| format!("{} {}", asked.method, asked.path)).collect();
    assert_eq!(asked.first().unwrap(), "HEAD /v2/team/time/manifests/v1");
    let manifests = [
        format!("PUT /v2/team/time/manifests/{digest}"),
        "PUT /v2/team/time/manifests/v1".to_owned(),
        "HEAD /v2/team/time/manifests/v1".to_owned(),
    ];
    assert_eq!(asked[asked.len() - 3..], manifests);
    // One look, one session and one PUT for each of the two blobs.
    assert_eq!(asked.len(), 1 + 2 * 3 + 3);
    let stages: Vec<(Stage, u32)> = receipt.requests.iter().map(|request| (request.stage, request.tries)).collect();
    assert_eq!(stages.iter().filter(|stage| **stage == (Stage::PutBlob, 1)).count(), 2);
    let size = image().size() + image().manifest().bytes.len() as u64;
    assert_eq!(receipt.bytes_sent, size, "the manifest goes twice");
    assert_eq!(pushed.waits(), 0);
}

#[test]
fn a_push_of_what_is_there_is_one_request() {
    let registry = FaultRegistry::start(Store::new(Profile::Spec));
    push(&registry);
    let before = registry.asked().len();
    let again = push(&registry);
    assert!(again.receipt().is_unchanged());
    assert_eq!(again.receipt().tags[0].state, TagState::Unchanged);
    assert_eq!(again.events, [Event::Skipped { digest: image().digest().clone() }]);
    assert_eq!(registry.asked().len() - before, 1);
}

#[test]
fn blobs_that_are_there_are_not_sent_again() {
    let registry = FaultRegistry::start(Store::new(Profile::Spec));
    push(&registry);
    // Another version of the same executable: another config, the same layer.
    let next = push_all(&registry, access(), &image_with("1.0.1", 1), &["v2"], None);
    assert!(next.events.contains(&Event::Skipped { digest: image().layers()[0].digest.clone() }));
    assert_eq!(registry.count("POST", "/blobs/uploads/"), 3);
    assert_eq!(next.receipt().tags[0].state, TagState::Pushed);
}

#[test]
fn several_tags_name_one_image_and_none_is_needed() {
    let registry = FaultRegistry::start(Store::new(Profile::Spec));
    let none = push_all(&registry, access(), &image(), &[], None);
    assert_eq!(none.receipt().tags, []);
    assert!(registry.store.state.lock().unwrap().tags.is_empty());
    let two = push_all(&registry, access(), &image(), &["a", "b"], None);
    assert_eq!(two.receipt().tags.len(), 2);
    assert_eq!(registry.store.tag("a"), registry.store.tag("b"));
}

#[test]
fn a_tag_that_no_image_can_have_is_never_sent() {
    let registry = FaultRegistry::start(Store::new(Profile::Spec));
    for tag in ["../x", "a/b", "", "a:b", "a@b", ".a"] {
        let pushed = push_all(&registry, access(), &image(), &[tag], None);
        assert!(matches!(pushed.error(), RegistryError::Tag(_)), "{tag}");
    }
    assert_eq!(registry.asked().len(), 0);
}

// === immutable tags ===

fn immutable(status: u16, code: &'static str) -> FaultRegistry {
    FaultRegistry::start(Store { immutable: Immutable::Refuses(status, code), ..Store::new(Profile::Ecr) })
}

const REFUSALS: [(u16, &str); 4] =
    [(400, "TAG_INVALID"), (409, "CONFLICT"), (412, "PRECONDITION_FAILED"), (409, "TAG_INVALID")];

#[test]
fn an_immutable_tag_that_names_the_image_already_is_pushed() {
    for (status, code) in REFUSALS {
        let registry = immutable(status, code);
        assert_eq!(push(&registry).receipt().tags[0].state, TagState::Pushed, "{status} {code}");
        assert_eq!(push(&registry).receipt().tags[0].state, TagState::Unchanged, "{status} {code}");
    }
}

#[test]
fn an_immutable_tag_of_another_image_is_an_error_that_names_both() {
    for (status, code) in REFUSALS {
        let registry = immutable(status, code);
        push(&registry);
        let other = image_with("2.0.0", 2);
        let pushed = push_all(&registry, access(), &other, &["v1"], None);
        match pushed.error() {
            RegistryError::TagImmutable { tag, remote, local } => {
                assert_eq!((tag.as_str(), remote.as_ref(), local), ("v1", Some(image().digest()), other.digest()));
            }
            error => panic!("{status} {code}: {error}"),
        }
        assert_eq!(registry.store.tag("v1"), Some(image().digest().to_string()));
    }
}

#[test]
fn when_the_first_look_is_denied_the_second_decides() {
    for same in [true, false] {
        let registry = immutable(400, "TAG_INVALID");
        push(&registry);
        registry.fault(Fault::at("HEAD", "/manifests/v1", Act::Answer(Response::new(403))));
        let wanted = if same { image() } else { image_with("2.0.0", 2) };
        let pushed = push_all(&registry, access(), &wanted, &["v1"], None);
        match (same, &pushed.result) {
            (true, Ok(receipt)) => assert_eq!(receipt.tags[0].state, TagState::Unchanged),
            (false, Err(RegistryError::TagImmutable { remote: Some(_), .. })) => {}
            (_, result) => panic!("{same}: {result:?}"),
        }
    }
}

#[test]
fn when_no_look_is_allowed_an_immutable_tag_is_an_error_without_its_digest() {
    let registry = immutable(400, "TAG_INVALID");
    push(&registry);
    registry.fault(Fault::at("HEAD", "/manifests/v1", Act::Answer(Response::new(403))).always());
    let pushed = push_all(&registry, access(), &image_with("2.0.0", 2), &["v1"], None);
    assert!(matches!(pushed.error(), RegistryError::TagImmutable { remote: None, .. }), "{:?}", pushed.error());
}

#[test]
fn a_digest_cannot_be_immutable_so_that_its_conflict_is_another_one() {
    let registry = FaultRegistry::start(Store::new(Profile::Spec));
    registry.fault(Fault::at("HEAD", "/manifests/", Act::Answer(Response::new(403))).always());
    registry.fault(Fault::at("PUT", "/manifests/", Act::Answer(Response::error(409, "CONFLICT", ""))));
    let pushed = push(&registry);
    assert!(matches!(pushed.error(), RegistryError::Refused { status: 409, .. }), "{:?}", pushed.error());
}

#[test]
fn the_words_of_a_refusal_decide_nothing() {
    let registry = FaultRegistry::start(Store::new(Profile::Spec));
    let words = "The image tag 'v1' already exists and is immutable; TAG_INVALID";
    registry.fault(Fault::at("PUT", "/manifests/v1", Act::Answer(Response::error(400, "UNSUPPORTED", words))));
    let pushed = push(&registry);
    match pushed.error() {
        RegistryError::Refused { status: 400, code: Some(code), message, .. } => {
            assert_eq!((code.as_str(), message.as_str()), ("UNSUPPORTED", words));
        }
        error => panic!("{error:?}"),
    }
}

// === others at the same time ===

#[test]
fn of_two_pushers_the_last_one_wins_and_the_first_is_told() {
    let registry = FaultRegistry::start(Store::new(Profile::Spec));
    let other = image_with("2.0.0", 2);
    push_all(&registry, access(), &other, &[], None);
    let digest = other.digest().to_string();
    let overtake = move |store: &Store| store.set_tag("v1", &digest);
    registry.fault(Fault::at("HEAD", "/manifests/v1", Act::Before(Box::new(overtake))).after(1));
    let pushed = push(&registry);
    assert_eq!(pushed.receipt().tags[0].state, TagState::Moved { to: other.digest().clone() });
}

#[test]
fn two_pushers_of_one_image_do_not_disturb_each_other() {
    let registry = FaultRegistry::start(Store::new(Profile::Spec));
    std::thread::scope(|scope| {
        let pushes: Vec<_> = (0..4).map(|_| scope.spawn(|| push(&registry))).collect();
        for pushed in pushes {
            assert_eq!(pushed.join().unwrap().receipt().digest, *image().digest());
        }
    });
    assert_eq!(registry.store.tag("v1"), Some(image().digest().to_string()));
}

#[test]
fn an_interrupted_push_leaves_no_manifest_and_the_next_one_goes_on() {
    let registry = FaultRegistry::start(Store::new(Profile::Spec));
    let interrupt = Interrupt::default();
    let raised = interrupt.clone();
    let client =
        Registry::open(&reference(&registry, ""), gimmetime_registry::Access { interrupt, ..access() }).unwrap();
    let at_first_blob = |event: Event| {
        if matches!(event, Event::Stored { .. }) {
            raised.raise();
        }
    };
    let error = client.push(&image(), &["v1".to_owned()], None, &at_first_blob).unwrap_err();
    assert!(matches!(error, RegistryError::Interrupted { .. }), "{error:?}");
    assert!(registry.store.state.lock().unwrap().manifests.is_empty());
    let sent = push(&registry).receipt().bytes_sent;
    assert!(sent < image().size() + image().manifest().bytes.len() as u64, "what was stored is not sent again");
}

#[test]
fn a_wait_ends_when_it_is_interrupted() {
    let registry = FaultRegistry::start(Store::new(Profile::Spec));
    registry.fault(Fault::at("HEAD", "/manifests/", Act::Answer(Response::new(503))).always());
    let interrupt = Interrupt::default();
    let raised = interrupt.clone();
    // Seconds of an hour: only an interruption ends this wait.
    let mut access = gimmetime_registry::Access { interrupt, ..access() };
    access.retry.second = std::time::Duration::from_hours(1);
    let client = Registry::open(&reference(&registry, ""), access).unwrap();
    let at_the_wait = |event: Event| {
        assert!(matches!(event, Event::Waiting { stage: Stage::HeadManifest, next_try: 2, .. }));
        raised.raise();
    };
    let error = client.push(&image(), &["v1".to_owned()], None, &at_the_wait).unwrap_err();
    assert!(matches!(error, RegistryError::Interrupted { stage: Stage::HeadManifest }), "{error:?}");
}

// === what is attached ===

#[test]
fn a_bill_of_materials_is_listed_by_a_registry_that_knows_referrers() {
    for profile in [Profile::Spec, Profile::Ecr] {
        let registry = FaultRegistry::start(Store::new(profile));
        let pushed = push_all(&registry, access(), &image(), &["v1"], Some(&bill()));
        let attached = pushed.receipt().attached.clone().unwrap();
        assert_eq!(attached.listed, Listed::ByRegistry);
        assert_eq!(attached.digest, sha256(&bill().bytes));
        let state = registry.store.state.lock().unwrap();
        let (media_type, manifest) = &state.manifests[attached.manifest.as_str()];
        let manifest: serde_json::Value = serde_json::from_slice(manifest).unwrap();
        assert_eq!(media_type, "application/vnd.oci.image.manifest.v1+json");
        assert_eq!(manifest["artifactType"], "application/vnd.cyclonedx+json");
        assert_eq!(manifest["subject"]["digest"], image().digest().as_str());
        assert_eq!(state.tags.keys().collect::<Vec<_>>(), ["v1"]);
    }
}

#[test]
fn a_bill_of_materials_that_is_there_is_not_sent_again() {
    let registry = FaultRegistry::start(Store::new(Profile::Spec));
    push_all(&registry, access(), &image(), &["v1"], Some(&bill()));
    let before = registry.asked().len();
    let again = push_all(&registry, access(), &image(), &["v1"], Some(&bill()));
    assert!(again.receipt().is_unchanged());
    assert_eq!(again.receipt().attached.as_ref().unwrap().listed, Listed::Before);
    assert_eq!(registry.asked().len() - before, 2);
}

#[test]
fn elsewhere_it_is_listed_under_a_tag_beside_what_is_listed_already() {
    let registry = FaultRegistry::start(Store::new(Profile::Ghcr));
    let tag = format!("sha256-{}", image().digest().hex());
    let first = push_all(&registry, access(), &image(), &["v1"], Some(&bill()));
    assert_eq!(first.receipt().attached.as_ref().unwrap().listed, Listed::ByTag { tag: tag.clone() });
    let mut second = bill();
    second.bytes.push(b'\n');
    push_all(&registry, access(), &image(), &["v1"], Some(&second));
    let state = registry.store.state.lock().unwrap();
    let (media_type, index) = &state.manifests[&state.tags[&tag]];
    let index: serde_json::Value = serde_json::from_slice(index).unwrap();
    assert_eq!(media_type, "application/vnd.oci.image.index.v1+json");
    assert_eq!(index["manifests"].as_array().unwrap().len(), 2);
    assert_eq!(index["manifests"][0]["artifactType"], "application/vnd.cyclonedx+json");
}

#[test]
fn what_is_listed_already_is_not_listed_twice() {
    let registry = FaultRegistry::start(Store::new(Profile::Ghcr));
    let first = push_all(&registry, access(), &image(), &["v1"], Some(&bill())).receipt().attached.clone().unwrap();
    // Its manifest was lost, and is named by the index still.
    registry.store.state.lock().unwrap().manifests.remove(first.manifest.as_str());
    let again = push_all(&registry, access(), &image(), &["v1"], Some(&bill()));
    assert_eq!(again.receipt().attached.as_ref(), Some(&first));
    assert_eq!(registry.count("PUT", "/manifests/sha256-"), 1);
}

#[test]
fn where_that_tag_cannot_be_changed_the_push_goes_on_and_says_so() {
    let registry =
        FaultRegistry::start(Store { immutable: Immutable::Refuses(400, "TAG_INVALID"), ..Store::new(Profile::Ghcr) });
    push_all(&registry, access(), &image(), &["v1"], Some(&bill()));
    let mut second = bill();
    second.bytes.push(b'\n');
    let pushed = push_all(&registry, access(), &image(), &["v1"], Some(&second));
    let attached = pushed.receipt().attached.clone().unwrap();
    assert!(matches!(&attached.listed, Listed::No { reason } if reason.contains("immutable")), "{attached:?}");
    let denied = FaultRegistry::start(Store::new(Profile::Gar));
    denied.fault(Fault::at("PUT", "/manifests/sha256-", Act::Answer(Response::new(403))));
    let pushed = push_all(&denied, access(), &image(), &["v1"], Some(&bill()));
    assert!(matches!(pushed.receipt().attached.as_ref().unwrap().listed, Listed::No { .. }));
    assert_eq!(pushed.receipt().tags[0].state, TagState::Pushed);
}

#[test]
fn a_receipt_is_json_without_a_secret() {
    use crate::fault::Auth;
    let registry = FaultRegistry::start(Store::new(Profile::Spec).with_auth(Auth::Bearer("me", "hunter2")));
    let pushed = push_with(&registry, crate::support::access_as("me", "hunter2"));
    let text = serde_json::to_string(pushed.receipt()).unwrap();
    assert!(!text.contains("hunter2") && !text.contains("token-1"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["tags"][0], serde_json::json!({ "tag": "v1", "state": "pushed" }));
    assert_eq!(json["bytesSent"], pushed.receipt().bytes_sent);
    let put = json["requests"].as_array().unwrap().iter().find(|request| request["stage"] == "put_blob").unwrap();
    assert!(put["tries"] == 1 && put["ms"].is_number() && put["outcome"] == "stored");
    let skipped = pushed.receipt().requests.iter().filter(|request| request.outcome == Outcome::Skipped).count();
    assert_eq!(skipped, 0);
}
