//! A place that changed under its service: the tasks are brought to where it has them now, whatever the release.

use super::aws::{sent, twisted};
use super::*;
use crate::place::{Fargate, Launch};
use crate::testing::fargate;

/// Release 1 serves where the place had its tasks; the place as it is now, with other subnets and no public addresses.
async fn changed() -> (Place, Place, Asked, Arc<Mutex<Play>>) {
    let (before, asked, play) = twisted(Fate::Works, Play::answer).await;
    crate::up_service(&before, &spec("aa"), &run().0).await.unwrap();
    asked.lock().unwrap().clear();
    let subnets = ["subnet-b", "subnet-c", "subnet-d"].map(str::to_owned).to_vec();
    let launch = Launch::Fargate(Fargate { subnets, public_ip: false, ..fargate() });
    (Place { launch, ..before.clone() }, before, asked, play)
}

const WORDS: &str = "subnets +2 -1, public addresses yes→no; every task is replaced";

fn words(changes: &[crate::three_way::Change]) -> Vec<(&str, &str)> {
    changes.iter().map(|change| (change.setting.as_str(), change.words.as_str())).collect()
}

#[tokio::test]
async fn up_brings_an_unchanged_release_to_where_the_place_is_now_and_says_so_beforehand() {
    let (place, _, asked, _) = changed().await;
    let planned = crate::plan_service(&place, &spec("aa")).await.unwrap().unwrap();
    assert_eq!(words(&planned), [("network", WORDS)]);
    assert_eq!(count(&asked, "updateservice"), 0);

    let up = crate::up_service(&place, &spec("aa"), &run().0).await.unwrap();
    assert_eq!((up.action, up.changes), (UpAction::Changed, planned));
    assert_eq!((up.rollout.from, up.rollout.to, up.rollout.outcome), (Some(1), 1, Outcome::Done));
    assert!(up.rollout.ledger.serves_everyone.is_some(), "a deployment was watched: {:?}", up.rollout);
    let update = sent(&asked, "updateservice");
    let network = json!({"subnets": ["subnet-b", "subnet-c", "subnet-d"], "securityGroups": ["sg-a"],
        "assignPublicIp": "DISABLED"});
    assert_eq!(update["networkConfiguration"]["awsvpcConfiguration"], network, "{update:#}");
    assert_eq!(update["forceNewDeployment"], json!(true), "{update:#}");
    // What did not change is not said again.
    for member in ["taskDefinition", "loadBalancers", "desiredCount", "deploymentConfiguration"] {
        assert!(update[member].is_null(), "{member}: {update:#}");
    }
    assert_eq!(count(&asked, "registertaskdefinition"), 0);

    asked.lock().unwrap().clear();
    assert!(crate::plan_service(&place, &spec("aa")).await.unwrap().unwrap().is_empty());
    let again = crate::up_service(&place, &spec("aa"), &run().0).await.unwrap();
    assert_eq!((again.action, count(&asked, "updateservice")), (UpAction::Unchanged, 0));
}

#[tokio::test]
async fn a_release_and_a_move_are_one_rollout() {
    let (place, _, asked, _) = changed().await;
    let mut spec = spec("aa");
    spec.env.insert("LOG".to_owned(), "debug".to_owned());
    let up = crate::up_service(&place, &spec, &run().0).await.unwrap();
    assert_eq!(words(&up.changes), [("release", "env LOG added"), ("network", WORDS)]);
    assert_eq!((up.rollout.from, up.rollout.to, up.rollout.outcome), (Some(1), 2, Outcome::Done));
    assert_eq!(count(&asked, "updateservice"), 1);
    assert_eq!(crate::up_service(&place, &spec, &run().0).await.unwrap().action, UpAction::Unchanged);
}

#[tokio::test]
async fn another_role_is_a_release() {
    let (_, before, asked, _) = changed().await;
    let role = "arn:aws:iam::123456789012:role/mine".to_owned();
    let launch = Launch::Fargate(Fargate { execution_role_arn: role, task_role_arn: None, ..fargate() });
    let place = Place { launch, ..before };
    let planned = crate::plan_service(&place, &spec("aa")).await.unwrap().unwrap();
    assert_eq!(words(&planned), [("release", "execution role, task role")]);
    let up = crate::up_service(&place, &spec("aa"), &run().0).await.unwrap();
    assert_eq!((up.rollout.to, up.rollout.outcome, count(&asked, "updateservice")), (2, Outcome::Done, 1));
    assert_eq!(crate::up_service(&place, &spec("aa"), &run().0).await.unwrap().action, UpAction::Unchanged);
}

#[tokio::test]
async fn another_target_group_is_led_to_the_port_that_runs_by_up_and_by_any_release() {
    let (_, before, asked, play) = changed().await;
    let place = |n: u8| {
        let target_group_arn = format!("arn:aws:elasticloadbalancing:local:0:targetgroup/web/{n}");
        Place { target_group_arn, ..before.clone() }
    };
    let up = crate::up_service(&place(1), &spec("aa"), &run().0).await.unwrap();
    assert_eq!(words(&up.changes), [("network", "another target group; every task is replaced")]);
    let led = |asked: &Asked| sent(asked, "updateservice")["loadBalancers"][0].clone();
    let way =
        |n: u8| json!({"targetGroupArn": place(n).target_group_arn, "containerName": "app", "containerPort": 8080});
    assert_eq!(led(&asked), way(1));
    assert_eq!(crate::up_service(&place(1), &spec("aa"), &run().0).await.unwrap().action, UpAction::Unchanged);

    asked.lock().unwrap().clear();
    crate::deploy(&place(2), &spec("bb"), DeployMode::WhenChanged, &run().0).await.unwrap();
    assert_eq!(led(&asked), way(2));
    // A service that no balancer leads to gets none by moving.
    play.lock().unwrap().balancers = json!([]);
    asked.lock().unwrap().clear();
    assert_eq!(crate::up_service(&place(3), &spec("aa"), &run().0).await.unwrap().action, UpAction::Unchanged);
}

#[tokio::test]
async fn a_move_that_fails_is_turned_back_explained_and_tried_again() {
    let (place, _, _, play) = changed().await;
    play.lock().unwrap().fate = Fate::Exits;
    let up = crate::up_service(&place, &spec("aa"), &run().0).await.unwrap();
    assert_eq!((up.rollout.from, up.rollout.to, up.rollout.outcome), (Some(1), 1, Outcome::RolledBack));
    let cause = up.rollout.cause.unwrap();
    assert_eq!(cause.changed, [WORDS], "the release is the same");
    assert_eq!(cause.fix, "gimmetime up", "a deploy would bring nothing: {cause:?}");

    // It serves, so it did not fail.
    let release = crate::releases(&place).await.unwrap().pop().unwrap();
    assert_eq!((release.number, release.outcome, release.cause), (1, ReleaseOutcome::Succeeded, None));
    let planned = crate::plan_service(&place, &spec("aa")).await.unwrap().unwrap();
    assert_eq!(words(&planned), [("network", WORDS)]);
    play.lock().unwrap().fate = Fate::Works;
    let up = crate::up_service(&place, &spec("aa"), &run().0).await.unwrap();
    assert_eq!((up.action, up.rollout.outcome), (UpAction::Changed, Outcome::Done));
}

#[tokio::test]
async fn an_engine_on_this_machine_has_no_place_to_move_from() {
    let (place, asked, _) = serving(Fate::Works).await;
    let moved = Place { target_group_arn: "another".to_owned(), ..place };
    assert_eq!(crate::up_service(&moved, &spec("aa"), &run().0).await.unwrap().action, UpAction::Unchanged);
    assert_eq!(count(&asked, "updateservice"), 0);
}
