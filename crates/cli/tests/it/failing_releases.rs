//! Releases that cannot work: the deploy is rolled back and explained, and the old release never stops serving.

use std::collections::BTreeMap;
use std::path::PathBuf;

use gimmetime_image::{Layout, Spec, pack};

use crate::clients::Clients;
use crate::place::{Place, eventually, runs};
use crate::program::{compile, second_service, service, task_settings};

/// One cause, as `deploy` and `why` name it, and what mends it.
struct Fault {
    mode: &'static str,
    cause: &'static str,
    fix: &'static str,
}

const FAULTS: [Fault; 5] = [
    Fault { mode: "exit", cause: "the process exits 3 at start", fix: "mend it by what its log says" },
    Fault { mode: "deaf", cause: "the process never listens on its port", fix: "listen on 0.0.0.0:$PORT" },
    Fault { mode: "500", cause: "the process answers 500 on its health path", fix: "mend it by what its log says" },
    Fault { mode: "mute", cause: "the process does not answer its health path in time", fix: "" },
    Fault { mode: "crash", cause: "the process exits 4 at start", fix: "mend it by what its log says" },
];

/// Deploys a release with this fault over one that works, under the eyes of clients.
#[track_caller]
fn is_rolled_back_and_explained(Fault { mode, cause, fix }: &Fault) {
    let place = Place::new();
    place.serve_task("");
    place.must(&["up"]);
    let serving = place.task_pids();
    let clients = Clients::ask(place.listen, "/greeting");

    place.settings(&task_settings(&format!("env = {{ MODE = \"{mode}\" }}")));
    let deploy = place.run(&["deploy"]);
    deploy.ends(1).says("✘ r2 failed after").says("Rolled back; r1 never stopped (").says(" 0 failed)");
    let changed = "changed    r1 → r2: env MODE";
    deploy.says(cause).says(fix).says(changed).says(&format!("mode `{mode}`")).says("then: gimmetime deploy");
    assert_eq!(place.task_pids(), serving, "the old tasks were never touched");
    clients.leave().nothing_amiss();

    place.must(&["why"]).says("all is well now; r2 failed before:").says(cause).says(changed);
    place.must(&["why", "r2"]).says(cause);
    let releases = place.json(&["releases"])["releases"].clone();
    assert_eq!((&releases[0]["outcome"], &releases[1]["outcome"]), (&"rolled_back".into(), &"succeeded".into()));
    assert_eq!((&releases[0]["serving"], &releases[1]["serving"]), (&false.into(), &true.into()));

    // What was rolled back is not gone back from once more, and what works can be deployed.
    place.run(&["rollback"]).ends(1).says("r2 was rolled back already, r1 serves");
    place.settings(&task_settings("env = { GREETING = \"mended\" }"));
    place.must(&["deploy"]).says("r1 → r3").says(" 0 failed");
    assert_eq!(place.get("/greeting").unwrap().body, "mended");
}

#[test]
fn a_release_that_exits_at_once_is_rolled_back_and_explained() {
    is_rolled_back_and_explained(&FAULTS[0]);
}

#[test]
fn a_release_that_never_listens_is_rolled_back_and_explained() {
    is_rolled_back_and_explained(&FAULTS[1]);
}

#[test]
fn a_release_that_answers_500_is_rolled_back_and_explained() {
    is_rolled_back_and_explained(&FAULTS[2]);
}

#[test]
fn a_release_that_hangs_is_rolled_back_and_explained() {
    is_rolled_back_and_explained(&FAULTS[3]);
}

#[test]
fn a_release_that_crashes_once_it_runs_is_rolled_back_and_explained() {
    is_rolled_back_and_explained(&FAULTS[4]);
}

#[test]
fn a_release_that_crashes_after_it_was_healthy_is_rolled_back_and_the_old_one_never_stopped() {
    let place = Place::new();
    place.serve_task("");
    place.must(&["up"]);
    let serving = place.task_pids();
    let clients = Clients::ask(place.listen, "/greeting");
    place.serve_task("brief");
    let deploy = place.run(&["deploy"]);
    deploy.ends(1).says("✘ r2 failed after").says("EssentialContainerExited");
    deploy.says("Rolled back; r1 never stopped (").says(" 0 failed)");
    assert_eq!(place.task_pids(), serving);
    clients.leave().nothing_amiss();
    place.must(&["status"]).says("OK · r1").says("2 of 2");
    assert_eq!(place.get("/greeting").unwrap().body, "hello");
    place.must(&["why"]).says("r2 failed before:").says("exits 4");
}

#[test]
fn a_first_release_that_cannot_work_ends_with_3_and_why_explains_it() {
    for fault in &FAULTS[..3] {
        let place = Place::new();
        place.serve_task(fault.mode);
        place.run(&["up"]).ends(3).says("✘ r1 failed after").says(fault.cause).says("No task is healthy");
        place.run(&["why"]).ends(1).says("✘ r1 is not well:").says(fault.cause).says(fault.fix);
        place.run(&["status"]).ends(3).says("NOT HEALTHY");
        place.settings(&task_settings(""));
        place.must(&["up"]).says("r2").says("2 of 2 healthy");
    }
}

#[test]
fn a_task_that_ignores_sigterm_is_killed_after_its_stop_timeout() {
    let place = Place::new();
    place.file("task", service());
    let stubborn = "env = { MODE = \"stubborn\" }\nrollout = { stop_timeout = \"1s\" }";
    place.settings(&task_settings(stubborn));
    place.must(&["up"]);
    let old = place.task_pids();
    let clients = Clients::ask(place.listen, "/greeting");
    place.settings(&task_settings(""));
    place.must(&["deploy"]).says("r1 → r2").says(" 0 failed");
    clients.leave().nothing_amiss();
    assert!(old.into_iter().all(|pid| !runs(pid)));
    assert_eq!(place.json(&["why"])["state"], "healthy", "an end by SIGKILL on our word is no failure");
}

#[test]
fn an_image_that_was_damaged_in_the_store_fails_to_start_and_the_old_release_serves() {
    let place = Place::new();
    place.serve_task("");
    place.must(&["up"]);
    let serving = place.task_pids();
    place.file("second", second_service());
    let before = blobs(&place);
    let digest = place.must(&["image", "build", "./second"]).stdout.trim().to_owned();
    // The largest of the new files is the layer; its manifest and configuration stay whole.
    let new = blobs(&place).into_iter().filter(|blob| !before.contains(blob));
    let layer = new.max_by_key(|blob| std::fs::metadata(blob).unwrap().len()).unwrap();
    let mut bytes = std::fs::read(&layer).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(&layer, bytes).unwrap();

    let deploy = place.run(&["deploy", &digest]);
    deploy.ends(1).says("TaskFailedToStart").says("Rolled back; r1 never stopped").says(" 0 failed");
    place.must(&["why", "r2"]).says("TaskFailedToStart").says("fix ");
    assert_eq!(place.task_pids(), serving);
    assert_eq!(place.get("/greeting").unwrap().body, "hello");
}

#[test]
fn an_executable_that_cannot_run_is_refused_by_the_engine_too_and_named() {
    let place = Place::new();
    place.serve_task("");
    place.must(&["up"]);
    let serving = place.task_pids();
    let layout = Layout::open(&place.state().join("images")).unwrap();
    let mut foreign = service().to_vec();
    foreign[18] = 183; // e_machine: AArch64
    let faults = [
        ("dynamic", compile(&[]), "the executable is not static"),
        ("foreign", foreign, "the executable is for another architecture"),
        ("script", b"#!/bin/sh\nexit 0\n".to_vec(), "the file is not executable"),
    ];
    for (title, executable, cause) in faults {
        let (command, env, labels) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        let (title, version) = (title.to_owned(), "1".to_owned());
        // Unchecked, as another tool might have put it there.
        let spec = Spec { executable: executable.into(), command, env, port: 8080, title, version, labels };
        let digest = layout.add(&pack(&spec), &spec.reference().unwrap()).unwrap().digest.to_string();
        let deploy = place.run(&["deploy", &digest]);
        deploy.ends(1).says("TaskFailedToStart").says(cause).says("Rolled back; r1 never stopped").says(" 0 failed");
    }
    assert_eq!(place.task_pids(), serving);
}

fn blobs(place: &Place) -> Vec<PathBuf> {
    let folder = place.state().join("images/blobs/sha256");
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_healthy_service_whose_task_dies_is_mended_and_why_tells_what_happened() {
    let place = Place::new();
    place.serve_task("");
    place.must(&["up"]);
    let victim = *place.task_pids().first().unwrap();
    crate::place::kill(victim);
    eventually("another takes its place", || {
        let tasks = place.task_pids();
        (tasks.len() == 2 && !tasks.contains(&victim)).then_some(())
    });
    eventually("all is well again", || place.is_steady());
    place.must(&["why"]).says("all is well now; r1 failed before:").says("SIGKILL");
}
