//! What nobody should have typed: refused at once and in full, before anything is changed.

use std::net::TcpListener;

use crate::place::{Place, Ran};
use crate::program::{compile, service, task_settings};

impl Ran {
    /// Refused with this exit code: an error in words, with a next step.
    #[track_caller]
    fn refuses(&self, code: i32, words: &[&str]) {
        self.ends(code);
        assert!(self.stderr.starts_with("error: "), "{self:#?}");
        assert_eq!(self.stdout, "", "data is for what was done");
        for words in words {
            assert!(self.stderr.contains(words), "no `{words}` in {self:#?}");
        }
    }
}

#[test]
fn a_taken_port_names_who_holds_it_and_leaves_nothing() {
    let place = Place::new();
    let held = TcpListener::bind(place.listen).unwrap();
    let holder = format!("{} is taken by it", place.listen);
    let pid = format!("(pid {})", std::process::id());
    place.run(&["up"]).refuses(3, &[&holder, &pid, "hint: take another: gimmetime up --listen ADDR"]);
    assert!(!place.state().exists());
    drop(held);

    place.must(&["up"]);
    let other = Place::new();
    let listen = place.listen.to_string();
    other.run(&["up", "--listen", &listen]).refuses(3, &[&format!("{listen} is taken by gimmetime (pid "), "hint: "]);
    assert_eq!(place.get("/now").unwrap().status, 200);
}

#[test]
fn an_address_that_cannot_be_had_says_why() {
    let place = Place::new();
    place.run(&["up", "--listen", "192.0.2.1:8080"]).refuses(3, &["this machine has no address 192.0.2.1"]);
    place.run(&["up", "--listen", "8080"]).refuses(2, &["'8080'", "--listen"]);
    assert!(!place.state().exists());
}

#[test]
fn all_that_is_wrong_in_the_settings_is_said_at_once_with_its_line_and_the_nearest_name() {
    let place = Place::new();
    place.settings(
        "nmae = \"x\"\n[service]\nport = \"80\"\nhealht = \"/\"\nenv = { PORT = \"1\" }\n\
         secrets = { KEY = \"hunter2\" }\n[targets.local]\nlisten = \"here\"\n",
    );
    for args in [&["up"][..], &["deploy"], &["status"], &["down"]] {
        let ran = place.run(args);
        ran.refuses(
            2,
            &[
                "gimmetime.toml:1: unknown key `nmae` (did you mean `name`?)",
                "gimmetime.toml:3: `service.port`: expected a whole number from 1 to 65535",
                "gimmetime.toml:4: unknown key `service.healht` (did you mean `health`?)",
                "gimmetime.toml:5: `service.env`: PORT is set by the engine (set service.port)",
                "gimmetime.toml:6: secret `KEY` must be a reference",
                "gimmetime.toml:8: `targets.local.listen`: expected an address",
                "hint: gimmetime.toml is described in the README",
            ],
        );
        assert!(!ran.stderr.contains("hunter2"), "a secret is never said: {ran:#?}");
    }
    assert!(!place.state().exists());
    place.settings("name = \"a\"\n[service\n");
    place.run(&["up"]).refuses(2, &["gimmetime.toml:2: "]);
    place.settings("");
    place.run(&["up", "--config", "missing.toml"]).refuses(2, &["missing.toml", "name another with --config FILE"]);
    place.run(&["up", "--name", "a_b"]).refuses(2, &["name `a_b` must have 1 to 32 letters"]);
}

#[test]
fn a_target_on_this_machine_is_not_taken_for_one_elsewhere() {
    let place = Place::new();
    place.settings("[targets.production]\ncount = 1\n");
    let both = ["gimmetime.toml:1: `targets.production`: neither", "on AWS: aws = {", "on this machine: listen = "];
    place.run(&["up", "--target", "production"]).refuses(2, &both);
    assert!(!place.state().exists());
    place.settings(&format!("[targets.production]\ncount = 1\nlisten = \"{}\"\n", place.listen));
    for args in [&["up"][..], &["status"], &["deploy", "--force"], &["down"]] {
        let ran = place.must(&[args, &["--target", "production"]].concat());
        assert_eq!(ran.stderr.lines().next(), Some("production · this machine"), "{ran:#?}");
    }
}

#[test]
fn a_misspelt_variable_is_named_and_ends_nothing() {
    let place = Place::new();
    let mut command = place.command(&["ls", "--output", "json"]);
    let ran = Ran::of(command.env("GIMMETIME_TAGET", "production").env("GIMMETIME_COUNT", "3").output().unwrap());
    ran.ends(0)
        .says("warning: the variable GIMMETIME_TAGET is unknown and changes nothing (did you mean GIMMETIME_TARGET?)");
    assert_eq!(ran.stderr.matches("warning").count(), 1, "{ran:#?}");
    let none = place.must(&["ls"]);
    assert!(!none.stderr.contains("warning"), "what the test runner sets is known: {none:#?}");
}

#[test]
fn an_unknown_target_is_refused_with_the_nearest_one() {
    let place = Place::new();
    place.settings("[targets.production]\naws = { account = \"123456789012\" }\n");
    place.run(&["status", "--target", "prodution"]).refuses(2, &["`prodution`", "did you mean `production`?"]);
    for verb in ["env", "unit"] {
        let hint = format!("hint: gimmetime {verb} --target local");
        place.run(&[verb, "--target", "production"]).refuses(2, &["`production` is on AWS", &hint]);
    }
    for args in [&["plan"][..], &["template"], &["iam", "read"]] {
        let hint = format!("hint: gimmetime {} --target production", args.join(" "));
        place.run(args).refuses(2, &["for targets on AWS, and `local` is on this machine", &hint]);
    }
}

/// Files that no task can run, what is said of each, and how many bytes it has.
fn unusable() -> Vec<(&'static str, Vec<u8>, &'static [&'static str])> {
    let mut arm = service().to_vec();
    // `e_machine` (System V ABI, "ELF Header"): EM_AARCH64.
    arm[18..20].copy_from_slice(&183_u16.to_le_bytes());
    vec![
        ("dynamic", compile(&[]), &["dynamic", "loader", "link it statically", "cc -static"]),
        ("object", compile(&["-c"]), &["an object file", "give the program that the linker made"]),
        ("script", b"#!/bin/sh\nexec true\n".to_vec(), &["a script for `/bin/sh`", "give the compiled program itself"]),
        ("arm", arm, &["is for ARM64", "expected x86-64", "build it for x86_64-unknown-linux-gnu"]),
        ("cut", service()[..1000].to_vec(), &["the executable"]),
        ("empty", Vec::new(), &["an empty file", "give the compiled program itself"]),
    ]
}

#[test]
fn a_file_that_cannot_run_is_refused_by_name_before_anything_is_made() {
    let place = Place::new();
    for (name, bytes, words) in unusable() {
        place.file(name, &bytes);
        let path = format!("./{name}");
        let ran = place.run(&["up", "--image", &path]);
        ran.refuses(2, &[&path]);
        ran.refuses(2, words);
        place.run(&["image", "build", &path, "--to", "layout"]).refuses(2, words);
        assert!(!place.state().exists(), "`{name}` left something");
    }
    for image in ["./missing", "builtn", ".", "example.com/some/image:1"] {
        place.run(&["up", "--image", image]).refuses(2, &["could not read", image, "hint: an image is `builtin`"]);
        assert!(!place.state().exists(), "`{image}` left something");
    }
}

#[test]
fn a_file_that_cannot_run_is_refused_before_a_release_of_it_is_registered() {
    let place = Place::new();
    place.file("task", service());
    place.settings(&task_settings(""));
    place.must(&["up"]);
    let before = place.task_pids();
    for (name, bytes, words) in unusable() {
        place.file(name, &bytes);
        place.run(&["deploy", &format!("./{name}")]).refuses(2, words);
    }
    place.run(&["deploy", "./missing"]).refuses(2, &["./missing", "hint: "]);
    let unknown = format!("sha256:{}", "0".repeat(64));
    place.run(&["deploy", &unknown]).refuses(1, &["no image", &unknown, "hint: gimmetime image ls"]);
    assert_eq!(place.json(&["releases"])["releases"].as_array().unwrap().len(), 1);
    assert_eq!(place.task_pids(), before);
}

#[test]
fn wrong_flags_end_with_2_and_say_what_is_right() {
    let place = Place::new();
    for (args, words) in [
        (&["frobnicate"][..], "unrecognized subcommand"),
        (&["up", "--cuont", "3"], "--count"),
        (&["up", "--count", "201"], "0..=200"),
        (&["scale"], "<N>"),
        (&["scale", "many"], "'many'"),
        (&["rollback", "latest"], "expected a release as 12 or r12"),
        (&["logs", "--since", "5"], "expected a time as 250ms, 90s"),
        (&["deploy", "--attach", "--wait"], "cannot be used with"),
        (&["status", "--output", "yaml"], "text, json"),
        (&["why", "r1", "--at", "03:07"], "a release or a moment"),
        (&["why", "--at", "soon"], "expected a time as 03:07"),
    ] {
        place.run(args).refuses(2, &[words]);
    }
}

#[test]
fn a_url_that_cannot_be_checked_says_what_is_expected() {
    let place = Place::new();
    for (url, words) in [
        ("ftp://127.0.0.1/now", "the scheme `ftp`, expected http"),
        ("https://127.0.0.1/now", "give its http address"),
        ("http://", "http://"),
        ("http://127.0.0.1:99999/now", "99999"),
    ] {
        place.run(&["check", url]).refuses(2, &[words]);
    }
    place.run(&["check"]).refuses(2, &["no URL was given", "hint: gimmetime check http://HOST:PORT"]);
    let url = format!("http://{}/now", place.listen);
    place.run(&["check", &url]).refuses(1, &["no answer from", &place.listen.to_string(), "connection refused"]);
    let compat = place.run(&["check", "--compat", &url]);
    compat.ends(1);
    assert_eq!(compat.stdout, "Service not available or accessible\n");
}

#[test]
fn verbs_on_what_is_not_up_say_how_to_bring_it_up() {
    let place = Place::new();
    for args in
        [&["status"][..], &["deploy"], &["rollback"], &["scale", "3"], &["releases"], &["why"], &["logs"], &["env"]]
    {
        place.run(args).refuses(2, &["`gimmetime` is not up", "hint: gimmetime up"]);
    }
    place.must(&["up"]);
    place.run(&["rollback"]).refuses(1, &["no release before r1 is known to have worked", "hint: "]);
    place.run(&["rollback", "r7"]).refuses(2, &["there is no release r7", "r1", "hint: gimmetime releases"]);
}
