//! Images as files: what they hold and say, and the engines and tools of others that take them.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::aws::path_with_clients;
use crate::place::{Place, Ran, eventually, get};
use crate::program::{compile, service};

/// What the whole image of the built-in service may have, in bytes, as a registry holds it.
const LARGEST_IMAGE: u64 = 600_000;

/// Runs a program of others in a place.
fn tool(place: &Place, program: &str, args: &[&str]) -> Ran {
    let output = Command::new(program).args(args).current_dir(place.folder()).stdin(Stdio::null()).output();
    Ran::of(output.unwrap_or_else(|error| panic!("this test needs `{program}`; install it: {error}")))
}

#[track_caller]
fn must(place: &Place, program: &str, args: &[&str]) -> String {
    let ran = tool(place, program, args);
    assert_eq!(ran.code, Some(0), "{program} {args:?}: {ran:#?}");
    ran.stdout.trim().to_owned()
}

#[test]
fn the_image_of_the_service_is_small_and_says_what_it_is() {
    let place = Place::new();
    let built = place.json(&["image", "build"]);
    assert!(built["size"].as_u64().unwrap() <= LARGEST_IMAGE, "{built:#}");
    let says = |key: &str| built["annotations"][format!("org.opencontainers.image.{key}")].as_str();
    assert_eq!(says("title"), Some("gimmetime"));
    assert_eq!(says("licenses"), Some("MIT OR Apache-2.0"));
    assert!(says("description").is_some_and(|text| text.contains("time")), "{built:#}");
    assert_eq!(built["created"], "1970-01-01T00:00:00.000Z");
    place.must(&["image", "save", "image.tar"]);
    let config = must(&place, "skopeo", &["inspect", "--config", "oci-archive:image.tar"]);
    let config: Value = serde_json::from_str(&config).unwrap();
    assert_eq!(
        config["config"]["Labels"]["org.opencontainers.image.version"],
        built["annotations"]["org.opencontainers.image.version"]
    );
}

#[test]
fn the_image_of_a_users_file_bears_the_commit_of_its_folder() {
    let place = Place::new();
    place.file("service", service());
    let git = |args: &[&str]| {
        let identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "init.defaultBranch=main"];
        must(&place, "git", &[&identity[..], args].concat())
    };
    let revision = || {
        let built = place.json(&["image", "build", "./service"]);
        built["annotations"]["org.opencontainers.image.revision"].as_str().map(str::to_owned)
    };
    assert_eq!(revision(), None);
    git(&["init", "--quiet"]);
    git(&["add", "service"]);
    git(&["commit", "--quiet", "--message", "service"]);
    let commit = git(&["rev-parse", "--short=7", "HEAD"]);
    assert_eq!(revision(), Some(commit.clone()));
    place.file("service", crate::program::second_service());
    assert_eq!(revision(), Some(format!("{commit}-dirty")));
}

/// What CycloneDX's own library finds wrong with a document, by the schema.
const VALIDATE: &str = "import sys\n\
    from cyclonedx.schema import SchemaVersion\n\
    from cyclonedx.validation.json import JsonStrictValidator\n\
    error = JsonStrictValidator(SchemaVersion.V1_5).validate_str(open(sys.argv[1]).read())\n\
    print('valid' if error is None else error)";

#[track_caller]
fn is_valid_sbom(place: &Place, file: &str) -> Value {
    let mut python = Command::new("python3");
    python.args(["-c", VALIDATE, file]).env("PATH", path_with_clients()).current_dir(place.folder());
    let ran = Ran::of(python.output().unwrap());
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("valid\n", ""), "{ran:#?}");
    serde_json::from_slice(&std::fs::read(place.folder().join(file)).unwrap()).unwrap()
}

fn components(sbom: &Value) -> BTreeSet<String> {
    let components = sbom["components"].as_array().unwrap().iter();
    components.map(|component| component["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_bill_of_materials_is_valid_and_the_same_for_the_same_image() {
    let place = Place::new();
    let built = place.json(&["image", "build", "--sbom", "first.json"]);
    let sbom = is_valid_sbom(&place, "first.json");
    assert_eq!(sbom["metadata"]["component"]["bom-ref"], built["digest"]);
    let names = components(&sbom);
    assert!(["app", "gimmetime-server", "mio", "rustix"].iter().all(|name| names.contains(*name)), "{names:?}");
    assert!(!names.contains("tokio"), "what only the command line links is not in the image: {names:?}");

    let other = Place::new();
    let again = other.json(&["image", "build", "--to", "layout", "--sbom", "second.json"]);
    assert_eq!(again["sbom"]["digest"], built["sbom"]["digest"]);
    let read = |place: &Place, name: &str| std::fs::read(place.folder().join(name)).unwrap();
    assert_eq!(read(&place, "first.json"), read(&other, "second.json"));
    let told = must(&place, "sha256sum", &["first.json"]);
    assert_eq!(built["sbom"]["digest"], format!("sha256:{}", told.split(' ').next().unwrap()));
}

/// zlib's bytes of a list of crates as cargo-auditable has it.
const LIST: &str = "import sys, zlib, json\n\
    sys.stdout.buffer.write(zlib.compress(json.dumps({'packages': [\
    {'name': 'service', 'version': '0.1.0', 'source': 'local', 'root': True, 'dependencies': [1]},\
    {'name': 'serde', 'version': '1.0.1+a', 'source': 'a-registry'},\
    {'name': 'cc', 'version': '1.2.3', 'source': 'a-registry', 'kind': 'build'}]}).encode()))";

#[test]
fn a_users_executable_is_listed_with_the_crates_that_it_tells_of() {
    let place = Place::new();
    place.file("plain", service());
    place.json(&["image", "build", "./plain", "--sbom", "plain.json"]);
    let plain = is_valid_sbom(&place, "plain.json");
    assert_eq!(components(&plain), BTreeSet::from(["app".to_owned()]));
    assert_eq!(plain["compositions"][0]["aggregate"], "unknown");

    let add = |list: &str, to: &str| {
        let section = format!(".dep-v0={list}");
        must(&place, "objcopy", &["--add-section", &section, "plain", to]);
    };
    let list = Command::new("python3").args(["-c", LIST]).output().unwrap();
    std::fs::write(place.folder().join("list"), list.stdout).unwrap();
    add("list", "telling");
    place.json(&["image", "build", "./telling", "--sbom", "telling.json"]);
    let telling = is_valid_sbom(&place, "telling.json");
    let expected = ["app", "serde", "service"].map(str::to_owned);
    assert_eq!(components(&telling), BTreeSet::from(expected), "what only built it is not in it");

    std::fs::write(place.folder().join("list"), "nonsense").unwrap();
    add("list", "lying");
    let ran = place.run(&["image", "build", "./lying"]);
    ran.ends(2).says("list of crates (section .dep-v0) cannot be read");
}

/// What engines call the saved image, if no other run of this test takes that name in between.
const LOADED: &str = "Loaded image: localhost/gimmetime:0.1.0";

/// A container of that name and an image of that id; both are removed at the end.
struct Container<'a> {
    place: &'a Place,
    engine: &'a [&'a str],
    name: String,
    image: String,
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        let call = |args: &[&str]| tool(self.place, self.engine[0], &[&self.engine[1..], args].concat());
        let ran = [call(&["rm", "--force", &self.name]), call(&["image", "rm", &self.image])];
        if !std::thread::panicking() {
            assert_eq!(ran.each_ref().map(|ran| ran.code), [Some(0), Some(0)], "{ran:#?}");
        }
    }
}

/// Runs the saved image with the least that a container can have, asks it for the time, and stops it.
#[track_caller]
fn serves(engine: &[&str], more: &[&str]) {
    let place = Place::new();
    let SocketAddr::V4(listen) = place.listen else { panic!("{}", place.listen) };
    let [.., process, number] = listen.ip().octets();
    // A port of its own makes it an image that no other run of this test has; here `$PORT` says another one anyway.
    place.settings(&format!("[service]\nport = {}\n", 10_000 + u16::from_be_bytes([process, number]) / 2));
    place.must(&["image", "save", "image.tar"]);
    let manifest = must(&place, "skopeo", &["inspect", "--raw", "oci-archive:image.tar"]);
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let image = manifest["config"]["digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned();
    let call = |args: &[&str]| must(&place, engine[0], &[&engine[1..], args].concat());
    let loaded = call(&["load", "--quiet", "--input", "image.tar"]);
    assert!(loaded.ends_with(LOADED), "{loaded}");

    let ip = listen.ip();
    let name = format!("gimmetime-{}", ip.to_string().replace('.', "-"));
    let (host, port) = (format!("HOST={ip}"), format!("PORT={}", place.listen.port()));
    let run = ["run", "--detach", "--name", &name, "--network", "host", "--env", &host, "--env", &port];
    let tight = ["--read-only", "--cap-drop", "ALL", "--user", "65532"];
    let container = Container { place: &place, engine, name: name.clone(), image: image.clone() };
    call(&[&run[..], &tight, more, &[&image]].concat());
    let reply = eventually("the time from a container", || get(place.listen, "/now").ok());
    assert_eq!((reply.status, reply.body.len()), (200, 10), "{reply:?}");
    call(&["stop", "--time", "50", &name]);
    assert_eq!(call(&["inspect", "--format", "{{.State.ExitCode}}", &name]), "0", "it heard SIGTERM");
    drop(container);
}

#[test]
fn docker_runs_the_saved_image_with_nothing_but_its_user() {
    serves(&["docker"], &[]);
}

#[test]
fn podman_runs_the_saved_image_with_nothing_but_its_user() {
    let limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"];
    serves(&["podman", "--cgroup-manager=cgroupfs", "--runtime", "runc"], &limits);
}

#[test]
fn an_image_goes_to_a_file_or_to_standard_output_with_its_digest() {
    let place = Place::new();
    place.file("service", service());
    let saved = place.json(&["image", "save", "image.tar", "./service"]);
    let inspected: Value =
        serde_json::from_str(&must(&place, "skopeo", &["inspect", "oci-archive:image.tar"])).unwrap();
    assert_eq!(saved["digest"], inspected["Digest"]);
    let file = std::fs::read(place.folder().join("image.tar")).unwrap();
    assert_eq!(saved["size"], file.len());

    // By a start of its digest, from the engine's store.
    let start = &saved["digest"].as_str().unwrap()[..14];
    let piped = place.command(&["image", "save", "-", start]).output().unwrap();
    assert!(piped.status.success() && piped.stdout == file, "{:?}", String::from_utf8_lossy(&piped.stderr));
    place.run(&["image", "save", "-", "-o", "json"]).ends(2).says("standard output is taken");
    place.must(&["image", "save", "image.tar"]).says("✔ saved image.tar  gimmetime:");
}

#[test]
fn a_save_that_does_not_come_to_its_end_leaves_what_was_there() {
    let place = Place::new();
    place.must(&["image", "build"]);
    std::fs::write(place.folder().join("image.tar"), "before").unwrap();
    // A limit on the size of files stands for a full disk; who does not ignore its signal is killed by it in the middle.
    let limited = |first: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{first}ulimit -f 100; exec \"$0\" image save image.tar")]);
        shell.arg(env!("CARGO_BIN_EXE_gimmetime")).current_dir(place.folder());
        shell.env("GIMMETIME_STATE", place.folder().join("state")).output().unwrap()
    };
    let killed = limited("");
    assert_eq!(killed.status.signal(), Some(25), "SIGXFSZ: {killed:?}");
    Ran::of(limited("trap '' XFSZ; ")).ends(1).says("cannot write `image.tar`: File too large");
    assert_eq!(std::fs::read_to_string(place.folder().join("image.tar")).unwrap(), "before");
    let files = std::fs::read_dir(place.folder()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut files: Vec<_> = files.collect();
    files.sort();
    assert_eq!(files, ["image.tar", "state"]);
}

#[test]
fn what_cannot_be_saved_or_must_not_be_replaced_is_said() {
    let place = Place::new();
    place.run(&["image", "save", "missing/image.tar"]).ends(1).says("cannot write `missing/image.tar`: No such file");
    place.run(&["image", "save", "/dev/null"]).ends(2).says("/dev/null is no regular file").says("hint: ");
    place.run(&["image", "save", "."]).ends(2).says("is no regular file");
    place.run(&["image", "save", "x.tar", "sha256:0000"]).ends(2).says("no image `sha256:0000`").says("image ls");
    place.run(&["image", "save", "x.tar", "./missing"]).ends(2).says("could not read the executable ./missing");
    assert!(!place.folder().join("x.tar").exists());
}

#[test]
fn what_would_not_run_alone_is_refused_with_what_it_is() {
    let place = Place::new();
    place.file("dynamic", &compile(&[]));
    place.file("script", b"#!/bin/sh\n");
    let mut arm = service().to_vec();
    arm[18..20].copy_from_slice(&183u16.to_le_bytes());
    place.file("arm", &arm);
    let refused = [
        ("./dynamic", "./dynamic: the executable is dynamic: it needs the loader `/lib64/ld-linux-x86-64.so.2`"),
        ("./script", "./script: expected a Linux executable (ELF), but found a script for `/bin/sh`"),
        ("./arm", "./arm: the executable is for ARM64 (aarch64), expected x86-64"),
        (".", "could not read the executable ."),
    ];
    for (path, words) in refused {
        for args in [
            &["image", "build", path][..],
            &["image", "save", "x.tar", path],
            &["image", "push", "localhost:1/a", path],
        ] {
            place.run(args).ends(2).says(words);
        }
    }
}
