//! Settings that concern place and release, the port, the health path, the network: no change of them cuts off what serves.

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

#[test]
fn another_network_is_brought_to_a_release_that_did_not_change_and_loses_no_request() {
    let cloud = Cloud::new();
    cloud.must(&["up", "--yes"]);
    let told = || {
        let services = cloud.aws(&format!("ecs describe-services --cluster {0} --services {0}", cloud.name));
        services["services"][0]["networkConfiguration"]["awsvpcConfiguration"].clone()
    };
    let subnets_of_the_place = || {
        let stacks = cloud.aws(&format!("cloudformation describe-stacks --stack-name {}", cloud.name));
        let outputs = stacks["Stacks"][0]["Outputs"].as_array().unwrap();
        let subnets = outputs.iter().find(|output| output["OutputKey"] == "TaskSubnets").unwrap();
        json!(subnets["OutputValue"].as_str().unwrap().split(',').collect::<Vec<_>>())
    };
    let before = told();
    assert_eq!((&before["subnets"], &before["assignPublicIp"]), (&subnets_of_the_place(), &json!("ENABLED")));

    cloud.settings("network = { mode = \"endpoints\", zones = 3 }", "");
    let words = "subnets +3 -2, public addresses yes→no; every task is replaced";
    cloud.must(&["plan"]).says(&format!("~ service    network: {words}"));
    cloud.run(&["plan", "--exit-code"]).ends(1);
    assert_eq!(told(), before, "a plan changes nothing");
    let up = cloud.json(&["up", "--yes"]);
    assert_eq!((&up["action"], &up["stack"]["change"]), (&json!("changed"), &json!("updated")), "{up:#}");
    assert_eq!(up["changes"], json!([{ "setting": "network", "change": words }]), "{up:#}");
    let rollout = &up["rollout"];
    assert_eq!((&rollout["from"], &rollout["release"], &rollout["outcome"]), (&json!(1), &json!(1), &json!("done")));
    nothing_lost(rollout);
    assert_eq!((&told()["subnets"], &told()["assignPublicIp"]), (&subnets_of_the_place(), &json!("DISABLED")));
    assert_eq!(subnets_of_the_place().as_array().unwrap().len(), 3);

    cloud.must(&["plan"]).says("nothing to change");
    let again = cloud.json(&["up", "--yes"]);
    assert_eq!((&again["action"], &again["stack"]["change"]), (&json!("unchanged"), &json!("unchanged")), "{again:#}");
}
