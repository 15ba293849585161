//! Settings that place and release share, the port and the health path: no change of them cuts off what serves.

use serde_json::json;

use super::life::nothing_lost;
use super::place::Cloud;
use crate::program::time_service;

/// A service on a port. It answers on another one too: the emulator leads to all tasks by the port that was said last,
/// where AWS leads to each by the one it was started with.
fn on(cloud: &Cloud, port: u16, also: u16) {
    cloud.settings("", &format!("image = \"./task\"\nport = {port}\nenv = {{ ALSO = \"{also}\" }}"));
}

#[test]
fn another_port_is_a_release_that_loses_no_request_and_no_change_of_the_place() {
    let cloud = Cloud::new();
    std::fs::write(cloud.folder().join("task"), time_service()).unwrap();
    on(&cloud, 8080, 9090);
    // The other port belongs to the task, not to this machine.
    cloud.must(&["up", "--yes", "--no-smoke"]).says("2 of 2 healthy");

    on(&cloud, 9090, 7070);
    let plan = cloud.json(&["plan"]);
    assert_eq!((&plan["changes"], &plan["create"]), (&json!([]), &json!(0)), "{plan:#}");
    cloud.must(&["plan"]).says("port 8080→9090");
    let up = cloud.json(&["up", "--yes", "--no-smoke"]);
    assert_eq!((&up["action"], &up["stack"]["change"]), (&json!("changed"), &json!("unchanged")), "{up:#}");
    assert_eq!((&up["rollout"]["outcome"], &up["check"]["verdict"]), (&json!("done"), &json!("ok")), "{up:#}");
    nothing_lost(&up["rollout"]);

    on(&cloud, 7070, 9090);
    for change in [&["deploy", "--no-smoke"][..], &["rollback"]] {
        let change = cloud.json(change);
        assert_eq!(change["outcome"], "done", "{change:#}");
        nothing_lost(&change);
    }
    let service = cloud.aws(&format!("ecs describe-services --cluster {0} --services {0}", cloud.name));
    assert_eq!(service["services"][0]["loadBalancers"][0]["containerPort"], 9090, "{service:#}");
}

#[test]
fn a_health_path_that_what_serves_does_not_answer_is_refused_before_anything_is_touched() {
    let cloud = Cloud::new();
    cloud.must(&["up", "--yes"]);
    let (name, id) = (&cloud.name, "--logical-resource-id TargetGroup");
    let group = cloud.aws(&format!("cloudformation describe-stack-resource --stack-name {name} {id}"));
    let group = group["StackResourceDetail"]["PhysicalResourceId"].as_str().unwrap();
    let asked = || {
        let groups = cloud.aws(&format!("elbv2 describe-target-groups --target-group-arns {group}"));
        groups["TargetGroups"][0]["HealthCheckPath"].as_str().unwrap().to_owned()
    };
    cloud.settings("", "health = \"/ready\"");
    let up = cloud.run(&["up", "--yes", "--no-smoke"]);
    up.ends(2).says("`/ready` for health instead of `/live`").says("/ready, got 404");
    up.says("hint: deploy a release that answers both paths first, with `health = \"/live\"`");
    cloud.run(&["plan"]).ends(2).says("refused").says("/ready, got 404");
    assert_eq!((asked(), cloud.json(&["releases"])["releases"].as_array().unwrap().len()), ("/live".to_owned(), 1));

    // It answers this one: the release can bear it before the place does.
    cloud.settings("", "health = \"/now\"");
    let deploy = cloud.must(&["deploy"]);
    deploy.says("note: the balancer goes on asking `/live`").says("r1 → r2").says(" 0 failed");
    assert_eq!(asked(), "/live");
    let up = cloud.json(&["up", "--yes"]);
    assert_eq!((&up["action"], &up["stack"]["change"]), (&json!("unchanged"), &json!("updated")), "{up:#}");
    assert_eq!((asked(), &up["check"]["verdict"]), ("/now".to_owned(), &json!("ok")));
    let deploy = cloud.must(&["deploy"]);
    assert!(!deploy.stderr.contains("note: the balancer"), "{deploy:#?}");
}
