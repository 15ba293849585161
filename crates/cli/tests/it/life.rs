//! The life of a service: up, read, deploy, roll back, scale, explain, down.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::clients::Clients;
use crate::place::{Place, Ran, eventually, runs, signal};
use crate::program::{second_service, service, task_settings};

#[test]
fn up_ends_with_a_service_that_answers_as_the_original_did() {
    let place = Place::new();
    let up = place.must(&["up"]);
    up.says("2 of 2 healthy").says("clock within").says("date -d @$(curl -s http://");
    let reply = place.get("/now").unwrap();
    assert_eq!(reply.status, 200);
    assert_eq!(reply.body.len(), 10, "{reply:?}");
    assert!(reply.body.bytes().all(|byte| byte.is_ascii_digit()), "{reply:?}");
    for header in ["Content-Type: text/plain; charset=utf-8", "Content-Length: 10", "Date: "] {
        assert!(reply.head.contains(header), "no `{header}` in {reply:?}");
    }
    let command = format!("LC_ALL=C TZ=UTC date --date @$(curl --silent http://{}/now)", place.listen);
    let date = Ran::of(Command::new("sh").args(["-c", &command]).output().unwrap());
    assert_eq!((date.code, date.stderr.as_str()), (Some(0), ""), "{date:?}");
    assert!(date.stdout.contains(" UTC 2"), "{date:?}");
}

#[test]
fn a_release_is_deployed_undone_and_listed_while_everyone_is_served() {
    let place = Place::new();
    place.serve_task("");
    place.must(&["up"]).says("r1").says("2 of 2 healthy");
    let clients = Clients::ask(place.listen, "/greeting");

    place.file("second", second_service());
    let deploy = place.must(&["deploy", "./second"]);
    deploy.says("r1 → r2").says("r2 serves everyone after").says(" 0 failed").says("undo: gimmetime rollback r1");
    assert_eq!(place.get("/greeting").unwrap().body, "second");
    place.must(&["rollback"]).says("r2 → r1").says(" 0 failed");
    assert_eq!(place.get("/greeting").unwrap().body, "hello");
    place.must(&["rollback", "r2"]);
    assert_eq!(place.get("/greeting").unwrap().body, "second");
    clients.leave().nothing_amiss();

    let releases = place.json(&["releases"])["releases"].clone();
    let digest = |index: usize| releases[index]["digest"].as_str().unwrap().to_owned();
    assert_eq!((&releases[0]["number"], &releases[0]["serving"]), (&json!(2), &json!(true)));
    assert_eq!((&releases[1]["number"], &releases[1]["serving"]), (&json!(1), &json!(false)));
    assert_eq!((&releases[0]["outcome"], &releases[1]["outcome"]), (&json!("succeeded"), &json!("succeeded")));
    let images = place.json(&["image", "ls"])["images"].clone();
    assert!(images.as_array().unwrap().iter().any(|image| image["digest"] == digest(0)), "{images}");

    // A digest from the store is as good as a file.
    place.must(&["deploy", &digest(1)]).says("r2 → r3").says(" 0 failed");
    assert_eq!(place.get("/greeting").unwrap().body, "hello");
}

#[test]
fn an_unchanged_deploy_says_so_and_force_rolls_it_anyway() {
    let place = Place::new();
    place.serve_task("");
    place.must(&["up"]);
    let before = place.task_pids();
    place.must(&["deploy"]).says("r1 runs this digest with these settings already; --force");
    assert_eq!(place.task_pids(), before);
    place.must(&["deploy", "--force"]).says("2 of 2").says(" 0 failed");
    assert!(place.task_pids().is_disjoint(&before));
    assert_eq!(place.json(&["releases"])["releases"].as_array().unwrap().len(), 1);
}

#[test]
fn up_again_changes_nothing_but_what_the_settings_changed_and_keeps_the_scaled_count() {
    let place = Place::new();
    place.serve_task("");
    place.must(&["up"]);
    let before = place.task_pids();
    let again = place.json(&["up"]);
    assert_eq!((&again["action"], &again["changes"]), (&json!("unchanged"), &json!([])));
    assert_eq!(place.task_pids(), before);

    place.must(&["scale", "3"]).says("3 of 3 healthy").says(" 0 failed");
    assert_eq!(place.json(&["up"])["action"], "unchanged");
    assert_eq!(place.task_pids().len(), 3);
    assert!(before.is_subset(&place.task_pids()), "the two that served serve on");

    place.settings(&task_settings("env = { GREETING = \"changed\" }"));
    let changed = place.must(&["up"]);
    changed.says("r2").says("3 of 3 healthy").says("changed").says(" 0 failed");
    assert_eq!(place.get("/greeting").unwrap().body, "changed");
    assert_eq!(place.task_pids().len(), 3);
    place.must(&["scale", "1"]).says("1 of 1 healthy").says(" 0 failed");
    assert_eq!(place.task_pids().len(), 1);
}

#[test]
fn another_port_is_a_release_like_any_other() {
    let place = Place::new();
    place.must(&["up"]);
    place.settings("[service]\nport = 9090\n");
    place.must(&["up"]).says("port 8080→9090").says(" 0 failed");
    place.settings("[service]\nport = 7070\n");
    place.must(&["deploy"]).says("r2 → r3").says(" 0 failed");
    place.must(&["rollback", "r1"]).says(" 0 failed");
}

#[test]
fn a_changed_address_moves_the_listener_and_no_task() {
    let place = Place::new();
    place.must(&["up"]);
    let before = place.task_pids();
    let elsewhere = Place::new();
    let moved = place.must(&["up", "--listen", &elsewhere.listen.to_string()]);
    moved.says("listener moved: ").says(&format!("{} → {}", place.listen, elsewhere.listen));
    assert_eq!(elsewhere.get("/now").unwrap().status, 200);
    eventually("the old address is left", || place.get("/now").is_err().then_some(()));
    assert_eq!(place.task_pids(), before);
}

#[test]
fn logs_merge_what_tasks_say_and_tell_them_apart() {
    let place = Place::new();
    place.serve_task("");
    place.must(&["up"]);
    place.get("/find-me").unwrap();
    let line = eventually("the line is in the log", || {
        let logs = place.must(&["logs", "--output", "json"]).stdout;
        let line = logs.lines().find(|line| line.contains("asked /find-me"))?.to_owned();
        Some(serde_json::from_str::<serde_json::Value>(&line).unwrap())
    });
    let logs = place.must(&["logs"]).stdout;
    assert_eq!(logs.lines().filter(|line| line.contains("started as ")).count(), 2, "{logs}");
    let (asked, other): (Vec<_>, Vec<_>) = place
        .tasks()
        .into_iter()
        .map(|task| task["id"].as_str().unwrap().to_owned())
        .partition(|id| line["task"] == **id);
    let only = |id: &str| place.must(&["logs", "--task", &id[..8], "--since", "1h"]).stdout;
    assert!(only(&asked[0]).contains("asked /find-me"));
    assert!(!only(&other[0]).contains("asked /find-me"));
    for follow in [&[][..], &["--follow"]] {
        let nope = place.run(&[&["logs", "--task", "nope"], follow].concat());
        nope.ends(2).says("there is no task `nope`, only ").says(&asked[0][..12]).says("hint: gimmetime status");
    }
}

#[test]
fn a_service_of_no_tasks_is_said_to_serve_nobody() {
    let place = Place::new();
    place.must(&["up"]);
    let nobody = "no task runs, so nobody is served";
    let serves_nobody = |args: &[&str]| {
        let ran = place.must(args);
        ran.says(nobody);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(!said.contains("serves everyone") && !said.contains("0 of 0 healthy"), "{said}");
    };
    serves_nobody(&["scale", "0"]);
    for again in [&["scale", "0"][..], &["deploy"], &["deploy", "--force"], &["up"], &["why"]] {
        serves_nobody(again);
    }
    let scaled = place.json(&["scale", "0"]);
    assert_eq!((&scaled["count"], &scaled["outcome"], &scaled["probe"]), (&json!(0), &json!("done"), &json!(null)));
    assert_eq!(scaled["phases"]["serves_everyone_seconds"], json!(null), "{scaled:#}");
    place.must(&["scale", "1"]).says("1 of 1 healthy");
}

#[test]
fn logs_that_are_followed_come_as_they_are_written() {
    use std::io::BufRead as _;
    let place = Place::new();
    place.serve_task("");
    place.must(&["up"]);
    let mut logs = place.start(&["logs", "--follow"]);
    let mut lines = std::io::BufReader::new(logs.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("started as ")), "what was there comes first");
    place.get("/while-you-look").unwrap();
    assert!(lines.any(|line| line.unwrap().contains("asked /while-you-look")));
    signal(logs.id(), Signal::INT);
    assert_eq!(logs.wait().unwrap().code(), Some(0));
}

#[test]
fn status_and_why_tell_people_and_programs_the_same() {
    let place = Place::new();
    place.must(&["up"]);
    let status = place.must(&["status"]);
    status.says(&format!("local · gimmetime · http://{} · OK · r1", place.listen)).says("2 of 2");
    assert_eq!(status.stdout.lines().filter(|line| line.contains("RUNNING") && line.contains("healthy")).count(), 2);
    let status = place.json(&["status"]);
    assert_eq!((&status["desired"], &status["running"], &status["healthy"]), (&json!(2), &json!(2), &json!(2)));
    assert_eq!((&status["is_steady"], &status["release"]["number"]), (&json!(true), &json!(1)));
    assert_eq!(status["engine"]["pid"], place.supervisor());
    assert_eq!(status["check"]["verdict"], "ok");
    place.must(&["why"]).says("all is well: r1, 2 of 2 healthy; no failure is known");
    assert_eq!(place.json(&["why"])["state"], "healthy");
    place.must(&["check"]).says("OK  clock ").says("2 backends");
}

/// What JSON says of moments and durations: every one has the same form, and every unit is in the name.
fn moments(value: &Value, path: &str, seen: &mut BTreeSet<String>) {
    let key = path.rsplit('.').next().unwrap();
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| moments(value, &format!("{path}.{name}"), seen));
        }
        Value::Array(items) => items.iter().for_each(|value| moments(value, path, seen)),
        Value::String(text) if ["at", "since", "created", "updated", "pushed"].contains(&key) => {
            let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
            assert_eq!(shape, "0000-00-00T00:00:00.000Z", "{path}: {text}");
            seen.insert(path.to_owned());
        }
        Value::Number(number) => {
            let has_unit = ["_ns", "_seconds", "seconds", "ms"].iter().any(|unit| key.ends_with(unit));
            assert!(has_unit || number.as_f64().unwrap().abs() < 1e12, "a moment as a number? {path}: {number}");
        }
        _ => {}
    }
}

#[test]
fn moments_have_one_form_in_all_that_programs_read() {
    let place = Place::new();
    place.serve_task("");
    place.must(&["up"]);
    place.serve_task("exit");
    place.run(&["deploy"]).ends(1);
    let mut seen = BTreeSet::new();
    for verb in ["status", "releases", "why", "ls", "logs", "image ls", "deploy"] {
        let args: Vec<&str> = verb.split(' ').chain(["--output", "json"]).collect();
        let said = place.run(&args).stdout;
        for value in serde_json::Deserializer::from_str(&said).into_iter::<Value>() {
            moments(&value.unwrap(), verb, &mut seen);
        }
    }
    for path in [
        "status.release.at",
        "status.tasks.since",
        "status.events.at",
        "releases.releases.at",
        "why.diagnosis.evidence.at",
        "logs.at",
        "image ls.images.created",
        "deploy.cause.evidence.at",
    ] {
        assert!(seen.contains(path), "no {path} in {seen:?}");
    }
}

#[test]
fn a_deleted_service_leaves_nothing_and_a_second_down_does_nothing() {
    let place = Place::new();
    place.must(&["up"]);
    let mut processes = place.task_pids();
    processes.extend([place.supervisor(), place.plane()]);
    assert_eq!(processes.len(), 4);
    place.must(&["down"]).says("2 tasks drained").says("left: nothing");
    assert!(processes.into_iter().all(|pid| !runs(pid)));
    assert!(!place.state().exists());
    assert_eq!(place.get("/now").unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
    place.must(&["down"]).says("nothing to delete: `gimmetime` is not up");
    assert_eq!(place.json(&["ls"])["services"], json!([]));
}

#[test]
fn in_the_foreground_it_stays_until_sigterm_and_the_next_one_goes_on_with_its_releases() {
    let place = Place::new();
    place.serve_task("");
    for (number, release) in [(1, "r1"), (2, "r2")] {
        let mut up = place.start(&["up", "--foreground"]);
        eventually("it serves", || place.get("/greeting").ok().filter(|reply| reply.status == 200));
        eventually("all of the release serves", || {
            // Whatever it ends with: the release may be on its way.
            let status = place.run(&["status", "--output", "json"]).stdout;
            let status: serde_json::Value = serde_json::from_str(&status).ok()?;
            (status["release"]["number"] == number && status["is_steady"] == true).then_some(())
        });
        assert!(up.try_wait().unwrap().is_none(), "it stays");
        signal(up.id(), Signal::TERM);
        let up = Ran::of(up.wait_with_output().unwrap());
        up.ends(0).says(release).says("2 tasks drained; the state stays in");
        assert_eq!(place.get("/greeting").unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
        assert!(place.process("").is_none(), "no process is left");
        place.settings(&task_settings("env = { GREETING = \"again\" }"));
    }
}

#[test]
fn in_the_foreground_a_release_that_was_rolled_back_does_not_end_it() {
    let place = Place::new();
    place.serve_task("");
    place.must(&["up"]);
    place.serve_task("exit");
    let mut up = place.start(&["up", "--foreground"]);
    let mut lines = BufReader::new(up.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("✘ r2 failed after")), "it says so before it ends");
    eventually("all is well again", || place.is_steady());
    assert_eq!(place.get("/greeting").unwrap().body, "hello");
    signal(up.id(), Signal::TERM);
    Ran::of(up.wait_with_output().unwrap()).ends(0).says("2 tasks drained; the state stays in");
}

#[test]
fn one_executable_gives_one_digest_wherever_it_is_built() {
    let (one, other) = (Place::new(), Place::new());
    for place in [&one, &other] {
        place.serve_task("");
    }
    for args in [&["image", "build"][..], &["image", "build", "builtin"], &["image", "build", "--to", "layout"]] {
        let (one, other) = (one.must(args).stdout, other.must(args).stdout);
        assert!(one.starts_with("sha256:") && one.len() == 72, "{one}");
        assert_eq!(one, other);
    }
    one.must(&["image", "ls"]).says("service:local").says("gimmetime:0");
    one.file("renamed", service());
    assert_eq!(one.must(&["image", "build", "./renamed"]).stdout, other.must(&["image", "build"]).stdout);
}

#[test]
fn several_services_live_side_by_side() {
    let (place, elsewhere) = (Place::new(), Place::new());
    place.must(&["up"]);
    let second = elsewhere.listen.to_string();
    place.must(&["up", "--name", "engage-infra", "--listen", &second, "--count", "1"]).says("--name engage-infra");
    elsewhere.must(&["ls"]).says("nothing is up below");
    assert_eq!((place.get("/now").unwrap().status, elsewhere.get("/now").unwrap().status), (200, 200));
    let services = place.json(&["ls"])["services"].clone();
    let names: Vec<_> = services.as_array().unwrap().iter().map(|service| &service["name"]).collect();
    assert_eq!(names, ["engage-infra", "gimmetime"]);
    assert!(services.as_array().unwrap().iter().all(|service| service["state"] == "running"), "{services}");
    place.must(&["ls"]).says("engage-infra").says(&second);
    place.must(&["down", "--name", "engage-infra"]).says("1 task drained");
    assert_eq!(place.get("/now").unwrap().status, 200);
    assert_eq!(place.json(&["ls"])["services"][0]["name"], "gimmetime");
}
