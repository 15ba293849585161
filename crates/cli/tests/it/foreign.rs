//! A server that knows nothing of the time: what runs is described by a small contract, and by nothing else.

use crate::clients::Clients;
use crate::place::Place;
use crate::program::{second_service, service};

#[test]
fn a_foreign_server_is_deployed_probed_rolled_and_rolled_back_as_the_built_in_one_is() {
    let place = Place::new();
    place.file("server", service());
    let settings = |more: &str| format!("[service]\nimage = \"./server\"\nhealth = \"/\"\nprobe = \"/\"\n{more}");
    place.settings(&settings(""));
    let up = place.must(&["up"]);
    up.says("2 of 2 healthy").says("✔ answers").says(&format!("curl -s http://{}/", place.listen));
    assert!(!up.stdout.contains("/now") && !up.stdout.contains("clock"), "it tells no time: {up:#?}");
    let reply = place.get("/").unwrap();
    assert_eq!((reply.status, reply.body.as_str()), (200, "hello"));

    let clients = Clients::ask(place.listen, "/");
    place.file("server", second_service());
    let deploy = place.json(&["deploy"]);
    assert_eq!((&deploy["outcome"], &deploy["from"], &deploy["release"]), (&"done".into(), &1.into(), &2.into()));
    let probe = &deploy["probe"];
    assert_eq!((&probe["failed"], &probe["unverified"], &probe["clock"]), (&0.into(), &0.into(), &().into()));
    assert!(probe["requests"].as_u64().unwrap() > 0, "{deploy:#}");
    assert_eq!(place.get("/").unwrap().body, "second");
    place.must(&["scale", "4"]).says("4 of 4 healthy").says(" 0 failed");
    place.must(&["rollback"]).says("r2 → r1").says(" 0 failed");
    assert_eq!(place.get("/").unwrap().body, "hello");
    place.settings(&settings("env = { MODE = \"500\" }\n"));
    place.run(&["deploy"]).ends(1).says("answers 500 on its health path").says(" 0 failed");
    clients.leave().nothing_amiss();

    place.must(&["status"]).says("4 of 4");
    place.must(&["logs"]).says("asked /");
    place.run(&["check"]).ends(1).says("answered no Unix time of ten digits: `hello`");
}

#[test]
fn a_release_may_move_its_health_path_and_is_then_asked_there() {
    let place = Place::new();
    place.serve_task("");
    place.must(&["up"]);
    let settings = crate::program::task_settings("").replace("/live", "/elsewhere");
    place.settings(&settings);
    place.must(&["deploy"]).says("r1 → r2").says(" 0 failed");
    place.must(&["logs", "--since", "1h"]).says("asked /elsewhere");
    place.must(&["rollback"]).says("r2 → r1").says(" 0 failed");
}
