//! Up, roll, scale, rebind, down.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use gimmetime_engine::{Home, PlaceChange, Presence};
use gimmetime_scheduler::model::Algorithm;
use serde_json::json;

use crate::place::{BINARY, Place, eventually, free_address, get, runs};

#[tokio::test]
async fn a_service_is_served_through_the_balancer_and_its_output_kept() {
    let (place, endpoint) = Place::started().await;
    place.serve(&endpoint, 2, &[("GREETING", "one")]).await;
    assert_eq!(get(place.spec.listen, "/question").unwrap(), "one");
    eventually("the question is logged", async || {
        place.lines(&endpoint).await.iter().any(|line| line == "asked /question").then_some(())
    })
    .await;
    let description = endpoint.describe().await.unwrap();
    assert_eq!((description.pid, description.listen), (endpoint.pid, place.spec.listen));
    eventually("the request is counted", async || {
        let metrics = endpoint.describe().await.unwrap().metrics;
        (2 <= metrics.last_minute.requests && metrics.last_minute.failed5xx == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_task_gets_nothing_of_the_engine_and_no_privilege() {
    let (place, endpoint) = Place::started().await;
    place.serve(&endpoint, 1, &[("GREETING", "one"), ("PORT", "1")]).await;
    let (id, pid) = place.running().remove(0);

    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
    let text = String::from_utf8(environment).unwrap();
    let variables: BTreeSet<&str> = text.split('\0').filter_map(|pair| Some(pair.split_once('=')?.0)).collect();
    let expected =
        ["ECS_CONTAINER_METADATA_URI_V4", "FROM_IMAGE", "GIMMETIME_HOME", "GIMMETIME_TASK", "GREETING", "HOST", "PORT"];
    assert_eq!(variables, BTreeSet::from(expected));
    let metadata = format!("ECS_CONTAINER_METADATA_URI_V4={}/v4/{id}-1", endpoint.url);
    assert!(text.contains(&metadata), "{text}");
    assert!(!text.contains("PORT=1\0"), "the engine's port wins: {text}");

    // Standard input, output and error, and the task's own listener.
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let targets: Vec<String> = descriptors
        .map(|entry| std::fs::read_link(entry.path()).unwrap().to_string_lossy().into_owned())
        .filter(|target| !target.starts_with("socket:"))
        .collect();
    assert_eq!(targets.len(), 3, "{targets:?}");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    let own = rustix::process::geteuid();
    let user = if own.is_root() { "65532".to_owned() } else { own.as_raw().to_string() };
    assert_eq!(field("Uid:"), [user.as_str(); 4].join("\t"));
    if own.is_root() {
        assert_eq!((field("Gid:"), field("Groups:")), (["65532"; 4].join("\t"), String::new()));
        assert_eq!(field("CapEff:"), "0000000000000000");
    }
    assert_eq!(field("Name:"), "app");
    assert_eq!(std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap(), Path::new("/"));
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(place.home.folder()), mode(&place.file("keys.json"))), (0o700, 0o600));
}

#[tokio::test]
async fn a_new_revision_replaces_the_old_without_a_failed_request() {
    let (place, endpoint) = Place::started().await;
    place.serve(&endpoint, 2, &[("GREETING", "one")]).await;
    let listen = place.spec.listen;
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let client = std::thread::spawn(move || {
        let mut seen = Vec::new();
        while stopped.try_recv().is_err() {
            seen.push(get(listen, "/").map_err(|error| error.to_string()));
        }
        seen
    });
    let revision = place.register(&endpoint, &place.image(), &[("GREETING", "two")]).await;
    let update = json!({"cluster": "place", "service": "place", "taskDefinition": revision});
    place.call(&endpoint, "UpdateService", update).await;
    place.steady(&endpoint, 2).await;
    assert_eq!(get(listen, "/").unwrap(), "two");
    stop.send(()).unwrap();
    let seen = client.join().unwrap();
    let failed: Vec<_> = seen.iter().filter(|reply| reply.is_err()).collect();
    assert!(failed.is_empty(), "{} of {} failed: {:?}", failed.len(), seen.len(), failed[0]);
}

#[tokio::test]
async fn the_place_changes_in_service_and_stays_changed() {
    let (place, endpoint) = Place::started().await;
    place.serve(&endpoint, 1, &[]).await;
    let listen = free_address();
    let algorithm = Some(Algorithm::LeastOutstandingRequests);
    let change = PlaceChange { listen: Some(listen), algorithm, ..PlaceChange::default() };
    let version = place.state()["model"]["table_version"].as_u64().unwrap();
    endpoint.modify_place(&change).await.unwrap();
    eventually("the new address answers", async || get(listen, "/").ok()).await;
    eventually("the old address is closed", async || get(place.spec.listen, "/").is_err().then_some(())).await;
    let Presence::Running(endpoint) = place.home.presence().unwrap() else { panic!("it runs") };
    assert_eq!(endpoint.listen, listen);
    assert_eq!(place.home.spec().unwrap().unwrap().listen, listen);
    eventually("the plane routes by another rule", async || {
        let acked = place.state()["model"]["table_acked"].as_u64().unwrap();
        (version < acked).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_orderly_end_leaves_nothing_running_and_the_next_start_goes_on_from_it() {
    let (place, endpoint) = Place::started().await;
    place.serve(&endpoint, 2, &[]).await;
    let (tasks, plane) = (place.running(), place.plane());
    let mut progress = Vec::new();
    let report = place.home.stop(Path::new(BINARY), |left| progress.push(left)).await.unwrap();
    assert_eq!((report.tasks, progress.last()), (2, Some(&0)));
    for pid in tasks.iter().map(|(_, pid)| *pid).chain([plane, endpoint.pid]) {
        assert!(!runs(pid), "{pid} still runs");
    }
    // Again is no error.
    place.stop().await;

    let again = place.start().await;
    assert_eq!((&again.url, &again.secret_key), (&endpoint.url, &endpoint.secret_key));
    place.steady(&again, 2).await;
    assert!(place.home.remove().is_err(), "it is in use");
    place.stop().await;
    place.home.remove().unwrap();
    assert!(matches!(place.home.presence().unwrap(), Presence::Absent));
    assert!(Home::list(place.home.folder().parent().unwrap()).unwrap().is_empty());
}

#[tokio::test]
async fn an_end_in_the_middle_of_a_deployment_stops_old_and_new() {
    let (place, endpoint) = Place::started().await;
    place.serve(&endpoint, 2, &[]).await;
    let revision = place.register(&endpoint, &place.image(), &[("MODE", "deaf")]).await;
    let update = json!({"cluster": "place", "service": "place", "taskDefinition": revision});
    place.call(&endpoint, "UpdateService", update).await;
    let all = eventually("old and new run", async || Some(place.running()).filter(|running| 2 < running.len())).await;
    place.stop().await;
    assert!(all.iter().all(|(_, pid)| !runs(*pid)));
}

#[tokio::test]
async fn a_task_that_ignores_sigterm_is_killed_with_all_it_left() {
    let (place, endpoint) = Place::started().await;
    place.serve(&endpoint, 1, &[("MODE", "stubborn")]).await;
    let revision = place.register(&endpoint, &place.image(), &[("MODE", "grandchild")]).await;
    let update = json!({"cluster": "place", "service": "place", "taskDefinition": revision});
    let old = place.running();
    place.call(&endpoint, "UpdateService", update).await;
    place.steady(&endpoint, 1).await;
    assert!(!runs(old[0].1));
    let lines = place.lines(&endpoint).await;
    let grandchild = lines.iter().find_map(|line| line.strip_prefix("grandchild ")).unwrap().parse().unwrap();
    assert!(runs(grandchild));
    place.stop().await;
    assert!(!runs(grandchild), "it left its task's group, and is found by its marker");
}

#[tokio::test]
async fn an_engine_may_hold_as_many_descriptors_as_the_system_grants() {
    let (_place, endpoint) = Place::started().await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", endpoint.pid)).unwrap();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let figures: Vec<&str> = files.split_whitespace().take(2).collect();
    assert_eq!(figures[0], figures[1], "soft and hard limit");
}
