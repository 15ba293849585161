//! Registries that nobody here wrote: Docker's, plain, with a password, with TLS, with tokens; and an emulation of ECR. What
//! they hold is looked at by another client.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::Duration;

use gimmetime_clock::source;
use gimmetime_image::{Layout, Reference};
use gimmetime_registry::{
    Access, Difference, Fault as NetworkFault, Listed, Plain, Receipt, Registry, RegistryError, TagState, Verification,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::fault::{Auth, FaultRegistry, Profile, Store};
use crate::support::{access, access_as, bill, image, image_with, quiet};

/// How long a registry may take to start.
const PATIENCE: Duration = Duration::from_secs(30);
/// `hunter2`, for the user `me`, as htpasswd makes it.
const PASSWORD: &str = "me:$2y$05$HZ9jKMv3OFc9g38VxaEQK.gY8Tb1cWzHAnoHU3q0zZWRjgoFU0goe\n";

/// A `docker-registry` of its own; it ends with the test.
struct Docker {
    folder: TempDir,
    address: SocketAddr,
    process: Child,
}

/// An address of loopback that no other test uses.
fn free_address() -> SocketAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let process = std::process::id();
    let octets = [127, 150 + (process >> 8) as u8 % 50, process as u8, NEXT.fetch_add(1, Ordering::Relaxed)];
    (Ipv4Addr::from(octets), 5000).into()
}

impl Docker {
    fn start(auth: &str) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), free_address(), auth, "")
    }

    fn start_in(folder: TempDir, address: SocketAddr, auth: &str, tls: &str) -> Self {
        let root = folder.path().display();
        let settings = format!(
            "version: 0.1\nlog: {{ level: error, accesslog: {{ disabled: true }} }}\n\
             storage: {{ filesystem: {{ rootdirectory: {root}/blobs }} }}\n\
             http: {{ addr: '{address}'{tls} }}\n{auth}"
        );
        let file = folder.path().join("config.yml");
        fs::write(&file, settings).unwrap();
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("this test needs `docker-registry`; install it: {error}"));
        let started = source::mono();
        let docker = Self { folder, address, process };
        while TcpStream::connect(address).is_err() {
            assert!(source::mono().since(started) < PATIENCE, "docker-registry does not listen");
            thread::sleep(Duration::from_millis(10));
        }
        docker
    }

    fn with_password() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("htpasswd");
        fs::write(&file, PASSWORD).unwrap();
        let auth = format!("auth: {{ htpasswd: {{ realm: here, path: {} }} }}\n", file.display());
        Self::start_in(folder, free_address(), &auth, "")
    }

    fn reference(&self, rest: &str) -> Reference {
        format!("{}/team/time{rest}", self.address).parse().unwrap()
    }

    fn open(&self, rest: &str, access: Access) -> Registry {
        Registry::open(&self.reference(rest), access).unwrap()
    }

    fn push(&self, access: Access) -> Result<Receipt, RegistryError> {
        self.open("", access).push(&image(), &["v1".to_owned()], Some(&bill()), &quiet)
    }

    fn docker(&self, rest: &str) -> String {
        format!("docker://{}", self.reference(rest))
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn try_skopeo(args: &[&str]) -> Output {
    let output = Command::new("skopeo").arg("--insecure-policy").args(args).output();
    output.unwrap_or_else(|error| panic!("this test needs `skopeo`; install it: {error}"))
}

#[track_caller]
fn skopeo(args: &[&str]) -> Vec<u8> {
    let output = try_skopeo(args);
    assert!(output.status.success(), "skopeo {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[track_caller]
fn openssl(folder: &Path, args: &[&str]) {
    let output = Command::new("openssl").args(args).current_dir(folder).output();
    let output = output.unwrap_or_else(|error| panic!("this test needs `openssl`; install it: {error}"));
    assert!(output.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn another_client_finds_and_copies_what_was_pushed() {
    let docker = Docker::start("");
    let receipt = docker.push(access()).unwrap();
    let seen = skopeo(&["inspect", "--tls-verify=false", &docker.docker(":v1")]);
    let seen: Value = serde_json::from_slice(&seen).unwrap();
    assert_eq!(seen["Digest"], receipt.digest.as_str());
    assert_eq!(seen["Architecture"], "amd64");
    let config = skopeo(&["inspect", "--config", "--raw", "--tls-verify=false", &docker.docker(":v1")]);
    assert_eq!(config, image().config().bytes);
    // Every digest is verified on the way out.
    let copy = docker.folder.path().join("copy");
    skopeo(&["copy", "--src-tls-verify=false", &docker.docker(":v1"), &format!("oci:{}:v1", copy.display())]);
    assert_eq!(Layout::open(&copy).unwrap().list().unwrap()[0].digest, receipt.digest);
}

#[test]
fn what_is_attached_is_found_from_the_image() {
    let docker = Docker::start("");
    let attached = docker.push(access()).unwrap().attached.unwrap();
    // This registry knows nothing of referrers.
    let Listed::ByTag { tag } = &attached.listed else { panic!("{attached:?}") };
    let index = skopeo(&["inspect", "--raw", "--tls-verify=false", &docker.docker(&format!(":{tag}"))]);
    let index: Value = serde_json::from_slice(&index).unwrap();
    assert_eq!(index["manifests"][0]["digest"], attached.manifest.as_str());
    let manifest =
        skopeo(&["inspect", "--raw", "--tls-verify=false", &docker.docker(&format!("@{}", attached.manifest))]);
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["subject"]["digest"], image().digest().as_str());
    assert_eq!(manifest["layers"][0]["digest"], attached.digest.as_str());
}

#[test]
fn a_second_push_finds_all_of_it_and_the_image_is_verified() {
    let docker = Docker::start("");
    docker.push(access()).unwrap();
    let again = docker.push(access()).unwrap();
    assert!(again.is_unchanged());
    assert_eq!((&again.tags[0].state, again.requests.len()), (&TagState::Unchanged, 2));
    let client = docker.open(":v1", access());
    assert_eq!(client.verify(&image(), &quiet).unwrap(), Verification::Same);
    assert_eq!(client.resolve(&quiet).unwrap().image, *image().digest());
    let other = client.verify(&image_with("1.0.0", 2), &quiet).unwrap();
    let Verification::Differs { first: Difference::Entry { path, .. }, .. } = other else { panic!("{other:?}") };
    assert_eq!(path, "app");
}

#[test]
fn an_image_that_another_client_pushed_is_read() {
    let docker = Docker::start("");
    let layout = docker.folder.path().join("layout");
    Layout::create(&layout).unwrap().add(&image(), "time:1").unwrap();
    let source = format!("oci:{}:time:1", layout.display());
    skopeo(&["copy", "--dest-tls-verify=false", &source, &docker.docker(":oci")]);
    assert_eq!(docker.open(":oci", access()).verify(&image(), &quiet).unwrap(), Verification::Same);
    // Docker's own format says the same in other words.
    skopeo(&["copy", "--dest-tls-verify=false", "--format", "v2s2", &source, &docker.docker(":docker")]);
    let client = docker.open(":docker", access());
    assert_eq!(client.resolve(&quiet).unwrap().architecture, "amd64");
    let compared = client.verify(&image(), &quiet).unwrap();
    let Verification::Differs { first: Difference::Manifest { .. }, .. } = compared else { panic!("{compared:?}") };
}

#[test]
fn a_password_is_asked_for_and_checked() {
    let docker = Docker::with_password();
    assert!(matches!(docker.push(access()), Err(RegistryError::NoCredentials { .. })));
    assert!(matches!(docker.push(access_as("me", "wrong")), Err(RegistryError::Unauthorized { .. })));
    let receipt = docker.push(access_as("me", "hunter2")).unwrap();
    let seen = skopeo(&["inspect", "--tls-verify=false", "--creds", "me:hunter2", &docker.docker(":v1")]);
    assert_eq!(serde_json::from_slice::<Value>(&seen).unwrap()["Digest"], receipt.digest.as_str());
}

#[test]
fn a_login_of_another_client_is_used() {
    let docker = Docker::with_password();
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("auth.json");
    let login = ["login", "--tls-verify=false", "-u", "me", "-p", "hunter2", "--authfile"];
    let login: Vec<&str> = login.iter().copied().chain([file.to_str().unwrap(), "--"]).collect();
    let address = docker.address.to_string();
    skopeo(&login.iter().copied().chain([address.as_str()]).collect::<Vec<_>>());
    let mut access = access();
    access.credentials.places.registry_auth_file = Some(file);
    docker.push(access).unwrap();
}

#[test]
fn a_token_is_fetched_where_the_registry_says() {
    let tokens = FaultRegistry::start(Store::new(Profile::Spec).with_auth(Auth::Bearer("me", "hunter2")));
    let auth = format!("auth: {{ silly: {{ realm: 'http://{}/token', service: silly }} }}\n", tokens.address);
    let docker = Docker::start(&auth);
    assert!(matches!(docker.push(access()), Err(RegistryError::NoCredentials { .. })));
    docker.push(access_as("me", "hunter2")).unwrap();
    let asked = tokens.asked();
    let last = asked.last().unwrap();
    // It asks for pull and push in two scopes with a space between them.
    assert_eq!(last.parameter("scope").unwrap(), "repository:team/time:pull,push");
    assert_eq!(last.parameter("service").unwrap(), "silly");
}

/// A certificate authority, and a certificate of it for that address.
fn certify(folder: &Path, address: SocketAddr) -> PathBuf {
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let own = ["req", "-x509", "-days", "2", "-subj", "/CN=test authority", "-keyout", "ca.key", "-out", "ca.pem"];
    openssl(folder, &[&own[..], &key].concat());
    let asked = ["req", "-new", "-subj", "/CN=registry", "-keyout", "server.key", "-out", "server.csr"];
    openssl(folder, &[&asked[..], &key].concat());
    fs::write(folder.join("san"), format!("subjectAltName=IP:{}\n", address.ip())).unwrap();
    let signed = ["x509", "-req", "-days", "2", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key"];
    openssl(folder, &[&signed[..], &["-CAcreateserial", "-extfile", "san", "-out", "server.pem"]].concat());
    folder.join("ca.pem")
}

#[test]
fn tls_is_spoken_with_an_authority_that_was_given_and_with_no_other() {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let ca = certify(folder.path(), address);
    let root = folder.path().display().to_string();
    let tls = format!(", tls: {{ certificate: {root}/server.pem, key: {root}/server.key }}");
    let docker = Docker::start_in(folder, address, "", &tls);
    let trusting = |ca: PathBuf| Access { ca: Some(ca), ..access() };
    let receipt = docker.push(trusting(ca)).unwrap();
    let certificates = docker.folder.path().join("certs");
    fs::create_dir(&certificates).unwrap();
    fs::copy(docker.folder.path().join("ca.pem"), certificates.join("ca.crt")).unwrap();
    let seen = skopeo(&["inspect", "--cert-dir", certificates.to_str().unwrap(), &docker.docker(":v1")]);
    assert_eq!(serde_json::from_slice::<Value>(&seen).unwrap()["Digest"], receipt.digest.as_str());

    let other = tempfile::tempdir().unwrap();
    let stranger = certify(other.path(), address);
    match docker.push(trusting(stranger)) {
        Err(RegistryError::Network { fault: NetworkFault::Tls(_), tries: 1, .. }) => {}
        result => panic!("{result:?}"),
    }
    // Plain http at a port of TLS is answered, not stored.
    assert!(matches!(docker.push(access()), Err(RegistryError::Refused { status: 400, .. })));
}

#[test]
fn a_plain_registry_may_send_a_download_on_to_a_store_with_tls() {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let ca = certify(folder.path(), address);
    let root = folder.path().display().to_string();
    let tls = format!(", tls: {{ certificate: {root}/server.pem, key: {root}/server.key }}");
    let store = Docker::start_in(folder, address, "", &tls);
    store.push(Access { ca: Some(ca.clone()), ..access() }).unwrap();
    let plain =
        FaultRegistry::start(Store { elsewhere: Some(format!("https://{address}")), ..Store::new(Profile::Spec) });
    let trusting = Access { ca: Some(ca), plain: Plain::Anywhere, ..access() };
    let client = Registry::open(&crate::support::reference(&plain, ":v1"), trusting).unwrap();
    client.push(&image(), &["v1".to_owned()], None, &quiet).unwrap();
    assert_eq!(client.resolve(&quiet).unwrap().architecture, "amd64");
    assert_eq!(plain.count("GET", "/blobs/"), 1, "which it answered with the store's address");
}

#[test]
fn a_certificate_that_is_its_own_authority_is_told_in_words() {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let name = format!("subjectAltName=IP:{}", address.ip());
    let own = ["req", "-x509", "-days", "2", "-subj", "/CN=registry", "-addext", &name, "-nodes", "-newkey", "ec"];
    let files = ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-keyout", "own.key", "-out", "own.pem"];
    openssl(folder.path(), &[&own[..], &files].concat());
    let root = folder.path().display().to_string();
    let tls = format!(", tls: {{ certificate: {root}/own.pem, key: {root}/own.key }}");
    let ca = folder.path().join("own.pem");
    let docker = Docker::start_in(folder, address, "", &tls);
    let error = docker.push(Access { ca: Some(ca), ..access() }).unwrap_err();
    assert!(matches!(error, RegistryError::Network { fault: NetworkFault::Authority, tries: 1, .. }), "{error:?}");
    assert!(error.to_string().contains("\nhint: sign another one with it"), "{error}");
}

// === the emulation of ECR ===

/// A repository there; removed with the test.
struct Repository {
    name: String,
}

fn variable(name: &str) -> String {
    #[expect(clippy::disallowed_methods, reason = "how `cargo xtask test` tells where the parts of a test are")]
    let value = std::env::var(name);
    value.unwrap_or_else(|_| panic!("set {name}: `cargo xtask test` does"))
}

fn aws(args: &[&str]) -> Output {
    let program = Path::new(&variable("GIMMETIME_VENV")).join("bin/aws");
    Command::new(program)
        .args(["ecr", "--endpoint-url", &variable("GIMMETIME_MINISTACK"), "--region", "eu-west-1"])
        .args(args)
        // Requests to the registry are not signed, and mean the emulation's first account.
        .envs([("AWS_ACCESS_KEY_ID", "000000000000"), ("AWS_SECRET_ACCESS_KEY", "test")])
        .env_remove("AWS_PROFILE")
        .env_remove("AWS_SESSION_TOKEN")
        .output()
        .unwrap()
}

impl Repository {
    fn make() -> Self {
        // Before anything can fail: what is removed at the end needs them too.
        let _parts = ["GIMMETIME_VENV", "GIMMETIME_MINISTACK"].map(variable);
        let repository = Self { name: format!("registry-test-{}", std::process::id()) };
        let make = ["create-repository", "--image-tag-mutability", "IMMUTABLE", "--repository-name", &repository.name];
        let output = aws(&make);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        repository
    }

    fn open(&self, rest: &str) -> Registry {
        open(&self.name, rest)
    }
}

fn open(repository: &str, rest: &str) -> Registry {
    let emulation = variable("GIMMETIME_MINISTACK");
    let address = emulation.strip_prefix("http://").unwrap().trim_end_matches('/');
    Registry::open(&format!("{address}/{repository}{rest}").parse().unwrap(), access_as("AWS", "token")).unwrap()
}

impl Drop for Repository {
    fn drop(&mut self) {
        aws(&["delete-repository", "--force", "--repository-name", &self.name]);
    }
}

#[test]
fn a_repository_with_immutable_tags_takes_the_same_image_twice_and_no_other() {
    let repository = Repository::make();
    let push = |image: &gimmetime_image::Image, tag: &str| {
        repository.open("").push(image, &[tag.to_owned()], Some(&bill()), &quiet)
    };
    let receipt = push(&image(), "v1").unwrap();
    assert_eq!(receipt.tags[0].state, TagState::Pushed);
    assert_eq!(push(&image(), "v1").unwrap().tags[0].state, TagState::Unchanged);
    let other = image_with("2.0.0", 2);
    match push(&other, "v1") {
        Err(RegistryError::TagImmutable { remote: Some(remote), local, .. }) => {
            assert_eq!((&remote, &local), (image().digest(), other.digest()));
        }
        result => panic!("{result:?}"),
    }
    push(&other, "v2").unwrap();
    let listed = aws(&["describe-images", "--repository-name", &repository.name, "--image-ids", "imageTag=v1"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed["imageDetails"][0]["imageDigest"], image().digest().as_str());
    assert_eq!(repository.open(":v1").verify(&image(), &quiet).unwrap(), Verification::Same);
}

#[test]
fn a_repository_that_was_never_made_is_missing() {
    let result = open("registry-test-never-made", "").push(&image(), &["v1".to_owned()], None, &quiet);
    assert!(matches!(result, Err(RegistryError::RepositoryMissing { .. })), "{result:?}");
}
