//! What a rollout leaves behind, whom it names, and what its probe sees, over real sockets.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// How many calls to the API had come when a request of the probe came, for each request.
type Seen = Arc<Mutex<Vec<usize>>>;

/// Gives the place a service that can be probed; it answers 200, but 500 to the request of that number.
async fn probed(place: &mut Place, asked: &Asked, broken: usize) -> Seen {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    place.url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    place.probe.rate = 200.0;
    place.probe.tail = Duration::from_millis(300);
    let (seen, asked) = (Seen::default(), Arc::clone(asked));
    let log = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (log, asked) = (Arc::clone(&log), Arc::clone(&asked));
            tokio::spawn(async move {
                let mut request = [0; 4096];
                // The whole of such a request comes in one piece.
                while stream.read(&mut request).await.is_ok_and(|read| 0 < read) {
                    let number = {
                        let mut log = log.lock().unwrap();
                        log.push(asked.lock().unwrap().len());
                        log.len()
                    };
                    let status = if number == broken { 500 } else { 200 };
                    let reply = format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\nok");
                    if stream.write_all(reply.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    seen
}

fn place_of(asked: &Asked, operation: &str) -> usize {
    asked.lock().unwrap().iter().position(|(name, _)| name == operation).unwrap()
}

async fn deploy(place: &Place, digest: &str) -> crate::RolloutReport {
    match crate::deploy(place, &spec(digest), DeployMode::WhenChanged, &run().0).await.unwrap() {
        Deployed::Rolled(report) => *report,
        Deployed::Unchanged { .. } => panic!("unchanged"),
    }
}

fn label(play: &Arc<Mutex<Play>>) -> Option<String> {
    let play = play.lock().unwrap();
    let tags = play.service.as_ref().unwrap().as_array().unwrap();
    tags.iter().find(|tag| tag["key"] == "gimmetime:operation").map(|tag| tag["value"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn the_probe_begins_before_the_change_goes_on_after_it_and_counts_every_failure() {
    let (mut place, asked, _) = serving(Fate::Works).await;
    let seen = probed(&mut place, &asked, 2).await;
    let report = deploy(&place, "bb").await;
    let tally = report.tally.unwrap();
    let seen = seen.lock().unwrap().clone();
    assert_eq!((tally.requests, tally.failed, tally.unverified), (seen.len() as u64, 1, 0));
    assert_eq!(tally.first_failures[0].1, "answered 500");
    let calls = asked.lock().unwrap().clone();
    assert!(seen[0] <= place_of(&asked, "updateservice"), "{seen:?} {calls:?}");
    // The first label on the release is written when the rollout is over: what came between the last look and it is the tail.
    let end = calls.iter().position(|(name, body)| name == "tagresource" && body.contains("gimmetime:outcome"));
    let last_look = calls[..end.unwrap()].iter().rposition(|(name, _)| name == "describeservices").unwrap();
    assert!(seen.iter().any(|calls| last_look < *calls), "{seen:?} {calls:?}");
}

#[tokio::test]
async fn where_nothing_serves_yet_the_probe_waits_and_of_nothing_it_asks_nothing() {
    let (mut place, asked, _) = stage(Fate::Works).await;
    let seen = probed(&mut place, &asked, 0).await;
    let report = crate::up_service(&place, &spec("aa"), &run().0).await.unwrap();
    let tally = report.rollout.tally.unwrap();
    assert!(0 < tally.requests && tally.failed == 0);
    assert!(place_of(&asked, "createservice") < seen.lock().unwrap()[0]);
    let none = crate::scale(&place, 0, &run().0).await.unwrap();
    assert!(none.outcome == Outcome::Done && none.tally.is_none());
}

#[tokio::test]
async fn what_runs_and_is_not_healthy_is_not_probed_before_something_is() {
    let (mut place, asked, play) = serving(Fate::Works).await;
    play.lock().unwrap().healthy = Some(0);
    let seen = probed(&mut place, &asked, 0).await;
    assert!(deploy(&place, "bb").await.tally.unwrap().requests != 0);
    assert!(place_of(&asked, "updateservice") < seen.lock().unwrap()[0]);
}

#[tokio::test]
async fn who_joins_a_rollout_does_not_probe_what_is_not_healthy_either() {
    let (mut place, asked, play) = serving(Fate::Waits).await;
    place.patience = Duration::ZERO;
    assert_eq!(deploy(&place, "bb").await.outcome, Outcome::Detached);
    let joined = async |healthy| {
        play.lock().unwrap().healthy = Some(healthy);
        let mut place = place.clone();
        probed(&mut place, &asked, 0).await;
        crate::attach(&place, &run().0).await.unwrap().unwrap().tally
    };
    assert!(joined(0).await.is_none());
    assert!(joined(1).await.is_some());
}

#[tokio::test]
async fn a_failure_without_a_way_back_tells_whether_anything_serves() {
    let (place, _, play) = serving(Fate::Fails).await;
    let report = deploy(&place, "bb").await;
    assert_eq!(report.outcome, Outcome::FailedAndOldServes);
    assert_eq!(report.cause.unwrap().sentence, "the process exits 1 at start");
    assert_eq!(label(&play), None);
    let (place, _, _) = stage(Fate::Fails).await;
    let first = crate::up_service(&place, &spec("aa"), &run().0).await.unwrap();
    assert_eq!(first.rollout.outcome, Outcome::FailedNotServing);
    let scaled = crate::scale(&place, 3, &run().0).await.unwrap();
    assert_eq!(scaled.outcome, Outcome::FailedNotServing);
    let cause = scaled.cause.unwrap();
    assert_eq!(
        (cause.sentence.as_str(), cause.because.as_str()),
        ("the process exits 1 at start", "EssentialContainerExited, 1 of 1")
    );
}

#[tokio::test]
async fn an_up_after_a_first_release_that_failed_tries_it_again() {
    let (place, asked, play) = stage(Fate::Fails).await;
    crate::up_service(&place, &spec("aa"), &run().0).await.unwrap();
    play.lock().unwrap().fate = Fate::Works;
    let again = crate::up_service(&place, &spec("aa"), &run().0).await.unwrap();
    assert_eq!((again.action, again.rollout.outcome), (UpAction::Changed, Outcome::Done));
    assert_eq!(again.changes[0].words, "r1 once more: it was given up");
    assert_eq!(count(&asked, "registertaskdefinition"), 1);
}

#[tokio::test]
async fn when_patience_ends_the_rollout_goes_on_under_the_name_of_its_author() {
    let (mut place, _, play) = serving(Fate::Waits).await;
    place.patience = Duration::from_millis(30);
    let report = deploy(&place, "bb").await;
    assert_eq!(report.outcome, Outcome::Detached);
    assert!(report.cause.is_some() && report.waiting_for.is_some());
    assert!(label(&play).unwrap().starts_with("who=alice"));
    play.lock().unwrap().fate = Fate::Works;
}

#[tokio::test]
async fn one_who_was_overtaken_leaves_the_label_of_the_other() {
    let (place, _, play) = serving(Fate::Overtaken).await;
    assert_eq!(deploy(&place, "bb").await.outcome, Outcome::Superseded);
    assert_eq!(label(&play).unwrap(), "who=bob what=deploy_r9");
}

#[tokio::test]
async fn a_change_that_was_refused_leaves_no_label() {
    let (_, _, play) = serving(Fate::Works).await;
    let (connection, _) = endpoint({
        let play = Arc::clone(&play);
        move |operation, body| match operation {
            "updateservice" => error("InvalidParameterException", "no"),
            _ => play.lock().unwrap().answer(operation, body),
        }
    })
    .await;
    let refused = crate::scale(&place(connection), 3, &run().0).await.unwrap_err();
    assert!(matches!(refused, OpsError::Refused { .. }), "{refused}");
    assert_eq!(label(&play), None);
}

#[tokio::test]
async fn a_release_can_be_mended_while_its_number_of_tasks_changes() {
    let (place, _, play) = serving(Fate::Works).await;
    let since = gimmetime_clock::iso::format(gimmetime_clock::source::wall());
    let left = json!([{"key": "gimmetime:operation", "value": format!("who=bob since={since} what=scale_1:2")}]);
    retag(play.lock().unwrap().service.as_mut().unwrap(), &left);
    play.lock().unwrap().running = Some(1);
    assert_eq!(crate::status(&place, &Clocks::new()).await.unwrap().deployment.unwrap().who, "bob");
    assert_eq!(deploy(&place, "bb").await.outcome, Outcome::Done);
}

#[tokio::test]
async fn a_lost_answer_is_told_once_and_outlived() {
    let (_, _, play) = serving(Fate::Works).await;
    let mut lost = 0;
    let (connection, _) = endpoint({
        let play = Arc::clone(&play);
        move |operation, body| {
            lost += u32::from(operation == "describetasks");
            match operation {
                "describetasks" if lost <= 12 => error("ServerException", "try later"),
                _ => play.lock().unwrap().answer(operation, body),
            }
        }
    })
    .await;
    let (run, mut events) = run();
    let report = crate::scale(&place(connection), 3, &run).await.unwrap();
    assert_eq!(report.outcome, Outcome::Done);
    let waits = |event: &Event| matches!(event, Event::Waiting { what } if what.contains("try later"));
    assert_eq!(told(&mut events).iter().filter(|event| waits(event)).count(), 1);
}

/// What the last update said of the balancer: the port, or nothing.
fn said_of_the_balancer(asked: &Asked) -> Value {
    let asked = std::mem::take(&mut *asked.lock().unwrap());
    let (_, body) = asked.into_iter().rfind(|(name, _)| name == "updateservice").unwrap();
    serde_json::from_str::<Value>(&body).unwrap()["loadBalancers"].clone()
}

#[tokio::test]
async fn the_balancer_is_told_the_port_of_a_release_that_listens_on_another_one_and_nothing_else() {
    let (place, asked, _) = serving(Fate::Works).await;
    let on = |digest: &str, port: u16| crate::ServiceSpec { port, ..spec(digest) };
    let way = |port: u16| json!([{ "targetGroupArn": place.target_group_arn, "containerName": crate::CONTAINER, "containerPort": port }]);
    crate::deploy(&place, &on("bb", 8080), DeployMode::WhenChanged, &run().0).await.unwrap();
    assert_eq!(said_of_the_balancer(&asked), Value::Null);
    crate::deploy(&place, &on("bb", 9090), DeployMode::WhenChanged, &run().0).await.unwrap();
    assert_eq!(said_of_the_balancer(&asked), way(9090));
    crate::deploy(&place, &on("cc", 9090), DeployMode::Force, &run().0).await.unwrap();
    assert_eq!(said_of_the_balancer(&asked), Value::Null);
    crate::rollback(&place, Some(1), &run().0).await.unwrap();
    assert_eq!(said_of_the_balancer(&asked), way(8080));
    let up = crate::up_service(&place, &on("aa", 7070), &run().0).await.unwrap();
    assert_eq!((up.action, up.rollout.outcome), (UpAction::Changed, Outcome::Done));
    assert_eq!(said_of_the_balancer(&asked), way(7070));
}

#[tokio::test]
async fn the_path_that_the_balancer_asks_matters_while_something_runs() {
    let (place, _, play) = stage(Fate::Works).await;
    assert_eq!(crate::asked_path(&place).await.unwrap(), None);
    crate::up_service(&place, &spec("aa"), &run().0).await.unwrap();
    assert_eq!(crate::asked_path(&place).await.unwrap().as_deref(), Some("/live"));
    play.lock().unwrap().running = Some(0);
    assert_eq!(crate::asked_path(&place).await.unwrap(), None);
}
