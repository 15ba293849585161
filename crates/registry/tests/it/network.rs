//! A network and a registry that have a bad day: every request, and every way in which one can go wrong.

use std::collections::BTreeSet;
use std::time::Duration;

use gimmetime_registry::{Access, Outcome, RegistryError, Stage};

use crate::fault::{Act, Auth, Fault, FaultRegistry, Profile, Response, Store};
use crate::support::{access, access_as, image, push, push_with};

/// A request of every kind that a push makes.
const STAGES: [(&str, &str); 5] = [
    ("HEAD", "/manifests/v1"),
    ("HEAD", "/blobs/"),
    ("POST", "/uploads/"),
    ("PUT", "/uploads/"),
    ("PUT", "/manifests/"),
];

fn registry(profile: Profile) -> FaultRegistry {
    FaultRegistry::start(Store::new(profile))
}

#[track_caller]
fn assert_pushed(registry: &FaultRegistry) {
    assert_eq!(registry.store.tag("v1"), Some(image().digest().to_string()));
    // A session is never used twice.
    let puts = registry.asked().into_iter().filter(|asked| asked.method == "PUT" && asked.path.contains("/uploads/"));
    let places: Vec<String> = puts.map(|asked| asked.path).collect();
    assert_eq!(places.iter().collect::<BTreeSet<_>>().len(), places.len(), "{places:?}");
}

#[test]
fn a_registry_that_is_busy_three_times_is_waited_for_at_every_stage() {
    for (method, path) in STAGES {
        for answer in [
            Response::new(429),
            Response::new(429).with("Retry-After", "2"),
            Response::new(503),
            Response::new(503).with("Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT"),
            Response::new(500),
            Response::new(408),
        ] {
            let registry = registry(Profile::Spec);
            registry.fault(Fault::at(method, path, Act::Answer(answer)).times(3));
            let pushed = push(&registry);
            pushed.receipt();
            assert_eq!(pushed.waits(), 3, "{method} {path}");
            assert_pushed(&registry);
        }
    }
}

#[test]
fn a_token_server_that_is_busy_is_waited_for() {
    let registry = FaultRegistry::start(Store::new(Profile::Ghcr).with_auth(Auth::Bearer("me", "hunter2")));
    registry.fault(Fault::at("GET", "/token", Act::Answer(Response::new(503))).times(2));
    registry.fault(Fault::at("GET", "/token", Act::Reset));
    let pushed = push_with(&registry, access_as("me", "hunter2"));
    pushed.receipt();
    assert_eq!(pushed.waits(), 3);
    assert_pushed(&registry);
}

#[test]
fn a_registry_that_stays_busy_is_given_up_after_four_tries() {
    for (method, path) in STAGES {
        let registry = registry(Profile::Spec);
        registry.fault(Fault::at(method, path, Act::Answer(Response::new(429).with("Retry-After", "7"))).always());
        let pushed = push(&registry);
        match pushed.error() {
            RegistryError::RateLimited { after, .. } => assert_eq!(after.unwrap().as_secs(), 7),
            error => panic!("{method} {path}: {error:?}"),
        }
        assert!(registry.count(method, path) <= 8, "four times for each blob");
        assert_eq!(registry.store.tag("v1"), None);
    }
    let registry = registry(Profile::Spec);
    registry.fault(Fault::at("HEAD", "/manifests/", Act::Answer(Response::new(503))).always());
    let pushed = push(&registry);
    assert!(matches!(pushed.error(), RegistryError::Refused { status: 503, .. }), "{:?}", pushed.error());
    assert_eq!((pushed.waits(), registry.asked().len()), (3, 4));
}

#[test]
fn a_registry_that_asks_for_an_hour_is_not_waited_for() {
    let registry = registry(Profile::Spec);
    registry
        .fault(Fault::at("POST", "/uploads/", Act::Answer(Response::new(429).with("Retry-After", "3600"))).always());
    let pushed = push(&registry);
    assert!(matches!(pushed.error(), RegistryError::RateLimited { after: Some(_), .. }), "{:?}", pushed.error());
    assert_eq!(pushed.waits(), 0);
}

/// Faults of the connection, made anew for each use.
fn breaks() -> Vec<(&'static str, Act)> {
    vec![
        ("cut at once", Act::CutAfter(0)),
        ("cut after some bytes", Act::CutAfter(1000)),
        ("half close", Act::HalfClose),
        ("reset after the body", Act::Reset),
        ("answer lost", Act::Lose),
    ]
}

#[test]
fn a_connection_that_breaks_in_any_way_is_made_again_at_every_stage() {
    for profile in [Profile::Spec, Profile::Ecr] {
        for (method, path) in STAGES {
            for (name, act) in breaks() {
                let registry = registry(profile);
                registry.fault(Fault::at(method, path, act));
                let pushed = push(&registry);
                assert!(pushed.result.is_ok(), "{name} at {method} {path}: {:?}", pushed.result);
                assert_eq!(pushed.waits(), 1, "{name} at {method} {path}");
                assert_pushed(&registry);
            }
        }
    }
}

#[test]
fn a_registry_that_falls_silent_is_asked_again_at_every_stage() {
    for (method, path) in STAGES {
        let registry = registry(Profile::Ecr);
        registry.fault(Fault::at(method, path, Act::Stall));
        let patience = Access { idle_timeout: Duration::from_millis(300), ..access() };
        let pushed = push_with(&registry, patience);
        assert!(pushed.result.is_ok(), "{method} {path}: {:?}", pushed.result);
        assert_ne!(pushed.waits(), 0, "{method} {path}");
        assert_pushed(&registry);
    }
}

#[test]
fn a_blob_that_is_cut_in_the_middle_is_sent_whole_in_a_new_session() {
    let registry = registry(Profile::Ecr);
    registry.fault(Fault::at("PUT", "/uploads/", Act::CutAfter(150_000)).times(2));
    let pushed = push(&registry);
    let puts = pushed.receipt().requests.iter().filter(|request| request.stage == Stage::PutBlob);
    assert_eq!(puts.map(|put| put.tries).sum::<u32>(), 4, "two that fail, two that succeed");
    assert_eq!(registry.count("POST", "/uploads/"), 4);
    assert_pushed(&registry);
}

#[test]
fn a_blob_whose_answer_was_lost_is_found_and_not_sent_again() {
    let registry = registry(Profile::Spec);
    registry.fault(Fault::at("PUT", "/uploads/", Act::Lose).times(2));
    let pushed = push(&registry);
    assert_eq!(pushed.receipt().tags.len(), 1);
    assert_eq!(registry.count("PUT", "/uploads/"), 2);
    let found = |request: &&gimmetime_registry::Request| {
        request.stage == Stage::HeadBlob && request.outcome == Outcome::Found && request.tries == 2
    };
    assert_eq!(pushed.receipt().requests.iter().filter(found).count(), 2);
}

#[test]
fn a_session_that_the_registry_lost_is_opened_anew() {
    for (status, code) in [(404, "BLOB_UPLOAD_UNKNOWN"), (400, "BLOB_UPLOAD_INVALID"), (416, "RANGE_INVALID")] {
        let registry = registry(Profile::Ecr);
        registry.fault(Fault::at("PUT", "/uploads/", Act::Answer(Response::error(status, code, ""))).times(3));
        let pushed = push(&registry);
        assert!(pushed.result.is_ok(), "{status} {code}: {:?}", pushed.result);
        assert_pushed(&registry);
    }
}

#[test]
fn what_never_answers_is_given_up_with_its_stage() {
    let registry = registry(Profile::Spec);
    registry.fault(Fault::at("POST", "/uploads/", Act::Reset).always());
    let pushed = push(&registry);
    match pushed.error() {
        RegistryError::Network { stage, tries, .. } => assert_eq!((*stage, *tries), (Stage::StartUpload, 4)),
        error => panic!("{error:?}"),
    }
    assert_eq!(registry.store.tag("v1"), None);
}

#[test]
fn nobody_at_the_address_is_a_failure_of_the_network() {
    let registry = registry(Profile::Spec);
    let mut reference = crate::support::reference(&registry, "");
    // Nothing listens on port 1 of loopback.
    "127.0.0.1:1".clone_into(&mut reference.host);
    let client = gimmetime_registry::Registry::open(&reference, crate::support::access()).unwrap();
    let error = client.push(&image(), &[], None, &crate::support::quiet).unwrap_err();
    assert!(matches!(error, RegistryError::Network { stage: Stage::HeadManifest, tries: 4, .. }), "{error:?}");
}

// === damage ===

#[test]
fn a_flipped_bit_is_found_by_the_registry_and_nothing_is_named() {
    let registry = registry(Profile::Spec);
    registry.fault(Fault::at("PUT", "/uploads/", Act::Flip));
    let pushed = push(&registry);
    assert!(matches!(pushed.error(), RegistryError::DigestMismatch { what: "blob", .. }), "{:?}", pushed.error());
    assert_eq!(registry.count("PUT", "/manifests/"), 0);
}

#[test]
fn a_registry_that_claims_another_digest_is_not_believed() {
    let other = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    for (path, what) in [("/uploads/", "blob"), ("/manifests/", "manifest")] {
        let registry = registry(Profile::Spec);
        let claim = move |response: &mut Response| {
            response.without("Docker-Content-Digest");
            *response = response.clone().with("Docker-Content-Digest", other);
        };
        registry.fault(Fault::at("PUT", path, Act::Change(Box::new(claim))));
        let pushed = push(&registry);
        match pushed.error() {
            RegistryError::DigestMismatch { what: damaged, found, .. } => {
                assert_eq!((*damaged, found.as_str()), (what, other));
            }
            error => panic!("{error:?}"),
        }
        assert_eq!(registry.store.tag("v1"), None);
    }
}

#[test]
fn a_manifest_that_the_registry_cannot_accept_is_told_in_its_words() {
    let registry = registry(Profile::Spec);
    let words = "line one\u{1b}[2J\nline two";
    registry.fault(Fault::at("PUT", "/manifests/", Act::Answer(Response::error(400, "MANIFEST_INVALID", words))));
    let pushed = push(&registry);
    match pushed.error() {
        RegistryError::Refused { status: 400, code: Some(code), message, .. } => {
            assert_eq!((code.as_str(), message.as_str()), ("MANIFEST_INVALID", "line one[2J"));
        }
        error => panic!("{error:?}"),
    }
    assert_eq!(pushed.waits(), 0);
}

#[test]
fn an_endless_complaint_is_not_read_to_its_end() {
    let registry = registry(Profile::Spec);
    registry.fault(Fault::at("POST", "/uploads/", Act::Answer(Response::new(400).body(vec![b'x'; 10 << 20]))).times(2));
    let pushed = push(&registry);
    assert!(matches!(pushed.error(), RegistryError::Refused { status: 400, message, .. } if message.is_empty()));
}
