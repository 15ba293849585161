//! A registry that wants what is not its own.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use gimmetime_registry::{Access, Registry, RegistryError, Secret};

use crate::fault::{Act, Auth, Fault, FaultRegistry, Profile, Response, Store};
use crate::support::{access_as, push_with, quiet, reference};

/// Counts who connects, and answers nobody.
fn bait() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let visits = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&visits);
    thread::spawn(move || {
        for _ in listener.incoming() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    (address, visits)
}

#[test]
fn an_evil_realm_gets_nothing() {
    let realms = [
        "http://169.254.169.254/latest/meta-data/iam",
        "http://0.0.0.0/token",
        "http://[::]/token",
        "http://evil.example/token",
        "http://127.0.0.1@evil.example/token",
        "https://10.0.0.1/token",
        "http://2852039166/token",
        "ftp://127.0.0.1/token",
        "/token",
        "",
    ];
    for realm in realms {
        let registry = FaultRegistry::start(Store::new(Profile::Spec));
        let challenge = format!("Bearer realm=\"{realm}\",service=\"s\"");
        let refusal = Response::new(401).with("WWW-Authenticate", &challenge);
        registry.fault(Fault::at("HEAD", "/manifests/", Act::Answer(refusal)).always());
        let pushed = push_with(&registry, access_as("me", "hunter2"));
        assert!(matches!(pushed.error(), RegistryError::Realm(_)), "{realm}: {:?}", pushed.error());
        assert!(registry.asked().iter().all(|asked| asked.authorization.is_none()), "{realm}");
        assert!(!pushed.error().to_string().contains("hunter2"));
    }
}

#[test]
fn a_token_server_that_redirects_is_not_followed() {
    let registry = FaultRegistry::start(Store::new(Profile::Ghcr).with_auth(Auth::Bearer("me", "hunter2")));
    let (bait, visits) = bait();
    for status in [301, 302, 303, 307, 308] {
        let away = Response::new(status).with("Location", &format!("http://{bait}/token"));
        registry.fault(Fault::at("GET", "/token", Act::Answer(away)));
        let pushed = push_with(&registry, access_as("me", "hunter2"));
        assert!(matches!(pushed.error(), RegistryError::Refused { .. }), "{status}: {:?}", pushed.error());
    }
    assert_eq!(visits.load(Ordering::SeqCst), 0);
}

#[test]
fn an_upload_that_leaves_the_registry_takes_no_credential_along() {
    let mut registry = Store::new(Profile::Gar).with_auth(Auth::Basic("me", "hunter2"));
    let store = FaultRegistry::start(Store::beside(&registry));
    registry.elsewhere = Some(format!("http://{}", store.address));
    let registry = FaultRegistry::start(registry);
    push_with(&registry, access_as("me", "hunter2")).receipt();
    assert_eq!(store.count("PUT", "/uploads/"), 2);
    assert!(store.asked().iter().all(|asked| asked.authorization.is_none()));
    assert_eq!(registry.count("PUT", "/uploads/"), 0);
}

#[test]
fn a_download_that_leaves_the_registry_takes_no_credential_along() {
    let mut registry = Store::new(Profile::Spec).with_auth(Auth::Bearer("me", "hunter2"));
    let store = FaultRegistry::start(Store::beside(&registry));
    registry.elsewhere = Some(format!("http://{}", store.address));
    let registry = FaultRegistry::start(registry);
    push_with(&registry, access_as("me", "hunter2")).receipt();
    let client = Registry::open(&reference(&registry, ":v1"), access_as("me", "hunter2")).unwrap();
    assert_eq!(client.resolve(&quiet).unwrap().architecture, "amd64");
    assert_eq!(store.count("GET", "/blobs/"), 1);
    assert!(store.asked().iter().all(|asked| asked.authorization.is_none()));
}

#[test]
fn an_elsewhere_that_asks_for_a_password_is_given_none() {
    let registry = FaultRegistry::start(Store::new(Profile::Spec).with_auth(Auth::Basic("me", "hunter2")));
    let thief = FaultRegistry::start(Store::new(Profile::Spec).with_auth(Auth::Basic("a", "b")));
    let place = Response::new(202).with("Location", &format!("http://{}/v2/team/time/blobs/uploads/1", thief.address));
    registry.fault(Fault::at("POST", "/uploads/", Act::Answer(place)).always());
    let pushed = push_with(&registry, access_as("me", "hunter2"));
    assert!(matches!(pushed.error(), RegistryError::Refused { status: 401, .. }), "{:?}", pushed.error());
    assert!(thief.asked().iter().all(|asked| asked.authorization.is_none()));
    assert_eq!(thief.count("GET", "/token"), 0);
}

#[test]
fn an_evil_location_is_not_gone_to() {
    for location in [
        "http://169.254.169.254/latest/meta-data/",
        "http://0.0.0.0/",
        "http://[fe80::1]/x",
        "http://me@127.0.0.1/x",
        "http://2852039166/x",
        "file:///etc/passwd",
    ] {
        let registry = FaultRegistry::start(Store::new(Profile::Spec));
        let place = Response::new(202).with("Location", location);
        registry.fault(Fault::at("POST", "/uploads/", Act::Answer(place)).always());
        let pushed = push_with(&registry, access_as("me", "hunter2"));
        assert!(matches!(pushed.error(), RegistryError::Location(_)), "{location}: {:?}", pushed.error());
    }
}

#[test]
fn a_manifest_that_is_redirected_is_refused() {
    let registry = FaultRegistry::start(Store::new(Profile::Spec).with_auth(Auth::Basic("me", "hunter2")));
    let (bait, visits) = bait();
    let away = Response::new(307).with("Location", &format!("http://{bait}/x"));
    registry.fault(Fault::at("PUT", "/manifests/", Act::Answer(away)).always());
    let pushed = push_with(&registry, access_as("me", "hunter2"));
    assert!(matches!(pushed.error(), RegistryError::Refused { status: 307, .. }), "{:?}", pushed.error());
    assert_eq!(visits.load(Ordering::SeqCst), 0);
}

#[test]
fn certificates_that_cannot_be_read_are_told_before_anything_is_sent() {
    let registry = FaultRegistry::start(Store::new(Profile::Spec));
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    let none = Access { ca: Some(ca.clone()), ..access_as("me", "hunter2") };
    assert!(matches!(Registry::open(&reference(&registry, ""), none.clone()), Err(RegistryError::Certificates { .. })));
    std::fs::write(&ca, "no certificate").unwrap();
    assert!(matches!(Registry::open(&reference(&registry, ""), none), Err(RegistryError::Certificates { .. })));
    assert_eq!(registry.asked().len(), 0);
}

#[test]
fn what_is_told_of_access_holds_no_password() {
    let proxy = Some(Secret::new("http://me:hunter2@proxy.example:3128"));
    let shown = format!("{:?}", Access { proxy, ..access_as("me", "hunter2") });
    assert!(shown.contains("me") && !shown.contains("hunter2"), "{shown}");
}
