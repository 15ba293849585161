//! Images on their way to a registry that nobody here wrote: tried first, pushed once, compared.

use std::fs::Permissions;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use rustix::process::Signal;
use serde_json::Value;

use crate::place::{Place, Ran, eventually, signal};
use crate::program::{compile, second_service, service};
use crate::registry::{PASSWORD, Registry, USER};

/// Puts the service here as `./task`, settings for it, and a stop timeout that a test can wait for.
fn task(place: &Place, mode: &str) {
    place.file("task", service());
    let more = format!("env = {{ MODE = \"{mode}\" }}\nrollout = {{ stop_timeout = \"1s\" }}");
    place.settings(&crate::program::task_settings(&more));
}

#[test]
fn an_image_is_pushed_once_and_is_then_there_already() {
    let place = Place::new();
    let registry = Registry::open_to_all(&place);
    let name = registry.name("web:1");
    let first = place.must(&["image", "push", &name]);
    first.says("✔ listens, is healthy, leaves: tried as").says(&format!("✔ pushed {name} sha256:")).says("2 blobs, ");
    let again = place.must(&["image", "push", &name]);
    again.says(&format!("✔ there already {name} sha256:")).says("1 request ");
    assert!(!again.stdout.contains("tried"), "it was tried when it was pushed: {again:#?}");
    place.must(&["image", "verify", &name]).says(&format!("✔ same  {name} sha256:"));

    let inspect = ["inspect", "--tls-verify=false", &format!("docker://{name}")];
    let inspected = Ran::of(Command::new("skopeo").args(inspect).output().unwrap());
    let inspected: Value = serde_json::from_str(&inspected.ends(0).stdout).unwrap();
    let built = place.json(&["image", "build"]);
    assert_eq!(inspected["Digest"], built["digest"]);
}

#[test]
fn docker_pulls_what_was_pushed_under_each_tag() {
    let place = Place::new();
    let registry = Registry::open_to_all(&place);
    task(&place, "polite");
    let receipt = place.json(&["image", "push", &registry.name("web:1"), "./task", "--tag", "latest", "--sbom"]);
    assert_eq!(receipt["tags"].as_array().unwrap().len(), 2, "{receipt:#}");
    assert!(receipt["attached"]["digest"].as_str().unwrap().starts_with("sha256:"), "{receipt:#}");
    assert!(receipt["tried"]["how"].as_str().unwrap().starts_with("as "), "{receipt:#}");
    let docker = |args: &[&str]| Ran::of(Command::new("docker").args(args).output().unwrap());
    for tag in ["web:1", "web:latest"] {
        let name = registry.name(tag);
        docker(&["pull", "--quiet", &name]).ends(0);
        let digest = docker(&["image", "inspect", "--format", "{{index .RepoDigests 0}}", &name]);
        docker(&["image", "rm", &name]).ends(0);
        assert_eq!(digest.stdout.trim(), receipt["reference"], "{digest:#?}");
    }
}

#[test]
fn a_difference_is_named_and_what_is_not_there_is_not_called_different() {
    let place = Place::new();
    let registry = Registry::open_to_all(&place);
    let name = registry.name("web:1");
    task(&place, "polite");
    place.must(&["image", "push", &name]);
    place.file("task", second_service());
    let differs = place.run(&["image", "verify", &name]);
    differs.ends(1).says("✘ differs: ").says("`app`").says(" here sha256:");
    let told = place.run(&["image", "verify", &name, "-o", "json"]);
    let told: Value = serde_json::from_str(&told.ends(1).stdout).unwrap();
    assert_eq!(told["verdict"], "different");
    assert_ne!(told["local"], told["remote"]);

    place.settings(&crate::program::task_settings("port = 9090"));
    place.file("task", service());
    place.run(&["image", "verify", &name]).ends(1).says("ExposedPorts");
    place.run(&["image", "verify", &registry.name("web:2")]).ends(2).says("there is no image");
    place.run(&["image", "verify", &registry.name("other:1")]).ends(2).says("error: ");
}

#[test]
fn a_password_comes_from_flags_environment_or_files_and_is_never_said() {
    let place = Place::new();
    let registry = Registry::with_password(&place);
    let name = registry.name("web:1");
    task(&place, "polite");
    let push = ["image", "push", &name];
    let bare = |mut command: Command| {
        command.env("HOME", place.folder()).env_remove("XDG_RUNTIME_DIR").env_remove("DOCKER_CONFIG");
        command.env_remove("REGISTRY_AUTH_FILE");
        command
    };
    let end = |mut command: Command| Ran::of(command.output().unwrap());
    let none = end(bare(place.command(&push)));
    none.ends(1).says("asks for a user name and a password").says(".docker/config.json").says("hint: docker login");
    let mut wrong = bare(place.command(&push));
    wrong.env("GIMMETIME_REGISTRY_USER", USER).env("GIMMETIME_REGISTRY_PASSWORD", "hunter2");
    let wrong = end(wrong);
    wrong.ends(1).says("does not accept the credentials");
    assert!(!format!("{wrong:?}").contains("hunter2"), "{wrong:#?}");
    assert!(!registry.has("web"));
    let mut half = bare(place.command(&push));
    half.env("GIMMETIME_REGISTRY_USER", USER);
    end(half).ends(2).says("GIMMETIME_REGISTRY_PASSWORD is not");
    end(bare(place.command(&[&push[..], &["--username", USER]].concat()))).ends(2).says("--password-stdin");

    let mut environment = bare(place.command(&push));
    environment.env("GIMMETIME_REGISTRY_USER", USER).env("GIMMETIME_REGISTRY_PASSWORD", PASSWORD);
    end(environment).ends(0).says("✔ pushed");

    // Flags win over the environment.
    std::fs::write(place.folder().join("password"), format!("{PASSWORD}\n")).unwrap();
    let mut typed = bare(place.command(&["image", "verify", &name, "--username", USER, "--password-stdin"]));
    typed.env("GIMMETIME_REGISTRY_USER", "bob").env("GIMMETIME_REGISTRY_PASSWORD", "hunter2");
    typed.stdin(Stdio::from(std::fs::File::open(place.folder().join("password")).unwrap()));
    end(typed).ends(0).says("✔ same");

    let login = ["login", "--tls-verify=false", "--authfile", "auth.json", "--username", USER, "--password", PASSWORD];
    let login =
        Command::new("skopeo").args(login).arg(registry.address.to_string()).current_dir(place.folder()).output();
    Ran::of(login.unwrap()).ends(0);
    let mut stored = bare(place.command(&push));
    stored.env("REGISTRY_AUTH_FILE", place.folder().join("auth.json"));
    end(stored).ends(0).says("✔ there already");
}

#[test]
fn tls_is_spoken_and_an_unknown_certificate_is_not_trusted() {
    let place = Place::new();
    let registry = Registry::with_tls_and_password(&place);
    let name = registry.name("web:1");
    task(&place, "polite");
    let ca = registry.ca.to_str().unwrap();
    let push = |more: &[&str]| {
        let mut command = place.command(&[&["image", "push", &name], more].concat());
        command.env("GIMMETIME_REGISTRY_USER", USER).env("GIMMETIME_REGISTRY_PASSWORD", PASSWORD);
        Ran::of(command.output().unwrap())
    };
    push(&["--ca", ca]).ends(0).says("✔ pushed");
    push(&["--ca", ca]).ends(0).says("✔ there already");
    push(&["--ca", "missing.pem"]).ends(2).says("cannot use the certificates in `missing.pem`");
    push(&["--ca", ca, "--insecure"]).ends(2).says("--insecure");
    let other = Place::new();
    let stranger = Registry::with_tls_and_password(&other);
    let refused = push(&["--ca", stranger.ca.to_str().unwrap()]);
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    assert!(!format!("{refused:?}").contains(PASSWORD));
}

#[test]
fn a_registry_that_is_not_there_is_told_before_anything_is_tried() {
    let place = Place::new();
    task(&place, "deaf");
    let name = format!("{}/web:1", SocketAddr::new(place.listen.ip(), 5000));
    let push = place.run(&["image", "push", &name]);
    push.ends(1).says("cannot look for the manifest").says("Connection refused");
    place.run(&["image", "verify", &name]).ends(2).says("Connection refused");
}

#[test]
fn a_program_that_breaks_the_contract_is_not_pushed() {
    let place = Place::new();
    let registry = Registry::open_to_all(&place);
    let name = registry.name("web:1");
    let cases = [
        ("exit", "exits 3 before it listened on $PORT"),
        ("deaf", "does not listen on $PORT"),
        ("500", "answers 500 on its health path /live, expected 2xx"),
        ("mute", "does not answer its health path /live within 2 s"),
        ("crash", "exits 4 when it was asked for /live"),
        ("", "has no handler for SIGTERM"),
        ("stubborn", "has no handler for SIGTERM"),
        ("numb", "does not leave within 1 s of SIGTERM"),
        ("rude", "exits 5 on SIGTERM, expected 0 or 143"),
    ];
    for (mode, words) in cases {
        task(&place, mode);
        let ran = place.run(&["image", "push", &name]);
        ran.ends(1).says(words).says("its last line: ").says("hint: --no-smoke pushes it all the same");
        assert_eq!(ran.stdout, "", "{ran:#?}");
    }
    assert!(!registry.has("web"), "nothing was pushed");
    nothing_is_left(&place);
    task(&place, "exit");
    place.must(&["image", "push", "--no-smoke", &name]).says("✔ pushed");
}

#[test]
fn ctrl_c_ends_the_trial_and_leaves_neither_process_nor_file() {
    let place = Place::new();
    let registry = Registry::open_to_all(&place);
    task(&place, "deaf");
    let push = place.start(&["image", "push", &registry.name("web:1")]);
    let output = || {
        std::fs::read_dir(place.state()).ok()?.find_map(|entry| {
            let file = entry.ok()?.path().join("output");
            std::fs::read_to_string(file).ok().filter(|text| text.contains("started"))
        })
    };
    eventually("the program has started", output);
    signal(push.id(), Signal::INT);
    let ran = Ran::of(push.wait_with_output().unwrap());
    ran.ends(2).says("interrupted before anything was pushed");
    nothing_is_left(&place);
}

/// A registry that has nothing, at the place's address, and leaves whoever wants to store something waiting: those come
/// out of the channel.
fn stalled(place: &Place) -> (String, Receiver<TcpStream>) {
    let listener = TcpListener::bind(SocketAddr::new(place.listen.ip(), 5000)).unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, waiting) = channel();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let sender = sender.clone();
            thread::spawn(move || answer(connection.unwrap(), &sender));
        }
    });
    (format!("{address}/web:1"), waiting)
}

fn answer(mut connection: TcpStream, waiting: &Sender<TcpStream>) {
    let mut lines = BufReader::new(connection.try_clone().unwrap()).lines().map_while(Result::ok);
    while let Some(first) = lines.next() {
        if !first.starts_with("HEAD ") {
            // Who has seen one of them does not ask for more.
            let _ = waiting.send(connection);
            return;
        }
        lines.by_ref().take_while(|line| !line.is_empty()).for_each(drop);
        connection.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").unwrap();
    }
}

#[test]
fn ctrl_c_ends_a_push_before_its_next_request() {
    let place = Place::new();
    let (name, waiting) = stalled(&place);
    task(&place, "polite");
    let push = place.start(&["image", "push", "--no-smoke", &name]);
    let _held = waiting.recv().unwrap();
    signal(push.id(), Signal::INT);
    let ran = Ran::of(push.wait_with_output().unwrap());
    ran.ends(2).says("interrupted; the same command goes on with what is there");
    nothing_is_left(&place);
}

#[test]
fn a_service_that_keeps_connections_open_is_as_good_as_one_that_closes_them() {
    let place = Place::new();
    let registry = Registry::open_to_all(&place);
    task(&place, "clinging");
    place.must(&["image", "push", &registry.name("web:1")]).says("✔ listens, is healthy, leaves: tried as");
}

#[test]
fn a_token_server_elsewhere_is_named_with_how_to_trust_it() {
    let place = Place::new();
    let listener = TcpListener::bind(SocketAddr::new(place.listen.ip(), 5000)).unwrap();
    let name = format!("{}/web:1", listener.local_addr().unwrap());
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            BufReader::new(connection.try_clone().unwrap()).lines().find(|line| line.as_ref().unwrap().is_empty());
            let challenge = "WWW-Authenticate: Bearer realm=\"http://tokens.invalid/token\"";
            write!(connection, "HTTP/1.1 401 x\r\n{challenge}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
                .unwrap();
        }
    });
    task(&place, "polite");
    let refused = place.run(&["image", "push", &name]);
    refused.ends(1).says("`http://tokens.invalid` as its token server").says("hint: ").says("--token-host HOST");
}

#[test]
fn whoever_is_not_root_tries_an_image_as_themselves() {
    let place = Place::new();
    let registry = Registry::open_to_all(&place);
    let mut user = Command::new("setpriv");
    user.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg("./gimmetime");
    if !rustix::process::getuid().is_root() {
        user = Command::new("./gimmetime");
    }
    std::fs::copy(env!("CARGO_BIN_EXE_gimmetime"), place.folder().join("gimmetime")).unwrap();
    for folder in [place.folder().to_owned(), place.folder().join("own")] {
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
    }
    user.args(["image", "push", &registry.name("web:1"), "--state", "own"]).current_dir(place.folder());
    Ran::of(user.env("HOME", place.folder()).output().unwrap()).ends(0).says("tried as yourself").says("✔ pushed");
}

#[track_caller]
fn nothing_is_left(place: &Place) {
    let names = std::fs::read_dir(place.state()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.collect::<Vec<_>>(), ["images"]);
    eventually("no program of a trial runs", || place.process("/root /app").is_none().then_some(()));
}

#[test]
fn a_reference_that_names_another_digest_is_refused() {
    let place = Place::new();
    let name = format!("localhost:1/web@sha256:{}", "0".repeat(64));
    place.run(&["image", "push", &name]).ends(2).says("but the image is");
    place.run(&["image", "push", "web:1"]).ends(2).says("names no host");
    place.file("dynamic", &compile(&[]));
    place.run(&["image", "push", "localhost:1/web:1", "./dynamic"]).ends(2).says("is dynamic");
}
