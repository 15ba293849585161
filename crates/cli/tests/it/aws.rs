//! The AWS CLI and boto3, which nobody here wrote, drive the engine; every raw reply is held against botocore's models.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::place::{Place, Ran, eventually};

/// A digest that no image has.
const NO_IMAGE: &str = "localhost/gimmetime@sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// Where the pinned Python clients are.
pub(crate) fn venv() -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "the test runner says where it put the clients")]
    let venv = std::env::var_os("GIMMETIME_VENV");
    PathBuf::from(venv.expect("GIMMETIME_VENV is not set: run `cargo xtask test`, which makes the Python clients"))
}

/// `PATH` with the clients before all else.
pub(crate) fn path_with_clients() -> OsString {
    #[expect(clippy::disallowed_methods, reason = "what the clients start is found where the test found it")]
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths([venv().join("bin")].into_iter().chain(std::env::split_paths(&path))).unwrap()
}

impl Place {
    /// A command of the program that finds the clients.
    pub(crate) fn with_clients(&self, args: &[&str]) -> Command {
        let mut command = self.command(args);
        command.env("PATH", path_with_clients()).env("HOME", self.folder());
        command
    }

    /// `gimmetime env -- aws …` to a good end, as it is typed, and what it prints.
    #[track_caller]
    pub(crate) fn aws(&self, line: &str) -> Value {
        let words: Vec<&str> = ["env", "--", "aws"].into_iter().chain(line.split_whitespace()).collect();
        let ran = Ran::of(self.with_clients(&words).output().unwrap());
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "aws {line}: {ran:#?}");
        serde_json::from_str(&ran.stdout).unwrap_or_else(|_| Value::String(ran.stdout.trim_end().to_owned()))
    }

    /// `gimmetime env -- python SCRIPT …` to a good end, and what it prints.
    #[track_caller]
    fn conformance(&self, script: &str, args: &[&str]) -> Ran {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/conformance").join(script);
        let words = [&["env", "--", "python", "-B", script.to_str().unwrap()], args].concat();
        let ran = Ran::of(self.with_clients(&words).output().unwrap());
        assert_eq!(ran.code, Some(0), "{ran:#?}");
        ran
    }

    /// Registers the serving task definition once more, changed, by the AWS CLI; returns `family:revision`.
    fn register_changed(&self, change: impl FnOnce(&mut Value)) -> String {
        let described = self.aws("ecs describe-task-definition --task-definition gimmetime");
        let mut definition = described["taskDefinition"].clone();
        let made_by_the_api =
            ["taskDefinitionArn", "revision", "status", "requiresAttributes", "compatibilities", "registeredAt"];
        for member in made_by_the_api.into_iter().chain(["registeredBy"]) {
            definition.as_object_mut().unwrap().remove(member).unwrap();
        }
        change(&mut definition["containerDefinitions"][0]);
        std::fs::write(self.folder().join("definition.json"), definition.to_string()).unwrap();
        let registered = self.aws("ecs register-task-definition --cli-input-json file://definition.json");
        format!("gimmetime:{}", registered["taskDefinition"]["revision"])
    }

    /// A release as `releases` has it.
    fn release(&self, number: u32) -> Value {
        let releases = self.json(&["releases"]);
        let all = releases["releases"].as_array().unwrap();
        all.iter().find(|release| release["number"] == number).unwrap().clone()
    }

    /// Waits until a rollout that others began has ended.
    fn settled(&self) {
        eventually("the rollout has ended", || {
            let status = self.json(&["status"]);
            (status["deployment"].is_null() && status["is_steady"] == true).then_some(())
        });
    }
}

/// The last step of an ARN.
fn last(arn: &Value) -> &str {
    arn.as_str().unwrap().rsplit('/').next().unwrap()
}

/// The members of this name, sorted.
fn sorted<'a>(list: &'a Value, member: impl Fn(&'a Value) -> String) -> Vec<String> {
    let mut found: Vec<String> = list.as_array().unwrap().iter().map(member).collect();
    found.sort();
    found
}

#[test]
fn the_originals_scale_command_works_as_written() {
    let place = Place::new();
    place.settings("name = \"engage-infra\"\n");
    place.must(&["up"]);
    let scaled = place.aws("ecs update-service --cluster engage-infra --service engage-infra --desired-count 4");
    assert_eq!(scaled["service"]["desiredCount"], 4);
    place.aws("ecs wait services-stable --cluster engage-infra --services engage-infra");
    let described = place.aws("ecs describe-services --cluster engage-infra --services engage-infra");
    let service = &described["services"][0];
    assert_eq!((&service["runningCount"], &service["pendingCount"]), (&json!(4), &json!(0)), "{service:#}");
    let status = place.json(&["status"]);
    assert_eq!((&status["desired"], &status["healthy"]), (&json!(4), &json!(4)), "{status:#}");
}

#[test]
fn the_aws_cli_sees_the_same_tasks_and_targets_as_status() {
    let place = Place::new();
    place.must(&["up"]);
    let tasks = place.json(&["status"])["tasks"].clone();
    let (ids, ports) = (sorted(&tasks, |task| last(&task["id"]).to_owned()), sorted(&tasks, |t| t["port"].to_string()));

    let identity = place.aws("sts get-caller-identity");
    assert_eq!(identity["Account"], "000000000000");
    let arns = place.aws("ecs list-tasks --cluster gimmetime --service-name gimmetime")["taskArns"].clone();
    assert_eq!(sorted(&arns, |arn| last(arn).to_owned()), ids);
    let described = place.aws(&format!("ecs describe-tasks --cluster gimmetime --tasks {}", ids.join(" ")));
    for task in described["tasks"].as_array().unwrap() {
        assert_eq!((&task["lastStatus"], &task["group"]), (&json!("RUNNING"), &json!("service:gimmetime")), "{task:#}");
    }

    let balancer = place.aws("elbv2 describe-load-balancers --names gimmetime")["LoadBalancers"][0].clone();
    assert_eq!(balancer["DNSName"], place.listen.ip().to_string());
    let arn = balancer["LoadBalancerArn"].as_str().unwrap();
    let listener = place.aws(&format!("elbv2 describe-listeners --load-balancer-arn {arn}"))["Listeners"][0].clone();
    assert_eq!((&listener["Port"], &listener["Protocol"]), (&json!(place.listen.port()), &json!("HTTP")));
    let groups = place.aws("elbv2 describe-target-groups --names gimmetime");
    let group = groups["TargetGroups"][0]["TargetGroupArn"].as_str().unwrap();
    assert_eq!(listener["DefaultActions"][0]["TargetGroupArn"], group);
    let health = place.aws(&format!("elbv2 describe-target-health --target-group-arn {group}"));
    let targets = &health["TargetHealthDescriptions"];
    assert_eq!(sorted(targets, |target| target["Target"]["Port"].to_string()), ports);
    assert_eq!(sorted(targets, |target| last(&target["TargetHealth"]["State"]).to_owned()), ["healthy", "healthy"]);
}

#[test]
fn the_aws_cli_reads_what_the_tasks_said_and_what_was_rolled_out() {
    let place = Place::new();
    place.must(&["up"]);
    let streams = place.aws("logs describe-log-streams --log-group-name /gimmetime/gimmetime")["logStreams"].clone();
    let streams = sorted(&streams, |stream| stream["logStreamName"].as_str().unwrap().to_owned());
    let expected = sorted(&json!(place.tasks()), |task| format!("gimmetime/app/{}", last(&task["id"])));
    assert_eq!(streams, expected);
    let filtered =
        place.aws("logs filter-log-events --log-group-name /gimmetime/gimmetime --filter-pattern started")["events"]
            .clone();
    assert_eq!(sorted(&filtered, |event| event["logStreamName"].as_str().unwrap().to_owned()), streams);
    let get = "logs get-log-events --log-group-name /gimmetime/gimmetime --start-from-head --log-stream-name";
    let events = place.aws(&format!("{get} {}", streams[0]))["events"].clone();
    let said: Value = serde_json::from_str(events[0]["message"].as_str().unwrap()).unwrap();
    assert_eq!(said["event"], "started", "{events:#}");

    let deployments = place.aws("ecs list-service-deployments --cluster gimmetime --service gimmetime");
    let arn = deployments["serviceDeployments"][0]["serviceDeploymentArn"].as_str().unwrap();
    let described = place.aws(&format!("ecs describe-service-deployments --service-deployment-arns {arn}"));
    let deployment = &described["serviceDeployments"][0];
    assert_eq!((&deployment["status"], &described["failures"]), (&json!("SUCCESSFUL"), &json!([])), "{deployment:#}");
    assert_eq!(deployment["targetServiceRevision"]["requestedTaskCount"], 2, "{deployment:#}");
}

#[test]
fn a_revision_that_the_aws_cli_rolls_out_is_a_release_that_can_be_rolled_back() {
    let place = Place::new();
    place.must(&["up"]);
    let greeting = json!([{"name": "GREETING", "value": "hello"}]);
    let revision = place.register_changed(|container| container["environment"] = greeting);
    assert_eq!(revision, "gimmetime:2");
    place.aws("ecs update-service --cluster gimmetime --service gimmetime --task-definition gimmetime:2");
    place.settled();
    let release = place.release(2);
    assert_eq!((&release["serving"], &release["outcome"]), (&json!(true), &json!("succeeded")), "{release:#}");
    // It bears none of our labels: who and when is known all the same.
    let (first, caller) = (place.release(1), place.json(&["status"])["caller"]["arn"].clone());
    assert_eq!((&release["digest"], release["who"].as_str()), (&first["digest"], Some(last(&caller))), "{release:#}");
    assert!(first["at"].as_str().unwrap() < release["at"].as_str().unwrap(), "{release:#}");
    for pid in place.task_pids() {
        let environment = std::fs::read_to_string(format!("/proc/{pid}/environ")).unwrap();
        assert!(environment.split('\0').any(|variable| variable == "GREETING=hello"), "{environment}");
    }
    place.must(&["rollback"]).says("r2 → r1").says(" 0 failed");
    assert_eq!((&place.release(1)["serving"], &place.release(2)["serving"]), (&json!(true), &json!(false)));
}

#[test]
fn an_image_that_the_engine_lacks_is_rolled_back_and_explained() {
    let place = Place::new();
    place.must(&["up"]);
    place.register_changed(|container| container["image"] = NO_IMAGE.into());
    place.aws("ecs update-service --cluster gimmetime --service gimmetime --task-definition gimmetime:2");
    place.settled();
    let stopped = place.aws("ecs list-tasks --cluster gimmetime --desired-status STOPPED")["taskArns"].clone();
    let ids = sorted(&stopped, |arn| last(arn).to_owned());
    let described = place.aws(&format!("ecs describe-tasks --cluster gimmetime --tasks {}", ids.join(" ")));
    for task in described["tasks"].as_array().unwrap() {
        assert_eq!(task["taskDefinitionArn"], "arn:aws:ecs:local:000000000000:task-definition/gimmetime:2");
    }
    let failed = described["tasks"].as_array().unwrap().iter().find(|task| task["stopCode"] == "TaskFailedToStart");
    let reason = failed.expect("a task failed to start")["stoppedReason"].as_str().unwrap();
    assert!(reason.starts_with("CannotPullContainerError: ") && reason.contains(NO_IMAGE), "{reason}");

    let (good, bad) = (place.release(1), place.release(2));
    assert_eq!((&good["serving"], &bad["outcome"]), (&json!(true), &json!("rolled_back")), "{bad:#}");
    let why = place.json(&["why"]);
    assert_eq!((&why["state"], &why["diagnosis"]["release"]), (&json!("past"), &json!(2)), "{why:#}");
    assert_eq!(why["diagnosis"]["cause"], "image_missing", "{why:#}");
    place.must(&["why"]).says("the image is not there").says("TaskFailedToStart").says("gimmetime deploy");
}

#[test]
fn a_task_that_the_aws_cli_stops_is_replaced_and_what_it_tags_bears_the_tag() {
    let place = Place::new();
    place.must(&["up"]);
    let task = place.tasks()[0]["id"].as_str().unwrap().to_owned();
    let stop = place.aws(&format!("ecs stop-task --cluster gimmetime --task {task} --reason audit"));
    assert_eq!(stop["task"]["desiredStatus"], "STOPPED");
    eventually("the task has stopped, and another runs", || {
        let (others, same): (Vec<Value>, Vec<Value>) =
            place.tasks().into_iter().partition(|other| other["id"] != *task);
        let running = others.iter().filter(|task| task["status"] == "RUNNING").count();
        (running == 2 && same.iter().all(|task| task["status"] == "STOPPED")).then_some(())
    });
    let described = place.aws(&format!("ecs describe-tasks --cluster gimmetime --tasks {task}"));
    let stopped = &described["tasks"][0];
    assert_eq!((&stopped["stopCode"], &stopped["stoppedReason"]), (&json!("UserInitiated"), &json!("audit")));
    assert_eq!(stopped["containers"][0]["exitCode"], 0, "{stopped:#}");

    let definition = stopped["taskDefinitionArn"].as_str().unwrap();
    place.aws(&format!("ecs tag-resource --resource-arn {definition} --tags key=team,value=clocks"));
    let tags = place.aws(&format!("ecs list-tags-for-resource --resource-arn {definition}"))["tags"].clone();
    assert!(tags.as_array().unwrap().contains(&json!({"key": "team", "value": "clocks"})), "{tags:#}");
}

#[test]
fn every_raw_reply_that_boto3_gets_is_as_the_service_models_say() {
    let place = Place::new();
    place.must(&["up"]);
    place.conformance("engine.py", &["gimmetime", "2"]).says(" of 33 operations, 0 problems");
}

#[test]
fn calls_of_strangers_are_refused_as_aws_refuses_them() {
    let place = Place::new();
    place.must(&["up", "--count", "1"]);
    place.conformance("stranger.py", &[]).says("0 problems");
}

#[test]
fn a_task_learns_of_itself_and_how_true_its_clock_is() {
    let place = Place::new();
    place.must(&["up", "--count", "1"]);
    let pid = *place.task_pids().first().unwrap();
    let environment = std::fs::read_to_string(format!("/proc/{pid}/environ")).unwrap();
    let url = environment.split('\0').find_map(|variable| variable.strip_prefix("ECS_CONTAINER_METADATA_URI_V4="));
    let fetch = |path: &str| {
        let curl = ["--silent", "--show-error", "--fail", &format!("{}{path}", url.unwrap())].map(str::to_owned);
        let ran = Ran::of(Command::new("curl").args(curl).output().unwrap());
        assert_eq!(ran.code, Some(0), "{ran:#?}");
        serde_json::from_str::<Value>(&ran.stdout).unwrap()
    };
    let status = place.json(&["status"]);
    let (container, task) = (fetch(""), fetch("/task"));
    assert_eq!((&container["Name"], &container["KnownStatus"]), (&json!("app"), &json!("RUNNING")), "{container:#}");
    assert_eq!(last(&task["TaskARN"]), status["tasks"][0]["id"], "{task:#}");
    assert_eq!(task["Containers"], json!([container]));

    // The kernel's own word, the same as `status` has it; nothing is made up where the kernel does not know.
    let (drift, own) = (&task["ClockDrift"], &status["check"]["own_clock"]);
    let synchronized = drift["ClockSynchronizationStatus"].as_str().map(|status| status == "SYNCHRONIZED");
    assert_eq!(synchronized.map(Value::from).unwrap_or_default(), own["synchronized"], "{drift:#}");
    assert_eq!(drift["ClockErrorBound"].is_number(), own["error_bound_seconds"].is_number(), "{drift:#} {own:#}");
    let moment = drift["ReferenceTimestamp"].as_str().unwrap();
    assert!(moment.starts_with("20") && moment.ends_with('Z'), "{drift:#}");
}
