//! The chain of sources, without a registry.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use gimmetime_image::Reference;
use proptest::prelude::*;

use super::*;
use crate::Access;

fn endpoint() -> Endpoint {
    let reference: Reference = "registry.example/team/time:v1".parse().unwrap();
    Endpoint::of(&reference, &Access::default()).unwrap()
}

/// What a file with that content has for `registry.example/team/time`.
fn found(content: &str) -> Option<Credential> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("auth.json");
    fs::write(&file, content).unwrap();
    let places = Places { registry_auth_file: Some(file), ..Places::default() };
    Chain::new(Credentials { places, ..Credentials::default() }).next(&endpoint())
}

#[test]
fn the_token_of_a_basic_header_is_taken_apart() {
    assert_eq!(Credential::from_basic_token("QVdTOnBhOnNz"), Some(Credential::basic("AWS", "pa:ss")));
    assert_eq!(Credential::from_basic_token("bWU6aHVudGVyMg=="), Some(Credential::basic("me", "hunter2")));
    assert_eq!(Credential::from_basic_token("bWU6aHVudGVyMgAA"), Some(Credential::basic("me", "hunter2")));
    for token in ["", "bWU", "not base64!", "//79"] {
        assert_eq!(Credential::from_basic_token(token), None, "{token}");
    }
}

#[test]
fn files_are_asked_in_the_order_of_the_tools_that_own_them() {
    let places = Places {
        registry_auth_file: Some("/a/auth.json".into()),
        runtime_dir: Some("/run/user/1".into()),
        home: Some("/home/me".into()),
        docker_config: None,
        path: None,
    };
    let files = [
        "/a/auth.json",
        "/run/user/1/containers/auth.json",
        "/home/me/.config/containers/auth.json",
        "/home/me/.docker/config.json",
    ];
    assert_eq!(places.files(), files.map(PathBuf::from));
    let moved = Places { docker_config: Some("/d".into()), ..Places::default() };
    assert_eq!(moved.files(), [PathBuf::from("/d/config.json")]);
    assert!(Places::default().files().is_empty());
}

#[test]
fn the_most_exact_name_counts() {
    let file = r#"{"auths": {
        "registry.example": {"auth": "YTox"},
        "registry.example/team": {"auth": "Yjoy"},
        "registry.example/team/other": {"auth": "Yzoz"},
        "registry.example.evil": {"auth": "ZDo0"}
    }}"#;
    assert_eq!(found(file), Some(Credential::basic("b", "2")));
    assert_eq!(found(r#"{"auths": {"registry.example.evil": {"auth": "ZDo0"}}}"#), None);
    assert_eq!(
        found(r#"{"auths": {"https://registry.example/v2/": {"auth": "YTox"}}}"#),
        Some(Credential::basic("a", "1"))
    );
}

#[test]
fn tokens_of_a_file_are_told_apart() {
    let identity = r#"{"auths": {"registry.example": {"auth": "PHRva2VuPjo=", "identitytoken": "i"}}}"#;
    assert_eq!(found(identity), Some(Credential::IdentityToken(Secret::new("i"))));
    let registry = r#"{"auths": {"registry.example": {"registrytoken": "r"}}}"#;
    assert_eq!(found(registry), Some(Credential::RegistryToken(Secret::new("r"))));
}

#[test]
fn what_is_given_is_all_that_is_asked() {
    let provider = Some(Provider::new("the cloud", || Ok(Credential::basic("a", "b"))));
    let given = Some(Credential::basic("me", "x"));
    let mut chain = Chain::new(Credentials { given: given.clone(), provider, ..Credentials::default() });
    assert_eq!(chain.next(&endpoint()), given);
    chain.refuse(Credential::basic("me", "x"));
    assert_eq!(chain.next(&endpoint()), None);
    let result = "refused by the registry".to_owned();
    assert_eq!(chain.tried(), [Tried { source: Source::Given, result }]);
}

#[test]
fn a_provider_is_asked_once_and_once_more_when_it_is_refused() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let provide = move || Ok(Credential::basic("me", counted.fetch_add(1, Ordering::SeqCst).to_string()));
    let provider = Some(Provider::new("the cloud", provide));
    let mut chain = Chain::new(Credentials { provider, ..Credentials::default() });
    let first = chain.next(&endpoint()).unwrap();
    assert_eq!(chain.next(&endpoint()).as_ref(), Some(&first));
    chain.refuse(first);
    let second = chain.next(&endpoint()).unwrap();
    chain.refuse(second);
    assert_eq!(chain.next(&endpoint()), None);
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[test]
fn nothing_that_is_shown_holds_a_secret() {
    let given = Some(Credential::basic("me", "hunter2"));
    let credentials = Credentials { given, ..Credentials::default() };
    assert!(!format!("{credentials:?}").contains("hunter2"));
    assert!(!format!("{:?}", Credential::IdentityToken(Secret::new("hunter2"))).contains("hunter2"));
}

proptest! {
    #[test]
    fn no_file_makes_it_panic(content in r#"[ -~]{0,60}|\{"auths":\{"registry.example":[ -~]{0,30}\}\}"#) {
        let _ = found(&content);
    }
}
