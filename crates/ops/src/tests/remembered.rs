//! What a place remembers of failures, when there is more of it than is read for one answer.

use std::time::Duration;

use gimmetime_clock::{Timestamp, iso, source};

use super::*;

/// An event of a task of this release that exited with this code.
fn stopped(release: u32, code: i32, at: Timestamp) -> Value {
    let detail = json!({
        "clusterArn": format!("{ARN}cluster/web"), "group": "service:web", "lastStatus": "STOPPED", "desiredStatus": "STOPPED",
        "taskArn": format!("{ARN}task/web/{release:032x}"), "taskDefinitionArn": definition_arn(release as usize),
        "startedAt": iso::format(at), "stoppedAt": iso::format(at), "stopCode": "EssentialContainerExited",
        "stoppedReason": "Essential container in task exited", "containers": [{"name": "app", "exitCode": code}],
    });
    let event = json!({"detail-type": "ECS Task State Change", "source": "aws.ecs", "detail": detail});
    json!({"message": event.to_string(), "timestamp": at.as_nanos() / 1_000_000, "eventId": release.to_string()})
}

#[tokio::test]
async fn the_newest_failure_is_found_behind_more_old_ones_than_are_read() {
    let now = source::wall();
    let old = now.minus(Duration::from_hours(100));
    let (connection, _) = endpoint({
        let mut play = Play::new(Fate::Works);
        move |operation, body| {
            if operation != "filterlogevents" {
                return play.answer(operation, body);
            }
            let body: Value = serde_json::from_str(body).unwrap();
            let is_asked = |at: Timestamp| {
                let millis = at.as_nanos() / 1_000_000;
                body["startTime"].as_i64().unwrap() <= millis && millis <= body["endTime"].as_i64().unwrap()
            };
            // Oldest first, and without end.
            if is_asked(old) {
                return ok(&json!({"events": [stopped(2, 3, old)], "nextToken": "more"}));
            }
            let new = now.minus(Duration::from_mins(5));
            let events: Vec<Value> = [stopped(3, 4, new)].into_iter().filter(|_| is_asked(new)).collect();
            ok(&json!({"events": events}))
        }
    })
    .await;
    let mut place = place(connection);
    place.event_log_group = Some("/events".to_owned());
    crate::up_service(&place, &spec("aa"), &run().0).await.unwrap();
    for digest in ["bb", "cc"] {
        crate::deploy(&place, &spec(digest), DeployMode::WhenChanged, &run().0).await.unwrap();
    }
    let Answer::Past(newest) = crate::why(&place, Question::Now).await.unwrap() else { panic!("it is remembered") };
    assert_eq!((newest.release, newest.cause), (3, crate::Cause::ExitsAtStart(4)));
    let Answer::Past(older) = crate::why(&place, Question::At(old)).await.unwrap() else { panic!("it is remembered") };
    assert_eq!((older.release, older.cause), (2, crate::Cause::ExitsAtStart(3)));
}
