//! What a place remembers of failures after ECS has forgotten them: state changes that AWS's event bus writes into a log
//! group, one JSON event a line. Pure parser, thin reader.

use std::time::Duration;

use aws_sdk_cloudwatchlogs::types::FilteredLogEvent;
use gimmetime_clock::{Timestamp, iso};
use serde::Deserialize;

use crate::place::{CONTAINER, Place};
use crate::snapshot::{EventView, Snapshot, TaskView, last_part, revision_of};

/// Longest event read, in bytes: what the event bus delivers at most.
const LONGEST: usize = 256 << 10;
/// How far back it is looked first. Logs are read from their oldest event on, and of a service that fails all the time those
/// pages would hold only the old ones.
const SPANS: [Duration; 2] = [Duration::from_hours(1), Duration::from_hours(24)];
/// Most pages read of each of these times.
const PAGES: usize = 50;
/// Most failures kept of one answer; of more, the newest.
const KEPT: usize = 1_000;
/// Only these matter: the service sends no others over the wire.
const PATTERN: &str = r#"{ ($.detail.lastStatus = "STOPPED") || ($.detail.eventName = "SERVICE_DEPLOYMENT_FAILED") }"#;

/// What one event tells.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Remembered {
    /// A task that stopped.
    Task(Box<TaskView>),
    /// A deployment that failed.
    Deployment(EventView),
}

/// What was remembered of a time.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    tasks: Vec<TaskView>,
    events: Vec<EventView>,
}

impl Memory {
    /// Adds what the APIs do not know any more; what they know they know better.
    pub(crate) fn join(self, snapshot: &mut Snapshot) {
        for task in self.tasks {
            if !snapshot.tasks.iter().any(|known| known.id == task.id) {
                snapshot.tasks.push(task);
            }
        }
        snapshot.service.events.extend(self.events);
        // Newest first, as ECS has them.
        snapshot.service.events.sort_by_key(|event| std::cmp::Reverse(event.at));
    }

    fn take(&mut self, event: Remembered) {
        match event {
            Remembered::Task(task) => {
                // A task is told of once for each of its states.
                self.tasks.retain(|known| known.id != task.id);
                self.tasks.push(*task);
            }
            Remembered::Deployment(event) => self.events.push(event),
        }
        let oldest = self.tasks.len().saturating_sub(KEPT);
        self.tasks.drain(..oldest);
        let oldest = self.events.len().saturating_sub(KEPT);
        self.events.drain(..oldest);
    }
}

/// What is remembered from one moment to another, as far back as a task that is meant is found. A place without a memory, or
/// one that may not be read, remembers nothing: half the evidence is better than none.
pub(crate) async fn recall(
    place: &Place,
    from: Timestamp,
    to: Timestamp,
    is_meant: impl Fn(&TaskView) -> bool,
) -> Memory {
    let mut memory = Memory::default();
    let Some(group) = &place.event_log_group else { return memory };
    for (from, to) in spans(from, to) {
        memory = read(place, group, from, to).await;
        if memory.tasks.iter().any(&is_meant) {
            break;
        }
    }
    memory
}

/// A time in parts, the newest first.
fn spans(from: Timestamp, to: Timestamp) -> Vec<(Timestamp, Timestamp)> {
    let mut end = to;
    let starts = SPANS.into_iter().map(|span| to.minus(span)).filter(|start| from < *start).chain([from]);
    starts.map(|start| (start, std::mem::replace(&mut end, start))).collect()
}

async fn read(place: &Place, group: &str, from: Timestamp, to: Timestamp) -> Memory {
    let mut memory = Memory::default();
    let millis = |moment: Timestamp| (moment.as_nanos() / 1_000_000).max(0);
    let mut token = None;
    for _ in 0..PAGES {
        let call = place.endpoint.logs.filter_log_events().log_group_name(group).filter_pattern(PATTERN);
        let call = call.start_time(millis(from)).end_time(millis(to)).set_next_token(token.take());
        let Ok(reply) = call.send().await else { break };
        let lines = reply.events().iter().filter_map(FilteredLogEvent::message);
        for event in lines.filter_map(|line| parse(line, &place.cluster, &place.service)) {
            memory.take(event);
        }
        token = reply.next_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    memory
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "detail-type")]
    kind: String,
    #[serde(default)]
    time: String,
    #[serde(default)]
    resources: Vec<String>,
    detail: serde_json::Value,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct TaskDetail {
    task_arn: String,
    cluster_arn: String,
    group: String,
    last_status: String,
    desired_status: String,
    started_by: String,
    task_definition_arn: String,
    availability_zone: Option<String>,
    stop_code: Option<String>,
    stopped_reason: Option<String>,
    created_at: String,
    started_at: String,
    stopping_at: String,
    stopped_at: String,
    containers: Vec<ContainerDetail>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ContainerDetail {
    name: String,
    exit_code: Option<i32>,
    reason: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct DeploymentDetail {
    event_name: String,
    deployment_id: String,
    reason: String,
}

/// What a line tells of this service; None for all else.
fn parse(line: &str, cluster: &str, service: &str) -> Option<Remembered> {
    if LONGEST < line.len() {
        return None;
    }
    let event: Envelope = serde_json::from_str(line).ok()?;
    match event.kind.as_str() {
        "ECS Task State Change" => {
            let task: TaskDetail = serde_json::from_value(event.detail).ok()?;
            let is_ours =
                last_part(&task.cluster_arn) == cluster && task.group.strip_prefix("service:") == Some(service);
            (is_ours && task.last_status == "STOPPED").then(|| Remembered::Task(Box::new(task.view())))
        }
        "ECS Deployment State Change" => {
            let deployment: DeploymentDetail = serde_json::from_value(event.detail).ok()?;
            let suffix = format!("/{cluster}/{service}");
            let is_ours = event.resources.iter().any(|arn| arn.ends_with(&suffix));
            (is_ours && deployment.event_name == "SERVICE_DEPLOYMENT_FAILED").then(|| {
                let message = format!("(deployment {}) failed: {}", deployment.deployment_id, deployment.reason);
                Remembered::Deployment(EventView { at: iso::parse(&event.time), message })
            })
        }
        _ => None,
    }
}

impl TaskDetail {
    fn view(self) -> TaskView {
        let app = self.containers.iter().find(|container| container.name == CONTAINER).or(self.containers.first());
        TaskView {
            id: last_part(&self.task_arn).to_owned(),
            revision: revision_of(&self.task_definition_arn).unwrap_or(0),
            exit_code: app.and_then(|app| app.exit_code),
            container_reason: app.and_then(|app| app.reason.clone()),
            deployment: Some(self.started_by).filter(|by| !by.is_empty()),
            last_status: self.last_status,
            desired_status: self.desired_status,
            zone: self.availability_zone,
            created_at: iso::parse(&self.created_at),
            started_at: iso::parse(&self.started_at),
            stopping_at: iso::parse(&self.stopping_at),
            stopped_at: iso::parse(&self.stopped_at),
            stop_code: self.stop_code,
            stopped_reason: self.stopped_reason,
            ..TaskView::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn stopped(id: &str) -> serde_json::Value {
        json!({
            "version": "0", "id": "9bcd", "detail-type": "ECS Task State Change", "source": "aws.ecs",
            "account": "123456789012", "time": "2026-11-22T03:07:01Z", "region": "eu-west-1",
            "resources": [format!("arn:aws:ecs:eu-west-1:123456789012:task/web/{id}")],
            "detail": {
                "availabilityZone": "eu-west-1b", "clusterArn": "arn:aws:ecs:eu-west-1:123456789012:cluster/web",
                "containers": [{"name": "app", "exitCode": 137, "lastStatus": "STOPPED",
                                "reason": "OutOfMemoryError: Container killed due to memory usage"}],
                "createdAt": "2026-11-22T03:00:00.5Z", "startedAt": "2026-11-22T03:00:30.123Z", "desiredStatus": "STOPPED",
                "group": "service:web", "lastStatus": "STOPPED", "startedBy": "ecs-svc/1", "stopCode": "EssentialContainerExited",
                "stoppedAt": "2026-11-22T03:07:01.2Z", "stoppedReason": "Essential container in task exited",
                "taskArn": format!("arn:aws:ecs:eu-west-1:123456789012:task/web/{id}"),
                "taskDefinitionArn": "arn:aws:ecs:eu-west-1:123456789012:task-definition/web:14", "version": 5
            }
        })
    }

    #[test]
    fn what_is_newest_is_looked_for_first_and_all_of_it_once() {
        let now = Timestamp::from_secs(1_000_000);
        let ago = |hours: u64| now.minus(Duration::from_hours(hours));
        assert_eq!(spans(ago(100), now), [(ago(1), now), (ago(24), ago(1)), (ago(100), ago(24))]);
        assert_eq!(spans(ago(2), now), [(ago(1), now), (ago(2), ago(1))]);
        assert_eq!(spans(ago(0), now), [(now, now)]);
    }

    #[test]
    fn a_task_that_stopped_is_remembered_with_all_that_explains_it() {
        let Some(Remembered::Task(task)) = parse(&stopped("c7d0").to_string(), "web", "web") else { panic!("no task") };
        assert_eq!((task.id.as_str(), task.revision, task.exit_code), ("c7d0", 14, Some(137)));
        assert_eq!(task.stopped_at.map(Timestamp::unix_seconds), Some(1_795_316_821));
        assert_eq!((task.zone.as_deref(), task.deployment.as_deref()), (Some("eu-west-1b"), Some("ecs-svc/1")));
        assert!(task.has_failed() && task.container_reason.unwrap().starts_with("OutOfMemory"));
    }

    #[test]
    fn a_deployment_that_failed_is_remembered_as_an_event() {
        let event = |name: &str| {
            json!({
                "detail-type": "ECS Deployment State Change", "time": "2026-11-22T03:09:00Z",
                "resources": ["arn:aws:ecs:eu-west-1:123456789012:service/web/web"],
                "detail": {"eventType": "ERROR", "eventName": name, "deploymentId": "ecs-svc/2",
                           "reason": "ECS deployment circuit breaker: task failed to start."}
            })
            .to_string()
        };
        let failed = parse(&event("SERVICE_DEPLOYMENT_FAILED"), "web", "web");
        let message = "(deployment ecs-svc/2) failed: ECS deployment circuit breaker: task failed to start.";
        let at = Some(Timestamp::from_secs(1_795_316_940));
        assert_eq!(failed, Some(Remembered::Deployment(EventView { at, message: message.to_owned() })));
        assert_eq!(parse(&event("SERVICE_DEPLOYMENT_COMPLETED"), "web", "web"), None);
        assert_eq!(parse(&event("SERVICE_DEPLOYMENT_FAILED"), "web", "other"), None);
    }

    #[test]
    fn what_concerns_others_or_goes_on_is_not_remembered() {
        let line = stopped("c7d0").to_string();
        assert_eq!(parse(&line, "web", "other"), None);
        assert_eq!(parse(&line, "other", "web"), None);
        assert_eq!(parse(&line.replace("\"STOPPED\"", "\"RUNNING\""), "web", "web"), None);
        assert_eq!(parse("not json", "web", "web"), None);
        assert_eq!(parse(&format!("{line}{}", " ".repeat(LONGEST)), "web", "web"), None);
    }

    #[test]
    fn of_many_the_newest_are_kept_and_each_once() {
        let mut memory = Memory::default();
        for n in 0..KEPT + 10 {
            for _ in 0..2 {
                memory.take(parse(&stopped(&n.to_string()).to_string(), "web", "web").unwrap());
            }
        }
        assert_eq!((memory.tasks.len(), memory.tasks[0].id.as_str()), (KEPT, "10"));
        let known = TaskView { id: "11".to_owned(), revision: 99, ..TaskView::default() };
        let mut snapshot = Snapshot { tasks: vec![known], ..Snapshot::default() };
        memory.join(&mut snapshot);
        assert_eq!((snapshot.tasks.len(), snapshot.tasks[0].revision), (KEPT, 99));
    }

    proptest! {
        #[test]
        fn any_line_is_read_or_left_alone(line in ".{0,200}", at in 0_usize..1500, byte in any::<char>()) {
            let _ = parse(&line, "web", "web");
            let mut damaged: Vec<char> = stopped("c7d0").to_string().chars().collect();
            let at = at % damaged.len();
            damaged[at] = byte;
            let _ = parse(&damaged.into_iter().collect::<String>(), "web", "web");
        }
    }
}
