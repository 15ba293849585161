//! What operations say, over a model that the real scheduler moves.

use gimmetime_api::Service;
use serde_json::json;

use crate::world::{TARGET_GROUP, TestWorld, definition, service};

fn running(world: &mut TestWorld) -> Vec<String> {
    let listed = world.ecs("ListTasks", json!({"cluster": "gimmetime"}));
    listed["taskArns"].as_array().unwrap().iter().map(|arn| arn.as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_steady_service_shows_one_completed_deployment() {
    let mut world = TestWorld::with_service();
    let reply = world.ecs("DescribeServices", json!({"cluster": "gimmetime", "services": ["gimmetime"]}));
    let service = &reply["services"][0];
    assert_eq!((&service["runningCount"], &service["pendingCount"]), (&json!(2), &json!(0)));
    assert_eq!(service["deployments"].as_array().unwrap().len(), 1);
    assert_eq!(service["deployments"][0]["rolloutState"], "COMPLETED");
    assert_eq!(service["launchType"], "FARGATE");
    let times: Vec<f64> =
        service["events"].as_array().unwrap().iter().map(|event| event["createdAt"].as_f64().unwrap()).collect();
    assert!(times.is_sorted_by(|a, b| a >= b), "newest first: {times:?}");
}

#[test]
fn names_and_arns_mean_the_same_everywhere() {
    let mut world = TestWorld::with_service();
    let task = running(&mut world).remove(0);
    let short = task.rsplit('/').next().unwrap().to_owned();
    let (cluster, service) = (
        "arn:aws:ecs:local:000000000000:cluster/gimmetime",
        "arn:aws:ecs:local:000000000000:service/gimmetime/gimmetime",
    );
    for (operation, by_name, by_arn) in [
        (
            "DescribeServices",
            json!({"cluster": "gimmetime", "services": ["gimmetime"]}),
            json!({"cluster": cluster, "services": [service]}),
        ),
        (
            "DescribeTasks",
            json!({"cluster": "gimmetime", "tasks": [short]}),
            json!({"cluster": cluster, "tasks": [task]}),
        ),
        (
            "ListTasks",
            json!({"cluster": "gimmetime", "serviceName": "gimmetime"}),
            json!({"cluster": cluster, "serviceName": service}),
        ),
        (
            "ListServiceDeployments",
            json!({"cluster": "gimmetime", "service": "gimmetime"}),
            json!({"cluster": cluster, "service": service}),
        ),
        (
            "DescribeTaskDefinition",
            json!({"taskDefinition": "gimmetime:1"}),
            json!({"taskDefinition": "arn:aws:ecs:local:000000000000:task-definition/gimmetime:1"}),
        ),
        ("DescribeTaskDefinition", json!({"taskDefinition": "gimmetime"}), json!({"taskDefinition": "gimmetime:1"})),
    ] {
        assert_eq!(world.ecs(operation, by_name), world.ecs(operation, by_arn), "{operation}");
    }
}

#[test]
fn what_is_missing_is_a_failure_with_its_arn() {
    let mut world = TestWorld::with_service();
    let reply = world.ecs("DescribeTasks", json!({"cluster": "gimmetime", "tasks": ["0123"]}));
    let arn = "arn:aws:ecs:local:000000000000:task/gimmetime/0123";
    assert_eq!(reply, json!({"tasks": [], "failures": [{"arn": arn, "reason": "MISSING"}]}));
    let reply = world.ecs("DescribeClusters", json!({}));
    assert_eq!(reply["failures"][0]["arn"], "arn:aws:ecs:local:000000000000:cluster/default");
}

#[test]
fn a_second_container_or_none_or_an_optional_one_is_refused() {
    let mut world = TestWorld::new();
    for (change, sentence) in [
        (json!([]), "exactly one container"),
        (
            json!([definition("a")["containerDefinitions"][0], definition("b")["containerDefinitions"][0]]),
            "exactly one container",
        ),
        (json!([{"name": "app", "image": "i", "essential": false}]), "essential"),
        (json!([{"name": "app"}]), "`containerDefinitions[0].image` is required"),
        (
            json!([{"name": "app", "image": "i", "healthCheck": {"command": ["CMD", "true"]}}]),
            "`containerDefinitions[0].healthCheck` is not supported",
        ),
        (
            json!([{"name": "app", "image": "i", "linuxParameters": {"capabilities": {"drop": ["ALL"], "add": ["SYS_TIME"]}}}]),
            "`containerDefinitions[0].linuxParameters.capabilities.add` is not supported",
        ),
        (
            json!([{"name": "app", "image": "i", "linuxParameters": {"devices": [{"hostPath": "/dev/kvm"}]}}]),
            "`containerDefinitions[0].linuxParameters.devices` is not supported",
        ),
        (
            json!([{"name": "app", "image": "i", "portMappings": [{"containerPort": 80, "protocol": "udp"}]}]),
            "only tcp",
        ),
        (
            json!([{"name": "app", "image": "i", "secrets": [{"name": "A", "valueFrom": "arn:aws:ssm:x"}]}]),
            "file:/absolute/path",
        ),
        (
            json!([{"name": "app", "image": "i", "environment": [{"name": "A", "value": "1"}], "secrets": [{"name": "A", "valueFrom": "file:/a"}]}]),
            "must be unique",
        ),
    ] {
        let mut given = definition("good");
        given["containerDefinitions"] = change;
        let (_, message) = world.refused(Service::Ecs, "RegisterTaskDefinition", given);
        assert!(message.contains(sentence), "{message}");
    }
    assert!(world.model.families.is_empty(), "a refusal changes nothing");
}

#[test]
fn what_is_only_shown_must_still_be_what_its_name_says() {
    let mut world = TestWorld::with_service();
    for (member, value) in [("cpu", json!(256)), ("networkMode", json!(["host"])), ("ephemeralStorage", json!("20"))] {
        let mut given = definition("good");
        given[member] = value;
        assert_eq!(
            world.refused(Service::Ecs, "RegisterTaskDefinition", given).0,
            "SerializationException",
            "{member}"
        );
    }
    for (member, value) in [("essential", json!("no")), ("memory", json!("64")), ("user", json!(0))] {
        let mut given = definition("good");
        given["containerDefinitions"][0][member] = value;
        assert_eq!(
            world.refused(Service::Ecs, "RegisterTaskDefinition", given).0,
            "SerializationException",
            "{member}"
        );
    }
    for (member, value) in [("platformVersion", json!(1)), ("networkConfiguration", json!([]))] {
        let mut given = json!({"cluster": "gimmetime", "service": "gimmetime"});
        given[member] = value;
        assert_eq!(world.refused(Service::Ecs, "UpdateService", given).0, "SerializationException", "{member}");
    }
}

#[test]
fn what_would_change_behaviour_and_is_not_here_is_refused_by_name() {
    let mut world = TestWorld::with_service();
    for (member, value) in [
        ("serviceRegistries", json!([{"registryArn": "arn"}])),
        ("placementConstraints", json!([{"type": "distinctInstance"}])),
        ("enableExecuteCommand", json!(true)),
        ("enableECSManagedTags", json!(true)),
        ("propagateTags", json!("SERVICE")),
        ("schedulingStrategy", json!("DAEMON")),
        ("deploymentController", json!({"type": "CODE_DEPLOY"})),
        ("deploymentConfiguration", json!({"strategy": "CANARY"})),
        ("deploymentConfiguration", json!({"alarms": {"enable": true, "rollback": true, "alarmNames": ["a"]}})),
    ] {
        let mut given = json!({"cluster": "gimmetime", "service": "gimmetime", "desiredCount": 9});
        given[member] = value;
        let (code, message) = world.refused(Service::Ecs, "UpdateService", given);
        assert_eq!(code, "InvalidParameterException");
        assert!(message.contains(member) || message.contains("strategy") || message.contains("type"), "{message}");
    }
    assert_eq!(world.model.service.as_ref().unwrap().desired_count, 2, "a refusal changes nothing");
}

#[test]
fn a_service_must_be_behind_the_target_group_by_a_port_it_has() {
    let mut world = TestWorld::new();
    world.ecs("CreateCluster", json!({"clusterName": "gimmetime"}));
    world.ecs("RegisterTaskDefinition", definition("good"));
    let entry = |group: &str, name: &str, port: u16| json!([{"targetGroupArn": group, "containerName": name, "containerPort": port}]);
    for (balancers, sentence) in [
        (json!([]), "must name the one target group"),
        (entry("arn:other", "app", 8080), "Unable to find the target group"),
        (entry(TARGET_GROUP, "web", 8080), "does not exist in the task definition"),
        (entry(TARGET_GROUP, "app", 80), "did not have a container port 80 defined"),
    ] {
        let mut given = service();
        given["loadBalancers"] = balancers;
        let (code, message) = world.refused(Service::Ecs, "CreateService", given);
        assert_eq!(code, "InvalidParameterException");
        assert!(message.contains(sentence), "{message}");
    }
}

#[test]
fn an_update_keeps_what_it_does_not_name() {
    let mut world = TestWorld::with_service();
    let given = json!({"cluster": "gimmetime", "service": "gimmetime", "deploymentConfiguration": {"maximumPercent": 150}, "platformVersion": "1.4.0"});
    let reply = world.ecs("UpdateService", given);
    let configuration = &reply["service"]["deploymentConfiguration"];
    assert_eq!(configuration["maximumPercent"], 150);
    assert_eq!(
        configuration["deploymentCircuitBreaker"]["thresholdConfiguration"],
        json!({"type": "COUNT", "value": 3})
    );
    assert_eq!(configuration["deploymentCircuitBreaker"]["resetOnHealthyTask"], false);
    assert_eq!(
        (&reply["service"]["launchType"], &reply["service"]["platformVersion"]),
        (&json!("FARGATE"), &json!("1.4.0"))
    );
    assert_eq!(reply["service"]["deployments"].as_array().unwrap().len(), 1);
}

#[test]
fn the_same_client_token_makes_a_service_once() {
    let mut world = TestWorld::with_service();
    assert_eq!(world.refused(Service::Ecs, "CreateService", service()).1, "Creation of service was not idempotent.");
    let mut world = TestWorld::new();
    world.ecs("CreateCluster", json!({"clusterName": "gimmetime"}));
    world.ecs("RegisterTaskDefinition", definition("good"));
    let mut given = service();
    given["clientToken"] = json!("once");
    assert_eq!(world.ecs("CreateService", given.clone()), world.ecs("CreateService", given));
}

#[test]
fn a_release_that_crashes_is_rolled_back_and_says_why() {
    let mut world = TestWorld::with_service();
    world.ecs("RegisterTaskDefinition", definition("crash"));
    world
        .ecs("UpdateService", json!({"cluster": "gimmetime", "service": "gimmetime", "taskDefinition": "gimmetime:2"}));
    world.settle();
    let listed = world.ecs("ListServiceDeployments", json!({"cluster": "gimmetime", "service": "gimmetime"}));
    let newest = &listed["serviceDeployments"][0];
    assert_eq!(newest["status"], "ROLLBACK_SUCCESSFUL");
    let reply =
        world.ecs("DescribeServiceDeployments", json!({"serviceDeploymentArns": [newest["serviceDeploymentArn"]]}));
    let deployment = &reply["serviceDeployments"][0];
    assert_eq!(deployment["deploymentCircuitBreaker"]["status"], "TRIGGERED");
    assert_eq!(deployment["deploymentCircuitBreaker"]["threshold"], 3);
    let revisions = world.ecs(
        "DescribeServiceRevisions",
        json!({"serviceRevisionArns": [
            deployment["targetServiceRevision"]["arn"], deployment["rollback"]["serviceRevisionArn"],
        ]}),
    );
    let definition =
        |at: usize| revisions["serviceRevisions"][at]["taskDefinition"].as_str().unwrap().rsplit(':').next().unwrap();
    assert_eq!((definition(0), definition(1)), ("2", "1"));
    let stopped = world.ecs("ListTasks", json!({"cluster": "gimmetime", "desiredStatus": "STOPPED"}));
    let tasks = world.ecs("DescribeTasks", json!({"cluster": "gimmetime", "tasks": stopped["taskArns"]}));
    let task = &tasks["tasks"][0];
    assert_eq!(
        (&task["stopCode"], &task["containers"][0]["exitCode"]),
        (&json!("EssentialContainerExited"), &json!(7))
    );
}

#[test]
fn a_task_that_cannot_be_started_says_so() {
    let mut world = TestWorld::with_service();
    world.ecs("RegisterTaskDefinition", definition("broken"));
    world
        .ecs("UpdateService", json!({"cluster": "gimmetime", "service": "gimmetime", "taskDefinition": "gimmetime:2"}));
    world.settle();
    let stopped = world.ecs("ListTasks", json!({"cluster": "gimmetime", "desiredStatus": "STOPPED"}));
    let tasks = world.ecs("DescribeTasks", json!({"cluster": "gimmetime", "tasks": stopped["taskArns"]}));
    let task = &tasks["tasks"][0];
    assert_eq!(task["stopCode"], "TaskFailedToStart");
    assert!(task["containers"][0]["reason"].as_str().unwrap().starts_with("CannotStartContainerError"));
    assert_eq!(task["containers"][0].get("runtimeId"), None);
}

#[test]
fn target_health_has_the_balancers_reasons_and_ours_bears_our_prefix() {
    let mut world = TestWorld::with_service();
    let of = |world: &mut TestWorld| {
        world.call(Service::Elbv2, "DescribeTargetHealth", json!({"TargetGroupArn": TARGET_GROUP})).unwrap()
    };
    let health = of(&mut world);
    let first = &health["TargetHealthDescriptions"][0];
    assert_eq!((&first["Target"]["Id"], &first["TargetHealth"]), (&json!("127.0.0.1"), &json!({"State": "healthy"})));
    let target = world.model.targets.values_mut().next().unwrap();
    target.state = gimmetime_scheduler::model::TargetState::Unhealthy;
    target.reason = Some(gimmetime_scheduler::model::ReasonCode::ClockProvedWrong);
    let health = of(&mut world);
    assert_eq!(health["TargetHealthDescriptions"][0]["TargetHealth"]["Reason"], "Gimmetime.ClockProvedWrong");
}

#[test]
fn lists_are_filtered_and_paged() {
    let mut world = TestWorld::with_service();
    let all = running(&mut world);
    let first = world.ecs("ListTasks", json!({"cluster": "gimmetime", "maxResults": 1}));
    let second =
        world.ecs("ListTasks", json!({"cluster": "gimmetime", "maxResults": 1, "nextToken": first["nextToken"]}));
    assert_eq!((&first["taskArns"][0], &second["taskArns"][0]), (&json!(all[0]), &json!(all[1])));
    assert_eq!(second.get("nextToken"), None);
    let deployment = world.model.service.as_ref().unwrap().deployments[0].id.clone();
    for (filter, count) in [
        (json!({"startedBy": deployment}), 2),
        (json!({"startedBy": "ecs-svc/0"}), 0),
        (json!({"family": "other"}), 0),
        (json!({"desiredStatus": "PENDING"}), 0),
        (json!({"launchType": "EC2"}), 0),
    ] {
        let mut given = filter;
        given["cluster"] = json!("gimmetime");
        assert_eq!(world.ecs("ListTasks", given.clone())["taskArns"].as_array().unwrap().len(), count, "{given}");
    }
    let (code, message) = world.refused(Service::Ecs, "ListTasks", json!({"cluster": "gimmetime", "nextToken": "abc"}));
    assert_eq!((code, message.as_str()), ("InvalidParameterException", "Invalid token."));
}

#[test]
fn the_engines_own_operations_show_and_change_the_place() {
    let mut world = TestWorld::new();
    let engine = world.call(Service::Engine, "DescribeEngine", json!({})).unwrap();
    assert_eq!(engine["pid"], 4000);
    assert_eq!(engine["place"]["healthIntervalMilliseconds"], 1000);
    assert_eq!(engine["metrics"]["lastMinute"]["p99Seconds"], 0.004);
    let changed = world.call(Service::Engine, "ModifyPlace", json!({"listen": "127.0.0.1:9090"})).unwrap();
    assert_eq!(changed["place"]["listen"], "127.0.0.1:9090");
    for (given, sentence) in [
        (json!({"listen": "here"}), "expected an address and a port"),
        (json!({"listen": "127.0.0.1:80"}), "port 80 needs root"),
        (json!({"healthPath": "live"}), "begins with `/`"),
        (json!({"colour": "red"}), "`colour` is not supported"),
    ] {
        let (code, message) = world.refused(Service::Engine, "ModifyPlace", given);
        assert_eq!(code, "InvalidParameterException");
        assert!(message.contains(sentence), "{message}");
    }
}

#[test]
fn an_operation_that_is_not_here_is_named_with_those_that_are() {
    let mut world = TestWorld::new();
    let (code, message) = world.refused(Service::Ecs, "RunTask", json!({}));
    assert_eq!(code, "UnknownOperationException");
    assert!(message.contains("`RunTask`") && message.contains("UpdateService"), "{message}");
    let (code, message) = world.refused(Service::Elbv2, "DescribeRules", json!({}));
    assert_eq!(code, "InvalidAction");
    assert!(message.starts_with("Could not find operation DescribeRules for version 2015-12-01"), "{message}");
}
