//! Logs: windows, patterns, and pages in both directions.

use std::collections::BTreeSet;

use gimmetime_api::Service;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::world::{GROUP, TestWorld};

const START: i64 = 1_795_342_020_000;

fn logs(operation: &str, parameters: Value) -> Value {
    TestWorld::new().call(Service::Logs, operation, parameters).unwrap()
}

fn messages(reply: &Value) -> Vec<String> {
    reply["events"].as_array().unwrap().iter().map(|event| event["message"].as_str().unwrap().to_owned()).collect()
}

/// All messages over all pages, at most forty.
fn walk(operation: &str, parameters: &Value, token: &str) -> Vec<String> {
    let mut seen = Vec::new();
    let mut given = parameters.clone();
    for _ in 0..40 {
        let reply = logs(operation, given.clone());
        seen.extend(messages(&reply));
        if reply.get(token).is_none_or(|next| given.get("nextToken") == Some(next)) {
            return seen;
        }
        given["nextToken"] = reply[token].clone();
    }
    panic!("pages never end: {seen:?}");
}

#[test]
fn a_window_of_filtered_events_holds_both_its_ends() {
    let reply =
        logs("FilterLogEvents", json!({"logGroupName": GROUP, "startTime": START + 3000, "endTime": START + 5000}));
    assert_eq!(messages(&reply), ["info line 3", "info line 4", "error line 5"]);
}

#[test]
fn a_window_of_one_stream_leaves_its_end_out() {
    let window = json!({"logGroupName": GROUP, "logStreamName": "gimmetime/app/odd", "startTime": START + 3000, "endTime": START + 7000});
    assert_eq!(messages(&logs("GetLogEvents", window)), ["info line 3", "error line 5"]);
}

#[test]
fn the_latest_events_come_first_unless_asked_from_the_head() {
    let stream = json!({"logGroupName": GROUP, "logStreamName": "gimmetime/app/even", "limit": 2});
    assert_eq!(messages(&logs("GetLogEvents", stream.clone())), ["info line 22", "info line 24"]);
    let mut head = stream;
    head["startFromHead"] = json!(true);
    assert_eq!(messages(&logs("GetLogEvents", head)), ["error line 0", "info line 2"]);
    let newest = json!({"logGroupName": GROUP, "limit": 2, "startFromHead": false});
    assert_eq!(messages(&logs("FilterLogEvents", newest)), ["info line 24", "info line 23"]);
}

#[test]
fn at_the_end_of_a_stream_the_same_token_comes_back_and_leads_to_what_is_new() {
    let mut world = TestWorld::new();
    let stream = json!({"logGroupName": GROUP, "logStreamName": "gimmetime/app/odd", "startFromHead": true});
    let first = world.call(Service::Logs, "GetLogEvents", stream.clone()).unwrap();
    let mut next = stream;
    next["nextToken"] = first["nextForwardToken"].clone();
    let second = world.call(Service::Logs, "GetLogEvents", next.clone()).unwrap();
    assert_eq!((messages(&second).len(), &second["nextForwardToken"]), (0, &first["nextForwardToken"]));
    let mut fresh = world.logs.events[23].clone();
    (fresh.key.sequence, fresh.message) = (25, "new".to_owned());
    world.logs.events.push(fresh);
    assert_eq!(messages(&world.call(Service::Logs, "GetLogEvents", next.clone()).unwrap()), ["new"]);
    next["nextToken"] = second["nextBackwardToken"].clone();
    assert_eq!(messages(&world.call(Service::Logs, "GetLogEvents", next).unwrap()).len(), 12);
}

#[test]
fn an_empty_line_is_no_event_and_does_not_end_the_pages() {
    let mut world = TestWorld::new();
    world.logs.events[1].message.clear();
    let stream =
        json!({"logGroupName": GROUP, "logStreamName": "gimmetime/app/odd", "limit": 1, "startFromHead": true});
    let reply = world.call(Service::Logs, "GetLogEvents", stream.clone()).unwrap();
    assert_eq!(messages(&reply).len(), 0);
    let mut next = stream;
    next["nextToken"] = reply["nextForwardToken"].clone();
    assert_eq!(messages(&world.call(Service::Logs, "GetLogEvents", next).unwrap()), ["info line 3"]);
    let all = world.call(Service::Logs, "FilterLogEvents", json!({"logGroupName": GROUP})).unwrap();
    assert_eq!(messages(&all).len(), 24);
}

#[test]
fn a_page_of_filtered_events_reads_the_logs_once_and_goes_on_where_so_many_were_looked_at() {
    let mut world = TestWorld::new();
    let last = world.logs.events[24].clone();
    world.logs.events.extend((0..50_000).map(|n| {
        let mut event = last.clone();
        event.key.sequence += 1 + n;
        event.message = "much".to_owned();
        event
    }));
    let mut late = last;
    (late.key.timestamp_ms, late.message) = (late.key.timestamp_ms + 1, "error at last".to_owned());
    world.logs.events.push(late);
    let mut given = json!({"logGroupName": GROUP, "filterPattern": "error"});
    let first = world.call(Service::Logs, "FilterLogEvents", given.clone()).unwrap();
    assert_eq!(messages(&first).len(), 5);
    given["nextToken"] = first["nextToken"].clone();
    let second = world.call(Service::Logs, "FilterLogEvents", given).unwrap();
    assert_eq!(messages(&second), ["error at last"]);
    assert!(second.get("nextToken").is_none());
    assert_eq!(world.logs.readings.get(), 2);
}

#[test]
fn groups_and_streams_that_are_not_there_are_not_found() {
    let mut world = TestWorld::new();
    for (operation, parameters, message) in [
        ("FilterLogEvents", json!({"logGroupName": "/other"}), "The specified log group does not exist."),
        (
            "FilterLogEvents",
            json!({"logGroupName": GROUP, "logStreamNames": ["x"]}),
            "The specified log stream does not exist.",
        ),
        (
            "GetLogEvents",
            json!({"logGroupName": GROUP, "logStreamName": "x"}),
            "The specified log stream does not exist.",
        ),
        ("DescribeLogStreams", json!({"logGroupName": "/other"}), "The specified log group does not exist."),
    ] {
        let refused = world.refused(Service::Logs, operation, parameters);
        assert_eq!(refused, ("ResourceNotFoundException", message.to_owned()));
    }
}

#[test]
fn what_contradicts_itself_is_refused() {
    let mut world = TestWorld::new();
    for (operation, parameters) in [
        ("FilterLogEvents", json!({})),
        ("FilterLogEvents", json!({"logGroupName": GROUP, "logStreamNames": ["a"], "logStreamNamePrefix": "a"})),
        ("FilterLogEvents", json!({"logGroupName": GROUP, "startTime": 2, "endTime": 1})),
        ("FilterLogEvents", json!({"logGroupName": GROUP, "filterPattern": "[a, b]"})),
        ("FilterLogEvents", json!({"logGroupName": GROUP, "nextToken": "00"})),
        ("GetLogEvents", json!({"logGroupName": GROUP, "logStreamName": "gimmetime/app/odd", "limit": 10_001})),
        ("DescribeLogStreams", json!({"logGroupName": GROUP, "logStreamNamePrefix": "a", "orderBy": "LastEventTime"})),
    ] {
        assert_eq!(
            world.refused(Service::Logs, operation, parameters.clone()).0,
            "InvalidParameterException",
            "{parameters}"
        );
    }
}

#[test]
fn a_group_is_known_by_its_arn_and_every_event_has_an_id_of_its_own() {
    let arn = format!("arn:aws:logs:local:000000000000:log-group:{GROUP}:*");
    let reply = logs("FilterLogEvents", json!({"logGroupIdentifier": arn}));
    let ids: BTreeSet<&str> =
        reply["events"].as_array().unwrap().iter().map(|event| event["eventId"].as_str().unwrap()).collect();
    assert_eq!((ids.len(), ids.iter().all(|id| id.len() == 56)), (25, true));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn pages_of_any_size_hold_every_matching_event_once(limit in 1_i64..30, newest in any::<bool>(), errors in any::<bool>()) {
        let pattern = if errors { "error" } else { "" };
        let given = json!({"logGroupName": GROUP, "limit": limit, "startFromHead": !newest, "filterPattern": pattern});
        let mut seen = walk("FilterLogEvents", &given, "nextToken");
        if newest { seen.reverse(); }
        let expected: Vec<String> = TestWorld::new().logs.events.into_iter().map(|event| event.message).filter(|line| line.contains(pattern)).collect();
        prop_assert_eq!(seen, expected);
    }

    #[test]
    fn a_stream_reads_the_same_forwards_in_pages_of_any_size(limit in 1_i64..30) {
        let given = json!({"logGroupName": GROUP, "logStreamName": "gimmetime/app/odd", "limit": limit, "startFromHead": true});
        prop_assert_eq!(walk("GetLogEvents", &given, "nextForwardToken").len(), 12);
    }
}
