//! CloudWatch Logs: what tasks wrote, by group, stream, and time.

mod events;
mod filter;
mod pattern;

use gimmetime_scheduler::model::{Arns, Model};
use serde_json::{Map, Value, json};

use crate::page::{Order, Page};
use crate::parameters::Parameters;
use crate::world::{LogGroup, LogStream};
use crate::{ApiError, Call, World, time};

const OPERATIONS: [&str; 4] = ["DescribeLogGroups", "DescribeLogStreams", "FilterLogEvents", "GetLogEvents"];

/// Most bytes of events in a reply, each counted with [`EVENT_OVERHEAD`].
const REPLY_LIMIT: usize = 1 << 20;
/// What CloudWatch counts for an event besides its message.
const EVENT_OVERHEAD: usize = 26;
/// Most events in a reply, and how many if no limit is given.
const EVENTS_LIMIT: i64 = 10_000;

pub(crate) fn answer(world: &mut dyn World, call: &Call) -> Result<Value, ApiError> {
    let parameters = Parameters::new(call.service, &call.parameters)?;
    match call.operation.as_str() {
        "DescribeLogGroups" => describe_groups(world, parameters),
        "DescribeLogStreams" => describe_streams(world, parameters),
        "GetLogEvents" => events::get(world, parameters),
        "FilterLogEvents" => filter::filter(world, parameters),
        other => Err(call.service.unknown_operation(other, &OPERATIONS)),
    }
}

fn describe_groups(world: &mut dyn World, mut parameters: Parameters<'_>) -> Result<Value, ApiError> {
    let page = Page::of_logs("DescribeLogGroups", &mut parameters)?;
    let prefix = parameters.text("logGroupNamePrefix")?;
    let pattern = parameters.text("logGroupNamePattern")?;
    if prefix.is_some() && pattern.is_some() {
        return Err(parameters.invalid("logGroupNamePattern", "cannot be given together with logGroupNamePrefix"));
    }
    let class = parameters.text("logGroupClass")?;
    let identifiers = parameters.texts("logGroupIdentifiers")?;
    parameters.finish()?;
    let groups = world.logs().groups();
    let arns = world.model().arns();
    let wanted = |group: &LogGroup| {
        prefix.is_none_or(|prefix| group.name.starts_with(prefix))
            && pattern.is_none_or(|pattern| group.name.to_lowercase().contains(&pattern.to_lowercase()))
            && class.is_none_or(|class| class == "STANDARD")
            && (identifiers.is_empty() || identifiers.iter().any(|given| name_in(arns, given) == group.name))
    };
    let items = groups.iter().filter(|group| wanted(group)).map(|group| (group.name.clone(), group_view(arns, group)));
    page.reply("logGroups", items.collect(), Order::Ascending)
}

fn group_view(arns: Arns<'_>, group: &LogGroup) -> Value {
    let arn = arns.log_group(&group.name);
    json!({
        "logGroupName": group.name,
        "creationTime": time::millis(group.created_at),
        "metricFilterCount": 0,
        "arn": format!("{arn}:*"),
        "logGroupArn": arn,
        "logGroupClass": "STANDARD",
        "storedBytes": group.stored_bytes,
    })
}

fn describe_streams(world: &mut dyn World, mut parameters: Parameters<'_>) -> Result<Value, ApiError> {
    let page = Page::of_logs("DescribeLogStreams", &mut parameters)?;
    let prefix = parameters.text("logStreamNamePrefix")?;
    let by_time = match parameters.text("orderBy")? {
        None | Some("LogStreamName") => false,
        Some("LastEventTime") if prefix.is_some() => {
            return Err(
                parameters.invalid("orderBy", "LastEventTime cannot be given together with logStreamNamePrefix")
            );
        }
        Some("LastEventTime") => true,
        Some(_) => return Err(parameters.invalid("orderBy", "expected LogStreamName or LastEventTime")),
    };
    let descending = parameters.boolean("descending")?.unwrap_or(false);
    let group = read_group(world.model(), &mut parameters)?;
    parameters.finish()?;
    check_group(world, &group)?;
    let streams = world.logs().streams(&group);
    let arns = world.model().arns();
    let item = |stream: &LogStream| {
        let last = if by_time { stream.last_event_ms.unwrap_or(0) } else { 0 };
        (format!("{last:020}{}", stream.name), stream_view(arns, &group, stream))
    };
    let wanted = streams.iter().filter(|stream| prefix.is_none_or(|prefix| stream.name.starts_with(prefix)));
    let order = if descending { Order::Descending } else { Order::Ascending };
    page.reply("logStreams", wanted.map(item).collect(), order)
}

fn stream_view(arns: Arns<'_>, group: &str, stream: &LogStream) -> Value {
    let mut view = Map::new();
    view.insert("logStreamName".into(), stream.name.clone().into());
    view.insert("creationTime".into(), time::millis(stream.created_at).into());
    view.insert("arn".into(), format!("{}:log-stream:{}", arns.log_group(group), stream.name).into());
    view.insert("storedBytes".into(), stream.stored_bytes.into());
    let moments = [
        ("firstEventTimestamp", stream.first_event_ms),
        ("lastEventTimestamp", stream.last_event_ms),
        ("lastIngestionTime", stream.last_event_ms),
    ];
    for (name, at) in moments {
        if let Some(at) = at {
            view.insert(name.into(), at.into());
        }
    }
    view.into()
}

/// The group that `logGroupName` or `logGroupIdentifier` names, whether or not it is there.
fn read_group(model: &Model, parameters: &mut Parameters<'_>) -> Result<String, ApiError> {
    let given = [parameters.text("logGroupName")?, parameters.text("logGroupIdentifier")?];
    match given.map(|name| name.filter(|name| !name.is_empty())) {
        [Some(_), Some(_)] => {
            Err(parameters.invalid("logGroupIdentifier", "cannot be given together with logGroupName"))
        }
        [Some(name), None] => Ok(name.to_owned()),
        [None, Some(identifier)] => Ok(name_in(model.arns(), identifier).to_owned()),
        [None, None] => Err(parameters.missing("logGroupName")),
    }
}

/// A group's name in a name or an ARN.
fn name_in<'a>(arns: Arns<'_>, identifier: &'a str) -> &'a str {
    let name = identifier.strip_prefix(arns.log_group("").as_str()).unwrap_or(identifier);
    name.strip_suffix(":*").unwrap_or(name)
}

fn check_group(world: &dyn World, group: &str) -> Result<(), ApiError> {
    if world.logs().groups().iter().any(|known| known.name == group) {
        return Ok(());
    }
    Err(ApiError::new("ResourceNotFoundException", "The specified log group does not exist."))
}

fn check_streams(world: &dyn World, group: &str, wanted: &[String]) -> Result<(), ApiError> {
    if wanted.is_empty() {
        return Ok(());
    }
    let streams = world.logs().streams(group);
    if wanted.iter().all(|name| streams.iter().any(|known| known.name == *name)) {
        return Ok(());
    }
    Err(ApiError::new("ResourceNotFoundException", "The specified log stream does not exist."))
}

/// `startTime` and `endTime`, in milliseconds since the epoch, as given.
fn read_window(parameters: &mut Parameters<'_>) -> Result<(i64, Option<i64>), ApiError> {
    let start = parameters.integer("startTime", (0, i64::MAX))?.unwrap_or(0);
    let end = parameters.integer("endTime", (0, i64::MAX))?;
    if end.is_some_and(|end| end < start) {
        return Err(parameters.invalid("endTime", "must not be before startTime"));
    }
    Ok((start, end))
}

fn read_limit(parameters: &mut Parameters<'_>) -> Result<usize, ApiError> {
    Ok(parameters.integer("limit", (1, EVENTS_LIMIT))?.unwrap_or(EVENTS_LIMIT) as usize)
}

fn read_error(reason: String) -> ApiError {
    ApiError { code: "ServiceUnavailableException", ..ApiError::server(reason) }
}

/// The messages' size as CloudWatch counts it.
fn size(message: &str) -> usize {
    message.len() + EVENT_OVERHEAD
}
