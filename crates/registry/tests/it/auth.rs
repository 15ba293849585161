//! Credentials: missing, wrong, expired on the way, and not allowed to do what is asked.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use gimmetime_registry::{
    Access, Credential, Credentials, Places, Provider, Registry, RegistryError, Secret, Source, Stage,
};
use serde_json::json;

use crate::fault::{Act, Auth, Fault, FaultRegistry, Profile, Response, Store};
use crate::support::{access, access_as, push, push_with, quiet};

fn basic() -> FaultRegistry {
    FaultRegistry::start(Store::new(Profile::Ecr).with_auth(Auth::Basic("me", "hunter2")))
}

fn bearer() -> FaultRegistry {
    FaultRegistry::start(Store::new(Profile::Ghcr).with_auth(Auth::Bearer("me", "hunter2")))
}

fn access_with(credentials: Credentials) -> Access {
    Access { credentials, ..access() }
}

/// Credentials of a folder that stands for somebody's home.
fn home(home: &Path) -> Access {
    let places = Places { home: Some(home.to_owned()), path: Some(home.join("bin").into()), ..Places::default() };
    access_with(Credentials { places, ..Credentials::default() })
}

fn write(home: &Path, file: &str, content: &str) {
    let file = home.join(file);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, content).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o700)).unwrap();
}

fn encoded(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[test]
fn with_the_right_password_a_push_succeeds() {
    for registry in [basic(), bearer()] {
        push_with(&registry, access_as("me", "hunter2")).receipt();
    }
}

#[test]
fn a_token_is_asked_for_once_and_for_all_that_a_push_needs() {
    let registry = bearer();
    push_with(&registry, access_as("me", "hunter2")).receipt();
    let tokens: Vec<_> = registry.asked().into_iter().filter(|asked| asked.path == "/token").collect();
    assert_eq!(tokens.len(), 1);
    assert_eq!(tokens[0].parameter("scope").unwrap(), "repository:team/time:pull,push");
    assert_eq!(tokens[0].parameter("service").unwrap(), "s");
}

#[test]
fn a_look_before_a_push_takes_its_token_along_or_leaves_it_behind() {
    let image = crate::support::image();
    for profile in [Profile::Ghcr, Profile::Gar] {
        for (is_to_push, tokens) in [(true, 1), (false, 2)] {
            let registry = FaultRegistry::start(Store::new(profile).with_auth(Auth::Bearer("me", "hunter2")));
            let reference = crate::support::reference(&registry, &format!("@{}", image.digest()));
            let client = Registry::open(&reference, access_as("me", "hunter2")).unwrap();
            let client = if is_to_push { client.to_push() } else { client };
            assert_eq!(client.head(&quiet).unwrap(), None);
            client.push(&image, &["v1".to_owned()], None, &quiet).unwrap();
            assert_eq!(registry.count("GET", "/token"), tokens, "{profile:?}");
        }
    }
}

#[test]
fn without_credentials_the_places_that_were_looked_at_are_listed() {
    for registry in [basic(), bearer()] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), ".docker/config.json", r#"{"auths":{"other.example":{"auth":"eDp5"}}}"#);
        let pushed = push_with(&registry, home(folder.path()));
        let RegistryError::NoCredentials { tried, .. } = pushed.error() else { panic!("{:?}", pushed.error()) };
        let podman = folder.path().join(".config/containers/auth.json");
        let docker = folder.path().join(".docker/config.json");
        let sources: Vec<&Source> = tried.iter().map(|tried| &tried.source).collect();
        assert_eq!(sources, [&Source::File(podman), &Source::File(docker)]);
        assert_eq!(tried[0].result, "no such file");
        assert_eq!(tried[1].result, format!("nothing for `{}`", registry.address));
        assert_eq!(registry.count("POST", "/uploads/"), 0);
    }
}

#[test]
fn a_wrong_password_is_refused_once_and_never_shown() {
    for registry in [basic(), bearer()] {
        let pushed = push_with(&registry, access_as("me", "wr0ng"));
        let RegistryError::Unauthorized { tried, .. } = pushed.error() else { panic!("{:?}", pushed.error()) };
        assert_eq!(tried[0].source, Source::Given);
        for shown in [pushed.error().to_string(), format!("{:?}", pushed.error()), format!("{:?}", pushed.events)] {
            assert!(!shown.contains("wr0ng") && !shown.contains(&encoded("me:wr0ng")), "{shown}");
        }
        assert!(registry.asked().len() <= 3, "{:?}", registry.asked());
        assert_eq!(pushed.waits(), 0);
    }
}

#[test]
fn credentials_are_found_wherever_other_tools_keep_them() {
    for registry in [basic(), bearer()] {
        let host = registry.address.clone();
        let auth = encoded("me:hunter2");
        let by_namespace = format!("{host}/team");
        let address = format!("https://{host}/v1/");
        let configs = [
            (".docker/config.json", json!({ "auths": { &host: { "auth": auth } } })),
            (".docker/config.json", json!({ "auths": { &address: { "auth": auth } } })),
            (".docker/config.json", json!({ "auths": { &host: { "username": "me", "password": "hunter2" } } })),
            (".docker/config.json", json!({ "auths": { &host: {} }, "credsStore": "safe" })),
            (".docker/config.json", json!({ "credHelpers": { &address: "safe" } })),
            (".docker/config.json", json!({ "credHelpers": { &host: "" }, "auths": { &host: { "auth": auth } } })),
            (
                ".docker/config.json",
                json!({ "credHelpers": { &host: "safe" }, "auths": { &host: { "auth": encoded("a:b") } } }),
            ),
            (".config/containers/auth.json", json!({ "auths": { by_namespace: { "auth": auth } } })),
        ];
        for (file, content) in configs {
            let folder = tempfile::tempdir().unwrap();
            write(folder.path(), file, &content.to_string());
            let script = format!(
                "#!/bin/sh\nread server; [ \"$1 $server\" = \"get {host}\" ] || exit 1\n\
                 echo '{{\"ServerURL\":\"x\",\"Username\":\"me\",\"Secret\":\"hunter2\"}}'\n"
            );
            write(folder.path(), "bin/docker-credential-safe", &script);
            assert!(push_with(&registry, home(folder.path())).result.is_ok(), "{file}: {content}");
        }
    }
}

#[test]
fn an_identity_token_is_changed_into_a_token() {
    let registry = bearer();
    let given = Some(Credential::IdentityToken(Secret::new("hunter2")));
    push_with(&registry, access_with(Credentials { given, ..Credentials::default() })).receipt();
    let asked = registry.asked().into_iter().find(|asked| asked.path == "/token").unwrap();
    assert_eq!((asked.method.as_str(), asked.query.as_str(), asked.authorization), ("POST", "", None));
}

#[test]
fn a_helper_that_fails_is_named_with_what_it_did() {
    let registry = basic();
    let cases = [
        ("#!/bin/sh\nexit 1\n", "has nothing for it"),
        ("#!/bin/sh\necho hunter2\n", "answered something else"),
        ("no program", "cannot be started"),
    ];
    for (script, words) in cases {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), ".docker/config.json", r#"{"credsStore":"safe"}"#);
        write(folder.path(), "bin/docker-credential-safe", script);
        let pushed = push_with(&registry, home(folder.path()));
        let shown = pushed.error().to_string();
        assert!(shown.contains("docker-credential-safe") && shown.contains(words), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), ".docker/config.json", r#"{"credsStore":"../bin/evil"}"#);
    write(folder.path(), "bin/docker-credential-safe", "");
    assert!(push_with(&registry, home(folder.path())).error().to_string().contains("cannot hold a slash"));
}

#[test]
fn a_helper_that_makes_up_another_password_each_time_is_not_asked_for_ever() {
    for registry in [basic(), bearer()] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), ".docker/config.json", r#"{"credsStore":"safe"}"#);
        let script = "#!/bin/sh\necho \"{\\\"Username\\\":\\\"me\\\",\\\"Secret\\\":\\\"$$\\\"}\"\n";
        write(folder.path(), "bin/docker-credential-safe", script);
        let pushed = push_with(&registry, home(folder.path()));
        let RegistryError::Unauthorized { tried, .. } = pushed.error() else { panic!("{:?}", pushed.error()) };
        assert_eq!(tried.last().unwrap().result, "refused by the registry");
        assert!(registry.asked().len() <= 10, "{}", registry.asked().len());
    }
}

#[test]
fn a_helper_that_leaves_an_agent_behind_is_not_waited_for_until_that_ends() {
    let registry = basic();
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), ".docker/config.json", r#"{"credsStore":"safe"}"#);
    let pid = folder.path().join("pid");
    let script = format!("#!/bin/sh\n/bin/sleep 600 &\necho $! > {}\necho nothing\n", pid.display());
    write(folder.path(), "bin/docker-credential-safe", &script);
    let pushed = push_with(&registry, home(folder.path()));
    let agent = fs::read_to_string(pid).unwrap().trim().parse().unwrap();
    // It still runs: nobody waited for it.
    rustix::process::kill_process(rustix::process::Pid::from_raw(agent).unwrap(), rustix::process::Signal::KILL)
        .unwrap();
    assert!(pushed.error().to_string().contains("docker-credential-safe (by "), "{}", pushed.error());
    assert!(pushed.error().to_string().contains("left its output open"), "{}", pushed.error());
}

#[test]
fn a_file_that_cannot_be_understood_is_named_and_not_quoted() {
    let registry = basic();
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), ".docker/config.json", "{\"auths\": hunter2}");
    let shown = push_with(&registry, home(folder.path())).error().to_string();
    assert!(
        shown.contains("config.json: no JSON of the expected shape, at line 1") && !shown.contains("hunter2"),
        "{shown}"
    );
}

#[test]
fn what_a_registry_refused_is_followed_by_the_next_source() {
    for registry in [basic(), bearer()] {
        let folder = tempfile::tempdir().unwrap();
        let auths = |password: &str| {
            json!({ "auths": { &registry.address: { "auth": encoded(&format!("me:{password}")) } } }).to_string()
        };
        write(folder.path(), ".config/containers/auth.json", &auths("stale"));
        write(folder.path(), ".docker/config.json", &auths("hunter2"));
        push_with(&registry, home(folder.path())).receipt();
    }
}

// === expiry on the way ===

/// A provider that gives those passwords in turn, and how often it was asked.
fn provider(passwords: &'static [&'static str]) -> (Access, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let provide = move || {
        let password = passwords.get(counted.fetch_add(1, Ordering::SeqCst)).ok_or("no more of them")?;
        Ok(Credential::basic("me", *password))
    };
    let provider = Some(Provider::new("the cloud", provide));
    (access_with(Credentials { provider, ..Credentials::default() }), asked)
}

/// The password changes before the request number `skip` of that kind.
fn expires(registry: &FaultRegistry, method: &'static str, path: &'static str, now: &'static str) {
    let change = move |store: &Store| *store.auth.lock().unwrap() = Auth::Basic("me", now);
    registry.fault(Fault::at(method, path, Act::Before(Box::new(change))));
}

#[test]
fn a_password_that_expires_is_asked_for_once_more_at_every_stage() {
    for (method, path) in [
        ("HEAD", "/manifests/"),
        ("HEAD", "/blobs/"),
        ("POST", "/uploads/"),
        ("PUT", "/uploads/"),
        ("PUT", "/manifests/"),
    ] {
        let registry = basic();
        expires(&registry, method, path, "second");
        let (access, asked) = provider(&["hunter2", "second"]);
        let pushed = push_with(&registry, access);
        assert_eq!(pushed.receipt().digest, *crate::support::image().digest());
        // At the very first request nothing was asked for before.
        assert!(asked.load(Ordering::SeqCst) <= 2, "{method} {path}");
        assert_eq!(pushed.waits(), 0, "{method} {path}");
    }
}

#[test]
fn a_password_that_expires_again_ends_the_push() {
    let registry = basic();
    expires(&registry, "POST", "/uploads/", "second");
    expires(&registry, "PUT", "/manifests/", "third");
    let (access, asked) = provider(&["hunter2", "second", "third"]);
    let pushed = push_with(&registry, access);
    assert!(
        matches!(pushed.error(), RegistryError::Unauthorized { stage: Stage::PutManifest, .. }),
        "{:?}",
        pushed.error()
    );
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[test]
fn a_provider_that_fails_is_named_and_files_are_asked() {
    let registry = basic();
    let provider = Some(Provider::new("the cloud", || Err("it rains".to_owned())));
    let pushed = push_with(&registry, access_with(Credentials { provider, ..Credentials::default() }));
    assert!(pushed.error().to_string().contains("the cloud: it rains"), "{}", pushed.error());
}

#[test]
fn a_token_that_expires_is_renewed_once_for_each_request() {
    for (method, path) in [
        ("HEAD", "/blobs/"),
        ("POST", "/uploads/"),
        ("PUT", "/uploads/"),
        ("PUT", "/manifests/sha256"),
        ("PUT", "/manifests/v1"),
    ] {
        let registry = bearer();
        let forget = |store: &Store| store.state.lock().unwrap().tokens.clear();
        registry.fault(Fault::at(method, path, Act::Before(Box::new(forget))));
        let pushed = push_with(&registry, access_as("me", "hunter2"));
        assert_eq!(pushed.receipt().digest, *crate::support::image().digest());
        assert_eq!(registry.asked().iter().filter(|asked| asked.path == "/token").count(), 2, "{method} {path}");
        assert_eq!(pushed.waits(), 0);
    }
}

#[test]
fn a_new_token_that_is_refused_too_ends_the_push() {
    let registry = bearer();
    let challenge = format!("Bearer realm=\"http://{}/token\"", registry.address);
    ends_at_the_manifest(&registry, &challenge, 2);
}

/// Refuses each manifest by this challenge: the push tries it so often, and names the stage.
#[track_caller]
fn ends_at_the_manifest(registry: &FaultRegistry, challenge: &str, tries: usize) {
    let refusal = Response::new(401).with("WWW-Authenticate", challenge);
    registry.fault(Fault::at("PUT", "/manifests/", Act::Answer(refusal)).always());
    let pushed = push_with(registry, access_as("me", "hunter2"));
    let error = pushed.error();
    assert!(matches!(error, RegistryError::Unauthorized { stage: Stage::PutManifest, .. }), "{error:?}");
    assert_eq!(registry.count("PUT", "/manifests/"), tries);
}

// === rights ===

#[test]
fn a_push_that_is_denied_names_what_is_missing_and_is_not_repeated() {
    for (method, path, stage) in [
        ("POST", "/uploads/", Stage::StartUpload),
        ("PUT", "/uploads/", Stage::PutBlob),
        ("PUT", "/manifests/", Stage::PutManifest),
    ] {
        let registry = basic();
        registry.fault(Fault::at(method, path, Act::Answer(Response::error(403, "DENIED", "no"))).always());
        let pushed = push_with(&registry, access_as("me", "hunter2"));
        match pushed.error() {
            RegistryError::Denied { stage: denied, repository, action, message, .. } => {
                assert_eq!((*denied, repository.as_str(), action.as_str()), (stage, "team/time", "push"));
                assert_eq!(message, "no", "what it says may help a person");
            }
            error => panic!("{error:?}"),
        }
        assert!(registry.count(method, path) <= 2, "once for each blob");
        assert_eq!(pushed.waits(), 0);
    }
}

#[test]
fn a_401_for_the_manifest_alone_names_the_stage() {
    ends_at_the_manifest(&basic(), "Basic realm=\"x\"", 1);
}

#[test]
fn looking_is_a_courtesy_that_may_be_denied() {
    let registry = FaultRegistry::start(Store::new(Profile::Ecr));
    registry.fault(Fault::at("HEAD", "/", Act::Answer(Response::new(403))).always());
    let pushed = push(&registry);
    assert_eq!(pushed.receipt().tags[0].state, gimmetime_registry::TagState::Unverified);
    assert_eq!(registry.store.tag("v1"), Some(pushed.receipt().digest.to_string()));
}

#[test]
fn a_missing_repository_is_told_with_what_to_do() {
    let registry = FaultRegistry::start(Store { repository: "other", ..Store::new(Profile::Ecr) });
    let reference = format!("{}/team/time", registry.address).parse().unwrap();
    let client = gimmetime_registry::Registry::open(&reference, access()).unwrap();
    let image = crate::support::image();
    let error = client.push(&image, &["v1".to_owned()], None, &crate::support::quiet).unwrap_err();
    match &error {
        RegistryError::RepositoryMissing { repository, .. } => assert_eq!(repository, "team/time"),
        error => panic!("{error:?}"),
    }
    assert!(error.to_string().contains("\nhint: "), "{error}");
    assert!(registry.count("POST", "/uploads/") <= 2);
}
