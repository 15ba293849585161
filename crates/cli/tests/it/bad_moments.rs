//! What happens at the worst moment: killed, twice, at once, in the middle, unreadable. Whoever is served goes on being
//! served.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStderr, Command};

use rustix::process::Signal;
use serde_json::json;

use crate::clients::Clients;
use crate::held::Held;
use crate::place::{Place, Ran, eventually, kill, runs, signal};
use crate::program::task_settings;

impl Held {
    /// Starts the deployment, and returns once only the old tasks keep it from its end.
    fn deploying(&self) -> Background {
        let deploy = Background::start(&self.place, &["deploy"]);
        self.hold();
        deploy
    }
}

/// A command that runs, and what it said so far.
struct Background {
    child: Child,
    stderr: BufReader<ChildStderr>,
    said: String,
}

impl Background {
    fn start(place: &Place, args: &[&str]) -> Self {
        let mut child = place.start(args);
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self { child, stderr, said: String::new() }
    }

    /// Returns once it said these words on standard error.
    #[track_caller]
    fn says(&mut self, words: &str) {
        let before = self.said.len();
        while !self.said[before..].contains(words) {
            assert_ne!(self.stderr.read_line(&mut self.said).unwrap(), 0, "no `{words}` in {}", self.said);
        }
    }

    fn ended(mut self) -> Ran {
        self.stderr.read_to_string(&mut self.said).unwrap();
        let output = self.child.wait_with_output().unwrap();
        Ran { stderr: self.said, ..Ran::of(output) }
    }
}

#[test]
fn two_ups_at_once_make_one_service_and_both_report_it() {
    let place = Place::new();
    let ups = [(); 2].map(|()| Background::start(&place, &["up", "--output", "json"]));
    let said = ups.map(|up| {
        let up = up.ended();
        up.ends(0);
        let report: serde_json::Value = serde_json::from_str(&up.stdout).unwrap();
        (report["engine"]["pid"].clone(), report["rollout"]["release"].clone())
    });
    assert_eq!(said[0], said[1]);
    assert_eq!(said[0].0, place.supervisor());
    place.must(&["status"]).says("2 of 2");
    assert_eq!(place.task_pids().len(), 2);
}

#[test]
fn two_deploys_at_once_the_second_says_who_is_busy_attaches_or_waits() {
    let held = Held::ready();
    let place = &held.place;
    let first = held.deploying();
    place.must(&["status"]).says(" deploy r2 since ");

    place.settings(&task_settings("env = { GREETING = \"third\" }"));
    for args in [&["deploy"][..], &["scale", "3"]] {
        let busy = place.run(args);
        busy.ends(2).says("deploy r2, since ").says("hint: pass --attach to follow it, or --wait to begin after it");
    }
    let mut attached = Background::start(place, &["deploy", "--attach"]);
    let mut waiting = Background::start(place, &["deploy", "--wait"]);
    attached.says("following deploy r2");
    waiting.says("waiting: ");
    held.let_go();

    first.ended().ends(0).says("r1 → r2").says(" 0 failed");
    attached.ended().ends(0).says("✔");
    waiting.ended().ends(0).says("r2 → r3").says(" 0 failed");
    assert_eq!(place.get("/greeting").unwrap().body, "third");
    assert_eq!(place.json(&["releases"])["releases"].as_array().unwrap().len(), 3, "the refused left no release");
}

#[test]
fn one_who_waits_for_another_may_leave_and_waits_no_longer_than_was_said() {
    let held = Held::ready();
    let _first = held.deploying();
    held.place.settings(&task_settings("env = { GREETING = \"third\" }"));
    let mut waiting = Background::start(&held.place, &["deploy", "--wait"]);
    waiting.says("following deploy r2");
    signal(waiting.child.id(), Signal::INT);
    waiting.ended().ends(2).says("detached: the rollout of r2 goes on");
    let given_up = held.place.run(&["deploy", "--wait", "--timeout", "1s"]);
    given_up.ends(2).says("detached: the rollout of r2 goes on");
    assert_eq!(held.place.json(&["releases"])["releases"].as_array().unwrap().len(), 2);
    held.let_go();
}

#[test]
fn an_interrupted_deploy_detaches_and_the_next_command_follows_it_to_its_end() {
    for interruption in [Signal::INT, Signal::TERM] {
        let held = Held::ready();
        let deploy = held.deploying();
        signal(deploy.child.id(), interruption);
        deploy.ended().ends(2).says("detached: the rollout of r2 goes on").says("gimmetime status --watch");
        let mut again = Background::start(&held.place, &["deploy"]);
        again.says("following deploy r2");
        held.let_go();
        again.ended().ends(0).says("r1 → r2");
        held.place.must(&["deploy"]).says("r2 runs this digest with these settings already");
    }
}

#[test]
fn a_deploy_that_another_overtakes_says_so_and_not_that_it_failed() {
    let held = Held::ready();
    let first = held.deploying();
    held.place.aws("ecs update-service --cluster gimmetime --service gimmetime --force-new-deployment");
    let overtaken = first.ended();
    overtaken.ends(1).says("✘ r2 was overtaken after").says("somebody else changed the service before it was done");
    held.let_go();
}

#[test]
fn a_killed_deploy_goes_on_and_the_next_command_follows_it_to_its_end() {
    let held = Held::ready();
    let deploy = held.deploying();
    kill(deploy.child.id());
    deploy.ended();
    let mut up = Background::start(&held.place, &["up"]);
    up.says("following deploy r2");
    held.let_go();
    up.ended().ends(0).says("2 of 2 healthy");
    assert_eq!(held.place.get("/greeting").unwrap().body, "new");
    let releases = held.place.json(&["releases"])["releases"].clone();
    assert_eq!((&releases[0]["number"], &releases[0]["serving"]), (&json!(2), &json!(true)));
    assert_eq!(releases[0]["outcome"], "succeeded");
}

#[test]
fn a_detached_deploy_returns_at_once() {
    let held = Held::ready();
    held.place.run(&["deploy", "--detach"]).ends(2).says("detached: the rollout of r2 goes on");
    let mut again = Background::start(&held.place, &["deploy"]);
    again.says("following deploy r2");
    eventually("the new release runs", || held.place.task_pids().is_disjoint(&held.old).then_some(()));
    held.let_go();
    again.ended().ends(0);
}

#[test]
fn down_while_deploying_takes_everything_down_and_the_deploy_ends() {
    let place = Place::new();
    place.serve_task("");
    place.must(&["up"]);
    // Were it given up soon, there might be nothing left to be taken down in the middle of.
    place.settings(&task_settings("env = { MODE = \"deaf\" }\nrollout = { failures = 200 }"));
    let deploy = Background::start(&place, &["deploy"]);
    eventually("its tasks run", || (place.task_pids().len() == 4).then_some(()));
    let mut processes = place.task_pids();
    processes.extend([place.supervisor(), place.plane()]);
    place.must(&["down"]).says("left: nothing");
    assert!(processes.into_iter().all(|pid| !runs(pid)));
    assert!(!place.state().exists());
    deploy.ended().ends(3).says("error: `gimmetime` was taken down meanwhile").says("hint: gimmetime up");
}

#[test]
fn two_downs_at_once_both_end_well() {
    let place = Place::new();
    place.must(&["up"]);
    let downs = [(); 2].map(|()| Background::start(&place, &["down"]));
    for down in downs {
        down.ended().ends(0);
    }
    assert!(!place.state().exists());
}

#[test]
fn killed_tasks_cost_no_idempotent_request() {
    let place = Place::new();
    place.serve_task("");
    place.must(&["up", "--count", "3"]);
    let clients = Clients::ask(place.listen, "/greeting");
    for _ in 0..4 {
        let victim = *place.task_pids().first().unwrap();
        kill(victim);
        eventually("it is replaced", || {
            let tasks = place.task_pids();
            (tasks.len() == 3 && !tasks.contains(&victim)).then_some(())
        });
        eventually("and the new one is healthy", || place.is_steady());
        clients.go_on(30);
    }
    clients.leave().nothing_amiss();
}

#[test]
fn a_killed_data_plane_comes_back_and_no_connection_is_ever_refused() {
    let place = Place::new();
    place.serve_task("");
    place.must(&["up"]);
    let tasks = place.task_pids();
    let clients = Clients::ask(place.listen, "/greeting");
    for _ in 0..3 {
        let plane = place.plane();
        kill(plane);
        eventually("another comes", || place.process("engine balance").filter(|pid| *pid != plane));
        clients.go_on(30);
    }
    let noticed = clients.leave();
    assert_eq!(noticed.refused, 0, "{noticed:?}");
    assert_eq!(place.task_pids(), tasks);
    place.must(&["status"]).says("2 of 2");
}

#[test]
fn a_killed_supervisor_stops_nothing_and_the_next_command_takes_over_the_same_processes() {
    let place = Place::new();
    place.serve_task("");
    place.must(&["up"]);
    let (supervisor, plane, tasks) = (place.supervisor(), place.plane(), place.task_pids());
    let clients = Clients::ask(place.listen, "/greeting");
    kill(supervisor);
    place.must(&["ls"]).says("orphaned  2 tasks serve on without an engine");
    clients.go_on(30);
    place.must(&["status"]).says("the engine had died; a new one (pid ").says("2 of 2");
    assert_ne!(place.supervisor(), supervisor);
    assert_eq!((place.plane(), place.task_pids()), (plane, tasks.clone()));

    // In the middle of a rollout too.
    place.settings(&task_settings("env = { GREETING = \"new\" }"));
    let mut deploy = Background::start(&place, &["deploy"]);
    deploy.says("r1 → r2");
    kill(place.supervisor());
    deploy.ended().ends(0).says("r1 → r2");
    assert_eq!(place.get("/greeting").unwrap().body, "new");
    clients.leave().nothing_amiss();
}

#[test]
fn an_engine_that_died_can_be_taken_down() {
    let place = Place::new();
    place.must(&["up"]);
    let tasks = place.task_pids();
    kill(place.supervisor());
    place.must(&["down"]).says("2 tasks drained").says("left: nothing");
    assert!(tasks.into_iter().all(|pid| !runs(pid)));
}

#[test]
fn an_unreadable_state_is_kept_aside_and_the_one_before_it_found_with_all_tasks() {
    let place = Place::new();
    place.serve_task("");
    place.must(&["up"]);
    let tasks = place.task_pids();
    let clients = Clients::ask(place.listen, "/greeting");
    kill(place.supervisor());
    let corrupt = "{\"format\":1,\"model\":{\"pla";
    std::fs::write(place.state().join("state.json"), corrupt).unwrap();
    place.must(&["status"]).says("note: ").says("state.json.corrupt-").says("went back to the state before it");
    assert_eq!(kept(&place, "state.json.corrupt-"), [corrupt]);
    eventually("it is steady", || place.is_steady());
    assert_eq!(place.task_pids(), tasks);
    clients.leave().nothing_amiss();
}

#[test]
fn a_newer_state_is_kept_aside_and_live_tasks_serve_until_new_ones_do() {
    let place = Place::new();
    place.serve_task("");
    place.must(&["up"]);
    let tasks = place.task_pids();
    let clients = Clients::ask(place.listen, "/greeting");
    kill(place.supervisor());
    let newer = "{\"format\":99,\"model\":{}}";
    for file in ["state.json", "state.previous.json"] {
        std::fs::write(place.state().join(file), newer).unwrap();
    }
    let up = place.must(&["up"]);
    up.says("newer gimmetime (format 99").says("2 of 2 healthy");
    for pid in &tasks {
        up.says(&format!("(pid {pid}, "));
    }
    assert_eq!(kept(&place, ".newer-"), [newer, newer]);
    eventually("the old tasks are stopped", || tasks.iter().all(|pid| !runs(*pid)).then_some(()));
    clients.leave().nothing_amiss();
    place.must(&["status"]).says("2 of 2");
}

/// What is in the files that were put aside.
fn kept(place: &Place, words: &str) -> Vec<String> {
    let entries = std::fs::read_dir(place.state()).unwrap().map(|entry| entry.unwrap());
    let aside = entries.filter(|entry| entry.file_name().to_string_lossy().contains(words));
    aside.map(|entry| std::fs::read_to_string(entry.path()).unwrap()).collect()
}

#[test]
fn a_pipe_behind_up_ends_when_up_does() {
    let place = Place::new();
    let command = format!("{} up 2>&1 | cat", env!("CARGO_BIN_EXE_gimmetime"));
    let mut shell = Command::new("sh");
    shell.args(["-c", &command]).current_dir(place.folder()).env("GIMMETIME_STATE", place.folder().join("state"));
    let ran = Ran::of(shell.env("GIMMETIME_LISTEN", place.listen.to_string()).output().unwrap());
    ran.ends(0).says("2 of 2 healthy");
    assert_eq!(place.get("/now").unwrap().status, 200);
}

#[test]
fn a_reader_that_leaves_early_is_no_failure() {
    let place = Place::new();
    place.must(&["up"]);
    let mut logs = Background::start(&place, &["logs", "--follow"]);
    let mut line = String::new();
    BufReader::new(logs.child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("started"), "{line}");
    // The pipe is closed now: the next line has no reader.
    let mut watch = Background::start(&place, &["status", "--watch"]);
    drop(watch.child.stdout.take());
    assert_eq!(watch.ended().code, Some(0));
    place.must(&["deploy", "--force"]);
    assert_eq!(logs.ended().code, Some(0));
}

#[test]
fn how_a_command_ended_is_told_by_its_exit_code_though_nobody_reads_the_rest() {
    let place = Place::new();
    place.serve_task("");
    place.must(&["up"]);
    place.serve_task("exit");
    for args in [&["deploy"][..], &["deploy", "--output", "json"]] {
        let mut deploy = Background::start(&place, args);
        drop(deploy.child.stdout.take());
        deploy.ended().ends(1);
    }
}
