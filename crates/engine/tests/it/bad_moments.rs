//! Killed, corrupt, taken, twice, broken.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::Path;

use gimmetime_engine::{EngineError, Presence, StartFailure};
use serde_json::json;

use crate::place::{BINARY, Place, eventually, get, kill, runs, terminate};

#[tokio::test]
async fn a_killed_task_is_replaced() {
    let (place, endpoint) = Place::started().await;
    place.serve(&endpoint, 2, &[]).await;
    let before = place.running();
    kill(before[0].1);
    eventually("another takes its place", async || {
        let now = place.running();
        (now.len() == 2 && now.iter().all(|(id, _)| *id != before[0].0)).then_some(())
    })
    .await;
    place.steady(&endpoint, 2).await;
    let stopped = place.call(&endpoint, "DescribeTasks", json!({"cluster": "place", "tasks": [before[0].0]})).await;
    assert_eq!(stopped["tasks"][0]["stoppedReason"], "Essential container in task exited");
    assert_eq!(stopped["tasks"][0]["containers"][0]["exitCode"], 137);
}

#[tokio::test]
async fn while_a_killed_plane_is_replaced_no_connection_is_refused() {
    let (place, endpoint) = Place::started().await;
    place.serve(&endpoint, 1, &[]).await;
    let listen = place.spec.listen;
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let client = std::thread::spawn(move || {
        let mut refused = 0;
        while stopped.try_recv().is_err() {
            refused += u32::from(get(listen, "/").is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused));
        }
        refused
    });
    for _ in 0..3 {
        let plane = place.plane();
        kill(plane);
        eventually("another plane", async || (place.plane() != plane).then_some(())).await;
        eventually("it answers", async || get(listen, "/").ok()).await;
    }
    stop.send(()).unwrap();
    assert_eq!(client.join().unwrap(), 0);
}

#[tokio::test]
async fn service_goes_on_without_a_supervisor_and_the_next_one_takes_over() {
    let (place, endpoint) = Place::started().await;
    place.serve(&endpoint, 2, &[]).await;
    let (tasks, plane) = (place.running(), place.plane());
    kill(endpoint.pid);
    eventually("it is gone", async || (!runs(endpoint.pid)).then_some(())).await;
    let Presence::Orphaned { tasks: left, plane: left_plane } = place.home.presence().unwrap() else {
        panic!("tasks and plane live on")
    };
    assert_eq!((left.len(), left_plane), (2, Some(plane)));
    get(place.spec.listen, "/while-nobody-looks").unwrap();

    let again = place.start().await;
    assert_eq!(again.url, endpoint.url);
    assert!(again.findings.is_empty(), "{:?}", again.findings);
    place.steady(&again, 2).await;
    assert_eq!((place.running(), place.plane()), (tasks.clone(), plane), "nothing was restarted");
    get(place.spec.listen, "/afterwards").unwrap();
    eventually("no line is lost", async || {
        let lines = place.lines(&again).await;
        let seen = |wanted: &str| lines.iter().any(|line| line == wanted);
        (seen("asked /while-nobody-looks") && seen("asked /afterwards")).then_some(())
    })
    .await;

    // A task that ended in between is noted and replaced, and its exit code not made up.
    kill(again.pid);
    kill(tasks[0].1);
    eventually("they are gone", async || (!runs(again.pid) && !runs(tasks[0].1)).then_some(())).await;
    let third = place.start().await;
    assert!(third.findings.iter().any(|finding| finding.contains("ended while no supervisor lived")));
    place.steady(&third, 2).await;
    let stopped = place.call(&third, "DescribeTasks", json!({"cluster": "place", "tasks": [tasks[0].0]})).await;
    assert_eq!(stopped["tasks"][0]["lastStatus"], "STOPPED");
    assert!(stopped["tasks"][0]["containers"][0]["exitCode"].is_null());
}

#[tokio::test]
async fn what_a_dead_supervisor_left_can_be_stopped_too() {
    let (place, endpoint) = Place::started().await;
    place.serve(&endpoint, 1, &[]).await;
    let tasks = place.running();
    kill(endpoint.pid);
    eventually("it is gone", async || (!runs(endpoint.pid)).then_some(())).await;
    assert!(matches!(place.home.remove(), Err(EngineError::InUse { .. })));
    place.stop().await;
    assert!(!runs(tasks[0].1));
}

#[tokio::test]
async fn what_lives_without_a_plane_is_stopped_although_its_port_is_taken() {
    let (place, endpoint) = Place::started().await;
    place.serve(&endpoint, 2, &[]).await;
    let (tasks, plane) = (place.running(), place.plane());
    kill(endpoint.pid);
    kill(plane);
    eventually("they are gone", async || (!runs(endpoint.pid) && !runs(plane)).then_some(())).await;
    let _taken = eventually("the port is let go", async || TcpListener::bind(place.spec.listen).ok()).await;
    place.stop().await;
    assert!(tasks.iter().all(|(_, pid)| !runs(*pid)));
    place.home.remove().unwrap();
}

#[tokio::test]
async fn without_its_small_files_the_same_place_is_taken_over() {
    let (place, endpoint) = Place::started().await;
    place.serve(&endpoint, 1, &[]).await;
    let (tasks, plane) = (place.running(), place.plane());
    kill(endpoint.pid);
    eventually("it is gone", async || (!runs(endpoint.pid)).then_some(())).await;
    for name in ["place.json", "plane.json"] {
        std::fs::write(place.file(name), "{").unwrap();
    }
    assert_eq!(place.home.spec().unwrap().unwrap(), place.spec);
    let Presence::Orphaned { plane: found, .. } = place.home.presence().unwrap() else { panic!("it lives on") };
    assert_eq!(found, Some(plane));
    let again = place.start().await;
    assert!(again.findings.iter().any(|finding| finding.contains("place.json.corrupt-")), "{:?}", again.findings);
    place.steady(&again, 1).await;
    assert_eq!((place.running(), place.plane()), (tasks, plane), "nothing was restarted");
}

#[tokio::test]
async fn a_corrupt_state_is_kept_and_the_one_before_it_serves() {
    let (place, endpoint) = Place::started().await;
    place.serve(&endpoint, 2, &[]).await;
    let tasks = place.running();
    kill(endpoint.pid);
    eventually("it is gone", async || (!runs(endpoint.pid)).then_some(())).await;
    std::fs::write(place.file("state.json"), "{\"format\":1,\"model\":{\"pla").unwrap();
    let again = place.start().await;
    assert!(again.findings.iter().any(|finding| finding.contains(".corrupt-")), "{:?}", again.findings);
    place.steady(&again, 2).await;
    assert_eq!(place.running(), tasks);
}

#[tokio::test]
async fn tasks_that_no_readable_state_knows_serve_until_the_service_is_back() {
    let (place, endpoint) = Place::started().await;
    place.serve(&endpoint, 1, &[("GREETING", "old")]).await;
    let old = place.running();
    kill(endpoint.pid);
    eventually("it is gone", async || (!runs(endpoint.pid)).then_some(())).await;
    let newer = "{\"format\":99,\"model\":{}}";
    std::fs::write(place.file("state.json"), newer).unwrap();
    std::fs::write(place.file("state.previous.json"), newer).unwrap();

    let again = place.start().await;
    assert!(
        again.findings.iter().any(|finding| finding.contains("newer gimmetime (format 99")),
        "{:?}",
        again.findings
    );
    let listed = again.findings.iter().any(|finding| finding.contains(&old[0].0) && finding.contains("lives"));
    assert!(listed, "{:?}", again.findings);
    let kept = std::fs::read_dir(place.home.folder()).unwrap().flatten();
    let kept = kept.filter(|entry| entry.file_name().to_string_lossy().contains(".newer-")).count();
    assert_eq!(kept, 2);
    eventually("the old task serves", async || get(place.spec.listen, "/").ok().filter(|body| body == "old")).await;

    place.serve(&again, 1, &[("GREETING", "new")]).await;
    eventually("the new task serves", async || get(place.spec.listen, "/").ok().filter(|body| body == "new")).await;
    eventually("the old one is stopped", async || (!runs(old[0].1)).then_some(())).await;
}

#[tokio::test]
async fn a_taken_port_names_its_holder_and_leaves_nothing_running() {
    let place = Place::new();
    let _taken = TcpListener::bind(place.spec.listen).unwrap();
    let error = place.home.start(&place.spec, Path::new(BINARY)).await.unwrap_err();
    let EngineError::Start(StartFailure::PortTaken { listen, holder: Some(holder) }) = error else { panic!("{error}") };
    assert_eq!((listen, holder.pid), (place.spec.listen, std::process::id()));
    assert!(matches!(place.home.presence().unwrap(), Presence::Stopped));
}

#[tokio::test]
async fn of_two_starts_at_once_one_starts_and_both_report_it() {
    let place = Place::new();
    let (one, other) = tokio::join!(place.start(), place.start());
    assert_eq!((one.pid, &one.url, one.listen), (other.pid, &other.url, other.listen));
    assert_eq!(place.start().await.pid, one.pid, "a third finds it running");
}

#[tokio::test]
async fn a_copy_that_somebody_still_has_open_for_writing_is_started_when_it_is_closed() {
    let (place, _) = Place::started().await;
    place.stop().await;
    let copies = place.home.folder().join("bin");
    let copy = std::fs::read_dir(copies).unwrap().next().unwrap().unwrap().path().join("gimmetime");
    // As a process has it that was forked while the copy was written, until its exec.
    let writer = std::fs::OpenOptions::new().append(true).open(&copy).unwrap();
    let (endpoint, ()) = tokio::join!(place.start(), async {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        drop(writer);
    });
    assert!(runs(endpoint.pid));
}

#[tokio::test]
async fn what_cannot_run_fails_as_ecs_says_it_and_the_old_release_serves_on() {
    let (place, endpoint) = Place::started().await;
    place.serve(&endpoint, 1, &[("GREETING", "old")]).await;
    let missing = format!("localhost/task@sha256:{}", "0".repeat(64));
    let cases = [
        (missing, "", "TaskFailedToStart", "CannotPullContainerError: image `localhost/task@sha256:0"),
        (place.image(), "exit", "EssentialContainerExited", "Essential container in task exited"),
        (place.image(), "500", "ServiceSchedulerInitiated", "failed ELB health checks"),
    ];
    for (image, mode, code, reason) in cases {
        let revision = place.register(&endpoint, &image, &[("MODE", mode)]).await;
        let update = json!({"cluster": "place", "service": "place", "taskDefinition": revision});
        place.call(&endpoint, "UpdateService", update).await;
        eventually(&format!("`{mode}` is found out"), async || {
            let list = json!({"cluster": "place", "desiredStatus": "STOPPED"});
            let arns = place.call(&endpoint, "ListTasks", list).await["taskArns"].clone();
            let described = place.call(&endpoint, "DescribeTasks", json!({"cluster": "place", "tasks": arns})).await;
            let tasks = described["tasks"].as_array().cloned().unwrap_or_default();
            let found = tasks.iter().any(|task| {
                let told = task["stoppedReason"].as_str().is_some_and(|told| told.contains(reason));
                told && task["stopCode"] == code && task["taskDefinitionArn"] == revision.as_str()
            });
            found.then_some(())
        })
        .await;
        assert_eq!(get(place.spec.listen, "/").unwrap(), "old", "while `{mode}` is tried");
    }
}

#[tokio::test]
async fn a_second_sigterm_waits_for_nobody() {
    let (place, endpoint) = Place::started().await;
    let revision = place.register_patient(&endpoint, &place.image(), &[("MODE", "stubborn")], 120).await;
    place.create(&endpoint, &revision, 1).await;
    place.steady(&endpoint, 1).await;
    let task = place.running()[0].1;
    terminate(endpoint.pid);
    eventually("the task is told", async || {
        let state = place.state();
        state["model"]["tasks"].as_object()?.values().any(|task| task["last_status"] == "STOPPING").then_some(())
    })
    .await;
    assert!(runs(task), "it ignores the signal");
    terminate(endpoint.pid);
    eventually("all is over", async || (!runs(endpoint.pid)).then_some(())).await;
    assert!(!runs(task));
    assert!(matches!(place.home.presence().unwrap(), Presence::Stopped));
}

#[tokio::test]
async fn a_pipe_that_the_caller_left_open_is_not_held_by_the_engine() {
    // Without close-on-exec, as a shell's `| tee` or a CI runner leaves it.
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let (place, endpoint) = Place::started().await;
    place.serve(&endpoint, 1, &[]).await;
    drop(writer);
    let ended = tokio::task::spawn_blocking(move || rustix::io::read(&reader, &mut [0; 1]));
    assert_eq!(ended.await.unwrap().unwrap(), 0, "the pipe ends while the engine runs");
}
