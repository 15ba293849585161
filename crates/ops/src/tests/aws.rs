//! What only AWS does: facts that Fargate must be told, answers that are late, refusals that pass, rights that end.

use std::time::Duration;

use super::*;
use crate::place::Launch;
use crate::testing::fargate;

/// A stage on Fargate whose answers pass through `twist`, with the play behind it.
pub(super) async fn twisted(
    fate: Fate,
    mut twist: impl FnMut(&mut Play, &str, &str) -> Reply + Send + 'static,
) -> (Place, Asked, Arc<Mutex<Play>>) {
    let play = Arc::new(Mutex::new(Play::new(fate)));
    let (connection, asked) = endpoint({
        let play = Arc::clone(&play);
        move |operation, body| twist(&mut play.lock().unwrap(), operation, body)
    })
    .await;
    let place = Place { launch: Launch::Fargate(fargate()), ..place(connection) };
    (place, asked, play)
}

pub(super) fn sent(asked: &Asked, operation: &str) -> Value {
    let asked = asked.lock().unwrap();
    let (_, body) = asked.iter().find(|(name, _)| name == operation).unwrap();
    serde_json::from_str(body).unwrap()
}

async fn deployed(place: &Place, digest: &str) -> (crate::RolloutReport, Vec<Event>) {
    let (run, mut events) = run();
    match crate::deploy(place, &spec(digest), DeployMode::WhenChanged, &run).await.unwrap() {
        Deployed::Rolled(report) => (*report, told(&mut events)),
        Deployed::Unchanged { .. } => panic!("unchanged"),
    }
}

fn waits(events: &[Event]) -> Vec<&str> {
    events
        .iter()
        .filter_map(|event| if let Event::Waiting { what } = event { Some(what.as_str()) } else { None })
        .collect()
}

#[tokio::test]
async fn fargate_is_told_all_it_must_be_told() {
    let (mut place, asked, _) = twisted(Fate::Works, Play::answer).await;
    place.tags.insert("gimmetime:name".to_owned(), "web".to_owned());
    let mut spec = spec("aa");
    spec.secrets.insert("KEY".to_owned(), "ssm:/time/key".to_owned());
    crate::up_service(&place, &spec, &run().0).await.unwrap();

    let definition = sent(&asked, "registertaskdefinition");
    let app = &definition["containerDefinitions"][0];
    let whole = [
        (&definition["requiresCompatibilities"], json!(["FARGATE"])),
        (&definition["networkMode"], json!("awsvpc")),
        (&definition["cpu"], json!("256")),
        (&definition["memory"], json!("512")),
        (&definition["executionRoleArn"], json!("arn:aws:iam::123456789012:role/execution")),
        (&definition["taskRoleArn"], json!("arn:aws:iam::123456789012:role/task")),
        (&definition["runtimePlatform"], json!({"cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX"})),
        (&app["linuxParameters"], json!({"capabilities": {"drop": ["ALL"]}})),
        (&app["readonlyRootFilesystem"], json!(true)),
        (&app["user"], json!("65532")),
        (&app["stopTimeout"], json!(5)),
        (&app["portMappings"], json!([{"containerPort": 8080}])),
        (&app["environment"], json!([{"name": "PORT", "value": "8080"}])),
        (
            &app["secrets"],
            json!([{"name": "KEY", "valueFrom": "arn:aws:ssm:eu-west-1:123456789012:parameter/time/key"}]),
        ),
        (
            &app["logConfiguration"],
            json!({"logDriver": "awslogs", "options": {
                "awslogs-group": "/gimmetime/web", "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "web",
                "mode": "non-blocking", "max-buffer-size": "25m",
            }}),
        ),
    ];
    for (sent, wanted) in whole {
        assert_eq!(*sent, wanted, "{definition:#}");
    }
    assert_eq!(definition["tags"][0], json!({"key": "gimmetime:name", "value": "web"}));
}

#[tokio::test]
async fn the_service_is_told_how_it_rolls_and_where_its_tasks_go() {
    let (place, asked, _) = twisted(Fate::Works, Play::answer).await;
    crate::up_service(&place, &spec("aa"), &run().0).await.unwrap();
    let network = json!({"awsvpcConfiguration": {
        "subnets": ["subnet-a", "subnet-b"], "securityGroups": ["sg-a"], "assignPublicIp": "ENABLED",
    }});
    let breaker = json!({"enable": true, "rollback": true, "thresholdConfiguration": {"type": "COUNT", "value": 2}});
    let service = sent(&asked, "createservice");
    let whole = [
        (&service["launchType"], json!("FARGATE")),
        (&service["platformVersion"], json!("LATEST")),
        (&service["networkConfiguration"], network.clone()),
        (&service["deploymentConfiguration"]["deploymentCircuitBreaker"], breaker),
        (&service["deploymentConfiguration"]["minimumHealthyPercent"], json!(100)),
        (&service["deploymentConfiguration"]["maximumPercent"], json!(200)),
        (&service["healthCheckGracePeriodSeconds"], json!(10)),
        (&service["availabilityZoneRebalancing"], json!("ENABLED")),
        (&service["propagateTags"], json!("SERVICE")),
        (&service["enableECSManagedTags"], json!(true)),
    ];
    for (sent, wanted) in whole {
        assert_eq!(*sent, wanted, "{service:#}");
    }
    deployed(&place, "bb").await;
    assert_eq!(sent(&asked, "updateservice")["networkConfiguration"], network);
    assert_eq!(crate::up_service(&place, &spec("aa"), &run().0).await.unwrap().action, UpAction::Unchanged);
}

#[tokio::test]
async fn a_service_without_room_for_one_task_more_is_not_rebalanced() {
    let (place, asked, _) = twisted(Fate::Works, Play::answer).await;
    let mut tight = spec("aa");
    (tight.rollout.min_healthy_percent, tight.rollout.max_percent) = (50, 100);
    crate::up_service(&place, &tight, &run().0).await.unwrap();
    assert_eq!(sent(&asked, "createservice")["availabilityZoneRebalancing"], json!("DISABLED"));
}

#[tokio::test]
async fn the_last_words_of_a_task_are_found_behind_an_empty_page() {
    let (place, _, play) = twisted(Fate::Works, |play, operation, body| {
        if operation == "getlogevents" && !body.contains("nextToken") {
            return ok(&json!({"events": [], "nextBackwardToken": "b/1", "nextForwardToken": "f/1"}));
        }
        play.answer(operation, body)
    })
    .await;
    crate::up_service(&place, &spec("aa"), &run().0).await.unwrap();
    play.lock().unwrap().fate = Fate::Exits;
    let cause = deployed(&place, "bb").await.0.cause.unwrap();
    assert_eq!(cause.evidence[0].text, "SIGNING_KEY is not set");
}

#[tokio::test]
async fn tasks_that_show_only_after_the_service_gave_them_up_are_explained_all_the_same() {
    // The ledger tells of the end in this look, in which no stopped task is listed yet.
    const LAST: usize = 6;
    let (mut ledger, mut stopped) = (0, 0);
    let (place, _, play) = twisted(Fate::Works, move |play, operation, body| {
        if operation == "updateservice" {
            (ledger, stopped) = (0, 0);
        }
        let is_stopped = operation == "listtasks" && body.contains("STOPPED");
        ledger += usize::from(operation == "listservicedeployments");
        stopped += usize::from(is_stopped);
        let (status, reply) = play.answer(operation, body);
        match operation {
            "listtasks" if is_stopped && stopped <= LAST => ok(&json!({"taskArns": []})),
            "listservicedeployments" if ledger < LAST => (status, reply.replace("ROLLBACK_SUCCESSFUL", "IN_PROGRESS")),
            _ => (status, reply),
        }
    })
    .await;
    crate::up_service(&place, &spec("aa"), &run().0).await.unwrap();
    play.lock().unwrap().fate = Fate::Exits;
    let (report, _) = deployed(&place, "bb").await;
    let cause = report.cause.unwrap();
    assert_eq!((report.outcome, cause.sentence.as_str()), (Outcome::RolledBack, "the process exits 1 at start"));
    assert_eq!(cause.evidence[0].text, "SIGNING_KEY is not set");
}

#[tokio::test]
async fn a_role_that_is_seconds_old_is_waited_for_and_said_once() {
    let mut refusals = 3;
    let (place, asked, _) = twisted(Fate::Works, move |play, operation, body| {
        if operation == "createservice" && 0 < refusals {
            refusals -= 1;
            return error("InvalidParameterException", "ECS was unable to assume the role 'arn:x' that was provided.");
        }
        play.answer(operation, body)
    })
    .await;
    let (run, mut events) = run();
    let up = crate::up_service(&place, &spec("aa"), &run).await.unwrap();
    assert_eq!((up.rollout.outcome, count(&asked, "createservice")), (Outcome::Done, 4));
    assert_eq!(waits(&told(&mut events)), ["a role that is seconds old"]);
}

#[tokio::test]
async fn answers_older_than_the_change_are_no_overtaking() {
    let mut late = 0;
    let mut old: Option<Reply> = None;
    let (place, _, _) = twisted(Fate::Works, move |play, operation, body| {
        if operation == "updateservice" {
            // What was there before, for some looks more.
            (old, late) = (Some(play.answer("describeservices", "{}")), 4);
        }
        match (operation, &old) {
            ("describeservices", Some(old)) if 0 < late => {
                late -= 1;
                old.clone()
            }
            _ => play.answer(operation, body),
        }
    })
    .await;
    crate::up_service(&place, &spec("aa"), &run().0).await.unwrap();
    assert_eq!(deployed(&place, "bb").await.0.outcome, Outcome::Done);
    assert_eq!(crate::scale(&place, 5, &run().0).await.unwrap().outcome, Outcome::Done);
}

#[tokio::test]
async fn a_service_made_moments_ago_may_be_unknown_for_a_while() {
    let mut late = 0;
    let (place, _, _) = twisted(Fate::Works, move |play, operation, body| {
        late = if operation == "createservice" { 3 } else { late };
        if operation == "describeservices" && 0 < late {
            late -= 1;
            return ok(&json!({"services": [], "failures": [{"reason": "MISSING"}]}));
        }
        play.answer(operation, body)
    })
    .await;
    let up = crate::up_service(&place, &spec("aa"), &run().0).await.unwrap();
    assert_eq!(up.rollout.outcome, Outcome::Done);
}

#[tokio::test]
async fn throttled_looks_are_outlived() {
    let mut looks = 0;
    let (place, _, _) = twisted(Fate::Works, move |play, operation, body| {
        looks += u32::from(operation == "describetasks");
        match operation {
            "describetasks" if 3 < looks && looks < 12 => error("ThrottlingException", "Rate exceeded"),
            _ => play.answer(operation, body),
        }
    })
    .await;
    crate::up_service(&place, &spec("aa"), &run().0).await.unwrap();
    let (report, events) = deployed(&place, "bb").await;
    assert_eq!(report.outcome, Outcome::Done);
    assert!(waits(&events).iter().all(|what| what.contains("Rate exceeded")), "{events:?}");
}

#[tokio::test]
async fn credentials_that_end_end_the_watch_and_not_the_rollout() {
    let mut over = false;
    let (place, _, play) = twisted(Fate::Works, move |play, operation, body| {
        if over {
            return error("ExpiredTokenException", "The security token included in the request is expired");
        }
        over = operation == "updateservice";
        play.answer(operation, body)
    })
    .await;
    crate::up_service(&place, &spec("aa"), &run().0).await.unwrap();
    let (report, _) = deployed(&place, "bb").await;
    assert_eq!(report.outcome, Outcome::Detached);
    let lost = report.lost.unwrap();
    assert!(lost.contains("ExpiredTokenException") && !lost.contains("hint"), "{lost}");
    // Whose deployment it is stays on the service for whoever looks next.
    let tags = play.lock().unwrap().service.clone().unwrap().to_string();
    assert!(tags.contains("who=alice"), "{tags}");
}

#[tokio::test]
async fn without_credentials_nothing_is_asked_and_that_is_said() {
    let config = aws_types::SdkConfig::builder()
        .behavior_version(aws_smithy_runtime_api::client::behavior_version::BehaviorVersion::latest())
        .endpoint_url("http://127.0.0.1:9")
        .region(aws_types::region::Region::new("eu-west-1"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .credentials_provider(aws_credential_types::provider::SharedCredentialsProvider::new(NoLogin))
        .build();
    let refused =
        crate::scale(&place(crate::Connection::from_config(&config, "nobody")), 3, &run().0).await.unwrap_err();
    assert!(matches!(&refused, OpsError::Credentials { message, .. } if message.contains("refresh")), "{refused}");
}

/// A login that is over.
#[derive(Debug)]
struct NoLogin;

impl aws_credential_types::provider::ProvideCredentials for NoLogin {
    fn provide_credentials<'a>(&'a self) -> aws_credential_types::provider::future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        use aws_credential_types::provider::error::CredentialsError;
        let over = CredentialsError::provider_error("Token has expired and refresh failed");
        aws_credential_types::provider::future::ProvideCredentials::ready(Err(over))
    }
}

#[tokio::test]
async fn a_task_that_found_no_room_is_no_failure_of_its_release() {
    let (place, _, play) = twisted(Fate::Works, |play, operation, body| {
        let reply = play.answer(operation, body);
        let starved = "\"stopCode\":\"TaskFailedToStart\",\"stoppedReason\":\"Capacity is unavailable at this time.\"";
        let exited =
            "\"stopCode\":\"EssentialContainerExited\",\"stoppedReason\":\"Essential container in task exited\"";
        (reply.0, reply.1.replace(exited, starved).replace("\"exitCode\":1", "\"reason\":\"none\""))
    })
    .await;
    crate::up_service(&place, &spec("aa"), &run().0).await.unwrap();
    play.lock().unwrap().fate = Fate::Exits;
    let (report, events) = deployed(&place, "bb").await;
    assert!(!events.iter().any(|event| matches!(event, Event::TaskFailed { .. })), "{events:?}");
    assert_eq!(waits(&events), ["capacity: Capacity is unavailable at this time."]);
    let cause = report.cause.unwrap();
    assert_eq!((cause.cause, report.outcome), (crate::Cause::NoCapacity, Outcome::RolledBack));
}

#[tokio::test]
async fn how_long_a_rollout_took_is_compared_with_the_last_one() {
    let (place, asked, _) = twisted(Fate::Works, Play::answer).await;
    let (mut run, _events) = run();
    run.pushed = Some(Duration::from_secs(1));
    let first = crate::up_service(&place, &spec("aa"), &run).await.unwrap().rollout;
    assert_eq!((first.ledger.push, first.last), (Some(Duration::from_secs(1)), None));
    let (second, _) = deployed(&place, "bb").await;
    assert_eq!(second.ledger.push, None);
    let last = second.last.unwrap();
    assert_eq!((last.push, last.total.as_millis()), (first.ledger.push, first.ledger.total.as_millis()));
    let labels = asked.lock().unwrap().iter().filter(|(_, body)| body.contains("gimmetime:took")).count();
    assert!(2 <= labels);
}

#[tokio::test]
async fn releases_are_deleted_ten_at_a_time_and_what_is_left_is_said() {
    let mut there = 23;
    let (place, asked, _) = twisted(Fate::Works, move |play, operation, body| {
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        match operation {
            "listtaskdefinitions" if body["status"] == "INACTIVE" => {
                ok(&json!({"taskDefinitionArns": (1..=there).map(definition_arn).collect::<Vec<_>>()}))
            }
            "listtaskdefinitions" => ok(&json!({"taskDefinitionArns": []})),
            "deletetaskdefinitions" => {
                let batch = body["taskDefinitions"].as_array().unwrap().len();
                there -= batch;
                let failures = if batch < 10 { json!([{"reason": "in use"}]) } else { json!([]) };
                ok(&json!({"taskDefinitions": [], "failures": failures}))
            }
            _ => play.answer(operation, &body.to_string()),
        }
    })
    .await;
    let report = crate::delete(&place, Releases::Delete, &run().0).await.unwrap();
    assert_eq!((report.service, report.releases, report.releases_left), (false, 22, 1));
    assert_eq!(count(&asked, "deletetaskdefinitions"), 3);
}

#[tokio::test]
async fn a_service_on_its_way_out_is_waited_for_until_it_is_gone() {
    let mut draining = 0;
    let (place, _, _) = twisted(Fate::Works, move |play, operation, body| {
        if operation == "deleteservice" {
            draining = 3;
        }
        if operation == "describeservices" && 0 < draining {
            draining -= 1;
            return ok(&json!({"services": [{"status": "DRAINING", "serviceName": "web"}]}));
        }
        play.answer(operation, body)
    })
    .await;
    crate::up_service(&place, &spec("aa"), &run().0).await.unwrap();
    let report = crate::delete(&place, Releases::Keep, &run().0).await.unwrap();
    assert_eq!((report.service, report.tasks, report.left, report.is_draining), (true, 2, 0, false));
}

#[tokio::test]
async fn a_task_that_is_told_to_stop_between_two_lists_is_seen_once() {
    let mut is_leaving = false;
    let (place, asked, _) = twisted(Fate::Works, move |play, operation, body| {
        let body_of: Value = serde_json::from_str(body).unwrap_or_default();
        let id = |n: u64| format!("{ARN}task/web/{:016x}{n:016x}", 1);
        match (operation, body_of["desiredStatus"] == "STOPPED", body_of["nextToken"].as_str()) {
            ("listtasks", false, None) => ok(&json!({"taskArns": [id(0)], "nextToken": "more"})),
            ("listtasks", false, Some(_)) => {
                // It is told to stop right after it was listed.
                is_leaving = true;
                ok(&json!({"taskArns": [id(1)]}))
            }
            ("listtasks", true, _) if is_leaving => ok(&json!({"taskArns": [id(1)]})),
            ("listtasks", true, _) => ok(&json!({"taskArns": []})),
            _ => play.answer(operation, body),
        }
    })
    .await;
    crate::up_service(&place, &spec("aa"), &run().0).await.unwrap();
    let seen = crate::status(&place, &Clocks::new()).await.unwrap();
    assert_eq!(seen.tasks.len(), 2, "{:#?}", seen.tasks);
    // Those that shall run are listed to the end before those that shall not: none can be missed on its way.
    let asked = asked.lock().unwrap();
    let lists: Vec<bool> =
        asked.iter().filter(|(name, _)| name == "listtasks").map(|(_, body)| body.contains("STOPPED")).collect();
    assert!(lists.chunks(3).all(|look| look == [false, false, true]), "{lists:?}");
}
