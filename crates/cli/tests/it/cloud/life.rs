//! The life of a place on AWS: planned, made, checked, deployed to, broken, explained, turned back, scaled, read, removed.

use serde_json::{Value, json};

use super::place::{ACCOUNT, Cloud, REGION, emulator};

/// The probe of a change saw requests, and lost none.
#[track_caller]
pub(super) fn nothing_lost(rollout: &Value) {
    let probe = &rollout["probe"];
    assert_eq!((&probe["failed"], &probe["unverified"]), (&json!(0), &json!(0)), "{rollout:#}");
    assert!(0 < probe["requests"].as_u64().unwrap(), "{rollout:#}");
}

#[test]
fn a_place_lives_on_aws_as_it_does_here() {
    let cloud = Cloud::new();
    assert!(cloud.inventory().is_empty());
    planned(&cloud);
    made(&cloud);
    deployed(&cloud);
    broken(&cloud);
    turned_back_and_scaled(&cloud);
    removed(&cloud);
}

fn planned(cloud: &Cloud) {
    let plan = cloud.must(&["plan"]);
    plan.says("nothing exists yet").says("to create, 0 to change, 0 to replace").says("a month, $0.07 an hour");
    plan.says(&format!("production · 0000-0000-0000 · {REGION} · as "));
    let plan = cloud.json(&["plan"]);
    assert_eq!((&plan["exists"], &plan["change"]), (&json!(false), &json!(0)), "{plan:#}");
    // Within 5 % of what such a place was billed.
    let monthly = plan["price"]["monthly"].as_f64().unwrap();
    assert!((49.3..54.5).contains(&monthly), "{monthly}");
    cloud.run(&["plan", "--exit-code"]).ends(1);
    assert!(cloud.inventory().is_empty(), "a plan changes nothing");
}

fn made(cloud: &Cloud) {
    let up = cloud.must(&["up", "--yes"]);
    up.says("✔ r1 builtin").says("2 of 2 healthy").says("clock within").says("$0.07/h");
    up.says("date -d @$(curl -s ").says("gimmetime --target production").says("down");
    // What is printed to read it works as it is.
    let read = up.stdout.lines().find_map(|line| line.trim().strip_prefix("read ")).expect("it is said how to read it");
    assert!(std::process::Command::new("sh").args(["-c", read.trim()]).status().unwrap().success(), "{read}");
    cloud.must(&["check"]).says("OK").says("2 backends");
    let status = cloud.json(&["status"]);
    assert_eq!((&status["healthy"], &status["is_steady"]), (&json!(2), &json!(true)), "{status:#}");
    assert_eq!((&status["region"], &status["caller"]["account"]), (&json!(REGION), &json!(ACCOUNT)), "{status:#}");
    assert!(0.0 < status["dollars_per_hour"].as_f64().unwrap());
    let services = cloud.json(&["ls"])["services"].clone();
    let named = |service: &&Value| service["name"] == cloud.name.as_str();
    assert_eq!(services.as_array().unwrap().iter().find(named).unwrap()["state"], "CREATE_COMPLETE", "{services:#}");

    // Once more changes nothing, and asks nobody.
    let tasks = |status: &Value| {
        let ids = status["tasks"].as_array().unwrap().iter().map(|task| task["id"].clone());
        ids.collect::<Vec<_>>()
    };
    let again = cloud.json(&["up"]);
    assert_eq!((&again["action"], &again["stack"]["change"]), (&json!("unchanged"), &json!("unchanged")), "{again:#}");
    assert_eq!((&again["pushed_seconds"], &again["check"]["verdict"]), (&Value::Null, &json!("ok")), "{again:#}");
    assert_eq!(tasks(&cloud.json(&["status"])), tasks(&status));
    cloud.must(&["plan", "--exit-code"]).says("nothing to change");
}

fn deployed(cloud: &Cloud) {
    cloud.settings("", "env = { LOG = \"debug\" }");
    let plan = cloud.json(&["plan"]);
    assert_eq!(
        (&plan["change"], &plan["create"], &plan["service"][1]),
        (&json!(1), &json!(0), &Value::Null),
        "{plan:#}"
    );
    let deploy = cloud.json(&["deploy"]);
    assert_eq!((&deploy["from"], &deploy["release"]), (&json!(1), &json!(2)), "{deploy:#}");
    assert_eq!(deploy["outcome"], "done", "{deploy:#}");
    nothing_lost(&deploy);
    cloud.must(&["deploy"]).says("r2 runs this digest with these settings already; --force");
    // The same image by other names: by its digest, and by the tag that it was pushed under.
    let digest = cloud.json(&["status"])["release"]["digest"].as_str().unwrap().to_owned();
    let repository = format!("{}/{}", emulator(), cloud.name);
    let tag = format!("{}-{}", env!("CARGO_PKG_VERSION"), &digest["sha256:".len()..][..12]);
    for image in [digest.clone(), format!("{repository}@{digest}"), format!("{repository}:{tag}")] {
        let deploy = cloud.must(&["deploy", &image]);
        deploy.says(&format!("looking for {image}")).says("r2 runs this digest with these settings already");
    }
    // What the repository holds, by which releases.
    let listed = cloud.json(&["image", "ls"]);
    let image = &listed["images"][0];
    assert_eq!((&image["digest"], &image["tags"], &image["serving"]), (&json!(digest), &json!([tag]), &json!(true)));
    assert_eq!(image["releases"], json!([2, 1]), "{listed:#}");
    assert!(image["pushed"].as_str().unwrap().ends_with('Z') && listed["repository"].is_string(), "{listed:#}");
    cloud.must(&["image", "ls"]).says(&digest).says(&tag).says("r2 serving, r1");
    cloud.run(&["deploy", &format!("{repository}:latest")]).ends(1).says("there is no image").says(":latest");
    // What was deployed by hand is not undone by `up`.
    assert_eq!(cloud.json(&["up"])["action"], "unchanged");
}

fn broken(cloud: &Cloud) {
    cloud.settings("", "env = { LOG = \"debug\" }\ncommand = [\"--no-such-flag\"]");
    cloud.run(&["deploy"]).ends(1).says("before it listened on $PORT").says("--no-such-flag").says("hint: --no-smoke");
    let deploy = cloud.run(&["deploy", "--no-smoke"]);
    deploy.ends(1).says("✘ r3 failed after").says("Rolled back; r2 never stopped").says(" 0 failed");
    deploy.says("cause").says("--no-such-flag").says("fix");
    let why = cloud.must(&["why"]);
    why.says("all is well now; r3 failed before").says("EssentialContainerExited").says("--no-such-flag");
    let releases = cloud.json(&["releases"])["releases"].clone();
    let outcomes: Vec<_> = releases.as_array().unwrap().iter().map(|release| &release["outcome"]).collect();
    assert_eq!(outcomes, ["rolled_back", "succeeded", "succeeded"], "{releases:#}");
    assert_eq!((&releases[1]["number"], &releases[1]["serving"]), (&json!(2), &json!(true)), "{releases:#}");
}

fn turned_back_and_scaled(cloud: &Cloud) {
    let back = cloud.json(&["rollback", "r1"]);
    assert_eq!((&back["from"], &back["release"], &back["outcome"]), (&json!(2), &json!(1), &json!("done")), "{back:#}");
    nothing_lost(&back);
    let scaled = cloud.json(&["scale", "3"]);
    assert_eq!((&scaled["count"], &scaled["outcome"]), (&json!(3), &json!("done")), "{scaled:#}");
    nothing_lost(&scaled);
    let logs = cloud.must(&["logs", "--since", "1h"]).stdout;
    assert!(5 <= logs.matches("\"event\":\"started\"").count(), "{logs}");
    cloud.run(&["logs", "--task", "nope"]).ends(2).says("there is no task `nope`, only ").says("hint: gimmetime");
    let none = cloud.must(&["scale", "0"]);
    none.says("serves nobody after").says("no task runs, so nobody is served");
    assert!(!none.stdout.contains("healthy") && !none.stderr.contains("everyone"), "{none:#?}");
    cloud.must(&["scale", "3"]).says("3 of 3 healthy");
}

fn removed(cloud: &Cloud) {
    cloud.run(&["down"]).ends(2).says("deletes ").says("pass --yes --name");
    cloud.run(&["down", "--yes"]).ends(2).says(&format!("its name is `{}`", cloud.name));
    assert_eq!(cloud.json(&["status"])["healthy"], 3);
    let down = cloud.must(&["down", "--yes", "--name", &cloud.name]);
    down.says("✔ 3 tasks drained").says("✔ stack gone").says("left: 0 resources, $0.00/h");
    assert_eq!(cloud.inventory(), Vec::<String>::new());
    cloud.must(&["down", "--yes", "--name", &cloud.name]).says("nothing to delete");
    cloud.run(&["status"]).ends(2).says("is not up").says("up");
}

#[test]
fn what_is_protected_is_not_removed_and_what_is_not_there_any_more_is_no_hindrance() {
    let cloud = Cloud::new();
    cloud.settings("protect = true", "");
    // Nobody waits for it; the same command goes on with it.
    cloud.run(&["up", "--yes", "--detach"]).ends(2).says("detached").says("up");
    cloud.must(&["up", "--yes"]).says("2 of 2 healthy");
    cloud.settings("protect = true\nroles = { path = \"/elsewhere/\" }", "");
    for refused in [&["plan"][..], &["up", "--yes"]] {
        let refused = cloud.run(refused);
        refused
            .ends(2)
            .says("is protected: this would REPLACE")
            .says("TaskRole")
            .says("set `protect = false` in gimmetime.toml for this one");
    }
    cloud.settings("protect = true", "");
    let down = &["down", "--yes", "--name", &cloud.name];
    cloud.run(down).ends(2).says("is protected by `protect = true`").says("hint: set `protect = false`");
    cloud.settings("", "");
    cloud.run(down).ends(2).says("the termination protection of its stack");
    assert_eq!(cloud.json(&["status"])["healthy"], 2);
    cloud.must(&["up", "--yes"]);

    // The service, and with it all tasks, was deleted by hand; so was the repository.
    cloud.aws(&format!("ecs delete-service --force --cluster {0} --service {0}", cloud.name));
    cloud.aws(&format!("ecr delete-repository --force --repository-name {}", cloud.name));
    cloud.run(&["status"]).ends(2).says("is not up");
    cloud.must(down).says("✔ stack gone").says("left: 0 resources");
    assert_eq!(cloud.inventory(), Vec::<String>::new());
}
