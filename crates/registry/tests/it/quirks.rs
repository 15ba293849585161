//! What real registries do that the specification does not say, and what this client never does.

use gimmetime_registry::{RegistryError, Stage, TagState};

use crate::fault::{Act, Fault, FaultRegistry, Profile, Response, Store};
use crate::support::{image, push};

const PROFILES: [Profile; 4] = [Profile::Spec, Profile::Ecr, Profile::Ghcr, Profile::Gar];

#[test]
fn every_kind_of_registry_takes_the_image() {
    for profile in PROFILES {
        let registry = FaultRegistry::start(Store::new(profile));
        let pushed = push(&registry);
        assert_eq!(pushed.receipt().tags[0].state, TagState::Pushed, "{profile:?}");
        let state = registry.store.state.lock().unwrap();
        assert_eq!(state.blobs.len(), 2, "{profile:?}");
    }
}

#[test]
fn no_blob_is_ever_sent_in_pieces_or_mounted() {
    for profile in PROFILES {
        let registry = FaultRegistry::start(Store::new(profile));
        push(&registry).receipt();
        assert_eq!(registry.count("PATCH", "/"), 0);
        assert!(registry.asked().iter().all(|asked| asked.parameter("mount").is_none()));
    }
}

#[test]
fn the_state_of_an_upload_comes_back_as_it_was_given() {
    let registry = FaultRegistry::start(Store::new(Profile::Ecr));
    push(&registry).receipt();
    let asked = registry.asked();
    let puts: Vec<_> = asked.iter().filter(|asked| asked.method == "PUT" && asked.path.contains("/uploads/")).collect();
    assert_eq!(puts.len(), 2);
    assert!(puts.iter().all(|put| put.query.starts_with("_state=a%2Fb%3D&digest=sha256:")), "{puts:?}");
}

#[test]
fn a_location_of_a_question_mark_alone_is_understood() {
    let registry = FaultRegistry::start(Store::new(Profile::Spec));
    let change = |response: &mut Response| {
        response.without("Location");
        *response = response.clone().with("Location", "?_state=xyz");
    };
    registry.fault(Fault::at("POST", "/uploads/", Act::Change(Box::new(change))));
    // The session is then named by the query alone, which this registry does not know: it must be told nonetheless.
    push(&registry);
    assert_eq!(registry.asked().iter().filter(|asked| asked.parameter("_state").as_deref() == Some("xyz")).count(), 1);
}

#[test]
fn an_upload_without_a_place_is_named_by_its_id_or_not_at_all() {
    let registry = FaultRegistry::start(Store::new(Profile::Ghcr));
    for _ in 0..2 {
        let change = |response: &mut Response| {
            let id = response.headers.iter().find(|(name, _)| name == "Location").unwrap().1.clone();
            response.headers = vec![("Docker-Upload-UUID".to_owned(), id)];
        };
        registry.fault(Fault::at("POST", "/uploads/", Act::Change(Box::new(change))));
    }
    push(&registry).receipt();
    let nameless = FaultRegistry::start(Store::new(Profile::Spec));
    nameless.fault(Fault::at("POST", "/uploads/", Act::Answer(Response::new(202))).always());
    let pushed = push(&nameless);
    assert!(
        matches!(pushed.error(), RegistryError::Malformed { stage: Stage::StartUpload, .. }),
        "{:?}",
        pushed.error()
    );
}

#[test]
fn a_registry_that_has_the_blob_after_all_is_believed_until_the_manifest() {
    // 201 to a POST: it was mounted from elsewhere.
    let registry = FaultRegistry::start(Store::new(Profile::Spec));
    push(&registry).receipt();
    registry.store.state.lock().unwrap().tags.clear();
    registry.fault(Fault::at("HEAD", "/blobs/", Act::Answer(Response::new(405))).always());
    registry.fault(Fault::at("POST", "/uploads/", Act::Answer(Response::new(201))).always());
    push(&registry).receipt();
    assert_eq!(registry.count("PUT", "/uploads/"), 2, "those of the first push");
}

#[test]
fn a_registry_that_tells_no_digest_is_asked_for_the_manifest() {
    let registry = FaultRegistry::start(Store::new(Profile::Spec));
    push(&registry).receipt();
    let silent = |response: &mut Response| response.without("Docker-Content-Digest");
    registry.fault(Fault::at("HEAD", "/manifests/v1", Act::Change(Box::new(silent))));
    let again = push(&registry);
    assert!(again.receipt().is_unchanged());
    registry.fault(Fault::at("HEAD", "/manifests/v1", Act::Answer(Response::new(405))));
    assert!(push(&registry).receipt().is_unchanged());
    assert_eq!(registry.count("GET", "/manifests/v1"), 2);
    assert_eq!(again.receipt().digest, *image().digest());
}
