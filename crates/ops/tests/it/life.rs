//! The whole life of a service: made, rolled under load, broken, explained, turned back, scaled, read, removed.

use std::time::Duration;

use gimmetime_clock::{Timestamp, iso, source};
use gimmetime_ops::{
    Answer, Clocks, DeployMode, Deployed, Ledger, LogQuery, Outcome, Place, Question, Releases, RolloutReport,
    ServiceSpec, UpAction, cancellation, delete, deploy, follow, logs, releases, rollback, scale, status, up_service,
    why,
};
use serde_json::{Value, json};
use tokio::sync::mpsc::unbounded_channel;

use crate::place::{Made, PATIENCE, nothing_lost, run};

async fn rolled(place: &Place, spec: &ServiceSpec) -> RolloutReport {
    match deploy(place, spec, DeployMode::WhenChanged, &run().0).await.unwrap() {
        Deployed::Rolled(report) => *report,
        Deployed::Unchanged { release, .. } => panic!("r{release} runs already"),
    }
}

/// A task of r1 that ran out of memory, as the event bus tells it.
fn out_of_memory(place: &Place, at: Timestamp) -> Value {
    let (cluster, time) = (&place.cluster, iso::format(at));
    let arn = |rest: &str| format!("arn:aws:ecs:eu-west-1:123456789012:{rest}");
    json!({
        "detail-type": "ECS Task State Change", "source": "aws.ecs", "time": time,
        "detail": {
            "clusterArn": arn(&format!("cluster/{cluster}")), "group": format!("service:{}", place.service),
            "taskArn": arn(&format!("task/{cluster}/c7d00000000000000000000000000000")),
            "taskDefinitionArn": arn(&format!("task-definition/{}:1", place.service)),
            "lastStatus": "STOPPED", "desiredStatus": "STOPPED", "startedBy": "ecs-svc/1", "stoppedAt": time,
            "stopCode": "EssentialContainerExited", "stoppedReason": "Essential container in task exited",
            "containers": [{"name": "app", "exitCode": 137,
                            "reason": "OutOfMemoryError: Container killed due to memory usage"}]
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_lives_on_ecs_as_it_does_on_the_engine() {
    let made = Made::new();
    let place = &made.place;

    let first = up_service(place, &made.spec(&[]), &run().0).await.unwrap();
    assert_eq!((first.action, first.rollout.outcome, first.rollout.to), (UpAction::Created, Outcome::Done, 1));
    nothing_lost(&first.rollout);
    let again = up_service(place, &made.spec(&[]), &run().0).await.unwrap();
    assert_eq!((again.action, again.rollout.outcome), (UpAction::Unchanged, Outcome::Done));

    let second = rolled(place, &made.spec(&[("LOG", "info")])).await;
    assert_eq!((second.from, second.to, second.outcome), (Some(1), 2, Outcome::Done));
    nothing_lost(&second);
    // Labels have milliseconds.
    let total = |ledger: &Ledger| ledger.total.as_millis();
    assert_eq!(second.last.as_ref().map(total), Some(total(&first.rollout.ledger)));
    assert!(second.ledger.serves_everyone.is_some() && second.ledger.push.is_some(), "{second:#?}");

    let broken = rolled(place, &made.spec(&[("MODE", "exit")])).await;
    assert_eq!((broken.to, broken.outcome), (3, Outcome::RolledBack), "{broken:#?}");
    nothing_lost(&broken);
    let told = broken.cause.unwrap();
    assert_eq!((told.sentence.as_str(), told.changed.len()), ("the process exits 3 at start", 2), "{told:#?}");
    assert_eq!(told.evidence[0].text, "SIGNING_KEY is not set", "{told:#?}");
    let Answer::Past(later) = why(place, Question::Release(3)).await.unwrap() else {
        panic!("r3 is not known to fail")
    };
    assert_eq!((later.sentence, later.release), (told.sentence, 3));

    let back = rollback(place, Some(1), &run().0).await.unwrap();
    assert_eq!((back.from, back.to, back.outcome), (Some(2), 1, Outcome::Done), "{back:#?}");
    nothing_lost(&back);
    let (canceller, cancel) = cancellation();
    let (sink, mut followed) = unbounded_channel();
    let since = Some(source::wall());
    let follower = tokio::spawn({
        let place = place.clone();
        async move { follow(&place, &LogQuery { since, task: None }, &sink, &cancel).await }
    });
    for count in [3, 1] {
        let scaled = scale(place, count, &run().0).await.unwrap();
        assert_eq!((scaled.count, scaled.outcome), (count, Outcome::Done), "{scaled:#?}");
        nothing_lost(&scaled);
    }

    let fresh = tokio::time::timeout(PATIENCE, followed.recv()).await.unwrap().unwrap();
    assert_eq!((fresh.text.as_str(), since <= Some(fresh.at)), ("started, mode ``", true), "{fresh:?}");
    canceller.cancel();
    follower.await.unwrap().unwrap();

    let seen = status(place, &Clocks::new()).await.unwrap();
    assert_eq!((seen.healthy, seen.desired, seen.is_steady, seen.release.number), (1, 1, true, 1), "{seen:#?}");
    let written = logs(place, &LogQuery::default()).await.unwrap();
    let started = written.iter().filter(|line| line.text == "started, mode ``").count();
    assert!(4 <= started && written.is_sorted_by_key(|line| line.at), "{written:#?}");
    let mine = LogQuery { task: Some(seen.tasks[0].id.clone()), ..LogQuery::default() };
    assert_eq!(logs(place, &mine).await.unwrap().len(), 1);
    let then = source::wall().minus(Duration::from_hours(3));
    made.remember(&[out_of_memory(place, then)]);
    let Answer::Past(then) = why(place, Question::At(then)).await.unwrap() else { panic!("it was written down") };
    assert_eq!((then.sentence.as_str(), then.release), ("the process runs out of memory", 1), "{then:#?}");
    let known = releases(place).await.unwrap();
    assert_eq!(known.iter().map(|release| release.number).collect::<Vec<_>>(), [3, 2, 1]);

    let gone = delete(place, Releases::Delete, &run().0).await.unwrap();
    assert_eq!((gone.service, gone.tasks, gone.releases, gone.left), (true, 1, 3, 0), "{gone:#?}");
    let nothing = delete(place, Releases::Delete, &run().0).await.unwrap();
    assert_eq!((nothing.service, nothing.tasks, nothing.releases), (false, 0, 0), "{nothing:#?}");
}
